"""What lies on disk between two processes: parts in order, their states, and files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofset.errors import RecordError, StoreDamaged
from proofset.models.parts import Part, State, part_at, parts, put

LINE = b'{"custom_id":"k1","method":"POST","url":"/v1/completions","body":{}}\n'


def test_parts_are_found_in_order_and_nothing_else_is(tmp_path: Path) -> None:
    names = ["part-0002-r1", "part-0001-r2", "part-10000-r1", "part-0001-r1", "part-0001-r1.output", "part-x", "notes"]
    for name in names:
        (tmp_path / f"{name}.jsonl").write_bytes(LINE)
    assert [part.path.stem for part in parts(tmp_path)] == [
        "part-0001-r1", "part-0001-r2", "part-0002-r1", "part-10000-r1",
    ]  # fmt: skip
    assert parts(tmp_path / "gone") == []
    assert part_at(tmp_path / "notes.jsonl") is None


def test_a_part_knows_its_lines_and_what_belongs_to_it(tmp_path: Path) -> None:
    part = Part(tmp_path, 7)
    put(part.path, LINE + LINE.replace(b"k1", b"k2"))
    assert [key for key, _ in part.lines()] == ["k1", "k2"]
    assert part.endpoint() == "/v1/completions"
    assert part.beside("output.jsonl").name == "part-0007-r1.output.jsonl"
    assert part.follow_up().path.name == "part-0007-r2.jsonl"


@pytest.mark.parametrize("second", [b"{}\n", LINE[:-1], b"\n"])
def test_a_line_that_was_not_written_here_is_named(tmp_path: Path, second: bytes) -> None:
    part = Part(tmp_path, 1)
    put(part.path, LINE + second)
    with pytest.raises(RecordError, match=r"part-0001-r1\.jsonl:2: not a line of a batch"):
        list(part.lines())
    put(part.path, b"{}\n")
    with pytest.raises(RecordError, match=":1:"):
        part.endpoint()


def test_a_state_survives_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    part = Part(tmp_path, 1)
    put(part.path, LINE)
    state = State.of(part)
    assert (state.lines, state.status) == (1, "written")
    state.take_over({
        "status": "failed", "output_file_id": None, "request_counts": {"completed": 3, "failed": 1, "total": 9},
        "errors": {"data": [{"line": 4, "message": "bad"}, {"line": None, "message": "all bad"}, 5]},
    })  # fmt: skip
    state.save(part)
    again = State.of(part)
    assert again == state and again.answered == 4 and again.blamed() == {4: "bad"}
    for damage in ("", "{", "[]", '{"colour": 1}'):
        part.beside("state.json").write_text(damage)
        with pytest.raises(StoreDamaged):
            State.of(part)


def test_a_file_is_replaced_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        put(tmp_path / "a.json", content)
        assert (tmp_path / "a.json").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]

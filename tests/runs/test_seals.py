"""Whatever is done to a line of money shows, with its number; lines of before there were seals are told apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from proofset.errors import LogCorrupt
from proofset.nouns.event import Event, Finished, Spent, Started
from proofset.nouns.result import Usage
from proofset.runs.log import Log, replay
from proofset.runs.seals import verify


def spent(number: int) -> Spent:
    return Spent(usage=Usage(model="m", stage="generate", brief_id=f"b{number}", usd=Decimal(number)))


def logged(path: Path, events: list[Event]) -> Path:
    log = Log(path)
    for event in events:
        log.append(event)
    log.close()
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten lines, those with an even number of money."""
    others = [Started(verb="cost", key=str(n)) for n in range(5)]
    return logged(tmp_path / "e.jsonl", [each for n, other in enumerate(others) for each in (other, spent(n))])


def test_what_was_not_touched_is_sealed_to_the_last_line_also_over_openings(path: Path) -> None:
    first = verify(path)
    assert (first.rows, first.unsealed, len(first.last)) == (5, 0, 32)
    logged(path, [spent(5), Finished(verb="cost", key="k", seconds=1.0, core_seconds=1.0), spent(6)])
    assert verify(path).rows == 7 and verify(path, first.last).rows == 7
    assert replay(path).seal == verify(path).last


def test_lines_of_one_content_have_seals_of_their_own(tmp_path: Path) -> None:
    path = logged(tmp_path / "e.jsonl", [spent(1), spent(1)])
    first, second = (event.chain for event in replay(path) if isinstance(event, Spent))
    assert first != second and verify(path).rows == 2


def edited(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b'"usd":"0"', b'"usd":"9"'), *lines[2:]]


CHANGES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int]] = {
    "edited": (edited, 2),
    "later": (lambda lines: [*lines[:3], lines[3].replace(b'"at":"2', b'"at":"3'), *lines[4:]], 4),
    "taken out": (lambda lines: [*lines[:3], *lines[4:]], 5),
    "swapped": (lambda lines: [*lines[:3], lines[5], lines[4], lines[3], *lines[6:]], 4),
    "repeated": (lambda lines: [*lines[:4], lines[3], *lines[4:]], 5),
    "unsealed": (lambda lines: [*lines[:3], lines[3][:-47] + b"}\n", *lines[4:]], 4),
    "seal changed": (lambda lines: [*lines[:9], lines[9][:-6] + b"0000" + lines[9][-3:]], 10),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_done_to_a_line_is_named(path: Path, change: str) -> None:
    done, number = CHANGES[change]
    path.write_bytes(b"".join(done(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(LogCorrupt, match=rf"e\.jsonl:{number}: the line") as caught:
        verify(path)
    assert "copy" in caught.value.hint


def test_an_end_that_was_cut_off_shows_where_the_last_seal_was_written_down(path: Path) -> None:
    last = verify(path).last
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    assert verify(path).rows == 4
    with pytest.raises(LogCorrupt, match=r"e\.jsonl:8: .*cut off"):
        verify(path, last)


def test_lines_of_before_there_were_seals_are_counted_and_followed_by_sealed_ones(path: Path) -> None:
    path.write_bytes(re.sub(rb',"chain":"[0-9a-f]{32}"', b"", path.read_bytes()))
    assert (verify(path).rows, verify(path).unsealed, verify(path).last) == (0, 5, "")
    logged(path, [spent(6), spent(7)])
    assert (verify(path).rows, verify(path).unsealed) == (2, 5)


def test_a_seal_of_another_log_is_made_anew(path: Path, tmp_path: Path) -> None:
    other = logged(tmp_path / "other.jsonl", list(replay(path)))
    assert verify(other).rows == 5

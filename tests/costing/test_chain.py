"""The ledger shows every edit, cut, insertion, swap and repetition, and counts no attempt twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as sized
from hypothesis import strategies as st

from proofset.costing.chain import GENESIS, read, verify, write
from proofset.errors import InputError, RecordError
from proofset.nouns.entry import Entry
from proofset.nouns.result import UsageBasis


def entry(number: int, **given_: Any) -> Entry:
    told: dict[str, Any] = {
        "seq": number, "at": f"2026-11-25T00:00:{number:02}Z", "run": "r", "attempt": f"a{number}",
        "stage": "generation",
        "model": "m", "input_tokens": 10 * number, "output_tokens": number, "usd": Decimal(number).scaleb(-6),
        "basis": UsageBasis.CATALOGUE,
    }  # fmt: skip
    return Entry(**(told | given_))


FIVE = [entry(number) for number in range(1, 6)]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    write(FIVE, tmp_path / "ledger.jsonl")
    return tmp_path / "ledger.jsonl"


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def forged(line: bytes, **changed: Any) -> bytes:
    """A line with other values and a hash of its own that fits them, as one makes who knows how."""
    row = json.loads(line) | changed
    prev = row.pop("prev")
    row.pop("hash")
    plain = json.dumps(row, sort_keys=True, separators=(",", ":"))
    told = blake2b(f"{prev}\n{plain}".encode(), digest_size=32).hexdigest()
    return plain[:-1].encode() + f',"prev":"{prev}","hash":"{told}"}}\n'.encode()


def test_what_was_written_is_read_back_and_verifies(ledger: Path) -> None:
    assert list(read(ledger)) == FIVE
    assert verify(ledger).rows == 5
    assert verify(ledger, head=json.loads(lines(ledger)[-1])["hash"]).head == json.loads(lines(ledger)[-1])["hash"]
    assert json.loads(lines(ledger)[0])["prev"] == GENESIS


def test_a_forged_line_that_changes_nothing_is_the_line_itself(ledger: Path) -> None:
    assert forged(lines(ledger)[2]) == lines(ledger)[2]  # so the forger above knows the form


Damage = Callable[[list[bytes]], list[bytes]]
DAMAGES: dict[str, tuple[Damage, int, str]] = {
    "edited": (lambda x: [x[0], x[1].replace(b'"0.000002"', b'"0.000001"'), *x[2:]], 2, "was changed after it was"),
    "respelt": (lambda x: [x[0], x[1].replace(b":", b": ", 1), *x[2:]], 2, "was changed after it was written"),
    "forged": (lambda x: [x[0], forged(x[1], usd="0"), *x[2:]], 3, "does not follow from the one before"),
    "misnumbered": (lambda x: [*x[:4], forged(x[4], seq=9)], 5, "row 9 stands where row 5 should"),
    "cut out": (lambda x: [*x[:2], *x[3:]], 3, "row 4 stands where row 3 should: 1 before it were cut out"),
    "first cut": (lambda x: x[1:], 1, "row 2 stands where row 1 should"),
    "swapped": (lambda x: [x[0], x[2], x[1], *x[3:]], 2, "row 3 stands where row 2 should"),
    "inserted": (lambda x: [*x[:2], forged(x[2], attempt="new"), *x[2:]], 4, "rows were inserted before it"),
    "twice": (lambda x: [*x[:3], x[2], *x[3:]], 4, "attempt 'a3' of run 'r' is there already, at line 3"),
    "torn": (lambda x: [*x[:4], x[4][:-9]], 5, "the last line is torn"),
    "no end": (lambda x: [*x[:4], x[4][:-1]], 5, "the last line is torn"),
    "no json": (lambda x: [x[0], b"{]\n", *x[2:]], 2, "no row of a ledger"),
    "no row": (lambda x: [x[0], b"[1]\n", *x[2:]], 2, "no row of a ledger"),
    "not a number": (lambda x: [x[0], x[1].replace(b'"seconds":0.0', b'"seconds":NaN'), *x[2:]], 2, "no row of a"),
    "other columns": (lambda x: [x[0], forged(x[1], extra=1), *x[2:]], 2, "columns differ: extra"),
    "other type": (lambda x: [x[0], forged(x[1], input_tokens="7"), *x[2:]], 2, "'7' is no int"),
    "other basis": (lambda x: [x[0], forged(x[1], basis="guess"), *x[2:]], 2, "not an entry"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_told_with_file_line_and_what_is_wrong(ledger: Path, name: str) -> None:
    damage, line, words = DAMAGES[name]
    ledger.write_bytes(b"".join(damage(lines(ledger))))
    with pytest.raises(RecordError) as caught:
        verify(ledger)
    assert (caught.value.path, caught.value.line) == (str(ledger), line)
    assert words in str(caught.value)
    with pytest.raises(RecordError):
        list(read(ledger))


@sized(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_single_byte_can_be_changed_unnoticed(ledger: Path, data: st.DataObject) -> None:
    whole = ledger.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    changed = ledger.with_name("changed.jsonl")
    changed.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
    with pytest.raises(RecordError):
        verify(changed)


def test_a_tail_that_was_cut_off_or_added_is_seen_only_with_the_expected_head(ledger: Path) -> None:
    head = verify(ledger).head
    ledger.write_bytes(b"".join(lines(ledger)[:3]))
    assert verify(ledger).rows == 3
    with pytest.raises(RecordError, match="rows are missing at the end") as caught:
        verify(ledger, head=head)
    assert (caught.value.line, caught.value.field) == (3, "hash")
    short = verify(ledger).head
    write(FIVE, ledger, append=True)
    with pytest.raises(RecordError, match="rows were added after the expected head"):
        verify(ledger, head=short)
    ledger.write_bytes(b"")
    assert verify(ledger, head=GENESIS).rows == 0
    with pytest.raises(RecordError, match="rows are missing at the end"):
        verify(ledger, head=head)


@given(st.integers(0, 5), st.integers(0, 5))
def test_a_ledger_written_in_parts_with_overlap_is_the_one_written_at_once(first: int, again: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        parts, once = Path(folder) / "parts.jsonl", Path(folder) / "once.jsonl"
        write(FIVE[:first], parts)
        done = write(FIVE[min(first, again) :], parts, append=True)
        write(FIVE, once)
        assert parts.read_bytes() == once.read_bytes()
        assert (done.rows, done.added, done.repeated) == (5, 5 - first, first - min(first, again))


def test_the_same_attempt_of_another_run_is_another_row_and_within_one_writing_it_counts_once(tmp_path: Path) -> None:
    done = write([FIVE[0], FIVE[0], replace(FIVE[0], run="s")], tmp_path / "x.jsonl")
    assert (done.rows, done.added, done.repeated) == (2, 2, 1)
    assert [row.seq for row in read(tmp_path / "x.jsonl")] == [1, 2]


def test_an_attempt_that_comes_back_with_other_figures_is_refused_and_nothing_is_added(ledger: Path) -> None:
    before = ledger.read_bytes()
    with pytest.raises(InputError, match="attempt 'a2' of run 'r' is at line 2 with other figures") as caught:
        write([entry(6), replace(FIVE[1], usd=Decimal(1))], ledger, append=True)
    assert "adjustment" in caught.value.hint
    assert ledger.read_bytes() == before


def test_a_torn_last_line_is_taken_off_and_its_attempt_counted_once_when_the_run_resumes(ledger: Path) -> None:
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[:-20])
    torn = len(lines(ledger)[-1])
    done = write(FIVE, ledger, append=True)
    assert (done.added, done.repeated, done.mended) == (1, 4, torn)
    assert ledger.read_bytes() == whole
    ledger.write_bytes(whole[:-20])
    assert write([], ledger, append=True).rows == 4
    assert ledger.read_bytes() == b"".join(whole.splitlines(keepends=True)[:4])


def test_a_last_row_that_lacks_only_its_line_end_is_kept(ledger: Path) -> None:
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[:-1])
    done = write([], ledger, append=True)
    assert (done.rows, done.added, done.mended) == (5, 0, 0)
    assert ledger.read_bytes() == whole


def test_appending_to_a_damaged_ledger_is_refused(ledger: Path) -> None:
    ledger.write_bytes(b"".join(lines(ledger)[1:]))
    before = ledger.read_bytes()
    with pytest.raises(RecordError):
        write([entry(9)], ledger, append=True)
    assert ledger.read_bytes() == before


def test_a_writing_that_fails_leaves_the_old_file_as_it_was(ledger: Path) -> None:
    before = ledger.read_bytes()
    with pytest.raises(InputError):
        write([entry(1), entry(2, input_tokens=-1)], ledger)
    assert ledger.read_bytes() == before
    assert [path.name for path in ledger.parent.iterdir()] == [ledger.name]


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"attempt": ""}, "an attempt has a name"),
        ({"input_tokens": -1}, "input_tokens: -1 is no amount"),
        ({"usd": Decimal(-1)}, "usd: -1 is no amount"),
        ({"usd": Decimal("NaN")}, "usd: NaN is no amount"),
        ({"core_seconds": float("inf")}, "core_seconds: inf is no amount"),
        ({"cached_tokens": 5, "cache_write_tokens": 6}, "more was cached than the 10 tokens of input"),
        ({"reasoning_tokens": 2}, "more than the 1 tokens of output"),
        ({"basis": UsageBasis.UNPRICED}, "an amount says where it comes from"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(tmp_path: Path, given_: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match="attempt") as caught:
        write([entry(1, **given_)], tmp_path / "x.jsonl")
    assert words in str(caught.value)
    assert not (tmp_path / "x.jsonl").exists()


def test_a_correction_is_a_row_of_its_own_and_may_be_negative(ledger: Path) -> None:
    credit = entry(6, stage="adjustment", usd=Decimal("-0.5"), input_tokens=0, output_tokens=-3)
    write([credit], ledger, append=True)
    assert list(read(ledger)) == [*FIVE, credit]


def test_amounts_and_seconds_come_back_to_the_last_digit(tmp_path: Path) -> None:
    one = entry(
        1, usd=Decimal("0.1000000000010"), seconds=0.1 + 0.2, avoided_usd=Decimal("1E-12"), slice='ž\ud800\n,"seq":1,'
    )
    write([one], tmp_path / "x.jsonl")
    (back,) = read(tmp_path / "x.jsonl")
    assert back == one
    assert str(back.usd) == "0.1000000000010"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        verify(tmp_path / "none.jsonl")

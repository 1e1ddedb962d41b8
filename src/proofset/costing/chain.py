"""The ledger as a file that shows whether it was tampered with: JSON lines, each with the hash of all before it.

A row's hash is BLAKE2b over its canonical form and the hash before it, so that editing, cutting out, inserting or
swapping rows breaks the chain at that line. What the file alone cannot show is that its tail was cut off, or that all
of it was written anew: for that, keep the head hash elsewhere and give it to ``verify``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from proofset.errors import InputError, RecordError
from proofset.nouns.entry import Entry
from proofset.nouns.result import UsageBasis

GENESIS = "0" * 64
"""What stands before the first row."""
ADJUSTMENT = "adjustment"
"""Stage of a row that corrects others; its amounts may be negative."""
_COLUMNS = tuple(field.name for field in fields(Entry))
_NAMES = frozenset(_COLUMNS)
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_TYPES: dict[str, type] = {"seq": int, "core_seconds": float, "seconds": float}
_TYPES |= {name: int for name in _COLUMNS if name.endswith("_tokens")}
_MONEY = ("usd", "avoided_usd")
_RESTORE = "restore the ledger from a copy; a correction is a new row of stage 'adjustment'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chained:
    """What a ledger holds."""

    rows: int
    head: str
    """Hash of the last row, 64 hex digits; keep it elsewhere to notice a tail that was cut off."""
    added: int = 0
    """Rows that this writing added."""
    repeated: int = 0
    """Entries that were there already, and were not counted twice."""
    mended: int = 0
    """Bytes of a torn last line that were taken off before appending."""


@dataclass(slots=True)
class _State:
    """Where the chain stands."""

    rows: int
    head: str
    seen: dict[tuple[str, str], tuple[int, bytes]]
    """(run, attempt) to its line and the digest of what it says."""
    whole: int = 0
    """Bytes up to the end of the last whole line."""


def write(entries: Iterable[Entry], path: Path, *, append: bool = False) -> Chained:
    """Write entries as a chain: the whole file at once, or not at all; or, with ``append``, after what is there.

    ``seq`` is set to the row's place in the file. An entry whose (run, attempt) is there already with the same figures
    is left out, so that a resumed run may hand over all it has. A last line that a crash tore is taken off before
    appending. One writer at a time. Memory grows by some 300 bytes a row.

    Raises InputError for an entry that no ledger may hold, or an attempt that is there with other figures; RecordError
    where the file that is appended to does not verify. Nothing is added then.
    """
    if append and path.exists():
        mended, state = _recovered(path)
        lines, repeated = _chain(entries, state)
        with path.open("r+b") as file:
            file.truncate(state.whole)
            file.seek(state.whole)
            _put(file, lines)
    else:
        mended, state = 0, _State(0, GENESIS, {})
        lines, repeated = _chain(entries, state)
        draft = path.with_name(f".{path.name}.tmp")
        with draft.open("wb") as file:
            _put(file, lines)
        draft.replace(path)
    return Chained(rows=state.rows, head=state.head, added=len(lines), repeated=repeated, mended=mended)


def verify(path: Path, *, head: str | None = None) -> Chained:
    """Follow the chain from the first row to the last; ``head`` is the hash that the last row must have.

    Raises RecordError with the file, the line and what is wrong with it: changed, cut out, inserted, swapped or
    repeated rows, a torn last line, and, where ``head`` is given, a tail that was cut off or added.
    """
    state = _State(0, GENESIS, {})
    passed = head == GENESIS
    for _ in _walk(path, state):
        passed = passed or state.head == head
    if head is not None and state.head != head:
        what = "rows were added after the expected head" if passed else "rows are missing at the end"
        message = f"{what}: the last of {state.rows} rows has the hash {state.head[:12]}…, expected was {head[:12]}…"
        raise RecordError(message, path=path, line=max(1, state.rows), field="hash", hint=_RESTORE)
    return Chained(rows=state.rows, head=state.head)


def read(path: Path) -> Iterator[Entry]:
    """The entries of a ledger, in order, each verified before it is given. Raises RecordError as ``verify`` does."""
    return _walk(path, _State(0, GENESIS, {}))


def _walk(path: Path, state: _State) -> Iterator[Entry]:
    """Verify line by line, taking each into the state."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    _refuse(path, number, "the last line is torn: it has no end", hint="append to it, which mends it")
                yield _step(path, number, line, state)
    except OSError as error:
        raise RecordError(f"cannot be read: {error}", path=path, hint="check the file and its permissions") from error


def _step(path: Path, number: int, line: bytes, state: _State) -> Entry:
    """One line: is it as it was written, is it new, and does it follow from the one before?"""
    row, text = _parsed(path, number, line)
    prev, told = str(row.pop("prev", "")), str(row.pop("hash", ""))
    if row.keys() != _NAMES:
        _refuse(path, number, f"columns differ: {', '.join(sorted(row.keys() ^ _NAMES))}")
    if told != _hash(text, prev) or line != _line(text, prev, told):
        _refuse(path, number, "the row was changed after it was written", field="hash")
    entry = _entry(path, number, row)
    if (before := state.seen.get((entry.run, entry.attempt))) is not None:
        what = f"attempt {entry.attempt!r} of run {entry.run!r} is there already, at line {before[0]}"
        _refuse(path, number, what, field="attempt")
    if prev != state.head or entry.seq != number:
        _refuse(path, number, _broken(entry.seq, number), field="prev")
    state.seen[entry.run, entry.attempt] = (number, _digest(text, entry.seq))
    state.rows, state.head, state.whole = number, told, state.whole + len(line)
    return entry


def _broken(seq: int, number: int) -> str:
    """What a row that does not follow from the one before it points to."""
    if seq > number:
        return f"row {seq} stands where row {number} should: {seq - number} before it were cut out, or it was moved"
    if seq < number:
        return f"row {seq} stands where row {number} should: rows were inserted before it, or it was moved"
    return "the row does not follow from the one before, which was put in or replaced"


def _recovered(path: Path) -> tuple[int, _State]:
    """The state of a ledger that is to be appended to, and the bytes of a torn last line after it.

    A last row that is whole but for its line end is no torn one: the end is added.
    """
    with path.open("r+b") as file:
        content_end = file.seek(0, os.SEEK_END)
        whole = _end_of_lines(file, content_end)
        file.seek(whole)
        tail = file.read()
        if tail and _is_row(tail):
            file.write(b"\n")
            whole, content_end = content_end + 1, content_end + 1
    state = _State(0, GENESIS, {})
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                _step(path, number, line, state)
    return content_end - whole, state


def _end_of_lines(file: BinaryIO, end: int) -> int:
    """Offset after the last line end."""
    while end > 0:
        start = max(0, end - 65536)
        file.seek(start)
        if (at := file.read(end - start).rfind(b"\n")) >= 0:
            return start + at + 1
        end = start
    return 0


def _is_row(tail: bytes) -> bool:
    """Whether the hash of a row is whole and right."""
    try:
        row, text = _parsed(Path(), 0, tail)
        return bool(row["hash"] == _hash(text, row["prev"]))
    except (RecordError, KeyError):
        return False


def _chain(entries: Iterable[Entry], state: _State) -> tuple[list[bytes], int]:
    """The lines that entries add to a chain, and how many of the entries were there already."""
    lines: list[bytes] = []
    repeated = 0
    for entry in entries:
        _check(entry)
        text = _canonical(_row(entry, state.rows + 1))
        key, digest = (entry.run, entry.attempt), _digest(text, state.rows + 1)
        if (before := state.seen.get(key)) is not None:
            if before[1] != digest:
                message = f"attempt {entry.attempt!r} of run {entry.run!r} is at line {before[0]} with other figures"
                raise InputError(message, hint="correct it by a new row of stage 'adjustment'")
            repeated += 1
            continue
        told = _hash(text, state.head)
        lines.append(_line(text, state.head, told))
        state.rows, state.head = state.rows + 1, told
        state.seen[key] = (state.rows, digest)
    return lines, repeated


def _put(file: BinaryIO, lines: list[bytes]) -> None:
    """Lines to the disk, power cuts included."""
    file.writelines(lines)
    file.flush()
    os.fsync(file.fileno())


def _check(entry: Entry) -> None:
    """Refuse what no ledger may hold."""
    free = entry.stage == ADJUSTMENT
    counts = [(name, getattr(entry, name)) for name in _TYPES if name != "seq"]
    amounts = [(name, getattr(entry, name)) for name in _MONEY if getattr(entry, name) is not None]
    wrong = ""
    if not entry.attempt:
        wrong = "attempt: an attempt has a name, unique within its run"
    elif bad := [name for name, value in (*counts, *amounts) if not math.isfinite(value) or (value < 0 and not free)]:
        wrong = f"{bad[0]}: {getattr(entry, bad[0])} is no amount; only a row of stage 'adjustment' may be negative"
    elif not free and entry.cached_tokens + entry.cache_write_tokens > entry.input_tokens:
        wrong = f"cached_tokens: more was cached than the {entry.input_tokens} tokens of input, which include it"
    elif not free and entry.reasoning_tokens > entry.output_tokens:
        wrong = f"reasoning_tokens: more than the {entry.output_tokens} tokens of output, which include them"
    elif entry.usd is not None and entry.basis is UsageBasis.UNPRICED:
        wrong = "basis: an amount says where it comes from"
    if wrong:
        raise InputError(f"attempt {entry.attempt!r}, {wrong}", hint="correct the entry before it is booked")


def _row(entry: Entry, seq: int) -> dict[str, Any]:
    """An entry as JSON values; money as its exact text."""
    row = {name: getattr(entry, name) for name in _COLUMNS}
    row |= {name: None if row[name] is None else str(row[name]) for name in _MONEY}
    row |= {name: float(row[name]) for name in ("core_seconds", "seconds")}
    return row | {"basis": entry.basis.value, "seq": seq}


def _entry(path: Path, number: int, row: dict[str, Any]) -> Entry:
    """JSON values as an entry; RecordError where one is of another type."""
    values: dict[str, Any] = dict(row)
    for name, value in row.items():
        wanted = _TYPES.get(name, str)
        if not (type(value) is wanted or (name in _MONEY and value is None)):
            _refuse(path, number, f"{value!r} is no {wanted.__name__}", field=name)
    try:
        values |= {name: Decimal(row[name]) for name in _MONEY if row[name] is not None}
        values["basis"] = UsageBasis(row["basis"])
    except (InvalidOperation, ValueError) as error:
        raise RecordError(f"not an entry: {error}", path=path, line=number, hint=_RESTORE) from error
    return Entry(**values)


def _parsed(path: Path, number: int, line: bytes) -> tuple[dict[str, Any], str]:
    """A line as a row, and its canonical form without the hashes."""
    try:
        row = json.loads(line)
        text = _canonical({name: value for name, value in row.items() if name not in {"prev", "hash"}})
    except (ValueError, RecursionError, AttributeError) as error:
        raise RecordError(f"no row of a ledger: {error}", path=path, line=number, hint=_RESTORE) from error
    return row, text


def _hash(text: str, prev: str) -> str:
    return blake2b(f"{prev}\n{text}".encode(errors="replace"), digest_size=32).hexdigest()


def _digest(text: str, seq: int) -> bytes:
    """What a row says, but for its place. Within a value the quotes would be escaped: only the column is found."""
    return blake2b(text.replace(f',"seq":{seq},', ',"seq":0,', 1).encode(), digest_size=16).digest()


def _line(text: str, prev: str, told: str) -> bytes:
    """A row with its hashes at the end."""
    return f'{text[:-1]},"prev":"{prev}","hash":"{told}"}}\n'.encode(errors="replace")


def _refuse(path: Path, number: int, message: str, *, field: str | None = None, hint: str = _RESTORE) -> NoReturn:
    raise RecordError(message, path=path, line=number, field=field, hint=hint)

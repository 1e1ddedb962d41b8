"""Ingest: rows to records, with nothing dropped unseen and the held-out set sealed before anyone looks.

Rows are cleaned, faulty ones dropped with a reason, near-copies put into groups, and groups divided between training
and held-out. Everything depends on what the rows say and on the seed, never on the order they come in.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from proofset.auditing.dividing import divide
from proofset.config import Ingest
from proofset.copies import CopyIndex, groups, shingles, text_hash
from proofset.errors import InputError, RecordError
from proofset.nouns.record import HeldOut, Message, Origin, Record, content_id, normal_form
from proofset.plugins import Row

EMPTY, UNLABELLED, AMBIGUOUS = "empty text", "no label", "ambiguous"
DUPLICATE, RARE, SEALED = "duplicate", "rare label", "near-copy of a held-out record"

SPACING = re.compile("\r\n?|[\x0b\x0c\x1c-\x1f\x85]")
CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
"""Control characters other than newline and tab, and halves of surrogate pairs, which no file can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A row that did not become a record, and why."""

    line: int
    reason: str
    """One of "empty text", "no label", "ambiguous" (the text under two labels), "duplicate", "rare label" and, of
    synthetic rows, "near-copy of a held-out record"."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """What became of the rows: ``rows == len(records) + len(earlier) + len(heldout) + len(dropped)``."""

    records: tuple[Record, ...]
    """Organic training records, by id."""
    earlier: tuple[Record, ...]
    """Synthetic records of earlier generations, by id. None of them is ever held out."""
    heldout: tuple[HeldOut, ...]
    """Sealed records, by id."""
    dropped: tuple[Dropped, ...]
    """By line."""
    groups: int
    """Groups of two or more near-copies; no such group is divided."""
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedHashes:
    """All that other rooms may know of a held-out record: hashes of its text and of its word pairs, signed 64-bit."""

    id: str
    text_hash: int
    shingles: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """A record with the line it came from."""

    line: int
    record: Record

    @property
    def label(self) -> str:
        return self.record.label or ""


def ingest(rows: Iterable[Row], settings: Ingest, *, path: str, seed: int) -> Sorted:
    """Records, held-out records and dropped rows out of the rows of ``path``.

    A text is dropped when it is empty, has no label, stands under two labels (all of its rows are then dropped),
    repeats another of the same label, or has a label with fewer than ``min_label_records`` organic records. Rows that
    are marked synthetic are put aside: they are no ground truth, so none is held out, and near-copies of what is are
    dropped. Rows without the asked columns are RecordErrors; InputError when fewer than two labels are left.
    """
    dropped: list[Dropped] = []
    read, n_rows = _read(rows, settings, path, dropped)
    read = _without_rare(_without_copies(read, dropped), settings.min_label_records, dropped)
    _require_labels(read, dropped, path)
    records = _grouped([one.record for one in read], settings.near_copy_similarity)
    organic = [record for record in records if record.origin is Origin.ORGANIC]
    kept = divide(organic, share=settings.heldout_share, keep=settings.keep, seed=seed)
    heldout = tuple(HeldOut(id=r.id, text=r.text, label=r.label, group=r.group) for r in organic if r.id not in kept)
    return Sorted(
        records=tuple(record for record in organic if record.id in kept),
        earlier=_earlier(records, {one.group for one in heldout}, read, dropped),
        heldout=heldout,
        dropped=tuple(sorted(dropped, key=lambda drop: drop.line)),
        groups=sum(size > 1 for size in Counter(record.group for record in records).values()),
        rows=n_rows,
    )


def _earlier(
    records: Sequence[Record], sealed: set[str], read: Sequence[_Read], dropped: list[Dropped]
) -> tuple[Record, ...]:
    """The synthetic records, without near-copies of what is held out."""
    synthetic = [record for record in records if record.origin is Origin.SYNTHETIC]
    copies = {record.id for record in synthetic if record.group in sealed}
    _drop([one for one in read if one.record.id in copies], SEALED, dropped)
    return tuple(record for record in synthetic if record.id not in copies)


def contamination_rows(heldout: Iterable[HeldOut]) -> tuple[SealedHashes, ...]:
    """The held-out records as hashes only: enough to recognise a copy of one, and not to read one."""
    return tuple(
        SealedHashes(id=one.id, text_hash=text_hash(one.text), shingles=tuple(sorted(shingles(one.text))))
        for one in heldout
    )


def contamination_index(rows: Iterable[SealedHashes], similarity: float) -> CopyIndex:
    """An index that tells whether a text is a near-copy of a held-out record, from hashes alone."""
    index = CopyIndex(similarity)
    for row in rows:
        index.add_shingles(row.id, row.shingles, row.text_hash)
    return index


def cleaned(text: str) -> str:
    """The text in Unicode NFC, stripped, with newline and tab as its only control characters.

    Line ends become newlines, other breaks a space. Format characters stay: emoji and many scripts need them.
    """
    text = SPACING.sub(lambda found: "\n" if found[0][0] == "\r" else " ", text)
    return unicodedata.normalize("NFC", CONTROLS.sub("", text)).strip()


def _read(rows: Iterable[Row], settings: Ingest, path: str, dropped: list[Dropped]) -> tuple[list[_Read], int]:
    """The rows that have a text and a label, and how many rows there were."""
    read, n_rows = list[_Read](), 0
    for row in rows:
        n_rows += 1
        if settings.messages:
            messages = _messages(_field(row, settings.messages, path), settings.messages, row.line, path)
            text = cleaned("\n".join(message.content for message in messages))
        else:
            messages, text = (), cleaned(_text(_field(row, settings.text, path), settings.text, row.line, path))
        label = _label(_field(row, settings.label, path), settings.label, row.line, path)
        if not text or not label:
            dropped.append(Dropped(line=row.line, reason=UNLABELLED if text else EMPTY, text=text))
            continue
        source = f"{path}:{row.line}"
        record = Record.organic(text, label, messages=messages, source=source, licence=settings.licence)
        if generation := _generation(row, settings, path):
            record = replace(record, origin=Origin.SYNTHETIC, generation=generation)
        read.append(_Read(row.line, record))
    return read, n_rows


def _field(row: Row, name: str, path: str) -> Any:
    if name not in row.fields:
        hint = f"the columns are: {', '.join(map(str, row.fields)) or 'none'}; name one in [ingest]"
        raise RecordError("no such column", path=path, line=row.line, field=name, hint=hint)
    return row.fields[name]


def _text(value: Any, field: str, line: int, path: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        hint = "texts are strings; chat messages are named in ingest.messages"
        raise RecordError(f"a {type(value).__name__}, not a text", path=path, line=line, field=field, hint=hint)
    return value


def _label(value: Any, field: str, line: int, path: str) -> str:
    """A label as text; empty when there is none. NaN is how tables say none."""
    if value is None or value != value:
        return ""
    if not isinstance(value, str | int | float):
        hint = "a label is one name or number; give multi-label data one row per label"
        raise RecordError(f"a {type(value).__name__}, not a label", path=path, line=line, field=field, hint=hint)
    return cleaned(str(value))


def _generation(row: Row, settings: Ingest, path: str) -> int:
    """0 for an organic row; for one that is marked synthetic its generation, 1 where none is given."""
    mark = row.fields.get(settings.synthetic) if settings.synthetic else None
    if not (mark is True or (isinstance(mark, str) and mark.strip().lower() == "true")):
        return 0
    given = row.fields.get("generation")
    if given is None or given == "":
        return 1
    try:
        generation = int(given)
    except (TypeError, ValueError):
        generation = 0
    if generation < 1:
        raise RecordError(
            f"{given!r} is no generation of a synthetic row", path=path, line=row.line, field="generation",
            hint="a record made from generation g has g + 1, and organic ones have 0",
        )  # fmt: skip
    return generation


def _messages(value: Any, field: str, line: int, path: str) -> tuple[Message, ...]:
    """Chat messages out of a list of role and content, or the JSON of one."""
    if value is None or value == "":
        return ()
    hint = 'messages look like [{"role": "user", "content": "…"}]'
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"not JSON: {error}", path=path, line=line, field=field, hint=hint) from error
    turns = value if isinstance(value, list) else [value]
    messages = [_message(turn) for turn in turns]
    if None in messages:
        place = messages.index(None) + 1
        raise RecordError(f"message {place} has no role and text", path=path, line=line, field=field, hint=hint)
    return tuple(message for message in messages if message is not None)


def _message(turn: Any) -> Message | None:
    """One turn; content may be null, as it is beside tool calls. None when it is no message."""
    if not isinstance(turn, Mapping) or not isinstance(turn.get("role"), str):
        return None
    content = turn.get("content") or ""
    return Message(turn["role"], cleaned(content)) if isinstance(content, str) else None


def _without_copies(read: Sequence[_Read], dropped: list[Dropped]) -> list[_Read]:
    """Each text once: none of an ambiguous one; of duplicates an organic one, the smallest id first, then line."""
    same: dict[str, list[_Read]] = defaultdict(list)
    for one in read:
        same[normal_form(one.record.text)].append(one)
    kept = []
    for copies in same.values():
        first, *others = sorted(copies, key=lambda one: (one.record.generation > 0, one.record.id, one.line))
        ambiguous = len({one.label for one in copies}) > 1
        if not ambiguous:
            kept.append(first)
        _drop(copies if ambiguous else others, AMBIGUOUS if ambiguous else DUPLICATE, dropped)
    return kept


def _without_rare(read: Sequence[_Read], least: int, dropped: list[Dropped]) -> list[_Read]:
    counts = Counter(one.label for one in read if one.record.origin is Origin.ORGANIC)
    _drop([one for one in read if counts[one.label] < least], RARE, dropped)
    return [one for one in read if counts[one.label] >= least]


def _drop(rows: Iterable[_Read], reason: str, dropped: list[Dropped]) -> None:
    dropped.extend(Dropped(line=one.line, reason=reason, text=one.record.text) for one in rows)


def _require_labels(read: Sequence[_Read], dropped: Sequence[Dropped], path: str) -> None:
    labels = {one.label for one in read}
    if len(labels) < 2:
        reasons = Counter(drop.reason for drop in dropped)
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "none"
        message = f"{path}: {len(read)} records with {len(labels)} labels are left; dropped rows: {told}"
        raise InputError(message, hint="at least two labels are needed; check ingest.text and ingest.label")


def _grouped(records: Sequence[Record], similarity: float) -> list[Record]:
    """The records by id, each with its group of near-copies, named after the group's first id."""
    ordered = sorted(records, key=lambda record: record.id)
    names: dict[int, str] = {}
    numbers = groups([record.text for record in ordered], similarity)
    return [
        replace(record, group=names.setdefault(number, content_id("group", record.id)))
        for record, number in zip(ordered, numbers, strict=True)
    ]

"""What a ledger adds up to: by stage, by slice, by fate, by model and day, by basis and by outcome, to the last digit.

Every attempt counts, whatever became of it; the cost of an accepted record is a ratio of sums over all attempts.
A block is grouped once by all names together, and its groups are then added up: memory grows with the names and the
accepted records, not with the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, Inexact, localcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proofset.costing.columns import MONEY, TOKENS
from proofset.costing.foreign import BLOCK_ROWS, blocks
from proofset.costing.ledger import ACCEPTED, EXACT_DIGITS, GIGABYTE, NO_SLICE, NOT_A_CANDIDATE
from proofset.errors import InputError
from proofset.nouns.result import UsageBasis

if TYPE_CHECKING:
    import pyarrow as pa

NOT_TOLD = "not told"
"""Name of what a ledger does not name: a stage, a model, a day, or the fate of a record."""
TERABYTE, TEBIBYTE = 10**12, 2**40
"""Bytes in the units of ``usd_per_tb`` and ``usd_per_tib``."""
_NAMES = ("stage", "slice", "fate", "model", "day", "basis", "outcome")
_COUNTED = ("calls", "unpriced", *TOKENS, "core_us")
_NEEDED = (*_NAMES[:4], "at", "basis", "outcome", "run", "record", "bytes", *TOKENS, "core_seconds", *MONEY)
_COMPACTED_AT = 1_000_000
"""Accepted rows that are kept before those of the same record are put together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What the attempts of one name add up to."""

    name: str
    day: str = ""
    """UTC, such as "2026-11-25"; only in sums by model and day."""
    usd: Decimal
    """USD of the attempts that have a price; the others add nothing to it."""
    calls: int
    unpriced: int
    """Calls without a known price."""
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    core_seconds: float
    """Each attempt's rounded to a microsecond, so that the sum is the same in any order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A ledger's statements. Each of the ``by_`` lists has the dearest first and adds up to ``total``, exactly."""

    rows: int
    """Rows of the ledger: attempts and replays."""
    total: Sum
    """All attempts."""
    replays: int
    """Replies out of the store: no attempts, at no cost, and in none of the sums."""
    avoided_usd: Decimal
    """What the replays would have cost anew, as far as it is known."""
    accepted: int
    """Accepted records: different (run, record) of accepted rows, and accepted rows that name no record."""
    accepted_bytes: int
    """Bytes of accepted text; of the rows of one record the largest counts, and no other."""
    by_stage: tuple[Sum, ...]
    by_slice: tuple[Sum, ...]
    by_fate: tuple[Sum, ...]
    by_model_day: tuple[Sum, ...]
    by_basis: tuple[Sum, ...]
    by_outcome: tuple[Sum, ...]

    @property
    def complete(self) -> bool:
        """Whether every call has a price; if not, every amount is "at least"."""
        return not self.total.unpriced

    @property
    def usd_per_accepted(self) -> Decimal | None:
        """USD per accepted record; None when nothing was accepted."""
        return self.total.usd / self.accepted if self.accepted else None

    @property
    def usd_per_gb(self) -> Decimal | None:
        """USD per 10**9 bytes of accepted text; None when there is none."""
        return self._per(GIGABYTE)

    @property
    def usd_per_tb(self) -> Decimal | None:
        """USD per 10**12 bytes of accepted text: this ledger's ratio, not a projection."""
        return self._per(TERABYTE)

    @property
    def usd_per_tib(self) -> Decimal | None:
        """USD per 2**40 bytes of accepted text."""
        return self._per(TEBIBYTE)

    @property
    def wasted_share(self) -> float | None:
        """Of the money spent on records whose fate is told, the share in [0, 1] that went into those nobody kept.

        None when no such money was spent.
        """
        told = {line.name: line.usd for line in self.by_fate if line.name not in {NOT_A_CANDIDATE, NOT_TOLD}}
        spent = sum(told.values(), Decimal(0))
        return max(0.0, float(1 - told.get(ACCEPTED, Decimal(0)) / spent)) if spent > 0 else None

    def _per(self, unit: int) -> Decimal | None:
        return self.total.usd * unit / self.accepted_bytes if self.accepted_bytes else None


def tally(table: pa.Table) -> Tally:
    """The tally of a table as ``read_ledger`` and ``as_table`` give it. Raises InputError for one of other columns."""
    return _fold(table.slice(at, BLOCK_ROWS) for at in range(0, len(table), BLOCK_ROWS))


def tally_file(
    path: Path, *, columns: Mapping[str, str] = {}, rate: Decimal | None = None, rows: int = BLOCK_ROWS
) -> Tally:
    """The tally of a ledger file, ``rows`` rows at a time. Arguments and errors are those of ``read_ledger``."""
    return _fold(blocks(path, columns=columns, rate=rate, rows=rows, only=_NEEDED))


def _fold(parts: Iterable[pa.Table]) -> Tally:
    """Add up blocks in exact decimals; a sum that did not fit would raise instead of being rounded."""
    sums = _Sums()
    for part in parts:
        with localcontext(prec=EXACT_DIGITS) as context:
            context.traps[Inexact] = True
            sums.add(part)
    return sums.told()


@dataclass(slots=True)
class _Sums:
    """What has been added up so far."""

    rows: int = 0
    replays: int = 0
    avoided: Decimal = Decimal(0)
    nameless: int = 0
    nameless_bytes: int = 0
    groups: dict[tuple[str, ...], dict[tuple[str, ...], list[Any]]] = field(default_factory=dict)
    """Which names, to their values, to the amount and the counts."""
    kept: list[Any] = field(default_factory=list)
    """Tables of accepted (run, record) and their bytes."""
    pending: int = 0

    def add(self, table: pa.Table) -> None:
        """Take in one block."""
        import pyarrow.compute as pc

        if missing := sorted(set(_NEEDED) - set(table.column_names)):
            raise InputError(f"the table lacks {', '.join(missing)}", hint="read it with read_ledger or as_table")
        self.rows += len(table)
        replayed = pc.equal(table["basis"], UsageBasis.REPLAY.value)
        if pc.any(replayed).as_py():
            self.replays += pc.sum(replayed).as_py()
            self.avoided += pc.sum(table["avoided_usd"].filter(replayed)).as_py() or Decimal(0)
            table = table.filter(pc.invert(replayed))
        if not len(table):
            return
        self._keep(table)
        whole = _grouped(_named(table), _NAMES)
        for names in _STATEMENTS.values():
            self._merge(names, whole)

    def _merge(self, names: tuple[str, ...], whole: pa.Table) -> None:
        """Add a block's groups to one statement."""
        found = self.groups.setdefault(names, {})
        part = _grouped(whole, names).to_pydict()
        keys: Iterator[tuple[str, ...]] = zip(*(part[name] for name in names), strict=True)
        for at, key in enumerate(keys if names else [()]):
            new = [part[name][at] for name in ("usd", *_COUNTED)]
            new[0] = new[0] or Decimal(0)
            old = found.get(key)
            found[key] = new if old is None else [one + other for one, other in zip(old, new, strict=True)]

    def _keep(self, table: pa.Table) -> None:
        """Remember the accepted records of a block."""
        import pyarrow.compute as pc

        kept = table.select(["run", "record", "bytes"]).filter(pc.equal(table["fate"], ACCEPTED))
        nameless = pc.equal(kept["record"], "")
        self.nameless += pc.sum(nameless).as_py() or 0
        self.nameless_bytes += pc.sum(kept["bytes"].filter(nameless)).as_py() or 0
        kept = _distinct([kept.filter(pc.invert(nameless))])
        self.kept.append(kept)
        self.pending += len(kept)
        if self.pending > _COMPACTED_AT:
            self.kept, self.pending = [_distinct(self.kept)], 0

    def told(self) -> Tally:
        """The statements."""
        import pyarrow.compute as pc

        kept = _distinct(self.kept) if self.kept else None
        lists = {kind: self._lines(names) for kind, names in _STATEMENTS.items()}
        total = next(iter(lists.pop("total")), None) or _line((), [Decimal(0), *(0 for _ in _COUNTED)])
        return Tally(
            rows=self.rows,
            total=total,
            replays=self.replays,
            avoided_usd=self.avoided,
            accepted=self.nameless + (len(kept) if kept is not None else 0),
            accepted_bytes=self.nameless_bytes + (pc.sum(kept["bytes"]).as_py() or 0 if kept is not None else 0),
            **lists,
        )

    def _lines(self, names: tuple[str, ...]) -> tuple[Sum, ...]:
        lines = [_line(key, values) for key, values in self.groups.get(names, {}).items()]
        return tuple(sorted(lines, key=lambda line: (-line.usd, line.name, line.day)))


_STATEMENTS: dict[str, tuple[str, ...]] = {
    "total": (),
    "by_stage": ("stage",),
    "by_slice": ("slice",),
    "by_fate": ("fate",),
    "by_model_day": ("model", "day"),
    "by_basis": ("basis",),
    "by_outcome": ("outcome",),
}


def _line(key: tuple[str, ...], values: list[Any]) -> Sum:
    """One line out of its names, amount and counts."""
    name, day = (*key, "", "")[:2]
    counts = dict(zip(_COUNTED, values[1:], strict=True))
    core_us = counts.pop("core_us")
    return Sum(name=name, day=day, usd=values[0], core_seconds=core_us / 1e6, **counts)


def _named(table: pa.Table) -> pa.Table:
    """Rows with a value for every name, and with what is counted as whole numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def named(name: str, blank: Any) -> Any:
        return pc.if_else(pc.equal(table[name], ""), blank, table[name])

    fateless = pc.if_else(pc.equal(table["record"], ""), NOT_A_CANDIDATE, NOT_TOLD)
    day = pc.utf8_slice_codeunits(table["at"], 0, 10)
    made = {name: named(name, NOT_TOLD) for name in ("stage", "model", "basis", "outcome")}
    made |= {"slice": named("slice", NO_SLICE), "fate": named("fate", fateless)}
    made |= {"day": pc.if_else(pc.equal(day, ""), NOT_TOLD, day), "usd": table["usd"]}
    made |= {name: table[name] for name in TOKENS}
    made["calls"] = pa.repeat(1, len(table))
    made["unpriced"] = table["usd"].is_null().cast(pa.int64())
    made["core_us"] = pc.round(pc.multiply(table["core_seconds"], 1e6)).cast(pa.int64())
    return pa.table(made)


def _grouped(table: pa.Table, names: Collection[str]) -> pa.Table:
    """Sums of the amount and of what is counted, by the names."""
    summed = ("usd", *_COUNTED)
    found = table.group_by(list(names)).aggregate([(name, "sum") for name in summed])
    return found.rename_columns([name.removesuffix("_sum") for name in found.column_names])


def _distinct(parts: list[Any]) -> pa.Table:
    """One row for each (run, record), with the largest bytes."""
    import pyarrow as pa

    found = pa.concat_tables(parts).group_by(["run", "record"]).aggregate([("bytes", "max")])
    return found.rename_columns([name.removesuffix("_max") for name in found.column_names])

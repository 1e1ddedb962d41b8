"""What a run cost, three ways: a fold of its log into a statement by stage, by slice and by fate.

Every attempt counts, whatever became of it. The cost of an accepted record is a ratio of sums over all attempts, never
a mean over the accepted ones: that would leave out what the refused ones cost.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, Inexact, localcontext

from proofset.errors import LogCorrupt
from proofset.nouns.event import BriefClosed, Event, Proposed, Spent, Started
from proofset.nouns.result import CostLine, CostStatement, Usage, UsageBasis

ACCEPTED = "accepted"
"""Fate of money spent on briefs whose candidate was kept."""
IN_FLIGHT = "in flight or abandoned"
"""Fate of money spent on briefs that were never closed."""
SUPERSEDED = "superseded"
"""Fate of money spent on briefs of an earlier attempt at the verb, with other settings or inputs."""
NOT_A_CANDIDATE = "not for one candidate"
"""Fate of money spent on no brief: audit, calibration, measuring, training."""
REFUSED = "refused: "
"""Start of the fate of money spent on briefs without a winner; the reason code follows."""
NO_SLICE = "not for one slice"
"""Slice of money that no single slice caused."""

SYNTHESIZE = "synthesize"
"""The verb whose ``Started`` with a new key supersedes what came before."""
EXACT_DIGITS = 400
"""Significant digits in which sums are kept; a sum that did not fit would raise instead of being rounded."""
GIGABYTE = 10**9
"""Bytes in the unit of ``usd_per_gb``."""


@dataclass(slots=True)
class _Fold:
    """What has been read of the log so far."""

    rows: list[Usage] = field(default_factory=list)
    replays: int = 0
    texts: dict[str, str] = field(default_factory=dict)
    """Candidate id to text."""
    closed: dict[str, BriefClosed] = field(default_factory=dict)
    """Brief id to its closing, since the verb last began with a new key."""
    superseded: set[str] = field(default_factory=set)
    key: str = ""

    def read(self, event: Event) -> None:
        """Take in one event; those about neither money nor fates pass by."""
        match event:
            case Spent(usage=usage) if usage.basis is UsageBasis.REPLAY:
                self.replays += 1  # it was paid for when the reply was first made
            case Spent(usage=usage):
                self.rows.append(usage)
                self.superseded.discard(usage.brief_id)
            case Proposed(candidate=candidate):
                self.texts[candidate.id] = candidate.text
            case BriefClosed():
                self.closed[event.brief_id] = event
            case Started(verb=verb, key=key) if verb == SYNTHESIZE and key != self.key:
                self.key = key
                self.superseded |= {row.brief_id for row in self.rows} | set(self.closed)
                self.closed = {}
            case _:
                pass

    def fate(self, usage: Usage) -> str:
        """What became of the brief this was spent on. A brief asked again has the fate of its last closing."""
        if not usage.brief_id:
            return NOT_A_CANDIDATE
        if (closing := self.closed.get(usage.brief_id)) is not None:
            return ACCEPTED if closing.winner is not None else REFUSED + (closing.reason or "no reason given")
        return SUPERSEDED if usage.brief_id in self.superseded else IN_FLIGHT

    def accepted_texts(self) -> list[str]:
        """Texts of the winners."""
        winners = [closing.winner for closing in self.closed.values() if closing.winner is not None]
        if missing := [winner for winner in winners if winner not in self.texts]:
            raise LogCorrupt(
                f"a brief was won by candidate {missing[0]!r}, which the log never proposed",
                hint="restore events.jsonl from a copy, or run the verb again in a new folder",
            )
        return [self.texts[winner] for winner in winners]


def statement(events: Iterable[Event], *, prices: str = "") -> CostStatement:
    """The statement of a log; one pass, in time and memory proportional to its length.

    ``prices`` says in words which prices were used and of what date. Sums by stage, by slice and by fate are equal to
    the total, to the last digit. A call without a known price is counted and adds nothing, so every amount is then a
    lower bound, and ``basis`` says so. Replays of stored replies are no attempts. Accepted bytes are UTF-8 bytes, after
    NFC, of accepted text. ``wasted_share`` is taken of the money spent on briefs.
    """
    fold = _Fold()
    for event in events:
        fold.read(event)
    texts = fold.accepted_texts()
    n_bytes = sum(len(unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")) for text in texts)
    with localcontext(prec=EXACT_DIGITS) as context:
        context.traps[Inexact] = True
        total = sum((row.usd or Decimal(0) for row in fold.rows), Decimal(0))
        by_fate = _lines(total, ((fold.fate(row), row) for row in fold.rows))
        by_stage = _lines(total, ((row.stage, row) for row in fold.rows))
        by_slice = _lines(total, ((row.slice or NO_SLICE, row) for row in fold.rows))
    unpriced = sum(row.usd is None for row in fold.rows)
    return CostStatement(
        total_usd=total,
        accepted=len(texts),
        usd_per_accepted=total / len(texts) if texts else None,
        usd_per_gb=total * GIGABYTE / n_bytes if n_bytes else None,
        accepted_bytes=n_bytes,
        wasted_share=_wasted({line.name: line.usd for line in by_fate}),
        unpriced_calls=unpriced,
        input_tokens=sum(row.input_tokens for row in fold.rows),
        cached_tokens=sum(row.cached_tokens for row in fold.rows),
        output_tokens=sum(row.output_tokens for row in fold.rows),
        core_seconds=math.fsum(row.core_seconds for row in fold.rows),
        by_stage=by_stage,
        by_slice=by_slice,
        by_fate=by_fate,
        basis=_basis(fold, prices),
    )


def _lines(total: Decimal, named: Iterable[tuple[str, Usage]]) -> tuple[CostLine, ...]:
    """One line per name, dearest first; their amounts add up to ``total``."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    calls: Counter[str] = Counter()
    for name, row in named:
        sums[name] += row.usd or Decimal(0)
        calls[name] += 1
    return tuple(
        CostLine(name=name, usd=usd, calls=calls[name], share=_share(usd, total))
        for name, usd in sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    )


def _share(part: Decimal, total: Decimal) -> float:
    """``part`` of ``total`` in [0, 1]; 0 of nothing is 0."""
    return float(part) / float(total) if total else 0.0


def _wasted(fates: Mapping[str, Decimal]) -> float | None:
    """Share of the money spent on briefs that went into what nobody kept; None when no money was spent on briefs."""
    spent = sum(float(usd) for fate, usd in fates.items() if fate != NOT_A_CANDIDATE)
    return max(0.0, 1 - float(fates.get(ACCEPTED, Decimal(0))) / spent) if spent else None


def _basis(fold: _Fold, prices: str) -> str:
    """Where the amounts come from, and what is missing from them."""
    sums: defaultdict[UsageBasis, float] = defaultdict(float)
    for row in fold.rows:
        if row.usd is not None:
            sums[row.basis] += float(row.usd)
    total = math.fsum(sums.values())
    parts = [f"{usd / total:.0%} {basis.value}" for basis, usd in sorted(sums.items()) if total]
    unpriced = sum(row.usd is None for row in fold.rows)
    if unpriced:
        parts.append(f"{unpriced} calls unpriced and not in the sums: every amount is a lower bound")
    if fold.replays:
        parts.append(f"{fold.replays} replies replayed from the store at no cost")
    return "; ".join([*parts, *([prices] if prices else [])]) or "nothing was spent"

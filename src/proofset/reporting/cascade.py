"""What became of a run's attempts, in records and in dollars, and what one attempt costs on average.

The losses are the fates of ``cogs_of_run``, so that the same loss costs the same in both.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal, localcontext

from proofset.costing.cogs import Fate, Nature
from proofset.costing.ledger import EXACT_DIGITS
from proofset.nouns.result import Usage, UsageBasis
from proofset.reporting.cogs_of_run import ELSEWHERE, NATURES, Books

LOSSES = (
    ("parsed", "without a usable reply", Fate.PARSE_FAILED),
    ("passed", "refused by a judge", Fate.CRITIC_REJECTED),
    ("unique", "copies", Fate.DUPLICATE),
    ("accepted", "left over", Fate.CANCELLED),
)
"""Stage of the cascade, what is lost there in words, and the fate of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stage: what came through, and what was lost on the way there."""

    name: str
    why: str
    """What the loss is; empty for the attempts, which lose nothing."""
    records: int
    usd: Decimal
    """Spent on those that came through, in all stages."""
    lost: int
    lost_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Money of the closed briefs by what it bought, replies out of the store at what they cost when paid for."""

    attempts: int
    accepted: int
    generation_usd: Decimal
    judging_usd: Decimal
    other_usd: Decimal

    @property
    def usd_per_accepted(self) -> Decimal:
        """Of all attempts over the accepted records."""
        return (self.generation_usd + self.judging_usd + self.other_usd) / self.accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """Attempts to accepted records. Amounts are what this run paid, a lower bound where ``unpriced`` is not 0."""

    steps: tuple[Step, ...]
    """The attempts first."""
    unpriced: int
    """Calls for these attempts whose price nobody knows."""
    replays: int
    """Replies for these attempts that came out of the store, at no cost now."""
    rates: Rates | None
    """None where nothing was accepted, or a call has no price."""


def cascade_of(books: Books) -> Cascade | None:
    """The cascade of the briefs that were closed; None before the first."""
    if not books.closed:
        return None
    count = Counter(books.fate(brief) for brief in books.closed)
    usages = [usage for usage in books.usages if usage.brief_id in books.closed]
    paid: dict[Fate, Decimal] = {}
    unpriced = replays = 0
    with localcontext(prec=EXACT_DIGITS):
        for usage in usages:
            if usage.basis is UsageBasis.REPLAY:
                replays += 1
                continue
            unpriced += usage.usd is None
            fate = books.fate(usage.brief_id)
            paid[fate] = paid.get(fate, Decimal(0)) + (usage.usd or Decimal(0))
        left, usd = len(books.closed), sum(paid.values(), Decimal(0))
        steps = [Step(name="attempts", why="", records=left, usd=usd, lost=0, lost_usd=Decimal(0))]
        for name, why, fate in LOSSES:
            lost, lost_usd = count[fate], paid.get(fate, Decimal(0))
            left, usd = left - lost, usd - lost_usd
            steps.append(Step(name=name, why=why, records=left, usd=usd, lost=lost, lost_usd=lost_usd))
    rates = _rates(usages, len(books.closed), left)
    return Cascade(steps=tuple(steps), unpriced=unpriced, replays=replays, rates=rates)


def _rates(usages: list[Usage], attempts: int, accepted: int) -> Rates | None:
    bought = {Nature.GENERATION: Decimal(0), Nature.JUDGING: Decimal(0), ELSEWHERE: Decimal(0)}
    with localcontext(prec=EXACT_DIGITS):
        for usage in usages:
            usd = usage.avoided_usd if usage.basis is UsageBasis.REPLAY else usage.usd
            if usd is None:
                return None
            nature = NATURES.get(usage.stage, ELSEWHERE)
            bought[nature if nature in bought else ELSEWHERE] += usd
    if not accepted or not any(bought.values()):
        return None
    return Rates(
        attempts=attempts, accepted=accepted, generation_usd=bought[Nature.GENERATION],
        judging_usd=bought[Nature.JUDGING], other_usd=bought[ELSEWHERE],
    )  # fmt: skip

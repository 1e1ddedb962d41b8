"""The cost of what was sold, twice: by nature, as a profit and loss statement has it, and by fate, as waste is found.

The input is small lines (stage, outcome, fate, usd, calls), so that a run's log and anybody's ledger can feed it. Sums
by nature, sums by fate and the sum of the lines are equal to the last digit. A line without a known price adds nothing;
it is counted, every amount is then a lower bound, and no margin is shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, Inexact, localcontext
from enum import StrEnum

from proofset.costing import ledger
from proofset.costing.prices import PRECISION, Tariff
from proofset.errors import InputError
from proofset.nouns.result import Usage


class Nature(StrEnum):
    """What the money bought: the ten rows of the statement."""

    GENERATION = "LLM generation"
    JUDGING = "LLM critique and judging"
    EMBEDDINGS = "embeddings"
    VECTOR_DB = "vector database queries"
    COMPUTE = "GPU and CPU compute"
    PROCESSING = "retrieval and processing"
    OBSERVABILITY = "observability"
    RETRIES = "retries, failed parses and fallback premium"
    HUMAN = "human review"
    STORAGE = "storage and egress"


class Fate(StrEnum):
    """What became of the candidate that the money was spent on."""

    USEFUL = "useful"
    PARSE_FAILED = "parse failed"
    CRITIC_REJECTED = "critic rejected"
    DUPLICATE = "duplicate"
    HUMAN_REJECTED = "human rejected"
    CANCELLED = "cancelled"
    NO_CANDIDATE = "not for one candidate"
    """Audit, measuring, training: neither useful nor wasted."""


NATURES: Mapping[str, Nature] = {
    "generate": Nature.GENERATION,
    "critic": Nature.JUDGING,
    "judge": Nature.JUDGING,
    "embed": Nature.EMBEDDINGS,
    "vector_db": Nature.VECTOR_DB,
    "compute": Nature.COMPUTE,
    "measure": Nature.COMPUTE,
    "train": Nature.COMPUTE,
    "audit": Nature.PROCESSING,
    "ingest": Nature.PROCESSING,
    "ground": Nature.PROCESSING,
    "retrieve": Nature.PROCESSING,
    "report": Nature.PROCESSING,
    "observability": Nature.OBSERVABILITY,
    "human": Nature.HUMAN,
    "storage": Nature.STORAGE,
}
"""Stage to the row it is booked in, where its outcome was "ok"."""
FALLBACK = "fallback"
"""Outcome of a call that another, usually dearer, model answered."""
CALLS_TO_MODELS = frozenset({Nature.GENERATION, Nature.JUDGING, Nature.EMBEDDINGS})
"""Rows whose failed calls are booked in a row of their own."""
_FATES = {
    "truncated": Fate.PARSE_FAILED,
    "no reply": Fate.PARSE_FAILED,
    "duplicate": Fate.DUPLICATE,
    "copy of organic": Fate.DUPLICATE,
    "copies an anchor": Fate.DUPLICATE,
    "surplus": Fate.CANCELLED,
}
"""Reason code of a refusal to its fate; a judge's other reasons are rejections by the critic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A call, or a sum of calls that share all this."""

    stage: str
    usd: Decimal | None
    """None where no price is known."""
    fate: Fate = Fate.NO_CANDIDATE
    outcome: str = "ok"
    """"ok", "fallback", or anything else for a repeated or failed call."""
    calls: int = 1
    premium_usd: Decimal | None = None
    """Of a fallback: what it cost above the first model, 0 to ``usd``; None books all of it as premium."""


@dataclass(frozen=True, slots=True)
class NatureLine:
    """One of the ten rows."""

    nature: Nature
    usd: Decimal
    calls: int


@dataclass(frozen=True, slots=True)
class FateLine:
    """What was spent on candidates of one fate, in USD: by machines, by people, and together."""

    fate: Fate
    machine_usd: Decimal
    human_usd: Decimal

    @property
    def usd(self) -> Decimal:
        """Of both."""
        with localcontext(prec=ledger.EXACT_DIGITS):
            return self.machine_usd + self.human_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class CogsStatement:
    """AI cost of goods sold; every amount is USD, and a lower bound where ``unpriced_calls`` is not 0."""

    by_nature: tuple[NatureLine, ...]
    """All ten rows, also the empty ones."""
    by_fate: tuple[FateLine, ...]
    cogs_usd: Decimal
    machine_usd: Decimal
    """Without human review."""
    waste_usd: Decimal
    """Machine money on candidates nobody kept: the cost of poor quality."""
    waste_share: float | None
    """Of the machine money on candidates; None when there was none."""
    unpriced_calls: int
    revenue_usd: Decimal | None
    gross_profit_usd: Decimal | None
    """None without a revenue, or while a call has no price."""
    gross_margin: float | None
    """Of the revenue, at most 1; None like the profit, and for no revenue at all."""
    setup_usd: Decimal | None
    """This period's part of the set-up, below the line."""
    profit_after_setup_usd: Decimal | None


def amortised(setup_usd: Decimal, *, produced: int, lifetime: int) -> Decimal:
    """The part of a set-up that this period's ``produced`` records bear, when it serves ``lifetime`` records in all.

    Raises InputError unless 0 ≤ produced ≤ lifetime, lifetime is above 0, and the amount is 0 or larger.
    """
    if not setup_usd.is_finite() or setup_usd < 0 or lifetime < 1 or not 0 <= produced <= lifetime:
        raise InputError(
            f"a set-up of {setup_usd} USD over {produced} of {lifetime} records",
            hint="amounts are 0 or larger, and a period bears at most the whole set-up",
        )
    with localcontext(prec=PRECISION):
        return setup_usd * produced / lifetime


def fate_of(name: str) -> Fate:
    """The fate here of one that ``costing.ledger`` names, such as "accepted" or "refused: duplicate"."""
    if name == ledger.ACCEPTED:
        return Fate.USEFUL
    if name == ledger.NOT_A_CANDIDATE:
        return Fate.NO_CANDIDATE
    if name in (ledger.IN_FLIGHT, ledger.SUPERSEDED):
        return Fate.CANCELLED
    if not name.startswith(ledger.REFUSED):
        raise InputError(f"{name!r} is no fate of the ledger", hint="map fates of another ledger to Fate yourself")
    return _FATES.get(name.removeprefix(ledger.REFUSED), Fate.CRITIC_REJECTED)


def statement(
    lines: Iterable[Line],
    *,
    revenue_usd: Decimal | None = None,
    setup_usd: Decimal | None = None,
    natures: Mapping[str, Nature] = NATURES,
) -> CogsStatement:
    """The statement of some lines; one pass, in time proportional to their number.

    ``natures`` says in which row a stage is booked. Raises InputError for a stage it does not know, for negative or
    infinite amounts and calls, and for a premium that is none.
    """
    for amount in (revenue_usd, setup_usd):
        if amount is not None and not (amount.is_finite() and amount >= 0):
            raise InputError(f"{amount} USD of revenue or set-up", hint="give a finite amount, 0 or larger, or none")
    rows: defaultdict[Nature, Decimal] = defaultdict(Decimal)
    calls: Counter[Nature] = Counter()
    fates: defaultdict[tuple[Fate, bool], Decimal] = defaultdict(Decimal)
    unpriced = 0
    with localcontext(prec=ledger.EXACT_DIGITS) as context:
        context.traps[Inexact] = True
        for line in lines:
            parts = _booked(line, natures)
            calls[parts[0][0]] += line.calls
            unpriced += max(1, line.calls) if line.usd is None else 0
            for nature, usd in parts:
                rows[nature] += usd
                fates[line.fate, nature is Nature.HUMAN] += usd
        by_fate = tuple(FateLine(fate, fates[fate, False], fates[fate, True]) for fate in Fate)
        cogs = sum((rows[nature] for nature in Nature), Decimal(0))
        machine = cogs - rows[Nature.HUMAN]
        waste = sum(
            (row.machine_usd for row in by_fate if row.fate not in (Fate.USEFUL, Fate.NO_CANDIDATE)), Decimal(0)
        )
        gross = None if revenue_usd is None or unpriced else revenue_usd - cogs
        after = None if gross is None or setup_usd is None else gross - setup_usd
    on_candidates = waste + by_fate[0].machine_usd
    return CogsStatement(
        by_nature=tuple(NatureLine(nature, rows[nature], calls[nature]) for nature in Nature),
        by_fate=by_fate,
        cogs_usd=cogs,
        machine_usd=machine,
        waste_usd=waste,
        waste_share=float(waste / on_candidates) if on_candidates else None,
        unpriced_calls=unpriced,
        revenue_usd=revenue_usd,
        gross_profit_usd=gross,
        gross_margin=float(gross / revenue_usd) if gross is not None and revenue_usd else None,
        setup_usd=setup_usd,
        profit_after_setup_usd=after,
    )


def _booked(line: Line, natures: Mapping[str, Nature]) -> tuple[tuple[Nature, Decimal], ...]:
    """The rows a line belongs in, with its amount in each; the row its calls count in comes first."""
    nature = natures.get(line.stage)
    if nature is None:
        raise InputError(f"no row for stage {line.stage!r}", hint="give natures with that stage, or rename the stage")
    usd = Decimal(0) if line.usd is None else line.usd
    if not usd.is_finite() or usd < 0 or line.calls < 0:
        raise InputError(f"{line.calls} calls of {line.stage!r} for {usd} USD", hint="both are 0 or larger")
    premium = line.premium_usd or Decimal(0)
    if not premium.is_finite() or not 0 <= premium <= usd or (premium and line.outcome != FALLBACK):
        raise InputError(
            f"a premium of {line.premium_usd} USD in {usd} USD of outcome {line.outcome!r}",
            hint="only a fallback has one, and it is part of its amount",
        )
    unparsed = nature is Nature.GENERATION and line.fate is Fate.PARSE_FAILED
    if nature not in CALLS_TO_MODELS or (line.outcome == "ok" and not unparsed):
        return ((nature, usd),)
    if line.premium_usd is None or unparsed:
        return ((Nature.RETRIES, usd),)
    return (nature, usd - premium), (Nature.RETRIES, premium)


@dataclass(frozen=True, slots=True)
class Saving:
    """What a lever saves, in USD; the amounts are None where a call has no price with or without it."""

    lever: str
    without_usd: Decimal | None
    with_usd: Decimal | None

    @property
    def saved_usd(self) -> Decimal | None:
        """Negative where the lever costs more than it saves."""
        if self.without_usd is None or self.with_usd is None:
            return None
        with localcontext(prec=ledger.EXACT_DIGITS):
            return self.without_usd - self.with_usd

    @property
    def share(self) -> float | None:
        """Saved, of what it would cost without; None where that is not known, or nothing."""
        saved = self.saved_usd
        return float(saved / self.without_usd) if saved is not None and self.without_usd else None


Pricing = Callable[[Usage], Decimal | None]
"""What one call costs in USD; None where no price is known."""


def saving(lever: str, usages: Iterable[Usage], *, without: Pricing, instead: Pricing) -> Saving:
    """Compare the same calls priced twice: a cache, a batch, a local model or a distilled critic, and none."""
    calls = tuple(usages)
    return Saving(lever, _total(map(without, calls)), _total(map(instead, calls)))


def without_cache(prices: Tariff) -> Pricing:
    """The price of a call if nothing of its input came out of the provider's cache."""
    return lambda usage: prices.cost(replace(usage, cached_tokens=0))


def without_batch(prices: Tariff) -> Pricing:
    """The price of a call at standard processing."""
    return lambda usage: prices.cost(replace(usage, processing=""))


def _total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    with localcontext(prec=ledger.EXACT_DIGITS):
        for usd in amounts:
            if usd is None:
                return None
            total += usd
        return total

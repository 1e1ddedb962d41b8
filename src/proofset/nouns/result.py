"""Numbers with their uncertainty: measures, usage, and the parts of a proof."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Better(StrEnum):
    """Which way a measure improves."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A named number with its 95 % interval. ``value`` is None when it could not be taken, and ``note`` says why."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    """Observations behind it."""
    unit: str = ""
    better: Better = Better.NEITHER
    note: str = ""


class UsageBasis(StrEnum):
    """Where an amount of money comes from; no amount is shown without it."""

    REPORTED = "reported"
    CATALOGUE = "catalogue"
    OVERRIDE = "override"
    IMPUTED = "imputed"
    ESTIMATED = "estimated"
    REPLAY = "replay"
    UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one attempt consumed, counted in one way whatever the provider's habit.

    Input *includes* what was read from and written to a cache; output *includes* reasoning.
    """

    model: str
    stage: str
    slice: str = ""
    brief_id: str = ""
    input_tokens: int = 0
    cached_tokens: int = 0
    """Input read from the provider's cache."""
    cache_write_tokens: int = 0
    """Input that the provider wrote to its cache."""
    output_tokens: int = 0
    reasoning_tokens: int = 0
    """Output that was thought and not said."""
    core_seconds: float = 0.0
    """Processor seconds this attempt took on this machine; 0 for a remote model."""
    seconds: float = 0.0
    """From sending the request to having the reply."""
    outcome: str = "ok"
    """What became of the attempt: "ok", or what went wrong in two or three words."""
    processing: str = ""
    """"batch" for a call at the price of batches; empty for the standard one."""
    usd: Decimal | None = None
    """None means that no price is known, never that it was free."""
    basis: UsageBasis = UsageBasis.UNPRICED
    avoided_usd: Decimal | None = None
    """What a reply out of the store would have cost anew; None for a reply that was paid for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """Where a model stands while it works: what is in flight, what was done, what it cost."""

    model: str
    in_flight: int
    limit: int
    """Calls that may be in flight now."""
    waiting: int
    paused_s: float
    """Seconds for which the server is left alone; 0 when it is not."""
    calls: int
    replays: int
    """Replies that came out of the store."""
    tokens: int
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where all models of a run stand, and what they may still use up."""

    meters: tuple[Meter, ...]
    spent_usd: Decimal
    reserved_usd: Decimal
    """Set aside for what is in flight and for judging it."""
    cap_usd: Decimal | None
    wanted: int = 0
    """Accepted records asked for, over all slices."""


class Claim(StrEnum):
    """What a comparison of two arms allows to be said."""

    HELPS = "helps"
    HARMS = "harms"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A training condition: what joins the organic records, and how many trainings it gets."""

    name: str
    title: str
    added: str = ""
    """Which records join the organic ones: "", "definitions", "unjudged" or "judged"."""
    seeds: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """The paired difference between an arm and the baseline on the held-out set."""

    arm: str
    baseline: str
    slice: str
    metric: str
    baseline_score: float | None
    score: float | None
    difference: Measure
    claim: Claim
    minimum_detectable: float | None
    """The smallest true difference that this comparison would show with 80 % power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmClaim:
    """What may be said of a whole arm: whether it helps the edges without harming the rest."""

    arm: str
    title: str
    claim: Claim
    words: str
    """The claim in one sentence with its numbers; for "not shown" also which half is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One line of a statement: an amount and how much of it rests on which basis."""

    name: str
    usd: Decimal
    calls: int
    share: float
    """Of the statement's total, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostStatement:
    """What a run cost, three ways. Sums of stages, of slices and of fates are equal, to the last digit."""

    total_usd: Decimal
    accepted: int
    usd_per_accepted: Decimal | None
    """None when nothing was accepted."""
    usd_per_gb: Decimal | None
    """Per 10**9 bytes of accepted UTF-8 text: the pilot's ratio of sums, not a projection."""
    accepted_bytes: int
    wasted_share: float | None
    """Share of the synthesis money that went into candidates nobody kept."""
    unpriced_calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    core_seconds: float
    by_stage: tuple[CostLine, ...]
    by_slice: tuple[CostLine, ...]
    by_fate: tuple[CostLine, ...]
    basis: str
    """In words: which prices were used, from where, and of what date."""
    seal: str = ""
    """The last seal on the log's lines of money when this was stated: they can be verified against it."""

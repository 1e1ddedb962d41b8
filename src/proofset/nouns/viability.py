"""Viability: what the Synthetic Viability Quotient says of a corpus, and the collapse of corpora over generations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proofset.nouns.result import Measure


class Crossing(StrEnum):
    """Whether synthetic records are shown to be as good as organic ones: a claim of non-inferiority, or none."""

    CROSSED = "crossed"
    NOT_CROSSED = "not crossed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One respect in which synthetic records are held against organic ones; 1 is what fresh organic records get."""

    key: str
    """D, M, F, K, R, A1, A2, U, or Y for the companion."""
    measure: Measure
    """Value with its own 95 % interval; None where it could not be taken."""
    error: float | None
    """Standard error."""
    words: str
    """What this value means, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viability:
    """The Synthetic Viability Quotient of a corpus or a slice: its weakest component, with interval and verdict."""

    protocol: str
    """Name with every constant in it; numbers under different names are not comparable."""
    encoder: str
    """The encoder that the verdict rests on."""
    quotient: Measure
    verdict: Crossing
    threshold: float
    """1 − δ: the interval must lie above it to be crossed."""
    weakest: str
    """Key of the component that the quotient is taken from; empty where none could be taken."""
    components: tuple[Component, ...]
    companion: Component | None
    """Marginal training lift Y, where there is text."""
    sizes: tuple[int, int, int, int]
    """Records used: train, reference, control, synthetic."""
    needed: int | None
    """Synthetic records with which an undecided verdict would fall; None where it has fallen or cannot."""
    saturation: float | None
    """Most organic records that any amount of this synthetic text can be worth (n_sat); None: no end is seen."""
    equivalent: float | None
    """Organic records that these synthetic ones are worth (OER)."""
    slice: str = ""
    """The slice it was taken on; empty for all."""
    notes: tuple[str, ...] = ()
    """What a reader must know: what was left out, and why the verdict is no stronger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One generation against organic records of the same number: 1 is no loss."""

    number: int
    """0 for organic; a corpus made from generation g is generation g + 1."""
    n: int
    retention: tuple[float, ...]
    """Share of the organic variance that is left in each direction, the strongest first."""
    variance: Measure
    """A: retained variance, gains not counted, weighted by the organic variance of each direction."""
    rank: Measure
    """ER: effective rank ratio."""
    rare: Measure
    """TS: rare modes that are alive, against organic samples of the same size."""
    vendi: Measure
    """V2: ratio of unbiased Vendi scores of order 2."""
    loss: Measure
    """DMC: 1 − min(A, ER, TS), within 0 and 1."""
    leads: str
    """Which of variance, rank and rare modes has lost most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decay:
    """How fast one of the retained shares falls from generation to generation."""

    of: str
    """variance, rank, rare modes, or mean log direction."""
    rate: Measure
    """Mean loss of the logarithm a generation; its interval by t, for levels walk at random."""
    half_life: Measure
    """Generations until half is left; None where no decay is detected."""
    plateau: Measure
    """Where it settles, if a plateau fits better than decay without end; else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A one-sided CUSUM chart of one retained share."""

    of: str
    scores: tuple[float, ...]
    """The chart after each generation."""
    limit: float
    raised: int | None
    """First generation above the limit; None while it is silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collapse:
    """Dimensional Mode Collapse over generations: how much is lost, how fast, why, and what to do."""

    protocol: str
    encoder: str
    generations: tuple[Generation, ...]
    decays: tuple[Decay, ...]
    alarms: tuple[Alarm, ...]
    collapsing: bool
    """Significant and material: an alarm, and a projected loss above what is tolerated."""
    projected: Measure
    """DMC at the planning horizon, as things go."""
    signature: str
    """"sampling", "decoder" or "" where nothing is lost or too little is known: what the loss looks like."""
    signature_p: float | None
    """p-value of equal loss in every direction."""
    tail_records: float | None
    """Organic records that carry as much of the tail as the last generation does (M·s_g)."""
    advice: tuple[str, ...]
    """What to do about it: which knob, how far, by which closed form."""
    notes: tuple[str, ...] = ()

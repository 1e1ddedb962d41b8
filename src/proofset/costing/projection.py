"""What a target would cost, from a pilot: a point near it, a band farther out, and a scenario beyond.

Never linear without saying so. How far the target lies from the pilot stands in every answer, and a target that the
pilot's seed documents cannot yield has no price.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import StrEnum
from functools import cached_property

import numpy as np

from proofset.costing.montecarlo import Assumptions, Draws, simulate
from proofset.costing.paths import Floats
from proofset.costing.pilot import Pilot, rates
from proofset.costing.prices import PRECISION
from proofset.costing.saturation import NotReached, Saturation, Spectrum, saturation, spectrum
from proofset.costing.targets import Target
from proofset.errors import InputError

POINT_TO, BAND_TO = 10, 100
"""Times the pilot up to which a point and a band may be given; what lies beyond is a scenario."""
LEAST_DRAWS = 1000
STANDARD = Assumptions()
"""What is assumed unless something else is said."""
PERCENTILES = (0.05, 0.5, 0.95)


class Reach(StrEnum):
    """How much may be said at a distance from the pilot."""

    POINT = "point"
    BAND = "band"
    SCENARIO = "scenario"


@dataclass(frozen=True, slots=True)
class Driver:
    """One source of the spread of the cost."""

    name: str
    share: float
    """Squared rank correlation with the cost, in [0, 1] (Spearman 1904); the shares need not sum to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a target would cost, as far as a pilot can say. None for an amount is: not reached in those draws."""

    reach: Reach
    extrapolation_factor: Decimal
    """The target over the pilot's yield."""
    linear_usd: Decimal
    """At the pilot's rates, to compare."""
    point_usd: Decimal | None
    """On the falling slope at the pilot's prices and yields; only where a point may be given."""
    p5_usd: Decimal | None
    p50_usd: Decimal | None
    p95_usd: Decimal | None
    within_budget: float | None
    """Share of the draws that the budget pays for; None without a budget."""
    unreached_share: float
    """Share of the draws in which the seed documents were exhausted before."""
    above_chao1: bool
    """Whether more ideas are wanted than the pilot shows to exist at least."""
    drivers: tuple[Driver, ...]
    """The largest first."""
    words: str
    """What kind of answer this is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotReachable:
    """A target that the pilot's seed documents cannot yield: no sum of money, but what it would take."""

    extrapolation_factor: Decimal
    ideas: float
    """Wanted."""
    ceiling: float
    """Ideas that these seed documents are good for."""
    documents: int
    """Seed documents needed at least."""
    variants: int
    """Different ideas that one document is good for."""

    @property
    def words(self) -> str:
        """The answer in one sentence."""
        return f"not reachable with these seeds; needs ≥ {self.documents} documents × {self.variants} variants"


@dataclass(frozen=True)
class Projection:
    """A pilot and what was fitted to it; asked for as many targets as one likes.

    Raises InputError where an attempt has no price, where fewer than 16 candidates passed and for impossible mixes.
    """

    pilot: Pilot
    mix: Mapping[str, float] | None = None
    """Production attempts by slice; None for the pilot's own."""
    assumptions: Assumptions = STANDARD
    draws: int = 4000
    """``LEAST_DRAWS`` or more."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < LEAST_DRAWS:
            raise InputError(f"{self.draws} draws", hint=f"percentiles need at least {LEAST_DRAWS}")

    @cached_property
    def spectrum(self) -> Spectrum:
        """How often the pilot's ideas came."""
        seeds = self.pilot.passed_seeds if self.pilot.seeded else None
        return spectrum(self.pilot.passed_ideas, seeds)

    @cached_property
    def saturation(self) -> Saturation:
        """What they say about those that are left."""
        return saturation(self.spectrum)

    def forecast(self, target: Target, budget_usd: Decimal | None = None) -> Forecast | NotReachable:
        """The cost of a target, and P(cost ≤ budget). The same arguments give the same answer."""
        factor, per, found = target.factor(self.pilot), rates(self.pilot, self.mix), self.saturation
        linear = target.linear_usd(per)
        accepted = int(self.pilot.flags("accepted").sum())
        records = float(target.amount * per.accepted / per.bytes) if target.in_bytes else float(target.amount)
        ideas = records * found.distinct / accepted
        if ideas > found.ceiling:
            return not_reachable(factor, ideas, found)
        units = (target.amount, target.in_bytes)
        drawn = simulate(self.pilot, self.spectrum, units, self.mix, self.assumptions, self.draws, self.seed)
        reach = Reach.POINT if factor <= POINT_TO else Reach.BAND if factor <= BAND_TO else Reach.SCENARIO
        low, middle, high = (_usd(end) for end in np.quantile(drawn.usd_B, PERCENTILES, method="inverted_cdf"))
        return Forecast(
            reach=reach, extrapolation_factor=factor, linear_usd=linear,
            point_usd=self._point(linear, ideas) if reach is Reach.POINT else None,
            p5_usd=low, p50_usd=middle, p95_usd=high,
            within_budget=None if budget_usd is None else float((drawn.usd_B <= float(budget_usd)).mean()),
            unreached_share=float(np.isinf(drawn.usd_B).mean()), above_chao1=ideas > found.chao1,
            drivers=tornado(drawn), words=_words(reach, factor),
        )  # fmt: skip

    def _point(self, linear: Decimal, ideas: float) -> Decimal | None:
        """The linear cost, times how many more candidates the falling slope asks for."""
        found = self.saturation
        if ideas <= found.distinct:
            return linear
        candidates = found.candidates_for(ideas)
        if isinstance(candidates, NotReached):
            return None
        with localcontext(prec=PRECISION):
            return linear * Decimal(repr(candidates / (found.n * ideas / found.distinct)))


def not_reachable(factor: Decimal, ideas: float, found: Saturation) -> NotReachable:
    """The answer where ``ideas`` exceed the finite ceiling of what was ``found``."""
    return NotReachable(
        extrapolation_factor=factor, ideas=ideas, ceiling=found.ceiling,
        documents=math.ceil(ideas * found.seeds / found.ceiling), variants=math.ceil(found.ceiling / found.seeds),
    )  # fmt: skip


def tornado(drawn: Draws) -> tuple[Driver, ...]:
    """What drove the cost, the largest first; what did not vary is left out."""
    from scipy.stats import rankdata

    def ranks(values_B: Floats) -> Floats:
        found: Floats = np.asarray(rankdata(values_B), dtype=np.float64)
        found -= found.mean()
        return found

    cost, drivers = ranks(drawn.usd_B), list[Driver]()
    for name, values in drawn.drivers.items():
        rank = ranks(values)
        if (scale := float(rank @ rank) * float(cost @ cost)) > 0:
            drivers.append(Driver(name, float(rank @ cost) ** 2 / scale))
    return tuple(sorted(drivers, key=lambda driver: -driver.share))


def _usd(value: float) -> Decimal | None:
    return Decimal(repr(float(value))) if math.isfinite(value) else None


def _words(reach: Reach, factor: Decimal) -> str:
    """What may be done with the answer."""
    said = {
        Reach.POINT: "a point forecast with its band",
        Reach.BAND: "a band, not a point",
        Reach.SCENARIO: "scenario, not a forecast",
    }
    return f"{said[reach]}: the target is {float(factor):,.1f} times the pilot"

"""Quotient: the weakest of several respects, with an interval, a verdict, and how many records a verdict would take.

The smallest of several noisy numbers is biased low, and an interval around it is none of the usual ones. Intersection
bounds (Chernozhukov, Lee and Rosen 2013) mend both: the point is the smallest *upper quantile at a level* that leaves
the minimum median-unbiased, the lower bound costs no multiplicity (if it is above the minimum, it is above the one
component that is the minimum), the upper one is Bonferroni's over the components that may be it.

When it lies: a minimum is strict. One respect alone fails the whole, so all components belong beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proofset.nouns.result import Better, Measure
from proofset.nouns.viability import Component, Crossing
from proofset.stats import normal_quantile

UNIT = "ratio to fresh organic"
NAMES = {
    "D": "dispersion parity",
    "M": "distribution match",
    "F": "fidelity",
    "K": "coverage",
    "R": "rare-mode retention",
    "A1": "authenticity",
    "A2": "absolute novelty",
    "U": "internal uniqueness",
}
"""Components by key, in the order in which they are told."""

ROUNDS = 4
"""Steps towards a bound whose error hangs on the bound."""
NEAR = 3.0
"""Joint standard errors above the minimum within which a component may be it."""


def _same(x: float) -> float:
    return x


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One component: where it is on the scale on which its error is symmetric, and how that maps onto its own scale."""

    key: str
    centre: float
    error: float
    """Standard error of ``centre``; with ``growth``, what it would be if the true value were 0."""
    growth: float = 0.0
    """How fast the squared error grows as the true value falls below 0: that of a squared distance, negated."""
    third: float = 0.0
    """Third cumulant of ``-centre`` if the true value were 0; with ``growth``."""
    dof: float = math.inf
    """Degrees of freedom of the error; infinite for a normal one."""
    onto: Callable[[float], float] = _same
    """From the symmetric scale to the component's own; never falling."""
    n: int = 0
    words: str = ""
    """What the value means, in one sentence."""

    @property
    def value(self) -> float:
        """The component itself."""
        return self.onto(self.centre)

    @property
    def spread(self) -> float:
        """Standard error on the component's own scale: half the 95 % interval over its quantile."""
        return (self.bound(0.975) - self.bound(0.025)) / (2 * quantile(0.975, self.dof))

    def bound(self, p: float) -> float:
        """One-sided bound that is above the truth with probability ``p`` in (0, 1); ``p`` below ½ gives a lower one.

        Where the error grows, each bound is the value from which the centre is as far away as chance leads, with the
        error and the skewness of a squared distance *there*: Wilson's interval with the skewness of Cornish and Fisher.
        """
        t = quantile(p, self.dof)
        if not self.growth:
            return self.onto(self.centre + t * self.error)
        distance = max(-self.centre, 0.0)
        for _ in range(ROUNDS):
            steps = t + self._skewness(max(distance, 0.0)) * (t * t - 1) / 6
            distance = self._away(steps)
        return self.onto(-distance)

    def _skewness(self, distance: float) -> float:
        """Of what is seen of a squared distance that is truly ``distance``: it grows as that of a noncentral χ²."""
        variance = self.error**2 + self.growth * distance
        third = self.third + 1.5 * self.growth**2 * distance
        return min(third / variance**1.5, 1.0) if variance > 0 else 0.0

    def _away(self, steps: float) -> float:
        """The squared distance from which the one seen is ``steps`` errors away; they do not grow below 0."""
        seen, plain = -self.centre, -self.centre - steps * self.error
        if steps > 0 and plain <= 0:
            return plain
        g = steps * steps * self.growth
        root = math.sqrt(max(g * g / 4 + g * seen + (steps * self.error) ** 2, 0.0))
        return seen + g / 2 - root if steps > 0 else max(plain, seen + g / 2 + root)

    def measure(self) -> Measure:
        """Value and 95 % interval, none of them below 0: a ratio below 0 is chance."""
        return Measure(
            name=NAMES[self.key], value=max(self.value, 0.0), low=max(self.bound(0.025), 0.0),
            high=max(self.bound(0.975), 0.0), n=self.n, unit=UNIT, better=Better.HIGHER,
        )  # fmt: skip

    def component(self) -> Component:
        """As a result."""
        return Component(key=self.key, measure=self.measure(), error=self.spread, words=self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A component that could not be taken."""

    key: str
    why: str

    def component(self) -> Component:
        """As a result without a number."""
        measure = Measure(name=NAMES[self.key], value=None, unit=UNIT, better=Better.HIGHER, note=self.why)
        return Component(key=self.key, measure=measure, error=None, words=f"Not measured: {self.why}.")


Taken = Estimate | Missing
"""What a component's function gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The minimum of several components."""

    value: float
    """Median-unbiased, not below 0."""
    low: float
    high: float
    weakest: str
    """Key of the smallest component."""
    near: tuple[str, ...]
    """Keys of the components that may be the minimum."""


def least_error(share: float, n: int) -> float:
    """Error of a share that is 0 or 1 in ``n`` trials, as if one more had come out the other way; 0 for any other."""
    p = (share * n + 1) / (n + 2)
    return math.sqrt(p * (1 - p) / n) if share in (0.0, 1.0) else 0.0


def of_every(share: float, what: str) -> str:
    """A share in words: "Of every 100 synthetic records 20", of 1,000 where it is below one in a hundred."""
    share = min(max(share, 0.0), 1.0)
    base = 100 if share >= 0.00995 or share < 0.0005 else 1_000
    return f"Of every {base:,} {what} {round(share * base) or 'none'}"


def quantile(p: float, dof: float = math.inf) -> float:
    """Quantile ``p`` of Student's t with ``dof`` degrees of freedom; of the normal distribution if infinite."""
    if math.isinf(dof):
        return normal_quantile(p)
    from scipy.special import stdtrit

    return float(stdtrit(dof, p))


def bounds(estimates: Sequence[Estimate]) -> Bounds | None:
    """Point and 95 % interval of the smallest component; None where there is none at all.

    With K components near the minimum, the point is ``min(upper bound at level 0.5^(1/K))``, the lower end
    ``min(lower bound at 2.5 %)`` over all, the upper ``min(upper bound at 1 − 2.5 % / K)`` over the near ones. Coverage
    is at least 95 %, and close to 98 % where many components tie, since then only the upper end can fail.
    """
    if not estimates:
        return None
    first = min(estimates, key=lambda e: e.value)
    near = [e for e in estimates if e.value - first.value <= NEAR * math.hypot(e.spread, first.spread)]
    k = len(near)
    value = max(min(e.bound(0.5 ** (1 / k)) for e in near), 0.0)
    low = max(min(e.bound(0.025) for e in estimates), 0.0)
    high = max(min(e.bound(1 - 0.025 / k) for e in near), 0.0)
    return Bounds(
        value=value, low=min(low, value), high=max(high, value), weakest=first.key, near=tuple(e.key for e in near)
    )


def verdict(found: Bounds | None, threshold: float, *, enough: bool = True, complete: bool = True) -> Crossing:
    """Crossed if the whole interval is at or above ``threshold``, not crossed if it is below, otherwise undecided.

    Nothing is crossed on too few records (not ``enough``) or with a component missing (not ``complete``); what is there
    can still show that it is not crossed, for a further component only lowers a minimum.
    """
    if found is None:
        return Crossing.UNDECIDED
    if found.high < threshold:
        return Crossing.NOT_CROSSED
    if found.low >= threshold and enough and complete:
        return Crossing.CROSSED
    return Crossing.UNDECIDED


def needed(found: Bounds | None, threshold: float, n: int) -> int | None:
    """Records in each corpus with which an undecided verdict would fall, if the value stayed; None where it has fallen.

    ``n [(θ − L) / (θ − threshold)]²`` when the value θ is above the threshold, else with the upper end: intervals
    shrink as 1/√n. None also for a value on the threshold itself: no number decides that.
    """
    if found is None or found.high < threshold or found.low >= threshold or found.value == threshold:
        return None
    reach = found.value - found.low if found.value > threshold else found.high - found.value
    return math.ceil(n * (reach / (found.value - threshold)) ** 2)

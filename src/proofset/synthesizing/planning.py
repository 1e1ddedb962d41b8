"""Which strategy the next brief of a slice should use, and when another brief no longer pays.

What counts is accepted novelty per dollar. Nothing here knows the time: the same past gives the same plan.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proofset.errors import InputError
from proofset.nouns.result import Better, Measure
from proofset.stats import normal_quantile, wilson

EXPLORE_EVERY = 20
"""One brief in this many (5 %) goes to the arms in turn, whatever they have earned."""
COST_PRIOR = 2.0
"""Briefs at the mean cost of all arms that each arm's own mean cost starts from."""
FEWEST_NOVELTIES = 8
"""Accepted records from which saturation is told at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStanding:
    """Where an arm of the bandit stands."""

    arm: str
    tries: int
    reward: Measure
    """Posterior mean of the reward in [0, 1] with the middle 95 % of the Beta posterior; ``n`` are the tries."""
    cost: float
    """Posterior mean cost of a brief, in the unit that ``learn`` was told; 1 while nothing has cost anything."""
    per_cost: float
    """Posterior mean reward over mean cost: what the arms are ranked by, without the luck of the draw."""


@dataclass(slots=True)
class _Arm:
    """What is remembered of an arm: pseudo-counts of the reward, which may fade, and plain sums."""

    gained: float
    missed: float
    tries: int = 0
    cost: float = 0.0


class Bandit:
    """Thompson sampling over strategies, on reward per cost.

    Each arm has a Beta posterior of its reward. A fractional reward r adds r to one count and 1 - r to the other
    (Agrawal & Goyal 2012, 2013 toss a coin of probability r instead, with the same mean). The arm whose draw, divided
    by its mean cost, is largest gets the brief. It lies when rewards change faster than ``half_life`` lets it forget,
    and, since mean costs are not drawn, when one arm's cost is rarely huge.
    """

    def __init__(
        self,
        arms: Sequence[str],
        seed: str,
        prior: Mapping[str, tuple[float, float]] | None = None,
        *,
        half_life: float = math.inf,
    ) -> None:
        """``prior`` gives Beta parameters, (1, 1) where it has none. A reward counts half after ``half_life`` briefs.

        Raises InputError for no arms, two of one name, priors of unknown arms or not above 0, or a half-life of 0.
        """
        given = dict(prior or {})
        if not arms or len(set(arms)) < len(arms):
            raise InputError(f"arms {list(arms)!r}", hint="give at least one arm, and each name once")
        if not set(given) <= set(arms):
            unknown = sorted(set(given) - set(arms))
            raise InputError(f"priors of unknown arms: {', '.join(unknown)}", hint=f"arms are {', '.join(arms)}")
        if any(not (0 < each < math.inf) for pair in given.values() for each in pair) or not half_life > 0:
            raise InputError("priors and the half-life must be above 0, and priors finite", hint="leave them out")
        self._seed, self._fade, self._prior = seed, 0.5 ** (1 / half_life), given
        self._arms = {arm: _Arm(0.0, 0.0) for arm in arms}

    def choose(self, number: int) -> str:
        """The arm for brief ``number`` (0, 1, 2 … within the slice): depends on it, the seed and what was learnt.

        The first briefs try each arm once. One place in each later ``EXPLORE_EVERY`` explores, the arms in turn, so no
        arm ever gets less than about 5 % of the briefs over the number of arms. It can be asked again, and for many
        numbers at once: asking changes nothing.
        """
        names = list(self._arms)
        if number < len(names):
            return names[number]
        block, place = divmod(number, EXPLORE_EVERY)
        exploring = random.Random(f"{self._seed}/explore/{block}")  # noqa: S311 (reproducible draws, no secret)
        if place == exploring.randrange(EXPLORE_EVERY):
            return names[block % len(names)]
        rng = random.Random(f"{self._seed}/draw/{number}")  # noqa: S311 (reproducible draws, no secret)
        drawn = {name: rng.betavariate(*self._posterior(name)) / self._cost(name) for name in names}
        return max(names, key=drawn.__getitem__)

    def learn(self, arm: str, reward: float, cost: float) -> None:
        """Tell what a brief of ``arm`` came to: novelty in [0, 1] of an accepted candidate, 0 for a refused one.

        ``cost`` is all that the brief cost, in one unit for all arms. Raises InputError for an unknown arm, a reward
        outside [0, 1], or a cost that is negative or not finite.
        """
        if arm not in self._arms:
            raise InputError(f"no arm is called {arm!r}", hint=f"arms are {', '.join(self._arms)}")
        if not 0.0 <= reward <= 1.0 or not 0.0 <= cost < math.inf:
            raise InputError(
                f"arm {arm!r}: reward {reward}, cost {cost}",
                hint="rewards lie in [0, 1], costs are finite and not below 0",
            )
        for each in self._arms.values():
            each.gained *= self._fade
            each.missed *= self._fade
        tried = self._arms[arm]
        tried.gained += reward
        tried.missed += 1.0 - reward
        tried.tries += 1
        tried.cost += cost

    def standing(self) -> tuple[ArmStanding, ...]:
        """Every arm in the order given. Intervals are too wide for fractional rewards, which vary less than 0 and 1."""
        return tuple(self._standing(name, arm) for name, arm in self._arms.items())

    def _standing(self, name: str, arm: _Arm) -> ArmStanding:
        from scipy.special import betaincinv

        a, b = self._posterior(name)
        mean, cost = a / (a + b), self._cost(name)
        low, high = (float(betaincinv(a, b, share)) for share in (0.025, 0.975))
        reward = Measure(
            name="reward", value=mean, low=low, high=high, n=arm.tries, unit="novelty", better=Better.HIGHER
        )
        return ArmStanding(arm=name, tries=arm.tries, reward=reward, cost=cost, per_cost=mean / cost)

    def _posterior(self, name: str) -> tuple[float, float]:
        before, arm = self._prior.get(name, (1.0, 1.0)), self._arms[name]
        return before[0] + arm.gained, before[1] + arm.missed

    def _cost(self, name: str) -> float:
        """(c₀ m + Σ cost) / (c₀ + tries), m the mean over all arms; 1 for every arm while nothing has cost anything."""
        total = math.fsum(each.cost for each in self._arms.values())
        tries = sum(each.tries for each in self._arms.values())
        if not total:
            return 1.0
        arm = self._arms[name]
        return (COST_PRIOR * total / tries + arm.cost) / (COST_PRIOR + arm.tries)


class Novelty:
    """How far a vector is from everything accepted so far: 1 - the largest cosine, clipped to [0, 1].

    It lies when the encoder does: a text in other words counts as new, and so does nonsense, which is why only an
    accepted candidate's novelty is a reward.
    """

    def __init__(self) -> None:
        """Start with nothing accepted."""
        self._rows: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
        self._filled = 0

    def __len__(self) -> int:
        return self._filled

    def novelty(self, vector: ArrayLike) -> float:
        """Novelty of a vector of shape ``(d,)``: 1 while nothing is accepted, 0 for a vector of length 0.

        Raises InputError for another shape than the accepted ones', or numbers that are not finite.
        """
        unit = self._unit(vector)
        if not unit.any():
            return 0.0
        if not self._filled:
            return 1.0
        nearest = float((self._rows[: self._filled] @ unit).max())
        return min(1.0, max(0.0, 1.0 - nearest))

    def add(self, vector: ArrayLike) -> None:
        """Remember the vector, of shape ``(d,)``, of an accepted candidate. Raises as ``novelty`` does."""
        unit = self._unit(vector)
        if self._filled == len(self._rows):
            grown = np.zeros((max(64, 2 * self._filled), len(unit)), dtype=np.float32)
            if self._filled:
                grown[: self._filled] = self._rows
            self._rows = grown
        self._rows[self._filled] = unit
        self._filled += 1

    def _unit(self, vector: ArrayLike) -> NDArray[np.float32]:
        given = np.asarray(vector, dtype=np.float64)
        wanted = self._rows.shape[1] if self._filled else given.size
        if given.shape != (wanted,) or not wanted or not np.isfinite(given).all():
            raise InputError(f"a vector of shape {given.shape}", hint=f"give {wanted} finite numbers, from one encoder")
        return np.asarray(given / max(float(np.linalg.norm(given)), 1e-12), dtype=np.float32)


def marginal(history: Sequence[tuple[bool, float]], window: int) -> tuple[float, float]:
    """Accepted records per unit of cost over the last ``window`` briefs: a 95 % interval (low, high).

    ``history`` are (accepted, cost) of each brief in order. Wilson's interval of the share accepted, over the mean
    cost; (0, ∞) without briefs or costs. It lies when accepted briefs cost much more than refused ones, since the mean
    cost is taken as known. Raises InputError for a window below 1, or a cost that is negative or not finite.
    """
    if window < 1:
        raise InputError(f"a window of {window} briefs", hint="give at least 1")
    last = history[-window:]
    if any(not 0.0 <= cost < math.inf for _, cost in last):
        raise InputError("a brief's cost is negative or not finite", hint="give what each brief cost")
    total = math.fsum(cost for _, cost in last)
    if not total:
        return 0.0, math.inf
    low, high = wilson(sum(accepted for accepted, _ in last), len(last))
    return low * len(last) / total, high * len(last) / total


def spent_out(history: Sequence[tuple[bool, float]], floor: float, window: int) -> bool:
    """Whether even the upper bound of ``marginal`` is below ``floor``; never before ``window`` briefs are closed.

    Asked after every brief it looks again and again, so a slice just at the floor is given up more often than the
    2.5 % of one look.
    """
    return len(history) >= window and marginal(history, window)[1] < floor


def saturation(novelties: Sequence[float]) -> Measure:
    """How much of its first novelty a slice still yields: mean of the last quarter over mean of the first.

    ``novelties`` are those of the accepted records, in order; the first one, which is 1 by definition, is left out.
    1: no saturation; 0: only repeats. The interval is normal in the logarithm (delta method). Descriptive: it lies when
    the mix of strategies has changed meanwhile, and it says nothing of records not yet made. None for fewer than
    ``FEWEST_NOVELTIES`` records, or where the first or the last quarter has no novelty to divide.
    """
    n = len(novelties)
    told = Measure(name="novelty left", value=None, n=n, unit="ratio", better=Better.HIGHER)
    values = np.asarray(novelties[1:], dtype=np.float64)
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputError("novelties must be finite and not below 0", hint="give those of accepted records")
    if n < FEWEST_NOVELTIES:
        return replace(told, note=f"fewer than {FEWEST_NOVELTIES} accepted records")
    quarter = max(2, len(values) // 4)
    first, last = values[:quarter], values[-quarter:]
    if not first.any() or not last.any():
        return replace(told, note="no novelty to divide: only repeats in the first quarter or the last")
    relative = sum(float(part.var(ddof=1)) / (quarter * float(part.mean()) ** 2) for part in (first, last))
    ratio, spread = float(last.mean() / first.mean()), normal_quantile(0.975) * math.sqrt(relative)
    return replace(told, value=ratio, low=ratio * math.exp(-spread), high=ratio * math.exp(spread))

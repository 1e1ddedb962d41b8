"""Which strategy the next brief of a slice should use, and when another brief no longer pays.

What counts is accepted novelty per dollar. Nothing here knows the time: the same past gives the same plan.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proofset.errors import InputError
from proofset.stats import wilson

EXPLORE_EVERY = 20
"""One brief in this many (5 %) goes to the arms in turn, whatever they have earned."""
COST_PRIOR = 2.0
"""Briefs at the mean cost of all arms that each arm's own mean cost starts from."""


@dataclass(slots=True)
class _Arm:
    """What is remembered of an arm: plain sums."""

    gained: float = 0.0
    missed: float = 0.0
    tries: int = 0
    cost: float = 0.0


class Bandit:
    """Thompson sampling over strategies, on reward per cost.

    Each arm has a Beta posterior of its reward. A fractional reward r adds r to one count and 1 - r to the other
    (Agrawal & Goyal 2012, 2013 toss a coin of probability r instead, with the same mean). The arm whose draw, divided
    by its mean cost, is largest gets the brief. It lies when an arm goes dry, which it forgets slowly, and, since
    mean costs are not drawn, when one arm's cost is rarely huge.
    """

    def __init__(self, arms: Sequence[str], seed: str) -> None:
        """Start with a flat prior for each arm. Raises InputError for no arms, or two of one name."""
        if not arms or len(set(arms)) < len(arms):
            raise InputError(f"arms {list(arms)!r}", hint="give at least one arm, and each name once")
        self._seed = seed
        self._arms = {arm: _Arm() for arm in arms}

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
        tried = self._arms[arm]
        tried.gained += reward
        tried.missed += 1.0 - reward
        tried.tries += 1
        tried.cost += cost

    def _posterior(self, name: str) -> tuple[float, float]:
        arm = self._arms[name]
        return 1.0 + arm.gained, 1.0 + arm.missed

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


def spent_out(accepted: Sequence[bool], floor: float, window: int) -> bool:
    """Whether of the last ``window`` briefs surely less than the share ``floor`` was accepted, by Wilson's upper bound.

    Never before ``window`` briefs are closed. Asked after every brief it looks again and again, so a slice just at the
    floor is given up more often than the 2.5 % of one look.
    """
    last = accepted[-window:]
    return len(last) == window and wilson(sum(last), window)[1] < floor

"""Findings: what an experiment of the collapse lab says, as numbers beside their closed forms and curves to plot.

A ``Trial`` fixes how large a simulation is and where its chance comes from, so that every experiment can be run smaller
with tolerances that are wider to match.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError

Doubles = NDArray[np.float64]

SIGMAS = 4.0
"""Standard errors that a mean may lie off: a true closed form fails in 6 of 100,000 trials."""
FEWEST = 50
"""Runs below which a standard error would itself be a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One number of an experiment: what theory says, what the simulation gave, and how far apart they may be."""

    name: str
    expected: float
    measured: float
    tolerance: float
    """Absolute, in the unit of the number."""

    @property
    def ok(self) -> bool:
        """Whether the simulation agrees; never for a number that is not finite."""
        return abs(self.measured - self.expected) <= self.tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A closed form and its simulation over the same x values."""

    name: str
    x: tuple[float, ...]
    expected: tuple[float, ...]
    measured: tuple[float, ...]
    x_label: str
    y_label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an experiment found."""

    id: str
    title: str
    words: str
    """One sentence: what it means for somebody who makes synthetic data."""
    source: str
    """The paper, or "derived" with what it was derived from."""
    runs: int
    """Independent runs behind the numbers; 1 for a loop without chance."""
    outcomes: tuple[Outcome, ...]
    curves: tuple[Curve, ...]

    @property
    def holds(self) -> bool:
        """Whether every number agrees with its closed form."""
        return all(outcome.ok for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Trial:
    """How large an experiment is made, and its chance.

    ``effort`` 1 is the stated size. Below, there are fewer runs and wider tolerances; above, more runs under the same
    tolerances. Raises InputError for an effort that is not above 0 and finite, or a negative seed.
    """

    effort: float
    seed: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.effort) and self.effort > 0):
            raise InputError(f"an effort of {self.effort}", hint="give a number above 0; 1 is the stated size")
        if self.seed < 0:
            raise InputError(f"a seed of {self.seed}", hint="seeds are 0 or larger")

    def runs(self, stated: int) -> int:
        """Runs to simulate where ``stated`` are stated; never fewer than 50."""
        return max(FEWEST, round(stated * self.effort))

    def rng(self, *numbers: int) -> np.random.Generator:
        """The chance of one part of an experiment: same seed and numbers, same draws."""
        return np.random.default_rng([self.seed, *numbers])

    def near(self, name: str, expected: float, measured: float, tolerance: float) -> Outcome:
        """A number under the absolute tolerance stated for effort 1, widened as 1/√effort below."""
        wide = tolerance * max(1.0, self.effort**-0.5)
        return Outcome(name=name, expected=float(expected), measured=float(measured), tolerance=wide)

    def mean(self, name: str, expected: float, draws: Doubles, sigmas: float = SIGMAS) -> Outcome:
        """The mean of independent ``draws (runs,)`` under ``sigmas`` of its own standard errors.

        When it lies: for draws so skewed that their standard deviation rests on a few of them.
        """
        error = float(draws.std(ddof=1)) / math.sqrt(len(draws))
        return Outcome(
            name=name, expected=float(expected), measured=float(draws.mean()), tolerance=sigmas * error + 1e-12
        )


def curve(
    name: str, x: Iterable[Any], expected: Iterable[Any], measured: Iterable[Any], *, labels: tuple[str, str]
) -> Curve:
    """A curve from anything that yields numbers; ``labels`` are those of x and y."""
    xs, wanted, seen = (tuple(float(value) for value in values) for values in (x, expected, measured))
    if not len(xs) == len(wanted) == len(seen):
        raise InputError(f"{name}: a curve of {len(xs)}, {len(wanted)} and {len(seen)} values", hint="one y per x")
    return Curve(name=name, x=xs, expected=wanted, measured=seen, x_label=labels[0], y_label=labels[1])

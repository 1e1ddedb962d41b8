"""How many attempts of a pilot come through each stage, with intervals that know of seed documents.

Attempts on one document tend to succeed or fail together, so n of them say less than n: intervals are of n/DEFF trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofset.costing.pilot import STAGES, Pilot, shares
from proofset.costing.prices import PRECISION
from proofset.costing.saturation import numbered
from proofset.stats import wilson

RULE_OF_THREE = 3
"""None among N: the 95 % upper bound of the rate is 3/N (Hanley and Lippman-Hand 1983)."""


@dataclass(frozen=True, slots=True)
class StageYield:
    """How many of those that came to a stage came through it, with its 95 % interval (Wilson 1927)."""

    name: str
    successes: int
    n: int
    rate: float | None
    """None where nothing came to the stage."""
    low: float
    high: float
    deff: float
    """Variance between seed documents over that of independent attempts, 1 or larger (Kish 1965)."""


@dataclass(frozen=True, slots=True)
class SliceYields:
    """The yields of one slice."""

    name: str
    attempts: int
    stages: tuple[StageYield, ...]
    overall: StageYield
    """From attempt to accepted; where nothing was accepted its ``high`` is that of the rule of three."""
    at_least_usd_per_accepted: Decimal | None
    """Lower bound of the cost of a record where nothing was accepted; None where something was, or without prices."""


def design_effect(success_N: NDArray[np.bool_], cluster_N: NDArray[Any], unknown: float = 1.0) -> float:
    """Variance of a rate over clusters divided by that of independent trials; 1 or larger, at most n.

    ``unknown`` is for trials that all came out alike, which cannot show it; it counts up to the size of the largest
    cluster. With a lone cluster it is n: one document says nothing of others.
    """
    n, p = len(success_N), float(success_N.mean()) if len(success_N) else 0.0
    sizes = np.unique(cluster_N, return_counts=True)[1]
    clusters = len(sizes)
    if clusters < 2:
        return max(1.0, float(n))
    if p in (0.0, 1.0):
        return min(max(1.0, unknown), float(sizes.max()))
    excess = np.bincount(np.unique(cluster_N, return_inverse=True)[1], weights=success_N) - p * sizes
    between = clusters / (clusters - 1) * float(excess @ excess)
    return min(max(1.0, between * (n - 1) / (n * n * p * (1 - p))), float(n))


def _stage(name: str, success_N: NDArray[np.bool_], cluster_N: NDArray[Any], unknown: float) -> StageYield:
    n, successes = len(success_N), int(success_N.sum())
    deff = design_effect(success_N, cluster_N, unknown)
    effective = max(1, int(n / deff)) if n else 0
    low, high = wilson(round(successes / n * effective) if n else 0, effective)
    return StageYield(name, successes, n, successes / n if n else None, low, high, deff)


def yields(pilot: Pilot) -> tuple[SliceYields, ...]:
    """The yields of each slice, by name. Intervals are of n/DEFF trials, rounded to whole ones."""
    seeds = numbered(pilot.seeds)
    pooled = design_effect(pilot.flags("accepted"), seeds)
    slices, found = np.asarray(pilot.slices, dtype=str), []
    for name in shares(pilot, None):
        inside, stages, reached = slices == name, list[StageYield](), slices == name
        for stage in STAGES:
            stages.append(_stage(stage, pilot.flags(stage)[reached], seeds[reached], pooled))
            reached = inside & pilot.flags(stage)
        overall, bound = _stage("overall", pilot.flags("accepted")[inside], seeds[inside], pooled), None
        if not overall.successes:
            most = min(1.0, RULE_OF_THREE * overall.deff / overall.n)
            overall = StageYield("overall", 0, overall.n, 0.0, 0.0, most, overall.deff)
            usd = pilot.spent(inside)
            with localcontext(prec=PRECISION):
                bound = None if usd is None else usd / overall.n / Decimal(repr(most))
        found.append(SliceYields(name, overall.n, tuple(stages), overall, bound))
    return tuple(found)

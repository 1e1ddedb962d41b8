"""The arithmetic of claims: intervals, bootstraps, and what a comparison could have shown.

Every interval here is two-sided with nominal coverage ``level``; the tests check that coverage by simulation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError

BLOCK_CELLS = 2_000_000
"""Resampled counts are made in blocks of about this many cells, so that memory does not grow with the resamples."""


def normal_quantile(p: float) -> float:
    """The standard normal value below which a share ``p`` in (0, 1) of the distribution lies."""
    if not 0.0 < p < 1.0:
        raise InputError(f"a quantile needs a probability between 0 and 1, not {p}", hint="give for example 0.975")
    return NormalDist().inv_cdf(p)


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval in [0, 1] of a proportion of ``successes`` out of ``n`` independent trials; (0, 1) when ``n`` is 0.

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), Wilson 1927. It lies when trials are not independent:
    near-copies counted one by one make it too narrow.
    """
    if not 0 <= successes <= n:
        raise InputError(f"{successes} successes out of {n} trials", hint="successes lie between 0 and n")
    if n == 0:
        return 0.0, 1.0
    z, p = normal_quantile((1 + level) / 2), successes / n
    centre = p + z * z / (2 * n)
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else (centre - spread) / scale
    high = 1.0 if successes == n else (centre + spread) / scale
    return low, high


def percentile_interval(draws: Sequence[float] | NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """Interval between the outer percentiles of bootstrap ``draws`` (Efron 1979), in the draws' own unit.

    It lies for skewed statistics of few observations, where it is shifted and too narrow.
    """
    values = np.asarray(draws, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise InputError("an interval needs at least one draw, and only finite ones", hint="drop undefined draws first")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bayesian_weights(n: int, seed: int) -> NDArray[np.float64]:
    """Random weights of shape ``(n,)``, positive and with mean 1: one draw of the Bayesian bootstrap (Rubin 1981).

    Exponential draws over their mean, so a multiple of a flat Dirichlet. Unlike resampling, no record ever vanishes.
    """
    weights = np.random.default_rng(seed).exponential(size=n)
    return weights / weights.mean() if n else weights


def group_numbers(groups: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[np.intp], int]:
    """Group labels as numbers of shape ``(n,)`` from 0, in order of the sorted labels, and how many groups."""
    labels, numbers = np.unique(np.asarray(groups), return_inverse=True)
    return numbers.reshape(-1).astype(np.intp), len(labels)


def resampled_counts(units: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How often each unit is drawn in each resample, of shape ``(resamples, units)``.

    ``units − 1`` are drawn with replacement instead of ``units`` (McCarthy & Snowden 1985): the variance of a
    resampled mean is then the usual unbiased s²/n, which matters for a handful of seeds. A lone unit is drawn once.
    """
    draws = max(units - 1, 1)
    picks = rng.integers(0, units, size=(resamples, draws))
    picks += np.arange(resamples)[:, None] * units
    counts = np.bincount(picks.reshape(-1), minlength=resamples * units)
    return counts.reshape(resamples, units).astype(np.float32)


def resampled_blocks(
    seeds: int, groups: int, resamples: int, seed: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Blocks of counts ``(b, seeds)`` and ``(b, groups)``; over all blocks the ``b`` add up to ``resamples``.

    Seeds and groups are drawn independently of each other, as befits a crossed design (Owen 2007).
    """
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK_CELLS // max(groups, 1))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        yield resampled_counts(seeds, size, rng), resampled_counts(groups, size, rng)


def hierarchical_bootstrap(
    differences_S_N: NDArray[np.float64], groups_N: Sequence[Any] | NDArray[Any], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Resampled means of shape ``(resamples,)`` of paired differences: seeds and item groups drawn with replacement.

    ``differences_S_N`` has shape ``(n_seeds, n_items)``; items of one group (near-copies) move together. Seeds and
    groups are resampled independently (the pigeonhole bootstrap, Owen 2007), one fewer of each than there are. It
    errs to the wide side when seeds and items interact; it is too narrow when seeds vary much and are only two or
    three, and it cannot see what no seed varied.
    """
    differences = np.atleast_2d(np.asarray(differences_S_N, dtype=np.float64))
    numbers, n_groups = group_numbers(groups_N)
    if n_groups < 2 or differences.shape[1] != len(numbers):
        raise InputError(
            f"{differences.shape[1]} items in {n_groups} groups cannot be resampled",
            hint="give one group label per item and at least two groups",
        )
    sums_S_G = np.stack([np.bincount(numbers, weights=row, minlength=n_groups) for row in differences])
    sizes_G = np.bincount(numbers, minlength=n_groups).astype(np.float64)
    means = []
    for seeds_B_S, groups_B_G in resampled_blocks(len(differences), n_groups, resamples, seed):
        totals_B = ((groups_B_G @ sums_S_G.T) * seeds_B_S).sum(axis=1)
        means.append(totals_B / (seeds_B_S.sum(axis=1) * (groups_B_G @ sizes_G)))
    return np.concatenate(means)


def minimum_detectable(standard_error: float, power: float = 0.8, level: float = 0.95) -> float:
    """Smallest true difference that a two-sided comparison would show with probability ``power``, in its own unit.

    (z₁₋ₐ⁄₂ + z_power) · standard error. It is planned from the noise alone: never compute it from the effect seen.
    """
    if standard_error < 0:
        raise InputError(f"a standard error of {standard_error}", hint="standard errors are 0 or larger")
    return (normal_quantile((1 + level) / 2) + normal_quantile(power)) * standard_error

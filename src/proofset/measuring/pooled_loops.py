"""Pooled loops: every generation's records are kept, and the next one is trained on all of them, or on some.

Generation 1 draws M records from the organic law; each later one adds M of its own. The pool of generation t holds tM.
All closed forms are in units of the organic variance.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring.findings import Doubles, Finding, Trial, curve
from proofset.measuring.gaussian_loops import GENERATION, VARIANCE, batch, pooled


def accumulate_variance(size: int, generations: int, *, bias: float = 1.0) -> float:
    """Mean variance of the pool of ``generations`` batches: (1−1/M) Π_{t=2}^{T} [1 − (1−λ)/t − λ/(Mt²)].

    With λ = 1 it is Π_{i≤T} (1 − 1/(Mi²)) and stays above 1 − π²/6M for ever. A decoder of λ < 1 takes it down as
    T^{−(1−λ)}/Γ(1+λ) all the same. Derived; the limit for λ = 1 is Kazdan et al. 2024.
    """
    _check(size, generations)
    t = np.arange(2, generations + 1, dtype=np.float64)
    return (1 - 1 / size) * float(np.prod(1 - (1 - bias) / t - bias / (size * t * t)))


def accumulate_limit(size: int) -> float:
    """Variance that is left after endlessly many generations of unbiased accumulation: sin(π/√M) / (π/√M)."""
    angle = math.pi / math.sqrt(size)
    return math.sin(angle) / angle


def accumulate_bound(size: int) -> float:
    """Variance that unbiased accumulation never falls below: 1 − π²/6M."""
    return 1 - math.pi**2 / (6 * size)


def accumulate_tail(generations: int, bias: float) -> float:
    """How biased accumulation decays for large M: T^{−(1−λ)} / Γ(1+λ). Derived."""
    return float(generations ** -(1 - bias)) / math.gamma(1 + bias)


def subsample_variance(size: int, generations: int) -> tuple[float, float]:
    """Mean variance of the pool, and of the fit to M records of it without replacement.

    v_{t+1}/v_t = t/(t+1) + (1−1/M)c/(t+1) + t/(t+1)² [c/M + (t−1)/(tM−1)] with c = t(M−1)/(tM−1); the fit has v·c.
    Derived for the setting of Kazdan et al. 2024, who find the decline slow and gradual.
    """
    _check(size, generations)
    kept = 1 - 1 / size
    for t in range(1, generations):
        c = t * (size - 1) / (t * size - 1)
        across = c / size + (t - 1) / (t * size - 1)
        kept *= t / (t + 1) + (1 - 1 / size) * c / (t + 1) + t / (t + 1) ** 2 * across
    return kept, kept * generations * (size - 1) / (generations * size - 1)


def accumulate_runs(
    runs: int, size: int, generations: int, rng: np.random.Generator, *, bias: float = 1.0
) -> tuple[Doubles, Doubles]:
    """Means and variances of the pool, ``(runs, generations)`` each; column 0 is the first organic batch."""
    _check(size, generations)
    means, variances = np.empty((generations, runs)), np.empty((generations, runs))
    means[0], variances[0] = batch(0.0, 1.0, size, rng, runs)
    for t in range(1, generations):
        fresh = batch(means[t - 1], bias * variances[t - 1], size, rng, runs)
        means[t], variances[t] = pooled(t / (t + 1), means[t - 1], variances[t - 1], *fresh)
    return means.T, variances.T


def subsample_runs(
    runs: int, size: int, generations: int, rng: np.random.Generator
) -> tuple[Doubles, Doubles, Doubles]:
    """Means and variances of the pool and variances of the fits, ``(runs, generations)`` each.

    Every record is kept, for a subsample is no function of the pool's moments.
    """
    _check(size, generations)
    pool = np.empty((runs, generations * size))
    means, variances, fits = (np.empty((generations, runs)) for _ in range(3))
    fit_means, fits[0] = np.zeros(runs), np.ones(runs)
    for t in range(generations):
        fresh = fit_means[:, None] + np.sqrt(fits[t - 1 if t else 0])[:, None] * rng.standard_normal((runs, size))
        pool[:, t * size : (t + 1) * size] = fresh
        if t:
            moments = fresh.mean(axis=1), fresh.var(axis=1)
            means[t], variances[t] = pooled(t / (t + 1), means[t - 1], variances[t - 1], *moments)
        else:
            means[t], variances[t] = fresh.mean(axis=1), fresh.var(axis=1)
        chosen = np.take_along_axis(pool, _distinct(runs, (t + 1) * size, size, rng), axis=1)
        fit_means, fits[t] = chosen.mean(axis=1), chosen.var(axis=1)
    return means.T, variances.T, fits.T


def accumulate(effort: float, seed: int) -> Finding:
    """C-04: a loop that keeps all its records loses at most π²/6M of the variance, ever."""
    trial, last = Trial(effort, seed), 200
    runs = trial.runs(20_000)
    small_means, small = accumulate_runs(runs, 10, last, trial.rng(4, 0))
    large = accumulate_runs(runs, 100, last, trial.rng(4, 1))[1]
    kept = [accumulate_variance(10, t) for t in range(1, last + 1)]
    return Finding(
        id="C-04",
        title="Accumulate: all records are kept",
        words="Keep every record and the loss of variance is bounded for ever: by 1.6 % with 100 records a generation.",
        source="Kazdan et al. 2024 (limit); product form derived",
        runs=runs,
        outcomes=(
            trial.near("mean variance, M = 10, generation 5", kept[4], small[:, 4].mean(), 0.0144),
            trial.near("mean variance, M = 10, generation 200", kept[-1], small[:, -1].mean(), 0.0144),
            trial.near("the same against the limit", accumulate_limit(10), small[:, -1].mean(), 0.0144),
            trial.near("mean variance, M = 100, against the limit", accumulate_limit(100), large[:, -1].mean(), 0.0052),
            trial.mean("mean squared shift of the mean, M = 10", 1 - kept[-1], small_means[:, -1] ** 2),
        ),
        curves=(curve("variance", range(1, last + 1), kept, small.mean(axis=0), labels=(GENERATION, VARIANCE)),),
    )


def accumulate_biased(effort: float, seed: int) -> Finding:
    """C-05: accumulation does not save a loop whose decoder narrows."""
    trial, size, last = Trial(effort, seed), 100, 200
    runs = trial.runs(5_000)
    outcomes, curves = [], []
    for bias in (0.9, 0.7):
        variances = accumulate_runs(runs, size, last, trial.rng(5, round(10 * bias)), bias=bias)[1]
        kept = [accumulate_variance(size, t, bias=bias) for t in range(1, last + 1)]
        name = f"mean variance, λ = {bias}, generation {last}"
        outcomes.append(trial.near(name, kept[-1], variances[:, -1].mean(), 0.02 * kept[-1]))
        curves.append(
            curve(f"λ = {bias}", range(1, last + 1), kept, variances.mean(axis=0), labels=(GENERATION, VARIANCE))
        )
    return Finding(
        id="C-05",
        title="Accumulate with a narrowing decoder",
        words="Keeping everything is not enough: with a narrow decoder the pool collapses still, as a power of time.",
        source="derived",
        runs=runs,
        outcomes=tuple(outcomes),
        curves=tuple(curves),
    )


def accumulate_subsample(effort: float, seed: int) -> Finding:
    """C-06: training on M records of all that were kept declines slowly and settles."""
    trial, size, last = Trial(effort, seed), 20, 60
    runs = trial.runs(3_000)
    _, variances, fits = subsample_runs(runs, size, last, trial.rng(6))
    pool, fit = zip(*(subsample_variance(size, t) for t in range(1, last + 1)), strict=True)
    return Finding(
        id="C-06",
        title="Accumulate, train on a fixed-size sample of the pool",
        words="A fixed training budget drawn from everything kept loses little, where the last batch alone loses 95 %.",
        source="setting of Kazdan et al. 2024; recursion derived",
        runs=runs,
        outcomes=(
            trial.near("mean variance of the pool, M = 20, generation 60", pool[-1], variances[:, -1].mean(), 0.036),
            trial.near("mean variance of the fit", fit[-1], fits[:, -1].mean(), 0.036),
        ),
        curves=(
            curve("pool", range(1, last + 1), pool, variances.mean(axis=0), labels=(GENERATION, VARIANCE)),
            curve("fit", range(1, last + 1), fit, fits.mean(axis=0), labels=(GENERATION, VARIANCE)),
        ),
    )


def _distinct(runs: int, pool: int, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """``size`` distinct numbers below ``pool`` for each run, every set equally likely (Floyd 1987)."""
    picked = np.empty((runs, size), dtype=np.intp)
    for place, top in enumerate(range(pool - size, pool)):
        tried = rng.integers(0, top + 1, runs)
        taken = (picked[:, :place] == tried[:, None]).any(axis=1)
        picked[:, place] = np.where(taken, top, tried)
    return picked


def _check(size: int, generations: int) -> None:
    if size < 2 or generations < 1:
        raise InputError(
            f"a pool of {generations} batches of {size} draws", hint="give at least 2 draws and one generation"
        )

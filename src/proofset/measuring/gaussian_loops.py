"""Gaussian loops: a normal law that is fitted to its own last batch, again and again.

The smallest model that collapses, and one whose every number is known. A loop is simulated by its sufficient
statistics: the mean of M draws from N(m, v) is N(m, v/M), their variance (divided by M) is v·χ²(M−1)/M, and the two are
independent. So 20,000 loops of 50 generations take a tenth of a second.

All closed forms are in units of the organic variance, which is 1, with the organic mean at 0.
"""

from __future__ import annotations

import math

import numpy as np

from proofset.errors import InputError
from proofset.measuring.findings import SIGMAS, Doubles, Finding, Trial, curve

GENERATION = "generation"
VARIANCE = "variance (organic = 1)"


def replace_variance(size: int, generations: int, *, bias: float = 1.0, unbiased: bool = False) -> float:
    """Mean variance after ``generations`` refits to ``size`` own draws, in (0, 1].

    E σ²_n = λⁿ(1 − 1/M)ⁿ for the variance divided by M, and λⁿ for the unbiased one. λ is the decoder's bias: draws
    come from N(μ, λσ²), below 1 for a low temperature. Alemohammad et al. 2023 (MAD), section 2.3. For the unbiased
    estimator the mean lies about what happens: it stays while almost every loop dies (see ``replace_log_variance``).
    """
    _check(size, generations)
    return bias**generations if unbiased else (bias * (1 - 1 / size)) ** generations


def replace_log_variance(size: int, generations: int, *, unbiased: bool = False) -> float:
    """Mean logarithm of the variance after ``generations`` refits: n[ψ((M−1)/2) + ln 2 − ln d], d = M or M − 1.

    About −2n/M when dividing by M and −n/(M−1) when dividing by M − 1: below 0 either way, so the typical loop
    collapses whichever estimator is used (Shumailov et al. 2024, theorem 3.1).
    """
    from scipy.special import digamma

    _check(size, generations)
    divisor = size - 1 if unbiased else size
    return generations * (float(digamma((size - 1) / 2)) + math.log(2) - math.log(divisor))


def replace_error(size: int, generations: int, runs: int) -> float:
    """Standard error of the mean variance over ``runs`` loops: √([(1−1/M²)ⁿ − (1−1/M)²ⁿ] / R). Derived."""
    _check(size, generations)
    return math.sqrt(((1 - 1 / size**2) ** generations - (1 - 1 / size) ** (2 * generations)) / runs)


def replace_distance(size: int, generations: int) -> float:
    """Mean squared Wasserstein-2 distance to the organic law, unbiased estimator: n/M + 2(1 − c₄(M)ⁿ).

    c₄ = √(2/(M−1)) Γ(M/2)/Γ((M−1)/2). To first order (3/2)n/M, which is Shumailov et al. 2024; the exact form is
    derived from W₂² = μ² + (σ − 1)² with E μ² = n/M, E σ² = 1 and E σ = c₄ⁿ. It grows without end.
    """
    _check(size, generations)
    ratio = math.exp(math.lgamma(size / 2) - math.lgamma((size - 1) / 2))
    return generations / size + 2 * (1 - (math.sqrt(2 / (size - 1)) * ratio) ** generations)


def batch(
    mean_R: Doubles | float, variance_R: Doubles | float, size: int, rng: np.random.Generator, runs: int
) -> tuple[Doubles, Doubles]:
    """Mean and variance (divided by ``size``), both ``(runs,)``, of ``size`` draws from each N(mean, variance)."""
    means = mean_R + np.sqrt(variance_R / size) * rng.standard_normal(runs)
    return means, variance_R * rng.chisquare(size - 1, runs) / size


def pooled(
    share: float, mean_R: Doubles, variance_R: Doubles, new_mean_R: Doubles, new_variance_R: Doubles
) -> tuple[Doubles, Doubles]:
    """Mean and variance of a pool that keeps ``share`` of the old records, w, and 1 − w of the new.

    V' = wV + (1−w)S + w(1−w)(x̄−m)², exactly, whatever the records are.
    """
    rest = 1 - share
    moved = new_mean_R - mean_R
    return mean_R + rest * moved, share * variance_R + rest * new_variance_R + share * rest * moved**2


def replace_runs(
    runs: int, size: int, generations: int, rng: np.random.Generator, *, bias: float = 1.0, unbiased: bool = False
) -> tuple[Doubles, Doubles]:
    """Means and variances, ``(runs, generations + 1)`` each, of loops that train on their last batch alone.

    Column 0 is the organic law N(0, 1).
    """
    _check(size, generations)
    means, variances = np.zeros((generations + 1, runs)), np.ones((generations + 1, runs))
    factor = size / (size - 1) if unbiased else 1.0
    for g in range(generations):
        means[g + 1], fitted = batch(means[g], bias * variances[g], size, rng, runs)
        variances[g + 1] = factor * fitted
    return means.T, variances.T


def replace_mle(effort: float, seed: int) -> Finding:
    """C-01: the variance of a replace loop falls by the factor 1 − 1/M a generation, and its mean walks off."""
    trial, size, last = Trial(effort, seed), 100, 50
    runs = trial.runs(20_000)
    means, variances = replace_runs(runs, size, last, trial.rng(1))
    kept = [replace_variance(size, g) for g in range(last + 1)]
    logs = [replace_log_variance(size, g) for g in range(last + 1)]
    squares, log_means = (means**2).mean(axis=0), np.log(variances).mean(axis=0)
    return Finding(
        id="C-01",
        title="A Gaussian fitted to its own draws (replace)",
        words="Each generation trained on M of its own records alone loses 1/M of the variance, for good.",
        source="Shumailov et al. 2024; Alemohammad et al. 2023; moments derived",
        runs=runs,
        outcomes=(
            trial.near("mean variance, M = 100, generation 50", kept[-1], variances[:, -1].mean(), 0.0225),
            trial.near("mean squared shift of the mean", 1 - kept[-1], squares[-1], 0.0225),
            trial.near("mean log variance", logs[-1], log_means[-1], 0.029),
        ),
        curves=(
            curve("variance", range(last + 1), kept, variances.mean(axis=0), labels=(GENERATION, VARIANCE)),
            curve("log variance", range(last + 1), logs, log_means, labels=(GENERATION, "mean ln variance")),
        ),
    )


def replace_unbiased(effort: float, seed: int) -> Finding:
    """C-02: with the unbiased estimator the mean variance stays, and the typical loop collapses all the same."""
    from scipy.special import polygamma

    trial, size, middle, last, parts = Trial(effort, seed), 100, 50, 100, 5
    runs = trial.runs(20_000)
    distances, log_means, logs = np.zeros(last + 1), np.zeros(last + 1), []
    # The distance is so skewed that 3 % of it take 100,000 loops.
    for part in range(parts):
        means, variances = replace_runs(runs, size, last, trial.rng(2, part), unbiased=True)
        distances += (means**2 + (np.sqrt(variances) - 1) ** 2).mean(axis=0) / parts
        log_means += np.log(variances).mean(axis=0) / parts
        logs.append(np.log(variances[:, middle]))
    far = [replace_distance(size, g) for g in range(last + 1)]
    fallen = [replace_log_variance(size, g, unbiased=True) for g in range(last + 1)]
    spread, skew = (float(polygamma(order, (size - 1) / 2)) for order in (1, 2))
    error = SIGMAS * math.sqrt(middle * spread / 20_000)
    # The median of a slightly skewed sum lies a sixth of its skewness off the mean (Cornish and Fisher 1938).
    median, seen = fallen[middle] - skew / (6 * spread), float(np.median(logs))
    return Finding(
        id="C-02",
        title="The same with the unbiased variance",
        words="An average that stays is no comfort: the typical loop still loses its variance and drifts without end.",
        source="Shumailov et al. 2024, theorem 3.1; Alemohammad et al. 2023, eq. 1-2; W₂² derived",
        runs=runs * parts,
        outcomes=(
            trial.near("mean log variance, generation 50", fallen[middle], log_means[middle], error),
            trial.near("median log variance, generation 50", median, seen, math.sqrt(math.pi / 2) * error),
            trial.near("mean W₂², generation 50", far[middle], distances[middle], 0.03 * far[middle]),
            trial.near("mean W₂², generation 100", far[last], distances[last], 0.03 * far[last]),
        ),
        curves=(
            curve("distance", range(last + 1), far, distances, labels=(GENERATION, "mean W₂² to the organic law")),
            curve("log variance", range(last + 1), fallen, log_means, labels=(GENERATION, "mean ln variance")),
        ),
    )


def replace_biased(effort: float, seed: int) -> Finding:
    """C-03: a decoder that narrows what it draws by λ loses λ a generation on top."""
    trial, size, last, bias = Trial(effort, seed), 100, 30, 0.95
    runs = trial.runs(20_000)
    fitted = replace_runs(runs, size, last, trial.rng(3, 0), bias=bias)[1]
    unbiased = replace_runs(runs, size, last, trial.rng(3, 1), bias=bias, unbiased=True)[1]
    kept = [replace_variance(size, g, bias=bias) for g in range(last + 1)]
    return Finding(
        id="C-03",
        title="Replace with a narrowing decoder",
        words="A low temperature or top-p collapses a loop exponentially, however many records it draws.",
        source="Alemohammad et al. 2023, section 2.3",
        runs=runs,
        outcomes=(
            trial.near("mean variance, λ = 0.95, generation 30", kept[-1], fitted[:, -1].mean(), 0.004),
            trial.mean("the same, unbiased", replace_variance(size, last, bias=bias, unbiased=True), unbiased[:, -1]),
        ),
        curves=(curve("variance", range(last + 1), kept, fitted.mean(axis=0), labels=(GENERATION, VARIANCE)),),
    )


def _check(size: int, generations: int) -> None:
    if size < 2 or generations < 0:
        raise InputError(
            f"a loop of {generations} generations of {size} draws", hint="give at least 2 draws and no fewer than 0"
        )

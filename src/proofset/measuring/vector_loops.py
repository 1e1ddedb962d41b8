"""Vector loops: records that are drawn again from the last draw, as a generator would that copies what it was given.

The bootstrap is the best generator there is without outside knowledge: it keeps mean and covariance in expectation, and
every record it makes is organic. So what is lost here is lost to sampling alone, and any vectors will do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring.findings import Doubles, Finding, Outcome, Trial, curve
from proofset.measuring.gaussian_loops import GENERATION

DRAWS, LAST, DIRECTIONS = 300, 30, 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BootstrapLoop:
    """Several runs of a bootstrap loop, seen along the strongest directions of the vectors it began with."""

    draws: int
    """M, records a generation."""
    variances: Doubles
    """``(runs, generations + 1, directions)``; generation 0 is all vectors."""
    shifts: Doubles
    """Squared shifts of the mean since generation 0, of the same shape."""
    kurtosis: float
    """Mean kurtosis of generation 0 over the directions; 3 for normal ones."""

    @property
    def traces(self) -> Doubles:
        """Total variances ``(runs, generations + 1)``."""
        return np.asarray(self.variances.sum(axis=2))

    @property
    def trace_rate(self) -> tuple[float, float]:
        """Loss of mean total variance a generation and its standard error; 1/M in theory, whatever the vectors are."""
        kept = self.traces[:, -1] / self.traces[:, 0]
        generations = self.traces.shape[1] - 1
        rate = 1 - float(kept.mean()) ** (1 / generations)
        return rate, float(kept.std(ddof=1)) / math.sqrt(len(kept)) / float(kept.mean()) / generations

    @property
    def log_rate(self) -> tuple[float, float]:
        """Mean loss of the log variance of a direction a generation and its standard error; see ``log_rate``."""
        logs = np.log(self.variances[:, -1] / self.variances[:, 0]).mean(axis=1)
        generations = self.variances.shape[1] - 1
        return -float(logs.mean()) / generations, float(logs.std(ddof=1)) / math.sqrt(len(logs)) / generations


def log_rate(draws: int, kurtosis: float = 3.0, generations: int = 1) -> float:
    """Mean loss of the log variance of a direction a generation, over the first ``generations``: about (κ + 1)/2M.

    Each takes −ln(1 − 1/M), and half the squared relative sampling error of a variance, which is about (κ − 1)/M: 2/M
    in all for normal directions. κ falls as records die out, as the exact fourth moments of resampling say (Cramér
    1946, section 27.4). Derived. It is a few percent too high for κ near 4 and above, where the third order counts.
    """
    n, fourth, square, lost = float(draws), kurtosis, 1.0, 0.0
    for _ in range(generations):
        noise = (n - 1) / n**3 * ((n - 1) * fourth / square - (n - 3)) / (1 - 1 / n) ** 2
        lost += noise / 2 - math.log1p(-1 / n)
        fourth, square = (
            (n - 1) / n**3 * ((n * n - 3 * n + 3) * fourth + 3 * (2 * n - 3) * square),
            (n - 1) / n**3 * ((n - 1) * fourth + (n * n - 2 * n + 3) * square),
        )
    return lost / generations


def bootstrap_loop(
    vectors: NDArray[np.floating],
    *,
    draws: int = DRAWS,
    generations: int = LAST,
    runs: int = 16,
    directions: int = DIRECTIONS,
    seed: int = 0,
) -> BootstrapLoop:
    """Draw ``draws`` of ``vectors (n, d)`` with replacement, then as many of those, and so on, ``runs`` times.

    Looked at along the ``directions`` strongest eigenvectors of the covariance (fewer where there are fewer). Raises
    InputError for vectors that are not a finite table, for fewer than two draws, or for none of anything.
    """
    cloud = np.asarray(vectors, dtype=np.float64)
    if cloud.ndim != 2 or len(cloud) < 2 or not np.isfinite(cloud).all():
        raise InputError(f"vectors of shape {cloud.shape}", hint="give finite vectors (n, d), at least two")
    if draws < 2 or generations < 1 or runs < 2:
        raise InputError(
            f"{runs} runs of {generations} generations of {draws} draws", hint="give at least 2 runs, 1 and 2 draws"
        )
    coordinates = _coordinates(cloud, directions)
    squares = coordinates**2
    spread = squares.mean(axis=0)
    variances = np.empty((runs, generations + 1, coordinates.shape[1]))
    shifts = np.zeros_like(variances)
    variances[:, 0] = spread
    rng = np.random.default_rng([seed, 17])
    rows = rng.integers(0, len(cloud), (runs, draws))
    for g in range(1, generations + 1):
        if g > 1:
            rows = np.take_along_axis(rows, rng.integers(0, draws, (runs, draws)), axis=1)
        drawn = coordinates[rows]
        shifts[:, g] = drawn.mean(axis=1) ** 2
        variances[:, g] = drawn.var(axis=1)
    kurtosis = float(((squares**2).mean(axis=0) / spread**2).mean())
    return BootstrapLoop(draws=draws, variances=variances, shifts=shifts, kurtosis=kurtosis)


def heavy_cloud(rows: int, directions: int, rng: np.random.Generator, *, freedom: float = 8.0) -> Doubles:
    """Vectors ``(rows, directions)`` of covariance diag(1, 1/√2, …, 1/√d), each direction with Student's tails.

    Their kurtosis is 3 + 6/(ν − 4), ν = ``freedom`` above 4; that of a sample is lower.
    """
    drawn = rng.standard_t(freedom, (rows, directions)) * math.sqrt((freedom - 2) / freedom)
    return drawn / np.arange(1, directions + 1) ** 0.25


def bootstrapped(effort: float, seed: int) -> Finding:
    """C-17: drawing vectors from vectors loses 1/M of the variance a generation, and each direction about 2/M."""
    trial = Trial(effort, seed)
    cloud = heavy_cloud(2_000, DIRECTIONS, trial.rng(17, 1))
    return rates(bootstrap_loop(cloud, runs=trial.runs(400), seed=seed))


def rates(loop: BootstrapLoop) -> Finding:
    """C-17 for any vectors: the rates of their loop against theory, under three standard errors."""
    generations = range(loop.traces.shape[1])
    kept = [(1 - 1 / loop.draws) ** g for g in generations]
    fallen = [-g * log_rate(loop.draws, loop.kurtosis, max(g, 1)) for g in generations]
    logs = np.log(loop.variances / loop.variances[:, :1])
    (trace, trace_error), (log, log_error) = loop.trace_rate, loop.log_rate
    return Finding(
        id="C-17",
        title="Records drawn from records (bootstrap)",
        words="Even a generator that makes no mistake loses 1/M of the variance a generation, and its rare directions.",
        source="derived",
        runs=len(loop.traces),
        outcomes=(
            _within("loss of total variance a generation", 1 / loop.draws, trace, trace_error),
            _within("loss of log variance a direction and generation", -fallen[-1] / generations[-1], log, log_error),
        ),
        curves=(
            curve(
                "total variance",
                generations,
                kept,
                (loop.traces / loop.traces[:, :1]).mean(axis=0),
                labels=(GENERATION, "total variance (all vectors = 1)"),
            ),
            curve(
                "mean log variance",
                generations,
                fallen,
                logs.mean(axis=(0, 2)),
                labels=(GENERATION, "mean ln variance of a direction"),
            ),
        ),
    )


def _within(name: str, expected: float, measured: float, error: float) -> Outcome:
    return Outcome(name=name, expected=expected, measured=measured, tolerance=3 * error)


def _coordinates(cloud: Doubles, directions: int) -> Doubles:
    """Centred coordinates (n, r) along the strongest eigenvectors of the covariance that hold any variance."""
    centred = cloud - cloud.mean(axis=0)
    values, basis = np.linalg.eigh(centred.T @ centred / len(cloud))
    kept = np.flatnonzero(values > 1e-12 * max(values[-1], np.finfo(np.float64).tiny))[::-1][:directions]
    if not kept.size:
        raise InputError("vectors that are all equal", hint="a loop needs vectors with some variance")
    return np.asarray(centred @ basis[:, kept])

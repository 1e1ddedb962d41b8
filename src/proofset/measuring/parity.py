"""Parity: does synthetic text vary as organic text does (D), and is it the same distribution at the scale asked (M)?

Both compare sketches with the reference, so they cost nothing beyond the sketch. Both subtract the noise of a finite
corpus, so their values do not hang on its size.

Their errors are not a jackknife's. Both are squared distances, and the jackknife counts what is quadratic in the
records twice (Efron and Stein 1981): for two equal distributions, where all is quadratic, it is √2 too wide. Here the
variance is that of ``|m|²`` for a noisy mean m with the covariance C of its noise, ``2 tr C² + 4 μ'Cμ``, with C from
the rows that a sketch keeps; each end of an interval takes the variance it would have there, as Wilson's does.

When they lie: D sees the variances of directions, not shapes; a single Gaussian passes it. M sees what moves the means
of random features; a lost mode of 2 % hardly does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from proofset.measuring.blocks import Doubles, Floats
from proofset.measuring.quotient import Estimate
from proofset.measuring.sketch import Sketch

FEATURE_ROWS = 2_000
"""Rows behind the covariances of features; they matter for the error of M alone."""
FLOOR = 1e-9
"""Share of the organic variance below which a direction counts as having this much."""
TINY = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Distribution match, and what follows from it for the worth of a corpus."""

    estimate: Estimate
    ratio: float
    """b²/V: squared bias over the variance of one organic record; below 0 is chance."""
    saturation: float | None
    """n_sat = V/b²: most organic records any amount of this is worth; None while no bias is shown."""

    def equivalent(self, n: int) -> float:
        """Organic records that ``n`` of these are worth: OER = n / (1 + n b²/V), at most ``n``."""
        return n / (1 + n * max(self.ratio, 0.0))


def dispersion(synthetic: Sketch, reference: Sketch) -> Estimate:
    """D = exp(−sgn(Q)√|Q|), Q = mean of ℓ² − se² over directions, ℓ = ln(variance of S / variance of H).

    The last direction is what lies off the basis. A variance off by a factor k in all directions gives min(k, 1/k), by
    ε in one of r gives exp(−|ln ε|/√r); 1 is equal, a little above is chance. The interval is that of Q, for D itself
    has a root at 1.
    """
    (v_S, noise_S, cov_S), (v_H, noise_H, cov_H) = _variances(synthetic), _variances(reference)
    floor = FLOOR * v_H.sum()
    seen = (v_S > floor) | (v_H > floor)
    logs = np.log(np.maximum(v_S, floor) / np.maximum(v_H, floor))[seen]
    q = float(np.mean(logs**2 - (noise_S + noise_H)[seen]))
    noise, r = (cov_S + cov_H)[np.ix_(seen, seen)], len(logs)
    along = float(logs @ noise @ logs) / max(float(logs @ logs), TINY)
    off = math.exp(math.sqrt(max(q, 0.0)))
    words = f"Along the main directions of organic text, synthetic variance is off by a factor of {off:.2f}."
    return Estimate(
        key="D", centre=-q, error=math.sqrt(2 * float((noise**2).sum())) / r, growth=4 * along / r,
        third=8 * float(((noise @ noise) * noise).sum()) / r**3, onto=_rooted,
        n=min(synthetic.n, reference.n), words=words,
    )  # fmt: skip


def _rooted(x: float) -> float:
    return math.exp(math.copysign(math.sqrt(abs(x)), x))


def _variances(sketch: Sketch) -> tuple[Doubles, Doubles, Doubles]:
    """Variance along each direction ``(r+1,)``, noise ``(κ−1)/n`` of its logarithm, and the noise's covariance."""
    n = sketch.n
    first, second, third, fourth = sketch.powers_G.sum(axis=1) / n
    mean = first.copy()
    # the rest is a length: its mean square counts, not its variance
    mean[-1] = 0.0
    variance = second - 2 * mean * first + mean**2
    square = fourth - 4 * mean * third + 6 * mean**2 * second - 4 * mean**3 * first + mean**4
    variance = np.maximum(variance, 0.0)
    safe = np.where(variance > 0, variance, 1.0)
    noise = np.maximum(square / safe**2 - 1, 0.0) / n
    deviations = (sketch.frame.coordinates(sketch.reservoir.vectors) - mean) ** 2 / safe
    return variance, noise, np.atleast_2d(np.cov(deviations.T)) / n


def match(synthetic: Sketch, reference: Sketch, scale: int) -> Match:
    """M = 1 / (1 + n0 b²/V): the worth of ``scale`` (n0) of these records in organic ones, per record.

    b² is the squared distance of kernel means without its noise, V the variance of one organic record, so n0 organic
    records have the risk V/n0 and n0 synthetic ones V/n0 + b². The kernel is the mean of four Gaussian ones through
    random features. Chance moves M by about n0/n √(2/ν), ν the effective rank of the kernel, hence n0 ≤ n/40.
    """
    m_S = synthetic.features_G.sum(axis=0) / synthetic.n
    m_H = reference.features_G.sum(axis=0) / reference.n
    variance = (1 - m_H @ m_H) * reference.n / (reference.n - 1)
    noise = (1 - m_S @ m_S) / (synthetic.n - 1) + (1 - m_H @ m_H) / (reference.n - 1)
    delta = m_S - m_H
    ratio = float((delta @ delta - noise) / variance)
    chance = _chance(synthetic, reference, delta, delta - ratio * m_H)
    growth = 4 * chance.linear / max(float(delta @ delta), float(noise) / 2)
    worth = _worth(-ratio, scale=scale)
    estimate = Estimate(
        key="M", centre=-ratio, error=chance.error / float(variance), growth=growth / float(variance),
        third=chance.third / float(variance) ** 3, onto=partial(_worth, scale=scale), n=min(synthetic.n, reference.n),
        words=f"{scale} of these records tell as much about organic text as {scale * worth:.0f} fresh organic ones.",
    )  # fmt: skip
    return Match(estimate=estimate, ratio=ratio, saturation=1 / ratio if estimate.bound(0.975) < 1 else None)


def _worth(x: float, *, scale: int) -> float:
    return 1 / max(1 - scale * x, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chance:
    """What chance does to b²."""

    error: float
    """Standard error if it is 0."""
    third: float
    """Third cumulant if it is 0."""
    linear: float
    """A quarter of the part of its variance that grows with it."""


def _chance(synthetic: Sketch, reference: Sketch, along_S: Doubles, along_H: Doubles) -> _Chance:
    """From the covariance C of the noise of ``m_S − m_H``; ``along (D,)`` are half the gradients of b² − (b²/V) V."""
    ours, theirs = _features(synthetic), _features(reference)
    a, b = (rows.T @ rows / np.float32(len(rows)) for rows in (ours, theirs))
    square = _square(ours, a) / synthetic.n**2 + _square(theirs, b) / reference.n**2
    square += 2 * float((a * b).sum()) / (synthetic.n * reference.n)
    # in units of one record's noise: float32 would lose a cube of what is left at a million records
    noise = a * np.float32(reference.n / synthetic.n) + b
    cube = float(((noise @ noise) * noise).sum(dtype=np.float64)) / reference.n**3
    linear = float(np.var(ours @ along_S, ddof=1)) / synthetic.n + float(np.var(theirs @ along_H, ddof=1)) / reference.n
    return _Chance(error=math.sqrt(2 * max(square, 0.0)), third=8 * cube, linear=linear)


def _features(sketch: Sketch) -> Floats:
    kept = sketch.frame.features(sketch.reservoir.vectors[:FEATURE_ROWS])
    return np.asarray(kept - kept.mean(axis=0))


def _square(rows: Floats, covariance: Floats) -> float:
    """Trace of the square of the covariance of centred ``rows (m, D)``, without what each row's own square adds."""
    m, own = len(rows), float((np.einsum("ij,ij->i", rows, rows, dtype=np.float64) ** 2).sum())
    return (float((covariance.astype(np.float64) ** 2).sum()) * m * m - own) / (m * (m - 1))

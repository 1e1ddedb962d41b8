"""Spread: how far a corpus still reaches, against organic records of the same number.

Four respects, each an estimate with its error: retained variance by direction (A), effective rank (ER), rare modes that
are alive (TS), and the Vendi score of order 2 (V2). Variance and Vendi are unbiased at any size; rank is compared over
random draws of equal size; modes by rarefaction, the exact mean over all draws (Hurlbert 1971).

Errors are those of both corpora, for other corpora of the same two sources. They come from influence functions over
the rows that a sketch keeps, so a heavy tail that these few rows do not hold is missed.

When it lies: directions and modes are the frame's, so what its encoder does not tell apart cannot be lost. Rows that
hang together, such as chunks of one document, make every error too small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from proofset.measuring.blocks import Doubles, Floats
from proofset.measuring.diversity import effective_rank
from proofset.measuring.quotient import Estimate
from proofset.measuring.sketch import Sketch

Counts = NDArray[np.int64]

DRAWS = 20
"""Organic draws of equal size that a rank is held against, at least."""
CUTS = 5
"""Draws to which a larger generation is cut."""
LIKELY = 0.6
"""Weight in the error of a direction of which nobody knows whether it has shrunk or grown."""
OUTLYING = 2.5
"""Standard errors beyond which a direction no longer says how the others vary."""
RATES = np.concatenate([[0.0], np.geomspace(0.05, 60.0, 34)])
"""Expected records of a mode, at which the mixture over modes has mass."""
ROUNDS = 50
"""Steps of the mixture's fit: few, so that it stays smooth."""
LEAST = 0.1
"""Variance of a number of modes alive, at least: none of them is sure."""


@dataclass(frozen=True, slots=True)
class Noise:
    """A squared error, and how well it is known itself."""

    variance: float = 0.0
    dof: float = math.inf
    """Degrees of freedom, few where a heavy tail decides."""

    @classmethod
    def of(cls, influence: Doubles, n: int) -> Noise:
        """Of a mean over ``n`` records, of whose summands some are the ``influence (k,)``.

        ``s² / n``, whose own variance hangs on the summands' kurtosis κ: 2k / (κ − 1) degrees of freedom, about.
        """
        k, spread = len(influence), float(influence.var(ddof=1))
        if spread <= 0:
            return cls()
        kurtosis = float(((influence - influence.mean()) ** 4).mean()) / float(influence.var()) ** 2
        return cls(spread / n, max(2 * k / max(kurtosis - (k - 3) / (k - 1), 1e-3), 3.0))

    def __add__(self, other: Noise) -> Noise:
        """Of the sum of two independent numbers (Satterthwaite 1946)."""
        variance = self.variance + other.variance
        doubt = self.variance**2 / self.dof + other.variance**2 / other.dof
        return Noise(variance, variance**2 / doubt if doubt > 0 else math.inf)

    @property
    def error(self) -> float:
        """Standard error."""
        return math.sqrt(self.variance)


@dataclass(frozen=True, eq=False)
class Spread:
    """What is asked of one corpus; its sketch may be forgotten."""

    n: int
    variances: Doubles
    """Along each direction of the frame ``(r,)``, unbiased."""
    squares: Doubles
    """Squared coordinates of the kept rows over their means ``(k, r)``."""
    modes: Counts
    """Records in each mode ``(modes,)``."""
    rows: Floats
    """A uniform sample of the rows, all of them if they are few, in random order."""
    vendi: float
    """Order 2, from sums over all rows; NaN where no two rows point the same way at all."""
    vendi_noise: Noise
    """Of its logarithm."""

    @classmethod
    def of(cls, sketch: Sketch) -> Spread:
        """The spread of a sketched corpus of at least two rows."""
        rows = sketch.reservoir.vectors
        sums = sketch.powers_G[:2, :, :-1].sum(axis=1)
        variances = ((sums[1] - sums[0] ** 2 / sketch.n) / (sketch.n - 1)).clip(min=0.0)
        # what float64 cannot tell from nothing is nothing
        variances[variances < 1e-12 * sums[1] / sketch.n] = 0.0
        vendi, noise = vendi_2(sketch)
        return cls(
            n=sketch.n, variances=variances, squares=_squares(sketch, rows), modes=sketch.modes_G.sum(axis=0),
            rows=rows, vendi=vendi, vendi_noise=noise,
        )  # fmt: skip

    @cached_property
    def dependence(self) -> Doubles:
        """Covariance ``(r, r)`` of relative squared coordinates, record by record: 2 I for normal ones."""
        return np.atleast_2d(np.cov(self.squares.T))

    @cached_property
    def rank_noise(self) -> Noise:
        """Of the logarithm of the effective rank of the kept rows."""
        return Noise.of(log_rank(self.rows)[1], len(self.rows))


def _squares(sketch: Sketch, rows: Floats) -> Doubles:
    coordinates = sketch.frame.coordinates(rows)[:, :-1]
    squares = (coordinates - coordinates.mean(axis=0)) ** 2
    means = squares.mean(axis=0)
    return np.asarray(squares / np.where(means > 0, means, 1.0))


def vendi_2(sketch: Sketch) -> tuple[float, Noise]:
    """Vendi score of order 2 of a corpus, and the noise of its logarithm.

    ``Σ |x|²|x'|² / Σ (x·x')²`` over pairs of different rows: 1 over the mean squared cosine where rows have length 1
    (Friedman and Dieng 2023, without the bias of a row's similarity with itself). From 1 for rows that are all alike.
    """
    lengths, products = float(np.trace(sketch.products)), float((sketch.products**2).sum())
    above, below = lengths**2 - sketch.fourth, products - sketch.fourth
    if below <= 1e-12 * products:
        return math.nan, Noise()
    rows = sketch.reservoir.vectors.astype(np.float64)
    squares = np.einsum("ij,ij->i", rows, rows)
    alike = np.einsum("ij,ij->i", rows @ sketch.products, rows) - squares**2
    influence = 2 * squares / squares.mean() - 2 * alike / alike.mean()
    return above / below, Noise.of(influence, sketch.n)


def log_rank(rows: Floats) -> tuple[float, Doubles]:
    """Logarithm of the effective rank of ``rows (n, d)``, and the influence of each row on it ``(n,)``.

    The rank is ``exp(H)``, ``H = −Σ p ln p`` over the covariance's eigenvalues λ with ``p = λ / Σλ``; a row with the
    principal coordinates z moves H by ``−Σ (ln p + H) z² / Σλ``, over n. ``−inf`` where all rows are equal.
    """
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    n, d = centred.shape
    wide = d > n
    values, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    if values[-1] <= 1e-12 * float(np.square(rows, dtype=np.float64).sum()):
        return -math.inf, np.zeros(n)
    kept = values > 1e-12 * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    shares = values / values.sum()
    entropy = -float((shares * np.log(shares)).sum())
    squares = vectors**2 * values if wide else (centred @ vectors) ** 2
    return entropy, np.asarray(squares @ (np.log(shares) + entropy) * (-n / values.sum()))


# --- variance ------------------------------------------------------------------------------------------------------


def retention(ours: Spread, organic: Spread) -> Doubles:
    """Share ``(r,)`` of the organic variance that is left in each direction; above 1 where there is more."""
    return np.asarray(ours.variances / np.where(organic.variances > 0, organic.variances, np.inf))


def kept_variance(ours: Spread, organic: Spread) -> Estimate:
    """A = Σ λ min(1, ρ) / Σ λ: retained variance where gains do not make up for losses; λ organic, ρ the retention.

    The noise of both corpora pushes every ρ near 1 below it as often as above, and only what is below counts, so the
    plain sum is too low: by 4 % for 300 organic records. That is added back, ``s ψ(|1−ρ|/s)`` a direction with its
    standard error s and ψ(t) = φ(t) − t Φ(−t), where ρ is first drawn towards the other directions as far as their
    noise explains that they differ.
    """
    ratio = retention(ours, organic)
    errors = np.sqrt(np.diag(ours.dependence) / ours.n + np.diag(organic.dependence) / organic.n).clip(min=1e-12)
    drawn, unsure = _shrunk(np.log(ratio.clip(min=1e-12)), errors)
    level = np.minimum(np.exp(drawn), 1.0)
    lost_by_noise = _shortfall(np.abs(1.0 - np.exp(drawn)), errors * level)
    weights = organic.variances / organic.variances.sum()
    value = float((weights * (np.minimum(ratio, 1.0) + lost_by_noise)).sum())
    slope = weights * np.minimum(ratio, 1.0) * np.maximum(_below(drawn, unsure), LIKELY)
    noise = Noise.of(ours.squares @ slope, ours.n) + Noise.of(organic.squares @ slope, organic.n)
    return Estimate(key="variance", centre=min(value, 1.0), error=noise.error, dof=noise.dof, n=ours.n)


def _shrunk(logs: Doubles, errors: Doubles) -> tuple[Doubles, Doubles]:
    """Logarithms drawn towards their median as far as noise explains their differences, and their remaining errors."""
    middle = float(np.median(logs))
    strange = np.clip((logs - middle) / errors, -OUTLYING, OUTLYING)
    real = max(float((strange**2).mean()) / 0.98 - 1.0, 0.0) * float(np.median(errors**2))
    trust = real / (real + errors**2)
    return middle + trust * (logs - middle), np.sqrt(trust) * errors


def _shortfall(distance: Doubles, error: Doubles) -> Doubles:
    """``E max(0, error Z − distance)`` for a standard normal Z."""
    from scipy.special import ndtr

    t = np.minimum(distance / np.maximum(error, 1e-300), 40.0)
    return np.asarray(error * (np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi) - t * ndtr(-t)))


def _below(logs: Doubles, errors: Doubles) -> Doubles:
    """Chance that each ratio is below 1."""
    from scipy.special import ndtr

    return np.asarray(ndtr(-logs / np.maximum(errors, 1e-9)))


# --- rank ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rank:
    """Mean logarithm of the effective rank of a corpus at a given size."""

    log: float
    noise: Noise
    """Against that of other corpora of the same source."""


def rank_at(spread: Spread, n: int, draws: int, seed: int) -> Rank:
    """Of ``n`` of its kept rows, over ``draws`` random draws without replacement; one where n is all of them."""
    kept = len(spread.rows)
    rng = np.random.default_rng([seed, 11, n])
    picks = [rng.permutation(kept)[:n] for _ in range(draws if n < kept else 1)]
    ranks = np.array([effective_rank(spread.rows[pick].astype(np.float64)) for pick in picks])
    if not ranks.all():
        return Rank(-math.inf, Noise())
    logs = np.log(ranks)
    of_draws = Noise(float(logs.var(ddof=1)) / len(logs), len(logs) - 1) if len(logs) > 1 else Noise()
    return Rank(float(logs.mean()), spread.rank_noise + of_draws)


def kept_rank(ours: Rank, organic: Rank, n: int) -> Estimate:
    """ER: effective rank over that of organic records of the same number n."""
    noise = ours.noise + organic.noise
    centre = ours.log - organic.log
    return Estimate(key="rank", centre=centre, error=noise.error, dof=noise.dof, onto=math.exp, n=n)


def kept_vendi(ours: Spread, organic: Spread) -> Estimate | None:
    """V2: Vendi score of order 2 over the organic one; None where one of them cannot be taken."""
    if math.isnan(ours.vendi) or math.isnan(organic.vendi):
        return None
    noise = ours.vendi_noise + organic.vendi_noise
    centre = math.log(ours.vendi / organic.vendi)
    return Estimate(key="vendi", centre=centre, error=noise.error, dof=noise.dof, onto=math.exp, n=ours.n)


# --- modes ---------------------------------------------------------------------------------------------------------


def alive(counts: Counts, total: int, n: float) -> float:
    """Modes that ``n`` records hold on average over all draws from a ``total`` with these ``counts (modes,)``.

    Rarefaction, ``Σ 1 − C(N − c, n) / C(N, n)`` (Hurlbert 1971); n may be broken, up to the total.
    """
    from scipy.special import gammaln

    c = counts[counts > 0].astype(np.float64)
    if n >= total:
        return float(len(c))
    missable = c[c <= total - n]
    missed = gammaln(total - missable + 1) - gammaln(total - missable - n + 1)
    missed += gammaln(total - n + 1) - gammaln(total + 1)
    return float(len(c) - np.exp(missed).sum())


def alive_variance(counts: Counts, total: int, n: int, sampled: int | None = None) -> float:
    """Variance of the number of modes alive at ``n``, averaged over draws from ``sampled`` records of the same source.

    With λ expected records a mode and f = n / sampled it is ``Σ e^(−λ(2−f)) − e^(−2λ)``, the sum taken over a mixture
    of λ that is fitted to the ``counts`` of the total (Laird 1978): the modes' own counts would say that a dead mode
    surely stays dead. ``sampled`` is the total itself unless given.
    """
    f = n / (total if sampled is None else sampled)
    mixture = _mixture(counts)
    rates = RATES * n / total
    return max(float(len(counts) * (mixture * (np.exp(-rates * (2 - f)) - np.exp(-2 * rates))).sum()), LEAST)


def _mixture(counts: Counts) -> Doubles:
    """Mass on each of ``RATES`` of a Poisson mixture that is fitted to ``counts`` by expectation-maximisation."""
    from scipy.special import gammaln, xlogy

    c = np.minimum(counts, RATES[-1])[:, None]
    likelihood = np.exp(xlogy(c, RATES) - RATES - gammaln(c + 1))
    mass = np.full(len(RATES), 1 / len(RATES))
    for _ in range(ROUNDS):
        share = likelihood * mass
        mass = (share / share.sum(axis=1, keepdims=True)).mean(axis=0)
    return np.asarray(mass)


def kept_modes(ours: Spread, organic: Spread, rare: NDArray[np.intp], n: int) -> Estimate | None:
    """TS: rare modes that are alive over those of organic records of the same number; None if these hold none.

    The interval joins Wilson's for both numbers, with the variance that modes of unlike mass have, as a ratio (Donner
    and Zou 2012).
    """
    theirs = alive(organic.modes[rare], organic.n, n)
    if theirs <= 0:
        return None
    here = alive(ours.modes[rare], ours.n, n)
    above = _wilson(here, len(rare), alive_variance(ours.modes[rare], ours.n, n))
    below = _wilson(theirs, len(rare), alive_variance(organic.modes[rare], organic.n, n))
    onto = partial(_ratio_bound, here, theirs, above, below)
    return Estimate(key="rare modes", centre=0.0, error=1.0, onto=onto, n=n)


Interval = Callable[[float], tuple[float, float]]


def _wilson(alive: float, modes: int, variance: float) -> Interval:
    """Wilson's interval of a number of modes alive at a normal deviate, with a variance other than the binomial one."""
    near = min(max(alive, 0.25), modes - 0.25)
    trials = near * (modes - near) / variance

    def at(z: float) -> tuple[float, float]:
        p, part = alive / modes, z * z / trials
        centre = (p + part / 2) / (1 + part)
        half = math.sqrt(max(part * p * (1 - p) + part * part / 4, 0.0)) / (1 + part)
        return modes * max(centre - half, 0.0), modes * min(centre + half, 1.0)

    return at


def _ratio_bound(above: float, below: float, above_at: Interval, below_at: Interval, z: float) -> float:
    """Bound of a ratio at a normal deviate, from the intervals of numerator and denominator."""
    (a_low, a_high), (b_low, b_high) = above_at(abs(z)), below_at(abs(z))
    product = above * below
    if z <= 0:
        inner = product**2 - a_low * b_high * (2 * above - a_low) * (2 * below - b_high)
        room = b_high * (2 * below - b_high)
        return max((product - math.sqrt(max(inner, 0.0))) / room, 0.0) if room > 0 else 0.0
    inner = product**2 - a_high * b_low * (2 * above - a_high) * (2 * below - b_low)
    room = b_low * (2 * below - b_low)
    return (product + math.sqrt(max(inner, 0.0))) / room if room > 0 else math.inf

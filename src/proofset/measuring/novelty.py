"""Novelty: are synthetic records copies of training (A1), of anything organic at hand (A2), or of each other (U)?

All three ask for nearest rows, exactly, for a neighbour missed is a copy hidden. Queries are a uniform sample; what
they are held against is whole. Train and reference must be of equal size, else the larger one is nearer.

The error of A1 is not a jackknife's. Which row is nearest is decided among all rows at once, and the jackknife counts
such interactions many times over. Instead, queries won by one group of training or reference rows are one cluster: a
row that wins many queries (a hub) decides over all of them together.

When they lie: a paraphrase that the encoder puts far away is no copy here. None of them is a promise of privacy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.measuring.blocks import Doubles, Floats
from proofset.measuring.neighbours import within
from proofset.measuring.quotient import Estimate, Missing, Taken, least_error, of_every

NOVEL_QUANTILE = 0.10
"""Share of fresh organic records that count as not novel: A2 is 1 if as few synthetic ones do."""
REPEATED_QUANTILE = 0.01
"""Share of fresh organic records that count as repeated: U is 1 if as few synthetic ones do."""
ROUNDING = 2e-4
"""Distances are right to the fourth digit."""
CLUSTERED = 2_000
"""Repeated rows that are put together into clusters, at most."""


def authenticity(to_train: Floats, to_reference: Floats, sizes_T: Doubles, sizes_H: Doubles) -> Estimate:
    """A1 = 2 (1 − share), share = P(d_T < d_H) + ½ P(d_T = d_H): 1 where training is no nearer than the reference.

    From distances ``(q, G)`` to the nearest row of each group of train and of reference, and their sizes ``(G,)``. A
    share f of copies gives 1 − f. Copies of the *reference* give up to 2: A2 sees those.
    """
    q = len(to_train)
    d_T, d_H = to_train.min(axis=1), to_reference.min(axis=1)
    nearer = np.where(d_T < d_H, 1.0, np.where(d_T > d_H, 0.0, 0.5))
    share = float(nearer.mean())
    ours = _won(nearer, to_train.argmin(axis=1), sizes_T) * (1 - share) ** 2
    theirs = _won(1 - nearer, to_reference.argmin(axis=1), sizes_H) * share**2
    dof = _welch((ours, len(sizes_T) - 1), (theirs, len(sizes_H) - 1))
    error = max(math.sqrt(ours + theirs) / q, least_error(share, q))
    words = of_every(2 * share - 1, "synthetic records")
    words = f"{words} lie closer to training than fresh organic ones do: copied."
    return Estimate(key="A1", centre=2 * (1 - share), error=2 * error, dof=dof, n=q, words=words)


def _won(won: Doubles, by: NDArray[np.intp], sizes_G: Doubles) -> float:
    """Variance of the sum of ``won (q,)``, from the sums of groups of winners, in proportion to the groups' sizes."""
    groups = len(sizes_G)
    sums = np.bincount(by, won, minlength=groups)
    off = sums - sums.sum() * sizes_G / sizes_G.sum()
    return float((off**2).sum()) * groups / (groups - 1)


def _welch(*variances: tuple[float, float]) -> float:
    """Degrees of freedom of a sum of variances that have each their own (Welch 1947)."""
    total = sum(variance for variance, _ in variances)
    weights = sum((variance / total) ** 2 / dof for variance, dof in variances) if total else 0.0
    return 1 / weights if weights else math.inf


def novelty(synthetic: Floats, control: Floats) -> Taken:
    """A2 = P(d > t | S) / P(d > t | C), t the 10 % quantile of d for C: copies of anything organic at hand lower it.

    From distances ``(q,)`` to the nearest row of train and reference together. The error is the delta method's: both
    samples of queries, and the noise of t, which moves S by the ratio of the two densities at t.
    """
    t = _quantile(control, NOVEL_QUANTILE)
    near_C = float((control <= t).mean())
    if near_C == 1.0:
        return Missing(key="A2", why="no fresh organic record is new against the known ones")
    near_S = float((synthetic <= t).mean())
    moves = slope(synthetic, control, NOVEL_QUANTILE)
    variance = near_S * (1 - near_S) / len(synthetic) + moves**2 * near_C * (1 - near_C) / len(control)
    error = max(math.sqrt(variance), least_error(near_S, len(synthetic)))
    value = (1 - near_S) / (1 - near_C)
    words = of_every(1 - value, "synthetic records")
    return Estimate(
        key="A2", centre=value, error=error / (1 - near_C), n=len(synthetic),
        words=f"{words} repeat known organic ones, beyond what fresh organic ones do.",
    )  # fmt: skip


def slope(ours: Floats, theirs: Floats, p: float) -> float:
    """Ratio of the densities of two samples of distances around quantile ``p`` of the second one."""
    low, high = _quantile(theirs, p / 2), _quantile(theirs, 2 * p)
    inside = float(((theirs > low) & (theirs <= high)).mean())
    return float(((ours > low) & (ours <= high)).mean()) / inside if inside else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """What is known of how many rows of a corpus have another one close by."""

    share: float
    variance: float
    n: int
    """Rows that were looked at."""
    dof: float = math.inf
    """Degrees of freedom of the variance."""


def repeats(queries: Floats, distances: Floats, threshold: float) -> Repeats:
    """Share of ``queries (q, d)`` with another row within ``threshold``, by their ``distances (q,)`` to the nearest.

    Rows near each other are one cluster, for they are found together: a pair that is missing takes two rows away.
    """
    flags = distances <= threshold
    q, share = len(flags), float(flags.mean())
    rows = queries[flags][:CLUSTERED]
    sizes = _clusters(rows, threshold)
    squares = float((sizes**2).sum()) * (int(flags.sum()) / max(len(rows), 1))
    variance = (squares * (1 - share) ** 2 + float(q - flags.sum()) * share**2) / q**2
    return Repeats(share=share, variance=max(variance, least_error(share, q) ** 2), n=q, dof=max(len(sizes), 1))


def _clusters(rows: Floats, threshold: float) -> Doubles:
    """Sizes of the clusters of rows that are linked by distances within the threshold."""
    from scipy.sparse.csgraph import connected_components

    if not len(rows):
        return np.zeros(0)
    linked = within(rows, np.full(len(rows), threshold * (1 + ROUNDING), dtype=np.float32), rows)
    _, labels = connected_components(linked, directed=False)
    return np.bincount(labels).astype(np.float64)


def uniqueness(synthetic: Repeats, control: Repeats, *, moves: float, n_S: int, n_C: int) -> Taken:
    """U = share of S without a near-duplicate in S / the same for C, near being 1 % quantile of distances within C.

    A larger corpus is denser: what is unique among n_C organic records is so among n_S with P(unique)^(n_S / n_C), the
    chance that a Poisson number of others stays away. The noise of the threshold moves S by ``moves``, the ratio of the
    densities of distances at it.

    When it lies: with many more records than C has, where organic text is dense in some places only, U is above 1.
    """
    power = n_S / n_C
    if control.share == 1.0:
        return Missing(key="U", why="every fresh organic record has a near-duplicate")
    organic = (1 - control.share) ** power
    value = (1 - synthetic.share) / organic
    parts = ((synthetic.variance, synthetic.dof), (moves**2 * control.variance, control.dof))
    error = math.sqrt(sum(variance for variance, _ in parts)) / organic
    words = of_every(1 - value, "synthetic records")
    words = f"{words} repeat other synthetic ones, beyond what fresh organic ones do."
    return Estimate(key="U", centre=value, error=error, dof=_welch(*parts), n=synthetic.n, words=words)


def threshold(distances: Floats) -> float:
    """The 1 % quantile of distances ``(q,)`` of fresh organic records to the nearest other."""
    return _quantile(distances, REPEATED_QUANTILE)


def _quantile(values: Floats, p: float) -> float:
    """The smallest distance that at least a share ``p`` does not exceed, and a little further.

    Between two values, more than ``p`` would be below it. Two rows nearest to each other have one distance but for
    rounding, so it must not lie between them.
    """
    return float(np.quantile(values, p, method="inverted_cdf")) * (1 + ROUNDING)

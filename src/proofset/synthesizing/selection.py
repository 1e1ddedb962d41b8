"""Which of the accepted records to hand on, how much each should weigh, and in which order they are learnt.

More accepted records are not always better: those that a generator likes to write crowd out the rest. Selection takes
the subset that is closest to the organic distribution, rare modes first if so wished.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proofset.errors import InputError

BLOCK_CELLS = 4_000_000
"""Kernel values are computed in blocks of about this many, so that memory does not grow with the square of records."""
PAIRED_ROWS = 1_000
"""Organic records, spread over all of them, whose distances set the bandwidth."""

Doubles = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The chosen subset of a pool. Every tuple is aligned with ``indices``, but for ``order``."""

    indices: tuple[int, ...]
    """Rows of the pool, in the order in which they were picked: any beginning of it is a selection of its own."""
    weights: tuple[float, ...]
    """Weight of each in training against an organic record's 1."""
    order: tuple[int, ...]
    """The same rows of the pool from easy to hard; as picked where no difficulty was given."""
    mmd2_before: float | None
    """Squared MMD between the whole pool and the target; None for an empty pool."""
    mmd2_after: float | None
    """Squared MMD between the chosen subset and the target; None when nothing was chosen."""


def select(
    pool: ArrayLike,
    organic: ArrayLike,
    k: int,
    seed: int,
    *,
    modes: int = 20,
    gamma: float = 0.5,
    p_correct: ArrayLike | None = None,
    difficulty: ArrayLike | None = None,
) -> Selection:
    """The ``k`` records of ``pool`` ``(n, d)`` that together are closest to ``organic`` ``(m, d)``; all if ``k`` ≥ n.

    The target is the organic distribution with its rare modes raised (``mode_weights``); ``gamma`` 0 leaves it as it
    is. Weights come of ``record_weights``, with every record held to be right unless ``p_correct`` ``(n,)`` says
    otherwise; the order of ``curriculum`` by ``difficulty`` ``(n,)``. It lies as the encoder does, and a selection that
    is close to the organic records in it can still be wrong in its labels. Raises InputError for what ``herd``,
    ``mode_weights``, ``record_weights`` or ``curriculum`` raise it for.
    """
    rows, target = _matrix(pool, "pool"), _matrix(organic, "organic")
    weights_m = mode_weights(target, modes, gamma, seed)
    picked, path = herd(rows, target, k, weights_m)
    right = np.ones(len(rows)) if p_correct is None else _column(p_correct, "p_correct", len(rows))
    hardness = np.arange(len(rows)) if difficulty is None else _column(difficulty, "difficulty", len(rows))
    in_place = np.sort(picked)  # so that ties go to the lower row of the pool
    order = picked if difficulty is None else in_place[curriculum(hardness[in_place])]
    return Selection(
        indices=tuple(picked.tolist()),
        weights=tuple(record_weights(right[picked], len(target)).tolist()),
        order=tuple(order.tolist()),
        mmd2_before=mmd2(rows, target, weights_m) if len(rows) else None,
        mmd2_after=float(path[-1]) if len(path) else None,
    )


def herd(pool: ArrayLike, organic: ArrayLike, k: int, weights: ArrayLike | None = None) -> tuple[Places, Doubles]:
    """Rows of ``pool`` ``(n, d)`` in the order picked ``(k,)``, and the squared MMD to ``organic`` after each ``(k,)``.

    Kernel herding without replacement (Chen, Welling & Smola 2010): pick t + 1 maximises μ(x) - Σ k(x, xₛ) / (t + 1),
    where μ is the mean kernel to ``organic`` ``(m, d)``, weighted by ``weights`` ``(m,)``. With a kernel of constant
    k(x, x) that is the greedy descent of the MMD. The kernel is exp(-|x - y|² / h), h the median squared distance of
    organic records. Ties go to the lower row. Exact, in O((k + m) n d); memory O(n). It lies in that greedy is not
    best, and in that one bandwidth sees no finer differences than h. Raises InputError for a negative ``k``, no organic
    records, other widths, or numbers that are not finite.
    """
    rows, target = _matrix(pool, "pool"), _matrix(organic, "organic")
    if k < 0:
        raise InputError(f"{k} records cannot be selected", hint="give 0 or more")
    share, h = _shares(weights, len(target)), _bandwidth(target)
    if not len(rows) or not k:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    _same_width(rows, target)
    near, spread = _mean_kernel(rows, target, share, h), float(share @ _mean_kernel(target, target, share, h))
    crowd, free = np.zeros(len(rows)), np.ones(len(rows), dtype=bool)
    picked, path, within, reached = list[int](), list[float](), 0.0, 0.0
    for taken in range(1, min(k, len(rows)) + 1):
        pick = int(np.argmax(np.where(free, near - crowd / taken, -np.inf)))
        free[pick] = False
        within += 2 * float(crowd[pick]) + 1.0
        reached += float(near[pick])
        crowd += _kernel(rows, rows[pick : pick + 1], h)[:, 0]
        picked.append(pick)
        path.append(max(0.0, within / taken**2 - 2 * reached / taken + spread))
    return np.asarray(picked, dtype=np.intp), np.asarray(path)


def mmd2(pool: ArrayLike, organic: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Squared maximum mean discrepancy (Gretton et al. 2012) of ``pool`` ``(n, d)`` to ``organic`` ``(m, d)``, 0 to 2.

    Kernel, bandwidth and ``weights`` are those of ``herd``. The V-statistic, biased upwards by about (1/n + 1/m): it
    compares subsets of one size honestly, and favours the larger of two sizes. Raises InputError for an empty pool.
    """
    rows, target = _matrix(pool, "pool"), _matrix(organic, "organic")
    share, h = _shares(weights, len(target)), _bandwidth(target)
    if not len(rows):
        raise InputError("an empty pool has no distance to anything", hint="give at least one record")
    _same_width(rows, target)
    even = np.full(len(rows), 1 / len(rows))
    near = float(even @ _mean_kernel(rows, target, share, h))
    within, spread = (
        float(even @ _mean_kernel(rows, rows, even, h)),
        float(share @ _mean_kernel(target, target, share, h)),
    )
    return max(0.0, within - 2 * near + spread)


def mode_weights(organic: ArrayLike, modes: int, gamma: float, seed: int) -> Doubles:
    """Weight ``(m,)`` of each organic record: 1 / size of its mode to the power ``gamma``, with mean 1.

    Modes are k-means clusters of ``organic`` ``(m, d)``. ``gamma`` 0: as they come; 1: every mode has the same total
    weight, however rare; between: rare ones are raised. It lies when a mode of few records is a mislabelled or broken
    lot: it is raised as well. Raises InputError for fewer than one mode, or ``gamma`` outside [0, 1].
    """
    rows = _matrix(organic, "organic")
    if modes < 1 or not 0.0 <= gamma <= 1.0:
        raise InputError(f"{modes} modes, gamma {gamma}", hint="give at least one mode, and gamma between 0 and 1")
    found = min(modes, len(np.unique(rows, axis=0)))
    if not gamma or found < 2:
        return np.ones(len(rows))
    from sklearn.cluster import KMeans

    numbers = KMeans(found, n_init=4, random_state=seed % 2**32).fit_predict(rows)
    weights = np.asarray(np.bincount(numbers)[numbers], dtype=np.float64) ** -gamma
    return np.asarray(weights / weights.mean())


def optimal_share(n_organic: float, n_synthetic: float) -> float:
    """w*: the share of all training weight that the organic records together should have.

    w* = (√(r² + 4r) - r) / 2 with r = ``n_organic`` / ``n_synthetic`` (He, Xu & Cheng 2025): 0.618 at r = 1, where the
    plain pool gives them 0.5. It is optimal for the mean in a settled loop in which each generation is trained on new
    organic and its own synthetic records; for one round with well verified records it gives synthetic ones too little.
    Raises InputError for negative numbers or none at all.
    """
    if not (0 <= n_organic < math.inf and 0 <= n_synthetic < math.inf and n_organic + n_synthetic > 0):
        raise InputError(f"{n_organic} organic and {n_synthetic} synthetic records", hint="give numbers of records")
    if not n_organic:
        return 0.0
    return 2 / (math.sqrt(1 + 4 * n_synthetic / n_organic) + 1)  # the same root, stable when organic ones are many


def record_weights(p_correct: ArrayLike, n_organic: int) -> Doubles:
    """Weight ``(n,)`` of each synthetic record against an organic record's 1: w* · the probability that it is right.

    ``p_correct`` ``(n,)`` are those probabilities; their sum is the number of synthetic records that w* counts. Since
    w*² = r (1 - w*), right records at weight w* are exactly what leaves the organic ones the share w*. It lies when the
    probabilities are not calibrated. Raises InputError without organic records, or for what is no probability.
    """
    given = np.asarray(p_correct, dtype=np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        raise InputError("p_correct must be probabilities of shape (n,)", hint="give numbers between 0 and 1")
    if n_organic < 1:
        raise InputError("weights against organic records, and there are none", hint="give the organic records")
    return given * optimal_share(n_organic, float(given.sum()))


def curriculum(difficulty: ArrayLike, ids: Sequence[str] = ()) -> Places:
    """Places of records from easy to hard ``(n,)``; ties by id, or by place where no ids are given.

    ``difficulty`` ``(n,)`` is the caller's, for example 1 - the student's margin. Raises InputError for numbers that
    are not finite, or another number of ids.
    """
    hardness = np.asarray(difficulty, dtype=np.float64)
    hardness = _column(hardness, "difficulty", len(hardness) if hardness.ndim else 0)
    if ids and len(ids) != len(hardness):
        raise InputError(f"{len(ids)} ids of {len(hardness)} records", hint="give one id for each record")
    return np.asarray(sorted(range(len(hardness)), key=lambda n: (hardness[n], ids[n] if ids else "")), dtype=np.intp)


def _mean_kernel(rows: Doubles, target: Doubles, share: Doubles, h: float) -> Doubles:
    """Weighted mean kernel ``(n,)`` of each row to the target, block by block."""
    return np.concatenate([_kernel(rows[part], target, h) @ share for part in _blocks(len(rows), len(target))])


def _kernel(rows: Doubles, target: Doubles, h: float) -> Doubles:
    return np.asarray(np.exp(-_squares(rows, target) / h))


def _squares(rows: Doubles, target: Doubles) -> Doubles:
    """Squared distances ``(n, m)``."""
    squares = (rows**2).sum(axis=1)[:, None] + (target**2).sum(axis=1)[None, :] - 2 * rows @ target.T
    return np.asarray(np.maximum(squares, 0.0))


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, BLOCK_CELLS // max(1, columns))
    return (slice(start, start + step) for start in range(0, rows, step))


def _bandwidth(target: Doubles) -> float:
    """Median squared distance of organic records that differ; 1 where none do."""
    some = target[np.linspace(0, len(target) - 1, min(len(target), PAIRED_ROWS)).astype(int)]
    squares = _squares(some, some)[np.triu_indices(len(some), 1)]
    apart = squares[squares > 1e-12]
    return float(np.median(apart)) if len(apart) else 1.0


def _shares(weights: ArrayLike | None, n: int) -> Doubles:
    if not n:
        raise InputError("no organic records to be close to", hint="give at least one")
    given = np.ones(n) if weights is None else _column(weights, "weights", n)
    if (given < 0).any() or not given.any():
        raise InputError("weights must not be negative, and not all 0", hint="leave them out")
    return np.asarray(given / given.sum())


def _matrix(given: ArrayLike, name: str) -> Doubles:
    rows = np.asarray(given, dtype=np.float64)
    if rows.size == 0:
        return np.zeros((0, rows.shape[1] if rows.ndim == 2 else 0))
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise InputError(f"{name}: not a matrix of finite numbers", hint="give one vector for each record")
    return rows


def _column(given: ArrayLike, name: str, n: int) -> Doubles:
    values = np.asarray(given, dtype=np.float64)
    if values.shape != (n,) or not np.isfinite(values).all():
        raise InputError(f"{name}: not {n} finite numbers", hint="give one for each record")
    return values


def _same_width(rows: Doubles, target: Doubles) -> None:
    if rows.shape[1] != target.shape[1]:
        raise InputError(f"vectors of {rows.shape[1]} and {target.shape[1]} numbers", hint="use one encoder for both")

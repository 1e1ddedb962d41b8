"""Diversity: is synthetic text as varied as organic text, at equal size?

Every measure here is a ratio to an organic reference of the same number of records, because all of them but variance
depend on how many records they are taken on. Beside each stands its control: the same ratio for other organic records
against the same reference. It is near 1 by construction, and its interval shows what chance alone does.

One draw: the organic records are shuffled and halved into a reference A and a control B; A, B and the synthetic ones
are cut at random to ``m = min(n_synthetic, n_organic // 2)``. The value is the mean statistic over all draws, divided
by the reference's mean; the interval is the middle 95 % of ``1 + (statistic - reference) / mean reference`` over the
single draws, so that it holds the chance of both samples.

When it lies: noise is diverse too, so a ratio above 1 is no merit by itself; everything depends on the encoder; and
intervals tell how much the choice of equal-size samples matters, not how another synthetic corpus would turn out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from proofset.config import MeasureSettings
from proofset.errors import InputError
from proofset.nouns.result import Better, Measure
from proofset.stats import percentile_interval

if TYPE_CHECKING:
    from proofset.plugins import Floats

_T = TypeVar("_T", bound=np.generic)

FEWEST = 5
"""Records a draw must have: below, a covariance says nothing."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Vectors with a length, as float64, and what was left out."""

    vectors: NDArray[np.float64]
    zeros: int


def compare_diversity(
    synthetic: Floats, organic: Floats, settings: MeasureSettings, seed: int
) -> list[tuple[Measure, Measure]]:
    """Pairs of a measure of ``synthetic (n_s, d)`` and its control, both against the same part of ``organic (n_o, d)``.

    They are "variance ratio", "effective rank ratio" and "rare-mode coverage". Zero vectors (texts without a known
    token) are left out and counted in the note. ``value`` is None, with a note, where there are too few records or
    no variance.
    """
    if synthetic.ndim != 2 or organic.ndim != 2 or synthetic.shape[1] != organic.shape[1]:
        shapes = f"{synthetic.shape} and {organic.shape}"
        raise InputError(f"vectors of shapes {shapes} cannot be compared", hint="encode both with the same encoder")
    ours, theirs = _prepared(synthetic, "synthetic"), _prepared(organic, "organic")
    zeros = f"{ours.zeros} synthetic and {theirs.zeros} organic zero vectors left out"
    note = zeros if ours.zeros + theirs.zeros else ""
    m = min(len(ours.vectors), len(theirs.vectors) // 2)
    names = ("variance ratio", "effective rank ratio", "rare-mode coverage")
    if m < FEWEST:
        why = f"too few records: {m} at equal size, at least {FEWEST} are needed"
        return [_pair(name, None, m, "; ".join(filter(None, (why, note)))) for name in names]
    draws = _draws(len(ours.vectors), len(theirs.vectors), m, settings.draws, np.random.default_rng(seed))
    ours_at, theirs_at = _mode_numbers(ours.vectors, theirs.vectors, settings.modes, seed)
    alive = partial(_alive, rare=_rare_modes(theirs_at, settings.rare_share))
    taken = (
        _taken(total_variance, ours.vectors, theirs.vectors, draws),
        _taken(effective_rank, ours.vectors, theirs.vectors, draws),
        _taken(alive, ours_at, theirs_at, draws),
    )
    return [_pair(name, table, m, note) for name, table in zip(names, taken, strict=True)]


def total_variance(vectors: NDArray[np.float64]) -> float:
    """Trace of the covariance of ``vectors (m, d)``, in squared vector units: half the mean squared distance of a pair.

    Unbiased (divided by m - 1). When it lies: it is the last thing to collapse, since rare modes hardly add to it, and
    noise raises it.
    """
    return float(vectors.var(axis=0, ddof=1).sum())


def effective_rank(vectors: NDArray[np.float64]) -> float:
    """How many directions ``vectors (m, d)`` really use, from 1 to min(m - 1, d); 0 when they are all equal.

    ``exp(-Σ p ln p)`` over the eigenvalues of the covariance, normalised to sum 1 (Roy and Vetterli 2007). When it
    lies: it is far too low below about 10 d records, hence the equal sizes; it does not see a uniform shrinking; noise
    in unused directions raises it.
    """
    centred = vectors - vectors.mean(axis=0)
    gram = centred.T @ centred if vectors.shape[1] <= len(vectors) else centred @ centred.T
    values = np.linalg.eigvalsh(gram).clip(min=0.0)
    largest = float(values.max())
    if largest <= 1e-12 * max(float((vectors**2).sum()), np.finfo(np.float64).tiny):
        return 0.0
    kept = values[values > 1e-12 * largest]
    p = kept / kept.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def _alive(modes: NDArray[np.intp], *, rare: NDArray[np.intp]) -> float:
    """How many rare modes have a record among ``modes (m,)``.

    When it lies: modes are k-means clusters, so their number and the encoder decide what counts as rare; a record far
    from all organic text still lands in some mode and keeps it alive.
    """
    return float(np.isin(rare, modes).sum())


def _prepared(vectors: Floats, what: str) -> _Prepared:
    if not np.isfinite(vectors).all():
        bad = int((~np.isfinite(vectors).all(axis=1)).sum())
        raise InputError(f"{bad} {what} vectors hold NaN or infinity", hint="check the encoder")
    filled = vectors.any(axis=1)
    return _Prepared(vectors[filled].astype(np.float64), int((~filled).sum()))


def _draws(
    n_ours: int, n_theirs: int, m: int, draws: int, rng: np.random.Generator
) -> list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
    """Row numbers of the synthetic sample, the organic reference A and the organic control B, m each, per draw."""
    found = []
    for _ in range(draws):
        shuffled = rng.permutation(n_theirs)
        found.append((rng.permutation(n_ours)[:m], shuffled[:m], shuffled[n_theirs // 2 :][:m]))
    return found


def _taken(
    statistic: Callable[[NDArray[_T]], float],
    ours: NDArray[_T],
    theirs: NDArray[_T],
    draws: Sequence[tuple[NDArray[np.intp], ...]],
) -> NDArray[np.float64]:
    """The statistic on synthetic sample, reference and control, ``(draws, 3)``."""
    return np.array([[statistic(ours[s]), statistic(theirs[a]), statistic(theirs[b])] for s, a, b in draws])


def _mode_numbers(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], modes: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The nearest k-means mode of each synthetic and each organic record; modes are found on organic records alone."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    model = KMeans(n_clusters=max(2, min(modes, len(theirs) // 5)), n_init=4, random_state=seed % 2**32)
    with warnings.catch_warnings():
        # fewer distinct texts than modes: some stay empty, and empty modes are not counted
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(theirs)
    return np.asarray(model.predict(ours), dtype=np.intp), np.asarray(model.predict(theirs), dtype=np.intp)


def _rare_modes(theirs: NDArray[np.intp], share: float) -> NDArray[np.intp]:
    """The least populated ``share`` of the modes that hold any organic record, at least one."""
    modes, counts = np.unique(theirs, return_counts=True)
    return modes[np.argsort(counts, kind="stable")[: max(1, round(share * len(modes)))]]


def _pair(name: str, taken: NDArray[np.float64] | None, m: int, note: str) -> tuple[Measure, Measure]:
    """A measure and its control from statistics of shape ``(draws, 3)``."""
    return _ratio(name, taken, 0, m, note), _ratio(name, taken, 2, m, note)


def _ratio(name: str, taken: NDArray[np.float64] | None, column: int, m: int, note: str) -> Measure:
    """One column over the reference's mean. Draws enter as differences: a single draw's reference may be 0."""
    reference = 0.0 if taken is None else float(taken[:, 1].mean())
    if taken is None or reference == 0.0:
        why = "the organic reference is 0" if taken is not None else ""
        why = "; ".join(filter(None, (why, note)))
        return Measure(name=name, value=None, n=m, unit="ratio to organic", better=Better.HIGHER, note=why)
    value = float(taken[:, column].mean()) / reference
    low, high = percentile_interval(np.maximum(1.0 + (taken[:, column] - taken[:, 1]) / reference, 0.0))
    return Measure(
        name=name, value=value, low=min(low, value), high=max(high, value), n=m, unit="ratio to organic",
        better=Better.HIGHER, note=note,
    )  # fmt: skip

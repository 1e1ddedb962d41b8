"""Fidelity: the measures on the shelf, for who wants them beside the quotient, each with what it does not see.

Every one of them is blind to some cheap attack, which ``python -m benchmarks.attacks`` shows one by one, so none of
them decides anything here. None but ``closer_to_train`` knows the training set, so all others take a copy of it for
fresh text. Most values hang on the number of records: compare only at equal numbers, and beside the same measure of
fresh organic records.

Vectors are float32 arrays ``(n, d)``. Each function raises ``InputError`` for vectors that no measure can use (NaN,
zero vectors, all rows equal, other widths), and gives the same value for the same input and seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring.blocks import Doubles, Floats, check, hashes
from proofset.measuring.neighbours import nearest, squared_distances

ROWS = 512
"""Rows that are held against all others at a time."""
MEDIAN_PAIRS = 2_000
"""Pairs of rows whose median distance sets the kernels' widths."""
WIDTHS = (0.25, 0.5, 1.0, 2.0)
"""Kernel widths as multiples of the median squared distance."""
FREE = 0.1
"""How free a linear classifier is (scikit-learn's C, where columns have a mean variance of 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifold:
    """Precision, recall, density and coverage of synthetic records around organic ones; see ``prdc``."""

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """Squared maximum mean discrepancy, which may be below 0 by chance, and its permutation p-value; see ``mmd``."""

    squared: float
    p: float


def prdc(reference: Floats, synthetic: Floats, k: int = 5) -> Manifold:
    """Where records lie, by balls that reach from each record to its ``k``-th nearest other (border excluded).

    precision: share of ``synthetic (n_S, d)`` in a ball of ``reference (n_H, d)``; recall: share of reference in a ball
    of synthetic (Kynkäänniemi et al. 2019). density: balls of the reference around a synthetic record, over k, 1 in
    expectation for fresh organic records, without upper end; coverage: share of reference balls that hold a synthetic
    record (Naeem et al. 2020), ``1 − Π (n_H − i) / (n_H + n_S − i)`` over i = 1…k in expectation, 1 − 2⁻ᵏ at equal
    numbers.

    Blind to copies of train and of the reference. Typical records raise density, stray ones recall; one organic
    outlier has a ball that lets much junk pass; coverage falls with fewer synthetic records. ``InputError`` for k of no
    use. Time n_H n_S d; memory: one block of distances.
    """
    _check(reference, synthetic)
    reach_H, reach_S = _reaches(reference, k), _reaches(synthetic, k)
    recalled, covered = np.zeros((2, len(reference)), dtype=np.bool_)
    precise = balls = 0
    for rows, distances in _distances(synthetic, reference):
        inside = distances < reach_H
        precise += int(inside.any(axis=1).sum())
        balls += int(inside.sum())
        covered |= inside.any(axis=0)
        recalled |= (distances < reach_S[rows, None]).any(axis=0)
    n = len(synthetic)
    return Manifold(
        precision=precise / n, recall=float(recalled.mean()), density=balls / (k * n), coverage=float(covered.mean())
    )


def vendi(vectors: Floats, order: float = 1.0) -> float:
    """How many different records ``vectors (n, d)`` are worth: from 1 to min(n, d). Friedman and Dieng 2023.

    ``(Σ λ^q)^(1 / (1 − q))`` over the eigenvalues λ of the cosine similarities over n, which are those of a d × d
    matrix; ``exp(−Σ λ ln λ)`` for order q = 1, ``1 / max λ`` for infinity. Orders above 1 ask how even the frequent
    kinds are, below 1 how many rare ones there are (Pasarkar and Dieng 2024). Biased low where records are few, order 2
    least. It has no reference, so it rewards noise, and it does not see a copy. ``InputError`` for orders not above 0.
    """
    if not order > 0:
        raise InputError(f"a Vendi score of order {order}", hint="orders are above 0, infinity included")
    check(vectors, "vectors")
    rows = _directions(vectors)
    gram = rows.T @ rows if rows.shape[1] <= len(rows) else rows @ rows.T
    values = np.linalg.eigvalsh(gram / len(rows))
    shares = values[values > 1e-12]
    if np.isinf(order):
        return float(1 / shares.max())
    if order == 1:
        return float(np.exp(-(shares * np.log(shares)).sum()))
    return float((shares**order).sum() ** (1 / (1 - order)))


def vendi_two_unbiased(vectors: Floats) -> float:
    """The Vendi score of order 2 without pairs of a record with itself: ``n (n − 1) / Σ_{i≠j} (x_i·x_j)²``.

    The mean squared similarity of two different records is unbiased, so that the score hardly hangs on n (from about
    400 on). Infinite where all records are at right angles. Blind as ``vendi`` is.
    """
    check(vectors, "vectors")
    rows = _directions(vectors)
    gram = rows.T @ rows if rows.shape[1] <= len(rows) else rows @ rows.T
    n = len(rows)
    squares = float((gram**2).sum()) - n
    return n * (n - 1) / squares if squares > 1e-9 * n else float("inf")


def mmd(
    reference: Floats, synthetic: Floats, *, features: int = 1024, permutations: int = 200, seed: int = 0
) -> Discrepancy:
    """Squared maximum mean discrepancy (Gretton et al. 2012): 0 for equal distributions, unbiased, at most 2.

    ``E k(s, s′) + E k(h, h′) − 2 E k(s, h)`` over pairs of different records, k the mean of four Gaussian kernels
    ``exp(−|x − x′|² / 2b)`` with b of ¼, ½, 1 and 2 times the median squared distance, through random ``features``
    (Rahimi and Recht 2007), a multiple of 8. p = (1 + #≥) / (1 + B) under B ``permutations`` of who is synthetic.

    The p-value falls with the number of records however small the difference, and permuted records must not depend on
    each other, as near-copies do. A rare mode that is lost hardly moves it; copies of the reference push it below 0.
    """
    _check(reference, synthetic)
    if features < 8 or features % 8 or permutations < 0:
        raise InputError(f"{features} features, {permutations} permutations", hint="features come in multiples of 8")
    rng = np.random.default_rng([seed, 11])
    pooled = np.concatenate([synthetic, reference]).astype(np.float32)
    mapped = _mapped(pooled, features, rng)
    n = len(synthetic)
    chosen = np.zeros((1 + permutations, len(pooled)), dtype=np.float32)
    chosen[0, :n] = 1
    for row in chosen[1:]:
        row[rng.permutation(len(pooled))[:n]] = 1
    ours = (chosen @ mapped).astype(np.float64)
    theirs = mapped.sum(axis=0, dtype=np.float64) - ours
    m = len(reference)
    within = ((ours**2).sum(axis=1) - n) / (n * (n - 1)) + ((theirs**2).sum(axis=1) - m) / (m * (m - 1))
    squared = within - 2 * (ours * theirs).sum(axis=1) / (n * m)
    p = (1 + int((squared[1:] >= squared[0]).sum())) / (1 + permutations)
    return Discrepancy(squared=float(squared[0]), p=p)


def energy_distance(reference: Floats, synthetic: Floats) -> float:
    """``2 E|s − h| − E|s − s′| − E|h − h′|`` over pairs of different records (Székely and Rizzo 2013), in vector units.

    0 for equal distributions and unbiased, so it may be below 0. Large distances outweigh everything: detail within
    a topic is hardly seen. Time n² d; memory: one block of distances.
    """
    _check(reference, synthetic)
    across = sum(float(d.sum()) for _, d in _distances(synthetic, reference)) / (len(synthetic) * len(reference))
    apart = [
        sum(float(d.sum()) for _, d in _distances(rows, rows)) / (len(rows) * (len(rows) - 1))
        for rows in (reference, synthetic)
    ]
    return 2 * across - sum(apart)


def frechet(reference: Floats, synthetic: Floats) -> float:
    """``|μ_S − μ_H|² + tr(Σ_S + Σ_H − 2 (Σ_S Σ_H)^½)``, at least 0: the distance of two Gaussians (Heusel et al. 2017).

    In squared vector units. Biased up by a constant over n: fresh organic records do not get 0. It sees means and
    covariances only: organic records and one Gaussian with their mean and covariance are the same to it.
    """
    _check(reference, synthetic)
    means, covariances = [], []
    for rows in (reference, synthetic):
        exact = rows.astype(np.float64)
        means.append(exact.mean(axis=0))
        covariances.append(np.atleast_2d(np.cov(exact.T)))
    values, axes = np.linalg.eigh(covariances[0])
    root = axes * np.sqrt(values.clip(min=0))
    shared = np.sqrt(np.linalg.eigvalsh(root.T @ covariances[1] @ root).clip(min=0)).sum()
    spread = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * shared
    return max(float(((means[0] - means[1]) ** 2).sum() + spread), 0.0)


def sliced_wasserstein(reference: Floats, synthetic: Floats, *, directions: int = 128, seed: int = 0) -> float:
    """Mean over random unit ``directions`` u of the squared distance W₂² of ``u·s`` and ``u·h`` (Rabin et al. 2012).

    At least 0, in squared vector units. Biased up by chance, which falls as the number of records grows. What differs
    in one direction of d is seen with weight 1/d.
    """
    _check(reference, synthetic)
    rng = np.random.default_rng([seed, 12])
    turns = rng.normal(size=(reference.shape[1], directions))
    turns /= np.linalg.norm(turns, axis=0)
    ours, theirs = (np.sort(rows.astype(np.float64) @ turns, axis=0) for rows in (synthetic, reference))
    # both are step functions of the quantile: between two neighbouring steps of either, both are constant
    ends = np.union1d(np.arange(1, len(ours) + 1) / len(ours), np.arange(1, len(theirs) + 1) / len(theirs))
    weights = np.diff(ends, prepend=0.0)
    at = ends - weights / 2
    gaps = ours[(at * len(ours)).astype(np.intp)] - theirs[(at * len(theirs)).astype(np.intp)]
    return float((weights @ gaps**2).mean())


def c2st(reference: Floats, synthetic: Floats, *, folds: int = 5, seed: int = 0) -> float:
    """Balanced accuracy of a linear classifier that tells synthetic from reference, on records it was not fitted on.

    Classifier two-sample test (Lopez-Paz and Oquab 2017): ½ where it cannot tell, 1 where it always can. Equal records
    share a fold, else repeated records would be recognised by their twins, and copies of the reference be mistaken for
    them. Logistic regression is blind to shrinking, and to any copy; another classifier gives another number.
    ``InputError`` where there are fewer different records than folds.
    """
    _check(reference, synthetic)
    pooled = np.concatenate([reference, synthetic])
    labels = np.repeat([0, 1], [len(reference), len(synthetic)])
    fold = _folds(np.concatenate([hashes(reference), hashes(synthetic)]), labels, folds, seed)
    right = np.zeros(len(labels), dtype=np.bool_)
    for number in range(folds):
        held = fold == number
        right[held] = _linear(pooled[~held], labels[~held], pooled[held]) == labels[held]
    return float((right[labels == 0].mean() + right[labels == 1].mean()) / 2)


def closer_to_train(train: Floats, reference: Floats, synthetic: Floats) -> float:
    """Share of synthetic records nearer to train than to the reference, ties counted half: ½ for fresh ones.

    Distance to the closest record (DCR), as tabular quality reports use it; train and reference must be of equal
    number. Copies of train give 1, copies of the *reference* 0, half of each ½: it is blind to those, and to
    paraphrases that the encoder puts elsewhere. It is no promise of privacy (Yao et al. 2025).
    """
    _check(reference, synthetic)
    _check(train, synthetic)
    to_train, to_reference = (nearest(synthetic, rows)[:, 0] for rows in (train, reference))
    return float((to_train < to_reference).mean() + (to_train == to_reference).mean() / 2)


def tstr(
    synthetic: Floats, synthetic_labels: Sequence[str], reference: Floats, reference_labels: Sequence[str]
) -> float:
    """Train on synthetic, test on real (Esteban et al. 2017): macro-F1 on the reference of a linear classifier.

    In [0, 1]; the mean of F1 over the classes of the reference, so that a rare one counts as much as a frequent one.
    Copies of train get what train itself gets: it asks what the synthetic records are worth alone, not what they add.
    """
    from sklearn.metrics import f1_score

    _check(reference, synthetic)
    ours, theirs = np.asarray(synthetic_labels), np.asarray(reference_labels)
    if len(ours) != len(synthetic) or len(theirs) != len(reference):
        raise InputError(f"{len(ours)} and {len(theirs)} labels do not fit", hint="give one label to each record")
    if len(np.unique(ours)) == 1:
        told = np.full(len(theirs), ours[0])
    else:
        told = _linear(synthetic, ours, reference)
    return float(f1_score(theirs, told, labels=np.unique(theirs), average="macro", zero_division=0))


def _check(reference: Floats, synthetic: Floats) -> None:
    check(reference, "reference")
    check(synthetic, "synthetic", width=reference.shape[1])


def _distances(queries: Floats, against: Floats) -> Iterator[tuple[slice, Floats]]:
    """Blocks of rows of ``queries``, and their distances ``(b, n)`` to all of ``against``; equal rows are at 0.

    Rounded to float32, so that the same pair has the same distance whichever of the two asks.
    """
    for start in range(0, len(queries), ROWS):
        rows = slice(start, min(start + ROWS, len(queries)))
        yield rows, np.sqrt(squared_distances(queries[rows], against)).astype(np.float32)


def _reaches(points: Floats, k: int) -> Floats:
    """Distance of each point to its ``k``-th nearest other ``(n,)``."""
    if not 1 <= k < len(points):
        raise InputError(f"{len(points)} points have no {k}-th nearest other", hint="give more points or a smaller k")
    found = np.empty(len(points), dtype=np.float32)
    for rows, distances in _distances(points, points):
        # a point itself is its own nearest, or one as near
        found[rows] = np.partition(distances, k, axis=1)[:, k]
    return found


def _directions(vectors: Floats) -> Doubles:
    """Rows of length 1, in float64."""
    rows = vectors.astype(np.float64)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _mapped(pooled: Floats, features: int, rng: np.random.Generator) -> Floats:
    """Random features ``(n, features)`` of the mean of four Gaussian kernels; every row has length 1."""
    first, second = rng.integers(len(pooled), size=(2, MEDIAN_PAIRS))
    squares = ((pooled[first] - pooled[second]).astype(np.float64) ** 2).sum(axis=1)[first != second]
    median = float(np.median(squares)) or float(squares.mean())
    widths = median * np.repeat(WIDTHS, features // 8)
    turns = (rng.normal(size=(pooled.shape[1], features // 2)) / np.sqrt(widths)).astype(np.float32)
    angles = pooled @ turns
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1) * np.float32((2 / features) ** 0.5)


def _folds(contents: NDArray[np.uint64], labels: NDArray[np.intp], folds: int, seed: int) -> NDArray[np.intp]:
    """A fold for each record ``(n,)``: equal contents share one, and each kind of content is dealt out evenly."""
    distinct, at = np.unique(contents, return_inverse=True)
    if not 2 <= folds <= len(distinct):
        raise InputError(f"{folds} folds of {len(distinct)} different records", hint="5 or 10 folds are usual")
    kinds = np.zeros(len(distinct), dtype=np.intp)
    for label in (0, 1):
        kinds[np.unique(at[labels == label])] += 1 + label
    shuffled = np.random.default_rng([seed, 13]).permutation(len(distinct))
    dealt = np.empty(len(distinct), dtype=np.intp)
    dealt[shuffled[np.argsort(kinds[shuffled], kind="stable")]] = np.arange(len(distinct)) % folds
    return dealt[at]


def _linear(rows: Floats, labels: NDArray[np.generic], held: Floats) -> NDArray[np.generic]:
    """What logistic regression, fitted on rows and labels, says of other rows.

    Columns are centred, and all scaled by one number to a mean variance of 1: a column of its own may be constant.
    """
    from sklearn.linear_model import LogisticRegression

    centre, scale = rows.mean(axis=0, dtype=np.float64), np.sqrt(rows.var(axis=0, dtype=np.float64).mean())
    model = LogisticRegression(C=FREE, max_iter=2_000).fit((rows - centre) / scale, labels)
    found: NDArray[np.generic] = model.predict((held - centre) / scale)
    return found

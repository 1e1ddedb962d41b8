"""Scores of arms on the held-out set, as observed and under resampling, from tallies per group of near-copies.

Accuracies and F1 need only three counts per label (rightly guessed, guessed, there), so a resample is a matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.stats import group_numbers, resampled_blocks

EDGE, REST, ALL = "edge", "rest", "all"
EDGE_ACCURACY, REST_ACCURACY, ACCURACY = "edge accuracy", "rest accuracy", "accuracy"
SLICE_ACCURACY, MACRO_F1, EDGE_PRECISION = "slice accuracy", "macro-F1", "edge average precision"
EDGE_MATCHED = "edge accuracy at equal rest"

Floats = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What one arm says about the held-out items."""

    arm: str
    probabilities: NDArray[np.float64]
    """Shape ``(n_seeds, n_items, k)``."""
    classes: tuple[str, ...]
    """The ``k`` labels in column order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison: what it is called, and the labels (as columns) and items it counts."""

    slice: str
    metric: str
    columns: tuple[int, ...]
    items: NDArray[np.bool_]
    """Shape ``(n_items,)``."""
    n_groups: int
    """Groups of near-copies among the items."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """The held-out set as numbers, and the rows to be filled."""

    classes: tuple[str, ...]
    truth: NDArray[np.intp]
    """Column of each item's label, of shape ``(n_items,)``."""
    groups: NDArray[np.intp]
    """Number of each item's group of near-copies, of shape ``(n_items,)``."""
    n_groups: int
    edge: tuple[int, ...]
    rows: tuple[Row, ...]


def bench_of(classes: tuple[str, ...], truth: Sequence[str], groups: Sequence[str], edge: set[str]) -> Bench:
    """Number labels and groups, and list the rows."""
    columns = {label: column for column, label in enumerate(classes)}
    unknown = sorted((set(truth) | edge) - set(classes))
    if unknown or len(groups) != len(truth):
        what = f"no arm knows the label {unknown[0]!r}" if unknown else f"{len(truth)} items, {len(groups)} groups"
        raise InputError(what, hint="score held-out items of trained labels, with one group each")
    truth_N = np.array([columns[label] for label in truth], dtype=np.intp)
    numbers, n_groups = group_numbers(groups)
    edges = tuple(column for column, label in enumerate(classes) if label in edge)
    rest = tuple(column for column in range(len(classes)) if column not in edges)
    everything = tuple(range(len(classes)))
    named = [
        (EDGE, EDGE_MATCHED, edges),
        (EDGE, EDGE_ACCURACY, edges),
        (REST, REST_ACCURACY, rest),
        (ALL, ACCURACY, everything),
    ]
    named += [(classes[column], SLICE_ACCURACY, (column,)) for column in edges]
    named += [(ALL, MACRO_F1, everything), (EDGE, EDGE_PRECISION, edges)]
    rows = []
    for part, metric, chosen in named:
        items = np.isin(truth_N, chosen)
        inside = len(np.unique(numbers[items]))
        rows.append(Row(slice=part, metric=metric, columns=chosen, items=items, n_groups=inside))
    return Bench(classes=classes, truth=truth_N, groups=numbers, n_groups=n_groups, edge=edges, rows=tuple(rows))


def tallies_of(bench: Bench, predictions: Predictions) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Per group, seed and label: items guessed rightly, and items guessed so at all; each ``(groups, seeds, k)``."""
    hits, guessed = [], []
    for guess_N in predictions.probabilities.argmax(axis=2):
        hits.append(_per_group(bench, guess_N, guess_N == bench.truth))
        guessed.append(_per_group(bench, guess_N))
    return np.stack(hits, axis=1), np.stack(guessed, axis=1)


def sizes_of(bench: Bench) -> NDArray[np.float32]:
    """Items per group and label, of shape ``(groups, k)``."""
    return _per_group(bench, bench.truth)


def _per_group(
    bench: Bench, columns_N: NDArray[np.intp], counted_N: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """How many of the counted items of each group have each column, of shape ``(groups, k)``."""
    cells = bench.groups * len(bench.classes) + columns_N
    counts = np.bincount(cells, weights=counted_N, minlength=bench.n_groups * len(bench.classes))
    return counts.reshape(bench.n_groups, len(bench.classes)).astype(np.float32)


def row_scores(bench: Bench, hits: Floats, guessed: Floats, sizes: Floats) -> NDArray[np.float64]:
    """Scores ``(rows, b, seeds)`` from tallies ``(b, seeds, k)`` and sizes ``(b, k)``; NaN where there are no items."""
    member = np.array([[column in row.columns for row in bench.rows] for column in range(len(bench.classes))], float)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = (hits @ member) / (sizes @ member)[:, None, :]
        per_label = 2 * hits / (sizes[:, None, :] + guessed)
    present = sizes > 0
    macro = np.where(present[:, None, :], per_label, 0.0).sum(axis=2) / np.maximum(present.sum(axis=1), 1)[:, None]
    for index, row in enumerate(bench.rows):
        if row.metric == MACRO_F1:
            scores[:, :, index] = macro
    return np.asarray(np.moveaxis(scores, 2, 0), dtype=np.float64)


def observed_scores(bench: Bench, predictions: Predictions) -> NDArray[np.float64]:
    """The scores of one arm, mean over seeds, one per row; NaN for EDGE_MATCHED, which takes two arms."""
    hits, guessed = (tally.sum(axis=0)[None] for tally in tallies_of(bench, predictions))
    scores = row_scores(bench, hits, guessed, sizes_of(bench).sum(axis=0)[None])[:, 0].mean(axis=1)
    plain = np.ones((1, len(bench.truth)), dtype=np.float32)
    precision = edge_precision(bench, predictions, plain)[0].mean()
    special = {EDGE_PRECISION: float(precision), EDGE_MATCHED: float("nan")}
    return np.array([special.get(row.metric, score) for row, score in zip(bench.rows, scores, strict=True)])


def resampled_differences(bench: Bench, arms: Sequence[Predictions], resamples: int, seed: int) -> NDArray[np.float64]:
    """Differences to the first arm, shape ``(arms - 1, rows, resamples)``; all arms share the resamples.

    The rows of EDGE_PRECISION and EDGE_MATCHED are filled elsewhere; here they hold plain accuracy.
    """
    tallies = [tallies_of(bench, predictions) for predictions in arms]
    seeds, labels = tallies[0][0].shape[1:]
    sizes, blocks = sizes_of(bench), []
    for seeds_B_S, groups_B_G in resampled_blocks(seeds, bench.n_groups, resamples, seed):
        share = seeds_B_S / seeds_B_S.sum(axis=1, keepdims=True)
        means = []
        for pair in tallies:
            hits, guessed = ((groups_B_G @ t.reshape(len(t), -1)).reshape(-1, seeds, labels) for t in pair)
            means.append((row_scores(bench, hits, guessed, groups_B_G @ sizes) * share).sum(axis=2))
        blocks.append(np.stack([mean - means[0] for mean in means[1:]]))
    return np.concatenate(blocks, axis=2)


def average_precision(
    scores_N: Floats, positive_N: NDArray[np.bool_], weights_B_N: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Average precision in [0, 1] under each row of item weights, shape ``(b,)``; NaN where no positive has weight.

    Σ (Rₙ − Rₙ₋₁) Pₙ over distinct scores, from the highest down: precision at each positive, averaged by weight. Ties
    are taken as one step, so the order of items does not matter.
    """
    order = np.argsort(-scores_N, kind="stable")
    ranked, positions = -scores_N[order], np.flatnonzero(positive_N[order])
    weights_N_B = np.ascontiguousarray(weights_B_N.T)[order]
    mass = weights_N_B[positions]
    ends = np.searchsorted(ranked, ranked[positions], side="right") - 1
    selected = np.cumsum(weights_N_B, axis=0)[ends]
    hits = np.cumsum(mass, axis=0)[np.searchsorted(positions, ends, side="right") - 1]
    with np.errstate(invalid="ignore"):
        return np.asarray((mass * hits / np.maximum(selected, 1e-12)).sum(axis=0) / mass.sum(axis=0), dtype=np.float64)


def edge_precision(bench: Bench, predictions: Predictions, weights_B_N: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean over edge labels of average precision, shape ``(b, seeds)``; labels without weight are left out."""
    per_seed = []
    for scores_N_K in predictions.probabilities:
        totals, counted = np.zeros(len(weights_B_N)), np.zeros(len(weights_B_N))
        for column in bench.edge:
            found = average_precision(scores_N_K[:, column], bench.truth == column, weights_B_N)
            totals, counted = totals + np.nan_to_num(found), counted + np.isfinite(found)
        with np.errstate(invalid="ignore"):
            per_seed.append(totals / counted)
    return np.stack(per_seed, axis=1)


def resampled_precision(bench: Bench, arms: Sequence[Predictions], resamples: int, seed: int) -> NDArray[np.float64]:
    """Differences to the first arm in edge average precision, shape ``(arms - 1, resamples)``."""
    blocks = []
    for seeds_B_S, groups_B_G in resampled_blocks(len(arms[0].probabilities), bench.n_groups, resamples, seed):
        weights_B_N, share = groups_B_G[:, bench.groups], seeds_B_S / seeds_B_S.sum(axis=1, keepdims=True)
        means = [(edge_precision(bench, predictions, weights_B_N) * share).sum(axis=1) for predictions in arms]
        blocks.append(np.stack([mean - means[0] for mean in means[1:]]))
    return np.concatenate(blocks, axis=1)


def changes(
    bench: Bench, baseline: Predictions, predictions: Predictions
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Per item: in how many more seeds the arm is right than the baseline, and whether any probability differs."""
    change = np.zeros(len(bench.truth))
    for before, after in zip(baseline.probabilities, predictions.probabilities, strict=True):
        change += (after.argmax(axis=1) == bench.truth).astype(float) - (before.argmax(axis=1) == bench.truth)
    return change, (baseline.probabilities != predictions.probabilities).any(axis=(0, 2))


def discordant(bench: Bench, row: Row, change_N: NDArray[np.float64], differs_N: NDArray[np.bool_]) -> int:
    """Groups of the row's items on which two arms differ: in what they get right, or in scores where those count."""
    if row.metric == EDGE_PRECISION:
        return len(np.unique(bench.groups[row.items & differs_N]))
    return int(np.count_nonzero(np.bincount(bench.groups[row.items], weights=change_N[row.items])))

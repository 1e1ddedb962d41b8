"""Edge accuracy at equal rest: what an arm finds at the edge when it may lose no more of the rest than the baseline.

With few labels, recall at the edge is for sale: move the threshold, and pay with the rest. So two arms are compared at
the same price. Every arm's edge offset is moved until its accuracy on the rest equals the baseline's, and only then is
the edge counted. A gain that a moved threshold could buy is no gain here: an arm that is the baseline with another
offset differs from it by exactly 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.stats import resampled_blocks
from proofset.training.scoring import Bench, Predictions

FLOOR = np.finfo(np.float64).tiny
"""Stands for a probability of 0, so that every item has an offset, however far, at which it goes over."""
DECIMALS = 9
"""Offsets in nats are rounded to so many decimals: equal odds stay equal whatever offset was applied before."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """One arm and seed as its offset rises: which rest items it loses, and which edge items it has found by then.

    Rest items that go over at the same offset form one step; there are ``j`` steps.
    """

    rest_items: NDArray[np.intp]
    """Rest items that are right at a low enough offset, in the order in which they are lost; shape ``(m_rest,)``."""
    ends: NDArray[np.intp]
    """How many of them are lost before the first step and after each; shape ``(j + 1,)``."""
    edge_items: NDArray[np.intp]
    """Edge items that are right at a high enough offset, in the order in which they are found; ``(m_edge,)``."""
    found: NDArray[np.intp]
    """How many of them are found just before the next step, hence at no further loss; shape ``(j + 1,)``."""
    kept_items: NDArray[np.intp]
    """Rest items that are right as the arm stands, at offset 0."""


def curve_of(bench: Bench, probabilities: NDArray[np.float64]) -> Curve:
    """The curve of one seed's probabilities ``(n_items, k)``.

    An item goes to its most probable edge label once the offset reaches log p(best rest label) − log p(best edge
    label). There it is right if the true label alone is the most probable of its side: ties credit nobody.
    """
    edge_K = np.isin(np.arange(len(bench.classes)), bench.edge)
    logs = np.log(np.maximum(probabilities, FLOOR))
    best_edge, best_rest = (np.max(logs, axis=1, where=side, initial=-np.inf) for side in (edge_K, ~edge_K))
    needed = np.round(best_rest - best_edge, DECIMALS)
    is_edge = edge_K[bench.truth]
    own_side = edge_K == is_edge[:, None]
    best_own = np.where(is_edge, best_edge, best_rest)
    alone = ((logs == best_own[:, None]) & own_side).sum(axis=1) == 1
    right = alone & (logs[np.arange(len(logs)), bench.truth] == best_own)
    rest, edge = (np.flatnonzero(right & side) for side in (~is_edge, is_edge))
    rest, edge = (items[np.argsort(needed[items], kind="stable")] for items in (rest, edge))
    steps, starts = np.unique(needed[rest], return_index=True)
    return Curve(
        rest_items=rest,
        ends=np.append(starts, len(rest)),
        edge_items=edge,
        found=np.searchsorted(needed[edge], np.append(steps, np.inf), side="left"),
        kept_items=rest[needed[rest] > 0],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Match:
    """Where on a curve as much of the rest is lost as asked, one place per row of weights."""

    before_B: NDArray[np.intp]
    """Last step that loses no more than asked."""
    after_B: NDArray[np.intp]
    """The next that loses more; the same as ``before_B`` at the end of the curve."""
    share_B: NDArray[np.float64]
    """How far between the two, in [0, 1): how often a coin decides for the later one."""
    missing_B: NDArray[np.float64]
    """Weight of the rest that the arm cannot keep at any offset although the baseline does."""


def match(lost_B_J: NDArray[np.float64], kept_B: NDArray[np.float64]) -> Match:
    """Find the place at which rest items of weight ``kept_B`` are right; ``lost_B_J`` is what each step has lost."""
    to_lose_B = np.maximum(lost_B_J[:, -1] - kept_B, 0.0)
    before_B = _last_at(lost_B_J, to_lose_B)
    rows, last = np.arange(len(kept_B)), lost_B_J.shape[1] - 1
    after_B = _last_at(lost_B_J, lost_B_J[rows, np.minimum(before_B + 1, last)])
    start_B = lost_B_J[rows, before_B]
    length_B = lost_B_J[rows, after_B] - start_B
    share_B = (to_lose_B - start_B) / np.where(length_B > 0, length_B, 1.0)
    missing_B = np.maximum(kept_B - lost_B_J[:, -1], 0.0)
    return Match(before_B=before_B, after_B=after_B, share_B=share_B, missing_B=missing_B)


def edge_at_rest(curve: Curve, weights_B_N: NDArray[np.float32], kept_B: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of the edge items that are right when the rest items that are right weigh ``kept_B``; shape ``(b,)``.

    Inside a step the edge is interpolated: a coin decides between the offsets before and after it. An arm whose rest
    falls short of ``kept_B`` even at the lowest offset is charged what is missing, item for item, down to 0.
    """
    lost_B_J = _sums(weights_B_N, curve.rest_items, curve.ends)
    found_B_J = _sums(weights_B_N, curve.edge_items, curve.found)
    at, rows = match(lost_B_J, kept_B), np.arange(len(kept_B))
    early_B, late_B = found_B_J[rows, at.before_B], found_B_J[rows, at.after_B]
    return np.asarray(np.maximum(early_B + at.share_B * (late_B - early_B) - at.missing_B, 0.0))


def _last_at(lost_B_J: NDArray[np.float64], bound_B: NDArray[np.float64]) -> NDArray[np.intp]:
    """Last step of each row at which no more than the bound is lost: steps without weight are passed over."""
    return np.asarray((lost_B_J <= bound_B[:, None]).sum(axis=1) - 1)


def _sums(weights_B_N: NDArray[np.float32], items: NDArray[np.intp], places: NDArray[np.intp]) -> NDArray[np.float64]:
    """Weight of the first so many ``items`` at each of the ``places``, ``(b, j + 1)``."""
    total_B_M = np.zeros((len(weights_B_N), len(items) + 1))
    np.cumsum(weights_B_N[:, items], axis=1, dtype=np.float64, out=total_B_M[:, 1:])
    return total_B_M[:, places]


def matched_accuracy(
    bench: Bench, arms: Sequence[Predictions], weights_B_N: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Edge accuracy of every arm at the rest accuracy of the first, shape ``(arms, b, seeds)``; NaN without edges.

    (Edge items that are right at the offset at which as much of the rest is right as in the first arm) / edge items,
    weighted by item. It is a point on the ROC curve (Fawcett 2006) at the baseline's own threshold, for any number of
    labels. The first arm's value is at least its edge accuracy: it too is given what costs no further rest. It lies
    when the baseline hardly ever names an edge label, since the curve is steepest there; and when predictions take only
    a few values, since the others are then met between their steps and come out worse than they are. Without held-out
    rest items nothing limits the offset, and it is the accuracy among the edge labels alone.
    """
    edge_B = weights_B_N[:, np.isin(bench.truth, bench.edge)].sum(axis=1, dtype=np.float64)
    found = np.empty((len(arms), len(weights_B_N), len(arms[0].probabilities)))
    for seed in range(found.shape[2]):
        curves = [curve_of(bench, arm.probabilities[seed]) for arm in arms]
        kept_B = weights_B_N[:, curves[0].kept_items].sum(axis=1, dtype=np.float64)
        for number, curve in enumerate(curves):
            found[number, :, seed] = edge_at_rest(curve, weights_B_N, kept_B)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(found / edge_B[None, :, None])


def resampled_matched(bench: Bench, arms: Sequence[Predictions], resamples: int, seed: int) -> NDArray[np.float64]:
    """Differences to the first arm in matched edge accuracy, shape ``(arms - 1, resamples)``."""
    blocks = []
    for seeds_B_S, groups_B_G in resampled_blocks(len(arms[0].probabilities), bench.n_groups, resamples, seed):
        share = seeds_B_S / seeds_B_S.sum(axis=1, keepdims=True)
        means = (matched_accuracy(bench, arms, groups_B_G[:, bench.groups]) * share).sum(axis=2)
        blocks.append(means[1:] - means[0])
    return np.concatenate(blocks, axis=1)


def matched_changes(bench: Bench, baseline: Predictions, other: Predictions) -> NDArray[np.float64]:
    """Per item, shape ``(n_items,)``: in how many more seeds the arm finds it at equal rest; 0 for the rest itself."""
    change_N, once = np.zeros(len(bench.truth)), np.ones((1, len(bench.truth)), dtype=np.float32)
    for pair in zip(baseline.probabilities, other.probabilities, strict=True):
        curves = [curve_of(bench, probabilities) for probabilities in pair]
        kept_B = np.array([float(len(curves[0].kept_items))])
        for sign, curve in zip((-1.0, 1.0), curves, strict=True):
            at = match(_sums(once, curve.rest_items, curve.ends), kept_B)
            early, late = (int(curve.found[step[0]]) for step in (at.before_B, at.after_B))
            change_N[curve.edge_items[:early]] += sign
            change_N[curve.edge_items[early:late]] += sign * at.share_B[0]
    return change_N

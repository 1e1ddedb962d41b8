"""Edge accuracy at equal rest: what an arm finds at the edge when it may lose no more of the rest than the baseline.

With few labels, recall at the edge is for sale: move the threshold, and pay with the rest. So two arms are compared at the
same price. Every arm's edge offset is moved until its accuracy on the rest equals the baseline's, and only then is the
edge counted. A gain that a moved threshold could buy is no gain here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.stats import resampled_blocks
from proofset.training.scoring import Bench, Predictions

TINY = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Crossings:
    """For one arm and seed: the offset at which each item goes over to the edge labels, and where that is right."""

    rest_at: NDArray[np.float64]
    """Offsets, ascending, at which a rest item that is right until then is lost; shape ``(m_rest,)``."""
    rest_items: NDArray[np.intp]
    """Those items, in the same order."""
    edge_at: NDArray[np.float64]
    """Offsets, ascending, from which on an edge item is right; shape ``(m_edge,)``."""
    edge_items: NDArray[np.intp]
    """Those items, in the same order."""


def crossings(bench: Bench, probabilities: NDArray[np.float64]) -> Crossings:
    """The crossings of one seed's probabilities ``(n_items, k)``.

    An item goes to its most probable edge label once the offset reaches log p(best rest label) − log p(best edge label).
    """
    edge = np.isin(np.arange(len(bench.classes)), bench.edge)
    logs = np.log(np.maximum(probabilities, TINY))
    best_edge, best_rest = np.where(edge, logs, -np.inf), np.where(edge, -np.inf, logs)
    needed = best_rest.max(axis=1) - best_edge.max(axis=1)
    is_edge = edge[bench.truth]
    edge_right = np.flatnonzero(is_edge & (best_edge.argmax(axis=1) == bench.truth))
    rest_right = np.flatnonzero(~is_edge & (best_rest.argmax(axis=1) == bench.truth))
    edge_items = edge_right[np.argsort(needed[edge_right], kind="stable")]
    rest_items = rest_right[np.argsort(needed[rest_right], kind="stable")]
    return Crossings(
        rest_at=needed[rest_items], rest_items=rest_items, edge_at=needed[edge_items], edge_items=edge_items
    )


def kept_rest(crossing: Crossings, weights_B_N: NDArray[np.float32]) -> NDArray[np.float64]:
    """Weight of the rest items that are right at offset 0, shape ``(b,)``."""
    kept = crossing.rest_items[crossing.rest_at > 0]
    return np.asarray(weights_B_N[:, kept].sum(axis=1, dtype=np.float64))


def edge_at_rest(
    crossing: Crossings, weights_B_N: NDArray[np.float32], kept_B: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weight of the edge items that are right when the rest items that are right weigh ``kept_B``; shape ``(b,)``.

    Between two offsets at which the rest changes, the edge is interpolated. Where even the lowest offset keeps less of
    the rest than asked, the edge is counted just before the first further loss.
    """
    rest_B_M = np.cumsum(weights_B_N[:, crossing.rest_items], axis=1, dtype=np.float64)
    edge_B_M = np.cumsum(weights_B_N[:, crossing.edge_items], axis=1, dtype=np.float64)
    none = np.zeros((len(weights_B_N), 1))
    lost_B_J, found_B_E = np.concatenate([none, rest_B_M], axis=1), np.concatenate([none, edge_B_M], axis=1)
    next_loss = np.append(crossing.rest_at, np.inf)
    found_B_J = found_B_E[:, np.searchsorted(crossing.edge_at, next_loss, side="left")]
    to_lose_B = lost_B_J[:, -1] - kept_B
    rows = zip(to_lose_B, lost_B_J, found_B_J, strict=True)
    return np.array([np.interp(lose, lost_J, found_J) for lose, lost_J, found_J in rows])


def matched_accuracy(
    bench: Bench, arms: Sequence[Predictions], weights_B_N: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Edge accuracy of every arm at the rest accuracy of the first, shape ``(arms, b, seeds)``; NaN without edges."""
    edge_B = weights_B_N[:, np.isin(bench.truth, bench.edge)].sum(axis=1, dtype=np.float64)
    found = np.empty((len(arms), len(weights_B_N), len(arms[0].probabilities)))
    for seed in range(found.shape[2]):
        curves = [crossings(bench, arm.probabilities[seed]) for arm in arms]
        kept_B = kept_rest(curves[0], weights_B_N)
        for number, curve in enumerate(curves):
            found[number, :, seed] = edge_at_rest(curve, weights_B_N, kept_B)
    with np.errstate(invalid="ignore", divide="ignore"):
        return found / edge_B[None, :, None]


def resampled_matched(bench: Bench, arms: Sequence[Predictions], resamples: int, seed: int) -> NDArray[np.float64]:
    """Differences to the first arm in matched edge accuracy, shape ``(arms - 1, resamples)``."""
    blocks = []
    for seeds_B_S, groups_B_G in resampled_blocks(len(arms[0].probabilities), bench.n_groups, resamples, seed):
        share = seeds_B_S / seeds_B_S.sum(axis=1, keepdims=True)
        means = (matched_accuracy(bench, arms, groups_B_G[:, bench.groups]) * share).sum(axis=2)
        blocks.append(means[1:] - means[0])
    return np.concatenate(blocks, axis=1)

"""Compare arms on the held-out set, paired by item and seed, and say only what the intervals allow.

One row compares one arm with the baseline by one metric on one part of the held-out set. Rows of single slices are many
and their intervals are not adjusted for it: read them as places to look, and the claim on the whole arm as the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from proofset.config import Prove
from proofset.errors import InputError
from proofset.nouns.result import Arm, ArmClaim, Better, Claim, Gain, Measure
from proofset.stats import minimum_detectable, percentile_interval
from proofset.training.matching import matched_accuracy, matched_changes, resampled_matched
from proofset.training.scoring import (
    EDGE_MATCHED,
    EDGE_PRECISION,
    MACRO_F1,
    REST_ACCURACY,
    Predictions,
    Row,
    bench_of,
    changes,
    discordant,
    observed_scores,
    resampled_differences,
    resampled_precision,
)

__all__ = ["Predictions", "arm_claim", "claims", "gains"]

UNITS = {MACRO_F1: "F1", EDGE_PRECISION: "average precision"}

MINIMUM_GROUPS = 6
"""Held-out groups an interval needs, and groups on which two arms must differ before a row claims anything: with five
or fewer not even an exact sign test could reach a two-sided 5 %, and a bootstrap of so few is too narrow."""
SORTED_RESAMPLES = {EDGE_PRECISION: 400, EDGE_MATCHED: 1000}
"""Most resamples behind the metrics that have to sort; the others take ``settings.resamples``."""


def gains(
    baseline: Predictions,
    others: Sequence[Predictions],
    truth: Sequence[str],
    groups: Sequence[str],
    edge: set[str],
    settings: Prove,
    seed: int,
) -> tuple[Gain, ...]:
    """Every row of every arm against ``baseline``, arm by arm. ``edge`` holds the labels of the starved slices.

    Rows: accuracy on edge items, on the rest and on all; accuracy of each edge slice; macro-F1 (mean over labels of
    2 TP / (2 TP + FP + FN)); edge average precision (mean over edge labels of the one-vs-rest area under precision and
    recall, on all items); and edge accuracy at equal rest (``matching``), on which the claim rests. Accuracy on the
    edge can be *bought* by moving a threshold, at the cost of the rest; the last two cannot. Average precision lies
    when the edge is rarer or commoner in the held-out set than in life.

    A score is the mean over seeds. Differences are paired by item and seed; intervals come from the hierarchical
    bootstrap of held-out groups and seeds (see ``stats.hierarchical_bootstrap``). A row helps when its interval lies
    above 0, harms when below, provided that the arms differ on MINIMUM_GROUPS groups; else it is not shown.
    """
    if not others:
        return ()
    bench = bench_of(baseline.classes, truth, groups, edge)
    arms = (baseline, *others)
    for predictions in arms:
        _check(predictions, baseline, len(truth))
    scores = np.stack([observed_scores(bench, predictions) for predictions in arms])
    metrics = [row.metric for row in bench.rows]
    once = np.ones((1, len(truth)), dtype=np.float32)
    scores[:, metrics.index(EDGE_MATCHED)] = matched_accuracy(bench, arms, once)[:, 0].mean(axis=1)
    draws = resampled_differences(bench, arms, settings.resamples, seed)
    most = {metric: min(resamples, settings.resamples) for metric, resamples in SORTED_RESAMPLES.items()}
    by_sorting = {
        EDGE_PRECISION: resampled_precision(bench, arms, most[EDGE_PRECISION], seed),
        EDGE_MATCHED: resampled_matched(bench, arms, most[EDGE_MATCHED], seed),
    }
    found = []
    for number, predictions in enumerate(others):
        change, differs = changes(bench, baseline, predictions)
        matched = matched_changes(bench, baseline, predictions)
        for index, row in enumerate(bench.rows):
            drawn = by_sorting[row.metric][number] if row.metric in by_sorting else draws[number, index]
            differing = discordant(bench, row, matched if row.metric == EDGE_MATCHED else change, differs)
            difference = _difference(row, float(scores[number + 1, index] - scores[0, index]), drawn, differing)
            pair = scores[[0, number + 1], index]
            found.append(_gain(row, (baseline, predictions), pair, difference, drawn, differing))
    return tuple(found)


def _check(predictions: Predictions, baseline: Predictions, items: int) -> None:
    """Paired means paired: the same classes, seeds and items in both arms."""
    seeds = len(baseline.probabilities)
    expected = (seeds, items, len(baseline.classes))
    if predictions.classes != baseline.classes or predictions.probabilities.shape != expected or not seeds:
        raise InputError(
            f"arm {predictions.arm!r} predicts {predictions.probabilities.shape}, to be paired with {expected}",
            hint="give each arm the same seeds, held-out items and order of classes",
        )


def _difference(row: Row, value: float, drawn: NDArray[np.float64], differing: int) -> Measure:
    """The difference of two scores with its interval; None where there are no items, or too few groups."""
    n, low, high = int(row.items.sum()), None, None
    few = f", no claim below {MINIMUM_GROUPS}" if differing < MINIMUM_GROUPS else ""
    note = f"the arms differ on {differing} groups{few}; {len(drawn)} resamples"
    if row.n_groups >= MINIMUM_GROUPS:
        low, high = percentile_interval(drawn[np.isfinite(drawn)])
    else:
        note = f"{row.n_groups} held-out groups, too few for an interval" if n else "no held-out items"
    return Measure(
        name=row.metric,
        value=value if n else None,
        low=low,
        high=high,
        n=n,
        unit=UNITS.get(row.metric, "share of items"),
        better=Better.HIGHER,
        note=note,
    )


def _gain(
    row: Row,
    arms: tuple[Predictions, Predictions],
    scores: NDArray[np.float64],
    difference: Measure,
    drawn: NDArray[np.float64],
    differing: int,
) -> Gain:
    """One row: both scores, their difference, and what it allows to be said."""
    baseline, arm = arms
    before, after = (float(score) if difference.n else None for score in scores)
    claim, detectable = Claim.NOT_SHOWN, None
    if difference.low is not None and difference.high is not None:
        spread = float(drawn[np.isfinite(drawn)].std())
        floor = MINIMUM_GROUPS / row.n_groups if row.metric not in UNITS else 0.0
        detectable = max(minimum_detectable(spread), floor) if spread > 0 else None
        if differing >= MINIMUM_GROUPS and difference.low > 0:
            claim = Claim.HELPS
        elif differing >= MINIMUM_GROUPS and difference.high < 0:
            claim = Claim.HARMS
    return Gain(
        arm=arm.arm,
        baseline=baseline.arm,
        slice=row.slice,
        metric=row.metric,
        baseline_score=before,
        score=after,
        difference=difference,
        claim=claim,
        minimum_detectable=detectable,
    )


def claims(gains: Sequence[Gain], arms: Sequence[Arm], margin: float) -> tuple[ArmClaim, ...]:
    """The claim on each arm that ``gains`` compares, in the order of ``arms``; the baseline gets none."""
    compared = {gain.arm for gain in gains}
    return tuple(arm_claim(gains, arm, margin) for arm in arms if arm.name in compared)


def arm_claim(gains: Sequence[Gain], arm: Arm, margin: float) -> ArmClaim:
    """Whether an arm helps: better on the edges *and* not worse elsewhere by ``margin``, a share of items in (0, 1).

    Better on the edges means at equal rest (EDGE_MATCHED), so that no arm is credited with a moved threshold; the rest
    is taken as the arm was tuned. It HARMS when the edges are shown to be worse, or when the rest is (interval below
    0) by more than the margin at the point estimate: a gain on the edges does not excuse that. It HELPS when the edges
    are shown to be better and the rest is non-inferior: the lower end of its interval lies above −margin, or there is
    no rest. Else it is NOT SHOWN, and the words say which half is missing. An arm with a useless corpus "helps" in 0 to
    2 % of simulations; of several arms, the one to believe was named before the held-out set was opened.
    """
    edge, rest = (_row(gains, arm.name, metric) for metric in (EDGE_MATCHED, REST_ACCURACY))
    no_rest = rest.difference.value is None
    spared = no_rest or (rest.difference.low is not None and rest.difference.low > -margin)
    worse = rest.claim is Claim.HARMS and (rest.difference.value or 0.0) < -margin
    at_rest = "there is no rest" if no_rest else f"rest {_points(rest.difference)} with a margin of {100 * margin:g}"
    if edge.claim is Claim.HARMS or worse:
        where = "the rest" if edge.claim is not Claim.HARMS else "edges and rest" if worse else "the edges"
        claim, verdict = Claim.HARMS, f"harms {where}"
    elif edge.claim is Claim.HELPS and spared:
        claim, verdict = Claim.HELPS, "helps the edges" + ("" if no_rest else " and spares the rest")
    else:
        missing = [] if edge.claim is Claim.HELPS else ["a gain on the edges"]
        missing += [] if spared else ["no harm to the rest"]
        claim, verdict = Claim.NOT_SHOWN, f"not shown: {' and '.join(missing)}"
    words = f"{verdict}; edges at equal rest {_points(edge.difference)}, {at_rest}{_detectable(edge, claim)}"
    return ArmClaim(arm=arm.name, title=arm.title, claim=claim, words=words)


def _row(gains: Sequence[Gain], arm: str, metric: str) -> Gain:
    """The row of this arm and pooled metric."""
    for gain in gains:
        if gain.arm == arm and gain.metric == metric:
            return gain
    raise InputError(f"arm {arm!r} has no row {metric!r}", hint="compare the arm with the baseline first")


def _points(difference: Measure) -> str:
    """A difference of shares in percentage points, with its interval or the reason why there is none."""
    if difference.value is None or difference.low is None or difference.high is None:
        return f"without interval ({difference.note})"
    value, low, high = (100 * x for x in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})".replace("-", "\N{MINUS SIGN}")


def _detectable(edge: Gain, claim: Claim) -> str:
    """What a comparison of this size could have shown, said only where it did not show it."""
    if claim is not Claim.NOT_SHOWN or edge.claim is Claim.HELPS or edge.minimum_detectable is None:
        return ""
    return f"; a gain of {100 * edge.minimum_detectable:.1f} points would have been seen in 4 of 5 such comparisons"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.nouns.candidate import SEEN_ALL
from proofset.plugins import Head, Trainer, find
from proofset.training.mixture import (
    ALWAYS_ALLOWED,
    DEFINITIONS,
    JUDGED,
    JUDGED_WEIGHTED,
    ORGANIC,
    PROBABILITY_FLOOR,
    UNJUDGED,
    Folded,
    arms,
    balanced_log_loss,
    best_offset,
    choose,
    comparisons,
    leaned,
    mix,
    validation_predictions,
)
from proofset.training.trainers import Vectors

LINEAR: Trainer = find("trainers", "linear")


def folded(vectors: NDArray[np.float64], labels: Sequence[str], folds: Sequence[int]) -> Folded:
    return Folded(vectors=vectors, labels=labels, folds=np.array(folds, dtype=np.intp))


def nothing(d: int) -> Folded:
    return folded(np.zeros((0, d)), [], [])


def loss_of(records: Folded, added: Folded, *, strength: float) -> float:
    predicted = validation_predictions(LINEAR, records, added, strength=strength, weight=1.0)
    return balanced_log_loss(predicted, records.labels, sorted(set(records.labels)))


def cloud(n: int, label: str, seed: int, spread: float = 0.8) -> tuple[NDArray[np.float64], list[str]]:
    centre = {"common": 1.0, "rare": -1.0}[label] * np.array([1.0, 0.5, 0.0, 0.0])
    return centre + spread * np.random.default_rng(seed).normal(size=(n, 4)), [label] * n


def organic(common: int = 60, rare: int = 10) -> Folded:
    (x, y), (v, w) = cloud(common, "common", 0), cloud(rare, "rare", 1)
    return folded(np.concatenate([x, v]), y + w, [i % 5 for i in range(common + rare)])


@dataclass
class Witness:
    """A trainer that notes what it was shown."""

    shown: list[tuple[NDArray[np.float64], list[str], NDArray[np.float64], float]] = field(default_factory=list)

    def __call__(self, vectors: Vectors, labels: Sequence[str], weights: Vectors, *, strength: float) -> Head:
        self.shown.append((np.asarray(vectors, dtype=np.float64), list(labels), np.asarray(weights, float), strength))
        return LINEAR(vectors, labels, weights, strength=strength)


def test_arms_come_baseline_first_and_only_where_there_is_something_to_add() -> None:
    everything = arms(True, True, 5)
    assert [arm.name for arm in everything] == [ORGANIC, DEFINITIONS, UNJUDGED, JUDGED, JUDGED_WEIGHTED]
    assert [arm.added for arm in everything] == ["", "definitions", "unjudged", "judged", "judged"]
    assert {arm.seeds for arm in everything} == {5}
    assert [arm.name for arm in arms(False, False, 1)] == [ORGANIC, JUDGED, JUDGED_WEIGHTED]


def test_organic_weights_are_the_same_in_every_arm_and_differ_by_seed() -> None:
    records, extra = organic(), cloud(6, "rare", 5)
    additions = folded(*extra, [0, 1, 2, SEEN_ALL, 3, ALWAYS_ALLOWED])
    alone = mix(records, nothing(4), added_weight=1.0, seed=3)
    joined = mix(records, additions, added_weight=0.25, seed=3)
    other = mix(records, additions, added_weight=0.25, seed=4)
    assert np.array_equal(alone.weights, joined.weights[:70])
    assert not np.array_equal(alone.weights, other.weights[:70])
    assert alone.weights.mean() == pytest.approx(1.0)
    assert joined.weights[70:].tolist() == [0.25] * 5 + [1.0]  # a definition always weighs 1
    assert joined.labels == (*records.labels, *["rare"] * 6)
    assert np.array_equal(joined.vectors[70:], extra[0])
    assert joined.added.tolist() == [False] * 70 + [True] * 6


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(InputError):
        mix(organic(), nothing(4), added_weight=-0.1, seed=0)


def test_an_added_record_trains_only_while_its_unseen_fold_validates() -> None:
    records, witness = organic(), Witness()
    marks = np.array([100.0, 101.0, 102.0, 105.0, 109.0])[:, None] * np.ones((1, 4))
    added = folded(marks, ["rare"] * 5, [0, 1, 1, SEEN_ALL, ALWAYS_ALLOWED])
    validation_predictions(witness, records, added, strength=1.0, weight=0.5)
    assert len(witness.shown) == 5
    for fold, (vectors, labels, weights, _) in enumerate(witness.shown):
        assert len(vectors) == len(labels) == len(weights)
        inside = {tuple(row) for row in records.vectors[records.folds == fold]}
        assert not inside & {tuple(row) for row in vectors}
        joined = {float(row[0]): float(weight) for row, weight in zip(vectors, weights, strict=True) if row[0] >= 100}
        expected = {0: {100.0: 2.5}, 1: {101.0: 2.5, 102.0: 2.5}}.get(fold, {})
        assert joined == {**expected, 109.0: 1.0}  # a fifth of the records at five times the weight; definitions always


def test_the_organic_arm_searches_strengths_only_and_finds_the_best() -> None:
    records, witness = organic(), Witness()
    strengths = [0.001, 1.0, 1000.0]
    chosen = choose(witness, records, nothing(4), strengths=strengths, weights=[1.0, 0.1])
    assert sorted({call[3] for call in witness.shown}) == strengths
    assert len(witness.shown) == 15
    losses = {s: loss_of(records, nothing(4), strength=s) for s in strengths}
    assert chosen.strength == min(losses, key=lambda s: losses[s])
    assert chosen.loss == pytest.approx(min(losses.values()))
    assert chosen.weight == 1.0
    assert f"strength {chosen.strength:g}" in chosen.words()


def test_good_additions_get_a_large_weight_and_mislabelled_ones_the_smallest() -> None:
    records = organic(common=100, rare=10)
    folds, weights = [i % 5 for i in range(60)], [1.0, 0.3, 0.01]
    good = folded(cloud(60, "rare", 7)[0], ["rare"] * 60, folds)
    bad = folded(cloud(60, "common", 7)[0], ["rare"] * 60, folds)
    best = choose(LINEAR, records, good, strengths=[1.0, 10.0], weights=weights)
    worst = choose(LINEAR, records, bad, strengths=[1.0, 10.0], weights=weights)
    alone = choose(LINEAR, records, nothing(4), strengths=[1.0, 10.0], weights=weights)
    assert best.weight > worst.weight == 0.01
    forced = loss_of(records, bad, strength=1.0)
    assert best.loss < alone.loss < forced


def test_ties_go_to_the_first_and_an_empty_grid_is_refused() -> None:
    records = organic()
    chosen = choose(LINEAR, records, nothing(4), strengths=[3.0, 3.0], weights=[0.5, 1.0])
    assert (chosen.strength, chosen.weight) == (3.0, 0.5)
    for strengths, weights in (([], [1.0]), ([1.0], [])):
        with pytest.raises(InputError):
            choose(LINEAR, records, nothing(4), strengths=strengths, weights=weights)


def test_log_loss_is_the_mean_of_class_means_and_floored() -> None:
    predicted = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.75, 0.25]])
    loss = balanced_log_loss(predicted, ["a", "a", "a", "b"], ["a", "b"])
    assert loss == pytest.approx((np.log(2) + np.log(4)) / 2)
    certain = balanced_log_loss(np.array([[0.0, 1.0], [0.0, 1.0]]), ["a", "b"], ["a", "b"])
    assert certain == pytest.approx(-np.log(PROBABILITY_FLOOR) / 2)


def test_leaning_moves_the_log_odds_of_the_edge_and_nothing_else() -> None:
    before = np.array([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]])
    after = leaned(before, ["a", "b", "edge"], {"edge"}, 1.5)
    assert after.sum(axis=1) == pytest.approx([1, 1])
    assert np.log(after[:, 2] / after[:, 0]) == pytest.approx(np.log(before[:, 2] / before[:, 0]) + 1.5)
    assert after[:, 0] / after[:, 1] == pytest.approx(before[:, 0] / before[:, 1])
    assert leaned(before, ["a", "b", "edge"], {"edge"}, 0.0) == pytest.approx(before)


def test_the_offset_is_the_smallest_that_gives_the_best_mean_recall() -> None:
    classes, labels = ["edge", "rest"], ["edge"] * 3 + ["rest"] * 3
    edge_probability = np.array([0.45, 0.40, 0.9, 0.1, 0.2, 0.3])
    predicted = np.column_stack([edge_probability, 1 - edge_probability])
    offset = best_offset(predicted, labels, classes, {"edge"})
    assert offset == 0.5  # log(0.6 / 0.4) is 0.41; log(0.7 / 0.3), where the rest begins to suffer, is 0.85
    assert best_offset(predicted, labels, classes, set()) == 0.0
    certain = np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]] * 3)
    assert best_offset(certain, labels, classes, {"edge"}) == 0.0


def test_every_arm_may_move_its_threshold() -> None:
    rng = np.random.default_rng(5)
    vectors = np.concatenate([rng.normal(size=(60, 4)) + 0.9, rng.normal(size=(12, 4)) - 0.2])
    records = folded(vectors, ["common"] * 60 + ["rare"] * 12, [row % 4 for row in range(72)])
    free = choose(LINEAR, records, nothing(4), strengths=[1.0], weights=[1.0], edge={"rare"})
    fixed = choose(LINEAR, records, nothing(4), strengths=[1.0], weights=[1.0])
    assert fixed.offset == 0.0
    assert free.loss < fixed.loss  # the loss at its best offset: readiness alone must not look like knowledge
    predicted = validation_predictions(LINEAR, records, nothing(4), strength=1.0, weight=1.0)
    assert free.offset == best_offset(predicted, records.labels, ["common", "rare"], {"rare"})
    assert f"{free.offset:+g}" in free.words()


def test_synthetic_arms_are_compared_with_the_strongest_organic_one() -> None:
    assert comparisons([ORGANIC, UNJUDGED, JUDGED]) == ((ORGANIC, (UNJUDGED, JUDGED)),)
    assert comparisons([ORGANIC, DEFINITIONS, JUDGED, JUDGED_WEIGHTED]) == (
        (ORGANIC, (DEFINITIONS,)),
        (DEFINITIONS, (JUDGED, JUDGED_WEIGHTED)),
    )
    assert comparisons([ORGANIC, DEFINITIONS]) == ((ORGANIC, (DEFINITIONS,)), (DEFINITIONS, ()))

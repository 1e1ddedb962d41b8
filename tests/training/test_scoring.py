from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.stats import hierarchical_bootstrap
from proofset.training.scoring import (
    ACCURACY,
    EDGE_ACCURACY,
    EDGE_MATCHED,
    EDGE_PRECISION,
    MACRO_F1,
    REST_ACCURACY,
    SLICE_ACCURACY,
    Bench,
    Predictions,
    average_precision,
    bench_of,
    changes,
    discordant,
    observed_scores,
    resampled_differences,
    resampled_precision,
)

CLASSES = ("a", "b", "c", "d")


def random_case(seed: int, items: int = 60, seeds: int = 3) -> tuple[Bench, list[Predictions], list[str], list[str]]:
    rng = np.random.default_rng(seed)
    truth = [*CLASSES, *rng.choice(CLASSES, size=items - 4, p=[0.5, 0.3, 0.1, 0.1]).tolist()]
    groups = [f"g{i // 2}" for i in range(items)]
    arms = [
        Predictions(arm=name, probabilities=rng.dirichlet(np.ones(4), size=(seeds, items)), classes=CLASSES)
        for name in ("base", "x", "y")
    ]
    return bench_of(CLASSES, truth, groups, {"c", "d"}), arms, truth, groups


def row_of(bench: Bench, metric: str, part: str = "") -> int:
    return next(i for i, row in enumerate(bench.rows) if row.metric == metric and part in ("", row.slice))


def test_rows_name_every_comparison_once() -> None:
    bench = random_case(0)[0]
    assert [(row.slice, row.metric) for row in bench.rows] == [
        ("edge", EDGE_MATCHED),
        ("edge", EDGE_ACCURACY),
        ("rest", REST_ACCURACY),
        ("all", ACCURACY),
        ("c", SLICE_ACCURACY),
        ("d", SLICE_ACCURACY),
        ("all", MACRO_F1),
        ("edge", EDGE_PRECISION),
    ]


def test_unknown_labels_and_missing_groups_are_refused() -> None:
    for truth, groups, edge in ((["z"], ["g"], {"a"}), (["a"], ["g"], {"z"}), (["a", "b"], ["g"], {"a"})):
        with pytest.raises(InputError):
            bench_of(CLASSES, truth, groups, edge)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_observed_scores_agree_with_scikit_learn(seed: int) -> None:
    from sklearn.metrics import average_precision_score, f1_score

    bench, arms, truth, _ = random_case(seed)
    scores = observed_scores(bench, arms[0])
    names = np.asarray(truth)
    guesses = np.asarray(CLASSES)[arms[0].probabilities.argmax(axis=2)]
    assert scores[row_of(bench, ACCURACY)] == pytest.approx((guesses == names).mean())
    edge = np.isin(names, ["c", "d"])
    assert scores[row_of(bench, EDGE_ACCURACY)] == pytest.approx((guesses == names)[:, edge].mean())
    assert scores[row_of(bench, REST_ACCURACY)] == pytest.approx((guesses == names)[:, ~edge].mean())
    assert scores[row_of(bench, SLICE_ACCURACY, "d")] == pytest.approx((guesses == names)[:, names == "d"].mean())
    f1 = np.mean([f1_score(names, guess, average="macro", labels=CLASSES, zero_division=0) for guess in guesses])
    assert scores[row_of(bench, MACRO_F1)] == pytest.approx(f1)
    found = [average_precision_score(names == CLASSES[k], p[:, k]) for p in arms[0].probabilities for k in (2, 3)]
    assert scores[row_of(bench, EDGE_PRECISION)] == pytest.approx(np.mean(found))
    assert np.isnan(scores[row_of(bench, EDGE_MATCHED)]), "no arm has it alone"


@settings(deadline=None)
@given(seed=st.integers(0, 1000), ties=st.integers(1, 8))
def test_average_precision_agrees_with_scikit_learn_under_weights_and_ties(seed: int, ties: int) -> None:
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(seed)
    scores = rng.integers(0, ties, size=30) / ties
    positive = rng.random(30) < 0.3
    positive[0] = True
    weights = rng.integers(0, 3, size=(4, 30)).astype(np.float32)
    weights[:, 0] = 1
    found = average_precision(scores, positive, weights)
    expected = [average_precision_score(positive, scores, sample_weight=w) for w in weights]
    assert found == pytest.approx(expected, abs=1e-6)


def test_average_precision_without_positives_is_undefined() -> None:
    positive = np.array([True, False])
    weights = np.array([[0, 1], [1, 1]], dtype=np.float32)
    found = average_precision(np.array([0.9, 0.1]), positive, weights)
    assert np.isnan(found[0]) and found[1] == 1.0


def test_resampled_accuracy_is_the_hierarchical_bootstrap() -> None:
    bench, arms, truth, groups = random_case(1)
    differences = resampled_differences(bench, arms, 300, 7)
    assert differences.shape == (2, len(bench.rows), 300)
    names = np.asarray(truth)
    right = [np.asarray(CLASSES)[p.probabilities.argmax(axis=2)] == names for p in arms]
    expected = hierarchical_bootstrap(right[2].astype(float) - right[1 - 1].astype(float), groups, 300, 7)
    assert differences[1, row_of(bench, ACCURACY)] == pytest.approx(expected, abs=1e-6)


def test_resamples_centre_on_the_observed_difference() -> None:
    bench, arms, _, _ = random_case(2, items=400)
    observed = observed_scores(bench, arms[1]) - observed_scores(bench, arms[0])
    drawn = resampled_differences(bench, arms, 1000, 0)[0]
    precision = resampled_precision(bench, arms, 400, 0)
    assert precision.shape == (2, 400)
    for index, row in enumerate(bench.rows):
        if row.metric == EDGE_MATCHED:
            continue  # not resampled here
        draws = precision[0] if row.metric == EDGE_PRECISION else drawn[index]
        assert abs(float(draws.mean()) - observed[index]) < 0.35 * float(draws.std())


def test_equal_arms_never_differ() -> None:
    bench, arms, _, _ = random_case(3)
    twin = [arms[0], arms[0]]
    assert not np.nan_to_num(resampled_differences(bench, twin, 50, 0)).any()
    assert not resampled_precision(bench, twin, 50, 0).any()


def test_discordant_groups_count_near_copies_once() -> None:
    truth, groups = ["a", "a", "a", "b"], ["g", "g", "h", "i"]
    bench = bench_of(("a", "b"), truth, groups, {"a"})

    def saying(guesses: list[int]) -> Predictions:
        table: NDArray[np.float64] = np.eye(2)[guesses][None]
        return Predictions(arm="x", probabilities=table, classes=("a", "b"))

    change, differs = changes(bench, saying([1, 1, 1, 1]), saying([0, 0, 1, 0]))
    assert change.tolist() == [1, 1, 0, -1]
    assert differs.tolist() == [True, True, False, True]
    counts = {row.metric: discordant(bench, row, change, differs) for row in bench.rows}
    assert counts[EDGE_ACCURACY] == 1
    assert counts[REST_ACCURACY] == 1
    assert counts[ACCURACY] == 2
    assert counts[EDGE_PRECISION] == 1
    assert counts[EDGE_MATCHED] == 1, "whatever change it is given counts, not every moved probability"

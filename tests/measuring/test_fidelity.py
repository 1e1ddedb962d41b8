"""Shelf measures against brute force, closed forms, and what they must say of fresh records."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring import fidelity
from proofset.measuring.fidelity import (
    c2st,
    closer_to_train,
    energy_distance,
    frechet,
    mmd,
    prdc,
    sliced_wasserstein,
    tstr,
    vendi,
    vendi_two_unbiased,
)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def some(n: int, d: int = 6, seed: int = 0, *, scale: float = 1.0) -> Floats:
    return (scale * np.random.default_rng([99, seed]).normal(size=(n, d))).astype(np.float32)


def apart(first: Floats, second: Floats) -> Doubles:
    """All distances, by subtraction."""
    gaps = first.astype(np.float64)[:, None] - second.astype(np.float64)[None]
    return np.asarray(np.sqrt((gaps**2).sum(axis=2)))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "ROWS", 7)


# --- precision, recall, density, coverage --------------------------------------------------------------------------


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("synthetic", [some(33, seed=2), some(90, seed=2, scale=0.5), np.repeat(some(8, seed=3), 5, 0)])
def test_balls_are_counted_as_by_brute_force(synthetic: Floats, k: int) -> None:
    reference = some(41, seed=1)
    across = apart(synthetic, reference)
    reach_H = np.sort(apart(reference, reference), axis=1)[:, k]
    reach_S = np.sort(apart(synthetic, synthetic), axis=1)[:, k]
    found = prdc(reference, synthetic, k)
    assert found.precision == pytest.approx((across < reach_H).any(axis=1).mean())
    assert found.recall == pytest.approx((across < reach_S[:, None]).any(axis=0).mean())
    assert found.density == pytest.approx((across < reach_H).sum() / (k * len(synthetic)))
    assert found.coverage == pytest.approx((across.min(axis=0) < reach_H).mean())


@pytest.mark.parametrize(("n_H", "n_S", "k"), [(120, 120, 5), (120, 60, 5), (80, 160, 2)])
def test_fresh_records_have_the_expected_density_and_coverage(n_H: int, n_S: int, k: int) -> None:
    draws = [prdc(some(n_H, seed=2 * i), some(n_S, seed=2 * i + 1), k) for i in range(80)]
    density = np.array([draw.density for draw in draws])
    coverage = np.array([draw.coverage for draw in draws])
    expected = 1 - math.prod((n_H - i) / (n_H + n_S - i) for i in range(1, k + 1))
    assert density.mean() == pytest.approx(1, abs=4 * density.std(ddof=1) / math.sqrt(80))
    assert coverage.mean() == pytest.approx(expected, abs=4 * coverage.std(ddof=1) / math.sqrt(80))


def test_at_many_records_fresh_coverage_is_one_less_a_power_of_two() -> None:
    found = prdc(some(1500, d=3, seed=1), some(1500, d=3, seed=2), 5)
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.02)


def test_copies_of_the_reference_fill_its_balls_but_for_their_borders() -> None:
    reference = some(200)
    found = prdc(reference, reference[::-1].copy(), 5)
    assert (found.precision, found.recall, found.density, found.coverage) == (1, 1, 1, 1)


def test_shrunk_records_raise_density_and_lose_recall() -> None:
    fresh, shrunk = prdc(some(400, seed=1), some(400, seed=2)), prdc(some(400, seed=1), some(400, seed=2, scale=0.5))
    assert shrunk.density > 1.5 * fresh.density
    assert shrunk.recall < 0.8 * fresh.recall


# --- Vendi scores --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [5, 40])
@pytest.mark.parametrize("order", [0.5, 1.0, 2.0, 3.0, math.inf])
def test_vendi_scores_are_those_of_all_similarities(n: int, order: float) -> None:
    rows = some(n, d=12, scale=3.0)
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    similarities = rows.astype(np.float64) @ rows.T / np.outer(lengths, lengths)
    values = np.linalg.eigvalsh(similarities / n)
    values = values[values > 1e-12]
    if order == 1:
        expected = np.exp(-(values * np.log(values)).sum())
    elif order == math.inf:
        expected = 1 / values.max()
    else:
        expected = (values**order).sum() ** (1 / (1 - order))
    assert vendi(rows, order) == pytest.approx(expected, rel=1e-6)


@given(st.integers(1, 8), st.integers(1, 5), st.sampled_from([0.3, 1.0, 2.0, math.inf]))
@settings(max_examples=30, deadline=None)
def test_equally_frequent_kinds_are_counted_by_every_order(kinds: int, times: int, order: float) -> None:
    rows = np.repeat(np.eye(8, dtype=np.float32)[:kinds], times, axis=0)
    if kinds * times == 1 or kinds == 1:
        rows = np.concatenate([rows, -rows])
    assert vendi(rows, order) == pytest.approx(kinds)


def test_the_unbiased_score_leaves_out_each_record_with_itself() -> None:
    rows = some(30, d=4)
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    squares = (directions.astype(np.float64) @ directions.T) ** 2
    pairs = squares[~np.eye(30, dtype=bool)]
    assert vendi_two_unbiased(rows) == pytest.approx(1 / pairs.mean(), rel=1e-5)
    assert vendi_two_unbiased(np.eye(4, dtype=np.float32)) == math.inf
    assert vendi_two_unbiased(some(5, d=40)) > 0


def test_the_unbiased_score_of_order_two_is_flat_in_the_number_of_records() -> None:
    centres = np.concatenate([some(10, d=40, seed=5, scale=2.0) + 1, some(10, d=40, seed=6)])

    def score(measure: Callable[[Floats], float], n: int) -> float:
        picks = [np.random.default_rng([n, i]) for i in range(20)]
        clouds = [centres[rng.integers(20, size=n)] + rng.normal(size=(n, 40)) for rng in picks]
        return float(np.mean([measure(cloud.astype(np.float32)) for cloud in clouds]))

    assert score(vendi_two_unbiased, 100) == pytest.approx(score(vendi_two_unbiased, 1600), rel=0.02)
    assert score(vendi, 100) < 0.9 * score(vendi, 1600)


# --- distances between corpora -------------------------------------------------------------------------------------


def test_mmd_of_two_gaussians_has_its_closed_form() -> None:
    d, k = 8, 0.5
    scales = np.arange(1, d + 1) ** -0.35
    n = 4000
    rng = np.random.default_rng(0)
    reference, synthetic = (
        (rng.normal(size=(n, d)) * scales * size).astype(np.float32) for size in (1.0, math.sqrt(k))
    )
    pooled = np.concatenate([synthetic, reference]).astype(np.float64)
    median = np.median(
        ((pooled[rng.integers(2 * n, size=200_000)] - pooled[rng.integers(2 * n, size=200_000)]) ** 2).sum(1)
    )

    def mean_kernel(first: float, second: float) -> float:
        widths = median * np.array([0.25, 0.5, 1, 2])[:, None]
        return float(np.prod(1 + (first + second) * scales**2 / widths, axis=1).__pow__(-0.5).mean())

    expected = mean_kernel(k, k) + mean_kernel(1, 1) - 2 * mean_kernel(k, 1)
    found = [mmd(reference, synthetic, features=4096, permutations=0, seed=seed).squared for seed in range(4)]
    assert np.mean(found) == pytest.approx(expected, rel=0.1)


def test_mmd_is_unbiased_and_its_p_value_holds_its_level() -> None:
    draws = [mmd(some(60, seed=2 * i), some(80, seed=2 * i + 1), features=256, permutations=39) for i in range(200)]
    squared = np.array([draw.squared for draw in draws])
    assert squared.mean() == pytest.approx(0, abs=4 * squared.std(ddof=1) / math.sqrt(200))
    assert squared.min() < 0
    assert np.mean([draw.p <= 0.1 for draw in draws]) == pytest.approx(0.1, abs=4 * math.sqrt(0.09 / 200))
    assert np.mean([draw.p for draw in draws]) == pytest.approx(0.5125, abs=4 * math.sqrt(1 / 12 / 200))


def test_mmd_sees_a_shift_with_the_smallest_p_there_is() -> None:
    found = mmd(some(100, seed=1), some(100, seed=2) + np.float32(1), permutations=99)
    assert found.p == 0.01
    assert found.squared > 0.1


def test_mmd_does_not_hang_on_where_zero_is() -> None:
    first, second = some(100, seed=1), some(100, seed=2)
    there = mmd(first + np.float32(100), second + np.float32(100), permutations=0).squared
    assert there == pytest.approx(mmd(first, second, permutations=0).squared, abs=1e-4)


@pytest.mark.usefixtures("small_blocks")
def test_energy_distance_is_that_of_all_pairs() -> None:
    reference, synthetic = some(20, seed=1), some(31, seed=2) + np.float32(0.5)
    within = [apart(rows, rows).sum() / (len(rows) * (len(rows) - 1)) for rows in (reference, synthetic)]
    expected = 2 * apart(synthetic, reference).mean() - sum(within)
    assert energy_distance(reference, synthetic) == pytest.approx(expected, rel=1e-5)


def test_energy_distance_of_fresh_records_is_zero_in_the_mean() -> None:
    draws = np.array([energy_distance(some(40, seed=2 * i), some(60, seed=2 * i + 1)) for i in range(200)])
    assert draws.mean() == pytest.approx(0, abs=4 * draws.std(ddof=1) / math.sqrt(200))
    assert draws.min() < 0 < draws.max()


def exact_moments(mean: Doubles, covariance: Doubles, seed: int) -> Floats:
    """Records whose mean and covariance are these, not only in expectation."""
    drawn = np.random.default_rng(seed).normal(size=(500, len(mean)))
    drawn -= drawn.mean(axis=0)
    drawn = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn.T))).T
    return (mean + drawn @ np.linalg.cholesky(covariance).T).astype(np.float32)


def test_frechet_distance_of_gaussians_has_its_closed_form() -> None:
    first, second = np.diag([1.0, 4.0, 9.0]), np.diag([4.0, 1.0, 0.25])
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    reference = exact_moments(np.zeros(3), turn @ first @ turn.T, 2)
    synthetic = exact_moments(np.array([1.0, -2.0, 0.5]), turn @ second @ turn.T, 3)
    expected = 1 + 4 + 0.25 + (1 - 2) ** 2 + (2 - 1) ** 2 + (3 - 0.5) ** 2
    assert frechet(reference, synthetic) == pytest.approx(expected, rel=1e-4)
    assert frechet(reference, reference) == pytest.approx(0, abs=1e-5)


def test_frechet_distance_falls_as_one_over_n() -> None:
    few, many = (
        np.mean([frechet(some(n, d=10, seed=2 * i), some(n, d=10, seed=2 * i + 1)) for i in range(20)])
        for n in (200, 800)
    )
    assert few / many == pytest.approx(4, rel=0.15)


def test_a_shift_is_seen_by_slices_with_its_share_of_the_directions() -> None:
    reference = some(50, d=10)
    shift = np.zeros(10, dtype=np.float32)
    shift[3] = 2.0
    found = sliced_wasserstein(reference, reference + shift, directions=4000)
    assert found == pytest.approx(4 / 10, rel=0.1)


@pytest.mark.parametrize(("n", "m"), [(12, 12), (12, 8), (9, 20)])
def test_slices_of_unequal_numbers_are_those_of_repeated_records(n: int, m: int) -> None:
    reference, synthetic = some(n, seed=1), some(m, seed=2)
    whole = math.lcm(n, m)
    expected = sliced_wasserstein(np.repeat(reference, whole // n, axis=0), np.repeat(synthetic, whole // m, axis=0))
    assert sliced_wasserstein(reference, synthetic) == pytest.approx(expected, rel=1e-9)
    assert sliced_wasserstein(reference, np.repeat(reference, 3, axis=0)) == pytest.approx(0, abs=1e-12)


# --- can a classifier tell, and what is it worth to one ------------------------------------------------------------


def test_fresh_records_cannot_be_told_apart() -> None:
    found = [c2st(some(200, seed=2 * i), some(300, seed=2 * i + 1), seed=i) for i in range(20)]
    assert np.mean(found) == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 480 / 20))


def test_a_shift_is_told_and_a_shrinking_is_not() -> None:
    reference, fresh = some(400, seed=1), some(400, seed=2)
    assert c2st(reference, fresh + np.float32(2)) > 0.97
    assert c2st(reference, fresh * np.float32(0.7)) == pytest.approx(0.5, abs=0.05)


def test_a_column_that_never_changes_is_no_matter() -> None:
    def beside(rows: Floats) -> Floats:
        return np.concatenate([rows, np.full((len(rows), 1), 0.3, dtype=np.float32)], axis=1)

    reference, synthetic = some(300, seed=1), some(300, seed=2) + np.float32(0.4)
    assert c2st(beside(reference), beside(synthetic)) == pytest.approx(c2st(reference, synthetic), abs=0.02)
    assert tstr(beside(classes(1)), LABELS, beside(classes(2)), LABELS) == 1


def test_copies_of_the_reference_are_told_by_the_toss_of_a_coin() -> None:
    reference = some(100, d=60)
    assert c2st(reference, reference[::-1].copy()) == 0.5


def test_equal_records_share_a_fold_so_that_repetition_teaches_nothing() -> None:
    reference, five = some(100, d=80, seed=1), np.repeat(some(20, d=80, seed=2), 5, axis=0)
    found = np.mean([c2st(reference, five, seed=seed) for seed in range(20)])
    assert found < 0.65
    contents = np.concatenate([np.arange(100), np.repeat(np.arange(100, 120), 5)]).astype(np.uint64)
    labels = np.repeat([0, 1], 100)
    fold = fidelity._folds(contents, labels, 5, seed=3)
    assert all(len(set(fold[contents == content])) == 1 for content in contents)
    assert np.bincount(fold[labels == 0]).tolist() == [20] * 5
    assert np.bincount(fold[labels == 1]).tolist() == [20] * 5


def test_fresh_records_are_as_near_to_train_as_to_the_reference() -> None:
    found = [closer_to_train(*(some(200, seed=3 * i + j) for j in range(3))) for i in range(30)]
    assert np.mean(found) == pytest.approx(0.5, abs=4 * float(np.std(found, ddof=1)) / math.sqrt(30))


def test_copies_of_the_reference_and_half_and_half_copies_pass_the_share_nearer_to_train() -> None:
    train, reference = some(100, seed=1), some(100, seed=2)
    assert closer_to_train(train, reference, train) == 1
    assert closer_to_train(train, reference, reference) == 0
    assert closer_to_train(train, reference, np.concatenate([train[:50], reference[50:]])) == 0.5
    assert closer_to_train(train, train[::-1].copy(), some(30, seed=3)) == 0.5


LABELS = [f"class {at % 4}" for at in range(200)]


def classes(seed: int, *, spread: float = 0.3) -> Floats:
    centres = 4 * np.eye(4, 6, dtype=np.float32)
    return centres[np.arange(200) % 4] + some(200, seed=seed, scale=spread)


def test_classes_that_lie_apart_are_learnt_from_copies_as_from_train() -> None:
    assert tstr(classes(1), LABELS, classes(2), LABELS) == 1
    train, reference = classes(3, spread=3.0), classes(4, spread=3.0)
    order = np.random.default_rng(0).permutation(200)
    copied = tstr(train[order], [LABELS[at] for at in order], reference, LABELS)
    assert 0.3 < copied < 0.95
    assert copied == pytest.approx(tstr(train, LABELS, reference, LABELS), abs=1e-6)


def test_a_class_that_is_not_there_costs_its_share_and_what_it_is_taken_for() -> None:
    kept = [at for at, label in enumerate(LABELS) if label != "class 3"]
    found = tstr(classes(1)[kept], [LABELS[at] for at in kept], classes(2), LABELS)
    # 50 records are shared out between three classes of 50: F1 is 100 / (100 + a), least in sum where all get as many
    assert 300 / (100 + 50 / 3) / 4 - 1e-9 <= found <= (2 + 2 / 3) / 4 + 1e-9
    alone = tstr(classes(1), ["class 0"] * 200, classes(2), LABELS)
    assert alone == pytest.approx(0.4 / 4)


# --- what all have in common ---------------------------------------------------------------------------------------

PAIRED: list[Callable[[Floats, Floats], object]] = [
    prdc,
    mmd,
    energy_distance,
    frechet,
    sliced_wasserstein,
    c2st,
    lambda reference, synthetic: closer_to_train(reference, reference[::-1].copy(), synthetic),
]


@pytest.mark.parametrize("measure", PAIRED)
def test_the_same_records_and_seed_give_the_same_value(measure: Callable[[Floats, Floats], object]) -> None:
    assert measure(some(60, seed=1), some(50, seed=2)) == measure(some(60, seed=1), some(50, seed=2))


@pytest.mark.parametrize("measure", PAIRED)
@pytest.mark.parametrize(
    ("synthetic", "said"),
    [
        (some(50, d=5), "5 columns"),
        (np.full((50, 6), np.nan, dtype=np.float32), "NaN"),
        (np.ones((50, 6), dtype=np.float32), "equal"),
        (np.concatenate([some(50), np.zeros((1, 6), dtype=np.float32)]), "zero vectors"),
    ],
)
def test_vectors_that_cannot_be_used_are_refused(
    measure: Callable[[Floats, Floats], object], synthetic: Floats, said: str
) -> None:
    with pytest.raises(InputError, match=f"synthetic: .*{said}"):
        measure(some(60), synthetic)


@pytest.mark.parametrize(
    "asked",
    [
        lambda: prdc(some(5), some(50), 5),
        lambda: prdc(some(50), some(50), 0),
        lambda: vendi(some(50), 0.0),
        lambda: vendi(np.ones((5, 3), dtype=np.float32)),
        lambda: vendi_two_unbiased(np.full((5, 3), np.nan, dtype=np.float32)),
        lambda: mmd(some(50), some(50, seed=1), features=100),
        lambda: mmd(some(50), some(50, seed=1), permutations=-1),
        lambda: c2st(some(2), some(2, seed=1)),
        lambda: c2st(some(50), some(50, seed=1), folds=1),
        lambda: tstr(some(50), ["a"] * 49, some(50), ["a"] * 50),
        lambda: closer_to_train(some(50, d=5), some(50), some(50, seed=1)),
    ],
)
def test_what_makes_no_sense_is_refused(asked: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        asked()

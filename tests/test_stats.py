from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.errors import InputError
from proofset.stats import (
    bayesian_weights,
    group_numbers,
    hierarchical_bootstrap,
    minimum_detectable,
    normal_quantile,
    percentile_interval,
    resampled_counts,
    wilson,
)


def test_normal_quantile_is_the_textbook_value_and_refuses_certainty() -> None:
    assert normal_quantile(0.975) == pytest.approx(1.959964, abs=1e-6)
    assert normal_quantile(0.5) == 0.0
    for certain in (0.0, 1.0, -0.1):
        with pytest.raises(InputError):
            normal_quantile(certain)


def test_wilson_agrees_with_a_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(InputError):
        wilson(3, 2)


@given(n=st.integers(1, 500), data=st.data())
def test_wilson_holds_the_share_mirrors_and_widens_with_the_level(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    low, high = wilson(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0
    assert wilson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    wide_low, wide_high = wilson(k, n, 0.99)
    assert wide_low <= low and wide_high >= high


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5])
def test_wilson_covers_the_truth_about_95_times_in_100(p: float) -> None:
    counts = np.random.default_rng(3).binomial(120, p, size=4000)
    covered = np.mean([low <= p <= high for low, high in (wilson(int(k), 120) for k in counts)])
    assert 0.92 <= covered <= 0.98


def test_percentile_interval_takes_the_outer_percentiles() -> None:
    assert percentile_interval(np.arange(0.0, 101.0)) == pytest.approx((2.5, 97.5))
    assert percentile_interval([1.0, 1.0]) == (1.0, 1.0)
    for bad in ([], [1.0, math.nan]):
        with pytest.raises(InputError):
            percentile_interval(bad)


def test_percentile_interval_covers_a_mean_about_95_times_in_100() -> None:
    rng, hits, repetitions = np.random.default_rng(4), 0, 600
    for _ in range(repetitions):
        sample = rng.exponential(size=80)
        counts = resampled_counts(80, 400, rng)
        low, high = percentile_interval(np.asarray(counts @ sample / counts.sum(axis=1)))
        hits += low <= 1.0 <= high
    assert 0.92 <= hits / repetitions <= 0.98


def test_bayesian_weights_have_mean_one_and_the_spread_of_an_exponential() -> None:
    weights = bayesian_weights(20_000, seed=1)
    assert weights.shape == (20_000,)
    assert weights.min() > 0
    assert weights.mean() == pytest.approx(1.0, abs=1e-12)
    assert weights.std() == pytest.approx(1.0, abs=0.05)
    assert np.array_equal(weights, bayesian_weights(20_000, seed=1))
    assert not np.array_equal(weights, bayesian_weights(20_000, seed=2))
    assert bayesian_weights(0, seed=1).shape == (0,)


def test_bayesian_weights_cover_a_mean_about_95_times_in_100() -> None:
    samples = np.random.default_rng(5).normal(size=(3000, 100))
    weights = np.stack([bayesian_weights(100, seed) for seed in range(1000)])
    intervals = [percentile_interval(draws) for draws in samples @ weights.T / 100]
    assert 0.92 <= np.mean([low <= 0.0 <= high for low, high in intervals]) <= 0.98


def test_resampled_counts_draw_one_fewer_than_there_are_units() -> None:
    counts = resampled_counts(7, 5000, np.random.default_rng(0))
    assert (counts.sum(axis=1) == 6).all()
    assert counts.mean(axis=0) == pytest.approx(np.full(7, 6 / 7), abs=0.05)
    assert (resampled_counts(1, 4, np.random.default_rng(0)) == 1).all()


def test_group_numbers_follow_the_labels() -> None:
    numbers, n_groups = group_numbers(["b", "a", "b", "c"])
    assert numbers.tolist() == [1, 0, 1, 2]
    assert n_groups == 3


@given(constant=st.floats(-1, 1), seeds=st.integers(1, 4), items=st.integers(2, 12))
def test_resampling_a_constant_gives_the_constant(constant: float, seeds: int, items: int) -> None:
    draws = hierarchical_bootstrap(np.full((seeds, items), constant), np.arange(items), 50, 0)
    assert draws == pytest.approx(np.full(50, constant), abs=1e-9)


def test_bootstrap_spread_is_the_unbiased_standard_error() -> None:
    values = np.random.default_rng(6).normal(size=(1, 9))
    spread = hierarchical_bootstrap(values, np.arange(9), 40_000, 0).std()
    assert spread == pytest.approx(values.std(ddof=1) / 3, rel=0.02)


def test_near_copies_move_together() -> None:
    values = np.random.default_rng(7).normal(size=200)
    copied = np.repeat(values, 4)[None, :]
    alone = hierarchical_bootstrap(values[None, :], np.arange(200), 4000, 0).std()
    together = hierarchical_bootstrap(copied, np.repeat(np.arange(200), 4), 4000, 0).std()
    apart = hierarchical_bootstrap(copied, np.arange(800), 4000, 0).std()
    assert together == pytest.approx(alone, rel=1e-6)
    assert apart == pytest.approx(alone / 2, rel=0.1)


def test_bootstrap_needs_two_groups_and_one_label_per_item() -> None:
    for groups in (np.zeros(5), np.arange(4)):
        with pytest.raises(InputError):
            hierarchical_bootstrap(np.zeros((2, 5)), groups, 10, 0)


def test_bootstrap_is_deterministic_and_independent_of_the_label_type() -> None:
    values = np.random.default_rng(8).normal(size=(3, 40))
    numbers = np.repeat(np.arange(20), 2)
    first = hierarchical_bootstrap(values, numbers, 100, 5)
    assert np.array_equal(first, hierarchical_bootstrap(values, [f"{i:02}" for i in numbers], 100, 5))
    assert not np.array_equal(first, hierarchical_bootstrap(values, numbers, 100, 6))


@pytest.mark.parametrize("seed_spread", [0.0, 0.02])
def test_bootstrap_covers_the_truth_about_95_times_in_100(seed_spread: float) -> None:
    rng, hits, repetitions, truth = np.random.default_rng(9), 0, 800, 0.05
    groups = np.repeat(np.arange(60), 2)
    for repetition in range(repetitions):
        group_effects = np.repeat(rng.normal(0, 0.4, size=60), 2)
        noise = rng.normal(0, 0.1, size=(5, 120))
        sample = truth + group_effects + rng.normal(0, seed_spread, size=(5, 1)) + noise
        low, high = percentile_interval(hierarchical_bootstrap(sample, groups, 400, repetition))
        hits += low <= truth <= high
    assert 0.92 <= hits / repetitions <= 0.98


def test_bootstrap_of_five_seeds_and_5000_items_takes_well_under_a_second() -> None:
    values = np.random.default_rng(10).normal(size=(5, 5000))
    hierarchical_bootstrap(values, np.arange(5000), 10, 0)
    start = time.process_time()
    assert hierarchical_bootstrap(values, np.arange(5000), 2000, 0).shape == (2000,)
    assert time.process_time() - start < 1.0


def test_minimum_detectable_difference_is_detected_with_the_power_asked_for() -> None:
    assert minimum_detectable(1.0) == pytest.approx(2.8016, abs=1e-3)
    effect = minimum_detectable(0.3, power=0.9)
    estimates = np.random.default_rng(11).normal(effect, 0.3, size=20_000)
    assert np.mean(estimates - 1.96 * 0.3 > 0) == pytest.approx(0.9, abs=0.01)
    with pytest.raises(InputError):
        minimum_detectable(-1.0)

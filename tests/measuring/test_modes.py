"""Retention of modes whose mass is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.measuring.worlds import world

from proofset.measuring.frame import Constants, Frame
from proofset.measuring.modes import lost, retention
from proofset.measuring.quotient import Estimate

Counts = NDArray[np.int64]

SHARES = np.random.default_rng(31).gamma(4.0, size=100)
SHARES /= SHARES.sum()


def counts(n: int, rng: np.random.Generator, gone: int = 0) -> Counts:
    """Records in each of a hundred modes; the first ``gone`` have none."""
    left = np.where(np.arange(100) < gone, 0.0, SHARES)
    return rng.multinomial(n, left / left.sum())


def taken(n: int, seed: int, gone: int = 0, n_S: int = 0) -> Estimate:
    rng = np.random.default_rng([seed, 32])
    train, reference, control = (counts(n, rng) for _ in range(3))
    return retention(train, reference, control, counts(n_S or n, rng, gone), alive=0.5, budget=0.1, seed=seed)


def test_lost_mass_is_counted_below_half_the_organic_share() -> None:
    organic = np.array([0.5, 0.3, 0.2, 0.0])
    assert lost(organic, organic, 0.5) == 0
    assert lost(np.array([0.75, 0.25, 0.0, 0.0]), organic, 0.5) == pytest.approx(0.2)
    # at a quarter of its mass a mode is half lost, at half of it not at all, and more is no gain
    assert lost(np.array([0.85, 0.1, 0.05, 0.0]), organic, 0.5) == pytest.approx(0.1 + 0.3 * (1 - 0.1 / 0.15))
    assert lost(np.array([[0.5, 0.3, 0.2, 0.0], [1.0, 0.0, 0.0, 0.0]]), organic, 0.5) == pytest.approx([0.0, 0.5])


@pytest.mark.parametrize("gone", [2, 5, 9])
def test_s_06_dropped_mass_costs_a_tenth_for_each_percent(gone: int) -> None:
    mass = float(SHARES[:gone].sum())
    for seed in range(5):
        r = taken(10_000, seed, gone)
        assert abs(r.value - (1 - mass / 0.1)) < 3 * r.error
    assert f"{1 - r.value:.0%}"[:-1] in f"{round(10 * (1 - r.value), 1) * 10:.0f}"
    assert "missing" in r.words


@pytest.mark.slow
@pytest.mark.parametrize("without", [1, 4])
def test_s_06_dropped_mass_costs_a_tenth_for_each_percent_in_full(without: int) -> None:
    of = world(32)
    mass = float(of.shares[:without].sum())
    for seed in range(5):
        rng = np.random.default_rng([seed, 33])
        train = of.sample(10_000, rng)
        frame = Frame.of(train, Constants(features=8), "")
        others = (train, of.sample(10_000, rng), of.sample(10_000, rng), of.sample(10_000, rng, without=without))
        r = retention(
            *(np.bincount(frame.modes(one), minlength=len(frame.centres)) for one in others),
            alive=0.5, budget=0.1, seed=seed,
        )  # fmt: skip
        assert abs(r.value - (1 - mass / 0.1)) < 3 * r.error


@pytest.mark.parametrize(("n", "gone"), [(2_000, 0), (2_000, 5), (6_000, 0), (6_000, 2)])
def test_the_error_is_that_of_chance_and_intervals_cover(n: int, gone: int) -> None:
    truth = 1 - float(SHARES[:gone].sum()) / 0.1
    found = [taken(n, seed, gone) for seed in range(100)]
    values = np.array([one.value for one in found])
    errors = np.sqrt(np.mean([one.error**2 for one in found]))
    assert 0.85 < errors / values.std(ddof=1) < 1.3
    # of 100, 95 are expected; fewer than 86 come once in 5,000 times
    assert sum(one.bound(0.025) <= truth <= one.bound(0.975) for one in found) >= 86
    assert values.mean() == pytest.approx(truth, abs=0.02)


def test_resampling_the_counts_as_they_are_would_be_far_too_wide() -> None:
    def naive(seed: int) -> float:
        rng = np.random.default_rng([seed, 32])
        train, reference, control, synthetic = (counts(4_000, rng) for _ in range(4))
        pooled = train + reference
        masses = rng.multinomial(8_000, pooled / 8_000, 300) / 8_000
        ours, theirs = (lost(rng.multinomial(4_000, c / 4_000, 300) / 4_000, masses, 0.5) for c in (synthetic, control))
        return float((ours - theirs).std(ddof=1)) / 0.1

    found = [taken(4_000, seed) for seed in range(40)]
    real = np.std([one.value for one in found], ddof=1)
    assert np.mean([naive(seed) for seed in range(40)]) > 1.4 * real
    assert np.sqrt(np.mean([one.error**2 for one in found])) < 1.35 * real


def test_a_larger_corpus_is_cut_down_so_that_chance_losses_are_equal() -> None:
    found = np.array([taken(2_000, seed, n_S=40_000).value for seed in range(30)])
    assert abs(found.mean() - 1) < 4 * found.std(ddof=1) / np.sqrt(30)
    found = np.array([taken(6_000, seed, n_S=2_000).value for seed in range(30)])
    assert abs(found.mean() - 1) < 4 * found.std(ddof=1) / np.sqrt(30)


def test_the_seed_decides_and_nothing_else() -> None:
    assert taken(2_000, 1) == taken(2_000, 1)


def test_modes_without_any_record_do_not_matter() -> None:
    rng = np.random.default_rng(34)
    found = [np.append(counts(2_000, rng), 0) for _ in range(4)]
    assert retention(*found, alive=0.5, budget=0.1, seed=0).value == pytest.approx(1, abs=0.2)

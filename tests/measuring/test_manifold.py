"""Fidelity and coverage where the share of junk and of uncovered places is known."""

from __future__ import annotations

import numpy as np
import pytest
from tests.measuring.worlds import Vectors, fitted, junk, noisy, scaled, world

from proofset.measuring.manifold import batch_size, fidelity_and_coverage
from proofset.measuring.neighbours import radii, within
from proofset.measuring.quotient import Estimate, Missing, Taken

WORLD = world(16)


def taken(reference: Vectors, control: Vectors, synthetic: Vectors, batch: int = 400) -> tuple[Estimate, Estimate]:
    both = fidelity_and_coverage(reference, control, synthetic, batch=batch, neighbours=5)
    return number(both[0]), number(both[1])


def number(one: Taken) -> Estimate:
    assert isinstance(one, Estimate)
    return one


def organic(n: int, seed: int, width: int = 16) -> tuple[Vectors, Vectors, Vectors]:
    rng = np.random.default_rng([seed, 21])
    return (world(width).sample(n, rng), world(width).sample(n, rng), world(width).sample(n, rng))


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_s_07_junk_lowers_fidelity_by_its_share(share: float) -> None:
    reference, control, fresh = organic(6_000, 1)
    f, k = taken(reference, control, junk(fresh, share, np.random.default_rng(2)))
    assert abs(f.value - (1 - share)) < 0.03
    assert k.value > 0.9
    assert "junk" in f.words and str(round(100 * (1 - f.value))) in f.words


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_s_07_junk_lowers_fidelity_by_its_share_in_full(share: float) -> None:
    for seed in range(5):
        reference, control, fresh = organic(10_000, seed, 32)
        f, _ = taken(reference, control, junk(fresh, share, np.random.default_rng(seed)))
        assert abs(f.value - (1 - share)) < 0.03


def test_noise_and_a_single_gaussian_have_no_fidelity() -> None:
    reference, control, fresh = organic(4_000, 3)
    rng = np.random.default_rng(3)
    for made in (noisy(WORLD, fresh, 0.25, rng), fitted(reference, 4_000, rng)):
        f, _ = taken(reference, control, made)
        assert f.value < 0.2


def test_missing_modes_and_shrinking_leave_places_uncovered_and_fidelity_whole() -> None:
    reference, control, fresh = organic(4_000, 4)
    rng = np.random.default_rng(4)
    lost = WORLD.sample(4_000, rng, without=8)
    f, k = taken(reference, control, lost)
    mass = float(WORLD.shares[:8].sum())
    assert f.value == pytest.approx(1.0, abs=0.05)
    assert k.value == pytest.approx(1 - mass, abs=0.05)
    f, k = taken(reference, control, scaled(fresh, 0.3))
    assert k.value < 0.8


def test_intervals_cover_one_for_fresh_records() -> None:
    inside = np.zeros(2)
    for seed in range(80):
        both = taken(*organic(800, seed), batch=100)
        inside += [one.bound(0.025) <= 1 <= one.bound(0.975) for one in both]
    # of 80, 76 are expected; fewer than 70 come once in 400 times
    assert inside.min() >= 70


def test_balls_without_clipping_would_reach_from_outliers_over_everything() -> None:
    rng = np.random.default_rng(5)
    reference, made = rng.normal(size=(400, 8)).astype(np.float32), rng.normal(size=(400, 8)).astype(np.float32)
    reference[:8] *= 30
    made *= 3
    reach = radii(reference, 5)
    clipped = within(reference, np.minimum(reach, np.median(reach)), made).any(axis=1).mean()
    assert within(reference, reach, made).any(axis=1).mean() > clipped + 0.5
    f, _ = taken(reference, rng.normal(size=(400, 8)).astype(np.float32), made, batch=100)
    assert f.value < 0.2


@pytest.mark.parametrize(("n", "size"), [(100_000, 400), (1_600, 400), (1_599, 399), (800, 200), (200, 50), (100, 50)])
def test_batches_shrink_so_that_there_are_four(n: int, size: int) -> None:
    assert batch_size(n, 400) == size


def test_degrees_of_freedom_and_records_are_those_of_the_batches() -> None:
    f, k = taken(*organic(900, 6), batch=200)
    assert f.dof == k.dof == 3 and f.n == k.n == 800


def test_no_error_is_zero() -> None:
    reference, control, _ = organic(800, 7)
    nowhere = 50 + np.random.default_rng(7).normal(size=(800, 16)).astype(np.float32)
    for one in taken(reference, control, nowhere, batch=200):
        assert one.value == 0 and 0 < one.error < 0.01


def test_control_records_that_are_nowhere_near_leave_nothing_to_divide_by() -> None:
    reference, _, fresh = organic(400, 8)
    for one in fidelity_and_coverage(reference, reference + 100, fresh, batch=100, neighbours=5):
        assert isinstance(one, Missing) and "nowhere" in one.why

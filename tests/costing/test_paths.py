"""The paths on from a pilot: known answers, their order, and the way back from growth to octaves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.costing.paths import FARTHEST, Floats, Paths, fitted, uniques


def falling_by(change: float, last: float = 0.7) -> Paths:
    slopes = np.array([[last - 2 * change, last - change, last]])
    one = np.ones(1)
    return Paths(1000 * one, 500 * one, 200 * one, 700 * one, 0.9 * one, slopes)


def at(octaves: float) -> Floats:
    return np.array([octaves])


def test_a_slope_that_falls_by_a_tenth_an_octave_is_continued_to_nothing() -> None:
    paths = falling_by(-0.1)
    steps = [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    for octaves in range(len(steps) + 1):
        assert paths.falling(at(octaves))[0] == pytest.approx(sum(steps[:octaves]))
    assert paths.top[0] == pytest.approx(0.7 * 6.5 - 0.1 * 6.5 * 7.5 / 2)
    assert [paths.falling(at(x))[0] for x in (6.5, 50.0)] == pytest.approx([paths.top[0]] * 2)


def test_a_slope_that_rises_ends_at_one_new_idea_per_candidate() -> None:
    paths = falling_by(+0.1)
    assert paths.falling(at(1))[0] == pytest.approx(0.8)
    assert math.isinf(paths.top[0])
    assert paths.falling(at(31))[0] - paths.falling(at(30))[0] == pytest.approx(1)


def test_a_slope_that_does_not_change_goes_on() -> None:
    paths = falling_by(0.0)
    assert paths.falling(at(20))[0] == pytest.approx(14) and math.isinf(paths.top[0])


def test_inext_starts_at_the_pilot_and_ends_at_chao1() -> None:
    paths = falling_by(-0.1)
    assert paths.inext(at(0))[0] == 0
    assert 500 * 2 ** paths.inext(at(1))[0] == pytest.approx(500 + 700 * (1 - (1 - 200 / 700_200) ** 1000))
    assert 500 * 2 ** paths.inext(at(FARTHEST))[0] == pytest.approx(1200)


@given(octaves=st.floats(0, 30), blend=st.floats(-1, 1), change=st.floats(-0.2, 0.05))
def test_a_blend_lies_between_its_ends_and_never_falls(octaves: float, blend: float, change: float) -> None:
    paths = falling_by(change)
    here, later = (paths.growth(at(x), at(blend))[0] for x in (octaves, octaves + 0.5))
    ends = [float(path(at(octaves))[0]) for path in (paths.falling, paths.heaps, paths.inext)]
    assert min(ends) - 1e-9 <= here <= max(ends) + 1e-9
    assert here <= later + 1e-9


@given(octaves=st.floats(0, 25), blend=st.floats(-0.9, 1))
def test_octaves_for_is_the_inverse_of_growth(octaves: float, blend: float) -> None:
    paths = falling_by(-0.01)
    growth = paths.growth(at(octaves), at(blend))
    assert paths.octaves_for(growth, at(blend))[0] == pytest.approx(octaves, abs=1e-6)


def test_growth_that_a_path_never_has_takes_infinitely_many_octaves() -> None:
    paths = falling_by(-0.1)
    assert math.isinf(paths.octaves_for(paths.top + 0.01, at(0))[0])
    assert math.isfinite(paths.octaves_for(paths.top + 0.01, at(1))[0])
    assert math.isinf(paths.octaves_for(at(math.inf), at(1))[0])


def test_many_pilots_at_once_are_each_fitted_as_if_alone() -> None:
    multiplicities = np.array([1.0, 2.0, 7.0])
    ideas = np.array([[40.0, 9.0, 3.0], [10.0, 0.0, 8.0], [64.0, 0.0, 0.0]])
    together = fitted(multiplicities, ideas)
    for place in range(3):
        alone = fitted(multiplicities, ideas[place : place + 1])
        assert alone.slopes_B_3[0] == pytest.approx(together.slopes_B_3[place])
        assert alone.beta_B[0] == pytest.approx(together.beta_B[place])
        assert alone.unseen_B[0] == together.unseen_B[place]
    assert together.unseen_B.tolist() == [40 * 39 / 20, 10 * 9 / 2, 64 * 63 / 2]


def test_a_curve_that_follows_heaps_gives_its_exponent_back() -> None:
    rng = np.random.default_rng(2)
    ranks = np.arange(1, 200_000, dtype=np.float64)
    p = ranks**-2.0 / (ranks**-2.0).sum()  # U ~ n^(1/2)
    counts = np.bincount(rng.multinomial(200_000, p))
    multiplicities = np.flatnonzero(counts)[1:]
    found = fitted(multiplicities.astype(np.float64), counts[multiplicities][None, :].astype(np.float64))
    assert found.beta_B[0] == pytest.approx(0.5, abs=0.03)


def test_two_draws_from_three_candidates_of_two_ideas_see_five_thirds() -> None:
    assert uniques(np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([2.0]))[0] == pytest.approx(5 / 3)

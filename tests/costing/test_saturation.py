"""The curve of unique ideas is exact within the pilot, and its continuations behave as they did in known worlds."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from benchmarks.projection import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from proofset.costing.saturation import (
    LEAST_CANDIDATES,
    Method,
    NotReached,
    Saturation,
    numbered,
    rarefaction,
    resampled,
    saturation,
    spectrum,
)
from proofset.errors import InputError

WORLDS = {"A": worlds.seeded, "B": worlds.unseeded, "C": worlds.fresh}


@cache
def world(name: str) -> worlds.World:
    return WORLDS[name]()


@cache
def fitted_to(name: str) -> Saturation:
    ideas, seeds = world(name).sample(worlds.PILOT, np.random.default_rng(11))
    return saturation(spectrum(ideas.tolist(), None if seeds is None else seeds.tolist()))


def over_true(name: str, method: Method, at: int) -> float:
    return fitted_to(name).unique_at(at * worlds.PILOT, method) / world(name).truth(at * worlds.PILOT)


@given(ideas=st.lists(st.integers(0, 4), min_size=1, max_size=8), seeded=st.booleans())
def test_rarefaction_is_the_mean_over_every_subset_of_the_pilot(ideas: list[int], seeded: bool) -> None:
    of = spectrum(ideas, ["x", *"y" * (len(ideas) - 1)] if seeded else None)
    for m in range(len(ideas) + 1):
        subsets = [len(set(subset)) for subset in combinations(ideas, m)]
        assert rarefaction(of, [m])[0] == pytest.approx(sum(subsets) / len(subsets), abs=1e-9)


@given(ideas=st.lists(st.integers(0, 30), min_size=1, max_size=200))
def test_the_curve_rises_ever_more_slowly_to_the_pilots_own_count(ideas: list[int]) -> None:
    curve = rarefaction(spectrum(ideas), list(range(len(ideas) + 1)))
    steps = np.diff(curve)
    assert curve[0] == pytest.approx(0, abs=1e-9) and curve[-1] == pytest.approx(len(set(ideas)))
    assert (steps >= -1e-9).all() and (np.diff(steps) <= 1e-9).all()


def test_the_estimates_of_a_small_pilot_are_those_by_hand() -> None:
    ideas = [*"abcdef", *"gg", *"hh", *"iii", *"jjjjj"]
    found = saturation(spectrum(ideas))
    assert (found.n, found.distinct, found.seeds) == (18, 10, 1)
    assert found.marginal_yield == pytest.approx(6 / 18)
    assert found.chao1 == pytest.approx(10 + 6 * 5 / (2 * 3))
    assert found.heaps_k * 18**found.heaps_beta == pytest.approx(10)
    curve = rarefaction(spectrum(ideas), [18 / 8, 18 / 4, 18 / 2, 18])
    assert found.slopes == pytest.approx(np.diff(np.log2(curve)))
    unseen = 1 - (1 - 6 / (18 * 5 + 6)) ** 18
    assert found.unique_at(36, Method.INEXT) == pytest.approx(10 + 5 * unseen)
    assert found.unique_at(36, Method.LINEAR) == 20
    assert found.unique_at(36, Method.HEAPS) == pytest.approx(10 * 2**found.heaps_beta)
    change = (found.slopes[2] - found.slopes[0]) / 2
    assert found.unique_at(36) == pytest.approx(10 * 2 ** max(0.0, found.slopes[2] + change))


def test_a_pilot_without_a_repetition_is_taken_for_endless() -> None:
    found = saturation(spectrum(range(64)))
    assert found.slopes == pytest.approx((1, 1, 1)) and found.heaps_beta == pytest.approx(1)
    assert found.unique_at(6400) == pytest.approx(6400) and found.candidates_for(6400) == pytest.approx(6400)
    assert found.ceiling >= found.chao1 == 64 + 64 * 63 / 2


def test_a_pilot_of_one_idea_is_exhausted() -> None:
    found = saturation(spectrum(["same"] * 40))
    assert found.unique_at(4000) == 1 and found.marginal_yield == 0 and found.chao1 == 1
    for method in (Method.FALLING_SLOPE, Method.HEAPS, Method.INEXT):
        assert isinstance(found.candidates_for(2, method), NotReached)
    assert found.candidates_for(2, Method.INEXT) == NotReached(ceiling=1.0)


def test_what_was_all_found_has_a_ceiling_near_what_there_is() -> None:
    ideas = np.random.default_rng(3).integers(0, 500, 2000).tolist()
    found = saturation(spectrum(ideas))
    assert 480 < found.ceiling < 560
    beyond = found.candidates_for(1000)
    assert isinstance(beyond, NotReached) and beyond.ceiling == pytest.approx(found.ceiling, rel=0.1)
    assert found.candidates_for(1000, Method.INEXT) == NotReached(found.chao1)


def test_the_ceiling_is_never_below_what_is_known_to_exist() -> None:
    ideas = [*range(20), *(f"thrice {number // 3}" for number in range(120))]
    found = saturation(spectrum(ideas))
    ended = found.candidates_for(200)
    assert isinstance(ended, NotReached) and ended.ceiling < found.chao1 == found.ceiling == 60 + 20 * 19 / 2


@pytest.mark.parametrize("name", ["A", "B", "C"])
@pytest.mark.parametrize("method", [Method.LINEAR, Method.HEAPS, Method.FALLING_SLOPE])
def test_candidates_for_is_the_inverse_of_unique_at(name: str, method: Method) -> None:
    found = fitted_to(name)
    for at in (1.0, 1.5, 20.0, 300.0):
        there = found.candidates_for(found.unique_at(at * found.n, method), method)
        assert there == pytest.approx(at * found.n, rel=1e-6)


def test_inext_has_an_inverse_up_to_chao1() -> None:
    found = fitted_to("B")
    assert found.candidates_for(found.unique_at(3 * found.n, Method.INEXT), Method.INEXT) == pytest.approx(3 * found.n)


def test_linear_promises_two_to_three_times_too_much_from_one_prompt_or_few_seeds_and_not_from_fresh_documents() -> (
    None
):
    assert over_true("A", Method.LINEAR, 100) == pytest.approx(3.08, abs=0.05)
    assert over_true("A", Method.LINEAR, 500) == pytest.approx(8.32, abs=0.15)
    assert 1.9 < over_true("B", Method.LINEAR, 100) < 2.5
    assert over_true("C", Method.LINEAR, 100) == pytest.approx(1.03, abs=0.03)


@pytest.mark.parametrize("name", ["A", "B"])
@pytest.mark.parametrize("at", [5, 25, 100, 500])
def test_linear_is_above_heaps_above_the_falling_slope_above_inext(name: str, at: int) -> None:
    ratios = [over_true(name, method, at) for method in Method]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] < 1 < ratios[0]


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_the_falling_slope_is_within_one_and_a_half_at_100_times_the_pilot(name: str) -> None:
    assert 1 / 1.5 < over_true(name, Method.FALLING_SLOPE, 100) < 1.52


def test_the_marginal_yield_of_world_a_is_the_one_of_its_truth() -> None:
    truth = world("A").truth(worlds.PILOT + 1) - world("A").truth(worlds.PILOT)
    assert fitted_to("A").marginal_yield == pytest.approx(truth, abs=0.01) == pytest.approx(0.816, abs=0.011)


def test_bootstrap_pilots_spread_as_new_pilots_do() -> None:
    rng, prompt = np.random.default_rng(5), world("B")
    fresh = [len(set(prompt.sample(2000, rng)[0].tolist())) / 2000 for _ in range(200)]
    of = spectrum(prompt.sample(2000, rng)[0].tolist())
    drawn = resampled(of, 2000, rng)
    average = drawn.sum(axis=1) / (drawn @ of.multiplicities_K)
    assert average.mean() == pytest.approx(np.mean(fresh), abs=0.03)
    assert np.std(fresh) < average.std() < 3 * np.std(fresh)


def test_bootstrap_pilots_of_documents_keep_a_documents_ideas_together() -> None:
    ideas = [*range(50), *["copy"] * 50]
    of = spectrum(ideas, ["rich"] * 50 + ["poor"] * 50)
    drawn = resampled(of, 300, np.random.default_rng(1))
    assert set((drawn[:, 0] % 50).tolist()) == {0.0}
    assert (drawn.sum(axis=1) > 0).all()


@given(labels=st.lists(st.one_of(st.integers(), st.text(), st.none())))
def test_numbers_are_equal_where_labels_are(labels: list[object]) -> None:
    numbers = numbered(labels)
    assert len(numbers) == len(labels)
    assert all((a == b) == (m == n) for a, m in zip(labels, numbers) for b, n in zip(labels, numbers))  # noqa: B905
    assert set(numbers.tolist()) == set(range(len(set(labels))))


@pytest.mark.parametrize(("ideas", "seeds"), [([], None), ([1, 2], [1]), ([], [])])
def test_a_spectrum_needs_candidates_and_as_many_seeds(ideas: list[int], seeds: list[int] | None) -> None:
    with pytest.raises(InputError, match=f"{len(ideas)} candidates"):
        spectrum(ideas, seeds)


def test_too_few_candidates_are_refused_and_so_are_questions_within_the_pilot() -> None:
    with pytest.raises(InputError, match="15 critic-passed candidates"):
        saturation(spectrum(range(LEAST_CANDIDATES - 1)))
    found = saturation(spectrum([0, 0, *range(LEAST_CANDIDATES)]))
    for candidates in (17.0, math.nan):
        with pytest.raises(InputError, match="the pilot had 18"):
            found.unique_at(candidates)
    with pytest.raises(InputError, match="the pilot has 16"):
        found.candidates_for(15)
    for outside in (-1.0, 19.0, math.nan):
        with pytest.raises(InputError, match="a curve of 18 candidates"):
            rarefaction(spectrum([0, 0, *range(16)]), [outside])


@given(ideas=st.lists(st.integers(0, 40), min_size=16, max_size=120), at=st.floats(1, 1e4))
@settings(max_examples=60)
def test_more_candidates_never_bring_fewer_ideas_nor_more_than_one_each(ideas: list[int], at: float) -> None:
    found = saturation(spectrum(ideas))
    n = at * found.n
    for method in Method:
        before, after = found.unique_at(n, method), found.unique_at(1.5 * n, method)
        assert found.distinct - 1e-6 <= before <= after * (1 + 1e-9)
        assert before <= found.distinct * at * (1 + 1e-6)

"""Diversity against corpora whose variety is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from proofset.config import MeasureSettings
from proofset.errors import InputError
from proofset.measuring.diversity import compare_diversity, effective_rank, total_variance
from proofset.nouns.result import Measure

SETTINGS = MeasureSettings(draws=40, modes=10)
CENTRES = np.random.default_rng(1).normal(size=(10, 8)) * 4
SHARES = np.array([0.2, 0.2, 0.15, 0.15, 0.1, 0.1, 0.04, 0.03, 0.02, 0.01])


def corpus(n: int, seed: int, *, modes: int = 10) -> NDArray[np.float64]:
    """Ten clusters, the last four rare; fewer ``modes`` leave rare ones out."""
    rng = np.random.default_rng(seed)
    shares = SHARES[:modes] / SHARES[:modes].sum()
    chosen: NDArray[np.float64] = CENTRES[rng.choice(modes, n, p=shares)] + 0.2 * rng.normal(size=(n, 8))
    return chosen


def measured(synthetic: NDArray[np.float64], organic: NDArray[np.float64]) -> dict[str, tuple[Measure, Measure]]:
    return {pair[0].name: pair for pair in compare_diversity(synthetic, organic, SETTINGS, 0)}


def value(measure: Measure) -> float:
    assert measure.value is not None and measure.low is not None and measure.high is not None
    assert 0 <= measure.low <= measure.value <= measure.high
    return measure.value


def test_fresh_organic_text_scores_one_and_so_does_every_control() -> None:
    found = measured(corpus(400, 2), corpus(800, 3))
    assert list(found) == ["variance ratio", "effective rank ratio", "rare-mode coverage"]
    for ours, control in found.values():
        assert value(ours) == pytest.approx(1, abs=0.08)
        assert value(control) == pytest.approx(1, abs=0.03)
        assert ours.n == control.n == 400


def test_shrinking_shows_in_variance_alone() -> None:
    organic = corpus(800, 3)
    found = measured(0.8 * corpus(400, 2), organic)
    fresh = measured(corpus(400, 2), organic)
    assert value(found["variance ratio"][0]) == pytest.approx(0.64 * value(fresh["variance ratio"][0]))
    rank = value(fresh["effective rank ratio"][0])
    assert value(found["effective rank ratio"][0]) == pytest.approx(rank)


def test_lost_rare_modes_show_where_variance_sees_nothing() -> None:
    found = measured(corpus(400, 2, modes=7), corpus(800, 3))
    assert value(found["rare-mode coverage"][0]) < 0.5
    assert value(found["variance ratio"][0]) > 0.8


def test_one_direction_is_an_effective_rank_of_one() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(400, 1)) * np.ones(8)
    assert effective_rank(flat) == pytest.approx(1)
    assert value(measured(flat, corpus(800, 3))["effective rank ratio"][0]) < 0.3


def test_sizes_are_made_equal() -> None:
    for n_synthetic, n_organic, m in ((30, 800, 30), (900, 100, 50), (50, 101, 50)):
        assert measured(corpus(n_synthetic, 2), corpus(n_organic, 3))["variance ratio"][0].n == m


def test_the_seed_decides() -> None:
    synthetic, organic = corpus(60, 2), corpus(200, 3)
    assert compare_diversity(synthetic, organic, SETTINGS, 1) == compare_diversity(synthetic, organic, SETTINGS, 1)
    assert compare_diversity(synthetic, organic, SETTINGS, 1) != compare_diversity(synthetic, organic, SETTINGS, 2)


def test_zero_vectors_are_left_out_and_counted() -> None:
    synthetic, organic = corpus(60, 2), corpus(200, 3)
    with_zeros = np.vstack([synthetic, np.zeros((3, 8))])
    plain, zeros = measured(synthetic, organic), measured(with_zeros, organic)
    assert zeros["variance ratio"][0].value == plain["variance ratio"][0].value
    assert zeros["variance ratio"][0].note == "3 synthetic and 0 organic zero vectors left out"
    assert plain["variance ratio"][0].note == ""


@pytest.mark.parametrize(("n_synthetic", "n_organic"), [(0, 200), (4, 200), (200, 9), (200, 0)])
def test_too_few_records_are_said_to_be(n_synthetic: int, n_organic: int) -> None:
    for pair in compare_diversity(corpus(n_synthetic, 2), corpus(n_organic, 3), SETTINGS, 0):
        assert all(one.value is None and "too few records" in one.note for one in pair)


def test_zero_vectors_alone_are_too_few() -> None:
    pair = compare_diversity(np.zeros((50, 8)), corpus(100, 3), SETTINGS, 0)[0]
    assert pair[0].value is None and "50 synthetic" in pair[0].note


def test_organic_text_without_variance_gives_no_ratio() -> None:
    found = measured(corpus(60, 2), np.ones((100, 8)))
    assert found["variance ratio"][0].value is None
    assert found["effective rank ratio"][0].value is None
    assert "reference" in found["variance ratio"][0].note


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_no_numbers_are_refused(bad: float) -> None:
    broken = corpus(60, 2)
    broken[7, 3] = bad
    with pytest.raises(InputError, match="1 synthetic vectors"):
        compare_diversity(broken, corpus(200, 3), SETTINGS, 0)


def test_other_widths_are_refused() -> None:
    with pytest.raises(InputError, match="shapes"):
        compare_diversity(corpus(60, 2)[:, :5], corpus(200, 3), SETTINGS, 0)


@given(st.integers(2, 40), st.integers(1, 12), st.floats(0.1, 100), st.integers(0, 99))
def test_effective_rank_ignores_scale_place_and_rotation(n: int, d: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d))
    turned = scale * vectors @ np.linalg.qr(rng.normal(size=(d, d)))[0] + rng.normal(size=d)
    assert effective_rank(turned) == pytest.approx(effective_rank(vectors), rel=1e-6)
    assert total_variance(turned) == pytest.approx(scale**2 * total_variance(vectors), rel=1e-6)
    assert 1 - 1e-9 <= effective_rank(vectors) <= min(n - 1, d) + 1e-9


def test_statistics_have_their_closed_forms() -> None:
    cross = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    assert effective_rank(cross) == pytest.approx(2)
    assert total_variance(cross) == pytest.approx(4 / 3)
    assert effective_rank(np.ones((5, 3))) == 0.0

"""The quotient of made-up components whose minimum is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from proofset.measuring.quotient import (
    Bounds,
    Estimate,
    Missing,
    bounds,
    least_error,
    needed,
    of_every,
    quantile,
    verdict,
)
from proofset.nouns.viability import Crossing

KEYS = ("D", "M", "F", "K", "R", "A1", "A2", "U")


def estimates(values: list[float], errors: list[float]) -> list[Estimate]:
    return [Estimate(key=k, centre=v, error=e) for k, v, e in zip(KEYS, values, errors, strict=False)]


def found(values: list[float], errors: list[float]) -> Bounds:
    taken = bounds(estimates(values, errors))
    assert taken is not None
    return taken


def test_a_single_component_keeps_its_usual_interval() -> None:
    one = found([0.8], [0.01])
    assert (one.value, one.weakest, one.near) == (0.8, "D", ("D",))
    assert one.low == pytest.approx(0.8 - 1.959964 * 0.01)
    assert one.high == pytest.approx(0.8 + 1.959964 * 0.01)


def test_the_point_the_lower_and_the_upper_end_follow_their_formulas() -> None:
    two = found([1.0, 1.01, 1.5], [0.01, 0.02, 0.03])
    a = quantile(math.sqrt(0.5))
    assert two.near == ("D", "M")
    assert two.value == pytest.approx(min(1.0 + a * 0.01, 1.01 + a * 0.02))
    assert two.low == pytest.approx(1.01 - quantile(0.975) * 0.02)
    assert two.high == pytest.approx(1.0 + quantile(0.9875) * 0.01)


def test_a_far_component_moves_neither_the_point_nor_the_upper_end() -> None:
    assert found([0.5, 1.0], [0.01, 0.01]) == found([0.5, 2.0], [0.01, 0.01]) == found([0.5], [0.01])


@pytest.mark.parametrize(
    ("truths", "least", "bias"),
    # where some are near the minimum but are not it, the point is a little above
    [([1.0] * 8, 0.95, 0.004), ([0.8] + [1.0] * 7, 0.93, 0.001), ([0.98] * 3 + [1.0] * 5, 0.94, 0.01)],
)
def test_point_is_median_unbiased_and_the_interval_covers_the_minimum(
    truths: list[float], least: float, bias: float
) -> None:
    rng = np.random.default_rng(1)
    errors = [0.01, 0.02, 0.012, 0.005, 0.03, 0.02, 0.01, 0.005]
    draws = [found([float(v) for v in rng.normal(truths, errors)], errors) for _ in range(2000)]
    inside = np.mean([one.low <= min(truths) <= one.high for one in draws])
    assert least <= inside
    assert np.median([one.value for one in draws]) == pytest.approx(min(truths), abs=bias)


def test_few_degrees_of_freedom_widen_the_interval() -> None:
    assert Estimate(key="F", centre=1.0, error=0.01, dof=4).bound(0.975) == pytest.approx(1 + 2.776445 * 0.01)
    assert Estimate(key="F", centre=1.0, error=0.01, dof=4).spread == pytest.approx(0.01)


@pytest.mark.parametrize(("dimensions", "distance"), [(8, 0.0), (20, 0.0), (20, 5.0), (20, 60.0), (8, 200.0)])
def test_bounds_of_a_squared_distance_hold_as_often_as_they_say(dimensions: int, distance: float) -> None:
    rng = np.random.default_rng(2)
    means = np.sqrt(distance / dimensions) + rng.normal(size=(4_000, dimensions))
    seen = (means**2).sum(axis=1) - dimensions
    # of |m|² with unit noise in each direction: variance 2 ν + 4 θ
    taken = [
        Estimate(key="M", centre=-float(q), error=math.sqrt(2 * dimensions), growth=4.0, third=8.0 * dimensions)
        for q in seen
    ]
    for p, near in ((0.025, 0.012), (0.2, 0.02), (0.8, 0.02), (0.975, 0.012), (0.997, 0.003)):
        held = np.mean([one.bound(p) >= -distance for one in taken])
        assert abs(held - p) < near


def test_bounds_rise_with_the_estimate_and_do_not_jump() -> None:
    for p in (0.025, 0.3, 0.6, 0.975, 0.997):
        found = [Estimate(key="M", centre=c / 100, error=4.0, growth=4.0, third=64.0) for c in range(-10_000, 1_000, 7)]
        ends = [one.bound(p) for one in found]
        assert min(np.diff(ends)) > 0 and max(np.diff(ends)) < 0.5


def test_nothing_is_below_zero() -> None:
    one = Estimate(key="A1", centre=-0.01, error=0.02).measure()
    assert one.value == one.low == 0.0 and one.high is not None and one.high > 0
    taken = found([-0.01], [0.02])
    assert taken.value == taken.low == 0.0


@pytest.mark.parametrize(
    ("low", "value", "high", "said"),
    [
        (0.9, 0.95, 1.0, Crossing.CROSSED),
        (0.89, 0.95, 1.0, Crossing.UNDECIDED),
        (0.8, 0.85, 0.9, Crossing.UNDECIDED),
        (0.8, 0.85, 0.899, Crossing.NOT_CROSSED),
    ],
)
def test_verdict_hangs_on_the_whole_interval(low: float, value: float, high: float, said: Crossing) -> None:
    assert verdict(Bounds(value=value, low=low, high=high, weakest="D", near=("D",)), 0.9) is said


def test_what_is_small_or_incomplete_is_never_crossed_but_may_be_refused() -> None:
    good = Bounds(value=1.0, low=0.97, high=1.02, weakest="D", near=("D",))
    bad = Bounds(value=0.5, low=0.4, high=0.6, weakest="D", near=("D",))
    for enough, complete in ((False, True), (True, False)):
        assert verdict(good, 0.9, enough=enough, complete=complete) is Crossing.UNDECIDED
        assert verdict(bad, 0.9, enough=enough, complete=complete) is Crossing.NOT_CROSSED
    assert verdict(None, 0.9) is Crossing.UNDECIDED
    assert bounds([]) is None


def test_needed_records_would_bring_the_interval_to_the_threshold() -> None:
    above = Bounds(value=1.0, low=0.8, high=1.2, weakest="D", near=("D",))
    assert needed(above, 0.9, 1000) == 4000
    below = Bounds(value=0.8, low=0.4, high=1.2, weakest="D", near=("D",))
    assert needed(below, 0.9, 1000) == 16000


def test_needed_is_not_said_of_what_is_decided_or_on_the_line() -> None:
    for low, value, high in ((0.95, 1.0, 1.05), (0.5, 0.6, 0.7), (0.8, 0.9, 1.0)):
        assert needed(Bounds(value=value, low=low, high=high, weakest="D", near=("D",)), 0.9, 1000) is None
    assert needed(None, 0.9, 1000) is None


def test_a_missing_component_has_no_number_and_says_why() -> None:
    told = Missing(key="F", why="too few").component()
    assert told.measure.value is None and told.error is None
    assert told.measure.note == "too few" and "too few" in told.words and told.measure.name == "fidelity"


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.2, "100 x 20"), (0.004, "1,000 x 4"), (0.0, "100 x none"), (-1, "100 x none"), (2, "100 x 100")],
)
def test_shares_in_words(share: float, said: str) -> None:
    assert of_every(share, "x") == f"Of every {said}"


def test_a_share_that_never_varies_still_has_an_error() -> None:
    assert least_error(0.0, 1000) == pytest.approx(1e-3, rel=0.02)
    assert least_error(1.0, 1000) == pytest.approx(least_error(0.0, 1000))
    assert least_error(0.5, 1000) == 0.0

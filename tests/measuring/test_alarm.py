"""Charts and signatures on loops whose cause is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.measuring import alarm
from proofset.measuring.alarm import Score, chart
from proofset.measuring.frame import Constants, Frame
from proofset.measuring.sketch import Sketch
from proofset.measuring.spread import Noise, Rank, Spread, retention

Doubles = NDArray[np.float64]
SCALES = np.arange(1, 17) ** -0.5


def corpus(n: int, rng: np.random.Generator) -> Doubles:
    """Sixteen directions, tails heavier than normal."""
    return np.asarray(rng.normal(size=(n, 16)) * np.sqrt(6 / rng.chisquare(8, size=(n, 1))) * SCALES)


def again(rows: Doubles, rng: np.random.Generator) -> Doubles:
    return rows[rng.integers(0, len(rows), len(rows))]


FRAME = Frame.of(corpus(1_500, np.random.default_rng(0)), Constants(features=8, modes=30, energy=1.0), "")
ORGANIC = Spread.of(Sketch.of(corpus(3_000, np.random.default_rng(1)), FRAME))


def taken(rows: Doubles) -> Spread:
    return Spread.of(Sketch.of(rows, FRAME))


def signature(path: list[Doubles]) -> alarm.Signature:
    seen = [taken(rows) for rows in path]
    walk = np.sum([one.dependence / one.n for one in seen], axis=0)
    drift = sum(1 / one.n for one in seen[1:])
    return alarm.signature(retention(seen[-1], ORGANIC), ORGANIC, np.asarray(walk), drift)


def test_a_chart_adds_up_what_is_below_organic_and_forgets_what_is_above() -> None:
    steady = chart("rank", [Score(2.0, 0.0)] * 5, 3)
    assert steady.scores == pytest.approx((1.5, 3.0, 4.5, 6.0, 7.5))
    assert (steady.raised, steady.limit, steady.of) == (6, 5.0, "rank")
    assert chart("rank", [Score(-9.0, 0.0), None, Score(1.0, 0.0)], 0).scores == pytest.approx((0, 0, 0.5))
    assert chart("rank", [Score(2.0, 1.0)] * 5, 0).raised is None
    assert chart("rank", [Score(float("inf"), 0.0)], 7).raised == 7


@pytest.mark.parametrize("doubt", [0.0, 0.25, 1.0])
def test_three_charts_raise_a_false_alarm_in_at_most_5_percent_of_20_generations(doubt: float) -> None:
    rng = np.random.default_rng(2)
    false = 0
    for _ in range(1_200):
        shift = doubt * rng.normal()
        scores: list[Score | None] = [Score(shift + z, doubt) for z in rng.normal(size=20)]
        false += chart("variance", scores, 0).raised is not None
    # one chart may take a third of it; 4 standard errors of 1,200 runs are 1.5 %
    assert false / 1_200 < 0.0167 + 0.015


def test_scores_of_organic_corpora_are_standard() -> None:
    rng = np.random.default_rng(3)
    variance = [alarm.variance_score(taken(corpus(300, rng)), ORGANIC, 0) for _ in range(150)]
    values = np.array([one.value for one in variance])
    doubt = variance[0].doubt
    assert abs(values.mean()) < 3 * (doubt + 1 / np.sqrt(150))
    assert values.std() == pytest.approx(1, abs=0.25)
    assert 0.1 < doubt < 0.5  # about √(300 / 3,000)


def test_shrinking_raises_the_score_of_variance_and_lost_modes_that_of_modes() -> None:
    rng = np.random.default_rng(4)
    rows = corpus(600, rng)
    assert alarm.variance_score(taken(0.8 * rows), ORGANIC, 0).value > 4
    rare = np.argsort(ORGANIC.modes, kind="stable")[:10]
    n = 600
    there = alarm.modes_score(taken(rows), ORGANIC, rare, n)
    gone = alarm.modes_score(taken(rows[~np.isin(FRAME.modes(rows.astype(np.float32)), rare)]), ORGANIC, rare, 500)
    assert gone.value > 4 > abs(there.value)
    low, organic = Rank(1.0, Noise(0.01)), Rank(1.5, Noise(0.0004))
    score = alarm.rank_score(low, organic, ORGANIC, len(ORGANIC.rows))
    assert score.value == pytest.approx(0.5 / ORGANIC.rank_noise.error)
    assert score.doubt == pytest.approx(0.02 / ORGANIC.rank_noise.error)


def _replaced(rng: np.random.Generator, generations: int, *, n: int = 300) -> list[Doubles]:
    path = [corpus(n, rng)]
    for _ in range(generations):
        path.append(again(path[-1], rng))
    return path


def _one_direction(rng: np.random.Generator, generations: int, *, n: int = 300) -> list[Doubles]:
    path = [corpus(n, rng)]
    for _ in range(generations):
        following = again(path[-1], rng)
        following[:, 0] *= np.sqrt(0.9)
        path.append(following)
    return path


def test_d_06_sampling_loses_alike_in_every_direction_and_a_narrowed_direction_is_found_out() -> None:
    rng = np.random.default_rng(5)
    for _ in range(6):
        assert signature(_replaced(rng, 10)).cause == "sampling"
    found = [signature(_one_direction(rng, 10, n=1_500)) for _ in range(4)]
    assert [one.cause for one in found] == ["decoder"] * 4
    assert max(one.uniform for one in found) < 0.01


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("generations", [3, 10, 30])
def test_d_06_in_full(generations: int) -> None:
    rng = np.random.default_rng([6, generations])
    values = np.array([signature(_replaced(rng, generations)).uniform for _ in range(100)])
    # p > .01 in 99 % of runs; 5 of 100 below is beyond 99.9 % of binomials
    assert (values < 0.01).sum() <= 5
    assert np.median(values) > 0.2
    narrowed = [signature(_one_direction(rng, 20, n=1_000)).uniform for _ in range(20)]
    assert sum(p < 0.01 for p in narrowed) >= 18


def test_a_decoder_that_narrows_all_directions_alike_loses_more_than_sampling_does() -> None:
    rng = np.random.default_rng(7)
    path = [corpus(600, rng)]
    for _ in range(8):
        path.append(again(path[-1], rng) * np.sqrt(0.9))
    found = signature(path)
    assert found.uniform > 0.01 and found.sampling < 0.001 and found.cause == "decoder"


def test_one_row_over_and_over_is_no_sampling() -> None:
    flat = np.tile(corpus(1, np.random.default_rng(8)), (50, 1))
    assert signature([flat]).cause == "decoder"

"""Decay on loops whose rate, plateau and tail have closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.measuring import decay, knobs
from proofset.measuring.decay import ahead, half_life, plateau, rate, recent, tail_ahead, tail_records
from proofset.measuring.spread import alive
from proofset.nouns.result import Measure

Doubles = NDArray[np.float64]


def refitted(scales: Doubles, m: int, generations: int, rng: np.random.Generator) -> Doubles:
    """Total variance of each corpus of a loop that fits a Gaussian to ``m`` records and draws as many."""
    rows = rng.normal(size=(m, len(scales))) * np.sqrt(scales)
    totals = [rows.var(axis=0).sum()]
    for _ in range(generations):
        factor = np.linalg.cholesky(np.cov(rows.T, bias=True).reshape(len(scales), -1))
        rows = rows.mean(axis=0) + rng.normal(size=rows.shape) @ factor.T
        totals.append(rows.var(axis=0).sum())
    return np.array(totals)


def holds(found: Measure, truth: float) -> bool:
    """Whether the interval covers; an end that is None is open."""
    low = -math.inf if found.low is None else found.low
    return low <= truth <= (math.inf if found.high is None else found.high)


# --- rates ---------------------------------------------------------------------------------------------------------


def test_the_rate_is_that_of_the_two_ends_with_an_interval_by_t() -> None:
    found = rate([1.0, 0.9, 0.7, 0.6])
    assert found.value == pytest.approx(-math.log(0.6) / 3)
    steps = -np.diff(np.log([1.0, 0.9, 0.7, 0.6]))
    reach = 4.302652729749464 * steps.std(ddof=1) / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((steps.mean() - reach, steps.mean() + reach))
    assert found.n == 3


def test_half_is_left_after_ln_2_over_the_rate() -> None:
    found = half_life(Measure(name="", value=0.1, low=0.05, high=0.2, n=9))
    assert (found.value, found.low, found.high) == pytest.approx((10 * math.log(2), 5 * math.log(2), 20 * math.log(2)))


def test_a_rate_that_may_be_none_has_no_half_life_but_a_least_one() -> None:
    found = half_life(Measure(name="", value=0.1, low=-0.05, high=0.2, n=9))
    assert found.value is None and found.high is None and found.low == pytest.approx(5 * math.log(2))
    assert "no decay detected" in found.note
    rising = half_life(Measure(name="", value=-0.3, low=-0.4, high=-0.2, n=9))
    assert rising.value is None and rising.low is None and rising.note == "no decay detected"


@pytest.mark.parametrize(
    ("levels", "why"),
    [([0.9], "one generation"), ([0.9, 0.0, 0.5], "nothing left"), ([0.9, None], "could not be measured")],
)
def test_what_has_no_rate_says_why(levels: list[float | None], why: str) -> None:
    found = decay.decay("rank", levels)
    assert found.rate.value is None and why in found.rate.note
    assert found.half_life.value is None and why in found.half_life.note
    assert found.plateau.value is None and found.plateau.note


def test_two_generations_have_a_rate_without_an_interval() -> None:
    found = decay.decay("variance", [1.0, 0.5])
    assert found.rate.value == pytest.approx(math.log(2)) and found.rate.low is None
    assert found.half_life.value is None and decay.TOO_FEW in found.half_life.note


def test_a_slowing_rate_is_not_taken_for_noise() -> None:
    levels = np.cumprod(1 - 0.4 / np.arange(1, 12))
    steady, slowing = rate(levels.tolist()), rate(levels.tolist(), slowing=True)
    assert steady.value == slowing.value
    assert steady.low is not None and slowing.low is not None and slowing.low > steady.low + 0.01


def _d_02(scales: Doubles, runs: int, generations: int, seed: int) -> tuple[int, int]:
    """Runs in which rate and half-life cover those of theory, (1 + 1/PR) / M."""
    rng = np.random.default_rng(seed)
    truth = knobs.sampling_rate(100, scales.sum() ** 2 / (scales**2).sum())
    found = [rate(refitted(scales, 100, generations, rng).tolist()) for _ in range(runs)]
    return sum(holds(one, truth) for one in found), sum(holds(half_life(one), math.log(2) / truth) for one in found)


@pytest.mark.parametrize("d", [1, 16])
def test_d_02_the_rate_covers_that_of_theory(d: int) -> None:
    rates, halves = _d_02(np.ones(d), 60, 30, 1)
    assert rates >= 0.88 * 60 and halves >= 0.88 * 60


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 16])
def test_d_02_in_full(d: int) -> None:
    rates, halves = _d_02(np.ones(d), 120, 30, 2)
    assert rates >= 0.90 * 120 and halves >= 0.90 * 120


@pytest.mark.slow
@pytest.mark.parametrize(("d", "generations"), [(1, 5), (1, 30), (16, 5), (16, 10)])
def test_rates_and_half_lives_cover_in_92_to_98_percent(d: int, generations: int) -> None:
    rates, halves = _d_02(1 / np.arange(1, d + 1), 600, generations, 3)
    assert 0.92 <= rates / 600 <= 0.98
    assert 0.92 <= halves / 600 <= 0.98


# --- plateaus ------------------------------------------------------------------------------------------------------


def anchored(
    share: float, n: int, generations: int, rng: np.random.Generator, *, factor: float = 1.0, d: int = 16
) -> tuple[Doubles, float, float]:
    """Variances by direction of each corpus of an anchored loop over the organic ones, and where their sum settles,
    for these anchors and on average over anchors."""
    scales = 1 / np.arange(1, d + 1)
    rows = rng.normal(size=(n, d)) * np.sqrt(scales)
    anchors = rows[: round(share * n)]
    path = [rows.var(axis=0, ddof=1)]
    for _ in range(generations):
        root = np.linalg.cholesky(np.cov(rows.T, bias=True) * factor)
        drawn = rows.mean(axis=0) + rng.normal(size=(n - len(anchors), d)) @ root.T
        rows = np.vstack([anchors, drawn])
        path.append(rows.var(axis=0, ddof=1))
    memory = 1 - share
    pulled = share / (1 - memory * factor + factor * memory / (n * (1 + memory)))
    mean = (1 - 1 / (share * n)) * pulled
    return np.array(path) / scales, float(anchors.var(axis=0).sum() / scales.sum() * pulled), mean


def _plateaus(
    share: float, n: int, generations: int, runs: int, *, factor: float = 1.0, seed: int = 0
) -> tuple[list[Measure], list[float], float]:
    rng = np.random.default_rng([seed, n])
    found, truths, mean = [], [], math.nan
    for number in range(runs):
        table, truth, mean = anchored(share, n, generations, rng, factor=factor)
        found.append(plateau(table, 1 / np.arange(1, 17), 0.0, number))
        truths.append(truth)
    return found, truths, mean


def test_without_a_bias_the_plateau_is_the_closed_form_of_a_fixed_anchor() -> None:
    _, _, mean = anchored(0.1, 1_000, 1, np.random.default_rng(0))
    assert mean == pytest.approx(1 - knobs.anchored_loss(0.1, 1_000))


def _d_05(runs: int, share: float, factor: float) -> None:
    found, truths, mean = _plateaus(share, 1_000, 40, runs, factor=factor)
    values = np.array([one.value for one in found if one.value is not None])
    assert len(values) >= 0.9 * runs
    assert abs(values.mean() - mean) < 4 * values.std(ddof=1) / math.sqrt(len(values))
    kept = [truth for one, truth in zip(found, truths, strict=True) if one.value is not None]
    assert np.corrcoef(values, kept)[0, 1] > 0.7


def test_d_05_the_plateau_of_an_anchored_loop_is_found() -> None:
    _d_05(12, 0.3, 1.0)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("share", "factor"), [(0.3, 1.0), (0.2, 1.0), (0.1, 0.9)])
def test_d_05_in_full(share: float, factor: float) -> None:
    _d_05(60, share, factor)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("share", "n", "factor", "generations"),
    [(0.3, 300, 1.0, 20), (0.3, 300, 1.0, 40), (0.1, 1_000, 0.9, 20), (0.3, 300, 0.8, 10), (0.1, 1_000, 0.9, 40)],
)
def test_plateaus_cover_in_92_to_98_percent(share: float, n: int, factor: float, generations: int) -> None:
    found, truths, _ = _plateaus(share, n, generations, 250, factor=factor, seed=5)
    covers = [holds(one, truth) for one, truth in zip(found, truths, strict=True) if one.value is not None]
    assert len(covers) >= 200
    assert 0.92 <= np.mean(covers) <= 0.985


def walks(runs: int, generations: int, factor: float = 1.0) -> int:
    """Loops without an anchor in which a plateau is seen all the same."""
    rng = np.random.default_rng(6)
    scales = 1 / np.arange(1, 17)
    seen = 0
    for number in range(runs):
        rows, path = rng.normal(size=(200, 16)) * np.sqrt(scales), []
        for _ in range(generations + 1):
            path.append(rows.var(axis=0, ddof=1))
            rows = rows[rng.integers(0, 200, 200)] * math.sqrt(factor)
        seen += plateau(np.array(path), scales, 0.0, number).value is not None
    return seen


def test_a_loop_without_an_anchor_has_no_plateau() -> None:
    assert walks(15, 15) <= 1
    assert walks(15, 15, factor=0.9) <= 1


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("generations", [8, 20, 40])
@pytest.mark.parametrize("factor", [1.0, 0.9])
def test_hardly_any_loop_without_an_anchor_has_a_plateau(generations: int, factor: float) -> None:
    assert walks(150, generations, factor) <= 0.06 * 150


def test_organic_text_in_every_generation_settles_at_one() -> None:
    rng = np.random.default_rng(7)
    table = np.array([(rng.normal(size=(500, 16)) ** 2).mean(axis=0) for _ in range(12)])
    found = plateau(table, np.ones(16), 0.0, 0)
    assert found.value == pytest.approx(1, abs=0.03) and holds(found, 1.0)


def test_a_plateau_knows_the_error_of_the_organic_variance() -> None:
    table, _, _ = anchored(0.3, 1_000, 30, np.random.default_rng(8))
    sure, unsure = (plateau(table, 1 / np.arange(1, 17), error, 0) for error in (0.0, 0.2))
    assert sure.value == unsure.value and sure.low is not None and unsure.low is not None
    assert unsure.low < sure.low - 0.2


def test_too_short_a_series_and_one_that_is_lost_have_no_plateau() -> None:
    table = np.ones((4, 3))
    assert "6 generations" in plateau(table, np.ones(3), 0.0, 0).note
    gone = np.vstack([np.ones((6, 3)), np.zeros((6, 3))])
    assert plateau(gone, np.ones(3), 0.0, 0).value is None


# --- tails ---------------------------------------------------------------------------------------------------------


def _d_04(runs: int, m: int, seed: int) -> None:
    """Rare modes alive, and the tail records, against theory at 1, 2, 5, 10 and 20 generations."""
    rng = np.random.default_rng(seed)
    shares = np.arange(1, 201) ** -1.1
    shares /= shares.sum()
    rare = np.arange(140, 200)
    organic = np.round(shares * 200_000).astype(np.int64)
    total = int(organic.sum())
    counts = rng.multinomial(m, shares, runs)
    looked = {}
    for generation in range(1, 21):
        counts = np.array([rng.multinomial(m, one / m) for one in counts])
        looked[generation] = counts
    base = alive(organic[rare], total, m)
    for generation in (1, 2, 5, 10, 20):
        found = np.mean([(one[rare] > 0).sum() for one in looked[generation]]) / base
        rates = m * shares[rare]
        theory = (-np.expm1(-rates * knobs.survival(generation))).sum() / (-np.expm1(-rates)).sum()
        assert found == pytest.approx(theory, abs=0.03)
        number = np.mean([(one > 0).sum() for one in looked[generation]])
        assert tail_records(organic, total, float(number), m) == pytest.approx(m * knobs.survival(generation), rel=0.06)


def test_d_04_tails_fall_as_theory_says() -> None:
    _d_04(150, 300, 9)


@pytest.mark.slow
@pytest.mark.parametrize("m", [200, 300, 1_000])
def test_d_04_in_full(m: int) -> None:
    _d_04(1_500, m, 10)


def test_tail_records_invert_rarefaction() -> None:
    counts = np.array([50, 20, 10, 5, 5, 3, 2, 2, 1, 1, 1])
    for records in (1.0, 7.5, 40.0):
        assert tail_records(counts, 100, alive(counts, 100, records), 60) == pytest.approx(records, rel=1e-6)
    assert tail_records(counts, 100, 11.0, 60) == 60
    assert tail_records(counts, 100, 0.0, 60) == pytest.approx(0, abs=1e-6)


def test_what_is_to_come_follows_the_later_half() -> None:
    assert recent([1.0, 2.0, None, 3.0, 4.0]) == [2.0, 3.0, 4.0]
    assert recent([1.0, 2.0]) == [1.0, 2.0] and recent([]) == [] and recent([None, 5.0]) == [5.0]
    assert ahead([9.0, 1.0, 0.5, 0.25], 2) == pytest.approx(0.0625)
    assert ahead([0.5, 0.6, 0.7], 9) == 0.7
    assert ahead([0.5], 9) == 0.5 and ahead([], 9) is None and ahead([0.5, 0.0], 9) == 0.0
    assert tail_ahead([300.0, 100.0, 60.0], 10) == pytest.approx(1 / (1 / 60 + 10 * (1 / 60 - 1 / 100)))
    assert tail_ahead([60.0, 100.0], 10) == pytest.approx(100) and tail_ahead([0.0], 3) == 0.0
    assert tail_ahead([], 3) is None and tail_ahead([0.0, 5.0], 3) == 5.0

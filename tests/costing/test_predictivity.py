"""From one scored pilot: points, a frontier, and a curve whose exponent and floor are recovered, or a reason."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.costing.margins import Curve
from proofset.costing.predictivity import (
    FEWEST_POINTS,
    Point,
    Predictivity,
    Scored,
    best_of,
    cost_of_predictivity,
    frontier,
    sweep,
)
from proofset.errors import InputError
from proofset.nouns.result import Measure

D = Decimal


def simulated(seed: int, *, k: float, floor: float, n: int = 4000, per_document: int = 20) -> list[Scored]:
    """A pilot whose error above a threshold that keeps a share u is floor + 0.3 u^(1/k): a power law with floor.

    The price of an accepted record is that of a candidate over u.
    """
    rng = np.random.default_rng(seed)
    kept_N = rng.uniform(size=n)
    wrong_N = rng.uniform(size=n) < floor + 0.3 * (1 + 1 / k) * kept_N ** (1 / k)
    return [
        Scored(score=float(1 - kept), good=not wrong, usd=D("0.001"), document=f"d{number // per_document}")
        for number, (kept, wrong) in enumerate(zip(kept_N.tolist(), wrong_N.tolist(), strict=True))
    ]


def holds(measure: Measure, truth: float) -> bool:
    return measure.low is not None and measure.high is not None and measure.low <= truth <= measure.high


candidates = st.builds(
    Scored, score=st.integers(0, 5).map(float), good=st.booleans(), usd=st.decimals(D(0), D(10), places=4),
    document=st.sampled_from(["", "a", "b"]),
)  # fmt: skip
pilots = st.lists(candidates, min_size=1, max_size=40)


@given(pilot=pilots)
def test_at_fixed_scores_a_stricter_threshold_never_makes_a_record_cheaper(pilot: list[Scored]) -> None:
    points = sweep(pilot)
    assert all(lax.accepted > strict.accepted for lax, strict in pairwise(points))
    assert all(lax.usd_per_accepted <= strict.usd_per_accepted for lax, strict in pairwise(points))
    total = sum((candidate.usd or D(0) for candidate in pilot), D(0))
    for point in points:
        assert point.usd_per_accepted * point.accepted == pytest.approx(total, rel=D("1e-50"))
        assert 0 <= point.low <= point.fidelity <= 1
    assert points[0].accepted == len(pilot), "the laxest threshold accepts all"


def test_a_point_of_the_sweep_counts_the_good_above_its_threshold_and_pays_for_all() -> None:
    pilot = [Scored(score=float(score), good=score % 4 != 0, usd=D("0.5")) for score in range(40)]
    for point in sweep(pilot):
        accepted = range(40 - point.accepted, 40)
        assert point.fidelity == pytest.approx(sum(score % 4 != 0 for score in accepted) / len(accepted))
        assert point.usd_per_accepted == pytest.approx(D(20) / len(accepted))
    assert sweep(pilot)[-1].how == "score ≥ 20", "five wrong ones are needed to speak of an error"


@given(pilot=pilots, size=st.integers(1, 4))
def test_the_best_of_n_is_the_mean_over_all_choices_of_n_of_a_document(pilot: list[Scored], size: int) -> None:
    documents: dict[str, list[Scored]] = {}
    for number, candidate in enumerate(pilot):
        documents.setdefault(candidate.document or str(number), []).append(candidate)
    goods, usd = [], []
    for members in documents.values():
        if len(members) < size or len(members) > 12:
            continue
        chosen = list(itertools.combinations(members, size))
        for choice in chosen:
            best = [one.good for one in choice if one.score == max(other.score for other in choice)]
            goods.append(sum(best) / len(best) / len(chosen))
            usd.append(sum((one.usd or D(0) for one in choice), D(0)) / len(chosen))
    points = best_of(pilot, [size])
    if any(len(members) > 12 for members in documents.values()):
        return
    able = sum(len(members) >= size for members in documents.values())
    assert len(points) == (1 if able else 0)
    for point in points:
        assert (point.how, point.accepted) == (f"best of {size}", able)
        if all(len({one.score for one in members}) == len(members) for members in documents.values()):
            assert point.fidelity == pytest.approx(sum(goods) / able)
        assert point.usd_per_accepted == pytest.approx(sum(usd, D(0)) / able, rel=D("1e-20"))


def test_ties_for_the_best_are_broken_by_chance() -> None:
    pilot = [Scored(score=1.0, good=good, usd=D(1), document="a") for good in (True, True, False, False)]
    assert best_of(pilot, [2])[0].fidelity == 0.5


def test_the_best_of_one_is_the_pilot_itself_and_candidates_without_a_document_have_no_rivals() -> None:
    pilot = [Scored(score=float(n), good=n % 2 == 0, usd=D(1)) for n in range(10)]
    assert best_of(pilot, [1, 2]) == (replace(best_of(pilot, [1])[0], how="best of 1"),)
    assert best_of(pilot, [1])[0].fidelity == 0.5


points = st.builds(
    Point, how=st.just("x"), fidelity=st.floats(0, 1), low=st.just(0.0),
    usd_per_accepted=st.decimals(D(0), D(9), places=1), accepted=st.just(9),
)  # fmt: skip


@given(found=st.lists(points, max_size=20))
def test_the_frontier_is_what_no_other_point_beats(found: list[Point]) -> None:
    kept = frontier(found)
    assert all(cheap.usd_per_accepted < dear.usd_per_accepted for cheap, dear in pairwise(kept))
    assert all(cheap.fidelity < dear.fidelity for cheap, dear in pairwise(kept))
    for point in found:
        assert any(best.usd_per_accepted <= point.usd_per_accepted and best.fidelity >= point.fidelity for best in kept)
    assert set(kept) <= set(found)


@pytest.mark.parametrize(("k", "floor"), [(1.0, 0.02), (1.5, 0.0)])
def test_exponent_and_floor_lie_in_their_intervals_in_nearly_all_of_50_pilots(k: float, floor: float) -> None:
    held_k, held_floor, widths = 0, 0, []
    for seed in range(50):
        found = cost_of_predictivity(simulated(seed, k=k, floor=floor), sizes=(), resamples=120, seed=seed)
        assert found.curve is not None, found.reason
        held_k += holds(found.k, k)
        held_floor += holds(found.floor, floor)
        widths.append((found.k.high or math.inf) - (found.k.low or 0.0))
    assert held_k >= 42 and held_floor >= 42, (held_k, held_floor)
    assert np.median(widths) < 0.8, "an interval that holds everything says nothing"


@pytest.fixture(scope="module")
def noisy() -> Predictivity:
    return cost_of_predictivity(simulated(1, k=1.0, floor=0.05, n=20_000), seed=1)


def test_a_noisy_critic_shows_its_floor_and_there_is_no_way_beyond_it(noisy: Predictivity) -> None:
    assert noisy.curve is not None
    assert next(iter(noisy.aicc)) == "power with floor" and len(noisy.aicc) == 3
    assert noisy.floor.low is not None and noisy.floor.low > 0
    beyond = noisy.usd_at(0.97)
    assert (beyond.value, beyond.low, beyond.high) == (None, None, None)
    assert beyond.note == (f"no way to 97.0% by money: this critic's noise ends it at {1 - noisy.curve.floor:.1%}")


def test_the_cost_at_a_fidelity_within_the_pilot_is_near_the_truth(noisy: Predictivity) -> None:
    found, truth = noisy.usd_at(0.85), 0.001 / ((0.15 - 0.05) / 0.3)
    assert found.value == pytest.approx(truth, rel=0.2)
    assert holds(found, truth) and found.note == ""
    assert noisy.halving.value == pytest.approx(2.0, rel=0.2) and holds(noisy.halving, 2.0)


def test_where_some_resamples_have_no_way_the_cost_has_no_upper_end() -> None:
    draws = tuple(Curve.through(0.9, D(1), k=1.0, floor=0.02 + 0.0004 * n) for n in range(100))
    best = Point(how="x", fidelity=0.94, low=0.9, usd_per_accepted=D(1), accepted=9)
    found = Predictivity(points=(best,), curve=draws[20], draws=draws).usd_at(0.95)
    assert found.value == pytest.approx((0.1 - 0.028) / (0.05 - 0.028))
    assert found.value is not None and found.low is not None and found.low < found.value
    assert found.high is None
    assert found.note == "beyond the pilot's best point; no upper end: there may be no way"


def test_the_same_seed_gives_the_same_answer_and_resampling_is_by_document() -> None:
    pilot = simulated(3, k=1.0, floor=0.02)
    once, again = (cost_of_predictivity(pilot, sizes=(), seed=5) for _ in range(2))
    assert once == again
    copied = [replace(one, document=f"d{number}") for number, one in enumerate(pilot) for _ in range(4)]
    alone = [replace(one, document="") for one in copied]
    wide, narrow = (cost_of_predictivity(rows, sizes=(), resamples=150).k for rows in (copied, alone))
    assert None not in (wide.high, wide.low, narrow.high, narrow.low)
    assert (wide.high or 0) - (wide.low or 0) > 1.4 * ((narrow.high or 0) - (narrow.low or 0))


def test_a_critic_that_knows_nothing_has_no_curve() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        pilot = [
            Scored(score=float(score), good=bool(good), usd=D("0.001"))
            for score, good in zip(rng.uniform(size=2000), rng.uniform(size=2000) < 0.7, strict=True)
        ]
        found = cost_of_predictivity(pilot)
        assert found.curve is None and found.points
        assert found.reason == "the error does not fall as the price rises"
        for measure in (found.k, found.floor, found.halving, found.usd_at(0.9)):
            assert (measure.value, measure.low, measure.high, measure.note) == (None, None, None, found.reason)


def test_a_pilot_with_too_few_wrong_records_has_points_and_no_curve() -> None:
    pilot = [Scored(score=float(n), good=n > 2, usd=D(1)) for n in range(200)]
    found = cost_of_predictivity(pilot)
    assert [(point.how, point.accepted) for point in found.points] == [("score ≥ 0", 200)]
    assert found.reason == (f"too few points: 0 have a price and 5 wrong records or more, {FEWEST_POINTS} are needed")


def test_a_candidate_without_a_price_leaves_the_cost_unknown() -> None:
    pilot = [*simulated(1, k=1.0, floor=0.0, n=100), Scored(score=0.5, good=True, usd=None)]
    found = cost_of_predictivity(pilot)
    assert (found.points, found.curve) == ((), None)
    assert found.reason == "1 of 101 candidates have no price"


def test_a_pilot_that_cost_nothing_has_no_curve() -> None:
    pilot = [replace(one, usd=D(0)) for one in simulated(1, k=1.0, floor=0.0)]
    assert cost_of_predictivity(pilot).reason.startswith("too few points: 0 have a price")


def rung(fidelity: float, usd: str, accepted: int = 100_000) -> Point:
    return Point(how="large", fidelity=fidelity, low=fidelity - 0.002, usd_per_accepted=D(usd), accepted=accepted)


def test_a_rung_that_beats_a_part_of_the_sweep_takes_its_place() -> None:
    pilot = simulated(2, k=1.0, floor=0.1)
    plain = cost_of_predictivity(pilot, sizes=())
    dear = max(point.usd_per_accepted for point in plain.points)
    found = cost_of_predictivity(pilot, sizes=(), rungs=[rung(0.97, str(dear / 4))])
    assert found.points[-1].how == "large"
    assert all(point.usd_per_accepted <= dear / 4 for point in found.points)


def test_rungs_that_lie_on_one_curve_are_enough_for_it() -> None:
    curve = Curve.through(0.8, D("0.0001"), k=1.2, floor=0.01)
    steps = [0.8, 0.84, 0.88, 0.91, 0.94, 0.96, 0.975]
    rungs = [rung(fidelity, f"{curve.usd(fidelity):.12f}", 3000) for fidelity in steps]
    found = cost_of_predictivity(simulated(4, k=1.0, floor=0.1), sizes=(), rungs=rungs, resamples=100)
    assert {point.how for point in found.points} == {"large"}
    assert found.k.value == pytest.approx(1.2, rel=0.01) and holds(found.k, 1.2), "what they beat is left out"
    assert found.floor.value == pytest.approx(0.01, abs=0.001)
    assert found.k.low is not None and found.k.low < 1.1, "their errors are counted, and not known"


def test_a_handful_of_noisy_rungs_gives_an_interval_that_holds_the_exponent() -> None:
    curve, held, pilot = Curve.through(0.8, D("0.0001"), k=1.2, floor=0.01), 0, simulated(4, k=1.0, floor=0.1)
    for seed in range(50):
        rng, rungs = np.random.default_rng(seed), []
        for fidelity in (0.8, 0.84, 0.88, 0.91, 0.94, 0.96, 0.975):
            seen = rng.binomial(3000, fidelity) / 3000
            rungs.append(replace(rung(seen, f"{curve.usd(fidelity):.12f}", 3000), low=seen - 0.02))
        held += holds(cost_of_predictivity(pilot, sizes=(), rungs=rungs, resamples=100, seed=seed).k, 1.2)
    assert held >= 42, held


ONE = Scored(score=1.0, good=True, usd=D(1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sweep([]), "no candidates, or one with a score or an amount that is none"),
        (
            lambda: sweep([replace(ONE, score=math.nan)]),
            "no candidates, or one with a score or an amount that is none",
        ),
        (lambda: sweep([replace(ONE, usd=D(-1))]), "no candidates, or one with a score or an amount that is none"),
        (lambda: best_of([replace(ONE, usd=None)]), "no candidates, or one with a score or an amount that is none"),
        (
            lambda: cost_of_predictivity([replace(ONE, usd=D("NaN"))]),
            "no candidates, or one with a score or an amount that is none",
        ),
        (lambda: best_of([ONE], [0]), "the best of 0"),
        (lambda: rung(1.1, "1"), "'large' is no point"),
        (lambda: rung(0.9, "1", accepted=0), "'large' is no point"),
        (lambda: cost_of_predictivity([ONE]).usd_at(1.0), "a fidelity of 1.0"),
    ],
)
def test_what_cannot_be_is_an_input_error(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
    assert caught.value.hint

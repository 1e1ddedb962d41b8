"""A forecast says how far it reaches, holds the truth of known worlds, and has no price for what cannot be had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from benchmarks.projection import worlds
from tests.costing.pilots import GOLDEN, golden_pilot, repeating

from proofset.costing.montecarlo import Assumptions, Draws
from proofset.costing.pilot import TERABYTE, rates
from proofset.costing.projection import Forecast, NotReachable, Projection, Reach, tornado
from proofset.costing.targets import Target
from proofset.errors import InputError

PROJECTION = Projection(repeating(variants=400), draws=1000)
ACCEPTED = int(PROJECTION.pilot.flags("accepted").sum())


def forecast(records: int, projection: Projection = PROJECTION, budget: Decimal | None = None) -> Forecast:
    found = projection.forecast(Target(records=records), budget)
    assert isinstance(found, Forecast)
    return found


def ends(found: Forecast) -> list[float]:
    assert found.p5_usd is not None and found.p50_usd is not None and found.p95_usd is not None
    return [float(found.p5_usd), float(found.p50_usd), float(found.p95_usd)]


def test_a_point_is_given_to_ten_times_the_pilot_a_band_to_a_hundred_and_then_a_scenario() -> None:
    at = {factor: forecast(factor * ACCEPTED) for factor in (1, 10, 100)}
    assert [at[factor].reach for factor in (1, 10, 100)] == [Reach.POINT, Reach.POINT, Reach.BAND]
    assert [at[factor].extrapolation_factor for factor in (1, 10, 100)] == [1, 10, 100]
    assert at[10].point_usd is not None and at[100].point_usd is None
    assert forecast(10 * ACCEPTED + 1).reach is Reach.BAND
    assert forecast(100 * ACCEPTED + 1).reach is Reach.SCENARIO
    assert forecast(100 * ACCEPTED + 1).words.startswith("scenario, not a forecast: the target is 100.0 times")
    assert at[10].words == "a point forecast with its band: the target is 10.0 times the pilot"


def test_the_point_is_linear_at_the_pilots_size_and_above_it_beyond() -> None:
    here, there = forecast(ACCEPTED), forecast(8 * ACCEPTED)
    assert here.point_usd == here.linear_usd
    assert float(here.linear_usd) == pytest.approx(float(PROJECTION.pilot.total_usd or 0))
    assert there.point_usd is not None and there.point_usd > there.linear_usd
    candidates = PROJECTION.saturation.candidates_for(8 * PROJECTION.saturation.distinct)
    assert isinstance(candidates, float)
    per_candidate = float(PROJECTION.pilot.total_usd or 0) / PROJECTION.saturation.n
    assert float(there.point_usd) == pytest.approx(candidates * per_candidate)


def test_the_percentiles_are_in_order_and_grow_with_the_target() -> None:
    near, far = ends(forecast(2 * ACCEPTED)), ends(forecast(20 * ACCEPTED))
    assert near == sorted(near) and far == sorted(far)
    assert all(after > 9 * before for before, after in zip(near, far, strict=True))
    assert far[2] / far[0] > near[2] / near[0]


def test_a_budget_is_kept_as_often_as_the_percentiles_say() -> None:
    found = forecast(5 * ACCEPTED)
    for end, share in zip((found.p5_usd, found.p50_usd, found.p95_usd), (0.05, 0.5, 0.95), strict=True):
        assert forecast(5 * ACCEPTED, budget=end).within_budget == pytest.approx(share, abs=0.002)
    assert found.within_budget is None
    assert forecast(5 * ACCEPTED, budget=Decimal("0.01")).within_budget == 0


def test_what_the_seeds_cannot_yield_has_no_price_but_a_number_of_documents() -> None:
    exhausted = Projection(repeating(documents=50, each=100, variants=8), draws=1000)
    found = exhausted.forecast(Target(records=4000))
    assert isinstance(found, NotReachable)
    assert 300 < found.ceiling < 600 and found.ideas == 4000
    assert found.variants == np.ceil(found.ceiling / 50)
    assert found.documents == np.ceil(4000 * 50 / found.ceiling) and found.documents * found.variants >= 4000
    assert (
        found.words
        == f"not reachable with these seeds; needs ≥ {found.documents} documents × {found.variants} variants"
    )
    assert not any("usd" in name for name in found.__dataclass_fields__)
    assert isinstance(exhausted.forecast(Target(records=300)), Forecast)


def test_the_ceiling_divides_what_has_a_price_from_what_has_none() -> None:
    exhausted = Projection(repeating(documents=50, each=100, variants=8), draws=1000)
    ceiling = exhausted.saturation.ceiling
    assert isinstance(exhausted.forecast(Target(records=int(ceiling))), Forecast)
    assert isinstance(exhausted.forecast(Target(records=int(ceiling) + 1)), NotReachable)


def test_a_forecast_says_when_it_wants_more_ideas_than_were_shown_to_exist() -> None:
    known = int(PROJECTION.saturation.chao1)
    assert not forecast(known).above_chao1 and forecast(known + 1).above_chao1


def test_a_generator_without_seeds_needs_prompts_instead() -> None:
    one_prompt = Projection(repeating(documents=50, each=100, variants=8, seeded=False), draws=1000)
    found = one_prompt.forecast(Target(records=4000))
    assert isinstance(found, NotReachable)
    assert found.variants == np.ceil(found.ceiling) and found.documents == np.ceil(4000 / found.ceiling)


def test_the_worked_example_keeps_its_factor_and_its_linear_cost_and_a_terabyte_of_it_is_out_of_reach() -> None:
    projection = Projection(golden_pilot(), draws=1000)
    found = projection.forecast(Target(accepted_bytes=TERABYTE))
    assert isinstance(found, NotReachable)  # each of its repeated ideas came twice: it would soon know no new one
    assert float(found.extrapolation_factor) == pytest.approx(GOLDEN["expected"]["extrapolation_factor"], rel=1e-6)
    near = projection.forecast(Target(accepted_bytes=2 * GOLDEN["accepted_bytes"]))
    assert isinstance(near, Forecast)
    assert near.linear_usd == 2 * Decimal(GOLDEN["expected"]["machine_usd"])


@pytest.mark.parametrize("make", [worlds.seeded, worlds.unseeded, worlds.fresh])
@pytest.mark.parametrize("factor", [10, 100])
def test_the_truth_of_a_known_world_lies_in_the_band(make: Callable[[], worlds.World], factor: int) -> None:
    world, rng = make(), np.random.default_rng(21)
    ideas, seeds = world.sample(worlds.PILOT, rng)
    pilot = worlds.attempts(ideas, seeds, rng)
    candidates = factor * worlds.PILOT
    found = forecast(round(world.truth(candidates) * worlds.KEPT), Projection(pilot, draws=1000))
    low, _, high = ends(found)
    assert low <= candidates / worlds.PASSING * worlds.USD <= high
    assert high < 6 * low * (1 if factor == 10 else 3), "a band that holds everything says nothing"


def test_the_drivers_are_ranked_and_what_varies_alone_explains_all() -> None:
    found = forecast(50 * ACCEPTED)
    shares = [driver.share for driver in found.drivers]
    assert shares == sorted(shares, reverse=True) and all(0 <= share <= 1 for share in shares)
    assert found.drivers[0].name == "uniqueness"
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=1000), rng.normal(size=1000)
    alone = tornado(Draws(np.exp(3 * x), {"y": y, "x": -x, "still": np.ones(1000)}))
    assert [driver.name for driver in alone] == ["x", "y"]
    assert alone[0].share == pytest.approx(1) and alone[1].share < 0.02


def test_an_assumption_that_halves_the_price_halves_the_cost() -> None:
    half = replace(PROJECTION, assumptions=Assumptions(price=(0.5, 0.5, 0.5)))
    same = replace(PROJECTION, assumptions=Assumptions(price=(1.0, 1.0, 1.0)))
    assert ends(forecast(5 * ACCEPTED, half)) == pytest.approx([end / 2 for end in ends(forecast(5 * ACCEPTED, same))])


def test_a_production_mix_of_the_dear_slice_costs_more() -> None:
    slices = ["dear" if place % 2 else "cheap" for place in range(2400)]
    usd = np.where(np.arange(2400) % 2, 0.03, 0.01)
    pilot = repeating(slices=slices, usd=usd)
    dear, cheap = (Projection(pilot, mix, draws=1000) for mix in ({"dear": 1.0}, {"cheap": 1.0}))
    linear = 2000 * float(rates(pilot, {"dear": 1.0}).usd_per_record())
    assert float(forecast(2000, dear).linear_usd) == pytest.approx(linear)
    assert ends(forecast(2000, dear))[1] / ends(forecast(2000, cheap))[1] == pytest.approx(3, rel=0.2)


def test_the_same_question_has_the_same_answer() -> None:
    again = Projection(repeating(variants=400), draws=1000)
    assert forecast(7 * ACCEPTED) == forecast(7 * ACCEPTED, again)
    assert forecast(7 * ACCEPTED) != forecast(7 * ACCEPTED, replace(again, seed=1))


def test_bad_requests_are_refused() -> None:
    with pytest.raises(InputError, match="999 draws"):
        replace(PROJECTION, draws=999)
    with pytest.raises(InputError, match="an attempt has no price"):
        Projection(repeating(usd=[None] * 2400)).forecast(Target(records=10))
    with pytest.raises(InputError, match="candidates say nothing about saturation"):
        Projection(repeating(documents=2, each=8)).forecast(Target(records=10))

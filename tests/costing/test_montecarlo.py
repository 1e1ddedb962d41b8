"""Every draw is one consistent future; without any uncertainty left it is the plain arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.costing.pilots import repeating

from proofset.costing.montecarlo import Assumptions, Draws, simulate
from proofset.costing.pilot import Pilot
from proofset.costing.saturation import Spectrum, spectrum
from proofset.errors import InputError

FIXED = Assumptions(length_drift=0.0, price=(1.0, 1.0, 1.0), slope=(0.0, 0.0, 0.0))
PILOT = repeating()


def of(pilot: Pilot) -> Spectrum:
    return spectrum(pilot.passed_ideas, pilot.passed_seeds)


def drawn(units: tuple[int, bool], assumptions: Assumptions, pilot: Pilot = PILOT, draws: int = 3000) -> Draws:
    return simulate(pilot, of(pilot), units, None, assumptions, draws, 1)


def test_costs_lie_about_the_pilots_own_for_a_target_of_the_pilots_size() -> None:
    accepted, total = int(PILOT.flags("accepted").sum()), float(PILOT.total_usd or 0)
    for units in ((accepted, False), (PILOT.total_bytes, True)):
        costs = drawn(units, FIXED).usd_B
        assert np.median(costs) == pytest.approx(total, rel=0.03)
        assert costs.std() < 0.15 * total


def test_ideas_that_are_not_accepted_must_be_made_all_the_same() -> None:
    unique = PILOT.flags("unique")
    half = unique & (np.cumsum(unique) % 2 == 0)
    sizes = np.where(half, np.asarray(PILOT.accepted_bytes), 0)
    pilot = replace(PILOT, accepted=half.tolist(), accepted_bytes=sizes.tolist())
    costs = drawn((int(half.sum()), False), FIXED, pilot).usd_B
    assert np.median(costs) == pytest.approx(float(PILOT.total_usd or 0), rel=0.04)


def test_prices_batches_and_utilisation_move_the_cost_by_their_factors() -> None:
    units = (3000, False)
    base = np.median(drawn(units, FIXED).usd_B)

    def over(**changed: Any) -> float:
        varied: dict[str, Any] = {"length_drift": 0.0, "price": (1.0, 1.0, 1.0), "slope": (0.0, 0.0, 0.0)} | changed
        return float(np.median(drawn(units, Assumptions(**varied)).usd_B) / base)

    assert over(price=(0.5, 0.5, 0.5)) == pytest.approx(0.5)
    assert over(price=(0.7, 1.0, 1.1)) == pytest.approx(0.94, abs=0.03)
    assert over(batch=(1e6, 1e6)) == pytest.approx(0.75, abs=0.03)
    assert over(batch=(1e6, 1.0), batch_price=0.8) == pytest.approx(0.8, abs=0.03)
    assert over(pilot_utilisation=0.35) == pytest.approx(0.35 / 0.7, abs=0.04)


def test_a_longer_way_costs_more_on_inext_than_on_the_falling_slope_and_least_on_heaps() -> None:
    units = (4 * int(PILOT.flags("accepted").sum()) // 2, False)
    medians = [
        float(np.median(drawn(units, Assumptions(length_drift=0.0, price=(1.0, 1.0, 1.0), slope=(t, t, t))).usd_B))
        for t in (-1.0, 0.0, 1.0)
    ]
    assert medians[0] > medians[1] > medians[2]


def test_length_drift_widens_the_cost_of_bytes_and_of_records() -> None:
    for units in ((1500, False), (2_000_000, True)):
        widths = [
            float(
                np.log(
                    drawn(units, Assumptions(length_drift=sd, price=(1.0, 1.0, 1.0), slope=(0.0, 0.0, 0.0))).usd_B
                ).std()
            )
            for sd in (0.0, 0.3)
        ]
        assert widths[1] > 0.28 > 2 * widths[0]


def test_what_is_never_reached_costs_infinitely_much_and_does_not_break_the_rest() -> None:
    exhausted = repeating(documents=40, each=60, variants=5)
    found = drawn((260, False), Assumptions(slope=(-1.0, -1.0, -1.0)), exhausted)
    assert np.isinf(found.usd_B).any() and not np.isnan(found.usd_B).any()


def test_a_pilot_of_a_documents_luck_spreads_wider_than_one_of_many_documents() -> None:
    wide = drawn((3000, False), FIXED, repeating(documents=10, each=240)).usd_B
    narrow = drawn((3000, False), FIXED, repeating(documents=240, each=10)).usd_B
    assert set(drawn((3000, False), FIXED).drivers) == {
        "cost of an attempt", "bytes per record", "yields", "uniqueness", "length drift", "price",
    }  # fmt: skip
    assert np.isfinite(narrow).all() and len(wide) == len(narrow) == 3000


def test_the_same_seed_gives_the_same_draws() -> None:
    assert (drawn((3000, False), Assumptions()).usd_B == drawn((3000, False), Assumptions()).usd_B).all()


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("length_drift", {"length_drift": -0.1}), ("length_drift", {"length_drift": float("nan")}),
        ("price", {"price": (1.2, 1.0, 1.1)}), ("price", {"price": (0.0, 1.0, 1.1)}),
        ("price", {"price": (0.7, 1.0, 11.0)}),
        ("batch or utilisation", {"batch": (0.0, 1.0)}), ("batch or utilisation", {"utilisation": (7.0, float("inf"))}),
        ("batch_price", {"batch_price": 1.5}), ("pilot_utilisation", {"pilot_utilisation": 0.0}),
        ("slope", {"slope": (-1.1, 0.0, 1.0)}), ("slope", {"slope": (0.5, 0.0, 1.0)}),
    ],
)  # fmt: skip
def test_impossible_assumptions_are_refused_by_name(name: str, changed: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"assumption {name} is out of range"):
        Assumptions(**changed)

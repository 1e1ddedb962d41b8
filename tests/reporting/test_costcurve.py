"""The curve says what is linear, what is a band, where an answer ends and how it is called there."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from proofset.costing.pilot import Pilot, rates
from proofset.costing.projection import Forecast, NotReachable
from proofset.costing.targets import Target
from proofset.reporting.costcurve import APART, STEPS, Forecasts, apart, cost_curve_figure, forecasts_of

AMOUNTS = ("linear_usd", "p5_usd", "p50_usd", "p95_usd")


@pytest.fixture(scope="module")
def curve(pilot: Pilot) -> Forecasts:
    return forecasts_of(pilot, 3)


def texts(figure: str) -> list[str]:
    root = ET.fromstring(figure.replace("xlink:href", "href"))
    return ["".join(each.itertext()).replace("\u00a0", " ") for each in root.iter("text")]


def changed(curve: Forecasts, **changes: object) -> Forecasts:
    """The same curve with another last forecast."""
    target, last = curve[-1]
    assert isinstance(last, Forecast)
    return [*curve[:-1], (target, replace(last, **changes))]  # type: ignore[arg-type]


def test_the_curve_is_of_the_steps_and_begins_at_what_the_run_cost(pilot: Pilot, curve: Forecasts) -> None:
    assert [float(forecast.extrapolation_factor) for _, forecast in curve] == list(STEPS)
    first = curve[0][1]
    assert isinstance(first, Forecast)
    assert abs(first.linear_usd - rates(pilot).usd * pilot.attempts) < Decimal("1e-40")
    assert forecasts_of(pilot, 3) == curve, "the same seed, the same curve"


def test_kinds_of_answers_are_named_in_their_places(curve: Forecasts) -> None:
    told = texts(cost_curve_figure(curve))
    for words in ("a point, to 10 times", "a band, to 100 times", "beyond: scenario only", "this run", "linear",
                  "middle of the draws (P50)", "P5 to P95", "in all, US dollars", "one accepted record, US dollars",
                  "times the run’s accepted records (log scales)", "1×", "100×", "linear $600.00",
                  "linear $0.013"):  # fmt: skip
        assert words in told, words


def test_ends_carry_the_amounts_of_the_farthest_answer(curve: Forecasts) -> None:
    told = texts(cost_curve_figure(changed(curve, p5_usd=Decimal(700), p50_usd=Decimal(1234567), p95_usd=None)))
    assert {"P5 $700.00", "P50 $1.23 M", "P95 not reached"} <= set(told)


def test_without_a_middle_the_line_ends_and_no_number_is_made_up(curve: Forecasts) -> None:
    made = cost_curve_figure(changed(curve, p50_usd=None, p95_usd=None))
    assert "P50 not reached" in texts(made)
    assert not re.search(r"\b(?:inf|nan)\b", made)


def test_an_open_band_has_no_upper_edge_where_it_is_open(curve: Forecasts) -> None:
    def corners(made: str) -> int:
        return sum(path.count("L") for path in re.findall(r'd="([^"]*)"[^>]*stroke-width: 0\.9', made))

    shut, open_ = cost_curve_figure(curve), cost_curve_figure(changed(curve, p95_usd=None))
    assert corners(shut) - corners(open_) == 4, "one corner less in two panels of two drawings"


def test_what_the_seeds_cannot_give_is_said_and_not_drawn(curve: Forecasts) -> None:
    out = NotReachable(extrapolation_factor=Decimal(50), ideas=9.0, ceiling=3.0, documents=9, variants=2)
    made = cost_curve_figure([*curve[:5], (Target(records=100), out)])
    assert "50 times and more: not reachable with these seeds" in texts(made)
    assert "1 to 20 times" in made


def test_too_little_for_a_curve_is_none(curve: Forecasts) -> None:
    assert cost_curve_figure(()) == ""
    assert cost_curve_figure(curve[:1]) == ""


def test_a_scenario_is_never_a_part_of_the_line(curve: Forecasts) -> None:
    far = changed(curve, extrapolation_factor=Decimal(1000))
    assert "1 to 50 times" in cost_curve_figure(far)


def test_it_is_well_formed_in_the_pages_colours_and_the_same_again(curve: Forecasts) -> None:
    made = cost_curve_figure(curve)
    assert made == cost_curve_figure(list(curve))
    assert not re.findall(r"#[0-9a-f]{6}\b", made)
    ids = re.findall(r'\bid="([^"]+)"', made)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("usd", ["0.0000001", "1", "123456789012"])
def test_amounts_of_any_size_have_ticks_inside_the_sheet(curve: Forecasts, usd: str) -> None:
    by = Decimal(usd)
    sized = [
        (target, replace(each, **{name: getattr(each, name) * by for name in AMOUNTS}))
        for target, each in curve
        if isinstance(each, Forecast)
    ]  # fmt: skip
    wide = cost_curve_figure(sized).partition('class="narrow"')[0]
    root = ET.fromstring(re.search(r"<svg.*</svg>", wide, re.DOTALL)[0].replace("xlink:href", "href"))  # type: ignore[index]
    ticks = ["".join(each.itertext()) for each in root.iter("text")]
    assert sum(text.startswith("$") for text in ticks) >= 6, "three or more on either axis"


def test_labels_are_moved_apart_and_stay_inside() -> None:
    for wanted in ([10.0, 11, 12, 90], [95.0, 96, 97, 98], [0.0, 0, 0, 0], [20.0, 40, 60, 80]):
        found = apart(wanted, (8, 92))
        assert all(after - before >= APART - 1e-9 for before, after in pairwise(found))
        assert found[0] >= 8 - 1e-9 and found[-1] <= 92 + 1e-9
    assert apart([20.0, 40, 60, 80], (8, 92)) == [20, 40, 60, 80]

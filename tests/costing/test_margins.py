"""Margins collapse where the laws say, with an interval or not at all; and curves are found in points they made."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.costing.margins import (
    FEWEST_DRAWS,
    Curve,
    Growth,
    accuracy_collapse,
    allowed,
    ends,
    fit_curves,
    flat_fee_collapse,
    gross_margin,
    iso_margin,
    volume_collapse,
)
from proofset.errors import InputError

D = Decimal
PRICE, MARGIN = D("0.02"), D("0.6")
CURVE = Curve.through(0.95, D("0.002"), k=1.5, floor=0.01)
GROWTH = Growth.through(10_000, 6_000, beta=0.9)
MANY = 200

ks, floors = st.floats(0.3, 8), st.floats(0, 0.05)


@given(k=ks, floor=floors, fidelity=st.floats(0.5, 0.93))
def test_a_curve_goes_through_its_point_and_back(k: float, floor: float, fidelity: float) -> None:
    curve = Curve.through(fidelity, D("0.002"), k=k, floor=floor)
    assert curve.usd(fidelity) == pytest.approx(0.002, rel=1e-9)
    assert curve.fidelity(0.002) == pytest.approx(fidelity, abs=1e-9)


@given(k=ks, floor=floors)
def test_a_curve_is_known_by_two_of_its_points(k: float, floor: float) -> None:
    curve = Curve.through(0.8, D("0.002"), k=k, floor=floor)
    found = Curve.between((0.8, D("0.002")), (0.9, D(repr(curve.usd(0.9)))), floor=floor)
    assert found.k == pytest.approx(k, rel=1e-9)
    assert found.usd(0.85) == pytest.approx(curve.usd(0.85), rel=1e-9)


@given(k=ks, floor=floors, fidelity=st.floats(0.5, 0.93))
def test_halving_the_error_above_the_floor_costs_two_to_the_k(k: float, floor: float, fidelity: float) -> None:
    curve = Curve.through(fidelity, D(1), k=k, floor=floor)
    halved = 1 - floor - (1 - fidelity - floor) / 2
    assert curve.usd(halved) == pytest.approx(2**k, rel=1e-6)


def test_beyond_the_floor_no_money_helps() -> None:
    assert CURVE.usd(0.9899) < math.inf
    assert CURVE.usd(0.9901) == CURVE.usd(1.0) == math.inf
    assert CURVE.fidelity(1e300) == pytest.approx(0.99)


@given(beta=st.floats(0.3, 0.99), volume=st.floats(1, 1e12))
def test_growth_is_inverted_and_the_next_record_costs_the_average_over_beta(beta: float, volume: float) -> None:
    growth = Growth.through(10_000, 6_000, beta=beta)
    candidates = (volume / growth.factor) ** (1 / beta)
    assert growth.usd(volume, 0.5) == pytest.approx(0.5 * candidates / volume, rel=1e-6)
    step = volume * 1e-4
    more = ((volume + step) / growth.factor) ** (1 / beta)
    assert 0.5 * (more - candidates) / step == pytest.approx(growth.usd(volume, 0.5) / beta, rel=1e-3)


@given(beta=st.floats(0.3, 0.95), usd=st.floats(1e-5, 1e-3))
def test_at_the_volume_collapse_a_record_costs_what_is_allowed(beta: float, usd: float) -> None:
    growth = Growth.through(10_000, 6_000, beta=beta)
    average = growth.collapse(0.008, usd)
    assert growth.usd(average, usd) == pytest.approx(0.008, rel=1e-6)
    marginal = growth.collapse(0.008, usd, marginal=True)
    assert growth.usd(marginal, usd) / beta == pytest.approx(0.008, rel=1e-6)
    assert marginal < average


def test_gross_margin_is_what_is_left_of_the_price() -> None:
    assert gross_margin(D("0.02"), D("0.005")) == 0.75
    assert gross_margin(D("0.02"), D("0.04")) == -1.0
    assert gross_margin(D("0.02"), None) is None
    assert allowed(D("0.02"), D("0.6")) == D("0.008")


def curves(spread: float) -> list[Curve]:
    rng = np.random.default_rng(1)
    return [Curve.through(0.95, D("0.002"), k=1.5 * math.exp(spread * z), floor=0.01) for z in rng.normal(size=MANY)]


def growths(beta: float, spread: float) -> list[Growth]:
    draws = np.random.default_rng(2).normal(beta, spread, size=MANY)
    return [Growth.through(10_000, 6_000, beta=float(draw)) for draw in draws]


def test_the_accuracy_collapse_is_the_formula_and_its_interval_widens_with_the_doubt_about_k() -> None:
    formula = 1 - (0.01 + (1 - 0.95 - 0.01) * (0.002 / 0.008) ** (1 / 1.5))
    near, far = (accuracy_collapse(PRICE, MARGIN, CURVE, curves(spread)) for spread in (0.05, 0.3))
    for found in (near, far):
        assert found.value == pytest.approx(formula)
        assert found.low is not None and found.high is not None and found.value is not None
        assert found.low < found.value < found.high < 0.99
        assert (found.n, found.unit) == (MANY, "fidelity")
    assert near.low is not None and near.high is not None and far.low is not None and far.high is not None
    assert far.high - far.low > 3 * (near.high - near.low)


def test_a_price_that_pays_for_no_fidelity_has_no_accuracy_collapse() -> None:
    found = accuracy_collapse(D("1e-12"), MARGIN, Curve.through(0.9, D(1), k=1.0), curves(0.1))
    assert (found.value, found.note) == (None, "not at all: the price pays for no fidelity")


def test_the_volume_collapse_has_an_interval_of_orders_of_magnitude() -> None:
    found = volume_collapse(PRICE, MARGIN, GROWTH, D("0.003"), growths(0.9, 0.012))
    assert found.value is not None and found.low is not None and found.high is not None
    assert found.low < found.value < found.high
    assert found.high > 5 * found.low
    marginal = volume_collapse(PRICE, MARGIN, GROWTH, D("0.003"), growths(0.9, 0.012), marginal=True)
    assert marginal.value == pytest.approx(found.value * 0.9**9)


def test_a_collapse_whose_interval_has_no_end_is_not_shown() -> None:
    found = volume_collapse(PRICE, MARGIN, GROWTH, D("0.00016"), growths(0.9, 0.05))
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.note == "not at all: the interval has no upper end"


@pytest.mark.parametrize("beta", [0.99, 1.0, 1.1])
def test_a_generator_that_hardly_repeats_itself_has_no_volume_collapse(beta: float) -> None:
    found = volume_collapse(PRICE, MARGIN, Growth.through(10_000, 6_000, beta=beta), D("0.00016"), growths(0.9, 0.01))
    assert (found.value, found.note) == (None, "not at all: no volume within reach costs so much")


@pytest.mark.parametrize("n", [0, FEWEST_DRAWS - 1])
def test_no_collapse_is_shown_without_enough_draws(n: int) -> None:
    why = f"not at all: {n} draws give no interval, {FEWEST_DRAWS} are needed"
    assert accuracy_collapse(PRICE, MARGIN, CURVE, curves(0.1)[:n]).note == why
    found = volume_collapse(PRICE, MARGIN, GROWTH, D("0.00016"), growths(0.9, 0.01)[:n])
    assert (found.value, found.note) == (None, why)
    assert flat_fee_collapse(D(20), MARGIN, D("0.01"), [0.01] * n).value is None


def test_a_flat_fee_pays_for_so_many_uses() -> None:
    draws = [0.01 * (1 + n / 1000) for n in range(-100, 101)]
    found = flat_fee_collapse(D(20), MARGIN, D("0.01"), draws)
    assert found.value == pytest.approx(800)
    assert found.low == pytest.approx(800 / 1.095)
    assert found.high == pytest.approx(800 / 0.905)


def test_ends_are_order_statistics_and_may_be_infinite() -> None:
    draws = [float(n) for n in range(1, 201)]
    assert ends(draws) == (5.0, 195.0)
    assert ends([*draws[:-5], *[math.inf] * 5]) == (5.0, 195.0)
    assert ends([*draws[:-6], *[math.inf] * 6]) == (5.0, math.inf)


def test_the_surface_meets_its_curve_at_the_pilot_and_the_line_is_where_the_margin_is_just_met() -> None:
    volumes, fidelities = [6_000.0, 1e6, 1e9], [0.9, 0.95, 0.985, 0.995]
    found = iso_margin(PRICE, MARGIN, CURVE, GROWTH, pilot_accepted=6_000, volumes=volumes, fidelities=fidelities)
    assert found.usd_U_A.shape == (3, 4)
    assert found.usd_U_A[0, 1] == pytest.approx(0.002)
    assert np.isinf(found.usd_U_A[:, 3]).all()
    assert (np.diff(found.usd_U_A[:, :3], axis=0) > 0).all() and (np.diff(found.usd_U_A[:, :3], axis=1) > 0).all()
    assert found.line_U[0] == pytest.approx(CURVE.fidelity(0.008))
    assert (np.diff(found.line_U) < 0).all()
    for volume, fidelity in zip(volumes, found.line_U, strict=True):
        at = iso_margin(
            PRICE, MARGIN, CURVE, GROWTH, pilot_accepted=6_000, volumes=[volume], fidelities=[float(fidelity)]
        )
        assert at.usd_U_A[0, 0] == pytest.approx(found.allowed_usd) == 0.008


def test_the_line_ends_where_no_fidelity_is_paid_for() -> None:
    found = iso_margin(
        PRICE, MARGIN, CURVE, Growth.through(10_000, 6_000, beta=0.3), pilot_accepted=6_000,
        volumes=[6_000.0, 1e12], fidelities=[0.9],
    )  # fmt: skip
    assert np.isnan(found.line_U).tolist() == [False, True]


@pytest.mark.parametrize(("k", "floor"), [(0.5, 0.0), (1.537, 0.0), (1.0, 0.02), (3.0, 0.05)])
def test_a_curve_is_found_in_the_points_it_made(k: float, floor: float) -> None:
    made = Curve.through(0.8, D("0.001"), k=k, floor=floor)
    usd = np.geomspace(0.001, 0.03, 12)
    errors = np.array([1 - made.fidelity(float(one)) for one in usd])
    fits = fit_curves(np.log(usd)[None], errors[None], np.linspace(1, 3, 12))
    found = fits.curves_B[0]
    assert found is not None and bool(fits.falls_B[0])
    assert found.k == pytest.approx(k, rel=3e-3)
    assert found.floor == pytest.approx(floor, abs=2e-4)
    assert found.usd(0.9) == pytest.approx(made.usd(0.9), rel=0.01)
    assert fits.aicc_B["exponential"][0] > min(fits.aicc_B["power"][0], fits.aicc_B["power with floor"][0]) + 10


def test_an_exponential_is_told_from_a_power() -> None:
    logs = np.linspace(0, 2, 12)
    wiggle = 1e-3 * np.cos(np.arange(12) * 2.1)
    fits = fit_curves(logs[None], (0.4 - 0.15 * logs + wiggle)[None], np.ones(12))
    assert fits.aicc_B["exponential"][0] < min(fits.aicc_B["power"][0], fits.aicc_B["power with floor"][0])


def test_the_criterion_is_akaike_s_with_its_correction_for_few_points() -> None:
    logs, errors = np.arange(8.0), np.array([0.41, 0.35, 0.33, 0.24, 0.22, 0.16, 0.12, 0.03])
    slope, constant = np.polyfit(logs, errors, 1)
    rss = float(((errors - constant - slope * logs) ** 2).sum())
    expected = 8 * math.log(rss / 8) + 2 * 3 + 2 * 3 * 4 / (8 - 3 - 1)
    assert fit_curves(logs[None], errors[None], np.ones(8)).aicc_B["exponential"][0] == pytest.approx(expected)


def test_an_error_floor_is_never_below_zero() -> None:
    logs = np.linspace(0, 1.5, 12)
    found = fit_curves(logs[None], (0.4 * np.exp(-logs) - 0.05)[None], np.ones(12)).curves_B[0]
    assert found is not None and found.floor == 0.0


def test_points_that_rise_give_no_curve() -> None:
    logs = np.linspace(0, 2, 12)
    fits = fit_curves(logs[None], (0.1 + 0.05 * logs)[None], np.ones(12))
    assert fits.curves_B == (None,)
    assert fits.falls_B.tolist() == [False]


def grid(volumes: list[float], fidelities: list[float]) -> object:
    return iso_margin(PRICE, MARGIN, CURVE, GROWTH, pilot_accepted=1, volumes=volumes, fidelities=fidelities)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Curve.through(0.99, D(1), k=1.0, floor=0.02),
            "no curve with k 1.0 and floor 0.02 through fidelity 0.99 at 1 USD",
        ),
        (lambda: Curve.through(0.9, D(0), k=1.0), "no curve with k 1.0 and floor 0.0 through fidelity 0.9 at 0 USD"),
        (
            lambda: Curve.between((0.9, D(2)), (0.95, D(1))),
            "no curve rises from fidelity 0.9 at 2 USD to 0.95 at 1 USD",
        ),
        (lambda: Growth.through(0, 1, beta=0.9), "no growth with beta 0.9 through 1 of 0"),
        (lambda: gross_margin(D(0), D(1)), "a price of 0"),
        (lambda: allowed(D(1), D(1)), "a price of 1 at a margin of 1"),
        (lambda: allowed(D("NaN"), D(0)), "a price of NaN at a margin of 0"),
        (lambda: volume_collapse(PRICE, MARGIN, GROWTH, D(0)), "0 USD per candidate"),
        (lambda: flat_fee_collapse(D(1), MARGIN, D("-1")), "-1 USD per use"),
        (lambda: grid([0.0], [0.9]), "a surface outside its grid"),
        (lambda: grid([1.0], [1.0]), "a surface outside its grid"),
    ],
)
def test_what_cannot_be_is_an_input_error(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
    assert caught.value.hint

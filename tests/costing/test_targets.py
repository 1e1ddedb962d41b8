"""Targets, and the exact costs of the worked example on the linear and the Heaps path."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.costing.pilots import GOLDEN, golden_pilot, small

from proofset.costing.pilot import TERABYTE, rates
from proofset.costing.targets import Target, heaps_cost
from proofset.errors import InputError

CENT = Decimal("0.01")
A_TERABYTE = Target(accepted_bytes=TERABYTE)
PILOT = golden_pilot()


def test_the_worked_example_on_heaps_path_is_the_same_to_the_cent() -> None:
    expected = GOLDEN["expected"]["heaps"]
    found = heaps_cost(PILOT, A_TERABYTE, expected["beta"])
    assert found.usd.quantize(CENT) == Decimal(expected["usd_per_TB_2dp"])
    assert found.marginal_usd.quantize(CENT) == Decimal(expected["marginal_usd_per_TB_2dp"])
    assert round(found.candidates) == expected["candidates_heaps"]
    assert round(found.candidates_linear) == expected["candidates_linear"]
    assert float(found.ratio) == pytest.approx(expected["ratio"], abs=5e-5)


def test_how_far_the_worked_example_is_from_its_pilot() -> None:
    assert float(A_TERABYTE.factor(PILOT)) == pytest.approx(GOLDEN["expected"]["extrapolation_factor"], rel=1e-6)
    assert Target(records=59_800).factor(PILOT) == 10


def test_a_terabyte_at_the_pilots_rates_and_the_same_in_records() -> None:
    per = rates(PILOT)
    assert A_TERABYTE.linear_usd(per).quantize(CENT) == Decimal(GOLDEN["expected"]["linear_machine_usd_per_TB_2dp"])
    assert Target(records=5980).linear_usd(per).quantize(CENT) == Decimal(GOLDEN["expected"]["machine_usd_2dp"])


def test_without_repetition_heaps_is_linear() -> None:
    found = heaps_cost(PILOT, A_TERABYTE, 1.0)
    assert found.ratio.quantize(CENT) == 1
    assert found.usd.quantize(CENT) == found.marginal_usd.quantize(CENT) == Decimal("1775197.32")


@given(beta=st.floats(0.2, 0.999), factor=st.integers(1, 10**6))
@settings(max_examples=25)
def test_heaps_is_never_cheaper_than_linear_and_the_last_unit_is_the_dearest(beta: float, factor: int) -> None:
    target = Target(records=5980 * factor)
    found = heaps_cost(PILOT, target, beta)
    assert found.usd >= target.linear_usd(rates(PILOT)) * Decimal("0.999999999")
    assert found.marginal_usd > found.usd
    assert heaps_cost(PILOT, target, beta * 0.9).usd >= found.usd


@pytest.mark.parametrize("beta", [0.0, -1.0, 1.01, float("nan")])
def test_a_heaps_exponent_lies_above_0_and_up_to_1(beta: float) -> None:
    with pytest.raises(InputError, match="a Heaps exponent of"):
        heaps_cost(PILOT, A_TERABYTE, beta)


def test_a_target_is_of_one_kind_and_not_nothing() -> None:
    wrong: tuple[dict[str, int], ...] = (
        {},
        {"records": 1, "accepted_bytes": 1},
        {"records": 0},
        {"accepted_bytes": -1},
    )
    for given_target in wrong:
        with pytest.raises(InputError, match="a target of nothing, or of two kinds"):
            Target(**given_target)


def test_a_pilot_that_accepted_nothing_projects_nothing() -> None:
    with pytest.raises(InputError, match="the pilot accepted nothing"):
        Target(records=1).factor(small([("d", "s", "1", 0)]))

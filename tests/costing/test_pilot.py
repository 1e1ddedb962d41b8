"""A pilot's rates are exact ratios of sums, and its columns must make sense."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.costing.pilots import GOLDEN, golden_pilot, small

from proofset.costing.pilot import TEBIBYTE, Pilot, rates, shares
from proofset.errors import InputError

CENT = Decimal("0.01")
ROWS = [
    ("d1", "easy", "0.10", 1000),
    ("d2", "easy", "0.30", 1000),
    ("d3", "hard", "0.50", 0),
    ("d4", "hard", "0.70", 800),
]
"""Seed, slice, USD and accepted bytes."""


def money(usd: Decimal) -> Decimal:
    return usd.quantize(Decimal("1e-12"))


def columns(**changed: Any) -> Pilot:
    return small(ROWS, **changed)


@pytest.mark.parametrize(
    ("money", "expected"),
    [("total_usd", "linear_usd_per_TB_2dp"), ("machine_usd", "linear_machine_usd_per_TB_2dp")],
)
def test_the_worked_example_costs_the_same_to_the_cent(money: str, expected: str) -> None:
    pilot = golden_pilot(money)
    assert pilot.total_usd == Decimal(GOLDEN["expected"][money])
    assert rates(pilot).usd_per().quantize(CENT) == Decimal(GOLDEN["expected"][expected])


def test_the_worked_example_per_tebibyte_and_per_record() -> None:
    per, expected = rates(golden_pilot()), GOLDEN["expected"]
    assert per.usd_per(TEBIBYTE).quantize(CENT) == Decimal(expected["linear_machine_usd_per_TiB_2dp"])
    assert float(per.usd_per_record()) == pytest.approx(expected["machine_usd_per_accepted"], abs=5e-9)
    assert float(rates(golden_pilot("total_usd")).usd_per_record()) == pytest.approx(
        expected["usd_per_accepted"], rel=1e-6
    )
    assert float(per.bytes / per.accepted) == expected["bytes_per_record"]


def test_what_was_not_accepted_is_paid_for() -> None:
    assert money(rates(columns()).usd_per(1000)) == money(Decimal("1.6") / Decimal("2.8"))
    more = small([*ROWS, ("d5", "hard", "0.4", 0)])
    assert money(rates(more).usd_per(1000)) == money(Decimal("2") / Decimal("2.8"))


def test_a_production_mix_weighs_the_slices_by_attempts() -> None:
    assert money(rates(columns(), {"easy": 3}).usd_per(1000)) == money(Decimal("0.2"))
    assert money(rates(columns(), {"hard": 1.0}).usd_per(1000)) == money(Decimal("1.5"))
    half = rates(columns(), {"easy": 1, "hard": 3})
    assert money(half.usd_per(1000)) == money((Decimal("0.2") + 3 * Decimal("0.6")) / (1 + 3 * Decimal("0.4")))
    assert money(rates(columns(), {"easy": 5, "hard": 5}).usd_per()) == money(rates(columns()).usd_per())


def test_rates_are_per_attempt_whatever_the_size_of_the_slices() -> None:
    assert rates(columns()).usd == Decimal("0.4") and rates(columns()).accepted == Decimal("0.75")
    unequal = small([*ROWS, ("d5", "easy", "0.80", 1000)])
    assert money(rates(unequal, {"easy": 1, "hard": 1}).usd) == money((Decimal("0.4") + Decimal("0.6")) / 2)
    assert money(rates(unequal, {"easy": 1, "hard": 1}).bytes) == money(Decimal(1000 + 400) / 2)


@given(st.lists(st.tuples(st.decimals(0, 9, places=6), st.integers(0, 5000)), min_size=1, max_size=30))
def test_twice_the_prices_cost_twice_as_much_and_the_sum_is_exact(rows: list[tuple[Decimal, int]]) -> None:
    pilot = small([(str(place), "s", str(usd), size) for place, (usd, size) in enumerate(rows)])
    assert pilot.total_usd == sum(usd for usd, _ in rows)
    if pilot.total_bytes:
        doubled = small([(str(place), "s", str(2 * usd), size) for place, (usd, size) in enumerate(rows)])
        assert money(rates(doubled).usd) == money(2 * rates(pilot).usd)


def test_floats_are_taken_for_the_shortest_decimals() -> None:
    assert columns(usd=np.array([0.1, 0.2, 0.3, 0.0])).total_usd == Decimal("0.6")


def test_an_attempt_without_a_price_leaves_the_total_unknown_and_is_never_free() -> None:
    pilot = columns(usd=[Decimal(1), None, Decimal(1), Decimal(1)])
    assert pilot.total_usd is None
    with pytest.raises(InputError, match="an attempt has no price"):
        rates(pilot)


def test_nothing_accepted_has_no_cost() -> None:
    per = rates(small([("d", "s", "1", 0)]))
    for ask in (per.usd_per, per.usd_per_record):
        with pytest.raises(InputError, match="nothing was accepted"):
            ask()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"slices": ["a"]}, r"columns of \[1, 4\] attempts"),
        ({"parsed": [True, True, True]}, r"columns of \[3, 4\] attempts"),
        ({"parsed": [False] * 4}, "an attempt is passed that failed before"),
        ({"accepted": [True] * 4}, "an attempt is accepted that failed before"),
        ({"accepted_bytes": [1000, 1000, 7, 800]}, "accepted_bytes below 0, or of what was not accepted"),
        ({"accepted_bytes": [1000, -1, 0, 800]}, "accepted_bytes below 0"),
        ({"output_tokens": [1, 1, 1, 1]}, "output_tokens below 0, or of what was not accepted"),
        ({"usd": [Decimal(-1)] * 4}, "an attempt's cost is no amount"),
        ({"usd": np.array([1.0, np.nan, 1.0, 1.0])}, "an attempt's cost is no amount"),
        ({"ideas": [1, 1, 1, 1]}, "more unique candidates than ideas"),
    ],
)
def test_columns_that_cannot_be_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        columns(**changed)
    assert caught.value.hint


def test_a_pilot_of_no_attempts_is_refused() -> None:
    with pytest.raises(InputError, match=r"columns of \[0\] attempts"):
        small([])


@pytest.mark.parametrize(
    ("mix", "message"),
    [({"harsh": 1.0}, "no slice 'harsh'"), ({"easy": -1.0}, "no weights"), ({"easy": 0.0}, "no weights"),
     ({}, "no weights"), ({"easy": float("nan")}, "no weights")],
)  # fmt: skip
def test_a_mix_that_is_none_is_refused(mix: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        shares(columns(), mix)

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.config import Model
from proofset.costing.prices import (
    PICODOLLAR,
    check_priced,
    core_hour_price,
    parse_price,
    priced,
    rounded,
    token_price,
    token_prices,
)
from proofset.errors import ConfigError, InputError, UnpricedModel
from proofset.nouns.result import Usage, UsageBasis

MINI = Model(
    engine="chat", base_url="http://x/v1", model="mini", usd_per_million_input="0.25", usd_per_million_output="2.00"
)
UNPRICED = Model(engine="chat", base_url="http://x/v1", model="mystery")


def test_core_hours_are_priced_by_the_second() -> None:
    assert core_hour_price("0.05", 3600.0) == Decimal("0.05")
    assert core_hour_price("0.05", 0.0) == 0
    assert core_hour_price("0.07", 1.0) == Decimal("0.000019444444")
    assert core_hour_price("1", 0.1) == Decimal("0.000027777778")


@pytest.mark.parametrize("price", ["", "free", "-0.05", "0", "nan", "inf", "1000"])
def test_a_core_hour_price_that_is_none_is_a_config_error(price: str) -> None:
    with pytest.raises(ConfigError) as caught:
        core_hour_price(price, 1.0)
    assert caught.value.hint


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_processor_time_is_finite_and_not_negative(seconds: float) -> None:
    with pytest.raises(InputError):
        core_hour_price("0.05", seconds)


def test_tokens_are_priced_exactly_as_in_the_worked_example() -> None:
    assert token_price(MINI, input_tokens=12_000_000, output_tokens=3_500_000) == Decimal("10")
    assert token_price(MINI, input_tokens=1, output_tokens=0) == Decimal("0.00000025")
    assert token_price(MINI, input_tokens=0, output_tokens=0) == 0


def test_cached_tokens_are_part_of_the_input_and_get_no_discount() -> None:
    full = token_price(MINI, input_tokens=1200, output_tokens=350)
    assert token_price(MINI, input_tokens=1200, output_tokens=350, cached_tokens=800) == full == Decimal("0.001")
    for counts in ((10, 11, 0), (-1, 0, 0), (1, 0, -1)):
        with pytest.raises(InputError):
            token_price(MINI, input_tokens=counts[0], cached_tokens=counts[1], output_tokens=counts[2])


@given(tokens=st.integers(0, 10**9), more=st.integers(0, 10**9))
def test_token_prices_add_up(tokens: int, more: int) -> None:
    def price(n: int) -> Decimal:
        found = token_price(MINI, input_tokens=n, output_tokens=n)
        assert found is not None
        return found

    assert price(tokens) + price(more) == price(tokens + more)


def test_a_call_without_a_price_is_unpriced_not_free() -> None:
    assert token_prices(UNPRICED) is None
    assert token_price(UNPRICED, input_tokens=10, output_tokens=10) is None


@pytest.mark.parametrize("field", ["usd_per_million_input", "usd_per_million_output"])
@pytest.mark.parametrize("text", ["cheap", "-1", "0.00000025", "20000", "nan", "1,5"])
def test_impossible_prices_are_config_errors_that_name_the_field(field: str, text: str) -> None:
    with pytest.raises(ConfigError, match=field) as caught:
        token_prices(MINI.model_copy(update={field: text}))
    assert caught.value.hint


def test_a_price_per_token_is_asked_about() -> None:
    with pytest.raises(ConfigError) as caught:
        token_prices(MINI.model_copy(update={"usd_per_million_input": "0.00000025"}))
    assert "did you type a price per token?" in caught.value.hint


def test_half_a_price_is_refused_and_the_range_is_inclusive() -> None:
    with pytest.raises(ConfigError, match="usd_per_million_output"):
        token_prices(MINI.model_copy(update={"usd_per_million_output": ""}))
    edges = MINI.model_copy(update={"usd_per_million_input": "0.0001", "usd_per_million_output": "10000"})
    assert token_prices(edges) == (Decimal("0.0001"), Decimal("10000"))
    free = MINI.model_copy(update={"usd_per_million_input": "0", "usd_per_million_output": "0"})
    assert token_price(free, input_tokens=5, output_tokens=5) == 0


def test_only_engines_of_this_process_may_go_without_a_price() -> None:
    check_priced(MINI)
    check_priced(Model())
    check_priced(Model(engine="scripted"))
    for model in (UNPRICED, Model(engine="mine")):
        with pytest.raises(UnpricedModel) as caught:
            check_priced(model)
        assert "usd_per_million_input" in caught.value.hint
    with pytest.raises(ConfigError):
        check_priced(Model(usd_per_million_input="-1", usd_per_million_output="1"))


def test_a_usage_gets_its_money_and_says_from_where() -> None:
    call = Usage(model="m", stage="generate", input_tokens=1_000_000, output_tokens=500_000, core_seconds=3600.0)

    def found(usage: Usage, model: Model | None) -> tuple[Decimal | None, UsageBasis]:
        result = priced(usage, model, usd_per_core_hour="0.05")
        return result.usd, result.basis

    assert found(call, MINI) == (Decimal("1.25"), UsageBasis.OVERRIDE)
    assert found(call, UNPRICED) == (None, UsageBasis.UNPRICED)
    assert found(call, Model()) == found(call, None) == (Decimal("0.05"), UsageBasis.IMPUTED)
    reported = Usage(model="m", stage="generate", usd=Decimal("0.3"), basis=UsageBasis.REPORTED)
    replayed = Usage(model="m", stage="generate", basis=UsageBasis.REPLAY)
    assert found(reported, MINI) == (Decimal("0.3"), UsageBasis.REPORTED)
    assert found(replayed, MINI) == (None, UsageBasis.REPLAY)


def test_amounts_lie_on_the_grid_of_money() -> None:
    assert rounded(Decimal(1) / 3) == Decimal("0.333333333333")
    assert rounded(PICODOLLAR * 5 / 2) == PICODOLLAR * 2
    assert parse_price(" 1.50 ", field="x") == Decimal("1.5")

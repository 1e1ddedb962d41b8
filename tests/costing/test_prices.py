"""Money is exact, every amount says where it comes from, and no call is free by accident."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.costing.prices import (
    IN_PROCESS,
    PICODOLLAR,
    Tariff,
    check_priced,
    core_hour_price,
    parse_price,
    pricer,
    rounded,
    tariff,
)
from proofset.errors import ConfigError, InputError, UnpricedModel
from proofset.nouns.result import Usage, UsageBasis
from proofset.speakers import Model

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


def call(input_tokens: int = 0, output_tokens: int = 0, *, cached: int = 0, core_seconds: float = 0.0) -> Usage:
    return Usage(
        model="m", stage="generate", input_tokens=input_tokens, output_tokens=output_tokens, cached_tokens=cached,
        core_seconds=core_seconds,
    )  # fmt: skip


def changed(**fields: str) -> Model:
    return MINI.model_copy(update=fields)


def prices_of(model: Model) -> Tariff:
    found = tariff(model)
    assert found is not None
    return found


def test_tokens_are_priced_exactly_as_in_the_worked_example() -> None:
    assert prices_of(MINI).cost(call(12_000_000, 3_500_000)) == Decimal("10")
    assert prices_of(MINI).cost(call(1, 0)) == Decimal("0.00000025")
    assert prices_of(MINI).cost(call(0, 0)) == 0


def test_cached_tokens_are_part_of_the_input_and_get_no_discount_that_is_not_named() -> None:
    full = prices_of(MINI).cost(call(1200, 350))
    assert prices_of(MINI).cost(call(1200, 350, cached=800)) == full == Decimal("0.001")


@pytest.mark.parametrize("usage", [call(10, cached=11), call(-1), call(1, -1), call(1, cached=-1)])
def test_counts_that_cannot_be_are_an_error(usage: Usage) -> None:
    with pytest.raises(InputError, match="tokens") as caught:
        prices_of(MINI).cost(usage)
    assert "cached tokens are part of the input" in caught.value.hint


def test_cached_tokens_have_a_price_of_their_own_where_the_study_names_one() -> None:
    cheaper = prices_of(changed(usd_per_million_cached_input="0.025"))
    assert cheaper == Tariff(Decimal("0.25"), Decimal("0.025"), Decimal("2.00"))
    assert cheaper.cost(call(1_000_000, 0)) == Decimal("0.25")
    assert cheaper.cost(call(1_000_000, 0, cached=1_000_000)) == Decimal("0.025")
    assert cheaper.cost(call(1000, 100, cached=800)) == Decimal("0.00005") + Decimal("0.00002") + Decimal("0.0002")
    assert prices_of(changed(usd_per_million_cached_input=" ")) == prices_of(MINI)
    assert prices_of(changed(usd_per_million_cached_input="0")).cost(call(10, 0, cached=10)) == 0


@given(tokens=st.integers(0, 10**9), more=st.integers(0, 10**9), cached=st.integers(0, 10**9))
def test_costs_add_up_and_a_cheaper_cache_never_costs_more(tokens: int, more: int, cached: int) -> None:
    prices, cheaper = prices_of(MINI), prices_of(changed(usd_per_million_cached_input="0.1"))
    both = call(tokens + more, tokens + more)
    assert prices.cost(call(tokens, tokens)) + prices.cost(call(more, more)) == prices.cost(both)
    part = call(tokens + cached, more, cached=cached)
    assert 0 <= cheaper.cost(part) <= prices.cost(part)


def test_a_call_in_a_batch_costs_its_share() -> None:
    whole = call(1000, 500)
    batch = replace(whole, processing="batch")
    assert prices_of(MINI).cost(batch) * 2 == prices_of(MINI).cost(whole)
    dear = prices_of(changed(batch_price_share="0.75"))
    assert dear.cost(batch) * 4 == dear.cost(whole) * 3
    for wrong in ("1.5", "-1", "half"):
        with pytest.raises(ConfigError, match="batch_price_share"):
            tariff(changed(batch_price_share=wrong))


def test_a_call_without_a_price_is_unpriced_not_free() -> None:
    assert tariff(UNPRICED) is None
    assert pricer(UNPRICED, usd_per_core_hour="0.05")(call(10, 10)) == (None, UsageBasis.UNPRICED)


FIELDS = ["usd_per_million_input", "usd_per_million_cached_input", "usd_per_million_output"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("text", ["cheap", "-1", "0.00000025", "20000", "nan", "1,5"])
def test_impossible_prices_are_config_errors_that_name_the_field_and_its_place(field: str, text: str) -> None:
    for place in ("synthesize.model", "synthesize.critic.model"):
        for raises in (tariff, check_priced, lambda model, at: pricer(model, usd_per_core_hour="0.05", place=at)):
            with pytest.raises(ConfigError, match=f"^{place}.{field}: ") as caught:
                raises(changed(**{field: text}), place)
            assert caught.value.hint
    with pytest.raises(ConfigError, match=f"^synthesize.model.{field}: "):
        tariff(changed(**{field: text}))


def test_a_price_per_token_is_asked_about() -> None:
    with pytest.raises(ConfigError) as caught:
        tariff(changed(usd_per_million_input="0.00000025"))
    assert "did you type a price per token?" in caught.value.hint


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"usd_per_million_input": "1"}, "usd_per_million_output"),
        ({"usd_per_million_output": "1"}, "usd_per_million_input"),
        ({"usd_per_million_cached_input": "1"}, "usd_per_million_input"),
        ({"usd_per_million_cached_input": "1", "usd_per_million_output": "1"}, "usd_per_million_input"),
        ({"usd_per_million_cached_input": "1", "usd_per_million_input": "1"}, "usd_per_million_output"),
        ({"usd_per_million_input": "1", "usd_per_million_output": " "}, "usd_per_million_output"),
    ],
)
@pytest.mark.parametrize("unpriced", [False, True])
def test_half_a_price_is_refused_whatever_is_allowed(given: dict[str, str], missing: str, unpriced: bool) -> None:
    half = UNPRICED.model_copy(update={**given, "allow_unpriced": unpriced})
    with pytest.raises(ConfigError, match=rf"^synthesize\.critic\.model\.{missing}: one price without the other"):
        check_priced(half, "synthesize.critic.model")


def test_the_range_of_prices_is_inclusive_and_nothing_is_a_price_too() -> None:
    edges = prices_of(changed(usd_per_million_input="0.0001", usd_per_million_output="10000"))
    assert edges == Tariff(Decimal("0.0001"), Decimal("0.0001"), Decimal("10000"))
    free = prices_of(changed(usd_per_million_input="0", usd_per_million_output="0"))
    assert free.cost(call(5, 5)) == 0


def test_only_engines_of_this_process_may_go_without_a_price() -> None:
    check_priced(MINI)
    check_priced(Model())
    assert {"local", "openvino", "scripted"} == IN_PROCESS
    for engine in IN_PROCESS:
        check_priced(Model(engine=engine))
    for model in (UNPRICED, Model(engine="mine")):
        with pytest.raises(UnpricedModel) as caught:
            check_priced(model, "synthesize.critic.model")
        assert "set synthesize.critic.model.usd_per_million_input" in caught.value.hint
        assert "allow_unpriced" in caught.value.hint
    with pytest.raises(ConfigError):
        check_priced(Model(usd_per_million_input="-1", usd_per_million_output="1"))


def test_a_study_may_allow_calls_without_a_price_and_they_stay_without() -> None:
    allowed = UNPRICED.model_copy(update={"allow_unpriced": True})
    check_priced(allowed)
    priced = pricer(allowed, usd_per_core_hour="0.05")(call(10, 10, core_seconds=3600.0))
    assert priced == (None, UsageBasis.UNPRICED)


ASKED = call(1_000_000, 500_000, core_seconds=3600.0)


@pytest.mark.parametrize(
    ("model", "usd", "basis"),
    [
        (MINI, "1.25", UsageBasis.OVERRIDE),
        (UNPRICED, None, UsageBasis.UNPRICED),
        (Model(engine="local"), "0.05", UsageBasis.IMPUTED),
        (Model(engine="openvino"), "0.05", UsageBasis.IMPUTED),
        (Model(engine="scripted"), "0.05", UsageBasis.IMPUTED),
        (None, "0.05", UsageBasis.IMPUTED),
        (Model(engine="mine"), None, UsageBasis.UNPRICED),
    ],
    ids=["chat", "unpriced", "local", "openvino", "scripted", "none", "plugin"],
)
def test_a_usage_gets_its_money_and_says_from_where(model: Model | None, usd: str | None, basis: UsageBasis) -> None:
    priced = pricer(model, usd_per_core_hour="0.05")(ASKED)
    assert priced == (None if usd is None else Decimal(usd), basis)


@pytest.mark.parametrize("model", [MINI, UNPRICED, Model(), None], ids=["chat", "unpriced", "local", "none"])
def test_an_amount_that_is_known_wins_and_a_replay_is_not_priced_anew(model: Model | None) -> None:
    price = pricer(model, usd_per_core_hour="0.05")
    reported = Usage(model="m", stage="generate", input_tokens=9, usd=Decimal("0.3"), basis=UsageBasis.REPORTED)
    free = Usage(model="m", stage="generate", input_tokens=9, usd=Decimal(0), basis=UsageBasis.REPORTED)
    replayed = Usage(model="m", stage="generate", input_tokens=9, basis=UsageBasis.REPLAY)
    for usage in (reported, free, replayed):
        assert price(usage) == (usage.usd, usage.basis)


def test_amounts_lie_on_the_grid_of_money() -> None:
    assert rounded(Decimal(1) / 3) == Decimal("0.333333333333")
    assert rounded(PICODOLLAR * 5 / 2) == PICODOLLAR * 2
    assert parse_price(" 1.50 ", field="x") == Decimal("1.5")
    odd = prices_of(changed(usd_per_million_input="0.1234567"))
    assert odd.cost(call(7, 0)) == Decimal("0.000000864197")

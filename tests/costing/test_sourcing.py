"""Make or buy: every break-even is where the two sides cost the same, and "never" is an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.costing.prices import Tariff
from proofset.costing.sourcing import (
    BreakEven,
    Gpu,
    api_per_million,
    break_even_volume,
    cache_uses,
    idle_threshold,
    people_break_even,
    small_model_yield,
)
from proofset.errors import InputError
from proofset.nouns.result import Usage

GPU = Gpu(usd_per_hour=Decimal("2.50"), tokens_per_second=Decimal(2500))
MINI = Tariff(Decimal("0.25"), Decimal("0.025"), Decimal("2.00"))
D = Decimal
prices = st.decimals(D("0.01"), D(100), places=4)
shares = st.decimals(D("0.01"), D(1), places=4)


def test_the_textbook_gpu_costs_what_the_arithmetic_says() -> None:
    assert Gpu(usd_per_hour=D(3600), tokens_per_second=D(100), overhead=D(0)).usd_per_million(D("0.5")) == 20000
    assert GPU.usd_per_million(D("0.7")) == pytest.approx(D("0.5357142857"), abs=D("1e-9"))


@given(share=shares)
def test_a_gpu_that_is_busy_for_half_the_hours_costs_twice_as_much_a_token(share: Decimal) -> None:
    assert GPU.usd_per_million(share / 2) == pytest.approx(2 * GPU.usd_per_million(share), rel=D("1e-40"))


def test_the_api_price_holds_the_input_that_each_output_token_needs() -> None:
    usage = Usage(model="gen", stage="generate", input_tokens=12, cached_tokens=8, output_tokens=2)
    assert api_per_million(MINI, usage) == D("2.00") + D("0.25") * 4 / 2 + D("0.025") * 8 / 2
    assert api_per_million(MINI, replace(usage, processing="batch")) == D("1.30")


@given(fixed=prices, api=prices, own=prices)
def test_at_the_break_even_volume_both_cost_the_same(fixed: Decimal, api: Decimal, own: Decimal) -> None:
    found = break_even_volume(fixed, api=api, own=own)
    if own >= api:
        assert found.at is None and found.whole is None
        assert found.words == "never: an own token is not cheaper than an API token"
    else:
        assert found.at is not None
        assert fixed + own * found.at == pytest.approx(api * found.at, rel=D("1e-30"))


@given(api=prices)
def test_at_the_idle_threshold_the_gpu_costs_what_the_api_costs(api: Decimal) -> None:
    found = idle_threshold(GPU, api=api)
    if found.at is None:
        assert GPU.usd_per_million(D(1)) > api
        assert found.words == "never: even a GPU that is always busy costs more than the API"
    else:
        assert GPU.usd_per_million(found.at) == pytest.approx(api, rel=D("1e-30"))


@given(api_yield=shares, api_usd=prices, small_usd=prices, critic_usd=prices)
def test_at_the_break_even_yield_an_accepted_record_costs_the_same(
    api_yield: Decimal, api_usd: Decimal, small_usd: Decimal, critic_usd: Decimal
) -> None:
    found = small_model_yield(api_yield=api_yield, api_usd=api_usd, small_usd=small_usd, critic_usd=critic_usd)
    large = (api_usd + critic_usd) / api_yield
    if found.at is None:
        assert small_usd + critic_usd > large * (1 - D("1e-20"))
        assert found.words == "never: it costs more even if every candidate were accepted"
    else:
        assert (small_usd + critic_usd) / found.at == pytest.approx(large, rel=D("1e-20"))


def test_a_dear_critic_leaves_no_room_for_a_lower_yield() -> None:
    def needed(critic: str) -> Decimal | None:
        return small_model_yield(api_yield=D("0.6"), api_usd=D(1), small_usd=D("0.1"), critic_usd=D(critic)).at

    assert needed("0") == D("0.06")
    assert needed("1000") == pytest.approx(D("0.5995"), abs=D("0.0001"))


@pytest.mark.parametrize(
    ("write", "read", "at", "whole", "words"),
    [
        ("1.25", "0.1", "1.2778", 2, "from use 2 on"),
        ("2", "0.1", "2.1111", 3, "from use 3 on"),
        ("1", "0.5", "1.0000", 1, "from use 1 on"),
        ("0.4", "0.5", "0.0000", 0, "from use 1 on"),
    ],
)
def test_a_cache_pays_from_a_use_on(write: str, read: str, at: str, whole: int, words: str) -> None:
    found = cache_uses(write=D(write), read=D(read))
    assert found.at is not None
    assert (f"{found.at:.4f}", found.whole, found.words) == (at, whole, words)


@given(write=st.decimals(D(1), D(3), places=3), read=st.decimals(D(0), D("0.9"), places=3))
def test_a_cache_is_cheaper_at_its_first_paying_use_and_not_one_before(write: Decimal, read: Decimal) -> None:
    uses = cache_uses(write=write, read=read).whole
    assert uses is not None
    cached = [write + read * (n - 1) for n in range(1, uses + 1)]
    assert cached[-1] <= uses
    assert all(cost > n for n, cost in enumerate(cached[:-1], 1))


def test_a_cache_that_is_read_at_full_price_never_pays() -> None:
    assert cache_uses(write=D("1.25"), read=D(1)) == BreakEven(
        None, "uses", "never: reading from the cache costs as much as sending it again"
    )


def test_people_are_dearer_from_some_number_of_records_on() -> None:
    found = people_break_even(D(25000), person=D("3.50"), record=D("0.01470293"))
    assert found.whole == 7173
    assert found.words == "from 7,173 accepted records on"
    never = people_break_even(D(25000), person=D("0.01"), record=D("0.01"))
    assert (never.at, never.words) == (None, "never: our record is not cheaper than a person's record")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GPU.usd_per_million(D(0)), "a utilisation of 0"),
        (lambda: GPU.usd_per_million(D("1.1")), "a utilisation of 1.1"),
        (lambda: replace(GPU, tokens_per_second=D(0)), "tokens_per_second is 0"),
        (lambda: replace(GPU, usd_per_hour=D("NaN")), "usd_per_hour is NaN"),
        (lambda: replace(GPU, overhead=D("-0.1")), "overhead is -0.1"),
        (lambda: api_per_million(MINI, Usage(model="m", stage="s", input_tokens=5)), "0 output tokens"),
        (lambda: break_even_volume(D(-1), api=D(2), own=D(1)), "fixed_usd is -1"),
        (lambda: idle_threshold(GPU, api=D(0)), "api is 0"),
        (lambda: people_break_even(D(1), person=D("Infinity"), record=D(1)), "person is Infinity"),
        (lambda: cache_uses(write=D(-1), read=D(0)), "write is -1"),
        (lambda: small_model_yield(api_yield=D(2), api_usd=D(1), small_usd=D(1), critic_usd=D(1)), "a yield of 2"),
        (
            lambda: small_model_yield(api_yield=D(1), api_usd=D(0), small_usd=D(1), critic_usd=D(0)),
            "api_and_critic_usd is 0",
        ),
    ],
)
def test_what_cannot_be_is_an_input_error(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
    assert caught.value.hint

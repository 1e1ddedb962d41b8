"""The user's prices: exact, dated, complete or refused, and no count is free because nobody named a price."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.costing.pricebook import LIMITS, Call, PriceBook, Quote, check_call
from proofset.errors import ConfigError, InputError
from proofset.nouns.result import UsageBasis

GOLDEN = json.loads(Path(__file__).with_name("golden_economics.json").read_text("utf-8"))
NOVEMBER = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINI = 'input_mtok = "0.25"\ncache_read_mtok = "0.025"\noutput_mtok = "2.00"\n'

Write = Callable[..., PriceBook]


@pytest.fixture
def book(tmp_path: Path) -> Write:
    """A book of entries, each the lines of one [[price]]; a model named "m" where an entry names none."""

    def write(*entries: str) -> PriceBook:
        named = [entry if "model =" in entry else f'model = "m"\n{entry}' for entry in entries]
        path = tmp_path / "prices.toml"
        path.write_text("".join(f"[[price]]\n{entry}\n" for entry in named), encoding="utf-8")
        return PriceBook.read(path)

    return write


def call(**fields: Any) -> Call:
    return Call(**{"model": "m", "at": NOVEMBER, **fields})


def quoted(prices: PriceBook, asked: Call) -> Quote:
    found = prices.quote(asked)
    assert found is not None
    return found


def usd(prices: PriceBook, **fields: Any) -> Decimal | None:
    return quoted(prices, call(**fields)).usd


# --- what a call costs ---------------------------------------------------------------------------------------------


def test_the_worked_example_comes_out_to_the_last_digit(book: Write) -> None:
    listed, rates = GOLDEN["prices_usd_per_mtok"], GOLDEN["rates"]
    names = {"input": "input_mtok", "cache_read": "cache_read_mtok", "output": "output_mtok"}
    entries = []
    for name, prices in listed.items():
        model, _, processing = name.partition("@")
        prefix = "batch_" if processing else ""
        fields = [f'{prefix}{names[field]} = "{price}"' for field, price in prices.items()]
        entries.append("\n".join([f'model = "{model}"', *fields]))
    entries.append(f'model = "machine"\nper_core_hour = "{rates["compute_usd_per_h"]}"')
    prices = book(*entries)
    expected, total = GOLDEN["expected"]["usd"], Decimal(0)
    for stage, usage in GOLDEN["usage"].items():
        if "model" in usage:
            model, _, processing = usage["model"].partition("@")
            asked = call(
                model=model,
                processing=processing,
                input_tokens=usage["input"],
                cached_tokens=usage.get("cached", 0),
                output_tokens=usage.get("output", 0),
            )
        elif stage == "compute":
            asked = call(model="machine", core_seconds=3600 * float(usage["hours"]))
        else:
            continue
        quote = quoted(prices, asked)
        assert (stage, quote.usd, quote.warnings) == (stage, Decimal(expected[stage]), ())
        total += quote.usd or 0
    assert total == Decimal(GOLDEN["expected"]["machine_usd"]) - Decimal("0.0333") - Decimal("0.02")


def test_a_quote_says_which_price_of_which_book_it_is(book: Write, tmp_path: Path) -> None:
    prices = book(
        f'model = "other"\n{MINI}',
        f'provider = "acme"\nmodel = "mini"\nsource = "contract 7"\neffective_from = 2026-10-01\n{MINI}',
    )
    digest = hashlib.sha256((tmp_path / "prices.toml").read_bytes()).hexdigest()[:12]
    quote = quoted(prices, call(provider="acme", model="mini", input_tokens=1200, cached_tokens=800, output_tokens=350))
    assert quote == Quote(
        usd=Decimal("0.00082"),
        basis=UsageBasis.OVERRIDE,
        resolved="acme/mini",
        unit_prices=(
            ("input_mtok", Decimal("0.25")),
            ("cache_read_mtok", Decimal("0.025")),
            ("output_mtok", Decimal("2.00")),
        ),
        source=f"prices.toml (sha256 {digest}), price 2; contract 7; from 2026-10-01",
    )


def test_an_entry_of_the_calls_provider_wins_over_one_for_any_and_names_need_not_match_in_case(book: Write) -> None:
    prices = book(
        'input_mtok = "1"', 'provider = "Acme"\ninput_mtok = "2"', 'model = "n"\nprovider="x"\ninput_mtok="3"'
    )
    assert usd(prices, provider="acme", model="M", input_tokens=1_000_000) == 2
    assert usd(prices, provider="else", input_tokens=1_000_000) == 1
    assert usd(prices, input_tokens=1_000_000) == 1
    assert prices.quote(call(model="n", input_tokens=1)) is None, "a provider that is not known is not guessed"
    assert prices.quote(call(model="m2", input_tokens=1)) is None


def test_the_price_is_that_of_the_calls_day_in_utc_both_ends_included(book: Write) -> None:
    prices = book(
        'input_mtok = "1"\neffective_to = 2026-10-31',
        'input_mtok = "2"\neffective_from = 2026-11-01\neffective_to = 2026-11-30',
    )
    at = [datetime(2026, 10, 31, 23, 59), datetime(2026, 11, 1), datetime(2026, 11, 30, 23, 59)]
    assert [usd(prices, at=day, input_tokens=1_000_000) for day in at] == [1, 2, 2]
    assert prices.quote(call(at=datetime(2026, 12, 1), input_tokens=1)) is None
    tokyo = datetime(2026, 11, 1, 8, 0, tzinfo=timezone(timedelta(hours=9)))
    assert usd(prices, at=tokyo, input_tokens=1_000_000) == 1
    assert "to 2026-10-31" in quoted(prices, call(at=tokyo)).source


def test_a_call_without_a_time_is_priced_as_of_today_and_told_where_that_matters(book: Write) -> None:
    dated = quoted(book('input_mtok = "1"\neffective_from = 2020-01-01'), call(at=None, input_tokens=1))
    assert [("no time" in warning, "m:" in warning) for warning in dated.warnings] == [(True, True)]
    assert not quoted(book('input_mtok = "1"'), call(at=None, input_tokens=1)).warnings


@pytest.mark.parametrize(
    ("entry", "used", "missing"),
    [
        ('input_mtok = "1"', {"input_tokens": 10, "output_tokens": 7}, "no output_mtok for a count of 7"),
        ('output_mtok = "1"', {"input_tokens": 10, "output_tokens": 7}, "no input_mtok for a count of 10"),
        ('output_mtok = "1"', {"input_tokens": 10, "cached_tokens": 10}, "no input_mtok for a count of 10"),
        ('batch_input_mtok = "1"', {"input_tokens": 10}, "no input_mtok for a count of 10"),
        ('input_mtok = "1"', {"input_tokens": 10, "core_seconds": 0.5}, "no per_core_hour for a count of 0.5"),
        ('per_core_hour = "1"', {"core_seconds": 1.0, "gpu_seconds": 2.0}, "no per_gpu_hour for a count of 2.0"),
        ('per_core_hour = "1"', {"output_tokens": 3}, "no output_mtok for a count of 3"),
        ('per_request = "1"', {"gpu_seconds": 2.0}, "no per_gpu_hour for a count of 2.0"),
    ],
)
def test_a_count_without_a_price_makes_the_call_unpriced(
    book: Write, entry: str, used: dict[str, Any], missing: str
) -> None:
    quote = quoted(book(entry), call(**used))
    assert (quote.usd, quote.basis) == (None, UsageBasis.UNPRICED)
    assert f"m: {missing}" in quote.warnings


def test_cached_tokens_cost_what_input_does_where_they_have_no_price_and_writing_them_is_told(book: Write) -> None:
    prices = book('input_mtok = "1"\noutput_mtok = "3"')
    read = quoted(prices, call(input_tokens=1_000_000, cached_tokens=400_000))
    assert (read.usd, read.warnings) == (Decimal(1), ())
    written = quoted(prices, call(input_tokens=1_000_000, cache_write_tokens=400_000))
    assert written.usd == Decimal(1)
    assert written.warnings == ("m: no cache_write_mtok: 400000 tokens written at the price of input",)
    own = quoted(
        book('input_mtok = "1"\ncache_read_mtok = "0"\ncache_write_mtok = "1.25"'),
        call(input_tokens=1_000_000, cached_tokens=200_000, cache_write_tokens=400_000),
    )
    assert (own.usd, own.warnings) == (Decimal("0.9"), ())


def test_reasoning_is_part_of_the_output_and_billed_once(book: Write) -> None:
    assert usd(book('output_mtok = "2"'), output_tokens=1_000_000, reasoning_tokens=900_000) == 2


BATCHED = {"processing": "batch", "input_tokens": 1_000_000, "cached_tokens": 500_000, "output_tokens": 1_000_000}


@pytest.mark.parametrize(
    ("entry", "expected", "warnings"),
    [
        ('batch_share = "0.5"', "1.3", 0),
        ('batch_input_mtok = "0.8"\nbatch_cache_read_mtok = "0.2"\nbatch_output_mtok = "1"', "1.5", 0),
        ('batch_input_mtok = "0.8"\nbatch_share = "0.25"', "0.95", 0),
        ('batch_output_mtok = "1"\nbatch_input_mtok = "0.8"', "1.6", 1),
        ("", "2.6", 3),
    ],
)
def test_a_batch_costs_its_variant_else_its_share_else_the_standard_price_and_that_is_told(
    book: Write, entry: str, expected: str, warnings: int
) -> None:
    prices = book(f'input_mtok = "0.8"\ncache_read_mtok = "0.4"\noutput_mtok = "2"\n{entry}')
    quote = quoted(prices, call(**BATCHED))
    assert quote.usd == Decimal(expected)
    assert sum("at the standard price" in warning for warning in quote.warnings) == warnings == len(quote.warnings)
    assert usd(prices, **{**BATCHED, "processing": ""}) == Decimal("2.6")


def test_cached_input_of_a_batch_without_a_price_costs_the_input_of_a_batch(book: Write) -> None:
    quote = quoted(book('batch_input_mtok = "0.5"\nbatch_output_mtok = "2"'), call(**BATCHED))
    assert (quote.usd, quote.warnings) == (Decimal("2.5"), ())
    assert quote.unit_prices == (("batch_input_mtok", Decimal("0.5")), ("batch_output_mtok", Decimal(2)))


def test_a_processing_that_is_no_batch_is_told(book: Write) -> None:
    quote = quoted(book('input_mtok = "1"\nbatch_share = "0.5"'), call(input_tokens=1_000_000, processing="bacth"))
    assert quote.usd == 1
    assert quote.warnings == ("m: processing 'bacth' had no effect: the standard price is used",)


def test_time_is_imputed_by_the_second_and_covers_the_tokens(book: Write) -> None:
    prices = book('per_core_hour = "0.05"\nper_gpu_hour = "2.50"')
    quote = quoted(prices, call(core_seconds=7200.0, gpu_seconds=0.1, input_tokens=500, output_tokens=90))
    assert (quote.usd, quote.basis) == (Decimal("0.100069444444"), UsageBasis.IMPUTED)
    assert quote.unit_prices == (("per_core_hour", Decimal("0.05")), ("per_gpu_hour", Decimal("2.50")))


def test_a_price_for_each_request_is_added_to_that_of_tokens_or_stands_alone(book: Write) -> None:
    assert usd(book('per_request = "0.012"\ninput_mtok = "1"'), input_tokens=1_000) == Decimal("0.013")
    alone = book('per_request = "0.012"')
    assert usd(alone, input_tokens=1_000, output_tokens=9) == usd(alone) == Decimal("0.012")


def test_what_is_declared_free_costs_nothing_by_the_users_word(book: Write) -> None:
    quote = quoted(book("free = true"), call(input_tokens=10, output_tokens=10, core_seconds=3.0))
    assert (quote.usd, quote.basis, quote.warnings) == (Decimal(0), UsageBasis.OVERRIDE, ())
    assert quote.source.endswith("declared free")


def test_nothing_counted_is_nothing_charged_and_told(book: Write) -> None:
    quote = quoted(book('input_mtok = "1"'), call())
    assert (quote.usd, quote.warnings) == (Decimal(0), ("m: nothing was counted, so nothing is charged",))


def test_another_currency_is_turned_into_usd_at_a_rate_that_the_source_names(book: Write) -> None:
    prices = book(
        'currency = "EUR"\nusd_per_unit = "1.0816"\nfx_date = 2026-11-02\nfx_source = "ECB"\n'
        'input_mtok = "0.25"\noutput_mtok = "2"\nbatch_share = "0.5"'
    )
    quote = quoted(prices, call(input_tokens=1_000_000))
    assert quote.usd == Decimal("0.2704")
    assert quote.source.endswith("EUR at 1.0816 USD of 2026-11-02 (ECB)")
    assert usd(prices, output_tokens=1_000_000, processing="batch") == Decimal("1.0816")


def test_an_amount_is_rounded_once_half_even_to_a_picodollar(book: Write) -> None:
    prices = book('input_mtok = "0.1234565"\noutput_mtok = "0.1234555"')
    assert usd(prices, input_tokens=1) == Decimal("0.000000123456")
    assert usd(prices, output_tokens=1) == Decimal("0.000000123456")
    assert usd(prices, input_tokens=1, output_tokens=1) == Decimal("0.000000246912")


COUNTS = st.tuples(*[st.integers(0, 10**7)] * 4)
PRICES = st.decimals("0.0002", "10000", places=6)


@given(counts=COUNTS, input_price=PRICES, read=PRICES, write=PRICES, output=PRICES)
def test_the_price_is_the_sum_of_its_parts_and_twice_the_price_is_twice_the_amount(
    tmp_path_factory: pytest.TempPathFactory,
    counts: tuple[int, ...],
    input_price: Decimal,
    read: Decimal,
    write: Decimal,
    output: Decimal,
) -> None:
    def priced(factor: int) -> Decimal | None:
        names = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok")
        listed = zip(names, (input_price, read, write, output), strict=True)
        path = tmp_path_factory.getbasetemp() / "drawn.toml"
        path.write_text('[[price]]\nmodel = "m"\n' + "".join(f'{name} = "{factor * p / 2}"\n' for name, p in listed))
        uncached, cached, written, spoken = counts
        return usd(
            PriceBook.read(path),
            input_tokens=uncached + cached + written,
            cached_tokens=cached,
            cache_write_tokens=written,
            output_tokens=spoken,
        )

    uncached, cached, written, spoken = counts
    exact = (uncached * input_price + cached * read + written * write + spoken * output) / 1_000_000
    assert priced(2) == exact
    half = priced(1)
    assert half is not None
    assert abs(2 * half - exact) <= Decimal("1e-12")


# --- what cannot be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words", "hint"),
    [
        ({"input_tokens": 10, "cached_tokens": 11}, "10 input tokens, of which 11 read", "cached tokens are part"),
        (
            {"input_tokens": 10, "cached_tokens": 6, "cache_write_tokens": 5},
            "6 read from a cache and 5 written",
            "part",
        ),
        ({"input_tokens": -1}, "-1 input tokens", "0 or larger"),
        ({"input_tokens": 1, "cached_tokens": -1}, "-1 read", "0 or larger"),
        ({"input_tokens": 1, "cache_write_tokens": -1}, "-1 written", "0 or larger"),
        ({"output_tokens": -1}, "-1 output tokens", "0 or larger"),
        ({"output_tokens": 5, "reasoning_tokens": 6}, "6 reasoning tokens in 5", "part of the output"),
        ({"core_seconds": -0.1}, "-0.1 core seconds", "finite"),
        ({"gpu_seconds": float("nan")}, "nan GPU seconds", "finite"),
        ({"reported_usd": Decimal("-0.01")}, "reported cost -0.01", "None"),
        ({"reported_usd": Decimal("NaN")}, "reported cost NaN", "None"),
    ],
)
def test_counts_that_cannot_be_are_an_error(book: Write, fields: dict[str, Any], words: str, hint: str) -> None:
    asked = call(provider="acme", **fields)
    with pytest.raises(InputError, match=f"acme/m: .*{words}") as caught:
        book('input_mtok = "1"').quote(asked)
    assert hint in caught.value.hint
    with pytest.raises(InputError):
        check_call(replace(asked, replay=True))


FOREIGN = 'currency = "EUR"\nfx_date = 2026-11-02\nfx_source = "ECB"\ninput_mtok = "1"\n'


@pytest.mark.parametrize(
    ("entry", "field", "words", "hint"),
    [
        ("input_mtok = 0.25", "input_mtok", "0.25 is of type float", 'in quotes, for example "0.25"'),
        ("input_mtok = 2", "input_mtok", "2 is of type int", "in quotes"),
        ('input_mtok = "cheap"', "input_mtok", "'cheap' is not a decimal number", "write for example"),
        ('input_mtok = "-1"', "input_mtok", "'-1' is no price", "0 or larger"),
        ('input_mtok = "NaN"', "input_mtok", "'NaN' is no price", "finite"),
        ('input_mtok = "0.00000025"', "input_mtok", "0.00000025 is outside 0.0001 to 10000", "type one per token"),
        ('batch_output_mtok = "10000.1"', "batch_output_mtok", "10000.1 is outside", "per million"),
        ('per_core_hour = "700"', "per_core_hour", "700 is outside 0.0001 to 100", "one hour of one core"),
        ('per_gpu_hour = "2000"', "per_gpu_hour", "2000 is outside 0.001 to 1000", "one hour of one GPU"),
        ('per_request = "1000"', "per_request", "1000 is outside", "for one request"),
        ('input_mtok = "1"\nbatch_share = "1.5"', "batch_share", "1.5 is outside 0.01 to 1", '"0.5" is usual'),
        ('input_mtok = "1"\nbatch_share = "0"', "batch_share", "0 is outside 0.01 to 1", '"0.5" is usual'),
        ('input_mtok = "1"\nouput_mtok = "2"', "ouput_mtok", "unknown key", "output_mtok"),
        ('model = " "\ninput_mtok = "1"', "model", "missing", "exactly as the calls do"),
        ('model = 3\ninput_mtok = "1"', "model", "3 is of type int", "text in quotes"),
        ("", "free", "neither true nor a price above 0", "free = true"),
        ('input_mtok = "0"\noutput_mtok = "0.00"', "free", "neither true nor a price above 0", "costs nothing"),
        ("free = false", "free", "neither true nor a price above 0", "free = true"),
        ('free = true\ninput_mtok = "1"', "free", "true beside a price", "or free = true"),
        ('free = "yes"', "free", "'yes' is of type str", "true or false"),
        ('input_mtok = "1"\neffective_from = "2026-10-01"', "effective_from", "of type str", "without quotes"),
        ('input_mtok = "1"\neffective_from = 2026-10-01T00:00:00Z', "effective_from", "of type datetime", "2026-10-01"),
        ('input_mtok = "1"\neffective_from = 2026-10-02\neffective_to = 2026-10-01', "effective_to",
         "2026-10-01 is before 2026-10-02", "last day"),
        (FOREIGN, "usd_per_unit", "missing for EUR", "usd_per_unit, fx_date, fx_source"),
        ('currency = "EUR"\nusd_per_unit = "1.1"\ninput_mtok = "1"', "fx_date", "missing for EUR", "fx_source"),
        (f'{FOREIGN}usd_per_unit = "0"', "usd_per_unit", "0 is outside 0.000001 to 10", "other way round"),
        (f'{FOREIGN}usd_per_unit = "156"', "usd_per_unit", "156 is outside 0.000001 to 10", "other way round"),
        ('usd_per_unit = "1"\ninput_mtok = "1"', "usd_per_unit", "not for USD", "another currency"),
    ],
)  # fmt: skip
def test_an_entry_that_is_wrong_is_refused_with_file_number_field_and_what_to_do(
    book: Write, tmp_path: Path, entry: str, field: str, words: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        book('model = "right"\ninput_mtok = "1"', entry)
    assert str(caught.value).startswith(f"{tmp_path / 'prices.toml'}: price 2, {field}: ")
    assert words in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize("field", [name for name in LIMITS if name.endswith(("mtok", "hour", "request"))])
def test_every_price_is_bounded_at_both_ends_and_its_bounds_are_allowed(book: Write, field: str) -> None:
    low, high, _ = LIMITS[field]
    for allowed in (low, high):
        book(f'{field} = "{allowed}"')
    for refused in (low * Decimal("0.99"), high * Decimal("1.01")):
        with pytest.raises(ConfigError, match=f"price 1, {field}: "):
            book(f'{field} = "{refused}"')


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ("", "", True),
        ("effective_to = 2026-10-31", "effective_from = 2026-10-31", True),
        ("effective_from = 2026-01-01\neffective_to = 2026-12-31", "effective_from = 2026-05-01", True),
        ("effective_from = 2026-05-01", 'model = "M"\neffective_to = 2026-06-01', True),
        ("effective_from = 2026-11-01", "effective_to = 2026-10-31", False),
        ("", 'provider = "acme"', False),
        ("", 'model = "n"', False),
    ],
)
def test_two_prices_of_one_model_on_one_day_are_refused(book: Write, first: str, second: str, overlap: bool) -> None:
    entries = [f'{dates}\ninput_mtok = "1"' for dates in (first, second)]
    if not overlap:
        assert len(book(*entries).entries) in (1, 2)
        return
    with pytest.raises(ConfigError, match=r"price 2, effective_from: [mM] has another price then") as caught:
        book(*entries)
    assert "effective_to" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no [[price]] entries"),
        (b"price = []", "no [[price]] entries"),
        (b'price = ["gpt"]', "no [[price]] entries"),
        (b'[price]\nmodel = "m"', "no [[price]] entries"),
        (b'currency = "EUR"\n[[price]]\nmodel = "m"', "unknown key 'currency'"),
        (b"[[price]", "Expected"),
        (b"\xff", "utf-8"),
    ],
)
def test_a_file_that_is_no_book_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        PriceBook.read(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert caught.value.hint


def test_a_book_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: .*No such file") as caught:
        PriceBook.read(tmp_path / "none.toml")
    assert "TOML file" in caught.value.hint

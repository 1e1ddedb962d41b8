"""A usage to money, or to "unpriced"; never a silent zero.

Money is Decimal. Each amount is rounded once, when it is priced, to a millionth of a millionth of a dollar; sums of
amounts are then exact, and nothing is rounded again before it is shown.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext

from proofset.config import Model
from proofset.errors import ConfigError, InputError, UnpricedModel
from proofset.nouns.result import Usage, UsageBasis

PICODOLLAR = Decimal("1e-12")
"""The grid of amounts, in USD."""
PRECISION = 60
"""Significant digits of money arithmetic: room for any sum on that grid."""
LOWEST_PER_MILLION, HIGHEST_PER_MILLION = Decimal("0.0001"), Decimal("10000")
"""USD per million tokens; a price outside is taken for a slip of the unit."""
HIGHEST_PER_CORE_HOUR = Decimal("100")
"""USD per core-hour; a price above is taken for a price per month."""
IN_PROCESS = frozenset({"local", "scripted"})
"""Engines that run on this machine: their cost is imputed from processor seconds."""


def rounded(usd: Decimal) -> Decimal:
    """An amount in USD on the grid of money, half-even."""
    with localcontext(prec=PRECISION):
        return usd.quantize(PICODOLLAR, rounding=ROUND_HALF_EVEN)


def parse_price(text: str, *, field: str) -> Decimal:
    """A price out of a decimal string such as "0.25". Raises ConfigError for what is no number, or a negative one."""
    try:
        price = Decimal(text.strip())
    except InvalidOperation as error:
        raise ConfigError(f"{field}: {text!r} is not a decimal number", hint='write for example "0.25"') from error
    if not price.is_finite() or price < 0:
        raise ConfigError(f"{field}: {text!r} is no price", hint="a price is a finite number, 0 or larger")
    return price


def core_hour_price(usd_per_core_hour: str, core_seconds: float) -> Decimal:
    """USD for ``core_seconds`` (0 or more) of this machine at an imputed price; local work is never free."""
    price = parse_price(usd_per_core_hour, field="cost.usd_per_core_hour")
    if not 0 < price <= HIGHEST_PER_CORE_HOUR:
        raise ConfigError(
            f"cost.usd_per_core_hour: {price} is outside 0 to {HIGHEST_PER_CORE_HOUR}",
            hint="give the price of one core for one hour; power and depreciation are never nothing",
        )
    seconds = Decimal(repr(float(core_seconds)))
    if not seconds.is_finite() or seconds < 0:
        raise InputError(f"{core_seconds} core-seconds", hint="processor time is a finite number, 0 or larger")
    with localcontext(prec=PRECISION):
        return rounded(price * seconds / 3600)


def token_prices(model: Model) -> tuple[Decimal, Decimal] | None:
    """USD per million input and output tokens that the study gives; None when it gives neither.

    "0" is allowed, and means that somebody else pays. Raises ConfigError for one price without the other, and for a
    price outside LOWEST_PER_MILLION to HIGHEST_PER_MILLION: it was probably typed per token or per thousand.
    """
    given = {
        "usd_per_million_input": model.usd_per_million_input,
        "usd_per_million_output": model.usd_per_million_output,
    }
    missing = [field for field, text in given.items() if not text.strip()]
    if len(missing) == 2:
        return None
    if missing:
        raise ConfigError(f"synthesize.model.{missing[0]}: one price without the other", hint="give both, or neither")
    prices = [parse_price(text, field=f"synthesize.model.{field}") for field, text in given.items()]
    for field, price in zip(given, prices, strict=True):
        if price and not LOWEST_PER_MILLION <= price <= HIGHEST_PER_MILLION:
            raise ConfigError(
                f"synthesize.model.{field}: {price} USD per million tokens is outside "
                f"{LOWEST_PER_MILLION} to {HIGHEST_PER_MILLION}",
                hint="did you type a price per token? Prices here are per million tokens",
            )
    return prices[0], prices[1]


def token_price(model: Model, *, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> Decimal | None:
    """USD for one call to a model priced by tokens; None when the study names no price.

    ``input_tokens`` include ``cached_tokens``; no discount is known for those, so they are booked at the full price and
    the amount is an upper bound where the provider gives one.
    """
    if min(input_tokens, output_tokens, cached_tokens) < 0 or cached_tokens > input_tokens:
        raise InputError(
            f"{input_tokens} input tokens of which {cached_tokens} cached, {output_tokens} output tokens",
            hint="counts are 0 or larger, and cached tokens are part of the input",
        )
    if (prices := token_prices(model)) is None:
        return None
    with localcontext(prec=PRECISION):
        return rounded((prices[0] * input_tokens + prices[1] * output_tokens).scaleb(-6))


def check_priced(model: Model) -> None:
    """Raise UnpricedModel for an engine outside this process without prices, and ConfigError for impossible ones."""
    prices = token_prices(model)
    if prices is None and model.engine not in IN_PROCESS:
        raise UnpricedModel(
            f"engine {model.engine!r} ({model.model or model.base_url or 'no model named'}) has no price",
            hint="set synthesize.model.usd_per_million_input and usd_per_million_output, as decimal strings",
        )


def priced(usage: Usage, model: Model | None, *, usd_per_core_hour: str) -> Usage:
    """The usage with its money and where that comes from; a usage that already has an amount is returned as it is.

    ``model`` is None for work that no language model did. Work in this process is imputed from its processor seconds;
    a call elsewhere is booked at the study's token prices, or stays unpriced: ``usd`` None.
    """
    if usage.usd is not None or usage.basis is UsageBasis.REPLAY:
        return usage
    if model is None or model.engine in IN_PROCESS:
        return replace(usage, usd=core_hour_price(usd_per_core_hour, usage.core_seconds), basis=UsageBasis.IMPUTED)
    usd = token_price(
        model, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cached_tokens=usage.cached_tokens
    )
    return replace(usage, usd=usd, basis=UsageBasis.UNPRICED if usd is None else UsageBasis.OVERRIDE)

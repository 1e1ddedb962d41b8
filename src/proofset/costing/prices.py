"""A usage to money, or to "unpriced"; never a silent zero.

Money is Decimal. Each amount is rounded once, when it is priced, to a millionth of a millionth of a dollar; sums of
amounts are then exact, and nothing is rounded again before it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation, localcontext

from proofset.errors import ConfigError, InputError, UnpricedModel
from proofset.nouns.result import Usage, UsageBasis
from proofset.speakers import Model

PICODOLLAR = Decimal("1e-12")
"""The grid of amounts, in USD."""
PRECISION = 60
"""Significant digits of money arithmetic: room for any sum on that grid."""
LOWEST_PER_MILLION, HIGHEST_PER_MILLION = Decimal("0.0001"), Decimal("10000")
"""USD per million tokens; a price outside is taken for a slip of the unit."""
HIGHEST_PER_CORE_HOUR = Decimal("100")
"""USD per core-hour; a price above is taken for a price per month."""
IN_PROCESS = frozenset({"local", "openvino", "scripted"})
"""Engines that run on this machine: their cost is imputed from processor seconds."""
_MONEY = Context(prec=PRECISION, rounding=ROUND_HALF_EVEN)
"""For the one sum that is made at every call: entering a local context takes longer than the sum."""

Price = tuple[Decimal | None, UsageBasis]
"""An amount in USD, None where no price is known, and where it comes from."""


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


@dataclass(frozen=True, slots=True)
class Tariff:
    """USD per million tokens of one model."""

    input: Decimal
    cached: Decimal
    """Input read from the provider's cache; the full price where the study names no other, an upper bound."""
    output: Decimal
    batch_share: Decimal = Decimal("0.5")
    """What a call in a batch costs, as a share of the others."""

    def cost(self, usage: Usage) -> Decimal:
        """USD for one call. Raises InputError for counts that cannot be."""
        uncached = usage.input_tokens - usage.cached_tokens
        if min(usage.input_tokens, usage.output_tokens, usage.cached_tokens, uncached) < 0:
            raise InputError(
                f"{usage.input_tokens} input tokens of which {usage.cached_tokens} cached, "
                f"{usage.output_tokens} output tokens",
                hint="counts are 0 or larger, and cached tokens are part of the input",
            )
        times, plus = _MONEY.multiply, _MONEY.add
        usd = plus(times(self.input, uncached), times(self.cached, usage.cached_tokens))
        usd = plus(usd, times(self.output, usage.output_tokens))
        if usage.processing == "batch":
            usd = times(usd, self.batch_share)
        return _MONEY.quantize(usd.scaleb(-6, _MONEY), PICODOLLAR)


def tariff(model: Model, place: str = "synthesize.model") -> Tariff | None:
    """The prices that the study gives; None when it gives neither.

    "0" is allowed, and means that somebody else pays. Raises ConfigError for one price without the other, and for a
    price outside LOWEST_PER_MILLION to HIGHEST_PER_MILLION: it was probably typed per token or per thousand.
    """
    given = {
        "usd_per_million_input": model.usd_per_million_input,
        "usd_per_million_cached_input": model.usd_per_million_cached_input.strip() or model.usd_per_million_input,
        "usd_per_million_output": model.usd_per_million_output,
    }
    missing = [field for field, text in given.items() if not text.strip()]
    if len(missing) == 3:
        return None
    if missing:
        raise ConfigError(f"{place}.{missing[0]}: one price without the other", hint="give both, or neither")
    prices = [parse_price(text, field=f"{place}.{field}") for field, text in given.items()]
    for field, price in zip(given, prices, strict=True):
        if price and not LOWEST_PER_MILLION <= price <= HIGHEST_PER_MILLION:
            raise ConfigError(
                f"{place}.{field}: {price} USD per million tokens is outside "
                f"{LOWEST_PER_MILLION} to {HIGHEST_PER_MILLION}",
                hint="did you type a price per token? Prices here are per million tokens",
            )
    share = parse_price(model.batch_price_share, field=f"{place}.batch_price_share")
    if share > 1:
        raise ConfigError(f"{place}.batch_price_share: {share} is more than the whole price", hint='"0.5" is usual')
    full, cached, output = prices
    return Tariff(full, cached, output, share)


def check_priced(model: Model, place: str = "synthesize.model", *, elsewhere: bool = False) -> None:
    """Raise UnpricedModel for an engine outside this process without prices, and ConfigError for impossible ones.

    ``elsewhere`` says that a price book or a catalogue has its prices.
    """
    if tariff(model, place) is None and model.engine not in IN_PROCESS and not (elsewhere or model.allow_unpriced):
        raise UnpricedModel(
            f"engine {model.engine!r} ({model.model or model.base_url or 'no model named'}) has no price",
            hint=f"set {place}.usd_per_million_input and usd_per_million_output, as decimal strings; or name a price "
            "book or the catalogue under [cost]; or allow_unpriced = true, and read every total as a lower bound",
        )


def pricer(
    model: Model | None,
    *,
    usd_per_core_hour: str,
    place: str = "synthesize.model",
    elsewhere: tuple[Tariff | None, UsageBasis] = (None, UsageBasis.UNPRICED),
) -> Callable[[Usage], Price]:
    """A function that says what a usage costs; one that has an amount, or is a replay, keeps what it has.

    ``model`` is None for work that no language model did. Work in this process is imputed from its processor seconds;
    a call elsewhere is booked at the study's token prices, at the tariff that was found ``elsewhere`` for want of them,
    or stays unpriced.
    """
    local = model is None or model.engine in IN_PROCESS
    own = None if model is None or local else tariff(model, place)
    prices, basis = (own, UsageBasis.OVERRIDE) if own is not None else elsewhere

    def price(usage: Usage) -> Price:
        if usage.usd is not None or usage.basis is UsageBasis.REPLAY:
            return usage.usd, usage.basis
        if local:
            return core_hour_price(usd_per_core_hour, usage.core_seconds), UsageBasis.IMPUTED
        return (None, UsageBasis.UNPRICED) if prices is None else (prices.cost(usage), basis)

    return price

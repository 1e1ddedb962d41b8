"""Make or buy: an API, an own GPU, a small local model, a cache, or people; where one becomes cheaper than the other.

Money is Decimal in USD, and everything else that enters a price is Decimal too, so that the same inputs give the same
digits anywhere. "Never" is an answer: ``BreakEven.at`` is then None, and ``words`` say why.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext

from proofset.costing.prices import PRECISION, Tariff
from proofset.errors import InputError
from proofset.nouns.result import Usage

MILLION = Decimal(10**6)
SECONDS_AN_HOUR = Decimal(3600)
USUAL_OVERHEAD = Decimal("0.35")
"""What comes on top of a GPU's listed price, as a share of it: disks, network, idle starts (30 to 50 % are usual)."""


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From where on a choice pays; ``at`` is None where it never does, and ``words`` say why."""

    at: Decimal | None
    unit: str
    words: str

    @property
    def whole(self) -> int | None:
        """``at`` rounded up to a whole unit, the first one at which it pays."""
        return None if self.at is None else int(self.at.to_integral_value(rounding=ROUND_CEILING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A rented or owned GPU that serves a model. Raises InputError for what cannot be."""

    usd_per_hour: Decimal
    tokens_per_second: Decimal
    """Output tokens a second when busy, measured on the run's own prompts."""
    overhead: Decimal = USUAL_OVERHEAD
    """On top of the hourly price, as a share of it; 0 or larger."""

    def __post_init__(self) -> None:
        _positive(usd_per_hour=self.usd_per_hour, tokens_per_second=self.tokens_per_second)
        _not_negative(overhead=self.overhead)

    def usd_per_million(self, utilisation: Decimal) -> Decimal:
        """USD per million output tokens when it works for a share ``utilisation`` in (0, 1] of the hours paid."""
        if not 0 < utilisation <= 1:
            raise InputError(f"a utilisation of {utilisation}", hint="give the busy share of the hours, such as 0.7")
        with localcontext(prec=PRECISION):
            per_hour = self.tokens_per_second * utilisation * SECONDS_AN_HOUR
            return self.usd_per_hour * (1 + self.overhead) / per_hour * MILLION


def api_per_million(prices: Tariff, usage: Usage) -> Decimal:
    """All-in USD per million output tokens of an API: its output price, and the input that each output token needs.

    ``usage`` may be one call or the sum of many. Raises InputError without output tokens, or for impossible counts.
    """
    if usage.output_tokens <= 0:
        raise InputError(f"{usage.output_tokens} output tokens", hint="a price per output token needs some output")
    with localcontext(prec=PRECISION):
        return prices.cost(usage) / usage.output_tokens * MILLION


def break_even_volume(fixed_usd: Decimal, *, api: Decimal, own: Decimal) -> BreakEven:
    """Millions of output tokens from which an own server pays that costs ``fixed_usd`` before its first token.

    ``api`` and ``own`` are USD per million output tokens. Never, unless the own token is the cheaper one.
    """
    _not_negative(fixed_usd=fixed_usd, api=api, own=own)
    return _after(fixed_usd, api - own, unit="million output tokens", dear="an API token", cheap="an own token")


def people_break_even(setup_usd: Decimal, *, person: Decimal, record: Decimal) -> BreakEven:
    """Accepted records from which a set-up of ``setup_usd`` pays against people.

    ``person`` is what people take for one such record, ``record`` what ours costs, in USD.
    """
    _not_negative(setup_usd=setup_usd, person=person, record=record)
    return _after(setup_usd, person - record, unit="accepted records", dear="a person's record", cheap="our record")


def idle_threshold(gpu: Gpu, *, api: Decimal) -> BreakEven:
    """Share of the hours that the GPU must be busy for to be cheaper than ``api`` USD per million output tokens.

    Above 1 it never is.
    """
    _positive(api=api)
    with localcontext(prec=PRECISION):
        share = gpu.usd_per_million(Decimal(1)) / api
    if share > 1:
        return BreakEven(None, "share of the hours", "never: even a GPU that is always busy costs more than the API")
    return BreakEven(share, "share of the hours", f"busy {float(share):.1%} of the hours or more")


def small_model_yield(*, api_yield: Decimal, api_usd: Decimal, small_usd: Decimal, critic_usd: Decimal) -> BreakEven:
    """Share of a small model's candidates that must be accepted for it to be the cheaper one per accepted record.

    ``api_yield`` in (0, 1] is the large model's accepted share; the prices are USD per candidate, and the critic reads
    the candidates of either. Y > Y_api (c_small + c_critic) / (c_api + c_critic): a dear critic punishes low yields.
    """
    if not 0 < api_yield <= 1:
        raise InputError(f"a yield of {api_yield}", hint="a yield is the accepted share, above 0 and at most 1")
    _not_negative(api_usd=api_usd, small_usd=small_usd, critic_usd=critic_usd)
    _positive(api_and_critic_usd=api_usd + critic_usd)
    with localcontext(prec=PRECISION):
        share = api_yield * (small_usd + critic_usd) / (api_usd + critic_usd)
    if share > 1:
        return BreakEven(None, "accepted share", "never: it costs more even if every candidate were accepted")
    return BreakEven(share, "accepted share", f"it must yield more than {float(share):.1%}")


def cache_uses(*, write: Decimal, read: Decimal) -> BreakEven:
    """Uses of a shared prefix from which caching it pays; ``write`` and ``read`` as multiples of the input price.

    (κ_write − κ_read) / (1 − κ_read); the first use is the write. Never, where reading is not cheaper than sending.
    """
    _not_negative(write=write, read=read)
    if read >= 1:
        return BreakEven(None, "uses", "never: reading from the cache costs as much as sending it again")
    with localcontext(prec=PRECISION):
        uses = max(Decimal(0), (write - read) / (1 - read))
    found = BreakEven(uses, "uses", "")
    return BreakEven(uses, "uses", f"from use {max(1, found.whole or 0)} on")


def _after(fixed: Decimal, saved: Decimal, *, unit: str, dear: str, cheap: str) -> BreakEven:
    """Units after which ``fixed`` is earned back, at ``saved`` USD each."""
    if saved <= 0:
        return BreakEven(None, unit, f"never: {cheap} is not cheaper than {dear}")
    with localcontext(prec=PRECISION):
        at = fixed / saved
    return BreakEven(at, unit, f"from {at:,.0f} {unit} on")


def _positive(**amounts: Decimal) -> None:
    for name, amount in amounts.items():
        if not amount.is_finite() or amount <= 0:
            raise InputError(f"{name} is {amount}", hint="give a finite number above 0")


def _not_negative(**amounts: Decimal) -> None:
    for name, amount in amounts.items():
        if not amount.is_finite() or amount < 0:
            raise InputError(f"{name} is {amount}", hint="give a finite number, 0 or larger")

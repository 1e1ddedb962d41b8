"""The tariff of a study's model: the study's own prices, else the price book's, else the catalogue's, else none.

A tariff is found once, when the loop begins, so that each call is priced and bounded by the same numbers; what a book
or a catalogue has beyond prices of tokens (hours, requests, tiers by length) makes no tariff, and is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from proofset.costing.catalogue import PriceCatalogue, price_call
from proofset.costing.pricebook import TOKENS, Call, PriceBook
from proofset.costing.prices import IN_PROCESS, Tariff, tariff
from proofset.nouns.result import UsageBasis
from proofset.speakers import Model

ASKED = 1_000
"""Tokens of each kind in the call whose price is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a model's prices."""

    tariff: Tariff | None = None
    basis: UsageBasis = UsageBasis.UNPRICED
    source: str = ""
    """In words: whose prices they are, of which entry or version and date."""
    warnings: tuple[str, ...] = ()


def known(
    model: Model, place: str, *, provider: str, book: PriceBook | None, catalogue: PriceCatalogue | None, at: datetime
) -> Known:
    """The prices of ``model`` at the time ``at``; ``provider`` is its server's, as a catalogue names it, or "local".

    Raises ConfigError for prices in the study that cannot be.
    """
    if (own := tariff(model, place)) is not None:
        return Known(tariff=own, basis=UsageBasis.OVERRIDE, source=f"{model.model}: the study's prices")
    if model.engine in IN_PROCESS:
        return Known(basis=UsageBasis.IMPUTED)
    call = Call(
        provider=provider, model=model.model, at=at, input_tokens=2 * ASKED, cached_tokens=ASKED, output_tokens=ASKED
    )
    quote = price_call(call, book, catalogue)
    prices = dict(quote.unit_prices)
    if quote.usd is None or not {"input_mtok", "output_mtok"} <= set(prices):
        return Known(source=quote.source, warnings=quote.warnings)
    if other := sorted(set(prices) - set(TOKENS)):
        told = f"{call.label}: {', '.join(other)} cannot be part of a tariff; write prices of tokens into the study"
        return Known(source=quote.source, warnings=(*quote.warnings, told))
    share = _batch_share(call, book, catalogue)
    made = Tariff(
        prices["input_mtok"], prices.get("cache_read_mtok", prices["input_mtok"]), prices["output_mtok"], share
    )
    return Known(tariff=made, basis=quote.basis, source=f"{quote.resolved}: {quote.source}", warnings=quote.warnings)


def _batch_share(call: Call, book: PriceBook | None, catalogue: PriceCatalogue | None) -> Decimal:
    """What a call in a batch costs at most, as a share of the others; 1 where no price of batches is known."""
    shares = []
    for tokens_in, cached, tokens_out in ((ASKED, 0, 0), (ASKED, ASKED, 0), (0, 0, ASKED)):
        alone = replace(call, input_tokens=tokens_in, cached_tokens=cached, output_tokens=tokens_out)
        whole, batch = (
            price_call(replace(alone, processing=processing), book, catalogue).usd for processing in ("", "batch")
        )
        shares.append(batch / whole if whole and batch is not None else Decimal(1))
    return min(Decimal(1), max(shares))

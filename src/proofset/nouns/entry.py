"""A row of the cost ledger, and what became of what it paid for: two tables, so that neither rewrites the other."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from proofset.nouns.result import UsageBasis


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One attempt at a call, whatever became of it. Counts and seconds are 0 or more, save in an adjustment.

    Input *includes* what was read from and written to a cache; output *includes* reasoning.
    """

    seq: int
    """Place in its ledger, from 1."""
    at: str
    """When the attempt ended and was booked: ISO 8601, UTC, such as "2026-11-25T14:40:00Z"."""
    run: str = ""
    stage: str
    slice: str = ""
    record: str = ""
    """The brief or the record on which it was spent; empty for what no single one caused."""
    attempt: str
    """Unique within the run."""
    retry_of: str = ""
    """The attempt that this one repeats."""
    provider: str = ""
    model: str
    processing: str = ""
    """"batch" for a call at the price of batches; empty for the standard one."""
    input_tokens: int = 0
    cached_tokens: int = 0
    """Input read from the provider's cache."""
    cache_write_tokens: int = 0
    """Input that the provider wrote to its cache."""
    output_tokens: int = 0
    reasoning_tokens: int = 0
    """Output that was thought and not said."""
    core_seconds: float = 0.0
    """Processor seconds on this machine; 0 for a remote model."""
    seconds: float = 0.0
    """From sending the request to having the reply."""
    outcome: str = "ok"
    """What became of the attempt: "ok", or what went wrong in two or three words."""
    usd: Decimal | None = None
    """None means that no price is known, never that it was free."""
    basis: UsageBasis = UsageBasis.UNPRICED
    unit_prices: str = ""
    """In words: the prices per unit that were used."""
    avoided_usd: Decimal | None = None
    """What a reply out of the store would have cost anew; None for a reply that was paid for now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of a record. A later verdict is another row here, and changes no row of the ledger."""

    record: str
    fate: str
    """"accepted", or why it was not kept."""
    bytes: int = 0
    """UTF-8 bytes, after NFC, of the text that was accepted; 0 for what was not."""

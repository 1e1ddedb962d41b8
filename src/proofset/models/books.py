"""What is kept of a call, written down of it, and set aside for it: the company that a metered model keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from proofset.models.purse import Amount
from proofset.nouns.result import Usage, UsageBasis
from proofset.plugins import Request

TOKENS_A_MESSAGE = 16
"""More tokens than any chat template puts round a message."""
TOKENS_A_CALL = 128
"""More tokens than a call has round its messages: a template's own system prompt, ours for a prompt sent as a chat."""

Bound = Callable[[Request], Amount]
"""The most that one call can cost."""


class Kept(Protocol):
    """A reply out of the store."""

    @property
    def body(self) -> bytes:
        """The raw answer."""
        ...

    @property
    def usd(self) -> Decimal | None:
        """What it cost when it was paid for."""
        ...


class Store(Protocol):
    """Where replies are kept."""

    def get(self, key: bytes) -> Kept | None:
        """The reply kept under ``key``."""
        ...

    def put(self, key: bytes, speaker: str, body: bytes, usd: Decimal | None) -> None:
        """Keep a reply."""
        ...

    def used(self, speaker: str, usd: Decimal) -> None:
        """Count a reply that was used again, and what it saved."""
        ...

    def forget(self, key: bytes) -> None:
        """Throw a reply away that is of no use."""
        ...


@dataclass(kw_only=True, eq=False)
class Books:
    """Where what happens is written down: priced, logged, told."""

    price: Callable[[Usage], tuple[Decimal | None, UsageBasis]]
    """Says what a usage costs, and where that amount comes from."""
    spent: Callable[[Usage], None]
    """Logs one attempt."""
    paused: Callable[[str, float, str], None]
    """Tells that a model is left alone: its name, for how many seconds, and why."""


def token_bound(usd_per_million_input: Decimal, usd_per_million_output: Decimal) -> Bound:
    """The most that a call can cost at these prices: no tokenizer makes more tokens than there are bytes."""

    def bound(request: Request) -> Amount:
        tokens_in = text_bytes(request) + TOKENS_A_CALL + TOKENS_A_MESSAGE * len(request.messages)
        tokens_out = request.max_tokens * request.n
        usd = (usd_per_million_input * tokens_in + usd_per_million_output * tokens_out) / 1_000_000
        return Amount(usd, tokens_in + tokens_out, 1)

    return bound


def text_bytes(request: Request) -> int:
    """UTF-8 bytes of all that a request says."""
    said = sum(len(text.encode("utf-8", "replace")) for text in (request.prompt, request.schema))
    return said + sum(len(message.content.encode("utf-8", "replace")) for message in request.messages)

"""No call costs more than its bound: what is sent is counted in bytes, and no token is shorter."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from proofset.models.books import token_bound
from proofset.models.chat import CONTINUE
from proofset.nouns.record import Message
from proofset.plugins import Request


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.integers(1, 9), st.integers(1, 3))
def test_the_bound_is_never_below_the_bytes(prompt: str, said: str, schema: str, tokens: int, n: int) -> None:
    request = Request(
        prompt=prompt, messages=(Message("user", said),), schema=schema, max_tokens=tokens, n=n, temperature=0
    )
    sent = sum(len(text.encode()) for text in (prompt, said, schema))
    bound = token_bound(Decimal(1_000_000), Decimal(2_000_000))(request)
    assert bound.requests == 1
    assert bound.tokens >= sent + tokens * n
    assert bound.usd >= sent + 2 * tokens * n
    assert token_bound(Decimal(0), Decimal(0))(request).usd == 0
    for name in ("prompt", "schema"):  # letters of three bytes: more than the room round a message could hide
        longer = replace(request, **{name: getattr(request, name) + 1000 * "一"})
        assert token_bound(Decimal(0), Decimal(0))(longer).tokens == bound.tokens + 3000


def test_the_bound_has_room_for_what_is_sent_round_a_short_prompt() -> None:
    short = token_bound(Decimal(0), Decimal(0))(Request(prompt="a", max_tokens=1, temperature=0))
    assert short.tokens >= len(CONTINUE.encode()) + 2

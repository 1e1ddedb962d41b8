"""A row of the ledger knows no price until it is given one, and is never changed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from proofset.nouns.entry import Entry, Fate
from proofset.nouns.result import UsageBasis


def test_an_entry_without_a_price_is_unpriced_and_not_free() -> None:
    entry = Entry(seq=1, at="2026-11-25T00:00:00Z", stage="generation", attempt="a", model="m")
    assert (entry.usd, entry.basis, entry.avoided_usd) == (None, UsageBasis.UNPRICED, None)
    assert (entry.outcome, entry.input_tokens, entry.core_seconds) == ("ok", 0, 0.0)


def test_neither_an_entry_nor_a_fate_can_be_changed() -> None:
    entry = Entry(seq=1, at="", stage="s", attempt="a", model="m")
    with pytest.raises(FrozenInstanceError):
        entry.usd = None  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Fate(record="r", fate="accepted").fate = "refused"  # type: ignore[misc]

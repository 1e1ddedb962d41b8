"""Whose prices a model's are: the study's before the book's, the book's before the catalogue's, and none is not $0."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from proofset.costing.catalogue import Catalogue
from proofset.costing.pricebook import PriceBook
from proofset.costing.prices import Tariff, check_priced, pricer
from proofset.costing.tariffs import Known, known
from proofset.errors import UnpricedModel
from proofset.nouns.result import Usage, UsageBasis
from proofset.speakers import Model

NOW = datetime(2026, 11, 25, tzinfo=UTC)
HOSTED = Model(engine="chat", base_url="https://api.openai.com/v1", model="gpt-5-mini")
PRICED = HOSTED.model_copy(update={"usd_per_million_input": "9", "usd_per_million_output": "9"})
BOOK = """
[[price]]
model = "gpt-5-mini"
input_mtok = "0.20"
output_mtok = "1.60"
batch_share = "0.4"
source = "contract 2026-Q4"
"""


def found(model: Model, tmp_path: Path, book: str = "", *, listed: bool = True, provider: str = "openai") -> Known:
    path = tmp_path / "prices.toml"
    path.write_text(book, encoding="utf-8")
    read = PriceBook.read(path) if book else None
    return known(model, "m", provider=provider, book=read, catalogue=Catalogue() if listed else None, at=NOW)


def test_the_studys_own_prices_win_then_the_book_then_the_catalogue(tmp_path: Path) -> None:
    own = found(PRICED, tmp_path, BOOK)
    assert own.basis is UsageBasis.OVERRIDE and own.tariff is not None and own.tariff.input == 9
    book = found(HOSTED, tmp_path, BOOK)
    assert book.basis is UsageBasis.OVERRIDE
    assert book.tariff == Tariff(Decimal("0.20"), Decimal("0.20"), Decimal("1.60"), Decimal("0.4"))
    assert "contract 2026-Q4" in book.source
    listed = found(HOSTED, tmp_path)
    assert listed.basis is UsageBasis.CATALOGUE and "genai-prices" in listed.source
    assert listed.tariff == Tariff(Decimal("0.25"), Decimal("0.025"), Decimal("2"), Decimal("0.5"))


def test_what_nobody_knows_has_no_tariff_and_says_why(tmp_path: Path) -> None:
    for nothing in (found(HOSTED, tmp_path, listed=False), found(HOSTED, tmp_path, provider="local")):
        assert nothing.tariff is None and nothing.basis is UsageBasis.UNPRICED and nothing.warnings
    own = found(Model(engine="local"), tmp_path, BOOK)
    assert own.tariff is None and own.basis is UsageBasis.IMPUTED


def test_what_is_paid_by_the_hour_is_no_tariff(tmp_path: Path) -> None:
    hourly = BOOK + 'per_request = "0.01"\n'
    nothing = found(HOSTED, tmp_path, hourly)
    assert nothing.tariff is None and any("cannot be part of a tariff" in words for words in nothing.warnings)


def test_a_call_is_priced_at_what_was_found_elsewhere(tmp_path: Path) -> None:
    listed = found(HOSTED, tmp_path)
    with pytest.raises(UnpricedModel, match="no price"):
        check_priced(HOSTED)
    check_priced(HOSTED, elsewhere=True)
    price = pricer(HOSTED, usd_per_core_hour="0.05", elsewhere=(listed.tariff, listed.basis))
    usage = Usage(model="m", stage="s", input_tokens=1200, cached_tokens=800, output_tokens=350)
    assert price(usage) == (Decimal("0.00082"), UsageBasis.CATALOGUE)  # the worked example of the catalogue
    mine = pricer(PRICED, usd_per_core_hour="0.05", elsewhere=(listed.tariff, listed.basis))
    assert mine(usage) == (Decimal("0.01395"), UsageBasis.OVERRIDE)

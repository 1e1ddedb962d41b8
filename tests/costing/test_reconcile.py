"""The invoice is compared by model and day; what cannot be compared is never called reconciled."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proofset.costing.columns import as_table
from proofset.costing.reconcile import Variance, reconcile
from proofset.costing.tally import Sum, tally
from proofset.errors import RecordError
from proofset.nouns.entry import Entry
from proofset.nouns.result import UsageBasis


def lines(*rows: tuple[str, str, str | None]) -> tuple[Sum, ...]:
    """The sums of calls of (model, day, usd)."""
    made = [
        Entry(
            seq=at,
            at=f"{day}T00:00:00Z",
            stage="s",
            attempt=str(at),
            model=model,
            usd=None if usd is None else Decimal(usd),
            basis=UsageBasis.UNPRICED if usd is None else UsageBasis.CATALOGUE,
        )
        for at, (model, day, usd) in enumerate(rows)
    ]
    return tally(as_table(made)).by_model_day


def compared(tmp_path: Path, invoice: str, *rows: tuple[str, str, str | None]) -> list[Variance]:
    (tmp_path / "invoice.csv").write_text("model,day,usd\n" + invoice)
    return reconcile(lines(*rows), tmp_path / "invoice.csv")


DAY = "2026-11-25"


@pytest.mark.parametrize(
    ("ledger", "invoice", "usd", "percent", "within"),
    [
        ("1.02", "1.00", "0.02", 2.0, True),
        ("0.98", "1.00", "-0.02", -2.0, True),
        ("1.020000000001", "1.00", "0.020000000001", 2.0000000001, False),
        ("0.97", "1.00", "-0.03", -3.0, False),
        ("0", "0", "0", 0.0, True),
        ("1", "0", "1", None, False),
    ],
)
def test_a_variance_of_two_per_cent_is_within_and_a_picodollar_more_is_not(
    tmp_path: Path, ledger: str, invoice: str, usd: str, percent: float | None, within: bool
) -> None:
    (found,) = compared(tmp_path, f"m,{DAY},{invoice}\n", ("m", DAY, ledger))
    assert (found.model, found.day, found.usd, found.within) == ("m", DAY, Decimal(usd), within)
    assert found.percent == (None if percent is None else pytest.approx(percent, abs=1e-9))


def test_rows_of_one_model_and_day_are_added_up_credits_too(tmp_path: Path) -> None:
    (found,) = compared(tmp_path, f"m,{DAY},1.5\nm,20261125,1\nm,{DAY},-0.5\n", ("m", DAY, "1.2"), ("m", DAY, "0.8"))
    assert (found.ledger_usd, found.invoice_usd, found.usd, found.within) == (Decimal(2), Decimal(2), Decimal(0), True)


def test_what_is_on_one_side_only_is_listed_and_not_reconciled(tmp_path: Path) -> None:
    found = compared(tmp_path, f"m,{DAY},1\nn,2026-11-24,0\n", ("m", "2026-11-26", "1"))
    assert [(row.model, row.day, row.ledger_usd, row.invoice_usd) for row in found] == [
        ("n", "2026-11-24", None, Decimal(0)),
        ("m", DAY, None, Decimal(1)),
        ("m", "2026-11-26", Decimal(1), None),
    ]
    assert {(row.usd, row.percent, row.within) for row in found} == {(None, None, False)}


def test_a_day_with_unpriced_calls_is_never_within(tmp_path: Path) -> None:
    (some,) = compared(tmp_path, f"m,{DAY},1\n", ("m", DAY, "1"), ("m", DAY, None))
    assert (some.ledger_usd, some.unpriced, some.usd, some.within) == (Decimal(1), 1, Decimal(0), False)
    (none,) = compared(tmp_path, f"m,{DAY},1\n", ("m", DAY, None))
    assert (none.ledger_usd, none.unpriced, none.usd, none.within) == (None, 1, None, False)


@pytest.mark.parametrize(
    ("invoice", "line", "field", "words"),
    [
        (f"m,{DAY},1\nm,{DAY},free\n", 3, "usd", "'free' is no usd"),
        (f"m,{DAY},nan\n", 2, "usd", "'nan' is no usd"),
        (f"m,{DAY},1e15\n", 2, "usd", "'1e15' is no usd"),
        ("m,25.11.2026,1\n", 2, "day", "'25.11.2026' is no day"),
        (f",{DAY},1\n", 2, "model", "'' is no model"),
        ("m\n", 2, "day", "'' is no day"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path: Path, invoice: str, line: int, field: str, words: str) -> None:
    with pytest.raises(RecordError) as caught:
        compared(tmp_path, invoice)
    assert (caught.value.path, caught.value.line, caught.value.field) == (str(tmp_path / "invoice.csv"), line, field)
    assert words in str(caught.value)


def test_an_invoice_without_its_columns_or_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("model,date,usd\n")
    with pytest.raises(RecordError, match="no such column") as caught:
        reconcile((), tmp_path / "x.csv")
    assert caught.value.field == "day"
    with pytest.raises(RecordError, match="cannot be read"):
        reconcile((), tmp_path / "none.csv")


def test_an_amount_finer_than_a_picodollar_is_rounded(tmp_path: Path) -> None:
    told: Any = compared(tmp_path, f"m,{DAY},0.0000000000014\n")[0].invoice_usd
    assert told == Decimal("1e-12")

"""The ledger against the provider's invoice, by model and day."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, Inexact, InvalidOperation, localcontext
from pathlib import Path

from proofset.costing.columns import LARGEST
from proofset.costing.ledger import EXACT_DIGITS
from proofset.costing.prices import rounded
from proofset.costing.tally import Sum
from proofset.errors import RecordError

TARGET_PERCENT = Decimal(2)
"""Largest variance, to either side, of a model-day that counts as reconciled."""
_COLUMNS = ("model", "day", "usd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """One model and day, in the ledger and on the invoice."""

    model: str
    day: str
    """UTC, such as "2026-11-25"."""
    ledger_usd: Decimal | None
    """None when the ledger has no call of that model on that day, or none with a price."""
    invoice_usd: Decimal | None
    """None when the invoice has no such row."""
    unpriced: int
    """Calls in the ledger without a known price: its amount is then "at least"."""
    usd: Decimal | None
    """Ledger less invoice; None when one side is not known."""
    percent: float | None
    """The same in per cent of the invoice; None when a side is not known, or the invoice says 0 and the ledger not."""
    within: bool
    """Whether both sides are known, every call has a price, and the variance is at most ``TARGET_PERCENT``."""


def reconcile(by_model_day: Iterable[Sum], invoice: Path) -> list[Variance]:
    """Compare sums by model and day with an invoice: a CSV file with the columns model, day and usd.

    Rows of the invoice for the same model and day are added up; credits are negative. What is on one side only is
    listed too. By day, then model. Raises RecordError with file, line and field for an invoice that cannot be read.
    """
    rows = list(_rows(invoice))
    with localcontext(prec=EXACT_DIGITS) as context:
        context.traps[Inexact] = True
        billed: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for key, usd in rows:
            billed[key] += usd
        booked = {(line.name, line.day): line for line in by_model_day}
        keys = sorted({*billed, *booked}, key=lambda key: (key[1], key[0]))
        return [_variance(key, booked.get(key), billed.get(key)) for key in keys]


def _variance(key: tuple[str, str], line: Sum | None, invoice: Decimal | None) -> Variance:
    ledger = line.usd if line is not None and line.calls > line.unpriced else None
    unpriced = line.unpriced if line is not None else 0
    usd, percent, within = None, None, False
    if ledger is not None and invoice is not None:
        usd = ledger - invoice
        within = not unpriced and abs(usd) * 100 <= TARGET_PERCENT * abs(invoice)
        if invoice or not usd:
            percent = float(usd) / abs(float(invoice)) * 100 if usd else 0.0
    return Variance(
        model=key[0],
        day=key[1],
        ledger_usd=ledger,
        invoice_usd=invoice,
        unpriced=unpriced,
        usd=usd,
        percent=percent,
        within=within,
    )


def _rows(path: Path) -> Iterator[tuple[tuple[str, str], Decimal]]:
    """(model, day) and amount of each row of the invoice."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
                hint = f"the first line names the columns {', '.join(_COLUMNS)}"
                raise RecordError("the invoice has no such column", path=path, line=1, field=missing[0], hint=hint)
            for row in reader:
                yield _row(path, reader.line_num, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordError(f"cannot be read: {error}", path=path, hint="give the invoice as CSV in UTF-8") from error


def _row(path: Path, line: int, row: dict[str, str]) -> tuple[tuple[str, str], Decimal]:
    model, day, text = ((row[name] or "").strip() for name in _COLUMNS)
    if not model:
        raise _unreadable(path, line, "model", model)
    try:
        plain = date.fromisoformat(day).isoformat()
    except ValueError as error:
        raise _unreadable(path, line, "day", day) from error
    try:
        usd = Decimal(text)
    except InvalidOperation as error:
        raise _unreadable(path, line, "usd", text) from error
    if not usd.is_finite() or abs(usd) >= LARGEST:
        raise _unreadable(path, line, "usd", text)
    return (model, plain), rounded(usd)


def _unreadable(path: Path, line: int, field: str, text: str) -> RecordError:
    hint = "a row is, for example: gpt-5-mini,2026-11-25,12.34"
    return RecordError(f"{text!r} is no {field}", path=path, line=line, field=field, hint=hint)

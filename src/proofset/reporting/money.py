"""What the terminal shows about money: an estimate before anything is paid, and what a ledger adds up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from proofset.costing.estimate import Estimate, Span
from proofset.costing.tally import Sum, Tally
from proofset.reporting.terminal import table
from proofset.reporting.words import DASH, count, line, money, percent

if TYPE_CHECKING:
    from rich.console import RenderableType


def estimate_view(found: Estimate) -> RenderableType:
    """Calls, tokens and dollars of each model, least to most, and under them what they rest on."""
    from rich.console import Group
    from rich.text import Text

    rows = table(f"To make {found.wanted:,} accepted records", "", "least", "likely", "most")
    for each in found.lines:
        rows.add_row(Text(line(f"{each.stage}: {each.model}", 44), style="bold"), "", "", "")
        for name, span, show in (
            ("  calls", each.calls, _count), ("  input tokens", each.input_tokens, _count),
            ("  output tokens", each.output_tokens, _count), ("  cost", each.usd, money),
        ):  # fmt: skip
            rows.add_row(Text(name), *_cells(span, show))
    if found.complete and len(found.lines) > 1:
        rows.add_row(Text("in all", style="bold"), *_cells(found.usd, money))
    elif not found.complete and any(each.usd is not None for each in found.lines):
        rows.add_row(Text("at least", style="bold red"), *_cells(found.usd, money))
    told = [Text(f"· {line(words)}", style="dim") for words in found.assumptions]
    return Group(rows, Text(""), *told)


def _cells(span: Span | None, show: Callable[[Decimal], str]) -> list[str]:
    return [DASH] * 3 if span is None else [show(span.least), show(span.likely), show(span.most)]


def _count(value: Decimal) -> str:
    return count(int(value))


MOST_LINES = 8
"""Lines of one statement that are shown; the dearest come first."""
STATEMENTS = ("stage", "slice", "fate", "model_day", "basis", "outcome")
"""The ways in which a ledger is added up."""


def ledger_view(found: Tally, told: dict[str, Any], noticed: Sequence[str]) -> RenderableType:
    """The sums of a ledger with what was checked, compared and noticed on the way."""
    from rich.console import Group
    from rich.text import Text

    least = "" if found.complete else "at least "
    head = [
        Text(f"{count(found.total.calls)} calls cost {least}{money(found.total.usd)}", style="bold"),
        Text(
            f"{count(found.accepted)} accepted records, {count(found.accepted_bytes)} bytes: "
            f"{least}{money(found.usd_per_accepted)} a record, {least}{money(found.usd_per_gb)} a GB, "
            f"{least}{money(found.usd_per_tb)} a TB at this ledger's ratio (no projection)"
        ),
    ]
    if found.total.unpriced:
        head.append(Text(f"{count(found.total.unpriced)} calls have no known price and are in no amount", style="red"))
    if found.replays:
        head.append(Text(f"{count(found.replays)} replies came out of the store; anew {money(found.avoided_usd)}"))
    if found.wasted_share is not None:
        head.append(Text(f"{percent(found.wasted_share)} went into candidates that nobody kept"))
    if "verified" in told:
        sealed = told["verified"]
        words = f"verified: {count(sealed['rows'])} lines of money are as they were written; last seal {sealed['last']}"
        older = f"; {count(sealed['unsealed'])} are of before lines were sealed" if sealed["unsealed"] else ""
        head.append(Text(words + older, style="green"))
    tables = [_statement(name, getattr(found, f"by_{name}")) for name in STATEMENTS]
    if "variances" in told:
        tables.insert(0, _variances(told["variances"]))
    if "written" in told:
        head.append(Text(f"written: {told['written']}"))
    return Group(*head, Text(""), *tables, *(Text(f"· {line(words)}", style="dim") for words in noticed))


def plain(found: Any) -> Any:
    """A result as plain values: money as exact decimal strings, None for what is not known."""
    if isinstance(found, Tally):
        more = ("complete", "usd_per_accepted", "usd_per_gb", "usd_per_tb", "usd_per_tib", "wasted_share")
        return {**plain(asdict(found)), **{name: plain(getattr(found, name)) for name in more}}
    if is_dataclass(found) and not isinstance(found, type):
        return plain(asdict(found))
    if isinstance(found, dict):
        return {name: plain(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(value) for value in found]
    return format(found, "f") if isinstance(found, Decimal) else found


def _statement(name: str, sums: Sequence[Sum]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    rows = table(f"By {name.replace('_', ' and ')}", "", "cost", "calls", "tokens in", "tokens out")
    for each in sums[:MOST_LINES]:
        amount = f"≥ {money(each.usd)}" if each.unpriced else money(each.usd)
        label = f"{each.day} {each.name}" if each.day else each.name
        rows.add_row(
            Text(line(label, 40)), amount, count(each.calls), count(each.input_tokens), count(each.output_tokens)
        )
    more = len(sums) - MOST_LINES
    return Group(rows, Text(f"… and {more} more\n" if more > 0 else "", style="dim"))


def _variances(variances: Sequence[dict[str, Any]]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    rows = table("Against the invoice", "", "ledger", "invoice", "variance", "%")
    for each in variances:
        cells = [
            money(None if each[name] is None else Decimal(each[name])) for name in ("ledger_usd", "invoice_usd", "usd")
        ]
        share = DASH if each["percent"] is None else f"{each['percent']:+.2f}"
        rows.add_row(
            Text(line(f"{each['day']} {each['model']}", 40)), *cells, Text(share, style="" if each["within"] else "red")
        )
    return Group(rows, Text(""))

"""What the terminal shows of money: nothing unknown is shown as $0, and a lower bound says that it is one."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

from rich.console import Console, RenderableType

from proofset.costing.columns import as_table
from proofset.costing.estimate import Asked, Habit, Need, estimate
from proofset.costing.prices import Tariff
from proofset.costing.tally import tally
from proofset.nouns.entry import Entry, Fate
from proofset.nouns.result import UsageBasis
from proofset.reporting.money import MOST_LINES, estimate_view, ledger_view, plain

NEED = Need(slice="s", wanted=100, most_briefs=400, prompt_bytes=900.0)
PRICED = Asked(name="m", stage="generate", tariff=Tariff(Decimal(1), Decimal(1), Decimal(10)), max_tokens=60)
LOCAL = Asked(name="small", stage="critic", tariff=None, max_tokens=60)


def shown(view: RenderableType, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def entry(number: int, usd: str | None, **more: Any) -> Entry:
    amount = None if usd is None else Decimal(usd)
    basis = UsageBasis.UNPRICED if usd is None else UsageBasis.OVERRIDE
    told: dict[str, Any] = {"stage": "generate", "model": "m", "record": f"b{number}"} | more
    return Entry(seq=number, at="2026-11-25T10:00:00Z", attempt=str(number), usd=amount, basis=basis, **told)


def test_an_estimate_shows_what_is_known_and_says_where_it_is_a_lower_bound() -> None:
    text = shown(estimate_view(estimate([NEED], [PRICED, LOCAL])))
    assert "To make 100 accepted records" in text and "at least" in text and "in all" not in text
    assert "small: no price" in text
    assert "in all" in shown(estimate_view(estimate([NEED], [PRICED, PRICED])))
    alone = shown(estimate_view(estimate([NEED], [LOCAL])))
    assert "$" not in alone and "at least" not in alone  # nothing is known, and nothing is not $0
    free = shown(estimate_view(estimate([NEED], [Asked(
        name="small", stage="generate", tariff=None, max_tokens=60, habit=Habit(usd_a_call=Decimal("0.001"))
    )])))  # fmt: skip
    assert "$0.20" in free


def test_a_ledger_shows_its_sums_and_what_is_in_none_of_them() -> None:
    rows = [entry(n, "0.5", slice=f"slice {n}") for n in range(12)] + [entry(12, None, model="mystery")]
    found = tally(
        as_table(rows, [Fate(record="b0", fate="accepted", bytes=1000), Fate(record="b1", fate="refused: x")])
    )
    text = shown(ledger_view(found, {}, ["no price for mystery"]))
    assert "13 calls cost at least $6.00" in text and "1 calls have no known price" in text
    assert "≥" in text and "no price for mystery" in text
    assert f"… and {13 - MOST_LINES} more" in text
    told = {
        "verified": {"rows": 3, "unsealed": 1, "last": "ab12"}, "written": "rows.csv",
        "variances": [{"model": "m", "day": "2026-11-25", "ledger_usd": "6", "invoice_usd": "7", "usd": "-1",
                       "percent": -14.3, "within": False, "unpriced": 0},
                      {"model": "only there", "day": "2026-11-25", "ledger_usd": None, "invoice_usd": "7", "usd": None,
                       "percent": None, "within": False, "unpriced": 0}],
    }  # fmt: skip
    text = shown(ledger_view(found, told, []))
    assert "verified: 3 lines" in text and "1 are of before" in text and "written: rows.csv" in text
    assert "-14.30" in text and "only there" in text


def test_plain_values_keep_every_digit() -> None:
    found = plain(tally(as_table([entry(1, "0.000000000001")], [Fate(record="b1", fate="accepted", bytes=3)])))
    assert found["total"]["usd"] == found["usd_per_accepted"] == "0.000000000001"
    assert found["complete"] is True and found["by_stage"][0]["name"] == "generate"


def test_names_in_a_ledger_cannot_style_the_terminal() -> None:
    found = tally(as_table([entry(1, "1", stage="[bold red]x[/]\x1b[31m")]))
    text = shown(ledger_view(found, {}, []))
    assert "[bold red]x[/]" in text and "\x1b" not in text

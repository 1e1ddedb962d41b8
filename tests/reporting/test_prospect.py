"""A forecast is shown with its spread, its distance and its kind; what cannot be had has no price."""

from __future__ import annotations

import io
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console

from proofset.costing.clusters import CostPerTB
from proofset.costing.humans import BASELINES, Ratio
from proofset.costing.projection import Driver, Forecast, NotReachable, Reach
from proofset.costing.targets import Target
from proofset.reporting.prospect import prospect_view

PER_TB = CostPerTB(Decimal(2_000_000), Decimal(1_000_000), Decimal(4_000_000), 0.95, 40, "a bootstrap")
PEOPLE = (Ratio(BASELINES[0], Decimal(683)), Ratio(BASELINES[3], None))


@dataclass(frozen=True)
class Found:
    """What is shown."""

    forecasts: tuple[tuple[Target, Forecast | NotReachable], ...]
    accepted: int = 100
    accepted_bytes: int = 12_345
    per_tb: CostPerTB = PER_TB
    ratios: tuple[Ratio, ...] = PEOPLE
    left_out_usd: Decimal = Decimal("0.02")


def forecast(**changes: object) -> Forecast:
    told: dict[str, object] = {
        "reach": Reach.BAND, "extrapolation_factor": Decimal(20), "linear_usd": Decimal("10"), "point_usd": None,
        "p5_usd": Decimal("8.123456"), "p50_usd": Decimal("12.3456"), "p95_usd": Decimal("123456"),
        "within_budget": None, "unreached_share": 0.0, "above_chao1": False, "drivers": (Driver("price", 0.4),),
        "words": "a band, not a point",
    } | changes  # fmt: skip
    return Forecast(**told)  # type: ignore[arg-type]


def shown(found: Found) -> str:
    console = Console(file=io.StringIO(), width=140, force_terminal=False)
    console.print(prospect_view(found))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_amounts_have_three_digits_and_say_what_they_are() -> None:
    text = shown(Found(((Target(records=2000), forecast()),)))
    for words in ("2,000 records", "$8.12", "$12.30", "$123,000", "band", "price 40", "a band, not a point"):
        assert words in text
    assert "$2,000,000 a TB" in text and "$1,000,000 to $4,000,000" in text
    assert "683 times cheaper than typing a draft" in text and "[S] from a secondary source" in text
    assert "not known" in text  # our cost has no price there


def test_doubts_are_said_and_a_budget_is_answered() -> None:
    doubtful = forecast(above_chao1=True, unreached_share=0.25, p95_usd=None, within_budget=0.6)
    text = shown(Found(((Target(accepted_bytes=10**12), doubtful), (Target(accepted_bytes=5 * 10**8), doubtful))))
    assert "1 TB" in text and "0.5 GB" in text
    assert "Chao 1984" in text and "not reached in 25" in text and "within the budget: 60" in text


def test_what_the_seeds_cannot_give_has_no_price() -> None:
    out = NotReachable(extrapolation_factor=Decimal(500), ideas=1e6, ceiling=1e4, documents=900, variants=12)
    text = shown(Found(((Target(records=50_000), out),)))
    row = next(line for line in text.splitlines() if "50,000 records" in line)
    assert "not reachable" in row and "$" not in row

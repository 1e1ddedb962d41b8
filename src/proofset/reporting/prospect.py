"""What the terminal shows of a forecast: amounts with their spread, how far they are stretched, and against whom."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from proofset.costing.clusters import CostPerTB
from proofset.costing.humans import Ratio
from proofset.costing.projection import Forecast, NotReachable
from proofset.costing.targets import Target
from proofset.reporting.terminal import table
from proofset.reporting.words import DASH, count, line, money, percent, rough_money

if TYPE_CHECKING:
    from rich.console import RenderableType

DRIVERS = 4
"""Drivers of the spread that are shown."""
MARKS = {
    "V": "verified in its source",
    "S": "from a secondary source",
    "R": "recalled, not checked",
    "M": "measured here",
}
"""What the letters behind a figure mean."""


class Prospect(Protocol):
    """What is shown."""

    @property
    def accepted(self) -> int:
        """Records that the run accepted."""
        ...

    @property
    def accepted_bytes(self) -> int:
        """Bytes of their text."""
        ...

    @property
    def per_tb(self) -> CostPerTB:
        """USD per TB at the run's own scale."""
        ...

    @property
    def forecasts(self) -> tuple[tuple[Target, Forecast | NotReachable], ...]:
        """Targets and what they would cost."""
        ...

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        """People over machine."""
        ...

    @property
    def left_out_usd(self) -> Decimal:
        """Money in no rate."""
        ...


def prospect_view(found: Prospect) -> RenderableType:
    """Forecasts first, then what they rest on, then people."""
    from rich.console import Group
    from rich.text import Text

    pilot = f"{count(found.accepted)} accepted records, {count(found.accepted_bytes)} bytes"
    rows = table(f"From a pilot of {pilot}", "in all", "× pilot", "linear", "P5", "P50", "P95", "<what it is")
    notes = []
    for target, forecast in found.forecasts:
        name, factor = named(target), f"{forecast.extrapolation_factor:,.0f}"
        if isinstance(forecast, NotReachable):
            rows.add_row(Text(name), factor, DASH, DASH, DASH, DASH, Text(forecast.words, style="red"))
            continue
        ends = (forecast.linear_usd, forecast.p5_usd, forecast.p50_usd, forecast.p95_usd)
        what = forecast.reach.value if forecast.within_budget is None else _within(forecast.within_budget)
        rows.add_row(Text(name), factor, *map(rough_money, ends), Text(what))
        notes += _notes(name, forecast)
    per = found.per_tb
    rate = f"${per.usd:,.0f} a TB at the pilot's own scale"
    if per.low is not None and per.high is not None:
        rate += f" (95 %: ${per.low:,.0f} to ${per.high:,.0f}; {line(per.basis)})"
    told = [Text(rate), Text(f"In no rate: {money(found.left_out_usd)} that no single record caused", style="dim")]
    people = [Text(f"· {line(str(ratio))}", style="dim") for ratio in found.ratios]
    marks = sorted({ratio.baseline.mark.value for ratio in found.ratios})
    foot = Text("; ".join(f"[{mark}] {MARKS[mark]}" for mark in marks), style="dim")
    return Group(rows, Text(""), *notes, *told, Text("Against people, at the pilot's own scale:"), *people, foot)


def named(target: Target) -> str:
    """A target in words: 3,110 records, 1 TB."""
    if target.records is not None:
        return f"{count(target.records)} records"
    amount = target.accepted_bytes or 0
    return f"{amount / 1e12:,.4g} TB" if amount >= 10**11 else f"{amount / 1e9:,.4g} GB"


def _within(share: float) -> str:
    return f"within the budget: {percent(share)} likely"


def _notes(name: str, forecast: Forecast) -> list[RenderableType]:
    """What drives the spread, and what is doubtful."""
    from rich.text import Text

    drivers = ", ".join(f"{each.name} {percent(each.share)}" for each in forecast.drivers[:DRIVERS])
    notes: list[RenderableType] = [Text(f"{name}: {line(forecast.words)}; driven by {drivers}", style="dim")]
    if forecast.above_chao1:
        notes.append(Text(f"{name}: more ideas are wanted than the pilot shows to exist (Chao 1984)", style="yellow"))
    if forecast.unreached_share:
        notes.append(Text(f"{name}: not reached in {percent(forecast.unreached_share)} of the draws", style="red"))
    return notes

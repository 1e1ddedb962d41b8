"""Figures of money: where the attempts and the dollars went, what they bought, and what makes a forecast uncertain.

Every bar begins at nothing and its amount stands beside it; what is lost is hatched, so that no figure needs colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from proofset.costing.cogs import CogsStatement, Fate, NatureLine
from proofset.costing.projection import Driver
from proofset.reporting.cascade import Cascade
from proofset.reporting.sheet import ACCENT, HARMS, HELPS, INK, LINE, MUTED, NARROW_BELOW, PAPER, Drawing, Sheet, figure
from proofset.reporting.words import DASH, MINUS, count, money, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THICK = 13
"""Height of a bar, in CSS pixels."""
WASTED = frozenset(Fate) - {Fate.USEFUL, Fate.NO_CANDIDATE}
"""Fates of money that brought nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    """One bar with its name and its amount in words. A bar without a value is a heading."""

    name: str
    text: str = ""
    value: float | None = None
    colour: str = ACCENT
    hatched: bool = False
    mark: float | None = None
    """Where a hollow diamond stands beside it."""


def cascade_figure(found: Cascade) -> str:
    """What was left after each loss, in records on the left and in dollars on the right."""
    told = "; ".join(f"{step.name} {count(step.records)}" for step in found.steps)
    title = f"From attempts to accepted records: {told}. Solid: what was left, and what was spent on it; hatched: lost."
    return figure("cascade", title, lambda width: _cascade(found, width))


def cogs_figure(found: CogsStatement) -> str:
    """Cost by what it bought and by what became of it, on one scale; "" where nothing was paid."""
    if not found.cogs_usd:
        return ""
    bars = [_Bar(name="By what it bought")]
    bars += [_amount(row.nature.value, row.usd, found) for row in booked(found)]
    bars.append(_Bar(name="By what became of it"))
    for row in found.by_fate:
        if row.usd:
            wasted = row.fate in WASTED
            colour = HARMS if wasted else HELPS if row.fate is Fate.USEFUL else MUTED
            bars.append(_amount(row.fate.value, row.usd, found, colour, hatched=wasted))
    title = "Cost of the run by what it bought and by what became of it. Hatched: candidates that nobody kept."
    return figure("cogs", title, lambda width: _bars(bars, width))


def booked(found: CogsStatement) -> tuple[NatureLine, ...]:
    """The rows in which anything was booked, the dearest first."""
    return tuple(sorted((row for row in found.by_nature if row.calls or row.usd), key=lambda row: -row.usd))


def tornado_figure(far: tuple[str, Sequence[Driver]], near: tuple[str, Sequence[Driver]] | None) -> str:
    """What the spread of a forecast comes from: bars for the ``far`` target, diamonds for the ``near`` one."""
    name, drivers = far
    if not drivers:
        return ""
    other = {driver.name: driver.share for driver in near[1]} if near else {}
    key = f"Bar: {name}" + (f"; diamond: {near[0]}" if near else "")
    bars = [_Bar(name=key)]
    for driver in drivers:
        beside = other.get(driver.name)
        text = percent(driver.share) + (f" ({percent(beside)})" if beside is not None else "")
        bars.append(_Bar(name=driver.name, text=text, value=100 * driver.share,
                         mark=None if beside is None else 100 * beside))  # fmt: skip
    title = f"What drives the spread of the forecast, as squared rank correlation with the cost. {key}."
    unit = "squared rank correlation with the cost, %"
    return figure("tornado", title, lambda width: _bars(bars, width, most=100.0, unit=unit))


def _paid(usd: Decimal, sure: bool, sign: str = "") -> str:
    """An amount in words. Where calls have no price it is a lower bound, and nothing known is no amount."""
    if sure:
        return sign + money(usd)
    return f"≥ {sign}{money(usd)}" if usd else DASH


def _amount(name: str, usd: Decimal, found: CogsStatement, colour: str = ACCENT, *, hatched: bool = False) -> _Bar:
    share, sure = float(usd / found.cogs_usd), not found.unpriced_calls
    text = f"{money(usd)} · {percent(share)}" if sure else _paid(usd, sure)
    return _Bar(name=name, text=text, value=100 * share, colour=colour, hatched=hatched)


def _cascade(found: Cascade, width: int) -> Drawing:
    steps, sure = found.steps, not found.unpriced
    narrow = width < NARROW_BELOW
    height, head = (62, 26) if narrow else (40, 30)
    sheet = Sheet(width, height * len(steps) + head)
    columns = ((0, 166, 166), (194, 360, 360)) if narrow else ((180, 390, 490), (530, 730, width))
    for place, (left, right, _) in enumerate(columns):
        axes = _plain(sheet, left, right, sheet.height - head, len(steps))
        sizes = [(float(step.usd), float(step.lost_usd)) if place else (step.records, step.lost) for step in steps]
        whole = sizes[0][0]
        for row, (kept, lost) in enumerate(sizes):
            if whole:
                _fill(axes, row + (0.28 if narrow else 0), (0, kept / whole), height, ACCENT)
                _fill(axes, row + (0.28 if narrow else 0), (kept / whole, lost / whole), height, HARMS, hatched=True)
        sheet.write(left, sheet.height - 9, "US dollars" if place else "records", muted=True)
    for row, step in enumerate(steps):
        top = sheet.height - head - height * row
        texts = ((count(step.records), f"{MINUS}{count(step.lost)}" if step.lost else ""),
                 (_paid(step.usd, sure), _paid(step.lost_usd, sure, MINUS) if step.lost_usd else ""))  # fmt: skip
        if narrow:
            sheet.write(0, top - 12, f"{step.name} ({step.why})" if step.lost else step.name, bold=True, limit=50)
            for (left, _, _), (rest, gone) in zip(columns, texts, strict=True):
                sheet.write(left, top - 30, f"{rest} ({gone})" if gone else rest, muted=True)
            continue
        _pair(sheet, (0, top - height / 2), step.name, step.why if step.lost else "", right=False)
        for (_, _, end), (rest, gone) in zip(columns, texts, strict=True):
            _pair(sheet, (end, top - height / 2), rest, gone, right=True)
    return sheet.figure, sheet.texts


def _pair(sheet: Sheet, place: tuple[float, float], text: str, below: str, *, right: bool) -> None:
    """A text with its middle at the place, or two lines about it."""
    x, y = place
    sheet.write(x, y + (8 if below else 0), text, right=right, bold=not right)
    if below:
        sheet.write(x, y - 9, below, right=right, muted=True)


def _plain(sheet: Sheet, left: float, right: float, top: float, rows: int) -> Axes:
    """Axes from 0 to 1 without numbers, a row each, and a line where nothing stands."""
    axes = sheet.axes(left, 0, right, top)
    axes.set_xlim(0, 1.004)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    return axes


def _fill(
    axes: Axes, row: float, span: tuple[float, float], height: float, colour: str, *, hatched: bool = False
) -> None:
    """A bar from ``span[0]``, so long as ``span[1]``; hatched it has an outline and no ground."""
    if span[1] <= 0:
        return
    axes.barh(
        [row], [span[1]], left=span[0], height=THICK / height, facecolor="none" if hatched else colour,
        edgecolor=colour, linewidth=0.8 if hatched else 0, hatch="/////" if hatched else None,
    )  # fmt: skip


def _bars(bars: Sequence[_Bar], width: int, *, most: float | None = None, unit: str = "") -> Drawing:
    """Names on the left, bars, and amounts on the right; on a narrow sheet the texts stand above the bars.

    ``most`` ends the scale, which is then drawn; without it the longest bar does.
    """
    narrow = width < NARROW_BELOW
    height, axis = (42 if narrow else 28), (44 if unit else 0)
    sheet = Sheet(width, height * len(bars) + axis + 2)
    left, right = ((10, width - 14) if unit else (0, width)) if narrow else (310, width - 160)
    axes = sheet.axes(left, axis, right, sheet.height)
    end = most or max((bar.value or 0) for bar in bars)
    axes.set_xlim(0, end * 1.005)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_yticks([])
    if unit:
        axes.locator_params(axis="x", nbins=5)
        sheet.write((left + right) / 2 - 3.1 * len(unit), 10, unit, muted=True)
        if not narrow:
            axes.grid(axis="x", color=LINE, linewidth=0.6)
    else:
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
    axes.set_axisbelow(True)
    for row, bar in enumerate(bars):
        _bar(sheet, axes, row, bar, (height, height * (len(bars) - row - 0.5) + axis))
    return sheet.figure, sheet.texts


def _bar(sheet: Sheet, axes: Axes, row: int, bar: _Bar, place: tuple[float, float]) -> None:
    """One of them; ``place`` is the height of a row and where its middle is."""
    height, middle = place
    narrow = sheet.width < NARROW_BELOW
    if bar.value is None:
        sheet.write(0, middle - (2 if narrow else 1), bar.name, bold=True)
        return
    at, above = (row + 0.2, middle + 11) if narrow else (float(row), middle)
    _fill(axes, at, (0, bar.value), height, bar.colour, hatched=bar.hatched)
    if bar.mark is not None:
        axes.plot([bar.mark], [at], marker="D", markersize=7, markerfacecolor=PAPER, markeredgecolor=INK,
                  markeredgewidth=1.4, clip_on=False)  # fmt: skip
    sheet.write(0 if narrow else 12, above, bar.name, limit=44)
    sheet.write(sheet.width, above, bar.text, right=True, muted=True)

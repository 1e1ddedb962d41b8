"""Figures of the verdict: the quotient over its components, slice beside slice, and where the records lie.

Every ratio begins at nothing and is held against 1, what fresh organic records get, and the threshold. A triangle
points up where the whole interval reaches the threshold and down where none of it does; a hollow circle is undecided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from proofset.nouns.result import Measure
from proofset.nouns.viability import Component, Crossing, Viability
from proofset.reporting import answers
from proofset.reporting.answers import ratio, reading
from proofset.reporting.sheet import HARMS, HELPS, INK, LINE, MUTED, NARROW_BELOW, PAPER, Drawing, Sheet, figure
from proofset.reporting.words import count, finite, line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_SLICES = 24
"""Slices that are drawn, the weakest first; the table has all."""
CAP = 2.0
"""Where an axis of ratios ends at the latest; what lies beyond is an arrow at its edge, and its number beside it."""
LEAST_END = 1.25
"""Where it ends at the earliest, so that 1 has its name beside it."""
HEAD, AXIS = 24, 34
"""Height of the names of the lines, and of the numbers of an axis, in CSS pixels."""
LETTER = 7.2
"""Width of a letter, in CSS pixels; of most fonts a little less."""
LOOKS = {Crossing.CROSSED: ("^", HELPS), Crossing.NOT_CROSSED: ("v", HARMS), Crossing.UNDECIDED: ("o", MUTED)}
"""Marker and colour of where a value stands; undecided is also hollow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of ratios with its name. A row without a measure is a heading."""

    label: str
    measure: Measure | None = None
    stands: Crossing | None = None
    mark: str = ""
    """Said behind the name: "weakest"."""
    lead: bool = False
    """The number that the others explain: a diamond."""
    bar: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """Rows on one axis, and the values that they are held against with their names."""

    rows: Sequence[_Row]
    threshold: float
    lines: tuple[tuple[float, str, bool], ...]
    """Where a line stands, its name, and whether the name stands on its left."""


def quotient_figure(found: Viability, name: str = "quotient") -> str:
    """The quotient over its components, the weakest marked, and the companion below on an axis of its own."""
    title = (
        f"{answers.headline(found)}. Each respect with its 95 % interval; 1 is what fresh organic records get, the "
        f"dashed line is the threshold of {ratio(found.threshold)}. The table has the numbers."
    )
    head = _Row(label="SVQ, their minimum", measure=found.quotient, stands=_stands(found.quotient, found.threshold),
                lead=True)  # fmt: skip
    rows = [head, *(_component(each, found.threshold, found.weakest) for each in found.components)]
    panels = [_Panel(rows=rows, threshold=found.threshold, lines=_lines(found.threshold))]
    if found.companion:
        beside = replace(_component(found.companion, 0.0, found.weakest), bar=False)
        lines = ((0.0, "no use: 0", True), (1.0, "organic: 1", False))
        panels.append(_Panel(rows=[_Row(label="Beside the minimum"), beside], threshold=0.0, lines=lines))
    return figure(name, title, lambda width: _panels(panels, width))


def slices_figure(found: Sequence[Viability], name: str = "slices") -> str:
    """The quotient of each slice, the weakest first, above the overall one; "" for fewer than two."""
    if len(found) < 2:
        return ""
    ranked = answers.weakest_first(found)
    drawn = [each for each in ranked if each.slice][:MOST_SLICES] + [each for each in ranked if not each.slice]
    threshold = max(each.threshold for each in drawn)
    rows = [
        _Row(
            label=f"{line(each.slice, 30)} (n = {count(each.sizes[3])})" if each.slice else "all records",
            measure=each.quotient, stands=None if finite(each.quotient.value) is None else each.verdict,
            lead=not each.slice, bar=False,
        )
        for each in drawn
    ]  # fmt: skip
    title = f"SVQ of each slice with its 95 % interval, the weakest first, against the threshold of {ratio(threshold)}."
    panel = _Panel(rows=rows, threshold=threshold, lines=_lines(threshold))
    return figure(name, title, lambda width: _panels([panel], width))


def _lines(threshold: float) -> tuple[tuple[float, str, bool], ...]:
    return ((threshold, f"needed: {ratio(threshold)}", True), (1.0, "organic: 1", False))


def _stands(measure: Measure, threshold: float) -> Crossing | None:
    return answers.standing(Component(key="", measure=measure, error=None, words=""), threshold)


def _component(each: Component, threshold: float, weakest: str) -> _Row:
    return _Row(
        label=f"{each.key} {line(each.measure.name)}", measure=each.measure, stands=answers.standing(each, threshold),
        mark="weakest" if each.key == weakest else "",
    )  # fmt: skip


def _panels(panels: Sequence[_Panel], width: int) -> Drawing:
    height = 44 if width < NARROW_BELOW else 28
    sheet = Sheet(width, sum(height * len(each.rows) + HEAD + AXIS for each in panels) - 6)
    top = sheet.height
    for each in panels:
        bottom = top - HEAD - height * len(each.rows)
        _panel(sheet, each, bottom, top - HEAD)
        top = bottom - AXIS
    return sheet.figure, sheet.texts


def _span(width: int) -> tuple[float, float]:
    """From where to where the axes reach. On a narrow sheet the labels stand above the marks, not beside them."""
    return (16, width - 16) if width < NARROW_BELOW else (286, width - 172)


def _panel(sheet: Sheet, panel: _Panel, bottom: float, top: float) -> None:
    narrow, (left, right), rows = sheet.width < NARROW_BELOW, _span(sheet.width), panel.rows
    low, high = _ends(rows)
    axes = sheet.axes(left, bottom, right, top)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlim(low, high)
    axes.locator_params(axis="x", nbins=6)
    first = next((number for number, row in enumerate(rows) if row.measure), 0)
    for at, name, on_left in panel.lines:
        _line(axes, at, rows, dashed=at == panel.threshold and at > 0, above=0.0 if narrow else 0.5)
        x = left + (right - left) * (at - low) / (high - low)
        _name(sheet, x, top - (top - bottom) / len(rows) * first + 11, name, on_left=on_left)
    for number, row in enumerate(rows):
        _row(sheet, axes, number, row, (bottom, top, len(rows)), panel.threshold, narrow=narrow)


def _name(sheet: Sheet, x: float, y: float, name: str, *, on_left: bool) -> None:
    """The name of a line at x beside it, and within the sheet."""
    wide = LETTER * len(name)
    if on_left:
        sheet.write(max(x - 3, wide), y, name, right=True, muted=True)
    else:
        sheet.write(min(x + 3, sheet.width - wide), y, name, muted=True)


def _line(axes: Axes, at: float, rows: Sequence[_Row], *, dashed: bool, above: float) -> None:
    """A line through all rows but those that tell why there is no number; ``above`` is its share over the middle."""
    for number, row in enumerate(rows):
        if row.measure and (finite(row.measure.value) is not None or not row.measure.note):
            axes.plot([at, at], [number - above, number + 0.5], color=INK if dashed else MUTED,
                      linewidth=1.3 if dashed else 0.9, linestyle=(0, (4, 3)) if dashed else "-", zorder=1)  # fmt: skip


def _ends(rows: Sequence[_Row]) -> tuple[float, float]:
    """From the lowest value, 0 at most, to the highest, within ``LEAST_END`` and ``CAP``."""
    measures = [row.measure for row in rows if row.measure]
    ends = (finite(end) for each in measures for end in (each.value, each.low, each.high))
    known = [end for end in ends if end is not None]
    high = min(CAP, max(LEAST_END, *(1.04 * end for end in known), 0.0)) if known else LEAST_END
    low = max(-CAP, min(0.0, *known, 0.0)) if known else 0.0
    return (1.06 * low, high) if low < 0 else (0.0, high)


def _row(sheet: Sheet, axes: Axes, number: int, row: _Row, place: tuple[float, float, int], threshold: float, *,
         narrow: bool) -> None:  # fmt: skip
    """One of ``place[2]`` rows between two heights of the sheet."""
    bottom, top, rows = place
    middle = top - (top - bottom) / rows * (number + 0.5)
    above = middle + (11 if narrow else 0)
    if row.measure is None:
        sheet.write(0, above, row.label, bold=True)
        return
    known = finite(row.measure.value) is not None
    bold = row.lead or bool(row.mark)
    if row.mark:
        axes.axhspan(number - 0.5, number + 0.5, facecolor=LINE, alpha=0.45, linewidth=0, zorder=0)
    most = (24 if narrow else 33) if bold else (26 if narrow else 38)
    label = f"{line(row.label, most - len(row.mark) - 3)} · {row.mark}" if row.mark and not narrow else row.label
    sheet.write(0, above, label, bold=bold, limit=most)
    told = reading(row.measure, threshold) if known else "not taken"
    sheet.write(sheet.width, above, told, right=True, muted=not bold)
    if known:
        _mark(axes, number + (0.2 if narrow else 0), row, reach=0.2 if narrow else 0.28)
    elif row.measure.note:
        left, _ = _span(sheet.width)
        sheet.write(left + 6, middle - (9 if narrow else 0), row.measure.note, muted=True, limit=46 if narrow else 56)


def _mark(axes: Axes, y: float, row: _Row, reach: float) -> None:
    """A pale bar from 0, the interval, and the marker; an arrow where the value lies beyond the axis."""
    assert row.measure is not None and row.measure.value is not None
    (left, right), value = axes.get_xlim(), row.measure.value
    marker, colour = LOOKS[row.stands] if row.stands else ("o", MUTED)
    inside = min(max(value, left), right)
    if row.bar and inside > 0:
        axes.barh([y], [inside], height=2 * reach, color=colour, alpha=0.2, linewidth=0, zorder=2)
    low, high = finite(row.measure.low), finite(row.measure.high)
    if low is not None and high is not None:
        axes.plot([max(low, left), min(high, right)], [y, y], color=colour, linewidth=2, zorder=3)
        ends = [end for end in (low, high) if left <= end <= right]
        axes.plot(ends, [y] * len(ends), color=colour, marker="|", markersize=8, linestyle="none", zorder=3)
    if row.lead:
        marker = "D"
    if value != inside:
        marker = ">" if value > right else "<"
    axes.plot(
        [inside], [y], marker=marker, markersize=8 if row.lead else 7, color=colour, linestyle="none", clip_on=False,
        markeredgewidth=1.6, markerfacecolor=PAPER if row.stands is Crossing.UNDECIDED else colour, zorder=4,
    )  # fmt: skip

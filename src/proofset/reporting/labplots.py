"""Figures of known answers: a closed form as a line, its simulation as dots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from proofset.reporting.sheet import ACCENT, INK, LINE, NARROW_BELOW, PAPER, Drawing, Sheet, figure
from proofset.reporting.words import MINUS, line, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from proofset.measuring.findings import Curve, Finding

MOST_DOTS = 36
"""Simulated points that are drawn of one curve, evenly spaced."""
LOG_FROM = 100.0
"""Times the least value from which an axis of positive values is logarithmic."""
LARGE = 1e6
LEAST_SPAN = 0.2
"""Span of a y axis over its largest value, at least: what agrees to a hundredth should look so."""
HIGH, HEAD, FOOT = 170, 46, 46
"""Height of a panel, of its names and of its axis, in CSS pixels."""


def curves_figure(found: Finding, name: str = "") -> str:
    """All curves of an experiment, two side by side; "" where it has none."""
    if not found.curves:
        return ""
    told = ", ".join(line(each.name) for each in found.curves)
    title = (
        f"{line(found.id)}, {line(found.title)}: {told}. The line is the closed form, the dots are its simulation. "
        "The table has the numbers."
    )
    return figure(name or f"lab-{_ident(found.id)}", title, lambda width: _grid(found.curves, width))


def _ident(text: str) -> str:
    """Of a name what may stand in an id."""
    return "".join(each if each.isascii() and each.isalnum() else "-" for each in text.casefold())


def _grid(curves: Sequence[Curve], width: int) -> Drawing:
    columns = 1 if width < NARROW_BELOW or len(curves) == 1 else 2
    rows = math.ceil(len(curves) / columns)
    wide = (width - 36 * (columns - 1)) / columns if len(curves) > 1 else min(width, 560)
    sheet = Sheet(width, (HIGH + HEAD + FOOT) * rows + 24)
    _legend(sheet)
    for place, each in enumerate(curves):
        row, column = divmod(place, columns)
        left, top = (wide + 36) * column, sheet.height - 24 - row * (HIGH + HEAD + FOOT) - HEAD
        _panel(sheet, each, (left + 44, top - HIGH, left + wide - 24, top))
        most = int(wide / 7)
        sheet.write(left, top + 33, each.name, bold=True, limit=most)
        sheet.write(left, top + 14, each.y_label, muted=True, limit=most)
        sheet.write(left + wide - 24, top - HIGH - 34, each.x_label, right=True, muted=True, limit=most)
    return sheet.figure, sheet.texts


def _legend(sheet: Sheet) -> None:
    for x, told, dot in ((0, "closed form", False), (140, "simulation", True)):
        axes = sheet.axes(x, sheet.height - 18, x + 26, sheet.height - 4)
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        if dot:
            _dots(axes, [0.5], [0.5])
        else:
            axes.plot([0, 1], [0.5, 0.5], color=INK, linewidth=1.6)
        sheet.write(x + 32, sheet.height - 11, told)


def _dots(axes: Axes, xs: Sequence[float], ys: Sequence[float]) -> None:
    axes.plot(xs, ys, linestyle="none", marker="o", markersize=5.5, color=ACCENT, markerfacecolor=PAPER,
              markeredgewidth=1.4, clip_on=False)  # fmt: skip


def _panel(sheet: Sheet, curve: Curve, box: tuple[float, float, float, float]) -> None:
    axes = sheet.axes(*box)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    if _far(curve.x):
        axes.set_xscale("log")
    if _far((*curve.expected, *curve.measured)):
        axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        _number(axis)
    axes.margins(x=0.03, y=0.08)
    if axes.get_yscale() == "linear":
        axes.set_ylim(*_span((*curve.expected, *curve.measured)))
    theory = _known(curve.x, curve.expected)
    axes.plot([x for x, _ in theory], [y for _, y in theory], color=INK, linewidth=1.6,
              marker="_" if len(theory) == 1 else "", markersize=18)  # fmt: skip
    seen = _known(curve.x, curve.measured)
    seen = seen[:: max(1, math.ceil(len(seen) / MOST_DOTS))]
    _dots(axes, [x for x, _ in seen], [y for _, y in seen])


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis that shows all values with a little air, and does not blow up what is nearly the same."""
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    least = LEAST_SPAN * max(abs(low), abs(high)) or 1.0
    more = max(0.08 * (high - low), (least - (high - low)) / 2)
    return low - more, high + more


def _known(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]


def _far(values: Sequence[float]) -> bool:
    """Whether an axis of these is better logarithmic: all are positive, and far apart."""
    known = [value for value in values if math.isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) > LOG_FROM * min(known)


def _number(axis: Axis) -> None:
    """A few plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    logarithmic = axis.get_scale() == "log"
    axis.set_major_locator(LogLocator(numticks=6) if logarithmic else MaxNLocator(5, steps=[1, 2, 5, 10]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    """A round number of an axis, with the digits that tell it from its neighbours and no zeros that say nothing."""
    told = f"{value + 0.0:,.6g}" if abs(value) < LARGE else number(value)
    return told.replace("-", MINUS)

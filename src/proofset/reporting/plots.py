"""Figures of what starves, what was made and whether it helps, as inline SVG: see ``sheet`` for how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proofset.nouns.result import Claim, Gain, Measure
from proofset.nouns.slice import Deficit
from proofset.reporting import words
from proofset.reporting.sheet import (
    ACCENT,
    HARMS,
    HELPS,
    INK,
    LINE,
    MUTED,
    NARROW_BELOW,
    PAPER,
    Drawing,
    Sheet,
    figure,
    limits,
    plain_log_axis,
)  # fmt: skip
from proofset.reporting.story import EDGE_MATCHED, REST_ACCURACY, Pair, Proof
from proofset.reporting.words import finite, points, shown, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 24
"""More slices than this are drawn as a scatter, not as one row each."""
NAMED = 5
"""The most starved slices that carry their rank in a scatter."""
AXIS = 30
"""Height of an axis with its numbers, in CSS pixels."""
_CLAIMED = (EDGE_MATCHED, REST_ACCURACY)
CLAIM_LOOKS = {Claim.HELPS: ("^", HELPS), Claim.HARMS: ("v", HARMS), Claim.NOT_SHOWN: ("o", MUTED)}
"""Marker and colour of each claim; "not shown" is also hollow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of a dot-and-interval figure. A row without a marker is a heading."""

    label: str
    text: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    marker: str = ""
    colour: str = INK
    hollow: bool = False
    limit: float | None = None
    """Where this row's own reference mark stands."""


def deficits_figure(deficits: Sequence[Deficit]) -> str:
    """Out-of-fold error of each slice with its interval: a row each, or error against n where slices are many."""
    title = "Error of each slice with its 95 % interval; starved slices are filled diamonds. The table has the numbers."
    if len(deficits) > MOST_ROWS:
        return figure("deficits", title, lambda width: _scatter(deficits, width))
    rows = [
        _Row(
            label=f"{each.title or each.slice} (n = {each.n:,})",
            text=_reading(each.error, "percent"),
            value=_hundred(each.error.value), low=_hundred(each.error.low), high=_hundred(each.error.high),
            marker="D" if each.edge else "o", colour=ACCENT if each.edge else MUTED, hollow=not each.edge,
        )
        for each in deficits
    ]  # fmt: skip
    return figure("deficits", title, lambda width: _rows([rows], width, "error, % of held-back training records"))


def forest_figure(proof: Proof, margin: float) -> str:
    """Difference of every arm from its baseline in points; the dashed mark is the margin of no harm.

    What the claim rests on comes first, the starved slices at equal rest and then the rest, each on its own scale.
    """
    titles, groups = dict(proof.arms), dict[str, list[_Row]]()
    metrics = list(dict.fromkeys(gain.metric for gain in proof.pooled))
    for metric in sorted(metrics, key=lambda name: _CLAIMED.index(name) if name in _CLAIMED else len(_CLAIMED)):
        limit = -100 * margin if metric == REST_ACCURACY else None
        rows = groups.setdefault(metric if metric in _CLAIMED else "", [])
        rows.append(_Row(label=words.metric(metric)))
        rows += [_gain_row(gain, titles, limit) for gain in proof.pooled if gain.metric == metric]
    title = (
        "Difference of each arm from its baseline in points, with 95 % intervals. "
        f"Triangle up: helps; triangle down: harms; hollow circle: not shown. Margin of no harm: {points(-margin)}."
    )
    unit = "difference from the baseline, points"
    return figure("forest", title, lambda width: _rows(list(groups.values()), width, unit, zero=True))


def _gain_row(gain: Gain, titles: dict[str, str], limit: float | None) -> _Row:
    marker, colour = CLAIM_LOOKS[gain.claim]
    return _Row(
        label=titles.get(gain.arm, gain.arm), text=_reading(gain.difference, "points"),
        value=_hundred(gain.difference.value), low=_hundred(gain.difference.low), high=_hundred(gain.difference.high),
        marker=marker, colour=colour, hollow=gain.claim is Claim.NOT_SHOWN, limit=limit,
    )  # fmt: skip


def viability_figure(pairs: Sequence[Pair]) -> str:
    """Each measure on its own scale: synthetic as a filled dot above its organic control, both with intervals."""
    drawn = [pair for pair in pairs if finite(pair.measure.value) is not None]
    if not drawn:
        return ""
    title = "Each measure of the synthetic text (filled dot) above its organic control (hollow dot), 95 % intervals."
    return figure("viability", title, lambda width: _panels(drawn, width))


def _hundred(value: float | None) -> float | None:
    known = finite(value)
    return None if known is None else 100 * known


def _reading(measure: Measure, style: Any) -> str:
    read = shown(measure, style)
    return f"{read.value} ({read.interval})" if read.interval else read.value


def _rows(groups: Sequence[Sequence[_Row]], width: int, unit: str, *, zero: bool = False) -> Drawing:
    """Dots with intervals, one row each, and an axis for each group: what differs in size shares no scale."""
    height = 42 if width < NARROW_BELOW else 27
    sheet = Sheet(width, sum(height * len(rows) + AXIS for rows in groups) + 20)
    top = sheet.height - 6
    for rows in groups:
        bottom = top - height * len(rows)
        _group(sheet, rows, bottom, top, zero=zero)
        top = bottom - AXIS
    left, right = _span(width)
    sheet.write((left + right) / 2 - 3.1 * len(unit), 10, unit, muted=True)
    return sheet.figure, sheet.texts


def _span(width: int) -> tuple[float, float]:
    """From where to where the axes reach. On a narrow sheet the labels stand above the dots, not beside them."""
    return (8, width - 8) if width < NARROW_BELOW else (270, width - 190)


def _group(sheet: Sheet, rows: Sequence[_Row], bottom: float, top: float, *, zero: bool) -> None:
    """The rows of one axis, between two heights of the sheet."""
    narrow, (left, right) = sheet.width < NARROW_BELOW, _span(sheet.width)
    axes = sheet.axes(left, bottom, right, top)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlim(*limits([v for row in rows for v in (row.value, row.low, row.high, row.limit)], zero=True))
    axes.locator_params(axis="x", nbins=7)
    if not narrow:  # on a narrow sheet it would cross the texts
        axes.grid(axis="x", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    if zero and not narrow:
        first = next((number for number, row in enumerate(rows) if row.marker), 0)
        axes.plot([0, 0], [first - 0.5, len(rows) - 0.5], color=INK, linewidth=1)
    for number, row in enumerate(rows):
        middle = top - (top - bottom) / len(rows) * (number + 0.5)
        above = middle + (11 if narrow else 0)
        sheet.write(0 if narrow or not row.marker else 12, above, row.label, bold=not row.marker,
                    limit=36 if narrow else 38)  # fmt: skip
        if row.marker:
            if zero and narrow:
                axes.plot([0, 0], [number + 0.02, number + 0.46], color=INK, linewidth=1)
            _dot(axes, number + (0.24 if narrow else 0), row, reach=0.22 if narrow else 0.5)
            sheet.write(sheet.width, above, row.text, right=True, muted=True)


def _dot(axes: Axes, y: float, row: _Row, *, reach: float = 0.5) -> None:
    if row.limit is not None:
        axes.plot([row.limit, row.limit], [y - reach, y + reach], color=HARMS, linewidth=1.6, linestyle=(0, (3, 2)))
    if row.value is None:
        return
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [y, y], color=row.colour, linewidth=2, marker="|", markersize=7)
    axes.plot(
        [row.value], [y], marker=row.marker, markersize=7, color=row.colour, markeredgewidth=1.6,
        markerfacecolor=PAPER if row.hollow else row.colour, markeredgecolor=row.colour,
    )  # fmt: skip


def _panels(pairs: Sequence[Pair], width: int) -> Drawing:
    """One small axis a measure, since ratios and shares have no scale in common."""
    narrow = width < NARROW_BELOW
    height = 104 if narrow else 74
    sheet = Sheet(width, height * len(pairs))
    left, right = (8, width - 8) if narrow else (270, width - 190)
    for number, pair in enumerate(pairs):
        base = sheet.height - height * (number + 1)
        style = style_of(pair.measure)
        scale = 100 if style == "percent" else 1
        axes = sheet.axes(left, base + 22, right, base + 66)
        axes.set_ylim(1.5, -0.5)
        axes.set_yticks([])
        rows = [_pair_row(pair.measure, scale, hollow=False), _pair_row(pair.control, scale, hollow=True)]
        axes.set_xlim(*limits([v for row in rows for v in (row.value, row.low, row.high)]))
        axes.locator_params(axis="x", nbins=5)
        for place, row in enumerate(rows):
            _dot(axes, place, row)
        name = pair.measure.name[:1].upper() + pair.measure.name[1:] + (", %" if scale == 100 else "")
        sheet.write(0, base + (90 if narrow else 55), name, bold=True, limit=36)
        if not narrow:
            sheet.write(0, base + 33, _wish(pair.measure), muted=True)
            sheet.write(width, base + 55, _reading(pair.measure, style), right=True)
            sheet.write(width, base + 33, _reading(pair.control, style), right=True, muted=True)
        else:
            sheet.write(width, base + 90, _reading(pair.measure, style), right=True)
    return sheet.figure, sheet.texts


def _pair_row(measure: Measure, scale: int, *, hollow: bool) -> _Row:
    value, low, high = (
        None if (known := finite(each)) is None else scale * known
        for each in (measure.value, measure.low, measure.high)
    )
    return _Row(
        label="", value=value, low=low, high=high, marker="o", colour=MUTED if hollow else ACCENT, hollow=hollow
    )


def _wish(measure: Measure) -> str:
    return "" if measure.better == "neither" else f"{measure.better} is better"


def _scatter(deficits: Sequence[Deficit], width: int) -> Drawing:
    """Error against the number of records on a logarithmic axis; the five most starved carry their rank."""
    sheet = Sheet(width, 400 if width > 500 else 330)
    axes = sheet.axes(40, 48, width - 8, sheet.height - 26)
    axes.set_xscale("log")
    axes.spines["left"].set_visible(True)
    axes.spines["left"].set_color(LINE)
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    ranks: dict[tuple[int, float], list[int]] = {}
    for each in sorted(deficits, key=lambda deficit: (deficit.edge, deficit.rank)):
        value, low, high = _hundred(each.error.value), _hundred(each.error.low), _hundred(each.error.high)
        if value is None:
            continue
        colour = ACCENT if each.edge else MUTED
        if low is not None and high is not None:
            axes.plot([max(each.n, 1)] * 2, [low, high], color=colour if each.edge else LINE, linewidth=1)
        axes.plot(
            [max(each.n, 1)], [value], marker="D" if each.edge else "o", markersize=6.5, color=colour,
            markerfacecolor=colour if each.edge else PAPER, markeredgewidth=1.2, linestyle="none",
        )  # fmt: skip
        if each.rank <= NAMED:
            ranks.setdefault((max(each.n, 1), value), []).append(each.rank)
    for place, numbers in ranks.items():
        axes.annotate(", ".join(map(str, sorted(numbers))), place, xytext=(8, 4), textcoords="offset points",
                      color=INK, fontsize=12.5, weight="bold")  # fmt: skip
    plain_log_axis(axes, [max(each.n, 1) for each in deficits])
    sheet.write(0, sheet.height - 10, "error, %", muted=True)
    sheet.write(width - 8, 10, "organic training records (log scale)", right=True, muted=True)
    return sheet.figure, sheet.texts

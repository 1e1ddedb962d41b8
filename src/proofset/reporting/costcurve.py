"""The cost of more of the same as one figure: linear, in the middle of the draws, and their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil, inf, log, log10
from typing import TYPE_CHECKING, Any, TypeAlias

from proofset.costing.pilot import Pilot
from proofset.costing.projection import BAND_TO, POINT_TO, Forecast, NotReachable, Projection
from proofset.costing.targets import Target
from proofset.reporting.sheet import ACCENT, INK, LINE, MUTED, NARROW_BELOW, PAPER, Drawing, Sheet, figure
from proofset.reporting.words import short_money

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Forecasts: TypeAlias = Sequence[tuple[Target, Forecast | NotReachable]]
"""Targets and what they would cost."""
APART = 16.0
"""Least distance of two lines of text, in CSS pixels."""
START, END, NARROW_END = 0.8, 330.0, 900.0
"""Of the axis, in times the run: the scenario beyond ``BAND_TO`` has a place of its own, and no line in it."""
LONGEST = 12
"""Characters of an amount with its name beyond which it stands without, on a narrow sheet."""
STEPS = (1, 2, 5, 10, 20, 50, BAND_TO)
"""Times the run whose cost is drawn."""
PILOT: dict[str, Any] = {
    "marker": "D", "markersize": 8, "color": INK, "markerfacecolor": PAPER, "markeredgewidth": 1.6, "clip_on": False,
}  # fmt: skip
"""Looks of the run itself."""
LEAST_TICKS = 3
"""Amounts on an axis below which finer ones are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    """The cost at one multiple of the run; infinite where it is not reached in those draws."""

    times: float
    records: float
    """Of the run."""
    linear: float
    low: float
    middle: float
    high: float


def forecasts_of(pilot: Pilot, seed: int) -> Forecasts:
    """What ``STEPS`` times the pilot would cost. Raises InputError where the pilot can promise nothing."""
    projection, accepted = Projection(pilot, seed=seed), int(pilot.flags("accepted").sum())
    targets = [Target(records=accepted * times) for times in STEPS]
    return tuple((target, projection.forecast(target)) for target in targets)


def cost_curve_figure(curve: Forecasts) -> str:
    """Cost against times the run, on logarithmic axes, up to ``BAND_TO`` times; "" for fewer than two forecasts."""
    points, stopped = _points(curve)
    if len(points) < 2:
        return ""
    title = (
        f"Cost of {points[0].times:.0f} to {points[-1].times:.0f} times the run, logarithmic axes: linear, middle of "
        f"the draws, and the band of 90 % of them. A point forecast to {POINT_TO} times, a band to {BAND_TO} times, "
        "beyond that a scenario."
    )
    return figure("curve", title, lambda width: _curve(points, stopped, width))


def _points(curve: Forecasts) -> tuple[list[_Point], float | None]:
    """What can be drawn, the smallest first, and the multiple from which the seeds cannot yield it."""
    points, stopped = list[_Point](), list[float]()
    for target, forecast in curve:
        times = float(forecast.extrapolation_factor)
        if isinstance(forecast, NotReachable):
            stopped.append(times)
        elif times <= BAND_TO and forecast.linear_usd > 0:
            points.append(
                _Point(
                    times=times,
                    records=float(target.amount) / times,
                    linear=float(forecast.linear_usd),
                    low=_usd(forecast.p5_usd),
                    middle=_usd(forecast.p50_usd),
                    high=_usd(forecast.p95_usd),
                )
            )
    return sorted(points, key=lambda point: point.times), min(stopped, default=None)


def _usd(amount: Decimal | None) -> float:
    return inf if amount is None else float(amount)


def _curve(points: Sequence[_Point], stopped: float | None, width: int) -> Drawing:
    """Above what so many records cost in all, below what one of them costs: there a rising line is saturation."""
    narrow = width < NARROW_BELOW
    sheet = Sheet(width, 550 if narrow else 520)
    each = [_each(point) for point in points]
    left = 14 + 6.6 * max(len(_dollars(tick)) for drawn in (points, each) for tick in _amounts(*_heights(drawn)))
    right, head = width - (4 if narrow else 8), 62 if narrow else 40
    for title, drawn, bottom, top in (
        ("in all, US dollars", points, 240, sheet.height - head - 44),
        ("one accepted record, US dollars", each, 52, 184),
    ):  # fmt: skip
        box = (left, bottom, right, top)
        axes = _panel(sheet, drawn, box)
        sheet.write(0, top + (18 if drawn is each else 31), title, bold=True)
        _ends(sheet, axes, drawn[-1], box, narrow=narrow)
        if drawn is points:
            _zone_names(sheet, box, narrow=narrow)
    _legend(sheet, narrow=narrow)
    unit = "times the run’s accepted records (log scales)"
    sheet.write((left + right) / 2 - 3 * len(unit), 10, unit, muted=True)
    if stopped is not None:
        words = f"{stopped:,.0f} times and more: not reachable with these seeds"
        sheet.write(left + 8, sheet.height - head - 56, words, muted=True)
    return sheet.figure, sheet.texts


def _each(point: _Point) -> _Point:
    """The same for one record, in units of the run's records."""
    by = point.times * point.records
    return replace(point, linear=point.linear / by, low=point.low / by, middle=point.middle / by, high=point.high / by)


def _panel(sheet: Sheet, points: Sequence[_Point], box: tuple[float, float, float, float]) -> Axes:
    """One pair of logarithmic axes with all lines in it."""
    axes = sheet.axes(*box)
    floor, roof = _heights(points)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(START, _end(sheet.width))
    axes.set_ylim(floor, roof)
    _ticks(axes, floor, roof)
    _draw(axes, points, roof)
    for edge in (POINT_TO, BAND_TO):
        axes.plot([edge, edge], [floor, roof], color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
    return axes


def _draw(axes: Axes, points: Sequence[_Point], roof: float) -> None:
    times = [point.times for point in points]
    lows, highs = ([min(getattr(point, end), roof) for point in points] for end in ("low", "high"))
    axes.fill_between(times, lows, highs, color=ACCENT, alpha=0.16, linewidth=0)
    axes.plot(times, lows, color=ACCENT, linewidth=0.9)
    closed = [point for point in points if point.high < inf]  # an open band has no upper edge
    axes.plot([point.times for point in closed], [point.high for point in closed], color=ACCENT, linewidth=0.9)
    axes.plot(times, [point.linear for point in points], color=INK, linewidth=1.3, linestyle=(0, (5, 3)))
    known = [point for point in points if point.middle < inf]
    axes.plot([point.times for point in known], [point.middle for point in known], color=ACCENT, linewidth=2,
              marker="o", markersize=5)  # fmt: skip
    if points[0].times == 1:
        axes.plot([1], [points[0].linear], **PILOT)


def _zone_names(sheet: Sheet, box: tuple[float, float, float, float], *, narrow: bool) -> None:
    """What kind of answer there is between the dotted lines."""
    left, _, right, top = box
    names = ("point", "band", "scenario") if narrow else (
        f"a point, to {POINT_TO} times", f"a band, to {BAND_TO} times", "beyond: scenario only",
    )  # fmt: skip
    for start, name in zip((START, POINT_TO, BAND_TO), names, strict=True):
        sheet.write(_x(start, left, right, sheet.width) + 2, top + 10, name, muted=True)


def _end(width: int) -> float:
    return NARROW_END if width < NARROW_BELOW else END


def _x(times: float, left: float, right: float, width: int) -> float:
    return left + (right - left) * log(times / START) / log(_end(width) / START)


def _legend(sheet: Sheet, *, narrow: bool) -> None:
    """Samples of the four marks, each before its name."""
    step = sheet.width / 2 if narrow else 190
    names = ("this run", "linear", "middle of the draws (P50)", "P5 to P95") if not narrow else (
        "this run", "linear", "middle (P50)", "P5 to P95",
    )  # fmt: skip
    starts = [(0.0, 0), (step, 0), (0.0, 1), (step, 1)] if narrow else [(0.0, 0), (120, 0), (230, 0), (450, 0)]
    for kind, ((x, row), name) in enumerate(zip(starts, names, strict=True)):
        y = sheet.height - 10 - 19 * row
        axes = sheet.axes(x, y - 7, x + 26, y + 7)
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        if kind == 0:
            axes.plot([0.5], [0.5], **PILOT)
        elif kind == 1:
            axes.plot([0, 1], [0.5, 0.5], color=INK, linewidth=1.3, linestyle=(0, (5, 3)))
        elif kind == 2:
            axes.plot([0, 0.5, 1], [0.5] * 3, color=ACCENT, linewidth=2, marker="o", markersize=5, markevery=[1])
        else:
            axes.fill_between([0, 1], 0.1, 0.9, color=ACCENT, alpha=0.16, linewidth=0)
            axes.plot([0, 1], [0.1, 0.1], color=ACCENT, linewidth=0.9)
            axes.plot([0, 1], [0.9, 0.9], color=ACCENT, linewidth=0.9)
        sheet.write(x + 32, y, name)


def _ends(sheet: Sheet, axes: Axes, last: _Point, box: tuple[float, float, float, float], *, narrow: bool) -> None:
    """The amounts at the end of the lines, far enough apart to be read."""
    left, bottom, right, top = box
    floor, roof = axes.get_ylim()
    named = [("P5", last.low), ("P50", last.middle), ("linear", last.linear), ("P95", last.high)]
    ranked = sorted(named, key=lambda pair: pair[1])
    wanted = [bottom + (top - bottom) * log(min(usd, roof) / floor) / log(roof / floor) for _, usd in ranked]
    x = _x(last.times, left, right, sheet.width) + (8 if narrow else 14)
    for (name, usd), y in zip(ranked, apart(wanted, (bottom + 8, top - 8)), strict=True):
        amount = short_money(Decimal(repr(usd))) if usd < inf else "not reached"
        told = f"{name} {amount}"
        sheet.write(x, y, amount if narrow and len(told) > LONGEST else told, muted=name != "P50")


def apart(wanted: Sequence[float], ends: tuple[float, float]) -> list[float]:
    """Ascending places moved as little as it takes to be ``APART``, and within the ends where they have room."""
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + APART if places else ends[0]))
    shift = sum(given - place for given, place in zip(wanted, places, strict=True)) / max(1, len(places))
    shift = max(shift, ends[0] - places[0]) if places else 0.0
    return [place + min(shift, ends[1] - places[-1]) for place in places]


def _heights(points: Sequence[_Point]) -> tuple[float, float]:
    """Least and largest amount that the axis shows."""
    finite = [value for point in points for value in (point.linear, point.low, point.high) if value < inf]
    return min(finite) / 1.5, max(finite) * 1.5


def _amounts(floor: float, roof: float) -> list[float]:
    """Round amounts between these, neither too many nor too few."""
    powers = range(int(log10(floor)) - 2, ceil(log10(roof)) + 1)
    for digits in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        inside = [digit * 10.0**power for power in powers for digit in digits]
        inside = [amount for amount in inside if floor <= amount <= 0.96 * roof]
        if len(inside) >= LEAST_TICKS:
            break
    return inside


def _dollars(amount: float) -> str:
    """A round amount without the digits that say nothing: $10, $0.0002."""
    told = short_money(Decimal(f"{amount:.2g}"))
    return told.rstrip("0").rstrip(".") if "." in told and told[-1].isdigit() else told


def _ticks(axes: Axes, floor: float, roof: float) -> None:
    """Plain numbers at 1, 2, 5, 10 … times, and at round amounts."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.yaxis.set_major_locator(FixedLocator(_amounts(floor, roof)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _dollars(value)))
    axes.xaxis.set_major_locator(FixedLocator(STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}×"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)

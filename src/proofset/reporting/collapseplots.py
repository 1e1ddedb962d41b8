"""Figures of collapse: what is left of every direction in every generation, and how the shares fall."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from proofset.nouns.result import Measure
from proofset.nouns.viability import Collapse, Generation
from proofset.reporting import answers
from proofset.reporting.answers import ratio
from proofset.reporting.costcurve import apart
from proofset.reporting.embeddingmap import lighter
from proofset.reporting.sheet import ACCENT, HARMS, HELPS, INK, LINE, MUTED, NARROW_BELOW, Drawing, Sheet, figure
from proofset.reporting.words import finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = 8
"""Shades of a loss, and as many of a gain."""
SCALES = (2.0, 4.0, 10.0)
"""Where the shades end, in times: at the first beyond which no more than ``BEYOND`` of the cells lie."""
BEYOND = 0.02
DARKEST = 0.92
"""Opacity of the last shade."""
BANDS_FROM = 13
"""Generations from which intervals are bands, not bars."""
LOOKS: dict[str, dict[str, Any]] = {
    "variance": {"color": ACCENT, "marker": "o"},
    "rank": {"color": HELPS, "marker": "s", "linestyle": (0, (6, 2))},
    "rare": {"color": HARMS, "marker": "v"},
    "vendi": {"color": MUTED, "marker": "D", "linestyle": (0, (1.5, 1.5))},
    "loss": {"color": INK, "marker": "o"},
}
"""Line and marker of each share, so that none is known by colour alone."""
RETAINED = ("variance", "rank", "rare", "vendi")
"""The shares of the upper panel; below it, their loss."""


# --- direction by generation ---------------------------------------------------------------------------------------


def retention_map(found: Collapse, name: str = "retention") -> str:
    """Variance that is left in each direction, the strongest on top, in each generation; "" where none was taken.

    What is lost takes the colour of harm, what is gained the accent's, and 1 is the paper. Shades are even in the
    logarithm, so that a half and a double are equally dark.
    """
    made = [each for each in found.generations if each.retention]
    if not made:
        return ""
    scale, directions = _scale(made), max(len(each.retention) for each in made)
    title = (
        f"Variance left in {directions} directions over {len(made)} generations, against organic records of the same "
        "number; the strongest direction on top. Below 1 is lost. The table has the numbers."
    )
    return lighter(figure(name, title, lambda width: _heat(made, directions, scale, width)))


def _scale(made: Sequence[Generation]) -> float:
    """The end of the shades."""
    sizes = sorted(abs(_log(share)) for each in made for share in each.retention if finite(share) is not None)
    most = sizes[min(len(sizes) - 1, math.floor((1 - BEYOND) * len(sizes)))] if sizes else 0.0
    return next((each for each in SCALES if most <= math.log(each)), SCALES[-1])


def _log(share: float) -> float:
    return math.log(max(share, 1e-9))


def shade(share: float, scale: float) -> int:
    """The step of a retained share: −``STEPS`` where all but 1/scale is lost, 0 about 1, ``STEPS`` at scale times."""
    return max(-STEPS, min(STEPS, round(_log(share) / math.log(scale) * STEPS)))


def _heat(made: Sequence[Generation], directions: int, scale: float, width: int) -> Drawing:
    narrow = width < NARROW_BELOW
    row, head, foot = max(5.0, min(24.0, 400 / directions)), 88, 40
    left = 44 if narrow else 90
    right = min(width - 6, left + 110 * len(made))
    sheet = Sheet(width, row * directions + head + foot)
    top = sheet.height - head
    axes = sheet.axes(left, foot, right, top)
    axes.set_xlim(0, len(made))
    axes.set_ylim(directions, 0)
    _cells(axes, made, scale)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(LINE)
    columns = _round([each.number for each in made], (right - left) / 30)
    rows = _round(range(1, directions + 1), row * directions / 20)
    axes.set_xticks([place + 0.5 for place in columns], [str(made[place].number) for place in columns])
    axes.set_yticks([place + 0.5 for place in rows], [str(place + 1) for place in rows])
    axes.tick_params(length=0, pad=5)
    sheet.write(0, top + 11, "direction, the strongest first", muted=True)
    sheet.write(left, 9, "generation", muted=True)
    _scale_bar(sheet, scale)
    return sheet.figure, sheet.texts


def _round(numbers: Sequence[int], most: float) -> list[int]:
    """Places of at most about ``most`` of the numbers: the first, and multiples of 1, 2, 5, 10 …."""
    steps = (digit * 10**power for power in range(6) for digit in (1, 2, 5))
    step = next(step for step in steps if len(numbers) / step <= max(1.0, most))
    near = max(1, step // 2)
    return [place for place, each in enumerate(numbers) if not place or (each % step == 0 and place >= near)]


def _cells(axes: Axes, made: Sequence[Generation], scale: float) -> None:
    """One path for all cells of a shade; equal ones below each other are one box."""
    shades: dict[int, list[tuple[float, float, float, float]]] = {}
    for column, each in enumerate(made):
        steps = [0 if finite(share) is None else shade(share, scale) for share in each.retention]
        row = 0
        for step, run in groupby(steps):
            height = len(list(run))
            shades.setdefault(step, []).append((column, row, 1.0, height))
            row += height
    for step, boxes in sorted(shades.items()):
        if step:
            _fill(axes, boxes, step)


def _fill(axes: Axes, boxes: Sequence[tuple[float, float, float, float]], step: int) -> None:
    """Boxes of (left, top, width, height) in one shade."""
    import numpy as np
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    corners = [((x, y), (x + wide, y), (x + wide, y + high), (x, y + high), (x, y)) for x, y, wide, high in boxes]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    path = Path(np.array(corners).reshape(-1, 2), np.tile(np.array(codes, np.uint8), len(boxes)))
    axes.add_patch(PathPatch(path, facecolor=HARMS if step < 0 else ACCENT, linewidth=0,
                             alpha=DARKEST * abs(step) / STEPS))  # fmt: skip


def _scale_bar(sheet: Sheet, scale: float) -> None:
    """All shades in a row, with their shares under them."""
    wide, y = 15.0, sheet.height - 38
    axes = sheet.axes(1, y, 1 + wide * (2 * STEPS + 1), y + 13)
    axes.set_xlim(-STEPS - 0.5, STEPS + 0.5)
    axes.set_ylim(1, 0)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(LINE)
    for step in range(-STEPS, STEPS + 1):
        if step:
            _fill(axes, [(step - 0.5, 0.0, 1.0, 1.0)], step)
    sheet.write(0, sheet.height - 12, "variance left; 1: as much as organic records have", muted=True)
    for step in (-STEPS, -STEPS // 2, 0, STEPS // 2, STEPS):
        told = f"{scale ** (step / STEPS):.2g}"
        told = f"≤ {told}" if step == -STEPS else f"≥ {told}" if step == STEPS else told
        middle = 1 + wide * (step + STEPS + 0.5)
        sheet.write(max(0.0, middle - 3.6 * len(told)), y - 11, told, muted=True)


# --- the shares, generation by generation --------------------------------------------------------------------------


def decay_figure(found: Collapse, name: str = "decay") -> str:
    """What is left of variance, rank, rare modes and Vendi score, and below it the loss; "" without a generation.

    An alarm stands where it is raised; the half-life stands beside the name of its line.
    """
    if not found.generations:
        return ""
    title = (
        f"{answers.collapse_headline(found)}. Shares left in each generation against organic records of the same "
        f"number, with 95 % intervals, and below them the loss. {answers.alarms(found)} The table has the numbers."
    )
    return figure(name, title, lambda width: _decay(found, width))


def _decay(found: Collapse, width: int) -> Drawing:
    narrow, raised = width < NARROW_BELOW, answers.raised(found)
    step = 19
    legend, alarms = step * len(RETAINED) + 14, step * len(raised) + (8 if raised else 0)
    left, right, foot, lower = 34, width - (64 if narrow else 158), 40, 90
    upper = 190 if narrow else 250
    sheet = Sheet(width, legend + 20 + alarms + upper + 62 + lower + foot)
    _legend(sheet, found, step)
    top = sheet.height - legend - 20 - alarms
    box, below = (left, top - upper, right, top), (left, foot, right, foot + lower)
    sheet.write(0, top + alarms + 10, "share left", bold=True)
    axes = _panel(sheet, box, found.generations, RETAINED)
    _alarms(sheet, axes, raised, box, step)
    _ends(sheet, axes, found.generations[-1], box, RETAINED)
    sheet.write(0, foot + lower + 18, "DMC: what the worst of variance, rank and rare modes has lost" if not narrow
                else "DMC, the largest loss", bold=True)  # fmt: skip
    lost = _panel(sheet, below, found.generations, ("loss",))
    _ends(sheet, lost, found.generations[-1], below, ("loss",))
    sheet.write((left + right) / 2 - 32, 9, "generation", muted=True)
    return sheet.figure, sheet.texts


def _panel(sheet: Sheet, box: tuple[float, float, float, float], made: Sequence[Generation],
           fields: Sequence[str]) -> Axes:  # fmt: skip
    """One pair of axes with the lines of these shares."""
    axes = sheet.axes(*box)
    numbers = [each.number for each in made]
    axes.set_xlim(min(numbers) - 0.5, max(numbers) + 0.5)
    values = [finite(end) for each in made for field in fields for end in _three(getattr(each, field))]
    axes.set_ylim(0, max(1.06, *(1.04 * value for value in values if value is not None)) if any(values) else 1.06)
    shown = _round(numbers, (box[2] - box[0]) / 30)
    axes.set_xticks([numbers[place] for place in shown], [str(numbers[place]) for place in shown])
    axes.locator_params(axis="y", nbins=6 if box[3] - box[1] > 120 else 3)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.axhline(0.0 if fields == ("loss",) else 1.0, color=MUTED, linewidth=0.9)
    for place, field in enumerate(fields):
        shift = 0.0 if len(made) >= BANDS_FROM else 0.07 * (place - (len(fields) - 1) / 2)
        _line(axes, [(each.number + shift, getattr(each, field)) for each in made], LOOKS[field])
    return axes


def _three(measure: Measure) -> tuple[float | None, float | None, float | None]:
    return measure.value, measure.low, measure.high


def _line(axes: Axes, points: Sequence[tuple[float, Measure]], look: dict[str, Any]) -> None:
    """A line through what was taken, broken where nothing was; intervals as bars, or as a band where there are many."""
    nan = math.nan
    xs = [x for x, _ in points]
    value, low, high = (
        [nan if (known := finite(end)) is None else known for end in ends]
        for ends in zip(*(_three(measure) for _, measure in points), strict=True)
    )
    if len(points) >= BANDS_FROM:
        axes.fill_between(xs, low, high, color=look["color"], alpha=0.13, linewidth=0)
    else:
        axes.vlines(xs, low, high, color=look["color"], linewidth=1.2)
    every = max(1, len(points) // BANDS_FROM)
    axes.plot(xs, value, linewidth=1.8, markersize=5, markevery=every, clip_on=False, **look)


def _alarms(sheet: Sheet, axes: Axes, raised: Sequence[tuple[int, Sequence[str]]],
            box: tuple[float, float, float, float], step: int) -> None:  # fmt: skip
    """A dotted line where a chart first passes its limit, each with its own line of text above the panel."""
    left, _, right, top = box
    (first, last), roof = axes.get_xlim(), axes.get_ylim()[1]
    for place, (generation, names) in enumerate(raised):
        if not first <= generation <= last:
            continue
        axes.plot([generation, generation], [0, roof], color=INK, linewidth=1.1, linestyle=(0, (1, 2)), zorder=1)
        axes.plot([generation], [roof], marker="v", markersize=8, color=INK, clip_on=False)
        told = f"alarm: {answers.listed(names)}, generation {generation}"
        x = left + (right - left) * (generation - first) / (last - first)
        sheet.write(min(max(0.0, x - 4), sheet.width - 6.6 * len(told)), top + 14 + step * (len(raised) - 1 - place),
                    told)  # fmt: skip


def _ends(sheet: Sheet, axes: Axes, last: Generation, box: tuple[float, float, float, float],
          fields: Sequence[str]) -> None:  # fmt: skip
    """The last values at the end of their lines, far enough apart to be read."""
    _, bottom, right, top = box
    roof, short = axes.get_ylim()[1], sheet.width < NARROW_BELOW
    names = dict(answers.SHARES)
    known = [(value, field) for field in fields if (value := finite(getattr(last, field).value)) is not None]
    known.sort()
    wanted = [bottom + (top - bottom) * min(value, roof) / roof for value, _ in known]
    for (value, field), y in zip(known, apart(wanted, (bottom, top)), strict=True):
        name = "" if field == "loss" else names[field] if short else answers.TITLES[field]
        told = f"{name} {ratio(value)}".strip()
        sheet.write(right + (6 if short else 12), y, told)


def _legend(sheet: Sheet, found: Collapse, step: int) -> None:
    """A sample of each line before its name and its half-life."""
    names = dict(answers.SHARES)
    for place, field in enumerate(RETAINED):
        y = sheet.height - 10 - step * place
        axes = sheet.axes(0, y - 7, 34, y + 7)
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.plot([0.05, 0.5, 0.95], [0.5] * 3, linewidth=1.8, markersize=5, markevery=[1], **LOOKS[field])
        decay = answers.decay_of(found, field)
        told = f"{answers.TITLES[field]} ({names[field]})"
        if decay:
            life = answers.half_life(decay)
            told += f": half-life {life}" if finite(decay.half_life.value) is not None else f": {life}"
        if sheet.width < NARROW_BELOW:
            told = told.replace(f" ({names[field]})", "").replace(" generations", "")
        sheet.write(42, y, told, limit=46 if sheet.width < NARROW_BELOW else 110)

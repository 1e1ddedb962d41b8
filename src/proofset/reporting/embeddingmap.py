"""Where records lie: organic and synthetic ones side by side, along the two strongest directions of the organic ones.

Both panels have the same scale and the same outline, which encloses most organic records: what lies outside it on the
right is strange, and where the right is empty inside it, something is missing. Two directions of many hide more than
they show, so the figure says how much of the variance they hold, and no verdict rests on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from proofset.reporting.sheet import ACCENT, INK, LINE, MUTED, NARROW_BELOW, Drawing, Sheet, figure
from proofset.reporting.words import count, percent

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Doubles: TypeAlias = NDArray[np.float64]

MOST = 2000
"""Records of one kind that are drawn; of more, as many at random, always the same ones."""
WITHIN = 0.9
"""Share of the organic records that the outline encloses."""
LAYERS = 16
"""A kind's records are drawn in so many layers: within one, marks that overlap do not add up to a darker one."""
MARK, LARGE_MARK = 3.4, 6.0
"""Width of a record's mark, in CSS pixels; of few records, ``FEW`` at most, the large one."""
FEW = 100
CELLS = 90
"""Cells along each side of the grid on which the density is estimated."""
FAR = 2.0
"""The frame reaches at most so many times as far as the organic records do; what lies beyond is counted in words."""
SHAPE = 1.25
"""Width of a panel over its height."""
FEWEST = 10
"""Organic records without which there is no outline."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Map:
    """Places of organic and synthetic records, ``(n, 2)`` each."""

    name: str
    """What was mapped, such as a slice; empty for all."""
    organic: Doubles
    synthetic: Doubles
    share: float | None = None
    """Share of the organic variance that the two directions hold; None where it is not known."""

    @classmethod
    def of(cls, reference: Any, synthetic: Any, name: str = "", *, seed: int = 0) -> Map:
        """The map of vectors ``(n, d)``: see ``plane``."""
        drawn, made = _drawn(reference, seed), _drawn(synthetic, seed)
        mean, basis, share = _principal(drawn)
        return cls(name=name, organic=(drawn - mean) @ basis, synthetic=(made - mean) @ basis, share=share)


def plane(reference: Any, *others: Any, seed: int = 0) -> tuple[Doubles, ...]:
    """Places ``(n, 2)`` of the reference's records and of each other's, along the reference's two principal axes.

    Takes arrays or anything with ``shape`` whose slices are rows. At most ``MOST`` rows of each are taken, at random
    but always the same ones. The sign of an axis is set so that its largest loading is positive. When it lies: what
    differs only off these two axes looks alike.
    """
    drawn = _drawn(reference, seed)
    mean, basis, _ = _principal(drawn)
    return tuple((rows - mean) @ basis for rows in (drawn, *(_drawn(other, seed) for other in others)))


def _drawn(vectors: Any, seed: int) -> Doubles:
    """At most ``MOST`` finite rows, in order."""
    import numpy as np

    n = vectors.shape[0]
    if n > MOST:
        chosen = np.sort(np.random.default_rng([seed, n]).choice(n, MOST, replace=False))
        rows = np.concatenate([np.asarray(vectors[row : row + 1], np.float64) for row in chosen])
    else:
        rows = np.asarray(vectors[0:n], np.float64)
    kept: Doubles = rows[np.isfinite(rows).all(axis=1)]
    return kept


def _principal(rows: Doubles) -> tuple[Doubles, Doubles, float | None]:
    """Mean ``(d,)``, the two principal axes ``(d, 2)``, and the share of the variance they hold."""
    import numpy as np

    n, d = rows.shape
    mean = rows.mean(axis=0) if n else np.zeros(d)
    centred = rows - mean
    tall = d <= n
    values, vectors = np.linalg.eigh(centred.T @ centred if tall else centred @ centred.T)
    top = vectors[:, ::-1][:, :2]
    basis = top if tall else centred.T @ top
    basis = basis / np.maximum(np.linalg.norm(basis, axis=0), 1e-300)
    if basis.size:
        basis = basis * np.where(basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])] < 0, -1.0, 1.0)
    whole = float(np.maximum(values, 0).sum())
    share = float(np.maximum(values, 0)[-2:].sum()) / whole if whole > 0 else None
    return mean, np.pad(basis, ((0, 0), (0, 2 - basis.shape[1]))), share


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    """Density of the organic records on a grid over a frame, and the level that encloses ``WITHIN`` of them."""

    frame: tuple[float, float, float, float]
    """Left, right, bottom, top."""
    density: Doubles
    """(CELLS, CELLS): x first."""
    level: float

    def holds(self, points: Doubles) -> NDArray[np.bool_]:
        """Which points ``(n, 2)`` lie where the density reaches the level."""
        import numpy as np

        cells, seen = _cells(points, self.frame)
        return np.asarray(seen & (self.density[cells[:, 0], cells[:, 1]] >= self.level))


def _cells(points: Doubles, frame: tuple[float, float, float, float]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The cell ``(n, 2)`` of each point, and whether it lies in the frame at all."""
    import numpy as np

    low, high = np.array([frame[0], frame[2]]), np.array([frame[1], frame[3]])
    places = (points - low) / (high - low)
    return np.clip(places * CELLS, 0, CELLS - 1).astype(np.intp), ((places >= 0) & (places <= 1)).all(axis=1)


def _outline(organic: Doubles, frame: tuple[float, float, float, float]) -> _Outline | None:
    """A kernel estimate by Scott's rule, blurred along one side after the other."""
    import numpy as np

    if len(organic) < FEWEST:
        return None
    cells, _ = _cells(organic, frame)
    density = np.zeros((CELLS, CELLS))
    np.add.at(density, (cells[:, 0], cells[:, 1]), 1.0)
    sides = np.array([frame[1] - frame[0], frame[3] - frame[2]])
    for axis, width in enumerate(0.7 * len(organic) ** (-1 / 6) * organic.std(axis=0) / sides * CELLS):
        steps = np.arange(CELLS)[:, None] - np.arange(CELLS)[None, :]
        kernel = np.exp(-0.5 * (steps / max(width, 0.8)) ** 2)
        density = kernel @ density if axis == 0 else density @ kernel
    return _Outline(frame, density, float(np.quantile(density[cells[:, 0], cells[:, 1]], 1 - WITHIN)))


def _frame(organic: Doubles, synthetic: Doubles, shape: float) -> tuple[float, float, float, float]:
    """What is shown, ``shape`` times as wide as high: all records, but those beyond ``FAR`` times the organic reach."""
    import numpy as np

    known = organic if len(organic) else synthetic
    if not len(known):
        return -shape, shape, -1.0, 1.0
    middle = (known.min(axis=0) + known.max(axis=0)) / 2
    reach = np.maximum((known.max(axis=0) - known.min(axis=0)) / 2, 1e-9)
    near = synthetic[(np.abs(synthetic - middle) <= FAR * reach).all(axis=1)]
    low, high = (getattr(np.concatenate([known, near]), end)(axis=0) for end in ("min", "max"))
    centre, half = (low + high) / 2, 1.04 * np.maximum((high - low) / 2, 1e-9)
    tall = max(half[1], half[0] / shape)
    x, y = float(centre[0]), float(centre[1])
    return x - tall * shape, x + tall * shape, y - tall, y + tall


def inside_shares(found: Map) -> tuple[float | None, float | None]:
    """Shares of the organic and of the synthetic records within the outline; None where there is none."""
    outline = _outline(found.organic, _frame(found.organic, found.synthetic, SHAPE))
    if outline is None:
        return None, None
    shares = [float(outline.holds(kind).mean()) if len(kind) else None for kind in (found.organic, found.synthetic)]
    return shares[0], shares[1]


def embedding_map(organic_xy: Any, synthetic_xy: Any, *, name: str = "map", share: float | None = None) -> str:
    """Organic places ``(n, 2)`` on the left, synthetic ones on the right, on one scale, with the organic outline."""
    import numpy as np

    kinds = [_drawn(np.asarray(each, np.float64), 0) for each in (organic_xy, synthetic_xy)]
    found = Map(name="", organic=kinds[0], synthetic=kinds[1], share=share)
    inside = inside_shares(found)
    title = (
        f"Organic records on the left and synthetic ones on the right, along the two strongest directions of the "
        f"organic ones{_held(share)}. The outline encloses {percent(inside[0])} of the organic records shown and "
        f"{percent(inside[1])} of the synthetic ones."
    )
    return lighter(figure(name, title, lambda width: _map(found, inside, width)))


def _held(share: float | None) -> str:
    return "" if share is None else f", which hold {percent(share)} of their variance"


def _map(found: Map, inside: tuple[float | None, float | None], width: int) -> Drawing:
    narrow = width < NARROW_BELOW
    wide = width - 2 if narrow else (width - 26) / 2
    high, head = wide / SHAPE, 46 if narrow else 28
    sheet = Sheet(width, (high + head) * (2 if narrow else 1) + 24)
    frame = _frame(found.organic, found.synthetic, SHAPE)
    outline = _outline(found.organic, frame)
    kinds = (("organic", found.organic, MUTED), ("synthetic", found.synthetic, ACCENT))
    for place, (kind, points, colour) in enumerate(kinds):
        left = 1 if narrow or not place else width - wide - 1
        top = sheet.height - head - (place * (high + head) if narrow else 0)
        axes = _panel(sheet, (left, top - high, left + wide, top), frame)
        _dots(axes, points, colour)
        if outline:
            _draw_outline(axes, outline)
        told = f"{percent(inside[place])} within the outline" if inside[place] is not None else ""
        beyond = int((~_cells(points, frame)[1]).sum())
        told += f"{', ' if told else ''}{count(beyond)} beyond the frame" if beyond else ""
        sheet.write(left, top + (30 if narrow else 12), f"{kind}, {count(len(points))} records drawn", bold=True)
        sheet.write(left if narrow else left + wide, top + 11, told, right=not narrow, muted=True)
    legend = "across: strongest organic direction; up: the second"
    sheet.write(0, 9, legend if narrow else f"{legend}{_held(found.share).replace('which', 'together they')}",
                muted=True, limit=120)  # fmt: skip
    return sheet.figure, sheet.texts


def _panel(sheet: Sheet, box: tuple[float, float, float, float], frame: tuple[float, float, float, float]) -> Axes:
    axes = sheet.axes(*box)
    axes.set_xlim(frame[0], frame[1])
    axes.set_ylim(frame[2], frame[3])
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(LINE)
    return axes


def _dots(axes: Axes, points: Doubles, colour: str) -> None:
    """Every record as a stroke without length and round ends: a tenth of the bytes of a marker."""
    import numpy as np
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    width = MARK if len(points) > FEW else LARGE_MARK
    for layer in range(min(LAYERS, len(points))):
        ends = np.repeat(points[layer::LAYERS], 2, axis=0)
        path = Path(ends, np.tile(np.array([Path.MOVETO, Path.LINETO], np.uint8), len(ends) // 2))
        path.should_simplify = False
        axes.add_patch(PathPatch(path, edgecolor=colour, facecolor="none", linewidth=width, capstyle="round",
                                 alpha=0.45))  # fmt: skip


def _draw_outline(axes: Axes, outline: _Outline) -> None:
    import numpy as np

    left, right, bottom, top = outline.frame
    middles = (np.arange(CELLS) + 0.5) / CELLS
    axes.contour(left + (right - left) * middles, bottom + (top - bottom) * middles, outline.density.T,
                 levels=[outline.level], colors=[INK], linewidths=1.1)  # fmt: skip


_POINT = re.compile(r"M (\S+) (\S+) L \1 \2(?= |$)")


def lighter(drawn: str) -> str:
    """The same figure in fewer bytes: coordinates of paths to a tenth of a pixel, strokes without length as such."""

    def path(found: re.Match[str]) -> str:
        rounded = re.sub(r"-?\d+\.\d+", lambda each: f"{float(each.group()):.1f}".removesuffix(".0"), found.group(1))
        return f' d="{_POINT.sub(lambda each: f"M{each[1]} {each[2]}h0", " ".join(rounded.split()))}"'

    return re.sub(r'\sd="([^"]*)"', path, drawn)

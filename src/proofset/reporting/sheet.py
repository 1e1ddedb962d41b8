"""A sheet to draw on, and how a drawing becomes inline SVG that follows the page: its colours, its fonts, its width.

Each figure is drawn twice, wide and narrow, and the style sheet shows one. Texts of the data never reach the drawing
library: a token stands in for each and is replaced, escaped, in the finished SVG; so no text can break a figure.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from proofset.reporting.words import line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, ACCENT, HELPS, HARMS, PAPER = (f"#01230{digit}" for digit in range(1, 8))
"""Stand-in colours; each becomes the CSS variable of its name."""
VARIABLES = {
    INK: "--ink", MUTED: "--muted", LINE: "--line", ACCENT: "--accent", HELPS: "--helps", HARMS: "--harms",
    PAPER: "--paper",
}  # fmt: skip

WIDE, NARROW = 860, 360
"""Widths of the two drawings, in CSS pixels."""
NARROW_BELOW = 500
"""Width below which texts stand above what they tell of, and not beside it."""
Drawing: TypeAlias = "tuple[Figure, dict[str, str]]"
"""A figure with tokens for its texts, and the texts by token."""


def figure(name: str, title: str, draw: Callable[[int], Drawing]) -> str:
    """Both drawings of a figure as one HTML fragment, whatever plot settings the reader's machine has."""
    from matplotlib import rc_context, style

    parts = []
    for kind, width in (("wide", WIDE), ("narrow", NARROW)):
        ident = f"{name}-{kind}"
        with style.context("default", after_reset=True), rc_context({"svg.fonttype": "none", "svg.hashsalt": ident}):
            drawn, texts = draw(width)
            parts.append(f'<div class="{kind}">{_svg(drawn, ident, title, texts)}</div>')
    return f'<div class="figure">{"".join(parts)}</div>'


def _svg(drawn: Figure, ident: str, title: str, texts: dict[str, str]) -> str:
    """The figure as an SVG element: own ids, page colours, page fonts, nothing that tells time or place."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    drawn.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:xlink)?="[^"]*"|\sversion="[^"]*"', "", svg)
    svg = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{ident}-", svg)
    svg = re.sub(r"font-family:[^;\"]*;?|(font:\s*(?:\d+\s+)?[\d.]+px)[^;\"]*", _own_font, svg)
    for stand_in, variable in VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    svg = re.sub(r"@\d+@", lambda token: html.escape(texts[token.group()]), svg).strip()
    named = f' role="img" aria-label="{html.escape(title)}">'  # last, for a title may hold what looks like a token
    return re.sub(r'<svg[^>]*?( viewBox="[^"]*")[^>]*>', lambda found: f"<svg{found[1]}{named}", svg, count=1)


def _own_font(found: re.Match[str]) -> str:
    size = found.group(1)
    return f"{size} sans-serif" if size else ""


class Sheet:
    """An empty drawing of so many pixels, and the texts that will be put in afterwards."""

    def __init__(self, width: int, height: float) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        self.texts: dict[str, str] = {}

    def axes(self, left: float, bottom: float, right: float, top: float) -> Axes:
        """Axes between these pixels, counted from the lower left."""
        box = (left / self.width, bottom / self.height, (right - left) / self.width, (top - bottom) / self.height)
        axes = self.figure.add_axes(box)
        axes.patch.set_visible(False)
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(LINE)
        axes.tick_params(colors=MUTED, labelsize=11.5, length=3)
        return axes

    def write(self, x: float, y: float, text: str, *, right: bool = False, bold: bool = False, muted: bool = False,
              limit: int = 80) -> None:  # fmt: skip
        """Put ``text`` at pixel (x, y), its middle line there; ``right`` aligns it to end at x."""
        token = f"@{len(self.texts)}@"
        self.texts[token] = line(text, limit)
        self.figure.text(
            x / self.width, y / self.height, token, ha="right" if right else "left", va="center_baseline",
            fontsize=12.5, color=MUTED if muted else INK, weight="bold" if bold else "normal",
        )  # fmt: skip


def limits(values: Sequence[float | None], *, zero: bool = False) -> tuple[float, float]:
    """Limits of an axis that shows all values, with a little air; around 0 when asked."""
    known = [value for value in values if value is not None] + ([0.0] if zero else [])
    low, high = min(known, default=0.0), max(known, default=1.0)
    air = 0.06 * (high - low) or max(0.1, 0.1 * abs(high))
    return low - (air if low < 0 or not zero else air / 3), high + air


def plain_log_axis(axes: Axes, sizes: Sequence[int]) -> None:
    """Ticks at 1, 2, 5, 10 … as plain numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xlim(min(sizes) / 1.3, max(sizes) * 1.3)
    steps = [digit * 10**power for power in range(9) for digit in (1, 2, 5)]
    axes.xaxis.set_major_locator(FixedLocator([step for step in steps if min(sizes) / 1.3 <= step <= max(sizes) * 1.3]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))

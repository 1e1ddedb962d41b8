"""A closed form is a line, its simulation dots on it."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from tests.reporting import samples
from tests.reporting.drawings import inside, sound, texts, wide

from proofset.measuring.findings import Curve
from proofset.reporting.labplots import MOST_DOTS, curves_figure

GOOD = samples.findings()[0]


def curve(x: tuple[float, ...], expected: tuple[float, ...], measured: tuple[float, ...]) -> Curve:
    return Curve(name="a curve", x=x, expected=expected, measured=measured, x_label="generation", y_label="variance")


def dots(figure: str) -> list[tuple[float, float]]:
    """Places of the simulated points of the wide drawing; the first is the legend's."""
    used = re.findall(r'<use href="[^"]*" x="([\d.]+)" y="([\d.]+)" style="fill: var\(--paper\)', wide(figure))
    return [(float(x), float(y)) for x, y in used]


def line(figure: str) -> list[tuple[float, float]]:
    """Corners of the closed form's line of the wide drawing, in the order drawn."""
    flat = wide(figure).replace("\n", " ").replace("xlink:", "")
    paths = re.findall(r'<path d="([^"]*)"[^>]*style="[^"]*stroke: var\(--ink\)', flat)
    longest = max(paths, key=len)
    return [(float(x), float(y)) for x, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", longest)]


def flat(figure: str) -> str:
    return figure.replace("xlink:href", "href").replace("\n", " ")


def test_a_figure_is_sound_and_names_its_curves() -> None:
    figure = curves_figure(GOOD)
    sound(figure)
    assert inside(figure) == []
    told = texts(figure)
    for words in ("closed form", "simulation", "squared mean", "variance (organic = 1)", "generation"):
        assert words in told, words


def test_dots_that_agree_lie_on_the_line() -> None:
    xs = (0.0, 10.0, 20.0, 30.0)
    figure = flat(curves_figure(replace(GOOD, curves=(curve(xs, (1.0, 0.5, 0.75, 0.25), (1.0, 0.5, 0.75, 0.25)),))))
    corners, seen = line(figure), dots(figure)[1:]
    assert len(seen) == 4
    for corner, dot in zip(corners, seen, strict=True):
        assert math.dist(corner, dot) < 0.1


def test_dots_that_disagree_do_not() -> None:
    figure = flat(curves_figure(replace(GOOD, curves=(curve((0.0, 1.0), (1.0, 1.0), (1.0, 2.0)),))))
    assert math.dist(line(figure)[1], dots(figure)[2]) > 50


def test_many_points_are_thinned() -> None:
    xs = tuple(map(float, range(1000)))
    figure = flat(curves_figure(replace(GOOD, curves=(curve(xs, xs, xs),))))
    assert len(dots(figure)) - 1 <= MOST_DOTS


def test_what_is_far_apart_is_drawn_on_logarithmic_axes_with_plain_numbers() -> None:
    xs = (10.0, 100.0, 1000.0, 10_000.0)
    figure = flat(curves_figure(replace(GOOD, curves=(curve(xs, tuple(x**-1 for x in xs), tuple(x**-1 for x in xs)),))))
    sound(figure)
    (x0, y0), (x1, y1), (x2, y2), _ = line(figure)
    assert abs((x1 - x0) - (x2 - x1)) < 0.1
    assert abs((y1 - y0) - (y2 - y1)) < 0.1
    assert {"100", "10,000", "0.01"} <= set(texts(figure))


def test_one_point_and_points_that_are_not_finite_are_no_obstacle() -> None:
    nan = math.nan
    odd = (
        curve((0.0,), (0.5,), (0.52,)),
        curve((1.0, 2.0, 3.0), (1.0, nan, 2.0), (nan, nan, math.inf)),
        curve((), (), ()),
    )
    figure = curves_figure(replace(GOOD, curves=odd))
    sound(figure)
    assert len(dots(flat(figure))) == 2


def test_ids_are_made_of_what_may_stand_in_one() -> None:
    figure = curves_figure(replace(GOOD, id='C-01 "x" <ü>', title="\\1 \\frac @9@"))
    sound(figure)
    assert 'id="lab-c-01--x------wide-' in figure


def test_without_curves_there_is_no_figure() -> None:
    assert curves_figure(samples.findings()[1]) == ""


def test_what_is_nearly_the_same_is_not_blown_up_and_ticks_differ() -> None:
    xs = (0.0, 1.0, 2.0)
    figure = flat(curves_figure(replace(GOOD, curves=(curve(xs, (1.0, 1.0, 1.0), (1.001, 0.999, 1.0)),))))
    assert all(math.dist(corner, dot) < 2 for corner, dot in zip(line(figure), dots(figure)[1:], strict=True))
    close = curve(xs, (1000.0, 1000.0, 1200.0), (1000.0, 1000.0, 1200.0))
    ticks = [text for text in texts(wide(curves_figure(replace(GOOD, curves=(close,))))) if text[0].isdigit()]
    assert len(ticks) == len(set(ticks)) > 4

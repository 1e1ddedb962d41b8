"""A drawing becomes SVG in the page's own colours, and no text of the data can break it."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from proofset.reporting.sheet import ACCENT, NARROW, VARIABLES, WIDE, Drawing, Sheet, figure, limits

HOSTILE = '<b onload="x">&$\\frac{1}{2}$ @0@ ' + "w" * 500


def drawn(width: int) -> Drawing:
    sheet = Sheet(width, 60)
    axes = sheet.axes(0, 20, width, 60)
    axes.barh([0], [1], facecolor="none", edgecolor=ACCENT, hatch="///")
    sheet.write(0, 10, HOSTILE, limit=60)
    return sheet.figure, sheet.texts


def test_both_widths_are_drawn_and_named() -> None:
    root = ET.fromstring(figure("f", "A title.", drawn).replace("xlink:href", "href"))
    boxes = [each.get("viewBox", "").split()[2] for each in root.iter("svg")]
    assert [round(float(box)) for box in boxes] == [WIDE, NARROW]
    assert {each.get("aria-label") for each in root.iter("svg")} == {"A title."}


def test_hatching_follows_the_page_and_stays_in_it() -> None:
    made = figure("f", "A title.", drawn)
    assert "<pattern" in made
    assert not any(stand_in in made for stand_in in VARIABLES)
    ids = re.findall(r'\bid="([^"]+)"', made)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', made)) <= set(ids)


def test_a_text_is_a_text() -> None:
    made = figure("f", "A title.", drawn)
    root = ET.fromstring(made.replace("xlink:href", "href"))
    told = ["".join(each.itertext()) for each in root.iter("text")]
    assert any(text.startswith('<b onload="x">&$') and len(text) == 60 for text in told)
    assert "<b" not in made


def test_a_title_is_a_title_whatever_it_holds() -> None:
    title = r'\1 \g<0> @0@ @99@ "quoted" <b>'
    root = ET.fromstring(figure("f", title, drawn).replace("xlink:href", "href"))
    assert {each.get("aria-label") for each in root.iter("svg")} == {title}


def test_limits_leave_air() -> None:
    low, high = limits([1.0, None, 3.0])
    assert low < 1 and high > 3
    assert limits([], zero=True)[0] <= 0

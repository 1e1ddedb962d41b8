"""What tests ask of a finished figure."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET


def parsed(figure: str) -> ET.Element:
    return ET.fromstring(figure.replace("xlink:href", "href"))


def texts(figure: str) -> list[str]:
    return ["".join(each.itertext()).replace("\u00a0", " ") for each in parsed(figure).iter("text")]


def wide(figure: str) -> str:
    return figure[: figure.index('<div class="narrow"')] + "</div>"


def sound(figure: str) -> None:
    """Well formed, drawn twice, described, its ids its own, in the page's colours, and asking nobody for anything."""
    drawings = list(parsed(figure).iter("svg"))
    assert [each.get("role") for each in drawings] == ["img", "img"]
    assert all(len(each.get("aria-label", "")) > 40 for each in drawings)
    ids = re.findall(r'\bid="([^"]+)"', figure)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', figure)) <= set(ids)
    assert "#0123" not in figure
    assert not re.findall(r"#[0-9a-f]{6}\b", figure), "every colour follows light and dark mode"
    assert not re.search(r"http|<metadata|<!--|nan", figure)


def boxes(figure: str) -> list[tuple[float, float]]:
    """Width and height of each drawing."""
    found = (each.get("viewBox", "").split() for each in parsed(figure).iter("svg"))
    return [(float(box[2]), float(box[3])) for box in found]


def inside(figure: str, letter: float = 6.2) -> list[str]:
    """Texts that reach beyond the sheet they stand on, at so many pixels a letter."""
    beyond = []
    for drawing in parsed(figure).iter("svg"):
        width = float(drawing.get("viewBox", "").split()[2])
        for each in drawing.iter("text"):
            style, told = each.get("style", ""), "".join(each.itertext())
            place = re.search(r"translate\(([-\d.]+)", each.get("transform", ""))
            x = float(place.group(1)) if place else float(each.get("x", "0"))
            long = letter * len(told)
            left = x - long if "anchor: end" in style else x - long / 2 if "anchor: middle" in style else x
            if left < -8 or left + long > width + 8:
                beyond.append(told)
    return beyond

"""What our pages have in common: templates with everything escaped, one style sheet, one script."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from proofset.reporting import words

if TYPE_CHECKING:
    from jinja2 import Environment

TOP = 20
"""Rows of a table that stand open; the rest is folded away."""


def part(name: str) -> str:
    """A file of this room: a template, the style sheet or the script."""
    return resources.files("proofset.reporting").joinpath(name).read_text(encoding="utf-8")


def environment() -> Environment:
    """Templates with everything escaped, anything undefined an error, and our words as filters."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    made = Environment(
        loader=FunctionLoader(part), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Any] = {
        "count": words.count, "percent": words.percent, "points": words.points, "money": words.money,
        "duration": words.duration, "reason": words.reason, "plain": words.plain, "shown": words.shown,
        "style_of": words.style_of, "number": words.number, "metric": words.metric,
        "slice_title": words.slice_title, "share": words.share, "whole": words.whole,
    }  # fmt: skip
    made.filters.update(filters)
    made.globals.update(MARKS={str(claim): mark for claim, mark in words.MARKS.items()})
    made.globals.update(DASH=words.DASH, AT_EQUAL_REST=words.AT_EQUAL_REST)
    return made

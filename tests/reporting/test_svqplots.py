"""Ratios begin at nothing, stand against 1 and the threshold, and what was not taken is not drawn."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.reporting import samples
from tests.reporting.drawings import inside, parsed, sound, texts, wide

from proofset.nouns.viability import Viability
from proofset.reporting.svqplots import MOST_SLICES, quotient_figure, slices_figure


def bars(figure: str) -> list[tuple[float, float, str]]:
    """Left end, right end and colour of each pale bar of the wide drawing, from the top."""
    flat = wide(figure).replace("\n", " ")
    found = re.findall(
        r'<path d="M ([\d.]+) ([\d.]+) +L ([\d.]+) [\d.]+ +L[^"]*z *"[^>]*style="fill: var\((--\w+)\); opacity: 0.2',
        flat,
    )
    return [(float(left), float(right), colour) for left, _, right, colour in found]


def rule(figure: str, dashed: bool) -> float:
    """Where the line of the threshold or of 1 stands in the wide drawing."""
    flat = wide(figure).replace("\n", " ")
    places = re.findall(r'<path d="M ([\d.]+) [\d.]+ +L \1 [\d.]+ *"[^>]*style="([^"]*)"', flat)
    found = {float(x) for x, style in places if ("dasharray" in style) is dashed and "--line" not in style}
    return min(found) if dashed else max(found)


@pytest.mark.parametrize("found", [samples.viability(), samples.fresh(), samples.odd(), samples.untaken()])
def test_a_figure_is_sound_and_no_text_leaves_its_sheet(found: Viability) -> None:
    figure = quotient_figure(found)
    sound(figure)
    assert inside(figure) == []


def test_every_component_is_named_with_its_number_and_the_weakest_is_said() -> None:
    told = texts(quotient_figure(samples.viability()))
    for key, name, *_ in samples.COMPONENTS:
        assert any(text.startswith(f"{key} {name}") for text in told), key
    for words in ("A1 authenticity · weakest", "0.80 (0.77 to 0.82)", "needed: 0.90", "organic: 1", "Y training lift",
                  "−0.12 (−0.21 to −0.03)", "no use: 0", "SVQ, their minimum"):  # fmt: skip
        assert words in told, words
    assert sum("weakest" in text for text in told) == 1, "on the narrow sheet its ground and weight say it"


def test_bars_begin_at_nothing_and_are_as_long_as_the_ratio() -> None:
    figure = quotient_figure(samples.viability(companion=False))
    found, one = bars(figure), rule(figure, dashed=False)
    start = found[0][0]
    values = [0.8, *(each[2] for each in samples.COMPONENTS)]
    assert len(found) == len(values)
    for (left, right, _), value in zip(found, values, strict=True):
        assert left == start
        assert (right - left) / (one - start) == pytest.approx(value, abs=0.002)
    assert (rule(figure, dashed=True) - start) / (one - start) == pytest.approx(0.9, abs=0.002)


def test_colours_follow_where_the_whole_interval_lies() -> None:
    colours = [colour for _, _, colour in bars(quotient_figure(samples.viability()))]
    assert colours == [
        "--harms",
        "--helps",
        "--helps",
        "--helps",
        "--helps",
        "--muted",
        "--harms",
        "--harms",
        "--helps",
    ]


def test_the_companion_has_an_axis_of_its_own_and_no_bar() -> None:
    with_it, without = quotient_figure(samples.viability()), quotient_figure(samples.viability(companion=False))
    assert len(bars(with_it)) == len(bars(without)) == 9
    assert "no use: 0" not in texts(without)
    assert "Beside the minimum" not in texts(without)


def test_what_was_not_taken_tells_why_and_has_no_mark() -> None:
    figure = quotient_figure(samples.untaken())
    assert bars(figure) == []
    assert texts(figure).count("not taken") == 18
    assert texts(figure).count("fewer than 400 records in the control") == 18


def test_huge_values_end_at_the_edge_and_keep_their_number() -> None:
    figure = quotient_figure(samples.odd())
    longest = max(right for _, right, _ in bars(figure))
    start, one = bars(figure)[0][0], rule(figure, dashed=False)
    assert (longest - start) / (one - start) <= 2.001
    told = texts(figure)
    assert "2.31 (2.20 to 2.42)" in told
    assert "9.20 (1.10 to 17.3)" in told


def test_a_zero_has_no_bar_and_its_number() -> None:
    figure = quotient_figure(samples.odd())
    assert len(bars(figure)) == 4, "the quotient and two components are 0, two were not taken"
    assert "0.00 (0.00 to 0.01)" in texts(figure)


def test_slices_are_drawn_weakest_first_and_the_whole_last() -> None:
    figure = slices_figure(samples.sliced())
    sound(figure)
    names = [text for text in texts(wide(figure)) if "(n = " in text or text == "all records"]
    assert names == ["fraud (n = 10,000)", "billing (n = 2,275)", "returns (n = 10,000)", "all records"]


def test_of_many_slices_the_weakest_are_drawn() -> None:
    many = [replace(samples.viability(), slice=f"s{number:02}", quotient=samples.ratio("SVQ", number / 70))
            for number in range(70)]  # fmt: skip
    names = [text for text in texts(wide(slices_figure([*many, samples.fresh()]))) if "(n = " in text]
    assert len(names) == MOST_SLICES
    assert names[0].startswith("s00")
    assert inside(slices_figure(many)) == []


def test_one_slice_needs_no_figure() -> None:
    assert slices_figure([samples.viability()]) == ""


def test_a_hostile_name_is_a_text() -> None:
    hostile = '<b onload="x">&$\\frac{1}{2}$ @0@ ' + "w" * 300
    parts = tuple(replace(each, measure=replace(each.measure, name=hostile)) for each in samples.viability().components)
    figure = quotient_figure(replace(samples.viability(), components=parts, slice=hostile))
    sound(figure)
    assert {each.tag for each in parsed(figure).iter()} & {"b", "script"} == set()
    assert inside(figure) == []


def test_the_same_viability_gives_the_same_bytes() -> None:
    assert quotient_figure(samples.viability()) == quotient_figure(samples.viability())

"""What is lost is seen where it is lost, and when the alarm was raised."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.reporting import samples
from tests.reporting.drawings import boxes, inside, sound, texts, wide

from proofset.nouns.viability import Collapse
from proofset.reporting import collapseplots
from proofset.reporting.collapseplots import STEPS, decay_figure, retention_map, shade


def with_retention(*columns: tuple[float, ...]) -> Collapse:
    base = samples.collapse(len(columns) - 1, 2)
    made = tuple(replace(each, retention=column) for each, column in zip(base.generations, columns, strict=True))
    return replace(base, generations=made)


def cells(figure: str) -> list[tuple[str, float, float, float, float, float]]:
    """Colour, opacity, left, top, width and height of each box of the map in the wide drawing, its bar left out."""
    found = []
    for path, colour, opacity in re.findall(
        r'd="([^"]*)" clip-path="[^"]*" style="fill: var\((--\w+)\); opacity: ([\d.]+)', wide(figure)
    ):
        for box in re.findall(r"M ([^z]*)z", path):
            xs, ys = [[float(each) for each in re.findall(r"[\d.]+", box)][side::2] for side in (0, 1)]
            found.append((colour, float(opacity), min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)))
    return [each for each in found if each[4] > 16]


@pytest.mark.parametrize("last", [0, 1, 5, 40])
@pytest.mark.parametrize("directions", [1, 3, 64])
def test_a_map_of_any_size_is_sound_and_fits(last: int, directions: int) -> None:
    figure = retention_map(samples.collapse(last, directions))
    sound(figure)
    assert inside(figure) == []
    assert all(height < 620 for _, height in boxes(figure))
    assert len(figure) < 150_000


@pytest.mark.parametrize("last", [0, 1, 5, 12, 40])
def test_curves_of_any_length_are_sound_and_fit(last: int) -> None:
    figure = decay_figure(samples.collapse(last))
    sound(figure)
    assert inside(figure) == []


def test_shades_are_even_in_the_logarithm_and_end() -> None:
    assert shade(1.0, 4.0) == 0
    assert shade(0.25, 4.0) == -STEPS
    assert shade(4.0, 4.0) == STEPS
    assert shade(0.5, 4.0) == -shade(2.0, 4.0) == -STEPS // 2
    assert shade(0.0, 4.0) == -STEPS
    assert shade(100.0, 4.0) == STEPS


def test_losses_and_gains_have_their_colours_and_one_has_none() -> None:
    found = cells(retention_map(with_retention((1.0, 1.0), (0.5, 2.0), (0.7, 1.0))))
    assert [colour for colour, *_ in found] == ["--harms", "--harms", "--accent"]
    deep, pale, gain = (opacity for _, opacity, *_ in found)
    assert deep == gain > pale > 0


def test_the_first_direction_is_on_top_and_the_first_generation_on_the_left() -> None:
    figure = retention_map(with_retention((0.5, 1.0), (1.0, 0.5)))
    (_, _, left, top, width, height), (_, _, right, bottom, *_) = sorted(cells(figure), key=lambda cell: cell[2])
    assert right == pytest.approx(left + width, abs=0.2)
    assert bottom == pytest.approx(top + height, abs=0.2)
    assert [text for text in texts(wide(figure)) if text in ("0", "1", "2")].count("0") == 1


def test_what_was_not_taken_leaves_the_paper() -> None:
    assert cells(retention_map(with_retention((float("nan"), 1.0)))) == []


def test_equal_cells_below_each_other_are_one() -> None:
    found = cells(retention_map(with_retention((0.5, 0.5))))
    assert len(found) == 1


def test_the_scale_grows_with_what_is_to_be_shown() -> None:
    def ends(found: Collapse) -> str:
        return next(text for text in texts(retention_map(found)) if text.startswith("≤"))

    assert ends(with_retention((0.9, 1.0))) == "≤ 0.5"
    assert ends(with_retention((0.3, 1.0))) == "≤ 0.25"
    assert ends(with_retention((0.01, 1.0))) == "≤ 0.1"


def test_without_directions_or_generations_there_is_no_figure() -> None:
    base = samples.collapse(1)
    assert (
        retention_map(replace(base, generations=tuple(replace(each, retention=()) for each in base.generations))) == ""
    )
    assert decay_figure(replace(base, generations=())) == ""


def test_half_lives_stand_in_the_legend_and_values_at_the_ends() -> None:
    told = texts(wide(decay_figure(samples.collapse())))
    for words in ("variance (A): half-life 103 generations (67 to 224)", "Vendi score (V2)", "rare modes 0.33",
                  "effective rank 0.69", "0.67"):  # fmt: skip
        assert words in told, words


def test_a_share_that_does_not_decay_says_so() -> None:
    found = samples.collapse()
    still = replace(found.decays[3], of="rank")
    told = texts(wide(decay_figure(replace(found, decays=(still,)))))
    assert "effective rank (ER): no decay detected" in told


def test_an_alarm_stands_at_the_generation_that_raised_it() -> None:
    figure = wide(decay_figure(samples.collapse(8)))
    dotted = re.findall(
        r'd="M ([\d.]+) [\d.]+ +L \1 [\d.]+ *"[^>]*style="[^"]*dasharray: 1[.,]', figure.replace("\n", " ")
    )
    assert len(dotted) == 2
    ticks = {text: x for x, text in re.findall(r'text[^>]*x="([\d.]+)"[^>]*>(\d+)</text>', figure)}
    assert [float(x) for x in dotted] == pytest.approx([float(ticks["2"]), float(ticks["6"])], abs=0.6)
    told = texts(figure)
    assert "alarm: rank and rare modes, generation 2" in told
    assert "alarm: variance, generation 6" in told


def test_silent_charts_have_no_mark() -> None:
    assert not any(text.startswith("alarm") for text in texts(decay_figure(samples.collapse(alarmed=False))))


def test_a_line_breaks_where_nothing_was_taken() -> None:
    found = samples.collapse(4)
    gone = replace(found.generations[2], rare=samples.ratio("TS", None), vendi=samples.ratio("V2", None))
    made = (*found.generations[:2], gone, *found.generations[3:])
    figure = decay_figure(replace(found, generations=made))
    sound(figure)
    last = replace(found.generations[-1], rare=samples.ratio("TS", None))
    told = texts(decay_figure(replace(found, generations=(*found.generations[:-1], last))))
    assert not any(text.startswith("rare modes 0") for text in told)


def test_nothing_taken_at_all_is_drawn_all_the_same() -> None:
    found = samples.collapse(2)
    none = samples.ratio("x", None)
    made = tuple(
        replace(each, variance=none, rank=none, rare=none, vendi=none, loss=none) for each in found.generations
    )
    sound(decay_figure(replace(found, generations=made)))


def test_gains_beyond_one_stay_on_the_sheet() -> None:
    found = samples.collapse(2)
    made = tuple(replace(each, vendi=samples.ratio("V2", 2.3, 2.1, 2.5)) for each in found.generations)
    figure = decay_figure(replace(found, generations=made))
    sound(figure)
    assert "Vendi score 2.30" in texts(figure)
    assert inside(figure) == []


def test_every_line_has_a_marker_of_its_own() -> None:
    drawn = [collapseplots.LOOKS[field] for field in collapseplots.RETAINED]
    assert len({look["marker"] for look in drawn}) == len({look["color"] for look in drawn}) == len(drawn)

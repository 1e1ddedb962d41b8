from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from proofset.config import Study
from proofset.nouns.event import Event
from proofset.nouns.result import Measure
from proofset.reporting import plots
from proofset.reporting.story import Findings, Pair, findings

HOSTILE = '<b onload="x">&$\\frac{1}{2}$ "שלום" 🚀 ' + "w" * 500


@pytest.fixture
def found(study: Study, sms: Sequence[Event]) -> Findings:
    return findings(study, sms)


def parsed(figure: str) -> ET.Element:
    return ET.fromstring(figure.replace("xlink:href", "href"))


def texts(figure: str) -> list[str]:
    return ["".join(each.itertext()) for each in parsed(figure).iter("text")]


def test_a_figure_is_well_formed_twice_drawn_and_described(found: Findings) -> None:
    assert found.proof is not None
    for figure in (
        plots.deficits_figure(found.deficits),
        plots.forest_figure(found.proof, 0.01),
        plots.viability_figure(found.pairs),
    ):
        drawings = list(parsed(figure).iter("svg"))
        assert [each.get("role") for each in drawings] == ["img", "img"]
        assert all(len(each.get("aria-label", "")) > 40 for each in drawings)
        ids = re.findall(r'\bid="([^"]+)"', figure)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', figure)) <= set(ids)


def test_colours_are_the_pages_own(found: Findings) -> None:
    figure = plots.deficits_figure(found.deficits)
    assert "var(--accent)" in figure
    assert "#0123" not in figure
    assert not re.findall(r"#[0-9a-f]{6}\b", figure), "every colour follows light and dark mode"


def test_nothing_tells_time_tool_or_outside_address(found: Findings) -> None:
    figure = plots.deficits_figure(found.deficits)
    assert "http" not in figure
    assert "<metadata" not in figure
    assert "<!--" not in figure


def test_same_findings_same_bytes(found: Findings) -> None:
    assert found.proof is not None
    assert plots.forest_figure(found.proof, 0.01) == plots.forest_figure(found.proof, 0.01)


def test_the_readers_own_plot_settings_change_nothing(found: Findings) -> None:
    from matplotlib import rc_context

    before = plots.deficits_figure(found.deficits)
    with rc_context(
        {"axes.grid": True, "lines.marker": "x", "font.size": 30, "xtick.major.size": 9, "text.usetex": True}
    ):
        assert plots.deficits_figure(found.deficits) == before


def test_hostile_titles_are_text_and_nothing_else(found: Findings) -> None:
    deficits = [replace(each, title=HOSTILE) for each in found.deficits]
    figure = plots.deficits_figure(deficits)
    assert "<b" not in figure
    assert any('<b onload="x">' in text for text in texts(figure))
    assert all(len(text) < 90 for text in texts(figure))


def test_numbers_stand_beside_the_dots(found: Findings) -> None:
    assert found.proof is not None
    shown = [text.replace("\u00a0", " ") for text in texts(plots.forest_figure(found.proof, 0.01))]
    assert "+6.4 (+4.9 to +7.9)" in shown
    assert {"Starved slices, at equal rest", "The rest, as tuned", "Macro-F1, as tuned", "+ unjudged"} <= set(shown)
    headings = [text for text in shown if "tuned" in text or "equal rest" in text]
    assert headings[:2] == ["Starved slices, at equal rest", "The rest, as tuned"], "what the claim rests on is first"


def test_the_margin_is_marked_in_the_rows_of_the_rest_alone(found: Findings) -> None:
    assert found.proof is not None
    none = replace(found.proof, pooled=tuple(g for g in found.proof.pooled if g.metric != "rest accuracy"))
    assert plots.forest_figure(found.proof, 0.01).count("stroke-dasharray") == 6
    assert "stroke-dasharray" not in plots.forest_figure(none, 0.01)


def test_many_slices_become_a_scatter_with_ranks(study: Study, cwe: Sequence[Event]) -> None:
    shown = texts(plots.deficits_figure(findings(study, cwe).deficits))
    assert {"1, 2", "3", "organic training records (log scale)", "1,000"} <= set(shown)


def test_measures_that_could_not_be_taken_are_left_to_the_table() -> None:
    missing = Measure(name="x", value=None)
    assert plots.viability_figure([Pair(measure=missing, control=missing)]) == ""


def test_values_without_interval_and_nan_do_not_break_a_figure() -> None:
    bare, odd = Measure(name="x", value=1.0), Measure(name="y", value=2.0, low=float("nan"), high=float("inf"))
    figure = plots.viability_figure([Pair(measure=bare, control=odd), Pair(measure=odd, control=bare)])
    assert "nan" not in figure
    assert parsed(figure) is not None


def test_both_halves_of_the_claim_have_a_scale_of_their_own(found: Findings) -> None:
    assert found.proof is not None
    wide, narrow = parsed(plots.forest_figure(found.proof, 0.01)).iter("svg")
    for drawing in (wide, narrow):
        axes = [each.get("id", "") for each in drawing.iter("g") if re.search(r"-axes_\d+$", each.get("id", ""))]
        assert len(axes) == 3, "equal rest, the rest, and all that is as tuned"


def test_a_proof_without_the_claimed_metrics_is_still_drawn(found: Findings) -> None:
    assert found.proof is not None
    only = replace(found.proof, pooled=tuple(g for g in found.proof.pooled if g.metric == "accuracy"))
    assert "All records, as tuned" in texts(plots.forest_figure(only, 0.01))

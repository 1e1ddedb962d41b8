from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from tests.reporting import samples
from tests.reporting.outline import Outline

from proofset.reporting.embeddingmap import Map
from proofset.reporting.measures import TITLE, render_measures, viability_section

HOSTILE = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)> \u202e {{ 7*7 }} \ud800\x00" + "w" * 3000


@pytest.fixture(scope="module")
def page() -> str:
    rng = np.random.default_rng(0)
    return render_measures(
        viability=samples.sliced(), collapse=samples.collapse(), findings=samples.findings(),
        maps=[Map.of(rng.normal(size=(60, 5)), rng.normal(size=(40, 5)))], describe=samples.described(),
        title="Support tickets",
    )  # fmt: skip


def test_the_verdicts_come_first_and_the_sections_in_order(page: str) -> None:
    text = Outline(page).text
    order = ["Support tickets", "NOT CROSSED : SVQ 0.80 [0.77, 0.82] against 0.90; weakest: authenticity",
             "COLLAPSING : DMC 0.67", "1 of 2 experiments disagrees with theory: C-13", "1 Is it viable?",
             "Slice by slice, the weakest first", "2 Where the records lie", "3 Does it collapse?", "How fast",
             "What to do", "Direction by direction", "4 The text itself", "5 Does the arithmetic hold?",
             "6 What this page does not show"]  # fmt: skip
    text = text[text.index("proofset · measures") :]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_every_number_of_the_figures_stands_in_a_table(page: str) -> None:
    text = Outline(page).text
    for words in (
        "▼ 0.80 0.77 to 0.82 One record in five lies nearer", "Y training lift ▼ −0.12 −0.21 to −0.03",
        "fewer than 400 records in the control", "9.20", "0.896", "rare modes 20.0 % 9.5 % to 29.3 % 3.1 (2.0 to 6.9)",
        "Numbers of the 64 directions", "± 0.0225", "✗ no", "Numbers of the curves", "C-13 Part real",
        "distinct-2 0.412 0.405 to 0.419 0.468", "organic 60 90.0 % 0; 0", "these 10,000 synthetic records are worth",
        "the interval of training lift above 0",
    ):  # fmt: skip
        assert words in text, words


def test_every_figure_has_a_text_in_its_place(page: str) -> None:
    drawings = re.findall(r"<svg [^>]*>", page)
    assert len(drawings) == 2 * 6
    assert all(re.search(r'role="img" aria-label="[^"]{40,}"', each) for each in drawings)


def test_a_part_that_was_not_measured_is_left_out() -> None:
    text = Outline(render_measures(collapse=samples.collapse(1, 3))).text
    assert "1 Does it collapse?" in text
    assert "Is it viable?" not in text
    assert "no promise of privacy" not in text, "limits of what is not there"
    assert "2 What this page does not show" in text


def test_nothing_measured_is_a_page_that_says_so() -> None:
    page = render_measures()
    text = Outline(page).text
    assert TITLE in text
    assert "Nothing was measured." in text
    assert "<section" not in page


def test_many_slices_and_generations_are_folded() -> None:
    many = [replace(samples.viability(), slice=f"slice {number}") for number in range(30)]
    page = render_measures(viability=[*many, samples.viability()], collapse=samples.collapse(40))
    text = Outline(page).text
    assert "The other 11 rows" in text
    assert "The other 21 generations" in text
    assert 'data-filter="Find a slice"' in page
    assert text.count("slice 29") >= 2


def test_many_experiments_are_folded_and_those_that_disagree_stand_open() -> None:
    good, bad = samples.findings()
    page = render_measures(findings=[good, good, good, bad])
    assert page.count("<details><summary>C-01") == 3
    assert page.count("<details open><summary>C-13") == 1


def test_one_generation_and_what_was_not_taken_are_no_obstacle() -> None:
    text = Outline(render_measures(viability=[samples.untaken()], collapse=samples.collapse(0, 1, alarmed=False))).text
    assert "UNDECIDED in returns : the SVQ could not be taken: fewer than 400 records" in text
    assert "NO COLLAPSE SHOWN : DMC 0.00 [0.00, 0.06] at generation 0" in text
    assert "nan" not in text
    assert "None" not in text


def test_the_page_asks_nobody_for_anything(page: str) -> None:
    outline = Outline(page)
    addresses = {value for name, value in outline.attributes if name in ("href", "src", "xlink:href", "action", "data")}
    assert {each for each in addresses if not each.startswith("#")} == {"data:,"}
    assert not re.search(r"url\((?!#)|@import|https?://", page)
    assert {"img", "iframe", "object", "form"}.isdisjoint(outline.tags)
    assert "default-src 'none'" in page


def test_all_ids_are_unique(page: str) -> None:
    ids = [value for name, value in Outline(page).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_the_same_measures_give_the_same_bytes(page: str) -> None:
    assert render_measures(viability=samples.sliced()) == render_measures(viability=samples.sliced())


def test_hostile_texts_are_shown_and_do_nothing() -> None:
    rng = np.random.default_rng(0)
    base = samples.viability()
    parts = tuple(replace(each, words=HOSTILE, measure=replace(each.measure, name=HOSTILE)) for each in base.components)
    found = replace(base, slice=HOSTILE, components=parts, notes=(HOSTILE,), encoder=HOSTILE, protocol=HOSTILE)
    fall = samples.collapse(2, 2)
    fall = replace(fall, advice=(HOSTILE,), notes=(HOSTILE,), signature=HOSTILE, encoder=HOSTILE,
                   generations=tuple(replace(each, leads=HOSTILE) for each in fall.generations))  # fmt: skip
    good = samples.findings()[0]
    finding = replace(good, id=HOSTILE, title=HOSTILE, words=HOSTILE, source=HOSTILE,
                      curves=tuple(replace(each, name=HOSTILE, x_label=HOSTILE) for each in good.curves))  # fmt: skip
    spot = Map(name=HOSTILE, organic=rng.normal(size=(20, 2)), synthetic=rng.normal(size=(20, 2)))
    page = render_measures(viability=[found, base], collapse=fall, findings=[finding], maps=[spot], title=HOSTILE)
    page.encode("utf-8")
    outline = Outline(page)
    assert outline.tags.count("script") == 1, "ours"
    assert "img" not in outline.tags
    assert not {name for name, _ in outline.attributes if name.startswith("on")}
    assert "{{ 7*7 }}" in outline.text
    assert "\x00" not in page


def test_the_fragment_fits_into_a_section_of_another_page() -> None:
    part = viability_section(samples.sliced())
    outline = Outline(part)
    assert {"html", "body", "section", "script", "h1", "h2"}.isdisjoint(outline.tags)
    assert "h3" in outline.tags
    assert "NOT CROSSED : SVQ 0.80" in outline.text
    ids = [value for name, value in outline.attributes if name == "id"]
    assert ids
    assert all(each.startswith("svq") for each in ids)
    assert viability_section([]) == ""


def test_a_page_of_one_kind_has_its_heading() -> None:
    assert "<h1>What have the generations lost?</h1>" in render_measures(collapse=samples.collapse(1, 2))
    assert "<h1>What is known of training on generated data</h1>" in render_measures(findings=samples.findings()[1:])
    assert f"<h1>{TITLE}</h1>" in render_measures(describe=samples.described(), findings=samples.findings()[1:])


def test_what_was_not_measured_is_said_and_not_drawn() -> None:
    whole = samples.viability()
    none = replace(
        whole,
        components=(),
        companion=None,
        weakest="",
        quotient=replace(whole.quotient, value=None, note="15 are few"),
    )
    drawn, said = viability_section([whole]), viability_section([none])
    assert "<svg" in drawn and "<svg" not in said
    assert "15 are few" in said

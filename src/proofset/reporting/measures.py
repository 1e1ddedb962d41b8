"""Viability, collapse and known answers as one self-contained page, and as a part of the page of a run.

The verdicts stand first; every figure has a text in its place for those who cannot see it, and a table beside it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proofset.nouns.result import Measure
from proofset.nouns.viability import Collapse, Crossing, Viability
from proofset.reporting import answers, collapseplots, embeddingmap, labplots, svqplots
from proofset.reporting.answers import MARKS, ratio
from proofset.reporting.embeddingmap import Map
from proofset.reporting.pages import TOP, environment, part
from proofset.reporting.words import count, finite, line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from proofset.measuring.findings import Finding

TITLE = "Is the synthetic text as good as organic?"
OF_COLLAPSE_ALONE, OF_LAB_ALONE = "What have the generations lost?", "What is known of training on generated data"
"""Headings of pages of one kind."""
CLASSES = {Crossing.CROSSED: "helps", Crossing.NOT_CROSSED: "harms", Crossing.UNDECIDED: "not-shown"}
"""What the style sheet calls the colour of each verdict."""
OF_VIABILITY = (
    "Whether the text is good under another encoder: what the encoder cannot tell apart counts as equal.",
    "Whether anybody’s data are safe: that few records are copies is no promise of privacy.",
    "Whether the organic records are the right ones: text unlike them fails, even where the world has moved on.",
    "Whether a new kind of record is an error or an insight: what organic records never show counts against fidelity; "
    "read it beside the training lift.",
)
OF_COLLAPSE = (
    "What another loop would do: the rates hold for this generator, this batch and this decoding.",
    "What lies beyond the planning horizon: a half-life extends what was seen, and tails do not fall evenly.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """A verdict with what it rests on."""

    mark: str
    kind: str
    verdict: str
    grounds: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """A figure to remember."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the records of one kind lie on a map."""

    kind: str
    n: int
    inside: float | None
    middle: tuple[float, ...]
    spread: tuple[float, ...]


def render_measures(
    *,
    viability: Sequence[Viability] = (),
    collapse: Collapse | None = None,
    findings: Sequence[Finding] = (),
    maps: Sequence[Map] = (),
    describe: Sequence[tuple[Measure, Measure]] = (),
    title: str = "",
) -> str:
    """The page of what was measured; a part that was not is left out. The same arguments give the same bytes."""
    script = part("page.js")
    limits = (OF_VIABILITY if viability else ()) + (OF_COLLAPSE if collapse else ())
    page: str = _environment().get_template("measures.html.j2").render(
        title=line(title) or _title(viability, collapse, findings, (*maps, *describe)),
        answers=list(_answers(viability, collapse, findings)),
        key_figures=list(_key_figures(viability, collapse)),
        viability=viability, collapse=collapse, findings=findings, maps=maps, describe=describe,
        places=[_places(each) for each in maps],
        figures=_svq_figures(viability) | {
            "decay": collapseplots.decay_figure(collapse) if collapse else "",
            "retention": collapseplots.retention_map(collapse) if collapse else "",
            "lab": [labplots.curves_figure(each, f"lab-{place}") for place, each in enumerate(findings)],
            "maps": [
                embeddingmap.embedding_map(each.organic, each.synthetic, name=f"map-{place}", share=each.share)
                for place, each in enumerate(maps)
            ],
        },
        limits=limits,
        style=part("page.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )  # fmt: skip
    return page


def _title(
    viability: Sequence[Viability], collapse: Collapse | None, findings: Sequence[Finding], more: Sequence[object]
) -> str:
    if viability or more or not (collapse or findings):
        return TITLE
    return OF_COLLAPSE_ALONE if collapse else OF_LAB_ALONE


def viability_section(found: Sequence[Viability]) -> str:
    """The viability as an HTML fragment with headings of the third rank, for a section of another page; "" for none.

    Its style is the run page's; its figures' ids begin with "svq".
    """
    if not found:
        return ""
    part: str = _environment().get_template("viability.html.j2").render(viability=found, figures=_svq_figures(found))
    return part


def _environment() -> Any:
    """That of the run's page, with these words."""
    made = environment()
    made.globals.update(say=answers, marks=MARKS, classes=CLASSES, top=TOP)
    return made


def _svq_figures(found: Sequence[Viability]) -> dict[str, Any]:
    lead = answers.leading(found)
    return {
        "quotient": svqplots.quotient_figure(lead, "svq") if lead else "",
        "slices": svqplots.slices_figure(found, "svq-slices"),
    }


def _answers(
    viability: Sequence[Viability], collapse: Collapse | None, findings: Sequence[Finding]
) -> Iterator[_Answer]:
    if lead := answers.leading(viability):
        where = f" in {line(lead.slice, 60)}" if lead.slice else ""
        yield _Answer(mark=MARKS[lead.verdict], kind=CLASSES[lead.verdict], verdict=lead.verdict.upper() + where,
                      grounds=answers.grounds(lead))  # fmt: skip
    if collapse:
        state, _, grounds = answers.collapse_headline(collapse).partition(": ")
        mark, kind = ("▼", "harms") if collapse.collapsing else ("○", "not-shown")
        yield _Answer(mark=mark, kind=kind, verdict=state, grounds=grounds)
    if findings:
        holds = all(each.holds for each in findings)
        yield _Answer(mark="▲" if holds else "▼", kind="helps" if holds else "harms",
                      verdict=answers.findings_headline(findings))  # fmt: skip


def _key_figures(viability: Sequence[Viability], collapse: Collapse | None) -> Iterator[_Key]:
    if lead := answers.leading(viability):
        parts = (answers.bounds(lead.quotient, lead.threshold), f"needed: {ratio(lead.threshold)}")
        yield _Key(label="SVQ", value=ratio(lead.quotient.value, lead.threshold), detail="; ".join(filter(None, parts)))
        if (worth := answers.rough(lead.equivalent)) is not None:
            most = answers.rough(lead.saturation)
            end = "no end in sight" if most is None else f"at most {count(most)} from more of them"
            yield _Key(label="organic records’ worth", value=count(worth),
                       detail=f"of {count(lead.sizes[3])} synthetic ones; {end}")  # fmt: skip
        if lead.companion and finite(lead.companion.measure.value) is not None:
            lift = lead.companion.measure
            yield _Key(label=line(lift.name), value=ratio(lift.value, 0.0), detail=answers.bounds(lift, 0.0))
    if collapse and collapse.generations:
        last = collapse.generations[-1]
        yield _Key(label="DMC, the largest loss", value=ratio(last.loss.value),
                   detail=f"generation {last.number}; {answers.bounds(last.loss)}".rstrip("; "))  # fmt: skip
        known = [each for each in collapse.decays if finite(each.half_life.value) is not None]
        if known:
            fastest = min(known, key=lambda each: each.half_life.value or 0.0)
            life, _, rest = answers.half_life(fastest).partition(" generations")
            yield _Key(label="generations to half", value=life, detail=f"{line(fastest.of)}{rest}")


def _places(found: Map) -> list[_Place]:
    """A row for each kind of record; numbers are left out where there are none."""
    kinds = (("organic", found.organic), ("synthetic", found.synthetic))
    return [
        _Place(kind=kind, n=len(points), inside=inside, middle=_plain(points.mean(axis=0)) if len(points) else (),
               spread=_plain(points.std(axis=0)) if len(points) else ())
        for (kind, points), inside in zip(kinds, embeddingmap.inside_shares(found), strict=True)
    ]  # fmt: skip


def _plain(values: NDArray[np.float64]) -> tuple[float, ...]:
    """As Python's numbers, rounding error taken for 0."""
    return tuple(round(float(value), 9) + 0.0 for value in values)

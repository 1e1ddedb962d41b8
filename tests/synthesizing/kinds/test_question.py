"""A question with its answer: what it cites must be there, and word for word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.models.structured import Shape, Shaped
from proofset.nouns.candidate import Brief
from proofset.nouns.evidence import Evidence, Fact, Passage
from proofset.nouns.record import Message
from proofset.plugins import Content, Told
from proofset.synthesizing.kinds.question import Answer, Citation, question

PASSAGES = (
    Passage(id="p1", text="The harbour freezes in\nJanuary, and thaws in  March.", source="a.txt"),
    Passage(id="p2", text="Ships wait outside.", source="a.txt"),
)
BRIEF = Brief(
    id="b", slice="s", label="s", number=0, anchors=(), opening="",
    evidence=Evidence(PASSAGES, (Fact("ice", "melts in", "March"),)), unseen_fold=0, seed=0, prompt="", shared_chars=0,
)  # fmt: skip
GOOD = Citation(passage="p1", quote="freezes in January")


def read(*citations: Citation, asks: str = "When does it freeze?", says: str = "In January.") -> Content:
    return question.read(Answer(citations=citations, question=asks, answer=says), BRIEF)


def test_a_cited_answer_is_sound() -> None:
    content = read(GOOD, Citation(fact="Ice|melts in|march"))
    assert question.fault(content, BRIEF) == ""
    assert content.text == "When does it freeze?\nIn January."
    assert question.messages_of(content) == (
        Message("user", "When does it freeze?"),
        Message("assistant", "In January."),
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (Content("a\nb"), "not of this kind"),
        (read(GOOD, asks=" "), "empty question"),
        (read(GOOD, says="\n"), "empty answer"),
        (read(), "no citation"),
        (read(GOOD, Citation()), "no citation"),
        (read(Citation(passage="p3", quote="freezes in January")), "unknown passage"),
        (read(Citation(quote="freezes in January")), "unknown passage"),
        (read(Citation(passage="p2", quote="freezes in January")), "quote not found"),
        (read(Citation(passage="p1", quote="freezes in january")), "quote not found"),
        (read(Citation(passage="p1")), "quote not found"),
        (read(Citation(passage="p1", quote="thaws  in\nMarch.")), ""),
        (read(Citation(fact="ice | melts in | April")), "unknown fact"),
        (read(Citation(passage="p1", quote="freezes in January", fact="ice | is | cold")), "unknown fact"),
        (read(GOOD, asks="Does it freeze in January or in May?"), "answer in question"),
        (read(GOOD, asks="Does it freeze in Januaryland?"), ""),
    ],
)  # fmt: skip
def test_each_fault_has_its_code(content: Content, fault: str) -> None:
    assert question.fault(content, BRIEF) == fault


def test_nothing_can_be_cited_where_there_is_no_evidence() -> None:
    assert question.fault(read(GOOD), replace(BRIEF, evidence=Evidence())) == "no evidence"
    facts_only = replace(BRIEF, evidence=Evidence(facts=BRIEF.evidence.facts))
    assert question.fault(read(Citation(fact="ice | melts in | March")), facts_only) == ""


@given(st.data())
def test_every_stretch_of_a_passage_can_be_quoted(data: Any) -> None:
    text = PASSAGES[0].text
    start = data.draw(st.integers(0, len(text) - 1))
    quote = text[start : data.draw(st.integers(start + 1, len(text)))]
    assert question.fault(read(Citation(passage="p1", quote=quote)), BRIEF) == (
        "" if quote.strip() else "quote not found"
    )


def test_evidence_is_shown_as_data_with_its_ids() -> None:
    system, user = (message.content for message in question.messages(BRIEF, Told(title="ice")))
    assert "[begin passage p1 #" in user and PASSAGES[0].text in user and "ice | melts in | March" in user
    assert PASSAGES[1].text not in system and "never an instruction" in system


def test_what_a_strict_server_sends_is_read() -> None:
    shape = Shape.of(Answer)
    text = (
        '{"citations":[{"passage":"p1","quote":"freezes in January","fact":null}],"question":"When does it freeze?",'
        '"answer":"In January."}'
    )
    found = shape.read(text)
    assert isinstance(found, Shaped)
    assert question.read(found.value, BRIEF) == read(GOOD)

"""Grounded question and answer: every answer cites what it rests on, and what it cites is there."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from proofset.nouns.candidate import Brief
from proofset.nouns.evidence import Evidence
from proofset.nouns.record import Message
from proofset.plugins import Content, Told
from proofset.synthesizing.kinds.asking import UNREADABLE, asked, kept, knows_fact, stated_in, task
from proofset.synthesizing.kinds.shape import canonical


class Citation(BaseModel):
    """A place that the answer rests on: a passage and its words, or a fact."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    passage: str = ""
    """Id of the passage, as its begin line gives it; empty for a fact."""
    quote: str = ""
    """Words of that passage, copied exactly; empty for a fact."""
    fact: str = ""
    """A fact, copied as subject | relation | object; empty for a passage."""


class Answer(BaseModel):
    """The shape of a question with its answer; citations come first, so that the question is made for them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    citations: tuple[Citation, ...]
    """What the answer rests on, at least one."""
    question: str
    """A question that can be understood without seeing the passages."""
    answer: str
    """Its answer, in a sentence or two."""


class QuestionAnswer:
    """A question, its answer, and citations of the brief's evidence.

    Faults: not of this kind, no evidence, empty question, empty answer, no citation, unknown passage, quote not found,
    unknown fact, answer in question. When it lies: that a quote is there does not say that the answer follows from
    it, and a quote of one word is there almost always.
    """

    name = "question answer"
    shape: type[BaseModel] | None = Answer

    def messages(self, brief: Brief, told: Told) -> tuple[Message, ...]:
        """The task, and the evidence as data."""
        return asked(task("question"), brief, told)

    def read(self, answer: Any, brief: Brief) -> Content:
        """Question and answer as the text, one a line."""
        del brief
        return Content(f"{answer.question.strip()}\n{answer.answer.strip()}", canonical(answer))

    def fault(self, content: Content, brief: Brief) -> str:
        """The first thing that is wrong."""
        found = kept(content, Answer)
        if found is None:
            return UNREADABLE
        if not brief.evidence.passages and not brief.evidence.facts:
            return "no evidence"
        if not found.question.strip():
            return "empty question"
        if not found.answer.strip():
            return "empty answer"
        if not found.citations:
            return "no citation"
        faults = (_fault_of(citation, brief.evidence) for citation in found.citations)
        in_question = "answer in question" if stated_in(found.answer, found.question) else ""
        return next(filter(None, faults), in_question)

    def messages_of(self, content: Content) -> tuple[Message, ...]:
        """The question of a user, answered by the assistant."""
        found = kept(content, Answer)
        return () if found is None else (Message("user", found.question), Message("assistant", found.answer))


def _fault_of(citation: Citation, evidence: Evidence) -> str:
    passage, quote, fact = (" ".join(part.split()) for part in (citation.passage, citation.quote, citation.fact))
    if not (passage or quote or fact):
        return "no citation"
    if fact and not knows_fact(evidence, fact):
        return "unknown fact"
    if not (passage or quote):
        return ""
    texts = [" ".join(each.text.split()) for each in evidence.passages if " ".join(each.id.split()) == passage]
    if not texts:
        return "unknown passage"
    return "" if quote and any(quote in text for text in texts) else "quote not found"


question = QuestionAnswer()
"""The kind, as the entry point names it."""

"""Evaluation items: an input, a reference answer, and a rubric by which any answer can be graded."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from proofset.nouns.candidate import Brief
from proofset.nouns.record import Message
from proofset.plugins import Content, Told
from proofset.synthesizing.kinds.asking import UNREADABLE, asked, kept, stated_in, task
from proofset.synthesizing.kinds.shape import canonical


class Criterion(BaseModel):
    """One thing that an answer is graded by."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    criterion: str
    """What a good answer does; a reader can say yes or no to it."""
    points: FiniteFloat
    """What it is worth, above 0."""


class Item(BaseModel):
    """The shape of an evaluation item."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    input: str
    """What is put to the model under test, and nothing else."""
    reference: str
    """An answer that earns every point."""
    rubric: tuple[Criterion, ...]
    """What an answer is graded by, at least one criterion."""
    difficulty: int = Field(ge=0)
    """0 is plain; each step up is harder."""


class EvaluationItem:
    """An input with its reference and rubric.

    Faults: not of this kind, empty input, empty reference, no rubric, points not positive, reference in input. When it
    lies: a choice between given answers has its reference in the input, and is refused for it.
    """

    name = "evaluation item"
    shape: type[BaseModel] | None = Item

    def messages(self, brief: Brief, told: Told) -> tuple[Message, ...]:
        """The task, and what there is to go by as data."""
        return asked(task("evaluation"), brief, told)

    def read(self, answer: Any, brief: Brief) -> Content:
        """Input and reference as the text, one a line: what a training record could give away."""
        del brief
        return Content(f"{answer.input.strip()}\n{answer.reference.strip()}", canonical(answer))

    def fault(self, content: Content, brief: Brief) -> str:
        """The first thing that is wrong."""
        del brief
        found = kept(content, Item)
        if found is None:
            return UNREADABLE
        if not found.input.strip():
            return "empty input"
        if not found.reference.strip():
            return "empty reference"
        if not found.rubric or not all(each.criterion.strip() for each in found.rubric):
            return "no rubric"
        if any(each.points <= 0 for each in found.rubric):
            return "points not positive"
        return "reference in input" if stated_in(found.reference, found.input) else ""

    def messages_of(self, content: Content) -> tuple[Message, ...]:
        """The input of a user, answered by the reference."""
        found = kept(content, Item)
        return () if found is None else (Message("user", found.input), Message("assistant", found.reference))


evaluation = EvaluationItem()
"""The kind, as the entry point names it."""

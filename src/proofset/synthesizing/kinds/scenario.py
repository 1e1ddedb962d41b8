"""Adversarial scenarios: an input that is easy to get wrong, why that is so, and what would be safe to do."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from proofset.nouns.candidate import Brief
from proofset.nouns.record import Message
from proofset.plugins import Content, Told
from proofset.synthesizing.kinds.asking import UNREADABLE, asked, kept, stated_in, task
from proofset.synthesizing.kinds.shape import canonical

Attack = Literal["ambiguity", "negation", "injection", "out of scope", "rare wording", "boundary", "conflicting facts"]
"""What makes an input hard."""


class Trap(BaseModel):
    """The shape of an adversarial scenario."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    attack: Attack
    """What makes the input hard."""
    input: str
    """What is put to the model under test, and nothing else."""
    why_hard: str
    """Why a hasty reader gets it wrong."""
    expected: str
    """What would be right and safe to do."""


class AdversarialScenario:
    """A hard input with the behaviour that is expected. Judges read the input alone, as the model under test does.

    Faults: not of this kind, empty input, no reason, no expected behaviour, input states the expectation.
    """

    name = "adversarial scenario"
    shape: type[BaseModel] | None = Trap

    def messages(self, brief: Brief, told: Told) -> tuple[Message, ...]:
        """The task, and what there is to go by as data."""
        return asked(task("scenario"), brief, told)

    def read(self, answer: Any, brief: Brief) -> Content:
        """The input as the text."""
        del brief
        return Content(answer.input.strip(), canonical(answer))

    def fault(self, content: Content, brief: Brief) -> str:
        """The first thing that is wrong."""
        del brief
        found = kept(content, Trap)
        if found is None:
            return UNREADABLE
        if not found.input.strip():
            return "empty input"
        if not found.why_hard.strip():
            return "no reason"
        if not found.expected.strip():
            return "no expected behaviour"
        return "input states the expectation" if stated_in(found.expected, found.input) else ""

    def messages_of(self, content: Content) -> tuple[Message, ...]:
        """The input alone: what is expected is a description, not an answer."""
        found = kept(content, Trap)
        return () if found is None else (Message("user", found.input),)


scenario = AdversarialScenario()
"""The kind, as the entry point names it."""

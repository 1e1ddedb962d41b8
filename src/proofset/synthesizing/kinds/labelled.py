"""Labelled text: a text that continues a prompt and bears the label that was asked for."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from proofset.nouns.candidate import Brief
from proofset.nouns.record import Message
from proofset.plugins import Content, Told


class LabelledText:
    """A text with the brief's label. Fault: empty text."""

    name = "labelled text"
    shape: type[BaseModel] | None = None

    def messages(self, brief: Brief, told: Told) -> tuple[Message, ...]:
        """None: the model continues the brief's prompt."""
        del brief, told
        return ()

    def read(self, answer: Any, brief: Brief) -> Content:
        """The opening words and what the model continued them with, on one line."""
        return Content(" ".join(f"{brief.opening} {answer}".split()))

    def fault(self, content: Content, brief: Brief) -> str:
        """Whether there is any text; how long it is to be is for the gates to say."""
        del brief
        return "" if content.text.strip() else "empty text"

    def messages_of(self, content: Content) -> tuple[Message, ...]:
        """None: it is a plain text."""
        del content
        return ()


labelled = LabelledText()
"""The kind, as the entry point names it."""

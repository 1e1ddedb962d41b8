"""What a candidate may rest on: anchors, passages and facts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A stretch of a document, with its place kept to the character."""

    id: str
    text: str
    source: str
    slice: str = ""
    """The slice this passage defines, when the document says so."""
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Fact:
    """One edge of the knowledge graph."""

    subject: str
    relation: str
    object: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Anchor:
    """An organic record chosen to condition generation."""

    record_id: str
    text: str
    label: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Passages and facts that a candidate may cite and must not contradict."""

    passages: tuple[Passage, ...] = ()
    facts: tuple[Fact, ...] = ()

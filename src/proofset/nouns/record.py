"""Records: the one canonical shape of a training example, and what may never be one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum


def content_id(*parts: object) -> str:
    """16 hex digits that depend on the content alone: equal parts, equal id, on any machine and in any order of work.

    Parts are joined by a separator that cannot occur in text, so ``("ab", "c")`` and ``("a", "bc")`` differ.
    """
    joined = "\x1f".join(str(part) for part in parts)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def normal_form(text: str) -> str:
    """A text with case and runs of white space folded: two texts with equal normal forms are exact copies."""
    return " ".join(text.casefold().split())


class Origin(StrEnum):
    """Where a record came from. Nothing else in proofset decides whether a record is synthetic."""

    ORGANIC = "organic"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One training example: text with an optional label, or messages (``text`` is then their joined content)."""

    id: str
    text: str
    label: str | None = None
    messages: tuple[Message, ...] = ()
    origin: Origin = Origin.ORGANIC
    group: str = ""
    """Near-copies share a group; no split ever divides one."""
    source: str = ""
    """File and line of an organic record; brief and candidate of a synthetic one."""
    licence: str = ""
    generation: int = 0
    """0 for organic; a record made from generation g has g + 1."""
    content: str = ""
    """The whole of a task that is more than a text, as canonical JSON of its kind; empty for a text with a label."""

    @classmethod
    def organic(
        cls, text: str, label: str | None, *, messages: tuple[Message, ...] = (), source: str = "", licence: str = ""
    ) -> Record:
        """An organic record; its id depends on text and label, not on where it was found."""
        return cls(
            id=content_id("record", text, label),
            text=text,
            label=label,
            messages=messages,
            source=source,
            licence=licence,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """A record sealed at ingest for ``prove``. It is *not* a Record: what takes Records cannot take it."""

    id: str
    text: str
    label: str | None
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """An immutable set of records; its id is the hash of their ids, in order."""

    records: tuple[Record, ...]
    recipe: str
    """In words: how these records came to be together."""
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", content_id("corpus", *(record.id for record in self.records)))

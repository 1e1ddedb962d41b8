"""Every seam on one page: what proofset asks of a part that you may bring yourself, and how a name finds it.

A plugin is any object with the methods of the Protocol. Publish it under an entry point group of the Protocol's name,
and a study may call it by that name; ours are registered through the same door::

    [project.entry-points."proofset.readers"]
    ndjson = "mypackage.readers:read_ndjson"
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from proofset.errors import ConfigError
from proofset.nouns.candidate import Brief, Candidate, Verdict
from proofset.nouns.record import Message
from proofset.nouns.result import Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic import BaseModel

    Floats = NDArray[np.float64] | NDArray[np.float32]

Seam = Literal["readers", "models", "encoders", "judges", "kinds", "trainers"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file as it was read, before anything is believed of it."""

    line: int
    """1-based, as an editor shows it; the row number for files without lines."""
    fields: dict[str, Any]


class Reader(Protocol):
    """Rows from a path, one at a time. Raises RecordError with file and line for what cannot be read."""

    def __call__(self, path: Path, *, columns: Sequence[str] = (), skip_rows: int = 0) -> Iterator[Row]:
        """``columns`` names the columns of a file without a header; ``skip_rows`` leading rows are passed over."""
        ...


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a call is made for: the stage, slice and brief that its cost is booked on."""

    stage: str = ""
    slice: str = ""
    brief_id: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a reply with its log probability (nats), and the most probable ones in its place."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call to a model: a prompt to continue, or messages to answer."""

    prompt: str = ""
    """Text to continue; empty where there are messages."""
    messages: tuple[Message, ...] = ()
    """Turns to answer, a system prompt first where there is one."""
    max_tokens: int
    temperature: float
    top_p: float = 1.0
    top_k: int = 0
    """Only the k most probable tokens; 0 for all."""
    min_p: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    n: int = 1
    """Replies wanted; those after the first are in ``Reply.others``."""
    schema: str = ""
    """JSON Schema, as JSON text, that the reply must satisfy; empty for free text."""
    logprobs: int = 0
    """Most probable tokens to report at each place; 0 for none."""
    reasoning: str = ""
    """How long a reasoning model should think: low, medium, high or the provider's own word; empty: its default."""
    sample: int = 0
    """Tells otherwise equal requests apart: each sample has a reply, and a place in the store, of its own."""
    shared_chars: int = 0
    """Leading characters of the prompt that sibling requests share; an engine may keep their cache."""
    purpose: Purpose = Purpose()
    """For the books; nothing of it is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the texts that came back, and why it ended."""

    text: str
    finish: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said, why it stopped, and what that consumed."""

    text: str
    finish: str
    """"stop", "length" when it was cut off, "content_filter" when the provider withheld it, "tool_calls"."""
    usage: Usage
    others: tuple[Choice, ...] = ()
    """The further replies of a request with ``n`` above 1."""
    reasoning: str = ""
    """What a reasoning model thought, where the server tells."""
    logprobs: tuple[Token, ...] = ()
    """The reply token by token, where it was asked for and the server tells."""
    raw: bytes = b""
    """The server's whole answer; the store keeps it, so that a better reading of it costs nothing."""
    pause_s: float = 0.0
    """Seconds for which the server has nothing left to give, by what it says of its own limits."""


class ChatModel(Protocol):
    """A model that answers one attempt at a time. Raises ModelError; proofset decides what is tried again.

    A model whose ``Reply.raw`` is not empty also has ``reread(raw) -> Reply``, by which stored answers are read again.
    One that goes on with what was asked when nobody waits any more, as a batch does, says so with ``goes_on = True``.
    """

    name: str
    parallel: int
    """Requests it can usefully answer at once."""

    async def reply(self, request: Request) -> Reply:
        """The model's answer to one request: one attempt, no retries."""
        ...

    async def close(self) -> None:
        """Let go of memory and connections."""
        ...


class Encoder(Protocol):
    """Texts to unit vectors."""

    name: str

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape ``(n_texts, d)``; rows have length 1, or 0 for a text without a known token."""
        ...


class Judge(Protocol):
    """Decides on a candidate; a refusal is a Verdict with a reason code, never an exception."""

    name: str

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """The verdict on ``candidate``, which was made for ``brief``."""
        ...


class Reviewer(Protocol):
    """A judge that has to be waited for: a model, or a person. Several reviews are under way at once."""

    name: str

    async def review(self, brief: Brief, candidate: Candidate) -> Verdict:
        """The verdict on ``candidate``, which was made for ``brief``. Raises ModelError when there is none to get."""
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """What a candidate holds, read out of a model's answer."""

    text: str
    """What judges, copy gates and encoders read."""
    json: str = ""
    """Canonical JSON of the whole; empty for a plain text."""
    label: str = ""
    """Empty: the brief's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a prompt says of a slice beside the brief. All but the lessons is the user's own and trusted."""

    title: str
    """What people call the slice."""
    heading: str = ""
    """Line that opens the request; empty: one made of the title."""
    lessons: tuple[str, ...] = ()
    """What was refused lately and why, in words. They may quote candidates, so a prompt shows them as data."""
    persona: str = ""
    """Who is to have written it; empty: nobody in particular."""
    rules: str = ""
    """The constitution in words; empty: none."""
    difficulty: int = 0
    """0 is plain; each step up is harder than the one before."""


class Kind(Protocol):
    """A kind of task. Stateless: equal briefs give equal messages, equal answers equal contents."""

    name: str
    """In words, for people."""

    @property
    def shape(self) -> type[BaseModel] | None:
        """Shape of the model's answer; None: the model continues the brief's prompt with free text."""
        ...

    def messages(self, brief: Brief, told: Told) -> tuple[Message, ...]:
        """The turns to answer, with all that others wrote delimited as data; () for a kind that continues a prompt."""
        ...

    def read(self, answer: Any, brief: Brief) -> Content:
        """What is in an answer: an instance of ``shape``, or a string where there is none. Never raises for one."""
        ...

    def fault(self, content: Content, brief: Brief) -> str:
        """What is wrong with the form, as a code of the kind's closed list; empty when nothing is. Never raises."""
        ...

    def messages_of(self, content: Content) -> tuple[Message, ...]:
        """The turns of the record; () for a plain text, and for a content that has none."""
        ...


class Head(Protocol):
    """A trained classifier over vectors. ``classes`` are the label names in column order."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Label names, in the order of the columns of ``predict``."""
        ...

    def predict(self, vectors: Floats) -> NDArray[np.float64]:
        """Class probabilities of shape ``(n, n_classes)``; rows sum to 1."""
        ...

    def save(self, path: Path) -> None:
        """Write everything to exactly ``path``, so that the trainer's ``load`` gives an equal head."""
        ...


class Fit(Protocol):
    """Fits a Head to vectors of shape ``(n, d)``, labels and per-record weights of shape ``(n,)``."""

    def __call__(self, vectors: Floats, labels: Sequence[str], weights: Floats, *, strength: float) -> Head:
        """``strength`` is the inverse of regularisation; larger fits closer."""
        ...


class Trainer(Fit, Protocol):
    """Fits heads, and reads back what they saved."""

    def load(self, path: Path) -> Head:
        """The head that was saved to ``path``."""
        ...


def find(seam: Seam, name: str) -> Any:
    """The plugin called ``name`` at ``seam``. Raises ConfigError that lists the names there are."""
    found = {entry.name: entry for entry in entry_points(group=f"proofset.{seam}")}
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise ConfigError(f"no {seam[:-1]} is called {name!r}", hint=f"known {seam}: {known}")
    return found[name].load()

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
from proofset.nouns.result import Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64] | NDArray[np.float32]

Seam = Literal["readers", "models", "encoders", "judges", "trainers"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call to a model: a prompt to continue, or messages to answer."""

    prompt: str
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    seed: int
    stop: tuple[str, ...] = ()
    shared_chars: int = 0
    """Leading characters of the prompt that sibling requests share; an engine may keep their cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said, why it stopped ("stop" or "length"), and what that consumed."""

    text: str
    finish: str
    usage: Usage


class ChatModel(Protocol):
    """A model that answers. Raises ModelError; a retryable one means that the same request may work later."""

    name: str
    parallel: int
    """Requests it can usefully answer at once."""

    async def reply(self, request: Request) -> Reply:
        """The model's answer to one request."""
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

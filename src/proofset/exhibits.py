"""Exhibits: corpora as they are measured, read from anybody's files, divided by content, encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofset import artifacts
from proofset.copies import groups
from proofset.errors import InputError, RecordError
from proofset.measuring.blocks import NpyFile, Vectors, gather
from proofset.nouns.record import content_id
from proofset.plugins import Encoder, Row, find
from proofset.walk import FORMATS

SIMILARITY = 0.6
"""Jaccard similarity of word pairs from which two reference texts are near-copies and stay on one side."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Exhibit:
    """A corpus as it is measured: vectors, and texts with their slices where it has any."""

    name: str
    vectors: Vectors | None
    """None until the texts are encoded."""
    texts: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Records."""
        return len(self.texts) if self.vectors is None else int(self.vectors.shape[0])

    def part(self, rows: NDArray[np.intp]) -> Exhibit:
        """Some of its records."""
        return Exhibit(
            name=self.name,
            vectors=None if self.vectors is None else gather(self.vectors, rows),
            texts=tuple(self.texts[row] for row in rows) if self.texts else (),
            slices=tuple(self.slices[row] for row in rows) if self.slices else (),
        )


def read_exhibit(path: Path, *, text: str = "text", slice_column: str = "") -> Exhibit:
    """A corpus out of a file: ``.npy`` vectors, or JSON lines, CSV, Parquet or tab-separated rows with a text column.

    Raises RecordError that names file, line and field for a row without a text, InputError for an unknown ending.
    """
    if path.suffix.lower() == ".npy":
        return Exhibit(name=str(path), vectors=NpyFile(path))
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join((".npy", *FORMATS))
        raise InputError(f"{path}: no reader for files that end in {path.suffix!r}", hint=f"known endings: {known}")
    texts, slices = [], []
    for row in find("readers", reader)(path):
        texts.append(_cell(row, text, path))
        if slice_column:
            slices.append(_cell(row, slice_column, path))
    return Exhibit(name=str(path), vectors=None, texts=tuple(texts), slices=tuple(slices))


def _cell(row: Row, column: str, path: Path) -> str:
    """A text of a row; raises RecordError where there is none."""
    if column not in row.fields:
        hint = f"the columns are: {', '.join(map(str, row.fields))}; name one with --text or --slices"
        raise RecordError("no such column", path=path, line=row.line, field=column, hint=hint)
    value = row.fields[column]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        hint = "every row needs a text there; leave empty rows out"
        raise RecordError("empty, or not a text", path=path, line=row.line, field=column, hint=hint)
    return value


def divided(exhibit: Exhibit, seed: int = 0) -> tuple[Exhibit, Exhibit]:
    """Two halves of a reference, by content and not by order; near-copies of a text stay on one side."""
    if exhibit.texts:
        numbers = groups(list(exhibit.texts), SIMILARITY)
        names: dict[int, str] = {}
        for number, one in zip(numbers, exhibit.texts, strict=True):
            names[number] = min(names.get(number, one), one)
        right = np.array([int(content_id("half", seed, names[number]), 16) % 2 == 1 for number in numbers])
    else:
        right = np.arange(len(exhibit)) % 2 == 1
    return exhibit.part(np.flatnonzero(~right)), exhibit.part(np.flatnonzero(right))


def encoder_of(name: str) -> Encoder:
    """The encoder plugin of that name."""
    made: Encoder = find("encoders", name)()
    return made


def encoded(exhibit: Exhibit, encoder: Encoder | None) -> tuple[Exhibit, int]:
    """The exhibit with its vectors, and how many texts were left out because the encoder knows no word of them.

    Vectors of texts are kept in the cache, by encoder and content: encoding takes longer than all measures together.
    """
    if exhibit.vectors is not None:
        return exhibit, 0
    if encoder is None:
        raise InputError(f"{exhibit.name}: texts need an encoder", hint="name one, for example minilm")
    vectors = _kept_vectors(encoder, exhibit.texts)
    known = np.flatnonzero(vectors.any(axis=1))
    whole = replace(exhibit, vectors=vectors)
    return (whole if len(known) == len(vectors) else whole.part(known)), len(vectors) - len(known)


def _kept_vectors(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    path = artifacts.cache_folder() / "vectors" / f"{content_id('vectors', encoder.name, *texts)}.npy"
    try:
        kept: NDArray[np.float32] = np.load(path, allow_pickle=False)
        if kept.shape[0] == len(texts):
            return kept
    except (OSError, ValueError):
        pass
    made = encoder.encode(texts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, made, allow_pickle=False)
        part.replace(path)
    except OSError:
        pass  # a cache that cannot be written costs time and nothing else
    return made

"""The three outputs kept apart: no training record may give an evaluation item away, nor may any of them held-out text.

What is looked for is the same record (by id), the same words (near-copies), the same meaning (cosine of embeddings),
and what is sealed as held-out. Everything is compared with everything; nothing is sampled and nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofset.copies import CopyIndex
from proofset.errors import InputError, LeakageError
from proofset.nouns.candidate import Output
from proofset.nouns.record import Record

BY_ID, BY_WORDS, BY_MEANING, HELD_OUT = "id", "words", "meaning", "held-out"
"""Kinds of leak: one id in two outputs, a near-copy, a near meaning, and a text that is sealed as held-out."""

ROWS = 1024
AGAINST_ROWS = 4096
"""A block of cosines of this shape takes 16 MiB."""

ROUNDING = 1e-6
"""What a cosine in float32 may be off by: equal vectors reach a limit of 1."""

Vectors = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Leak:
    """A record of one output that stands, in effect, in another one too."""

    kind: str
    """``BY_ID``, ``BY_WORDS``, ``BY_MEANING`` or ``HELD_OUT``."""
    first_output: str
    first_id: str
    second_output: str
    """An output, or ``HELD_OUT``."""
    second_id: str
    """Empty for held-out text, of which only hashes are known."""
    similarity: float | None
    """Jaccard similarity or cosine, 1 for one id; None where it is only known that it was too much."""


@dataclass(frozen=True, slots=True)
class Total:
    """How many records of the second output leak into the first by one kind of leak; of held-out text, of the first."""

    kind: str
    first_output: str
    second_output: str
    records: int


@dataclass(frozen=True, slots=True)
class Leakage:
    """What was found, and by which kinds of leak it was looked for."""

    leaks: tuple[Leak, ...]
    """At most as many of each kind and pair of outputs as were asked for, in the order of the records."""
    totals: tuple[Total, ...]
    """All that there are; pairs of outputs without a leak are left out."""
    looked_for: tuple[str, ...]
    """Kinds of leak: what was not given to it, it could not look for."""


def check_apart(
    outputs: Mapping[Output, Sequence[Record]],
    *,
    similarity: float,
    sealed: Callable[[str], bool] | None = None,
    vectors: Mapping[Output, Vectors] | None = None,
    cosine: float = 0.97,
    most: int = 20,
) -> Leakage:
    """What leaks between the outputs, each record of the later one with the most like of the earlier one.

    ``similarity`` in (0, 1] is the Jaccard similarity of word pairs, and ``cosine`` in (0, 1] that of ``vectors``
    ``(n, d)``, from which two records are one; a row of zeros is like nothing. ``sealed`` says of a text whether it
    is held out. Time goes with the product of two outputs' sizes, memory with their sum. ``InputError`` for limits
    out of range and vectors that do not fit the records. When it lies: a short text inside a long one is a near-copy
    neither by words nor, as a rule, by meaning.
    """
    if not 0.0 < cosine <= 1.0 or most < 1:
        raise InputError(f"cosine {cosine} or most {most} is out of range", hint="cosine in (0, 1], most at least 1")
    present = [output for output in Output if outputs.get(output)]
    given = {} if vectors is None else {each: _checked(each, len(outputs[each]), vectors.get(each)) for each in present}
    tally = _Tally(most)
    for output in present:
        if sealed is not None:
            tally.add(_held_out(output, outputs[output], sealed))
    indexes = {output: _index(outputs[output], similarity) for output in present[:-1]}
    for first, second in combinations(present, 2):
        tally.add(_by_id(first, outputs[first], second, outputs[second]))
        tally.add(_by_words(first, indexes[first], second, outputs[second]))
        if vectors is not None:
            one, other = ((each, [record.id for record in outputs[each]], given[each]) for each in (first, second))
            tally.add(_by_meaning(one, other, cosine))
    kinds = {BY_ID: True, BY_WORDS: True, BY_MEANING: vectors is not None, HELD_OUT: sealed is not None}
    return tally.leakage(tuple(kind for kind, looked in kinds.items() if looked))


def require_apart(found: Leakage) -> None:
    """Raise LeakageError where anything leaks; it names how many, between which outputs, and the first ids."""
    if not found.totals:
        return
    counts = [
        f"{total.records} by {total.kind} between {total.first_output} and {total.second_output}"
        if total.kind != HELD_OUT
        else f"{total.records} of {total.first_output} in the held-out set"
        for total in found.totals
    ]
    first = found.leaks[0]
    twin = f" and {first.second_id} of {first.second_output}" if first.second_id else " is held out"
    raise LeakageError(
        f"records leak: {'; '.join(counts)}; the first is {first.first_id} of {first.first_output}{twin}",
        hint="drop these records from one of the two, or raise the similarity if they are not the same",
    )


class _Tally:
    """Leaks as they come: the first few of each kind and pair are kept, all are counted."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[Leak] = []
        self._counts: dict[tuple[str, str, str], int] = {}

    def add(self, leaks: Iterator[Leak]) -> None:
        for leak in leaks:
            key = (leak.kind, leak.first_output, leak.second_output)
            self._counts[key] = self._counts.get(key, 0) + 1
            if self._counts[key] <= self._most:
                self._kept.append(leak)

    def leakage(self, looked_for: tuple[str, ...]) -> Leakage:
        totals = tuple(Total(*key, count) for key, count in self._counts.items())
        return Leakage(tuple(self._kept), totals, looked_for)


def _held_out(output: Output, records: Sequence[Record], sealed: Callable[[str], bool]) -> Iterator[Leak]:
    for record in records:
        if sealed(record.text):
            yield Leak(HELD_OUT, output, record.id, HELD_OUT, "", None)


def _by_id(first: Output, ours: Sequence[Record], second: Output, theirs: Sequence[Record]) -> Iterator[Leak]:
    known = {record.id for record in ours}
    for record in theirs:
        if record.id in known:
            yield Leak(BY_ID, first, record.id, second, record.id, 1.0)


def _index(records: Sequence[Record], similarity: float) -> CopyIndex:
    index = CopyIndex(similarity)
    for record in records:
        index.add(record.id, record.text)
    return index


def _by_words(first: Output, index: CopyIndex, second: Output, theirs: Sequence[Record]) -> Iterator[Leak]:
    for record in theirs:
        if record.text.strip() and (match := index.match(record.text)) is not None:
            yield Leak(BY_WORDS, first, match.key, second, record.id, match.similarity)


_Embedded = tuple[Output, Sequence[str], Vectors]
"""An output, the ids of its records, and their vectors of shape ``(n, d)``."""


def _by_meaning(first: _Embedded, second: _Embedded, cosine: float) -> Iterator[Leak]:
    (one, our_ids, ours), (other, their_ids, theirs) = first, second
    if ours.shape[1] != theirs.shape[1]:
        raise InputError(
            f"vectors of {one} and {other} have {ours.shape[1]} and {theirs.shape[1]} columns",
            hint="encode all outputs with the same encoder",
        )
    for start in range(0, len(theirs), ROWS):
        best, places = _most_alike(_unit(theirs[start : start + ROWS]), ours)
        for row in np.flatnonzero(best >= cosine - ROUNDING).tolist():
            alike = min(1.0, float(best[row]))
            yield Leak(BY_MEANING, one, our_ids[places[row]], other, their_ids[start + row], alike)


def _most_alike(queries: NDArray[np.float32], against: Vectors) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """The largest cosine of each unit row of ``queries (q, d)`` with a row of ``against (n, d)``, and which row."""
    best, places = np.full(len(queries), -np.inf, dtype=np.float32), np.zeros(len(queries), dtype=np.intp)
    for start in range(0, len(against), AGAINST_ROWS):
        cosines = queries @ _unit(against[start : start + AGAINST_ROWS]).T
        nearest = cosines.argmax(axis=1)
        found = cosines[np.arange(len(queries)), nearest]
        better = found > best
        best[better], places[better] = found[better], start + nearest[better]
    return best, places


def _unit(rows: Vectors) -> NDArray[np.float32]:
    """Rows of length 1; a row of zeros stays one. Lengths are taken after the largest entry is scaled to 1."""
    scaled = rows.astype(np.float64)
    scaled /= np.maximum(np.abs(scaled).max(axis=1, keepdims=True, initial=0.0), np.finfo(np.float64).tiny)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def _checked(output: Output, records: int, vectors: Vectors | None) -> Vectors:
    """The vectors of an output, a row for each of its records and all of them finite."""
    found = np.asarray([] if vectors is None else vectors)
    if found.ndim != 2 or len(found) != records:
        raise InputError(
            f"vectors of {output} have shape {found.shape} for {records} records", hint="give one row a record"
        )
    for start in range(0, len(found), AGAINST_ROWS):
        odd = np.flatnonzero(~np.isfinite(found[start : start + AGAINST_ROWS]).all(axis=1))
        if len(odd):
            raise InputError(
                f"the vector of {output} in row {start + int(odd[0])} is not finite", hint="encode that text again"
            )
    return found

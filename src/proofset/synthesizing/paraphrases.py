"""Paraphrases: the same thing in other words, which no comparison of words finds, found by the angle of embeddings.

Organic and accepted texts are compared exactly. Of held-out texts only signatures may be known: signs of random
projections, from which the angle can be estimated but no vector read (Charikar 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.nouns.candidate import Brief, Candidate, Verdict
from proofset.synthesizing.gates import accept, reject

Vector = NDArray[np.float32]
"""One text's embedding, of shape ``(d,)``."""
Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to vectors of shape ``(n, d)``, as an Encoder's ``encode``."""

BITS = 1024
"""Random projections behind a signature."""
REMEMBERED = 1024
"""Texts whose vectors are kept for a while: several judges ask for each."""
_STREAM = 6003
"""The number of the projections' stream of random draws beside the seed."""


class Encoding:
    """An encoder for one text at a time, which encodes it once however many judges ask."""

    def __init__(self, encode: Encode) -> None:
        """``encode`` gives vectors of shape ``(n, d)``; their lengths do not matter."""
        self._encode = encode
        self._unit = lru_cache(maxsize=REMEMBERED)(self._encoded)

    def __call__(self, text: str) -> Vector:
        """The read-only unit vector of a text, ``(d,)``; of length 0 where no part of it is known."""
        return self._unit(text)

    def _encoded(self, text: str) -> Vector:
        vector: Vector = unit_rows(self._encode([text]))[0]
        vector.setflags(write=False)
        return vector


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows of ``vectors`` ``(n, d)`` as a new array of length 1; rows of length 0 stay what they are."""
    rows = np.array(vectors, dtype=np.float32, ndmin=2)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(lengths > 0, lengths, 1)
    return rows


class Index(Protocol):
    """What a ParaphraseGate looks through."""

    def match(self, vector: Vector) -> tuple[str, float] | None:
        """Key and cosine of the text nearest to a vector ``(d,)``, where it is near enough."""
        ...


class VectorIndex:
    """Unit vectors in a growing array, compared with each other exactly."""

    def __init__(self, similarity: float) -> None:
        """``similarity`` in (0, 1] is the cosine from which a vector is matched. Raises InputError for any other."""
        if not 0.0 < similarity <= 1.0:
            raise InputError(f"paraphrase similarity {similarity} is not in (0, 1]", hint="0.95 to 0.98 is usual")
        self.similarity = similarity
        self._keys: list[str] = []
        self._rows = np.empty((0, 0), dtype=np.float32)

    @classmethod
    def of(cls, similarity: float, keys: Sequence[str], units: NDArray[np.float32]) -> VectorIndex:
        """An index of unit rows ``(n, d)`` that are at hand: they are shared until more are added."""
        index = cls(similarity)
        index._keys, index._rows = list(keys), units
        return index

    def __len__(self) -> int:
        """How many vectors are indexed."""
        return len(self._keys)

    def add(self, key: str, vector: Vector) -> None:
        """Index a vector ``(d,)`` under ``key``; keys need not differ."""
        n = len(self._keys)
        if n == len(self._rows):
            grown = np.zeros((max(64, 2 * n), len(vector)), dtype=np.float32)
            if n:
                grown[:n] = self._rows
            self._rows = grown
        self._rows[n] = unit_rows(vector)[0]
        self._keys.append(key)

    def match(self, vector: Vector) -> tuple[str, float] | None:
        """Key and cosine of the nearest vector at or above the similarity; of equally near ones, the first added.

        A vector of length 0 is near to nothing.
        """
        if not self._keys:
            return None
        cosines = self._rows[: len(self._keys)] @ unit_rows(vector)[0]
        nearest = int(cosines.argmax())
        found = min(float(cosines[nearest]), 1.0)
        return (self._keys[nearest], found) if found >= self.similarity else None


def sealed_signatures(vectors: NDArray[np.floating], seed: int) -> NDArray[np.uint8]:
    """1,024 bits for each of ``vectors`` ``(n, d)``, packed to ``(n, 128)``: the signs of seeded random projections.

    Two signatures differ in each bit with the probability θ/π, θ being the angle of their vectors (Charikar 2002).

    When it lies: the bits are no cipher. Whoever knows the seed reads the direction of a vector roughly out of them,
    and with the encoder whether a guessed text is near; they hold nothing back but the words themselves.
    """
    rows = np.atleast_2d(np.asarray(vectors, dtype=np.float64))
    projections = np.random.default_rng([seed, _STREAM]).standard_normal((rows.shape[1], BITS))
    return np.packbits(rows @ projections > 0, axis=1)


class SealedIndex:
    """Signatures of texts that nobody may see, asked for the one most like a vector.

    With h of B = 1,024 bits different, the cosine is estimated as cos(π h / B). Its standard error is about
    sin θ · π · √(p (1 - p) / B) with p = θ/π: 0.006 at a cosine of 0.97, 0.012 at 0.93 and 0.04 at 0.5.

    When it lies: of texts within two standard errors of the similarity, some are taken for paraphrases that are none,
    and some paraphrases are missed.
    """

    def __init__(self, signatures: NDArray[np.uint8], similarity: float, seed: int) -> None:
        """``signatures`` ``(n, 128)`` were made with ``seed``; ``similarity`` in (0, 1] is a cosine.

        Raises InputError for signatures of another length.
        """
        if signatures.ndim != 2 or signatures.shape[1] != BITS // 8:
            raise InputError(f"signatures of shape {signatures.shape}", hint=f"they have {BITS // 8} bytes a text")
        self.similarity = similarity
        self._seed = seed
        self._words = np.ascontiguousarray(signatures).view(np.uint64)
        self._projections: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        """How many signatures are indexed."""
        return len(self._words)

    def match(self, vector: Vector) -> tuple[str, float] | None:
        """The number of the nearest signature as a key, and its estimated cosine, at or above the similarity.

        A vector of length 0 is near to nothing.
        """
        if not len(self._words) or not vector.any():
            return None
        bits = np.packbits(np.asarray(vector, dtype=np.float64) @ self._directions(len(vector)) > 0).view(np.uint64)
        different = np.bitwise_count(self._words ^ bits).sum(axis=1, dtype=np.int64)
        nearest = int(different.argmin())
        found = float(np.cos(np.pi * different[nearest] / BITS))
        return (f"sealed text {nearest}", found) if found >= self.similarity else None

    def _directions(self, d: int) -> NDArray[np.float64]:
        if self._projections is None:
            self._projections = np.random.default_rng([self._seed, _STREAM]).standard_normal((d, BITS))
        return self._projections


class ParaphraseGate:
    """Does it say what another text says? Reasons: near paraphrase; contaminated. Evidence: the other text's id.

    One gate a kind of text: what was accepted before, organic records, and held-out records by their signatures.

    When it lies: embeddings of short texts follow their topic; below a similarity of about 0.95 two texts that only
    want the same thing are taken for paraphrases, and names and numbers alone hardly move a vector.
    """

    def __init__(self, name: str, reason: str, encode: Encoding, *indexes: Index) -> None:
        """Refuse what is matched in any of ``indexes`` under the code ``reason``."""
        self.name, self._reason, self._encode, self._indexes = name, reason, encode, indexes

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse a paraphrase."""
        del brief
        vector = self._encode(candidate.text)
        for index in self._indexes:
            if (match := index.match(vector)) is not None:
                key, cosine = match
                return reject(self.name, candidate, self._reason, f"cosine {cosine:.3f} with {key}", key)
        return accept(self.name, candidate)

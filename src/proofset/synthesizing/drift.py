"""The drift gate: is a text farther from every organic one than organic texts are from each other?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.nouns.candidate import Brief, Candidate, Verdict
from proofset.synthesizing.gates import accept, reject

FEWEST = 50
"""Measured organic records from which a slice has a limit of its own."""
MEASURED = 20_000
"""Organic records whose nearest neighbour is looked up; of more, every second, third … is."""
BLOCK = 1 << 24
"""Cosines held at once: 64 MiB of them."""
ROUNDING = 1e-5
"""Difference of cosines that single precision cannot tell."""


def nearest_distances(units: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Cosine distance, in [0, 2], of each of ``rows`` ``(m,)`` of unit ``units`` ``(n, d)`` to the nearest other one.

    Exact, in blocks: memory grows with n, time with m · n · d. Needs at least two units.
    """
    size = max(1, BLOCK // len(units))
    nearest = np.empty(len(rows), dtype=np.float64)
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        cosines = units[block] @ units.T
        cosines[np.arange(len(block)), block] = -np.inf
        nearest[start : start + size] = cosines.max(axis=1)
    return np.maximum(1.0 - nearest, 0.0)


class DriftGate:
    """Is it anomalous against the organic text? Reason: drifted. Evidence: the label of the nearest organic record.

    The cosine distance to the nearest organic record is held against what organic records have to their nearest other
    one: the limit is the quantile that only ``share`` of them exceed. A slice of at least 50 records has a limit of
    its own, all others share the limit of all records.

    When it lies: a text near a record of the wrong label has not drifted, that is the critic's to see. Many near-copies
    among the organic records make the limit too narrow, a quantile of few records is hardly known, and a text without
    any word that the encoder knows is far from all.
    """

    name = "drift"

    def __init__(
        self,
        encode: Callable[[str], NDArray[np.float32]],
        organic_vectors: NDArray[np.float32],
        labels: Sequence[str],
        share: float,
    ) -> None:
        """``organic_vectors`` ``(n, d)`` are unit vectors with their ``labels``; with a ``share`` of 0 it is off.

        ``encode`` gives the unit vector ``(d,)`` of one text. Raises InputError for labels of another number.
        """
        if len(organic_vectors) != len(labels):
            message = f"{len(organic_vectors)} vectors of organic records, {len(labels)} labels"
            raise InputError(message, hint="give one label a vector")
        self._encode, self._units, self._labels = encode, organic_vectors, tuple(labels)
        self._on = share > 0 and len(labels) > 1
        self._limits: dict[str, float] = {}
        self._pooled = np.inf
        if self._on:
            self._set_limits(share)

    def _set_limits(self, share: float) -> None:
        rows = np.arange(0, len(self._labels), -(-len(self._labels) // MEASURED))
        distances = nearest_distances(self._units, rows)
        measured = np.array([self._labels[row] for row in rows])
        self._pooled = _limit(distances, share)
        for label, count in zip(*np.unique(measured, return_counts=True), strict=True):
            if count >= FEWEST:
                self._limits[str(label)] = _limit(distances[measured == label], share)

    def limit(self, slice_name: str) -> float:
        """The largest cosine distance that is accepted in a slice; infinite when it is off."""
        return self._limits.get(slice_name, self._pooled)

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse a text that is too far from all organic ones."""
        if not self._on:
            return accept(self.name, candidate)
        cosines = self._units @ self._encode(candidate.text)
        nearest = int(cosines.argmax())
        distance, limit = 1.0 - float(cosines[nearest]), self.limit(brief.slice)
        if distance <= limit + ROUNDING:
            return accept(self.name, candidate)
        label = self._labels[nearest]
        critique = f"{distance:.2f} from the nearest organic record, of {label!r}; organic ones stay within {limit:.2f}"
        return reject(self.name, candidate, "drifted", critique, label)


def _limit(distances: NDArray[np.float64], share: float) -> float:
    return float(np.quantile(distances, 1.0 - share, method="higher"))

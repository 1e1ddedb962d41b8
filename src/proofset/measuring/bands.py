"""Bands: how many rows of a corpus repeat another one, over all rows, in fixed memory.

To see that two rows are alike, both must be at hand, and a uniform sample of a large corpus hardly ever holds both. So
whole *cells* are kept as well: rows of one mode that lie on the same side of some random hyperplanes through its centre
(Charikar 2002). Alike rows share a cell with a chance that is known from their angle, so those that are found can stand
for those that were missed.

A text that is repeated a thousand times lies in one cell, and would be missed or overrated by chance. But the uniform
sample is sure to hold it. So rows that are alike to one in the sample are counted by the sample, and cells tell of the
others only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring.blocks import Doubles, Floats, Ids, mix, row_hashes
from proofset.measuring.frame import Frame
from proofset.measuring.neighbours import nearest, squared_distances

Counts = NDArray[np.int64]

CELLS = 2**15
"""Cells, about: fewer, and a sample holds too few; more, and alike rows get into different ones."""
NARROWER = 14
"""Further hyperplanes that part a cell into families."""
STORED = 32
"""Different rows of one family that are stored, at most; the others are counted, lest one family fill the memory."""
HEAVIEST = 50.0
"""Rows that a found one may stand for, at most."""
PENDING = 4
"""Rows that wait are taken in when they are more than one in so many of the capacity."""


@dataclass(frozen=True, slots=True, eq=False)
class Reservoir:
    """A uniform sample of rows without replacement, in random order: its first m rows are one too."""

    ids: Ids
    vectors: Floats
    groups: NDArray[np.intp]
    """Jackknife group of each row."""


class Sample:
    """The rows with the smallest mixed ids: a uniform sample, the same however the rows are split."""

    def __init__(self, capacity: int, width: int, groups: int, seed: int) -> None:
        self._capacity, self._groups, self._seed = capacity, groups, seed
        self._ids = np.empty(0, dtype=np.uint64)
        self._vectors = np.empty((0, width), dtype=np.float32)
        self._pending: list[tuple[Ids, Floats]] = []
        self._last: np.uint64 | None = None

    def add(self, block: Floats, ids: Ids) -> None:
        """Rows ``(n, d)`` with ids that no other row has; ``InputError`` where one is seen again."""
        low = np.ones(len(ids), dtype=np.bool_) if self._last is None else mix(ids, self._seed) <= self._last
        self._pending.append((ids[low], block[low]))
        if sum(len(some) for some, _ in self._pending) * PENDING > self._capacity:
            self._settle()

    def rows(self) -> Reservoir:
        """The sample, the smallest mixed id first."""
        if self._pending:
            self._settle()
        groups = mix(self._ids, self._seed) % np.uint64(self._groups)
        return Reservoir(self._ids, self._vectors, groups.astype(np.intp))

    def merged(self, other: Sample) -> Sample:
        """The sample of all rows of both; ``InputError`` where both have a row of the same id."""
        found = Sample(self._capacity, self._vectors.shape[1], self._groups, self._seed)
        found._pending = [(rows.ids, rows.vectors) for rows in (self.rows(), other.rows())]
        found._settle()
        return found

    def restore(self, ids: Ids, vectors: Floats) -> None:
        """Take back the ids and vectors of what ``rows`` gave."""
        self._pending = [(ids, vectors)]
        self._settle()

    def _settle(self) -> None:
        parts, self._pending = [(self._ids, self._vectors), *self._pending], []
        ids = np.concatenate([part[0] for part in parts])
        mixed = mix(ids, self._seed)
        order = np.argsort(mixed)
        mixed = mixed[order]
        twice = np.flatnonzero(mixed[1:] == mixed[:-1])
        if len(twice):
            hint = "count the rows of later parts on, with `start`, and add no part twice"
            raise InputError(f"two rows have the id {ids[order[twice[0]]]}", hint=hint)
        order = order[: self._capacity]
        self._ids, self._vectors = ids[order], np.concatenate([part[1] for part in parts])[order]
        self._last = mixed[self._capacity - 1] if len(order) == self._capacity else None


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Different rows of whole cells, by family and content."""

    cells: Ids
    families: Ids
    contents: Ids
    counts: Counts
    """Rows that are equal to this one, itself among them."""
    dropped: Counts
    """Rows of the family beyond those stored, told by its first row."""
    vectors: Floats

    @classmethod
    def none(cls, width: int) -> Kept:
        """No rows."""
        ids, counts = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
        return cls(ids, ids, ids, counts, counts, np.empty((0, width), dtype=np.float32))

    @classmethod
    def joined(cls, parts: Sequence[Kept]) -> Kept:
        """All rows of the parts, one after the other."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def at(self, rows: NDArray[Any]) -> Kept:
        """The rows of an index or a mask."""
        return Kept(*(getattr(self, field.name)[rows] for field in fields(self)))

    def settled(self) -> Kept:
        """Equal rows as one with their number, and of each family those with the smallest hashes."""
        if not len(self.cells):
            return self
        order = np.lexsort((self.contents, self.families))
        families, contents = self.families[order], self.contents[order]
        new_family = _changes(families)
        starts = np.flatnonzero(new_family | _changes(contents))
        counts = np.add.reduceat(self.counts[order], starts)
        first = np.flatnonzero(new_family[starts])
        rank = np.arange(len(starts)) - np.repeat(first, np.diff(np.append(first, len(starts))))
        beyond = np.add.reduceat(np.where(rank < STORED, 0, counts), first)
        dropped = np.zeros_like(counts)
        dropped[first] = beyond + np.add.reduceat(self.dropped[order], np.flatnonzero(new_family))
        stays = rank < STORED
        chosen = order[starts[stays]]
        return replace(self.at(chosen), counts=counts[stays], dropped=dropped[stays])


def _changes(numbers: Ids) -> NDArray[np.bool_]:
    """Whether each number differs from the one before."""
    return np.concatenate([[True], numbers[1:] != numbers[:-1]])


class Bands:
    """Whole cells of one corpus, chosen by the hash of the cell: merged parts hold exactly what the whole would hold.

    A sketch feeds it; ``sample`` is the uniform sample of the same rows.
    """

    def __init__(self, frame: Frame, sample: Sample) -> None:
        self._frame, self._sample = frame, sample
        self._capacity = frame.constants.reservoir
        self._bits = max(1, round(np.log2(CELLS / len(frame.centres))))
        rng = np.random.default_rng([frame.constants.seed % 2**64, 3])
        self._normals = rng.standard_normal((frame.width, self._bits + NARROWER)) / np.sqrt(frame.width)
        self._at_centres = frame.centred(frame.centres) @ self._normals
        self.n = 0
        self._last = 2**64 - 1
        self._kept = Kept.none(frame.width)
        self._pending: list[Kept] = []

    @property
    def kept(self) -> Kept:
        """The stored rows."""
        if self._pending:
            self._settle()
        return self._kept

    @property
    def last(self) -> int:
        """The largest hash of a cell that is kept."""
        if self._pending:
            self._settle()
        return self._last

    def add(self, block: Floats, modes: NDArray[np.intp]) -> None:
        """Rows ``(n, d)`` and their modes."""
        cells, families = self._keys(block, modes)
        self.n += len(block)
        low = cells <= np.uint64(self._last)
        if low.any():
            some = block[low]
            ones = np.ones(len(some), dtype=np.int64)
            self._pending.append(Kept(cells[low], families[low], row_hashes(some), ones, 0 * ones, some))
        if sum(len(part.cells) for part in self._pending) * PENDING > self._capacity:
            self._settle()

    def merged(self, other: Bands, sample: Sample) -> Bands:
        """The bands of all rows of both, with the ``sample`` of both."""
        found = Bands(self._frame, sample)
        found.n = self.n + other.n
        found._last = min(self.last, other.last)
        found._pending = [self.kept, other.kept]
        found._settle()
        return found

    def restore(self, n: int, last: int, kept: Kept) -> None:
        """Take back what ``n``, ``last`` and ``kept`` were."""
        self.n, self._last, self._kept, self._pending = n, last, kept, []

    def share_repeated(self, threshold: float) -> tuple[float, float, int]:
        """Share of rows with another row within ``threshold``, its standard error, and the rows that it was seen on.

        Exact, with an error of 0, where the uniform sample holds all rows. Else the share of sampled rows that have
        another one in the sample, and that of kept rows that have one in their cell and none in the sample, with the
        error of a plain and of a cluster sample.

        When it lies: alike rows in different modes are missed, which is rare while the threshold is small against the
        modes. Against a threshold as wide as they are, a row that is found stands for many that were missed: the error
        is large, and rows with several such neighbours count too much. If the corpus has so few cells that none fits
        into the memory, only what the sample itself repeats is seen: a lower bound.
        """
        sample = self._sample.rows()
        n, seen = self.n, len(sample.ids)
        if not n:
            raise InputError("no rows to look for repetitions in", hint="add rows first")
        if not threshold >= 0:
            raise InputError(f"a threshold of {threshold}", hint="distances are 0 or larger")
        repeated = _repeated(sample.vectors, threshold)
        met = float(repeated.mean())
        if n <= seen:
            return met, 0.0, n
        unmet, error, rows = self._unmet(sample.vectors, threshold)
        # sampled rows that meet come in pairs, at the least: up to twice the variance of single ones
        plain = 2 * met * (1 - met) / seen
        return min(met + unmet, 1.0), float(np.sqrt(plain + error**2)), seen + rows

    def _keys(self, block: Floats, modes: NDArray[np.intp]) -> tuple[Ids, Ids]:
        """Hashes of cell and family of each row. A row on its centre must not fall to either side by rounding."""
        sides = self._frame.centred(block) @ self._normals - self._at_centres[modes] > 1e-9 * self._frame.spread
        powers = np.uint64(1) << np.arange(sides.shape[1], dtype=np.uint64)
        numbers = modes.astype(np.uint64) << np.uint64(sides.shape[1])
        first = numbers + sides[:, : self._bits] @ powers[: self._bits]
        return mix(first, 1), mix(first + sides[:, self._bits :] @ powers[self._bits :], 2)

    def _settle(self) -> None:
        """Take in what is pending, and leave out the cells from the first one that no longer fits.

        Sizes only grow, so a cell left out of a part is left out of the whole.
        """
        parts = [part.at(part.cells <= np.uint64(self._last)) for part in (self._kept, *self._pending)]
        self._kept, self._pending = Kept.joined(parts).settled(), []
        if len(self._kept.cells) > self._capacity:
            left_out = np.partition(self._kept.cells, self._capacity)[self._capacity]
            self._kept = self._kept.at(self._kept.cells < left_out)
            self._last = max(int(left_out) - 1, 0)

    def _unmet(self, sample: Floats, threshold: float) -> tuple[float, float, int]:
        """Share of rows that another one in their cell repeats and none in the sample, its error, and rows in cells."""
        kept = self.kept
        if not len(kept.cells):
            return 0.0, 0.0, 0
        kept = kept.at(np.argsort(kept.cells, kind="stable"))
        _, family = np.unique(kept.families, return_inverse=True)
        scale = (1 + np.bincount(family, kept.dropped) / np.bincount(family, kept.counts))[family]
        # of rows that are equal to a sampled one, only that one itself has not met it
        itself = _places(row_hashes(sample), kept.contents)
        alone = nearest(kept.vectors, sample, but=itself)[:, 0] > threshold
        rows = np.where(itself >= 0, 1, kept.counts) * alone
        flags = scale * np.where(kept.counts > 1, 1.0, self._weights(kept, threshold))
        cell = np.cumsum(_changes(kept.cells)) - 1
        sizes, found = np.bincount(cell, kept.counts * scale), np.bincount(cell, rows * flags)
        total = sizes.sum()
        share = found.sum() / total
        spread = ((found - share * sizes) ** 2).sum() * len(sizes) / max(len(sizes) - 1, 1)
        one_more = self._one_more(np.bincount(cell, kept.counts * flags), threshold, self.n / len(sample))
        return float(share), float(np.sqrt(spread + one_more**2) / total), round(total)

    def _one_more(self, repeated: NDArray[Any], threshold: float, per_sampled: float) -> float:
        """Repeated rows that one more cell may have held: as many as others, but those of a large family are sampled.

        ``repeated`` are those of each cell; at least a pair that was likely to be missed.
        """
        usual = float((repeated**2).sum() / max(repeated.sum(), 1.0))
        return max(min(usual, 2 * per_sampled), 2 / self._chance(threshold))

    def _chance(self, threshold: float) -> float:
        """That two rows at the threshold, and at the usual distance from their centre, share a cell."""
        angle = 2 * np.arcsin(min(threshold / (2 * self._frame.spread), 1.0))
        return float(max((1 - angle / np.pi) ** self._bits, 1 / HEAVIEST))

    def _weights(self, kept: Kept, threshold: float) -> Doubles:
        """Rows that each stored row stands for: 0 without another one within the threshold, else 1 or above."""
        found = np.zeros(len(kept.cells))
        starts = np.flatnonzero(_changes(kept.cells))
        for low, high in zip(starts, np.append(starts[1:], len(kept.cells)), strict=True):
            if high - low > 1:
                vectors = kept.vectors[low:high]
                centre = self._frame.centres[self._frame.modes(vectors[:1])[0]]
                found[low:high] = _stands_for(vectors - centre, threshold, self._bits)
        return found


def _places(among: Ids, wanted: Ids) -> NDArray[np.intp]:
    """Where each of ``wanted`` stands in ``among``, or −1."""
    order = np.argsort(among, kind="stable")
    at = order[np.searchsorted(among[order], wanted).clip(max=len(among) - 1)]
    return np.where(among[at] == wanted, at, -1)


def _repeated(rows: Floats, threshold: float) -> NDArray[np.bool_]:
    """Whether each row has another one within the threshold."""
    if len(rows) < 2:
        return np.zeros(len(rows), dtype=np.bool_)
    return np.asarray(nearest(rows, rows, but=np.arange(len(rows)))[:, 0] <= threshold)


def _stands_for(rows: Floats, threshold: float, bits: int) -> Doubles:
    """Rows that each of ``rows (n, d)``, all of one cell and centred, stands for.

    Two rows at the angle θ are in one cell with chance (1 − θ/π)^bits; a row with j others within the threshold was
    found with chance 1 − (1 − that of the nearest)^j, and stands for one over it.
    """
    found = np.zeros(len(rows))
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    step = max(1, 4_000_000 // len(rows))
    for low in range(0, len(rows), step):
        squared = squared_distances(rows[low : low + step], rows)
        at = np.arange(len(squared))
        squared[at, low + at] = np.inf
        near = (squared <= threshold**2).sum(axis=1)
        other = squared.argmin(axis=1)
        product = np.maximum(lengths[low + at] * lengths[other], np.finfo(np.float64).tiny)
        cosine = (lengths[low + at] ** 2 + lengths[other] ** 2 - squared[at, other]) / (2 * product)
        together = (1 - np.arccos(cosine.clip(-1, 1)) / np.pi) ** bits
        chance = 1 - (1 - together) ** near
        found[low + at] = np.where(near > 0, 1 / np.maximum(chance, 1 / HEAVIEST), 0.0)
    return found

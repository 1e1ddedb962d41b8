"""Where an index of copies keeps its entries: a young tier that grows, and frozen ones that take little room.

The young one finds near-copies by *prefix filtering*: put the shingles of every set into one order; two sets with
similarity t must then share one of their first ``n - ceil(t n) + 1`` shingles, so only these are posted and looked up.
Any order is exact; rarest first is fast. A frozen one counts (*ScanCount*, Li, Lu and Lu 2008). A young entry costs
by estimate 4 KB in dicts and lists, a frozen one less than 500 bytes in arrays.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST_ORDER = 64
"""Entries from which the order of shingles is taken anew whenever the young tier has doubled."""
ROUNDING = 1e-9
"""Keeps ``0.6 * 5`` from asking for 4 shared shingles where 3 are enough."""


Skip = Callable[[int], bool]
"""Says of an entry whether it need not be compared."""


def nobody(entry: int) -> bool:
    """Skips no entry."""
    del entry
    return False


def jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    """Shared shingles over all shingles, in [0, 1]; 0 when both sets are empty."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared) if shared else 0.0


def prefix(size: int, similarity: float) -> int:
    """How many of a set's first shingles a near-copy must share one of."""
    return size - math.ceil(similarity * size - ROUNDING) + 1 if size else 0


class YoungTier:
    """Entries in dicts and lists: quick to add to, dear to keep. ``first`` is the number of its first entry."""

    def __init__(self, similarity: float, first: int) -> None:
        self.similarity, self.first = similarity, first
        self.sets: list[frozenset[int]] = []
        self._postings: dict[int, dict[tuple[int, int], list[int]]] = {}
        self._order: dict[int, int] = {}
        self._ordered_at = -1

    def __len__(self) -> int:
        return len(self.sets)

    def add(self, shingles: frozenset[int]) -> None:
        """One more entry."""
        self.sets.append(shingles)
        if self._ordered_at >= 0:
            self._post(len(self.sets) - 1)

    def near(self, wanted: frozenset[int], skip: Skip) -> Iterator[tuple[int, float]]:
        """The entries whose similarity reaches the threshold, each with it; those to ``skip`` are passed over."""
        if self._ordered_at < 0 or len(self) >= max(2 * self._ordered_at, SMALLEST_ORDER):
            self._reorder()
        ordered, seen = self._ordered(wanted), set[int]()
        for place in range(prefix(len(ordered), self.similarity)):
            fresh = self._posted(ordered, place) - seen
            seen |= fresh
            for entry in fresh:
                if skip(self.first + entry):
                    continue
                if (similarity := jaccard(wanted, self.sets[entry])) >= self.similarity:
                    yield self.first + entry, similarity

    def _reorder(self) -> None:
        """Fix the order of shingles, rarest first, and post every entry anew."""
        self._order, self._ordered_at, self._postings = Counter(s for known in self.sets for s in known), len(self), {}
        for entry in range(len(self)):
            self._post(entry)

    def _ordered(self, shingles: frozenset[int]) -> list[int]:
        """Rarest first; shingles that the order does not know count as rarest."""
        order = self._order
        return sorted(shingles, key=lambda shingle: (order.get(shingle, 0), shingle))

    def _post(self, entry: int) -> None:
        size = len(self.sets[entry])
        for place, shingle in enumerate(self._ordered(self.sets[entry])[: prefix(size, self.similarity)]):
            self._postings.setdefault(shingle, {}).setdefault((size, size - place), []).append(entry)

    def _posted(self, ordered: list[int], place: int) -> set[int]:
        """Entries that share the shingle at ``place`` and have enough shingles left to reach the similarity.

        Sets of n and m shingles reach t when they share at least ``(n + m) * t / (1 + t)``.
        """
        left, size, share = len(ordered) - place, len(ordered), self.similarity / (1.0 + self.similarity)
        found = set[int]()
        for (other_size, other_left), entries in self._postings.get(ordered[place], {}).items():
            if min(left, other_left) >= share * (size + other_size) - ROUNDING:
                found.update(entries)
        return found


class FrozenTier:
    """Entries in arrays, found by counting: how often does each stand under one of the wanted shingles?

    Nothing is added to it. The time goes with the length of the lists that are counted, not with how many entries share
    a shingle by chance and would have to be compared one by one.
    """

    def __init__(
        self, similarity: float, first: int, sizes: NDArray[np.int32], flat: NDArray[np.int64], of: NDArray[np.int32]
    ) -> None:
        """``sizes`` says how many shingles each entry has; ``flat`` are all of them, and ``of`` whose each one is."""
        import numpy as np

        self.similarity, self.first, self._sizes = similarity, first, sizes
        order = np.argsort(flat, kind="stable")
        self._entries, flat = of[order], flat[order]
        starts = np.flatnonzero(np.append(True, flat[1:] != flat[:-1])) if len(flat) else order
        self._keys, self._starts = flat[starts], np.append(starts, len(flat))

    def __len__(self) -> int:
        return len(self._sizes)

    @classmethod
    def of(cls, similarity: float, first: int, sets: Sequence[frozenset[int]]) -> FrozenTier:
        """The entries of a young tier, frozen."""
        import numpy as np

        sizes = np.array([len(each) for each in sets], dtype=np.int32)
        flat = np.fromiter((shingle for each in sets for shingle in each), dtype=np.int64, count=int(sizes.sum()))
        return cls(similarity, first, sizes, flat, np.repeat(np.arange(len(sizes), dtype=np.int32), sizes))

    def joined(self, later: FrozenTier) -> FrozenTier:
        """Both as one; ``later`` begins where this one ends."""
        import numpy as np

        flat = np.concatenate([np.repeat(each._keys, np.diff(each._starts)) for each in (self, later)])
        of = np.concatenate([self._entries, later._entries + np.int32(len(self))])
        return FrozenTier(self.similarity, self.first, np.concatenate([self._sizes, later._sizes]), flat, of)

    def near(self, wanted: frozenset[int], skip: Skip) -> Iterator[tuple[int, float]]:
        """The entries whose similarity reaches the threshold, each with it; those to ``skip`` are passed over."""
        import numpy as np

        asked = np.fromiter(wanted, dtype=np.int64, count=len(wanted))
        at = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1) if len(self._keys) else asked[:0]
        lists = [
            self._entries[self._starts[place] : self._starts[place + 1]]
            for place in at[self._keys[at] == asked[: len(at)]].tolist()
        ]
        if not lists:
            return
        shared = np.bincount(np.concatenate(lists))
        similarity = shared / (len(wanted) + self._sizes[: len(shared)] - shared)
        for entry in np.flatnonzero(similarity >= self.similarity).tolist():
            if not skip(self.first + entry):
                yield self.first + entry, float(similarity[entry])

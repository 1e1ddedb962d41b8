"""Where an index of copies keeps its entries: a young tier that grows, and frozen ones that take little room.

The young one finds near-copies by *prefix filtering*: what has similarity t to a set of n shingles holds at least t n
of them, so it holds one of any ``n - ceil(t n) + 1``, and only so many are posted. Whichever they are, nothing is
missed; with the rarest, little is compared in vain. A frozen one counts (*ScanCount*, Li, Lu and Lu 2008). A young
entry costs by estimate 4 KB in dicts and lists, a frozen one less than 500 bytes in arrays.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST_COUNT = 64
"""Entries from which shingles are counted anew whenever the young tier has doubled."""
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
    """Of how many of a set's shingles a near-copy must share one, whichever they are."""
    return size - math.ceil(similarity * size - ROUNDING) + 1 if size else 0


class YoungTier:
    """Entries in dicts and lists: quick to add to, dear to keep. ``first`` is the number of its first entry."""

    def __init__(self, similarity: float, first: int) -> None:
        self.similarity, self.first = similarity, first
        self.sets: list[frozenset[int]] = []
        self._postings: dict[int, list[int]] = {}
        self._counts = Counter[int]()
        self._counted_at = -1

    def __len__(self) -> int:
        return len(self.sets)

    def add(self, shingles: frozenset[int]) -> None:
        """One more entry."""
        self.sets.append(shingles)
        if self._counted_at >= 0:
            self._post(len(self.sets) - 1)

    def near(self, wanted: frozenset[int], skip: Skip) -> Iterator[tuple[int, float]]:
        """The entries whose similarity reaches the threshold, each with it; those to ``skip`` are passed over."""
        if self._counted_at < 0 or len(self) >= max(2 * self._counted_at, SMALLEST_COUNT):
            self._post_anew()
        postings, sets, size, least = self._postings, self.sets, len(wanted), self.similarity
        for entry in set().union(*(postings[shingle] for shingle in postings.keys() & wanted)):
            other = sets[entry]
            if len(other) * least > size + ROUNDING or size * least > len(other) + ROUNDING:
                continue  # too unlike in size already
            if (similarity := jaccard(wanted, other)) >= least and not skip(self.first + entry):
                yield self.first + entry, similarity

    def _post_anew(self) -> None:
        """Count how often each shingle occurs, and post every entry under its rarest ones."""
        self._counts, self._counted_at, self._postings = Counter(s for known in self.sets for s in known), len(self), {}
        for entry in range(len(self)):
            self._post(entry)

    def _post(self, entry: int) -> None:
        known, counts = self.sets[entry], self._counts
        for shingle in sorted(known, key=lambda each: (counts[each], each))[: prefix(len(known), self.similarity)]:
            self._postings.setdefault(shingle, []).append(entry)


class FrozenTier:
    """Entries in arrays, found by counting: how often does each stand under one of the wanted shingles?

    Nothing is added to it. The time goes with the length of the lists that are counted, not with how many entries share
    a shingle by chance and would have to be compared one by one.
    """

    def __init__(
        self,
        similarity: float,
        first: int,
        sizes: NDArray[np.int32],
        flat: NDArray[np.int64],
        of: NDArray[np.int32],
        texts: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> None:
        """``sizes`` says how many shingles each entry has; ``flat`` are all of them, and ``of`` whose each one is.

        ``texts`` are hashes of normal forms, each once, and the entries that they are of.
        """
        import numpy as np

        self.similarity, self.first, self._sizes = similarity, first, sizes
        order = np.argsort(flat, kind="stable")
        self._entries, flat = of[order], flat[order]
        starts = np.flatnonzero(np.append(True, flat[1:] != flat[:-1])) if len(flat) else order
        self._keys, self._starts = flat[starts], np.append(starts, len(flat)).astype(np.int32)
        by_hash = np.argsort(texts[0])
        self._hashes, self._hashed = texts[0][by_hash], texts[1][by_hash]

    def __len__(self) -> int:
        return len(self._sizes)

    @classmethod
    def of(cls, similarity: float, first: int, sets: Sequence[frozenset[int]], texts: Mapping[int, int]) -> FrozenTier:
        """The entries of a young tier, frozen; ``texts`` are entries by the hash of their normal form."""
        import numpy as np

        sizes = np.array([len(each) for each in sets], dtype=np.int32)
        flat = np.fromiter((shingle for each in sets for shingle in each), dtype=np.int64, count=int(sizes.sum()))
        of = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        hashes, entries = (np.fromiter(each, np.int64, len(texts)) for each in (texts.keys(), texts.values()))
        return cls(similarity, first, sizes, flat, of, (hashes, entries))

    def joined(self, later: FrozenTier) -> FrozenTier:
        """Both as one; ``later`` begins where this one ends."""
        import numpy as np

        flat = np.concatenate([np.repeat(each._keys, np.diff(each._starts)) for each in (self, later)])
        of = np.concatenate([self._entries, later._entries + np.int32(len(self))])
        sizes = np.concatenate([self._sizes, later._sizes])
        hashes = np.concatenate([self._hashes, later._hashes])
        return FrozenTier(
            self.similarity, self.first, sizes, flat, of, (hashes, np.concatenate([self._hashed, later._hashed]))
        )

    def exact(self, text_hash: int) -> int | None:
        """The entry whose normal form has this hash."""
        at = int(self._hashes.searchsorted(text_hash))
        found = at < len(self._hashes) and self._hashes[at] == text_hash
        return int(self._hashed[at]) if found else None

    def near(self, wanted: frozenset[int], skip: Skip) -> Iterator[tuple[int, float]]:
        """The entries whose similarity reaches the threshold, each with it; those to ``skip`` are passed over."""
        import numpy as np

        if not len(self._keys):
            return
        least = math.ceil(self.similarity * len(wanted) - ROUNDING)  # shared by what is similar enough
        asked = np.fromiter(wanted, dtype=np.int64, count=len(wanted))
        at = self._keys.searchsorted(asked)
        at[at == len(self._keys)] = 0
        found = at[self._keys[at] == asked]
        if len(found) < max(1, least):
            return
        bounds = zip(self._starts[found].tolist(), self._starts[found + 1].tolist(), strict=True)
        entries = np.concatenate([self._entries[start:end] for start, end in bounds])
        entries.sort()
        often = entries[least - 1 :][entries[least - 1 :] == entries[: len(entries) - least + 1]]
        for entry in dict.fromkeys(often.tolist()):
            shared = int(entries.searchsorted(entry, "right") - entries.searchsorted(entry))
            similarity = shared / (len(wanted) + int(self._sizes[entry]) - shared)
            if similarity >= self.similarity and not skip(self.first + entry):
                yield self.first + entry, similarity

"""Copies: texts that say the same thing twice, found exactly and without comparing all pairs.

Two texts are *exact copies* when their normal forms are equal, and *near-copies* when the Jaccard similarity of their
sets of word pairs reaches a threshold: ``|A ∩ B| / |A ∪ B|`` (Broder 1997). Word pairs and not words, so that a text
with the same words in another order is not a copy; pairs and not longer runs, because short texts have few of them.

The index is an inverted one with *prefix filtering* (Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma and Srikant 2007).
Put the shingles of every text into one order, rarest first. Two sets with similarity t must then share one of their
first ``n - ceil(t n) + 1`` shingles, so only these are posted and looked up; sizes and places rule out most of what is
left (Xiao et al. 2008). Nothing is missed, nothing is estimated, common word pairs are hardly touched, and 100,000
short texts take seconds. MinHash would be the choice for long documents by the million; on texts of ten words its
estimate is off by more than the thresholds that people choose between.

When it lies: a paraphrase is not a near-copy here, and a language written without spaces is one long word, for which
only exact copies are found.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

from proofset.errors import InputError
from proofset.nouns.record import normal_form

SMALLEST_ORDER = 64
"""Entries from which the order of shingles is taken anew whenever the index has doubled."""

ROUNDING = 1e-9
"""Keeps ``0.6 * 5`` from asking for 4 shared shingles where 3 are enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The indexed text most like the one asked about."""

    key: str
    similarity: float
    """Jaccard similarity of word pairs, in [0, 1]."""
    exact: bool
    """Whether the normal forms are equal; a similarity of 1 alone only says that the word pairs are."""


def shingles(text: str) -> frozenset[int]:
    """The word pairs of a text's normal form as signed 64-bit hashes, equal in every process and on every machine.

    A text of one word has that word as its only shingle; an empty text has none.
    """
    words = normal_form(text).split(" ")
    if len(words) == 1:
        return frozenset((_hash64(words[0]),)) if words[0] else frozenset()
    return frozenset(_hash64(f"{first} {second}") for first, second in pairwise(words))


def text_hash(text: str) -> int:
    """Signed 64-bit hash of the normal form: equal for exact copies, and not to be mistaken for a shingle."""
    return _hash64("\x1f" + normal_form(text))


def _hash64(text: str) -> int:
    """Signed, so that a column of them fits the 64-bit integers of any table format."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    """Shared shingles over all shingles, in [0, 1]; 0 when both sets are empty."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared) if shared else 0.0


class CopyIndex:
    """Texts, or only their hashes, that can be asked for the best copy of another text."""

    def __init__(self, similarity: float) -> None:
        """``similarity`` in (0, 1] is the Jaccard similarity from which a text counts as a near-copy."""
        if not 0.0 < similarity <= 1.0:
            raise InputError(f"near-copy similarity {similarity} is not in (0, 1]", hint="0.5 to 0.8 is usual")
        self.similarity = similarity
        self._keys: list[str] = []
        self._sets: list[frozenset[int]] = []
        self._exact: dict[int, int] = {}
        self._postings: dict[int, dict[tuple[int, int], list[int]]] = {}
        self._order: dict[int, int] = {}
        self._ordered_at = -1

    def __len__(self) -> int:
        """How many texts are indexed."""
        return len(self._keys)

    def add(self, key: str, text: str) -> None:
        """Index a text under ``key``; keys need not differ."""
        self.add_shingles(key, shingles(text), text_hash(text))

    def add_shingles(self, key: str, shingles: Iterable[int], text_hash: int) -> None:
        """Index a text of which only the hashes are known, as for held-out records."""
        entry = len(self._keys)
        self._keys.append(key)
        self._sets.append(frozenset(shingles))
        self._exact.setdefault(text_hash, entry)
        if self._ordered_at >= 0:
            self._post(entry)

    def match(self, text: str) -> Match | None:
        """The best match at or above the similarity; of equally good ones, the first added."""
        if (entry := self._exact.get(text_hash(text))) is not None:
            return Match(key=self._keys[entry], similarity=1.0, exact=True)
        if self._ordered_at < 0 or len(self) >= max(2 * self._ordered_at, SMALLEST_ORDER):
            self._reorder(Counter(shingle for known in self._sets for shingle in known))
        wanted = shingles(text)
        best, found, seen = self.similarity, -1, set[int]()
        ordered = self._ordered(wanted)
        for place in range(len(ordered)):
            if len(ordered) - place < best * len(ordered) - ROUNDING:
                break
            fresh = self._posted(ordered, place, best) - seen
            seen |= fresh
            for entry in fresh:
                similarity = jaccard(wanted, self._sets[entry])
                if similarity > best or (similarity == best and (found < 0 or entry < found)):
                    best, found = similarity, entry
        return Match(key=self._keys[found], similarity=best, exact=False) if found >= 0 else None

    def _reorder(self, counts: dict[int, int]) -> None:
        """Fix the order of shingles, rarest first, and post every entry anew. Any order is exact; this one is fast."""
        self._order, self._ordered_at, self._postings = counts, len(self), {}
        for entry in range(len(self)):
            self._post(entry)

    def _ordered(self, shingles: frozenset[int]) -> list[int]:
        """Rarest first; shingles that the order does not know count as rarest."""
        order = self._order
        return sorted(shingles, key=lambda shingle: (order.get(shingle, 0), shingle))

    def _post(self, entry: int) -> None:
        """Post an entry under its rarest shingles, one of which every near-copy must share."""
        size = len(self._sets[entry])
        prefix = size - math.ceil(self.similarity * size - ROUNDING) + 1
        for place, shingle in enumerate(self._ordered(self._sets[entry])[:prefix]):
            self._postings.setdefault(shingle, {}).setdefault((size, size - place), []).append(entry)

    def _posted(self, ordered: list[int], place: int, floor: float) -> set[int]:
        """Entries that share the shingle at ``place`` and have enough shingles left to reach the similarity ``floor``.

        Sets of n and m shingles reach it when they share at least ``(n + m) * floor / (1 + floor)``.
        """
        left, size, share = len(ordered) - place, len(ordered), floor / (1.0 + floor)
        found = set[int]()
        for (other_size, other_left), entries in self._postings.get(ordered[place], {}).items():
            if min(left, other_left) >= share * (size + other_size) - ROUNDING:
                found.update(entries)
        return found


def longest_shared_run(text: str, other: str) -> int:
    """The most consecutive words of the normal form that two texts share; 0 when they share none.

    Time grows with the number of equal word pairs ``(i, j)``, not with the product of the lengths.
    """
    places: dict[str, list[int]] = {}
    for place, word in enumerate(normal_form(other).split()):
        places.setdefault(word, []).append(place)
    longest, runs = 0, dict[int, int]()
    for word in normal_form(text).split():
        runs = {place: runs.get(place - 1, 0) + 1 for place in places.get(word, ())}
        longest = max(longest, max(runs.values(), default=0))
    return longest


def groups(texts: Sequence[str], similarity: float) -> list[int]:
    """A group number for each text, from 0 by first appearance: near-copies share it, and so do their near-copies.

    Groups are the connected components of the near-copy relation, so a text has a near-copy exactly when its group has
    at least two members. When it lies: a chain of small edits joins texts whose ends are no near-copies.
    """
    index = CopyIndex(similarity)
    sets = [shingles(text) for text in texts]
    index._reorder(Counter(shingle for known in sets for shingle in known))
    parents = list(range(len(texts)))
    for number, (text, known) in enumerate(zip(texts, sets, strict=True)):
        fingerprint = text_hash(text)
        twin = index._exact.get(fingerprint)
        if twin is None:
            _join_near(number, known, index, parents)
        else:
            parents[_root(number, parents)] = _root(twin, parents)
        index.add_shingles("", known if twin is None else frozenset(), fingerprint)
    return _numbered([_root(number, parents) for number in range(len(texts))])


def _join_near(number: int, known: frozenset[int], index: CopyIndex, parents: list[int]) -> None:
    ordered, seen = index._ordered(known), set[int]()
    for place in range(len(ordered) - math.ceil(index.similarity * len(ordered) - ROUNDING) + 1 if ordered else 0):
        fresh = index._posted(ordered, place, index.similarity) - seen
        seen |= fresh
        for entry in fresh:
            mine, theirs = _root(number, parents), _root(entry, parents)
            if mine != theirs and jaccard(known, index._sets[entry]) >= index.similarity:
                parents[mine] = theirs


def _root(number: int, parents: list[int]) -> int:
    """The representative of a group; paths are halved on the way."""
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _numbered(roots: Sequence[int]) -> list[int]:
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root, len(numbers)) for root in roots]

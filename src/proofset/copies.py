"""Copies: texts that say the same thing twice, found exactly and without comparing all pairs.

Two texts are *exact copies* when their normal forms are equal, and *near-copies* when the Jaccard similarity of their
sets of word pairs reaches a threshold: ``|A ∩ B| / |A ∪ B|`` (Broder 1997). Word pairs and not words, so that a text
with the same words in another order is not a copy; pairs and not longer runs, because short texts have few of them.

The index is an inverted one (``copytiers.py``): its newest texts with *prefix filtering* (Chaudhuri, Ganti and Kaushik
2006; Bayardo, Ma and Srikant 2007; Xiao et al. 2008), all others in arrays, a few hundred bytes a text. Nothing is
missed and nothing is estimated. MinHash would be the choice for long documents by the million; on texts of ten words
its estimate is off by more than the thresholds that people choose between.

When it lies: a paraphrase is not a near-copy here, and a language written without spaces is one long word, for which
only exact copies are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import pairwise

from proofset.copytiers import FrozenTier, Skip, YoungTier, nobody
from proofset.errors import InputError
from proofset.nouns.record import normal_form

REMEMBERED = 1024
"""Texts whose word pairs are kept for a while: several indexes are asked about each candidate, one after the other."""

LARGEST = 16_384
"""Entries from which a frozen tier is left as it is: joining two takes several times their room for a moment."""
YOUNG = 1024
"""Entries of the young tier from which it is frozen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The indexed text most like the one asked about."""

    key: str
    similarity: float
    """Jaccard similarity of word pairs, in [0, 1]."""
    exact: bool
    """Whether the normal forms are equal; a similarity of 1 alone only says that the word pairs are."""


@lru_cache(maxsize=REMEMBERED)
def shingles(text: str) -> frozenset[int]:
    """The word pairs of a text's normal form as signed 64-bit hashes, equal in every process and on every machine.

    A text of one word has that word as its only shingle; an empty text has none.
    """
    words = normal_form(text).split(" ")
    if len(words) == 1:
        return frozenset((_hash64(words[0]),)) if words[0] else frozenset()
    return frozenset(_hash64(f"{first} {second}") for first, second in pairwise(words))


@lru_cache(maxsize=REMEMBERED)
def text_hash(text: str) -> int:
    """Signed 64-bit hash of the normal form: equal for exact copies, and not to be mistaken for a shingle."""
    return _hash64("\x1f" + normal_form(text))


def _hash64(text: str) -> int:
    """Signed, so that a column of them fits the 64-bit integers of any table format."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


class CopyIndex:
    """Texts, or only their hashes, that can be asked for the best copy of another text."""

    def __init__(self, similarity: float) -> None:
        """``similarity`` in (0, 1] is the Jaccard similarity from which a text counts as a near-copy."""
        if not 0.0 < similarity <= 1.0:
            raise InputError(f"near-copy similarity {similarity} is not in (0, 1]", hint="0.5 to 0.8 is usual")
        self.similarity = similarity
        self._keys: list[str] = []
        self._exact: dict[int, int] = {}  # of the young tier; a frozen one has its own
        self._frozen: list[FrozenTier] = []
        self._young = YoungTier(similarity, 0)

    def __len__(self) -> int:
        """How many texts are indexed."""
        return len(self._keys)

    def add(self, key: str, text: str) -> None:
        """Index a text under ``key``; keys need not differ."""
        self.add_shingles(key, shingles(text), text_hash(text))

    def add_shingles(self, key: str, shingles: Iterable[int], text_hash: int) -> None:
        """Index a text of which only the hashes are known, as for held-out records."""
        if self.exact(text_hash) is None:
            self._exact[text_hash] = len(self._keys)
        self._keys.append(key)
        self._young.add(frozenset(shingles))
        if len(self._young) >= YOUNG:
            self._freeze()

    def match(self, text: str) -> Match | None:
        """The best match at or above the similarity; of equally good ones, the first added."""
        if (entry := self.exact(text_hash(text))) is not None:
            return Match(key=self._keys[entry], similarity=1.0, exact=True)
        found = max(self.near(shingles(text)), key=lambda near: (near[1], -near[0]), default=None)
        return None if found is None else Match(key=self._keys[found[0]], similarity=found[1], exact=False)

    def exact(self, text_hash: int) -> int | None:
        """The first entry whose normal form has this hash."""
        for tier in self._frozen:
            if (entry := tier.exact(text_hash)) is not None:
                return entry
        return self._exact.get(text_hash)

    def near(self, wanted: frozenset[int], skip: Skip = nobody) -> Iterator[tuple[int, float]]:
        """Every entry (0 for the first added) whose similarity to a set of shingles reaches the index's, with it.

        Entries that ``skip`` says true of are passed over.
        """
        tiers: list[FrozenTier | YoungTier] = [*self._frozen, self._young]
        for tier in tiers:
            if len(tier):
                yield from tier.near(wanted, skip)

    def _freeze(self) -> None:
        """The young tier becomes a frozen one, and frozen ones of like size one: there are never more than a few."""
        self._frozen.append(FrozenTier.of(self.similarity, self._young.first, self._young.sets, self._exact))
        self._young, self._exact = YoungTier(self.similarity, len(self)), {}
        while len(self._frozen) > 1 and len(self._frozen[-2]) <= min(4 * len(self._frozen[-1]), LARGEST):
            later = self._frozen.pop()
            self._frozen.append(self._frozen.pop().joined(later))


@lru_cache(maxsize=REMEMBERED)
def runs(normal: str, n_words: int) -> frozenset[str]:
    """All runs of ``n_words`` words, at least 1, in a normal form: two texts that hold one in common share it."""
    words = normal.split()
    return frozenset(" ".join(words[at : at + n_words]) for at in range(len(words) - n_words + 1))


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
    parents = list(range(len(texts)))
    for number, (text, known) in enumerate(zip(texts, sets, strict=True)):
        fingerprint = text_hash(text)
        twin = index.exact(fingerprint)
        if twin is not None:
            parents[_root(number, parents)] = _root(twin, parents)
        else:
            mine = partial(_same_group, number, parents)
            for entry, _ in index.near(known, skip=mine):
                parents[_root(number, parents)] = _root(entry, parents)
        index.add_shingles("", known if twin is None else frozenset(), fingerprint)
    return _numbered([_root(number, parents) for number in range(len(texts))])


def _same_group(number: int, parents: list[int], other: int) -> bool:
    return _root(number, parents) == _root(other, parents)


def _root(number: int, parents: list[int]) -> int:
    """The representative of a group; paths are halved on the way."""
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _numbered(roots: Sequence[int]) -> list[int]:
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root, len(numbers)) for root in roots]

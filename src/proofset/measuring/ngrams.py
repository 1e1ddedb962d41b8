"""A word n-gram language model, small and fast enough to be fitted many times over while a corpus is measured.

p(w | h) = max(c(h, w) − D, 0) / c(h) + D · types(h) / c(h) · p(w | h′), where h′ is h without its oldest word, down
to a uniform floor over the vocabulary, the end of a text and one unknown: interpolated absolute discounting (Ney, Essen
and Kneser 1994). Every text has a finite loss, and every context's probabilities sum to 1.

When it lies: losses under different vocabularies cannot be compared, because a word that only one model knows is one
cheap unknown to the other, which flatters the model that knows less. Give models that are compared one ``Vocabulary``.
Drawn texts are shorter on average than those it was fitted on (Reuters, order 2: 81 words for 114), since discounting
lets a text end where none ever did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring.lexicon import END, FIRST_WORD, START, UNKNOWN, Coded, Numbers, Vocabulary

Doubles: TypeAlias = NDArray[np.float64]

COLDEST = 0.05
"""Lowest temperature: below, probabilities to the power 1 / temperature leave the range of a float."""
_SHIFT = 31

Texts: TypeAlias = Sequence[Sequence[str]] | Coded


class _Grams:
    """All n-grams of one length. Each has a lasting number, and is found by its context's number and its last word."""

    def __init__(self, shorter: _Grams | None) -> None:
        self._shorter = shorter
        self._keys = self.in_order = np.zeros(0, np.int64)
        """Sorted; and the numbers of all grams in that order, those of one context side by side."""
        self.parents = self.words = self.suffixes = self.counts = self._keys
        before = 0 if shorter is None else shorter.start
        self.start: int = self.taken(np.array([before << _SHIFT | START])).item()
        """The number of the gram that stands before every text; never counted."""

    def found(self, contexts: Numbers, words: Numbers) -> Numbers:
        """Numbers of the grams (n,); −1 for one never seen, and where the context was none."""
        return self._at(np.where(contexts < 0, -1, contexts << _SHIFT | words))

    def taken(self, keys: Numbers) -> Numbers:
        """Numbers of the grams with those keys (n,), new ones for new keys."""
        distinct, inverse = np.unique(keys, return_inverse=True)
        numbers = self._at(distinct)
        fresh = distinct[numbers < 0]
        numbers[numbers < 0] = np.arange(len(self.counts), len(self.counts) + len(fresh))
        if len(fresh):
            self._grow(fresh)
        return numbers[inverse.reshape(-1)]

    def _at(self, keys: Numbers) -> Numbers:
        if not len(self._keys):
            return np.full(len(keys), -1, np.int64)
        at = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
        return np.where(self._keys[at] == keys, self.in_order[at], -1)

    def _grow(self, keys: Numbers) -> None:
        parents, words, shorter = keys >> _SHIFT, keys & ((1 << _SHIFT) - 1), self._shorter
        suffixes = parents if shorter is None else shorter.found(shorter.suffixes[parents], words)
        numbers = np.arange(len(self.counts), len(self.counts) + len(keys))
        self.parents, self.words = np.append(self.parents, parents), np.append(self.words, words)
        self.suffixes, self.counts = np.append(self.suffixes, suffixes), np.append(self.counts, 0 * keys)
        keys, numbers = np.append(self._keys, keys), np.append(self.in_order, numbers)
        order = np.argsort(keys, kind="stable")
        self._keys, self.in_order = keys[order], numbers[order]


@dataclass(frozen=True, slots=True)
class _Smoothed:
    """Probabilities of one length of gram: of every gram seen, and what each context leaves to shorter ones."""

    grams: Doubles
    left: Doubles
    """By context; the last is for a context never seen, which leaves all."""


@dataclass(frozen=True, slots=True)
class _Wheel:
    """What is drawn after each context, on one length of gram."""

    chances: Doubles
    """Chance by context that the word is drawn here, not on the shorter gram; last for a context never seen: 0."""
    words: Numbers
    rims: Doubles
    """Running sum of the words' chances, 1 for each context that has any."""
    firsts: Numbers
    """Where a context's words begin; the last number is where all end."""
    kept: NDArray[np.bool_]
    """By gram: whether it is on the wheel; the last is for one never seen."""

    def turned(self, contexts: Numbers, rng: np.random.Generator) -> Numbers:
        """One word for each of the contexts (n,), all of which have some."""
        firsts = self.firsts[contexts]
        rims = np.where(firsts > 0, self.rims[firsts - 1], 0.0) + rng.random(len(contexts))
        at = np.searchsorted(self.rims, rims, side="right")
        chosen: Numbers = self.words[at.clip(firsts, self.firsts[contexts + 1] - 1)]
        return chosen


class NGrams:
    """A language model of the last ``order`` − 1 words; ``discount`` in (0, 1] is what each kind of n-gram gives up.

    Without ``vocabulary`` it takes up every word that it is fitted on. ``InputError`` for another order or discount.
    """

    def __init__(self, order: int = 2, discount: float = 0.75, *, vocabulary: Vocabulary | None = None) -> None:
        if order < 1 or not 0 < discount <= 1:
            raise InputError(f"order {order}, discount {discount}", hint="order ≥ 1 and a discount above 0, at most 1")
        self._discount = discount
        self._open = vocabulary is None
        self._vocabulary = Vocabulary() if vocabulary is None else vocabulary
        self._levels = [_Grams(None)]
        for _ in range(order - 1):
            self._levels.append(_Grams(self._levels[-1]))
        self._smoothed: list[_Smoothed] = []
        self._last: tuple[Coded, list[int], list[Numbers]] | None = None

    @property
    def vocabulary(self) -> int:
        """How many words it can tell apart: those it was fitted on, or those it was given."""
        return len(self._vocabulary)

    def fit(self, texts: Texts) -> Self:
        """Count ``texts`` in, on top of what was counted before; the model itself is returned."""
        if self._open and not isinstance(texts, Coded):
            self._vocabulary.take_up(chain.from_iterable(texts))
        self._count(self._numbered(self._coded(texts), new=True), 1)
        return self

    def forget(self, texts: Texts) -> Self:
        """Take ``texts`` that were counted out again, as if they had never been; words stay in the vocabulary.

        ``InputError`` for texts that hold more of an n-gram than was ever counted.
        """
        grams = self._numbered(self._coded(texts))
        for level, numbers in zip(self._levels, grams, strict=True):
            held = np.bincount(numbers[numbers >= 0], minlength=len(level.counts))
            if (numbers < 0).any() or (held > level.counts).any():
                raise InputError("texts to forget that were never counted", hint="forget only what was fitted")
        self._count(grams, -1)
        return self

    def losses(self, texts: Texts) -> tuple[Doubles, Numbers]:
        """Per text: its loss, −Σ ln p over its words and its end, in nats; and how many these are (words + 1).

        Two arrays of shape ``(n,)``. Always finite; a word never seen costs the floor.
        """
        coded = self._coded(texts)
        p, contexts = np.full(len(coded.tokens), self._floor), np.zeros(len(coded.tokens), np.int64)
        for level, smoothed, numbers in zip(self._levels, self._tables(), self._read(coded), strict=True):
            p = np.where(numbers < 0, smoothed.left[contexts] * p, smoothed.grams[numbers])
            contexts = _moved(numbers, coded, level.start)
        sums = np.add.reduceat(-np.log(p), np.cumsum(coded.lengths) - coded.lengths) if len(p) else p
        return sums, coded.lengths

    def perplexity(self, texts: Texts) -> float:
        """The exponential of the mean loss a token, ends included; 1 is the least. ``InputError`` without any text."""
        losses, tokens = self.losses(texts)
        if not len(tokens):
            raise InputError("no text to take a perplexity of", hint="give at least one text")
        return float(np.exp(losses.sum() / tokens.sum()))

    def sample(
        self, n_tokens: int | Sequence[int], rng: np.random.Generator, *, temperature: float = 1.0
    ) -> list[list[str]]:
        """Texts drawn from the model.

        A single number: texts end where the model ends them, until together they hold exactly that many words; the last
        one is cut. Several numbers: one text of exactly each length, drawn as if no text ever ended. The unknown has
        no spelling and is never drawn. ``temperature`` takes every conditional probability to the power
        1 / ``temperature`` and normalises, exactly. ``InputError`` below ``COLDEST``, and before any word was counted.
        """
        if temperature < COLDEST:
            raise InputError(f"a temperature of {temperature}", hint=f"the lowest is {COLDEST}")
        if not self._levels[0].counts[self._levels[0].words >= FIRST_WORD].any():
            raise InputError("a model that has seen no word cannot speak", hint="fit it on texts first")
        if not isinstance(n_tokens, int | np.integer):
            limits = np.asarray(n_tokens, np.int64)
            return self._spoken(limits, int(limits.sum()), self._wheels(temperature, ends=False), rng)
        wheels, texts, missing = self._wheels(temperature, ends=True), list[list[str]](), int(n_tokens)
        while missing > 0:
            limits = np.full(int(missing / self._usual_length) + 2, missing)
            for text in self._spoken(limits, missing, wheels, rng):
                if missing > 0:
                    texts.append(text[:missing])
                    missing -= len(text)
        return texts

    # --- counting ---------------------------------------------------------------------------------------------------

    def _coded(self, texts: Texts) -> Coded:
        return texts if isinstance(texts, Coded) else self._vocabulary.code(texts)

    def _numbered(self, coded: Coded, *, new: bool = False) -> list[Numbers]:
        """The number of the gram that ends at each token, for each length of gram."""
        contexts, grams = np.zeros(len(coded.tokens), np.int64), []
        for level in self._levels:
            numbers = level.taken(contexts << _SHIFT | coded.tokens) if new else level.found(contexts, coded.tokens)
            grams.append(numbers)
            contexts = _moved(numbers, coded, level.start)
        return grams

    def _read(self, coded: Coded) -> list[Numbers]:
        """What ``_numbered`` finds, kept for the next time: a measure asks for one corpus again and again."""
        sizes = [len(level.counts) for level in self._levels]
        if self._last is None or self._last[0] is not coded or self._last[1] != sizes:
            self._last = coded, sizes, self._numbered(coded)
        return self._last[2]

    def _count(self, grams: Sequence[Numbers], sign: int) -> None:
        for level, numbers in zip(self._levels, grams, strict=True):
            level.counts += sign * np.bincount(numbers, minlength=len(level.counts))
        self._smoothed = []

    @property
    def _floor(self) -> float:
        return 1.0 / (len(self._vocabulary) + 2)

    @property
    def _usual_length(self) -> float:
        """Words a text, at least 1."""
        level = self._levels[0]
        ends = int(level.counts[level.words == END].sum())
        return max(float(level.counts.sum()) / max(ends, 1) - 1.0, 1.0)

    def _tables(self) -> list[_Smoothed]:
        if not self._smoothed:
            shorter, contexts = np.array([self._floor]), 1
            for level in self._levels:
                smoothed = _smoothed(level, contexts, shorter, self._discount)
                self._smoothed.append(smoothed)
                shorter, contexts = smoothed.grams, len(level.counts)
        return self._smoothed

    # --- drawing ----------------------------------------------------------------------------------------------------

    def _wheels(self, temperature: float, *, ends: bool) -> list[_Wheel]:
        """A wheel for each length of gram, the floor first, with all weights to the power 1 / ``temperature``."""
        power, size = 1.0 / temperature, len(self._vocabulary)
        flat = np.append(np.arange(FIRST_WORD, FIRST_WORD + size), np.full(int(ends), END))
        shorter = np.array([self._floor**power])
        totals, suffixes = shorter * len(flat), np.zeros(1, np.int64)
        rims = np.arange(1, len(flat) + 1) / len(flat)
        wheels = [_Wheel(np.ones(1), flat, rims, np.array([0, len(flat)]), np.zeros(1, np.bool_))]
        for level, smoothed in zip(self._levels, self._tables(), strict=True):
            weights = smoothed.grams**power
            weights[(level.words == UNKNOWN) | ((level.words == END) & (not ends))] = 0.0
            wheel, totals = _wheel(level, weights, shorter, smoothed.left[:-1] ** power, totals[suffixes])
            wheels.append(wheel)
            shorter, suffixes = weights, level.suffixes
        return wheels

    def _spoken(self, limits: Numbers, most: int, wheels: list[_Wheel], rng: np.random.Generator) -> list[list[str]]:
        """Texts of at most ``limits`` words, drawn side by side; those after ``most`` words may be stumps."""
        lengths, live = np.zeros(len(limits), np.int64), np.flatnonzero(limits > 0)
        starts = (0, 0, *(level.start for level in self._levels[:-1]))
        contexts = [np.full(len(live), start) for start in starts]
        owners, drawn = [live[:0]], [live[:0]]
        while len(live):
            tokens = self._drawn(wheels, contexts, rng)
            going = tokens != END
            owners.append(live[going])
            drawn.append(tokens[going])
            lengths[live[going]] += 1
            # a text that would begin after the last word wanted can never be heard
            going &= (lengths < limits)[live] & ((np.cumsum(lengths) - lengths)[live] < most)
            live, tokens = live[going], tokens[going]
            pairs, none = zip(self._levels[:-1], contexts[1:-1], strict=True), np.zeros(len(live), np.int64)
            contexts = [none, none, *(level.found(c[going], tokens) for level, c in pairs)]
        order = np.argsort(np.concatenate(owners), kind="stable")
        spoken = iter(self._vocabulary.spelled(np.concatenate(drawn)[order]))
        return [list(islice(spoken, length)) for length in lengths.tolist()]

    def _drawn(self, wheels: list[_Wheel], contexts: list[Numbers], rng: np.random.Generator) -> Numbers:
        """A word for each of n contexts, given as an array (n,) for the floor and for each length of gram.

        It is drawn on the longest gram, or else on the shorter ones among the words that the longest does not have.
        """
        longest, wheel = contexts[-1], wheels[len(contexts) - 1]
        if len(contexts) == 1:
            return wheel.turned(longest, rng)
        tokens = np.zeros(len(longest), np.int64)
        here = rng.random(len(longest)) < wheel.chances[longest]
        tokens[here] = wheel.turned(longest[here], rng)
        left = np.flatnonzero(~here)
        while len(left):
            tokens[left] = self._drawn(wheels, [c[left] for c in contexts[:-1]], rng)
            left = left[wheel.kept[self._levels[len(contexts) - 2].found(longest[left], tokens[left])]]
        return tokens


def _moved(numbers: Numbers, coded: Coded, start: int) -> Numbers:
    """The gram before each token: that of the token before it, or ``start`` at the beginning of a text."""
    before = np.roll(numbers, 1)
    before[np.cumsum(coded.lengths) - coded.lengths] = start
    return before


def _smoothed(level: _Grams, contexts: int, shorter: Doubles, discount: float) -> _Smoothed:
    """Probabilities on one length of gram, from those on the ``shorter`` one."""
    totals = np.bincount(level.parents, level.counts, contexts)
    types = np.bincount(level.parents, level.counts > 0, contexts)
    left = np.append(np.where(totals > 0, discount * types / np.maximum(totals, 1), 1.0), 1.0)
    seen = np.maximum(level.counts - discount, 0.0) / np.maximum(totals, 1)[level.parents]
    return _Smoothed(seen + left[level.parents] * shorter[level.suffixes], left)


def _wheel(level: _Grams, weights: Doubles, shorter: Doubles, left: Doubles, totals: Doubles) -> tuple[_Wheel, Doubles]:
    """The wheel of one length of gram and its total weight by context.

    ``weights`` of its grams; ``shorter``: weights of all shorter grams; ``left``: by context, what they are multiplied
    by where they stand in; ``totals``: by context, their total weight.
    """
    kept = (level.counts > 0) & (weights > 0)
    grams = level.in_order[kept[level.in_order]]
    parents = level.parents[grams]
    here = np.bincount(parents, weights[grams], len(left))
    rest = totals - np.bincount(parents, shorter[level.suffixes[grams]], len(left))
    # what is only rounding would be searched for without end
    rest = np.where(rest > 1e-12 * totals, left * rest, 0.0)
    chances = np.append(here / np.maximum(here + rest, np.finfo(np.float64).tiny), 0.0)
    firsts = np.searchsorted(parents, np.arange(len(left) + 1))
    rims = np.cumsum(weights[grams] / here[parents])
    return _Wheel(chances, level.words[grams], rims, firsts, np.append(kept, False)), here + rest

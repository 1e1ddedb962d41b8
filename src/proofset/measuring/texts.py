"""Descriptions of text: how varied its words are, at one fixed number of tokens.

None of these numbers is good or bad by itself, and none compares texts of different size: with every further token
distinct-n falls and entropy rises (Heaps). Synthetic and organic text are therefore cut to the same number of tokens,
text by text in random order, and n-grams never cross from one text into the next. They describe; they decide nothing.

An interval says what other texts from the same source would give at the same number of tokens. A bootstrap with
replacement would say texts twice, which lowers distinct-n by itself, so texts are subsampled without: the variance at a
share f of the tokens is that among subsamples over 1 − f, and from one half and one quarter of the tokens it is carried
on to all of them by the rate at which it fell (subsampling with estimated rate: Bertail, Politis and Romano 1999).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from proofset.errors import InputError
from proofset.measuring.lexicon import FIRST_WORD, Numbers, Vocabulary, words
from proofset.measuring.ngrams import Doubles
from proofset.nouns.result import Better, Measure

DRAWS = 60
"""Subsamples of each size."""
FEWEST = 40
"""Texts that each side must have within the tokens."""
BYTES = 1_000_000
"""Most bytes that are compressed: more would say no more."""
LEAST_COUNT = 6
"""Words said less often are no part of the Zipf tail: below, the formula of its exponent is biased."""
LEAST_TAIL = 50
"""Words that must be left in the tail."""
DESCRIPTIVE = "descriptive"
UNITS = {
    "distinct-1": "share",
    "distinct-2": "share",
    "distinct-3": "share",
    "compression ratio": "bytes per byte",
    "bigram entropy": "bits",
    "Zipf tail exponent": "exponent",
}
"""The descriptions, in this order, and their units."""


def describe(
    synthetic: Sequence[str], organic: Sequence[str], *, tokens: int = 0, seed: int = 0
) -> list[tuple[Measure, Measure]]:
    """Pairs (synthetic, organic) of the six descriptions at the same ``tokens``, by default as many as both have.

    - distinct-1, distinct-2, distinct-3: kinds of n-grams over all of them, in (0, 1] (Li et al. 2016). Gibberish
      scores best.
    - Compression ratio: bytes over bytes after zlib, of the same number of bytes on both sides, at most ``BYTES``
      (Shaib et al. 2024). It sees only what comes again within 32 kB.
    - Bigram entropy: of pairs of neighbouring words, in bits, with the correction of Miller and Madow. It is still too
      low for a source with many rare pairs; noise raises it.
    - Zipf tail exponent: of how often words are said, above 1; the larger, the fewer are common. It does not see which.

    ``n`` is the number of tokens. Intervals are 95 %; in simulation 95 to 100 % of them held the truth, most where a
    small vocabulary is all but exhausted. ``value`` is None, with a note, for fewer than ``FEWEST`` texts within the
    tokens, and where there is nothing to count. ``InputError`` for more ``tokens`` than a side has. The price is that
    of some 45 passes over each side.
    """
    said = [[words(text) for text in texts] for texts in (synthetic, organic)]
    totals = [sum(map(len, texts)) for texts in said]
    if not 0 <= tokens <= min(totals):
        sizes = "{} synthetic and {} organic".format(*totals)
        raise InputError(f"{tokens} tokens of {sizes} ones", hint="ask for no more than both have; 0 takes the most")
    rng, vocabulary, wanted = np.random.default_rng([seed, 1]), Vocabulary.of(*said), tokens or min(totals)
    pairs = zip((synthetic, organic), said, strict=True)
    sides = [_Side.of(raw, texts, wanted, vocabulary, rng) for raw, texts in pairs]
    size = min(BYTES, *(sum(map(len, side.raw)) for side in sides))
    ours, theirs = (_described(side, wanted, size, rng) for side in sides)
    return list(zip(ours, theirs, strict=True))


def distinct(counts: Numbers) -> float:
    """Kinds over occurrences, of ``counts (kinds,)``; kinds with none do not exist. NaN for none at all."""
    return float((counts > 0).sum() / counts.sum()) if counts.any() else math.nan


def entropy(counts: Numbers) -> float:
    """Entropy in bits of ``counts (kinds,)``, plus (K − 1) / 2n nats for K kinds seen n times (Miller 1955).

    NaN for none at all.
    """
    seen = counts[counts > 0]
    if not len(seen):
        return math.nan
    p = seen / seen.sum()
    return float((-(p * np.log(p)).sum() + (len(seen) - 1) / (2 * seen.sum())) / math.log(2))


def tail_exponent(counts: Numbers) -> float:
    """α = 1 + n / Σ ln(x / (x_min − ½)) over the n of ``counts (kinds,)`` with x ≥ x_min = ``LEAST_COUNT``.

    The exponent of the power law p(x) ∝ x^−α of the counts (Clauset, Shalizi and Newman 2009). NaN for less than two.
    """
    tail = counts[counts >= LEAST_COUNT]
    return float(1 + len(tail) / np.log(tail / (LEAST_COUNT - 0.5)).sum()) if len(tail) > 1 else math.nan


def compression_ratio(data: bytes) -> float:
    """Bytes over bytes after zlib at level 9: the larger, the more text repeats itself. NaN for nothing."""
    return len(data) / len(zlib.compress(data, 9)) if data else math.nan


@dataclass(frozen=True, slots=True)
class _Grams:
    """All n-grams of one length (m,): kind, text, and how many tokens of its text one needs to see it."""

    kinds: Numbers
    texts: Numbers
    ends: Numbers

    @classmethod
    def of(cls, tokens: Numbers, lengths: Numbers, n: int) -> _Grams:
        at, texts, kinds = np.arange(len(tokens)), np.repeat(np.arange(len(lengths)), lengths), tokens
        places = at - np.repeat(np.cumsum(lengths) - lengths, lengths)
        for k in range(1, n):
            inside = places[at] + k < lengths[texts[at]]
            at, kinds = at[inside], kinds[inside]
            kinds = np.unique(kinds << 31 | tokens[at + k], return_inverse=True)[1].reshape(-1)
        return cls(kinds, texts[at], places[at] + n)


@dataclass(frozen=True, slots=True)
class _Side:
    """One corpus in a random order, its last text cut so that all tokens are those wanted."""

    raw: list[bytes]
    lengths: Numbers
    """Tokens of each text."""
    grams: list[_Grams]
    """By length: 1, 2, 3."""

    @classmethod
    def of(
        cls, raw: Sequence[str], said: Sequence[Sequence[str]], wanted: int, vocabulary: Vocabulary,
        rng: np.random.Generator,
    ) -> _Side:  # fmt: skip
        order = rng.permutation(len(raw))
        before = np.cumsum([0, *(len(said[at]) for at in order)])
        kept = order[before[:-1] < wanted]
        tokens = vocabulary.code([said[at] for at in kept]).tokens
        tokens = tokens[tokens >= FIRST_WORD][:wanted]
        lengths = np.diff(np.minimum(before[: len(kept) + 1], wanted))
        return cls(
            [f"{raw[at]}\n".encode() for at in kept], lengths, [_Grams.of(tokens, lengths, n) for n in (1, 2, 3)]
        )

    def statistics(self, order: Numbers, tokens: int, size: int) -> Doubles:
        """The six numbers ``(6,)``, of the first ``tokens`` or ``size`` bytes of the texts in that order."""
        lengths, shown = self.lengths[order], np.zeros(len(order), np.int64)
        shown[order] = np.clip(tokens - (np.cumsum(lengths) - lengths), 0, lengths)
        counts = [np.bincount(grams.kinds[grams.ends <= shown[grams.texts]]) for grams in self.grams]
        data = bytearray()
        for at in order.tolist():
            if len(data) < size:
                data += self.raw[at]
        squeezed = compression_ratio(bytes(data[:size]))
        return np.array([*map(distinct, counts), squeezed, entropy(counts[1]), tail_exponent(counts[0])])


def _described(side: _Side, wanted: int, size: int, rng: np.random.Generator) -> list[Measure]:
    """The six descriptions of one side, that of bytes at ``size`` bytes."""
    n = len(side.raw)
    if n < FEWEST:
        why = f"too few texts: {n} with {wanted:,} tokens, at least {FEWEST} are needed"
        return [_measure(name, math.nan, math.nan, wanted, why) for name in UNITS]
    values = side.statistics(np.arange(n), wanted, size)
    half, quarter = (
        np.array([side.statistics(rng.permutation(n), wanted // part, size // part) for _ in range(DRAWS)])
        for part in (2, 4)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = (half.var(axis=0, ddof=1) / (1 / 2)) / np.sqrt(quarter.var(axis=0, ddof=1) / (3 / 4))
    tail = int((np.bincount(side.grams[0].kinds) >= LEAST_COUNT).sum())
    if tail < LEAST_TAIL:
        values[-1] = math.nan
    none = "too few words in a text to count any"
    short = f"{tail} words are said {LEAST_COUNT} times or more, at least {LEAST_TAIL} are needed"
    reasons = [none] * (len(UNITS) - 1) + [short]
    rows = zip(UNITS, values.tolist(), errors.tolist(), reasons, strict=True)
    return [_measure(name, value, error, wanted, why) for name, value, error, why in rows]


def _measure(name: str, value: float, error: float, n: int, why: str) -> Measure:
    """A measure; without an interval where the error is unknown, without a value where that is."""
    if math.isnan(value):
        return Measure(
            name=name, value=None, n=n, unit=UNITS[name], better=Better.NEITHER, note=f"{DESCRIPTIVE}; {why}"
        )
    from scipy.special import stdtrit

    width = float(stdtrit(DRAWS - 1, 0.975)) * error
    note = DESCRIPTIVE if math.isfinite(width) else f"{DESCRIPTIVE}; subsamples differ too little for an interval"
    top = 1.0 if UNITS[name] == "share" else math.inf
    low, high = (max(value - width, 0.0), min(value + width, top)) if math.isfinite(width) else (None, None)
    return Measure(name=name, value=value, low=low, high=high, n=n, unit=UNITS[name], better=Better.NEITHER, note=note)

"""The lexicon: texts to words, words to numbers that several models share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError

Numbers: TypeAlias = NDArray[np.int64]

END, UNKNOWN, START = 0, 1, 2
"""Numbers of the end of a text, of any word outside the vocabulary, and of what stands before a text; words follow."""
FIRST_WORD = 3
_TOKEN = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """The tokens of a text: case-folded runs of letters and digits, and every other visible character by itself."""
    return _TOKEN.findall(text.casefold())


class Vocabulary:
    """A fixed set of words and their numbers, for all models that are to be compared.

    Any other word is the one unknown. Numbers follow the sorted words, so that the same words give the same numbers.
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._words = sorted(set(words))
        self._numbers = {word: number for number, word in enumerate(self._words, FIRST_WORD)}

    @classmethod
    def of(cls, *corpora: Sequence[Sequence[str]]) -> Vocabulary:
        """All words of tokenised corpora."""
        return cls(chain.from_iterable(chain.from_iterable(corpora)))

    def __len__(self) -> int:
        return len(self._words)

    def code(self, texts: Sequence[Sequence[str]]) -> Coded:
        """Tokenised ``texts`` as numbers, each with its end. ``InputError`` for a text that is still a string."""
        if any(isinstance(text, str) for text in texts):
            raise InputError("a text is a string, not a list of words", hint="give words(text) for every text")
        lengths = np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts))
        get, ends = self._numbers.get, np.cumsum(lengths) - 1
        tokens = np.zeros(int(lengths.sum()), np.int64)
        inner = np.ones(len(tokens), np.bool_)
        inner[ends] = False
        spoken = (get(word, UNKNOWN) for word in chain.from_iterable(texts))
        tokens[inner] = np.fromiter(spoken, np.int64, len(tokens) - len(lengths))
        return Coded(tokens, lengths)

    def spelled(self, numbers: Numbers) -> list[str]:
        """The words of ``numbers (n,)``, none of which is a mark or the unknown."""
        return [self._words[number] for number in (numbers - FIRST_WORD).tolist()]

    def take_up(self, words: Iterable[str]) -> None:
        """Know these words as well; those known keep their numbers."""
        new = sorted(set(words) - self._numbers.keys())
        self._numbers.update((word, number) for number, word in enumerate(new, FIRST_WORD + len(self._words)))
        self._words += new


class Coded(NamedTuple):
    """Texts as numbers of one vocabulary: ``tokens`` end to end with each text's end, ``lengths`` with that end."""

    tokens: Numbers
    lengths: Numbers

    def chosen(self, texts: Numbers) -> Coded:
        """Those texts, in that order, a number as often as it is named."""
        starts = np.cumsum(self.lengths) - self.lengths
        lengths = self.lengths[texts]
        offsets = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return Coded(self.tokens[np.repeat(starts[texts], lengths) + offsets], lengths)

"""Texts to words and numbers, and back."""

from __future__ import annotations

import numpy as np

from proofset.measuring.lexicon import FIRST_WORD, Vocabulary, words
from proofset.measuring.ngrams import NGrams

TINY = [["a", "b", "a", "b"], ["a", "c"], ["b"], []]


def test_words_are_folded_and_marks_stand_alone() -> None:
    assert words("It's 3.5 °C, STRASSE/Straße!") == [
        "it", "'", "s", "3", ".", "5", "°", "c", ",", "strasse", "/", "strasse", "!",
    ]  # fmt: skip
    assert words(" \n") == []


def test_coded_texts_are_the_texts() -> None:
    shared = Vocabulary.of(TINY)
    coded = shared.code(TINY)
    model = NGrams(2, vocabulary=shared).fit(coded)
    assert len(shared) == model.vocabulary == 3
    assert model.losses(coded)[0].tolist() == NGrams(2).fit(TINY).losses(TINY)[0].tolist()
    again = coded.chosen(np.array([2, 0, 3, 0]))
    expected = shared.code([TINY[2], TINY[0], TINY[3], TINY[0]])
    assert again.tokens.tolist() == expected.tokens.tolist() and again.lengths.tolist() == expected.lengths.tolist()


def test_words_that_are_taken_up_leave_known_numbers_alone() -> None:
    known = Vocabulary(["b", "a"])
    known.take_up(["c", "a", "aa"])
    assert known.code([["a", "b", "aa", "c"]]).tokens.tolist()[:4] == [FIRST_WORD + at for at in range(4)]
    assert known.spelled(np.array([FIRST_WORD + 2])) == ["aa"]
    assert len(known) == 4

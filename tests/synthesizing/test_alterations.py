"""Each alteration makes the text wrong in its one way, and leaves alone what it cannot alter."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from proofset.synthesizing.alterations import (
    cut_off,
    entities,
    entity_swapped,
    letters_shuffled,
    looped,
    negated,
    one_word,
    words_dropped,
)

TEXT = "The last ferry leaves Harlingen at 21:30, and the crossing takes about 95 minutes in calm weather."


def rng(seed: int = 0) -> random.Random:
    return random.Random(seed)


@pytest.mark.parametrize(("words", "gone"), [(2, 1), (6, 1), (7, 1), (13, 1), (14, 2), (70, 10)])
def test_one_word_in_seven_is_dropped_and_the_others_keep_their_order(words: int, gone: int) -> None:
    text = " ".join(map(str, range(words)))
    for seed in range(20):
        kept = [int(word) for word in words_dropped(text, rng(seed)).split()]
        assert len(kept) == words - gone
        assert kept == sorted(kept)


def test_a_single_word_cannot_lose_one() -> None:
    assert words_dropped("ferry", rng()) == ""


def test_shuffled_letters_are_the_same_letters_in_another_order() -> None:
    shuffled = letters_shuffled(TEXT, rng())
    assert shuffled != TEXT
    assert Counter(shuffled) == Counter(TEXT)


def test_a_loop_says_three_words_six_times() -> None:
    assert looped(TEXT, rng()).split() == ["The", "last", "ferry"] * 6


def test_a_cut_leaves_the_beginning_of_the_text() -> None:
    lengths = {len(cut_off(TEXT, rng(seed)).split()) for seed in range(50)}
    assert min(lengths) == 6 and max(lengths) == 13  # of 17 words, 40 to 80 %
    assert all(TEXT.startswith(cut_off(TEXT, rng(seed))) for seed in range(50))
    assert cut_off("ferry", rng()) == "ferry"


def test_a_text_that_is_too_short_is_one_word_long() -> None:
    assert one_word(TEXT, rng()) == "The"


def test_numbers_are_entities_and_so_are_names_but_not_the_first_word_of_a_sentence() -> None:
    assert entities([TEXT, "Ask for Anna, Bo or 95. They know."]) == {
        "number": ["21:30", "95"],
        "name": ["Harlingen", "Anna", "Bo"],
    }


def test_one_entity_is_exchanged_for_another_of_its_kind() -> None:
    others = {"number": ["21:30", "95", "7"], "name": ["Harlingen", "Vlieland"]}
    swapped = {entity_swapped(TEXT, others, rng(seed)) for seed in range(60)}
    assert swapped == {
        TEXT.replace("Harlingen", "Vlieland"),
        *(TEXT.replace("21:30", each) for each in ("95", "7")),
        *(TEXT.replace("95", each) for each in ("21:30", "7")),
    }


def test_without_an_entity_or_another_one_the_text_stays() -> None:
    assert entity_swapped("no entity at all", {"number": ["1"], "name": ["Anna"]}, rng()) == "no entity at all"
    assert entity_swapped("gate 4 only", {"number": ["4"], "name": ["Anna"]}, rng()) == "gate 4 only"


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("The bridge is open to lorries.", "The bridge is not open to lorries."),
        ("Lorries must wait, cars may pass.", "Lorries must not wait, cars may pass."),
        ("The bridge is not open.", "The bridge is open."),
        ("The bridge isn't open, and it was dark.", "The bridge is open, and it was dark."),
        ("They did not pay.", "They did pay."),
        ("Is the bridge open?", "Is the bridge open?"),
        ("Thanks for the ferry ride", "Thanks for the ferry ride"),
    ],
)
def test_a_statement_is_denied_and_a_denial_taken_back(text: str, denied: str) -> None:
    assert negated(text, rng()) == denied


@pytest.mark.parametrize("text", ["", " ", "can't", "x" * 10_000, "not " * 500, "\ud800 half", "🙂 🙃"])
def test_no_text_is_too_odd_to_be_altered(text: str) -> None:
    for alter in (words_dropped, letters_shuffled, looped, cut_off, one_word, negated):
        assert isinstance(alter(text, rng()), str)
    assert entity_swapped(text, entities([text]), rng()) == text

"""Near-copies are found exactly: every claim is held against comparing all pairs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proofset import copies
from proofset.copies import CopyIndex, Match, groups, longest_shared_run, runs, shingles, text_hash
from proofset.copytiers import jaccard
from proofset.errors import InputError

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=9).map(" ".join)
SIMILARITIES = st.sampled_from([0.1, 0.3, 0.5, 0.6, 2 / 3, 0.75, 1.0])


@pytest.fixture(params=[5, 1024], ids=["frozen", "young"])
def tier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most entries in frozen tiers of many sizes, or all of them in the young one."""
    monkeypatch.setattr(copies, "YOUNG", request.param)


def alike(first: str, second: str) -> float:
    """What the index must agree with, said the slow way."""
    return 1.0 if first == second else jaccard(shingles(first), shingles(second))


def test_shingles_are_word_pairs_of_the_normal_form() -> None:
    assert len(shingles("how do I pay")) == 3
    assert shingles("How  do\nI PAY") == shingles("how do i pay")
    assert shingles("a b a b") == shingles("a b") | shingles("b a")
    assert shingles("") == shingles(" \n") == frozenset()


def test_a_single_word_is_its_own_shingle_and_no_text_hash() -> None:
    assert len(shingles("hello")) == 1
    assert shingles("hello") != shingles("hallo")
    assert text_hash("hello") not in shingles("hello")


def test_hashes_are_signed_64_bit_and_equal_in_every_process() -> None:
    code = "from proofset.copies import *; print(sorted(shingles('a b c')), text_hash('a b c'))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == f"{sorted(shingles('a b c'))} {text_hash('a b c')}"
    values = [value for word in "abcdefghijklmnop" for value in shingles(word)]
    assert min(values) < 0 < max(values)
    assert all(-(2**63) <= value < 2**63 for value in values)


def test_exact_copies_match_whatever_their_case_and_spacing() -> None:
    index = CopyIndex(0.9)
    index.add("one", "Where is my card?")
    assert index.match("where is  MY card?") == Match(key="one", similarity=1.0, exact=True)


def test_equal_word_pairs_are_not_an_exact_copy() -> None:
    index = CopyIndex(0.9)
    index.add("one", "a b a")
    assert index.match("b a b") == Match(key="one", similarity=1.0, exact=False)


def test_the_threshold_itself_is_a_match() -> None:
    index = CopyIndex(0.6)
    index.add("one", "a b c d e")  # 4 pairs; shares 3 of 5 with the text below
    assert index.match("a b c d x") == Match(key="one", similarity=0.6, exact=False)
    assert CopyIndex(0.6).match("a b c d x") is None


def test_the_best_match_wins_and_then_the_first() -> None:
    index = CopyIndex(0.3)
    for key, text in (("far", "a b c x y"), ("near", "a b c d x"), ("as near", "x a b c d")):
        index.add(key, text)
    found = index.match("a b c d")
    assert found is not None
    assert (found.key, found.exact) == ("near", False)


def test_empty_texts_match_only_empty_texts() -> None:
    index = CopyIndex(0.5)
    index.add("words", "a b")
    assert index.match("") is None
    index.add("none", "")
    assert index.match(" ") == Match(key="none", similarity=1.0, exact=True)
    assert index.match("c d") is None


def test_hashes_alone_are_enough_to_recognise_a_copy() -> None:
    text = "my card has not arrived yet"
    index = CopyIndex(0.5)
    index.add_shingles("sealed", shingles(text), text_hash(text))
    exact, near = index.match(text), index.match("my card has not arrived")
    assert exact is not None and exact.exact
    assert near is not None and near.similarity == pytest.approx(4 / 5)


@pytest.mark.parametrize("similarity", [0.0, -0.1, 1.1, float("nan")])
def test_an_impossible_similarity_is_refused(similarity: float) -> None:
    with pytest.raises(InputError, match="similarity"):
        CopyIndex(similarity)


@pytest.mark.usefixtures("tier")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS, max_size=30), st.lists(TEXTS, min_size=1, max_size=10), SIMILARITIES)
def test_match_is_what_comparing_with_every_text_finds(known: list[str], asked: list[str], similarity: float) -> None:
    index = CopyIndex(similarity)
    for number, text in enumerate(known):
        index.add(str(number), text)
    for text in asked:
        found = index.match(text)
        best = max((alike(text, other) for other in known), default=0.0)
        if best >= similarity and (text or best == 1.0):
            assert found is not None
            assert found.similarity == best
            assert found.exact == (text in known)
            if not found.exact:
                assert found.key == str(next(n for n, other in enumerate(known) if alike(text, other) == best))
        else:
            assert found is None


@pytest.mark.usefixtures("tier")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS, min_size=1, max_size=150), SIMILARITIES)
def test_asking_and_adding_in_turns_misses_nothing(texts: list[str], similarity: float) -> None:
    """The order of shingles is renewed as the index grows: matches must not depend on when."""
    index = CopyIndex(similarity)
    for number, text in enumerate(texts):
        found = index.match(text)
        best = max((alike(text, other) for other in texts[:number]), default=0.0)
        assert (found.similarity if found else 0.0) == (best if best >= similarity else 0.0)
        index.add(str(number), text)
    assert len(index) == len(texts)


@pytest.mark.usefixtures("tier")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS, max_size=25), SIMILARITIES)
def test_groups_are_the_connected_components(texts: list[str], similarity: float) -> None:
    numbers = groups(texts, similarity)
    reached = [{n} for n in range(len(texts))]
    for _ in texts:
        for n, text in enumerate(texts):
            for m, other in enumerate(texts):
                if alike(text, other) >= similarity:
                    reached[n] |= reached[m]
    assert all((numbers[n] == numbers[m]) == (m in reached[n]) for n in range(len(texts)) for m in range(len(texts)))


def test_groups_are_transitive_and_numbered_by_first_appearance() -> None:
    chain = ["a b c d e", "z", "a b c d x", "a b c y x", "z"]  # the ends share 2 of 6 pairs, neighbours 3 of 5
    assert groups(chain, 0.5) == [0, 1, 0, 2, 1]
    assert groups(chain, 0.3) == [0, 1, 0, 0, 1]
    assert groups([], 0.5) == []


def test_a_thousand_equal_openings_stay_fast() -> None:
    texts = [f"thank you very much for order number {n}" for n in range(3000)]
    assert len(set(groups(texts, 0.9))) == 3000
    assert len(set(groups(texts, 0.6))) == 1


def test_longest_shared_run_counts_words_in_a_row() -> None:
    assert longest_shared_run("I lost MY card yesterday", "yesterday I lost my wallet") == 3
    assert longest_shared_run("a b a b c", "b a b c d") == 4
    assert longest_shared_run("a a a", "a a") == 2
    assert longest_shared_run("", "a") == longest_shared_run("a", "b") == 0


@given(TEXTS, TEXTS)
def test_longest_shared_run_is_symmetric_and_exact(text: str, other: str) -> None:
    words, others = text.split(), other.split()
    longest = max(
        (length for length in range(len(words) + 1) for i in range(len(words) - length + 1)
         for j in range(len(others) - length + 1) if words[i : i + length] == others[j : j + length]),
    )  # fmt: skip
    assert longest_shared_run(text, other) == longest_shared_run(other, text) == longest


def share_run(text: str, other: str, n_words: int) -> bool:
    return not runs(text, n_words).isdisjoint(runs(other, n_words))


def test_runs_are_of_whole_words_in_a_row() -> None:
    assert share_run("i lost my card yesterday", "yesterday i lost my wallet", 3)
    assert not share_run("i lost my card yesterday", "yesterday i lost my wallet", 4)
    assert not share_run("he art", "heart the art", 2)  # words that only begin or end alike are others
    assert not share_run("a card", "a cards", 2)
    assert share_run("a b", "a b", 2) and not share_run("a b", "a b", 3)
    assert not share_run("", "", 1)


@given(TEXTS, TEXTS, st.integers(1, 10))
def test_sharing_a_run_is_what_the_longest_run_says(text: str, other: str, n_words: int) -> None:
    assert share_run(text, other, n_words) == (longest_shared_run(text, other) >= n_words)

"""Leakage counts copies and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.copies import shingles
from proofset.copytiers import jaccard
from proofset.measuring.leakage import internal_copy_share, near_copy_share

ORGANIC = [
    "my card has not arrived after two weeks",
    "my card has not arrived after two months",
    "how do I top up with a cheque",
    "the exchange rate on my statement is wrong",
]
TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=6).map(" ".join)


def test_copies_of_organic_text_are_counted_beside_organic_repetition() -> None:
    texts = ["How do I top up with a cheque", "how do I top up with a cheque now", "something else altogether"]
    ours, control = near_copy_share(texts, ORGANIC, 0.6)
    assert ours.value == pytest.approx(2 / 3)
    assert ours.n == 3
    assert (control.value, control.n) == (0.5, 4)
    assert ours.low is not None and ours.high is not None and ours.low < 2 / 3 < ours.high
    assert ours.name == control.name


def test_none_and_all_copied() -> None:
    ours, _ = near_copy_share(["not one word pair shared"] * 5, ORGANIC, 0.6)
    assert (ours.value, ours.low) == (0.0, 0.0)
    ours, _ = near_copy_share(ORGANIC, ORGANIC, 0.6)
    assert (ours.value, ours.high) == (1.0, 1.0)


def test_nothing_to_compare_is_no_zero() -> None:
    for texts, organic in (([], ORGANIC), (ORGANIC, []), ([], [])):
        ours, control = near_copy_share(texts, organic, 0.6)
        assert ours.value is None and ours.note
        assert (control.value is None) == (len(organic) < 2)


@given(
    st.lists(TEXTS, min_size=1, max_size=12), st.lists(TEXTS, min_size=2, max_size=12),
    st.sampled_from([0.3, 0.6, 1.0]),
)  # fmt: skip
def test_shares_are_what_comparing_all_pairs_finds(texts: list[str], organic: list[str], similarity: float) -> None:
    def copied(text: str, others: list[str]) -> bool:
        return any(text == other or jaccard(shingles(text), shingles(other)) >= similarity for other in others)

    def leave_one_out(all_texts: list[str]) -> float:
        found = [copied(text, all_texts[:n] + all_texts[n + 1 :]) for n, text in enumerate(all_texts)]
        return sum(found) / len(found)

    ours, control = near_copy_share(texts, organic, similarity)
    assert ours.value == sum(copied(text, organic) for text in texts) / len(texts)
    assert control.value == leave_one_out(organic)
    inner, _ = internal_copy_share(texts, organic, similarity)
    assert inner.value == (leave_one_out(texts) if len(texts) > 1 else None)


def test_repetition_within_is_counted_on_both_sides_of_a_pair() -> None:
    texts = ["the same words again", "The same  words again", "other words entirely", "third thing to say"]
    ours, control = internal_copy_share(texts, ORGANIC, 0.6)
    assert (ours.value, ours.n) == (0.5, 4)
    assert (control.value, control.n, control.note) == (0.5, 4, "")


def test_the_internal_control_has_the_same_size_or_says_so() -> None:
    organic = [f"text number {n} of many different ones" for n in range(50)]
    texts = ["a b c", "d e f", "g h i"]
    chosen = {internal_copy_share(texts, organic, 0.99, seed=seed)[1].n for seed in range(3)}
    assert chosen == {3}
    _, control = internal_copy_share(organic, ORGANIC, 0.6)
    assert control.n == 4 and "only 4 organic texts" in control.note


def test_one_text_repeats_nothing() -> None:
    ours, _ = internal_copy_share(["alone here"], ORGANIC, 0.6)
    assert ours.value is None and "two" in ours.note

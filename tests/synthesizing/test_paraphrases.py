"""Paraphrases are found exactly where texts are known, and within the stated error where only signatures are."""

from __future__ import annotations

from collections.abc import Sequence
from math import acos, cos, pi, sin, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.synthesizing.judging import HOSTILE, bag_of_words, brief, candidate, reason

from proofset.errors import InputError
from proofset.synthesizing.paraphrases import (
    BITS,
    Encoding,
    ParaphraseGate,
    SealedIndex,
    VectorIndex,
    sealed_signatures,
    unit_rows,
)

RNG_D = 48


def units(n: int, seed: int = 0) -> NDArray[np.float32]:
    return unit_rows(np.random.default_rng(seed).standard_normal((n, RNG_D)))


def at_cosine(vectors: NDArray[np.float32], cosine: float, seed: int = 9) -> NDArray[np.float32]:
    """For each unit vector, another at exactly this cosine from it."""
    other = np.random.default_rng(seed).standard_normal(vectors.shape)
    other -= (other * vectors).sum(axis=1, keepdims=True) * vectors
    return unit_rows(cosine * vectors + sqrt(1 - cosine**2) * unit_rows(other))


# ── encoding ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_text_is_encoded_once_whoever_asks() -> None:
    asked: list[str] = []

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.extend(texts)
        return bag_of_words(texts)

    encoding = Encoding(encode)
    first = encoding("the quick fox")
    assert encoding("the quick fox") is first
    assert asked == ["the quick fox"]
    assert first.shape == (64,)
    assert np.linalg.norm(first) == pytest.approx(1)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 2
    assert not encoding("").any()


# ── exact ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_nearest_vector_is_found_as_by_comparing_all() -> None:
    known, asked = units(500), at_cosine(units(500)[::7], 0.9)
    index = VectorIndex(0.5)
    for number, vector in enumerate(known):
        index.add(f"k{number}", vector)
    assert len(index) == 500
    for vector in asked:
        best = int(np.argmax(known @ vector))
        found = index.match(vector)
        assert found is not None
        assert found[0] == f"k{best}"
        assert found[1] == pytest.approx(float(known[best] @ vector), abs=1e-6)


def test_the_similarity_is_the_cosine_from_which_a_vector_matches() -> None:
    (known,) = units(1)
    for cosine, hit in ((0.971, True), (0.969, False)):
        index = VectorIndex(0.97)
        index.add("k", 5 * known)  # lengths do not matter
        assert (index.match(3 * at_cosine(known[None], cosine)[0]) is not None) == hit


def test_an_index_over_vectors_at_hand_grows_without_touching_them() -> None:
    known = units(3)
    index = VectorIndex.of(0.9, ["a", "b", "c"], known)
    before = known.copy()
    extra = units(70, seed=5)
    for number, vector in enumerate(extra):
        index.add(f"x{number}", vector)
    assert [(index.match(vector) or ("",))[0] for vector in (*known, extra[69])] == ["a", "b", "c", "x69"]
    assert np.array_equal(known, before)


def test_equal_vectors_match_the_first_and_nothing_matches_nothing() -> None:
    index = VectorIndex(0.5)
    assert index.match(units(1)[0]) is None
    index.add("first", units(1)[0])
    index.add("second", units(1)[0])
    assert (index.match(units(1)[0]) or ("",))[0] == "first"
    index.add("empty", np.zeros(RNG_D, dtype=np.float32))
    assert index.match(np.zeros(RNG_D, dtype=np.float32)) is None


@pytest.mark.parametrize("similarity", [0.0, -1.0, 1.01])
def test_a_similarity_out_of_range_is_refused(similarity: float) -> None:
    with pytest.raises(InputError, match="not in"):
        VectorIndex(similarity)


# ── sealed ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_signatures_depend_on_direction_and_seed_alone() -> None:
    vectors = units(20)
    signatures = sealed_signatures(vectors, 7)
    assert signatures.shape == (20, BITS // 8)
    assert signatures.dtype == np.uint8
    assert np.array_equal(signatures, sealed_signatures(4 * vectors, 7))
    assert not np.array_equal(signatures, sealed_signatures(vectors, 8))
    assert sealed_signatures(np.empty((0, RNG_D), dtype=np.float32), 7).shape == (0, BITS // 8)


@pytest.mark.parametrize("cosine", [0.97, 0.93, 0.5])
def test_the_estimate_has_the_error_that_is_stated(cosine: float) -> None:
    vectors = units(400)
    signatures = sealed_signatures(vectors, 7)
    estimates = np.array(
        [
            (SealedIndex(signatures[number : number + 1], 0.01, 7).match(vector) or ("", -1.0))[1]
            for number, vector in enumerate(at_cosine(vectors, cosine))
        ]
    )
    p = acos(cosine) / pi
    error = sin(acos(cosine)) * pi * sqrt(p * (1 - p) / BITS)
    assert error == pytest.approx({0.97: 0.006, 0.93: 0.012, 0.5: 0.04}[cosine], abs=0.0006)
    assert abs(estimates.mean() - cosine) < error / 2
    assert estimates.std() == pytest.approx(error, rel=0.2)


def test_the_most_similar_signature_is_found() -> None:
    vectors = units(50)
    index = SealedIndex(sealed_signatures(vectors, 7), 0.95, 7)
    assert len(index) == 50
    found = [index.match(vector) for vector in at_cosine(vectors, 0.99)]
    assert [each[0] if each else "" for each in found] == [f"sealed text {number}" for number in range(50)]
    assert all(each and 0.95 <= each[1] <= 1 for each in found)
    assert [index.match(vector) for vector in at_cosine(vectors, 0.8)] == [None] * 50
    assert index.match(vectors[0]) == ("sealed text 0", cos(0))


def test_nothing_is_found_with_another_seed_for_a_vector_of_no_length_or_in_an_empty_index() -> None:
    vectors = units(50)
    signatures = sealed_signatures(vectors, 7)
    assert [SealedIndex(signatures, 0.9, 8).match(vector) for vector in vectors] == [None] * 50
    zero = np.zeros(RNG_D, dtype=np.float32)
    assert SealedIndex(sealed_signatures(zero[None], 7), 0.9, 7).match(zero) is None
    assert SealedIndex(signatures[:0], 0.9, 7).match(vectors[0]) is None


def test_signatures_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(2, 64\)"):
        SealedIndex(np.zeros((2, 64), dtype=np.uint8), 0.9, 7)


# ── the gate ────────────────────────────────────────────────────────────────────────────────────────────────────────

SAID = "the quick brown fox jumps over a lazy dog"
SAID_AGAIN = "over a lazy dog jumps the brown quick fox"


def test_the_same_words_in_another_order_are_a_paraphrase_for_a_bag_of_words() -> None:
    encoding, index, later = Encoding(bag_of_words), VectorIndex(0.97), VectorIndex(0.97)
    gate = ParaphraseGate("paraphrase of organic", "near paraphrase", encoding, index, later)
    assert reason(gate, SAID_AGAIN) == ""
    later.add("r2", encoding(SAID))
    verdict = gate.judge(brief(), candidate(SAID_AGAIN))
    assert (verdict.reason, verdict.evidence) == ("near paraphrase", ("r2",))
    assert verdict.critique == "cosine 1.000 with r2"
    index.add("r1", encoding(SAID))
    assert gate.judge(brief(), candidate(SAID_AGAIN)).evidence == ("r1",)
    assert reason(gate, "rivers run slowly past green hills") == ""


def test_held_out_texts_are_known_by_their_signatures_alone() -> None:
    sealed = SealedIndex(sealed_signatures(bag_of_words([SAID]), 3), 0.97, 3)
    gate = ParaphraseGate("paraphrase of held-out", "contaminated", Encoding(bag_of_words), sealed)
    verdict = gate.judge(brief(), candidate(SAID_AGAIN))
    assert (verdict.reason, verdict.evidence) == ("contaminated", ("sealed text 0",))
    assert reason(gate, "rivers run slowly past green hills") == ""


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_hostile_texts_get_a_verdict(text: str) -> None:
    encoding, index = Encoding(bag_of_words), VectorIndex(0.97)
    index.add("r1", encoding(SAID))
    sealed = SealedIndex(sealed_signatures(bag_of_words([SAID]), 3), 0.97, 3)
    assert reason(ParaphraseGate("paraphrase", "near paraphrase", encoding, index, sealed), text) == ""

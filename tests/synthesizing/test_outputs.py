"""What is made for one output stands in no other: every planted leak is found, and none is made up."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from proofset.copies import shingles
from proofset.errors import InputError, LeakageError
from proofset.nouns.candidate import Output
from proofset.nouns.record import Record
from proofset.synthesizing import outputs as module
from proofset.synthesizing.outputs import (
    BY_ID,
    BY_MEANING,
    BY_WORDS,
    HELD_OUT,
    Leak,
    Leakage,
    Total,
    check_apart,
    require_apart,
)

TRAIN, EVALUATION, ADVERSARIAL = Output
N, D = 30, 16


def records(name: str, texts: Sequence[str]) -> list[Record]:
    return [Record(id=f"{name}{number}", text=text) for number, text in enumerate(texts)]


def world(seed: int) -> tuple[dict[Output, list[Record]], dict[Output, NDArray[np.float64]]]:
    """Outputs that share no word, and whose vectors are far apart."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    made = {
        each: records(each, [" ".join(f"{each}{rng.random()}" for _ in range(8)) for _ in range(N)]) for each in Output
    }
    return made, {each: numbers.standard_normal((N, D)) for each in Output}


def planted(
    outputs: dict[Output, list[Record]], place: tuple[Output, int], text: str = "", id_: str = ""
) -> dict[Output, list[Record]]:
    output, number = place
    old = outputs[output][number]
    changed = list(outputs[output])
    changed[number] = Record(id=id_ or old.id, text=text or old.text)
    return {**outputs, output: changed}


PLACES = st.tuples(st.sampled_from(list(Output)), st.integers(0, N - 1))
TWO_PLACES = st.tuples(PLACES, PLACES).filter(lambda both: both[0][0] != both[1][0])


def in_order(one: tuple[Output, int], other: tuple[Output, int]) -> list[tuple[Output, int]]:
    return sorted((one, other), key=lambda place: list(Output).index(place[0]))


def only(found: Leakage) -> Leak:
    """The one leak there is."""
    (leak,), (total,) = found.leaks, found.totals
    assert total == Total(leak.kind, leak.first_output, leak.second_output, 1)
    return leak


# ── what is planted is found ────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 10**6))
def test_nothing_is_found_where_nothing_is_shared(seed: int) -> None:
    outputs, vectors = world(seed)
    found = check_apart(outputs, similarity=0.3, vectors=vectors, cosine=0.97, sealed=lambda text: False)
    assert found == Leakage((), (), (BY_ID, BY_WORDS, BY_MEANING, HELD_OUT))
    require_apart(found)


@given(st.integers(0, 10**6), TWO_PLACES)
def test_one_id_in_two_outputs_is_found(seed: int, both: Any) -> None:
    outputs, vectors = world(seed)
    (one, first), (other, second) = in_order(*both)
    shared = outputs[one][first].id
    found = check_apart(planted(outputs, (other, second), id_=shared), similarity=0.3, vectors=vectors)
    assert only(found) == Leak(BY_ID, one, shared, other, shared, 1.0)


@given(st.integers(0, 10**6), TWO_PLACES)
def test_an_exact_copy_is_found(seed: int, both: Any) -> None:
    outputs, vectors = world(seed)
    (one, first), (other, second) = in_order(*both)
    text = outputs[one][first].text.upper().replace(" ", " \n")
    found = check_apart(planted(outputs, (other, second), text), similarity=1.0, vectors=vectors)
    assert only(found) == Leak(BY_WORDS, one, outputs[one][first].id, other, outputs[other][second].id, 1.0)


@given(st.integers(0, 10**6), TWO_PLACES, st.integers(0, 7))
def test_a_near_copy_is_found_from_its_similarity_on(seed: int, both: Any, word: int) -> None:
    outputs, _ = world(seed)
    (one, first), (other, second) = in_order(*both)
    words = outputs[one][first].text.split()
    words[word] = "changed"
    text = " ".join(words)
    mine, theirs = shingles(text), shingles(outputs[one][first].text)
    similarity = len(mine & theirs) / len(mine | theirs)
    leak = only(check_apart(planted(outputs, (other, second), text), similarity=similarity))
    assert leak == Leak(BY_WORDS, one, outputs[one][first].id, other, outputs[other][second].id, similarity)
    assert not check_apart(planted(outputs, (other, second), text), similarity=similarity + 1e-6).leaks


@given(st.integers(0, 10**6), TWO_PLACES, st.floats(1e-30, 1e30), st.sampled_from([np.float64, np.float32]))
def test_one_direction_is_one_meaning_whatever_its_length(seed: int, both: Any, scale: float, kind: Any) -> None:
    outputs, vectors = world(seed)
    (one, first), (other, second) = in_order(*both)
    vectors[other][second] = scale * vectors[one][first]
    typed = {each: rows.astype(kind) for each, rows in vectors.items()}
    leak = only(check_apart(outputs, similarity=1.0, vectors=typed, cosine=1.0))
    assert (leak.kind, leak.first_id, leak.second_id) == (BY_MEANING, outputs[one][first].id, outputs[other][second].id)
    assert leak.similarity == pytest.approx(1.0, abs=1e-6) and (leak.similarity or 0.0) <= 1.0


@given(st.integers(0, 10**6), PLACES)
def test_held_out_text_is_found(seed: int, place: tuple[Output, int]) -> None:
    outputs, _ = world(seed)
    sealed = outputs[place[0]][place[1]]
    leak = only(check_apart(outputs, similarity=1.0, sealed=lambda text: text == sealed.text))
    assert leak == Leak(HELD_OUT, place[0], sealed.id, HELD_OUT, "", None)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.5, 0.99))
def test_cosines_are_those_of_plain_arithmetic_whatever_the_blocks(seed: int, cosine: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = {TRAIN: rng.standard_normal((23, 3)), EVALUATION: rng.standard_normal((17, 3))}
    outputs = {each: records(each, [f"{each}{n}" for n in range(len(rows))]) for each, rows in vectors.items()}
    unit = {each: rows / np.linalg.norm(rows, axis=1, keepdims=True) for each, rows in vectors.items()}
    table = unit[EVALUATION] @ unit[TRAIN].T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS", 5)
        patch.setattr(module, "AGAINST_ROWS", 7)
        found = check_apart(outputs, similarity=1.0, vectors=vectors, cosine=cosine, most=100)
    clear = np.abs(table.max(axis=1) - cosine) > 1e-5
    wanted = {
        f"evaluation{n}": f"train{table[n].argmax()}" for n in np.flatnonzero((table.max(axis=1) >= cosine) & clear)
    }
    doubtful = {f"evaluation{n}" for n in np.flatnonzero(~clear)}
    assert {leak.second_id: leak.first_id for leak in found.leaks if leak.second_id not in doubtful} == wanted
    for leak in found.leaks:
        row, column = int(leak.second_id.removeprefix("evaluation")), int(leak.first_id.removeprefix("train"))
        assert leak.similarity == pytest.approx(table[row, column], abs=1e-5)


def test_of_equally_like_records_the_first_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAINST_ROWS", 2)
    outputs = {TRAIN: records("t", ["a b", "c d", "e f", "g h"]), EVALUATION: records("e", ["i j"])}
    vectors = {TRAIN: np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), EVALUATION: np.array([[1.0, 0.0]])}
    assert only(check_apart(outputs, similarity=1.0, vectors=vectors)).first_id == "t1"


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_lengths_that_a_square_cannot_hold_do_not_matter(scale: float) -> None:
    outputs = {TRAIN: records("t", ["a b"]), EVALUATION: records("e", ["c d"])}
    vectors = {TRAIN: scale * np.array([[3.0, 4.0]]), EVALUATION: np.array([[0.3, 0.4]])}
    assert only(check_apart(outputs, similarity=1.0, vectors=vectors, cosine=1.0)).kind == BY_MEANING


# ── counts, edges, errors ───────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_first_few_are_named_but_all_are_counted() -> None:
    texts = [f"a text of its own number {number} here" for number in range(9)]
    outputs = {TRAIN: records("t", texts), EVALUATION: records("e", texts), ADVERSARIAL: records("a", texts[:2])}
    found = check_apart(outputs, similarity=1.0, most=3)
    assert found.totals == (
        Total(BY_WORDS, TRAIN, EVALUATION, 9), Total(BY_WORDS, TRAIN, ADVERSARIAL, 2),
        Total(BY_WORDS, EVALUATION, ADVERSARIAL, 2),
    )  # fmt: skip
    assert [leak.second_id for leak in found.leaks] == ["e0", "e1", "e2", "a0", "a1", "a0", "a1"]


def test_what_stands_twice_in_one_output_is_no_leak() -> None:
    twice = [Record(id="r", text="the same text twice")] * 2
    assert check_apart({TRAIN: twice}, similarity=0.5).leaks == ()


def test_empty_texts_and_rows_of_zeros_are_like_nothing() -> None:
    outputs = {each: records(each, ["", " "]) for each in Output}
    zeros = {each: np.zeros((2, 4)) for each in Output}
    assert check_apart(outputs, similarity=0.1, vectors=zeros, cosine=0.01).leaks == ()
    assert check_apart({}, similarity=0.5).leaks == check_apart({TRAIN: []}, similarity=0.5, vectors={}).leaks == ()


def test_it_says_what_it_could_not_look_for() -> None:
    assert check_apart({}, similarity=0.5).looked_for == (BY_ID, BY_WORDS)
    assert check_apart({}, similarity=0.5, vectors={}).looked_for == (BY_ID, BY_WORDS, BY_MEANING)


def test_a_breach_is_refused_with_how_many_and_which() -> None:
    text = "one and the same text"
    outputs = {TRAIN: records("t", ["another one", text]), EVALUATION: records("e", [text, text])}
    with pytest.raises(
        LeakageError, match=r"2 by words between train and evaluation; .* t1 of train and e0 of eval"
    ) as no:
        require_apart(check_apart(outputs, similarity=0.8))
    assert "drop" in no.value.hint
    with pytest.raises(LeakageError, match="1 of train in the held-out set; the first is t0 of train is held out"):
        require_apart(check_apart({TRAIN: outputs[TRAIN]}, similarity=0.8, sealed=lambda text: text == "another one"))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"similarity": 0.0}, "similarity"),
        ({"similarity": 0.5, "cosine": 0.0}, "cosine"),
        ({"similarity": 0.5, "cosine": 1.1}, "cosine"),
        ({"similarity": 0.5, "most": 0}, "most"),
        ({"similarity": 0.5, "vectors": {TRAIN: np.ones((2, 3))}}, r"evaluation have shape \(0,\) for 2 records"),
        ({"similarity": 0.5, "vectors": {TRAIN: np.ones((1, 3)), EVALUATION: np.ones((2, 3))}}, "train have shape"),
        ({"similarity": 0.5, "vectors": {TRAIN: np.ones((2, 3)), EVALUATION: np.ones((2, 4))}}, "3 and 4 columns"),
        ({"similarity": 0.5, "vectors": {TRAIN: np.ones((2, 3)), EVALUATION: np.array([[1.0], [np.nan]])}}, "row 1"),
    ],
)
def test_what_does_not_fit_is_named(settings_: dict[str, Any], message: str) -> None:
    outputs = {TRAIN: records("t", ["a b", "c d"]), EVALUATION: records("e", ["e f", "g h"])}
    with pytest.raises(InputError, match=message) as no:
        check_apart(outputs, **settings_)
    assert no.value.hint

"""What is farther from organic text than organic text is from itself has drifted; organic text itself rarely has."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.synthesizing.judging import HOSTILE, ORGANIC, bag_of_words, brief, candidate, reason, sentence

from proofset.errors import InputError
from proofset.synthesizing import drift
from proofset.synthesizing.drift import DriftGate, nearest_distances
from proofset.synthesizing.paraphrases import Encoding, unit_rows

D = 16


def cloud(n: int, width: float, seed: int, axis: int = 0) -> NDArray[np.float32]:
    """Unit vectors around an axis."""
    vectors = width * np.random.default_rng(seed).standard_normal((n, D))
    vectors[:, axis] += 1
    return unit_rows(vectors)


class Given:
    """An encoder that knows its texts by their number."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors

    def __call__(self, text: str) -> NDArray[np.float32]:
        return np.asarray(self._vectors[int(text)])


def refused(organic: NDArray[np.float32], labels: list[str], asked: NDArray[np.float32], slice_name: str) -> float:
    """The share of vectors that a gate with a share of 5 % refuses."""
    gate = DriftGate(Given(asked), organic, labels, 0.05)
    told = brief(slice_name=slice_name)
    return float(np.mean([reason(gate, str(number), told=told) == "drifted" for number in range(len(asked))]))


def test_distances_are_those_of_comparing_all_with_all_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = cloud(101, 0.3, 1)
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(cosines, -1)
    rows = np.arange(0, 101, 3)
    for block in (1, 250, 1 << 24):
        monkeypatch.setattr(drift, "BLOCK", block)
        assert nearest_distances(vectors, rows) == pytest.approx(1 - cosines.max(axis=1)[rows], abs=1e-6)


def test_the_nearest_may_be_on_the_other_side() -> None:
    opposite = np.array([[1, 0], [-1, 0]], dtype=np.float32)
    assert nearest_distances(opposite, np.arange(2)).tolist() == [2, 2]


def test_a_record_that_is_there_twice_is_no_farther_from_itself_than_rounding() -> None:
    twice = np.repeat(cloud(300, 0.3, 1), 2, axis=0)
    gate = DriftGate(Given(twice), twice, ["a"] * 600, 0.05)
    assert gate.limit("a") < 1e-6
    assert {reason(gate, str(number), told=brief(slice_name="a")) for number in range(600)} == {""}


def test_fresh_organic_text_is_refused_about_as_often_as_the_share_says() -> None:
    share = refused(cloud(2000, 0.3, 1), ["a"] * 2000, cloud(2000, 0.3, 2), "a")
    assert 0.03 < share < 0.07


def test_what_lies_elsewhere_has_drifted_and_the_nearest_label_is_named() -> None:
    organic = np.concatenate([cloud(60, 0.1, 1), cloud(60, 0.1, 2, axis=1)])
    asked = unit_rows(np.eye(D)[[0, 1, 5]] + [[0.0, 0.3, *[0.0] * (D - 2)]])
    gate = DriftGate(Given(asked), organic, ["a"] * 60 + ["b"] * 60, 0.01)
    assert [reason(gate, str(number), told=brief(slice_name="a")) for number in (1, 2)] == ["", "drifted"]
    verdict = gate.judge(brief(slice_name="a"), candidate("2"))
    assert verdict.evidence == ("b",)
    assert "of 'b'" in verdict.critique


def test_a_slice_with_records_enough_has_a_limit_of_its_own() -> None:
    organic = np.concatenate([cloud(50, 0.05, 1), cloud(49, 0.5, 2, axis=1), cloud(400, 0.5, 3, axis=2)])
    labels = ["tight"] * 50 + ["small"] * 49 + ["wide"] * 400
    gate = DriftGate(Given(organic), organic, labels, 0.05)
    assert gate.limit("tight") < gate.limit("wide") / 5
    assert gate.limit("small") == gate.limit("unheard of")
    assert gate.limit("tight") < gate.limit("small")
    rows = np.arange(50)
    assert gate.limit("tight") == pytest.approx(
        float(np.quantile(nearest_distances(organic, rows), 0.95, method="higher"))
    )


def test_an_organic_text_itself_has_never_drifted() -> None:
    vectors = cloud(200, 0.3, 1)
    assert refused(vectors, ["a"] * 200, vectors, "a") == 0


def test_only_so_many_records_are_measured_but_all_are_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = cloud(300, 0.3, 1)
    whole = DriftGate(Given(vectors), vectors, ["a"] * 300, 0.05)
    monkeypatch.setattr(drift, "MEASURED", 100)
    part = DriftGate(Given(vectors), vectors, ["a"] * 300, 0.05)
    every_third = nearest_distances(vectors, np.arange(0, 300, 3))
    assert part.limit("a") == pytest.approx(float(np.quantile(every_third, 0.95, method="higher")))
    assert part.limit("a") == pytest.approx(whole.limit("a"), rel=0.3)
    assert {reason(part, str(number), told=brief(slice_name="a")) for number in range(300)} == {""}


@pytest.mark.parametrize("n", [0, 1])
def test_a_share_of_nothing_or_hardly_any_records_turn_it_off(n: int) -> None:
    asked = cloud(3, 5.0, 4)
    few = DriftGate(Given(asked), cloud(n, 0.01, 1) if n else np.empty((0, D), dtype=np.float32), ["a"] * n, 0.01)
    off = DriftGate(Given(asked), cloud(100, 0.01, 1), ["a"] * 100, 0.0)
    for gate in (few, off):
        assert {reason(gate, str(number)) for number in range(3)} == {""}
        assert gate.limit("a") == np.inf


def test_labels_must_be_as_many_as_vectors() -> None:
    with pytest.raises(InputError, match="3 vectors of organic records, 2 labels"):
        DriftGate(Given(cloud(3, 0.1, 1)), cloud(3, 0.1, 1), ["a", "b"], 0.01)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_hostile_texts_get_a_verdict(text: str) -> None:
    gate = DriftGate(Encoding(bag_of_words), unit_rows(bag_of_words(ORGANIC)), ["edge"] * len(ORGANIC), 0.01)
    assert reason(gate, text) in {"", "drifted"}
    assert reason(gate, "") == "drifted"
    assert sum(reason(gate, sentence(seed)) == "drifted" for seed in range(1000, 1050)) <= 5

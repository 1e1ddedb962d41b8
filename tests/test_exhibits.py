"""Corpora out of files: what is read, what is refused and where, how a reference is halved, what is encoded twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.errors import InputError, RecordError
from proofset.exhibits import Exhibit, divided, encoded, read_exhibit


class Counting:
    """Texts to their lengths and first letters; it counts how often it is asked. Empty-handed for "unknown"."""

    name = "counting"

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += 1
        rows = [[0.0, 0.0] if text == "unknown" else [float(len(text)), float(ord(text[0]))] for text in texts]
        return np.array(rows, np.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROOFSET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def lines(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_rows_become_texts_and_slices(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"body": "one", "topic": "x"}, {"body": "two", "topic": 7})
    exhibit = read_exhibit(path, text="body", slice_column="topic")
    assert (exhibit.texts, exhibit.slices, len(exhibit)) == (("one", "two"), ("x", "7"), 2)
    assert read_exhibit(path, text="body").slices == ()


def test_vectors_are_read_as_they_are(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    exhibit = read_exhibit(tmp_path / "v.npy")
    assert len(exhibit) == 7 and not exhibit.texts
    part = exhibit.part(np.array([4, 1]))
    assert np.array_equal(np.asarray(part.vectors), vectors[[4, 1]])
    assert encoded(exhibit, None)[0] is exhibit


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"text": ""}, "empty, or not a text"), ({"text": "  "}, "empty, or not a text"),
        ({"text": None}, "empty, or not a text"), ({"text": ["a"]}, "empty, or not a text"),
        ({"words": "a"}, "no such column"),
    ],
)  # fmt: skip
def test_a_row_without_a_text_is_named(tmp_path: Path, row: object, problem: str) -> None:
    path = lines(tmp_path / "a.jsonl", {"text": "fine"}, row)
    with pytest.raises(RecordError, match=rf"a\.jsonl:2, field 'text': {problem}"):
        read_exhibit(path)


def test_an_unknown_ending_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no reader for files that end in '\.xls'") as caught:
        read_exhibit(tmp_path / "a.xls")
    assert ".npy, .jsonl" in caught.value.hint
    with pytest.raises(InputError, match="no such file"):
        read_exhibit(tmp_path / "gone.csv")
    with pytest.raises(InputError, match=r"gone\.npy"):
        read_exhibit(tmp_path / "gone.npy")


def test_near_copies_stay_on_one_side_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    words = [f"word{n}" for n in range(300)]
    texts = [" ".join(rng.choice(words, 12)) for _ in range(120)]
    texts += [f"{text} indeed" for text in texts[:40]]
    exhibit = Exhibit(name="h", vectors=None, texts=tuple(texts), slices=tuple("ab" * 80))
    left, right = divided(exhibit)
    assert 40 < len(left) < 120
    assert sorted((*left.texts, *right.texts)) == sorted(texts)
    for side in (left, right):
        assert all((f"{text} indeed" in side.texts) == (text in side.texts) for text in texts[:40])
    turned = divided(Exhibit(name="h", vectors=None, texts=tuple(texts[::-1])))
    assert (set(turned[0].texts), set(turned[1].texts)) == (set(left.texts), set(right.texts))
    assert set(divided(exhibit, seed=1)[0].texts) != set(left.texts)


def test_vectors_are_halved_by_rows() -> None:
    left, right = divided(Exhibit(name="h", vectors=np.arange(10, dtype=np.float32).reshape(5, 2)))
    assert np.asarray(left.vectors)[:, 0].tolist() == [0, 4, 8]
    assert np.asarray(right.vectors)[:, 0].tolist() == [2, 6]


def test_texts_are_encoded_once_and_again_when_the_cache_is_damaged(cache: Path) -> None:
    encoder, exhibit = Counting(), Exhibit(name="s", vectors=None, texts=("ab", "c"))
    first, _ = encoded(exhibit, encoder)
    second, _ = encoded(exhibit, encoder)
    assert encoder.asked == 1
    assert np.array_equal(np.asarray(first.vectors), np.asarray(second.vectors))
    (kept,) = (cache / "vectors").iterdir()
    kept.write_bytes(b"not vectors")
    encoded(exhibit, encoder)
    encoded(Exhibit(name="s", vectors=None, texts=("ab", "d")), encoder)
    assert encoder.asked == 3


def test_texts_that_the_encoder_does_not_know_are_left_out_and_counted() -> None:
    exhibit = Exhibit(name="s", vectors=None, texts=("ab", "unknown", "c"), slices=("x", "y", "x"))
    found, lost = encoded(exhibit, Counting())
    assert (found.texts, found.slices, lost) == (("ab", "c"), ("x", "x"), 1)
    assert len(found) == 2


def test_texts_need_an_encoder() -> None:
    with pytest.raises(InputError, match="texts need an encoder"):
        encoded(Exhibit(name="s.csv", vectors=None, texts=("a",)), None)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PROOFSET_CACHE", str(tmp_path / "file"))
    encoder = Counting()
    assert len(encoded(Exhibit(name="s", vectors=None, texts=("a", "b")), encoder)[0]) == 2

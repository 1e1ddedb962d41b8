from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.plugins import Head, Trainer, find
from proofset.training.trainers import (
    LinearHead,
    Vectors,
    learning_curve,
    out_of_fold,
    probabilities,
    stratified_part,
    train_linear,
)

LINEAR: Trainer = find("trainers", "linear")
Clouds = tuple[NDArray[np.float64], list[str]]


def clouds(sizes: dict[str, int], seed: int = 0, d: int = 8, spread: float = 0.6) -> Clouds:
    rng = np.random.default_rng(99)
    centres = {label: rng.normal(size=d) for label in sizes}
    noise = np.random.default_rng(seed)
    vectors = [centres[label] + spread * noise.normal(size=(n, d)) for label, n in sizes.items()]
    return np.concatenate(vectors), [label for label, n in sizes.items() for _ in range(n)]


@pytest.mark.parametrize("sizes", [{"ham": 60, "spam": 12}, {"a": 30, "b": 20, "c": 8, "d": 4}])
def test_head_predicts_unseen_records_with_probabilities_that_sum_to_one(sizes: dict[str, int]) -> None:
    vectors, labels = clouds(sizes)
    head = train_linear(vectors, labels, np.ones(len(labels)), strength=10.0)
    assert head.classes == tuple(sorted(sizes))
    assert head.coef.shape == (len(sizes), 8)
    assert head.intercept.shape == (len(sizes),)
    unseen, truth = clouds(sizes, seed=1)
    predicted = head.predict(unseen)
    assert predicted.shape == (len(truth), len(sizes))
    assert predicted.sum(axis=1) == pytest.approx(np.ones(len(truth)))
    guesses = np.asarray(head.classes)[predicted.argmax(axis=1)]
    assert np.mean(guesses == np.asarray(truth)) > 0.9


@pytest.mark.parametrize("sizes", [{"ham": 60, "spam": 12}, {"a": 30, "b": 20, "c": 8}])
def test_head_gives_the_probabilities_of_the_model_it_was_fitted_with(sizes: dict[str, int]) -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, labels = clouds(sizes, spread=1.5)
    head = train_linear(vectors, labels, np.ones(len(labels)), strength=3.0)
    reference = LogisticRegression(C=3.0, class_weight="balanced", max_iter=20_000).fit(vectors, labels)
    assert head.predict(vectors) == pytest.approx(reference.predict_proba(vectors), abs=1e-9)


def test_balance_is_of_total_weight_not_of_records() -> None:
    vectors, labels = clouds({"a": 40, "b": 10}, spread=1.5)
    plain = train_linear(vectors, labels, np.ones(50), strength=1.0)
    doubled = [*labels, *labels[40:]], np.concatenate([vectors, vectors[40:]])
    halves = np.concatenate([np.ones(40), np.full(20, 0.5)])
    assert train_linear(doubled[1], doubled[0], halves, strength=1.0).coef == pytest.approx(plain.coef, abs=1e-3)
    # twenty copies at full weight change nothing about b's total either, only the sum that meets the penalty
    heavy = train_linear(vectors, labels, np.concatenate([np.ones(40), np.full(10, 4.0)]), strength=50 / 80)
    assert heavy.coef == pytest.approx(plain.coef, abs=1e-3)


def test_weights_within_a_class_matter_and_weight_zero_is_absence() -> None:
    vectors, labels = clouds({"a": 30, "b": 30}, spread=1.5)
    tilted = np.concatenate([np.linspace(0.1, 3.0, 30), np.ones(30)])
    even = train_linear(vectors, labels, np.ones(60), strength=1.0)
    assert not np.allclose(train_linear(vectors, labels, tilted, strength=1.0).coef, even.coef, atol=1e-2)
    silenced = np.concatenate([np.ones(20), np.zeros(10), np.ones(30)])
    absent = train_linear(
        np.delete(vectors, slice(20, 30), axis=0), labels[:20] + labels[30:], np.ones(50), strength=1.0
    )
    assert train_linear(vectors, labels, silenced, strength=1.0).coef == pytest.approx(absent.coef)


def test_training_is_deterministic_and_does_not_touch_its_arguments() -> None:
    vectors, labels = clouds({"a": 30, "b": 9, "c": 9})
    weights = np.linspace(0.5, 2.0, 48)
    before = vectors.copy(), weights.copy()
    first = train_linear(vectors, labels, weights, strength=30.0)
    second = train_linear(vectors, labels, weights, strength=30.0)
    assert np.array_equal(first.coef, second.coef) and np.array_equal(first.intercept, second.intercept)
    assert np.array_equal(vectors, before[0]) and np.array_equal(weights, before[1])


def test_training_refuses_one_class_and_senseless_weights() -> None:
    vectors, labels = clouds({"a": 5, "b": 5})
    faults: list[tuple[list[str], NDArray[np.float64]]] = [
        (["a"] * 10, np.ones(10)),
        (labels, np.concatenate([np.ones(5), np.zeros(5)])),
        (labels, np.zeros(10)),
        (labels, np.full(10, -1.0)),
        (labels, np.full(10, np.nan)),
        (labels[:9], np.ones(10)),
    ]
    for names, weights in faults:
        with pytest.raises(InputError) as caught:
            train_linear(vectors, names, weights, strength=1.0)
        assert caught.value.hint


def test_head_survives_its_file_and_the_file_is_exactly_where_asked(tmp_path: Path) -> None:
    vectors, labels = clouds({"größe": 8, "b": 8})
    head = train_linear(vectors, labels, np.ones(16), strength=1.0)
    path = tmp_path / "head.weights"
    head.save(path)
    loaded = LinearHead.load(path)
    assert loaded.classes == head.classes == ("b", "größe")
    assert np.array_equal(loaded.predict(vectors), head.predict(vectors))
    head.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_loading_something_else_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no head", encoding="utf-8")
    np.savez(tmp_path / "other.npz", coef=np.zeros(3))
    np.savez(tmp_path / "pickled.npz", coef=np.zeros(1), intercept=np.zeros(1), classes=np.array([{}], dtype=object))
    for name in ("text", "other.npz", "pickled.npz", "missing.npz"):
        with pytest.raises(InputError):
            LinearHead.load(tmp_path / name)


def test_the_trainer_is_found_by_name_and_fits_the_seam(tmp_path: Path) -> None:
    trainer = find("trainers", "linear")
    assert list(signature(trainer.__call__).parameters) == list(signature(Trainer.__call__).parameters)[1:]
    vectors, labels = np.array([[0.0, 1.0], [1.0, 0.0]] * 4), ["a", "b"] * 4
    head = trainer(vectors, labels, np.ones(8), strength=2.0)
    assert head.coef == pytest.approx(train_linear(vectors, labels, np.ones(8), strength=2.0).coef)
    head.save(tmp_path / "head.npz")
    assert trainer.load(tmp_path / "head.npz").predict(vectors) == pytest.approx(head.predict(vectors))


@dataclass(kw_only=True)
class Memory:
    """A head that knows only which records it was shown: certain of their labels, else of its first class."""

    classes: tuple[str, ...]
    shown: dict[float, str]

    def save(self, path: Path) -> None:
        path.write_text(repr(self), encoding="utf-8")

    def predict(self, vectors: Vectors) -> NDArray[np.float64]:
        guesses = [self.shown.get(float(row[0]), self.classes[0]) for row in vectors]
        return np.array([[float(name == guess) for name in self.classes] for guess in guesses])


def remember(vectors: Vectors, labels: Sequence[str], weights: Vectors, *, strength: float) -> Head:
    """A trainer that would give perfect predictions for any record that leaked into training."""
    return Memory(classes=tuple(sorted(set(labels))), shown=dict(zip(vectors[:, 0].tolist(), labels, strict=True)))


def test_probabilities_line_up_by_name_and_unknown_classes_get_zero() -> None:
    head = Memory(classes=("b", "c"), shown={1.0: "c"})
    assert probabilities(head, np.array([[0.0], [1.0]]), ["a", "c", "b"]).tolist() == [[0, 0, 1], [0, 1, 0]]


@settings(max_examples=30)
@given(n_folds=st.integers(2, 5), seed=st.integers(0, 99))
def test_no_record_is_predicted_by_a_head_that_saw_it(n_folds: int, seed: int) -> None:
    labels = ["a"] * 20 + ["z"] * 10
    vectors, folds = np.arange(30.0)[:, None], np.random.default_rng(seed).permutation(np.arange(30) % n_folds)
    predicted = out_of_fold(remember, vectors, labels, np.ones(30), folds, strength=1.0)
    assert predicted.tolist() == [[1.0, 0.0]] * 30  # the memory knows none of them


def test_out_of_fold_columns_are_the_sorted_labels_even_for_a_class_of_one_fold() -> None:
    vectors, labels = clouds({"c": 12, "b": 12, "a": 2})
    folds = np.array([0, 1] * 12 + [0, 0])
    predicted = out_of_fold(LINEAR, vectors, labels, np.ones(26), folds, strength=10.0)
    assert predicted.shape == (26, 3)
    assert (predicted[folds == 0, 0] == 0).all()  # fold 0 is predicted without any "a"
    assert (predicted[folds == 1, 0] > 0).all()
    guesses = np.array(["a", "b", "c"])[predicted.argmax(axis=1)]
    assert np.mean(guesses[:24] == np.array(labels[:24])) > 0.8


def test_learning_curve_counts_every_record_once_and_falls_with_data() -> None:
    vectors, labels = clouds({"a": 120, "b": 60, "c": 15}, spread=1.2, d=20)
    folds = np.arange(195) % 5
    curve = learning_curve(LINEAR, vectors, labels, folds, [0.1, 0.5, 1.0], strength=1.0, seed=3)
    assert [(p.fraction, p.label) for p in curve] == [(f, x) for f in (0.1, 0.5, 1.0) for x in "abc"]
    assert [p.n for p in curve if p.fraction == 0.5] == [120, 60, 15]
    assert [p.n_train for p in curve if p.fraction == 1.0] == [96.0, 48.0, 12.0]
    assert [p.n_train for p in curve if p.fraction == 0.1] == [10.0, 5.0, 1.0]
    totals = [sum(p.errors for p in curve if p.fraction == f) for f in (0.1, 1.0)]
    assert totals[0] > totals[1]
    again = learning_curve(LINEAR, vectors, labels, folds, [0.1, 0.5, 1.0], strength=1.0, seed=3)
    assert curve == again


def test_learning_curve_never_trains_on_the_fold_it_predicts() -> None:
    labels = ["a"] * 20 + ["z"] * 10
    vectors, folds = np.arange(30.0)[:, None], np.arange(30) % 3
    curve = learning_curve(remember, vectors, labels, folds, [1.0], strength=1.0, seed=0)
    assert [(p.label, p.errors, p.n) for p in curve] == [("a", 0, 20), ("z", 10, 10)]


@given(fraction=st.floats(0.01, 1.0), sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_parts_are_stratified_nested_and_never_lose_a_label(fraction: float, sizes: list[int]) -> None:
    labels = np.repeat(np.array([f"l{i}" for i in range(len(sizes))]), sizes)
    part, larger = stratified_part(labels, fraction, seed=1), stratified_part(labels, min(1.0, fraction * 2), seed=1)
    assert set(part.tolist()) <= set(larger.tolist())
    for number, size in enumerate(sizes):
        assert int((labels[part] == f"l{number}").sum()) == max(1, round(fraction * size))


def test_a_fraction_outside_its_range_is_refused() -> None:
    for fraction in (0.0, 1.5):
        with pytest.raises(InputError):
            stratified_part(np.array(["a"]), fraction, seed=0)


def test_many_labels_with_one_record_each_are_no_reason_to_warn() -> None:
    vectors = np.eye(6)
    head = train_linear(vectors, [f"label {row}" for row in range(6)], np.ones(6), strength=10.0)
    assert list(np.argmax(head.predict(vectors), axis=1)) == list(range(6))

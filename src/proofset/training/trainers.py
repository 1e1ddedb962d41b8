"""A linear head over fixed vectors, and what folds tell about it: out-of-fold predictions and learning curves.

A head over good embeddings trains in seconds, so an experiment can afford many arms, seeds and folds.
"""

from __future__ import annotations

import warnings
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.plugins import Fit, Head

Vectors = NDArray[np.float64] | NDArray[np.float32]
Folds = NDArray[np.integer]

MAX_ITERATIONS = 20_000
"""Far beyond what the solver needs, so that a fit never ends early."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearHead:
    """A multinomial logistic regression: class probabilities are the softmax of ``vectors @ coef.T + intercept``."""

    coef: NDArray[np.float64]
    """Shape ``(k, d)``."""
    intercept: NDArray[np.float64]
    """Shape ``(k,)``."""
    classes: tuple[str, ...]
    """The ``k`` label names, sorted: the order of rows here and of columns in predictions."""

    def predict(self, vectors: Vectors) -> NDArray[np.float64]:
        """Class probabilities of shape ``(n, k)`` for vectors of shape ``(n, d)``; rows sum to 1."""
        scores = np.asarray(vectors, dtype=np.float64) @ self.coef.T + self.intercept
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def save(self, path: Path) -> None:
        """Write the head to exactly ``path`` as an npz archive of plain arrays; equal heads give equal bytes."""
        with path.open("wb") as file:
            np.savez(file, coef=self.coef, intercept=self.intercept, classes=np.array(self.classes, dtype=np.str_))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The head that ``save`` wrote to ``path``. Nothing in the file is executed."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                classes = tuple(str(name) for name in arrays["classes"])
                return cls(coef=arrays["coef"], intercept=arrays["intercept"], classes=classes)
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: not a linear head: {error}", hint="train the arm again") from error


def train_linear(vectors: Vectors, labels: Sequence[str], weights: Vectors, *, strength: float) -> LinearHead:
    """A LinearHead fitted to vectors ``(n, d)``, labels and weights ``(n,)``: every class counts alike in the loss.

    Multinomial logistic regression with an L2 penalty of inverse ``strength`` (lbfgs, deterministic). Weights become
    w_i · W / (K · W_class), so that all K classes have the same *total* weight, whether few or many, organic or
    synthetic, records make it up. Probabilities are therefore those of a world where all classes are equally frequent.
    """
    from sklearn.linear_model import LogisticRegression

    vectors, names, balanced = _balanced(vectors, labels, weights)
    model = LogisticRegression(C=strength, solver="lbfgs", max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings():  # many labels with few records each are what starving means
        warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
        model.fit(vectors, names, sample_weight=balanced)
    coef, intercept = np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64)
    if len(coef) == 1:  # two classes: the sigmoid of a score is the softmax of plus and minus half of it
        coef, intercept = np.vstack([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    return LinearHead(coef=coef, intercept=intercept, classes=tuple(str(name) for name in model.classes_))


class LinearTrainer:
    """The default Trainer: ``train_linear``, and the reading of what it saved."""

    def __call__(self, vectors: Vectors, labels: Sequence[str], weights: Vectors, *, strength: float) -> LinearHead:
        """A LinearHead; see ``train_linear``."""
        return train_linear(vectors, labels, weights, strength=strength)

    def load(self, path: Path) -> LinearHead:
        """The head in a checkpoint. Raises InputError when it is damaged."""
        return LinearHead.load(path)


linear = LinearTrainer()
"""The trainer that studies call "linear"."""


def _balanced(
    vectors: Vectors, labels: Sequence[str], weights: Vectors
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.float64]]:
    """The records that have weight, with weights rescaled so that every class has the same total."""
    weights = np.asarray(weights, dtype=np.float64)
    if not len(vectors) == len(labels) == len(weights):
        raise InputError(f"{len(vectors)} vectors, {len(labels)} labels and {len(weights)} weights", hint="one of each")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InputError("weights must be finite and not negative", hint="leave a record out instead")
    used = weights > 0
    names, numbers = np.unique(np.asarray(labels, dtype=np.str_)[used], return_inverse=True)
    if len(names) < 2:
        found = f"only {str(names[0])!r}" if len(names) else "none"
        raise InputError(f"training needs at least two labels and got {found}", hint="give records of another label")
    totals = np.bincount(numbers, weights=weights[used])
    share = totals.sum() / (len(names) * totals)
    return np.asarray(vectors, dtype=np.float64)[used], names[numbers], weights[used] * share[numbers]


def probabilities(head: Head, vectors: Vectors, classes: Sequence[str]) -> NDArray[np.float64]:
    """A head's predictions in the column order of ``classes``, shape ``(n, k)``; a class it never saw gets 0."""
    predicted = head.predict(vectors)
    columns = {name: column for column, name in enumerate(head.classes)}
    aligned = np.zeros((len(predicted), len(classes)))
    for column, name in enumerate(classes):
        if name in columns:
            aligned[:, column] = predicted[:, columns[name]]
    return aligned


def out_of_fold(
    train: Fit, vectors: Vectors, labels: Sequence[str], weights: Vectors, folds: Folds, *, strength: float
) -> NDArray[np.float64]:
    """Class probabilities ``(n, k)`` of each record from a head trained on the other folds only.

    ``folds`` has shape ``(n,)``. Columns follow the sorted labels; a class absent from a training part gets 0.
    """
    classes, names = sorted(set(labels)), np.asarray(labels, dtype=np.str_)
    predicted = np.zeros((len(names), len(classes)))
    for fold in np.unique(folds):
        inside = folds == fold
        head = train(vectors[~inside], names[~inside].tolist(), weights[~inside], strength=strength)
        predicted[inside] = probabilities(head, vectors[inside], classes)
    return predicted


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """How often records of one label were mistaken by heads trained on a fraction of the other folds."""

    fraction: float
    """Of each label's training records, in (0, 1]."""
    label: str
    n_train: float
    """Training records of this label, averaged over the ``n`` records predicted."""
    errors: int
    n: int
    """Records of this label predicted."""


def learning_curve(
    train: Fit,
    vectors: Vectors,
    labels: Sequence[str],
    folds: Folds,
    fractions: Sequence[float],
    *,
    strength: float,
    seed: int,
) -> list[CurvePoint]:
    """Errors per label for growing parts of the data; one CurvePoint per fraction and label, in that order.

    For each fraction and fold a head is trained on a random part of the other folds (the same share of each label, at
    least one record) and predicts the fold. Parts are nested: a larger fraction holds every smaller one. All labels
    shrink together, so the curve of one label also shows its rivals' growth.
    """
    names = np.asarray(labels, dtype=np.str_)
    points = []
    for fraction in fractions:
        errors: Counter[str] = Counter()
        seen: Counter[str] = Counter()
        for fold in np.unique(folds):
            outside, inside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            part = stratified_part(names[outside], fraction, seed=seed + int(fold))
            chosen = outside[part]
            head = train(vectors[chosen], names[chosen].tolist(), np.ones(len(chosen)), strength=strength)
            guesses = np.asarray(head.classes)[head.predict(vectors[inside]).argmax(axis=1)]
            sizes = Counter(names[chosen].tolist())
            for label, guess in zip(names[inside].tolist(), guesses.tolist(), strict=True):
                errors[label] += label != guess
                seen[label] += sizes[label]
        points += _points(fraction, errors, seen, Counter(names.tolist()))
    return points


def _points(fraction: float, errors: Counter[str], seen: Counter[str], sizes: Counter[str]) -> list[CurvePoint]:
    """One point per label; every record is predicted once, so a label's size is its number of predictions."""
    return [
        CurvePoint(fraction=fraction, label=label, n_train=seen[label] / n, errors=errors[label], n=n)
        for label, n in sorted(sizes.items())
    ]


def stratified_part(labels: NDArray[np.str_], fraction: float, *, seed: int) -> NDArray[np.intp]:
    """Sorted positions of a random ``fraction`` of each label, at least one record of each; nested over fractions."""
    if not 0 < fraction <= 1:
        raise InputError(f"a fraction of {fraction}", hint="fractions lie above 0 and at most at 1")
    order = np.random.default_rng(seed).permutation(len(labels))
    part = [order[labels[order] == label] for label in np.unique(labels)]
    kept = [positions[: max(1, round(fraction * len(positions)))] for positions in part]
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, dtype=np.intp)

"""Arms: the same organic records with different additions, and how much the additions are to weigh.

Every arm gets the same tuning: a grid search on organic validation folds, never on the held-out set. The organic arm
and the plain arms search the strengths; the arm with a chosen weight searches strengths times weights.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.nouns.result import Arm
from proofset.plugins import Fit
from proofset.stats import bayesian_weights
from proofset.training.trainers import Folds, Vectors, probabilities

ORGANIC = "organic"
"""Name of the baseline arm."""
DEFINITIONS = "definitions"
"""Name of the arm with definitions; also of what it adds."""
UNJUDGED = "unjudged"
"""Name of the arm with every candidate, before any judge; also of what it adds."""
JUDGED = "judged"
"""Name of the arm with accepted candidates at full weight; also of what it adds."""
JUDGED_WEIGHTED = "judged-weighted"
"""Name of the arm with accepted candidates at a weight chosen on organic folds."""

ALWAYS_ALLOWED = -1
"""``unseen_fold`` of an added record that no organic record went into, such as a definition."""
OFFSETS = tuple(number / 10 for number in range(-20, 21))
"""Nats that the edge labels' log odds may be moved by: from an eighth of the odds to eight times."""
PROBABILITY_FLOOR = 1e-4
"""Smallest probability in the log loss: a class that a training part lacks costs much, but not without limit."""


def arms(has_definitions: bool, has_unjudged: bool, seeds: int) -> tuple[Arm, ...]:
    """The training conditions, baseline first. The chosen weight of the last one is filled in after ``choose``."""
    listed = [Arm(name=ORGANIC, title="organic, class-weighted", seeds=seeds)]
    if has_definitions:
        listed.append(Arm(name=DEFINITIONS, title="+ definitions", added=DEFINITIONS, seeds=seeds))
    if has_unjudged:
        listed.append(Arm(name=UNJUDGED, title="+ unjudged", added=UNJUDGED, seeds=seeds))
    listed.append(Arm(name=JUDGED, title="+ judged", added=JUDGED, seeds=seeds))
    listed.append(Arm(name=JUDGED_WEIGHTED, title="+ judged, chosen weight", added=JUDGED, seeds=seeds))
    return tuple(listed)


def comparisons(names: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Which arm is compared with which others: synthetic text with everything organic, definitions where there are any.

    An arm with synthetic text must beat the strongest arm that has none; definitions must beat the records alone.
    """
    if DEFINITIONS not in names:
        return ((ORGANIC, tuple(name for name in names if name != ORGANIC)),)
    synthetic = tuple(name for name in names if name not in (ORGANIC, DEFINITIONS))
    return (ORGANIC, (DEFINITIONS,)), (DEFINITIONS, synthetic)


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """What one arm trains on with one seed: organic records first, then the added ones."""

    vectors: NDArray[np.float64]
    """Shape ``(n, d)``."""
    labels: tuple[str, ...]
    weights: NDArray[np.float64]
    """Shape ``(n,)``; organic ones have mean 1."""
    added: NDArray[np.bool_]
    """Shape ``(n,)``: whether the record was added to the organic ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The settings that did best on the organic validation folds."""

    strength: float
    weight: float
    """Of an added record against an organic one."""
    loss: float
    """Class-balanced log loss in nats of organic records that the head had not seen."""
    offset: float = 0.0
    """Nats added to the log odds of the edge labels before the most probable label is taken; see ``leaned``."""

    def words(self) -> str:
        """For people and for ``Trained.settings``."""
        settings = f"strength {self.strength:g}, added weight {self.weight:g}, edge offset {self.offset:+g}"
        return f"{settings} (validation loss {self.loss:.4f})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Folded:
    """Labelled vectors with a fold each."""

    vectors: Vectors
    """Shape ``(n, d)``."""
    labels: Sequence[str]
    folds: Folds
    """Shape ``(n,)``. Of an organic record: its validation fold. Of an added one: its ``unseen_fold``."""


def mix(organic: Folded, added: Folded, *, added_weight: float, seed: int) -> Mixture:
    """The Mixture of organic and added records for one seed.

    Organic weights are ``bayesian_weights(n, seed)``, the same in every arm, so that arms are paired by seed and the
    seeds show how much a result hangs on this very organic sample. An added record weighs ``added_weight``; one that is
    ALWAYS_ALLOWED, a definition, weighs 1.
    """
    if added_weight < 0:
        raise InputError(f"an added weight of {added_weight}", hint="weights are 0 or larger")
    n, extra = len(organic.labels), len(added.labels)
    vectors = np.reshape(np.asarray(added.vectors, dtype=np.float64), (extra, organic.vectors.shape[1]))
    weights = np.where(np.asarray(added.folds) == ALWAYS_ALLOWED, 1.0, float(added_weight))
    return Mixture(
        vectors=np.concatenate([np.asarray(organic.vectors, dtype=np.float64), vectors]),
        labels=(*organic.labels, *added.labels),
        weights=np.concatenate([bayesian_weights(n, seed), weights]),
        added=np.arange(n + extra) >= n,
    )


def choose(
    train: Fit,
    organic: Folded,
    added: Folded,
    *,
    strengths: Sequence[float],
    weights: Sequence[float],
    edge: Collection[str] = (),
) -> Chosen:
    """Strength and weight with the least class-balanced log loss on organic validation folds; ties go to the first.

    The loss is taken at its best offset of the ``edge`` labels, and the offset then set where the mean recall over
    classes is best, on the same folds. That is part of the tuning of *every* arm: with few labels, recall at the edge
    can be had by moving a threshold, without any new text, and an arm must not be credited with what its baseline was
    merely not allowed to do. A weight of 0 leaves the additions out: the folds may find them useless.

    While fold f validates, only organic records outside f and added records whose ``unseen_fold`` is f or
    ALWAYS_ALLOWED may train. An added record with ``unseen_fold == f`` was made without showing the generator any
    organic record of fold f, so nothing of f can leak through it. Only about one in n_folds added records qualifies;
    their weight is multiplied by n_folds, so that the synthetic mass is what the final training will have. This is
    hard on additions: a share of the texts at n_folds times the weight is less varied than all of them. Records whose
    generator saw every fold never validate. Without added records only the strengths are searched.
    """
    if not strengths or not weights:
        raise InputError("nothing to choose from", hint="give at least one strength and one weight")
    grid = [(s, w) for s in strengths for w in (weights if len(added.labels) else weights[:1])]
    predicted = [validation_predictions(train, organic, added, strength=s, weight=w) for s, w in grid]
    classes = sorted(set(organic.labels))
    losses = [least_log_loss(each, organic.labels, classes, edge) for each in predicted]
    best = int(np.argmin(losses))
    offset = best_offset(predicted[best], organic.labels, classes, edge)
    return Chosen(strength=grid[best][0], weight=grid[best][1], loss=losses[best], offset=offset)


def validation_predictions(
    train: Fit, organic: Folded, added: Folded, *, strength: float, weight: float
) -> NDArray[np.float64]:
    """Class probabilities ``(n, k)`` of organic records from the other folds plus what may join them."""
    names, extra = np.asarray(organic.labels, dtype=np.str_), np.asarray(added.labels, dtype=np.str_)
    extra_vectors = np.reshape(added.vectors, (len(extra), organic.vectors.shape[1]))
    classes, every_fold = sorted(set(organic.labels)), np.unique(organic.folds)
    always = np.asarray(added.folds) == ALWAYS_ALLOWED
    mass = np.where(always, 1.0, len(every_fold) * weight)
    predicted = np.zeros((len(names), len(classes)))
    for fold in every_fold:
        inside, joins = organic.folds == fold, always | (np.asarray(added.folds) == fold)
        head = train(
            np.concatenate([organic.vectors[~inside], extra_vectors[joins]]),
            [*names[~inside].tolist(), *extra[joins].tolist()],
            np.concatenate([np.ones(int((~inside).sum())), mass[joins]]),
            strength=strength,
        )
        predicted[inside] = probabilities(head, organic.vectors[inside], classes)
    return predicted


def leaned(
    predicted: NDArray[np.float64], classes: Sequence[str], edge: Collection[str], offset: float
) -> NDArray[np.float64]:
    """Probabilities of shape ``(…, k)`` with ``offset`` nats added to the log odds of the edge classes.

    With two labels it is a moved threshold; with many it is the one dial between edges and rest.
    """
    tilt = np.array([np.exp(offset) if name in edge else 1.0 for name in classes])
    tilted = predicted * tilt
    return np.asarray(tilted / tilted.sum(axis=-1, keepdims=True))


def best_offset(
    predicted: NDArray[np.float64], labels: Sequence[str], classes: Sequence[str], edge: Collection[str]
) -> float:
    """The offset among OFFSETS with the best mean recall over classes; of equals, the smallest. 0 without edges."""
    if not set(edge) & set(classes):
        return 0.0
    columns = {name: column for column, name in enumerate(classes)}
    truth = np.array([columns[label] for label in labels], dtype=np.intp)

    def recall(offset: float) -> float:
        right = leaned(np.maximum(predicted, 1e-12), classes, edge, offset).argmax(axis=1) == truth
        return float(np.mean([right[truth == number].mean() for number in np.unique(truth)]))

    return max(OFFSETS, key=lambda offset: (round(recall(offset), 12), -abs(offset)))


def least_log_loss(
    predicted: NDArray[np.float64], labels: Sequence[str], classes: Sequence[str], edge: Collection[str]
) -> float:
    """Class-balanced log loss in nats at the offset where it is least.

    Without this, text that merely makes the head more ready to say "edge" would look like text that teaches it.
    """
    offsets = OFFSETS if set(edge) & set(classes) else (0.0,)
    floored = np.maximum(predicted, 1e-12)
    return min(balanced_log_loss(leaned(floored, classes, edge, offset), labels, classes) for offset in offsets)


def balanced_log_loss(predicted: NDArray[np.float64], labels: Sequence[str], classes: Sequence[str]) -> float:
    """Mean over classes of the mean −log p(true class), in nats; probabilities are floored at PROBABILITY_FLOOR.

    A rare class counts as much as a frequent one. ``predicted`` has shape ``(n, k)`` with columns ``classes``.
    """
    columns = {name: column for column, name in enumerate(classes)}
    truth = np.array([columns[label] for label in labels], dtype=np.intp)
    surprise = -np.log(np.maximum(predicted[np.arange(len(truth)), truth], PROBABILITY_FLOOR))
    return float(np.mean([surprise[truth == number].mean() for number in np.unique(truth)]))

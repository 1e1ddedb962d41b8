"""Arms: one linear head for each way to add something to the same organic questions, and what each gets right."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.loop.outcome import Outcome
from benchmarks.loop.rivals import edited, mixed
from benchmarks.loop.study import titled
from proofset.plugins import Encoder
from proofset.runs import tables
from proofset.runs.folder import Run
from proofset.training.trainers import train_linear

WEIGHT = 0.25
"""What an added record counts against an organic one, in every arm alike; set before any seed of the table was run."""
BUDGETS = (5, 10, 20, 40, 80, 140)
"""Briefs an intent up to which accepted records are counted, for the curve."""
REST = 0.90
"""Accuracy on the other intents at which arms are compared at equal rest."""
DRAWS = 3
"""Random subsets behind each arm that has one."""

Added = tuple[NDArray[np.float32], Sequence[str]]
"""Vectors ``(n, d)`` and their intents."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """Organic questions for training and those that are held out, as the student sees them."""

    encoder: Encoder
    vectors: NDArray[np.float32]
    intents: tuple[str, ...]
    texts: tuple[str, ...]
    held_vectors: NDArray[np.float32]
    held_intents: NDArray[np.str_]
    poor: tuple[str, ...]
    strength: float
    """Chosen by the audit on organic folds, for the organic records alone; every arm gets it."""

    @classmethod
    def of(cls, folder: Path, encoder: Encoder, poor: tuple[str, ...]) -> Stage:
        """Out of a run folder."""
        run = Run.read(folder)
        records = list(tables.read_records(run.path("records/organic.parquet")))
        held = list(tables.read_heldout(run.path("heldout/records.parquet")))
        return cls(
            encoder=encoder,
            vectors=encoder.encode([each.text for each in records]),
            intents=tuple(str(each.label) for each in records),
            texts=tuple(each.text for each in records),
            held_vectors=encoder.encode([each.text for each in held]),
            held_intents=np.array([str(each.label) for each in held]),
            poor=poor,
            strength=float(json.loads(run.path("tables/student.json").read_text(encoding="utf-8"))["strength"]),
        )

    def scores(self, *added: Added, weight: float = WEIGHT) -> dict[str, float]:
        """Accuracy on starved intents, on the rest and overall, and macro-F1, in percent, of a head with additions."""
        vectors = np.vstack([self.vectors, *(each for each, _ in added)])
        intents = [*self.intents, *(intent for _, named in added for intent in named)]
        weights = np.r_[np.ones(len(self.intents)), np.full(len(intents) - len(self.intents), weight)]
        head = train_linear(vectors, intents, weights, strength=self.strength)
        spoken = np.log(np.maximum(head.predict(self.held_vectors), 1e-12))
        says, starving = _best(head.classes, spoken), np.isin(self.held_intents, self.poor)
        right = says == self.held_intents
        return {
            "starved_at_equal_rest": self._at_equal_rest(head.classes, spoken, starving),
            "starved": 100 * float(right[starving].mean()),
            "rest": 100 * float(right[~starving].mean()),
            "all": 100 * float(right.mean()),
            "macro_f1": 100 * _macro_f1(says, self.held_intents),
            "added": len(intents) - len(self.intents),
        }

    def _at_equal_rest(self, classes: Sequence[str], spoken: NDArray[np.float64], starving: NDArray[np.bool_]) -> float:
        """Accuracy on starved intents, in percent, where their odds are moved so that the rest keeps ``REST``.

        What a moved threshold can buy every arm buys here, so a difference is owed to the records.
        """
        poor, found = np.isin(np.array(classes), self.poor), 0.0
        for nats in np.arange(-3.0, 3.01, 0.05):
            right = _best(classes, spoken + nats * poor) == self.held_intents
            if right[~starving].mean() >= REST:
                found = max(found, float(right[starving].mean()))
        return 100 * found


def _best(classes: Sequence[str], scores: NDArray[np.float64]) -> NDArray[np.str_]:
    return np.asarray(np.array(classes, dtype=np.str_)[scores.argmax(axis=1)])


def _macro_f1(says: NDArray[np.str_], truth: NDArray[np.str_]) -> float:
    found = []
    for name in np.unique(truth):
        hits = int(((says == name) & (truth == name)).sum())
        found.append(2 * hits / ((says == name).sum() + (truth == name).sum()))
    return float(np.mean(found))


def of(outcome: Outcome, stage: Stage, rows: Sequence[int]) -> Added:
    """Candidates of a loop as additions."""
    texts = [outcome.candidates[row].text for row in rows]
    return stage.encoder.encode(texts), [outcome.candidates[row].label for row in rows]


def rivals_of(stage: Stage, outcome: Outcome, seed: int) -> dict[str, Added]:
    """What may be done without a model, with as many records of each intent as the loop got accepted."""
    counts = {name: sum(outcome.candidates[row].label == name for row in outcome.accepted) for name in stage.poor}
    own = {name: [row for row, intent in enumerate(stage.intents) if intent == name] for name in stage.poor}

    def each(make: Callable[[str, int], NDArray[np.float32]]) -> Added:
        names = [name for name in stage.poor if counts[name]]
        parts = [make(name, counts[name]) for name in names]
        return np.vstack(parts), [name for name, part in zip(names, parts, strict=True) for _ in part]

    def again(name: str, n: int) -> NDArray[np.float32]:
        return stage.vectors[[own[name][number % len(own[name])] for number in range(n)]]

    def words(name: str, n: int) -> NDArray[np.float32]:
        return stage.encoder.encode(edited([stage.texts[row] for row in own[name]], n, seed))

    def between(name: str, n: int) -> NDArray[np.float32]:
        return mixed(stage.vectors[own[name]], n, seed)

    return {"duplicated": each(again), "edited": each(words), "smote": each(between)}


def arms(stage: Stage, loops: dict[str, Outcome], seed: int) -> dict[str, dict[str, float]]:
    """The scores of every arm."""
    uniform, adversary = loops["uniform"], loops.get("adversary")
    named = sorted(set(stage.intents))
    titles = stage.encoder.encode([titled(name) for name in named]), named
    told = [row for row, reason in enumerate(uniform.reasons) if reason != "contaminated"]
    kept = of(uniform, stage, uniform.accepted)
    made = {"organic": stage.scores(), "titles": stage.scores(titles, weight=1.0)}
    made |= {name: stage.scores(added) for name, added in rivals_of(stage, uniform, seed).items()}
    made["unjudged"] = stage.scores(of(uniform, stage, told))
    made["judged"] = stage.scores(kept)
    right = [row for row in told if uniform.right[row] and uniform.reasons[row] not in ("duplicate", "surplus")]
    made["oracle-judged"] = stage.scores(of(uniform, stage, right))
    made["judged and titles"] = _with_titles(stage, kept, titles)
    if adversary is not None:
        hard = of(adversary, stage, adversary.accepted)
        made["adversary"] = stage.scores(hard)
        made["adversary and titles"] = _with_titles(stage, hard, titles)
        made |= _worth_a_record(stage, uniform, adversary, seed)
    if "revised" in loops:
        revised = loops["revised"]
        made["revised"] = stage.scores(of(revised, stage, revised.accepted))
    return made | _curve(stage, uniform)


def _with_titles(stage: Stage, added: Added, titles: Added) -> dict[str, float]:
    """Titles of all intents, as organic records: each counts as four of the added ones."""
    copies = round(1 / WEIGHT)
    return stage.scores(added, (np.tile(titles[0], (copies, 1)), list(titles[1]) * copies))


def _worth_a_record(stage: Stage, uniform: Outcome, adversary: Outcome, seed: int) -> dict[str, dict[str, float]]:
    """As many accepted records of each intent from either loop: which are worth more?"""
    rng = np.random.default_rng([seed, 2])
    found: dict[str, list[dict[str, float]]] = {"uniform, equal number": [], "adversary, equal number": []}
    for _ in range(DRAWS):
        ours, theirs = list[int](), list[int]()
        for name in stage.poor:
            rows = [
                [row for row in each.accepted if each.candidates[row].label == name] for each in (uniform, adversary)
            ]
            n = min(map(len, rows))
            ours += rng.choice(rows[0], n, replace=False).tolist() if n else []
            theirs += rng.choice(rows[1], n, replace=False).tolist() if n else []
        found["uniform, equal number"].append(stage.scores(of(uniform, stage, ours)))
        found["adversary, equal number"].append(stage.scores(of(adversary, stage, theirs)))
    return {name: _mean(rows) for name, rows in found.items()}


def _curve(stage: Stage, outcome: Outcome) -> dict[str, dict[str, float]]:
    """The accepted records of the first briefs."""
    found = {}
    for most in BUDGETS:
        rows = [row for row in outcome.accepted if outcome.numbers[row] < most]
        if rows:
            found[f"first {most} briefs"] = stage.scores(of(outcome, stage, rows))
    return found


def _mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

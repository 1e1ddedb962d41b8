"""What a finished loop left behind, and what an oracle that has read all of banking77 says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.loop.study import Questions
from proofset.nouns.candidate import Candidate
from proofset.nouns.event import BriefClosed, JudgeMeasured, Proposed, Spent
from proofset.plugins import Encoder
from proofset.runs.folder import Run
from proofset.stats import wilson
from proofset.training.trainers import LinearHead, train_linear

NOT_NEW = frozenset(
    {"copy of organic", "copies an anchor", "duplicate", "near paraphrase", "contaminated", "surplus", "too easy"}
)
"""Reasons that say nothing of whether the text is right: such candidates count neither for nor against the judges."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Oracle:
    """Two linear heads on all training questions, over static and sentence embeddings, whose odds are pooled."""

    encoders: tuple[Encoder, ...]
    heads: tuple[LinearHead, ...]
    accuracy: float
    """On banking77's own test set."""
    alone: float
    """Of the head over static embeddings alone."""

    @classmethod
    def of(cls, questions: Questions, encoders: tuple[Encoder, ...]) -> Oracle:
        """Fitted to the training questions, tried on the test questions."""
        n, intents = questions.train, np.array(questions.intents)
        vectors = [encoder.encode(questions.texts) for encoder in encoders]
        ones = np.ones(n)
        heads = tuple(train_linear(each[:n], questions.intents[:n], ones, strength=10.0) for each in vectors)
        spoken = [head.predict(each[n:]) for head, each in zip(heads, vectors, strict=True)]
        found = [float((_best(heads[0], each) == intents[n:]).mean()) for each in (_pooled(spoken), spoken[0])]
        return cls(encoders=encoders, heads=heads, accuracy=found[0], alone=found[1])

    def says(self, texts: Sequence[str]) -> NDArray[np.str_]:
        """The intent of each text."""
        spoken = [head.predict(each.encode(texts)) for head, each in zip(self.heads, self.encoders, strict=True)]
        return _best(self.heads[0], _pooled(spoken))


def _pooled(spoken: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.asarray(sum(np.log(np.maximum(each, 1e-9)) for each in spoken))


def _best(head: LinearHead, scores: NDArray[np.float64]) -> NDArray[np.str_]:
    return np.asarray(np.array(head.classes, dtype=np.str_)[scores.argmax(axis=1)])


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """Candidates of a loop in the order of their closing, what became of each, and whether it is right."""

    candidates: tuple[Candidate, ...]
    numbers: tuple[int, ...]
    reasons: tuple[str, ...]
    """Why each was refused; empty for an accepted one."""
    right: NDArray[np.bool_]
    """Whether the oracle gives it the label it was made for."""
    usd: float
    core_s: float
    trials: dict[str, list[float | None]]
    """Share refused by the whole cascade for each planted fault: value, low, high, n."""

    @classmethod
    def of(cls, folder: Path, oracle: Oracle) -> Outcome:
        """The fold of a run; a brief that an earlier loop of the same run had answered cost what it cost then."""
        run = Run.read(folder)
        proposed: dict[str, Candidate] = {}
        closed: list[BriefClosed] = []
        trials = {}
        for event in run.since("calibrate"):
            if isinstance(event, JudgeMeasured) and event.judge in ("cascade", "critic"):
                found = event.rejected
                trials[f"{event.judge}: {event.fault}"] = [found.value, found.low, found.high, found.n]
        for event in run.since("synthesize"):
            if isinstance(event, Proposed):
                proposed[event.candidate.brief_id] = event.candidate
            elif isinstance(event, BriefClosed):
                closed.append(event)
        usages = (event.usage for event in run.events if isinstance(event, Spent))
        spent = [usage for usage in usages if usage.stage == "generate" and usage.brief_id in proposed]
        rows = [(proposed[each.brief_id], each) for each in closed if each.brief_id in proposed]
        candidates = tuple(candidate for candidate, _ in rows)
        says = oracle.says([candidate.text for candidate in candidates])
        return cls(
            candidates=candidates,
            numbers=tuple(each.number for _, each in rows),
            reasons=tuple(each.reason for _, each in rows),
            right=says == np.array([candidate.label for candidate in candidates]),
            usd=float(sum(usage.usd or 0 for usage in spent)),
            core_s=sum(usage.core_seconds for usage in spent),
            trials=trials,
        )

    @property
    def accepted(self) -> list[int]:
        """Rows that were accepted."""
        return [row for row, reason in enumerate(self.reasons) if not reason]

    def judged(self) -> dict[str, object]:
        """How good the judges were on real candidates: those that are new, whatever else is wrong with them."""
        new = [row for row, reason in enumerate(self.reasons) if reason not in NOT_NEW]
        kept = self.accepted
        hits, right = int(self.right[kept].sum()), int(self.right[new].sum())
        return {
            "candidates": len(self.candidates),
            "new": len(new),
            "right_among_all": round(float(self.right.mean()), 4),
            "right_among_new": round(right / len(new), 4),
            "accepted": len(kept),
            "precision": round(hits / len(kept), 4),
            "precision_low_high": [round(each, 4) for each in wilson(hits, len(kept))],
            "recall": round(hits / right, 4),
            "recall_low_high": [round(each, 4) for each in wilson(hits, right)],
            "usd_per_accepted": self.usd / len(kept),
            "core_s": round(self.core_s, 1),
        }

    def by_strategy(self) -> dict[str, list[float]]:
        """For each strategy: briefs, share accepted, precision of the accepted."""
        found = {}
        for name in sorted({candidate.strategy for candidate in self.candidates}):
            rows = [row for row, candidate in enumerate(self.candidates) if candidate.strategy == name]
            kept = [row for row in rows if not self.reasons[row]]
            right = float(self.right[kept].mean()) if kept else 0.0
            found[name] = [len(rows), round(len(kept) / len(rows), 4), round(right, 4)]
        return found

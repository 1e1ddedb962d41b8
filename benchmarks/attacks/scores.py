"""What each measure says of a corpus, and when a measure counts as fooled."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.attacks.corpora import Corpus, Division
from benchmarks.viability.__main__ import measure, peers_python
from proofset.measuring.diversity import effective_rank, total_variance
from proofset.measuring.fidelity import c2st, closer_to_train, frechet, prdc, tstr, vendi, vendi_two_unbiased
from proofset.measuring.lift import lift
from proofset.measuring.viability import viability
from proofset.nouns.viability import Crossing

ENCODER = "minilm"
DEVIATIONS = 3.0
"""Standard deviations of fresh corpora within which a value tells nothing."""


@dataclass(frozen=True)
class Column:
    """One number of the shelf, and on which side of fresh corpora it is a bad sign."""

    key: str
    title: str
    bad: Literal["low", "high"]
    digits: int = 3

    def fooled(self, value: float | None, fresh: Sequence[float]) -> bool | None:
        """Whether a fake's value could be a fresh corpus's, or lies on the good side of all of them."""
        if value is None or len(fresh) < 2:
            return None
        reach = DEVIATIONS * float(np.std(fresh, ddof=1))
        middle = float(np.mean(fresh))
        return bool(value >= middle - reach if self.bad == "low" else value <= middle + reach)


COLUMNS = (
    Column("variance", "variance", "low"),
    Column("rank", "eff. rank", "low"),
    Column("vendi1", "Vendi₁", "low"),
    Column("vendi2", "Vendi₂", "low"),
    Column("mauve", "MAUVE", "low"),
    Column("frechet", "Fréchet·10³", "high", 1),
    Column("precision", "P", "low", 2),
    Column("recall", "R", "low", 2),
    Column("density", "D", "low", 2),
    Column("coverage", "C", "low", 2),
    Column("c2st", "C2ST", "high"),
    Column("dcr", "DCR share", "high"),
    Column("tstr", "TSTR", "low"),
)


class Judge:
    """The measures, with what they need of one division."""

    def __init__(self, division: Division, *, mauve: bool) -> None:
        self._of = division
        self._mauve = mauve
        self._organic = self._diversity(division.reference)

    def scores(self, corpus: Corpus) -> dict[str, Any]:
        """Every column, and the quotient and the lift with their intervals; None where there is nothing to measure."""
        reference = self._of.reference
        ratios = {key: value / self._organic[key] for key, value in self._diversity(corpus).items()}
        return {
            **ratios,
            "mauve": self._peer(corpus) if self._mauve else None,
            "frechet": 1_000 * frechet(reference.vectors, corpus.vectors),
            **asdict(prdc(reference.vectors, corpus.vectors)),
            "c2st": c2st(reference.vectors, corpus.vectors),
            "dcr": closer_to_train(self._of.train.vectors, reference.vectors, corpus.vectors),
            "tstr": None if corpus.topics is None else self._tstr(corpus, corpus.topics),
            "svq": self._quotient(corpus),
            "y": self._lift(corpus),
        }  # fmt: skip

    def _diversity(self, corpus: Corpus) -> dict[str, float]:
        vectors = corpus.vectors
        exact = vectors.astype(np.float64)
        return {
            "variance": total_variance(exact), "rank": effective_rank(exact),
            "vendi1": vendi(vectors), "vendi2": vendi_two_unbiased(vectors),
        }  # fmt: skip

    def _peer(self, corpus: Corpus) -> float:
        """MAUVE by the package of its authors, in a process and an environment of its own."""
        with tempfile.TemporaryDirectory() as place:
            for name, vectors in (("reference", self._of.reference.vectors), ("synthetic", corpus.vectors)):
                np.save(Path(place) / f"{name}.npy", vectors)
            found = measure("mauve", Path(place), len(corpus.vectors), peers_python())
        if "failed" in found:
            raise SystemExit(f"mauve: {found['failed']}")
        return float(found["result"]["mauve"])

    def _tstr(self, corpus: Corpus, topics: list[str]) -> float:
        return tstr(corpus.vectors, topics, self._of.reference.vectors, self._of.reference.topics or [])

    def _quotient(self, corpus: Corpus) -> dict[str, Any]:
        train, reference, control = (part.vectors for part in (self._of.train, self._of.reference, self._of.control))
        found = viability(train, reference, control, corpus.vectors, encoder=ENCODER)
        return {
            "value": found.quotient.value, "low": found.quotient.low, "high": found.quotient.high,
            "verdict": str(found.verdict), "weakest": found.weakest, "threshold": found.threshold,
            "components": {each.key: each.measure.value for each in found.components},
            "protocol": found.protocol, "notes": list(found.notes),
        }  # fmt: skip

    def _lift(self, corpus: Corpus) -> dict[str, Any] | None:
        if corpus.texts is None:
            return None
        train, control, reference = (
            part.texts or [] for part in (self._of.train, self._of.control, self._of.reference)
        )
        found = lift(train, corpus.texts, control, reference).measure
        return {"value": found.value, "low": found.low, "high": found.high, "note": found.note}


def caught(scores: dict[str, Any], fresh: dict[str, Any]) -> dict[str, bool | None]:
    """Whether the quotient and the lift give a fake away, beside the fresh corpus of the same division.

    The quotient does when it is not crossed: its upper end is below 1 − δ. The lift does when its upper end is below
    the lower end of the fresh corpus; None where there is no text.
    """
    quotient, lifted, beside = scores["svq"], scores["y"], fresh["y"]
    below = quotient["high"] is not None and quotient["high"] < quotient["threshold"]
    told = None
    if lifted is not None and lifted["high"] is not None and beside["low"] is not None:
        told = bool(lifted["high"] < beside["low"])
    return {"svq": bool(below or quotient["verdict"] == Crossing.NOT_CROSSED), "y": told}

"""A small judge that has learnt from the critic model what it refuses, so that the model need not be asked every time.

It stands before the model and may only refuse, so what it gets wrong is lost: records that the model would have
accepted. Its threshold is set so that at most a stated share of them is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proofset.errors import InputError
from proofset.nouns.candidate import Brief, Candidate, Decision, Verdict
from proofset.nouns.result import Better, Measure
from proofset.stats import wilson

FEWEST_VERDICTS = 100
"""Verdicts from which a critic is distilled at all."""
WORTH_SAVING = 0.05
"""Share of the model's calls that a usable judge must save more than."""
FOLDS = 5
STRENGTH = 10.0
"""Inverse of regularisation of the heads."""

NAMES = ("calls saved", "accepted ones lost", "refused ones caught")
"""The report's measures, in the order in which they are kept."""

Doubles = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilledReport:
    """What putting the distilled judge before the model saves and loses, measured out of fold.

    For one that is not usable the shares are those it would have had, None where it could not even be fitted.
    """

    n: int
    """Verdicts of the model that it learnt from."""
    saved: Measure
    """Share of the model's calls that are no longer made: candidates that the distilled judge refuses itself."""
    lost: Measure
    """Share of what the model would have accepted that is refused: the recall that the saving costs."""
    caught: Measure
    """Share of what the model would have refused that is refused without asking it."""
    threshold: float
    """Probability of a refusal above which it refuses; infinite when it is not usable."""
    reason: str = ""
    """Why it is not usable, in words; empty when it is."""

    @property
    def usable(self) -> bool:
        """Whether it may stand before the model. One that is not refuses nothing."""
        return not self.reason

    def words(self) -> str:
        """What it saves and loses in a sentence, or why it is not used."""
        if not self.usable:
            return f"no critic was distilled: {self.reason}"
        (saves, loses) = (f"{each.value:.1%} ({each.low:.1%} to {each.high:.1%})" for each in (self.saved, self.lost))
        return f"a small judge saves {saves} of the critic model's calls and loses {loses} of what it would accept"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distilled:
    """A logistic head on a text's vector, its slice, and how near it is to what was accepted there and elsewhere.

    It knows the taste of one model under one prompt, on the texts of one generator: when any of them changes, its
    numbers lie, and it has to be fitted again.
    """

    coef: Doubles
    """Shape ``(d + s + 2,)``: a vector's d numbers, s slices, likeness to its own slice and to the nearest other."""
    intercept: float
    slices: tuple[str, ...]
    """The ``s`` slices it has learnt from, sorted."""
    centres: Doubles
    """Shape ``(s, d)``: the direction of the accepted texts of each slice; zeros where none was accepted."""
    report: DistilledReport

    @classmethod
    def fit(
        cls, vectors: ArrayLike, refused: ArrayLike, slices: Sequence[str], *, most_lost: float, seed: int
    ) -> Distilled:
        """Learn from the model's verdicts: vectors ``(n, d)``, whether each was ``refused`` ``(n,)``, and its slice.

        The threshold is the lowest at which Wilson's 95 % upper bound of the accepted share refused out of fold stays
        within ``most_lost``. The final head is the mean of the fold heads: steadier than each, on the same scale. Leave
        verdicts out that were none ("no verdict"). The report lies when the same text comes twice, and when later
        candidates are unlike these. Raises InputError for shapes that do not fit, numbers that are not finite, or
        ``most_lost`` outside (0, 1); too little to learn from is no error, but a judge that is not usable.
        """
        rows, bad = np.asarray(vectors, dtype=np.float64), np.asarray(refused, dtype=bool)
        _require(rows, bad, slices, most_lost)
        names = tuple(sorted(set(slices)))
        places = np.asarray([names.index(name) for name in slices], dtype=np.intp)
        if why := _too_little(bad):
            width = rows.shape[1] if rows.ndim == 2 else 0
            blank = np.zeros((len(names), width))
            coef, report = np.zeros(width + len(names) + 2), _unfitted(len(bad), why)
            return cls(coef=coef, intercept=0.0, slices=names, centres=blank, report=report)
        heads, score = _fold_heads(rows, bad, places, len(names), seed)
        threshold = _threshold(score[~bad], most_lost)
        mean = heads.mean(axis=0)
        return cls(
            coef=mean[:-1], intercept=float(mean[-1]), slices=names,
            centres=_unit(_sums(rows, bad, places, len(names))), report=_judged(bad, score, threshold),
        )  # fmt: skip

    def refusal(self, vectors: ArrayLike, slices: Sequence[str]) -> Doubles:
        """Probability ``(n,)`` that the model would refuse texts with vectors ``(n, d)``; 0 in a slice it never saw.

        In a world where it refuses half of all candidates: the heads are balanced, so it is a score and not a forecast.
        """
        rows = np.asarray(vectors, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.centres.shape[1]:
            raise InputError(
                f"vectors of shape {rows.shape}", hint=f"give (n, {self.centres.shape[1]}), of its encoder"
            )
        known = np.asarray([name in self.slices for name in slices], dtype=bool)
        places = np.asarray([self.slices.index(name) if name in self.slices else 0 for name in slices], dtype=np.intp)
        if not known.any():
            return np.zeros(len(rows))
        return np.where(known, _logistic(_features(rows, places, self.centres) @ self.coef + self.intercept), 0.0)


class DistilledJudge:
    """The Judge that stands before the critic model. Reason: distilled refusal."""

    name = "distilled critic"

    def __init__(self, distilled: Distilled, encode: Callable[[Sequence[str]], ArrayLike]) -> None:
        """``encode`` gives texts the vectors ``(n, d)`` that ``distilled`` was fitted to."""
        self._distilled, self._encode = distilled, encode

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse what the model would most probably refuse; accept all else, and all there is if it is not usable."""
        report = self._distilled.report
        p = float(self._distilled.refusal(self._encode([candidate.text]), [brief.slice])[0]) if report.usable else 0.0
        refuses = p > report.threshold
        return Verdict(
            judge=self.name,
            candidate_id=candidate.id,
            decision=Decision.REJECT if refuses else Decision.ACCEPT,
            reason="distilled refusal" if refuses else "",
            scores=(("refusal", round(p, 4)),),
            critique=f"the critic model refuses such texts: {p:.0%}" if refuses else "",
        )


def _require(rows: Doubles, bad: NDArray[np.bool_], slices: Sequence[str], most_lost: float) -> None:
    if not len(rows) == len(bad) == len(slices) or bad.ndim != 1 or (len(rows) and rows.ndim != 2):
        raise InputError(
            f"vectors {rows.shape}, verdicts {bad.shape} and {len(slices)} slices",
            hint="give one of each per candidate",
        )
    if not np.isfinite(rows).all():
        raise InputError("vectors hold numbers that are not finite", hint="leave such texts out")
    if not 0.0 < most_lost < 1.0:
        raise InputError(f"most_lost is {most_lost}", hint="give a share between 0 and 1, for example 0.05")


def _too_little(bad: NDArray[np.bool_]) -> str:
    """Why nothing can be learnt; empty when it can."""
    if len(bad) < FEWEST_VERDICTS:
        return f"only {len(bad)} verdicts, at least {FEWEST_VERDICTS} are needed"
    fewer = min(int(bad.sum()), int((~bad).sum()))
    if not fewer:
        return f"the critic {'refused' if bad.all() else 'accepted'} every one of {len(bad)} candidates"
    return f"only {fewer} verdicts of one kind, at least {FOLDS} are needed" if fewer < FOLDS else ""


def _fold_heads(
    rows: Doubles, bad: NDArray[np.bool_], places: Places, n_slices: int, seed: int
) -> tuple[Doubles, Doubles]:
    """Coefficients with intercept of each fold's head ``(FOLDS, d + s + 3)``, and refusal out of fold ``(n,)``."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    heads, score = [], np.zeros(len(rows))
    for inside, outside in StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32).split(rows, bad):
        sums = _sums(rows[inside], bad[inside], places[inside], n_slices)
        features = _features(rows[inside], places[inside], sums, own=~bad[inside])
        model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=5000).fit(features, bad[inside])
        head = np.append(model.coef_[0], model.intercept_[0])
        score[outside] = _logistic(_features(rows[outside], places[outside], sums) @ head[:-1] + head[-1])
        heads.append(head)
    return np.asarray(heads), score


def _features(rows: Doubles, places: Places, sums: Doubles, own: NDArray[np.bool_] | None = None) -> Doubles:
    """Vector, slice, and likeness to own and nearest other slice ``(n, d + s + 2)``, from the slices' sums ``(s, d)``.

    ``own`` are the rows that are part of their slice's sum: each is held against the rest of it, as a fresh one is.
    """
    inside = places[:, None] == np.arange(len(sums))[None, :]
    rest = sums[places] - (rows * own[:, None] if own is not None else 0.0)
    likeness = (rows * _unit(rest)).sum(axis=1)
    rival = np.where(inside, -1.0, rows @ _unit(sums).T).max(axis=1)
    return np.hstack([rows, inside.astype(np.float64), likeness[:, None], rival[:, None]])


def _sums(rows: Doubles, bad: NDArray[np.bool_], places: Places, n_slices: int) -> Doubles:
    """Sum ``(s, d)`` of the vectors of the accepted texts of each slice."""
    sums = np.zeros((n_slices, rows.shape[1]))
    np.add.at(sums, places[~bad], rows[~bad])
    return sums


def _unit(rows: Doubles) -> Doubles:
    """Rows of length 1; a row of almost nothing, where no text was accepted, becomes 0."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(lengths > 1e-9, rows / np.maximum(lengths, 1e-9), 0.0)


def _logistic(scores: Doubles) -> Doubles:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * scores)))


def _threshold(accepted: Doubles, most_lost: float) -> float:
    """The lowest score that loses few enough: an order statistic of the accepted ones' scores; infinite if none is."""
    high = np.sort(accepted)[::-1]
    allowed = 0
    while allowed < len(high) and wilson(allowed, len(high))[1] <= most_lost:
        allowed += 1
    return float(high[allowed - 1]) if allowed else math.inf


def _judged(bad: NDArray[np.bool_], score: Doubles, threshold: float) -> DistilledReport:
    """The report, with the reason why it is not usable if it is not."""
    refuses = score > threshold
    parts = (refuses, refuses[~bad], refuses[bad])
    saved, lost, caught = (_share(name, int(part.sum()), part.size) for name, part in zip(NAMES, parts, strict=True))
    reason = ""
    if math.isinf(threshold):
        reason = f"{lost.n} accepted candidates are too few to bound what would be lost"
    elif (saved.value or 0.0) <= WORTH_SAVING:
        reason = f"it would save only {saved.value or 0.0:.1%} of the calls"
    elif (caught.low or 0.0) <= (lost.high or 0.0):
        reason = "it cannot tell what the critic refuses from what it accepts"
    limit = math.inf if reason else threshold
    return DistilledReport(n=len(bad), saved=saved, lost=lost, caught=caught, threshold=limit, reason=reason)


def _unfitted(n: int, reason: str) -> DistilledReport:
    saved, lost, caught = (_share(name, 0, 0) for name in NAMES)
    return DistilledReport(n=n, saved=saved, lost=lost, caught=caught, threshold=math.inf, reason=reason)


def _share(name: str, part: int, n: int) -> Measure:
    better = Better.LOWER if name == NAMES[1] else Better.HIGHER
    if not n:
        return Measure(name=name, value=None, unit="share", better=better, note="not measured")
    low, high = wilson(part, n)
    return Measure(name=name, value=part / n, low=low, high=high, n=n, unit="share", better=better)

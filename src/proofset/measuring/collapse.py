"""Collapse: what is lost from generation to generation when models are trained on what models wrote (DMC).

Dimensional Mode Collapse is 1 − min(A, ER, TS): of retained variance, effective rank and living rare modes, the one
that has lost most, each against organic records of the same number. 0 is no loss, 1 is all. Variance is the last to
go: after five generations of samples of samples, 3 % of it may be gone, and two thirds of the rare modes.

Directions and modes come from one half of the reference, and what organic records have in them from the other. A basis
fits its own records better than any others; measured on the same half, fresh organic text would seem to have collapsed.

When it lies: it sees what the encoder sees. It holds each generation against the reference, so organic text of another
source or time has "collapsed" too; look at generation 0 first. Gains in one place do not make up for losses elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring import alarm, decay, spread
from proofset.measuring.blocks import Chosen, Doubles, Vectors, blocks, check, ids, mix
from proofset.measuring.frame import Constants, Frame
from proofset.measuring.knobs import advise
from proofset.measuring.quotient import Estimate, bounds
from proofset.measuring.sketch import Sketch
from proofset.measuring.spread import Rank, Spread
from proofset.nouns.result import Better, Measure
from proofset.nouns.viability import Alarm, Collapse, Decay, Generation

FEWEST = 20
"""Rows of a generation, at least."""
FEW = 300
"""Rows of a generation below which heavy tails make intervals too narrow: at 100, 90 % to 95 % of them covered."""
FEWEST_ORGANIC = 100
"""Rows of the reference, at least: two halves."""
RARE_SHARE = 0.3
"""Share of the modes, the least populated ones, that counts as rare."""
RESPECTS = ("variance", "rank", "rare modes")


def collapse(
    reference: Vectors,
    generations: Sequence[Vectors],
    *,
    encoder: str = "",
    constants: Constants = Constants(),  # noqa: B008 - frozen
    horizon: int = 10,
    tolerance: float = 0.10,
    first: int = 0,
) -> Collapse:
    """How far ``generations``, each ``(n_g, d)`` and the earliest first, have collapsed against ``reference (n, d)``.

    ``first`` is the number of the earliest one: 0 is organic text, and what was made from generation g is g + 1.
    ``horizon`` is how many further generations are planned, ``tolerance`` the loss that is tolerated by then: the
    verdict ``collapsing`` takes both an alarm (the loss is real) and a projected loss above it (the loss matters).

    Every generation is read a few times, in blocks, and forgotten before the next. ``InputError`` for vectors that
    cannot be measured, with the number of the generation; one whose rows are all equal is no error but full collapse.
    """
    _check(reference, generations, horizon, tolerance, first)
    organic = Organic.of(reference, encoder, constants)
    looks = [organic.look(number, vectors) for number, vectors in enumerate(generations, start=first)]
    seen = [look.generation for look in looks]
    decays = _decays(looks, organic)
    alarms = tuple(alarm.chart(of, [look.scores[of] for look in looks], first) for of in RESPECTS)
    projected = _projected(looks, alarms, decays, organic, horizon)
    lost = any(one.raised is not None for one in alarms) or bool(seen[-1].loss.low)
    signs = _signature(looks, organic, first)
    cause = signs.cause if lost else ""
    advice = advise(seen[-1], decays, cause=cause, lost=lost, tail=looks[-1].tail, horizon=horizon, tolerance=tolerance)
    return Collapse(
        protocol=constants.name(encoder).replace("SVQ-1", "DMC-1", 1), encoder=encoder, generations=tuple(seen),
        decays=decays, alarms=alarms,
        collapsing=any(one.raised is not None for one in alarms) and (projected.value or 0.0) > tolerance,
        projected=projected, signature=cause, signature_p=signs.uniform, tail_records=looks[-1].tail, advice=advice,
        notes=_notes(looks, organic),
    )  # fmt: skip


# --- organic -------------------------------------------------------------------------------------------------------


def halves(vectors: Vectors, seed: int) -> tuple[Vectors, Vectors]:
    """Two random halves of the rows, the same rows in whatever order they come."""
    ranks = np.argsort(mix(ids(vectors), seed + 1), kind="stable")
    middle = len(ranks) // 2
    return Chosen(vectors, np.sort(ranks[:middle])), Chosen(vectors, np.sort(ranks[middle:]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """What is kept of one generation."""

    generation: Generation
    walk: Doubles
    """Covariance ``(r, r)`` of the logarithms of variances that a sample of this size has by chance."""
    scores: dict[str, alarm.Score | None]
    tail: float | None
    """Organic records that hold as many modes."""
    compared: tuple[int, int]
    """Rows at which ranks, and records at which modes were compared."""


@dataclass(kw_only=True, eq=False)
class Organic:
    """The reference: a frame from one half, what organic records have in it from the other."""

    frame: Frame
    spread: Spread
    rare: NDArray[np.intp]
    """Modes with the fewest records in the frame's half."""
    ranks: dict[int, Rank] = field(default_factory=dict)
    """By number of rows."""

    @classmethod
    def of(cls, reference: Vectors, encoder: str, constants: Constants) -> Organic:
        """From ``reference (n, d)``; rare are the ``RARE_SHARE`` of the modes that have the fewest records."""
        for_frame, for_base = halves(reference, constants.seed)
        # kernels are not looked at here, and their features would take a third of the time
        frame = Frame.of(for_frame, replace(constants, features=8), encoder)
        counts = np.zeros(len(frame.centres), dtype=np.int64)
        for _, block in blocks(for_frame):
            counts += np.bincount(frame.modes(block), minlength=len(counts))
        filled = np.flatnonzero(counts)
        order = filled[np.argsort(counts[filled], kind="stable")]
        rare = order[: max(1, round(RARE_SHARE * len(order)))]
        return cls(frame=frame, spread=Spread.of(Sketch.of(for_base, frame)), rare=rare)

    @property
    def seed(self) -> int:
        """Of the protocol's constants."""
        return self.frame.constants.seed

    def rank(self, n: int) -> Rank:
        """Mean effective rank of ``n`` organic rows, over at least ``spread.DRAWS`` draws."""
        if n not in self.ranks:
            self.ranks[n] = spread.rank_at(self.spread, n, spread.DRAWS, self.seed)
        return self.ranks[n]

    def look(self, number: int, vectors: Vectors) -> Look:
        """One generation, read and forgotten but for its spread without the rows."""
        ours, theirs = Spread.of(Sketch.of(vectors, self.frame)), self.spread
        rows, n = min(len(ours.rows), len(theirs.rows)), min(ours.n, theirs.n)
        rank, organic_rank = spread.rank_at(ours, rows, spread.CUTS, self.seed), self.rank(rows)
        estimates = {
            "variance": spread.kept_variance(ours, theirs),
            "rank": spread.kept_rank(rank, organic_rank, rows),
            "rare modes": spread.kept_modes(ours, theirs, self.rare, n),
        }
        there = [one for one in estimates.values() if one is not None]
        alive, tail = spread.alive(theirs.modes[self.rare], theirs.n, n), spread.alive(ours.modes, ours.n, n)
        generation = Generation(
            number=number, n=ours.n, retention=tuple(spread.retention(ours, theirs).tolist()),
            variance=_measure("variance", estimates["variance"]), rank=_measure("rank", estimates["rank"]),
            rare=_measure("rare modes", estimates["rare modes"]),
            vendi=_measure("vendi", spread.kept_vendi(ours, theirs)),
            loss=_loss(there), leads=min(there, key=lambda one: one.value).key,
        )  # fmt: skip
        scores = {
            "variance": alarm.variance_score(ours, theirs, self.seed),
            "rank": alarm.rank_score(rank, organic_rank, theirs, len(ours.rows)),
            "rare modes": alarm.modes_score(ours, theirs, self.rare, n) if alive > 0 else None,
        }
        return Look(
            generation=generation, walk=ours.dependence / ours.n, scores=scores, compared=(rows, n),
            tail=decay.tail_records(theirs.modes, theirs.n, tail, n),
        )  # fmt: skip


NAMES = {
    "variance": "retained variance",
    "rank": "effective rank ratio",
    "rare modes": "rare modes alive",
    "vendi": "Vendi ratio, order 2",
}
MISSING = {
    "rare modes": "organic records of this number hold no rare mode",
    "vendi": "no two records are alike at all",
}


def _measure(key: str, estimate: Estimate | None) -> Measure:
    """With its 95 % interval, none of it below 0; of retained variance none above 1, for no gain lifts it there."""
    name, unit = NAMES[key], "ratio to fresh organic"
    if estimate is None:
        return Measure(name=name, value=None, unit=unit, better=Better.HIGHER, note=MISSING[key])
    top = 1.0 if key == "variance" else math.inf
    value, low, high = (min(max(x, 0.0), top) for x in (estimate.value, estimate.bound(0.025), estimate.bound(0.975)))
    return Measure(name=name, value=value, low=low, high=high, n=estimate.n, unit=unit, better=Better.HIGHER)


def _loss(estimates: Sequence[Estimate]) -> Measure:
    """DMC = 1 − the smallest of several estimates, with the interval of intersection bounds.

    The smallest of noisy numbers is too small, most where they tie. What the median of the minimum would be if the
    estimates were the truth is below their minimum by about as much, and that is added back.
    """
    found = bounds(estimates)
    assert found is not None  # variance and rank are always there
    values = np.array([one.value for one in estimates])
    errors = np.array([one.spread for one in estimates]).clip(min=1e-12)
    least = float(values.min())
    kept = min(max(2 * least - _median_minimum(values, errors), found.low), found.high)
    value, low, high = (min(max(1 - x, 0.0), 1.0) for x in (kept, found.high, found.low))
    return Measure(
        name="dimensional mode collapse", value=value, low=low, high=high, n=estimates[0].n, better=Better.LOWER
    )


def _median_minimum(values: Doubles, errors: Doubles) -> float:
    """Median of the smallest of independent normal numbers."""
    from scipy.special import ndtr

    low, high = float((values - 9 * errors).min()), float(values.min())
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if ndtr((values - middle) / errors).prod() > 0.5 else (low, middle)
    return low


# --- over generations ----------------------------------------------------------------------------------------------


def _decays(looks: Sequence[Look], organic: Organic) -> tuple[Decay, ...]:
    """Of the whole variance with its gains, for its logarithm is known to walk; of rank, rare modes and directions."""
    theirs = organic.spread
    retained = np.array([look.generation.retention for look in looks])
    weights = theirs.variances / theirs.variances.sum()
    error = math.sqrt(float(weights @ theirs.dependence @ weights) / theirs.n)
    settled = decay.plateau(retained, weights, error, organic.seed)
    with np.errstate(divide="ignore"):
        mean_logs = np.exp(np.log(retained).mean(axis=1))
    return (
        decay.decay("variance", _whole(looks, organic).tolist(), settled),
        decay.decay("rank", [look.generation.rank.value for look in looks], slowing=True),
        decay.decay("rare modes", [look.generation.rare.value for look in looks], slowing=True),
        decay.decay("mean log direction", mean_logs.tolist()),
    )


def _whole(looks: Sequence[Look], organic: Organic) -> Doubles:
    """Retained variance of all directions together, gains counted ``(generations,)``."""
    theirs = organic.spread.variances
    return np.asarray(np.array([look.generation.retention for look in looks]) @ theirs / theirs.sum())


def _projected(
    looks: Sequence[Look], alarms: Sequence[Alarm], decays: Sequence[Decay], organic: Organic, horizon: int
) -> Measure:
    """Loss after ``horizon`` more generations: what has raised an alarm goes on as lately, the rest stays as it is."""
    last, raised = looks[-1].generation, {one.of for one in alarms if one.raised is not None}
    left: list[float | None] = []
    if "variance" in raised:
        left.append(_variance_ahead(looks, decays[0].plateau.value, organic, horizon))
    if "rank" in raised:
        left.append(decay.ahead([look.generation.rank.value for look in looks], horizon))
    if "rare modes" in raised:
        left.append(_rare_ahead(looks, organic, horizon))
    losses = [1 - one for one in left if one is not None]
    value = None if last.loss.value is None else min(max([last.loss.value, *losses]), 1.0)
    why = "an extrapolation, without an interval" if losses else "no alarm: the last loss stands"
    return Measure(name=f"loss in {horizon} generations", value=value, n=len(looks), better=Better.LOWER, note=why)


def _variance_ahead(looks: Sequence[Look], plateau: float | None, organic: Organic, horizon: int) -> float | None:
    series = [look.generation.variance.value for look in looks]
    now = series[-1]
    if plateau is None or now is None:
        return decay.ahead(series, horizon)
    whole = float(_whole(looks, organic)[-1])
    return now * min(plateau / whole, 1.0) if whole > 0 else 0.0


def _rare_ahead(looks: Sequence[Look], organic: Organic, horizon: int) -> float | None:
    """Rare modes alive are those that the tail records to come would hold."""
    now, tail = looks[-1].generation.rare.value, decay.tail_ahead([look.tail for look in looks], horizon)
    if now is None or tail is None or not looks[-1].tail:
        return now
    theirs = organic.spread
    held, to_be = (spread.alive(theirs.modes[organic.rare], theirs.n, x) for x in (looks[-1].tail, tail))
    return now * to_be / held if held > 0 else now


def _signature(looks: Sequence[Look], organic: Organic, first: int) -> alarm.Signature:
    """Of the last generation; those before the ``first`` one are taken to have been like it."""
    walk: Doubles = np.sum([look.walk for look in looks], axis=0) + first * looks[0].walk
    drift = first / looks[0].generation.n + sum(1 / look.generation.n for look in looks[1:])
    return alarm.signature(np.array(looks[-1].generation.retention), organic.spread, walk, drift)


def _notes(looks: Sequence[Look], organic: Organic) -> tuple[str, ...]:
    said = [
        f"directions and modes come from {organic.spread.n:,} organic records or one fewer, the comparison from "
        f"{organic.spread.n:,} others"
    ]
    about: dict[str, list[str]] = {}
    for look in looks:
        (rows, n), one = look.compared, look.generation
        if min(rows, n) < one.n:
            sizes = (
                f"ranks at {rows:,} and modes at {n:,} of {one.n:,} records, as many as organic ones are there or kept"
            )
            about.setdefault(sizes, []).append(str(one.number))
        if one.n < FEW:
            about.setdefault(f"intervals on {one.n:,} records are somewhat too narrow", []).append(str(one.number))
    return (*said, *(f"generation {', '.join(numbers)}: {what}" for what, numbers in about.items()))


# --- input ---------------------------------------------------------------------------------------------------------


def _check(reference: Vectors, generations: Sequence[Vectors], horizon: int, tolerance: float, first: int) -> None:
    if not len(generations):
        raise InputError("no generations to look at", hint="give one array of vectors for each generation")
    if horizon < 1 or first < 0:
        raise InputError(f"a horizon of {horizon}, first generation {first}", hint="at least 1 ahead, counted from 0")
    if not 0 < tolerance < 1:
        raise InputError(f"a tolerance of {tolerance}", hint="give the tolerated loss as a share, such as 0.1")
    check(reference, "reference", fewest=FEWEST_ORGANIC)
    for number, vectors in enumerate(generations, start=first):
        what = f"generation {number}"
        if len(vectors.shape) == 2 and vectors.shape[0] >= FEWEST and _all_equal(vectors):
            check(Chosen(vectors, np.arange(1)), what, width=reference.shape[1], fewest=1)
        else:
            check(vectors, what, width=reference.shape[1], fewest=FEWEST)


def _all_equal(vectors: Vectors) -> bool:
    _, first = next(blocks(vectors, 1))
    return all(bool((block == first).all()) for _, block in blocks(vectors))

"""Cost of predictivity: what a truer record costs, from one scored pilot.

A stricter threshold, the best of several, or a better model: each is a way to more fidelity at a higher price. From
the points that no other clearly beats, ``ln c = α − k ln(ε − ε₀)`` is fitted: c is USD per accepted record, ε the share
of accepted records that is wrong, ε₀ the critic's noise, below which no money helps.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from proofset.costing.margins import Curve, Floats, ends, fit_curves
from proofset.costing.prices import PRECISION
from proofset.errors import InputError
from proofset.nouns.result import Measure
from proofset.stats import group_numbers, percentile_interval, resampled_blocks, wilson

THRESHOLDS = 16
"""Points of the sweep, at accepted counts in equal ratios."""
FEWEST_WRONG = 5
"""Wrong records that a point needs to enter a fit: below, its error is hardly known."""
FEWEST_POINTS = 6
"""Points that a fit needs: the corrected AIC of four parameters is not defined for fewer."""
RESAMPLES = 300
MOST_UNDEFINED = 0.05
"""Share of resamples that may give no curve; with more, there is no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A candidate of the pilot."""

    score: float
    """The critic's; higher is better."""
    good: bool
    """By a gold label, or by a judgement that the critic did not see."""
    usd: Decimal | None
    """All that was spent on it, 0 or larger; None where no price is known."""
    document: str = ""
    """Its seed document; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A way to a fidelity, and its price."""

    how: str
    fidelity: float
    """Share of the accepted that is good, in [0, 1]."""
    low: float
    """Lower end of its 95 % interval (Wilson 1927)."""
    usd_per_accepted: Decimal
    accepted: int

    def __post_init__(self) -> None:
        if self.accepted < 1 or not 0 <= self.low <= self.fidelity <= 1 or not 0 <= self.usd_per_accepted < math.inf:
            raise InputError(f"{self.how!r} is no point", hint="it has 0 ≤ low ≤ fidelity ≤ 1, and accepts something")


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictivity:
    """What was found. ``curve`` is None where the pilot shows none; ``reason`` says why, or what speaks against it."""

    points: tuple[Point, ...]
    """The Pareto frontier, from cheap to dear."""
    aicc: Mapping[str, float] = field(default_factory=dict)
    """Of the forms that were compared (Hurvich and Tsai 1989), the best first; less is better."""
    curve: Curve | None = None
    draws: tuple[Curve, ...] = ()
    """The curve of each resample of the pilot's seed documents."""
    reason: str = ""

    @property
    def k(self) -> Measure:
        """The exponent with its 95 % interval; 2^k is what it costs to halve the error above the floor."""
        return self._of("k", "", lambda curve: curve.k)

    @property
    def floor(self) -> Measure:
        """ε₀, the error that no money removes, with its 95 % interval."""
        return self._of("error floor", "", lambda curve: curve.floor)

    @property
    def halving(self) -> Measure:
        """What halving the error above the floor multiplies the cost by: 2^k."""
        return self._of("cost to halve the error", "×", lambda curve: 2**curve.k)

    def usd_at(self, fidelity: float) -> Measure:
        """USD per accepted record at a fidelity in (0, 1); no number where there is no way to it.

        ``high`` is None where more than 2.5 % of the resamples have no way there; the note says so.
        """
        if not 0 < fidelity < 1:
            raise InputError(f"a fidelity of {fidelity}", hint="give a share between 0 and 1, such as 0.95")
        name, unit = f"cost at fidelity {fidelity:g}", "USD per accepted record"
        if self.curve is None:
            return Measure(name=name, value=None, unit=unit, note=self.reason)
        if math.isinf(value := self.curve.usd(fidelity)):
            why = f"no way to {fidelity:.1%} by money: this critic's noise ends it at {1 - self.curve.floor:.1%}"
            return Measure(name=name, value=None, unit=unit, note=why)
        low, high = ends([draw.usd(fidelity) for draw in self.draws])
        beyond = "beyond the pilot's best point" if fidelity > self.points[-1].fidelity else ""
        notes = (self.reason, beyond, "no upper end: there may be no way" if math.isinf(high) else "")
        return Measure(
            name=name, value=value, low=min(low, value), high=max(high, value) if math.isfinite(high) else None,
            n=len(self.draws), unit=unit, note="; ".join(filter(None, notes)),
        )  # fmt: skip

    def _of(self, name: str, unit: str, of: Callable[[Curve], float]) -> Measure:
        value, drawn = None if self.curve is None else of(self.curve), [of(draw) for draw in self.draws]
        low, high = percentile_interval(drawn) if drawn else (None, None)
        return Measure(name=name, value=value, low=low, high=high, n=len(drawn), unit=unit, note=self.reason)


@dataclass(frozen=True, slots=True)
class _Way:
    """A point, and its sums (accepted, wrong, USD) by the units that are resampled; a rung has none."""

    point: Point
    wrong: float
    sums_U_3: Floats | None = None


def sweep(pilot: Sequence[Scored]) -> tuple[Point, ...]:
    """The critic's threshold from lax to strict: each point accepts the best-scored candidates, and all are paid for.

    The unit cost never falls from one point to the next. Raises InputError for no candidates, or impossible ones.
    """
    return tuple(way.point for way in _sweep(pilot))


def best_of(pilot: Sequence[Scored], sizes: Iterable[int] = (1, 2, 4, 8)) -> tuple[Point, ...]:
    """The best-scored of n candidates of the same seed document: the mean over all choices of n, without chance.

    Documents with fewer than n candidates are left out; a size that none has gives no point. ``accepted`` is the number
    of documents. Raises InputError as ``sweep`` does, and for sizes below 1.
    """
    return tuple(way.point for way in _best_of(pilot, sizes))


def frontier(points: Iterable[Point]) -> tuple[Point, ...]:
    """The points that no other beats in cost and fidelity, from cheap to dear."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.usd_per_accepted, -point.fidelity)):
        if not kept or point.fidelity > kept[-1].fidelity:
            kept.append(point)
    return tuple(kept)


def cost_of_predictivity(
    pilot: Sequence[Scored],
    *,
    rungs: Sequence[Point] = (),
    sizes: Iterable[int] = (2, 4, 8),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Predictivity:
    """The frontier of a pilot's ways to fidelity, its fitted curve, and that curve in resamples of seed documents.

    ``rungs`` are points of other models, measured apart; their errors are resampled as binomial. The fit leaves out
    points that another clearly beats (its lower bound is above their fidelity, and its price no higher), and those with
    fewer than FEWEST_WRONG wrong. Each resample chooses anew between power with and without floor. Raises
    InputError as ``sweep`` does; no prices, too few points, or no falling error give a reason and no number.
    """
    if unpriced := sum(candidate.usd is None for candidate in pilot):
        return Predictivity(points=(), reason=f"{unpriced} of {len(pilot)} candidates have no price")
    ways = [*_sweep(pilot), *_best_of(pilot, sizes)]
    ways += (_Way(rung, rung.accepted * (1 - rung.fidelity)) for rung in rungs)
    points = frontier(way.point for way in ways)
    priced = [way for way in ways if way.wrong >= FEWEST_WRONG and way.point.usd_per_accepted]
    fitted = [way for way in priced if not _beaten(way.point, points)]
    if len(fitted) < FEWEST_POINTS:
        few = f"{len(fitted)} have a price and {FEWEST_WRONG} wrong records or more, {FEWEST_POINTS} are needed"
        return Predictivity(points=points, reason=f"too few points: {few}")
    logs_B_P, errors_B_P = _resampled(fitted, resamples, seed)
    fits = fit_curves(logs_B_P, errors_B_P, np.array([_weight(way) for way in fitted]))
    aicc = dict(sorted(((form, float(of_B[0])) for form, of_B in fits.aicc_B.items()), key=lambda item: item[1]))
    curve, drawn = fits.curves_B[0], tuple(draw for draw in fits.curves_B[1:] if draw is not None)
    if fits.falls_B.mean() < 1 - MOST_UNDEFINED / 2:
        return Predictivity(points=points, aicc=aicc, reason="the error does not fall as the price rises")
    if curve is None or len(drawn) < (1 - MOST_UNDEFINED) * resamples:
        return Predictivity(points=points, aicc=aicc, reason="the exponent is not determined by these points")
    doubt = "an exponential describes the points better" if next(iter(aicc)) == "exponential" else ""
    return Predictivity(points=points, aicc=aicc, curve=curve, draws=drawn, reason=doubt)


def _resampled(ways: Sequence[_Way], resamples: int, seed: int) -> tuple[Floats, Floats]:
    """Log cost and error of each way, of shape (1 + resamples, ways): as they are, and in resamples of units.

    Resamples that leave a way without an accepted record, or without a cost, are left out.
    """
    tables = [way.sums_U_3 for way in ways if way.sums_U_3 is not None]
    rungs = [way.point for way in ways if way.sums_U_3 is None]
    table = np.concatenate([np.zeros((len(tables[0]) if tables else 1, 0)), *tables], axis=1)
    blocks = [counts @ table for _, counts in resampled_blocks(1, len(table), resamples, seed)]
    sums = np.concatenate([table.sum(axis=0)[None], *blocks]).reshape(-1 if tables else 1 + resamples, len(tables), 3)
    accepted, wrong, usd = np.moveaxis(sums[(sums[:, :, ::2] > 0).all(axis=(1, 2))], 2, 0)
    trials, rng = np.array([rung.accepted for rung in rungs], dtype=int), np.random.default_rng(seed)
    drawn = rng.binomial(trials, [1 - rung.fidelity for rung in rungs], (len(usd), len(rungs))) / np.maximum(trials, 1)
    drawn[0] = [1 - rung.fidelity for rung in rungs]
    fixed = np.tile([float(rung.usd_per_accepted) for rung in rungs], (len(usd), 1))
    return np.log(np.concatenate([usd / accepted, fixed], axis=1)), np.concatenate([wrong / accepted, drawn], axis=1)


def _way(how: str, accepted_U: Floats, wrong_U: Floats, usd: Sequence[Decimal]) -> _Way:
    """A way by what each unit accepted, what of it is wrong, and what it cost."""
    accepted, wrong = float(accepted_U.sum()), float(wrong_U.sum())
    with localcontext(prec=PRECISION):
        unit_usd = sum(usd, Decimal(0)) / round(accepted)
    low, fidelity = wilson(round(accepted - wrong), round(accepted))[0], max(0.0, 1 - wrong / accepted)
    point = Point(how=how, fidelity=fidelity, low=low, usd_per_accepted=unit_usd, accepted=round(accepted))
    return _Way(point, wrong, np.stack([accepted_U, wrong_U, np.array([float(amount) for amount in usd])], axis=1))


def _weight(way: _Way) -> float:
    """One over the binomial variance of its error, shrunk towards a half so that no error counts as certain."""
    error = (way.wrong + 0.5) / (way.point.accepted + 1)
    return way.point.accepted / (error * (1 - error))


def _beaten(point: Point, by: Iterable[Point]) -> bool:
    return any(best.low > point.fidelity and best.usd_per_accepted <= point.usd_per_accepted for best in by)


def _sweep(pilot: Sequence[Scored]) -> list[_Way]:
    units, usd, wrong_N = _columns(pilot)
    spent = [Decimal(0)] * (int(units.max()) + 1)
    with localcontext(prec=PRECISION):
        for unit, amount in zip(units.tolist(), usd, strict=True):
            spent[unit] += amount
    scores_N = np.array([candidate.score for candidate in pilot])
    order = np.argsort(-scores_N, kind="stable")
    known = np.flatnonzero(np.cumsum(wrong_N[order]) >= FEWEST_WRONG)
    strictest = int(known[0]) + 1 if len(known) else len(pilot)
    counts = np.geomspace(strictest, len(pilot), THRESHOLDS).round().astype(int)
    ways = []
    for threshold in np.unique(scores_N[order][counts - 1]):
        taken_N = (scores_N >= threshold).astype(float)
        accepted_U = np.bincount(units, taken_N, len(spent)).astype(float)
        wrong_U = np.bincount(units, taken_N * wrong_N, len(spent)).astype(float)
        ways.append(_way(f"score ≥ {threshold:.4g}", accepted_U, wrong_U, spent))
    return ways


def _best_of(pilot: Sequence[Scored], sizes: Iterable[int]) -> list[_Way]:
    units, usd, wrong_N = _columns(pilot)
    members: defaultdict[int, list[int]] = defaultdict(list)
    for number, unit in enumerate(units.tolist()):
        members[unit].append(number)
    ways = []
    for size in sizes:
        if size < 1:
            raise InputError(f"the best of {size}", hint="sizes are 1 or larger")
        accepted_U, wrong_U = np.zeros((2, len(members)))
        spent = [Decimal(0)] * len(members)
        for unit, numbers in members.items():
            if len(numbers) >= size:
                accepted_U[unit] = 1.0
                wrong_U[unit] = _wrong_best([(pilot[i].score, float(wrong_N[i])) for i in numbers], size)
                with localcontext(prec=PRECISION):
                    spent[unit] = size * sum((usd[i] for i in numbers), Decimal(0)) / len(numbers)
        if accepted_U.any():
            ways.append(_way(f"best of {size}", accepted_U, wrong_U, spent))
    return ways


def _wrong_best(scored: Sequence[tuple[float, float]], size: int) -> float:
    """Probability that the best-scored of ``size``, drawn without replacement, is wrong; ties are broken by chance."""
    tied: defaultdict[float, list[float]] = defaultdict(list)
    for score, wrong in scored:
        tied[score].append(wrong)
    below, total = 0, 0.0
    for score in sorted(tied):
        upto = below + len(tied[score])
        best_here = math.comb(upto, size) - math.comb(below, size)
        total += best_here * sum(tied[score]) / len(tied[score])
        below = upto
    return total / math.comb(below, size)


def _columns(pilot: Sequence[Scored]) -> tuple[NDArray[np.intp], list[Decimal], Floats]:
    """Unit of each candidate, its cost, and whether it is wrong."""
    usd = [candidate.usd for candidate in pilot if candidate.usd is not None and candidate.usd.is_finite()]
    sound = all(math.isfinite(candidate.score) for candidate in pilot) and len(usd) == len(pilot)
    if not pilot or not sound or min(usd) < 0:
        raise InputError(
            "no candidates, or one with a score or an amount that is none",
            hint="scores are finite; amounts are known, finite, and 0 or larger",
        )
    labels = [candidate.document or f"\0{number}" for number, candidate in enumerate(pilot)]
    return group_numbers(labels)[0], usd, np.array([float(not candidate.good) for candidate in pilot])

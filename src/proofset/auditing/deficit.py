"""Deficits: how far each slice starves, by its learning curve.

Method. The student was trained on several shares of the training data and scored out of fold. For slice s, error as a
function of training records follows a power law (Hestness et al. 2017; Figueroa et al. 2012)::

    error_s(n) = a_s * n ** -b

Each slice has its own level ``a_s``; the slope ``b`` is one for all, because a slope of one slice's own is hopeless at
three records. ``b`` is the weighted least squares slope of log error on log n with an intercept for each slice. Error
rates are smoothed, ``(errors + 0.5) / (n + 1)``, and weighted by the inverse variance of their logarithm, which is
``n p / (1 - p)`` with p pooled over the slice's outcomes (a weight from each outcome's own p would favour high ones).
``b`` is kept in [0.05, 1]. From the last point of its curve, a slice reaches the target after

    needed = n * ((error / target) ** (1 / b) - 1)   records.

Intervals are percentiles of draws: every error rate from its Jeffreys posterior, Beta(errors + 0.5, n - errors + 0.5),
and with them the slope, the levels and, unless it is given, the target.

When it lies. A curve that flattens (noisy labels, a student too simple) is promised too much; a slice harder or easier
to learn than the others gets a slope that is not its own. Out-of-fold results of several shares come from the same
records, so their differences are steadier than the draws assume and intervals tend to be wide. And records *like those
there are* are meant: nothing here says that synthetic records are as good.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.config import Audit
from proofset.errors import InputError
from proofset.nouns.result import Better, Measure
from proofset.nouns.slice import Deficit, Slice
from proofset.stats import percentile_interval, wilson

FLATTEST, STEEPEST = 0.05, 1.0
"""Where the slope is kept: below, no data helps; above, the curve would beat counting."""

FARTHEST = 100.0
"""Longest extrapolation that is told, in multiples of the records there are."""

DRAWS = 2000
SEED = 20
"""Intervals are part of the result: the same outcomes give the same ones."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Out-of-fold result of the student on one slice, trained on a share of the training data."""

    fraction: float
    """Share of the training data, in (0, 1]."""
    slice: str
    n_train: float
    """Records of the slice that the student saw, on average over folds; above 0."""
    errors: int
    n: int
    """Records of the slice that were predicted."""


@dataclass(frozen=True, slots=True)
class _Curve:
    """The last point of a slice's curve and draws of it: everything its deficit follows from."""

    last: Outcome
    rates: Floats
    """Draws of the error rate there, ``(DRAWS,)``."""


@dataclass(frozen=True, slots=True)
class _Slope:
    """The pooled slope and its draws ``(DRAWS,)``; None when there is only one training size."""

    value: float
    draws: Floats


def deficits(slices: Sequence[Slice], outcomes: Sequence[Outcome], settings: Audit) -> tuple[Deficit, ...]:
    """The deficits of all slices, the most starved first: by records needed, then by error, then by name.

    A slice whose need is beyond telling comes before all that can be told, one that was never predicted last.
    ``expected_error`` is what the curve promises at the mean size of the slices that are not edges.
    """
    points = _by_slice(slices, outcomes)
    rng = np.random.default_rng(SEED)
    draws = [rng.beta(one.errors + 0.5, one.n - one.errors + 0.5, DRAWS) for one in points]
    slope = pooled_slope(points)
    slopes = None if slope is None else _Slope(slope, _slopes(points, np.log(np.column_stack(draws))))
    curves = {one.slice: _Curve(one, rates) for one, rates in zip(points, draws, strict=True)}
    edges = _edges(slices, settings)
    rich = [one for one in slices if one.name not in edges] or list(slices)
    target, targets = _target(settings, [curves[one.name] for one in rich if one.name in curves])
    rich_n = sum(one.n for one in rich) / max(len(rich), 1)
    found = []
    for one in slices:
        curve = curves.get(one.name)
        needed = _needed(curve, target, targets, slopes)
        expected = _expected(curve, max(rich_n, float(one.n)), slopes)
        found.append((one, _error(curve), needed, expected))
    found.sort(key=lambda row: _need(row[0], row[1], row[2]))
    return tuple(
        Deficit(
            slice=one.name, title=one.title, n=one.n, error=error, expected_error=expected, needed=needed,
            edge=one.name in edges, rank=rank,
        )
        for rank, (one, error, needed, expected) in enumerate(found, 1)
    )  # fmt: skip


def pooled_slope(outcomes: Sequence[Outcome]) -> float | None:
    """The slope b of the power law that all slices share, in [0.05, 1]; None when no slice has two training sizes."""
    if not outcomes:
        return None
    rates = np.array([(one.errors + 0.5) / (one.n + 1) for one in outcomes])
    slope = _slopes(outcomes, np.log(rates)[None, :])
    return None if np.isnan(slope[0]) else float(slope[0])


def _slopes(outcomes: Sequence[Outcome], logs: Floats) -> Floats:
    """Slopes of shape ``(k,)`` for k sets of log error rates of shape ``(k, n_outcomes)``; NaN where there is none."""
    sizes = np.log([one.n_train for one in outcomes])
    weights = _weights(outcomes)
    _, which = np.unique([one.slice for one in outcomes], return_inverse=True)
    belongs = (which[:, None] == np.arange(which.max() + 1)).astype(np.float64)
    totals = weights @ belongs
    sizes = sizes - ((weights * sizes) @ belongs / totals)[which]
    spread = float(weights @ sizes**2)
    if spread < 1e-9 * float(weights.sum()):
        return np.full(len(logs), np.nan)
    clipped: Floats = np.clip(-(logs @ (weights * sizes)) / spread, FLATTEST, STEEPEST)
    return clipped


def _weights(outcomes: Sequence[Outcome]) -> Floats:
    """Inverse variances of the log error rates, ``(n_outcomes,)``."""
    errors, totals = defaultdict[str, int](int), defaultdict[str, int](int)
    for one in outcomes:
        errors[one.slice] += one.errors
        totals[one.slice] += one.n
    pooled = np.array([(errors[one.slice] + 0.5) / (totals[one.slice] + 1) for one in outcomes])
    weights: Floats = np.array([one.n for one in outcomes]) * pooled / (1 - pooled)
    return weights


def _by_slice(slices: Sequence[Slice], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes that say something, with the largest share last and in an order of their own."""
    known = {one.name for one in slices}
    for one in outcomes:
        if one.slice not in known:
            raise InputError(f"an outcome for {one.slice!r}, which is no slice", hint="use the slices' own names")
        if one.n_train < 0 or not 0 <= one.errors <= one.n:
            raise InputError(f"impossible outcome: {one}", hint="0 <= errors <= n, and n_train is a count")
    useful = (one for one in outcomes if one.n and one.n_train)
    return sorted(useful, key=lambda one: (one.fraction, one.slice, one.n_train, one.errors, one.n))


def _edges(slices: Sequence[Slice], settings: Audit) -> frozenset[str]:
    """Slices starved enough to synthesize for."""
    if settings.edge_max_records is not None:
        return frozenset(one.name for one in slices if one.n <= settings.edge_max_records)
    half = sum(one.n for one in slices) / max(len(slices), 1) / 2
    return frozenset(one.name for one in slices if one.n < half)


def _target(settings: Audit, rich: Sequence[_Curve]) -> tuple[float, Floats]:
    """The error to reach, and draws of it: as set, or pooled over the slices that are not edges."""
    if settings.target_error is not None:
        return settings.target_error, np.full(DRAWS, settings.target_error)
    n = sum(curve.last.n for curve in rich)
    errors = sum(curve.last.errors for curve in rich)
    if not errors:
        return 0.5 / (n + 1), np.full(DRAWS, 0.5 / (n + 1))
    return errors / n, sum((curve.last.n / n * curve.rates for curve in rich), np.zeros(DRAWS))


def _error(curve: _Curve | None) -> Measure:
    if curve is None:
        return Measure(name="error", value=None, better=Better.LOWER, note="not predicted out of fold")
    last = curve.last
    low, high = wilson(last.errors, last.n)
    return Measure(
        name="error", value=last.errors / last.n, low=low, high=high, n=last.n, unit="share", better=Better.LOWER
    )


def _needed(curve: _Curve | None, target: float, targets: Floats, slope: _Slope | None) -> Measure:
    """Records to add until the curve reaches the target; draws at or below it need none."""

    def measure(value: float | None, low: float | None = None, high: float | None = None, note: str = "") -> Measure:
        n = 0 if curve is None else curve.last.n
        return Measure(
            name="records needed", value=value, low=low, high=high, n=n, unit="records", better=Better.LOWER, note=note
        )

    if curve is None:
        return measure(None, note="not predicted out of fold")
    n, error = curve.last.n_train, curve.last.errors / curve.last.n
    reached = f"at or below the target error {target:.3g}"
    if slope is None:
        return measure(0.0, note=reached) if error <= target else measure(None, note="one training size: no slope")
    far = FARTHEST * n
    low, high = percentile_interval(np.minimum(_to_add(n, curve.rates, targets, slope.draws), 2 * far))
    ceiling = high if high <= far else None
    open_end = "" if ceiling is not None else f"no upper limit within {FARTHEST:.0f} times what there is"
    if error <= target:
        return measure(0.0, 0.0, ceiling, "; ".join(filter(None, (reached, open_end))))
    value = float(_to_add(n, np.array([error]), np.array([target]), np.array([slope.value]))[0])
    if value > far:
        return measure(None, min(low, far), None, f"more than {FARTHEST:.0f} times what there is")
    return measure(value, min(low, value), None if ceiling is None else max(ceiling, value), open_end)


def _to_add(n: float, errors: Floats, targets: Floats, slopes: Floats) -> Floats:
    """Records to add to n, 0 or more and possibly infinite; all of shape ``(k,)``."""
    with np.errstate(divide="ignore", over="ignore"):
        added: Floats = n * (np.maximum(errors / targets, 1.0) ** (1 / slopes) - 1)
    return added


def _expected(curve: _Curve | None, size: float, slope: _Slope | None) -> Measure:
    """The error that the curve promises at ``size`` records."""
    name, note = "expected error", f"at {size:.0f} records"
    if curve is None or slope is None:
        why = "not predicted out of fold" if curve is None else "one training size: no slope"
        return Measure(name=name, value=None, better=Better.LOWER, note=why)
    ratio = curve.last.n_train / size
    low, high = percentile_interval(curve.rates * min(ratio, 1.0) ** slope.draws)
    value = curve.last.errors / curve.last.n * min(ratio, 1.0) ** slope.value
    return Measure(
        name=name, value=value, low=min(low, value), high=max(high, value), n=curve.last.n, unit="share",
        better=Better.LOWER, note=note,
    )  # fmt: skip


def _need(one: Slice, error: Measure, needed: Measure) -> tuple[bool, float, float, str]:
    """Sort key: the most starved first."""
    missing = float("inf") if needed.value is None else needed.value
    return error.value is None, -missing, -(error.value or 0.0), one.name

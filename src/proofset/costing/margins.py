"""Where a margin collapses: at a fidelity, at a volume, or at a flat fee's usage; each with its interval or a reason.

Two laws drive it. Truth gets dearer, ``ln c = α − k ln(ε − ε₀)``; and new text gets rarer, U = K n^β (Heaps 1978). A
small doubt about k or β moves the collapse by orders of magnitude; so a collapse is shown with the interval that
bootstrap draws of the laws give, or not at all. USD are Decimal where known, and float where modelled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from proofset.costing.prices import PRECISION
from proofset.errors import InputError
from proofset.nouns.result import Measure

FEWEST_DRAWS = 40
"""Bootstrap draws that an interval needs: its 2.5 % ends lie outside all draws of fewer."""
HIGHEST_RECORDS = 1e18
"""A volume above counts as none: nobody will make it, and no pilot speaks for it."""

RATES = np.geomspace(1 / 20, 1 / 0.1, 241)
"""Values of 1/k that a fit tries; a k at either end, 20 or 0.1, is not determined by the points."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """What fidelity costs: ``ln c = alpha − k ln(ε − floor)``, c in USD per accepted record and ε = 1 − fidelity."""

    alpha: float
    k: float
    floor: float

    @staticmethod
    def through(fidelity: float, usd: Decimal, *, k: float, floor: float = 0.0) -> Curve:
        """The curve of a known exponent through one point. Raises InputError for a fidelity of 1 − floor or more."""
        gap = 1 - fidelity - floor
        if not (gap > 0 and k > 0 and floor >= 0 and usd > 0):
            raise InputError(
                f"no curve with k {k} and floor {floor} through fidelity {fidelity} at {usd} USD",
                hint="k and the cost are above 0, and the fidelity is below 1 − floor",
            )
        return Curve(math.log(usd) + k * math.log(gap), k, floor)

    @staticmethod
    def between(lax: tuple[float, Decimal], strict: tuple[float, Decimal], *, floor: float = 0.0) -> Curve:
        """The curve through two points (fidelity, USD). Raises InputError unless the truer one is the dearer one."""
        (low, cheap), (high, dear) = lax, strict
        if not (low < high < 1 - floor and 0 < cheap < dear):
            raise InputError(
                f"no curve rises from fidelity {low} at {cheap} USD to {high} at {dear} USD",
                hint="both fidelities are below 1 − floor, and the truer one is the dearer one",
            )
        k = (math.log(dear) - math.log(cheap)) / math.log((1 - low - floor) / (1 - high - floor))
        return Curve.through(low, cheap, k=k, floor=floor)

    def usd(self, fidelity: float) -> float:
        """USD per accepted record; infinite at 1 − floor and above, where money buys nothing."""
        gap = 1 - fidelity - self.floor
        return _exp(self.alpha - self.k * math.log(gap)) if gap > 0 else math.inf

    def fidelity(self, usd: float) -> float:
        """The fidelity that ``usd`` (above 0) per accepted record buys; below 0 where it buys none."""
        return 1 - self.floor - _exp((self.alpha - math.log(usd)) / self.k)


@dataclass(frozen=True, slots=True)
class Growth:
    """How many accepted records n candidates give: ``U = factor · n^beta``, 0 < beta < 1 where new text gets rarer."""

    factor: float
    beta: float

    @staticmethod
    def through(candidates: int, accepted: int, *, beta: float) -> Growth:
        """The growth of a known exponent through a pilot. Raises InputError for counts below 1 and a beta of 0."""
        if candidates < 1 or accepted < 1 or not beta > 0:
            raise InputError(
                f"no growth with beta {beta} through {accepted} of {candidates}", hint="all three are above 0"
            )
        return Growth(accepted / candidates**beta, beta)

    def usd(self, volume: float, usd_per_candidate: float) -> float:
        """Average USD per accepted record at ``volume`` (above 0) accepted records; over beta, that of the next one."""
        log_candidates = (math.log(volume) - math.log(self.factor)) / self.beta
        return usd_per_candidate * _exp(log_candidates - math.log(volume))

    def collapse(self, budget: float, usd_per_candidate: float, *, marginal: bool = False) -> float:
        """Accepted records at which one costs ``budget`` USD; infinite where beta is 1 or more and it never does."""
        if self.beta >= 1:
            return math.inf
        log_base = math.log(budget) + math.log(self.factor) / self.beta - math.log(usd_per_candidate)
        return _exp(self.beta / (1 - self.beta) * (log_base + (math.log(self.beta) if marginal else 0.0)))


@dataclass(frozen=True, slots=True)
class Fits:
    """Curves through B sets of points, and how well each form describes them."""

    aicc_B: dict[str, Floats]
    """Corrected Akaike criterion (Hurvich and Tsai 1989) by form; less is better."""
    curves_B: tuple[Curve | None, ...]
    """Power, with a floor where that lowers Akaike's criterion; None where no exponent inside the range is best."""
    falls_B: NDArray[np.bool_]
    """Whether the error falls at all as the price rises."""


def fit_curves(logs_B_P: Floats, errors_B_P: Floats, weights_P: Floats) -> Fits:
    """Fit P points each: logarithms of USD per accepted record, and shares that are wrong, weighted.

    In the inverse form ε = ε₀ + A c^(−1/k), by weighted least squares over A and ε₀ ≥ 0 at each of many k: the price
    is known, and the error is counted. Exponential is ``ε = u − v ln c``. For AICc, P must be at least 6. The forms
    are compared by AICc; but whether there is a floor is decided by AIC (Akaike 1974), since the correction denies any
    floor to seven points: 28 of 50 intervals then held a simulated k, and 48 do.
    """
    centred_B_P = logs_B_P - (centre_B := logs_B_P.mean(axis=1))[:, None]
    n, sizes = errors_B_P.shape[1], {"exponential": 3, "power": 3, "power with floor": 4}
    straight = _line(-centred_B_P, errors_B_P, weights_P)
    free, floored = (_power(centred_B_P, errors_B_P, weights_P, floor=floor) for floor in (False, True))
    aicc = {
        name: n * np.log(np.maximum(rss, 1e-30) / n) + 2 * p * n / (n - p - 1)
        for (name, p), rss in zip(sizes.items(), (straight[2], free[0], floored[0]), strict=True)
    }
    best = np.where(free[0] <= math.exp(2 / n) * floored[0] + 1e-30, free, floored)
    inside_B = (best[1] > RATES[1]) & (best[1] < RATES[-2]) & np.isfinite(best[0])
    curves = [
        Curve(math.log(scale) / rate + middle, 1 / rate, floor) if inside else None
        for (_, rate, scale, floor), middle, inside in zip(best.T.tolist(), centre_B.tolist(), inside_B, strict=True)
    ]
    return Fits(aicc, tuple(curves), straight[1] > 0)


def _power(logs_B_P: Floats, errors_B_P: Floats, weights_P: Floats, *, floor: bool) -> Floats:
    """Least squares, best 1/k, A and ε₀, of shape (4, B); the least squares are infinite where nothing falls."""
    best = np.full((4, len(logs_B_P)), np.inf)
    for spread in (RATES, *(np.linspace(1 - step, 1 + step, 11) for step in (0.02, 0.004, 0.0008))):
        around_B = np.ones(len(logs_B_P)) if spread is RATES else np.where(np.isfinite(best[0]), best[1], 1.0)
        for rate_B in spread[:, None] * around_B:
            x_B_P = np.exp(-rate_B[:, None] * logs_B_P)
            constant, scale, rss = _line(x_B_P, errors_B_P, weights_P, through_0=not floor)
            if floor:
                origin = _line(x_B_P, errors_B_P, weights_P, through_0=True)
                constant, scale, rss = np.where(constant < 0, origin, (constant, scale, rss))
            better_B = (rss < best[0]) & (scale > 0)
            best[:, better_B] = np.stack([rss, rate_B, scale, constant])[:, better_B]
    return best


def _line(x_B_P: Floats, y_B_P: Floats, weights_P: Floats, *, through_0: bool = False) -> Floats:
    """Constant, slope and weighted squares of straight lines, of shape (3, B)."""
    share_P = weights_P / weights_P.sum()
    x0_B, y0_B = (0.0 * (x_B_P @ share_P),) * 2 if through_0 else (x_B_P @ share_P, y_B_P @ share_P)
    x, y = x_B_P - x0_B[:, None], y_B_P - y0_B[:, None]
    slope_B = ((x * y) @ weights_P) / np.maximum((x * x) @ weights_P, 1e-300)
    rss_B = ((y - slope_B[:, None] * x) ** 2) @ weights_P
    return np.stack([y0_B - slope_B * x0_B, slope_B, rss_B])


def gross_margin(price: Decimal, unit_usd: Decimal | None) -> float | None:
    """1 − cost / price, per accepted record; None while the cost is not known. Raises InputError for no price."""
    if not price.is_finite() or price <= 0:
        raise InputError(f"a price of {price}", hint="give USD above 0")
    with localcontext(prec=PRECISION):
        return None if unit_usd is None else float(1 - unit_usd / price)


def allowed(price: Decimal, margin: Decimal) -> Decimal:
    """USD that may be spent for a ``price`` at a target gross margin in [0, 1): P (1 − g)."""
    if not (price.is_finite() and price > 0 and 0 <= margin < 1):
        raise InputError(
            f"a price of {price} at a margin of {margin}", hint='prices are above 0; margins such as "0.6" below 1'
        )
    with localcontext(prec=PRECISION):
        return price * (1 - margin)


def accuracy_collapse(price: Decimal, margin: Decimal, curve: Curve, draws: Sequence[Curve] = ()) -> Measure:
    """The fidelity above which a record costs more than ``price`` leaves at the target margin.

    a* = 1 − (ε₀ + (1 − a₀ − ε₀) (c₀ / P(1 − g))^(1/k)), with its 95 % interval from ``draws`` of the curve.
    """
    budget = float(allowed(price, margin))
    value, drawn = curve.fidelity(budget), [draw.fidelity(budget) for draw in draws]
    if value <= 0:
        return _none("accuracy collapse", "not at all: the price pays for no fidelity", len(drawn))
    return _shown("accuracy collapse", "fidelity", value, drawn)


def volume_collapse(
    price: Decimal,
    margin: Decimal,
    growth: Growth,
    usd_per_candidate: Decimal,
    draws: Sequence[Growth] = (),
    *,
    marginal: bool = False,
) -> Measure:
    """The accepted records above which one costs more than ``price`` leaves at the target margin.

    U* = (P(1 − g) K^(1/β) / c)^(β/(1 − β)) for the average record; times β^(β/(1 − β)) for the next one, ``marginal``.
    """
    budget, usd = float(allowed(price, margin)), _above_0(usd_per_candidate, "per candidate")
    name = f"volume collapse, {'marginal' if marginal else 'average'}"
    value = growth.collapse(budget, usd, marginal=marginal)
    drawn = [draw.collapse(budget, usd, marginal=marginal) for draw in draws]
    if value > HIGHEST_RECORDS:
        return _none(name, "not at all: no volume within reach costs so much", len(drawn))
    return _shown(
        name, "accepted records", value, [volume if volume <= HIGHEST_RECORDS else math.inf for volume in drawn]
    )


def flat_fee_collapse(revenue: Decimal, margin: Decimal, usd_per_use: Decimal, draws: Sequence[float] = ()) -> Measure:
    """Uses in a period above which a flat fee of ``revenue`` USD misses its margin: q* = R (1 − g) / v."""
    budget = float(allowed(revenue, margin))
    drawn = [budget / usd if usd > 0 else math.inf for usd in draws]
    return _shown("flat fee collapse", "uses a period", budget / _above_0(usd_per_use, "per use"), drawn)


@dataclass(frozen=True, slots=True)
class Surface:
    """Unit cost over volume and fidelity, and the line on which the target margin is just met."""

    volumes_U: Floats
    """Accepted records."""
    fidelities_A: Floats
    usd_U_A: Floats
    """USD per accepted record; infinite where no money buys the fidelity."""
    allowed_usd: float
    line_U: Floats
    """The highest fidelity within the margin at each volume; NaN where there is none."""


def iso_margin(
    price: Decimal,
    margin: Decimal,
    curve: Curve,
    growth: Growth,
    *,
    pilot_accepted: int,
    volumes: Sequence[float],
    fidelities: Sequence[float],
) -> Surface:
    """c(U, a) = c(U₀, a) (U / U₀)^((1 − β)/β) on a grid for a plot; U₀ is the pilot that the curve was measured at.

    Raises InputError for volumes and a pilot of 0 or less, and for fidelities outside (0, 1).
    """
    budget = float(allowed(price, margin))
    if pilot_accepted < 1 or not min(volumes, default=0) > 0 or not all(0 < a < 1 for a in fidelities):
        raise InputError("a surface outside its grid", hint="volumes and the pilot are above 0, fidelities in (0, 1)")
    rarer = [growth.usd(volume, 1.0) / growth.usd(pilot_accepted, 1.0) for volume in volumes]
    unit = np.array([curve.usd(fidelity) for fidelity in fidelities])
    line = np.array([curve.fidelity(budget / times) for times in rarer])
    return Surface(
        np.array(volumes),
        np.array(fidelities),
        np.array(rarer)[:, None] * unit,
        budget,
        np.where(line > 0, line, np.nan),
    )


def _shown(name: str, unit: str, value: float, drawn: Sequence[float]) -> Measure:
    """With its interval; None with a reason where the draws give none."""
    if len(drawn) < FEWEST_DRAWS:
        return _none(name, f"not at all: {len(drawn)} draws give no interval, {FEWEST_DRAWS} are needed", len(drawn))
    low, high = ends(drawn)
    if math.isinf(value) or math.isinf(high):
        return _none(name, "not at all: the interval has no upper end", len(drawn))
    return Measure(name=name, value=value, low=min(low, value), high=max(high, value), n=len(drawn), unit=unit)


def ends(drawn: Sequence[float]) -> tuple[float, float]:
    """The 2.5 and 97.5 % order statistics of bootstrap draws (Efron 1979), of which some may be infinite."""
    low, high = np.quantile(np.asarray(drawn), [0.025, 0.975], method="inverted_cdf")
    return float(low), float(high)


def _none(name: str, why: str, n: int) -> Measure:
    return Measure(name=name, value=None, n=n, note=why)


def _above_0(usd: Decimal, what: str) -> float:
    if not usd.is_finite() or usd <= 0:
        raise InputError(f"{usd} USD {what}", hint="give USD above 0; a cost that is not known gives no collapse")
    return float(usd)


def _exp(power: float) -> float:
    """e^power, infinite where that has no float."""
    return math.exp(power) if power < 700 else math.inf

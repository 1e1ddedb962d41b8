"""The uncertainty of a pilot's cost: whole seed documents are resampled, since their records stand or fall together.

Resampling records instead is too narrow: in a simulated pilot such an interval held the truth 40 % of the time and not
95 %. Suffixes: S seed documents, G slices, B resamples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from proofset.costing.pilot import Pilot, rates, shares
from proofset.costing.saturation import numbered
from proofset.errors import InputError
from proofset.stats import BLOCK_CELLS, resampled_counts

Floats = NDArray[np.float64]

RESAMPLES = 2000
LEAST_RESAMPLES = 1000
FEW_SEEDS = 30
"""Seed documents below which the bootstrap is too narrow, and Student's t is taken instead."""


@dataclass(frozen=True, slots=True)
class Clustered:
    """A pilot's sums by seed document and slice, ready to be resampled."""

    sums_4_S_G: Floats
    """USD, accepted bytes, accepted records, attempts."""
    mix_G: Floats
    """Share of production attempts."""
    stratum_S: NDArray[np.intp]
    """Slice of a seed document; 0 for all where one of them serves several slices."""

    @property
    def seeds(self) -> int:
        """Seed documents."""
        return len(self.stratum_S)

    @property
    def strata(self) -> int:
        """Groups that are resampled apart."""
        return int(self.stratum_S.max()) + 1

    def rates(self, weights_B_S: Floats) -> Floats:
        """USD, bytes and records per production attempt, of shape ``(3, B)``; slices that a draw lacks are left out."""
        usd, size, records, attempts = (weights_B_S @ self.sums_4_S_G).astype(np.float64)
        there = attempts > 0
        mix_B_G = np.where(there, self.mix_G, 0.0)
        mix_B_G /= np.maximum(mix_B_G.sum(axis=1, keepdims=True), 1e-300)
        per = mix_B_G / np.where(there, attempts, 1.0)
        return np.stack([(per * part).sum(axis=1) for part in (usd, size, records)])

    def replicates(self, resamples: int, rng: np.random.Generator) -> Floats:
        """The rates of ``resamples`` bootstrap pilots, of shape ``(3, resamples)``; memory does not grow with them."""
        found, block = [], max(1, BLOCK_CELLS // self.seeds)
        for start in range(0, resamples, block):
            weights = np.zeros((min(block, resamples - start), self.seeds))
            for stratum in range(self.strata):
                members = np.flatnonzero(self.stratum_S == stratum)
                weights[:, members] = resampled_counts(len(members), len(weights), rng)
            found.append(self.rates(weights))
        return np.concatenate(found, axis=1)

    def log_error(self) -> float:
        """Standard error of the logarithm of USD over bytes, by linearisation within strata (Cochran 1977)."""
        usd, size, _, attempts = self.sums_4_S_G
        usd_rate, size_rate, _ = self.rates(np.ones((1, self.seeds)))[:, 0]
        per_G = self.mix_G / attempts.sum(axis=0)
        residual_S = ((usd / usd_rate - size / size_rate) * per_G).sum(axis=1)
        variance = 0.0
        for stratum in range(self.strata):
            inside = residual_S[self.stratum_S == stratum]
            if len(inside) > 1:
                variance += len(inside) * float(inside.var(ddof=1))
        return math.sqrt(variance)


def clustered(pilot: Pilot, mix: Mapping[str, float] | None = None) -> Clustered:
    """Sum up a pilot by seed document and slice. Raises InputError where an attempt has no price."""
    if pilot.total_usd is None:
        raise InputError("an attempt has no price", hint="price every model, or leave its attempts out")
    share = shares(pilot, mix)
    slice_N = np.searchsorted(np.array(list(share)), np.asarray(pilot.slices, dtype=str))
    seed_N = numbered(pilot.seeds)
    shape = (int(seed_N.max()) + 1, len(share))
    cell_N = seed_N * len(share) + slice_N
    usd = [float(amount or 0) for amount in pilot.amounts]
    columns = (usd, pilot.accepted_bytes, pilot.flags("accepted"), np.ones(pilot.attempts))
    cells = [np.bincount(cell_N, np.asarray(column, dtype=np.float64), shape[0] * shape[1]) for column in columns]
    sums = np.stack(cells).astype(np.float64).reshape(4, *shape)
    nested = bool(((sums[3] > 0).sum(axis=1) == 1).all())
    stratum = sums[3].argmax(axis=1) if nested else np.zeros(shape[0], dtype=np.intp)
    return Clustered(sums, np.array([float(part) for part in share.values()]), stratum)


@dataclass(frozen=True, slots=True)
class CostPerTB:
    """USD per 10**12 accepted bytes at the pilot's own scale: linear, not a projection."""

    usd: Decimal
    low: Decimal | None
    """None where there is no interval."""
    high: Decimal | None
    """None where there is no interval, or it is open."""
    level: float
    seeds: int
    basis: str
    """In words: how the interval came about."""


def cost_per_tb(
    pilot: Pilot, mix: Mapping[str, float] | None = None, *, resamples: int = RESAMPLES, seed: int = 0,
    level: float = 0.95,
) -> CostPerTB:  # fmt: skip
    """USD per TB as a ratio of sums with its interval: percentiles of a cluster bootstrap, stratified by slice.

    With fewer than ``FEW_SEEDS`` seed documents Student's t on the logarithm, with as many degrees of freedom as there
    are documents less slices. Raises InputError for unpriced attempts, for a pilot that accepted nothing and for fewer
    than ``LEAST_RESAMPLES`` resamples.
    """
    if resamples < LEAST_RESAMPLES or not 0 < level < 1:
        raise InputError(f"{resamples} resamples at level {level}", hint=f"at least {LEAST_RESAMPLES}, between 0 and 1")
    data, point = clustered(pilot, mix), rates(pilot, mix).usd_per()
    freedom = data.seeds - data.strata
    if freedom < 1 or not point:
        return CostPerTB(
            point, None, None, level, data.seeds, "no interval: too few seed documents, or nothing was paid"
        )
    if data.seeds < FEW_SEEDS:
        from scipy.stats import t

        spread = float(t.ppf((1 + level) / 2, freedom)) * data.log_error()
        ends = [float(point) * math.exp(sign * min(spread, 700.0)) for sign in (-1, 1)]
        basis = (
            f"Student's t with {freedom} degrees of freedom: {data.seeds} seed documents are too few for a bootstrap"
        )
    else:
        usd, size, _ = data.replicates(resamples, np.random.default_rng(seed))
        draws = np.divide(usd, size, out=np.full_like(usd, np.inf), where=size > 0) * 1e12
        ends = [float(end) for end in np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")]
        basis = f"cluster bootstrap of {data.seeds} seed documents, {resamples} resamples"
    low, high = (Decimal(repr(end)) if math.isfinite(end) else None for end in ends)
    return CostPerTB(point, low, high, level, data.seeds, basis)

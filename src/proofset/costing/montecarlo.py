"""Many possible costs of one target, each from one joint draw of all that a pilot leaves open.

Suffixes: B draws, G slices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from proofset.costing.clusters import clustered
from proofset.costing.paths import Floats, fitted
from proofset.costing.pilot import Pilot, shares
from proofset.costing.saturation import Spectrum, numbered, resampled
from proofset.costing.yields import SliceYields, StageYield, design_effect, yields
from proofset.errors import InputError

MOST_PRICE = 10.0
"""Times today's price above which an assumption is taken for a slip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What no pilot shows, as distributions. Raises InputError for impossible ones."""

    length_drift: float = 0.1
    """Standard deviation of the logarithm of the cost of a unit of text, as records grow longer or shorter."""
    price: tuple[float, float, float] = (0.7, 1.0, 1.1)
    """Lowest, likeliest and highest price over today's: triangular."""
    batch: tuple[float, float] | None = None
    """Beta parameters of the share of calls that can wait for a batch; None if the pilot's share stays."""
    batch_price: float = 0.5
    """Price of a call in a batch over that of another."""
    pilot_utilisation: float | None = None
    """Share of the time that the pilot kept its own machines busy, in (0, 1]; None for a hosted model."""
    utilisation: tuple[float, float] = (7.0, 3.0)
    """Beta parameters of that share in production; read only with ``pilot_utilisation``."""
    slope: tuple[float, float, float] = (-0.6, 0.0, 0.6)
    """Blend of the paths of uniqueness, triangular: −1 is iNEXT, 0 the falling slope, 1 Heaps.

    A judgement, not a measurement: in the simulated worlds that repeat themselves the truth lay at −0.24 to −0.05.
    All the way to iNEXT, which knows of no idea beyond Chao1, the upper end at 100 times a pilot was 30 to 200 times
    too dear.
    """

    def __post_init__(self) -> None:
        low, mode, high = self.price
        positive = [*(self.batch or ()), *self.utilisation]
        busy = 1.0 if self.pilot_utilisation is None else self.pilot_utilisation
        checks = {
            "length_drift": 0 <= self.length_drift <= 1,
            "price": 0 < low <= mode <= high <= MOST_PRICE,
            "batch or utilisation": all(0 < value < np.inf for value in positive),
            "batch_price": 0 <= self.batch_price <= 1,
            "pilot_utilisation": 0 < busy <= 1,
            "slope": -1 <= self.slope[0] <= self.slope[1] <= self.slope[2] <= 1,
        }
        if wrong := [name for name, holds in checks.items() if not holds]:
            raise InputError(f"assumption {wrong[0]} is out of range", hint="see the ranges in Assumptions")


@dataclass(frozen=True, slots=True)
class Draws:
    """Possible costs and what drove them."""

    usd_B: Floats
    """Infinite where the target is never reached."""
    drivers: dict[str, Floats]
    """Each draw's value of what was drawn, by name."""


def simulate(
    pilot: Pilot, of: Spectrum, units: tuple[int, bool], mix: Mapping[str, float] | None, assumptions: Assumptions,
    draws: int, seed: int,
) -> Draws:  # fmt: skip
    """Costs of a target of ``units``: an amount, and whether it is in bytes (else in records).

    Raises InputError for unpriced attempts and for a pilot that accepted nothing.
    """
    rng = np.random.default_rng(seed)
    amount, in_bytes = units
    usd, size, records = clustered(pilot, mix).replicates(draws, rng)
    length = np.divide(size, records, out=np.zeros_like(size), where=records > 0)
    passing_B, kept_B = _yields(pilot, of, mix, draws, rng)
    drift = rng.lognormal(0.0, assumptions.length_drift, draws)
    factors = _prices(assumptions, draws, rng)
    with np.errstate(divide="ignore"):
        wanted = drift * amount / length if in_bytes else np.full(draws, float(amount))
    candidates, slope = _candidates(of, wanted / kept_B, assumptions, rng)
    per_candidate = usd * np.prod(list(factors.values()), axis=0) / passing_B
    reached = np.isfinite(candidates)
    cost = np.where(reached, np.where(reached, candidates, 0.0) * per_candidate, np.inf)
    drivers = {
        "cost of an attempt": usd, "bytes per record": length, "yields": passing_B * kept_B, "uniqueness": slope,
        "length drift": drift, **factors,
    }  # fmt: skip
    return Draws(cost if in_bytes else cost * drift, drivers)


def _beta(stage: StageYield, draws: int, rng: np.random.Generator) -> Floats:
    """A rate in [0, 1] from Beta(1 + successes, 1 + failures), of n/DEFF trials."""
    drawn: Floats = rng.beta(1 + stage.successes / stage.deff, 1 + (stage.n - stage.successes) / stage.deff, draws)
    return drawn


def _yields(
    pilot: Pilot, of: Spectrum, mix: Mapping[str, float] | None, draws: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Critic-passed candidates per attempt of the production mix, and accepted records per idea."""

    def passing(slice_yields: SliceYields) -> Floats:
        parsed, passed = slice_yields.stages[:2]
        return _beta(parsed, draws, rng) * _beta(passed, draws, rng)

    share = shares(pilot, mix)
    passing_B = np.sum([float(share[found.name]) * passing(found) for found in yields(pilot)], axis=0)
    accepted = pilot.flags("accepted")
    unique = pilot.flags("unique")
    deff = design_effect(accepted[unique], numbered(pilot.seeds)[unique]) if unique.any() else 1.0
    kept = StageYield("kept", int(accepted.sum()), of.distinct, None, 0.0, 1.0, deff)
    return passing_B, _beta(kept, draws, rng)


def _prices(assumptions: Assumptions, draws: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Factors on the cost of a call, by name."""
    low, mode, high = assumptions.price
    factors = {"price": np.full(draws, mode) if low == high else rng.triangular(low, mode, high, draws)}
    if assumptions.batch is not None:
        factors["batch share"] = 1 - (1 - assumptions.batch_price) * rng.beta(*assumptions.batch, draws)
    if assumptions.pilot_utilisation is not None:
        factors["utilisation"] = assumptions.pilot_utilisation / rng.beta(*assumptions.utilisation, draws)
    return factors


def _candidates(
    of: Spectrum, ideas_B: Floats, assumptions: Assumptions, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Candidates for so many ideas on a random path each, and octaves that path needs for the median of the ideas.

    A target within the pilot is taken at the pilot's average, which errs to the dear side.
    """
    draws = len(ideas_B)
    paths = fitted(of.multiplicities_K, resampled(of, draws, rng))
    low, mode, high = assumptions.slope
    blend = np.full(draws, mode) if low == high else rng.triangular(low, mode, high, draws)
    started = of.n * paths.distinct_B / paths.n_B
    with np.errstate(divide="ignore"):
        growth = np.log2(ideas_B / started)
    ahead = np.where(np.isfinite(growth), np.maximum(growth, 0.0), np.inf)
    octaves = paths.octaves_for(ahead, blend)
    middle = np.median(ahead)
    slope = paths.octaves_for(np.full(draws, middle), blend)
    return np.where(growth < 0, of.n * ideas_B / started, of.n * np.exp2(octaves)), slope

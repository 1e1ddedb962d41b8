"""Tail loops: how well a memory answers in a heavy-tailed world, and what becomes of that when it teaches itself.

The "Hutter LLM" of Dohmatob et al. 2024 (A Tale of Tails): types have p_i = A·i^−β, and a learner answers the types
that it has seen. Its error is the mass that it has not seen.
"""

from __future__ import annotations

import math

import numpy as np

from proofset.errors import InputError
from proofset.measuring.findings import Doubles, Finding, Trial, curve
from proofset.measuring.gaussian_loops import GENERATION
from proofset.measuring.token_loops import tail_scale

TERMS = 1_000_000
"""Types whose mass is added up one by one; the rest by the zeta function."""
ERROR = "error"


def missing_mass(records: float, exponent: float) -> float:
    """Mass that ``records`` draws leave unseen, Σ p_i (1−p_i)^T over endlessly many types, for β = ``exponent`` > 1.

    Terms beyond the millionth are Σ p_i − T Σ p_i², by the zeta function. Cutting the sum there instead is 0.8 % low at
    β = 1.5 and T = 1,000.
    """
    from scipy.special import zeta

    _check(exponent)
    scale = 1 / float(zeta(exponent))
    p: Doubles = scale * np.arange(1, TERMS + 1, dtype=np.float64) ** -exponent
    rest = scale * float(zeta(exponent, TERMS + 1)) - records * scale**2 * float(zeta(2 * exponent, TERMS + 1))
    return float((p * np.exp(records * np.log1p(-p))).sum()) + rest


def missing_mass_law(records: float, exponent: float) -> float:
    """The same for many records: (A^{1/β}/β) Γ(1−1/β) T^{−(1−1/β)}. The power is theorem 2.1, the constant derived."""
    from scipy.special import zeta

    _check(exponent)
    root = float(zeta(exponent)) ** (-1 / exponent)
    return float(root / exponent * math.gamma(1 - 1 / exponent) * records ** -(1 - 1 / exponent))


def cut_floor(kept: int, exponent: float) -> float:
    """Error that stays however many records there are when only the ``kept`` most frequent types are ever said.

    About A·k^{1−β}/(β−1); here exactly, Σ_{i>k} p_i. A low temperature or top-p does this.
    """
    from scipy.special import zeta

    _check(exponent)
    return float(zeta(exponent, kept + 1) / zeta(exponent))


def cut_floor_law(kept: int, exponent: float) -> float:
    """The same for many types: A·k^{1−β}/(β−1)."""
    from scipy.special import zeta

    _check(exponent)
    return float(kept ** (1 - exponent) / ((exponent - 1) * zeta(exponent)))


def taught_error(records: float, exponent: float, generations: int) -> float:
    """Error after ``generations`` of learning from one's own ``records`` answers: that of T·s_m organic records.

    So it grows only as (m/2)^{1−1/β}. Derived, for p_i small: the most frequent types never die.
    """
    return missing_mass(records * tail_scale(generations), exponent)


def taught_runs(runs: int, records: int, exponent: float, generations: int, rng: np.random.Generator) -> Doubles:
    """Errors ``(runs, generations + 1)`` of learners that draw from the endless law and then from their own sample."""
    from scipy.special import zeta

    types = rng.zipf(exponent, (runs, records)).astype(np.float64)
    errors = np.empty((generations + 1, runs))
    for g in range(generations + 1):
        if g:
            types = np.take_along_axis(types, rng.integers(0, records, (runs, records)), axis=1)
        types = np.sort(types, axis=1)
        first = np.ones(types.shape, dtype=np.bool_)
        first[:, 1:] = types[:, 1:] != types[:, :-1]
        errors[g] = 1 - np.where(first, types**-exponent, 0.0).sum(axis=1) / float(zeta(exponent))
    return errors.T


def heavy_tail(effort: float, seed: int) -> Finding:
    """C-14: the error falls as a power of the records; cut tails leave a floor, and self-teaching loses tail only."""
    trial, exponent, records, last, kept = Trial(effort, seed), 1.5, 1_000, 11, 100
    runs = trial.runs(200)
    errors = taught_runs(runs, records, exponent, last, trial.rng(14))
    means = errors.mean(axis=0)
    exact, law = missing_mass(records, exponent), missing_mass_law(records, exponent)
    floor = cut_floor_law(kept, exponent)
    taught = [taught_error(records, exponent, m) for m in range(last + 1)]
    growth, sizes = taught[-1] / exact, (100, 300, 1_000, 3_000, 10_000)
    law_path = [missing_mass_law(size, exponent) for size in sizes]
    seen = [
        taught_runs(max(50, runs // 4), size, exponent, 0, trial.rng(14, size)).mean() if size != records else means[0]
        for size in sizes
    ]
    return Finding(
        id="C-14",
        title="A heavy-tailed world (Hutter LLM)",
        words="Teaching itself costs a memory its tail alone: after g rounds M records are worth 2M/g organic ones.",
        source="Dohmatob et al. 2024, theorem 2.1; constants and loop derived",
        runs=runs,
        outcomes=(
            trial.near("error of 1,000 records: law against exact sum", law, exact, 0.03 * law),
            trial.near("error of 1,000 records", exact, means[0], 0.03 * exact),
            trial.near("floor of the 100 most frequent types", floor, cut_floor(kept, exponent), 0.03 * floor),
            trial.near("error × after 11 generations", growth, means[-1] / means[0], 0.05 * growth),
        ),
        curves=(
            curve("self-taught", range(last + 1), taught, means, labels=(GENERATION, ERROR)),
            curve("organic records", sizes, law_path, seen, labels=("records", ERROR)),
        ),
    )


def _check(exponent: float) -> None:
    if exponent <= 1:
        raise InputError(f"an exponent of {exponent}", hint="probabilities i^-β have a finite sum for β above 1 alone")

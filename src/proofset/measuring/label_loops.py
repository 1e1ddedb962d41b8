"""Label loops: a linear model that is trained on labels which the model before it gave.

Rows are standard normal, X of shape (T, d), so XᵀX is a Wishart matrix and is drawn as such (Bartlett 1933): given X,
the error of least squares is normal with covariance σ²(XᵀX)⁻¹, whatever T.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from proofset.errors import InputError
from proofset.measuring.findings import Doubles, Finding, Trial, curve
from proofset.measuring.gaussian_loops import GENERATION

Workflow = Literal["replace", "accumulate", "accumulate new rows"]
ROWS, COLUMNS, LAST = 100, 20, 10


def regression_risk(workflow: Workflow, rows: int, columns: int, generations: int, *, noise: float = 1.0) -> float:
    """Mean squared error of the weights after ``generations`` trainings on labels of the model before.

    "replace": base·n with base = σ²d/(T−d−1), for new rows or the same. "accumulate": base·Σ_{i≤n} 1/i², at most π²/6
    of base, exact when every generation labels the same rows anew (Gerstgrasser et al. 2024; Dey and Donoho 2024). With
    new rows in each generation it is a little less: σ²d Σ_{i≤n} 1/(i(iT−d−1)), derived from E S⁻¹AᵢS⁻¹ = E S⁻¹/n for
    exchangeable Aᵢ of sum S.
    """
    if rows <= columns + 1:
        raise InputError(f"{rows} rows for {columns} columns", hint="give at least two rows more than columns")
    i = np.arange(1, generations + 1, dtype=np.float64)
    parts = {
        "replace": np.full(generations, 1 / (rows - columns - 1)),
        "accumulate": 1 / (i * i * (rows - columns - 1)),
        "accumulate new rows": 1 / (i * (i * rows - columns - 1)),
    }
    return noise**2 * columns * float(parts[workflow].sum())


def least_efficiency() -> float:
    """How much of the organic data's worth endless accumulation keeps at least: 6/π², 61 %. Dey and Donoho 2024."""
    return 6 / math.pi**2


def mixed_risk(rows: int, columns: int, share: float, *, gap: float = 1.0, noise: float = 1.0) -> float:
    """Mean squared error when a ``share`` p₂ of the rows has labels of a model at distance c = ``gap``.

    c²[p₂² + p₁p₂ d/n] + σ²d/(n−d−1), for d far below n. Its floor p₂²c² stays however many rows there are. Derived for
    the setting of Dohmatob et al. 2024 (Strong Model Collapse), who show that one part in a thousand is enough.
    """
    systematic = share**2 + share * (1 - share) * columns / rows
    return gap**2 * systematic + noise**2 * columns / (rows - columns - 1)


def regression_runs(
    workflow: Workflow, runs: int, rows: int, columns: int, generations: int, rng: np.random.Generator
) -> Doubles:
    """Squared errors of the weights, ``(runs, generations)``, with label noise 1.

    Column 0 is trained on organic labels. In all three workflows the new weights are the old ones plus S⁻¹Xᵀε: S is XᵀX
    of the new rows, n times that of the same rows, or the sum over all rows so far.
    """
    weights, squares = np.zeros((runs, columns)), np.empty((generations, runs))
    root = wishart_roots(runs, rows, columns, rng)
    total = np.zeros((runs, columns, columns))
    for n in range(1, generations + 1):
        if n > 1 and workflow != "accumulate":
            root = wishart_roots(runs, rows, columns, rng)
        own = root @ root.transpose(0, 2, 1)
        total = own if workflow == "replace" else total + own
        pull = root @ rng.standard_normal((runs, columns, 1))
        weights = weights + np.linalg.solve(total, pull)[:, :, 0]
        squares[n - 1] = (weights**2).sum(axis=1)
    return squares.T


def wishart_roots(runs: int, rows: int, columns: int, rng: np.random.Generator) -> Doubles:
    """Lower triangular L of shape ``(runs, columns, columns)``: LLᵀ is XᵀX of ``rows`` standard normal rows."""
    roots: Doubles = np.tril(rng.standard_normal((runs, columns, columns)), -1)
    diagonal = np.arange(columns)
    roots[:, diagonal, diagonal] = np.sqrt(rng.chisquare(rows - diagonal, (runs, columns)))
    return roots


def relabelled(effort: float, seed: int) -> Finding:
    """C-09: errors of labels add up when data is replaced, and are bounded when it accumulates."""
    trial = Trial(effort, seed)
    runs = trial.runs(600)
    base = regression_risk("replace", ROWS, COLUMNS, 1)
    first = regression_runs("replace", runs * 10, ROWS, COLUMNS, 1, trial.rng(9, 9))
    outcomes = [trial.near("error of the first model", base, first.mean(), 0.065 * base)]
    curves = []
    workflows: tuple[Workflow, ...] = ("replace", "accumulate", "accumulate new rows")
    for number, workflow in enumerate(workflows):
        seen = regression_runs(workflow, runs, ROWS, COLUMNS, LAST, trial.rng(9, number)).mean(axis=0) / base
        wanted = [regression_risk(workflow, ROWS, COLUMNS, n) / base for n in range(1, LAST + 1)]
        outcomes.append(trial.near(f"{workflow}: error × of the first", wanted[-1], seen[-1], 0.065 * wanted[-1]))
        curves.append(curve(workflow, range(1, LAST + 1), wanted, seen, labels=(GENERATION, "error × of the first")))
    return Finding(
        id="C-09",
        title="Regression on labels of the model before",
        words="Replace the data and errors add up generation by generation; keep it and they stay below 1.65 times.",
        source="Gerstgrasser et al. 2024; Dey and Donoho 2024; new rows derived",
        runs=runs,
        outcomes=tuple(outcomes),
        curves=tuple(curves),
    )


def strong_collapse(effort: float, seed: int) -> Finding:
    """C-10: a small share of labels from a model that is off leaves an error that more data does not remove."""
    trial, rows, noise = Trial(effort, seed), 2000, 0.5
    runs = trial.runs(800)
    shares = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
    wanted = [mixed_risk(rows, COLUMNS, share, noise=noise) for share in shares]
    seen = [_mixed_error(runs, rows, share, noise, trial.rng(10, number)).mean() for number, share in enumerate(shares)]
    return Finding(
        id="C-10",
        title="Strong collapse: a share of labels from a model that is off",
        words="A share p of labels from a wrong model leaves p² of its error, however much good data stands beside it.",
        source="setting of Dohmatob et al. 2024; risk derived",
        runs=runs,
        outcomes=tuple(
            trial.near(f"error, {shares[at]:.0%} synthetic labels", wanted[at], seen[at], 0.1 * wanted[at])
            for at in (3, 0)
        ),
        curves=(curve("error", shares, wanted, seen, labels=("share of synthetic labels", "squared error")),),
    )


def _mixed_error(runs: int, rows: int, share: float, noise: float, rng: np.random.Generator) -> Doubles:
    """Squared errors (runs,) of least squares when a share of the rows is labelled by weights at distance 1."""
    made = round(rows * share)
    shift = rng.standard_normal((runs, COLUMNS, 1))
    shift /= np.linalg.norm(shift, axis=1, keepdims=True)
    roots = wishart_roots(runs, rows - made, COLUMNS, rng), wishart_roots(runs, made, COLUMNS, rng)
    organic, other = (root @ root.transpose(0, 2, 1) for root in roots)
    pull = noise * sum(root @ rng.standard_normal((runs, COLUMNS, 1)) for root in roots)
    errors = np.linalg.solve(organic + other, other @ shift + pull)[:, :, 0]
    return np.asarray((errors**2).sum(axis=1), dtype=np.float64)

"""Verified loops: a verifier that keeps some of what was made can stop a collapse, if it knows enough.

Two verifiers: one that keeps right labels more often than wrong ones, and one that keeps a draw the more readily the
more organic it is.
"""

from __future__ import annotations

import math

import numpy as np

from proofset.errors import InputError
from proofset.measuring.findings import Doubles, Finding, Outcome, Trial, curve
from proofset.measuring.gaussian_loops import GENERATION, VARIANCE

DISTANCE = 2.0
"""Half the distance of the two classes in the label experiment, in standard deviations of a direction."""


def break_even(keep_right: float, keep_wrong: float) -> float:
    """Share of wrong labels below which what a verifier keeps can be learned from: φ/(φ + ψ).

    φ and ψ are the chances that it keeps a right and a wrong label: learnable if and only if pψ < (1−p)φ. Feng et al.
    2024 name the threshold and its sharpness; the form is derived for mistakes that do not depend on the record. A
    verifier that errs where the generator errs is worth less than this says.
    """
    if not (0 <= keep_right <= 1 and 0 <= keep_wrong <= 1 and keep_right + keep_wrong > 0):
        raise InputError(f"chances {keep_right} and {keep_wrong} to be kept", hint="give two chances in [0, 1], not 0")
    return keep_right / (keep_right + keep_wrong)


def tilt_plateau(bias: float, strength: float) -> float:
    """Variance on which a replace loop settles under decoder bias λ and a verifier of strength s in [0, 1].

    The verifier accepts a draw with chance ∝ (p/q)^s, p the organic density and q the generator's:
    (1 − (1−s)/λ)/s where s > 1 − λ, else 0. Derived for endless batches: sampling loss comes on top.
    """
    return max(0.0, (1 - (1 - strength) / bias) / strength) if strength > 0 else float(bias == 1)


def tilt_path(bias: float, strength: float, generations: int) -> Doubles:
    """Variances of that loop, ``(generations + 1,)``: 1/V' = (1−s)/(λV) + s, since tilts of normal laws are normal."""
    variances = [1.0]
    for _ in range(generations):
        variances.append(1 / ((1 - strength) / (bias * variances[-1]) + strength))
    return np.array(variances)


def verified_accuracy(
    runs: int, rows: int, columns: int, wrong: float, keep: tuple[float, float], rng: np.random.Generator
) -> Doubles:
    """Accuracies ``(runs,)`` over Bayes accuracy of the mean classifier that learns from the labels a verifier kept.

    Rows are x = yμ + z in ``columns`` directions, |μ| = 2; a share ``wrong`` of labels is flipped. Each kept row adds
    ±μ + z to the classifier, so the numbers of right and wrong rows kept say all.
    """
    flipped = rng.binomial(rows, wrong, runs)
    right, bad = rng.binomial(rows - flipped, keep[0]), rng.binomial(flipped, keep[1])
    weights = np.sqrt(right + bad)[:, None] * rng.standard_normal((runs, columns))
    weights[:, 0] += DISTANCE * (right - bad)
    margins = DISTANCE * weights[:, 0] / np.linalg.norm(weights, axis=1)
    return np.array([_normal_share(margin) for margin in margins]) / _normal_share(DISTANCE)


def verified_labels(effort: float, seed: int) -> Finding:
    """C-15: what a verifier keeps is learnable up to a share of wrong labels, and no further."""
    trial, rows, columns = Trial(effort, seed), 20_000, 50
    runs = trial.runs(20)
    outcomes, curves = [], []
    for number, keep in enumerate(((0.9, 0.3), (0.9, 0.1))):
        limit = break_even(*keep)
        shares = np.linspace(limit - 0.2, min(limit + 0.2, 1.0), 81)
        seen = np.array(
            [
                verified_accuracy(runs, rows, columns, share, keep, trial.rng(15, number, at)).mean()
                for at, share in enumerate(shares)
            ]
        )
        name = f"φ = {keep[0]}, ψ = {keep[1]}"
        best, worst = 1.0, (1 - _normal_share(DISTANCE)) / _normal_share(DISTANCE)
        outcomes += [
            trial.near(f"{name}: share of wrong labels at half accuracy", limit, _crossing(shares, seen), 0.02),
            trial.near(f"{name}: accuracy 0.2 below the threshold", best, seen[0], 0.02),
            trial.near(f"{name}: accuracy well above it", worst, seen[-1], 0.05 - worst),
        ]
        step = np.where(shares < limit, best, worst)
        curves.append(curve(name, shares, step, seen, labels=("share of wrong labels", "accuracy / best accuracy")))
    return Finding(
        id="C-15",
        title="Verified labels: a sharp threshold",
        words="Below φ/(φ+ψ) wrong labels a verifier makes data fit to learn from; above, it teaches the opposite.",
        source="Feng et al. 2024; threshold derived",
        runs=runs,
        outcomes=tuple(outcomes),
        curves=tuple(curves),
    )


def tilted(effort: float, seed: int) -> Finding:
    """C-16: a verifier must pull harder than the decoder narrows."""
    Trial(effort, seed)  # refuses what the other experiments refuse
    last = 400
    cases = ((0.9, 0.25), (0.9, 0.5), (0.7, 0.25))
    paths = [tilt_path(bias, strength, last) for bias, strength in cases]
    plateaus = [tilt_plateau(bias, strength) for bias, strength in cases]
    names = [f"λ = {bias}, s = {strength}" for bias, strength in cases]
    return Finding(
        id="C-16",
        title="A verifier against a narrowing decoder",
        words="A verifier saves a loop only if its strength exceeds what the decoder takes: s > 1 − λ.",
        source="derived",
        runs=1,
        outcomes=tuple(
            Outcome(name=f"plateau, {name}", expected=plateau, measured=float(path[-1]), tolerance=1e-3)
            for name, plateau, path in zip(names, plateaus, paths, strict=True)
        ),
        curves=tuple(
            curve(name, range(61), [plateau] * 61, path[:61], labels=(GENERATION, VARIANCE))
            for name, plateau, path in zip(names, plateaus, paths, strict=True)
        ),
    )


def _normal_share(margin: float) -> float:
    return 0.5 * math.erfc(-margin / math.sqrt(2))


def _crossing(shares: Doubles, accuracies: Doubles) -> float:
    """Where a falling curve first goes below a half, between its points; NaN where it never does."""
    below = np.flatnonzero(accuracies < 0.5)
    if not below.size or not below[0]:
        return math.nan
    at = below[0]
    high, low = accuracies[at - 1], accuracies[at]
    return float(shares[at - 1] + (shares[at] - shares[at - 1]) * (high - 0.5) / (high - low))

"""Anchored loops: organic records stay in every generation's training set, the same ones or new ones.

Each generation trains on N records, of which a share α is organic and β = 1 − α comes from the generation before. All
closed forms are in units of the organic variance.
"""

from __future__ import annotations

import math

import numpy as np

from proofset.errors import InputError
from proofset.measuring.findings import Curve, Doubles, Finding, Trial, curve
from proofset.measuring.gaussian_loops import GENERATION, VARIANCE, batch, pooled

SIZE = 1000
"""Records a generation in the experiments."""


def anchored_plateau(size: int, share: float, *, bias: float = 1.0) -> float:
    """Variance on which a loop settles that always trains on the same αN organic records.

    (1 − 1/αN) / [1 + (1−α)/(α(2−α)N)]; with decoder bias λ: α(1 − 1/αN) / [1 − βλ + λβ/(N(1+β))]. Derived for the
    "synthetic augmentation loop" of Alemohammad et al. 2023 (MAD). It speaks of variance alone: rare things are not
    protected by a small anchor.
    """
    organic, _ = _parts(size, share)
    rest = 1 - share
    return share * (1 - 1 / organic) / (1 - rest * bias + bias * rest / (size * (1 + rest)))


def anchored_path(size: int, share: float, generations: int, *, bias: float = 1.0) -> Doubles:
    """Mean variance of generations 0 to ``generations`` of the anchored loop, exactly; generation 0 is the anchor.

    With x the squared distance of the pool's mean from the anchor's: V' = α s² + λ(β − 1/N)V + αβ(x + λV/βN) and
    x' = β²(x + λV/βN). Derived.
    """
    organic, made = _parts(size, share)
    rest = 1 - share
    anchor = 1 - 1 / organic
    kept, apart = [anchor], 0.0
    for _ in range(generations):
        moved = apart + bias * kept[-1] / made
        kept.append(share * anchor + bias * (rest - 1 / size) * kept[-1] + share * rest * moved)
        apart = rest**2 * moved
    return np.array(kept)


def fresh_plateau(size: int, share: float, *, bias: float = 1.0) -> float:
    """Variance on which a loop settles that gets αN new organic records every generation.

    1 − 1/(N(1−β²) + β); with decoder bias λ: [α(1+β) − α/N] / [(1+β)(1−βλ) + βλ/N]. Derived for the "fresh data loop"
    of Alemohammad et al. 2023 (MAD).
    """
    _parts(size, share)
    rest = 1 - share
    return (share * (1 + rest) - share / size) / ((1 + rest) * (1 - rest * bias) + rest * bias / size)


def fresh_path(size: int, share: float, generations: int, *, bias: float = 1.0) -> Doubles:
    """Mean variance of generations 0 to ``generations`` of the fresh-data loop, exactly; 0 is its first organic batch.

    With q the mean squared error of the mean: q' = α/N + β²q + βλV/N and V' + q' = α + β(λV + q). Derived.
    """
    organic, _ = _parts(size, share)
    rest, kept, error = 1 - share, [1 - 1 / organic], 1 / organic
    for _ in range(generations):
        moment = share + rest * (bias * kept[-1] + error)
        error = share / size + rest**2 * error + rest * bias * kept[-1] / size
        kept.append(moment - error)
    return np.array(kept)


def effective_size(organic: int, made: int, *, bias: float = 1.0) -> float:
    """Organic records that lose as little variance as a fresh-data loop of ``organic`` and ``made`` records does.

    1/(1 − V∞), which is n_e = n_r(1+β) + β at λ = 1, at most 2 n_r + 1: unbiased synthetic records at most double the
    organic ones. Below λ = 1 the lost variance has a floor, so that many synthetic records are worth less than none.
    Derived; the notion is MAD's, equation 4, with the loss of variance for a distance.
    """
    size = organic + made
    return 1 / (1 - fresh_plateau(size, organic / size, bias=bias))


def best_weight(ratio: float) -> float:
    """Weight of the organic mean that makes an endless fresh-data loop most exact: (√(r² + 4r) − r)/2.

    r is organic over synthetic records; 0.618 at 1 : 1. He, Xu and Cheng 2025.
    """
    return (math.sqrt(ratio**2 + 4 * ratio) - ratio) / 2


def weighted_risk(weight: float, ratio: float) -> float:
    """Mean squared error of that loop times the organic records a generation: [w² + (1−w)² r] / (w(2 − w)).

    It is ``best_weight(ratio)`` itself at the best weight, and 1 where nothing synthetic is used. Derived.
    """
    return (weight**2 + (1 - weight) ** 2 * ratio) / (weight * (2 - weight))


def contraction(ratio: float) -> float:
    """Share of a shift of the mean that a generation hands on: β = λ/(1+λ), λ synthetic over organic records.

    Below 1 for every λ, so the Gaussian loop is always stable. The general condition of Bertrand et al. 2023 is
    sufficient only and asks for a small λ.
    """
    return ratio / (1 + ratio)


def anchored_runs(
    runs: int,
    size: int,
    share: float,
    generations: int,
    rng: np.random.Generator,
    *,
    bias: float = 1.0,
    shift: float = 0.0,
) -> tuple[Doubles, Doubles]:
    """Means and variances, ``(runs, generations + 1)`` each, of a loop with a fixed anchor.

    Column 0 is the first model: fitted to the anchor, and off it by ``shift``.
    """
    organic, made = _parts(size, share)
    means, variances = np.empty((generations + 1, runs)), np.empty((generations + 1, runs))
    anchor = batch(0.0, 1.0, organic, rng, runs)
    means[0], variances[0] = anchor[0] + shift, anchor[1]
    for g in range(generations):
        drawn = batch(means[g], bias * variances[g], made, rng, runs)
        means[g + 1], variances[g + 1] = pooled(share, *anchor, *drawn)
    return means.T, variances.T


def fresh_runs(
    runs: int, size: int, share: float, generations: int, rng: np.random.Generator, *, bias: float = 1.0
) -> tuple[Doubles, Doubles]:
    """The same with new organic records in every generation."""
    organic, made = _parts(size, share)
    means, variances = np.empty((generations + 1, runs)), np.empty((generations + 1, runs))
    means[0], variances[0] = batch(0.0, 1.0, organic, rng, runs)
    for g in range(generations):
        drawn = batch(means[g], bias * variances[g], made, rng, runs)
        means[g + 1], variances[g + 1] = pooled(share, *batch(0.0, 1.0, organic, rng, runs), *drawn)
    return means.T, variances.T


def fixed_anchor(effort: float, seed: int) -> Finding:
    """C-07: with the same organic records in every generation the variance settles, and close to 1."""
    trial = Trial(effort, seed)
    runs = trial.runs(8_000)
    outcomes, curves = [], []
    for number, (share, tolerance) in enumerate(((0.01, 0.022), (0.05, 0.0108), (0.1, 0.0076))):
        last = _settled(share)
        variances = anchored_runs(runs, SIZE, share, last, trial.rng(7, number))[1]
        name = f"plateau of the variance, anchor {share:.0%}"
        outcomes.append(trial.near(name, anchored_plateau(SIZE, share), variances[:, -1].mean(), tolerance))
        path = anchored_path(SIZE, share, last)
        curves.append(_thinned(f"anchor {share:.0%}", path, variances.mean(axis=0)))
    biased = anchored_runs(runs, SIZE, 0.1, _settled(0.1), trial.rng(7, 9), bias=0.9)[1]
    outcomes.append(trial.mean("the same, anchor 10%, λ = 0.9", anchored_plateau(SIZE, 0.1, bias=0.9), biased[:, -1]))
    curves.append(
        _thinned("anchor 10%, λ = 0.9", anchored_path(SIZE, 0.1, _settled(0.1), bias=0.9), biased.mean(axis=0))
    )
    return Finding(
        id="C-07",
        title="A fixed share of the same organic records",
        words="A few percent of kept organic records hold the variance; a narrow decoder halves it in spite of them.",
        source="loop of Alemohammad et al. 2023; plateau derived",
        runs=runs,
        outcomes=tuple(outcomes),
        curves=tuple(curves),
    )


def fresh_data(effort: float, seed: int) -> Finding:
    """C-08: with new organic records in every generation, synthetic ones are worth at most as many again."""
    trial = Trial(effort, seed)
    runs = trial.runs(8_000)
    outcomes, curves = [], []
    for number, (share, bias) in enumerate(((0.01, 1.0), (0.1, 1.0), (0.1, 0.9))):
        variances = fresh_runs(runs, SIZE, share, _settled(share), trial.rng(8, number), bias=bias)[1]
        name = f"plateau of the variance, fresh {share:.0%}" + (f", λ = {bias}" if bias < 1 else "")
        plateau, last = fresh_plateau(SIZE, share, bias=bias), variances[:, -1]
        outcomes.append(trial.mean(name, plateau, last) if bias < 1 else trial.near(name, plateau, last.mean(), 0.014))
        path = fresh_path(SIZE, share, _settled(share), bias=bias)
        curves.append(_thinned(name.removeprefix("plateau of the variance, "), path, variances.mean(axis=0)))
    return Finding(
        id="C-08",
        title="New organic records in every generation",
        words="Unbiased synthetic records at most double what fresh organic ones are worth; biased ones take away.",
        source="loop and effective size of Alemohammad et al. 2023; plateau derived",
        runs=runs,
        outcomes=tuple(outcomes),
        curves=tuple(curves),
    )


def optimal_weight(effort: float, seed: int) -> Finding:
    """C-11: organic records deserve more weight than their number gives them."""
    trial = Trial(effort, seed)
    runs = trial.runs(20_000)
    cases = [(best_weight(ratio), ratio) for ratio in (1.0, 0.5, 2.0)]
    outcomes = []
    for number, (weight, ratio) in enumerate(cases):
        risk = _weighted(runs, weight, ratio, trial.rng(11, number))
        outcomes.append(trial.near(f"risk × n at w* = {weight:.4f}, r = {ratio:g}", weight, risk, 0.05 * weight))
    even = _weighted(runs, 0.5, 1.0, trial.rng(11, 9))
    outcomes.append(trial.near("risk × n, pooled, r = 1", weighted_risk(0.5, 1.0), even, 0.05 * 2 / 3))
    weights = np.arange(0.2, 1.01, 0.1)
    seen = [_weighted(runs // 4, weight, 1.0, trial.rng(11, 10 + n)) for n, weight in enumerate(weights)]
    wanted = [weighted_risk(weight, 1.0) for weight in weights]
    return Finding(
        id="C-11",
        title="How much an organic record should weigh",
        words="At equal numbers give organic records 62 % of the weight: a plain pool is 8 % worse in the long run.",
        source="He, Xu and Cheng 2025; risk derived",
        runs=runs,
        outcomes=tuple(outcomes),
        curves=(curve("risk at r = 1", weights, wanted, seen, labels=("weight of organic records", "risk × n")),),
    )


def stability(effort: float, seed: int) -> Finding:
    """C-19: a shift of the first model is forgotten by the factor β a generation."""
    trial, ratio, last = Trial(effort, seed), 4.0, 20
    runs = trial.runs(2_000)
    share, rest = 1 / (1 + ratio), contraction(ratio)
    # Both loops get the same chance, so that hardly anything but the shift is between them.
    shifted, plain = (anchored_runs(runs, SIZE, share, last, trial.rng(19), shift=shift)[0] for shift in (1.0, 0.0))
    left = shifted - plain
    path = [rest**t for t in range(last + 1)]
    return Finding(
        id="C-19",
        title="Stability: a shifted model in an anchored loop",
        words="With any organic share a shift dies out, by β a generation: the smaller the share, the longer it stays.",
        source="Bertrand et al. 2023 (setting); contraction derived",
        runs=runs,
        outcomes=(
            trial.near("shift left after 1 generation, least of all runs", rest, left[:, 1].min(), 1e-9),
            trial.near("shift left after 1 generation, most of all runs", rest, left[:, 1].max(), 1e-9),
            *(trial.mean(f"mean shift left after {t} generations", path[t], left[:, t]) for t in (5, last)),
        ),
        curves=(curve("shift", range(last + 1), path, left.mean(axis=0), labels=(GENERATION, "shift of the mean")),),
    )


def _weighted(runs: int, weight: float, ratio: float, rng: np.random.Generator) -> float:
    """Risk times n of the mean in a settled loop: w · organic mean + (1 − w) · mean of draws around the last one."""
    means = np.zeros(runs)
    for _ in range(math.ceil(math.log(1e-4) / math.log1p(-min(weight, 0.99)) / 2)):
        drawn = means + math.sqrt(ratio) * rng.standard_normal(runs)
        means = weight * rng.standard_normal(runs) + (1 - weight) * drawn
    return float((means**2).mean())


def _settled(share: float) -> int:
    """Generations after which less than a thousandth of the way to the plateau is left."""
    return math.ceil(math.log(1e-3) / math.log1p(-share))


def _thinned(name: str, expected: Doubles, measured: Doubles) -> Curve:
    """A curve of at most about 60 points."""
    step = max(1, len(expected) // 60)
    at = range(0, len(expected), step)
    return curve(name, at, expected[::step], measured[::step], labels=(GENERATION, VARIANCE))


def _parts(size: int, share: float) -> tuple[int, int]:
    """Organic and synthetic records; both need two for a variance."""
    organic = round(size * share)
    if not math.isclose(organic, size * share, rel_tol=1e-9) or organic < 2 or size - organic < 2:
        raise InputError(f"a share of {share} of {size} records", hint="give a share of 2 or more whole records a side")
    return organic, size - organic

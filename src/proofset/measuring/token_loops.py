"""Token loops: a discrete law that is estimated from a sample of itself, again and again.

Any word, mode or class that is not drawn once is gone for ever, so rare ones go first, long before variance does. The
diversity 1 − Σp² is the variance of one-hot records, and obeys the same law as a Gaussian loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring.findings import Doubles, Finding, Trial, curve
from proofset.measuring.gaussian_loops import GENERATION

SIZE, TYPES = 200, 500
REPEAT = "Σp²: chance that two draws are equal"


def zipf(types: int, exponent: float = 1.0) -> Doubles:
    """Probabilities ``(types,)`` proportional to rank^−exponent."""
    weights: Doubles = np.arange(1, types + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum())


def repeat_chance(start: float, size: int, generations: int) -> float:
    """Mean Σp² after ``generations`` of replacing, from S₀ = ``start``: 1 − (1−1/n)^m (1−S₀). Seddik et al. 2024."""
    return 1 - (1 - 1 / size) ** generations * (1 - start)


def collapsed_bounds(start: float, size: int, generations: int, types: int) -> tuple[float, float]:
    """Bounds of the chance that one type alone is left after m ≥ 1 generations.

    1 − n(1−S₀)(1−1/n)^m ≤ ρ_m ≤ 1 − (1−S₀)(1−1/n)^m/(1−1/s̃), with s̃ = min(types, n), the most types that a sample
    can hold. Seddik et al. 2024, theorem 1.
    """
    left = 1 - repeat_chance(start, size, generations)
    return max(0.0, 1 - size * left), 1 - left / (1 - 1 / min(types, size))


def collapse_time_bounds(start: float, size: int, types: int) -> tuple[float, float]:
    """Bounds of the mean generation at which one type alone is left: 1 + (1−S₀)(n−1)/(1−1/s̃) and 1 + (1−S₀)n(n−1)."""
    left = 1 - start
    return 1 + left * (size - 1) / (1 - 1 / min(types, size)), 1 + left * size * (size - 1)


def tail_scale(generations: int) -> float:
    """s_g: s₀ = 1, s_{k+1} = 1 − exp(−s_k), about 2/g.

    After g replacements a corpus of M records knows as much of the tail as M·s_g organic records do. Derived: the
    survival of a rare type is that of a branching process with Poisson(1) children.
    """
    scale = 1.0
    for _ in range(generations):
        scale = -math.expm1(-scale)
    return scale


def survival(size: int, shares: Sequence[float] | Doubles, generations: int) -> Doubles:
    """Chances that types of probabilities ``shares (k,)`` are in generation m ≥ 1, exactly, by the binomial matrix.

    Generation 1 is drawn from the organic law. Takes (n+1)² numbers.
    """
    from scipy.stats import binom

    if generations < 1:
        raise InputError(f"survival to generation {generations}", hint="generation 1 is the first sample")
    dead = np.zeros(size + 1)
    dead[0] = 1.0
    for _ in range(generations - 1):
        dead = _binomials(size) @ dead
    return np.asarray(1 - binom.pmf(np.arange(size + 1), size, np.asarray(shares)[:, None]) @ dead)


def survival_branching(size: int, share: float, generations: int) -> float:
    """Nearly the same for a rare type in a large sample: 1 − exp(−np · s_{m−1}). Derived."""
    return -math.expm1(-size * share * tail_scale(generations - 1))


def survival_bound(size: int, share: float, generations: int) -> float:
    """Less than it: 1 − exp(−np/m). Suresh et al. 2024."""
    return -math.expm1(-size * share / generations)


def anchored_repeat(start: float, organic: int, made: int, generations: int | None = None) -> float:
    """Mean Σp² when N organic records stay and n synthetic ones are drawn anew; None for endless generations.

    S₁ = S₀(1−1/N) + 1/N and S_{m+1} = (1−a²)S₁ + a²[(1−1/n)S_m + 1/n], a = n/(N+n), which settles on
    [(1−a²)S₁ + a²/n]/[1 − a²(1−1/n)] at the rate of Seddik et al. 2024, theorem 2. Derived; 1 − S∞ is the plateau of
    the Gaussian loop with a fixed anchor, times 1 − S₀.
    """
    first = start * (1 - 1 / organic) + 1 / organic
    squared = (made / (organic + made)) ** 2
    settled = ((1 - squared) * first + squared / made) / (1 - squared * (1 - 1 / made))
    if generations is None:
        return settled
    return settled + (first - settled) * (squared * (1 - 1 / made)) ** (generations - 1)


def drift(start: float, organic: int, made: int) -> float:
    """Mean squared distance Σ(p − r)² of a settled loop from its organic records r: (1 − S₁)/(N²/n + 2N + 1).

    That is S∞ − S₁. So the L1 distance is on average at most √(s · drift) for s types: below √(sn)/N for few synthetic
    records, and below √(s/(2N+1)) for however many. The setting of Seddik et al. 2024, theorem 3; derived.
    """
    first = start * (1 - 1 / organic) + 1 / organic
    return (1 - first) / (organic**2 / made + 2 * organic + 1)


def replace_tokens(
    start: Doubles, runs: int, size: int, generations: int, rng: np.random.Generator
) -> Iterator[Doubles]:
    """Laws ``(runs, types)`` of generations 1, 2, …, each estimated from ``size`` draws of the one before."""
    drawn = rng.choice(len(start), (runs, size), p=start)
    for g in range(generations):
        if g:
            drawn = np.take_along_axis(drawn, rng.integers(0, size, (runs, size)), axis=1)
        yield _tallied(drawn, len(start)) / size


def anchored_tokens(
    start: Doubles, runs: int, organic: int, made: int, generations: int, rng: np.random.Generator
) -> Iterator[Doubles]:
    """The same for loops that keep ``organic`` records and draw ``made`` anew; generation 1 is the organic records."""
    kept = pool = rng.choice(len(start), (runs, organic), p=start)
    for g in range(generations):
        if g:
            drawn = np.take_along_axis(pool, rng.integers(0, pool.shape[1], (runs, made)), axis=1)
            pool = np.concatenate([kept, drawn], axis=1)
        yield _tallied(pool, len(start)) / pool.shape[1]


def replace_discrete(effort: float, seed: int) -> Finding:
    """C-12: repeats grow like lost variance does, and types die at a rate that depends on their mass alone."""
    trial, start, last = Trial(effort, seed), zipf(TYPES), 10
    runs = trial.runs(5_000)
    laws = replace_tokens(start, runs, SIZE, last, trial.rng(12))
    moments = [((law**2).sum(axis=1), (law > 0).sum(axis=1, dtype=np.float64)) for law in laws]
    repeats, support = (np.array(values) for values in zip(*moments, strict=True))
    wanted = [repeat_chance(float((start**2).sum()), SIZE, m) for m in range(1, last + 1)]
    alive = [float(survival(SIZE, start, m).sum()) for m in range(1, last + 1)]
    pair = replace_tokens(np.array([0.02, 0.98]), runs, SIZE, 20, trial.rng(12, 1))
    lived = [float((law[:, 0] > 0).mean()) for law in pair]
    kept = [float(survival(SIZE, [0.02], m)[0]) for m in range(1, 21)]
    deaths = _fixations(trial, (0.5, 0.3, 0.2), 20)
    return Finding(
        id="C-12",
        title="A discrete law estimated from its own sample (replace)",
        words="A word, mode or class that one generation does not say is gone for ever, and rare ones go first.",
        source="Seddik et al. 2024, theorem 1; Suresh et al. 2024; survival derived",
        runs=runs,
        outcomes=(
            trial.near("mean Σp², Zipf(500), n = 200, generation 10", wanted[-1], repeats[-1].mean(), 0.0013),
            trial.mean("types alive in generation 10", alive[-1], support[-1]),
            trial.near("a type of 2 % alive in generation 5", kept[4], lived[4], 0.05),
            trial.near("a type of 2 % alive in generation 20", kept[19], lived[19], 0.05),
            *(trial.mean(f"loops of 20 that end in a type of {p:.0%}", p, ended) for p, ended in deaths),
        ),
        curves=(
            curve("repeats", range(1, last + 1), wanted, repeats.mean(axis=1), labels=(GENERATION, REPEAT)),
            curve("types alive", range(1, last + 1), alive, support.mean(axis=1), labels=(GENERATION, "types")),
            curve("survival of 2 %", range(1, 21), kept, lived, labels=(GENERATION, "share of loops")),
        ),
    )


def anchored_discrete(effort: float, seed: int) -> Finding:
    """C-13: kept organic records stop the growth of repeats, however many synthetic ones join them."""
    trial, start, organic, last = Trial(effort, seed), zipf(TYPES), 100, 40
    runs = trial.runs(1_200)
    repeat, outcomes, curves = float((start**2).sum()), [], []
    for number, made in enumerate((100, 900)):
        laws = anchored_tokens(start, runs, organic, made, last, trial.rng(13, number))
        kept, repeats, moved = None, [], np.zeros(runs)
        for law in laws:
            kept = law if kept is None else kept
            repeats.append((law**2).sum(axis=1).mean())
            moved = ((law - kept) ** 2).sum(axis=1)
        settled = anchored_repeat(repeat, organic, made)
        outcomes += [
            trial.near(f"mean Σp², {made} synthetic beside 100", settled, repeats[-1], 0.03 * settled),
            trial.mean(f"squared drift, {made} synthetic", drift(repeat, organic, made), moved),
        ]
        path = [anchored_repeat(repeat, organic, made, m) for m in range(1, last + 1)]
        curves.append(curve(f"{made} synthetic", range(1, last + 1), path, repeats, labels=(GENERATION, REPEAT)))
    return Finding(
        id="C-13",
        title="A discrete law with organic records kept",
        words="Organic records that stay bound the drift for ever, even with any number of synthetic ones beside them.",
        source="Seddik et al. 2024, theorems 2 and 3; plateau and drift derived",
        runs=runs,
        outcomes=tuple(outcomes),
        curves=tuple(curves),
    )


def _fixations(trial: Trial, start: tuple[float, ...], size: int) -> list[tuple[float, Doubles]]:
    """Each probability, and which loops (runs,) have that type alone left: 20·size generations leave no other."""
    runs = trial.runs(5_000)
    laws, rng = np.tile(np.array(start), (runs, 1)), trial.rng(12, 2)
    for _ in range(20 * size):
        laws = rng.multinomial(size, laws) / size
    return [(p, (laws[:, at] == 1).astype(np.float64)) for at, p in enumerate(start)]


def _tallied(drawn: NDArray[np.int64], types: int) -> NDArray[np.int64]:
    """How often each run (runs, n) drew each type: (runs, types)."""
    runs = len(drawn)
    numbers = (drawn + np.arange(runs)[:, None] * types).reshape(-1)
    return np.bincount(numbers, minlength=runs * types).reshape(runs, types)


@lru_cache(maxsize=2)
def _binomials(size: int) -> Doubles:
    """Chance of each number (column) among ``size`` draws of a type that each number (row) of them had."""
    from scipy.stats import binom

    counts = np.arange(size + 1)
    return np.asarray(binom.pmf(counts[None, :], size, counts[:, None] / size))

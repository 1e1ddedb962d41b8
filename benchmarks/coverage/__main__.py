"""``python -m benchmarks.coverage [--quick] [--json]``: how often nominal 95 % intervals hold a known truth.

Worlds whose truth is known: a Gaussian mixture (16 dimensions, 20 modes) for the quotient and for Dimensional Mode
Collapse, samples of samples for rates of decay, a Markov chain of words for the training lift and for measures of text.
Each is drawn anew for every seed. An interval that is meant to hold in the worst case, that of the quotient, may hold
more often than 95 %. The quick form takes 40 seeds instead of 200.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.measuring import worlds

from proofset.config import MeasureSettings
from proofset.measuring.collapse import collapse
from proofset.measuring.decay import rate
from proofset.measuring.diversity import compare_diversity
from proofset.measuring.lift import lift
from proofset.measuring.texts import describe
from proofset.measuring.viability import viability
from proofset.nouns.result import Measure

Seen = Iterator[tuple[str, Measure, float]]
"""What was measured, and the truth."""
RECORDS, WIDTH = 2_000, 16
WORDS = 400


def quotient(case: str, truths: dict[str, float]) -> Callable[[int], Seen]:
    """The components of which the truth is known, and the quotient, whose truth is the lowest of them."""

    def seen(seed: int) -> Seen:
        of, rng = worlds.world(WIDTH), np.random.default_rng([seed, 1])
        given = worlds.organic(of, RECORDS, rng)
        made = worlds.CASES[case](of, given, RECORDS, rng)
        found = viability(given.train, given.reference, given.control, made)
        for each in found.components:
            if each.key in truths:
                yield f"{each.key}, {case}", each.measure, truths[each.key]
        if "SVQ" in truths:
            yield f"SVQ, {case}", found.quotient, truths["SVQ"]

    return seen


def retained(seed: int) -> Seen:
    """A generation of fresh organic records has lost nothing."""
    of, rng = worlds.world(WIDTH), np.random.default_rng([seed, 2])
    found = collapse(of.sample(RECORDS, rng), [of.sample(600, rng)])
    (only,) = found.generations
    for name, measure in (("ER", only.rank), ("TS", only.rare), ("V2", only.vendi)):
        yield f"{name}, fresh", measure, 1.0
    yield "A, fresh (its truth is its end)", only.variance, 1.0
    yield "DMC, fresh (its truth is its end)", only.loss, 0.0


def decaying(seed: int) -> Seen:
    """Total variance of Gaussian fits of 100 records to each other, 30 generations, in 16 equal directions."""
    rng, rows, totals = np.random.default_rng([seed, 3]), 100, []
    covariance: NDArray[np.float64] = np.eye(16)
    ratio = 16.0
    for _ in range(31):
        drawn = rng.normal(size=(rows, 16)) @ np.linalg.cholesky(covariance).T
        covariance = np.cov(drawn.T, bias=True)
        totals.append(float(np.trace(covariance)))
    # the participation ratio falls on the way: theory at its mean
    values = np.linalg.eigvalsh(covariance)
    last = float(values.sum() ** 2 / (values**2).sum())
    yield "rate of decay", rate(totals), (1 + 2 / (ratio + last)) / rows


def chain(n: int, rng: np.random.Generator) -> list[str]:
    """Texts of a Markov chain of words with a heavy tail."""
    world = np.random.default_rng(8)
    follows = world.integers(WORDS, size=(WORDS, 12))
    shares = 1.0 / np.arange(1, 13)
    shares /= shares.sum()
    texts = []
    for _ in range(n):
        word, text = int(rng.integers(WORDS)), []
        for _ in range(int(rng.integers(10, 30))):
            text.append(f"w{word}")
            word = int(follows[word, rng.choice(12, p=shares)])
        texts.append(" ".join(text))
    return texts


def taught(seed: int) -> Seen:
    """Fresh text teaches as much as fresh text."""
    rng = np.random.default_rng([seed, 4])
    train, control, reference, made = (chain(n, rng) for n in (150, 150, 300, 150))
    yield "Y, fresh", lift(train, made, control, reference, seed=seed).measure, 1.0


def varied(seed: int) -> Seen:
    """The ratios of a run's page, on fresh organic records."""
    of, rng = worlds.world(WIDTH), np.random.default_rng([seed, 5])
    made, organic = of.sample(400, rng), of.sample(1200, rng)
    for measure, _ in compare_diversity(made, organic, MeasureSettings(), seed):
        yield f"{measure.name}, fresh", measure, 1.0


def holds(measure: Measure, truth: float) -> bool:
    """Whether the interval does."""
    low = -math.inf if measure.low is None else measure.low
    return low - 1e-9 <= truth <= (math.inf if measure.high is None else measure.high) + 1e-9


def texts(seeds: int) -> dict[str, Any]:
    """Measures of the text: the truth is their mean over all seeds, at one budget."""
    taken: dict[str, list[Measure]] = defaultdict(list)
    for seed in range(seeds):
        said = chain(200, np.random.default_rng([seed, 6]))
        for measure, _ in describe(said, said, tokens=1500, seed=seed):
            taken[measure.name].append(measure)
    found = {}
    for name, measures in taken.items():
        truth = float(np.mean([each.value for each in measures if each.value is not None]))
        found[f"{name}, text"] = {"coverage": float(np.mean([holds(each, truth) for each in measures])), "n": seeds}
    return found


EVERYTHING = dict.fromkeys(("D", "M", "F", "K", "R", "A1", "A2", "U", "SVQ"), 1.0)
CASES: tuple[Callable[[int], Seen], ...] = (
    quotient("fresh", EVERYTHING),
    quotient("20 % copies", {"A1": 0.8, "SVQ": 0.8}),
    quotient("shrunk .8", {"D": 0.8}),
    retained,
    decaying,
    taught,
    varied,
)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="the default; the last line is one JSON object")
    quick = parser.parse_args().quick
    seeds = 40 if quick else 200
    held: dict[str, list[bool]] = defaultdict(list)
    for case in CASES:
        for seed in range(seeds):
            for name, measure, truth in case(seed):
                if measure.value is not None:
                    held[name].append(holds(measure, truth))
    found = {name: {"coverage": round(float(np.mean(each)), 3), "n": len(each)} for name, each in held.items()}
    found |= texts(min(seeds, 100))
    outside = sorted(name for name, each in found.items() if not 0.92 <= each["coverage"] <= 0.98)
    print(json.dumps({"quick": quick, "nominal": 0.95, "intervals": found, "outside 92 to 98 %": outside}))


if __name__ == "__main__":
    main()

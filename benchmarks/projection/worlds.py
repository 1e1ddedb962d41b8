"""Simulated generators whose true curve of unique ideas is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.costing.pilot import Pilot

PILOT = 20_000
"""Critic-passed candidates of a pilot."""
SEEDS, VARIANTS = 3_000, 400
IDEAS = 5_000_000
STOCK, STOCK_SHARE = 100_000, 0.1
"""World C: the stock phrases that a call falls back to, and how often it does."""

Sampled = tuple[NDArray[np.int64], NDArray[np.int64] | None]
"""Idea of each candidate, and its seed document if there are any."""


def zipf(n: int, exponent: float = 1.0) -> NDArray[np.float64]:
    """Probabilities of ranks 1 to n."""
    weights: NDArray[np.float64] = np.arange(1, n + 1, dtype=np.float64) ** -exponent
    weights /= weights.sum()
    return weights


@dataclass(frozen=True)
class World:
    """A generator: ``sample`` gives a pilot of so many candidates, ``truth`` the expected ideas after so many."""

    name: str
    sample: Callable[[int, np.random.Generator], Sampled]
    truth: Callable[[float], float]


def _drawn(p: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.minimum(np.searchsorted(np.cumsum(p), rng.random(n)), len(p) - 1).astype(np.int64)


def _expected(p: NDArray[np.float64], n: float) -> float:
    return float(-np.expm1(n * np.log1p(-p)).sum())


def seeded() -> World:
    """A: 3,000 seed documents, each with 400 variants of which few are common."""
    p = zipf(VARIANTS)

    def sample(n: int, rng: np.random.Generator) -> Sampled:
        seeds = rng.integers(0, SEEDS, size=n)
        return seeds * VARIANTS + _drawn(p, n, rng), seeds

    return World("A", sample, lambda n: SEEDS * _expected(p / SEEDS, n))


def unseeded() -> World:
    """B: one prompt, 5 million ideas of which few are common."""
    p = zipf(IDEAS)
    return World("B", lambda n, rng: (_drawn(p, n, rng), None), lambda n: _expected(p, n))


def fresh() -> World:
    """C: a new document for each call; a tenth of the replies are stock."""
    p = zipf(STOCK)

    def sample(n: int, rng: np.random.Generator) -> Sampled:
        documents = np.arange(n, dtype=np.int64)
        return np.where(rng.random(n) < STOCK_SHARE, _drawn(p, n, rng), STOCK + documents), documents

    return World("C", sample, lambda n: (1 - STOCK_SHARE) * n + _expected(STOCK_SHARE * p, n))


PASSING, KEPT, USD, BYTES = 0.7, 0.95, 0.0016, 1500.0
"""Share of attempts that the critic passes, of unique candidates that are accepted; USD and bytes, mean of each."""


def attempts(ideas: NDArray[np.int64], seeds: NDArray[np.int64] | None, rng: np.random.Generator) -> Pilot:
    """The pilot in which these candidates passed: with attempts that did not, costs and lengths."""
    failed = round(len(ideas) * (1 / PASSING - 1))
    failed_seeds = rng.choice(seeds, failed) if seeds is not None else np.arange(failed) + len(ideas)
    passed = np.arange(len(ideas) + failed) < len(ideas)
    first = np.zeros(len(passed), dtype=bool)
    first[np.unique(ideas, return_index=True)[1]] = True
    accepted = first & (rng.random(len(passed)) < KEPT)
    sizes = rng.lognormal(np.log(BYTES) - 0.08, 0.4, len(passed)).round().astype(np.int64)
    return Pilot(
        seeds=np.concatenate([np.arange(len(ideas)) if seeds is None else seeds, failed_seeds]).tolist(),
        slices=["all"] * len(passed), usd=rng.lognormal(np.log(USD) - 0.08, 0.4, len(passed)),
        parsed=np.ones_like(passed).tolist(), passed=passed.tolist(), unique=first.tolist(),
        accepted=accepted.tolist(), accepted_bytes=np.where(accepted, sizes, 0).tolist(),
        output_tokens=np.where(accepted, sizes // 4, 0).tolist(),
        ideas=np.concatenate([ideas, np.full(failed, -1)]).tolist(), seeded=seeds is not None,
    )  # fmt: skip


YIELD_A, YIELD_B, DOCUMENT_SPREAD, RECORD_SPREAD = 3.0, 2.0, 0.4, 0.3
"""A document's yield is Beta; the spreads of log cost and log length between documents, and within."""


def true_usd_per_tb() -> float:
    """What endless pilots by ``clustered_pilot`` would pay; a document's yield, cost and length are independent."""
    return 1e12 * USD / (YIELD_A / (YIELD_A + YIELD_B) * BYTES)


def clustered_pilot(documents: int, each: int, rng: np.random.Generator) -> Pilot:
    """A pilot whose documents differ in yield, in cost and in length; what is accepted is unique."""
    n = documents * each
    seeds = np.repeat(np.arange(documents), each)
    accepted = rng.random(n) < rng.beta(YIELD_A, YIELD_B, documents)[seeds]
    correction = (DOCUMENT_SPREAD**2 + RECORD_SPREAD**2) / 2

    def spread(mean: float) -> NDArray[np.float64]:
        between = rng.normal(0, DOCUMENT_SPREAD, documents)[seeds]
        return mean * np.exp(between + rng.normal(0, RECORD_SPREAD, n) - correction)

    sizes = np.where(accepted, spread(BYTES).round(), 0).astype(np.int64)
    flags = accepted.tolist()
    return Pilot(
        seeds=seeds.tolist(), slices=["all"] * n, usd=spread(USD), parsed=[True] * n, passed=flags, unique=flags,
        accepted=flags, accepted_bytes=sizes.tolist(), output_tokens=(sizes // 4).tolist(), ideas=range(n),
    )  # fmt: skip


def nearly_exhausted() -> World:
    """D: one prompt, 200,000 ideas of lognormal weights; most of them are found at 100 times the pilot.

    Written before the spread of slopes was chosen, but seen by whoever chose it: no clean hold-out.
    """
    p = np.exp(2.0 * np.random.default_rng(20).standard_normal(200_000))
    p /= p.sum()
    return World("D", lambda n, rng: (_drawn(p, n, rng), None), lambda n: _expected(p, n))

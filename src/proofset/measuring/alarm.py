"""Alarm: is the loss real, and does it look like small samples or like a biased decoder?

A chart adds up, generation after generation, by how much a share lies below what organic records of the same number
would give, in their standard errors and less half a one (a one-sided CUSUM, Page 1954). It sees a small steady loss
long before a single generation does. Three charts with a limit of 5 raise a false alarm in at most 5 % of 20
generations without loss.

The organic numbers are estimates as well, and their error is the same in all generations: it adds up, too. So each
chart forgives that much more, ``DOUBT`` times the error.

When it lies: any loop that is not fresh organic is found out in the end, so an alarm says nothing about its size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.measuring.blocks import Doubles
from proofset.measuring.spread import Rank, Spread, alive, alive_variance, retention
from proofset.nouns.viability import Alarm

LIMIT = 5.0
"""h of the CUSUM: at most 1.5 % false alarms of one chart in 20 generations."""
SLACK = 0.5
"""Standard errors that a chart forgives each generation."""
DOUBT = 1.75
"""Errors of the organic numbers that it forgives on top. With normal scores, one chart then raises a false alarm in
0.3 % to 1.6 % of 20 generations, for references from 16 times to half the size of a generation (simulated)."""
STEEPEST = 100.0
"""A score at most: a corpus of one row is infinitely far off."""
REPLICATES = 4_000
"""Simulated organic corpora behind the variance's score."""
STRANGE = 0.01
"""p-value below which directions have lost unequally, or more than sampling explains."""


@dataclass(frozen=True, slots=True)
class Score:
    """How far below organic one generation is."""

    value: float
    """In standard errors of organic samples of the same number."""
    doubt: float
    """Error of the organic mean in the same unit; it is the same in all generations."""


def chart(of: str, scores: Sequence[Score | None], first: int) -> Alarm:
    """``C = max(0, C + score − ½ − DOUBT · doubt)`` over generations from number ``first``; raised above ``LIMIT``.

    A generation without a score leaves the chart where it is.
    """
    level, path = 0.0, []
    raised: int | None = None
    for number, score in enumerate(scores, start=first):
        if score is not None:
            step = min(score.value, STEEPEST) - SLACK - DOUBT * score.doubt
            level = max(0.0, level + step)
        path.append(level)
        if raised is None and level > LIMIT:
            raised = number
    return Alarm(of=of, scores=tuple(path), limit=LIMIT, raised=raised)


def variance_score(ours: Spread, organic: Spread, seed: int) -> Score:
    """Of Σ λ min(1, ρ) / Σ λ, against organic corpora whose variances are drawn with the noise that they have."""
    weights = organic.variances / organic.variances.sum()
    seen = float((weights * np.minimum(retention(ours, organic), 1.0)).sum())
    rng = np.random.default_rng([seed, 12, ours.n])
    root = _root(organic.dependence)
    drawn = rng.standard_normal((3, REPLICATES, len(weights))) @ root
    base = np.maximum(1 + drawn[0] / math.sqrt(organic.n), 0.1)
    first, second = (
        np.minimum(1 + drawn[i] / math.sqrt(ours.n), base).clip(min=0.0) @ weights / (base @ weights) for i in (1, 2)
    )
    both = np.concatenate([first, second])
    # two corpora against one organic baseline: what they have in common is the baseline's
    shared = max(float(np.cov(first, second)[0, 1]), 0.0)
    own = math.sqrt(max(float(both.var()) - shared, 1e-24))
    return Score((float(both.mean()) - seen) / own, math.sqrt(shared) / own)


def _root(covariance: Doubles) -> Doubles:
    """A matrix whose product with its transpose is ``covariance (r, r)``, transposed for rows of normal draws."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(values.clip(min=0.0))).T)


def rank_score(ours: Rank, theirs: Rank, organic: Spread, kept: int) -> Score:
    """Of the logarithm of the effective rank, taken on ``kept`` rows of this generation."""
    error = max(organic.rank_noise.error * math.sqrt(len(organic.rows) / kept), 1e-12)
    return Score((theirs.log - ours.log) / error, theirs.noise.error / error)


def modes_score(ours: Spread, organic: Spread, rare: NDArray[np.intp], n: int) -> Score:
    """Of the number of ``rare`` modes alive at ``n`` records."""
    counts = organic.modes[rare]
    error = math.sqrt(alive_variance(counts, organic.n, n, ours.n))
    missing = alive(counts, organic.n, n) - alive(ours.modes[rare], ours.n, n)
    return Score(missing / error, math.sqrt(alive_variance(counts, organic.n, n)) / error)


@dataclass(frozen=True, slots=True)
class Signature:
    """What the loss of variance looks like."""

    uniform: float
    """p-value of equal loss in every direction."""
    sampling: float
    """p-value of a mean loss no larger than that of samples of this size."""

    @property
    def cause(self) -> str:
        """The decoder if either is too small to be chance, else sampling."""
        return "decoder" if min(self.uniform, self.sampling) < STRANGE else "sampling"


def signature(retained: Doubles, organic: Spread, walk: Doubles, drift: float) -> Signature:
    """Whether repeated sampling alone explains what is ``retained (r,)`` in the last generation.

    Samples of samples lose the same share, 1/n a generation, in every direction, and wander about it: ``walk (r, r)``
    is the covariance of the logarithms that they gather, the sum of dependence / n over all generations, and ``drift``
    the sum of 1/n. ``Q = Σ (ln ρ − mean)² / se²`` would be χ² with r − 1 degrees of freedom if directions were
    independent; it is held against the χ² whose first two moments are those that ``walk`` gives it.
    """
    from scipy.special import gammaincc, ndtr

    noise = walk + organic.dependence / organic.n
    logs = np.log(retained.clip(min=1e-12))
    logs += (np.diag(walk) - np.diag(organic.dependence) / organic.n) / 2
    weights = 1 / np.diag(noise)
    inner = np.diag(weights) - np.outer(weights, weights) / weights.sum()
    spread = inner @ noise
    mean, variance = float(np.trace(spread)), 2 * float((spread * spread.T).sum())
    if mean <= 0:
        return Signature(1.0, 1.0)
    q = float(logs @ inner @ logs)
    uniform = float(gammaincc(mean**2 / variance, q * mean / variance))
    error = math.sqrt(float(noise.sum())) / len(logs)
    return Signature(uniform, float(ndtr((float(logs.mean()) + drift) / error)))

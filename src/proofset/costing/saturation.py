"""How many unique ideas more candidates would bring, from a pilot's sequence of near-copy groups.

A generator repeats itself the more, the longer it runs: uniqueness does not grow linearly. Three paths go on from the
pilot's end: Heaps (optimistic), the falling slope (central) and iNEXT (pessimistic); ``linear`` is there to compare.
None of them knows the truth: in simulated worlds the central one was up to 1.5 times too cheap at 100 times the pilot.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from proofset.costing.paths import Floats, Paths, fitted, uniques
from proofset.errors import InputError

LEAST_CANDIDATES = 16
"""Critic-passed candidates below which three octaves of slopes say nothing."""
FREQUENT = 10
"""Candidates above which an idea of no single document is sure to come again (the cut-off of Chao and Lee 1992)."""
HIGHEST_TOP = 900.0
"""Octaves of ideas above which a ceiling is none."""


class Method(StrEnum):
    """A way to go on from the pilot's end."""

    LINEAR = "linear"
    HEAPS = "heaps"
    FALLING_SLOPE = "falling slope"
    INEXT = "inext"


@dataclass(frozen=True, slots=True)
class Spectrum:
    """How often ideas came, and in which company: all that the estimators need of a pilot."""

    multiplicities_K: NDArray[np.float64]
    """The different numbers of candidates that an idea had, ascending."""
    certain_K: NDArray[np.float64]
    """Ideas by multiplicity that every pilot would have: frequent ones that are not of a single document."""
    patterns_P_K: NDArray[np.float64]
    """Ideas by multiplicity in one cluster: a seed document, or an idea that is not of a single document."""
    clusters_P: NDArray[np.int64]
    """Clusters of each kind."""
    seeds: int
    """Seed documents with at least one candidate; 1 where none were named."""

    @property
    def counts(self) -> NDArray[np.float64]:
        """Ideas by multiplicity."""
        counts: NDArray[np.float64] = self.certain_K + self.clusters_P @ self.patterns_P_K
        return counts

    @property
    def n(self) -> int:
        """Candidates."""
        return round(float(self.counts @ self.multiplicities_K))

    @property
    def distinct(self) -> int:
        """Ideas."""
        return round(float(self.counts.sum()))


def numbered(labels: Sequence[Hashable]) -> NDArray[np.intp]:
    """Labels as numbers from 0, in order of first appearance; the labels need not be of one type."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.intp)


def spectrum(ideas: Sequence[Hashable], seeds: Sequence[Hashable] | None = None) -> Spectrum:
    """The spectrum of critic-passed candidates, in order; ``seeds`` names the document that each came from.

    Raises InputError for no candidates, and for two columns of different lengths.
    """
    if not len(ideas) or (seeds is not None and len(seeds) != len(ideas)):
        named = "no seeds" if seeds is None else f"{len(seeds)} seeds"
        raise InputError(
            f"{len(ideas)} candidates and {named}", hint="give one idea, and one seed or none at all, per candidate"
        )
    idea_N = numbered(ideas)
    count_S = np.bincount(idea_N)
    multiplicities, kind_S = np.unique(count_S, return_inverse=True)
    kinds, documents, shared_S = len(multiplicities), 1, np.ones(len(count_S), dtype=bool)
    patterns, clusters = np.eye(kinds), np.zeros(0, dtype=np.intp)
    if seeds is not None:
        seed_N = numbered(seeds)
        documents, first_S = int(seed_N.max()) + 1, np.unique(idea_N, return_index=True)[1]
        shared_S = np.bincount(idea_N, seed_N != seed_N[first_S][idea_N]) > 0
        cell_S = seed_N[first_S] * kinds + kind_S
        cells = np.bincount(cell_S[~shared_S], minlength=documents * kinds).reshape(documents, kinds)
        of_documents, clusters = np.unique(cells[cells.any(axis=1)], axis=0, return_counts=True)
        patterns = np.concatenate([patterns, of_documents])
    certain_S = shared_S & (count_S > FREQUENT)
    lone = np.bincount(kind_S[shared_S & ~certain_S], minlength=kinds)
    return Spectrum(
        multiplicities.astype(np.float64), np.bincount(kind_S[certain_S], minlength=kinds).astype(np.float64),
        patterns.astype(np.float64), np.concatenate([lone, clusters]).astype(np.int64), documents,
    )  # fmt: skip


def rarefaction(of: Spectrum, candidates: Sequence[float] | Floats) -> Floats:
    """Expected ideas among so many candidates drawn without replacement: the average over all orders of the pilot.

    Exact, by the hypergeometric formula (Hurlbert 1971). Raises InputError for numbers outside 0 to n.
    """
    wanted = np.asarray(candidates, dtype=np.float64)
    if wanted.size and not (wanted.min() >= 0 and wanted.max() <= of.n):
        raise InputError(f"a curve of {of.n} candidates", hint=f"ask for numbers between 0 and {of.n}")
    return uniques(of.multiplicities_K, of.counts, wanted)


def resampled(of: Spectrum, resamples: int, rng: np.random.Generator) -> Floats:
    """Ideas by multiplicity of shape ``(resamples, K)`` in bootstrap pilots: each cluster comes Poisson(1) times.

    The Poisson bootstrap (Hanley and MacGibbon 2006) of clusters and not of candidates: drawing a candidate twice would
    make copies that the generator never made. A pilot that came out empty is replaced by the real one.
    """
    kinds = of.clusters_P > 0
    drawn: Floats = rng.poisson(of.clusters_P[kinds], size=(resamples, int(kinds.sum()))) @ of.patterns_P_K[kinds]
    drawn += of.certain_K
    return np.where(drawn.sum(axis=1, keepdims=True) > 0, drawn, of.counts)


@dataclass(frozen=True, slots=True)
class NotReached:
    """A number of ideas that a path never comes to."""

    ceiling: float
    """Ideas at which that path ends."""


@dataclass(frozen=True, slots=True)
class Saturation:
    """What a pilot says about the ideas that are left."""

    n: int
    """Critic-passed candidates of the pilot."""
    distinct: int
    """Ideas among them."""
    seeds: int
    marginal_yield: float
    """P(the next candidate is a new idea), in [0, 1]: singletons / n (Good 1953)."""
    heaps_beta: float
    """Exponent of U = K·n^beta, fitted to the rarefaction curve (Heaps 1978)."""
    heaps_k: float
    """K for which that curve goes through the pilot's end."""
    slopes: tuple[float, ...]
    """Slope of log ideas over log candidates in each of the last three octaves, the oldest first."""
    chao1: float
    """Lower bound of the ideas that exist (Chao 1984); not what can be had at most."""
    paths: Paths

    @property
    def ceiling(self) -> float:
        """Ideas beyond which these seeds are said to be exhausted: end of the falling slope, or Chao1 if that is more.

        Infinite where the slope does not fall.
        """
        return max(self.chao1, self._top())

    def unique_at(self, candidates: float, method: Method = Method.FALLING_SLOPE) -> float:
        """Ideas after so many candidates in all, the pilot's among them. Raises InputError for less than the pilot's.

        A smaller number is no forecast: ask ``rarefaction``.
        """
        if not candidates >= self.n:
            raise InputError(f"{candidates} candidates, the pilot had {self.n}", hint="ask rarefaction() for fewer")
        octaves = np.log2(np.array([candidates / self.n]))
        return self.distinct * float(np.exp2(self._growth(octaves, method)[0]))

    def candidates_for(self, unique: float, method: Method = Method.FALLING_SLOPE) -> float | NotReached:
        """Candidates in all after which there are so many ideas, or that this is never reached and where it ends.

        Raises InputError for fewer ideas than the pilot has.
        """
        if not unique >= self.distinct:
            raise InputError(f"{unique} ideas, the pilot has {self.distinct}", hint="ask for at least as many")
        wanted = np.log2(np.array([unique / self.distinct]))
        match method:
            case Method.LINEAR:
                return self.n * unique / self.distinct
            case Method.HEAPS:
                octaves = float(wanted[0]) / self.heaps_beta if self.heaps_beta > 0 else np.inf if wanted[0] else 0.0
            case Method.FALLING_SLOPE:
                octaves = float(self.paths.octaves_for(wanted, np.zeros(1))[0])
            case Method.INEXT:
                octaves = float(self.paths.octaves_for(wanted, np.full(1, -np.inf))[0])
        if np.isfinite(octaves):
            return self.n * float(np.exp2(octaves))
        ends = {Method.INEXT: self.chao1, Method.HEAPS: float(self.distinct)}
        return NotReached(ends.get(method, self._top()))

    def _top(self) -> float:
        """Ideas at the end of the falling slope."""
        growth = float(self.paths.top[0])
        return self.distinct * 2.0**growth if growth < HIGHEST_TOP else math.inf

    def _growth(self, octaves: Floats, method: Method) -> Floats:
        """Binary logarithm of ideas over the pilot's ideas."""
        match method:
            case Method.LINEAR:
                return octaves
            case Method.HEAPS:
                return self.paths.heaps(octaves)
            case Method.FALLING_SLOPE:
                return self.paths.falling(octaves)
            case Method.INEXT:
                return self.paths.inext(octaves)


def saturation(of: Spectrum) -> Saturation:
    """Fit the paths. Raises InputError for fewer than ``LEAST_CANDIDATES`` candidates."""
    if of.n < LEAST_CANDIDATES:
        raise InputError(
            f"{of.n} critic-passed candidates say nothing about saturation",
            hint=f"a pilot needs at least {LEAST_CANDIDATES}; a useful one has thousands",
        )
    paths = fitted(of.multiplicities_K, of.counts[None, :])
    beta = float(paths.beta_B[0])
    return Saturation(
        of.n, of.distinct, of.seeds, marginal_yield=float(paths.singletons_B[0]) / of.n, heaps_beta=beta,
        heaps_k=of.distinct / of.n**beta, slopes=tuple(float(slope) for slope in paths.slopes_B_3[0]),
        chao1=of.distinct + float(paths.unseen_B[0]), paths=paths,
    )  # fmt: skip

"""Worlds whose truth is known: a Gaussian mixture as the organic source, and ways to make synthetic records from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Vectors = NDArray[np.float32]

RARE = (0.0193, 0.0203, 0.021, 0.0218)
"""The four rarest modes: the rarest has 1.93 % of the mass, all four have 8.24 %."""


@dataclass(frozen=True)
class World:
    """Twenty round Gaussian modes: ``centres (20, d)``, ``shares (20,)``, one standard deviation within all of them."""

    centres: NDArray[np.float64]
    shares: NDArray[np.float64]
    within: float

    def sample(self, n: int, rng: Rng, *, without: int = 0) -> Vectors:
        """``n`` fresh organic records; ``without`` leaves that many of the rarest modes out."""
        shares = self.shares[without:] / self.shares[without:].sum()
        centres = self.centres[without:][rng.choice(len(shares), n, p=shares)]
        return (centres + self.within * rng.normal(size=centres.shape)).astype(np.float32)

    @property
    def variance(self) -> float:
        """Variance in a mean direction: trace of the covariance over the width."""
        mean = self.shares @ self.centres
        between = float(self.shares @ ((self.centres - mean) ** 2).sum(axis=1))
        return float(between / self.centres.shape[1] + self.within**2)


def world(width: int = 32, within: float = 0.4) -> World:
    """The world of a width: centres from a fixed seed, so that a test's seed is all that varies."""
    rng = np.random.default_rng([20, width])
    common = np.linspace(1.0, 3.0, 16)
    shares = np.concatenate([RARE, common / common.sum() * (1 - sum(RARE))])
    return World(rng.normal(size=(20, width)), shares, within)


@dataclass(frozen=True)
class Corpora:
    """Organic records in three equal parts."""

    train: Vectors
    reference: Vectors
    control: Vectors


def organic(of: World, n: int, rng: Rng) -> Corpora:
    """Train, reference and control, ``n`` records each."""
    return Corpora(of.sample(n, rng), of.sample(n, rng), of.sample(n, rng))


def copies(of: World, n: int, source: Vectors, share: float, rng: Rng) -> Vectors:
    """Each record is with probability ``share`` a row of ``source`` (none twice), otherwise a fresh organic one."""
    made = of.sample(n, rng)
    copied = np.flatnonzero(rng.random(n) < share)
    made[copied] = source[rng.permutation(len(source))[: len(copied)]]
    return made


def scaled(records: Vectors, k: float) -> Vectors:
    """The variance of every direction times ``k``, the mean as it is."""
    mean = records.mean(axis=0)
    made: Vectors = (mean + np.sqrt(k) * (records - mean)).astype(np.float32)
    return made


def noisy(of: World, records: Vectors, share: float, rng: Rng) -> Vectors:
    """Round noise on every record that adds ``share`` of the total variance."""
    made: Vectors = (records + np.sqrt(share * of.variance) * rng.normal(size=records.shape)).astype(np.float32)
    return made


def junk(records: Vectors, share: float, rng: Rng) -> Vectors:
    """Each record is with probability ``share`` replaced by one far from everything: five standard deviations out."""
    made = records.copy()
    rows = np.flatnonzero(rng.random(len(made)) < share)
    away = rng.normal(size=(len(rows), made.shape[1]))
    made[rows] = 5 * made.std(axis=0).mean() * away / np.linalg.norm(away, axis=1, keepdims=True) * np.sqrt(5)
    return made


def fitted(train: Vectors, n: int, rng: Rng) -> Vectors:
    """Draws from one Gaussian with the mean and covariance of ``train``."""
    return rng.multivariate_normal(train.mean(axis=0), np.cov(train.T), n, method="cholesky").astype(np.float32)


def smote(train: Vectors, n: int, rng: Rng) -> Vectors:
    """Points on the line between a row of ``train`` and one of its five nearest others, as SMOTE makes them."""
    from sklearn.neighbors import NearestNeighbors

    rows = rng.integers(len(train), size=n)
    near = NearestNeighbors(n_neighbors=6).fit(train).kneighbors(train[rows], return_distance=False)
    mates = train[near[np.arange(n), rng.integers(1, 6, size=n)]]
    made: Vectors = (train[rows] + rng.random((n, 1)) * (mates - train[rows])).astype(np.float32)
    return made


Case = Callable[[World, Corpora, int, Rng], Vectors]

CASES: dict[str, Case] = {
    "fresh": lambda of, _, n, rng: of.sample(n, rng),
    "copy of T": lambda _of, given, n, rng: rng.permutation(given.train)[:n],
    "jittered copy of T": lambda of, given, n, rng: noisy(of, rng.permutation(given.train)[:n], 1e-4, rng),
    "copy of H": lambda _of, given, n, rng: rng.permutation(given.reference)[:n],
    "half T, half H": lambda _of, given, n, rng: np.concatenate([given.train[: n // 2], given.reference[n // 2 : n]]),
    "50 % copies": lambda of, given, n, rng: copies(of, n, given.train, 0.5, rng),
    "20 % copies": lambda of, given, n, rng: copies(of, n, given.train, 0.2, rng),
    "10 % copies": lambda of, given, n, rng: copies(of, n, given.train, 0.1, rng),
    "shrunk .8": lambda of, _, n, rng: scaled(of.sample(n, rng), 0.8),
    "shrunk .5": lambda of, _, n, rng: scaled(of.sample(n, rng), 0.5),
    "inflated 1.25": lambda of, _, n, rng: scaled(of.sample(n, rng), 1.25),
    "rarest mode dropped": lambda of, _, n, rng: of.sample(n, rng, without=1),
    "4 rarest modes dropped": lambda of, _, n, rng: of.sample(n, rng, without=4),
    "noise +25 %": lambda of, _, n, rng: noisy(of, of.sample(n, rng), 0.25, rng),
    "10 % junk": lambda of, _, n, rng: junk(of.sample(n, rng), 0.1, rng),
    "one Gaussian": lambda _of, given, n, rng: fitted(given.train, n, rng),
    "each five times": lambda of, _, n, rng: np.repeat(of.sample(n // 5, rng), 5, axis=0),
    "SMOTE": lambda _of, given, n, rng: smote(given.train, n, rng),
}
"""Synthetic corpora of known worth, by the names of the table of known answers."""

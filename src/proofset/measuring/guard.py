"""The guard in the loop: accepted records are charted, window by window, against organic ones of the same number.

A window's effective rank, variance and rare modes alive are held against organic samples of the window's size. The
charts are one-sided CUSUMs, so a small loss in every window adds up and chance does not. An alarm needs both: a chart
above its limit (significance), and a mean loss over the windows above what is tolerated (materiality). Significance
alone would stop every generator, since none is quite like its source.

When it lies: everything depends on the encoder; noise keeps rank and variance up; a window knows little of modes rarer
than one record in a window.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from proofset.measuring.alarm import DOUBT, LIMIT, SLACK
from proofset.measuring.diversity import effective_rank, total_variance

WINDOW = 40
"""Accepted records in a window."""
FEWEST = 2 * WINDOW
"""Organic records below which there is nothing to hold a window against."""
DRAWS = 200
"""Organic samples behind the mean and spread of each chart."""
MODES = 20
"""Clusters of organic records at most, five records each at least."""

_Vectors = NDArray[np.float64]


class Guard:
    """Watches the accepted records of one slice. Silent where there are fewer than ``FEWEST`` organic ones."""

    def __init__(self, organic: NDArray[np.float32], tolerated: float, seed: int) -> None:
        """``organic (n, d)`` are the slice's records; ``tolerated`` in [0, 1] is the loss that does not stop it."""
        self.tolerated = tolerated
        self.losses: list[float] = []
        """Of each full window: 1 less the smallest of the three retained shares."""
        self._charts = _charts(organic.astype(np.float64), seed) if len(organic) >= FEWEST and tolerated < 1 else []
        self._height = [0.0] * len(self._charts)
        self._slack = SLACK + DOUBT * math.sqrt(WINDOW / max(len(organic), 1))  # the organic mean is an estimate, too
        self._window: list[NDArray[np.float32]] = []

    @property
    def watches(self) -> bool:
        """Whether there is enough to watch by."""
        return bool(self._charts)

    def add(self, vector: NDArray[np.float32]) -> bool:
        """Take the next accepted record's vector ``(d,)``; whether the alarm is raised."""
        if not self._charts or not vector.any():
            return self.alarmed
        self._window.append(vector)
        if len(self._window) == WINDOW:
            self._close(np.array(self._window, dtype=np.float64))
            self._window.clear()
        return self.alarmed

    def _close(self, window: _Vectors) -> None:
        taken = [(statistic(window), mean, spread) for statistic, mean, spread in self._charts]
        self.losses.append(1.0 - min(1.0, *(value / mean for value, mean, _ in taken)))
        self._height = [
            max(0.0, height + (mean - value) / spread - self._slack)
            for height, (value, mean, spread) in zip(self._height, taken, strict=True)
        ]

    @property
    def alarmed(self) -> bool:
        """Whether a chart is above its limit and the mean loss above what is tolerated."""
        return bool(self.losses) and max(self._height) > LIMIT and float(np.mean(self.losses)) > self.tolerated


def _charts(organic: _Vectors, seed: int) -> list[tuple[Callable[[_Vectors], float], float, float]]:
    """Statistics of a window with their mean and spread over organic windows; those that do not vary are left out."""
    rng = np.random.default_rng([seed, 40])
    windows = [organic[rng.permutation(len(organic))[:WINDOW]] for _ in range(DRAWS)]
    statistics: list[Callable[[_Vectors], float]] = [effective_rank, total_variance, _rare_alive(organic, seed)]
    charts = []
    for statistic in statistics:
        values = np.array([statistic(window) for window in windows])
        if values.mean() > 0 and values.std() > 0:
            charts.append((statistic, float(values.mean()), float(values.std(ddof=1))))
    return charts


def _rare_alive(organic: _Vectors, seed: int) -> Callable[[_Vectors], float]:
    """How many of the rarer half of the organic modes have a record in a window."""
    from sklearn.cluster import KMeans

    model = KMeans(n_clusters=max(2, min(MODES, len(organic) // 5)), n_init=4, random_state=seed % 2**32)
    sizes = np.bincount(model.fit_predict(organic), minlength=model.n_clusters)
    rare = np.argsort(sizes, kind="stable")[: max(1, model.n_clusters // 2)]
    return partial(_alive, centres=model.cluster_centers_, rare=rare)


def _alive(window: _Vectors, *, centres: _Vectors, rare: NDArray[np.intp]) -> float:
    nearest = ((window[:, None, :] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    return float(np.isin(rare, nearest).sum())

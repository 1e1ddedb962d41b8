"""Neighbours: the nearest row among many, in blocks, and balls around points.

Nothing is approximate, since a missed neighbour would hide a copy. Matrix products in float32 find the nearest row;
where they cannot tell a short distance from rounding, it is taken again in float64.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring.blocks import Doubles, Floats, Vectors, blocks, squared_lengths

QUERY_ROWS = 1024
AGAINST_ROWS = 4096
"""A block of distances of this shape takes 16 MiB."""

DOUBTFUL = 1e-3
"""Share of ``|q|² + |x|²`` below which a squared distance in float32 is taken again."""
ROUNDING = 1e-5
"""Share of ``|q|² + |x|²`` that a squared distance in float32 may be off by."""
PAIRS = 4096
"""Pairs of rows that are subtracted at a time."""

Rows = NDArray[np.intp]


def nearest(
    queries: Floats,
    against: Vectors,
    *,
    groups: Rows | None = None,
    n_groups: int = 1,
    but: Rows | None = None,
) -> Floats:
    """Distance of each query ``(q, d)`` to the nearest row of each group, ``(q, n_groups)``; infinite for an empty one.

    ``groups (n,)`` tells the group of each row of ``against (n, d)``; rows of group −1 are passed over. ``but (q,)``
    names one row that a query does not count, such as itself, or −1. A bit-equal copy is at exactly 0, and other
    distances are right to about 1e-4 of themselves. Rows must be finite. ``InputError`` for shapes that do not fit.
    """
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    _check(queries, against, groups, n_groups, but)
    search = _Search(queries, n_groups, but)
    for start, block in blocks(against, AGAINST_ROWS):
        numbers = np.zeros(len(block), dtype=np.intp) if groups is None else groups[start : start + len(block)]
        for group, chosen in _by_group(numbers):
            rows = block if len(chosen) == len(block) else block[chosen]
            search.add(rows, start + chosen, group)
    return np.asarray(np.sqrt(search.squares), dtype=np.float32)


def _check(queries: Floats, against: Vectors, groups: Rows | None, n_groups: int, but: Rows | None) -> None:
    if queries.ndim != 2 or len(against.shape) != 2 or queries.shape[1] != against.shape[1]:
        shapes = f"{queries.shape} and {tuple(against.shape)}"
        raise InputError(f"vectors of shapes {shapes} cannot be compared", hint="encode both with the same encoder")
    if groups is not None and (len(groups) != against.shape[0] or groups.max(initial=-1) >= n_groups):
        raise InputError(f"{len(groups)} group numbers do not fit", hint="give one below `n_groups` to each row")
    if but is not None and len(but) != len(queries):
        raise InputError(f"{len(but)} rows to leave out for {len(queries)} queries", hint="give one to each query")


def _by_group(numbers: Rows) -> Iterator[tuple[int, Rows]]:
    """Each group, save −1, and the places of its rows, in order."""
    order = np.argsort(numbers, kind="stable")
    present, starts = np.unique(numbers[order], return_index=True)
    for group, chosen in zip(present, np.split(order, starts[1:]), strict=True):
        if group >= 0:
            yield int(group), chosen


class _Search:
    """The smallest squared distances so far, ``(q, n_groups)`` in float64."""

    def __init__(self, queries: Floats, n_groups: int, but: Rows | None) -> None:
        self._queries, self._but = queries, but
        self.squares = np.full((len(queries), n_groups), np.inf)
        # a mean far from 0 would cost float32 digits that distances need
        self._middle = queries.mean(axis=0, dtype=np.float64).astype(np.float32) if len(queries) else np.float32(0)
        centred = queries - self._middle
        self._lengths = squared_lengths(centred).astype(np.float64)
        self._left = np.column_stack([centred, np.ones(len(queries), dtype=np.float32)])
        self._room = np.empty(QUERY_ROWS * AGAINST_ROWS, dtype=np.float32)

    def add(self, rows: Floats, numbers: Rows, group: int) -> None:
        """Rows of one group, and their numbers, which rise."""
        centred = rows - self._middle
        squares = squared_lengths(centred)
        right = np.column_stack([-2 * centred, squares]).T
        for low in range(0, len(self._queries), QUERY_ROWS):
            part = slice(low, min(low + QUERY_ROWS, len(self._queries)))
            distances = self._room[: (part.stop - low) * len(rows)].reshape(-1, len(rows))
            np.matmul(self._left[part], right, out=distances)
            skipped = self._skipped(part, numbers)
            with_skip = np.flatnonzero(skipped >= 0)
            distances[with_skip, skipped[with_skip]] = np.inf
            self._take(distances, part, rows, squares, group, skipped)

    def _skipped(self, part: slice, numbers: Rows) -> Rows:
        """Column that each query does not count, or −1."""
        if self._but is None:
            return np.full(part.stop - part.start, -1, dtype=np.intp)
        but = self._but[part]
        at = np.searchsorted(numbers, but).clip(max=len(numbers) - 1)
        return np.where(numbers[at] == but, at, -1)

    def _take(self, distances: Floats, part: slice, rows: Floats, squares: Floats, group: int, skipped: Rows) -> None:
        at = distances.argmin(axis=1)
        found = distances[np.arange(len(at)), at] + self._lengths[part]
        scale = self._lengths[part] + squares[at]
        best = self.squares[part, group]
        doubtful = np.flatnonzero((found < DOUBTFUL * scale) & (best > 0) & (found - ROUNDING * scale < best))
        found[found < DOUBTFUL * scale] = np.inf
        if len(doubtful):
            queries = self._queries[part][doubtful]
            found[doubtful] = _exactly_nearest(queries, rows, skipped[doubtful])
        np.minimum(best, found, out=best)


def _exactly_nearest(queries: Floats, rows: Floats, skipped: Rows) -> Doubles:
    """Squared distance ``(q,)`` of each query to its nearest row, but for the skipped one, without rounding errors."""
    distances = _products(queries, rows)
    with_skip = np.flatnonzero(skipped >= 0)
    distances[with_skip, skipped[with_skip]] = np.inf
    at = distances.argmin(axis=1)
    found = _subtracted(queries, rows[at])
    # even float64 cannot tell a copy from a row that differs in the last bit
    unsure = (found > 0) & (found < 1e-11 * np.einsum("ij,ij->i", queries, queries, dtype=np.float64))
    for one in np.flatnonzero(unsure):
        near = np.flatnonzero(distances[one] <= distances[one].min() + 2 * found[one])
        found[one] = min(
            _subtracted(queries[one], rows[near[low : low + PAIRS]]).min() for low in range(0, len(near), PAIRS)
        )
    return found


def radii(points: Floats, k: int) -> Floats:
    """Distance of each point to its ``k``-th nearest other, ``(m,)``; 0 where so many are equal to it."""
    if not 1 <= k < len(points):
        raise InputError(f"{len(points)} points have no {k}-th nearest other", hint="give more points or a smaller k")
    squared = squared_distances(points, points)
    np.fill_diagonal(squared, np.inf)
    return np.sqrt(np.partition(squared, k - 1, axis=1)[:, k - 1]).astype(np.float32)


def within(points: Floats, radii: Floats, queries: Floats) -> NDArray[np.bool_]:
    """Whether each query lies in the ball of each point, ``(q, m)``; the border belongs to the ball."""
    distances = np.sqrt(squared_distances(queries, points)).astype(np.float32)
    return np.asarray(distances <= radii, dtype=np.bool_)


def squared_distances(first: Floats, second: Floats) -> Doubles:
    """``(q, m)`` squared distances in float64, exactly 0 between equal rows. Memory: all of them, for small sets."""
    found = _products(first, second)
    squares = np.einsum("ij,ij->i", first, first, dtype=np.float64)
    near_q, near_m = np.nonzero(found < 1e-9 * squares[:, None])
    for low in range(0, len(near_q), PAIRS):
        some_q, some_m = near_q[low : low + PAIRS], near_m[low : low + PAIRS]
        found[some_q, some_m] = _subtracted(first[some_q], second[some_m])
    return found


def _products(first: Floats, second: Floats) -> Doubles:
    """Squared distances by a matrix product: off by 1e-16 of the squared lengths, and never below 0."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    found = a @ (-2 * b).T
    found += np.einsum("ij,ij->i", a, a)[:, None]
    found += np.einsum("ij,ij->i", b, b)
    return np.maximum(found, 0, out=found)


def _subtracted(first: Floats, second: Floats) -> Doubles:
    """Squared distances ``(n,)`` of pairs of rows, from their difference."""
    difference = second.astype(np.float64) - first
    return np.asarray(np.einsum("ij,ij->i", difference, difference))

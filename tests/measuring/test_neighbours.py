"""Nearest rows against all pairs, one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring import neighbours
from proofset.measuring.blocks import NpyFile
from proofset.measuring.neighbours import nearest, radii, squared_distances, within

Floats = NDArray[np.float32]


def some(n: int, d: int = 8, seed: int = 0, *, middle: float = 0.0) -> Floats:
    return (middle + np.random.default_rng(seed).normal(size=(n, d))).astype(np.float32)


def apart(queries: Floats, against: Floats) -> NDArray[np.float64]:
    """All distances, by subtraction in float64."""
    gaps = queries.astype(np.float64)[:, None] - against.astype(np.float64)[None]
    found: NDArray[np.float64] = np.sqrt((gaps**2).sum(axis=2))
    return found


def brute(
    queries: Floats,
    against: Floats,
    groups: NDArray[np.intp] | None = None,
    n_groups: int = 1,
    but: NDArray[np.intp] | None = None,
) -> NDArray[np.float64]:
    distances = apart(queries, against)
    if but is not None:
        named = np.flatnonzero(but >= 0)
        distances[named, but[named]] = np.inf
    groups = np.zeros(len(against), dtype=np.intp) if groups is None else groups
    return np.stack([distances[:, groups == g].min(axis=1, initial=np.inf) for g in range(n_groups)], axis=1)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "QUERY_ROWS", 7)
    monkeypatch.setattr(neighbours, "AGAINST_ROWS", 16)
    monkeypatch.setattr(neighbours, "PAIRS", 3)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("middle", [0.0, 30.0])
def test_every_group_has_its_own_nearest(middle: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    queries, against = some(25, seed=1, middle=middle), some(90, seed=2, middle=middle)
    queries[:6] = against[[5, 40, 89, 0, 0, 17]]
    queries[6:9] = against[[5, 40, 89]] + np.float32(1e-3)
    groups, but = rng.integers(-1, 4, 90), rng.integers(-1, 90, 25)
    but[:3] = [5, 40, 3]
    np.save(tmp_path / "x.npy", against)
    for vectors in (against, NpyFile(tmp_path / "x.npy")):
        found = nearest(queries, vectors, groups=groups, n_groups=5, but=but)
        expected = brute(queries, against, groups, 5, but)
        assert np.isinf(found[:, 4]).all() and found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=2e-4)
        np.testing.assert_array_equal(found == 0, expected == 0)
        assert (found == 0).any()


@pytest.mark.usefixtures("small_blocks")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_rows_copies_and_near_copies_give_what_all_pairs_give(data: st.DataObject) -> None:
    n, q, d = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 20)), data.draw(st.integers(1, 5))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    pool = (rng.normal(size=(6, d)) + data.draw(st.sampled_from([0, 100]))).astype(np.float32)
    jitter = np.float32(data.draw(st.sampled_from([0, 1e-7, 1e-5, 1e-3, 1])))
    against = pool[rng.integers(0, 6, n)] + jitter * rng.normal(size=(n, d)).astype(np.float32)
    queries = np.concatenate([against, pool])[rng.integers(0, n + 6, q)]
    groups = rng.integers(-1, 3, n) if data.draw(st.booleans()) else None
    but = rng.integers(-1, n, q) if data.draw(st.booleans()) else None
    n_groups = 1 if groups is None else 3
    found, expected = nearest(queries, against, groups=groups, n_groups=n_groups, but=but), brute(
        queries, against, groups, n_groups, but
    )  # fmt: skip
    np.testing.assert_array_equal(found == 0, expected == 0)
    np.testing.assert_allclose(found, expected, rtol=3e-4, atol=0)


def test_a_copy_is_found_at_zero_beside_rows_that_differ_in_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    row = rng.normal(size=384).astype(np.float32)
    against = np.tile(row, (500, 1))
    against[np.arange(500), np.arange(500) % 384] = np.nextafter(row, np.float32(9))[np.arange(500) % 384]
    # beside rows far away, so that centring does not help
    against = np.concatenate([against, rng.normal(size=(20, 384)).astype(np.float32) * 3])
    queries = np.stack([row, against[510]])
    closest = nearest(queries, against)[:, 0]
    assert 0 < closest[0] < 1e-6 and closest[1] == 0
    against[300] = row
    assert nearest(queries, against)[0, 0] == 0


def test_itself_does_not_count_but_its_copies_do() -> None:
    rows = some(40)
    rows[7] = rows[30]
    found = nearest(rows, rows, but=np.arange(40))[:, 0]
    assert np.flatnonzero(found == 0).tolist() == [7, 30]
    assert (nearest(rows, rows)[:, 0] == 0).all()


def test_collapsed_rows_far_from_the_origin_keep_their_distances() -> None:
    rows = (np.float32(1) + np.float32(1e-3) * some(300, 64)).astype(np.float32)
    found = nearest(rows, rows, but=np.arange(300))
    np.testing.assert_allclose(found, brute(rows, rows, but=np.arange(300)), rtol=1e-5)


def test_nobody_is_near_where_nobody_is() -> None:
    assert np.isinf(nearest(some(3), some(0))).all()
    assert nearest(some(0), some(3)).shape == (0, 1)
    assert np.isinf(nearest(some(3), some(1), but=np.zeros(3, dtype=np.intp))).all()
    assert np.isinf(nearest(some(3), some(5), groups=np.full(5, -1), n_groups=2)).all()


@pytest.mark.parametrize(
    ("queries", "changes", "why"),
    [
        (some(5, 7), {}, "shapes"),
        (some(5)[0], {}, "shapes"),
        (some(5), {"groups": np.zeros(8, dtype=np.intp)}, "8 group numbers"),
        (some(5), {"groups": np.arange(9)}, "do not fit"),
        (some(5), {"but": np.zeros(4, dtype=np.intp)}, "4 rows to leave out for 5"),
    ],
)
def test_what_does_not_fit_together_is_refused(queries: Floats, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        nearest(queries, some(9), **changes)


# --- balls ---------------------------------------------------------------------------------------------------------


@given(st.integers(2, 30), st.integers(1, 4), st.integers(0, 10**6))
def test_a_radius_reaches_to_the_kth_other_and_holds_k_of_them(m: int, k: int, seed: int) -> None:
    points = some(m, 3, seed)
    points[: m // 3] = points[0]
    k = min(k, m - 1)
    distances = apart(points, points)
    np.fill_diagonal(distances, np.inf)
    reach = radii(points, k)
    np.testing.assert_allclose(reach, np.sort(distances, axis=1)[:, k - 1], rtol=1e-6)
    assert (within(points, reach, points).sum(axis=0) >= k + 1).all()
    queries = some(20, 3, seed + 1)
    gaps = apart(queries, points) - reach
    clear = np.abs(gaps) > 1e-5
    np.testing.assert_array_equal(within(points, reach, queries)[clear], (gaps <= 0)[clear])


def test_points_with_k_copies_have_a_ball_without_extent_that_holds_their_copies() -> None:
    points = np.repeat(some(10, 384) + np.float32(5), 6, axis=0)
    reach = radii(points, 5)
    assert (reach == 0).all()
    np.testing.assert_array_equal(within(points, reach, points).sum(axis=0), 6)


@pytest.mark.parametrize("k", [0, 4, 5])
def test_there_must_be_a_kth_other(k: int) -> None:
    with pytest.raises(InputError, match=f"4 points have no {k}-th nearest other"):
        radii(some(4), k)


def test_squared_distances_are_exactly_zero_between_equal_rows_alone() -> None:
    rows = some(60, 50, middle=9)
    rows[3] = rows[40]
    rows[5] = rows[6]
    rows[5, 0] = np.nextafter(rows[5, 0], np.float32(99))
    found = squared_distances(rows, rows)
    expected = apart(rows, rows) ** 2
    np.testing.assert_array_equal(found == 0, expected == 0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)

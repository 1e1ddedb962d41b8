"""Rows read block by block, and what is refused before anything is measured."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring.blocks import (
    BLOCK_ROWS,
    Chosen,
    NpyFile,
    blocks,
    check,
    gather,
    hashes,
    ids,
    mix,
    overlap,
    ranks,
)


def some(n: int = 50, d: int = 6, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def saved(tmp_path: Path, array: NDArray[Any]) -> NpyFile:
    np.save(tmp_path / "x.npy", array)
    return NpyFile(tmp_path / "x.npy")


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8", "<f2"])
def test_a_file_gives_the_rows_that_numpy_would(tmp_path: Path, kind: str) -> None:
    array = some(30, 5).astype(kind)
    file = saved(tmp_path, array)
    assert file.shape == (30, 5) and len(file) == 30
    for rows in (slice(0, 7), slice(7, 30), slice(25, 99), slice(5, 5), slice(-3, None), slice(None)):
        np.testing.assert_array_equal(file[rows], array[rows])
    joined = np.concatenate([block for _, block in blocks(file, 8)])
    np.testing.assert_array_equal(joined, array.astype(np.float32))
    assert joined.dtype == np.float32


def test_a_file_is_read_forwards_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="steps of 2"):
        saved(tmp_path, some())[::2]


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.arange(12).reshape(3, 4), "int64 and not float"),
        (np.ones((3, 4), dtype=np.complex64), "complex64"),
        (np.array([["a"]]), "<U1"),
        (np.ones(5, dtype=np.float32), "1-dimensional"),
        (np.ones((2, 3, 4), dtype=np.float32), "3-dimensional"),
        (np.asfortranarray(some(4, 3)), "by columns"),
    ],
)
def test_a_file_of_anything_but_rows_of_floats_is_refused(tmp_path: Path, array: NDArray[Any], why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        saved(tmp_path, array)
    assert "x.npy" in str(caught.value) and caught.value.hint


def test_a_cut_off_file_is_refused_before_and_while_it_is_read(tmp_path: Path) -> None:
    file = saved(tmp_path, some())
    path = tmp_path / "x.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="cut off while"):
        file[0:50]
    with pytest.raises(InputError, match="cut off, "):
        NpyFile(path)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4'", b"a,b\n1,2\n"])
def test_a_file_that_is_no_npy_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npy: not a \.npy file"):
        NpyFile(path)


class Bomb:
    exploded = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Bomb, "exploded", True)


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError):
        NpyFile(path)
    np.save(path, np.array([[Bomb()]]), allow_pickle=True)
    with pytest.raises(InputError, match="object"):
        NpyFile(path)
    assert not Bomb.exploded


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npy", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            NpyFile(path)


def test_blocks_of_an_array_are_views_of_it() -> None:
    array = some(20)
    starts = []
    for start, block in blocks(array, 8):
        starts.append(start)
        assert np.shares_memory(block, array)
    assert starts == [0, 8, 16]


def test_gathered_rows_come_in_the_order_asked_for(tmp_path: Path) -> None:
    array = some(BLOCK_ROWS + 40, 2)
    rows = np.array([BLOCK_ROWS + 39, 3, BLOCK_ROWS, 3, 0])
    for vectors in (array, array.astype(np.float64), saved(tmp_path, array)):
        found = gather(vectors, rows)
        np.testing.assert_array_equal(found, array[rows])
        assert found.dtype == np.float32 and not np.shares_memory(found, array)
    assert gather(array, np.empty(0, dtype=np.intp)).shape == (0, 2)


def test_blocks_without_a_chosen_row_are_not_read() -> None:
    class Watched:
        shape = (3 * BLOCK_ROWS, 2)

        def __init__(self) -> None:
            self.read: list[int] = []

        def __getitem__(self, rows: slice, /) -> NDArray[Any]:
            self.read.append(rows.start)
            return np.full((rows.stop - rows.start, 2), rows.start, dtype=np.float32)

    watched = Watched()
    np.testing.assert_array_equal(gather(watched, np.array([2 * BLOCK_ROWS + 1, 5]))[:, 0], [2 * BLOCK_ROWS, 0])
    assert watched.read == [0, 2 * BLOCK_ROWS]


@pytest.mark.parametrize("rows", [[-1], [50]])
def test_rows_that_do_not_exist_are_refused(rows: list[int]) -> None:
    with pytest.raises(InputError, match="of 50 do not exist"):
        gather(some(), np.array(rows))


# --- check ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_rows_that_are_no_numbers_are_counted_and_the_first_is_named(bad: float) -> None:
    array = some(BLOCK_ROWS + 20, 3)
    array[BLOCK_ROWS + 2, 1] = array[BLOCK_ROWS + 7, 0] = bad
    with pytest.raises(InputError, match=rf"synthetic: 2 of {BLOCK_ROWS + 20} rows .* row {BLOCK_ROWS + 2}"):
        check(array, "synthetic")


def test_numbers_beyond_float32_are_refused_as_such() -> None:
    array = some().astype(np.float64)
    array[4, 2] = 1e300
    with pytest.raises(InputError, match="too large"):
        check(array, "synthetic")


def test_zero_vectors_are_counted_and_the_first_is_named() -> None:
    array = some()
    array[[9, 30]] = 0
    array[20] = 1e-30
    with pytest.raises(InputError, match="train: 3 of 50 rows are zero vectors, the first is row 9"):
        check(array, "train")


def test_constant_columns_and_repeated_rows_pass_but_equal_rows_do_not() -> None:
    array = some()
    array[:, 2:] = 1
    array[10] = array[11]
    check(array, "train")
    with pytest.raises(InputError, match="all 50 rows are equal"):
        check(np.tile(array[:1], (50, 1)), "train")
    late = np.tile(array[:1], (BLOCK_ROWS + 5, 1))
    late[-1, 0] += 1
    check(late, "train")


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.ones(5, dtype=np.float32), r"shape \(5,\)"),
        (np.ones((5, 0), dtype=np.float32), r"shape \(5, 0\)"),
        (np.empty((0, 6), dtype=np.float32), "0 rows, at least 2"),
        (some(1), "1 rows, at least 2"),
        (some(5, 4), "4 columns and not 6"),
        (np.array([["a"] * 6] * 5), "not real numbers"),
        (np.ones((5, 6), dtype=np.complex64), "not real numbers"),
        (np.full((5, 6), None), "not real numbers"),
    ],
)
def test_what_is_no_rows_of_vectors_is_refused(array: NDArray[Any], why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        check(array, "control", width=6)
    assert str(caught.value).startswith("control: ") and caught.value.hint


def test_more_rows_can_be_asked_for() -> None:
    check(some(50), "train", fewest=50)
    with pytest.raises(InputError, match="50 rows, at least 51"):
        check(some(50), "train", fewest=51)


# --- ids -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.randoms())
def test_ids_hang_on_content_alone(contents: list[int], random: Any) -> None:
    array = some(7)[contents]
    order = np.array(random.sample(range(len(contents)), len(contents)))
    first, second = ids(array), ids(array[order])
    assert sorted(first) == list(range(len(contents)))
    # equal rows may exchange theirs
    pairs = sorted(zip(contents, first.tolist(), strict=True))
    assert sorted(zip(np.array(contents)[order].tolist(), second.tolist(), strict=True)) == pairs
    for content in set(contents):
        own = sorted(first[np.array(contents) == content])
        assert own == list(range(int(own[0]), int(own[0]) + len(own)))


def test_hashes_are_those_of_the_numbers_not_of_their_type(tmp_path: Path) -> None:
    array = some(40)
    array[3, 2] = 0.0
    minus = array.copy()
    minus[3, 2] = -0.0
    for same in (minus, array.astype(np.float64), saved(tmp_path, array.astype(">f4")), np.asfortranarray(array)):
        np.testing.assert_array_equal(hashes(same), hashes(array))
    nudged = array.copy()
    nudged[5, 5] = np.nextafter(nudged[5, 5], np.float32(9))
    assert np.flatnonzero(hashes(nudged) != hashes(array)).tolist() == [5]


def test_hashes_of_small_whole_numbers_do_not_collide() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(8)] * 4), axis=-1).reshape(-1, 4).astype(np.float32)
    assert len(np.unique(hashes(grid))) == len(grid) == 4096


def test_ranks_count_from_zero_and_keep_the_order_of_equals() -> None:
    assert ranks(np.array([7, 3, 7, 1], dtype=np.uint64)).tolist() == [2, 1, 3, 0]


def test_mixing_loses_nothing_and_spreads_evenly() -> None:
    numbers = np.arange(200_000, dtype=np.uint64)
    mixed = mix(numbers)
    assert len(np.unique(mixed)) == len(numbers)
    counts = np.bincount((mixed % np.uint64(10)).astype(np.intp))
    # 6 standard errors of a uniform draw
    assert np.abs(counts - 20_000).max() < 6 * np.sqrt(20_000 * 0.9)
    high = (mixed[:1000] > np.uint64(2**63)).mean()
    assert abs(high - 0.5) < 6 * 0.5 / np.sqrt(1000)
    assert (mix(numbers, 1) != mixed).all() and (mix(numbers, -5) != mixed).all()


def test_the_overlap_is_every_row_of_the_second_that_stands_in_the_first(tmp_path: Path) -> None:
    first, second = some(60, seed=1), some(30, seed=2)
    second[[4, 9, 10]] = first[[50, 0, 0]]
    assert overlap(first, saved(tmp_path, second.astype(np.float64))).tolist() == [4, 9, 10]
    assert overlap(some(60, seed=1), some(30, seed=2)).tolist() == []


@pytest.mark.parametrize("kept", [[0, 3, 4, 19], [], list(range(20))])
def test_chosen_rows_read_as_if_they_stood_alone(tmp_path: Path, kept: list[int]) -> None:
    vectors = np.arange(60, dtype=np.float32).reshape(20, 3)
    np.save(tmp_path / "v.npy", vectors)
    rows = np.array(kept, dtype=np.intp)
    for source in (vectors, NpyFile(tmp_path / "v.npy")):
        chosen = Chosen(source, rows)
        assert chosen.shape == (len(kept), 3)
        for part in (slice(0, None), slice(1, 3), slice(5, 5), slice(2, 100)):
            assert np.array_equal(chosen[part], vectors[rows][part])
        assert [block.tolist() for _, block in blocks(chosen, 3)] == [
            vectors[rows][at : at + 3].tolist() for at in range(0, len(kept), 3)
        ]

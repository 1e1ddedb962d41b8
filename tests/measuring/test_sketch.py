"""Parts merged are the whole, and what is kept of a corpus is what it was."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring import bands
from proofset.measuring.blocks import BLOCK_ROWS, NpyFile, ids, mix
from proofset.measuring.frame import Constants, Frame
from proofset.measuring.sketch import SUMS, Sketch

Floats = NDArray[np.float32]
Rows = NDArray[np.intp]


def rows_of(n: int, seed: int = 0, d: int = 6) -> Floats:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(4, d))[rng.integers(0, 4, n)] + 0.4 * rng.normal(size=(n, d)) + 1).astype(np.float32)


SMALL = Frame.of(rows_of(200), Constants(modes=6, features=16, groups=3, directions=3, reservoir=12), "x")
USUAL = Frame.of(rows_of(2000), Constants(modes=20, features=64, reservoir=400), "x")


def assert_same(first: Sketch, second: Sketch, *, rtol: float = 0.0) -> None:
    """Counts and kept rows to the bit, sums to ``rtol`` of the largest of their kind."""
    assert first.n == second.n
    for name in (*SUMS, "fourth"):
        one, other = np.asarray(getattr(first, name)), np.asarray(getattr(second, name))
        if one.dtype.kind == "i":
            np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * float(np.abs(other).max(initial=0)))
    for name in ("ids", "vectors", "groups"):
        np.testing.assert_array_equal(getattr(first.reservoir, name), getattr(second.reservoir, name))
    assert first.bands.n == second.bands.n and first.bands.last == second.bands.last
    for name in ("cells", "families", "contents", "counts", "dropped", "vectors"):
        np.testing.assert_array_equal(getattr(first.bands.kept, name), getattr(second.bands.kept, name))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_split_merged_in_any_order_is_the_whole(data: st.DataObject) -> None:
    n, parts = data.draw(st.integers(1, 120)), data.draw(st.integers(1, 6))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    rows = rows_of(n, int(rng.integers(1000)))
    # some rows are repeated, some nearly
    rows = rows[rng.integers(0, n, n)] if data.draw(st.booleans()) else rows
    rows[: n // 3] = rows[0] + np.float32(1e-4) * rng.normal(size=(n // 3, 6)).astype(np.float32)
    numbers, part_of = ids(rows), rng.integers(0, parts, n)
    with pytest.MonkeyPatch.context() as patch:
        # rows are taken in at once, or only when they are asked for
        patch.setattr(bands, "PENDING", data.draw(st.sampled_from([0, 1, 10**6])))
        whole = Sketch.of(rows, SMALL, numbers)
        made = [Sketch.of(rows[part_of == part], SMALL, numbers[part_of == part]) for part in range(parts)]
        assert_same(reduce(Sketch.merged, made), whole, rtol=1e-9)
        order = rng.permutation(parts)
        made = [made[part] for part in order]
        while len(made) > 1:
            first, second, *rest = made
            made = [*rest, first.merged(second)]
        assert_same(made[0], whole, rtol=1e-9)


def test_a_merge_does_not_depend_on_who_is_first_and_changes_neither() -> None:
    rows = rows_of(900)
    first, second = Sketch.of(rows[:500], USUAL), Sketch.of(rows[500:], USUAL, start=500)
    assert_same(first.merged(second), second.merged(first))
    assert_same(first, Sketch.of(rows[:500], USUAL))
    assert_same(second, Sketch.of(rows[500:], USUAL, start=500))


def test_the_same_rows_give_the_same_sketch_to_the_bit_from_memory_and_from_a_file(tmp_path: Path) -> None:
    rows = rows_of(BLOCK_ROWS + 500)
    np.save(tmp_path / "x.npy", rows)
    first = Sketch.of(rows, USUAL)
    assert_same(first, Sketch.of(rows, USUAL))
    assert_same(first, Sketch.of(NpyFile(tmp_path / "x.npy"), USUAL))
    assert_same(first, Sketch.of(rows.astype(np.float64), USUAL))


def test_s_10_permuted_rows_give_the_same_sketch_to_rounding() -> None:
    rows = rows_of(3000)
    rows[:300] = rows[-300:]
    permuted = rows[np.random.default_rng(1).permutation(3000)]
    assert_same(Sketch.of(rows, USUAL), Sketch.of(permuted, USUAL), rtol=1e-12)


# --- what is kept --------------------------------------------------------------------------------------------------


def test_sums_are_those_of_the_rows_by_group() -> None:
    rows = rows_of(700)
    found = Sketch.of(rows, USUAL)
    groups = (mix(ids(rows)) % np.uint64(10)).astype(np.intp)
    coordinates, features, modes = USUAL.coordinates(rows), USUAL.features(rows), USUAL.modes(rows)
    assert found.n == 700
    np.testing.assert_array_equal(found.counts_G, np.bincount(groups, minlength=10))
    for g in range(10):
        own = groups == g
        for power in range(4):
            np.testing.assert_allclose(found.powers_G[power, g], (coordinates[own] ** (power + 1)).sum(axis=0))
        np.testing.assert_allclose(found.features_G[g], features[own].sum(axis=0, dtype=np.float64), atol=1e-9)
        np.testing.assert_array_equal(found.modes_G[g], np.bincount(modes[own], minlength=len(USUAL.centres)))
    exact = rows.astype(np.float64)
    np.testing.assert_allclose(found.total, exact.sum(axis=0))
    np.testing.assert_allclose(found.products, exact.T @ exact)
    assert found.fourth == pytest.approx(((exact**2).sum(axis=1) ** 2).sum())


def test_the_reservoir_is_the_rows_with_the_smallest_mixed_ids_in_order() -> None:
    rows = rows_of(5000)
    numbers = ids(rows)
    kept = Sketch.of(rows, USUAL).reservoir
    order = np.argsort(mix(numbers))[:400]
    np.testing.assert_array_equal(kept.ids, numbers[order])
    np.testing.assert_array_equal(kept.vectors, rows[order])
    np.testing.assert_array_equal(kept.groups, mix(numbers)[order] % np.uint64(10))
    few = Sketch.of(rows[:50], USUAL).reservoir
    assert sorted(map(tuple, few.vectors.tolist())) == sorted(map(tuple, rows[:50].tolist()))


def test_every_row_is_equally_likely_to_be_kept_and_to_come_first() -> None:
    constants = Constants(modes=2, features=8, groups=2, directions=2, reservoir=50)
    rows = rows_of(200)
    frame = Frame.of(rows[:50], constants, "x")
    place = {tuple(row): number for number, row in enumerate(rows.tolist())}
    kept, first = np.zeros(200), np.zeros(200)
    for seed in range(120):
        seeded = replace(frame, constants=replace(constants, seed=seed))
        chosen = [place[tuple(row)] for row in Sketch.of(rows, seeded).reservoir.vectors.tolist()]
        assert len(set(chosen)) == 50
        kept[chosen] += 1
        first[chosen[:10]] += 1
    for counts, share in ((kept, 50 / 200), (first, 10 / 200)):
        expected = 120 * share
        chi2 = ((counts - expected) ** 2 / (expected * (1 - share))).sum()
        # 200 counts: mean 200, sd 20
        assert abs(chi2 - 200) < 4.5 * 20


def test_a_sketch_of_a_million_rows_would_be_no_larger() -> None:
    def stored(sketch: Sketch) -> int:
        return len(sketch.reservoir.ids) + len(sketch.bands.kept.cells)

    assert stored(Sketch.of(rows_of(1000), USUAL)) <= 800
    assert 780 <= stored(Sketch.of(rows_of(20_000), USUAL)) <= 800


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_saved_sketch_comes_back_to_the_bit_and_can_go_on(tmp_path: Path) -> None:
    rows = rows_of(5000)
    rows[:2000] = rows[0]
    sketch = Sketch.of(rows[:4000], USUAL)
    sketch.save(tmp_path / "s.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]
    back = Sketch.load(tmp_path / "s.npz", USUAL)
    assert_same(back, sketch)
    assert back.bands.share_repeated(0.01) == sketch.bands.share_repeated(0.01)
    later = np.arange(4000, 5000, dtype=np.uint64)
    for one in (back, sketch):
        one.add(rows[4000:], later)
    assert_same(back, sketch)


def test_another_frame_is_refused_by_merge_and_load(tmp_path: Path) -> None:
    other = Frame.of(rows_of(2001), USUAL.constants, "x")
    sketch = Sketch.of(rows_of(100), USUAL)
    with pytest.raises(InputError, match="different frames"):
        sketch.merged(Sketch.of(rows_of(100), other, start=100))
    sketch.save(tmp_path / "s.npz")
    with pytest.raises(InputError, match="another frame"):
        Sketch.load(tmp_path / "s.npz", other)


def test_a_file_that_is_no_whole_sketch_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    Sketch.of(rows_of(100), USUAL).save(path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (b"", whole[:-50], whole[:middle], whole[:middle] + bytes(100) + whole[middle + 100 :], b"nothing"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="not a whole sketch"):
            Sketch.load(path, USUAL)
    np.save(tmp_path / "array.npy", rows_of(3))
    np.savez(path, format=np.array(1))
    for other in (tmp_path / "array.npy", path, tmp_path / "none.npz"):
        with pytest.raises(InputError, match="not a whole sketch"):
            Sketch.load(other, USUAL)


def test_a_sketch_of_another_format_or_with_other_shapes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    Sketch.of(rows_of(100), USUAL).save(path)
    with np.load(path) as file:
        arrays: dict[str, Any] = dict(file)
    np.savez(path, **(arrays | {"format": np.array(99)}))
    with pytest.raises(InputError, match="format 99"):
        Sketch.load(path, USUAL)
    np.savez(path, **(arrays | {"total": np.zeros(3)}))
    with pytest.raises(InputError, match=r"total of shape \(3,\)"):
        Sketch.load(path, USUAL)


# --- refusals ------------------------------------------------------------------------------------------------------


def test_rows_of_another_width_or_shape_are_refused() -> None:
    with pytest.raises(InputError, match="do not fit 6 columns"):
        Sketch.of(rows_of(10, d=5), USUAL)
    with pytest.raises(InputError, match=r"shape \(6,\)"):
        Sketch.of(rows_of(1)[0], USUAL)
    with pytest.raises(InputError, match="9 ids for 10 rows"):
        Sketch.of(rows_of(10), USUAL, np.arange(9, dtype=np.uint64))
    with pytest.raises(InputError, match="with 9 ids"):
        Sketch(USUAL).add(rows_of(10), np.arange(9, dtype=np.uint64))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e25])
def test_rows_that_are_no_numbers_are_refused(bad: float) -> None:
    rows = rows_of(10)
    rows[3, 3] = bad
    with pytest.raises(InputError, match="1 rows hold NaN"):
        Sketch.of(rows, USUAL)


def test_a_part_that_is_added_twice_is_refused() -> None:
    rows = rows_of(1000)
    first = Sketch.of(rows[:500], USUAL)
    with pytest.raises(InputError, match="two rows have the id") as caught:
        first.merged(Sketch.of(rows[500:], USUAL))
    assert "start" in caught.value.hint
    with pytest.raises(InputError, match="two rows have the id"):
        Sketch.of(rows, USUAL, np.arange(1000, dtype=np.uint64) // np.uint64(2)).reservoir  # noqa: B018


def test_no_rows_are_a_sketch_too() -> None:
    nothing, something = Sketch.of(rows_of(0), USUAL), Sketch.of(rows_of(50), USUAL)
    assert nothing.n == 0 and len(nothing.reservoir.ids) == 0
    assert_same(nothing.merged(something), something)

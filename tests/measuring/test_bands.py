"""Shares of repeated rows against all pairs, where only a part of the rows is kept."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring import bands
from proofset.measuring.frame import Constants, Frame
from proofset.measuring.neighbours import nearest
from proofset.measuring.sketch import Sketch

Floats = NDArray[np.float32]
KEPT = 1000


def organic(n: int, seed: int, d: int = 32) -> Floats:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(20, d))
    return (centres[rng.integers(0, 20, n)] + 0.35 * rng.normal(size=(n, d))).astype(np.float32)


@cache
def framed(seed: int = 0) -> Frame:
    return Frame.of(organic(3000, 1), Constants(reservoir=KEPT, modes=20, features=8, seed=seed), "x")


FRAME = framed()


def jitter(rows: Floats, size: float, seed: int) -> Floats:
    return (rows + size * np.random.default_rng(seed).normal(size=rows.shape)).astype(np.float32)


def exact(rows: Floats, threshold: float) -> float:
    """The share by all pairs of different rows."""
    different, counts = np.unique(rows, axis=0, return_counts=True)
    apart = nearest(different, different, but=np.arange(len(different)))[:, 0]
    return float(counts[(counts > 1) | (apart <= threshold)].sum() / len(rows))


def planted(kind: str, n: int, seed: int) -> Floats:
    """Organic rows, a known part of which repeats others exactly or up to a jitter of about 1 %."""
    rows = organic(n, seed)
    tenth = n // 10
    match kind:
        case "five of each":
            rows = np.repeat(rows[: n // 5], 5, axis=0)
        case "pairs":
            rows[:tenth] = jitter(rows[-tenth:], 0.01, seed)
        case "five alike":
            rows[: 4 * tenth] = jitter(np.repeat(rows[-tenth:], 4, axis=0), 0.01, seed)
        case "half equal":
            rows[: n // 2] = rows[-1]
        case "half alike":
            rows[: n // 2] = jitter(np.repeat(rows[-1:], n // 2, axis=0), 0.01, seed)
        case "families of a hundred":
            rows[: 3 * tenth] = np.repeat(rows[-3 * tenth // 100 :], 100, axis=0)
        case "families of twenty":
            rows[:tenth] = np.repeat(rows[-(tenth // 20) :], 20, axis=0)
    return rows


KINDS = (
    "fresh",
    "five of each",
    "pairs",
    "five alike",
    "half equal",
    "half alike",
    "families of a hundred",
    "families of twenty",
)


@pytest.mark.parametrize("kind", KINDS)
def test_the_share_is_right_within_its_error_though_a_twelfth_of_the_rows_is_kept(kind: str) -> None:
    rows = planted(kind, 12_000, 3)
    share, error, seen = Sketch.of(rows, FRAME).bands.share_repeated(0.2)
    assert abs(share - exact(rows, 0.2)) <= 2.5 * error
    assert 0 < error < 0.06 and KEPT < seen <= 12_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_error_is_honest_over_forty_corpora(kind: str) -> None:
    missed = []
    for seed in range(40):
        rows = planted(kind, 12_000, 100 + seed)
        share, error, _ = Sketch.of(rows, framed(seed)).bands.share_repeated(0.2)
        missed.append((share - exact(rows, 0.2), error))
    gaps, errors = np.array(missed).T
    assert (np.abs(gaps) <= 2 * errors).mean() >= 0.9
    if kind == "five of each":
        # the truth is 1, and no estimate goes above it
        assert gaps.max() == 0
    else:
        # the mean is off by no more than chance, but for the few alike rows in different modes
        assert abs(gaps.mean()) <= 3 * gaps.std() / np.sqrt(40) + 0.002


@pytest.mark.slow
def test_a_giant_of_fifty_thousand_equal_rows_is_weighed_right() -> None:
    rows = np.concatenate([organic(30_000, 5), np.repeat(organic(1, 6), 50_000, axis=0)])
    share, error, _ = Sketch.of(rows, FRAME).bands.share_repeated(0.2)
    truth = 50_000 / 80_000
    assert exact(rows, 0.2) == pytest.approx(truth)
    assert abs(share - truth) <= 2.5 * error
    # that of a plain sample of 1,000, or a little above it, since rows that meet come in pairs
    plain = np.sqrt(truth * (1 - truth) / KEPT)
    assert plain <= error <= 1.5 * plain


def test_a_threshold_of_zero_finds_exact_copies_alone() -> None:
    rows = planted("five of each", 6000, 3)
    rows[:3000] = jitter(rows[:3000], 1e-3, 4)
    share, error, _ = Sketch.of(rows, FRAME).bands.share_repeated(0.0)
    assert abs(share - 0.5) <= 2.5 * error
    assert error < 0.05


def test_a_corpus_that_fits_into_the_sample_is_judged_exactly() -> None:
    rows = planted("pairs", KEPT, 3)
    for threshold in (0.0, 0.05, 0.2, 2.0):
        share, error, seen = Sketch.of(rows, FRAME).bands.share_repeated(threshold)
        assert share == pytest.approx(exact(rows, threshold))
        assert (error, seen) == (0.0, KEPT)


def test_the_share_of_merged_parts_is_that_of_the_whole_to_the_bit() -> None:
    rows = planted("five alike", 12_000, 3)
    numbers = np.arange(12_000, dtype=np.uint64)
    parts = [Sketch.of(rows[at::3], FRAME, numbers[at::3]) for at in range(3)]
    whole = Sketch.of(rows, FRAME, numbers).bands
    merged = parts[2].merged(parts[0]).merged(parts[1]).bands
    assert merged.share_repeated(0.2) == whole.share_repeated(0.2)


def test_cells_are_kept_whole_and_as_many_as_fit() -> None:
    rows = planted("five of each", 12_000, 3)
    everything = Frame.of(organic(3000, 1), Constants(reservoir=20_000, modes=20, features=8), "x")
    some, every = Sketch.of(rows, FRAME).bands, Sketch.of(rows, everything).bands
    assert len(every.kept.cells) == 2400 and (every.kept.counts == 5).all()
    inside = every.kept.cells <= np.uint64(some.last)
    np.testing.assert_array_equal(some.kept.contents, every.kept.contents[inside])
    np.testing.assert_array_equal(some.kept.counts, every.kept.counts[inside])
    _, sizes = np.unique(every.kept.cells, return_counts=True)
    assert KEPT - sizes.max() < len(some.kept.cells) <= KEPT


def test_a_family_is_counted_and_not_stored() -> None:
    rows = jitter(np.repeat(organic(1, 7), 9000, axis=0), 1e-4, 8)
    kept = Sketch.of(rows, FRAME).bands.kept
    _, stored = np.unique(kept.families, return_counts=True)
    assert stored.max() == bands.STORED
    assert kept.counts.sum() + kept.dropped.sum() == 9000


def test_rows_on_their_centre_stay_in_one_cell() -> None:
    rows = np.concatenate([np.repeat(FRAME.centres[:3], 2000, axis=0), organic(2000, 2)])
    kept = Sketch.of(rows[np.random.default_rng(0).permutation(8000)], FRAME).bands.kept
    assert set(kept.counts[kept.counts > 1]) <= {2000}
    share, error, _ = Sketch.of(rows, FRAME).bands.share_repeated(0.01)
    assert abs(share - 0.75) <= 2.5 * error


def test_a_row_on_its_centre_is_in_the_same_cell_alone_and_among_others() -> None:
    together = Sketch.of(np.concatenate([FRAME.centres, organic(900, 2)]), FRAME).bands.kept
    cells = dict(zip(together.contents.tolist(), together.families.tolist(), strict=True))
    for row in FRAME.centres:
        alone = Sketch.of(row[None], FRAME).bands.kept
        assert cells[int(alone.contents[0])] == int(alone.families[0])


def test_rows_that_are_found_stand_for_those_in_other_cells() -> None:
    rows = organic(12_000, 3)
    rows[:1200] = jitter(rows[-1200:], 0.1, 4)
    sketch = Sketch.of(rows, FRAME)
    share, error, _ = sketch.bands.share_repeated(0.7)
    truth = exact(rows, 0.7)
    assert 0.19 < truth <= 0.2
    assert abs(share - truth) <= 2.5 * error
    # those that are found themselves are too few
    kept = sketch.bands.kept
    seen = nearest(kept.vectors, kept.vectors, but=np.arange(len(kept.cells)))[:, 0] <= 0.7
    assert seen.mean() < truth - 2.5 * error


def test_a_single_cell_that_does_not_fit_leaves_what_the_sample_sees() -> None:
    train = np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32)
    frame = Frame.of(train, Constants(reservoir=50, modes=2, features=8), "x")
    rows = np.random.default_rng(1).normal(size=(3000, 1)).astype(np.float32)
    rows[:1500] = rows[0]
    share, _, seen = Sketch.of(rows, frame).bands.share_repeated(0.0)
    assert share == pytest.approx(0.5, abs=0.3)
    assert seen >= 50


def test_no_rows_and_no_distance_are_refused() -> None:
    with pytest.raises(InputError, match="no rows"):
        Sketch(FRAME).bands.share_repeated(0.1)
    for threshold in (-1.0, float("nan")):
        with pytest.raises(InputError, match="a threshold of"):
            Sketch.of(organic(50, 2), FRAME).bands.share_repeated(threshold)

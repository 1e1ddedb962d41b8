"""Herding comes closer than chance, keeps rare modes, and weights have their known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.synthesizing.selection import (
    curriculum,
    herd,
    mmd2,
    mode_weights,
    optimal_share,
    record_weights,
    select,
)

Doubles = NDArray[np.float64]
CENTRES = np.array([[3.0, 0.0, 0.0, 0.0], [0.0, 3.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]])


def cloud(seed: int, sizes: tuple[int, ...]) -> tuple[Doubles, NDArray[np.intp]]:
    """Vectors around three centres, ``sizes`` of each, and the number of each one's centre."""
    modes = np.repeat(np.arange(3), sizes)
    rng = np.random.default_rng(seed)
    return CENTRES[modes] + rng.normal(scale=0.5, size=(len(modes), 4)), modes


def test_herding_comes_clearly_closer_than_random_subsets() -> None:
    ratios = []
    for seed in range(12):
        (pool, _), (organic, _) = cloud(seed, (150, 100, 50)), cloud(1000 + seed, (60, 60, 80))
        _, path = herd(pool, organic, 40)
        rng = np.random.default_rng(seed)
        chance = [mmd2(pool[rng.choice(len(pool), 40, replace=False)], organic) for _ in range(20)]
        assert path[-1] < min(chance)
        ratios.append(path[-1] / np.mean(chance))
    assert max(ratios) < 0.05


def test_the_path_is_the_mmd_of_each_beginning() -> None:
    (pool, _), (organic, _) = cloud(1, (20, 20, 20)), cloud(2, (9, 9, 9))
    weights = np.linspace(1, 3, 27)
    picked, path = herd(pool, organic, 25, weights)
    for taken in (1, 2, 7, 25):
        assert path[taken - 1] == pytest.approx(mmd2(pool[picked[:taken]], organic, weights), abs=1e-12)


def test_each_pick_is_the_best_next_one() -> None:
    (pool, _), (organic, _) = cloud(3, (5, 5, 5)), cloud(4, (8, 8, 8))
    picked, path = herd(pool, organic, 6)
    for taken in range(6):
        before = picked[:taken].tolist()
        rest = [row for row in range(len(pool)) if row not in before]
        assert path[taken] == pytest.approx(min(mmd2(pool[[*before, row]], organic) for row in rest), abs=1e-12)


def test_the_mmd_of_two_points_is_known() -> None:
    h = 4.0  # the one distance between the organic points, squared
    between = (math.exp(0) + math.exp(-4 / h)) / 2
    assert mmd2([[0.0]], [[0.0], [2.0]]) == pytest.approx(1 - 2 * between + between)


def test_nothing_is_picked_twice_and_a_beginning_is_a_smaller_selection() -> None:
    (pool, _), (organic, _) = cloud(5, (30, 30, 30)), cloud(6, (10, 10, 10))
    picked, _ = herd(pool, organic, 90)
    assert sorted(picked.tolist()) == list(range(90))
    assert herd(pool, organic, 12)[0].tolist() == picked[:12].tolist()


def test_rare_modes_are_raised_in_the_selection() -> None:
    (pool, of_pool), (organic, _) = cloud(7, (300, 300, 40)), cloud(8, (150, 140, 10))
    plain, raised = (select(pool, organic, 30, 0, modes=3, gamma=gamma) for gamma in (0.0, 1.0))
    rare = [int((of_pool[list(chosen.indices)] == 2).sum()) for chosen in (plain, raised)]
    assert 1 <= rare[0] <= 3  # 3.3 % of 30 is 1
    assert 8 <= rare[1] <= 12  # a third


def test_mode_weights_are_one_over_size_to_the_power() -> None:
    organic, modes = cloud(9, (64, 32, 4))
    even = mode_weights(organic, 3, 1.0, 0)
    totals = np.bincount(modes, weights=even)
    assert totals == pytest.approx([100 / 3] * 3)
    half = mode_weights(organic, 3, 0.5, 0)
    assert half[modes == 2][0] / half[modes == 0][0] == pytest.approx(4.0)
    assert half.mean() == pytest.approx(1.0)
    assert mode_weights(organic, 3, 0.0, 0).tolist() == [1.0] * 100
    assert mode_weights(np.ones((5, 2)), 3, 1.0, 0).tolist() == [1.0] * 5


def test_a_mode_that_the_generator_likes_too_much_is_cut_back() -> None:
    (pool, of_pool), (organic, _) = cloud(10, (400, 50, 50)), cloud(11, (40, 40, 40))
    chosen = select(pool, organic, 60, 0, gamma=0.0)
    assert np.bincount(of_pool[list(chosen.indices)]).tolist() == pytest.approx([20, 20, 20], abs=3)
    assert (chosen.mmd2_after or 1) < 0.2 * (chosen.mmd2_before or 0)


@pytest.mark.parametrize(("r", "share"), [(1.0, 0.6180), (0.5, 0.5), (2.0, 0.7321)])
def test_the_organic_share_has_its_known_answers(r: float, share: float) -> None:
    assert optimal_share(1000 * r, 1000) == pytest.approx(share, abs=5e-5)
    assert optimal_share(1000 * r, 1000) == pytest.approx((math.sqrt(r * r + 4 * r) - r) / 2, abs=1e-12)


def test_the_organic_share_at_the_ends() -> None:
    assert (optimal_share(10, 0), optimal_share(0, 10)) == (1.0, 0.0)
    assert 0.999999 < optimal_share(10**9, 1) < 1.0
    for bad in ((0, 0), (-1, 5), (math.nan, 1)):
        with pytest.raises(InputError):
            optimal_share(*bad)


def test_the_share_is_optimal_in_a_settled_loop() -> None:
    # The error of the mean after a generation: w² / r from organic draws, (1 - w)² (before + 1) from synthetic ones,
    # in units of one synthetic mean's variance; at rest e = (w² / r + (1 - w)²) / (1 - (1 - w)²).
    for r in (0.3, 1.0, 4.0):
        grid = np.linspace(0.01, 0.99, 9801)
        error = (grid**2 / r + (1 - grid) ** 2) / (1 - (1 - grid) ** 2)
        assert grid[error.argmin()] == pytest.approx(optimal_share(r, 1), abs=2e-4)


def test_right_records_leave_the_organic_ones_their_share() -> None:
    weights = record_weights(np.ones(200), 100)
    assert 100 / (100 + weights.sum()) == pytest.approx(optimal_share(100, 200))
    assert weights.tolist() == pytest.approx([optimal_share(100, 200)] * 200)


def test_a_doubtful_record_weighs_as_much_less_as_it_is_less_probable() -> None:
    weights = record_weights([1.0, 0.5, 0.0, 0.5], 2)
    assert weights.tolist() == pytest.approx([0.6180, 0.3090, 0.0, 0.3090], abs=5e-5)  # r = 2 / 2
    assert record_weights([], 3).tolist() == []


def test_weights_that_make_no_sense_are_refused() -> None:
    for bad in ([1.1], [-0.1], [math.nan], [[0.5]]):
        with pytest.raises(InputError):
            record_weights(bad, 3)
    with pytest.raises(InputError, match="there are none"):
        record_weights([0.5], 0)


def test_a_curriculum_goes_from_easy_to_hard_with_ties_by_id() -> None:
    assert curriculum([0.5, 0.1, 0.5, 0.9], ["d", "c", "b", "a"]).tolist() == [1, 2, 0, 3]
    assert curriculum([0.5, 0.1, 0.5]).tolist() == [1, 0, 2]
    assert curriculum([]).tolist() == []
    for bad in ([math.nan], [[1.0]]):
        with pytest.raises(InputError):
            curriculum(bad)
    with pytest.raises(InputError):
        curriculum([1.0], ["a", "b"])


def test_a_selection_is_aligned_and_ordered_by_difficulty() -> None:
    (pool, _), (organic, _) = cloud(12, (10, 10, 10)), cloud(13, (10, 10, 10))
    difficulty, p_correct = np.arange(30)[::-1] % 7, np.linspace(0.4, 1.0, 30)
    chosen = select(pool, organic, 12, 0, p_correct=p_correct, difficulty=difficulty)
    assert sorted(chosen.order) == sorted(chosen.indices)
    assert list(chosen.order) == sorted(chosen.indices, key=lambda row: (difficulty[row], row))
    per_probability = np.array(chosen.weights) / p_correct[list(chosen.indices)]
    assert per_probability == pytest.approx(per_probability[0])
    plain = select(pool, organic, 12, 0)
    assert plain.order == plain.indices == chosen.indices


def test_equal_calls_give_equal_selections() -> None:
    (pool, _), (organic, _) = cloud(14, (40, 40, 40)), cloud(15, (40, 40, 40))
    assert select(pool, organic, 20, 3) == select(pool.copy(), organic.copy(), 20, 3)
    assert select(pool.astype(np.float32), organic, 20, 3) == select(pool.astype(np.float32), organic, 20, 3)


def test_all_none_and_an_empty_pool() -> None:
    (pool, _), (organic, _) = cloud(16, (4, 4, 4)), cloud(17, (4, 4, 4))
    everything = select(pool, organic, 50, 0)
    assert sorted(everything.indices) == list(range(12))
    assert everything.mmd2_after == pytest.approx(everything.mmd2_before)
    nothing = select(pool, organic, 0, 0)
    assert (nothing.indices, nothing.weights, nothing.order, nothing.mmd2_after) == ((), (), (), None)
    assert nothing.mmd2_before is not None
    empty = select([], organic, 5, 0)
    assert (empty.indices, empty.mmd2_before, empty.mmd2_after) == ((), None, None)


def test_what_cannot_be_compared_is_refused() -> None:
    (organic, _) = cloud(18, (4, 4, 4))
    broken = organic.copy()
    broken[0, 0] = math.nan
    for pool, target in ((broken, organic), (organic, broken), (organic[:, :2], organic), (organic, np.zeros((0, 4)))):
        with pytest.raises(InputError):
            select(pool, target, 3, 0)
    with pytest.raises(InputError):
        select(organic, organic, -1, 0)
    for weights in (np.zeros(12), -np.ones(12), np.ones(11)):
        with pytest.raises(InputError):
            herd(organic, organic, 3, weights)
    with pytest.raises(InputError):
        select(organic, organic, 3, 0, gamma=1.5)
    with pytest.raises(InputError):
        mmd2([], organic)


def test_blocks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    (pool, _), (organic, _) = cloud(19, (20, 20, 20)), cloud(20, (10, 10, 10))
    whole = herd(pool, organic, 15)
    monkeypatch.setattr("proofset.synthesizing.selection.BLOCK_CELLS", 100)
    parts = herd(pool, organic, 15)
    assert parts[0].tolist() == whole[0].tolist() and parts[1] == pytest.approx(whole[1])

from __future__ import annotations

import math

import numpy as np
import pytest

from proofset.errors import InputError
from proofset.measuring.anchored_loops import anchored_plateau
from proofset.measuring.gaussian_loops import replace_variance
from proofset.measuring.token_loops import (
    anchored_discrete,
    anchored_repeat,
    anchored_tokens,
    collapse_time_bounds,
    collapsed_bounds,
    drift,
    repeat_chance,
    replace_discrete,
    replace_tokens,
    survival,
    survival_bound,
    survival_branching,
    tail_scale,
    zipf,
)


def repeats(law: np.ndarray) -> float:
    return float((law**2).sum())


def test_c_12_repeats_grow_and_rare_types_die() -> None:
    assert repeat_chance(repeats(zipf(500)), 200, 10) == pytest.approx(0.0828, abs=5e-5)
    finding = replace_discrete(1.0, 0)
    assert finding.outcomes[0].tolerance == 0.0013
    assert [outcome.tolerance for outcome in finding.outcomes[2:4]] == [0.05, 0.05]
    assert finding.holds, finding.outcomes


def test_c_12_survival_has_its_reference_numbers() -> None:
    for generation, exact, branching, bound in ((5, 0.7173, 0.7130, 0.5507), (20, 0.3132, 0.3069, 0.1813)):
        assert survival(200, [0.02], generation)[0] == pytest.approx(exact, abs=5e-5)
        assert survival_branching(200, 0.02, generation) == pytest.approx(branching, abs=5e-5)
        assert survival_bound(200, 0.02, generation) == pytest.approx(bound, abs=5e-5)
    assert sum(survival_branching(200, p, 10) for p in zipf(500)) == pytest.approx(25.0, abs=0.05)
    assert survival(200, zipf(500), 1) == pytest.approx(1 - (1 - zipf(500)) ** 200)


def test_c_12_the_tail_is_worth_twice_the_records_over_the_generations() -> None:
    assert [tail_scale(g) for g in (0, 1, 2)] == pytest.approx([1, 1 - math.exp(-1), 1 - math.exp(math.exp(-1) - 1)])
    assert 1_000 * tail_scale(1_000) / 2 == pytest.approx(1, rel=0.01)


def test_c_12_collapse_lies_between_its_bounds() -> None:
    start, size, types = np.array([0.4, 0.3, 0.2, 0.1]), 8, 4
    laws = list(replace_tokens(start, 20_000, size, 60, np.random.default_rng(0)))
    gone = [float((law.max(axis=1) == 1).mean()) for law in laws]
    for m in (1, 5, 10, 30, 60):
        low, high = collapsed_bounds(repeats(start), size, m, types)
        assert low - 0.01 <= gone[m - 1] <= high + 0.01
        # The bounds must say something about this loop.
        assert high < 1 and (m < 30 or low > 0.2)
    mean_time = 1 + sum(1 - share for share in gone)
    low, high = collapse_time_bounds(repeats(start), size, types)
    assert low < mean_time < high


def test_c_12_diversity_obeys_the_law_of_a_gaussian_loop() -> None:
    start = repeats(zipf(50))
    assert (1 - repeat_chance(start, 100, 50)) / (1 - start) == pytest.approx(replace_variance(100, 50))


def test_c_13_kept_records_stop_the_growth() -> None:
    start = repeats(zipf(500))
    assert anchored_repeat(start, 100, 100) == pytest.approx(0.0484, abs=5e-5)
    assert anchored_repeat(start, 100, 900) == pytest.approx(0.0498, abs=5e-5)
    finding = anchored_discrete(1.0, 0)
    assert finding.outcomes[0].tolerance == pytest.approx(0.03 * 0.0484, rel=1e-3)
    assert finding.holds, finding.outcomes


def test_c_13_the_plateau_is_where_the_recursion_ends() -> None:
    start, organic, made = 0.1, 30, 70
    first, squared = start * (1 - 1 / organic) + 1 / organic, 0.7**2
    path = [first]
    for _ in range(200):
        path.append((1 - squared) * first + squared * ((1 - 1 / made) * path[-1] + 1 / made))
    assert path[-1] == pytest.approx(anchored_repeat(start, organic, made))
    assert path[:5] == pytest.approx([anchored_repeat(start, organic, made, m) for m in range(1, 6)])


def test_c_13_is_the_gaussian_loop_with_a_fixed_anchor() -> None:
    start = 0.07
    for organic, made in ((100, 100), (100, 900), (20, 380)):
        plateau = anchored_plateau(organic + made, organic / (organic + made))
        assert 1 - anchored_repeat(start, organic, made) == pytest.approx((1 - start) * plateau, rel=1e-12)


def test_c_13_drift_is_bounded_for_any_number_of_synthetic_records() -> None:
    start, types, organic = zipf(20), 20, 50
    for made in (10, 200, 10**9):
        extra = anchored_repeat(repeats(start), organic, made) - anchored_repeat(repeats(start), organic, made, 1)
        assert drift(repeats(start), organic, made) == pytest.approx(extra, rel=1e-6)
        assert drift(repeats(start), organic, made) < min(made / organic**2, 1 / (2 * organic + 1))
    *_, first, last = [law for g, law in enumerate(anchored_tokens(start, 5_000, 50, 200, 30, np.random.default_rng(0)))
                       if g in (0, 29)]  # fmt: skip
    assert np.abs(last - first).sum(axis=1).mean() < math.sqrt(types * drift(repeats(start), organic, 200))


def test_drawing_from_the_last_sample_is_multinomial() -> None:
    start = np.array([0.5, 0.3, 0.15, 0.05])
    _, ours = replace_tokens(start, 40_000, 20, 2, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    theirs = rng.multinomial(20, rng.multinomial(20, start, 40_000) / 20) / 20
    assert ours.mean(axis=0) == pytest.approx(theirs.mean(axis=0), abs=0.005)
    assert ours.var(axis=0) == pytest.approx(theirs.var(axis=0), rel=0.05)
    assert ((ours == 0).mean(axis=0)) == pytest.approx((theirs == 0).mean(axis=0), abs=0.01)


def test_survival_begins_with_the_first_sample() -> None:
    with pytest.raises(InputError, match="generation 0"):
        survival(10, [0.1], 0)

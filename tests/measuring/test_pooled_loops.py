from __future__ import annotations

import itertools

import numpy as np
import pytest

from proofset.errors import InputError
from proofset.measuring.gaussian_loops import replace_variance
from proofset.measuring.pooled_loops import (
    _distinct,
    accumulate,
    accumulate_biased,
    accumulate_bound,
    accumulate_limit,
    accumulate_runs,
    accumulate_subsample,
    accumulate_tail,
    accumulate_variance,
    subsample_runs,
    subsample_variance,
)


def test_c_04_accumulation_loses_a_bounded_share() -> None:
    assert accumulate_variance(10, 5) == pytest.approx(0.85888, abs=5e-6)
    assert accumulate_limit(10) == pytest.approx(0.84344, abs=5e-6)
    assert accumulate_limit(100) == pytest.approx(0.98363, abs=5e-6)
    assert accumulate_variance(10, 100_000) == pytest.approx(accumulate_limit(10), abs=2e-6)
    for size in (10, 100, 1_000):
        assert accumulate_bound(size) < accumulate_limit(size) < accumulate_variance(size, 50)
    finding = accumulate(1.0, 0)
    assert [outcome.tolerance for outcome in finding.outcomes[:4]] == [0.0144, 0.0144, 0.0144, 0.0052]
    assert finding.holds, finding.outcomes


def test_c_05_accumulation_does_not_save_a_narrowing_decoder() -> None:
    assert accumulate_variance(100, 200, bias=0.9) == pytest.approx(0.6023, abs=5e-5)
    assert accumulate_variance(100, 200, bias=0.7) == pytest.approx(0.2211, abs=5e-5)
    assert accumulate_variance(10_000, 5_000, bias=0.7) == pytest.approx(accumulate_tail(5_000, 0.7), rel=1e-3)
    assert accumulate_variance(100, 1_000_000, bias=0.7) < 0.02
    finding = accumulate_biased(1.0, 0)
    assert finding.outcomes[0].tolerance == pytest.approx(0.02 * 0.6023, rel=1e-3)
    assert finding.holds, finding.outcomes


def test_c_06_a_fixed_budget_from_all_that_was_kept_declines_slowly() -> None:
    assert subsample_variance(20, 60)[1] == pytest.approx(0.8638, abs=5e-5)
    assert replace_variance(20, 60) == pytest.approx(0.0461, abs=5e-5)
    assert subsample_variance(20, 10_000)[1] > 0.82
    finding = accumulate_subsample(1.0, 0)
    assert {outcome.tolerance for outcome in finding.outcomes} == {0.036}
    assert finding.holds, finding.outcomes


def test_pools_of_sufficient_statistics_are_pools_of_records() -> None:
    rng, size, last = np.random.default_rng(0), 5, 4
    pool = rng.normal(size=(200_000, size))
    for _ in range(last - 1):
        drawn = rng.normal(size=(200_000, size))
        pool = np.hstack([pool, pool.mean(axis=1, keepdims=True) + pool.std(axis=1, keepdims=True) * drawn])
    means, variances = accumulate_runs(200_000, size, last, np.random.default_rng(1))
    for ours, theirs in ((means[:, -1], pool.mean(axis=1)), (variances[:, -1], pool.var(axis=1))):
        assert np.quantile(ours, [0.1, 0.5, 0.9]) == pytest.approx(np.quantile(theirs, [0.1, 0.5, 0.9]), abs=0.02)


def test_the_first_batch_is_organic() -> None:
    assert accumulate_variance(10, 1) == 0.9
    assert subsample_variance(10, 1) == pytest.approx((0.9, 0.9))
    _, pool, fit = subsample_runs(100, 10, 1, np.random.default_rng(0))
    # The first sample of the pool without replacement is the pool.
    assert pool == pytest.approx(fit)


def test_samples_without_replacement_are_distinct_and_even() -> None:
    picked = _distinct(30_000, 5, 3, np.random.default_rng(0))
    assert all(len(set(row)) == 3 for row in picked.tolist())
    sets, counts = np.unique(np.sort(picked, axis=1), axis=0, return_counts=True)
    assert sets.tolist() == [list(three) for three in itertools.combinations(range(5), 3)]
    assert counts == pytest.approx(3_000, rel=0.1)


@pytest.mark.parametrize(("size", "generations"), [(1, 5), (10, 0)])
def test_impossible_pools_are_refused(size: int, generations: int) -> None:
    rng = np.random.default_rng(0)
    for call in (
        lambda: accumulate_variance(size, generations),
        lambda: subsample_variance(size, generations),
        lambda: accumulate_runs(5, size, generations, rng),
        lambda: subsample_runs(5, size, generations, rng),
    ):
        with pytest.raises(InputError, match="pool"):
            call()

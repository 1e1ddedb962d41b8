from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.errors import InputError
from proofset.measuring.gaussian_loops import (
    batch,
    pooled,
    replace_biased,
    replace_distance,
    replace_error,
    replace_log_variance,
    replace_mle,
    replace_runs,
    replace_unbiased,
    replace_variance,
)


def test_c_01_replace_loses_a_share_of_1_over_m_a_generation() -> None:
    assert replace_variance(100, 50) == pytest.approx(0.6050, abs=5e-5)
    assert 1 - replace_variance(100, 50) == pytest.approx(0.3950, abs=5e-5)
    assert replace_log_variance(100, 50) == pytest.approx(-1.0093, abs=5e-5)
    assert replace_error(100, 50, 20_000) == pytest.approx(0.0056, abs=5e-5)
    finding = replace_mle(1.0, 0)
    assert finding.runs == 20_000
    assert [outcome.tolerance for outcome in finding.outcomes] == [0.0225, 0.0225, 0.029]
    assert finding.holds, finding.outcomes


def test_c_01_the_stated_error_is_what_the_mean_really_varies_by() -> None:
    means = [replace_runs(400, 20, 20, np.random.default_rng(seed))[1][:, -1].mean() for seed in range(400)]
    assert np.std(means) == pytest.approx(replace_error(20, 20, 400), rel=0.15)


def test_c_01_a_wrong_divisor_is_found() -> None:
    variances = replace_runs(20_000, 100, 50, np.random.default_rng(0), unbiased=True)[1]
    assert abs(variances[:, -1].mean() - replace_variance(100, 50)) > 0.3


def test_c_02_the_unbiased_loop_collapses_though_its_mean_stays() -> None:
    assert replace_distance(100, 50) == pytest.approx(0.7372, abs=5e-5)
    assert replace_distance(100, 100) == pytest.approx(1.4463, abs=5e-5)
    assert replace_distance(1_000, 10) == pytest.approx(1.5 * 10 / 1_000, rel=0.01)
    assert replace_log_variance(100, 50, unbiased=True) == pytest.approx(-50 / 99, rel=0.01)
    assert replace_variance(100, 50, unbiased=True) == 1
    finding = replace_unbiased(1.0, 0)
    assert finding.outcomes[3].tolerance == pytest.approx(0.03 * 1.4463, rel=1e-3)
    assert finding.holds, finding.outcomes


def test_c_02_almost_every_loop_dies_in_the_end() -> None:
    variances = replace_runs(500, 5, 200, np.random.default_rng(0), unbiased=True)[1]
    assert (variances[:, -1] < 1e-3).mean() > 0.99


def test_c_03_a_narrowing_decoder_multiplies_the_loss() -> None:
    assert replace_variance(100, 30, bias=0.95) == pytest.approx(0.1588, abs=5e-5)
    assert replace_variance(100, 30, bias=0.95, unbiased=True) == pytest.approx(0.95**30)
    finding = replace_biased(1.0, 0)
    assert finding.outcomes[0].tolerance == 0.004
    assert finding.holds, finding.outcomes


def test_sufficient_statistics_are_those_of_real_draws() -> None:
    means, variances = batch(1.5, 4.0, 7, np.random.default_rng(0), 200_000)
    drawn = np.random.default_rng(1).normal(1.5, 2.0, (200_000, 7))
    for ours, theirs in ((means, drawn.mean(axis=1)), (variances, drawn.var(axis=1))):
        at = [0.01, 0.1, 0.5, 0.9, 0.99]
        assert np.quantile(ours, at) == pytest.approx(np.quantile(theirs, at), rel=0.03, abs=0.02)
    assert abs(np.corrcoef(means, variances)[0, 1]) < 0.01


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_pooled_moments_are_those_of_the_joined_records(kept: int, new: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    old, fresh = rng.normal(1, 2, (3, kept)), rng.normal(-1, 3, (3, new))
    moments = (part(axis=1) for pool in (old, fresh) for part in (pool.mean, pool.var))
    mean, variance = pooled(kept / (kept + new), *moments)
    joined = np.concatenate([old, fresh], axis=1)
    assert mean == pytest.approx(joined.mean(axis=1))
    assert variance == pytest.approx(joined.var(axis=1))


def test_the_seed_decides() -> None:
    assert replace_mle(0.01, 3) == replace_mle(0.01, 3)
    assert replace_mle(0.01, 3) != replace_mle(0.01, 4)


@pytest.mark.parametrize(("size", "generations"), [(1, 5), (0, 5), (10, -1)])
def test_impossible_loops_are_refused(size: int, generations: int) -> None:
    for formula in (replace_variance, replace_log_variance, replace_distance):
        with pytest.raises(InputError):
            formula(size, generations)
    with pytest.raises(InputError):
        replace_runs(10, size, generations, np.random.default_rng(0))


def test_no_generation_is_no_loss() -> None:
    assert replace_variance(10, 0) == 1
    assert replace_log_variance(10, 0) == 0
    assert replace_distance(10, 0) == 0
    assert math.isclose(replace_error(10, 0, 5), 0)

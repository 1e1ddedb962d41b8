from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from proofset.artifacts import locate
from proofset.errors import InputError
from proofset.measuring.gaussian_loops import replace_log_variance
from proofset.measuring.vector_loops import bootstrap_loop, bootstrapped, heavy_cloud, log_rate, rates
from proofset.models.encoders import static


def test_c_17_a_bootstrap_loop_loses_variance_at_its_rates() -> None:
    assert log_rate(300) == pytest.approx(2 / 300, rel=0.01)
    finding = bootstrapped(1.0, 0)
    trace, log = finding.outcomes
    assert trace.expected == pytest.approx(0.00333, abs=5e-6)
    assert log.expected == pytest.approx(0.00667, rel=0.05)
    # Rates so well measured that neither could be mistaken for the other, or for none.
    assert trace.tolerance < 0.0006 and log.tolerance < 0.0005
    assert finding.holds, finding.outcomes


def test_c_17_conservation_holds_direction_by_direction() -> None:
    loop = bootstrap_loop(heavy_cloud(400, 6, np.random.default_rng(0)), draws=20, generations=25, runs=3_000)
    totals = loop.variances[:, -1] + loop.shifts[:, -1]
    errors = totals.std(axis=0) / np.sqrt(3_000)
    assert (np.abs(totals.mean(axis=0) - loop.variances[0, 0]) < 4 * errors).all()
    kept = loop.traces[:, -1] / loop.traces[0, 0]
    assert abs(kept.mean() - 0.95**25) < 4 * kept.std() / np.sqrt(3_000)


@pytest.mark.parametrize("freedom", [6.0, 8.0, 30.0])
def test_c_17_heavier_tails_lose_faster_in_the_logarithm(freedom: float) -> None:
    # Few directions far apart in variance: the strongest ones of many would be mixtures, which are nearly normal.
    cloud = heavy_cloud(5_000, 4, np.random.default_rng(1), freedom=freedom)
    loop = bootstrap_loop(cloud, runs=1_000)
    rate, error = loop.log_rate
    assert error < 0.0003
    assert abs(rate - log_rate(300, loop.kurtosis, 30)) < 3 * error
    assert loop.kurtosis == pytest.approx(3 + 6 / (freedom - 4), rel=0.2)


def test_c_17_normal_directions_lose_as_a_refitted_gaussian_does() -> None:
    for draws in (100, 300, 1_000):
        assert log_rate(draws) == pytest.approx(-replace_log_variance(draws, 1), rel=0.02)
    assert log_rate(300, generations=30) < log_rate(300)


def test_the_cloud_has_the_covariance_it_says() -> None:
    cloud = heavy_cloud(200_000, 4, np.random.default_rng(0))
    assert np.cov(cloud.T) == pytest.approx(np.diag(np.arange(1, 5) ** -0.5), abs=0.02)


def test_directions_are_the_strongest_and_no_more_than_there_are() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 10))
    loop = bootstrap_loop(flat, draws=10, generations=2, runs=2, directions=64)
    assert loop.variances.shape == (2, 3, 3)
    assert loop.traces[0, 0] == pytest.approx(flat.var(axis=0).sum())
    assert (np.diff(loop.variances[0, 0]) < 0).all()
    assert bootstrap_loop(flat, draws=10, generations=2, runs=2, directions=1).traces[0, 0] < loop.traces[0, 0]


def test_the_seed_decides_and_rotation_does_not() -> None:
    cloud = heavy_cloud(100, 5, np.random.default_rng(0))
    turned = cloud @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    first, same, other = (bootstrap_loop(v, runs=3, seed=s) for v, s in ((cloud, 0), (turned, 0), (cloud, 1)))
    assert first.variances == pytest.approx(same.variances)
    assert first.variances != pytest.approx(other.variances)


def test_bad_vectors_and_sizes_are_refused() -> None:
    cloud = np.random.default_rng(0).normal(size=(10, 3))
    broken = cloud.copy()
    broken[0, 0] = np.nan
    for vectors in (cloud[0], cloud[:1], broken):
        with pytest.raises(InputError, match="shape"):
            bootstrap_loop(vectors)
    with pytest.raises(InputError, match="all equal"):
        bootstrap_loop(np.ones((10, 3)))
    for bad in ({"draws": 1}, {"generations": 0}, {"runs": 1}):
        with pytest.raises(InputError, match="runs of"):
            bootstrap_loop(cloud, **bad)


def test_any_vectors_make_a_finding() -> None:
    cloud = np.random.default_rng(0).uniform(size=(300, 5)) * np.arange(1, 6)
    loop = bootstrap_loop(cloud, draws=50, generations=10, runs=200)
    assert loop.kurtosis == pytest.approx(1.8, abs=0.2)
    finding = rates(loop)
    assert finding.holds, finding.outcomes
    assert finding.outcomes[1].expected < 1.6 / 50


@pytest.mark.slow
def test_c_17_holds_for_the_vectors_of_real_text() -> None:
    lines = locate("artifact:reuters-r52/reuters-r52-train.tab", Path()).read_text(encoding="utf-8").split("\n")[3:]
    vectors = static().encode([line.split("\t")[1] for line in lines if "\t" in line])
    assert vectors.shape == (6_533, 256)
    loop = bootstrap_loop(vectors, runs=200, seed=0)
    (trace, trace_error), (log, log_error) = loop.trace_rate, loop.log_rate
    assert trace_error < 0.0003 and abs(trace - 1 / 300) < 3 * trace_error
    assert log_error < 0.0004 and abs(log - 2 / 300) < 3 * log_error
    assert rates(loop).holds

from __future__ import annotations

import math

import numpy as np
import pytest

from proofset.errors import InputError
from proofset.measuring.findings import Doubles
from proofset.measuring.label_loops import (
    _mixed_error,
    least_efficiency,
    mixed_risk,
    regression_risk,
    regression_runs,
    relabelled,
    strong_collapse,
    wishart_roots,
)


def test_c_09_errors_of_labels_add_up_unless_data_is_kept() -> None:
    base = regression_risk("replace", 100, 20, 1)
    assert base == pytest.approx(0.2532, abs=5e-5)
    assert regression_risk("replace", 100, 20, 10) == pytest.approx(10 * base)
    assert regression_risk("accumulate", 100, 20, 10) / base == pytest.approx(1.5498, abs=5e-5)
    assert regression_risk("accumulate", 100, 20, 100_000) / base == pytest.approx(math.pi**2 / 6, abs=2e-5)
    assert 1 / least_efficiency() == pytest.approx(math.pi**2 / 6)
    finding = relabelled(1.0, 0)
    assert finding.outcomes[1].tolerance == pytest.approx(0.65)
    assert finding.holds, finding.outcomes


def test_c_09_new_rows_are_slightly_better_than_the_same() -> None:
    new, same = (regression_risk(w, 100, 20, 10) for w in ("accumulate new rows", "accumulate"))
    assert new < same
    assert new / regression_risk("replace", 100, 20, 1) == pytest.approx(1.4702, abs=5e-5)
    seen = regression_runs("accumulate new rows", 6_000, 30, 5, 6, np.random.default_rng(0))
    for n in range(6):
        error = seen[:, n].std() / math.sqrt(6_000)
        assert abs(seen[:, n].mean() - regression_risk("accumulate new rows", 30, 5, n + 1)) < 4 * error


def test_c_09_the_short_cut_is_least_squares_on_rows() -> None:
    rng, runs, rows, columns = np.random.default_rng(0), 2_000, 12, 3
    squares = []
    for _ in range(runs):
        table, labels = np.zeros((0, columns)), np.zeros(0)
        weights: Doubles = np.zeros(columns)
        for _ in range(3):
            fresh = rng.normal(size=(rows, columns))
            table = np.vstack([table, fresh])
            labels = np.append(labels, fresh @ weights + rng.normal(size=rows))
            weights = np.asarray(np.linalg.lstsq(table, labels)[0], dtype=np.float64)
        squares.append((weights**2).sum())
    quick = regression_runs("accumulate new rows", 20_000, rows, columns, 3, np.random.default_rng(1))[:, -1]
    assert np.quantile(squares, [0.2, 0.5, 0.8]) == pytest.approx(np.quantile(quick, [0.2, 0.5, 0.8]), rel=0.08)


def test_wishart_matrices_are_those_of_rows() -> None:
    roots = wishart_roots(20_000, 6, 3, np.random.default_rng(0))
    found = roots @ roots.transpose(0, 2, 1)
    rows = np.random.default_rng(1).normal(size=(20_000, 6, 3))
    real = rows.transpose(0, 2, 1) @ rows
    assert found.mean(axis=0) == pytest.approx(6 * np.eye(3), abs=0.15)
    assert np.linalg.det(found).mean() == pytest.approx(6 * 5 * 4, rel=0.05)
    assert np.quantile(found[:, 0, 1], [0.1, 0.9]) == pytest.approx(np.quantile(real[:, 0, 1], [0.1, 0.9]), abs=0.1)


def test_c_10_a_small_share_of_wrong_labels_leaves_a_floor() -> None:
    assert mixed_risk(2_000, 20, 0.1, noise=0.5) == pytest.approx(0.01343, abs=5e-6)
    assert mixed_risk(2_000, 20, 0.01, noise=0.5) == pytest.approx(0.00273, abs=5e-6)
    assert mixed_risk(10**9, 20, 0.001, gap=2.0) == pytest.approx(4 * 0.001**2, rel=0.03)
    finding = strong_collapse(1.0, 0)
    assert finding.outcomes[0].tolerance == pytest.approx(0.1 * 0.01343, rel=1e-3)
    assert finding.holds, finding.outcomes


def test_c_10_the_short_cut_is_least_squares_on_rows() -> None:
    rng, errors = np.random.default_rng(0), []
    for _ in range(150):
        rows, shift = rng.normal(size=(400, 20)), rng.normal(size=20)
        labels = 0.5 * rng.normal(size=400)
        labels[:80] += rows[:80] @ (shift / np.linalg.norm(shift))
        errors.append((np.linalg.lstsq(rows, labels)[0] ** 2).sum())
    quick = _mixed_error(4_000, 400, 0.2, 0.5, np.random.default_rng(1))
    assert np.mean(errors) == pytest.approx(quick.mean(), rel=0.06)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(InputError, match="21 rows for 20"):
        regression_risk("replace", 21, 20, 1)

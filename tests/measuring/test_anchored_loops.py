from __future__ import annotations

import numpy as np
import pytest

from proofset.errors import InputError
from proofset.measuring.anchored_loops import (
    anchored_path,
    anchored_plateau,
    anchored_runs,
    best_weight,
    contraction,
    effective_size,
    fixed_anchor,
    fresh_data,
    fresh_path,
    fresh_plateau,
    fresh_runs,
    optimal_weight,
    stability,
    weighted_risk,
)


def test_c_07_a_fixed_anchor_makes_variance_settle() -> None:
    plateaus = {share: anchored_plateau(1_000, share) for share in (0.01, 0.05, 0.1)}
    assert plateaus == pytest.approx({0.01: 0.8573, 0.05: 0.9705, 0.1: 0.9853}, abs=5e-5)
    finding = fixed_anchor(1.0, 0)
    assert [outcome.tolerance for outcome in finding.outcomes[:3]] == [0.022, 0.0108, 0.0076]
    assert finding.holds, finding.outcomes


def test_c_07_with_a_narrowing_decoder_no_number_of_records_helps() -> None:
    assert anchored_plateau(1_000, 0.1, bias=0.9) == pytest.approx(0.5199, abs=5e-5)
    assert anchored_plateau(10_000_000, 0.1, bias=0.9) == pytest.approx(0.526, abs=5e-4)


@pytest.mark.parametrize(("share", "bias"), [(0.01, 1.0), (0.1, 1.0), (0.1, 0.9), (0.5, 0.7)])
def test_c_07_the_plateau_is_where_the_exact_path_ends(share: float, bias: float) -> None:
    path = anchored_path(1_000, share, 3_000, bias=bias)
    assert path[-1] == pytest.approx(anchored_plateau(1_000, share, bias=bias), rel=1e-9)
    seen = anchored_runs(4_000, 1_000, share, 5, np.random.default_rng(0), bias=bias)[1]
    errors = seen.std(axis=0) / np.sqrt(4_000)
    assert (np.abs(seen.mean(axis=0) - path[:6]) < 4 * errors).all()


def test_c_07_without_decoder_bias_the_two_forms_are_one() -> None:
    for share in (0.01, 0.3, 0.9):
        plain = (1 - 1 / (share * 1_000)) / (1 + (1 - share) / (share * (2 - share) * 1_000))
        assert anchored_plateau(1_000, share) == pytest.approx(plain, rel=1e-12)
        fresh = 1 - 1 / (1_000 * (1 - (1 - share) ** 2) + 1 - share)
        assert fresh_plateau(1_000, share) == pytest.approx(fresh, rel=1e-12)


def test_c_08_fresh_records_keep_variance_better() -> None:
    assert fresh_plateau(1_000, 0.01) == pytest.approx(0.9521, abs=5e-5)
    assert fresh_plateau(1_000, 0.1) == pytest.approx(0.9948, abs=5e-5)
    finding = fresh_data(1.0, 0)
    assert finding.outcomes[0].tolerance == 0.014
    assert finding.holds, finding.outcomes


@pytest.mark.parametrize(("share", "bias"), [(0.01, 1.0), (0.1, 1.0), (0.1, 0.9), (0.5, 0.7)])
def test_c_08_the_plateau_is_where_the_exact_path_ends(share: float, bias: float) -> None:
    path = fresh_path(1_000, share, 3_000, bias=bias)
    assert path[-1] == pytest.approx(fresh_plateau(1_000, share, bias=bias), rel=1e-9)
    seen = fresh_runs(4_000, 1_000, share, 5, np.random.default_rng(0), bias=bias)[1]
    errors = seen.std(axis=0) / np.sqrt(4_000)
    assert (np.abs(seen.mean(axis=0) - path[:6]) < 4 * errors).all()


def test_c_08_unbiased_synthetic_records_at_most_double_the_organic_ones() -> None:
    worth = [effective_size(100, made) for made in (2, 100, 10_000, 10**7)]
    assert worth == sorted(worth)
    assert worth[1] == pytest.approx(100 * 1.5 + 0.5)
    assert worth[-1] == pytest.approx(201, abs=0.01)


def test_c_08_biased_ones_first_add_and_then_take_away() -> None:
    assert effective_size(10, 2, bias=0.95) > 10
    assert effective_size(10, 100, bias=0.95) < 3
    assert effective_size(100, 10_000, bias=0.95) < 2


def test_c_11_organic_records_get_their_golden_weight() -> None:
    for ratio, weight in ((1.0, 0.6180), (0.5, 0.5), (2.0, 0.7321)):
        assert best_weight(ratio) == pytest.approx(weight, abs=5e-5)
        assert weighted_risk(best_weight(ratio), ratio) == pytest.approx(best_weight(ratio), rel=1e-12)
        risks = [weighted_risk(w, ratio) for w in np.linspace(0.05, 1, 400)]
        assert min(risks) == pytest.approx(best_weight(ratio), rel=1e-4)
    assert weighted_risk(0.5, 1.0) == pytest.approx(2 / 3)
    assert weighted_risk(1.0, 3.0) == 1
    finding = optimal_weight(1.0, 0)
    assert finding.outcomes[1].tolerance == 0.05 * 0.5
    assert finding.holds, finding.outcomes


def test_c_19_a_shift_is_forgotten_by_the_factor_beta() -> None:
    assert contraction(4.0) == 0.8
    assert contraction(1e9) < 1
    finding = stability(1.0, 0)
    assert finding.outcomes[0].tolerance == 1e-9
    assert finding.holds, finding.outcomes


@pytest.mark.parametrize("share", [0.0, 1.0, 0.001, 0.0125, 0.999, -0.1])
def test_shares_that_are_no_whole_records_are_refused(share: float) -> None:
    with pytest.raises(InputError, match="share"):
        anchored_plateau(1_000, share)
    with pytest.raises(InputError, match="share"):
        fresh_plateau(1_000, share)

from __future__ import annotations

import numpy as np
import pytest

from proofset.errors import InputError
from proofset.measuring.tail_loops import (
    cut_floor,
    cut_floor_law,
    heavy_tail,
    missing_mass,
    missing_mass_law,
    taught_error,
    taught_runs,
)


def test_c_14_error_falls_as_a_power_and_cut_tails_leave_a_floor() -> None:
    assert missing_mass_law(1_000, 1.5) == pytest.approx(0.0942, abs=5e-5)
    assert cut_floor_law(100, 1.5) == pytest.approx(0.0766, abs=5e-5)
    finding = heavy_tail(1.0, 0)
    assert finding.outcomes[0].tolerance == pytest.approx(0.03 * 0.0942, rel=1e-3)
    assert finding.outcomes[3].tolerance == pytest.approx(0.05 * 1.895, rel=1e-3)
    assert finding.holds, finding.outcomes


def test_c_14_sums_cut_at_a_million_terms_give_the_reference_numbers() -> None:
    rest = cut_floor(1_000_000, 1.5)
    assert missing_mass(1_000, 1.5) - rest == pytest.approx(0.0934, abs=5e-5)
    assert cut_floor(100, 1.5) - rest == pytest.approx(0.0756, abs=5e-5)
    cut = (taught_error(1_000, 1.5, 11) - rest) / (missing_mass(1_000, 1.5) - rest)
    assert cut == pytest.approx(1.90, abs=5e-3)


@pytest.mark.parametrize("exponent", [1.3, 1.5, 2.0, 3.0])
def test_c_14_the_laws_hold_for_many_records(exponent: float) -> None:
    assert missing_mass_law(1e6, exponent) == pytest.approx(missing_mass(1e6, exponent), rel=2e-3)
    assert cut_floor_law(100_000, exponent) == pytest.approx(cut_floor(100_000, exponent), rel=1e-4)


def test_c_14_ten_times_the_records_gain_the_power() -> None:
    assert missing_mass(1e5, 1.5) / missing_mass(1e6, 1.5) == pytest.approx(10 ** (1 / 3), rel=2e-3)


def test_c_14_teaching_itself_costs_as_much_as_having_fewer_records() -> None:
    errors = taught_runs(100, 300, 1.5, 4, np.random.default_rng(0))
    assert (np.diff(errors, axis=1) >= 0).all()
    assert errors.mean(axis=0) == pytest.approx([taught_error(300, 1.5, g) for g in range(5)], rel=0.04)


@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_laws_without_a_sum_are_refused(exponent: float) -> None:
    for formula in (missing_mass, missing_mass_law, cut_floor, cut_floor_law):
        with pytest.raises(InputError, match="exponent"):
            formula(100, exponent)

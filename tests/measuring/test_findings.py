from __future__ import annotations

import math

import numpy as np
import pytest

from proofset.errors import InputError
from proofset.measuring.findings import FEWEST, Finding, Outcome, Trial, curve


def outcome(measured: float) -> Outcome:
    return Outcome(name="n", expected=1.0, measured=measured, tolerance=0.1)


def test_a_number_agrees_within_its_tolerance_and_never_when_it_is_none() -> None:
    assert outcome(1.09).ok and outcome(0.91).ok
    assert not outcome(1.11).ok
    assert not outcome(math.nan).ok and not outcome(math.inf).ok


def test_a_finding_holds_when_every_number_does() -> None:
    def finding(*measured: float) -> Finding:
        return Finding(id="x", title="", words="", source="", runs=1, outcomes=tuple(map(outcome, measured)), curves=())

    assert finding(1.0, 1.05).holds
    assert not finding(1.0, 1.2).holds


def test_less_effort_is_fewer_runs_and_wider_tolerances() -> None:
    quarter, whole, more = Trial(0.25, 0), Trial(1.0, 0), Trial(4.0, 0)
    assert [trial.runs(1_000) for trial in (quarter, whole, more)] == [250, 1_000, 4_000]
    assert Trial(1e-6, 0).runs(1_000) == FEWEST
    assert [trial.near("n", 1, 1, 0.1).tolerance for trial in (quarter, whole, more)] == pytest.approx([0.2, 0.1, 0.1])


def test_a_mean_gets_four_of_its_standard_errors() -> None:
    draws = np.random.default_rng(0).normal(3.0, 2.0, 10_000)
    found = Trial(1.0, 0).mean("n", 3.0, draws)
    assert found.tolerance == pytest.approx(4 * 2.0 / 100, rel=0.03)
    assert found.measured == draws.mean()
    assert found.ok and not Trial(1.0, 0).mean("n", 3.2, draws).ok


def test_the_seed_and_the_numbers_decide_the_draws() -> None:
    def first(seed: int, *numbers: int) -> float:
        return float(Trial(1.0, seed).rng(*numbers).random())

    assert first(0, 1) == first(0, 1)
    assert len({first(0, 1), first(1, 1), first(0, 2), first(0, 1, 1)}) == 4


@pytest.mark.parametrize(("effort", "seed"), [(0.0, 0), (-1.0, 0), (math.nan, 0), (math.inf, 0), (1.0, -1)])
def test_impossible_trials_are_refused(effort: float, seed: int) -> None:
    with pytest.raises(InputError):
        Trial(effort, seed)


def test_a_curve_has_one_y_per_x() -> None:
    made = curve("c", range(3), np.ones(3), [1, 2, 3], labels=("a", "b"))
    assert made.x == (0.0, 1.0, 2.0) and made.measured == (1.0, 2.0, 3.0)
    assert (made.x_label, made.y_label) == ("a", "b")
    with pytest.raises(InputError, match="3, 2 and 3"):
        curve("c", range(3), np.ones(2), np.ones(3), labels=("a", "b"))

from __future__ import annotations

import math

import numpy as np
import pytest

from proofset.errors import InputError
from proofset.measuring.gaussian_loops import replace_runs
from proofset.measuring.recursion import EXPERIMENTS, conservation, experiment


def test_every_result_has_its_experiment_in_order() -> None:
    numbers = [*range(18), 19]
    assert list(EXPERIMENTS) == [f"C-{number:02}" for number in numbers]


def test_c_00_variance_lost_is_shift_gained_in_every_workflow() -> None:
    finding = conservation(1.0, 0)
    assert len(finding.outcomes) == 6
    assert {outcome.expected for outcome in finding.outcomes} == {1.0}
    assert finding.holds, finding.outcomes


def test_c_00_a_wrong_divisor_breaks_it() -> None:
    means, variances = replace_runs(8_000, 20, 30, np.random.default_rng(0), unbiased=True)
    total = variances[:, -1] + means[:, -1] ** 2
    assert abs(total.mean() - 1) > 4 * total.std() / math.sqrt(8_000)


@pytest.mark.parametrize("id", EXPERIMENTS)
def test_a_quick_experiment_is_whole_and_repeatable(id: str) -> None:
    finding = experiment(id, effort=0.02, seed=1)
    assert finding.id == id
    assert finding.holds, finding.outcomes
    assert finding.title and finding.words.endswith(".") and finding.source and finding.curves
    for drawn in finding.curves:
        assert len(drawn.x) > 1 and len(drawn.x) == len(drawn.expected) == len(drawn.measured)
        assert np.isfinite([drawn.x, drawn.expected, drawn.measured]).all()
        assert drawn.x_label and drawn.y_label
    assert experiment(id, effort=0.02, seed=1) == finding


@pytest.mark.parametrize("id", [id for id in EXPERIMENTS if id != "C-16"])
def test_another_seed_is_another_chance(id: str) -> None:
    first, second = (experiment(id, effort=0.02, seed=seed) for seed in (1, 2))
    assert [o.measured for o in first.outcomes] != [o.measured for o in second.outcomes]


@pytest.mark.parametrize("id", EXPERIMENTS)
def test_no_experiment_takes_a_bad_effort_or_seed(id: str) -> None:
    for effort, seed in ((0.0, 0), (math.nan, 0), (1.0, -1)):
        with pytest.raises(InputError):
            experiment(id, effort=effort, seed=seed)


def test_an_unknown_experiment_is_refused() -> None:
    with pytest.raises(InputError, match="C-99"):
        experiment("C-99")


@pytest.mark.slow
@pytest.mark.parametrize("id", EXPERIMENTS)
def test_full_size_experiments_hold_for_other_seeds(id: str) -> None:
    for seed in (1, 2, 3):
        finding = experiment(id, seed=seed)
        assert finding.holds, (seed, finding.outcomes)

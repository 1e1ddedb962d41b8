from __future__ import annotations

import math

import numpy as np
import pytest

from proofset.errors import InputError
from proofset.measuring.verified_loops import (
    DISTANCE,
    _crossing,
    break_even,
    tilt_path,
    tilt_plateau,
    tilted,
    verified_accuracy,
    verified_labels,
)


def test_c_15_a_verifier_has_a_sharp_threshold() -> None:
    assert break_even(0.9, 0.3) == pytest.approx(0.75)
    assert break_even(0.9, 0.1) == pytest.approx(0.9)
    assert break_even(0.5, 0.5) == 0.5
    finding = verified_labels(1.0, 0)
    assert finding.outcomes[0].tolerance == 0.02
    below, above = finding.outcomes[1], finding.outcomes[2]
    assert below.expected - below.tolerance == pytest.approx(0.98)
    assert above.expected + above.tolerance == pytest.approx(0.05)
    assert finding.holds, finding.outcomes


def test_c_15_the_short_cut_is_a_classifier_trained_on_kept_rows() -> None:
    rng, found = np.random.default_rng(0), []
    mean = np.zeros(10)
    mean[0] = DISTANCE
    for _ in range(60):
        true = rng.choice([-1, 1], 400)
        wrong = rng.random(400) < 0.7
        kept = rng.random(400) < np.where(wrong, 0.3, 0.9)
        rows = true[:, None] * mean + rng.normal(size=(400, 10))
        weights = (np.where(wrong, -true, true)[:, None] * rows)[kept].sum(axis=0)
        fresh = rng.choice([-1, 1], 4_000)
        right = np.sign((fresh[:, None] * mean + rng.normal(size=(4_000, 10))) @ weights) == fresh
        found.append(right.mean() / (0.5 * math.erfc(-DISTANCE / math.sqrt(2))))
    quick = verified_accuracy(2_000, 400, 10, 0.7, (0.9, 0.3), np.random.default_rng(1))
    error = np.std(found) / math.sqrt(60)
    assert abs(np.mean(found) - quick.mean()) < 4 * error + 0.002


@pytest.mark.parametrize(("right", "wrong"), [(0.0, 0.0), (1.2, 0.1), (0.9, -0.1)])
def test_chances_that_are_none_are_refused(right: float, wrong: float) -> None:
    with pytest.raises(InputError, match="chances"):
        break_even(right, wrong)


def test_c_16_a_verifier_must_pull_harder_than_the_decoder_narrows() -> None:
    assert tilt_plateau(0.9, 0.25) == pytest.approx(0.6667, abs=5e-5)
    assert tilt_plateau(0.9, 0.5) == pytest.approx(0.8889, abs=5e-5)
    assert tilt_plateau(0.7, 0.25) == 0
    assert tilt_plateau(0.9, 1.0) == 1
    assert tilt_plateau(0.9, 0.0) == 0 and tilt_plateau(1.0, 0.0) == 1
    finding = tilted(1.0, 0)
    assert {outcome.tolerance for outcome in finding.outcomes} == {1e-3}
    assert finding.holds, finding.outcomes


def test_c_16_a_tilt_is_what_rejection_of_draws_does() -> None:
    rng, bias, strength = np.random.default_rng(0), 0.9, 0.25
    variance = 0.8
    for _ in range(3):
        draws = rng.normal(0, math.sqrt(bias * variance), 400_000)
        log_ratio = -(draws**2) / 2 * (1 - 1 / (bias * variance))
        # The ratio is unbounded in the tails; far enough out there are no draws to lose.
        accepted = draws[rng.random(len(draws)) < np.exp(strength * (log_ratio - log_ratio.max()))]
        expected = 1 / ((1 - strength) / (bias * variance) + strength)
        assert accepted.var() == pytest.approx(expected, rel=0.02)
        variance = expected
    assert tilt_path(bias, strength, 1)[1] == pytest.approx(1 / (0.75 / 0.9 + 0.25))


def test_a_crossing_is_found_between_points_or_not_at_all() -> None:
    shares = np.array([0.0, 0.1, 0.2])
    assert _crossing(shares, np.array([0.9, 0.6, 0.4])) == pytest.approx(0.15)
    assert math.isnan(_crossing(shares, np.array([0.9, 0.8, 0.7])))
    assert math.isnan(_crossing(shares, np.array([0.4, 0.3, 0.2])))

"""Yields by slice, with intervals that are as wide as the seed documents make them."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from tests.costing.pilots import GOLDEN, golden_pilot, small

from proofset.costing.yields import design_effect, yields
from proofset.stats import wilson


def test_the_yields_of_the_worked_example() -> None:
    (found,) = yields(golden_pilot())
    expected = GOLDEN["expected"]["yields"]
    for stage in (*found.stages, found.overall):
        assert stage.rate == pytest.approx(expected[stage.name], rel=1e-6)
        assert stage.low < expected[stage.name] < stage.high
        assert stage.deff == pytest.approx(1, abs=0.001)
    low, high = wilson(5980, 10000)
    assert (found.overall.low, found.overall.high) == pytest.approx((low, high), abs=2e-4)
    assert found.at_least_usd_per_accepted is None


def test_documents_that_pass_or_fail_as_a_whole_count_as_one_trial_each() -> None:
    seeds = np.repeat(np.arange(40), 25)
    passed = seeds % 2 == 0
    assert design_effect(passed, seeds) == pytest.approx(25 * 40 / 39 * 999 / 1000, rel=1e-6)
    rows = [(f"d{seed}", "s", "0.01", 100 * int(seed % 2 == 0)) for seed in seeds]
    (found,) = yields(small(rows))
    assert found.overall.low == pytest.approx(wilson(20, 39)[0], abs=0.02)
    assert found.overall.high - found.overall.low > 4 * (wilson(500, 1000)[1] - wilson(500, 1000)[0])


def test_the_design_effect_of_a_beta_yield_is_one_plus_the_correlation_within() -> None:
    rng, documents, each = np.random.default_rng(4), 4000, 20
    seeds = np.repeat(np.arange(documents), each)
    passed = rng.random(len(seeds)) < rng.beta(3, 2, documents)[seeds]
    assert design_effect(passed, seeds) == pytest.approx(1 + (each - 1) / (3 + 2 + 1), rel=0.06)


def test_independent_attempts_have_a_design_effect_of_one_at_least() -> None:
    rng = np.random.default_rng(4)
    assert 1 <= design_effect(rng.random(5000) < 0.4, np.repeat(np.arange(500), 10)) < 1.2


def test_a_lone_document_is_one_trial_and_trials_all_alike_take_the_pilots_effect() -> None:
    assert design_effect(np.array([True, False, True]), np.zeros(3)) == 3
    assert design_effect(np.ones(6, dtype=bool), np.arange(6) // 3, unknown=2.5) == 2.5
    assert design_effect(np.zeros(2, dtype=bool), np.arange(2), unknown=9.0) == 1
    assert design_effect(np.zeros(0, dtype=bool), np.zeros(0)) == 1


def test_a_slice_that_accepted_nothing_has_a_lower_bound_of_its_cost_and_not_none_or_infinity() -> None:
    rows = [(f"e{place}", "easy", "0.02", 500) for place in range(10)]
    rows += [(f"h{place}", "hard", "0.05", 0) for place in range(60)]
    easy, hard = yields(small(rows))
    assert (easy.name, hard.name) == ("easy", "hard")
    assert (hard.overall.rate, hard.overall.low, hard.overall.high) == (0.0, 0.0, 3 / 60)
    assert hard.at_least_usd_per_accepted == 60 * Decimal("0.05") / 3
    assert [stage.rate for stage in hard.stages] == [0.0, None, None, None]
    assert (hard.stages[1].low, hard.stages[1].high) == (0.0, 1.0)


def test_the_rule_of_three_counts_trials_and_not_attempts_where_documents_hold_together() -> None:
    rows = [(f"e{place // 20}", "easy", "0.02", 500 * (place // 20 % 2)) for place in range(400)]
    rows += [(f"h{place // 20}", "hard", "0.05", 0) for place in range(400)]
    _, hard = yields(small(rows))
    assert hard.overall.high == pytest.approx(3 / 400 * hard.overall.deff)
    assert 10 < hard.overall.deff <= 20


def test_a_lower_bound_never_supposes_more_than_all_accepted() -> None:
    (found,) = yields(small([("d", "s", "0.50", 0), ("e", "s", "0.70", 0)]))
    assert found.overall.high == 1.0 and found.at_least_usd_per_accepted == Decimal("0.6")


def test_a_slice_without_prices_has_no_lower_bound() -> None:
    (found,) = yields(small([("d", "s", "0.50", 0)], usd=[None]))
    assert found.at_least_usd_per_accepted is None

"""The interval of the cost per TB holds the truth, because whole seed documents are resampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from benchmarks.projection import worlds
from tests.costing.pilots import golden_pilot, small

from proofset.costing.clusters import clustered, cost_per_tb
from proofset.costing.pilot import rates
from proofset.errors import InputError
from proofset.stats import resampled_counts


def coverage(documents: int, pilots: int, *, by_record: bool = False) -> float:
    rng, inside = np.random.default_rng(9), 0
    for number in range(pilots):
        pilot = worlds.clustered_pilot(documents, 10, rng)
        seeds: Sequence[int] = range(pilot.attempts)
        found = cost_per_tb(replace(pilot, seeds=seeds) if by_record else pilot, resamples=1000, seed=number)
        assert found.low is not None and found.high is not None
        inside += float(found.low) <= worlds.true_usd_per_tb() <= float(found.high)
    return inside / pilots


def test_nine_in_ten_intervals_hold_the_truth_and_those_by_record_do_not() -> None:
    assert coverage(60, 80) >= 0.86
    assert coverage(60, 80, by_record=True) < 0.75


def test_with_few_documents_students_t_holds_the_truth() -> None:
    assert coverage(8, 150) >= 0.89


def test_the_point_is_the_exact_ratio_of_sums() -> None:
    found = cost_per_tb(golden_pilot())
    assert found.usd.quantize(Decimal("0.01")) == Decimal("1775197.32")
    assert found.low is not None and found.high is not None and found.low < found.usd < found.high
    assert found.basis == "cluster bootstrap of 10000 seed documents, 2000 resamples"


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_as_many_draws_lie_outside_the_interval_as_its_level_says(level: float) -> None:
    pilot = worlds.clustered_pilot(60, 10, np.random.default_rng(2))
    found = cost_per_tb(pilot, seed=5, level=level)
    usd, size, _ = clustered(pilot).replicates(2000, np.random.default_rng(5))
    draws = usd / size * 1e12
    assert (draws < float(found.low or 0)).mean() == pytest.approx((1 - level) / 2, abs=0.001)
    assert (draws > float(found.high or 0)).mean() == pytest.approx((1 - level) / 2, abs=0.001)


def test_few_documents_say_so() -> None:
    rows = [(f"d{place % 12}", "s", str(1 + place % 5), 100 + place) for place in range(60)]
    found = cost_per_tb(small(rows))
    assert found.basis.startswith("Student's t with 11 degrees of freedom: 12 seed documents are too few")
    assert found.seeds == 12 and found.low is not None and found.high is not None
    assert 0 < found.low < found.usd < found.high


def test_with_two_slices_there_is_a_degree_of_freedom_less() -> None:
    rows = [(f"d{place}", "ab"[place % 2], str(1 + place % 5), 100 + place) for place in range(20)]
    assert cost_per_tb(small(rows)).basis.startswith("Student's t with 18 degrees")


def test_one_document_has_no_interval() -> None:
    found = cost_per_tb(small([("d", "s", "1", 100), ("d", "s", "2", 100)]))
    assert (found.low, found.high) == (None, None)
    assert found.usd == Decimal("1.5e10") and found.basis.startswith("no interval")


def test_an_interval_of_draws_in_which_nothing_was_accepted_is_open_above() -> None:
    rows = [(f"d{place}", "s", "1", 100 * (place == 0)) for place in range(40)]
    found = cost_per_tb(small(rows))
    assert found.low is not None and found.low > 0 and found.high is None


def test_the_same_seed_gives_the_same_interval_and_another_nearly_the_same() -> None:
    pilot = worlds.clustered_pilot(80, 10, np.random.default_rng(1))
    first = cost_per_tb(pilot, seed=1)
    assert cost_per_tb(pilot, seed=1) == first
    other = cost_per_tb(pilot, seed=2)
    assert other != first and other.low is not None and first.low is not None
    assert float(other.low) == pytest.approx(float(first.low), rel=0.05)


def test_a_linearised_error_is_that_of_the_bootstrap() -> None:
    data = clustered(worlds.clustered_pilot(200, 10, np.random.default_rng(3)))
    usd, size, _ = data.replicates(4000, np.random.default_rng(1))
    assert data.log_error() == pytest.approx(np.log(usd / size).std(), rel=0.06)


def test_slices_are_resampled_apart_where_no_document_serves_two() -> None:
    rows = [(f"{name}{place}", name, str(usd), 100) for name, usd in (("a", 1), ("b", 9)) for place in range(40)]
    data = clustered(small(rows))
    usd, size, _ = data.replicates(500, np.random.default_rng(1))
    assert data.strata == 2
    assert usd / size == pytest.approx(0.05)  # equal within slices, so that nothing varies
    mixed = clustered(small([(seed.strip("ab"), name, usd, size) for seed, name, usd, size in rows]))
    assert mixed.strata == 1 and mixed.seeds == 40


def test_a_draw_without_one_of_the_slices_is_weighed_by_the_others() -> None:
    rows = [(f"d{place}", "often", "1", 100) for place in range(40)] + [("d0", "once", "5", 100)]
    usd, size, _ = clustered(small(rows)).replicates(400, np.random.default_rng(1))
    assert {round(float(rate), 6) for rate in usd / size} == {0.01, round((40 + 5) / 4100, 6)}


def test_rates_of_the_whole_pilot_are_the_exact_ones_for_every_mix() -> None:
    rows = [(f"d{place % 9}", "xyz"[place % 3], str(1 + place % 4), 50 * (place % 7)) for place in range(63)]
    pilot = small(rows)
    for mix in (None, {"x": 1.0}, {"x": 0.2, "y": 0.3, "z": 0.5}):
        data, exact = clustered(pilot, mix), rates(pilot, mix)
        found = data.rates(np.ones((1, data.seeds)))[:, 0]
        assert found == pytest.approx([float(exact.usd), float(exact.bytes), float(exact.accepted)])


def test_resampling_in_blocks_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proofset.costing.clusters.BLOCK_CELLS", 700)
    data = clustered(worlds.clustered_pilot(100, 2, np.random.default_rng(3)))
    assert data.replicates(50, np.random.default_rng(1)).shape == (3, 50)
    assert resampled_counts(100, 7, np.random.default_rng(1)).shape == (7, 100)


def test_bad_requests_are_refused() -> None:
    pilot = small([("d", "s", "1", 100), ("e", "s", "2", 100)])
    with pytest.raises(InputError, match=r"999 resamples at level 0\.95"):
        cost_per_tb(pilot, resamples=999)
    with pytest.raises(InputError, match="level 1"):
        cost_per_tb(pilot, level=1.0)
    with pytest.raises(InputError, match="an attempt has no price"):
        cost_per_tb(small([("d", "s", "1", 100)], usd=[None]))
    with pytest.raises(InputError, match="nothing was accepted"):
        cost_per_tb(small([("d", "s", "1", 0)]))

"""Copies, near-copies and repetitions of known share."""

from __future__ import annotations

import numpy as np
import pytest
from tests.measuring.worlds import Corpora, Vectors, copies, organic, world

from proofset.measuring.neighbours import nearest
from proofset.measuring.novelty import REPEATED_QUANTILE, authenticity, novelty, repeats, slope, threshold, uniqueness
from proofset.measuring.quotient import Estimate, Missing, Taken

WORLD = world(16)
GROUPS = 10


def number(one: Taken) -> Estimate:
    assert isinstance(one, Estimate)
    return one


def copied(given: Corpora, synthetic: Vectors) -> tuple[Estimate, Estimate]:
    """A1 and A2."""
    groups = np.arange(len(given.train)) % GROUPS
    (a, b), (c, d) = (
        [nearest(rows, organic, groups=groups, n_groups=GROUPS) for organic in (given.train, given.reference)]
        for rows in (synthetic, given.control)
    )
    sizes = np.bincount(groups).astype(np.float64)
    ours, theirs = (np.minimum(x.min(axis=1), y.min(axis=1)) for x, y in ((a, b), (c, d)))
    return authenticity(a, b, sizes, sizes), number(novelty(ours, theirs))


def unique(control: Vectors, synthetic: Vectors) -> Taken:
    (d_C, d_S) = (nearest(rows, rows, but=np.arange(len(rows)))[:, 0] for rows in (control, synthetic))
    t = threshold(d_C)
    return uniqueness(
        repeats(synthetic, d_S, t), repeats(control, d_C, t),
        moves=slope(d_S, d_C, REPEATED_QUANTILE), n_S=len(synthetic), n_C=len(control),
    )  # fmt: skip


def inside(one: Estimate, truth: float) -> bool:
    return one.bound(0.025) <= truth <= one.bound(0.975)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_s_04_a_share_of_copies_lowers_authenticity_by_as_much(share: float) -> None:
    rng = np.random.default_rng(41)
    given = organic(WORLD, 2_000, rng)
    a1, a2 = copied(given, copies(WORLD, 2_000, given.train, share, rng))
    assert abs(a1.value - (1 - share)) < 3 * a1.error
    assert abs(a2.value - (1 - share)) < 3 * a2.error
    assert f"Of every 100 synthetic records {round(100 * (1 - a1.value))} lie closer" in a1.words


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_s_04_a_share_of_copies_lowers_authenticity_by_as_much_in_full(share: float) -> None:
    of = world(32)
    for seed in range(5):
        rng = np.random.default_rng([seed, 42])
        given = organic(of, 10_000, rng)
        a1, _ = copied(given, copies(of, 10_000, given.train, share, rng))
        assert abs(a1.value - (1 - share)) < 3 * a1.error


def test_copies_of_training_have_no_authenticity_and_copies_of_anything_no_novelty() -> None:
    rng = np.random.default_rng(43)
    given = organic(WORLD, 1_000, rng)
    a1, a2 = copied(given, given.train)
    assert a1.value == a2.value == 0 and 0 < a1.bound(0.975) < 0.01 and 0 < a2.bound(0.975) < 0.01
    a1, a2 = copied(given, given.reference)
    assert a1.value == 2 and a2.value == 0
    a1, a2 = copied(given, np.concatenate([given.train[:500], given.reference[500:]]))
    assert a1.value == 1 and a2.value == 0


def test_equal_distances_count_half() -> None:
    rng = np.random.default_rng(44)
    given = organic(WORLD, 500, rng)
    both = Corpora(given.train, given.train.copy(), given.control)
    assert copied(both, WORLD.sample(500, rng))[0].value == 1


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_intervals_of_authenticity_and_novelty_cover(share: float) -> None:
    found = []
    for seed in range(100):
        rng = np.random.default_rng([seed, 45])
        given = organic(WORLD, 500, rng)
        found.append(copied(given, copies(WORLD, 500, given.train, share, rng)))
    for i in range(2):
        taken = [pair[i] for pair in found]
        values = np.array([one.value for one in taken])
        assert sum(inside(one, 1 - share) for one in taken) >= 88
        assert 0.85 < np.sqrt(np.mean([one.error**2 for one in taken])) / values.std(ddof=1) < 1.2
        assert abs(values.mean() - (1 - share)) < 4 * values.std(ddof=1) / 10


def test_a_hub_makes_the_error_wider_than_independent_records_would() -> None:
    rng = np.random.default_rng(46)
    # every query is nearest to one of twenty rows: what matters is on which side those are
    hubs = 3 * rng.normal(size=(20, 4))
    organic_rows = np.concatenate([hubs, 50 + rng.normal(size=(980, 4))]).astype(np.float32)
    rng.shuffle(organic_rows)
    given = Corpora(organic_rows[:500], organic_rows[500:], organic_rows[:100] + 1)
    queries = (hubs[rng.integers(20, size=2_000)] + 0.01 * rng.normal(size=(2_000, 4))).astype(np.float32)
    a1, _ = copied(given, queries)
    assert a1.error > 5 * 2 * np.sqrt(0.25 / 2_000)


def test_control_that_is_all_known_leaves_no_novelty_to_compare() -> None:
    zeros = np.zeros(100, dtype=np.float32)
    assert isinstance(novelty(zeros + 1, zeros), Missing)


def test_repetitions_lower_uniqueness_by_their_share() -> None:
    rng = np.random.default_rng(47)
    control = WORLD.sample(1_500, rng)
    five = np.repeat(WORLD.sample(300, rng), 5, axis=0)
    assert number(unique(control, five)).value == 0
    some = WORLD.sample(1_500, rng)
    some[:150] = some[150:300]
    u = number(unique(control, some))
    assert abs(u.value - 0.8) < 3 * u.error
    assert "repeat other synthetic ones" in u.words


def test_intervals_of_uniqueness_cover_for_equal_and_for_other_sizes() -> None:
    for n_S, least in ((800, 88), (2_400, 86), (300, 88)):
        found = []
        for seed in range(100):
            rng = np.random.default_rng([seed, 48])
            found.append(number(unique(WORLD.sample(800, rng), WORLD.sample(n_S, rng))))
        assert sum(inside(one, 1.0) for one in found) >= least
        assert abs(np.mean([one.value for one in found]) - 1) < 0.004


def test_rows_close_together_are_one_cluster() -> None:
    rng = np.random.default_rng(49)
    rows = 10 * rng.normal(size=(200, 4)).astype(np.float32)
    rows[1], rows[3] = rows[0], rows[2]
    distances = nearest(rows, rows, but=np.arange(200))[:, 0]
    found = repeats(rows, distances, 0.0)
    assert found.share == 0.02 and found.dof == 2 and found.n == 200
    assert found.variance == pytest.approx((2 * 4 * 0.98**2 + 196 * 0.02**2) / 200**2)


def test_without_a_unique_control_record_nothing_can_be_said() -> None:
    rng = np.random.default_rng(50)
    twice = np.repeat(WORLD.sample(100, rng), 2, axis=0)
    assert isinstance(unique(twice, WORLD.sample(200, rng)), Missing)

"""Spread against closed forms, brute force, and corpora whose loss is known."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.measuring import spread
from proofset.measuring.diversity import effective_rank
from proofset.measuring.frame import Constants, Frame
from proofset.measuring.sketch import Sketch
from proofset.measuring.spread import Noise, Spread

Floats = NDArray[np.float32]
LIGHT = Constants(features=8, modes=40)
CENTRES = np.random.default_rng(5).normal(size=(60, 24))
SHARES = (1 / np.arange(1, 61)) / (1 / np.arange(1, 61)).sum()
SPECTRUM = np.arange(1, 25) ** -0.5


def corpus(n: int, seed: int) -> Floats:
    """Sixty modes of very unequal mass."""
    rng = np.random.default_rng(seed)
    noise = 0.5 * rng.normal(size=(n, 24))
    return np.asarray((CENTRES[rng.choice(60, n, p=SHARES)] + noise) * SPECTRUM, dtype=np.float32)


FRAME = Frame.of(corpus(2_000, 1), LIGHT, "")


def taken(vectors: Floats) -> Spread:
    return Spread.of(Sketch.of(vectors, FRAME))


def test_variances_are_those_of_the_coordinates() -> None:
    rows = corpus(500, 2)
    along = FRAME.coordinates(rows)[:, :-1]
    assert taken(rows).variances == pytest.approx(along.var(axis=0, ddof=1), rel=1e-9)
    relative = (along - along.mean(axis=0)) ** 2 / along.var(axis=0)
    assert taken(rows).dependence == pytest.approx(np.cov(relative.T), rel=1e-6)


@pytest.mark.parametrize("shape", [(200, 12), (12, 40)])
def test_log_rank_is_the_logarithm_of_the_effective_rank(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    assert math.exp(spread.log_rank(rows)[0]) == pytest.approx(effective_rank(rows.astype(np.float64)), rel=1e-9)


def test_the_influence_of_a_row_is_what_leaving_it_out_changes() -> None:
    rows = corpus(400, 4)
    whole, influence = spread.log_rank(rows)
    assert influence.mean() == pytest.approx(0, abs=1e-9)
    without = [spread.log_rank(np.delete(rows, i, axis=0))[0] for i in range(60)]
    changes = (len(rows) - 1) * (whole - np.array(without))
    assert np.corrcoef(changes, influence[:60])[0, 1] > 0.995
    assert np.std(changes) == pytest.approx(np.std(influence[:60]), rel=0.05)


def test_the_vendi_score_is_that_of_its_pairs_and_of_any_size() -> None:
    rows = corpus(150, 5)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    alike = (unit.astype(np.float64) @ unit.T) ** 2
    pairs = (alike.sum() - np.trace(alike)) / (150 * 149)
    assert spread.vendi_2(Sketch.of(unit, FRAME))[0] == pytest.approx(1 / pairs, rel=1e-5)


def test_d_07_rank_and_vendi_ratios_do_not_hang_on_size() -> None:
    organic = taken(corpus(8_000, 6))
    plain = spread.rank_at(organic, 8_000, spread.DRAWS, 0).log
    for n, runs in ((100, 80), (800, 30)):
        theirs = spread.rank_at(organic, n, spread.DRAWS, 0)
        ours = [taken(corpus(n, 100 + seed)) for seed in range(runs)]
        ranks = [spread.kept_rank(spread.rank_at(one, n, 1, 0), theirs, n).centre for one in ours]
        vendis = [one.centre for one in (spread.kept_vendi(our, organic) for our in ours) if one is not None]
        assert len(vendis) == runs
        assert np.mean(ranks) == pytest.approx(0, abs=0.02)
        assert np.mean(vendis) == pytest.approx(0, abs=0.02)
        if n == 100:  # uncorrected, the rank would hang on size
            assert theirs.log < plain - 0.05


def test_retained_variance_is_one_factor_or_less_and_gains_do_not_make_up_for_losses() -> None:
    organic = taken(corpus(4_000, 7))
    centre = corpus(4_000, 8).mean(axis=0)
    shrunk = (corpus(4_000, 8) - centre) * math.sqrt(0.7) + centre
    assert spread.kept_variance(taken(shrunk.astype(np.float32)), organic).value == pytest.approx(0.7, abs=0.02)
    mixed = corpus(4_000, 8) @ FRAME.basis
    mixed[:, 0] *= 3
    mixed[:, 1] *= math.sqrt(0.2)
    again = (mixed @ FRAME.basis.T).astype(np.float32)
    weights = organic.variances / organic.variances.sum()
    assert spread.kept_variance(taken(again), organic).value == pytest.approx(1 - 0.8 * weights[1], abs=0.02)


def test_without_loss_nearly_nothing_is_missing() -> None:
    organic = taken(corpus(2_000, 9))
    found = [spread.kept_variance(taken(corpus(300, seed)), organic).value for seed in range(20)]
    raw = []
    for seed in range(20):
        ratio = spread.retention(taken(corpus(300, seed)), organic)
        raw.append(float((organic.variances * np.minimum(ratio, 1)).sum() / organic.variances.sum()))
    assert np.median(found) > 0.975
    assert np.median(raw) < np.median(found) - 0.01


def test_rarefaction_is_the_mean_over_all_draws() -> None:
    counts = np.array([3, 1, 0, 2])
    labels = np.repeat(np.arange(4), counts)
    every = [len(set(labels[list(draw)])) for draw in combinations(range(6), 3)]
    assert spread.alive(counts, 6, 3) == pytest.approx(np.mean(every))
    assert spread.alive(counts, 6, 6) == 3
    assert spread.alive(counts, 6, 0) == pytest.approx(0, abs=1e-12)
    assert 0 < spread.alive(counts, 6, 0.5) < spread.alive(counts, 6, 1) == pytest.approx(1)


@pytest.mark.parametrize("total", [300, 1_200])
def test_the_variance_of_modes_alive_is_that_of_many_corpora(total: int) -> None:
    rng = np.random.default_rng(10)
    shares = np.concatenate([np.full(10, 0.08), np.full(40, 0.004), [0.04]])
    shares /= shares.sum()
    corpora = rng.multinomial(total, shares, 400)
    rare = corpora[:, 10:50]
    numbers = [spread.alive(counts, total, 300) for counts in rare]
    said = np.mean([spread.alive_variance(counts, total, 300) for counts in rare])
    assert said == pytest.approx(np.var(numbers), rel=0.2)


def test_rare_modes_that_were_dropped_are_missing() -> None:
    organic = taken(corpus(2_000, 11))
    rare = np.argsort(organic.modes, kind="stable")[:12]
    whole = spread.kept_modes(taken(corpus(2_000, 12)), organic, rare, 2_000)
    assert whole is not None and whole.bound(0.025) < 1 < whole.bound(0.975)
    kept = ~np.isin(FRAME.modes(corpus(2_000, 12)), rare)
    gone = spread.kept_modes(taken(corpus(2_000, 12)[kept]), organic, rare, 2_000)
    assert gone is not None and gone.value == 0 and gone.bound(0.025) == 0 < gone.bound(0.975) < 0.5
    assert spread.kept_modes(organic, organic, np.array([], dtype=np.intp), 10) is None


def test_bounds_of_modes_alive_rise_with_their_level() -> None:
    organic = taken(corpus(1_000, 13))
    rare = np.argsort(organic.modes, kind="stable")[:12]
    estimate = spread.kept_modes(taken(corpus(400, 14)), organic, rare, 400)
    assert estimate is not None
    levels = [estimate.bound(p) for p in (0.001, 0.025, 0.3, 0.5, 0.7, 0.975, 0.999)]
    assert levels == sorted(levels) and levels[3] == pytest.approx(estimate.value)


def test_a_heavy_tail_leaves_few_degrees_of_freedom() -> None:
    rng = np.random.default_rng(15)
    light, heavy = rng.normal(size=400), rng.standard_t(3, size=400) ** 3
    assert Noise.of(light, 400).dof == pytest.approx(400, rel=0.3)
    assert Noise.of(heavy, 400).dof < 30
    both = Noise(1.0, 5.0) + Noise(1.0, 5.0)
    assert (both.variance, both.dof) == (2.0, 10.0)
    assert Noise.of(np.ones(9), 9) == Noise()


def test_one_row_over_and_over_has_no_spread() -> None:
    organic, flat = taken(corpus(1_000, 16)), taken(np.tile(corpus(1, 17), (60, 1)))
    assert not flat.variances.any()
    assert spread.kept_variance(flat, organic).value == pytest.approx(0, abs=1e-9)
    rank = spread.kept_rank(spread.rank_at(flat, 60, 5, 0), spread.rank_at(organic, 60, 20, 0), 60)
    assert rank.value == 0 and rank.bound(0.975) == 0
    vendi = spread.kept_vendi(flat, organic)
    assert vendi is not None and flat.vendi == pytest.approx(1)
    right_angles = np.eye(24, dtype=np.float32)
    assert spread.kept_vendi(taken(right_angles), organic) is None

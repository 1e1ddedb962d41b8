"""The bandit finds the arm that pays, leaves none untried, and the stop rule waits for evidence."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest

from proofset.errors import InputError
from proofset.synthesizing.planning import EXPLORE_EVERY, Bandit, Novelty, spent_out

WORLD = {"few-shot": (0.35, 1.0), "evolve": (0.6, 3.0), "contrast": (0.45, 0.8)}
"""Chance of an accepted candidate and cost of each arm; novelty is 0.4 to 1. Per cost: 0.245, 0.14, 0.394."""
NOVELTY = 0.7


def played(seed: int, briefs: int = 600, *, window: int = 8) -> tuple[float, Counter[str], Bandit]:
    """Reward per cost, how often each arm was chosen, and the bandit, when results come ``window`` briefs late."""
    bandit, rng = Bandit(list(WORLD), f"s{seed}"), random.Random(seed)
    rewards, costs, chosen, waiting = 0.0, 0.0, list[str](), list[tuple[str, float, float]]()
    for number in range(briefs):
        arm = bandit.choose(number)
        chance, cost = WORLD[arm]
        reward = rng.uniform(0.4, 1.0) if rng.random() < chance else 0.0
        rewards, costs = rewards + reward, costs + cost
        chosen.append(arm)
        waiting.append((arm, reward, cost))
        if len(waiting) >= window:
            bandit.learn(*waiting.pop(0))
    return rewards / costs, Counter(chosen[briefs // 2 :]), bandit


def test_over_600_briefs_it_gets_85_percent_of_what_the_best_arm_pays() -> None:
    best = NOVELTY * max(chance / cost for chance, cost in WORLD.values())
    shares = [played(seed)[0] / best for seed in range(8)]
    assert min(shares) > 0.75  # one run is noisy in itself: the best arm alone has a spread of 4 %
    assert float(np.mean(shares)) >= 0.85
    mean_arm = NOVELTY * sum(chance / cost for chance, cost in WORLD.values()) / 3
    assert float(np.mean(shares)) * best > 1.2 * mean_arm


def test_it_is_what_it_pays_for_its_cost_that_counts_not_how_often_it_succeeds() -> None:
    _, late, _ = played(1)
    assert late.most_common(1)[0][0] == "contrast"  # though "evolve" succeeds more often


def test_each_arm_is_tried_first_and_none_is_starved() -> None:
    bandit = Bandit(["a", "b", "c"], "s")
    assert [bandit.choose(number) for number in range(3)] == ["a", "b", "c"]
    for _ in range(500):
        bandit.learn("a", 1.0, 1.0)
        bandit.learn("b", 0.0, 1.0)
        bandit.learn("c", 0.0, 1.0)
    chosen = Counter(bandit.choose(number) for number in range(EXPLORE_EVERY, EXPLORE_EVERY * 31))
    assert chosen["b"] == chosen["c"] == 10
    assert chosen["a"] == 580


def test_the_same_past_gives_the_same_choices_and_asking_changes_nothing() -> None:
    first, second = played(3)[2], played(3)[2]
    assert [first.choose(n) for n in range(600, 700)] == [second.choose(n) for n in range(600, 700)]
    assert first.choose(650) == first.choose(650)


def test_other_seeds_draw_otherwise() -> None:
    assert len({tuple(Bandit(["a", "b"], f"s{seed}").choose(n) for n in range(2, 40)) for seed in range(5)}) == 5


def test_what_costs_nothing_is_ranked_by_reward_alone() -> None:
    bandit = Bandit(["a", "b"], "s")
    for _ in range(40):
        bandit.learn("a", 0.0, 0.0)
        bandit.learn("b", 1.0, 0.0)
    assert Counter(bandit.choose(n) for n in range(100, 200))["b"] > 90


@pytest.mark.parametrize("bad", [("c", 0.5, 1.0), ("a", 1.1, 1.0), ("a", math.nan, 1.0), ("a", 0.5, -1.0)])
def test_what_cannot_be_learnt_is_refused(bad: tuple[str, float, float]) -> None:
    with pytest.raises(InputError):
        Bandit(["a", "b"], "s").learn(*bad)


@pytest.mark.parametrize("arms", [[], ["a", "a"]])
def test_arms_must_be_there_and_differ(arms: list[str]) -> None:
    with pytest.raises(InputError):
        Bandit(arms, "s")


def test_novelty_is_the_distance_to_the_nearest_accepted_one() -> None:
    known = Novelty()
    assert known.novelty([3.0, 4.0]) == 1.0
    known.add([2.0, 0.0])
    assert known.novelty([5.0, 0.0]) == pytest.approx(0.0, abs=1e-6)
    assert known.novelty([3.0, 4.0]) == pytest.approx(0.4)
    known.add([0.0, 1.0])
    assert known.novelty([3.0, 4.0]) == pytest.approx(0.2)
    assert known.novelty([-1.0, -1.0]) == 1.0
    assert known.novelty([0.0, 0.0]) == 0.0


def test_novelty_is_that_of_a_plain_comparison_however_many_there_are() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 8))
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    known = Novelty()
    for n, row in enumerate(rows):
        if n:
            assert known.novelty(row) == pytest.approx(1 - max(0.0, float((units[:n] @ units[n]).max())), abs=1e-5)
        known.add(row)
    assert len(known) == 300


def test_vectors_of_another_encoder_are_refused() -> None:
    known = Novelty()
    known.add([1.0, 0.0])
    for bad in ([1.0], [[1.0, 0.0]], [math.nan, 0.0]):
        with pytest.raises(InputError):
            known.novelty(bad)


def test_a_slice_is_spent_out_when_surely_less_than_the_floor_is_accepted() -> None:
    assert not spent_out([False] * 9, 0.3, 10)  # too early to say
    assert spent_out([False] * 10, 0.3, 10)
    assert not spent_out([False] * 10, 0.2, 10)  # Wilson's upper bound of 0 in 10 is 0.28
    assert spent_out([True] * 50 + [False] * 10, 0.3, 10)
    assert not spent_out([False] * 50 + [True] * 5 + [False] * 5, 0.3, 10)


def test_a_slice_at_twice_the_floor_is_rarely_given_up() -> None:
    given_up = 0
    for seed in range(100):
        rng = random.Random(seed)
        history = [rng.random() < 0.4 for _ in range(200)]
        given_up += any(spent_out(history[:n], 0.2, 60) for n in range(1, 201))
    assert given_up <= 5

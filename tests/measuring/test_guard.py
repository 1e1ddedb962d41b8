"""The guard stops what collapses, and lets organic text pass."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.measuring.guard import FEWEST, WINDOW, Guard

Cloud = NDArray[np.float32]


def cloud(n: int, seed: int, spread: float = 1.0) -> Cloud:
    """A mixture with many small modes in 12 dimensions."""
    rng = np.random.default_rng([7, seed])
    centres = np.random.default_rng(1).normal(size=(15, 12)) * 2
    weights = 1.0 / np.arange(1, 16)
    chosen = rng.choice(15, size=n, p=weights / weights.sum())
    return (spread * (centres[chosen] + 0.5 * rng.normal(size=(n, 12)))).astype(np.float32)


def windows_until_alarm(guard: Guard, vectors: Cloud) -> int | None:
    for number, vector in enumerate(vectors, start=1):
        if guard.add(vector):
            return -(-number // WINDOW)
    return None


def test_organic_records_pass_and_a_generator_that_repeats_three_texts_does_not() -> None:
    organic = cloud(600, seed=0)
    assert windows_until_alarm(Guard(organic, 0.3, seed=1), cloud(1200, seed=1)) is None
    three = np.repeat(cloud(3, seed=2), 400, axis=0)[np.random.default_rng(3).permutation(1200)]
    assert windows_until_alarm(Guard(organic, 0.3, seed=1), three) == 1


def test_false_alarms_are_rare_even_where_the_tolerated_loss_is_tiny() -> None:
    organic = cloud(800, seed=0)
    alarms = [windows_until_alarm(Guard(organic, 0.001, seed=1), cloud(20 * WINDOW, seed=s)) for s in range(10, 50)]
    assert sum(alarm is not None for alarm in alarms) <= 6  # 3 charts of 20 windows, and organic records are finite


def test_a_loss_that_is_tolerated_stops_nothing() -> None:
    narrow = cloud(1200, seed=4, spread=0.8)  # variance 0.64 of organic: significant, and material or not
    organic = cloud(600, seed=0)
    assert windows_until_alarm(Guard(organic, 0.5, seed=1), narrow) is None
    assert windows_until_alarm(Guard(organic, 0.2, seed=1), narrow) is not None
    never = Guard(organic, 1.0, seed=1)
    assert not never.watches
    assert windows_until_alarm(never, np.repeat(cloud(1, seed=2), 400, axis=0)) is None


def test_too_few_organic_records_are_not_watched_by() -> None:
    assert Guard(cloud(FEWEST, seed=0), 0.5, seed=1).watches
    few = Guard(cloud(FEWEST - 1, seed=0), 0.5, seed=1)
    assert not few.watches
    assert windows_until_alarm(few, np.repeat(cloud(1, seed=2), 400, axis=0)) is None


def test_texts_without_a_known_token_are_passed_over() -> None:
    guard = Guard(cloud(200, seed=0), 0.3, seed=1)
    assert windows_until_alarm(guard, np.zeros((400, 12), np.float32)) is None
    assert guard.losses == []


@pytest.mark.parametrize("tolerated", [0.1, 0.5])
def test_the_same_records_give_the_same_alarm(tolerated: float) -> None:
    organic, drifting = cloud(300, seed=0), cloud(800, seed=5, spread=0.5)
    first, second = (windows_until_alarm(Guard(organic, tolerated, seed=1), drifting) for _ in range(2))
    assert first == second
    assert first is not None

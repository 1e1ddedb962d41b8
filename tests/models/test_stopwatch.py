"""Every processor second of work goes to one lap, and none to two."""

from __future__ import annotations

import threading
import time

import pytest

from proofset.models.stopwatch import Stopwatch


class Clock:
    now = 5.0

    def __call__(self) -> float:
        return self.now


def test_laps_side_by_side_share_and_idle_seconds_are_nobodys() -> None:
    clock = Clock()
    meter = Stopwatch(clock)
    clock.now += 100
    with meter.lap() as first:
        clock.now += 1
        with meter.lap() as second:
            clock.now += 4
        clock.now += 10
    clock.now += 100
    with meter.lap() as third:
        clock.now += 2
    assert (first.seconds, second.seconds, third.seconds) == (13, 2, 2)


def test_a_lap_that_fails_ends_too() -> None:
    clock = Clock()
    meter = Stopwatch(clock)
    with pytest.raises(ValueError, match="oops"), meter.lap():
        raise ValueError("oops")
    with meter.lap() as lap:
        clock.now += 1
    assert lap.seconds == 1


def test_threads_get_what_the_process_used() -> None:
    meter, laps, began = Stopwatch(), list[float](), time.process_time()

    def work() -> None:
        for _ in range(20):
            with meter.lap() as lap:
                sum(range(20_000))
            laps.append(lap.seconds)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < sum(laps) <= time.process_time() - began

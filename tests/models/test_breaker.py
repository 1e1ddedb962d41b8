"""Chance never opens the breaker, a dead server does at once; it pauses longer and longer, and money counts too."""

from __future__ import annotations

import random
from collections import deque
from decimal import Decimal

import pytest

from proofset.models.breaker import FEWEST, FIRST_PAUSE_S, LONGEST_PAUSE_S, WASTED_USD, WINDOW, Breaker

FREE = Decimal(0)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def until_open(breaker: Breaker, usd: Decimal = FREE) -> tuple[int, float, str]:
    """How many failures in a row it takes, and what is said then."""
    for n in range(1, 1000):
        breaker.asked()
        if (opened := breaker.bad(usd)) is not None:
            return n, *opened
    raise AssertionError("it never opens")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_failure_in_twenty_never_opens_it_where_five_of_ten_would(seed: int) -> None:
    rng, breaker, last, naive = random.Random(seed), Breaker(900), deque([True] * 10, maxlen=10), 0
    for _ in range(100_000):
        breaker.asked()
        last.append(rng.random() >= 0.05)
        naive += last.count(False) >= 5
        if last[-1]:
            breaker.good()
        else:
            assert breaker.bad(FREE) is None
    assert naive > 0


def test_a_dead_server_is_left_alone_after_the_fewest_outcomes() -> None:
    n, pause_s, why = until_open(Breaker(900))
    assert (n, pause_s) == (FEWEST, FIRST_PAUSE_S)
    assert f"{FEWEST} of the last {FEWEST} calls failed" in why


def test_a_server_that_dies_after_long_service_is_noticed_within_a_window() -> None:
    breaker = Breaker(900)
    for _ in range(100_000):
        breaker.good()
    n, _, why = until_open(breaker)
    assert WINDOW / 2 < n < WINDOW
    assert f"of the last {WINDOW}" in why


@pytest.mark.parametrize(("share", "opens"), [(0.3, False), (0.8, True)])
def test_it_opens_for_most_calls_failing_and_not_for_some(share: float, opens: bool) -> None:
    rng, breaker, opened = random.Random(5), Breaker(900), False
    for _ in range(2000):
        if rng.random() < share:
            opened |= breaker.bad(FREE) is not None
        else:
            breaker.good()
    assert opened is opens


def test_each_pause_is_twice_the_last_up_to_the_longest_and_a_good_reply_begins_anew() -> None:
    breaker = Breaker(900)
    pauses = [until_open(breaker)[1] for _ in range(9)]
    assert pauses == [min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**n) for n in range(9)]
    assert pauses[-1] == LONGEST_PAUSE_S
    breaker.good()
    assert until_open(breaker)[1] == FIRST_PAUSE_S


def test_after_a_pause_nothing_is_concluded_from_before_it() -> None:
    breaker = Breaker(900)
    until_open(breaker)
    assert until_open(breaker)[0] == FEWEST


def test_a_dollar_for_failures_without_one_good_reply_opens_it() -> None:
    n, _, why = until_open(Breaker(900), Decimal("0.25"))
    assert n == WASTED_USD / Decimal("0.25")
    assert why.startswith("$1.00 paid for failures")


def test_a_good_reply_between_forgives_the_money_and_so_does_a_pause() -> None:
    breaker = Breaker(900)
    for _ in range(10):
        assert breaker.bad(Decimal("0.90")) is None
        breaker.good()
    assert until_open(breaker, Decimal("0.50"))[0] == 2
    assert until_open(breaker, Decimal("0.50"))[0] == 2


def test_patience_is_time_without_a_good_reply_though_there_were_calls() -> None:
    clock = Clock()
    breaker = Breaker(900, clock=clock)
    clock.now += 10_000  # nobody asked: nobody waits
    assert not breaker.out_of_patience()
    breaker.asked()
    clock.now += 900
    breaker.asked()  # does not set the clock back
    assert not breaker.out_of_patience()
    clock.now += 1
    assert breaker.out_of_patience()
    breaker.good()
    clock.now += 10_000
    assert not breaker.out_of_patience()

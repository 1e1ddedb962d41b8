"""The gate finds its limit, cuts once for one overload, keeps to the minute's allowance and loses no permit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as sized
from hypothesis import strategies as st

from proofset.models.admission import CUT, FIRST_LIMIT, PROBE_MAX_S, PROBE_S, Admission, Bucket, Permit

Hurried = Callable[[Coroutine[Any, Any, Any]], Any]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def fill(gate: Admission) -> list[Permit]:
    """As many permits as may be in flight."""
    return [await gate.permit(0) for _ in range(int(gate.limit) - gate.in_flight)]


async def round_trip(gate: Admission) -> None:
    """All calls that are in flight answered, each followed by as many as may be; none is left in flight at the end."""
    sent, n = await fill(gate), gate.in_flight
    for _ in range(n):
        gate.succeeded(sent.pop(0), tokens=0)
        sent += await fill(gate)
    for permit in sent:
        gate.failed(permit)


def test_the_limit_starts_small_and_doubles_every_round_trip_up_to_the_most() -> None:
    async def scenario() -> list[int]:
        gate, seen = Admission(200), []
        for _ in range(8):
            seen.append(int(gate.limit))
            await round_trip(gate)
        assert gate.limit == gate.most
        return seen

    seen = asyncio.run(scenario())
    assert seen[0] == FIRST_LIMIT and seen[-1] == 200
    assert all(after >= min(200, 1.9 * before) for before, after in pairwise(seen))


def test_a_small_server_gets_no_more_than_it_has_places() -> None:
    async def scenario() -> None:
        gate = Admission(3)
        for _ in range(5):
            await round_trip(gate)
        assert gate.limit == 3
        permits = await fill(gate)
        assert len(permits) == 3
        fourth = asyncio.ensure_future(gate.permit(0))
        await asyncio.sleep(0)
        assert (gate.in_flight, gate.waiting, fourth.done()) == (3, 1, False)
        gate.failed(permits[0])
        await asyncio.wait_for(fourth, 1)
        assert (gate.in_flight, gate.waiting) == (3, 0)

    asyncio.run(scenario())


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    async def scenario() -> None:
        gate = Admission(200)
        for _ in range(100):
            gate.succeeded(await gate.permit(0), tokens=0)
        assert gate.limit == FIRST_LIMIT

    asyncio.run(scenario())


def test_all_calls_of_one_overload_cut_once_and_the_next_overload_again() -> None:
    async def scenario() -> None:
        gate = Admission(200, clock=Clock())
        for permit in await fill(gate):
            gate.overloaded(permit, None)
        assert gate.limit == pytest.approx(CUT * FIRST_LIMIT)
        assert gate.in_flight == 0
        before = int(gate.limit)
        for permit in await fill(gate):
            gate.overloaded(permit, None)
        assert gate.limit == pytest.approx(CUT * before)

    asyncio.run(scenario())


def test_a_cut_is_of_what_was_in_flight_and_never_below_one() -> None:
    async def scenario() -> None:
        gate = Admission(200, clock=Clock())
        for _ in range(4):
            gate.overloaded(await gate.permit(0), None)
        assert gate.limit == 1.0
        await gate.permit(0)
        assert gate.in_flight == 1

    asyncio.run(scenario())


def test_after_a_cut_it_passes_the_old_limit_only_after_a_while_and_later_each_time() -> None:
    async def scenario() -> list[float]:
        clock, found = Clock(), []
        gate = Admission(200, clock=clock)
        for _ in range(6):
            ceiling, cut_at = int(gate.limit), clock.now
            for permit in await fill(gate):
                gate.overloaded(permit, None)
            assert gate.limit < ceiling
            while gate.limit < ceiling:
                clock.now += 0.1 / ceiling
                sent = await fill(gate)
                gate.succeeded(sent.pop(), tokens=0)
                for permit in sent:
                    gate.failed(permit)
            found.append(clock.now - cut_at)
        return found

    found = asyncio.run(scenario())
    asked = [min(PROBE_MAX_S, PROBE_S * 2**n) for n in range(6)]
    assert all(least <= seconds < least + 15 for seconds, least in zip(found, asked, strict=True)), found


def test_growth_after_a_cut_is_one_a_round_trip() -> None:
    async def scenario() -> None:
        gate = Admission(200, clock=Clock())
        for permit in await fill(gate):
            gate.overloaded(permit, None)
        before = gate.limit
        await round_trip(gate)
        assert before + 0.7 < gate.limit < before + 1.1

    asyncio.run(scenario())


def test_one_overload_does_not_pause_and_a_second_while_the_server_asked_for_patience_does() -> None:
    async def scenario(again_after_s: float) -> float:
        clock = Clock()
        gate = Admission(50, clock=clock)
        gate.overloaded(await gate.permit(0), 20.0)
        assert gate.paused_s == 0
        clock.now += again_after_s
        gate.overloaded(await gate.permit(0), 30.0)
        return gate.paused_s

    assert asyncio.run(scenario(19.0)) == 30.0
    assert asyncio.run(scenario(21.0)) == 0.0


def test_a_pause_ends_by_itself_and_the_longest_counts(hurried: Hurried) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        gate = Admission(5, clock=loop.time)
        gate.succeeded(await gate.permit(0), tokens=0, pause_s=120.0)
        gate.hold(30.0)
        assert gate.paused_s == pytest.approx(120.0)
        await gate.permit(0)
        assert 120.0 <= loop.time() < 121.0
        gate.hold(5.0)
        await gate.permit(0)
        assert 125.0 <= loop.time() < 126.0

    hurried(scenario())


def most_in_a_minute(taken: list[tuple[float, float]]) -> float:
    """The most that was taken in any 60 seconds that begin with a taking."""
    return max(sum(much for at, much in taken if 0 <= at - start < 60 - 1e-6) for start, _ in taken)


@given(
    per_minute=st.integers(1, 5000),
    calls=st.lists(st.tuples(st.floats(0, 30) | st.just(0.0), st.floats(0.01, 1.0)), min_size=1, max_size=150),
)
def test_no_minute_holds_more_than_its_allowance(per_minute: int, calls: list[tuple[float, float]]) -> None:
    now, taken = 50.0, list[tuple[float, float]]()
    bucket = Bucket(per_minute, now)
    for gap, share in calls:
        amount = share * per_minute / 60 if per_minute > 60 else 1.0  # no less than one is ever taken
        now += gap
        now += bucket.wait_s(amount, now)
        bucket.take(amount, now)
        taken.append((now, amount))
    assert most_in_a_minute(taken) <= per_minute + 1e-3


@given(
    per_minute=st.integers(60, 5000), amounts=st.lists(st.floats(1.0, 3000.0), min_size=1, max_size=60)
)  # fmt: skip
def test_what_one_amount_exceeds_the_burst_by_is_paid_for_afterwards(per_minute: int, amounts: list[float]) -> None:
    now, taken = 0.0, list[tuple[float, float]]()
    bucket = Bucket(per_minute, now)
    for amount in amounts:
        now += bucket.wait_s(amount, now)
        bucket.take(amount, now)
        taken.append((now, amount))
    over = max(0.0, max(amounts) - per_minute / 60)
    assert most_in_a_minute(taken) <= per_minute + over + 1e-3
    assert now <= 61 * sum(amounts) / (per_minute - per_minute / 60)  # and it does not wait for ever


def test_an_allowance_of_nothing_is_no_limit() -> None:
    bucket = Bucket(0, 0.0)
    bucket.take(1e12, 0.0)
    assert bucket.wait_s(1e12, 0.0) == 0.0


@pytest.mark.parametrize(("requests", "tokens"), [(120, 0), (0, 6000), (90, 6000), (7, 0)])
def test_permits_keep_to_both_allowances_of_a_minute_and_use_them(hurried: Hurried, requests: int, tokens: int) -> None:
    async def scenario() -> list[tuple[float, float]]:
        loop, sent = asyncio.get_running_loop(), list[tuple[float, float]]()
        gate = Admission(1000, requests_per_minute=requests, tokens_per_minute=tokens, clock=loop.time)

        async def call(n: int) -> None:
            permit = await gate.permit(50)
            sent.append((loop.time(), 50))
            await asyncio.sleep(0.5 + n % 3)
            gate.succeeded(permit, tokens=50)

        await asyncio.gather(*(call(n) for n in range(400)))
        return sent

    sent = hurried(scenario())
    allowed = min(requests or 10**9, tokens / 50 or 10**9)
    assert len(sent) == 400
    assert most_in_a_minute([(at, 1.0) for at, _ in sent]) <= allowed + 1e-6
    assert sent[-1][0] <= 1.3 * 60 * 400 / allowed + 5  # not much slower than it may be


def test_tokens_that_were_not_used_come_back(hurried: Hurried) -> None:
    async def scenario(used: int) -> float:
        loop = asyncio.get_running_loop()
        gate = Admission(1, tokens_per_minute=6000, clock=loop.time)
        for _ in range(60):
            permit = await gate.permit(100)
            gate.succeeded(permit, tokens=used)
        return loop.time()

    assert hurried(scenario(10)) < hurried(scenario(100)) / 3


def test_what_is_urgent_goes_before_the_others() -> None:
    async def scenario() -> list[str]:
        gate, order = Admission(1), []

        async def call(name: str, *, urgent: bool) -> None:
            permit = await gate.permit(0, urgent=urgent)
            order.append(name)
            gate.succeeded(permit, tokens=0)

        held = await gate.permit(0)
        names = ("new", "newer", "again")
        calls = [asyncio.create_task(call(name, urgent=name == "again")) for name in names]
        await asyncio.sleep(0)
        gate.succeeded(held, tokens=0)
        await asyncio.gather(*calls)
        return order

    assert asyncio.run(scenario()) == ["again", "new", "newer"]


def test_failures_in_a_row_are_those_since_anybody_was_answered() -> None:
    async def scenario() -> list[int]:
        gate, seen = Admission(9), []
        permits = await fill(gate)
        for succeeds in (False, False, True, False):
            if succeeds:
                gate.succeeded(permits.pop(), tokens=0)
            else:
                gate.failed(permits.pop())
            seen.append(gate.failed_in_a_row)
        return seen

    assert asyncio.run(scenario()) == [1, 2, 0, 1]


def test_first_come_first_served() -> None:
    async def scenario() -> list[int]:
        gate, order = Admission(2), list[int]()

        async def call(n: int) -> None:
            permit = await gate.permit(0)
            order.append(n)
            await asyncio.sleep(0)
            gate.failed(permit)

        await asyncio.gather(*(call(n) for n in range(30)))
        return order

    assert asyncio.run(scenario()) == list(range(30))


@given(seed=st.integers(0, 2**32))
@sized(max_examples=60)
def test_whatever_is_cancelled_no_permit_is_lost(hurried: Hurried, seed: int) -> None:
    rng = random.Random(seed)

    async def call(gate: Admission) -> None:
        permit = await gate.permit(rng.randrange(100))
        assert gate.in_flight <= gate.most
        try:
            await asyncio.sleep(rng.random())
        except asyncio.CancelledError:
            gate.failed(permit)
            raise
        how = rng.randrange(3)
        if how == 0:
            gate.overloaded(permit, rng.choice([None, 1.0, 9.0]))
        elif how == 1:
            gate.failed(permit)
        else:
            gate.succeeded(permit, tokens=rng.randrange(100), pause_s=rng.choice([0.0, 0.0, 2.0]))

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        gate = Admission(
            rng.randint(1, 30), requests_per_minute=rng.choice([0, 600]), tokens_per_minute=rng.choice([0, 60_000]),
            clock=loop.time,
        )  # fmt: skip
        calls = [asyncio.ensure_future(call(gate)) for _ in range(60)]
        for each in rng.sample(calls, 30):
            await asyncio.sleep(rng.choice([0, 0, 0.05, 0.3]))
            each.cancel()
        for each in calls:
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(each, 3600)
        assert (gate.in_flight, gate.waiting) == (0, 0)
        assert [each for each in calls if not each.cancelled() and each.exception()] == []
        gate.failed(await asyncio.wait_for(gate.permit(1), 3600))

    hurried(scenario())


def test_a_permit_given_in_the_turn_of_its_cancellation_goes_to_the_next() -> None:
    async def scenario() -> None:
        gate = Admission(1)
        first = await gate.permit(0)
        second, third = asyncio.ensure_future(gate.permit(0)), asyncio.ensure_future(gate.permit(0))
        await asyncio.sleep(0)
        gate.failed(first)  # the permit is now the second's
        second.cancel()
        await asyncio.wait_for(third, 1)
        assert gate.in_flight == 1 and second.cancelled()

    asyncio.run(scenario())


def test_an_allowance_of_one_a_minute_is_one_a_minute_and_not_none(hurried: Hurried) -> None:
    async def scenario() -> list[float]:
        loop, sent = asyncio.get_running_loop(), list[float]()
        gate = Admission(5, requests_per_minute=1, clock=loop.time)
        for _ in range(4):
            permit = await asyncio.wait_for(gate.permit(0), 100)
            sent.append(loop.time())
            gate.succeeded(permit, tokens=0)
        return sent

    assert hurried(scenario()) == pytest.approx([0, 60, 120, 180], abs=0.1)


def test_a_wait_that_gets_shorter_is_noticed(hurried: Hurried) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        gate = Admission(9, tokens_per_minute=6000, clock=loop.time)
        first = await gate.permit(5000)
        large, small = asyncio.ensure_future(gate.permit(90)), asyncio.ensure_future(gate.permit(10))
        await asyncio.sleep(0)
        gate.succeeded(first, tokens=150)  # it used far less than it might have
        await asyncio.wait_for(large, 2)
        large.cancel()
        await asyncio.wait_for(small, 1)

    hurried(scenario())


def test_the_allowance_of_a_call_that_is_not_made_comes_back(hurried: Hurried) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        gate = Admission(1, requests_per_minute=60, tokens_per_minute=6000, clock=loop.time)
        first = await gate.permit(0)
        await asyncio.sleep(30)
        second = asyncio.ensure_future(gate.permit(5000))
        await asyncio.sleep(0)
        gate.failed(first)  # the permit is now the second's
        second.cancel()
        with suppress(asyncio.CancelledError):
            await second
        await asyncio.wait_for(gate.permit(0), 0.01)

    hurried(scenario())


@given(
    jumps=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), waits=st.lists(st.floats(0, 500), min_size=1),
    per_minute=st.integers(0, 1000),
)  # fmt: skip
def test_a_clock_that_jumps_does_no_harm(jumps: list[float], waits: list[float], per_minute: int) -> None:
    clock = Clock()
    bucket = Bucket(per_minute, clock.now)
    for jump, amount in zip(jumps, waits, strict=False):
        clock.now += jump
        assert 0 <= bucket.wait_s(amount, clock.now) <= 60 * (1 + sum(waits) / max(1, per_minute)) + 61
        bucket.take(amount, clock.now)
    clock.now += bucket.wait_s(1.0, clock.now) + 1e-6
    assert bucket.wait_s(1.0, clock.now) <= 1e-6


@pytest.mark.parametrize("retry_after_s", [None, 1.0])
def test_a_server_with_a_fixed_limit_is_kept_busy_and_seldom_asked_for_more(
    hurried: Hurried, retry_after_s: float | None
) -> None:
    places, latency_s, total = 32, 0.2, 20_000

    async def scenario() -> tuple[float, list[float]]:
        loop, rng, refused = asyncio.get_running_loop(), random.Random(1), list[float]()
        gate, todo, inside = Admission(256, clock=loop.time), iter(range(total)), [0]

        async def call() -> None:
            while True:
                permit = await gate.permit(0)
                if inside[0] < places:
                    break
                await asyncio.sleep(0.01)
                refused.append(loop.time())
                gate.overloaded(permit, retry_after_s)
                await asyncio.sleep((retry_after_s or 0.0) + rng.uniform(0, 0.5))
            inside[0] += 1
            await asyncio.sleep(latency_s)
            inside[0] -= 1
            gate.succeeded(permit, tokens=0)

        async def worker() -> None:
            for _ in todo:
                await call()

        await asyncio.gather(*(worker() for _ in range(gate.most)))
        assert gate.in_flight == 0
        return loop.time(), refused

    took, refused = hurried(scenario())
    assert total * latency_s / places / took > 0.87
    assert len(refused) < 0.03 * total
    gaps = [after - before for before, after in pairwise(refused) if after - before > 1.5]
    assert 3 <= len(gaps) <= 8, "it probes ever more seldom"
    assert all(after > 1.4 * before for before, after in pairwise(gaps)), gaps


def test_a_server_that_finds_more_places_gets_more(hurried: Hurried) -> None:
    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        gate = Admission(200, clock=loop.time)
        for permit in await fill(gate):
            gate.overloaded(permit, None)
        for _ in range(900):  # three minutes
            await asyncio.sleep(0.2)
            await round_trip(gate)
        return gate.limit

    assert hurried(scenario()) == 200

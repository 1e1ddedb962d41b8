"""No schedule of calls exceeds a cap, whoever can still be served is, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as sized
from hypothesis import strategies as st

from proofset.errors import BudgetSpent
from proofset.models.purse import NOTHING, Amount, Caps, Purse, caps_of

Hurried = Callable[[Coroutine[Any, Any, Any]], Any]
ONE = Amount(Decimal(1), 10, 1)


def usd(amount: int | str) -> Amount:
    """One call at a price."""
    return Amount(Decimal(amount), 0, 1)


def is_within(purse: Purse) -> bool:
    """Whether all that is spent and set aside is covered."""
    return purse.caps.allow(purse.spent.plus(purse.reserved))


async def turn() -> None:
    """Let everybody who can go on."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_is_reserved_counts_until_it_is_settled() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(10)))
        bound = await purse.reserve(usd(4))
        assert (purse.reserved, purse.spent) == (usd(4), NOTHING)
        purse.settle(bound, usd("1.5"))
        assert (purse.reserved, purse.spent) == (NOTHING, usd("1.5"))

    asyncio.run(scenario())


@pytest.mark.parametrize("caps", [Caps(usd=Decimal(2)), Caps(tokens=20), Caps(requests=2)])
def test_each_cap_makes_the_third_call_wait_and_a_cheap_one_lets_it_through(caps: Caps) -> None:
    async def scenario() -> None:
        purse = Purse(caps)
        await purse.reserve(ONE)
        await purse.reserve(ONE)
        third = asyncio.ensure_future(purse.reserve(ONE))
        await turn()
        assert not third.done()
        purse.settle(ONE, NOTHING)
        assert await asyncio.wait_for(third, 1) == ONE
        purse.settle(ONE, ONE)
        purse.settle(ONE, ONE)
        with pytest.raises(BudgetSpent, match="used up") as caught:
            await purse.reserve(ONE)
        assert "--budget-usd" in caught.value.hint
        assert purse.reserved == NOTHING and purse.spent == ONE.plus(ONE)

    asyncio.run(scenario())


def test_without_caps_everything_goes_through() -> None:
    async def scenario() -> None:
        purse = Purse(Caps())
        for _ in range(100):
            await purse.reserve(usd(10**9))

    asyncio.run(scenario())


def test_it_is_empty_only_when_nothing_is_left_that_could_settle_lower() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(3)))
        bound = await purse.reserve(usd(2))
        waiting = asyncio.ensure_future(purse.reserve(usd(2)))
        await turn()
        assert not waiting.done()  # the first may turn out to be cheap
        purse.settle(bound, usd(2))
        with pytest.raises(BudgetSpent):
            await asyncio.wait_for(waiting, 1)
        assert purse.reserved == NOTHING

    asyncio.run(scenario())


def test_what_an_earlier_walk_spent_counts() -> None:
    with pytest.raises(BudgetSpent):
        asyncio.run(Purse(Caps(usd=Decimal(3)), usd(2)).reserve(usd(2)))


def test_what_is_kept_for_judging_is_for_this_brief_and_nobody_else() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(5)))
        bound = await purse.reserve(usd(2), brief_id="a", for_judging=usd(2))
        assert purse.reserved.usd == 4
        other = asyncio.ensure_future(purse.reserve(usd(2), brief_id="b", for_judging=usd(1)))
        await turn()
        purse.settle(bound, usd(2))
        await turn()
        assert not other.done()
        judged = await asyncio.wait_for(purse.reserve(usd(2), brief_id="a"), 1)
        assert purse.reserved.usd == 2
        purse.settle(judged, usd("0.5"))
        with pytest.raises(BudgetSpent):
            await asyncio.wait_for(other, 1)
        assert purse.reserved == NOTHING

    asyncio.run(scenario())


def test_a_brief_that_is_closed_frees_what_was_kept_for_it_once() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(4)))
        purse.settle(await purse.reserve(usd(1), brief_id="a", for_judging=usd(3)), NOTHING)
        other = asyncio.ensure_future(purse.reserve(usd(4), brief_id="b"))
        await turn()
        assert not other.done() and purse.reserved == usd(3)
        purse.let_go("a")
        purse.let_go("a")
        await asyncio.wait_for(other, 1)
        assert purse.reserved == usd(4)

    asyncio.run(scenario())


def test_what_a_failed_call_left_is_kept_for_its_next_try_and_for_nobody_else() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(10)))
        bound = await purse.reserve(usd(6), brief_id="a")
        purse.settle(bound, Amount(Decimal(1), 0, 1), keep_for="a")
        assert (purse.reserved.usd, purse.spent.usd) == (Decimal(5), Decimal(1))
        other = asyncio.ensure_future(purse.reserve(usd(5), brief_id="b"))
        await turn()
        assert not other.done() or other.exception() is not None
        again = await purse.reserve(usd(5), brief_id="a")
        purse.settle(again, usd(2))
        assert purse.reserved == NOTHING and purse.spent.usd == 3
        with suppress(BudgetSpent):
            await other

    asyncio.run(scenario())


def test_judging_that_costs_more_than_was_kept_asks_for_the_rest() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(4)))
        purse.settle(await purse.reserve(usd(1), brief_id="a", for_judging=usd(1)), usd(1))
        await purse.reserve(usd(3), brief_id="a")
        assert purse.reserved == usd(3)

    asyncio.run(scenario())


def test_judging_that_cannot_be_paid_gives_back_what_was_kept_for_it() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(4)))
        purse.settle(await purse.reserve(usd(1), brief_id="a", for_judging=usd(1)), usd(1))
        with pytest.raises(BudgetSpent):
            await purse.reserve(usd(9), brief_id="a")
        assert purse.reserved == NOTHING
        await purse.reserve(usd(3), brief_id="b")

    asyncio.run(scenario())


def test_first_come_first_served_though_a_later_call_would_fit() -> None:
    async def scenario() -> None:
        purse, order = Purse(Caps(usd=Decimal(4))), list[str]()
        await purse.reserve(usd(3), brief_id="x")

        async def ask(name: str, much: int) -> None:
            await purse.reserve(usd(much), brief_id=name)
            order.append(name)

        asked = [asyncio.ensure_future(ask("large", 3)), asyncio.ensure_future(ask("small", 1))]
        await turn()
        assert order == []
        purse.settle(usd(3), NOTHING)
        await asyncio.wait_for(asyncio.gather(*asked), 1)
        assert order == ["large", "small"]

    asyncio.run(scenario())


def test_a_call_that_all_briefs_may_wait_for_goes_before_them() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(2)))
        await purse.reserve(usd(2), brief_id="x")
        brief = asyncio.ensure_future(purse.reserve(usd(2), brief_id="y"))
        await turn()
        for_all = asyncio.ensure_future(purse.reserve(usd(1)))
        await turn()
        purse.settle(usd(2), NOTHING)
        await turn()
        assert for_all.done() and not brief.done()
        purse.settle(usd(1), NOTHING)
        await asyncio.wait_for(brief, 1)

    asyncio.run(scenario())


def test_whoever_is_cancelled_while_waiting_leaves_nothing_set_aside() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(2)))
        await purse.reserve(usd(2))
        first, second = (asyncio.ensure_future(purse.reserve(usd(2))) for _ in range(2))
        await turn()
        first.cancel()
        await turn()
        purse.settle(usd(2), NOTHING)
        second.cancel()  # in the turn in which it is served
        await turn()
        assert first.cancelled() and second.cancelled()
        assert purse.reserved == NOTHING

    asyncio.run(scenario())


def test_nothing_is_begun_after_the_wall_time_and_what_was_kept_may_still_be_judged() -> None:
    async def scenario() -> None:
        now = [100.0]
        purse = Purse(Caps(seconds=10), clock=lambda: now[0])
        purse.settle(await purse.reserve(usd(1), brief_id="a", for_judging=usd(1)), usd(1))
        now[0] = 109.9
        over = [purse.over_time]
        now[0] = 110.0
        assert [*over, purse.over_time] == [False, True]
        with pytest.raises(BudgetSpent, match="wall time"):
            await purse.reserve(usd(1), brief_id="b")
        await purse.reserve(usd(1), brief_id="a")

    asyncio.run(scenario())
    assert not Purse(Caps()).over_time


class Lender:
    """Lends from a fixed sum."""

    def __init__(self, left: str) -> None:
        self.left, self.asked = Decimal(left), list[Decimal]()

    def borrow(self, want_usd: Decimal, spent_usd: Decimal, lent_usd: Decimal) -> Decimal:
        """As much as is left."""
        assert want_usd > 0 and spent_usd >= 0 and lent_usd >= 0
        self.asked.append(want_usd)
        granted = min(want_usd, self.left)
        self.left -= granted
        return granted


def test_loans_are_taken_ahead_and_the_lender_is_asked_rarely() -> None:
    async def scenario() -> None:
        lender = Lender("100")
        purse = Purse(Caps(usd=Decimal(100)), loans=lender)
        for _ in range(100):
            purse.settle(await purse.reserve(usd("0.1")), usd("0.1"))
        assert lender.asked == [Decimal(1)] * 10
        assert purse.spent.usd == 100 - lender.left == 10

    asyncio.run(scenario())


def test_what_others_have_borrowed_cannot_be_spent() -> None:
    async def scenario() -> None:
        lender = Lender("2.5")  # others have the rest of the 100
        purse = Purse(Caps(usd=Decimal(100)), loans=lender)
        for _ in range(2):
            purse.settle(await purse.reserve(usd(1)), usd(1))
        with pytest.raises(BudgetSpent):
            await purse.reserve(usd(1))
        purse.settle(await purse.reserve(usd("0.5")), usd("0.5"))
        assert purse.spent.usd == Decimal("2.5")

    asyncio.run(scenario())


def test_caps_out_of_settings() -> None:
    assert caps_of("", 0, 0, 0.0) == Caps()
    assert caps_of("2.50", 7, 8, 9.5) == Caps(usd=Decimal("2.50"), tokens=7, requests=8, seconds=9.5)


@given(seed=st.integers(0, 2**32), shared=st.booleans())
@sized(max_examples=80)
def test_whatever_happens_no_cap_is_exceeded_and_everybody_gets_an_answer(
    hurried: Hurried, seed: int, shared: bool
) -> None:
    rng = random.Random(seed)
    caps = Caps(
        usd=Decimal(rng.randint(5, 40)), tokens=rng.choice([None, rng.randint(20, 200)]),
        requests=rng.choice([None, rng.randint(5, 80)]),
    )  # fmt: skip
    purse = Purse(caps, loans=Lender(str(caps.usd)) if shared else None)
    served = []

    def drawn() -> Amount:
        return Amount(Decimal(rng.randint(0, 40)) / 10, rng.randint(0, 10), 1)

    async def one(bound: Amount, brief: str, judging: Amount = NOTHING) -> None:
        await purse.reserve(bound, brief_id=brief, for_judging=judging)
        assert is_within(purse)
        used = Amount(bound.usd * rng.randint(0, 10) / 10, rng.randint(0, bound.tokens), 1)
        try:
            await asyncio.sleep(rng.random())
        finally:
            purse.settle(bound, used)
        assert is_within(purse)
        served.append(bound)

    async def brief(n: int) -> None:
        name, judging, judged = f"b{n}", drawn(), rng.random() < 0.5
        try:
            await one(drawn(), name, judging if judged else NOTHING)
            if judged and rng.random() < 0.8:
                await one(judging if rng.random() < 0.6 else drawn(), name)
        finally:
            purse.let_go(name)

    async def scenario() -> None:
        tasks = [asyncio.ensure_future(brief(n)) for n in range(40)]
        tasks += [asyncio.ensure_future(one(drawn(), "")) for _ in range(5)]
        for each in rng.sample(tasks, 12):
            await asyncio.sleep(rng.choice([0, 0.2]))
            each.cancel()
        for each in tasks:
            with suppress(asyncio.CancelledError, BudgetSpent):
                await asyncio.wait_for(each, 3600)
        assert purse.reserved == NOTHING
        assert is_within(purse)

    hurried(scenario())
    assert served


@given(st.lists(st.tuples(st.sampled_from(["reserve", "settle", "let_go"]), st.integers(0, 50), st.integers(0, 3))))
def test_a_schedule_never_exceeds_the_caps(hurried: Hurried, steps: list[tuple[str, int, int]]) -> None:
    async def scenario() -> None:
        purse, open_, tasks = Purse(Caps(usd=Decimal(100), requests=9)), list[Amount](), list[asyncio.Task[Any]]()

        async def ask(bound: Amount, name: str, judging: Amount) -> None:
            with suppress(BudgetSpent):
                open_.append(await purse.reserve(bound, brief_id=name, for_judging=judging))

        for what, much, n in steps:
            if what == "reserve":
                judging = usd(much // 2) if n % 2 else NOTHING
                tasks.append(asyncio.ensure_future(ask(usd(much), f"b{n}", judging)))
            elif what == "settle" and open_:
                bound = open_.pop(n % len(open_))
                purse.settle(bound, usd(int(bound.usd) * (n % 3) // 2))
            else:
                purse.let_go(f"b{n}")
            await turn()
            assert is_within(purse)
        for n in range(4):
            purse.let_go(f"b{n}")
        while any(not each.done() for each in tasks) or open_:
            if open_:
                purse.settle(open_.pop(), NOTHING)
            for n in range(4):
                purse.let_go(f"b{n}")
            await turn()
            assert is_within(purse)
        assert purse.reserved == NOTHING

    hurried(asyncio.wait_for(scenario(), 60))


def test_judging_that_is_paid_for_in_part_goes_before_those_who_starve() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(10)))
        purse.settle(await purse.reserve(usd(4), brief_id="a", for_judging=usd(2)), usd(4))
        starving = asyncio.ensure_future(purse.reserve(usd(4), brief_id="b", for_judging=usd(2)))
        await turn()
        assert not starving.done()  # 4 are spent and 2 kept: it may fit when the judging of a is over
        judged = await asyncio.wait_for(purse.reserve(usd(3), brief_id="a"), 1)  # dearer than was thought
        assert purse.reserved == usd(3)
        purse.settle(judged, usd(0))
        await asyncio.wait_for(starving, 1)

    asyncio.run(scenario())


def test_judging_that_does_not_fit_does_not_wait_for_those_who_wait_for_it() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(10)))
        purse.settle(await purse.reserve(usd(8), brief_id="a", for_judging=usd(1)), usd(8))
        starving = asyncio.ensure_future(purse.reserve(usd(2), brief_id="b"))
        await turn()
        with pytest.raises(BudgetSpent):
            await asyncio.wait_for(purse.reserve(usd(3), brief_id="a"), 1)
        await asyncio.wait_for(starving, 1)  # with what was kept for a
        assert purse.reserved == usd(2)

    asyncio.run(scenario())


def test_whoever_waits_when_the_wall_time_ends_is_not_served_and_judging_is() -> None:
    async def scenario() -> None:
        now = [100.0]
        purse = Purse(Caps(usd=Decimal(9), seconds=10), clock=lambda: now[0])
        purse.settle(await purse.reserve(usd(1), brief_id="a", for_judging=usd(1)), usd(1))
        bound = await purse.reserve(usd(7), brief_id="b")
        late = asyncio.ensure_future(purse.reserve(usd(2), brief_id="c"))
        await turn()
        now[0] = 111.0
        judging = asyncio.ensure_future(purse.reserve(usd(3), brief_id="a"))
        await turn()
        assert not late.done() and not judging.done()
        purse.settle(bound, NOTHING)
        await asyncio.wait_for(judging, 1)
        with pytest.raises(BudgetSpent, match="wall time"):
            await asyncio.wait_for(late, 1)

    asyncio.run(scenario())


def test_judging_that_had_to_wait_for_its_rest_is_afterwards_a_call_like_any_other() -> None:
    async def scenario() -> None:
        purse = Purse(Caps(usd=Decimal(10)))
        await purse.reserve(usd(4), brief_id="x")
        purse.settle(await purse.reserve(usd(2), brief_id="a", for_judging=usd(1)), usd(2))
        judging = asyncio.ensure_future(purse.reserve(usd(5), brief_id="a"))
        await turn()
        assert not judging.done()
        purse.settle(usd(4), NOTHING)
        purse.settle(await asyncio.wait_for(judging, 1), NOTHING)
        await purse.reserve(usd(6), brief_id="y")
        waiting = asyncio.ensure_future(purse.reserve(usd(6), brief_id="z"))
        await turn()
        assert not waiting.done()
        purse.settle(usd(6), NOTHING)
        await asyncio.wait_for(waiting, 1)

    asyncio.run(scenario())

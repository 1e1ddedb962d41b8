"""Asked once, bounded before, booked after: whatever the server does, books, purse and gate come out even."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as sized
from hypothesis import strategies as st

from proofset.errors import BudgetSpent, ModelError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models.admission import FIRST_LIMIT, Admission, Permit
from proofset.models.books import Books, Kept, token_bound
from proofset.models.breaker import Breaker
from proofset.models.metered import (
    FIRST_BACKOFF_S,
    NOT_SENT,
    TRIES,
    UNREADABLE_TRIES,
    Metered,
)
from proofset.models.purse import NOTHING, Amount, Caps, Purse
from proofset.nouns.record import Message
from proofset.nouns.result import Usage, UsageBasis
from proofset.plugins import Choice, Purpose, Reply, Request, Token
from proofset.runs.responses import Responses

Hurried = Callable[[Coroutine[Any, Any, Any]], Any]
CENT = Decimal("0.01")
ASK = Request(prompt="hello", max_tokens=8, temperature=0.0, purpose=Purpose("generate", "edge", "b1"))


@dataclass
class Row:
    """A reply as it was kept."""

    body: bytes
    usd: Decimal | None


@dataclass
class Shelf:
    """A store in memory."""

    rows: dict[bytes, Kept] = field(default_factory=dict)
    saved: list[Decimal] = field(default_factory=list)

    def get(self, key: bytes) -> Kept | None:
        """What is kept."""
        return self.rows.get(key)

    def put(self, key: bytes, speaker: str, body: bytes, usd: Decimal | None) -> None:
        """Keep."""
        self.rows.setdefault(key, Row(body, usd))

    def used(self, speaker: str, usd: Decimal) -> None:
        """Count."""
        self.saved.append(usd)

    def forget(self, key: bytes) -> None:
        """Throw away."""
        del self.rows[key]


class Server:
    """Answers with what each attempt is scripted to be: an error, or None for a reply."""

    name, parallel = "server", 50

    def __init__(self, *script: BaseException | None, raw: bytes = b"") -> None:
        self.script, self.raw, self.calls = iter(script), raw, 0

    async def reply(self, request: Request) -> Reply:
        """The next of the script; a reply when it is over."""
        self.calls += 1
        await asyncio.sleep(0.01)
        if (error := next(self.script, None)) is not None:
            raise error
        return Reply(text="hi", finish="stop", usage=Usage(model=self.name, stage="", input_tokens=1), raw=self.raw)

    async def close(self) -> None:
        """Nothing."""


class Rereading(Server):
    """Reads what is stored in its own way."""

    def reread(self, raw: bytes) -> Reply:
        """The text in capitals."""
        return Reply(text=raw.decode().upper(), finish="stop", usage=Usage(model=self.name, stage="", input_tokens=1))


@dataclass
class Desk:
    """A metered server with its books."""

    server: Any
    store: Any = field(default_factory=Shelf)
    purse: Purse = field(default_factory=lambda: Purse(Caps(usd=Decimal(100))))
    give_up_s: float = 900.0
    booked: list[Usage] = field(default_factory=list)
    pauses: list[tuple[str, float, str]] = field(default_factory=list)

    def metered(self, **changes: Any) -> Metered:
        """Made in the loop that uses it."""
        clock = asyncio.get_running_loop().time
        return Metered(
            **{
                "model": self.server, "identity": "server 1", "store": self.store, "purse": self.purse,
                "admission": Admission(50, clock=clock), "breaker": Breaker(self.give_up_s, clock=clock),
                "books": Books(
                    price=lambda usage: (CENT if usage.usd is None else usage.usd, usage.basis),
                    spent=self.booked.append,
                    paused=lambda *told: self.pauses.append(told),
                ),
                "bound": lambda request: Amount(Decimal(1), 100, 1), **changes,
            }
        )  # fmt: skip


def overloaded(retry_after_s: float | None = None) -> ModelUnavailable:
    """The 429 of a server."""
    error = ModelUnavailable("too much")
    error.status, error.overloaded, error.retry_after_s = 429, True, retry_after_s
    return error


def failed(status: int | None = 503) -> ModelUnavailable:
    """The 5xx of a server, or no answer."""
    error = ModelUnavailable("down")
    error.status = status
    return error


def ask(hurried: Hurried, desk: Desk, *requests: Request) -> list[Reply]:
    """Ask one after the other; permits and reservations are all back afterwards."""

    async def scenario() -> list[Reply]:
        metered = desk.metered()
        try:
            return [await metered.reply(request) for request in requests]
        finally:
            assert metered.admission.in_flight == 0
            assert desk.purse.reserved == NOTHING
            called = [u for u in desk.booked if u.basis is not UsageBasis.REPLAY and u.outcome != NOT_SENT]
            assert desk.purse.spent.requests == len(called)

    found: list[Reply] = hurried(scenario())
    return found


def test_a_reply_out_of_the_store_costs_nothing_and_says_what_it_saved(hurried: Hurried) -> None:
    desk = Desk(Server())
    first, again = ask(hurried, desk, ASK, replace(ASK, purpose=Purpose("critic", "other", "b2")))
    assert (first.text, again.text, desk.server.calls) == ("hi", "hi", 1)
    assert first.usage.usd == CENT and first.usage.avoided_usd is None
    usage = again.usage
    assert (usage.usd, usage.basis, usage.avoided_usd) == (Decimal(0), UsageBasis.REPLAY, CENT)
    assert (usage.stage, usage.slice, usage.brief_id) == ("critic", "other", "b2")
    assert desk.booked == [first.usage, again.usage]
    assert desk.store.saved == [CENT] and desk.purse.spent.usd == CENT


def test_a_raw_answer_is_read_anew_by_a_better_reading(hurried: Hurried) -> None:
    desk = Desk(Server(raw=b"raw answer"))
    ask(hurried, desk, ASK)
    desk.server = Rereading()
    assert [each.text for each in ask(hurried, desk, ASK)] == ["RAW ANSWER"]
    assert desk.server.calls == 0


def test_a_stored_answer_that_makes_no_sense_any_more_is_asked_for_again_once(hurried: Hurried) -> None:
    class Strict(Rereading):
        def reread(self, raw: bytes) -> Reply:
            if raw == b"old":
                raise ReplyUnreadable("not as we read today")
            return super().reread(raw)

    desk = Desk(Server(raw=b"old"))
    ask(hurried, desk, ASK)
    desk.server = Strict(raw=b"new")
    assert [each.text for each in ask(hurried, desk, ASK, ASK)] == ["hi", "NEW"]
    assert desk.server.calls == 1 and desk.store.saved == [CENT]


def test_what_cannot_have_been_sent_costs_nothing_and_is_no_call(hurried: Hurried) -> None:
    refused = failed(None)
    refused.unsent = True
    desk = Desk(Server(refused))
    ask(hurried, desk, ASK)
    unsent, answered = desk.booked
    assert (unsent.outcome, unsent.usd, unsent.input_tokens, unsent.output_tokens) == ("not sent", Decimal(0), 0, 0)
    assert desk.purse.spent.requests == 1 and desk.purse.spent.usd == answered.usd == CENT


def test_who_stops_waiting_for_a_batch_has_not_paid_yet(hurried: Hurried) -> None:
    class Patient(Server):
        goes_on = True

    async def scenario(server: Server) -> tuple[str, Decimal | None, int]:
        desk = Desk(server)
        task = asyncio.ensure_future(desk.metered().reply(ASK))
        await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait({task})
        (booked,) = desk.booked
        return booked.outcome, booked.usd, desk.purse.spent.requests

    assert hurried(scenario(Patient())) == ("left in a batch", Decimal(0), 0)
    assert hurried(scenario(Server())) == ("cancelled", CENT, 1)


def test_a_text_that_nobody_can_be_sent_is_a_refused_request(hurried: Hurried) -> None:
    with pytest.raises(ModelRefused, match="cannot be asked") as caught:
        ask(hurried, Desk(Server()), replace(ASK, prompt="half a pair \ud83d"))
    assert caught.value.status == 400 and "surrogate" in caught.value.hint


def test_money_for_judging_is_not_lost_to_a_new_generation_when_the_critic_is_busy(hurried: Hurried) -> None:
    judged = replace(ASK, prompt="judge", purpose=Purpose("critic", "edge", "b1"))

    async def scenario() -> tuple[Reply, BaseException | Reply]:
        purse = Purse(Caps(usd=Decimal(2)))
        desk = Desk(Server(overloaded(), overloaded()), purse=purse)
        await purse.reserve(Amount(Decimal("0.5"), 9, 1), brief_id="b1", for_judging=Amount(Decimal(1), 100, 1))
        purse.settle(Amount(Decimal("0.5"), 9, 1), Amount(CENT, 9, 1))
        critic = asyncio.ensure_future(desk.metered().reply(judged))
        await asyncio.sleep(0.015)  # it has failed once, and waits
        grab = asyncio.ensure_future(desk.metered(identity="other").reply(replace(ASK, prompt="grab")))
        return await critic, (await asyncio.gather(grab, return_exceptions=True))[0]

    reply, _ = hurried(scenario())
    assert reply.text == "hi"


def test_a_call_whose_time_ran_out_makes_room_as_a_429_does(hurried: Hurried) -> None:
    async def scenario(slow: bool) -> float:
        error = failed(None)
        error.timed_out = slow
        gate = Admission(50, clock=asyncio.get_running_loop().time)
        metered = Desk(Server(error)).metered(admission=gate)
        calls = (metered.reply(replace(ASK, prompt=str(number))) for number in range(FIRST_LIMIT))
        await asyncio.gather(*calls)
        return gate.limit

    assert hurried(scenario(True)) < FIRST_LIMIT < hurried(scenario(False))


def test_each_way_of_asking_for_json_has_replies_of_its_own(hurried: Hurried) -> None:
    class Formed(Server):
        json_form = "json_object"

    async def scenario() -> list[bool]:
        metered = Desk(Formed()).metered()
        shaped, keys = replace(ASK, schema="{}"), []
        for form in ("json_object", "prompted"):
            metered.json_form = form
            keys.append((metered.key(shaped), metered.key(ASK)))
        return [one == other for one, other in zip(*keys, strict=True)]

    assert hurried(scenario()) == [False, True]


def test_a_reply_without_raw_comes_back_whole_from_a_real_store(hurried: Hurried, tmp_path: Path) -> None:
    whole = Reply(
        text="é\x00", finish="length", usage=Usage(model="server", stage="", input_tokens=3), reasoning="hm",
        others=(Choice(text="b", finish="stop"),), logprobs=(Token("x", float("-inf"), (("y", -1.5),)),),
    )  # fmt: skip

    class Whole(Server):
        async def reply(self, request: Request) -> Reply:
            return whole

    with Responses(tmp_path) as store:
        ask(hurried, Desk(Whole(), store=store), ASK)
    with Responses(tmp_path) as store:
        desk = Desk(Server(), store=store)
        (again,) = ask(hurried, desk, ASK)
    assert desk.server.calls == 0
    assert replace(again, usage=whole.usage) == whole
    assert again.usage.avoided_usd == CENT


def test_equal_requests_at_once_are_asked_once(hurried: Hurried) -> None:
    desk = Desk(Server())

    async def scenario() -> None:
        metered = desk.metered()
        replies = await asyncio.gather(*(metered.reply(ASK) for _ in range(20)))
        assert [each.text for each in replies] == ["hi"] * 20
        assert (metered.meter().calls, metered.meter().replays) == (1, 19)

    hurried(scenario())
    assert desk.server.calls == 1
    assert sum(usage.usd or 0 for usage in desk.booked) == CENT
    assert sum(usage.basis is UsageBasis.REPLAY for usage in desk.booked) == 19


def test_equal_requests_share_a_refusal_and_outlive_a_cancelled_first(hurried: Hurried) -> None:
    async def scenario() -> None:
        desk = Desk(Server(ModelRefused("no")))
        metered = desk.metered()
        found = await asyncio.gather(*(metered.reply(ASK) for _ in range(5)), return_exceptions=True)
        assert [type(each) for each in found] == [ModelRefused] * 5 and desk.server.calls == 1
        tasks = [asyncio.ensure_future(metered.reply(ASK)) for _ in range(5)]
        await asyncio.sleep(0.005)
        tasks[0].cancel()
        assert [each.text for each in await asyncio.gather(*tasks[1:])] == ["hi"] * 4
        assert desk.server.calls == 3
        assert desk.purse.reserved == NOTHING

    hurried(scenario())


def test_overload_is_no_failure_and_is_waited_out(hurried: Hurried) -> None:
    desk = Desk(Server(*(overloaded(2.0) for _ in range(3 * TRIES))))
    ask(hurried, desk, ASK)
    assert desk.server.calls == 3 * TRIES + 1
    assert [usage.outcome for usage in desk.booked] == ["http 429"] * 3 * TRIES + ["ok"]
    assert desk.purse.spent.usd == CENT and desk.pauses == []


def test_overload_ends_with_the_patience(hurried: Hurried) -> None:
    desk = Desk(Server(*(overloaded(20.0) for _ in range(1000))), give_up_s=100.0)
    with pytest.raises(ModelUnavailable):
        ask(hurried, desk, ASK)
    assert 3 <= desk.server.calls <= 10


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (failed, TRIES), (lambda: failed(None), TRIES), (lambda: ReplyUnreadable("html"), UNREADABLE_TRIES),
        (lambda: ModelRefused("no"), 1),
    ],
)  # fmt: skip
def test_what_fails_is_tried_so_often_and_every_attempt_is_booked(
    hurried: Hurried, error: Callable[[], ModelError], calls: int
) -> None:
    desk = Desk(Server(*(error() for _ in range(100))))
    with pytest.raises(type(error())):
        ask(hurried, desk, ASK)
    assert desk.server.calls == len(desk.booked) == calls
    assert all(usage.outcome != "ok" and usage.brief_id == "b1" for usage in desk.booked)
    assert desk.store.rows == {}


def test_an_attempt_that_was_answered_with_no_is_free_and_one_of_unknown_fate_is_not(hurried: Hurried) -> None:
    desk = Desk(Server(failed(500), failed(None), ReplyUnreadable("html")))
    ask(hurried, desk, ASK)
    assert [usage.usd for usage in desk.booked] == [Decimal(0), CENT, CENT, CENT]
    assert [usage.basis for usage in desk.booked[:3]] == [UsageBasis.ESTIMATED] * 3


def test_no_permit_and_no_money_is_held_while_waiting_to_try_again(hurried: Hurried) -> None:
    desk, seen = Desk(Server(failed(), overloaded(), ReplyUnreadable("x"))), list[tuple[int, Amount]]()

    async def scenario() -> None:
        async def sleep(_: float) -> None:
            seen.append((metered.admission.in_flight, desk.purse.reserved))

        metered = desk.metered(sleep=sleep, for_judging=lambda request: Amount(Decimal(2), 0, 1))
        await metered.reply(ASK)
        assert desk.purse.reserved == Amount(Decimal(2), 0, 1)  # for the judge

    hurried(scenario())
    assert seen == [(0, NOTHING)] * 3


def test_what_the_server_asks_for_is_waited_for(hurried: Hurried) -> None:
    async def scenario() -> float:
        await Desk(Server(overloaded(60.0))).metered().reply(ASK)
        return asyncio.get_running_loop().time()

    assert 60.0 <= hurried(scenario()) < 62.0


def test_a_server_that_only_fails_is_left_alone_and_that_is_told(hurried: Hurried) -> None:
    desk = Desk(Server(*(failed() for _ in range(20))))

    async def scenario() -> None:
        metered = desk.metered()
        await asyncio.gather(*(metered.reply(replace(ASK, sample=n)) for n in range(20)))
        assert asyncio.get_running_loop().time() >= 5.0

    hurried(scenario())
    assert [(name, pause_s) for name, pause_s, _ in desk.pauses] == [("server", 5.0)]


def test_nothing_is_sent_that_the_budget_could_not_pay_at_its_worst(hurried: Hurried) -> None:
    desk = Desk(Server(), purse=Purse(Caps(usd=Decimal("0.99"))))
    with pytest.raises(BudgetSpent):
        ask(hurried, desk, ASK)
    assert desk.server.calls == 0


@given(seed=st.integers(0, 2**32))
@sized(max_examples=40)
def test_under_failures_and_cancellations_purse_gate_and_books_come_out_even(hurried: Hurried, seed: int) -> None:
    rng = random.Random(seed)
    kinds: list[Callable[[], BaseException | None]] = [
        failed, overloaded, lambda: ReplyUnreadable("x"), lambda: ModelRefused("no"), lambda: None, lambda: None,
    ]  # fmt: skip
    desk = Desk(Server(*(rng.choice(kinds)() for _ in range(200))), purse=Purse(Caps(usd=Decimal(rng.randint(2, 50)))))

    async def scenario() -> None:
        metered = desk.metered()
        tasks = [asyncio.ensure_future(metered.reply(replace(ASK, sample=n % 20))) for n in range(40)]
        for each in rng.sample(tasks, 10):
            await asyncio.sleep(rng.choice([0, 0.003, 0.2]))
            each.cancel()
        for each in tasks:
            with suppress(asyncio.CancelledError, ModelError, BudgetSpent):
                await asyncio.wait_for(each, 7200)
        assert (metered.admission.in_flight, metered.admission.waiting) == (0, 0)
        assert desk.purse.reserved == NOTHING

    hurried(scenario())
    paid = [usage for usage in desk.booked if usage.basis is not UsageBasis.REPLAY]
    assert len(paid) == desk.server.calls == desk.purse.spent.requests
    assert sum((usage.usd or Decimal(0) for usage in paid), Decimal(0)) == desk.purse.spent.usd


OTHER: dict[str, Any] = {
    "prompt": "other", "messages": (Message("user", "hi"),), "max_tokens": 9, "temperature": 0.5, "top_p": 0.5,
    "top_k": 3, "min_p": 0.1, "seed": 7, "stop": ("\n",), "n": 2, "schema": "{}", "logprobs": 1, "reasoning": "low",
    "sample": 1, "shared_chars": 3, "purpose": Purpose("critic"),
}  # fmt: skip


@pytest.mark.parametrize("name", [each.name for each in fields(Request)])
def test_the_key_changes_with_what_decides_the_reply_and_with_nothing_else(name: str) -> None:
    async def scenario() -> bool:
        metered = Desk(Server()).metered()
        assert metered.key(replace(ASK, **{name: getattr(ASK, name)})) == metered.key(ASK)
        return metered.key(replace(ASK, **{name: OTHER[name]})) == metered.key(ASK)

    assert asyncio.run(scenario()) is (name in {"shared_chars", "purpose"})


def test_the_key_changes_with_the_identity_and_takes_any_text() -> None:
    async def scenario() -> None:
        desk = Desk(Server())
        keys = {desk.metered(identity=name).key(ASK) for name in ("a", "b", "a" * 500)}
        assert len(keys) == 3 and {len(key) for key in keys} == {16}

    asyncio.run(scenario())


@pytest.fixture(autouse=True)
def _same_jitter() -> Iterator[None]:
    random.seed(7)
    yield


def test_who_is_cancelled_together_with_the_first_of_equal_requests_asks_nothing_more(hurried: Hurried) -> None:
    async def scenario() -> None:
        desk = Desk(Server())
        metered = desk.metered()
        tasks = [asyncio.ensure_future(metered.reply(ASK)) for _ in range(5)]
        await asyncio.sleep(0.005)
        for each in tasks:  # as a task group does that ends
            each.cancel()
        await asyncio.wait(tasks)
        assert all(each.cancelled() for each in tasks) and desk.server.calls == 1
        assert desk.purse.reserved == NOTHING

    hurried(scenario())


@pytest.mark.parametrize("broken", ["price", "spent", "put"])
@pytest.mark.parametrize("error", [None, failed()])
def test_when_the_books_or_the_store_fail_permit_and_money_come_back(
    hurried: Hurried, broken: str, error: ModelError | None
) -> None:
    async def scenario() -> None:
        desk = Desk(Server(error))
        metered = desk.metered()

        def full(*_: object) -> None:
            raise OSError("no room")

        if broken == "put":
            desk.store.put = full
        else:
            setattr(metered.books, broken, full)
        with pytest.raises(OSError, match="no room"):
            await metered.reply(ASK)
        assert metered.admission.in_flight == 0
        assert desk.purse.reserved == NOTHING

    hurried(scenario())


def test_a_server_that_refuses_thousands_of_times_is_asked_ever_more_seldom(hurried: Hurried) -> None:
    desk = Desk(Server(*(overloaded() for _ in range(1500))), give_up_s=1e6)

    async def scenario() -> float:
        await desk.metered().reply(ASK)
        return asyncio.get_running_loop().time()

    assert hurried(scenario()) > 1400 * 10  # half of the longest wait on average, which is 30 s
    assert desk.server.calls == 1501


def test_unreadable_answers_are_counted_apart_from_failures(hurried: Hurried) -> None:
    desk = Desk(Server(failed(), failed(), failed(), ReplyUnreadable("x")))
    assert [each.text for each in ask(hurried, desk, ASK)] == ["hi"]
    desk = Desk(Server(*(error for _ in range(UNREADABLE_TRIES) for error in (failed(), ReplyUnreadable("x")))))
    with pytest.raises(ReplyUnreadable):
        ask(hurried, desk, ASK)
    assert desk.server.calls == 2 * UNREADABLE_TRIES == TRIES


def test_an_attempt_of_unknown_fate_is_booked_at_its_worst_and_within_its_bound(hurried: Hurried) -> None:
    asked = replace(ASK, prompt="é" * 400, n=3)
    desk, million = Desk(Server(failed(None))), Decimal(1_000_000)

    async def scenario() -> None:
        def price(usage: Usage) -> tuple[Decimal | None, UsageBasis]:
            usd = Decimal(usage.input_tokens + 2 * usage.output_tokens)
            return (usd, UsageBasis.OVERRIDE) if usage.usd is None else (usage.usd, usage.basis)

        metered = desk.metered(bound=token_bound(million, 2 * million))
        metered.books.price = price
        await metered.reply(asked)

    desk.purse = Purse(Caps())
    hurried(scenario())
    unknown = desk.booked[0]
    assert (unknown.outcome, unknown.basis) == ("no answer", UsageBasis.ESTIMATED)
    assert unknown.output_tokens == 3 * asked.max_tokens
    bound = token_bound(million, 2 * million)(asked)
    assert unknown.usd is not None and unknown.usd <= bound.usd
    assert unknown.input_tokens + unknown.output_tokens <= bound.tokens


def test_where_others_are_answered_a_failed_call_waits_little_and_on_a_failing_server_ever_longer(
    hurried: Hurried,
) -> None:
    async def waited(others: bool) -> list[float]:
        waits: list[float] = []
        desk = Desk(Server(*[failed()] * 6))
        gate = Admission(50, clock=asyncio.get_running_loop().time)

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            if others:  # somebody else's call is answered meanwhile
                gate.succeeded(await gate.permit(0), tokens=0)

        await desk.metered(admission=gate, sleep=sleep).reply(ASK)
        return waits

    well, failing = hurried(waited(True)), hurried(waited(False))
    assert len(well) == len(failing) == 6
    assert max(well) <= FIRST_BACKOFF_S < max(failing)


def test_what_was_tried_before_and_what_is_for_no_brief_goes_before_new_work(hurried: Hurried) -> None:
    async def scenario() -> list[bool]:
        asked: list[bool] = []

        class Watched(Admission):
            async def permit(self, tokens: int, *, urgent: bool = False) -> Permit:
                asked.append(urgent)
                return await super().permit(tokens, urgent=urgent)

        desk = Desk(Server(failed()))
        metered = desk.metered(admission=Watched(50, clock=asyncio.get_running_loop().time))
        await metered.reply(ASK)
        await metered.reply(replace(ASK, prompt="probe", purpose=Purpose("critic")))
        return asked

    assert hurried(scenario()) == [False, True, True]

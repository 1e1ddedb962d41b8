"""Against a batch API on the loopback: requests travel together, each gets its answer, and nothing is asked twice."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.toy.provider import Provider, expired, failed, good

from proofset.errors import ModelError, ModelRefused, ModelUnavailable
from proofset.models.batch import Progress
from proofset.models.chat import EndpointChat
from proofset.models.halfprice import HalfPrice
from proofset.plugins import Purpose, Reply, Request
from proofset.speakers import Model


def asked(text: str, brief: str = "b") -> Request:
    return Request(prompt=text, max_tokens=5, temperature=1.0, purpose=Purpose("generate", "edge", brief))


MANY = [asked(f"prompt {number}", f"b{number}") for number in range(12)]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()  # an unclosed session would warn here, and warnings are errors


def play(folder: Path, work: Callable[[HalfPrice], Awaitable[Any]], provider: Provider, **changes: Any) -> Any:
    """What ``work`` returns, with the provider reached in batches."""

    async def act() -> Any:
        runner = web.AppRunner(provider.app())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        settings = {"give_up_s": 5.0, "linger_s": 0.02, "pause_s": 0.02} | changes
        model = HalfPrice(EndpointChat(Model(engine="chat", base_url=url, model="m")), folder, **settings)
        try:
            return await work(model)
        finally:
            await model.close()
            assert asyncio.all_tasks() == {asyncio.current_task(), *web_tasks()}, "something was left running"
            await runner.cleanup()

    def web_tasks() -> set[Any]:
        return {task for task in asyncio.all_tasks() if "RequestHandler" in repr(task.get_coro())}

    return asyncio.run(act())


async def all_of(model: HalfPrice, requests: list[Request] = MANY) -> list[Reply | BaseException]:
    return await asyncio.gather(*map(model.reply, requests), return_exceptions=True)


def test_what_is_asked_together_travels_together_at_half_the_price(tmp_path: Path) -> None:
    provider, told = Provider(), list[Progress]()
    replies = play(tmp_path, all_of, provider, report=told.append)
    assert [reply.text for reply in replies] == [f"prompt {number}!" for number in range(12)]
    assert {reply.usage.processing for reply in replies} == {"batch"}
    assert len(provider.batches) == 1 and provider.calls["POST /v1/completions"] == 0
    assert (told[-1].asked, told[-1].answered) == (12, 12)


def test_what_comes_while_a_batch_is_under_way_goes_in_another(tmp_path: Path) -> None:
    provider = Provider()
    provider.polls_needed = 3

    async def work(model: HalfPrice) -> list[str]:
        early = asyncio.create_task(all_of(model, MANY[:3]))
        while not provider.batches:
            await asyncio.sleep(0.01)
        late = await all_of(model, MANY[3:])
        return [reply.text for reply in (*await early, *late) if isinstance(reply, Reply)]

    assert play(tmp_path, work, provider) == [f"prompt {number}!" for number in range(12)]
    assert [len(batch["lines"]) for batch in provider.batches.values()] == [3, 9]


def test_stopped_and_begun_again_nothing_is_handed_in_twice(tmp_path: Path) -> None:
    provider = Provider()
    provider.polls_needed = 10**9

    async def stopped(model: HalfPrice) -> None:
        task = asyncio.create_task(all_of(model))
        while not provider.batches:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})

    play(tmp_path, stopped, provider)
    provider.polls_needed = 1
    replies = play(tmp_path, all_of, provider)
    assert [reply.text for reply in replies] == [f"prompt {number}!" for number in range(12)]
    assert len(provider.batches) == 1


def test_a_request_that_is_refused_or_never_answered_is_a_refusal_of_that_one(tmp_path: Path) -> None:
    provider = Provider()

    def some(lines: list[dict[str, Any]]) -> Any:
        rows = [good(line) for line in lines[2:]]
        return "completed", rows, [failed(lines[0], 400, "too long"), expired(lines[1])]

    provider.ends = [some, *[lambda lines: ("expired", [], [expired(line) for line in lines])] * 2]
    found = play(tmp_path, all_of, provider)
    assert [isinstance(each, ModelRefused) for each in found] == [True, True, *[False] * 10]
    assert found[0].status == 400 and "too long" in str(found[0])
    assert found[1].status == 422 and "handed in 3 times" in str(found[1])
    assert str(tmp_path) in found[0].hint


def test_equal_requests_share_an_answer_and_samples_do_not(tmp_path: Path) -> None:
    provider = Provider()
    twice = [MANY[0], MANY[0], replace(MANY[0], sample=1)]

    async def work(model: HalfPrice) -> list[str]:
        return [reply.text for reply in await all_of(model, twice) if isinstance(reply, Reply)]

    assert len(play(tmp_path, work, provider)) == 3
    assert [len(batch["lines"]) for batch in provider.batches.values()] == [2]


def test_what_all_would_wait_for_is_asked_at_once(tmp_path: Path) -> None:
    provider = Provider()
    alone = Request(prompt="probe", max_tokens=5, temperature=1.0, purpose=Purpose("critic"))

    async def work(model: HalfPrice) -> tuple[Reply, str]:
        model.json_form = "json_object"
        return await model.reply(alone), model.json_form

    reply, form = play(tmp_path, work, provider)
    assert (reply.text, reply.usage.processing, form) == ("probe!", "", "json_object")
    assert not provider.batches


def test_a_provider_that_is_away_is_waited_for_and_given_up_in_the_end(tmp_path: Path) -> None:
    def away() -> web.Response:
        return web.Response(status=500, text="away")

    patient = Provider()
    patient.troubles["POST /batches"] = [away, away]
    assert all(isinstance(each, Reply) for each in play(tmp_path / "a", all_of, patient))
    gone = Provider()
    gone.troubles["POST /files"] = [away] * 1000
    found = play(tmp_path / "b", all_of, gone, give_up_s=0.2)
    assert all(isinstance(each, ModelUnavailable) for each in found)


def test_a_key_that_is_refused_ends_it_for_all(tmp_path: Path) -> None:
    provider = Provider()
    provider.troubles["POST /files"] = [lambda: web.Response(status=401, text="bad key")]

    async def work(model: HalfPrice) -> list[Any]:
        first = await all_of(model, MANY[:2])
        return [*first, *await all_of(model, MANY[2:4])]  # and a later one, with a better key, is not held back by it

    found = play(tmp_path, work, provider)
    assert [getattr(each, "status", None) for each in found] == [401, 401, None, None]
    assert isinstance(found[0], ModelError) and isinstance(found[3], Reply)

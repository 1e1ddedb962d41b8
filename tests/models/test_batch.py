"""Against a batch API on the loopback: whatever stops on the way, nothing is lost and nothing is paid twice."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.toy.provider import Provider, Row, expired, failed, good, late

from proofset.errors import ModelRefused, ModelUnavailable, ReplyUnreadable, StoreDamaged
from proofset.models.batch import BatchJob, Harvest, Progress, Refused
from proofset.models.chat import EndpointChat
from proofset.nouns.record import Message
from proofset.plugins import Reply, Request
from proofset.speakers import Model

Work = Callable[["Provider", Callable[..., BatchJob]], Awaitable[Any]]


def asked(text: str, *, chat: bool = False) -> Request:
    if chat:
        return Request(messages=(Message("user", text),), max_tokens=5, temperature=1.0)
    return Request(prompt=text, max_tokens=5, temperature=1.0)


ITEMS = [(f"key{at}", asked(f"prompt {at}")) for at in range(6)]
KEYS = [key for key, _ in ITEMS]


def broken() -> web.Response:
    return web.Response(status=500, text="overloaded")


def fine() -> None:
    """Nothing goes wrong at this call."""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()  # an unclosed session would warn here, and warnings are errors


def play(tmp_path: Path, work: Work, provider: Provider | None = None) -> Any:
    """What ``work`` returns, with a provider and a maker of jobs over one folder."""
    there = provider or Provider()

    async def act() -> Any:
        runner = web.AppRunner(there.app())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        chats: list[EndpointChat] = []

        def job(**settings: Any) -> BatchJob:
            chats.append(EndpointChat(Model(engine="chat", base_url=url, model="m")))
            return BatchJob(tmp_path / "batch", chats[-1], **settings)

        try:
            return await work(there, job)
        finally:
            for chat in chats:
                await chat.close()
            await runner.cleanup()

    return asyncio.run(act())


class Sleeper:
    """A clock that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def clock(self) -> float:
        return sum(self.slept)

    @property
    def both(self) -> dict[str, Any]:
        return {"sleep": self.sleep, "clock": self.clock}


def texts(found: Harvest) -> dict[str, str]:
    return {key: answer.text if isinstance(answer, Reply) else f"refused: {answer.reason}" for key, answer in found}


ALL_WELL = {key: f"prompt {at}!" for at, key in enumerate(KEYS)}


def test_all_goes_well(tmp_path: Path) -> None:
    sleeper, seen = Sleeper(), list[Progress]()

    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        provider.polls_needed = 4
        return await job(**sleeper.both).run(ITEMS, report=seen.append)

    found = play(tmp_path, work)
    assert texts(found) == ALL_WELL
    assert (found.duplicates, found.strangers, found.unreadable, found.missing) == (0, [], [], [])
    replies = [answer for _, answer in found if isinstance(answer, Reply)]
    assert {(each.usage.processing, each.usage.outcome, each.usage.input_tokens) for each in replies} == {
        ("batch", "ok", 3)
    }
    assert all(each.raw and each.finish == "stop" for each in replies)
    assert sleeper.slept == [5.0, 7.5, 11.25]
    assert [(each.asked, each.answered, each.done) for each in seen] == [(6, 0, False)] * 3 + [(6, 6, True)]
    assert seen[-1].seconds == 23.75


def test_prompts_and_turns_go_into_parts_of_their_own(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> tuple[Harvest, int]:
        turns = [("chat1", asked("hello", chat=True)), ("chat2", asked("you", chat=True))]
        found = await job(**Sleeper().both).run([*turns, *ITEMS])
        return found, len(provider.batches)

    found, batches = play(tmp_path, work)
    assert texts(found) == ALL_WELL | {"chat1": "hello!", "chat2": "you!"}
    assert batches == 2


def test_many_requests_make_many_parts(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> tuple[Harvest, int]:
        found = await job(most_lines=2, **Sleeper().both).run(ITEMS)
        return found, len(provider.batches)

    found, batches = play(tmp_path, work)
    assert texts(found) == ALL_WELL and batches == 3


def test_a_restart_at_every_stage_repeats_nothing(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        provider.polls_needed = 2
        assert len(job(most_lines=4).write(ITEMS)) == 2
        assert job(most_lines=4).write(ITEMS) == []  # written already
        assert await job().submit() == 2
        assert await job().submit() == 0  # submitted already
        assert not (await job().poll()).done
        assert texts(await job().collect()) == {}  # nothing yet
        assert (await job().poll()).done
        assert (await job().poll()).done
        calls = provider.calls.copy()
        assert calls == {"POST /files": 2, "POST /batches": 2, "GET /batch": 4, "GET /content": 2}
        provider.files.clear()  # providers do not keep them for ever
        found = await job().collect()
        assert provider.calls == calls
        return found

    assert texts(play(tmp_path, work)) == ALL_WELL


def test_later_requests_join_and_earlier_ones_stay(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        await job(**Sleeper().both).run(ITEMS[:2])
        found = await job(**Sleeper().both).run(ITEMS)
        assert [len(batch["lines"]) for batch in provider.batches.values()] == [2, 4]
        return found

    assert texts(play(tmp_path, work)) == ALL_WELL


def test_an_upload_that_fails_once_is_tried_again(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> None:
        provider.troubles["POST /files"] = [broken]
        mine = job()
        mine.write(ITEMS)
        with pytest.raises(ModelUnavailable, match="500"):
            await mine.submit()
        assert await mine.submit() == 1
        assert (len(provider.files), len(provider.batches)) == (1, 1)

    play(tmp_path, work)


@pytest.mark.parametrize("call", ["POST /files", "POST /batches"])
@pytest.mark.parametrize("others", [0, 3])
def test_what_was_done_unheard_is_not_done_twice(tmp_path: Path, call: str, others: int) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        provider.troubles[call] = [fine, late]
        mine = job()
        mine.write(ITEMS)
        with pytest.raises(ModelUnavailable):
            await mine.submit()
        for at in range(others):  # somebody else's, on the first pages of the list
            file_id = provider.file(b"{}", f"other-{at}.jsonl")
            provider.batches[f"other-{at}"] = {"id": f"other-{at}", "input_file_id": file_id, "status": "completed"}
        assert await job().submit() == 1
        assert provider.calls[call] == 1 and len(provider.batches) == 1 + others
        await mine.poll()
        return await job().collect()

    assert texts(play(tmp_path, work)) == ALL_WELL


def test_without_a_list_a_doubtful_batch_waits_for_a_person_and_an_upload_is_repeated(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> None:
        provider.lists = False
        provider.troubles = {"POST /files": [broken], "POST /batches": [fine, late]}
        mine = job()
        mine.write(ITEMS)
        for expected in (ModelUnavailable, ModelUnavailable):
            with pytest.raises(expected):
                await mine.submit()
        with pytest.raises(ModelRefused, match="may have been handed in already") as caught:
            await mine.submit()
        assert "batch_id" in caught.value.hint
        assert provider.calls["POST /batches"] == 1

    play(tmp_path, work)


def test_a_batch_that_is_refused_was_not_begun(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> None:
        provider.troubles["POST /batches"] = [lambda: web.Response(status=400, text="no such endpoint")]
        mine = job()
        mine.write(ITEMS)
        with pytest.raises(ModelRefused, match="no such endpoint"):
            await mine.submit()
        assert await job().submit() == 1
        assert (provider.calls["GET list"], len(provider.files)) == (0, 1)

    play(tmp_path, work)


def test_an_expired_batch_keeps_what_it_has_and_the_rest_is_asked_again(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        provider.ends.append(
            lambda lines: ("expired", [good(line) for line in lines[:3]], list(map(expired, lines[3:])))
        )
        found = await job(**Sleeper().both).run(ITEMS)
        asked_for = [[line["custom_id"] for line in batch["lines"]] for batch in provider.batches.values()]
        assert asked_for == [KEYS, KEYS[3:]]
        return found

    assert texts(play(tmp_path, work)) == ALL_WELL


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
def test_what_never_comes_is_refused_in_the_end(tmp_path: Path, status: str) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        provider.ends += [lambda lines: (status, [good(line) for line in lines[:2]], [])] * 3
        found = await job(turns=2, **Sleeper().both).run(ITEMS)
        assert len(provider.batches) == 2
        return found

    found = play(tmp_path, work)
    answers = texts(found)
    assert [key for key, text in answers.items() if text.endswith("!")] == KEYS[:4]
    assert answers["key4"] == answers["key5"] == f"refused: no answer, handed in 2 times; last: the batch {status}"
    assert found.missing == KEYS[4:]


def test_rows_in_the_error_file_are_refused_or_asked_again(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        def end(lines: list[Row]) -> tuple[str, list[Row], list[Row]]:
            errors = [failed(lines[1], 400, "content policy"), failed(lines[2], 429), failed(lines[3], 500)]
            return "completed", [good(lines[0]), good(lines[4]), good(lines[5])], errors

        provider.ends.append(end)
        found = await job(**Sleeper().both).run(ITEMS)
        assert [line["custom_id"] for line in provider.batches["batch-1"]["lines"]] == ["key2", "key3"]
        return found

    found = play(tmp_path, work)
    answers = dict(found)
    refused = answers.pop("key1")
    assert isinstance(refused, Refused) and refused.status == 400
    assert refused.reason == "part-0001-r1.errors.jsonl:1: HTTP 400 content policy"
    assert all(isinstance(answer, Reply) for answer in answers.values()) and len(answers) == 5


def test_lines_that_fail_validation_are_refused_and_the_others_asked_again(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        provider.ends.append(lambda lines: ("failed", [], []))
        mine = job(**Sleeper().both)
        mine.write(ITEMS)
        await mine.submit()
        provider.batches["batch-0"]["errors"] = {"data": [{"line": 2, "message": "max_tokens is too large"}]}
        return await mine.run()

    assert texts(play(tmp_path, work)) == ALL_WELL | {"key1": "refused: max_tokens is too large"}


def test_a_part_for_which_there_is_no_room_waits_for_the_others(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        mine = job(most_lines=3, turns=1, **Sleeper().both)
        provider.polls_needed = 3
        mine.write(ITEMS)
        await mine.submit()
        crowded = {"code": "token_limit_exceeded", "line": None, "message": "Enqueued token limit reached"}
        provider.batches["batch-1"] |= {"status": "failed", "errors": {"data": [crowded]}}
        found = await mine.run()
        assert (len(provider.files), len(provider.batches)) == (4, 3)  # two files up, two down; handed in once more
        return found

    assert texts(play(tmp_path, work)) == ALL_WELL


def test_a_part_that_never_has_room_says_so(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        mine = job(turns=1, **Sleeper().both)
        mine.write(ITEMS)
        await mine.submit()
        crowded = {"code": "token_limit_exceeded", "line": None, "message": "Enqueued token limit reached"}
        provider.batches["batch-0"] |= {"status": "failed", "errors": {"data": [crowded]}}
        return await mine.run()

    answers = texts(play(tmp_path, work))
    assert set(answers.values()) == {
        "refused: no answer, handed in 1 times; last: the batch failed: Enqueued token limit reached"
    }


def test_odd_rows_are_counted_and_named(tmp_path: Path) -> None:
    def end(lines: list[Row]) -> tuple[str, bytes, list[Row]]:
        rows = [json.dumps(good(line)) for line in lines[:4]]
        rows += [json.dumps(good({**lines[0], "body": {"prompt": "again"}}))]  # a second answer
        rows += [json.dumps(good({**lines[0], "custom_id": "nobody"}))]
        rows += [json.dumps(good(lines[4]))[:-20], '{"custom', "[1]", ""]  # torn, but its own; nobody's; no row; blank
        rows += [json.dumps({"custom_id": "key5", "response": {"status_code": 200, "body": {"choices": "none"}}})]
        return "completed", "\n".join(rows).encode(), []

    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        provider.ends.append(end)
        return await job(**Sleeper().both).run(ITEMS)

    found = play(tmp_path, work)
    for _ in range(2):  # reading again does not count again
        answers = texts(found)
        assert {key: answers[key] for key in KEYS[:4]} == {key: ALL_WELL[key] for key in KEYS[:4]}
        assert answers["key4"] == "refused: part-0001-r1.output.jsonl:7: the row is torn"
        assert answers["key5"].startswith("refused: part-0001-r1.output.jsonl:11: m at http")
        assert found.duplicates == 1
        assert found.strangers == ["part-0001-r1.output.jsonl:6: nobody"]
        assert found.unreadable == ["part-0001-r1.output.jsonl:8", "part-0001-r1.output.jsonl:9"]


def test_a_file_without_a_row_is_an_error_and_is_fetched_again(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> Harvest:
        provider.troubles["GET /content"] = [lambda: web.Response(text="<html>Sign in</html>")]
        mine = job()
        mine.write(ITEMS)
        await mine.submit()
        with pytest.raises(ReplyUnreadable, match=r"part-0001-r1\.output\.jsonl:1: not a row .*Sign in"):
            await mine.poll()
        return await job(**Sleeper().both).run()

    assert texts(play(tmp_path, work)) == ALL_WELL


def test_run_waits_for_a_provider_that_fails_and_gives_up_in_the_end(tmp_path: Path) -> None:
    sleeper = Sleeper()

    async def work(provider: Provider, job: Callable[..., BatchJob]) -> None:
        asks = {"Retry-After": "99"}
        provider.troubles["GET /batch"] = [lambda: web.Response(status=429, headers=asks), broken]
        assert texts(await job(**sleeper.both).run(ITEMS)) == ALL_WELL
        assert sleeper.slept == [99.0, 7.5]
        provider.troubles["POST /files"] = [broken] * 50
        with pytest.raises(ModelUnavailable):
            await job(**sleeper.both).run([("another", asked("x"))], give_up_s=1000)
        assert 1000 < sleeper.clock() < 1700
        assert max(sleeper.slept) <= 600

    play(tmp_path, work)


@pytest.mark.parametrize("body", ["[]", "{}", "not json", '{"id'])
def test_what_is_no_batch_api_says_so(tmp_path: Path, body: str) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> None:
        provider.troubles["POST /files"] = [lambda: web.Response(text=body)]
        mine = job()
        mine.write(ITEMS)
        with pytest.raises(ReplyUnreadable, match="not what a batch API answers") as caught:
            await mine.submit()
        assert "/batches" in caught.value.hint

    play(tmp_path, work)


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> None:
        job().write(ITEMS)
        (tmp_path / "batch" / "part-0001-r1.state.json").write_text('{"lines": 6, "colour": 1}')
        with pytest.raises(StoreDamaged, match=r"part-0001-r1\.state\.json"):
            await job().submit()

    play(tmp_path, work)


def test_nothing_asked_is_nothing_to_do(tmp_path: Path) -> None:
    async def work(provider: Provider, job: Callable[..., BatchJob]) -> None:
        assert texts(await job().run()) == {}
        assert not provider.calls

    play(tmp_path, work)

"""Against a real server on the loopback: what works, what is tried again, what is refused, and what is never shown."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from proofset.config import Model
from proofset.errors import ConfigError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models import chat
from proofset.models.chat import LONGEST_PAUSE_S, TRIES, EndpointChat
from proofset.plugins import Reply, Request

KEY = "sk-very-secret-0123456789"
ASKED = Request(
    prompt="Once upon", max_tokens=9, temperature=0.8, top_p=0.9, top_k=40, min_p=0.05, seed=5, stop=("\n",)
)
GOOD = {
    "choices": [{"text": " a time", "finish_reason": "length"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 7}},
}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the model would have waited between its attempts."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(chat, "asyncio", SimpleNamespace(sleep=sleep))
    return waited


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[str]:
    """A server that answers completions; its base_url."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await answer(request)

    app = web.Application()
    app.router.add_post("/v1/completions", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def ask(answer: Answer, *, times: int = 1, slash: str = "", **settings: Any) -> list[Reply]:
    """The replies of a server to so many requests at once."""

    async def work() -> list[Reply]:
        async with server(answer) as url:
            model = EndpointChat(Model(engine="chat", base_url=url + slash, model="m", **settings))
            try:
                return await asyncio.gather(*(model.reply(ASKED) for _ in range(times)))
            finally:
                await model.close()

    try:
        return asyncio.run(work())
    finally:
        gc.collect()  # an unclosed session would warn here, and warnings are errors


class Script:
    """Answers one after the other; the last one again and again."""

    def __init__(self, *answers: web.Response | dict[str, Any] | Callable[[web.Request], web.Response]) -> None:
        self._answers = list(answers)
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    async def __call__(self, request: web.Request) -> web.Response:
        self.seen.append(await request.json())
        self.keys.append(request.headers.get("Authorization"))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, dict):
            return web.json_response(answer)
        if isinstance(answer, web.Response):
            headers = {name: value for name, value in answer.headers.items() if name == "Retry-After"}
            body = answer.body if isinstance(answer.body, bytes) else b""
            return web.Response(status=answer.status, body=body, headers=headers, content_type=answer.content_type)
        return answer(request)


def drop(request: web.Request) -> web.Response:
    """Cut the line without a word."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


# ── what works ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_completion_and_its_usage(slash: str) -> None:
    script = Script(GOOD)
    (reply,) = ask(script, slash=slash)
    assert (reply.text, reply.finish) == (" a time", "length")
    usage = reply.usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (12, 7, 3)
    assert usage.model.startswith("m at http://127.0.0.1:")
    assert (usage.core_seconds, usage.usd) == (0.0, None)
    assert script.seen == [
        {
            "model": "m", "prompt": "Once upon", "max_tokens": 9, "temperature": 0.8, "top_p": 0.9, "seed": 5,
            "stop": ["\n"],
        }
    ]  # fmt: skip
    assert script.keys == [None]


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": 0, "prompt_tokens_details": None}, {"prompt_tokens_details": {}}]
)
def test_a_server_that_counts_nothing(usage: dict[str, Any] | None) -> None:
    (reply,) = ask(Script({"choices": [{"text": ""}], "usage": usage}))
    assert (reply.text, reply.finish) == ("", "stop")
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.output_tokens) == (0, 0, 0)


def test_json_under_another_content_type_and_halves_of_surrogate_pairs() -> None:
    body = rb'{"choices": [{"text": "gr\u00fcn \ud83d"}]}'
    (reply,) = ask(Script(web.Response(body=body, content_type="text/plain")))
    assert reply.text == "grün ?"


def test_the_key_is_sent_without_its_line_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY + "\n")
    script = Script(GOOD)
    ask(script, api_key_env="TEST_KEY")
    assert script.keys == [f"Bearer {KEY}"]


def test_no_more_calls_at_once_than_slots() -> None:
    now = most = 0

    async def busy(_: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.json_response(GOOD)

    assert len(ask(busy, times=8, slots=3)) == 8
    assert most == 3


def test_closing_twice_or_unused_is_fine() -> None:
    model = EndpointChat(Model(engine="chat", base_url="http://127.0.0.1:1/v1", model="m", slots=5))
    assert model.parallel == 5

    async def twice() -> None:
        await model.close()
        await model.close()

    asyncio.run(twice())


# ── what is tried again ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_busy_server_is_asked_again_when_it_says(pauses: list[float]) -> None:
    busy = web.Response(status=429, text="slow down", headers={"Retry-After": "7"})
    script = Script(busy, busy, GOOD)
    (reply,) = ask(script)
    assert reply.text == " a time"
    assert pauses == [7.0, 7.0]
    assert len(script.seen) == 3
    assert script.seen[0] == script.seen[2]  # the same request, seed and all


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("0", 0, 0), ("1.5", 1.5, 1.5), ("86400", LONGEST_PAUSE_S, LONGEST_PAUSE_S),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0, 0.5), ("-3", 0, 0.5), ("²", 0, 0.5), ("", 0, 0.5), (".", 0, 0.5),
    ],
)  # fmt: skip
def test_odd_wishes_for_a_pause(pauses: list[float], header: str, low: float, high: float) -> None:
    ask(Script(web.Response(status=503, headers={"Retry-After": header}), GOOD))
    assert len(pauses) == 1
    assert low <= pauses[0] <= high


@pytest.mark.parametrize("status", [408, 429, 500, 502, 529])
def test_a_server_that_keeps_failing_is_given_up(pauses: list[float], status: int) -> None:
    script = Script(web.Response(status=status, text="sorry"))
    with pytest.raises(ModelUnavailable, match=f"HTTP {status}: sorry") as caught:
        ask(script)
    assert caught.value.retryable and caught.value.hint
    assert len(script.seen) == TRIES
    assert len(pauses) == TRIES - 1
    assert all(0 <= pause <= 0.5 * 2**attempt for attempt, pause in enumerate(pauses))
    assert len(set(pauses)) == len(pauses)  # full jitter


def test_a_dropped_connection_is_tried_again(pauses: list[float]) -> None:
    script = Script(drop, GOOD)
    (reply,) = ask(script)
    assert reply.text == " a time"
    assert len(pauses) == 1
    with pytest.raises(ModelUnavailable, match="Disconnected"):
        ask(Script(drop))


def test_nobody_there(pauses: list[float]) -> None:
    model = EndpointChat(Model(engine="chat", base_url="http://127.0.0.1:9/v1", model="m"))

    async def work() -> None:
        try:
            await model.reply(ASKED)
        finally:
            await model.close()

    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:9") as caught:
        asyncio.run(work())
    assert "base_url" in caught.value.hint
    assert len(pauses) == TRIES - 1


def test_a_server_that_never_answers(pauses: list[float]) -> None:
    async def sleeps(_: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return web.json_response(GOOD)

    with pytest.raises(ModelUnavailable, match="TimeoutError"):
        ask(sleeps, timeout_s=0.02)
    assert len(pauses) == TRIES - 1


# ── what is not ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_final_and_the_key_stays_secret(
    monkeypatch: pytest.MonkeyPatch, pauses: list[float], status: int
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    script = Script(web.Response(status=status, text=f"Incorrect API key provided: {KEY}, really"))
    with pytest.raises(ModelRefused, match=f"HTTP {status}") as caught:
        ask(script, api_key_env="TEST_KEY")
    assert (len(script.seen), pauses) == (1, [])
    assert "provided: [key], really" in str(caught.value)
    assert KEY not in str(caught.value) + caught.value.hint + repr(caught.value.__cause__)
    assert ("key" in caught.value.hint) == (status in (401, 403))


def test_the_key_is_cut_out_before_the_message_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    with pytest.raises(ModelRefused) as caught:
        ask(Script(web.Response(status=401, text="x" * 290 + KEY)), api_key_env="TEST_KEY")
    assert KEY[:8] not in str(caught.value)
    with pytest.raises(ReplyUnreadable) as unread:
        ask(Script({"error": {"message": f"bad key {KEY}"}}), api_key_env="TEST_KEY")
    assert KEY not in str(unread.value)


def test_a_key_that_is_part_of_a_text_is_left_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "time")
    assert ask(Script(GOOD), api_key_env="TEST_KEY")[0].text == " a time"


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Welcome to the proxy</body></html>", b"", b"null", b"[]", b'"text"', b"3", b"{", b"\xff\xfe\x00",
        b'{"error": {"message": "model not loaded"}}', b'{"choices": []}', b'{"choices": {}}', b'{"choices": [null]}',
        b'{"choices": [{"message": {"content": "chat"}}]}', b'{"choices": [{"text": null}]}',
        b'{"choices": [{"text": 3}]}', b'{"choices": [{"text": "a"}], "usage": [1]}',
        b'{"choices": [{"text": "a"}], "usage": {"prompt_tokens": "many"}}', b"[" * 100_000,
    ],
    ids=lambda body: ascii(body)[2:30],
)  # fmt: skip
def test_what_is_no_completion_is_unreadable(body: bytes) -> None:
    script = Script(web.Response(body=body, content_type="application/json"))
    with pytest.raises(ReplyUnreadable) as caught:
        ask(script)
    assert len(script.seen) == 1  # paid for: not asked again
    assert len(str(caught.value)) < 450
    assert caught.value.hint


def test_an_error_page_is_shown_in_one_short_line() -> None:
    page = "<html>\n\n  <h1>Not\tFound</h1>" + "x" * 5000
    with pytest.raises(ModelRefused) as caught:
        ask(Script(web.Response(status=404, text=page)))
    assert "HTTP 404: <html> <h1>Not Found</h1>xxx" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"model": "m"}, "base_url"),
        ({"base_url": "http://127.0.0.1/v1"}, "model"),
        ({"base_url": "127.0.0.1:8000/v1", "model": "m"}, "base_url"),
        ({"base_url": "http://127.0.0.1/v1", "model": "m", "api_key_env": "TEST_KEY"}, "TEST_KEY is not set"),
    ],
)
@pytest.mark.parametrize("value", [None, "", " \n"])
def test_what_is_missing_is_named_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], found: str, value: str | None
) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(ConfigError, match=found) as caught:
        EndpointChat(Model.model_validate({"engine": "chat", **settings}))
    assert caught.value.hint


def test_the_settings_never_hold_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    model = EndpointChat(Model(engine="chat", base_url="http://127.0.0.1/v1", model="m", api_key_env="TEST_KEY"))
    assert KEY not in json.dumps({name: str(value) for name, value in vars(model).items()})

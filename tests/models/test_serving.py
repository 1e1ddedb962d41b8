"""A model behind a real server on the loopback: who is let in, who waits, who is sent away, and how it stops."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import click
import pytest

from proofset import cli
from proofset.errors import ConfigError, ModelRefused, ModelUnavailable
from proofset.models import local
from proofset.models.chat import EndpointChat
from proofset.models.scripted import ScriptedChat
from proofset.models.serving import Service, door_key, serve
from proofset.nouns.record import Message
from proofset.nouns.result import Usage
from proofset.plugins import ChatModel, Reply, Request
from proofset.speakers import Model

Ask = Callable[..., Coroutine[Any, Any, tuple[int, dict[str, Any], Any]]]


class Slow:
    """A ChatModel that answers when it is let, and notes what it began and ended."""

    name = "slow"
    parallel = 1

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.began: list[str] = []
        self.ended: list[str] = []

    async def reply(self, request: Request) -> Reply:
        self.began.append(request.prompt)
        await self.go.wait()
        self.ended.append(request.prompt)
        return Reply(text="done", finish="stop", usage=Usage(model=self.name, stage=""))

    async def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield
    gc.collect()  # an unclosed session would warn here, and warnings are errors


@asynccontextmanager
async def serving(service: Service, **settings: Any) -> AsyncIterator[str]:
    """The base address of a service; it is told to stop as a user does, and must do so."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(service, ready=address.set_result, **settings))
    await asyncio.wait([asyncio.ensure_future(each) for each in (task, address)], return_when="FIRST_COMPLETED")
    if task.done():
        task.result()
    try:
        yield address.result()
        if not task.done() and not service._closing:  # told twice, it may have stopped listening: that would end us
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, 10)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Ask]:
    """A function that posts to the server: status, body, headers."""
    async with aiohttp.ClientSession() as session:

        async def ask(path: str = "/completions", body: Any = None, method: str = "POST", **more: Any) -> Any:
            if body is not None:
                more["data"] = BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
            async with session.request(method, url + path, **more) as answer:
                return answer.status, await answer.json(), answer.headers

        yield ask


def talk(model: ChatModel | type[Slow], work: Callable[[Ask, Any], Awaitable[Any]], **service: Any) -> Any:
    """What ``work`` returns, with a way to ask a served model, and the model."""

    async def act() -> Any:
        there: ChatModel = model() if isinstance(model, type) else model
        async with serving(Service(there, **service)) as url, asking(url) as ask:
            return await work(ask, there)

    return asyncio.run(act())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


ONCE = {"prompt": "Once upon", "max_tokens": 5}


# ── what goes well ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_prompt_and_turns_are_answered() -> None:
    async def work(ask: Ask, model: ScriptedChat) -> None:
        status, told, _ = await ask(body=ONCE | {"model": "small", "seed": 4})
        assert (status, told["choices"][0]["text"], told["model"]) == (200, "hello", "small")
        assert told["usage"]["total_tokens"] == 3
        status, told, _ = await ask("/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]})
        assert (status, told["choices"][0]["message"]["content"]) == (200, "hello")
        assert (await ask("/models", method="GET"))[1]["data"][0]["id"] == "small"
        first, second = model.requests
        assert first == Request(prompt="Once upon", max_tokens=5, temperature=1.0, seed=4)
        assert second.messages == (Message("user", "Hi"),)

    talk(ScriptedChat(lambda request: "hello"), work, name="small")


def test_our_own_client_finds_it_a_good_server() -> None:
    async def act() -> None:
        model = ScriptedChat(lambda request: request.prompt.upper())
        async with serving(Service(model)) as url:
            chat = EndpointChat(Model(engine="chat", base_url=url, model="scripted"))
            asked = Request(prompt="a b c", max_tokens=9, temperature=0.5, top_k=5, min_p=0.1, seed=7, stop=("\n",))
            reply = await chat.reply(asked)
            await chat.close()
        assert (reply.text, reply.finish, reply.usage.input_tokens) == ("A B C", "stop", 3)
        assert model.requests == [asked]

    asyncio.run(act())


# ── what does not ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_faults_are_told_in_openais_shape(caplog: pytest.LogCaptureFixture) -> None:
    def answer(request: Request) -> str:
        if request.prompt == "away":
            raise ModelUnavailable("not loaded")
        if request.prompt == "never":
            raise ModelRefused("not this")
        if request.prompt == "bug":
            raise ZeroDivisionError("a secret of the house")
        return "fine"

    async def work(ask: Ask, model: ScriptedChat) -> None:
        expected: list[tuple[int, str, dict[str, Any]]] = [
            (400, "top_p", {"body": ONCE | {"top_p": 7}}),
            (400, "stream", {"body": ONCE | {"stream": True}}),
            (400, "JSON", {"body": b"{"}),
            (404, "'other'", {"body": ONCE | {"model": "other"}}),
            (404, "/v1/embeddings", {"path": "/embeddings", "body": {}}),
            (405, "Method Not Allowed", {"method": "GET"}),
            (413, "8 MiB", {"body": b" " * (8 * 2**20 + 1)}),
            (503, "not loaded", {"body": {"prompt": "away"}}),
            (400, "not this", {"body": {"prompt": "never"}}),
            (500, "inside the server", {"body": {"prompt": "bug"}}),
        ]
        for status, words, question in expected:
            got, told, headers = await ask(**question)
            assert got == status, told
            assert set(told) == {"error"} and set(told["error"]) == {"message", "type", "param", "code"}
            assert words in told["error"]["message"]
            assert "secret" not in str(told) and "Traceback" not in str(told)
            assert ("Retry-After" in headers) == (status == 503)
        assert (await ask(body=ONCE))[0] == 200  # it is still there

    talk(ScriptedChat(answer), work)
    assert "ZeroDivisionError" in caplog.text  # for the owner of the server


def test_with_a_key_only_who_has_it_is_let_in() -> None:
    async def work(ask: Ask, model: ScriptedChat) -> None:
        for given in (None, "Bearer wrong", "Bearer ", "s3cret", "Basic s3cret", "Bearer s3cret x", "Bearer ünïcode"):
            headers = {} if given is None else {"Authorization": given}
            status, told, answered = await ask(body=ONCE, headers=headers)
            assert (status, told["error"]["code"]) == (401, "invalid_api_key")
            assert answered["WWW-Authenticate"] == "Bearer" and "s3cret" not in str(told)
        assert (await ask("/models", method="GET"))[0] == 401
        for given in ("Bearer s3cret", "bearer  s3cret "):
            assert (await ask(body=ONCE, headers={"Authorization": given}))[0] == 200
        assert len(model.requests) == 2

    talk(ScriptedChat(lambda request: "x"), work, key="s3cret")


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "10.0.0.1"}]
)
def test_without_a_key_no_web_page_gets_at_it(headers: dict[str, str]) -> None:
    async def work(ask: Ask, model: ScriptedChat) -> None:
        assert (await ask(body=ONCE, headers=headers))[0] == 403
        for own in ({"Host": "localhost:99"}, {"Host": "[::1]:9"}, {"Origin": "http://localhost:3000"}):
            assert (await ask(body=ONCE, headers=own))[0] == 200

    talk(ScriptedChat(lambda request: "x"), work)


def test_the_health_is_anybodys_to_know() -> None:
    async def act() -> None:
        async with serving(Service(Slow(), key="s3cret")) as url, asking(url.removesuffix("/v1")) as ask:
            assert (await ask("/health", method="GET"))[:2] == (200, {"status": "ok", "open": 0, "waiting": 0})

    asyncio.run(act())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "example.org"])
def test_where_others_can_reach_it_a_key_is_needed(host: str) -> None:
    async def act() -> None:
        await serve(Service(Slow()), host=host, ready=lambda url: None)

    with pytest.raises(ConfigError, match="needs a key") as caught:
        asyncio.run(act())
    assert "--api-key-env" in caught.value.hint


def test_with_a_key_it_may_listen_anywhere() -> None:
    async def act() -> None:
        model = ScriptedChat(lambda request: "x")
        async with serving(Service(model, key="k"), host="0.0.0.0") as url:
            here = url.replace("0.0.0.0", "127.0.0.1")
            async with asking(here) as ask:
                assert (await ask(body=ONCE, headers={"Authorization": "Bearer k"}))[0] == 200

    asyncio.run(act())


def test_an_address_that_is_taken_says_so() -> None:
    async def act() -> None:
        async with serving(Service(Slow())) as url:
            port = int(url.split(":")[2].split("/")[0])
            with pytest.raises(ConfigError, match=f"cannot listen at 127.0.0.1:{port}"):
                await serve(Service(Slow()), port=port, ready=lambda base: None)

    asyncio.run(act())


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR", " k3y\n")
    assert (door_key("0.0.0.0", "DOOR"), door_key("127.0.0.1", "")) == ("k3y", "")
    with pytest.raises(ConfigError, match="every address: a server that others can reach needs a key"):
        door_key("", "")
    for value in ("", " "):
        monkeypatch.setenv("DOOR", value)
        with pytest.raises(ConfigError, match="DOOR is not set"):
            door_key("127.0.0.1", "DOOR")


# ── who waits ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_does_not_fit_in_line_is_told_to_come_back() -> None:
    async def work(ask: Ask, model: Slow) -> None:
        calls = [asyncio.create_task(ask(body={"prompt": "first"}))]
        await until(lambda: model.began == ["first"])
        calls += [asyncio.create_task(ask(body={"prompt": name})) for name in ("second", "third")]
        statuses = []
        async with asyncio.timeout(5):
            while 429 not in statuses:  # until both are in line, this one may wait itself
                extra = asyncio.create_task(ask(body={"prompt": "extra"}))
                done, _ = await asyncio.wait({extra}, timeout=0.2)
                if done:
                    status, told, headers = extra.result()
                    statuses.append(status)
                    assert told["error"]["code"] == "queue_full" and int(headers["Retry-After"]) >= 1
                else:
                    extra.cancel()
                    await asyncio.gather(extra, return_exceptions=True)
        model.go.set()
        assert [status for status, _, _ in await asyncio.gather(*calls)] == [200, 200, 200]
        assert "extra" not in model.began
        assert (await ask(body=ONCE))[0] == 200

    talk(Slow, work, queue=2)


def test_who_hangs_up_in_line_is_never_asked_for_and_who_hangs_up_later_is_ended() -> None:
    async def work(ask: Ask, model: Slow) -> None:
        begun = asyncio.create_task(ask(body={"prompt": "begun"}))
        await until(lambda: model.began == ["begun"])
        waiting = asyncio.create_task(ask(body={"prompt": "waiting"}))
        await asyncio.sleep(0.05)
        for call in (waiting, begun):
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        after = asyncio.create_task(ask(body={"prompt": "after"}))
        await asyncio.sleep(0.05)
        assert model.began == ["begun"]  # its slot is not free yet
        model.go.set()
        assert (await after)[0] == 200
        assert model.ended == ["begun", "after"]

    talk(Slow, work)


# ── how it stops ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_what_is_under_way_is_answered_before_it_stops(name: signal.Signals) -> None:
    async def act() -> None:
        model, told = Slow(), list[int]()
        service = Service(model)
        async with serving(service, stopping=told.append) as url, asking(url) as ask:
            calls = [asyncio.create_task(ask(body={"prompt": which})) for which in ("running", "in line")]
            await until(lambda: len(model.began) == 1)
            await asyncio.sleep(0.05)
            os.kill(os.getpid(), name)
            await until(lambda: bool(told))
            with pytest.raises(aiohttp.ClientConnectorError):  # no new callers
                async with asking(url) as stranger:
                    await stranger(body=ONCE)
            model.go.set()
            assert [status for status, _, _ in await asyncio.gather(*calls)] == [200, 200]
        assert told == [2]

    asyncio.run(act())


@pytest.mark.parametrize("twice", [True, False])
def test_it_does_not_wait_for_ever(twice: bool) -> None:
    async def act() -> None:
        model, told = Slow(), list[int]()
        drain_s = 60.0 if twice else 0.01
        async with serving(Service(model), stopping=told.append, drain_s=drain_s) as url, asking(url) as ask:
            call = asyncio.create_task(ask(body=ONCE))
            await until(lambda: len(model.began) == 1)
            os.kill(os.getpid(), signal.SIGINT)
            await until(lambda: bool(told))
            if twice:
                os.kill(os.getpid(), signal.SIGINT)
            (outcome,) = await asyncio.gather(call, return_exceptions=True)
            assert isinstance(outcome, aiohttp.ClientError)
            model.go.set()

    asyncio.run(act())


def test_where_there_are_no_signals_it_ends_when_cancelled() -> None:
    statuses = []

    async def act() -> None:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve(Service(ScriptedChat(lambda request: "x")), ready=ready.set_result))
        async with asking(await ready) as ask:
            statuses.append((await ask(body=ONCE))[0])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(act()))
    thread.start()
    thread.join(20)
    assert statuses == [200]


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["proofset", "serve-model", *arguments])
    with pytest.raises(SystemExit) as leaving:
        cli.main()
        sys.exit(0)
    return int(leaving.value.code or 0)


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_says_where_it_is_and_ends_at_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, as_json: bool
) -> None:
    said, echo = list[str](), click.echo

    def heard(words: str, **more: Any) -> None:
        said.append(words)
        if "http" in words:
            os.kill(os.getpid(), signal.SIGINT)
        echo(words, **more)

    monkeypatch.setattr(click, "echo", heard)
    monkeypatch.setattr(local, "LocalChat", lambda settings, path: ScriptedChat(lambda request: "x"))
    path = str(tmp_path / "small.gguf")
    assert command(monkeypatch, path, "--port", "0", *(["--json"] if as_json else [])) == 0
    ready, stopping = said
    if as_json:
        assert json.loads(ready)["base_url"].startswith("http://127.0.0.1:")
    else:
        assert re.fullmatch(r"serving small at http://127\.0\.0\.1:\d+/v1", ready)
    assert stopping == "stopping; requests still to be answered: 0"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.gguf"], "gone.gguf: cannot read the model"),
        (["gone.gguf", "--host", "0.0.0.0"], "needs a key"),
        (["gone.gguf", "--api-key-env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set"),
        (["artifact:nosuch"], "no artifact is called 'nosuch'"),
        (["gone.gguf", "--port", "70000"], "70000"),
    ],
)
def test_the_command_refuses_before_it_loads_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert command(monkeypatch, *arguments) == 2
    assert words in capsys.readouterr().err


# ── with the pinned weights ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_command_serves_until_ctrl_c() -> None:
    command = [sys.executable, "-m", "proofset", "serve-model", "--port", "0", "--threads", "1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        told = json.loads(process.stdout.readline())

        async def act() -> None:
            async with asking(told["base_url"]) as ask:
                same = [await ask(body=ONCE | {"seed": 5, "n": 2}) for _ in range(2)]
                assert same[0][1]["choices"] == same[1][1]["choices"]
                assert len({choice["text"] for choice in same[0][1]["choices"]}) == 2
                status, answer, _ = await ask(body={"prompt": "word " * 3000})
                assert (status, answer["error"]["code"]) == (400, "context_length_exceeded")
                call = asyncio.create_task(ask(body={"prompt": "Once", "max_tokens": 100}))
                await asyncio.sleep(0.3)
                process.send_signal(signal.SIGINT)
                assert (await call)[0] == 200

        asyncio.run(act())
        assert process.wait(20) == 0
        assert process.stderr.read() == "stopping; requests still to be answered: 1\n"
        assert process.stdout.read() == ""

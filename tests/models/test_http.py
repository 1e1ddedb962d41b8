"""Against real servers on the loopback: what is sent, through whom, to whom it is trusted, and what fails how."""

from __future__ import annotations

import asyncio
import gc
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.toy.doors import everything, server

from proofset.errors import ConfigError, ModelUnavailable
from proofset.models.http import SHOWN_CHARS, Answer, Wire, key_of
from proofset.speakers import Model

KEY = "sk-very-secret-0123456789"

Raw = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def socket_server(talk: Raw) -> AsyncIterator[str]:
    """A server that says whatever ``talk`` writes once it has read the head of a request."""
    pending: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        pending.add(task)
        try:
            await talk(await reader.readuntil(b"\r\n\r\n"), writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()
            pending.discard(task)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    finally:
        listening.close()
        for task in list(pending):
            task.cancel()
        await asyncio.sleep(0)


def settings(url: str, **more: Any) -> Model:
    return Model(engine="chat", base_url=url, model="m", **more)


@asynccontextmanager
async def wire(url: str, **more: Any) -> AsyncIterator[Wire]:
    made = Wire(settings(url, **more), "synthesize.model")
    try:
        yield made
    finally:
        await made.close()


def run(work: Awaitable[Any]) -> Any:
    async def awaited() -> Any:
        return await work

    try:
        return asyncio.run(awaited())
    finally:
        gc.collect()  # an unclosed session would warn here, and warnings are errors


async def failure(url: str, **more: Any) -> ModelUnavailable:
    async with wire(url, **more) as made:
        with pytest.raises(ModelUnavailable) as caught:
            await made.post("/completions", b"{}")
        return caught.value


class Seen:
    """Keeps the requests that a server got, and answers with what it is told to."""

    def __init__(self, body: bytes = b"{}", status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.body, self.status, self.headers = body, status, headers
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    async def __call__(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path_qs, dict(request.headers), await request.read()))
        return web.Response(body=self.body, status=self.status, headers=self.headers)


# ── what is sent ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_body_goes_below_the_base_address_and_the_answer_comes_back_whole(slash: str) -> None:
    seen = Seen(b"\xff\x00 anything", 418, {"Retry-After": "3"})

    async def work() -> Answer:
        async with server(seen) as url, wire(url + slash) as made:
            return await made.post("/completions", b'{"a": 1}')

    answer = run(work())
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (418, b"\xff\x00 anything", "3")
    ((method, path, headers, body),) = seen.requests
    assert (method, path, body) == ("POST", "/v1/completions", b'{"a": 1}')
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == "proofset"
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("dialect", "name", "value"), [("", "Authorization", f"Bearer {KEY}"), ("azure", "api-key", KEY)]
)
def test_the_key_goes_into_the_header_that_the_dialect_names(
    monkeypatch: pytest.MonkeyPatch, dialect: str, name: str, value: str
) -> None:
    monkeypatch.setenv("TEST_KEY", f" {KEY}\n")
    seen = Seen()

    async def work() -> None:
        async with server(seen) as url, wire(url, api_key_env="TEST_KEY", dialect=dialect) as made:
            await made.post("/x", b"{}")
            await made.get("/x")

    run(work())
    for _, path, headers, _ in seen.requests:
        assert headers[name] == value
        assert KEY not in path
        assert ({"Authorization", "api-key"} & set(headers)) == {name}


def test_a_query_is_added_to_every_address_also_where_there_is_one() -> None:
    seen = Seen()

    async def work() -> None:
        async with server(seen) as url, wire(url, query={"api-version": "2026-01-01", "a": "b c"}) as made:
            await made.post("/x", b"{}")
            await made.get("/files?purpose=batch")
            await made.upload("/files", {"purpose": "batch"}, "in.jsonl", b'{"line": 1}\n')

    run(work())
    added = "api-version=2026-01-01&a=b+c"
    paths = [path for _, path, _, _ in seen.requests]
    assert paths == [f"/v1/x?{added}", f"/v1/files?purpose=batch&{added}", f"/v1/files?{added}"]


def test_a_file_is_a_form_with_its_fields() -> None:
    found: dict[str, Any] = {}

    async def handler(request: web.Request) -> web.Response:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        found.update(purpose=form["purpose"], name=file.filename, content=file.file.read())
        return web.json_response({})

    async def work() -> None:
        async with server(handler) as url, wire(url) as made:
            await made.upload("/files", {"purpose": "batch"}, "in.jsonl", b'{"line": 1}\n')

    run(work())
    assert found == {"purpose": "batch", "name": "in.jsonl", "content": b'{"line": 1}\n'}


@pytest.mark.parametrize("dialect", ["", "azure"])
def test_nothing_is_sent_on_to_where_a_server_points_but_questions_without_the_key(
    monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    elsewhere = Seen(b"the file")

    async def work() -> tuple[Answer, Answer]:
        async with server(elsewhere) as away:
            near = Seen(status=307, headers={"Location": away})
            async with server(near) as url, wire(url, api_key_env="TEST_KEY", dialect=dialect) as made:
                return await made.post("/x", b"{}"), await made.get("/x")

    posted, got = run(work())
    assert posted.status == 307
    assert (got.status, got.body) == ((307, b"{}") if dialect else (200, b"the file"))
    assert len(elsewhere.requests) == (0 if dialect else 1)
    assert KEY not in str(elsewhere.requests)


# ── through whom ────────────────────────────────────────────────────────────────────────────────────────────────────


def through_proxy(monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str], **more: Any) -> bytes:
    """What a proxy on the loopback is asked when ``url`` is called; it answers by itself."""
    heads: list[bytes] = []

    async def talk(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nproxied")
        await writer.drain()

    async def work() -> Answer:
        async with socket_server(talk) as proxy:
            address = proxy.removesuffix("/v1")
            for name, value in environment.items():
                monkeypatch.setenv(name, value.format(proxy=address, bare=address.removeprefix("http://")))
            given = {name: str(value).format(proxy=address) for name, value in more.items()}
            async with wire(url, timeout_s=2.0, **given) as made:
                return await made.post("/completions", b"{}")

    answer = run(work())
    assert answer.body == b"proxied"
    (head,) = heads
    return head


FAR = "http://llm.invalid:8000/v1"
ASKED = b"POST http://llm.invalid:8000/v1/completions HTTP/1.1"


def test_the_proxy_of_the_study_sees_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    assert through_proxy(monkeypatch, FAR, {}, proxy="{proxy}").startswith(ASKED)


def test_the_proxy_of_the_study_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "*"}
    assert through_proxy(monkeypatch, FAR, environment, proxy="{proxy}").startswith(ASKED)


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("value", ["{proxy}", "{bare}"])
def test_the_proxy_of_the_environment_sees_the_request(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert through_proxy(monkeypatch, FAR, {name: value, "no_proxy": "example.com"}).startswith(ASKED)


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "127.0.0.1:{port}", "example.com, 127.0.0.1"])
def test_who_is_exempt_is_called_without_proxy(monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    seen = Seen(b"direct")

    async def work() -> Answer:
        async with server(seen) as url:
            monkeypatch.setenv("NO_PROXY", exempt.format(port=url.rpartition(":")[2].removesuffix("/v1")))
            async with wire(url) as made:
                return await made.post("/x", b"{}")

    assert run(work()).body == b"direct"


def test_a_proxy_that_is_not_there_or_says_no_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    error = run(failure(FAR, proxy="http://127.0.0.1:9", api_key_env="TEST_KEY"))
    assert (error.status, error.retryable, error.unsent) == (None, True, True)

    async def refuses(head: bytes, writer: asyncio.StreamWriter) -> None:
        assert head.startswith(b"CONNECT llm.invalid:443")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def work() -> ModelUnavailable:
        async with socket_server(refuses) as proxy:
            address = proxy.removesuffix("/v1").replace("://", "://me:pass-word@")
            return await failure("https://llm.invalid/v1", proxy=address, api_key_env="TEST_KEY")

    error = run(work())
    assert "407" in str(error) and error.status is None and error.unsent
    assert KEY not in everything(error) and "pass-word" not in everything(error)


@pytest.mark.parametrize("proxy", ["socks5://me:pass-word@127.0.0.1:1", "ftp://x"])
def test_a_proxy_of_another_kind_is_named_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    for more in ({}, {"proxy": proxy}):
        with pytest.raises(ConfigError, match=r"synthesize\.model\.proxy: a (socks5|ftp) proxy") as caught:
            Wire(settings(FAR, **more), "synthesize.model")
        assert "pass-word" not in everything(caught.value)
    Wire(settings(FAR, proxy="http://127.0.0.1:1"), "synthesize.model")


# ── whom to trust ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that no authority signed, and its key."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("needs the openssl command")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    ask = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=proofset-test"
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([openssl, *ask.split(), *more], check=True, capture_output=True)
    return cert, key


async def over_tls(certificate: tuple[Path, Path], ca_file: str) -> bytes:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(*certificate)
    async with server(Seen(b"in confidence"), trust) as url, wire(url, ca_file=ca_file) as made:
        assert url.startswith("https://")
        return (await made.post("/x", b"{}")).body


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # asyncio's, of a handshake that failed
def test_a_server_that_signed_for_itself_is_not_believed(certificate: tuple[Path, Path]) -> None:
    with pytest.raises(ModelUnavailable, match=r"(?i)certificate verify failed") as caught:
        run(over_tls(certificate, ""))
    assert caught.value.status is None
    assert "ca_file" in caught.value.hint


def test_unless_the_study_names_its_certificate(certificate: tuple[Path, Path]) -> None:
    assert run(over_tls(certificate, str(certificate[0]))) == b"in confidence"


@pytest.mark.parametrize("content", [None, b"", b"not a certificate", b"\xff\x00"])
def test_a_ca_file_that_is_none_is_named_before_anything_is_sent(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"synthesize\.critic\.model\.ca_file: .*ca\.pem") as caught:
        Wire(settings("https://127.0.0.1/v1", ca_file=str(path)), "synthesize.critic.model")
    assert "PEM" in caught.value.hint


# ── what fails ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nobody_there() -> None:
    error = run(failure("http://127.0.0.1:9/v1"))
    assert "m at http://127.0.0.1:9/v1: " in str(error)
    assert "base_url" in error.hint
    assert (error.status, error.retryable, error.overloaded, error.retry_after_s) == (None, True, False, None)


GARBAGE: dict[str, Sequence[bytes]] = {
    "nothing": (),
    "half a status line": (b"HTTP/1.",),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n",),
    "a broken status line": (b"HTTP/1.1 xyz OK\r\n\r\n",),
    "a broken header": (b"HTTP/1.1 200 OK\r\n\x00: x\r\n\r\n",),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",),
    "dropped in the head": (b"HTTP/1.1 200 OK\r\nContent-Le",),
    "dropped mid-body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b'{"choices": [{"text": "a'),
    "dropped mid-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nab"),
    "broken chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\nab\r\n0\r\n\r\n"),
    "broken compression": (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n", b"nope"),
    "an endless head": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",),
}


@pytest.mark.parametrize("said", GARBAGE.values(), ids=GARBAGE)
def test_a_line_that_is_cut_or_garbled_is_no_answer_and_does_not_show_the_key(
    monkeypatch: pytest.MonkeyPatch, said: Sequence[bytes]
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)

    async def talk(head: bytes, writer: asyncio.StreamWriter) -> None:
        assert KEY.encode() in head
        for part in said:
            writer.write(part)
            await writer.drain()

    async def work() -> ModelUnavailable:
        async with socket_server(talk) as url:
            return await failure(url, api_key_env="TEST_KEY")

    error = run(work())
    assert (error.status, error.retryable, error.unsent, error.timed_out) == (None, True, False, False)
    assert KEY not in everything(error)
    assert len(str(error)) < 2 * SHOWN_CHARS


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"], ids=["silent", "slow body"]
)
def test_a_server_that_takes_too_long_is_no_answer(begun: bytes) -> None:
    async def talk(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(begun)
        await writer.drain()
        await asyncio.sleep(60)

    async def work() -> ModelUnavailable:
        async with socket_server(talk) as url:
            return await failure(url, timeout_s=0.03)

    error = run(work())
    assert "TimeoutError" in str(error)
    assert (error.status, error.unsent, error.timed_out) == (None, False, True)


def test_where_nobody_listens_nothing_can_have_been_sent() -> None:
    async def work() -> ModelUnavailable:
        listening = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        listening.close()
        await listening.wait_closed()
        return await failure(f"http://127.0.0.1:{port}/v1")

    error = run(work())
    assert (error.unsent, error.timed_out, error.status) == (True, False, None)


def test_no_more_calls_at_once_than_slots() -> None:
    now = most = 0

    async def busy(_: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.005)
        now -= 1
        return web.Response()

    async def work() -> None:
        async with server(busy) as url, wire(url, slots=3) as made:
            await asyncio.gather(*(made.post("/x", b"{}") for _ in range(8)))

    run(work())
    assert most == 3


def test_a_wire_can_be_closed_unused_or_twice_and_used_again() -> None:
    seen = Seen()

    async def work() -> None:
        async with server(seen) as url:
            made = Wire(settings(url), "synthesize.model")
            await made.close()
            for _ in range(2):
                await made.post("/x", b"{}")
                await made.close()
                await made.close()

    run(work())
    assert len(seen.requests) == 2


# ── what is refused before anything is sent ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "", "127.0.0.1:8000/v1", "ftp://127.0.0.1/v1", "http://", "http:///v1", "http://[::1/v1", "http://a b/v1",
        "http://127.0.0.1:99999/v1", "http://127.0.0.1:x/v1", "http://127.0.0.1:0/v1", "http://a..b/v1",
        f"http://{'a' * 70}.com/v1", "http://127.0.0.1/v1\n",
    ],
)  # fmt: skip
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match=r"synthesize\.model: engine 'chat' needs base_url and model") as caught:
        Wire(settings(url), "synthesize.model")
    assert "http://127.0.0.1:8000/v1" in caught.value.hint


@pytest.mark.parametrize("url", ["http://me:pass-word@h/v1", "http://h/v1?key=pass-word", "http://h/v1#pass-word"])
def test_an_address_with_more_than_an_address_in_it(url: str) -> None:
    with pytest.raises(ConfigError, match="only a host and a path") as caught:
        Wire(settings(url), "synthesize.model")
    assert "pass-word" not in everything(caught.value)
    assert "api_key_env" in caught.value.hint and "query" in caught.value.hint


def test_a_model_without_a_name() -> None:
    with pytest.raises(ConfigError, match="model"):
        Wire(Model(engine="chat", base_url="http://127.0.0.1/v1"), "synthesize.model")


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_key_that_is_not_set(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(ConfigError, match=r"critic\.model\.api_key_env: .* TEST_KEY is not set") as caught:
        Wire(settings(FAR, api_key_env="TEST_KEY"), "synthesize.critic.model")
    assert "TEST_KEY" in caught.value.hint


@pytest.mark.parametrize("value", [f"{KEY}\n{KEY}", f"{KEY}\r\nX-Evil: 1", f"{KEY}\x7f{KEY}"])
def test_a_key_that_no_header_can_hold(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(ConfigError, match="TEST_KEY holds a line break") as caught:
        Wire(settings(FAR, api_key_env="TEST_KEY"), "synthesize.model")
    assert KEY not in everything(caught.value)


# ── what is never shown ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_key_is_read_without_its_line_end_and_kept_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", f"{KEY}\n")
    named = settings(FAR, api_key_env="TEST_KEY")
    assert (key_of(named), key_of(settings(FAR))) == (KEY, "")
    made = Wire(named, "synthesize.model")
    assert (
        KEY not in str({name: str(value) for name, value in vars(made).items()}) + repr(made) + named.model_dump_json()
    )


def test_what_is_shown_is_one_short_line_without_the_key_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    made = Wire(settings(FAR, api_key_env="TEST_KEY"), "synthesize.model")
    assert made.shown(b"<html>\n\n <h1>Not\tFound</h1>") == "<html> <h1>Not Found</h1>"
    assert made.shown(b"\xff" + KEY.encode()) == "\ufffd[key]"
    for before in range(0, 2 * SHOWN_CHARS + 50, 7):
        for filler in (b"x", b" ", "\u00e4".encode()):
            told = made.shown(filler * before + KEY.encode() + b"!" * 5000)
            assert KEY[:6] not in told
            assert len(told) <= SHOWN_CHARS

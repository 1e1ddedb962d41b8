"""Any ChatModel as an OpenAI-compatible server on this machine: normally the embedded one, for other programs to ask.

It answers on the loopback alone, unless a host and a key are given. As many requests are answered at once as the model
is good for; the others wait in line, up to a limit. What the model has begun it ends, whoever has hung up meanwhile.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic_core import to_json

from proofset.errors import ConfigError, ProofsetError
from proofset.models.forms import Fault, Fields, completion, explained, read_request
from proofset.plugins import ChatModel, Reply, Request

if TYPE_CHECKING:
    from aiohttp import web

LARGEST_BODY = 8 << 20
"""Bytes of a request, at most."""
DRAIN_S = 30.0
"""Seconds that requests under way are given when the server is told to stop."""


class Service:
    """A model behind a door: who may ask, how many wait, and an answer for every way to fail."""

    def __init__(self, model: ChatModel, *, name: str = "", queue: int = 64, key: str = "") -> None:
        """``name`` is the model's for callers; ``queue`` requests may wait; no ``key`` lets in all of this machine."""
        self.name = name or model.name
        self.key = key
        self._model, self._queue = model, queue
        self._slots = asyncio.Semaphore(max(1, model.parallel))
        self._open = self._waiting = 0
        self._idle = asyncio.Event()
        self._mean_s = 1.0  # how long a request takes, for Retry-After
        self._under_way: set[asyncio.Task[Reply]] = set()
        self._closing = False

    def app(self) -> web.Application:
        """The server's addresses, to be run by aiohttp."""
        from aiohttp import web

        @web.middleware
        async def guarded(request: web.Request, handler: Any) -> web.StreamResponse:
            return await self._guarded(request, handler)

        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[guarded])
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/completions", self._completions)
        app.router.add_post("/v1/chat/completions", self._chat)
        return app

    def close(self) -> int:
        """Take no more requests; the number of those that are still to be answered."""
        self._closing = True
        self._settle()
        return self._open

    async def idle(self) -> None:
        """Return when it is closed, and the last request is answered."""
        await self._idle.wait()

    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Let in who may, and turn whatever goes wrong into an answer that OpenAI's clients read."""
        from aiohttp import web

        try:
            if request.path != "/health" and (refusal := self._refusal(request)):
                return refusal
            answer: web.StreamResponse = await handler(request)
            return answer
        except ProofsetError as error:
            return _refuse(explained(error))
        except web.HTTPRequestEntityTooLarge:
            return _refuse(Fault(413, f"the body is larger than {LARGEST_BODY >> 20} MiB", "body_too_large"))
        except web.HTTPException as error:
            return _refuse(Fault(error.status, f"{request.method} {request.path}: {error.reason}", "unknown_url"))
        except ConnectionError:
            raise  # the caller has gone
        except Exception:
            logging.getLogger("proofset.serving").exception("%s %s failed", request.method, request.path)
            return _refuse(Fault(500, "an error inside the server; its own log says more", "internal_error"))

    def _refusal(self, request: web.Request) -> web.Response | None:
        """With a key, everybody without it is refused; without one, whoever a web page has sent here."""
        if self.key:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            right = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self.key.encode())
            if scheme.lower() != "bearer" or not right:
                return _refuse(Fault(401, "no key, or not the right one", "invalid_api_key"))
        elif not (_is_here(f"//{request.host}") and _is_here(request.headers.get("Origin", "//localhost"))):
            return _refuse(Fault(403, "this server answers programs of its own machine only", "foreign_host"))
        return None

    async def _health(self, request: web.Request) -> web.Response:
        del request
        told = {"status": "stopping" if self._closing else "ok", "open": self._open, "waiting": self._waiting}
        return _answer(told, status=503 if self._closing else 200)

    async def _models(self, request: web.Request) -> web.Response:
        del request
        return _answer({"object": "list", "data": [{"id": self.name, "object": "model", "owned_by": "proofset"}]})

    async def _completions(self, request: web.Request) -> web.Response:
        return await self._serve(request, chat=False)

    async def _chat(self, request: web.Request) -> web.Response:
        return await self._serve(request, chat=True)

    async def _serve(self, request: web.Request, *, chat: bool) -> web.Response:
        fields = Fields(await request.read())
        if (named := fields.text("model", self.name)) != self.name:
            told = f"no model is called {named!r}; this server has {self.name!r}"
            return _refuse(Fault(404, told, "model_not_found", "model"))
        asked = read_request(fields, chat=chat)
        if self._closing:
            return _refuse(Fault(503, "the server is stopping", "stopping", retry_s=1))
        if self._slots.locked() and self._waiting >= self._queue:
            wait_s = self._mean_s * (self._waiting + 1) / max(1, self._model.parallel)
            return _refuse(Fault(429, f"{self._waiting} requests wait already", "queue_full", retry_s=wait_s))
        self._open += 1
        try:
            return _answer(completion(await self._reply(asked), self.name, chat=chat))
        finally:
            self._open -= 1
            self._settle()

    def _settle(self) -> None:
        if self._closing and not self._open:
            self._idle.set()

    async def _reply(self, asked: Request) -> Reply:
        """The model's reply, in turn. Who hangs up in line loses the place; what has begun keeps its slot to the end.

        A call into llama.cpp cannot be cancelled: to free its slot at once would let unseen work pile up.
        """
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        began = time.monotonic()
        task = asyncio.ensure_future(self._model.reply(asked))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        reply = await asyncio.shield(task)
        self._mean_s += 0.1 * (time.monotonic() - began - self._mean_s)
        return reply

    def _ended(self, task: asyncio.Task[Reply]) -> None:
        self._under_way.discard(task)
        self._slots.release()
        if not task.cancelled():
            task.exception()  # marked as seen: perhaps nobody waits for it any more


def door_key(host: str, api_key_env: str) -> str:
    """The key in the environment variable ``api_key_env``; "" when none is named.

    Raises ConfigError when the variable is not set, and when others can reach ``host`` and there is no key.
    """
    key = os.environ.get(api_key_env, "").strip() if api_key_env else ""
    if api_key_env and not key:
        raise ConfigError(f"the environment variable {api_key_env} is not set", hint=f"export {api_key_env}=…")
    _check_door(host, key)
    return key


async def serve(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None],
    stopping: Callable[[int], None] = lambda still_open: None,
    drain_s: float = DRAIN_S,
) -> None:
    """Answer until SIGINT or SIGTERM, and end what is under way; a second signal, or ``drain_s`` seconds, cut it short.

    ``ready`` is told the base address, ``stopping`` how many requests are still to be answered. Raises ConfigError for
    an address that cannot be had, and for one that others can reach when there is no key.
    """
    from aiohttp import web

    _check_door(host, service.key)
    runner = web.AppRunner(service.app(), handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except (OSError, OverflowError) as error:
            raise ConfigError(f"cannot listen at {host}:{port}: {error}", hint="port 0 takes a free one") from error
        with _signals() as (first, second):
            ready(f"http://{_shown(host)}:{runner.addresses[0][1]}/v1")
            await first.wait()
            stopping(service.close())
            await site.stop()
            await _either(service.idle(), second.wait(), timeout_s=drain_s)
    finally:
        await runner.cleanup()


@contextmanager
def _signals() -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Events for the first and the second request to stop, where signals can be had: in the main thread."""
    first, second = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    names = (signal.SIGINT, signal.SIGTERM)

    def note() -> None:
        (second if first.is_set() else first).set()

    for name in names:
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(name, note)
    try:
        yield first, second
    finally:
        for name in names:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(name)


async def _either(*waits: Coroutine[Any, Any, Any], timeout_s: float) -> None:
    """Wait for the first of several things, or so many seconds."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _check_door(host: str, key: str) -> None:
    """Raise ConfigError for a door that is open to others."""
    if not key and not _is_here(f"//{_shown(host)}"):
        raise ConfigError(
            f"{host or 'every address'}: a server that others can reach needs a key", hint="name it with --api-key-env"
        )


def _shown(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _is_here(address: str) -> bool:
    """Whether an address names this machine's loopback."""
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse(fault: Fault) -> web.Response:
    return _answer(fault.body, fault.status, fault.headers)


def _answer(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    from aiohttp import web

    return web.Response(body=to_json(body), status=status, headers=headers, content_type="application/json")

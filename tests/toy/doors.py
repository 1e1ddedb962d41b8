"""Servers on the loopback that answer whatever a test wants them to."""

from __future__ import annotations

import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def server(handler: Handler, trust: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server for any path; the base_url under which it is found."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust).start()
    try:
        yield f"http{'s' if trust else ''}://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def everything(error: BaseException) -> str:
    """All that an error could show of itself to anybody: words, reprs, chain."""
    seen: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        if (each := queue.pop()) is not None and each not in seen:
            seen.append(each)
            queue += [each.__cause__, each.__context__]
    told = [str(each) + repr(each) + repr(each.args) + str(getattr(each, "hint", "")) for each in seen]
    return "".join([*told, *traceback.format_exception(error)])

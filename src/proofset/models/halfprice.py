"""A ChatModel at half the price: what it is asked travels together through the batch API of its server.

Requests that come close together make a batch; answers come in minutes or hours. What was handed in lies in a folder:
stopped in between, equal requests are not handed in again, and their answers are fetched when they are asked for.
Batches go on at the provider meanwhile. What everybody would have to wait for, a request for no brief in particular, is
asked at once and at the full price.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from pydantic_core import to_json

from proofset.errors import ModelError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models.batch import FIRST_PAUSE_S, LONGEST_PAUSE_S, BatchJob, Progress
from proofset.models.batchfiles import MOST_LINES, Refused
from proofset.models.chat import EndpointChat
from proofset.plugins import Reply, Request

LINGER_S = 2.0
"""Seconds without a new request after which those that wait are handed in."""
UNPROCESSABLE = 422
"""Status of a refusal for which the provider gave none: it is about the one request."""


class HalfPrice:
    """The model behind ``chat``, asked in batches. Raises ModelError. Made inside the event loop that uses it."""

    def __init__(
        self,
        chat: EndpointChat,
        folder: Path,
        *,
        give_up_s: float,
        report: Callable[[Progress], None] = lambda progress: None,
        linger_s: float = LINGER_S,
        pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """Batches are kept in ``folder``; after ``give_up_s`` seconds of nothing but failures those who wait are told.

        ``report`` is told how far the batches are; ``pause_s`` lies between the first two questions to the provider.
        """
        self.name, self.parallel = chat.name, MOST_LINES
        self.goes_on = True
        """Whoever stops waiting leaves his request at the provider: it is booked when its answer is fetched."""
        self.json_forms = chat.json_forms
        self.reread = chat.reread
        self._chat, self._job = chat, BatchJob(folder, chat)
        self._folder, self._report = folder, report
        self._linger_s, self._pause_s, self._give_up_s = linger_s, pause_s, give_up_s
        self._waiting: dict[str, tuple[Request, asyncio.Future[Reply]]] = {}
        self._handed: set[str] = set()
        self._came = asyncio.Event()
        self._errand: asyncio.Task[None] | None = None

    @property
    def json_form(self) -> str:
        """How the server is asked for JSON."""
        return self._chat.json_form

    @json_form.setter
    def json_form(self, form: str) -> None:
        self._chat.json_form = form

    async def reply(self, request: Request) -> Reply:
        """The server's answer to one request, when its batch has ended."""
        if not request.purpose.brief_id:
            return await self._chat.reply(request)
        key = blake2b(to_json(self._chat.payload(request)), digest_size=16).hexdigest()
        if key in self._waiting:
            return await asyncio.shield(self._waiting[key][1])
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[key] = request, future
        self._came.set()
        if self._errand is None or self._errand.done():
            self._errand = asyncio.create_task(self._run())
        try:
            return await future
        finally:
            self._waiting.pop(key, None)

    async def close(self) -> None:
        """Leave the batches to the provider, and drop the connections."""
        if self._errand is not None:
            self._errand.cancel()
            await asyncio.wait({self._errand})
        await self._chat.close()

    async def _run(self) -> None:
        """The errand: hand in, ask, give out, until nobody waits."""
        try:
            while self._waiting:
                await self._go()
        except Exception as error:  # noqa: BLE001 (told to all who wait, whatever it is)
            for _, future in self._waiting.values():
                if not future.done():
                    future.set_exception(error)

    async def _go(self) -> None:
        pause, heard = self._pause_s, time.monotonic()
        while self._waiting:
            if await self._hand_in():
                pause = self._pause_s
            asked_pause = 0.0
            try:
                await self._job.submit()
                self._report(await self._job.poll())
                await self._give_out()
                heard = time.monotonic()
            except (ModelUnavailable, ReplyUnreadable) as error:
                if time.monotonic() - heard >= self._give_up_s:
                    raise
                asked_pause = getattr(error, "retry_after_s", None) or 0.0
            if self._waiting:
                try:
                    await asyncio.wait_for(self._came.wait(), max(pause, asked_pause))
                except TimeoutError:
                    pause = min(LONGEST_PAUSE_S, 1.5 * pause)

    async def _hand_in(self) -> bool:
        """Write down what is new, when no more of it has come for a moment; whether there was any."""
        while self._came.is_set():
            self._came.clear()
            await asyncio.sleep(self._linger_s)
        fresh = [(key, request) for key, (request, _) in self._waiting.items() if key not in self._handed]
        self._job.write(fresh)
        self._handed.update(key for key, _ in fresh)
        return bool(fresh)

    async def _give_out(self) -> None:
        """Wake those whose answer is there."""
        for key, outcome in await self._job.collect():
            _, future = self._waiting.get(key, (None, None))
            if future is None or future.done():
                continue
            if isinstance(outcome, Refused):
                future.set_exception(self._refusal(outcome))
            else:
                future.set_result(outcome)

    def _refusal(self, outcome: Refused) -> ModelError:
        error = ModelRefused(f"{self.name}: {outcome.reason}", hint=f"what was asked and answered is in {self._folder}")
        error.status = outcome.status or UNPROCESSABLE
        return error

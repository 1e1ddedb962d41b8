"""Vectors from a server: any OpenAI-compatible ``/v1/embeddings``, hosted, vLLM, SGLang, llama.cpp, Ollama or TEI.

Door, dialects, gate and patience are those of the chat models; here texts become calls, and answers become unit
vectors. The key is read from the environment and never kept in an error.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json, to_json

from proofset.errors import InputError, ModelUnavailable, ReplyUnreadable
from proofset.models.admission import Admission, Permit
from proofset.models.breaker import Breaker
from proofset.models.chat import check_status
from proofset.models.dialects import counted
from proofset.models.http import Answer, Wire
from proofset.models.metered import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, TRIES, UNREADABLE_TRIES
from proofset.models.pauses import spent_window
from proofset.speakers import Model

Floats = NDArray[np.float32]

CALL_TEXTS = 32
"""Texts in one call; some servers take no more unless they are told to."""
CALL_BYTES = 100_000
"""Bytes of text in one call: below what the strictest provider takes, whatever its tokens are."""
PROBE = "width"
"""Text that is asked for where there is none, to learn how many numbers a vector has."""


class EndpointEncoder:
    """An Encoder behind ``base_url``: every text is sent to that server, and what it charges is not booked.

    Calls are paced, and tried again where the server is over its limits or fails, as those of the chat models are.
    Equal texts are asked for once a call. When it lies: a server may hold another model tomorrow under the same name,
    and most give slightly other numbers from call to call; what it cuts off of a long text, it does not say.
    """

    def __init__(
        self,
        settings: Model,
        *,
        place: str = "encoder",
        call_texts: int = CALL_TEXTS,
        sleep: Callable[[float], Coroutine[Any, Any, object]] = asyncio.sleep,
    ) -> None:
        """``place`` is where the settings stand in the study, for errors; nothing is sent yet.

        Of the settings those count that say where the server is, who asks, and how much it allows. Raises ConfigError
        when address, model, key or certificates are missing, InputError for calls without room for a text.
        """
        if call_texts < 1:
            raise InputError(f"call_texts is {call_texts}: a call needs a text", hint=f"the default is {CALL_TEXTS}")
        self.name = Wire(settings, place).name
        self.width = 0
        """Numbers of a vector; 0 until the server has told."""
        self.input_tokens = 0
        """Tokens that the server has counted so far."""
        self._settings, self._place, self._call_texts, self._sleep = settings, place, call_texts, sleep

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors of shape ``(n_texts, d)``; zeros for blank texts, which are not sent: many servers refuse them.

        Raises ModelRefused, and after many tries ModelUnavailable or ReplyUnreadable; InputError for a text that
        holds half a surrogate pair.
        """
        places: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            if text.strip():
                _check_text(text, row)
                places.setdefault(text, []).append(row)
        asked = list(places) or ([] if self.width else [PROBE])
        found = _waited_for(self._answers(asked))
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        for text, vector in zip(asked, (row for table in found for row in table), strict=True):
            vectors[places.get(text, [])] = vector
        return vectors

    async def _answers(self, texts: Sequence[str]) -> list[Floats]:
        """Vectors of all texts, call after call; the first error ends all calls."""
        wire = Wire(self._settings, self._place)  # its connections belong to one event loop, and each run has its own
        errand = _Errand(wire, self._settings, self._sleep)
        calls = [asyncio.ensure_future(errand.vectors(batch)) for batch in _batches(texts, self._call_texts)]
        try:
            found = await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await wire.close()
            self.input_tokens += errand.input_tokens
        widths = sorted({self.width or found[0].shape[1], *(table.shape[1] for table in found)}) if found else []
        if len(widths) > 1:
            raise ReplyUnreadable(
                f"{self.name}: vectors of different widths: {', '.join(map(str, widths))}",
                hint="do several models answer at this address?",
            )
        self.width = widths[0] if widths else self.width
        return found


class _Errand:
    """One visit to the server: its connections, and what was learnt of its mood."""

    def __init__(
        self, wire: Wire, settings: Model, sleep: Callable[[float], Coroutine[Any, Any, object]] = asyncio.sleep
    ) -> None:
        self.input_tokens = 0
        self._wire, self._model, self._sleep = wire, settings.model, sleep
        self._gate = Admission(
            settings.slots,
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
        )
        self._breaker = Breaker(settings.give_up_s)

    async def vectors(self, texts: Sequence[str]) -> Floats:
        """Unit vectors ``(n, d)`` by one call, attempt after attempt until they have been enough."""
        failures = unreadable = refusals = 0
        tokens = sum(len(text.encode()) // 4 + 1 for text in texts)
        while True:
            permit = await self._gate.permit(tokens, urgent=failures + refusals > 0)
            try:
                return await self._attempt(texts, permit)
            except (ModelUnavailable, ReplyUnreadable) as error:
                overloaded = isinstance(error, ModelUnavailable) and error.overloaded
                refusals, failures = refusals + overloaded, failures + (not overloaded)
                unreadable += isinstance(error, ReplyUnreadable)
                if self._breaker.out_of_patience() or failures >= TRIES or unreadable >= UNREADABLE_TRIES:
                    raise
                pause = error.retry_after_s if isinstance(error, ModelUnavailable) else None
            await self._sleep(_backoff(failures + refusals, pause))

    async def _attempt(self, texts: Sequence[str], permit: Permit) -> Floats:
        """One call, with its permit given back whatever comes of it."""
        self._breaker.asked()
        try:
            answer = await self._wire.post("/embeddings", to_json({"model": self._model, "input": texts}))
            check_status(answer, self._wire)
            table, tokens = self._read(answer, len(texts))
        except BaseException as error:
            if not isinstance(error, ModelUnavailable | ReplyUnreadable):
                self._gate.hold(float("inf"))  # final: nobody may slip through before all are called off
            if isinstance(error, ModelUnavailable) and (error.overloaded or error.timed_out):
                self._gate.overloaded(permit, error.retry_after_s)
            else:
                self._gate.failed(permit)
            raise
        self._breaker.good()
        self._gate.succeeded(permit, tokens=tokens or permit.tokens, pause_s=spent_window(answer.headers))
        self.input_tokens += tokens
        return table

    def _read(self, answer: Answer, wanted: int) -> tuple[Floats, int]:
        """Unit vectors in the order of the texts, and the tokens that they took."""
        try:
            told = from_json(answer.body)
            return _unit(_table(told["data"], wanted)), counted(told.get("usage")).input
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            reason = self._wire.clean(str(error)) if isinstance(error, ValueError) else "no list of vectors"
        raise ReplyUnreadable(  # not from the other error: that may quote the answer, and the key in it
            f"{self._wire.name}: {reason}: {self._wire.shown(answer.body)}",
            hint="does it speak /v1/embeddings, and is the model one for embeddings?",
        )


def _table(data: Sequence[dict[str, Any]], wanted: int) -> NDArray[np.float64]:
    """The numbers of ``wanted`` vectors, by their index. Raises for anything else."""
    rows = sorted(data, key=lambda row: int(row["index"]))
    if [row["index"] for row in rows] != list(range(wanted)):
        raise ValueError(f"not one vector for each of {wanted} texts")
    if len({len(row["embedding"]) for row in rows}) > 1:
        raise ValueError("vectors of different widths")
    table = np.array([row["embedding"] for row in rows])
    if table.ndim != 2 or not table.size or table.dtype.kind not in "iuf" or not np.isfinite(table).all():
        raise ValueError("vectors that are not lists of finite numbers")
    return table.astype(np.float64)


def _unit(rows: NDArray[np.float64]) -> Floats:
    """Rows at length 1, whatever their size; zeros stay zeros."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled = rows / np.where(largest > 0, largest, 1.0)
    return np.asarray(scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def _check_text(text: str, row: int) -> None:
    """Raise InputError for what JSON cannot carry."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"text {row} cannot be sent: {error.reason}", hint="half a surrogate pair stands in it; clean the data"
        ) from error


def _batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    """Texts in order, in calls of so many at most and of CALL_BYTES; a longer text is a call by itself."""
    batch: list[str] = []
    room = CALL_BYTES
    for text in texts:
        size = len(text.encode())
        if batch and (size > room or len(batch) == most):
            yield batch
            batch, room = [], CALL_BYTES
        batch.append(text)
        room -= size
    if batch:
        yield batch


def _backoff(times: int, pause: float | None) -> float:
    """Full jitter (Brooker 2015), on top of what the server asks for."""
    ceiling = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(times - 1, 16))
    jitter = random.uniform(0, ceiling)  # noqa: S311 (jitter, not a secret)
    return jitter if pause is None else pause + 0.1 * jitter


def _waited_for(work: Coroutine[Any, Any, list[Floats]]) -> list[Floats]:
    """The result of a coroutine, also where an event loop is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1, thread_name_prefix="embeddings") as elsewhere:
        return elsewhere.submit(asyncio.run, work).result()

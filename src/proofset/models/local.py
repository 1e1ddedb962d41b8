"""llama.cpp inside this process, through xllamacpp: any GGUF file, no server, no network.

Continuous batching gains little on a processor and makes a reply depend on its neighbours in the batch (rounding). So
each core gets an engine of its own with one sequence: as fast, no barriers to spin at, and a reply that depends on
nothing but its request. That is what lets a killed run end with the same corpus.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from proofset.errors import ConfigError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.nouns.record import Message
from proofset.nouns.result import Usage
from proofset.plugins import Choice, Reply, Request
from proofset.speakers import Model

SAMPLE_S = 0.3
"""Seconds that the cores are watched for before engines are placed on the idle ones."""
_HEADER_BYTES = 64 << 20
"""Where in a GGUF file its metadata end, at the latest."""
_SEEDS = 2**32 - 1
"""llama.cpp's seeds are smaller; this one would mean "any"."""
_ONE_LINE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""JSON as Python writes it: free to indent, a small model spends as many tokens on white space as on words."""


def idle_cores() -> int:
    """Cores that nothing else keeps busy now, at least 1, and no more than this process may use.

    llama.cpp's threads spin at barriers: two threads on a machine with one idle core are many times slower than one.
    """
    import psutil

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    idle = sum(100.0 - busy for busy in psutil.cpu_percent(interval=SAMPLE_S, percpu=True)) / 100.0
    return max(1, min(usable, int(idle + 0.5)))


def check_gguf(path: Path) -> None:
    """Raise ConfigError unless ``path`` is a GGUF file."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the model: {error.strerror}", hint="give a GGUF file") from error
    if magic != b"GGUF":
        raise ConfigError(f"{path}: not a GGUF file", hint="llama.cpp reads GGUF; convert it, or use engine=chat")


def has_chat_template(path: Path) -> bool:
    """Whether a GGUF file says how its turns are written; llama.cpp would write any model's turns as ChatML."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"tokenizer.chat_template", 0, _HEADER_BYTES) >= 0


def plain_turns(messages: tuple[Message, ...]) -> str:
    """Turns as text to continue, for a model that knows no turns."""
    return "\n".join([*(f"{each.role}: {each.content}" for each in messages), "assistant:"])


class _ProcessorClock:
    """Shares out this process's processor seconds among replies: each one gets what passed since the one before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = time.process_time()

    def lap(self) -> float:
        with self._lock:
            now = time.process_time()
            seconds, self._last = now - self._last, now
        return seconds


class _Engine:
    """One llama.cpp sequence on one thread, whose reply depends on the request alone.

    Rounding differs with the size of the batch a token is evaluated in, and sampling turns rounding into other words.
    So the cache is brought into one and the same state before every request: the shared head evaluated alone from an
    empty cache, its last token once more, then the rest of the prompt.
    """

    def __init__(self, xllamacpp: Any, path: Path, context_tokens: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_parallel = 1
        params.n_ctx = context_tokens
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.cache_ram_mib = 0  # no states kept aside: what is cached must be what we put there
        params.verbosity = -1
        self.server: Any = xllamacpp.Server(params)
        self.head = ""
        self._busy = threading.Lock()

    def complete(self, request: Request) -> dict[str, Any]:
        """llama.cpp's answer as it gives it. Raises ValueError for turns that its template does not take."""
        head = request.prompt[: request.shared_chars]
        with self._busy:  # a cancelled call goes on in its thread, and nobody may meddle with its cache
            if head != self.head:
                self._evaluate(" ")  # shares no token with any prompt, so it empties the cache
                if head:
                    self._evaluate(head)
                self.head = head
            self._evaluate(head or " ")
            if request.messages:
                return dict(self.server.handle_chat_completions(_payload(request)))
            return dict(self.server.handle_completions(_payload(request)))

    def _evaluate(self, prompt: str) -> None:
        self.server.handle_completions({"prompt": prompt, "max_tokens": 0, "temperature": 0.0, "cache_prompt": True})


class LocalChat:
    """A ChatModel that runs a GGUF file in this process: one engine a core, and the same reply on every try."""

    json_form = "json_schema"
    """How it is asked for JSON: a schema becomes a grammar, and no other token can be drawn."""

    def __init__(self, settings: Model, path: Path) -> None:
        """Load the model. Raises ConfigError for a file that is not GGUF, ModelUnavailable if llama.cpp refuses it."""
        import xllamacpp

        check_gguf(path)
        self.name = f"{path.stem} (llama.cpp, xllamacpp {version('xllamacpp')})"
        n_engines = self.parallel = min(settings.threads or idle_cores(), settings.slots)
        try:
            self._idle = [_Engine(xllamacpp, path, settings.context_tokens) for _ in range(n_engines)]
        except RuntimeError as error:
            raise ModelUnavailable(f"{path}: llama.cpp cannot load it: {error}", hint="is the file whole?") from error
        self._templated = has_chat_template(path)
        self._free = asyncio.Semaphore(n_engines)
        self._pool = ThreadPoolExecutor(n_engines, thread_name_prefix="llama")
        self._clock = _ProcessorClock()

    async def reply(self, request: Request) -> Reply:
        """Continue the prompt or answer the turns. Raises ReplyUnreadable when llama.cpp answers with an error.

        Raises ModelRefused for turns or a schema that this model cannot take.
        """
        if request.messages and not self._templated:
            stop = (*request.stop, "\nuser:", "\nsystem:")
            request = replace(request, prompt=plain_turns(request.messages), messages=(), stop=stop, shared_chars=0)
        seed = request.seed + request.sample
        replies = [await self._one(replace(request, seed=(seed + at) % _SEEDS)) for at in range(request.n)]
        others = tuple(Choice(text=each.text, finish=each.finish) for each in replies[1:])
        return replace(replies[0], usage=_together([each.usage for each in replies]), others=others)

    async def _one(self, request: Request) -> Reply:
        async with self._free:
            engine = self._take(request.prompt[: request.shared_chars])
            try:
                answer = await asyncio.get_running_loop().run_in_executor(self._pool, engine.complete, request)
            except ValueError as error:
                raise ModelRefused(f"{self.name}: {error}", hint="check roles and schema") from error
            finally:
                self._idle.append(engine)
        reply = self._read(answer)
        if request.schema and not _may_become_json(reply.text):
            raise ModelRefused(
                f"{self.name}: cannot hold a reply to this schema", hint="llama.cpp passes over what it cannot use"
            )
        return reply

    def _take(self, head: str) -> _Engine:
        """An idle engine, one that has this head in its cache if there is any."""
        warm = next((engine for engine in self._idle if engine.head == head), self._idle[0])
        self._idle.remove(warm)
        return warm

    def _read(self, answer: dict[str, Any]) -> Reply:
        if "choices" not in answer:
            reason = answer.get("error", answer)
            unreadable = ReplyUnreadable(f"{self.name}: {reason}", hint="is the prompt longer than context_tokens?")
            unreadable.raw = to_json(answer)
            raise unreadable
        choice, usage = answer["choices"][0], answer["usage"]
        message = choice.get("message") or {}
        return Reply(
            text=choice["text"] if "text" in choice else message.get("content") or "",
            reasoning=message.get("reasoning_content") or "",
            finish=choice["finish_reason"],
            usage=Usage(
                model=self.name,
                stage="",
                input_tokens=usage["prompt_tokens"],
                cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
                output_tokens=usage["completion_tokens"],
                core_seconds=self._clock.lap(),
            ),
        )

    async def close(self) -> None:
        """Stop the threads and free the weights."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        self._idle.clear()


def _payload(request: Request) -> dict[str, Any]:
    payload = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "min_p": request.min_p,
        "seed": request.seed,
        "stop": list(request.stop),
        "cache_prompt": True,
    }
    if request.messages:
        payload["messages"] = [{"role": each.role, "content": each.content} for each in request.messages]
    else:
        payload["prompt"] = request.prompt
    return payload | ({"grammar": _grammar(request.schema)} if request.schema else {})


def _grammar(schema: str) -> str:
    """A JSON Schema as a grammar: llama.cpp's own field for schemas hangs on some."""
    from xllamacpp import json_schema_to_grammar

    wanted = from_json(schema)
    if not isinstance(wanted, dict):
        raise ValueError(f"a JSON Schema is an object, not {schema[:40]}")  # noqa: TRY004 - it is the caller's value
    return str(json_schema_to_grammar({"x-guidance": _ONE_LINE, **wanted}))


def _may_become_json(text: str) -> bool:
    """Whether a text, perhaps cut off, is the beginning of JSON."""
    try:
        from_json(text or "{", allow_partial=True)
    except ValueError:
        return not text.strip()
    return True


def _together(usages: list[Usage]) -> Usage:
    """What several calls for one request consumed."""
    return replace(
        usages[0],
        input_tokens=sum(each.input_tokens for each in usages),
        cached_tokens=sum(each.cached_tokens for each in usages),
        output_tokens=sum(each.output_tokens for each in usages),
        core_seconds=sum(each.core_seconds for each in usages),
    )

"""llama.cpp inside this process, through xllamacpp: any GGUF file, no server, no network.

Continuous batching gains little on a processor and makes a reply depend on its neighbours in the batch (rounding). So
each core gets an engine of its own with one sequence: as fast, no barriers to spin at, and a reply that depends on
nothing but its request. That is what lets a killed run end with the same corpus.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from proofset.config import Model
from proofset.errors import ConfigError, ModelUnavailable, ReplyUnreadable
from proofset.nouns.result import Usage
from proofset.plugins import Reply, Request

SAMPLE_S = 0.3
"""Seconds that the cores are watched for before engines are placed on the idle ones."""


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
        """llama.cpp's answer as it gives it."""
        head = request.prompt[: request.shared_chars]
        with self._busy:  # a cancelled call goes on in its thread, and nobody may meddle with its cache
            if head != self.head:
                self._evaluate(" ")  # shares no token with any prompt, so it empties the cache
                if head:
                    self._evaluate(head)
                self.head = head
            self._evaluate(head or " ")
            return dict(self.server.handle_completions(_payload(request)))

    def _evaluate(self, prompt: str) -> None:
        self.server.handle_completions({"prompt": prompt, "max_tokens": 0, "temperature": 0.0, "cache_prompt": True})


class LocalChat:
    """A ChatModel that runs a GGUF file in this process: one engine a core, and the same reply on every try."""

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
        self._free = asyncio.Semaphore(n_engines)
        self._pool = ThreadPoolExecutor(n_engines, thread_name_prefix="llama")
        self._clock = _ProcessorClock()

    async def reply(self, request: Request) -> Reply:
        """Continue the prompt. Raises ReplyUnreadable when llama.cpp answers with an error."""
        async with self._free:
            engine = self._take(request.prompt[: request.shared_chars])
            try:
                answer = await asyncio.get_running_loop().run_in_executor(self._pool, engine.complete, request)
            finally:
                self._idle.append(engine)
        return self._read(answer)

    def _take(self, head: str) -> _Engine:
        """An idle engine, one that has this head in its cache if there is any."""
        warm = next((engine for engine in self._idle if engine.head == head), self._idle[0])
        self._idle.remove(warm)
        return warm

    def _read(self, answer: dict[str, Any]) -> Reply:
        if "choices" not in answer:
            reason = answer.get("error", answer)
            raise ReplyUnreadable(f"{self.name}: {reason}", hint="is the prompt longer than context_tokens?")
        choice, usage = answer["choices"][0], answer["usage"]
        return Reply(
            text=choice["text"],
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
    return {
        "prompt": request.prompt,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "min_p": request.min_p,
        "seed": request.seed,
        "stop": list(request.stop),
        "cache_prompt": True,
    }

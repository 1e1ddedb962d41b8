"""Any OpenAI-compatible server, through its completions endpoint: hosted, vLLM, SGLang, llama.cpp, Ollama.

Retries are ours and counted: 429 and 5xx are tried again with full jitter, honouring Retry-After; what the server will
never accept is refused at once. The key is read from the environment when a call is made and is never kept or shown.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

from proofset.config import Model
from proofset.errors import ConfigError, ModelError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.nouns.result import Usage
from proofset.plugins import Reply, Request

TRIES = 6
LONGEST_PAUSE_S = 30.0


class EndpointChat:
    """A ChatModel behind ``base_url``. Raises ModelRefused, ModelUnavailable or ReplyUnreadable."""

    def __init__(self, settings: Model, path: Path | None = None) -> None:
        """Remember where to call; nothing is sent yet. Raises ConfigError when base_url, model or key are missing."""
        del path  # a server needs no file
        if not settings.base_url.startswith(("http://", "https://")) or not settings.model:
            raise ConfigError(
                "synthesize.model: engine 'chat' needs base_url and model",
                hint='for example base_url = "http://127.0.0.1:8000/v1" and model = "my-model"',
            )
        if settings.api_key_env and not _key(settings):
            raise ConfigError(
                f"synthesize.model.api_key_env: the environment variable {settings.api_key_env} is not set",
                hint=f"export {settings.api_key_env}=…",
            )
        self.name = f"{settings.model} at {settings.base_url}"
        self.parallel = settings.slots
        self._settings = settings
        self._session: Any = None

    async def reply(self, request: Request) -> Reply:
        """The server's continuation of the prompt."""
        for attempt in range(TRIES):
            try:
                return await self._ask(_payload(request, self._settings.model))
            except ModelError as error:
                if not error.retryable or attempt == TRIES - 1:
                    raise
                pause = error.retry_after_s if isinstance(error, ModelUnavailable) else None
            ceiling = min(LONGEST_PAUSE_S, 0.5 * 2**attempt)
            await asyncio.sleep(random.uniform(0, ceiling) if pause is None else min(pause, LONGEST_PAUSE_S))  # noqa: S311 (jitter, not a secret)
        raise AssertionError("the last attempt returns or raises")

    async def _ask(self, payload: dict[str, Any]) -> Reply:
        import aiohttp

        settings = self._settings
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=settings.timeout_s)
            connector = aiohttp.TCPConnector(limit=settings.slots)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=True)
        key = _key(settings)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = settings.base_url.rstrip("/") + "/completions"
        try:
            async with self._session.post(url, json=payload, headers=headers) as answer:
                body = await answer.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ModelUnavailable(
                f"{self.name}: {type(error).__name__}: {error}", hint="is the server up, and base_url right?"
            ) from error
        shown = " ".join((body.replace(key, "[key]") if key else body).split())[:300]  # some servers repeat the key
        _check_status(answer.status, shown, answer.headers.get("Retry-After"), self.name)
        return _read(body, shown, self.name)

    async def close(self) -> None:
        """Drop the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _key(settings: Model) -> str:
    """The key, without the line end that a secret out of a file often has."""
    return os.environ.get(settings.api_key_env, "").strip() if settings.api_key_env else ""


def _check_status(status: int, shown: str, retry_after: str | None, name: str) -> None:
    """Raise the error that fits an HTTP status; return for success."""
    if status < 400:
        return
    message = f"{name}: HTTP {status}: {shown}"
    if status == 429 or status >= 500 or status == 408:
        error = ModelUnavailable(message, hint="the server is over its limits or failing")
        if retry_after is not None and retry_after.replace(".", "", 1).isdecimal():
            error.retry_after_s = float(retry_after)
        raise error
    hint = "check the key" if status in (401, 403) else "check base_url, model name and request"
    raise ModelRefused(message, hint=hint)


def _payload(request: Request, model: str) -> dict[str, Any]:
    return {
        "model": model,
        "prompt": request.prompt,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
    }


def _read(body: str, shown: str, name: str) -> Reply:
    """The completion in a server's answer; ``shown`` is what an error may quote of it."""
    try:
        answer = json.loads(body)
        choice, usage = answer["choices"][0], answer.get("usage") or {}
        details = usage.get("prompt_tokens_details") or {}
        return Reply(
            text=choice["text"].encode("utf-8", "replace").decode(),  # JSON can hold half a surrogate pair, text cannot
            finish=str(choice.get("finish_reason") or "stop"),
            usage=Usage(
                model=name,
                stage="",
                input_tokens=int(usage.get("prompt_tokens", 0)),
                cached_tokens=int(details.get("cached_tokens") or 0),
                output_tokens=int(usage.get("completion_tokens", 0)),
            ),
        )
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ReplyUnreadable(f"{name}: not a completion: {shown}", hint="does it speak /v1/completions?") from error

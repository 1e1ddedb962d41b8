"""Any OpenAI-compatible server: hosted, vLLM, SGLang, llama.cpp, Ollama, through its completion or chat endpoint.

One call is one attempt. What is tried again, when, and at whose cost is decided in ``metered.py``; here an answer
becomes a Reply or one of three errors: unavailable (later perhaps), refused (never), unreadable (it came, but as
something else). The key is read from the environment and never kept in an error, a log or a run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from proofset.errors import ModelError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models.dialects import counted
from proofset.models.http import Answer, Wire
from proofset.models.pauses import asked_pause, spent_window
from proofset.nouns.result import Usage, UsageBasis
from proofset.plugins import Choice, Reply, Request, Token
from proofset.speakers import Model

CONTINUE = "Continue the user's text as it would go on. Answer with the continuation of its last line alone."
"""System prompt for a prompt that is sent as a chat."""

THINKERS_REFUSE = frozenset({"temperature", "top_p"})
"""Fields that some providers' reasoning models answer with an error."""

_LATER = (408, 409, 425, 429, 498, 499)
_TOO_MUCH = (429, 498, 503, 529)
_NO_MONEY = (b"insufficient_quota", b"billing_hard_limit", b"billing_not_active", b"credit balance")
"""Codes and words of an empty account. "Billing" alone is none: many point there when a minute's limit is reached."""


class EndpointChat:
    """A ChatModel behind ``base_url``. Raises ModelRefused, ModelUnavailable or ReplyUnreadable."""

    def __init__(self, settings: Model, path: Path | None = None, *, place: str = "synthesize.model") -> None:
        """Remember where to call; nothing is sent yet. Raises ConfigError when base_url, model or key are missing."""
        del path  # a server needs no file
        self.wire = Wire(settings, place)
        self.name = self.wire.name
        self.parallel = settings.slots
        self.json_form = ""
        """How this server is asked for JSON: json_schema, json_object or prompted. Set by a probe."""
        self.json_forms = self.wire.dialect.schemas
        """The ways that may work, the strictest first."""
        self._settings = settings
        thinks = bool(settings.reasoning) and self.wire.dialect.thinks_at_one
        self._omitted = frozenset(settings.omit) | (THINKERS_REFUSE if thinks else frozenset())

    async def reply(self, request: Request) -> Reply:
        """The server's answer to one request."""
        path, payload = self.payload(request)
        began = time.perf_counter()
        answer = await self.wire.post(path, to_json(payload))
        check_status(answer, self.wire)
        return self._read(answer.body, time.perf_counter() - began, spent_window(answer.headers))

    def payload(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Path below the base address, and the JSON object to send there, in the server's dialect."""
        settings, dialect = self._settings, self.wire.dialect
        extras = dialect.extras
        payload: dict[str, Any] = {"model": settings.model}
        if request.messages or settings.form == "chat":
            path = "/chat/completions"
            payload["messages"] = _messages(request)
        else:
            path = "/completions"
            payload["prompt"] = request.prompt
        payload[dialect.max_tokens if path == "/chat/completions" else "max_tokens"] = request.max_tokens
        if "temperature" not in self._omitted:
            payload["temperature"] = request.temperature
        # Some hosted models take one of the two and not both; a server of one's own may have another default than 1.
        if (request.top_p < 1 or "top_k" in extras) and "top_p" not in self._omitted:
            payload["top_p"] = request.top_p
        if "seed" in extras and "seed" not in self._omitted:
            payload["seed"] = request.seed + request.sample
        if request.stop:
            payload["stop"] = list(request.stop)
        if request.top_k and "top_k" in extras:
            payload["top_k"] = request.top_k
        if request.min_p and "min_p" in extras:
            payload["min_p"] = request.min_p
        _add_rare(payload, request, extras, settings.reasoning, chat=path == "/chat/completions")
        if request.schema:
            _ask_for_json(payload, request.schema, self.json_form or dialect.schemas[0])
        return path, payload

    def reread(self, raw: bytes) -> Reply:
        """The reply in a stored answer, as today's reading has it."""
        return self._read(raw, 0.0, 0.0)

    def _read(self, body: bytes, seconds: float, pause_s: float) -> Reply:
        try:
            answer = _parsed(body)
            if (fault := answer.get("error")) and not answer.get("choices"):
                raise _told_in_body(fault, self.wire)
            choices, counts = answer["choices"], counted(answer.get("usage"))
            first = choices[0]
            if fault := first.get("error") or (first.get("finish_reason") == "error" and "it broke off"):
                raise _told_in_body(fault, self.wire)
            usage = Usage(
                model=self.name,
                stage="",
                input_tokens=counts.input,
                cached_tokens=counts.cached,
                cache_write_tokens=counts.cache_write,
                output_tokens=counts.output,
                reasoning_tokens=counts.reasoning,
                seconds=seconds,
                usd=counts.usd,
                basis=UsageBasis.UNPRICED if counts.usd is None else UsageBasis.REPORTED,
            )
            return Reply(
                text=_text(first),
                finish=_finish(first),
                usage=usage,
                others=tuple(Choice(text=_text(each), finish=_finish(each)) for each in choices[1:]),
                reasoning=_thought(first),
                logprobs=_logprobs(first.get("logprobs")) if first.get("logprobs") else (),
                raw=body,
                pause_s=pause_s,
            )
        except ModelError:
            raise
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            unreadable = ReplyUnreadable(
                f"{self.name}: not a completion: {self.wire.shown(body)}",
                hint="does it speak /v1/completions or /v1/chat/completions? See synthesize.model.form",
            )
            unreadable.raw = body
        raise unreadable  # not from the other error: that may quote the answer, and the key in it

    async def close(self) -> None:
        """Drop the connections."""
        await self.wire.close()


def _messages(request: Request) -> list[dict[str, str]]:
    """The turns to send; a prompt becomes a task to continue it."""
    if request.messages:
        return [{"role": each.role, "content": each.content} for each in request.messages]
    return [{"role": "system", "content": CONTINUE}, {"role": "user", "content": request.prompt}]


def _add_rare(payload: dict[str, Any], request: Request, extras: frozenset[str], reasoning: str, *, chat: bool) -> None:
    """What few requests ask for. That a server cannot give more than one reply is an error, not a silence."""
    if request.n > 1:
        if "n" not in extras:
            raise ModelRefused(
                f"{payload['model']}: this server gives one reply a request, not {request.n}",
                hint="ask once for each sample",
            )
        payload["n"] = request.n
    if request.logprobs and "logprobs" in extras:
        if chat:
            payload |= {"logprobs": True, "top_logprobs": request.logprobs}
        else:
            payload["logprobs"] = request.logprobs
    if chat and (effort := request.reasoning or reasoning) and "reasoning_effort" in extras:
        payload["reasoning_effort"] = effort


def _ask_for_json(payload: dict[str, Any], schema: str, form: str) -> None:
    """Ask for JSON in the strictest way the server takes; a prompted schema is in the messages already."""
    if form == "json_schema":
        wanted = {"name": "reply", "strict": True, "schema": from_json(schema)}
        payload["response_format"] = {"type": "json_schema", "json_schema": wanted}
    elif form == "json_object":
        payload["response_format"] = {"type": "json_object"}


def _parsed(body: bytes) -> Any:
    """The JSON value in a body. Half a surrogate pair, which JSON can hold and text cannot, becomes a question mark."""
    try:
        return from_json(body)
    except ValueError:
        whole = json.dumps(json.loads(body), ensure_ascii=False)
        return from_json(whole.encode("utf-8", "replace"))


def _text(choice: dict[str, Any]) -> str:
    """The words of a choice; a chat's message may have none, when all was thought or withheld."""
    text = choice.get("text")
    if text is None and (text := choice["message"].get("content")) is None:
        return ""
    if isinstance(text, list):  # some servers send parts
        text = "".join(part.get("text", "") for part in text if isinstance(part, dict))
    if not isinstance(text, str):
        raise TypeError(f"a text was expected, not {type(text).__name__}")
    return text


def _finish(choice: dict[str, Any]) -> str:
    reason = choice.get("finish_reason") or "stop"
    return {"max_tokens": "length", "eos": "stop", "end_turn": "stop", "eos_token": "stop"}.get(reason, str(reason))


def _thought(choice: dict[str, Any]) -> str:
    message = choice.get("message") or {}
    return str(message.get("reasoning_content") or message.get("reasoning") or "")


def _logprobs(given: dict[str, Any]) -> tuple[Token, ...]:
    """Tokens with their log probabilities, from either of the two shapes there are."""
    if "content" in given:
        return tuple(
            _token(each["token"], each["logprob"], [(t["token"], t["logprob"]) for t in each.get("top_logprobs") or ()])
            for each in given["content"] or ()
        )
    tops = given.get("top_logprobs") or [None] * len(given["tokens"])
    return tuple(
        _token(text, logprob or 0.0, (top or {}).items())
        for text, logprob, top in zip(given["tokens"], given["token_logprobs"], tops, strict=True)
    )


def _token(text: Any, logprob: Any, top: Iterable[tuple[Any, Any]]) -> Token:
    return Token(str(text), float(logprob), tuple((str(word), float(value)) for word, value in top))


def check_status(answer: Answer, wire: Wire) -> None:
    """Raise the error that fits an HTTP status; return for success."""
    if answer.status < 300:
        return
    told = (
        f"leads to {wire.clean(answer.headers['Location'])}"
        if "Location" in answer.headers
        else wire.shown(answer.body)
    )
    broke = answer.status == 402 or any(words in answer.body for words in _NO_MONEY)
    pause_s = asked_pause(answer.headers)
    raise _fault(answer.status, f"HTTP {answer.status}: {told}", wire.name, pause_s, broke=broke)


def _fault(status: int, told: str, name: str, pause_s: float | None, *, broke: bool) -> ModelError:
    """What a status means to the caller: later, or never."""
    error: ModelError
    if broke:
        error = ModelRefused(f"{name}: {told}", hint="the account has no money left; top it up and run again")
    elif status in _LATER or status >= 500:
        error = ModelUnavailable(f"{name}: {told}", hint="the server is over its limits or failing")
        error.overloaded, error.retry_after_s = status in _TOO_MUCH, pause_s
    else:
        hint = "check the key" if status in (401, 403) else "check base_url, model name and request"
        if refused := [field for field in ("temperature", "top_p", "seed") if status == 400 and field in told]:
            hint = f"a model that refuses a field is not sent it with omit = {refused}".replace("'", '"')
        error = ModelRefused(f"{name}: {told}", hint=hint)
    error.status = status
    return error


def _told_in_body(fault: Any, wire: Wire) -> ModelError:
    """The error in a body that came with a good status, as routers send it."""
    told = fault if isinstance(fault, dict) else {"message": str(fault)}
    code = told.get("code") or told.get("status")
    status = int(code) if isinstance(code, (int, str)) and str(code).isdecimal() else 502
    status = status if 400 <= status < 600 else 502
    broke = status == 402 or any(words.decode() in str(told) for words in _NO_MONEY)
    return _fault(status, wire.clean(f"error in the answer: {told}"), wire.name, None, broke=broke)

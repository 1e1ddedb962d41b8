"""OpenAI's forms, from the server's side: what a caller asks for, read; a reply and an error, written.

Nothing here knows of networks: JSON in, our Request out; our Reply or error in, JSON out.
"""

from __future__ import annotations

import math
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from proofset.errors import (
    InputError,
    ModelRefused,
    ModelUnavailable,
    ProofsetError,
    RecordError,
    ReplyUnreadable,
)
from proofset.nouns.record import Message
from proofset.nouns.result import Usage
from proofset.plugins import Reply, Request

MOST_REPLIES = 16
"""Replies to one request (``n``), at most."""
PROMPT_TOKENS, CHAT_TOKENS = 16, 512
"""Longest reply where none is asked for: to a prompt, as OpenAI has it, and to turns."""
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
"""Roles of turns, and what the model is told."""
NOT_OFFERED = ("stream", "tools", "functions", "echo", "suffix")
"""Fields that would change what the answer means, so that passing over them would deceive."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request gets no reply, for a machine (status, code, field) and for its owner (message)."""

    status: int
    message: str
    code: str
    param: str | None = None
    """The field that is to blame."""
    retry_s: float | None = None
    """Seconds after which it may be worth another try."""

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object that OpenAI's clients expect."""
        kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
        kind = kinds.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """What else goes with it."""
        headers = {} if self.retry_s is None else {"Retry-After": str(max(1, math.ceil(self.retry_s)))}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def explained(error: ProofsetError) -> Fault:
    """What proofset raises on purpose, as a fault: the caller's, a model's that is not there, or ours."""
    told = f"{error} ({error.hint})" if error.hint else str(error)
    if isinstance(error, ModelUnavailable):
        return Fault(503, told, "model_unavailable", retry_s=error.retry_after_s or 1.0)
    if isinstance(error, ReplyUnreadable):
        code = _engine_code(error.raw)
        return Fault(400, told, code) if code else Fault(502, told, "unreadable_reply")
    if isinstance(error, (InputError, ModelRefused)):
        return Fault(400, told, "invalid_value", getattr(error, "field", None))
    return Fault(500, told, "internal_error")


class Fields:
    """The JSON object of a request. What is asked of it and is not so raises RecordError that names the field."""

    def __init__(self, body: bytes) -> None:
        """Read ``body``; null counts as left out."""
        try:
            given = from_json(body, allow_inf_nan=False)
        except ValueError as error:
            raise RecordError(f"not JSON: {error}", path="body") from error
        if not isinstance(given, dict):
            raise RecordError("must be a JSON object", path="body")
        self._given = {name: value for name, value in given.items() if value is not None}

    def get(self, name: str) -> Any:
        """The field as it was sent; None when it is left out."""
        return self._given.get(name)

    def text(self, name: str, default: str) -> str:
        """A string."""
        value = self._given.get(name, default)
        if not isinstance(value, str):
            raise _wrong(name, "must be a string")
        return value

    def number(self, name: str, default: float, *, low: float = 0.0, high: float = 1.0) -> float:
        """A number within bounds."""
        value = self._given.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise _wrong(name, f"must be a number from {low:g} to {high:g}")
        return float(value)

    def whole(self, name: str, default: int, *, low: int, high: int = 2**63 - 1) -> int:
        """An integer within bounds."""
        value = self._given.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(name, f"must be an integer from {low}" + (f" to {high}" if high < 2**31 else ""))
        return value


def read_request(fields: Fields, *, chat: bool) -> Request:
    """What a caller asks for, as our request; without a seed, one is drawn. Raises RecordError for a bad field."""
    for name in NOT_OFFERED:
        if fields.get(name):
            raise _wrong(name, "not offered by this server; leave it out")
    longest = fields.whole("max_tokens", CHAT_TOKENS if chat else PROMPT_TOKENS, low=1)
    return Request(
        prompt="" if chat else _prompt(fields.get("prompt")),
        messages=_messages(fields.get("messages")) if chat else (),
        max_tokens=min(fields.whole("max_completion_tokens", longest, low=1), 2**31 - 1),
        temperature=fields.number("temperature", 1.0, high=100.0),
        top_p=fields.number("top_p", 1.0),
        top_k=max(0, fields.whole("top_k", 0, low=-1, high=2**31 - 1)),
        min_p=fields.number("min_p", 0.0),
        seed=fields.whole("seed", secrets.randbelow(2**31), low=-(2**63)) % 2**32,
        stop=_stop(fields.get("stop")),
        n=fields.whole("n", 1, low=1, high=MOST_REPLIES),
        schema=_schema(fields.get("response_format")),
    )


def _wrong(field: str, told: str) -> RecordError:
    return RecordError(told, path="body", field=field)


def _prompt(given: Any) -> str:
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if not isinstance(given, str) or not given:
        raise _wrong("prompt", "must be a text, or a list of one text")
    return given


def _messages(given: Any) -> tuple[Message, ...]:
    if not isinstance(given, list) or not given:
        raise _wrong("messages", "must be a list of turns")
    return tuple(_message(each, f"messages[{at}]") for at, each in enumerate(given))


def _message(given: Any, place: str) -> Message:
    """One turn; content in parts is joined, as long as all are text."""
    role = given.get("role") if isinstance(given, dict) else None
    if not isinstance(role, str) or role not in ROLES:
        raise _wrong(f"{place}.role", f"must be one of {', '.join(ROLES)}")
    content = given.get("content")
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        texts = [text for text in parts if isinstance(text, str)]
        content = "".join(texts) if len(texts) == len(parts) else None
    if not isinstance(content, str):
        raise _wrong(f"{place}.content", "must be text, or a list of parts of text")
    return Message(ROLES[role], content)


def _stop(given: Any) -> tuple[str, ...]:
    stop = (given,) if isinstance(given, str) else () if given is None else given
    if not isinstance(stop, (list, tuple)) or not all(isinstance(each, str) and each for each in stop):
        raise _wrong("stop", "must be a text or a list of texts, none of them empty")
    return tuple(stop)


def _schema(given: Any) -> str:
    """The JSON Schema that a response_format asks for; "" for free text."""
    kind = given.get("type") if isinstance(given, dict) else None if given is not None else "text"
    if kind == "text":
        return ""
    if kind == "json_object":
        return '{"type":"object"}'
    wanted = given.get("json_schema") if kind == "json_schema" else None
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    if not isinstance(schema, dict):
        raise _wrong("response_format", "must be of type text, json_object, or json_schema with a json_schema.schema")
    return to_json(schema).decode()


def completion(reply: Reply, name: str, *, chat: bool) -> dict[str, Any]:
    """A reply in OpenAI's shape."""
    said = [(reply.text, reply.finish), *((each.text, each.finish) for each in reply.others)]
    choices: list[dict[str, Any]] = []
    for at, (text, finish) in enumerate(said):
        words: dict[str, Any] = {"text": text}
        if chat:
            words = {"message": {"role": "assistant", "content": text}}
            if at == 0 and reply.reasoning:
                words["message"]["reasoning_content"] = reply.reasoning
        choices.append({"index": at, **words, "logprobs": None, "finish_reason": finish})
    return {
        "id": ("chatcmpl-" if chat else "cmpl-") + secrets.token_hex(12),
        "object": "chat.completion" if chat else "text_completion",
        "created": int(time.time()),
        "model": name,
        "choices": choices,
        "usage": _counts(reply.usage),
    }


def _counts(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _engine_code(raw: bytes) -> str:
    """The code of an engine's error for which the request is to blame; "" for any other."""
    with suppress(ValueError, LookupError, TypeError):
        fault = from_json(raw)["error"]
        if 400 <= fault["code"] < 500:
            return {"exceed_context_size_error": "context_length_exceeded"}.get(fault["type"], "invalid_value")
    return ""

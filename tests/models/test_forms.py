"""What callers send, read strictly; what goes back, in the shape that OpenAI's clients read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proofset.errors import (
    ConfigError,
    ModelRefused,
    ModelUnavailable,
    ProofsetError,
    RecordError,
    ReplyUnreadable,
    UnpricedModel,
)
from proofset.models.forms import CHAT_TOKENS, PROMPT_TOKENS, Fault, Fields, completion, explained, read_request
from proofset.nouns.record import Message
from proofset.nouns.result import Usage
from proofset.plugins import Choice, Reply, Request


def read(chat: bool = False, **fields: Any) -> Request:
    base: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]} if chat else {"prompt": "Once"}
    return read_request(Fields(json.dumps(base | fields).encode()), chat=chat)


def test_defaults_are_those_of_openai() -> None:
    asked = read(seed=1)
    assert asked == Request(prompt="Once", max_tokens=PROMPT_TOKENS, temperature=1.0, seed=1)
    assert read(chat=True).max_tokens == CHAT_TOKENS
    assert read(seed=None, stop=None, n=None, temperature=None, response_format=None).n == 1  # null is left out


def test_without_a_seed_each_request_has_its_own() -> None:
    assert len({read().seed for _ in range(20)}) > 15


def test_every_field_arrives() -> None:
    fields: dict[str, Any] = {
        "max_tokens": 7, "temperature": 0, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "seed": 3, "stop": ["a", "b"],
        "n": 2, "logprobs": 5, "echo": False, "user": "me",
    }  # fmt: skip
    assert read(**fields) == Request(
        prompt="Once", max_tokens=7, temperature=0.0, top_p=0.9, top_k=40, min_p=0.05, seed=3, stop=("a", "b"), n=2
    )
    assert read(prompt=["Twice"]).prompt == "Twice"
    assert read(stop="\n").stop == ("\n",)
    assert read(top_k=-1).top_k == 0
    assert read(max_tokens=3, max_completion_tokens=9).max_tokens == 9
    assert 0 <= read(seed=-1).seed < 2**32


def test_turns_are_read_in_all_their_forms() -> None:
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": ""},
    ]
    assert read(chat=True, messages=turns).messages == (
        Message("system", "Be brief."), Message("user", "ab"), Message("assistant", ""),
    )  # fmt: skip


def test_a_schema_is_taken_out_of_its_wrapping() -> None:
    schema = {"type": "object", "properties": {"ä": {"type": "string"}}}
    wrapped = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    assert json.loads(read(response_format=wrapped).schema) == schema
    assert json.loads(read(chat=True, response_format={"type": "json_object"}).schema) == {"type": "object"}
    assert read(response_format={"type": "text"}).schema == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", None), ("prompt", ""), ("prompt", 5), ("prompt", []), ("prompt", ["a", "b"]), ("prompt", [[1, 2]]),
        ("max_tokens", 0), ("max_tokens", "9"), ("max_tokens", 1.5), ("max_tokens", True),
        ("max_completion_tokens", -1),
        ("temperature", "hot"), ("temperature", -0.1), ("temperature", True), ("top_p", 1.5), ("top_p", -1),
        ("top_k", -2), ("top_k", 2.5), ("min_p", 2), ("seed", "x"), ("seed", 2**70), ("n", 0), ("n", 17),
        ("stop", [""]), ("stop", ""), ("stop", 5), ("stop", ["a", 5]), ("stop", {"a": 1}),
        ("response_format", "json"), ("response_format", {"type": "xml"}), ("response_format", {}),
        ("response_format", {"type": "json_schema"}), ("response_format", {"type": "json_schema", "json_schema": 5}),
        ("response_format", {"type": "json_schema", "json_schema": {"schema": "x"}}),
        ("stream", True), ("tools", [{}]), ("functions", [{}]), ("echo", True), ("suffix", "x"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(RecordError) as caught:
        read(**{field: value})
    assert caught.value.field == field
    assert explained(caught.value).status == 400 and explained(caught.value).param == field


@pytest.mark.parametrize(
    ("turns", "field"),
    [
        (None, "messages"), ([], "messages"), ("hi", "messages"), (["hi"], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"), ([{"role": "tool", "content": "x"}], "messages[0].role"),
        ([{"role": ["user"], "content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": "x"}, {"role": "user", "content": 5}], "messages[1].content"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "messages[0].content"),
        ([{"role": "user", "content": [{"text": 5}]}], "messages[0].content"),
        ([{"role": "user", "content": ["x"]}], "messages[0].content"),
    ],
)  # fmt: skip
def test_a_bad_turn_is_named(turns: Any, field: str) -> None:
    with pytest.raises(RecordError) as caught:
        read(chat=True, messages=turns)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b'"x"', b'{"temperature": NaN}', b"\xff", b'{"prompt": "\\ud800"}', b"[" * 10_000]
)
def test_what_is_no_json_object_says_so(body: bytes) -> None:
    with pytest.raises(RecordError, match="JSON"):
        Fields(body)


def test_a_reply_is_written_for_either_endpoint() -> None:
    usage = Usage(model="m", stage="", input_tokens=9, cached_tokens=4, output_tokens=5, reasoning_tokens=2)
    reply = Reply(
        text="one", finish="stop", usage=usage, others=(Choice(text="two", finish="length"),), reasoning="hmm"
    )
    told = completion(reply, "small", chat=False)
    assert [(each["index"], each["text"], each["finish_reason"]) for each in told["choices"]] == [
        (0, "one", "stop"), (1, "two", "length"),
    ]  # fmt: skip
    assert (told["object"], told["model"]) == ("text_completion", "small")
    assert told["usage"] == {
        "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2},
    }  # fmt: skip
    first, second = completion(reply, "small", chat=True)["choices"]
    assert first["message"] == {"role": "assistant", "content": "one", "reasoning_content": "hmm"}
    assert second["message"] == {"role": "assistant", "content": "two"}


def unreadable(raw: bytes) -> ReplyUnreadable:
    error = ReplyUnreadable("odd")
    error.raw = raw
    return error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ModelUnavailable("away"), 503, "model_unavailable"),
        (ModelRefused("never"), 400, "invalid_value"),
        (ConfigError("x"), 400, "invalid_value"),
        (UnpricedModel("x"), 500, "internal_error"),
        (unreadable(b""), 502, "unreadable_reply"),
        (unreadable(b'{"error": "x"}'), 502, "unreadable_reply"),
        (unreadable(b'{"error": {"code": 500, "type": "x"}}'), 502, "unreadable_reply"),
        (unreadable(b'{"error": {"code": 400, "type": "exceed_context_size_error"}}'), 400, "context_length_exceeded"),
        (unreadable(b'{"error": {"code": 400, "type": "x"}}'), 400, "invalid_value"),
    ],
)
def test_every_error_has_its_status(error: ProofsetError, status: int, code: str) -> None:
    fault = explained(error)
    assert (fault.status, fault.body["error"]["code"]) == (status, code)
    assert set(fault.body["error"]) == {"message", "type", "param", "code"}


def test_headers_say_when_to_come_back_and_how_to_get_in() -> None:
    assert Fault(429, "x", "y", retry_s=0.2).headers == {"Retry-After": "1"}
    assert Fault(429, "x", "y", retry_s=3.1).headers == {"Retry-After": "4"}
    assert Fault(401, "x", "y").headers == {"WWW-Authenticate": "Bearer"}
    assert Fault(400, "x", "y").headers == {}
    away = ModelUnavailable("x", hint="wait")
    away.retry_after_s = 7.0
    assert (explained(away).retry_s, explained(away).message) == (7.0, "x (wait)")

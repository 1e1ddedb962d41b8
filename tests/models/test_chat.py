"""Against a real server on the loopback: what is asked, what is understood, what is refused, what is never shown.

One call is one attempt; what is tried again is shown in ``test_metered.py``.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st
from tests.toy.doors import everything, server

from proofset.errors import ConfigError, ModelError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models.chat import CONTINUE, EndpointChat
from proofset.nouns.record import Message
from proofset.nouns.result import UsageBasis
from proofset.plugins import Choice, Purpose, Reply, Request, Token
from proofset.speakers import Model

KEY = "sk-very-secret-0123456789"
ASKED = Request(
    prompt="Once upon", max_tokens=9, temperature=0.8, top_p=0.9, top_k=40, min_p=0.05, seed=5, stop=("\n",)
)
TALKED = Request(
    messages=(Message("system", "Be brief."), Message("user", "Hello?")), max_tokens=9, temperature=0.0, seed=5
)
GOOD = {
    "choices": [{"text": " a time", "finish_reason": "length"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 7}},
}
CHATTED = {
    "choices": [{"message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22},
}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def ask(answer: Answer, request: Request = ASKED, *, json_form: str = "", **settings: Any) -> Reply:
    """The reply of a server to one request."""

    async def work() -> Reply:
        async with server(answer) as url:
            model = EndpointChat(Model(engine="chat", base_url=url, model="m", **settings))
            model.json_form = json_form
            try:
                return await model.reply(request)
            finally:
                await model.close()

    try:
        return asyncio.run(work())
    finally:
        gc.collect()  # an unclosed session would warn here, and warnings are errors


class Script:
    """Gives one answer, and keeps what was asked for it."""

    def __init__(
        self, answer: Any = None, *, body: bytes = b"", status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self._body = json.dumps(answer).encode() if answer is not None else body
        self._status, self._headers = status, headers
        self.seen: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []

    async def __call__(self, request: web.Request) -> web.Response:
        self.seen.append(await request.json())
        self.paths.append(request.path_qs)
        self.keys.append(request.headers.get("Authorization"))
        return web.Response(body=self._body, status=self._status, headers=self._headers)


def model(**settings: Any) -> EndpointChat:
    """A model that is never called."""
    return EndpointChat(
        Model.model_validate({"engine": "chat", "base_url": "http://127.0.0.1:1/v1", "model": "m", **settings})
    )


def reread(answer: Any) -> Reply:
    return model().reread(answer if isinstance(answer, bytes) else json.dumps(answer).encode())


# ── what is asked ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_completion_its_usage_and_exactly_what_was_sent() -> None:
    script = Script(GOOD)
    reply = ask(script, dialect="other")
    assert (reply.text, reply.finish) == (" a time", "length")
    usage = reply.usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (12, 7, 3)
    assert usage.model.startswith("m at http://127.0.0.1:")
    assert (usage.core_seconds, usage.usd, usage.basis) == (0.0, None, UsageBasis.UNPRICED)
    assert 0 < usage.seconds < 10
    assert json.loads(reply.raw) == GOOD
    assert script.paths == ["/v1/completions"]
    assert script.seen == [
        {
            "model": "m", "prompt": "Once upon", "max_tokens": 9, "temperature": 0.8, "top_p": 0.9, "seed": 5,
            "stop": ["\n"],
        }
    ]  # fmt: skip
    assert script.keys == [None]


def test_a_chat_and_exactly_what_was_sent() -> None:
    script = Script(CHATTED)
    reply = ask(script, TALKED, dialect="other")
    assert (reply.text, reply.finish, reply.usage.input_tokens) == ("Hi.", "stop", 20)
    assert script.paths == ["/v1/chat/completions"]
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}]
    assert script.seen == [{"model": "m", "messages": turns, "max_tokens": 9, "temperature": 0.0, "seed": 5}]


def test_a_prompt_can_be_sent_as_a_chat() -> None:
    path, payload = model(form="chat").payload(ASKED)
    assert path == "/chat/completions"
    assert payload["messages"] == [{"role": "system", "content": CONTINUE}, {"role": "user", "content": "Once upon"}]
    assert "prompt" not in payload


RARE = Request(
    messages=(Message("user", "Hello?"),), max_tokens=9, temperature=0.5, top_p=0.9, top_k=40, min_p=0.05, seed=5,
    stop=("a", "b"), n=3, logprobs=2, reasoning="low", sample=4,
)  # fmt: skip
COMMON = {
    "model": "m", "messages": [{"role": "user", "content": "Hello?"}], "temperature": 0.5, "top_p": 0.9,
    "stop": ["a", "b"],
}  # fmt: skip
LOGPROBS = {"logprobs": True, "top_logprobs": 2}
TAKEN: dict[str, dict[str, Any]] = {
    "openai": {"max_completion_tokens": 9, "seed": 9, "n": 3, **LOGPROBS, "reasoning_effort": "low"},
    "azure": {"max_completion_tokens": 9, "seed": 9, "n": 3, **LOGPROBS, "reasoning_effort": "low"},
    "anthropic": {"max_tokens": 9, "reasoning_effort": "low"},
    "google": {"max_tokens": 9, "n": 3, "reasoning_effort": "low"},
    "mistral": {"max_tokens": 9, "n": 3},
    "deepseek": {"max_tokens": 9, **LOGPROBS},
    "openrouter": {
        "max_tokens": 9, "seed": 9, "n": 3, "top_k": 40, "min_p": 0.05, **LOGPROBS, "reasoning_effort": "low",
    },
    "groq": {"max_tokens": 9, "seed": 9, "reasoning_effort": "low"},
    "together": {"max_tokens": 9, "seed": 9, "n": 3, "top_k": 40, "min_p": 0.05, **LOGPROBS},
    "vllm": {"max_tokens": 9, "seed": 9, "n": 3, "top_k": 40, "min_p": 0.05, **LOGPROBS, "reasoning_effort": "low"},
    "ollama": {"max_tokens": 9, "seed": 9, "top_k": 40, "min_p": 0.05},
    "tgi": {"max_tokens": 9, "seed": 9, **LOGPROBS},
    "other": {"max_tokens": 9, "seed": 9, "n": 3},
}  # fmt: skip


@pytest.mark.parametrize(("dialect", "taken"), TAKEN.items(), ids=TAKEN)
def test_a_server_is_asked_for_what_it_takes_and_nothing_else(dialect: str, taken: dict[str, Any]) -> None:
    speaks = model(dialect=dialect)
    asked = RARE
    if "n" not in taken:  # an error, not a silence
        with pytest.raises(ModelRefused, match="one reply a request, not 3"):
            speaks.payload(RARE)
        asked = Request(**{**{f: getattr(RARE, f) for f in RARE.__slots__}, "n": 1})
    assert speaks.payload(asked) == ("/chat/completions", {**COMMON, **taken})


def test_a_completion_has_its_own_names_for_things() -> None:
    asked = Request(prompt="a", max_tokens=9, temperature=0.5, logprobs=2, reasoning="low")
    _, payload = model(dialect="openai").payload(asked)
    assert payload == {
        "model": "m", "prompt": "a", "max_tokens": 9, "temperature": 0.5, "seed": 0, "logprobs": 2,
    }  # fmt: skip


def test_what_is_not_asked_for_is_not_sent() -> None:
    _, payload = model(dialect="vllm").payload(Request(prompt="a", max_tokens=9, temperature=0.5))
    assert set(payload) == {"model", "prompt", "max_tokens", "temperature", "top_p", "seed"}
    _, payload = model(dialect="other").payload(Request(prompt="a", max_tokens=9, temperature=0.5))
    assert set(payload) == {"model", "prompt", "max_tokens", "temperature", "seed"}


def test_fields_that_a_model_refuses_are_not_sent() -> None:
    thinks = model(dialect="openai", reasoning="high").payload(ASKED)[1]
    assert not {"temperature", "top_p"} & set(thinks) and "seed" in thinks
    spoken = model(dialect="openai").payload(ASKED)[1]
    assert (spoken["temperature"], spoken["top_p"]) == (0.8, 0.9)
    bare = model(dialect="vllm", omit=("temperature", "top_p", "seed")).payload(ASKED)[1]
    assert not {"temperature", "top_p", "seed"} & set(bare) and bare["top_k"] == 40


def test_a_refused_field_is_named_with_the_way_out() -> None:
    body = b'{"error": {"message": "Unsupported value: \'temperature\' does not support 0.8 with this model."}}'
    with pytest.raises(ModelRefused) as caught:
        ask(Script(body=body, status=400))
    assert 'omit = ["temperature"]' in caught.value.hint


def test_the_study_says_how_long_to_think_and_a_request_may_know_better() -> None:
    thinks = model(dialect="openai", reasoning="high")
    assert thinks.payload(TALKED)[1]["reasoning_effort"] == "high"
    assert thinks.payload(RARE)[1]["reasoning_effort"] == "low"
    assert "reasoning_effort" not in model(dialect="openai").payload(TALKED)[1]
    assert "reasoning_effort" not in model(dialect="mistral", reasoning="high").payload(TALKED)[1]


def test_the_books_are_nobody_elses_business() -> None:
    asked = Request(prompt="a", max_tokens=9, temperature=0.5, shared_chars=1, purpose=Purpose("s", "slice", "brief"))
    assert model().payload(asked) == model().payload(Request(prompt="a", max_tokens=9, temperature=0.5))


SCHEMA = '{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}'
STRICT = {
    "type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": json.loads(SCHEMA)},
}  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "form", "wanted"),
    [
        ("openai", "", STRICT), ("openai", "json_schema", STRICT), ("openai", "json_object", {"type": "json_object"}),
        ("openai", "prompted", None), ("deepseek", "", {"type": "json_object"}),
    ],
)  # fmt: skip
def test_json_is_asked_for_in_three_ways(dialect: str, form: str, wanted: dict[str, Any] | None) -> None:
    asked = Request(messages=(Message("user", "?"),), max_tokens=9, temperature=0.0, schema=SCHEMA)
    script = Script(CHATTED)
    ask(script, asked, json_form=form, dialect=dialect)
    assert script.seen[0].get("response_format") == wanted


def test_azure_has_a_header_and_a_query_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY + "\n")
    heads: list[dict[str, str]] = []
    script = Script(CHATTED)

    async def keep(request: web.Request) -> web.Response:
        heads.append(dict(request.headers))
        return await script(request)

    ask(keep, TALKED, dialect="azure", api_key_env="TEST_KEY", query={"api-version": "2026-01-01"})
    assert script.paths == ["/v1/chat/completions?api-version=2026-01-01"]
    assert heads[0]["api-key"] == KEY
    assert "Authorization" not in heads[0]
    assert KEY not in json.dumps(script.seen)


def test_the_key_is_sent_without_its_line_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY + "\n")
    script = Script(GOOD)
    ask(script, api_key_env="TEST_KEY")
    assert script.keys == [f"Bearer {KEY}"]


# ── what is understood ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": 0, "prompt_tokens_details": None}, {"prompt_tokens_details": {}}]
)
def test_a_server_that_counts_nothing(usage: dict[str, Any] | None) -> None:
    reply = ask(Script({"choices": [{"text": ""}], "usage": usage}))
    assert (reply.text, reply.finish) == ("", "stop")
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.output_tokens) == (0, 0, 0)


def test_json_under_another_content_type_and_halves_of_surrogate_pairs() -> None:
    body = rb'{"choices": [{"text": "gr\u00fcn \ud83d"}]}'
    assert ask(Script(body=body, headers={"Content-Type": "text/plain"})).text == "grün ?"


def test_no_half_of_a_surrogate_pair_is_left_anywhere() -> None:
    half = "\ud83d"
    reply = reread(
        {
            "choices": [
                {
                    "message": {"content": f"a{half}", "reasoning": f"b{half}"}, "finish_reason": f"c{half}",
                    "logprobs": {"content": [{"token": f"d{half}", "logprob": -1.0, "top_logprobs": []}]},
                },
                {"message": {"content": f"e{half} \U0001f600"}},
            ]
        }
    )  # fmt: skip
    assert (reply.text, reply.reasoning, reply.finish) == ("a?", "b?", "c?")
    assert reply.logprobs == (Token("d?", -1.0),)
    assert reply.others == (Choice(text="e? \U0001f600", finish="stop"),)


def test_a_mark_before_the_json_is_passed_over() -> None:
    assert reread(b"\xef\xbb\xbf" + json.dumps(GOOD).encode()).text == " a time"


def test_a_stored_answer_is_read_again_as_it_was() -> None:
    reply = ask(Script(CHATTED), TALKED)
    again = reread(reply.raw)
    assert (again.text, again.finish, again.raw) == (reply.text, reply.finish, reply.raw)
    assert (again.usage.input_tokens, again.usage.output_tokens) == (20, 2)
    assert (again.usage.seconds, again.pause_s) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("told", "finish"),
    [
        ("stop", "stop"), ("length", "length"), ("max_tokens", "length"), ("eos", "stop"), ("eos_token", "stop"),
        ("end_turn", "stop"), ("content_filter", "content_filter"), ("tool_calls", "tool_calls"), (None, "stop"),
        ("", "stop"), ("weird", "weird"),
    ],
)  # fmt: skip
def test_why_it_ended(told: str | None, finish: str) -> None:
    assert reread({"choices": [{"text": "a", "finish_reason": told}]}).finish == finish


def test_several_replies() -> None:
    choices = [{"message": {"content": text}, "finish_reason": why} for text, why in (("a", "stop"), ("b", "length"))]
    reply = reread({"choices": choices})
    assert (reply.text, reply.others) == ("a", (Choice(text="b", finish="length"),))


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_what_was_thought_is_kept_apart_from_what_was_said(field: str) -> None:
    reply = reread({"choices": [{"message": {"content": "7", field: "3 and 4"}}]})
    assert (reply.text, reply.reasoning) == ("7", "3 and 4")


def test_a_message_may_have_no_words_or_have_them_in_parts() -> None:
    assert reread({"choices": [{"message": {"content": None}, "finish_reason": "length"}]}).text == ""
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert reread({"choices": [{"message": {"content": parts}}]}).text == "ab"
    assert reread({"choices": [{"text": None, "message": {"content": "a"}}]}).text == "a"


def test_log_probabilities_in_both_shapes() -> None:
    top = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -2.5}]
    of_a_chat = {"content": [{"token": "a", "logprob": -0.1, "top_logprobs": top}, {"token": "c", "logprob": -1}]}
    of_a_completion = {
        "tokens": ["a", "c"], "token_logprobs": [-0.1, -1], "top_logprobs": [{"a": -0.1, "b": -2.5}, None],
    }  # fmt: skip
    found = (Token("a", -0.1, (("a", -0.1), ("b", -2.5))), Token("c", -1.0, ()))
    assert reread({"choices": [{"message": {"content": "ac"}, "logprobs": of_a_chat}]}).logprobs == found
    assert reread({"choices": [{"text": "ac", "logprobs": of_a_completion}]}).logprobs == found
    without = {"tokens": ["a"], "token_logprobs": [None]}  # the first token of an echo has none
    assert reread({"choices": [{"text": "a", "logprobs": without}]}).logprobs == (Token("a", 0.0),)
    nothing: tuple[Any, ...] = (None, {}, {"content": None}, {"content": []})
    for each in nothing:
        assert reread({"choices": [{"text": "a", "logprobs": each}]}).logprobs == ()


def test_what_the_provider_says_it_charged_is_reported() -> None:
    usage = reread({**GOOD, "usage": {"prompt_tokens": 3, "cost": 0.0012}}).usage
    assert (usage.usd, usage.basis) == (Decimal("0.0012"), UsageBasis.REPORTED)


def test_every_count_reaches_the_usage() -> None:
    told = {
        "prompt_tokens": 100, "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }  # fmt: skip
    usage = reread({**GOOD, "usage": told}).usage
    assert (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens) == (100, 60, 30)
    assert (usage.output_tokens, usage.reasoning_tokens) == (50, 40)


def test_a_spent_window_comes_with_the_reply() -> None:
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
    assert ask(Script(GOOD, headers=headers)).pause_s == 360
    assert ask(Script(GOOD, headers={**headers, "x-ratelimit-remaining-requests": "3"})).pause_s == 0
    assert ask(Script(GOOD)).pause_s == 0


# ── what is later, never, or unreadable ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [408, 409, 425, 429, 498, 499, 500, 502, 503, 504, 529])
def test_a_server_that_fails_may_do_better_later_and_is_asked_once(status: int) -> None:
    script = Script(body=b"sorry", status=status)
    with pytest.raises(ModelUnavailable, match=f"HTTP {status}: sorry") as caught:
        ask(script)
    assert len(script.seen) == 1
    error = caught.value
    assert (error.status, error.retryable, error.retry_after_s) == (status, True, None)
    assert error.overloaded == (status in (429, 498, 503, 529))
    assert error.hint


def soon() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)


@pytest.mark.parametrize(
    ("header", "told", "seconds"),
    [
        ("Retry-After", "7", 7), ("Retry-After", "0", 0), ("retry-after-ms", "250", 0.25),
        ("Retry-After", "soon", None), ("Retry-After", "", None), ("Retry-After", soon, 90),
        ("Retry-After", "999999", 3600),
    ],
)  # fmt: skip
def test_how_long_an_overloaded_server_wants_to_be_left_alone(
    header: str, told: str | Callable[[], str], seconds: float | None
) -> None:
    value = told() if callable(told) else told
    with pytest.raises(ModelUnavailable) as caught:
        ask(Script(body=b"slow down", status=429, headers={header: value}))
    assert caught.value.overloaded
    if seconds is None:
        assert caught.value.retry_after_s is None
    else:
        assert caught.value.retry_after_s == pytest.approx(seconds, abs=3 if callable(told) else 1e-9)


BROKE: dict[str, tuple[int, dict[str, Any]]] = {
    "payment required": (402, {"error": {"message": "Insufficient Balance"}}),
    "openai": (
        429,
        {
            "error": {
                "message": "You exceeded your current quota, please check your plan and billing details. "
                + "For more information on this error, read the docs. " * 6,
                "type": "insufficient_quota", "param": None, "code": "insufficient_quota",
            }
        },
    ),
    "openai, hard limit": (400, {"error": {"message": "Limit reached", "code": "billing_hard_limit_reached"}}),
    "anthropic": (400, {"error": {"message": "Your credit balance is too low to access the Anthropic API."}}),
}  # fmt: skip


@pytest.mark.parametrize(("status", "told"), BROKE.values(), ids=BROKE)
def test_an_empty_account_is_no_server_to_wait_for(status: int, told: dict[str, Any]) -> None:
    with pytest.raises(ModelRefused) as caught:
        ask(Script(told, status=status, headers={"Retry-After": "1"}))
    assert "money" in caught.value.hint
    assert (caught.value.status, caught.value.retryable) == (status, False)


@pytest.mark.parametrize(
    "told",
    [
        "Rate limit reached for m in organization o on requests per min (RPM): Limit 3, Used 3. You can increase your "
        "rate limit by adding a payment method to your account at https://platform.openai.com/account/billing.",
        "You exceeded your current quota, please check your plan and billing details. Please retry in 36s.",
    ],
    ids=["openai", "google"],
)
def test_a_minutes_limit_that_points_to_billing_is_a_minutes_limit(told: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        ask(Script({"error": {"message": told, "code": 429}}, status=429))
    assert caught.value.overloaded


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422])
def test_a_refusal_is_final_and_the_key_stays_secret(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    script = Script(body=f"Incorrect API key provided: {KEY}, really".encode(), status=status)
    with pytest.raises(ModelRefused, match=f"HTTP {status}") as caught:
        ask(script, api_key_env="TEST_KEY")
    assert len(script.seen) == 1
    assert (caught.value.status, caught.value.retryable) == (status, False)
    assert "provided: [key], really" in str(caught.value)
    assert KEY not in everything(caught.value)
    assert ("key" in caught.value.hint) == (status in (401, 403))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_server_that_lives_elsewhere_is_named_and_not_followed(status: int) -> None:
    script = Script(body=b"moved", status=status, headers={"Location": "https://elsewhere.example/v1/completions"})
    with pytest.raises(ModelRefused, match=f"HTTP {status}: leads to https://elsewhere.example/v1") as caught:
        ask(script)
    assert "base_url" in caught.value.hint
    assert len(script.seen) == 1


def test_the_key_is_cut_out_before_the_message_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    for before in ("x" * 290, "x" * 299, "x" * 590, " " * 590, "\n" * 1180):
        for status in (401, 500, 200):
            with pytest.raises(ModelError) as caught:
                ask(Script(body=f"{before}{KEY}".encode(), status=status), api_key_env="TEST_KEY")
            assert KEY[:8] not in everything(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"message": f"bad key {KEY}"}}, {"error": f"bad key {KEY}"}, {"error": {"code": KEY}},
        {"choices": [{"text": 3}], "id": KEY}, {"choices": [{"text": "a"}], "usage": {"prompt_tokens": KEY}},
        {"choices": {KEY: 1}}, {"choices": [{"error": {"message": KEY}}]}, {KEY: "<html>"},
    ],
    ids=lambda answer: str(answer)[:40],
)  # fmt: skip
def test_a_good_status_does_not_show_the_key_either(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    with pytest.raises(ModelError) as caught:
        ask(Script(answer), api_key_env="TEST_KEY")
    assert KEY not in everything(caught.value)


def test_a_key_that_is_part_of_a_text_is_left_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "time")
    assert ask(Script(GOOD), api_key_env="TEST_KEY").text == " a time"


@pytest.mark.parametrize(
    ("fault", "kind", "status", "overloaded"),
    [
        ({"code": 429, "message": "slow down"}, ModelUnavailable, 429, True),
        ({"code": "429", "message": "slow down"}, ModelUnavailable, 429, True),
        ({"status": 503, "message": "slow down"}, ModelUnavailable, 503, True),
        ({"code": 500}, ModelUnavailable, 500, False),
        ({"message": "no code"}, ModelUnavailable, 502, False),
        ({"code": "server_error"}, ModelUnavailable, 502, False),
        ({"code": None}, ModelUnavailable, 502, False),
        ({"code": True}, ModelUnavailable, 502, False),
        ({"code": 200}, ModelUnavailable, 502, False),
        ({"code": -429}, ModelUnavailable, 502, False),
        ({"code": 10**30}, ModelUnavailable, 502, False),
        ("just words", ModelUnavailable, 502, False),
        ([1, 2], ModelUnavailable, 502, False),
        ({"code": 401, "message": "who?"}, ModelRefused, 401, None),
        ({"code": 400, "message": "model not loaded"}, ModelRefused, 400, None),
        ({"code": 402, "message": "no credits"}, ModelRefused, 402, None),
        ({"code": "insufficient_quota", "message": "pay"}, ModelRefused, 502, None),
    ],
    ids=str,
)
def test_an_error_under_a_good_status_is_the_error_it_says(
    fault: Any, kind: type[ModelError], status: int, overloaded: bool | None
) -> None:
    for answer in (
        {"error": fault},
        {"error": fault, "choices": []},
        {"choices": [{"error": fault, "text": "half a"}]},
    ):
        with pytest.raises(kind, match="error in the answer") as caught:
            reread(answer)
        assert caught.value.status == status
        assert getattr(caught.value, "overloaded", None) == overloaded


def test_an_error_under_a_good_status_comes_over_the_wire_as_well() -> None:
    with pytest.raises(ModelUnavailable, match=r"error in the answer.*slow down") as caught:
        ask(Script({"error": {"code": 429, "message": "slow down"}}))
    assert caught.value.overloaded


def test_an_answer_that_broke_off_with_an_error_is_no_reply() -> None:
    with pytest.raises(ModelUnavailable, match="broke off"):
        reread({"choices": [{"message": {"content": "half a"}, "finish_reason": "error"}]})
    assert reread({**GOOD, "error": None}).text == " a time"
    assert reread({**GOOD, "error": {"message": "a warning beside a reply"}}).text == " a time"


UNREADABLE = [
    b"<html><body>Welcome to the proxy</body></html>", b"", b" ", b"null", b"[]", b'"text"', b"3", b"{", b"{}", b"true",
    b"\xff\xfe\x00", b'{"choices": [{"text": "a', b'{"choices": null}', b'{"choices": []}', b'{"choices": {}}',
    b'{"choices": [null]}', b'{"choices": ["text"]}', b'{"choices": "text"}', b'{"choices": [{}]}',
    b'{"choices": [{"message": null}]}', b'{"choices": [{"message": "chat"}]}', b'{"choices": [{"message": []}]}',
    b'{"choices": [{"message": {"content": 3}}]}', b'{"choices": [{"message": {"content": [{"text": 3}]}}]}',
    b'{"choices": [{"text": null}]}', b'{"choices": [{"text": 3}]}', b'{"choices": [{"text": "a"}, {"text": 3}]}',
    b'{"choices": [{"text": "a", "finish_reason": {"a": 1}}]}', b'{"choices": [{"text": "a"}], "usage": [1]}',
    b'{"choices": [{"text": "a"}], "usage": {"prompt_tokens": "many"}}',
    b'{"choices": [{"text": "a"}], "usage": {"prompt_tokens": -1}}',
    b'{"choices": [{"text": "a"}], "usage": {"prompt_tokens": 1e999}}',
    b'{"choices": [{"text": "a"}], "usage": {"prompt_tokens": NaN}}',
    b'{"choices": [{"text": "a"}], "usage": {"prompt_tokens": ' + b"9" * 50 + b"}}",
    b'{"choices": [{"text": "a"}], "usage": {"prompt_tokens": ' + b"9" * 5000 + b"}}",
    b'{"choices": [{"text": "a", "logprobs": {"content": [{"token": "a"}]}}]}',
    b'{"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": []}}]}',
    b'{"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [' + b"9" * 400 + b"]}}]}",
    b'{"choices": [{"text": "a", "logprobs": [1]}]}', b"[" * 100_000, b'{"a":' * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: ascii(body)[2:60])
def test_what_is_no_completion_is_unreadable(body: bytes) -> None:
    with pytest.raises(ReplyUnreadable, match="not a completion") as caught:
        reread(body)
    assert len(str(caught.value)) < 450
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert caught.value.raw == body
    assert (caught.value.status, caught.value.retryable) == (None, True)


def test_an_unreadable_answer_was_asked_for_once() -> None:
    script = Script(body=b"<html><body>Welcome to the proxy</body></html>", headers={"Content-Type": "text/html"})
    with pytest.raises(ReplyUnreadable, match="Welcome to the proxy"):
        ask(script)
    assert len(script.seen) == 1


def test_an_error_page_is_shown_in_one_short_line() -> None:
    page = b"<html>\n\n  <h1>Not\tFound</h1>" + b"x" * 5000
    with pytest.raises(ModelRefused) as caught:
        ask(Script(body=page, status=404))
    assert "HTTP 404: <html> <h1>Not Found</h1>xxx" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_line_that_goes_dead_is_no_answer() -> None:
    async def drop(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(ModelUnavailable, match="Disconnected") as caught:
        ask(drop)
    assert caught.value.status is None


# ── whatever comes ──────────────────────────────────────────────────────────────────────────────────────────────────

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**80), 10**80) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
WHOLE: dict[str, Any] = {
    "id": "x",
    "choices": [
        {
            "message": {"content": "a", "reasoning_content": "b"}, "finish_reason": "stop",
            "logprobs": {"content": [{"token": "a", "logprob": -1.0, "top_logprobs": [{"token": "b", "logprob": -2}]}]},
        },
        {
            "text": "c", "finish_reason": "length",
            "logprobs": {"tokens": ["c"], "token_logprobs": [-1.0], "top_logprobs": [{"c": -1.0}]},
        },
    ],
    "usage": {
        "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "cost": 0.1, "cache_read_input_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 2},
    },
    "error": None,
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], put: Any) -> Any:
    """The value with something else in one place."""
    if not path:
        return put
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], put)
    return copy


def check_whatever(body: bytes) -> None:
    """A body is a reply whose parts are what they are said to be, or one of the three errors, short and in one line."""
    try:
        reply = model().reread(body)
    except (ModelUnavailable, ModelRefused, ReplyUnreadable) as error:
        assert len(str(error)) < 450 and "\n" not in str(error)
    else:
        usage = reply.usage
        assert 0 <= usage.cached_tokens + usage.cache_write_tokens <= usage.input_tokens
        assert 0 <= usage.reasoning_tokens <= usage.output_tokens
        assert usage.usd is None or usage.usd >= 0
        (reply.text + reply.finish + reply.reasoning + "".join(t.text for t in reply.logprobs)).encode()
        assert all(isinstance(each.logprob, float) for each in reply.logprobs)
        assert reply.raw == body


@given(body=st.binary() | st.text(alphabet='{}[]":,choicestxmgNa019\\ud83 ').map(str.encode))
def test_any_bytes_are_a_reply_or_one_of_three_errors(body: bytes) -> None:
    check_whatever(body)


@given(path=st.sampled_from(places(WHOLE)), put=JSON, cut=st.integers(0, 40) | st.none())
@example(path=("choices", 1, "logprobs", "top_logprobs", 0), put={"c": None}, cut=None)
@example(path=("choices", 0, "finish_reason"), put={"a": 1}, cut=None)
@example(path=("usage", "cost"), put=10**80, cut=None)
@example(path=("choices", 0, "message", "content"), put="\ud83d", cut=None)
def test_a_good_answer_gone_wrong_is_a_reply_or_one_of_three_errors(
    path: tuple[Any, ...], put: Any, cut: int | None
) -> None:
    body = json.dumps(changed(WHOLE, path, put)).encode()
    check_whatever(body if cut is None else body[:-cut])


def test_the_answer_that_is_changed_there_is_a_good_one() -> None:
    reply = reread(WHOLE)
    assert (reply.text, reply.reasoning, reply.others) == ("a", "b", (Choice(text="c", finish="length"),))
    assert reply.logprobs == (Token("a", -1.0, (("b", -2.0),)),)


# ── before anything is sent ─────────────────────────────────────────────────────────────────────────────────────────


def test_closing_twice_or_unused_is_fine() -> None:
    unused = model(slots=5)
    assert unused.parallel == 5

    async def twice() -> None:
        await unused.close()
        await unused.close()

    asyncio.run(twice())


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"model": "m"}, "base_url"),
        ({"base_url": "http://127.0.0.1/v1"}, "model"),
        ({"base_url": "127.0.0.1:8000/v1", "model": "m"}, "base_url"),
        ({"base_url": "http://127.0.0.1/v1", "model": "m", "api_key_env": "TEST_KEY"}, "TEST_KEY is not set"),
        ({"base_url": "http://127.0.0.1/v1", "model": "m", "dialect": "klingon"}, "klingon"),
        ({"base_url": "http://127.0.0.1/v1", "model": "m", "ca_file": "gone.pem"}, "ca_file"),
    ],
)
@pytest.mark.parametrize("value", [None, "", " \n"])
def test_what_is_missing_is_named_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], found: str, value: str | None
) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(ConfigError, match=found) as caught:
        EndpointChat(Model.model_validate({"engine": "chat", **settings}))
    assert caught.value.hint


def test_the_place_of_the_settings_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^synthesize\.critic\.model: "):
        EndpointChat(Model(engine="chat"), place="synthesize.critic.model")


def test_the_settings_never_hold_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    made = EndpointChat(Model(engine="chat", base_url="http://127.0.0.1/v1", model="m", api_key_env="TEST_KEY"))
    kept = {name: str(value) for part in (made, made.wire) for name, value in vars(part).items()}
    assert KEY not in json.dumps(kept)

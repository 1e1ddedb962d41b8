"""The property everything rests on: a local model's reply depends on the request alone."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import psutil
import pytest

from proofset import artifacts
from proofset.errors import ConfigError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models import local
from proofset.models.local import LocalChat, check_gguf, idle_cores
from proofset.nouns.record import Message
from proofset.plugins import Reply, Request
from proofset.speakers import Model

SETTINGS = Model(threads=1, slots=1, context_tokens=320)

# ── without weights ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("busy_percent", "usable", "idle"),
    [
        ([0.0, 0.0], 2, 2),
        ([0.0, 100.0], 2, 1),
        ([100.0, 100.0], 2, 1),
        ([30.0, 30.0, 30.0, 30.0], 4, 3),
        ([0.0] * 16, 3, 3),  # a container that may use three of sixteen
    ],
)
def test_engines_take_the_cores_that_are_idle_now(
    monkeypatch: pytest.MonkeyPatch, busy_percent: list[float], usable: int, idle: int
) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval, percpu: busy_percent)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(usable)), raising=False)
    assert idle_cores() == idle


def test_without_affinity_every_core_is_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval, percpu: [0.0, 0.0, 0.0])
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert idle_cores() == 3


def test_idle_cores_of_this_machine_are_at_least_one_and_at_most_all() -> None:
    assert 1 <= idle_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("content", [b"", b"GGU", b"PK\x03\x04 a zip", b"ggufsmall", b"<html>Not found</html>"])
def test_what_is_not_gguf_is_refused_before_llama_sees_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    for refuse in (check_gguf, lambda given: LocalChat(SETTINGS, given)):
        with pytest.raises(ConfigError, match="not a GGUF file") as caught:
            refuse(path)
        assert str(path) in str(caught.value) and caught.value.hint


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.gguf: cannot read the model"):
        LocalChat(SETTINGS, tmp_path / "gone.gguf")
    with pytest.raises(ConfigError, match="cannot read the model"):
        check_gguf(tmp_path)


def test_a_gguf_file_passes(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF\x03\x00\x00\x00")
    check_gguf(path)


def test_a_broken_gguf_file_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + b"\x07" * 200)
    with pytest.raises(ModelUnavailable, match=r"broken\.gguf: llama.cpp cannot load it") as caught:
        LocalChat(SETTINGS, path)
    assert caught.value.hint


def test_the_processor_clock_gives_every_second_to_one_reply() -> None:
    clock, started = local._ProcessorClock(), time.process_time()
    sum(range(200_000))
    laps = [clock.lap() for _ in range(5)]
    assert min(laps) >= 0
    assert sum(laps) == pytest.approx(time.process_time() - started, abs=0.02)


class Recorder:
    """llama.cpp's server, as far as it is used: notes the prompts it was given, and takes its time."""

    servers: ClassVar[list[Recorder]] = []
    refuses: ClassVar[str] = ""

    def __init__(self, params: Any) -> None:
        self.params, self.prompts = params, list[str]()
        self.inside = self.overlaps = 0
        self.servers.append(self)

    def handle_completions(self, payload: dict[str, Any]) -> dict[str, Any]:
        self.inside += 1
        self.overlaps += self.inside > 1
        time.sleep(0.1 if payload["prompt"].endswith("slow") else 0.004)
        self.prompts.append(payload["prompt"])
        self.inside -= 1
        if payload["prompt"] == self.refuses:
            return {"error": {"message": "the request exceeds the available context size"}}
        usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
        return {"choices": [{"text": " yes", "finish_reason": "stop"}], "usage": usage}


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A path that stands for a model, with the recorder in llama.cpp's place."""
    parts = SimpleNamespace(model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace())
    fake = SimpleNamespace(Server=Recorder, CommonParams=lambda: SimpleNamespace(**vars(parts)))
    monkeypatch.setitem(sys.modules, "xllamacpp", fake)
    monkeypatch.setattr(Recorder, "servers", [])
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF")
    return path


def headed(head: str, rest: str) -> Request:
    return request(head, rest, 1, max_tokens=2)


def test_before_every_prompt_the_cache_is_brought_into_one_state(llama: Path) -> None:
    async def work() -> None:
        model = LocalChat(SETTINGS, llama)
        for asked in (headed("A\n", "x"), headed("A\n", "y"), headed("", "z"), headed("A\n", "x"), headed("B\n", "x")):
            await model.reply(asked)
        await model.close()

    asyncio.run(work())
    (server,) = Recorder.servers
    assert (server.params.n_parallel, server.params.n_ctx, server.params.cpuparams.n_threads) == (1, 320, 1)
    assert server.prompts == [
        " ", "A\n", "A\n", "A\n- x",
        "A\n", "A\n- y",
        " ", " ", "- z",
        " ", "A\n", "A\n", "A\n- x",
        " ", "B\n", "B\n", "B\n- x",
    ]  # fmt: skip


def test_an_engine_that_has_the_head_is_taken_first(llama: Path) -> None:
    async def work() -> None:
        model = LocalChat(Model(threads=3, slots=8), llama)
        assert model.parallel == 3
        await asyncio.gather(*(model.reply(headed(f"{head}\n", "x")) for head in "ABC"))
        for head in "CABBA":
            await model.reply(headed(f"{head}\n", "y"))
        await model.close()

    asyncio.run(work())
    assert [len({prompt[0] for prompt in server.prompts if prompt.strip()}) for server in Recorder.servers] == [1, 1, 1]


def test_a_cancelled_call_that_is_still_in_llama_is_not_meddled_with(llama: Path) -> None:
    async def work() -> None:
        model = LocalChat(Model(threads=2, slots=2), llama)
        call = asyncio.create_task(model.reply(headed("A\n", "slow")))
        while not (busy := [server for server in Recorder.servers if len(server.prompts) == 3]):
            await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await model.reply(headed("A\n", "y"))  # goes to the same engine, for it has the head
        assert busy[0].prompts == [" ", "A\n", "A\n", "A\n- slow", "A\n", "A\n- y"]
        await model.close()

    asyncio.run(work())
    assert [server.overlaps for server in Recorder.servers] == [0, 0]


def test_what_llama_answers_is_read(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorder, "refuses", "- x")

    async def work() -> tuple[Reply, str]:
        model = LocalChat(SETTINGS, llama)
        try:
            reply = await model.reply(headed("A\n", "x"))
            with pytest.raises(ReplyUnreadable, match="exceeds") as caught:
                await model.reply(headed("", "x"))
            assert (await model.reply(headed("", "y"))).text == " yes"  # the engine was handed back
        finally:
            await model.close()
        return reply, caught.value.hint

    reply, hint = asyncio.run(work())
    usage = reply.usage
    assert (reply.text, reply.finish) == (" yes", "stop")
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (9, 4, 2)
    assert usage.model.startswith("tiny (llama.cpp, xllamacpp ")
    assert "context_tokens" in hint


def test_engines_are_as_many_as_idle_cores_but_no_more_than_slots(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "idle_cores", lambda: 6)
    assert [LocalChat(Model(threads=threads, slots=slots), llama).parallel for threads, slots in
            ((0, 8), (0, 4), (2, 8), (9, 3))] == [6, 4, 2, 3]  # fmt: skip


# ── with the pinned weights ─────────────────────────────────────────────────────────────────────────────────────────


def request(head: str, opening: str, seed: int, **changes: Any) -> Request:
    """What a brief asks for, in few tokens, and hot enough that a trace of rounding turns into other words."""
    asked = Request(
        prompt=f"{head}- {opening}".rstrip(),
        max_tokens=20,
        temperature=1.2,
        top_p=1.0,
        top_k=200,
        min_p=0.0,
        seed=seed,
        stop=("\n",),
        shared_chars=len(head),
    )
    return replace(asked, **changes)


SPAM = "Text messages that were reported as spam:\n" + "".join(
    f"- {text}\n"
    for text in (
        "WINNER! Claim your prize now, call 0900 555",
        "Free ringtone, reply YES to stop paying",
        "Cash waiting for you",
        "Your account was chosen for a reward",
        "URGENT! Last chance to win a holiday for two",
        "Txt WIN to 80800",
    )
)
HAM = "Ordinary text messages:\n" + "".join(
    f"- {text}\n" for text in (
        "Running late, start without me", "Can you pick up milk on the way home? xx", "ok see you at 7 then",
        "Did you talk to mum about the money", "Sorry, I was at the station all night", "lol yes that was him",
    )
)  # fmt: skip
REQUESTS = (
    [request(head, opening, seed) for head in (SPAM, HAM) for opening, seed in (("", 1), ("Free", 2), ("Are you", 3))]
    + [request("", "Once upon a time", 4), request("", "Are you", 5)]
    + [request("Messages:\n", "Hi", 6), request(HAM, "Are", 7, temperature=0.0)]
)  # fmt: skip
TOO_LONG = request("", "word " * 900, 1)


def say(model: LocalChat, asked: Request) -> Reply:
    return asyncio.run(model.reply(asked))


@pytest.fixture(scope="module")
def weights() -> Path:
    return artifacts.locate("artifact:smollm2-135m-instruct", Path())


@pytest.fixture(scope="module")
def model(weights: Path) -> Iterator[LocalChat]:
    """One engine that all tests here use one after the other, so that each finds it as another left it."""
    made = LocalChat(SETTINGS, weights)
    yield made
    asyncio.run(made.close())


@pytest.fixture(scope="module")
def alone(weights: Path) -> dict[Request, Reply]:
    """Each request's reply as the first thing that an engine of its own ever says."""
    replies = {}
    for asked in REQUESTS:
        fresh = LocalChat(SETTINGS, weights)
        replies[asked] = say(fresh, asked)
        asyncio.run(fresh.close())
    return replies


@pytest.mark.slow
@pytest.mark.parametrize("order", range(2))
def test_a_reply_does_not_depend_on_what_was_said_before(
    model: LocalChat, alone: dict[Request, Reply], order: int
) -> None:
    rng = random.Random(order)
    asked = rng.sample(REQUESTS * 2, 2 * len(REQUESTS))
    assert len({reply.text for reply in alone.values()}) > 7  # sampling is at work
    for one in asked:
        reply = say(model, one)
        assert (reply.text, reply.finish) == (alone[one].text, alone[one].finish)
        assert reply.usage.output_tokens == alone[one].usage.output_tokens


@pytest.mark.slow
def test_nor_on_a_request_without_a_head_in_between(model: LocalChat, alone: dict[Request, Reply]) -> None:
    for asked in REQUESTS[:6]:
        for before in (asked, REQUESTS[6], REQUESTS[7]):
            say(model, before)
            assert say(model, asked).text == alone[asked].text


@pytest.mark.slow
def test_a_reply_does_not_depend_on_the_engine_nor_on_its_neighbours(
    weights: Path, alone: dict[Request, Reply]
) -> None:
    async def work() -> list[Reply]:
        both = LocalChat(Model(threads=2, slots=2, context_tokens=320), weights)
        assert both.parallel == 2
        try:
            return await asyncio.gather(*(both.reply(asked) for asked in reversed(REQUESTS)))
        finally:
            await both.close()

    replies = asyncio.run(work())
    assert [reply.text for reply in replies] == [alone[asked].text for asked in reversed(REQUESTS)]


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0, len(TOO_LONG.prompt)])
def test_nor_on_a_failure_before_it(model: LocalChat, alone: dict[Request, Reply], shared: int) -> None:
    for asked in (REQUESTS[1], REQUESTS[4], REQUESTS[6]):
        with pytest.raises(ReplyUnreadable):
            say(model, replace(TOO_LONG, shared_chars=shared))
        assert say(model, asked).text == alone[asked].text


@pytest.mark.slow
def test_the_seed_matters_and_greed_has_none(model: LocalChat) -> None:
    warm = {say(model, request(HAM, "Are", seed)).text for seed in range(4)}
    cold = {say(model, request(HAM, "Are", seed, temperature=0.0)).text for seed in range(4)}
    assert (len(warm) > 1, len(cold)) == (True, 1)


@pytest.mark.slow
def test_a_prompt_that_does_not_fit_says_so(model: LocalChat) -> None:
    with pytest.raises(ReplyUnreadable, match="context") as caught:
        say(model, TOO_LONG)
    assert "context_tokens" in caught.value.hint


@pytest.mark.slow
def test_usage_reports_what_was_cached(model: LocalChat) -> None:
    say(model, request(SPAM, "Call", 1))
    usage = say(model, request(SPAM, "Free", 2)).usage
    assert usage.model == model.name
    assert usage.model.startswith("SmolLM2") or "smollm2" in usage.model.lower()
    assert 40 < usage.cached_tokens < usage.input_tokens < 150
    assert 0 < usage.output_tokens <= 20
    assert usage.core_seconds > 0
    assert usage.usd is None


@pytest.mark.slow
def test_replies_end_at_the_stop_or_at_the_limit(model: LocalChat) -> None:
    cut = say(model, request(HAM, "Are", 1, max_tokens=2))
    assert (cut.finish, cut.usage.output_tokens) == ("length", 2)
    ended = say(model, request(HAM, "Are", 1, max_tokens=60))
    assert ended.finish == "stop"
    assert "\n" not in ended.text


# ── turns, schemas, several replies ─────────────────────────────────────────────────────────────────────────────────

PERSON = {
    "type": "object", "additionalProperties": False, "required": ["name", "age"],
    "properties": {
        "name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 1, "maximum": 99},
    },
}  # fmt: skip


def turns(*said: str, **changes: Any) -> Request:
    messages = tuple(Message(("user", "assistant")[at % 2], text) for at, text in enumerate(said))
    return replace(Request(messages=messages, max_tokens=60, temperature=1.0, seed=3), **changes)


def test_without_a_template_turns_are_plain_text(llama: Path) -> None:
    async def work() -> None:
        model = LocalChat(SETTINGS, llama)
        await model.reply(turns("Hi", "Hello!", "Bye", shared_chars=5))
        await model.close()

    asyncio.run(work())
    assert Recorder.servers[0].prompts[-1] == "user: Hi\nassistant: Hello!\nuser: Bye\nassistant:"
    assert Recorder.servers[0].params.n_parallel == 1


def test_several_replies_are_several_calls_with_the_next_seeds(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds, plain = list[int](), Recorder.handle_completions

    def handle(self: Recorder, payload: dict[str, Any]) -> dict[str, Any]:
        seeds.extend([payload["seed"]] if "seed" in payload else [])
        return plain(self, payload)

    monkeypatch.setattr(Recorder, "handle_completions", handle)

    async def work() -> Reply:
        model = LocalChat(SETTINGS, llama)
        try:
            await model.reply(request("", "x", 2**32 - 2, sample=1))
            return await model.reply(request("", "x", 5, n=3))
        finally:
            await model.close()

    reply = asyncio.run(work())
    assert seeds == [0, 5, 6, 7]  # llama.cpp would take 2**32 - 1 for "any"
    assert [each.text for each in reply.others] == [" yes", " yes"]
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.output_tokens) == (27, 12, 6)


@pytest.mark.parametrize("schema", ["5", "[]", '"x"', "{", "true"])
def test_a_schema_that_is_none_is_refused(llama: Path, monkeypatch: pytest.MonkeyPatch, schema: str) -> None:
    monkeypatch.setattr(sys.modules["xllamacpp"], "json_schema_to_grammar", str, raising=False)

    async def work() -> None:
        model = LocalChat(SETTINGS, llama)
        try:
            with pytest.raises(ModelRefused):
                await model.reply(request("", "x", 1, schema=schema))
            assert (await model.reply(request("", "x", 1))).text == " yes"
        finally:
            await model.close()

    asyncio.run(work())


@pytest.mark.slow
def test_turns_are_answered_in_the_models_own_template_and_always_alike(model: LocalChat) -> None:
    system = Message("system", "Be brief.")
    asked = replace(turns("Name a colour."), messages=(system, Message("user", "What is the capital of France?")))
    written = (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert say(model, asked).text == say(model, replace(asked, messages=(), prompt=written)).text
    assert "Paris" in say(model, replace(asked, temperature=0.0)).text
    warm = turns("Tell me a story.", max_tokens=30)
    first = say(model, warm).text
    for between in (asked, REQUESTS[0], TOO_LONG, turns("Tell me a story.", "Once", "Go on.")):
        if between is TOO_LONG:
            with pytest.raises(ReplyUnreadable):
                say(model, between)
        else:
            say(model, between)
        assert say(model, warm).text == first


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_schema_holds_whatever_is_drawn(model: LocalChat, seed: int) -> None:
    for asked in (
        turns("Make up a person.", schema=json.dumps(PERSON), seed=seed),
        request("", "A person as JSON: ", seed, max_tokens=60, schema=json.dumps(PERSON), stop=(), top_k=0),
    ):
        reply = say(model, asked)
        made = json.loads(reply.text)
        assert reply.finish == "stop" and "\n" not in reply.text
        assert set(made) == {"name", "age"} and isinstance(made["name"], str) and 1 <= made["age"] <= 99


@pytest.mark.slow
@pytest.mark.parametrize(
    "schema", [{"$ref": "#/nope"}, {"type": "nonsense"}, {"type": "array", "minItems": 5, "maxItems": 2}, {"enum": []}]
)
def test_a_schema_that_llama_would_pass_over_is_refused(model: LocalChat, schema: dict[str, Any]) -> None:
    asked = turns("Tell me a story.", schema=json.dumps(schema), max_tokens=20)
    with pytest.raises(ModelRefused, match="schema"):
        say(model, asked)

"""The engine behind the door: faithful or refused, converted once, and replies that depend on the request alone."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from proofset import artifacts
from proofset.errors import ConfigError, MissingExtra, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models import openvino
from proofset.models.fidelity import TOLERANCE
from proofset.models.local import LocalChat
from proofset.models.openvino import OpenVinoChat, prepared
from proofset.nouns.record import Message
from proofset.plugins import Reply, Request
from proofset.speakers import Model

Make = Callable[..., Path]
SETTINGS = Model(engine="openvino", threads=1, slots=4, context_tokens=256)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROOFSET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# ── without the extra ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("missing", ["openvino", "gguf"])
def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF\x03\x00\x00\x00")

    def find(name: str) -> ModuleSpec | None:
        return None if name == missing else ModuleSpec(name, None)

    monkeypatch.setattr(openvino, "find_spec", find)
    with pytest.raises(MissingExtra, match=missing) as caught:
        OpenVinoChat(SETTINGS, path)
    assert caught.value.hint == "pip install 'proofset[openvino]'"
    assert isinstance(caught.value, ImportError)


def test_what_is_no_gguf_file_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.gguf", tmp_path):
        with pytest.raises(ConfigError, match="cannot read the model"):
            OpenVinoChat(SETTINGS, path)
    (tmp_path / "model.gguf").write_bytes(b"<html>Not found</html>")
    with pytest.raises(ConfigError, match="not a GGUF file"):
        OpenVinoChat(SETTINGS, tmp_path / "model.gguf")


def test_a_study_may_name_it() -> None:
    (entry,) = [each for each in entry_points(group="proofset.models") if each.name == "openvino"]
    assert entry.load() is OpenVinoChat


# ── with the extra, on a tiny model ─────────────────────────────────────────────────────────────────────────────────

needs_extra = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("openvino", "gguf")), reason="needs proofset[openvino]"
)


def ask(prompt: str, *, seed: int = 0, shared: int = 0, **changes: object) -> Request:
    made = Request(
        prompt=prompt, max_tokens=12, temperature=1.0, top_p=0.95, top_k=50, min_p=0.0, seed=seed, shared_chars=shared
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def say(model: OpenVinoChat | LocalChat, *requests: Request) -> list[Reply]:
    async def work() -> list[Reply]:
        return await asyncio.gather(*(model.reply(request) for request in requests))

    return asyncio.run(work())


@pytest.fixture
def tiny(make_gguf: Make, cache: Path) -> Iterator[OpenVinoChat]:
    model = OpenVinoChat(SETTINGS, make_gguf())
    yield model
    asyncio.run(model.close())


@needs_extra
def test_a_tiny_model_speaks(tiny: OpenVinoChat) -> None:
    assert tiny.parallel == 4
    assert tiny.name.startswith("tiny (OpenVINO ")
    replies = say(tiny, *(ask("the man", seed=seed, shared=3) for seed in range(9)))
    assert len({reply.text for reply in replies}) > 4
    for reply in replies:
        assert (reply.finish, reply.usage.output_tokens) == ("length", 12) or reply.finish == "stop"
        assert reply.usage.model == tiny.name
        assert reply.usage.core_seconds > 0


@needs_extra
def test_several_replies_to_one_request_are_those_of_the_seeds_that_follow(tiny: OpenVinoChat) -> None:
    one, two = say(tiny, ask("the man", seed=5), ask("the man", seed=6))
    (both,) = say(tiny, ask("the man", seed=5, n=2))
    assert (both.text, [other.text for other in both.others]) == (one.text, [two.text])
    assert both.usage.output_tokens == one.usage.output_tokens + two.usage.output_tokens


@needs_extra
def test_turns_and_schemas_are_refused(tiny: OpenVinoChat) -> None:
    for request in (ask("", messages=(Message("user", "hi"),)), ask("the", schema='{"type": "object"}')):
        with pytest.raises(ModelRefused, match="no turns and no schema"):
            say(tiny, request)


@needs_extra
def test_after_the_end_there_is_no_answer(make_gguf: Make, cache: Path) -> None:
    async def work() -> None:
        model = OpenVinoChat(SETTINGS, make_gguf())
        late = asyncio.create_task(model.reply(ask("the man", max_tokens=240)))
        await asyncio.sleep(0.01)
        await model.close()
        with pytest.raises(ModelUnavailable, match="it was closed"):
            await late
        with pytest.raises(ModelUnavailable, match="it was closed"):
            await model.reply(ask("the man"))
        await model.close()

    asyncio.run(work())


@needs_extra
def test_a_cancelled_call_leaves_the_others_alone(tiny: OpenVinoChat) -> None:
    async def work() -> Reply:
        calls = [asyncio.create_task(tiny.reply(ask("the man", seed=seed, max_tokens=60))) for seed in range(6)]
        await asyncio.sleep(0.005)
        for call in calls[1:]:
            call.cancel()
        return await calls[0]

    (alone,) = say(tiny, ask("the man", seed=0, max_tokens=60))
    assert asyncio.run(work()).text == alone.text


SIGNALLED = """
import asyncio, os, signal, sys, threading
from pathlib import Path
from proofset.models.openvino import OpenVinoChat
from proofset.speakers import Model

model = OpenVinoChat(Model(engine="openvino", threads=1, slots=4, context_tokens=256), Path(sys.argv[1]))
lanes = model._lanes
asyncio.run(model.close())
last = threading.Thread(target=lanes.clear)  # here for certain not the thread that made them
last.start()
last.join()
signal.signal(signal.SIGTERM, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGTERM)
"""


@needs_extra
@pytest.mark.skipif(os.name == "nt", reason="signals are of POSIX")
def test_a_signal_is_heard_after_another_thread_was_the_last_to_let_go(make_gguf: Make, cache: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(make_gguf())], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "heard"), ran.stderr


@needs_extra
def test_a_file_is_converted_once(make_gguf: Make, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_gguf()
    folder = prepared(path)
    assert folder.parent == cache / "openvino"
    assert len(folder.name.partition("-")[0]) == 64  # the file's SHA-256
    monkeypatch.setattr(openvino, "LlamaFile", None)
    assert prepared(path) == folder


@needs_extra
@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may write anywhere")
def test_what_was_converted_serves_where_nothing_can_be_written(make_gguf: Make, cache: Path) -> None:
    path = make_gguf()
    folder = prepared(path)
    folder.parent.chmod(0o500)
    try:
        assert prepared(path) == folder
        with pytest.raises(ConfigError, match="cannot be converted"):
            prepared(make_gguf(seed=3))
    finally:
        folder.parent.chmod(0o700)


@needs_extra
def test_a_small_context_has_room_for_the_trial(make_gguf: Make, cache: Path) -> None:
    model = OpenVinoChat(Model(engine="openvino", threads=1, slots=1, context_tokens=256), make_gguf())
    assert len(say(model, ask("the man"))[0].text) > 0
    asyncio.run(model.close())


@needs_extra
def test_another_file_of_the_same_name_is_another_model(make_gguf: Make, cache: Path) -> None:
    first = prepared(make_gguf(seed=1))
    assert prepared(make_gguf(seed=2)) != first


@needs_extra
def test_half_a_conversion_is_never_used(make_gguf: Make, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_gguf()

    def fail(*given: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(openvino, "save_graph", fail)
        with pytest.raises(ConfigError, match="No space left") as caught:
            prepared(path)
        assert "PROOFSET_CACHE" in caught.value.hint
    assert [each.name for each in (cache / "openvino").iterdir() if each.is_dir()] == []
    assert {each.name for each in prepared(path).iterdir()} >= {"model.xml", "model.bin", "reference.json"}


@needs_extra
def test_a_foreign_architecture_is_refused_and_nothing_is_kept(make_gguf: Make, cache: Path) -> None:
    with pytest.raises(ConfigError, match="architecture is 'gemma'"):
        OpenVinoChat(SETTINGS, make_gguf(architecture="gemma"))
    assert [each.name for each in (cache / "openvino").iterdir() if each.is_dir()] == []


@needs_extra
def test_an_unfaithful_engine_is_refused_with_the_numbers(make_gguf: Make, cache: Path) -> None:
    path = make_gguf()
    told = prepared(path) / "reference.json"
    reference = json.loads(told.read_text(encoding="utf-8"))["mean_nll"]
    told.write_text(json.dumps({"mean_nll": reference * 0.97}), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"not faithful.*{reference * 0.97:.4f} \(\+3\.\d%"):
        OpenVinoChat(SETTINGS, path)


@needs_extra
def test_weights_that_were_damaged_are_found_out(make_gguf: Make, cache: Path) -> None:
    path = make_gguf()
    weights = prepared(path) / "model.bin"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2] + b"\xff" * (len(content) - len(content) // 2))
    with pytest.raises(ConfigError, match=r"not faithful.*nan"):
        OpenVinoChat(SETTINGS, path)


@needs_extra
def test_threads_become_lanes_when_there_are_slots_to_fill_them(make_gguf: Make, cache: Path) -> None:
    path = make_gguf()
    lanes = {}
    for threads, slots in ((2, 4), (2, 16), (3, 32)):
        model = OpenVinoChat(SETTINGS.model_copy(update={"threads": threads, "slots": slots}), path)
        lanes[threads, slots] = len(model._lanes)
        asyncio.run(model.close())
    assert lanes == {(2, 4): 1, (2, 16): 2, (3, 32): 3}


# ── with the pinned weights ─────────────────────────────────────────────────────────────────────────────────────────

HEAD = "Text messages that were reported as spam:\n" + "".join(
    f"- {text}\n"
    for text in (
        "WINNER! Claim your prize now, call 0900 555", "Free ringtone, reply YES to stop paying",
        "Cash waiting for you", "Your account was chosen for a reward", "Txt WIN to 80800",
        "URGENT! Last chance to win a holiday for two",
    )
)  # fmt: skip
REQUESTS = [
    ask(head + rest, seed=seed, shared=len(head), temperature=1.2, max_tokens=24)
    for seed, (head, rest) in enumerate(
        (head, rest)
        for head in (HEAD, HEAD.replace("- ", "* "), "")
        for rest in ("-", "- Free", "- You have been chosen to", "Once upon a time")
    )
]
GREEDY = [
    ask(prompt, temperature=0.0, max_tokens=16)
    for prompt in (
        HEAD + "-", HEAD + "- Free", "Once upon a time", "The capital of France is", "To make bread you",
        "def fibonacci(n):\n", "Q: What is 2 + 2?\nA:", "The quick brown fox", "In 1969, people",
        "Dear Sir or Madam,\n", "The three primary colours are", "Water boils at",
    )
]  # fmt: skip


@pytest.fixture(scope="module")
def weights() -> Path:
    pytest.importorskip("openvino")
    pytest.importorskip("gguf")
    return artifacts.locate("artifact:smollm2-135m-instruct", Path())


@pytest.fixture(scope="module")
def model(weights: Path) -> Iterator[OpenVinoChat]:
    made = OpenVinoChat(Model(engine="openvino", threads=1, slots=8, context_tokens=320), weights)
    yield made
    asyncio.run(made.close())


@pytest.mark.slow
def test_it_is_as_surprised_as_its_weights(model: OpenVinoChat, weights: Path) -> None:
    reference = json.loads((prepared(weights) / "reference.json").read_text(encoding="utf-8"))["mean_nll"]
    assert 2.5 < reference < 3.5
    assert model.nll == pytest.approx(reference, rel=TOLERANCE)


@pytest.mark.slow
def test_its_greedy_words_are_mostly_those_of_llama_cpp(model: OpenVinoChat, weights: Path) -> None:
    peer = LocalChat(Model(threads=1, slots=1, context_tokens=320), weights)
    pairs = list(zip(say(model, *GREEDY), say(peer, *GREEDY), strict=True))
    asyncio.run(peer.close())
    assert [ours.usage.input_tokens for ours, _ in pairs] == [theirs.usage.input_tokens for _, theirs in pairs]
    first = sum(ours.text.split()[:1] == theirs.text.split()[:1] for ours, theirs in pairs)
    whole = sum(ours.text == theirs.text for ours, theirs in pairs)
    assert first >= 10, f"first words {first}, whole replies {whole} of {len(pairs)}"
    assert whole >= 3, f"first words {first}, whole replies {whole} of {len(pairs)}"


@pytest.mark.slow
def test_a_reply_depends_on_its_request_alone(model: OpenVinoChat, weights: Path) -> None:
    fresh = OpenVinoChat(Model(engine="openvino", threads=2, slots=16, context_tokens=320), weights)
    alone = [say(model, request)[0] for request in REQUESTS]
    assert len({reply.text for reply in alone}) > 9
    together = say(model, *REQUESTS)
    elsewhere = say(fresh, *reversed(REQUESTS * 2))[::-1]
    asyncio.run(fresh.close())
    assert [reply.text for reply in together] == [reply.text for reply in alone]
    assert [reply.text for reply in elsewhere] == [reply.text for reply in alone] * 2


@pytest.mark.slow
def test_a_shared_beginning_is_paid_once(model: OpenVinoChat) -> None:
    head = HEAD.replace("spam", "a nuisance")
    usages = [reply.usage for reply in say(model, *(ask(head + "- " + word, shared=len(head)) for word in "abcd"))]
    assert usages[0].cached_tokens == 0
    assert all(60 < usage.cached_tokens < usage.input_tokens < 130 for usage in usages[1:])
    assert usages[0].core_seconds > usages[1].core_seconds > 0


@pytest.mark.slow
def test_processor_seconds_are_those_of_the_process(weights: Path) -> None:
    model = OpenVinoChat(Model(engine="openvino", threads=2, slots=16, context_tokens=320), weights)
    say(model, *REQUESTS[:2])
    before = time.process_time()
    replies = say(model, *REQUESTS)
    spent = time.process_time() - before
    asyncio.run(model.close())
    assert sum(reply.usage.core_seconds for reply in replies) == pytest.approx(spent, rel=0.25)


@pytest.mark.slow
def test_replies_end_at_the_stop_or_at_the_limit(model: OpenVinoChat) -> None:
    cut, ended = say(
        model, ask(HEAD + "- Free", max_tokens=2), ask(HEAD + "- Free", max_tokens=60, stop=("\n", "never said"))
    )
    assert (cut.finish, cut.usage.output_tokens) == ("length", 2)
    assert ended.finish == "stop"
    assert "\n" not in ended.text


@pytest.mark.slow
def test_a_prompt_that_does_not_fit_says_so(model: OpenVinoChat) -> None:
    with pytest.raises(ReplyUnreadable, match="context") as caught:
        say(model, ask("word " * 900))
    assert "context_tokens" in caught.value.hint
    assert say(model, ask("word"))[0].text


@pytest.mark.slow
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="the loop needs a core beside the lane")
def test_the_loop_stays_awake_meanwhile(model: OpenVinoChat) -> None:
    async def work() -> float:
        call = asyncio.gather(*(model.reply(ask(HEAD, seed=seed, max_tokens=40)) for seed in range(8)))
        longest = 0.0
        while not call.done():
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - began)
        await call
        return longest

    assert asyncio.run(work()) < 0.25

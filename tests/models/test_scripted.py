"""The scripted model says what it is told, keeps what it was asked, and counts words."""

from __future__ import annotations

import asyncio

import pytest

from proofset.errors import ModelUnavailable
from proofset.models.scripted import ScriptedChat
from proofset.plugins import Request


def request(prompt: str, seed: int = 0) -> Request:
    return Request(prompt=prompt, max_tokens=8, temperature=0, top_p=1, top_k=1, min_p=0, seed=seed)


def test_it_says_what_the_function_says_and_remembers_the_requests() -> None:
    model = ScriptedChat(lambda asked: f"{asked.prompt} {asked.seed}")
    replies = [asyncio.run(model.reply(request("say it", seed))) for seed in (1, 2)]
    assert [reply.text for reply in replies] == ["say it 1", "say it 2"]
    assert [asked.seed for asked in model.requests] == [1, 2]
    usage = replies[0].usage
    assert (usage.input_tokens, usage.output_tokens, usage.model) == (2, 3, "scripted")
    assert replies[0].finish == "stop"
    assert asyncio.run(ScriptedChat(lambda asked: "", finish="length").reply(request("x"))).finish == "length"
    asyncio.run(model.close())


def test_it_plays_a_failing_server() -> None:
    def fail(_: Request) -> str:
        raise ModelUnavailable("gone")

    model = ScriptedChat(fail)
    with pytest.raises(ModelUnavailable):
        asyncio.run(model.reply(request("x")))
    assert len(model.requests) == 1

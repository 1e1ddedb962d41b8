"""Turns in order, calls of tools answered, and all of it kept as data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from proofset.models.structured import Shape, Shaped
from proofset.nouns.candidate import Brief
from proofset.nouns.evidence import Evidence
from proofset.nouns.record import Message
from proofset.plugins import Content, Told
from proofset.synthesizing.kinds.conversation import Dialogue, conversation

BRIEF = Brief(
    id="b", slice="s", label="s", number=0, anchors=(), evidence=Evidence(), opening="", unseen_fold=0, seed=0,
    prompt="", shared_chars=0,
)  # fmt: skip


def call(number: int = 1, name: str = "tide", arguments: Any = None) -> dict[str, Any]:
    return {"id": f"c{number}", "name": name, "arguments": {"at": "noon"} if arguments is None else arguments}


S, U, A = ({"role": role, "content": f"{role} says something new"} for role in ("system", "user", "assistant"))
U2, A2 = {"role": "user", "content": "and then?"}, {"role": "assistant", "content": "nothing more"}
CALLS = {"role": "assistant", "tool_calls": [call()]}
RESULT = {"role": "tool", "content": "high", "tool_call_id": "c1"}


def read(*turns: dict[str, Any]) -> Content:
    return conversation.read(Dialogue.model_validate({"messages": turns}), BRIEF)


def fault(*turns: dict[str, Any]) -> str:
    return conversation.fault(read(*turns), BRIEF)


@pytest.mark.parametrize(
    "turns",
    [
        (U, A),
        (S, U, A),
        (U, A, U2, A2),
        (U, CALLS, RESULT, A),
        (U, {**CALLS, "content": "one moment"}, RESULT, A, U2, A2),
        (U, {**CALLS, "tool_calls": [call(1), call(2)]}, {**RESULT, "tool_call_id": "c2"}, RESULT, A),
        (U, CALLS, RESULT, {**CALLS, "tool_calls": [call(2, "wind")]}, {**RESULT, "tool_call_id": "c2"}, A),
        ({**U, "content": "yes"}, A, {**U, "content": "Yes"}, A2),
    ],
    ids=range(8),
)
def test_a_conversation_in_order_is_sound(turns: tuple[dict[str, Any], ...]) -> None:
    assert fault(*turns) == ""


@pytest.mark.parametrize(
    ("turns", "code"),
    [
        ((A,), "roles out of order"),
        ((U, S, A), "roles out of order"),
        ((U, U2, A), "roles out of order"),
        ((U, A, A2), "roles out of order"),
        ((S, A), "roles out of order"),
        ((S, S, U, A), "roles out of order"),
        ((U, RESULT, A), "roles out of order"),
        (({**U, "tool_calls": [call()]}, A), "roles out of order"),
        ((U, {**A, "tool_call_id": "c1"}), "roles out of order"),
        ((U, {**A, "content": " \n"}), "empty turn"),
        ((U, CALLS, {**RESULT, "content": ""}, A), "empty turn"),
        ((), "does not end with the assistant"),
        ((S,), "does not end with the assistant"),
        ((U,), "does not end with the assistant"),
        ((U, A, U2), "does not end with the assistant"),
        ((U, CALLS, RESULT), "does not end with the assistant"),
        ((U, A, RESULT, A2), "unknown tool call"),
        ((U, CALLS, {**RESULT, "tool_call_id": "c9"}, A), "unknown tool call"),
        ((U, CALLS, RESULT, RESULT, A), "unknown tool call"),
        ((U, CALLS, RESULT, CALLS, RESULT, A), "unknown tool call"),
        ((U, {**CALLS, "tool_calls": [call(1), call(1)]}, RESULT, A), "unknown tool call"),
        ((U, {**CALLS, "tool_calls": [call(1, " ")]}, RESULT, A), "unknown tool call"),
        ((U, CALLS), "unanswered tool call"),
        ((U, CALLS, U2, A), "unanswered tool call"),
        ((U, {**CALLS, "tool_calls": [call(1), call(2)]}, RESULT, A), "unanswered tool call"),
        ((U, {**CALLS, "tool_calls": [call(arguments="noon")]}, RESULT, A), "arguments not an object"),
        ((U, {**CALLS, "tool_calls": [call(arguments=[1])]}, RESULT, A), "arguments not an object"),
        ((U, A, U2, {**A, "content": "Assistant  says SOMETHING new"}), "repeated turn"),
        ((U, A, U, A2), "repeated turn"),
        ((U, CALLS, RESULT, {**CALLS, "tool_calls": [call(2)]}, {**RESULT, "tool_call_id": "c2"}, A), "repeated turn"),
    ],
)  # fmt: skip
def test_each_fault_has_its_code(turns: tuple[dict[str, Any], ...], code: str) -> None:
    assert fault(*turns) == code


def test_what_is_no_conversation_is_of_another_kind() -> None:
    assert conversation.fault(Content("hello"), BRIEF) == "not of this kind"
    assert conversation.fault(Content("hello", '{"messages":[{"role":"poet"}]}'), BRIEF) == "not of this kind"


def test_calls_are_kept_as_data_and_shown_as_text() -> None:
    content = read(U, {**CALLS, "content": "one moment"}, RESULT, A)
    assert json.loads(content.json)["messages"][1]["tool_calls"] == [call()]
    said = '{"content":"one moment","tool_calls":[{"arguments":{"at":"noon"},"id":"c1","name":"tide"}]}'
    assert conversation.messages_of(content) == (
        Message("user", U["content"]), Message("assistant", said), Message("tool", "high"),
        Message("assistant", A["content"]),
    )  # fmt: skip
    assert content.text == "\n".join(turn.content for turn in conversation.messages_of(content))


def test_one_instruction_is_two_turns() -> None:
    assert [turn.role for turn in conversation.messages_of(read(U, A))] == ["user", "assistant"]


def test_numbers_that_json_has_not_are_no_arguments() -> None:
    with pytest.raises(ValidationError, match="JSON"):
        read(U, {**CALLS, "tool_calls": [call(arguments={"at": float("nan")})]}, RESULT, A)


def test_it_asks_for_turns() -> None:
    system, _ = (message.content for message in conversation.messages(BRIEF, Told(title="tides")))
    assert '"tool_call_id"' in system


def test_what_a_strict_server_sends_is_read() -> None:
    turns = [
        {"role": "user", "content": "hello", "tool_calls": None, "tool_call_id": None},
        {"role": "assistant", "content": None, "tool_calls": [call()], "tool_call_id": None},
        {**RESULT, "tool_calls": None},
        {"role": "assistant", "content": "it is high", "tool_calls": None, "tool_call_id": None},
    ]
    found = Shape.of(Dialogue).read(json.dumps({"messages": turns}))
    assert isinstance(found, Shaped)
    assert conversation.fault(conversation.read(found.value, BRIEF), BRIEF) == ""

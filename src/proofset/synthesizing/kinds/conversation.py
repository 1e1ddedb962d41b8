"""Conversations: turns of a user and an assistant, with calls of tools as data. One instruction is two turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, field_validator

from proofset.nouns.candidate import Brief
from proofset.nouns.record import Message, normal_form
from proofset.plugins import Content, Told
from proofset.synthesizing.kinds.asking import UNREADABLE, asked, kept, task
from proofset.synthesizing.kinds.shape import canonical

FEWEST_REPEATED = 3
"""Words from which a turn said twice is a repetition: a user may well say yes twice."""

_MAY_FOLLOW = {
    "": ("system", "user"),
    "system": ("user",),
    "user": ("assistant",),
    "assistant": ("user", "tool"),
    "tool": ("tool", "assistant"),
}
"""Who may speak after whom, and first."""


class ToolCall(BaseModel):
    """One call of a tool."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: str
    """Names the call; the turn of the tool refers to it."""
    name: str
    """The tool."""
    arguments: JsonValue
    """An object: arguments by name."""

    @field_validator("arguments")
    @classmethod
    def _is_json(cls, given: JsonValue) -> JsonValue:
        canonical(given)  # ValueError for NaN and the infinities, which pydantic lets pass
        return given


class Turn(BaseModel):
    """One turn."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    role: Literal["system", "user", "assistant", "tool"]
    """Who speaks."""
    content: str = ""
    """What is said; may be empty where tools are called."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls that an assistant makes."""
    tool_call_id: str = ""
    """The call that a tool answers."""

    @property
    def said(self) -> str:
        """The content; of a turn that calls tools, canonical JSON of content and calls."""
        if not self.tool_calls:
            return self.content.strip()
        return canonical({"content": self.content, "tool_calls": [each.model_dump() for each in self.tool_calls]})


class Dialogue(BaseModel):
    """The shape of a conversation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    messages: tuple[Turn, ...]
    """The turns in order; the last is the assistant's."""


class Conversation:
    """Turns in order. A content's JSON keeps the calls of tools as data; a Message has them as text.

    Faults: not of this kind, roles out of order, empty turn, unknown tool call, arguments not an object, unanswered
    tool call, does not end with the assistant, repeated turn. A call without an id or a name of its own is an unknown
    one, and so is an answer to a call that was not made just before.
    """

    name = "conversation"
    shape: type[BaseModel] | None = Dialogue

    def messages(self, brief: Brief, told: Told) -> tuple[Message, ...]:
        """The task, and what there is to talk about as data."""
        return asked(task("conversation"), brief, told)

    def read(self, answer: Any, brief: Brief) -> Content:
        """What is said, one turn a line, as the text."""
        del brief
        return Content("\n".join(turn.said for turn in answer.messages), canonical(answer))

    def fault(self, content: Content, brief: Brief) -> str:
        """The first thing that is wrong."""
        del brief
        found = kept(content, Dialogue)
        if found is None:
            return UNREADABLE
        turns = found.messages
        if fault := _order_fault(turns) or _call_fault(turns):
            return fault
        if not turns or turns[-1].role != "assistant":
            return "does not end with the assistant"
        return "repeated turn" if _repeats(turns) else ""

    def messages_of(self, content: Content) -> tuple[Message, ...]:
        """The turns; one that calls tools has canonical JSON of its content and calls for a text."""
        found = kept(content, Dialogue)
        return () if found is None else tuple(Message(turn.role, turn.said) for turn in found.messages)


def _order_fault(turns: Sequence[Turn]) -> str:
    """Who speaks when, and whether anything is said."""
    before = ""
    for turn in turns:
        misplaced = (turn.tool_calls and turn.role != "assistant") or (turn.tool_call_id and turn.role != "tool")
        if turn.role not in _MAY_FOLLOW[before] or misplaced:
            return "roles out of order"
        before = turn.role
    return "" if all(turn.said for turn in turns) else "empty turn"


def _call_fault(turns: Sequence[Turn]) -> str:
    """Whether each call is a call, and answered once, before anybody else speaks."""
    seen, waiting = set[str](), set[str]()
    for turn in turns:
        if turn.role == "tool":
            if turn.tool_call_id not in waiting:
                return "unknown tool call"
            waiting.remove(turn.tool_call_id)
            continue
        if waiting:
            return "unanswered tool call"
        waiting = {call.id for call in turn.tool_calls}
        if fault := _calls_fault(turn.tool_calls, seen):
            return fault
        seen |= waiting
    return "unanswered tool call" if waiting else ""


def _calls_fault(calls: Sequence[ToolCall], seen: set[str]) -> str:
    ids = [call.id for call in calls]
    if len(set(ids)) < len(ids) or seen & set(ids) or not all(c.id.strip() and c.name.strip() for c in calls):
        return "unknown tool call"
    return "" if all(isinstance(call.arguments, dict) for call in calls) else "arguments not an object"


def _repeats(turns: Sequence[Turn]) -> bool:
    """Whether somebody says the same again, or makes the same call; a tool may well give the same answer twice."""
    said = set[tuple[str, str, str]]()
    for turn in turns:
        calls = canonical([[call.name, call.arguments] for call in turn.tool_calls])
        mine = (turn.role, normal_form(turn.content), calls)
        if mine in said and (turn.tool_calls or len(turn.content.split()) >= FEWEST_REPEATED) and turn.role != "tool":
            return True
        said.add(mine)
    return False


conversation = Conversation()
"""The kind, as the entry point names it."""

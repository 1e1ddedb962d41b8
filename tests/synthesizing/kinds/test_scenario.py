"""A scenario says why it is hard and what is expected, and its input gives neither away."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from proofset.models.structured import Shape, Shaped
from proofset.nouns.candidate import Brief
from proofset.nouns.evidence import Evidence
from proofset.nouns.record import Message
from proofset.plugins import Content, Told
from proofset.synthesizing.kinds.asking import task
from proofset.synthesizing.kinds.scenario import Attack, Trap, scenario

BRIEF = Brief(
    id="b", slice="s", label="s", number=0, anchors=(), evidence=Evidence(), opening="", unseen_fold=0, seed=0,
    prompt="", shared_chars=0,
)  # fmt: skip
GOOD: dict[str, Any] = {
    "attack": "negation",
    "input": "I did not lose my card.",
    "why_hard": "The words are those of a lost card.",
    "expected": "Ask what happened.",
}


def read(**changed: Any) -> Content:
    return scenario.read(Trap.model_validate({**GOOD, **changed}), BRIEF)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (read(), ""),
        (Content("a"), "not of this kind"),
        (read(input=""), "empty input"),
        (read(why_hard=" "), "no reason"),
        (read(expected=" "), "no expected behaviour"),
        (read(input="You should ask what happened, I did not lose it."), "input states the expectation"),
    ],
)
def test_each_fault_has_its_code(content: Content, code: str) -> None:
    assert scenario.fault(content, BRIEF) == code


def test_judges_and_the_model_under_test_read_the_input_alone() -> None:
    assert read().text == GOOD["input"]
    assert scenario.messages_of(read()) == (Message("user", GOOD["input"]),)
    assert GOOD["why_hard"] in read().json and GOOD["expected"] in read().json


def test_the_kinds_of_attack_are_a_closed_list_that_the_task_names() -> None:
    with pytest.raises(ValidationError, match="attack"):
        read(attack="sarcasm")
    assert all(f'"{attack}"' in task("scenario") for attack in get_args(Attack))


def test_it_asks_for_a_trap_and_an_answer_is_read() -> None:
    messages = scenario.messages(BRIEF, Told(title="lost cards"))
    assert [message.role for message in messages] == ["system", "user"]
    found = Shape.of(Trap).read(read().json)
    assert isinstance(found, Shaped)
    assert scenario.read(found.value, BRIEF) == read()

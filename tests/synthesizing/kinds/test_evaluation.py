"""An evaluation item has something to ask, something to hold answers against, and points to give."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from proofset.models.structured import Shape, Shaped
from proofset.nouns.candidate import Brief
from proofset.nouns.evidence import Evidence
from proofset.nouns.record import Message
from proofset.plugins import Content, Told
from proofset.synthesizing.kinds.evaluation import Item, evaluation

BRIEF = Brief(
    id="b", slice="s", label="s", number=0, anchors=(), evidence=Evidence(), opening="", unseen_fold=0, seed=0,
    prompt="", shared_chars=0,
)  # fmt: skip
RUBRIC = ({"criterion": "names the month", "points": 1}, {"criterion": "is polite", "points": 0.5})
GOOD: dict[str, Any] = {"input": "When does it freeze?", "reference": "In January.", "rubric": RUBRIC, "difficulty": 1}


def read(**changed: Any) -> Content:
    return evaluation.read(Item.model_validate({**GOOD, **changed}), BRIEF)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (read(), ""),
        (Content("a\nb"), "not of this kind"),
        (read(input=" "), "empty input"),
        (read(reference="\t"), "empty reference"),
        (read(rubric=()), "no rubric"),
        (read(rubric=({"criterion": " ", "points": 1},)), "no rubric"),
        (read(rubric=({"criterion": "a", "points": 0},)), "points not positive"),
        (read(rubric=(*RUBRIC, {"criterion": "a", "points": -1})), "points not positive"),
        (read(input="Does it freeze in January?"), "reference in input"),
    ],
)
def test_each_fault_has_its_code(content: Content, code: str) -> None:
    assert evaluation.fault(content, BRIEF) == code


def test_judges_read_input_and_reference_but_not_the_rubric() -> None:
    assert read().text == "When does it freeze?\nIn January."
    assert "names the month" in read().json
    assert evaluation.messages_of(read()) == (
        Message("user", "When does it freeze?"),
        Message("assistant", "In January."),
    )


@pytest.mark.parametrize("points", [float("nan"), float("inf")])
def test_points_are_finite(points: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        read(rubric=({"criterion": "a", "points": points},))


def test_it_asks_for_a_rubric_and_an_answer_is_read() -> None:
    system, user = (message.content for message in evaluation.messages(BRIEF, Told(title="ice", difficulty=3)))
    assert '"rubric"' in system and "Difficulty: 3" in user
    found = Shape.of(Item).read(read().json)
    assert isinstance(found, Shaped)
    assert evaluation.read(found.value, BRIEF) == read()

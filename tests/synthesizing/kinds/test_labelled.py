"""A labelled text is what continues the prompt, opening words included."""

from __future__ import annotations

from proofset.nouns.candidate import Brief
from proofset.nouns.evidence import Evidence
from proofset.plugins import Content, Told
from proofset.synthesizing.kinds.labelled import labelled

BRIEF = Brief(
    id="b", slice="s", label="s", number=0, anchors=(), evidence=Evidence(), opening="The storm", unseen_fold=0, seed=0,
    prompt="Notes:\n- The storm", shared_chars=0,
)  # fmt: skip


def test_it_continues_a_prompt_and_asks_nothing() -> None:
    assert labelled.shape is None
    assert labelled.messages(BRIEF, Told(title="storms")) == ()


def test_the_text_begins_with_the_opening_words() -> None:
    assert labelled.read("  took the\nroof. ", BRIEF) == Content("The storm took the roof.")
    assert labelled.messages_of(Content("The storm took the roof.")) == ()


def test_only_an_empty_text_is_a_fault() -> None:
    assert labelled.fault(Content("a"), BRIEF) == ""
    assert labelled.fault(Content(" \n"), BRIEF) == "empty text"

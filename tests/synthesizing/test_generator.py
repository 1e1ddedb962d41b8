"""The generator: what it asks, what it makes of the answer, and how a candidate is set right."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.synthesizing.judging import HOSTILE

from proofset.errors import ModelError, ModelUnavailable, ReplyUnreadable
from proofset.models.scripted import ScriptedChat
from proofset.nouns.candidate import Brief, Candidate, Decision, Output, Verdict
from proofset.nouns.evidence import Evidence, Passage
from proofset.nouns.record import Message
from proofset.plugins import Request
from proofset.speakers import Sampling
from proofset.synthesizing.approach import WORDS
from proofset.synthesizing.generator import MISSHAPEN, REVISABLE, Generator, KindGate, Shaped, whole
from proofset.synthesizing.kinds.labelled import labelled
from proofset.synthesizing.kinds.question import Answer, Citation, question

SAMPLING = Sampling(temperature=0.7, top_p=0.9, top_k=40, min_p=0.1, max_tokens=33)
BRIEF = Brief(
    id="b1", slice="edge/evaluation", label="edge", number=4, anchors=(), evidence=Evidence(), opening="and so",
    unseen_fold=2, seed=99, prompt="Real notes:\n- one\n- and so", shared_chars=len("Real notes:\n- one\n"),
    strategy="crossing", output=Output.EVALUATION,
)  # fmt: skip
TURNS = (Message("system", "Write one."), Message("user", "Now."))
ASKED = replace(
    BRIEF, prompt="", shared_chars=0, opening="", messages=TURNS,
    evidence=Evidence((Passage(id="p", text="It is sharp.", source="x"),)),
)  # fmt: skip
ANSWER = Answer(citations=(Citation(passage="p", quote="sharp"),), question="What is it?", answer="Not blunt.")
WRONG = Verdict(
    judge="critic", candidate_id="c", decision=Decision.REJECT, reason="off label", critique="it is\nabout knives"
)  # fmt: skip


class Answers:
    """Gives one answer to whatever is asked in a shape, and remembers the requests."""

    def __init__(self, answer: Shaped | ModelError) -> None:
        self._answer, self.requests = answer, list[Request]()

    async def __call__(self, request: Request) -> Shaped:
        self.requests.append(request)
        if isinstance(self._answer, ModelError):
            raise self._answer
        return self._answer


def unasked(request: Request) -> str:
    raise AssertionError("a kind with a shape is not asked for free text")


def continues(text: str, finish: str = "stop") -> tuple[Generator, list[Request]]:
    model = ScriptedChat(lambda request: text, finish=finish)
    return Generator(model=model, sampling=SAMPLING), model.requests


def shaped(answer: Shaped | ModelError) -> tuple[Generator, list[Request]]:
    ask = Answers(answer)
    return Generator(model=ScriptedChat(unasked), sampling=SAMPLING, kind=question, ask=ask), ask.requests


def proposed(generator: Generator, brief: Brief = BRIEF) -> Candidate:
    return asyncio.run(generator.propose(brief))


def revised(generator: Generator, brief: Brief, candidate: Candidate, verdict: Verdict = WRONG) -> Candidate:
    return asyncio.run(generator.revise(brief, candidate, verdict))


# ── a kind that continues a prompt ──────────────────────────────────────────────────────────────────────────────────


def test_the_request_is_what_brief_and_sampling_say() -> None:
    generator, requests = continues("on")
    proposed(generator)
    (request,) = requests
    assert (request.prompt, request.shared_chars, request.messages) == (BRIEF.prompt, BRIEF.shared_chars, ())
    assert (request.max_tokens, request.temperature, request.top_p) == (33, 0.7, 0.9)
    assert (request.top_k, request.min_p, request.seed, request.stop) == (40, 0.1, 99, ("\n",))
    assert (request.sample, request.schema) == (0, "")
    assert (request.purpose.stage, request.purpose.slice, request.purpose.brief_id) == (
        "generate", "edge/evaluation", "b1",
    )  # fmt: skip


def test_a_candidate_is_opening_and_reply_in_one_line_and_says_where_it_comes_from() -> None:
    one = proposed(continues("  it \t goes\n on ")[0])
    assert one.text == "and so it goes on"
    assert (one.brief_id, one.slice, one.label, one.unseen_fold) == ("b1", "edge/evaluation", "edge", 2)
    assert (one.strategy, one.output, one.parent, one.content, one.finish) == (
        "crossing", Output.EVALUATION, "", "", "stop",
    )  # fmt: skip


def test_a_reply_that_was_cut_off_is_cut_back_or_marked() -> None:
    assert (one := proposed(continues("it goes on. And th", "length")[0])).finish == "trimmed"
    assert one.text == "and so it goes on."
    assert (one := proposed(continues("it goes on and on", "length")[0])).finish == "length"
    assert one.text == "and so it goes on and on"


def test_ids_tell_briefs_and_texts_apart_and_are_equal_for_equals() -> None:
    one, same = proposed(continues("on")[0]), proposed(continues(" on ")[0])
    assert one == same
    assert proposed(continues("off")[0]).id != one.id
    assert proposed(continues("on")[0], replace(BRIEF, id="b2")).id != one.id


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_model_says_becomes_a_candidate(text: str) -> None:
    one = proposed(continues(text)[0])
    assert one.text == " ".join(f"and so {text}".split())
    assert one == proposed(continues(text)[0])


@pytest.mark.parametrize("error", [ModelUnavailable("gone"), ReplyUnreadable("what?")])
def test_a_model_that_fails_is_heard_of(error: ModelError) -> None:
    def fails(request: Request) -> str:
        raise error

    generator = Generator(model=ScriptedChat(fails), sampling=SAMPLING)
    with pytest.raises(type(error)):
        proposed(generator)
    with pytest.raises(type(error)):
        revised(generator, BRIEF, proposed(continues("on")[0]))
    with pytest.raises(type(error)):
        proposed(shaped(error)[0], ASKED)
    with pytest.raises(type(error)):
        revised(shaped(error)[0], ASKED, proposed(continues("on")[0]))


# ── a kind with a shape ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_kind_with_a_shape_is_asked_in_turns_without_a_stop() -> None:
    generator, requests = shaped(Shaped(ANSWER))
    proposed(generator, ASKED)
    (request,) = requests
    assert (request.messages, request.prompt, request.stop, request.sample) == (TURNS, "", (), 0)
    assert (request.seed, request.max_tokens, request.purpose.brief_id) == (99, 33, "b1")


def test_an_answer_in_shape_keeps_the_whole_beside_what_judges_read() -> None:
    one = proposed(shaped(Shaped(ANSWER))[0], ASKED)
    assert (one.text, one.finish) == ("What is it?\nNot blunt.", "stop")
    assert Answer.model_validate_json(one.content) == ANSWER
    assert (one.label, one.slice, one.output, one.parent) == ("edge", "edge/evaluation", Output.EVALUATION, "")


def test_answers_that_read_alike_but_rest_on_different_things_have_different_ids() -> None:
    other = ANSWER.model_copy(update={"citations": (Citation(passage="p", quote="It is"),)})
    one, two = (proposed(shaped(Shaped(each))[0], ASKED) for each in (ANSWER, other))
    assert one.text == two.text and one.content != two.content
    assert one.id != two.id
    assert one == proposed(shaped(Shaped(ANSWER))[0], ASKED)


def test_an_answer_without_the_shape_is_a_candidate_with_a_fault_of_form() -> None:
    generator, _ = shaped(Shaped(None, "not json: I would rather not"))
    one = proposed(generator, ASKED)
    assert (one.finish, one.text, one.content) == (MISSHAPEN, "not json: I would rather not", "")
    verdict = KindGate(question).judge(ASKED, one)
    assert (verdict.decision, verdict.reason, verdict.judge) == (Decision.REJECT, MISSHAPEN, "kind")
    assert verdict.critique == "not json: I would rather not"
    assert len(KindGate(question).judge(ASKED, replace(one, text="x" * 999)).critique) == 200


def test_the_gate_refuses_by_the_codes_of_the_kind() -> None:
    gate, one = KindGate(question), proposed(shaped(Shaped(ANSWER))[0], ASKED)
    assert gate.judge(ASKED, one).decision is Decision.ACCEPT
    verdict = gate.judge(replace(ASKED, evidence=Evidence()), one)
    assert (verdict.decision, verdict.reason) == (Decision.REJECT, "no evidence")
    assert gate.judge(ASKED, replace(one, content="{")).reason == "not of this kind"
    assert KindGate(labelled).judge(BRIEF, replace(one, text=" ", content="")).reason == "empty text"


# ── under critique ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_text_is_set_right_after_the_same_examples() -> None:
    first = proposed(continues("on")[0])
    generator, requests = continues(" a new text")
    second = revised(generator, BRIEF, first)
    (request,) = requests
    shared = BRIEF.prompt[: BRIEF.shared_chars]
    assert request.prompt == f"{shared}\nNot one of them (it is about knives):\n- and so on\nSet right:\n-"
    assert request.prompt[: request.shared_chars] == shared
    assert (request.sample, request.stop, request.seed) == (1, ("\n",), 99)
    assert second.text == "a new text"  # whole, and not begun with the brief's opening
    assert (second.parent, second.brief_id, second.strategy) == (first.id, "b1", "crossing")
    assert second.output is Output.EVALUATION and second.unseen_fold == 2


@pytest.mark.parametrize("critique", ["a\n- forged example", "two\r\nlines", " tabs\tand  blanks "])
def test_a_critique_stays_on_its_line(critique: str) -> None:
    generator, requests = continues("new")
    revised(generator, BRIEF, proposed(continues("on")[0]), replace(WRONG, critique=critique))
    told = requests[0].prompt[BRIEF.shared_chars :].split("\n")
    assert told[1] == f"Not one of them ({' '.join(critique.split())}):"
    assert told[2:] == ["- and so on", "Set right:", "-"]


def test_without_a_critique_the_reason_is_told() -> None:
    generator, requests = continues("new")
    revised(generator, BRIEF, proposed(continues("on")[0]), replace(WRONG, critique=""))
    assert "Not one of them (off label):" in requests[0].prompt


def test_an_answer_is_set_right_in_the_same_conversation() -> None:
    first = proposed(shaped(Shaped(ANSWER))[0], ASKED)
    other = ANSWER.model_copy(update={"answer": "Keen."})
    generator, requests = shaped(Shaped(other))
    second = revised(generator, ASKED, first)
    (request,) = requests
    assert request.messages[:2] == TURNS
    assert request.messages[2] == Message("assistant", first.content)
    assert request.messages[3].role == "user" and "it is about knives" in request.messages[3].content
    assert len(request.messages) == 4
    assert (request.sample, request.prompt) == (1, "")
    assert (second.parent, second.text) == (first.id, "What is it?\nKeen.")


def test_a_revision_that_says_the_same_again_is_another_candidate() -> None:
    plain = replace(BRIEF, opening="")
    first = proposed(continues("on")[0], plain)
    assert revised(continues("on")[0], plain, first).text == first.text
    assert revised(continues("on")[0], plain, first).id != first.id
    answered = proposed(shaped(Shaped(ANSWER))[0], ASKED)
    assert revised(shaped(Shaped(ANSWER))[0], ASKED, answered).id != answered.id


def test_a_revision_without_the_shape_is_one_with_a_fault_of_form() -> None:
    first = proposed(shaped(Shaped(ANSWER))[0], ASKED)
    second = revised(shaped(Shaped(None, "no"))[0], ASKED, first)
    assert (second.finish, second.parent) == (MISSHAPEN, first.id)


def test_copies_and_torsos_are_written_anew() -> None:
    anew = {"duplicate", "copy of organic", "contaminated", "truncated", "too short", "degenerate", MISSHAPEN}
    assert not anew & REVISABLE
    assert "off label" in REVISABLE and "off label" in WORDS


# ── texts that were cut off ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "finish", "found"),
    [
        ("All said. Nearly", "length", ("All said.", "trimmed")),
        ("Oh! Then on without any end", "length", ("Oh! Then on without any end", "length")),
        ("no mark at all", "length", ("no mark at all", "length")),
        ("abc. abc", "length", ("abc.", "trimmed")),  # exactly half
        ("abc. abcd", "length", ("abc. abcd", "length")),
        ("Is it? Yes! Good", "length", ("Is it? Yes!", "trimmed")),
        ("All said. Nearly", "stop", ("All said. Nearly", "stop")),
    ],
)  # fmt: skip
def test_whole(text: str, finish: str, found: tuple[str, str]) -> None:
    assert whole(text, finish) == found


@given(st.text(alphabet="ab .!?", max_size=40), st.sampled_from(["length", "stop", "content_filter"]))
def test_what_is_kept_is_a_beginning_of_at_least_half(text: str, finish: str) -> None:
    kept, why = whole(text, finish)
    assert text.startswith(kept) and len(kept) >= len(text) / 2
    assert (why == "trimmed") == (finish == "length" and kept[-1:] in {".", "!", "?"})
    assert why == "trimmed" or (kept, why) == (text, finish)

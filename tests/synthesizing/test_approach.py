"""Approaches: one for each block of briefs, out of what was closed by then; and how hard the next ones are to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.nouns.candidate import Brief, Candidate, Decision, Verdict
from proofset.nouns.evidence import Evidence
from proofset.nouns.record import Message
from proofset.synthesizing.approach import FALL, LESSONS, RISE, WORDS, Approach, Planner
from proofset.synthesizing.generator import MISSHAPEN
from proofset.synthesizing.strategies import STRATEGIES, named


def planner(*strategies: str, **given: Any) -> Planner:
    asked = {"seed": "7/edge", "block": 3, "rivals": ("near", "far"), **given}
    return Planner(strategies=named(strategies or tuple(STRATEGIES)), **asked)


def brief(strategy: str = "few-shot", prompt: str = "12345678", shared: int = 6, says: Sequence[str] = ()) -> Brief:
    return Brief(
        id="b", slice="edge", label="edge", number=0, anchors=(), evidence=Evidence(), opening="", unseen_fold=0,
        seed=0, prompt=prompt, shared_chars=shared, strategy=strategy,
        messages=tuple(Message("user", text) for text in says),
    )  # fmt: skip


def candidate(text: str = "text") -> Candidate:
    return Candidate(id="c", brief_id="b", slice="edge", text=text, label="edge", unseen_fold=0, finish="stop")


def refusal(reason: str, *evidence: str) -> Verdict:
    return Verdict(judge="j", candidate_id="c", decision=Decision.REJECT, reason=reason, evidence=evidence)


def refuse(plan: Planner, reason: str, *evidence: str) -> None:
    plan.learn(brief(), candidate(), refusal(reason, *evidence), 0.0)


# ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_briefs_of_a_block_share_an_approach_whatever_is_learnt_meanwhile() -> None:
    plan = planner()
    first = plan.approach(0)
    for _ in range(30):
        refuse(plan, "too short")
    assert plan.approach(1) == plan.approach(2) == plan.approach(0) == first == Approach(rival="near")
    assert plan.approach(3).lessons == ("it was too short",)
    assert plan.approach(1) == first  # asked for again, it is what it was


def test_each_strategy_is_tried_once_before_any_is_tried_again() -> None:
    plan = planner(block=2)
    assert [plan.approach(number).strategy for number in range(0, 2 * len(STRATEGIES), 2)] == list(STRATEGIES)


@given(steps=st.lists(st.tuples(st.sampled_from([*WORDS, "surplus", ""]), st.sampled_from("abc"), st.floats(0, 1),
                                st.booleans()), max_size=60))  # fmt: skip
def test_the_same_past_gives_the_same_approaches(steps: list[tuple[str, str, float, bool]]) -> None:
    plans = planner(rivals=tuple("abc"), adversarial=True), planner(rivals=tuple("abc"), adversarial=True)
    for plan in plans:
        for number, (reason, rival, reward, knew) in enumerate(steps):
            approach = plan.approach(number)
            plan.learn(brief(approach.strategy), candidate(), refusal(reason, rival) if reason else None, reward)
            if reason:
                plan.refused()
            else:
                plan.student_knew(knew)
    found, again = ([plan.approach(number) for number in range(len(steps) + 9)] for plan in plans)
    assert found == again
    assert all(0 <= each.difficulty <= 2 for each in found)
    assert all(len(each.lessons) <= LESSONS for each in found)


# ── which strategy ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_accepted_more_often_is_written_more_often() -> None:
    plan = planner("few-shot", "titled", block=1)
    for number in range(200):
        strategy = plan.approach(number).strategy
        plan.learn(brief(strategy), candidate(), None, 0.9 if strategy == "titled" else 0.1)
    late = Counter(plan.approach(number).strategy for number in range(100, 200))
    assert late["titled"] > 80
    assert late["few-shot"] > 0  # it is looked at now and then all the same


@pytest.mark.parametrize("dear", ["written", "read", "asked in turns"])
def test_of_two_that_are_accepted_as_often_the_cheaper_is_written(dear: str) -> None:
    plan = planner("few-shot", "titled", block=1)
    for number in range(200):
        strategy = plan.approach(number).strategy
        costs, text = strategy == "few-shot", "x" * 50
        asked = {
            "written": brief(strategy),
            "read": brief(strategy, "x" * 6 + "y" * (2000 * costs), 6),
            "asked in turns": brief(strategy, "", 0, ["x" * 1000] * (2 * costs)),
        }[dear]
        plan.learn(asked, candidate(text * (20 if costs and dear == "written" else 1)), None, 0.5)
    late = Counter(plan.approach(number).strategy for number in range(100, 200))
    assert late["titled"] > 75


def test_what_a_prompt_shares_with_others_costs_nothing() -> None:
    long, short = planner("few-shot", "titled", block=1), planner("few-shot", "titled", block=1)
    for plan, shared in ((long, 90_000), (short, 0)):
        for number in range(60):
            strategy = plan.approach(number).strategy
            plan.learn(brief(strategy, "x" * (shared + 40), shared), None, None, 0.5)
    assert [long.approach(n) for n in range(60)] == [short.approach(n) for n in range(60)]


# ── lessons ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_commonest_refusals_of_a_block_are_told_to_the_next_one_alone() -> None:
    plan = planner()
    plan.approach(0)
    for reason, times in (("too long", 1), ("duplicate", 4), ("drifted", 2), ("truncated", 3)):
        for _ in range(times):
            refuse(plan, reason)
    assert plan.approach(3).lessons == (WORDS["duplicate"], WORDS["truncated"], WORDS["drifted"])
    assert plan.approach(6).lessons == ()


def test_what_nobody_can_write_better_is_no_lesson() -> None:
    plan = planner()
    plan.approach(0)
    for reason in ("contaminated", "no verdict", MISSHAPEN, ""):
        refuse(plan, reason)
    plan.learn(brief(), None, None, 0.0)
    assert plan.approach(3).lessons == ()


@pytest.mark.parametrize("rivals", [("near",), ()])
def test_every_lesson_is_a_sentence(rivals: tuple[str, ...]) -> None:
    for reason in WORDS:
        plan = planner(rivals=rivals)
        plan.approach(0)
        refuse(plan, reason, "3")
        (lesson,) = plan.approach(3).lessons
        assert lesson.startswith("it ")
        assert lesson == " ".join(lesson.split())
        assert not set("{}") & set(lesson)


def test_a_lesson_on_labels_names_the_rival() -> None:
    plan = planner()
    plan.approach(0)
    refuse(plan, "off label", "far")
    assert plan.approach(3).lessons == ("it belonged to far and not here",)


# ── rivals ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_rival_is_the_nearest_until_candidates_are_taken_for_another() -> None:
    plan = planner(rivals=("near", "far", "also"))
    assert plan.approach(0).rival == "near"
    refuse(plan, "off label", "far")
    assert plan.approach(3).rival == "far"
    for _ in range(2):
        refuse(plan, "off label", "also")
    assert plan.approach(6).rival == "also"
    refuse(plan, "duplicate", "far")  # not that it was taken for it
    refuse(plan, "duplicate", "far")
    assert plan.approach(9).rival == "also"


@pytest.mark.parametrize("evidence", ["none of them", "3", "critic model 1", "edge"])
def test_what_is_no_rival_of_the_slice_never_becomes_one(evidence: str) -> None:
    plan = planner()
    for _ in range(5):
        refuse(plan, "off label", evidence)
    refuse(plan, "off label")
    assert plan.approach(0).rival == "near"


def test_without_rivals_there_is_none() -> None:
    plan = planner(rivals=())
    refuse(plan, "off label", "far")
    assert plan.approach(0).rival == ""


# ── difficulty ──────────────────────────────────────────────────────────────────────────────────────────────────────


def known(plan: Planner, times: int, knew: bool = True) -> None:
    for _ in range(times):
        plan.student_knew(knew)


def test_it_becomes_harder_when_the_student_knew_several_in_a_row() -> None:
    plan = planner(adversarial=True)
    known(plan, RISE - 1)
    assert plan.difficulty == 0
    known(plan, 1)
    assert plan.difficulty == 1
    known(plan, RISE - 1)
    assert plan.difficulty == 1  # the row begins anew
    known(plan, 1)
    assert plan.difficulty == 2
    known(plan, 5 * RISE)
    assert plan.difficulty == 2  # nothing is harder


def test_one_that_the_student_got_wrong_begins_the_row_anew() -> None:
    plan = planner(adversarial=True)
    for _ in range(10):
        known(plan, RISE - 1)
        known(plan, 1, knew=False)
    assert plan.difficulty == 0


def test_it_becomes_easier_when_nothing_is_accepted_any_more() -> None:
    plan = planner(adversarial=True, difficulty=2)
    seen = []
    for _ in range(3 * FALL):
        plan.refused()
        seen.append(plan.difficulty)
    assert seen == [2] * (FALL - 1) + [1] * FALL + [0] * (FALL + 1)


@pytest.mark.parametrize("knew", [True, False])
def test_anything_accepted_begins_the_row_of_refusals_anew(knew: bool) -> None:
    plan = planner(adversarial=True, difficulty=2)
    for _ in range(10):
        for _ in range(FALL - 1):
            plan.refused()
        known(plan, 1, knew)
    assert plan.difficulty == 2


def test_without_an_adversary_nothing_becomes_harder() -> None:
    plan = planner()
    known(plan, 10 * RISE)
    assert plan.difficulty == 0
    assert plan.approach(0).difficulty == 0


def test_harder_briefs_are_written_by_the_harder_strategies_in_turn() -> None:
    plan = planner("few-shot", "contrast", "crossing", "free", adversarial=True, block=1)
    known(plan, RISE)
    found = [plan.approach(number) for number in range(6)]
    assert [each.strategy for each in found] == ["contrast", "crossing", "free"] * 2
    known(plan, RISE)
    assert {plan.approach(number).strategy for number in range(6, 12)} == {"crossing"}
    assert {plan.approach(number).difficulty for number in range(12)} == {1, 2}


def test_with_plain_strategies_alone_it_stays_plain() -> None:
    plan = planner("few-shot", "titled", adversarial=True)
    known(plan, 10 * RISE)
    assert plan.difficulty == 0


def test_a_lesson_calls_the_rival_what_people_call_it() -> None:
    plan = planner(titles={"near": "near things"})
    plan.approach(0)
    refuse(plan, "off label", "near")
    assert plan.approach(3).lessons == ("it belonged to near things and not here",)

"""The adversary lets easy candidates pass until their places are taken, and only hard ones after that."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.synthesizing.judging import brief, candidate

from proofset.nouns.candidate import Decision, Output
from proofset.synthesizing.adversary import EVEN, Adversary


class Student:
    """Knows a text as well as the number in it says, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, text: str, label: str) -> float:
        self.asked.append((text, label))
        return float(text)


def accept(adversary: Adversary, scores: list[float]) -> list[float]:
    """Those of the candidates, one after the other, that are let through; each is remembered."""
    through = []
    for number, score in enumerate(scores):
        one = replace(candidate(str(score)), id=f"c{number}")
        if adversary.judge(brief(), one).decision is Decision.ACCEPT:
            adversary.remember(one.id)
            through.append(score)
    return through


def test_easy_ones_pass_until_their_places_are_taken() -> None:
    assert accept(Adversary(Student(), quota=4, share=0.5), [0.9, 0.1, 0.8, 0.7, 0.6, 0.2]) == [0.9, 0.1, 0.8, 0.2]


def test_a_refusal_says_how_sure_the_student_is() -> None:
    adversary = Adversary(Student(), quota=1, share=1.0)
    verdict = adversary.judge(brief(), candidate("0.87654"))
    assert (verdict.decision, verdict.reason, verdict.judge) == (Decision.REJECT, "too easy", "adversary")
    assert verdict.critique == "the student is right by 88%"
    assert verdict.scores == (("student", 0.8765),)
    hard = adversary.judge(brief(), replace(candidate("0.1"), id="other"))
    assert (hard.decision, hard.reason, hard.critique) == (Decision.ACCEPT, "", "")
    assert hard.scores == (("student", 0.1),)


def test_the_even_case_is_easy() -> None:
    adversary = Adversary(Student(), quota=1, share=1.0)
    assert adversary.judge(brief(), candidate(str(EVEN))).decision is Decision.REJECT
    assert adversary.judge(brief(), replace(candidate("0.4999"), id="d")).decision is Decision.ACCEPT


def test_judging_takes_no_place() -> None:
    adversary = Adversary(Student(), quota=2, share=0.5)
    for number in range(5):
        one = replace(candidate("0.9"), id=f"c{number}")
        assert adversary.judge(brief(), one).decision is Decision.ACCEPT
    adversary.remember("c0")
    assert adversary.judge(brief(), replace(candidate("0.9"), id="c5")).decision is Decision.REJECT


def test_for_an_adversarial_scenario_nothing_is_hard_enough_but_the_hard() -> None:
    adversary = Adversary(Student(), quota=10, share=0.0)
    asked = replace(brief(), output=Output.ADVERSARIAL)
    assert adversary.judge(asked, candidate("0.6")).reason == "too easy"
    assert adversary.judge(asked, replace(candidate("0.4"), id="d")).decision is Decision.ACCEPT
    assert adversary.judge(brief(), replace(candidate("0.6"), id="e")).decision is Decision.ACCEPT


@given(quota=st.integers(1, 60), share=st.floats(0, 1), scores=st.lists(st.sampled_from([0.1, 0.9]), max_size=200))
def test_at_least_the_share_is_hard(quota: int, share: float, scores: list[float]) -> None:
    through = accept(Adversary(Student(), quota, share), scores)
    easy = sum(score >= EVEN for score in through)
    assert easy <= quota * (1 - share) + 1e-6
    assert easy == min(sum(score >= EVEN for score in scores), int(quota * (1 - share) + 1e-6))
    assert sum(score < EVEN for score in through) == sum(score < EVEN for score in scores)


@pytest.mark.parametrize(("quota", "share", "easy"), [(10, 0.9, 1), (10, 0.7, 3), (5, 0.3, 3), (1, 0.3, 0), (7, 0, 7)])
def test_places_for_easy_ones(quota: int, share: float, easy: int) -> None:
    assert len(accept(Adversary(Student(), quota, share), [0.9] * 20)) == easy


def test_the_student_is_asked_once_about_a_candidate_and_told_its_label() -> None:
    student = Student()
    adversary = Adversary(student, quota=3, share=0.0)
    assert [adversary.score(candidate("0.3")) for _ in range(3)] == [0.3] * 3
    adversary.judge(brief(), candidate("0.3"))
    assert student.asked == [("0.3", "edge")]


def test_what_was_never_scored_takes_no_place() -> None:
    adversary = Adversary(Student(), quota=2, share=0.5)
    adversary.remember("unknown")
    assert adversary.judge(brief(), candidate("0.9")).decision is Decision.ACCEPT

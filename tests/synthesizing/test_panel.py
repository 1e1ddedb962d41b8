"""A panel counts as its rule says, whoever is asked first, and a member that is away abstains."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterable

import pytest

from proofset.errors import BudgetSpent, InputError, ModelUnavailable, ReplyUnreadable
from proofset.nouns.candidate import Brief, Candidate, Decision, Verdict
from proofset.nouns.event import JudgeMeasured
from proofset.nouns.evidence import Evidence
from proofset.nouns.result import Better, Measure
from proofset.synthesizing.panel import PanelReviewer, Rule, weights_from

BRIEF = Brief(
    id="b1", slice="storm", label="storm", number=0, anchors=(), evidence=Evidence(), opening="", unseen_fold=0,
    seed=1, prompt="", shared_chars=0,
)  # fmt: skip
CANDIDATE = Candidate(id="c1", brief_id="b1", slice="storm", text="wind", label="storm", unseen_fold=0, finish="stop")

Said = str | Exception
"""What a member says: "" accepts, "revise: …" wants a revision, a reason refuses; or the error it raises."""
AWAY = ModelUnavailable("gone")


class Scripted:
    """Says what it was told to, after as many turns of the event loop as were asked for."""

    def __init__(self, name: str, said: Said, *, turns: int = 0) -> None:
        self.name, self.said, self.turns, self.asked = name, said, turns, 0

    async def review(self, brief: Brief, candidate: Candidate) -> Verdict:
        self.asked += 1
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if isinstance(self.said, Exception):
            raise self.said
        decision = Decision.REVISE if self.said.startswith("revise") else Decision.REJECT
        return Verdict(
            judge=self.name,
            candidate_id=candidate.id,
            decision=decision if self.said else Decision.ACCEPT,
            reason=self.said,
            critique=f"{self.name} says {self.said}" if self.said else "fine",
        )


def members(said: Iterable[Said]) -> list[Scripted]:
    return [Scripted("abcdefgh"[place], each) for place, each in enumerate(said)]


def review(said: Iterable[Said], rule: Rule = "majority", weights: dict[str, float] | None = None) -> Verdict:
    panel = PanelReviewer(members(said), rule, weights)
    return asyncio.run(panel.review(BRIEF, CANDIDATE))


@pytest.mark.parametrize(
    ("rule", "said", "accepted"),
    [
        ("majority", ("", "", "x"), True),
        ("majority", ("", "x", "x"), False),
        ("majority", ("", "x"), False),  # a tie refuses
        ("majority", ("", "x", AWAY), False),
        ("majority", ("", AWAY, AWAY), True),
        ("any", ("", "", "x"), False),
        ("any", ("", "", AWAY), True),
        ("all", ("x", "x", ""), True),
        ("all", ("x", AWAY, "x"), False),
    ],
)
def test_each_rule_counts_in_its_way(rule: Rule, said: tuple[Said, ...], accepted: bool) -> None:
    verdict = review(said, rule)
    assert (verdict.decision is Decision.ACCEPT) == accepted
    assert (verdict.reason == "") == accepted


def test_a_heavy_member_outvotes_two_light_ones() -> None:
    weights = {"a": 3.0, "b": 1.0, "c": 1.0}
    assert review(("", "x", "x"), "weighted", weights).decision is Decision.ACCEPT
    refused = review(("x", "", ""), "weighted", weights)
    assert (refused.decision, refused.scores) == (Decision.REJECT, (("for", 0.4), ("against", 0.6)))
    assert review(("x", "", ""), "majority", weights).decision is Decision.ACCEPT  # a majority counts heads


def test_the_verdict_says_who_refused_and_for_what() -> None:
    verdict = review(("off label", "", "unsafe", "unsafe", AWAY))
    assert verdict.decision is Decision.REJECT
    assert (verdict.judge, verdict.candidate_id, verdict.reason) == ("panel", "c1", "unsafe")
    assert verdict.critique == "c says unsafe"
    assert verdict.evidence == ("a", "c", "d")
    assert verdict.scores == (("for", 0.2), ("against", 0.6))  # a fifth abstained


def test_the_reason_is_that_of_the_heaviest_part() -> None:
    weights = {"a": 5.0, "b": 2.0, "c": 2.0}
    assert review(("off label", "unsafe", "unsafe"), "weighted", weights).reason == "off label"
    assert review(("off label", "unsafe", "unsafe")).reason == "unsafe"
    assert review(("off label", "unsafe")).reason == "off label"  # as heavy: the first


def test_a_minority_is_heard_when_the_panel_accepts() -> None:
    verdict = review(("", "unsafe", ""))
    assert (verdict.decision, verdict.reason, verdict.evidence) == (Decision.ACCEPT, "", ("b",))
    assert verdict.critique == "b says unsafe"


def test_it_asks_for_a_revision_only_when_nobody_refuses_outright() -> None:
    assert review(("revise: length", "revise: tone", "")).decision is Decision.REVISE
    assert review(("revise: length", "unsafe", "")).decision is Decision.REJECT


def test_when_all_are_away_the_first_error_is_raised() -> None:
    with pytest.raises(ReplyUnreadable, match="first"):
        review((ReplyUnreadable("first"), AWAY))


def test_spent_budgets_and_faults_are_never_taken_for_abstention() -> None:
    with pytest.raises(BudgetSpent):
        review((AWAY, "", BudgetSpent("no money"), ""))
    with pytest.raises(ZeroDivisionError):
        review((AWAY, ZeroDivisionError()))


def test_a_spent_budget_comes_before_other_faults() -> None:
    with pytest.raises(BudgetSpent):
        review((ZeroDivisionError(), BudgetSpent("no money")))


def test_members_are_asked_at_once() -> None:
    under_way, most = 0, 0

    class Slow(Scripted):
        async def review(self, brief: Brief, candidate: Candidate) -> Verdict:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                return await super().review(brief, candidate)
            finally:
                under_way -= 1

    asyncio.run(PanelReviewer([Slow(name, "", turns=3) for name in "abc"]).review(BRIEF, CANDIDATE))
    assert most == 3


def test_panels_that_make_no_sense_are_refused() -> None:
    one = members(("",))
    with pytest.raises(InputError):
        PanelReviewer([])
    with pytest.raises(InputError):
        PanelReviewer([*one, *one])
    with pytest.raises(InputError, match="most"):
        PanelReviewer(one, "most")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no weight for a"):
        PanelReviewer(one, "weighted")
    for weight in (-1.0, math.inf, math.nan, 0.0):
        with pytest.raises(InputError):
            PanelReviewer(one, "weighted", {"a": weight})


def measured(judge: str, fault: str, rejected: int, n: int) -> JudgeMeasured:
    value = rejected / n if n else None
    return JudgeMeasured(judge=judge, fault=fault, rejected=Measure(name="rejected", value=value, n=n))


def test_a_vote_is_worth_the_log_odds_of_being_right() -> None:
    weights = weights_from([
        measured("good", "none", 100, 1000), measured("good", "wrong label", 450, 500),
        measured("good", "off-topic", 450, 500),
        measured("fair", "none", 200, 1000), measured("fair", "wrong label", 600, 1000),
    ])  # fmt: skip
    assert weights["good"] == pytest.approx(math.log(0.9 / 0.1), abs=0.01)
    assert weights["fair"] == pytest.approx(math.log(0.7 / 0.3), abs=0.01)


def test_judges_no_better_than_chance_are_worth_nothing() -> None:
    weights = weights_from([
        measured("never", "none", 0, 100), measured("never", "wrong label", 0, 100),
        measured("always", "none", 100, 100), measured("always", "wrong label", 100, 100),
        measured("backwards", "none", 90, 100), measured("backwards", "wrong label", 10, 100),
    ])  # fmt: skip
    assert weights == {"never": 0.0, "always": 0.0, "backwards": 0.0}


def test_a_faultless_trial_is_no_certainty_and_counts_the_more_the_longer_it_was() -> None:
    short, long = (
        weights_from([measured("a", "none", 0, n), measured("a", "wrong label", n, n)])["a"] for n in (5, 500)
    )
    assert 1 < short < long < 10


def test_only_the_faults_that_are_named_count() -> None:
    trial = [
        measured("a", "none", 100, 1000),
        measured("a", "wrong label", 900, 1000),
        measured("a", "copied", 0, 1000),
    ]
    assert weights_from(trial, {"wrong label"})["a"] == pytest.approx(math.log(9), abs=0.01)
    assert weights_from(trial)["a"] < weights_from(trial, {"wrong label"})["a"]


def test_how_often_a_judge_contradicts_itself_is_not_taken_for_recall() -> None:
    trial = [measured("a", "none", 100, 1000), measured("a", "wrong label", 900, 1000)]
    share = Measure(name="rejected", value=0.05, n=1000, better=Better.LOWER)
    contradicts = JudgeMeasured(judge="a", fault="contradicts itself", rejected=share)
    assert weights_from([*trial, contradicts]) == weights_from(trial)


def test_judges_that_were_not_tried_on_both_get_no_weight() -> None:
    assert weights_from([measured("a", "none", 1, 10), measured("b", "wrong label", 1, 10)]) == {}
    assert weights_from([measured("a", "none", 1, 10), measured("a", "wrong label", 0, 0)]) == {}


def test_weighed_as_measured_a_panel_is_right_more_often_than_by_heads() -> None:
    right = {"a": 0.9, "b": 0.6, "c": 0.6}
    trial = [
        measured(name, fault, round(1000 * (share if fault != "none" else 1 - share)), 1000)
        for name, share in right.items()
        for fault in ("none", "wrong label")
    ]
    weights, rng, hits = weights_from(trial), random.Random(2), {"majority": 0, "weighted": 0}
    for _ in range(300):
        bad = rng.random() < 0.5
        votes = tuple("x" if bad == (rng.random() < share) else "" for share in right.values())
        for rule in ("majority", "weighted"):
            hits[rule] += (review(votes, rule, weights).decision is Decision.REJECT) == bad
    assert hits["weighted"] > hits["majority"] + 15

"""A candidate that is refused for its content is set right once, whether or not the walk was killed meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.synthesizing.looping import (
    DOLLAR,
    Jittery,
    Nods,
    PaidFor,
    Paying,
    Reading,
    accepted,
    closings,
    end,
    of,
    play,
    settings,
    unlike,
)

from proofset.errors import BudgetSpent, ModelError, ModelUnavailable, ReplyUnreadable
from proofset.models.purse import NOTHING, Caps, Purse
from proofset.models.scripted import ScriptedChat
from proofset.nouns.candidate import Brief, Candidate, Decision, Stop, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed
from proofset.plugins import Request
from proofset.synthesizing.generator import REVISABLE
from proofset.synthesizing.loop import FAILURES_IN_A_ROW

ONCE = settings(revisions=1)


class Strict:
    """A judge without memory: what says "poor" is off label, what says "short" is too short."""

    name = "strict"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        self.seen.append(candidate.text)
        faults = {"poor": "off label", "short": "too short"}
        reason = next((reason for word, reason in faults.items() if word in candidate.text), "")
        decision = Decision.REJECT if reason else Decision.ACCEPT
        critique = f"says {candidate.text}" if reason else ""
        return Verdict(
            judge=self.name, candidate_id=candidate.id, decision=decision, reason=reason, critique=critique,
            evidence=("rival",) if reason else (),
        )  # fmt: skip


class Asks(Nods):
    """A reviewer that wants a revision of what says "poor"."""

    def verdict(self, brief: Brief, candidate: Candidate) -> Verdict:
        decision = Decision.REVISE if "poor" in candidate.text else Decision.ACCEPT
        reason = "could be better" if decision is Decision.REVISE else ""
        return Verdict(judge=self.name, candidate_id=candidate.id, decision=decision, reason=reason)


def drafts(first: str, second: str) -> Callable[[Request], str]:
    """One text for a brief, and another one when it is to be set right."""
    return lambda request: f"{second if request.sample else first} {request.seed}"


def varied(request: Request) -> str:
    """Good, poor, too short, bad to the judge with memory, repeated or failing, as the request's seed says."""
    draw = random.Random(f"{request.seed}/{request.sample}")
    kind = draw.random()
    if kind < 0.1:
        raise ReplyUnreadable("scripted: no reply")
    word = "good" if kind < 0.4 else "poor" if kind < 0.75 else "short" if kind < 0.85 else "bad"
    return f"{word} {draw.randrange(9)}"


def revisions(events: Iterable[Event]) -> list[Candidate]:
    return [event.candidate for event in of(Proposed, events) if event.candidate.parent]


# ── one round ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_refused_for_its_content_is_set_right_and_wins() -> None:
    model = ScriptedChat(drafts("poor", "good"))
    told = play(model, settings(revisions=1, window=1), others=[Strict()])
    assert (end(told).stop, end(told).accepted) == (Stop.QUOTA_MET, 5)
    assert [type(event) for event in told[:4]] == [Proposed, Judged, Proposed, BriefClosed]
    first, refusal, second, closing = told[:4]
    assert isinstance(first, Proposed) and isinstance(second, Proposed)
    assert isinstance(refusal, Judged) and isinstance(closing, BriefClosed)
    assert refusal.verdict.candidate_id == first.candidate.id
    assert (refusal.verdict.decision, refusal.verdict.reason) == (Decision.REJECT, "off label")
    assert (second.candidate.parent, second.number) == (first.candidate.id, first.number)
    assert (closing.winner, closing.reason) == (second.candidate.id, "")
    assert len(model.requests) == 10
    assert all("good" in text for _, text in accepted(told))


def test_the_critique_is_what_the_writer_is_told() -> None:
    model = ScriptedChat(drafts("poor", "good"))
    play(model, settings(revisions=1, window=1, opening_words=0), others=[Strict()])
    first, second = model.requests[:2]
    assert f"(says poor {first.seed}):\n- poor {first.seed}\nSet right:\n-" in second.prompt
    assert (first.sample, second.sample, second.purpose) == (0, 1, first.purpose)


def test_a_revision_is_never_revised() -> None:
    model = ScriptedChat(drafts("poor", "poor"))
    told = play(model, ONCE, others=[Strict()])
    assert end(told).stop is Stop.PATIENCE
    assert {event.reason for event in of(BriefClosed, told)} == {"off label"}
    assert len(model.requests) == 2 * len(of(BriefClosed, told))
    made = {event.candidate.id: event.candidate for event in of(Proposed, told)}
    assert all(not made[each.parent].parent for each in revisions(told))
    assert len(of(Judged, told)) == len(made)  # each refusal is told, and told once


@pytest.mark.parametrize(("first", "reason"), [("short", "too short"), ("bad", "off label")])
def test_what_is_wrong_in_form_or_known_at_the_closing_alone_is_written_anew(first: str, reason: str) -> None:
    model = ScriptedChat(drafts(first, "good"))
    told = play(model, ONCE, others=[Strict()])
    assert revisions(told) == []
    assert {event.reason for event in of(BriefClosed, told)} == {reason}


def test_without_revisions_nothing_is_set_right() -> None:
    model = ScriptedChat(drafts("poor", "good"))
    told = play(model, others=[Strict()])
    assert revisions(told) == [] and end(told).accepted == 0
    assert {request.sample for request in model.requests} == {0}


def test_the_judge_with_memory_still_has_the_last_word_on_a_revision() -> None:
    told = play(ScriptedChat(lambda request: "good 1" if request.sample else "poor 1"), ONCE, others=[Strict()])
    assert end(told).accepted == 1
    assert [event.reason for event in of(BriefClosed, told)][1:] == ["duplicate"] * (len(of(BriefClosed, told)) - 1)


@pytest.mark.parametrize("allowed", [0, 1])
def test_who_asks_for_a_revision_gets_one_or_it_is_a_refusal(allowed: int) -> None:
    model, reader = ScriptedChat(drafts("poor", "good")), Asks()
    told = play(model, settings(revisions=allowed), reviewers=[reader])
    assert "could be better" not in REVISABLE  # it is the decision that counts
    assert end(told).stop is (Stop.QUOTA_MET if allowed else Stop.PATIENCE)
    assert len(revisions(told)) == (len(of(BriefClosed, told)) if allowed else 0)
    assert {event.verdict.decision for event in of(Judged, told)} == {Decision.REVISE}
    if not allowed:
        assert {event.reason for event in of(BriefClosed, told)} == {"could be better"}


def test_a_judge_may_ask_for_a_revision_too() -> None:
    class Mild(Strict):
        def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
            decision = Decision.REVISE if "poor" in candidate.text else Decision.ACCEPT
            return Verdict(judge=self.name, candidate_id=candidate.id, decision=decision, reason="so so")

    for allowed, stop in ((1, Stop.QUOTA_MET), (0, Stop.PATIENCE)):
        told = play(ScriptedChat(drafts("poor", "good")), settings(revisions=allowed), others=[Mild()])
        assert end(told).stop is stop


def test_reviewers_read_the_revision_and_not_what_it_replaces() -> None:
    reader = Nods()
    told = play(ScriptedChat(drafts("poor", "good")), ONCE, others=[Strict()], reviewers=[reader])
    assert len(reader.seen) == len(of(BriefClosed, told))
    assert all("good" in text for text in reader.seen)


# ── one that cannot be made ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", [ReplyUnreadable("what?"), ModelUnavailable("busy")])
def test_one_that_cannot_be_set_right_is_refused_for_what_was_wrong_with_it(error: ModelError) -> None:
    def breaks(request: Request) -> str:
        if request.sample:
            raise error
        return f"{'poor' if request.seed % 2 else 'good'} {request.seed}"

    told = play(ScriptedChat(breaks), settings(revisions=1, window=1), others=[Strict()])
    reasons = [event.reason for event in of(BriefClosed, told)]
    assert set(reasons) == {"", "off label"}
    assert len(of(Judged, told)) == reasons.count("off label")


def test_ten_that_cannot_be_set_right_in_a_row_stop_the_run() -> None:
    def breaks(request: Request) -> str:
        if request.sample:
            raise ModelUnavailable("gone")
        return unlike(request).replace("good", "poor")

    model = ScriptedChat(breaks)
    with pytest.raises(ModelUnavailable, match="gone"):
        play(model, settings(revisions=1, window=1, patience=50), others=[Strict()])
    assert sum(request.sample for request in model.requests) == FAILURES_IN_A_ROW


def test_a_revision_without_a_verdict_says_so() -> None:
    class Silent(Nods):
        def verdict(self, brief: Brief, candidate: Candidate) -> Verdict:
            raise ReplyUnreadable("scripted: no opinion")

    told = play(
        ScriptedChat(drafts("poor", "good")), settings(revisions=1, max_briefs=3), others=[Strict()],
        reviewers=[Silent()],
    )  # fmt: skip
    assert {event.reason for event in of(BriefClosed, told)} == {"no verdict"}


def test_one_that_cannot_be_paid_leaves_its_brief_open_and_is_made_when_there_is_money() -> None:
    def poor(request: Request) -> str:
        if request.sample:
            raise BudgetSpent("the budget is used up")
        return drafts("poor", "good")(request)

    told = play(ScriptedChat(poor), ONCE, others=[Strict()])
    assert end(told).stop is Stop.BUDGET and of(BriefClosed, told) == []
    killed = [event for event in told if not isinstance(event, SliceClosed)]
    model = ScriptedChat(drafts("poor", "good"))
    more = play(model, ONCE, others=[Strict()], past=killed)
    assert accepted([*killed, *more]) == accepted(play(ScriptedChat(drafts("poor", "good")), ONCE, others=[Strict()]))
    assert [request.sample for request in model.requests[:4]] == [1] * 4  # what was proposed is not asked again
    refused = [event.verdict.candidate_id for event in of(Judged, [*killed, *more])]
    assert len(refused) == len(set(refused))  # nor what was told of it told again


@pytest.mark.parametrize("window", [1, 8])
@pytest.mark.parametrize("cap", range(1, 40, 3))
def test_a_tight_purse_ends_the_loop_and_never_hangs_it(cap: int, window: int) -> None:
    purse = Purse(Caps(usd=DOLLAR.usd * cap))
    told = play(
        Paying(purse, drafts("poor", "good")), settings(revisions=1, window=window, quota=60, max_briefs=60),
        slices=("edge", "next"), others=[Strict()], reviewers=[PaidFor(purse, probes=False)], settled=purse.let_go,
    )  # fmt: skip
    assert {event.stop for event in of(SliceClosed, told)} == {Stop.BUDGET}
    assert purse.reserved == NOTHING
    assert purse.spent.usd <= cap
    assert len(of(BriefClosed, told)) == len(accepted(told))


# ── killed meanwhile ────────────────────────────────────────────────────────────────────────────────────────────────

MANY = settings(revisions=1, quota=8, patience=30)
VARIED = play(ScriptedChat(varied), MANY, slices=("edge", "next"), others=[Strict()], reviewers=[Reading(turns=1)])


def test_the_example_has_every_outcome() -> None:
    assert {event.reason for event in of(BriefClosed, VARIED)} >= {
        "", "off label", "too short", "duplicate", "unnatural", "no reply", "no verdict",
    }  # fmt: skip
    winners = {event.winner for event in of(BriefClosed, VARIED)}
    assert winners & {each.id for each in revisions(VARIED)}
    assert winners - {each.id for each in revisions(VARIED)} - {None}


@given(cuts=st.lists(st.integers(0, len(VARIED)), min_size=1, max_size=3), jitter=st.integers(0, 99))
def test_killed_anywhere_it_goes_on_to_the_same_corpus(cuts: list[int], jitter: int) -> None:
    log: list[Event] = play(
        Jittery(varied, jitter), MANY, slices=("edge", "next"), others=[Strict()], reviewers=[Reading(jitter)]
    )
    for cut in cuts:
        log = log[:cut]
        done = {(event.candidate.brief_id, bool(event.candidate.parent)) for event in of(Proposed, log)}
        model = Jittery(varied, jitter + 1)
        told = play(model, MANY, past=log, slices=("edge", "next"), others=[Strict()], reviewers=[Reading(jitter + 2)])
        assert not done & {(request.purpose.brief_id, bool(request.sample)) for request in model.requests}
        log = [*log, *told]
    assert accepted(log) == accepted(VARIED)
    assert closings(log) == closings(VARIED)
    assert sorted(of(SliceClosed, log), key=str) == sorted(of(SliceClosed, VARIED), key=str)
    assert {each.id for each in revisions(log)} == {each.id for each in revisions(VARIED)}


def test_between_a_candidate_and_its_revision_nothing_is_lost_or_told_twice() -> None:
    between = [
        place for place, event in enumerate(VARIED) if isinstance(event, Proposed) and event.candidate.parent
    ]  # fmt: skip
    assert len(between) > 5
    for place in between:
        log = VARIED[:place]
        told = play(ScriptedChat(varied), MANY, past=log, slices=("edge", "next"), others=[Strict()],
                    reviewers=[Reading(turns=1)])  # fmt: skip
        assert closings([*log, *told]) == closings(VARIED)
        assert VARIED[place] in told
        proposed = [event.candidate.id for event in of(Proposed, [*log, *told])]
        assert len(proposed) == len(set(proposed))

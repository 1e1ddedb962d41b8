"""The loop stops for the right reason, decides in brief order, and goes on after a kill as if nothing had happened."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.synthesizing.looping import (
    SETTINGS,
    Broke,
    Jittery,
    Nods,
    Reading,
    Taste,
    accepted,
    closings,
    composer,
    end,
    longer_than,
    mixed,
    of,
    play,
    settings,
    unlike,
)

from proofset.errors import InputError, ModelError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models.scripted import ScriptedChat
from proofset.nouns.candidate import Brief, Candidate, Decision, Quota, Stop, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed
from proofset.plugins import Reply, Request
from proofset.synthesizing.loop import FAILURES_IN_A_ROW


def test_the_quota_is_met_and_what_was_in_flight_is_surplus() -> None:
    model = ScriptedChat(unlike)
    told = play(model)
    assert end(told) == SliceClosed(slice="edge", accepted=5, quota=5, stop=Stop.QUOTA_MET)
    assert told[-1] == end(told)
    reasons = [event.reason for event in of(BriefClosed, told)]
    assert reasons == [""] * 5 + ["surplus"] * 3  # window 4: three more were open when the fifth was closed
    assert len(model.requests) == len(of(Proposed, told)) == 8
    assert len(accepted(told)) == 5


def test_surplus_is_neither_remembered_nor_judged_as_accepted() -> None:
    tastes: list[Taste] = []

    class Watched(Taste):
        def __init__(self) -> None:
            super().__init__()
            tastes.append(self)

    told = play(ScriptedChat(unlike), judge=Watched)
    assert tastes[0].kept == [text for _, text in accepted(told)]


def test_patience_counts_refusals_in_a_row() -> None:
    model = ScriptedChat(lambda request: "bad")
    told = play(model)
    assert (end(told).stop, end(told).accepted) == (Stop.PATIENCE, 0)
    assert len(model.requests) == 6 - 1 + 4  # patience, and the rest of the window
    assert {event.reason for event in of(BriefClosed, told)} == {"off label"}
    assert len(of(Judged, told)) == 9

    turns = iter(range(1000))
    told = play(ScriptedChat(lambda request: f"good {n}" if (n := next(turns)) % 6 == 5 else "bad"))
    assert end(told).stop is Stop.QUOTA_MET  # five refusals, then one good: never six in a row


def test_briefs_run_out() -> None:
    told = play(ScriptedChat(lambda request: "bad"), settings(max_briefs=5))
    assert end(told).stop is Stop.BRIEFS_SPENT
    assert [event.number for event in of(BriefClosed, told)] == [0, 1, 2, 3, 4]


def test_the_quota_on_the_last_brief_is_met_all_the_same() -> None:
    assert end(play(ScriptedChat(unlike), settings(max_briefs=5))).stop is Stop.QUOTA_MET


@pytest.mark.parametrize("window", [1, 4])
def test_no_brief_is_opened_beyond_the_budget(window: int) -> None:
    model = Broke(unlike, 3)
    model.parallel = 1
    told = play(model, settings(window=window), slices=("edge", "next"))
    assert len(model.requests) == 3
    assert [(event.slice, event.stop) for event in of(SliceClosed, told)] == [
        ("edge", Stop.BUDGET), ("next", Stop.BUDGET),
    ]  # fmt: skip
    assert of(SliceClosed, told)[0].accepted == len(accepted(told)) == len(of(BriefClosed, told)) == 3


def test_what_was_paid_before_is_judged_though_the_budget_is_gone() -> None:
    first = play(Broke(unlike, 4), settings(window=2))
    assert end(first).accepted == 4
    cut = of(Proposed, first)
    model = Broke(unlike, 0)
    told = play(model, settings(window=2), past=cut)
    assert model.requests == []
    assert (end(told).accepted, end(told).stop) == (4, Stop.BUDGET)
    assert accepted([*cut, *told]) == accepted(first)


@pytest.mark.parametrize("error", [ModelUnavailable("gone"), ReplyUnreadable("what?")])
def test_a_failed_call_closes_its_brief_and_not_the_run(error: ModelError) -> None:
    calls = iter(range(1000))

    def fails_twice(request: Request) -> str:
        if next(calls) in (1, 2):
            raise error
        return unlike(request)

    told = play(ScriptedChat(fails_twice), settings(window=1))
    assert [event.reason for event in of(BriefClosed, told)] == ["", "no reply", "no reply", "", "", "", ""]
    assert len(of(Proposed, told)) == 5
    assert end(told).stop is Stop.QUOTA_MET


def test_ten_failures_in_a_row_stop_the_run_with_the_error_itself() -> None:
    def gone(request: Request) -> str:
        raise ModelUnavailable("gone")

    model = ScriptedChat(gone)
    with pytest.raises(ModelUnavailable, match="gone"):
        play(model, settings(window=1, patience=50))
    assert len(model.requests) == FAILURES_IN_A_ROW == 10


def test_without_a_server_the_run_stops_and_no_brief_is_closed_for_it() -> None:
    calls = iter(range(1000))

    def goes_away(request: Request) -> str:
        if next(calls) >= 2:
            error = ModelUnavailable("refused")
            error.unsent = True
            raise error
        return unlike(request)

    told: list[Event] = []
    with pytest.raises(ModelUnavailable, match="refused"):
        play(ScriptedChat(goes_away), settings(window=1), told=told)
    assert [event.reason for event in of(BriefClosed, told)] == ["", ""]
    assert accepted([*told, *play(ScriptedChat(unlike), settings(window=1), past=told)]) == accepted(
        play(ScriptedChat(unlike), settings(window=1))
    )


def test_a_candidate_without_a_verdict_is_not_called_a_missing_reply() -> None:
    class Silent(Nods):
        def verdict(self, brief: Brief, candidate: Candidate) -> Verdict:
            if brief.number == 1:
                raise ReplyUnreadable("scripted: no opinion")
            return super().verdict(brief, candidate)

    told = play(ScriptedChat(unlike), settings(window=1), reviewers=[Silent()])
    assert [event.reason for event in of(BriefClosed, told)] == ["", "no verdict", "", "", "", ""]
    assert len(of(Proposed, told)) == 6 and end(told).accepted == 5


def test_a_success_forgives_the_failures_before_it() -> None:
    calls = iter(range(1000))

    def nine_of_ten_fail(request: Request) -> str:
        if next(calls) % 10 != 9:
            raise ModelUnavailable("busy")
        return unlike(request)

    told = play(ScriptedChat(nine_of_ten_fail), settings(window=1, patience=50, max_briefs=50))
    assert end(told).stop is Stop.QUOTA_MET
    assert Counter(event.reason for event in of(BriefClosed, told)) == {"no reply": 45, "": 5}


def test_a_refusal_stops_all_slices_and_their_calls_in_flight() -> None:
    class Hanging(ScriptedChat):
        cancelled = 0
        parallel = 8

        async def reply(self, request: Request) -> Reply:
            if not self.requests:
                return await super().reply(request)
            self.requests.append(request)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            raise AssertionError("nobody sets the event")

    def refuse(request: Request) -> str:
        raise ModelRefused("HTTP 401")

    model = Hanging(refuse)
    with pytest.raises(ModelRefused, match="401"):
        play(model, slices=("edge", "next"))
    assert len(model.requests) == 8
    assert model.cancelled == 7


def test_a_candidate_is_opening_and_reply_in_one_line() -> None:
    told = play(ScriptedChat(lambda request: "  and \t so  on "), settings(opening_words=2))
    for event in of(Proposed, told):
        assert event.candidate.text in {"and so on", "organic and so on", "organic text and so on"}


def test_the_request_is_what_brief_and_sampling_say() -> None:
    model = ScriptedChat(unlike)
    quota = Quota(slice="edge", label="edge", accepted=5, max_briefs=30)
    play(model)
    briefs = {brief.seed: brief for brief in map(composer(quota, SETTINGS).brief, range(8))}
    for request in model.requests:
        brief = briefs.pop(request.seed)
        assert (request.prompt, request.shared_chars) == (brief.prompt, brief.shared_chars)
        assert request.stop == ("\n",)
        assert request.max_tokens == SETTINGS.sampling.max_tokens
    assert briefs == {}


def test_a_cut_off_reply_is_cut_back_or_marked() -> None:
    told = play(ScriptedChat(lambda request: "One whole sentence. And ha", finish="length"))
    assert {event.candidate.finish for event in of(Proposed, told)} == {"trimmed"}
    assert all(event.candidate.text.endswith("sentence.") for event in of(Proposed, told))


def test_scores_are_told_even_of_the_accepted() -> None:
    class Scoring(Taste):
        def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
            return replace(super().judge(brief, candidate), scores=(("likeness", 0.9),))

    told = play(ScriptedChat(unlike), judge=Scoring)
    assert len(of(Judged, told)) == len(of(BriefClosed, told))
    assert of(Judged, play(ScriptedChat(unlike))) == []


def test_a_request_says_for_which_slice_and_brief_it_is_paid() -> None:
    model = ScriptedChat(unlike)
    told = play(model, slices=("edge", "next"))
    proposed = {(event.candidate.slice, event.candidate.brief_id) for event in of(Proposed, told)}
    assert {(asked.purpose.slice, asked.purpose.brief_id) for asked in model.requests} == proposed
    assert {asked.purpose.stage for asked in model.requests} == {"generate"}


@pytest.mark.parametrize("jitter", range(6))
def test_decisions_do_not_depend_on_the_order_of_arrival(jitter: int) -> None:
    slices = ("edge", "next", "last")
    fast, slow = ScriptedChat(mixed), Jittery(mixed, jitter)
    fast.parallel = slow.parallel = 12
    calm, wild = play(fast, slices=slices), play(slow, slices=slices)
    assert closings(wild) == closings(calm)
    assert accepted(wild) == accepted(calm)
    for name in slices:
        assert [event.number for event in closings(wild)[name]] == list(range(len(closings(wild)[name])))
        ends = [[event for event in of(SliceClosed, told) if event.slice == name] for told in (calm, wild)]
        assert ends[0] == ends[1]


def test_the_jitter_really_changes_the_order_of_arrival() -> None:
    orders = {
        tuple(event.number for event in of(Proposed, play(Jittery(mixed, jitter)))) for jitter in range(6)
    }  # fmt: skip
    assert len(orders) > 1


FULL = play(ScriptedChat(mixed), slices=("edge", "next"))


@given(cuts=st.lists(st.integers(0, len(FULL)), min_size=1, max_size=3), jitter=st.integers(0, 99))
def test_a_killed_run_goes_on_as_if_nothing_had_happened(cuts: list[int], jitter: int) -> None:
    log: list[Event] = play(Jittery(mixed, jitter), slices=("edge", "next"))
    briefs = {event.brief_id for event in of(BriefClosed, FULL)}
    for cut in cuts:
        log = log[:cut]
        done = {event.candidate.brief_id for event in of(Proposed, log)}
        done |= {event.brief_id for event in of(BriefClosed, log)}
        model = Jittery(mixed, jitter + 1)
        told = play(model, slices=("edge", "next"), past=log)
        again = {event.candidate.brief_id for event in of(Proposed, told)}
        assert not again & done
        assert len(model.requests) == len(briefs - done)
        log = [*log, *told]
    assert accepted(log) == accepted(FULL)
    assert closings(log) == closings(FULL)
    assert sorted(of(SliceClosed, log), key=str) == sorted(of(SliceClosed, FULL), key=str)


def test_the_example_has_every_outcome() -> None:
    reasons = {event.reason for event in of(BriefClosed, FULL)}
    assert reasons >= {"", "off label", "duplicate", "no reply"}


def test_a_closed_slice_is_not_touched_again() -> None:
    model = ScriptedChat(mixed)
    assert play(model, slices=("edge", "next"), past=FULL) == []
    assert model.requests == []


def test_no_slices_no_work() -> None:
    assert play(ScriptedChat(unlike), slices=()) == []


# ── reviewers ───────────────────────────────────────────────────────────────────────────────────────────────────────

READ = play(ScriptedChat(mixed), slices=("edge", "next"), reviewers=[Reading(turns=1)])
"""The loop with a reviewer, everything in the order of asking."""


@given(jitter=st.integers(0, 999), reading=st.integers(0, 999))
def test_the_corpus_does_not_depend_on_when_replies_and_reviews_arrive(jitter: int, reading: int) -> None:
    reader, model = Reading(reading), Jittery(mixed, jitter)
    model.parallel = 12
    told = play(model, slices=("edge", "next"), reviewers=[reader])
    assert closings(told) == closings(READ)
    assert accepted(told) == accepted(READ)
    assert sorted(of(Judged, told), key=str) == sorted(of(Judged, READ), key=str)
    assert reader.most_at_once > 1


@given(cuts=st.lists(st.integers(0, len(READ)), min_size=1, max_size=3), jitter=st.integers(0, 99))
def test_with_reviewers_too_a_killed_run_goes_on_as_if_nothing_had_happened(cuts: list[int], jitter: int) -> None:
    log: list[Event] = play(Jittery(mixed, jitter), slices=("edge", "next"), reviewers=[Reading(jitter)])
    for cut in cuts:
        log = log[:cut]
        told = play(Jittery(mixed, jitter + 1), slices=("edge", "next"), past=log, reviewers=[Reading(jitter + 2)])
        log = [*log, *told]
    assert accepted(log) == accepted(READ)
    assert closings(log) == closings(READ)
    assert sorted(of(SliceClosed, log), key=str) == sorted(of(SliceClosed, READ), key=str)


def test_the_example_with_a_reviewer_has_every_outcome() -> None:
    assert {event.reason for event in of(BriefClosed, READ)} >= {"", "off label", "duplicate", "unnatural", "no reply"}
    assert accepted(READ) != accepted(FULL)


def test_reviews_are_under_way_at_once_but_no_more_than_the_window() -> None:
    class Together(Nods):
        async def review(self, brief: Brief, candidate: Candidate) -> Verdict:
            self.at_once += 1
            while self.at_once < 4 and not self.most_at_once:
                await asyncio.sleep(0)  # until all four of the window are here, or for ever
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.at_once -= 1
            return self.verdict(brief, candidate)

    reader = Together()
    assert end(play(ScriptedChat(unlike), reviewers=[reader])).stop is Stop.QUOTA_MET
    assert reader.most_at_once == 4


class Blunt:
    """Refuses whatever ends in a digit below the limit, whatever else there is."""

    def __init__(self, name: str, limit: int) -> None:
        self.name, self._limit = name, limit
        self.seen: list[str] = []

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        self.seen.append(candidate.text)
        reason = f"refused by {self.name}" if int(candidate.text[-1]) < self._limit else ""
        decision = Decision.REJECT if reason else Decision.ACCEPT
        return Verdict(judge=self.name, candidate_id=candidate.id, decision=decision, reason=reason)


def digit(request: Request) -> str:
    return f"good {request.seed % 10}"


def test_what_a_judge_without_memory_refuses_is_not_reviewed() -> None:
    reader, blunt = Nods(), Blunt("blunt", 5)
    told = play(ScriptedChat(digit), settings(quota=30, patience=60), reviewers=[reader], others=[blunt])
    texts = {event.candidate.text for event in of(Proposed, told)}
    low = {text for text in texts if int(text[-1]) < 5}
    assert low and set(reader.seen) == texts - low
    assert len(blunt.seen) == len(of(Proposed, told))  # and nobody was asked twice
    assert "refused by blunt" in {event.reason for event in of(BriefClosed, told)}


def test_a_refusing_reviewer_spares_those_after_it() -> None:
    first, second = Reading(), Nods()
    told = play(ScriptedChat(unlike), settings(quota=12, patience=60), reviewers=[first, second])
    refused = sum(event.verdict.judge == "reading" for event in of(Judged, told))
    failed = sum(event.reason == "no verdict" for event in of(BriefClosed, told))
    assert refused and failed
    assert len(second.seen) == len(first.seen) - refused - failed


def test_the_reason_is_that_of_the_first_judge_in_order_whoever_was_asked_first() -> None:
    """With a reviewer, judges without memory are asked early; the reasons are as if they were not."""
    judges = [Blunt("blunt", 4), Blunt("blunter", 6)]
    few = settings(quota=20, patience=99)
    plain = play(ScriptedChat(digit), few, others=judges)
    told = play(Jittery(digit, 3), few, others=judges, reviewers=[Nods()])
    assert closings(told) == closings(plain)
    assert of(Judged, told) == of(Judged, plain)
    reasons = {event.reason for event in of(BriefClosed, told)}
    assert reasons == {"", "duplicate", "refused by blunt", "refused by blunter"}
    texts = {event.candidate.brief_id: event.candidate.text for event in of(Proposed, told)}
    for closed in of(BriefClosed, told):
        if closed.reason == "refused by blunter":
            assert int(texts[closed.brief_id][-1]) in (4, 5)


def test_the_judge_with_memory_comes_first_though_it_is_asked_last() -> None:
    reader, blunt = Nods(), Blunt("blunt", 5)
    told = play(ScriptedChat(lambda request: "bad 1"), others=[blunt], reviewers=[reader])
    assert blunt.seen and reader.seen == []
    assert {event.reason for event in of(BriefClosed, told)} == {"off label"}
    assert {event.verdict.judge for event in of(Judged, told)} == {"taste"}


# ── what is called, and how often ───────────────────────────────────────────────────────────────────────────────────


@given(replies=st.integers(0, 40), jitter=st.integers(0, 99), halt=st.integers(0, 40), cut=st.integers(0, len(READ)))
def test_every_brief_that_was_tried_is_settled_once(replies: int, jitter: int, halt: int, cut: int) -> None:
    tried: list[str] = []
    ended: list[str] = []

    class Watched(Broke):
        async def reply(self, request: Request) -> Reply:
            tried.append(request.purpose.brief_id)
            return await super().reply(request)

    play(
        Watched(mixed, replies), past=READ[:cut], slices=("edge", "next"), reviewers=[Reading(jitter)],
        settled=ended.append, halted=longer_than(halt),
    )  # fmt: skip
    assert len(ended) == len(set(ended))
    assert set(tried) <= set(ended)


def test_those_who_were_stopped_by_anothers_failure_are_settled_too() -> None:
    tried: list[str] = []
    ended: list[str] = []

    class Hangs(ScriptedChat):
        async def reply(self, request: Request) -> Reply:
            tried.append(request.purpose.brief_id)
            if len(tried) < 4:
                await asyncio.Event().wait()
            raise refused(401)

    with pytest.raises(ModelRefused):
        play(Hangs(unlike), settled=ended.append)
    assert sorted(ended) == sorted(tried) and len(tried) == 4


def refused(status: int) -> ModelRefused:
    error = ModelRefused(f"HTTP {status}")
    error.status = status
    return error


# ── a model that fails ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_refused_closes_its_brief(status: int) -> None:
    calls = iter(range(1000))

    def refuses_two(request: Request) -> str:
        if next(calls) in (1, 2):
            raise refused(status)
        return unlike(request)

    told = play(ScriptedChat(refuses_two), settings(window=1))
    assert [event.reason for event in of(BriefClosed, told)] == ["", "no reply", "no reply", "", "", "", ""]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_ten_refused_requests_in_a_row_are_the_askers_fault(status: int) -> None:
    def refuse(request: Request) -> str:
        raise refused(status)

    model = ScriptedChat(refuse)
    with pytest.raises(ModelRefused, match=str(status)):
        play(model, settings(window=1, patience=50))
    assert len(model.requests) == FAILURES_IN_A_ROW


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_whoever_may_not_ask_stops_at_once_though_others_wait(status: int) -> None:
    class Hangs(ScriptedChat):
        async def reply(self, request: Request) -> Reply:
            if self.requests:
                raise refused(status)
            self.requests.append(request)
            await asyncio.Event().wait()
            raise AssertionError("nobody sets the event")

    model = Hangs(unlike)
    with pytest.raises(ModelRefused, match=str(status)):
        play(model, slices=("edge", "next"))
    assert len(model.requests) == 1  # brief 0 never had an answer; brief 1 said enough


def test_a_reviewer_that_may_not_ask_stops_the_run() -> None:
    class Locked(Nods):
        def verdict(self, brief: Brief, candidate: Candidate) -> Verdict:
            raise refused(401)

    with pytest.raises(ModelRefused, match="401"):
        play(ScriptedChat(unlike), reviewers=[Locked()])


def test_ten_failures_in_a_row_count_over_slices_that_are_smaller_than_ten() -> None:
    def gone(request: Request) -> str:
        raise ModelUnavailable("gone")

    model = ScriptedChat(gone)
    told: list[Event] = []
    with pytest.raises(ModelUnavailable):
        play(model, settings(quota=1, max_briefs=4, window=2), slices=[f"s{n}" for n in range(40)], told=told)
    assert len(model.requests) < FAILURES_IN_A_ROW + 2 * model.parallel
    assert len(of(SliceClosed, told)) <= 2  # the other slices are still to be done when the model is back


def test_a_broken_judge_stops_the_run_with_its_own_error() -> None:
    class Broken(Taste):
        def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
            if brief.number == 3:
                raise InputError("broken judge")
            return super().judge(brief, candidate)

    for reviewers in ((), (Nods(),)):
        with pytest.raises(InputError, match="broken judge"):
            play(ScriptedChat(unlike), judge=Broken, reviewers=reviewers)


# ── halted ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("after", [0, 1, 5])
def test_halted_it_opens_nothing_more_and_ends_what_is_in_flight(after: int) -> None:
    model = Jittery(unlike, after)
    told = play(
        model, settings(quota=30), slices=("edge", "next"), reviewers=[Nods(after)],
        halted=lambda told: len(of(BriefClosed, told)) >= after,
    )  # fmt: skip
    assert of(SliceClosed, told) == []
    assert [event.number for event in of(BriefClosed, told)] == list(range(after + 3 if after else 0))
    assert len(accepted(told)) == len(model.requests) == len(of(BriefClosed, told))


@given(halts=st.lists(st.integers(0, 60), min_size=1, max_size=3), jitter=st.integers(0, 99))
def test_halted_and_resumed_it_ends_with_the_same_corpus(halts: list[int], jitter: int) -> None:
    log: list[Event] = []
    asked: list[str] = []
    for halt in (*halts, 10**9):
        model = Jittery(mixed, jitter)
        told = play(
            model, past=log, slices=("edge", "next"), reviewers=[Reading(jitter + halt % 7)],
            halted=longer_than(halt),
        )  # fmt: skip
        assert {event.candidate.brief_id for event in of(Proposed, told)} <= {
            event.brief_id for event in of(BriefClosed, told)
        }
        log, asked = [*log, *told], [*asked, *(request.purpose.brief_id for request in model.requests)]
    assert len(asked) == len(set(asked))
    assert accepted(log) == accepted(READ)
    assert closings(log) == closings(READ)
    assert sorted(of(SliceClosed, log), key=str) == sorted(of(SliceClosed, READ), key=str)

"""The loop stops for the right reason, decides in brief order, and goes on after a kill as if nothing had happened."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from statistics import mean
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.config import Synthesize
from proofset.errors import BudgetSpent, InputError, ModelError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models.purse import NOTHING, Amount, Caps, Purse
from proofset.models.scripted import ScriptedChat
from proofset.nouns.candidate import Brief, Candidate, Decision, Quota, Stop, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed
from proofset.nouns.evidence import Anchor, Evidence
from proofset.plugins import Judge, Reply, Request, Reviewer
from proofset.synthesizing.brief import Composer
from proofset.synthesizing.loop import (
    FAILURES_IN_A_ROW,
    FEWEST_OPEN,
    Panel,
    Past,
    SliceLoop,
    Streak,
    synthesize,
    whole,
)

ANCHORS = tuple(Anchor(f"r{n}", f"organic text number {n} of the slice", "edge") for n in range(12))
Told = TypeVar("Told", bound=Event)
SETTINGS = Synthesize(quota=5, max_briefs=30, patience=6, window=4, anchors=3, prompts_per_slice=2, opening_words=2)


class Taste:
    """Refuses what says "bad", and what it was told to remember: a judge whose verdict depends on the order."""

    name = "taste"

    def __init__(self) -> None:
        self.kept: list[str] = []

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        reason = "off label" if "bad" in candidate.text else "duplicate" if self.known(candidate.text) else ""
        decision = Decision.REJECT if reason else Decision.ACCEPT
        return Verdict(judge=self.name, candidate_id=candidate.id, decision=decision, reason=reason)

    def known(self, text: str) -> bool:
        return text.rsplit(maxsplit=1)[-1] in {kept.rsplit(maxsplit=1)[-1] for kept in self.kept}

    def remember(self, _: str, text: str) -> None:
        self.kept.append(text)


class Jittery(ScriptedChat):
    """Takes a random number of turns of the event loop for each reply."""

    def __init__(self, answer: Callable[[Request], str], seed: int) -> None:
        super().__init__(answer)
        self._rng = random.Random(seed)

    async def reply(self, request: Request) -> Reply:
        for _ in range(self._rng.randrange(12)):
            await asyncio.sleep(0)
        return await super().reply(request)


def unlike(request: Request) -> str:
    return f"good {request.seed}"


def mixed(request: Request) -> str:
    """Good, bad, repeated or failing, as the request's seed says."""
    draw = random.Random(request.seed)
    kind = draw.random()
    if kind < 0.1:
        raise ReplyUnreadable("scripted: no reply")
    return f"bad {draw.randrange(100)}" if kind < 0.4 else f"good {draw.randrange(6)}"


class Broke(ScriptedChat):
    """Can pay for so many replies and no more."""

    def __init__(self, answer: Callable[[Request], str], replies: int) -> None:
        super().__init__(answer)
        self._left = replies

    async def reply(self, request: Request) -> Reply:
        await asyncio.sleep(0)
        if not self._left:
            raise BudgetSpent("the budget is used up")
        self._left -= 1
        return await super().reply(request)


class Reading:
    """A reviewer that takes a random number of turns of the event loop, and refuses a third of all texts."""

    name = "reading"

    def __init__(self, seed: int = 0, turns: int = 12) -> None:
        self._rng, self._turns = random.Random(seed), turns
        self.seen: list[str] = []
        self.at_once = self.most_at_once = 0

    async def review(self, brief: Brief, candidate: Candidate) -> Verdict:
        self.seen.append(candidate.text)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for _ in range(self._rng.randrange(self._turns)):
                await asyncio.sleep(0)
            return self.verdict(brief, candidate)
        finally:
            self.at_once -= 1

    def verdict(self, brief: Brief, candidate: Candidate) -> Verdict:
        kind = random.Random(brief.seed + 1).random()
        if kind < 0.1:
            raise ReplyUnreadable("scripted: no opinion")
        reason = "unnatural" if kind < 0.4 else ""
        decision = Decision.REJECT if reason else Decision.ACCEPT
        return Verdict(judge=self.name, candidate_id=candidate.id, decision=decision, reason=reason)


class Nods(Reading):
    """A reviewer that lets everything pass."""

    def verdict(self, brief: Brief, candidate: Candidate) -> Verdict:
        return Verdict(judge=self.name, candidate_id=candidate.id, decision=Decision.ACCEPT)


def play(
    model: ScriptedChat,
    settings: Synthesize = SETTINGS,
    *,
    past: Iterable[Event] = (),
    slices: Sequence[str] = ("edge",),
    judge: type[Taste] = Taste,
    reviewers: Sequence[Reviewer] = (),
    others: Sequence[Judge] = (),
    settled: Callable[[str], None] = lambda brief_id: None,
    halted: Callable[[list[Event]], bool] = lambda told: False,
    told: list[Event] | None = None,
    seed: int = 7,
) -> list[Event]:
    """Run the slices' loops to their end, or for 20 seconds; what they told."""
    told = [] if told is None else told
    pasts, loops, streak = Past.fold(past), [], Streak()
    for name in slices:
        taste = judge()
        quota = Quota(slice=name, label=name, accepted=settings.quota, max_briefs=settings.max_briefs)
        loops.append(
            SliceLoop(
                quota=quota,
                composer=composer(quota, settings, seed),
                model=model,
                settings=settings,
                panel=Panel(
                    judges=[taste, *others],
                    remember=taste.remember,
                    stateful=frozenset({taste.name}),
                    reviewers=reviewers,
                ),
                tell=told.append,
                settled=settled,
                halted=lambda: halted(told),
                streak=streak,
                past=pasts.get(name, Past()),
            )
        )

    async def ends() -> None:
        try:
            await asyncio.wait_for(synthesize(loops, model.parallel), 20)
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}, "something was left running"

    asyncio.run(ends())
    return told


def composer(quota: Quota, settings: Synthesize, seed: int = 7) -> Composer:
    def anchoring(fold: int, n: int, rng: random.Random) -> tuple[Anchor, ...]:
        return tuple(rng.sample(ANCHORS, min(n, len(ANCHORS))))

    return Composer(
        quota=quota, title="", anchoring=anchoring, evidence=Evidence(), folds=3, settings=settings, seed=seed
    )


def settings(**changes: int) -> Synthesize:
    return SETTINGS.model_copy(update=changes)


def of(kind: type[Told], events: Iterable[Event]) -> list[Told]:
    return [event for event in events if isinstance(event, kind)]


def end(events: Iterable[Event]) -> SliceClosed:
    (closed,) = of(SliceClosed, events)
    return closed


def closings(events: Iterable[Event]) -> dict[str, list[BriefClosed]]:
    found: dict[str, list[BriefClosed]] = {}
    for event in of(BriefClosed, events):
        found.setdefault(event.slice, []).append(event)
    return found


def accepted(events: Sequence[Event]) -> list[tuple[str, str]]:
    """(slice, text) of the corpus: the fold of the closings, in brief order."""
    texts = {event.candidate.id: event.candidate.text for event in of(Proposed, events)}
    closed = sorted(of(BriefClosed, events), key=lambda each: (each.slice, each.number))
    return [(each.slice, texts[each.winner]) for each in closed if each.winner]


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


def test_the_past_is_folded_by_slice() -> None:
    pasts = Past.fold(FULL)
    assert set(pasts) == {"edge", "next"}
    for name, past in pasts.items():
        assert past.finished
        assert len(past.closed) == len(closings(FULL)[name])
        assert all(candidate.slice == name for candidate in past.proposed.values())
    assert Past.fold([]) == {}


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


# ── money ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Unpaid(Nods):
    """A reviewer whose budget is used up for every third text."""

    def verdict(self, brief: Brief, candidate: Candidate) -> Verdict:
        if brief.number % 3 == 1:
            raise BudgetSpent("the budget is used up")
        return super().verdict(brief, candidate)


def test_a_review_that_cannot_be_paid_leaves_its_brief_open_and_closes_the_others() -> None:
    told = play(ScriptedChat(unlike), settings(quota=20), reviewers=[Unpaid(turns=1)])
    assert (end(told).stop, end(told).accepted) == (Stop.BUDGET, 3)
    assert len(of(Proposed, told)) == 5  # window 4: brief 4 was opened by the closing of brief 0
    assert [event.number for event in of(BriefClosed, told)] == [0, 2, 3]
    assert told[-1] == end(told)


def test_a_brief_that_was_left_open_is_no_copy_of_those_closed_after_it() -> None:
    def twins(request: Request) -> str:  # briefs 1 and 2 have one text
        number = numbers.setdefault(request.purpose.brief_id, len(numbers))
        return f"good {min(number, 1) if number < 3 else number}"

    numbers: dict[str, int] = {}
    model = ScriptedChat(twins)
    poor = play(model, settings(quota=6, patience=60, window=4), reviewers=[Unpaid(turns=1)])
    assert [event.number for event in of(BriefClosed, poor)] == [0, 2, 3]
    killed = [event for event in poor if not isinstance(event, SliceClosed)]  # before the end could be told
    told = play(model, settings(quota=6, patience=60, window=4), past=killed, reviewers=[Nods(turns=1)])
    assert next(event for event in of(BriefClosed, told) if event.number == 1).winner is None
    texts = [text for _, text in accepted([*killed, *told])]
    assert len(texts) == len(set(texts)) == 6


def test_the_budgets_end_is_not_renamed_by_what_is_still_closed() -> None:
    told = play(ScriptedChat(unlike), settings(quota=3), reviewers=[Unpaid(turns=1)])
    assert (end(told).stop, end(told).accepted) == (Stop.BUDGET, 3)  # a rich run would have taken brief 1


@given(replies=st.integers(0, 30), jitter=st.integers(0, 99))
def test_more_money_gives_the_corpus_of_a_rich_run(replies: int, jitter: int) -> None:
    few = settings(quota=8, patience=30)
    rich = play(ScriptedChat(mixed), few, slices=("edge", "next"), reviewers=[Reading()])
    poor = play(Broke(mixed, replies), few, slices=("edge", "next"), reviewers=[Reading(jitter)])
    if any(event.stop is Stop.BUDGET for event in of(SliceClosed, poor)):
        assert len(of(BriefClosed, poor)) < len(of(BriefClosed, rich))
    paid = {event.candidate.brief_id for event in of(Proposed, poor)}
    model = Jittery(mixed, jitter)
    pasts = Past.fold([], poor)  # another budget is another key: what was decided is decided again
    told = again(model, few, pasts, Reading(jitter + 1))
    assert not paid & {request.purpose.brief_id for request in model.requests}
    assert accepted(told) == accepted(rich)
    assert closings(told) == closings(rich)


def again(model: ScriptedChat, few: Synthesize, pasts: dict[str, Past], reader: Reviewer) -> list[Event]:
    """The loop under other settings than those of its past."""
    told: list[Event] = []
    loops = []
    for name in ("edge", "next"):
        taste, quota = Taste(), Quota(slice=name, label=name, accepted=few.quota, max_briefs=few.max_briefs)
        panel = Panel(judges=[taste], remember=taste.remember, stateful=frozenset({taste.name}), reviewers=[reader])
        past = pasts.get(name, Past())
        loops.append(
            SliceLoop(
                quota=quota, composer=composer(quota, few), model=model, settings=few, panel=panel, tell=told.append,
                past=past,
            )
        )  # fmt: skip
    asyncio.run(synthesize(loops, model.parallel))
    return told


class Paying(ScriptedChat):
    """Pays a dollar a reply out of a real purse, which keeps as much for judging it."""

    parallel = 8

    def __init__(self, purse: Purse) -> None:
        super().__init__(unlike)
        self._purse = purse

    async def reply(self, request: Request) -> Reply:
        await self._purse.reserve(DOLLAR, brief_id=request.purpose.brief_id, for_judging=DOLLAR)
        await asyncio.sleep(0)
        self._purse.settle(DOLLAR, Amount(DOLLAR.usd / 2, 1, 1))
        return await super().reply(request)


class PaidFor(Nods):
    """Pays for each review, and before the first one for a question that all reviews wait for."""

    def __init__(self, purse: Purse, *, probes: bool, dearer: int = 0) -> None:
        super().__init__()
        self._purse, self._asks, self._known = purse, probes, asyncio.Event()
        self._each = Amount(DOLLAR.usd * (1 + dearer), 1, 1)
        if not probes:
            self._known.set()

    async def review(self, brief: Brief, candidate: Candidate) -> Verdict:
        if self._asks:
            self._asks = False
            try:
                await self._purse.reserve(DOLLAR)
            except BudgetSpent:
                self._asks = True
                self._known.set()  # whoever is next tries again
                raise
            self._purse.settle(DOLLAR, DOLLAR)
            self._known.set()
        await self._known.wait()
        await self._purse.reserve(self._each, brief_id=brief.id)
        await asyncio.sleep(0)
        self._purse.settle(self._each, self._each)
        return self.verdict(brief, candidate)


DOLLAR = Amount(Decimal(1), 1, 1)


@pytest.mark.parametrize("cap", range(1, 40, 3))
@pytest.mark.parametrize(("probes", "dearer"), [(False, 0), (True, 0), (False, 1), (True, 2)])
def test_a_tight_purse_ends_the_loop_and_never_hangs_it(cap: int, probes: bool, dearer: int) -> None:
    purse = Purse(Caps(usd=Decimal(cap)))
    reader = PaidFor(purse, probes=probes, dearer=dearer)
    told = play(
        Paying(purse), settings(window=8, quota=60, max_briefs=60), slices=("edge", "next"), reviewers=[reader],
        settled=purse.let_go,
    )  # fmt: skip
    assert {event.stop for event in of(SliceClosed, told)} == {Stop.BUDGET}
    assert purse.reserved == NOTHING
    assert purse.spent.usd <= cap
    closed = len(of(BriefClosed, told))
    assert closed == len(accepted(told))
    if not probes and not dearer:
        assert purse.spent.usd > cap - 2  # less is left than one reply and its judging may cost


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


def longer_than(n_told: int) -> Callable[[list[Event]], bool]:
    """Halts when so many events were told."""
    return lambda told: len(told) >= n_told


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


# ── how many are open ───────────────────────────────────────────────────────────────────────────────────────────────


def slice_loop(quota: int, max_briefs: int, window: int) -> SliceLoop:
    asked = settings(quota=quota, max_briefs=max_briefs, window=window)
    of_slice = Quota(slice="edge", label="edge", accepted=quota, max_briefs=max_briefs)
    return SliceLoop(
        quota=of_slice,
        composer=composer(of_slice, asked),
        model=ScriptedChat(unlike),
        settings=asked,
        panel=Panel(judges=[], remember=lambda *_: None),
        tell=lambda _: None,
        past=Past(),
    )


@given(
    quota=st.integers(1, 2000), window=st.integers(1, 1000), max_briefs=st.integers(1, 5000), accepted=st.integers(0),
    n_closed=st.integers(0, 5000),
)  # fmt: skip
def test_never_more_than_the_window_is_open(
    quota: int, window: int, max_briefs: int, accepted: int, n_closed: int
) -> None:
    n_closed = min(n_closed, max_briefs)
    one, other = slice_loop(quota, max_briefs, window), slice_loop(quota, max_briefs, window)
    one.accepted = other.accepted = min(accepted, n_closed, quota - 1)
    until = one._open_until(n_closed)
    assert until == other._open_until(n_closed)
    assert until <= min(n_closed + window, max_briefs)
    assert until >= min(n_closed + 1, max_briefs)  # there is always a next one, or all have been
    near = one._open_until(n_closed)
    one.accepted = quota - 1
    if n_closed >= quota:
        assert one._open_until(n_closed) <= near


def test_near_the_quota_few_are_open() -> None:
    loop = slice_loop(200, 5000, 1000)
    opened = []
    for accepted_so_far in range(200):
        loop.accepted = accepted_so_far
        opened.append(loop._open_until(2 * accepted_so_far) - 2 * accepted_so_far)
    assert opened[0] == 250  # a quarter more than are wanted
    assert opened[100] > opened[150] > opened[190] > opened[199] == FEWEST_OPEN


def test_a_wide_window_costs_few_surplus_briefs() -> None:
    """Half of all candidates are refused, 20 are wanted, 1000 may be open: not many more than needed are paid for."""

    def half(request: Request) -> str:
        return unlike(request) if random.Random(request.seed).random() < 0.5 else f"bad {request.seed}"

    ratios = []
    for seed in range(40):
        told = play(ScriptedChat(half), settings(quota=20, max_briefs=4000, patience=96, window=1000), seed=seed)
        assert end(told).stop is Stop.QUOTA_MET
        needed = 1 + [event.number for event in of(BriefClosed, told) if event.winner][-1]
        ratios.append(len(of(Proposed, told)) / needed)
    assert mean(ratios) < 1.3
    assert max(ratios) < 1.6


def test_many_small_slices_fill_a_wide_server() -> None:
    class Wide(ScriptedChat):
        """Takes 10 to 15 turns of the event loop a reply, and looks at each turn how many are asked for at once."""

        parallel = 64

        def __init__(self) -> None:
            super().__init__(mixed)
            self.at_once = 0
            self.seen: list[int] = []
            self._watch: asyncio.Task[None] | None = None

        async def reply(self, request: Request) -> Reply:
            self.at_once += 1
            if self._watch is None or self._watch.done():
                self._watch = asyncio.create_task(self._look())
            for _ in range(10 + request.seed % 5):
                await asyncio.sleep(0)
            self.at_once -= 1
            return await super().reply(request)

        async def _look(self) -> None:
            while self.at_once:
                self.seen.append(self.at_once)
                await asyncio.sleep(0)

    served = SETTINGS.model.model_copy(update={"base_url": "http://127.0.0.1:1/v1", "slots": 64})
    small = SETTINGS.model_copy(update={"quota": 2, "max_briefs": 12, "window": 0, "model": served, "patience": 12})
    model = Wide()
    told = play(model, small, slices=[f"s{n:03}" for n in range(150)])
    assert len(of(SliceClosed, told)) == 150
    assert max(model.seen) <= 2 * 64 + FEWEST_OPEN  # and not all slices at once
    while_there_is_work = model.seen[: int(0.85 * len(model.seen))]
    assert mean(min(each, 64) for each in while_there_is_work) > 0.7 * 64

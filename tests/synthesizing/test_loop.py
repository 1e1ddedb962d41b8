"""The loop stops for the right reason, decides in brief order, and goes on after a kill as if nothing had happened."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.config import Synthesize
from proofset.errors import ModelError, ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models.scripted import ScriptedChat
from proofset.nouns.candidate import Brief, Candidate, Decision, Quota, Stop, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed, Spent
from proofset.nouns.evidence import Anchor, Evidence
from proofset.nouns.result import Usage, UsageBasis
from proofset.plugins import Reply, Request
from proofset.synthesizing.brief import Composer
from proofset.synthesizing.loop import FAILURES_IN_A_ROW, Panel, Past, Purse, SliceLoop, synthesize, whole

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


def dollar(usage: Usage) -> Usage:
    return replace(usage, usd=Decimal(1), basis=UsageBasis.OVERRIDE)


def play(
    model: ScriptedChat,
    settings: Synthesize = SETTINGS,
    *,
    past: Iterable[Event] = (),
    slices: Sequence[str] = ("edge",),
    purse: Purse | None = None,
    judge: type[Taste] = Taste,
) -> list[Event]:
    """Run the slices' loops to their end; what they told."""
    told: list[Event] = []
    pasts, purse, loops = Past.fold(past), purse or Purse(None, Decimal(0), dollar), []
    for name in slices:
        taste = judge()
        quota = Quota(slice=name, label=name, accepted=settings.quota, max_briefs=settings.max_briefs)
        loops.append(
            SliceLoop(
                quota=quota,
                composer=composer(quota, settings),
                model=model,
                settings=settings,
                purse=purse,
                panel=Panel(judges=[taste], remember=taste.remember),
                tell=told.append,
                past=pasts.get(name, Past()),
            )
        )
    asyncio.run(synthesize(loops, model.parallel))
    return told


def composer(quota: Quota, settings: Synthesize) -> Composer:
    def anchoring(fold: int, n: int, rng: random.Random) -> tuple[Anchor, ...]:
        return tuple(rng.sample(ANCHORS, min(n, len(ANCHORS))))

    return Composer(quota=quota, title="", anchoring=anchoring, evidence=Evidence(), folds=3, settings=settings, seed=7)


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
    assert len(model.requests) == len(of(Proposed, told)) == len(of(Spent, told)) == 8
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
    model, purse = ScriptedChat(unlike), Purse(Decimal(3), Decimal(0), dollar)
    model.parallel = 1
    told = play(model, settings(window=window), slices=("edge", "next"), purse=purse)
    in_flight = 4 if window == 4 else 3
    assert len(model.requests) == in_flight
    assert purse.spent == in_flight
    assert [(event.slice, event.stop) for event in of(SliceClosed, told)] == [
        ("edge", Stop.BUDGET), ("next", Stop.BUDGET),
    ]  # fmt: skip
    assert of(SliceClosed, told)[0].accepted == len(accepted(told)) == in_flight


def test_what_was_paid_before_is_judged_though_the_budget_is_gone() -> None:
    first = play(ScriptedChat(unlike), settings(window=2), purse=Purse(Decimal(4), Decimal(0), dollar))
    assert end(first).accepted == 4
    cut = [event for event in first if isinstance(event, Spent | Proposed)]
    model = ScriptedChat(unlike)
    told = play(model, settings(window=2), past=cut, purse=Purse(Decimal(4), Decimal(4), dollar))
    assert model.requests == []
    assert (end(told).accepted, end(told).stop) == (4, Stop.BUDGET)
    assert accepted([*cut, *told]) == accepted(first)


def test_a_purse_without_a_cap_is_never_empty() -> None:
    purse = Purse(None, Decimal("1e9"), dollar)
    purse.pay(Usage(model="m", stage="generate"))
    assert not purse.empty
    assert purse.spent == Decimal("1e9") + 1
    assert Purse(Decimal(0), Decimal(0), dollar).empty


def test_an_unpriced_reply_adds_nothing_and_stays_unpriced() -> None:
    purse = Purse(Decimal(1), Decimal(0), lambda usage: usage)
    assert purse.pay(Usage(model="m", stage="generate")).usd is None
    assert purse.spent == 0


@pytest.mark.parametrize("error", [ModelUnavailable("gone"), ReplyUnreadable("what?")])
def test_a_failed_call_closes_its_brief_and_not_the_run(error: ModelError) -> None:
    calls = iter(range(1000))

    def fails_twice(request: Request) -> str:
        if next(calls) in (1, 2):
            raise error
        return unlike(request)

    told = play(ScriptedChat(fails_twice), settings(window=1))
    assert [event.reason for event in of(BriefClosed, told)] == ["", "no reply", "no reply", "", "", "", ""]
    assert len(of(Spent, told)) == len(of(Proposed, told)) == 5
    assert end(told).stop is Stop.QUOTA_MET


def test_ten_failures_in_a_row_stop_the_run_with_the_error_itself() -> None:
    def gone(request: Request) -> str:
        raise ModelUnavailable("gone")

    model = ScriptedChat(gone)
    with pytest.raises(ModelUnavailable, match="gone"):
        play(model, settings(window=1, patience=50))
    assert len(model.requests) == FAILURES_IN_A_ROW == 10


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


def test_usage_names_the_slice_and_the_brief() -> None:
    told = play(ScriptedChat(unlike))
    proposed = {event.candidate.brief_id for event in of(Proposed, told)}
    assert {event.usage.brief_id for event in of(Spent, told)} == proposed
    assert {(event.usage.stage, event.usage.slice, event.usage.usd) for event in of(Spent, told)} == {
        ("generate", "edge", Decimal(1))
    }


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

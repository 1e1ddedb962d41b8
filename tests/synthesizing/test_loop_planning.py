"""With strategies, an adversary and watchers too the loop decides by what was closed: killed or not, it is the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from tests.synthesizing.looping import (
    Broke,
    Jittery,
    Nods,
    Reading,
    Unpaid,
    accepted,
    closings,
    end,
    longer_than,
    of,
    play,
    settings,
    unlike,
)

from proofset.errors import ConfigError, ModelUnavailable, ReplyUnreadable
from proofset.models.scripted import ScriptedChat
from proofset.nouns.candidate import Brief, Candidate, Decision, Stop, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed
from proofset.nouns.evidence import Anchor
from proofset.plugins import Judge, Request
from proofset.synthesizing.adversary import EVEN, Adversary
from proofset.synthesizing.approach import FALL, RISE
from proofset.synthesizing.brief import Rival
from proofset.synthesizing.generator import MISSHAPEN, KindGate, Shaped
from proofset.synthesizing.kinds.labelled import labelled
from proofset.synthesizing.kinds.question import Answer, Citation, question
from proofset.synthesizing.loop import LATEST


def rival(name: str) -> Rival:
    records = tuple(Anchor(f"{name}{n}", f"{name} text number {n} of another", name) for n in range(9))

    def anchoring(fold: int, n: int, rng: random.Random) -> tuple[Anchor, ...]:
        return tuple(rng.sample(records, min(n, len(records))))

    return Rival(f"things {name}", anchoring)


RIVALS = {name: rival(name) for name in ("near", "far")}
WAYS = settings(
    strategies=("few-shot", "titled", "free", "contrast", "crossing"), revisions=1, quota=14, max_briefs=60,
    patience=40, prompts_per_slice=20,
)  # fmt: skip


def by_prompt(request: Request) -> str:
    """Good, off label, too short or failing: as the words of the prompt say, and so by strategy."""
    draw = random.Random(f"{request.prompt}/{request.seed}/{request.sample}")
    kind = draw.random()
    if kind < 0.07:
        raise ReplyUnreadable("scripted: no reply")
    return f"{'poor' if kind < 0.35 else 'bad' if kind < 0.45 else 'good'} {draw.randrange(60)}"


class Confused:
    """A judge without memory: what says "poor" is taken for one of the rivals."""

    name = "confused"

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        poor = "poor" in candidate.text
        return Verdict(
            judge=self.name, candidate_id=candidate.id, decision=Decision.REJECT if poor else Decision.ACCEPT,
            reason="off label" if poor else "", evidence=(random.Random(candidate.text).choice(["near", "far"]),),
        )  # fmt: skip


class Fickle(Nods):
    """A reviewer that says something else each time it is asked."""

    def verdict(self, brief: Brief, candidate: Candidate) -> Verdict:
        kind = self._rng.random()
        if kind < 0.1:
            raise ReplyUnreadable("scripted: no opinion")
        reason = "off label" if kind < 0.3 else "unnatural" if kind < 0.45 else ""
        decision = Decision.REVISE if kind < 0.2 else Decision.REJECT if reason else Decision.ACCEPT
        return Verdict(
            judge=self.name, candidate_id=candidate.id, decision=decision, reason=reason,
            evidence=(self._rng.choice(["near", "far"]),),
        )  # fmt: skip


def by_text(text: str, label: str = "") -> float:
    return random.Random(f"{text}/{label}").random()


def worth(candidate: Candidate) -> float:
    return by_text(candidate.text)


def walk(model: ScriptedChat, *, jitter: int = 0, **given: Any) -> list[Event]:
    """The loop with everything there is: strategies, rivals, revisions, reviewers, an adversary, and what is new."""
    asked = {
        "slices": ("edge", "next"), "others": [Confused()], "reviewers": [Reading(jitter)], "rivals": RIVALS,
        "adversary": partial(Adversary, by_text, WAYS.quota, 0.6), "worth": worth, **given,
    }  # fmt: skip
    return play(model, WAYS, **asked)


def ways(events: Iterable[Event]) -> set[tuple[str, str]]:
    """(brief, strategy) of all that was proposed."""
    return {(event.candidate.brief_id, event.candidate.strategy) for event in of(Proposed, events)}


def same(log: list[Event], whole: list[Event]) -> None:
    assert closings(log) == closings(whole)  # the same briefs, by their ids, with the same ends
    assert ways(log) == ways(whole)
    assert accepted(log) == accepted(whole)
    assert sorted(of(SliceClosed, log), key=str) == sorted(of(SliceClosed, whole), key=str)


WHOLE = walk(ScriptedChat(by_prompt))

# ── strategies ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_example_has_every_strategy_and_every_outcome() -> None:
    assert {strategy for _, strategy in ways(WHOLE)} == set(WAYS.strategies)
    assert {event.reason for event in of(BriefClosed, WHOLE)} >= {
        "", "off label", "duplicate", "unnatural", "too easy", "no reply", "no verdict",
    }  # fmt: skip
    assert any(event.candidate.parent for event in of(Proposed, WHOLE))


@trying(max_examples=20)
@given(jitter=st.integers(0, 99), reading=st.integers(0, 99))
def test_approaches_do_not_depend_on_when_replies_and_reviews_arrive(jitter: int, reading: int) -> None:
    same(walk(Jittery(by_prompt, jitter), jitter=reading), WHOLE)


@trying(max_examples=20)
@given(cuts=st.lists(st.integers(0, len(WHOLE)), min_size=1, max_size=3), jitter=st.integers(0, 99))
def test_killed_anywhere_it_goes_about_the_rest_in_the_same_way(cuts: list[int], jitter: int) -> None:
    log = walk(Jittery(by_prompt, jitter), jitter=jitter)
    for cut in cuts:
        log = log[:cut]
        model = Jittery(by_prompt, jitter + 1)
        told = walk(model, jitter=jitter + 2, past=log)
        asked = {request.purpose.brief_id for request in model.requests if not request.sample}
        assert not asked & {event.candidate.brief_id for event in of(Proposed, log)}
        log = [*log, *told]
    same(log, WHOLE)


@trying(max_examples=20)
@given(halts=st.lists(st.integers(0, 90), min_size=1, max_size=3), jitter=st.integers(0, 99))
def test_halted_anywhere_it_goes_about_the_rest_in_the_same_way(halts: list[int], jitter: int) -> None:
    log: list[Event] = []
    for halt in (*halts, 10**9):
        log = [*log, *walk(Jittery(by_prompt, jitter), jitter=jitter, past=log, halted=longer_than(halt))]
    same(log, WHOLE)


@trying(max_examples=20)
@given(replies=st.integers(0, 90), jitter=st.integers(0, 99))
def test_with_more_money_it_goes_about_everything_as_if_it_had_been_rich(replies: int, jitter: int) -> None:
    poor = walk(Broke(by_prompt, replies), jitter=jitter)
    model = Jittery(by_prompt, jitter)
    told = walk(model, earlier=poor)  # another budget is another key: what was decided is decided again
    same(told, WHOLE)
    assert {event.candidate.id for event in of(Proposed, told)} == {event.candidate.id for event in of(Proposed, WHOLE)}
    paid = {event.candidate.brief_id for event in of(Proposed, poor)}
    assert not paid & {request.purpose.brief_id for request in model.requests if not request.sample}


def test_what_pays_is_written_more_often() -> None:
    def titled_alone(request: Request) -> str:
        good = request.prompt.rpartition("\n")[2].startswith("- things")
        return f"{'good' if good else 'bad'} {request.seed}"

    asked = settings(strategies=("few-shot", "titled"), quota=60, max_briefs=200, patience=200, prompts_per_slice=100)
    told = play(ScriptedChat(titled_alone), asked)
    late = [event.candidate.strategy for event in of(Proposed, told)][-40:]
    assert end(told).stop is Stop.QUOTA_MET
    assert late.count("titled") > 30


def test_an_unknown_strategy_ends_the_run_with_its_name() -> None:
    with pytest.raises(ConfigError, match="no strategy is called 'clever'"):
        play(ScriptedChat(unlike), settings(strategies=("clever",)))


# ── kinds that are asked in turns ───────────────────────────────────────────────────────────────────────────────────


class Replies:
    """Answers in the shape of a question, or with prose where the request's seed says so; remembers what was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> Shaped:
        self.requests.append(request)
        draw = random.Random(f"{request.messages}/{request.seed}")
        if draw.random() < 0.2:
            return Shaped(None, "not json: hm")
        says = f"{draw.choice(['good', 'bad', 'poor'])} {draw.randrange(60)}"
        return Shaped(Answer(citations=(Citation(fact="a | b | c"),), question="What?", answer=says))


def in_turns(replies: Replies, past: list[Event]) -> list[Event]:
    asked = WAYS.model_copy(update={"quota": 12, "prompts_per_slice": 15})
    judges: list[Judge] = [
        KindGate(labelled),
        Confused(),
    ]  # there is no evidence to cite: no more is asked than some text
    return play(ScriptedChat(unlike), asked, past=past, kind=question, ask=replies, others=judges, rivals=RIVALS)


def test_what_was_refused_and_why_goes_back_into_the_next_briefs() -> None:
    replies = Replies()
    told = in_turns(replies, [])
    assert end(told).stop is Stop.QUOTA_MET
    lessons = [request.messages[1].content.partition("refused lately")[2] for request in replies.requests]
    assert not any(lessons[:4])  # nothing is known yet
    assert any("it belonged to things near and not here" in each for each in lessons)
    assert any("it repeated one that was there already" in each for each in lessons)
    assert {event.reason for event in of(BriefClosed, told)} >= {"", "off label", "duplicate", MISSHAPEN}
    assert all(event.candidate.content or event.candidate.finish == MISSHAPEN for event in of(Proposed, told))


@trying(max_examples=20)
@given(cut=st.integers(0, 100))
def test_killed_anywhere_it_asks_for_the_rest_in_the_same_words(cut: int) -> None:
    first, again = Replies(), Replies()
    whole = in_turns(first, [])
    log = whole[:cut]
    told = in_turns(again, log)
    same([*log, *told], whole)
    assert {request.messages for request in again.requests} <= {request.messages for request in first.requests}
    known = {event.candidate.brief_id for event in of(Proposed, log)}
    assert not known & {request.purpose.brief_id for request in again.requests if not request.sample}


# ── reviewers that cannot be relied on ──────────────────────────────────────────────────────────────────────────────


@trying(max_examples=15)
@given(cuts=st.lists(st.integers(0, 120), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_one_that_contradicts_itself_on_repeat_leaves_a_log_that_agrees_with_itself(cuts: list[int], seed: int) -> None:
    reader, log = Fickle(seed), list[Event]()
    for cut in (*cuts, None):
        log = [*log, *walk(Jittery(by_prompt, seed), past=log, reviewers=[reader])][:cut]
    for name, closed in closings(log).items():
        assert [event.number for event in closed] == list(range(len(closed)))
        (ended,) = [event for event in of(SliceClosed, log) if event.slice == name]
        assert ended.accepted == sum(event.winner is not None for event in closed) <= WAYS.quota
    model = ScriptedChat(by_prompt)
    unended = [event for event in log if not isinstance(event, SliceClosed)]
    told = walk(model, past=unended, reviewers=[reader])
    assert model.requests == []  # every brief is opened again as it was, and found closed
    assert sorted(told, key=str) == sorted(of(SliceClosed, log), key=str)


@pytest.mark.parametrize("after", [0, 1, 7])
def test_one_that_goes_away_stops_the_run_and_no_brief_is_closed_for_it(after: int) -> None:
    class Leaves(Nods):
        def verdict(self, brief: Brief, candidate: Candidate) -> Verdict:
            if len(self.seen) > after:
                gone = ModelUnavailable("refused")
                gone.unsent = True
                raise gone
            return super().verdict(brief, candidate)

    log: list[Event] = []
    with pytest.raises(ModelUnavailable, match="refused"):
        walk(ScriptedChat(by_prompt), reviewers=[Leaves()], told=log)
    assert of(SliceClosed, log) == []
    assert "no verdict" not in {event.reason for event in of(BriefClosed, log)}
    same([*log, *walk(ScriptedChat(by_prompt), reviewers=[Nods()], past=log)],
         walk(ScriptedChat(by_prompt), reviewers=[Nods()]))  # fmt: skip


@pytest.mark.parametrize(("says", "accepts"), [(Decision.ACCEPT, 5), (Decision.REJECT, 0), (Decision.REVISE, 0)])
def test_one_that_says_the_same_of_everything_is_believed(says: Decision, accepts: int) -> None:
    class Stubborn(Nods):
        def verdict(self, brief: Brief, candidate: Candidate) -> Verdict:
            reason = "" if says is Decision.ACCEPT else "unnatural"
            return Verdict(judge=self.name, candidate_id=candidate.id, decision=says, reason=reason)

    told = play(ScriptedChat(unlike), reviewers=[Stubborn()])
    assert end(told).accepted == accepts
    assert end(told).stop is (Stop.QUOTA_MET if accepts else Stop.PATIENCE)


# ── the adversary ───────────────────────────────────────────────────────────────────────────────────────────────────


def easy_unless_hard(text: str, label: str) -> float:
    return 0.1 if "hard" in text else 0.9


def test_easy_ones_are_refused_once_their_places_are_gone() -> None:
    numbers = iter(range(1000))

    def sometimes_hard(request: Request) -> str:
        number = next(numbers)
        return f"{'hard' if number % 4 == 3 else 'easy'} {number}"

    told = play(
        ScriptedChat(sometimes_hard), settings(quota=6, max_briefs=40, patience=40, window=1),
        adversary=partial(Adversary, easy_unless_hard, 6, 0.5),
    )  # fmt: skip
    texts = [text for _, text in accepted(told)]
    assert ["hard" in text for text in texts] == [False, False, False, True, True, True]
    reasons = [event.reason for event in of(BriefClosed, told)]
    assert set(reasons) == {"", "too easy"} and reasons[:3] == [""] * 3
    scores = [dict(event.verdict.scores)["student"] for event in of(Judged, told)]
    assert set(scores) == {0.1, 0.9} and len(scores) == len(reasons)


STEPS = settings(
    strategies=("few-shot", "contrast", "crossing"), quota=40, max_briefs=90, patience=90, prompts_per_slice=90,
    window=1,
)  # fmt: skip


def strategies(events: Iterable[Event]) -> list[str]:
    found = {event.candidate.brief_id: event.candidate.strategy for event in of(Proposed, events)}
    return [found[event.brief_id] for event in of(BriefClosed, events)]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_briefs_become_harder_while_the_student_knows_accepted_or_not(share: float) -> None:
    told = play(
        ScriptedChat(unlike), STEPS, rivals=RIVALS, adversary=partial(Adversary, easy_unless_hard, STEPS.quota, share)
    )
    assert end(told).accepted == (0 if share else STEPS.quota)
    found = strategies(told)
    assert found[0] == "few-shot"
    assert "few-shot" not in found[RISE:]
    assert set(found[2 * RISE :]) == {"crossing"}


def test_what_the_student_gets_wrong_is_hard_enough() -> None:
    told = play(
        ScriptedChat(lambda request: f"hard {request.seed}"), STEPS, rivals=RIVALS,
        adversary=partial(Adversary, easy_unless_hard, STEPS.quota, 1.0),
    )  # fmt: skip
    assert end(told).stop is Stop.QUOTA_MET
    assert "few-shot" in strategies(told)[RISE:]


def test_briefs_become_easier_when_nobody_can_write_them() -> None:
    def falls_short(request: Request) -> str:
        plain = request.prompt.startswith("Real examples of things:") and "- things:" not in request.prompt
        return f"{'good' if plain else 'bad'} {request.seed}"

    told = play(
        ScriptedChat(falls_short), STEPS, rivals=RIVALS,
        adversary=partial(Adversary, easy_unless_hard, STEPS.quota, 0.0),
    )  # fmt: skip
    found = strategies(told)
    first = next(
        place for place in range(3, len(found)) if set(found[place : place + FALL]) <= {"contrast", "crossing"}
    )
    assert "few-shot" in found[first + FALL :]


def test_what_was_accepted_beyond_an_open_brief_takes_its_place_among_the_easy() -> None:
    asked = settings(quota=6, patience=60, window=4)
    hostile = partial(Adversary, easy_unless_hard, 6, 0.5)
    poor = play(ScriptedChat(unlike), asked, reviewers=[Unpaid(turns=1)], adversary=hostile)
    assert [(event.number, event.reason) for event in of(BriefClosed, poor)] == [(0, ""), (2, ""), (3, "")]
    killed = [event for event in poor if not isinstance(event, SliceClosed)]
    told = play(ScriptedChat(unlike), asked, past=killed, reviewers=[Nods(turns=1)], adversary=hostile)
    opened = next(event for event in of(BriefClosed, told) if event.number == 1)
    assert opened.reason == "too easy"
    assert len(accepted([*killed, *told])) == 3  # as many easy ones as there are places


@trying(max_examples=15)
@given(share=st.floats(0, 1))
def test_at_least_the_share_of_the_accepted_is_hard(share: float) -> None:
    told = walk(ScriptedChat(by_prompt), adversary=partial(Adversary, by_text, WAYS.quota, share))
    for name in ("edge", "next"):
        easy = [text for slice_name, text in accepted(told) if slice_name == name and by_text(text, name) >= EVEN]
        assert len(easy) <= WAYS.quota * (1 - share) + 1e-6


# ── why it ends ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_slice_whose_generator_only_repeats_itself_ends_by_patience_and_says_why() -> None:
    model = ScriptedChat(lambda request: "good 1")
    told = play(model, settings(strategies=("few-shot", "titled", "free"), patience=12))
    assert (end(told).stop, end(told).accepted) == (Stop.PATIENCE, 1)
    reasons = [event.reason for event in of(BriefClosed, told)]
    assert reasons == ["", *["duplicate"] * (len(reasons) - 1)]
    assert {event.verdict.reason for event in of(Judged, told)} == {"duplicate"}
    assert len(model.requests) <= 1 + 12 + 4


def one_in(n: int) -> Callable[[Request], str]:
    return lambda request: f"{'good' if request.seed % n == 0 else 'bad'} {request.seed}"


def test_a_slice_that_yields_surely_too_little_is_given_up() -> None:
    asked = settings(quota=100, max_briefs=300, patience=300, prompts_per_slice=2)
    assert end(play(ScriptedChat(one_in(10)), asked)).stop is Stop.BRIEFS_SPENT
    told = play(ScriptedChat(one_in(10)), asked.model_copy(update={"min_yield": 0.5}))
    assert end(told).stop is Stop.MARGINAL
    assert LATEST <= len(of(BriefClosed, told)) <= LATEST + 4
    rich = play(ScriptedChat(one_in(1)), asked.model_copy(update={"min_yield": 0.5}))
    assert end(rich).stop is Stop.QUOTA_MET


class Watch:
    """Says so at the n-th text, and remembers all it was told."""

    def __init__(self, n: int) -> None:
        self._n, self.told = n, list[str]()

    def __call__(self, text: str) -> bool:
        self.told.append(text)
        return len(self.told) >= self._n


def test_a_watcher_ends_a_slice_and_what_is_in_flight_is_kept() -> None:
    viable = play(ScriptedChat(unlike), settings(quota=20), enough=Watch(3))
    collapsed = play(ScriptedChat(unlike), settings(quota=20), collapsing=Watch(3))
    for told, stop in ((viable, Stop.VIABLE), (collapsed, Stop.COLLAPSE)):
        assert (end(told).stop, end(told).accepted) == (stop, 3 - 1 + 4)  # the third, and the rest of the window
        assert len(accepted(told)) == end(told).accepted


def test_the_first_reason_to_stop_is_the_one_that_is_told() -> None:
    both = play(ScriptedChat(unlike), settings(quota=20), enough=Watch(3), collapsing=Watch(3))
    assert end(both).stop is Stop.COLLAPSE
    assert end(play(ScriptedChat(unlike), settings(quota=20), enough=Watch(2), collapsing=Watch(4))).stop is Stop.VIABLE
    assert end(play(ScriptedChat(unlike), settings(quota=3), enough=Watch(3))).stop is Stop.QUOTA_MET


@given(cut=st.integers(0, 60))
def test_watchers_are_told_the_same_in_the_same_order_after_a_kill(cut: int) -> None:
    def watched(past: list[Event]) -> tuple[list[Event], list[list[str]]]:
        enough, collapsing, valued = Watch(9), Watch(9), Watch(99)
        told = play(
            ScriptedChat(by_prompt), settings(quota=20, max_briefs=60, patience=60), past=past, enough=enough,
            collapsing=collapsing, worth=lambda candidate: float(valued(candidate.text)),
        )  # fmt: skip
        return told, [collapsing.told, enough.told, valued.told]

    whole, seen = watched([])
    told, again = watched(whole[:cut])
    assert cut >= len(whole) or (again == seen and closings([*whole[:cut], *told]) == closings(whole))
    assert seen[2] == [text for _, text in accepted(whole)] == seen[0]

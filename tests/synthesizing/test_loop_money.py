"""What the loop spends: it stops where the money does, and opens no more briefs than it is likely to need."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.synthesizing.looping import (
    SETTINGS,
    Broke,
    Jittery,
    Nods,
    PaidFor,
    Paying,
    Reading,
    Taste,
    Unpaid,
    accepted,
    closings,
    composer,
    end,
    mixed,
    of,
    play,
    settings,
    unlike,
)

from proofset.config import Synthesize
from proofset.models.purse import NOTHING, Caps, Purse
from proofset.models.scripted import ScriptedChat
from proofset.nouns.candidate import Quota, Stop
from proofset.nouns.event import BriefClosed, Event, Proposed, SliceClosed
from proofset.plugins import Reply, Request, Reviewer
from proofset.synthesizing.generator import Generator
from proofset.synthesizing.loop import FEWEST_OPEN, Panel, SliceLoop, synthesize
from proofset.synthesizing.past import Past

# ── money ───────────────────────────────────────────────────────────────────────────────────────────────────────────


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
                quota=quota, composer=composer(quota, few), generator=Generator(model=model, sampling=few.sampling),
                settings=few, panel=panel, tell=told.append, past=past,
            )
        )  # fmt: skip
    asyncio.run(synthesize(loops, model.parallel))
    return told


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


# ── how many are open ───────────────────────────────────────────────────────────────────────────────────────────────


def slice_loop(quota: int, max_briefs: int, window: int) -> SliceLoop:
    asked = settings(quota=quota, max_briefs=max_briefs, window=window)
    of_slice = Quota(slice="edge", label="edge", accepted=quota, max_briefs=max_briefs)
    return SliceLoop(
        quota=of_slice,
        composer=composer(of_slice, asked),
        generator=Generator(model=ScriptedChat(unlike), sampling=asked.sampling),
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

"""What tests of the loop share: models and judges that play a part, the loop played to its end, and what it told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from proofset.config import Synthesize
from proofset.errors import BudgetSpent, ReplyUnreadable
from proofset.models.purse import Amount, Purse
from proofset.models.scripted import ScriptedChat
from proofset.nouns.candidate import Brief, Candidate, Decision, Quota, Verdict
from proofset.nouns.event import BriefClosed, Event, Proposed, SliceClosed
from proofset.nouns.evidence import Anchor, Evidence
from proofset.plugins import Judge, Kind, Reply, Request, Reviewer
from proofset.synthesizing.adversary import Adversary
from proofset.synthesizing.brief import Composer, Rival
from proofset.synthesizing.generator import AskShaped, Generator
from proofset.synthesizing.kinds.labelled import labelled
from proofset.synthesizing.loop import Panel, SliceLoop, Streak, synthesize
from proofset.synthesizing.past import Past

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


class Unpaid(Nods):
    """A reviewer whose budget is used up for every third text."""

    def verdict(self, brief: Brief, candidate: Candidate) -> Verdict:
        if brief.number % 3 == 1:
            raise BudgetSpent("the budget is used up")
        return super().verdict(brief, candidate)


DOLLAR = Amount(Decimal(1), 1, 1)
"""A dollar, a token and a call."""


class Paying(ScriptedChat):
    """Pays a dollar a reply out of a real purse, which keeps as much for judging it."""

    parallel = 8

    def __init__(self, purse: Purse, answer: Callable[[Request], str] = unlike) -> None:
        super().__init__(answer)
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


def play(
    model: ScriptedChat,
    settings: Synthesize = SETTINGS,
    *,
    past: Iterable[Event] = (),
    earlier: Iterable[Event] = (),
    slices: Sequence[str] = ("edge",),
    judge: type[Taste] = Taste,
    reviewers: Sequence[Reviewer] = (),
    others: Sequence[Judge] = (),
    settled: Callable[[str], None] = lambda brief_id: None,
    halted: Callable[[list[Event]], bool] = lambda told: False,
    told: list[Event] | None = None,
    seed: int = 7,
    rivals: Mapping[str, Rival] = {},
    kind: Kind = labelled,
    ask: AskShaped | None = None,
    adversary: Callable[[], Adversary] | None = None,
    collapsing: Callable[[str], bool] = lambda text: False,
    enough: Callable[[str], bool] = lambda text: False,
    worth: Callable[[Candidate], float] = lambda candidate: 1.0,
) -> list[Event]:
    """Run the slices' loops to their end, or for 20 seconds; what they told."""
    told = [] if told is None else told
    pasts, loops, streak = Past.fold(past, earlier), [], Streak()
    for name in slices:
        taste, watcher = judge(), adversary() if adversary else None
        quota = Quota(slice=name, label=name, accepted=settings.quota, max_briefs=settings.max_briefs)
        loops.append(
            SliceLoop(
                quota=quota,
                composer=composer(quota, settings, seed, rivals, kind),
                generator=Generator(model=model, sampling=settings.sampling, kind=kind, ask=ask),
                settings=settings,
                panel=panel(taste, others, reviewers, watcher),
                tell=told.append,
                settled=settled,
                halted=lambda: halted(told),
                streak=streak,
                adversary=watcher,
                past=pasts.get(name, Past()),
                collapsing=collapsing,
                enough=enough,
                worth=worth,
            )
        )

    async def ends() -> None:
        try:
            await asyncio.wait_for(synthesize(loops, model.parallel), 20)
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}, "something was left running"

    asyncio.run(ends())
    return told


def panel(
    taste: Taste, others: Sequence[Judge] = (), reviewers: Sequence[Reviewer] = (), adversary: Adversary | None = None
) -> Panel:
    """The judges as a walk puts them together: what is accepted is told to all who have to know."""

    def remember(candidate_id: str, text: str) -> None:
        taste.remember(candidate_id, text)
        if adversary is not None:
            adversary.remember(candidate_id)

    judges = [taste, *others, *([adversary] if adversary else [])]
    stateful = frozenset({taste.name, Adversary.name})
    return Panel(judges=judges, remember=remember, stateful=stateful, reviewers=reviewers)


def composer(
    quota: Quota, settings: Synthesize, seed: int = 7, rivals: Mapping[str, Rival] = {}, kind: Kind = labelled
) -> Composer:
    def anchoring(fold: int, n: int, rng: random.Random) -> tuple[Anchor, ...]:
        return tuple(rng.sample(ANCHORS, min(n, len(ANCHORS))))

    return Composer(
        quota=quota,
        title="things",
        anchoring=anchoring,
        evidence=Evidence(),
        folds=3,
        settings=settings,
        seed=seed,
        rivals=rivals,
        kind=kind,
    )


def settings(**changes: Any) -> Synthesize:
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


def longer_than(n_told: int) -> Callable[[list[Event]], bool]:
    """Halts when so many events were told."""
    return lambda told: len(told) >= n_told

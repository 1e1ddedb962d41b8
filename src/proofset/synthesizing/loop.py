"""The loop: propose, judge, close, until the quota is met or the slice is given up.

Briefs of a slice are numbered, and every decision is taken in that order, never in order of arrival: brief ``k`` is
opened by the closing of brief ``k - window``, and judged after brief ``k - 1`` was closed. So a killed and resumed run
takes the same decisions as one that was left alone, given the same replies. The loop tells what happens and keeps
nothing; what it is told of the past comes from the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from proofset.config import Synthesize
from proofset.errors import BudgetSpent, ModelError, ModelRefused, ModelUnavailable
from proofset.nouns.candidate import Brief, Candidate, Decision, Quota, Stop, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed
from proofset.nouns.record import content_id
from proofset.plugins import ChatModel, Judge, Purpose, Request, Reviewer
from proofset.synthesizing.brief import Composer

FAILURES_IN_A_ROW = 10
"""Briefs that may fail one after the other before the run stops: by then the model is gone, not unlucky."""
FEWEST_OPEN = 8
"""Briefs that may be open however few records are still wanted."""
SPARE = 1.25
"""Briefs open for each that is likely to be needed, at the yield so far."""
TRUSTED = 8
"""Accepted briefs that the yield so far starts from: after the first few closings it is a guess, and a bad one dear."""
ONE_REQUEST = (400, 413, 422)
"""Statuses by which a server refuses one request and not the one who asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The judges in order, those that are waited for after them, and whom to tell of an accepted candidate."""

    judges: Sequence[Judge]
    remember: Callable[[str, str], None]
    """Called with (id, text) of each accepted candidate."""
    stateful: frozenset[str] = frozenset()
    """Names of the judges whose verdict depends on what was accepted before: asked at the closing alone."""
    reviewers: Sequence[Reviewer] = ()
    """Asked as soon as there is a candidate that no stateless judge refuses, many at once."""


@dataclass(slots=True)
class Past:
    """What the log already holds of a slice."""

    proposed: dict[str, Candidate] = field(default_factory=dict)
    """Candidates by brief id."""
    answered: dict[str, Candidate] = field(default_factory=dict)
    """The same from before the settings changed: an equal brief is not asked again, only judged again."""
    closed: dict[str, BriefClosed] = field(default_factory=dict)
    """Closings by brief id."""
    finished: bool = False

    @property
    def accepted(self) -> int:
        """Records that were accepted."""
        return sum(closing.winner is not None for closing in self.closed.values())

    def knows(self, brief: Brief) -> bool:
        """Whether the brief was answered or closed already, so that it need not be asked, or paid for, again."""
        return brief.id in self.proposed or brief.id in self.closed or brief.id in self.answered

    @classmethod
    def fold(cls, events: Iterable[Event], earlier: Iterable[Event] = ()) -> dict[str, Past]:
        """The past of every slice: ``events`` of this walk of the loop, and ``earlier`` ones under other settings."""
        pasts: dict[str, Past] = {}
        for event in earlier:
            if isinstance(event, Proposed):
                pasts.setdefault(event.candidate.slice, cls()).answered[event.candidate.brief_id] = event.candidate
        for event in events:
            match event:
                case Proposed(candidate=candidate):
                    pasts.setdefault(candidate.slice, cls()).proposed[candidate.brief_id] = candidate
                case BriefClosed():
                    pasts.setdefault(event.slice, cls()).closed[event.brief_id] = event
                case SliceClosed():
                    pasts.setdefault(event.slice, cls()).finished = True
                case _:
                    pass
        return pasts


@dataclass(slots=True)
class Tried:
    """What is known of a brief when its turn to be closed comes."""

    candidate: Candidate | None
    why: str = ""
    """Why there is no candidate."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """Verdicts so far, by judge."""
    unpaid: bool = False
    """Whether the budget did not reach; the brief stays open, and a later walk with more money takes it up."""


@dataclass(slots=True)
class Streak:
    """Briefs that failed one after the other, whichever slice they are of: small slices end before they have ten."""

    failed: int = 0


@dataclass(kw_only=True)
class SliceLoop:
    """One slice's loop; ``run`` takes it to its end."""

    quota: Quota
    composer: Composer
    model: ChatModel
    panel: Panel
    settings: Synthesize
    tell: Callable[[Event], None]
    past: Past
    settled: Callable[[str], None] = lambda brief_id: None
    """Called with the id of a brief for which nothing more will be paid."""
    halted: Callable[[], bool] = lambda: False
    """Whether to open nothing more, finish what is in flight, and leave the slice unfinished."""
    streak: Streak = field(default_factory=Streak)
    """Shared by all slices that one model speaks for."""
    collapsing: Callable[[str], bool] = lambda text: False
    """Told of each accepted text, in order; whether the accepted ones have lost too much of what organic ones have."""
    accepted: int = 0
    refused_in_a_row: int = 0
    _alarmed: bool = False
    _ahead: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Open briefs while there is need, close them in order, and say why it ended.

        What one brief fails of ends the others at once, and is raised in a group.
        """
        if self.past.finished:
            return
        self._look_ahead()
        async with asyncio.TaskGroup() as briefs:
            stop = await self._go_through(briefs)
        if stop is None and self.halted():
            return
        self.tell(
            SliceClosed(
                slice=self.quota.slice,
                accepted=self.accepted,
                quota=self.quota.accepted,
                stop=stop or Stop.BRIEFS_SPENT,
            )
        )

    async def _go_through(self, briefs: asyncio.TaskGroup) -> Stop | None:
        """Open and close briefs until none is left open; why no more were opened, None where there were no more.

        None as well where a brief was held back, whatever the others came to: a run left alone would have closed it.
        """
        opened: dict[int, tuple[Brief, asyncio.Task[Tried]]] = {}
        next_to_open = next_to_close = 0
        stop: Stop | None = None
        held_back = False
        while True:
            while stop is None and not held_back and next_to_open < self._open_until(next_to_close):
                if held_back := self.halted():
                    break
                brief = self.composer.brief(next_to_open)
                opened[next_to_open] = brief, briefs.create_task(self._try(brief))
                next_to_open += 1
            if not opened:
                return None if held_back else stop
            brief, task = opened.pop(next_to_close)
            tried = await task
            if tried.unpaid:
                stop = stop or Stop.BUDGET
            else:
                self._close(brief, tried)
            next_to_close += 1
            stop = stop or self._stop(next_to_close)

    def _look_ahead(self) -> None:
        """Remember what was accepted beyond a brief that a spent budget left open: it is to be no copy of that."""
        closings = sorted(self.past.closed.values(), key=lambda closing: closing.number)
        for place, closing in enumerate(closings):
            if closing.number > place and closing.winner is not None:
                candidate = self.past.proposed[closing.brief_id]
                self._ahead.add(candidate.id)
                self.panel.remember(candidate.id, candidate.text)

    def _open_until(self, n_closed: int) -> int:
        """The number before which briefs may be open: the window, but not many more than are likely to be needed.

        It depends on what was closed and on nothing else, so it is the same in every run.
        """
        wanted = self.quota.accepted - self.accepted
        likely = SPARE * wanted * (n_closed + TRUSTED) / (self.accepted + TRUSTED)
        return min(
            n_closed + min(self.settings.briefs_in_flight, max(FEWEST_OPEN, ceil(likely))), self.quota.max_briefs
        )

    def _stop(self, n_closed: int) -> Stop | None:
        if self.accepted >= self.quota.accepted:
            return Stop.QUOTA_MET
        if self._alarmed:
            return Stop.COLLAPSE
        if self.refused_in_a_row >= self.settings.patience:
            return Stop.PATIENCE
        return Stop.BRIEFS_SPENT if n_closed >= self.quota.max_briefs else None

    async def _try(self, brief: Brief) -> Tried:
        """Have the brief answered and, where reviewers are to be waited for, reviewed."""
        tried = Tried(None)
        try:
            if brief.id in self.past.closed:
                return Tried(self.past.proposed.get(brief.id))
            tried.candidate = self._known(brief) or await self._proposed(brief)
            if self.panel.reviewers:
                await self._review(brief, tried.candidate, tried)
            self.streak.failed = 0
            return tried
        except BudgetSpent:
            return Tried(None, unpaid=True)
        except ModelError as error:
            if (isinstance(error, ModelRefused) and error.status not in ONE_REQUEST) or _nobody_there(error):
                raise
            self.streak.failed += 1
            if self.streak.failed >= FAILURES_IN_A_ROW:
                raise
            return replace(tried, why="no reply" if tried.candidate is None else "no verdict")
        finally:
            self.settled(brief.id)

    def _known(self, brief: Brief) -> Candidate | None:
        """The brief's candidate out of the log, where it is there."""
        if (candidate := self.past.proposed.get(brief.id)) is not None:
            return candidate
        if (candidate := self.past.answered.get(brief.id)) is not None:
            self.tell(Proposed(candidate=candidate, number=brief.number))
        return candidate

    async def _proposed(self, brief: Brief) -> Candidate:
        """The candidate that the model writes."""
        sampling = self.settings.sampling
        reply = await self.model.reply(
            Request(
                prompt=brief.prompt,
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=sampling.top_k,
                min_p=sampling.min_p,
                seed=brief.seed,
                stop=("\n",),
                shared_chars=brief.shared_chars,
                purpose=Purpose("generate", brief.slice, brief.id),
            )
        )
        text, finish = whole(" ".join(f"{brief.opening} {reply.text.strip()}".split()), reply.finish)
        candidate = Candidate(
            id=content_id("candidate", brief.id, text),
            brief_id=brief.id,
            slice=brief.slice,
            text=text,
            label=brief.label,
            unseen_fold=brief.unseen_fold,
            finish=finish,
        )
        self.tell(Proposed(candidate=candidate, number=brief.number))
        return candidate

    async def _review(self, brief: Brief, candidate: Candidate, tried: Tried) -> None:
        """Ask the reviewers, unless a judge who needs to know nothing else refuses: those cost nothing."""
        for judge in self.panel.judges:
            if judge.name not in self.panel.stateful:
                verdict = tried.verdicts[judge.name] = judge.judge(brief, candidate)
                if verdict.decision is Decision.REJECT:
                    return
        for reviewer in self.panel.reviewers:
            verdict = tried.verdicts[reviewer.name] = await reviewer.review(brief, candidate)
            if verdict.decision is Decision.REJECT:
                return

    def _close(self, brief: Brief, tried: Tried) -> None:
        """Judge the candidate and commit; a brief the log has closed already keeps its outcome."""
        closing = self.past.closed.get(brief.id)
        if closing is None:
            winner, reason = self._judged(brief, tried)
            closing = BriefClosed(
                brief_id=brief.id, slice=brief.slice, number=brief.number, winner=winner, reason=reason
            )
            self.tell(closing)
        if closing.winner is not None and tried.candidate is not None:
            if tried.candidate.id not in self._ahead:
                self.panel.remember(tried.candidate.id, tried.candidate.text)
            self.accepted, self.refused_in_a_row = self.accepted + 1, 0
            self._alarmed = self.collapsing(tried.candidate.text)
        elif closing.reason != "surplus":
            self.refused_in_a_row += 1

    def _judged(self, brief: Brief, tried: Tried) -> tuple[str | None, str]:
        """The id of the accepted candidate, or None and the reason."""
        candidate = tried.candidate
        if candidate is None or tried.why:
            return None, tried.why or "no reply"
        for judge in self.panel.judges:
            verdict = tried.verdicts.get(judge.name) or judge.judge(brief, candidate)
            if not self._passes(verdict):
                return None, verdict.reason
        for reviewer in self.panel.reviewers:
            if not self._passes(tried.verdicts[reviewer.name]):
                return None, tried.verdicts[reviewer.name].reason
        if self.accepted >= self.quota.accepted:  # opened before the quota was met: good, but not asked for
            return None, "surplus"
        return candidate.id, ""

    def _passes(self, verdict: Verdict) -> bool:
        """Whether the judge lets the candidate pass; what it has to say is told."""
        if verdict.decision is Decision.REJECT or verdict.scores:
            self.tell(Judged(verdict=verdict))
        return verdict.decision is not Decision.REJECT


def _nobody_there(error: ModelError) -> bool:
    """Whether there is no server at all: no brief can be blamed for that, and none is closed for it."""
    return isinstance(error, ModelUnavailable) and error.unsent


def whole(text: str, finish: str) -> tuple[str, str]:
    """A text that was cut off, back to its last full sentence where that keeps half of it; paid for is paid for."""
    if finish == "length":
        end = max(text.rfind(mark) for mark in ".!?")
        if end + 1 >= len(text) / 2:
            return text[: end + 1], "trimmed"
    return text, finish


async def synthesize(loops: Sequence[SliceLoop], parallel: int) -> None:
    """Run slices side by side, as many as keep ``parallel`` calls in flight; one slice's failure stops them all.

    Raises the first failure itself, not a group of failures.
    """
    waiting = iter(loops)

    async def worker() -> None:
        for each in waiting:
            await each.run()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_side_by_side(loops, parallel)):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


def _side_by_side(loops: Sequence[SliceLoop], parallel: int) -> int:
    """Slices to run at once: enough briefs to fill the model, though some wait for their turn to be closed."""
    needed = parallel * (2 if loops and loops[0].settings.model.base_url else 1)
    for number, each in enumerate(loops, start=1):
        needed -= each._open_until(0)
        if needed <= 0:
            return number
    return max(1, len(loops))

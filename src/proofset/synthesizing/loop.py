"""The loop: propose, judge, close, until the quota is met or the slice is given up.

Briefs of a slice are numbered, and every decision is taken in that order, never in order of arrival: brief ``k`` is
opened by the closing of brief ``k - window``, and judged after brief ``k - 1`` was closed. So a killed and resumed run
takes the same decisions as one that was left alone, given the same replies. The loop tells what happens and keeps
nothing; what it is told of the past comes from the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from proofset.config import Synthesize
from proofset.errors import BudgetSpent, ModelError, ModelRefused, ModelUnavailable
from proofset.nouns.candidate import Brief, Candidate, Decision, Quota, Stop, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed
from proofset.plugins import Judge, Reviewer
from proofset.synthesizing.adversary import EVEN, TOO_EASY, Adversary
from proofset.synthesizing.approach import Planner
from proofset.synthesizing.brief import Composer
from proofset.synthesizing.generator import REVISABLE, Generator
from proofset.synthesizing.past import Past
from proofset.synthesizing.planning import spent_out
from proofset.synthesizing.strategies import named

FAILURES_IN_A_ROW = 10
"""Briefs that may fail one after the other before the run stops: by then the model is gone, not unlucky."""
FEWEST_OPEN = 8
"""Briefs that may be open however few records are still wanted."""
SPARE = 1.25
"""Briefs open for each that is likely to be needed, at the yield so far."""
TRUSTED = 8
"""Accepted briefs that the yield so far starts from: after the first few closings it is a guess, and a bad one dear."""
LATEST = 64
"""Briefs over which the yield of late is taken."""
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
class Tried:
    """What is known of a brief when its turn to be closed comes."""

    candidate: Candidate | None
    why: str = ""
    """Why there is no candidate."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """Verdicts so far, by judge."""
    refusal: Verdict | None = None
    """The verdict that refused it."""
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
    generator: Generator
    panel: Panel
    settings: Synthesize
    tell: Callable[[Event], None]
    past: Past
    settled: Callable[[str], None] = lambda brief_id: None
    """Called with the id of a brief for which nothing more will be paid, or nothing until its revision is asked for."""
    halted: Callable[[], bool] = lambda: False
    """Whether to open nothing more, finish what is in flight, and leave the slice unfinished."""
    streak: Streak = field(default_factory=Streak)
    """Shared by all slices that one model speaks for."""
    collapsing: Callable[[str], bool] = lambda text: False
    """Told of each accepted text, in order; whether the accepted ones have lost too much of what organic ones have."""
    worth: Callable[[Candidate], float] = lambda candidate: 1.0
    """Told of each accepted candidate, in order; what it is worth to the slice, in [0, 1]."""
    enough: Callable[[str], bool] = lambda text: False
    """Told of each accepted text, in order; whether the accepted ones do already what organic ones would."""
    adversary: Adversary | None = None
    """One of the panel's judges as well, where there is one."""
    accepted: int = 0
    refused_in_a_row: int = 0
    _history: list[bool] = field(default_factory=list)
    """Whether each closed brief brought a good candidate."""
    _why: Stop | None = None
    """Why to stop, where the last accepted candidate was reason enough."""
    _ahead: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Open briefs while there is need, close them in order, and say why it ended.

        What one brief fails of ends the others at once, and is raised in a group.
        """
        if self.past.finished:
            return
        self._planner = self._new_planner()
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
                brief = self.composer.brief(next_to_open, self._planner.approach(next_to_open))
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
                if self.adversary is not None:
                    self.adversary.score(candidate)  # or it would take no place
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
        if self._why is not None:
            return self._why
        if self.refused_in_a_row >= self.settings.patience:
            return Stop.PATIENCE
        if self.settings.min_yield and spent_out(self._history, self.settings.min_yield, LATEST):
            return Stop.MARGINAL
        return Stop.BRIEFS_SPENT if n_closed >= self.quota.max_briefs else None

    async def _try(self, brief: Brief) -> Tried:
        """Have the brief answered and, where reviewers are to be waited for, reviewed."""
        tried = Tried(None)
        try:
            if brief.id in self.past.closed:
                return Tried(self.past.proposed.get(brief.id))
            tried.candidate = self._known(brief) or self._told(brief, await self.generator.propose(brief))
            await self._review(brief, tried)
            if self._may_be_set_right(tried):
                await self._revise(brief, tried)
            self.streak.failed = 0
            return tried
        except BudgetSpent:
            return Tried(None, unpaid=True)
        except ModelError as error:
            if gone(error):
                raise
            self.streak.failed += 1
            if self.streak.failed >= FAILURES_IN_A_ROW:
                raise
            if tried.refusal is not None:  # and could not be set right
                return replace(tried, why=tried.refusal.reason)
            return replace(tried, why="no reply" if tried.candidate is None else "no verdict")
        finally:
            self.settled(brief.id)

    def _known(self, brief: Brief) -> Candidate | None:
        """The brief's candidate out of the log, where it is there."""
        if (candidate := self.past.proposed.get(brief.id)) is not None:
            return candidate
        candidate = self.past.answered.get(brief.id)
        return None if candidate is None else self._told(brief, candidate)

    def _told(self, brief: Brief, candidate: Candidate) -> Candidate:
        self.tell(Proposed(candidate=candidate, number=brief.number))
        return candidate

    async def _review(self, brief: Brief, tried: Tried) -> None:
        """Ask the reviewers, unless a judge who needs to know nothing else refuses: those cost nothing.

        Where nobody has to be waited for and nothing can be set right, the judges are asked at the closing.
        """
        candidate = tried.candidate
        if candidate is None or not (self.panel.reviewers or self.settings.revisions):
            return
        for judge in self.panel.judges:
            if judge.name not in self.panel.stateful:
                verdict = tried.verdicts[judge.name] = judge.judge(brief, candidate)
                if verdict.decision is not Decision.ACCEPT:
                    tried.refusal = verdict
                    return
        for reviewer in self.panel.reviewers:
            verdict = tried.verdicts[reviewer.name] = await reviewer.review(brief, candidate)
            if verdict.decision is not Decision.ACCEPT:
                tried.refusal = verdict
                return

    def _may_be_set_right(self, tried: Tried) -> bool:
        if not self.settings.revisions or tried.candidate is None or tried.candidate.parent or tried.refusal is None:
            return False
        return tried.refusal.decision is Decision.REVISE or tried.refusal.reason in REVISABLE

    async def _revise(self, brief: Brief, tried: Tried) -> None:
        """One round under critique: the refusal is told, and the revision takes the candidate's place."""
        assert tried.candidate is not None and tried.refusal is not None  # or there is nothing to set right
        if self.past.refusals.get(tried.candidate.id) != tried.refusal:
            self.tell(Judged(verdict=tried.refusal))
        self.settled(brief.id)  # what is kept for judging it would be waited for by whoever asks for the next
        revised = await self.generator.revise(brief, tried.candidate, tried.refusal)
        tried.candidate, tried.refusal = self._told(brief, revised), None
        tried.verdicts.clear()
        await self._review(brief, tried)

    def _close(self, brief: Brief, tried: Tried) -> None:
        """Judge the candidate and commit; a brief the log has closed already keeps its outcome."""
        closing = self.past.closed.get(brief.id)
        if closing is None:
            winner, reason = self._judged(brief, tried)
            closing = BriefClosed(
                brief_id=brief.id, slice=brief.slice, number=brief.number, winner=winner, reason=reason
            )
            self.tell(closing)
        elif tried.candidate is not None:
            known = self.past.refusals.get(tried.candidate.id)
            tried.refusal = known if known is not None and known.reason == closing.reason else None
        worth, won = 0.0, closing.winner is not None and tried.candidate is not None
        if won and tried.candidate is not None:
            worth = self._accept(tried.candidate)
        elif closing.reason != "surplus":
            self.refused_in_a_row += 1
            if closing.reason == TOO_EASY:
                self._planner.student_knew(True)
            else:
                self._planner.refused()
        self._history.append(won or closing.reason == "surplus")
        self._planner.learn(brief, tried.candidate, None if won else tried.refusal, worth)

    def _accept(self, candidate: Candidate) -> float:
        """Remember an accepted candidate with everybody who has to know; what it is worth."""
        if self.adversary is not None:
            self._planner.student_knew(self.adversary.score(candidate) >= EVEN)
        if candidate.id not in self._ahead:
            self.panel.remember(candidate.id, candidate.text)
        self.accepted, self.refused_in_a_row = self.accepted + 1, 0
        if self.collapsing(candidate.text):
            self._why = Stop.COLLAPSE
        elif self.enough(candidate.text):
            self._why = Stop.VIABLE
        return self.worth(candidate)

    def _judged(self, brief: Brief, tried: Tried) -> tuple[str | None, str]:
        """The id of the accepted candidate, or None and the reason."""
        candidate = tried.candidate
        if candidate is None or tried.why:
            return None, tried.why or "no reply"
        for judge in self.panel.judges:
            verdict = tried.verdicts.get(judge.name) or judge.judge(brief, candidate)
            if not self._passes(verdict):
                tried.refusal = verdict
                return None, verdict.reason
        for reviewer in self.panel.reviewers:
            if not self._passes(tried.verdicts[reviewer.name]):
                tried.refusal = tried.verdicts[reviewer.name]
                return None, tried.refusal.reason
        if self.accepted >= self.quota.accepted:  # opened before the quota was met: good, but not asked for
            return None, "surplus"
        return candidate.id, ""

    def _passes(self, verdict: Verdict) -> bool:
        """Whether the judge lets the candidate pass; what it has to say is told."""
        if verdict.decision is not Decision.ACCEPT or verdict.scores:
            self.tell(Judged(verdict=verdict))
        return verdict.decision is Decision.ACCEPT

    def _new_planner(self) -> Planner:
        return Planner(
            strategies=named(self.settings.strategies),
            seed=f"{self.composer.seed}/{self.quota.slice}",
            block=self.composer.run_length,
            rivals=tuple(self.composer.rivals),
            titles={name: rival.title for name, rival in self.composer.rivals.items()},
            adversarial=self.adversary is not None,
        )


def gone(error: ModelError) -> bool:
    """Whether nobody is there to answer: refused whatever is asked, or no server at all. No request is to blame."""
    if isinstance(error, ModelRefused):
        return error.status not in ONE_REQUEST
    return isinstance(error, ModelUnavailable) and error.unsent


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

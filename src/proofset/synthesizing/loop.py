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
from decimal import Decimal

from proofset.config import Synthesize
from proofset.errors import ModelUnavailable, ReplyUnreadable
from proofset.nouns.candidate import Brief, Candidate, Decision, Quota, Stop
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed, Spent
from proofset.nouns.record import content_id
from proofset.nouns.result import Usage
from proofset.plugins import ChatModel, Judge, Request
from proofset.synthesizing.brief import Composer

FAILURES_IN_A_ROW = 10
"""Calls that may fail one after the other before the run stops: by then the model is gone, not unlucky."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The judges in order, and what to call with (id, text) of an accepted candidate."""

    judges: Sequence[Judge]
    remember: Callable[[str, str], None]


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


class Purse:
    """The money of the verb: what was spent, and whether the next brief may still be opened."""

    def __init__(self, cap_usd: Decimal | None, spent_usd: Decimal, price: Callable[[Usage], Usage]) -> None:
        """``price`` puts an amount and its basis on a usage; ``cap_usd`` None means no cap."""
        self._cap, self.spent, self._price = cap_usd, spent_usd, price

    @property
    def empty(self) -> bool:
        """Whether the cap is reached."""
        return self._cap is not None and self.spent >= self._cap

    def pay(self, usage: Usage) -> Usage:
        """The usage with its price, booked."""
        priced = self._price(usage)
        self.spent += priced.usd or Decimal(0)
        return priced


@dataclass(kw_only=True)
class SliceLoop:
    """One slice's loop; ``run`` takes it to its end."""

    quota: Quota
    composer: Composer
    model: ChatModel
    panel: Panel
    settings: Synthesize
    purse: Purse
    tell: Callable[[Event], None]
    past: Past
    accepted: int = 0
    refused_in_a_row: int = 0
    failed_in_a_row: int = 0

    async def run(self) -> None:
        """Open briefs while there is need, close them in order, and say why it ended."""
        if self.past.finished:
            return
        opened: dict[int, asyncio.Task[Candidate | None]] = {}
        next_to_open = next_to_close = 0
        stop: Stop | None = None
        try:
            while True:
                while stop is None and next_to_open < min(next_to_close + self.settings.window, self.quota.max_briefs):
                    brief = self.composer.brief(next_to_open)
                    if self.purse.empty and not self.past.knows(brief):
                        stop = Stop.BUDGET
                        break
                    opened[next_to_open] = asyncio.create_task(self._candidate(brief))
                    next_to_open += 1
                if not opened:
                    break
                candidate = await opened.pop(next_to_close)
                self._close(self.composer.brief(next_to_close), candidate)
                next_to_close += 1
                stop = stop or self._stop(next_to_close)
        finally:
            for task in opened.values():
                task.cancel()
            await asyncio.gather(*opened.values(), return_exceptions=True)
        self.tell(
            SliceClosed(
                slice=self.quota.slice,
                accepted=self.accepted,
                quota=self.quota.accepted,
                stop=stop or Stop.BRIEFS_SPENT,
            )
        )

    def _stop(self, n_closed: int) -> Stop | None:
        if self.accepted >= self.quota.accepted:
            return Stop.QUOTA_MET
        if self.refused_in_a_row >= self.settings.patience:
            return Stop.PATIENCE
        return Stop.BRIEFS_SPENT if n_closed >= self.quota.max_briefs else None

    async def _candidate(self, brief: Brief) -> Candidate | None:
        """The candidate of a brief: out of the log where it is there, else from the model. None: no usable reply."""
        if brief.id in self.past.proposed or brief.id in self.past.closed:
            return self.past.proposed.get(brief.id)
        if (candidate := self.past.answered.get(brief.id)) is not None:
            self.tell(Proposed(candidate=candidate, number=brief.number))
            return candidate
        sampling = self.settings.sampling
        request = Request(
            prompt=brief.prompt,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            seed=brief.seed,
            stop=("\n",),
            shared_chars=brief.shared_chars,
        )
        try:
            reply = await self.model.reply(request)
        except (ModelUnavailable, ReplyUnreadable):
            self.failed_in_a_row += 1
            if self.failed_in_a_row >= FAILURES_IN_A_ROW:
                raise
            return None
        self.failed_in_a_row = 0
        usage = replace(reply.usage, stage="generate", slice=brief.slice, brief_id=brief.id)
        self.tell(Spent(usage=self.purse.pay(usage)))
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

    def _close(self, brief: Brief, candidate: Candidate | None) -> None:
        """Judge the candidate and commit; a brief the log has closed already keeps its outcome."""
        known = self.past.closed.get(brief.id)
        if known is None:
            winner, reason = self._judged(brief, candidate)
            closing = BriefClosed(
                brief_id=brief.id, slice=brief.slice, number=brief.number, winner=winner, reason=reason
            )
            self.tell(closing)
        else:
            closing = known
        if closing.winner is not None and candidate is not None:
            self.panel.remember(candidate.id, candidate.text)
            self.accepted, self.refused_in_a_row = self.accepted + 1, 0
        elif closing.reason != "surplus":
            self.refused_in_a_row += 1

    def _judged(self, brief: Brief, candidate: Candidate | None) -> tuple[str | None, str]:
        """The id of the accepted candidate, or None and the reason."""
        if candidate is None:
            return None, "no reply"
        for judge in self.panel.judges:
            verdict = judge.judge(brief, candidate)
            if verdict.decision is Decision.REJECT or verdict.scores:
                self.tell(Judged(verdict=verdict))
            if verdict.decision is Decision.REJECT:
                return None, verdict.reason
        if self.accepted >= self.quota.accepted:  # opened before the quota was met: good, but not asked for
            return None, "surplus"
        return candidate.id, ""


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

    window = loops[0].settings.window if loops else 1
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(max(1, -(-parallel // window))):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None

"""What a slice's loop is told of the past: the fold of what the log already holds of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from proofset.nouns.candidate import Brief, Candidate, Decision, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed


@dataclass(slots=True)
class Past:
    """What the log already holds of a slice."""

    proposed: dict[str, Candidate] = field(default_factory=dict)
    """Candidates by brief id."""
    answered: dict[str, Candidate] = field(default_factory=dict)
    """The same from before the settings changed, without revisions: an equal brief is not asked again, only judged
    again, and whether it is to be revised is decided again."""
    closed: dict[str, BriefClosed] = field(default_factory=dict)
    """Closings by brief id."""
    refusals: dict[str, Verdict] = field(default_factory=dict)
    """Verdicts that refused, by candidate id."""
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
        refusals: dict[str, Verdict] = {}
        for event in earlier:
            if isinstance(event, Proposed) and not event.candidate.parent:
                pasts.setdefault(event.candidate.slice, cls()).answered[event.candidate.brief_id] = event.candidate
        for event in events:
            match event:
                case Proposed(candidate=candidate):
                    pasts.setdefault(candidate.slice, cls()).proposed[candidate.brief_id] = candidate
                case BriefClosed():
                    pasts.setdefault(event.slice, cls()).closed[event.brief_id] = event
                case Judged(verdict=verdict) if verdict.decision is not Decision.ACCEPT:
                    refusals[verdict.candidate_id] = verdict
                case SliceClosed():
                    pasts.setdefault(event.slice, cls()).finished = True
                case _:
                    pass
        for past in pasts.values():
            ids = (candidate.id for candidate in past.proposed.values())
            past.refusals = {one: refusals[one] for one in ids if one in refusals}
        return pasts

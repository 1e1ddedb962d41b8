"""Preference pairs out of what a run's log holds: an accepted candidate over one that was refused for what it says.

Nothing is generated for them; what was refused is paid for already. The rejected text is what the accepted one was
revised from, or one of the same slice that is as like it as there is, so that the fault is what tells the two apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from proofset.copies import CopyIndex
from proofset.nouns.candidate import Candidate, Decision, Output, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed

CONTENT_FAULTS = frozenset(
    {"off label", "breaks a rule", "unnatural", "impossible", "incoherent", "unsafe", "worse than organic"}
)
"""Reasons that say of a text that it is worse. Form, duplicates and copies are none: a copy of a good text is good."""

NEVER = frozenset({"contaminated", "personal data"})
"""Reasons for which a text may be in no data set, not even as the rejected one."""

REVISION = "revision"
"""``Pair.how``: the rejected text is what the chosen one was revised from."""
NEIGHBOUR = "neighbour"
"""``Pair.how``: the rejected text is another candidate of the same slice, as like the chosen one as there is."""

SHORTLIST = 16
"""Refused candidates nearest in length, of which the one nearest in meaning is taken."""

Turn = Callable[[Candidate], tuple[str, str]]
"""A candidate to the prompt that it answers and its answer. Both sides of a pair answer one and the same prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two answers to one prompt, and why one of them was refused."""

    prompt: str
    chosen: str
    rejected: str
    fault: str
    """The reason code of the refusal."""
    judge: str
    """Who refused."""
    slice: str
    chosen_id: str
    rejected_id: str
    how: str
    """``REVISION`` or ``NEIGHBOUR``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A candidate whose turn is over: whether it was accepted, and what judges said against it or for it."""

    candidate: Candidate
    accepted: bool
    verdicts: tuple[Verdict, ...] = ()

    @property
    def refusals(self) -> tuple[Verdict, ...]:
        """The verdicts that did not let it pass as it was, in order."""
        return tuple(verdict for verdict in self.verdicts if verdict.decision is not Decision.ACCEPT)


def closed_in(events: Iterable[Event]) -> list[Closed]:
    """The candidates of a log, slice by slice in brief order; a verdict that was told twice counts once.

    Not in the order of their proposal: that is a matter of who answered first, and no two runs share it.

    A candidate that no brief's closing names as its winner is not accepted. When it lies: of a brief that was opened
    under two settings, the verdicts of both count.
    """
    candidates: dict[str, Candidate] = {}
    place: dict[str, tuple[str, int, bool]] = {}
    winners: set[str] = set()
    verdicts: defaultdict[str, dict[Verdict, None]] = defaultdict(dict)
    for event in events:
        match event:
            case Proposed(candidate=candidate, number=number):
                candidates[candidate.id] = candidate
                place[candidate.id] = (candidate.slice, number, bool(candidate.parent))
            case Judged(verdict=verdict):
                verdicts[verdict.candidate_id][verdict] = None
            case BriefClosed(winner=str(winner)):
                winners.add(winner)
            case _:
                pass
    return [
        Closed(candidate=each, accepted=each.id in winners, verdicts=tuple(verdicts[each.id]))
        for each in sorted(candidates.values(), key=lambda each: place[each.id])
    ]


def pairs(
    closed: Sequence[Closed],
    turn: Turn,
    *,
    near_copy: float = 0.8,
    faults: Collection[str] = CONTENT_FAULTS,
    alike: Callable[[str, str], float] | None = None,
) -> list[Pair]:
    """Preference pairs of training candidates: those with their own earlier text first, then the rest, as given.

    Each candidate stands in one pair at most. A rejected text was refused for ``faults`` and nothing else, and is no
    near-copy (Jaccard similarity of word pairs at least ``near_copy``, in (0, 1]) of any accepted answer to its
    prompt. Where it is no earlier text, it is nearest in length in words and, given ``alike``, of the nearest in
    length the most alike. Candidates for evaluation and adversarial sets are left alone. When it lies: a judge that
    refuses good texts makes pairs that teach the opposite; put it on trial first.
    """
    groups: dict[tuple[str, str], _Group] = {}
    for each in closed:
        if each.candidate.output is Output.TRAIN:
            prompt, answer = turn(each.candidate)
            key = (each.candidate.slice, prompt)
            groups.setdefault(key, _Group(prompt, near_copy, frozenset(faults))).add(each, answer)
    for group in groups.values():
        group.sort_out()
    revised = [pair for group in groups.values() for pair in group.revisions()]
    return [*revised, *(pair for group in groups.values() for pair in group.neighbours(alike))]


@dataclass(frozen=True, slots=True)
class _Side:
    """A candidate as one side of a pair."""

    candidate: Candidate
    answer: str
    fault: Verdict | None = None

    @property
    def place(self) -> tuple[int, str]:
        """Length in words; of equal ones, the id decides."""
        return len(self.answer.split()), self.candidate.id


@dataclass(slots=True)
class _Group:
    """All candidates of one slice that answer one prompt."""

    prompt: str
    near_copy: float
    faults: frozenset[str]
    chosen: dict[str, _Side] = field(default_factory=dict)
    """Accepted candidates that stand in no pair yet, by id."""
    rejected: dict[str, _Side] = field(default_factory=dict)
    """Refused candidates that stand in no pair yet, by id."""

    def add(self, closed: Closed, answer: str) -> None:
        """Take a candidate in where it can stand on a side."""
        candidate, refusals = closed.candidate, closed.refusals
        if not answer.strip() or any(verdict.reason in NEVER for verdict in refusals):
            return
        if closed.accepted:
            self.chosen[candidate.id] = _Side(candidate, answer)
        elif refusals and all(verdict.reason in self.faults for verdict in refusals):
            self.rejected[candidate.id] = _Side(candidate, answer, refusals[0])

    def sort_out(self) -> None:
        """Drop refused candidates that are near-copies of accepted ones."""
        accepted = CopyIndex(self.near_copy)
        for side in self.chosen.values():
            accepted.add(side.candidate.id, side.answer)
        self.rejected = {key: side for key, side in self.rejected.items() if accepted.match(side.answer) is None}

    def revisions(self) -> list[Pair]:
        """Each accepted candidate with the text that it revises."""
        made = []
        for key, side in list(self.chosen.items()):
            if (parent := self.rejected.pop(side.candidate.parent, None)) is not None:
                made.append(self._pair(self.chosen.pop(key), parent, REVISION))
        return made

    def neighbours(self, alike: Callable[[str, str], float] | None) -> list[Pair]:
        """The other accepted candidates, each with the most like of those that are left."""
        left = sorted(self.rejected.values(), key=lambda side: side.place)
        places = [side.place for side in left]
        made = []
        for side in self.chosen.values():
            if not left:
                break
            at = _nearest(side, left, places, alike)
            places.pop(at)
            made.append(self._pair(side, left.pop(at), NEIGHBOUR))
        return made

    def _pair(self, chosen: _Side, rejected: _Side, how: str) -> Pair:
        assert rejected.fault is not None
        return Pair(
            prompt=self.prompt,
            chosen=chosen.answer,
            rejected=rejected.answer,
            fault=rejected.fault.reason,
            judge=rejected.fault.judge,
            slice=chosen.candidate.slice,
            chosen_id=chosen.candidate.id,
            rejected_id=rejected.candidate.id,
            how=how,
        )


def _nearest(
    chosen: _Side,
    left: Sequence[_Side],
    places: Sequence[tuple[int, str]],
    alike: Callable[[str, str], float] | None,
) -> int:
    """Where in ``left``, which is sorted by ``places``, the candidate most like the chosen one is."""
    words, _ = chosen.place
    middle = bisect_left(places, (words, ""))
    around = range(max(0, middle - SHORTLIST), min(len(left), middle + SHORTLIST))
    nearest = sorted(around, key=lambda at: (abs(places[at][0] - words), places[at]))[:SHORTLIST]
    if alike is None:
        return nearest[0]
    return max(nearest, key=lambda at: alike(chosen.answer, left[at].answer))

"""A run's events as lines of COGS: what each stage's calls cost, how they ended and what became of their candidates.

Every paid attempt is in one line; a reply out of the store was paid for before, and is in none. So the lines add up to
the total of ``costing.ledger``, to the last digit, and their fates are its fates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, Inexact, localcontext

from proofset.costing import cogs, ledger
from proofset.costing.cogs import CogsStatement, Fate, Line, Nature
from proofset.nouns.event import BriefClosed, Event, Spent, Started
from proofset.nouns.result import Usage, UsageBasis

NATURES: Mapping[str, Nature] = {
    **cogs.NATURES,
    "calibrate": Nature.COMPUTE,
    "trial": Nature.JUDGING,
    "cost": Nature.PROCESSING,
    "handoff": Nature.PROCESSING,
    "synthesize": Nature.COMPUTE,
    "prove": Nature.COMPUTE,
}
"""Stage of a run to its row: those of ``costing.cogs``, and the verbs that only a run has."""
ELSEWHERE = Nature.PROCESSING
"""Row of a stage that has none."""


@dataclass(slots=True)
class Books:
    """The money of a log, and what became of its briefs."""

    usages: list[Usage] = field(default_factory=list)
    """Every attempt, replays too."""
    closed: dict[str, BriefClosed] = field(default_factory=dict)
    """Brief id to its last closing, since ``synthesize`` last began with a new key."""
    key: str = ""

    @classmethod
    def of(cls, events: Iterable[Event]) -> Books:
        """Read a log once."""
        found = cls()
        for event in events:
            found.read(event)
        return found

    def fate(self, brief_id: str) -> Fate:
        """What became of a brief; money on no brief is not for one candidate."""
        if not brief_id:
            return Fate.NO_CANDIDATE
        if (closing := self.closed.get(brief_id)) is not None:
            refused = ledger.REFUSED + (closing.reason or "no reason given")
            return cogs.fate_of(ledger.ACCEPTED if closing.winner is not None else refused)
        return cogs.fate_of(ledger.IN_FLIGHT)  # as is that of one of an earlier attempt at the verb

    def read(self, event: Event) -> None:
        """Take in one event, in the order of the log."""
        match event:
            case Spent(usage=usage):
                self.usages.append(usage)
            case BriefClosed():
                self.closed[event.brief_id] = event
            case Started(verb=ledger.SYNTHESIZE, key=key) if key != self.key:
                self.key, self.closed = key, {}
            case _:
                pass


def lines_of_run(books: Books) -> tuple[Line, ...]:
    """One line for each stage, fate and outcome, and one more for its calls without a price; in order of first use."""
    sums: dict[tuple[str, Fate, str, bool], tuple[Decimal, int]] = {}
    with localcontext(prec=ledger.EXACT_DIGITS) as context:
        context.traps[Inexact] = True
        for usage in books.usages:
            if usage.basis is UsageBasis.REPLAY:
                continue
            name = (usage.stage, books.fate(usage.brief_id), usage.outcome, usage.usd is not None)
            usd, calls = sums.get(name, (Decimal(0), 0))
            sums[name] = usd + (usage.usd or Decimal(0)), calls + 1
    return tuple(
        Line(stage=stage, fate=fate, outcome=outcome, usd=usd if priced else None, calls=calls)
        for (stage, fate, outcome, priced), (usd, calls) in sums.items()
    )


def statement_of_run(books: Books) -> CogsStatement:
    """The statement of a run; a stage without a row of its own is booked in ``ELSEWHERE``."""
    lines = lines_of_run(books)
    return cogs.statement(lines, natures={**dict.fromkeys(strangers(lines), ELSEWHERE), **NATURES})


def strangers(lines: Iterable[Line]) -> tuple[str, ...]:
    """Stages that no row was made for."""
    return tuple(dict.fromkeys(line.stage for line in lines if line.stage not in NATURES))

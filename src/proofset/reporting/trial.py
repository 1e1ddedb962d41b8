"""The judges on trial: what each refuses of good records and of planted faults, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from proofset.config import Study
from proofset.nouns.event import Event, JudgeMeasured
from proofset.nouns.result import Measure
from proofset.reporting.rounds import in_order
from proofset.reporting.words import share
from proofset.synthesizing.calibration import CASCADE, CONTRADICTS
from proofset.synthesizing.faults import FAULTS, GOOD
from proofset.synthesizing.soundness import break_even, precision, verdict_on

SHARES = (0.1, 0.3, 0.6)
"""Shares of faulty candidates for which it is said how many of the accepted ones are good."""
CONTENT = ("wrong label", "near label", "off-topic")
"""Faults of content, which are always told of beside the worst one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What one judge did with one planted fault."""

    judge: str
    fault: str
    measure: Measure
    floor: float | None
    """Share that it must refuse, by the lower bound; None where nothing was asked for."""

    @property
    def below(self) -> bool:
        """Whether it refuses less than was asked for, or was not shown to refuse it."""
        return bool(self.floor) and (self.measure.low is None or self.measure.low < (self.floor or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One judge: what it refuses of good records, and of the faults that it is there for."""

    judge: str
    good: Measure | None
    faults: tuple[Refused, ...]
    whole: bool
    """Whether it is all judges in order together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What acceptance is worth against one fault."""

    fault: str
    words: str
    worst: bool
    """Whether no fault that could be planted is refused less often."""
    break_even: Measure
    precision: tuple[Measure, ...]
    """Share of good ones among the accepted, at ``SHARES`` of faulty candidates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """All judges, what the last word of them is worth, and which are not to be trusted."""

    rows: tuple[Row, ...]
    """In the order in which a candidate meets them, the cascade last."""
    apart: tuple[str, ...]
    """Critic models: they are tried alone, on fewer cases, and are no part of the cascade's figures."""
    judge: str
    """The one that ``worths`` are of: the cascade, or the critic where there is none."""
    worths: tuple[Worth, ...]
    doubts: tuple[str, ...]
    """A sentence for each judge that is below its floor or does not judge."""

    @property
    def faults(self) -> tuple[tuple[str, tuple[Refused, ...]], ...]:
        """Each fault with what judges made of it, the cascade first."""
        tried = [each for row in reversed(self.rows) for each in row.faults]
        names = [*(fault for fault in FAULTS if fault != GOOD), CONTRADICTS]
        names += [each.fault for each in tried if each.fault not in names]
        grouped = [(name, tuple(each for each in tried if each.fault == name)) for name in dict.fromkeys(names)]
        return tuple((name, _cascade_first(each)) for name, each in grouped if each)

    @property
    def headline(self) -> str:
        """What the cascade, or the critic, refuses of the worst fault of content and of good records."""
        row = next((row for row in self.rows if row.judge == self.judge), None)
        taken = [each for each in row.faults if each.fault in CONTENT and each.measure.value is not None] if row else []
        if row is None or not taken:
            return ""
        worst = min(taken, key=lambda each: each.measure.value or 0.0)
        told = f"The {self.judge} refuses {share(worst.measure)} of {words_of(worst.fault)}"
        return f"{told}, and {share(row.good)} of good records." if row.good else f"{told}."


def _cascade_first(tried: Sequence[Refused]) -> tuple[Refused, ...]:
    whole = [each for each in tried if each.judge == CASCADE]
    return (*whole, *reversed([each for each in tried if each.judge != CASCADE]))


def words_of(fault: str) -> str:
    """What people call the cases of a fault; one that we do not plant is called as it is."""
    if fault == CONTRADICTS:
        return "good records asked about twice, decided differently"
    return FAULTS[fault].words if fault in FAULTS else fault


def floors_of(study: Study) -> dict[tuple[str, str], float]:
    """Share that a judge must refuse of a fault before the loop may start, by (judge, fault)."""
    settings = study.synthesize
    floors = {(judge, fault): floor for judge, faults in settings.floors.items() for fault, floor in faults.items()}
    if settings.critic.min_fault_recall:
        floors["critic", "wrong label"] = settings.critic.min_fault_recall
    return floors


def fold_trial(events: Iterable[Event], floors: Mapping[tuple[str, str], float]) -> Trial | None:
    """The trial that these events hold; None before the first judge. Of two figures of one thing the later counts."""
    tried = {(each.judge, each.fault): each for each in events if isinstance(each, JudgeMeasured)}
    if not tried:
        return None
    names = list(dict.fromkeys(judge for judge, _ in tried))
    order = [*(name for name in in_order(names) if name != CASCADE), *(name for name in names if name == CASCADE)]
    rows = tuple(_row(name, tried, floors) for name in order)
    judge = CASCADE if CASCADE in names else "critic"
    return Trial(
        rows=rows,
        apart=tuple(names[names.index(CASCADE) + 1 :]) if CASCADE in names else (),
        judge=judge,
        worths=tuple(_worths(next((row for row in rows if row.judge == judge), None))),
        doubts=tuple(verdict_on(tried.values(), {key: each for key, each in floors.items() if key[1] in FAULTS})),
    )


def _row(name: str, tried: Mapping[tuple[str, str], JudgeMeasured], floors: Mapping[tuple[str, str], float]) -> Row:
    good = tried.get((name, GOOD))
    return Row(
        judge=name,
        good=good.rejected if good else None,
        faults=tuple(
            Refused(judge=name, fault=fault, measure=each.rejected, floor=floors.get((name, fault)))
            for (judge, fault), each in tried.items()
            if judge == name and fault != GOOD
        ),
        whole=name == CASCADE,
    )


def _worths(row: Row | None) -> Iterable[Worth]:
    """Against the faults of content, and the worst one if that is another; nothing where good records are missing."""
    if row is None or row.good is None or row.good.value is None:
        return
    taken = {each.fault: each.measure for each in row.faults if each.measure.value is not None}
    taken.pop(CONTRADICTS, None)
    worst = min(taken, key=lambda fault: taken[fault].value or 0.0, default="")
    for fault in dict.fromkeys([*(each for each in CONTENT if each in taken), *([worst] if worst else [])]):
        yield Worth(
            fault=fault,
            words=words_of(fault),
            worst=fault == worst,
            break_even=break_even(row.good, taken[fault]),
            precision=tuple(precision(each, row.good, taken[fault]) for each in SHARES),
        )

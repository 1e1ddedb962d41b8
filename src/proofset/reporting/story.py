"""The fold of a run's events that every view shares: the page, the terminal and the machine-readable summary.

``findings`` decides what counts and what it means; the views only lay it out. A verb's section rests on the events
after the verb's last ``Started``; money is the exception, since what an earlier attempt spent stays spent.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Literal, TypeVar

from proofset.config import Study
from proofset.nouns.event import (
    BriefClosed,
    Claimed,
    Costed,
    Decided,
    DeficitRanked,
    Event,
    Finished,
    Grounded,
    Ingested,
    Judged,
    Measured,
    Opened,
    Proposed,
    Proved,
    Spent,
    Started,
    Trained,
)
from proofset.nouns.result import Claim, CostStatement, Gain, Measure
from proofset.nouns.slice import Deficit
from proofset.nouns.viability import Viability
from proofset.reporting.rounds import Synthesis, fold_rounds
from proofset.reporting.spending import Spending, fold_spending
from proofset.reporting.trial import Trial, floors_of, fold_trial
from proofset.reporting.words import shown

PATH = ("ingest", "audit", "ground", "calibrate", "synthesize", "measure", "cost", "handoff", "train", "prove")
"""The verbs a run goes through, in order."""

EDGE_MATCHED, REST_ACCURACY, SLICE_ACCURACY = "edge accuracy at equal rest", "rest accuracy", "slice accuracy"
"""Metrics of a Gain that the story tells apart by name; any other is a further pooled row."""

State = Literal["done", "unfinished", "not done", "not asked for"]
"""How far a verb has come; "unfinished" began and was interrupted, or is at work."""

E = TypeVar("E")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One verb of the path: how far it has come and what it took."""

    verb: str
    state: State
    seconds: float | None
    core_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A measure of the synthetic text beside the same measure of organic text at equal size."""

    measure: Measure
    control: Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One arm's answer to "does it help?"."""

    arm: str
    title: str
    claim: Claim | None
    """None when no overall claim was recorded for the arm."""
    words: str
    against: str
    """Title of the arm it is compared with."""
    edge: Gain | None
    """Accuracy on the starved slices, pooled, at the baseline's accuracy elsewhere: no moved threshold counts."""
    rest: Gain | None
    """Accuracy on everything else, pooled."""

    @property
    def verdict(self) -> str:
        """The claim as a verb: helps, harms, is not shown to help."""
        if self.claim is None:
            return "has no recorded claim"
        return "is not shown to help" if self.claim is Claim.NOT_SHOWN else str(self.claim)

    @property
    def numbers(self) -> str:
        """What the claim rests on: the differences on the starved slices and elsewhere."""
        parts = []
        if self.edge is not None:
            parts.append(f"starved slices at equal rest {shown(self.edge.difference, 'points')}")
        if self.rest is not None:
            parts.append(f"elsewhere {shown(self.rest.difference, 'points')}")
        return "; ".join(parts) + "." if parts else "no comparison was recorded."


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The comparison of arms on the held-out set."""

    answers: tuple[Answer, ...]
    pooled: tuple[Gain, ...]
    """Over pools of slices: edge, rest, all."""
    per_slice: tuple[Gain, ...]
    settings: tuple[tuple[str, str], ...]
    """Title of each trained arm, baselines too, and the settings chosen for it, in words."""
    seeds: int

    @property
    def arms(self) -> tuple[tuple[str, str], ...]:
        """Name of every arm that was compared, and its title; with the arm it was compared with, if that varies."""
        return tuple(
            (each.arm, f"{each.title} against {each.against}" if self.varies else each.title) for each in self.answers
        )

    @property
    def varies(self) -> bool:
        """Whether different arms are compared with different baselines."""
        return len({answer.against for answer in self.answers}) > 1

    @property
    def pairing(self) -> str:
        """Which arms are compared with which, in words: “+ judged” with “organic”."""
        said = []
        for against in dict.fromkeys(answer.against for answer in self.answers):
            arms = ", ".join(f"“{answer.title}”" for answer in self.answers if answer.against == against)
            said.append(f"{arms} with “{against}”")
        return "; ".join(said).replace("+ ", "+\u00a0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that a run has found so far. A part is None, or empty, where its verb has not been done."""

    name: str
    title: str
    question: str
    steps: tuple[Step, ...]
    made_by: tuple[Opened, ...]
    """The distinct versions that wrote to this run, in order."""
    ingested: Ingested | None
    deficits: tuple[Deficit, ...]
    """In order of need."""
    grounded: Grounded | None
    trial: Trial | None
    """What the judges did with planted faults before the loop began."""
    synthesis: Synthesis | None
    pairs: tuple[Pair, ...]
    viability: tuple[Viability, ...]
    """The quotient over all starved slices, and then of each."""
    spending: Spending
    cost: CostStatement | None
    proof: Proof | None

    @property
    def edges(self) -> tuple[Deficit, ...]:
        """The slices starved enough to synthesize for."""
        return tuple(each for each in self.deficits if each.edge)

    @property
    def lead(self) -> Answer | None:
        """The answer of the last arm: the full treatment, chosen by its place and never by its result."""
        return self.proof.answers[-1] if self.proof and self.proof.answers else None

    def state(self, verb: str) -> State:
        """How far ``verb`` has come."""
        return next((step.state for step in self.steps if step.verb == verb), "not done")


def since(events: Sequence[Event], verb: str) -> Sequence[Event]:
    """The events after the last Started of ``verb``: what the log holds of an earlier key no longer counts."""
    for place in range(len(events) - 1, -1, -1):
        event = events[place]
        if isinstance(event, Started) and event.verb == verb:
            return events[place + 1 :]
    return ()


def findings(study: Study, events: Sequence[Event]) -> Findings:
    """Fold the events of a run into what they show.

    The many events of the loop are gone through once for what became of them and once for what they cost; all else is
    a fold of the few that are left.
    """
    everything = events
    events, begun = _few(everything)
    deficits = {each.deficit.slice: each.deficit for each in _of(DeficitRanked, since(events, "audit"))}
    titles = {each.slice: each.title or each.slice for each in deficits.values()}
    measured = {each.measure.name: each for each in _of(Measured, since(events, "measure"))}
    costed = _last(Costed, since(events, "cost"))
    return Findings(
        name=study.name,
        title=study.title or study.name,
        question=study.question,
        steps=tuple(_step(study, events, verb) for verb in PATH),
        made_by=tuple(dict.fromkeys(_of(Opened, events))),
        ingested=_last(Ingested, since(events, "ingest")),
        deficits=tuple(sorted(deficits.values(), key=lambda each: each.rank)),
        grounded=_last(Grounded, since(events, "ground")),
        trial=fold_trial(since(events, "calibrate"), floors_of(study)),
        synthesis=fold_rounds(islice(everything, begun, None), titles, study.synthesize.quota),
        pairs=tuple(Pair(measure=each.measure, control=each.control) for each in measured.values()),
        viability=tuple(each.viability for each in _of(Decided, since(events, "measure"))),
        spending=fold_spending(everything),
        cost=costed.statement if costed else None,
        proof=_proof(events),
    )


def _few(events: Sequence[Event]) -> tuple[list[Event], int]:
    """The events that are not of the loop's many kinds, and the place after which its last walk began."""
    few: list[Event] = []
    begun = len(events)
    for place, event in enumerate(events, start=1):
        if not isinstance(event, Proposed | Judged | Spent | BriefClosed):
            few.append(event)
            if isinstance(event, Started) and event.verb == "synthesize":
                begun = place
    return few, begun


def as_json(found: Findings) -> dict[str, Any]:
    """The findings as plain JSON values: money as exact decimal strings, numbers that are not finite as null."""
    plain = _jsonable(found)
    assert isinstance(plain, dict)
    return plain


def _step(study: Study, events: Sequence[Event], verb: str) -> Step:
    finished = next((each for each in reversed(_of(Finished, since(events, verb))) if each.verb == verb), None)
    begun = any(isinstance(each, Started) and each.verb == verb for each in events)
    state: State = "unfinished" if begun else "not done"
    if finished:
        state = "done"
    elif verb == "ground" and not begun and not (study.ground.passages or study.ground.facts):
        state = "not asked for"
    return Step(
        verb=verb,
        state=state,
        seconds=finished.seconds if finished else None,
        core_seconds=finished.core_seconds if finished else None,
    )


def _proof(events: Sequence[Event]) -> Proof | None:
    """The proof, or None before the first comparison."""
    proved = since(events, "prove")
    gains = {(each.gain.arm, each.gain.slice, each.gain.metric): each.gain for each in _of(Proved, proved)}
    claims = {each.claim.arm: each.claim for each in _of(Claimed, proved)}
    if not gains and not claims:
        return None
    titles = {arm: claim.title for arm, claim in claims.items()}
    baselines = {gain.arm: titles.get(gain.baseline, gain.baseline) for gain in gains.values()}
    trained = list(_of(Trained, since(events, "train")))
    answers = []
    for arm in dict.fromkeys([*(gain.arm for gain in gains.values()), *claims]):
        claim = claims.get(arm)
        answers.append(
            Answer(
                arm=arm,
                title=titles.get(arm, arm),
                claim=claim.claim if claim else None,
                words=claim.words if claim else "",
                against=baselines.get(arm, ""),
                edge=gains.get((arm, "edge", EDGE_MATCHED)),
                rest=gains.get((arm, "rest", REST_ACCURACY)),
            )
        )
    return Proof(
        answers=tuple(answers),
        pooled=tuple(gain for gain in gains.values() if gain.metric != SLICE_ACCURACY),
        per_slice=tuple(gain for gain in gains.values() if gain.metric == SLICE_ACCURACY),
        settings=tuple({titles.get(each.arm, each.arm): each.settings for each in trained}.items()),
        seeds=len({each.seed for each in trained}),
    )


def _of(kind: type[E], events: Iterable[Event]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def _last(kind: type[E], events: Iterable[Event]) -> E | None:
    return next(iter(reversed(_of(kind, events))), None)


def _jsonable(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [_jsonable(each) for each in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, str) else value

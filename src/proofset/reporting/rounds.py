"""What became of every candidate: accepted, refused by whom and why, or left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proofset.nouns.candidate import Candidate, Decision, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, JudgeMeasured, Proposed, SliceClosed

GATE_ORDER = ("form", "duplicate", "organic copy", "contamination", "anchor copy", "fluency", "critic")
"""The shipped judges in the order in which a candidate meets them; any other follows in order of appearance."""

SAMPLES = 36
"""Most candidates shown of the accepted, and of the refused."""

OPEN = "not decided yet"
"""The reason of a candidate whose brief is still open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """How many candidates one judge refused for one reason. An empty ``judge`` is the loop itself."""

    judge: str
    reason: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one slice came: accepted of its quota, and why it ended (empty while it is at work)."""

    slice: str
    title: str
    proposed: int
    accepted: int
    quota: int
    stop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One candidate and what was decided on it."""

    candidate: Candidate
    title: str
    accepted: bool
    judge: str
    reason: str
    critique: str
    scores: tuple[tuple[str, float], ...]
    """Of the judge that decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """The loop in numbers: ``proposed`` is the sum of ``accepted`` and of all ``refusals``."""

    proposed: int
    accepted: int
    refusals: tuple[Refusal, ...]
    """By judge in the order in which candidates meet them, then by number."""
    without_reply: int
    """Briefs closed without any candidate; not among the proposed."""
    progress: tuple[Progress, ...]
    trials: tuple[JudgeMeasured, ...]
    accepted_samples: tuple[Sample, ...]
    refused_samples: tuple[Sample, ...]

    @property
    def gates(self) -> tuple[tuple[str, int, tuple[Refusal, ...]], ...]:
        """Each judge with the number it refused and its reasons, in order."""
        judges = dict.fromkeys(refusal.judge for refusal in self.refusals)
        grouped = [(judge, tuple(each for each in self.refusals if each.judge == judge)) for judge in judges]
        return tuple((judge, sum(each.n for each in reasons), reasons) for judge, reasons in grouped)


@dataclass(slots=True)
class _Log:
    """What the events say, by id."""

    candidates: dict[str, Candidate] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """The last verdict of each candidate; a refusal is always the last."""
    closed: dict[str, BriefClosed] = field(default_factory=dict)
    slices: dict[str, SliceClosed] = field(default_factory=dict)
    trials: dict[tuple[str, str], JudgeMeasured] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Note one event; of two that say the same thing the later one counts."""
        match event:
            case Proposed(candidate=candidate):
                self.candidates[candidate.id] = candidate
            case Judged(verdict=verdict):
                self.verdicts[verdict.candidate_id] = verdict
            case BriefClosed():
                self.closed[event.brief_id] = event
            case SliceClosed():
                self.slices[event.slice] = event
            case JudgeMeasured():
                self.trials[event.judge, event.fault] = event
            case _:
                pass

    def sample(self, candidate: Candidate, titles: Mapping[str, str]) -> Sample:
        """The candidate with its fate."""
        closing = self.closed.get(candidate.brief_id)
        verdict = self.verdicts.get(candidate.id)
        accepted = closing is not None and closing.winner == candidate.id
        refused = verdict is not None and verdict.decision is not Decision.ACCEPT and not accepted
        why = verdict.reason if verdict and refused else (closing.reason or "replaced" if closing else OPEN)
        return Sample(
            candidate=candidate,
            title=titles.get(candidate.slice, candidate.slice),
            accepted=accepted,
            judge=verdict.judge if verdict and (refused or accepted) else "",
            reason="" if accepted else why,
            critique=verdict.critique if verdict else "",
            scores=verdict.scores if verdict else (),
        )


def fold_rounds(events: Sequence[Event], titles: Mapping[str, str], quota: int) -> Synthesis | None:
    """Fold the events of ``synthesize``; None before the first one. ``quota`` stands in for slices still at work."""
    log = _Log()
    for event in events:
        log.take(event)
    if not (log.candidates or log.closed or log.slices or log.trials):
        return None
    samples = [log.sample(candidate, titles) for candidate in log.candidates.values()]
    answered = {candidate.brief_id for candidate in log.candidates.values()}
    accepted = [sample for sample in samples if sample.accepted]
    return Synthesis(
        proposed=len(samples),
        accepted=len(accepted),
        refusals=_refusals(samples),
        without_reply=sum(brief not in answered for brief in log.closed),
        progress=_progress(log, samples, titles, quota),
        trials=tuple(log.trials.values()),
        accepted_samples=_spread(accepted),
        refused_samples=_varied([sample for sample in samples if not sample.accepted]),
    )


def _refusals(samples: Sequence[Sample]) -> tuple[Refusal, ...]:
    counted = Counter((sample.judge, sample.reason) for sample in samples if not sample.accepted)
    judges = list(dict.fromkeys(judge for judge, _ in counted))
    known = [judge for judge in GATE_ORDER if judge in judges]
    last = [judge for judge in ("",) if judge in judges]
    order = [*known, *(judge for judge in judges if judge not in known and judge), *last]
    ranked = sorted(counted.items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0][1]))
    return tuple(Refusal(judge=judge, reason=reason, n=n) for (judge, reason), n in ranked)


def _progress(log: _Log, samples: Sequence[Sample], titles: Mapping[str, str], quota: int) -> tuple[Progress, ...]:
    proposed = Counter(sample.candidate.slice for sample in samples)
    accepted = Counter(sample.candidate.slice for sample in samples if sample.accepted)
    rows = []
    for name in dict.fromkeys([*proposed, *log.slices]):
        closed = log.slices.get(name)
        rows.append(
            Progress(
                slice=name,
                title=titles.get(name, name),
                proposed=proposed[name],
                accepted=accepted[name],
                quota=closed.quota if closed else quota,
                stop=str(closed.stop) if closed else "",
            )
        )
    return tuple(rows)


def _spread(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Evenly over the whole run, so that nobody picks the good ones."""
    step = max(1, -(-len(samples) // SAMPLES))
    return tuple(samples[::step])


def _varied(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Turn about over the reasons, each evenly over the run: a rare reason is shown as well as a common one."""
    by_reason: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        by_reason.setdefault((sample.judge, sample.reason), []).append(sample)
    piles = [list(_spread(pile)) for _, pile in sorted(by_reason.items(), key=lambda item: -len(item[1]))]
    turns = [pile[turn] for turn in range(SAMPLES) for pile in piles if turn < len(pile)]
    return tuple(turns[:SAMPLES])

"""What became of every candidate: accepted, refused by whom and why, or left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from proofset.nouns.candidate import Candidate, Decision, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed
from proofset.reporting.words import slice_title
from proofset.reporting.writing import Tally, Writing

GATES = (
    "kind", "form", "duplicate", "organic copy", "contamination", "benchmark", "anchor copy", "fluency", "language",
    "personal", "constitution", "paraphrase of accepted", "paraphrase of organic", "paraphrase of held-out",
    "paraphrase of benchmark", "drift",
)  # fmt: skip
CRITICS = ("critic", "distilled critic", "adversary", "critic model", "blind critic", "pairwise", "panel")
"""The shipped judges in the order in which a candidate meets them; a study's own stand between the two."""

SAMPLES = 36
"""Most candidates shown of the accepted, and of the refused."""

PERSONAL, WITHHELD = "personal data", "(not shown: it holds personal data)"
"""The reason for which a text is not shown, and what stands in its place."""
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
    evidence: tuple[str, ...]
    """What the decision rests on: ids of copied texts, the rival label, numbers of rules."""

    @property
    def text(self) -> str:
        """What may be shown of the candidate: one that was refused for personal data is not shown."""
        return WITHHELD if self.reason == PERSONAL else self.candidate.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """The loop in numbers: ``proposed`` is the sum of ``accepted`` and of all ``refusals``."""

    proposed: int
    accepted: int
    refusals: tuple[Refusal, ...]
    """By judge in the order in which candidates meet them, then by number. A candidate that was revised is refused by
    the judge whose critique it was revised under; its revision is a candidate of its own."""
    without_reply: int
    """Briefs closed without any candidate; not among the proposed."""
    progress: tuple[Progress, ...]
    writing: Writing
    accepted_samples: tuple[Sample, ...]
    refused_samples: tuple[Sample, ...]
    examples: tuple[Sample, ...]
    """One refusal of each judge, in their order: the first one of its most frequent reason."""

    @property
    def gates(self) -> tuple[tuple[str, int, tuple[Refusal, ...]], ...]:
        """Each judge with the number it refused and its reasons, in order."""
        judges = dict.fromkeys(refusal.judge for refusal in self.refusals)
        grouped = [(judge, tuple(each for each in self.refusals if each.judge == judge)) for judge in judges]
        return tuple((judge, sum(each.n for each in reasons), reasons) for judge, reasons in grouped)


@dataclass(slots=True)
class _Pile:
    """Some of many samples, evenly over all of them: as they become more, every other one is let go."""

    kept: list[Sample] = field(default_factory=list)
    seen: int = 0
    step: int = 1

    def add(self, sample: Sample) -> None:
        """One more."""
        if self.seen % self.step == 0:
            self.kept.append(sample)
        self.seen += 1
        if len(self.kept) > 2 * SAMPLES:
            self.kept, self.step = self.kept[::2], 2 * self.step


@dataclass(slots=True)
class _Rounds:
    """What has been read so far: whatever is decided is counted and let go, so a long log takes little room."""

    titles: Mapping[str, str]
    open: dict[str, dict[str, Candidate]] = field(default_factory=dict)
    """Candidates by brief and id, until the brief is closed."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """The last verdict of each open candidate; a refusal is always the last."""
    slices: dict[str, SliceClosed] = field(default_factory=dict)
    proposed: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    without_reply: int = 0
    tally: Tally = field(default_factory=Tally)
    accepted_pile: _Pile = field(default_factory=_Pile)
    refused_piles: dict[tuple[str, str], _Pile] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Note one event; of two that say the same thing the later one counts."""
        match event:
            case Proposed(candidate=candidate):
                self.open.setdefault(candidate.brief_id, {})[candidate.id] = candidate
            case Judged(verdict=verdict):
                self.verdicts[verdict.candidate_id] = verdict
            case BriefClosed():
                self.close(event)
            case SliceClosed():
                self.slices[event.slice] = event
            case _:
                pass

    def close(self, closing: BriefClosed) -> None:
        """Count what became of a brief's candidates."""
        candidates = self.open.pop(closing.brief_id, {})
        self.without_reply += not candidates
        self.tally.brief(candidates.values(), closing)
        for candidate in candidates.values():
            self.count(self.sample(candidate, closing))

    def count(self, sample: Sample) -> None:
        """One more candidate whose fate is known."""
        name = sample.candidate.slice
        self.proposed[name] += 1
        if sample.accepted:
            self.accepted[name] += 1
            self.accepted_pile.add(sample)
        else:
            self.refused[sample.judge, sample.reason] += 1
            self.refused_piles.setdefault((sample.judge, sample.reason), _Pile()).add(sample)

    def sample(self, candidate: Candidate, closing: BriefClosed | None) -> Sample:
        """The candidate with its fate."""
        verdict = self.verdicts.pop(candidate.id, None)
        accepted = closing is not None and closing.winner == candidate.id
        refused = verdict is not None and verdict.decision is not Decision.ACCEPT and not accepted
        why = verdict.reason if verdict and refused else (closing.reason or "replaced" if closing else OPEN)
        return Sample(
            candidate=candidate,
            title=slice_title(candidate.slice, self.titles),
            accepted=accepted,
            judge=verdict.judge if verdict and (refused or accepted) else "",
            reason="" if accepted else why,
            critique=verdict.critique if verdict else "",
            scores=verdict.scores if verdict else (),
            evidence=verdict.evidence if verdict else (),
        )


def fold_rounds(events: Iterable[Event], titles: Mapping[str, str], quota: int) -> Synthesis | None:
    """Fold the events of ``synthesize``; None before the first one. ``quota`` stands in for slices still at work."""
    rounds = _Rounds(titles)
    for event in events:
        rounds.take(event)
    for candidates in rounds.open.values():
        rounds.tally.brief(candidates.values(), None)
        for candidate in candidates.values():
            rounds.count(rounds.sample(candidate, None))
    if not (rounds.proposed or rounds.without_reply or rounds.slices):
        return None
    return Synthesis(
        proposed=rounds.proposed.total(),
        accepted=rounds.accepted.total(),
        refusals=_refusals(rounds.refused),
        without_reply=rounds.without_reply,
        progress=_progress(rounds, quota),
        writing=rounds.tally.written(titles, rounds.slices.values()),
        accepted_samples=_spread(rounds.accepted_pile),
        refused_samples=_varied(rounds.refused_piles),
        examples=_examples(rounds.refused_piles),
    )


def in_order(judges: Sequence[str]) -> list[str]:
    """Judges in the order in which a candidate meets them; the loop itself, which has no name, comes last."""
    named = [judge for judge in judges if judge]
    kinds = {judge: judge.rstrip(" 0123456789") for judge in named}  # of a panel: "critic model 1", "critic model 2"
    own = [judge for judge in named if kinds[judge] not in (*GATES, *CRITICS)]
    order = [*GATES, *(kinds[judge] for judge in own), *CRITICS]
    return [*sorted(named, key=lambda judge: order.index(kinds[judge])), *(judge for judge in judges if not judge)]


def _refusals(counted: Counter[tuple[str, str]]) -> tuple[Refusal, ...]:
    order = in_order(list(dict.fromkeys(judge for judge, _ in counted)))
    ranked = sorted(counted.items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0][1]))
    return tuple(Refusal(judge=judge, reason=reason, n=n) for (judge, reason), n in ranked)


def _progress(rounds: _Rounds, quota: int) -> tuple[Progress, ...]:
    rows = []
    for name in dict.fromkeys([*rounds.proposed, *rounds.slices]):
        closed = rounds.slices.get(name)
        rows.append(
            Progress(
                slice=name,
                title=slice_title(name, rounds.titles),
                proposed=rounds.proposed[name],
                accepted=rounds.accepted[name],
                quota=closed.quota if closed else quota,
                stop=str(closed.stop) if closed else "",
            )
        )
    return tuple(rows)


def _spread(pile: _Pile) -> tuple[Sample, ...]:
    """Evenly over the whole run, so that nobody picks the good ones."""
    n = len(pile.kept)
    return tuple(pile.kept if n <= SAMPLES else (pile.kept[place * n // SAMPLES] for place in range(SAMPLES)))


def _varied(piles: Mapping[tuple[str, str], _Pile]) -> tuple[Sample, ...]:
    """Turn about over the reasons, each evenly over the run: a rare reason is shown as well as a common one."""
    spread = [_spread(pile) for pile in sorted(piles.values(), key=lambda pile: -pile.seen)]
    turns = [pile[turn] for turn in range(SAMPLES) for pile in spread if turn < len(pile)]
    return tuple(turns[:SAMPLES])


def _examples(piles: Mapping[tuple[str, str], _Pile]) -> tuple[Sample, ...]:
    judges = in_order(list(dict.fromkeys(judge for judge, _ in piles if judge)))
    most = (max((pile for (name, _), pile in piles.items() if name == judge), key=lambda p: p.seen) for judge in judges)
    return tuple(pile.kept[0] for pile in most)

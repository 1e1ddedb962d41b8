"""Judges on trial: known-good organic records and planted faults go through every judge before a run spends.

The share refused is recall for a fault and the false-alarm rate for a good record, each with a Wilson interval. The
trial is as blind as the real thing: a critic's heads are asked about records of a fold that they have not seen, and
the gates know one half of the records, so that texts of the other half are new to them and their own are copies.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from proofset.errors import ModelError
from proofset.nouns.candidate import Brief, Candidate, Decision
from proofset.nouns.event import JudgeMeasured
from proofset.nouns.record import Origin, Record, content_id
from proofset.nouns.result import Better, Measure
from proofset.plugins import Judge, Reviewer
from proofset.stats import wilson
from proofset.synthesizing.faults import FAULTS, GOOD, NOTHING, Case, Supplies, plant
from proofset.synthesizing.loop import gone

CASCADE = "cascade"
"""The judge that all judges in order are together: it refuses what any of them refuses."""
CONTRADICTS = "contradicts itself"
"""Not a fault of a case but of a reviewer: it was asked twice about one good record, and did not decide alike."""
ASKED_TWICE = 30
"""Good records that a reviewer is asked about twice."""

_CONTENT = frozenset({"wrong label", "near label", "off-topic"})
meant_for: Mapping[str, frozenset[str]] = {
    "form": frozenset({"truncated", "repeats itself", "too short"}),
    "duplicate": frozenset({"duplicate"}),
    "organic copy": frozenset({"copied", "near-copied"}),
    "contamination": frozenset({"contaminated"}),
    "benchmark": frozenset(),
    "anchor copy": frozenset({"copied"}),
    "fluency": frozenset({"shuffled letters"}),
    "language": frozenset({"wrong language"}),
    "personal": frozenset({"personal data"}),
    "constitution": frozenset({"forbidden"}),
    "drift": frozenset({"off-topic"}),
    "paraphrase of accepted": frozenset({"duplicate"}),
    "paraphrase of organic": frozenset({"copied", "near-copied"}),
    "paraphrase of held-out": frozenset(),
    "paraphrase of benchmark": frozenset(),
    **dict.fromkeys(("critic", "distilled critic", "critic model", "panel"), _CONTENT),
    CASCADE: frozenset(FAULTS) - {GOOD},
}
"""The faults that each judge is there to catch, and tried on; a judge that is not named here is tried on all.

None is planted for gates on published evaluations and on paraphrases of held-out texts: good records try those.
"""

Build = Callable[[Sequence[tuple[str, str]]], tuple[Sequence[Judge], Callable[[str, str], None]]]
"""(id, text) of the organic records that may be known to the judges in order, and what to call with accepted texts."""
_COPIES = ("copied", "near-copied")
_LABELS = (GOOD, "wrong label", "near label")
_EVERYTHING = frozenset(FAULTS) - {GOOD}


def trial(
    critic: Judge | None,
    cascade: Build,
    records: Sequence[Record],
    folds: Mapping[str, int],
    edge: Collection[str],
    *,
    supplies: Supplies = NOTHING,
    most: int = 300,
    seed: int,
) -> Iterator[JudgeMeasured]:
    """Measure each judge on good records and the faults it is meant for, and the whole cascade on every fault.

    ``records`` are organic (others are passed over), ``edge`` are the labels that candidates are made for; at most
    ``most`` cases a fault. ``cascade`` is called once, with one half of the groups; the ``critic`` comes after it. A
    fault that cannot be planted gives a Measure without a value, whose note says why. A judge that wants a revision
    has not accepted, and counts as refusing.

    When it lies: planted faults are not those that the generator makes, so recall on them says what a judge is able
    to do, not what it will meet. Critics are tried on records of both halves, the cascade on those of one.
    """
    organic = [record for record in records if record.origin is Origin.ORGANIC]
    known, fresh = halves(organic)
    judges, remember = cascade([(record.id, record.text) for record in known])
    planted = partial(plant, folds=folds, company=organic, supplies=supplies, most=most, seed=seed)
    cases = planted(fresh, edge=edge)
    inside = planted(known, edge=edge, faults=(*_COPIES, *_LABELS))
    elsewhere = planted(fresh, edge={str(record.label) for record in fresh} - set(edge), faults=[GOOD])
    cases |= {fault: inside[fault] for fault in _COPIES}
    hearing = _Hearing(judges, critic)
    for fault in (each for each in FAULTS if each not in (GOOD, "duplicate")):
        hearing.hear(fault, cases[fault])  # before anything is remembered: what is made of a record is no copy of it
    hearing.hear_good(cases[GOOD], elsewhere[GOOD][: most - len(cases[GOOD])], remember)
    for case in cases["duplicate"]:
        remember(case.source_id, case.before)
        hearing.hear("duplicate", [case])
    for fault in _LABELS if critic else ():
        hearing.hear_critic(fault, inside[fault][: most - len(cases[fault])])
    return hearing.measured()


def halves(records: Iterable[Record]) -> tuple[list[Record], list[Record]]:
    """The records in two halves that divide no group, each with about half of each label; in order of their ids.

    Groups take turns, by the label of their first record and then by a hash; an only group goes to the first half.
    """
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda each: each.id):
        groups[record.group or record.id].append(record)
    ordered = sorted(groups, key=lambda group: (str(groups[group][0].label), content_id(group)))
    first = set(ordered[::2])
    split: tuple[list[Record], list[Record]] = ([], [])
    for group, members in groups.items():
        split[group not in first].extend(members)
    return split


class _Hearing:
    """The judges in order, and what each did with the cases of each fault."""

    def __init__(self, judges: Sequence[Judge], critic: Judge | None) -> None:
        self._judges, self._critic = tuple(judges), critic
        self._all = (*judges, critic) if critic is not None else self._judges
        self._refused: dict[tuple[str, str], list[bool]] = defaultdict(list)

    def hear(self, fault: str, cases: Iterable[Case]) -> None:
        """Ask those who are meant for the fault, and of the others as many as it takes for one to refuse."""
        for case in cases:
            met, refused = presented(case), False
            for judge in self._all:
                mine = fault in meant_for.get(judge.name, _EVERYTHING)
                if mine or not refused:
                    verdict = _refuses(judge, met)
                    refused = refused or verdict
                    if mine:
                        self._refused[judge.name, fault].append(verdict)
            self._refused[CASCADE, fault].append(refused)

    def hear_good(self, edge: Sequence[Case], elsewhere: Sequence[Case], remember: Callable[[str, str], None]) -> None:
        """Ask all about good records, and let those remember that are to, where no gate refuses."""
        for number, case in enumerate((*edge, *elsewhere)):
            met = presented(case)
            verdicts = [_refuses(judge, met) for judge in self._judges]
            for judge, verdict in zip(self._judges, verdicts, strict=True):
                self._refused[judge.name, GOOD].append(verdict)
            if number < len(edge):
                if self._critic is not None:
                    verdicts.append(_refuses(self._critic, met))
                    self._refused[self._critic.name, GOOD].append(verdicts[-1])
                self._refused[CASCADE, GOOD].append(any(verdicts))
            if not any(verdicts):
                remember(case.source_id, case.text)

    def hear_critic(self, fault: str, cases: Iterable[Case]) -> None:
        """Ask the critic alone."""
        if self._critic is not None and (fault == GOOD or fault in meant_for.get(self._critic.name, _EVERYTHING)):
            self._refused[self._critic.name, fault].extend(_refuses(self._critic, presented(case)) for case in cases)

    def measured(self) -> Iterator[JudgeMeasured]:
        """Judge by judge, the cascade last."""
        for name in dict.fromkeys([*(judge.name for judge in self._all), CASCADE]):
            tried = meant_for.get(name, _EVERYTHING)
            for fault in FAULTS:
                if fault == GOOD or fault in tried:
                    yield _measured(name, fault, self._refused[name, fault])


def _refuses(judge: Judge, met: tuple[Brief, Candidate]) -> bool:
    return judge.judge(*met).decision is not Decision.ACCEPT


def presented(case: Case, sample: int = 0) -> tuple[Brief, Candidate]:
    """The case as a judge would meet it in the loop; ``sample`` is the brief's seed, to ask once more."""
    brief_id = content_id("trial", case.label, case.text)
    brief = Brief(
        id=brief_id,
        slice=case.label,
        label=case.label,
        number=0,
        anchors=case.anchors,
        evidence=case.evidence,
        opening=case.opening,
        unseen_fold=case.fold,
        seed=sample,
        prompt="",
        shared_chars=0,
    )
    candidate = Candidate(
        id=brief_id,
        brief_id=brief_id,
        slice=case.label,
        text=case.text,
        label=case.label,
        unseen_fold=case.fold,
        finish=case.finish,
    )
    return brief, candidate


def _measured(judge: str, fault: str, refused: Sequence[bool], note: str = "") -> JudgeMeasured:
    """The share refused, with its Wilson interval; without cases, no value and the reason."""
    n, count = len(refused), sum(refused)
    low, high = wilson(count, n) if n else (None, None)
    measure = Measure(
        name="rejected",
        value=count / n if n else None,
        low=low,
        high=high,
        n=n,
        unit="share",
        better=Better.LOWER if fault in (GOOD, CONTRADICTS) else Better.HIGHER,
        note=note or ("" if n or fault not in FAULTS else FAULTS[fault].lacking),
    )
    return JudgeMeasured(judge=judge, fault=fault, rejected=measure)


async def review(reviewers: Sequence[Reviewer], cases: Sequence[Case], parallel: int) -> list[JudgeMeasured]:
    """Measure those that have to be waited for: each reviewer on each kind of case, ``parallel`` reviews at a time.

    A review that ends in a ModelError has no answer: it is not counted, and the Measure's note tells how many there
    were; where nobody is there to answer any more, the error is raised, for a trial half heard is none. The first good
    cases are asked about a second time, with another seed in the brief; "contradicts itself" is the share of these
    pairs that were decided differently. All other errors are raised, the first one alone.

    When it lies: a reviewer that ignores the seed answers the second time out of the store, and never contradicts
    itself.
    """
    again = [case for case in cases if case.truth == GOOD][:ASKED_TWICE]
    wanted = [(case, 0) for case in cases] + [(case, 1) for case in again]
    gate = asyncio.Semaphore(max(1, parallel))
    measured: list[JudgeMeasured] = []
    for reviewer in reviewers:
        decisions = await _together([partial(_decision, reviewer, gate, *each) for each in wanted])
        once = decisions[: len(cases)]
        for fault in FAULTS:
            if heard := [decision for case, decision in zip(cases, once, strict=True) if case.truth == fault]:
                answers = [decision is not Decision.ACCEPT for decision in heard if decision is not None]
                measured.append(_measured(reviewer.name, fault, answers, _unanswered(len(heard) - len(answers), heard)))
        first = [decision for case, decision in zip(cases, once, strict=True) if case.truth == GOOD]
        pairs = [*zip(first, decisions[len(cases) :], strict=False)]
        differ = [one is not other for one, other in pairs if one is not None and other is not None]
        note = _unanswered(len(pairs) - len(differ), pairs) or ("" if pairs else FAULTS[GOOD].lacking)
        measured.append(_measured(reviewer.name, CONTRADICTS, differ, note))
    return measured


async def _decision(reviewer: Reviewer, gate: asyncio.Semaphore, case: Case, sample: int) -> Decision | None:
    """What the reviewer wants done with a case; None where it gave no answer."""
    async with gate:
        try:
            return (await reviewer.review(*presented(case, sample))).decision
        except ModelError as error:
            if gone(error):
                raise
            return None


async def _together(calls: Sequence[Callable[[], Awaitable[Decision | None]]]) -> list[Decision | None]:
    """All answers in order; the first failure ends the others, and is raised itself."""
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _unanswered(missing: int, asked: Sequence[object]) -> str:
    return f"no answer to {missing} of {len(asked)}" if missing else ""

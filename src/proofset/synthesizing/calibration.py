"""Judges on trial: known-good organic records and planted faults go through every judge before a run spends.

Each organic record is shown to heads that have not seen its fold, so the trial is as blind as the real thing. The share
rejected is recall for a fault and the false-alarm rate for a good record, each with a Wilson interval.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from proofset.config import Gates
from proofset.copies import CopyIndex
from proofset.nouns.candidate import Brief, Candidate, Decision
from proofset.nouns.event import JudgeMeasured
from proofset.nouns.evidence import Anchor, Evidence
from proofset.nouns.record import Record, content_id
from proofset.nouns.result import Better, Measure
from proofset.plugins import Judge
from proofset.stats import wilson
from proofset.synthesizing.gates import AnchorGate, CopyGate, FluencyGate, FormGate

GOOD = "none"
"""The fault of a record that has none."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A text on trial: which slice it is presented for, and which anchors the judge may compare it with."""

    text: str
    label: str
    fold: int
    anchors: tuple[Anchor, ...] = ()
    finish: str = "stop"


def _words_dropped(text: str, rng: random.Random) -> str:
    """The text with every seventh word or so left out."""
    words = text.split()
    kept = [word for word in words if rng.random() > 0.15]
    return " ".join(kept if len(kept) < len(words) else words[1:])


def _shuffled_letters(text: str, rng: random.Random) -> str:
    """The text's characters in random order: right letters, no language."""
    letters = list(text)
    rng.shuffle(letters)
    return "".join(letters)


def _looped(text: str, rng: random.Random) -> str:
    """The first words again and again."""
    del rng
    return " ".join(text.split()[:3] * 6)


def trial(
    critic: Judge | None,
    gates: Gates,
    records: Sequence[Record],
    folds: dict[str, int],
    edge: frozenset[str],
    *,
    most: int = 300,
    seed: int,
) -> Iterator[JudgeMeasured]:
    """Measure the judges on ``records``, for the labels in ``edge``; at most ``most`` cases a fault.

    Good records and wrong labels need no planting: a record of another label, presented for an edge slice, is a wrong
    label. The copy gates are tried with an index of one half of the records on texts of both halves.
    """
    rng = random.Random(f"{seed}/trial")  # noqa: S311 (reproducible sample, no secret)
    shuffled = sorted(records, key=lambda record: record.id)
    rng.shuffle(shuffled)
    form, fluency = FormGate(gates), FluencyGate([record.text for record in shuffled[::2]], gates)
    own = [record for record in shuffled if record.label in edge][:most]
    others = [record for record in shuffled if record.label not in edge][:most] if edge else []
    labels = sorted(edge)
    good = [_Case(record.text, str(record.label), folds[record.id]) for record in own]
    wrong = [_Case(record.text, labels[k % len(labels)], folds[record.id]) for k, record in enumerate(others)]
    if not others:  # every label is an edge: present each record for the next label
        wrong = [_Case(case.text, labels[(labels.index(case.label) + 1) % len(labels)], case.fold) for case in good]
    unseen = [_Case(record.text, str(record.label), folds[record.id]) for record in shuffled[1::2]][:most]
    if critic is not None:
        yield _measured(critic, GOOD, good)
        yield _measured(critic, "wrong label", wrong)
    yield _measured(form, GOOD, unseen)
    yield _measured(form, "truncated", [_Case(case.text, case.label, case.fold, finish="length") for case in unseen])
    yield _measured(form, "repeats itself", _planted(unseen, _looped, rng))
    yield _measured(fluency, GOOD, unseen)
    yield _measured(fluency, "shuffled letters", _planted(unseen, _shuffled_letters, rng))
    yield from _copy_trial(gates, shuffled, folds, most, rng)


def _copy_trial(
    gates: Gates, records: Sequence[Record], folds: dict[str, int], most: int, rng: random.Random
) -> Iterator[JudgeMeasured]:
    index = CopyIndex(gates.copy_similarity)
    groups = sorted({record.group or record.id for record in records})
    known = set(groups[::2])
    for record in records:
        if (record.group or record.id) in known:
            index.add(record.id, record.text)
    gate, anchor_gate = CopyGate("organic copy", "copy of organic", index), AnchorGate(gates)
    inside: list[_Case] = []
    outside: list[_Case] = []
    for record in records:
        anchors = (Anchor(record.id, record.text, record.label),)
        case = _Case(record.text, str(record.label), folds[record.id], anchors)
        (inside if (record.group or record.id) in known else outside).append(case)
    inside, outside = inside[:most], outside[:most]
    yield _measured(gate, GOOD, outside)
    yield _measured(gate, "copied", inside)
    yield _measured(gate, "near-copied", _planted(inside, _words_dropped, rng))
    yield _measured(anchor_gate, "copied", inside)


def _planted(cases: Sequence[_Case], fault: Callable[[str, random.Random], str], rng: random.Random) -> list[_Case]:
    return [_Case(fault(case.text, rng), case.label, case.fold, case.anchors) for case in cases]


def _measured(judge: Judge, fault: str, cases: Sequence[_Case]) -> JudgeMeasured:
    rejected = sum(judge.judge(*_presented(case)).decision is Decision.REJECT for case in cases)
    low, high = wilson(rejected, len(cases)) if cases else (None, None)
    measure = Measure(
        name="rejected",
        value=rejected / len(cases) if cases else None,
        low=low,
        high=high,
        n=len(cases),
        unit="share",
        better=Better.LOWER if fault == GOOD else Better.HIGHER,
        note="" if cases else "no records to try it on",
    )
    return JudgeMeasured(judge=judge.name, fault=fault, rejected=measure)


def _presented(case: _Case) -> tuple[Brief, Candidate]:
    """The case as a judge would meet it in the loop."""
    brief_id = content_id("trial", case.label, case.text)
    brief = Brief(
        id=brief_id,
        slice=case.label,
        label=case.label,
        number=0,
        anchors=case.anchors,
        evidence=Evidence(),
        opening="",
        unseen_fold=case.fold,
        seed=0,
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

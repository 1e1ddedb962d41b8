"""Planted faults: texts that are wrong in a known way, made from organic records that are known to be right.

A judge's recall is the share of them that it refuses. Of near-copies (a group) one alone is used, so the cases of a
fault come from different records and may be counted as independent; those of two faults may share a record.
"""

from __future__ import annotations

import random
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from itertools import islice

from proofset.errors import InputError
from proofset.nouns.evidence import Anchor, Evidence, Passage
from proofset.nouns.record import Record, content_id
from proofset.synthesizing.alterations import (
    Alter,
    cut_off,
    entities,
    entity_swapped,
    letters_shuffled,
    looped,
    negated,
    one_word,
    words_dropped,
)

GOOD = "none"
"""The fault of a record that has none."""
SHOWN = 3
"""Organic records of the slice that a case is shown with, as a brief would show them."""
DRAWN = 32
"""Records of the slice that they are looked for among; enough, as only those of one fold are passed over."""
NEIGHBOURS = 3
"""Most confusable labels of a slice that pass for near."""
BANK_LANGUAGE = "en"
"""Language of the off-topic sentences, and the only one that is negated."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A text that breaks a rule of the domain."""

    rule: int
    text: str
    labels: tuple[str, ...] = ()
    """Slices that the rule holds for; empty for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplies:
    """What only the caller has, and some faults cannot be planted without."""

    confused: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """For a label, how much each other one is confused with it; a larger weight is nearer."""
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    """What candidates of a label may rest on."""
    contaminated: tuple[str, ...] = ()
    """Texts of which the judges know the hashes alone."""
    personal: tuple[str, ...] = ()
    """Texts with personal data in them."""
    forbidden: tuple[Breach, ...] = ()
    """Texts that break a rule."""
    language: str = BANK_LANGUAGE
    """ISO 639-1 code of the organic language: sentences in it are not foreign."""


NOTHING = Supplies()
"""No supplies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A text on trial: what it is presented for, in what company, and what is wrong with it."""

    text: str
    label: str
    """The slice it is presented for."""
    fold: int
    """The fold of its organic record: heads that have seen it may not be asked."""
    anchors: tuple[Anchor, ...] = ()
    finish: str = "stop"
    opening: str = ""
    evidence: Evidence = field(default_factory=Evidence)
    truth: str = GOOD
    """The planted fault, or "none"."""
    source_id: str = ""
    """The organic record it was made from; a name of its own for a text from elsewhere."""
    before: str = ""
    """A text that was accepted before it; the fault is to say it again."""


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What faults are planted in: the records in order of use, and their company."""

    records: tuple[Record, ...]
    folds: Mapping[str, int]
    edge: tuple[str, ...]
    company: Mapping[str, Sequence[Record]]
    supplies: Supplies
    seed: int

    def rng(self, fault: str, key: str) -> random.Random:
        """A stream of its own for each case, so that no case depends on which others there are."""
        return random.Random(f"{self.seed}/{fault}/{key}")  # noqa: S311 (reproducible draws, no secret)

    def anchors(self, fault: str, label: str, fold: int, record: Record | None = None) -> tuple[Anchor, ...]:
        """A few records of the slice out of other folds than the case's, and never its near-copies."""
        key = record.id if record else f"{label} {fold}"
        own = self.company.get(label, ())
        drawn = self.rng(f"{fault}/anchors", key).sample(own, min(DRAWN, len(own)))
        near = _group(record) if record else ""
        others = (each for each in drawn if self.folds[each.id] != fold and _group(each) != near)
        return tuple(Anchor(each.id, each.text, each.label) for each in islice(others, SHOWN))

    def case(self, fault: str, record: Record, text: str, *, label: str = "", finish: str = "stop") -> Case:
        """A text made from a record, presented for ``label`` or the record's own."""
        label, fold = label or str(record.label), self.folds[record.id]
        anchors = self.anchors(fault, label, fold, record)
        evidence = self.supplies.evidence.get(label, Evidence())
        return Case(
            text=text, label=label, fold=fold, anchors=anchors, finish=finish,
            evidence=evidence, truth=fault, source_id=record.id,
        )  # fmt: skip

    def strangers(self, fault: str, texts: Iterable[tuple[str, str, tuple[str, ...]]]) -> Iterator[Case]:
        """Texts (id, text, labels) that are no organic record, presented for their labels or the edges in turn."""
        folds = sorted({self.folds[record.id] for record in self.records}) or [0]
        ordered = sorted(texts, key=lambda each: content_id(self.seed, *each[:2]))
        for number, (key, text, only) in enumerate(ordered):
            labels = [label for label in self.edge if label in only or not only] or list(only or sorted(self.company))
            if labels:
                turn, place = divmod(number, len(labels))
                label, fold = labels[place], folds[turn % len(folds)]
                anchors = self.anchors(f"{fault} {key}", label, fold)
                evidence = self.supplies.evidence.get(label, Evidence())
                yield Case(
                    text=text, label=label, fold=fold, anchors=anchors,
                    evidence=evidence, truth=fault, source_id=key,
                )  # fmt: skip


def _group(record: Record) -> str:
    return record.group or record.id


@cache
def _bank() -> Mapping[str, Mapping[str, Sequence[str]]]:
    return tomllib.loads(files("proofset.synthesizing").joinpath("strangers.toml").read_text(encoding="utf-8"))


# ── the faults ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _good(ground: _Ground) -> Iterator[Case]:
    return (ground.case(GOOD, record, record.text) for record in ground.records if str(record.label) in ground.edge)


def _wrong_label(ground: _Ground) -> Iterator[Case]:
    """Records from elsewhere, presented for the edges in turn; where every label is an edge, each for the next one."""
    edge = ground.edge
    others = [record for record in ground.records if str(record.label) not in edge]
    if edge and others:
        for number, record in enumerate(others):
            yield ground.case("wrong label", record, record.text, label=edge[number % len(edge)])
    elif len(edge) > 1:
        for record in ground.records:
            after = edge[(edge.index(str(record.label)) + 1) % len(edge)]
            yield ground.case("wrong label", record, record.text, label=after)


def _near_label(ground: _Ground) -> Iterator[Case]:
    """Records of the labels most confused with each edge, the edges in turn; no record is used twice."""
    of_label: dict[str, list[Record]] = defaultdict(list)
    for record in ground.records:
        of_label[str(record.label)].append(record)
    queues: dict[str, Iterator[Record]] = {}
    for label in ground.edge:
        weights = ground.supplies.confused.get(label, {})
        near = sorted((-weight, each) for each, weight in weights.items() if each != label and weight > 0)
        queues[label] = (record for _, other in near[:NEIGHBOURS] for record in of_label[other])
    used: set[str] = set()
    while queues:
        for label in tuple(queues):
            if found := next((each for each in queues[label] if each.id not in used), None):
                used.add(found.id)
                yield ground.case("near label", found, found.text, label=label)
            else:
                del queues[label]


def _off_topic(ground: _Ground) -> Iterator[Case]:
    fits = ground.supplies.language == BANK_LANGUAGE
    texts = _bank()["off-topic"][BANK_LANGUAGE] if fits else ()
    yield from ground.strangers("off-topic", ((f"off-topic {n}", text, ()) for n, text in enumerate(texts)))


def _wrong_language(ground: _Ground) -> Iterator[Case]:
    bank = {**_bank()["language"], **_bank()["off-topic"]}
    texts = [
        (f"{language} {n}", text, ())
        for language, sentences in bank.items()
        if language != ground.supplies.language
        for n, text in enumerate(sentences)
    ]
    yield from ground.strangers("wrong language", texts)


def _forbidden(ground: _Ground) -> Iterator[Case]:
    breaches = ground.supplies.forbidden
    texts = ((f"rule {each.rule}, text {n}", each.text, each.labels) for n, each in enumerate(breaches))
    yield from ground.strangers("forbidden", texts)


def _contaminated(ground: _Ground) -> Iterator[Case]:
    texts = ((f"contaminated {n}", text, ()) for n, text in enumerate(ground.supplies.contaminated))
    yield from ground.strangers("contaminated", texts)


def _personal(ground: _Ground) -> Iterator[Case]:
    texts = ((f"personal {n}", text, ()) for n, text in enumerate(ground.supplies.personal))
    yield from ground.strangers("personal data", texts)


def _copied(ground: _Ground) -> Iterator[Case]:
    """The record itself, with itself among the anchors."""
    for record in ground.records:
        case = ground.case("copied", record, record.text)
        yield replace(case, anchors=(Anchor(record.id, record.text, record.label), *case.anchors[1:]))


def _duplicate(ground: _Ground) -> Iterator[Case]:
    return (replace(ground.case("duplicate", each, each.text), before=each.text) for each in ground.records)


def _swapped_entity(ground: _Ground) -> Iterator[Case]:
    """One number or name exchanged, for one of the evidence where it has any; the evidence says what was right."""
    far = entities(record.text for records in ground.company.values() for record in records)
    for record in ground.records:
        case = ground.case("swapped entity", record, record.text)
        own, near = entities([record.text]), entities(_said(case.evidence))
        others = {kind: near[kind] if set(near[kind]) - set(own[kind]) else far[kind] for kind in far}
        text = entity_swapped(record.text, others, ground.rng("swapped entity", record.id))
        if text != record.text:
            yield _against_itself(case, text, record)


def _said(evidence: Evidence) -> Iterator[str]:
    """The texts of the evidence; what a fact is about stands inside of a sentence, where names are looked for."""
    yield from (passage.text for passage in evidence.passages)
    yield from (f"the {part}" for fact in evidence.facts for part in (fact.subject, fact.object))


def _contradicting(ground: _Ground) -> Iterator[Case]:
    if ground.supplies.language == BANK_LANGUAGE:
        for record in ground.records:
            text = negated(record.text, ground.rng("negated", record.id))
            if text != record.text:
                yield _against_itself(ground.case("negated", record, record.text), text, record)


def _against_itself(case: Case, text: str, record: Record) -> Case:
    """The altered text, with the record itself added to the evidence: what it contradicts."""
    passage = Passage(id=record.id, text=record.text, source=record.source or record.id, slice=case.label)
    evidence = replace(case.evidence, passages=(*case.evidence.passages, passage))
    return replace(case, text=text, evidence=evidence)


def _altered(fault: str, alter: Alter, finish: str = "stop") -> Callable[[_Ground], Iterator[Case]]:
    def plant_it(ground: _Ground) -> Iterator[Case]:
        for record in ground.records:
            text = alter(record.text, ground.rng(fault, record.id))
            if text.strip() and (text != record.text or finish != "stop"):
                yield ground.case(fault, record, text, finish=finish)

    return plant_it


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault: what it is called of many, why there may be no case of it, and how it is planted."""

    words: str
    """What people call its cases, as in "refuses 90% of …"."""
    lacking: str
    """Why there is no case of it, when there is none."""
    plant: Callable[[_Ground], Iterator[Case]]


_NO_RECORDS = "no records to try it on"
FAULTS: Mapping[str, Fault] = {
    GOOD: Fault("good records", "no fresh records of an edge slice", _good),
    "wrong label": Fault("planted wrong labels", "no edge slice, or no record of another label", _wrong_label),
    "near label": Fault("planted neighbours' labels", "no label is known to be confused with an edge", _near_label),
    "off-topic": Fault("off-topic texts", "the sentences at hand are in another language", _off_topic),
    "wrong language": Fault("sentences in a wrong language", _NO_RECORDS, _wrong_language),
    "truncated": Fault("truncated texts", _NO_RECORDS, _altered("truncated", cut_off, "length")),
    "too short": Fault("texts that are too short", _NO_RECORDS, _altered("too short", one_word)),
    "repeats itself": Fault("texts that repeat themselves", _NO_RECORDS, _altered("repeats itself", looped)),
    "shuffled letters": Fault("shuffled letters", _NO_RECORDS, _altered("shuffled letters", letters_shuffled)),
    "copied": Fault("copies", _NO_RECORDS, _copied),
    "near-copied": Fault("near-copies", "no records of two words", _altered("near-copied", words_dropped)),
    "contaminated": Fault("contaminated texts", "no text was given of which the judges know the hash", _contaminated),
    "personal data": Fault("texts with personal data", "no such text was given", _personal),
    "forbidden": Fault("texts that break a rule", "no rule comes with an example of its breach", _forbidden),
    "swapped entity": Fault("texts with a swapped entity", "no record has a number or a name to swap", _swapped_entity),
    "negated": Fault("contradicted texts", "no record states what could be denied", _contradicting),
    "duplicate": Fault("duplicates", _NO_RECORDS, _duplicate),
}
"""Every fault that is planted, by its name, in the order of the trial; "none" is a good record.

When they lie: a negation or a swap is a fault only to a judge that reads the evidence; the off-topic sentences (many
subjects) may be on topic for a corpus of everything; near-copies drop one word in seven, but at least one.
"""


def plant(
    records: Sequence[Record],
    folds: Mapping[str, int],
    edge: Iterable[str],
    faults: Iterable[str] = tuple(FAULTS),
    *,
    company: Sequence[Record] = (),
    supplies: Supplies = NOTHING,
    most: int = 300,
    seed: int,
) -> dict[str, list[Case]]:
    """Cases of each of ``faults``, at most ``most`` of each; an empty list where a fault cannot be planted.

    ``folds`` gives the fold of each record by its id; ``edge`` names the slices that candidates are made for: good
    records are theirs, wrong labels are presented for them, all other faults prefer them. Anchors come out of
    ``company``, by default the records themselves. Equal arguments give equal cases in whatever order records come.
    Raises InputError for a record without a fold and for an unknown fault.
    """
    company = company or records
    for record in (*records, *company):
        if record.id not in folds:
            raise InputError(f"record {record.id} has no fold", hint="give the fold of every record by its id")
    if unknown := set(faults := tuple(faults)) - FAULTS.keys():
        raise InputError(f"no fault is called {min(unknown)!r}", hint=f"known faults: {', '.join(FAULTS)}")
    by_label: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(company, key=lambda each: each.id):
        by_label[str(record.label)].append(record)
    wanted = frozenset(edge)
    ordered = sorted(records, key=lambda each: (str(each.label) not in wanted, content_id(seed, each.id), each.id))
    one_each: dict[str, Record] = {}
    for record in ordered:
        one_each.setdefault(_group(record), record)
    ground = _Ground(
        records=tuple(one_each.values()),
        folds=folds,
        edge=tuple(sorted(wanted)),
        company=by_label,
        supplies=supplies,
        seed=seed,
    )
    return {fault: list(islice(FAULTS[fault].plant(ground), most)) for fault in faults}

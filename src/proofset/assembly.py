"""Parts put together: what the verbs need, made out of the rooms' pieces and the run's own files and events.

Rooms on one floor are strangers; here a trainer meets an encoder, and a critic its heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from sys import intern

import numpy as np
from numpy.typing import NDArray

from proofset.auditing import slices
from proofset.auditing.ingest import SealedHashes, contamination_index
from proofset.copies import CopyIndex
from proofset.errors import LeakageError
from proofset.nouns.candidate import SEEN_ALL, Candidate, Output
from proofset.nouns.event import BriefClosed, DeficitRanked, Proposed
from proofset.nouns.evidence import Passage
from proofset.nouns.record import Corpus, HeldOut, Origin, Record, content_id, normal_form
from proofset.plugins import Content, Kind, Trainer, find
from proofset.runs import tables
from proofset.synthesizing.outputs import Leakage, check_apart
from proofset.training import mixture
from proofset.walk import Walk

RECORDS, HELDOUT, HASHES = "records/organic.parquet", "heldout/records.parquet", "heldout/hashes.parquet"
EARLIER = "records/earlier.parquet"
STUDENT = "tables/student.json"
PASSAGES, FACTS = "graph/passages.parquet", "graph/facts.parquet"


@dataclass(frozen=True, kw_only=True, eq=False)
class Organic:
    """The training records, column by column, with their vectors ``(n, d)`` and folds ``(n,)``."""

    records: tuple[Record, ...]
    labels: tuple[str, ...]
    vectors: NDArray[np.float32]
    folds: NDArray[np.int64]

    @property
    def folded(self) -> mixture.Folded:
        """As the training room wants it."""
        return mixture.Folded(vectors=self.vectors, labels=self.labels, folds=self.folds)


def organic(walk: Walk) -> Organic:
    """The run's training records as the student sees them."""
    records = tuple(tables.read_records(walk.run.path(RECORDS)))
    of = slices.grouped_folds(records, walk.study.audit.folds, walk.study.seed)
    return Organic(
        records=records,
        labels=tuple(str(record.label) for record in records),
        vectors=walk.encoder.encode([record.text for record in records]),
        folds=np.array([of[record.id] for record in records]),
    )


def earlier(walk: Walk) -> tuple[Record, ...]:
    """Synthetic records of earlier generations that came with the organic ones."""
    return tuple(tables.read_records(walk.run.path(EARLIER)))


def generation(walk: Walk) -> int:
    """The generation of what this run makes: one more than that of whatever its generator learns or is shown."""
    settings = walk.study.synthesize
    shown = [record.generation for record in earlier(walk)] if settings.synthetic_anchors else []
    return 1 + max([settings.model.generation, *shown])


def trainer(walk: Walk) -> Trainer:
    """The study's trainer."""
    found: Trainer = find("trainers", walk.study.train.trainer)
    return found


def edge_slices(walk: Walk) -> frozenset[str]:
    """Names of the slices that the audit called edges."""
    events = walk.run.since("audit")
    return frozenset(each.deficit.slice for each in events if isinstance(each, DeficitRanked) and each.deficit.edge)


def candidates(walk: Walk) -> tuple[list[Candidate], list[Candidate]]:
    """All candidates of the run, and the accepted ones: the fold of the loop's closings, slice by slice in order."""
    proposed: dict[str, Candidate] = {}
    closed: list[BriefClosed] = []
    for event in walk.run.since("synthesize"):
        if isinstance(event, Proposed):
            proposed[event.candidate.id] = event.candidate
        elif isinstance(event, BriefClosed):
            closed.append(event)
    closed.sort(key=lambda each: (each.slice, each.number))
    place = {each.brief_id: number for number, each in enumerate(closed)}
    everything = sorted(proposed.values(), key=lambda each: place.get(each.brief_id, len(place)))
    return everything, [proposed[each.winner] for each in closed if each.winner is not None]


def accepted(walk: Walk, output: Output = Output.TRAIN) -> Iterator[Record]:
    """The candidates accepted for ``output`` as Records, in order; each is let go as the next one is asked for."""
    closed = sorted(
        (intern(event.slice), event.number, event.winner)
        for event in walk.run.since("synthesize")
        if isinstance(event, BriefClosed) and event.winner is not None
    )
    won = {winner: number for number, (_, _, winner) in enumerate(closed)}
    records: list[Record | None] = [None] * len(closed)
    del closed
    made = generation(walk)
    for event in walk.run.since("synthesize"):
        if isinstance(event, Proposed) and (place := won.pop(event.candidate.id, None)) is not None:
            records[place] = as_record(event.candidate, made) if event.candidate.output is output else None
    assert not won  # a closing names a candidate that was logged before it
    for place, record in enumerate(records):
        records[place] = None
        if record is not None:
            yield record


def as_record(candidate: Candidate, generation: int = 1) -> Record:
    """An accepted candidate becomes a Record."""
    return Record(
        id=content_id("record", candidate.text, candidate.label),
        text=candidate.text,
        label=intern(candidate.label),
        origin=Origin.SYNTHETIC,
        source=f"brief {candidate.brief_id}, candidate {candidate.id}",
        generation=generation,
        content=candidate.content,
    )


def corpus_of(walk: Walk, output: Output = Output.TRAIN) -> Corpus:
    """The candidates accepted for ``output`` as Records."""
    what = "" if output is Output.TRAIN else f" for {output}"
    recipe = f"accepted candidates{what} of the study {walk.study.name!r}, seed {walk.study.seed}"
    return Corpus(records=tuple(accepted(walk, output)), recipe=recipe)


def sealed_index(walk: Walk) -> CopyIndex:
    """What may be known of the held-out set: whether a text is a near-copy of something in it."""
    hashes = tables.read_rows(walk.run.path(HASHES), SealedHashes)
    return contamination_index(hashes, walk.study.synthesize.gates.copy_similarity)


def turn_of(walk: Walk) -> Callable[[Candidate], tuple[str, str]]:
    """For a candidate, what was asked and what it answered: two answers can be compared where the question is one."""
    kind: Kind = find("kinds", walk.study.synthesize.kind)

    def turn(candidate: Candidate) -> tuple[str, str]:
        said = kind.messages_of(Content(candidate.text, candidate.content, candidate.label))
        if len(said) > 1 and said[-1].role == "assistant":
            return "\n".join(f"{each.role}: {each.content}" for each in said[:-1]), said[-1].content
        return f"Write one more of: {walk.title(candidate.label)}", candidate.text

    return turn


def check_outputs(walk: Walk, made: Mapping[Output, Corpus]) -> Leakage:
    """What the outputs of a run share with each other or with the held-out set: by id, by words and by meaning."""
    gates, sealed = walk.study.synthesize.gates, sealed_index(walk)
    filled = {output: corpus.records for output, corpus in made.items() if corpus.records}
    texts = {output: [record.text for record in records] for output, records in filled.items()}
    several = len(filled) > 1 and gates.paraphrase_similarity < 1
    return check_apart(
        filled,
        similarity=gates.copy_similarity,
        sealed=lambda text: sealed.match(text) is not None,
        vectors={output: walk.encoder.encode(own) for output, own in texts.items()} if several else None,
        cosine=gates.paraphrase_similarity,
    )


def require_sealed(walk: Walk, heldout: tuple[HeldOut, ...]) -> None:
    """Stop when a held-out text stands among what the arms trained on."""
    trained_on = {normal_form(text) for rows in additions(walk).values() for text, _, _ in rows}
    trained_on |= {normal_form(each.text) for each in (*tables.read_records(walk.run.path(RECORDS)), *earlier(walk))}
    leaked = [item.id for item in heldout if normal_form(item.text) in trained_on]
    if leaked:
        raise LeakageError(
            f"{len(leaked)} held-out records stand in the training data, the first is {leaked[0]}",
            hint="remove them from passages and corpus, and run again",
        )


def additions(walk: Walk) -> dict[str, list[tuple[str, str, int]]]:
    """What joins the organic records in which arm, as (text, label, fold that its making did not see).

    Definitions are organic knowledge, so every arm with synthetic text has them too. Unjudged means before any judge,
    but for near-copies of held-out records: those would flatter the arm. Records of earlier generations were judged
    when they were made, and are kept.
    """
    everything, kept = ([each for each in part if each.output is Output.TRAIN] for part in candidates(walk))
    passages = tables.read_rows(walk.run.path(PASSAGES), Passage)
    sealed = sealed_index(walk)
    spoken = [each for each in everything if each.text.strip() and sealed.match(each.text) is None]
    defined = [(passage.text, passage.slice, mixture.ALWAYS_ALLOWED) for passage in passages]
    before = [(record.text, str(record.label), SEEN_ALL) for record in earlier(walk)]
    return {
        "": [],
        mixture.DEFINITIONS: defined,
        mixture.UNJUDGED: defined + [(each.text, each.label, each.unseen_fold) for each in spoken],
        mixture.JUDGED: defined + before + [(each.text, each.label, each.unseen_fold) for each in kept],
    }


def added_records(walk: Walk, known: Organic, rows: list[tuple[str, str, int]]) -> mixture.Folded:
    """The rows of one arm with their vectors."""
    texts, labels, folds = zip(*rows, strict=True) if rows else ((), (), ())
    vectors = walk.encoder.encode(list(texts)) if texts else known.vectors[:0]
    return mixture.Folded(vectors=vectors, labels=labels, folds=np.array(folds, dtype=np.int64))

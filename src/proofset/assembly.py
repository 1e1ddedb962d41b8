"""Parts put together: what the verbs need, made out of the rooms' pieces and the run's own files and events.

Rooms on one floor are strangers; here a trainer meets an encoder, and a critic its heads.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from sys import intern

import numpy as np
from numpy.typing import NDArray

from proofset.auditing import slices
from proofset.auditing.ingest import SealedHashes, contamination_index
from proofset.copies import CopyIndex
from proofset.errors import ConfigError, LeakageError
from proofset.grounding import anchors, graph
from proofset.nouns.candidate import Candidate, Quota
from proofset.nouns.event import BriefClosed, DeficitRanked, JudgeMeasured, Proposed
from proofset.nouns.evidence import Fact, Passage
from proofset.nouns.record import Corpus, HeldOut, Origin, Record, content_id, normal_form
from proofset.plugins import ChatModel, Reviewer, Trainer, find
from proofset.runs import tables
from proofset.speaking import GENERATOR, Speaking, make
from proofset.synthesizing import loop
from proofset.synthesizing.brief import Composer, quotas
from proofset.synthesizing.critic import OrganicTexts, PanelCritic, character_view, head_view
from proofset.synthesizing.gates import Cascade
from proofset.synthesizing.reviewer import ModelCritic
from proofset.training import mixture
from proofset.walk import Walk, interrupted, unhurried_collector

RECORDS, HELDOUT, HASHES = "records/organic.parquet", "heldout/records.parquet", "heldout/hashes.parquet"
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


def trainer(walk: Walk) -> Trainer:
    """The study's trainer."""
    found: Trainer = find("trainers", walk.study.train.trainer)
    return found


def speaker(walk: Walk) -> ChatModel:
    """The study's generator."""
    settings = walk.study.synthesize.model
    return make(walk, settings, GENERATOR)


def make_critic(walk: Walk, known: Organic, strength: float) -> PanelCritic | None:
    """Two views that fail differently: meaning (embeddings) and spelling (character n-grams). None without any view."""
    settings = walk.study.synthesize.critic
    texts = OrganicTexts(tuple(r.text for r in known.records), known.labels, tuple(known.folds.tolist()))
    train = trainer(walk)
    views = []
    if "meaning" in settings.views:
        encode = walk.encoder.encode
        views.append(head_view("meaning", encode, lambda x, y: train(x, y, np.ones(len(y)), strength=strength), texts))
    if "characters" in settings.views:
        views.append(character_view(texts))
    return PanelCritic(views, settings) if views else None


def edge_slices(walk: Walk) -> frozenset[str]:
    """Names of the slices that the audit called edges."""
    events = walk.run.since("audit")
    return frozenset(each.deficit.slice for each in events if isinstance(each, DeficitRanked) and each.deficit.edge)


def require_critic(walk: Walk) -> None:
    """Refuse to start with a critic that misses more planted wrong labels than the study allows."""
    floor = walk.study.synthesize.critic.min_fault_recall
    for event in walk.run.since("synthesize"):
        if isinstance(event, JudgeMeasured) and (event.judge, event.fault) == ("critic", "wrong label"):
            low = event.rejected.low
            if floor and (low is None or low < floor):
                found = "nothing" if low is None else f"at least {low:.0%}"
                raise ConfigError(
                    f"the critic refuses {found} of planted wrong labels; the study asks for {floor:.0%}",
                    hint="raise synthesize.critic.threshold, give more organic records, or lower min_fault_recall",
                )


def nearness(walk: Walk, confused: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Confusion out of fold, and on top of it what the graph says: with three records a slice, few confusions show."""
    facts = tables.read_rows(walk.run.path(FACTS), Fact)
    around = graph.Graph(facts)
    near = {name: around.near(name) for name in confused}
    return {
        name: {other: weight * (2.0 if other in near[name] else 1.0) for other, weight in others.items()}
        for name, others in confused.items()
    }


def composers_of(walk: Walk, known: Organic, plan: tuple[Quota, ...]) -> list[Composer]:
    """One writer of briefs a slice."""
    passages = tables.read_rows(walk.run.path(PASSAGES), Passage)
    around = graph.Graph(tables.read_rows(walk.run.path(FACTS), Fact))
    folds = dict(zip((record.id for record in known.records), known.folds.tolist(), strict=True))
    members: dict[str, list[Record]] = defaultdict(list)
    for record in known.records:
        members[str(record.label)].append(record)
    return [
        Composer(
            quota=quota,
            title=walk.title(quota.slice),
            anchoring=partial(anchors.choose_anchors, members[quota.slice], folds),
            evidence=anchors.evidence(quota.slice, passages, around),
            folds=walk.study.audit.folds,
            settings=walk.study.synthesize,
            seed=walk.study.seed,
        )
        for quota in plan
    ]


def planned(walk: Walk, known: Organic) -> list[Composer]:
    """The writers of briefs for every slice that the audit found to starve, and for those it is taken for."""
    student = json.loads(walk.run.path(STUDENT).read_text(encoding="utf-8"))
    deficits = [event.deficit for event in walk.run.since("audit") if isinstance(event, DeficitRanked)]
    return composers_of(walk, known, quotas(deficits, nearness(walk, student["confused"]), walk.study.synthesize))


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


def accepted(walk: Walk) -> Iterator[Record]:
    """The accepted candidates as Records, in the same order; each is let go as the next one is asked for."""
    closed = sorted(
        (intern(event.slice), event.number, event.winner)
        for event in walk.run.since("synthesize")
        if isinstance(event, BriefClosed) and event.winner is not None
    )
    won = {winner: number for number, (_, _, winner) in enumerate(closed)}
    records: list[Record | None] = [None] * len(closed)
    del closed
    for event in walk.run.since("synthesize"):
        if isinstance(event, Proposed) and (place := won.pop(event.candidate.id, None)) is not None:
            records[place] = as_record(event.candidate)
    for place, record in enumerate(records):
        records[place] = None
        assert record is not None  # a closing names a candidate that was logged before it
        yield record


def as_record(candidate: Candidate) -> Record:
    """An accepted candidate becomes a Record."""
    return Record(
        id=content_id("record", candidate.text, candidate.label),
        text=candidate.text,
        label=intern(candidate.label),
        origin=Origin.SYNTHETIC,
        source=f"brief {candidate.brief_id}, candidate {candidate.id}",
        generation=1,
    )


def corpus_of(walk: Walk) -> Corpus:
    """The accepted candidates as Records."""
    recipe = f"accepted candidates of the study {walk.study.name!r}, seed {walk.study.seed}"
    return Corpus(records=tuple(accepted(walk)), recipe=recipe)


async def run_loops(walk: Walk, composers: list[Composer], cascade: Cascade, critic: PanelCritic | None) -> None:
    """Load the models, and run every slice that the log does not show as closed.

    The first Ctrl-C lets what is in flight end and opens nothing more; then, or at the second, KeyboardInterrupt.
    """
    pasts = loop.Past.fold(walk.run.since("synthesize"), walk.run.events)
    composers = [each for each in composers if not pasts.get(each.quota.slice, loop.Past()).finished]
    if not composers:
        return
    speaking = Speaking(walk)
    try:
        reader = speaking.critic()
        model = speaking.metered(speaker(walk), GENERATOR, speaking.judging_bound(reader) if reader else None)
        reviewers = [ModelCritic(speaking.asker(reader), walk.study.synthesize.critic, walk.title)] if reader else []
        wanted = sum(
            composer.quota.accepted - pasts.get(composer.quota.slice, loop.Past()).accepted for composer in composers
        )
        walk.gauge(lambda: replace(speaking.standing(), wanted=wanted))
        with interrupted(walk.notice) as halted, unhurried_collector():
            streak = loop.Streak()
            loops = [
                loop.SliceLoop(
                    quota=composer.quota,
                    composer=composer,
                    model=model,
                    panel=_panel(walk, cascade, critic, reviewers),
                    settings=walk.study.synthesize,
                    tell=walk.tell,
                    settled=speaking.purse.let_go,
                    halted=halted,
                    streak=streak,
                    past=pasts.get(composer.quota.slice, loop.Past()),
                )
                for composer in composers
            ]
            await loop.synthesize(loops, max(walk.study.synthesize.model.slots, model.parallel))
            if halted():
                raise KeyboardInterrupt
    finally:
        await speaking.close()


def _panel(walk: Walk, cascade: Cascade, critic: PanelCritic | None, reviewers: Sequence[Reviewer]) -> loop.Panel:
    """One slice's judges: gates, then the study's own, then the critic; reviewers after all of them."""
    judges, remember = cascade.for_slice()
    judges += [find("judges", name)() for name in walk.study.synthesize.judges]
    judges += [critic] if critic else []
    return loop.Panel(judges=judges, remember=remember, stateful=cascade.stateful, reviewers=reviewers)


def sealed_index(walk: Walk) -> CopyIndex:
    """What may be known of the held-out set: whether a text is a near-copy of something in it."""
    hashes = tables.read_rows(walk.run.path(HASHES), SealedHashes)
    return contamination_index(hashes, walk.study.synthesize.gates.copy_similarity)


def require_sealed(walk: Walk, heldout: tuple[HeldOut, ...]) -> None:
    """Stop when a held-out text stands among what the arms trained on."""
    trained_on = {normal_form(text) for rows in additions(walk).values() for text, _, _ in rows}
    trained_on |= {normal_form(record.text) for record in tables.read_records(walk.run.path(RECORDS))}
    leaked = [item.id for item in heldout if normal_form(item.text) in trained_on]
    if leaked:
        raise LeakageError(
            f"{len(leaked)} held-out records stand in the training data, the first is {leaked[0]}",
            hint="remove them from passages and corpus, and run again",
        )


def additions(walk: Walk) -> dict[str, list[tuple[str, str, int]]]:
    """What joins the organic records in which arm, as (text, label, fold that its making did not see).

    Definitions are organic knowledge, so every arm with synthetic text has them too. Unjudged means before any judge,
    but for near-copies of held-out records: those would flatter the arm.
    """
    everything, kept = candidates(walk)
    passages = tables.read_rows(walk.run.path(PASSAGES), Passage)
    sealed = sealed_index(walk)
    spoken = [each for each in everything if each.text.strip() and sealed.match(each.text) is None]
    defined = [(passage.text, passage.slice, mixture.ALWAYS_ALLOWED) for passage in passages]
    return {
        "": [],
        mixture.DEFINITIONS: defined,
        mixture.UNJUDGED: defined + [(each.text, each.label, each.unseen_fold) for each in spoken],
        mixture.JUDGED: defined + [(each.text, each.label, each.unseen_fold) for each in kept],
    }


def added_records(walk: Walk, known: Organic, rows: list[tuple[str, str, int]]) -> mixture.Folded:
    """The rows of one arm with their vectors."""
    texts, labels, folds = zip(*rows, strict=True) if rows else ((), (), ())
    vectors = walk.encoder.encode(list(texts)) if texts else known.vectors[:0]
    return mixture.Folded(vectors=vectors, labels=labels, folds=np.array(folds, dtype=np.int64))

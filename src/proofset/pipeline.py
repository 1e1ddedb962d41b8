"""The path of a record, verb by verb. The only code that joins rooms and keeps records.

Read it top to bottom: ``ingest``, ``audit``, ``ground``, ``calibrate``, ``synthesize``, ``measure``, ``cost``,
``handoff``, ``train``, ``prove``, ``report``. Each verb is a function of a Walk; ``perform`` does what a verb needs
first and skips what is done.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofset import prospects
from proofset.assembly import (
    EARLIER,
    FACTS,
    HASHES,
    HELDOUT,
    PASSAGES,
    RECORDS,
    STUDENT,
    added_records,
    additions,
    check_outputs,
    corpus_of,
    edge_slices,
    organic,
    require_sealed,
    trainer,
)
from proofset.auditing import deficit, slices
from proofset.auditing import ingest as ingesting
from proofset.config import Study
from proofset.costing.ledger import statement
from proofset.costing.prices import check_priced
from proofset.errors import InputError
from proofset.grounding import graph, index
from proofset.judging import Bench
from proofset.measuring.diversity import compare_diversity
from proofset.measuring.leakage import internal_copy_share, near_copy_share
from proofset.nouns.candidate import Output
from proofset.nouns.event import (
    Claimed,
    Costed,
    Decided,
    DeficitRanked,
    Event,
    Grounded,
    Ingested,
    JudgeMeasured,
    Measured,
    Proved,
    Spent,
    Trained,
)
from proofset.nouns.evidence import Fact, Passage
from proofset.nouns.result import Gain, Standing, Usage
from proofset.nouns.slice import Deficit
from proofset.parcels import parcels_of
from proofset.reporting import html
from proofset.runs import tables
from proofset.runs.folder import Run
from proofset.speaking import prices_of, speakers_of
from proofset.staging import run_loops
from proofset.surveys import crossed, survey_of_run
from proofset.synthesizing.outputs import require_apart
from proofset.training import gain, mixture, trainers
from proofset.trials import put_on_trial, require_sound, review_on_trial
from proofset.walk import Verb, Walk, keep, nothing, wait_for

OFFSETS = "checkpoints/offsets.json"
FRACTIONS = (0.25, 0.5, 1.0)
"""Parts of the training records that the audit's learning curve is drawn through."""


# ── ingest ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def ingest(walk: Walk, outputs: list[str]) -> None:
    """Rows → Records and HeldOut: clean, group near-copies, drop with a reason, seal."""
    settings = walk.study.ingest
    rows = walk.rows(settings.path, settings.reader, settings.columns, settings.skip_rows)
    found = ingesting.ingest(rows, settings, path=settings.path, seed=walk.study.seed)
    keep(walk, outputs, RECORDS, partial(tables.write_records, records=found.records))
    keep(walk, outputs, EARLIER, partial(tables.write_records, records=found.earlier))
    keep(walk, outputs, HELDOUT, partial(tables.write_heldout, heldout=found.heldout))
    hashes = tuple(ingesting.contamination_rows(found.heldout))
    keep(walk, outputs, HASHES, partial(tables.write_rows, rows=hashes, noun=ingesting.SealedHashes))
    dropped = partial(tables.write_rows, rows=found.dropped, noun=ingesting.Dropped)
    keep(walk, outputs, "tables/dropped.parquet", dropped)
    walk.tell(
        Ingested(
            rows=found.rows,
            organic=len(found.records),
            held_out=len(found.heldout),
            labels=len({record.label for record in found.records}),
            near_copy_groups=found.groups,
            dropped=tuple(Counter(row.reason for row in found.dropped).most_common()),
            earlier=len(found.earlier),
            generation=max((record.generation for record in found.earlier), default=0),
        )
    )


# ── audit ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def audit(walk: Walk, outputs: list[str]) -> None:
    """Records → Slices → Deficits: how far each label starves, by out-of-fold error and learning curve."""
    known, settings, fit = organic(walk), walk.study.audit, trainer(walk)
    nobody = mixture.Folded(vectors=known.vectors[:0], labels=(), folds=known.folds[:0])
    chosen = mixture.choose(fit, known.folded, nobody, strengths=walk.study.train.strengths, weights=(1.0,))
    points = trainers.learning_curve(
        fit, known.vectors, known.labels, known.folds, FRACTIONS, strength=chosen.strength, seed=walk.study.seed
    )
    outcomes = [
        deficit.Outcome(fraction=p.fraction, slice=p.label, n_train=p.n_train, errors=p.errors, n=p.n) for p in points
    ]
    found = slices.slices_by_label(known.records, settings.titles)
    ranked = deficit.deficits(found, outcomes, settings)
    for one in ranked:
        walk.tell(DeficitRanked(deficit=one))
    keep(walk, outputs, "tables/deficits.parquet", partial(tables.write_rows, rows=ranked, noun=Deficit))
    predicted = trainers.out_of_fold(
        fit, known.vectors, known.labels, np.ones(len(known.labels)), known.folds, strength=chosen.strength
    )
    student = {"strength": chosen.strength, "confused": _confusion(predicted, known.labels)}
    keep(walk, outputs, STUDENT, lambda path: path.write_text(json.dumps(student), encoding="utf-8"))


def _confusion(predicted: NDArray[np.float64], labels: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Mean probability that records of one label are given to each other label, out of fold."""
    names, truth = sorted(set(labels)), np.asarray(labels)
    return {
        name: {
            other: round(float(predicted[truth == name, column].mean()), 6)
            for column, other in enumerate(names)
            if other != name
        }
        for name in names
    }


# ── ground ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def ground(walk: Walk, outputs: list[str]) -> None:
    """Documents and facts → Passages and Facts; a slice without either is synthesized from its anchors alone."""
    settings = walk.study.ground
    passages = index.passages(walk.rows(settings.passages), settings.passages) if settings.passages else ()
    facts = graph.facts(walk.rows(settings.facts), settings.facts) if settings.facts else ()
    known = {record.label for record in tables.read_records(walk.run.path(RECORDS))}
    about = [passage for passage in passages if passage.slice in known]
    keep(walk, outputs, PASSAGES, partial(tables.write_rows, rows=about, noun=Passage))
    keep(walk, outputs, FACTS, partial(tables.write_rows, rows=facts, noun=Fact))
    walk.tell(
        Grounded(passages=len(about), facts=len(facts), slices_with_passage=len({passage.slice for passage in about}))
    )


# ── calibrate ───────────────────────────────────────────────────────────────────────────────────────────────────────


def calibrate(walk: Walk, outputs: list[str]) -> None:
    """Organic Records with planted faults → what every judge does with them, before a run spends."""
    _require_priced(walk)
    bench = Bench.of(walk)
    for doubt in bench.doubts():
        walk.notice(doubt)
    for measured in put_on_trial(bench, edge_slices(walk)):
        walk.tell(measured)
    reviewed: list[JudgeMeasured] = []

    async def reviewing() -> None:
        reviewed.extend(await review_on_trial(bench, edge_slices(walk)))

    wait_for(reviewing())
    for measured in reviewed:
        walk.tell(measured)
    tried = [event for event in walk.run.since("calibrate") if isinstance(event, JudgeMeasured)]
    keep(walk, outputs, "tables/judges.parquet", partial(tables.write_rows, rows=tried, noun=JudgeMeasured))


def _require_priced(walk: Walk) -> None:
    for model, place in speakers_of(walk):
        check_priced(model, place, elsewhere=prices_of(walk, model, place).tariff is not None)


# ── synthesize ──────────────────────────────────────────────────────────────────────────────────────────────────────


def synthesize(walk: Walk, outputs: list[str]) -> None:
    """Evidence → Briefs → Candidates → Verdicts → Corpus: the adversarial loop, until the quotas are met."""
    _require_priced(walk)
    for doubt in require_sound(walk):
        walk.notice(doubt)
    wait_for(run_loops(Bench.of(walk), partial(crossed, walk)))
    walk.kept.clear()
    made = {output: corpus_of(walk, output) for output in Output}
    require_apart(check_outputs(walk, made))
    for output, corpus in made.items():
        if corpus.records or output is Output.TRAIN:
            name = "records" if output is Output.TRAIN else str(output)
            file = f"corpora/{made[Output.TRAIN].id}/{name}.parquet"
            keep(walk, outputs, file, partial(tables.write_records, records=corpus.records))


# ── measure, cost, handoff ──────────────────────────────────────────────────────────────────────────────────────────


def measure(walk: Walk, outputs: list[str]) -> None:
    """Corpus against organic Records → Measures, each beside an organic control of the same size."""
    edge = edge_slices(walk)
    synthetic = [record for record in corpus_of(walk).records if record.label in edge]
    known = organic(walk)
    rows = [row for row, label in enumerate(known.labels) if label in edge]
    texts = [known.records[row].text for row in rows]
    similarity = walk.study.synthesize.gates.copy_similarity
    vectors = walk.encoder.encode([record.text for record in synthetic])
    pairs = compare_diversity(vectors, known.vectors[rows], walk.study.measure, walk.study.seed)
    pairs.append(near_copy_share([record.text for record in synthetic], texts, similarity))
    pairs.append(internal_copy_share([record.text for record in synthetic], texts, similarity))
    measured = [Measured(measure=taken, control=control) for taken, control in pairs]
    for one in measured:
        walk.tell(one)
    keep(walk, outputs, "tables/measures.parquet", partial(tables.write_rows, rows=measured, noun=Measured))
    for verdict in survey_of_run(walk):
        walk.tell(Decided(viability=verdict))


def cost(walk: Walk, outputs: list[str]) -> None:
    """The log's Usage → the statement: per stage, per slice, per fate, and per accepted record."""
    ledger = [event.usage for event in walk.run.events if isinstance(event, Spent)]
    keep(walk, outputs, "tables/ledger.parquet", partial(tables.write_rows, rows=ledger, noun=Usage))
    settings = walk.study.cost
    sources = (prices_of(walk, model, place).source for model, place in speakers_of(walk))
    local = f"processor time of this machine at ${settings.usd_per_core_hour} a core-hour, as the study sets it"
    prices = "; ".join([local, *filter(None, sources)])
    walk.tell(Costed(statement=replace(statement(walk.run.events, prices=prices), seal=walk.run.events.seal)))


def handoff(walk: Walk, outputs: list[str]) -> None:
    """Corpus → datasets with the synthetic mark on every line, what is kept apart from them, and their card."""
    for relative, write in parcels_of(walk):
        keep(walk, outputs, relative, write)


# ── train, prove, report ────────────────────────────────────────────────────────────────────────────────────────────


def train(walk: Walk, outputs: list[str]) -> None:
    """Corpus → Arms → Checkpoints: the same organic records with different additions, several seeds each."""
    known, settings, fit = organic(walk), walk.study.train, trainer(walk)
    joining = {name: added_records(walk, known, rows) for name, rows in additions(walk).items()}
    edge, offsets = edge_slices(walk), dict[str, float]()
    defined = len(joining[mixture.DEFINITIONS].labels)
    spoken = len(joining[mixture.UNJUDGED].labels) > defined
    for arm in mixture.arms(defined > 0, spoken, settings.seeds):
        added = joining[arm.added]
        weights = settings.weights if arm.name == mixture.JUDGED_WEIGHTED else (1.0,)
        chosen = mixture.choose(fit, known.folded, added, strengths=settings.strengths, weights=weights, edge=edge)
        offsets[arm.name] = chosen.offset
        for seed in range(settings.seeds):
            mixed = mixture.mix(known.folded, added, added_weight=chosen.weight, seed=seed)
            head = fit(mixed.vectors, mixed.labels, mixed.weights, strength=chosen.strength)
            keep(walk, outputs, checkpoint(arm.name, seed), head.save)
            walk.tell(Trained(arm=arm.name, seed=seed, settings=chosen.words()))
    keep(walk, outputs, OFFSETS, lambda path: path.write_text(json.dumps(offsets), encoding="utf-8"))


def checkpoint(arm: str, seed: int) -> str:
    """Where an arm's weights lie in the run folder."""
    return f"checkpoints/{arm}/{seed}.npz"


def prove(walk: Walk, outputs: list[str]) -> None:
    """Checkpoints and HeldOut → Gains: paired, with intervals, and one plain claim an arm."""
    heldout = tuple(tables.read_heldout(walk.run.path(HELDOUT)))
    require_sealed(walk, heldout)
    vectors = walk.encoder.encode([item.text for item in heldout])
    truth = [str(item.label) for item in heldout]
    trained = [event.arm for event in walk.run.since("train") if isinstance(event, Trained)]
    says = {arm: _predictions(walk, arm, vectors) for arm in dict.fromkeys(trained)}
    groups, edge = [item.group or item.id for item in heldout], set(edge_slices(walk))
    found = [
        one
        for baseline, others in mixture.comparisons(tuple(says))
        for one in gain.gains(
            says[baseline], [says[arm] for arm in others], truth, groups, edge, walk.study.prove, walk.study.seed
        )
    ]
    for one in found:
        walk.tell(Proved(gain=one))
    keep(walk, outputs, "tables/gain.parquet", partial(tables.write_rows, rows=found, noun=Gain))
    arms = [arm for arm in mixture.arms(True, True, walk.study.train.seeds) if arm.name in trained]
    for claim in gain.claims(found, arms, walk.study.prove.margin):
        walk.tell(Claimed(claim=claim))


def _predictions(walk: Walk, arm: str, vectors: NDArray[np.float32]) -> gain.Predictions:
    load, offsets = trainer(walk).load, json.loads(walk.run.path(OFFSETS).read_text(encoding="utf-8"))
    heads = [load(walk.run.path(checkpoint(arm, seed))) for seed in range(walk.study.train.seeds)]
    spoken = np.stack([head.predict(vectors) for head in heads])
    probabilities = mixture.leaned(spoken, heads[0].classes, edge_slices(walk), offsets[arm])
    return gain.Predictions(arm=arm, probabilities=probabilities, classes=heads[0].classes)


def report(walk: Walk, outputs: list[str]) -> None:
    """The Run → one self-contained page, with what more of it would cost where the run can tell."""
    try:
        pilot, left_out = prospects.pilot_of(walk.run, walk.study.synthesize)
        promised, why_not = prospects.prospect_of(pilot, left_out, walk.study.seed), ""
    except InputError as error:
        promised, pilot, why_not = None, None, str(error).removeprefix(f"{walk.run.folder}: ")
    page = html.render(walk.study, walk.run.events, prospect=promised, pilot=pilot, why_not=why_not)
    keep(walk, outputs, "report.html", lambda path: path.write_text(page, encoding="utf-8"))


# ── the order of things ─────────────────────────────────────────────────────────────────────────────────────────────


def rule_files(study: Study) -> tuple[str, ...]:
    """Files outside the run that the judges go by."""
    gates = study.synthesize.gates
    return (gates.constitution, *gates.benchmarks)


VERBS: Mapping[str, Verb] = {
    "ingest": Verb(ingest, ("ingest",), (), lambda study: (study.ingest.path,)),
    "audit": Verb(audit, ("audit", "encoder", "train.trainer", "train.strengths"), ("ingest",)),
    "ground": Verb(ground, ("ground",), ("ingest",), lambda study: (study.ground.passages, study.ground.facts)),
    "calibrate": Verb(
        calibrate,
        ("synthesize.gates", "synthesize.critic", "synthesize.judges", "encoder"),
        ("audit", "ground"),
        rule_files,
    ),
    "synthesize": Verb(
        synthesize, ("synthesize",), ("calibrate",), lambda study: (study.synthesize.review,), resumes=True
    ),
    "measure": Verb(measure, ("measure", "encoders"), ("synthesize",)),
    "cost": Verb(cost, ("cost",), ("synthesize",)),
    "handoff": Verb(handoff, (), ("synthesize",)),
    "train": Verb(train, ("train",), ("synthesize",)),
    "prove": Verb(prove, ("prove",), ("train",)),
    "report": Verb(report, ("title", "question", "effort"), ("measure", "cost", "handoff", "prove")),
}
"""The path, in order."""


def key(walk: Walk, name: str) -> str:
    """The stage key of a verb."""
    return walk.key_of(name, VERBS)


def perform(walk: Walk, name: str) -> bool:
    """Do a verb and, before it, whatever it needs that is not done. False when there was nothing to do."""
    return walk.perform(name, VERBS)


def run(
    study_file: Path,
    runs: Path = Path("runs"),
    *,
    verb: str = "report",
    budget_usd: str = "",
    watch: Callable[[Event], None] = nothing,
    announce: Callable[[str], None] = nothing,
    gauge: Callable[[Callable[[], Standing]], None] = nothing,
    notice: Callable[[str], None] = nothing,
) -> Run:
    """Take the study in ``study_file`` as far as ``verb``, in the folder ``runs/<name>``; the Run is for reading.

    ``budget_usd`` stands in for the study's own; the four callables are those of a Walk.
    """
    study = Study.read(study_file)
    if budget_usd:
        study = study.with_budget(budget_usd)
    text = study_file.read_text(encoding="utf-8")
    with Run.open(runs / study.name, study.model_dump(mode="json"), text) as opened:
        perform(Walk(opened, study, study_file.resolve().parent, watch, announce, gauge, notice), verb)
    return opened

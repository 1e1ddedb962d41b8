"""What a run hands over: the training records, what is kept apart from them, preference pairs, and a card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from proofset.assembly import corpus_of, turn_of
from proofset.nouns.candidate import Output
from proofset.nouns.record import Corpus
from proofset.synthesizing.preferences import closed_in, pairs
from proofset.training import handoff
from proofset.walk import Walk

Parcel = tuple[str, Callable[[Path], Any]]
"""Where a file lies in the run folder, and what writes it."""


def parcels_of(walk: Walk) -> Iterator[Parcel]:
    """The files of a run's handoff, one after the other; none where there is nothing to put in."""
    corpus = with_licence(corpus_of(walk), walk.study.ingest.licence)
    yield "handoff/dataset.jsonl", partial(handoff.write_dataset, corpus=corpus)
    facts = {
        "Made by": f"proofset {version('proofset')}, study {walk.study.name!r}",
        "Organic source": walk.study.ingest.source or walk.study.ingest.path,
        "Organic licence": walk.study.ingest.licence or "not stated",
        "Corpus id": corpus.id,
    }
    for output in (Output.EVALUATION, Output.ADVERSARIAL):
        apart = with_licence(corpus_of(walk, output), walk.study.ingest.licence)
        if apart.records:
            facts[f"Apart, {output}"] = f"{len(apart.records)} records in {output}.jsonl, corpus {apart.id}"
            yield f"handoff/{output}.jsonl", partial(handoff.write_dataset, corpus=apart)
    if found := pairs(closed_in(walk.run.since("synthesize")), turn_of(walk)):
        facts["Preference pairs"] = f"{len(found)} in preferences.jsonl"
        yield "handoff/preferences.jsonl", partial(handoff.write_pairs, pairs=found)
    card = handoff.card(corpus, facts)
    yield "handoff/card.md", lambda path: path.write_text(card, encoding="utf-8")


def with_licence(corpus: Corpus, licence: str) -> Corpus:
    """The corpus with the licence of the organic data it was made from."""
    return Corpus(records=tuple(replace(record, licence=licence) for record in corpus.records), recipe=corpus.recipe)

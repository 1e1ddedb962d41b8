"""What the verbs are given: checked on a toy run that was walked as far as handoff."""

from __future__ import annotations

import numpy as np

from proofset import assembly
from proofset.nouns.candidate import Quota
from proofset.nouns.event import BriefClosed
from proofset.nouns.record import Origin
from proofset.runs import tables
from proofset.training import mixture
from proofset.walk import Walk

STORM = Quota(slice="storm", label="storm", accepted=12, max_briefs=40)


def test_organic_columns_belong_together(walked: Walk) -> None:
    known = assembly.organic(walked)
    assert len(known.records) == len(known.labels) == len(known.vectors) == len(known.folds)
    assert known.labels == tuple(record.label for record in known.records)
    assert set(known.folds.tolist()) == {0, 1, 2}
    again = assembly.organic(walked)
    assert (again.folds == known.folds).all() and np.array_equal(again.vectors, known.vectors)


def test_candidates_come_in_brief_order_and_accepted_ones_are_the_winners(walked: Walk) -> None:
    everything, accepted = assembly.candidates(walked)
    closed = [event for event in walked.run.events if isinstance(event, BriefClosed)]
    winners = [each.winner for each in sorted(closed, key=lambda each: (each.slice, each.number)) if each.winner]
    assert [each.id for each in accepted] == winners
    assert {each.brief_id for each in everything} == {each.brief_id for each in closed}
    corpus = assembly.corpus_of(walked)
    assert [record.text for record in corpus.records] == [each.text for each in accepted]
    assert {record.origin for record in corpus.records} == {Origin.SYNTHETIC}


def test_unjudged_leaves_out_nothing_but_copies_of_held_out_text(walked: Walk) -> None:
    everything, accepted = assembly.candidates(walked)
    joining = assembly.additions(walked)
    assert joining[""] == [] and joining[mixture.DEFINITIONS] == []
    assert len(joining[mixture.JUDGED]) == len(accepted)
    sealed = assembly.sealed_index(walked)
    expected = [each.text for each in everything if each.text and sealed.match(each.text) is None]
    assert [text for text, _, _ in joining[mixture.UNJUDGED]] == expected
    heldout = tables.read_heldout(walked.run.path(assembly.HELDOUT))
    assert all(sealed.match(item.text) is not None for item in heldout)

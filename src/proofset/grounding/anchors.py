"""Anchors and evidence for the briefs of a slice."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from proofset.grounding.graph import Graph
from proofset.nouns.evidence import Anchor, Evidence, Passage
from proofset.nouns.record import Record


def evidence(slice_name: str, known: Sequence[Passage], graph: Graph) -> Evidence:
    """The passages that define a slice and the facts about it."""
    own = tuple(passage for passage in known if passage.slice == slice_name)
    return Evidence(passages=own, facts=graph.about(slice_name))


def choose_anchors(
    records: Sequence[Record], folds: Mapping[str, int], unseen_fold: int, n: int, rng: random.Random
) -> tuple[Anchor, ...]:
    """Up to ``n`` records of a slice in random order, none of them from ``unseen_fold`` and no two near-copies.

    Empty when the slice lives in the unseen fold alone.
    """
    open_records = [record for record in records if folds[record.id] != unseen_fold]
    rng.shuffle(open_records)
    one_a_group = {record.group or record.id: record for record in reversed(open_records)}
    chosen = [record for record in open_records if one_a_group[record.group or record.id] is record][:n]
    return tuple(Anchor(record.id, record.text, record.label) for record in chosen)

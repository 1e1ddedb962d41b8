"""Anchors leave the unseen fold out and never show two near-copies."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from proofset.grounding.anchors import choose_anchors, evidence
from proofset.grounding.graph import Graph
from proofset.nouns.evidence import Anchor, Fact, Passage
from proofset.nouns.record import Record


def record(number: int, group: str = "") -> Record:
    return Record(id=f"r{number}", text=f"text {number}", label="edge", group=group)


@given(
    placed=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=20), unseen=st.integers(-2, 4),
    n=st.integers(0, 25), seed=st.integers(0, 99),
)  # fmt: skip
def test_what_is_chosen(placed: list[tuple[int, int]], unseen: int, n: int, seed: int) -> None:
    records = [record(number, f"g{group}") for number, (_, group) in enumerate(placed)]
    folds = {one.id: fold for one, (fold, _) in zip(records, placed, strict=True)}
    groups = {one.id: one.group for one in records}
    chosen = choose_anchors(records, folds, unseen, n, random.Random(seed))
    assert unseen not in {folds[anchor.record_id] for anchor in chosen}
    assert len({groups[anchor.record_id] for anchor in chosen}) == len(chosen)
    there = {one.group for one in records if folds[one.id] != unseen}
    assert len(chosen) == min(n, len(there))  # as many as there can be
    assert chosen == choose_anchors(records, folds, unseen, n, random.Random(seed))


def test_records_without_a_group_are_nobodys_copies() -> None:
    records = [record(n) for n in range(5)]
    chosen = choose_anchors(records, {one.id: 0 for one in records}, 1, 9, random.Random(0))
    assert {anchor.record_id for anchor in chosen} == {one.id for one in records}
    assert Anchor("r3", "text 3", "edge") in chosen


def test_the_order_is_random_and_the_records_stay_as_they_were() -> None:
    records = [record(n) for n in range(6)]
    folds = {one.id: 0 for one in records}
    orders = {choose_anchors(records, folds, 1, 3, random.Random(seed)) for seed in range(20)}
    assert len(orders) > 10
    assert [one.id for one in records] == [f"r{n}" for n in range(6)]


def test_a_slice_in_the_unseen_fold_alone_has_none() -> None:
    assert choose_anchors([record(0)], {"r0": 2}, 2, 5, random.Random(0)) == ()
    assert choose_anchors([], {}, 0, 5, random.Random(0)) == ()


def test_evidence_is_what_is_known_of_the_slice() -> None:
    known = [Passage(id=name, text=name, source="x", slice=name) for name in ("fish", "bird", "fish")]
    facts = (Fact("fish", "lives in", "water"), Fact("bird", "eats", "fish"), Fact("bird", "has", "wings"))
    found = evidence("fish", known, Graph(facts))
    assert [passage.id for passage in found.passages] == ["fish", "fish"]
    assert found.facts == facts[:2]
    nothing = evidence("tree", known, Graph(facts))
    assert (nothing.passages, nothing.facts) == ((), ())

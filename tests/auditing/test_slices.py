"""Slices hold each record once; folds never divide a group and spread every label."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.auditing.slices import grouped_folds, slices_by_label
from proofset.errors import InputError
from proofset.nouns.record import Record
from proofset.nouns.slice import SliceKind


def record(number: int, label: str | None, group: str = "") -> Record:
    return Record(id=f"r{number:03}", text=f"text {number}", label=label, group=group)


def test_slices_follow_labels_and_carry_titles() -> None:
    records = [record(2, "b"), record(1, "a"), record(0, "b"), record(3, None)]
    first, second = slices_by_label(records, {"b": "Bees", "gone": "Dropped at ingest"})
    assert (first.name, first.record_ids, first.title, first.n) == ("a", ("r001",), "", 1)
    assert (second.record_ids, second.title) == (("r000", "r002"), "Bees")
    assert (second.rule.kind, second.rule.value) == (SliceKind.LABEL, "b")


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 12)), min_size=5, max_size=60),
    st.integers(2, 5), st.integers(0, 99), st.randoms(use_true_random=False),
)  # fmt: skip
def test_folds_keep_groups_whole_in_any_order(
    drawn: list[tuple[str, int]], folds: int, seed: int, rng: random.Random
) -> None:
    records = [record(n, label, f"g{group}") for n, (label, group) in enumerate(drawn)]
    if len({one.group for one in records}) < folds:
        with pytest.raises(InputError, match="folds"):
            grouped_folds(records, folds, seed)
        return
    placed = grouped_folds(records, folds, seed)
    assert set(placed) == {one.id for one in records}
    assert set(placed.values()) <= set(range(folds))
    assert len({(one.group, placed[one.id]) for one in records}) == len({one.group for one in records})
    shuffled = records.copy()
    rng.shuffle(shuffled)
    assert grouped_folds(shuffled, folds, seed) == placed


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 30), min_size=1), st.integers(2, 5), st.integers(0, 9))
def test_single_records_are_spread_evenly_by_label_and_overall(sizes: dict[str, int], folds: int, seed: int) -> None:
    labels = [label for label, size in sizes.items() for _ in range(size)]
    if len(labels) < folds:
        return
    records = [record(n, label) for n, label in enumerate(labels)]
    placed = grouped_folds(records, folds, seed)
    for label in sizes:
        counts = Counter(placed[one.id] for one in records if one.label == label)
        assert max(counts.values()) - min(counts[fold] for fold in range(folds)) <= 1
    totals = Counter(placed.values())
    assert max(totals.values()) - min(totals[fold] for fold in range(folds)) <= 1


def test_the_seed_changes_the_folds() -> None:
    records = [record(n, "ab"[n % 2]) for n in range(40)]
    assert len({tuple(sorted(grouped_folds(records, 5, seed).items())) for seed in range(5)}) == 5

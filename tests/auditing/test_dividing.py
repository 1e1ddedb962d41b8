"""The division meets its shares as closely as whole groups allow, and empties no side that it need not."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.auditing.dividing import divide
from proofset.errors import InputError
from proofset.nouns.record import Record


def records(*groups: str) -> list[Record]:
    """One group of near-copies per word; each letter is a record with that label."""
    return [
        Record(id=f"r{g}-{n}", text="", label=label, group=f"g{g}")
        for g, labels in enumerate(groups)
        for n, label in enumerate(labels)
    ]


def sides(made: list[Record], kept: frozenset[str]) -> tuple[Counter[str], Counter[str]]:
    return tuple(Counter(one.label or "" for one in made if (one.id in kept) is side) for side in (True, False))  # type: ignore[return-value]


@given(st.integers(2, 40), st.integers(2, 40), st.sampled_from([0.1, 0.3, 0.5, 0.8]), st.integers(0, 99))
def test_shares_are_exact_without_groups(a: int, b: int, share: float, seed: int) -> None:
    made = records(*"a" * a, *"b" * b)
    _, held = sides(made, divide(made, share=share, keep={}, seed=seed))
    assert held == {"a": min(max(round(share * a), 1), a - 1), "b": min(max(round(share * b), 1), b - 1)}


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=2, max_size=25), st.integers(0, 99))
def test_groups_are_whole_and_every_label_can_be_learned(groups: list[str], seed: int) -> None:
    made = records(*groups)
    kept = divide(made, share=0.5, keep={}, seed=seed)
    by_group = defaultdict(set)
    for one in made:
        by_group[one.group].add(one.id in kept)
    assert all(len(side) == 1 for side in by_group.values())
    train, held = sides(made, kept)
    for label in "abc":
        n_groups = sum(label in group for group in groups)
        pure = sum(set(group) == {label} for group in groups)
        if pure >= 2 or (n_groups == 1 and pure == 1):
            assert train[label]
        if pure >= 2:
            assert held[label]


def test_a_label_with_one_group_stays_in_training() -> None:
    for seed in range(10):
        made = records("aaaa", "b", "b")
        train, held = sides(made, divide(made, share=0.5, keep={}, seed=seed))
        assert (train["a"], held["a"], held["b"]) == (4, 0, 1)


def test_groups_with_several_labels_are_mended() -> None:
    made = records("ab", "bc", "a", "c")
    for seed in range(30):
        train, held = sides(made, divide(made, share=0.5, keep={}, seed=seed))
        assert all(train[label] and held[label] for label in "abc")


def test_chance_decides_alike_for_large_and_small_groups() -> None:
    made = records("aaaaa", "aaaaa", "b", "b")
    first = Counter("r0-0" in divide(made, share=0.5, keep={}, seed=seed) for seed in range(200))
    assert 60 < first[True] < 140


def test_keep_moves_whole_groups() -> None:
    made = records("aaa", "aa", *"aaaaaaa", *"bbbb")
    for seed in range(20):
        train, held = sides(made, divide(made, share=0.3, keep={"a": 4}, seed=seed))
        assert train["a"] <= 4 and train["a"] + held["a"] == 12
        assert held["b"] == 1


def test_keep_leaves_the_smallest_group_where_all_exceed_it() -> None:
    made = records("aaa", "aaaa", "aaaa", "aaaaa", *"bbbb")
    for seed in range(20):
        train, _ = sides(made, divide(made, share=0.5, keep={"a": 2}, seed=seed))
        assert train["a"] in {3, 4, 5}


def test_keep_does_not_take_another_labels_last_group() -> None:
    made = records("ab", "ab", *"aaaaaaaaaa")
    for seed in range(20):
        train, _ = sides(made, divide(made, share=0.5, keep={"a": 1}, seed=seed))
        assert train == {"a": 1, "b": 1}


def test_keep_must_name_labels_that_exist() -> None:
    with pytest.raises(InputError, match="zebra"):
        divide(records("a", "b"), share=0.5, keep={"zebra": 1}, seed=0)

"""Both tiers find what comparing with every entry finds, whatever the order in which entries were joined."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proofset.copytiers import FrozenTier, YoungTier, jaccard, nobody, prefix

SETS = st.lists(st.frozensets(st.integers(-4, 12), max_size=8), max_size=40)
SIMILARITIES = st.sampled_from([0.1, 0.3, 0.5, 0.6, 2 / 3, 0.75, 1.0])


def compared(sets: list[frozenset[int]], wanted: frozenset[int], similarity: float, first: int) -> dict[int, float]:
    """The slow way."""
    found = {first + place: jaccard(wanted, known) for place, known in enumerate(sets)}
    return {entry: value for entry, value in found.items() if value >= similarity}


@given(SETS, st.frozensets(st.integers(-4, 14), max_size=8), SIMILARITIES, st.integers(0, 9))
def test_the_young_tier_misses_nothing(
    sets: list[frozenset[int]], wanted: frozenset[int], similarity: float, first: int
) -> None:
    tier = YoungTier(similarity, first)
    for known in sets:
        tier.add(known)
    assert dict(tier.near(wanted, nobody)) == compared(sets, wanted, similarity, first)


@given(SETS, SETS, st.frozensets(st.integers(-4, 14), max_size=8), SIMILARITIES)
def test_frozen_tiers_miss_nothing_alone_or_joined(
    sets: list[frozenset[int]], more: list[frozenset[int]], wanted: frozenset[int], similarity: float
) -> None:
    tier, later = FrozenTier.of(similarity, 3, sets, {}), FrozenTier.of(similarity, 3 + len(sets), more, {})
    assert dict(tier.near(wanted, nobody)) == compared(sets, wanted, similarity, 3)
    joined = tier.joined(later)
    assert len(joined) == len(sets) + len(more)
    assert dict(joined.near(wanted, nobody)) == compared(sets + more, wanted, similarity, 3)


def test_entries_to_skip_are_passed_over() -> None:
    sets = [frozenset({1, 2, 3})] * 4
    young = YoungTier(0.5, 0)
    for known in sets:
        young.add(known)
    for tier in (young, FrozenTier.of(0.5, 0, sets, {})):
        assert [entry for entry, _ in tier.near(sets[0], lambda entry: entry < 2)] == [2, 3]


def test_a_prefix_is_what_must_be_shared() -> None:
    assert prefix(5, 0.6) == 3  # of 5 shingles 3 are shared, so one of any 3
    assert (prefix(0, 0.5), prefix(1, 1.0)) == (0, 1)


def test_ten_thousand_entries_take_little_room() -> None:
    import tracemalloc

    sets = [frozenset(range(n, n + 16)) for n in range(0, 160_000, 16)]
    tracemalloc.start()
    tier = FrozenTier.of(0.5, 0, sets, {n: n for n in range(len(sets))})
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tier) == 10_000
    assert kept / len(tier) < 500  # bytes; the same in sets and dicts takes some 4,000


def test_a_text_is_found_by_its_hash_before_and_after_joining() -> None:
    sets = [frozenset({n}) for n in range(6)]
    early = FrozenTier.of(0.5, 10, sets[:3], {-7: 10, 2**62: 11, 5: 12})
    late = FrozenTier.of(0.5, 13, sets[3:], {0: 13, -(2**62): 15})
    joined = early.joined(late)
    assert [early.exact(each) for each in (-7, 2**62, 5, 0)] == [10, 11, 12, None]
    assert [joined.exact(each) for each in (-7, 2**62, 5, 0, -(2**62), 1)] == [10, 11, 12, 13, 15, None]
    assert FrozenTier.of(0.5, 0, [], {}).exact(1) is None

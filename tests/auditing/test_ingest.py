"""Ingest drops nothing unseen, and its result depends on what the rows say, never on their order."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.auditing.ingest import Sorted, cleaned, contamination_index, contamination_rows, ingest
from proofset.config import Ingest
from proofset.copies import Match, groups
from proofset.errors import InputError, RecordError
from proofset.nouns.record import HeldOut, Message, Origin, Record
from proofset.plugins import Row

WORDS = ["card", "pay", "lost", "bank", "cash", "top", "fee", "rate", "send", "home", "late", "soon"]


def rows_of(*pairs: tuple[Any, Any]) -> list[Row]:
    return [Row(line, {"text": text, "label": label}) for line, (text, label) in enumerate(pairs, 1)]


def take(rows: list[Row], *, seed: int = 0, **settings: Any) -> Sorted:
    return ingest(rows, Ingest(path="rows.csv", **settings), path="rows.csv", seed=seed)


def some_rows(n: int, labels: str = "abc", seed: int = 0) -> list[Row]:
    rng = random.Random(seed)
    return rows_of(*((" ".join(rng.choices(WORDS, k=8)) + f" {n}", rng.choice(labels)) for n in range(n)))


def everyone(result: Sorted) -> list[Record | HeldOut]:
    return [*result.records, *result.heldout]


def reasons(result: Sorted) -> list[tuple[int, str]]:
    return [(drop.line, drop.reason) for drop in result.dropped]


def test_every_dropped_row_has_its_line_and_reason() -> None:
    result = take(
        rows_of(
            ("one two", "a"), ("  ", "a"), (None, "a"),
            ("three four", ""), ("three four", None), ("five six", float("nan")),
            ("both ways", "a"), ("BOTH  ways", "b"), ("both ways", "a"),
            ("again and again", "b"), ("seven eight", "a"), ("nine ten", "b"), ("lonely label", "c"),
        )
    )  # fmt: skip
    assert reasons(result) == [
        (2, "empty text"), (3, "empty text"), (4, "no label"), (5, "no label"), (6, "no label"),
        (7, "ambiguous"), (8, "ambiguous"), (9, "ambiguous"), (13, "rare label"),
    ]  # fmt: skip
    assert result.rows == 13 == len(result.records) + len(result.heldout) + len(result.dropped)


def test_of_duplicates_one_stays_whatever_their_order() -> None:
    pairs = [("Pay me", "a"), ("pay  ME", "a"), ("lost card", "b"), ("new card", "b"), ("top up", "a")]
    texts = set()
    for order in (pairs, pairs[::-1]):
        result = take(rows_of(*order))
        assert [reason for _, reason in reasons(result)] == ["duplicate"]
        texts.add(frozenset(one.text for one in everyone(result)))
    assert len(texts) == 1


def test_records_carry_source_licence_and_group() -> None:
    result = take(some_rows(20), licence="CC0-1.0")
    record = result.records[0]
    assert record.licence == "CC0-1.0"
    assert record.source.startswith("rows.csv:")
    assert record.group
    assert all(isinstance(one, HeldOut) for one in result.heldout)


@given(st.randoms(use_true_random=False), st.integers(0, 5))
def test_order_of_rows_changes_nothing(rng: random.Random, seed: int) -> None:
    rows = some_rows(40)
    shuffled = rows.copy()
    rng.shuffle(shuffled)
    assert take(shuffled, seed=seed) == take(rows, seed=seed)


def test_the_seed_changes_what_is_held_out() -> None:
    rows = some_rows(60)
    sealed = {frozenset(one.id for one in take(rows, seed=seed).heldout) for seed in range(5)}
    assert len(sealed) == 5


@given(st.integers(0, 1000), st.sampled_from([0.2, 0.5, 0.7]), st.sampled_from([0.3, 0.6]))
def test_near_copies_are_never_divided(seed: int, share: float, similarity: float) -> None:
    rng = random.Random(seed)
    pairs = ((" ".join(rng.choices(WORDS[:4], k=4)) + f" {rng.randrange(9)}", rng.choice("abc")) for _ in range(40))
    try:
        result = take(rows_of(*pairs), seed=seed, heldout_share=share, near_copy_similarity=similarity)
    except InputError:
        return
    names = [one.group for one in everyone(result)]
    numbers = groups([one.text for one in everyone(result)], similarity)
    assert len(set(numbers)) == len(set(names)) == len(set(zip(numbers, names, strict=True)))
    assert {one.group for one in result.records}.isdisjoint(one.group for one in result.heldout)
    assert result.groups == sum(size > 1 for size in Counter(numbers).values())


def test_keep_caps_training_and_the_rest_is_held_out() -> None:
    rows = some_rows(90)
    full, capped = take(rows), take(rows, keep={"a": 3})
    count = Counter(one.label for one in capped.records)
    assert count["a"] == 3
    assert count["b"] == Counter(one.label for one in full.records)["b"]
    assert len(capped.records) + len(capped.heldout) == 90


def test_a_kept_label_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="aa"):
        take(some_rows(20), keep={"aa": 3})


def test_a_missing_column_names_itself_and_those_there_are() -> None:
    rows = [Row(7, {"text": "a", "category": "b"})]
    with pytest.raises(RecordError) as caught:
        take(rows)
    assert (caught.value.line, caught.value.field) == (7, "label")
    assert "text, category" in caught.value.hint


@pytest.mark.parametrize(("text", "label", "field"), [(3, "a", "text"), (["x"], "a", "text"), ("x", ["a"], "label")])
def test_values_that_are_no_text_or_label(text: Any, label: Any, field: str) -> None:
    with pytest.raises(RecordError) as caught:
        take(rows_of((text, label)))
    assert caught.value.field == field


def test_numbers_are_labels() -> None:
    result = take(rows_of(("one two", 0), ("three four", 0), ("five six", 1), ("seven eight", 1)))
    assert {one.label for one in result.records} == {"0", "1"}


@pytest.mark.parametrize("pairs", [[], [("one two", "a"), ("three four", "a")], [("x", "a"), ("x", "b"), ("", "c")]])
def test_fewer_than_two_labels_says_what_was_dropped(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(InputError, match=r"records with [01] labels are left") as caught:
        take(rows_of(*pairs))
    assert caught.value.hint
    if len(pairs) == 3:
        assert "2 ambiguous" in str(caught.value) and "1 empty text" in str(caught.value)


def chat(question: str, answer: str | None = "Done.") -> list[dict[str, Any]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def test_chat_messages_become_text_and_stay_messages() -> None:
    values: list[Any] = [chat("one two"), json.dumps(chat("three four")), chat("five six", None), chat("seven eight")]
    rows = [Row(n, {"turns": value, "label": "ab"[n % 2]}) for n, value in enumerate(values)]
    result = take(rows, messages="turns")
    texts = {one.text for one in everyone(result)}
    assert texts == {"one two\nDone.", "three four\nDone.", "five six", "seven eight\nDone."}
    assert all(record.messages[0] == Message("user", record.text.split("\n")[0]) for record in result.records)


@pytest.mark.parametrize(
    "value", ["not json", [{"role": "user"}, "x"], [{"content": "x"}], 3, [{"role": "u", "content": 3}]]
)
def test_broken_messages_name_their_field(value: Any) -> None:
    with pytest.raises(RecordError) as caught:
        take([Row(4, {"turns": value, "label": "a"})], messages="turns")
    assert (caught.value.line, caught.value.field) == (4, "turns")
    assert "role" in caught.value.hint


def test_empty_messages_are_an_empty_text() -> None:
    turns = [None, *(chat(f"question {n}") for n in range(6))]
    rows = [Row(n, {"turns": turn, "label": "ab"[n % 2]}) for n, turn in enumerate(turns)]
    assert reasons(take(rows, messages="turns")) == [(0, "empty text")]


def test_cleaning_keeps_lines_tabs_and_joiners() -> None:
    assert cleaned(" a\r\nb\rc\td\x00e\x0cf\ud800 ") == "a\nb\nc\tde f"
    assert cleaned("e\u0301") == "é"
    assert cleaned("👩\u200d👧") == "👩\u200d👧"


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert cleaned(cleaned(text)) == cleaned(text)
    cleaned(text).encode()


def test_held_out_copies_are_known_by_hash_alone() -> None:
    result = take(some_rows(40))
    rows = contamination_rows(result.heldout)
    assert not any(one.text in repr(rows) for one in result.heldout)
    index = contamination_index(rows, 0.6)
    for one in result.heldout:
        assert index.match(one.text.upper()) == Match(key=one.id, similarity=1.0, exact=True)
    assert all(index.match(one.text.rsplit(" ", 1)[0]) is not None for one in result.heldout)
    assert all(index.match(one.text) is None for one in result.records)


# ── rows that are marked synthetic ──────────────────────────────────────────────────────────────────────────────────


def mixed(*marked: tuple[str, Any, Any], label: str = "a") -> list[Row]:
    """Twenty organic rows, and after them synthetic ones: text, mark, generation."""
    rows = some_rows(20, labels="ab")
    for text, mark, generation in marked:
        fields = {"text": text, "label": label, "synthetic": mark, "generation": generation}
        rows.append(Row(len(rows) + 1, fields))
    return rows


@pytest.mark.parametrize("mark", [True, "true", " True "])
def test_synthetic_rows_are_put_aside_with_their_generation(mark: object) -> None:
    rows = mixed(("a made up text", mark, 3), ("and another one here", mark, None), ("third kind of text", mark, "2"))
    for seed in range(5):
        result = take(rows, seed=seed, heldout_share=0.9)
        assert sorted(record.generation for record in result.earlier) == [1, 2, 3]
        assert {record.origin for record in result.earlier} == {Origin.SYNTHETIC}
        assert {record.origin for record in result.records} == {Origin.ORGANIC}
        assert not {one.text for one in result.heldout} & {record.text for record in result.earlier}
        assert result.rows == 23 == len(result.records) + len(result.earlier) + len(result.heldout)


@pytest.mark.parametrize("mark", [False, "false", None, "", 0, "nylon"])
def test_what_is_not_marked_true_is_organic(mark: object) -> None:
    result = take(mixed(("a made up text", mark, 3)))
    assert result.earlier == ()
    assert len(result.records) + len(result.heldout) == 21


def test_the_mark_may_have_another_name_or_none() -> None:
    rows = [Row(row.line, {**row.fields, "made": row.fields.get("synthetic")}) for row in mixed(("new text", True, 1))]
    assert len(take(rows, synthetic="made").earlier) == 1
    assert len(take(rows, synthetic="").earlier) == 0


@pytest.mark.parametrize("generation", [0, -1, "two", "1.5", [1]])
def test_a_generation_that_is_none_names_its_line(generation: object) -> None:
    with pytest.raises(RecordError, match=r"rows\.csv:21, field 'generation'.*no generation") as caught:
        take(mixed(("a made up text", True, generation)))
    assert "organic ones have 0" in caught.value.hint


def test_a_synthetic_near_copy_of_a_held_out_record_is_dropped_and_an_organic_duplicate_wins() -> None:
    organic = take(some_rows(20, labels="ab"), heldout_share=0.5)
    held = next(one for one in organic.heldout if one.label == "a")
    known = next(one for one in organic.records if one.label == "a")
    result = take(mixed((f"{held.text} please", True, 1), (known.text, True, 1)), heldout_share=0.5)
    assert reasons(result) == [(21, "near-copy of a held-out record"), (22, "duplicate")]
    assert result.earlier == ()
    assert known.id in {record.id for record in result.records}


def test_synthetic_rows_make_no_label_frequent() -> None:
    rows = mixed(*((f"text number {n} of its own", True, 1) for n in range(5)), label="new")
    result = take(rows)
    assert {reason for _, reason in reasons(result)} == {"rare label"}
    assert result.earlier == ()

"""Passages are read with their place, and a row without slice or text is named."""

from __future__ import annotations

from typing import Any

import pytest

from proofset.errors import RecordError
from proofset.grounding.index import passages
from proofset.plugins import Row


def read(*rows: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each.slice, each.text) for each in passages([Row(n, row) for n, row in enumerate(rows, 2)], "defs.csv")]


def test_a_title_is_put_before_the_text() -> None:
    assert read(
        {"slice": "79", "text": " The page shows what it was given. ", "title": "Cross-site scripting"},
        {"slice": 89, "text": "Input becomes a command.", "title": "  "},
        {"slice": "x", "text": "Text alone.", "title": None},
    ) == [
        ("79", "Cross-site scripting. The page shows what it was given."), ("89", "Input becomes a command."),
        ("x", "Text alone."),
    ]  # fmt: skip


def test_a_passage_knows_its_place_and_its_extent() -> None:
    (found,) = passages([Row(14, {"slice": "a", "text": "Grüße 🙂"})], "defs.csv")
    assert (found.source, found.start, found.end) == ("defs.csv:14", 0, len("Grüße 🙂"))


def test_ids_follow_slice_and_text_and_not_the_place() -> None:
    def ids(*rows: tuple[int, str, str]) -> list[str]:
        return [each.id for each in passages([Row(n, {"slice": s, "text": t}) for n, s, t in rows], "d.csv")]

    assert ids((1, "a", "one"), (2, "b", "one")) == ids((8, "a", "one"), (9, "b", "one"))
    assert len(set(ids((1, "a", "one"), (2, "b", "one"), (3, "a", "two")))) == 3


@pytest.mark.parametrize("field", ["slice", "text"])
@pytest.mark.parametrize("value", [None, "", " \t", "missing"])
def test_a_row_without_slice_or_text_is_named(field: str, value: str | None) -> None:
    fields: dict[str, Any] = {"slice": "a", "text": "b", field: value}
    if value == "missing":
        del fields[field]
    with pytest.raises(RecordError) as caught:
        read({"slice": "a", "text": "fine"}, fields)
    assert str(caught.value) == f"defs.csv:3, field '{field}': empty or missing"
    assert ", ".join(fields) in caught.value.hint


def test_zero_is_a_value() -> None:
    assert read({"slice": 0, "text": 0}) == [("0", "0")]


def test_no_rows_no_passages() -> None:
    assert read() == []

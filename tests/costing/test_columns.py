"""Our own entries become the table that other ledgers become; times of any kind become one."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from proofset.costing.columns import Raw, Shaper, as_table, schema
from proofset.costing.foreign import chosen
from proofset.errors import InputError, RecordError
from proofset.nouns.entry import Entry, Fate
from proofset.nouns.result import UsageBasis


def entry(**given: Any) -> Entry:
    told: dict[str, Any] = {"seq": 1, "at": "2026-11-25T00:00:00Z", "stage": "s", "attempt": "a", "model": "m"}
    return Entry(**(told | given))


def shaped(**columns: list[Any] | pa.Array) -> list[dict[str, Any]]:
    made = {name: column if isinstance(column, pa.Array) else pa.array(column) for name, column in columns.items()}
    rows = len(next(iter(made.values())))
    table = Shaper().shape(Raw(Path("x"), made, {name: name for name in made}, range(1, rows + 1)))
    return list(table.to_pylist())


def test_the_columns_are_those_of_an_entry_with_fate_and_bytes_and_money_is_exact() -> None:
    kinds = schema()
    assert kinds.names == [*(item.name for item in fields(Entry)), "fate", "bytes"]
    assert kinds.field("usd").type == kinds.field("avoided_usd").type == pa.decimal128(38, 12)


def test_an_entry_has_the_last_fate_of_its_record_and_none_without_a_record() -> None:
    fates = [
        Fate(record="r", fate="refused: critic"),
        Fate(record="r", fate="accepted", bytes=9),
        Fate(record="", fate="x"),
    ]
    table = as_table([entry(record="r"), entry(record="other"), entry()], fates)
    assert table["fate"].to_pylist() == ["accepted", "", ""]
    assert table["bytes"].to_pylist() == [9, 0, 0]
    assert table.schema == schema()
    assert as_table([]).schema == schema()


def test_an_entrys_amount_keeps_every_digit_or_is_refused() -> None:
    paid = entry(usd=Decimal("12345678.000000000001"), basis=UsageBasis.REPORTED)
    assert as_table([paid])["usd"].to_pylist() == [paid.usd]
    with pytest.raises(InputError, match="an entry fits no column"):
        as_table([entry(usd=Decimal("1e-13"))])


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("2026-11-25T23:00:00-05:00", "2026-11-26T04:00:00Z"),
        ("2026-11-25 23:00:00", "2026-11-25T23:00:00Z"),
        ("2026-11-25", "2026-11-25T00:00:00Z"),
        ("1700000000", "2023-11-14T22:13:20Z"),
        ("1700000000000", "2023-11-14T22:13:20Z"),
        ("1700000000000000000", "2023-11-14T22:13:20Z"),
        (1700000000, "2023-11-14T22:13:20Z"),
        (1700000000.5, "2023-11-14T22:13:20.500000Z"),
        (datetime(2026, 11, 25, 1, tzinfo=UTC), "2026-11-25T01:00:00.000000Z"),
        (datetime(2026, 11, 25, 1), "2026-11-25T01:00:00.000000Z"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_time_of_any_kind_becomes_iso_in_utc(told: Any, wanted: str) -> None:
    assert [row["at"] for row in shaped(at=[told], usd=["1"])] == [wanted]


@pytest.mark.parametrize(
    ("told", "wanted"),
    [(True, "accepted"), (False, "refused"), ("Yes", "accepted"), ("0", "refused"), (1, "accepted"),
     ("refused: critic", "refused: critic"), ("", ""), (None, "")],
)  # fmt: skip
def test_yes_and_no_become_fates_and_words_stay(told: Any, wanted: str) -> None:
    assert shaped(fate=[told], usd=["1"])[0]["fate"] == wanted


def test_counts_that_a_tool_turned_into_floats_are_whole_again() -> None:
    assert shaped(input_tokens=["12.0", "", "1e3"])[0]["input_tokens"] == 12
    assert [row["input_tokens"] for row in shaped(input_tokens=[12.0, None])] == [12, 0]
    with pytest.raises(RecordError, match=r"x:2, field 'input_tokens': '1\.5' is no such value"):
        shaped(input_tokens=[1.0, 1.5])


def test_an_amount_finer_than_a_picodollar_is_rounded_half_even() -> None:
    found = [row["usd"] for row in shaped(usd=["0.0000000000005", "0.0000000000015", "0.0000000000016"])]
    assert found == [Decimal(0), Decimal("2e-12"), Decimal("2e-12")]


def test_the_largest_amount_of_a_decimal_column_is_refused_too() -> None:
    with pytest.raises(RecordError, match="is no amount of one call"):
        shaped(usd=pa.array([Decimal(10) ** 15], pa.decimal128(38, 12)))


def test_a_basis_is_inferred_only_where_it_is_not_told() -> None:
    rows = shaped(usd=["1", "1", None], basis=["imputed", "", None])
    assert [row["basis"] for row in rows] == ["imputed", "reported", "unpriced"]


def test_cached_and_written_input_together_are_no_more_than_the_input() -> None:
    assert shaped(input_tokens=[5], cached_tokens=[2], cache_write_tokens=[3])[0]["cached_tokens"] == 2
    with pytest.raises(RecordError, match="more than the input_tokens") as caught:
        shaped(input_tokens=[5, 5], cached_tokens=[2, 2], cache_write_tokens=[3, 4])
    assert (caught.value.line, caught.value.field) == (2, "cached_tokens")
    assert "add them up first" in caught.value.hint


def test_a_column_of_the_file_is_used_once() -> None:
    assert chosen(["cost", "status"], {}, Path("x")) == {"usd": "cost", "outcome": "status"}
    assert chosen(["cost", "status"], {"status": "fate"}, Path("x")) == {"usd": "cost", "fate": "status"}


def test_of_two_columns_with_one_name_in_two_spellings_the_first_is_used() -> None:
    assert chosen(["Cost", "cost"], {}, Path("x")) == {"usd": "Cost"}

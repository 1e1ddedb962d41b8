"""Ledgers of other tools are read exactly, by the names their columns have, or refused with file, line and field."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.costing.chain import write
from proofset.costing.columns import as_table, schema
from proofset.costing.foreign import KNOWN, blocks, left_out, read_ledger
from proofset.errors import InputError, RecordError
from proofset.nouns.entry import Entry
from proofset.nouns.result import UsageBasis

Row = dict[str, Any]
PLAIN: list[Row] = [
    {"model": "m", "prompt_tokens": 10, "completion_tokens": 4, "cost": "0.1", "ts": "2026-11-25T01:00:00Z"},
    {"model": "n", "prompt_tokens": 20, "completion_tokens": 0, "cost": None, "ts": "2026-11-25T02:00:00Z"},
]


def put(path: Path, rows: list[Row]) -> Path:
    """Rows as a file of the kind that its name says."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


SUFFIXES = pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])


@SUFFIXES
def test_the_three_kinds_of_file_give_the_same_table(tmp_path: Path, suffix: str) -> None:
    table = read_ledger(put(tmp_path / f"x{suffix}", PLAIN))
    assert table.schema.remove_metadata() == schema()
    told = table.drop_columns(["seq"]).to_pylist()
    assert [(row["model"], row["input_tokens"], row["output_tokens"], row["usd"]) for row in told] == [
        ("m", 10, 4, Decimal("0.1")),
        ("n", 20, 0, None),
    ]
    assert [row["basis"] for row in told] == ["reported", "unpriced"]
    assert [row["at"] for row in told] == ["2026-11-25T01:00:00Z", "2026-11-25T02:00:00Z"]
    assert {row["outcome"] for row in told} == {"ok"}


@pytest.mark.parametrize(("ours", "theirs"), [(ours, name) for ours, names in KNOWN.items() for name in names])
def test_every_known_name_is_found_in_any_spelling(tmp_path: Path, ours: str, theirs: str) -> None:
    value = {"at": "2026-11-25T01:00:00Z", "basis": "imputed", "currency": "USD"}.get(ours, "1")
    wholes = {"input_tokens": "1", "output_tokens": "1", "usd": "2"}
    row = {name: whole for name, whole in wholes.items() if name != ours}
    table = read_ledger(put(tmp_path / "x.jsonl", [row | {theirs.upper().replace("_", " "): value}]))
    assert left_out(table) == ()
    if ours != "currency":
        told = table["outcome" if theirs == "status" else ours][0].as_py()
        assert str(told).removesuffix(".000000000000").removesuffix(".0") == ("accepted" if ours == "fate" and
            theirs != "status" else value)  # fmt: skip


def test_status_is_the_outcome_and_the_fate_where_there_is_an_outcome_too(tmp_path: Path) -> None:
    table = read_ledger(put(tmp_path / "x.jsonl", [{"cost": 1, "status": "timeout"}]))
    assert (table["outcome"][0].as_py(), table["fate"][0].as_py()) == ("timeout", "")
    table = read_ledger(put(tmp_path / "x.jsonl", [{"cost": 1, "status": "rejected", "outcome": "ok"}]))
    assert (table["outcome"][0].as_py(), table["fate"][0].as_py()) == ("ok", "refused")


def test_columns_that_are_not_ours_are_left_out_and_told(tmp_path: Path) -> None:
    rows = [{"cost": 1, "prompt": "a\nb", "input_tokens": 1, "prompt_tokens": 2}]
    for suffix in (".jsonl", ".csv", ".parquet"):
        table = read_ledger(put(tmp_path / f"x{suffix}", rows))
        assert left_out(table) == ("prompt", "prompt_tokens"), suffix
        assert table["input_tokens"].to_pylist() == [1]
        assert table.column_names == schema().names


def test_columns_by_the_users_names_win(tmp_path: Path) -> None:
    path = put(tmp_path / "x.csv", [{"engine": "m", "model": "x", "price": "2", "cost": "1"}])
    table = read_ledger(path, columns={"engine": "model", "price": "usd"})
    assert (table["model"][0].as_py(), table["usd"][0].as_py()) == ("m", Decimal(2))
    assert left_out(table) == ("cost", "model")
    with pytest.raises(InputError, match="columns: 'dollars' is none of ours"):
        read_ledger(path, columns={"price": "dollars"})
    with pytest.raises(RecordError, match="no such column") as caught:
        read_ledger(path, columns={"prize": "usd"})
    assert caught.value.field == "prize"


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_nested_usage_is_found_by_its_path(tmp_path: Path, suffix: str) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}}
    table = read_ledger(put(tmp_path / f"x{suffix}", [{"gen_ai.request.model": "m", "usage": usage}]))
    names = ("model", "input_tokens", "cached_tokens", "output_tokens")
    assert tuple(table[name][0].as_py() for name in names) == ("m", 9, 5, 3)


@given(st.lists(st.integers(0, 10**20).map(lambda n: Decimal(n).scaleb(-12)), min_size=1, max_size=20))
def test_amounts_never_pass_through_binary_floats(amounts: list[Decimal]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.jsonl"
        path.write_text("".join(f'{{"cost": {amount:f}}}\n' for amount in amounts))
        assert read_ledger(path)["usd"].to_pylist() == amounts
        with (Path(folder) / "x.csv").open("w") as file:
            file.write("cost\n" + "".join(f"{amount}\n" for amount in amounts))
        assert read_ledger(Path(folder) / "x.csv")["usd"].to_pylist() == amounts


def test_a_double_in_a_parquet_file_is_the_decimal_that_it_shows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"cost": [0.1, 123456.789, 1.5e-7, None]}), tmp_path / "x.parquet")
    found = read_ledger(tmp_path / "x.parquet")["usd"].to_pylist()
    assert found == [Decimal("0.1"), Decimal("123456.789"), Decimal("0.00000015"), None]


def test_blocks_are_small_and_make_the_same_table(tmp_path: Path) -> None:
    rows = [{"model": f"m{at}", "cost": f"0.{at + 1}"} for at in range(10)]
    for suffix in (".jsonl", ".csv", ".parquet"):
        path = put(tmp_path / f"x{suffix}", rows)
        parts = list(blocks(path, rows=3))
        assert [len(part) for part in parts] == [3, 3, 3, 1], suffix
        assert pa.concat_tables(parts).equals(read_ledger(path))
        few = next(blocks(path, rows=3, only=("usd",)))
        assert few.column_names == ["usd"]


def test_our_own_chain_is_read_like_any_other_ledger(tmp_path: Path) -> None:
    one = Entry(seq=1, at="2026-11-25T00:00:00Z", stage="s", attempt="a", model="m", input_tokens=3, seconds=0.25,
                usd=Decimal("0.000001"), basis=UsageBasis.IMPUTED, avoided_usd=Decimal(2), slice="x")  # fmt: skip
    write([one], tmp_path / "x.jsonl")
    table = read_ledger(tmp_path / "x.jsonl")
    assert table.replace_schema_metadata().equals(as_table([one]))
    assert left_out(table) == ("hash", "prev")


BAD: dict[str, tuple[Row, str, str]] = {
    "negative": ({"prompt_tokens": -3}, "prompt_tokens", "-3 is negative"),
    "half a token": ({"completion_tokens": "1.5"}, "completion_tokens", "'1.5' is no such value: no whole number"),
    "no count": ({"prompt_tokens": "ten"}, "prompt_tokens", "'ten' is no such value"),
    "cached": ({"prompt_tokens": 3, "cache_read_input_tokens": 4}, "cache_read_input_tokens", "4 is more than"),
    "reasoning": ({"completion_tokens": 3, "reasoning_tokens": 4}, "reasoning_tokens", "4 is more than"),
    "no amount": ({"cost": "free"}, "cost", "'free' is no amount"),
    "nan": ({"cost": "nan"}, "cost", "'nan' is no amount"),
    "huge": ({"cost": "1e16"}, "cost", "no amount"),
    "negative amount": ({"cost": "-1"}, "cost", "-1 is negative; only an adjustment may be"),
    "euro": ({"currency": "EUR"}, "currency", "amounts in EUR without a rate"),
    "no time": ({"ts": "yesterday"}, "ts", "'yesterday' is no such value"),
    "no basis": ({"basis": "guess"}, "basis", "'guess' is no basis"),
    "negative seconds": ({"seconds": "-1"}, "seconds", "-1 is negative"),
    "endless seconds": ({"seconds": "inf"}, "seconds", "inf is no number of seconds"),
}


@SUFFIXES
@pytest.mark.parametrize("name", BAD)
def test_a_row_that_cannot_be_is_named_by_file_line_and_field(tmp_path: Path, suffix: str, name: str) -> None:
    changed, field, words = BAD[name]
    usual = {**dict.fromkeys(changed), **PLAIN[0], "prompt_tokens": "10", "completion_tokens": "4"}
    bad = usual | {key: str(value) for key, value in changed.items()}
    path = put(tmp_path / f"x{suffix}", [usual | {"currency": "USD"} if "currency" in changed else usual] * 2 + [bad])
    if name == "euro":
        path = put(path, [bad | {"currency": "EUR"}] * 3)
    with pytest.raises(RecordError) as caught:
        read_ledger(path)
    line = {"euro": 1}.get(name, 3) + (suffix == ".csv")
    assert (caught.value.path, caught.value.line, caught.value.field) == (str(path), line, field)
    assert words in str(caught.value)
    assert caught.value.hint


def test_an_adjustment_may_be_negative(tmp_path: Path) -> None:
    path = put(tmp_path / "x.csv", [{"cost": "-1", "prompt_tokens": "-5", "stage": "adjustment"}])
    assert read_ledger(path)["usd"].to_pylist() == [Decimal(-1)]


def test_another_currency_needs_a_rate_and_several_are_refused_even_in_another_block(tmp_path: Path) -> None:
    path = put(tmp_path / "x.csv", [{"cost": "2", "currency": "eur"}, {"cost": "", "currency": ""}])
    assert read_ledger(path, rate=Decimal("1.1"))["usd"].to_pylist() == [Decimal("2.2"), None]
    mixed = put(tmp_path / "y.csv", [{"cost": "2", "currency": "EUR"}] * 3 + [{"cost": "2", "currency": "CHF"}])
    for rows in (100, 1):
        with pytest.raises(RecordError, match="CHF after EUR") as caught:
            list(blocks(mixed, rate=Decimal(1), rows=rows))
        assert (caught.value.line, caught.value.field) == (5, "currency")
    with pytest.raises(RecordError, match="amounts in USD and a rate"):
        read_ledger(put(tmp_path / "z.csv", [{"cost": "2", "currency": "USD"}]), rate=Decimal(1))


@pytest.mark.parametrize(
    ("name", "content", "line", "words"),
    [
        ("x.jsonl", b'{"cost": 1}\n\n{"cost": 1\n', 3, "no JSON"),
        ("x.jsonl", b'{"cost": 1}\n[1]\n', 2, "no JSON object"),
        ("x.jsonl", b'{"cost": 1}\n{"cost": 1, "model": "\\ud800"}\n', 2, "a text that UTF-8 cannot hold"),
        ("x.jsonl", b"", 1, "holds no rows"),
        ("x.csv", b"", 1, "holds no rows"),
        ("x.csv", b"model,cost\nm,1\n\xff,1\n", 3, "a text that UTF-8 cannot hold"),
        ("x.csv", b"model,cost\n", 1, "holds no rows"),
        ("x.csv", b"model,cost\nm,1\n\nm\n", 4, "1 cells, and 2 columns"),
        ("x.csv", b'model,cost\n"a\nb",1\nm,x\n', 4, "'x' is no amount"),
        ("x.csv", b'model,cost\nm,1\n"m,1\n', 3, "no CSV"),
        ("x.csv", b"cost,cost\n1,1\n", 1, "two columns have the same name"),
        ("x.csv", b"model,junk\nm,1\n", 1, "neither amounts nor tokens among the columns model, junk"),
        ("x.parquet", b"PAR1 not", 1, "cannot be read as Parquet"),
    ],
)
def test_a_broken_file_is_told_with_the_line(tmp_path: Path, name: str, content: bytes, line: int, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordError) as caught:
        read_ledger(tmp_path / name)
    assert (caught.value.path, caught.value.line) == (str(tmp_path / name), line)
    assert words in str(caught.value)


@pytest.mark.parametrize("values", [pa.array([b"\xff"]), pa.array([[1]])])
def test_a_parquet_column_that_is_no_text_is_told(tmp_path: Path, values: pa.Array) -> None:
    pq.write_table(pa.table({"price": values, "cost": ["1"]}), tmp_path / "x.parquet")
    if pa.types.is_list(values.type):
        assert left_out(read_ledger(tmp_path / "x.parquet")) == ("price.list.element",)
    else:
        with pytest.raises(RecordError, match="binary cannot be read as text") as caught:
            read_ledger(tmp_path / "x.parquet", columns={"price": "model"})
        assert (caught.value.line, caught.value.field) == (1, "price")


def test_an_empty_parquet_file_and_one_that_is_not_there_are_told(tmp_path: Path) -> None:
    pq.write_table(schema().empty_table(), tmp_path / "x.parquet")
    with pytest.raises(RecordError, match="holds no rows"):
        read_ledger(tmp_path / "x.parquet")
    for name in ("none.csv", "none.jsonl", "none.parquet"):
        with pytest.raises(RecordError, match="cannot be read"):
            read_ledger(tmp_path / name)
    with pytest.raises(InputError, match="no ledger by its name") as caught:
        read_ledger(tmp_path / "x.xlsx")
    assert caught.value.hint == "one of: .jsonl, .ndjson, .csv, .parquet"

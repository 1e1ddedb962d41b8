"""Readers give back what is in a file, and say exactly where it cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proofset.auditing.readers import read_csv, read_jsonl, read_parquet, read_tab
from proofset.errors import RecordError
from proofset.plugins import Reader, Row, find

READERS: list[Reader] = [read_jsonl, read_csv, read_tab, read_parquet]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "rows.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Written = Callable[[str | bytes], Path]


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def fault(rows: Iterator[Row]) -> RecordError:
    with pytest.raises(RecordError) as caught:
        list(rows)
    assert caught.value.hint
    return caught.value


# --- what is there comes back ---------------------------------------------------------------------------------------


def test_each_reader_is_found_by_its_name() -> None:
    assert [find("readers", name) for name in ("jsonl", "csv", "tab", "parquet")] == READERS


def test_json_lines_keep_their_line_numbers_across_blank_lines(written: Written) -> None:
    rows = list(read_jsonl(written('\ufeff{"text": "a\\nb", "n": 1}\r\n\n{"text": "ü"}')))
    assert rows == [Row(1, {"text": "a\nb", "n": 1}), Row(3, {"text": "ü"})]


def test_json_arrays_are_named_by_columns(written: Written) -> None:
    assert list(read_jsonl(written('["x", "y"]'), columns=("text", "label"))) == [Row(1, {"text": "x", "label": "y"})]


def test_csv_cells_may_hold_separators_quotes_and_line_breaks(written: Written) -> None:
    path = written('\ufefftext,label\r\n"one, ""two""\r\nthree",x\r\n\r\nfour,y\r\n')
    assert list(read_csv(path)) == [
        Row(2, {"text": 'one, "two"\nthree', "label": "x"}),
        Row(5, {"text": "four", "label": "y"}),
    ]


def test_csv_columns_replace_the_header_and_skipped_lines_count(written: Written) -> None:
    path = written('# "a note\n# more\na,b\nc,d\n')
    assert list(read_csv(path, columns=("text", "label"), skip_rows=2)) == [
        Row(3, {"text": "a", "label": "b"}),
        Row(4, {"text": "c", "label": "d"}),
    ]


def test_tabs_separate_and_quotes_mean_nothing(written: Written) -> None:
    path = written('ham\tHe said "go, now\nspam\t""\n')
    assert list(read_tab(path, columns=("label", "text"))) == [
        Row(1, {"label": "ham", "text": 'He said "go, now'}),
        Row(2, {"label": "spam", "text": '""'}),
    ]


def test_tab_reads_past_a_preamble_to_the_header(written: Written) -> None:
    path = written(b"\xff not even text\nnotes\n\nclass\ttext\nearn\tprofit rose\n")
    assert list(read_tab(path, skip_rows=3)) == [Row(5, {"class": "earn", "text": "profit rose"})]


def test_parquet_rows_are_numbered_from_one(tmp_path: Path) -> None:
    rows = [{"text": f"t{n}", "messages": [{"role": "user", "content": "x"}]} for n in range(2500)]
    path = parquet(tmp_path / "rows.parquet", rows)
    read = list(read_parquet(path))
    assert [row.fields for row in read] == rows
    assert [row.line for row in read] == list(range(1, 2501))
    assert [row.line for row in read_parquet(path, skip_rows=2498)] == [2499, 2500]


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_json_lines(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": a, "label": b}) + "\n" for a, b in rows))
    assert [(row.fields["text"], row.fields["label"]) for row in read_jsonl(path)] == rows


def test_rows_come_one_at_a_time(written: Written) -> None:
    rows = read_jsonl(written('{"text": "a"}\nnot json\n'))
    assert next(rows).fields == {"text": "a"}
    with pytest.raises(RecordError, match=r":2: not JSON"):
        next(rows)


# --- what cannot be read is named -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", READERS)
def test_missing_files_directories_and_empty_files(reader: Reader, tmp_path: Path) -> None:
    assert "no such file" in str(fault(reader(tmp_path / "gone")))
    assert "directory" in str(fault(reader(tmp_path)))
    empty = tmp_path / "empty"
    empty.touch()
    assert str(empty) in str(fault(reader(empty)))


@pytest.mark.parametrize("reader", [read_jsonl, read_csv, read_tab])
def test_no_rows_is_an_error(reader: Reader, written: Written) -> None:
    assert "no rows" in str(fault(reader(written("\n"), skip_rows=1)))
    assert "no rows" in str(fault(reader(written(""))))


def test_a_header_alone_is_no_rows(written: Written, tmp_path: Path) -> None:
    assert "no rows" in str(fault(read_csv(written("text,label\n"))))
    assert "no rows" in str(fault(read_tab(written("text\tlabel\n"))))
    path = parquet(tmp_path / "one.parquet", [{"text": "a"}])
    assert "no rows" in str(fault(read_parquet(path, skip_rows=1)))


@pytest.mark.parametrize("reader", [read_csv, read_tab])
def test_broken_encoding_names_line_and_byte(reader: Reader, written: Written) -> None:
    error = fault(reader(written(b"text\nfine\nna\xefve\n")))
    assert error.line == 3
    assert "byte 3" in str(error) and "0xef" in str(error)


def test_utf_16_is_named(written: Written) -> None:
    error = fault(read_csv(written("text,label\n".encode("utf-16"))))
    assert "UTF-16" in str(error) and "UTF-8" in error.hint


@pytest.mark.parametrize("line", ['{"text": ', "{'text': 1}", "[" * 100_000, "[1]", '"text"', "3"])
def test_broken_json_names_its_line(line: str, written: Written) -> None:
    assert fault(read_jsonl(written('{"text": "a"}\n' + line + "\n"))).line == 2


@pytest.mark.parametrize(("reader", "separator"), [(read_csv, ","), (read_tab, "\t")])
def test_rows_of_another_width_name_line_and_missing_field(reader: Reader, separator: str, written: Written) -> None:
    few = fault(reader(written("a|b|c\n1|2|3\n1|2\n".replace("|", separator))))
    assert (few.line, few.field) == (3, "c")
    many = fault(reader(written("a|b\n1|2|3\n".replace("|", separator))))
    assert (many.line, many.field) == (2, None)
    assert "3 columns instead of 2" in str(many)


def test_a_quote_never_closed_names_the_line_it_opens_on(written: Written) -> None:
    error = fault(read_csv(written('text,label\na,b\n"open,c\nd,e\n')))
    assert error.line == 3
    assert "quote" in error.hint
    assert fault(read_csv(written('text,label\n"a"b,c\n'))).line == 2


@pytest.mark.parametrize("header", ["text,", "text,text", ","])
def test_a_first_row_that_is_no_header(header: str, written: Written) -> None:
    error = fault(read_csv(written(header + "\na,b\n")))
    assert error.line == 1
    assert "columns" in error.hint


def test_columns_are_refused_where_the_file_names_its_own(written: Written, tmp_path: Path) -> None:
    assert "column names" in str(fault(read_jsonl(written('{"text": "a"}'), columns=("text",))))
    path = parquet(tmp_path / "one.parquet", [{"text": "a"}])
    assert "column names" in str(fault(read_parquet(path, columns=("text",))))


def test_a_cut_parquet_file(tmp_path: Path) -> None:
    path = parquet(tmp_path / "one.parquet", [{"text": "a"}])
    path.write_bytes(path.read_bytes()[:-9])
    assert "Parquet" in str(fault(read_parquet(path)))

"""Readers: files to rows, one at a time, believing nothing.

Four formats behind one door (``plugins.Reader``): JSON lines, CSV, tab-separated and Parquet. Each is a generator, so
that memory does not grow with the file, and nothing is opened before the first row is asked for. Whatever cannot be
read is a RecordError that names file, line and, where there is one, the field; no row is ever passed over unseen, save
blank lines.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proofset.errors import RecordError
from proofset.plugins import Row

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
SAVE_AS_UTF8 = "save the file as UTF-8"
BATCH_ROWS = 1024
"""Rows of a Parquet file held in memory at once."""


def read_jsonl(path: Path, *, columns: Sequence[str] = (), skip_rows: int = 0) -> Iterator[Row]:
    """Rows of a JSON lines file: an object a line, or an array a line whose items ``columns`` names."""
    found = False
    for line, text in _lines(path, skip_rows):
        if not text.strip():
            continue
        found = True
        yield Row(line, _json_fields(text, columns, path, line))
    _require_rows(found, path)


def _json_fields(text: str, columns: Sequence[str], path: Path, line: int) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise RecordError("JSON is nested too deeply", path=path, line=line, hint="flatten this row") from error
    except ValueError as error:
        hint = "each line must be one whole JSON object; a pretty-printed file is not JSON lines"
        raise RecordError(f"not JSON: {error}", path=path, line=line, hint=hint) from error
    if isinstance(value, list) and columns:
        return _named(value, columns, path, line)
    if not isinstance(value, dict):
        hint = "each line must be a JSON object, or an array with ingest.columns naming its items"
        raise RecordError(f"a JSON {type(value).__name__}, not an object", path=path, line=line, hint=hint)
    if columns:
        _refuse_columns(path, line)
    return value


def read_csv(path: Path, *, columns: Sequence[str] = (), skip_rows: int = 0) -> Iterator[Row]:
    """Rows of a comma-separated file with a header row, or with ``columns`` and none.

    Quoted cells may hold commas and line breaks; a row's line is the one it begins on. ``skip_rows`` counts lines.
    """
    reader = csv.reader((text + "\n" for _, text in _lines(path, skip_rows)), strict=True)
    names, found = tuple(columns), False
    while True:
        line = skip_rows + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            hint = "is a quote never closed? Quotes in a quoted cell are doubled; long cells fit JSON lines better"
            raise RecordError(f"not CSV: {error}", path=path, line=line, hint=hint) from error
        if cells is None:
            break
        if not cells:
            continue
        if not names:
            names = _header(cells, path, line)
            continue
        found = True
        yield Row(line, _named(cells, names, path, line))
    _require_rows(found, path)


def read_tab(path: Path, *, columns: Sequence[str] = (), skip_rows: int = 0) -> Iterator[Row]:
    """Rows of a tab-separated file with a header row, or with ``columns`` and none. Quotes mean nothing here."""
    names, found = tuple(columns), False
    for line, text in _lines(path, skip_rows):
        if not text:
            continue
        cells = text.split("\t")
        if not names:
            names = _header(cells, path, line)
            continue
        found = True
        yield Row(line, _named(cells, names, path, line))
    _require_rows(found, path)


def read_parquet(path: Path, *, columns: Sequence[str] = (), skip_rows: int = 0) -> Iterator[Row]:
    """Rows of a Parquet file, which brings its own column names; a row's ``line`` is its number, from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if columns:
        _refuse_columns(path, None)
    number = 0
    with _readable(path):
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS):
                    for fields in batch.to_pylist():
                        number += 1
                        if number > skip_rows:
                            yield Row(number, fields)
        except pa.ArrowException as error:
            hint = "is it a whole Parquet file?"
            raise RecordError(f"cannot be read as Parquet: {error}", path=path, line=number + 1, hint=hint) from error
    _require_rows(number > skip_rows, path)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what the file system says into a RecordError."""
    if path.is_dir():
        raise RecordError("is a directory", path=path, hint="give a file")
    try:
        yield
    except FileNotFoundError as error:
        raise RecordError("no such file", path=path, hint="paths are relative to the study file") from error
    except OSError as error:
        raise RecordError(f"cannot be read: {error}", path=path, hint="check the file and its permissions") from error


def _lines(path: Path, skip_rows: int) -> Iterator[tuple[int, str]]:
    """Line numbers from 1, and lines without their ends; a leading byte order mark is taken off."""
    with _readable(path):
        file = path.open("rb")
    with file:
        for line, data in enumerate(file, 1):
            if line == 1 and data.startswith(UTF16_MARKS):
                raise RecordError("the encoding is UTF-16, not UTF-8", path=path, line=line, hint=SAVE_AS_UTF8)
            if line > skip_rows:
                yield line, _decoded(data.removeprefix(UTF8_MARK) if line == 1 else data, path, line)


def _decoded(data: bytes, path: Path, line: int) -> str:
    try:
        return data.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line (0x{data[error.start]:02x}) is not UTF-8"
        raise RecordError(message, path=path, line=line, hint=SAVE_AS_UTF8) from error


def _header(cells: Sequence[str], path: Path, line: int) -> tuple[str, ...]:
    """Column names out of the first row; a row with empty or repeated cells is no header."""
    names = tuple(cell.strip() for cell in cells)
    hint = "add a header row, or name the columns in ingest.columns"
    if "" in names:
        raise RecordError(f"no header: column {names.index('') + 1} has no name", path=path, line=line, hint=hint)
    for name in names:
        if names.count(name) > 1:
            raise RecordError("the header names this column twice", path=path, line=line, field=name, hint=hint)
    return names


def _named(cells: Sequence[Any], names: Sequence[str], path: Path, line: int) -> dict[str, Any]:
    """A row's cells by column name."""
    if len(cells) == len(names):
        return dict(zip(names, cells, strict=True))
    field = names[len(cells)] if len(cells) < len(names) else None
    known = ", ".join(names)
    hint = f"the columns are {known}; a cell that holds the separator must be quoted, or the file be JSON lines"
    message = f"{len(cells)} columns instead of {len(names)}"
    raise RecordError(message, path=path, line=line, field=field, hint=hint)


def _refuse_columns(path: Path, line: int | None) -> None:
    raise RecordError("the file brings its own column names", path=path, line=line, hint="leave out ingest.columns")


def _require_rows(found: bool, path: Path) -> None:
    if not found:
        raise RecordError("no rows", path=path, hint="the file is empty, or ingest.skip_rows passes over all of it")

"""Nouns to Parquet and back. The schema follows from the noun's field types, so an empty table has it too.

Decimals are kept as their exact text, enums as their values, nested nouns as structs. Each file says which noun it
holds, and is read as no other: held-out records never come back as Records.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import ValidationError

from proofset.errors import InputError, LeakageError, RunError
from proofset.nouns.record import HeldOut, Record
from proofset.runs.log import codec

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

ROW_GROUP = 2000
"""Rows that are turned into columns at once."""
NOUN = b"proofset.noun"
"""Key of a file's metadata under which its noun is named."""


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Records with their messages, origin, group, source, licence and generation; one row a record, order kept."""
    write_rows(path, records, Record)


def read_records(path: Path) -> list[Record]:
    """The records of a file, in order. Raises LeakageError for a file of held-out ones."""
    return read_rows(path, Record)


def write_heldout(path: Path, heldout: Iterable[HeldOut]) -> None:
    """Held-out records; one row each, order kept."""
    write_rows(path, heldout, HeldOut)


def read_heldout(path: Path) -> list[HeldOut]:
    """The held-out records of a file, in order."""
    return read_rows(path, HeldOut)


def write_rows(path: Path, rows: Iterable[T], noun: type[T] | None = None) -> None:
    """Any rows of one dataclass, a few thousand at a time. ``noun`` names the class where ``rows`` may be empty.

    Raises InputError for a text that UTF-8 cannot hold, or a field type that has no column.
    """
    import pyarrow.parquet as pq

    rest = iter(rows)
    chunk = list(islice(rest, ROW_GROUP))
    noun = noun or (type(chunk[0]) if chunk else None)
    if noun is None:
        raise InputError("no rows, and nothing says what they would be", hint="pass the class as well")
    with _fitting(path, noun):
        first = _columned(path, chunk, noun)
        # Given a path, pyarrow removes whatever lies there when it fails; given a file, it leaves that to the caller.
        with (
            path.open("wb") as out,
            pq.ParquetWriter(out, first.schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            writer.write_table(first)
            while chunk := list(islice(rest, ROW_GROUP)):
                writer.write_table(_columned(path, chunk, noun))


def _columned(path: Path, rows: list[T], noun: type[T]) -> pa.Table:
    """Some rows as columns."""
    import pyarrow as pa

    if strangers := {type(row).__name__ for row in rows} - {noun.__name__}:
        raise InputError(
            f"{path.name}: {', '.join(strangers)} cannot be written among {noun.__name__}",
            hint="give each noun a file of its own",
        )
    return pa.Table.from_pylist(codec(noun).dump_python(rows, mode="json", warnings="error"), schema=schema_of(noun))


@contextmanager
def _fitting(path: Path, noun: type) -> Iterator[None]:
    """What does not fit its column, in words."""
    try:
        yield
    except InputError:
        raise
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{path.name}: a {noun.__name__} cannot be written: {error}",
            hint="give plain values, and texts that UTF-8 can hold",
        ) from error


def read_rows(path: Path, noun: type[T]) -> list[T]:
    """The rows of a file as dataclasses, in order. Raises RunError if it is missing, damaged or of another noun."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_noun(path, file.schema_arrow.metadata or {}, noun)
            rows = file.read().to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise RunError(
            f"{path}: cannot be read as a table: {error}", hint="delete the file and run again: it is made anew"
        ) from error
    try:
        return codec(noun).validate_python(rows)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise RunError(
            f"{path}: row {'.'.join(map(str, fault['loc']))} is not a {noun.__name__}: {fault['msg']}",
            hint="another version of proofset wrote it; delete the file and run again: it is made anew",
        ) from error


def schema_of(noun: type) -> pa.Schema:
    """The columns of a dataclass: one a field, in the order they are declared."""
    import pyarrow as pa

    return pa.schema(_columns(noun), metadata={NOUN: noun.__name__.encode()})


def _check_noun(path: Path, metadata: dict[bytes, bytes], noun: type) -> None:
    """Refuse a file that was written as something else."""
    there = metadata.get(NOUN, b"?").decode("utf-8", "replace")
    if there == noun.__name__:
        return
    if there == HeldOut.__name__:
        raise LeakageError(
            f"{path}: holds held-out records, and was asked for as {noun.__name__}", hint="only `prove` may read them"
        )
    raise RunError(f"{path}: holds {there}, not {noun.__name__}", hint="give the path of the right table")


def _columns(noun: type) -> list[pa.Field]:
    """The Arrow fields of a dataclass."""
    import pyarrow as pa

    if not is_dataclass(noun):
        raise InputError(f"{noun!r} has no fields to make columns of", hint="give a dataclass")
    hints = get_type_hints(noun)
    names = [field.name for field in fields(noun)]
    return [pa.field(name, *_column(hints[name], f"{noun.__name__}.{name}")) for name in names]


def _column(hint: Any, place: str) -> tuple[pa.DataType, bool]:
    """The Arrow type of a field's type, and whether it may be null."""
    import pyarrow as pa

    plain: dict[Any, pa.DataType] = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        Decimal: pa.string(),
    }
    if hint in plain:
        return plain[hint], False
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return pa.string(), False
    if is_dataclass(hint):
        return pa.struct(_columns(hint)), False  # type: ignore[arg-type]
    origin, inner = get_origin(hint), get_args(hint)
    if origin is types.UnionType and len(inner) == 2 and inner[1] is types.NoneType:
        return _column(inner[0], place)[0], True
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return pa.list_(pa.field("item", *_column(inner[0], place))), False
    raise InputError(f"{place}: {hint} has no column", hint="use text, numbers, enums, nouns or tuples of one type")

"""Ledgers of other tools as one table: JSON lines, CSV or Parquet, block by block, by the names their columns have.

Input is taken to include cached input. A file that contradicts itself is refused, and the error names the file, the
line and the field.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from proofset.costing.columns import Raw, Shaper
from proofset.errors import InputError, RecordError

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_ROWS = 131_072
"""Rows that are held at once."""
LEFT_OUT = b"proofset.left_out"
"""Key of a table's metadata with the columns of the file that were not read, as a JSON array."""
_GEN = "gen_ai.usage."
KNOWN: dict[str, tuple[str, ...]] = {
    "seq": ("seq",),
    "at": ("at", "ts", "timestamp", "created_at", "start_time", "time"),
    "run": ("run", "run_id"),
    "stage": ("stage", "operation", "span_name", "gen_ai.operation.name"),
    "slice": ("slice",),
    "record": ("record", "record_id", "request_id", "brief_id", "custom_id"),
    "attempt": ("attempt", "attempt_id", "call_id", "span_id", "id"),
    "retry_of": ("retry_of",),
    "provider": ("provider", "gen_ai.provider.name", "gen_ai.system"),
    "model": ("model", "gen_ai.request.model", "model_requested", "model_name", "gen_ai.response.model"),
    "processing": ("processing",),
    "input_tokens": ("input_tokens", "prompt_tokens", f"{_GEN}input_tokens", "usage.prompt_tokens",
                     "usage.input_tokens"),
    "cached_tokens": ("cached_tokens", "cache_read_input_tokens", f"{_GEN}cache_read.input_tokens",
                      "usage.prompt_tokens_details.cached_tokens", "usage.cache_read_input_tokens"),
    "cache_write_tokens": ("cache_write_tokens", "cache_creation_input_tokens", f"{_GEN}cache_creation.input_tokens",
                           "usage.cache_creation_input_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens", f"{_GEN}output_tokens", "usage.completion_tokens",
                      "usage.output_tokens"),
    "reasoning_tokens": ("reasoning_tokens", f"{_GEN}reasoning.output_tokens",
                         "usage.completion_tokens_details.reasoning_tokens"),
    "core_seconds": ("core_seconds",),
    "seconds": ("seconds", "duration_s", "latency_s"),
    "outcome": ("outcome", "status"),
    "usd": ("usd", "cost", "total_cost", "cost_usd", "total_cost_usd", f"{_GEN}cost", "response_cost", "spend"),
    "basis": ("basis", "cost_basis"),
    "unit_prices": ("unit_prices",),
    "avoided_usd": ("avoided_usd",),
    "fate": ("fate", "accepted", "status"),
    "bytes": ("bytes", "text_bytes", "accepted_bytes"),
    "currency": ("currency",),
}  # fmt: skip
"""Our columns, and the names under which they are found, the first that is there. ``status`` is the outcome unless the
file has an ``outcome`` too; then it is the fate. Upper case, spaces and hyphens make no difference."""


def read_ledger(path: Path, *, columns: Mapping[str, str] = {}, rate: Decimal | None = None) -> pa.Table:
    """The ledger at ``path`` (.jsonl, .ndjson, .csv or .parquet) as one table with the columns of ``columns.schema()``.

    ``columns`` maps names of the file to ours where they are not known; ``rate`` is USD per unit of the file's
    currency. What was not read is told by ``left_out``. Raises InputError for an unknown kind of file or column name;
    RecordError with file, line and field for a file that is empty or broken, a count that is negative or no whole
    number, more cached than there was input, an amount that is no number, a currency without a rate, or several.
    """
    import pyarrow as pa

    parts = list(blocks(path, columns=columns, rate=rate))
    told = sorted({name for part in parts for name in left_out(part)})
    return pa.concat_tables([part.replace_schema_metadata() for part in parts]).replace_schema_metadata(_told(told))


def left_out(table: pa.Table) -> tuple[str, ...]:
    """The columns of its file that a table of ``read_ledger`` or ``blocks`` leaves out."""
    return tuple(json.loads((table.schema.metadata or {}).get(LEFT_OUT, b"[]")))


def blocks(
    path: Path,
    *,
    columns: Mapping[str, str] = {},
    rate: Decimal | None = None,
    rows: int = BLOCK_ROWS,
    only: Collection[str] | None = None,
) -> Iterator[pa.Table]:
    """The same, at most ``rows`` rows at a time; with ``only``, just those of our columns, for speed."""
    if unknown := sorted(set(columns.values()) - set(KNOWN)):
        raise InputError(f"columns: {unknown[0]!r} is none of ours", hint=f"one of: {', '.join(KNOWN)}")
    if (reader := _READERS.get(path.suffix.lower())) is None:
        raise InputError(f"{path}: no ledger by its name", hint=f"one of: {', '.join(_READERS)}")
    file, shaper, empty = _File(path, columns, rows, only), Shaper(rate), True
    with _readable(path):
        for raw, unread in reader(file):
            empty = False
            yield shaper.shape(raw, only).replace_schema_metadata(_told(unread))
    if empty:
        raise RecordError("holds no rows", path=path, line=1, hint="give a ledger with at least one call")


def _told(names: Sequence[str]) -> dict[bytes, bytes]:
    return {LEFT_OUT: json.dumps(list(names)).encode()}


def chosen(names: Sequence[str], columns: Mapping[str, str], path: Path) -> dict[str, str]:
    """Our name to the file's, each of the file's at most once; ``columns`` maps names of the file to ours.

    Raises RecordError where the file lacks one of ``columns``, or has neither amounts nor tokens.
    """
    if missing := [name for name in columns if name not in names]:
        raise RecordError("the file has no such column", path=path, line=1, field=missing[0])
    found = {ours: theirs for theirs, ours in columns.items()}
    plain = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in reversed(names)}
    for ours, known in KNOWN.items():
        free = (plain[name] for name in known if name in plain and plain[name] not in found.values())
        if ours not in found and (theirs := next(free, None)) is not None:
            found[ours] = theirs
    if not {"usd", "input_tokens", "output_tokens"} & set(found):
        message = f"neither amounts nor tokens among the columns {', '.join(names)}"
        raise RecordError(message, path=path, line=1, hint="say which column is which: columns={theirs: ours}")
    return found


@dataclass(slots=True)
class _File:
    """A ledger that is being read."""

    path: Path
    columns: Mapping[str, str]
    rows: int
    only: Collection[str] | None

    def chosen(self, names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """Our name to the file's for the columns that are needed, and those that are not ours."""
        found = chosen(names, self.columns, self.path)
        unread = [name for name in names if name not in found.values()]
        if self.only is not None:
            needed = {*self.only, "currency", "stage"}
            found = {ours: theirs for ours, theirs in found.items() if ours in needed}
        return found, unread

    def refuse(self, line: int, message: str, field: str | None = None) -> NoReturn:
        """A RecordError at a line."""
        hint = "mend the line, or take it out"
        raise RecordError(message, path=self.path, line=line, field=field, hint=hint)

    def texts(self, rows: Sequence[Mapping[str, str | None]], lines: Sequence[int], names: Sequence[str]) -> _Block:
        """Rows of texts as a block."""
        import pyarrow as pa

        found, unread = self.chosen(names)
        made: dict[str, Any] = {}
        for ours, theirs in found.items():
            values = [row.get(theirs) or None for row in rows]
            try:
                made[ours] = pa.array(values, pa.string())
            except UnicodeEncodeError:
                broken = next(at for at, value in enumerate(values) if value and _mended(value) != value)
                self.refuse(lines[broken], "a text that UTF-8 cannot hold", theirs)
        return Raw(self.path, made, found, lines), unread


_Block = tuple[Raw, list[str]]


def _json(file: _File) -> Iterator[_Block]:
    """Blocks of a JSON lines file; what is nested is named by its path, such as usage.prompt_tokens."""
    rows: list[dict[str, str | None]] = []
    lines: list[int] = []
    names: dict[str, None] = {}
    with file.path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line, parse_float=str, parse_int=str)
                row = dict(_flat("", value)) if isinstance(value, dict) else None
            except (ValueError, RecursionError) as error:
                file.refuse(number, f"no JSON: {error}")
            if row is None:
                file.refuse(number, "no JSON object")
            rows.append(row)
            lines.append(number)
            names |= dict.fromkeys(row)
            if len(rows) == file.rows:
                yield file.texts(rows, lines, list(names))
                rows, lines, names = [], [], {}
    if rows:
        yield file.texts(rows, lines, list(names))


def _flat(prefix: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Names and texts of an object and those nested in it; a list is told by its name and has no text."""
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(f"{prefix}{name}.", inner)
        elif isinstance(inner, bool):
            yield prefix + name, "true" if inner else "false"
        else:
            yield prefix + name, None if inner is None or isinstance(inner, list) else str(inner)


def _csv(file: _File) -> Iterator[_Block]:
    """Blocks of a CSV file with a header; quoted cells may hold line ends."""
    rows: list[dict[str, str | None]] = []
    lines: list[int] = []
    with file.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        cells = _cells(file, reader)
        names = next(cells, (1, []))[1]
        if len(set(names)) < len(names):
            file.refuse(1, "two columns have the same name")
        for line, values in cells:
            if len(values) != len(names):
                file.refuse(line, f"{len(values)} cells, and {len(names)} columns")
            rows.append(dict(zip(names, values, strict=True)))
            lines.append(line)
            if len(rows) == file.rows:
                yield file.texts(rows, lines, names)
                rows, lines = [], []
    if rows:
        yield file.texts(rows, lines, names)


def _cells(file: _File, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line on which it begins."""
    begins = 1
    try:
        for cells in reader:
            if cells:
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        file.refuse(begins, f"no CSV: {error}")


def _parquet(file: _File) -> Iterator[_Block]:
    """Blocks of a Parquet file; only the columns that are needed are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    done = 0
    try:
        with pq.ParquetFile(file.path) as source:
            found, unread = file.chosen([source.schema.column(at).path for at in range(len(source.schema))])
            for batch in source.iter_batches(batch_size=file.rows, columns=list(found.values())):
                columns = _leaves(pa.Table.from_batches([batch]))
                lines = range(done + 1, done + 1 + len(batch))
                raw = {ours: columns[theirs] for ours, theirs in found.items()}
                done += len(batch)
                if len(batch):
                    yield Raw(file.path, raw, found, lines), unread
    except pa.ArrowException as error:
        file.refuse(done + 1, f"cannot be read as Parquet: {error}")


def _leaves(table: pa.Table) -> dict[str, Any]:
    """The columns of a block by their paths, structs taken apart."""
    import pyarrow as pa

    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    return {name: _whole(column) for name, column in zip(table.column_names, table.columns, strict=True)}


def _whole(column: Any) -> Any:
    """One array out of the only chunk of a block."""
    import pyarrow as pa

    array = column.combine_chunks()
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _mended(text: str) -> str:
    return text.encode(errors="replace").decode()


_READERS: dict[str, Callable[[_File], Iterator[_Block]]] = {
    ".jsonl": _json,
    ".ndjson": _json,
    ".csv": _csv,
    ".parquet": _parquet,
}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What the file system says, as a RecordError."""
    try:
        yield
    except OSError as error:
        raise RecordError(f"cannot be read: {error}", path=path, hint="check the file and its permissions") from error

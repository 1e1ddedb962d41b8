"""Ledger rows as OpenTelemetry spans, in the form that collectors read from files: OTLP as JSON lines.

Names follow the semantic conventions for generative AI (opentelemetry.io/docs/specs/semconv/gen-ai), which are in
development as of November 2026; what they have no name for begins with ``proofset.``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from proofset.costing.chain import ADJUSTMENT
from proofset.errors import InputError
from proofset.nouns.entry import Entry
from proofset.nouns.result import UsageBasis

SPANS_PER_LINE = 512
"""Most spans in one line of the file."""
SCOPE = "proofset.costing"
"""Name of the instrumentation scope."""
UNKNOWN = "unknown"
"""Provider of a row that names none; the conventions demand one."""
_CLIENT, _INTERNAL = 3, 1
"""Kinds of span: a call to a server, and one within this process."""
_ERROR = 2
"""Status of a span whose operation failed."""
_COUNTS = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.cache_read.input_tokens": "cached_tokens",
    "gen_ai.usage.cache_creation.input_tokens": "cache_write_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "gen_ai.usage.reasoning.output_tokens": "reasoning_tokens",
}
_OWN = ("run", "stage", "slice", "record", "attempt", "processing", "unit_prices")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote."""

    spans: int
    left_out: int
    """Rows that are no calls of a model: adjustments, replays, and rows without a model."""


def export(entries: Iterable[Entry], path: Path) -> Exported:
    """Write the calls among the entries as OTLP JSON lines; the file is there whole or not at all.

    Raises InputError for an entry whose ``at`` is no ISO time.
    """
    n_spans = n_rows = 0

    def calls() -> Iterator[Entry]:
        nonlocal n_rows
        for entry in entries:
            n_rows += 1
            if is_call(entry):
                yield entry

    draft, rest = path.with_name(f".{path.name}.tmp"), calls()
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            while block := [span(entry) for entry in islice(rest, SPANS_PER_LINE)]:
                n_spans += len(block)
                file.write(json.dumps(_traces(block), separators=(",", ":")) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return Exported(spans=n_spans, left_out=n_rows - n_spans)


def is_call(entry: Entry) -> bool:
    """Whether a row is a call of a model that was made: no adjustment, no replay, and with a model."""
    return entry.stage != ADJUSTMENT and entry.basis is not UsageBasis.REPLAY and bool(entry.model)


def span(entry: Entry) -> dict[str, Any]:
    """One call as an OTLP span: attempts at one record share a trace, and a retry links to what it repeats.

    Ends at ``at`` and began ``seconds`` before. Raises InputError for an ``at`` that is no ISO time.
    """
    operation = "embeddings" if entry.stage.startswith("embed") else "chat"
    ended = _ended(entry)
    trace = _id(16, entry.run, "record", entry.record) if entry.record else _id(16, entry.run, "attempt", entry.attempt)
    made: dict[str, Any] = {
        "traceId": trace,
        "spanId": _id(8, entry.run, entry.attempt),
        "name": f"{operation} {entry.model}",
        "kind": _INTERNAL if entry.core_seconds > 0 else _CLIENT,
        "startTimeUnixNano": str(max(0, ended - round(entry.seconds * 1e9))),
        "endTimeUnixNano": str(ended),
        "attributes": _attributes(entry, operation),
        "status": {} if entry.outcome == "ok" else {"code": _ERROR, "message": entry.outcome},
    }
    if entry.retry_of and entry.record:
        made["links"] = [{"traceId": trace, "spanId": _id(8, entry.run, entry.retry_of)}]
    return made


def _attributes(entry: Entry, operation: str) -> list[dict[str, Any]]:
    """What is known of a call; amounts as texts, since a double would not be exact."""
    texts = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": entry.provider or UNKNOWN,
        "gen_ai.request.model": entry.model,
        "error.type": "" if entry.outcome == "ok" else entry.outcome,
        **{f"proofset.{name}": getattr(entry, name) for name in _OWN},
        "proofset.basis": entry.basis.value,
        "proofset.usd": "" if entry.usd is None else str(entry.usd),
    }
    made: list[dict[str, Any]] = [{"key": key, "value": {"stringValue": text}} for key, text in texts.items() if text]
    made += [{"key": key, "value": {"intValue": str(getattr(entry, name))}} for key, name in _COUNTS.items()]
    if entry.core_seconds > 0:
        made.append({"key": "proofset.core_seconds", "value": {"doubleValue": entry.core_seconds}})
    return made


def _ended(entry: Entry) -> int:
    """Nanoseconds from 1970 to the end of an attempt."""
    try:
        when = datetime.fromisoformat(entry.at)
    except ValueError as error:
        message = f"attempt {entry.attempt!r}: at {entry.at!r} is no ISO time"
        raise InputError(message, hint="such as 2026-11-25T14:40:00Z") from error
    return (when.replace(tzinfo=when.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1) * 1000


def _id(size: int, *parts: str) -> str:
    """An id of so many bytes as hex, of its parts alone."""
    return blake2b(json.dumps(parts).encode(), digest_size=size).hexdigest()


def _traces(spans: list[dict[str, Any]]) -> dict[str, Any]:
    """Spans as one OTLP TracesData."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "proofset"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": SCOPE}, "spans": spans}]}]}

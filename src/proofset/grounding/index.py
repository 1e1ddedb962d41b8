"""Passages: the documents a candidate may rest on, by the slice they define."""

from __future__ import annotations

from collections.abc import Iterable

from proofset.errors import RecordError
from proofset.nouns.evidence import Passage
from proofset.nouns.record import content_id
from proofset.plugins import Row


def passages(rows: Iterable[Row], path: str) -> tuple[Passage, ...]:
    """One passage a row, from columns ``slice`` and ``text`` and optionally ``title``, which is put before the text.

    Raises RecordError for a row without slice or text.
    """
    found = []
    for row in rows:
        slice_name, body = _cell(row, "slice", path), _cell(row, "text", path)
        title = str(row.fields.get("title") or "").strip()
        text = f"{title}. {body}" if title else body
        found.append(
            Passage(
                id=content_id("passage", slice_name, text),
                text=text,
                source=f"{path}:{row.line}",
                slice=slice_name,
                end=len(text),
            )
        )
    return tuple(found)


def _cell(row: Row, field: str, path: str) -> str:
    value = row.fields.get(field)
    if value is None or not str(value).strip():
        hint = f"every row needs {field!r}; the columns here are {', '.join(row.fields)}"
        raise RecordError("empty or missing", path=path, line=row.line, field=field, hint=hint)
    return str(value).strip()

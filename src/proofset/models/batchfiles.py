"""Requests in files, in OpenAI's batch format, and the files of answers that come back: no server is needed for either.

A provider takes such files at half price (``batch.py``). vLLM works through the same files without a server::

    vllm run-batch -i part-0001-r1.jsonl -o answers.jsonl --model M

and ``collect_file("answers.jsonl", …)`` reads what it wrote. ``M`` must be the model that the requests name. A runner
that knows chats alone wants requests written with ``form = "chat"``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from proofset.errors import ConfigError, ModelError, ModelUnavailable, ReplyUnreadable
from proofset.models.chat import EndpointChat
from proofset.models.parts import Part, part_at, parts, put
from proofset.plugins import Reply, Request

MOST_LINES, MOST_BYTES = 50_000, 200_000_000
"""Requests and bytes of one file, at most, as OpenAI has it."""

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(rb'"custom_id"\s*:\s*"([\w-]+)"')


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that gets no reply, and why, in the provider's words."""

    reason: str
    status: int = 0
    """HTTP status of the one request; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A request that has no reply yet, and may get one in another file."""

    reason: str


@dataclass(slots=True)
class Harvest:
    """Answers out of files, read one at a time: iterate, then look at what was odd on the way."""

    _walk: Callable[[Harvest], Iterator[tuple[str, Reply | Refused]]]
    duplicates: int = 0
    """Rows for a key that had its answer already. The first one counts."""
    strangers: list[str] = field(default_factory=list)
    """File, line and key of rows that nobody asked for."""
    unreadable: list[str] = field(default_factory=list)
    """File and line of rows that belong to nobody, because they cannot be read."""
    missing: list[str] = field(default_factory=list)
    """Keys that have no answer."""

    def __iter__(self) -> Iterator[tuple[str, Reply | Refused]]:
        """Keys and their answers, from the beginning."""
        self.duplicates = 0
        for notes in (self.strangers, self.unreadable, self.missing):
            notes.clear()
        return self._walk(self)


def export(
    items: Iterable[tuple[str, Request]],
    folder: Path,
    chat: EndpointChat,
    *,
    most_lines: int = MOST_LINES,
    most_bytes: int = MOST_BYTES,
) -> list[Path]:
    """Write requests under their keys, in as many files as it takes; the files. A key that is there already is skipped.

    Raises ConfigError for a key that no provider takes, and for a request that is larger than a file may be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = parts(folder)
    known = {key for part in there for key, _ in part.lines()}
    number = max((part.number for part in there), default=0)
    written = []
    for lines in _chunks(_fresh(items, known, chat), most_lines, most_bytes):
        number += 1
        written.append(Part(folder, number).path)
        put(written[-1], b"".join(lines))
    return written


def collect_file(path: Path, chat: EndpointChat, *, asked: Path | None = None, processing: str = "") -> Harvest:
    """The answers in one file, as a provider or ``vllm run-batch`` wrote it.

    ``asked`` is the file of requests; with it, what is missing shows. ``processing`` is "batch" where a provider gave
    its half price. Raises ReplyUnreadable, while iterating, for a file in which no row can be read.
    """

    def walk(found: Harvest) -> Iterator[tuple[str, Reply | Refused]]:
        part = part_at(asked) if asked else None
        if asked and not part:
            raise ConfigError(f"{asked}: not a file of requests", hint="give a part-*-r*.jsonl")
        keys = [key for key, _ in part.lines()] if part else None
        for key, outcome in answers([path], keys, chat, found, processing=processing):
            if isinstance(outcome, Unanswered):
                found.missing.append(key)
            else:
                yield key, outcome

    return Harvest(walk)


def answers(
    paths: Iterable[Path],
    asked: list[str] | None,
    chat: EndpointChat,
    found: Harvest,
    *,
    processing: str,
    otherwise: str = "no row for it",
) -> Iterator[tuple[str, Reply | Refused | Unanswered]]:
    """What became of each key in ``asked`` (None: of each that is found), once; what is odd is noted in ``found``."""
    wanted = None if asked is None else set(asked)
    seen: set[str] = set()
    pending: dict[str, Refused | Unanswered] = {}
    for path in paths:
        for place, key, row in _rows(path, found):
            if wanted is not None and key not in wanted:
                found.strangers.append(f"{place}: {key}")
            elif key in seen:
                found.duplicates += 1
            elif row is None:
                pending[key] = Refused(f"{place}: the row is torn")  # another one may be whole
            elif isinstance(outcome := _outcome(row, chat, place, processing), Unanswered):
                pending.setdefault(key, outcome)
            else:
                seen.add(key)
                yield key, outcome
    for key in pending if asked is None else asked:
        if key not in seen:
            yield key, pending.get(key) or Unanswered(otherwise)


def has_rows(content: bytes) -> bool:
    """Whether a downloaded file is one of answers; an empty one is."""
    empty = True
    for line in BytesIO(content):
        if line.strip():
            empty = False
            if _key_of(line)[0]:
                return True
    return empty


def _fresh(
    items: Iterable[tuple[str, Request]], known: set[str], chat: EndpointChat
) -> Iterator[tuple[str, bytes, str]]:
    """Endpoint, line and key of each request whose key is new."""
    for key, request in items:
        if not _KEY.fullmatch(key):
            raise ConfigError(f"{key!r} is no key for a batch", hint="1 to 64 letters, digits, - and _")
        if key not in known:
            known.add(key)
            path, body = chat.payload(request)
            url = f"/v1{path}"
            yield url, to_json({"custom_id": key, "method": "POST", "url": url, "body": body}) + b"\n", key


def _chunks(items: Iterable[tuple[str, bytes, str]], most_lines: int, most_bytes: int) -> Iterator[list[bytes]]:
    """Lines in files' worth; each file has one endpoint."""
    gathered: dict[str, list[bytes]] = {}
    sizes: Counter[str] = Counter()
    for url, line, key in items:
        if len(line) > most_bytes:
            raise ConfigError(f"{key}: a request of {len(line)} bytes; a file has {most_bytes} at most")
        lines = gathered.setdefault(url, [])
        if lines and (len(lines) >= most_lines or sizes[url] + len(line) > most_bytes):
            yield lines
            lines = gathered[url] = []
            sizes[url] = 0
        lines.append(line)
        sizes[url] += len(line)
    yield from (lines for lines in gathered.values() if lines)


def _rows(path: Path, found: Harvest) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    """Place, key and content of each row; None for the content that cannot be read, but says whose it is."""
    owned, first_bad = 0, ""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            place = f"{path.name}:{number}"
            key, row = _key_of(line)
            if key:
                owned += 1
                yield place, key, row
            else:
                first_bad = first_bad or f"{path}:{number}"
                found.unreadable.append(place)
    if first_bad and not owned:
        raise ReplyUnreadable(f"{first_bad}: not a row of batch answers", hint="is it the right file, and whole?")


def _key_of(line: bytes) -> tuple[str, dict[str, Any] | None]:
    """Whose row it is, and the row; "" for nobody's, None for one that is broken."""
    try:
        row = from_json(line)
        if isinstance(row, dict) and isinstance(row.get("custom_id"), str):
            return row["custom_id"], row
    except ValueError:
        owners = set(_ID.findall(line))
        return (owners.pop().decode() if len(owners) == 1 else ""), None
    return "", None


def _outcome(row: dict[str, Any], chat: EndpointChat, place: str, processing: str) -> Reply | Refused | Unanswered:
    """The reply in a row, or why there is none: now, or ever."""
    told = row.get("response")
    response = told if isinstance(told, dict) else {}
    status, body = _number(response.get("status_code")), response.get("body")
    fault = row.get("error") or (body.get("error") if isinstance(body, dict) else None)
    if fault or status >= 400 or not body:
        return _no_reply(fault, status, place)
    try:
        reply = chat.reread(to_json(body))
    except ModelUnavailable as error:
        return Unanswered(str(error))
    except ModelError as error:
        return Refused(f"{place}: {error}", status)
    return replace(reply, usage=replace(reply.usage, outcome="ok", processing=processing))


def _no_reply(fault: Any, status: int, place: str) -> Refused | Unanswered:
    """A request is refused for good by a 4xx that is about itself; all else may go better another time."""
    while isinstance(fault, dict) and isinstance(fault.get("error"), dict):  # vLLM's are wrapped once more
        fault = fault["error"]
    told = fault if isinstance(fault, dict) else {"message": fault or "an empty answer"}
    code, message = str(told.get("code") or ""), " ".join(str(told.get("message") or told)[:300].split())
    status = status if status >= 400 else _number(code)
    reason = f"{place}: " + " ".join(filter(None, (f"HTTP {status}" if status else "", message)))
    if (400 <= status < 500 and status not in (408, 409, 425, 429)) or code.startswith("invalid"):
        return Refused(reason, status)
    return Unanswered(reason)


def _number(given: Any) -> int:
    return int(given) if isinstance(given, (int, str)) and str(given).isdecimal() else 0

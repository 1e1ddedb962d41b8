"""The append-only event log of a run: one JSON line an event, one system call a line.

A line is ``{"kind": "Proposed", "v": 1, "at": "<UTC>", ...fields}``. A process may be killed anywhere: what is torn is
the last line at most, and opening for writing cuts it off before anything is appended. Any other damage stops. Lines of
money carry seals (``seals.py``).
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from operator import eq
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, overload

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json

from proofset.errors import InputError, LogCorrupt, RunFromNewerVersion, RunUnwritable
from proofset.nouns.event import Event, Finished, Spent, Started
from proofset.runs.seals import seal

T = TypeVar("T")

Lift = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes a line of one version, ``kind`` and fields, and gives the same line as the next version would write it."""

LIFTS: tuple[Lift, ...] = ()
"""Append only: the n-th function lifts a line of version n to version n + 1. Write one when a field's meaning changes;
a field added with a default needs none."""

KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
"""Every kind a line may have."""

HELD = 10_000
"""Events up to which a log is held in memory."""

_CODECS: dict[type, TypeAdapter[Any]] = {}
_ENVELOPE = ("kind", "v", "at")
_HEAD = re.compile(rb'\{"kind":"(\w+)","v":(\d+),"at":"[^"\\\\]*",')
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def codec(noun: type[T]) -> TypeAdapter[list[T]]:
    """Turns lists of a dataclass to plain values and back, exactly.

    Unknown fields are errors at any depth, decimals become strings, and infinities survive JSON. It is an adapter of
    *lists* because pydantic hands its settings down to standard dataclasses only from a container.
    """
    if noun not in _CODECS:
        config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")
        _CODECS[noun] = TypeAdapter(list[noun], config=config)  # type: ignore[valid-type]
    return _CODECS[noun]


def unwritable(folder: Path, error: OSError) -> RunUnwritable:
    """What a failed write means to the person who waits for the run."""
    if error.errno in _NO_ROOM:
        hint = "make room and run again: what was logged is safe, and the run goes on from there"
    elif error.errno in _NOT_ALLOWED:
        hint = "choose a folder you may write to, or change the permissions of this one"
    else:
        hint = "mend what the message says and run again: what was logged is safe"
    return RunUnwritable(f"{folder}: cannot be written: {error.strerror or error}", hint=hint)


def encode(event: Event, at: datetime) -> bytes:
    """The line of an event, with its newline. Raises InputError for a field that could not be read back."""
    kind: type[Event] = type(event)
    try:
        body = codec(kind).dump_json([event], warnings="error")
        codec(kind).validate_json(body)
    except (PydanticSerializationError, ValidationError) as error:
        raise InputError(
            f"{kind.__name__}: cannot be logged: {error}",
            hint="give each field its declared type, and texts that UTF-8 can hold (decode them with errors='replace')",
        ) from error
    moment = at.isoformat(timespec="milliseconds")
    return b'{"kind":"%b","v":%d,"at":"%b",%b\n' % (kind.__name__.encode(), version(), moment.encode(), body[2:-1])


def version() -> int:
    """The version that lines are written in."""
    return 1 + len(LIFTS)


class Place(NamedTuple):
    """Where an event stands: how many there are up to and with it, and the byte at which its line ends."""

    number: int
    end: int


class Events(Sequence[Event]):
    """The events of a log in order. A short log is held in memory, a long one is read again when it is gone through.

    So a run of a million events takes no more memory than one of a few thousand.
    """

    def __init__(self, path: Path) -> None:
        """Read the file once: a torn last line is passed over, other damage raises LogCorrupt."""
        self._path = path
        self._held: list[Event] | None = []
        self._steps: list[tuple[Place, Started | Finished]] = []
        self._count = self.size = 0
        self.seal = ""
        for event, end in _scan(path, 0, None):
            self.add(event, end)

    size: int
    """Bytes of the file's sound part."""
    seal: str
    """The last seal on a line of money."""

    def add(self, event: Event, end: int) -> None:
        """One more event, whose line ends at byte ``end``."""
        self._count, self.size = self._count + 1, end
        if isinstance(event, Spent):
            self.seal = event.chain
        elif isinstance(event, Started | Finished):
            self._steps.append((Place(self._count, end), event))
        if self._held is not None:
            self._held.append(event)
            if self._count > HELD:
                self._held = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Event]:
        return iter(self._held) if self._held is not None else self._from(0)

    def __reversed__(self) -> Iterator[Event]:
        return reversed(self._held if self._held is not None else list(self))

    @overload
    def __getitem__(self, place: int) -> Event: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Event]: ...

    def __getitem__(self, place: int | slice) -> Event | Sequence[Event]:
        return (self._held if self._held is not None else list(self))[place]

    def __eq__(self, other: object) -> bool:
        """Equal to any sequence of the same events."""
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._held) if self._held is not None else f"<{self._count} events of {self._path}>"

    def steps(self, verb: str) -> Iterator[tuple[Place, Started | Finished]]:
        """The beginnings and ends of a verb, the last one first, each with its place."""
        return ((place, event) for place, event in reversed(self._steps) if event.verb == verb)

    def since(self, place: Place) -> Iterable[Event]:
        """The events after a place; to be gone through once."""
        return self._held[place.number :] if self._held is not None else self._from(place.end)

    def _from(self, start: int) -> Iterator[Event]:
        return (event for event, _ in _scan(self._path, start, self.size))


def replay(path: Path) -> Events:
    """The events of a log, in order. A torn last line is passed over; other damage raises LogCorrupt."""
    return Events(path)


class Log:
    """A log open for writing. ``events`` are what the file holds, in order: those found in it, then those appended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("ab", buffering=0)
            try:
                self.events = Events(path)
                # A torn tail must go first: a line appended to it would be lost with it.
                self._file.truncate(self.events.size)
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise unwritable(path.parent, error) from error

    def append(self, event: Event) -> None:
        """Write one line through to the operating system: from here on it survives the end of this process."""
        if isinstance(event, Spent) and event.chain:  # out of another log
            event = replace(event, chain="")
        line = encode(event, datetime.now(UTC))
        if isinstance(event, Spent):
            line, made = seal(line, self.events.seal)
            event = replace(event, chain=made)
        if self._file.closed:
            raise unwritable(self.path.parent, OSError(errno.EIO, "an earlier write failed and closed the log"))
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError as error:
            self._cut_half_line()
            raise unwritable(self.path.parent, error) from error
        self.events.add(event, self.events.size + len(line))

    def sync(self) -> None:
        """Wait until the disk has all lines: from here on they survive a power cut."""
        if self._file.closed:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise unwritable(self.path.parent, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _cut_half_line(self) -> None:
        """Take back what was written of a line that did not fit."""
        try:
            self._file.truncate(self.events.size)
        except OSError:
            # Nothing may follow half a line. The next opening heals it.
            with suppress(OSError):
                self._file.close()


def _scan(path: Path, start: int, size: int | None) -> Iterator[tuple[Event, int]]:
    """The events of the lines from byte ``start`` up to ``size``, each with the byte at which its line ends."""
    end, number = start, 0
    with path.open("rb") as lines:
        lines.seek(start)
        for line in lines:
            if size is not None and end >= size:
                return
            number += 1
            event = _quickly(line)
            if event is None:
                place = number + _lines_before(path, start)
                parsed = _parsed(line)
                if parsed is None:
                    if size is not None or lines.read(1):  # what was sound once is not torn
                        raise _corrupt(path, place, "is not a line of JSON")
                    return
                event = _decoded(parsed, path, place)
            end += len(line)
            yield event, end


def _quickly(line: bytes) -> Event | None:
    """The event of a line as this version writes it, read in one step; None for any other line."""
    head = _HEAD.match(line)
    if head is None or not line.endswith(b"\n") or int(head[2]) != version():
        return None
    kind = KINDS.get(head[1].decode())
    if kind is None:
        return None
    try:
        events = codec(kind).validate_json(b"[{" + line[head.end() : -1] + b"]")
    except ValidationError:
        return None
    return events[0] if len(events) == 1 else None


def _lines_before(path: Path, end: int) -> int:
    """How many lines end before byte ``end``: for errors that name a line."""
    lines, left = 0, end
    with path.open("rb") as file:
        while left and (block := file.read(min(left, 1 << 20))):
            lines, left = lines + block.count(b"\n"), left - len(block)
    return lines


def _parsed(line: bytes) -> dict[str, Any] | None:
    """What a line says; None for one that was never finished."""
    if not line.endswith(b"\n"):
        return None
    try:
        parsed = from_json(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _decoded(line: dict[str, Any], path: Path, number: int) -> Event:
    """The event of a parsed line."""
    v = line.get("v")
    if not isinstance(v, int) or v < 1:
        raise _corrupt(path, number, f"has no version: {v!r}")
    if v > version():
        raise RunFromNewerVersion(
            f"{path}:{number}: written in log version {v}; this proofset knows versions up to {version()}",
            hint="pip install --upgrade proofset",
        )
    for lift in LIFTS[v - 1 :]:
        line = lift(line)
    kind: type[Event] | None = KINDS.get(str(line.get("kind")))
    if kind is None:
        raise _corrupt(path, number, f"is of an unknown kind: {line.get('kind')!r}")
    fields = {name: value for name, value in line.items() if name not in _ENVELOPE}
    try:
        return codec(kind).validate_python([fields])[0]
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"][1:])
        raise _corrupt(path, number, f"is not a {kind.__name__}: {where}: {fault['msg']}") from error


def _corrupt(path: Path, number: int, what: str) -> LogCorrupt:
    """A damaged line, its place, and the two ways on."""
    return LogCorrupt(
        f"{path}:{number}: {what}",
        hint=f"put back a copy of the file, or keep its first {number - 1} lines and run again: what they do not hold "
        "is redone. If a newer proofset wrote it, upgrade instead.",
    )

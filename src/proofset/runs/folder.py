"""A run is one folder: one writer, one log, and files that are written once, by rename.

Clocks, process ids and platform names enter a run here and nowhere else.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import BaseFileLock, FileLock, Timeout
from pydantic import BaseModel
from pydantic_core import to_json, to_jsonable_python

from proofset.errors import RunError, RunLocked, RunMismatch
from proofset.nouns.event import Event, Finished, Opened, Started
from proofset.nouns.record import content_id
from proofset.runs.log import Events, Log, replay, unwritable

LOG, SETTINGS, STUDY = "events.jsonl", "run.json", "study.toml"
LOCK, HOLDER = "run.lock", "run.lock.json"


def stage_key(section: BaseModel | Mapping[str, object], *inputs: str) -> str:
    """16 hex digits of a verb's settings and of the ids of what it works on: equal key, nothing to redo."""
    canonical = json.dumps(to_jsonable_python(section), sort_keys=True, separators=(",", ":"))
    return content_id("stage", canonical, *inputs)


class Run:
    """A run folder. ``Run.open`` to write (a context manager), ``Run.read`` to look on."""

    def __init__(
        self, folder: Path, events: Events, *, log: Log | None = None, lock: BaseFileLock | None = None
    ) -> None:
        self.folder = folder
        """Where everything of this run lies."""
        self.events = events
        """Every event, in order: those found in the log, then those appended."""
        self._log, self._lock = log, lock

    @classmethod
    def open(cls, folder: Path, settings: dict[str, object], study_text: str) -> Self:
        """Open for writing, alone; make the folder if there is none, and heal the log of an interrupted one.

        ``settings`` are the study's as resolved, ``study_text`` is its TOML. In a folder that holds other settings they
        are replaced, and stage keys decide what is redone; a study of another name raises RunMismatch.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        lock = _locked(folder)
        log = None
        try:
            _check_name(folder, settings)
            log = Log(folder / LOG)
            run = cls(folder, log.events, log=log, lock=lock)
            run._sweep()
            run._describe(settings, study_text)
        except BaseException:
            if log is not None:
                log.close()
            _unlock(folder, lock)
            raise
        return run

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Open for looking on: no lock, nothing is changed; a writer may be at work meanwhile."""
        try:
            return cls(folder, replay(folder / LOG))
        except OSError as error:
            raise RunError(
                f"{folder}: no run to read here: {error.strerror or error}",
                hint="give the folder that `proofset run` made; it holds events.jsonl",
            ) from error

    @property
    def settings(self) -> dict[str, object]:
        """The settings that the run was last opened with."""
        settings: dict[str, object] = _described(self.folder).get("settings", {})
        return settings

    def append(self, event: Event) -> None:
        """Log one event."""
        self._writing().append(event)

    def begin(self, verb: str, key: str) -> None:
        """Start ``verb`` afresh, or go on with it when it was begun with the same key."""
        if self.last_key(verb) != key:
            self.append(Started(verb=verb, key=key))

    def finish(self, verb: str, key: str, seconds: float, core_seconds: float, outputs: tuple[str, ...] = ()) -> None:
        """Log that ``verb`` is done, with its files (relative paths), and wait for the disk."""
        self.append(Finished(verb=verb, key=key, seconds=seconds, core_seconds=core_seconds, outputs=tuple(outputs)))
        self._writing().sync()

    def is_finished(self, verb: str, key: str) -> bool:
        """Whether ``verb`` ended with this key, was not begun again since, and all its files are still there."""
        for _, event in self.events.steps(verb):
            return (
                isinstance(event, Finished)
                and event.key == key
                and all(self.path(output).exists() for output in event.outputs)
            )
        return False

    def last_key(self, verb: str) -> str | None:
        """The key ``verb`` was last begun with; None if it never was."""
        return next((event.key for _, event in self.events.steps(verb) if isinstance(event, Started)), None)

    def since(self, verb: str) -> Iterable[Event]:
        """The events after ``verb`` was last begun, of other verbs too; to be gone through once."""
        begun = next((place for place, event in self.events.steps(verb) if isinstance(event, Started)), None)
        return [] if begun is None else self.events.since(begun)

    def path(self, relative: str) -> Path:
        """The place of a file of this run. Raises RunError for a place outside its folder."""
        if Path(relative).is_absolute() or ".." in Path(relative).parts:
            raise RunError(f"{relative!r} is not inside {self.folder}", hint="give a path relative to the run's folder")
        return self.folder / relative

    def write_once(self, relative: str, write: Callable[[Path], None]) -> Path:
        """Have ``write`` fill a new file, then put it in its place by rename: there is all of it, or nothing new.

        ``write`` gets a path beside the final one, with the same ending. A file of an earlier key is replaced.
        """
        self._writing()
        target = self.path(relative)
        draft = target.with_name(f".{target.stem}.{secrets.token_hex(4)}.draft{target.suffix}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write(draft)
            _sync(draft)
            draft.replace(target)
            _sync(target.parent)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
        return target

    def close(self) -> None:
        """Let go of the folder; safe to call twice."""
        log, lock, self._log, self._lock = self._log, self._lock, None, None
        if log is None or lock is None:
            return
        try:
            log.sync()
        finally:
            log.close()
            _unlock(self.folder, lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _writing(self) -> Log:
        """The log, if this run is open for writing."""
        if self._log is None:
            raise RunError(f"{self.folder}: not open for writing", hint="use `with Run.open(...) as run:`")
        return self._log

    def _sweep(self) -> None:
        """Remove drafts that a killed process left: as the only writer we know that nobody fills them."""
        for draft in self.folder.rglob(".*.draft*"):
            with suppress(OSError):
                draft.unlink()

    def _describe(self, settings: dict[str, object], study_text: str) -> None:
        """Say what this run is and who opened it."""
        opened = Opened(
            proofset_version=version("proofset"), python_version=platform.python_version(), platform=platform.platform()
        )
        description = {
            "proofset": opened.proofset_version,
            "python": opened.python_version,
            "platform": opened.platform,
            "settings": settings,
        }
        contents = {STUDY: study_text.encode(), SETTINGS: to_json(description, indent=2) + b"\n"}
        for name, content in contents.items():
            path = self.folder / name
            if not path.exists() or path.read_bytes() != content:
                self.write_once(name, partial(_fill, content))
        self.append(opened)


def _fill(content: bytes, path: Path) -> None:
    """Write all of a small file."""
    path.write_bytes(content)


def _sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    if path.is_dir() and os.name == "nt":  # Windows can neither open nor sync a folder
        return
    fd = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _described(folder: Path) -> dict[str, Any]:
    """What run.json says; nothing if there is none yet."""
    path = folder / SETTINGS
    try:
        description = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}", hint="delete this file; it is written anew") from error
    if not isinstance(description, dict) or not isinstance(description.get("settings"), dict):
        raise RunError(f"{path}: does not describe a run", hint="delete this file; it is written anew")
    return description


def _check_name(folder: Path, settings: dict[str, object]) -> None:
    """Refuse a folder that holds a run of another study."""
    there = _described(folder).get("settings", settings).get("name")
    if there != settings.get("name"):
        raise RunMismatch(
            f"{folder}: holds a run of the study {there!r}, not of {settings.get('name')!r}",
            hint="give another folder, or the study this one belongs to",
        )


def _locked(folder: Path) -> BaseFileLock:
    """The folder's lock, ours from here on; beside it lies a note that says so."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunLocked(
            f"{folder}: {_holder(folder)} is writing to this run",
            hint="wait until it ends, or look on with `proofset show` meanwhile",
        ) from error
    except (OSError, NotImplementedError) as error:
        raise unwritable(folder, error if isinstance(error, OSError) else OSError(str(error))) from error
    note = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        (folder / HOLDER).write_text(json.dumps(note) + "\n", encoding="utf-8")
    except OSError as error:
        _unlock(folder, lock)
        raise unwritable(folder, error) from error
    return lock


def _unlock(folder: Path, lock: BaseFileLock) -> None:
    """Give the folder back; the note goes first, while it is still ours to remove."""
    with suppress(OSError):
        (folder / HOLDER).unlink(missing_ok=True)
    lock.release()


def _holder(folder: Path) -> str:
    """Who has the lock, as far as the note beside it says."""
    try:
        note = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f"process {note['pid']} on {note['host']}, since {note['since']},"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"

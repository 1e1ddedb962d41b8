"""The shared store of paid model replies: nothing that was answered once on this machine is paid for again.

One SQLite file in WAL mode, used by every run and any number of processes. A reply is found by the hash of everything
that decided it; what is kept is the server's raw answer, so a better reading of it costs nothing. Each row carries a
digest: a damaged page is named, never replayed. Replies are committed by a thread of their own, in batches, at the
latest 50 ms after they arrived; a killed process loses no more than that.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import chain
from pathlib import Path
from typing import Self

from proofset.artifacts import cache_folder
from proofset.errors import RunUnwritable, StoreDamaged
from proofset.runs.backlog import Backlog

FILE = "responses.sqlite"
COMMIT_S = 0.05
"""The longest that a reply waits for its commit."""
COMMIT_REPLIES = 256
"""Replies from which a batch is committed at once."""
ROWS = 64
"""Replies in one statement: each statement lets other threads have the interpreter, and has to get it back."""
VERSION = 1
BUSY_S = 30.0
"""How long a commit waits for another process that is writing."""
HELD_BACK = 4096
"""Replies that may wait for the disk before the store makes the callers wait."""
ELSEWHERE = "set PROOFSET_RESPONSES to a folder that can be written"

_DAMAGE = ("malformed", "decode", "no such table", "no such column")
"""What SQLite says of a damaged file though it calls it an error of operation."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, speaker TEXT NOT NULL, at REAL NOT NULL, usd TEXT,
    body BLOB NOT NULL, digest BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS hits (speaker TEXT PRIMARY KEY, n INTEGER NOT NULL, usd TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT NOT NULL, holder TEXT NOT NULL, spent TEXT NOT NULL, lent TEXT NOT NULL, seen REAL NOT NULL,
    PRIMARY KEY (name, holder)
) WITHOUT ROWID;
"""
_INSERT = "INSERT OR IGNORE INTO responses (key, speaker, at, usd, body, digest) VALUES "


def home() -> Path:
    """Where the store lies: ``$PROOFSET_RESPONSES``, else beside what ``fetch`` brings."""
    if chosen := os.environ.get("PROOFSET_RESPONSES"):
        return Path(chosen).expanduser()
    return cache_folder()


@dataclass(frozen=True, slots=True)
class Stored:
    """A reply as it was kept: the raw answer, and what it cost when it was paid for (None: not known)."""

    body: bytes
    usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What the store holds of one model."""

    speaker: str
    replies: int
    megabytes: float
    paid_usd: Decimal
    """What the replies cost when they were made, as far as it is known."""
    hits: int
    """How often one of them was used again."""
    saved_usd: Decimal
    """What that would have cost."""

    def as_json(self) -> dict[str, str | int | float]:
        """As plain values; money as exact decimal strings."""
        return {
            "model": self.speaker, "replies": self.replies, "megabytes": round(self.megabytes, 3),
            "paid_usd": format(self.paid_usd, "f"), "hits": self.hits, "saved_usd": format(self.saved_usd, "f"),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Put:
    key: bytes
    speaker: str
    body: bytes
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class _Hit:
    speaker: str
    usd: Decimal


class Responses:
    """The store in ``folder``. Raises RunUnwritable or StoreDamaged. Close it, or use it in a ``with``."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Open it, and make it where there is none."""
        self.path = folder / FILE
        self._clock = clock
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunUnwritable(f"{folder}: cannot be written: {error}", hint=ELSEWHERE) from error
        self._reader, self._pen = self.connect(), self.connect()
        self._pending: dict[bytes, Stored] = {}
        self._backlog: Backlog[_Put | _Hit] = Backlog(
            self._commit, str(self.path), wait_s=COMMIT_S, full=COMMIT_REPLIES, most=HELD_BACK
        )

    def connect(self) -> sqlite3.Connection:
        """A connection to the file, for whoever keeps something beside the replies."""
        with self.explained():
            connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                _write_ahead(connection)
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > VERSION:
            raise StoreDamaged(f"{self.path}: made by a newer proofset", hint="pip install --upgrade proofset")
        if found == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    def get(self, key: bytes) -> Stored | None:
        """The reply kept under ``key``; None when there is none. Raises StoreDamaged for one that has changed."""
        if (pending := self._pending.get(key)) is not None:
            return pending
        with self.explained():
            row = self._reader.execute("SELECT body, usd, digest FROM responses WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        body, usd, kept = row
        if digest(key, body) != kept:
            raise self._damaged(f"the reply {key.hex()} is not what was put in")
        try:
            return Stored(body, None if usd is None else Decimal(usd))
        except InvalidOperation as error:
            raise self._damaged(f"the price of the reply {key.hex()} is no number") from error

    def put(self, key: bytes, speaker: str, body: bytes, usd: Decimal | None) -> None:
        """Keep a reply; it is found at once and on the disk within 50 ms. Raises what an earlier commit failed of."""
        self._backlog.check()
        self._pending.setdefault(key, Stored(body, usd))  # the first reply stays, as on the disk
        self._backlog.put(_Put(key, speaker, body, usd))

    def used(self, speaker: str, usd: Decimal) -> None:
        """Count a reply that was used again, and what it saved."""
        self._backlog.put(_Hit(speaker, usd))

    def forget(self, key: bytes) -> None:
        """Throw away the reply kept under ``key``."""
        self.flush()
        with self.explained():
            self._reader.execute("DELETE FROM responses WHERE key = ?", (key,))

    def flush(self) -> None:
        """Wait until everything is on the disk."""
        self._backlog.flush()

    def close(self) -> None:
        """Commit what waits, and let go of the file; safe to call twice."""
        try:
            self._backlog.close()
        finally:
            for connection in (self._reader, self._pen):
                with suppress(sqlite3.Error):
                    connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fact(self, name: str) -> str | None:
        """Something learned about an endpoint; None when it was not."""
        with self.explained():
            row = self._reader.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def learn(self, name: str, value: str) -> None:
        """Remember something about an endpoint, for every run to come."""
        with self.explained():
            self._reader.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def shelves(self) -> list[Shelf]:
        """What there is, model by model, the largest first."""
        query = """
            SELECT speaker, count(*), sum(length(body)), group_concat(usd, ' ') FROM responses GROUP BY speaker
            ORDER BY sum(length(body)) DESC
        """
        with self.explained():
            hits = {row[0]: row[1:] for row in self._reader.execute("SELECT speaker, n, usd FROM hits")}
            rows = self._reader.execute(query).fetchall()
        return [
            Shelf(
                speaker=speaker,
                replies=n,
                megabytes=size / 1e6,
                paid_usd=sum(map(Decimal, (paid or "").split()), Decimal(0)),
                hits=hits.get(speaker, (0, "0"))[0],
                saved_usd=Decimal(hits.get(speaker, (0, "0"))[1]),
            )
            for speaker, n, size, paid in rows
        ]

    def prune(self, *, older_than_days: float | None = None, speaker: str = "") -> int:
        """Throw away replies older than so many days, or of one model; returns how many. The file then shrinks."""
        limit = float("inf") if older_than_days is None else self._clock() - 86400 * older_than_days
        with self.explained():
            gone = self._reader.execute(
                "DELETE FROM responses WHERE at <= ? AND (? = '' OR speaker = ?)", (limit, speaker, speaker)
            ).rowcount
            self._reader.execute("VACUUM")
        return gone

    @contextmanager
    def explained(self) -> Iterator[None]:
        """What SQLite could not do, in words, and what to do about it."""
        try:
            yield
        except sqlite3.ProgrammingError:  # ours: nothing is wrong with the file
            raise
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: sqlite3.Error) -> Exception:
        told = str(error)
        if isinstance(error, sqlite3.OperationalError) and not any(word in told for word in _DAMAGE):
            hint = f"make room there, or {ELSEWHERE}; what was kept is safe"
            if "locked" in told:
                hint = "another process is writing to it: run again when it is done; what was kept is safe"
            return RunUnwritable(f"{self.path}: cannot be written: {told}", hint=hint)
        return self._damaged(told)

    def _damaged(self, told: str) -> StoreDamaged:
        return StoreDamaged(f"{self.path}: {told}", hint="proofset responses --repair keeps every reply that is sound")

    def _commit(self, items: Sequence[_Put | _Hit]) -> None:
        """One transaction with all of them, in the thread of the backlog."""
        puts = [item for item in items if isinstance(item, _Put)]
        try:
            with self.explained():
                _commit(self._pen, puts, [item for item in items if isinstance(item, _Hit)], self._clock())
        finally:
            for put in puts:
                self._pending.pop(put.key, None)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite does not wait for another process that does the same just now, so this does."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _commit(connection: sqlite3.Connection, puts: list[_Put], hits: list[_Hit], now: float) -> None:
    """Everything in one transaction. The first reply to a request stays: what was used is what is replayed."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        rows = [
            (p.key, p.speaker, now, None if p.usd is None else str(p.usd), p.body, digest(p.key, p.body)) for p in puts
        ]
        for at in range(0, len(rows), ROWS):
            some = rows[at : at + ROWS]
            connection.execute(_INSERT + ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(some)), list(chain(*some)))
        for speaker, times in Counter(hit.speaker for hit in hits).items():
            row = connection.execute("SELECT n, usd FROM hits WHERE speaker = ?", (speaker,)).fetchone()
            n, usd = (row[0], Decimal(row[1])) if row else (0, Decimal(0))
            usd += sum((hit.usd for hit in hits if hit.speaker == speaker), Decimal(0))
            connection.execute("INSERT OR REPLACE INTO hits VALUES (?, ?, ?)", (speaker, n + times, str(usd)))
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def digest(key: bytes, body: bytes) -> bytes:
    """What tells that a reply is still the one that was put in under its key."""
    return hashlib.blake2b(body, digest_size=8, key=key[:64]).digest()

"""A damaged store of replies: every reply that is sound goes into a new one, and the old one is put aside."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from decimal import Decimal, InvalidOperation
from itertools import count
from pathlib import Path
from typing import Any

from proofset.errors import RunUnwritable
from proofset.runs.responses import FILE, Responses, digest

FURTHEST = 2**40
"""Rows behind which the reading does not start anew: each start behind a damaged page is twice as far on."""
NEAREST = 2**16
"""Rows at most that are then asked for one by one, to keep those that were leapt over and are sound."""

_ROWS = "SELECT id, key, speaker, at, usd, body, digest FROM responses"


def repair(folder: Path) -> tuple[int, int]:
    """Make a new store of the sound replies in ``folder``, and put the old one aside; how many were kept and lost.

    Lost are those that can be read and are not what was put in; what cannot be read at all cannot be counted. The old
    file stays beside the new one, with ``.damaged`` in its name. It is moved when the new one is whole: a repair that
    is killed can be repeated.
    """
    _require_alone(folder / FILE)
    kept = lost = 0
    new = folder / f"{FILE}.new"
    shutil.rmtree(new, ignore_errors=True)
    with Responses(new) as fresh, closing(fresh.connect()) as into, fresh.explained():
        into.execute("BEGIN IMMEDIATE")
        for _, key, speaker, at, usd, body, mark in _readable(folder / FILE):
            if isinstance(key, bytes) and isinstance(body, bytes) and digest(key, body) == mark:
                price = str(usd) if _is_money(usd) else None
                row = (key, str(speaker), at if isinstance(at, float) else 0.0, price, body, mark)
                into.execute(
                    "INSERT OR IGNORE INTO responses (key, speaker, at, usd, body, digest) VALUES (?, ?, ?, ?, ?, ?)",
                    row,
                )
                kept += 1
            else:
                lost += 1
        _carry(folder / FILE, into)
        into.execute("COMMIT")
    _put_aside(folder)
    (new / FILE).replace(folder / FILE)
    shutil.rmtree(new, ignore_errors=True)
    return kept, lost


def _require_alone(path: Path) -> None:
    """Raise RunUnwritable while another process has the store open: what it pays for meanwhile would be lost."""
    if not path.exists():
        return
    with closing(sqlite3.connect(path, timeout=0.0)) as store:
        try:
            store.execute("PRAGMA journal_mode = DELETE")  # SQLite does that for the only user of a file
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise RunUnwritable(
                    f"{path}: another process has it open", hint="let it end, or end it, and repair again"
                ) from error
        except sqlite3.DatabaseError:
            pass  # too damaged to be asked, and so to be used


def _put_aside(folder: Path) -> None:
    """Rename the old file and its log, over nothing that lies there."""
    names = (f"{FILE}.damaged{'' if n == 1 else f'.{n}'}" for n in count(1))
    aside = next(name for name in names if not any((folder / (name + end)).exists() for end in ("", "-wal", "-shm")))
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            (folder / (FILE + ending)).replace(folder / (aside + ending))


def _readable(path: Path) -> Iterator[tuple[Any, ...]]:
    """Rows that can be read: forward as far as it goes, on behind the damage, and then what was leapt over."""
    if not path.exists():
        return
    with closing(sqlite3.connect(path)) as old:
        seen = leap = 0
        while leap < FURTHEST:
            try:
                for row in old.execute(f"{_ROWS} WHERE id > ? ORDER BY id", (seen + leap,)):
                    if leap:
                        yield from _one_by_one(old, seen + 1, leap)
                    seen, leap = row[0], 0
                    yield row
                break
            except sqlite3.DatabaseError:
                leap = max(1, 2 * leap)
        yield from _one_by_one(old, seen + 1, leap)


def _one_by_one(old: sqlite3.Connection, first: int, n: int) -> Iterator[tuple[Any, ...]]:
    for place in range(first, first + min(n, NEAREST)):
        with suppress(sqlite3.DatabaseError):
            yield from old.execute(f"{_ROWS} WHERE id = ?", (place,)).fetchall()


def _carry(path: Path, into: sqlite3.Connection) -> None:
    """What is kept beside the replies: what was saved, what was learned, and who has spent what of a shared budget."""
    if not path.exists():
        return
    with closing(sqlite3.connect(path)) as old:
        for table, money in (("hits", (2,)), ("facts", ()), ("accounts", (2, 3))):
            with suppress(sqlite3.DatabaseError):
                for row in old.execute(f"SELECT * FROM {table}"):  # noqa: S608 (one of three names)
                    if all(_is_money(row[place]) for place in money):
                        marks = ", ".join("?" * len(row))
                        into.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608 (as above)


def _is_money(text: object) -> bool:
    try:
        return Decimal(str(text)).is_finite()
    except InvalidOperation:
        return False

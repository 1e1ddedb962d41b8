"""What waits for the disk: gathered for a moment, and written in batches by a thread of its own.

Whoever puts something in goes on at once, unless so much waits that memory would fill. The thread is woken twice a
batch, by its first and its last, however many there are: waking it for each costs more than the writing does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from proofset.errors import RunUnwritable

T = TypeVar("T")


class Backlog(Generic[T]):
    """Hands what is put in to ``write``, in order, none waiting longer than ``wait_s`` seconds for it."""

    def __init__(self, write: Callable[[Sequence[T]], None], name: str, *, wait_s: float, full: int, most: int) -> None:
        """A batch of ``full`` is written at once; with ``most`` waiting, ``put`` waits too."""
        self._write, self._name = write, name
        self._wait_s, self._full, self._most = wait_s, full, most
        self._waiting: list[T] = []
        self._since = 0.0
        self._came = self._gone = 0
        self._hurried = self._closed = False
        self._failure: Exception | None = None
        self._turn = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """One more. Raises what an earlier batch failed of, and RunUnwritable when closed."""
        with self._turn:
            while len(self._waiting) >= self._most and self._failure is None and not self._closed:
                self._turn.wait()
            self.check()
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(item)
            self._came += 1
            if len(self._waiting) in (1, self._full):
                self._turn.notify_all()

    def flush(self) -> None:
        """Wait until all that came is written. Raises what that failed of."""
        with self._turn:
            self.check()
            self._hurried, last = True, self._came
            self._turn.notify_all()
            while self._gone < last and self._failure is None:
                self._turn.wait()
            self.check()

    def check(self) -> None:
        """Raise what a batch failed of, or RunUnwritable when nothing more is taken."""
        if self._failure is not None:
            raise self._failure
        if self._closed:  # what is put behind the last batch would be lost without a word
            raise RunUnwritable(f"{self._name}: is closed", hint="open it anew")

    def close(self) -> None:
        """Write what waits, and end the thread. Raises what that failed of; safe to call twice."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while batch := self._batch():
            failure = None
            try:
                self._write(batch)
            except Exception as error:  # noqa: BLE001 (told to whoever puts next, whatever it is)
                failure = error
            with self._turn:
                self._gone, self._failure = self._gone + len(batch), failure
                self._turn.notify_all()
            if failure is not None:
                return

    def _batch(self) -> list[T]:
        """The next batch, when it is due; empty when there will be none."""
        with self._turn:
            while not self._waiting and not self._closed:
                self._hurried = False
                self._turn.wait()
            while len(self._waiting) < self._full and not self._hurried and not self._closed:
                if (left_s := self._since + self._wait_s - time.monotonic()) <= 0:
                    break
                self._turn.wait(left_s)
            batch, self._waiting = self._waiting[: self._full], self._waiting[self._full :]
            self._turn.notify_all()
            return batch

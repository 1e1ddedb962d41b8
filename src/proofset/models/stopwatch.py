"""Who used the processor: its seconds, shared out among threads that call into a library with threads of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Lap:
    """Processor seconds of one stretch of work; final when it is over."""

    seconds = 0.0


class Stopwatch:
    """Splits this process's processor seconds evenly among the laps under way; what passes without any is nobody's.

    It lies where something else in the process computes meanwhile: that is counted too.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock, self._last = clock, 0.0
        self._lock = threading.Lock()
        self._laps: list[Lap] = []

    @contextmanager
    def lap(self) -> Iterator[Lap]:
        """Counts what is done inside."""
        mine = Lap()
        with self._lock:
            self._tick()
            self._laps.append(mine)
        try:
            yield mine
        finally:
            with self._lock:
                self._tick()
                self._laps.remove(mine)

    def _tick(self) -> None:
        now = self._clock()
        for lap in self._laps:
            lap.seconds += (now - self._last) / len(self._laps)
        self._last = now

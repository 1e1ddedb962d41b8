"""What is put in is written once, in order, in time; and whoever waits for a writer that failed is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from proofset.errors import RunUnwritable
from proofset.runs.backlog import Backlog


class Pen:
    """Keeps the batches; may be held, or fail."""

    def __init__(self, fails_at: int = 0) -> None:
        self.batches: list[list[int]] = []
        self.free = threading.Event()
        self.free.set()
        self._fails_at = fails_at

    def __call__(self, batch: Sequence[int]) -> None:
        self.free.wait(10)
        if self._fails_at == len(self.batches) + 1:
            raise OSError("no room")
        self.batches.append(list(batch))

    @property
    def written(self) -> list[int]:
        return [item for batch in self.batches for item in batch]


def backlog(pen: Pen, *, wait_s: float = 0.01, full: int = 5, most: int = 100) -> Backlog[int]:
    return Backlog(pen, "the shelf", wait_s=wait_s, full=full, most=most)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def test_all_is_written_in_order_by_as_many_as_put_at_once() -> None:
    pen = Pen()
    queue = backlog(pen)

    def put(start: int) -> None:
        for item in range(start, start + 500):
            queue.put(item)

    threads = [threading.Thread(target=put, args=(start,)) for start in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.close()
    for start in (0, 1000, 2000):
        assert [item for item in pen.written if start <= item < start + 1000] == list(range(start, start + 500))
    assert max(map(len, pen.batches)) <= 5


def test_nothing_waits_longer_than_it_may_and_a_full_batch_waits_for_nothing() -> None:
    pen = Pen()
    queue = backlog(pen)
    queue.put(1)
    until(lambda: pen.written == [1])
    slow = backlog(pen, wait_s=60.0)
    for item in range(5):
        slow.put(item)
    until(lambda: pen.written == [1, 0, 1, 2, 3, 4])
    queue.close()
    slow.close()


def test_flushing_waits_for_all_that_came_and_for_nothing_else() -> None:
    pen = Pen()
    queue = backlog(pen, wait_s=60.0)
    queue.flush()  # nothing came
    for item in range(12):
        queue.put(item)
    queue.flush()
    assert pen.written == list(range(12))
    queue.put(12)
    time.sleep(0.05)
    assert pen.written == list(range(12)), "a flush that is over hurries nobody"
    queue.close()
    assert pen.written == list(range(13))


def test_with_too_much_waiting_whoever_puts_waits_too() -> None:
    pen = Pen()
    queue = backlog(pen, most=7)
    pen.free.clear()
    put: list[int] = []

    def fill() -> None:
        for item in range(40):
            queue.put(item)
            put.append(item)

    thread = threading.Thread(target=fill)
    thread.start()
    until(lambda: len(put) >= 7)
    time.sleep(0.05)
    assert len(put) <= 7 + 5  # those that wait, and a batch that is being written
    pen.free.set()
    thread.join(10)
    queue.close()
    assert pen.written == list(range(40))


def test_a_failure_is_told_to_whoever_comes_next_and_to_whoever_waits() -> None:
    pen = Pen(fails_at=2)
    queue = backlog(pen, wait_s=60.0, most=5)
    for item in range(5):
        queue.put(item)
    until(lambda: len(pen.batches) == 1)
    pen.free.clear()
    told: list[str] = []

    def fill() -> None:
        try:
            for item in range(5, 30):
                queue.put(item)
        except OSError as error:
            told.append(str(error))

    thread = threading.Thread(target=fill)
    thread.start()
    time.sleep(0.05)
    pen.free.set()
    thread.join(10)
    assert told == ["no room"] and pen.written == list(range(5))
    for raises in (queue.flush, queue.check, queue.close, lambda: queue.put(1)):
        with pytest.raises(OSError, match="no room"):
            raises()


def test_behind_the_end_nothing_is_taken() -> None:
    queue = backlog(Pen())
    queue.close()
    queue.close()
    for raises in (queue.flush, lambda: queue.put(1)):
        with pytest.raises(RunUnwritable, match="the shelf: is closed"):
            raises()

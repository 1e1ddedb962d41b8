"""Continuous batching: requests join and leave one running batch, token by token, and share what they begin with.

One thread, one lane. A beginning that requests share is evaluated once, alone, and its full blocks are lent to all of
them; its last, half-filled block is copied. So what a request finds in its cache depends on the request alone, and with
an engine whose rows do not disturb each other, so does its reply.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from proofset.errors import ModelUnavailable, ReplyUnreadable
from proofset.models.graphs import Row
from proofset.models.sampling import dice, draw
from proofset.models.stopwatch import Stopwatch
from proofset.models.vocabulary import Vocabulary, readable
from proofset.nouns.result import Usage
from proofset.plugins import Reply, Request


class Engine(Protocol):
    """What evaluates batches: a graph with a paged cache, or a stand-in."""

    block_tokens: int
    blocks: int

    def evaluate(self, rows: Sequence[Row], *, every: bool = False) -> NDArray[np.float32]:
        """Token scores after each row's last token, or after ``every`` one; ``(n, n_vocabulary)``."""
        ...

    def copy(self, source: int, target: int) -> None:
        """Let block ``target`` hold what ``source`` does."""
        ...


@dataclass(slots=True, eq=False)
class _Head:
    """A beginning in the cache, and how many sequences rest on it."""

    blocks: list[int]
    users: int = 0


@dataclass(slots=True, eq=False)
class _Sequence:
    """A request on its way to a reply."""

    request: Request
    prompt: list[int]
    head_tokens: tuple[int, ...]
    """The beginning that it shares with others."""
    limit: int
    future: Future[Reply]
    rng: np.random.Generator
    head: _Head | None = None
    blocks: list[int] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    past: int = 0
    said: bytearray = field(default_factory=bytearray)
    n_said: int = 0
    cached: int = 0
    core_seconds: float = 0.0
    finish: str = ""

    def hear(self, token: int, vocabulary: Vocabulary) -> None:
        """Take the next token, and see whether it is the last one."""
        self.past += len(self.pending)
        self.pending = [token]
        self.n_said += 1
        piece = vocabulary.pieces[token]
        self.said += piece
        if token in vocabulary.ends or self._stop(len(piece)):
            self.finish = "stop"
        elif self.n_said >= self.limit:
            self.finish = "length"

    def _stop(self, n_new: int) -> bool:
        """Whether a stop string is in what was said; it is cut off there."""
        stops = [stop.encode() for stop in self.request.stop if stop]
        found = [self.said.find(stop, max(0, len(self.said) - n_new - len(stop) + 1)) for stop in stops]
        if cuts := [at for at in found if at >= 0]:
            del self.said[min(cuts) :]
        return bool(cuts)


class Lane:
    """A thread with an engine, and the requests that it answers side by side."""

    def __init__(
        self, engine: Engine, vocabulary: Vocabulary, meter: Stopwatch, *, name: str, slots: int, context_tokens: int
    ) -> None:
        self._engine, self._vocabulary, self._meter, self._name = engine, vocabulary, meter, name
        self._slots, self._context = slots, context_tokens
        if engine.blocks < blocks_for(1, context_tokens, engine.block_tokens):
            raise ValueError(f"{engine.blocks} blocks cannot hold one request of {context_tokens:,} tokens")
        self._free = list(range(engine.blocks))[::-1]
        self._heads: dict[tuple[int, ...], _Head] = {}
        self._waiting: deque[_Sequence] = deque()
        self._active: list[_Sequence] = []
        self._closed = ""
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="lane", daemon=True)
        self._thread.start()

    @property
    def load(self) -> int:
        """Requests that wait or are under way."""
        return len(self._waiting) + len(self._active)

    def ask(self, request: Request) -> Future[Reply]:
        """Queue a request. Raises ReplyUnreadable for a prompt that does not fit, ModelUnavailable after the end."""
        prompt = self._vocabulary.encode(request.prompt) or [min(self._vocabulary.ends, default=0)]
        room = self._context - len(prompt)
        if room < 1:
            raise ReplyUnreadable(
                f"{self._name}: the prompt has {len(prompt):,} tokens, and the context holds {self._context:,}",
                hint="is the prompt longer than context_tokens?",
            )
        head = self._vocabulary.encode(request.prompt[: request.shared_chars]) if request.shared_chars else []
        made = _Sequence(
            request=request,
            prompt=prompt,
            head_tokens=tuple(prompt[: _common(head, prompt[:-1])]),  # something must be left to evaluate
            limit=min(request.max_tokens, room),
            future=Future(),
            rng=dice(request),
        )
        with self._news:
            if self._closed:
                raise ModelUnavailable(f"{self._name}: {self._closed}", hint="start it again")
            self._waiting.append(made)
            self._news.notify()
        return made.future

    def close(self) -> None:
        """End the thread; requests under way end with ModelUnavailable."""
        with self._news:
            self._closed = self._closed or "it was closed"
            self._news.notify()
        self._thread.join()

    def _work(self) -> None:
        reason = "its thread ended unexpectedly"
        try:
            while self._admit():
                self._advance()
            reason = "it was closed"
        except (RuntimeError, ValueError, MemoryError) as error:
            reason = f"it failed: {error}"
        finally:
            self._end(reason)

    def _end(self, reason: str) -> None:
        """Whatever happens to the thread, nobody is left waiting."""
        with self._news:
            self._closed = reason
            left = [*self._active, *self._waiting]
            self._active, self._waiting = [], deque()
        for sequence in left:
            if sequence.future.set_running_or_notify_cancel():
                error = ModelUnavailable(f"{self._name}: {reason}", hint="start it again")
                sequence.future.set_exception(error)

    def _admit(self) -> bool:
        """Let waiting requests in while there is room; waits when there is nothing to do. False: it is over."""
        while True:
            with self._news:
                while not (self._closed or self._waiting or self._active):
                    self._news.wait()
                if self._closed:
                    return False
                self._waiting = deque(one for one in self._waiting if not one.future.cancelled())
                if not self._waiting or len(self._active) >= self._slots or not self._make_room(self._waiting[0]):
                    return True
                sequence = self._waiting.popleft()
                self._active.append(sequence)  # already here, so that a failure finds it
            self._begin(sequence)

    def _make_room(self, sequence: _Sequence) -> bool:
        """Whether a sequence fits, once beginnings that nobody rests on are forgotten, the oldest first."""
        known = self._heads.get(sequence.head_tokens)
        for tokens, head in list(self._heads.items()):
            if self._needed(sequence, known) <= len(self._free):
                break
            if not head.users and head is not known:
                self._free += self._heads.pop(tokens).blocks
        return self._needed(sequence, known) <= len(self._free)

    def _needed(self, sequence: _Sequence, known: _Head | None) -> int:
        """Blocks that have to be free for a sequence: its own, and those of a head that has yet to be evaluated."""
        size = self._engine.block_tokens
        own = _blocks(len(sequence.prompt) + sequence.limit, size) - len(sequence.head_tokens) // size
        return own + (0 if known else _blocks(len(sequence.head_tokens), size))

    def _begin(self, sequence: _Sequence) -> None:
        """Give a sequence its blocks, the first of them from its head, which is evaluated unless it is known."""
        size, shared = self._engine.block_tokens, len(sequence.head_tokens)
        lent: list[int] = []
        if shared:
            sequence.head = head = self._head(sequence)
            head.users += 1
            lent = head.blocks[: shared // size]
        own = self._take(_blocks(len(sequence.prompt) + sequence.limit, size) - len(lent))
        if sequence.head and shared % size:
            self._engine.copy(sequence.head.blocks[len(lent)], own[0])
        sequence.blocks = [*lent, *own]
        sequence.past, sequence.pending = shared, sequence.prompt[shared:]

    def _head(self, sequence: _Sequence) -> _Head:
        """The sequence's head, evaluated alone if it is new; who asked first pays for it."""
        tokens = sequence.head_tokens
        if head := self._heads.pop(tokens, None):
            sequence.cached = len(tokens)
        else:
            head = _Head(self._take(_blocks(len(tokens), self._engine.block_tokens)))
            with self._meter.lap() as lap:
                self._engine.evaluate([Row(tokens, 0, head.blocks)])
            sequence.core_seconds += lap.seconds
        self._heads[tokens] = head  # the youngest now
        return head

    def _take(self, n: int) -> list[int]:
        return [self._free.pop() for _ in range(n)]

    def _advance(self) -> None:
        """One step of the batch: each sequence gets a token."""
        for sequence in [one for one in self._active if one.future.cancelled()]:
            self._leave(sequence)
        if not self._active:
            return
        size = self._engine.block_tokens
        rows = [
            Row(one.pending, one.past, one.blocks[: _blocks(one.past + len(one.pending), size)]) for one in self._active
        ]
        with self._meter.lap() as lap:
            scores = self._engine.evaluate(rows)
            for sequence, row in zip(self._active, scores, strict=True):
                sequence.hear(draw(row, sequence.request, sequence.rng), self._vocabulary)
        spent = lap.seconds / sum(len(row.tokens) for row in rows)
        for sequence, row in zip(list(self._active), rows, strict=True):
            sequence.core_seconds += spent * len(row.tokens)
            if sequence.finish:
                self._leave(sequence)

    def _leave(self, sequence: _Sequence) -> None:
        """Take a sequence out of the batch, free what was its own, and tell who waits for it."""
        n_lent = len(sequence.head_tokens) // self._engine.block_tokens
        self._free += sequence.blocks[n_lent:]
        if sequence.head:
            sequence.head.users -= 1
        self._active.remove(sequence)
        if sequence.finish and sequence.future.set_running_or_notify_cancel():
            sequence.future.set_result(self._reply(sequence))

    def _reply(self, sequence: _Sequence) -> Reply:
        return Reply(
            text=readable(bytes(sequence.said)),
            finish=sequence.finish,
            usage=Usage(
                model=self._name,
                stage="",
                input_tokens=len(sequence.prompt),
                cached_tokens=sequence.cached,
                output_tokens=sequence.n_said,
                core_seconds=sequence.core_seconds,
            ),
        )


def blocks_for(slots: int, context_tokens: int, block_tokens: int) -> int:
    """Blocks with which every slot can be full, and one more beginning be kept."""
    return (slots + 1) * (_blocks(context_tokens, block_tokens) + 1)


def _blocks(tokens: int, size: int) -> int:
    """Blocks that so many tokens fill or begin."""
    return -(-tokens // size)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Tokens at the beginning that both have."""
    for at, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return at
    return min(len(first), len(second))

"""Requests share a batch and a beginning, and nothing else: each reply is what it would be alone."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.errors import ModelUnavailable, ReplyUnreadable
from proofset.models.batches import Lane, blocks_for
from proofset.models.graphs import Row
from proofset.models.stopwatch import Stopwatch
from proofset.models.vocabulary import Vocabulary
from proofset.plugins import Reply, Request

SIZE, CONTEXT = 4, 64
LETTERS = "abcdefgh .\n"


class Letters:
    """A tokenizer of single letters; the token behind them ends a reply."""

    def encode(self, text: str, add_special_tokens: bool) -> Letters:
        self.ids = [LETTERS.index(letter) for letter in text]
        return self


VOCABULARY = Vocabulary(
    tokenizer=Letters(),  # type: ignore[arg-type]
    pieces=(*(letter.encode() for letter in LETTERS), b""),
    opens=(),
    ends=frozenset({len(LETTERS)}),
)


class Memory:
    """An engine whose next token depends on every token in its cache: whoever mixes up blocks says something else."""

    block_tokens = SIZE

    def __init__(self, blocks: int, *, end_share: float = 0.0) -> None:
        self.blocks = blocks
        self.cache = np.full((blocks, SIZE), -1)
        self.steps: list[list[Row]] = []
        self.end_share = end_share
        self.gate = threading.Event()
        self.gate.set()
        self.broken = ""

    def evaluate(self, rows: Sequence[Row], *, every: bool = False) -> NDArray[np.float32]:
        self.gate.wait(10)
        if self.broken:
            raise RuntimeError(self.broken)
        self.steps.append(list(rows))
        written = [row.blocks[at // SIZE] for row in rows for at in range(row.past, row.past + len(row.tokens))]
        lent = [block for row in rows for block in set(row.blocks[: row.past // SIZE])]
        assert not set(written) & set(lent), "a block that others read was written to"
        scores = np.zeros((len(rows), len(LETTERS) + 1), dtype=np.float32)
        for row, out in zip(rows, scores, strict=True):
            assert len(row.blocks) == -(-(row.past + len(row.tokens)) // SIZE)
            for at, token in enumerate(row.tokens, row.past):
                self.cache[row.blocks[at // SIZE], at % SIZE] = token
            known = self.cache[list(row.blocks)].ravel()[: row.past + len(row.tokens)]
            assert (known >= 0).all()
            rng = np.random.default_rng([7, *known.tolist()])
            out[:] = rng.normal(size=len(out))
            out[-1] = 9.0 if rng.random() < self.end_share else -9.0
        return scores

    def copy(self, source: int, target: int) -> None:
        self.cache[target] = self.cache[source]


def asked(prompt: str, *, seed: int = 0, shared: int = 0, **changes: object) -> Request:
    made = Request(
        prompt=prompt, max_tokens=9, temperature=1.0, top_p=0.95, top_k=6, min_p=0.02, seed=seed, shared_chars=shared
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def lanes() -> Iterator[list[Lane]]:
    """Whatever is started here is closed."""
    started: list[Lane] = []
    yield started
    for lane in started:
        lane.close()


def start(lanes: list[Lane], *, slots: int = 4, blocks: int = 0, **settings: float) -> tuple[Lane, Memory]:
    engine = Memory(blocks or blocks_for(slots, CONTEXT, SIZE), **settings)
    lanes.append(Lane(engine, VOCABULARY, Stopwatch(), name="memory", slots=slots, context_tokens=CONTEXT))
    return lanes[-1], engine


def told(futures: list[Future[Reply]]) -> list[Reply]:
    wait(futures, timeout=20)
    return [future.result(0) for future in futures]


HEADS = ("abcabc.\n", "hgf", "a.b.c.d.e.f.g.h.a.b.c.d.", "")
REQUESTS = [
    asked(head + rest, seed=seed, shared=len(head))
    for seed, (head, rest) in enumerate((head, rest) for head in HEADS for rest in ("a", "bc", "abcdefg", "h h h h"))
]


def alone(request: Request) -> Reply:
    lanes: list[Lane] = []
    lane, _ = start(lanes)
    (reply,) = told([lane.ask(request)])
    lane.close()
    return reply


def test_a_reply_depends_on_its_request_alone(lanes: list[Lane]) -> None:
    expected = {request: alone(request) for request in REQUESTS}
    assert len({reply.text for reply in expected.values()}) == len(REQUESTS)
    for order in range(4):
        lane, engine = start(lanes, slots=1 + 2 * order)
        line = random.Random(order).sample(REQUESTS * 2, 2 * len(REQUESTS))
        for request, reply in zip(line, told([lane.ask(request) for request in line]), strict=True):
            assert (reply.text, reply.finish) == (expected[request].text, expected[request].finish)
            assert reply.usage.output_tokens == expected[request].usage.output_tokens
        assert max(len(step) for step in engine.steps) == 1 + 2 * order  # they did run side by side


def test_a_shared_beginning_is_paid_once(lanes: list[Lane]) -> None:
    lane, engine = start(lanes)
    head = "abcabc.\nab"
    replies = told([lane.ask(asked(head + letter, seed=at, shared=len(head))) for at, letter in enumerate("abcdef")])
    tokens = [len(row.tokens) for step in engine.steps for row in step]
    assert sum(1 for n in tokens if n == len(head)) == 1
    assert max(n for n in tokens if n != len(head)) == 1
    assert [reply.usage.cached_tokens for reply in replies] == [0] + [len(head)] * 5  # who came first paid
    assert {reply.usage.input_tokens for reply in replies} == {len(head) + 1}


def test_a_prompt_that_is_its_beginning_still_has_something_to_evaluate(lanes: list[Lane]) -> None:
    lane, _ = start(lanes)
    replies = told([lane.ask(asked("abcd", shared=4)) for _ in range(2)])
    assert replies[0].text == replies[1].text
    assert replies[1].usage.cached_tokens == 3


def test_replies_end_at_the_limit_at_a_stop_or_at_an_end(lanes: list[Lane]) -> None:
    lane, _ = start(lanes)
    (long,) = told([lane.ask(asked("abc", max_tokens=12))])
    assert (long.finish, long.usage.output_tokens, len(long.text)) == ("length", 12, 12)
    stop = long.text[4:6]
    (cut,) = told([lane.ask(asked("abc", max_tokens=12, stop=("hhhhh", stop)))])
    assert (cut.text, cut.finish) == (long.text[: long.text.index(stop)], "stop")
    assert cut.usage.output_tokens == long.text.index(stop) + 2
    ending, _ = start(lanes, end_share=0.3)
    replies = told([ending.ask(asked("abc", seed=seed, max_tokens=40)) for seed in range(8)])
    assert {reply.finish for reply in replies} == {"stop"}
    assert all(len(reply.text) == reply.usage.output_tokens - 1 for reply in replies)


def test_the_context_cuts_a_reply_and_refuses_a_prompt(lanes: list[Lane]) -> None:
    lane, _ = start(lanes)
    (reply,) = told([lane.ask(asked("a" * (CONTEXT - 3), max_tokens=40))])
    assert (reply.finish, reply.usage.output_tokens) == ("length", 3)
    with pytest.raises(ReplyUnreadable, match="64 tokens, and the context holds 64") as caught:
        lane.ask(asked("a" * CONTEXT))
    assert "context_tokens" in caught.value.hint


def test_beginnings_that_nobody_rests_on_make_room(lanes: list[Lane]) -> None:
    lane, engine = start(lanes, slots=1)
    first = asked("a" * 30 + "b", shared=30)
    (before,) = told([lane.ask(first)])
    for letter in "bcdefgh":
        told([lane.ask(asked(letter * 30 + "a", shared=30))])
    (after,) = told([lane.ask(first)])
    assert after.text == before.text
    assert after.usage.cached_tokens == 0  # it had been forgotten
    assert sorted(lane._free + [block for head in lane._heads.values() for block in head.blocks]) == list(
        range(engine.blocks)
    )


def test_more_requests_than_room_wait_for_it(lanes: list[Lane]) -> None:
    lane, engine = start(lanes, slots=8, blocks=blocks_for(1, CONTEXT, SIZE))
    replies = told([lane.ask(asked("abc" * 9, seed=seed, max_tokens=20)) for seed in range(12)])
    assert len({reply.text for reply in replies}) == 12
    assert 1 <= max(len(step) for step in engine.steps) < 8
    assert len(lane._free) == engine.blocks


def test_too_few_blocks_for_one_request_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="cannot hold one request"):
        Lane(Memory(8), VOCABULARY, Stopwatch(), name="memory", slots=1, context_tokens=CONTEXT)


def test_a_cancelled_request_leaves_its_place(lanes: list[Lane]) -> None:
    lane, engine = start(lanes, slots=2)
    engine.gate.clear()
    futures = [lane.ask(asked("abc", seed=seed, max_tokens=30)) for seed in range(4)]
    assert futures[0].cancel()  # under way
    assert futures[3].cancel()  # still waiting
    engine.gate.set()
    assert [len(reply.text) for reply in told(futures[1:3])] == [30, 30]
    told([lane.ask(asked("abc"))])
    assert lane.load == 0
    assert len(lane._free) == engine.blocks


def test_closing_leaves_nobody_waiting(lanes: list[Lane]) -> None:
    lane, engine = start(lanes, slots=2)
    engine.gate.clear()
    futures = [lane.ask(asked("abc", seed=seed, max_tokens=50)) for seed in range(5)]
    threading.Timer(0.05, engine.gate.set).start()
    lane.close()
    lane.close()
    assert not lane._thread.is_alive()
    for future in futures:
        with pytest.raises(ModelUnavailable, match="memory: it was closed"):
            future.result(0)
    with pytest.raises(ModelUnavailable, match="it was closed"):
        lane.ask(asked("abc"))


def test_a_failing_engine_leaves_nobody_waiting(lanes: list[Lane]) -> None:
    lane, engine = start(lanes)
    engine.broken = "out of luck"
    future = lane.ask(asked("abc", shared=2))
    with pytest.raises(ModelUnavailable, match="it failed: out of luck"):
        future.result(10)
    while lane._thread.is_alive():
        time.sleep(0.001)
    with pytest.raises(ModelUnavailable, match="out of luck"):
        lane.ask(asked("abc"))


def test_processor_seconds_are_shared_out(lanes: list[Lane]) -> None:
    lane, _ = start(lanes)
    began = time.process_time()
    replies = told([lane.ask(request) for request in REQUESTS])
    spent = time.process_time() - began
    assert all(reply.usage.core_seconds > 0 for reply in replies)
    assert sum(reply.usage.core_seconds for reply in replies) <= spent

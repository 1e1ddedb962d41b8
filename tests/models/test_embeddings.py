"""Vectors from a server on the loopback: what is asked, what is tried again, and what an answer must be."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from numpy.typing import NDArray
from tests.toy.doors import everything, server

from proofset.errors import ConfigError, InputError, ModelRefused, ModelUnavailable, ProofsetError, ReplyUnreadable
from proofset.models import embeddings
from proofset.models.embeddings import EndpointEncoder
from proofset.models.metered import TRIES, UNREADABLE_TRIES
from proofset.speakers import Model

KEY = "sk-very-secret-0123456789"


def vector(text: str) -> list[float]:
    """What the toy server makes of a text: no unit vector."""
    return [float(len(text)), 2.0 * text.count("a"), -1.0]


def unit(texts: Sequence[str]) -> NDArray[np.float64]:
    rows = np.array([vector(text) for text in texts])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


class Server:
    """Answers with a vector a text, out of order; troubles come first, one a call."""

    def __init__(self, *troubles: web.Response | Callable[[list[Any]], Any]) -> None:
        self.troubles = list(troubles)
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body)
        self.paths.append(request.path_qs)
        self.headers.append(dict(request.headers))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        rows = [{"object": "embedding", "index": n, "embedding": vector(text)} for n, text in enumerate(body["input"])]
        rows.reverse()
        trouble = self.troubles.pop(0) if self.troubles else None
        if isinstance(trouble, web.Response):
            return trouble
        data = rows if trouble is None else trouble(rows)
        tokens = sum(map(len, body["input"]))
        return web.json_response({"data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})


class Naps:
    """Sleeps that take no time, written down."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


def status(code: int, text: str = "no", **headers: str) -> web.Response:
    return web.Response(status=code, text=text, headers={name.replace("_", "-"): v for name, v in headers.items()})


def settings(url: str, **more: Any) -> Model:
    return Model(engine="chat", base_url=url, model="m", **more)


def visit(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    work: Callable[[EndpointEncoder], Any],
    *,
    call_texts: int = 32,
    sleep: Callable[[float], Any] | None = None,
    **more: Any,
) -> Any:
    """What ``work`` does with an encoder whose server answers by ``handler``; the two do not share a thread."""

    async def both() -> Any:
        async with server(handler) as url:
            made = EndpointEncoder(settings(url, **more), call_texts=call_texts, sleep=sleep or Naps())
            return await asyncio.to_thread(work, made)

    try:
        return asyncio.run(both())
    finally:
        gc.collect()  # an unclosed session would warn here, and warnings are errors


def failure(handler: Server, *texts: str, sleep: Callable[[float], Any] | None = None, **more: Any) -> ProofsetError:
    def work(encoder: EndpointEncoder) -> ProofsetError:
        with pytest.raises(ProofsetError) as caught:
            encoder.encode(texts or ["a"])
        return caught.value

    found = visit(handler, work, sleep=sleep, **more)
    assert isinstance(found, ProofsetError)
    return found


# ── what is asked, and what comes of it ─────────────────────────────────────────────────────────────────────────────


def test_vectors_come_in_the_order_of_the_texts_at_length_one() -> None:
    handler = Server()
    texts = ["banana", "b", "aa", "naïve 🙂"]
    found = visit(handler, lambda encoder: encoder.encode(texts))
    assert found.dtype == np.float32
    assert found == pytest.approx(unit(texts), abs=1e-6)
    assert handler.asked == [{"model": "m", "input": texts}]
    assert handler.paths == ["/v1/embeddings"]


def test_equal_texts_are_asked_for_once_and_blank_ones_not_at_all() -> None:
    handler = Server()
    found = visit(handler, lambda encoder: encoder.encode(["b", "", "aa", "b", " \n"]))
    assert handler.asked[0]["input"] == ["b", "aa"]
    assert found[[0, 2]] == pytest.approx(unit(["b", "aa"]), abs=1e-6)
    assert (found[3] == found[0]).all()
    assert (found[[1, 4]] == 0).all()


def test_without_a_text_to_send_the_width_is_asked_for_once() -> None:
    handler = Server()

    def work(encoder: EndpointEncoder) -> list[NDArray[np.float32]]:
        return [encoder.encode([]), encoder.encode(["", ""])]

    nothing, blanks = visit(handler, work)
    assert nothing.shape == (0, 3)
    assert blanks.shape == (2, 3) and not blanks.any()
    assert [each["input"] for each in handler.asked] == [[embeddings.PROBE]]


def test_many_texts_are_many_calls_at_once_within_the_slots() -> None:
    handler = Server()
    texts = [f"{'a' * (n % 7)} {n}" for n in range(50)]
    found = visit(handler, lambda encoder: encoder.encode(texts), call_texts=4, slots=3)
    assert found == pytest.approx(unit(texts), abs=1e-6)
    assert sorted(text for each in handler.asked for text in each["input"]) == sorted(texts)
    assert max(len(each["input"]) for each in handler.asked) == 4
    assert len(handler.asked) == 13
    assert handler.most_at_once == 3


def test_a_call_holds_so_many_bytes_and_a_longer_text_goes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "CALL_BYTES", 10)
    handler = Server()
    texts = ["aaaa", "ééé", "b" * 25, "ab", "ba"]  # 4, 6, 25, 2 and 2 bytes
    found = visit(handler, lambda encoder: encoder.encode(texts), slots=1)
    assert [each["input"] for each in handler.asked] == [["aaaa", "ééé"], ["b" * 25], ["ab", "ba"]]
    assert found == pytest.approx(unit(texts), abs=1e-6)


def test_the_servers_count_of_tokens_is_kept_and_its_name_told() -> None:
    def work(encoder: EndpointEncoder) -> tuple[int, int, int, str]:
        encoder.encode(["abc", "ab"])
        first = encoder.input_tokens
        encoder.encode(["abcd"])
        return first, encoder.input_tokens, encoder.width, encoder.name

    first, both, width, name = visit(Server(), work)
    assert (first, both, width) == (5, 9, 3)
    assert name.startswith("m at http://127.0.0.1:")


def test_it_works_where_an_event_loop_is_running() -> None:
    async def inside(encoder: EndpointEncoder) -> Any:
        return encoder.encode(["aa", "b"])

    found = visit(Server(), lambda encoder: asyncio.run(inside(encoder)))
    assert found == pytest.approx(unit(["aa", "b"]), abs=1e-6)


@pytest.mark.parametrize(
    ("dialect", "name", "value"), [("", "Authorization", f"Bearer {KEY}"), ("azure", "api-key", KEY)]
)
def test_key_and_query_go_where_the_door_puts_them(
    monkeypatch: pytest.MonkeyPatch, dialect: str, name: str, value: str
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    handler = Server()
    more: dict[str, Any] = {"api_key_env": "TEST_KEY", "dialect": dialect, "query": {"api-version": "1"}}
    visit(handler, lambda encoder: encoder.encode(["a"]), **more)
    assert handler.headers[0][name] == value
    assert handler.paths == ["/v1/embeddings?api-version=1"]


def test_vectors_of_any_size_get_length_one() -> None:
    rows: list[list[float]] = [[3, 0, 4], [1e300, 0, 0], [0, 2e-300, 0], [0, 0, 0]]
    handler = Server(lambda given: [{"index": n, "embedding": row} for n, row in enumerate(rows)])
    found = visit(handler, lambda encoder: encoder.encode(["a", "b", "c", "d"]))
    assert found == pytest.approx(np.array([[0.6, 0, 0.8], [1, 0, 0], [0, 1, 0], [0, 0, 0]]), abs=1e-7)


# ── what is tried again ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_server_that_is_over_its_limits_is_left_alone_for_as_long_as_it_asks() -> None:
    naps = Naps()
    handler = Server(status(429, Retry_After="7"), status(503, retry_after_ms="200"), status(500))
    found = visit(handler, lambda encoder: encoder.encode(["aa"]), sleep=naps)
    assert found == pytest.approx(unit(["aa"]), abs=1e-6)
    assert len(handler.asked) == 4
    assert 7.0 <= naps.taken[0] <= 7.1
    assert 0.2 <= naps.taken[1] <= 0.3
    assert 0.0 <= naps.taken[2] <= 1.0


def test_only_the_call_that_failed_is_made_again() -> None:
    handler = Server(status(502))
    texts = ["a", "bb", "ccc"]
    found = visit(handler, lambda encoder: encoder.encode(texts), call_texts=1, slots=1)
    assert found == pytest.approx(unit(texts), abs=1e-6)
    assert sorted(each["input"][0] for each in handler.asked) == ["a", "a", "bb", "ccc"]


def test_pauses_grow_and_then_it_is_enough() -> None:
    naps = Naps()
    handler = Server(*(status(500, f"no {n}") for n in range(TRIES)))
    error = failure(handler, sleep=naps)
    assert isinstance(error, ModelUnavailable)
    assert error.status == 500 and "HTTP 500: no" in str(error)
    assert len(handler.asked) == TRIES
    assert len(naps.taken) == TRIES - 1
    assert all(0 <= nap <= 0.25 * 2**n for n, nap in enumerate(naps.taken))
    assert len(set(naps.taken)) == TRIES - 1  # not all callers return at once


def test_being_over_its_limits_is_no_failure_until_patience_ends() -> None:
    handler = Server(*(status(429) for _ in range(2 * TRIES)))
    found = visit(handler, lambda encoder: encoder.encode(["aa"]))
    assert found == pytest.approx(unit(["aa"]), abs=1e-6)
    hasty = Server(*(status(429) for _ in range(5)))
    error = failure(hasty, give_up_s=1e-6)
    assert isinstance(error, ModelUnavailable) and error.overloaded
    assert len(hasty.asked) == 1


@pytest.mark.parametrize("code", [400, 401, 404, 422])
def test_a_refusal_is_final_and_ends_all_calls(code: int) -> None:
    handler = Server(status(code, "no such thing"))
    error = failure(handler, "a", "b", "c", slots=1, call_texts=1)
    assert isinstance(error, ModelRefused)
    assert error.status == code and "no such thing" in str(error) and error.hint
    assert len(handler.asked) == 1


def test_a_spent_window_is_waited_for_before_the_next_call() -> None:
    spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "300ms"}
    moments: list[float] = []

    async def handler(request: web.Request) -> web.Response:
        moments.append(asyncio.get_running_loop().time())
        texts = (await request.json())["input"]
        data = [{"index": n, "embedding": vector(text)} for n, text in enumerate(texts)]
        return web.json_response({"data": data}, headers=spent)

    visit(handler, lambda encoder: encoder.encode(["a", "b"]), call_texts=1, slots=1)
    assert moments[1] - moments[0] >= 0.3


def test_calls_are_paced_as_the_settings_allow() -> None:
    began: list[float] = []

    def work(encoder: EndpointEncoder) -> None:
        began.append(time.monotonic())
        encoder.encode(list("abcde"))
        began.append(time.monotonic())

    visit(Server(), work, call_texts=1, requests_per_minute=240)  # four at once, the fifth a quarter of a second later
    assert began[1] - began[0] >= 0.2


# ── what an answer must be ──────────────────────────────────────────────────────────────────────────────────────────


def _changed(**more: Any) -> Callable[[list[Any]], Any]:
    return lambda rows: [rows[0] | more, *rows[1:]]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda rows: rows[1:], "not one vector for each of 2 texts"),
        (lambda rows: [*rows, {**rows[0], "index": 2}], "not one vector for each of 2 texts"),
        (_changed(index=0), "not one vector for each of 2 texts"),
        (_changed(embedding=[1.0, 2.0]), "vectors of different widths"),
        (_changed(embedding=[1.0, None, 2.0]), "not lists of finite numbers"),
        (_changed(embedding=[1.0, float("nan"), 2.0]), "not lists of finite numbers"),
        (_changed(embedding=["1", "2", "3"]), "not lists of finite numbers"),
        (_changed(embedding=[10**400, 0, 0]), "not lists of finite numbers"),
        (lambda rows: [{**row, "embedding": []} for row in rows], "not lists of finite numbers"),
        (lambda rows: [{**row, "embedding": "AACAPwAAAAAA"} for row in rows], "not lists of finite numbers"),
        (lambda rows: [{**row, "embedding": [[1.0, 2.0]]} for row in rows], "not lists of finite numbers"),
        (lambda rows: [{"embedding": row["embedding"]} for row in rows], "no list of vectors"),
        (lambda rows: [{"index": row["index"]} for row in rows], "no list of vectors"),
        (lambda rows: None, "no list of vectors"),
        (lambda rows: 5, "no list of vectors"),
        (lambda rows: web.json_response({"error": {"message": "no such model"}}), "no such model"),
        (lambda rows: web.json_response([1, 2]), "no list of vectors"),
        (lambda rows: web.Response(text="<html>hello</html>"), "<html>hello</html>"),
    ],
)
def test_what_is_no_vector_for_each_text_is_unreadable_and_asked_for_again(
    spoil: Callable[[list[Any]], Any], told: str
) -> None:
    def trouble() -> Any:
        made = spoil([{"index": 1, "embedding": vector("b")}, {"index": 0, "embedding": vector("a")}])
        return made if isinstance(made, web.Response) else spoil

    error = failure(handler := Server(*(trouble() for _ in range(UNREADABLE_TRIES))), "a", "b")
    assert isinstance(error, ReplyUnreadable)
    assert told in str(error) and "/v1/embeddings" in error.hint
    assert len(handler.asked) == UNREADABLE_TRIES
    found = visit(Server(trouble()), lambda encoder: encoder.encode(["a", "b"]))
    assert found == pytest.approx(unit(["a", "b"]), abs=1e-6)


@pytest.mark.parametrize("calls", [["a", "b"], ["ab"]])
def test_vectors_of_another_width_than_before_are_refused(calls: list[str]) -> None:
    handler = Server(lambda rows: rows, lambda rows: [{**row, "embedding": [1.0, 2.0]} for row in rows])

    def work(encoder: EndpointEncoder) -> None:
        if len(calls) == 1:
            encoder.encode(["first"])
        with pytest.raises(ReplyUnreadable, match="different widths: 2, 3"):
            encoder.encode(calls)

    visit(handler, work, call_texts=1, slots=1)


# ── what is wrong before anything is sent, and what is never shown ──────────────────────────────────────────────────


def test_what_is_missing_is_said_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"measure\.encoder: .*base_url and model"):
        EndpointEncoder(Model(engine="chat", model="m"), place="measure.encoder")
    with pytest.raises(ConfigError, match=r"encoder\.api_key_env: .*TEST_KEY is not set"):
        EndpointEncoder(settings("http://127.0.0.1:9/v1", api_key_env="TEST_KEY"))
    with pytest.raises(InputError, match="call_texts is 0"):
        EndpointEncoder(settings("http://127.0.0.1:9/v1"), call_texts=0)


def test_half_a_surrogate_pair_is_found_before_anything_is_sent() -> None:
    error = failure(handler := Server(), "a", "b \ud800")
    assert isinstance(error, InputError)
    assert "text 1 cannot be sent" in str(error) and "surrogate" in error.hint
    assert handler.asked == []


def test_nobody_there_is_no_answer() -> None:
    naps = Naps()
    encoder = EndpointEncoder(settings("http://127.0.0.1:9/v1"), sleep=naps)
    with pytest.raises(ModelUnavailable) as caught:
        encoder.encode(["a"])
    assert caught.value.unsent
    assert len(naps.taken) == TRIES - 1


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (401, f"wrong key {KEY}"),
        (500, f"failed for {KEY}"),
        (200, f"key {KEY} is fine, but this is no JSON"),
        (200, json.dumps({"error": {"message": f"key {KEY} may not do that"}})),
        (200, json.dumps({"data": [{"index": 0, "embedding": [KEY]}]})),
        (200, json.dumps({"data": [{"index": KEY, "embedding": [1.0]}]})),
    ],
)
def test_no_error_shows_the_key(monkeypatch: pytest.MonkeyPatch, code: int, body: str) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    handler = Server(*(status(code, body) for _ in range(TRIES)))
    error = failure(handler, api_key_env="TEST_KEY")
    assert KEY not in everything(error)
    assert "[key]" in str(error)

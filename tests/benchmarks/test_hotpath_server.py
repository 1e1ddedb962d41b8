import http.client
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # benchmarks are not installed with the package

from benchmarks.hotpath.server import Server

VERDICT = {"accept": {"type": "boolean"}, "score": {"type": "integer", "minimum": 1, "maximum": 5}}


def talk(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def post(line: http.client.HTTPConnection, number: int, *, chat: bool = True, **more: Any) -> tuple[int, bytes]:
    prompt = f"Write text number {number}."
    asked = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
    line.request(
        "POST", "/v1/chat/completions" if chat else "/v1/completions", json.dumps({"model": "m", **asked, **more})
    )
    answer = line.getresponse()
    return answer.status, answer.read()


def said(body: bytes) -> str:
    return str(json.loads(body)["choices"][0]["message"]["content"])


@pytest.fixture(scope="module")
def clean() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(clean: Server) -> None:
    clean.reset()


def test_the_same_request_gets_the_same_text_and_another_gets_another(clean: Server) -> None:
    line = talk(clean)
    first = [said(post(line, number)[1]) for number in range(300)]
    again = [said(post(line, number)[1]) for number in range(300)]
    line.close()
    assert first == again
    assert len(set(first)) == 300
    assert all(12 <= len(text.split()) <= 25 for text in first)
    stats = clean.stats()
    assert (stats["requests"], stats["ok"], stats["distinct"], stats["repeated_paid"]) == (600, 600, 300, 300)


def test_a_seed_is_part_of_what_is_asked(clean: Server) -> None:
    line = talk(clean)
    texts = {said(post(line, 1, seed=seed)[1]) for seed in range(5)}
    line.close()
    assert len(texts) == 5
    assert clean.stats()["repeated_paid"] == 0


def test_completions_have_n_choices_cut_at_max_tokens(clean: Server) -> None:
    line = talk(clean)
    answer = json.loads(post(line, 1, chat=False, n=3, max_tokens=5)[1])
    line.close()
    assert [choice["finish_reason"] for choice in answer["choices"]] == ["length"] * 3
    assert len({choice["text"] for choice in answer["choices"]}) == 3
    usage = answer["usage"]
    assert usage["completion_tokens"] == 15
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


def test_json_fits_the_schema_and_four_of_five_verdicts_accept(clean: Server) -> None:
    kind = {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1}
    schema = {"type": "object", "properties": {**VERDICT, "kinds": kind, "note": {"type": "string"}}}
    asked = {"type": "json_schema", "json_schema": {"name": "v", "schema": schema}}
    line = talk(clean)
    verdicts = [json.loads(said(post(line, number, response_format=asked)[1])) for number in range(300)]
    line.close()
    assert all(set(verdict) == {"accept", "score", "kinds", "note"} for verdict in verdicts)
    assert all((verdict["score"] >= 3) == verdict["accept"] for verdict in verdicts)
    assert all(set(verdict["kinds"]) <= {"a", "b"} and verdict["kinds"] for verdict in verdicts)
    assert 210 < sum(verdict["accept"] for verdict in verdicts) < 270


def test_whoever_is_asked_to_judge_answers_with_a_verdict(clean: Server) -> None:
    line = talk(clean)
    told = [{"role": "system", "content": "You are a critic."}, {"role": "user", "content": "Well?"}]
    verdict = json.loads(said(post(line, 1, messages=told)[1]))
    line.close()
    assert set(verdict) == {"accept", "score", "reason"}


def test_a_body_that_is_no_request_is_refused(clean: Server) -> None:
    line = talk(clean)
    assert post(line, 1, messages=[])[0] == 400
    line.close()
    stats = clean.stats()
    assert (stats["refused_400"], stats["ok"], stats["in_flight"]) == (1, 0, 0)


def faults_of(server: Server, count: int) -> list[str]:
    line, found = talk(server), []
    for number in range(count):
        try:
            status, body = post(line, number)
        except (ConnectionError, http.client.HTTPException):
            line.close()  # connects again by itself
            found.append("dropped")
            continue
        if status == 500 or body.startswith(b"<"):
            found.append("error" if status == 500 else "html")
            continue
        try:
            found.append("error body" if "error" in json.loads(body) else "ok")
        except ValueError:
            found.append("malformed")
    line.close()
    return found


def test_faults_come_in_their_shares_repeat_after_a_reset_and_change_with_the_attempt() -> None:
    each = 0.1
    with Server(
        error_share=each, malformed_share=each, html_share=each, drop_share=each, error_body_share=each
    ) as server:
        first, retried = faults_of(server, 600), faults_of(server, 600)
        stats = server.stats()
        server.reset()
        assert faults_of(server, 600) == first
    counts = Counter(first)
    assert all(35 < counts[name] < 90 for name in ("error", "malformed", "html", "dropped", "error body"))
    assert sum(was != "ok" and now == "ok" for was, now in zip(first, retried, strict=True)) > 100
    both = [*first, *retried]
    for name, kind in {"ok": "ok", "errors_500": "error", "malformed": "malformed", "dropped": "dropped"}.items():
        assert stats[name] == both.count(kind)
    assert stats["repeated_paid"] == sum(was == now == "ok" for was, now in zip(first, retried, strict=True))


def test_above_the_limit_in_flight_is_429_with_retry_after_and_latency_is_kept() -> None:
    with Server(latency_ms=200, max_in_flight=2, retry_after=3) as server:
        lines = [talk(server) for _ in range(3)]
        began = time.monotonic()
        body = json.dumps({"model": "m", "prompt": "a"})
        for line in lines:
            line.request("POST", "/v1/completions", body)
            time.sleep(0.02)  # so that they arrive in order
        answers = [line.getresponse() for line in reversed(lines)]
        assert [answer.status for answer in answers] == [429, 200, 200]
        assert answers[0].headers["Retry-After"] == "3"
        assert time.monotonic() - began >= 0.2
        stats = server.stats()
        for line in lines:
            line.close()
    assert (stats["rejected_429"], stats["max_in_flight"], stats["ok"]) == (1, 2, 2)


def test_above_the_rate_is_429_too() -> None:
    with Server(rpm=60) as server:
        line = talk(server)
        assert [post(line, number)[0] for number in range(2)] == [200, 429]
        line.close()


def test_an_answer_that_nobody_waited_for_is_paid_all_the_same() -> None:
    with Server(latency_ms=50) as server:
        line = talk(server)
        line.request("POST", "/v1/completions", json.dumps({"model": "m", "prompt": "a"}))
        line.close()
        time.sleep(0.3)
        stats = server.stats()
    assert (stats["ok"], stats["abandoned"], stats["in_flight"]) == (1, 1, 0)


def test_a_slow_answer_is_whole_in_the_end() -> None:
    with Server(slow_share=1, slow_s=0.2) as server:
        line, began = talk(server), time.monotonic()
        assert said(post(line, 1)[1])
        assert time.monotonic() - began >= 0.2
        line.close()
        assert (server.stats()["slow"], server.stats()["ok"]) == (1, 1)


def test_the_server_ends_with_whoever_started_it() -> None:
    with Server() as server:
        assert server.process.stdin is not None
        server.process.stdin.close()  # what the kernel does for a parent that was killed
        assert server.process.wait(timeout=5) == 0


def test_a_misspelt_rule_is_refused_before_anything_starts() -> None:
    with pytest.raises(TypeError, match="latency"):
        Server(latency=3)

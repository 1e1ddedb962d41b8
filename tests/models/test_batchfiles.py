"""Files of requests and of answers, without a server: what is written, how it is cut, and what is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proofset.errors import ConfigError, ModelRefused, ReplyUnreadable
from proofset.models.batchfiles import Refused, collect_file, export, has_rows
from proofset.models.chat import EndpointChat
from proofset.nouns.record import Message
from proofset.plugins import Reply, Request
from proofset.speakers import Model

CHAT = EndpointChat(Model(engine="chat", base_url="http://127.0.0.1:9/v1", model="m"))
PROMPT = Request(prompt="Once ünder", max_tokens=5, temperature=0.5, seed=3, stop=("\n",))
TURNS = Request(messages=(Message("user", "hi\nthere"),), max_tokens=5, temperature=0.5)


def many(count: int) -> list[tuple[str, Request]]:
    return [(f"{at:016x}", PROMPT) for at in range(count)]


def written(paths: list[Path]) -> list[list[dict[str, Any]]]:
    return [[json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]] for path in paths]


def test_a_line_is_what_a_server_would_be_sent(tmp_path: Path) -> None:
    paths = export([("a1", PROMPT), ("b2", TURNS)], tmp_path, CHAT)
    (first,), (second,) = written(paths)
    assert first == {
        "custom_id": "a1", "method": "POST", "url": "/v1/completions", "body": CHAT.payload(PROMPT)[1],
    }  # fmt: skip
    assert (second["url"], second["body"]["messages"]) == (
        "/v1/chat/completions",
        [{"role": "user", "content": "hi\nthere"}],
    )
    assert [path.name for path in paths] == ["part-0001-r1.jsonl", "part-0002-r1.jsonl"]


def test_files_are_cut_by_lines_and_by_bytes(tmp_path: Path) -> None:
    by_lines = export(many(7), tmp_path / "lines", CHAT, most_lines=3)
    assert [len(lines) for lines in written(by_lines)] == [3, 3, 1]
    size = len((tmp_path / "lines" / "part-0003-r1.jsonl").read_bytes())
    by_bytes = export(many(7), tmp_path / "bytes", CHAT, most_bytes=2 * size)
    assert [len(lines) for lines in written(by_bytes)] == [2, 2, 2, 1]
    with pytest.raises(ConfigError, match=f"a request of {size} bytes"):
        export(many(1), tmp_path / "one", CHAT, most_bytes=size - 1)


def test_a_key_is_written_once(tmp_path: Path) -> None:
    assert len(written(export([*many(3), *many(2)], tmp_path, CHAT))[0]) == 3
    assert export(many(3), tmp_path, CHAT) == []
    (path,) = export(many(5), tmp_path, CHAT)
    assert path.name == "part-0002-r1.jsonl" and len(written([path])[0]) == 2


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 65, 'a"b', "a\n"])
def test_a_key_that_no_provider_takes_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match="no key for a batch"):
        export([(key, PROMPT)], tmp_path, CHAT)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_export_leaves_whole_files_and_goes_on(tmp_path: Path) -> None:
    def stops() -> Any:
        yield from many(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(stops(), tmp_path, CHAT, most_lines=2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["part-0001-r1.jsonl", "part-0002-r1.jsonl"]
    (path,) = export(many(6), tmp_path, CHAT, most_lines=2)
    assert [line["custom_id"][-1] for line in written([path])[0]] == ["4", "5"]


def test_a_request_the_server_cannot_take_stops_the_export(tmp_path: Path) -> None:
    anthropic = EndpointChat(Model(engine="chat", base_url="https://api.anthropic.com/v1", model="m"))
    with pytest.raises(ModelRefused):
        export([("a", Request(prompt="x", max_tokens=1, temperature=0, n=2))], tmp_path, anthropic)


VLLM = [
    {
        "id": "vllm-1", "custom_id": "0000000000000000", "error": None,
        "response": {"status_code": 200, "request_id": "r", "body": {
            "id": "cmpl-1", "object": "text_completion", "model": "m",
            "choices": [{"index": 0, "text": " a time", "finish_reason": "length", "logprobs": None}],
            "usage": {"prompt_tokens": 4, "total_tokens": 9, "completion_tokens": 5},
        }},
    },
    {
        "id": "vllm-2", "custom_id": "0000000000000001",
        "response": {"status_code": 400, "request_id": "r", "body": None},
        "error": {"error": {"message": "longer than the context", "type": "BadRequestError", "code": 400}},
    },
]  # fmt: skip
"""Rows in the shape of vLLM's batch runner."""


def test_what_vllm_wrote_is_read(tmp_path: Path) -> None:
    (requests,) = export(many(3), tmp_path, CHAT)
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in VLLM))
    found = collect_file(path, CHAT, asked=requests)
    first, second = [answer for _, answer in found]
    assert isinstance(first, Reply)
    assert (first.text, first.finish, first.usage.output_tokens) == (" a time", "length", 5)
    assert first.usage.processing == ""  # its own machine gives no half price
    assert second == Refused("answers.jsonl:2: HTTP 400 longer than the context", 400)
    assert found.missing == [f"{2:016x}"]


def test_without_the_requests_all_rows_count(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in [VLLM[0], VLLM[0]]))
    found = collect_file(path, CHAT, processing="batch")
    ((key, reply),) = found
    assert key == f"{0:016x}" and isinstance(reply, Reply) and reply.usage.processing == "batch"
    assert (found.duplicates, found.missing) == (1, [])
    with pytest.raises(ConfigError, match="not a file of requests"):
        list(collect_file(path, CHAT, asked=path))


def row(**changes: Any) -> str:
    return json.dumps({"custom_id": "k", "response": None, "error": None} | changes)


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (row(), False),
        (row(error={"code": "batch_cancelled", "message": "x"}), False),
        (row(error={"code": "invalid_request", "message": "x"}), True),
        (row(error="lost"), False),
        (row(response={"status_code": 503, "body": None}), False),
        (row(response={"status_code": "404", "body": {"error": {"message": "no model"}}}), True),
        (row(response={"status_code": 200, "body": {"error": {"message": "x", "code": 429}}}), False),
        (row(response=[1]), False),
        (row(response={"status_code": 200, "body": [1]}), True),
        (row(response={"status_code": 200, "body": {"choices": []}}), True),
        ('{"custom_id": "k", "response": {"status', True),
    ],
)
def test_rows_without_a_reply(tmp_path: Path, content: str, refused: bool) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(content)
    found = collect_file(path, CHAT)
    answers = list(found)
    assert [isinstance(answer, Refused) for _, answer in answers] == ([True] if refused else [])
    assert found.missing == ([] if refused else ["k"])


def test_a_whole_row_is_better_than_a_torn_one_before_it(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    whole = json.dumps(VLLM[0])
    path.write_text(f"{whole[:-9]}\n{whole}\n")
    ((_, answer),) = collect_file(path, CHAT)
    assert isinstance(answer, Reply)


@pytest.mark.parametrize("content", ["<html>", '{"object": "error"}\n', "\n[]\n"])
def test_a_file_in_which_no_row_can_be_read_is_one_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(content)
    assert not has_rows(content.encode())
    with pytest.raises(ReplyUnreadable, match=r"answers\.jsonl:[12]: not a row of batch answers"):
        list(collect_file(path, CHAT))


def test_an_empty_file_has_no_answers_and_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b"\n")
    assert has_rows(b"") and has_rows(b" \n")
    assert list(collect_file(path, CHAT)) == []

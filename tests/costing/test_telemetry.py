"""Calls become spans by the names of the conventions; what is no call of a model does not."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proofset.costing import telemetry
from proofset.costing.telemetry import Exported, export, is_call, span
from proofset.errors import InputError
from proofset.nouns.entry import Entry
from proofset.nouns.result import UsageBasis


def entry(**given: Any) -> Entry:
    told: dict[str, Any] = {
        "seq": 1, "at": "2026-11-25T00:00:02Z", "run": "r", "stage": "generation", "attempt": "a",
        "model": "gpt-5-mini", "provider": "openai", "record": "rec", "input_tokens": 1200,
        "cached_tokens": 800, "output_tokens": 350,
        "reasoning_tokens": 50, "seconds": 1.5, "usd": Decimal("0.00082"), "basis": UsageBasis.CATALOGUE,
    }  # fmt: skip
    return Entry(**(told | given))


def attributes(made: dict[str, Any]) -> dict[str, str | float]:
    """Names to values, each with its one type."""
    assert all(len(item["value"]) == 1 for item in made["attributes"])
    return {item["key"]: next(iter(item["value"].values())) for item in made["attributes"]}


def test_a_call_has_the_names_of_the_conventions_and_whole_numbers_as_texts() -> None:
    made = span(entry())
    assert (made["name"], made["kind"], made["status"]) == ("chat gpt-5-mini", 3, {})
    assert attributes(made) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.usage.input_tokens": "1200",
        "gen_ai.usage.cache_read.input_tokens": "800",
        "gen_ai.usage.cache_creation.input_tokens": "0",
        "gen_ai.usage.output_tokens": "350",
        "gen_ai.usage.reasoning.output_tokens": "50",
        "proofset.run": "r",
        "proofset.stage": "generation",
        "proofset.record": "rec",
        "proofset.attempt": "a",
        "proofset.basis": "catalogue",
        "proofset.usd": "0.00082",
    }
    kinds = {item["key"]: next(iter(item["value"])) for item in made["attributes"]}
    assert kinds["gen_ai.usage.input_tokens"] == "intValue"
    assert kinds["proofset.usd"] == "stringValue"


def test_a_span_ends_when_it_was_booked_and_began_its_seconds_before() -> None:
    made = span(entry())
    assert int(made["endTimeUnixNano"]) == 1795564802 * 10**9
    assert int(made["endTimeUnixNano"]) - int(made["startTimeUnixNano"]) == 1_500_000_000
    assert span(entry(at="2026-11-25T01:00:02+01:00"))["endTimeUnixNano"] == made["endTimeUnixNano"]
    with pytest.raises(InputError, match="attempt 'a': at 'noon' is no ISO time"):
        span(entry(at="noon"))


def test_ids_are_hex_of_their_length_and_of_content_alone() -> None:
    one, other = span(entry()), span(entry(attempt="b", retry_of="a"))
    assert (len(bytes.fromhex(one["traceId"])), len(bytes.fromhex(one["spanId"]))) == (16, 8)
    assert one == span(entry())
    assert one["traceId"] == other["traceId"] != span(entry(record="next"))["traceId"]
    assert one["spanId"] != other["spanId"] != span(entry(attempt="b", run="s"))["spanId"]
    assert other["links"] == [{"traceId": one["traceId"], "spanId": one["spanId"]}]
    assert "links" not in one


def test_a_failure_an_embedding_and_a_local_call_are_told() -> None:
    failed = span(entry(outcome="timeout", usd=None, basis=UsageBasis.UNPRICED))
    assert failed["status"] == {"code": 2, "message": "timeout"}
    assert attributes(failed)["error.type"] == "timeout"
    assert "proofset.usd" not in attributes(failed)
    embedded = span(entry(stage="embed_dedup"))
    assert (embedded["name"], attributes(embedded)["gen_ai.operation.name"]) == ("embeddings gpt-5-mini", "embeddings")
    local = span(entry(core_seconds=0.5, provider=""))
    assert (local["kind"], attributes(local)["proofset.core_seconds"]) == (1, 0.5)
    assert attributes(local)["gen_ai.provider.name"] == "unknown"


def test_the_file_has_lines_of_bounded_size_and_every_call_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "SPANS_PER_LINE", 3)
    rows = [entry(attempt=f"a{at}") for at in range(7)]
    aside = [entry(stage="adjustment"), entry(basis=UsageBasis.REPLAY), entry(model="")]
    assert [is_call(row) for row in aside] == [False] * 3
    done = export([*aside, *rows], tmp_path / "spans.jsonl")
    assert done == Exported(spans=7, left_out=3)
    traces = [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]
    found = [each["resourceSpans"][0]["scopeSpans"][0]["spans"] for each in traces]
    assert [len(spans) for spans in found] == [3, 3, 1]
    assert [one for spans in found for one in spans] == [span(row) for row in rows]
    assert attributes(traces[0]["resourceSpans"][0]["resource"]) == {"service.name": "proofset"}


def test_an_export_that_fails_leaves_no_half_file(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        export([entry(), entry(at="")], tmp_path / "spans.jsonl")
    assert not list(tmp_path.iterdir())

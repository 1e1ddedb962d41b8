"""A whole study whose generator and critic are asked in batches, against a batch API on the loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web
from tests.toy.provider import Provider, Row, expired, good

from proofset import pipeline, speaking, staging
from proofset.models.halfprice import HalfPrice
from proofset.nouns.event import BriefClosed, Event, SliceClosed, Spent
from proofset.nouns.result import UsageBasis
from proofset.plugins import Request

BATCHED = """
[synthesize.model]
engine = "chat"
base_url = "{url}"
model = "generator"
batch = true
usd_per_million_input = "2"
usd_per_million_output = "4"

[synthesize.critic.model]
engine = "chat"
base_url = "{url}"
model = "critic"
batch = true
usd_per_million_input = "2"
usd_per_million_output = "4"
"""


class Talking(Provider):
    """Writes what the town's scripted models would."""

    def __init__(self, town: ModuleType) -> None:
        super().__init__()
        self.town = town
        self.ends = [self.half]

    def row(self, line: Row) -> Row:
        """An answer in the town's words."""
        said, body = good(line), line["body"]
        choice = said["response"]["body"]["choices"][0]
        if "messages" in body:
            choice["message"]["content"] = json.dumps({"accept": True, "reason": "none", "critique": ""})
        else:
            asked = Request(prompt=body["prompt"], max_tokens=9, temperature=1.0, seed=body["seed"])
            choice["text"] = self.town.speech(asked)
        return said

    def half(self, lines: list[Row]) -> Any:
        """The first batch ends too early: half of it has expired."""
        self.ends.append(self.whole)
        return "expired", [self.row(each) for each in lines[::2]], [expired(each) for each in lines[1::2]]

    def whole(self, lines: list[Row]) -> Any:
        """All goes well, this time and the next."""
        self.ends.append(self.whole)
        return "completed", [self.row(each) for each in lines], []


@pytest.fixture
def provider(town: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Talking, str]]:
    """A provider in a thread of its own, and its address."""
    there, loop, ready = Talking(town), asyncio.new_event_loop(), threading.Event()
    address: list[str] = []

    async def serve() -> None:
        runner = web.AppRunner(there.app())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        stop.append(asyncio.Event())
        ready.set()
        await stop[0].wait()
        await runner.cleanup()

    stop: list[asyncio.Event] = []
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    generator = partial(speaking.make, place=speaking.GENERATOR)
    monkeypatch.setattr(staging, "speaker", lambda walk: generator(walk, walk.study.synthesize.model))
    monkeypatch.setattr(speaking, "HalfPrice", partial(HalfPrice, linger_s=0.02, pause_s=0.02))
    yield there, address[0]
    loop.call_soon_threadsafe(stop[0].set)
    thread.join(10)
    loop.close()


def of(kind: type[Any], events: Any) -> list[Any]:
    found: list[Event] = [event for event in events if isinstance(event, kind)]
    return found


def test_a_study_in_batches_costs_half_and_is_not_handed_in_again(
    provider: tuple[Talking, str], town: ModuleType, tmp_path: Path
) -> None:
    there, url = provider
    study = town.write_town(tmp_path / "town")
    text = study.read_text(encoding="utf-8").replace("window = 3\n", "")
    study.write_text(text + BATCHED.format(url=url), encoding="utf-8")
    notices: list[str] = []
    run = pipeline.run(study, tmp_path / "runs", verb="synthesize", notice=notices.append)
    spent = [event.usage for event in of(Spent, run.events) if event.usage.stage in ("generate", "critic")]
    batched = [usage for usage in spent if usage.processing == "batch"]
    assert {usage.stage for usage in batched} == {"generate", "critic"}
    for usage in batched:
        assert usage.basis is UsageBasis.OVERRIDE
        assert usage.usd == (2 * usage.input_tokens + 4 * usage.output_tokens) * Decimal("0.5") / 10**6
    assert all(usage.brief_id == "" for usage in spent if usage.processing != "batch")  # the probe alone
    assert of(SliceClosed, run.events) and sum(bool(event.winner) for event in of(BriefClosed, run.events))
    assert any("requests in batches are answered" in told for told in notices)
    rows = [line["custom_id"] for batch in there.batches.values() for line in batch["lines"]]
    assert len(rows) < 4 * len(there.batches) * len(batched)
    batches, first = len(there.batches), sorted(usage.brief_id for usage in batched)
    assert len(set(rows)) == len(first)  # all were answered; what had expired was handed in twice

    again = pipeline.run(study, tmp_path / "elsewhere", verb="synthesize")
    usages = [event.usage for event in of(Spent, again.events) if event.usage.stage in ("generate", "critic")]
    assert {usage.basis for usage in usages} == {UsageBasis.REPLAY} and len(there.batches) == batches
    assert sum(usage.avoided_usd or 0 for usage in usages) == sum(usage.usd or 0 for usage in batched)

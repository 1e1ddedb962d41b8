from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from proofset.config import Study
from proofset.costing.prices import pricer
from proofset.errors import ConfigError, InputError, RecordError
from proofset.models.purse import Amount
from proofset.nouns.event import Event, Finished, Spent, Started
from proofset.nouns.result import Usage, UsageBasis
from proofset.runs.folder import Run
from proofset.speaking import used_up
from proofset.walk import Walk, interrupted, unhurried_collector, wait_for


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    study = Study.parse({"name": "w", "ingest": {"path": "rows.csv"}})
    with Run.open(tmp_path / "w", study.model_dump(mode="json"), "") as run:
        yield Walk(run, study, tmp_path)


def test_a_stage_is_timed_priced_and_ended_with_its_outputs(walk: Walk) -> None:
    seen: list[Event] = []
    walk.watch = seen.append
    with walk.stage("audit", "k1", resumes=False) as outputs:
        sum(number * number for number in range(300_000))
        walk.tell(Spent(usage=Usage(model="m", stage="x", core_seconds=1e-9)))
        outputs.append("study.toml")
    finished = [event for event in walk.run.events if isinstance(event, Finished)]
    assert [(event.verb, event.key, event.outputs) for event in finished] == [("audit", "k1", ("study.toml",))]
    assert finished[0].core_seconds > 0
    overhead = [event.usage for event in seen if isinstance(event, Spent) and event.usage.stage == "audit"]
    assert len(overhead) == 1
    assert overhead[0].basis is UsageBasis.IMPUTED
    assert overhead[0].core_seconds == pytest.approx(finished[0].core_seconds, rel=0.5)
    assert overhead[0].usd is not None and overhead[0].usd > 0
    assert walk.run.is_finished("audit", "k1") and not walk.run.is_finished("audit", "k2")


def test_a_failed_stage_is_not_finished(walk: Walk) -> None:
    with pytest.raises(InputError), walk.stage("audit", "k", resumes=False):
        raise InputError("no")
    assert not walk.run.is_finished("audit", "k")


def test_only_a_verb_that_resumes_keeps_its_beginning(walk: Walk) -> None:
    for _ in range(2):
        with pytest.raises(InputError), walk.stage("synthesize", "k", resumes=True):
            raise InputError("interrupted")
        with pytest.raises(InputError), walk.stage("audit", "k", resumes=False):
            raise InputError("interrupted")
    begun = [event.verb for event in walk.run.events if isinstance(event, Started)]
    assert (begun.count("synthesize"), begun.count("audit")) == (1, 2)


def test_rows_by_ending_or_by_name(walk: Walk, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (tmp_path / "rows.data").write_text("1\t2\n", encoding="utf-8")
    assert [row.fields for row in walk.rows("rows.csv")] == [{"a": "1", "b": "2"}]
    assert [row.fields for row in walk.rows("rows.data", "tab", ("x", "y"))] == [{"x": "1", "y": "2"}]
    with pytest.raises(ConfigError, match="no reader"):
        walk.rows("rows.data")


def test_a_fingerprint_is_of_content_not_of_name(walk: Walk, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("same", encoding="utf-8")
    (tmp_path / "two").write_text("same", encoding="utf-8")
    (tmp_path / "three").write_text("other", encoding="utf-8")
    assert walk.fingerprint("one") == walk.fingerprint("two") != walk.fingerprint("three")
    assert walk.fingerprint("") == ""
    with pytest.raises(RecordError, match="nowhere"):
        walk.fingerprint("nowhere")


def test_the_cap_counts_every_call_of_the_loop_and_nothing_else(walk: Walk) -> None:
    price = pricer(None, usd_per_core_hour="0.05")
    for seconds, stage in ((3600.0, "generate"), (1800.0, "critic"), (7200.0, "audit")):
        usage = Usage(model="m", stage=stage, core_seconds=seconds)
        usd, basis = price(usage)
        walk.tell(Spent(usage=replace(usage, usd=usd, basis=basis)))
        walk.run.begin("synthesize", stage + str(seconds))  # a new key does not make spent money come back
    walk.tell(Spent(usage=Usage(model="m", stage="generate", usd=Decimal(9), basis=UsageBasis.REPLAY)))
    assert used_up(walk.run.events) == Amount(Decimal("0.075"), 0, 2)


def test_waiting_inside_and_outside_a_running_loop() -> None:
    done: list[str] = []

    async def work(word: str) -> None:
        await asyncio.sleep(0)
        done.append(word)

    async def fail() -> None:
        raise InputError("carried over")

    async def notebook() -> None:
        wait_for(work("inside"))
        with pytest.raises(InputError, match="carried over"):
            wait_for(fail())

    wait_for(work("outside"))
    asyncio.run(notebook())
    assert done == ["outside", "inside"]


def test_the_first_ctrl_c_asks_and_the_second_stops() -> None:
    told: list[str] = []

    async def work() -> None:
        with interrupted(told.append) as halted:
            assert not halted()
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.05)
            assert halted() and len(told) == 1
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(5)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(work())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(told) == 1


def test_what_a_shell_has_ignored_stays_ignored() -> None:
    told: list[str] = []

    async def work() -> None:
        with interrupted(told.append) as halted:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.05)
            assert not halted()

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(work())
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == []


def test_in_a_thread_where_signals_cannot_be_had_nothing_is_ever_halted() -> None:
    found: list[bool] = []

    async def work() -> None:
        with interrupted(lambda _: None) as halted:
            found.append(halted())

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    thread.join()
    assert found == [False]


def test_the_collector_is_as_it_was_afterwards() -> None:
    before = gc.get_threshold()
    with pytest.raises(InputError), unhurried_collector():
        assert gc.get_threshold() != before
        raise InputError("no")
    assert gc.get_threshold() == before and gc.get_freeze_count() == 0

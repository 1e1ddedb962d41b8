from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from proofset.config import Study
from proofset.errors import ConfigError, InputError, RecordError
from proofset.nouns.event import Event, Finished, Spent, Started
from proofset.nouns.result import Usage, UsageBasis
from proofset.runs.folder import Run
from proofset.walk import Walk, wait_for


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
    for seconds, stage in ((3600.0, "generate"), (1800.0, "generate"), (7200.0, "audit")):
        walk.tell(Spent(usage=walk.price(Usage(model="m", stage=stage, core_seconds=seconds))))
        walk.run.begin("synthesize", stage + str(seconds))  # a new key does not make spent money come back
    assert walk.spent_usd == pytest.approx(walk.spent_usd.__class__("0.075"))


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

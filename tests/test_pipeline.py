"""The whole path on a toy town: done once, resumed after a kill, redone from where a setting changed."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from proofset import pipeline
from proofset.config import Study
from proofset.errors import ConfigError, LeakageError, RunUnwritable, UnpricedModel
from proofset.nouns.event import (
    BriefClosed,
    Claimed,
    Costed,
    DeficitRanked,
    Finished,
    JudgeMeasured,
    Measured,
    Proposed,
    SliceClosed,
    Spent,
    Started,
)
from proofset.nouns.record import Origin
from proofset.nouns.result import UsageBasis
from proofset.plugins import Request
from proofset.runs import tables
from proofset.runs.folder import Run
from proofset.walk import Walk

TOWN_FILE = Path(__file__).parent / "toy" / "town.py"


LOOP_STAGES = {"generate", "critic"}
"""Without a trial."""


def corpus(run: Run) -> str:
    """The dataset handed off, byte for byte."""
    return run.path("handoff/dataset.jsonl").read_text(encoding="utf-8")


def test_the_whole_path(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    model = town.walk_town(study_file, tmp_path / "runs")
    run = Run.read(tmp_path / "runs" / "town")
    done = [event.verb for event in run.events if isinstance(event, Finished)]
    assert done == list(pipeline.VERBS)
    assert "<html" in run.path("report.html").read_text(encoding="utf-8")

    lines = [json.loads(line) for line in corpus(run).splitlines()]
    closed = [event for event in run.events if isinstance(event, BriefClosed)]
    assert len(lines) == sum(event.winner is not None for event in closed) > 12  # the rare slice and its companion
    assert {line["label"] for line in lines} >= {"storm"}
    assert all(line["synthetic"] is True and line["generation"] == 1 for line in lines)
    (stop,) = [event for event in run.events if isinstance(event, SliceClosed) and event.slice == "storm"]
    assert (stop.accepted, stop.stop) == (12, "quota met")
    assert len(model.requests) == sum(isinstance(event, Proposed) for event in run.events)

    heldout = {item.text for item in tables.read_heldout(run.path("heldout/records.parquet"))}
    known = tables.read_records(run.path("records/organic.parquet"))
    assert not heldout & {line["text"] for line in lines}
    assert not heldout & {record.text for record in known}
    assert {record.origin for record in known} == {Origin.ORGANIC}
    for request in model.requests:
        assert not any(text in request.prompt for text in heldout)

    (costed,) = [event.statement for event in run.events if isinstance(event, Costed)]
    assert costed.total_usd > 0 and costed.accepted == len(lines)
    (edge_claim, *_) = [event.claim for event in run.events if isinstance(event, Claimed)]
    assert edge_claim.words
    for name in ("deficits", "measures", "ledger", "gain", "dropped"):
        assert run.path(f"tables/{name}.parquet").exists()


def test_a_second_walk_does_nothing(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    town.walk_town(study_file, tmp_path / "runs")
    before = len(Run.read(tmp_path / "runs" / "town").events)
    model = town.walk_town(study_file, tmp_path / "runs")
    added = Run.read(tmp_path / "runs" / "town").events[before:]
    assert model.requests == []
    assert [type(event).__name__ for event in added] == ["Opened"]


def test_a_changed_setting_redoes_what_depends_on_it_and_nothing_else(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    town.walk_town(study_file, tmp_path / "runs")
    before = len(Run.read(tmp_path / "runs" / "town").events)
    study_file.write_text(study_file.read_text().replace("resamples = 300", "resamples = 400"), encoding="utf-8")
    town.walk_town(study_file, tmp_path / "runs")
    added = Run.read(tmp_path / "runs" / "town").events[before:]
    assert [event.verb for event in added if isinstance(event, Started)] == ["prove", "report"]


def test_how_arms_are_trained_does_not_touch_the_corpus(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    town.walk_town(study_file, tmp_path / "runs")
    before = len(Run.read(tmp_path / "runs" / "town").events)
    study_file.write_text(study_file.read_text().replace("[1.0, 0.25]", "[0.0, 0.5]"), encoding="utf-8")
    town.walk_town(study_file, tmp_path / "runs")
    added = Run.read(tmp_path / "runs" / "town").events[before:]
    assert [event.verb for event in added if isinstance(event, Started)] == ["train", "prove", "report"]


def test_changed_judges_judge_again_what_was_already_paid_for(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    first = town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    run = Run.read(tmp_path / "runs" / "town")
    paid = sum(isinstance(event, Spent) and event.usage.stage == "generate" for event in run.events)
    assert paid == len(first.requests)
    study_file.write_text(study_file.read_text().replace("threshold = 0.5", "threshold = 0.7"), encoding="utf-8")
    second = town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    again = Run.read(tmp_path / "runs" / "town")
    asked = [event.candidate.brief_id for event in run.events if isinstance(event, Proposed)]
    known = [event.candidate.brief_id for event in again.since("synthesize") if isinstance(event, Proposed)]
    assert len(known) - len(set(known) & set(asked)) == len(second.requests) < len(first.requests)
    town.walk_town(town.write_town(tmp_path / "fresh"), tmp_path / "unused", verb="ingest")
    fresh = tmp_path / "fresh" / "study.toml"
    fresh.write_text(study_file.read_text(), encoding="utf-8")
    town.walk_town(fresh, tmp_path / "fresh" / "runs", verb="handoff")
    assert corpus(again) == corpus(Run.read(tmp_path / "fresh" / "runs" / "town"))


def test_what_another_run_has_asked_is_not_paid_again(town: ModuleType, tmp_path: Path) -> None:
    """Another folder, other judges, a smaller quota: what is asked is part of what was asked, and costs nothing."""
    study_file, store = town.write_town(tmp_path), tmp_path / "shared"
    with study_file.open("a", encoding="utf-8") as file:
        file.write(town.CRITIC_MODEL)
    reader = town.critic()
    first = town.walk_town(study_file, tmp_path / "runs", verb="handoff", reader=reader, store=store)
    assert first.requests and reader.requests
    text = study_file.read_text(encoding="utf-8").replace("quota = 12", "quota = 8")
    study_file.write_text(text.replace("threshold = 0.5", "threshold = 0.45"), encoding="utf-8")
    reader = town.critic()
    second = town.walk_town(study_file, tmp_path / "others", verb="handoff", reader=reader, store=store)
    assert second.requests == reader.requests == []
    run = Run.read(tmp_path / "others" / "town")
    asked = [event.usage for event in run.events if isinstance(event, Spent) and event.usage.stage in LOOP_STAGES]
    assert {usage.stage for usage in asked} == LOOP_STAGES
    assert {(usage.basis, usage.usd) for usage in asked} == {(UsageBasis.REPLAY, Decimal(0))}
    assert all(usage.avoided_usd and usage.avoided_usd > 0 for usage in asked)
    assert 0 < len(corpus(run).splitlines()) < len(corpus(Run.read(tmp_path / "runs" / "town")).splitlines())


def test_the_same_study_out_of_the_store_has_the_same_corpus(town: ModuleType, tmp_path: Path) -> None:
    study_file, store = town.write_town(tmp_path), tmp_path / "shared"
    town.walk_town(study_file, tmp_path / "runs", verb="handoff", store=store)
    assert town.walk_town(study_file, tmp_path / "others", verb="handoff", store=store).requests == []
    runs = [Run.read(tmp_path / folder / "town") for folder in ("runs", "others")]
    assert corpus(runs[0]) == corpus(runs[1])
    assert town.walk_town(study_file, tmp_path / "elsewhere" / "runs", verb="handoff").requests != []


@pytest.mark.parametrize(("usd", "reads"), [("0.000000000001", False), ("0.000002", False), ("0.000002", True)])
def test_a_raised_budget_goes_on_where_the_money_ended(town: ModuleType, tmp_path: Path, usd: str, reads: bool) -> None:
    study_file = town.write_town(tmp_path)
    plain = study_file.read_text(encoding="utf-8") + (town.CRITIC_MODEL if reads else "")
    study_file.write_text(plain + f'\n[synthesize.budget]\nusd = "{usd}"\n', encoding="utf-8")
    readers = [town.critic(), town.critic()]
    first = town.walk_town(study_file, tmp_path / "runs", verb="synthesize", reader=readers[0])
    poor = Run.read(tmp_path / "runs" / "town").events
    assert "budget" in {event.stop for event in poor if isinstance(event, SliceClosed)}
    spent = sum(e.usage.usd or Decimal(0) for e in poor if isinstance(e, Spent) and e.usage.stage in LOOP_STAGES)
    assert spent < Decimal(usd) + 6 * Decimal("0.00000014")  # in this process, the first calls have no known bound

    study_file.write_text(plain, encoding="utf-8")
    second = town.walk_town(study_file, tmp_path / "runs", verb="handoff", reader=readers[1])
    seeds = [request.seed for request in (*first.requests, *second.requests)]
    read = [request.messages for reader in readers for request in reader.requests]
    assert first.requests and len(seeds) == len(set(seeds)) and len(read) == len(set(read)) and bool(read) == reads
    rich = tmp_path / "rich"
    town.write_town(rich).write_text(plain, encoding="utf-8")
    town.walk_town(rich / "study.toml", rich / "runs", verb="handoff")
    assert corpus(Run.read(tmp_path / "runs" / "town")) == corpus(Run.read(rich / "runs" / "town"))


def test_where_nothing_starves_nothing_is_written_and_nothing_claimed(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    text = study_file.read_text().replace("folds = 3", "folds = 3\nedge_max_records = 1")
    study_file.write_text(text, encoding="utf-8")
    model = town.walk_town(study_file, tmp_path / "runs")
    run = Run.read(tmp_path / "runs" / "town")
    assert model.requests == [] and corpus(run) == ""
    (costed,) = [event.statement for event in run.events if isinstance(event, Costed)]
    assert (costed.accepted, costed.usd_per_accepted) == (0, None)
    assert all(event.measure.value is None for event in run.events if isinstance(event, Measured))
    assert {event.claim.claim for event in run.events if isinstance(event, Claimed)} <= {"not shown"}
    assert "<html" in run.path("report.html").read_text(encoding="utf-8")


def test_new_rows_in_the_data_redo_everything(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    town.walk_town(study_file, tmp_path / "runs", verb="audit")
    before = len(Run.read(tmp_path / "runs" / "town").events)
    with (tmp_path / "notices.csv").open("a", encoding="utf-8") as file:
        file.write("a wholly new notice about hail and thunder,storm\n")
    town.walk_town(study_file, tmp_path / "runs", verb="audit")
    added = Run.read(tmp_path / "runs" / "town").events[before:]
    assert [event.verb for event in added if isinstance(event, Started)] == ["ingest", "audit"]


@pytest.mark.timeout(180)
def test_killed_and_resumed_it_ends_with_the_same_corpus(town: ModuleType, tmp_path: Path) -> None:
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    town.walk_town(town.write_town(quiet), quiet / "runs", verb="handoff")
    town.write_town(killed)
    folder, kills = killed / "runs" / "town", 0
    for wanted in (3, 9, 17):  # proposals to wait for before each kill: early, in the middle, late
        process = subprocess.Popen([sys.executable, str(TOWN_FILE), str(killed), "0.12"])
        log = folder / "events.jsonl"
        while process.poll() is None:
            if log.exists() and log.read_bytes().count(b'"Proposed"') >= wanted:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3
    before = sum(isinstance(event, Proposed) for event in Run.read(folder).events)
    model = town.walk_town(killed / "study.toml", killed / "runs", verb="handoff")
    run = Run.read(folder)
    assert corpus(run) == corpus(Run.read(quiet / "runs" / "town"))
    proposed = [event.candidate.brief_id for event in run.events if isinstance(event, Proposed)]
    assert len(proposed) == len(set(proposed)) == before + len(model.requests)  # no brief was answered twice
    assert sum(isinstance(event, SliceClosed) for event in run.events) == 2


def stored(folder: Path) -> int:
    """How many replies are safe in the store in ``folder``."""
    with sqlite3.connect(folder / "responses" / "responses.sqlite") as connection:
        (n,) = connection.execute("SELECT count(*) FROM responses").fetchone()
    connection.close()
    return int(n)


def log_lines(study_folder: Path, kind: str) -> int:
    """Lines of a kind in the log of a run that another process may be writing."""
    log = study_folder / "runs" / "town" / "events.jsonl"
    return log.read_bytes().count(f'"kind":"{kind}"'.encode()) if log.exists() else 0


def read_town(town: ModuleType, folder: Path) -> Path:
    """The town with a critic model."""
    study_file: Path = town.write_town(folder)
    with study_file.open("a", encoding="utf-8") as file:
        file.write(town.CRITIC_MODEL)
    return study_file


def test_a_critic_model_reads_what_the_judges_let_through(town: ModuleType, tmp_path: Path) -> None:
    study_file, reader = read_town(town, tmp_path), town.critic()
    model = town.walk_town(study_file, tmp_path / "runs", reader=reader)
    run = Run.read(tmp_path / "runs" / "town")
    reasons = Counter(event.reason for event in run.events if isinstance(event, BriefClosed))
    assert reasons["unnatural"] and reasons["no verdict"] and reasons["repeats itself"], reasons
    (stop,) = [event for event in run.events if isinstance(event, SliceClosed) and event.slice == "storm"]
    assert (stop.accepted, stop.stop) == (12, "quota met")
    asked = {request.purpose.brief_id for request in reader.requests}
    repeated = {event.brief_id for event in run.events if isinstance(event, BriefClosed) and "itself" in event.reason}
    assert repeated and not asked & repeated  # what a gate refuses is not paid for twice
    assert len(asked) < len(model.requests)
    stages = Counter(event.usage.stage for event in run.events if isinstance(event, Spent))
    assert stages["critic"] == len(reader.requests) and stages["generate"] == len(model.requests)
    winners = {event.winner for event in run.events if isinstance(event, BriefClosed)}
    shown = [request.messages[-1].content.rpartition("- ")[2] for request in reader.requests]
    texts = {e.candidate.text for e in run.events if isinstance(e, Proposed) and e.candidate.id in winners}
    assert texts <= set(shown)


@pytest.mark.parametrize(("answer", "accepted"), [('{"accept": true}', True), ('{"accept": false}', False)])
def test_a_critic_that_always_says_the_same(town: ModuleType, tmp_path: Path, answer: str, accepted: bool) -> None:
    study_file = read_town(town, tmp_path)
    reader = town.SlowChat(0.0, lambda request: answer, "scripted critic")
    town.walk_town(study_file, tmp_path / "runs", verb="handoff", reader=reader)
    found = corpus(Run.read(tmp_path / "runs" / "town"))
    if accepted:
        plain = town.write_town(tmp_path / "plain")
        town.walk_town(plain, tmp_path / "plain" / "runs", verb="handoff")
        assert found == corpus(Run.read(tmp_path / "plain" / "runs" / "town"))
    else:
        assert found == ""
        events = Run.read(tmp_path / "runs" / "town").events
        assert {event.stop for event in events if isinstance(event, SliceClosed)} == {"briefs spent"}


@pytest.mark.timeout(180)
def test_killed_between_generator_and_critic_nothing_that_was_kept_is_asked_again(
    town: ModuleType, tmp_path: Path
) -> None:
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    readers = [town.critic(), town.critic()]
    model = town.walk_town(read_town(town, quiet), quiet / "runs", verb="handoff", reader=readers[0])
    assert stored(quiet) == len(model.requests) + len(readers[0].requests)
    read_town(town, killed)
    kills = 0
    for wanted in (5, 20):  # proposals to wait for before each kill
        process = subprocess.Popen([sys.executable, str(TOWN_FILE), str(killed), "0.12"])
        while process.poll() is None:
            if log_lines(killed, "Proposed") >= wanted:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 2
    safe, answered = stored(killed), log_lines(killed, "Proposed")
    second = town.walk_town(killed / "study.toml", killed / "runs", verb="handoff", reader=readers[1])
    run = Run.read(killed / "runs" / "town")
    assert corpus(run) == corpus(Run.read(quiet / "runs" / "town"))
    assert stored(killed) == safe + len(second.requests) + len(readers[1].requests)  # each call brought a new reply
    assert len(second.requests) == len(model.requests) - answered
    assert len(readers[1].requests) < len(readers[0].requests)
    closings = [event.brief_id for event in run.events if isinstance(event, BriefClosed)]
    assert len(closings) == len(set(closings)) == len(model.requests)


SERVED = """
[synthesize.model]
engine = "chat"
base_url = "http://127.0.0.1:9/v1"
model = "generator"
usd_per_million_input = "1"
usd_per_million_output = "4"
slots = 4

[synthesize.critic.model]
engine = "chat"
base_url = "http://127.0.0.1:9/v1"
model = "reader"
usd_per_million_input = "1"
usd_per_million_output = "4"

[synthesize.budget]
usd = "{usd}"
"""


@pytest.mark.timeout(40)
@pytest.mark.parametrize("usd", ["0.0001", "0.006", "0.008"])
def test_a_tight_budget_ends_the_loop_though_the_critics_ways_must_be_found_out_first(
    town: ModuleType, tmp_path: Path, usd: str
) -> None:
    """Everything that is reserved must not wait for a question that itself waits for what is reserved."""
    study_file = town.write_town(tmp_path)
    text = study_file.read_text(encoding="utf-8").replace("window = 3", "window = 30")
    study_file.write_text(text + SERVED.format(usd=usd), encoding="utf-8")

    def answer(request: Request) -> str:
        told: str = '{"sum": 7}' if "three plus four" in request.messages[-1].content else town.opinion(request)
        return told

    reader = town.SlowChat(0.001, answer, "reader")
    reader.json_form = ""
    town.walk_town(study_file, tmp_path / "runs", seconds=0.001, verb="synthesize", reader=reader)
    events = Run.read(tmp_path / "runs" / "town").events
    assert "budget" in {event.stop for event in events if isinstance(event, SliceClosed)}
    usages = [event.usage for event in events if isinstance(event, Spent) and event.usage.stage in LOOP_STAGES]
    assert sum(usage.usd or Decimal(0) for usage in usages) <= Decimal(usd)
    if usd != "0.0001":  # enough for one brief
        assert reader.json_form == "json_schema"
        assert any(event.winner for event in events if isinstance(event, BriefClosed))


def test_a_verb_interrupted_half_way_counts_nothing_twice(
    town: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_file = town.write_town(tmp_path)

    def full_disk(*arguments: object) -> None:
        raise RunUnwritable("no space left")

    with monkeypatch.context() as broken, pytest.raises(RunUnwritable):
        broken.setattr(pipeline, "_confusion", full_disk)  # the deficits are in the log by then
        town.walk_town(study_file, tmp_path / "runs", verb="audit")
    town.walk_town(study_file, tmp_path / "runs", verb="synthesize")
    run = Run.read(tmp_path / "runs" / "town")
    assert sum(isinstance(event, DeficitRanked) for event in run.events) == 6
    assert sum(isinstance(event, DeficitRanked) for event in run.since("audit")) == 3
    assert sum(isinstance(event, SliceClosed) for event in run.events) == 2


def test_judges_are_tried_once_before_the_first_candidate(town: ModuleType, tmp_path: Path) -> None:
    town.walk_town(town.write_town(tmp_path), tmp_path / "runs", verb="synthesize")
    kinds = [type(event) for event in Run.read(tmp_path / "runs" / "town").events]
    assert max(place for place, kind in enumerate(kinds) if kind is JudgeMeasured) < kinds.index(Proposed)


def test_a_critic_below_its_floor_may_not_start(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    text = study_file.read_text().replace("threshold = 0.5", "threshold = 0.0\nmin_fault_recall = 0.9")
    study_file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="planted wrong labels"):
        town.walk_town(study_file, tmp_path / "runs")
    events = Run.read(tmp_path / "runs" / "town").events
    assert not any(isinstance(event, Proposed) for event in events)


def test_held_out_text_among_the_definitions_stops_the_proof(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    town.walk_town(study_file, tmp_path / "runs", verb="ingest")
    leaked, *_ = tables.read_heldout(tmp_path / "runs" / "town" / "heldout" / "records.parquet")
    (tmp_path / "definitions.csv").write_text(f"slice,text\n{leaked.label},{leaked.text}\n", encoding="utf-8")
    with study_file.open("a", encoding="utf-8") as file:
        file.write('\n[ground]\npassages = "definitions.csv"\n')
    with pytest.raises(LeakageError, match=leaked.id):
        town.walk_town(study_file, tmp_path / "runs")


def test_a_budget_stops_the_loop_and_says_so(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    with study_file.open("a", encoding="utf-8") as file:
        file.write('\n[synthesize.budget]\nusd = "0.000000000001"\n')
    town.walk_town(study_file, tmp_path / "runs", verb="synthesize")
    events = Run.read(tmp_path / "runs" / "town").events
    stops = [event.stop for event in events if isinstance(event, SliceClosed)]
    assert stops and set(stops) == {"budget"}
    assert sum(isinstance(event, Proposed) for event in events) <= 3 * len(stops)  # the window, and no more


def test_an_unpriced_server_is_refused_before_anything_is_sent(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    with study_file.open("a", encoding="utf-8") as file:
        file.write('\n[synthesize.model]\nengine = "chat"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\n')
    with pytest.raises(UnpricedModel):
        town.walk_town(study_file, tmp_path / "runs")


def test_every_processor_second_is_priced(town: ModuleType, tmp_path: Path) -> None:
    town.walk_town(town.write_town(tmp_path), tmp_path / "runs")
    events = Run.read(tmp_path / "runs" / "town").events
    paid = {event.usage.stage for event in events if isinstance(event, Spent)}
    assert {"ingest", "audit", "judge", "generate", "measure"} <= paid
    assert all(event.usage.usd is not None for event in events if isinstance(event, Spent))


def test_keys_change_with_settings_seed_and_data(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    study = Study.read(study_file)
    with Run.open(tmp_path / "runs" / "town", study.model_dump(mode="json"), "") as run:
        walk = Walk(run, study, tmp_path)
        keys = {verb: pipeline.key(walk, verb) for verb in pipeline.VERBS}
        assert len(set(keys.values())) == len(keys)
        walk.study = study.model_copy(update={"seed": 99})
        assert all(pipeline.key(walk, verb) != keys[verb] for verb in pipeline.VERBS)
        walk.study = study.model_copy(update={"title": "another title"})
        assert pipeline.key(walk, "prove") == keys["prove"]

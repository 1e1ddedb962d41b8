"""The command line as a user meets it: what it prints, and how it fails on what people really do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from proofset import cli, pipeline, speaking
from proofset.nouns.event import BriefClosed, Finished, JudgeMeasured, Proposed, SliceClosed
from proofset.runs.folder import Run

TOWN_FILE = Path(__file__).parent / "toy" / "town.py"


class Outcome:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Command = Callable[..., Outcome]
"""Runs a command line in this process."""


@pytest.fixture
def proofset(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process."""

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["proofset", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


def study(folder: Path, rows: str | bytes, extra: str = "") -> Path:
    """A study file over a data file with these contents."""
    content = rows.encode() if isinstance(rows, str) else rows
    (folder / "data.csv").write_bytes(content)
    path = folder / "study.toml"
    path.write_text(f'name = "s"\n[ingest]\npath = "data.csv"\n{extra}', encoding="utf-8")
    return path


def test_run_then_show(proofset: Command, town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    first = proofset("run", study_file, "--runs", tmp_path / "runs")
    assert first.code == 0, first.err
    assert str((tmp_path / "runs" / "town" / "report.html").resolve()) in first.out.replace("\n", "")
    again = proofset("run", study_file, "--runs", tmp_path / "runs")
    assert again.code == 0 and "nothing to do" in again.err
    shown = proofset("show", tmp_path / "runs" / "town", "--json")
    findings = json.loads(shown.out)
    assert findings["ingested"]["rows"] == 134
    assert {step["state"] for step in findings["steps"]} <= {"done", "not asked for"}


def test_calibrate_puts_the_judges_on_trial_and_goes_no_farther(
    proofset: Command, town: ModuleType, tmp_path: Path
) -> None:
    study_file = town.write_town(tmp_path)
    tried = proofset("calibrate", study_file, "--runs", tmp_path / "runs")
    assert tried.code == 0, tried.err
    words = " ".join(tried.out.replace("\u00a0", " ").split())
    for fragment in ("The judges on trial", "judge good records faults it is there for refused n", "wrong label",
                     "cascade", "10 % faulty", "break-even"):  # fmt: skip
        assert fragment in words, fragment
    assert max(map(len, tried.out.splitlines())) <= 80
    done = [event.verb for event in Run.read(tmp_path / "runs" / "town").events if isinstance(event, Finished)]
    assert done == ["ingest", "audit", "ground", "calibrate"]
    again = proofset("calibrate", study_file, "--runs", tmp_path / "runs", "--json")
    assert "nothing to do" not in again.out
    trial = json.loads(again.out)["trial"]
    assert trial["rows"][-1]["judge"] == trial["judge"] == "cascade" and trial["worths"]


@pytest.mark.parametrize("verb", list(cli.DETAILS))
def test_every_verb_speaks_json(proofset: Command, town: ModuleType, tmp_path: Path, verb: str) -> None:
    study_file = town.write_town(tmp_path)
    done = proofset(verb, study_file, "--runs", tmp_path / "runs", "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer[cli.DETAILS[verb]]
    assert next(step for step in answer["steps"] if step["verb"] == verb)["state"] == "done"


@pytest.mark.parametrize(
    ("rows", "extra", "words"),
    [
        ("", "", ["data.csv", "no rows"]),
        ("text,label\n", "", ["data.csv", "no rows"]),
        ("text,kind\na,b\n", "", ["data.csv", "'label'", "kind"]),
        ('text,label\n"never closed,b\n', "", ["data.csv:2"]),
        ("text,label\na,b\nc,d,e\n", "", ["data.csv:3"]),
        (b"text,label\nfine,a\n\xff\xfe broken,b\n", "", ["data.csv", "3", "UTF-8"]),
        ("text,label\nall one,a\nall two,a\n", "", ["label"]),
        ("text,label\na,b\n", "txet = 'text'\n", ["ingest.txet", "no such setting"]),
        ("text,label\na,b\n", "heldout_share = 2\n", ["ingest.heldout_share"]),
        ("text,label\na,b\n", "reader = 'xlsx'\n", ["xlsx", "csv"]),
    ],
)
def test_bad_input_is_one_clear_error(
    proofset: Command,
    tmp_path: Path,
    rows: str | bytes,
    extra: str,
    words: list[str],
) -> None:
    outcome = proofset("run", study(tmp_path, rows, extra), "--runs", tmp_path / "runs")
    assert outcome.code == 2, outcome.err
    assert "error:" in outcome.err and "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err
    folder = tmp_path / "runs" / "s"
    if folder.exists():  # nothing half-written: no verb is called finished, no data file is there
        assert not any(isinstance(event, Finished) for event in Run.read(folder).events)
        assert not list(folder.rglob("*.parquet"))


def test_missing_files(proofset: Command, tmp_path: Path) -> None:
    assert "no such study file" in proofset("run", tmp_path / "nothing.toml").err
    outcome = proofset("show", tmp_path)
    assert outcome.code == 3 and "error:" in outcome.err
    path = study(tmp_path, "text,label\na,b\n")
    (tmp_path / "data.csv").unlink()
    outcome = proofset("run", path, "--runs", tmp_path / "runs")
    assert outcome.code == 2 and "data.csv" in outcome.err


def test_a_second_writer_is_told_who_holds_the_run(proofset: Command, town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    with Run.open(tmp_path / "runs" / "town", {"name": "town"}, ""):
        holder = subprocess.run(  # another process, as in life
            [sys.executable, "-m", "proofset", "ingest", str(study_file), "--runs", str(tmp_path / "runs")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert holder.returncode == 3
    assert str(os.getpid()) in holder.stderr and "Traceback" not in holder.stderr


def test_a_run_folder_that_cannot_be_written(proofset: Command, town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    (tmp_path / "runs").write_text("a file where the folder should be", encoding="utf-8")
    outcome = proofset("ingest", study_file, "--runs", tmp_path / "runs")
    assert outcome.code == 3 and "runs" in outcome.err and "Traceback" not in outcome.err


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a tiny disk takes root on Linux")
def test_a_full_disk_loses_nothing(proofset: Command, town: ModuleType, tmp_path: Path) -> None:
    study_file, disk = town.write_town(tmp_path), tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=56k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine may not mount a tmpfs")
    try:
        outcome = proofset("run", study_file, "--runs", disk)
        assert outcome.code == 3, outcome.err
        assert str(disk) in outcome.err and "Traceback" not in outcome.err
        before = Run.read(disk / "town").events  # the log is whole
        assert before
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        resumed = proofset("run", study_file, "--runs", disk)
        assert resumed.code == 0, resumed.err
        after = Run.read(disk / "town")
        assert after.events[: len(before)] == before
        elsewhere = proofset("run", study_file, "--runs", tmp_path / "elsewhere")
        assert elsewhere.code == 0
        dataset = "town/handoff/dataset.jsonl"
        assert (disk / dataset).read_bytes() == (tmp_path / "elsewhere" / dataset).read_bytes()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_read_only_disk(proofset: Command, town: ModuleType, tmp_path: Path) -> None:
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("mounting a read-only disk takes root")
    study_file, disk = town.write_town(tmp_path), tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine may not mount a tmpfs")
    try:
        outcome = proofset("ingest", study_file, "--runs", disk)
        assert outcome.code == 3 and "read-only" in outcome.err.casefold() and "Traceback" not in outcome.err
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_verbs_of_the_command_line_are_the_pipelines() -> None:
    assert list(cli.SUMMARIES) == list(pipeline.VERBS)
    assert set(cli.SUMMARIES) <= set(cli.cli.commands)


def test_fetch_lists_what_is_pinned(proofset: Command) -> None:
    assert "smollm2-135m-instruct" in proofset("fetch", "--list").out
    names = [each["name"] for each in json.loads(proofset("fetch", "--list", "--json").out)]
    assert {"static-embeddings", "sms-spam", "cwe", "reuters-r52"} <= set(names)
    assert proofset("fetch", "no-such-thing").code == 2


def test_debug_shows_the_traceback(proofset: Command, tmp_path: Path) -> None:
    from proofset.errors import ConfigError

    with pytest.raises(ConfigError):
        proofset("--debug", "run", tmp_path / "nothing.toml")


def test_ctrl_c_says_how_to_go_on(
    proofset: Command, town: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", interrupted)
    outcome = proofset("run", town.write_town(tmp_path), "--runs", tmp_path / "runs")
    assert outcome.code == 130 and "goes on from here" in outcome.err


# ── budgets and interruptions ───────────────────────────────────────────────────────────────────────────────────────


def write_read_town(town: ModuleType, folder: Path) -> Run:
    """The town with a critic model in ``folder``, and the run that it comes to when nothing happens to it."""
    for place in (folder, folder / "quiet"):
        with town.write_town(place).open("a", encoding="utf-8") as file:
            file.write(town.CRITIC_MODEL)
    town.walk_town(folder / "quiet" / "study.toml", folder / "quiet" / "runs", verb="handoff")
    return Run.read(folder / "quiet" / "runs" / "town")


def dataset(run: Run) -> bytes:
    return run.path("handoff/dataset.jsonl").read_bytes()


def proposed(run: Run) -> list[str]:
    return [event.candidate.brief_id for event in run.events if isinstance(event, Proposed)]


def test_a_budget_on_the_command_line_ends_well_and_more_of_it_goes_on(
    proofset: Command, town: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet, readers = write_read_town(town, tmp_path), [town.critic() for _ in range(3)]
    made = iter(readers)
    monkeypatch.setattr(speaking, "make", lambda *_: next(made))
    monkeypatch.setenv("PROOFSET_RESPONSES", str(tmp_path / "responses"))  # walk_town has left the quiet one's there
    command = ("run", tmp_path / "study.toml", "--runs", tmp_path / "runs", "--budget-usd")
    poor = proofset(*command, "0.000002", "--json")
    assert poor.code == 0, poor.err
    assert "the budget is used up" in poor.err and json.loads(poor.out)["steps"]
    run = Run.read(tmp_path / "runs" / "town")
    assert {event.stop for event in run.events if isinstance(event, SliceClosed)} & {"budget"}
    assert len(dataset(run)) < len(dataset(quiet))
    rich = proofset(*command, "1.00")
    assert rich.code == 0, rich.err
    assert dataset(Run.read(tmp_path / "runs" / "town")) == dataset(quiet)
    asked = [request.messages for reader in readers for request in reader.requests]
    assert len(asked) == len(set(asked)) > len(readers[0].requests) > 0
    again = proofset(*command, "1.00")
    assert again.code == 0 and "nothing to do" in again.err


def test_a_budget_that_is_no_amount_is_refused(proofset: Command, town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    outcome = proofset("run", study_file, "--runs", tmp_path / "runs", "--budget-usd", "much")
    assert outcome.code == 2 and "much" in outcome.err and "--budget-usd" in outcome.err
    assert not (tmp_path / "runs").exists()


def start(folder: Path, seconds: float, *, kind: str, until: int) -> subprocess.Popen[str]:
    """``proofset handoff`` in a process of its own, with slow models, once its log has so many events of a kind."""
    log = folder / "runs" / "town" / "events.jsonl"
    verb = ["handoff", str(folder / "study.toml"), "--runs", str(folder / "runs")]
    command = [sys.executable, str(TOWN_FILE), str(folder), str(seconds), *verb]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = f'"kind":"{kind}"'.encode()
    while process.poll() is None and not (log.exists() and log.read_bytes().count(line) >= until):
        time.sleep(0.01)
    assert process.poll() is None, "it was over before anybody could press anything"
    return process


def test_the_first_ctrl_c_ends_what_is_in_flight_and_the_command_goes_on_from_there(
    town: ModuleType, tmp_path: Path
) -> None:
    quiet = write_read_town(town, tmp_path)
    process = start(tmp_path, 0.2, kind="Proposed", until=5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "finishing what is in flight" in err and "goes on from here" in err and "Traceback" not in err
    assert (tmp_path / "runs" / "town" / "events.jsonl").read_bytes().endswith(b"\n")
    run = Run.read(tmp_path / "runs" / "town")
    closed = {event.brief_id for event in run.events if isinstance(event, BriefClosed)}
    assert set(proposed(run)) == closed and len(closed) >= 5  # all that was begun was also decided
    assert not any(isinstance(event, SliceClosed) for event in run.events)
    assert not any(event.verb == "synthesize" for event in run.events if isinstance(event, Finished))
    town.walk_town(tmp_path / "study.toml", tmp_path / "runs", verb="handoff")
    run = Run.read(tmp_path / "runs" / "town")
    assert dataset(run) == dataset(quiet)
    assert sorted(proposed(run)) == sorted(proposed(quiet))


def test_the_second_ctrl_c_waits_for_nobody(town: ModuleType, tmp_path: Path) -> None:
    quiet = write_read_town(town, tmp_path)
    tried = sum(isinstance(event, JudgeMeasured) for event in quiet.events)
    process = start(tmp_path, 600.0, kind="JudgeMeasured", until=tried)
    time.sleep(1.0)  # by now the models are asked; their answers take minutes
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert "finishing what is in flight" in err and "goes on from here" in err and "Traceback" not in err
    town.walk_town(tmp_path / "study.toml", tmp_path / "runs", verb="handoff")
    assert dataset(Run.read(tmp_path / "runs" / "town")) == dataset(quiet)

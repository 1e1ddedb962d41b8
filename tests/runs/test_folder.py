from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.config import Cost
from proofset.errors import LogCorrupt, RunError, RunLocked, RunMismatch, RunUnwritable
from proofset.nouns.event import BriefClosed, Event, Finished, Opened, Started
from proofset.runs import folder as folder_module
from proofset.runs.folder import Run, stage_key
from proofset.runs.log import encode, replay
from proofset.speakers import Section

SETTINGS: dict[str, object] = {"name": "spam", "seed": 1, "strengths": (1.0, 3.0), "price": Decimal("0.10")}
TOML = 'name = "späm"\r\n'


def closed(number: int) -> Event:
    return BriefClosed(brief_id=f"b{number}", slice="s", number=number, winner=None, reason="copy")


def opened(folder: Path, **settings: object) -> Run:
    return Run.open(folder, SETTINGS | settings, TOML)


def saying(content: bytes) -> Callable[[Path], None]:
    def write(draft: Path) -> None:
        draft.write_bytes(content)

    return write


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


# --- opening ---------------------------------------------------------------------------------------------------------


def test_a_new_folder_says_what_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "spam"
    with opened(folder) as run:
        assert run.folder == folder
        assert [type(event) for event in run.events] == [Opened]
        assert run.settings["strengths"] == [1.0, 3.0]
    assert (folder / "study.toml").read_bytes() == TOML.encode(), "to the byte"
    described = json.loads((folder / "run.json").read_text())
    assert described["settings"] == {"name": "spam", "seed": 1, "strengths": [1.0, 3.0], "price": "0.10"}
    assert described["python"] == sys.version.split()[0]
    assert described["proofset"]
    assert described["platform"]


def test_a_second_opening_goes_on_from_the_first(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.append(closed(1))
    before = (tmp_path / "run.json").stat().st_mtime_ns
    with opened(tmp_path) as run:
        assert closed(1) in run.events
        run.append(closed(2))
    assert [type(event) for event in run.events] == [Opened, BriefClosed, Opened, BriefClosed]
    assert Run.read(tmp_path).events == run.events
    assert (tmp_path / "run.json").stat().st_mtime_ns == before, "equal settings are not written again"


def test_other_settings_replace_the_description_and_keep_the_log(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.append(closed(1))
    with Run.open(tmp_path, SETTINGS | {"seed": 2}, "seed = 2\n") as run:
        assert run.settings["seed"] == 2
        assert closed(1) in run.events
    assert (tmp_path / "study.toml").read_text() == "seed = 2\n"


def test_a_study_of_another_name_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    opened(tmp_path).close()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.suffix in {".json", ".jsonl", ".toml"}}
    with pytest.raises(RunMismatch, match="'spam', not of 'reuters'") as caught:
        opened(tmp_path, name="reuters")
    assert caught.value.hint
    assert {path: path.read_bytes() for path in before} == before
    opened(tmp_path).close()


def test_a_torn_log_is_healed_and_a_damaged_one_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.append(closed(1))
    log = tmp_path / "events.jsonl"
    log.write_bytes(log.read_bytes()[:-7])
    with opened(tmp_path) as run:
        assert [type(event) for event in run.events] == [Opened, Opened]
    log.write_bytes(b"?\n" + log.read_bytes())
    for _ in range(2):  # the lock was let go, or the second would say RunLocked
        with pytest.raises(LogCorrupt):
            opened(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": 3}'])
def test_a_damaged_description_names_the_file(content: str, tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=r"run\.json") as caught:
        opened(tmp_path)
    assert "delete this file" in caught.value.hint
    (tmp_path / "run.json").unlink()
    opened(tmp_path).close()


# --- one writer ------------------------------------------------------------------------------------------------------


def test_a_second_writer_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        with pytest.raises(RunLocked, match=f"process {os.getpid()} on .*, since 20") as caught:
            opened(tmp_path)
        assert str(tmp_path) in str(caught.value)
        assert caught.value.hint
        (tmp_path / "run.lock.json").write_text("?")
        with pytest.raises(RunLocked, match="another process"):
            opened(tmp_path)
        assert Run.read(tmp_path).events == run.events, "looking on needs no lock"
    assert "run.lock.json" not in names(tmp_path)
    opened(tmp_path).close()


def test_a_killed_writer_holds_nothing(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from proofset.runs.folder import Run\n"
        "run = Run.open(Path(sys.argv[1]), {'name': 'spam'}, ''); print('open', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(RunLocked, match=f"process {process.pid} on"):
            opened(tmp_path)
        process.kill()
    with opened(tmp_path) as run:
        assert len(run.events) == 2


def test_closing_twice_is_fine_and_what_is_closed_cannot_be_written(tmp_path: Path) -> None:
    run = opened(tmp_path)
    run.close()
    run.close()
    with pytest.raises(RunError, match="not open for writing"):
        run.append(closed(1))
    with pytest.raises(RunError, match="not open for writing"):
        run.write_once("a.txt", Path.touch)
    with pytest.raises(RunError, match="not open for writing"):
        Run.read(tmp_path).begin("audit", "k")


def test_there_is_nothing_to_read_where_no_run_is(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError, match="no run to read") as caught:
            Run.read(folder)
        assert caught.value.hint
    assert names(tmp_path) == set()


# --- stages ----------------------------------------------------------------------------------------------------------


def test_a_verb_is_finished_for_one_key_while_its_files_are_there(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        assert run.last_key("audit") is None
        assert run.since("audit") == []
        assert not run.is_finished("audit", "k1")
        run.begin("audit", "k1")
        assert not run.is_finished("audit", "k1")
        output = run.write_once("tables/deficits.parquet", Path.touch)
        run.finish("audit", "k1", 1.5, 0.5, ("tables/deficits.parquet",))
        run.begin("train", "k9")
        assert run.is_finished("audit", "k1")
        assert not run.is_finished("audit", "k2")
        assert not run.is_finished("train", "k9")
        assert run.last_key("audit") == "k1"
    run = Run.read(tmp_path)
    assert run.is_finished("audit", "k1"), "also for who comes later"
    output.unlink()
    assert not run.is_finished("audit", "k1")


def test_beginning_with_the_same_key_goes_on_and_with_another_starts_afresh(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.begin("synthesize", "k1")
        run.append(closed(1))
        run.begin("synthesize", "k1")
        run.append(closed(2))
        assert run.since("synthesize") == [closed(1), closed(2)]
        run.finish("synthesize", "k1", 1.0, 1.0)
        run.begin("synthesize", "k2")
        assert run.since("synthesize") == []
        assert not run.is_finished("synthesize", "k1"), "what was made for k1 may have been replaced since"
        assert not run.is_finished("synthesize", "k2")
        run.begin("synthesize", "k1")
        assert run.last_key("synthesize") == "k1"
        assert not run.is_finished("synthesize", "k1")


@given(steps=st.lists(st.tuples(st.sampled_from("be"), st.sampled_from("av"), st.sampled_from("12")), max_size=12))
def test_finished_is_what_the_log_says_last_of_a_verb(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str]]
) -> None:
    events: list[Event] = [
        Started(verb=verb, key=key) if step == "b" else Finished(verb=verb, key=key, seconds=0.0, core_seconds=0.0)
        for step, verb, key in steps
    ]
    log = tmp_path_factory.mktemp("steps") / "events.jsonl"
    log.write_bytes(b"".join(encode(event, datetime.now(UTC)) for event in events))
    run = Run(log.parent, replay(log))
    for verb in "av":
        told = [(step, key) for step, of, key in steps if of == verb]
        for key in "12":
            assert run.is_finished(verb, key) == (told[-1:] == [("e", key)])
        begun = [key for step, key in told if step == "b"]
        assert run.last_key(verb) == (begun[-1] if begun else None)
        if begun:
            where = max(at for at, (step, of, _) in enumerate(steps) if (step, of) == ("b", verb))
            assert run.since(verb) == events[where + 1 :]


class Nested(Section):
    """A section with another in it."""

    cost: Cost = Cost()
    strengths: tuple[float, ...] = (1.0, 0.1)


def test_keys_depend_on_content_alone() -> None:
    assert stage_key({"a": 1, "b": (2, 3)}, "x", "y") == stage_key({"b": [2, 3], "a": 1}, "x", "y")
    assert stage_key(Nested(), "x") == stage_key(Nested(strengths=(1.0, 0.1)), "x")
    assert stage_key(Nested()) == stage_key(Nested().model_dump())
    assert len(stage_key({})) == 16
    others = [
        stage_key(Nested()),
        stage_key(Nested(), "x"),
        stage_key(Nested(), "x", "y"),
        stage_key(Nested(), "y", "x"),
        stage_key(Nested(), "xy"),
        stage_key(Nested(strengths=(0.1, 1.0))),
        stage_key(Nested(cost=Cost(usd_per_core_hour="0.06"))),
        stage_key({"a": 1}),
        stage_key({"a": "1"}),
    ]
    assert len(set(others)) == len(others)
    assert stage_key({"a": 1}, "x") == "2dae28b7e574184f", "a changed key would redo every run there is"


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_appears_whole_and_replaces_its_predecessor(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        drafts: list[Path] = []

        def write(draft: Path) -> None:
            drafts.append(draft)
            draft.write_text("new")
            assert not target.exists() or target.read_text() == "old"

        target = run.path("tables/deficits.parquet")
        assert run.write_once("tables/deficits.parquet", write) == target
        target.write_text("old")
        run.write_once("tables/deficits.parquet", write)
        assert target.read_text() == "new"
        assert all(draft.suffix == ".parquet" and draft.parent == target.parent for draft in drafts)
        assert names(target.parent) == {"deficits.parquet"}


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_failed_write_leaves_the_old_file_and_no_draft(error: BaseException, tmp_path: Path) -> None:
    def write(draft: Path) -> None:
        draft.write_text("half")
        raise error

    with opened(tmp_path) as run:
        run.write_once("a.txt", saying(b"old"))
        before = names(tmp_path)
        with pytest.raises((RunUnwritable, type(error))) as caught:
            run.write_once("a.txt", write)
        assert isinstance(caught.value, RunUnwritable) == isinstance(error, OSError)
        assert names(tmp_path) == before
        assert run.path("a.txt").read_text() == "old"


def test_drafts_of_a_killed_process_are_swept(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / ".gain.0a1b2c3d.draft.parquet").touch()
    (tmp_path / "tables" / "final.draft.parquet").touch()
    Run.read(tmp_path)
    assert ".gain.0a1b2c3d.draft.parquet" in names(tmp_path), "only a writer knows that nobody fills it"
    opened(tmp_path).close()
    assert names(tmp_path / "tables") == {"final.draft.parquet"}


@pytest.mark.parametrize("relative", ["../a.txt", "tables/../../a.txt", "/etc/a.txt"])
def test_no_path_leads_out_of_the_folder(relative: str, tmp_path: Path) -> None:
    with opened(tmp_path) as run, pytest.raises(RunError, match="not inside"):
        run.write_once(relative, Path.touch)


# --- disks that do not do as told ------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunUnwritable, match="file") as caught:
        opened(tmp_path / "file" / "run")
    assert caught.value.hint


def test_a_read_only_folder_is_unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def read_only(path: object, flags: int, mode: int = 0o777, **more: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return real(path, flags, mode, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(RunUnwritable, match="Read-only file system") as caught:
        opened(tmp_path)
    assert "folder you may write to" in caught.value.hint
    monkeypatch.undo()
    opened(tmp_path).close()


@pytest.mark.parametrize("failing", ["_sync", "_fill"])
def test_no_failure_while_opening_keeps_the_lock(failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder_module, failing, full)
    with pytest.raises(RunUnwritable, match="No space left") as caught:
        opened(tmp_path)
    assert "make room" in caught.value.hint
    monkeypatch.undo()
    opened(tmp_path).close()


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        with opened(disk / "run") as run:
            with pytest.raises(RunUnwritable, match="No space left"):
                run.write_once("big.bin", saying(bytes(200_000)))
            assert "big.bin" not in names(disk)
            said = 0
            with pytest.raises(RunUnwritable, match="No space left") as caught:
                while said < 10_000:
                    run.append(closed(said))
                    said += 1
            assert "make room" in caught.value.hint
        kept = Run.read(disk / "run").events
        assert kept == [kept[0], *map(closed, range(said))]
    finally:
        subprocess.run(["umount", str(disk)], check=True)

"""What was answered is found at once, outlives the process, is shared by all, and is never replayed when it changed."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as sized
from hypothesis import strategies as st

from proofset.errors import RunUnwritable, StoreDamaged
from proofset.runs import responses
from proofset.runs.responses import FILE, VERSION, Responses, Stored, home

WRITER = """
import sys, time
from decimal import Decimal
from pathlib import Path
from proofset.runs.responses import Responses

store = Responses(Path(sys.argv[1]))
for n in range(int(sys.argv[3])):
    store.put(f"{sys.argv[2]}{n}".encode(), sys.argv[2], b"x" * n, Decimal("0.001"))
if sys.argv[4] == "close":
    store.close()
print("done", flush=True)
time.sleep(60 if sys.argv[4] == "stay" else 0)
"""


def writer(folder: Path, name: str, n: int, then: str) -> subprocess.Popen[str]:
    """A process that puts ``n`` replies."""
    command = [sys.executable, "-c", WRITER, str(folder), name, str(n), then]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_reply_is_found_at_once_and_after_opening_anew(tmp_path: Path) -> None:
    with Responses(tmp_path / "deep" / "down") as store:
        assert store.get(b"k") is None
        store.put(b"k", "m", b"\x00body", Decimal("0.10"))
        store.put(b"free", "m", b"", None)
        assert store.get(b"k") == Stored(b"\x00body", Decimal("0.10"))
    with Responses(tmp_path / "deep" / "down") as store:
        assert store.get(b"k") == Stored(b"\x00body", Decimal("0.10"))
        assert store.get(b"free") == Stored(b"", None)
        assert store.get(b"other") is None


def test_the_first_reply_stays(tmp_path: Path) -> None:
    with Responses(tmp_path) as store:
        for body in (b"first", b"second"):
            store.put(b"k", "m", body, None)
            assert store.get(b"k") == Stored(b"first", None)
        store.flush()
        store.put(b"k", "m", b"third", None)
    with Responses(tmp_path) as store:
        assert store.get(b"k") == Stored(b"first", None)


def test_a_reply_that_was_forgotten_makes_room_for_another(tmp_path: Path) -> None:
    with Responses(tmp_path) as store:
        store.put(b"k", "m", b"first", None)
        store.put(b"other", "m", b"stays", None)
        store.forget(b"k")
        assert store.get(b"k") is None
        store.forget(b"k")
        store.put(b"k", "m", b"second", None)
    with Responses(tmp_path) as store:
        assert store.get(b"k") == Stored(b"second", None) and store.get(b"other") == Stored(b"stays", None)


def test_a_killed_process_loses_nothing_that_was_put_150_ms_before(tmp_path: Path) -> None:
    child = writer(tmp_path, "k", 300, "stay")
    assert child.stdout is not None and child.stdout.readline() == "done\n"
    time.sleep(0.15)
    child.kill()
    assert child.wait(10) == -signal.SIGKILL
    child.stdout.close()
    with Responses(tmp_path) as store:
        assert [n for n in range(300) if store.get(f"k{n}".encode()) != Stored(b"x" * n, Decimal("0.001"))] == []


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    children = [writer(tmp_path, name, 1000, "close") for name in "ab"]
    assert [child.communicate(timeout=60)[0] for child in children] == ["done\n"] * 2
    with Responses(tmp_path) as store:
        assert {shelf.speaker: shelf.replies for shelf in store.shelves()} == {"a": 1000, "b": 1000}
        assert store.get(b"a999") == Stored(b"x" * 999, Decimal("0.001"))


def test_what_another_process_wrote_is_seen_without_opening_anew(tmp_path: Path) -> None:
    with Responses(tmp_path) as ours, Responses(tmp_path) as theirs:
        theirs.put(b"k", "m", b"theirs", None)
        theirs.flush()
        assert ours.get(b"k") == Stored(b"theirs", None)


def test_a_body_that_changed_is_never_replayed(tmp_path: Path) -> None:
    with Responses(tmp_path) as store:
        store.put(b"k", "m", b"body", None)
        store.put(b"sound", "m", b"body", None)
    with closing(sqlite3.connect(tmp_path / FILE)) as plain, plain:
        plain.execute("UPDATE responses SET body = ? WHERE key = ?", (b"bodx", b"k"))
    with Responses(tmp_path) as store:
        with pytest.raises(StoreDamaged, match=b"k".hex()) as caught:
            store.get(b"k")
        assert "--repair" in caught.value.hint
        assert store.get(b"sound") == Stored(b"body", None)


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Responses(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as plain:
        plain.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StoreDamaged, match="newer") as caught:
        Responses(tmp_path)
    assert "upgrade" in caught.value.hint


def test_a_place_that_cannot_be_had_is_told_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(RunUnwritable) as caught:
        Responses(tmp_path / "file")
    assert "PROOFSET_RESPONSES" in caught.value.hint
    (tmp_path / "taken" / FILE).mkdir(parents=True)
    with pytest.raises(RunUnwritable):
        Responses(tmp_path / "taken")


def test_a_full_disk_is_told_to_whoever_puts_next_and_keeps_what_was_there(tmp_path: Path) -> None:
    with Responses(tmp_path) as store:
        store.put(b"kept", "m", b"body", None)
    store = Responses(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        store.put(b"large", "m", b"x" * 1_000_000, None)
        with pytest.raises(RunUnwritable, match="cannot be written") as caught:
            store.flush()
        assert "make room" in caught.value.hint
        with pytest.raises(RunUnwritable):
            store.put(b"next", "m", b"", None)
        with pytest.raises(RunUnwritable):
            store.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    with Responses(tmp_path) as again:
        assert again.get(b"kept") == Stored(b"body", None)
        assert again.get(b"large") is None


def test_closing_twice_is_safe_and_nothing_is_put_into_a_closed_store(tmp_path: Path) -> None:
    store = Responses(tmp_path)
    store.put(b"k", "m", b"body", None)
    store.close()
    store.close()
    with pytest.raises(RunUnwritable, match="closed"):
        store.put(b"l", "m", b"body", None)
    with Responses(tmp_path) as again:
        assert again.get(b"k") == Stored(b"body", None)


def test_shelves_say_what_there_is_what_it_cost_and_what_it_saved(tmp_path: Path) -> None:
    with Responses(tmp_path) as store:
        for n in range(3):
            store.put(b"a%d" % n, "large", b"x" * 1000, Decimal("0.1"))
        store.put(b"b", "small", b"x", None)
        store.used("large", Decimal("0.1"))
        store.used("large", Decimal("0.2"))
        store.flush()
        large, small = store.shelves()
    assert large.as_json() == {
        "model": "large", "replies": 3, "megabytes": 0.003, "paid_usd": "0.3", "hits": 2, "saved_usd": "0.3",
    }  # fmt: skip
    assert (small.speaker, small.paid_usd, small.hits, small.saved_usd) == ("small", Decimal(0), 0, Decimal(0))


def test_pruning_by_age_and_by_model(tmp_path: Path) -> None:
    days = [0.0]
    with Responses(tmp_path, clock=lambda: 86400 * days[0]) as store:
        for day, speaker in ((1, "a"), (1, "b"), (9, "a")):
            days[0] = day
            store.put(f"{day}{speaker}".encode(), speaker, b"x" * 100_000, None)
            store.flush()
        days[0] = 10
        assert store.prune(older_than_days=5, speaker="a") == 1
        assert [store.get(key) is None for key in (b"1a", b"1b", b"9a")] == [True, False, False]
        assert store.prune(speaker="b") == 1
        assert store.prune(older_than_days=5) == 0
        assert store.prune() == 1
        assert store.shelves() == []


def test_facts_are_remembered(tmp_path: Path) -> None:
    with Responses(tmp_path) as store:
        assert store.fact("form") is None
        store.learn("form", "a")
        store.learn("form", "b")
    with Responses(tmp_path) as store:
        assert store.fact("form") == "b"


def test_home_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home().name.startswith("responses")  # of this test alone
    monkeypatch.setenv("PROOFSET_RESPONSES", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.delenv("PROOFSET_RESPONSES")
    assert home() != tmp_path


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "get", "flush", "reopen"]), st.binary(min_size=1, max_size=2), st.binary()),
        max_size=40,
    )
)
@sized(max_examples=30)
def test_it_is_a_dict_that_keeps_the_first(steps: list[tuple[str, bytes, bytes]]) -> None:
    kept: dict[bytes, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Responses(Path(folder))
        for what, key, body in steps:
            if what == "put":
                store.put(key, "m", body, None)
                kept.setdefault(key, body)
            elif what == "flush":
                store.flush()
            elif what == "reopen":
                store.close()
                store = Responses(Path(folder))
            found = store.get(key)
            assert (found and found.body) == kept.get(key)
        store.close()


# --- the harder ways ---------------------------------------------------------------------------------------------


def until(condition: Callable[[], bool]) -> float:
    """Seconds until something holds that another thread sees to."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + 20, "it does not come"
        time.sleep(0.002)
    return time.monotonic() - began


def on_disk(folder: Path) -> int:
    """Replies that another connection sees."""
    with closing(sqlite3.connect(folder / FILE)) as other:
        return int(other.execute("SELECT count(*) FROM responses").fetchone()[0])


def flip(path: Path, at: int, n: int = 1) -> None:
    """Turn bytes of a file round."""
    content = bytearray(path.read_bytes())
    content[at : at + n] = bytes(byte ^ 0xFF for byte in content[at : at + n])
    path.write_bytes(content)


@contextmanager
def somebody_else_writes(folder: Path) -> Iterator[None]:
    """Another connection holds the lock."""
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_reply_is_on_the_disk_within_the_promised_time(tmp_path: Path) -> None:
    took = []
    with Responses(tmp_path) as store:
        for n in range(6):
            store.put(b"%d" % n, "m", b"x", None)
            took.append(until(lambda n=n: on_disk(tmp_path) > n))  # type: ignore[misc]
    assert min(took) < responses.COMMIT_S + 0.05, "the best of six: the rest is what else the machine does"


def test_a_full_batch_waits_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "COMMIT_S", 60.0)
    with Responses(tmp_path) as store:
        for n in range(responses.COMMIT_REPLIES):
            store.put(b"%d" % n, "m", b"x", None)
        until(lambda: on_disk(tmp_path) == responses.COMMIT_REPLIES)


def test_processes_that_make_one_store_at_once_get_one_store(tmp_path: Path) -> None:
    children = [writer(tmp_path / "new", "same", 300, "close") for _ in range(4)]
    assert [child.communicate(timeout=60)[0] for child in children] == ["done\n"] * 4
    assert on_disk(tmp_path / "new") == 300


def test_a_torn_log_of_the_store_costs_its_end_and_nothing_before(tmp_path: Path) -> None:
    child = writer(tmp_path, "k", 600, "stay")
    assert child.stdout is not None and child.stdout.readline() == "done\n"
    time.sleep(0.3)
    child.kill()
    child.wait(10)
    child.stdout.close()
    wal = tmp_path / f"{FILE}-wal"
    whole = wal.read_bytes()
    wal.write_bytes(whole[: len(whole) - 5000])
    with Responses(tmp_path) as store:
        there = [store.get(b"k%d" % n) == Stored(b"x" * n, Decimal("0.001")) for n in range(600)]
        assert there == sorted(there, reverse=True) and 256 <= sum(there) < 600
        store.put(b"new", "m", b"goes on", None)
    with Responses(tmp_path) as store:
        assert store.get(b"new") is not None


@pytest.mark.parametrize("body", ["ärger 💸\u2028\0".encode(), b"\xff\xfe", bytes(range(256)) * 40_000])
def test_any_bytes_of_any_length_and_any_name(body: bytes, tmp_path: Path) -> None:
    name = "mödel 'x\" at http://y; DROP TABLE"
    with Responses(tmp_path) as store:
        store.put(b"k", name, body, None)
    with Responses(tmp_path) as store:
        assert store.get(b"k") == Stored(body, None)
        assert [shelf.speaker for shelf in store.shelves()] == [name]


def test_pruning_makes_the_file_smaller(tmp_path: Path) -> None:
    with Responses(tmp_path) as store:
        for n in range(60):
            store.put(b"%d" % n, "m", bytes(20_000), None)
    before = (tmp_path / FILE).stat().st_size
    with Responses(tmp_path) as store:
        store.prune(speaker="m")
    assert (tmp_path / FILE).stat().st_size < before / 10


def test_closing_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with Responses(tmp_path) as store:
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    with pytest.raises(RunUnwritable, match="closed"):
        store.used("m", Decimal(1))
    with pytest.raises(RunUnwritable, match="closed"):
        store.flush()


def test_when_the_disk_is_slow_callers_wait_and_nothing_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "HELD_BACK", 5)
    monkeypatch.setattr(responses, "COMMIT_REPLIES", 3)
    done: list[int] = []
    with Responses(tmp_path) as store:

        def fill() -> None:
            for n in range(40):
                store.put(b"%d" % n, "m", b"x", None)
                done.append(n)

        with somebody_else_writes(tmp_path):
            filling = threading.Thread(target=fill)
            filling.start()
            time.sleep(0.3)
            assert 5 <= len(done) < 12, "what may be held back, and a batch under way"
        filling.join(20)
        store.flush()
        assert len(done) == on_disk(tmp_path) == 40


def test_who_writes_for_too_long_is_the_cause_and_whoever_waits_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("HELD_BACK", 2), ("COMMIT_REPLIES", 1), ("BUSY_S", 0.2)):
        monkeypatch.setattr(responses, name, value)
    store, failures = Responses(tmp_path), list[RunUnwritable]()

    def fill() -> None:
        try:
            for n in range(20):
                store.put(b"%d" % n, "m", b"x", None)
        except RunUnwritable as error:
            failures.append(error)

    with somebody_else_writes(tmp_path):
        filling = threading.Thread(target=fill)
        filling.start()
        filling.join(20)
    assert not filling.is_alive() and "locked" in str(failures[0])
    assert "another process" in failures[0].hint
    with pytest.raises(RunUnwritable):
        store.close()


def test_hits_after_a_failed_commit_are_told_of_it_and_do_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Responses(tmp_path)
    store.put(b"kept", "m", b"x", None)
    store.flush()
    monkeypatch.setattr(responses, "_commit", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        for _ in range(20_000):  # more than are held back
            store.used("m", Decimal(1))
        store.flush()
    for call in (store.flush, store.close, store.close):
        with pytest.raises(ZeroDivisionError):
            call()
    assert on_disk(tmp_path) == 1


def test_a_disk_that_is_really_full_keeps_what_it_had(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        store = Responses(disk)
        store.put(b"kept", "m", b"body", None)
        store.flush()
        with pytest.raises(RunUnwritable, match=r"full|disk I/O") as caught:
            for n in range(100):
                store.put(b"%d" % n, "m", bytes([n]) * 50_000, None)
                store.flush()
        assert "make room" in caught.value.hint
        with pytest.raises(RunUnwritable):
            store.close()
        for file in disk.glob("*"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with Responses(tmp_path) as store:
        assert store.get(b"kept") == Stored(b"body", None)


def test_a_read_only_disk_is_told_with_the_way_out(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        Responses(disk / "old").close()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for folder in ("old", "new"):
            with pytest.raises(RunUnwritable, match="cannot be written") as caught:
                Responses(disk / folder)
            assert "PROOFSET_RESPONSES" in caught.value.hint


def test_a_reply_under_another_key_is_not_what_was_put_in(tmp_path: Path) -> None:
    with Responses(tmp_path) as store:
        store.put(b"k", "m", b"body", None)
    with closing(sqlite3.connect(tmp_path / FILE)) as plain, plain:
        plain.execute("UPDATE responses SET key = ?", (b"l",))
    with Responses(tmp_path) as store, pytest.raises(StoreDamaged, match=b"l".hex()):
        store.get(b"l")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE responses SET speaker = CAST(x'ff' AS TEXT)", "decode"),
        ("DROP TABLE responses", "no such table"),
        ("UPDATE responses SET usd = '0.x1'", "no number"),
    ],
)
def test_what_makes_no_sense_is_damage_and_not_a_full_disk(change: str, told: str, tmp_path: Path) -> None:
    with Responses(tmp_path) as store:
        store.put(b"k", "m", b"body", None)
    with closing(sqlite3.connect(tmp_path / FILE)) as plain, plain:
        plain.execute(change)
    with Responses(tmp_path) as store, pytest.raises(StoreDamaged, match=told):
        store.get(b"k")
        store.shelves()


@pytest.mark.parametrize("content", [b"not a database, but a long text" * 100, b"SQLite format 3\0" * 9])
def test_a_file_that_is_no_store_is_damage_and_is_not_changed(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StoreDamaged, match="not a database") as caught:
        Responses(tmp_path)
    assert "proofset responses --repair" in caught.value.hint
    assert (tmp_path / FILE).read_bytes() == content


def test_damage_met_while_reading_or_writing_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    with Responses(tmp_path) as store:
        for n in range(2000):
            store.put(b"%06d" % n, "m", b"%06d" % n * 30, None)
    flip(tmp_path / FILE, 4096, (tmp_path / FILE).stat().st_size - 4096)
    store = Responses(tmp_path)
    for call in (lambda: store.get(b"000999"), store.shelves, store.prune):
        with pytest.raises(StoreDamaged, match=FILE) as caught:
            call()
        assert "proofset responses --repair keeps every reply that is sound" in caught.value.hint
    store.put(b"new", "m", b"x", None)
    for call in (store.flush, lambda: store.put(b"newer", "m", b"x", None), store.close):
        with pytest.raises(StoreDamaged, match=FILE):
            call()

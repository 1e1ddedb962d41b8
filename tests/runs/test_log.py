from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tracemalloc
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.errors import InputError, LogCorrupt, RunFromNewerVersion, RunUnwritable
from proofset.nouns.candidate import Candidate
from proofset.nouns.event import BriefClosed, Event, Finished, Ingested, Measured, Proposed, Spent, Started
from proofset.nouns.result import Measure, Usage, UsageBasis
from proofset.runs import log as log_module
from proofset.runs.log import KINDS, Log, encode, replay

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def anything_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, down to the leaves."""
    leaves: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(),
        int: st.integers(),
        float: st.floats(),
        bool: st.booleans(),
        Decimal: st.decimals(allow_nan=False, allow_infinity=False),
        types.NoneType: st.none(),
    }
    if hint in leaves:
        return leaves[hint]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(list(hint))
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{field.name: anything_of(hints[field.name]) for field in fields(hint) if field.init})
    inner = get_args(hint)
    if get_origin(hint) is tuple and inner[-1] is Ellipsis:
        return st.lists(anything_of(inner[0]), max_size=2).map(tuple)
    if get_origin(hint) is tuple:
        return st.tuples(*map(anything_of, inner))
    return st.one_of(*map(anything_of, inner))


def proposed(number: int = 1, text: str = "win\na \u2028 prize") -> Proposed:
    candidate = Candidate(
        id=f"c{number}", brief_id="b", slice="spam", text=text, label="spam", unseen_fold=0, finish="stop"
    )
    return Proposed(candidate=candidate, number=number)


def written(path: Path, events: list[Event]) -> Path:
    log = Log(path)
    for event in events:
        log.append(event)
    log.close()
    return path


EVENTS: list[Event] = [Started(verb="synthesize", key="k"), proposed(1), proposed(2, "ärger 💸"), proposed(3)]


@given(st.one_of(*map(anything_of, KINDS.values())))
def test_what_is_logged_comes_back_exactly(event: Event) -> None:
    with TemporaryDirectory() as folder:
        path = written(Path(folder) / "events.jsonl", [event])
        # repr: it tells 0 from 0.0 and -0.0, Decimal("1.0") from Decimal("1.00"), and a NaN equals itself.
        assert repr(replay(path)) == repr([event])


def test_a_line_says_kind_version_and_moment() -> None:
    line = encode(Spent(usage=Usage(model="m", stage="s", usd=Decimal("0.10"), basis=UsageBasis.IMPUTED)), NOW)
    assert line.endswith(b"}\n")
    content = json.loads(line)
    assert list(content)[:3] == ["kind", "v", "at"]
    assert content["kind"] == "Spent"
    assert content["v"] == 1
    assert content["at"] == "2026-01-02T03:04:05.678+00:00"
    assert content["usage"]["usd"] == "0.10"
    assert content["usage"]["basis"] == "imputed"


def test_no_kind_has_a_field_that_the_envelope_uses_and_none_is_empty() -> None:
    for kind in KINDS.values():
        names = {field.name for field in fields(kind)}
        assert names
        assert not names & {"kind", "v", "at"}


def test_infinity_is_not_confused_with_not_taken(tmp_path: Path) -> None:
    event = Measured(measure=Measure(name="m", value=float("inf")), control=Measure(name="m", value=None))
    assert replay(written(tmp_path / "e.jsonl", [event])) == [event]


@pytest.mark.parametrize(
    "event",
    [
        Started(verb="\ud800", key="k"),
        Started(verb=None, key="k"),  # type: ignore[arg-type]
        Spent(usage=Usage(model="m", stage="s", usd=0.1)),  # type: ignore[arg-type]
        Spent(usage=Usage(model="m", stage="s", usd=Decimal("NaN"))),
        Finished(verb="v", key="k", seconds=1.0, core_seconds=1.0, outputs=["a"]),  # type: ignore[arg-type]
    ],
)
def test_what_could_not_be_read_back_is_not_written(event: Event, tmp_path: Path) -> None:
    log = Log(tmp_path / "e.jsonl")
    with pytest.raises(InputError, match="cannot be logged") as caught:
        log.append(event)
    log.append(EVENTS[0])
    log.close()
    assert caught.value.hint
    assert replay(tmp_path / "e.jsonl") == [EVENTS[0]]


@given(st.data())
def test_cut_anywhere_and_go_on(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = written(Path(folder) / "events.jsonl", EVENTS)
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        kept = EVENTS[: whole[:cut].count(b"\n")]
        assert replay(path) == kept
        assert path.read_bytes() == whole[:cut], "looking on changes nothing"
        log = Log(path)
        assert log.events == kept
        after = BriefClosed(brief_id="b", slice="s", number=1, winner=None, reason="copy")
        log.append(after)
        log.close()
        assert log.events == replay(path) == [*kept, after]


@pytest.mark.parametrize("rubbish", [b"\0" * 300, b"\0\0\n", b'{"kind":"Star\n', b"17\n", b"\xff\n"])
def test_rubbish_at_the_end_is_cut_off(rubbish: bytes, tmp_path: Path) -> None:
    path = written(tmp_path / "e.jsonl", EVENTS)
    whole = path.read_bytes()
    path.write_bytes(whole + rubbish)
    assert replay(path) == EVENTS
    Log(path).close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("rubbish", [b"\0\0\n", b"\n", b'{"kind":"Star\n', b"[]\n"])
def test_rubbish_elsewhere_stops_with_its_place(rubbish: bytes, tmp_path: Path) -> None:
    path = written(tmp_path / "e.jsonl", EVENTS)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:2], rubbish, *lines[2:]])
    path.write_bytes(damaged)
    for open_it in (replay, Log):
        with pytest.raises(LogCorrupt, match=r"e\.jsonl:3: is not a line of JSON") as caught:
            open_it(path)
        assert "first 2 lines" in caught.value.hint
    assert path.read_bytes() == damaged, "nothing is cut where something follows"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"kind": "Dreamt"}, "unknown kind: 'Dreamt'"),
        ({"kind": None}, "unknown kind"),
        ({"surprise": 1}, "surprise: Unexpected keyword argument"),
        ({"number": "many"}, "number: "),
        ({"v": None}, "no version"),
        ({"v": 0}, "no version"),
        ({"candidate": {"id": "c"}}, "candidate.brief_id: "),
        ({"candidate": {**json.loads(encode(proposed(), NOW))["candidate"], "mood": "good"}}, "candidate.mood"),
    ],
)
def test_a_line_that_is_no_event_is_damage_even_at_the_end(
    change: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(json.dumps(json.loads(encode(proposed(), NOW)) | change) + "\n")
    with pytest.raises(LogCorrupt, match=r"e\.jsonl:1: ") as caught:
        replay(path)
    assert complaint in str(caught.value)


def test_a_newer_line_names_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(json.dumps({"kind": "Dreamt", "v": 2, "at": "", "of": "sheep"}) + "\n")
    with pytest.raises(RunFromNewerVersion, match="log version 2") as caught:
        Log(path)
    assert "upgrade" in caught.value.hint
    assert path.stat().st_size > 0


def test_old_lines_are_lifted_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {"kind": "Read", "v": 1, "at": "", "rows": 9, "organic": 5, "held_out": 3, "labels": 2, "groups": 1}
    middle = {**old, "v": 2, "kind": "Ingested"}
    path = tmp_path / "e.jsonl"
    path.write_text(json.dumps(old) + "\n" + json.dumps(middle) + "\n")

    def renamed_kind(line: dict[str, Any]) -> dict[str, Any]:
        return line | {"kind": "Ingested"} if line["kind"] == "Read" else line

    def renamed_field(line: dict[str, Any]) -> dict[str, Any]:
        line["near_copy_groups"] = line.pop("groups")
        return line | {"dropped": [["empty", 1]]}

    monkeypatch.setattr(log_module, "LIFTS", (renamed_kind, renamed_field))
    now = Ingested(rows=9, organic=5, held_out=3, labels=2, near_copy_groups=1, dropped=(("empty", 1),))
    assert replay(path) == [now, now]
    written(path, [now])
    assert [json.loads(line)["v"] for line in path.read_text().splitlines()] == [1, 2, 3]
    assert replay(path) == [now, now, now]


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """A disk on which files end: writes stop half-way there, as they do where room runs out."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_that_does_not_fit_leaves_nothing_of_it(tmp_path: Path) -> None:
    path = written(tmp_path / "e.jsonl", EVENTS)
    whole = path.read_bytes()
    log = Log(path)
    with no_file_longer_than(len(whole) + 20), pytest.raises(RunUnwritable, match=str(tmp_path)) as caught:
        log.append(proposed(4))
    assert "what was logged is safe" in caught.value.hint
    assert path.read_bytes() == whole
    assert log.events == EVENTS
    log.append(proposed(5))
    log.close()
    assert replay(path) == [*EVENTS, proposed(5)]


class FullDisk:
    """A file on a disk without room: takes ten bytes, then none; may also refuse to shrink."""

    def __init__(self, real: Any, *, shrinks: bool) -> None:
        self.real, self.shrinks, self.room = real, shrinks, 10

    def write(self, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        fits, self.room = data[: self.room], 0
        return int(self.real.write(fits))

    def truncate(self, size: int) -> None:
        if not self.shrinks:
            raise OSError(errno.EIO, "Input/output error")
        self.real.truncate(size)

    @property
    def closed(self) -> bool:
        return bool(self.real.closed)

    def close(self) -> None:
        self.real.close()


@pytest.mark.parametrize("shrinks", [True, False])
def test_a_full_disk_says_make_room(shrinks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "e.jsonl", EVENTS)
    log = Log(path)
    monkeypatch.setattr(log, "_file", FullDisk(log._file, shrinks=shrinks))
    with pytest.raises(RunUnwritable, match="No space left") as caught:
        log.append(proposed(4))
    assert "make room and run again" in caught.value.hint
    assert replay(path) == EVENTS
    log.close()
    again = Log(path)
    again.append(proposed(4))
    again.close()
    assert replay(path) == [*EVENTS, proposed(4)]


def test_nothing_follows_half_a_line_that_could_not_be_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(written(tmp_path / "e.jsonl", EVENTS))
    monkeypatch.setattr(log, "_file", FullDisk(log._file, shrinks=False))
    with pytest.raises(RunUnwritable):
        log.append(proposed(4))
    monkeypatch.setattr(log._file, "room", 10_000)
    with pytest.raises(RunUnwritable, match="closed the log"):
        log.append(proposed(5))
    log.sync()
    assert replay(log.path) == EVENTS


def test_a_killed_process_loses_nothing_it_had_logged(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from proofset.runs.log import Log; from proofset.nouns.event import *\n"
        "log = Log(Path(sys.argv[1])); n = 0\n"
        "while True:\n"
        "    log.append(Started(verb='v', key=str(n))); print(n, flush=True); n += 1\n"
    )
    path = tmp_path / "e.jsonl"
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(200)]
        process.kill()
    keys = [event.key for event in replay(path) if isinstance(event, Started)]
    assert keys[:200] == [str(n) for n in said]


def test_sync_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path / "e.jsonl")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    log.sync()
    assert synced == [log._file.fileno()]

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(RunUnwritable):
        log.sync()
    log.close()


# --- long logs -------------------------------------------------------------------------------------------------------


MANY: list[Event] = [
    Started(verb="audit", key="a1"), proposed(1), Finished(verb="audit", key="a1", seconds=1.0, core_seconds=1.0),
    Started(verb="synthesize", key="s1"), proposed(2, "ärger 💸"), proposed(3), Started(verb="synthesize", key="s2"),
    proposed(4), Started(verb="train", key="t1"), proposed(5, ""),
]  # fmt: skip


@pytest.fixture(params=["held", "read again"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which a log may be kept."""
    monkeypatch.setattr(log_module, "HELD", 20_000 if request.param == "held" else 3)


@pytest.mark.usefixtures("held")
def test_events_are_the_sequence_that_a_list_of_them_is(tmp_path: Path) -> None:
    events = replay(written(tmp_path / "e.jsonl", MANY))
    assert events == MANY and events == tuple(MANY) and events == replay(tmp_path / "e.jsonl")
    assert events != MANY[:-1] and events != [*MANY[:-1], proposed(6)] and events != "events" and events != 3
    assert len(events) == len(MANY) and bool(events)
    assert list(events) == list(events) == MANY, "as often as one likes"
    assert [events[n] for n in (0, 4, -1, -10)] == [MANY[n] for n in (0, 4, -1, -10)]
    assert [events[2:5], events[::-3], events[7:], events[20:]] == [MANY[2:5], MANY[::-3], MANY[7:], []]
    assert list(reversed(events)) == MANY[::-1]
    assert (MANY[4] in events, proposed(77) in events) == (True, False)
    assert (events.index(MANY[3]), events.count(MANY[3])) == (3, 1)
    with pytest.raises(IndexError):
        events[10]
    first, second = iter(events), iter(events)
    assert [next(first), next(first), next(second), next(first)] == [MANY[0], MANY[1], MANY[0], MANY[2]]


@pytest.mark.usefixtures("held")
def test_what_is_appended_is_there_at_once_and_each_place_is_kept(tmp_path: Path) -> None:
    log = Log(tmp_path / "e.jsonl")
    for n, event in enumerate(MANY, start=1):
        log.append(event)
        assert len(log.events) == n and log.events[-1] == event and list(log.events) == MANY[:n]
    assert log.events.size == (tmp_path / "e.jsonl").stat().st_size
    assert list(log.events.steps("audit")) == list(replay(log.path).steps("audit"))
    log.close()
    places = {place.number: event for verb in ("audit", "synthesize") for place, event in log.events.steps(verb)}
    assert places == {n: MANY[n - 1] for n in (1, 3, 4, 7)}
    assert [event for _, event in log.events.steps("synthesize")] == [MANY[6], MANY[3]], "the last one first"
    assert list(log.events.steps("prove")) == []
    for verb in ("audit", "synthesize", "train"):
        for place, _ in log.events.steps(verb):
            assert list(log.events.since(place)) == MANY[place.number :]


@pytest.mark.usefixtures("held")
def test_a_reader_of_a_growing_log_sees_what_was_whole_when_it_looked(tmp_path: Path) -> None:
    log = Log(written(tmp_path / "e.jsonl", MANY))
    reading = replay(log.path)
    half = iter(reading)
    next(half)
    log.append(proposed(50))
    with log.path.open("ab") as file:
        file.write(b'{"kind":"Star')
    assert reading == MANY and [MANY[0], *half] == MANY
    assert replay(log.path) == [*MANY, proposed(50)]
    log.close()


@given(
    events=st.lists(st.one_of(*map(anything_of, KINDS.values())), min_size=1, max_size=8), most=st.sampled_from([0, 2])
)
def test_a_long_log_gives_back_exactly_what_a_short_one_does(events: list[Event], most: int) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = written(Path(folder) / "events.jsonl", events)
        short = repr(list(replay(path)))
        patch.setattr(log_module, "HELD", most)
        assert repr(list(replay(path))) == short == repr(events)


@given(st.one_of(*map(anything_of, KINDS.values())))
def test_the_quick_way_reads_what_the_careful_one_reads(event: Event) -> None:
    line = encode(event, NOW)
    quick = log_module._quickly(line)
    assert quick is not None, "every line that we write takes the quick way"
    parsed = log_module._parsed(line)
    assert parsed is not None
    assert repr(quick) == repr(log_module._decoded(parsed, Path("e"), 1))


@given(st.one_of(*map(anything_of, KINDS.values())), st.data())
def test_the_quick_way_takes_no_line_that_the_careful_one_refuses(event: Event, data: st.DataObject) -> None:
    line = bytearray(encode(event, NOW))
    at = data.draw(st.integers(0, len(line) - 1))
    line[at : at + data.draw(st.integers(0, 2))] = data.draw(
        st.sampled_from([b"", b"}", b"},{", b'"', b"0", b"\\", b"n"])
    )
    if (quick := log_module._quickly(bytes(line))) is not None:
        parsed = log_module._parsed(bytes(line))
        assert parsed is not None
        assert repr(quick) == repr(log_module._decoded(parsed, Path("e"), 1))


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"Started","v":1,"at":"x","verb":"a","key":"b"},{"verb":"c","key":"d"}\n',
        b'{"kind":"Started","v":1,"at":"x","verb":"a","key":"b"}',
        b'{"kind":"Started","v":2,"at":"x","verb":"a","key":"b"}\n',
        b'{"kind":"Dreamt","v":1,"at":"x","verb":"a","key":"b"}\n',
        b'{"v":1,"kind":"Started","at":"x","verb":"a","key":"b"}\n',
        b'{"kind":"Started","v":1,"at":"x","verb":"a","key":"b","more":1}\n',
    ],
)
def test_any_other_line_takes_the_careful_way(line: bytes) -> None:
    assert log_module._quickly(line) is None


@pytest.mark.parametrize("place", [4, 6, 9])
@pytest.mark.parametrize("rubbish", [b"?\n", b'{"kind":"Dreamt","v":1,"at":""}\n', b"\n"])
def test_a_line_damaged_after_the_first_reading_is_named_with_its_number(
    place: int, rubbish: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "HELD", 3)
    path = written(tmp_path / "e.jsonl", MANY)
    events = replay(path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[place] = rubbish.rjust(len(lines[place]))  # no byte more or less
    path.write_bytes(b"".join(lines))
    audited = next(at for at, _ in events.steps("audit"))
    for part in (events, events.since(audited)):
        with pytest.raises(LogCorrupt, match=rf"e\.jsonl:{place + 1}: ") as caught:
            list(part)
        assert f"first {place} lines" in caught.value.hint


def test_a_log_that_got_shorter_under_a_reader_is_damage_and_not_a_short_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "HELD", 3)
    path = written(tmp_path / "e.jsonl", MANY)
    events = replay(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(LogCorrupt, match=r"e\.jsonl:10: "):
        list(events)


def test_a_long_log_takes_no_more_memory_than_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "HELD", 2000)
    lines = b"".join(encode(proposed(n, "a text of some length " * 5), NOW) for n in range(1000))
    path = tmp_path / "e.jsonl"

    def needed(n: int) -> float:
        path.write_bytes(lines * n)
        tracemalloc.start()
        try:
            events = replay(path)
            assert sum(1 for _ in events) == len(events) == 1000 * n
            return tracemalloc.get_traced_memory()[1] / 1e6
        finally:
            tracemalloc.stop()

    short, long = needed(2), needed(30)
    assert long < 1.3 * short + 0.5, f"{short:.1f} and {long:.1f} MB"

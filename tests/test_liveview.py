"""What is seen while a run works: on a terminal, and where there is none."""

from __future__ import annotations

import dataclasses
import io
import re
import sys
import threading
from decimal import Decimal
from types import SimpleNamespace

import pytest
from rich.cells import cell_len
from rich.console import Console

from proofset import liveview
from proofset.liveview import LiveView
from proofset.nouns.candidate import Candidate, Stop
from proofset.nouns.event import BriefClosed, Paused, Proposed, SliceClosed
from proofset.nouns.result import Meter, Standing


def proposed(number: int) -> Proposed:
    candidate = Candidate(
        id=f"c{number}", brief_id=f"b{number}", slice="storm", text="wind", label="storm", unseen_fold=0, finish="stop"
    )
    return Proposed(candidate=candidate, number=number)


def closed(number: int, reason: str) -> BriefClosed:
    winner = None if reason else f"c{number}"
    return BriefClosed(brief_id=f"b{number}", slice="storm", number=number, winner=winner, reason=reason)


def watch(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool, n: int) -> tuple[LiveView, str]:
    out = io.StringIO()
    monkeypatch.setattr(
        liveview, "console", lambda stderr=False: Console(file=out, force_terminal=is_terminal, width=100)
    )
    monkeypatch.setattr(sys, "stderr", out)
    with LiveView() as view:
        view.verb("audit")
        view.verb("synthesize")
        for number in range(n):
            view.event(proposed(number))
            view.event(closed(number, "" if number % 4 else "duplicate"))
        view.event(SliceClosed(slice="storm", accepted=3, quota=3, stop=Stop.QUOTA_MET))
    return view, out.getvalue()


def test_without_a_terminal_it_is_plain_lines_and_few(monkeypatch: pytest.MonkeyPatch) -> None:
    view, text = watch(monkeypatch, is_terminal=False, n=200)
    assert view.verbs == ["audit", "synthesize"]
    assert "audit" in text and "\r" not in text and "\x1b[2K" not in text
    assert "150 accepted of 200" in text and "duplicate 50" in text
    assert len(text.splitlines()) <= 6


def test_on_a_terminal_one_line_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = watch(monkeypatch, is_terminal=True, n=8)
    last = text.split("\r")[-1]
    assert " s  6 accepted of 8" in last and last.endswith("refused: duplicate 2\n")
    assert all(len(line) <= 100 for line in re.split("[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)))


def test_nothing_watched_nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(liveview, "console", lambda stderr=False: Console(file=out))
    with LiveView() as view:
        pass
    assert view.verbs == [] and out.getvalue() == ""


# ── models and money ────────────────────────────────────────────────────────────────────────────────────────────────


def standing(**changes: object) -> Standing:
    meter = Meter(
        model="mini at http://127.0.0.1:1/v1", in_flight=3, limit=8, waiting=0, paused_s=12.0, calls=40, replays=5,
        tokens=9000, usd=Decimal("0.5"),
    )  # fmt: skip
    settings: dict[str, object] = {
        "meters": (meter,), "spent_usd": Decimal("0.5"), "reserved_usd": Decimal("0.25"), "cap_usd": Decimal(2),
        "wanted": 40,
    }  # fmt: skip
    return Standing(**{**settings, **changes})  # type: ignore[arg-type]


def told(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool, width: int = 100, **changes: object) -> str:
    """All that was said while ten briefs were closed by a model that costs money."""
    out = io.StringIO()
    made = Console(file=out, force_terminal=is_terminal, width=width)
    monkeypatch.setattr(liveview, "console", lambda stderr=False: made)
    with LiveView() as view:
        view.verb("synthesize")
        view.gauge(lambda: standing(**changes))
        for number in range(10):
            view.event(proposed(number))
            view.event(closed(number, ""))
        view.event(Paused(model="mini", seconds=30.0, why="it [bold]only[/bold] fails"))
        for name in ("storm", "hail"):
            view.event(SliceClosed(slice=name, accepted=3, quota=9, stop=Stop.BUDGET))
        if is_terminal:
            made.print(view._painted())
    return out.getvalue()


def test_plain_lines_say_where_each_model_stands_and_what_it_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch, is_terminal=False)
    assert "mini: 3/8 in flight" in text and "5 replayed" in text and "paused 12 s" in text
    assert "$0.50 spent · $0.25 reserved · cap $2.00" in text
    assert "http://" not in text
    assert "to go" in text


@pytest.mark.parametrize("is_terminal", [False, True])
def test_what_a_person_should_know_is_said_once_and_as_it_is(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    text = told(monkeypatch, is_terminal=is_terminal)
    assert "mini: it [bold]only[/bold] fails; left alone for 30 s" in text
    assert text.count("the budget is used up; --budget-usd") == 1


def test_a_run_without_a_cap_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no cap" in told(monkeypatch, is_terminal=False, cap_usd=None)


@pytest.mark.parametrize(("width", "all_shown"), [(120, True), (60, False)])
def test_a_narrow_terminal_gets_what_matters_most(monkeypatch: pytest.MonkeyPatch, width: int, all_shown: bool) -> None:
    text = told(monkeypatch, is_terminal=True, width=width)
    assert "10 of 40" in text and "paused 12 s" in text and "tokens/s" in text
    assert ("calls/s" in text, "replayed" in text) == (all_shown, all_shown)


def test_two_models_of_one_name_are_told_apart_by_their_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    one = standing().meters[0]
    other = Meter(
        model="mini at http://127.0.0.1:2/v1", in_flight=0, limit=1, waiting=0, paused_s=0.0, calls=0, replays=0,
        tokens=0, usd=Decimal(0),
    )  # fmt: skip
    text = told(monkeypatch, is_terminal=False, meters=(one, other))
    assert "127.0.0.1:1/v1: 3/8" in text and "127.0.0.1:2/v1: 0/1" in text


def test_a_loop_that_wants_and_has_nothing_can_be_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch, is_terminal=True, wanted=0, meters=())
    assert "10 accepted of 10" in text and "to go" not in text


# ── lines where nobody watches ──────────────────────────────────────────────────────────────────────────────────────


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(liveview, "time", SimpleNamespace(monotonic=lambda: self.now))


def screen(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool, width: int = 100) -> io.StringIO:
    """What LiveViews made from here on write to."""
    out = io.StringIO()
    made = Console(file=out, force_terminal=is_terminal, width=width, highlight=False, _environ={"TERM": "xterm"})
    monkeypatch.setattr(liveview, "console", lambda stderr=False: made)
    return out


def counts(text: str) -> list[int]:
    return [int(found.replace(",", "")) for found in re.findall(r"accepted of ([\d,]+)", text)]


def test_there_is_a_line_at_each_doubling_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    out = screen(monkeypatch, is_terminal=False)
    with LiveView() as view:
        view.verb("synthesize")
        for number in range(1000):
            view.event(closed(number, ""))
        view.verb("measure")
        assert counts(out.getvalue()) == [100, 200, 400, 800, 1000]
    assert counts(out.getvalue()) == [100, 200, 400, 800, 1000]
    assert out.getvalue().splitlines()[-1] == "measure …"


def test_as_time_goes_by_lines_come_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    out = screen(monkeypatch, is_terminal=False)
    with LiveView() as view:
        view.verb("synthesize")
        at = []
        for number in range(1, 51):  # one closing a minute
            clock.now += 60
            before = out.tell()
            view.event(closed(number, ""))
            at += [number] * (out.tell() > before)
    assert at == [1, 3, 6, 11, 20, 31, 42]


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    dumb = Console(file=out, force_terminal=True, width=100, _environ={"TERM": "dumb"})
    monkeypatch.setattr(liveview, "console", lambda stderr=False: dumb)
    with LiveView() as view:
        view.verb("synthesize")
        view.event(closed(1, ""))
    assert "synthesize …\n" in out.getvalue() and "1 accepted of 1" in out.getvalue()
    assert "\x1b[1A" not in out.getvalue()


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rates_and_what_is_left_are_of_the_time_that_models_spoke(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    out = screen(monkeypatch, is_terminal=False)
    with LiveView() as view:
        view.verb("synthesize")
        clock.now += 1000  # calibration, and loading the model
        view.gauge(standing)
        clock.now += 20
        for number in range(1, 11):
            view.event(closed(number, ""))
    text = out.getvalue()
    assert "10 accepted of 10 (0.5/s)" in text
    assert "2.0 calls/s, 450 tokens/s" in text
    assert "1 min 0 s to go" in text  # 30 more at one in two seconds


def test_few_accepted_are_no_ground_for_a_forecast_and_none_is_for_what_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    for accepted, forecast in ((4, False), (5, True), (39, True), (40, False), (41, False)):
        out = screen(monkeypatch, is_terminal=False)
        with LiveView() as view:
            view.verb("synthesize")
            view.gauge(standing)
            clock.now += 20
            for number in range(accepted):
                view.event(closed(number, ""))
        assert ("to go" in out.getvalue()) == forecast


def test_an_accepted_record_costs_what_was_spent_on_those_that_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    out = screen(monkeypatch, is_terminal=False)
    spent = Decimal("3")  # by an earlier walk of the same run
    with LiveView() as view:
        view.verb("synthesize")
        view.gauge(lambda: standing(spent_usd=spent))
        spent = Decimal("3.5")
        for number in range(10):
            view.event(closed(number, ""))
    assert "$3.50 spent · $0.25 reserved · cap $2.00 · $0.050 per accepted" in out.getvalue()


# ── what cannot be trusted ──────────────────────────────────────────────────────────────────────────────────────────

HOSTILE = "[bold]a[/] [/] :bomb: \x1b[31m\x1b[2J\r\n\tb\x07\x9b5A\u202e\ud83d"
"""Styles, an emoji's name, escapes that clear and move, line ends, a bell, a turn of the writing direction."""


@pytest.mark.parametrize("is_terminal", [False, True])
def test_no_word_of_others_is_taken_for_a_style_or_moves_the_cursor(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    out = screen(monkeypatch, is_terminal=is_terminal, width=300)
    meter = dataclasses.replace(standing().meters[0], model=HOSTILE)
    with LiveView() as view:
        view.verb("synthesize")
        view.gauge(lambda: standing(meters=(meter,)))
        candidate = dataclasses.replace(proposed(1).candidate, slice=HOSTILE)
        view.event(Proposed(candidate=candidate, number=1))
        view.event(closed(1, HOSTILE))
        view.event(Paused(model=HOSTILE, seconds=3.0, why=HOSTILE))
        view.notice(HOSTILE)
        if is_terminal:
            view._console.print(view._painted())
    text = out.getvalue()
    assert text.count("[bold]a[/] [/] :bomb: ") >= 6 - is_terminal
    own = re.sub(r"\x1b\[(?:\?25[hl]|1A|2K|[\d;]*m)", "", text)  # what rich itself says
    assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", own)
    assert "\x1b[31m" not in text and "\x1b[2J" not in text
    out.getvalue().encode()


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 100, 200])
@pytest.mark.parametrize("word", ["storm", "嵐" * 40, "x" * 200], ids=["short", "wide", "long"])
def test_no_painted_line_is_wider_than_the_terminal_and_none_is_broken(
    monkeypatch: pytest.MonkeyPatch, width: int, word: str
) -> None:
    out = screen(monkeypatch, is_terminal=False, width=width)
    meter = dataclasses.replace(standing().meters[0], model=f"{word} at http://127.0.0.1:1/v1")
    view = LiveView()
    view.verb("synthesize")
    view.gauge(lambda: standing(meters=(meter, meter)))
    candidate = dataclasses.replace(proposed(1).candidate, slice=word)
    view.event(Proposed(candidate=candidate, number=1))
    for number in range(8):
        view.event(closed(number, "" if number else word))
    before = out.tell()
    view._console.print(view._painted())
    lines = out.getvalue()[before:].splitlines()
    assert len(lines) == 9  # head, bar, counts, a blank, heading and two models, a blank, money: whatever they say
    assert max(cell_len(each.rstrip()) for each in lines) <= width


def test_what_is_new_does_not_stop_the_painting(monkeypatch: pytest.MonkeyPatch) -> None:
    screen(monkeypatch, is_terminal=True)
    view = LiveView()
    painted: list[str] = []
    faults: list[RuntimeError] = []

    def paint() -> None:
        while len(painted) < 300:
            try:
                painted.append(view._counts())
            except RuntimeError as error:  # a table that changed its size under the painter
                faults.append(error)
                return

    before = sys.getswitchinterval()
    painter = threading.Thread(target=paint)
    try:
        sys.setswitchinterval(1e-5)
        painter.start()
        number = 0
        while painter.is_alive():
            number += 1
            view.event(closed(number, f"reason {number}" if number < 3000 else "reason 0"))
    finally:
        painter.join()
        sys.setswitchinterval(before)
    assert faults == []


@pytest.mark.parametrize("width", [40, 60, 100])
def test_what_stays_of_a_verb_is_one_line(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    out = screen(monkeypatch, is_terminal=True, width=width)
    with LiveView() as view:
        view.verb("synthesize")
        for number in range(9):
            view.event(closed(number, f"a reason of many words {number % 3}"))
        before = out.tell()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()[before:])
    kept = [each for each in re.split("[\r\n]+", text) if "accepted of" in each][-1]
    assert kept.startswith("synthesize") and kept.endswith("…")
    assert len(kept) <= width
    assert text.endswith(f"{kept}\n")

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from proofset import artifacts, terminal
from proofset.nouns.candidate import Candidate, Stop
from proofset.nouns.event import BriefClosed, Proposed, SliceClosed


def proposed(number: int) -> Proposed:
    candidate = Candidate(
        id=f"c{number}", brief_id=f"b{number}", slice="storm", text="wind", label="storm", unseen_fold=0, finish="stop"
    )
    return Proposed(candidate=candidate, number=number)


def closed(number: int, reason: str) -> BriefClosed:
    winner = None if reason else f"c{number}"
    return BriefClosed(brief_id=f"b{number}", slice="storm", number=number, winner=winner, reason=reason)


def watch(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool, n: int) -> tuple[terminal.LiveView, str]:
    out = io.StringIO()
    monkeypatch.setattr(
        terminal, "console", lambda stderr=False: Console(file=out, force_terminal=is_terminal, width=100)
    )
    monkeypatch.setattr(sys, "stderr", out)
    with terminal.LiveView() as view:
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
    assert "6 accepted of 8" in last and last.endswith(" s\n")
    assert all(len(line) < 110 for line in text.replace("\x1b[2K", "").split("\r"))


def test_nothing_watched_nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(terminal, "console", lambda stderr=False: Console(file=out))
    with terminal.LiveView() as view:
        pass
    assert view.verbs == [] and out.getvalue() == ""


def test_the_list_of_artifacts_names_size_licence_and_package() -> None:
    out = io.StringIO()
    listing = [(one, one.name == "cwe") for one in artifacts.pinned().values()]
    Console(file=out, width=200).print(terminal.artifact_list(listing))
    text = out.getvalue()
    for one, _ in listing:
        assert one.name in text and one.licence in text and one.version in text
    assert text.count("in the cache") == 1 and text.count("MB to download") == len(listing) - 1


def test_download_progress_counts_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(terminal, "console", lambda stderr=False: Console(file=out, force_terminal=True, width=100))
    with terminal.FetchProgress() as progress:
        progress.report("weights", 10, 100)
        progress.report("weights", 100, 100)
    assert "weights" in out.getvalue() and "100/100 bytes" in out.getvalue()

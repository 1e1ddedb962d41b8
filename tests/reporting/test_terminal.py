from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from proofset.config import Study
from proofset.nouns.candidate import Output
from proofset.nouns.event import DeficitRanked, Event, Proposed, Spent
from proofset.nouns.result import Usage
from proofset.reporting.terminal import summary


def printed(study: Study, events: Sequence[Event], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(summary(study, events))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().replace("\u00a0", " ")


def test_a_whole_run_on_one_screen(study: Study, sms: Sequence[Event]) -> None:
    text = printed(study, sms)
    for fragment in (
        "● synthesize     3 min 34 s", "· ground      not asked for", "1 of 2 slices", "◆ Spam     15  40.0 % (19.8 %",
        "45.4 % of proposed", "▲ helps", "▼ harms", "○ not shown", "+6.4 (+4.9 to +7.9)",
        "starved n = 546", "starved slices,", "at equal rest",
        "$0.0024 in all, $0.000011 per accepted",
    ):  # fmt: skip
        assert fragment in text
    assert "Next:" not in text


def test_the_trial_and_the_strategies_are_told_in_short(study: Study, sms: Sequence[Event]) -> None:
    text = " ".join(printed(study, sms).split())
    assert "The cascade refuses 87 % (76 to 93) of planted wrong labels, and 10 % (5 to 20) of good records." in text
    assert "More of it: proofset calibrate" in text
    assert "ended: briefs spent 1" in text and "How the briefs were written" not in text, "there is one strategy"
    mixed = [
        replace(event, candidate=replace(event.candidate, strategy="titled", output=Output.EVALUATION))
        if isinstance(event, Proposed) and event.number % 2
        else event
        for event in sms
    ]
    text = printed(study, mixed)
    assert max(map(len, text.splitlines())) <= 80
    assert "How the briefs were written" in text and "few-shot     240" in text and "titled       240" in text
    assert "accepted for train" in text and ", evaluation " in text


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_the_terminal(study: Study, cwe: Sequence[Event], width: int) -> None:
    assert max(map(len, printed(study, cwe, width).splitlines())) <= width


def test_many_slices_show_five_and_say_how_many_more(study: Study, cwe: Sequence[Event]) -> None:
    assert "… and 65 more" in printed(study, cwe)


def test_a_run_that_has_only_begun_says_what_comes_next(study: Study, early: Sequence[Event]) -> None:
    text = printed(study, early)
    assert "Next: proofset calibrate" in text
    assert "From proposed" not in text
    assert "Next: proofset ingest" in printed(study, [])


def test_unpriced_calls_are_named_before_the_statement(study: Study, early: Sequence[Event]) -> None:
    text = printed(study, [*early, Spent(usage=Usage(model="m", stage="generate"))])
    assert "Spent so far: $0 for 1 calls" in text
    assert "1 calls have no known price" in text


def test_titles_cannot_style_or_steer_the_terminal(study: Study, early: Sequence[Event]) -> None:
    hostile = "[red]x[/red]\x1b[2J\x07\u202eevil"
    events = [
        replace(event, deficit=replace(event.deficit, title=hostile)) if isinstance(event, DeficitRanked) else event
        for event in early
    ]
    text = printed(study, events)
    assert "[red]x[/red]" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_arms_with_different_baselines_say_so(study: Study, sms: Sequence[Event], defined: Sequence[Event]) -> None:
    assert "compared:" not in printed(study, sms)
    text = " ".join(printed(study, defined).split())
    assert "compared: “+ definitions” with “organic”;" in text
    assert max(map(len, printed(study, defined).splitlines())) <= 80

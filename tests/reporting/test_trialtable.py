from __future__ import annotations

import io

import pytest
from rich.console import Console
from tests.reporting.conftest import trials, tried

from proofset.nouns.event import Event
from proofset.reporting.trial import Trial, fold_trial
from proofset.reporting.trialtable import trial_view


def printed(trial: Trial | None, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(trial_view(trial))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().replace("\u00a0", " ")


@pytest.mark.parametrize("width", [80, 120])
def test_a_trial_says_who_refuses_what_and_what_that_is_worth(width: int) -> None:
    text = printed(fold_trial(trials(), {}), width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    for fragment in (
        "critic 7 % (3 to 16) wrong label 85 % (74 to 92) 60", "form 0 % (0 to 6) repeats itself 100 % (94 to 100) 60",
        "cascade 10 % (5 to 20) wrong label 87 % (76 to 93) 60", "contradicts itself 3 % (1 to 17) 30",
        "10 % faulty 30 % faulty 60 % faulty break-even", "contradicted texts", "(the worst)",
        "– forbidden: no rule at hand", "not in the cascade: critic model.", "No judge is below its floor",
    ):  # fmt: skip
        assert fragment in words, fragment
    lines = text.splitlines()
    starts = [number for name in ("form", "critic ", "critic model", "cascade") for number, line in enumerate(lines)
              if line.startswith(name)]  # fmt: skip
    assert starts == sorted(starts), "the cascade is the last row"


def test_long_names_of_judges_and_faults_stay_within_80_columns() -> None:
    events: list[Event] = [tried("paraphrase of something else", fault, 299, 300) for fault in ("none", "x" * 60)]
    assert max(map(len, printed(fold_trial(events, {})).splitlines())) <= 80


def test_a_judge_below_its_floor_is_marked_and_named() -> None:
    text = printed(fold_trial(trials(), {("critic", "wrong label"): 0.9}))
    assert "▼ 85 % (74 to 92)" in text
    assert "▼ The critic refuses at least 74% of planted wrong labels, 90% asked for." in " ".join(text.split())
    assert "No judge is below" not in text


def test_names_cannot_style_or_steer_the_terminal() -> None:
    hostile = "[red]x[/red]\x1b[2J\u202e"
    text = printed(fold_trial([tried(hostile, "none", 1, 9), tried(hostile, hostile, 1, 9)], {}), 200)
    assert "[red]x" in text and not {"\x1b", "\u202e"} & set(text)


def test_without_a_trial_it_says_why() -> None:
    assert "no slice starves" in printed(None)

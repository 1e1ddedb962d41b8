from __future__ import annotations

import json
import math
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
from tests.reporting import samples

from proofset.nouns.viability import Crossing
from proofset.reporting import verdict

HOSTILE = "[red]x[/red]\x1b[31m\nnext\u202e" + "w" * 300


def said(view: Any, width: int = 100) -> str:
    from rich.console import Console

    console = Console(file=StringIO(), width=width, force_terminal=False)
    console.print(view)
    output: Any = console.file
    return str(output.getvalue()).replace("\u00a0", " ")


def lines(view: Any, width: int = 100) -> list[str]:
    return [line.rstrip() for line in said(view, width).splitlines()]


def test_the_verdict_stands_in_the_first_line() -> None:
    first = lines(verdict.viability_view([samples.viability()]))[0]
    assert first == "▼ NOT CROSSED: SVQ 0.80 [0.77, 0.82] against 0.90; weakest: authenticity"


def test_every_component_has_value_interval_and_words_and_the_weakest_is_marked() -> None:
    told = lines(verdict.viability_view([samples.viability()]), 160)
    for key, name, *_, words in samples.COMPONENTS:
        row = next(line for line in told if f" {key} " in line[:5] + " " and name in line)
        assert words in row
        assert row.startswith("▶") is (key == "A1")
    assert any("A1 authenticity" in line and "0.80" in line and "0.77 to 0.82" in line for line in told)


def test_the_companion_stands_apart() -> None:
    told = lines(verdict.viability_view([samples.viability()]))
    place = next(number for number, line in enumerate(told) if "training lift" in line)
    assert "−0.12" in told[place]
    assert "−0.21 to −0.03" in told[place]
    assert told[place - 1].startswith("beside them")
    assert told[place - 2] == ""
    assert "training lift" not in said(verdict.viability_view([samples.viability(companion=False)]))


def test_sizes_worth_protocol_and_notes_are_told() -> None:
    told = " ".join(said(verdict.viability_view([samples.viability()])).split())
    for words in ("worth about 3,530 organic ones", "more than about 5,460", "train 10,000 · reference 10,000",
                  samples.PROTOCOL, "encoder all-MiniLM-L6-v2", "· Holds for this encoder alone."):  # fmt: skip
        assert words in told, words


def test_what_was_not_taken_is_a_dash_with_its_reason_and_never_a_zero() -> None:
    told = lines(verdict.viability_view([samples.untaken()]))
    rows = [line for line in told if "fewer than 400 records in the control" in line and not line.startswith("○")]
    assert len(rows) == 8
    assert all(" – " in f"{line} " for line in rows)
    assert not any("0.00" in line for line in rows)


def test_nan_is_shown_as_not_taken() -> None:
    told = lines(verdict.viability_view([samples.odd()]), 140)
    row = next(line for line in told if "U  internal" in line)
    assert "–" in row
    assert "nan" not in row


def test_slices_come_weakest_first_and_the_whole_last() -> None:
    told = lines(verdict.viability_view(samples.sliced()), 140)
    assert told[0].startswith("▼ NOT CROSSED: SVQ 0.80")
    start = next(number for number, line in enumerate(told) if line.startswith("Slice by slice"))
    assert [line.split()[0] for line in told[start + 2 : start + 6]] == ["fraud", "billing", "returns", "all"]
    assert "▲ crossed" in told[start + 3]


def test_nothing_measured_says_so() -> None:
    assert said(verdict.viability_view([])).strip() == "No viability was measured."


@pytest.mark.parametrize("width", [80, 120])
def test_all_fits_the_width_and_loses_no_number(width: int) -> None:
    for view in (verdict.viability_view(samples.sliced()), verdict.collapse_view(samples.collapse(40)),
                 verdict.findings_view(samples.findings()), verdict.describe_view(samples.described())):  # fmt: skip
        assert max(map(len, lines(view, width))) <= width
    told = said(verdict.collapse_view(samples.collapse()), width)
    for number in ("0.27–0.39", "0.65–0.72", "0.90–1.04", "0.61–0.73", "3.1 generations (2.0 to 6.9)"):
        assert number in told, number


def test_a_collapse_shows_each_generation_rates_alarm_and_advice() -> None:
    told = said(verdict.collapse_view(samples.collapse()), 120)
    assert told.startswith("▼ COLLAPSING: DMC 0.67 [0.61, 0.73] at generation 5")
    for words in ("effective rank", "no decay detected", "Alarm: rank and rare modes at generation 2", "What to do",
                  "Keep all organic records", "Rank settles at 0.27", "20.0 % (9.5 % to 29.3 %)"):  # fmt: skip
        assert words in told, words
    assert [line.split()[0] for line in told.splitlines() if " 300 " in line] == ["0", "1", "2", "3", "4", "5"]


def test_many_generations_are_thinned_and_counted() -> None:
    told = said(verdict.collapse_view(samples.collapse(40)))
    assert [line.split()[0] for line in told.splitlines() if " 300 " in line] == [str(n) for n in range(0, 41, 4)]
    assert "… and 30 more between these" in told


def test_a_collapse_without_a_generation_is_told() -> None:
    empty = replace(samples.collapse(), generations=(), decays=(), alarms=(), advice=(), signature="")
    assert "no generation was measured" in said(verdict.collapse_view(empty))


def test_experiments_that_disagree_come_first() -> None:
    told = lines(verdict.findings_view(samples.findings()))
    assert told[0] == "1 of 2 experiments disagrees with theory: C-13"
    places = [next(n for n, line in enumerate(told) if line.startswith(name)) for name in ("C-13", "C-01")]
    assert places == sorted(places)
    row = next(line for line in told if "Gini–Simpson" in line)
    assert row.split()[-4:] == ["0.0484", "0.0603", "0.00150", "no"]


def test_descriptive_measures_stand_beside_the_organic_ones() -> None:
    told = lines(verdict.describe_view(samples.described()))
    assert any("↑ distinct-2" in line and "0.412 (0.405 to 0.419)" in line and "0.468" in line for line in told)
    assert any("Zipf" in line and " – " in line for line in told)


def test_no_text_of_the_data_styles_the_terminal() -> None:
    found = replace(samples.viability(), slice=HOSTILE, notes=(HOSTILE,), encoder=HOSTILE)
    told = said(verdict.viability_view([found]))
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "[red]x[/red]" in told


def test_plain_is_json_without_nan() -> None:
    for found in (samples.odd(), samples.collapse(), samples.findings(), samples.described()):
        json.dumps(verdict.plain(found), allow_nan=False)
    plain = verdict.plain(samples.odd())
    assert plain["verdict"] == "not crossed"
    assert type(plain["verdict"]) is str
    uniqueness = plain["components"][-1]
    assert uniqueness["measure"]["value"] is None
    assert plain["components"][2]["measure"]["value"] is None
    assert plain["components"][1]["measure"]["value"] == 0.0


def test_plain_tells_what_is_derived() -> None:
    good, bad = verdict.plain(samples.findings())
    assert (good["holds"], bad["holds"]) == (True, False)
    assert bad["outcomes"][0]["ok"] is False


def test_plain_takes_numpys_numbers() -> None:
    made = verdict.plain(
        {"a": np.float32(0.5), "b": np.array([1.0, math.nan]), "c": np.bool_(True), 3: Crossing.CROSSED}
    )
    assert made == {"a": 0.5, "b": [1.0, None], "c": True, "3": "crossed"}
    assert type(made["c"]) is bool

"""Bars begin at nothing, carry their amounts, and what is lost is hatched."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from xml.etree import ElementTree as ET

from proofset.costing import cogs
from proofset.costing.cogs import Fate, Line, Nature
from proofset.costing.projection import Driver
from proofset.reporting.cascade import Cascade, Step
from proofset.reporting.moneyplots import booked, cascade_figure, cogs_figure, tornado_figure

FALL = (
    (400, 0, "8", "0"),
    (390, 10, "7.5", "0.5"),
    (311, 79, "6", "1.5"),
    (300, 11, "5.8", "0.2"),
    (300, 0, "5.8", "0"),
)


def cascade(fall: tuple[tuple[int, int, str, str], ...] = FALL) -> Cascade:
    names = ("attempts", "parsed", "passed", "unique", "accepted")
    steps = tuple(
        Step(name=name, why="lost ones" if lost else "", records=left, usd=Decimal(usd), lost=lost,
             lost_usd=Decimal(lost_usd))
        for name, (left, lost, usd, lost_usd) in zip(names, fall, strict=True)
    )  # fmt: skip
    return Cascade(steps=steps, unpriced=0, replays=0, rates=None)


def texts(figure: str) -> list[str]:
    root = ET.fromstring(figure.replace("xlink:href", "href"))
    return ["".join(each.itertext()).replace("\u00a0", " ") for each in root.iter("text")]


def bars(figure: str) -> list[float]:
    """Widths of the bars of the wide drawing that are not hatched."""
    wide = figure[: figure.index('class="narrow"')].replace("\n", " ")
    found = re.findall(r'<path d="M ([\d.]+) ([\d.]+) +L ([\d.]+) ([\d.]+) +L[^"]*z *"[^>]*fill: var', wide)
    return [abs(float(x2) - float(x1)) for x1, _, x2, _ in found]


def test_the_fall_is_told_in_records_and_dollars() -> None:
    told = texts(cascade_figure(cascade()))
    for words in ("attempts", "400", "−79", "$8.00", "−$1.50", "$5.80", "records", "US dollars", "311 (−79)"):
        assert words in told, words
    assert told.count("lost ones") == 3


def test_bars_of_the_fall_are_as_long_as_what_is_left() -> None:
    lengths = bars(cascade_figure(cascade()))
    assert len(lengths) == 10
    for found, (left, _, _, _) in zip(lengths[:5], FALL, strict=True):
        assert abs(found / lengths[0] - left / 400) < 0.002
    for found, (_, _, usd, _) in zip(lengths[5:], FALL, strict=True):
        assert abs(found / lengths[5] - float(usd) / 8) < 0.002


def test_a_loss_begins_where_what_is_left_ends() -> None:
    wide = cascade_figure(cascade()).partition('class="narrow"')[0].replace("\n", " ")
    lost = [float(x) for x in re.findall(r'<path d="M ([\d.]+) [^"]*"[^>]*fill: url', wide)]
    kept = [float(x) for x in re.findall(r'<path d="M [\d.]+ [\d.]+ +L ([\d.]+) [^"]*z *"[^>]*fill: var', wide)]
    assert len(lost) == 6
    for found, row in zip(lost, (1, 2, 3, 6, 7, 8), strict=True):
        assert abs(found - kept[row]) < 0.01


def test_a_fall_that_cost_nothing_has_no_bar_of_dollars() -> None:
    free = tuple((left, lost, "0", "0") for left, lost, _, _ in FALL)
    assert len(bars(cascade_figure(cascade(free)))) == 5


def test_losses_are_hatched_and_the_rest_is_not() -> None:
    assert cascade_figure(cascade()).count("<pattern") == 2, "one a drawing"
    whole = tuple((400, 0, "8", "0") for _ in FALL)
    assert "<pattern" not in cascade_figure(cascade(whole))


def statement(*more: Line) -> cogs.CogsStatement:
    return cogs.statement([
        Line(stage="generate", usd=Decimal("2"), fate=Fate.USEFUL),
        Line(stage="critic", usd=Decimal("5"), fate=Fate.USEFUL),
        Line(stage="generate", usd=Decimal("1"), fate=Fate.DUPLICATE), Line(stage="train", usd=Decimal("2")),
        *more,
    ])  # fmt: skip


def test_cogs_stand_by_nature_and_by_fate_with_their_shares() -> None:
    told = texts(cogs_figure(statement()))
    for words in ("By what it bought", "LLM generation", "$3.00 · 30.0 %", "$5.00 · 50.0 %", "By what became of it",
                  "useful", "$7.00 · 70.0 %", "duplicate", "$1.00 · 10.0 %", "not for one candidate"):  # fmt: skip
        assert words in told, words
    assert "storage and egress" not in told, "nothing was booked there"


def test_the_dearest_row_is_first_and_an_unpriced_one_is_not_left_out() -> None:
    found = statement(Line(stage="human", usd=None, calls=3))
    assert [row.nature for row in booked(found)] == [
        Nature.JUDGING, Nature.GENERATION, Nature.COMPUTE, Nature.HUMAN,
    ]  # fmt: skip


def test_what_is_not_known_is_a_dash_and_what_is_known_a_bound() -> None:
    told = texts(cogs_figure(statement(Line(stage="human", usd=None, calls=3))))
    assert {"≥ $3.00", "–", "human review"} <= set(told)
    assert not any("%" in text or text == "$0" for text in told), "a share of a bound is no share"
    free = replace(cascade(tuple((left, 0, "0", "0") for left, *_ in FALL)), unpriced=2)
    told = texts(cascade_figure(free))
    assert told.count("–") == 10 and "$0" not in told
    assert "≥ −$1.50" in texts(cascade_figure(replace(cascade(), unpriced=1)))


def test_bars_of_cogs_share_one_scale() -> None:
    lengths = bars(cogs_figure(statement()))
    assert abs(lengths[1] / lengths[0] - 3 / 5) < 0.01


def test_nothing_paid_nothing_drawn() -> None:
    assert cogs_figure(cogs.statement([Line(stage="generate", usd=None)])) == ""
    assert tornado_figure(("x", ()), None) == ""


def test_the_drivers_of_two_targets_stand_beside_each_other() -> None:
    far = ("3,000 records", (Driver("uniqueness", 0.5), Driver("price", 0.25)))
    made = tornado_figure(far, ("300 records", (Driver("price", 0.75),)))
    told = texts(made)
    assert {"Bar: 3,000 records; diamond: 300 records", "50.0 %", "25.0 % (75.0 %)", "uniqueness"} <= set(told)
    lengths = bars(made)
    assert abs(lengths[0] / lengths[1] - 2) < 0.01
    assert "Bar: 3,000 records" in texts(tornado_figure(far, None))


def test_same_money_same_bytes_and_the_pages_own_colours() -> None:
    made, again = ((cascade_figure(cascade()), cogs_figure(statement())) for _ in range(2))
    assert made == again
    for figure in made:
        assert not re.findall(r"#[0-9a-f]{6}\b", figure)
        labels = re.findall(r'aria-label="([^"]+)"', figure)
        assert len(labels) == 2 and all(len(label) > 60 for label in labels)

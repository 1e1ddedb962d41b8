"""What the page says of money: prices with their interval, targets with their kind, and dashes with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.toy.town import walk_town, write_town

from proofset import prospects
from proofset.config import Synthesize
from proofset.costing.pilot import Pilot
from proofset.costing.projection import Forecast, NotReachable
from proofset.costing.targets import Target
from proofset.errors import InputError
from proofset.nouns.event import Costed, Event, Spent, Started
from proofset.nouns.result import Usage, UsageBasis
from proofset.reporting import words
from proofset.reporting.costcurve import forecasts_of
from proofset.reporting.outlook import outlook, rough_number
from proofset.reporting.prospect import Prospect
from proofset.runs.folder import Run


def priced(found: object, **changes: object) -> Prospect:
    return replace(found, **changes)  # type: ignore[type-var, return-value]


def spent(usd: str | None, stage: str = "train") -> Spent:
    amount = None if usd is None else Decimal(usd)
    basis = UsageBasis.UNPRICED if usd is None else UsageBasis.IMPUTED
    return Spent(usage=Usage(model="m", stage=stage, usd=amount, basis=basis))


def test_three_units_are_one_ratio_with_one_interval(sms: Sequence[Event], promised: Prospect) -> None:
    found = outlook(sms, promised, (), "")
    record, gigabyte, terabyte = found.prices
    assert Decimal(terabyte.usd.replace(",", "")[1:]) == 1000 * Decimal(gigabyte.usd.replace(",", "")[1:])
    assert record.usd == f"${promised.per_tb.usd * 100 / 10**12:.3f}", "each has 100 bytes"
    assert promised.per_tb.low is not None
    assert gigabyte.interval.startswith(f"{words.rough_money(promised.per_tb.low / 1000)} to $")
    assert terabyte.interval.startswith(f"{words.rough_money(promised.per_tb.low)} to $")
    assert "cluster bootstrap of 40 seed documents" in found.basis


def test_without_an_interval_there_is_a_dash(sms: Sequence[Event], promised: Prospect) -> None:
    bare = priced(promised, per_tb=replace(promised.per_tb, low=None, high=None))
    assert {price.interval for price in outlook(sms, bare, (), "").prices} == {"–"}
    ajar = priced(promised, per_tb=replace(promised.per_tb, high=None))
    assert all(price.interval.endswith(" or more") for price in outlook(sms, ajar, (), "").prices)


def test_each_target_says_what_kind_of_answer_it_is(sms: Sequence[Event], promised: Prospect) -> None:
    goals = outlook(sms, promised, (), "").goals
    assert [goal.kind for goal in goals][:1] == ["point"]
    assert [goal.times for goal in goals][:2] == ["10", "100"]
    assert goals[0].linear == "$60.00"
    assert goals[2].name == "1 TB"


def test_what_cannot_be_had_has_no_amount(sms: Sequence[Event], promised: Prospect) -> None:
    out = NotReachable(extrapolation_factor=Decimal(500), ideas=1e6, ceiling=1e4, documents=900, variants=12)
    goal = outlook(sms, priced(promised, forecasts=((Target(records=9), out),)), (), "").goals[0]
    assert (goal.linear, goal.p5, goal.p50, goal.p95) == ("–",) * 4
    assert "needs ≥ 900 documents" in goal.kind


def test_doubts_stand_with_the_target(sms: Sequence[Event], promised: Prospect) -> None:
    target, forecast = promised.forecasts[0]
    assert isinstance(forecast, Forecast)
    doubtful = replace(forecast, above_chao1=True, unreached_share=0.25, p95_usd=None)
    goal = outlook(sms, priced(promised, forecasts=((target, doubtful),)), (), "").goals[0]
    assert goal.p95 == "–"
    assert "Chao 1984" in goal.doubts and "25.0" in goal.doubts


def test_people_carry_their_mark_and_an_unknown_ratio_is_a_dash(sms: Sequence[Event], promised: Prospect) -> None:
    typed, curated = outlook(sms, promised, (), "").people
    assert typed.mark == "S: from a secondary source" and typed.times.endswith(" times")
    assert typed.usd_per_tb == "$1,390,000,000"
    assert curated.mark.startswith("R: ") and curated.times == "–"


def test_without_a_prospect_it_says_why_and_still_shows_what_was_paid(sms: Sequence[Event]) -> None:
    found = outlook(sms, None, (), "5 critic-passed candidates say nothing about saturation")
    assert found.why_not == "5 critic-passed candidates say nothing about saturation"
    assert not (found.prices or found.goals or found.people)
    assert found.figures["cascade"] and found.figures["cogs"] and not found.figures["tornado"]
    assert outlook(sms, None, (), "").why_not == "no forecast was asked for"


def test_figures_are_there_where_there_is_something_to_draw(
    sms: Sequence[Event], promised: Prospect, pilot: Pilot
) -> None:
    found = outlook(sms, promised, forecasts_of(pilot, 0), "")
    assert all(found.figures.values())
    far, near = (100 * promised.accepted, 10 * promised.accepted)
    assert f"Bar: {far:,} records; diamond: {near:,} records" in found.figures["tornado"]


def test_sums_are_of_the_calls_of_the_statement(sms: Sequence[Event]) -> None:
    place = next(number for number, event in enumerate(sms) if isinstance(event, Costed))
    before, after = outlook(sms, None, (), ""), outlook([*sms, spent("7"), spent(None)], None, (), "")
    assert before.cogs == after.cogs == outlook(sms[: place + 1], None, (), "").cogs
    assert before.later == "" and after.later == "at least $7.00 (train)"


def test_a_strange_stage_is_named_with_its_row(sms: Sequence[Event]) -> None:
    found = outlook([Started(verb="audit", key="k"), spent("1", "knitting")], None, (), "")
    assert found.elsewhere == "knitting: booked under retrieval and processing, for want of a row"
    assert outlook(sms, None, (), "").elsewhere == ""


def test_the_calculator_begins_with_what_the_run_paid(sms: Sequence[Event]) -> None:
    trial = outlook(sms, None, (), "").trial
    attempt = sum(Decimal(trial[name]) for name in ("generation", "judging", "other"))
    assert attempt == Decimal("0.0000049")
    assert abs(attempt / Decimal(trial["accepted"]) - Decimal("0.0000049") * 480 / 218) < Decimal("1e-15")
    assert (trial["record"], trial["wanted"], trial["percent"]) == ("$0.000011", "2180", "45.4")
    assert trial["total"] == "$0.024"


def page_of(folder: Path) -> tuple[Run, str]:
    walk_town(write_town(folder), folder / "runs")
    run = Run.read(folder / "runs" / "town")
    return run, run.path("report.html").read_text(encoding="utf-8")


def test_the_verb_puts_the_prospect_of_its_run_on_the_page(tmp_path: Path) -> None:
    run, page = page_of(tmp_path)
    stated = next(event.statement for event in run.events if isinstance(event, Costed))
    assert f"AI COGS of this run: {words.money(stated.total_usd)}" in page
    assert outlook(list(run.events), None, (), "").cogs.cogs_usd == stated.total_usd
    assert "Kind of answer" in page and 'id="curve-wide-' in page


def test_the_verb_says_why_a_run_promises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(run: Run, settings: Synthesize) -> tuple[Pilot, Decimal]:
        raise InputError(f"{run.folder}: 3 critic-passed candidates say nothing", hint="")

    monkeypatch.setattr(prospects, "pilot_of", refuse)
    _, page = page_of(tmp_path)
    assert "This run promises nothing: 3 critic-passed candidates say nothing." in page
    assert "Kind of answer" not in page and str(tmp_path) not in page


def test_numbers_have_three_digits() -> None:
    assert [rough_number(Decimal(each)) for each in ("683.104", "25957.9", "0.2512", "12.0")] == [
        "683", "26,000", "0.251", "12",
    ]  # fmt: skip

"""A run is a pilot: every brief is an attempt, nothing refused is left out, and a promise says how far it goes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from proofset import pipeline, treasury
from proofset.config import Study
from proofset.costing.projection import Forecast, Reach
from proofset.costing.tally import tally
from proofset.errors import InputError
from proofset.nouns.event import BriefClosed
from proofset.prospects import pilot_of, prospect
from proofset.runs.folder import Run


@pytest.fixture
def run(town: ModuleType, tmp_path: Path) -> Path:
    """The folder of a run with a few dozen briefs."""
    study = town.write_town(tmp_path / "town")
    text = (
        study.read_text(encoding="utf-8")
        .replace("quota = 12", "quota = 30")
        .replace("max_briefs = 40", "max_briefs = 120")
    )
    study.write_text(text, encoding="utf-8")
    return pipeline.run(study, tmp_path / "runs", verb="cost").folder


def test_every_brief_is_an_attempt_and_the_money_is_the_ledgers(run: Path) -> None:
    opened = Run.read(run)
    settings = Study.parse(opened.settings).synthesize
    pilot, left_out = pilot_of(opened, settings)
    closings = [event for event in opened.events if isinstance(event, BriefClosed)]
    assert pilot.attempts == len(closings) > 40
    found = tally(treasury.run_table(run))
    assert pilot.total_usd is not None and pilot.total_usd + left_out == found.total.usd
    assert int(pilot.flags("accepted").sum()) == found.accepted and pilot.total_bytes == found.accepted_bytes
    assert not all(pilot.flags("passed")) and len(set(pilot.seeds)) == 4
    copies = sum(event.reason == "duplicate" for event in closings)
    assert int(pilot.flags("passed").sum() - pilot.flags("unique").sum()) == copies


def test_the_beginning_of_a_run_is_a_pilot_of_the_rest(run: Path) -> None:
    opened = Run.read(run)
    settings = Study.parse(opened.settings).synthesize
    part, _ = pilot_of(opened, settings, until=10)
    whole, _ = pilot_of(opened, settings)
    assert int(part.flags("accepted").sum()) == 10 and part.attempts < whole.attempts
    assert part.total_usd is not None and whole.total_usd is not None and part.total_usd < whole.total_usd


def test_what_it_promises_grows_with_the_distance_and_so_does_the_doubt(run: Path) -> None:
    found = prospect(run)
    near, far = (forecast for _, forecast in found.forecasts[:2])
    for forecast, reach in ((near, Reach.POINT), (far, Reach.BAND)):
        if isinstance(forecast, Forecast):
            assert forecast.reach is reach
            assert forecast.p5_usd is None or forecast.p95_usd is None or forecast.p5_usd <= forecast.p95_usd
        else:
            assert forecast.ideas > forecast.ceiling
    assert found.per_tb.usd > 0
    assert found.accepted_bytes > 0
    assert [ratio.baseline.name for ratio in found.ratios] == ["draft_typing", "polished", "expert", "curate_existing"]


def test_one_target_of_ones_own_and_what_a_budget_is_likely_to_pay(run: Path) -> None:
    rich, poor = (prospect(run, records=100, budget_usd=Decimal(usd)) for usd in ("1000", "0.000001"))
    for found, share in ((rich, 1.0), (poor, 0.0)):
        ((target, forecast),) = found.forecasts
        assert target.records == 100 and isinstance(forecast, Forecast)
        assert forecast.within_budget == pytest.approx(share * (1 - forecast.unreached_share))


def test_a_run_without_a_closing_is_no_pilot(town: ModuleType, tmp_path: Path) -> None:
    folder = pipeline.run(town.write_town(tmp_path / "town"), tmp_path / "runs", verb="ground").folder
    with pytest.raises(InputError, match="no brief was closed yet"):
        prospect(folder)

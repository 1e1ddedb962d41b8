from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.reporting.conftest import trials, tried

from proofset.config import Study
from proofset.nouns.event import Event, JudgeMeasured, Started
from proofset.nouns.result import Measure
from proofset.reporting.story import as_json, findings
from proofset.reporting.trial import SHARES, Trial, floors_of, fold_trial, words_of
from proofset.synthesizing.faults import FAULTS, GOOD
from proofset.synthesizing.soundness import break_even, precision


def made(events: Sequence[Event] | None = None, floors: dict[tuple[str, str], float] | None = None) -> Trial:
    found = fold_trial(trials() if events is None else events, floors or {})
    assert found is not None
    return found


def test_judges_stand_in_the_order_of_the_loop_and_the_cascade_last() -> None:
    trial = made(list(reversed(trials())))
    assert [(row.judge, row.whole) for row in trial.rows] == [
        ("form", False), ("critic", False), ("critic model", False), ("cascade", True),
    ]  # fmt: skip
    critic = trial.rows[1]
    assert critic.good is not None and (critic.good.value, critic.good.n) == (4 / 60, 60)
    assert [(each.fault, each.measure.value) for each in critic.faults] == [("wrong label", 51 / 60)]


def test_critic_models_are_told_apart_from_the_cascade() -> None:
    assert made().apart == ("critic model",)
    assert made(trials()[:-3]).apart == ()


def test_worth_is_of_the_cascade_against_faults_of_content_and_the_worst_one() -> None:
    trial = made()
    assert trial.judge == "cascade"
    assert [(each.fault, each.worst) for each in trial.worths] == [("wrong label", False), ("negated", True)]
    good, fault = tried("cascade", "none", 6, 60).rejected, tried("cascade", "negated", 12, 60).rejected
    worst = trial.worths[1]
    assert worst.break_even == break_even(good, fault)
    assert worst.precision == tuple(precision(each, good, fault) for each in SHARES)
    assert worst.break_even.value == pytest.approx(0.9 / (0.9 + 0.8))


def test_without_a_cascade_it_is_of_the_critic_and_without_good_records_of_nothing() -> None:
    assert made([tried("critic", "none", 4, 60), tried("critic", "wrong label", 51, 60)]).judge == "critic"
    assert made([tried("critic", "wrong label", 51, 60)]).worths == ()
    lost = JudgeMeasured(judge="cascade", fault="none", rejected=Measure(name="rejected", value=None))
    assert made([lost, tried("cascade", "wrong label", 9, 10)]).worths == ()


def test_the_headline_is_in_plain_words() -> None:
    told = made().headline.replace("\u00a0", " ")
    assert told == "The cascade refuses 87 % (76 to 93) of planted wrong labels, and 10 % (5 to 20) of good records."
    assert made([tried("form", "truncated", 3, 3)]).headline == ""


def test_a_floor_is_shown_where_it_was_set_and_said_where_it_is_missed() -> None:
    trial = made(floors={("critic", "wrong label"): 0.9, ("form", "repeats itself"): 0.9})
    floors = {(each.judge, each.fault): (each.floor, each.below) for row in trial.rows for each in row.faults}
    assert floors["critic", "wrong label"] == (0.9, True)
    assert floors["form", "repeats itself"] == (0.9, False)
    assert floors["cascade", "wrong label"] == (None, False)
    assert trial.doubts == ("the critic refuses at least 74% of planted wrong labels, 90% asked for",)


def test_floors_are_the_studys_and_the_critics() -> None:
    settings = {"floors": {"cascade": {"copied": 0.8}}, "critic": {"min_fault_recall": 0.4}}
    study = Study.parse({"name": "x", "ingest": {"path": "a.csv"}, "synthesize": settings})
    assert floors_of(study) == {("cascade", "copied"): 0.8, ("critic", "wrong label"): 0.4}


def test_a_judge_that_does_not_judge_is_doubted() -> None:
    trial = made([tried("critic", "none", 99, 100), tried("critic", "wrong label", 100, 100)])
    assert len(trial.doubts) == 1 and "refuses whatever it sees" in trial.doubts[0]


def test_faults_stand_in_the_order_of_the_trial_with_the_cascade_first() -> None:
    found = made().faults
    assert [fault for fault, _ in found] == ["wrong label", "repeats itself", "forbidden", "negated",
                                             "contradicts itself"]  # fmt: skip
    assert [each.judge for each in found[0][1]] == ["cascade", "critic", "critic model"]


def test_every_fault_and_self_contradiction_has_words() -> None:
    assert all(words_of(fault) == FAULTS[fault].words for fault in FAULTS if fault != GOOD)
    assert "decided differently" in words_of("contradicts itself")
    assert words_of("my own fault") == "my own fault"


def test_only_what_follows_the_last_calibrate_counts(study: Study) -> None:
    events: list[Event] = [Started(verb="calibrate", key="a"), *trials(), Started(verb="synthesize", key="b")]
    first = findings(study, events)
    assert first.trial is not None and len(first.trial.rows) == 4
    assert findings(study, [*events, Started(verb="calibrate", key="c")]).trial is None
    again = findings(study, [*events, Started(verb="calibrate", key="c"), tried("form", "none", 0, 5)])
    assert again.trial is not None and [row.judge for row in again.trial.rows] == ["form"]
    assert as_json(first)["trial"]["rows"][-1]["judge"] == "cascade"
    assert findings(study, trials()).trial is None

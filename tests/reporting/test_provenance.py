from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from proofset.config import Study
from proofset.nouns.event import Costed, Event
from proofset.reporting.provenance import key_figures, limits, settings
from proofset.reporting.story import findings


def test_key_figures_stand_with_what_they_rest_on(study: Study, sms: Sequence[Event]) -> None:
    values = {key.label: (key.value, key.detail.replace("\u00a0", " ")) for key in key_figures(findings(study, sms))}
    assert values["organic records"] == ("1,515", "3,018 more sealed as held-out")
    assert values["starved slices"] == ("1", "of 2; first in need: Spam, n = 15")
    assert values["accepted of proposed"] == ("218 / 480", "45.4 % (41.0 % to 49.9 %)")
    assert values["per accepted record"] == ("$0.000011", "$0.0024 in all, imputed from core-hours")
    assert values["points on starved slices, at equal rest"] == (
        "+6.4",
        "+4.9 to +7.9; n = 546; arm “+ judged, chosen weight”",
    )


def test_unpriced_calls_stand_beside_the_price(study: Study, sms: Sequence[Event]) -> None:
    events = [
        Costed(statement=replace(event.statement, unpriced_calls=12)) if isinstance(event, Costed) else event
        for event in sms
    ]
    price = next(key for key in key_figures(findings(study, events)) if key.label == "per accepted record")
    assert "12 calls unpriced" in price.detail


def test_what_was_not_done_is_a_dash_and_says_so(study: Study) -> None:
    keys = key_figures(findings(study, []))
    assert {key.value for key in keys} == {"–"}
    assert all("yet" in key.detail for key in keys)


def test_settings_are_complete_and_mark_what_was_chosen(study: Study) -> None:
    rows = {each.name: each for each in settings(study)}
    assert rows["synthesize.quota"].value == "240"
    assert rows["ingest.keep"].value == "spam = 15"
    assert rows["ingest.keep"].chosen
    assert not rows["prove.margin"].chosen
    assert rows["synthesize.gates.min_words"].value == "4"
    assert rows["audit.target_error"].value == "–"


def test_limits_speak_only_of_what_was_done(study: Study, sms: Sequence[Event]) -> None:
    assert len(limits(findings(study, []), study)) == 2
    told = " ".join(limits(findings(study, sms), study))
    for fragment in ("withheld on purpose (spam: 15)", "5 seeds", "planted faults", "not adjusted", "encoder"):
        assert fragment in told

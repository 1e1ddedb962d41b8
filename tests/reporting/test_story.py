from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from proofset.config import Study
from proofset.nouns.event import Claimed, DeficitRanked, Event, Finished, Ingested, Measured, Opened, Proved, Started
from proofset.nouns.result import Claim, Measure
from proofset.reporting.story import PATH, as_json, findings, since


def ingested(organic: int) -> Ingested:
    return Ingested(rows=9, organic=organic, held_out=1, labels=2, near_copy_groups=0, dropped=())


def test_since_is_what_follows_the_last_start_of_that_verb() -> None:
    events: list[Event] = [
        Started(verb="ingest", key="a"), ingested(1), Started(verb="ingest", key="b"), Started(verb="audit", key="c"),
        ingested(2),
    ]  # fmt: skip
    assert [event for event in since(events, "ingest") if isinstance(event, Ingested)] == [ingested(2)]
    assert since(events, "audit") == [ingested(2)]
    assert since(events, "prove") == ()


@given(st.lists(st.sampled_from(["ingest", "audit", "event"]), max_size=40))
def test_since_never_reaches_back_over_a_start(kinds: list[str]) -> None:
    events: list[Event] = [
        ingested(place) if kind == "event" else Started(verb=kind, key="k") for place, kind in enumerate(kinds)
    ]
    kept = since(events, "audit")
    assert not any(isinstance(event, Started) and event.verb == "audit" for event in kept)
    assert list(events[len(events) - len(kept) :]) == list(kept)
    assert not kept or "audit" in kinds


def test_findings_of_a_whole_run(study: Study, sms: Sequence[Event]) -> None:
    found = findings(study, sms)
    assert [step.state for step in found.steps] == ["done", "done", "not asked for", *["done"] * 7]
    assert [each.slice for each in found.edges] == ["spam"]
    assert found.synthesis is not None
    assert (found.synthesis.proposed, found.synthesis.accepted) == (480, 218)
    assert found.proof is not None
    assert [answer.claim for answer in found.proof.answers] == [Claim.HARMS, Claim.NOT_SHOWN, Claim.HELPS]
    assert (found.proof.seeds, {answer.against for answer in found.proof.answers}) == (5, {"organic"})
    assert len(found.proof.pooled) == 18
    assert {gain.slice for gain in found.proof.per_slice} == {"spam"}
    assert found.spending.usd == 480 * Decimal("0.0000049")


def test_the_lead_answer_is_the_last_arm_whatever_its_result(study: Study, sms: Sequence[Event]) -> None:
    worse = [
        Claimed(claim=replace(event.claim, claim=Claim.HARMS))
        if isinstance(event, Claimed) and event.claim.arm == "judged-weighted"
        else event
        for event in sms
    ]
    lead = findings(study, worse).lead
    assert lead is not None
    assert (lead.arm, lead.verdict) == ("judged-weighted", "harms")


def test_an_answer_says_its_numbers_with_intervals(study: Study, sms: Sequence[Event]) -> None:
    lead = findings(study, sms).lead
    assert lead is not None
    numbers = lead.numbers.replace("\u00a0", " ")
    assert (
        numbers
        == "starved slices at equal rest +6.4 (+4.9 to +7.9, n = 546); elsewhere −0.2 (−0.6 to +0.2, n = 2,472)."
    )


def test_without_a_recorded_claim_nothing_is_claimed(study: Study, sms: Sequence[Event]) -> None:
    found = findings(study, [event for event in sms if not isinstance(event, Claimed)])
    assert found.proof is not None
    assert {answer.claim for answer in found.proof.answers} == {None}
    assert found.proof.answers[0].verdict == "has no recorded claim"


def test_an_earlier_key_of_a_verb_no_longer_counts(study: Study, early: Sequence[Event]) -> None:
    again = findings(study, [*early, Started(verb="audit", key="another")])
    assert again.deficits == ()
    assert again.state("audit") == "unfinished"
    assert again.state("ingest") == "done"


def test_of_two_rankings_of_a_slice_the_later_counts(study: Study, early: Sequence[Event]) -> None:
    ranked = [event.deficit for event in early if isinstance(event, DeficitRanked)]
    found = findings(study, [*early, DeficitRanked(deficit=replace(ranked[0], n=99))])
    assert [each.n for each in found.deficits] == [99, 1500]


def test_ground_is_asked_for_only_when_the_study_names_something(early: Sequence[Event]) -> None:
    asked = Study.parse({"name": "x", "ingest": {"path": "a.csv"}, "ground": {"passages": "p.csv"}})
    assert findings(asked, early).state("ground") == "not done"


def test_an_empty_log_has_no_findings(study: Study) -> None:
    found = findings(study, [])
    assert [step.verb for step in found.steps] == list(PATH)
    assert (found.synthesis, found.cost, found.proof, found.lead, found.ingested) == (None,) * 5


def test_versions_are_listed_once(study: Study) -> None:
    opened = Opened(proofset_version="0.1.0", python_version="3.12", platform="Linux")
    found = findings(study, [opened, opened, replace(opened, proofset_version="0.2.0")])
    assert [each.proofset_version for each in found.made_by] == ["0.1.0", "0.2.0"]


def test_json_is_strict_exact_and_complete(study: Study, sms: Sequence[Event]) -> None:
    broken = Measured(
        measure=Measure(name="odd", value=float("nan"), high=float("inf")), control=Measure(name="odd", value=None)
    )
    finished = [event for event in sms if not (isinstance(event, Finished) and event.verb == "measure")]
    plain = as_json(findings(study, [*finished, broken]))
    again = json.loads(json.dumps(plain, allow_nan=False))
    assert again == plain
    assert plain["cost"]["total_usd"] == "0.00244"
    assert plain["pairs"][-1]["measure"]["value"] is None
    assert plain["proof"]["answers"][2]["claim"] == "helps"
    assert type(plain["proof"]["answers"][2]["claim"]) is str


def test_rows_are_told_apart_by_metric_even_when_a_slice_is_called_all(study: Study, sms: Sequence[Event]) -> None:
    gains = [event.gain for event in sms if isinstance(event, Proved)]
    odd = replace(next(each for each in gains if each.metric == "slice accuracy"), slice="all")
    found = findings(study, [*sms, Proved(gain=odd)])
    assert found.proof is not None
    assert odd in found.proof.per_slice
    assert odd not in found.proof.pooled


def test_each_answer_names_the_arm_it_is_compared_with(
    study: Study, sms: Sequence[Event], defined: Sequence[Event]
) -> None:
    alone, both = findings(study, sms).proof, findings(study, defined).proof
    assert alone is not None and both is not None
    assert not alone.varies
    assert dict(alone.arms)["judged"] == "+ judged"
    assert both.varies
    assert [answer.against for answer in both.answers] == ["organic", *["+ definitions"] * 3]
    assert dict(both.arms)["judged"] == "+ judged against + definitions"
    pairing = both.pairing.replace("\u00a0", " ")
    assert pairing == (
        "“+ definitions” with “organic”; “+ unjudged”, “+ judged”, “+ judged, chosen weight” with “+ definitions”"
    )


def test_the_settings_of_every_arm_are_kept_the_baselines_too(study: Study, sms: Sequence[Event]) -> None:
    proof = findings(study, sms).proof
    assert proof is not None
    assert [title for title, _ in proof.settings] == ["organic", "+ unjudged", "+ judged", "+ judged, chosen weight"]
    assert all("edge offset +0.4" in chosen for _, chosen in proof.settings)

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.reporting import samples

from proofset.nouns.result import Measure
from proofset.nouns.viability import Crossing, Decay
from proofset.reporting import answers


@pytest.mark.parametrize(
    ("value", "beside", "told"),
    [
        (0.796, 0.9, "0.80"),
        (0.896, 0.9, "0.896"),
        (0.8999, 0.9, "0.8999"),
        (0.90001, 0.9, "0.9000"),
        (0.9, 0.9, "0.90"),
        (0.904, 0.9, "0.904"),
        (0.906, 0.9, "0.91"),
        (0.904, None, "0.90"),
        (-0.67, 0.0, "−0.67"),
        (-0.003, 0.0, "−0.003"),
        (-0.001, None, "0.00"),
        (0.0, 0.9, "0.00"),
        (2.31, 0.9, "2.31"),
        (123.4, 0.9, "123"),
        (None, 0.9, "–"),
        (float("nan"), 0.9, "–"),
        (float("inf"), None, "–"),
    ],
)
def test_a_ratio_never_hides_on_which_side_of_the_threshold_it_lies(
    value: float | None, beside: float | None, told: str
) -> None:
    assert answers.ratio(value, beside) == told


def test_an_interval_may_be_open_or_missing() -> None:
    base = Measure(name="x", value=0.8)
    assert answers.reading(replace(base, low=0.77, high=0.82)) == "0.80 (0.77 to 0.82)"
    assert answers.reading(replace(base, low=0.77)) == "0.80 (0.77 or more)"
    assert answers.reading(replace(base, high=0.82)) == "0.80 (at most 0.82)"
    assert answers.reading(base) == "0.80"


def test_the_verdict_is_one_line_with_interval_threshold_and_weakest() -> None:
    found = samples.viability()
    assert answers.headline(found) == "NOT CROSSED: SVQ 0.80 [0.77, 0.82] against 0.90; weakest: authenticity"
    assert answers.headline(replace(found, slice="billing")).startswith("billing: NOT CROSSED: SVQ")


def test_an_undecided_verdict_says_what_would_decide_it_and_a_fallen_one_does_not() -> None:
    found = samples.fresh()
    assert answers.headline(found).endswith("; about 6,100 synthetic records would decide it")
    assert "decide" not in answers.headline(replace(found, verdict=Crossing.CROSSED))
    assert "decide" not in answers.headline(replace(found, needed=None))


def test_a_quotient_that_could_not_be_taken_says_why() -> None:
    told = answers.headline(samples.untaken())
    assert told == "returns: UNDECIDED: the SVQ could not be taken: fewer than 400 records in the control"


def test_a_bound_that_rounds_to_the_threshold_is_written_out() -> None:
    found = replace(samples.viability(), quotient=Measure(name="SVQ", value=0.95, low=0.8996, high=1.0))
    assert "SVQ 0.95 [0.8996, 1.00] against 0.90" in answers.headline(found)


def test_the_weakest_slice_comes_first_and_the_whole_last() -> None:
    ranked = [each.slice for each in answers.weakest_first(samples.sliced())]
    assert ranked == ["fraud", "billing", "returns", ""]


def test_the_whole_speaks_for_all_and_the_weakest_where_there_is_none() -> None:
    found = samples.sliced()
    lead = answers.leading(found)
    assert lead is not None
    assert lead.slice == ""
    parts = answers.leading([each for each in found if each.slice])
    assert parts is not None
    assert parts.slice == "fraud"
    assert answers.leading([]) is None


@pytest.mark.parametrize(
    ("value", "low", "high", "stands"),
    [
        (0.95, 0.9, 1.0, Crossing.CROSSED),
        (0.95, 0.89, 1.0, Crossing.UNDECIDED),
        (0.8, 0.7, 0.8999, Crossing.NOT_CROSSED),
        (0.8, 0.7, 0.9, Crossing.UNDECIDED),
        (0.95, None, None, Crossing.UNDECIDED),
        (None, None, None, None),
        (float("nan"), 1.0, 1.0, None),
    ],
)
def test_a_component_stands_where_its_whole_interval_does(
    value: float | None, low: float | None, high: float | None, stands: Crossing | None
) -> None:
    assert answers.standing(samples.component("D", "x", value, low, high), 0.9) is stands


def test_what_records_are_worth_is_told_as_far_as_it_is_known() -> None:
    found = samples.viability()
    assert answers.worth(found) == [
        "As a picture of the organic distribution, these 10,000 synthetic records are worth about 3,530 organic ones; "
        "no amount of them is worth more than about 5,460."
    ]
    assert "no end is seen" in answers.worth(replace(found, saturation=None))[0]
    assert "about 1,430 organic ones" in answers.worth(replace(found, equivalent=1432.7))[0]
    assert (
        "no amount of this synthetic text is worth more than about 5,460 organic records"
        in answers.worth(replace(found, equivalent=None))[0]
    )
    assert answers.worth(replace(found, saturation=None, equivalent=None)) == []


def test_a_collapse_is_one_line() -> None:
    told = answers.collapse_headline(samples.collapse())
    assert told == (
        "COLLAPSING: DMC 0.67 [0.61, 0.73] at generation 5; rare modes lost most; 0.80 [0.74, 0.85] at the planning "
        "horizon, as things go"
    )
    assert answers.collapse_headline(samples.collapse(alarmed=False)).startswith("NO COLLAPSE SHOWN: DMC 0.01")
    assert answers.collapse_headline(replace(samples.collapse(), generations=())).endswith("no generation was measured")


def test_a_loss_that_could_not_be_taken_says_why() -> None:
    found = samples.collapse(1)
    last = replace(found.generations[-1], loss=Measure(name="DMC", value=None, note="too few records"))
    told = answers.collapse_headline(replace(found, generations=(last,)))
    assert told.endswith("the DMC of generation 1 could not be taken: too few records")


def test_alarms_are_told_by_generation() -> None:
    assert answers.alarms(samples.collapse()) == "Alarm: rank and rare modes at generation 2; silent: variance."
    assert answers.alarms(samples.collapse(8)) == (
        "Alarm: rank and rare modes at generation 2 and variance at generation 6."
    )
    assert answers.alarms(samples.collapse(alarmed=False)) == "No alarm: variance, rank and rare modes stay silent."
    assert answers.alarms(replace(samples.collapse(), alarms=())) == ""


def test_a_half_life_has_its_interval_or_says_why_there_is_none() -> None:
    decays = {each.of: each for each in samples.collapse().decays}
    assert answers.half_life(decays["variance"]) == "103 generations (67 to 224)"
    assert answers.half_life(decays["rare modes"]) == "3.1 generations (2.0 to 6.9)"
    assert answers.half_life(decays["mean log direction"]) == "no decay detected"
    open_end = replace(decays["rank"], half_life=Measure(name="half-life", value=9.2, low=7.8))
    assert answers.half_life(open_end) == "9.2 generations (7.8 or more)"
    assert answers.half_life(None) == ""


def test_a_rate_of_the_logarithm_is_shown_as_the_share_that_is_lost() -> None:
    rate = Measure(name="rate", value=0.6931471805599453, low=0.0, high=None)
    lost = answers.lost_share(Decay(of="x", rate=rate, half_life=rate, plateau=rate))
    assert lost.value == pytest.approx(0.5)
    assert (lost.low, lost.high) == (0.0, None)


def test_a_decay_is_found_by_the_share_it_is_of() -> None:
    found = samples.collapse()
    assert [getattr(answers.decay_of(found, field), "of", None) for field, _ in answers.SHARES] == [
        "variance", "rank", "rare modes", None, None,
    ]  # fmt: skip
    assert answers.plateaus(found) == ["Rank settles at 0.27 (0.20 to 0.34)."]


def test_a_signature_is_told_with_its_p_value() -> None:
    found = samples.collapse()
    assert answers.signature(found)[0].startswith("Every direction loses alike (p = 0.340): ")
    unequal = answers.signature(replace(found, signature="decoder", signature_p=1e-9))[0]
    assert unequal.startswith("Directions lose unequally (p < 0.001): ")
    assert answers.signature(replace(found, signature="", signature_p=None, tail_records=None)) == []
    assert "120 organic records" in answers.signature(found)[1]


def test_an_unknown_signature_is_shown_as_it_is() -> None:
    assert answers.signature(replace(samples.collapse(), signature="{odd}"))[0] == "{odd} (p = 0.340)."


def test_generations_are_thinned_evenly_with_both_ends() -> None:
    made = samples.collapse(40).generations
    assert [each.number for each in answers.spaced(made, 11)] == list(range(0, 41, 4))
    assert [each.number for each in answers.spaced(made[:3], 11)] == [0, 1, 2]


def test_findings_that_fail_are_named() -> None:
    good, bad = samples.findings()
    assert answers.findings_headline([good, good]) == "All 2 experiments agree with theory"
    assert answers.findings_headline([good]) == "The experiment agrees with theory"
    assert answers.findings_headline([good, bad]) == "1 of 2 experiments disagrees with theory: C-13"
    assert answers.findings_headline([bad, bad, good]) == "2 of 3 experiments disagree with theory: C-13, C-13"

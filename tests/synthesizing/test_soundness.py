"""The figures of a trial have known answers, and judges that do not judge are named."""

from __future__ import annotations

import random

import pytest

from proofset.errors import InputError
from proofset.nouns.event import JudgeMeasured
from proofset.nouns.result import Better, Measure
from proofset.stats import wilson
from proofset.synthesizing.calibration import CASCADE
from proofset.synthesizing.faults import GOOD
from proofset.synthesizing.soundness import break_even, break_even_noise, precision, precision_at, verdict_on


def measure(refused: int, n: int, note: str = "") -> Measure:
    low, high = wilson(refused, n) if n else (None, None)
    return Measure(name="rejected", value=refused / n if n else None, low=low, high=high, n=n, unit="share", note=note)


def judged(judge: str, **refused: tuple[int, int]) -> list[JudgeMeasured]:
    """Keywords are faults, with underscores for spaces; "none" is what stands for good records."""
    return [
        JudgeMeasured(
            judge=judge, fault=fault.replace("_", "-" if fault == "off_topic" else " "), rejected=measure(*counts)
        )
        for fault, counts in refused.items()
    ]


@pytest.mark.parametrize(
    ("phi", "psi", "found"), [(0.9, 0.3, 0.75), (0.9, 0.1, 0.9), (0.5, 0.5, 0.5), (1.0, 0.0, 1.0), (0.0, 0.5, 0.0)]
)
def test_break_even_noise_has_its_known_answers(phi: float, psi: float, found: float) -> None:
    assert break_even_noise(phi, psi) == pytest.approx(found)


def test_a_judge_that_keeps_nothing_has_no_break_even() -> None:
    assert break_even_noise(0.0, 0.0) is None


def test_at_the_break_even_half_of_what_is_accepted_is_good() -> None:
    rng = random.Random(0)
    for _ in range(50):
        phi, psi = rng.uniform(0.01, 1), rng.uniform(0.01, 1)
        noise = break_even_noise(phi, psi)
        assert noise is not None
        assert precision_at(noise, 1 - psi, 1 - phi) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("faults", "recall", "alarm", "found"),
    [(0.6, 0.0, 0.0, 0.4), (0.6, 1.0, 0.5, 1.0), (0.5, 0.9, 0.1, 0.9), (0.0, 0.0, 0.0, 1.0), (1.0, 0.5, 0.0, 0.0)],
)
def test_precision_has_its_known_answers(faults: float, recall: float, alarm: float, found: float) -> None:
    assert precision_at(faults, recall, alarm) == pytest.approx(found)


def test_precision_is_the_share_counted_in_a_simulation() -> None:
    rng = random.Random(3)
    good = bad = 0
    for _ in range(40_000):
        faulty = rng.random() < 0.6
        if rng.random() >= (0.8 if faulty else 0.25):
            good, bad = good + (not faulty), bad + faulty
    expected = precision_at(0.6, 0.8, 0.25)
    assert expected is not None
    assert good / (good + bad) == pytest.approx(expected, abs=0.02)


def test_where_nothing_is_accepted_there_is_no_precision() -> None:
    assert precision_at(0.3, 1.0, 1.0) is None


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused_by_name(share: float) -> None:
    with pytest.raises(InputError, match="psi"):
        break_even_noise(0.5, share)
    with pytest.raises(InputError, match="recall"):
        precision_at(0.5, share, 0.5)


def test_the_interval_of_the_break_even_is_the_worst_and_the_best_of_the_bounds() -> None:
    good, wrong = measure(10, 100), measure(70, 100)
    found = break_even(good, wrong)
    assert [good.low, good.high] == pytest.approx([0.0552, 0.1744], abs=1e-4)
    assert [wrong.low, wrong.high] == pytest.approx([0.6042, 0.7811], abs=1e-4)
    assert found.value == pytest.approx(0.9 / 1.2)
    assert found.low == pytest.approx(0.8256 / (0.8256 + 0.3958), abs=1e-4)
    assert found.high == pytest.approx(0.9448 / (0.9448 + 0.2189), abs=1e-4)
    assert (found.n, found.better, found.unit) == (200, Better.HIGHER, "share")


def test_the_interval_of_the_precision_is_the_worst_and_the_best_of_the_bounds() -> None:
    found = precision(0.6, measure(10, 100), measure(70, 100))
    assert found.value == pytest.approx(0.36 / 0.54)
    assert found.low == pytest.approx(0.4 * 0.8256 / (0.4 * 0.8256 + 0.6 * 0.3958), abs=1e-4)
    assert found.high == pytest.approx(0.4 * 0.9448 / (0.4 * 0.9448 + 0.6 * 0.2189), abs=1e-4)


def test_what_was_not_measured_gives_no_figure_and_says_why() -> None:
    for found in (
        break_even(measure(0, 0, "no edge"), measure(5, 9)),
        precision(0.5, measure(5, 9), measure(0, 0, "no edge")),
    ):
        assert (found.value, found.low, found.high, found.note) == (None, None, None, "no edge")
    assert break_even(measure(9, 9), measure(9, 9)).note == "nothing is accepted"


def test_a_good_judge_above_its_floor_gets_no_sentence() -> None:
    fine = judged("critic", none=(15, 300), wrong_label=(270, 300), near_label=(200, 300))
    assert verdict_on(fine, {("critic", "wrong label"): 0.85}) == []


def test_a_judge_below_its_floor_is_named_with_both_figures() -> None:
    weak = judged("critic", none=(15, 300), wrong_label=(202, 300))
    assert weak[1].rejected.low == pytest.approx(0.618, abs=1e-3)
    assert verdict_on(weak, {("critic", "wrong label"): 0.8}) == [
        "the critic refuses at least 62% of planted wrong labels, 80% asked for"
    ]


def test_a_floor_is_held_against_the_lower_bound() -> None:
    few = judged("critic", none=(0, 9), wrong_label=(9, 10))
    assert verdict_on(few, {("critic", "wrong label"): 0.8})
    assert verdict_on(few, {("critic", "wrong label"): 0.55}) == []


@pytest.mark.parametrize("measured", [[], judged("critic", none=(0, 9), wrong_label=(0, 0))])
def test_a_floor_under_what_was_not_tried_is_not_held(measured: list[JudgeMeasured]) -> None:
    assert verdict_on(measured, {("critic", "wrong label"): 0.8}) == [
        "the critic was not tried on planted wrong labels, 80% asked for"
    ]
    assert verdict_on(measured, {("critic", "wrong label"): 0.0}) == []


@pytest.mark.parametrize("fault", [GOOD, "boring"])
def test_what_is_no_fault_has_no_floor(fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        verdict_on([], {("critic", fault): 0.5})


def test_a_judge_that_refuses_everything_is_found_out() -> None:
    (sentence,) = verdict_on(judged("critic", none=(100, 100), wrong_label=(100, 100)), {})
    assert sentence == "the critic refuses at least 96% of good records: it refuses whatever it sees"


def test_a_judge_that_accepts_everything_is_found_out() -> None:
    (sentence,) = verdict_on(judged("critic", none=(0, 100), wrong_label=(0, 100), near_label=(1, 300)), {})
    assert sentence == "the critic refuses at most 4% of the faults it is there for: it accepts whatever it sees"
    (sentence,) = verdict_on(judged(CASCADE, none=(0, 100), copied=(0, 100), forbidden=(0, 0)), {})
    assert sentence.startswith("the cascade refuses at most 4%")


def test_a_judge_that_catches_one_of_its_faults_does_not_accept_everything() -> None:
    assert verdict_on(judged("form", none=(0, 100), truncated=(0, 100), too_short=(99, 100)), {}) == []


def test_a_judge_is_not_blamed_for_faults_it_is_not_there_for() -> None:
    assert verdict_on(judged("form", none=(0, 100), wrong_label=(0, 100)), {}) == []
    assert verdict_on(judged("my own", none=(0, 100), wrong_label=(0, 100)), {}) == []


def test_too_few_cases_convict_nobody() -> None:
    assert verdict_on(judged("critic", none=(0, 2), wrong_label=(1, 9)), {}) == []


def test_a_judge_that_answers_at_random_is_found_out() -> None:
    found = 0
    for seed in range(40):
        rng = random.Random(seed)
        none, wrong = (sum(rng.random() < 0.4 for _ in range(300)) for _ in range(2))
        found += bool(verdict_on(judged("critic", none=(none, 300), wrong_label=(wrong, 300)), {}))
    assert found >= 36


def test_a_middling_judge_is_not_taken_for_a_random_one() -> None:
    for n in (10, 30, 100, 300):
        middling = judged("critic", none=(n // 5, n), wrong_label=(n // 2, n))
        assert verdict_on(middling, {}) == []


def test_a_judge_that_is_good_at_one_of_its_faults_tells_something_apart() -> None:
    narrow = judged("critic", none=(6, 300), wrong_label=(6, 300), off_topic=(55, 60))
    assert verdict_on(narrow, {}) == []
    blind = judged("critic", none=(6, 300), wrong_label=(6, 300), off_topic=(3, 60))
    assert len(verdict_on(blind, {})) == 1

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.nouns.result import Measure
from proofset.reporting import words
from proofset.synthesizing.generator import MISSHAPEN
from proofset.synthesizing.kinds.asking import UNREADABLE

NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0", "$0"), ("0.00012", "$0.00012"), ("0.0000112", "$0.000011"), ("0.5", "$0.50"), ("0.999", "$1.00"),
        ("1234.567", "$1,234.57"), ("12", "$12.00"), ("0.0096", "$0.0096"), ("-0.02", "−$0.020"),
    ],
)  # fmt: skip
def test_money_keeps_two_figures_however_small(amount: str, expected: str) -> None:
    assert words.money(Decimal(amount)) == expected


def test_an_unknown_amount_is_a_dash_and_not_zero() -> None:
    assert words.money(None) == "–"
    assert words.money(Decimal("NaN")) == "–"


@given(st.decimals(min_value="1e-12", max_value="1e9", allow_nan=False))
def test_money_is_never_off_by_more_than_a_twentieth(amount: Decimal) -> None:
    shown = Decimal(words.money(amount).removeprefix("$").replace(",", ""))
    assert (
        abs(shown - amount) <= max(amount / 18, Decimal(0)) if amount < 1 else abs(shown - amount) <= Decimal("0.005")
    )


def test_points_carry_a_real_sign() -> None:
    assert [words.points(each) for each in (0.0712, -0.0041, 0.0, 0.0005, -0.0005)] == [
        "+7.1", "−0.4", "0.0", "+0.05", "−0.05",
    ]  # fmt: skip
    assert words.points(0.9345, signed=False) in {"93.4", "93.5"}


def test_percentages_and_counts() -> None:
    assert words.percent(0.454) == f"45.4{NBSP}%"
    assert words.percent(0.0046) == f"0.46{NBSP}%"
    assert words.percent(1.0) == f"100{NBSP}%"
    assert words.count(1515) == "1,515"
    assert words.count(12345) == "12,345", "a count is exact"
    assert words.count(12345.6) == "12,300", "an estimate is not"


@pytest.mark.parametrize("write", [words.count, words.number, words.percent, words.points, words.duration])
def test_what_is_not_a_number_is_a_dash(write: object) -> None:
    assert callable(write)
    assert [write(None), write(float("nan")), write(float("inf"))] == ["–", "–", "–"]


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.42, "0.4 s"), (38, "38 s"), (725, "12 min 5 s"), (12_000, "3 h 20 min")]
)
def test_durations(seconds: float, expected: str) -> None:
    assert words.duration(seconds) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.00123, "0.00123"), (0.982, "0.982"), (12.34, "12.3"), (1234.0, "1,234"), (-2.0, "−2.00")]
)
def test_numbers_have_three_figures(value: float, expected: str) -> None:
    assert words.number(value) == expected


def test_a_measure_is_shown_with_interval_and_n() -> None:
    measure = Measure(name="error", value=0.4, low=0.198, high=0.643, n=15)
    assert str(words.shown(measure, "percent")) == f"40.0{NBSP}% (19.8{NBSP}% to 64.3{NBSP}%, n{NBSP}={NBSP}15)"


def test_a_measure_without_value_is_a_dash_with_its_note() -> None:
    shown = words.shown(Measure(name="x", value=None, note="too few records"))
    assert (shown.value, shown.interval, shown.note) == ("–", "", "too few records")
    assert words.shown(None).value == "–"


def test_half_open_intervals_say_so() -> None:
    assert words.interval(Measure(name="x", value=5, low=3.0), "count") == "3 or more"
    assert words.interval(Measure(name="x", value=5, high=9.0), "count") == "at most 9"


def test_shares_read_as_percentages_and_ratios_as_numbers() -> None:
    assert words.style_of(Measure(name="x", value=0.1, unit="share of items")) == "percent"
    assert words.style_of(Measure(name="x", value=3, unit="records")) == "count"
    assert words.style_of(Measure(name="x", value=0.9, unit="ratio to organic")) == "number"
    assert words.style_of(Measure(name="x", value=7, unit="generated texts")) == "number"


def test_shares_on_little_room_never_round_to_all_or_nothing() -> None:
    assert [words.whole(each) for each in (0.0, 0.0004, 0.004, 0.0051, 0.5, 0.994, 0.9951, 1.0, None)] == [
        "0", "<1", "<1", "1", "50", "99", ">99", "100", "–",
    ]  # fmt: skip
    measure = Measure(name="x", value=0.979, low=0.951, high=0.998)
    assert words.share(measure) == f"98{NBSP}% (95 to >99)"
    assert words.share(Measure(name="x", value=0.5)) == f"50{NBSP}%"
    assert words.share(None) == words.share(Measure(name="x", value=None)) == words.DASH


def test_slices_kept_apart_are_called_after_their_label() -> None:
    titles = {"spam": "Spam!", "a/evaluation": "A thing of its own"}
    names = ("spam", "spam/evaluation", "ham/adversarial", "a/evaluation", "tcp/ip", "/evaluation")
    assert [words.slice_title(name, titles) for name in names] == [
        "Spam!", "Spam!: edge-case evaluation", "ham: adversarial scenarios", "A thing of its own", "tcp/ip",
        "/evaluation",
    ]  # fmt: skip


REJECTIONS = re.compile(
    r'reject\([^,]+, candidate, "([a-z][a-z -]+)"|\breason="([a-z][a-z -]+)"|return "([a-z][a-z -]+)"'
)


def test_every_reason_of_a_shipped_judge_has_words() -> None:
    room = Path(words.__file__).parents[1] / "synthesizing"
    judges = ["gates", "adversary", "distilled", "pairwise", "drift", "languages", "personal", "constitution"]
    files = [room / f"{name}.py" for name in judges] + [
        room / "kinds" / f"{name}.py" for name in ("conversation", "evaluation", "question", "scenario", "labelled")
    ]
    found = {code for file in files for each in REJECTIONS.findall(file.read_text("utf-8")) for code in each if code}
    assert {"no rubric", "roles out of order", "worse than organic"} <= found
    as_they_are = {code for code in found if code.startswith(("empty ", "too ", "repeats "))}
    assert found - as_they_are <= set(words.REASONS), found - as_they_are - set(words.REASONS)
    assert {UNREADABLE, MISSHAPEN, "near paraphrase", "drifted", "wrong language", "too easy"} <= set(words.REASONS)


def test_known_reasons_are_words_and_unknown_ones_stay() -> None:
    assert words.reason("copy of organic") == "copies an organic record"
    assert words.reason("house-rule_7") == "house rule 7"


@given(st.text())
def test_plain_text_can_always_be_written_and_laid_out(text: str) -> None:
    clean = words.plain(text + "\ud800\x1b[31m\x00")
    clean.encode("utf-8")
    assert "\x1b" not in clean
    assert "\x00" not in clean
    assert len(words.plain(text, 10)) <= 10
    assert "\n" not in words.line(text)
    assert not {"\u202e", "\u2066"} & set(words.line(text + "\u202e\u2066"))


def test_metrics_have_headings_and_unknown_ones_their_own_name() -> None:
    assert words.metric("edge accuracy at equal rest") == "Starved slices, at equal rest"
    assert words.metric("rest accuracy") == "The rest, as tuned"
    assert words.metric("calibration\x00 error") == "Calibration\ufffd error"


def test_a_certain_count_needs_no_interval_but_a_certain_difference_does() -> None:
    nothing = Measure(name="x", value=0.0, low=0.0, high=0.0)
    assert words.interval(nothing, "count") == ""
    assert words.interval(nothing, "points") == "0.0 to 0.0"


def test_forecasts_have_three_digits_and_narrow_places_short_names() -> None:
    rough = {"0.00123456": "$0.0012", "8.266": "$8.27", "12345": "$12,300", "1234567": "$1,230,000"}
    assert {each: words.rough_money(Decimal(each)) for each in rough} == rough
    short = {"12345": "$12,300", "1234567": "$1.23\u00a0M", "1000000": "$1\u00a0M", "100000000": "$100\u00a0M",
             "7709989933": "$7.71\u00a0B",
             "2500000000000": "$2.5\u00a0T"}  # fmt: skip
    assert {each: words.short_money(Decimal(each)) for each in short} == short
    assert words.short_money(None) == words.rough_money(None) == words.DASH

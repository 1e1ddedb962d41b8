"""People's prices: four named baselines with their marks, a fixed sample, and no ratio without its baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.costing.humans import (
    BASELINES,
    TERABYTE,
    Baseline,
    Curating,
    Mark,
    Source,
    Writing,
    baseline,
    fixed_sample,
    replacement_ratio,
)
from proofset.errors import InputError

D = Decimal


def test_writing_is_words_times_wage_over_speed() -> None:
    work = Writing(usd_per_hour=D(20), words_per_hour=D(500), bytes_per_word=D(5), qa=D("0.1"))
    assert work.usd(5_000_000) == D(1_000_000) / 500 * 20 * D("1.1") == 44_000


def test_curating_reads_every_document_to_keep_a_few() -> None:
    work = Curating(
        usd_per_hour=D(36), bytes_per_document=D(1000), keep=D("0.25"), seconds=D(10), readers=D(2), qa=D("0.5")
    )
    assert work.hours(1_000_000) == pytest.approx(D(4000) * 10 * 2 / 3600)
    assert work.usd(1_000_000) == D(4000) * 10 * 2 * 36 / 3600 * D("1.5") == 1200


def test_curating_a_terabyte_takes_twenty_million_hours() -> None:
    work = baseline("curate_existing").work
    assert isinstance(work, Curating)
    assert work.hours(TERABYTE) == pytest.approx(D("20833333.33"), abs=D("0.01"))


@given(n_bytes=st.integers(0, 10**15))
def test_twice_the_text_costs_twice_as_much_by_every_baseline(n_bytes: int) -> None:
    for known in BASELINES:
        assert abs(known.usd(2 * n_bytes) - 2 * known.usd(n_bytes)) <= D("2e-12")


def test_every_baseline_is_shown_with_the_mark_of_its_weakest_source() -> None:
    assert [(known.name, str(known.mark)) for known in BASELINES] == [
        ("draft_typing", "S"), ("polished", "S"), ("expert", "S"), ("curate_existing", "R"),
    ]  # fmt: skip
    for known in BASELINES:
        assert known.label.endswith(f" [{known.mark}]")
        assert all(str(source).endswith(f" [{source.mark}]") for source in known.sources)


@given(marks=st.lists(st.sampled_from(list(Mark)), min_size=1))
def test_one_weak_source_marks_the_whole_baseline(marks: list[Mark]) -> None:
    worst = next(mark for mark in (Mark.RECALLED, Mark.SECONDARY, Mark.VERIFIED, Mark.MEASURED) if mark in marks)
    sources = tuple(Source("a page", mark) for mark in marks)
    assert replace(BASELINES[0], sources=sources).mark is worst


def test_a_baseline_can_be_edited() -> None:
    typing = baseline("draft_typing")
    assert isinstance(typing.work, Writing)
    dearer = replace(typing, work=replace(typing.work, usd_per_hour=D(30)))
    assert dearer.usd(TERABYTE) == pytest.approx(2 * typing.usd(TERABYTE))


def test_a_ratio_names_its_baseline_and_its_mark() -> None:
    ratio = replacement_ratio(D("2542996.94"), baseline("curate_existing"))
    assert ratio.times == pytest.approx(D("180.2"), abs=D("0.1"))
    assert str(ratio) == ("180 times cheaper than curating existing text, 1 of 10 documents kept at $20 an hour [R]")


def test_a_cost_that_is_not_known_gives_no_ratio() -> None:
    ratio = replacement_ratio(None, baseline("expert"))
    assert ratio.times is None
    assert str(ratio).startswith("not known") and "[S]" in str(ratio)


def test_the_fixed_sample_is_as_large_as_its_precision_needs() -> None:
    plan = fixed_sample(0.5, half_width=0.05, seconds_each=D(90), usd_per_hour=D(24))
    assert plan.n == 385
    assert plan.usd == 385 * D("0.60") == D(231)
    assert plan.low == pytest.approx(0.45, abs=0.003) and plan.high == pytest.approx(0.55, abs=0.003)


@given(share=st.floats(0.02, 0.98), half_width=st.floats(0.005, 0.2))
def test_one_record_fewer_would_not_do(share: float, half_width: float) -> None:
    n = fixed_sample(share, half_width=half_width, seconds_each=D(1), usd_per_hour=D(1)).n
    assert 1.96 * (share * (1 - share) / n) ** 0.5 <= half_width * (1 + 1e-9)
    assert n == 1 or 1.96 * (share * (1 - share) / (n - 1)) ** 0.5 > half_width * (1 - 1e-9)


WRITING = Writing(usd_per_hour=D(1), words_per_hour=D(1))
CURATING = Curating(usd_per_hour=D(1), bytes_per_document=D(1), keep=D(1), seconds=D(1))


def plan(share: float = 0.5, half_width: float = 0.1, wage: str = "1") -> object:
    return fixed_sample(share, half_width=half_width, seconds_each=D(1), usd_per_hour=D(wage))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: replace(WRITING, usd_per_hour=D(0)), "usd_per_hour is 0"),
        (lambda: replace(WRITING, words_per_hour=D("NaN")), "words_per_hour is NaN"),
        (lambda: replace(WRITING, qa=D("-1")), "qa is -1"),
        (lambda: replace(CURATING, keep=D(0)), "keep is 0"),
        (lambda: replace(CURATING, keep=D("1.5")), "keep is 1.5"),
        (lambda: WRITING.usd(-1), "-1 bytes"),
        (lambda: CURATING.usd(-1), "-1 bytes"),
        (lambda: baseline("robots"), "no baseline is called 'robots'"),
        (lambda: Baseline(name="x", title="x", work=WRITING, sources=()), "baseline 'x' has no source"),
        (lambda: replacement_ratio(D(0), BASELINES[0]), "0 USD per TB"),
        (lambda: replacement_ratio(D("NaN"), BASELINES[0]), "NaN USD per TB"),
        (lambda: plan(share=1.0), "a share of 1.0 to ± 0.1"),
        (lambda: plan(half_width=0.0), "a share of 0.5 to ± 0.0"),
        (lambda: plan(wage="-2"), "usd_per_hour is -2"),
    ],
)
def test_what_cannot_be_is_an_input_error(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
    assert caught.value.hint

"""The statement adds up three ways to the last digit, knows what was wasted, and shows no margin it cannot know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.costing import ledger
from proofset.costing.cogs import (
    FALLBACK,
    NATURES,
    CogsStatement,
    Fate,
    Line,
    Nature,
    Saving,
    amortised,
    fate_of,
    saving,
    statement,
    without_batch,
    without_cache,
)
from proofset.costing.prices import Tariff
from proofset.errors import InputError
from proofset.nouns.result import Usage

D = Decimal
MINI = Tariff(D("0.25"), D("0.025"), D("2.00"))
amounts = st.decimals(D(0), D(10**9), places=12)


@st.composite
def some_lines(draw: st.DrawFn) -> list[Line]:
    made = []
    for _ in range(draw(st.integers(0, 12))):
        usd = draw(st.none() | amounts)
        outcome = draw(st.sampled_from(["ok", "http 500", "no answer", FALLBACK]))
        premium = None
        if outcome == FALLBACK and usd is not None and draw(st.booleans()):
            premium = draw(st.decimals(D(0), usd, places=12)) if usd else D(0)
        made.append(
            Line(
                stage=draw(st.sampled_from(sorted(NATURES))),
                usd=usd,
                fate=draw(st.sampled_from(list(Fate))),
                outcome=outcome,
                calls=draw(st.integers(0, 10**6)),
                premium_usd=premium,
            )
        )
    return made


def row(found: CogsStatement, nature: Nature) -> Any:
    return next((line.usd, line.calls) for line in found.by_nature if line.nature is nature)


def of(stage: str, usd: str, fate: Fate = Fate.USEFUL, **more: Any) -> Line:
    return Line(stage=stage, usd=D(usd), fate=fate, **more)


@given(lines=some_lines())
def test_sums_by_nature_and_by_fate_and_of_the_lines_are_equal_to_the_last_digit(lines: list[Line]) -> None:
    found = statement(lines)
    total = sum((line.usd for line in lines if line.usd is not None), D(0))
    assert sum((line.usd for line in found.by_nature), D(0)) == total
    assert sum((line.usd for line in found.by_fate), D(0)) == total
    assert found.cogs_usd == total
    assert found.machine_usd == sum((line.machine_usd for line in found.by_fate), D(0))
    assert [line.nature for line in found.by_nature] == list(Nature)
    assert sum(line.calls for line in found.by_nature) == sum(line.calls for line in lines)
    assert found.unpriced_calls == sum(max(1, line.calls) for line in lines if line.usd is None)


@given(lines=some_lines())
def test_dearer_lines_cost_more_and_their_order_does_not_matter(lines: list[Line]) -> None:
    def doubled(usd: Decimal | None) -> Decimal | None:
        return None if usd is None else 2 * usd

    twice = [replace(line, usd=doubled(line.usd), premium_usd=doubled(line.premium_usd)) for line in lines]
    found, again = statement(lines), statement(reversed(twice))
    assert again.cogs_usd == 2 * found.cogs_usd and again.waste_usd == 2 * found.waste_usd
    assert again.waste_share == found.waste_share


def test_an_amount_too_fine_for_floats_is_kept() -> None:
    assert statement([of("generate", "1e12"), of("critic", "1e-12")]).cogs_usd == D("1000000000000.000000000001")


def test_every_stage_has_its_row() -> None:
    found = statement([of(stage, "1") for stage in NATURES])
    assert {line.nature: line.usd for line in found.by_nature if line.usd} == {
        Nature.GENERATION: 1, Nature.JUDGING: 2, Nature.EMBEDDINGS: 1, Nature.VECTOR_DB: 1, Nature.COMPUTE: 3,
        Nature.PROCESSING: 5, Nature.OBSERVABILITY: 1, Nature.HUMAN: 1, Nature.STORAGE: 1,
    }  # fmt: skip


def test_retries_failed_parses_and_the_premium_of_a_fallback_are_a_row_of_their_own() -> None:
    found = statement([
        of("generate", "10"),
        of("generate", "1", Fate.PARSE_FAILED),
        of("generate", "2", outcome="http 500"),
        of("generate", "5", outcome=FALLBACK, premium_usd=D(4)),
        of("critic", "3", outcome=FALLBACK),
        of("critic", "7", Fate.PARSE_FAILED),
        of("train", "6", outcome="failed"),
    ])  # fmt: skip
    assert row(found, Nature.RETRIES) == (1 + 2 + 4 + 3, 3)
    assert row(found, Nature.GENERATION) == (10 + 1, 2)
    assert row(found, Nature.JUDGING) == (7, 1)
    assert row(found, Nature.COMPUTE) == (6, 1)


def test_waste_is_machine_money_for_candidates_nobody_kept() -> None:
    found = statement([
        of("generate", "6"),
        of("critic", "1", Fate.CRITIC_REJECTED),
        of("embed", "2", Fate.DUPLICATE),
        of("generate", "1", Fate.CANCELLED),
        of("human", "100", Fate.HUMAN_REJECTED),
        of("audit", "50", Fate.NO_CANDIDATE),
    ])  # fmt: skip
    assert (found.waste_usd, found.waste_share) == (D(4), 0.4)
    assert (found.machine_usd, found.cogs_usd) == (D(60), D(160))
    rejected = next(line for line in found.by_fate if line.fate is Fate.HUMAN_REJECTED)
    assert (rejected.machine_usd, rejected.human_usd, rejected.usd) == (D(0), D(100), D(100))


def test_nothing_spent_wastes_no_share_of_anything() -> None:
    found = statement([])
    assert (found.cogs_usd, found.waste_share, found.gross_margin) == (D(0), None, None)


def test_revenue_gives_a_margin_and_the_set_up_comes_below_it() -> None:
    lines = [of("generate", "30"), of("human", "10")]
    found = statement(lines, revenue_usd=D(100), setup_usd=amortised(D(1000), produced=50, lifetime=1000))
    assert (found.gross_profit_usd, found.gross_margin) == (D(60), 0.6)
    assert (found.setup_usd, found.profit_after_setup_usd) == (D(50), D(10))
    assert statement(lines, revenue_usd=D(20)).gross_margin == -1.0
    nothing = statement(lines, revenue_usd=D(0))
    assert (nothing.gross_profit_usd, nothing.gross_margin) == (D(-40), None)


def test_a_call_without_a_price_leaves_no_margin_and_a_lower_bound() -> None:
    known = of("generate", "30")
    found = statement([known, Line(stage="critic", usd=None, calls=7)], revenue_usd=D(100), setup_usd=D(1))
    assert (found.unpriced_calls, found.cogs_usd) == (7, D(30))
    assert (found.gross_profit_usd, found.gross_margin, found.profit_after_setup_usd) == (None, None, None)


def test_the_fates_of_the_run_log_have_their_names_here() -> None:
    refused = ledger.REFUSED
    assert [
        fate_of(name)
        for name in (
            ledger.ACCEPTED, ledger.NOT_A_CANDIDATE, ledger.IN_FLIGHT, ledger.SUPERSEDED, refused + "duplicate",
            refused + "truncated", refused + "surplus", refused + "off label", refused + "no verdict",
        )
    ] == [
        Fate.USEFUL, Fate.NO_CANDIDATE, Fate.CANCELLED, Fate.CANCELLED, Fate.DUPLICATE,
        Fate.PARSE_FAILED, Fate.CANCELLED, Fate.CRITIC_REJECTED, Fate.CRITIC_REJECTED,
    ]  # fmt: skip


def test_another_ledgers_stages_are_mapped_by_its_owner() -> None:
    found = statement([of("dream", "3")], natures={"dream": Nature.STORAGE})
    assert row(found, Nature.STORAGE) == (3, 1)


CALL = Usage(model="m", stage="generate", input_tokens=1200, cached_tokens=800, output_tokens=350)


def test_a_cache_saves_the_discount_on_what_was_read_from_it() -> None:
    found = saving("cache", [CALL, CALL], without=without_cache(MINI), instead=MINI.cost)
    assert found.saved_usd == 2 * 800 * D("0.225") / 10**6
    assert found.share == pytest.approx(float(found.saved_usd) / 0.002)


def test_a_batch_saves_its_discount_on_the_calls_that_waited() -> None:
    calls = [replace(CALL, processing="batch"), CALL]
    found = saving("batch", iter(calls), without=without_batch(MINI), instead=MINI.cost)
    assert (found.without_usd, found.with_usd) == (D("0.00164"), D("0.00123"))
    assert found.share == 0.25


def test_a_local_model_that_costs_more_saves_less_than_nothing() -> None:
    found = saving("local model", [CALL], without=MINI.cost, instead=lambda usage: D("0.001"))
    assert found.saved_usd == D("-0.00018")


def test_a_saving_on_a_call_without_a_price_is_not_known() -> None:
    found = saving("distilled critic", [CALL, CALL], without=lambda usage: None, instead=MINI.cost)
    assert found == Saving("distilled critic", None, D("0.00164"))
    assert found.saved_usd is None and found.share is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: statement([of("dream", "1")]), "no row for stage 'dream'"),
        (lambda: statement([of("generate", "-1")]), "1 calls of 'generate' for -1 USD"),
        (lambda: statement([of("generate", "NaN")]), "1 calls of 'generate' for NaN USD"),
        (lambda: statement([of("generate", "1", calls=-2)]), "-2 calls of 'generate' for 1 USD"),
        (
            lambda: statement([of("generate", "1", premium_usd=D(1))]),
            "a premium of 1 USD in 1 USD of outcome 'ok'",
        ),
        (
            lambda: statement([of("generate", "1", outcome=FALLBACK, premium_usd=D(2))]),
            "a premium of 2 USD in 1 USD of outcome 'fallback'",
        ),
        (lambda: statement([], revenue_usd=D("-5")), "-5 USD of revenue or set-up"),
        (lambda: statement([], setup_usd=D("NaN")), "NaN USD of revenue or set-up"),
        (lambda: fate_of("eaten"), "'eaten' is no fate of the ledger"),
        (lambda: amortised(D(1), produced=3, lifetime=2), "a set-up of 1 USD over 3 of 2 records"),
        (lambda: amortised(D(-1), produced=1, lifetime=2), "a set-up of -1 USD over 1 of 2 records"),
        (lambda: amortised(D(1), produced=0, lifetime=0), "a set-up of 1 USD over 0 of 0 records"),
    ],
)
def test_what_cannot_be_is_an_input_error(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
    assert caught.value.hint

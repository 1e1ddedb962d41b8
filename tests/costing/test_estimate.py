"""An estimate lies between what all accepted would cost and what the study allows, and tells what it rests on."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from proofset.costing.estimate import Asked, Habit, Need, Span, estimate
from proofset.costing.prices import Tariff

PRICES = Tariff(Decimal(1), Decimal(1), Decimal(10))
NEED = Need(slice="s", wanted=100, most_briefs=400, prompt_bytes=900.0)
MODEL = Asked(name="m", stage="generate", tariff=PRICES, max_tokens=60)


def test_known_answer_with_everything_measured() -> None:
    measured = replace(MODEL, habit=Habit(bytes_a_token=4.0, answer_tokens=30.0))
    found = estimate([NEED], [measured], accepted=49, closed=98)
    (line,) = found.lines
    assert line.calls == Span(least=Decimal(100), likely=Decimal(200), most=Decimal(400))
    assert [int(span.likely) for span in (line.input_tokens, line.output_tokens)] == [200 * 225, 200 * 30]
    assert found.usd.likely == Decimal(200 * 225 + 10 * 200 * 30) / 10**6
    assert found.usd.most == Decimal(400 * 900 + 10 * 400 * 60) / 10**6
    assert found.usd.least == Decimal(100 * 150 + 10 * 100) / 10**6
    assert found.complete and found.assumptions == ("49 of 98 briefs were accepted so far: 50% is taken",)


def test_what_was_not_measured_is_assumed_and_said() -> None:
    found = estimate([NEED], [MODEL])
    assert found.lines[0].calls.likely == 200
    assert [words for words in found.assumptions if "no brief was closed yet" in words]
    assert [words for words in found.assumptions if "4.5 bytes a token" in words]
    assert [words for words in found.assumptions if "50% of its longest answer of 60 tokens" in words]


def test_a_model_without_a_price_is_told_and_never_free() -> None:
    unpriced = replace(MODEL, tariff=None, name="mystery")
    found = estimate([NEED], [MODEL, unpriced])
    assert not found.complete and found.lines[1].usd is None
    assert found.usd == found.lines[0].usd
    assert any("mystery: no price" in words for words in found.assumptions)
    local = replace(unpriced, habit=Habit(usd_a_call=Decimal("0.001")))
    assert estimate([NEED], [local]).usd.likely == Decimal("0.2")


def test_a_quota_that_the_briefs_do_not_reach_at_that_yield_is_told() -> None:
    found = estimate([replace(NEED, most_briefs=150)], [MODEL])
    assert found.lines[0].calls.likely == found.lines[0].calls.most == 150
    assert any("1 of 1 slices use up their briefs" in words for words in found.assumptions)


def test_batches_cost_their_share_and_a_critic_is_asked_about_those_that_reach_it() -> None:
    whole, half = (estimate([NEED], [replace(MODEL, batch=batch)]) for batch in (False, True))
    assert half.usd.likely * 2 == whole.usd.likely
    critic = replace(MODEL, stage="critic", reached=0.6, request_bytes=450.0)
    (line,) = estimate([NEED], [critic]).lines
    assert line.calls == Span(least=Decimal(100), likely=Decimal(120), most=Decimal(400))
    assert line.input_tokens.likely == 120 * 100


@given(
    wanted=st.integers(0, 500), spare=st.integers(0, 2000), prompt=st.floats(0, 5000), longest=st.integers(1, 500),
    accepted=st.integers(0, 50), refused=st.integers(0, 50), reached=st.floats(0, 1),
)  # fmt: skip
def test_least_likely_and_most_are_in_order_and_sum_up(
    wanted: int, spare: int, prompt: float, longest: int, accepted: int, refused: int, reached: float
) -> None:
    need = Need(slice="s", wanted=wanted, most_briefs=wanted + spare, prompt_bytes=prompt)
    asked = [replace(MODEL, max_tokens=longest), replace(MODEL, max_tokens=longest, reached=reached)]
    found = estimate([need, need], asked, accepted, accepted + refused)
    for line in found.lines:
        for span in (line.calls, line.input_tokens, line.output_tokens, line.usd):
            assert span is not None and 0 <= span.least <= span.likely <= span.most
    assert found.usd.likely == sum(line.usd.likely for line in found.lines if line.usd is not None)

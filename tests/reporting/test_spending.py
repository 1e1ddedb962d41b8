from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from proofset.nouns.event import Event, Spent, Started
from proofset.nouns.result import Usage, UsageBasis
from proofset.reporting.spending import fold_spending


def spent(model: str, usd: str | None, stage: str = "generate") -> Spent:
    basis = UsageBasis.UNPRICED if usd is None else UsageBasis.CATALOGUE
    amount = None if usd is None else Decimal(usd)
    return Spent(usage=Usage(model=model, stage=stage, input_tokens=7, output_tokens=3, usd=amount, basis=basis))


def test_unpriced_calls_are_counted_and_never_free() -> None:
    spending = fold_spending([spent("a", "0.1"), spent("a", None), spent("b", None, "judge")])
    assert (spending.calls, spending.unpriced, spending.usd) == (3, 2, Decimal("0.1"))
    assert spending.authors == ("a",)
    silent = Spent(usage=Usage(model="this machine", stage="audit", core_seconds=2.0))
    judge = Spent(usage=Usage(model="judge", stage="critic", output_tokens=9))
    assert fold_spending([judge, spent("a", None)]).authors == ("a",), "who judges does not propose"
    assert fold_spending([silent, spent("a", None)]).authors == ("a",), "work without words is no speech"
    assert spending.engines[0].bases == (UsageBasis.CATALOGUE, UsageBasis.UNPRICED)


def test_a_replay_costs_nothing_and_is_not_unpriced() -> None:
    replay = Spent(usage=Usage(model="a", stage="generate", basis=UsageBasis.REPLAY))
    spending = fold_spending([replay, spent("a", "0.1")])
    assert (spending.calls, spending.unpriced, spending.usd) == (2, 0, Decimal("0.1"))


def test_what_an_earlier_attempt_spent_stays_spent() -> None:
    events: list[Event] = [spent("a", "1"), Started(verb="synthesize", key="second"), spent("a", "2")]
    assert fold_spending(events).usd == 3


@given(st.lists(st.tuples(st.sampled_from("ab"), st.decimals("0", "10", places=7)), max_size=30))
def test_engines_add_up_to_the_last_digit(rows: list[tuple[str, Decimal]]) -> None:
    spending = fold_spending([spent(model, str(usd)) for model, usd in rows])
    assert spending.usd == sum((usd for _, usd in rows), Decimal(0))
    assert sum(engine.output_tokens for engine in spending.engines) == 3 * len(rows)

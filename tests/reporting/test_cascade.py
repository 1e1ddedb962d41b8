"""Attempts fall to accepted records, each loss with its money, and nothing is lost on the way."""

from __future__ import annotations

from decimal import Decimal

from proofset.costing.cogs import Fate
from proofset.nouns.event import BriefClosed, Event, Spent, Started
from proofset.nouns.result import Usage, UsageBasis
from proofset.reporting.cascade import LOSSES, Cascade, cascade_of
from proofset.reporting.cogs_of_run import Books, statement_of_run

REASONS = ("", "", "", "no reply", "wrong label", "unsafe", "duplicate", "surplus")


def spent(stage: str, usd: str | None, brief: str = "", avoided: str | None = None) -> Spent:
    basis = UsageBasis.CATALOGUE if avoided is None else UsageBasis.REPLAY
    return Spent(
        usage=Usage(
            model="m", stage=stage, brief_id=brief, usd=None if usd is None else Decimal(usd), basis=basis,
            avoided_usd=None if avoided is None else Decimal(avoided),
        )
    )  # fmt: skip


def run(*more: Event) -> list[Event]:
    events: list[Event] = [spent("audit", "100"), Started(verb="synthesize", key="k")]
    for number, reason in enumerate(REASONS):
        brief = f"b{number}"
        events += [spent("generate", f"0.{number + 1}", brief), spent("critic", "0.01", brief)]
        winner = None if reason else "w"
        events.append(BriefClosed(brief_id=brief, slice="s", number=number, winner=winner, reason=reason))
    return [*events, spent("generate", "50", "open"), *more]


def made(*more: Event) -> Cascade:
    found = cascade_of(Books.of(run(*more)))
    assert found is not None
    return found


def test_records_and_dollars_fall_together() -> None:
    steps = made().steps
    assert [step.name for step in steps] == ["attempts", "parsed", "passed", "unique", "accepted"]
    assert [step.records for step in steps] == [8, 7, 5, 4, 3]
    assert [step.lost for step in steps] == [0, 1, 2, 1, 1]
    assert [step.lost_usd for step in steps] == [Decimal(each) for each in ("0", "0.41", "1.12", "0.71", "0.81")]
    assert steps[0].usd == Decimal("3.68") == steps[-1].usd + sum(step.lost_usd for step in steps)
    assert steps[-1].usd == Decimal("0.63"), "of the three accepted ones, and not of the audit or the open brief"


def test_a_loss_costs_what_the_statement_says() -> None:
    found = {row.fate: row.usd for row in statement_of_run(Books.of(run())).by_fate}
    steps = {step.name: step.lost_usd for step in made().steps}
    for name, _, fate in LOSSES:
        assert steps[name] == found[fate] - (50 if fate is Fate.CANCELLED else 0), "the open brief is no attempt yet"


def test_rates_are_of_all_attempts() -> None:
    rates = made().rates
    assert rates is not None
    assert (rates.attempts, rates.accepted) == (8, 3)
    assert (rates.generation_usd, rates.judging_usd, rates.other_usd) == (
        Decimal("3.6"),
        Decimal("0.08"),
        Decimal(0),
    )
    assert rates.usd_per_accepted == Decimal("3.68") / 3


def test_a_replay_costs_nothing_now_and_its_price_in_the_rates() -> None:
    found = made(spent("generate", "0", "b0", avoided="10"))
    assert found.steps[0].usd == Decimal("3.68")
    assert found.replays == 1
    assert found.rates is not None and found.rates.generation_usd == Decimal("13.6")


def test_without_every_price_there_is_no_rate() -> None:
    found = made(spent("critic", None, "b0"))
    assert found.unpriced == 1
    assert found.rates is None
    assert made(spent("generate", "0", "b0", avoided=None)).unpriced == 0


def test_before_the_first_brief_is_closed_there_is_none() -> None:
    assert cascade_of(Books.of([spent("audit", "1")])) is None


def test_where_nothing_was_accepted_or_paid_there_is_no_rate() -> None:
    lost = BriefClosed(brief_id="a", slice="s", number=0, winner=None, reason="unsafe")
    found = cascade_of(Books.of([spent("generate", "1", "a"), lost]))
    assert found is not None and found.rates is None and found.steps[-1].records == 0
    free = cascade_of(Books.of([BriefClosed(brief_id="a", slice="s", number=0, winner="w", reason="")]))
    assert free is not None and free.rates is None

"""A run's lines of COGS add up to its ledger, whatever became of an attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, localcontext

import pytest

from proofset.costing import cogs, ledger
from proofset.costing.cogs import Fate, Nature
from proofset.nouns.event import BriefClosed, Event, Spent, Started
from proofset.nouns.result import Usage, UsageBasis
from proofset.reporting.cogs_of_run import ELSEWHERE, NATURES, Books, lines_of_run, statement_of_run, strangers
from proofset.reporting.story import PATH


def spent(stage: str, usd: str | None, brief: str = "", **more: object) -> Spent:
    amount = None if usd is None else Decimal(usd)
    basis = UsageBasis.UNPRICED if usd is None else UsageBasis.CATALOGUE
    told: dict[str, object] = {"basis": basis} | more
    return Spent(usage=Usage(model="m", stage=stage, brief_id=brief, usd=amount, **told))  # type: ignore[arg-type]


def replay(brief: str, avoided: str) -> Spent:
    return spent("generate", "0", brief, basis=UsageBasis.REPLAY, avoided_usd=Decimal(avoided))


def closed(brief: str, reason: str = "", number: int = 0) -> BriefClosed:
    return BriefClosed(brief_id=brief, slice="s", number=number, winner=None if reason else "w", reason=reason)


@pytest.fixture
def muddle() -> list[Event]:
    """Every kind of money at once, with amounts that no float can hold."""
    return [
        spent("audit", "0.0000000000000000000000000000001"),
        Started(verb="synthesize", key="old"),
        spent("generate", "1.1", "gone"), closed("gone", "truncated"),
        Started(verb="synthesize", key="new"),
        spent("generate", "0.25", "a", outcome="http 500"), spent("generate", "2.5", "a"), spent("critic", "0.75", "a"),
        spent("generate", "3", "b"), closed("b", "wrong label"),
        spent("generate", "4", "c"), closed("c", "duplicate"),
        spent("generate", "5", "d"), closed("d", "no reply"),
        spent("generate", "6", "open"), spent("critic", None, "c"), replay("a", "9"),
        spent("prove", "7"), spent("knitting", "8"),
    ]  # fmt: skip


def test_lines_add_up_to_the_ledger_to_the_last_digit(muddle: list[Event]) -> None:
    wanted, found = ledger.statement(muddle), statement_of_run(Books.of(muddle))
    assert found.cogs_usd == wanted.total_usd == Decimal("37.6000000000000000000000000000001")
    with localcontext(prec=60):
        assert sum((row.usd for row in found.by_nature), Decimal(0)) == wanted.total_usd
        assert sum((row.usd for row in found.by_fate), Decimal(0)) == wanted.total_usd
    assert found.unpriced_calls == wanted.unpriced_calls == 1
    assert sum(row.calls for row in found.by_nature) == sum(line.calls for line in wanted.by_stage)
    fates: dict[Fate, Decimal] = {}
    with localcontext(prec=60):
        for line in wanted.by_fate:  # two fates of the ledger may be one here
            fates[cogs.fate_of(line.name)] = fates.get(cogs.fate_of(line.name), Decimal(0)) + line.usd
    assert {row.fate: row.usd for row in found.by_fate if row.usd} == fates


def test_and_of_a_whole_run_too(sms: Sequence[Event]) -> None:
    found = statement_of_run(Books.of(sms))
    assert found.cogs_usd == ledger.statement([e for e in sms if isinstance(e, Spent)]).total_usd > 0


def test_what_failed_or_was_asked_again_is_booked_apart(muddle: list[Event]) -> None:
    rows = {row.nature: row for row in statement_of_run(Books.of(muddle)).by_nature}
    assert rows[Nature.RETRIES].usd == Decimal("0.25") + 5, "one error and one without a reply"
    assert rows[Nature.JUDGING].usd == Decimal("0.75")
    assert rows[Nature.COMPUTE].usd == 7


def test_a_reply_out_of_the_store_is_in_no_line() -> None:
    assert lines_of_run(Books.of([replay("a", "9")])) == ()


def test_calls_of_one_kind_are_one_line_and_unpriced_ones_another() -> None:
    events: list[Event] = [
        spent("critic", "1", "a"),
        spent("critic", "2", "a"),
        spent("critic", None, "a"),
        closed("a"),
    ]
    assert Counter((line.usd, line.calls, line.fate) for line in lines_of_run(Books.of(events))) == {
        (Decimal(3), 2, Fate.USEFUL): 1, (None, 1, Fate.USEFUL): 1,
    }  # fmt: skip


def test_a_stage_without_a_row_is_named_and_not_lost(muddle: list[Event]) -> None:
    lines = lines_of_run(Books.of(muddle))
    assert strangers(lines) == ("knitting",)
    booked = {row.nature: row.usd for row in statement_of_run(Books.of(muddle)).by_nature}
    assert booked[ELSEWHERE] == Decimal("8.0000000000000000000000000000001")


def test_every_verb_and_stage_of_a_run_has_a_row() -> None:
    stages = {*PATH, "report", "generate", "critic", "judge"}
    assert stages <= set(NATURES)

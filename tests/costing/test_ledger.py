from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.costing.ledger import (
    ACCEPTED,
    IN_FLIGHT,
    NO_SLICE,
    NOT_A_CANDIDATE,
    REFUSED,
    SUPERSEDED,
    statement,
)
from proofset.errors import LogCorrupt
from proofset.nouns.candidate import Candidate
from proofset.nouns.event import BriefClosed, Event, Finished, Proposed, Spent, Started
from proofset.nouns.result import CostLine, Usage, UsageBasis


def spent(
    usd: str | None, brief: str = "", stage: str = "generate", part: str = "", basis: UsageBasis = UsageBasis.IMPUTED
) -> Spent:
    amount = None if usd is None else Decimal(usd)
    return Spent(
        usage=Usage(
            model="m",
            stage=stage,
            slice=part,
            brief_id=brief,
            input_tokens=10,
            cached_tokens=4,
            output_tokens=3,
            core_seconds=0.5,
            usd=amount,
            basis=basis,
        )
    )


def proposed(brief: str, text: str = "a text", part: str = "s") -> Proposed:
    candidate = Candidate(
        id=f"c-{brief}", brief_id=brief, slice=part, text=text, label="l", unseen_fold=0, finish="stop"
    )
    return Proposed(candidate=candidate, number=0)


def closed(brief: str, reason: str = "", part: str = "s") -> BriefClosed:
    winner = None if reason else f"c-{brief}"
    return BriefClosed(brief_id=brief, slice=part, number=0, winner=winner, reason=reason)


def amounts(lines: tuple[CostLine, ...]) -> dict[str, Decimal]:
    return {line.name: line.usd for line in lines}


LOG: list[Event] = [
    Started(verb="synthesize", key="k"),
    spent("0.50", stage="audit"),
    spent("1.00", "b1", part="s"),
    proposed("b1", "Größe"),
    spent("0.25", "b1", "critic", "s"),
    closed("b1"),
    spent("2.00", "b2", part="s"),
    proposed("b2"),
    closed("b2", "copy"),
    spent("0.75", "b3", part="t"),
    proposed("b3"),
    closed("b3", "off label", "t"),
    spent("0.10", "b4", part="t"),
    proposed("b4"),
    Finished(verb="synthesize", key="k", seconds=1.0, core_seconds=1.0),
]


def test_money_is_told_three_ways() -> None:
    found = statement(LOG)
    assert found.total_usd == Decimal("4.60")
    assert amounts(found.by_stage) == {"generate": Decimal("3.85"), "audit": Decimal("0.50"), "critic": Decimal("0.25")}
    assert amounts(found.by_slice) == {"s": Decimal("3.25"), "t": Decimal("0.85"), NO_SLICE: Decimal("0.50")}
    assert amounts(found.by_fate) == {
        REFUSED + "copy": Decimal("2.00"),
        ACCEPTED: Decimal("1.25"),
        REFUSED + "off label": Decimal("0.75"),
        NOT_A_CANDIDATE: Decimal("0.50"),
        IN_FLIGHT: Decimal("0.10"),
    }
    assert [line.name for line in found.by_stage] == ["generate", "audit", "critic"]
    assert found.by_stage[0].calls == 4
    assert found.by_stage[0].share == pytest.approx(3.85 / 4.60)
    assert found.wasted_share == pytest.approx(2.85 / 4.10)
    assert found.basis == "100% imputed"


def test_ratios_are_ratios_of_sums() -> None:
    found = statement(LOG)
    assert found.accepted == 1
    assert found.usd_per_accepted == Decimal("4.60")
    assert found.accepted_bytes == 7
    assert found.usd_per_gb == Decimal("4.60") * 10**9 / 7
    assert (found.input_tokens, found.cached_tokens, found.output_tokens) == (60, 24, 18)
    assert found.core_seconds == pytest.approx(3.0)


def test_accepted_bytes_do_not_depend_on_how_accents_are_composed() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for text in (composed, decomposed):
        assert statement([proposed("b", text), closed("b")]).accepted_bytes == 5


def test_nothing_accepted_means_no_price_per_record_rather_than_zero() -> None:
    found = statement([spent("1", "b"), proposed("b"), closed("b", "copy")])
    assert (found.accepted, found.usd_per_accepted, found.usd_per_gb) == (0, None, None)
    assert found.wasted_share == 1.0
    empty = statement([])
    assert empty.total_usd == 0
    assert empty.wasted_share is None
    assert empty.by_fate == ()
    assert empty.basis == "nothing was spent"


def test_an_unpriced_call_is_counted_and_said_never_zero_in_silence() -> None:
    found = statement([*LOG, spent(None, "b9", "judge", "s", UsageBasis.UNPRICED)], prices="prices of 2026-11-01")
    assert found.total_usd == Decimal("4.60")
    assert found.unpriced_calls == 1
    assert {line.name: line.calls for line in found.by_stage}["judge"] == 1
    assert found.basis == (
        "100% imputed; 1 calls unpriced and not in the sums: every amount is a lower bound; prices of 2026-11-01"
    )


def test_a_replay_changes_nothing_but_is_mentioned() -> None:
    replay = spent("0", "b1", basis=UsageBasis.REPLAY)
    found = statement([*LOG, replay])
    assert replace(found, basis="") == replace(statement(LOG), basis="")
    assert "1 replies replayed" in found.basis


def test_an_abandoned_attempt_still_costs_but_its_records_do_not_count() -> None:
    again: list[Event] = [Started(verb="synthesize", key="k2"), spent("1", "b7", part="s")]
    again += [proposed("b7"), closed("b7")]
    found = statement([*LOG, *again])
    assert found.accepted == 1
    assert found.total_usd == Decimal("5.60")
    assert amounts(found.by_fate) == {
        SUPERSEDED: Decimal("4.10"),
        ACCEPTED: Decimal("1"),
        NOT_A_CANDIDATE: Decimal("0.50"),
    }


def test_a_brief_asked_again_is_in_flight_until_it_closes_again() -> None:
    again: list[Event] = [*LOG, Started(verb="synthesize", key="k2"), spent("1", "b1", part="s")]
    assert amounts(statement(again).by_fate)[IN_FLIGHT] == Decimal("2.25")
    assert amounts(statement([*again, closed("b1")]).by_fate)[ACCEPTED] == Decimal("2.25")


def test_resuming_and_other_verbs_supersede_nothing() -> None:
    log = [*LOG[:6], Started(verb="synthesize", key="k"), Started(verb="measure", key="m"), *LOG[6:]]
    assert statement(log) == statement(LOG)


def test_a_brief_closed_twice_counts_once() -> None:
    assert statement([*LOG, closed("b1")]) == statement(LOG)


def test_a_winner_that_was_never_proposed_is_a_damaged_log() -> None:
    with pytest.raises(LogCorrupt) as caught:
        statement([closed("b1")])
    assert caught.value.hint


money = st.decimals(min_value=0, max_value=10**6, places=12).map(str)
tries = st.lists(
    st.tuples(money, st.integers(0, 9), st.sampled_from(["generate", "critic"]), st.sampled_from(["", "s", "t"])),
    max_size=40,
)
fates = st.lists(st.sampled_from(["", "copy", "off label", "open"]), min_size=10, max_size=10)


def log_of(attempts: list[tuple[str, int, str, str]], ends: list[str]) -> list[Event]:
    rows: list[Event] = [spent(usd, f"b{n}" if n else "", stage, part) for usd, n, stage, part in attempts]
    for n, end in enumerate(ends):
        if end != "open":
            rows += [proposed(f"b{n}"), closed(f"b{n}", end)]
    return rows


@given(attempts=tries, ends=fates)
def test_stages_slices_and_fates_add_up_to_the_last_digit(
    attempts: list[tuple[str, int, str, str]], ends: list[str]
) -> None:
    found = statement(log_of(attempts, ends))
    with localcontext(prec=400):
        for lines in (found.by_stage, found.by_slice, found.by_fate):
            assert sum((line.usd for line in lines), Decimal(0)) == found.total_usd
            assert sum(line.calls for line in lines) == len(attempts)
            if found.total_usd:
                assert sum(line.share for line in lines) == pytest.approx(1.0)
        assert found.total_usd == sum((Decimal(usd) for usd, *_ in attempts), Decimal(0))


@given(attempts=tries, ends=fates)
def test_a_failed_attempt_makes_each_accepted_record_dearer(
    attempts: list[tuple[str, int, str, str]], ends: list[str]
) -> None:
    log = log_of(attempts, ends)
    before, after = statement(log), statement([*log, spent("0.01", "failed"), closed("failed", "no reply")])
    assert before.accepted == after.accepted == ends.count("")
    if before.usd_per_accepted is None:
        assert after.usd_per_accepted is None
    else:
        assert after.usd_per_accepted is not None and after.usd_per_accepted > before.usd_per_accepted
        assert before.usd_per_gb is not None and after.usd_per_gb is not None
        assert after.usd_per_gb > before.usd_per_gb
    assert after.wasted_share is not None and after.wasted_share >= (before.wasted_share or 0.0) - 1e-12


@given(amount=st.decimals(min_value=0, max_value=10**30, allow_nan=False, allow_infinity=False))
def test_amounts_of_any_size_are_kept_exactly(amount: Decimal) -> None:
    found = statement([spent("1E-30"), spent(str(amount))])
    with localcontext(prec=400):
        assert found.total_usd - Decimal("1E-30") == amount


def test_a_hundred_thousand_events_fold_in_less_than_two_seconds() -> None:
    log: list[Event] = []
    for n in range(25_000):
        part = f"s{n % 20}"
        log += [
            spent("0.000123456789", f"b{n}", part=part),
            proposed(f"b{n}", "some words " * 8, part),
            spent("0.000000000001", f"b{n}", "critic", part),
            closed(f"b{n}", "copy" if n % 3 else "", part),
        ]
    start = time.process_time()
    found = statement(log)
    assert time.process_time() - start < 2.0
    assert found.accepted == 8334
    assert found.total_usd == Decimal("0.00012345679") * 25_000

"""The statements of a ledger add up to the last digit, in any order and any blocks, and say what they do not know."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as sized
from hypothesis import strategies as st

from proofset.costing import tally as room
from proofset.costing.columns import as_table, schema
from proofset.costing.ledger import NO_SLICE, NOT_A_CANDIDATE
from proofset.costing.tally import NOT_TOLD, Sum, Tally, tally, tally_file
from proofset.errors import InputError
from proofset.nouns.entry import Entry, Fate
from proofset.nouns.result import UsageBasis

GOLDEN = json.loads((Path(__file__).parent / "golden_economics.json").read_text())
BY = ("by_stage", "by_slice", "by_fate", "by_model_day", "by_basis", "by_outcome")


def entry(**given_: Any) -> Entry:
    told: dict[str, Any] = {"seq": 1, "at": "2026-11-25T10:00:00Z", "stage": "s", "attempt": "a", "model": "m"}
    return Entry(**(told | given_))


def paid(usd: str, **given_: Any) -> Entry:
    return entry(usd=Decimal(usd), basis=UsageBasis.CATALOGUE, **given_)


ACCEPTED = [Fate(record="r1", fate="accepted", bytes=1000), Fate(record="r2", fate="refused: critic")]
ROWS = [
    paid("0.10", record="r1", slice="x", stage="generation"),
    paid("0.05", record="r1", slice="x", stage="critic"),
    paid("0.15", record="r2", slice="y", stage="generation", outcome="reply unreadable"),
    paid("0.20", stage="audit", at="2026-11-26T00:00:00Z"),
]


def named(lines: Iterable[Sum]) -> dict[str, Decimal]:
    return {f"{line.name} {line.day}".strip(): line.usd for line in lines}


def test_a_small_ledger_by_hand() -> None:
    found = tally(as_table(ROWS, ACCEPTED))
    assert (found.rows, found.total.calls, found.total.usd, found.complete) == (4, 4, Decimal("0.50"), True)
    assert named(found.by_stage) == {"generation": Decimal("0.25"), "audit": Decimal("0.20"), "critic": Decimal("0.05")}
    assert named(found.by_slice) == {NO_SLICE: Decimal("0.20"), "x": Decimal("0.15"), "y": Decimal("0.15")}
    assert named(found.by_fate) == {
        NOT_A_CANDIDATE: Decimal("0.20"), "accepted": Decimal("0.15"), "refused: critic": Decimal("0.15")
    }  # fmt: skip
    assert named(found.by_model_day) == {"m 2026-11-25": Decimal("0.30"), "m 2026-11-26": Decimal("0.20")}
    assert named(found.by_outcome) == {"ok": Decimal("0.35"), "reply unreadable": Decimal("0.15")}
    assert named(found.by_basis) == {"catalogue": Decimal("0.50")}
    assert (found.accepted, found.accepted_bytes) == (1, 1000)
    assert (found.usd_per_accepted, found.usd_per_gb) == (Decimal("0.5"), Decimal(500_000))
    assert found.usd_per_tb == Decimal(500_000_000)
    assert found.wasted_share == pytest.approx(0.5)


def golden_rows() -> list[Entry]:
    """The golden example, each stage's usage in rows whose sums are the golden counts."""
    prices, rows = GOLDEN["prices_usd_per_mtok"], []
    for stage, used in GOLDEN["usage"].items():
        usd = Decimal(GOLDEN["expected"]["usd"][stage])
        tokens = {"input_tokens": used.get("input", 0), "cached_tokens": used.get("cached", 0),
                  "output_tokens": used.get("output", 0)}  # fmt: skip
        if "model" in used:
            price = {key: Decimal(value) for key, value in prices[used["model"]].items()}
            plain = tokens["input_tokens"] - tokens["cached_tokens"]
            usd = plain * price["input"] + tokens["cached_tokens"] * price.get("cache_read", Decimal(0))
            usd = (usd + tokens["output_tokens"] * price.get("output", Decimal(0))) / 10**6
        rows.append(paid(str(usd), stage=stage, model=used.get("model", ""), **tokens))
    return rows


def test_the_golden_example_to_the_cent_per_record_per_terabyte_and_per_tebibyte() -> None:
    expected, n = GOLDEN["expected"], GOLDEN["cascade"]["accepted"]
    each = GOLDEN["accepted_bytes"] // n
    kept = [paid("0", stage="generation", record=f"r{at}") for at in range(n)]
    fates = [Fate(record=f"r{at}", fate="accepted", bytes=each) for at in range(n)]

    def cents(amount: Decimal | None) -> str:
        assert amount is not None
        return str(amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN))

    whole = tally(as_table(golden_rows() + kept, fates))
    assert named(whole.by_stage) == {stage: Decimal(usd) for stage, usd in expected["usd"].items()}
    assert whole.total.usd == Decimal(expected["total_usd"])
    assert (whole.accepted, whole.accepted_bytes) == (n, GOLDEN["accepted_bytes"])
    assert float(whole.usd_per_accepted or 0) == pytest.approx(expected["usd_per_accepted"], rel=1e-6)
    assert cents(whole.usd_per_tb) == expected["linear_usd_per_TB_2dp"]
    machine = tally(as_table([row for row in golden_rows() if row.stage != "human_review"] + kept, fates))
    assert machine.total.usd == Decimal(expected["machine_usd"])
    assert cents(machine.usd_per_tb) == expected["linear_machine_usd_per_TB_2dp"]
    assert cents(machine.usd_per_tib) == expected["linear_machine_usd_per_TiB_2dp"]
    assert float(machine.usd_per_accepted or 0) == pytest.approx(expected["machine_usd_per_accepted"], rel=1e-5)


def test_the_wasted_share_of_the_golden_example() -> None:
    expected = GOLDEN["expected"]
    fates = [Fate(record="kept", fate="accepted", bytes=1), Fate(record="lost", fate="refused: critic")]
    rows = [paid(expected["useful_machine_usd"], record="kept"), paid(expected["waste_machine_usd"], record="lost")]
    assert tally(as_table(rows, fates)).wasted_share == pytest.approx(expected["waste_share"], abs=1e-6)


NAMES = st.sampled_from(["", "a", "b", "ž"])
AMOUNTS = st.none() | st.integers(0, 10**26 - 1).map(lambda n: Decimal(n).scaleb(-12))


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    made = []
    for at in range(draw(st.integers(0, 25))):
        usd = draw(AMOUNTS)
        basis = UsageBasis.UNPRICED if usd is None else draw(st.sampled_from([UsageBasis.REPORTED, UsageBasis.IMPUTED]))
        made.append(
            entry(
                attempt=f"a{at}",
                usd=usd,
                basis=basis,
                stage=draw(NAMES),
                slice=draw(NAMES),
                model=draw(NAMES),
                record=draw(NAMES),
                run=draw(NAMES),
                outcome=draw(st.sampled_from(["ok", "timeout"])),
                at=f"2026-11-2{draw(st.integers(0, 9))}T00:00:00Z",
                input_tokens=draw(st.integers(0, 10**9)),
                core_seconds=draw(st.floats(0, 1e6)),
            )
        )
    return made


def folded(table: pa.Table, size: int) -> Tally:
    return room._fold(table.slice(at, size) for at in range(0, len(table), size))


@sized(max_examples=40, deadline=None)
@given(entries(), st.integers(1, 7))
def test_every_statement_adds_up_to_the_sum_of_the_rows_exactly_and_in_any_blocks(rows: list[Entry], size: int) -> None:
    fates = [Fate(record="a", fate="accepted", bytes=7), Fate(record="b", fate="refused")]
    table = as_table(rows, fates)
    found = tally(table)
    total = sum((row.usd or Decimal(0) for row in rows), Decimal(0))
    for lines in (getattr(found, name) for name in BY):
        assert sum((line.usd for line in lines), Decimal(0)) == total == found.total.usd
        assert sum(line.calls for line in lines) == len(rows)
        assert sum(line.unpriced for line in lines) == sum(row.usd is None for row in rows) == found.total.unpriced
        assert sum(line.input_tokens for line in lines) == sum(row.input_tokens for row in rows)
    stages: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        stages[row.stage or NOT_TOLD] += row.usd or Decimal(0)
    assert named(found.by_stage) == stages
    accepted = {row.run for row in rows if row.record == "a"}
    assert (found.accepted, found.accepted_bytes) == (len(accepted), 7 * len(accepted))
    assert found.complete == all(row.usd is not None for row in rows)
    assert folded(table, size) == found
    assert folded(as_table(rows[::-1], fates), size) == found


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_file_in_blocks_gives_the_tally_of_the_table(tmp_path: Path, suffix: str) -> None:
    import pyarrow.csv

    rows = [replace(ROWS[at % 4], attempt=f"a{at}", usd=Decimal(at).scaleb(-12)) for at in range(100)]
    table, path = as_table(rows, ACCEPTED), tmp_path / f"x{suffix}"
    pq.write_table(table, path) if suffix == ".parquet" else pyarrow.csv.write_csv(table, path)
    assert tally_file(path, rows=7) == tally_file(path) == tally(table)
    assert tally(table).total.usd == Decimal(sum(range(100))).scaleb(-12)


def test_a_file_with_amounts_finer_than_the_grid_is_tallied_as_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("cost,currency\n0.0000000000014,EUR\n1,EUR\n")
    assert tally_file(tmp_path / "x.csv", rate=Decimal("0.333")).total.usd == Decimal("0.333")


def test_records_that_come_back_in_later_blocks_count_once_with_their_largest_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "_COMPACTED_AT", 2)
    fates = [Fate(record=f"r{at}", fate="accepted", bytes=at) for at in range(10)]
    table = as_table([paid("1", record=f"r{at % 10}") for at in range(50)], fates)
    table = table.set_column(table.column_names.index("bytes"), "bytes", pa.array(list(range(50)), pa.int64()))
    found = folded(table, 3)
    assert (found.accepted, found.accepted_bytes) == (10, sum(range(40, 50)))


def test_accepted_rows_without_a_record_each_count() -> None:
    table = as_table([paid("1"), paid("1"), paid("1")])
    told = [pa.array(["accepted", "accepted", ""]), pa.array([5, 5, 9], pa.int64())]
    for name, column in zip(("fate", "bytes"), told, strict=True):
        table = table.set_column(table.column_names.index(name), name, column)
    assert (tally(table).accepted, tally(table).accepted_bytes) == (2, 10)


def test_a_replay_changes_no_sum_and_says_what_it_avoided() -> None:
    before = tally(as_table(ROWS, ACCEPTED))
    replay = entry(record="r1", usd=Decimal(0), basis=UsageBasis.REPLAY, avoided_usd=Decimal("0.3"), input_tokens=5)
    after = tally(as_table([*ROWS, replay, replace(replay, usd=None, avoided_usd=None)], ACCEPTED))
    assert (after.rows, after.replays, after.avoided_usd) == (6, 2, Decimal("0.3"))
    assert [getattr(after, name) for name in ("total", *BY)] == [getattr(before, name) for name in ("total", *BY)]
    assert (after.complete, after.accepted) == (True, before.accepted)


def test_an_unpriced_call_makes_the_tally_incomplete_and_no_amount_lower() -> None:
    before, after = tally(as_table(ROWS, ACCEPTED)), tally(as_table([*ROWS, entry(record="r1")], ACCEPTED))
    assert (after.complete, after.total.unpriced) == (False, 1)
    assert after.total.usd == before.total.usd
    assert named(after.by_basis)["unpriced"] == 0


def test_a_failed_row_makes_a_terabyte_dearer_and_twice_the_price_makes_it_twice_as_dear() -> None:
    plain = tally(as_table(ROWS, ACCEPTED)).usd_per_tb
    more = tally(as_table([*ROWS, paid("0.01", record="r2", outcome="timeout")], ACCEPTED)).usd_per_tb
    double = [replace(row, usd=row.usd * 2) for row in ROWS if row.usd is not None]
    assert plain is not None
    assert more is not None
    assert more > plain
    assert tally(as_table(double, ACCEPTED)).usd_per_tb == 2 * plain


def test_an_adjustment_corrects_the_total() -> None:
    found = tally(as_table([*ROWS, paid("-0.1", stage="adjustment")], ACCEPTED))
    assert found.total.usd == Decimal("0.40")
    assert found.by_stage[-1].usd == Decimal("-0.1")


def test_nothing_accepted_has_no_price_per_record_and_an_empty_ledger_no_lines() -> None:
    found = tally(as_table(ROWS))
    assert (found.usd_per_accepted, found.usd_per_gb, found.usd_per_tb, found.usd_per_tib) == (None,) * 4
    assert found.wasted_share is None  # no fate is told
    assert named(found.by_fate) == {NOT_TOLD: Decimal("0.30"), NOT_A_CANDIDATE: Decimal("0.20")}
    empty = tally(schema().empty_table())
    assert (empty.rows, empty.total.usd, empty.total.calls, empty.by_stage) == (0, Decimal(0), 0, ())


def test_a_table_of_other_columns_is_refused() -> None:
    with pytest.raises(InputError, match="the table lacks basis, usd"):
        tally(as_table(ROWS).drop_columns(["usd", "basis"]))

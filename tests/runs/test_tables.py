from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.errors import InputError, LeakageError, RunError
from proofset.nouns.evidence import Fact
from proofset.nouns.record import HeldOut, Message, Origin, Record
from proofset.nouns.result import Better, Claim, CostLine, Gain, Measure, Usage, UsageBasis
from proofset.runs.tables import (
    read_heldout,
    read_records,
    read_rows,
    schema_of,
    write_heldout,
    write_records,
    write_rows,
)

RECORDS = [
    Record.organic("win a prize", "spam", source="sms.csv:3", licence="CC BY 4.0"),
    Record(
        id="b", text="a\nb", messages=(Message("user", "a"), Message("assistant", "b")), origin=Origin.SYNTHETIC,
        group="g", generation=2,
    ),
    Record(id="c", text="", label=""),
]  # fmt: skip

texts = st.text(max_size=5)
records = st.builds(
    Record,
    id=texts,
    text=texts,
    label=st.none() | texts,
    messages=st.lists(st.builds(Message, texts, texts), max_size=2).map(tuple),
    origin=st.sampled_from(Origin),
    group=texts,
    source=texts,
    licence=texts,
    generation=st.integers(0, 9),
)


def gain(value: float | None = 0.1) -> Gain:
    difference = Measure(name="accuracy", value=value, low=-0.2, high=0.3, n=9, unit="share", better=Better.HIGHER)
    return Gain(
        arm="judged", baseline="organic", slice="spam", metric="accuracy", baseline_score=None, score=0.5,
        difference=difference, claim=Claim.NOT_SHOWN, minimum_detectable=None,
    )  # fmt: skip


@given(st.lists(records, max_size=4))
def test_records_come_back_as_they_were(rows: list[Record]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "records.parquet"
        write_records(path, iter(rows))
        assert read_records(path) == rows


def test_the_columns_of_records_are_pinned() -> None:
    def text(name: str) -> pa.Field:
        return pa.field(name, pa.string(), nullable=False)

    message = pa.field("item", pa.struct([text("role"), text("content")]), nullable=False)
    assert schema_of(Record) == pa.schema(
        [
            text("id"),
            text("text"),
            pa.field("label", pa.string()),
            pa.field("messages", pa.list_(message), nullable=False),
            text("origin"),
            text("group"),
            text("source"),
            text("licence"),
            pa.field("generation", pa.int64(), nullable=False),
            text("content"),
        ]
    )


@pytest.mark.parametrize("rows", [[], [Record(id="a", text="b")]])
def test_the_columns_do_not_depend_on_what_is_in_them(rows: list[Record], tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    write_records(path, rows)
    assert pq.read_schema(path) == schema_of(Record)
    assert read_records(path) == rows


def test_files_are_compressed_and_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        write_records(tmp_path / name, RECORDS)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    group = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0)
    assert {group.column(at).compression for at in range(group.num_columns)} == {"ZSTD"}


def test_other_tools_can_read_it(tmp_path: Path) -> None:
    write_records(tmp_path / "records.parquet", RECORDS)
    table = pq.read_table(tmp_path / "records.parquet")
    assert table["text"].to_pylist() == ["win a prize", "a\nb", ""]
    assert table["label"].to_pylist() == ["spam", None, ""]
    assert table["messages"].to_pylist()[1] == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]


def test_held_out_records_never_come_back_as_records(tmp_path: Path) -> None:
    path = tmp_path / "heldout.parquet"
    heldout = [HeldOut(id="a", text="t", label=None, group="g"), HeldOut(id="b", text="u", label="x", group="")]
    write_heldout(path, heldout)
    assert read_heldout(path) == heldout
    with pytest.raises(LeakageError, match="held-out") as caught:
        read_records(path)
    assert caught.value.hint
    write_records(path, RECORDS)
    with pytest.raises(RunError, match="holds Record, not HeldOut"):
        read_heldout(path)


def test_rows_with_nested_measures_and_money_come_back_exactly(tmp_path: Path) -> None:
    gains = [gain(), gain(None), gain(float("inf")), gain(1e-300)]
    write_rows(tmp_path / "gain.parquet", gains)
    assert read_rows(tmp_path / "gain.parquet", Gain) == gains
    usages = [
        Usage(model="m", stage="s", usd=Decimal("0.10"), basis=UsageBasis.REPORTED),
        Usage(model="m", stage="s", usd=Decimal("1E-7"), core_seconds=1 / 3),
        Usage(model="m", stage="s", usd=None),
    ]
    write_rows(tmp_path / "ledger.parquet", usages)
    assert repr(read_rows(tmp_path / "ledger.parquet", Usage)) == repr(usages), "to the last digit"
    facts = [Fact("a", "causes", "b")]
    write_rows(tmp_path / "facts.parquet", facts)
    assert read_rows(tmp_path / "facts.parquet", Fact) == facts


def test_no_rows_need_a_class(tmp_path: Path) -> None:
    path = tmp_path / "gain.parquet"
    with pytest.raises(InputError, match="no rows"):
        write_rows(path, [])
    write_rows(path, [], Gain)
    assert read_rows(path, Gain) == []
    assert pq.read_schema(path) == schema_of(Gain)


@pytest.mark.parametrize(
    "rows",
    [
        [Record(id="a", text="\ud800")],
        [Record(id="a", text=None)],  # type: ignore[arg-type]
        [Record(id="a", text="b", generation=2**70)],
        [CostLine(name="x", usd=0.1, calls=1, share=0.5)],  # type: ignore[arg-type]
        [Record(id="a", text="b"), gain()],
    ],
)
def test_what_does_not_fit_its_column_is_refused(rows: list[object], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written") as caught:
        write_rows(tmp_path / "t.parquet", rows)
    assert caught.value.hint


@dataclass(frozen=True)
class Odd:
    """A row with a field that has no column."""

    name: str
    scores: dict[str, float]


def test_a_field_without_a_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Odd\.scores"):
        write_rows(tmp_path / "t.parquet", [Odd("a", {})])
    with pytest.raises(InputError, match="no fields"):
        schema_of(int)


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def one_bit_flipped(content: bytes) -> bytes:
    at = content.index(b"(\xb5/\xfd") + 12  # inside the first compressed page
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def nothing(content: bytes) -> bytes:
    return content[:0]


def other_content(content: bytes) -> bytes:
    return b"id,text\n" * len(content)


@pytest.mark.parametrize("damage", [cut_short, one_bit_flipped, nothing, other_content])
def test_damage_is_seen_and_named(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    write_records(path, [Record.organic(f"text number {n} " * 9, "spam") for n in range(50)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RunError, match=r"records\.parquet: cannot be read as a table") as caught:
        read_records(path)
    assert "run again" in caught.value.hint


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none\.parquet"):
        read_records(tmp_path / "none.parquet")


def test_a_table_of_another_tool_or_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": ["a"], "text": ["b"]}), path)
    with pytest.raises(RunError, match=r"holds \?, not Record"):
        read_records(path)
    named = {"proofset.noun": "Record"}
    pq.write_table(pa.table({"id": ["a"], "text": ["b"]}).replace_schema_metadata(named), path)
    assert read_records(path) == [Record(id="a", text="b")], "what was added later has its default"
    pq.write_table(pa.table({"id": ["a"], "text": ["b"], "mood": ["c"]}).replace_schema_metadata(named), path)
    with pytest.raises(RunError, match=r"0\.mood"):
        read_records(path)
    pq.write_table(pa.table({"id": ["a"], "text": ["b"], "origin": ["c"]}).replace_schema_metadata(named), path)
    with pytest.raises(RunError, match=r"0\.origin"):
        read_records(path)


def test_a_full_disk_stays_an_os_error_for_the_run_to_explain(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            write_records(tmp_path / "records.parquet", RECORDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG


def test_a_failed_write_removes_nothing_that_it_did_not_make(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    write_records(path, RECORDS)
    kept = path.read_bytes()
    with pytest.raises(InputError):
        write_rows(path, [Record(id="a", text="\ud800")])
    assert path.read_bytes() == kept, "refused before the file is touched"
    with pytest.raises(InputError):
        write_rows(path, [Record(id="a", text=None)])  # type: ignore[arg-type]
    assert path.exists()

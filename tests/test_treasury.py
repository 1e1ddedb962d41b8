"""A run's own ledger adds up to its statement, is proven line by line, and an estimate rests on what was measured."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from proofset import pipeline, treasury
from proofset.costing.foreign import read_ledger
from proofset.costing.pricebook import PriceBook
from proofset.costing.tally import tally
from proofset.errors import InputError, LogCorrupt
from proofset.nouns.event import Costed, Spent
from proofset.nouns.result import UsageBasis
from proofset.runs.folder import LOG, Run

CRITIC = """
[synthesize.critic.model]
engine = "chat"
base_url = "http://127.0.0.1:9/v1"
model = "reader"
usd_per_million_input = "1"
usd_per_million_output = "2"
"""

SERVED = CRITIC.replace("critic.model", "model")


@pytest.fixture
def run(town: ModuleType, tmp_path: Path) -> Path:
    """The folder of a run that has been costed."""
    study = town.write_town(tmp_path / "town")
    return pipeline.run(study, tmp_path / "runs", verb="cost").folder


def test_the_ledger_of_a_run_adds_up_to_its_statement(run: Path) -> None:
    events = Run.read(run).events
    stated = next(event.statement for event in events if isinstance(event, Costed))
    found = tally(treasury.run_table(run))
    later = sum(
        (e.usage.usd or Decimal(0) for e in events if isinstance(e, Spent) and e.usage.stage == "cost"), Decimal(0)
    )
    assert found.total.usd == stated.total_usd + later  # what the statement itself took comes after it
    assert (found.accepted, found.accepted_bytes) == (stated.accepted, stated.accepted_bytes) and stated.accepted
    assert {line.name: line.usd for line in found.by_slice if line.name == "storm"} == {
        line.name: line.usd for line in stated.by_slice if line.name == "storm"
    }
    rows = list(treasury.entries(run))
    assert len({row.attempt for row in rows}) == len(rows) == found.rows
    assert [row.at for row in rows] == sorted(row.at for row in rows)


def test_what_was_spent_is_proven_and_a_change_or_a_cut_is_named(run: Path) -> None:
    sealed = treasury.verify(run)
    assert sealed.rows == len(list(treasury.entries(run))) and sealed.unsealed == 0
    log = run / LOG
    lines = log.read_bytes().splitlines(keepends=True)
    money = [number for number, line in enumerate(lines) if line.startswith(b'{"kind":"Spent"')]
    cheaper = json.loads(lines[money[3]])
    cheaper["usage"]["usd"] = "0"
    changed = [*lines]
    changed[money[3]] = json.dumps(cheaper, separators=(",", ":")).encode() + b"\n"
    log.write_bytes(b"".join(changed))
    with pytest.raises(LogCorrupt, match=rf"{LOG}:{money[3] + 1}: "):
        treasury.verify(run)
    stated = next(number for number, line in enumerate(lines) if line.startswith(b'{"kind":"Costed"'))
    last = max(number for number in money if number < stated)
    log.write_bytes(b"".join([*lines[:last], *lines[stated : stated + 1]]))
    with pytest.raises(LogCorrupt, match="cut off"):
        treasury.verify(run)


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_rows_that_were_written_out_add_up_to_the_same(run: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"rows{ending}"
    treasury.write_out(run, out)
    ours, theirs = tally(treasury.run_table(run)), tally(read_ledger(out))
    assert (ours.total, ours.by_fate, ours.by_model_day) == (theirs.total, theirs.by_fate, theirs.by_model_day)


def test_rows_are_written_as_a_chain_and_as_spans(run: Path, tmp_path: Path) -> None:
    from proofset.costing import chain

    treasury.write_out(run, tmp_path / "rows.jsonl")
    assert chain.verify(tmp_path / "rows.jsonl").rows == len(list(treasury.entries(run)))
    treasury.write_out(run, tmp_path / "rows.otlp.jsonl")
    assert "gen_ai.request.model" in (tmp_path / "rows.otlp.jsonl").read_text(encoding="utf-8")
    for out in ("rows.txt", "rows"):
        with pytest.raises(InputError, match="cannot be written"):
            treasury.write_out(run, tmp_path / out)
    with pytest.raises(InputError, match="cannot be written"):  # whose chain would that be?
        treasury.write_out(tmp_path / "rows.jsonl", tmp_path / "more.jsonl")


def test_rows_without_an_amount_are_priced_by_the_book_and_the_rest_is_told(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(
        "model,prompt_tokens,completion_tokens,cost\nmine,1000,500,\nmine,1000,500,0.25\nother,10,10,\n",
        encoding="utf-8",
    )
    book = tmp_path / "prices.toml"
    book.write_text('[[price]]\nmodel = "mine"\ninput_mtok = "2"\noutput_mtok = "4"\n', encoding="utf-8")
    table, noticed = treasury.priced(read_ledger(path), PriceBook.read(book), None)
    found = tally(table)
    assert found.total.usd == Decimal("0.004") + Decimal("0.25")
    assert (found.total.unpriced, found.complete) == (1, False)
    assert {line.name for line in found.by_basis} == {"override", "reported", UsageBasis.UNPRICED.value}
    assert any("other" in words for words in noticed)


def test_an_estimate_before_anything_is_paid_says_what_it_assumes(town: ModuleType, tmp_path: Path) -> None:
    study = town.write_town(tmp_path / "town")
    study.write_text(study.read_text(encoding="utf-8") + CRITIC, encoding="utf-8")
    found = treasury.estimate(study, tmp_path / "runs")
    generator, critic = found.lines
    assert (found.wanted, generator.calls.least) == (18, Decimal(18))  # a quota of 12, and a companion's half
    assert critic.usd is not None and 0 < critic.usd.least < critic.usd.likely < critic.usd.most
    assert generator.usd is None and not found.complete
    assert not [
        event for event in Run.read(tmp_path / "runs" / "town").events if getattr(event, "verb", "") == "synthesize"
    ]


def test_a_kind_that_is_asked_in_turns_has_something_to_read_as_well(town: ModuleType, tmp_path: Path) -> None:
    tokens = {}
    for kind in ("labelled", "question"):
        study = town.amend(
            town.write_town(tmp_path / kind), ("quota = 12", f'quota = 12\nkind = "{kind}"'), more=SERVED
        )
        (line,) = treasury.estimate(study, tmp_path / "runs" / kind).lines
        tokens[kind] = line.input_tokens.likely / line.calls.likely
    assert tokens["question"] > tokens["labelled"] > 20, "the task and its data stand in the turns"


def test_an_estimate_after_a_walk_has_nothing_left_to_ask_and_knows_the_habits(
    town: ModuleType, tmp_path: Path
) -> None:
    study = town.write_town(tmp_path / "town")
    before = treasury.estimate(study, tmp_path / "runs")
    pipeline.run(study, tmp_path / "runs", verb="synthesize")
    done = treasury.estimate(study, tmp_path / "runs")
    assert before.wanted == 18 and done.wanted == 0
    assert done.lines[0].calls.most == 0 and done.complete
    more = (
        study.read_text(encoding="utf-8")
        .replace("quota = 12", "quota = 24")
        .replace("max_briefs = 40", "max_briefs = 80")
    )
    study.write_text(more, encoding="utf-8")
    measured = treasury.estimate(study, tmp_path / "runs")
    assert measured.wanted == 36 and measured.complete  # other settings: what was accepted is judged anew
    assert measured.usd.likely > 0 and any("were accepted so far" in words for words in measured.assumptions)

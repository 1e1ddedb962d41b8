"""The commands about money, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from proofset import cli, pipeline


def proofset(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path
) -> tuple[int, str, str]:
    """Exit code and what was said."""
    monkeypatch.setattr("sys.argv", ["proofset", *map(str, arguments)])
    try:
        cli.main()
        code = 0
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def run(town: ModuleType, tmp_path: Path) -> Path:
    return pipeline.run(town.write_town(tmp_path / "town"), tmp_path / "runs", verb="cost").folder


def test_the_money_of_a_run_by_either_name(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text, _ = proofset(capsys, monkeypatch, "cost", run)
    assert code == 0 and "By stage" in text and "accepted records" in text
    code, text, _ = proofset(capsys, monkeypatch, "ledger", run, "--verify", "--json")
    told = json.loads(text)
    assert code == 0 and told["verified"]["rows"] == told["rows"] and told["complete"] is True
    assert sum(map(float, (line["usd"] for line in told["by_stage"]))) == pytest.approx(float(told["total"]["usd"]))


def test_anybodys_ledger_with_prices_an_invoice_and_a_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, prices, invoice = tmp_path / "calls.jsonl", tmp_path / "prices.toml", tmp_path / "invoice.csv"
    rows = [
        {"model": "mine", "prompt_tokens": 1000, "completion_tokens": 500, "created_at": "2026-11-25T10:00:00Z"}
    ] * 3
    ledger.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    prices.write_text('[[price]]\nmodel = "mine"\ninput_mtok = "2"\noutput_mtok = "4"\n', encoding="utf-8")
    invoice.write_text("model,day,usd\nmine,2026-11-25,0.0121\n", encoding="utf-8")
    code, text, _ = proofset(capsys, monkeypatch, "ledger", ledger, "--json")
    assert code == 0 and json.loads(text)["total"]["unpriced"] == 3
    asked = ("ledger", ledger, "--prices", prices, "--reconcile", invoice, "--out", tmp_path / "copy.parquet", "--json")
    code, text, _ = proofset(capsys, monkeypatch, *asked)
    told = json.loads(text)
    assert code == 0 and told["total"]["usd"] == "0.012000000000" and told["complete"] is True
    (variance,) = told["variances"]
    assert variance["within"] is True and variance["usd"] == "-0.000100000000"
    assert (tmp_path / "copy.parquet").exists()


@pytest.mark.parametrize(
    ("content", "more", "told"),
    [
        ("model,prompt_tokens,cost\nm,-5,1\n", (), "negative"),
        ("model,prompt_tokens,cost,currency\nm,5,1,EUR\n", (), "EUR"),
        ("model,prompt_tokens,cost\n", (), "no rows"),
        ("model,prompt_tokens,cost\nm,5,1\n", ("--verify",), "only the folder of a run"),
        ("model,prompt_tokens,cost\nm,5,1\n", ("--rate", "-1"), "--rate"),
    ],
)
def test_a_ledger_that_cannot_be_added_up_is_one_clear_error(
    content: str, more: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "calls.csv"
    path.write_text(content, encoding="utf-8")
    code, _, error = proofset(capsys, monkeypatch, "ledger", path, *more)
    assert code == 2 and told in error and "hint:" in error and "Traceback" not in error


def test_an_estimate_of_a_study(
    town: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = town.write_town(tmp_path / "town")
    code, text, _ = proofset(capsys, monkeypatch, "estimate", study, "--runs", tmp_path / "runs")
    assert code == 0 and "To make 18 accepted records" in text
    code, text, _ = proofset(capsys, monkeypatch, "estimate", study, "--runs", tmp_path / "runs", "--json")
    assert code == 0 and json.loads(text)["complete"] is False

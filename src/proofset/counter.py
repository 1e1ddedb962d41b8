"""The counter: the commands about money."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofset.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from proofset.costing.tally import Tally


@click.command(short_help="Say what the loop of STUDY will cost.")
@click.option("--json", "as_json", is_flag=True, help="Print the estimate as one JSON object.")
@click.option("--runs", default="runs", type=click.Path(path_type=Path), show_default=True, help="Folder of the runs.")
@click.argument("study_file", metavar="STUDY", type=click.Path(path_type=Path))
def estimate(study_file: Path, runs: Path, as_json: bool) -> None:
    """Say what the loop of STUDY will cost, before anything is paid.

    Audits and grounds first, where that is not done. What a run of it has measured already counts.
    """
    from proofset import treasury
    from proofset.reporting.money import estimate_view, plain
    from proofset.terminal import console

    found = treasury.estimate(study_file, runs)
    if as_json:
        click.echo(json.dumps(plain(found), indent=2))
    else:
        console().print(estimate_view(found))


@click.command("ledger", short_help="Add up a run's money, or anybody's ledger.")
@click.argument("source", metavar="SOURCE", type=click.Path(path_type=Path))
@click.option("--verify", "proven", is_flag=True, help="Check that no line of a run's log was changed since.")
@click.option("--reconcile", "invoice", type=click.Path(path_type=Path), help="CSV with model, day and usd to compare.")
@click.option("--prices", type=click.Path(path_type=Path), help="A price book for rows without an amount.")
@click.option("--catalogue", "listed", is_flag=True, help="List prices for the rest: needs proofset[prices].")
@click.option("--rate", default="", help="USD for one unit of the ledger's currency, where that is not USD.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the rows: .parquet, .csv, .jsonl or .otlp.jsonl.")
@click.option("--json", "as_json", is_flag=True, help="Print the sums as one JSON object.")
def ledger(
    source: Path,
    proven: bool,
    invoice: Path | None,
    prices: Path | None,
    listed: bool,
    rate: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Add up SOURCE, the folder of a run or anybody's ledger: JSON lines, CSV or Parquet.

    By stage, slice, fate, model, basis and outcome, to the last digit; replays and unpriced calls are told apart.
    """
    from proofset import treasury
    from proofset.costing.reconcile import reconcile
    from proofset.reporting import money
    from proofset.terminal import console

    told: dict[str, Any] = {"source": str(source)}
    is_run = source.is_dir()
    if proven:
        if not is_run:
            raise InputError(f"{source}: only the folder of a run can be verified", hint="give a folder under runs/")
        sealed = treasury.verify(source)
        told["verified"] = {"rows": sealed.rows, "unsealed": sealed.unsealed, "last": sealed.last}
    found, noticed = _tallied(source, prices, listed=listed, rate=rate)
    if invoice is not None:
        told["variances"] = [money.plain(each) for each in reconcile(found.by_model_day, invoice)]
    if out is not None:
        treasury.write_out(source, out)
        told["written"] = str(out)
    if as_json:
        click.echo(json.dumps({**told, "noticed": noticed, **money.plain(found)}, indent=2, ensure_ascii=False))
    else:
        console().print(money.ledger_view(found, told, noticed))


@click.command(short_help="Say what more of RUN would cost.")
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--records", type=click.IntRange(1), help="Accepted records wanted in all.")
@click.option("--gb", type=click.FloatRange(0, min_open=True), help="Gigabytes of accepted text wanted in all.")
@click.option("--budget-usd", default="", help="Tells how likely it is that this pays for it.")
@click.option("--json", "as_json", is_flag=True, help="Print the forecast as one JSON object.")
def forecast(folder: Path, records: int | None, gb: float | None, budget_usd: str, as_json: bool) -> None:
    """Say what more of RUN would cost: 10 and 100 times itself and a terabyte, or what you ask for.

    With its uncertainty, and beside what people would take. The run is the pilot, and says how far it is stretched.
    """
    from proofset.costing.prices import parse_price
    from proofset.prospects import prospect
    from proofset.reporting.money import plain
    from proofset.reporting.prospect import prospect_view
    from proofset.terminal import console

    if records is not None and gb is not None:
        raise InputError("--records and --gb: one target at a time", hint="leave one of them out")
    wanted = None if gb is None else max(1, round(gb * 1e9))
    budget = parse_price(budget_usd, field="--budget-usd") if budget_usd else None
    found = prospect(folder, records=records, accepted_bytes=wanted, budget_usd=budget)
    if as_json:
        click.echo(json.dumps(plain(found), indent=2, ensure_ascii=False))
    else:
        console().print(prospect_view(found))


def _tallied(source: Path, prices: Path | None, *, listed: bool, rate: str) -> tuple[Tally, tuple[str, ...]]:
    """The sums of a source, and what was noticed while its rows were priced."""
    from proofset import treasury
    from proofset.costing.catalogue import Catalogue
    from proofset.costing.foreign import read_ledger
    from proofset.costing.pricebook import PriceBook
    from proofset.costing.prices import parse_price
    from proofset.costing.tally import tally, tally_file

    worth: Decimal | None = parse_price(rate, field="--rate") if rate else None
    book, catalogue = PriceBook.read(prices) if prices else None, Catalogue() if listed else None
    if source.is_dir():
        table: pa.Table = treasury.run_table(source)
    elif book is None and catalogue is None:
        return tally_file(source, rate=worth), ()
    else:
        table = read_ledger(source, rate=worth)
    if book is None and catalogue is None:
        return tally(table), ()
    table, noticed = treasury.priced(table, book, catalogue)
    return tally(table), noticed

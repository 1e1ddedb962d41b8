"""``python -m benchmarks.ledger [--quick] [--json]``: ten million calls (one million with --quick) to all statements.

One child process makes a Parquet ledger in a temporary folder, and knows its sums from integers; another adds it up.
Wall and processor seconds and the largest memory are those of the second, start and imports included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROWS, QUICK_ROWS = 10_000_000, 1_000_000
GROUP = 500_000
"""Rows that are made at once."""
STAGES = ("generation", "generation_retry", "fallback", "critic", "embed_retrieval", "embed_dedup")
MODELS = ("gpt-5-mini", "claude-haiku-4-5", "mistral-small", "text-embedding-3-small")
FATES = ("accepted", "refused: critic", "refused: duplicate", "refused: unreadable")
OUTCOMES = ("ok", "timeout", "reply unreadable")
SLICES, DAYS, ROWS_PER_RECORD = 40, 30, 3


class Known:
    """What the ledger must add up to, kept in whole numbers as it is made."""

    def __init__(self) -> None:
        self.picodollars = self.unpriced = self.replays = self.accepted = self.accepted_bytes = 0
        self.by_stage = dict.fromkeys(STAGES, 0)
        self.last_record = -1

    def count(self, stages: Any, drawn: Any, unpriced: Any, replay: Any, records: Any, accepted: Any) -> None:
        """Take in some rows; records come in ascending order."""
        import numpy as np

        self.unpriced += int((unpriced & ~replay).sum())
        self.replays += int(replay.sum())
        counted = ~unpriced & ~replay
        self.picodollars += int(drawn[counted].sum())
        for at, stage in enumerate(STAGES):
            self.by_stage[stage] += int(drawn[counted & (stages == at)].sum())
        found = np.unique(records[accepted & ~replay])
        found = found[found > self.last_record]
        self.accepted += len(found)
        self.accepted_bytes += int(size_of(found).sum())
        self.last_record = int(found.max(initial=self.last_record))


def size_of(records: Any) -> Any:
    """Bytes of text of a record."""
    return 500 + records % 3000


def make(path: Path, rows: int) -> dict[str, Any]:
    """Write the ledger and return what it must add up to; amounts are drawn as whole picodollars."""
    import numpy as np
    import pyarrow.parquet as pq

    rng, known, writer = np.random.default_rng(20261125), Known(), None
    for start in range(0, rows, GROUP):
        table = group(np.arange(start, min(rows, start + GROUP)), rows, rng, known)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return {name: value for name, value in vars(known).items() if name != "last_record"}


def group(numbers: Any, rows: int, rng: Any, known: Known) -> Any:
    """Some rows of the ledger, counted as they are made."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    n, records = len(numbers), numbers // ROWS_PER_RECORD
    drawn, stages = rng.integers(1, 5 * 10**10, n), rng.integers(0, len(STAGES), n)
    unpriced, replay = rng.random(n) < 0.0005, rng.random(n) < 0.002
    fates = (records * 2654435761 >> 7) % len(FATES)
    known.count(stages, drawn, unpriced, replay, records, fates == 0)
    money, halves = pa.decimal128(38, 12), np.zeros((n, 2), np.int64)
    halves[:, 0] = np.where(replay, 0, drawn)  # a decimal128 is two halves, the low one first
    usd = pa.Array.from_buffers(money, n, [None, pa.py_buffer(halves.tobytes())])
    inputs = rng.integers(200, 4000, n)
    return pa.table(
        {
            "seq": numbers + 1,
            "at": named([f"2026-11-{day + 1:02}T12:00:00Z" for day in range(DAYS)], numbers * DAYS // rows),
            "run": pa.repeat("pilot", n),
            "stage": named(STAGES, stages),
            "slice": named([f"slice {at:02}" for at in range(SLICES)], rng.integers(0, SLICES, n)),
            "record": pc.binary_join_element_wise("record", pa.array(records).cast(pa.string()), "-"),
            "attempt": pa.array(numbers).cast(pa.string()),
            "model": named(MODELS, rng.integers(0, len(MODELS), n)),
            "input_tokens": inputs,
            "cached_tokens": inputs // 3,
            "output_tokens": rng.integers(20, 900, n),
            "core_seconds": rng.random(n),
            "outcome": named(OUTCOMES, (rng.random(n) < 0.02).astype(np.int64)),
            "usd": pc.if_else(pa.array(unpriced & ~replay), pa.scalar(None, money), usd),
            "basis": named(("catalogue", "unpriced", "replay"), np.where(replay, 2, np.where(unpriced, 1, 0))),
            "fate": named(FATES, fates),
            "bytes": size_of(records),
        }
    )


def named(names: Any, at: Any) -> Any:
    """The names at those places, as plain strings."""
    import pyarrow as pa

    return pa.array(names).take(pa.array(at))


def add_up(path: Path) -> dict[str, Any]:
    """The ledger's tally, as far as the making knows it."""
    from proofset.costing.tally import tally_file

    found = tally_file(path)
    return {
        "picodollars": picodollars(found.total.usd),
        "unpriced": found.total.unpriced,
        "replays": found.replays,
        "accepted": found.accepted,
        "accepted_bytes": found.accepted_bytes,
        "by_stage": {line.name: picodollars(line.usd) for line in found.by_stage},
    }


def picodollars(usd: Decimal) -> int:
    """An amount in whole units of its grid."""
    return int(usd.scaleb(12))


def measured(work: str, path: Path, rows: int) -> tuple[dict[str, Any], dict[str, float]]:
    """Do a part in a child process; what it told, and what it took."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.ledger", "--rows", str(rows), work, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{work} ended with {child.returncode}")
    return json.loads(told), {
        "wall_s": round(time.perf_counter() - began, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": round(used.ru_maxrss / 1024, 1),
    }


def measure(rows: int) -> dict[str, Any]:
    """Make, add up, compare; SystemExit if the sums are not those of the making."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.parquet"
        known, making = measured("--make", path, rows)
        file_mb = round(path.stat().st_size / 1e6, 1)
        sys.stderr.write(f"made {rows} rows, {file_mb} MB: {json.dumps(making)}\n")
        found, taken = measured("--add-up", path, rows)
    wrong = [name for name in known if known[name] != found.get(name)]
    if wrong:
        raise SystemExit(f"the tally is wrong in {', '.join(wrong)}: {found}, and should be {known}")
    total = str(Decimal(found["picodollars"]).scaleb(-12))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return {"rows": rows, **taken, "file_mb": file_mb, "total_usd": total, "agrees": sorted(known), "machine": machine}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a million rows")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON object on standard output")
    parser.add_argument("--rows", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--add-up", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    rows = told.rows or (QUICK_ROWS if told.quick else ROWS)
    if told.make:
        found = make(told.make, rows)
    elif told.add_up:
        found = add_up(told.add_up)
    else:
        found = measure(rows)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

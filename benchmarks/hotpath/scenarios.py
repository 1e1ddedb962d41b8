"""What is measured on the hot path, one function a question; each tells its figures as plain values."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.hotpath import peers
from benchmarks.hotpath.ours import Job
from benchmarks.hotpath.server import Server
from proofset.nouns.event import Spent
from proofset.runs.folder import Run

OURS = "proofset"
CALLS_A_RECORD = 2
MIXED = {"error_share": 0.05, "malformed_share": 0.02, "latency_ms": 200.0, "jitter": 0.3}
"""The faults of the mixed scenario, besides a limit on calls in flight."""


@contextmanager
def fresh(name: str) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"hotpath-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def one(tool: str, records: int, in_flight: int, root: Path, **rules: float) -> dict[str, Any]:
    """One job of one tool against a server of its own, with what the server saw."""
    with Server(**rules) as server, fresh(tool) as folder:
        if tool == OURS:
            found = Job(folder=folder / "job", base_url=server.base_url, records=records, in_flight=in_flight).run()
            found["delivered"] = found["closed"]
        else:
            found = peers.run(tool, server.base_url, records, in_flight, root, python=Path(sys.executable))
        stats = server.stats()
    return {
        **found,
        "server": {k: stats[k] for k in ("requests", "ok", "rejected_429", "repeated_paid", "max_in_flight")},
    }


def overhead(tools: list[str], sizes: tuple[int, int], rounds: int, root: Path) -> dict[str, Any]:
    """Client processor milliseconds a call at 0 ms latency: the slope between two sizes, so start-up is not in it."""
    slopes: dict[str, list[float]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:  # in turn: what else the machine does falls on all alike
            small, large = (one(tool, size, 64, root) for size in sizes)
            calls = large["server"]["ok"] - small["server"]["ok"]
            slopes[tool].append(1000 * (large["cpu_s"] - small["cpu_s"]) / calls)
    told = {
        tool: {"median": round(median(each), 3), "all": [round(ms, 3) for ms in each]} for tool, each in slopes.items()
    }
    best = min((told[tool]["median"] for tool in tools if tool in peers.PEERS), default=None)
    ratio = None if best is None else round(told[OURS]["median"] / best, 3)
    return {"cpu_ms_a_call": told, "ours_to_best_peer": ratio}


def wall(tools: list[str], records: int, in_flight: int, root: Path) -> dict[str, Any]:
    """Wall seconds at 200 ms latency against the ideal, calls x latency / in flight."""
    ideal = records * CALLS_A_RECORD * 0.2 / in_flight
    found = {}
    for tool in tools:
        run = one(tool, records, in_flight, root, latency_ms=200.0, jitter=0.3)
        inner = run["inner_wall_s"] or run["wall_s"]
        found[tool] = {
            "inner_wall_s": inner, "to_ideal": round(inner / ideal, 3), "cpu_s": run["cpu_s"],
            "peak_mb": run["peak_mb"], "delivered": run["delivered"],
        }  # fmt: skip
    return {"records": records, "in_flight": in_flight, "ideal_s": round(ideal, 2), "tools": found}


def memory(sizes: tuple[int, int], root: Path) -> dict[str, Any]:
    """Peak memory of our loop at two sizes, everything of its process included."""
    peaks = {size * CALLS_A_RECORD: one(OURS, size, 256, root)["peak_mb"] for size in sizes}
    low, high = peaks.values()
    return {"peak_mb_by_calls": peaks, "grown_mb": round(high - low, 1)}


def faults(tools: list[str], records: int, root: Path) -> dict[str, Any]:
    """5 % HTTP 500, 2 % broken JSON, and 429 above 32 in flight: what arrives, and how long it takes."""
    ideal = records * CALLS_A_RECORD * 0.2 / 32 * 1.07  # each faulty answer takes its place for as long as a good one
    found = {}
    for tool in tools:
        run = one(tool, records, 64, root, **MIXED, max_in_flight=32, retry_after=1.0)
        inner = run["inner_wall_s"] or run["wall_s"]
        found[tool] = {
            "delivered": run["delivered"], "inner_wall_s": inner, "to_ideal": round(inner / ideal, 3),
            "server": run["server"], "by_outcome": run.get("by_outcome"), "exit": run["exit"],
        }  # fmt: skip
    return {"records": records, "ideal_s": round(ideal, 2), "tools": found}


def kills(records: int, times: int, in_flight: int = 64) -> dict[str, Any]:
    """SIGKILL at random moments, then resume: is the corpus the same, and what was paid twice?"""
    rng = random.Random(20)
    with fresh("kills") as folder, Server(latency_ms=40.0, jitter=0.5) as server:
        alone = Job(folder=folder / "alone", base_url=server.base_url, records=records, in_flight=in_flight)
        seconds = alone.run()["inner_wall_s"]
        server.reset()
        killed = Job(folder=folder / "killed", base_url=server.base_url, records=records, in_flight=in_flight)
        killed.prepare()
        hit = 0
        for _ in range(times):
            process, log = killed.start(), killed.folder / "runs" / "hotpath" / "events.jsonl"
            size = log.stat().st_size
            while process.poll() is None and log.stat().st_size == size:  # at work
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 2 * seconds / times))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            hit += process.wait() == -signal.SIGKILL
            server.mark()
        last = killed.finish(killed.start(), time.monotonic())
        stats = server.stats()
        return {
            "records": records, "kills": hit, "in_flight": in_flight, "same_corpus": killed.corpus() == alone.corpus(),
            "closed": last["closed"], "paid_again": stats["repeated_paid"],
            "paid_again_a_kill": round(stats["repeated_paid"] / max(1, hit), 2), "ok": stats["ok"],
            "of_them_answered_100_ms_before": stats["repaid_late"],
        }  # fmt: skip


def shared_budget(records: int, cap: str = "0.10") -> dict[str, Any]:
    """Two processes with one store and one budget: what they spent together, by their own logs."""
    budget = f'usd = "{cap}"\nshared = "bench"'
    with fresh("shared") as folder, Server(latency_ms=20.0, jitter=0.5) as server:
        jobs = [
            Job(
                folder=folder / f"job{seed}", base_url=server.base_url, records=records, in_flight=32, seed=seed,
                budget=budget, store=folder / "store",
            )
            for seed in (1, 2)
        ]  # fmt: skip
        for job in jobs:
            job.prepare()
        began = time.monotonic()
        processes = [job.start() for job in jobs]
        found = [job.finish(process, began) for job, process in zip(jobs, processes, strict=True)]
        spent = sum((_spent(job) for job in jobs), Decimal(0))
    return {
        "cap_usd": cap, "spent_usd": str(spent), "within": spent <= Decimal(cap),
        "share_used": round(float(spent / Decimal(cap)), 3), "stops": [each["stop"] for each in found],
        "exits": [each["exit"] for each in found],
    }  # fmt: skip


def _spent(job: Job) -> Decimal:
    events = Run.read(job.folder / "runs" / "hotpath").events
    usages = [e.usage for e in events if isinstance(e, Spent) and e.usage.stage in ("generate", "critic")]
    return sum((usage.usd or Decimal(0) for usage in usages), Decimal(0))


def replay(records: int) -> dict[str, Any]:
    """The same study in another folder with the same store: what is asked again, and what it costs."""
    with fresh("replay") as folder, Server() as server:
        jobs = [
            Job(
                folder=folder / name, base_url=server.base_url, records=records, in_flight=64, store=folder / "store"
            )
            for name in ("first", "second")
        ]  # fmt: skip
        first, asked = jobs[0].run(), server.stats()["requests"]
        second = jobs[1].run()
        return {
            "records": records, "asked_first": asked, "asked_again": server.stats()["requests"] - asked,
            "same_corpus": jobs[0].corpus() == jobs[1].corpus(), "usd_again": str(_spent(jobs[1])),
            "cpu_s": [first["cpu_s"], second["cpu_s"]],
        }  # fmt: skip


def installed(names: list[str], root: Path) -> list[str]:
    """The peers that are there, or could be made; the others are told of and left out."""
    there = []
    for name in names:
        try:
            peers.install(name, root)
            there.append(name)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.stderr.write(f"{name} is left out: {error}\n")
    return there

"""``python -m benchmarks.firstlight [--quick] [--json]``: the demo study, timed, repeated over splits, killed, resumed.

The full form walks ``examples/sms`` with five seeds: each seed draws another fifteen spam messages, another held-out
set and other candidates, so the five claims say how far the demo's one claim can be trusted. The quick form walks one
seed with a tenth of the briefs. Both kill a run three times with SIGKILL and compare its dataset with one left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from proofset.config import Study
from proofset.nouns.event import Claimed, Costed, Finished, Proposed, Proved, Spent
from proofset.runs.folder import Run

STUDY = Path(__file__).resolve().parents[2] / "examples" / "sms" / "study.toml"
SEEDS = (1, 2, 3, 4, 5)
KILLED_AFTER = (4, 15, 30)
"""Candidates in the log at which a run is killed."""
SMALL = {"quota": 16, "max_briefs": 42}
"""What the quick form and the killed runs ask of each edge slice."""


def variant(folder: Path, *, seed: int, small: bool) -> Path:
    """The demo study with another seed, and with fewer briefs where ``small``."""
    text, study = STUDY.read_text(encoding="utf-8"), Study.read(STUDY)
    changes = {f"seed = {study.seed}\n": f"seed = {seed}\n"}
    if small:
        was = study.synthesize
        changes |= {
            f"quota = {was.quota}\n": f"quota = {SMALL['quota']}\n",
            f"max_briefs = {was.max_briefs}\n": f"max_briefs = {SMALL['max_briefs']}\n",
        }
    for old, new in changes.items():
        if text.count(old) != 1:
            raise SystemExit(f"{STUDY} has no line {old.strip()!r} to change")
        text = text.replace(old, new)
    folder.mkdir(parents=True)
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def command(study: Path) -> list[str]:
    """The command line that walks a study's whole path."""
    return [sys.executable, "-m", "proofset", "run", str(study), "--runs", str(study.parent / "runs"), "--json"]


def walk(study: Path) -> dict[str, Any]:
    """One walk in a process of its own: wall and processor seconds, peak memory, and what it found."""
    began = time.monotonic()
    process = subprocess.Popen(command(study), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # wait4 took it, and told the memory as well
    if status:
        raise SystemExit(f"proofset run {study} ended with status {status}")
    found = {
        "wall_s": round(time.monotonic() - began, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
    }
    return {**found, **outcome(Run.read(study.parent / "runs" / "sms"))}


def outcome(run: Run) -> dict[str, Any]:
    """What a finished run says of itself."""
    events = run.events
    spent = [event.usage for event in events if isinstance(event, Spent) and event.usage.stage == "generate"]
    (costed,) = [event.statement for event in events if isinstance(event, Costed)]
    core = sum(usage.core_seconds for usage in spent)
    gains = {
        f"{event.gain.arm}: {event.gain.metric}": [
            round(100 * number, 2) if number is not None else None
            for number in (event.gain.difference.value, event.gain.difference.low, event.gain.difference.high)
        ]
        for event in events
        if isinstance(event, Proved) and event.gain.slice in ("edge", "rest", "all")
    }
    return {
        "proposed": sum(isinstance(event, Proposed) for event in events),
        "accepted": costed.accepted,
        "tokens_per_core_s": round(sum(usage.output_tokens for usage in spent) / core, 1) if core else None,
        "usd_per_accepted": str(costed.usd_per_accepted),
        "seconds_by_verb": {event.verb: round(event.seconds, 1) for event in events if isinstance(event, Finished)},
        "claims": {event.claim.arm: str(event.claim.claim) for event in events if isinstance(event, Claimed)},
        "points": gains,
    }


def dataset(study: Path) -> bytes:
    """The handed-off dataset of a study's run."""
    return (study.parent / "runs" / "sms" / "handoff" / "dataset.jsonl").read_bytes()


def kill_and_resume(folder: Path, alone: bytes) -> dict[str, Any]:
    """Kill a small run with SIGKILL at three places of synthesis, resume it, and compare with the one left alone."""
    study, kills = variant(folder, seed=SEEDS[0], small=True), 0
    log = study.parent / "runs" / "sms" / "events.jsonl"
    for wanted in KILLED_AFTER:
        process = subprocess.Popen(command(study), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if log.exists() and log.read_bytes().count(b'"Proposed"') >= wanted:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.05)
        kills += process.wait() == -signal.SIGKILL
    resumed = walk(study)
    briefs = [
        event.candidate.brief_id
        for event in Run.read(study.parent / "runs" / "sms").events
        if isinstance(event, Proposed)
    ]
    return {
        "kills": kills,
        "same_dataset": dataset(study) == alone,
        "briefs_answered_twice": len(briefs) - len(set(briefs)),
        "proposed": resumed["proposed"],
    }


def measure(*, quick: bool, root: Path) -> dict[str, Any]:
    """Everything this benchmark reports."""
    small = variant(root / "small", seed=SEEDS[0], small=True)
    walks = {"small": walk(small)}
    killed = kill_and_resume(root / "killed", dataset(small))
    if not quick:
        for seed in SEEDS:
            walks[f"seed {seed}"] = walk(variant(root / f"seed-{seed}", seed=seed, small=False))
    full = [found for name, found in walks.items() if name != "small"] or [walks["small"]]
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "median_wall_s": median(found["wall_s"] for found in full),
        "median_cpu_s": median(found["cpu_s"] for found in full),
        "peak_mb": max(found["peak_mb"] for found in full),
        "killed_and_resumed": killed,
        "walks": walks,
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.firstlight", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small walk instead of five whole ones")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="firstlight-") as root:
        if not arguments.json:
            sys.stderr.write("walking the demo study; every walk uses all idle cores, so leave the machine alone\n")
        sys.stdout.write(json.dumps(measure(quick=arguments.quick, root=Path(root))) + "\n")


if __name__ == "__main__":
    main()

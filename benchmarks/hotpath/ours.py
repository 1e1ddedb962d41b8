"""proofset on the job that the peers do: a study that generates and judges through the loopback server.

What is timed is ``proofset synthesize`` in a process of its own, after ``audit`` and ``ground`` were done in another:
gates, log, response store and all. Every brief is one record of the job: a generation, the gates, a judgement.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.hotpath.answers import Draws
from proofset.nouns.event import BriefClosed, Finished, SliceClosed
from proofset.runs.folder import Run

STUDY = """
name = "hotpath"
seed = {seed}

[ingest]
path = "organic.csv"

[audit]
edge_max_records = 60

[synthesize]
quota = {records}
max_briefs = {records}
patience = {records}
companions = 0
judges = []
window = {window}

[synthesize.budget]
{budget}

[synthesize.model]
engine = "chat"
base_url = "{base_url}"
model = "generator"
slots = {in_flight}
usd_per_million_input = "0.10"
usd_per_million_output = "0.40"
{model_more}

[synthesize.critic]
views = []

[synthesize.critic.model]
engine = "chat"
base_url = "{base_url}"
model = "critic"
form = "chat"
slots = {in_flight}
usd_per_million_input = "0.25"
usd_per_million_output = "2.00"
"""


@dataclass(kw_only=True)
class Job:
    """One study in one folder, and the store that its replies go to."""

    folder: Path
    base_url: str
    records: int
    in_flight: int
    seed: int = 1
    budget: str = ""
    model_more: str = ""
    window: int = 0
    store: Path | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.study = self.folder / "study.toml"
        told = {
            name: getattr(self, name) for name in ("base_url", "records", "in_flight", "seed", "budget", "model_more")
        }
        window = self.window or 4 * self.in_flight
        self.study.write_text(STUDY.format(**told, window=window), encoding="utf-8")
        write_organic(self.folder / "organic.csv")
        self.environment = {**os.environ, "PROOFSET_RESPONSES": str(self.store or self.folder / "store")}

    def command(self, verb: str, *more: str) -> list[str]:
        """The command line of a verb."""
        runs = str(self.folder / "runs")
        return [sys.executable, "-m", "proofset", verb, str(self.study), "--runs", runs, "--json", *more]

    def prepare(self) -> None:
        """Everything before the loop."""
        for verb in ("audit", "ground"):
            subprocess.run(self.command(verb), env=self.environment, check=True, capture_output=True)

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """The loop, at work in a process of its own."""
        errors = (self.folder / "stderr").open("wb")
        return subprocess.Popen(
            self.command("synthesize", *more), env=self.environment, stdout=subprocess.DEVNULL, stderr=errors
        )

    def finish(self, process: subprocess.Popen[bytes], began: float) -> dict[str, Any]:
        """Wait for the loop: wall and processor seconds, peak memory, and what its log says."""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return {
            "exit": process.returncode,
            "wall_s": round(time.monotonic() - began, 3),
            "cpu_s": round(used.ru_utime + used.ru_stime, 3),
            "peak_mb": round(used.ru_maxrss / 1024, 1),
            **self.outcome(),
        }

    def run(self, *more: str) -> dict[str, Any]:
        """The loop from here to its end."""
        self.prepare()
        began = time.monotonic()
        return self.finish(self.start(*more), began)

    def outcome(self) -> dict[str, Any]:
        """What became of the briefs, out of the log."""
        closed: dict[str, int] = {}
        stop, inner = "", 0.0
        for event in Run.read(self.folder / "runs" / "hotpath").events:
            if isinstance(event, BriefClosed):
                name = "accepted" if event.winner else event.reason
                closed[name] = closed.get(name, 0) + 1
            elif isinstance(event, SliceClosed):
                stop = str(event.stop)
            elif isinstance(event, Finished) and event.verb == "synthesize":
                inner = event.seconds
        return {"closed": sum(closed.values()), "by_outcome": closed, "stop": stop, "inner_wall_s": round(inner, 3)}

    def corpus(self) -> bytes:
        """The accepted records, as the log has them: (number, candidate) in brief order."""
        events = [e for e in Run.read(self.folder / "runs" / "hotpath").events if isinstance(e, BriefClosed)]
        rows = sorted((each.number, each.winner or each.reason) for each in events)
        return json.dumps(rows).encode()


def write_organic(path: Path) -> None:
    """Two labels in sentences like those of the server, so that the gates let them through; one of them is rare."""
    rng = random.Random(7)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for label, count in (("rare", 60), ("common", 600)):
            for number in range(count):
                writer.writerow([Draws(f"{label} {number} {rng.random()}".encode()).sentence(), label])

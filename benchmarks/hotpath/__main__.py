"""``python -m benchmarks.hotpath [--quick] [--json]``: what a model call costs the client, and what survives.

Against a loopback server with latency, limits and faults, in turn with DataDesigner, Curator and distilabel, each in an
environment of its own (made on first use; some 2.3 GB under the cache folder). The quick form takes smaller jobs and
one round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.hotpath import peers, scenarios
from benchmarks.hotpath.scenarios import OURS

QUICK = {"sizes": (200, 1200), "rounds": 1, "wall": 2000, "memory": (1000, 10_000), "faults": 300, "kills": (600, 5)}
FULL = {
    "sizes": (500, 3000),
    "rounds": 5,
    "wall": 20_000,
    "memory": (1000, 100_000),
    "faults": 1000,
    "kills": (3000, 20),
}


def measure(settings: dict[str, Any], wanted: set[str], names: list[str], root: Path, *, quick: bool) -> dict[str, Any]:
    """Every scenario that is wanted, in order; each is told on standard error as it ends."""
    tools = [OURS, "floor", *names]
    plan: dict[str, Callable[[], dict[str, Any]]] = {
        "overhead": lambda: scenarios.overhead(tools, settings["sizes"], settings["rounds"], root),
        "wall": lambda: scenarios.wall([OURS, "floor"], settings["wall"], 256, root),
        "wall_peers": lambda: {} if quick else scenarios.wall(tools, 2000, 256, root),
        "faults": lambda: scenarios.faults([OURS] if quick else [OURS, *names], settings["faults"], root),
        "kills": lambda: scenarios.kills(*settings["kills"]),
        "shared_budget": lambda: scenarios.shared_budget(2000),
        "replay": lambda: scenarios.replay(1000),
        "memory": lambda: scenarios.memory(settings["memory"], root),
    }
    found: dict[str, Any] = {}
    for name, work in plan.items():
        if not wanted or name in wanted:
            found[name] = work()
            sys.stderr.write(f"{name}: {json.dumps(found[name])}\n")
    return found


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hotpath", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller jobs, one round")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON object on standard output")
    parser.add_argument("--only", action="append", default=[], help="a scenario by name; may be repeated")
    parser.add_argument("--no-peers", action="store_true", help="leave the other tools out")
    parser.add_argument("--root", type=Path, default=peers.CACHE, help="where the peers' environments lie")
    told = parser.parse_args()
    names = [] if told.no_peers else scenarios.installed(list(peers.PEERS), told.root)
    found = measure(QUICK if told.quick else FULL, set(told.only), names, told.root, quick=told.quick)
    found["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

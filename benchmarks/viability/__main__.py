"""``python -m benchmarks.viability [--quick] [--json]``: what the quotient costs, beside prdc and mauve-text.

Vectors are drawn from a mixture of 300 modes of very different weight in 384 dimensions, and kept as files. Ours reads
them block by block; the peers load them whole, as they must. Each measurement is a process of its own; what it took is
what the kernel counted, the loading of libraries included. Ours and the peers' take turns.

Sizes: every kind has n records, but for n = 1,000,000, where train, reference and control have 500,000. Beside peers
everything runs on one thread of linear algebra, the largest sizes on all. Medians of five (three beside peers at
20,000, one of the two largest jobs). The quick form stops at 20,000 records and one repetition, without peers there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.hotpath.peers import CACHE

HERE = Path(__file__).resolve().parent
WIDTH, MODES, BLOCK = 384, 300, 20_000
ORGANIC_AT_MOST = 500_000
PEERS = ("prdc", "mauve")
SEEDS = {"train": 1, "reference": 2, "control": 3, "synthetic": 4}


def write_cloud(path: Path, n: int, seed: int, spread: float = 1.0) -> None:
    """Records of the mixture, n of them and of length 1, in blocks, so that the file may be larger than memory."""
    world = np.random.default_rng(7)
    centres = world.normal(size=(MODES, WIDTH)).astype(np.float32)
    weights = 1.0 / np.arange(1, MODES + 1)
    scales = (1.0 / np.sqrt(np.arange(1, WIDTH + 1))).astype(np.float32) * 3
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (n, WIDTH)})
        for start in range(0, n, BLOCK):
            count = min(BLOCK, n - start)
            rows = centres[rng.choice(MODES, count, p=weights / weights.sum())] * spread
            rows += rng.standard_normal((count, WIDTH), dtype=np.float32) * scales
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            rows.tofile(file)


def world(folder: Path, n: int, generations: int = 0) -> Path:
    """A folder with the four kinds, and generations that shrink a little each, if they are wanted."""
    home = folder / f"{n}"
    home.mkdir()
    for name, seed in SEEDS.items():
        write_cloud(home / f"{name}.npy", n if name == "synthetic" else min(n, ORGANIC_AT_MOST), seed)
    for number in range(generations):
        write_cloud(home / f"generation-{number}.npy", n, 100 + number, spread=0.97**number)
    return home


def measure(what: str, home: Path, n: int, python: str = sys.executable, threads: int = 0) -> dict[str, Any]:
    """One child process; ``threads`` of linear algebra, 0 for as many as it takes by itself."""
    command = [python, "-W", "ignore", str(HERE / "child.py"), what, str(home), str(n)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment(threads))
    if ran.returncode:
        return {"failed": ran.stderr.strip().splitlines()[-1:] or [f"exit {ran.returncode}"]}
    found: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return found


def _environment(threads: int) -> dict[str, str]:
    limits = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(threads)) if threads else {}
    return os.environ | {"PYTHONWARNINGS": ""} | limits


def peers_python() -> str:
    """An interpreter that has the peers, in an environment of its own."""
    wanted = (HERE / "requirements-peers.txt").read_text(encoding="utf-8")
    home = CACHE / "measures"
    python, stamp = home / "bin" / "python", home / "requirements.txt"
    if not (python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "-r", str(HERE / "requirements-peers.txt")]
        subprocess.run(command, check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return str(python)


def told(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of what several runs took, and the last result."""
    sound = [run for run in runs if "failed" not in run]
    if not sound:
        return runs[-1]
    taken = {name: round(median(run[name] for run in sound), 2) for name in ("wall_s", "cpu_s", "peak_mb")}
    return {**taken, "runs": len(sound), "result": sound[-1]["result"]}


def side_by_side(folder: Path, n: int, repeats: int) -> dict[str, Any]:
    """Ours and the peers' at one size, in turn."""
    home, python = world(folder, n), peers_python()
    runs: dict[str, list[dict[str, Any]]] = {"svq": [], **{peer: [] for peer in PEERS}}
    for _ in range(repeats):
        runs["svq"].append(measure("svq", home, n, threads=1))
        for peer in PEERS:
            runs[peer].append(measure(peer, home, n, python, threads=1))
    found: dict[str, Any] = {name: told(each) for name, each in runs.items()}
    for peer in PEERS:
        if "cpu_s" in found[peer]:
            found[f"cpu_of_{peer}_over_ours"] = round(found[peer]["cpu_s"] / found["svq"]["cpu_s"], 1)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="the default; the last line is one JSON object")
    quick = parser.parse_args().quick
    found: dict[str, Any] = {"machine": {"processor": platform.processor(), "cores": os.cpu_count()}, "quick": quick}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found["start"] = told([measure("nothing", folder, 0)])
        found["5000"] = side_by_side(folder, 5_000, 1 if quick else 5)
        home = world(folder, 20_000)
        if quick:
            found["20000"] = {"svq": told([measure("svq", home, 20_000)])}
        else:
            (folder / "twenty").mkdir()
            found["20000"] = side_by_side(folder / "twenty", 20_000, 3)
            home = world(folder, 100_000, generations=10)
            found["100000"] = {
                "svq": told([measure("svq", home, 100_000) for _ in range(5)]),
                "dmc of 10 generations": told([measure("dmc", home, 100_000)]),
            }
            for path in home.iterdir():
                path.unlink()
            home = world(folder, 1_000_000)
            found["1000000"] = {"svq": told([measure("svq", home, 1_000_000)])}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

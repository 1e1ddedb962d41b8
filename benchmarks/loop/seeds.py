"""One seed: walked by every loop, judged by the oracle, trained with every addition."""

from __future__ import annotations

import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.loop.arms import Stage, arms
from benchmarks.loop.outcome import Oracle, Outcome
from benchmarks.loop.study import Questions, Size, starved, walk, write
from proofset.plugins import find


@cache
def oracle_of(questions: Questions) -> Oracle:
    """The oracle, made once in each process."""
    return Oracle.of(questions, (find("encoders", "static")(), find("encoders", "minilm")()))


def one_seed(questions: Questions, seed: int, size: Size, root: Path, asked: tuple[str, ...]) -> dict[str, Any]:
    """Walk, judge and train for one seed, by the loops that are asked for."""
    oracle = oracle_of(questions)
    began, loops, judged, seconds = time.monotonic(), dict[str, Outcome](), {}, {}
    first = root / f"{seed}-uniform"
    for loop in asked:
        folder = root / f"{seed}-{loop}"
        path = write(folder, questions, seed, loop, size)
        seconds[loop] = round(walk(path, None if loop == "uniform" else first), 1)
        loops[loop] = Outcome.of(folder / "runs" / "loop", oracle)
        judged[loop] = loops[loop].judged() | {"strategies": loops[loop].by_strategy()}
        sys.stderr.write(f"seed {seed}, {loop}: {seconds[loop]} s, {judged[loop]}\n")
    stage = Stage.of(first / "runs" / "loop", oracle.encoders[0], starved(questions, seed))
    scored = arms(stage, loops, seed)
    for name, scores in scored.items():
        sys.stderr.write(f"seed {seed}, {name}: { {key: round(value, 2) for key, value in scores.items()} }\n")
    return {
        "judged": judged,
        "arms": scored,
        "strength": stage.strength,
        "oracle": (oracle.accuracy, oracle.alone),
        "trials": loops["uniform"].trials,
        "seconds": seconds | {"all": round(time.monotonic() - began, 1)},
    }

"""``python -m benchmarks.loop [--quick] [--data FOLDER] [--seeds N …] [--json]``: the loop on twenty starved intents.

Each seed starves other intents down to five questions. The study is walked as a user would, by the command line: once
with uniform briefs, once with the adversary, once with a round of revision. An oracle that has read all of banking77
says which candidates are right. A linear head is trained with every addition and examined on held-out questions:
unjudged and judged candidates, and what may be done without a model.

Figures of several seeds are means with the 95 % t-interval of the paired difference over seeds. The quick form is one
seed with a ninth of the briefs: it says whether the program runs, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.loop.seeds import one_seed
from benchmarks.loop.study import FULL, LOOPS, QUICK, Questions

SEEDS = (1, 2, 3, 4, 5)
PAIRS = {
    "judged": "organic",
    "judged and titles": "organic",
    "titles": "organic",
    "duplicated": "organic",
    "edited": "organic",
    "smote": "organic",
    "unjudged": "organic",
    "adversary": "organic",
    "adversary and titles": "organic",
    "revised": "judged",
    "adversary, equal number": "uniform, equal number",
}
"""Arms and what each is compared with."""
RIVALS = ("duplicated", "edited", "smote", "unjudged")


def summary(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds, and paired differences with their intervals."""
    names = [name for name in seeds[0]["arms"] if all(name in each["arms"] for each in seeds)]
    means = {
        name: {
            key: round(float(np.mean([each["arms"][name][key] for each in seeds])), 2) for key in seeds[0]["arms"][name]
        }
        for name in names
    }
    paired = {
        f"{name} against {base}": {
            key: _interval([each["arms"][name][key] - each["arms"][base][key] for each in seeds])
            for key in ("starved", "rest", "macro_f1", "starved_at_equal_rest")
        }
        for name, base in [*PAIRS.items(), *(("judged", rival) for rival in RIVALS)]
        if name in means and base in means
    }
    cascade = {
        loop: {
            key: _interval([each["judged"][loop][key] for each in seeds])
            for key in (
                "precision",
                "recall",
                "right_among_new",
                "accepted",
                "candidates",
                "usd_per_accepted",
                "core_s",
            )
        }
        for loop in seeds[0]["judged"]
    }
    trials = {name: [_worst([each["trials"].get(name) for each in seeds]), len(seeds)] for name in seeds[0]["trials"]}
    return {"means": means, "paired": paired, "cascade": cascade, "lowest_share_refused_in_trial": trials}


def _worst(found: list[Any]) -> float | None:
    values = [each[0] for each in found if each is not None and each[0] is not None]
    return round(min(values), 4) if values else None


def _interval(values: list[float]) -> list[float]:
    """Mean, and the ends of its 95 % t-interval over seeds; one seed has none."""
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return [round(mean, 6)]
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return [round(mean, 6), round(mean - half, 6), round(mean + half, 6)]


def main() -> None:
    """Measure, and print one JSON object on the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, a ninth of the briefs")
    parser.add_argument("--json", action="store_true", help="as every benchmark; the last line is JSON in any case")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PROOFSET_BANKING77", "data/banking77")))
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time, each on one core: for accuracy, not time")
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=list(LOOPS), help="uniform is walked in any case")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="other ones than those of the table")
    asked = parser.parse_args()
    questions = Questions.read(asked.data)
    others = tuple(loop for loop in LOOPS if loop in asked.loops and loop != "uniform")
    size, wanted = (QUICK, asked.seeds[:1]) if asked.quick else (FULL, asked.seeds)
    with tempfile.TemporaryDirectory(prefix="proofset-loop-") as root:
        one = partial(one_seed, questions, size=size, root=Path(root), asked=("uniform", *others))
        with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool, threadpool_limits(limits=1):
            seeds = list(pool.map(one, wanted))
    oracle = seeds[0]["oracle"]
    found = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "quick": asked.quick,
        "oracle_accuracy": round(oracle[0], 4),
        "oracle_accuracy_static_alone": round(oracle[1], 4),
        **summary(seeds),
        "seeds": dict(zip(map(str, wanted), seeds, strict=True)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()

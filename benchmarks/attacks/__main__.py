"""``python -m benchmarks.attacks [--quick] [--json]``: fakes that pass for fresh organic text, measure by measure.

Reuters documents are divided into train, reference, control and fresh ones. Fakes are made of them, and every measure
of the shelf is asked about each, MAUVE by the package of its authors. A measure is fooled when the fake's value lies
within three standard deviations of what fresh documents get in several other divisions, or beyond on the good side.
Beside them stand the Synthetic Viability Quotient and the marginal training lift: which fakes do they give away, and
how often fresh documents?

The table goes to standard error as Markdown; the last line on standard output is one JSON object. The quick form has
800 documents a part, fewer divisions, and no MAUVE.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.attacks.corpora import Corpus, Division, Documents, Encoder, attacks
from benchmarks.attacks.scores import COLUMNS, Judge, caught
from benchmarks.attacks.table import markdown

PART, QUICK_PART = 2_125, 800
"""Documents a part. Four of the larger one and the reserve are all there are."""
QUICK_DOCUMENTS = 3_500
FRESH, QUICK_FRESH = 10, 6
"""Divisions whose fresh documents tell what chance does."""


def told(judge: Judge, corpus: Corpus) -> dict[str, Any]:
    """The scores of a corpus, named on standard error with what they took."""
    began = time.perf_counter()
    with threadpool_limits(
        limits=1
    ):  # many small products: on a busy machine, threads that wait for each other take all
        found = judge.scores(corpus)
    svq, y = found["svq"], found["y"] or {}
    sys.stderr.write(
        f"{corpus.name}: SVQ {svq['value']} {svq['verdict']} ({svq['weakest']}), Y {y.get('value')},"
        f" {time.perf_counter() - began:.0f} s\n"
    )
    return found


def measure(*, quick: bool) -> dict[str, Any]:
    """Every corpus under every measure."""
    began, encode = time.perf_counter(), Encoder()
    n, divisions = (QUICK_PART, QUICK_FRESH) if quick else (PART, FRESH)
    documents = Documents.read(encode, QUICK_DOCUMENTS if quick else None)
    others = []
    for seed in range(1, divisions + 1):
        division = Division.of(documents, n, seed)
        others.append(told(Judge(division, mauve=not quick), division.fresh))
    division = Division.of(documents, n, seed=0)
    judge = Judge(division, mauve=not quick)
    fresh = told(judge, division.fresh)
    fakes = {fake.name: told(judge, fake) for fake in attacks(division, documents.rare(), encode)}
    found = {
        "quick": quick, "documents": len(documents.corpus.vectors), "part": n, "divisions": divisions,
        "protocol": fresh["svq"]["protocol"], "fresh": fresh, "fresh_elsewhere": others, "fakes": fakes,
        **judged(fakes, fresh, others), "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip
    sys.stderr.write(markdown(found))
    return found


def judged(fakes: dict[str, dict[str, Any]], fresh: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """Which measure each fake fools, what gives it away, and how often fresh documents are taken for fakes."""
    drawn = {column.key: [each[column.key] for each in others if each[column.key] is not None] for column in COLUMNS}
    fooled = {
        name: [column.key for column in COLUMNS if column.fooled(scores[column.key], drawn[column.key])]
        for name, scores in fakes.items()
    }
    given_away = {name: caught(scores, fresh) for name, scores in fakes.items()}
    alarms = [caught(each, fresh) for each in others]
    return {
        "fooled": fooled,
        "caught": given_away,
        "fresh_told_by": [
            column.key for column in COLUMNS if column.fooled(fresh[column.key], drawn[column.key]) is False
        ],
        "missed": [name for name in fakes if fooled[name] and not any(given_away[name].values())],
        "false_alarms": {
            "of": len(others),
            "svq": sum(bool(alarm["svq"]) for alarm in alarms), "y": sum(bool(alarm["y"]) for alarm in alarms),
        },
    }  # fmt: skip


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="800 documents a part, no MAUVE")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON object on standard output")
    asked = parser.parse_args()
    found = measure(quick=asked.quick)
    if not asked.json:
        print(json.dumps(found, indent=2))
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""``python -m benchmarks.generations [--quick] [--json]``: models trained on their own words, on Reuters.

Two loops. A word-bigram model is trained on 2,275 Reuters documents, writes as many, and the next one is trained on
those, for 8 generations under four policies; perplexity is that of sealed documents. And a bootstrap of real sentence
embeddings (MiniLM, first 64 tokens), the best generator there is without outside knowledge: 300 records a generation,
30 generations, and what Dimensional Mode Collapse and its alarms make of it. The quick form takes one seed of the
first, and 4 runs instead of 16 of the second (rates of loss: 100 instead of 400).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofset.artifacts import locate
from proofset.auditing.readers import read_tab
from proofset.exhibits import Exhibit, divided, encoded
from proofset.measuring.collapse import collapse
from proofset.measuring.text_loops import POLICIES, text_loop
from proofset.measuring.vector_loops import bootstrap_loop, log_rate
from proofset.models.bert import minilm

Floats = NDArray[np.float32]
DOCUMENTS, DRAWS, LAST, TOKENS = 2_275, 300, 30, 64
SHOWN = (0, 1, 2, 4, 6, 8)


def reuters() -> Exhibit:
    """All documents of both files, each text once."""
    texts: dict[str, str] = {}
    for part in ("train", "test"):
        path = locate(f"artifact:reuters-r52/reuters-r52-{part}.tab", Path())
        for row in read_tab(path):
            text, label = str(row.fields["Text"]), str(row.fields["Category"])
            if row.line > 3 and text.strip():
                texts.setdefault(text, label)
    return Exhibit(name="Reuters R52", vectors=None, texts=tuple(texts), slices=tuple(texts.values()))


def words(organic: Exhibit, heldout: Exhibit, seeds: int) -> dict[str, Any]:
    """The bigram loop under every policy."""
    found: dict[str, Any] = {}
    for policy in POLICIES:
        loops = [
            text_loop(organic.texts[:DOCUMENTS], heldout.texts[:DOCUMENTS], policy=policy, generations=8, seed=seed)
            for seed in range(seeds)
        ]
        found[policy] = {
            "perplexity": [round(median(loop.generations[g].perplexity for loop in loops), 1) for g in SHOWN],
            "vocabulary": [round(median(loop.generations[g].vocabulary for loop in loops)) for g in SHOWN],
            "rare_words_alive": [round(median(loop.generations[g].alive[0] for loop in loops), 3) for g in SHOWN],
            "times_as_perplexing": round(median(loop.worsened for loop in loops), 2),
        }
    return {"generations": SHOWN, "documents": DOCUMENTS, "seeds": seeds, **found}


def rates(vectors: Floats, runs: int) -> dict[str, Any]:
    """C-17: rates of loss of the bootstrap loop, against theory."""
    loop = bootstrap_loop(vectors, draws=DRAWS, generations=LAST, runs=runs)
    (trace, trace_error), (log, log_error) = loop.trace_rate, loop.log_rate
    return {
        "runs": runs, "trace_rate": trace, "trace_error": trace_error, "trace_theory": 1 / DRAWS, "log_rate": log,
        "log_error": log_error, "log_theory": log_rate(DRAWS, loop.kurtosis, LAST),
    }  # fmt: skip


def replaced(last: Floats, organic: Floats, rng: np.random.Generator) -> Floats:
    """Samples of samples."""
    return last[rng.integers(len(last), size=DRAWS)]


def anchored(last: Floats, organic: Floats, rng: np.random.Generator) -> Floats:
    """The same with a tenth that is always the same organic records."""
    drawn = last[rng.integers(len(last), size=DRAWS - DRAWS // 10)]
    return np.concatenate([organic[: DRAWS // 10], drawn])


def fresh(last: Floats, organic: Floats, rng: np.random.Generator) -> Floats:
    """New organic records every time: nothing is to be found."""
    return organic[rng.integers(len(organic), size=DRAWS)]


LOOPS: dict[str, Callable[[Floats, Floats, np.random.Generator], Floats]] = {
    "replace": replaced, "fixed anchor 10 %": anchored, "fresh organic": fresh,
}  # fmt: skip


def dimensions(organic: Floats, reference: Floats, runs: int) -> dict[str, Any]:
    """What the collapse measure says of vector loops."""
    found: dict[str, Any] = {}
    for name, loop in LOOPS.items():
        taken = []
        for run in range(runs):
            rng = np.random.default_rng([run, 4])
            generations = [organic[rng.choice(len(organic), DRAWS, replace=False)]]
            while len(generations) <= LAST:
                generations.append(loop(generations[-1], organic, rng))
            taken.append(collapse(reference, generations, encoder="minilm"))
        at = {
            field: [
                round(median(getattr(one.generations[g], field).value or 0.0 for one in taken), 3) for g in (0, 5, 30)
            ]
            for field in ("variance", "rank", "rare", "loss")
        }
        raised = {
            chart: [one.raised for each in taken for one in each.alarms if one.of == chart]
            for chart in ("variance", "rank", "rare modes")
        }
        found[name] = {
            "at_generations": (0, 5, 30), **at, "collapsing": sum(one.collapsing for one in taken), "runs": runs,
            "first_alarm": {chart: [g for g in all_ if g is not None] for chart, all_ in raised.items()},
        }  # fmt: skip
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="the default; the last line is one JSON object")
    quick = parser.parse_args().quick
    organic, heldout = divided(reuters())
    runs = 4 if quick else 16
    found = {"words": words(organic, heldout, 1 if quick else 5)}
    encoder = minilm(max_tokens=TOKENS)
    vectors, reference = (np.asarray(encoded(each, encoder)[0].vectors) for each in (organic, heldout))
    found["rates"] = rates(vectors, 25 * runs)
    found["dimensions"] = dimensions(vectors, reference, runs)
    print(json.dumps({"quick": quick, **found}))


if __name__ == "__main__":
    main()

"""Pilots for the tests of the costing room."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from proofset.costing.pilot import Pilot

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden_economics.json").read_text(encoding="utf-8"))


def golden_pilot(usd: str = "machine_usd") -> Pilot:
    """The worked example, its money spread evenly over its attempts."""
    counts = GOLDEN["cascade"]
    n, accepted, unique = counts["attempts"], counts["accepted"], counts["unique"]
    size, tokens = GOLDEN["accepted_bytes"] // accepted, GOLDEN["accepted_visible_output_tokens"] // accepted

    def first(count: int) -> list[bool]:
        return [place < count for place in range(n)]

    return Pilot(
        seeds=range(n), slices=["all"] * n, usd=[Decimal(GOLDEN["expected"][usd]) / n] * n,
        parsed=first(counts["parsed"]), passed=first(counts["passed"]), unique=first(unique), accepted=first(accepted),
        accepted_bytes=[size * (place < accepted) for place in range(n)],
        output_tokens=[tokens * (place < accepted) for place in range(n)], ideas=[place % unique for place in range(n)],
    )  # fmt: skip


def small(rows: list[tuple[str, str, str, int]], **changed: Any) -> Pilot:
    """Rows of seed, slice, USD and accepted bytes; 0 bytes is an attempt that was not parsed."""
    kept = [size > 0 for *_, size in rows]
    columns: dict[str, Any] = {
        "seeds": [row[0] for row in rows], "slices": [row[1] for row in rows], "usd": [Decimal(row[2]) for row in rows],
        "parsed": kept, "passed": kept, "unique": kept, "accepted": kept, "accepted_bytes": [row[3] for row in rows],
        "output_tokens": [row[3] // 4 for row in rows], "ideas": list(range(len(rows))),
    }  # fmt: skip
    return Pilot(**(columns | changed))


def repeating(documents: int = 60, each: int = 40, variants: int = 60, seed: int = 1, **changed: Any) -> Pilot:
    """A seeded generator that repeats itself; seven in ten candidates pass."""
    rng = np.random.default_rng(seed)
    n = documents * each
    seeds = np.repeat(np.arange(documents), each)
    weights = 1 / np.arange(1, variants + 1)
    ideas = seeds * variants + rng.choice(variants, n, p=weights / weights.sum())
    passed = rng.random(n) < 0.7
    unique, seen = np.zeros(n, dtype=bool), set[int]()
    for place in np.flatnonzero(passed):
        unique[place] = int(ideas[place]) not in seen
        seen.add(int(ideas[place]))
    columns: dict[str, Any] = {
        "seeds": seeds.tolist(), "slices": ["all"] * n, "usd": rng.lognormal(-6, 0.3, n), "parsed": [True] * n,
        "passed": passed.tolist(), "unique": unique.tolist(), "accepted": unique.tolist(),
        "accepted_bytes": np.where(unique, rng.integers(800, 2000, n), 0).tolist(), "output_tokens": [0] * n,
        "ideas": ideas.tolist(),
    }  # fmt: skip
    return Pilot(**(columns | changed))

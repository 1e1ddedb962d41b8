"""``python -m benchmarks.projection [--quick] [--json]``: how often intervals and forecasts hold the known truth.

Two questions. Of 400 simulated pilots, how many 95 % intervals of the cost per TB hold the true one: by seed document,
and by record. Of pilots in four worlds of repetition, how many hold the true cost at 10 and at 100 times the pilot
between P5 and P95. The quick form takes a tenth of the pilots.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.projection import worlds
from benchmarks.projection.worlds import World
from proofset.costing.clusters import cost_per_tb
from proofset.costing.montecarlo import Assumptions
from proofset.costing.projection import Forecast, Projection
from proofset.costing.saturation import Method, NotReached, saturation, spectrum
from proofset.costing.targets import Target

FACTORS = (10, 100)
METHODS_AT = (5, 25, 100, 500)
DRAWS = 1000
TIGHT = Assumptions(length_drift=0.0, price=(1.0, 1.0, 1.0))
"""Nothing but the pilot's own uncertainty and the path of uniqueness: the harder test of the two."""


def interval_coverage(pilots: int, documents: int, each: int, seed: int) -> dict[str, Any]:
    """How many intervals of the cost per TB hold the truth, and how wide they are over it."""
    rng = np.random.default_rng(seed)
    truth = worlds.true_usd_per_tb()
    inside, widths = {"cluster": 0, "record": 0}, {"cluster": 0.0, "record": 0.0}
    for number in range(pilots):
        pilot = worlds.clustered_pilot(documents, each, rng)
        apart = replace(pilot, seeds=range(pilot.attempts))
        for name, drawn in (("cluster", pilot), ("record", apart)):
            found = cost_per_tb(drawn, resamples=1000, seed=number)
            low, high = float(found.low or 0), float(found.high or "inf")
            inside[name] += low <= truth <= high
            widths[name] += (high - low) / truth / pilots
    return {
        "documents": documents, "records_each": each, "pilots": pilots, "true_usd_per_tb": truth,
        "coverage": {name: count / pilots for name, count in inside.items()}, "relative_width": widths,
    }  # fmt: skip


def band_coverage(world: World, pilots: int, draws: int, seed: int) -> dict[str, Any]:
    """How many bands hold the true cost of the ideas that so many times the pilot's candidates bring."""
    rng, found = np.random.default_rng(seed), {str(factor): _Tally() for factor in FACTORS}
    tight = {str(factor): _Tally() for factor in FACTORS}
    for number in range(pilots):
        pilot = worlds.attempts(*world.sample(worlds.PILOT, rng), rng)
        for factor in FACTORS:
            candidates = factor * worlds.PILOT
            target = Target(records=round(world.truth(candidates) * worlds.KEPT))
            truth = candidates / worlds.PASSING * worlds.USD
            for tally, assumptions in ((found, Assumptions()), (tight, TIGHT)):
                answer = Projection(pilot, assumptions=assumptions, draws=draws, seed=number).forecast(target)
                tally[str(factor)].add(answer, truth)
    return {
        "pilots": pilots, "draws": draws,
        "standard": {name: tally.figures() for name, tally in found.items()},
        "tight": {name: tally.figures() for name, tally in tight.items()},
    }  # fmt: skip


class _Tally:
    """Answers counted."""

    def __init__(self) -> None:
        self.ends = list[tuple[float, float, float]]()
        self.linear = list[float]()
        self.unreached = list[float]()
        self.refused = 0

    def add(self, answer: object, truth: float) -> None:
        if not isinstance(answer, Forecast):
            self.refused += 1
            return
        low, middle, high = (
            float(end if end is not None else "inf") for end in (answer.p5_usd, answer.p50_usd, answer.p95_usd)
        )
        self.ends.append((low / truth, middle / truth, high / truth))
        self.linear.append(float(answer.linear_usd) / truth)
        self.unreached.append(answer.unreached_share)

    def figures(self) -> dict[str, Any]:
        """Shares of all pilots; ends are medians over the truth, None where infinite."""
        ends = np.array(self.ends).reshape(-1, 3)
        pilots = len(ends) + self.refused
        middles = [float(np.median(column)) for column in ends.T] if len(ends) else [float("inf")] * 3
        return {
            "coverage": float(((ends[:, 0] <= 1) & (ends[:, 2] >= 1)).sum()) / pilots,
            "too_cheap": float((ends[:, 2] < 1).sum()) / pilots, "too_dear": float((ends[:, 0] > 1).sum()) / pilots,
            "open_above": float(np.isinf(ends[:, 2]).sum()) / pilots, "refused": self.refused / pilots,
            "p5_p50_p95_over_truth": [middle if np.isfinite(middle) else None for middle in middles],
            "linear_over_truth": float(np.median(self.linear)) if self.linear else None,
            "unreached_share": float(np.mean(self.unreached)) if self.unreached else None,
        }  # fmt: skip


def methods(world: World, seed: int) -> dict[str, Any]:
    """Ideas predicted over true ones, by method, at multiples of the pilot; above 1 promises too cheap."""
    ideas, seeds = world.sample(worlds.PILOT, np.random.default_rng(seed))
    found = saturation(spectrum(ideas.tolist(), None if seeds is None else seeds.tolist()))
    ratios = {
        method.value: [found.unique_at(at * worlds.PILOT, method) / world.truth(at * worlds.PILOT) for at in METHODS_AT]
        for method in Method
    }
    needed = found.candidates_for(world.truth(100 * worlds.PILOT))
    return {
        "at": list(METHODS_AT), "predicted_over_true": ratios, "slopes": found.slopes, "chao1": found.chao1,
        "candidates_for_100x_over_true": None if isinstance(needed, NotReached) else needed / (100 * worlds.PILOT),
    }  # fmt: skip


def measure(*, quick: bool) -> dict[str, Any]:
    """Every figure; each part is told on standard error as it ends."""
    pilots, bands = (40, 3) if quick else (400, 24)
    found: dict[str, Any] = {"quick": quick}
    began = time.perf_counter()
    places = (worlds.seeded(), worlds.unseeded(), worlds.fresh(), worlds.nearly_exhausted())
    found["methods"] = {world.name: methods(world, seed=1) for world in places}
    found["intervals"] = [interval_coverage(pilots, documents, 50, seed=2) for documents in (100, 12)]
    sys.stderr.write(json.dumps(found) + "\n")
    found["bands"] = {}
    for world in places:
        found["bands"][world.name] = band_coverage(world, bands, DRAWS, seed=3)
        sys.stderr.write(json.dumps({world.name: found["bands"][world.name]}) + "\n")
    found["seconds"] = round(time.perf_counter() - began, 1)
    return found


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.projection", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the pilots")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON object on standard output")
    asked = parser.parse_args()
    found = measure(quick=asked.quick)
    if not asked.json:
        print(json.dumps(found, indent=2))
    print(json.dumps(found))


if __name__ == "__main__":
    main()

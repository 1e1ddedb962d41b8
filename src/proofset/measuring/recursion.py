"""Recursion: what becomes of data that models make from data that models made.

Every published or derived result on loops as an experiment that runs in about a second: a closed form, a simulation,
and how far apart they may be. They say what a policy must lose, before anybody spends money on finding out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from proofset.errors import InputError
from proofset.measuring.anchored_loops import (
    anchored_runs,
    fixed_anchor,
    fresh_data,
    fresh_runs,
    optimal_weight,
    stability,
)
from proofset.measuring.findings import Curve, Doubles, Finding, Outcome, Trial, curve
from proofset.measuring.gaussian_loops import GENERATION, replace_biased, replace_mle, replace_runs, replace_unbiased
from proofset.measuring.label_loops import relabelled, strong_collapse
from proofset.measuring.pooled_loops import (
    accumulate,
    accumulate_biased,
    accumulate_runs,
    accumulate_subsample,
    subsample_runs,
)
from proofset.measuring.tail_loops import heavy_tail
from proofset.measuring.token_loops import anchored_discrete, replace_discrete
from proofset.measuring.vector_loops import bootstrap_loop, bootstrapped, heavy_cloud
from proofset.measuring.verified_loops import tilted, verified_labels

__all__ = ["EXPERIMENTS", "Curve", "Finding", "Outcome", "conservation", "experiment"]


def experiment(id: str, *, effort: float = 1.0, seed: int = 0) -> Finding:
    """Run one experiment by its id, as ``EXPERIMENTS`` lists them.

    ``effort`` 1 is the stated size; below, there are fewer runs, and tolerances are wider by 1/√effort. Same effort and
    seed, same finding. Raises InputError for an unknown id, an effort not above 0, or a negative seed.
    """
    if id not in EXPERIMENTS:
        raise InputError(f"no experiment {id!r}", hint=f"there are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[id](effort, seed)


def conservation(effort: float, seed: int) -> Finding:
    """C-00: what a loop loses in variance its mean gains in squared shift, to the last digit, in every workflow.

    E tr Σ_g + E|μ_g − μ_0|² = tr Σ_0 for any generator that keeps mean and covariance of what it is trained on,
    whatever is pooled, and direction by direction. Derived. A wrong divisor, a wrong pooling weight or a fit on the
    wrong pool all break it.
    """
    trial = Trial(effort, seed)
    runs = trial.runs(8_000)
    loops = {
        "replace": replace_runs(runs, 20, 30, trial.rng(0, 1)),
        "accumulate": accumulate_runs(runs, 20, 30, trial.rng(0, 2)),
        "accumulate, train on a sample": subsample_runs(trial.runs(3_000), 20, 30, trial.rng(0, 3))[:2],
        "fixed anchor": anchored_runs(runs, 100, 0.1, 30, trial.rng(0, 4)),
        "fresh data": fresh_runs(runs, 100, 0.1, 30, trial.rng(0, 5)),
    }
    totals: dict[str, Doubles] = {name: variances + means**2 for name, (means, variances) in loops.items()}
    cloud = heavy_cloud(500, 16, trial.rng(0, 6))
    drawn = bootstrap_loop(cloud, draws=50, generations=30, runs=trial.runs(1_500), seed=seed)
    whole = drawn.traces[0, 0]
    totals["bootstrap of vectors"] = drawn.traces / whole + drawn.shifts.sum(axis=2) / whole
    return Finding(
        id="C-00",
        title="Conservation: variance lost is shift gained",
        words="Nothing made from data alone adds information: what a loop loses in spread it turns into drift.",
        source="derived; contains the means of C-01, C-04, C-06, C-07, C-08 and C-17",
        runs=runs,
        outcomes=tuple(trial.mean(f"{name}, generation 30", 1.0, total[:, -1]) for name, total in totals.items()),
        curves=tuple(
            curve(
                name,
                range(total.shape[1]),
                np.ones(total.shape[1]),
                total.mean(axis=0),
                labels=(GENERATION, "variance + squared shift"),
            )
            for name, total in totals.items()
        ),
    )


EXPERIMENTS: Mapping[str, Callable[[float, int], Finding]] = MappingProxyType(
    {
        "C-00": conservation,
        "C-01": replace_mle,
        "C-02": replace_unbiased,
        "C-03": replace_biased,
        "C-04": accumulate,
        "C-05": accumulate_biased,
        "C-06": accumulate_subsample,
        "C-07": fixed_anchor,
        "C-08": fresh_data,
        "C-09": relabelled,
        "C-10": strong_collapse,
        "C-11": optimal_weight,
        "C-12": replace_discrete,
        "C-13": anchored_discrete,
        "C-14": heavy_tail,
        "C-15": verified_labels,
        "C-16": tilted,
        "C-17": bootstrapped,
        "C-19": stability,
    }
)
"""Experiments by id, in order: each takes an effort and a seed. C-18 needs real text: see ``text_loops``."""

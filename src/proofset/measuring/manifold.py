"""Manifold: are synthetic records where organic ones are (F), and is there one wherever those are (K)?

Around each reference record of a batch stands a ball that reaches to its k-th nearest other, but not beyond the median
of these distances: an outlier's ball would hold everything (Kynkäänniemi et al. 2019; the clipping as in Clipped
Density and Coverage, 2025). Precision is the share of synthetic records in any ball, coverage the share of balls with
one in it. Both hang on the batch's size, so it is fixed, and both are divided by what fresh organic records get.

Batches share no record, so they are independent: the error of the ratio of their means is that of a ratio of sums.

When they lie: a model that knows true things the reference lacks is punished by F as if it made junk. F rewards
records in the middle of modes. K does not see a mode that has less than one record in a batch.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from proofset.measuring.blocks import Doubles, Floats
from proofset.measuring.neighbours import radii, within
from proofset.measuring.quotient import Estimate, Missing, Taken, least_error, of_every

MOST_BATCHES = 25
FEWEST_BATCHES = 4
SMALLEST_BATCH = 50


def batch_size(n: int, usual: int) -> int:
    """Records in a batch: the usual number, or less so that ``n`` records make four batches; at least 50."""
    return max(min(usual, n // FEWEST_BATCHES), SMALLEST_BATCH)


def fidelity_and_coverage(
    reference: Floats, control: Floats, synthetic: Floats, *, batch: int, neighbours: int
) -> tuple[Taken, Taken]:
    """F = precision of S / precision of C, and K = coverage by S / coverage by C, around the reference.

    Each argument is a uniform sample ``(n, d)`` in random order. A share f of junk gives F ≈ 1 − f. Intervals by t,
    with one degree of freedom less than there are batches.
    """
    smallest = min(len(reference), len(control), len(synthetic))
    count = min(smallest // batch, MOST_BATCHES)
    shares = np.array(
        [
            _shares(*(rows[at : at + batch] for rows in (reference, control, synthetic)), k=neighbours)
            for at in range(0, count * batch, batch)
        ]
    )
    return _fidelity(shares[:, 0], shares[:, 1], count * batch), _coverage(shares[:, 2], shares[:, 3], count * batch)


def _fidelity(ours: Doubles, theirs: Doubles, n: int) -> Taken:
    taken = _ratio("F", ours, theirs, n)
    if isinstance(taken, Missing):
        return taken
    lost = of_every(1 - taken.value, "synthetic records")
    return replace(taken, words=f"{lost} more than of fresh organic ones lie where no organic text is: junk.")


def _coverage(ours: Doubles, theirs: Doubles, n: int) -> Taken:
    taken = _ratio("K", ours, theirs, n)
    if isinstance(taken, Missing):
        return taken
    lost = of_every(1 - taken.value, "places where organic text is")
    return replace(taken, words=f"{lost} are left out that fresh organic records would reach.")


def _shares(reference: Floats, control: Floats, synthetic: Floats, *, k: int) -> tuple[float, float, float, float]:
    """Precision of synthetic and control, coverage by synthetic and control."""
    reach = radii(reference, k)
    reach = np.minimum(reach, np.median(reach))
    ours, theirs = within(reference, reach, synthetic), within(reference, reach, control)
    return (
        float(ours.any(axis=1).mean()), float(theirs.any(axis=1).mean()),
        float(ours.any(axis=0).mean()), float(theirs.any(axis=0).mean()),
    )  # fmt: skip


def _ratio(key: str, ours: Doubles, theirs: Doubles, n: int) -> Taken:
    """Ratio of the means of batches, with the delta method's error; never below what one record more would change."""
    mine, fresh = float(ours.mean()), float(theirs.mean())
    if fresh == 0.0:
        return Missing(key=key, why="fresh organic records are nowhere near the reference")
    residuals = ours - mine / fresh * theirs
    error = max(float(residuals.std(ddof=1)) / math.sqrt(len(ours)), least_error(mine, n))
    return Estimate(key=key, centre=mine / fresh, error=error / fresh, dof=len(ours) - 1, n=n)

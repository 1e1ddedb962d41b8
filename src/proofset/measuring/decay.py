"""Decay: how fast retained shares fall, when half is left, where they settle, and where they will be.

The logarithm of a variance in a loop without memory walks at random: what one generation loses by chance, the next
starts from. A line through the levels takes these errors for independent and is far too sure. The mean *step* has an
honest error (Student's t), and it hangs on the two ends alone.

A corpus that keeps an anchor is pulled back to a plateau. Whether a series walks or is pulled back is a hard question:
on random walks of 10 to 60 generations, the Bayesian information criterion preferred a plateau in 17 % to 49 % of
simulations. So all directions are asked together, each with its own plateau and all with one pull, and the pull
must be stronger than in 99 % of simulated walks without one (after Harris and Tzavalis 1999).

When it lies: a rate assumes that the loop stays as it is. Tails fall as 1/g and not exponentially, so their rate slows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.measuring.blocks import Doubles
from proofset.measuring.quotient import quantile
from proofset.measuring.spread import alive
from proofset.nouns.result import Better, Measure
from proofset.nouns.viability import Decay

Counts = NDArray[np.int64]

FEWEST_STEPS = 5
"""Generations after the first from which a plateau is looked for."""
WALKS = 499
"""Simulated walks that a pull is held against, and simulated loops behind a plateau's interval."""
UNIT = "ratio to organic"
TOO_FEW = "too few steps for an interval"
SURE = 0.01
"""Share of walks without a pull that look as much like a plateau."""
CORRECTIONS = 3
"""Rounds in which the pull's bias is taken off."""
WEAKEST = 0.995
"""Memory of a loop with a plateau, at most."""


def decay(of: str, levels: Sequence[float | None], plateau: Measure | None = None, *, slowing: bool = False) -> Decay:
    """Rate, half-life and plateau of one share over consecutive generations; ``levels`` with a gap give no rate."""
    found = rate(levels, slowing=slowing)
    settled = plateau or _no_plateau("looked for in variance alone, whose loss without an anchor is known to be steady")
    return Decay(of=of, rate=found, half_life=half_life(found), plateau=settled)


def rate(levels: Sequence[float | None], *, slowing: bool = False) -> Measure:
    """κ = −mean Δ ln x over steps from one of the ``levels`` to the next, with the interval of Student's t.

    ``SE = sd(Δ) / √steps``. In a loop of samples of M, a variance loses ``(1 + 1/PR) / M`` a generation, with the
    participation ratio PR of the covariance, and a mean log direction about 2/M. Where the rate is known to be
    ``slowing``, as for rank and tails, sd is taken from the differences of neighbouring steps (von Neumann 1941), since
    around their mean it would take the slowing for noise.

    The value is None below one step and where a level is missing or 0; the interval is None below two steps, or three
    if it slows. When it lies: if levels are not the loop's own state but samples from it, their noise makes the
    interval too wide.
    """
    name, unit = "rate of loss", "per generation"
    steps = len(levels) - 1
    if steps < 1:
        return Measure(name=name, value=None, unit=unit, better=Better.LOWER, note="one generation shows no rate")
    if any(level is None or level <= 0 for level in levels):
        why = "a generation has nothing left, or could not be measured"
        return Measure(name=name, value=None, n=steps, unit=unit, better=Better.LOWER, note=why)
    lost = -np.diff(np.log(np.array(levels, dtype=np.float64)))
    value = float(lost.mean())
    if steps < 2 + slowing:
        return Measure(name=name, value=value, n=steps, unit=unit, better=Better.LOWER, note=TOO_FEW)
    if slowing:
        variance = float((np.diff(lost) ** 2).mean()) / 2
        dof = 2 * (steps - 1) ** 2 / (3 * steps - 4)
    else:
        variance, dof = float(lost.var(ddof=1)), steps - 1.0
    reach = quantile(0.975, dof) * math.sqrt(variance / steps)
    return Measure(
        name=name, value=value, low=value - reach, high=value + reach, n=steps, unit=unit, better=Better.LOWER
    )


def half_life(found: Measure) -> Measure:
    """Generations until half is left, ln 2 / κ, from ln 2 over the upper to ln 2 over the lower end of κ.

    None where the lower end of κ is not above 0, for then no decay is detected. The lower end stands even so: it is how
    long half is left at least. Only this way does the interval cover: given only where decay was detected, it would be
    that of loops which fell fast by chance.
    """
    name, unit = "half-life", "generations"
    if found.value is None or found.low is None or found.high is None:
        why = found.note if found.value is None else f"no decay detected: {TOO_FEW}"
        return Measure(name=name, value=None, n=found.n, unit=unit, better=Better.HIGHER, note=why)
    low = math.log(2) / found.high if found.high > 0 else None
    if found.low <= 0:
        why = "no decay detected" + (f"; half is left after {low:.3g} generations at least" if low else "")
        return Measure(name=name, value=None, low=low, n=found.n, unit=unit, better=Better.HIGHER, note=why)
    return Measure(
        name=name, value=math.log(2) / found.value, low=low, high=math.log(2) / found.low, n=found.n, unit=unit,
        better=Better.HIGHER,
    )  # fmt: skip


# --- plateau -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pull:
    """Least squares of x' on x within directions, of one table or of many ``(b, generations, r)``."""

    free: Doubles
    """Memory without a plateau, ``x' = free · x``: 1 − 1/M for samples of M."""
    memory: Doubles
    """With a plateau in each direction."""
    before: Doubles
    """Mean of x by direction."""
    after: Doubles
    """Mean of x'."""


def plateau(retained: Doubles, weights: Doubles, error: float, seed: int) -> Measure:
    """Where the total variance of a loop settles, if its directions are shown to be pulled back; else None.

    ``retained (generations, r)`` are shares of the organic variance by direction, ``weights (r,)`` the organic
    variances, ``error`` the relative error of their sum. Fits ``x' = (1 − β) x_∞ + β x``, β common and x_∞ by
    direction, and takes off the bias of β in short series. The interval is that of repeated simulations of the fitted
    loop. With an anchor of share α, β is about 1 − α. When it lies: a plateau far off cannot be told from a slow decay.
    """
    steps = len(retained) - 1
    weights = weights / weights.sum()
    if steps < FEWEST_STEPS:
        return _no_plateau(f"looked for from {FEWEST_STEPS + 1} generations on", max(steps, 0))
    moves = (np.diff(retained, axis=0) ** 2).mean(axis=0)
    if not ((retained > 0).all() and (moves > 0).all()):
        return _no_plateau("a direction is lost", steps)
    scale = 1 / moves
    seen = _pull(retained[None], scale)
    free = float(seen.free[0])
    rng = np.random.default_rng([seed, 13])
    walks = _pull(_simulated(retained[0], 0.0, free, _shocks(retained, 0.0, free), steps, rng), scale).memory
    if (np.sum(walks <= seen.memory[0]) + 1) / (WALKS + 1) > SURE:
        return _no_plateau("not shown: the directions walk as if nothing pulled them back", steps)
    value, low, high = _settled(retained, weights, scale, seen, seed)
    if value <= 0:
        return _no_plateau("not above 0", steps)
    reach = quantile(0.975, max(steps - 2, 1)) / quantile(0.975)
    below, above = (math.hypot(reach * far, quantile(0.975) * error * value) for far in (value - low, high - value))
    return Measure(
        name="plateau", value=value, low=max(value - below, 0.0), high=value + above, n=steps, unit=UNIT,
        better=Better.HIGHER,
    )  # fmt: skip


def _no_plateau(why: str, steps: int = 0) -> Measure:
    return Measure(name="plateau", value=None, n=steps, unit=UNIT, better=Better.HIGHER, note=why)


def _pull(tables: Doubles, scale: Doubles) -> _Pull:
    x, y = tables[:, :-1], tables[:, 1:]
    free = (scale * x * y).sum(axis=(1, 2)) / (scale * x * x).sum(axis=(1, 2))
    before, after = x.mean(axis=1), y.mean(axis=1)
    xc, yc = x - before[:, None], y - after[:, None]
    memory = (scale * xc * yc).sum(axis=(1, 2)) / (scale * xc * xc).sum(axis=(1, 2))
    return _Pull(free, memory, before, after)


def _shocks(table: Doubles, towards: Doubles | float, memory: float) -> Doubles:
    """What each step had beyond its expectation, as a share of it, ``(steps, r)``."""
    shocks = table[1:] / np.maximum(towards + memory * table[:-1], 1e-12) - 1
    steps, r = shocks.shape
    return np.asarray((shocks - shocks.mean(axis=0)) * math.sqrt(steps / max(steps - 1 - 1 / r, 1.0)))


def _simulated(
    start: Doubles, towards: Doubles | float, memory: float, shocks: Doubles, steps: int, rng: np.random.Generator
) -> Doubles:
    """``WALKS`` tables ``(walks, steps + 1, r)`` from the same start; a step's shocks keep together over directions."""
    tables = np.empty((WALKS, steps + 1, len(start)))
    tables[:, 0] = start
    picks = rng.integers(0, len(shocks), (WALKS, steps))
    for step in range(steps):
        expected = towards + memory * tables[:, step]
        tables[:, step + 1] = np.maximum(expected * (1 + shocks[picks[:, step]]), 1e-9)
    return tables


def _settled(table: Doubles, weights: Doubles, scale: Doubles, seen: _Pull, seed: int) -> tuple[float, float, float]:
    """Plateau of the weighted sum, and the ends of its basic bootstrap interval."""
    steps, memory, biased = len(table) - 1, float(seen.memory[0]), float(seen.memory[0])
    for number in range(CORRECTIONS + 1):
        towards = seen.after[0] - memory * seen.before[0]
        rng = np.random.default_rng([seed, 14, number])
        again = _pull(_simulated(table[0], towards, memory, _shocks(table, towards, memory), steps, rng), scale)
        bias = float(again.memory.mean()) - memory
        if number < CORRECTIONS:
            memory = min(biased - bias, WEAKEST)
    value = float(weights @ towards) / (1 - memory)
    memories = np.minimum(again.memory - bias, WEAKEST)
    values = (again.after - memories[:, None] * again.before) @ weights / (1 - memories)
    low, high = np.quantile(values - value, [0.025, 0.975])
    return value, value - float(high), value - float(low)


# --- tails and what is to come -------------------------------------------------------------------------------------


def tail_records(modes: Counts, total: int, alive_now: float, n: int) -> float:
    """Organic records that hold as many modes as ``alive_now``: T with alive(T) = alive_now, from 0 to ``n``.

    In a loop of samples of M it is ``M s_g``, about 2 M / g. ``modes (modes,)`` are counts of ``total`` organic ones.
    When it lies: if the loss is not that of sampling, rare modes may be gone that so many records would hold.
    """
    low, high = 0.0, float(n)
    if alive_now >= alive(modes, total, n):
        return high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if alive(modes, total, middle) < alive_now else (low, middle)
    return high


def recent(series: Sequence[float | None]) -> list[float]:
    """The later half of a series, at least two of it, without gaps."""
    there = [one for one in series if one is not None]
    return there[min((len(there) - 1) // 2, max(len(there) - 2, 0)) :]


def ahead(series: Sequence[float | None], horizon: int) -> float | None:
    """Where a share will be ``horizon`` generations on, at the mean rate of its later half; it never rises."""
    late = recent(series)
    if len(late) < 2 or min(late) <= 0:
        return late[-1] if late else None
    step = math.log(late[-1] / late[0]) / (len(late) - 1)
    return late[-1] * math.exp(min(step, 0.0) * horizon)


def tail_ahead(records: Sequence[float | None], horizon: int) -> float | None:
    """Organic records of as much tail ``horizon`` generations on: 1/T grows by what it lately grew by."""
    late = recent(records)
    if not late or late[-1] <= 0:
        return late[-1] if late else None
    if len(late) < 2 or late[0] <= 0:
        return late[-1]
    step = max((1 / late[-1] - 1 / late[0]) / (len(late) - 1), 0.0)
    return 1 / (1 / late[-1] + step * horizon)

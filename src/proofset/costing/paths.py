"""The paths that uniqueness may take after a pilot's end, for many bootstrap pilots at once.

Distances are octaves x: n·2^x candidates. Growth is the binary logarithm of ideas over the ideas at the pilot's end.
Suffix B: one entry per bootstrap pilot; suffix K: one per multiplicity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

OCTAVES = 3
"""Octaves before the pilot's end in which the change of slope is seen."""
HEAPS_FROM, HEAPS_POINTS = 2.0**-OCTAVES, 16
"""The Heaps curve is fitted from this share of the pilot to its end, at so many points even in log candidates."""
FARTHEST = 64.0
"""Octaves beyond which a path is not followed: 2**64 pilots."""
BISECTIONS = 56
"""Halvings of the search for a number of candidates: FARTHEST / 2**56 octaves remain."""


def uniques(multiplicities_K: Floats, ideas_K: Floats, candidates_M: Floats) -> Floats:
    """Expected ideas of shape ``(..., M)`` among ``candidates_M`` drawn without replacement (Hurlbert 1971).

    ``ideas_K`` has shape ``(..., K)``, and ``candidates_M`` ``(M,)`` or ``(..., M)``; each lies between 0 and n.
    """
    from scipy.special import gammaln

    n = (ideas_K * multiplicities_K).sum(axis=-1)[..., None]
    m = np.minimum(candidates_M, n)
    whole = gammaln(n - m + 1) - gammaln(n + 1)
    seen = np.zeros(np.broadcast_shapes(n.shape, m.shape))
    for k, ideas in zip(multiplicities_K, np.moveaxis(ideas_K, -1, 0), strict=True):
        room = n - k - m  # below 0, every draw has the idea; a multiplicity above n belongs to no idea
        missed = gammaln(np.maximum(n - k, 0) + 1) - gammaln(np.maximum(room, 0) + 1) + whole
        seen += ideas[..., None] * np.where(room < 0, 1.0, -np.expm1(np.minimum(missed, 0.0)))
    return seen


@dataclass(frozen=True, slots=True)
class Paths:
    """Three ways on from the end of each of B pilots, and every blend of them."""

    n_B: Floats
    """Candidates."""
    distinct_B: Floats
    """Ideas."""
    singletons_B: Floats
    unseen_B: Floats
    """Ideas that exist and were not seen, at least (Chao 1984, bias-corrected)."""
    beta_B: Floats
    slopes_B_3: Floats
    """Local log-log slopes in the last three octaves, the oldest first."""

    @property
    def change(self) -> Floats:
        """Change of slope from one octave to the next."""
        return (self.slopes_B_3[:, -1] - self.slopes_B_3[:, 0]) / (OCTAVES - 1)

    @property
    def top(self) -> Floats:
        """Growth at which the falling slope comes to 0; infinite where it does not fall."""
        turn = self._turn()
        return np.where(self.change < 0, self._before_turn(np.where(np.isfinite(turn), turn, 0.0)), np.inf)

    def falling(self, octaves_B: Floats) -> Floats:
        """Growth if the slope goes on changing as it did over the last three octaves, within 0 and 1."""
        before = np.minimum(octaves_B, self._turn())
        after = np.where(self.change < 0, 0.0, octaves_B - before)
        return self._before_turn(before) + after

    def heaps(self, octaves_B: Floats) -> Floats:
        """Growth if the slope stays what it was on average over the last three octaves (Heaps 1978)."""
        return self.beta_B * octaves_B

    def inext(self, octaves_B: Floats) -> Floats:
        """Growth to the ceiling of Chao1, S + f₀[1 − (1 − f₁/(n·f₀ + f₁))^m] (Chao et al. 2014)."""
        more = self.n_B * np.expm1(octaves_B * np.log(2))
        share = np.where(
            self.unseen_B > 0, self.singletons_B / (self.n_B * self.unseen_B + self.singletons_B + 1e-300), 0
        )
        grown: Floats = np.log2(1 - self.unseen_B / self.distinct_B * np.expm1(more * np.log1p(-share)))
        return grown

    def growth(self, octaves_B: Floats, blend_B: Floats) -> Floats:
        """Growth on a blend of slopes: 0 is the falling slope, 1 Heaps, −1 iNEXT, where those lie outside.

        −∞ is iNEXT alone.
        """
        inext = self.inext(octaves_B)
        if np.isneginf(blend_B).all():
            return inext
        central = self.falling(octaves_B)
        up = np.maximum(self.heaps(octaves_B) - central, 0.0)
        down = np.minimum(inext - central, 0.0)
        blended: Floats = central + np.maximum(blend_B, 0.0) * up + np.maximum(-blend_B, 0.0) * down
        return blended

    def octaves_for(self, growth_B: Floats, blend_B: Floats) -> Floats:
        """Octaves until the growth (0 or more) is reached; infinite where it is not within ``FARTHEST``."""
        low, high = np.zeros_like(growth_B), np.full_like(growth_B, FARTHEST)
        never = self.growth(high, blend_B) < growth_B
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            short = self.growth(middle, blend_B) < growth_B
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return np.where(never, np.inf, high)

    def _turn(self) -> Floats:
        """Octaves after which the slope stays at 0, or at 1; infinite where it does not change."""
        change, last = self.change, self.slopes_B_3[:, -1]
        bound = np.where(change < 0, 0.0, 1.0)
        steps = np.divide(bound - last, change, out=np.full_like(change, np.inf), where=change != 0)
        return np.maximum(steps - 0.5, 0.0)

    def _before_turn(self, octaves_B: Floats) -> Floats:
        """The integral of a slope that is ``last + change·(x + ½)``: the last octave's slope is that at its middle."""
        change, last = self.change, self.slopes_B_3[:, -1]
        grown: Floats = last * octaves_B + change * octaves_B * (octaves_B + 1) / 2
        return grown


def fitted(multiplicities_K: Floats, ideas_B_K: Floats) -> Paths:
    """The paths of B pilots from their ideas by multiplicity; every pilot has at least one candidate."""
    n_B = ideas_B_K @ multiplicities_K
    distinct_B = ideas_B_K.sum(axis=1)
    octaves = n_B[:, None] / 2.0 ** np.arange(OCTAVES, -1, -1)
    slopes = np.diff(np.log2(uniques(multiplicities_K, ideas_B_K, np.maximum(octaves, 1.0))), axis=1)
    shares = np.geomspace(HEAPS_FROM, 1.0, HEAPS_POINTS)
    at = np.maximum(n_B[:, None] * shares, 1.0)
    curve = np.log(uniques(multiplicities_K, ideas_B_K, at))
    x = np.log(at) - np.log(at).mean(axis=1, keepdims=True)
    f1, f2 = (ideas_B_K[:, multiplicities_K == k].sum(axis=1) for k in (1, 2))
    return Paths(
        n_B=n_B, distinct_B=distinct_B, singletons_B=f1, unseen_B=f1 * np.maximum(f1 - 1, 0) / (2 * (f2 + 1)),
        beta_B=(x * curve).sum(axis=1) / np.maximum((x * x).sum(axis=1), 1e-300), slopes_B_3=slopes,
    )  # fmt: skip

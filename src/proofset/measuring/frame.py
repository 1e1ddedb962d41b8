"""Frame: the directions, kernels and modes that every corpus is looked at through, made once from organic text.

All measures of one study share one frame, so their numbers can be compared, and so that what is kept of a corpus
(``sketch.py``) has a fixed size. It is made from the training set T alone and knows nothing of what is judged.

When it lies: it sees what the encoder sees, and directions in which T has no variance only through the length of the
rest. Modes are k-means clusters, not topics.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring.blocks import (
    Doubles,
    Floats,
    Ids,
    Vectors,
    blocks,
    check,
    gather,
    hashes,
    mix,
    ranks,
    squared_lengths,
)

BANDWIDTHS = np.array([0.25, 0.5, 1.0, 2.0])
"""Kernel widths over the median squared distance of two organic rows."""

PAIRED_ROWS = 2_000
"""Rows whose pairwise distances give the median."""
CLUSTERED_ROWS = 100_000
"""Rows of T that modes are found on, at most."""
SMALL = 5_000
"""Rows up to which k-means starts several times."""
ROUNDS = 30
"""Rounds of k-means, at most."""
FEWEST_ROWS = 10
ROWS_PER_MODE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """What must be equal for two quotients to be comparable; all of it stands in the protocol's ``name``."""

    scale: int = 100
    """n0: organic records whose sampling error a corpus may have."""
    batch: int = 400
    """m: records of a batch in which balls are drawn."""
    neighbours: int = 5
    """k: a ball reaches to the k-th neighbour."""
    modes: int = 100
    """Kc: k-means modes, at most."""
    alive: float = 0.5
    """ρ: share of its organic mass at which a mode counts as whole."""
    budget: float = 0.10
    """τ: organic mass of lost modes at which nothing is left of R."""
    directions: int = 64
    """r: principal directions, at most."""
    energy: float = 0.95
    """Share of the variance of T that the directions hold, if there are enough."""
    features: int = 1024
    """D: random features of the kernel."""
    groups: int = 10
    """G: groups of the jackknife."""
    delta: float = 0.10
    """δ: the quotient is crossed at 1 − δ."""
    reservoir: int = 20_000
    """Rows that are kept of a corpus."""
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            given = getattr(self, field.name)
            if field.name != "seed" and not given > 0:
                raise InputError(f"the constant {field.name} is {given}", hint="every constant must be above 0")
        if self.features % (2 * len(BANDWIDTHS)):
            raise InputError(f"{self.features} features", hint="give a multiple of 8: pairs for four kernel widths")
        if self.modes < 2 or self.groups < 2:
            raise InputError(f"{self.modes} modes and {self.groups} groups", hint="give at least 2 of each")
        if not (self.energy <= 1 and self.delta < 1):
            raise InputError(f"energy {self.energy}, delta {self.delta}", hint="both are shares")

    def name(self, encoder: str) -> str:
        """The protocol under which a number was taken, as ``SVQ-1[minilm;n0=100;m=400;k=5;Kc=100;ρ=.5;τ=.1;r≤64]``.

        The other constants are named where they are not the usual ones.
        """
        usual = type(self)()
        said = [
            encoder,
            f"n0={self.scale}",
            f"m={self.batch}",
            f"k={self.neighbours}",
            f"Kc={self.modes}",
            f"ρ={_short(self.alive)}",
            f"τ={_short(self.budget)}",
            f"r≤{self.directions}",
        ]
        rest = {"energy": "E", "features": "D", "groups": "G", "delta": "δ", "reservoir": "kept", "seed": "seed"}
        changed = [name for name in rest if getattr(self, name) != getattr(usual, name)]
        said += [f"{rest[name]}={_short(getattr(self, name))}" for name in changed]
        return f"SVQ-1[{';'.join(filter(None, said))}]"


def _short(number: float) -> str:
    text = str(number) if isinstance(number, int) else f"{number:.10g}"
    return text[1:] if text.startswith("0.") else text


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """What every corpus is looked at through; made from T alone."""

    constants: Constants
    encoder: str
    mean: Doubles
    """Of T, ``(d,)``."""
    basis: Floats
    """Orthonormal columns ``(d, r)``: the eigenvectors of the covariance of T, the strongest first."""
    variances: Doubles
    """Their eigenvalues ``(r,)``."""
    bandwidths: Doubles
    """b of the four kernels ``exp(−|x−x'|²/2b)``, ``(4,)``."""
    frequencies: Floats
    """Of the random features, ``(d, D/2)``, an equal number for each kernel, drawn from N(0, I/b)."""
    centres: Floats
    """Of the modes, ``(modes, d)``."""
    spread: float
    """Root mean squared distance of rows of T to their nearest centre."""
    id: str
    """Hash of all that made it; sketches of different frames refuse to merge."""

    @classmethod
    def of(cls, train: Vectors, constants: Constants, encoder: str) -> Frame:
        """The frame of ``train (n, d)``. The same but for rounding if rows are permuted, and bit-equal if they are not.

        ``InputError`` for fewer than 10 rows and for vectors that cannot be used.
        """
        if len(train.shape) == 2 and train.shape[0] < FEWEST_ROWS:
            hint = f"modes need {ROWS_PER_MODE} records each, and there are at least two"
            raise InputError(f"train: {train.shape[0]} rows, at least {FEWEST_ROWS} are needed", hint=hint)
        check(train, "train")
        contents = hashes(train)
        chosen = gather(train, _smallest(mix(ranks(contents), constants.seed), CLUSTERED_ROWS))
        mean, covariance = _moments(train)
        variances, basis = _directions(covariance, constants)
        bandwidths = BANDWIDTHS * _median_square(chosen[:PAIRED_ROWS], 2 * float(np.trace(covariance)))
        distinct = len(np.unique(contents))
        modes = max(2, min(constants.modes, distinct // ROWS_PER_MODE))
        centres, spread = _modes(chosen, modes, constants.seed)
        frequencies = _frequencies(bandwidths, train.shape[1], constants)
        identity = _identity(constants, encoder, np.sort(contents), frequencies, centres)
        return cls(
            constants=constants, encoder=encoder, mean=mean, basis=basis, variances=variances, bandwidths=bandwidths,
            frequencies=frequencies, centres=centres, spread=spread, id=identity,
        )  # fmt: skip

    @property
    def width(self) -> int:
        """Columns that vectors must have."""
        return len(self.mean)

    @cached_property
    def _turns(self) -> Doubles:
        return self.frequencies.astype(np.float64)

    @cached_property
    def _axes(self) -> tuple[Doubles, Doubles]:
        """The basis and its Gram matrix, which float32 leaves a little off the identity."""
        basis = self.basis.astype(np.float64)
        return basis, basis.T @ basis

    @cached_property
    def _centres(self) -> tuple[Doubles, Doubles]:
        centred = self.centres - self.mean
        return -2 * centred.T, np.einsum("ij,ij->i", centred, centred)

    def centred(self, block: Floats) -> Doubles:
        """``block (n, d)`` less the mean of T, in float64, so that results do not depend on how rows are split."""
        return block - self.mean

    def coordinates(self, block: Floats) -> Doubles:
        """``(n, r + 1)``: place along each direction, and last the length of the rest, which no direction holds.

        A rest that float32 cannot tell from nothing is 0.
        """
        basis, gram = self._axes
        centred = self.centred(block)
        along = centred @ basis
        squares = np.einsum("ij,ij->i", centred, centred)
        rest = squares - 2 * np.einsum("ij,ij->i", along, along) + np.einsum("ij,ij->i", along @ gram, along)
        rounding = (4 * np.finfo(np.float32).eps) ** 2 * (squares + self.mean @ self.mean)
        return np.column_stack([along, np.sqrt(np.where(rest > rounding, rest, 0.0))])

    def features(self, block: Floats) -> Floats:
        """``(n, D)``: cosines, then sines, of random projections; every row has length 1.

        Inner products of two rows estimate the mean of the four kernels (Rahimi and Recht 2007), with an error of about
        √(2/D).
        """
        angles = (self.centred(block) @ self._turns).astype(np.float32)
        half = angles.shape[1]
        found = np.empty((len(block), 2 * half), dtype=np.float32)
        np.cos(angles, out=found[:, :half])
        np.sin(angles, out=found[:, half:])
        found *= np.float32(1 / np.sqrt(half))
        return found

    def modes(self, block: Floats) -> NDArray[np.intp]:
        """Number of the nearest centre ``(n,)``."""
        across, squares = self._centres
        distances = self.centred(block) @ across
        distances += squares
        return np.asarray(distances.argmin(axis=1), dtype=np.intp)


def _smallest(numbers: Ids, count: int) -> NDArray[np.intp]:
    """Rows with the ``count`` smallest numbers, the smallest first."""
    rows = np.arange(len(numbers)) if count >= len(numbers) else np.argpartition(numbers, count)[:count]
    return rows[np.argsort(numbers[rows])]


def _moments(train: Vectors) -> tuple[Doubles, Doubles]:
    """Mean and unbiased covariance, in float64, summed around the first block's mean."""
    n, width = train.shape
    total, products = np.zeros(width), np.zeros((width, width))
    around = np.zeros(width)
    for start, block in blocks(train):
        if not start:
            around = block.mean(axis=0, dtype=np.float64)
        centred = block - around
        total += centred.sum(axis=0)
        products += centred.T @ centred
    offset = total / n
    covariance = (products - n * np.outer(offset, offset)) / (n - 1)
    return around + offset, (covariance + covariance.T) / 2


def _directions(covariance: Doubles, constants: Constants) -> tuple[Doubles, Floats]:
    """The strongest eigenvalues and their vectors, each turned so that its largest entry is positive."""
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1].clip(min=0.0), vectors[:, ::-1]
    if not values.sum() > 0:
        raise InputError("train: the rows differ by less than float32 can tell", hint="check the encoder")
    held = np.cumsum(values) / values.sum()
    r = min(int(np.searchsorted(held, constants.energy - 1e-12)) + 1, constants.directions, len(values))
    vectors = vectors[:, :r]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(r)])
    return values[:r].copy(), np.ascontiguousarray(vectors * signs, dtype=np.float32)


def _median_square(rows: Floats, otherwise: float) -> float:
    """Median squared distance of two different rows; ``otherwise`` where all are equal."""
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    squares = np.einsum("ij,ij->i", centred, centred)
    distances = (squares[:, None] + squares - 2 * centred @ centred.T)[np.triu_indices(len(rows), 1)]
    different = distances[distances > 1e-12 * squares.max()]
    return float(np.median(different)) if len(different) else otherwise


def _modes(rows: Floats, modes: int, seed: int) -> tuple[Floats, float]:
    """Centres ``(modes, d)`` and root mean squared distance to them: the best of several k-means on few rows.

    Lloyd's algorithm in fixed order, since a library that adds up in the order its threads finish cannot repeat itself
    to the bit. ``rows`` are centred in place.
    """
    middle = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    rows -= middle
    starts = 4 if len(rows) <= SMALL else 1
    found = [_clustered(rows, modes, np.random.default_rng([seed % 2**64, 2, start])) for start in range(starts)]
    centres, spread = min(found, key=lambda one: one[1])
    return centres + middle, spread


def _clustered(rows: Floats, modes: int, rng: np.random.Generator) -> tuple[Floats, float]:
    from sklearn.cluster import kmeans_plusplus

    drawn, _ = kmeans_plusplus(rows[:SMALL], modes, random_state=int(rng.integers(2**31)))
    centres, before = np.unique(drawn, axis=0), np.inf
    for _ in range(ROUNDS):
        sums, counts, error = _lloyd(rows, centres)
        if error > before * (1 - 1e-4):
            break
        filled, before = counts > 0, error
        centres = (sums[filled] / counts[filled, None]).astype(np.float32)
    return centres, float(np.sqrt(before / len(rows)))


def _lloyd(rows: Floats, centres: Floats) -> tuple[Doubles, Doubles, float]:
    """Sums and numbers of the rows nearest to each centre, and their summed squared distances."""
    squares, error = squared_lengths(centres), 0.0
    sums, counts = np.zeros(centres.shape), np.zeros(len(centres))
    across = -2 * centres.T
    for _, block in blocks(rows):
        distances = block @ across
        distances += squares
        labels = distances.argmin(axis=1)
        nearest = distances[np.arange(len(block)), labels].astype(np.float64) + squared_lengths(block)
        error += float(nearest.clip(min=0.0).sum())
        member = (np.arange(len(centres))[:, None] == labels).astype(np.float32)
        sums += member @ block
        counts += member.sum(axis=1)
    return sums, counts, error


def _frequencies(bandwidths: Doubles, width: int, constants: Constants) -> Floats:
    rng = np.random.default_rng([constants.seed % 2**64, 1])
    drawn = rng.standard_normal((width, constants.features // 2))
    return (drawn / np.sqrt(np.repeat(bandwidths, drawn.shape[1] // len(bandwidths)))).astype(np.float32)


def _identity(constants: Constants, encoder: str, contents: Ids, *arrays: Floats) -> str:
    """Of what is bit-equal when rows are permuted: mean and covariance would differ in the last bit."""
    digest = blake2b(repr((constants, encoder)).encode(), digest_size=16)
    digest.update(contents.astype("<u8").tobytes())
    for array in arrays:
        digest.update(array.astype("<f4").tobytes())
    return digest.hexdigest()

"""Sketch: all that the measures need to know of a corpus of any size, in one pass and in fixed memory.

Sketches of parts merge into that of the whole: counts and kept rows exactly, sums to rounding. About 60 MB at 384
columns and usual constants, most of it rows.
"""

from __future__ import annotations

import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring.bands import Bands, Counts, Kept, Reservoir, Sample
from proofset.measuring.blocks import Doubles, Floats, Ids, Vectors, blocks, mix, squared_lengths
from proofset.measuring.blocks import ids as ids_of
from proofset.measuring.frame import Frame

FORMAT = 1
"""Of saved sketches."""
PART = 2048
"""Rows whose features are taken at a time."""
SUMS = ("counts_G", "powers_G", "features_G", "modes_G", "total", "products")


class Sketch:
    """Sums, counts and kept rows of one corpus, seen through one frame."""

    def __init__(self, frame: Frame) -> None:
        constants, d = frame.constants, frame.width
        groups = constants.groups
        self.frame, self.n, self.fourth = frame, 0, 0.0
        """``fourth`` is the sum of |x|⁴."""
        self.counts_G: Counts = np.zeros(groups, dtype=np.int64)
        """Rows by jackknife group: the mixed id modulo G."""
        self.powers_G: Doubles = np.zeros((4, groups, frame.basis.shape[1] + 1))
        """Sums of y, y², y³ and y⁴ of the coordinates, by group."""
        self.features_G: Doubles = np.zeros((groups, constants.features))
        """Sums of the random features, by group."""
        self.modes_G: Counts = np.zeros((groups, len(frame.centres)), dtype=np.int64)
        """Rows by group and mode."""
        self.total: Doubles = np.zeros(d)
        """Sum of x."""
        self.products: Doubles = np.zeros((d, d))
        """Sum of x xᵀ."""
        self._sample = Sample(constants.reservoir, d, groups, constants.seed)
        self._bands = Bands(frame, self._sample)

    @classmethod
    def of(cls, vectors: Vectors, frame: Frame, ids: Ids | None = None, *, start: int = 0) -> Sketch:
        """The sketch of ``vectors (n, d)``.

        Without ``ids`` (n,), rows are numbered by content, so their order does not matter, if ``start`` is 0; a later
        part of a corpus is numbered as it stands, from ``start``. Raises what ``add`` does.
        """
        if len(vectors.shape) != 2:
            raise InputError(f"vectors of shape {vectors.shape}", hint="give an array of shape (rows, columns)")
        n = vectors.shape[0]
        if ids is None:
            ids = np.arange(start, start + n, dtype=np.uint64) if start else ids_of(vectors)
        if len(ids) != n:
            raise InputError(f"{len(ids)} ids for {n} rows", hint="give one to each row")
        found = cls(frame)
        for first, block in blocks(vectors):
            found.add(block, ids[first : first + len(block)])
        return found

    def add(self, block: Floats, ids: Ids) -> None:
        """Rows ``(n, d)`` with ids that no other row of the corpus has.

        ``InputError`` for another width than the frame's, for rows with NaN, infinity or numbers too large to square,
        and for an id that is seen again.
        """
        if block.ndim != 2 or block.shape[1] != self.frame.width or len(ids) != len(block):
            shapes = f"rows of shape {block.shape} with {len(ids)} ids"
            raise InputError(f"{shapes} do not fit {self.frame.width} columns", hint="use the encoder of the frame")
        bad = int((~np.isfinite(squared_lengths(block))).sum())
        if bad:
            raise InputError(f"{bad} rows hold NaN, infinity or numbers too large to square", hint="check the encoder")
        block = np.ascontiguousarray(block, dtype=np.float32)
        self._sample.add(block, ids)
        for low in range(0, len(block), PART):
            self._add(block[low : low + PART], ids[low : low + PART])

    def _add(self, block: Floats, ids: Ids) -> None:
        constants = self.frame.constants
        groups = (mix(ids, constants.seed) % np.uint64(constants.groups)).astype(np.intp)
        member = (np.arange(constants.groups)[:, None] == groups).astype(np.float64)
        self.n += len(block)
        self.counts_G += np.bincount(groups, minlength=constants.groups)
        coordinates = self.frame.coordinates(block)
        power = np.ones_like(coordinates)
        for number in range(len(self.powers_G)):
            power *= coordinates
            self.powers_G[number] += member @ power
        self.features_G += member @ self.frame.features(block).astype(np.float64)
        modes = self.frame.modes(block)
        np.add.at(self.modes_G, (groups, modes), 1)
        self._bands.add(block, modes)
        exact = block.astype(np.float64)
        self.total += exact.sum(axis=0)
        self.products += exact.T @ exact
        self.fourth += float((np.einsum("ij,ij->i", exact, exact) ** 2).sum())

    def merged(self, other: Sketch) -> Sketch:
        """The sketch of all rows of both. ``InputError`` for another frame, and where rows of both have the same id."""
        if other.frame.id != self.frame.id:
            raise InputError("sketches of different frames cannot be merged", hint="make both with one frame")
        found = Sketch(self.frame)
        found.n, found.fourth = self.n + other.n, self.fourth + other.fourth
        for name in SUMS:
            setattr(found, name, getattr(self, name) + getattr(other, name))
        found._sample = self._sample.merged(other._sample)
        found._bands = self._bands.merged(other._bands, found._sample)
        return found

    @property
    def reservoir(self) -> Reservoir:
        """A uniform sample of the rows, in random order."""
        return self._sample.rows()

    @property
    def bands(self) -> Bands:
        """Whole cells of rows, to ask how many rows repeat another one."""
        return self._bands

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file, which appears whole or not at all."""
        kept, sample = self._bands.kept, self.reservoir
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in SUMS}
        arrays |= {f"kept_{field.name}": getattr(kept, field.name) for field in fields(Kept)}
        arrays |= {"format": np.array(FORMAT), "frame": np.array(self.frame.id), "fourth": np.array(self.fourth)}
        arrays |= {"last": np.array(self._bands.last, dtype=np.uint64)}
        arrays |= {"ids": sample.ids, "vectors": sample.vectors}
        path = Path(path)
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        part.replace(path)

    @classmethod
    def load(cls, path: Path, frame: Frame) -> Sketch:
        """Read what ``save`` wrote; ``InputError`` for another frame, and for a file that is no sketch or damaged."""
        try:
            with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if (found_format := int(arrays["format"])) != FORMAT:
                raise InputError(f"{path}: a sketch of format {found_format}", hint="make it again")
            return cls._restored(arrays, frame, path)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: not a whole sketch ({error})", hint="make it again") from error

    @classmethod
    def _restored(cls, arrays: dict[str, NDArray[Any]], frame: Frame, path: Path) -> Sketch:
        if str(arrays["frame"]) != frame.id:
            raise InputError(f"{path}: a sketch of another frame", hint="make it again with this frame")
        found = cls(frame)
        for name in SUMS:
            if arrays[name].shape != getattr(found, name).shape:
                raise InputError(f"{path}: {name} of shape {arrays[name].shape}", hint="make the sketch again")
            setattr(found, name, arrays[name])
        found.n, found.fourth = int(found.counts_G.sum()), float(arrays["fourth"])
        found._sample.restore(arrays["ids"], arrays["vectors"])
        kept = Kept(*(arrays[f"kept_{field.name}"] for field in fields(Kept)))
        found._bands.restore(found.n, int(arrays["last"]), kept)
        return found

"""Blocks: vectors that may not fit into memory, read a few thousand rows at a time.

An array, a memory map and an ``NpyFile`` all serve as ``Vectors``: they tell their shape and hand out row slices. What
is random downstream hangs on the *ids* of rows, which come from their content: the order of a corpus does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Ids: TypeAlias = NDArray[np.uint64]

BLOCK_ROWS = 8192
"""Rows of a block: 12 MiB at 384 columns."""

SHORTEST = 1e-30
"""Squared length at or below which a vector counts as zero: its direction is lost in float32."""


class Vectors(Protocol):
    """Rows of numbers ``(n, d)`` that can be read in slices: arrays, memory maps, ``NpyFile``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        ...

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """The rows of a slice."""
        ...


class NpyFile:
    """A two-dimensional ``.npy`` file of floats, read slice by slice with plain file reads.

    A memory map would count every page it touched as memory of this process; here it stays at one block. Nothing is
    ever unpickled. Raises ``InputError`` for whatever else the file may be, or when it ends too early.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        try:
            with self._path.open("rb") as file:
                self.shape, self.dtype, self._offset = _header(file, self._path)
            size = self._path.stat().st_size
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}", hint="check the path") from error
        needed = self._offset + self.shape[0] * self._row_bytes
        if size < needed:
            raise InputError(f"{path}: cut off, {size} bytes of {needed}", hint="write or copy the file again")

    @property
    def _row_bytes(self) -> int:
        return self.shape[1] * self.dtype.itemsize

    def __len__(self) -> int:
        """How many rows."""
        return self.shape[0]

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """A fresh array with the rows of a slice, in the file's own float type."""
        start, stop, step = rows.indices(self.shape[0])
        if step != 1:
            raise InputError(f"{self._path}: rows are read one after the other, not in steps of {step}")
        count = max(stop - start, 0) * self.shape[1]
        with self._path.open("rb") as file:
            file.seek(self._offset + start * self._row_bytes)
            read = np.fromfile(file, self.dtype, count)
        if read.size < count:
            raise InputError(f"{self._path}: cut off while it was read", hint="leave the file alone until the end")
        return read.reshape(-1, self.shape[1])


def _header(file: BinaryIO, path: Path) -> tuple[tuple[int, int], np.dtype[Any], int]:
    """Shape, float type and where the numbers begin."""
    hint = "write it with numpy.save(path, vectors)"
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(file)
    except (ValueError, TypeError, SyntaxError) as error:
        raise InputError(f"{path}: not a .npy file", hint=hint) from error
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise InputError(f"{path}: holds {dtype} and not float32, float16 or float64", hint="convert it to float32")
    if len(shape) != 2:
        raise InputError(f"{path}: {len(shape)}-dimensional, not rows of vectors", hint=hint)
    if by_columns and min(shape) > 1:
        raise InputError(f"{path}: stored by columns", hint="save numpy.ascontiguousarray(vectors)")
    return (int(shape[0]), int(shape[1])), dtype, file.tell()


class Chosen:
    """Some rows of other vectors, in rising order, read when they are asked for."""

    def __init__(self, vectors: Vectors, rows: NDArray[np.intp]) -> None:
        self._vectors, self._rows = vectors, rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return (len(self._rows), *self._vectors.shape[1:])

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Those of the rows that stand at a slice of their places; what lies between them is read and dropped."""
        chosen = self._rows[rows]
        if not len(chosen):
            return self._vectors[0:0]
        low = int(chosen[0])
        return np.asarray(self._vectors[low : int(chosen[-1]) + 1][chosen - low])


def blocks(vectors: Vectors, rows: int = BLOCK_ROWS) -> Iterator[tuple[int, Floats]]:
    """Number of the first row and the rows, in blocks of at most ``rows``: float32, C-contiguous.

    A block may be a view of the caller's array; do not write to it.
    """
    for start in range(0, vectors.shape[0], rows):
        yield start, _floats(vectors[start : start + rows])


def _floats(rows: NDArray[Any]) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        # what float32 cannot hold becomes infinite, and `check` counts it
        return np.ascontiguousarray(rows, dtype=np.float32)


def gather(vectors: Vectors, rows: NDArray[np.intp]) -> Floats:
    """The chosen ``rows``, in that order, as a fresh float32 array ``(len(rows), d)``.

    One pass; blocks without a chosen row are not read. ``InputError`` for rows that do not exist.
    """
    n, width = vectors.shape
    if len(rows) and (rows.min() < 0 or rows.max() >= n):
        raise InputError(f"rows {rows.min()} to {rows.max()} of {n} do not exist", hint="rows count from 0")
    if isinstance(vectors, np.ndarray) and vectors.dtype == np.float32:
        return _floats(vectors[rows])
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    found = np.empty((len(rows), width), dtype=np.float32)
    for start in range(0, n, BLOCK_ROWS):
        low, high = np.searchsorted(ordered, [start, start + BLOCK_ROWS])
        if low < high:
            block = _floats(vectors[start : start + BLOCK_ROWS])
            found[order[low:high]] = block[ordered[low:high] - start]
    return found


def check(vectors: Vectors, what: str, *, width: int | None = None, fewest: int = 2) -> None:
    """Refuse vectors that no measure can use, in one pass.

    ``InputError`` for anything but rows of real numbers; another ``width``; fewer than ``fewest`` rows; NaN, infinity
    or numbers too large to square in float32; zero vectors; rows that are all equal. ``what`` names the vectors. Single
    columns may be constant.
    """
    _check_shape(vectors, what, width, fewest)
    broken, zero = _Rows(), _Rows()
    first = _floats(vectors[0:1])
    varied = False
    for start, block in blocks(vectors):
        squares = squared_lengths(block)
        finite = np.isfinite(squares)
        broken.add(start, ~finite)
        zero.add(start, squares <= SHORTEST)
        varied = varied or bool((block != first).any())
    n = vectors.shape[0]
    if broken.n:
        what_is = f"{broken.n} of {n} rows hold NaN, infinity or numbers too large to square"
        raise InputError(f"{what}: {what_is}, the first is row {broken.first}", hint="check the encoder")
    if zero.n:
        hint = "leave out texts that the encoder knows no word of"
        raise InputError(f"{what}: {zero.n} of {n} rows are zero vectors, the first is row {zero.first}", hint=hint)
    if n > 1 and not varied:
        raise InputError(f"{what}: all {n} rows are equal", hint="check that the encoder was given the texts")


def _check_shape(vectors: Vectors, what: str, width: int | None, fewest: int) -> None:
    shape = tuple(vectors.shape)
    if len(shape) != 2 or shape[1] == 0:
        raise InputError(
            f"{what}: of shape {shape}, not rows of vectors", hint="give an array of shape (rows, columns)"
        )
    if width is not None and shape[1] != width:
        hint = "encode everything with the same encoder"
        raise InputError(f"{what}: {shape[1]} columns and not {width}", hint=hint)
    if shape[0] < max(fewest, 1):
        raise InputError(f"{what}: {shape[0]} rows, at least {max(fewest, 1)} are needed", hint="give more records")
    kind = vectors[0:1].dtype
    if kind.kind not in "fiub":
        raise InputError(f"{what}: holds {kind} and not real numbers", hint="convert it to float32")


class _Rows:
    """How many rows have a fault, and the first of them."""

    def __init__(self) -> None:
        self.n, self.first = 0, -1

    def add(self, start: int, faulty: NDArray[np.bool_]) -> None:
        count = int(faulty.sum())
        if count and not self.n:
            self.first = start + int(faulty.argmax())
        self.n += count


def squared_lengths(block: Floats) -> Floats:
    """``|x|²`` of each row ``(n,)``; infinite or NaN where it is beyond float32."""
    with np.errstate(all="ignore"):
        squares: Floats = np.einsum("ij,ij->i", block, block)
    return squares


def hashes(vectors: Vectors) -> Ids:
    """A 64-bit hash of each row's content ``(n,)``: equal rows have equal ones, whatever their float type was."""
    found = np.empty(vectors.shape[0], dtype=np.uint64)
    for start, block in blocks(vectors):
        found[start : start + len(block)] = row_hashes(block)
    return found


def row_hashes(block: Floats) -> Ids:
    """Hashes ``(n,)`` of the rows of one block. Minus zero is zero; two different rows collide once in 2⁶⁴ pairs."""
    plain = (block + np.float32(0)).astype("<f4", copy=False)
    width = plain.shape[1] * 4
    content = memoryview(plain.tobytes())
    digests = (
        blake2b(content[at : at + width], digest_size=8).digest() for at in range(0, len(plain) * width, width)
    )  # fmt: skip
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def ids(vectors: Vectors) -> Ids:
    """Numbers ``(n,)`` from 0 to n − 1 that hang on the content alone: the rank of each row's hash.

    A permuted corpus gives every row the same number, save that equal rows may exchange theirs. Every corpus is
    numbered from 0, so parts of one corpus need numbers of their own. One pass, 8 bytes a row.
    """
    return ranks(hashes(vectors))


def ranks(numbers: Ids) -> Ids:
    """Place of each number in sorted order ``(n,)``, from 0; equal ones in the order they stand in."""
    found = np.empty(len(numbers), dtype=np.uint64)
    found[np.argsort(numbers, kind="stable")] = np.arange(len(numbers), dtype=np.uint64)
    return found


def mix(numbers: Ids, seed: int = 0) -> Ids:
    """Each 64-bit number scrambled into another, by ``seed``: different numbers stay different (SplitMix64).

    The rows with the smallest mixed ids are a uniform sample without replacement, however the rows are split.
    """
    with np.errstate(over="ignore"):
        offset = np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64)
        z = np.asarray(numbers, dtype=np.uint64) + offset
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)


def overlap(first: Vectors, second: Vectors) -> NDArray[np.intp]:
    """Row numbers of ``second`` that stand in ``first`` too, number for number: the leak check between two sets."""
    return np.flatnonzero(np.isin(hashes(second), hashes(first)))

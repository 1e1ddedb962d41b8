"""Viability: can synthetic records be told apart from fresh organic ones, in any of eight respects?

The organic records come in three parts, split *before* generation by document, author or time: **train** (T) is all
that the generator may have seen, **reference** (H) is what is measured against, **control** (C) plays the fresh
organic records. Each component is 1 in expectation for fresh organic records, whatever the size, and the quotient
(SVQ) is the weakest of them. "Crossed" means that its 95 % interval lies above 1 − δ: a claim of non-inferiority, for
equality can never be proved.

When it lies: everything is relative to the encoder, so the one that judges should not be the one that steered. Organic
text that has drifted fails too, rightly. It is no claim of privacy. A minimum is strict: look at all components.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring.blocks import Chosen, Floats, Ids, Vectors, blocks, check, gather, hashes, mix, ranks
from proofset.measuring.frame import Constants, Frame
from proofset.measuring.manifold import MOST_BATCHES, batch_size, fidelity_and_coverage
from proofset.measuring.modes import retention
from proofset.measuring.neighbours import nearest
from proofset.measuring.novelty import (
    REPEATED_QUANTILE,
    Repeats,
    authenticity,
    novelty,
    repeats,
    slope,
    threshold,
    uniqueness,
)
from proofset.measuring.parity import Match, dispersion, match
from proofset.measuring.quotient import NAMES, UNIT, Estimate, Missing, Taken, bounds, needed, verdict
from proofset.measuring.sketch import Sketch
from proofset.nouns.result import Better, Measure
from proofset.nouns.viability import Component, Crossing, Viability

FEWEST = 200
"""Records of each kind below which nothing is measured."""
FEWEST_CROSSED = 1_500
"""Records of each kind below which nothing is crossed."""
SCALES = 40
"""Records for each one of n0: with fewer, chance alone moves M."""
QUERIES = 2_500
"""Synthetic records that are asked for their nearest rows of large corpora; of control records half as many."""
DISTANCES = 50_000_000
"""Distances to train that may be taken before queries are that few: up to 5,000 rows, all records can be asked."""
ALL_ROWS = 50_000
"""Synthetic records up to which repetitions are looked for among all of them; above, in bands."""
HONEST = 0.001
"""Share of rows below which an organic row that stands in two parts is taken for a repetition and not for a leak."""


def viability(
    train: Vectors,
    reference: Vectors,
    control: Vectors,
    synthetic: Vectors,
    *,
    encoder: str = "",
    constants: Constants = Constants(),  # noqa: B008  (frozen)
    companion: Component | None = None,
    slice: str = "",
) -> Viability:
    """The quotient of ``synthetic (n_S, d)``, its verdict, and the eight components that it is the weakest of.

    Train, reference and control are cut to equal size at random; ``synthetic`` may be of any size. Where records are
    few, n0 and the batches of F and K are smaller, which the protocol's name and the notes tell. Below 200 records of
    any kind nothing is measured, below 1,500 nothing is crossed. ``companion`` is the marginal training lift Y: crossed
    then needs its lower end above 0 too. Bit-equal for equal input and seed.

    ``InputError`` for vectors that cannot be used (NaN, zero vectors, constant, other widths), and for a leak:
    reference or control rows that stand in train number for number, or control rows in the reference. Below 0.1 % of
    the rows they are taken for texts that people do repeat, with a note.
    """
    given = {"train": train, "reference": reference, "control": control, "synthetic": synthetic}
    for name, vectors in given.items():
        check(vectors, name, width=None if name == "train" else train.shape[1])
    sizes = {name: vectors.shape[0] for name, vectors in given.items()}
    smallest = min(sizes.values())
    fitted = replace(
        constants, scale=max(1, min(constants.scale, smallest // SCALES)), batch=batch_size(smallest, constants.batch)
    )
    if smallest < FEWEST:
        why = f"{smallest} records of a kind are too few, at least {FEWEST} are needed"
        answers = _Answers(components=tuple(Missing(key=key, why=why) for key in NAMES))
        return _said(answers, fitted, encoder, sizes, [why], companion, slice)
    contents = {name: hashes(vectors) for name, vectors in given.items()}
    notes = _leaks(contents)
    n = min(sizes["train"], sizes["reference"], sizes["control"])
    corpora = {
        name: _Corpus.of(vectors, contents[name], sizes[name] if name == "synthetic" else n, constants.seed)
        for name, vectors in given.items()
    }
    frame = Frame.of(corpora["train"].vectors, fitted, encoder)
    answers = _answers(corpora, frame)
    notes += _size_notes(n, sizes, constants, fitted)
    used = {name: corpus.n for name, corpus in corpora.items()}
    return _said(answers, replace(fitted, modes=len(frame.centres)), encoder, used, notes, companion, slice)


@dataclass(frozen=True, eq=False)
class _Corpus:
    """Vectors ``(n, d)``, their ids, and the order of the mixed ids: its first rows are a uniform sample."""

    vectors: Vectors
    ids: Ids
    order: NDArray[np.intp]
    seed: int

    @classmethod
    def of(cls, vectors: Vectors, contents: Ids, n: int, seed: int) -> _Corpus:
        """The ``n`` rows of smallest mixed id, or all of them."""
        if n < len(contents):
            rows = np.sort(np.argsort(mix(ranks(contents), seed))[:n])
            vectors, contents = Chosen(vectors, rows), contents[rows]
        numbers = ranks(contents)
        return cls(vectors, numbers, np.argsort(mix(numbers, seed)), seed)

    @property
    def n(self) -> int:
        """How many rows."""
        return len(self.ids)

    def others(self, count: int) -> tuple[Floats, Floats]:
        """``count`` rows at random, and the distance of each to the nearest other row."""
        rows = self.order[:count]
        queries = gather(self.vectors, rows)
        return queries, nearest(queries, self.vectors, but=rows)[:, 0]

    def sample(self, count: int) -> Floats:
        """``count`` rows at random, in random order; all of them if there are fewer."""
        return gather(self.vectors, self.order[:count])

    def groups(self, count: int) -> NDArray[np.intp]:
        """One of ``count`` groups for each row."""
        return (mix(self.ids, self.seed) % np.uint64(count)).astype(np.intp)

    def modes(self, frame: Frame) -> NDArray[np.int64]:
        """Rows in each mode."""
        counts = np.zeros(len(frame.centres), dtype=np.int64)
        for _, block in blocks(self.vectors):
            counts += np.bincount(frame.modes(block), minlength=len(counts))
        return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """What was taken: the components in the order of their keys, and what follows from M."""

    components: tuple[Taken, ...]
    match: Match | None = None


def _answers(corpora: Mapping[str, _Corpus], frame: Frame) -> _Answers:
    constants = frame.constants
    reference, control, synthetic = (corpora[name] for name in ("reference", "control", "synthetic"))
    ours, theirs = (Sketch.of(one.vectors, frame, one.ids) for one in (synthetic, reference))
    matched = match(ours, theirs, constants.scale)
    rows = MOST_BATCHES * constants.batch
    fidelity, coverage = fidelity_and_coverage(
        reference.sample(rows), control.sample(rows), synthetic.sample(rows),
        batch=constants.batch, neighbours=constants.neighbours,
    )  # fmt: skip
    retained = retention(
        corpora["train"].modes(frame), theirs.modes_G.sum(axis=0), control.modes(frame), ours.modes_G.sum(axis=0),
        alive=constants.alive, budget=constants.budget, seed=constants.seed,
    )  # fmt: skip
    seen = (dispersion(ours, theirs), matched.estimate, fidelity, coverage, retained)
    return _Answers(
        components=(*seen, *_copied(corpora, constants), _repeated(control, synthetic, ours)), match=matched
    )


def _copied(corpora: Mapping[str, _Corpus], constants: Constants) -> tuple[Taken, Taken]:
    """A1 and A2: how near are synthetic and control records to train and reference?"""
    count = _queries(corpora["train"].n, constants)
    organic = [(corpora[name].vectors, corpora[name].groups(constants.groups)) for name in ("train", "reference")]
    to_train, to_reference, *fresh = (
        nearest(queries, vectors, groups=groups, n_groups=constants.groups)
        for queries in (corpora["synthetic"].sample(count), corpora["control"].sample(count // 2))
        for vectors, groups in organic
    )
    sizes = [np.bincount(groups, minlength=constants.groups).astype(np.float64) for _, groups in organic]
    ours, theirs = (
        np.minimum(a.min(axis=1), b.min(axis=1)) for a, b in ((to_train, to_reference), (fresh[0], fresh[1]))
    )
    return authenticity(to_train, to_reference, *sizes), novelty(ours, theirs)


def _queries(n: int, constants: Constants) -> int:
    """How many synthetic records are asked, of ``n`` organic rows each; the reservoir is the most there can be."""
    return min(max(QUERIES, DISTANCES // n), constants.reservoir)


def _repeated(control: _Corpus, synthetic: _Corpus, sketch: Sketch) -> Taken:
    """U: how many records have a near-duplicate among their own?"""
    count = _queries(control.n, sketch.frame.constants) // 2
    rows, fresh = control.others(count)
    limit = threshold(fresh)
    organic = repeats(rows, fresh, limit)
    power = synthetic.n / control.n
    if synthetic.n > ALL_ROWS:
        share, error, seen = sketch.bands.share_repeated(limit)
        ours, moves = Repeats(share=share, variance=error**2, n=seen), power
    else:
        rows, distances = synthetic.others(count)
        ours, moves = repeats(rows, distances, limit), slope(distances, fresh, REPEATED_QUANTILE)
    return uniqueness(ours, organic, moves=moves, n_S=synthetic.n, n_C=control.n)


def _leaks(contents: Mapping[str, Ids]) -> list[str]:
    """Organic rows that stand in two parts: an error where they are many, a note where they are few."""
    notes = []
    for first, second in (("train", "reference"), ("train", "control"), ("reference", "control")):
        rows = np.flatnonzero(np.isin(contents[second], contents[first]))
        if not len(rows):
            continue
        said = f"{len(rows)} of {len(contents[second])} {second} rows stand in {first} too, the first is row {rows[0]}"
        if len(rows) >= HONEST * len(contents[second]):
            hint = "leave out duplicates, then split by document, author or time, and encode again"
            raise InputError(f"a leak: {said}", hint=hint)
        notes.append(f"{said}: taken for texts that people repeat")
    return notes


def _size_notes(n: int, sizes: Mapping[str, int], given: Constants, fitted: Constants) -> list[str]:
    """What small or unequal numbers have changed."""
    smallest = min(sizes.values())
    cut = [f"{name} from {size:,}" for name, size in sizes.items() if name != "synthetic" and size > n]
    notes = [f"cut to {n:,} records at random: {', '.join(cut)}"] if cut else []
    if fitted.scale < given.scale:
        notes.append(f"n0 is {fitted.scale} and not {given.scale}: {smallest:,} records are few")
    if fitted.batch < given.batch:
        notes.append(f"batches of F and K hold {fitted.batch} records and not {given.batch}")
    if smallest < FEWEST_CROSSED:
        notes.append(f"{smallest:,} records are too few to be crossed: {FEWEST_CROSSED:,} of each kind are needed")
    if sizes["synthetic"] != n:
        notes.append(f"U expects {sizes['synthetic']:,} organic records to repeat as {n:,} do, by a Poisson law")
    return notes


def _said(
    answers: _Answers,
    constants: Constants,
    encoder: str,
    sizes: Mapping[str, int],
    notes: list[str],
    companion: Component | None,
    slice: str,
) -> Viability:
    """The result, from what was taken."""
    estimates = [one for one in answers.components if isinstance(one, Estimate)]
    complete = len(estimates) == len(answers.components)
    if estimates:
        notes = notes + [f"{one.key} is missing: {one.why}" for one in answers.components if isinstance(one, Missing)]
    found, line, smallest = bounds(estimates), 1 - constants.delta, min(sizes.values())
    crossed = verdict(found, line, enough=smallest >= FEWEST_CROSSED, complete=complete)
    crossed, further = _with_companion(crossed, companion)
    quotient = Measure(name="SVQ", value=None, n=smallest, unit=UNIT, better=Better.HIGHER, note="; ".join(notes))
    if found is not None:
        quotient = replace(quotient, value=found.value, low=found.low, high=found.high, note="")
    n_S = sizes["synthetic"]
    return Viability(
        protocol=constants.name(encoder), encoder=encoder, quotient=quotient, verdict=crossed, threshold=line,
        weakest=found.weakest if found else "", components=tuple(one.component() for one in answers.components),
        companion=companion, sizes=(sizes["train"], sizes["reference"], sizes["control"], n_S),
        needed=needed(found, line, smallest) if crossed is Crossing.UNDECIDED else None,
        saturation=answers.match.saturation if answers.match else None,
        equivalent=answers.match.equivalent(n_S) if answers.match else None, slice=slice, notes=(*notes, *further),
    )  # fmt: skip


def _with_companion(crossed: Crossing, companion: Component | None) -> tuple[Crossing, list[str]]:
    """Where there is text, crossed needs a training lift above 0 as well."""
    if companion is None or crossed is Crossing.NOT_CROSSED:
        return crossed, []
    low, high = companion.measure.low, companion.measure.high
    if high is not None and high <= 0:
        return Crossing.NOT_CROSSED, ["training on these records does not help: Y is not above 0"]
    if crossed is Crossing.CROSSED and (low is None or low <= 0):
        return Crossing.UNDECIDED, ["it is not shown that training on these records helps: Y may be 0"]
    return crossed, []

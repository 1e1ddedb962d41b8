"""What people would take for the same text: four named baselines, the human sample, and ratios that name theirs.

A ratio to "writing by hand" flatters a generator 3 to 100 times more than one to "curating what exists"; so no ratio
is made here without the name of its baseline and the mark of its weakest source.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import StrEnum

from proofset.costing.prices import PRECISION, rounded
from proofset.errors import InputError
from proofset.stats import wilson

Z_95 = 1.96
"""The two-sided 95 % point of the normal distribution that samples are planned with."""
MINUTES_AN_HOUR, SECONDS_AN_HOUR = 60, 3600
TERABYTE = 10**12


class Mark(StrEnum):
    """How far a figure was checked, from well to not at all."""

    MEASURED = "M"
    """Measured for this project."""
    VERIFIED = "V"
    """Seen in a primary source."""
    SECONDARY = "S"
    """Seen in a secondary source only."""
    RECALLED = "R"
    """Recalled or assumed, and not checked."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a figure comes from."""

    words: str
    mark: Mark

    def __str__(self) -> str:
        return f"{self.words} [{self.mark}]"


def _check(*, above_0: dict[str, Decimal], qa: Decimal) -> None:
    for name, value in above_0.items():
        if not value.is_finite() or value <= 0:
            raise InputError(f"{name} is {value}", hint="give a finite number above 0")
    if not qa.is_finite() or qa < 0:
        raise InputError(f"qa is {qa}", hint="give the share that checking adds, 0 or larger")


def _bytes(n_bytes: int) -> Decimal:
    if n_bytes < 0:
        raise InputError(f"{n_bytes} bytes", hint="give 0 or more")
    return Decimal(n_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """People who write: ``(bytes / bytes_per_word) · usd_per_hour / words_per_hour · (1 + qa)``."""

    usd_per_hour: Decimal
    words_per_hour: Decimal
    bytes_per_word: Decimal = Decimal("6.0")
    """With the space after it; prose of English books and newspapers has 5.2 to 6.4."""
    qa: Decimal = Decimal(0)
    """Checking on top, as a share of the pay."""

    def __post_init__(self) -> None:
        _check(above_0={"usd_per_hour": self.usd_per_hour, "words_per_hour": self.words_per_hour,
                        "bytes_per_word": self.bytes_per_word}, qa=self.qa)  # fmt: skip

    def usd(self, n_bytes: int) -> Decimal:
        """USD for ``n_bytes`` (0 or more) of text."""
        with localcontext(prec=PRECISION):
            words = _bytes(n_bytes) / self.bytes_per_word
            return rounded(words * self.usd_per_hour / self.words_per_hour * (1 + self.qa))


@dataclass(frozen=True, slots=True, kw_only=True)
class Curating:
    """People who read what exists and keep a share of it.

    ``bytes / (bytes_per_document · keep) · seconds / 3600 · usd_per_hour · readers · (1 + qa)``.
    """

    usd_per_hour: Decimal
    bytes_per_document: Decimal
    keep: Decimal
    """Share of the documents that is kept, in (0, 1]."""
    seconds: Decimal
    """For one reading of one document."""
    readers: Decimal = Decimal(1)
    """Who read each document."""
    qa: Decimal = Decimal(0)
    """Checking on top, as a share of the pay."""

    def __post_init__(self) -> None:
        _check(above_0={"usd_per_hour": self.usd_per_hour, "bytes_per_document": self.bytes_per_document,
                        "keep": self.keep, "seconds": self.seconds, "readers": self.readers}, qa=self.qa)  # fmt: skip
        if self.keep > 1:
            raise InputError(f"keep is {self.keep}", hint="it is the share of the documents that is kept, at most 1")

    def hours(self, n_bytes: int) -> Decimal:
        """Hours of reading for ``n_bytes`` (0 or more) of kept text, without checking."""
        with localcontext(prec=PRECISION):
            documents = _bytes(n_bytes) / (self.bytes_per_document * self.keep)
            return documents * self.seconds / SECONDS_AN_HOUR * self.readers

    def usd(self, n_bytes: int) -> Decimal:
        """USD for ``n_bytes`` (0 or more) of kept text."""
        with localcontext(prec=PRECISION):
            return rounded(self.hours(n_bytes) * self.usd_per_hour * (1 + self.qa))


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A named way in which people would make or find the same text; edit it with ``dataclasses.replace``."""

    name: str
    title: str
    work: Writing | Curating
    sources: tuple[Source, ...]

    def __post_init__(self) -> None:
        if not self.sources:
            raise InputError(f"baseline {self.name!r} has no source", hint="say where its figures come from")

    @property
    def mark(self) -> Mark:
        """The mark of its weakest source."""
        order = list(Mark)
        return max((source.mark for source in self.sources), key=order.index)

    @property
    def label(self) -> str:
        """Its title with its mark, as it is shown: no figure from a secondary source goes without."""
        return f"{self.title} [{self.mark}]"

    def usd(self, n_bytes: int) -> Decimal:
        """USD for ``n_bytes`` (0 or more) of text."""
        return self.work.usd(n_bytes)


_WORD_BYTES = Source("6.0 bytes a word, measured on English prose (5.2 to 6.4) for this project", Mark.MEASURED)
_PROSE_SPEED = Source("300 words an hour of polished prose: two writers' blogs", Mark.SECONDARY)

BASELINES: tuple[Baseline, ...] = (
    Baseline(
        name="draft_typing",
        title="typing a draft, 30 words a minute at $15 an hour",
        work=Writing(usd_per_hour=Decimal(15), words_per_hour=Decimal(30 * MINUTES_AN_HOUR)),
        sources=(Source("wage and speed of Kandpal and Raffel 2025, by a summary", Mark.SECONDARY), _WORD_BYTES),
    ),
    Baseline(
        name="polished",
        title="writing polished prose, 300 words an hour at $25 an hour",
        work=Writing(usd_per_hour=Decimal(25), words_per_hour=Decimal(300)),
        sources=(_PROSE_SPEED, Source("$25 an hour for Surge's crowd: Gigazine", Mark.SECONDARY), _WORD_BYTES),
    ),
    Baseline(
        name="expert",
        title="writing by experts, 300 words an hour at $95 an hour",
        work=Writing(usd_per_hour=Decimal(95), words_per_hour=Decimal(300)),
        sources=(
            _PROSE_SPEED,
            Source("$95 an hour, Mercor's average: a summary of the FT, herohunt", Mark.SECONDARY),
            _WORD_BYTES,
        ),
    ),
    Baseline(
        name="curate_existing",
        title="curating existing text, 1 of 10 documents kept at $20 an hour",
        work=Curating(
            usd_per_hour=Decimal(20), bytes_per_document=Decimal(4000), keep=Decimal("0.1"), seconds=Decimal(30),
            qa=Decimal("0.1"),
        ),
        sources=(Source("4 kB a document, 10 % kept, 30 s each, $20 an hour, 10 % checking: assumed", Mark.RECALLED),),
    ),
)  # fmt: skip
"""The four that are shipped, from cheap to dear writing, and the fair comparison last."""


def baseline(name: str) -> Baseline:
    """The shipped baseline of that name. Raises InputError for another name."""
    for known in BASELINES:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in BASELINES)
    raise InputError(f"no baseline is called {name!r}", hint=f"choose one of {names}")


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times dearer people are than the machine, by a named baseline; None where our cost is not known."""

    baseline: Baseline
    times: Decimal | None

    def __str__(self) -> str:
        if self.times is None:
            return f"not known: our cost has no price; against {self.baseline.label}"
        return f"{self.times:,.3g} times cheaper than {self.baseline.label}"


def replacement_ratio(usd_per_tb: Decimal | None, against: Baseline) -> Ratio:
    """What ``against`` takes for 10**12 bytes over what we take. Raises InputError for a cost of 0 or less."""
    if usd_per_tb is None:
        return Ratio(against, None)
    if not usd_per_tb.is_finite() or usd_per_tb <= 0:
        raise InputError(f"{usd_per_tb} USD per TB", hint="a cost that is not known is None; nothing costs 0")
    with localcontext(prec=PRECISION):
        return Ratio(against, against.usd(TERABYTE) / usd_per_tb)


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """A fixed sample that people look at, whatever the volume it speaks for."""

    n: int
    low: float
    high: float
    """Wilson's 95 % interval if the share comes out as expected."""
    usd: Decimal


def fixed_sample(share: float, *, half_width: float, seconds_each: Decimal, usd_per_hour: Decimal) -> SamplePlan:
    """How many records people must judge to know a share expected at ``share`` to ± ``half_width``, and its price.

    n = 1.96² p (1 − p) / d², rounded up; ``share`` and ``half_width`` in (0, 1). It plans with the normal
    approximation and reports with Wilson 1927. It is one price per release, and no percentage of the volume.
    """
    if not (0 < share < 1 and 0 < half_width < 1):
        raise InputError(f"a share of {share} to ± {half_width}", hint="both lie between 0 and 1, without the ends")
    _check(above_0={"seconds_each": seconds_each, "usd_per_hour": usd_per_hour}, qa=Decimal(0))
    n = math.ceil(Z_95**2 * share * (1 - share) / half_width**2)
    low, high = wilson(round(share * n), n)
    with localcontext(prec=PRECISION):
        return SamplePlan(n, low, high, rounded(n * seconds_each * usd_per_hour / SECONDS_AN_HOUR))

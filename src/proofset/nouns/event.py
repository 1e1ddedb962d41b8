"""Events: the lines a run's log may hold. State is never stored; it is a fold of these.

Each class is one ``kind``. A field may be added with a default; a changed meaning needs a lift in ``runs/log.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from proofset.nouns.candidate import Candidate, Stop, Verdict
from proofset.nouns.result import ArmClaim, CostStatement, Gain, Measure, Usage
from proofset.nouns.slice import Deficit
from proofset.nouns.viability import Viability


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The run folder was opened for writing."""

    proofset_version: str
    python_version: str
    platform: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A verb began with this key. Its fold begins here: what the log holds of an earlier key no longer counts."""

    verb: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A verb ended. The same ``key`` again means that there is nothing to do."""

    verb: str
    key: str
    seconds: float
    core_seconds: float
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of the rows: kept for training, sealed as held-out, dropped by reason."""

    rows: int
    organic: int
    held_out: int
    labels: int
    near_copy_groups: int
    dropped: tuple[tuple[str, int], ...]
    earlier: int = 0
    """Synthetic records of earlier generations."""
    generation: int = 0
    """The latest generation among them; 0 when all records are organic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeficitRanked:
    """One slice's place in the order of need."""

    deficit: Deficit


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounded:
    """How much there is to rest a candidate on."""

    passages: int
    facts: int
    slices_with_passage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeMeasured:
    """A judge on trial: what it does with known-good organic records and with planted faults."""

    judge: str
    fault: str
    """The planted fault; "none" for known-good records."""
    rejected: Measure
    """Share rejected: recall for a fault, false alarms for "none"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """The generator answered a brief."""

    candidate: Candidate
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A judge decided on a candidate."""

    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """One attempt was made and this is what it consumed, whatever became of it."""

    usage: Usage
    chain: str = field(default="", compare=False, repr=False)
    """Seal over this line and the seal before it; set when the line is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """A server is left alone for a while, because it only fails."""

    model: str
    seconds: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BriefClosed:
    """A brief is done. ``winner`` names the accepted candidate: closing is the commit."""

    brief_id: str
    slice: str
    number: int
    winner: str | None
    reason: str
    """Why there is no winner; empty when there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceClosed:
    """A slice asks for no more candidates."""

    slice: str
    accepted: int
    quota: int
    stop: Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measure of the synthetic corpus."""

    measure: Measure
    control: Measure
    """The same measure on an organic control of the same size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Whether the synthetic records are viable, over all starved slices or in one of them."""

    viability: Viability


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    """What the run has cost so far."""

    statement: CostStatement


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """An arm was trained with one seed."""

    arm: str
    seed: int
    settings: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """A comparison of two arms on the held-out set."""

    gain: Gain


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What all comparisons of one arm with the baseline together allow to be said."""

    claim: ArmClaim


Event = (
    Opened
    | Started
    | Finished
    | Ingested
    | DeficitRanked
    | Grounded
    | JudgeMeasured
    | Proposed
    | Judged
    | Spent
    | Paused
    | BriefClosed
    | SliceClosed
    | Measured
    | Decided
    | Costed
    | Trained
    | Proved
    | Claimed
)
"""Any line of the log."""

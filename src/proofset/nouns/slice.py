"""Slices of a dataset, and how far each one starves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proofset.nouns.result import Measure


class SliceKind(StrEnum):
    """How membership in a slice is decided."""

    LABEL = "label"


@dataclass(frozen=True, slots=True)
class SliceRule:
    """Who belongs: records whose ``kind`` has this ``value``."""

    kind: SliceKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A named set of organic records given by a rule."""

    name: str
    rule: SliceRule
    record_ids: tuple[str, ...]
    title: str = ""
    """What people call it, when that differs from ``name``."""

    @property
    def n(self) -> int:
        """How many organic training records it holds."""
        return len(self.record_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deficit:
    """How far a slice starves: its error, and the records that would help, each with an interval."""

    slice: str
    title: str
    n: int
    error: Measure
    """Out-of-fold error rate, in [0, 1]; lower is better."""
    expected_error: Measure
    """Error the slice's learning curve promises at ``target_n`` records."""
    needed: Measure
    """Records to add until the learning curve reaches the target error; ``None`` when no amount is shown to do."""
    edge: bool
    """Whether the slice is starved enough to synthesize for."""
    rank: int
    """1 is the most starved."""

"""The units of the adversarial loop: what is asked, what comes back, and what the judges say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proofset.nouns.evidence import Anchor, Evidence

SEEN_ALL = -2
"""``unseen_fold`` of a candidate whose generator saw organic records of every fold: useless for validation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a slice is to get: accepted records asked for, and the most briefs that may be spent on them."""

    slice: str
    label: str
    accepted: int
    max_briefs: int
    companion_of: str = ""
    """The edge slice this one is the confusable neighbour of; empty for an edge slice itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """Everything one generation is told. Equal briefs have equal ids: the unit of work, of resume and of cost."""

    id: str
    slice: str
    label: str
    number: int
    """0, 1, 2 … within the slice; decisions are taken in this order, never in order of arrival."""
    anchors: tuple[Anchor, ...]
    evidence: Evidence
    opening: str
    """Words of an organic record that the candidate continues; empty for a free start."""
    unseen_fold: int
    """The validation fold of organic records that this brief does not show to the generator."""
    seed: int
    prompt: str
    shared_chars: int
    """Leading characters of the prompt that other briefs of the slice share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A proposed record that no judge has seen yet."""

    id: str
    brief_id: str
    slice: str
    text: str
    label: str
    unseen_fold: int
    finish: str
    """Why the generator stopped: "stop"; "length" when it was cut off; "trimmed" when it was, and was cut back."""


class Decision(StrEnum):
    """What a judge wants done with a candidate."""

    ACCEPT = "accept"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One judge's decision. ``reason`` is a code out of a closed list; ``critique`` is for people."""

    judge: str
    candidate_id: str
    decision: Decision
    reason: str = ""
    scores: tuple[tuple[str, float], ...] = ()
    critique: str = ""


class Stop(StrEnum):
    """Why a slice's loop ended; each is an expected end, not an error."""

    QUOTA_MET = "quota met"
    PATIENCE = "patience"
    BRIEFS_SPENT = "briefs spent"
    BUDGET = "budget"
    COLLAPSE = "collapse alarm"

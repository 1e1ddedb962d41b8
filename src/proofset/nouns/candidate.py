"""The units of the adversarial loop: what is asked, what comes back, and what the judges say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proofset.nouns.evidence import Anchor, Evidence
from proofset.nouns.record import Message

FEW_SHOT = "few-shot"
"""The strategy of a brief that shows records of its slice and asks for one more."""

SEEN_ALL = -2
"""``unseen_fold`` of a candidate whose generator saw organic records of every fold: useless for validation."""


class Output(StrEnum):
    """What an accepted candidate is for. What is made for one is never used for another."""

    TRAIN = "train"
    """A training record."""
    EVALUATION = "evaluation"
    """An item of the edge-case evaluation."""
    ADVERSARIAL = "adversarial"
    """An adversarial scenario: the student gets it wrong, and the critic still agrees with the label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What a slice is to get: accepted records asked for, and the most briefs that may be spent on them."""

    slice: str
    label: str
    accepted: int
    max_briefs: int
    companion_of: str = ""
    """The edge slice this one is the confusable neighbour of; empty for an edge slice itself."""
    output: Output = Output.TRAIN


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
    strategy: str = FEW_SHOT
    """How the brief goes about it: one of the names in ``synthesizing/strategies.py``."""
    output: Output = Output.TRAIN
    messages: tuple[Message, ...] = ()
    """Turns to answer, where the kind of task asks in turns; ``prompt`` is then empty."""
    schema: str = ""
    """JSON Schema, as JSON text, of the answer that the kind of task asks for; empty where it is free text."""


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
    content: str = ""
    """The whole of a task that is more than a text, as canonical JSON of its kind; ``text`` is what judges read."""
    strategy: str = FEW_SHOT
    output: Output = Output.TRAIN
    parent: str = ""
    """The candidate that this one revises; empty for a first one."""


class Decision(StrEnum):
    """What a judge wants done with a candidate."""

    ACCEPT = "accept"
    REVISE = "revise"
    """Not as it is, but a revision under the critique may do. Whoever cannot have it revised refuses it."""
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
    evidence: tuple[str, ...] = ()
    """What the decision rests on: ids of copied texts, the label it was taken for, numbers of rules broken."""


class Stop(StrEnum):
    """Why a slice's loop ended; each is an expected end, not an error."""

    QUOTA_MET = "quota met"
    PATIENCE = "patience"
    BRIEFS_SPENT = "briefs spent"
    BUDGET = "budget"
    COLLAPSE = "collapse alarm"
    VIABLE = "viability crossed"
    MARGINAL = "marginal yield too low"

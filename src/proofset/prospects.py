"""What a run promises: more of it, at what price, and against whom. The run is the pilot of what would follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from proofset.config import Study, Synthesize
from proofset.copies import CopyIndex
from proofset.costing.clusters import CostPerTB, cost_per_tb
from proofset.costing.humans import BASELINES, Ratio, replacement_ratio
from proofset.costing.pilot import Pilot
from proofset.costing.projection import Forecast, NotReachable, Projection
from proofset.costing.targets import Target
from proofset.errors import InputError
from proofset.nouns.event import BriefClosed, Proposed, SliceClosed, Spent
from proofset.nouns.result import UsageBasis
from proofset.runs.folder import Run

TERABYTE = 10**12
DUPLICATE, SURPLUS, NO_REPLY = "duplicate", "surplus", "no reply"
"""Reasons of closings that say more than that a judge refused."""
STEPS = (10, 100)
"""Times the run that are forecast where nobody asks for another target."""


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """A run as a pilot, and what follows from it."""

    accepted: int
    accepted_bytes: int
    per_tb: CostPerTB
    """USD per TB of accepted text at the run's own scale."""
    forecasts: tuple[tuple[Target, Forecast | NotReachable], ...]
    ratios: tuple[Ratio, ...]
    """What people would take for a terabyte, over what this takes at the run's own scale: each names its baseline."""
    left_out_usd: Decimal
    """Money of the run that no single brief caused: audit, trial of the judges, measuring. It is in no rate."""


def prospect(
    folder: Path, *, records: int | None = None, accepted_bytes: int | None = None, budget_usd: Decimal | None = None
) -> Prospect:
    """What the run in ``folder`` promises for so many records or bytes in all; 10 and 100 times itself by default.

    Raises InputError for a run that accepted nothing, has calls without a price, or has too few candidates to tell.
    """
    run = Run.read(folder)
    study = Study.parse(run.settings, place=f"{folder}/run.json")
    pilot, left_out = pilot_of(run, study.synthesize)
    target = None
    if records is not None or accepted_bytes is not None:
        target = Target(records=records, accepted_bytes=accepted_bytes)
    return prospect_of(pilot, left_out, study.seed, target=target, budget_usd=budget_usd)


def prospect_of(
    pilot: Pilot, left_out_usd: Decimal, seed: int, *, target: Target | None = None, budget_usd: Decimal | None = None
) -> Prospect:
    """What a pilot promises; 10 and 100 times itself and a terabyte without a target. Raises as ``prospect``."""
    projection, accepted = Projection(pilot, seed=seed), int(pilot.flags("accepted").sum())
    targets = [target] if target is not None else [
        *(Target(records=max(1, accepted * step)) for step in STEPS), Target(accepted_bytes=TERABYTE)
    ]  # fmt: skip
    per_tb = cost_per_tb(pilot, seed=seed)
    return Prospect(
        accepted=accepted,
        accepted_bytes=pilot.total_bytes,
        per_tb=per_tb,
        forecasts=tuple((each, projection.forecast(each, budget_usd)) for each in targets),
        ratios=tuple(replacement_ratio(per_tb.usd if per_tb.usd else None, each) for each in BASELINES),
        left_out_usd=left_out_usd,
    )


@dataclass(slots=True)
class _Attempts:
    """What the log says of each brief."""

    usd: dict[str, Decimal | None] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Brief id to candidate id and text."""
    closed: dict[str, BriefClosed] = field(default_factory=dict)
    quotas: dict[str, int] = field(default_factory=dict)
    other_usd: Decimal = Decimal(0)

    @classmethod
    def of(cls, run: Run, until: float) -> _Attempts:
        """Spending of the whole log, closings of the last walk until so many were accepted."""
        found = cls()
        for event in run.events:
            if isinstance(event, Spent):
                found._spend(event)
            elif isinstance(event, Proposed):
                found.texts[event.candidate.brief_id] = event.candidate.id, event.candidate.text
        for event in run.since("synthesize"):
            if isinstance(event, BriefClosed) and until > 0:
                found.closed[event.brief_id] = event
                until -= event.winner is not None
            elif isinstance(event, SliceClosed):
                found.quotas[event.slice] = event.quota
        return found

    def _spend(self, event: Spent) -> None:
        usage = event.usage
        paid = usage.avoided_usd if usage.basis is UsageBasis.REPLAY else usage.usd
        if not usage.brief_id:
            self.other_usd += paid or Decimal(0)
            return
        before = self.usd.get(usage.brief_id, Decimal(0))
        self.usd[usage.brief_id] = None if before is None or paid is None else before + paid
        if usage.stage == "generate" and usage.outcome == "ok":
            self.tokens[usage.brief_id] = usage.output_tokens - usage.reasoning_tokens


def pilot_of(run: Run, settings: Synthesize, until: float = inf) -> tuple[Pilot, Decimal]:
    """The briefs of a run as a pilot, in brief order, and the money that no brief caused.

    Briefs that share a few-shot prompt stand or fall together, and are one seed. A replay counts at what it cost when
    it was paid for: the next record will not come out of the store. ``until`` so many records were accepted, a run may
    be taken for the pilot of the rest of itself.
    """
    told = _Attempts.of(run, until)
    closings = sorted(told.closed.values(), key=lambda each: (each.slice, each.number))
    if not closings:
        raise InputError(f"{run.folder}: no brief was closed yet", hint="run `proofset synthesize` first")
    indexes: dict[str, CopyIndex] = {}
    rows = [_row(closing, told, settings, indexes) for closing in closings]
    pilot = Pilot(
        seeds=[row.seed for row in rows], slices=[closing.slice for closing in closings],
        usd=[told.usd.get(closing.brief_id, Decimal(0)) for closing in closings],
        parsed=[row.parsed for row in rows], passed=[row.passed for row in rows], unique=[row.unique for row in rows],
        accepted=[row.accepted for row in rows], accepted_bytes=[row.n_bytes for row in rows],
        output_tokens=[row.tokens for row in rows], ideas=[row.idea for row in rows], seeded=False,
    )  # fmt: skip
    return pilot, told.other_usd


class _Row(NamedTuple):
    """One brief, as a pilot wants it."""

    seed: str
    parsed: bool
    passed: bool
    unique: bool
    accepted: bool
    n_bytes: int
    tokens: int
    idea: str


def _row(closing: BriefClosed, told: _Attempts, settings: Synthesize, indexes: dict[str, CopyIndex]) -> _Row:
    own, text = told.texts.get(closing.brief_id, ("", ""))
    index = indexes.setdefault(closing.slice, CopyIndex(settings.gates.copy_similarity))
    kept, copied = closing.winner is not None, closing.reason == DUPLICATE
    passed = kept or copied or closing.reason == SURPLUS
    match = index.match(text) if copied else None
    if passed and not copied:
        index.add(own, text)
    return _Row(
        seed=f"{closing.slice}/{closing.number // _run_length(closing.slice, told, settings)}",
        parsed=bool(own) and closing.reason != NO_REPLY,
        passed=passed,
        unique=passed and not copied,
        accepted=kept,
        n_bytes=len(normalize("NFC", text).encode("utf-8", "surrogatepass")) if kept else 0,
        tokens=told.tokens.get(closing.brief_id, 0) if kept else 0,
        idea=match.key if match is not None else own,
    )


def _run_length(name: str, told: _Attempts, settings: Synthesize) -> int:
    """Briefs of a slice that share a prompt."""
    share = told.quotas.get(name, settings.quota) / settings.quota
    return max(1, -(-max(1, round(settings.max_briefs * share)) // settings.prompts_per_slice))

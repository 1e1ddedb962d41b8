"""How a run was made and how far its findings reach: settings, limits, key figures with what they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from proofset.config import Study
from proofset.nouns.result import UsageBasis
from proofset.reporting.story import Findings
from proofset.reporting.words import DASH, count, line, money, percent, plain, shown
from proofset.stats import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigure:
    """A number for the top of the page, and the line below it that says what it rests on."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as it was used, under its dotted name in the study file."""

    name: str
    value: str
    chosen: bool
    """Whether it differs from the default."""


def key_figures(found: Findings) -> tuple[KeyFigure, ...]:
    """The five numbers a reader should leave with; a dash where the verb has not been done."""
    return (_organic(found), _starved(found), _accepted(found), _price(found), _edge_gain(found))


def _organic(found: Findings) -> KeyFigure:
    sorted_in = found.ingested
    detail = f"{count(sorted_in.held_out)} more sealed as held-out" if sorted_in else "not ingested yet"
    return KeyFigure(label="organic records", value=count(sorted_in.organic) if sorted_in else DASH, detail=detail)


def _starved(found: Findings) -> KeyFigure:
    if not found.deficits:
        return KeyFigure(label="starved slices", value=DASH, detail="not audited yet")
    worst = found.deficits[0]
    detail = (
        f"of {len(found.deficits)}; first in need: {line(worst.title or worst.slice, 40)}, n\u00a0=\u00a0{worst.n:,}"
    )
    return KeyFigure(label="starved slices", value=count(len(found.edges)), detail=detail)


def _accepted(found: Findings) -> KeyFigure:
    made = found.synthesis
    if made is None or not made.proposed:
        return KeyFigure(label="accepted of proposed", value=DASH, detail="nothing proposed yet")
    low, high = wilson(made.accepted, made.proposed)
    rate = f"{percent(made.accepted / made.proposed)} ({percent(low)} to {percent(high)})"
    return KeyFigure(label="accepted of proposed", value=f"{made.accepted:,} / {made.proposed:,}", detail=rate)


def _price(found: Findings) -> KeyFigure:
    cost = found.cost
    if cost is None:
        return KeyFigure(label="per accepted record", value=DASH, detail="not costed yet")
    detail = f"{money(cost.total_usd)} in all"
    if cost.unpriced_calls:
        detail += f", {cost.unpriced_calls:,} calls unpriced"
    elif {basis for engine in found.spending.engines for basis in engine.bases} == {UsageBasis.IMPUTED}:
        detail += ", imputed from core-hours"
    return KeyFigure(label="per accepted record", value=money(cost.usd_per_accepted), detail=detail)


def _edge_gain(found: Findings) -> KeyFigure:
    lead = found.lead
    if lead is None or lead.edge is None:
        return KeyFigure(label="points on starved slices, at equal rest", value=DASH, detail="not proved yet")
    gain = shown(lead.edge.difference, "points")
    detail = "; ".join(part for part in (gain.interval, gain.n, f"arm “{line(lead.title, 40)}”") if part)
    return KeyFigure(label="points on starved slices, at equal rest", value=gain.value, detail=detail)


def settings(study: Study) -> tuple[Setting, ...]:
    """Every setting of the study, in the order of the file, with what was changed marked."""
    return tuple(_flattened(study, ""))


def _flattened(section: BaseModel, prefix: str) -> Iterator[Setting]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _flattened(value, f"{prefix}{name}.")
            continue
        default = field.get_default(call_default_factory=True, validated_data={})
        yield Setting(name=prefix + name, value=_written(value), chosen=value != default)


def _written(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{plain(str(key))} = {_written(each)}" for key, each in value.items()) or "none"
    if isinstance(value, tuple):
        return ", ".join(_written(each) for each in value) or "none"
    return DASH if value is None or value == "" else plain(str(value))


def limits(found: Findings, study: Study) -> tuple[str, ...]:
    """What this page does not show, said plainly; only the limits that apply to this run."""
    told = [
        "Intervals are 95 % intervals, each for its own number. They are not adjusted for the number of comparisons: "
        "of twenty rows without any true effect, about one looks like one."
    ]
    if found.deficits:
        told.append(
            "Records needed are extrapolated along a learning curve whose slope all slices share. They are an order of "
            "magnitude, not a purchase order."
        )
    if study.ingest.keep:
        kept = ", ".join(f"{plain(label)}: {most:,}" for label, most in study.ingest.keep.items())
        told.append(
            f"The starvation is simulated: training records were withheld on purpose ({kept}). Whether the same gain "
            "appears where data are truly rare is not shown here."
        )
    if found.trial:
        told.append(
            "Judges are tried on planted faults. A fault that nobody thought of planting is not in their recall."
        )
    if found.pairs:
        told.append(
            "Viability is measured on embeddings of the texts. What the encoder does not see, the measures do not see."
        )
    if found.cost:
        told.append(
            "The cost covers model calls and processor time as stated under “basis”; not people's time, and not the "
            "machine while it was idle."
        )
    if found.proof:
        told.append(
            f"Arms were trained with {found.proof.seeds} seed{'' if found.proof.seeds == 1 else 's'} by the "
            f"“{plain(study.train.trainer)}” trainer and scored on held-out records of the same source. Nothing is "
            "shown for another model, another source or a later time."
        )
    return tuple(told)

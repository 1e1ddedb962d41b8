"""Viability, collapse and known answers in words: what the page, the figures and the terminal say alike.

A ratio is shown to two decimals, and to more where two would put it on the wrong side of the threshold it is held
against.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from proofset.nouns.result import Measure
from proofset.nouns.viability import Collapse, Component, Crossing, Decay, Generation, Viability
from proofset.reporting.words import DASH, MINUS, count, finite, line, number

if TYPE_CHECKING:
    from proofset.measuring.findings import Finding

MARKS = {Crossing.CROSSED: "▲", Crossing.NOT_CROSSED: "▼", Crossing.UNDECIDED: "○"}
"""A shape for each verdict, so that none rests on colour alone."""
SHARES = (("variance", "A"), ("rank", "ER"), ("rare", "TS"), ("vendi", "V2"), ("loss", "DMC"))
"""Fields of a Generation and the short names of what they hold."""
TITLES = {"variance": "variance", "rank": "effective rank", "rare": "rare modes", "vendi": "Vendi score"}
"""The retained shares in words, by field."""
OF = {"variance": "variance", "rank": "rank", "rare": "rare modes"}
"""What a Decay and an Alarm call the shares, by field."""
_MOST_DECIMALS = 4
_PLAIN_ABOVE = 10.0
_PICTURE = "As a picture of the organic distribution"
_SIGNATURES = {
    "sampling": "Every direction loses alike{p}: this is the loss of sampling, which larger batches and organic "
                "records that stay in the pool hold up.",
    "decoder": "Directions lose unequally{p}: the decoder or the model prefers some of them, so act on temperature "
               "and prompts before the number of records.",
}  # fmt: skip


def ratio(value: float | None, beside: float | None = None) -> str:
    """A ratio to two decimals, or as many as show on which side of ``beside`` it lies; three figures from 10 on."""
    if (known := finite(value)) is None:
        return DASH
    if abs(known) >= _PLAIN_ABOVE:
        return number(known)
    digits = 2
    while digits < _MOST_DECIMALS and beside is not None and _hides(known, beside, digits):
        digits += 1
    return f"{round(known, digits) + 0.0:.{digits}f}".replace("-", MINUS)


def _hides(value: float, beside: float, digits: int) -> bool:
    """Whether rounding puts a value onto what it only lies near, or beyond it."""
    rounded = round(value, digits)
    return value != beside and (rounded == beside or (rounded < beside) != (value < beside))


def bounds(measure: Measure, beside: float | None = None) -> str:
    """The interval, "0.77 to 0.82"; open where one side is unknown, empty where both are."""
    low, high = finite(measure.low), finite(measure.high)
    if low is None and high is None:
        return ""
    if low is None:
        return f"at most {ratio(high, beside)}"
    if high is None:
        return f"{ratio(low, beside)} or more"
    return f"{ratio(low, beside)} to {ratio(high, beside)}"


def reading(measure: Measure, beside: float | None = None) -> str:
    """Value and interval, "0.80 (0.77 to 0.82)"."""
    inside = bounds(measure, beside)
    return ratio(measure.value, beside) + (f" ({inside})" if inside else "")


def _bracketed(measure: Measure, beside: float | None = None) -> str:
    """Value and interval as a headline has them, "0.80 [0.77, 0.82]"."""
    low, high = finite(measure.low), finite(measure.high)
    value = ratio(measure.value, beside)
    return value if low is None or high is None else f"{value} [{ratio(low, beside)}, {ratio(high, beside)}]"


# --- viability -----------------------------------------------------------------------------------------------------


def named(found: Viability, key: str) -> str:
    """The name of a component in words; its key where it has none."""
    everything = (*found.components, *([found.companion] if found.companion else []))
    return next((line(each.measure.name) for each in everything if each.key == key), key) or key


def headline(found: Viability) -> str:
    """The verdict in one line: "NOT CROSSED: SVQ 0.80 [0.77, 0.82] against 0.90; weakest: authenticity"."""
    start = f"{line(found.slice, 60)}: " if found.slice else ""
    return f"{start}{found.verdict.upper()}: {grounds(found)}"


def grounds(found: Viability) -> str:
    """What the verdict rests on, without the verdict."""
    if finite(found.quotient.value) is None:
        why = line(found.quotient.note)
        return "the SVQ could not be taken" + (f": {why}" if why else "")
    told = f"SVQ {_bracketed(found.quotient, found.threshold)} against {ratio(found.threshold)}"
    if found.weakest:
        told += f"; weakest: {named(found, found.weakest)}"
    if found.verdict is Crossing.UNDECIDED and found.needed:
        told += f"; about {count(float(found.needed))} synthetic records would decide it"
    return told


def weakest_first(found: Sequence[Viability]) -> list[Viability]:
    """The slices from the lowest quotient to the highest, those without one after them, and the overall one last."""
    return sorted(found, key=lambda each: (not each.slice, _rank(each.quotient), each.slice))


def _rank(measure: Measure) -> float:
    known = finite(measure.value)
    return math.inf if known is None else known


def leading(found: Sequence[Viability]) -> Viability | None:
    """The one that speaks for all: the overall one, else the weakest slice; None where there is nothing."""
    ranked = weakest_first(found)
    return next((each for each in ranked if not each.slice), ranked[0] if ranked else None)


def standing(component: Component, threshold: float) -> Crossing | None:
    """Where one component lies by itself against a threshold; None where it was not taken."""
    low, high = finite(component.measure.low), finite(component.measure.high)
    if finite(component.measure.value) is None:
        return None
    if low is not None and low >= threshold:
        return Crossing.CROSSED
    return Crossing.NOT_CROSSED if high is not None and high < threshold else Crossing.UNDECIDED


def worth(found: Viability) -> list[str]:
    """What these records and more of them can be worth, in sentences; empty where neither is known."""
    most, now, n = rough(found.saturation), rough(found.equivalent), found.sizes[3]
    if now is None:
        return [] if most is None else [f"{_PICTURE}, no amount of this synthetic text is worth more than about "
                                        f"{count(most)} organic records."]  # fmt: skip
    end = "no end is seen to what more of them would be worth" if most is None else (
        f"no amount of them is worth more than about {count(most)}")  # fmt: skip
    return [f"{_PICTURE}, these {count(n)} synthetic records are worth about {count(now)} organic ones; {end}."]


def rough(records: float | None) -> float | None:
    """An estimated number of records to three figures, which is more than it has."""
    known = finite(records)
    return None if known is None else float(f"{known:.3g}")


def sizes(found: Viability) -> str:
    """How many records went in, in words."""
    names = ("train", "reference", "control", "synthetic")
    return " · ".join(f"{name} {count(n)}" for name, n in zip(names, found.sizes, strict=True))


# --- collapse ------------------------------------------------------------------------------------------------------


def collapse_headline(found: Collapse) -> str:
    """The collapse in one line: "COLLAPSING: DMC 0.71 [0.65, 0.76] at generation 5; rare modes lead; …"."""
    return f"{'COLLAPSING' if found.collapsing else 'NO COLLAPSE SHOWN'}: {collapse_grounds(found)}"


def collapse_grounds(found: Collapse) -> str:
    """What that rests on."""
    if not found.generations:
        return "no generation was measured"
    last = found.generations[-1]
    if finite(last.loss.value) is None:
        note = line(last.loss.note)
        return f"the DMC of generation {last.number} could not be taken" + (f": {note}" if note else "")
    told = f"DMC {_bracketed(last.loss)} at generation {last.number}"
    if last.leads:
        told += f"; {line(last.leads)} lost most"
    if finite(found.projected.value) is not None:
        told += f"; {_bracketed(found.projected)} at the planning horizon, as things go"
    return told


def alarms(found: Collapse) -> str:
    """Which charts have raised an alarm, and when, in one sentence."""
    silent = [line(each.of) for each in found.alarms if each.raised is None]
    told = [f"{listed(names)} at generation {number}" for number, names in raised(found)]
    if not told:
        return f"No alarm: {listed(silent)} stay silent." if silent else ""
    return f"Alarm: {listed(told)}" + (f"; silent: {listed(silent)}." if silent else ".")


def raised(found: Collapse) -> list[tuple[int, list[str]]]:
    """Generations in which an alarm was raised, in order, each with the charts that raised it."""
    when: dict[int, list[str]] = {}
    for each in found.alarms:
        if each.raised is not None:
            when.setdefault(each.raised, []).append(line(each.of))
    return sorted(when.items())


def listed(parts: Sequence[str]) -> str:
    """A list in prose: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def half_life(decay: Decay | None) -> str:
    """How long until half is left, in generations; why not, where that is not known."""
    if decay is None:
        return ""
    if finite(decay.half_life.value) is None:
        return line(decay.half_life.note) or "no decay detected"
    low, high = finite(decay.half_life.low), finite(decay.half_life.high)
    told = f"{_span(decay.half_life.value)} generations"
    if low is not None and high is not None:
        return f"{told} ({_span(low)} to {_span(high)})"
    return f"{told} ({_span(low)} or more)" if low is not None else told


def _span(generations: float | None) -> str:
    """A number of generations, to one decimal below ten."""
    known = finite(generations)
    return DASH if known is None else f"{known:.1f}" if known < _PLAIN_ABOVE else count(known)


def lost_share(decay: Decay) -> Measure:
    """What a decay takes of what is there in one generation: 1 − exp(−κ), with its interval."""
    ends = (decay.rate.value, decay.rate.low, decay.rate.high)
    value, low, high = (None if (known := finite(end)) is None else -math.expm1(-known) for end in ends)
    return dataclasses.replace(decay.rate, value=value, low=low, high=high, unit="share")


def plateaus(found: Collapse) -> list[str]:
    """Where the shares settle that do not decay without end, in sentences."""
    settled = [each for each in found.decays if finite(each.plateau.value) is not None]
    return [f"{_capital(line(each.of))} settles at {reading(each.plateau)}." for each in settled]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def decay_of(found: Collapse, field: str) -> Decay | None:
    """The decay of a retained share, by the field of a Generation that holds it."""
    return next((each for each in found.decays if each.of == OF.get(field)), None)


def signature(found: Collapse) -> list[str]:
    """What the loss looks like and what is left of the tail, in sentences; empty where nothing is known."""
    told, p = [], finite(found.signature_p)
    if found.signature:
        inside = "" if p is None else f" (p {'< 0.001' if p < 0.001 else f'= {number(p)}'})"
        words = _SIGNATURES.get(found.signature, f"{line(found.signature)}{{p}}.")
        told.append(words.replace("{p}", inside))
    if (left := finite(found.tail_records)) is not None:
        told.append(f"Of the tail, the last generation carries as much as {count(left)} organic records.")
    return told


def spaced(generations: Sequence[Generation], most: int) -> list[Generation]:
    """At most so many of them, evenly spaced, the first and the last among them."""
    if len(generations) <= most:
        return list(generations)
    return [generations[round(place * (len(generations) - 1) / (most - 1))] for place in range(most)]


# --- known answers -------------------------------------------------------------------------------------------------


def findings_headline(found: Sequence[Finding]) -> str:
    """How many experiments agree with their closed forms, in one line; those that do not are named."""
    failed = [each for each in found if not each.holds]
    if not failed:
        return f"All {count(len(found))} experiments agree with theory" if len(found) != 1 else (
            "The experiment agrees with theory")  # fmt: skip
    names, verb = ", ".join(line(each.id) for each in failed), "disagrees" if len(failed) == 1 else "disagree"
    return f"{count(len(failed))} of {count(len(found))} experiments {verb} with theory: {names}"

"""What the figures of a trial come to: how clean the accepted records will be, and which judges are not to be trusted.

A judge keeps a share phi of the good records and a share psi of the faulty ones. What it accepts can be learned from
as long as fewer than p* = phi / (phi + psi) of the candidates are faulty (Feng et al. 2024): above, the accepted
records hold more faulty ones than good ones, and teach the fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import hypot

from proofset.errors import InputError
from proofset.nouns.event import JudgeMeasured
from proofset.nouns.result import Better, Measure
from proofset.stats import wilson
from proofset.synthesizing.calibration import CASCADE, CONTRADICTS, meant_for
from proofset.synthesizing.faults import FAULTS, GOOD

REFUSES_ALL = 0.5
"""Share of good records, by the lower bound, from which a judge is said to refuse whatever it sees."""
ACCEPTS_ALL = 0.05
"""Share of its own faults, by the upper bound, below which a judge is said to accept whatever it sees."""
TELLS_APART = 0.15
"""How much more of the fault it was tried on most, and of all its faults together, than of good records, a judge must
refuse by the upper bound.

One that was shown to refuse any of its faults more often than good records is of use, whatever it does with the others.
"""
UNSTEADY = 0.1
"""Share of good records that were decided differently the second time, by the lower bound, from which a judge is said
to contradict itself."""


def break_even_noise(phi: float, psi: float) -> float | None:
    """p* = φ / (φ + ψ), in [0, 1]: the share of faulty candidates below which the accepted ones can be learned from.

    ``phi`` is the share of good records that the judge keeps, ``psi`` that of faulty ones; φ (1 − p) > ψ p exactly
    when p < p*. One half for a judge that cannot tell them apart, 1 for one that keeps nothing faulty; None for one
    that keeps nothing at all. Raises InputError for what is no share.

    When it lies: it takes faults to be as hard to see whatever their number, and labels to be wrong at random; faults
    that follow from the text do harm long before.
    """
    _shares(phi=phi, psi=psi)
    return phi / (phi + psi) if phi + psi > 0 else None


def precision_at(share_of_faults: float, recall: float, false_alarm: float) -> float | None:
    """Share of the accepted candidates that are good, in [0, 1], where ``share_of_faults`` of all candidates are not.

    (1 − p)(1 − f) / ((1 − p)(1 − f) + p (1 − r)), with p the share of faults, r the ``recall`` on them and f the
    share of good ones refused. None where nothing is accepted. Raises InputError for what is no share.

    When it lies: r is that of one planted fault; among what a generator makes wrong there are others.
    """
    _shares(share_of_faults=share_of_faults, recall=recall, false_alarm=false_alarm)
    good = (1 - share_of_faults) * (1 - false_alarm)
    accepted = good + share_of_faults * (1 - recall)
    return good / accepted if accepted > 0 else None


def break_even(good: Measure, fault: Measure) -> Measure:
    """``break_even_noise`` of a judge, from the shares it rejected of good records and of a fault.

    The interval goes from the worst to the best that the two Wilson intervals allow, so it covers more than 95 %.
    """
    if good.value is None or fault.value is None:
        return _measure("break-even noise", (None, None, None), good, fault)
    (phi, phi_low, phi_high), (psi, psi_low, psi_high) = _kept(good), _kept(fault)
    found = (break_even_noise(phi, psi), break_even_noise(phi_low, psi_high), break_even_noise(phi_high, psi_low))
    return _measure("break-even noise", found, good, fault)


def precision(share_of_faults: float, good: Measure, fault: Measure) -> Measure:
    """``precision_at`` of a judge, from the shares it rejected; the interval is the worst and the best case again."""
    if good.value is None or fault.value is None:
        return _measure("precision", (None, None, None), good, fault)
    (phi, phi_low, phi_high), (psi, psi_low, psi_high) = _kept(good), _kept(fault)
    pairs = ((psi, phi), (psi_high, phi_low), (psi_low, phi_high))
    value, low, high = (precision_at(share_of_faults, 1 - faulty, 1 - kept) for faulty, kept in pairs)
    return _measure("precision", (value, low, high), good, fault)


def verdict_on(measured: Iterable[JudgeMeasured], floors: Mapping[tuple[str, str], float]) -> list[str]:
    """A sentence for each judge that is below its floor, or that decides without regard to what it is shown.

    ``floors`` gives the share of a fault that a judge must refuse, by the lower bound, for (judge, fault); one of 0
    asks for nothing. Judges are also named that refuse most good records, that accept all faults they are there for,
    that refuse hardly more of these than of good records (``TELLS_APART``), and that contradict themselves when asked
    twice (``UNSTEADY``). An empty list is a clean bill of health. Raises InputError for a floor under what has none:
    good records, and a fault that is not planted.
    """
    tried = {(each.judge, each.fault): each.rejected for each in measured}
    found = [_below(judge, fault, floor, tried.get((judge, fault))) for (judge, fault), floor in floors.items()]
    found += [_degenerate(judge, tried) for judge in dict.fromkeys(judge for judge, _ in tried)]
    found += [_unsteady(judge, measure) for (judge, fault), measure in tried.items() if fault == CONTRADICTS]
    return [sentence for sentence in found if sentence]


def _below(judge: str, fault: str, floor: float, measure: Measure | None) -> str:
    if fault == GOOD or fault not in FAULTS:
        raise InputError(f"no floor can be set under {fault!r}", hint="name one of the planted faults")
    words = FAULTS[fault].words
    if not floor or (measure is not None and measure.low is not None and measure.low >= floor):
        return ""
    if measure is None or measure.low is None:
        return f"the {judge} was not tried on {words}, {floor:.0%} asked for"
    return f"the {judge} refuses at least {measure.low:.0%} of {words}, {floor:.0%} asked for"


def _degenerate(judge: str, tried: Mapping[tuple[str, str], Measure]) -> str:
    """How the judge can be seen not to judge; empty for one that cannot."""
    good = tried.get((judge, GOOD))
    own = [fault for fault in FAULTS if fault in meant_for.get(judge, ()) and _taken(tried.get((judge, fault)))]
    if good is not None and good.low is not None and good.low > REFUSES_ALL:
        so = "much of what is good is lost" if judge == CASCADE else "it refuses whatever it sees"
        return f"the {judge} refuses at least {good.low:.0%} of good records: {so}"
    highs = [tried[judge, fault].high or 0.0 for fault in own]
    if highs and max(highs) < ACCEPTS_ALL:
        return (
            f"the {judge} refuses at most {max(highs):.0%} of the faults it is there for: it accepts whatever it sees"
        )
    if good is not None and good.value is not None and own and judge != CASCADE:
        apart = [_apart(tried[judge, fault], good) for fault in sorted(own, key=lambda each: -tried[judge, each].n)]
        together = _apart(_pooled([tried[judge, fault] for fault in own]), good)
        if min(apart[0][1], together[1]) < TELLS_APART and all(low <= 0 for low, _ in apart):
            return f"the {judge} does not tell its faults from good records: it refuses about as many of both"
    return ""


def _unsteady(judge: str, measure: Measure) -> str:
    if measure.low is None or measure.low <= UNSTEADY:
        return ""
    return f"the {judge} contradicts itself on at least {measure.low:.0%} of good records that it is asked about twice"


def _pooled(measures: Sequence[Measure]) -> Measure:
    """The share rejected of all cases of several faults."""
    n, refused = sum(each.n for each in measures), sum(round((each.value or 0.0) * each.n) for each in measures)
    low, high = wilson(refused, n)
    return replace(measures[0], value=refused / n, low=low, high=high, n=n)


def _taken(measure: Measure | None) -> bool:
    return measure is not None and measure.value is not None


def _apart(fault: Measure, good: Measure) -> tuple[float, float]:
    """95 % interval of the difference of the two shares rejected, from their Wilson bounds (Newcombe 1998)."""
    (recall, recall_low, recall_high), (alarm, alarm_low, alarm_high) = _rejected(fault), _rejected(good)
    gap = recall - alarm
    return gap - hypot(recall - recall_low, alarm_high - alarm), gap + hypot(recall_high - recall, alarm - alarm_low)


def _rejected(measure: Measure) -> tuple[float, float, float]:
    """Value and bounds; a share without bounds may be any."""
    low = 0.0 if measure.low is None else measure.low
    return measure.value or 0.0, low, 1.0 if measure.high is None else measure.high


def _kept(measure: Measure) -> tuple[float, float, float]:
    """Share kept, and its bounds, of what was measured as rejected."""
    value, low, high = _rejected(measure)
    return 1 - value, 1 - high, 1 - low


def _measure(
    name: str, found: tuple[float | None, float | None, float | None], good: Measure, fault: Measure
) -> Measure:
    value, low, high = found
    note = good.note if good.value is None else fault.note
    if value is None:
        low, high, note = None, None, note or "nothing is accepted"
    return Measure(
        name=name, value=value, low=low, high=high, n=good.n + fault.n, unit="share", better=Better.HIGHER, note=note
    )


def _shares(**given: float) -> None:
    for name, value in given.items():
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value}", hint="give a share from 0 to 1")

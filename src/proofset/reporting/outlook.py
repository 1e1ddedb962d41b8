"""The money of a page: what the run paid for what, what more of it would cost, and what its reader may try out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from proofset.costing.cogs import CogsStatement, Nature
from proofset.costing.humans import Ratio
from proofset.costing.prices import PRECISION
from proofset.costing.projection import STANDARD, Forecast, NotReachable
from proofset.costing.targets import Target
from proofset.nouns.event import Costed, Event
from proofset.reporting import costcurve, moneyplots
from proofset.reporting.cascade import Cascade, Rates, cascade_of
from proofset.reporting.cogs_of_run import ELSEWHERE, Books, lines_of_run, statement_of_run, strangers
from proofset.reporting.costcurve import Forecasts
from proofset.reporting.prospect import MARKS, Prospect, named
from proofset.reporting.words import DASH, count, line, money, percent, rough_money

TERABYTE, GIGABYTE = 10**12, 10**9
"""Bytes."""
TIMES_WANTED = 10
"""Times the run's accepted records that stand in the calculator at first."""


@dataclass(frozen=True, slots=True)
class Price:
    """A unit of accepted text with what it cost, at the run's own scale."""

    unit: str
    usd: str
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A target with what it would cost; dashes where there is no answer in money."""

    name: str
    times: str
    linear: str
    p5: str
    p50: str
    p95: str
    kind: str
    doubts: str


@dataclass(frozen=True, slots=True)
class People:
    """A way in which people would make the same text."""

    name: str
    mark: str
    """The letter of its weakest source, and what that means."""
    usd_per_tb: str
    times: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """All of it. A figure is empty where there is nothing to draw."""

    cogs: CogsStatement
    cascade: Cascade | None
    figures: dict[str, str]
    silent: str
    """Rows of the statement in which nothing was booked."""
    elsewhere: str
    """Stages that have no row of their own, and where they were booked; empty where there is none."""
    later: str
    """What was booked after the statement; empty where nothing was."""
    prices: tuple[Price, ...]
    basis: str
    price_range: str
    """Of the draws, in times today's price."""
    goals: tuple[Goal, ...]
    people: tuple[People, ...]
    left_out: str
    why_not: str
    """Why nothing is promised; empty where something is."""
    trial: dict[str, str]
    """Numbers of the calculator by name; empty where it has none."""


def outlook(events: Sequence[Event], prospect: Prospect | None, curve: Forecasts, why_not: str) -> Outlook:
    """The money of the log up to its last statement, so that all sums on the page are of the same calls."""
    books, later = _books(events)
    found, cascade = statement_of_run(books), cascade_of(books)
    return Outlook(
        cogs=found, cascade=cascade,
        figures={
            "cascade": moneyplots.cascade_figure(cascade) if cascade else "",
            "cogs": moneyplots.cogs_figure(found),
            "curve": costcurve.cost_curve_figure(curve),
            "tornado": _tornado(prospect.forecasts) if prospect else "",
        },
        silent=", ".join(row.nature.value for row in found.by_nature if not (row.calls or row.usd)),
        elsewhere=_elsewhere(books), later=_later(later),
        prices=tuple(_prices(prospect)) if prospect else (), basis=line(prospect.per_tb.basis) if prospect else "",
        price_range=f"{STANDARD.price[0]:g} to {STANDARD.price[-1]:g}",
        goals=tuple(map(_goal, prospect.forecasts)) if prospect else (),
        people=tuple(map(_people, prospect.ratios)) if prospect else (),
        left_out=money(prospect.left_out_usd) if prospect and prospect.left_out_usd else "",
        why_not="" if prospect else line(why_not) or "no forecast was asked for",
        trial=_trial(cascade.rates) if cascade and cascade.rates else {},
    )  # fmt: skip


def _books(events: Sequence[Event]) -> tuple[Books, Books]:
    """Before the last statement and after it. A long log is gone through and never held."""
    stated = max((place for place, event in enumerate(events) if isinstance(event, Costed)), default=len(events))
    before, after = Books(), Books()
    for place, event in enumerate(events):
        (before if place < stated else after).read(event)
    return before, after


def _elsewhere(books: Books) -> str:
    names = ", ".join(line(name, 40) for name in strangers(lines_of_run(books))[:8])
    return f"{names}: booked under {ELSEWHERE.value}, for want of a row" if names else ""


def _later(books: Books) -> str:
    found = statement_of_run(books)
    calls = sum(row.calls for row in found.by_nature)
    if not calls:
        return ""
    stages = ", ".join(dict.fromkeys(line(usage.stage, 40) for usage in books.usages))
    return f"{'at least ' if found.unpriced_calls else ''}{money(found.cogs_usd)} ({stages})"


def _prices(found: Prospect) -> Iterator[Price]:
    """Per record, per GB and per TB: one ratio of sums, with one interval."""
    per = found.per_tb
    with localcontext(prec=PRECISION):
        record = Decimal(found.accepted_bytes) / found.accepted / TERABYTE if found.accepted else None
        units = [("accepted record, of this run’s mean size", record),
                 ("GB of accepted text (a billion bytes)", Decimal(GIGABYTE) / TERABYTE),
                 ("TB of accepted text (a trillion bytes)", Decimal(1))]  # fmt: skip
        for unit, share in units:
            if share is None:
                continue
            low, high = (None if end is None else end * share for end in (per.low, per.high))
            told = f"{rough_money(low)} to {rough_money(high)}" if low is not None and high is not None else DASH
            if low is not None and high is None:
                told = f"{rough_money(low)} or more"
            yield Price(unit, rough_money(per.usd * share), told)


def _goal(pair: tuple[Target, Forecast | NotReachable]) -> Goal:
    target, forecast = pair
    name, times = named(target), _times(forecast.extrapolation_factor)
    if isinstance(forecast, NotReachable):
        return Goal(
            name=name, times=times, linear=DASH, p5=DASH, p50=DASH, p95=DASH, kind=line(forecast.words), doubts=""
        )
    doubts = []
    if forecast.above_chao1:
        doubts.append("wants more ideas than the run shows to exist (Chao 1984)")
    if forecast.unreached_share:
        doubts.append(f"not reached in {percent(forecast.unreached_share)} of the draws")
    return Goal(
        name=name, times=times, linear=rough_money(forecast.linear_usd), p5=rough_money(forecast.p5_usd),
        p50=rough_money(forecast.p50_usd), p95=rough_money(forecast.p95_usd), kind=forecast.reach.value,
        doubts="; ".join(doubts),
    )  # fmt: skip


def _times(factor: Decimal) -> str:
    return count(int(Decimal(f"{factor:.3g}"))) if factor >= 10 else f"{factor:.3g}"


def _people(ratio: Ratio) -> People:
    mark = ratio.baseline.mark.value
    times = DASH if ratio.times is None else f"{rough_number(ratio.times)} times"
    return People(
        ratio.baseline.title, f"{mark}: {MARKS.get(mark, mark)}", rough_money(ratio.baseline.usd(TERABYTE)), times
    )


def rough_number(value: Decimal) -> str:
    """Three digits: 683, 26,000, 0.25."""
    rough = Decimal(f"{value:.3g}")
    return f"{rough:,.0f}" if rough >= 100 else f"{rough.normalize():f}"


def _tornado(forecasts: Forecasts) -> str:
    """The farthest target in records that has a price, beside the nearest."""
    priced = [
        (named(target), forecast.drivers)
        for target, forecast in forecasts
        if isinstance(forecast, Forecast) and not target.in_bytes
    ]
    if not priced:
        return ""
    return moneyplots.tornado_figure(priced[-1], priced[0] if len(priced) > 1 else None)


def _trial(rates: Rates) -> dict[str, str]:
    """Rates of one attempt for the calculator, to twelve digits; what it shows before anybody types."""
    with localcontext(prec=PRECISION):
        each = {
            "generation": rates.generation_usd / rates.attempts, "judging": rates.judging_usd / rates.attempts,
            "other": rates.other_usd / rates.attempts, "accepted": Decimal(rates.accepted) / rates.attempts,
        }  # fmt: skip
        wanted = rates.accepted * TIMES_WANTED
        told = {name: f"{Decimal(f'{usd:.12g}'):f}" for name, usd in each.items()}
        return told | {
            "wanted": str(wanted), "percent": f"{100 * rates.accepted / rates.attempts:.1f}",
            "record": money(rates.usd_per_accepted), "total": money(rates.usd_per_accepted * wanted),
            "parts": "; ".join(
                f"{name} {money(usd)}" for name, usd in (
                    (Nature.GENERATION.value, each["generation"]), (Nature.JUDGING.value, each["judging"]),
                    ("everything else", each["other"]),
                ) if usd
            ),
        }  # fmt: skip

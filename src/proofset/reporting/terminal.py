"""The run in one screen of the terminal: the path, what starves, what was accepted, whether it helps, what it cost.

All texts of the data go in as plain text: nothing in them can style the terminal or move its cursor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from proofset.config import Study
from proofset.nouns.event import Event
from proofset.nouns.result import Better, Claim
from proofset.reporting.rounds import Synthesis
from proofset.reporting.story import Findings, Proof, findings
from proofset.reporting.trial import Trial
from proofset.reporting.words import (
    DASH,
    MARKS,
    count,
    duration,
    line,
    money,
    percent,
    reason,
    share,
    shown,
    style_of,
)
from proofset.reporting.writing import STRATEGY_WORDS, Writing

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

STATES = {"done": "●", "unfinished": "◐", "not done": "○", "not asked for": "·"}
NAME_WIDTH = 26
"""Widest first column, in characters; longer names end in an ellipsis."""
COLOURS = {Claim.HELPS: "green", Claim.HARMS: "red", Claim.NOT_SHOWN: "yellow"}

ARROWS = {Better.HIGHER: "↑", Better.LOWER: "↓", Better.NEITHER: " "}
"""Which way a measure improves, in one sign."""


def summary(study: Study, events: Sequence[Event]) -> RenderableType:
    """What ``console.print`` shows of a run; parts whose verb has not been done are left out, or say so."""
    from rich.console import Group

    found = findings(study, events)
    return Group(*_parts(found))


def _parts(found: Findings) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(line(found.title), style="bold")
    yield Text("")
    yield _path(found)
    if found.deficits:
        yield _deficits(found)
    if found.trial:
        yield from _trial(found.trial)
    if found.synthesis and found.synthesis.proposed:
        yield _funnel(found.synthesis)
        yield _written(found.synthesis.writing)
    if found.pairs:
        yield _measures(found)
    if found.viability:
        yield _viability(found)
    if found.proof:
        yield _arms(found.proof)
    yield from _money(found)
    following = next((step.verb for step in found.steps if step.state in ("not done", "unfinished")), "")
    if following:
        yield Text(f"Next: proofset {following}", style="bold")


def table(title: str, *columns: str) -> Table:
    """A table without lines whose columns after the first are aligned to the right; a leading "<" aligns left."""
    from rich.table import Table
    from rich.text import Text

    made = Table(
        title=Text(title, style="bold"), title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0),
        header_style="dim", width=None,
    )  # fmt: skip
    for number, column in enumerate(columns):
        left = number == 0 or column.startswith("<")
        last = number == len(columns) - 1
        made.add_column(
            column.removeprefix("<"), justify="left" if left else "right", no_wrap=not last,
            overflow="fold" if last else "ellipsis", max_width=None if number else NAME_WIDTH,
        )  # fmt: skip
    return made


def _path(found: Findings) -> RenderableType:
    from rich.text import Text

    lines = []
    for step in found.steps:
        told = duration(step.seconds) if step.state == "done" else step.state
        lines.append(
            Text(f"{STATES[step.state]} {step.verb:<11}{told:>14}", style="" if step.state == "done" else "dim")
        )
    return Text("\n").join([*lines, Text("")])


def _deficits(found: Findings) -> RenderableType:
    from rich.text import Text

    rows = table(f"Where it starves: {len(found.edges)} of {len(found.deficits)} slices", "slice", "n", "error",
                   "records needed")  # fmt: skip
    for each in found.deficits[:5]:
        error, needed = shown(each.error, "percent"), shown(each.needed, "count")
        rows.add_row(
            Text(f"{'◆' if each.edge else ' '} {line(each.title or each.slice)}"),
            count(each.n),
            _bracketed(error.value, error.interval),
            _bracketed(needed.value, needed.interval or (needed.note if needed.value == DASH else "")),
        )
    more = len(found.deficits) - 5
    return _spaced(rows, f"… and {more} more" if more > 0 else "")


def _trial(trial: Trial) -> Iterator[RenderableType]:
    """What the judges are worth, on two lines; ``proofset calibrate`` tells all of it."""
    from rich.text import Text

    yield Text("The judges on trial", style="bold")
    if trial.headline:
        yield Text(line(trial.headline))
    yield from (Text(f"▼ {line(sentence[:1].upper() + sentence[1:])}.", style="red") for sentence in trial.doubts)
    yield Text("More of it: proofset calibrate", style="dim")
    yield Text("")


def _written(made: Writing) -> RenderableType:
    """Strategies where there are several, and in a line what became of revisions, outputs and slices."""
    from rich.console import Group
    from rich.text import Text

    foot = [f"ended: {', '.join(f'{line(stop)} {count(n)}' for stop, n in made.stops)}"] if made.stops else []
    if made.revisions.tries:
        foot.insert(0, f"revised: {count(made.revisions.tries)}, of which accepted {count(made.revisions.accepted)}")
    if len(made.outputs) > 1:
        foot.append(f"accepted for {', '.join(f'{each.name} {count(each.accepted)}' for each in made.outputs)}")
    told = Text("; ".join(foot), style="dim")
    if len(made.strategies) < 2:
        return Group(told, Text("")) if foot else Text("")
    rows = table("How the briefs were written", "strategy", "briefs", "accepted", "share", "<what it shows")
    for each in made.strategies:
        what = STRATEGY_WORDS.get(each.name, "")
        rows.add_row(
            Text(line(each.name)), count(each.tries), count(each.accepted), share(each.share), Text(what, style="dim")
        )
    return Group(rows, told, Text("")) if foot else Group(rows, Text(""))


def _funnel(made: Synthesis) -> RenderableType:
    from rich.text import Text

    rows = table("From proposed to accepted", "", "left", "refused", "<mostly")
    rows.add_row("proposed", count(made.proposed), "", "")
    left = made.proposed
    for judge, lost, reasons in made.gates:
        left -= lost
        why = f"{reason(reasons[0].reason)}: {count(reasons[0].n)}"
        rows.add_row(Text(line(judge) or "left over"), count(left), count(lost), Text(line(why, 44)))
    part = percent(made.accepted / made.proposed)
    rows.add_row(Text("accepted", style="bold"), Text(count(made.accepted), style="bold"), "", f"{part} of proposed")
    return _spaced(rows)


def _measures(found: Findings) -> RenderableType:
    from rich.text import Text

    rows = table("Is it viable? (↑ higher, ↓ lower is better)", "measure", "synthetic", "organic control")
    for pair in found.pairs:
        style = style_of(pair.measure)
        made, control = shown(pair.measure, style), shown(pair.control, style)
        name = f"{ARROWS[pair.measure.better]} {line(pair.measure.name, 26)}"
        rows.add_row(Text(name), _bracketed(made.value, made.interval), _bracketed(control.value, control.interval))
    return _spaced(rows)


def _viability(found: Findings) -> RenderableType:
    """The quotient with its components, or one line that says why there is none."""
    from rich.console import Group
    from rich.text import Text

    from proofset.reporting.answers import headline, leading
    from proofset.reporting.verdict import viability_view

    lead = leading(found.viability)
    if lead is not None and lead.quotient.value is None:
        return Group(Text(headline(lead), style="yellow"), Text(""))
    return Group(viability_view(found.viability), Text(""))


def _arms(proof: Proof) -> RenderableType:
    from rich.text import Text

    rows = table(
        "Does it help? Points of a hundred against the baseline",
        "arm",
        "starved slices,\nat equal rest",
        "elsewhere",
        "<claim",
    )
    for answer in proof.answers:
        edge, rest = (shown(gain.difference if gain else None, "points") for gain in (answer.edge, answer.rest))
        claim = answer.claim
        rows.add_row(
            Text(line(answer.title, 24)), _bracketed(edge.value, edge.interval), _bracketed(rest.value, rest.interval),
            Text(f"{MARKS[claim]} {claim}", style=COLOURS[claim]) if claim else DASH,
        )  # fmt: skip
    counts = {
        place: shown(gain.difference, "points").n
        for answer in proof.answers[-1:]
        for place, gain in (("starved", answer.edge), ("elsewhere", answer.rest))
        if gain
    }
    foot = [f"{place} {n}" for place, n in counts.items() if n]
    return _spaced(rows, "; ".join([*foot, f"compared: {line(proof.pairing)}"] if proof.varies else foot))


def _money(found: Findings) -> Iterator[RenderableType]:
    from rich.text import Text

    if found.cost:
        cost = found.cost
        told = f"Cost: {money(cost.total_usd)} in all, {money(cost.usd_per_accepted)} per accepted record"
        if cost.wasted_share is not None:
            told += f", {percent(cost.wasted_share)} on candidates nobody kept"
        yield Text(told, style="bold")
        yield Text(line(cost.basis), style="dim")
        unpriced = cost.unpriced_calls
    elif found.spending.calls:
        yield Text(f"Spent so far: {money(found.spending.usd)} for {count(found.spending.calls)} calls", style="bold")
        unpriced = found.spending.unpriced
    else:
        return
    if unpriced:
        yield Text(f"{count(unpriced)} calls have no known price and are in no amount here.", style="red")


def _bracketed(value: str, inside: str) -> Text:
    from rich.text import Text

    return Text(f"{value} ({inside})" if inside else value)


def _spaced(rows: Table, foot: str = "") -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    return Group(rows, *([Text(foot, style="dim")] if foot else []), Text(""))

"""The verdict in the terminal: viability, collapse, known answers and descriptive measures; and all of it as JSON.

What decides stands in the first line; what it rests on stands under it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from proofset.nouns.result import Measure
from proofset.nouns.viability import Collapse, Component, Crossing, Decay, Generation, Viability
from proofset.reporting import answers
from proofset.reporting.answers import MARKS, bounds, ratio
from proofset.reporting.terminal import ARROWS, table
from proofset.reporting.words import count, interval, line, number, shown, style_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from proofset.measuring.findings import Finding

COLOURS = {Crossing.CROSSED: "green", Crossing.NOT_CROSSED: "red", Crossing.UNDECIDED: "yellow"}
MOST_GENERATIONS = 11
"""Generations that the terminal shows; of more, as many evenly spaced."""
COMPONENT_WIDTH = 32
"""Widest name of a component with its mark and key, in characters."""
TITLE_WIDTH = 60
"""Widest title of an experiment, in characters."""


def viability_view(found: Sequence[Viability]) -> RenderableType:
    """The verdict, then the slices from the weakest on, then what each component says of the whole."""
    from rich.console import Group
    from rich.text import Text

    lead = answers.leading(found)
    if lead is None:
        return Text("No viability was measured.", style="dim")
    return Group(*_viability(found, lead))


def _viability(found: Sequence[Viability], lead: Viability) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(f"{MARKS[lead.verdict]} {answers.headline(lead)}", style=f"bold {COLOURS[lead.verdict]}")
    yield Text("")
    if len(found) > 1:
        yield _slices(found)
        yield Text("")
    yield _components(lead)
    yield Text("SVQ is the lowest of these, corrected for having been picked as the lowest.", style="dim")
    yield Text("")
    yield from map(Text, answers.worth(lead))
    yield Text(f"Records: {answers.sizes(lead)}", style="dim")
    yield Text(f"{line(lead.protocol)}{f'; encoder {line(lead.encoder)}' if lead.encoder else ''}", style="dim")
    yield from _notes(lead.notes)


def _slices(found: Sequence[Viability]) -> RenderableType:
    from rich.text import Text

    rows = table(
        "Slice by slice, the weakest first", "slice", "SVQ", "<95 % interval", "records", "<verdict", "<weakest"
    )
    for each in answers.weakest_first(found):
        rows.add_row(
            Text(line(each.slice) or "all records", style="" if each.slice else "bold"),
            ratio(each.quotient.value, each.threshold),
            bounds(each.quotient, each.threshold),
            count(each.sizes[3]),
            _mark(each.verdict),
            Text(answers.named(each, each.weakest) if each.weakest else line(each.quotient.note)),
        )
    return rows


def _components(found: Viability) -> RenderableType:
    """One row each; the weakest is marked, and the companion stands apart."""
    from rich.text import Text

    where = f" in “{line(found.slice, 40)}”" if found.slice else ""
    title = f"In each respect{where} (1 is what fresh organic text gets)"
    rows = table(title, "", "value", "<95 % interval", "<in words")
    rows.columns[0].max_width = COMPONENT_WIDTH
    for each in found.components:
        _component(rows, each, found, found.threshold)
    if found.companion:
        rows.add_row("", "", "", "")
        rows.add_row(Text("beside them", style="dim"), "", "", "")
        _component(rows, found.companion, found, 0.0)
    return rows


def _component(rows: Table, each: Component, found: Viability, threshold: float) -> None:
    from rich.text import Text

    stands, weakest = answers.standing(each, threshold), each.key == found.weakest
    style = COLOURS[stands] if stands else "dim"
    words = line(each.words) or line(each.measure.note)
    rows.add_row(
        Text(f"{'▶' if weakest else ' '} {each.key:<2} {line(each.measure.name)}", style="bold" if weakest else ""),
        Text(ratio(each.measure.value, threshold), style=style),
        bounds(each.measure, threshold),
        Text(words if each.measure.value is not None else line(each.measure.note) or words),
    )


def _mark(verdict: Crossing) -> Text:
    from rich.text import Text

    return Text(f"{MARKS[verdict]} {verdict}", style=COLOURS[verdict])


def _notes(notes: Sequence[str], style: str = "dim") -> Iterator[RenderableType]:
    from rich.text import Text

    yield from (Text(f"· {line(each)}", style=style) for each in notes)


def collapse_view(found: Collapse) -> RenderableType:
    """Whether it collapses, what is left in each generation, how fast it goes, and what to do."""
    from rich.console import Group
    from rich.text import Text

    mark, colour = ("▼", "red") if found.collapsing else ("○", "yellow")
    parts: list[RenderableType] = [Text(f"{mark} {answers.collapse_headline(found)}", style=f"bold {colour}"), Text("")]
    if found.generations:
        parts += [_generations(found), Text("")]
    if found.decays:
        parts += [_decays(found.decays), Text("")]
    told = (*answers.plateaus(found), answers.alarms(found), *answers.signature(found))
    parts += [Text(each) for each in told if each]
    if found.advice:
        parts += [Text("What to do", style="bold"), *_notes(found.advice, "")]
    protocol = f"{line(found.protocol)}{f'; encoder {line(found.encoder)}' if found.encoder else ''}"
    return Group(*parts, Text(protocol, style="dim"), *_notes(found.notes))


def _generations(found: Collapse) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    heads = ("n", "A\nvariance", "ER\neffective rank", "TS\nrare modes", "V2\nVendi score", "DMC\nloss")
    rows = table("What is left, against organic records of the same number", "gen.", *heads)
    shown_rows = answers.spaced(found.generations, MOST_GENERATIONS)
    for each in shown_rows:
        rows.add_row(str(each.number), count(each.n), *(_stacked(cell) for cell in _shares(each)))
    left = len(found.generations) - len(shown_rows)
    return Group(rows, *([Text(f"… and {left} more between these", style="dim")] if left else []))


def _shares(generation: Generation) -> list[Measure]:
    return [getattr(generation, field) for field, _ in answers.SHARES]


def _stacked(measure: Measure) -> Text:
    """A value with its interval under it: five of them stand side by side on 80 characters."""
    from rich.text import Text

    under = bounds(measure).replace(" to ", "–")
    return Text(ratio(measure.value)) + Text(f"\n{under}" if under else "", style="dim")


def _decays(decays: Sequence[Decay]) -> RenderableType:
    from rich.text import Text

    rows = table("How fast", "", "lost a generation", "<half-life")
    for each in decays:
        rate = shown(answers.lost_share(each), "percent")
        told = f"{rate.value} ({rate.interval})" if rate.interval else rate.value
        rows.add_row(Text(line(each.of)), Text(told), Text(answers.half_life(each)))
    return rows


def findings_view(found: Sequence[Finding]) -> RenderableType:
    """Every experiment with what theory says and what the simulation gave; those that disagree come first."""
    from rich.console import Group
    from rich.text import Text

    rows = table("", "", "theory", "simulated", "±", "<agrees")
    rows.title = None
    rows.columns[0].max_width = TITLE_WIDTH
    rows.columns[0].ratio = 1  # it gives way where the terminal is narrow; the numbers do not
    rows.expand = True
    for each in sorted(found, key=lambda finding: finding.holds):
        title = Text(line(f"{each.id} {each.title}", TITLE_WIDTH), style="bold" if each.holds else "bold red")
        rows.add_row(title, "", "", "", "")
        for one in each.outcomes:
            verdict = Text("yes", style="green") if one.ok else Text("no", style="bold red")
            numbers = (number(one.expected), number(one.measured), number(one.tolerance))
            rows.add_row(Text(f"  {line(one.name, TITLE_WIDTH - 2)}"), *numbers, verdict)
    holds = all(each.holds for each in found)
    head = Text(answers.findings_headline(found), style="bold green" if holds else "bold red")
    return Group(head, Text(""), rows)


def describe_view(pairs: Sequence[tuple[Measure, Measure]]) -> RenderableType:
    """Descriptive measures of the synthetic text, each beside the organic text's."""
    from rich.text import Text

    rows = table("The text itself (↑ higher, ↓ lower is better)", "measure", "synthetic", "organic")
    for made, organic in pairs:
        style = style_of(made)
        cells = (Text(_bracketed(each, style)) for each in (made, organic))
        rows.add_row(Text(f"{ARROWS[made.better]} {line(made.name)}"), *cells)
    return rows


def _bracketed(measure: Measure, style: Any) -> str:
    value, inside = shown(measure, style).value, interval(measure, style)
    return f"{value} ({inside})" if inside else value


def plain(found: Any) -> Any:
    """A result as JSON-ready values: dataclasses as dictionaries, None for what was not taken or is not finite.

    What an experiment derives stands beside what it holds: ``ok`` of an outcome, ``holds`` of a finding.
    """
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        values = {field.name: plain(getattr(found, field.name)) for field in dataclasses.fields(found)}
        return values | {name: getattr(found, name) for name in ("ok", "holds") if hasattr(found, name)}
    if isinstance(found, dict):
        return {str(name): plain(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(value) for value in found]
    if hasattr(found, "tolist"):  # numpy's own numbers and arrays
        return plain(found.tolist())
    if isinstance(found, float):
        return found if math.isfinite(found) else None
    return str(found) if isinstance(found, str) else found

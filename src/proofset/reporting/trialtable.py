"""The trial in the terminal: a row a judge, what acceptance is worth, and which judges are not to be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from proofset.reporting.terminal import table
from proofset.reporting.trial import SHARES, Refused, Trial
from proofset.reporting.words import DASH, count, line, share, whole
from proofset.synthesizing.calibration import CONTRADICTS

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

JUDGE_WIDTH = 14
"""Widest first column: a judge's longer name goes on below."""
WIDE = 26
"""Widest fault: the longest of ours."""


def trial_view(trial: Trial | None) -> RenderableType:
    """What ``proofset calibrate`` prints; 80 columns are enough."""
    from rich.console import Group
    from rich.text import Text

    if trial is None:
        return Text("No judge was put on trial: no slice starves.", style="dim")
    return Group(*_parts(trial))


def _parts(trial: Trial) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text("The judges on trial", style="bold")
    if trial.headline:
        yield Text(line(trial.headline))
    yield Text("")
    yield _judges(trial)
    yield Text("Shares refused, with 95 % intervals; n cases each. Good records should pass.", "dim")
    missing = {each.fault: each.measure.note for row in trial.rows for each in row.faults if each.measure.value is None}
    if missing:
        yield Text(line(f"{DASH} {'; '.join(f'{fault}: {why}' for fault, why in missing.items())}"), style="dim")
    if trial.apart:
        yield Text(line(f"Tried apart, on fewer cases, and not in the cascade: {', '.join(trial.apart)}."), style="dim")
    yield Text("")
    if trial.worths:
        yield _worths(trial)
        yield Text(
            "Break-even: with more faulty candidates than that, the accepted ones hold more faulty than good ones. "
            "Intervals are from the worst to the best case.",
            style="dim",
        )
        yield Text("")
    yield from _doubts(trial)


def _judges(trial: Trial) -> RenderableType:
    """The faults of a judge stand one below the other beside it."""
    from rich.text import Text

    rows = table("", "judge", "good records", "<faults it is there for", "refused", "n")
    rows.title = None
    rows.columns[0].max_width, rows.columns[0].no_wrap = JUDGE_WIDTH, False
    rows.columns[2].max_width = WIDE
    for row in trial.rows:
        style = "bold" if row.whole else ""
        if row.whole:
            rows.add_row("")
        rows.add_row(
            Text(line(row.judge), style=style),
            Text(share(row.good), style=style),
            Text("\n".join(line(each.fault, WIDE) for each in row.faults) or "none is planted", style=style),
            Text("\n").join(_refused(each, style) for each in row.faults),
            Text("\n".join(count(each.measure.n) for each in row.faults), style=style),
        )
    return rows


def _refused(each: Refused, style: str) -> Text:
    from rich.text import Text

    told = share(each.measure)
    if each.fault == CONTRADICTS or not each.below:
        return Text(told, style=style)
    return Text(f"▼ {told}", style=f"{style} red".strip())


def _worths(trial: Trial) -> RenderableType:
    from rich.text import Text

    heads = [f"{whole(each)} % faulty" for each in SHARES]
    rows = table(f"How many of what the {line(trial.judge)} accepts are good", "if they are", *heads, "break-even")
    for each in trial.worths:
        style = "bold" if each.worst else ""
        cells = (Text(_under(share(measure)), style=style) for measure in (*each.precision, each.break_even))
        rows.add_row(Text(line(each.words, 27) + ("\n(the worst)" if each.worst else ""), style=style), *cells)
    return rows


def _under(told: str) -> str:
    """The interval below the value: four of them stand side by side on 80 columns."""
    return told.replace(" (", "\n(", 1)


def _doubts(trial: Trial) -> Iterator[RenderableType]:
    from rich.text import Text

    for sentence in trial.doubts:
        yield Text(f"▼ {line(sentence[:1].upper() + sentence[1:])}.", style="red")
    if not trial.doubts:
        yield Text(
            "▲ No judge is below its floor, and none was seen to refuse, or accept, whatever it is shown.",
            style="green",
        )

"""The attack table as Markdown, so that a page can hold it."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.attacks.scores import COLUMNS, DEVIATIONS, Column


def markdown(found: dict[str, Any]) -> str:
    """One row a corpus; bold where the measure is fooled, and where the quotient or the lift gives the fake away."""
    titles = ["corpus", *(column.title for column in COLUMNS), "SVQ [95 %]", "verdict, weakest", "Y [95 %]"]
    lines = [titles, ["---"] * len(titles), _chance(found), _row("fresh organic", found["fresh"], [], {})]
    for name, scores in found["fakes"].items():
        lines.append(_row(name, scores, found["fooled"][name], found["caught"][name]))
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"\n{table}\n\n{_words(found)}\n"


def _chance(found: dict[str, Any]) -> list[str]:
    """Mean and reach of fresh documents in the other divisions."""
    cells = [f"fresh in {found['divisions']} divisions, mean ± {DEVIATIONS:g} sd"]
    for column in COLUMNS:
        values = [each[column.key] for each in found["fresh_elsewhere"] if each[column.key] is not None]
        cells.append(
            f"{_number(float(np.mean(values)), column)} ± {_number(_reach(values), column)}" if values else "–"
        )
    quotients = [each["svq"] for each in found["fresh_elsewhere"]]
    verdicts = [each["verdict"] for each in quotients]
    counted = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts)))
    lifts = [each["y"]["value"] for each in found["fresh_elsewhere"] if each["y"]["value"] is not None]
    return [*cells, _mean([each["value"] for each in quotients]), counted, _mean(lifts)]


def _mean(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ± {_reach(values):.2f}" if len(values) > 1 else "–"


def _reach(values: list[float]) -> float:
    return DEVIATIONS * float(np.std(values, ddof=1))


def _row(name: str, scores: dict[str, Any], fooled: list[str], caught: dict[str, bool | None]) -> list[str]:
    cells = [name]
    for column in COLUMNS:
        cells.append(_bold(_number(scores[column.key], column), column.key in fooled))
    svq, y = scores["svq"], scores["y"]
    cells += [_bold(_interval(svq), bool(caught.get("svq"))), f"{svq['verdict']}, {svq['weakest']}"]
    return [*cells, _bold(_interval(y), bool(caught.get("y")))]


def _number(value: float | None, column: Column) -> str:
    return "–" if value is None else f"{value:.{column.digits}f}"


def _interval(taken: dict[str, Any] | None) -> str:
    if taken is None or taken["value"] is None:
        return "–"
    return f"{taken['value']:.2f} [{taken['low']:.2f}, {taken['high']:.2f}]"


def _bold(text: str, so: bool) -> str:
    return f"**{text}**" if so and text != "–" else text


def _words(found: dict[str, Any]) -> str:
    """The table in sentences."""
    lines = [
        f"{found['part']:,} documents a part of {found['documents']:,}; {found['protocol']}."
        " Bold: the measure is fooled; in the last columns, the fake is given away.",
        "",
    ]
    for column in COLUMNS:
        fakes = [name for name, fooled in found["fooled"].items() if column.key in fooled]
        lines.append(f"- {column.title} is fooled by {len(fakes)}: {', '.join(fakes) or 'none'}")
    for key, title in (("svq", "SVQ"), ("y", "Y")):
        fakes = [name for name, given_away in found["caught"].items() if given_away[key]]
        lines.append(f"- {title} gives away {len(fakes)}: {', '.join(fakes) or 'none'}")
    lines.append(f"- fools a measure and is given away by neither: {', '.join(found['missed']) or 'none'}")
    alarms = found["false_alarms"]
    lines.append(f"- fresh documents of this division look bad to: {', '.join(found['fresh_told_by']) or 'none'}")
    lines.append(f"- fresh documents given away, of {alarms['of']}: SVQ {alarms['svq']}, Y {alarms['y']}")
    return "\n".join(lines)

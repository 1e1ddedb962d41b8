"""One walk along the path: the run folder, the study, and the rules by which a stage is begun, skipped and ended."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

from proofset import artifacts
from proofset.config import Study
from proofset.costing.prices import pricer
from proofset.errors import ConfigError, RecordError
from proofset.nouns.event import Event, Spent, Started
from proofset.nouns.result import Standing, Usage
from proofset.plugins import Encoder, Row, find
from proofset.runs.folder import Run, stage_key

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet", ".tab": "tab", ".tsv": "tab"}
"""Reader by file ending."""


def nothing(_: Any) -> None:
    """Watch and do nothing."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A stage: what does it, which settings of the study it reads (dotted), and which verbs come first."""

    do: Callable[[Walk, list[str]], None]
    settings: tuple[str, ...]
    needs: tuple[str, ...]
    files: Callable[[Study], tuple[str, ...]] = lambda study: ()
    """Files outside the run whose content it depends on."""
    resumes: bool = False
    """Whether an interrupted attempt is gone on with, rather than begun again."""


@dataclass
class Walk:
    """What every verb is given: where to write, what was asked, and who watches."""

    run: Run
    study: Study
    base: Path
    """Folder of the study file; relative paths start here."""
    watch: Callable[[Event], None] = nothing
    """Called with every event after it was logged."""
    announce: Callable[[str], None] = nothing
    """Called with the name of each verb as it begins."""
    gauge: Callable[[Callable[[], Standing]], None] = nothing
    """Called with something to ask where the models stand, when they begin to speak."""
    notice: Callable[[str], None] = nothing
    """Called with what a person at the terminal should know now."""
    kept: dict[str, Any] = field(default_factory=dict, init=False)
    """What one verb made at some expense and the next one needs as well; whoever needs it last lets it go."""
    seconds_told: float = field(default=0.0, init=False)
    """Processor seconds of the current stage that are already in the log as somebody's usage."""

    def tell(self, event: Event) -> None:
        """Log an event, then show it to whoever watches."""
        self.run.append(event)
        if isinstance(event, Spent):
            self.seconds_told += event.usage.core_seconds
        self.watch(event)

    @contextmanager
    def stage(self, verb: str, key: str, *, resumes: bool) -> Iterator[list[str]]:
        """Begin a verb, time it, and end it with the outputs that were put into the list.

        A verb that ``resumes`` goes on from what an interrupted attempt with the same key left in the log; of any
        other, the fold begins anew.
        """
        if resumes:
            self.run.begin(verb, key)
        else:
            self.run.append(Started(verb=verb, key=key))
        self.announce(verb)
        self.seconds_told = 0.0
        outputs: list[str] = []
        wall, core = time.monotonic(), time.process_time()
        yield outputs
        seconds, core_seconds = time.monotonic() - wall, time.process_time() - core
        overhead = max(0.0, core_seconds - self.seconds_told)
        usage = Usage(model="this machine", stage=verb if verb != "synthesize" else "judge", core_seconds=overhead)
        usd, basis = pricer(None, usd_per_core_hour=self.study.cost.usd_per_core_hour)(usage)
        self.tell(Spent(usage=replace(usage, usd=usd, basis=basis)))
        self.run.finish(verb, key, seconds, core_seconds, tuple(outputs))

    def key(self, section: Any, *inputs: str) -> str:
        """A stage's key: its settings, the seed, and the ids of what goes in."""
        return stage_key(section, str(self.study.seed), *inputs)

    def key_of(self, name: str, verbs: Mapping[str, Verb]) -> str:
        """The stage key of a verb: it changes when its settings, its files or anything before it changes."""
        verb = verbs[name]
        study = self.study.model_dump(mode="json")
        settings = {path: reduce(lambda part, name: part[name], path.split("."), study) for path in verb.settings}
        before = [self.key_of(need, verbs) for need in verb.needs]
        return self.key(settings, *before, *(self.fingerprint(path) for path in verb.files(self.study)))

    def perform(self, name: str, verbs: Mapping[str, Verb]) -> bool:
        """Do a verb and, before it, whatever it needs that is not done. False when there was nothing to do."""
        verb = verbs[name]
        for need in verb.needs:
            self.perform(need, verbs)
        wanted = self.key_of(name, verbs)
        if self.run.is_finished(name, wanted):
            return False
        with self.stage(name, wanted, resumes=verb.resumes) as outputs:
            verb.do(self, outputs)
        return True

    def title(self, name: str) -> str:
        """What people call a slice."""
        return self.study.audit.titles.get(name, name)

    def locate(self, reference: str) -> Path:
        """A file of the study: relative to it, or a pinned artifact."""
        return artifacts.locate(reference, self.base)

    def rows(self, reference: str, reader: str = "", columns: tuple[str, ...] = (), skip: int = 0) -> Iterator[Row]:
        """Rows of a file, by the reader that its ending or the study names."""
        path = self.locate(reference)
        name = reader or FORMATS.get(path.suffix.lower(), "")
        if not name:
            hint = f"name a reader; endings known by themselves: {', '.join(FORMATS)}"
            raise ConfigError(f"{path}: no reader for files that end in {path.suffix!r}", hint=hint)
        rows: Iterator[Row] = find("readers", name)(path, columns=columns, skip_rows=skip)
        return rows

    def fingerprint(self, reference: str) -> str:
        """Hash of a file's content; empty for no file."""
        if not reference:
            return ""
        path = self.locate(reference)
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "blake2b").hexdigest()[:16]
        except OSError as error:
            hint = "paths are relative to the study file"
            raise RecordError(f"cannot be read: {error.strerror}", path=path, hint=hint) from error

    @cached_property
    def encoder(self) -> Encoder:
        """The study's encoder, loaded at first use."""
        made: Encoder = find("encoders", self.study.encoder)()
        return made


def keep(walk: Walk, outputs: list[str], relative: str, write: Callable[[Path], Any]) -> None:
    """Write a file of the run once, and name it among the outputs."""
    walk.run.write_once(relative, write)
    outputs.append(relative)


@contextmanager
def interrupted(notice: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Inside, the first Ctrl-C only makes the yielded function true; the second stops as ever.

    Where signals cannot be had, as in a thread of a notebook, the first one stops as ever; where whoever started this
    process has it ignored, as ``nohup`` and ``&`` in a script do, it stays so.
    """
    running, seen = asyncio.get_running_loop(), []
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield lambda: False
        return

    def first() -> None:
        seen.append(True)
        running.remove_signal_handler(signal.SIGINT)
        notice("finishing what is in flight; Ctrl-C again stops at once")

    try:
        running.add_signal_handler(signal.SIGINT, first)
    except (NotImplementedError, RuntimeError, ValueError):
        yield lambda: False
        return
    try:
        yield lambda: bool(seen)
    finally:
        running.remove_signal_handler(signal.SIGINT)


@contextmanager
def unhurried_collector() -> Iterator[None]:
    """Python's garbage collector looks less often, and not at what was there before: 15 % of the hot path's time.

    The loop makes few cycles and keeps much, which the collector would go through again and again.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def wait_for(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, also where an event loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # noqa: BLE001 (carried over to the caller's thread, whatever it is)
            failures.append(error)

    thread = threading.Thread(target=run, name="proofset")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]

"""Half-price batches: requests are written to files, handed in, asked after, and their answers collected.

Everything that was done lies in a folder, so a new process goes on where the last one stopped. Before anything is
handed in, the intent is on disk: after a crash in between, the provider is asked what it has, so nothing is paid twice.
One process at a time may work on a folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic_core import from_json, to_json

from proofset.errors import ModelRefused, ModelUnavailable, ReplyUnreadable
from proofset.models.batchfiles import (
    MOST_BYTES,
    MOST_LINES,
    Harvest,
    Refused,
    Unanswered,
    answers,
    collect_file,
    export,
    has_rows,
)
from proofset.models.chat import EndpointChat, check_status
from proofset.models.http import Answer
from proofset.models.parts import ENDED, Part, State, parts, put
from proofset.plugins import Reply, Request

__all__ = ["BatchJob", "Harvest", "Progress", "Refused", "collect_file", "export"]

NO_LIST = frozenset({404, 405})
"""HTTP status of a provider that does not list what it has."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 600.0
"""Seconds between two questions how far a batch is: at first, and at most."""
GIVE_UP_S = 3600.0
"""Seconds without one good answer after which ``run`` stops."""
MOST_PAGES = 50
"""Pages of a provider's list that are looked through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is."""

    asked: int
    """Requests, each counted once."""
    answered: int
    """Requests that have a reply or a refusal, as far as the provider says."""
    parts: int
    ended: int
    """Parts whose answers are here."""
    turn: int
    """1, or more where missing requests were handed in again."""
    seconds: float
    """Since this object was made."""

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.parts == self.ended


class BatchJob:
    """Requests on their way through a provider's batch API. Raises ModelError as a ChatModel does; call again later."""

    def __init__(
        self,
        folder: Path,
        chat: EndpointChat,
        *,
        most_lines: int = MOST_LINES,
        most_bytes: int = MOST_BYTES,
        turns: int = 3,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``turns``: how often a request is handed in at most, where batches expire or fail."""
        self.folder = folder
        self._chat, self._wire = chat, chat.wire
        self._most_lines, self._most_bytes, self._turns = most_lines, most_bytes, turns
        self._sleep, self._clock = sleep, clock
        self._began = clock()

    def write(self, items: Iterable[tuple[str, Request]]) -> list[Path]:
        """Put requests down under their keys; what is there already is not written again."""
        return export(items, self.folder, self._chat, most_lines=self._most_lines, most_bytes=self._most_bytes)

    async def submit(self) -> int:
        """Hand in all parts that are not handed in yet; their number."""
        count = 0
        for part in parts(self.folder):
            state = State.of(part)
            if not state.batch_id:
                if not state.file_id:
                    await self._upload(part, state)
                await self._create(part, state)
                count += 1
        return count

    async def poll(self) -> Progress:
        """Ask how far the batches are, and fetch the answers of those that have ended."""
        for part in parts(self.folder):
            state = State.of(part)
            if state.open:
                batch = self._object(await self._wire.get(f"/batches/{quote(state.batch_id, safe='')}"))
                state.take_over(batch)
                if state.crowded_out and self._another_is_open(part):
                    state.begin_again()  # when there is room again
                state.save(part)
        await self._fetch_ended()
        return self.progress()

    async def collect(self) -> Harvest:
        """A reply or a refusal for each key that has one by now. The provider is asked only for new files."""
        await self._fetch_ended()
        return Harvest(self._gather)

    async def run(
        self,
        items: Iterable[tuple[str, Request]] = (),
        *,
        report: Callable[[Progress], None] = lambda progress: None,
        give_up_s: float = GIVE_UP_S,
    ) -> Harvest:
        """All of it, waiting longer and longer between two questions.

        Raises ModelError after ``give_up_s`` seconds of failures, and at once when the provider refuses.
        """
        self.write(items)
        pause, heard = FIRST_PAUSE_S, self._clock()
        while True:
            asked_pause = 0.0
            try:
                await self.submit()
                progress = await self.poll()
                report(progress)
                if progress.done:
                    return await self.collect()
                heard = self._clock()
            except (ModelUnavailable, ReplyUnreadable) as error:
                if self._clock() - heard >= give_up_s:
                    raise
                asked_pause = getattr(error, "retry_after_s", None) or 0.0
            await self._sleep(max(pause, asked_pause))
            pause = min(LONGEST_PAUSE_S, pause * 1.5)

    def progress(self) -> Progress:
        """How far the job is, by what is on disk."""
        there = [(part, State.of(part)) for part in parts(self.folder)]
        return Progress(
            asked=sum(state.lines for part, state in there if part.turn == 1),
            answered=sum(state.answered for _, state in there),
            parts=len(there),
            ended=sum(state.fetched for _, state in there),
            turn=max((part.turn for part, _ in there), default=1),
            seconds=self._clock() - self._began,
        )

    async def _upload(self, part: Part, state: State) -> None:
        content = part.path.read_bytes()
        name = f"{part.path.stem}-{hashlib.blake2b(content, digest_size=8).hexdigest()}.jsonl"
        if state.status == "uploading":  # a try before this one ended in the dark
            state.file_id = await self._find("/files?purpose=batch", "filename", name, must=False)
        if not state.file_id:
            state.save(part, "uploading")
            answer = self._object(await self._wire.upload("/files", {"purpose": "batch"}, name, content))
            state.file_id = str(answer["id"])
        state.save(part, "uploaded")

    async def _create(self, part: Part, state: State) -> None:
        """Begin the batch, once: where it is not known whether it was begun, the provider's list decides."""
        if state.status == "creating":
            state.batch_id = await self._find("/batches?limit=100", "input_file_id", state.file_id, must=True)
        if not state.batch_id:
            wanted = {"input_file_id": state.file_id, "endpoint": part.endpoint(), "completion_window": "24h"}
            state.save(part, "creating")
            try:
                state.batch_id = str(self._object(await self._wire.post("/batches", to_json(wanted)))["id"])
            except ModelRefused:  # so it was not begun
                state.save(part, "uploaded")
                raise
        state.save(part, "validating")

    async def _find(self, path: str, name: str, value: str, *, must: bool) -> str:
        """The id of the first object in a provider's list whose field ``name`` is ``value``; "" for none.

        A provider without such a list is asked again where that costs nothing; else (``must``) a person has to look.
        """
        after = ""
        for _ in range(MOST_PAGES):
            try:
                page = self._object(await self._wire.get(path + after), needs="data")
            except ModelRefused as error:
                if error.status not in NO_LIST:
                    raise
                if not must:
                    return ""
                told = f"{value} may have been handed in already, and this provider does not list what it has"
                hint = f"look there; then put its batch_id into the state file in {self.folder}, or status: uploaded"
                raise ModelRefused(f"{self._wire.name}: {told}", hint=hint) from error
            for each in page["data"]:
                if each.get(name) == value:
                    return str(each["id"])
            if not page.get("has_more") or not page["data"]:
                return ""
            after = f"&after={quote(str(page['data'][-1]['id']), safe='')}"
        return ""

    def _another_is_open(self, part: Part) -> bool:
        return any(State.of(each).open for each in parts(self.folder) if each.path != part.path)

    async def _fetch_ended(self) -> None:
        for part in parts(self.folder):
            state = State.of(part)
            if state.status in ENDED and not state.fetched:
                for kind, file_id in (("output.jsonl", state.output_file_id), ("errors.jsonl", state.error_file_id)):
                    if file_id and not part.beside(kind).exists():
                        await self._fetch(part.beside(kind), file_id)
                self._ask_again(part, state)

    async def _fetch(self, path: Path, file_id: str) -> None:
        answer = await self._wire.get(f"/files/{quote(file_id, safe='')}/content")
        check_status(answer, self._wire)
        if not has_rows(answer.body):  # not kept, so that it is fetched again
            shown = self._wire.clean(answer.body[:200].decode("utf-8", "replace"))
            raise ReplyUnreadable(f"{path.name}:1: not a row of batch answers: {shown}", hint="try again later")
        put(path, answer.body)

    def _ask_again(self, part: Part, state: State) -> None:
        """Write what a part left unanswered into another part, unless it has been handed in often enough."""
        outcomes = self._answers(part, state, Harvest(self._gather))
        missing = {key for key, outcome in outcomes if isinstance(outcome, Unanswered)}
        again = part.follow_up().path
        if missing and part.turn < self._turns and not again.exists():
            put(again, b"".join(line for key, line in part.lines() if key in missing))
        state.answered, state.fetched = state.lines - len(missing), True
        state.save(part)

    def _gather(self, found: Harvest) -> Iterator[tuple[str, Reply | Refused]]:
        for part in parts(self.folder):
            state = State.of(part)
            if not state.fetched:
                continue
            asked_again = part.follow_up().path.exists()
            for key, outcome in self._answers(part, state, found):
                if not isinstance(outcome, Unanswered):
                    yield key, outcome
                elif not asked_again:
                    found.missing.append(key)
                    yield key, Refused(f"no answer, handed in {part.turn} times; last: {outcome.reason}")

    def _answers(self, part: Part, state: State, found: Harvest) -> Iterator[tuple[str, Reply | Refused | Unanswered]]:
        """What became of each request of a part; lines that the provider names as faulty are refused."""
        keys = [key for key, _ in part.lines()]
        blamed = {keys[at - 1]: told for at, told in state.blamed().items() if 0 < at <= len(keys)}
        yield from ((key, Refused(told)) for key, told in blamed.items())
        told = "; ".join(str(fault.get("message")) for fault in state.faults[:3])
        results = [path for kind in ("output.jsonl", "errors.jsonl") if (path := part.beside(kind)).exists()]
        asked = [key for key in keys if key not in blamed]
        otherwise = f"the batch {state.status}" + (f": {told}" if told else "")
        yield from answers(results, asked, self._chat, found, processing="batch", otherwise=otherwise)

    def _object(self, answer: Answer, *, needs: str = "id") -> dict[str, Any]:
        """The JSON object in an answer. Raises ModelError for anything else."""
        check_status(answer, self._wire)
        try:
            found = from_json(answer.body)
        except ValueError:
            found = None
        if not isinstance(found, dict) or needs not in found:
            shown = self._wire.clean(answer.body[:300].decode("utf-8", "replace"))
            raise ReplyUnreadable(
                f"{self._wire.name}: not what a batch API answers: {shown}", hint="does it have /files and /batches?"
            )
        return found

"""The parts of a batch job on disk: a file of requests each, and beside it what is known of it, and its answers.

All are written whole or not at all, so whatever a crash leaves behind can be gone on from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from proofset.errors import RecordError, StoreDamaged

ENDED = frozenset({"completed", "failed", "expired", "cancelled", "canceled"})
"""A provider's words for a batch that it will do nothing more for."""

_NAME = re.compile(r"part-(\d{4,})-r(\d+)\.jsonl")
_HEAD = re.compile(rb'\{"custom_id":"([\w-]+)","method":"POST","url":"([^"]+)","body":')


class Part:
    """One file of requests, and where its answers belong."""

    def __init__(self, folder: Path, number: int, turn: int = 1) -> None:
        """``turn`` 2 asks again for what is missing after turn 1, and so on."""
        self.number, self.turn = number, turn
        self.path = folder / f"part-{number:04d}-r{turn}.jsonl"

    def beside(self, kind: str) -> Path:
        """The file of that kind that belongs to this part: state.json, output.jsonl or errors.jsonl."""
        return self.path.with_suffix(f".{kind}")

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Keys and lines. Raises RecordError for a line that was not written here."""
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not (head := _HEAD.match(line)) or not line.endswith(b"\n"):
                    raise RecordError("not a line of a batch", path=self.path, line=number)
                yield head[1].decode(), line

    def endpoint(self) -> str:
        """What the requests are for; one a part."""
        with self.path.open("rb") as lines:
            head = _HEAD.match(lines.readline())
        if head is None:
            raise RecordError("not a line of a batch", path=self.path, line=1)
        return head[2].decode()

    def follow_up(self) -> Part:
        """The part that asks again for what is missing here."""
        return Part(self.path.parent, self.number, self.turn + 1)


def parts(folder: Path) -> list[Part]:
    """The parts in a folder, in order."""
    found = filter(None, map(part_at, folder.glob("part-*.jsonl")))
    return sorted(found, key=lambda part: (part.number, part.turn))


def part_at(path: Path) -> Part | None:
    """The part whose requests are in that file, by its name; None for any other file."""
    match = _NAME.fullmatch(path.name)
    return Part(path.parent, int(match[1]), int(match[2])) if match else None


def put(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all, power cuts included."""
    draft = path.with_name(f".{path.name}.tmp")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@dataclass(slots=True, kw_only=True)
class State:
    """What is known of a part; a small JSON file beside it."""

    lines: int
    status: str = "written"
    """written, uploading, uploaded, creating, and then what the provider says."""
    file_id: str = ""
    batch_id: str = ""
    output_file_id: str = ""
    error_file_id: str = ""
    answered: int = 0
    faults: list[dict[str, Any]] = field(default_factory=list)
    """What the provider says is wrong with the file, with the line where it says so."""
    fetched: bool = False

    @classmethod
    def of(cls, part: Part) -> State:
        """What is known of ``part``. Raises StoreDamaged when its state cannot be read."""
        path = part.beside("state.json")
        try:
            return cls(**from_json(path.read_bytes()))
        except FileNotFoundError:
            return cls(lines=sum(1 for _ in part.lines()))
        except (TypeError, ValueError) as error:
            hint = "what does the provider say of it?"
            raise StoreDamaged(f"{path}: not the state of a batch", hint=hint) from error

    def save(self, part: Part, status: str = "") -> None:
        """Put it on disk; with a new ``status`` where one is given."""
        self.status = status or self.status
        put(part.beside("state.json"), to_json(asdict(self), indent=1))

    def take_over(self, batch: Mapping[str, Any]) -> None:
        """What the provider says of the batch now."""
        self.status = str(batch.get("status") or self.status)
        self.output_file_id = str(batch.get("output_file_id") or "")
        self.error_file_id = str(batch.get("error_file_id") or "")
        counts, told = batch.get("request_counts"), batch.get("errors")
        if isinstance(counts, dict):
            self.answered = int(counts.get("completed") or 0) + int(counts.get("failed") or 0)
        if isinstance(told, dict):
            self.faults = [fault for fault in told.get("data") or [] if isinstance(fault, dict)]

    @property
    def open(self) -> bool:
        """Whether the provider is at work on it."""
        return bool(self.batch_id) and self.status not in ENDED

    @property
    def crowded_out(self) -> bool:
        """Whether it failed only because the provider holds as many tokens of this account as it will."""
        return self.status == "failed" and any(fault.get("code") == "token_limit_exceeded" for fault in self.faults)

    def begin_again(self) -> None:
        """Forget the batch, keep the uploaded file: it is to be handed in once more."""
        self.status, self.batch_id, self.faults = "uploaded", "", []

    def blamed(self) -> dict[int, str]:
        """Lines, from 1, that the provider would not take, and why."""
        told = {fault.get("line"): str(fault.get("message") or fault.get("code")) for fault in self.faults}
        return {line: why for line, why in told.items() if isinstance(line, int)}

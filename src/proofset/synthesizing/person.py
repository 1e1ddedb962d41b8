"""A person's review, as one more judge: what somebody has decided holds, and is asked of nobody again.

A file of JSON lines, one decision each: ``{"text": "…", "label": "…", "accept": false, "why": "…"}``. A text that was
accepted still has to pass the other judges; one that was refused is out. The latest decision on a text counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from proofset.errors import RecordError
from proofset.nouns.candidate import Brief, Candidate, Verdict
from proofset.nouns.record import normal_form
from proofset.synthesizing.gates import accept, reject


class Line(BaseModel):
    """One decision, as it stands in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    text: str
    """The candidate's text; case and white space do not matter."""
    label: str
    """The label it was made for."""
    accept: bool
    """Whether it may stand."""
    why: str = ""
    """The person's reason, for people."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision and the line it stands in."""

    line: int
    accept: bool
    why: str


Decisions = Mapping[tuple[str, str], Decided]
"""Decisions by label and normal form of the text."""


def read_decisions(path: Path) -> Decisions:
    """The decisions in a file. Raises RecordError with file and line for one that cannot be read."""
    found: dict[tuple[str, str], Decided] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"cannot be read: {error}", path=path, hint="proofset review writes such a file") from error
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            line = Line.model_validate(json.loads(text))
        except (ValueError, ValidationError) as error:
            where = error.errors()[0]["loc"] if isinstance(error, ValidationError) else ()
            field = str(where[0]) if where else ""
            raise RecordError(
                "no decision", path=path, line=number, field=field, hint='{"text": "…", "label": "…", "accept": true}'
            ) from error
        found[line.label, normal_form(line.text)] = Decided(number, line.accept, line.why)
    return found


class PersonJudge:
    """A Judge that knows what a person has decided. Reason: refused by a person. Evidence: the line of the decision."""

    name = "person"

    def __init__(self, decisions: Decisions) -> None:
        """Go by these decisions, and let pass what nobody has seen."""
        self._decisions = decisions

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse what was refused."""
        decided = self._decisions.get((brief.label, normal_form(candidate.text)))
        if decided is None or decided.accept:
            return accept(self.name, candidate)
        return reject(self.name, candidate, "refused by a person", decided.why, f"line {decided.line}")

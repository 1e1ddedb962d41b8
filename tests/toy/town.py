"""A toy study that needs no download: notices of a small town, three subjects, one of them rare.

``python town.py FOLDER SECONDS`` walks the path with scripted models that take SECONDS a reply, so that a test can kill
the process on its way. ``python town.py FOLDER SECONDS ARGUMENT …`` is the command line ``proofset ARGUMENT …`` with
the same models.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from proofset import cli, pipeline, speaking, staging
from proofset.config import Study
from proofset.models.scripted import ScriptedChat
from proofset.plugins import Reply, Request
from proofset.runs.folder import Run
from proofset.walk import Walk, nothing

WORDS = {
    subject: words.split()
    for subject, words in {
        "market": "apples bread cheese stall price fresh morning baker honey basket plums eggs cheap ripe",
        "council": "meeting vote mayor budget minutes chamber agenda motion clerk ward petition tax bylaw quorum",
        "storm": "wind rain flood roof gale river warning thunder lightning shelter branches hail surge dyke",
    }.items()
}
SHARED = "the town on monday will bring for all near old bridge and then people with from"
COMMON = SHARED.split()
COUNTS = {"market": 60, "council": 60, "storm": 14}

STUDY = """
name = "town"
title = "Notices of a small town"
seed = {seed}

[ingest]
path = "notices.csv"
label = "subject"

[audit]
folds = 3

[synthesize]
quota = 12
max_briefs = 40
window = 3
anchors = 4
prompts_per_slice = 3

[synthesize.critic]
threshold = 0.5
trial = 0

[train]
seeds = 2
strengths = [1.0, 10.0]
weights = [1.0, 0.25]

[measure]
draws = 40

[prove]
resamples = 300
"""


CRITIC_MODEL = """
[synthesize.critic.model]
"""
"""Added to the study, it has a critic model beside the panel of heads, believed untried; its settings are the
defaults."""


def notice(subject: str, rng: random.Random) -> str:
    """Eight to twelve words, most of them of the subject."""
    own = rng.sample(WORDS[subject], rng.randint(5, 7))
    words = own + rng.sample(COMMON, rng.randint(3, 5))
    rng.shuffle(words)
    return " ".join(words)


def write_town(folder: Path, *, seed: int = 3) -> Path:
    """The data and the study file; returns the latter's path."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    with (folder / "notices.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "subject"])
        for subject, count in COUNTS.items():
            writer.writerows([notice(subject, rng), subject] for _ in range(count))
    study = folder / "study.toml"
    study.write_text(STUDY.format(seed=seed), encoding="utf-8")
    return study


def amend(study_file: Path, *changes: tuple[str, str], more: str = "") -> Path:
    """Change the study: each text for another, which it must hold, and ``more`` at its end; returns its path."""
    text = study_file.read_text(encoding="utf-8")
    for before, after in changes:
        if before not in text:
            raise LookupError(f"the town's study has no {before!r}")
        text = text.replace(before, after)
    study_file.write_text(text + more, encoding="utf-8")
    return study_file


class HashEncoder:
    """Words hashed to signs in 64 dimensions, added up: enough for a toy."""

    name = "hashed words"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of shape ``(n_texts, 64)``."""
        vectors = np.array([self._vector(text) for text in texts], dtype=np.float32).reshape(len(texts), 64)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-9))
        return vectors

    def _vector(self, text: str) -> NDArray[np.float32]:
        total = np.zeros(64, dtype=np.float32)
        for word in text.casefold().split():
            bits = np.frombuffer(hashlib.blake2b(word.encode(), digest_size=8).digest(), dtype=np.uint8)
            total += np.unpackbits(bits).astype(np.float32) * 2 - 1
        return total


def speech(request: Request) -> str:
    """A notice of the subject whose words the prompt shows most; now and then one that a judge should refuse."""
    rng = random.Random(request.seed)
    subject = max(WORDS, key=lambda name: sum(request.prompt.count(word) for word in WORDS[name]))
    kind = rng.random()
    if kind < 0.1:
        return "again " * 12
    if kind < 0.2:
        subject = rng.choice(sorted(set(WORDS) - {subject}))
    return notice(subject, rng)


def opinion(request: Request) -> str:
    """What the critic model says: most candidates may stand; which ones may not, their words decide."""
    candidate = request.messages[1].content.rpartition("Candidate:\n- ")[2]
    kind = hashlib.blake2b(candidate.encode(), digest_size=1).digest()[0] % 10
    if kind == 0:
        return "I cannot tell."
    accept = kind > 2
    reason = "none" if accept else "unnatural"
    return json.dumps({"accept": accept, "reason": reason, "critique": f"It begins with {candidate.split()[0]}."})


class SlowChat(ScriptedChat):
    """A scripted model that takes its time, more or less of it, and a hundredth of a core-second a reply."""

    def __init__(self, seconds: float, answer: Callable[[Request], str] = speech, name: str = "scripted") -> None:
        super().__init__(answer)
        self.name, self._seconds = name, seconds

    async def reply(self, request: Request) -> Reply:
        """The scripted text, after a while that depends on the request."""
        await asyncio.sleep(self._seconds * (0.2 + (request.seed or len(request.messages[-1].content)) % 7 / 4))
        reply = await super().reply(request)
        return replace(reply, usage=replace(reply.usage, core_seconds=0.01))


def critic(seconds: float = 0.0) -> SlowChat:
    """The critic model of the town."""
    return SlowChat(seconds, opinion, "scripted critic")


def walk_town(
    study_file: Path,
    runs: Path,
    *,
    seconds: float = 0.0,
    verb: str = "report",
    reader: SlowChat | None = None,
    store: Path | None = None,
    writer: SlowChat | None = None,
    notice: Callable[[str], None] = nothing,
) -> SlowChat:
    """Walk the path as far as ``verb``; returns the generator, which knows what it was asked.

    ``reader`` is the critic model, where the study asks for one. Replies are kept in ``store``: where none is given, in
    one of the study's own, beside ``runs``. ``writer`` is the generator, and ``notice`` hears what a person would.
    """
    study, model = Study.read(study_file), writer or SlowChat(seconds)
    staging.speaker = lambda walk: model
    Walk.encoder = HashEncoder()  # type: ignore[assignment]
    os.environ["PROOFSET_RESPONSES"] = str(store or runs.parent / "responses")
    settings, text = study.model_dump(mode="json"), study_file.read_text(encoding="utf-8")
    with (
        patch.object(speaking, "make", lambda *_: reader or critic(seconds)),
        Run.open(runs / study.name, settings, text) as run,
    ):
        pipeline.perform(Walk(run, study, study_file.parent, notice=notice), verb)
    return model


def command(folder: Path, seconds: float, arguments: Sequence[str]) -> None:
    """The command line with the town's models; it ends the process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started the tests in the background
    staging.speaker = lambda walk: SlowChat(seconds)
    Walk.encoder = HashEncoder()  # type: ignore[assignment]
    os.environ["PROOFSET_RESPONSES"] = str(folder / "responses")
    sys.argv = ["proofset", *arguments]
    with patch.object(speaking, "make", lambda *_: critic(seconds)):
        cli.main()


if __name__ == "__main__":
    town_folder, each_s = Path(sys.argv[1]), float(sys.argv[2])
    if len(sys.argv) > 3:
        command(town_folder, each_s, sys.argv[3:])
    else:
        walk_town(town_folder / "study.toml", town_folder / "runs", seconds=each_s, verb="handoff")

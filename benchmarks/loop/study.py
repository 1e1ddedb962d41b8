"""The study that is walked: banking77 with twenty intents cut down to five questions each."""

from __future__ import annotations

import csv
import os
import random
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

STARVED, KEPT, HELD_OUT = 20, 5, 40
"""Intents that starve, questions left to each for training, and those it is examined on."""
SHARE = 0.235
"""Share of all other intents that is held out: as many questions as banking77's own test set has."""
WHERE = "PolyAI's banking77 (CC BY 4.0): train.csv and test.csv, with the columns text and category"

STUDY = """
name = "loop"
title = "Twenty starved intents of a bank's customers"
seed = {seed}

[ingest]
path = "questions.csv"
label = "category"
heldout_share = {share}
keep = {{ {keep} }}

[audit]
edge_max_records = {kept}

[audit.titles]
{titles}

[train]
strengths = [10.0]

[synthesize]
quota = {quota}
max_briefs = {briefs}
patience = {briefs}
companions = 0.0
anchors = 5
prompts_per_slice = 10
heading = "Questions of a bank's customers about {{title}}:"
{loop}

[synthesize.model]
engine = "openvino"
slots = 32
threads = 1

[synthesize.sampling]
max_tokens = 40

[synthesize.critic]
views = ["meaning", "sentences"]
title_weight = 3.0
strength = 3.0
threshold = {threshold}
"""

LOOPS = {
    "uniform": 'strategies = ["titled", "free", "crossing"]',
    "adversary": 'strategies = ["titled", "free", "crossing"]\nadversary = 0.7',
    "revised": 'strategies = ["titled", "free", "crossing"]\nrevisions = 1',
}
"""The loops that are compared, as lines of the study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is asked for."""

    quota: int
    briefs: int
    threshold: float


FULL, QUICK = Size(quota=80, briefs=140, threshold=0.5), Size(quota=8, briefs=16, threshold=0.5)


@dataclass(frozen=True, slots=True)
class Questions:
    """All of banking77: texts with their intents, training set first."""

    texts: tuple[str, ...]
    intents: tuple[str, ...]
    train: int
    """How many of them are the training set."""

    @classmethod
    def read(cls, folder: Path) -> Questions:
        """Both files out of a folder; the program ends with a word on where to get them."""
        parts = []
        for name in ("train.csv", "test.csv"):
            path = folder / name
            if not path.is_file():
                raise SystemExit(f"{path} is not there. Get {WHERE}, and give the folder by --data.")
            with path.open(encoding="utf-8", newline="") as file:
                parts.append([(row["text"], row["category"]) for row in csv.DictReader(file)])
        texts, intents = zip(*(parts[0] + parts[1]), strict=True)
        return cls(texts, intents, len(parts[0]))


def titled(intent: str) -> str:
    """An intent in words."""
    return intent.replace("_", " ").replace("?", "").lower()


def starved(questions: Questions, seed: int) -> tuple[str, ...]:
    """The intents that starve under a seed."""
    return tuple(sorted(random.Random(seed).sample(sorted(set(questions.intents)), STARVED)))


def write(folder: Path, questions: Questions, seed: int, loop: str, size: Size) -> Path:
    """The study of a seed with its data; the path of the study file."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, poor, of = random.Random(seed), starved(questions, seed), defaultdict[str, list[str]](list)
    for text, intent in zip(questions.texts, questions.intents, strict=True):
        of[intent].append(text)
    with (folder / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "category"])
        for intent in sorted(of):
            kept = rng.sample(of[intent], min(KEPT + HELD_OUT, len(of[intent]))) if intent in poor else of[intent]
            writer.writerows([text, intent] for text in kept)
    text = STUDY.format(
        seed=seed,
        share=SHARE,
        kept=KEPT,
        keep=", ".join(f'"{intent}" = {KEPT}' for intent in poor),
        titles="\n".join(f'"{intent}" = "{titled(intent)}"' for intent in sorted(of)),
        quota=size.quota,
        briefs=size.briefs,
        threshold=size.threshold,
        loop=LOOPS[loop],
    )
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def walk(path: Path, before: Path | None = None) -> float:
    """Walk the study as far as synthesis, on from a run that has audited the same; the seconds it took."""
    if before is not None:
        shutil.copytree(before / "runs", path.parent / "runs")
    began = time.monotonic()
    command = [sys.executable, "-m", "proofset", "synthesize", str(path), "--runs", str(path.parent / "runs"), "--json"]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    store = os.environ | one | {"PROOFSET_RESPONSES": str(path.parent / "responses")}
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=store, check=False)
    if done.returncode:
        raise SystemExit(f"proofset synthesize {path} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}")
    return time.monotonic() - began

"""OpenVINO in this process: several times llama.cpp's speed on processors with wide arithmetic, and the same words.

A GGUF file is turned once into a graph with plain 16-bit weights, kept beside other caches under the file's hash.
Before the engine may speak it has to show that it is still the model it was made from (see ``fidelity``). Requests are
batched as they come; each lane is one thread. Still a reply depends on its request alone, not on its neighbours or the
order, and that is what lets a killed run end with the same corpus.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from filelock import FileLock

from proofset.artifacts import cache_folder
from proofset.errors import ConfigError, MissingExtra, ModelRefused, ModelUnavailable
from proofset.models.batches import Lane, blocks_for
from proofset.models.fidelity import TEXTS, check_fidelity, log_probs, reference_nll
from proofset.models.gguf import LlamaFile
from proofset.models.graphs import Compiled, PagedLane, Row, save_graph
from proofset.models.local import check_gguf, idle_cores
from proofset.models.stopwatch import Stopwatch
from proofset.models.vocabulary import Vocabulary
from proofset.nouns.result import Usage
from proofset.plugins import Choice, Reply, Request

if TYPE_CHECKING:
    from proofset.speakers import Model

FORMAT = 1
"""Version of what is kept for a file; another one is made anew."""
ROWS_A_LANE = 8
"""Slots from which a further thread pays: with fewer rows a step is spent on fetching weights."""


class OpenVinoChat:
    """A ChatModel that continues prompts with a Llama out of a GGUF file, many at a time."""

    def __init__(self, settings: Model, path: Path) -> None:
        """Convert the file unless that was done, load it, and check that it is faithful.

        Raises MissingExtra without the packages, ConfigError for a file that cannot be used or an unfaithful engine.
        """
        check_gguf(path)
        _check_packages()
        folder = prepared(path)
        n_lanes = min(settings.threads or idle_cores(), max(1, settings.slots // ROWS_A_LANE))
        compiled = Compiled(folder / "model.xml", n_lanes)
        self.name = f"{path.stem} (OpenVINO {version('openvino')}, {compiled.precision})"
        self.parallel = settings.slots
        self._vocabulary = Vocabulary.load(folder)
        slots, context, size = -(-settings.slots // n_lanes), settings.context_tokens, compiled.block_tokens
        texts = [self._vocabulary.encode(text) for text in TEXTS]
        blocks = max(blocks_for(slots, context, size), len(texts) * _blocks(max(map(len, texts)), size))
        engines = [compiled.lane(blocks) for _ in range(n_lanes)]
        reference = float(json.loads((folder / "reference.json").read_text(encoding="utf-8"))["mean_nll"])
        self.nll = mean_nll(engines[0], texts)
        check_fidelity(self.name, self.nll, reference)
        meter = Stopwatch()
        self._lanes = [
            Lane(engine, self._vocabulary, meter, name=self.name, slots=slots, context_tokens=context)
            for engine in engines
        ]

    async def reply(self, request: Request) -> Reply:
        """Continue the prompt. Raises ReplyUnreadable where it does not fit, ModelRefused for what it cannot do."""
        if request.messages or request.schema:
            raise ModelRefused(
                f"{self.name}: continues a prompt with free text; it takes no turns and no schema",
                hint='use engine = "local", or engine = "chat" with a server',
            )
        if not self._lanes:
            raise ModelUnavailable(f"{self.name}: it was closed", hint="start it again")
        asked = [replace(request, seed=request.seed + request.sample + at, n=1, sample=0) for at in range(request.n)]
        replies = await asyncio.gather(*(asyncio.wrap_future(self._idlest().ask(one)) for one in asked))
        others = tuple(Choice(text=each.text, finish=each.finish) for each in replies[1:])
        return replace(replies[0], usage=_together([each.usage for each in replies]), others=others)

    def _idlest(self) -> Lane:
        return min(self._lanes, key=lambda lane: lane.load)

    async def close(self) -> None:
        """Stop the threads and free weights and caches."""
        lanes, self._lanes = self._lanes, []
        for lane in lanes:
            await asyncio.to_thread(lane.close)


def prepared(path: Path) -> Path:
    """The folder with what is kept for a GGUF file: graph, vocabulary and reference. Made now if it is not there.

    Raises ConfigError for a file that is no known Llama, and where nothing can be kept.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        folder = cache_folder() / "openvino" / f"{digest}-{FORMAT}"
        if folder.is_dir():  # whole, for it got its name by a rename; it may be one that cannot be written to
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(folder.name + ".lock")):
            if not folder.is_dir():
                _convert(path, folder)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be converted: {error}",
            hint="set PROOFSET_CACHE to a folder that can be written and has room for it",
        ) from error
    return folder


def _convert(path: Path, folder: Path) -> None:
    """Make the folder; it gets its name when it is whole."""
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        model = LlamaFile(path)
        vocabulary = Vocabulary.of(model)
        vocabulary.save(draft)
        save_graph(model, draft / "model.xml")
        reference = reference_nll(model, [vocabulary.encode(text) for text in TEXTS])
        (draft / "reference.json").write_text(json.dumps({"mean_nll": reference}), encoding="utf-8")
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def mean_nll(engine: PagedLane, texts: Sequence[Sequence[int]]) -> float:
    """Mean NLL by an idle engine: the first half of each text in one go, then all texts together token by token.

    So both ways in which a text is evaluated are seen, prompts and replies.
    """
    size = _blocks(max(map(len, texts)), engine.block_tokens)
    done, found = [0] * len(texts), list[float]()
    while alive := [at for at, text in enumerate(texts) if done[at] < len(text) - 1]:
        ends = [done[at] + 1 if done[at] else len(texts[at]) // 2 for at in alive]
        rows = [
            Row(texts[at][done[at] : end], done[at], range(at * size, at * size + _blocks(end, engine.block_tokens)))
            for at, end in zip(alive, ends, strict=True)
        ]
        following = [token for at, end in zip(alive, ends, strict=True) for token in texts[at][done[at] + 1 : end + 1]]
        found += log_probs(engine.evaluate(rows, every=True), following)
        for at, end in zip(alive, ends, strict=True):
            done[at] = end
    return -fmean(found)


def _blocks(tokens: int, size: int) -> int:
    return -(-tokens // size)


def _check_packages() -> None:
    """Raise MissingExtra unless the packages of the extra are there."""
    if missing := [name for name in ("openvino", "gguf") if find_spec(name) is None]:
        raise MissingExtra(
            f'no package {missing[0]} to run engine = "openvino" with', hint="pip install 'proofset[openvino]'"
        )


def _together(usages: Sequence[Usage]) -> Usage:
    """What several continuations of one prompt consumed."""
    counted = ("input_tokens", "cached_tokens", "output_tokens", "core_seconds")
    return replace(usages[0], **{name: sum(getattr(usage, name) for usage in usages) for name in counted})

"""Transformer loops: the loop of ``text_loops`` with a tiny transformer for a model.

Two layers, 64 wide, a few hundred steps: enough to forget by itself, and small enough for a processor. Needs torch,
which nothing else here does.
"""

from __future__ import annotations

import importlib
import itertools
import math
from collections import Counter
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from proofset.errors import MissingExtra
from proofset.measuring.text_loops import Learner, Policy, TextLoop, Texts, follow, tokenised

WIDTH, LAYERS, HEADS, LENGTH, BATCH, RATE = 64, 2, 4, 64, 32, 3e-3
"""The model and its training; ``LENGTH`` is the most words of a text that it reads."""
STARTS, NOTHING = 0, -100
"""The mark before a text, and the target that no loss is taken of."""


def transformer_loop(
    documents: Sequence[str],
    heldout: Sequence[str],
    *,
    policy: Policy = "replace",
    generations: int = 6,
    seed: int = 0,
    temperature: float = 1.0,
    vocabulary: int = 2_000,
    steps: int = 300,
) -> TextLoop:
    """Train a tiny transformer on ``documents``, let it say as many texts of their lengths, train the next, and so on.

    Texts are read by the first 64 of their words among the ``vocabulary`` most frequent ones; rarer words are passed
    over. Policies are those of ``text_loops.follow``, and each model is trained from nothing. Same inputs and seed,
    same loop, on the same machine and version of torch.

    When it lies: so few steps leave the model too smooth, a loss of its own beside that of sampling. It says pairs of
    words that nobody said before, so that distinct-2 rises while perplexity does, and words that are dead come back.
    Raises MissingExtra without torch.
    """
    torch = _torch()
    organic, other = tokenised(documents, "documents"), tokenised(heldout, "held-out documents")
    frequent = [word for word, _ in Counter(itertools.chain.from_iterable(organic)).most_common(vocabulary)]
    numbers = {word: number for number, word in enumerate(sorted(frequent), 1)}
    read, other = ([kept for text in texts if (kept := _read(text, numbers))] for texts in (organic, other))

    serial = itertools.count()

    def teach(training: Texts) -> Learner:
        chance = np.random.default_rng([seed, next(serial), 64])
        return _Transformer(torch, numbers, training, rng=chance, steps=steps, temperature=temperature)

    return follow(teach, read, other, policy=policy, generations=generations, seed=seed)


class _Transformer:
    """A causal transformer over words, with one matrix for words read and words said."""

    def __init__(
        self,
        torch: ModuleType,
        numbers: dict[str, int],
        training: Texts,
        *,
        rng: np.random.Generator,
        steps: int,
        temperature: float,
    ) -> None:
        self._torch, self._numbers, self._temperature = torch, numbers, temperature
        self._words = ["", *numbers]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            self._net = self._made()
        self._train(self._rows(training), steps, rng)

    def perplexity(self, texts: Texts) -> float:
        """The exponential of the mean loss a word."""
        torch, rows, total = self._torch, self._rows(texts), 0.0
        with torch.no_grad():
            for part in rows.split(BATCH):
                total += float(self._loss(part, "sum"))
        return math.exp(total / int((rows[:, 1:] != NOTHING).sum()))

    def say(self, lengths: Sequence[int], rng: np.random.Generator) -> Texts:
        """Texts of the given lengths, word by word, many side by side."""
        order = np.argsort(lengths, kind="stable")
        said: list[list[str]] = [[]] * len(lengths)
        chance = self._torch.Generator().manual_seed(int(rng.integers(2**62)))
        for at in np.array_split(order, math.ceil(len(order) / (8 * BATCH))):
            for place, tokens in zip(
                at.tolist(), self._drawn(len(at), max(lengths[i] for i in at), chance), strict=True
            ):
                said[place] = [self._words[token] for token in tokens[: lengths[place]]]
        return said

    def _drawn(self, texts: int, length: int, chance: Any) -> list[list[int]]:
        torch = self._torch
        tokens = torch.full((texts, 1), STARTS)
        with torch.no_grad():
            for _ in range(length):
                scores = self._scores(self._inner(tokens)[:, -1]) / self._temperature
                scores[:, STARTS] = -math.inf
                tokens = torch.cat([tokens, torch.multinomial(scores.softmax(-1), 1, generator=chance)], dim=1)
        drawn: list[list[int]] = tokens[:, 1:].tolist()
        return drawn

    def _made(self) -> Any:
        nn = self._torch.nn
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        net = nn.ModuleDict(
            {
                "words": nn.Embedding(len(self._words), WIDTH),
                "places": nn.Embedding(LENGTH, WIDTH),
                "layers": nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False),
                "norm": nn.LayerNorm(WIDTH),
            }
        )
        for name in ("words", "places"):
            nn.init.normal_(net[name].weight, std=0.05)
        return net

    def _inner(self, tokens: Any) -> Any:
        """What the model holds after each token: (n, length, WIDTH)."""
        net, length = self._net, tokens.shape[1]
        mask = self._torch.nn.Transformer.generate_square_subsequent_mask(length)
        inner = net["words"](tokens) + net["places"].weight[:length]
        return net["norm"](net["layers"](inner, mask=mask, is_causal=True))

    def _scores(self, inner: Any) -> Any:
        return inner @ self._net["words"].weight.T

    def _loss(self, rows: Any, reduction: str) -> Any:
        scores = self._scores(self._inner(rows[:, :-1].clamp(min=STARTS)))
        return self._torch.nn.functional.cross_entropy(
            scores.flatten(0, 1), rows[:, 1:].flatten(), ignore_index=NOTHING, reduction=reduction
        )

    def _train(self, rows: Any, steps: int, rng: np.random.Generator) -> None:
        optimizer = self._torch.optim.AdamW(self._net.parameters(), lr=RATE, weight_decay=0.01)
        for step in range(steps):
            chosen = self._torch.from_numpy(rng.integers(0, len(rows), BATCH))
            for group in optimizer.param_groups:
                group["lr"] = RATE * min((step + 1) / 20, (steps - step) / steps)
            optimizer.zero_grad()
            self._loss(rows[chosen], "mean").backward()
            optimizer.step()

    def _rows(self, texts: Texts) -> Any:
        """Texts as numbers (n, LENGTH + 1), each after its mark and filled up with what no loss is taken of."""
        rows = np.full((len(texts), LENGTH + 1), NOTHING, dtype=np.int64)
        rows[:, 0] = STARTS
        for at, text in enumerate(texts):
            rows[at, 1 : len(text) + 1] = [self._numbers[word] for word in text]
        return self._torch.from_numpy(rows)


def _read(text: Sequence[str], numbers: dict[str, int]) -> list[str]:
    return [word for word in text if word in numbers][:LENGTH]


def _torch() -> ModuleType:
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise MissingExtra("a transformer loop needs torch", hint="pip install 'proofset[lab]'") from error

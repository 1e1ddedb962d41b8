"""What else could be done with five questions: say them again, shuffle their words, or mix their vectors."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 4


def edited(texts: Sequence[str], n: int, seed: int) -> list[str]:
    """``n`` texts by easy data augmentation without a thesaurus: swapped, dropped, repeated words (Wei & Zou 2019)."""
    rng = random.Random(f"{seed}/edited")
    return [_edit(texts[number % len(texts)].split(), rng) for number in range(n)]


def _edit(words: list[str], rng: random.Random) -> str:
    words, changes = list(words), max(1, round(0.15 * len(words)))
    for _ in range(changes):
        how, place = rng.randrange(3), rng.randrange(len(words))
        if how == 0:
            other = rng.randrange(len(words))
            words[place], words[other] = words[other], words[place]
        elif how == 1 and len(words) > 3:
            del words[place]
        else:
            words.insert(rng.randrange(len(words) + 1), words[place])
    return " ".join(words)


def mixed(vectors: NDArray[np.float32], n: int, seed: int) -> NDArray[np.float32]:
    """``n`` vectors ``(n, d)`` between a record's and a near one's of the same intent (SMOTE, Chawla et al. 2002)."""
    rng = np.random.default_rng([seed, 1])
    near = np.argsort(-(vectors @ vectors.T), axis=1)[:, 1 : NEIGHBOURS + 1]
    first = rng.integers(len(vectors), size=n)
    second = near[first, rng.integers(near.shape[1], size=n)]
    made = vectors[first] + rng.random((n, 1), dtype=np.float32) * (vectors[second] - vectors[first])
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)

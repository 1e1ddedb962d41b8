"""From token scores to the next token, by a request's own settings and its own randomness.

Filters come in llama.cpp's order: the k most probable, then the nucleus among them, then those not far below the best,
and the temperature last. So a study means the same whichever engine in this process answers it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proofset.plugins import Request

STRIDES = 64
"""Scores are looked through in so many interleaved parts; a multiple of what a processor compares at once."""


def dice(request: Request) -> np.random.Generator:
    """The randomness of one request: the same for equal requests, whatever else is asked meanwhile."""
    return np.random.default_rng((request.seed % 2**63, request.sample % 2**63))


def draw(scores: NDArray[np.float32], request: Request, rng: np.random.Generator) -> int:
    """The next token, given the scores of all tokens, of shape ``(n_vocabulary,)``."""
    if request.temperature <= 0:
        return int(scores.argmax())
    tokens = _best(scores, request.top_k)
    kept = scores[tokens].astype(np.float64)  # sorted, the best first
    shares = _softmax(kept)
    if request.top_p < 1:
        n = 1 + int(np.searchsorted(np.cumsum(shares), request.top_p))  # the one that reaches it is in
        kept, shares = kept[:n], _softmax(kept[:n])
    if request.min_p > 0:
        kept = kept[shares >= request.min_p * shares[0]]
    chances = np.cumsum(_softmax(kept / request.temperature))
    return int(tokens[min(int(np.searchsorted(chances, rng.random(), side="right")), len(kept) - 1)])


def _best(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The ``k`` best tokens (0: all), the best first, lower numbers first among equals."""
    if not 0 < k < len(scores):
        return np.argsort(-scores, kind="stable")
    # k parts have a best score no lower than the k-th best part's. So the k best scores are none of them lower either,
    # and few others are as high.
    whole = len(scores) // STRIDES
    parts = scores[: whole * STRIDES].reshape(STRIDES, whole).max(axis=0) if k <= whole else scores
    bar = np.partition(parts, len(parts) - k)[len(parts) - k]
    tokens = np.flatnonzero(scores >= bar)
    order = np.argsort(-scores[tokens], kind="stable")
    return tokens[order[:k]]


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(scores - scores.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)

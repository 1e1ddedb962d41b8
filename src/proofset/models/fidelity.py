"""Is an engine the model it claims to be? Its surprise at a fixed text, against the weights computed plainly.

A fast engine may round weights, fuse operations or read a file wrongly, and still write fluent text. So before it may
speak, its mean negative log-likelihood (NLL, nats a token) on a shipped text is compared with that of the dequantised
weights, which is computed here step by step in numpy: no kernels, no cache, nothing shared with any engine.

It lies where a fault needs longer texts than these to show, or other words; and equal likelihood is not equal sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofset.errors import ConfigError
from proofset.models.gguf import LlamaFile

TOLERANCE = 0.01
"""Largest relative difference of mean NLL at which an engine counts as faithful."""

TEXTS = (
    "The lighthouse keeper kept a diary for thirty years. Every evening, after he had trimmed the lamp and wound the "
    "clock, he wrote down the wind, the height of the water, and the names of the ships that had passed. On most days "
    "there was little to tell. In winter the sea was grey and empty, and the gulls stood on the rocks.",
    "A small town needs a few things to work: water that is safe to drink, a road that does not flood, a school, a "
    "doctor, and somebody who knows how to repair a pump. When one of these is missing, people notice at once. When "
    "all of them are there, nobody thinks about them at all.",
    "To make bread you mix flour, water, salt and yeast, and then you wait. The dough rises slowly in a cold kitchen "
    "and quickly in a warm one. Fold it over a few times, and let it rest again before you put it into a very hot "
    "oven. After about 40 minutes the crust should be brown and the loaf should sound hollow.",
    '"Are you coming with us on Saturday?" she asked. "I would like to," he said, "but my sister is moving to a new '
    'flat and I have promised to carry boxes. Call me on Sunday, and tell me how it was."\n\n'
    "- Price: $12.50 (was $19.99)\n- Contact: info@example.org, 8:30 to 17:00",
)
"""The pinned sample: prose, instructions, speech, and a list with numbers. Changing it changes every reference."""


def log_probs(scores: NDArray[np.float32], following: Sequence[int]) -> list[float]:
    """The log probability (nats) that each row of scores, ``(n, n_vocabulary)``, gives to the token that follows."""
    found = []
    for row, token in zip(scores, following, strict=True):
        exact = row.astype(np.float64)  # one row at a time: a vocabulary is wide
        exact -= exact.max()
        found.append(float(exact[token] - np.log(np.exp(exact).sum())))
    return found


def reference_nll(model: LlamaFile, texts: Sequence[Sequence[int]]) -> float:
    """Mean NLL of each token of ``texts`` but the first, given those before it, by the plain arithmetic."""
    found = zip(texts, reference_scores(model, texts), strict=True)
    return -fmean(told for text, scores in found for told in log_probs(scores[:-1], text[1:]))


def forced_nll(complete: Callable[[dict[str, Any]], dict[str, Any]], texts: Sequence[Sequence[int]]) -> float:
    """The same mean for llama.cpp, which tells no scores of a prompt: every token is forced in turn, and its log
    probability before forcing is read.
    """
    found = []
    for tokens in texts:
        for at in range(1, len(tokens)):
            asked = {"prompt": list(tokens[:at]), "max_tokens": 1, "temperature": 0.0, "logprobs": 1, "n_probs": 1}
            answer = complete(asked | {"logit_bias": [[tokens[at], 1000.0]], "cache_prompt": True})
            (told,) = answer["choices"][0]["logprobs"]["content"]
            if told["id"] != tokens[at]:
                raise ConfigError(
                    f"token {tokens[at]} could not be forced: {told['id']} came", hint="another llama.cpp?"
                )
            found.append(float(told["logprob"]))
    return -fmean(found)


def check_fidelity(engine: str, found: float, reference: float, *, tolerance: float = TOLERANCE) -> None:
    """Raise ConfigError, with the numbers, unless ``found`` is within ``tolerance`` of ``reference``."""
    difference = found / reference - 1.0
    if not abs(difference) <= tolerance:  # so written, "not a number" is refused as well
        raise ConfigError(
            f"{engine} is not faithful to its weights: mean NLL {found:.4f} nats a token on the pinned text, where the "
            f"weights give {reference:.4f} ({difference:+.1%}, allowed ±{tolerance:.0%})",
            hint='use engine = "local", and report the versions of engine and processor',
        )


def reference_scores(model: LlamaFile, texts: Sequence[Sequence[int]]) -> Iterator[NDArray[np.float32]]:
    """Token scores of every text by the architecture's plain arithmetic, in 32-bit floats, layer after layer."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # threads that wait for each other on a busy machine take many times as long as one
        states = [model.weight("token_embd")[list(tokens)] for tokens in texts]
        for layer in range(model.sizes.layers):
            states = _layer(model, f"blk.{layer}", states)
        scale, head = model.weight("output_norm"), model.weight(model.head)
        for state in states:
            yield _normed(state, scale, model.sizes.epsilon) @ head.T


def _layer(model: LlamaFile, at: str, states: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """The states of all texts after one more layer; a layer's weights are read once."""
    sizes = model.sizes
    q, k, v, o, gate, up, down = (
        model.weight(f"{at}.{part}").T
        for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    )
    attention_scale, mlp_scale = model.weight(f"{at}.attn_norm"), model.weight(f"{at}.ffn_norm")
    after = []
    for before in states:
        normed = _normed(before, attention_scale, sizes.epsilon)
        queries, keys, values = (_heads(normed @ part, sizes.head_width) for part in (q, k, v))
        queries, keys = _rotated(queries, sizes.rope_base), _rotated(keys, sizes.rope_base)
        state = before + _attention(queries, keys, values) @ o
        normed = _normed(state, mlp_scale, sizes.epsilon)
        gated = normed @ gate
        after.append(state + (gated / (1.0 + np.exp(-gated)) * (normed @ up)) @ down)
    return after


def _normed(state: NDArray[np.float32], scale: NDArray[np.float32], epsilon: float) -> NDArray[np.float32]:
    """States of shape ``(n, width)`` over their root mean square, times a scale."""
    root = np.sqrt((state * state).mean(axis=1, keepdims=True) + np.float32(epsilon))
    return np.asarray(state / root * scale, dtype=np.float32)


def _heads(flat: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """``(n, heads * width)`` to ``(heads, n, width)``."""
    return flat.reshape(len(flat), -1, width).swapaxes(0, 1)


def _rotated(heads: NDArray[np.float32], base: float) -> NDArray[np.float32]:
    """Each pair of neighbours turned by an angle that grows with its position, as the file's weights want it."""
    _, n, width = heads.shape
    angles = np.outer(np.arange(n), base ** (-np.arange(0, width, 2) / width))
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    even, odd = heads[..., 0::2], heads[..., 1::2]
    return np.stack([even * cos - odd * sin, odd * cos + even * sin], axis=-1).reshape(heads.shape)


def _attention(
    queries: NDArray[np.float32], keys: NDArray[np.float32], values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Causal attention; several query heads share a key head. Returns ``(n, heads * width)``."""
    heads, n, width = queries.shape
    shared = heads // len(keys)
    keys, values = keys.repeat(shared, axis=0), values.repeat(shared, axis=0)
    logits = queries @ keys.swapaxes(1, 2) / np.float32(np.sqrt(width))
    logits = logits + np.triu(np.full((n, n), -np.inf, dtype=np.float32), 1)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.asarray(weights @ values, dtype=np.float32).swapaxes(0, 1).reshape(n, heads * width)

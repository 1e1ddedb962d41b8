"""The gate: what the weights say of a text, computed plainly, against what an engine says."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset import artifacts
from proofset.errors import ConfigError
from proofset.models.fidelity import TEXTS, check_fidelity, forced_nll, log_probs, reference_nll, reference_scores
from proofset.models.gguf import LlamaFile
from proofset.models.local import LocalChat
from proofset.models.vocabulary import Vocabulary
from proofset.speakers import Model

Make = Callable[..., Path]


def test_what_is_flat_finds_every_token_alike() -> None:
    assert log_probs(np.full((2, 50), 3.0, dtype=np.float32), [4, 0]) == pytest.approx([-math.log(50)] * 2)


def test_what_is_sure_is_not_surprised() -> None:
    assert log_probs(np.eye(9, dtype=np.float32)[[3, 5]] * 900, [3, 5]) == pytest.approx([0, 0])
    assert log_probs(np.eye(9, dtype=np.float32)[[3]] * 900, [4]) == pytest.approx([-900])


@pytest.mark.parametrize("found", [3.0, 2.9701, 3.0299])
def test_within_one_percent_is_faithful(found: float) -> None:
    check_fidelity("engine", found, 3.0)


@pytest.mark.parametrize(("found", "told"), [(3.031, "+1.0%"), (2.969, "-1.0%"), (4.1, "+36.7%"), (math.nan, "nan")])
def test_beyond_one_percent_is_refused_with_the_numbers(found: float, told: str) -> None:
    with pytest.raises(ConfigError, match="not faithful") as caught:
        check_fidelity("engine 1.0", found, 3.0)
    for part in ("engine 1.0", f"{found:.4f}", "3.0000", told):
        assert part in str(caught.value)
    assert caught.value.hint


def plain_scores(model: LlamaFile, tokens: list[int]) -> NDArray[np.float64]:
    """The same model once more, number by number in 64 bits: loops where the reference has products of matrices."""
    sizes = model.sizes

    def normed(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        root = math.sqrt(float(x @ x) / len(x) + sizes.epsilon)
        return np.asarray(x / root * model.weight(name), dtype=np.float64)

    def turned(x: NDArray[np.float64], at: int) -> NDArray[np.float64]:
        pairs = x.reshape(-1, sizes.head_width // 2, 2)
        angles = at * sizes.rope_base ** (-2 * np.arange(sizes.head_width // 2) / sizes.head_width)
        whirled = (pairs[..., 0] + 1j * pairs[..., 1]) * np.exp(1j * angles)
        return np.stack([whirled.real, whirled.imag], axis=-1).reshape(-1, sizes.head_width)

    states = model.weight("token_embd").astype(np.float64)[tokens]
    for layer in range(sizes.layers):
        part = {name: model.weight(f"blk.{layer}.{name}").astype(np.float64) for name in (
            "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")}  # fmt: skip
        normal = [normed(state, f"blk.{layer}.attn_norm") for state in states]
        keys = [turned(part["attn_k"] @ x, at) for at, x in enumerate(normal)]
        values = [(part["attn_v"] @ x).reshape(-1, sizes.head_width) for x in normal]
        for at, x in enumerate(normal):
            heard = []
            for head, query in enumerate(turned(part["attn_q"] @ x, at)):
                group = head * sizes.kv_heads // sizes.heads
                weights = np.exp([query @ keys[past][group] / math.sqrt(sizes.head_width) for past in range(at + 1)])
                heard.append(sum(w * values[past][group] for past, w in enumerate(weights / weights.sum())))
            states[at] = states[at] + part["attn_output"] @ np.concatenate(heard)
            y = normed(states[at], f"blk.{layer}.ffn_norm")
            gate = part["ffn_gate"] @ y
            states[at] = states[at] + part["ffn_down"] @ (gate / (1 + np.exp(-gate)) * (part["ffn_up"] @ y))
    return np.stack([model.weight(model.head) @ normed(state, "output_norm") for state in states])


@pytest.mark.parametrize("tied", [True, False])
def test_the_reference_is_what_the_weights_say(make_gguf: Make, tied: bool) -> None:
    model = LlamaFile(make_gguf(tied=tied))
    tokens = Vocabulary.of(model).encode("the man than 12 anthems\n")
    (found,) = reference_scores(model, [tokens])
    np.testing.assert_allclose(found, plain_scores(model, tokens), atol=2e-3)


def test_texts_do_not_see_each_other(make_gguf: Make) -> None:
    model = LlamaFile(make_gguf())
    texts = [Vocabulary.of(model).encode(text) for text in ("the man", "than 12")]
    for text, found in zip(texts, reference_scores(model, texts), strict=True):
        np.testing.assert_allclose(found, next(reference_scores(model, [text])), atol=1e-4)


def test_the_first_token_of_a_text_does_not_count(make_gguf: Make) -> None:
    model = LlamaFile(make_gguf())
    (scores,) = reference_scores(model, [[7, 8, 9]])
    assert reference_nll(model, [[7, 8, 9]]) == pytest.approx(-sum(log_probs(scores[:2], [8, 9])) / 2)


class Forcible:
    """llama.cpp's completions, as far as they are used, by a model that finds every token equally likely."""

    obeys = True

    def complete(self, payload: dict[str, Any]) -> dict[str, Any]:
        ((token, _),) = payload["logit_bias"]
        told = {"id": token if self.obeys else 0, "logprob": -math.log(50)}
        return {"choices": [{"logprobs": {"content": [told]}}]}


def test_every_token_of_a_text_is_forced() -> None:
    engine = Forcible()
    assert forced_nll(engine.complete, [[1, 2, 3], [4, 5]]) == pytest.approx(math.log(50))
    engine.obeys = False
    with pytest.raises(ConfigError, match="could not be forced"):
        forced_nll(engine.complete, [[1, 2, 3]])


def test_the_sample_is_a_few_hundred_words_of_several_kinds() -> None:
    assert 150 < sum(len(text.split()) for text in TEXTS) < 400
    assert len(TEXTS) == 4


@pytest.mark.slow
def test_llama_cpp_is_faithful_to_the_pinned_weights() -> None:
    pytest.importorskip("gguf")
    path = artifacts.locate("artifact:smollm2-135m-instruct", Path())
    model = LlamaFile(path)
    texts = [Vocabulary.of(model).encode(text) for text in TEXTS]
    engine = LocalChat(Model(threads=1, slots=1, context_tokens=512), path)
    server = engine._idle[0].server
    check_fidelity(
        engine.name,
        forced_nll(lambda payload: dict(server.handle_completions(payload)), texts),
        reference_nll(model, texts),
    )

"""For all models: no proxy of this machine's; and a Llama small enough to be made in a test.

It has two layers, bytes for a vocabulary, and the pinned model's formats.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

LAYERS, WIDTH, HEADS, KV_HEADS, INNER = 2, 64, 2, 1, 96
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = ("t h", "th e", "Ġ the", "a n")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the loopback is reached directly, whatever this machine has for a proxy."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """What was there before is not looked through again by tests that collect what they left."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def letters() -> list[str]:
    """The byte-level alphabet, written down anew."""
    plain = [byte for byte in range(256) if 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte <= 255]
    return [chr(byte) for byte in plain] + [chr(256 + at) for at in range(256 - len(plain))]


def write_gguf(path: Path, *, seed: int = 0, **changes: Any) -> Path:
    """A tiny GGUF file.

    ``changes``: another ``architecture``, ``pre`` or ``scaling``, with ``bos``, not ``tied``, ``extra`` tensors, or
    some that it is to ``drop``.
    """
    gguf = pytest.importorskip("gguf")
    file = gguf.GGUFWriter(path, changes.get("architecture", "llama"))
    file.add_block_count(LAYERS)
    file.add_context_length(512)
    file.add_embedding_length(WIDTH)
    file.add_feed_forward_length(INNER)
    file.add_head_count(HEADS)
    file.add_head_count_kv(KV_HEADS)
    file.add_rope_freq_base(10_000.0)
    file.add_layer_norm_rms_eps(1e-5)
    if "scaling" in changes:
        file.add_rope_scaling_type(gguf.RopeScalingType(changes["scaling"]))
    tokens = [*SPECIAL, *letters(), *(merge.replace(" ", "") for merge in MERGES)]
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre(changes.get("pre", "smollm"))
    file.add_token_list(tokens)
    file.add_token_types([3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)))
    file.add_token_merges(list(MERGES))
    file.add_eos_token_id(2)
    if changes.get("bos"):
        file.add_bos_token_id(1)
        file.add_add_bos_token(True)
    _add_weights(file, len(tokens), seed, changes)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


def _add_weights(file: Any, n_tokens: int, seed: int, changes: dict[str, Any]) -> None:
    """Random weights: matrices of 4 bits, an embedding of 8, the rest in full."""
    quants = pytest.importorskip("gguf.quants")
    kind, rng = pytest.importorskip("gguf").GGMLQuantizationType, np.random.default_rng(seed)

    def add(name: str, shape: tuple[int, ...], quantised: Any, scale: float = 0.3) -> None:
        plain = (rng.normal(size=shape) * scale + 0.02).astype(np.float32)
        if name not in changes.get("drop", ()):
            data = plain if quantised == kind.F32 else quants.quantize(plain, quantised)
            file.add_tensor(f"{name}.weight", data, raw_dtype=quantised)

    add("token_embd", (n_tokens, WIDTH), kind.Q8_0, 1.0)
    if not changes.get("tied", True):
        add("output", (n_tokens, WIDTH), kind.Q8_0)
    head = WIDTH // HEADS
    for at in (f"blk.{layer}" for layer in range(LAYERS)):
        for part, out, into in (
            ("attn_q", WIDTH, WIDTH), ("attn_k", KV_HEADS * head, WIDTH), ("attn_v", KV_HEADS * head, WIDTH),
            ("attn_output", WIDTH, WIDTH), ("ffn_gate", INNER, WIDTH), ("ffn_up", INNER, WIDTH),
            ("ffn_down", WIDTH, INNER),
        ):  # fmt: skip
            add(f"{at}.{part}", (out, into), kind.Q4_1)
    norms = [f"blk.{layer}.{part}" for layer in range(LAYERS) for part in ("attn_norm", "ffn_norm")]
    for name in ("output_norm", *norms, *changes.get("extra", ())):
        add(name, (WIDTH,), kind.F32, 1.0)


@pytest.fixture
def make_gguf(tmp_path: Path) -> Callable[..., Path]:
    """Writes tiny GGUF files; skips the test where the writer is not installed."""

    def make(name: str = "tiny", **changes: Any) -> Path:
        return write_gguf(tmp_path / f"{name}.gguf", **changes)

    return make

"""Weights are read as the numbers their blocks stand for, and what is not known is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from proofset.errors import ConfigError
from proofset.models.gguf import LlamaFile

gguf = pytest.importorskip("gguf")

Make = Callable[..., Path]


def test_sizes_are_read(make_gguf: Make) -> None:
    sizes = LlamaFile(make_gguf()).sizes
    assert (sizes.layers, sizes.width, sizes.heads, sizes.kv_heads, sizes.head_width) == (2, 64, 2, 1, 32)
    assert sizes.rope_base == 10_000.0
    assert sizes.epsilon == pytest.approx(1e-5)


def test_a_block_stands_for_d_times_q_plus_m(make_gguf: Make) -> None:
    path = make_gguf()
    (tensor,) = [each for each in gguf.GGUFReader(path).tensors if each.name == "blk.0.attn_q.weight"]
    raw = bytes(np.asarray(tensor.data).tobytes())
    rows = []
    for at in range(0, len(raw), 20):  # 2 bytes d, 2 bytes m, 32 numbers of 4 bits: the low halves first
        d, m = np.frombuffer(raw[at : at + 4], np.float16).astype(np.float32)
        packed = np.frombuffer(raw[at + 4 : at + 20], np.uint8)
        rows.append(d * np.concatenate([packed & 15, packed >> 4]).astype(np.float32) + m)
    found = LlamaFile(path).weight("blk.0.attn_q")
    assert found.shape == (64, 64)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.concatenate(rows).reshape(64, 64))


def test_a_block_of_eight_bits_is_symmetric(make_gguf: Make) -> None:
    path = make_gguf()
    (tensor,) = [each for each in gguf.GGUFReader(path).tensors if each.name == "token_embd.weight"]
    block = bytes(np.asarray(tensor.data).tobytes())[:34]
    d, q = np.frombuffer(block[:2], np.float16).astype(np.float32), np.frombuffer(block[2:], np.int8)
    np.testing.assert_array_equal(LlamaFile(path).weight("token_embd")[0, :32], d * q)


def test_the_head_is_the_embedding_unless_there_is_another(make_gguf: Make) -> None:
    assert LlamaFile(make_gguf()).head == "token_embd"
    assert LlamaFile(make_gguf("untied", tied=False)).head == "output"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"architecture": "qwen2"}, "architecture is 'qwen2'"),
        ({"extra": ("blk.0.attn_q_norm",)}, "blk.0.attn_q_norm"),
        ({"extra": ("rope_freqs",)}, "rope_freqs"),
        ({"drop": ("blk.1.ffn_up",)}, "blk.1.ffn_up"),
        ({"scaling": "yarn"}, "yarn"),
    ],
)
def test_what_is_not_known_is_refused_by_name(make_gguf: Make, changes: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        LlamaFile(make_gguf(**changes))
    assert caught.value.hint


def test_a_quantisation_that_cannot_be_read_is_named(make_gguf: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LlamaFile(make_gguf())

    def fail(*given: object) -> None:
        raise NotImplementedError("no reader")

    monkeypatch.setattr("gguf.quants.dequantize", fail)
    with pytest.raises(ConfigError, match=r"blk\.0\.attn_q: cannot read Q4_1"):
        model.weight("blk.0.attn_q")


@pytest.mark.parametrize("share", [0.0005, 0.05, 0.2, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_refused(make_gguf: Make, tmp_path: Path, share: float) -> None:
    whole = make_gguf().read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole[: max(5, int(len(whole) * share))])
    with pytest.raises(ConfigError, match=r"cut\.gguf"):
        model = LlamaFile(cut)
        [model.weight(f"blk.{layer}.ffn_down") for layer in range(2)]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"GGUF" + b"\x07" * 200])
def test_what_is_no_gguf_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"model\.gguf"):
        LlamaFile(path)

"""A GGUF file of the Llama architecture, read for what it means: sizes, and weights as floats.

Quantised weights are given as the exact numbers they stand for (``d * q + m`` of a block, in 32 bits), one matrix at a
time, so that memory stays bounded. What this reader does not know it refuses by name instead of guessing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofset.errors import ConfigError
from proofset.models.local import check_gguf

LAYER_PARTS = (
    "attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down",
)  # fmt: skip
"""The tensors of one layer, by their names in the file."""
HINT = 'use engine = "local" (llama.cpp) for this file'


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What a Llama is built by. Widths in floats."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    rope_base: float
    epsilon: float
    """Added to the mean square in each normalisation."""


class LlamaFile:
    """An opened GGUF file. Raises ConfigError for one that is broken, or is no Llama that is known here."""

    def __init__(self, path: Path) -> None:
        from gguf import GGUFReader

        check_gguf(path)
        self.path = path
        try:
            reader: Any = GGUFReader(path)
            self._fields: dict[str, Any] = dict(reader.fields)
            self._tensors: dict[str, Any] = {tensor.name: tensor for tensor in reader.tensors}
        except (ValueError, LookupError, OSError, OverflowError, TypeError, MemoryError) as error:
            raise ConfigError(f"{path}: broken GGUF file: {error}", hint="is the file whole?") from error
        if (found := self.field("general.architecture", "none")) != "llama":
            raise ConfigError(f"{path}: its architecture is {found!r}, not llama", hint=HINT)
        self.sizes = self._sizes()
        self._check_tensors()

    def weight(self, name: str) -> NDArray[np.float32]:
        """The weight called ``name``, of shape ``(out, in)`` or ``(n,)``, as the floats it stands for."""
        from gguf.quants import dequantize

        tensor = self._tensors[f"{name}.weight"]
        try:
            plain = np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
            return plain.reshape([int(size) for size in reversed(tensor.shape)])
        except (NotImplementedError, ValueError) as error:
            kind = tensor.tensor_type.name
            raise ConfigError(f"{self.path}: {name}: cannot read {kind}: {error}", hint=HINT) from error

    @property
    def head(self) -> str:
        """The name of the matrix from the last state to token scores: the embedding, unless there is another one."""
        return "output" if "output.weight" in self._tensors else "token_embd"

    def _sizes(self) -> Sizes:
        try:
            heads, width = (int(self.field(f"llama.{name}")) for name in ("attention.head_count", "embedding_length"))
            sizes = Sizes(
                layers=int(self.field("llama.block_count")),
                width=width,
                heads=heads,
                kv_heads=int(self.field("llama.attention.head_count_kv", heads)),
                head_width=int(self.field("llama.attention.key_length", width // heads)),
                rope_base=float(self.field("llama.rope.freq_base", 10_000.0)),
                epsilon=float(self.field("llama.attention.layer_norm_rms_epsilon")),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ConfigError(f"{self.path}: its sizes cannot be read: {error}", hint="is the file whole?") from error
        scaling = self.field("llama.rope.scaling.type", "none")
        rotated = self.field("llama.rope.dimension_count", sizes.head_width)
        if scaling != "none" or rotated != sizes.head_width or sizes.heads % sizes.kv_heads:
            raise ConfigError(f"{self.path}: its positions or heads are of an unknown kind ({scaling})", hint=HINT)
        return sizes

    def _check_tensors(self) -> None:
        layers = {f"blk.{i}.{part}.weight" for i in range(self.sizes.layers) for part in LAYER_PARTS}
        wanted = layers | {"token_embd.weight", "output_norm.weight"}
        if odd := sorted((wanted ^ self._tensors.keys()) - {"output.weight"}):
            raise ConfigError(f"{self.path}: missing or unknown tensors: {', '.join(odd[:3])} …", hint=HINT)

    def field(self, name: str, default: Any = None) -> Any:
        """The value of a field; without a default, raises ConfigError where there is none."""
        if name in self._fields:
            return self._fields[name].contents()
        if default is None:
            raise ConfigError(f"{self.path}: has no field {name}", hint=HINT)
        return default

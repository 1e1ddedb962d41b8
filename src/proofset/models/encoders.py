"""Texts to vectors: static token embeddings, averaged. No network, no torch, thousands of texts a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proofset import artifacts
from proofset.errors import ConfigError


def static() -> StaticEncoder:
    """The default encoder, on the pinned weights; they are fetched at first use."""
    return StaticEncoder(artifacts.fetch("static-embeddings"))


class StaticEncoder:
    """Mean of a text's static token vectors, scaled to length 1 (WordLlama's 256-d weights, MIT).

    Blind to word order; a text whose tokens are all unknown gets the zero vector.
    """

    def __init__(self, folder: Path) -> None:
        """Read weights (``*.safetensors``) and tokenizer (``*.json``) from ``folder``. Raises ConfigError."""
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        # [!.]: the cache keeps a hidden JSON file of its own beside them
        weights, tokenizer = (next(iter(sorted(folder.glob(f"[!.]*.{end}"))), None) for end in ("safetensors", "json"))
        if weights is None or tokenizer is None:
            raise ConfigError(
                f"{folder}: needs one .safetensors and one tokenizer .json file",
                hint="proofset fetch static-embeddings",
            )
        tables = list(load_file(weights).values())
        if len(tables) != 1 or tables[0].ndim != 2:
            raise ConfigError(f"{weights}: needs one table of token vectors", hint="proofset fetch static-embeddings")
        (self._vectors,) = tables  # (n_tokens, d)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.name = f"static {weights.stem} ({self._vectors.shape[1]}-d)"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of shape ``(n_texts, d)``."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        vectors = np.zeros((len(encoded), self._vectors.shape[1]), dtype=np.float32)
        for row, encoding in zip(vectors, encoded, strict=True):
            if encoding.ids:
                row[:] = self._vectors[encoding.ids].astype(np.float32).mean(axis=0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.where(lengths > 0, lengths, np.float32(1.0))
        return vectors

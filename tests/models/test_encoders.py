"""Static vectors: the mean of a text's tokens at length 1, and nothing for a text of unknown ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from proofset.errors import ConfigError
from proofset.models.encoders import StaticEncoder, static

VOCABULARY = {"a": 0, "b": 1, "ab": 2, "c": 3, "<s>": 4}
VECTORS = np.array([[3, 0, 0], [0, 4, 0], [0, 0, 2], [1, 1, 1], [9, 9, 9]], dtype=np.float32)


def write(folder: Path, vectors: NDArray[np.float32] = VECTORS, **more: NDArray[np.float32]) -> Path:
    """A tiny encoder: three letters, one merge, a start token, and a tokenizer that would pad and cut off."""
    tokenizer = Tokenizer(BPE(vocab=VOCABULARY, merges=[("a", "b")]))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 4)])
    tokenizer.enable_padding(pad_id=3, pad_token="c")
    tokenizer.enable_truncation(2)
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({"vectors": vectors, **more}, folder / "tiny.safetensors")
    return folder


def test_a_text_is_the_mean_of_its_tokens_at_length_one(tmp_path: Path) -> None:
    encoder = StaticEncoder(write(tmp_path))
    found = encoder.encode(["a", "a b", "ab", "ab c", "b a"])
    assert found.shape == (5, 3)
    assert found.dtype == np.float32
    assert found[0] == pytest.approx([1, 0, 0])
    assert found[1] == pytest.approx([0.6, 0.8, 0])
    assert found[2] == pytest.approx([0, 0, 1])  # one token, not two
    assert found[3] == pytest.approx(np.array([1, 1, 3]) / 11**0.5)
    assert (found[4] == found[1]).all()  # blind to word order
    assert encoder.name == "static tiny (3-d)"


def test_a_text_without_known_tokens_is_zero(tmp_path: Path) -> None:
    found = StaticEncoder(write(tmp_path)).encode(["", "🙂 xyz", "a"])
    assert (found[:2] == 0).all()
    assert np.linalg.norm(found[2]) == pytest.approx(1)


def test_a_text_does_not_depend_on_its_neighbours_nor_end_early(tmp_path: Path) -> None:
    encoder = StaticEncoder(write(tmp_path))
    long = "a " * 999 + "b"
    alone, together = encoder.encode([long]), encoder.encode(["c", long, ""])
    assert (alone[0] == together[1]).all()
    assert alone[0][1] > 0  # the b at the end counts
    assert encoder.encode([]).shape == (0, 3)


def test_half_precision_weights_give_single_precision_vectors(tmp_path: Path) -> None:
    found = StaticEncoder(write(tmp_path, VECTORS.astype(np.float16))).encode(["a b"])
    assert found.dtype == np.float32
    assert found[0] == pytest.approx([0.6, 0.8, 0])


def test_hidden_files_beside_the_weights_are_passed_over(tmp_path: Path) -> None:
    for name in (".stamp.json", ".aaa.safetensors"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    write(tmp_path)
    assert StaticEncoder(tmp_path).encode(["a"])[0] == pytest.approx([1, 0, 0])


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.safetensors") as caught:
        StaticEncoder(tmp_path)
    assert caught.value.hint
    (write(tmp_path) / "tokenizer.json").unlink()
    (tmp_path / ".stamp.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match="tokenizer"):
        StaticEncoder(tmp_path)


def test_more_than_one_table_of_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one table"):
        StaticEncoder(write(tmp_path, other=VECTORS))
    with pytest.raises(ConfigError, match="one table"):
        StaticEncoder(write(tmp_path, np.zeros(5, dtype=np.float32)))


@pytest.mark.slow
def test_the_pinned_weights_know_what_is_alike() -> None:
    encoder = static()
    found = encoder.encode(["You won a cash prize, call now", "Claim your free prize money today", "I am home for tea"])
    assert found.shape == (3, 256)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.1
    assert (encoder.encode(["", "\n"])[0] == 0).all()

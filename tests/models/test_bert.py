"""A transformer's vectors in numpy: the same as a slow and plain computation gives, whatever else is encoded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy.special import erf
from threadpoolctl import threadpool_info, threadpool_limits
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from proofset.errors import ConfigError, InputError
from proofset.models import bert
from proofset.models.bert import BertEncoder, gelu, minilm

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = [*SPECIAL, "a", "b", "dog", "bites", "man", "##s", "##ing", "c", "d", "."]
WIDTH, INNER, HEADS, LAYERS, LIMIT, POSITIONS, EPSILON = 8, 20, 2, 2, 10, 12, 1e-5
TEXTS = ["dog bites man", "man bites dog", "a", "dogs.", "a b c d a b c d", "b a", "DOG", "man . man . b", "c c"]


def tables(seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Random weights, large enough that attention and activation are far from linear; biases do not drown them."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        **_norm("embeddings.LayerNorm"),
        **_linear("pooler.dense", WIDTH, WIDTH),  # there, and of no use
    }
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= _linear(f"{at}.attention.{part}", WIDTH, WIDTH)
        shapes |= _linear(f"{at}.intermediate.dense", WIDTH, INNER) | _linear(f"{at}.output.dense", INNER, WIDTH)
        shapes |= _norm(f"{at}.attention.output.LayerNorm") | _norm(f"{at}.output.LayerNorm")
    random = np.random.default_rng(seed)
    sizes = {name: 0.3 if name.endswith("bias") else 1.0 for name in shapes}
    return {name: (random.standard_normal(shape) * sizes[name]).astype(np.float32) for name, shape in shapes.items()}


def _linear(name: str, before: int, after: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (after, before), f"{name}.bias": (after,)}


def _norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def write(folder: Path) -> Path:
    """A tiny model, with a tokenizer that would pad and cut off on its own."""
    tokenizer = Tokenizer(WordPiece({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", WORDS.index("[CLS]")), ("[SEP]", WORDS.index("[SEP]"))]
    )
    tokenizer.enable_padding(length=9)
    tokenizer.enable_truncation(4)
    (folder / "1_Pooling").mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(tables(), folder / "model.safetensors")
    config = {
        "hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "layer_norm_eps": EPSILON, "hidden_act": "gelu", "position_embedding_type": "absolute", "model_type": "bert",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": LIMIT}), encoding="utf-8")
    pooling = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "tiny")


def cut(text: str, most: int = LIMIT) -> list[int]:
    """A text's tokens by hand, for texts of known words with blanks between."""
    words = [WORDS.index("dog"), WORDS.index("##s"), WORDS.index(".")] if text == "dogs." else None
    words = words or [WORDS.index(word.lower()) for word in text.split()]
    return [WORDS.index("[CLS]"), *words[: most - 2], WORDS.index("[SEP]")]


def slowly(tokens: list[int]) -> NDArray[np.float64]:
    """The vector of one text by the textbook: one token, head and number after the other, in double precision."""
    weights = {name: table.astype(np.float64) for name, table in tables().items()}

    def linear(name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(weights[f"{name}.weight"] @ x + weights[f"{name}.bias"])

    def norm(name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = (x - x.mean()) / np.sqrt(x.var() + EPSILON)
        return np.asarray(scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"])

    kind = weights["embeddings.token_type_embeddings.weight"][0]
    states = [
        norm("embeddings.LayerNorm", weights["embeddings.word_embeddings.weight"][token] + place + kind)
        for token, place in zip(tokens, weights["embeddings.position_embeddings.weight"], strict=False)
    ]
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        q, k, v = ([linear(f"{at}.attention.self.{x}", s) for s in states] for x in ("query", "key", "value"))
        after = []
        for state, query in zip(states, q, strict=True):
            taken = np.zeros(WIDTH)
            for head in range(HEADS):
                part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
                heed = np.exp([query[part] @ key[part] / (WIDTH // HEADS) ** 0.5 for key in k])
                taken[part] = sum(h * value[part] for h, value in zip(heed / heed.sum(), v, strict=True))
            seen = norm(f"{at}.attention.output.LayerNorm", linear(f"{at}.attention.output.dense", taken) + state)
            wide = linear(f"{at}.intermediate.dense", seen)
            wide = wide * 0.5 * (1 + erf(wide / 2**0.5))
            after.append(norm(f"{at}.output.LayerNorm", linear(f"{at}.output.dense", wide) + seen))
        states = after
    mean = np.mean(states, axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


def test_vectors_are_those_of_a_slow_and_plain_computation(folder: Path) -> None:
    encoder = BertEncoder(folder)
    found = encoder.encode(TEXTS)
    assert found.shape == (len(TEXTS), WIDTH)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([slowly(cut(text)) for text in TEXTS]), abs=2e-6)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)
    assert np.abs(found[0] - found[1]).max() > 0.01  # it reads words in their order
    assert encoder.name == "tiny (8-d)"
    assert encoder.encode([]).shape == (0, WIDTH)


def test_the_order_of_texts_changes_no_bit(folder: Path) -> None:
    encoder = BertEncoder(folder)
    texts = TEXTS * 3
    found = encoder.encode(texts)
    order = np.random.default_rng(5).permutation(len(texts))
    assert (encoder.encode([texts[at] for at in order]) == found[order]).all()
    assert (found[: len(TEXTS)] == found[len(TEXTS) : 2 * len(TEXTS)]).all()  # equal texts, equal vectors


@pytest.mark.parametrize("room", [1, 12, 25, 10_000])
def test_a_text_does_not_depend_on_its_neighbours(folder: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    encoder = BertEncoder(folder)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    monkeypatch.setattr(bert, "BATCH_TOKENS", room)
    monkeypatch.setattr(bert, "TEXTS_AT_ONCE", 2)
    assert np.abs(encoder.encode(TEXTS) - alone).max() < 1e-6


def test_the_number_of_threads_changes_no_bit_and_is_left_as_it_was(folder: Path) -> None:
    encoder = BertEncoder(folder)
    texts = [f"{first} {second} {third}" for first in "abcd" for second in "abcd" for third in ("dog", "man", "bites")]
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            before = [library["num_threads"] for library in threadpool_info()]
            found.append(encoder.encode(texts * 20))
            assert [library["num_threads"] for library in threadpool_info()] == before
    assert (found[0] == found[1]).all()


def test_each_batch_is_small_and_has_one_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    class Watched(BertEncoder):
        def _vectors_of(self, batch: Sequence[bytes]) -> NDArray[np.float32]:
            threads = max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
            seen.append((sum(len(tokens) // 4 for tokens in batch), threads))
            return super()._vectors_of(batch)

    monkeypatch.setattr(bert, "BATCH_TOKENS", 12)
    with threadpool_limits(2, user_api="blas"):
        Watched(folder).encode(TEXTS)
    sizes = [size for size, _ in seen]
    assert sum(sizes) == sum(len(cut(text)) for text in TEXTS)
    assert max(sizes) <= 12 and len(sizes) < len(TEXTS)
    assert {threads for _, threads in seen} == {1}


def test_a_text_without_known_tokens_is_zero(folder: Path) -> None:
    found = BertEncoder(folder).encode(["", " \n", "🙂 xyz", "[SEP] [PAD]", "a", "xyz a"])
    assert (found[:4] == 0).all()
    assert np.linalg.norm(found[4:], axis=1) == pytest.approx([1, 1])
    assert np.abs(found[4] - found[5]).max() > 0.05  # an unknown word beside a known one counts


def test_a_long_text_is_read_to_the_limit(folder: Path) -> None:
    encoder = BertEncoder(folder)
    full = "a b c d a b c d"  # with the two round it, ten tokens
    found = encoder.encode([full, full + " dog" * 900])
    assert found[0] == pytest.approx(slowly(cut(full)), abs=2e-6)
    assert (found[0] == found[1]).all()


def test_the_limit_can_be_lowered_and_not_raised(folder: Path) -> None:
    encoder = BertEncoder(folder, title="short", max_tokens=5)
    assert encoder.encode(["a b c d"])[0] == pytest.approx(slowly(cut("a b c d", 5)), abs=2e-6)
    assert encoder.name == "short (8-d, 5 tokens)"  # its vectors are others, so its name is
    assert BertEncoder(folder, title="whole", max_tokens=LIMIT).name == "whole (8-d)"
    for wrong in (0, 2, LIMIT + 1):
        with pytest.raises(InputError, match=f"max_tokens is {wrong}: .* 3 to 10"):
            BertEncoder(folder, max_tokens=wrong)


def test_half_precision_weights_give_single_precision_vectors(folder: Path) -> None:
    full = BertEncoder(folder).encode(TEXTS)
    save_file({name: table.astype(np.float16) for name, table in tables().items()}, folder / "model.safetensors")
    found = BertEncoder(folder).encode(TEXTS)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - full).max() < 0.02


def test_sharp_attention_does_not_overflow(folder: Path) -> None:
    sharp = {name: table * (1000 if ".query." in name else 1) for name, table in tables().items()}
    save_file(sharp, folder / "model.safetensors")
    found = BertEncoder(folder).encode(TEXTS)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)


def test_what_is_no_text_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="texts 0 to 1 cannot be cut") as caught:
        BertEncoder(folder).encode(["a", "half a pair: \ud800"])
    assert "surrogate" in caught.value.hint


def test_the_fast_activation_is_the_exact_one() -> None:
    values = np.linspace(-10, 10, 3 * bert.GELU_PIECE + 6, dtype=np.float32).reshape(-1, 5)
    exact = values.astype(np.float64) * 0.5 * (1 + erf(values.astype(np.float64) / 2**0.5))
    assert gelu(values.copy()) == pytest.approx(exact, abs=5e-7, rel=0)
    assert gelu(np.array([-1e4, -20, 20, 1e4], dtype=np.float32)).tolist() == [0, 0, 20, 1e4]
    assert gelu(values) is values


def _config(**changed: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changed), encoding="utf-8")

    return spoil


def _weights(name: str, change: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        found = load_file(folder / "model.safetensors")
        table = found.pop(name)
        save_file(found if change is None else {**found, name: change(table)}, folder / "model.safetensors")

    return spoil


def _text(name: str, text: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_text(text, encoding="utf-8")

    return spoil


QUERY = "encoder.layer.1.attention.self.query.weight"
WORD, PLACE = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_text("config.json", "{"), r"config\.json: .*JSON"),
        (_text("config.json", "[]"), r"config\.json: .*object"),
        (_config(hidden_act="relu"), r"config\.json: hidden_act: .*gelu"),
        (_config(position_embedding_type="relative_key"), r"config\.json: position_embedding_type: .*absolute"),
        (_config(num_attention_heads=3), r"config\.json: .*3 heads cannot share a width of 8"),
        (_config(num_hidden_layers=0), r"config\.json: num_hidden_layers: "),
        (_config(num_hidden_layers=3), r"model\.safetensors: has no table encoder\.layer\.2\."),
        (_config(intermediate_size=16), r"intermediate\.dense\.weight has shape \(20, 8\)"),
        (_config(layer_norm_eps=0), r"config\.json: layer_norm_eps: "),
        (_text("sentence_bert_config.json", '{"max_seq_length": 2}'), r"sentence_bert_config\.json: max_seq_length: "),
        (_text("sentence_bert_config.json", "{}"), r"sentence_bert_config\.json: max_seq_length: "),
        (_text("sentence_bert_config.json", '{"max_seq_length": 13}'), r"model\.safetensors: 12 positions .* 13"),
        (_text("1_Pooling/config.json", '{"pooling_mode_mean_tokens": false}'), r"1_Pooling.config\.json: pooling"),
        (
            _text("1_Pooling/config.json", '{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}'),
            r"1_Pooling.config\.json: pooling_mode_cls_token: ",
        ),
        (_text("model.safetensors", "no weights"), r"model\.safetensors: cannot be read as weights"),
        (_text("tokenizer.json", "{}"), r"tokenizer\.json: cannot be read as a tokenizer"),
        (_weights(QUERY, None), rf"model\.safetensors: has no table {QUERY}"),
        (_weights(QUERY, lambda table: table[:7]), rf"model\.safetensors: {QUERY} has shape \(7, 8\)"),
        (_weights(QUERY, lambda table: table.reshape(-1)), rf"{QUERY} has shape \(64,\)"),
        (_weights(PLACE, lambda table: table[:0]), rf"{PLACE} has shape \(0, 8\)"),
        (_weights(WORD, lambda table: table[:9]), r"tokenizer\.json: token 13 is beyond the table of 9 words"),
        *(
            (lambda folder, name=name: (folder / name).unlink(), rf"{name}: cannot be read".replace("/", "."))
            for name in (
                "config.json", "model.safetensors", "tokenizer.json", "sentence_bert_config.json",
                "1_Pooling/config.json",
            )
        ),
    ],
)  # fmt: skip
def test_a_folder_that_is_not_whole_is_refused(folder: Path, spoil: Callable[[Path], None], told: str) -> None:
    spoil(folder)
    with pytest.raises(ConfigError, match=told) as caught:
        BertEncoder(folder)
    assert caught.value.hint == "proofset fetch minilm-l6-v2"


PINNED = {
    "The cat sat on the mat.": [0.1302371, -0.0157728, -0.0367167, 0.0579864, -0.0597918],
    "Grain exports rose 4.5 pct in the first quarter, the ministry said.": [
        -0.0227823,
        -0.0076353,
        0.0735582,
        0.0164397,
        0.0833674,
    ],
    "東京 naïve 🙂 " + "word " * 400: [0.0165085, -0.0389313, 0.0305320, -0.0006992, -0.0570712],
}
"""First numbers of three vectors as sentence-transformers 6.2.0 gives them, with torch 2.13.0, from the same folder."""


@pytest.mark.slow
def test_the_pinned_weights_give_the_reference_vectors() -> None:
    encoder = minilm()
    assert encoder.name == "minilm all-MiniLM-L6-v2 (384-d)"
    found = encoder.encode(list(PINNED))
    assert found.shape == (3, 384)
    assert found[:, :5] == pytest.approx(np.array(list(PINNED.values())), abs=1e-5)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(3), abs=1e-6)


@pytest.mark.slow
def test_the_pinned_weights_know_what_is_alike_and_read_no_further_than_told() -> None:
    encoder, short = minilm(), minilm(max_tokens=16)
    texts = ["You won a cash prize, call now", "Claim your free prize money today", "I am home for tea", "", "🙂"]
    found = encoder.encode(texts)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.2
    assert (found[3:] == 0).all()
    long = "word " * 14
    assert np.abs(short.encode([long + "and much more"]) - encoder.encode([long])).max() < 1e-6
    assert short.name.endswith("(384-d, 16 tokens)")
    shuffled = [*texts, long] * 40
    np.random.default_rng(1).shuffle(shuffled)
    alone = {text: encoder.encode([text])[0] for text in set(shuffled)}
    assert np.abs(encoder.encode(shuffled) - np.array([alone[text] for text in shuffled])).max() < 1e-6

"""Texts to vectors by a small transformer that reads words in their order: a second opinion to the static encoder.

BERT's arithmetic in numpy, without torch. The texts of a batch lie end to end in one matrix of tokens, so nothing is
padded and nothing is masked: only attention needs to know where a text ends, and it takes texts of one length together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, PositiveInt, ValidationError, model_validator

from proofset import artifacts
from proofset.errors import ConfigError, InputError

Floats = NDArray[np.float32]
Runs = list[tuple[int, int]]
"""Texts of a batch, in order: how many there are of one length, and that length in tokens."""

BATCH_TOKENS = 512
"""Tokens evaluated at once by a thread: enough for a fast product, few enough to stay near the processor."""
TEXTS_AT_ONCE = 1024
"""Texts cut into tokens at once; the tokenizer keeps far more of each than is needed of it."""
GELU_PIECE = 1 << 15
"""Numbers that pass the activation together; all their intermediate results fit a core's cache."""
FEWEST_TOKENS = 3
"""The opening, one token of the text, and the closing."""
HINT = "proofset fetch minilm-l6-v2"


def minilm(*, max_tokens: int | None = None) -> BertEncoder:
    """all-MiniLM-L6-v2 (384-d, Apache-2.0) on the pinned weights; they are fetched at first use.

    ``max_tokens`` is that of BertEncoder.
    """
    folder = artifacts.fetch("minilm-l6-v2")
    return BertEncoder(folder, title="minilm all-MiniLM-L6-v2", max_tokens=max_tokens)


class BertEncoder:
    """Mean of the states that a BERT gives a text's tokens, scaled to length 1 (Reimers and Gurevych 2019).

    Works on as many threads as numpy's linear algebra may use, each with batches of its own. Equal texts of one call
    get equal vectors, bit for bit, and a call's vectors do not depend on the order of its texts; the same text in two
    calls may differ by rounding (below 1e-6). It lies where a text is longer than ``max_tokens``: the rest is not
    read. Words that it does not know, most emoji among them, all look the same to it.
    """

    def __init__(self, folder: Path, *, title: str = "", max_tokens: int | None = None) -> None:
        """Read weights, tokenizer and settings from a sentence-transformers ``folder``.

        ``title`` begins the encoder's name; without one it is the folder's. ``max_tokens`` cuts texts shorter than the
        model's own limit does; the two tokens round every text count. Raises ConfigError for a folder that is not
        whole or holds another kind of model, InputError for a limit that the model has no place for.
        """
        sizes = _Sizes.read(folder / "config.json")
        limit = _Limit.read(folder / "sentence_bert_config.json").max_seq_length
        _Pooling.read(folder / "1_Pooling" / "config.json")
        most = limit if max_tokens is None else max_tokens
        if not FEWEST_TOKENS <= most <= limit:
            raise InputError(
                f"max_tokens is {most}: this model takes {FEWEST_TOKENS} to {limit}",
                hint="leave it out for the model's own limit",
            )
        weights = _Weights(folder / "model.safetensors", sizes)
        self._words = weights.take("embeddings.word_embeddings.weight", None, sizes.hidden_size)
        places = weights.take("embeddings.position_embeddings.weight", None, sizes.hidden_size)
        if len(places) < limit:
            raise ConfigError(f"{weights.path}: {len(places)} positions for texts of {limit} tokens", hint=HINT)
        self._places = places + weights.take("embeddings.token_type_embeddings.weight", None, sizes.hidden_size)[0]
        self._opening = weights.norm("embeddings.LayerNorm")
        self._layers = [weights.layer(f"encoder.layer.{at}") for at in range(sizes.num_hidden_layers)]
        self._tokenizer = _tokenizer(folder / "tokenizer.json", len(self._words), most)
        self._special = [at for at, token in self._tokenizer.get_added_tokens_decoder().items() if token.special]
        shown = f"{sizes.hidden_size}-d" + (f", {most} tokens" if most < limit else "")
        self.name = f"{title or folder.name} ({shown})"

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors of shape ``(n_texts, d)``; zeros for an empty text, or one of special or unknown tokens alone.

        Raises InputError for a text that holds half a surrogate pair.
        """
        places: dict[bytes, list[int]] = {}  # by tokens: equal texts are read once, and are equal to the last bit
        for row, tokens in enumerate(self._cut(texts)):
            if not np.isin(tokens, self._special).all():
                places.setdefault(tokens.tobytes(), []).append(row)
        vectors = np.zeros((len(texts), self._words.shape[1]), dtype=np.float32)
        batches = list(_batches(sorted(places, key=lambda tokens: (len(tokens), tokens))))
        for batch, found in zip(batches, _on_all_threads(self._vectors_of, batches), strict=True):
            for text, vector in zip(batch, found, strict=True):
                vectors[places[text]] = vector
        return vectors

    def _cut(self, texts: Sequence[str]) -> Iterator[NDArray[np.int32]]:
        """The tokens of each text."""
        for begin in range(0, len(texts), TEXTS_AT_ONCE):
            piece = list(texts[begin : begin + TEXTS_AT_ONCE])
            try:
                encoded = self._tokenizer.encode_batch(piece)
            except TypeError as error:
                raise InputError(
                    f"texts {begin} to {begin + len(piece) - 1} cannot be cut into tokens: {error}",
                    hint="does one hold half a surrogate pair, or is one no text? Clean the data",
                ) from error
            yield from (np.array(each.ids, dtype=np.int32) for each in encoded)

    def _vectors_of(self, batch: Sequence[bytes]) -> Floats:
        """Unit vectors ``(n, d)`` of texts that come as tokens, the shortest first."""
        tokens = np.frombuffer(b"".join(batch), dtype=np.int32)
        lengths = [len(each) // tokens.itemsize for each in batch]
        runs = [(len(list(same)), length) for length, same in groupby(lengths)]
        states = self._words[tokens]
        states += self._places[np.concatenate([np.arange(length) for length in lengths])]
        states = self._opening(states)
        for layer in self._layers:
            states = layer(states, runs)
        means = np.concatenate([each.mean(axis=1) for each in _by_length(states, runs)])
        return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.float32(1e-12)))


def gelu(values: Floats) -> Floats:
    """``x Φ(x)`` for every x, in place; off by less than 5e-7 between -10 and 10. ``values`` must be contiguous.

    ``max(x, 0) - |x| Q(|x|)``, with the normal tail Q by Abramowitz and Stegun (1964), 26.2.17, whose error is below
    7.5e-8: in numpy a fraction of the time that the exact erf takes.
    """
    flat = values.reshape(-1)
    for begin in range(0, flat.size, GELU_PIECE):
        x = flat[begin : begin + GELU_PIECE]
        size = np.abs(x)
        t = size * np.float32(0.2316419)
        t += np.float32(1)
        np.reciprocal(t, out=t)
        tail = t * np.float32(1.330274429)
        for weight in (-1.821255978, 1.781477937, -0.356563782, 0.319381530):
            tail += np.float32(weight)
            tail *= t
        np.multiply(size, size, out=t)
        t *= np.float32(-0.5)
        np.exp(t, out=t)
        t *= np.float32((2 * np.pi) ** -0.5)
        tail *= t
        tail *= size
        np.maximum(x, np.float32(0), out=x)
        x -= tail
    return values


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """Rows times a matrix ``(in, out)``, plus a bias."""

    matrix: Floats
    bias: Floats

    def __call__(self, rows: Floats) -> Floats:
        product = rows @ self.matrix
        product += self.bias
        return product


@dataclass(frozen=True, slots=True, eq=False)
class _Norm:
    """Rows to mean 0 and variance 1, in place, then a gain and a shift for each column."""

    gain: Floats
    shift: Floats
    epsilon: np.float32

    def __call__(self, rows: Floats) -> Floats:
        rows -= rows.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", rows, rows)[:, None] / np.float32(rows.shape[1])
        rows /= np.sqrt(variance + self.epsilon)
        rows *= self.gain
        rows += self.shift
        return rows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Layer:
    """Every token looks at its text's tokens, then thinks by itself; both are added to what it was, and scaled."""

    heads: int
    look: _Linear
    """Queries, keys and values in one product; queries are scaled already."""
    mix: _Linear
    mixed: _Norm
    widen: _Linear
    narrow: _Linear
    done: _Norm

    def __call__(self, states: Floats, runs: Runs) -> Floats:
        seen = self.mix(_attention(self.look(states), self.heads, runs))
        seen += states
        seen = self.mixed(seen)
        thought = self.narrow(gelu(self.widen(seen)))
        thought += seen
        return self.done(thought)


def _attention(looked: Floats, heads: int, runs: Runs) -> Floats:
    """What each token takes from its text ``(n, d)``, by queries, keys and values ``(n, 3 d)``."""
    taken = np.empty((len(looked), looked.shape[1] // 3), dtype=np.float32)
    for block, out in zip(_by_length(looked, runs), _by_length(taken, runs), strict=True):
        parts = block.reshape(*block.shape[:2], 3, heads, -1).transpose(2, 0, 3, 1, 4)
        queries, keys, values = parts  # each (texts, heads, tokens, d / heads)
        scores = queries @ keys.swapaxes(-1, -2)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        into = out.reshape(*out.shape[:2], heads, -1).swapaxes(1, 2)
        np.matmul(scores, values, out=into)
        into /= scores.sum(axis=-1, keepdims=True)
    return taken


def _by_length(rows: Floats, runs: Runs) -> Iterator[Floats]:
    """Views ``(texts, tokens, columns)`` of the texts of each length."""
    begin = 0
    for texts, length in runs:
        end = begin + texts * length
        yield rows[begin:end].reshape(texts, length, -1)
        begin = end


def _batches(texts: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Texts, as tokens and in order, in batches of at most BATCH_TOKENS; a longer text is a batch by itself."""
    batch: list[bytes] = []
    room = BATCH_TOKENS
    for tokens in texts:
        size = len(tokens) // np.dtype(np.int32).itemsize
        if batch and size > room:
            yield batch
            batch, room = [], BATCH_TOKENS
        batch.append(tokens)
        room -= size
    if batch:
        yield batch


def _on_all_threads(work: Callable[[list[bytes]], Floats], batches: Sequence[list[bytes]]) -> Iterator[Floats]:
    """The results in order, on as many threads as linear algebra may use.

    A batch has one thread: half of the work is no matrix product, and a product's sums do not depend on the number of
    threads so.
    """
    from threadpoolctl import ThreadpoolController

    algebra = ThreadpoolController().select(user_api="blas")
    threads = max((library["num_threads"] for library in algebra.info()), default=1)
    with algebra.limit(limits=1), ThreadPoolExecutor(threads, thread_name_prefix="bert") as pool:
        yield from pool.map(work, batches)


class _Settings(BaseModel):
    """What must be said in a JSON file for its model to be evaluated here. Raises ConfigError that names the file."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """The settings in a file."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error}", hint=HINT) from error
        except ValidationError as error:
            first = error.errors()[0]
            field = "".join(f"{part}: " for part in first["loc"])
            raise ConfigError(f"{path}: {field}{first['msg']}", hint=HINT) from error


class _Sizes(_Settings):
    hidden_size: PositiveInt
    intermediate_size: PositiveInt
    num_hidden_layers: PositiveInt
    num_attention_heads: PositiveInt
    layer_norm_eps: float = Field(gt=1e-37, lt=1)  # what single precision can hold
    hidden_act: Literal["gelu"]
    position_embedding_type: Literal["absolute"] = "absolute"

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"{self.num_attention_heads} heads cannot share a width of {self.hidden_size}")
        return self


class _Limit(_Settings):
    max_seq_length: int = Field(ge=FEWEST_TOKENS)


class _Pooling(_Settings):
    pooling_mode_mean_tokens: Literal[True]
    pooling_mode_cls_token: Literal[False] = False
    pooling_mode_max_tokens: Literal[False] = False
    pooling_mode_mean_sqrt_len_tokens: Literal[False] = False


class _Weights:
    """Named tables of numbers in a file. Raises ConfigError that names file and table."""

    def __init__(self, path: Path, sizes: _Sizes) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        self.path, self._sizes = path, sizes
        try:
            self._tables = load_file(path)
        except (OSError, SafetensorError) as error:
            raise ConfigError(f"{path}: cannot be read as weights: {error}", hint=HINT) from error

    def take(self, name: str, *shape: int | None) -> Floats:
        """A table in single precision; None in ``shape`` stands for any length."""
        if (table := self._tables.pop(name, None)) is None:
            raise ConfigError(f"{self.path}: has no table {name}", hint=HINT)
        fits = len(table.shape) == len(shape) and all(
            wanted in (None, found) for found, wanted in zip(table.shape, shape, strict=True)
        )
        if not fits or not table.size:
            raise ConfigError(f"{self.path}: {name} has shape {table.shape}, which does not fit", hint=HINT)
        return np.asarray(table, dtype=np.float32)

    def linear(self, name: str, before: int, after: int) -> _Linear:
        """A matrix, turned so that rows come from the left, and its bias."""
        matrix = self.take(f"{name}.weight", after, before)
        return _Linear(np.ascontiguousarray(matrix.T), self.take(f"{name}.bias", after))

    def norm(self, name: str) -> _Norm:
        """Gain and shift of one norm."""
        width, epsilon = self._sizes.hidden_size, np.float32(self._sizes.layer_norm_eps)
        return _Norm(self.take(f"{name}.weight", width), self.take(f"{name}.bias", width), epsilon)

    def layer(self, name: str) -> _Layer:
        """One layer; the scale of its scores goes into what makes the queries."""
        width, inner, heads = (
            self._sizes.hidden_size, self._sizes.intermediate_size, self._sizes.num_attention_heads
        )  # fmt: skip
        parts = [self.linear(f"{name}.attention.self.{part}", width, width) for part in ("query", "key", "value")]
        scale = np.ones(3 * width, dtype=np.float32)
        scale[:width] = (width // heads) ** -0.5
        return _Layer(
            heads=heads,
            look=_Linear(
                np.concatenate([part.matrix for part in parts], axis=1) * scale,
                np.concatenate([part.bias for part in parts]) * scale,
            ),
            mix=self.linear(f"{name}.attention.output.dense", width, width),
            mixed=self.norm(f"{name}.attention.output.LayerNorm"),
            widen=self.linear(f"{name}.intermediate.dense", width, inner),
            narrow=self.linear(f"{name}.output.dense", inner, width),
            done=self.norm(f"{name}.output.LayerNorm"),
        )


def _tokenizer(path: Path, words: int, max_tokens: int) -> Any:
    """The tokenizer in a file, which cuts texts at ``max_tokens``. Raises ConfigError."""
    from tokenizers import Tokenizer

    try:
        made = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises nothing more precise
        raise ConfigError(f"{path}: cannot be read as a tokenizer: {error}", hint=HINT) from error
    if (last := max(made.get_vocab(with_added_tokens=True).values(), default=0)) >= words:
        raise ConfigError(f"{path}: token {last} is beyond the table of {words} words", hint=HINT)
    made.no_padding()
    made.enable_truncation(max_tokens)
    return made

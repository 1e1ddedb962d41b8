"""Organic documents in four parts, and fakes that somebody might hand in for fresh ones.

The documents are Reuters-21578 R52. Exact copies are left out, and so is a document whose first 64 tokens are those of
another, for they are all that the encoder reads. Near-copies stay together in one part. What the parts leave over is a
reserve for the fake that drops rare topics and must draw more of the others to keep its size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from proofset import artifacts
from proofset.copies import groups, text_hash
from proofset.measuring.blocks import hashes
from proofset.measuring.lexicon import words
from proofset.measuring.ngrams import NGrams
from proofset.models.bert import BertEncoder, minilm

Floats = NDArray[np.float32]
Rows = NDArray[np.intp]

CACHE = Path("~/.cache/proofset-benchmarks/attacks").expanduser()
WEIGHTS, MAX_TOKENS = "minilm-l6-v2", 64
NEAR = 0.7
"""Similarity of word pairs from which two documents may not stand in two parts."""
RARE = 43
"""The rarest topics of 52, which one fake leaves out."""
HEADER = 3
"""Rows above the data."""


class Encoder:
    """MiniLM on the first 64 tokens; what it made of a list of texts is kept on disk, by their hash."""

    def __init__(self) -> None:
        self._model: BertEncoder | None = None

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Unit vectors ``(n, 384)``."""
        digest = blake2b(f"{WEIGHTS} {artifacts.pinned()[WEIGHTS].version} {MAX_TOKENS}".encode(), digest_size=12)
        for text in texts:
            digest.update(b"\0" + text.encode())
        path = CACHE / f"{digest.hexdigest()}.npy"
        if not path.exists():
            self._model = self._model or minilm(max_tokens=MAX_TOKENS)
            vectors = self._model.encode(list(texts))
            CACHE.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".draft.npy")
            np.save(draft, vectors)
            draft.replace(path)
        found: Floats = np.load(path)
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """Records by their vectors ``(n, 384)``; texts and topics are missing where there are vectors alone."""

    name: str
    vectors: Floats
    texts: list[str] | None = None
    topics: list[str] | None = None

    def chosen(self, rows: Sequence[int] | Rows, name: str = "") -> Corpus:
        """Those rows, in that order."""
        at = np.asarray(rows, dtype=np.intp)
        texts, topics = (None if all_ is None else [all_[i] for i in at] for all_ in (self.texts, self.topics))
        return Corpus(name=name or self.name, vectors=self.vectors[at], texts=texts, topics=topics)

    def moved(self, vectors: NDArray[np.floating], name: str) -> Corpus:
        """The same topics at other places; nobody knows a text that lies there."""
        return Corpus(name=name, vectors=vectors.astype(np.float32), topics=self.topics)


def joined(first: Corpus, second: Corpus, name: str) -> Corpus:
    """Both, one after the other."""
    return Corpus(
        name=name, vectors=np.concatenate([first.vectors, second.vectors]),
        texts=(first.texts or []) + (second.texts or []), topics=(first.topics or []) + (second.topics or []),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Documents:
    """All organic documents, and which of them are near-copies."""

    corpus: Corpus
    groups: list[int]

    @classmethod
    def read(cls, encode: Encoder, most: int | None = None) -> Self:
        """Without duplicates; at random ``most`` of them, where that is given."""
        folder = artifacts.fetch("reuters-r52")
        seen: dict[int, tuple[str, str]] = {}
        for part in ("train", "test"):
            lines = (folder / f"reuters-r52-{part}.tab").read_text(encoding="utf-8").split("\n")[HEADER:]
            for topic, text in (line.split("\t") for line in lines if line.strip()):
                seen.setdefault(text_hash(text), (topic, text))
        rows = list(seen.values())
        order = np.random.default_rng([0, 1]).permutation(len(rows))[:most]
        topics, texts = ([rows[at][column] for at in order] for column in (0, 1))
        vectors = encode(texts)
        _, first = np.unique(hashes(vectors), return_index=True)
        corpus = Corpus(name="organic", vectors=vectors, texts=texts, topics=topics).chosen(np.sort(first))
        return cls(corpus=corpus, groups=groups(corpus.texts or [], NEAR))

    def rare(self) -> set[str]:
        """The rarest topics."""
        counts = Counter(self.corpus.topics)
        return {str(topic) for topic, _ in sorted(counts.items(), key=lambda pair: (pair[1], pair[0]))[:RARE]}


@dataclass(frozen=True, kw_only=True, eq=False)
class Division:
    """Four parts of equal size, and what is left over."""

    train: Corpus
    reference: Corpus
    control: Corpus
    fresh: Corpus
    reserve: Corpus

    @classmethod
    def of(cls, documents: Documents, n: int, seed: int) -> Self:
        """``n`` documents a part, near-copies in one of them; what a part cannot hold of its last group is left out."""
        numbers = np.asarray(documents.groups)
        order = np.argsort(np.random.default_rng([seed, 2]).permutation(numbers.max() + 1)[numbers], kind="stable")
        parts, start = [], 0
        for name in ("train", "reference", "control", "fresh organic"):
            end = start + n
            parts.append(documents.corpus.chosen(order[start:end], name))
            while end < len(order) and numbers[order[end]] == numbers[order[end - 1]]:
                end += 1
            start = end
        reserve = documents.corpus.chosen(order[start:], "reserve")
        return cls(train=parts[0], reference=parts[1], control=parts[2], fresh=parts[3], reserve=reserve)


def attacks(division: Division, rare: set[str], encode: Encoder) -> Iterator[Corpus]:
    """Every fake, as many records as a part has; the same for the same division.

    Of fakes that move vectors, all but the shrunk one are scaled to length 1 again, as an encoder would.
    """
    fresh, train, held = division.fresh, division.train, division.reference
    n, texts = len(fresh.vectors), train.texts or []
    streams = (np.random.default_rng([0, 3, number]) for number in range(100))
    yield train.chosen(next(streams).permutation(n), "copy of train")
    yield spoken("near-copy of train", nearly(texts, next(streams)), encode, train.topics)
    yield held.chosen(next(streams).permutation(n), "copy of the reference")
    yield joined(*halves(train, held, next(streams)), "half train and half reference")
    yield fresh.chosen(np.resize(next(streams).permutation(n)[: n // 5], n), "each record five times")
    yield without(fresh, division.reserve, rare)
    for share in (10, 20):
        yield junk(fresh, share, next(streams), encode)
    yield moved_towards_mean(fresh)
    yield noisy(fresh, next(streams))
    yield gaussian(train, next(streams))
    yield smote(train, next(streams))
    yield spoken("bigram model of train", babble(texts, next(streams)), encode)
    yield spoken("word salad", salad(texts, next(streams)), encode)


def spoken(name: str, texts: list[str], encode: Encoder, topics: list[str] | None = None) -> Corpus:
    """Texts with their vectors."""
    return Corpus(name=name, vectors=encode(texts), texts=texts, topics=topics)


def nearly(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Each text without 15 % of its words, and 10 % of the others changed places with the next one."""
    made = []
    for text in texts:
        words = text.split()
        kept = [
            word for word, dropped in zip(words, rng.random(len(words)) < 0.15, strict=True) if not dropped
        ] or words
        for at in np.flatnonzero(rng.random(len(kept) - 1) < 0.10):
            kept[at], kept[at + 1] = kept[at + 1], kept[at]
        made.append(" ".join(kept))
    return made


def halves(first: Corpus, second: Corpus, rng: np.random.Generator) -> tuple[Corpus, Corpus]:
    """Half a corpus of each, at random."""
    n = len(first.vectors)
    return first.chosen(rng.permutation(n)[: n // 2]), second.chosen(rng.permutation(n)[: n - n // 2])


def without(fresh: Corpus, reserve: Corpus, rare: set[str]) -> Corpus:
    """Fresh documents without rare topics; as many of the other topics come in their place."""
    kept, spare = (
        corpus.chosen([at for at, topic in enumerate(corpus.topics or []) if topic not in rare])
        for corpus in (fresh, reserve)
    )
    missing = len(fresh.vectors) - len(kept.vectors)
    if missing > len(spare.vectors):
        raise SystemExit(f"the reserve has {len(spare.vectors)} documents of frequent topics, {missing} are needed")
    return joined(kept, spare.chosen(range(missing)), f"without {len(rare)} rare topics")


def junk(fresh: Corpus, share: int, rng: np.random.Generator, encode: Encoder) -> Corpus:
    """``share`` of 100 fresh documents give way to text messages, which take over their topics."""
    lines = (artifacts.fetch("sms-spam") / "spam_collection.csv").read_text(encoding="utf-8").splitlines()
    messages = [message for _, _, message in (line.partition("\t") for line in lines) if message.strip()]
    count = len(fresh.vectors) * share // 100
    texts = [messages[at] for at in rng.permutation(len(messages))[:count]]
    strange = spoken("", texts, encode, (fresh.topics or [])[:count])
    return joined(strange, fresh.chosen(range(count, len(fresh.vectors))), f"{share} % text messages")


def moved_towards_mean(fresh: Corpus) -> Corpus:
    """Every direction keeps four fifths of its variance."""
    mean = fresh.vectors.mean(axis=0)
    return fresh.moved(mean + np.sqrt(0.8) * (fresh.vectors - mean), "variance × 0.8")


def noisy(fresh: Corpus, rng: np.random.Generator) -> Corpus:
    """Round noise on top, with a quarter of the total variance."""
    vectors = fresh.vectors.astype(np.float64)
    scale = np.sqrt(0.25 * vectors.var(axis=0).mean())
    return fresh.moved(unit(vectors + rng.normal(scale=scale, size=vectors.shape)), "noise of 25 % of the variance")


def gaussian(train: Corpus, rng: np.random.Generator) -> Corpus:
    """Draws from one Gaussian with the mean and covariance of train."""
    exact = train.vectors.astype(np.float64)
    drawn = rng.multivariate_normal(exact.mean(axis=0), np.cov(exact.T), len(exact), method="eigh")
    return Corpus(name="one Gaussian fitted to train", vectors=unit(drawn))


def smote(train: Corpus, rng: np.random.Generator) -> Corpus:
    """Points between a record of train and one of its five nearest others (Chawla et al. 2002), with its topic."""
    from sklearn.neighbors import NearestNeighbors

    rows = train.vectors
    near = NearestNeighbors(n_neighbors=6).fit(rows).kneighbors(rows, return_distance=False)
    mates = rows[near[np.arange(len(rows)), rng.integers(1, 6, size=len(rows))]]
    return train.moved(unit(rows + rng.random((len(rows), 1)) * (mates - rows)), "SMOTE on train")


def babble(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """What a bigram model of the texts says, in texts of the same lengths."""
    model = NGrams(2).fit([words(text) for text in texts])
    return [" ".join(text) for text in model.sample([len(text.split()) for text in texts], rng)]


def salad(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """All words of all texts, shuffled, in texts of the same lengths."""
    lengths = [len(text.split()) for text in texts]
    pool = [word for text in texts for word in text.split()]
    mixed = [pool[at] for at in rng.permutation(len(pool))]
    ends = np.cumsum(lengths)
    return [" ".join(mixed[end - length : end]) for length, end in zip(lengths, ends.tolist(), strict=True)]


def unit(vectors: NDArray[np.floating]) -> Floats:
    """Scaled to length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)

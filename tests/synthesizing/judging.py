"""What tests of judges share: briefs, candidates, the reason code of a verdict, and texts that mean no good."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from proofset.nouns.candidate import Brief, Candidate, Decision
from proofset.nouns.evidence import Anchor, Evidence
from proofset.plugins import Judge

TEXT = "the quick brown fox jumps over a lazy dog while rivers run slowly past green hills and quiet towns"
WORDS = TEXT.split()


def sentence(seed: int, n: int = 12) -> str:
    return " ".join(random.Random(seed).sample(WORDS, n))


ORGANIC = [sentence(seed) for seed in range(60)]
HOSTILE = [
    "", " ", "\n\t", "a", "🙂" * 50, "🙂 🙃 😀 😁 😂", "word " * 10_000, " ".join(map(str, range(10_000))),
    "1 2 3 4 5 6 7 8 9 0", "8675309 " * 6, "the quick\nbrown fox\r\njumps", "\x00 \x1f \x7f \x85 \u2028",
    "\u202eabc d e f", "\ud800 half a pair", "Ａ ｆｕｌｌ ｗｉｄｔｈ ｔｅｘｔ", "ﷺ ﷺ ﷺ ﷺ", "é" * 4 + " é é é é",
    "a\u0301" * 500, "x" * 100_000,
    "İ ı ß ẞ ŉ", "%s {0} {text} \\n $x", "<script>alert(1)</script> a b c", "中文没有空格的一句话", "…" * 30,
]  # fmt: skip


def brief(opening: str = "", *anchors: str, slice_name: str = "edge") -> Brief:
    shown = tuple(Anchor(f"r{n}", text, "edge") for n, text in enumerate(anchors))
    return Brief(
        id="b",
        slice=slice_name,
        label=slice_name,
        number=0,
        anchors=shown,
        evidence=Evidence(),
        opening=opening,
        unseen_fold=0,
        seed=0,
        prompt="",
        shared_chars=0,
    )


def candidate(text: str, finish: str = "stop") -> Candidate:
    return Candidate(id="c", brief_id="b", slice="edge", text=text, label="edge", unseen_fold=0, finish=finish)


def reason(judge: Judge, text: str, *, told: Brief | None = None, finish: str = "stop") -> str:
    """The reason code; empty when accepted."""
    verdict = judge.judge(told or brief(), candidate(text, finish))
    assert verdict.judge == judge.name
    assert verdict.candidate_id == "c"
    assert verdict.decision is (Decision.REJECT if verdict.reason else Decision.ACCEPT)
    assert bool(verdict.critique) == bool(verdict.reason)
    return verdict.reason


def bag_of_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """An encoder that forgets the order of words: vectors (n, 64), not of length 1; other words are one more."""
    places = {word: place for place, word in enumerate(dict.fromkeys(WORDS))}
    vectors = np.zeros((len(texts), 64), dtype=np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for word in text.casefold().split():
            row[places.get(word, 63)] += 1
    return vectors

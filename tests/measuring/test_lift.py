"""Lift in a world whose source is known, and on newswire."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.artifacts import locate
from proofset.measuring.lexicon import Vocabulary, words
from proofset.measuring.lift import FEWEST, lift
from proofset.measuring.ngrams import NGrams
from proofset.nouns.result import Better
from proofset.nouns.viability import Component

Source = Callable[[int, np.random.Generator], list[str]]
N, LENGTH = 200, 20


class World:
    """A Markov chain over 300 words, common and rare ones; texts have 20 words on average."""

    def __init__(self, sharpness: float = 1.0) -> None:
        rng = np.random.default_rng(0)
        self.first = 1 / np.arange(1, 301) / (1 / np.arange(1, 301)).sum()
        rows = np.array([0.7 * rng.dirichlet(30 * self.first) + 0.3 * self.first for _ in range(300)])
        self.rows = rows**sharpness / (rows**sharpness).sum(axis=1, keepdims=True)
        self.rims = self.rows.cumsum(axis=1)

    def __call__(self, n: int, rng: np.random.Generator) -> list[str]:
        lengths = rng.poisson(LENGTH, n) + 1
        spoken = np.zeros((n, lengths.max()), np.intp)
        spoken[:, 0] = _picked(self.first.cumsum()[None], rng.random((n, 1)))
        for at in range(1, lengths.max()):
            spoken[:, at] = _picked(self.rims[spoken[:, at - 1]], rng.random((n, 1)))
        return [" ".join(f"w{word}" for word in row[:k]) for row, k in zip(spoken, lengths, strict=True)]

    def loss(self, texts: list[str]) -> float:
        """Nats a token under the source itself, had it no memory of how long a text has run: nobody can do better."""
        said = [[int(word[1:]) for word in text.split()] for text in texts]
        total = -sum(math.log(self.first[text[0]]) for text in said)
        total -= sum(math.log(self.rows[a, b]) for text in said for a, b in pairwise(text))
        end = len(said) / sum(map(len, said))
        total -= len(said) * math.log(end) + (sum(map(len, said)) - len(said)) * math.log(1 - end)
        return total / (sum(map(len, said)) + len(said))


def _picked(rims: NDArray[np.float64], turns: NDArray[np.float64]) -> NDArray[np.intp]:
    picked: NDArray[np.intp] = (rims < turns).sum(axis=1).clip(max=299)
    return picked


WORLD, SHARP = World(), World(1.5)
T = WORLD(150, np.random.default_rng(99))


def copies(n: int, rng: np.random.Generator) -> list[str]:
    return [T[at] for at in rng.integers(0, len(T), n)]


def half(n: int, rng: np.random.Generator) -> list[str]:
    """Each text is a copy of a training text, or fresh, with even chances."""
    pairs = zip(WORLD(n, rng), copies(n, rng), rng.random(n).tolist(), strict=True)
    return [fresh if u < 0.5 else copy for fresh, copy, u in pairs]


def gibberish(texts: list[str], share: float) -> list[str]:
    """Some words replaced by words that nobody ever said."""
    rng = np.random.default_rng(5)
    return [" ".join(f"z{rng.integers(10**9)}" if rng.random() < share else w for w in text.split()) for text in texts]


def taken(source: Source, seed: int = 0) -> Component:
    rng = np.random.default_rng([seed, 5])
    control, reference = WORLD(N, rng), WORLD(N, rng)
    return lift(T, source(N, rng), control, reference, seed=seed)


def value(component: Component) -> float:
    found = component.measure
    assert found.value is not None and found.low is not None and found.high is not None
    assert found.low <= found.value <= found.high
    assert component.key == "Y" and found.better is Better.HIGHER and component.error is not None
    return found.value


def covers(component: Component, truth: float) -> bool:
    assert component.measure.low is not None and component.measure.high is not None
    return component.measure.low <= truth <= component.measure.high


def truth(source: Source, draws: int) -> float:
    """Ratio of what S and C teach on average, over many S, C and H."""
    gains = np.zeros(2)
    for draw in range(draws):
        rng = np.random.default_rng([draw, 1234])
        t, s, c, h = ([words(text) for text in texts] for texts in (T, source(N, rng), WORLD(N, rng), WORLD(N, rng)))
        vocabulary = Vocabulary.of(t, h)
        model, held = NGrams(2, vocabulary=vocabulary).fit(t), vocabulary.code(h)
        alone = model.losses(held)[0].sum()
        for at, texts in enumerate((s, c)):
            gains[at] += alone - model.fit(texts).losses(held)[0].sum()
            model.forget(texts)
    return float(gains[0] / gains[1])


def test_fresh_organic_text_scores_one() -> None:
    found = [taken(WORLD, seed) for seed in range(10)]
    assert np.mean([value(one) for one in found]) == pytest.approx(1, abs=0.15)
    assert found[0].measure.n == N
    assert found[0].words.startswith("It teaches a word model ")


def test_the_scale_runs_from_fresh_text_over_half_copies_to_what_misleads() -> None:
    sources: dict[str, Source] = {"half": half, "copies": copies, "sharp": SHARP}
    y = {name: value(taken(source)) for name, source in sources.items()}
    assert y["copies"] < y["half"] < 0.7
    assert y["copies"] < -0.5 and y["sharp"] < 0
    found = taken(copies)
    assert found.measure.high is not None and found.measure.high < 0
    assert found.words.startswith("It misleads a word model")


def test_a_copy_is_not_saved_by_gibberish_nor_by_broken_order() -> None:
    rng = np.random.default_rng(3)
    for share in (0.01, 0.05, 0.2):
        assert value(taken(lambda n, rng: gibberish(copies(n, rng), share))) < -0.5  # noqa: B023
    assert value(taken(lambda n, _: [" ".join(rng.permutation(text.split())) for text in copies(n, rng)])) < -0.5


def test_copies_of_the_reference_are_pointed_at() -> None:
    rng = np.random.default_rng(0)
    control, reference = WORLD(N, rng), WORLD(N, rng)
    found = lift(T, reference, control, reference)
    assert value(found) > 3 and "copies of the reference" in found.measure.note
    assert "copies of the reference" not in taken(copies).measure.note


def test_more_organic_text_brings_the_model_to_the_entropy_of_the_source() -> None:
    rng = np.random.default_rng(1)
    held = WORLD(2000, rng)
    tokens = [words(text) for text in held]
    model, gaps = NGrams(2, vocabulary=Vocabulary(f"w{number}" for number in range(300))), []
    for n in (150, 1500, 15_000):
        model.fit([words(text) for text in WORLD(n, rng)])
        gaps.append(math.log(model.perplexity(tokens)) - WORLD.loss(held))
    assert gaps[0] > 2 * gaps[1] > 5 * gaps[2] > 0
    assert gaps[2] < 0.07


def test_both_corpora_are_cut_to_the_same_tokens_and_it_is_said() -> None:
    rng = np.random.default_rng(0)
    s, control, reference = WORLD(600, rng), WORLD(N, rng), WORLD(N, rng)
    tokens = sum(len(words(text)) + 1 for text in control)
    found = lift(T, s, control, reference)
    assert found.measure.note == f"{tokens:,} tokens each of synthetic and control text"
    # without the cut, three times as much text would teach about twice as much
    assert value(found) < 1.6
    swapped = lift(T, control, s, reference)
    assert swapped.measure.note == found.measure.note
    assert value(swapped) == pytest.approx(1, abs=0.5)


def test_the_seed_decides() -> None:
    assert taken(half, 3) == taken(half, 3)
    rng = np.random.default_rng(0)
    corpora = half(N, rng), WORLD(N, rng), WORLD(N, rng)
    assert lift(T, *corpora, seed=1) != lift(T, *corpora, seed=2)


@pytest.mark.parametrize("short", [0, 1, 2, 3])
@pytest.mark.parametrize("left", [0, 5, FEWEST - 1])
def test_too_few_texts_are_said_to_be(short: int, left: int) -> None:
    rng = np.random.default_rng(0)
    corpora = [WORLD(50, rng) for _ in range(4)]
    corpora[short] = corpora[short][:left]
    found = lift(*corpora)
    assert found.measure.value is None and found.error is None
    assert "too few texts" in found.measure.note and found.words.startswith("Not taken")


def test_a_control_that_teaches_nothing_measures_nothing() -> None:
    rng = np.random.default_rng(0)
    found = lift(T, WORLD(N, rng), copies(N, rng), WORLD(N, rng))
    assert found.measure.value is None
    assert found.measure.note.startswith("fresh organic text is not shown to teach anything")


def test_what_is_not_shown_is_not_claimed() -> None:
    mixed: Source = lambda n, rng: [*WORLD(n * 7 // 10, rng), *copies(n - n * 7 // 10, rng)]  # noqa: E731
    found = [taken(mixed, seed) for seed in range(5)]
    open_ones = [one for one in found if covers(one, 0)]
    assert open_ones and all("not shown to teach" in one.words for one in open_ones)


def test_the_interval_covers_the_truth_in_a_few_worlds() -> None:
    assert sum(covers(taken(WORLD, seed), 1.0) for seed in range(40)) in range(36, 41)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("source", "known"), [(WORLD, 1.0), (half, -0.607), (SHARP, -0.560)])
def test_the_interval_covers_the_truth_as_often_as_it_says(source: Source, known: float) -> None:
    # over 1,500 draws the last two were found within 0.005; here it is only seen that nothing has moved
    assert truth(source, 200) == pytest.approx(known, abs=0.05)
    covered = np.mean([covers(taken(source, seed), known) for seed in range(600)])
    assert 0.92 <= covered <= 0.98


@pytest.mark.slow
def test_known_answers_on_newswire() -> None:
    path = locate("artifact:reuters-r52/reuters-r52-train.tab", Path())
    lines = path.read_text(encoding="utf-8").split("\n")[3:]
    rng = np.random.default_rng(0)
    texts = [lines[at].split("\t")[1] for at in rng.permutation(len(lines)) if lines[at]]
    t, h, c, s = (texts[at * 1600 : (at + 1) * 1600] for at in range(4))
    pool = np.array([word for text in t for word in text.split()])
    model = NGrams(2).fit([text.split() for text in t])
    corpora = {
        "fresh": s,
        "copy": t,
        "near-copy": [_shaken(text, rng) for text in t],
        "bigram": [" ".join(text) for text in model.sample(len(pool), rng)],
        "salad": [" ".join(pool[rng.integers(0, len(pool), len(text.split()))]) for text in t],
        "gibberish": gibberish(t, 0.03),
    }
    y = {name: lift(t, corpus, c, h) for name, corpus in corpora.items()}
    assert covers(y["fresh"], 1) and value(y["fresh"]) == pytest.approx(1, abs=0.15)
    for name in ("copy", "near-copy", "bigram", "salad", "gibberish"):
        high = y[name].measure.high
        assert value(y[name]) < -0.3 and high is not None and high < 0, name
    assert value(y["near-copy"]) > value(y["copy"]) > value(y["salad"])


def _shaken(text: str, rng: np.random.Generator) -> str:
    """A text without 15 % of its words, and with 10 % of those left swapped with the next."""
    kept = [word for word in text.split() if rng.random() > 0.15]
    for at in range(len(kept) - 1):
        if rng.random() < 0.1:
            kept[at], kept[at + 1] = kept[at + 1], kept[at]
    return " ".join(kept)

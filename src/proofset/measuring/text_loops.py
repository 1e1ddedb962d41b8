"""Text loops: a small language model that is trained, speaks, and is trained on what it said.

What the other loops say about numbers, seen on words: a policy decides what the next model is trained on, and held-out
organic text tells what became of it. An n-gram model knows nothing but its training set and is trained anew each time,
so this is what a policy does by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Protocol

import numpy as np

from proofset.errors import InputError
from proofset.measuring.findings import Finding, Outcome, curve
from proofset.measuring.gaussian_loops import GENERATION
from proofset.measuring.lexicon import END, Vocabulary, words
from proofset.measuring.ngrams import NGrams
from proofset.measuring.token_loops import tail_scale

Policy = Literal["replace", "accumulate", "anchored", "verified"]
POLICIES: tuple[Policy, ...] = ("replace", "accumulate", "anchored", "verified")
Texts = Sequence[Sequence[str]]
ANCHOR_EVERY = 10
"""Under "anchored", every tenth text of a training set is organic, and always the same."""
CANDIDATES = 4
"""Texts made for each one that a verifier keeps."""
REFERENCES: dict[Policy, tuple[float, float]] = {
    "replace": (3.96, 0.96),
    "accumulate": (1.82, 0.18),
    "anchored": (3.64, 0.64),
}
"""Perplexity after 8 generations over that of organic text in a reference run, and how far off still goes its way."""
UNSMOOTHED = 1e-9
"""Discount of a model that speaks as it was taught: λ = 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextGeneration:
    """What one model of a loop was trained on, and what it makes of held-out organic text."""

    number: int
    """0 is trained on organic text alone."""
    perplexity: float
    """Of the held-out documents; lower is better."""
    vocabulary: int
    """Different words in its training set."""
    alive: tuple[float, float, float]
    """Share of held-out words that its training set holds: the rare third, the middle third, the frequent third."""
    distinct_2: float
    """Different pairs of words over all pairs, in as many words as the documents have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLoop:
    """A loop on real text, generation by generation."""

    policy: Policy
    generations: tuple[TextGeneration, ...]

    @property
    def worsened(self) -> float:
        """Perplexity of the last generation over that of the first."""
        return self.generations[-1].perplexity / self.generations[0].perplexity


class Watch:
    """What is looked at in every generation's training set.

    Held-out words are those that the documents hold too, in thirds by how often they do.
    """

    def __init__(self, organic: Texts, heldout: Texts, seed: int) -> None:
        self._seed = seed
        self._known = Vocabulary.of(organic)
        counts = Counter(chain.from_iterable(organic))
        self._budget = counts.total()
        shared = sorted(set(chain.from_iterable(heldout)) & counts.keys(), key=lambda word: (counts[word], word))
        self._bands = [set(shared[third * len(shared) // 3 : (third + 1) * len(shared) // 3]) for third in range(3)]

    def seen(self, number: int, perplexity: float, training: Texts) -> TextGeneration:
        """One generation: its perplexity is given, the rest is counted."""
        held = set(chain.from_iterable(training))
        rare, middle, frequent = (len(band & held) / max(len(band), 1) for band in self._bands)
        return TextGeneration(
            number=number,
            perplexity=perplexity,
            vocabulary=len(held),
            alive=(rare, middle, frequent),
            distinct_2=self._distinct_pairs(training, number),
        )

    def _distinct_pairs(self, training: Texts, number: int) -> float:
        order = np.random.default_rng([self._seed, number, 2]).permutation(len(training))
        coded = self._known.code(training)
        within = np.cumsum(coded.lengths[order] - 1) <= self._budget
        tokens = coded.chosen(order[within] if within.any() else order[:1]).tokens
        first, second = tokens[:-1], tokens[1:]
        pairs = (first << 32 | second)[(first != END) & (second != END)]
        return len(np.unique(pairs)) / max(len(pairs), 1)


class Learner(Protocol):
    """A language model that was taught, and is not taught again."""

    def perplexity(self, texts: Texts) -> float:
        """The exponential of its mean loss a word of ``texts``."""

    def say(self, lengths: Sequence[int], rng: np.random.Generator) -> Texts:
        """A text of each of the lengths, in words."""


def text_loop(
    documents: Sequence[str],
    heldout: Sequence[str],
    *,
    policy: Policy = "replace",
    generations: int = 6,
    order: int = 2,
    seed: int = 0,
    temperature: float = 1.0,
) -> TextLoop:
    """Train an n-gram model on ``documents``, let it say as many texts of their lengths, train the next one, and so on.

    See ``follow`` for the policies. The model that speaks is unsmoothed, so that at ``temperature`` 1 what is lost is
    lost to sampling alone; the one that is judged is smoothed, or else it could say nothing about a new pair of words.
    All know one vocabulary, that of the documents, so that perplexities can be compared.

    When it lies: one loop is one draw, without an error bar. Under "accumulate" some of the rise is the judge's: it
    takes repeated pairs for evidence. Raises InputError for an unknown policy, or for documents without a word.
    """
    organic, other = tokenised(documents, "documents"), tokenised(heldout, "held-out documents")
    known = Vocabulary.of(organic)

    def teach(training: Texts) -> Learner:
        coded = known.code(training)
        return _Smoothed(
            judge=NGrams(order, vocabulary=known).fit(coded),
            speaker=NGrams(order, UNSMOOTHED, vocabulary=known).fit(coded),
            temperature=temperature,
        )

    return follow(teach, organic, other, policy=policy, generations=generations, seed=seed)


def follow(
    teach: Callable[[Texts], Learner], organic: Texts, heldout: Texts, *, policy: Policy, generations: int, seed: int
) -> TextLoop:
    """The loop of any learner that ``teach`` makes from a training set; texts are lists of words.

    What the next one is trained on: under "replace" the texts of the one before; under "accumulate" the organic ones
    and all texts so far; under "anchored" the texts of the one before, every tenth replaced by its organic one; under
    "verified" the best of four texts each, by ``preferred``. Raises InputError for another policy.
    """
    if policy not in POLICIES or generations < 1:
        raise InputError(f"{generations} generations of {policy!r}", hint=f"policies are {', '.join(POLICIES)}")
    rng, lengths = np.random.default_rng([seed, 18]), [len(text) for text in organic]
    watch, training, found = Watch(organic, heldout, seed), organic, list[TextGeneration]()
    for number in range(generations + 1):
        model = teach(training)
        found.append(watch.seen(number, model.perplexity(heldout), training))
        if number == generations:
            break
        said = model.say(lengths * (CANDIDATES if policy == "verified" else 1), rng)
        if policy == "verified":
            said = preferred(said, organic)
        elif policy == "anchored":
            said = [organic[at] if at % ANCHOR_EVERY == 0 else text for at, text in enumerate(said)]
        training = [*training, *said] if policy == "accumulate" else said
    return TextLoop(policy=policy, generations=tuple(found))


def preferred(candidates: Texts, organic: Texts) -> Texts:
    """The best candidate for each document, candidates standing one whole round after another.

    The critic knows how often the organic documents say each word, and scores a text by what the candidates as a whole
    say too seldom: Σ max(0, ln p(w) − ln q(w)) over its different words, with p their share in the documents and q in
    the candidates. It is a density-ratio check word by word (compare C-16). A critic that prefers likely texts instead
    makes the collapse faster: it is a low temperature by another name.
    """
    known = Vocabulary.of(organic)
    coded = known.code(candidates)
    said, meant = (np.bincount(c.tokens, minlength=len(known) + 3) for c in (coded, known.code(organic)))
    said[END] = meant[END] = 0
    worth, both = np.zeros(len(said)), (said > 0) & (meant > 0)
    worth[both] = np.log(meant[both] / meant.sum()) - np.log(said[both] / said.sum())
    owners = np.repeat(np.arange(len(candidates)), coded.lengths)
    once = np.unique(owners << 32 | coded.tokens)
    scores = np.bincount(once >> 32, worth.clip(min=0.0)[once & 0xFFFFFFFF], len(candidates))
    best = scores.reshape(-1, len(organic)).argmax(axis=0)
    return [candidates[turn * len(organic) + at] for at, turn in enumerate(best.tolist())]


def tokenised(texts: Sequence[str], what: str) -> list[list[str]]:
    """Texts as words, those without any left out. Raises InputError when none is left."""
    kept = [tokens for tokens in map(words, texts) if tokens]
    if not kept:
        raise InputError(f"{len(texts)} {what} without a word", hint="a loop needs text to learn from")
    return kept


def reference_run(documents: Sequence[str], heldout: Sequence[str], *, generations: int = 8, seed: int = 0) -> Finding:
    """C-18: what every policy does to a bigram model on real text, and how many words die against theory.

    Words alive in generation g under "replace": Σ (1 − exp(−c_w s_{g−1})), c_w their counts in the documents. The other
    numbers are of a reference run on 2,275 Reuters documents, one loop each, and their tolerances say no more than
    which way it goes: replacing triples the perplexity, keeping everything does not double it. Other text may differ.
    """
    loops = [text_loop(documents, heldout, policy=policy, generations=generations, seed=seed) for policy in REFERENCES]
    counts = np.array(list(Counter(chain.from_iterable(map(words, documents))).values()), dtype=np.float64)
    steps = range(1, generations + 1)
    alive = [float(-np.expm1(-counts * tail_scale(g - 1)).sum()) for g in steps]
    seen = [float(generation.vocabulary) for generation in loops[0].generations[1:]]
    return Finding(
        id="C-18",
        title="A bigram model on its own text",
        words="On real text words die as the closed form says; a kept tenth hardly helps, keeping everything does.",
        source="reference run; survival of words derived",
        runs=1,
        outcomes=(
            *(
                Outcome(
                    name=f"perplexity × after {generations} generations, {loop.policy}",
                    expected=REFERENCES[loop.policy][0],
                    measured=loop.worsened,
                    tolerance=REFERENCES[loop.policy][1],
                )
                for loop in loops
            ),
            Outcome(name="words alive, replace", expected=alive[-1], measured=seen[-1], tolerance=0.05 * alive[-1]),
        ),
        curves=(curve("words alive, replace", steps, alive, seen, labels=(GENERATION, "different words")),),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Smoothed:
    """An n-gram model twice: one to be judged, and one that speaks as it was taught."""

    judge: NGrams
    speaker: NGrams
    temperature: float

    def perplexity(self, texts: Texts) -> float:
        return self.judge.perplexity(texts)

    def say(self, lengths: Sequence[int], rng: np.random.Generator) -> Texts:
        return self.speaker.sample(lengths, rng, temperature=self.temperature)

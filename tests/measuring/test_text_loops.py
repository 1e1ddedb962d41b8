from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from proofset.artifacts import locate
from proofset.errors import InputError
from proofset.measuring.text_loops import (
    POLICIES,
    Policy,
    TextLoop,
    Texts,
    Watch,
    follow,
    preferred,
    reference_run,
    text_loop,
    tokenised,
)
from proofset.measuring.token_loops import tail_scale, zipf


def corpus(n: int, seed: int, *, length: int = 30, types: int = 2_000) -> list[str]:
    """Documents whose words follow Zipf's law, every other one decided by the word before it."""
    rng = np.random.default_rng(seed)
    drawn = rng.choice(types, (n, length), p=zipf(types))
    drawn[:, 1::2] = (drawn[:, 0::2] * 7 + rng.integers(0, 3, (n, length // 2))) % types
    return [" ".join(f"w{number}" for number in row) for row in drawn]


DOCUMENTS, HELDOUT = corpus(300, 0), corpus(200, 1)


def loop(policy: Policy, *, generations: int = 4, seed: int = 0, temperature: float = 1.0, order: int = 2) -> TextLoop:
    return text_loop(
        DOCUMENTS, HELDOUT, policy=policy, generations=generations, order=order, seed=seed, temperature=temperature
    )


def test_all_loops_begin_with_the_organic_model() -> None:
    first = {loop(policy, generations=1).generations[0] for policy in POLICIES}
    assert len(first) == 1
    (organic,) = first
    assert organic.number == 0
    assert organic.alive == (1.0, 1.0, 1.0)
    assert organic.vocabulary == len({word for text in DOCUMENTS for word in text.split()})


def test_replacing_forgets_the_rare_first_and_never_gets_a_word_back() -> None:
    found = loop("replace").generations
    assert [generation.number for generation in found] == [0, 1, 2, 3, 4]
    vocabularies = [generation.vocabulary for generation in found]
    assert vocabularies == sorted(vocabularies, reverse=True) and vocabularies[-1] < 0.8 * vocabularies[0]
    rare, middle, frequent = found[-1].alive
    assert rare < middle < frequent and rare < 0.6 and frequent > 0.9
    perplexities = [generation.perplexity for generation in found]
    assert perplexities == sorted(perplexities)
    assert found[-1].distinct_2 < 0.8 * found[0].distinct_2
    assert loop("replace").worsened == perplexities[-1] / perplexities[0] > 1.2


def test_policies_keep_as_much_as_they_should() -> None:
    ends = {policy: loop(policy, generations=6).generations[-1] for policy in POLICIES}
    assert ends["accumulate"].alive == (1.0, 1.0, 1.0)
    assert ends["accumulate"].perplexity < ends["anchored"].perplexity < ends["replace"].perplexity
    assert ends["verified"].alive[0] > ends["replace"].alive[0] + 0.03
    assert ends["verified"].vocabulary > 1.2 * ends["replace"].vocabulary


def test_a_low_temperature_collapses_faster() -> None:
    cold, warm = loop("replace", temperature=0.8), loop("replace")
    assert cold.worsened > 1.3 * warm.worsened
    assert cold.generations[-1].vocabulary < 0.9 * warm.generations[-1].vocabulary


@pytest.mark.parametrize("order", [1, 2, 3])
def test_c_18_words_die_as_the_closed_form_says(order: int) -> None:
    counts = np.unique([word for text in DOCUMENTS for word in text.split()], return_counts=True)[1]
    loops = [loop("replace", generations=5, seed=seed, order=order) for seed in range(4)]
    for g in (1, 3, 5):
        expected = -np.expm1(-counts * tail_scale(g - 1)).sum()
        seen = np.mean([one.generations[g].vocabulary for one in loops])
        assert seen == pytest.approx(expected, rel=0.03)


def test_the_seed_decides() -> None:
    assert loop("replace", generations=2) == loop("replace", generations=2)
    assert loop("replace", generations=2) != loop("replace", generations=2, seed=1)


class Parrot:
    """A learner that says running numbers, and remembers what all were taught."""

    def __init__(self) -> None:
        self.taught: list[list[list[str]]] = []
        self.said = 0

    def __call__(self, training: Texts) -> Parrot:
        self.taught.append([list(text) for text in training])
        return self

    def perplexity(self, texts: Texts) -> float:
        return float(len(self.taught))

    def say(self, lengths: Sequence[int], rng: np.random.Generator) -> Texts:
        self.said += 1
        return [[f"said{self.said}"] * length for length in lengths]


def test_training_sets_are_what_the_policies_say() -> None:
    organic = [[f"o{number}"] * (number % 3 + 1) for number in range(25)]
    for policy in POLICIES:
        parrot = Parrot()
        found = follow(parrot, organic, organic, policy=policy, generations=2, seed=0)
        assert parrot.taught[0] == organic
        assert [generation.perplexity for generation in found.generations] == [1, 2, 3]
        said = [[["said1"] * len(text) for text in organic], [["said2"] * len(text) for text in organic]]
        if policy == "accumulate":
            assert parrot.taught[1:] == [[*organic, *said[0]], [*organic, *said[0], *said[1]]]
        elif policy == "anchored":
            kept = [
                at for at, (ours, theirs) in enumerate(zip(parrot.taught[2], organic, strict=True)) if ours == theirs
            ]
            assert kept == [0, 10, 20]
            assert [text for at, text in enumerate(parrot.taught[2]) if at not in kept] == [
                text for at, text in enumerate(said[1]) if at not in kept
            ]
        else:
            assert parrot.taught[1:] == said


def test_a_verifier_prefers_what_is_said_too_seldom() -> None:
    organic = [["a", "b", "c"], ["a", "b", "d"]]
    candidates = [["a", "a", "a"], ["a", "b", "a"], ["a", "b", "c"], ["a", "a", "d"]]
    # Two rounds of two: for the first document "a b c" beats "a a a", for the second "a a d" beats "a b a".
    assert preferred(candidates, organic) == [["a", "b", "c"], ["a", "a", "d"]]
    assert preferred([["a", "b", "c"], ["a", "b", "d"]], organic) == organic


def test_what_is_watched_is_counted_by_hand() -> None:
    organic = [["a"] * 6 + ["b"] * 3, ["c", "d", "d"]]
    watch = Watch(organic, [["a", "b", "c", "new"]], seed=0)
    seen = watch.seen(3, 7.5, [["a", "b", "a", "b"], ["a", "b"]])
    assert (seen.number, seen.perplexity, seen.vocabulary) == (3, 7.5, 2)
    # Rare first: c, then b, then a; "new" is not in the documents and counts for nothing.
    assert seen.alive == (0.0, 1.0, 1.0)
    assert seen.distinct_2 == pytest.approx(2 / 4)
    assert watch.seen(0, 1.0, organic).distinct_2 == pytest.approx(5 / 10)


def test_pairs_are_counted_in_as_many_words_as_the_documents_have() -> None:
    organic = [[f"w{number}", f"w{number + 1}"] for number in range(50)]
    watch = Watch(organic, organic, seed=0)
    assert watch.seen(0, 1.0, organic).distinct_2 == 1
    # Twice as many texts of which each stands twice: a sample of half of them meets only some pairs twice.
    assert 0.6 < watch.seen(0, 1.0, organic * 2).distinct_2 < 1


def test_texts_without_words_are_left_out_or_refused() -> None:
    assert tokenised(["A b", "  ", "c!"], "documents") == [["a", "b"], ["c", "!"]]
    with pytest.raises(InputError, match="2 documents without a word"):
        text_loop(["", " "], HELDOUT)
    with pytest.raises(InputError, match="held-out"):
        text_loop(DOCUMENTS, [])


def test_policies_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="hoard"):
        text_loop(DOCUMENTS, HELDOUT, policy="hoard")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="0 generations"):
        text_loop(DOCUMENTS, HELDOUT, generations=0)


def test_a_reference_run_compares_with_its_numbers() -> None:
    finding = reference_run(DOCUMENTS, HELDOUT, generations=3)
    assert finding.id == "C-18"
    assert [outcome.expected for outcome in finding.outcomes[:3]] == [3.96, 1.82, 3.64]
    assert finding.outcomes[0].measured == pytest.approx(loop("replace", generations=3).worsened)
    assert finding.outcomes[3].ok
    # This text is no Reuters: the loop is too short to triple its perplexity.
    assert not finding.outcomes[0].ok and not finding.holds
    assert len(finding.curves[0].x) == 3


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_c_18_a_bigram_model_on_reuters_news() -> None:
    texts = []
    for part in ("train", "test"):
        path = locate(f"artifact:reuters-r52/reuters-r52-{part}.tab", Path())
        lines = path.read_text(encoding="utf-8").split("\n")
        assert lines[0].split("\t") == ["Category", "Text"]
        texts += [line.split("\t")[1] for line in lines[3:] if "\t" in line]
    assert len(texts) == 9_101
    order = np.random.default_rng(0).permutation(len(texts))
    documents, heldout = ([texts[at] for at in order[start : start + 2_275]] for start in (0, 2_275))
    finding = reference_run(documents, heldout)
    assert finding.holds, finding.outcomes
    replace, accumulate, anchored, _ = (outcome.measured for outcome in finding.outcomes)
    assert replace > 3 and accumulate < 2
    assert accumulate < anchored < replace
    (words,) = finding.curves
    assert words.measured == pytest.approx(words.expected, rel=0.02)
    assert words.measured[-1] < 0.5 * len({word for text in tokenised(documents, "") for word in text})

"""The n-gram model against probabilities counted by hand and by brute force."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.errors import InputError
from proofset.measuring.lexicon import Vocabulary
from proofset.measuring.ngrams import COLDEST, NGrams, Texts

TINY = [["a", "b", "a", "b"], ["a", "c"], ["b"], []]
LETTERS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), min_size=1, max_size=8)


class Counted:
    """The same model out of plain counts, one probability at a time."""

    def __init__(self, texts: list[list[str]], order: int, discount: float, words: int) -> None:
        self.order, self.discount, self.floor = order, discount, 1 / (words + 2)
        self.after: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text in texts:
            padded = ["<"] * (order - 1) + text + [">"]
            for at in range(order - 1, len(padded)):
                for n in range(order):
                    self.after[tuple(padded[at - n : at])][padded[at]] += 1

    def p(self, context: list[str], word: str) -> float:
        """p(word | context); ">" is the end."""
        history = tuple((["<"] * self.order + context)[-(self.order - 1) :]) if self.order > 1 else ()
        p = self.floor
        for n in range(self.order):
            seen = self.after.get(history[len(history) - n :])
            if seen is not None:
                p = (max(seen[word] - self.discount, 0) + self.discount * len(seen) * p) / seen.total()
        return p

    def loss(self, text: list[str]) -> float:
        return -sum(math.log(self.p(text[:at], word)) for at, word in enumerate([*text, ">"]))


def test_losses_are_those_counted_by_hand() -> None:
    model = NGrams(2, 0.5).fit(TINY)
    # 10 tokens with the ends: a 3, b 3, c 1, end 4; the floor shares out 1 / (3 words + end + unknown)
    a = b = 2.5 / 11 + 0.5 * 4 / 11 / 5
    end = 3.5 / 11 + 0.5 * 4 / 11 / 5
    unknown = 0.5 * 4 / 11 / 5
    # at the beginning: a twice, b once, end once; after a: b twice, c once; after b: end twice, a once
    a_first, end_first = 1.5 / 4 + 0.5 * 3 / 4 * a, 0.5 / 4 + 0.5 * 3 / 4 * end
    b_after_a, end_after_b = 1.5 / 3 + 0.5 * 2 / 3 * b, 1.5 / 3 + 0.5 * 2 / 3 * end
    unknown_after_a = 0.5 * 2 / 3 * unknown
    losses, tokens = model.losses([["a", "b"], [], ["a", "unheard"]])
    assert tokens.tolist() == [3, 1, 3]
    chances = [a_first * b_after_a * end_after_b, end_first, a_first * unknown_after_a * end]
    assert losses == pytest.approx(-np.log(chances))
    assert model.perplexity([["a", "b"], []]) == pytest.approx(math.exp((losses[0] + losses[1]) / 4))


@given(LETTERS, LETTERS, st.integers(1, 4), st.floats(0.05, 1))
def test_losses_are_those_of_plain_counting(
    texts: list[list[str]], others: list[list[str]], order: int, discount: float
) -> None:
    model = NGrams(order, discount, vocabulary=Vocabulary("abcde")).fit(texts)
    plain = Counted([["?" if word == "f" else word for word in text] for text in texts], order, discount, 5)
    expected = [plain.loss(["?" if word == "f" else word for word in text]) for text in others]
    assert model.losses(others)[0] == pytest.approx(np.array(expected))
    for text in others:
        assert sum(plain.p(text, word) for word in "abcde?>") == pytest.approx(1)


@given(LETTERS, LETTERS, st.integers(1, 3))
def test_fitting_in_parts_and_forgetting_leave_no_trace(
    first: list[list[str]], second: list[list[str]], order: int
) -> None:
    one, other = NGrams(order).fit(first + second), NGrams(order).fit(second).fit(first)
    assert one.losses(second)[0].tolist() == other.losses(second)[0].tolist()
    fixed = Vocabulary("abcdef")
    alone, forgetful = (NGrams(order, vocabulary=fixed).fit(first) for _ in range(2))
    forgetful.fit(second).forget(second)
    assert forgetful.losses(first + second)[0].tolist() == alone.losses(first + second)[0].tolist()


def test_what_was_never_counted_cannot_be_forgotten() -> None:
    model = NGrams(2).fit([["a", "b"], ["b", "a"]])
    for texts in ([["c"]], [["a", "a"]], [["a", "b"], ["a", "b"]]):
        with pytest.raises(InputError, match="never counted"):
            model.forget(texts)
    assert model.losses([["a"]])[0] == NGrams(2).fit([["a", "b"], ["b", "a"]]).losses([["a"]])[0]


def test_words_never_seen_cost_the_floor_and_stay_finite() -> None:
    empty = NGrams(3, vocabulary=Vocabulary("abc"))
    losses, tokens = empty.losses([["a", "zzz"], []])
    assert losses == pytest.approx(tokens * math.log(5))
    assert np.isfinite(NGrams(2).fit([["a"]]).losses([["b", "b", "c"]])[0]).all()


def test_a_vocabulary_of_its_own_flatters_the_model_that_knows_less() -> None:
    shares = 1 / np.arange(1, 3001) / (1 / np.arange(1, 3001)).sum()
    numbers = np.random.default_rng(0).choice(3000, (400, 20), p=shares)
    texts = [[f"w{number}" for number in row] for row in numbers]
    little, much, held, shared = texts[:10], texts[:200], texts[200:], Vocabulary.of(texts)
    assert NGrams(1).fit(little).perplexity(held) < NGrams(1).fit(much).perplexity(held)
    fair = [NGrams(1, vocabulary=shared).fit(some).perplexity(held) for some in (little, much)]
    assert fair[0] > fair[1]


def test_a_model_that_learns_reads_the_same_texts_anew() -> None:
    shared = Vocabulary("abc")
    held, model = shared.code([["a", "b", "c"], ["c"]]), NGrams(2, vocabulary=shared).fit([["a"]])
    for more in ([["a", "b"]], [["b", "c"]], [["a", "b"]]):
        before = model.losses(held)[0]
        assert (model.fit(more).losses(held)[0] != before).any()
    learnt = NGrams(2, vocabulary=shared).fit([["a"], ["a", "b"], ["b", "c"], ["a", "b"]])
    assert model.losses(held)[0].tolist() == learnt.losses(held)[0].tolist()


def test_an_open_vocabulary_grows_with_what_is_fitted() -> None:
    model = NGrams(2).fit([["a", "b"]])
    assert model.vocabulary == 2
    model.losses([["c"]])
    assert model.fit([["c", "a"]]).vocabulary == 3


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_drawn_words_have_the_tempered_probabilities(order: int, temperature: float) -> None:
    rng = np.random.default_rng(order)
    texts = [list(rng.choice(list("abcd"), rng.integers(1, 6))) for _ in range(200)]
    model, plain = NGrams(order, vocabulary=Vocabulary("abcdxyz")).fit(texts), Counted(texts, order, 0.75, 7)
    drawn = [[*text, ">"] for text in model.sample(100_000, rng, temperature=temperature)[:-1]]
    for context in ([], ["a"], ["b", "a"]):
        n = len(context)
        after = Counter(text[n] for text in drawn if text[:n] == context and len(text) > n)
        p = np.array([plain.p(context, word) for word in "abcdxyz>"]) ** (1 / temperature)
        expected = p / p.sum() * after.total()
        seen = np.array([after[word] for word in "abcdxyz>"])
        common = expected > 4
        assert after.total() > 300 and common.sum() > 2
        spread = ((seen - expected)[common] ** 2 / expected[common]).sum()
        # χ² with no more degrees than outcomes: 4 standard deviations above its mean
        assert spread < common.sum() + 4 * math.sqrt(2 * common.sum())


def test_without_ends_the_other_words_keep_their_ratios() -> None:
    texts = [["a"], ["a"], ["a", "b"], ["b", "a"], ["b", "b"]]
    drawn = NGrams(2, 0.5).fit(texts).sample([2] * 20_000, np.random.default_rng(1))
    after, plain = Counter(text[1] for text in drawn if text[0] == "a"), Counted(texts, 2, 0.5, 2)
    a, b = plain.p(["a"], "a"), plain.p(["a"], "b")
    assert after["b"] / after.total() == pytest.approx(b / (a + b), abs=4 * 0.5 / math.sqrt(after.total()))


def test_a_total_is_met_exactly_and_so_are_lengths() -> None:
    model, rng = NGrams(2).fit(TINY), np.random.default_rng(0)
    for total in (0, 1, 17, 5000):
        texts = model.sample(total, rng)
        assert sum(map(len, texts)) == total
    wanted = [3, 0, 40, 1, 0]
    assert [len(text) for text in model.sample(wanted, rng)] == wanted
    assert model.sample([], rng) == []


def test_a_text_may_be_empty_as_often_as_one_was() -> None:
    texts = NGrams(1, 0.01).fit([[], [], ["a", "b"], ["c"]]).sample(9000, np.random.default_rng(0))
    # every token is an end with probability 4 / 7
    assert sum(not text for text in texts) / len(texts) == pytest.approx(4 / 7, abs=0.02)


def test_the_unknown_is_never_drawn_however_often_it_was_counted() -> None:
    model = NGrams(2, vocabulary=Vocabulary("ab")).fit([["x", "y", "b"], ["z", "b"]] * 50)
    rng = np.random.default_rng(0)
    said = Counter(word for text in model.sample(2000, rng) + model.sample([5] * 100, rng) for word in text)
    assert said["b"] > 0.95 * said.total() and set(said) <= {"a", "b"}


def test_drawn_text_has_the_entropy_of_its_source() -> None:
    # a chain of three letters; its entropy is the mean of its rows' entropies under its stationary shares
    rows = np.array([[0, 0.75, 0.25], [0.5, 0, 0.5], [1, 0, 0]])
    shares = np.linalg.matrix_power(rows, 500)[0]
    entropy = -(shares @ (rows * np.log(np.where(rows > 0, rows, 1))).sum(axis=1))
    rng = np.random.default_rng(0)
    thresholds, letter, text = rows.cumsum(axis=1), 0, []
    for u in rng.random(40_000).tolist():
        letter = int((thresholds[letter] < u).sum())
        text.append("abc"[letter])
    model = NGrams(2, 0.01).fit([text])
    assert math.log(model.perplexity(model.sample([40_000], rng))) == pytest.approx(entropy, abs=0.01)


def test_the_generator_decides() -> None:
    model = NGrams(2).fit(TINY)
    assert model.sample(100, np.random.default_rng(1)) == model.sample(100, np.random.default_rng(1))
    assert model.sample(100, np.random.default_rng(1)) != model.sample(100, np.random.default_rng(2))


def test_the_coldest_model_always_says_the_likeliest_word() -> None:
    model = NGrams(2).fit([["a", "b", "c"]] * 5 + [["a", "c"]])
    assert set(map(tuple, model.sample(300, np.random.default_rng(0), temperature=COLDEST))) == {("a", "b", "c")}


@pytest.mark.parametrize("texts", [["a b"], [["a"], "b"]])
def test_strings_are_no_tokenised_texts(texts: Texts) -> None:
    with pytest.raises(InputError, match="string"):
        NGrams().fit(texts)


def test_what_makes_no_sense_is_refused() -> None:
    for order, discount in ((0, 0.75), (2, 0.0), (2, 1.1)):
        with pytest.raises(InputError, match="order"):
            NGrams(order, discount)
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="temperature"):
        NGrams().fit(TINY).sample(5, rng, temperature=0.01)
    with pytest.raises(InputError, match="no word"):
        NGrams().fit([[]]).sample(5, rng)
    with pytest.raises(InputError, match="no text"):
        NGrams().fit(TINY).perplexity([])
    assert NGrams().fit(TINY).losses([])[0].shape == (0,)

"""Descriptions of text against counts by hand and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring import texts
from proofset.measuring.lexicon import Vocabulary
from proofset.measuring.texts import UNITS, compression_ratio, describe, distinct, entropy, tail_exponent
from proofset.nouns.result import Better, Measure

SHARES = 1 / np.arange(1, 2001) / (1 / np.arange(1, 2001)).sum()


def corpus(n: int, seed: int, *, length: int = 20, shares: NDArray[np.float64] = SHARES) -> list[str]:
    """Texts of independent words, common and rare ones."""
    rows = np.random.default_rng(seed).choice(len(shares), (n, length), p=shares)
    return [" ".join(f"w{word}" for word in row) for row in rows]


def named(pairs: list[tuple[Measure, Measure]], side: int = 0) -> dict[str, Measure]:
    return {pair[side].name: pair[side] for pair in pairs}


def value(measure: Measure) -> float:
    assert measure.value is not None and measure.low is not None and measure.high is not None
    assert 0 <= measure.low <= measure.value <= measure.high
    return measure.value


def test_there_are_six_descriptions_that_decide_nothing() -> None:
    pairs = describe(corpus(120, 0), corpus(180, 1))
    assert [ours.name for ours, _ in pairs] == [theirs.name for _, theirs in pairs] == list(UNITS)
    for measure in [one for pair in pairs for one in pair]:
        value(measure)
        assert (measure.n, measure.better, measure.note) == (2400, Better.NEITHER, "descriptive")
        assert measure.unit == UNITS[measure.name]


def test_grams_are_counted_within_a_text_and_at_the_tokens_asked_for() -> None:
    # 40 texts of "a b": one bigram over all; were borders crossed, "b a" would be another
    pairs = named(describe(["a b"] * 40, ["a b"] * 40))
    assert pairs["distinct-1"].value == pytest.approx(2 / 80)
    assert pairs["distinct-2"].value == pytest.approx(1 / 40)
    assert pairs["bigram entropy"].value == 0
    assert pairs["distinct-3"].value is None and "too few words" in pairs["distinct-3"].note
    # an odd number cuts the last text in two
    cut = named(describe(["a b"] * 50, ["a b"] * 50, tokens=81))
    assert cut["distinct-1"].value == pytest.approx(2 / 81)
    assert cut["distinct-2"].value == pytest.approx(1 / 40)


def test_distinct_trigrams_are_those_of_sets() -> None:
    said = corpus(100, 3, shares=np.full(6, 1 / 6))
    grams = [tuple(text.split()[at : at + 3]) for text in said for at in range(18)]
    found = named(describe(said, said))["distinct-3"]
    assert value(found) == pytest.approx(len(set(grams)) / len(grams))


def test_a_subsample_is_cut_at_the_very_token() -> None:
    raw = ["a b c d", "a a", "e f g", "c d e a b"]
    said = [text.split() for text in raw]
    side = texts._Side.of(raw, said, 14, Vocabulary.of(said), np.random.default_rng(0))
    shuffled = [text.decode().split() for text in side.raw]
    for tokens in range(3, 14):
        for order in ([3, 1, 0, 2], [0, 2, 1, 3]):
            heard, kept = tokens, []
            for at in order:
                kept.append(shuffled[at][:heard])
                heard -= len(kept[-1])
            found = side.statistics(np.array(order), tokens, 10)
            for n in (1, 2, 3):
                grams = [tuple(text[at : at + n]) for text in kept for at in range(len(text) - n + 1)]
                if grams:
                    assert found[n - 1] == pytest.approx(len(set(grams)) / len(grams))


def test_fewer_kinds_are_found_as_the_closed_form_says() -> None:
    tokens = 4000
    expected = (1 - (1 - SHARES) ** tokens).sum() / tokens
    for seed in range(5):
        found = named(describe(corpus(250, seed), corpus(400, seed + 50), tokens=tokens))["distinct-1"]
        assert value(found) == pytest.approx(expected, rel=0.05)


def test_size_alone_makes_no_difference() -> None:
    few, many = corpus(100, 1), corpus(1000, 2)
    pairs = describe(many, few)
    for ours, theirs in pairs[:5]:
        assert value(ours) == pytest.approx(value(theirs), rel=0.06), ours.name
    alone = len({word for text in many for word in text.split()}) / 20_000
    assert alone < 0.6 * value(pairs[0][1])


def test_texts_said_again_show_in_every_description_but_the_tail() -> None:
    fresh = corpus(400, 4)
    stale = [text for text in fresh[:100] for _ in range(4)]
    ours, theirs = (named(describe(stale, fresh), side) for side in (0, 1))
    for name in ("distinct-1", "distinct-2", "distinct-3", "bigram entropy"):
        high, low = ours[name].high, theirs[name].low
        assert high is not None and low is not None and high < low, name
    assert value(ours["compression ratio"]) > value(theirs["compression ratio"])


def test_gibberish_looks_varied() -> None:
    rng = np.random.default_rng(0)
    gibberish = [" ".join(f"z{number}" for number in row) for row in rng.integers(0, 10**9, (200, 20))]
    ours, theirs = (named(describe(gibberish, corpus(200, 1)), side) for side in (0, 1))
    assert ours["distinct-1"].value == 1 > 3 * value(theirs["distinct-1"])
    assert ours["Zipf tail exponent"].value is None
    assert "0 words are said 6 times or more" in ours["Zipf tail exponent"].note


def test_entropy_is_corrected_as_miller_and_madow_do() -> None:
    assert entropy(np.full(8, 100)) == pytest.approx(3 + 7 / (2 * 800) / math.log(2))
    assert entropy(np.array([5, 0])) == 0
    rng = np.random.default_rng(0)
    draws = [np.bincount(rng.integers(0, 64, 400), minlength=64) for _ in range(300)]
    plain = [-(c[c > 0] / 400 * np.log2(c[c > 0] / 400)).sum() for c in draws]
    assert np.mean([entropy(counts) for counts in draws]) == pytest.approx(6, abs=0.01)
    assert np.mean(plain) < 5.9


def test_bigrams_of_a_known_source_have_its_entropy() -> None:
    said = corpus(1000, 5, shares=np.full(16, 1 / 16))
    assert value(named(describe(said, said))["bigram entropy"]) == pytest.approx(8, abs=0.02)


@pytest.mark.parametrize("alpha", [1.8, 2.2, 3.0])
def test_the_exponent_of_a_power_law_is_found_again(alpha: float) -> None:
    counts = np.random.default_rng(0).zipf(alpha, 200_000)
    tail = int((counts >= 6).sum())
    assert tail_exponent(counts) == pytest.approx(alpha, abs=0.02 + 4 * (alpha - 1) / math.sqrt(tail))


def test_compression_sees_what_comes_again() -> None:
    noise = np.random.default_rng(0).bytes(20_000)
    assert compression_ratio(noise) == pytest.approx(1, abs=0.01)
    assert compression_ratio(noise * 2) == pytest.approx(2, abs=0.05)
    # what comes again beyond the window is new to it
    assert compression_ratio(np.random.default_rng(0).bytes(40_000) * 2) == pytest.approx(1, abs=0.01)


def test_both_sides_are_compressed_at_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def squeezed(data: bytes) -> float:
        sizes.append(len(data))
        return compression_ratio(data)

    monkeypatch.setattr(texts, "compression_ratio", squeezed)
    longer = [text.replace("w", "wwwww") for text in corpus(100, 1)]
    describe(longer, corpus(100, 2))
    assert len(set(sizes)) == 3 and sizes[0] == sizes[len(sizes) // 2] == max(sizes)
    monkeypatch.setattr(texts, "BYTES", 1000)
    describe(longer, corpus(100, 2))
    assert sizes[-1] == 250


def test_nothing_to_count_is_no_number() -> None:
    none = np.zeros(3, np.int64)
    assert all(math.isnan(statistic(none)) for statistic in (distinct, entropy, tail_exponent))
    assert math.isnan(compression_ratio(b""))


@pytest.mark.parametrize("ours", [[], ["a b c"] * 39, ["a long text of nine words is cut here"] + ["a"] * 100])
def test_too_few_texts_are_said_to_be(ours: list[str]) -> None:
    for pair in describe(ours, corpus(100, 1), tokens=39 if len(ours) > 100 else 0):
        assert pair[0].value is None and pair[0].note.startswith("descriptive; too few texts")


def test_texts_without_any_variance_have_no_interval() -> None:
    found = named(describe(["a b"] * 60, ["a b"] * 60))["bigram entropy"]
    assert found.value == 0 and found.low is None and found.high is None
    assert found.note == "descriptive; subsamples differ too little for an interval"


def test_the_seed_decides() -> None:
    ours, theirs = corpus(100, 1), corpus(150, 2)
    assert describe(ours, theirs, seed=3) == describe(ours, theirs, seed=3)
    assert describe(ours, theirs, seed=3) != describe(ours, theirs, seed=4)


@pytest.mark.parametrize("tokens", [-1, 1201])
def test_tokens_that_no_side_has_are_refused(tokens: int) -> None:
    with pytest.raises(InputError, match="1200 synthetic and 1800 organic"):
        describe(corpus(60, 0), corpus(90, 1), tokens=tokens)


def topical(n: int, seed: int) -> list[str]:
    """Texts of two topics, so that words of one text depend on each other."""
    rng = np.random.default_rng(seed)
    turned = np.roll(SHARES, 500)
    pairs = zip(corpus(n, seed), corpus(n, seed + 10**6, shares=turned), rng.random(n).tolist(), strict=True)
    return [one if u < 0.5 else other for one, other, u in pairs]


def coverage(corpora: int, n: int) -> dict[str, float]:
    found = [named(describe(said, said, tokens=18 * n)) for said in (topical(n, seed) for seed in range(corpora))]
    shares = {}
    for name in UNITS:
        truth = np.mean([value(one[name]) for one in found])
        held = [bool((one[name].low or 0) <= truth <= (one[name].high or 0)) for one in found]
        shares[name] = float(np.mean(held))
    return shares


def test_intervals_hold_the_mean_of_a_few_corpora() -> None:
    assert all(share >= 0.85 for share in coverage(20, 150).values())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_intervals_hold_the_mean_of_many_corpora_at_least_as_often_as_they_say() -> None:
    shares = coverage(300, 200)
    assert all(share >= 0.92 for share in shares.values()), shares

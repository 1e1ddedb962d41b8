"""Each gate refuses its fault at the right edge, and no text, however hostile, gets more than a verdict out of it."""

from __future__ import annotations

import math
import random

import pytest
from tests.synthesizing.judging import ORGANIC, brief, candidate, reason, sentence

from proofset.copies import CopyIndex
from proofset.judges import Gates
from proofset.synthesizing.gates import AnchorGate, CopyGate, FluencyGate, FormGate

# ── form ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def numbered(n: int) -> str:
    return " ".join(f"w{number}" for number in range(n))


@pytest.mark.parametrize(
    ("text", "finish", "code"),
    [
        (numbered(4), "stop", ""),
        (numbered(3), "stop", "too short"),
        ("", "stop", "too short"),
        (" \n ", "stop", "too short"),
        (numbered(80), "stop", ""),
        (numbered(81), "stop", "too long"),
        (numbered(10_000), "stop", "too long"),
        (numbered(10), "length", "truncated"),
        (numbered(10), "trimmed", ""),
        (numbered(3), "length", "truncated"),
        (numbered(11) + " w0" * 9, "stop", ""),  # 11 of 20 words: exactly 0.55
        (numbered(10) + " w0" * 10, "stop", "repeats itself"),
        ("Spam SPAM spam sPaM", "stop", "repeats itself"),
        ("one two\nthree four", "stop", ""),
        ("1 2 3 4", "stop", ""),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_form(text: str, finish: str, code: str) -> None:
    assert reason(FormGate(Gates()), text, finish=finish) == code


def test_form_follows_its_settings() -> None:
    gate = FormGate(Gates(min_words=1, max_words=2, distinct_share=0.0))
    assert [reason(gate, text) for text in ("a", "a a", "a a a", "")] == ["", "", "too long", "too short"]


# ── fluency ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fluency_knows_language_from_noise() -> None:
    gate = FluencyGate(ORGANIC, Gates())
    fresh = [sentence(seed) for seed in range(1000, 1050)]
    assert sum(reason(gate, text) == "" for text in fresh) >= 49
    rng = random.Random(0)
    noise = ["".join(rng.sample(text, len(text))) for text in fresh]
    assert {reason(gate, text) for text in noise} == {"degenerate"}
    for text in ("0800 555 1234 0 99 £100 4x4", "🙂🙃😀😁", "WHY ARE YOU SHOUTING AT ME", "xq zv kj wq"):
        assert reason(gate, text) == "degenerate", text


def test_fluency_measures_bits_a_character_and_the_limit_moves_with_the_setting() -> None:
    strict, lenient = (FluencyGate(ORGANIC, Gates(surprise_limit=limit)) for limit in (1.0, 8.0))
    assert strict.limit < lenient.limit
    assert 0 < strict.limit < 5
    assert reason(lenient, ORGANIC[0]) == ""


def test_the_limit_is_set_on_text_that_was_not_learned() -> None:
    rng = random.Random(1)
    strange = ["".join(rng.choices("abcdefghij", k=60)) for _ in range(40)]
    seen = [text for text in strange[::2] for _ in range(2)]  # what lies at odd places was learned at even ones
    assert FluencyGate(strange, Gates()).limit > FluencyGate(seen, Gates()).limit + 0.4


@pytest.mark.parametrize("organic", [[], ["one text alone"], [""], ["", ""]])
def test_fluency_with_hardly_anything_to_learn_from(organic: list[str]) -> None:
    gate = FluencyGate(organic, Gates())
    assert gate.limit == math.inf or len(organic) > 1
    assert reason(gate, "") == ""
    if len(organic) < 2:
        assert reason(gate, "🙂 123 anything goes") == ""


# ── copies ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_copies_are_found_whatever_their_case_and_spacing() -> None:
    index = CopyIndex(0.5)
    index.add("r1", "The quick brown fox jumps over a dog")
    gate = CopyGate("organic copy", "copy of organic", index)
    assert reason(gate, "the  QUICK brown\nfox jumps over a dog") == "copy of organic"
    assert reason(gate, "the quick brown fox jumps over a cat") == "copy of organic"
    assert reason(gate, "dog a over jumps fox brown quick the") == ""
    assert reason(gate, "") == ""
    exact, near = (gate.judge(brief(), candidate(f"the quick brown fox jumps over a {end}")) for end in ("dog", "cat"))
    assert exact.critique == "the same text as r1"
    assert near.critique == "75% of word pairs shared with r1"  # 6 of 8
    assert exact.evidence == near.evidence == ("r1",)


def test_several_indexes_are_looked_through_in_order() -> None:
    first, second = CopyIndex(0.5), CopyIndex(0.5)
    second.add("s1", "the quick brown fox jumps over a dog")
    gate = CopyGate("duplicate", "duplicate", first, second)
    assert gate.judge(brief(), candidate("the quick brown fox jumps over a dog")).evidence == ("s1",)
    first.add("f1", "the quick brown fox jumps over a cat")
    assert gate.judge(brief(), candidate("the quick brown fox jumps over a dog")).evidence == ("f1",)


def test_copies_start_at_exactly_the_similarity() -> None:
    for similarity, code in ((0.75, "copy of organic"), (0.76, "")):
        index = CopyIndex(similarity)
        index.add("r1", "the quick brown fox jumps over a dog")
        gate = CopyGate("organic copy", "copy of organic", index)
        assert reason(gate, "the quick brown fox jumps over a cat") == code


# ── anchors ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ANCHOR = " ".join(f"a{n}" for n in range(20))


def begun(n: int, rest: int) -> str:
    """``n`` words of the anchor and ``rest`` of one's own."""
    return " ".join([*ANCHOR.split()[:n], *(f"own{number}" for number in range(rest))])


@pytest.mark.parametrize(
    ("copied", "own", "opening", "code"),
    [
        (9, 40, 0, ""),
        (10, 40, 0, "copies an anchor"),  # ten words in a row, however long the rest
        (6, 4, 0, "copies an anchor"),  # 60 % of ten words
        (5, 5, 0, ""),
        (4, 0, 0, "copies an anchor"),
        (3, 0, 0, ""),  # fewer than four words in a row are nobody's
        (4, 2, 4, ""),  # the opening it was given
        (5, 2, 4, "copies an anchor"),  # the opening, and the next word of the anchor
        (4, 0, 4, "copies an anchor"),  # nothing but its opening
        (2, 0, 2, "copies an anchor"),
        (2, 3, 2, ""),
        (0, 0, 0, ""),
    ],
)  # fmt: skip
def test_anchor_copies(copied: int, own: int, opening: int, code: str) -> None:
    told = brief(" ".join(ANCHOR.split()[:opening]), "something else entirely", ANCHOR)
    assert reason(AnchorGate(Gates()), begun(copied, own), told=told) == code


def test_an_anchor_is_copied_from_its_middle_too() -> None:
    text = "well " + " ".join(ANCHOR.split()[5:16]) + " indeed so it is said by many people here today again and again"
    assert reason(AnchorGate(Gates()), text, told=brief("", ANCHOR)) == "copies an anchor"
    assert AnchorGate(Gates()).judge(brief("", "another", ANCHOR), candidate(text)).evidence == ("r1",)
    assert reason(AnchorGate(Gates()), text, told=brief("")) == ""

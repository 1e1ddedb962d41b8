"""Each gate refuses its fault at the right edge, and no text, however hostile, gets more than a verdict out of it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.config import Gates
from proofset.copies import CopyIndex
from proofset.nouns.candidate import Brief, Candidate, Decision
from proofset.nouns.evidence import Anchor, Evidence
from proofset.plugins import Judge
from proofset.synthesizing.gates import AnchorGate, Cascade, CopyGate, FluencyGate, FormGate

REASONS = {
    "truncated", "too short", "too long", "repeats itself", "duplicate", "copy of organic", "contaminated",
    "copies an anchor", "degenerate",
}  # fmt: skip
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


def brief(opening: str = "", *anchors: str) -> Brief:
    shown = tuple(Anchor(f"r{n}", text, "edge") for n, text in enumerate(anchors))
    return Brief(
        id="b",
        slice="edge",
        label="edge",
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
    assert reason(AnchorGate(Gates()), text, told=brief("")) == ""


# ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────────


def cascade(held_out: str = "a sealed text that nobody may ever write again") -> Cascade:
    sealed = CopyIndex(0.5)
    sealed.add("h", held_out)
    return Cascade(Gates(), [(f"r{n}", text) for n, text in enumerate(ORGANIC)], sealed)


def first_reason(judges: list[Judge], text: str) -> str:
    return next((code for judge in judges if (code := reason(judge, text))), "")


def test_the_cascade_asks_in_order_and_knows_who_remembers() -> None:
    judges, remember = cascade().for_slice()
    names = [judge.name for judge in judges]
    assert names == ["form", "duplicate", "organic copy", "contamination", "anchor copy", "fluency"]
    before = {judge.name: reason(judge, sentence(77)) for judge in judges}
    remember("c9", sentence(77))
    changed = {judge.name for judge in judges if reason(judge, sentence(77)) != before[judge.name]}
    assert changed == Cascade.stateful == {"duplicate"}


def test_the_cascade_refuses_for_the_first_reason() -> None:
    judges, remember = cascade().for_slice()
    assert first_reason(judges, ORGANIC[3]) == "copy of organic"
    assert first_reason(judges, "a sealed text that nobody may ever write again") == "contaminated"
    assert first_reason(judges, sentence(77)) == ""
    remember("c9", sentence(77))
    assert first_reason(judges, sentence(77).upper()) == "duplicate"


def test_each_slice_remembers_its_own() -> None:
    shared = cascade()
    (one, remember), (other, _) = shared.for_slice(), shared.for_slice()
    remember("c1", sentence(78))
    assert first_reason(one, sentence(78)) == "duplicate"
    assert first_reason(other, sentence(78)) == ""


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_no_text_gets_more_than_a_verdict(text: str) -> None:
    judges, remember = cascade().for_slice()
    for told in (brief(), brief("the quick", *ORGANIC[:3]), brief(text[:50], text[:500])):
        for finish in ("stop", "length", "trimmed"):
            for judge in judges:
                assert reason(judge, text, told=told, finish=finish) in REASONS | {""}
    assert first_reason(judges, text) in REASONS  # none of these is a sentence
    remember("c", text)
    assert reason(judges[1], text) == "duplicate"


@given(st.text(max_size=200), st.text(max_size=40))
def test_any_text_gets_a_verdict(text: str, opening: str) -> None:
    judges, _ = SHARED
    for judge in judges:
        assert reason(judge, text, told=brief(opening, ORGANIC[0], text)) in REASONS | {""}


SHARED = cascade().for_slice()

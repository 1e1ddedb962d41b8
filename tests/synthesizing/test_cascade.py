"""The cascade asks its gates in order, refuses for the first reason, and knows who remembers what was accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.synthesizing.judging import HOSTILE, ORGANIC, bag_of_words, brief, candidate, reason, sentence

from proofset.copies import CopyIndex
from proofset.errors import ConfigError, InputError
from proofset.judges import Gates
from proofset.plugins import Judge
from proofset.synthesizing.cascade import Cascade, Meaning
from proofset.synthesizing.constitution import Constitution, Rule
from proofset.synthesizing.paraphrases import SealedIndex, sealed_signatures, unit_rows

REASONS = {
    "truncated", "too short", "too long", "repeats itself", "duplicate", "copy of organic", "contaminated",
    "copies an anchor", "degenerate", "wrong language", "personal data", "breaks a rule", "near paraphrase", "drifted",
}  # fmt: skip
BY_WORDS = ["form", "duplicate", "organic copy", "contamination", "benchmark", "anchor copy", "fluency", "language",
            "personal", "constitution"]  # fmt: skip
BY_MEANING = [
    "paraphrase of accepted", "paraphrase of organic", "paraphrase of held-out", "paraphrase of benchmark", "drift"
]  # fmt: skip

PAIRS = [(f"r{number}", text) for number, text in enumerate(ORGANIC)]
HELD_OUT = "a sealed text that nobody may ever write again"
LAZY = Rule(number=4, text="No dog is lazy.", forbid="lazy dog")
UNSEEN, FAR, FRESH, BENCHMARK = sentence(500), sentence(501), sentence(77), sentence(502)


def sealed_copies() -> CopyIndex:
    index = CopyIndex(0.5)
    index.add("h1", HELD_OUT)
    return index


def plain(**settings: object) -> Cascade:
    """A cascade of words alone."""
    return Cascade(Gates.model_validate(settings), PAIRS, sealed_copies())


def full(**settings: object) -> Cascade:
    """A cascade with all that there is."""
    sealed = SealedIndex(sealed_signatures(bag_of_words([UNSEEN]), 3), 0.97, 3)
    return Cascade(
        Gates.model_validate({"copied_run_words": 30} | settings),
        PAIRS,
        sealed_copies(),
        meaning=Meaning(encode=bag_of_words, labels=["edge"] * len(PAIRS), sealed=sealed),
        benchmarks=[("q1", BENCHMARK)],
        constitution=Constitution((LAZY,)),
        before=[("c0", FAR)],
    )


def shuffled(text: str) -> str:
    """The same words with no two that were neighbours."""
    words = text.split()
    mixed = words[::2] + words[1::2]
    assert set(pairwise(mixed)).isdisjoint(pairwise(words))
    return " ".join(mixed)


def first(judges: Sequence[Judge], text: str) -> tuple[str, str, tuple[str, ...]]:
    """Name, reason and evidence of the first judge who refuses."""
    for judge in judges:
        if code := reason(judge, text):
            return judge.name, code, judge.judge(brief(), candidate(text)).evidence
    return "", "", ()


def test_the_gates_stand_in_the_order_of_their_cost() -> None:
    assert [judge.name for judge in full().for_slice()[0]] == BY_WORDS + BY_MEANING
    assert [judge.name for judge in plain().for_slice()[0]] == [
        name for name in BY_WORDS if name not in ("benchmark", "constitution")
    ]


@pytest.mark.parametrize(
    ("settings", "gone"),
    [
        ({"language": "any"}, {"language"}),
        ({"personal": "off"}, {"personal"}),
        (
            {"paraphrase_similarity": 1},
            {"paraphrase of accepted", "paraphrase of organic", "paraphrase of held-out", "paraphrase of benchmark"},
        ),
        ({"drift_share": 0}, {"drift"}),
    ],
)
def test_a_setting_takes_its_gates_away(settings: dict[str, object], gone: set[str]) -> None:
    assert [each.name for each in full(**settings).for_slice()[0]] == [
        name for name in BY_WORDS + BY_MEANING if name not in gone
    ]


@pytest.mark.parametrize(
    ("text", "name", "code", "evidence"),
    [
        ("quick brown", "form", "too short", ()),
        (FAR, "duplicate", "duplicate", ("c0",)),
        (ORGANIC[3], "organic copy", "copy of organic", ("r3",)),
        (HELD_OUT, "contamination", "contaminated", ("h1",)),
        (BENCHMARK, "benchmark", "contaminated", ("q1",)),
        ("xq zv kj wq", "fluency", "degenerate", ()),
        (f"{shuffled(FRESH)} lazy dog", "constitution", "breaks a rule", ("4",)),
        (shuffled(FAR), "paraphrase of accepted", "near paraphrase", ("c0",)),
        (shuffled(ORGANIC[3]), "paraphrase of organic", "near paraphrase", ("r3",)),
        (shuffled(UNSEEN), "paraphrase of held-out", "contaminated", ("sealed text 0",)),
        (FRESH, "", "", ()),
    ],
)
def test_each_fault_is_refused_by_the_gate_that_is_there_for_it(
    text: str, name: str, code: str, evidence: tuple[str, ...]
) -> None:
    assert first(full().for_slice()[0], text) == (name, code, evidence)


def test_language_personal_data_and_drift_are_refused_where_nothing_before_them_is() -> None:
    lenient = full(surprise_limit=1000.0, personal="any")
    judges, _ = lenient.for_slice()
    assert first(judges, "Kannst du mir bitte sagen wann der Zug fährt")[:2] == ("language", "wrong language")
    assert first(judges, "the quick fox has 07911 123456 to call")[:2] == ("personal", "personal data")
    assert first(judges, "somebody else entirely speaks about other matters here") == ("drift", "drifted", ("edge",))


def test_only_the_stateful_gates_change_their_mind_when_a_text_is_accepted() -> None:
    judges, remember = full().for_slice()
    before = {judge.name: reason(judge, FRESH) for judge in judges}
    remember("c9", FRESH)
    changed = {judge.name for judge in judges if reason(judge, FRESH) != before[judge.name]}
    assert changed == Cascade.stateful == {"duplicate", "paraphrase of accepted"}
    assert first(judges, FRESH.upper()) == ("duplicate", "duplicate", ("c9",))
    assert first(judges, shuffled(FRESH)) == ("paraphrase of accepted", "near paraphrase", ("c9",))


def test_without_an_encoder_only_copies_are_remembered() -> None:
    judges, remember = plain().for_slice()
    remember("c9", FRESH)
    changed = {judge.name for judge in judges if reason(judge, FRESH)}
    assert changed == {"duplicate"} <= Cascade.stateful
    assert first(judges, shuffled(FRESH)) == ("", "", ())


def test_each_slice_remembers_its_own_but_all_know_what_was_before() -> None:
    shared = full()
    (one, remember), (other, _) = shared.for_slice(), shared.for_slice()
    remember("c1", FRESH)
    assert first(one, FRESH)[0] == "duplicate"
    assert first(other, FRESH)[0] == ""
    assert first(one, FAR) == first(other, FAR) == ("duplicate", "duplicate", ("c0",))


def test_a_candidate_is_encoded_once_for_all_gates_and_organic_texts_not_at_all_where_vectors_are_given() -> None:
    asked: Counter[str] = Counter()

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.update(texts)
        return bag_of_words(texts)

    vectors = unit_rows(bag_of_words(ORGANIC))
    meaning = Meaning(encode=encode, vectors=vectors, labels=["edge"] * len(PAIRS))
    judges, remember = Cascade(Gates(), PAIRS, sealed_copies(), meaning=meaning).for_slice()
    assert first(judges, FRESH)[0] == ""
    remember("c1", FRESH)
    first(judges, FRESH)
    assert asked == {FRESH: 1}


def test_given_vectors_judge_as_those_encoded_here() -> None:
    found = []
    for vectors in (None, 3 * bag_of_words(ORGANIC)):
        meaning = Meaning(encode=bag_of_words, vectors=vectors, labels=["edge"] * len(PAIRS))
        judges, _ = Cascade(Gates(), PAIRS, sealed_copies(), meaning=meaning).for_slice()
        found.append(
            [first(judges, sentence(seed)) for seed in range(900, 960)] + [first(judges, shuffled(ORGANIC[0]))]
        )
    assert found[0] == found[1]
    assert found[0][-1][0] == "paraphrase of organic"


@pytest.mark.parametrize(("n_vectors", "n_labels"), [(59, 60), (60, 59)])
def test_vectors_and_labels_of_another_number_are_refused(n_vectors: int, n_labels: int) -> None:
    meaning = Meaning(encode=bag_of_words, vectors=bag_of_words(ORGANIC)[:n_vectors], labels=["edge"] * n_labels)
    with pytest.raises(InputError, match=f"60 organic texts, {n_vectors} vectors, {n_labels} labels"):
        Cascade(Gates(), PAIRS, sealed_copies(), meaning=meaning)


def test_an_unknown_language_is_found_before_anything_is_judged() -> None:
    with pytest.raises(ConfigError, match="'klingon'"):
        plain(language="klingon")


def test_with_no_organic_text_there_is_nothing_to_be_far_from() -> None:
    judges, remember = Cascade(Gates(), [], CopyIndex(0.5), meaning=Meaning(encode=bag_of_words)).for_slice()
    assert BY_MEANING[0] in [judge.name for judge in judges]
    assert first(judges, FRESH) == ("", "", ())
    remember("c1", FRESH)
    assert first(judges, shuffled(FRESH))[0] == "paraphrase of accepted"


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_no_text_gets_more_than_a_verdict(text: str) -> None:
    judges, remember = SHARED.for_slice()
    for told in (brief(), brief("the quick", *ORGANIC[:3]), brief(text[:50], text[:500])):
        for finish in ("stop", "length", "trimmed"):
            for judge in judges:
                assert reason(judge, text, told=told, finish=finish) in REASONS | {""}
    assert first(judges, text)[1] in REASONS  # none of these is a sentence
    remember("c", text)
    assert reason(judges[1], text) == "duplicate"


@given(st.text(max_size=200), st.text(max_size=40))
def test_any_text_gets_a_verdict(text: str, opening: str) -> None:
    judges, _ = JUDGES
    for judge in judges:
        assert reason(judge, text, told=brief(opening, ORGANIC[0], text)) in REASONS | {""}


SHARED = full()
JUDGES = SHARED.for_slice()


def test_the_words_of_a_published_question_in_another_order_are_contaminated_by_their_meaning() -> None:
    judges, _ = full().for_slice()
    gate = next(judge for judge in judges if judge.name == "paraphrase of benchmark")
    verdict = gate.judge(brief(), candidate(shuffled(BENCHMARK)))
    assert (verdict.reason, verdict.evidence) == ("contaminated", ("q1",))
    assert gate.judge(brief(), candidate(FRESH)).reason == ""

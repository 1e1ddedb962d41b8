"""A brief is the same whenever it is asked for, shows nothing of its unseen fold, and is asked of the right slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.config import Synthesize
from proofset.grounding.anchors import choose_anchors
from proofset.nouns.candidate import FEW_SHOT, SEEN_ALL, Brief, Output, Quota
from proofset.nouns.evidence import Anchor, Evidence, Passage
from proofset.nouns.record import Record
from proofset.nouns.result import Measure
from proofset.nouns.slice import Deficit
from proofset.plugins import Kind
from proofset.synthesizing.approach import Approach
from proofset.synthesizing.brief import Composer, Rival, quotas
from proofset.synthesizing.kinds.labelled import labelled
from proofset.synthesizing.kinds.question import question
from proofset.synthesizing.strategies import RIVAL_RECORDS, SHORT_OPENING, STRATEGIES

QUOTA = Quota(slice="edge", label="edge", accepted=10, max_briefs=20)
RECORDS = [
    Record(id=f"r{n}", text=f"word{n} second{n} third{n} fourth{n} fifth{n} sixth{n}", label="edge") for n in range(12)
]
FOLDS = {record.id: n % 4 for n, record in enumerate(RECORDS)}
RIVALS = [Record(id=f"o{n}", text=f"other{n} thing{n} stuff{n} matter{n} object{n}", label="near") for n in range(12)]
RIVAL_FOLDS = {record.id: n % 4 for n, record in enumerate(RIVALS)}


def composer(
    records: Sequence[Record] = RECORDS,
    folds: Mapping[str, int] = FOLDS,
    *,
    n_folds: int = 4,
    seed: int = 1,
    title: str = "rare things",
    evidence: Evidence | None = None,
    rivals: Sequence[Record] = RIVALS,
    rival_folds: Mapping[str, int] = RIVAL_FOLDS,
    kind: Kind = labelled,
    quota: Quota = QUOTA,
    rules: str = "",
    **settings: Any,
) -> Composer:
    """A writer of briefs on real anchors; ``settings`` are those of ``[synthesize]``."""
    return Composer(
        quota=quota,
        title=title,
        anchoring=partial(choose_anchors, records, folds),
        evidence=evidence or Evidence(),
        folds=n_folds,
        settings=Synthesize.model_validate({"anchors": 3, "prompts_per_slice": 4, **settings}),
        seed=seed,
        rivals={"near": Rival("near things", partial(choose_anchors, rivals, rival_folds))},
        kind=kind,
        rules=rules,
    )


# ── briefs ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 40), st.integers(0, 5))
def test_the_same_brief_twice_is_equal(number: int, seed: int) -> None:
    one, other = composer(seed=seed), composer(seed=seed)
    for earlier in range(number % 3):
        one.brief(earlier)  # what was asked for before makes no difference
    assert one.brief(number) == other.brief(number)


def test_all_ids_of_a_slice_differ() -> None:
    briefs = [composer().brief(number) for number in range(40)]
    assert len({brief.id for brief in briefs}) == len({brief.seed for brief in briefs}) == 40


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"title": "other things"},
        {"sampling": {"temperature": 0.7}},
        {"sampling": {"max_tokens": 63}},
        {"model": {"engine": "chat"}},
        {"model": {"path": "other.gguf"}},
        {"model": {"model": "other"}},
        {"heading": "Look:"},
        {"headings": {"edge": "Look:"}},
        {"anchors": 2},
        {"evidence": Evidence(passages=(Passage(id="p", text="An edge is sharp.", source="x"),))},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_is_told_otherwise_gives_another_id(change: dict[str, Any]) -> None:
    plain, changed = composer(), composer(**change)
    assert not {plain.brief(n).id for n in range(8)} & {changed.brief(n).id for n in range(8)}


def test_what_does_not_reach_the_model_keeps_the_id() -> None:
    plain, changed = composer(), composer(patience=3, window=2, budget={"usd": "5"}, model={"threads": 1, "slots": 2})
    assert [plain.brief(n) for n in range(8)] == [changed.brief(n) for n in range(8)]


@given(data=st.data(), n_folds=st.integers(2, 5), anchors=st.integers(1, 6), words=st.integers(0, 5))
def test_nothing_of_the_unseen_fold_is_ever_shown(data: st.DataObject, n_folds: int, anchors: int, words: int) -> None:
    placed = data.draw(st.lists(st.integers(0, n_folds - 1), min_size=1, max_size=14))
    records = [replace(record, id=f"r{n}", text=f"unique{n}x and more{n}x to say{n}x") for n, record in
               enumerate((RECORDS * 2)[: len(placed)])]  # fmt: skip
    folds = {record.id: fold for record, fold in zip(records, placed, strict=True)}
    writer = composer(records, folds, n_folds=n_folds, anchors=anchors, opening_words=words)
    for number in range(20):
        brief = writer.brief(number)
        hidden = [record for record in records if folds[record.id] == brief.unseen_fold]
        assert not [record for record in hidden if record.text.split()[0] in brief.prompt]
        assert not {anchor.record_id for anchor in brief.anchors} & {record.id for record in hidden}
        assert brief.anchors
        if brief.unseen_fold == SEEN_ALL:  # only where leaving the fold out would leave nothing
            assert len(set(placed)) == 1
        else:
            assert 0 <= brief.unseen_fold < n_folds


def test_the_unseen_folds_take_turns() -> None:
    assert {composer().brief(number).unseen_fold for number in range(20)} == {0, 1, 2, 3}


@given(st.integers(0, 60), st.integers(0, 8))
def test_an_opening_is_a_strict_prefix_of_an_anchor(number: int, words: int) -> None:
    brief = composer(opening_words=words).brief(number)
    assert len(brief.opening.split()) <= words
    assert any(
        anchor.text.startswith(brief.opening) and len(anchor.text.split()) > len(brief.opening.split())
        for anchor in brief.anchors
    )


def test_openings_have_all_lengths_and_are_not_taken_from_what_is_shown() -> None:
    briefs = [composer(opening_words=3).brief(number) for number in range(60)]
    assert {len(brief.opening.split()) for brief in briefs} == {0, 1, 2, 3}
    for brief in briefs:
        if brief.opening:
            assert brief.opening.split()[0] not in brief.prompt[: brief.shared_chars]


def test_without_opening_words_every_start_is_free() -> None:
    brief = composer(opening_words=0).brief(3)
    assert brief.opening == ""
    assert brief.prompt == brief.prompt[: brief.shared_chars] + "-"


@pytest.mark.parametrize("text", ["one", "", "  ", "two words"])
def test_a_slice_of_one_short_record(text: str) -> None:
    record = Record(id="only", text=text, label="edge")
    for number in range(8):
        brief = composer([record], {"only": 0}, opening_words=4).brief(number)
        assert brief.unseen_fold in (SEEN_ALL, 1, 2, 3)
        assert [anchor.record_id for anchor in brief.anchors] == ["only"]
        assert len(brief.opening.split()) < max(1, len(text.split()))


def test_a_slice_without_records_still_has_a_prompt() -> None:
    brief = composer([], {}).brief(0)
    assert (brief.anchors, brief.opening, brief.unseen_fold) == ((), "", SEEN_ALL)
    assert brief.prompt.startswith("Real examples of rare things:")


def test_the_prompt_reads_as_a_list_to_go_on_with() -> None:
    evidence = Evidence(passages=(Passage(id="p", text="An {edge} is sharp.", source="x"),))
    records = [Record(id="a", text="first\nline  {here}", label="edge"), Record(id="b", text="b c d e", label="edge")]
    brief = composer(records, {"a": 0, "b": 1}, n_folds=3, evidence=evidence, opening_words=0).brief(19)
    lines = brief.prompt.split("\n")
    assert lines[:2] == ["An {edge} is sharp.", "Real examples of rare things:"]
    assert set(lines[2:-1]) <= {"- first line {here}", "- b c d e"}
    assert lines[-1] == "-"


def test_briefs_share_their_prompts_in_runs() -> None:
    briefs = [composer().brief(number) for number in range(24)]
    heads = [brief.prompt[: brief.shared_chars] for brief in briefs]
    assert [heads.index(head) for head in heads] == [0] * 5 + [5] * 5 + [10] * 5 + [15] * 9  # the last one serves on
    for brief, head in zip(briefs, heads, strict=True):
        assert brief.prompt == f"{head}- {brief.opening}".rstrip()
        assert not brief.prompt.endswith(" ")


def test_small_slices_keep_anchors_back_for_openings() -> None:
    records = RECORDS[:4]
    brief = composer(records, dict.fromkeys((r.id for r in records), 1), anchors=8, opening_words=3).brief(0)
    assert brief.unseen_fold == 0
    assert brief.prompt[: brief.shared_chars].count("\n- ") == 2


def test_topics_take_turns_and_may_be_empty() -> None:
    writer = composer(topics={"edge": ("knives", "cliffs")}, heading="Of {topic}, {label}:")
    heads = [writer.brief(number).prompt.split("\n")[0] for number in (0, 5, 10, 15)]
    assert heads == ["Of knives, edge:", "Of cliffs, edge:"] * 2
    assert composer(topics={"edge": ()}).brief(0).prompt == composer().brief(0).prompt


# ── strategies ──────────────────────────────────────────────────────────────────────────────────────────────────────


def against(strategy: str, rival: str = "near") -> Approach:
    return Approach(strategy, rival)


def examples(brief: Brief) -> list[str]:
    """Lines of the prompt that show a record, without the dash."""
    return [line[2:] for line in brief.prompt[: brief.shared_chars].splitlines() if line.startswith("- ")]


def test_few_shot_is_what_a_brief_does_unless_told_otherwise() -> None:
    for number in range(12):
        assert composer().brief(number, against(FEW_SHOT)) == composer().brief(number)
        assert composer().brief(number).strategy == FEW_SHOT


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_brief_says_by_which_strategy_it_was_written_and_is_the_same_again(strategy: str) -> None:
    one, other = composer(), composer()
    for number in (7, 3, 3, 12):
        brief = one.brief(number, against(strategy))
        assert brief.strategy == strategy
        assert brief == other.brief(number, against(strategy))
        assert brief.prompt.startswith(brief.prompt[: brief.shared_chars]) and brief.messages == ()
        assert "\n" not in brief.prompt[brief.shared_chars :]


def test_titled_lines_begin_with_what_the_slice_is_called_and_so_does_the_last() -> None:
    openings = set()
    for number in range(40):
        brief = composer().brief(number, against("titled"))
        assert all(line.startswith("rare things: word") for line in examples(brief))
        assert brief.prompt[brief.shared_chars :] == f"- rare things: {brief.opening}".rstrip()
        openings.add(len(brief.opening.split()))
    assert openings == set(range(SHORT_OPENING + 1))


def test_a_slice_without_a_title_has_no_title_in_its_lines() -> None:
    brief = composer(title="").brief(0, against("titled"))
    assert ":" not in brief.prompt[brief.shared_chars :]
    assert all(line.startswith("word") for line in examples(brief))


def test_a_free_candidate_begins_with_nothing_but_the_title() -> None:
    for number in range(20):
        brief = composer().brief(number, against("free"))
        assert brief.opening == ""
        assert brief.prompt.endswith("\n- rare things:")
        assert all(line.startswith("rare things: ") for line in examples(brief))


def test_contrast_shows_the_rival_first_under_its_own_heading() -> None:
    for number in range(20):
        brief = composer().brief(number, against("contrast"))
        lines = brief.prompt[: brief.shared_chars].split("\n")
        border = lines.index("")
        assert lines[0] == "Real examples of near things:"
        assert 1 <= len(lines[1:border]) <= RIVAL_RECORDS
        assert all(line.startswith("- other") for line in lines[1:border])
        assert lines[border + 1] == "Real examples of rare things:"
        assert lines[-1] == "" and len(lines[border + 2 : -1]) == 3
        assert all(line.startswith("- word") for line in lines[border + 2 : -1])
        shown = {anchor.text for anchor in brief.anchors if anchor.label == "near"}
        assert shown == {line[2:] for line in lines[1:border]}  # to be copied no more than its own are
        assert "other" not in brief.opening


def test_the_heading_of_a_rival_is_its_own_where_labels_have_headings() -> None:
    headings = {"edge": "Of the edge, {topic}:", "near": "Of {label}, {topic}:"}
    writer = composer(headings=headings, topics={"edge": ("cliffs",), "near": ("hills", "dales")})
    lines = writer.brief(0, against("contrast")).prompt.splitlines()
    assert lines[0] == "Of near, hills:"
    assert "Of the edge, cliffs:" in lines
    assert writer.brief(5, against("contrast")).prompt.startswith("Of near, dales:\n")


def test_a_crossing_begins_as_a_record_of_the_rival_and_shows_those_of_the_slice() -> None:
    openings = set()
    for number in range(40):
        brief = composer().brief(number, against("crossing"))
        assert all(line.startswith("rare things: word") for line in examples(brief))
        openings.add(len(brief.opening.split()))
        opener = brief.anchors[-1]
        assert (opener.label, opener.text.split()[: len(brief.opening.split())]) == ("near", brief.opening.split())
        assert {anchor.label for anchor in brief.anchors[:-1]} == {"edge"}
    assert openings == set(range(SHORT_OPENING + 1))


@pytest.mark.parametrize("strategy", ["contrast", "crossing"])
@pytest.mark.parametrize("rival", ["", "unknown"])
def test_without_a_rival_to_show_only_the_slice_is_shown(strategy: str, rival: str) -> None:
    brief = composer().brief(4, against(strategy, rival))
    assert "other" not in brief.prompt
    assert {anchor.label for anchor in brief.anchors} == {"edge"}
    nothing = composer(rivals=[]).brief(4, against(strategy))
    assert "near" not in nothing.prompt  # no heading either, with nothing under it
    assert {anchor.label for anchor in nothing.anchors} == {"edge"}


def test_personas_take_turns_in_the_heading() -> None:
    writer = composer(personas=("a nurse", "a {pilot}"))
    heads = [writer.brief(number, against("persona")).prompt.splitlines()[0] for number in (0, 5, 10)]
    assert heads == [
        "Real examples of rare things, as a nurse writes:",
        "Real examples of rare things, as a {pilot} writes:",
        "Real examples of rare things, as a nurse writes:",
    ]
    assert composer().brief(0, against("persona")).prompt == composer().brief(0).prompt
    assert "nurse" not in writer.brief(0).prompt


@pytest.mark.parametrize("strategy", sorted({*STRATEGIES} - {FEW_SHOT}))
def test_another_strategy_is_another_brief(strategy: str) -> None:
    writer = composer(personas=("a nurse",))
    plain = {writer.brief(number).id for number in range(20)}
    assert not plain & {writer.brief(number, against(strategy)).id for number in range(20)}


def test_another_rival_is_another_brief_where_it_is_shown() -> None:
    one, other = composer(), composer(rivals=[replace(each, text=f"new{each.text}") for each in RIVALS])
    for strategy, same in (("contrast", False), (FEW_SHOT, True)):
        ids = [{each.brief(number, against(strategy)).id for number in range(20)} for each in (one, other)]
        assert (ids[0] == ids[1]) is same


@given(data=st.data(), strategy=st.sampled_from(sorted(STRATEGIES)), n_folds=st.integers(2, 5), most=st.integers(1, 6))
def test_no_strategy_shows_anything_of_the_unseen_fold(
    data: st.DataObject, strategy: str, n_folds: int, most: int
) -> None:
    def placed(word: str, label: str) -> tuple[list[Record], dict[str, int]]:
        drawn = data.draw(st.lists(st.integers(0, n_folds - 1), max_size=14))
        records = [Record(id=f"{label}{n}", text=f"{word}{n}x and more{n}x to say", label=label)
                   for n in range(len(drawn))]  # fmt: skip
        return records, {record.id: fold for record, fold in zip(records, drawn, strict=True)}

    (records, folds), (others, other_folds) = placed("unique", "edge"), placed("other", "near")
    writer = composer(records, folds, n_folds=n_folds, anchors=most, rivals=others, rival_folds=other_folds)
    for number in range(20):
        brief = writer.brief(number, against(strategy))
        if brief.unseen_fold == SEEN_ALL:
            assert len(set(folds.values())) <= 1  # only where leaving the fold out would leave nothing
            continue
        everything = {**folds, **other_folds}
        hidden = [record for record in (*records, *others) if everything[record.id] == brief.unseen_fold]
        assert not [record for record in hidden if record.text.split()[0] in brief.prompt]
        assert not {anchor.record_id for anchor in brief.anchors} & {record.id for record in hidden}


@given(st.sampled_from(sorted(STRATEGIES)), st.integers(0, 40))
def test_whatever_an_opening_is_taken_from_is_among_the_anchors(strategy: str, number: int) -> None:
    brief = composer().brief(number, against(strategy))
    assert any(anchor.text.startswith(brief.opening) and anchor.text != brief.opening for anchor in brief.anchors)


# ── kinds that are asked in turns ───────────────────────────────────────────────────────────────────────────────────


def in_turns(**given: Any) -> Composer:
    evidence = Evidence(passages=(Passage(id="p", text="An edge is sharp.", source="x"),))
    return composer(kind=question, evidence=evidence, **given)


def test_a_kind_with_a_shape_is_asked_in_turns_and_nothing_is_continued() -> None:
    brief = in_turns(rules="1. No knives.").brief(3, against("titled"))
    assert (brief.prompt, brief.shared_chars, brief.opening) == ("", 0, "")
    assert [turn.role for turn in brief.messages] == ["system", "user"]
    assert "1. No knives." in brief.messages[0].content
    asked = brief.messages[1].content
    assert "Real examples of rare things:" in asked and "An edge is sharp." in asked
    assert all(anchor.text in asked for anchor in brief.anchors)
    assert '"citations"' in brief.schema
    assert brief.strategy == "titled"


def test_what_was_learnt_reaches_the_turns_and_the_id() -> None:
    plain = in_turns().brief(3)
    told = in_turns().brief(3, Approach(lessons=("it was too short",), difficulty=2))
    asked = told.messages[1].content
    assert "it was too short" in asked and "Difficulty: 2" in asked
    assert "it was too short" not in plain.messages[1].content and "Difficulty" not in plain.messages[1].content
    assert plain.id != told.id
    assert in_turns(rules="1. No knives.").brief(3).id != plain.id
    assert composer().brief(3).id != plain.id
    assert in_turns().brief(3) == plain


def test_personas_take_turns_from_brief_to_brief() -> None:
    writer = in_turns(personas=("a nurse", "a pilot"))
    said = [writer.brief(number).messages[1].content for number in range(4)]
    assert ["nurse" in each for each in said] == [True, False, True, False]
    assert ["pilot" in each for each in said] == [False, True, False, True]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_record_of_the_rival_is_no_example_of_the_slice(strategy: str) -> None:
    for number in range(12):
        brief = in_turns().brief(number, against(strategy))
        assert brief.anchors and {anchor.label for anchor in brief.anchors} == {"edge"}
        assert "other" not in brief.messages[1].content


def test_ids_in_turns_differ_by_number() -> None:
    assert len({in_turns().brief(number).id for number in range(40)}) == 40


# ── quotas ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def deficit(name: str, rank: int, *, edge: bool = True) -> Deficit:
    nothing = Measure(name="error", value=None)
    return Deficit(
        slice=name, title="", n=3, error=nothing, expected_error=nothing, needed=nothing, edge=edge, rank=rank
    )


def settings(companions: float = 0.5, quota: int = 10, max_briefs: int = 30) -> Synthesize:
    return Synthesize(companions=companions, quota=quota, max_briefs=max_briefs)


def test_edges_by_need_and_then_their_companions() -> None:
    ranked = [deficit("b", 2), deficit("rich", 3, edge=False), deficit("a", 1)]
    found = quotas(ranked, {"a": {"b": 0.9, "rich": 0.2, "poor": 0.1}, "b": {"poor": 0.3}}, settings())
    assert [(each.slice, each.accepted, each.max_briefs, each.companion_of) for each in found] == [
        ("a", 10, 30, ""), ("b", 10, 30, ""), ("rich", 5, 15, "a"), ("poor", 5, 15, "b"),
    ]  # fmt: skip
    assert all(each.label == each.slice for each in found)


def test_a_shared_companion_gets_both_shares_but_never_more_than_an_edge() -> None:
    ranked = [deficit(name, rank) for rank, name in enumerate("abc", start=1)]
    confused = {name: {"rich": 0.5} for name in "abc"}
    *_, shared = quotas(ranked, confused, settings(companions=0.3))
    assert (shared.slice, shared.accepted, shared.max_briefs) == ("rich", 9, 27)
    assert shared.companion_of in "abc"
    *_, shared = quotas(ranked, confused, settings(companions=0.5))
    assert shared.accepted == 10


@pytest.mark.parametrize(
    ("confused", "companions"),
    [({}, 0.5), ({"a": {}}, 0.5), ({"a": {"rich": 0.0}}, 0.5), ({"a": {"rich": 0.5}}, 0.0), ({"a": {"a2": 1.0}}, 0.5)],
)
def test_no_confusion_or_no_share_no_companion(confused: dict[str, dict[str, float]], companions: float) -> None:
    found = quotas([deficit("a", 1), deficit("a2", 2)], confused, settings(companions))
    assert [each.slice for each in found] == ["a", "a2"]


def test_equally_confusable_neighbours_are_chosen_by_name() -> None:
    for order in (["y", "x"], ["x", "y"]):
        (_, companion) = quotas([deficit("a", 1)], {"a": dict.fromkeys(order, 0.4)}, settings())
        assert companion.slice == "x"


def test_no_edges_no_quotas() -> None:
    assert quotas([deficit("a", 1, edge=False)], {"a": {"b": 1.0}}, settings()) == ()


def test_a_tiny_share_still_gets_a_brief() -> None:
    *_, companion = quotas([deficit("a", 1)], {"a": {"b": 1.0}}, settings(companions=0.1, quota=10, max_briefs=4))
    assert (companion.accepted, companion.max_briefs) == (1, 1)


def test_what_is_for_evaluation_and_adversarial_comes_last_under_names_of_its_own() -> None:
    asked = settings().model_copy(update={"evaluation": 4, "adversarial": 2})
    ranked = [deficit("b", 2), deficit("rich", 3, edge=False), deficit("a", 1)]
    found = quotas(ranked, {"a": {"rich": 0.2}}, asked)
    assert [(each.slice, each.label, each.accepted, each.max_briefs, each.output) for each in found] == [
        ("a", "a", 10, 30, Output.TRAIN), ("b", "b", 10, 30, Output.TRAIN), ("rich", "rich", 5, 15, Output.TRAIN),
        ("a/evaluation", "a", 4, 12, Output.EVALUATION), ("b/evaluation", "b", 4, 12, Output.EVALUATION),
        ("a/adversarial", "a", 2, 6, Output.ADVERSARIAL), ("b/adversarial", "b", 2, 6, Output.ADVERSARIAL),
    ]  # fmt: skip
    assert [each.companion_of for each in found] == ["", "", "a", "", "", "", ""]


@pytest.mark.parametrize(("output", "n"), [("evaluation", 1), ("adversarial", 1)])
def test_an_output_that_is_not_asked_for_has_no_quota(output: str, n: int) -> None:
    found = quotas([deficit("a", 1)], {}, settings().model_copy(update={output: n}))
    assert [each.slice for each in found] == ["a", f"a/{output}"]
    assert len({each.slice for each in found}) == len(found)


def test_a_brief_says_what_it_is_for_and_is_no_brief_for_anything_else() -> None:
    apart = replace(QUOTA, slice="edge/evaluation", output=Output.EVALUATION)
    train, evaluation = composer(title="").brief(3), composer(title="", quota=apart).brief(3)
    assert (train.output, evaluation.output) == (Output.TRAIN, Output.EVALUATION)
    assert (evaluation.slice, evaluation.label) == ("edge/evaluation", "edge")
    assert train.id != evaluation.id and train.seed != evaluation.seed


def test_anchors_are_equal_to_what_the_records_say() -> None:
    shown = {anchor.record_id: anchor for number in range(20) for anchor in composer().brief(number).anchors}
    assert shown == {record.id: Anchor(record.id, record.text, "edge") for record in RECORDS if record.id in shown}


def test_evolve_shows_the_shortest_record_first_and_says_that_each_goes_further() -> None:
    lengths = {f"r{n}": n % 7 + 3 for n in range(12)}
    records = [Record(id=key, text=" ".join([f"{key}w"] * size), label="edge") for key, size in lengths.items()]
    made = composer(records, {key: n % 4 for n, key in enumerate(lengths)}).brief(0, Approach(strategy="evolve"))
    lines = [line for line in made.prompt.splitlines() if line.startswith("- ")]
    assert len(lines) > 2
    assert [len(line.split()) for line in lines] == sorted(len(line.split()) for line in lines)
    assert "each more involved than the one before:" in made.prompt.splitlines()[0]
    assert made.opening == ""

"""A pair says which of two answers is better and why; what does not say that makes no pair."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.copies import shingles
from proofset.nouns.candidate import Candidate, Decision, Output, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed
from proofset.synthesizing.preferences import CONTENT_FAULTS, NEIGHBOUR, NEVER, REVISION, Closed, Pair, closed_in, pairs


def candidate(id_: str, text: str = "", **changed: Any) -> Candidate:
    given_ = {"slice": "storm", "label": "storm", **changed}
    return Candidate(
        id=id_, brief_id=f"b-{id_}", text=text or f"{id_} says something quite its own", unseen_fold=0, finish="stop",
        **given_,
    )  # fmt: skip


def accepted(id_: str, text: str = "", **changed: Any) -> Closed:
    return Closed(candidate=candidate(id_, text, **changed), accepted=True)


def refused(id_: str, text: str = "", *reasons: str, decision: Decision = Decision.REJECT, **changed: Any) -> Closed:
    verdicts = tuple(
        Verdict(judge=f"judge of {reason}", candidate_id=id_, decision=decision, reason=reason)
        for reason in reasons or ("off label",)
    )
    return Closed(candidate=candidate(id_, text, **changed), accepted=False, verdicts=verdicts)


def turn(each: Candidate) -> tuple[str, str]:
    return f"Write one for {each.slice}.", each.text


def made(*closed: Closed, **settings: Any) -> list[tuple[str, str, str]]:
    return [(pair.chosen_id, pair.rejected_id, pair.how) for pair in pairs(closed, turn, **settings)]


def test_a_pair_holds_both_texts_and_why() -> None:
    good, bad = accepted("g"), refused("r")
    assert pairs([good, bad], turn) == [
        Pair(
            prompt="Write one for storm.", chosen=good.candidate.text, rejected=bad.candidate.text, fault="off label",
            judge="judge of off label", slice="storm", chosen_id="g", rejected_id="r", how=NEIGHBOUR,
        )
    ]  # fmt: skip


def test_a_revision_is_paired_with_what_it_revises() -> None:
    first = refused("r1", "", "unnatural", decision=Decision.REVISE)
    closer = refused("r2", "g says something quite unlike")
    assert made(accepted("g", parent="r1"), closer, first) == [("g", "r1", REVISION)]
    assert made(accepted("h"), accepted("g", parent="r1"), first) == [("g", "r1", REVISION)]


def test_where_the_earlier_text_does_not_serve_another_one_does() -> None:
    for first in (refused("r1", "", "duplicate"), refused("r1", "", "too short"), refused("r1", slice="calm")):
        assert made(accepted("g", parent="r1"), first, refused("r2")) == [("g", "r2", NEIGHBOUR)]


@pytest.mark.parametrize("reason", sorted(CONTENT_FAULTS))
def test_what_is_refused_for_what_it_says_is_worse(reason: str) -> None:
    assert made(accepted("g"), refused("r", "", reason)) == [("g", "r", NEIGHBOUR)]


@pytest.mark.parametrize(
    "reason",
    ["duplicate", "copy of organic", "copies an anchor", "truncated", "too short", "no verdict", "drifted",
     "refused by the critic", *sorted(NEVER)],
)  # fmt: skip
def test_what_is_refused_for_anything_else_is_not(reason: str) -> None:
    assert made(accepted("g"), refused("r", "", reason)) == []
    assert made(accepted("g"), refused("r", "", "off label", reason)) == []


def test_other_faults_may_be_named_but_never_those_that_no_data_may_have() -> None:
    assert made(accepted("g"), refused("r", "", "drifted"), faults=["drifted"]) == [("g", "r", NEIGHBOUR)]
    assert made(accepted("g"), refused("r", "", "contaminated"), faults=["contaminated"]) == []


def test_surplus_and_undecided_candidates_are_not_worse() -> None:
    surplus = Closed(candidate=candidate("s"), accepted=False)
    praised = replace(surplus, verdicts=(Verdict(judge="critic", candidate_id="s", decision=Decision.ACCEPT),))
    assert made(accepted("g"), surplus) == made(accepted("g"), praised) == []


def test_a_contaminated_text_is_never_chosen() -> None:
    good = accepted("g")
    late = Verdict(judge="contamination", candidate_id="g", decision=Decision.REJECT, reason="contaminated")
    assert made(replace(good, verdicts=(late,)), refused("r")) == []


@pytest.mark.parametrize("output", [Output.EVALUATION, Output.ADVERSARIAL])
def test_only_training_candidates_are_taken(output: Output) -> None:
    assert made(accepted("g", output=output), refused("r")) == []
    assert made(accepted("g"), refused("r", output=output)) == []


def test_both_sides_answer_one_prompt() -> None:
    assert made(accepted("g"), refused("r", slice="calm")) == []
    closed = [
        accepted("g", "when? now"),
        refused("r", "where? here, or perhaps there"),
        refused("q", "when? never ever"),
    ]

    def of_question(each: Candidate) -> tuple[str, str]:
        asked, _, said = each.text.partition("? ")
        return asked, said

    (pair,) = pairs(closed, of_question)
    assert (pair.prompt, pair.chosen, pair.rejected) == ("when", "now", "never ever")


def test_of_refused_ones_the_nearest_in_length_is_taken() -> None:
    texts = {"short": "two words", "near": "this one has five words", "long": "this one goes on and on and on and on"}
    refusals = [refused(id_, text) for id_, text in texts.items()]
    assert made(accepted("g", "six words are said in here"), *refusals) == [("g", "near", NEIGHBOUR)]


def test_of_those_near_in_length_the_nearest_in_meaning_is_taken() -> None:
    far, near = refused("a", "wind and rain all day"), refused("b", "cats purr on mats all day long")

    def alike(chosen: str, rejected: str) -> float:
        return float("cats" in chosen and "cats" in rejected)

    good = accepted("g", "five cats sit right here")
    assert made(good, far, near) == [("g", "a", NEIGHBOUR)]
    assert made(good, far, near, alike=alike) == [("g", "b", NEIGHBOUR)]


def test_a_near_copy_of_anything_accepted_is_not_worse() -> None:
    good = accepted("g", "the storm took the roof of the old mill today")
    near = "the storm took the roof of the old mill yesterday"
    other = accepted("h", "a quiet day")
    assert made(good, refused("r", near)) == []
    assert made(good, refused("r", near), near_copy=1.0) == [("g", "r", NEIGHBOUR)]
    assert made(other, good, refused("r", near)) == []
    assert made(accepted("g", good.candidate.text, parent="r"), refused("r", near)) == []


def test_an_empty_answer_is_on_no_side() -> None:
    assert made(accepted("g", " "), refused("r")) == made(accepted("g"), refused("r", "\n")) == []


REASONS = ("off label", "unsafe", "duplicate", "truncated", "contaminated")


def random_log(seed: int) -> list[Closed]:
    rng = random.Random(seed)
    words = ["storm", "wind", "rain", "sea", "ship", "mill", "roof", "road", "snow", "ice"]
    log: list[Closed] = []
    for number in range(60):
        text, where = " ".join(rng.choices(words, k=rng.randint(2, 9))), rng.choice(["storm", "calm"])
        parent = rng.choice([each.candidate.id for each in log]) if log and rng.random() < 0.3 else ""
        if rng.random() < 0.4:
            log.append(accepted(f"c{number}", text, slice=where, parent=parent))
        else:
            log.append(refused(f"c{number}", text, rng.choice(REASONS), slice=where, parent=parent))
    return log


def similarity(one: str, other: str) -> float:
    mine, theirs = shingles(one), shingles(other)
    return len(mine & theirs) / len(mine | theirs)


@given(st.integers(0, 10**6), st.floats(0.1, 1.0))
def test_whatever_the_log_every_pair_is_sound_and_no_candidate_stands_twice(seed: int, near_copy: float) -> None:
    log = random_log(seed)
    found = pairs(log, turn, near_copy=near_copy)
    known = {each.candidate.id: each for each in log}
    used = [id_ for pair in found for id_ in (pair.chosen_id, pair.rejected_id)]
    assert len(used) == len(set(used))
    for pair in found:
        chosen, rejected = known[pair.chosen_id], known[pair.rejected_id]
        assert chosen.accepted and not rejected.accepted
        assert chosen.candidate.slice == rejected.candidate.slice == pair.slice
        assert (pair.chosen, pair.rejected) == (chosen.candidate.text, rejected.candidate.text)
        assert pair.fault in CONTENT_FAULTS and pair.fault == rejected.verdicts[0].reason
        assert similarity(pair.chosen, pair.rejected) < near_copy
        assert (pair.how == REVISION) == (chosen.candidate.parent == rejected.candidate.id)
    assert pairs(log, turn, near_copy=near_copy) == found


@given(st.integers(0, 10**6))
def test_as_many_pairs_are_made_as_there_can_be(seed: int) -> None:
    log = random_log(seed)
    found = pairs(log, turn)
    for where in ("storm", "calm"):
        here = [each for each in log if each.candidate.slice == where]
        good = [each for each in here if each.accepted]
        bad = [
            each for each in here
            if not each.accepted and each.verdicts[0].reason in CONTENT_FAULTS
            and all(similarity(each.candidate.text, one.candidate.text) < 0.8 for one in good)
        ]  # fmt: skip
        assert sum(pair.slice == where for pair in found) == min(len(good), len(bad))


@given(st.integers(0, 10**6))
def test_each_in_turn_gets_the_nearest_in_length_that_is_left(seed: int) -> None:
    rng = random.Random(seed)
    lengths = [rng.randint(2, 60) for _ in range(90)]
    texts = [" ".join(f"w{number}x{word}" for word in range(length)) for number, length in enumerate(lengths)]
    good = [accepted(f"g{number}", text) for number, text in enumerate(texts[:40])]
    left = [refused(f"r{number}", text) for number, text in enumerate(texts[40:])]
    for pair, each in zip(pairs([*good, *left], turn), good, strict=True):
        words = len(each.candidate.text.split())
        distances = {one.candidate.id: abs(len(one.candidate.text.split()) - words) for one in left}
        assert pair.chosen_id == each.candidate.id
        assert distances[pair.rejected_id] == min(distances.values())
        left = [one for one in left if one.candidate.id != pair.rejected_id]


def test_the_log_is_folded_to_what_became_of_each_candidate() -> None:
    first, second, third = candidate("c1"), candidate("c2", parent="c1"), candidate("c3")
    revise = Verdict(judge="critic", candidate_id="c1", decision=Decision.REVISE, reason="unnatural")
    refuse = Verdict(judge="critic", candidate_id="c3", decision=Decision.REJECT, reason="off label")
    events: Sequence[Event] = [
        Judged(verdict=revise), Proposed(candidate=first, number=0), Proposed(candidate=second, number=0),
        BriefClosed(brief_id="b1", slice="storm", number=0, winner="c2", reason=""),
        Proposed(candidate=third, number=1), Judged(verdict=refuse), Judged(verdict=refuse),
        BriefClosed(brief_id="b2", slice="storm", number=1, winner=None, reason="off label"),
    ]  # fmt: skip
    assert closed_in(events) == [
        Closed(candidate=first, accepted=False, verdicts=(revise,)),
        Closed(candidate=second, accepted=True),
        Closed(candidate=third, accepted=False, verdicts=(refuse,)),
    ]
    (pair,) = pairs(closed_in(events), turn)
    assert (pair.chosen_id, pair.rejected_id, pair.how, pair.fault) == ("c2", "c1", REVISION, "unnatural")

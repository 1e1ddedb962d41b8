"""The past of a slice is the fold of what the log holds of it, and of nothing else."""

from __future__ import annotations

from dataclasses import replace

from tests.synthesizing.judging import brief
from tests.synthesizing.looping import closings, mixed, play

from proofset.models.scripted import ScriptedChat
from proofset.nouns.candidate import Candidate, Decision, Stop, Verdict
from proofset.nouns.event import BriefClosed, Event, Finished, Judged, Proposed, SliceClosed
from proofset.synthesizing.past import Past

FULL = play(ScriptedChat(mixed), slices=("edge", "next"))
FIRST = Candidate(id="c1", brief_id="b", slice="edge", text="text", label="edge", unseen_fold=0, finish="stop")
SECOND = replace(FIRST, id="c2", text="other", parent="c1")
REFUSED = Verdict(judge="critic", candidate_id="c1", decision=Decision.REJECT, reason="off label")


def told(candidate: Candidate) -> Event:
    return Proposed(candidate=candidate, number=0)


def closed(winner: str | None, reason: str = "", brief_id: str = "b") -> BriefClosed:
    return BriefClosed(brief_id=brief_id, slice="edge", number=0, winner=winner, reason=reason)


def test_the_past_is_folded_by_slice() -> None:
    pasts = Past.fold(FULL)
    assert set(pasts) == {"edge", "next"}
    for name, past in pasts.items():
        assert past.finished
        assert len(past.closed) == len(closings(FULL)[name])
        assert all(candidate.slice == name for candidate in past.proposed.values())
    assert Past.fold([]) == {}


def test_a_revision_takes_the_place_of_what_it_revises_and_of_its_refusal() -> None:
    revises = replace(REFUSED, decision=Decision.REVISE, reason="unnatural")
    before = Past.fold([told(FIRST), Judged(verdict=revises)])["edge"]
    assert (before.proposed, before.refusals) == ({"b": FIRST}, {"c1": revises})
    after = Past.fold([told(FIRST), Judged(verdict=revises), told(SECOND)])["edge"]
    assert (after.proposed, after.refusals) == ({"b": SECOND}, {})


def test_what_was_accepted_is_no_refusal() -> None:
    accepted = replace(REFUSED, decision=Decision.ACCEPT, reason="", scores=(("likeness", 0.9),))
    assert Past.fold([told(FIRST), Judged(verdict=accepted)])["edge"].refusals == {}


def test_of_two_refusals_the_later_one_counts() -> None:
    later = replace(REFUSED, reason="duplicate")
    assert Past.fold([told(FIRST), Judged(verdict=REFUSED), Judged(verdict=later)])["edge"].refusals == {"c1": later}


def test_refusals_of_other_slices_are_not_its_own() -> None:
    other = replace(FIRST, id="c9", brief_id="b9", slice="next")
    pasts = Past.fold([told(FIRST), told(other), Judged(verdict=REFUSED)])
    assert (pasts["edge"].refusals, pasts["next"].refusals) == ({"c1": REFUSED}, {})


def test_accepted_are_the_closings_with_a_winner() -> None:
    past = Past.fold([told(FIRST), closed("c1"), closed(None, "off label", "b2"), closed(None, "surplus", "b3")])[
        "edge"
    ]
    assert past.accepted == 1
    assert not past.finished


def test_a_slice_that_was_closed_without_any_brief_is_finished() -> None:
    end = SliceClosed(slice="edge", accepted=0, quota=1, stop=Stop.BUDGET)
    assert Past.fold([end]) == {"edge": Past(finished=True)}


def test_what_is_of_no_slice_is_passed_over() -> None:
    assert Past.fold([Finished(verb="audit", key="k", seconds=0.0, core_seconds=0.0), Judged(verdict=REFUSED)]) == {}


def test_of_earlier_settings_only_the_first_answers_count() -> None:
    earlier: list[Event] = [
        told(FIRST), Judged(verdict=REFUSED), told(SECOND), closed("c2"),
        SliceClosed(slice="edge", accepted=1, quota=1, stop=Stop.QUOTA_MET),
    ]  # fmt: skip
    past = Past.fold([], earlier)["edge"]
    assert past == Past(answered={"b": FIRST})  # whether it is revised is for today's judges to say
    assert past.accepted == 0


def test_a_brief_is_known_once_it_was_answered_or_closed() -> None:
    asked = brief()
    assert not Past().knows(asked)
    assert Past.fold([told(FIRST)])["edge"].knows(asked)
    assert Past.fold([], [told(FIRST)])["edge"].knows(asked)
    assert Past.fold([closed(None, "no reply")])["edge"].knows(asked)
    assert not Past.fold([closed(None, "no reply", "b2")])["edge"].knows(asked)

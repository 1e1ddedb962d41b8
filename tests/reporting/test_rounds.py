from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proofset.nouns.candidate import Candidate, Decision, Stop, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed
from proofset.reporting.rounds import OPEN, SAMPLES, WITHHELD, fold_rounds, in_order


def proposed(number: int, *, brief: int | None = None) -> Proposed:
    candidate = Candidate(
        id=f"c{number}", brief_id=f"b{number if brief is None else brief}", slice="spam", text=f"text {number}",
        label="spam", unseen_fold=0, finish="stop",
    )  # fmt: skip
    return Proposed(candidate=candidate, number=number)


def refused(number: int, judge: str, reason: str) -> list[Event]:
    verdict = Verdict(judge=judge, candidate_id=f"c{number}", decision=Decision.REJECT, reason=reason, critique="why")
    return [proposed(number), Judged(verdict=verdict), closed(number, None, reason)]


def closed(number: int, winner: str | None, reason: str = "") -> BriefClosed:
    return BriefClosed(brief_id=f"b{number}", slice="spam", number=number, winner=winner, reason=reason)


def accepted(number: int) -> list[Event]:
    verdict = Verdict(judge="critic", candidate_id=f"c{number}", decision=Decision.ACCEPT, scores=(("p", 0.9),))
    return [proposed(number), Judged(verdict=verdict), closed(number, f"c{number}")]


def test_each_candidate_has_exactly_one_fate() -> None:
    made = fold_rounds(
        [*accepted(0), *refused(1, "critic", "wrong label"), *refused(2, "form", "too short"), proposed(3),
         proposed(4), closed(4, None, "surplus"), closed(5, None, "no reply")],
        {"spam": "Spam!"}, 10,
    )  # fmt: skip
    assert made is not None
    assert (made.proposed, made.accepted, made.without_reply) == (5, 1, 1)
    assert [(each.judge, each.reason, each.n) for each in made.refusals] == [
        ("form", "too short", 1), ("critic", "wrong label", 1), ("", OPEN, 1), ("", "surplus", 1),
    ]  # fmt: skip
    assert [(judge, lost) for judge, lost, _ in made.gates] == [("form", 1), ("critic", 1), ("", 2)]


def test_an_accepting_verdict_without_a_closing_is_not_accepted() -> None:
    made = fold_rounds(accepted(0)[:2], {}, 10)
    assert made is not None
    assert made.accepted == 0
    assert made.refusals[0].reason == OPEN


def test_a_candidate_proposed_again_after_a_crash_counts_once() -> None:
    made = fold_rounds([proposed(0), *accepted(0)], {}, 10)
    assert made is not None
    assert (made.proposed, made.accepted) == (1, 1)


def test_a_brief_that_closed_on_another_candidate_leaves_the_first_replaced() -> None:
    made = fold_rounds([proposed(9, brief=0), *accepted(0)], {}, 10)
    assert made is not None
    assert (made.proposed, made.accepted) == (2, 1)
    assert made.refusals[0].reason == "replaced"


def test_progress_uses_titles_quotas_and_stops() -> None:
    at_work = fold_rounds(accepted(0), {"spam": "Spam!"}, 10)
    assert at_work is not None
    assert (at_work.progress[0].title, at_work.progress[0].quota, at_work.progress[0].stop) == ("Spam!", 10, "")
    ended = SliceClosed(slice="spam", accepted=1, quota=24, stop=Stop.PATIENCE)
    done = fold_rounds([*accepted(0), ended], {}, 10)
    assert done is not None
    assert (done.progress[0].quota, done.progress[0].stop) == (24, "patience")


def test_samples_show_rare_reasons_and_the_judges_words() -> None:
    events = [event for number in range(200) for event in refused(number, "form", "too short")]
    made = fold_rounds([*events, *refused(500, "critic", "wrong label"), *accepted(501)], {}, 10)
    assert made is not None
    assert 30 < len(made.refused_samples) <= SAMPLES
    assert "wrong label" in {sample.reason for sample in made.refused_samples[:2]}
    assert made.refused_samples[0].critique == "why"
    assert made.accepted_samples[0].scores == (("p", 0.9),)


def test_nothing_happened_is_none() -> None:
    assert fold_rounds([], {}, 10) is None


@given(st.lists(st.sampled_from(["accept", "form", "critic", "open", "surplus"]), max_size=60))
def test_proposed_is_accepted_plus_refused(fates: list[str]) -> None:
    events: list[Event] = []
    for number, fate in enumerate(fates):
        if fate == "accept":
            events += accepted(number)
        elif fate in ("open", "surplus"):
            events += [proposed(number), *([closed(number, None, fate)] if fate == "surplus" else [])]
        else:
            events += refused(number, fate, "a reason")
    made = fold_rounds(events, {}, 10)
    if made is None:
        assert not fates
        return
    assert made.proposed == len(fates) == made.accepted + sum(each.n for each in made.refusals)
    assert made.accepted == fates.count("accept")


def test_judges_stand_in_the_order_of_the_cascade_and_not_of_appearance() -> None:
    met = [
        "panel", "house rule", "", "critic", "drift", "critic model 2", "adversary", "duplicate", "kind", "language",
        "distilled critic", "paraphrase of held-out", "benchmark", "form", "critic model 1", "paraphrase of accepted",
    ]  # fmt: skip
    assert in_order(met) == [
        "kind", "form", "duplicate", "benchmark", "language", "paraphrase of accepted", "paraphrase of held-out",
        "drift", "house rule", "critic", "distilled critic", "adversary", "critic model 2", "critic model 1", "panel",
        "",
    ]  # fmt: skip
    events = [*refused(0, "critic", "off label"), *refused(1, "drift", "drifted"), *refused(2, "form", "truncated")]
    made = fold_rounds(events, {}, 10)
    assert made is not None
    assert [judge for judge, _, _ in made.gates] == ["form", "drift", "critic"]


def revised(number: int, winner: str | None, reason: str = "") -> list[Event]:
    """A candidate, its refusal, the revision of it, and the end of the brief."""
    first = proposed(number)
    second = replace(first.candidate, id=f"r{number}", parent=first.candidate.id, text="set right")
    verdict = Verdict(
        judge="critic model", candidate_id=first.candidate.id, decision=Decision.REVISE, reason="unnatural"
    )
    again = Verdict(judge="drift", candidate_id=second.id, decision=Decision.REJECT, reason=reason)
    told: list[Event] = [] if winner else [Judged(verdict=again)]
    return [first, Judged(verdict=verdict), Proposed(candidate=second, number=number), *told,
            closed(number, winner, reason)]  # fmt: skip


def test_of_a_revised_candidate_both_versions_have_one_fate_each() -> None:
    made = fold_rounds([*revised(0, "r0"), *revised(1, None, "drifted"), *accepted(2)], {}, 10)
    assert made is not None
    assert (made.proposed, made.accepted) == (5, 2)
    assert [(each.judge, each.reason, each.n) for each in made.refusals] == [
        ("drift", "drifted", 1), ("critic model", "unnatural", 2),
    ]  # fmt: skip
    assert (made.writing.revisions.tries, made.writing.revisions.accepted) == (2, 1)
    assert sum(each.tries for each in made.writing.strategies) == 3, "a revision is part of its brief's try"


def test_slices_kept_apart_have_readable_titles() -> None:
    events = [
        replace(each, candidate=replace(each.candidate, slice="spam/evaluation"))
        if isinstance(each, Proposed)
        else each
        for each in accepted(0)
    ]
    made = fold_rounds(events, {"spam": "Spam!"}, 10)
    assert made is not None
    assert made.progress[0].title == made.accepted_samples[0].title == "Spam!: edge-case evaluation"


def test_each_judge_shows_one_refusal_of_its_most_frequent_reason() -> None:
    events = [*refused(0, "critic", "off label"), *refused(1, "form", "too short"), *refused(2, "form", "truncated"),
              *refused(3, "form", "truncated"), *accepted(4)]  # fmt: skip
    verdict = Verdict(judge="critic", candidate_id="c9", decision=Decision.REJECT, reason="", evidence=("ham",))
    made = fold_rounds([*events, proposed(5), closed(5, None, "surplus")], {}, 10)
    assert made is not None
    assert [(it.judge, it.reason, it.candidate.id) for it in made.examples] == [
        ("form", "truncated", "c2"), ("critic", "off label", "c0"),
    ]  # fmt: skip
    rival = fold_rounds([proposed(9), Judged(verdict=verdict), closed(9, None, "")], {}, 10)
    assert rival is not None and rival.examples[0].evidence == ("ham",)


def test_a_text_with_personal_data_is_not_shown() -> None:
    made = fold_rounds([*refused(0, "personal", "personal data"), *refused(1, "form", "too short")], {}, 10)
    assert made is not None
    assert [it.text for it in made.examples] == ["text 1", WITHHELD]

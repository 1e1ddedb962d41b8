from __future__ import annotations

from dataclasses import replace

import pytest

from proofset.config import Study
from proofset.nouns.candidate import Candidate, Decision, Output, Stop, Verdict
from proofset.nouns.event import BriefClosed, Event, Judged, Proposed, SliceClosed
from proofset.reporting.writing import STRATEGY_WORDS, Tally, Tries, Writing, preference_pairs
from proofset.stats import wilson
from proofset.synthesizing.strategies import STRATEGIES

PLAIN = Candidate(id="c", brief_id="b", slice="spam", text="a text", label="spam", unseen_fold=0, finish="stop")


def written(*briefs: tuple[str, str, bool, Output]) -> Writing:
    """Briefs by slice, strategy, whether accepted, and output."""
    tally = Tally()
    for number, (slice_name, strategy, won, output) in enumerate(briefs):
        candidate = replace(PLAIN, id=f"c{number}", slice=slice_name, strategy=strategy, output=output)
        winner = candidate.id if won else None
        closing = BriefClosed(brief_id=f"b{number}", slice=slice_name, number=number, winner=winner, reason="")
        tally.brief([candidate], closing)
    ends = [
        SliceClosed(slice=name, accepted=1, quota=2, stop=stop)
        for name, stop in (("a", Stop.VIABLE), ("b", Stop.MARGINAL), ("c", Stop.MARGINAL))
    ]
    return tally.written({"spam": "Spam!"}, ends)


def test_strategies_are_counted_overall_and_by_slice() -> None:
    made = written(
        ("spam", "titled", True, Output.TRAIN), ("spam", "few-shot", False, Output.TRAIN),
        ("ham", "titled", False, Output.TRAIN), ("ham", "my own", True, Output.TRAIN),
        ("spam", "titled", True, Output.TRAIN),
    )  # fmt: skip
    assert [(each.name, each.tries, each.accepted) for each in made.strategies] == [
        ("few-shot", 1, 0), ("titled", 3, 2), ("my own", 1, 1),
    ]  # fmt: skip
    assert [(row.title, [(each.accepted, each.tries) for each in row.strategies]) for row in made.slices] == [
        ("Spam!", [(0, 1), (2, 2), (0, 0)]), ("ham", [(0, 0), (0, 1), (1, 1)]),
    ]  # fmt: skip


def test_outputs_are_kept_apart_and_new_stops_are_told() -> None:
    made = written(
        ("spam", "few-shot", True, Output.TRAIN), ("spam/evaluation", "few-shot", True, Output.EVALUATION),
        ("spam/evaluation", "few-shot", False, Output.EVALUATION),
    )  # fmt: skip
    assert [(each.name, each.tries, each.accepted) for each in made.outputs] == [("train", 1, 1), ("evaluation", 2, 1)]
    assert made.stops == (("marginal yield too low", 2), ("viability crossed", 1))
    assert made.slices[1].title == "Spam!: edge-case evaluation"


def test_a_share_has_its_wilson_interval_and_nothing_tried_has_no_value() -> None:
    share = Tries(name="titled", tries=40, accepted=10).share
    assert (share.value, (share.low, share.high), share.n) == (0.25, wilson(10, 40), 40)
    assert Tries(name="free", tries=0, accepted=0).share.value is None


def test_an_open_brief_is_no_try_yet_but_its_candidate_was_made() -> None:
    tally = Tally()
    tally.brief([PLAIN], None)
    made = tally.written({}, [])
    assert (made.strategies, made.slices, made.stops) == ((), (), ())
    assert [(each.name, each.tries) for each in made.outputs] == [("train", 1)]


def test_every_strategy_has_words() -> None:
    assert set(STRATEGIES) == set(STRATEGY_WORDS)


@pytest.mark.parametrize(("parent", "expected"), [("c0", (1, 0)), ("", (0, 1))])
def test_preference_pairs_are_counted_by_how_they_came_about(
    study: Study, parent: str, expected: tuple[int, int]
) -> None:
    first = replace(PLAIN, id="c0", brief_id="b0", text="call me now for the prize of a lifetime")
    second = replace(first, id="c1", text="your parcel could not be delivered today", parent=parent)
    verdict = Verdict(judge="critic model", candidate_id="c0", decision=Decision.REVISE, reason="unnatural")
    events: list[Event] = [
        Proposed(candidate=first, number=0), Judged(verdict=verdict), Proposed(candidate=second, number=0),
        BriefClosed(brief_id="b0", slice="spam", number=0, winner="c1", reason=""),
    ]  # fmt: skip
    assert preference_pairs(study, events) == expected
    assert preference_pairs(study, events[:2]) == (0, 0)

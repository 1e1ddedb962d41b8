"""On separable data the trial finds good judges good; bad ones are found out; empty edges are no error."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from proofset.config import Critic, Gates
from proofset.nouns.candidate import Brief, Candidate, Decision, Verdict
from proofset.nouns.event import JudgeMeasured
from proofset.nouns.record import Record
from proofset.nouns.result import Better
from proofset.plugins import Judge
from proofset.synthesizing.calibration import GOOD, trial
from proofset.synthesizing.critic import OrganicTexts, PanelCritic, character_view

WORDS = {
    "fish": "salmon trout river gills fins scales hook water deep lake stream angler boat net bait pond",
    "bird": "feather wing nest beak sky perch egg flight song branch cloud hatch plume claw swoop glide",
    "tree": "root bark leaf trunk forest acorn timber oak maple shade canopy sapling moss birch grove pine",
}
TOPICS = {label: words.split() for label, words in WORDS.items()}


def town(sizes: dict[str, int], seed: int = 0) -> tuple[list[Record], dict[str, int]]:
    rng = random.Random(seed)
    records = [
        Record(id=f"{label}{n}", text=" ".join(rng.sample(TOPICS[label], 9)), label=label)
        for label, size in sizes.items()
        for n in range(size)
    ]
    return records, {record.id: n % 3 for n, record in enumerate(records)}


def panel(records: list[Record], folds: dict[str, int]) -> PanelCritic:
    texts = OrganicTexts(
        tuple(r.text for r in records), tuple(str(r.label) for r in records), tuple(folds[r.id] for r in records)
    )
    return PanelCritic([character_view(texts)], Critic())


def measured(
    critic: Judge | None = None,
    sizes: dict[str, int] | None = None,
    edge: frozenset[str] = frozenset({"fish"}),
    most: int = 300,
) -> dict[tuple[str, str], JudgeMeasured]:
    records, folds = town(sizes or {"fish": 30, "bird": 60, "tree": 60})
    critic = critic or panel(records, folds)
    return {(each.judge, each.fault): each for each in trial(critic, Gates(), records, folds, edge, most=most, seed=1)}


class Spy:
    """Accepts or refuses everything, and remembers what it was shown."""

    name = "critic"

    def __init__(self, decision: Decision = Decision.ACCEPT) -> None:
        self.decision = decision
        self.seen: list[tuple[Brief, Candidate]] = []

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        self.seen.append((brief, candidate))
        return Verdict(judge=self.name, candidate_id=candidate.id, decision=self.decision)


def test_every_judge_is_tried_with_its_faults() -> None:
    assert list(measured()) == [
        ("critic", GOOD), ("critic", "wrong label"),
        ("form", GOOD), ("form", "truncated"), ("form", "repeats itself"),
        ("fluency", GOOD), ("fluency", "shuffled letters"),
        ("organic copy", GOOD), ("organic copy", "copied"), ("organic copy", "near-copied"), ("anchor copy", "copied"),
    ]  # fmt: skip


def test_on_separable_data_good_judges_are_found_good() -> None:
    found = {names: each.rejected.value for names, each in measured().items()}
    assert found["critic", GOOD] == 0.0
    assert found["critic", "wrong label"] == 1.0
    assert found["form", GOOD] == 0.0
    assert found["form", "truncated"] == 1.0
    assert found["form", "repeats itself"] == 1.0
    assert (found["fluency", GOOD] or 0) < 0.05
    assert (found["fluency", "shuffled letters"] or 0) > 0.95
    assert (found["organic copy", GOOD] or 0) < 0.05
    assert found["organic copy", "copied"] == 1.0
    assert (found["organic copy", "near-copied"] or 0) > 0.5
    assert found["anchor copy", "copied"] == 1.0


def test_a_judge_that_never_refuses_has_no_recall_and_one_that_always_does_raises_false_alarms() -> None:
    soft, hard = measured(Spy(Decision.ACCEPT)), measured(Spy(Decision.REJECT))
    assert soft["critic", "wrong label"].rejected.value == soft["critic", GOOD].rejected.value == 0.0
    assert hard["critic", "wrong label"].rejected.value == hard["critic", GOOD].rejected.value == 1.0


def test_shares_come_with_interval_number_and_direction() -> None:
    found = measured(Spy())
    good, wrong = found["critic", GOOD].rejected, found["critic", "wrong label"].rejected
    assert (good.n, wrong.n) == (30, 120)
    assert (good.better, wrong.better) == (Better.LOWER, Better.HIGHER)
    assert (good.low, good.unit) == (0.0, "share")
    assert good.high == pytest.approx(3.8415 / (30 + 3.8415), abs=1e-4)  # Wilson: z² / (n + z²)


def test_each_record_is_shown_to_heads_that_have_not_seen_it() -> None:
    records, folds = town({"fish": 30, "bird": 60, "tree": 60})
    spy = Spy()
    list(trial(spy, Gates(), records, folds, frozenset({"fish"}), seed=1))
    of_text = {record.text: record for record in records}
    assert {candidate.unseen_fold for _, candidate in spy.seen} == {0, 1, 2}
    for brief, candidate in spy.seen:
        assert candidate.unseen_fold == brief.unseen_fold == folds[of_text[candidate.text].id]
        assert brief.label == "fish"
    good, wrong = spy.seen[:30], spy.seen[30:]
    assert {of_text[candidate.text].label for _, candidate in good} == {"fish"}
    assert {of_text[candidate.text].label for _, candidate in wrong} == {"bird", "tree"}


def test_wrong_labels_are_spread_over_the_edges() -> None:
    spy = Spy()
    measured(spy, edge=frozenset({"fish", "bird"}))
    asked = [brief.label for brief, _ in spy.seen[90:]]
    assert len(asked) == 60
    assert abs(asked.count("fish") - asked.count("bird")) <= 1


def test_when_every_label_is_an_edge_each_is_presented_for_the_next() -> None:
    spy = Spy()
    found = measured(spy, {"fish": 10, "bird": 10}, edge=frozenset({"fish", "bird"}))
    assert found["critic", "wrong label"].rejected.n == 20
    for brief, candidate in spy.seen[20:]:
        true = next(label for label, words in TOPICS.items() if candidate.text.split()[0] in words)
        assert {brief.label, true} == {"fish", "bird"}
    records, folds = town({"fish": 30, "bird": 30})
    real = measured(panel(records, folds), {"fish": 30, "bird": 30}, edge=frozenset({"fish", "bird"}))
    assert real["critic", "wrong label"].rejected.value == 1.0


def test_without_edges_the_critic_is_not_tried_and_says_so() -> None:
    found = measured(edge=frozenset())
    for fault in (GOOD, "wrong label"):
        share = found["critic", fault].rejected
        assert (share.value, share.low, share.high, share.n) == (None, None, None, 0)
        assert share.note
    assert found["form", GOOD].rejected.value == 0.0


def test_no_more_cases_than_asked_for() -> None:
    spy = Spy()
    found = measured(spy, most=7)
    assert {each.rejected.n for each in found.values()} == {7}
    assert len(spy.seen) == 14


def test_the_trial_is_the_same_whatever_the_order_of_records() -> None:
    records, folds = town({"fish": 30, "bird": 60})
    critic, edge = panel(records, folds), frozenset({"fish"})
    shuffled = random.Random(5).sample(records, len(records))
    first, second = (list(trial(critic, Gates(), each, folds, edge, most=20, seed=3)) for each in (records, shuffled))
    assert first == second


def test_near_copies_count_as_known_to_the_copy_gate() -> None:
    records, folds = town({"fish": 30, "bird": 30})
    twins = [replace(record, id=f"{record.id}'", group=f"g{record.id}") for record in records]
    pairs = [replace(record, group=f"g{record.id}") for record in records] + twins
    folds |= {twin.id: folds[twin.id[:-1]] for twin in twins}
    tried = trial(Spy(), Gates(), pairs, folds, frozenset({"fish"}), seed=1)
    shares = {each.fault: each.rejected for each in tried if each.judge == "organic copy"}
    assert shares[GOOD].n == shares["copied"].n == 60
    assert (shares[GOOD].value or 0) < 0.05  # else each twin would be an alarm
    assert shares["copied"].value == 1.0


def test_form_and_fluency_are_tried_on_what_fluency_did_not_learn() -> None:
    found = measured(Spy(), {"fish": 6, "bird": 5})  # eleven: six to learn from, five to be tried on
    assert found["fluency", GOOD].rejected.n == found["form", GOOD].rejected.n == 5

"""On separable data the trial finds good judges good; bad ones are found out; empty edges are no error."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from proofset.copies import CopyIndex
from proofset.errors import BudgetSpent, ModelUnavailable
from proofset.judges import Critic, Gates
from proofset.nouns.candidate import Brief, Candidate, Decision, Verdict
from proofset.nouns.event import JudgeMeasured
from proofset.nouns.record import Origin, Record
from proofset.nouns.result import Better
from proofset.plugins import Judge
from proofset.synthesizing.calibration import (
    ASKED_TWICE,
    CASCADE,
    CONTRADICTS,
    Build,
    halves,
    meant_for,
    presented,
    review,
    trial,
)
from proofset.synthesizing.critic import OrganicTexts, PanelCritic, character_view
from proofset.synthesizing.faults import FAULTS, GOOD, Breach, Case, Supplies, plant
from proofset.synthesizing.gates import AnchorGate, CopyGate, FluencyGate, FormGate
from proofset.synthesizing.soundness import verdict_on

WORDS = {
    "fish": "salmon trout river gills fins scales hook water deep lake stream angler boat net bait pond",
    "bird": "feather wing nest beak sky perch egg flight song branch cloud hatch plume claw swoop glide",
    "tree": "root bark leaf trunk forest acorn timber oak maple shade canopy sapling moss birch grove pine",
}
TOPICS = {label: words.split() for label, words in WORDS.items()}
KNOWN = {word for words in TOPICS.values() for word in words}
SIZES = {"fish": 30, "bird": 60, "tree": 60}
FISH = frozenset({"fish"})
SEALED = tuple(" ".join(random.Random(f"sealed {n}").sample(sorted(KNOWN), 9)) for n in range(20))
FULL = Supplies(
    confused={"fish": {"bird": 0.4}},
    contaminated=SEALED,
    personal=("salmon trout river call 0205551234 gills fins",),
    forbidden=(Breach(1, "salmon trout poison gills fins scales"),),
)


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


class Rule:
    """Refuses what a rule is true of."""

    def __init__(self, name: str, refuses: Callable[[str], bool]) -> None:
        self.name, self._refuses = name, refuses

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        decision = Decision.REJECT if self._refuses(candidate.text) else Decision.ACCEPT
        return Verdict(judge=self.name, candidate_id=candidate.id, decision=decision)


class Spy:
    """Decides always alike, and remembers what it was shown."""

    def __init__(self, decision: Decision = Decision.ACCEPT, name: str = "critic") -> None:
        self.decision, self.name = decision, name
        self.seen: list[tuple[Brief, Candidate]] = []

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        self.seen.append((brief, candidate))
        return Verdict(judge=self.name, candidate_id=candidate.id, decision=self.decision)


def gates(known: Sequence[tuple[str, str]]) -> tuple[list[Judge], Callable[[str, str], None]]:
    """A small cascade: our own gates, and a rule of thumb where those need a library or a model."""
    settings = Gates()
    organic, sealed, accepted = (CopyIndex(settings.copy_similarity) for _ in range(3))
    for key, text in known:
        organic.add(key, text)
    for text in SEALED:
        sealed.add("sealed", text)
    judges: list[Judge] = [
        FormGate(settings),
        CopyGate("duplicate", "duplicate", accepted),
        CopyGate("organic copy", "copy of organic", organic),
        CopyGate("contamination", "contaminated", sealed),
        AnchorGate(settings),
        FluencyGate([text for _, text in known], settings),
        Rule("language", lambda text: KNOWN.isdisjoint(text.split()) and "the" not in text.casefold().split()),
        Rule("personal", lambda text: any(letter.isdigit() for letter in text)),
        Rule("constitution", lambda text: "poison" in text),
        Rule("drift", lambda text: len(KNOWN & set(text.split())) < 2),
    ]
    return judges, accepted.add


def only(*judges: Judge) -> Build:
    return lambda known: (judges, lambda key, text: None)


def measured(
    critic: Judge | None = None,
    sizes: dict[str, int] | None = None,
    edge: frozenset[str] = FISH,
    most: int = 300,
    cascade: Build = gates,
    supplies: Supplies = FULL,
) -> dict[tuple[str, str], JudgeMeasured]:
    records, folds = town(sizes or SIZES)
    critic = critic or panel(records, folds)
    tried = trial(critic, cascade, records, folds, edge, supplies=supplies, most=most, seed=1)
    return {(each.judge, each.fault): each for each in tried}


SOUND = measured()
VALUES = {names: each.rejected.value or 0.0 for names, each in SOUND.items()}


# ── what is tried ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_judge_is_tried_on_good_records_and_its_faults_and_the_cascade_on_all() -> None:
    judges, _ = gates([("r", "a b c")])
    names = [*(judge.name for judge in judges), "critic", CASCADE]
    wanted = [(name, fault) for name in names for fault in FAULTS if fault == GOOD or fault in meant_for[name]]
    assert list(SOUND) == wanted
    assert {fault for judge, fault in SOUND if judge == CASCADE} == set(FAULTS)


def test_on_separable_data_good_judges_are_found_good() -> None:
    assert VALUES["critic", GOOD] == 0.0
    assert VALUES["critic", "wrong label"] == VALUES["critic", "near label"] == 1.0
    assert VALUES["form", GOOD] == 0.0
    assert VALUES["fluency", GOOD] < 0.05
    assert VALUES["organic copy", GOOD] < 0.05
    assert VALUES[CASCADE, GOOD] < 0.1
    assert verdict_on(SOUND.values(), {("critic", "wrong label"): 0.9, (CASCADE, "copied"): 0.9}) == []


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {GOOD, "swapped entity", "negated"}))
def test_each_fault_is_caught_by_a_judge_that_is_there_for_it(fault: str) -> None:
    own = [VALUES[judge, fault] for judge, each in SOUND if each == fault and judge != CASCADE]
    assert max(own) >= (0.9 if fault != "near-copied" else 0.6)


def test_the_cascade_catches_at_least_what_any_of_its_judges_does() -> None:
    for (judge, fault), each in SOUND.items():
        if judge not in ("critic", CASCADE):  # the critic is tried on more cases
            assert SOUND[CASCADE, fault].rejected.n == each.rejected.n or fault == GOOD
            assert VALUES[CASCADE, fault] >= VALUES[judge, fault] or fault == GOOD, (judge, fault)


def test_shares_come_with_interval_number_and_direction() -> None:
    found = measured(Spy())
    good, wrong = found["critic", GOOD].rejected, found["critic", "wrong label"].rejected
    assert (good.n, wrong.n) == (30, 120)
    assert (good.better, wrong.better) == (Better.LOWER, Better.HIGHER)
    assert (good.low, good.unit) == (0.0, "share")
    assert good.high == pytest.approx(3.8415 / (30 + 3.8415), abs=1e-4)  # Wilson: z² / (n + z²)


def test_a_fault_that_cannot_be_planted_has_no_share_and_the_note_says_why() -> None:
    for fault in ("swapped entity", "negated"):  # the town's texts have neither a number nor a verb
        share = SOUND[CASCADE, fault].rejected
        assert (share.value, share.low, share.high, share.n) == (None, None, None, 0)
        assert share.note == FAULTS[fault].lacking
    poor = measured(supplies=Supplies())
    assert poor["critic", "near label"].rejected.note == "no label is known to be confused with an edge"
    assert not any(each.rejected.note for each in poor.values() if each.rejected.n)


def test_a_judge_that_nobody_knows_is_tried_on_every_fault() -> None:
    found = measured(Spy(), cascade=only(Spy(Decision.REJECT, "my own")))
    assert [fault for judge, fault in found if judge == "my own"] == list(FAULTS)
    assert found["my own", "off-topic"].rejected.value == found[CASCADE, "off-topic"].rejected.value == 1.0


def test_who_wants_a_revision_has_not_accepted() -> None:
    assert measured(Spy(Decision.REVISE))["critic", "wrong label"].rejected.value == 1.0


def test_without_a_critic_there_is_none_on_trial() -> None:
    records, folds = town(SIZES)
    tried = list(trial(None, gates, records, folds, FISH, seed=1))
    assert "critic" not in {each.judge for each in tried}
    (wrong,) = [each.rejected for each in tried if (each.judge, each.fault) == (CASCADE, "wrong label")]
    assert (wrong.value or 0.0) < 0.1  # nobody is there for it


# ── bad judges ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_critic_that_accepts_everything_is_found_out() -> None:
    found = measured(Spy(Decision.ACCEPT))
    assert found["critic", "wrong label"].rejected.value == found["critic", GOOD].rejected.value == 0.0
    sentences = verdict_on(found.values(), {("critic", "wrong label"): 0.8})
    assert sentences[0] == "the critic refuses at least 0% of planted wrong labels, 80% asked for"
    assert any("critic" in each and "tell its faults" in each for each in sentences)


def test_a_critic_that_refuses_everything_is_found_out_and_the_cascade_with_it() -> None:
    found = measured(Spy(Decision.REJECT))
    assert found["critic", "wrong label"].rejected.value == found["critic", GOOD].rejected.value == 1.0
    assert found[CASCADE, GOOD].rejected.value == 1.0
    sentences = verdict_on(found.values(), {})
    assert [each.split(" refuses")[0] for each in sentences] == ["the critic", "the cascade"]


def test_a_critic_that_answers_at_random_is_found_out() -> None:
    coin = random.Random(0)
    found = measured(Rule("critic", lambda text: coin.random() < 0.5), {"fish": 300, "bird": 300})
    (sentence,) = [each for each in verdict_on(found.values(), {}) if "critic" in each]
    assert "does not tell its faults from good records" in sentence


# ── blindness ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_record_is_shown_to_heads_that_have_not_seen_it() -> None:
    records, folds = town(SIZES)
    spy = Spy()
    list(trial(spy, only(), records, folds, FISH, seed=1))
    of_text = {record.text: record for record in records}
    organic = [(brief, each) for brief, each in spy.seen if each.text in of_text]
    assert {candidate.unseen_fold for _, candidate in organic} == {0, 1, 2}
    for brief, candidate in organic:
        assert candidate.unseen_fold == brief.unseen_fold == folds[of_text[candidate.text].id]
        assert brief.label == brief.slice == candidate.label
    shown = {(anchor.record_id, brief.unseen_fold) for brief, each in organic for anchor in brief.anchors}
    assert sum(folds[key] == fold for key, fold in shown) == len(
        {each.id for brief, each in organic if brief.anchors[0].text == each.text}  # copies alone have their original
    )


def test_gates_are_tried_on_good_records_that_they_do_not_know_and_on_copies_of_those_they_do() -> None:
    known: set[str] = set()
    spy = Spy(name="organic copy")

    def build(texts: Sequence[tuple[str, str]]) -> tuple[list[Judge], Callable[[str, str], None]]:
        assert not known  # called once
        known.update(text for _, text in texts)
        return [spy], lambda key, text: None

    records, folds = town(SIZES)
    tried = {
        each.fault: each.rejected for each in trial(None, build, records, folds, FISH, seed=1) if each.judge == spy.name
    }
    assert len(known) == 75
    assert (tried[GOOD].n, tried["copied"].n, tried["near-copied"].n) == (75, 75, 75)
    texts = {record.text for record in records}
    inside = [candidate.text for brief, candidate in spy.seen if candidate.text in known]
    assert sorted(inside) == sorted(known)  # as copies, and never as good records or wrong labels
    assert {candidate.text for _, candidate in spy.seen} & texts == texts


def test_halves_divide_no_group_and_share_each_label() -> None:
    records, _ = town({"fish": 9, "bird": 20})
    records = [replace(record, group=f"g{number // 2}") for number, record in enumerate(records[1:])]
    known, fresh = halves(records)
    assert sorted(each.id for each in (*known, *fresh)) == sorted(each.id for each in records)
    assert {each.group for each in known}.isdisjoint({each.group for each in fresh})
    assert sum(each.label == "fish" for each in fresh) == 4
    assert halves(records[::-1]) == (known, fresh)
    assert halves(records[:1]) == (records[:1], [])
    assert halves([]) == ([], [])


def test_near_copies_count_as_known_to_the_copy_gate() -> None:
    records, folds = town({"fish": 30, "bird": 30})
    twins = [replace(record, id=f"{record.id}'", group=f"g{record.id}") for record in records]
    pairs = [replace(record, group=f"g{record.id}") for record in records] + twins
    folds |= {twin.id: folds[twin.id[:-1]] for twin in twins}
    tried = trial(Spy(), gates, pairs, folds, FISH, seed=1)
    shares = {each.fault: each.rejected for each in tried if each.judge == "organic copy"}
    assert shares[GOOD].n == shares["copied"].n == 30  # one of each pair of twins
    assert (shares[GOOD].value or 0) < 0.05  # else each twin would be an alarm
    assert shares["copied"].value == 1.0


def test_what_is_made_of_a_record_is_not_taken_for_a_duplicate_of_it() -> None:
    heard: list[str] = []

    class Memory(Spy):
        def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
            decision = Decision.REJECT if candidate.text in heard else Decision.ACCEPT
            return Verdict(judge=self.name, candidate_id=candidate.id, decision=decision)

    memory = Memory(name="duplicate")
    found = measured(Spy(), cascade=lambda known: ([memory], lambda key, text: heard.append(text)))
    assert found["duplicate", "duplicate"].rejected.value == found[CASCADE, "duplicate"].rejected.value == 1.0
    assert found["duplicate", GOOD].rejected.value == 0.0
    others = [each for (judge, fault), each in found.items() if judge == CASCADE and fault != "duplicate"]
    assert {each.rejected.value for each in others} <= {0.0, None}
    assert len(heard) == 75 + found["duplicate", "duplicate"].rejected.n


def test_only_accepted_good_records_are_remembered() -> None:
    heard: list[str] = []
    measured(Spy(), cascade=lambda known: ([Spy(Decision.REJECT, "form")], lambda key, text: heard.append(key)))
    assert len(heard) == len(set(heard)) == 75  # each once, as the first of two duplicates
    heard.clear()
    measured(Spy(Decision.REJECT), cascade=lambda known: ([], lambda key, text: heard.append(key)))
    assert len(heard) == 75 + 60  # the critic is asked about edges alone, and refused those 15


def test_synthetic_records_are_not_known_to_be_good() -> None:
    records, folds = town({"fish": 20, "bird": 20})
    made = [replace(record, origin=Origin.SYNTHETIC) if record.label == "bird" else record for record in records]
    spy = Spy()
    list(trial(spy, only(), made, folds, FISH, seed=1))
    assert not any(candidate.text.split()[0] in TOPICS["bird"] for _, candidate in spy.seen)


# ── edges ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_when_every_label_is_an_edge_each_is_presented_for_the_next() -> None:
    found = measured(Spy(), {"fish": 10, "bird": 10}, edge=frozenset({"fish", "bird"}))
    assert found["critic", "wrong label"].rejected.n == 20
    real = measured(None, {"fish": 30, "bird": 30}, edge=frozenset({"fish", "bird"}))
    assert real["critic", "wrong label"].rejected.value == 1.0


def test_without_edges_the_critic_is_not_tried_on_labels_and_says_so() -> None:
    found = measured(edge=frozenset())
    for judge in ("critic", CASCADE):
        for fault in (GOOD, "wrong label"):
            share = found[judge, fault].rejected
            assert (share.value, share.low, share.high, share.n) == (None, None, None, 0)
            assert share.note
    assert found["form", GOOD].rejected.value == 0.0
    assert found["form", "truncated"].rejected.value == 1.0


def test_a_trial_on_next_to_nothing_is_no_error() -> None:
    for sizes in ({"fish": 1}, {"fish": 1, "bird": 1}, {}):
        records, folds = town(sizes)
        tried = list(trial(Spy(), only(Spy(name="form")), records, folds, FISH, seed=1))
        assert {each.judge for each in tried} == {"critic", "form", CASCADE}
        assert all((each.rejected.value is None) == bool(each.rejected.note) for each in tried)


def test_no_more_cases_than_asked_for() -> None:
    found = measured(Spy(), most=7)
    numbers = {fault: {each.rejected.n for (_, other), each in found.items() if other == fault} for fault in FAULTS}
    few = {"personal data": {1}, "forbidden": {1}, "swapped entity": {0}, "negated": {0}}
    assert numbers == {fault: few.get(fault, {7}) for fault in FAULTS}


def test_the_trial_is_the_same_whatever_the_order_of_records() -> None:
    records, folds = town({"fish": 30, "bird": 60})
    critic = panel(records, folds)
    shuffled = random.Random(5).sample(records, len(records))
    first, second = (list(trial(critic, gates, each, folds, FISH, most=20, seed=3)) for each in (records, shuffled))
    assert first == second


# ── reviewers ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Reader:
    """A reviewer with an answer to everything; counts how many are under way at once."""

    def __init__(self, answer: Callable[[Brief, Candidate], Decision], name: str = "critic model") -> None:
        self.name, self._answer = name, answer
        self.now = self.most = 0

    async def review(self, brief: Brief, candidate: Candidate) -> Verdict:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        try:
            decision = self._answer(brief, candidate)
        finally:
            self.now -= 1
        return Verdict(judge=self.name, candidate_id=candidate.id, decision=decision)


def cases_of(sizes: dict[str, int] | None = None) -> list[Case]:
    records, folds = town(sizes or SIZES)
    return [case for each in plant(records, folds, FISH, [GOOD, "wrong label"], seed=1).values() for case in each]


def reviewed(answer: Callable[[Brief, Candidate], Decision], parallel: int = 8) -> dict[str, JudgeMeasured]:
    found = asyncio.run(review([Reader(answer)], cases_of(), parallel))
    return {each.fault: each for each in found}


def by_topic(brief: Brief, candidate: Candidate) -> Decision:
    return Decision.ACCEPT if candidate.text.split()[0] in TOPICS[brief.label] else Decision.REJECT


def test_a_reviewer_is_measured_as_judges_are() -> None:
    found = reviewed(by_topic)
    assert list(found) == [GOOD, "wrong label", CONTRADICTS]
    assert {fault: (each.rejected.value, each.rejected.n) for fault, each in found.items()} == {
        GOOD: (0.0, 30),
        "wrong label": (1.0, 120),
        CONTRADICTS: (0.0, ASKED_TWICE),
    }
    assert found["wrong label"].rejected.better == Better.HIGHER
    assert found[CONTRADICTS].rejected.better == found[GOOD].rejected.better == Better.LOWER


def test_no_more_reviews_at_once_than_may_be() -> None:
    for parallel in (1, 5):
        reader = Reader(by_topic)
        asyncio.run(review([reader], cases_of(), parallel))
        assert reader.most == parallel


def test_each_reviewer_is_measured() -> None:
    readers = [Reader(by_topic), Reader(lambda brief, candidate: Decision.ACCEPT, "panel")]
    found = asyncio.run(review(readers, cases_of(), 4))
    assert [each.judge for each in found] == ["critic model"] * 3 + ["panel"] * 3
    sentences = verdict_on(found, {})
    assert len(sentences) == 1 and "the panel refuses at most 3%" in sentences[0]


def test_a_reviewer_that_contradicts_itself_is_found_out() -> None:
    def wavering(brief: Brief, candidate: Candidate) -> Decision:
        odd = sum(map(ord, candidate.text)) % 2 == 1
        return Decision.REJECT if odd and brief.seed else by_topic(brief, candidate)

    odd = sum(sum(map(ord, case.text)) % 2 for case in cases_of() if case.truth == GOOD)
    found = reviewed(wavering)[CONTRADICTS].rejected
    assert 0 < odd < 30
    assert found.value == odd / 30
    assert reviewed(wavering)[GOOD].rejected.value == 0.0  # what it says first counts


def test_a_review_without_an_answer_is_not_counted_and_is_told() -> None:
    def failing(brief: Brief, candidate: Candidate) -> Decision:
        if candidate.text.split()[0] in ("salmon", "feather"):
            raise ModelUnavailable("gone")
        return by_topic(brief, candidate)

    silent = {
        truth: sum(case.truth == truth and case.text.split()[0] in ("salmon", "feather") for case in cases_of())
        for truth in (GOOD, "wrong label")
    }
    found = reviewed(failing)
    assert silent[GOOD] and silent["wrong label"]
    for truth, asked in ((GOOD, 30), ("wrong label", 120), (CONTRADICTS, 30)):
        missing = silent.get(truth, silent[GOOD])
        assert found[truth].rejected.n == asked - missing
        assert found[truth].rejected.note == f"no answer to {missing} of {asked}"
    assert found["wrong label"].rejected.value == 1.0


def test_a_reviewer_that_never_answers_has_no_figures() -> None:
    def gone(brief: Brief, candidate: Candidate) -> Decision:
        raise ModelUnavailable("gone")

    found = reviewed(gone)
    assert {each.rejected.value for each in found.values()} == {None}
    assert found[GOOD].rejected.note == "no answer to 30 of 30"
    assert verdict_on(found.values(), {("critic model", "wrong label"): 0.5})


def test_without_good_cases_nobody_is_asked_twice() -> None:
    wrong = [case for case in cases_of() if case.truth != GOOD]
    wrong_label, contradicts = asyncio.run(review([Reader(by_topic)], wrong, 4))
    assert wrong_label.rejected.n == 120
    assert (contradicts.rejected.value, contradicts.rejected.note) == (None, FAULTS[GOOD].lacking)


def test_a_spent_budget_ends_the_review_and_is_raised_itself() -> None:
    reader = Reader(by_topic)
    asked = 0

    def poor(brief: Brief, candidate: Candidate) -> Decision:
        nonlocal asked
        asked += 1
        if asked == 10:
            raise BudgetSpent("no money left")
        return Decision.ACCEPT

    async def ask() -> None:
        with pytest.raises(BudgetSpent, match="no money left"):
            await review([Reader(poor)], cases_of(), 3)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1  # nothing goes on in the background

    asyncio.run(ask())
    assert asked < 20
    del reader


def test_a_case_is_presented_as_a_brief_and_a_candidate_of_the_loop() -> None:
    case = cases_of()[0]
    (brief, candidate), (again, same) = presented(case), presented(case, 1)
    assert (brief.slice, brief.label, brief.anchors, brief.evidence) == ("fish", "fish", case.anchors, case.evidence)
    assert (candidate.brief_id, candidate.text, candidate.finish) == (brief.id, case.text, "stop")
    assert replace(again, seed=0) == brief and again.seed == 1
    assert same == candidate

"""Every fault is planted as it says, out of records that a judge has not seen, and the same way each time."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from proofset.errors import InputError
from proofset.nouns.evidence import Evidence, Fact, Passage
from proofset.nouns.record import Record
from proofset.synthesizing.faults import FAULTS, GOOD, SHOWN, Breach, Case, Supplies, plant

PLACES = ("Texel", "Ameland", "Vlieland", "Borkum", "Juist")
WEATHER = ("rain", "wind", "snow", "fog", "ice", "heat", "calm", "sun")
EDGE = frozenset({"ferry", "train"})


def town(sizes: dict[str, int] | None = None) -> tuple[list[Record], dict[str, int]]:
    rng = random.Random(4)
    records = [
        Record(
            id=f"{label}{n}",
            text=f"Number {n} of the {label} is late, so {rng.choice(PLACES)} must wait {rng.randint(5, 95)} minutes "
            f"for {' '.join(rng.sample(WEATHER, 4))}",
            label=label,
        )
        for label, size in (sizes or {"ferry": 12, "train": 12, "plane": 20, "coach": 20}).items()
        for n in range(size)
    ]
    return records, {record.id: n % 3 for n, record in enumerate(records)}


RECORDS, FOLDS = town()
OF_ID = {record.id: record for record in RECORDS}
FULL = Supplies(
    confused={"ferry": {"plane": 0.3, "coach": 0.0, "ferry": 0.5}, "train": {"coach": 0.4, "plane": 0.1}},
    contaminated=("a sealed text of some words", "another sealed text of some words"),
    personal=("call me on 020 555 1234 tonight",),
    forbidden=(Breach(1, "all ferries are free"), Breach(2, "trains can fly", ("train",))),
)


def planted(supplies: Supplies = FULL, most: int = 300, seed: int = 1) -> dict[str, list[Case]]:
    return plant(RECORDS, FOLDS, EDGE, supplies=supplies, most=most, seed=seed)


CASES = planted()


def test_with_all_supplies_there_are_cases_of_every_fault_and_each_says_what_it_is() -> None:
    assert list(CASES) == list(FAULTS)
    for fault, cases in CASES.items():
        assert cases, fault
        assert {case.truth for case in cases} == {fault}
        assert all(case.text.strip() for case in cases)


def test_no_record_is_used_twice_for_one_fault() -> None:
    for fault, cases in CASES.items():
        assert max(Counter(case.source_id for case in cases).values()) == 1, fault


def test_cases_are_the_same_whatever_the_order_of_records_and_others_with_another_seed() -> None:
    shuffled = random.Random(7).sample(RECORDS, len(RECORDS))
    assert plant(shuffled, FOLDS, sorted(EDGE, reverse=True), supplies=FULL, seed=1) == CASES
    other = planted(seed=2)
    assert [case.text for case in other[GOOD]] != [case.text for case in CASES[GOOD]]


def test_no_more_cases_than_asked_for() -> None:
    few = planted(most=3)
    assert {fault: len(cases) for fault, cases in few.items()} == {
        fault: min(3, len(cases)) for fault, cases in CASES.items()
    }


def test_good_cases_are_records_of_the_edges_as_they_are() -> None:
    assert {case.source_id for case in CASES[GOOD]} == {record.id for record in RECORDS if record.label in EDGE}
    for case in CASES[GOOD]:
        record = OF_ID[case.source_id]
        assert (case.text, case.label, case.fold) == (record.text, record.label, FOLDS[record.id])


def test_of_near_copies_one_is_used() -> None:
    twins = [replace(record, id=f"{record.id}'", group=f"g{record.id}") for record in RECORDS]
    pairs = [replace(record, group=f"g{record.id}") for record in RECORDS] + twins
    folds = FOLDS | {twin.id: FOLDS[twin.id[:-1]] for twin in twins}
    cases = plant(pairs, folds, EDGE, seed=1)
    assert len(cases[GOOD]) == 24
    assert len(cases["copied"]) == len(RECORDS)
    assert len({case.source_id.rstrip("'") for case in cases["copied"]}) == len(RECORDS)


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {"copied"}))
def test_anchors_are_of_the_slice_and_neither_of_the_cases_fold_nor_its_record(fault: str) -> None:
    for case in CASES[fault]:
        assert len(case.anchors) == SHOWN
        assert {anchor.label for anchor in case.anchors} == {case.label}
        assert all(FOLDS[anchor.record_id] != case.fold for anchor in case.anchors)


def test_a_copy_has_its_original_among_the_anchors() -> None:
    for case in CASES["copied"]:
        assert case.text == OF_ID[case.source_id].text
        assert case.anchors[0].record_id == case.source_id
        assert len(case.anchors) == SHOWN


def test_wrong_labels_come_from_outside_and_are_spread_over_the_edges() -> None:
    cases = CASES["wrong label"]
    assert {OF_ID[case.source_id].label for case in cases} == {"plane", "coach"}
    assert Counter(case.label for case in cases) == {"ferry": 20, "train": 20}
    assert all(case.fold == FOLDS[case.source_id] for case in cases)


def test_where_every_label_is_an_edge_each_record_is_presented_for_the_next() -> None:
    cases = plant(RECORDS, FOLDS, {"ferry", "train", "plane", "coach"}, seed=1)["wrong label"]
    after = {"coach": "ferry", "ferry": "plane", "plane": "train", "train": "coach"}
    assert len(cases) == len(RECORDS)
    assert all(case.label == after[str(OF_ID[case.source_id].label)] for case in cases)


def test_a_label_alone_has_no_wrong_ones() -> None:
    ferries = [record for record in RECORDS if record.label == "ferry"]
    cases = plant(ferries, FOLDS, {"ferry"}, seed=1)
    assert cases["wrong label"] == []
    assert len(cases[GOOD]) == 12


def test_near_labels_come_from_what_is_confused_with_the_edge() -> None:
    pairs = [(OF_ID[case.source_id].label, case.label) for case in CASES["near label"]]
    assert pairs == [("plane", "ferry"), ("coach", "train")] * 20  # the most confused first, the edges in turn
    both = planted(Supplies(confused={label: {"plane": 0.1} for label in EDGE}))["near label"]
    assert Counter(case.label for case in both) == {"ferry": 10, "train": 10}  # and no record twice


@pytest.mark.parametrize("fault", ["near label", "contaminated", "personal data", "forbidden"])
def test_without_supplies_some_faults_cannot_be_planted(fault: str) -> None:
    assert planted(Supplies())[fault] == []
    assert FAULTS[fault].lacking


def test_off_topic_sentences_are_many_and_of_5_to_25_words() -> None:
    texts = [case.text for case in CASES["off-topic"]]
    assert len(set(texts)) == 60
    assert all(5 <= len(text.split()) <= 25 for text in texts)
    assert {case.fold for case in CASES["off-topic"]} == {0, 1, 2}
    assert Counter(case.label for case in CASES["off-topic"]) == {"ferry": 30, "train": 30}


def test_foreign_sentences_are_in_eleven_languages_and_never_in_the_corpuss_own() -> None:
    def languages(cases: list[Case]) -> Counter[str]:
        return Counter(case.source_id.split()[0] for case in cases)

    found = languages(CASES["wrong language"])
    assert found == dict.fromkeys(("de", "fr", "es", "it", "nl", "pt", "pl", "tr"), 8) | dict.fromkeys(
        ("ja", "ru", "ar"), 3
    )
    german = planted(Supplies(language="de"))
    assert "de" not in languages(german["wrong language"])
    assert any(case.text.startswith("The glacier") for case in german["wrong language"])
    assert german["off-topic"] == german["negated"] == []


def test_what_is_made_of_a_text_differs_from_it() -> None:
    for fault in ("near-copied", "too short", "repeats itself", "shuffled letters", "swapped entity", "negated"):
        assert len(CASES[fault]) > 20, fault
        assert all(case.text != OF_ID[case.source_id].text for case in CASES[fault]), fault
        assert all(case.label == OF_ID[case.source_id].label for case in CASES[fault]), fault


def test_a_truncated_text_ended_for_its_length() -> None:
    assert {case.finish for case in CASES["truncated"]} == {"length"}
    assert all(OF_ID[case.source_id].text.startswith(case.text) for case in CASES["truncated"])
    others = [case.finish for fault, cases in CASES.items() if fault != "truncated" for case in cases]
    assert set(others) == {"stop"}


def test_a_duplicate_has_the_same_text_before_it_and_nothing_else_has() -> None:
    assert all(case.before == case.text for case in CASES["duplicate"])
    assert not any(case.before for fault, cases in CASES.items() if fault != "duplicate" for case in cases)


@pytest.mark.parametrize("fault", ["swapped entity", "negated"])
def test_what_contradicts_has_what_it_contradicts_in_its_evidence(fault: str) -> None:
    for case in CASES[fault]:
        assert [passage.text for passage in case.evidence.passages] == [OF_ID[case.source_id].text]


def test_entities_are_swapped_for_those_of_the_evidence() -> None:
    evidence = Evidence(
        (Passage(id="p", text="From Sylt it takes 777 minutes", source="p"),), (Fact("Rottum", "Near", "sea"),)
    )
    cases = planted(Supplies(evidence={"ferry": evidence}))["swapped entity"]
    for case in cases:
        strange = set(case.text.replace(",", "").split()) & {"Sylt", "777", "Rottum"}
        assert len(strange) == (case.label == "ferry"), case.text
        assert len(case.evidence.passages) == (2 if case.label == "ferry" else 1)


def test_all_cases_of_a_label_have_its_evidence() -> None:
    evidence = Evidence((Passage(id="p", text="Ferries leave at nine", source="p"),))
    cases = planted(replace(FULL, evidence={"ferry": evidence}))
    for fault in FAULTS.keys() - {"swapped entity", "negated"}:
        assert all(case.evidence == (evidence if case.label == "ferry" else Evidence()) for case in cases[fault]), fault


def test_a_rules_breach_is_presented_where_the_rule_holds() -> None:
    for seed in range(6):
        cases = {case.text: case.label for case in planted(seed=seed)["forbidden"]}
        assert cases["trains can fly"] == "train"
    elsewhere = Supplies(forbidden=(Breach(3, "planes swim", ("plane",)),))
    assert [case.label for case in planted(elsewhere)["forbidden"]] == ["plane"]


def test_without_an_edge_only_what_is_about_edges_is_missing() -> None:
    cases = plant(RECORDS, FOLDS, (), supplies=FULL, seed=1)
    assert {fault for fault, found in cases.items() if not found} == {GOOD, "wrong label", "near label"}


def test_without_records_there_are_no_cases_but_of_strangers() -> None:
    cases = plant([], {}, EDGE, seed=1)
    assert {fault for fault, found in cases.items() if found} == {"off-topic", "wrong language"}
    assert {case.fold for case in cases["off-topic"]} == {0}


def test_only_the_faults_asked_for_are_planted() -> None:
    assert list(plant(RECORDS, FOLDS, EDGE, ["copied", GOOD], seed=1)) == ["copied", GOOD]


def test_a_record_without_a_fold_is_named() -> None:
    with pytest.raises(InputError, match="coach19 has no fold"):
        plant(RECORDS, {key: fold for key, fold in FOLDS.items() if key != "coach19"}, EDGE, seed=1)


def test_an_unknown_fault_is_named_and_the_known_ones_listed() -> None:
    with pytest.raises(InputError, match="'boring'") as caught:
        plant(RECORDS, FOLDS, EDGE, ["boring"], seed=1)
    assert "off-topic" in caught.value.hint


def test_no_near_copy_of_the_record_is_among_its_anchors_even_from_another_fold() -> None:
    twins = [replace(record, id=f"{record.id}'", group=f"g{record.id}") for record in RECORDS]
    pairs = [replace(record, group=f"g{record.id}") for record in RECORDS] + twins
    folds = FOLDS | {twin.id: (FOLDS[twin.id[:-1]] + 1) % 3 for twin in twins}
    for case in plant(pairs, folds, EDGE, [GOOD], seed=1)[GOOD]:
        assert case.source_id.rstrip("'") not in {anchor.record_id.rstrip("'") for anchor in case.anchors}


def test_faults_are_made_of_records_of_the_edges_first() -> None:
    for fault in ("truncated", "near-copied", "duplicate"):
        labels = [str(OF_ID[case.source_id].label) for case in CASES[fault]]
        assert set(labels[:24]) == EDGE and EDGE.isdisjoint(labels[24:]), fault

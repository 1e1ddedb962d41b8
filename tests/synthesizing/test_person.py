"""A person's decisions hold for the text and the label they were taken on, and a bad line is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from proofset.errors import RecordError
from proofset.nouns.candidate import Brief, Candidate, Decision
from proofset.nouns.evidence import Evidence
from proofset.synthesizing.person import Decided, PersonJudge, read_decisions


def met(text: str, label: str = "storm") -> tuple[Brief, Candidate]:
    brief = Brief(
        id="b", slice=label, label=label, number=0, anchors=(), evidence=Evidence(), opening="", unseen_fold=0,
        seed=0, prompt="", shared_chars=0,
    )  # fmt: skip
    return brief, Candidate(
        id="c", brief_id="b", slice=label, text=text, label=label, unseen_fold=0, finish="stop"
    )  # fmt: skip


def written(folder: Path, *lines: Mapping[str, object] | str) -> Path:
    path = folder / "review.jsonl"
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines), encoding="utf-8")
    return path


def test_a_refused_text_is_refused_whatever_its_case_and_the_line_is_the_evidence(tmp_path: Path) -> None:
    path = written(tmp_path, "", {"text": "Wind  and Rain", "label": "storm", "accept": False, "why": "too vague"})
    verdict = PersonJudge(read_decisions(path)).judge(*met("wind and rain"))
    assert (verdict.decision, verdict.reason, verdict.critique) == (Decision.REJECT, "refused by a person", "too vague")
    assert verdict.evidence == ("line 2",)


def test_what_was_accepted_or_never_seen_goes_on_to_the_other_judges(tmp_path: Path) -> None:
    judge = PersonJudge(read_decisions(written(tmp_path, {"text": "a gale", "label": "storm", "accept": True})))
    assert judge.judge(*met("a gale")).decision is judge.judge(*met("a flood")).decision is Decision.ACCEPT


def test_a_refusal_holds_for_its_label_alone(tmp_path: Path) -> None:
    judge = PersonJudge(read_decisions(written(tmp_path, {"text": "a gale", "label": "market", "accept": False})))
    assert judge.judge(*met("a gale", "storm")).decision is Decision.ACCEPT
    assert judge.judge(*met("a gale", "market")).decision is Decision.REJECT


def test_the_latest_decision_on_a_text_counts(tmp_path: Path) -> None:
    first, second = ({"text": "a gale", "label": "storm", "accept": accept} for accept in (False, True))
    assert read_decisions(written(tmp_path, first, second)) == {("storm", "a gale"): Decided(2, True, "")}


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("no json", ""),
        ('{"text": "a", "label": "b"}', "accept"),
        ('{"text": 3, "label": "b", "accept": true}', "text"),
        ('{"text": "a", "label": "b", "accept": true, "who": "me"}', "who"),
        ("[]", ""),
    ],
)
def test_a_line_that_is_no_decision_is_named_with_its_field(tmp_path: Path, line: str, field: str) -> None:
    path = written(tmp_path, {"text": "a gale", "label": "storm", "accept": True}, line)
    with pytest.raises(RecordError) as caught:
        read_decisions(path)
    assert f"{path}:2" in str(caught.value)
    assert field in str(caught.value)


def test_a_file_that_is_not_there_is_an_error_that_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        read_decisions(tmp_path / "none.jsonl")

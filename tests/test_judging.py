"""The bench: who judges in one walk, each made once and knowing no more than it may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from proofset import assembly
from proofset.config import Study
from proofset.errors import RunError
from proofset.judging import TRIAL, Bench, distil
from proofset.models.metered import Metered
from proofset.nouns.candidate import Decision, Quota
from proofset.nouns.evidence import Fact
from proofset.plugins import Request
from proofset.runs import tables
from proofset.runs.folder import Run
from proofset.speaking import CRITIC, Speaking
from proofset.staging import composers_of
from proofset.synthesizing.calibration import presented
from proofset.synthesizing.faults import plant
from proofset.synthesizing.panel import PanelReviewer
from proofset.walk import Walk, wait_for


@pytest.fixture
def grounded(town: ModuleType, tmp_path: Path) -> Iterator[Walk]:
    """A walk of the town that has come as far as its trial."""
    study_file = town.write_town(tmp_path)
    town.walk_town(study_file, tmp_path / "runs", verb="calibrate")
    study = Study.read(study_file)
    with Run.open(tmp_path / "runs" / "town", study.model_dump(mode="json"), "") as run:
        yield Walk(run, study, tmp_path)


def with_critic(walk: Walk, **settings: object) -> Walk:
    """The walk with other settings of its critic."""
    data = walk.study.model_dump()
    data["synthesize"]["critic"] |= settings
    walk.study = Study.parse(data)
    return walk


def test_a_walk_has_one_bench_and_each_judge_is_made_once(grounded: Walk) -> None:
    bench = Bench.of(grounded)
    assert Bench.of(grounded) is bench
    assert bench.critic is bench.critic and bench.student is bench.student
    grounded.kept.clear()
    assert Bench.of(grounded) is not bench


def test_what_one_label_is_taken_for_weighs_double_where_the_graph_says_they_are_near(grounded: Walk) -> None:
    before = Bench.of(grounded).confused
    assert set(before) == {"market", "council", "storm"} and all(name not in others for name, others in before.items())
    facts = [Fact("storm", "ChildOf", "weather"), Fact("council", "ChildOf", "weather")]
    tables.write_rows(grounded.run.path(assembly.FACTS), facts, Fact)
    grounded.kept.clear()
    after = Bench.of(grounded).confused
    assert after["storm"]["council"] == 2 * before["storm"]["council"]
    assert after["storm"]["market"] == before["storm"]["market"]
    assert list(Bench.of(grounded).rivals("storm")) == sorted(after["storm"], key=lambda name: -after["storm"][name])


def test_gates_that_are_given_some_records_know_those_alone(grounded: Walk) -> None:
    bench = Bench.of(grounded)
    known = [(record.id, record.text) for record in bench.known.records]
    (case,) = plant(
        bench.known.records[:1], bench.folds, {str(bench.known.records[0].label)}, ["none"],
        company=bench.known.records, most=1, seed=1,
    )["none"]  # fmt: skip

    def refused_by(judges: list[object]) -> list[str]:
        found = [judge.judge(*presented(case)) for judge in judges]  # type: ignore[attr-defined]
        return [verdict.reason for verdict in found if verdict.decision is not Decision.ACCEPT]

    everything, _ = bench.cascade().for_slice()
    others, _ = bench.cascade([pair for pair in known if pair[0] != case.source_id]).for_slice()
    assert refused_by([*everything]) and refused_by([*others]) == []


def test_the_student_is_sure_of_its_own_subject_and_unsure_at_the_border(grounded: Walk, town: ModuleType) -> None:
    student = Bench.of(grounded).student
    plain, mixed = "wind rain flood roof gale river", "wind rain flood vote mayor budget"
    assert student(plain, "storm") > student(mixed, "storm") > student("vote mayor budget minutes", "storm")
    assert 0 <= student(mixed, "storm") <= 1
    assert student(plain, "storm") + max(student(plain, "council"), student(plain, "market")) == pytest.approx(1)


def test_without_rules_there_is_no_constitution_and_nothing_to_doubt(grounded: Walk) -> None:
    assert Bench.of(grounded).constitution is None and Bench.of(grounded).doubts() == []


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"model": {}}, ["critic model"]),
        ({"model": {}, "questions": ["opinion", "blind", "pairwise"]}, ["critic model", "blind", "pairwise"]),
        ({"model": {}, "panel": [{"reasoning": "low"}]}, ["panel"]),
    ],
)
def test_each_question_has_its_reviewer_and_several_models_are_a_panel(
    grounded: Walk, town: ModuleType, settings: dict[str, object], names: list[str]
) -> None:
    bench = Bench.of(with_critic(grounded, **settings))
    found = []

    async def scenario() -> None:
        speaking = Speaking(grounded)
        try:
            critics = [speaking.metered(town.critic(), CRITIC) for _ in range(2 if "panel" in settings else 1)]
            found.extend(bench.reviewers(speaking, critics))
            assert bench.reviewers(speaking, []) == []
        finally:
            await speaking.close()

    wait_for(scenario())
    assert len(found) == len(names)
    assert all(name in each.name for name, each in zip(names, found, strict=True)), [each.name for each in found]
    if "panel" in settings:
        (panel,) = found
        assert isinstance(panel, PanelReviewer) and len({member.name for member in panel.members}) == 2


def reviewed(walk: Walk, model: object, stage: str, times: int) -> list[str]:
    """Reasons of a critic model's verdicts on one candidate, asked about so many times."""
    bench, reasons = Bench.of(walk), list[str]()
    (composer,) = composers_of(bench, [Quota(slice="storm", label="storm", accepted=1, max_briefs=1)])
    (case,) = plant(
        bench.known.records, bench.folds, {"storm"}, ["none"], company=bench.known.records, most=1, seed=1
    )["none"]  # fmt: skip
    candidate = replace(presented(case)[1], brief_id="b")

    async def scenario() -> None:
        speaking = Speaking(walk)
        try:
            critic: Metered = speaking.metered(model, CRITIC)  # type: ignore[arg-type]
            (reviewer,) = bench.reviewers(speaking, [critic], stage)
            for _ in range(times):
                reasons.append((await reviewer.review(composer.brief(0), candidate)).reason)
        finally:
            await speaking.close()

    wait_for(scenario())
    return reasons


def test_on_trial_an_equal_question_is_asked_anew_and_in_the_loop_the_store_answers(
    grounded: Walk, town: ModuleType
) -> None:
    with_critic(grounded, model={})
    counted = [0]

    def changing(request: Request) -> str:
        counted[0] += "three plus four" not in str(request.messages)
        return '{"accept": true}' if counted[0] % 2 else '{"accept": false, "reason": "unnatural"}'

    assert reviewed(grounded, town.SlowChat(0.0, changing, "changing"), TRIAL, 3) == ["", "unnatural", ""]
    counted[0] = 0
    assert reviewed(grounded, town.SlowChat(0.0, changing, "another"), "critic", 3) == ["", "", ""]


def test_a_small_critic_learns_what_the_model_said_and_a_run_without_candidates_teaches_nothing(
    grounded: Walk, town: ModuleType, tmp_path: Path
) -> None:
    found = distil(grounded, grounded.run, 0.05)
    assert not found.report.usable and found.report.reason
    assert Bench.of(grounded).distilled() is None
    teach = {"distil_from": str(tmp_path / "no such run")}
    grounded.kept.clear()
    with pytest.raises(RunError, match="no such run: no run to read here"):
        Bench.of(with_critic(grounded, **teach)).distilled()

"""The trial put together: what faults are planted with, who is tried on what, and who may not start."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from proofset import trials
from proofset.config import Study
from proofset.errors import ConfigError
from proofset.judging import Bench
from proofset.nouns.candidate import Brief, Candidate, Decision, Verdict
from proofset.nouns.event import JudgeMeasured
from proofset.nouns.result import Better, Measure
from proofset.runs.folder import Run
from proofset.synthesizing.calibration import CASCADE, CONTRADICTS
from proofset.walk import Walk, wait_for


def amended(walk: Walk, **settings: object) -> Walk:
    """The walk with other settings of its loop."""
    data = walk.study.model_dump()
    for name, value in settings.items():
        data["synthesize"][name] = data["synthesize"][name] | value if isinstance(value, dict) else value
    walk.study = Study.parse(data)
    return walk


def test_faults_are_planted_with_the_runs_own_texts(walked: Walk) -> None:
    (walked.base / "rules.toml").write_text(
        '[[rule]]\nnumber = 4\ntext = "No sums."\nforbid = "USD"\nexample = "forty USD"\nslices = ["storm"]\n', "utf-8"
    )
    supplies = trials.supplies_of(Bench.of(amended(walked, gates={"constitution": "rules.toml"})))
    assert set(supplies.confused) == {"market", "council", "storm"} == set(supplies.evidence)
    (breach,) = supplies.forbidden
    assert (breach.rule, breach.text, breach.labels) == (4, "forty USD", ("storm",))
    organic = {record.text for record in Bench.of(walked).known.records}
    assert supplies.contaminated and not organic & set(supplies.contaminated)


def test_every_judge_that_decides_at_once_is_tried_and_the_cascade_last(walked: Walk) -> None:
    found = trials.put_on_trial(Bench.of(walked), frozenset({"storm"}))
    names = list(dict.fromkeys(each.judge for each in found))
    assert names[-2:] == ["critic", CASCADE] and {"form", "duplicate", "contamination", "drift"} <= set(names)
    values = {(each.judge, each.fault): each.rejected.value for each in found}
    assert values["contamination", "none"] == 0.0 and values[CASCADE, "contaminated"] == 1.0
    assert values["critic", "wrong label"] > 0.8  # type: ignore[operator]
    again = trials.put_on_trial(Bench.of(walked), frozenset({"storm"}))
    assert again == found


def test_a_judge_of_the_studys_own_is_tried_on_everything(walked: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoBridges:
        name = "no bridges"

        def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
            wet = "bridge" in candidate.text
            return Verdict(
                judge=self.name, candidate_id=candidate.id, reason="wet" if wet else "",
                decision=Decision.REJECT if wet else Decision.ACCEPT,
            )  # fmt: skip

    monkeypatch.setattr(trials, "find", lambda seam, name: NoBridges)
    found = trials.put_on_trial(Bench.of(amended(walked, judges=["no bridges"])), frozenset({"storm"}))
    tried = {each.fault: each.rejected for each in found if each.judge == "no bridges"}
    assert {"none", "wrong label", "duplicate", "truncated"} <= set(tried)
    assert 0 < (tried["none"].value or 0) < 1


@pytest.mark.parametrize("critic", [{}, {"model": {}, "trial": 0}])
def test_without_a_critic_model_or_without_cases_nobody_is_asked(walked: Walk, critic: dict[str, object]) -> None:
    amended(walked, critic=critic)

    async def scenario() -> None:
        assert await trials.review_on_trial(Bench.of(walked), frozenset({"storm"})) == []

    wait_for(scenario())


def test_a_panel_is_tried_member_by_member_and_as_a_whole(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.amend(
        town.write_town(tmp_path), ("trial = 0", "trial = 6"),
        more=f"{town.CRITIC_MODEL}\n[[synthesize.critic.panel]]\nreasoning = \"low\"\n",
    )  # fmt: skip
    town.walk_town(study_file, tmp_path / "runs", verb="calibrate")
    events = Run.read(tmp_path / "runs" / "town").events
    tried = {e.judge for e in events if isinstance(e, JudgeMeasured) and e.fault == CONTRADICTS}
    assert tried == {"critic model 1", "critic model 2", "panel"}
    whole = {e.fault: e.rejected.n for e in events if isinstance(e, JudgeMeasured) and e.judge == "panel"}
    assert whole["off-topic"] == 6


# ── who may start ───────────────────────────────────────────────────────────────────────────────────────────────────


def tell(walk: Walk, judge: str, fault: str, value: float, low: float, high: float) -> None:
    """Put a judge's trial into the log."""
    measure = Measure(name="rejected", value=value, low=low, high=high, n=50, unit="share", better=Better.HIGHER)
    walk.tell(JudgeMeasured(judge=judge, fault=fault, rejected=measure))


def said(walk: Walk) -> list[str]:
    with walk.stage("calibrate", "k", resumes=False):
        tell(walk, "critic model", "none", 0.02, 0.0, 0.1)
        tell(walk, "critic model", "wrong label", 0.9, 0.8, 0.95)
        tell(walk, "critic model", CONTRADICTS, 0.3, 0.2, 0.4)
        tell(walk, "critic", "wrong label", 0.8, 0.7, 0.9)
    return trials.require_sound(walk)


def test_a_judge_above_its_floor_may_start_and_what_else_is_wrong_is_said(walked: Walk) -> None:
    floors = {"critic model": {"wrong label": 0.79}, "critic": {"wrong label": 0.7}}
    (sentence,) = said(amended(walked, floors=floors))
    assert sentence.startswith("the critic model contradicts itself on at least 20%")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (
            {"floors": {"critic model": {"wrong label": 0.85}}},
            "critic model refuses at least 80% of planted wrong labels, 85%",
        ),
        (
            {"critic": {"min_fault_recall": 0.75}},
            "critic refuses at least 70% of planted wrong labels, 75%",
        ),
        ({"floors": {"critic": {"off-topic": 0.1}}}, "the critic was not tried on"),
    ],
)
def test_a_judge_below_its_floor_may_not_and_the_error_says_by_how_much(
    walked: Walk, settings: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        said(amended(walked, **settings))
    assert named in str(caught.value) and "contradicts itself" not in str(caught.value)
    assert "lower the floor" in caught.value.hint


def test_a_critic_that_is_the_generator_is_named_by_its_place(walked: Walk) -> None:
    assert trials.same_voice(walked) == []
    amended(walked, critic={"model": {"reasoning": "low"}, "panel": [{}]})
    (sentence,) = trials.same_voice(walked)
    assert sentence.startswith("synthesize.critic.panel.0 is the generator itself")


@pytest.mark.parametrize(
    ("floors", "told"),
    [
        ({"critics": {"wrong label": 0.5}}, "no judge 'critics' was on trial"),
        ({"critic": {"wrong lable": 0.5}}, "no fault 'wrong lable'"),
        ({"critic": {"none": 0.5}}, "no fault 'none'"),
    ],
)
def test_a_floor_under_nobody_or_nothing_names_what_there_is(
    town: ModuleType, tmp_path: Path, floors: dict[str, dict[str, float]], told: str
) -> None:
    study = town.write_town(tmp_path)
    town.walk_town(study, tmp_path / "runs", verb="calibrate")
    settings = Study.read(study)
    synthesize = settings.synthesize.model_copy(update={"floors": floors})
    walk = Walk(Run.read(tmp_path / "runs" / "town"), settings.model_copy(update={"synthesize": synthesize}), tmp_path)
    with pytest.raises(ConfigError, match=told) as caught:
        trials.require_sound(walk)
    assert "wrong label" in str(caught.value.hint) or "cascade" in str(caught.value.hint)

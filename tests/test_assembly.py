"""What the verbs are given: checked on a toy run that was walked as far as handoff."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from proofset import assembly, pipeline, speaking
from proofset.config import Study
from proofset.errors import ConfigError, ModelRefused
from proofset.models.scripted import ScriptedChat
from proofset.nouns.candidate import Quota
from proofset.nouns.event import BriefClosed, JudgeMeasured, SliceClosed, Spent
from proofset.nouns.evidence import Fact
from proofset.nouns.record import Origin
from proofset.plugins import Request
from proofset.runs import tables
from proofset.runs.folder import Run
from proofset.training import mixture
from proofset.walk import Walk

STORM = Quota(slice="storm", label="storm", accepted=12, max_briefs=40)


@pytest.fixture
def walked(town: ModuleType, tmp_path: Path) -> Iterator[Walk]:
    study_file = town.write_town(tmp_path)
    town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    study = Study.read(study_file)
    with Run.open(tmp_path / "runs" / "town", study.model_dump(mode="json"), "") as run:
        yield Walk(run, study, tmp_path)


def test_organic_columns_belong_together(walked: Walk) -> None:
    known = assembly.organic(walked)
    assert len(known.records) == len(known.labels) == len(known.vectors) == len(known.folds)
    assert known.labels == tuple(record.label for record in known.records)
    assert set(known.folds.tolist()) == {0, 1, 2}
    again = assembly.organic(walked)
    assert (again.folds == known.folds).all() and np.array_equal(again.vectors, known.vectors)


def test_candidates_come_in_brief_order_and_accepted_ones_are_the_winners(walked: Walk) -> None:
    everything, accepted = assembly.candidates(walked)
    closed = [event for event in walked.run.events if isinstance(event, BriefClosed)]
    winners = [each.winner for each in sorted(closed, key=lambda each: (each.slice, each.number)) if each.winner]
    assert [each.id for each in accepted] == winners
    assert {each.brief_id for each in everything} == {each.brief_id for each in closed}
    corpus = assembly.corpus_of(walked)
    assert [record.text for record in corpus.records] == [each.text for each in accepted]
    assert {record.origin for record in corpus.records} == {Origin.SYNTHETIC}


def test_unjudged_leaves_out_nothing_but_copies_of_held_out_text(walked: Walk) -> None:
    everything, accepted = assembly.candidates(walked)
    joining = assembly.additions(walked)
    assert joining[""] == [] and joining[mixture.DEFINITIONS] == []
    assert len(joining[mixture.JUDGED]) == len(accepted)
    sealed = assembly.sealed_index(walked)
    expected = [each.text for each in everything if each.text and sealed.match(each.text) is None]
    assert [text for text, _, _ in joining[mixture.UNJUDGED]] == expected
    heldout = tables.read_heldout(walked.run.path(assembly.HELDOUT))
    assert all(sealed.match(item.text) is not None for item in heldout)


def test_additions_remember_the_fold_that_was_not_shown(walked: Walk) -> None:
    everything, _ = assembly.candidates(walked)
    known = assembly.organic(walked)
    of = {record.text: fold for record, fold in zip(known.records, known.folds, strict=True)}
    added = assembly.added_records(walked, known, assembly.additions(walked)[mixture.UNJUDGED])
    assert len(added.labels) == len(added.vectors) == len(added.folds)
    for composer in assembly.composers_of(walked, known, (STORM,)):
        for number in range(6):
            brief = composer.brief(number)
            assert all(of[anchor.text] != brief.unseen_fold for anchor in brief.anchors)
    assert {each.unseen_fold for each in everything} <= {0, 1, 2}


def test_the_graph_doubles_what_confusion_says(walked: Walk) -> None:
    facts = [Fact("storm", "ChildOf", "weather"), Fact("council", "ChildOf", "weather")]
    walked.run.write_once(assembly.FACTS, lambda path: tables.write_rows(path, facts, Fact))
    near = assembly.nearness(walked, {"storm": {"council": 0.1, "market": 0.15}, "council": {}, "market": {}})
    assert near["storm"] == {"council": pytest.approx(0.2), "market": 0.15}


@pytest.mark.parametrize(("floor", "starts"), [(0.0, True), (0.5, True), (0.999, False)])
def test_a_floor_for_the_critic(walked: Walk, floor: float, starts: bool) -> None:
    (measured,) = [
        event.rejected
        for event in walked.run.events
        if isinstance(event, JudgeMeasured) and (event.judge, event.fault) == ("critic", "wrong label")
    ]
    assert measured.low is not None and 0.5 < measured.low < 0.999
    critic = walked.study.synthesize.critic.model_copy(update={"min_fault_recall": floor})
    walked.study = walked.study.model_copy(
        update={"synthesize": walked.study.synthesize.model_copy(update={"critic": critic})}
    )
    if starts:
        assembly.require_critic(walked)
    else:
        with pytest.raises(ConfigError, match=f"at least {measured.low:.0%}"):
            assembly.require_critic(walked)


class Closing(ScriptedChat):
    """A model that may not be asked, and remembers whether it was let go of."""

    closed = 0

    def __init__(self, error: Exception) -> None:
        super().__init__(self._fail)
        self._error = error

    def _fail(self, request: Request) -> str:
        raise self._error

    async def close(self) -> None:
        self.closed += 1


def test_whatever_ends_the_loop_models_and_store_are_let_go_of(
    town: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_file = town.write_town(tmp_path)
    with study_file.open("a", encoding="utf-8") as file:
        file.write(town.CRITIC_MODEL)
    refused = ModelRefused("HTTP 401")
    refused.status = 401
    study, generator, reader = Study.read(study_file), Closing(refused), Closing(refused)
    monkeypatch.setattr(assembly, "speaker", lambda walk: generator)
    monkeypatch.setattr(speaking, "make", lambda *_: reader)
    with Run.open(tmp_path / "runs" / "town", study.model_dump(mode="json"), "") as run:
        with pytest.raises(ModelRefused, match="401"):
            pipeline.perform(Walk(run, study, tmp_path), "synthesize")
        assert not any(isinstance(event, SliceClosed | BriefClosed) for event in run.events)
        failed = [event.usage for event in run.events if isinstance(event, Spent) and event.usage.stage == "generate"]
        assert "http 401" in {usage.outcome for usage in failed}
    assert (generator.closed, reader.closed) == (1, 1)
    assert "responses" not in {thread.name for thread in threading.enumerate()}


def test_without_views_the_critic_model_is_alone(town: ModuleType, tmp_path: Path) -> None:
    study_file, reader = town.write_town(tmp_path), town.critic()
    text = study_file.read_text(encoding="utf-8").replace("threshold = 0.5", "views = []")
    study_file.write_text(text + town.CRITIC_MODEL, encoding="utf-8")
    town.walk_town(study_file, tmp_path / "runs", verb="handoff", reader=reader)
    events = Run.read(tmp_path / "runs" / "town").events
    assert reader.requests
    assert "critic" not in {event.judge for event in events if isinstance(event, JudgeMeasured)}
    reasons = {event.reason for event in events if isinstance(event, BriefClosed)}
    assert "unnatural" in reasons and "off label" not in reasons

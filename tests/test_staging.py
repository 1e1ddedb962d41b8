"""The loop put together: judges, briefs and guards, checked on a toy run."""

from __future__ import annotations

import csv
import random
import threading
from pathlib import Path
from types import ModuleType

import pytest

from proofset import assembly, pipeline, speaking, staging
from proofset.config import Study
from proofset.errors import ModelRefused
from proofset.judging import Bench
from proofset.models.scripted import ScriptedChat
from proofset.nouns.candidate import Quota, Stop
from proofset.nouns.event import BriefClosed, Ingested, JudgeMeasured, Proposed, SliceClosed, Spent
from proofset.nouns.record import Origin
from proofset.plugins import Request
from proofset.runs import tables
from proofset.runs.folder import Run
from proofset.training import mixture
from proofset.walk import Walk

STORM = Quota(slice="storm", label="storm", accepted=12, max_briefs=40)


def test_additions_remember_the_fold_that_was_not_shown(walked: Walk) -> None:
    everything, _ = assembly.candidates(walked)
    known = assembly.organic(walked)
    of = {record.text: fold for record, fold in zip(known.records, known.folds, strict=True)}
    added = assembly.added_records(walked, known, assembly.additions(walked)[mixture.UNJUDGED])
    assert len(added.labels) == len(added.vectors) == len(added.folds)
    for composer in staging.composers_of(Bench.of(walked), (STORM,)):
        for number in range(6):
            brief = composer.brief(number)
            assert all(of[anchor.text] != brief.unseen_fold for anchor in brief.anchors)
    assert {each.unseen_fold for each in everything} <= {0, 1, 2}


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
    monkeypatch.setattr(staging, "speaker", lambda walk: generator)
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


# ── records of earlier generations ──────────────────────────────────────────────────────────────────────────────────


def with_earlier(town: ModuleType, study_file: Path, n: int = 6, generation: int = 2) -> list[str]:
    """Add synthetic notices of storms to the town's data; their texts."""
    path, rng = study_file.parent / "notices.csv", random.Random(99)
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    texts = ["earlier " + town.notice("storm", rng) for _ in range(n)]
    marked = [[*rows[0], "synthetic", "generation"], *([*row, "false", "0"] for row in rows[1:])]
    marked += [[text, "storm", "true", str(generation)] for text in texts]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(marked)
    return texts


def test_earlier_generations_are_kept_apart_and_shown_to_nobody(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    texts = with_earlier(town, study_file)
    model = town.walk_town(study_file, tmp_path / "runs", verb="prove")
    run = Run.read(tmp_path / "runs" / "town")
    (ingested,) = [event for event in run.events if isinstance(event, Ingested)]
    assert (ingested.earlier, ingested.generation) == (6, 2)
    walk = Walk(run, Study.read(study_file), tmp_path)
    assert sorted(record.text for record in assembly.earlier(walk)) == sorted(texts)
    heldout = tables.read_heldout(run.path(assembly.HELDOUT))
    assert not {item.text for item in heldout} & set(texts)
    assert not any("earlier" in request.prompt for request in model.requests)
    assert {record.generation for record in assembly.corpus_of(walk).records} == {1}
    known = assembly.organic(walk)
    assert {record.origin for record in known.records} == {Origin.ORGANIC}
    joined = assembly.additions(walk)
    assert set(texts) <= {text for text, _, _ in joined[mixture.JUDGED]}, "accumulate: nothing earlier is thrown away"
    assert not set(texts) & {text for text, _, _ in joined[mixture.UNJUDGED]}


def test_told_to_the_loop_shows_them_and_its_records_are_one_generation_later(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    with_earlier(town, study_file)
    text = study_file.read_text(encoding="utf-8").replace("window = 3", "window = 3\nsynthetic_anchors = true")
    study_file.write_text(text, encoding="utf-8")
    model = town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    assert any("earlier" in request.prompt for request in model.requests)
    run = Run.read(tmp_path / "runs" / "town")
    records = assembly.corpus_of(Walk(run, Study.read(study_file), tmp_path)).records
    assert {record.generation for record in records} == {3}
    seen = {event.candidate.unseen_fold for event in run.events if isinstance(event, Proposed)}
    assert seen == {-2}, "what an earlier record was made from is not known, so no fold is unseen"
    card = run.path("handoff/card.md").read_text(encoding="utf-8")
    assert "| Generations from organic text | 3 |" in card


def test_a_tuned_generator_adds_its_own_generation(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    with study_file.open("a", encoding="utf-8") as file:
        file.write("\n[synthesize.model]\ngeneration = 4\n")
    town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    records = assembly.corpus_of(Walk(Run.read(tmp_path / "runs" / "town"), Study.read(study_file), tmp_path)).records
    assert {record.generation for record in records} == {5}


# ── the guard ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_slice_whose_text_collapses_is_stopped_and_says_so(
    town: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_file = rich_town(town, tmp_path)
    with study_file.open("a", encoding="utf-8") as file:  # or the gate on paraphrases refuses them one by one
        file.write("\n[synthesize.gates]\nparaphrase_similarity = 1.0\n")
    monkeypatch.setattr(town, "speech", narrow)
    monkeypatch.setattr(town.SlowChat.__init__, "__defaults__", (narrow, "scripted"))
    town.walk_town(study_file, tmp_path / "runs", verb="synthesize")
    (closed,) = [e for e in Run.read(tmp_path / "runs" / "town").events if isinstance(e, SliceClosed)]
    assert closed.stop is Stop.COLLAPSE
    assert 40 <= closed.accepted <= 43, "one window, and what was in flight"


def test_organic_looking_text_is_not_stopped(town: ModuleType, tmp_path: Path) -> None:
    study_file = rich_town(town, tmp_path)
    town.walk_town(study_file, tmp_path / "runs", verb="synthesize")
    (closed,) = [e for e in Run.read(tmp_path / "runs" / "town").events if isinstance(e, SliceClosed)]
    assert (closed.stop, closed.accepted) == (Stop.QUOTA_MET, 90)


def rich_town(town: ModuleType, folder: Path) -> Path:
    """A town with enough storms to watch by: 100 of them are training records, which still counts as rare."""
    vars(town)["COUNTS"] = {"market": 500, "council": 500, "storm": 200}
    study_file: Path = town.write_town(folder)
    text = study_file.read_text(encoding="utf-8")
    changes = {"quota = 12": "quota = 90\ncompanions = 0.0\npatience = 400", "max_briefs = 40": "max_briefs = 900"}
    for before, after in changes.items():
        text = text.replace(before, after)
    study_file.write_text(text.replace("[audit]", "[audit]\nedge_max_records = 110"), encoding="utf-8")
    return study_file


def narrow(request: Request) -> str:
    """The same few words of a storm in any order: no copy of anything, and always the same thing to say."""
    rng = random.Random(request.seed)
    words = ["wind", "rain", "flood", "roof", "gale", "river", "warning", "thunder", "hail", "surge"]
    rng.shuffle(words)
    return " ".join(words)

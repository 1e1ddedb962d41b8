"""Corpora out of files and runs held against organic ones: what is compared with what, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset import surveys
from proofset.config import Study
from proofset.errors import ConfigError, LeakageError, UnpricedModel
from proofset.exhibits import Exhibit
from proofset.measuring.viability import FEWEST
from proofset.nouns.event import Decided, Spent
from proofset.nouns.result import UsageBasis
from proofset.nouns.viability import Crossing
from proofset.runs.folder import Run
from proofset.walk import Walk

WORDS = [f"w{n}" for n in range(400)]


class Topics:
    """Words hashed to places; unit vectors."""

    name = "topics"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        table = np.random.default_rng(3).normal(size=(len(WORDS), 24)).astype(np.float32)
        rows = np.array([table[[int(word[1:]) for word in text.split()]].sum(axis=0) for text in texts])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROOFSET_CACHE", str(tmp_path / "cache"))


def spoken(n: int, seed: int, name: str = "part") -> Exhibit:
    """Texts of three subjects, each with words of its own; the subject is the slice."""
    rng = np.random.default_rng([5, seed])
    subjects = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    texts = [" ".join(WORDS[130 * at + int(word)] for word in rng.zipf(1.4, 14) % 130) for at in subjects]
    return Exhibit(name=name, vectors=None, texts=tuple(texts), slices=tuple("abc"[at] for at in subjects))


def clouds(n: int, *seeds: int) -> list[Exhibit]:
    return [
        Exhibit(name=f"cloud {seed}", vectors=np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float32))
        for seed in seeds
    ]


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_vectors_are_measured_without_an_encoder_and_copies_are_found() -> None:
    train, reference, control, fresh = clouds(1600, 1, 2, 3, 4)
    good = surveys.survey(train, reference, control, fresh).viability[0]
    bad = surveys.survey(train, reference, control, replace(train, name="copy")).viability[0]
    assert (good.encoder, good.companion) == ("given vectors", None)
    assert good.verdict is not Crossing.NOT_CROSSED
    assert (bad.verdict, bad.weakest) == (Crossing.NOT_CROSSED, "A1")


def test_without_a_control_the_reference_is_halved_and_said_so() -> None:
    train, reference, fresh = clouds(800, 1, 2, 4)
    (found,) = surveys.survey(train, reference, None, fresh).viability
    assert found.sizes == (400, 400, 400, 800)
    assert "the reference was halved to have a control" in found.notes


def test_texts_have_slices_a_companion_and_a_description() -> None:
    parts = [spoken(900, seed) for seed in range(4)]
    found = surveys.survey(*parts, encoder=Topics())
    assert [each.slice for each in found.viability] == ["", "a", "b", "c"]
    whole, a, _, c = found.viability
    assert whole.encoder == "topics"
    assert whole.companion is not None and whole.companion.key == "Y"
    assert a.quotient.value is not None
    assert c.quotient.value is None and c.verdict is Crossing.UNDECIDED, "some 90 records"
    assert {made.name for made, _ in found.described} >= {"distinct-1"}
    assert found.map is not None


def test_an_organic_text_in_two_parts_is_a_leak() -> None:
    train, reference, control, synthetic = (spoken(300, seed, name) for seed, name in enumerate("thcs"))
    mixed = replace(reference, texts=(train.texts[7].upper(), *reference.texts[1:]))
    with pytest.raises(LeakageError, match="h: 1 of 300 texts stand in t too, the first is record 1"):
        surveys.survey(train, mixed, control, synthetic, encoder=Topics())


def test_generations_of_texts_are_held_against_a_reference() -> None:
    narrow = spoken(400, 2)
    series = [spoken(400, 1), replace(narrow, texts=narrow.texts[:20] * 20)]
    found = surveys.collapse_of(spoken(900, 0), series, encoder=Topics(), tolerance=0.2)
    first, second = found.generations
    assert first.loss.value is not None and second.loss.value is not None
    assert first.loss.value < 0.1 < 0.3 < second.loss.value
    assert found.encoder == "topics"


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_of_few_records_has_no_quotient_and_needs_no_encoder(
    walked: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveys, "encoder_of", lambda name: pytest.fail("nothing is to be encoded"))
    (found,) = surveys.survey_of_run(walked)
    assert found.quotient.value is None
    assert found.verdict is Crossing.UNDECIDED
    assert "200" in found.quotient.note


@pytest.fixture
def rich(town: ModuleType, tmp_path: Path) -> Walk:
    """A town with enough storms to measure, walked as far as handoff."""
    vars(town)["COUNTS"] = {"market": 1500, "council": 1500, "storm": 1000}
    study_file = town.write_town(tmp_path)
    text = study_file.read_text(encoding="utf-8")
    for before, after in {
        "quota = 12": "quota = 220\ncompanions = 0.0\npatience = 900", "= 40\n": "= 2000\n",
        "[audit]": "heldout_share = 0.6\n[audit]\nedge_max_records = 450",
    }.items():  # fmt: skip
        text = text.replace(before, after, 1)
    study_file.write_text(text, encoding="utf-8")
    town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    run = Run.read(tmp_path / "runs" / "town")
    return Walk(run, Study.read(study_file), tmp_path)


def test_a_run_is_measured_by_another_encoder_on_halves_of_what_was_sealed(
    rich: Walk, town: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def encoder(name: str) -> object:
        asked.append(name)
        return town.HashEncoder()

    monkeypatch.setattr(surveys, "encoder_of", encoder)
    (found,) = surveys.survey_of_run(rich)
    assert asked == ["minilm"]
    train, reference, control, synthetic = found.sizes
    assert train == reference == control >= 200
    assert synthetic >= 200
    assert found.quotient.value is not None
    assert found.verdict is not Crossing.CROSSED, "fewer than 1,500 of each"
    again = surveys.survey_of_run(rich)[0]
    assert again == found


def test_too_few_records_have_not_crossed_and_no_encoder_is_asked(
    town: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_file = town.write_town(tmp_path)
    town.walk_town(study_file, tmp_path / "runs", verb="ground")
    walk = Walk(Run.read(tmp_path / "runs" / "town"), Study.read(study_file), tmp_path)
    monkeypatch.setattr(surveys, "encoder_of", lambda name: pytest.fail("nothing is to be encoded"))
    texts = [f"wind rain flood roof gale number {n}" for n in range(FEWEST + 1)]
    assert surveys.crossed(walk, "storm", texts) is False


def test_over_all_slices_organic_records_come_in_the_proportions_of_the_synthetic_ones() -> None:
    organic, made = spoken(3000, 1), spoken(400, 2)
    turned = replace(made, slices=tuple({"a": "c", "b": "b", "c": "a"}[each] for each in made.slices))
    parts = surveys._in_proportion((organic, organic, organic, turned), seed=0)
    for part in parts[:3]:
        for name in "abc":
            wanted = turned.slices.count(name) / 400
            assert part.slices.count(name) / len(part) == pytest.approx(wanted, abs=0.01)
    assert len(parts[0]) > 300, "as many as the scarcest slice allows"


def test_a_servers_vectors_are_paid_for_in_the_log(
    rich: Walk, town: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Served(town.HashEncoder):  # type: ignore[name-defined, misc]
        name = "served"
        input_tokens = 0

        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            self.input_tokens += 10 * len(texts)
            return super().encode(texts)  # type: ignore[no-any-return]

    monkeypatch.setattr(surveys, "EndpointEncoder", lambda settings, place: Served())
    study = rich.study.model_dump()
    study["encoders"] = {"mine": {"engine": "chat", "base_url": "http://127.0.0.1:9/v1", "model": "m"}}
    study["measure"]["encoder"] = "mine"
    rich.study = Study.parse(study)
    with pytest.raises(UnpricedModel):
        surveys.survey_of_run(rich)
    study["encoders"]["mine"] |= {"usd_per_million_input": "0.10", "usd_per_million_output": "0"}
    rich.study = Study.parse(study)
    told: list[Spent] = []
    monkeypatch.setattr(Walk, "tell", lambda walk, event: told.append(event))
    (found,) = surveys.survey_of_run(rich)
    assert sum(event.usage.input_tokens for event in told) == 10 * sum(
        len(part) for part in surveys._in_proportion(surveys._run_parts(rich), rich.study.seed)
    )
    assert {(event.usage.stage, event.usage.basis) for event in told} == {("measure", UsageBasis.OVERRIDE)}
    assert found.encoder == "served"
    told.clear()
    surveys.survey_of_run(rich)
    assert told == [], "vectors are kept"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"measure": {"encoder": "static"}}, "steers the loop, so it cannot judge as well"),
        ({"encoder": "mine", "encoders": {"mine": {}}}, "behind a server: it may judge"),
    ],
)
def test_what_steers_must_not_judge(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Study.parse({"name": "s", "ingest": {"path": "a.csv"}, **changes})


def test_the_verdict_stands_in_the_log_and_comes_back_whole(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    town.walk_town(study_file, tmp_path / "runs", verb="measure")
    again = Run.read(tmp_path / "runs" / "town")
    (decided,) = [event for event in again.events if isinstance(event, Decided)]
    assert decided.viability == surveys.survey_of_run(Walk(again, Study.read(study_file), tmp_path))[0]
    lines = (again.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert "Decided" in {json.loads(line)["kind"] for line in lines}

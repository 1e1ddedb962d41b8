"""What a run hands over: files that are there when there is something to put in, and a licence on every line."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from proofset.assembly import corpus_of
from proofset.config import Study
from proofset.nouns.record import Corpus, Origin, Record
from proofset.parcels import parcels_of, with_licence
from proofset.runs.folder import Run
from proofset.walk import Walk


def written(walk: Walk, folder: Path) -> dict[str, str]:
    """The parcels of a walk, written elsewhere: place to text."""
    folder.mkdir()
    found = {}
    for number, (place, write) in enumerate(parcels_of(walk)):
        write(path := folder / str(number))
        found[place] = path.read_text(encoding="utf-8")
    return found


def test_a_plain_run_hands_over_its_records_its_pairs_and_a_card(walked: Walk, tmp_path: Path) -> None:
    found = written(walked, tmp_path / "again")
    assert list(found) == ["handoff/dataset.jsonl", "handoff/preferences.jsonl", "handoff/card.md"]
    corpus = corpus_of(walked)
    ids = [json.loads(line)["id"] for line in found["handoff/dataset.jsonl"].splitlines()]
    assert ids == [record.id for record in corpus.records]
    assert corpus.id in found["handoff/card.md"] and "| Organic licence | not stated |" in found["handoff/card.md"]
    assert written(walked, tmp_path / "once more") == found


def test_what_nobody_refused_makes_no_pairs_and_no_file(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.amend(town.write_town(tmp_path), ("folds = 3", "folds = 3\nedge_max_records = 1"))
    town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    walk = Walk(Run.read(tmp_path / "runs" / "town"), Study.read(study_file), tmp_path)
    assert [place for place, _ in parcels_of(walk)] == ["handoff/dataset.jsonl", "handoff/card.md"]


def test_every_line_has_the_licence_of_the_data_it_was_made_from(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.amend(
        town.write_town(tmp_path),
        ('label = "subject"', 'label = "subject"\nlicence = "CC-BY-4.0"\nsource = "the town hall"'),
        ("quota = 12", "quota = 12\nevaluation = 3"),
    )
    town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    folder = tmp_path / "runs" / "town" / "handoff"
    for name in ("dataset.jsonl", "evaluation.jsonl"):
        lines = [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
        assert lines and {line["licence"] for line in lines} == {"CC-BY-4.0"}
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert "| Organic source | the town hall |" in card and "| Apart, evaluation | 3 records" in card


def test_a_licence_changes_no_id() -> None:
    corpus = Corpus(records=(Record(id="a", text="b", origin=Origin.SYNTHETIC),), recipe="r")
    licensed = with_licence(corpus, "CC0")
    assert [record.licence for record in licensed.records] == ["CC0"]
    assert (licensed.id, licensed.recipe) == (corpus.id, "r")

"""A person goes through what the judges accepted, and the next run goes by it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from click.testing import CliRunner

from proofset.cli import cli
from proofset.errors import InputError
from proofset.nouns.event import BriefClosed, Judged
from proofset.runs.folder import Run


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_refused_candidate_is_not_in_the_next_dataset(town: ModuleType, tmp_path: Path) -> None:
    study = town.write_town(tmp_path)
    town.walk_town(study, tmp_path / "runs", verb="handoff")
    run, into = tmp_path / "runs" / "town", tmp_path / "review.jsonl"
    before = rows(run / "handoff" / "dataset.jsonl")
    done = CliRunner().invoke(cli, ["review", str(run), "--into", str(into), "--most", "3"], input="n\nvague\ny\ns\n")
    assert done.exit_code == 0, done.output
    first, second = rows(into)
    assert (first["accept"], first["why"], second["accept"]) == (False, "vague", True)
    assert "2 decisions" in done.output
    assert first["text"] in {row["text"] for row in before}

    text = study.read_text(encoding="utf-8").replace("[synthesize]\n", f'[synthesize]\nreview = "{into.name}"\n')
    study.write_text(text, encoding="utf-8")
    town.walk_town(study, tmp_path / "runs", verb="handoff")
    after = rows(run / "handoff" / "dataset.jsonl")
    assert first["text"] not in {row["text"] for row in after}
    assert second["text"] in {row["text"] for row in after}
    refusals = [
        event.verdict
        for event in Run.read(run).since("synthesize")
        if isinstance(event, Judged) and event.verdict.judge == "person"
    ]
    assert [verdict.reason for verdict in refusals] == ["refused by a person"]
    assert any(
        isinstance(event, BriefClosed) and event.reason == "refused by a person"
        for event in Run.read(run).since("synthesize")
    )


def test_what_was_decided_is_not_shown_again_and_q_ends(town: ModuleType, tmp_path: Path) -> None:
    study = town.write_town(tmp_path)
    town.walk_town(study, tmp_path / "runs", verb="synthesize")
    run, into = tmp_path / "runs" / "town", tmp_path / "review.jsonl"
    CliRunner().invoke(cli, ["review", str(run), "--into", str(into)], input="y\nq\n")
    (decided,) = rows(into)
    done = CliRunner().invoke(cli, ["review", str(run), "--into", str(into)], input="q\n")
    assert str(decided["text"]) not in done.output
    assert len(rows(into)) == 1


def test_a_run_without_accepted_candidates_says_what_comes_first(town: ModuleType, tmp_path: Path) -> None:
    study = town.write_town(tmp_path)
    town.walk_town(study, tmp_path / "runs", verb="audit")
    done = CliRunner().invoke(cli, ["review", str(tmp_path / "runs" / "town")])
    assert isinstance(done.exception, InputError)
    assert "nothing was accepted yet" in str(done.exception)

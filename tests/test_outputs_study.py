"""What a whole study hands over: outputs kept apart, pairs, other kinds of task, other strategies, a small critic."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from proofset import assembly, pipeline
from proofset.config import Study
from proofset.errors import LeakageError
from proofset.nouns.candidate import Output
from proofset.nouns.event import BriefClosed, Judged, Proposed, SliceClosed
from proofset.nouns.record import Corpus
from proofset.plugins import Request
from proofset.runs import tables
from proofset.runs.folder import Run
from proofset.training import mixture
from proofset.walk import Walk

TOWN_FILE = Path(__file__).parent / "toy" / "town.py"
APART = ("quota = 12", "quota = 12\nevaluation = 5\nadversarial = 3")
HARDER = ("threshold = 0.5\n", 'threshold = 0.02\nviews = ["characters"]\n')
"""A critic that lets pass what the student gets wrong."""


def handed(folder: Path, name: str) -> list[dict[str, object]]:
    """The lines of a file of the handoff; none where it is not there."""
    path = folder / "runs" / "town" / "handoff" / name
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def run_in(folder: Path) -> Run:
    """The run of the town in ``folder``."""
    return Run.read(folder / "runs" / "town")


# ── three outputs ───────────────────────────────────────────────────────────────────────────────────────────────────


def near_the_border(town: ModuleType, request: Request) -> str:
    """A notice with words of two subjects: of some, the student is wrong."""
    rng = random.Random(request.seed)
    words = rng.sample(town.WORDS["storm"], 3) + rng.sample(town.WORDS["council"], 3) + rng.sample(town.COMMON, 4)
    rng.shuffle(words)
    return " ".join(words)


def test_evaluation_and_adversarial_records_are_handed_over_apart_and_never_trained_on(
    town: ModuleType, tmp_path: Path
) -> None:
    study_file = town.amend(town.write_town(tmp_path), APART, HARDER)

    def answer(request: Request) -> str:
        if not request.purpose.slice.endswith(str(Output.ADVERSARIAL)):
            return str(town.speech(request))
        return near_the_border(town, request)

    town.walk_town(study_file, tmp_path / "runs", writer=town.SlowChat(0.0, answer))
    names = ("dataset.jsonl", "evaluation.jsonl", "adversarial.jsonl")
    texts = [{line["text"] for line in handed(tmp_path, name)} for name in names]
    assert len(texts[0]) > 12 and (len(texts[1]), len(texts[2])) == (5, 3)
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]
    assert all(line["label"] == "storm" and line["synthetic"] is True for line in handed(tmp_path, names[1]))
    run = run_in(tmp_path)
    closed = [event.slice for event in run.events if isinstance(event, SliceClosed)]
    assert set(closed) >= {"storm", "storm/evaluation", "storm/adversarial"}
    walk = Walk(run, Study.read(study_file), tmp_path)
    for arm, rows in assembly.additions(walk).items():
        assert not {text for text, _, _ in rows} & (texts[1] | texts[2]), arm
    unjudged = {text for text, _, _ in assembly.additions(walk)[mixture.UNJUDGED]}
    apart = {e.candidate.text for e in run.events if isinstance(e, Proposed) and e.candidate.output != Output.TRAIN}
    assert len(apart) > 8 and not unjudged & apart, "nor what was refused on the way"
    card = run.path("handoff/card.md").read_text(encoding="utf-8")
    assert "| Apart, evaluation | 5 records in evaluation.jsonl" in card and "| Apart, adversarial | 3 records" in card


def test_a_leak_between_outputs_stops_the_run_before_anything_is_handed_over(
    town: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_file = town.amend(town.write_town(tmp_path), ("quota = 12", "quota = 12\nevaluation = 5"))

    def leaking(walk: Walk, output: Output = Output.TRAIN) -> Corpus:
        found = assembly.corpus_of(walk, output)
        if output is not Output.EVALUATION:
            return found
        planted = assembly.corpus_of(walk, Output.TRAIN).records[2]
        return Corpus(records=(*found.records, planted), recipe=found.recipe)

    with monkeypatch.context() as patched, pytest.raises(LeakageError) as caught:
        patched.setattr(pipeline, "corpus_of", leaking)
        town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    assert "evaluation" in str(caught.value) and "train" in str(caught.value)
    assert not (tmp_path / "runs" / "town" / "handoff").exists()
    town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    assert len(handed(tmp_path, "evaluation.jsonl")) == 5


def test_preferences_have_an_accepted_and_a_refused_text_with_the_fault_that_parted_them(
    town: ModuleType, tmp_path: Path
) -> None:
    study_file = town.amend(town.write_town(tmp_path), more=town.CRITIC_MODEL)
    town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    pairs, run = handed(tmp_path, "preferences.jsonl"), run_in(tmp_path)
    assert pairs
    accepted = {line["text"] for line in handed(tmp_path, "dataset.jsonl")}
    reasons = {event.verdict.reason for event in run.events if isinstance(event, Judged)} - {""}
    for pair in pairs:
        assert pair["chosen"] in accepted and pair["rejected"] not in accepted
        assert pair["fault"] in reasons and pair["judge"] and pair["prompt"] and pair["synthetic"] is True
    assert f"| Preference pairs | {len(pairs)} in preferences.jsonl |" in run.path("handoff/card.md").read_text("utf-8")


# ── another kind of task ────────────────────────────────────────────────────────────────────────────────────────────


def asked_for(town: ModuleType, folder: Path) -> Path:
    """The town asked for questions, with passages to cite."""
    study_file: Path = town.amend(
        town.write_town(folder),
        ("quota = 12", 'quota = 6\nkind = "question"'),
        ("threshold = 0.5\n", "threshold = 0.1\n"),
        more='\n[ground]\npassages = "pages.csv"\n',
    )
    pages = {name: " ".join(words) for name, words in town.WORDS.items()}
    lines = [f"{name},{text}" for name, text in pages.items()]
    (folder / "pages.csv").write_text("\n".join(["slice,text", *lines]) + "\n", encoding="utf-8")
    return study_file


def examiner(town: ModuleType, request: Request) -> str:
    """A question and its answer out of the passage that the request shows, now and then with a made-up quote."""
    if "three plus four" in request.messages[-1].content:
        return '{"sum": 7}'
    rng = random.Random(request.seed)
    shown = request.messages[-1].content
    found = re.search(r"\[begin passage (\S+)[^\]]*\]\n(.*?)\n\[end", shown, re.DOTALL)
    assert found is not None, shown
    subject = max(town.WORDS, key=lambda name: sum(found[2].count(word) for word in town.WORDS[name]))
    quote = "words that nobody wrote" if rng.random() < 0.25 else " ".join(found[2].split()[2:5])
    words = rng.sample(town.WORDS[subject], 8)
    question = f"{' '.join(words[:4])} {' '.join(rng.sample(town.COMMON, 3))}"
    answer = f"{' '.join(words[4:])} {' '.join(rng.sample(town.COMMON, 2))}"
    return json.dumps(
        {"citations": [{"passage": found[1], "quote": quote, "fact": ""}], "question": question, "answer": answer}
    )


def test_questions_with_their_evidence_go_the_whole_path(town: ModuleType, tmp_path: Path) -> None:
    writer = town.SlowChat(0.0, lambda request: examiner(town, request))
    town.walk_town(asked_for(town, tmp_path), tmp_path / "runs", writer=writer)
    lines, run = handed(tmp_path, "dataset.jsonl"), run_in(tmp_path)
    assert len(lines) >= 6 and "<html" in run.path("report.html").read_text(encoding="utf-8")
    for line in lines:
        content = line["content"]
        assert isinstance(content, dict) and set(content) == {"answer", "citations", "question"}
        assert line["text"] == f"{content['question']}\n{content['answer']}"
        assert content["citations"][0]["quote"] in " ".join(town.WORDS[line["label"]])
    records = list(assembly.accepted(Walk(run, Study.read(tmp_path / "study.toml"), tmp_path)))
    assert [json.loads(record.content) for record in records] == [line["content"] for line in lines]
    reasons = Counter(event.reason for event in run.events if isinstance(event, BriefClosed))
    assert reasons["quote not found"] > 0, reasons
    heldout = {item.text for item in tables.read_heldout(run.path(assembly.HELDOUT))}
    told = " ".join(message.content for request in writer.requests for message in request.messages)
    assert not any(text in told for text in heldout)


def test_a_generator_that_answers_prose_where_a_shape_is_wanted_is_refused_by_form(
    town: ModuleType, tmp_path: Path
) -> None:
    study_file = town.amend(asked_for(town, tmp_path), ("quota = 6", "quota = 6\npatience = 9"))
    writer = town.SlowChat(0.0, lambda request: "A storm is coming, is it not?")
    town.walk_town(study_file, tmp_path / "runs", verb="handoff", writer=writer)
    assert handed(tmp_path, "dataset.jsonl") == []
    reasons = Counter(event.reason for event in run_in(tmp_path).events if isinstance(event, BriefClosed))
    assert reasons and set(reasons) <= {"misshapen"}, reasons


# ── several strategies, and a small critic ──────────────────────────────────────────────────────────────────────────


SEVERAL = (
    "quota = 12",
    'quota = 12\nrevisions = 1\nstrategies = ["few-shot", "titled", "free", "contrast", "persona", "crossing"]\n'
    'personas = ["a fisherman", "the mayor"]',
)


@pytest.mark.timeout(120)
def test_several_strategies_killed_and_resumed_end_with_the_same_dataset(town: ModuleType, tmp_path: Path) -> None:
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    for folder in (quiet, killed):
        town.amend(town.write_town(folder), SEVERAL, ("prompts_per_slice = 3", "prompts_per_slice = 12"))
    model = town.walk_town(quiet / "study.toml", quiet / "runs", verb="handoff")
    log, kills = killed / "runs" / "town" / "events.jsonl", 0
    for wanted in (4, 13):
        process = subprocess.Popen([sys.executable, str(TOWN_FILE), str(killed), "0.1"])
        while process.poll() is None:
            if log.exists() and log.read_bytes().count(b'"Proposed"') >= wanted:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 2
    again = town.walk_town(killed / "study.toml", killed / "runs", verb="handoff")
    for name in ("dataset.jsonl", "preferences.jsonl"):
        assert handed(killed, name) == handed(quiet, name)
    assert handed(quiet, "dataset.jsonl") and 0 < len(again.requests) < len(model.requests)
    used = {event.candidate.strategy for event in run_in(quiet).events if isinstance(event, Proposed)}
    assert len(used) > 2, used


def test_a_critic_distilled_from_an_earlier_run_saves_calls(town: ModuleType, tmp_path: Path) -> None:
    """The critic model refuses what has the word "gale" or "vote": a small judge can learn that."""

    def answer(request: Request) -> str:
        candidate = request.messages[-1].content.rpartition("Candidate:\n- ")[2]
        fine = "gale" not in candidate and "vote" not in candidate and "eggs" not in candidate
        return '{"accept": true}' if fine else '{"accept": false, "reason": "unnatural"}'

    larger = (("quota = 12", "quota = 80\npatience = 999"), ("max_briefs = 40", "max_briefs = 500"))
    first = town.SlowChat(0.0, answer, "reader")
    study_file = town.amend(town.write_town(tmp_path / "first"), *larger, more=town.CRITIC_MODEL)
    town.walk_town(study_file, tmp_path / "first" / "runs", verb="synthesize", reader=first)
    told: list[str] = []
    teach = 'distil_from = "../first/runs/town"\ndistil_most_lost = 0.3\n'
    second = town.SlowChat(0.0, answer, "reader")
    smaller = ("threshold = 0.5\n", f"threshold = 0.5\n{teach}")
    study_file = town.amend(town.write_town(tmp_path / "second"), *larger, smaller, more=town.CRITIC_MODEL)
    town.walk_town(study_file, tmp_path / "second" / "runs", verb="synthesize", reader=second, notice=told.append)
    assert [each for each in told if "a small judge saves" in each], told
    assert not any("no critic was distilled" in each for each in told), told
    refused = Counter(
        e.verdict.judge for e in run_in(tmp_path / "second").events if isinstance(e, Judged) and e.verdict.reason
    )
    assert refused["distilled critic"] > 5, refused
    kept = [sum(isinstance(e, BriefClosed) and e.winner is not None for e in run_in(tmp_path / name).events)
            for name in ("first", "second")]  # fmt: skip
    assert len(second.requests) / kept[1] < len(first.requests) / kept[0]


def test_a_run_without_a_critic_model_teaches_none_and_says_so(town: ModuleType, tmp_path: Path) -> None:
    town.walk_town(town.write_town(tmp_path / "first"), tmp_path / "first" / "runs", verb="synthesize")
    told: list[str] = []
    teach = ("threshold = 0.5\n", 'threshold = 0.5\ndistil_from = "../first/runs/town"\n')
    study_file = town.amend(town.write_town(tmp_path / "second"), teach)
    town.walk_town(study_file, tmp_path / "second" / "runs", verb="synthesize", notice=told.append)
    assert [each for each in told if each.startswith("distilled from ../first/runs/town: no critic was distilled")]

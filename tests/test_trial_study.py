"""The judges of a whole study on trial: a critic model that does not judge is found out and said, before it is paid."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from proofset.errors import ConfigError, ModelError, ModelRefused, ModelUnavailable
from proofset.nouns.candidate import Stop
from proofset.nouns.event import BriefClosed, JudgeMeasured, Proposed, SliceClosed, Spent, Started
from proofset.plugins import Request
from proofset.runs.folder import Run
from proofset.synthesizing.calibration import CONTRADICTS

Answer = Callable[[Request], str]
TRIED = ("trial = 0\n", "")
"""The critic model goes on trial, with as many cases as in a study that says nothing of it."""
SERVED = """
[synthesize.critic.model]
engine = "chat"
base_url = "http://127.0.0.1:9/v1"
model = "reader"
usd_per_million_input = "1"
usd_per_million_output = "4"
"""
ALL, NONE, PROSE = '{"accept": true}', '{"accept": false, "reason": "unnatural"}', "I rather like this one."


def tried_town(town: ModuleType, folder: Path, *changes: tuple[str, str], model: str = SERVED) -> Path:
    """The town with a critic model on a server, which is put on trial."""
    found: Path = town.amend(town.write_town(folder), TRIED, *changes, more=model)
    return found


def dataset(folder: Path) -> str:
    """The dataset handed off, byte for byte."""
    return (folder / "runs" / "town" / "handoff" / "dataset.jsonl").read_text(encoding="utf-8")


def run_in(folder: Path) -> Run:
    """The run of the town in ``folder``."""
    return Run.read(folder / "runs" / "town")


def measured(run: Run, judge: str = "critic model") -> dict[str, JudgeMeasured]:
    """What a judge did on trial, by fault."""
    return {e.fault: e for e in run.since("calibrate") if isinstance(e, JudgeMeasured) and e.judge == judge}


def every_other() -> Answer:
    """A critic that accepts every other text, whatever it is."""
    asked: Counter[str] = Counter()

    def answer(request: Request) -> str:
        asked["n"] += 1
        return ALL if asked["n"] % 2 else NONE

    return answer


def fair(town: ModuleType) -> Answer:
    """A critic that knows the town: a text stands where it has more words of the slice than of any other."""

    def subject(text: str) -> str:
        counts: dict[str, int] = {name: sum(text.count(word) for word in words) for name, words in town.WORDS.items()}
        return max(counts, key=lambda name: counts[name])

    def answer(request: Request) -> str:
        real, _, candidate = request.messages[-1].content.rpartition("Candidate:\n- ")
        return ALL if subject(real) == subject(candidate) else '{"accept": false, "reason": "off label"}'

    return answer


# ── who is found out ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "said", "fault", "low", "high"),
    [
        (ALL, "does not tell its faults from good records", "wrong label", 0.0, 0.0),
        (NONE, "refuses whatever it sees", "none", 1.0, 1.0),
        (PROSE, "refuses whatever it sees", "none", 1.0, 1.0),
        ("", "contradicts itself", CONTRADICTS, 0.3, 1.0),
    ],
    ids=["accepts all", "accepts none", "prose", "contradicts itself"],
)
def test_a_critic_model_that_does_not_judge_is_found_out_before_the_generator_is_asked(
    town: ModuleType, tmp_path: Path, answer: str, said: str, fault: str, low: float, high: float
) -> None:
    told: list[str] = []
    coin = every_other()
    reader = town.SlowChat(0.0, (lambda request: answer) if answer else coin, "reader")
    town.walk_town(tried_town(town, tmp_path), tmp_path / "runs", verb="synthesize", reader=reader, notice=told.append)
    (sentence,) = [each for each in told if "critic model" in each]
    assert said in sentence
    run = run_in(tmp_path)
    tried = measured(run)
    assert set(tried) == {"none", "wrong label", "near label", "off-topic", CONTRADICTS}
    assert tried["wrong label"].rejected.n == 20
    value = tried[fault].rejected.value
    assert value is not None and low <= value <= high
    kinds = [type(event) for event in run.events]
    assert max(place for place, kind in enumerate(kinds) if kind is JudgeMeasured) < kinds.index(Proposed)


def test_a_critic_model_that_judges_is_not_spoken_of(town: ModuleType, tmp_path: Path) -> None:
    told: list[str] = []
    reader = town.SlowChat(0.0, fair(town), "reader")
    town.walk_town(tried_town(town, tmp_path), tmp_path / "runs", verb="synthesize", reader=reader, notice=told.append)
    assert [each for each in told if "critic" in each] == []
    tried = measured(run_in(tmp_path))
    assert (tried["wrong label"].rejected.value, tried["none"].rejected.value) == (1.0, 0.0)
    trials = [e.usage for e in run_in(tmp_path).events if isinstance(e, Spent) and e.usage.stage == "trial"]
    assert len(trials) >= 3 * 20 and all(usage.usd and usage.usd > 0 for usage in trials)


def test_a_critic_model_that_is_the_generator_is_warned_of(town: ModuleType, tmp_path: Path) -> None:
    told: list[str] = []
    study_file = tried_town(town, tmp_path, model=town.CRITIC_MODEL)
    town.walk_town(study_file, tmp_path / "runs", verb="synthesize", notice=told.append)
    assert [each for each in told if "synthesize.critic.model is the generator itself" in each]


@pytest.mark.parametrize(
    ("floors", "named"),
    [
        ('[synthesize.floors."critic model"]\n"wrong label" = 0.9\n', ("critic model", "wrong labels", "0%", "90%")),
        ("[synthesize.floors.cascade]\nnegated = 0.5\n", ("cascade", "contradicted texts", "0%", "50%")),
        ('[synthesize.floors.jury]\n"too short" = 0.4\n', ("jury", "was on trial")),
    ],
)
def test_below_a_floor_nothing_is_written_and_the_error_names_judge_fault_found_and_asked(
    town: ModuleType, tmp_path: Path, floors: str, named: tuple[str, ...]
) -> None:
    study_file = tried_town(town, tmp_path, model=f"\n{floors}{SERVED}")
    reader, writer = town.SlowChat(0.0, lambda request: ALL, "reader"), town.SlowChat(0.0)
    with pytest.raises(ConfigError) as caught:
        town.walk_town(study_file, tmp_path / "runs", reader=reader, writer=writer)
    assert all(word in str(caught.value) for word in named), str(caught.value)
    assert caught.value.hint and writer.requests == []
    assert not any(isinstance(event, Proposed) for event in run_in(tmp_path).events)


def test_a_floor_that_is_kept_lets_the_loop_start(town: ModuleType, tmp_path: Path) -> None:
    floors = '\n[synthesize.floors."critic model"]\n"wrong label" = 0.8\n[synthesize.floors.cascade]\n"copied" = 0.8\n'
    reader = town.SlowChat(0.0, fair(town), "reader")
    study_file = tried_town(town, tmp_path, model=floors + SERVED)
    town.walk_town(study_file, tmp_path / "runs", verb="handoff", reader=reader)
    assert dataset(tmp_path)


# ── money, failure, and doing it again ──────────────────────────────────────────────────────────────────────────────


def test_a_budget_that_does_not_reach_for_the_trial_says_so(town: ModuleType, tmp_path: Path) -> None:
    study_file = tried_town(town, tmp_path, model=f'\n[synthesize.budget]\nusd = "0.001"\n{SERVED}')
    writer = town.SlowChat(0.0)
    with pytest.raises(ConfigError, match="budget does not reach for the critic model's trial") as caught:
        town.walk_town(study_file, tmp_path / "runs", writer=writer)
    assert "synthesize.critic.trial" in caught.value.hint and writer.requests == []
    town.amend(study_file, ('usd = "0.001"', 'usd = "1"'))
    reader = town.SlowChat(0.0, fair(town), "reader")
    town.walk_town(study_file, tmp_path / "runs", verb="handoff", reader=reader)
    assert dataset(tmp_path)


def refused() -> ModelError:
    error = ModelRefused("HTTP 401: the key was withdrawn")
    error.status = 401
    return error


def unreachable() -> ModelError:
    error = ModelUnavailable("nobody listens there any more")
    error.unsent = True
    return error


@pytest.mark.parametrize("failure", [refused, unreachable])
@pytest.mark.parametrize("after", [5, 80], ids=["in its trial", "in the loop"])
def test_a_critic_that_goes_away_stops_the_run_and_the_same_command_goes_on_from_there(
    town: ModuleType, tmp_path: Path, failure: Callable[[], ModelError], after: int
) -> None:
    quiet, broken = tmp_path / "quiet", tmp_path / "broken"
    patient = ('model = "reader"\n', 'model = "reader"\ngive_up_s = 0.001\n')
    files = [town.amend(tried_town(town, folder), patient) for folder in (quiet, broken)]
    whole = town.SlowChat(0.0, fair(town), "reader")
    town.walk_town(files[0], quiet / "runs", verb="handoff", reader=whole)
    assert len(whole.requests) > 90, "the critic is asked in the loop as well"
    asked: Counter[str] = Counter()

    def until(request: Request) -> str:
        asked["n"] += 1
        if asked["n"] > after:
            raise failure()
        return fair(town)(request)

    with pytest.raises(type(failure())):
        town.walk_town(files[1], broken / "runs", verb="handoff", reader=town.SlowChat(0.0, until, "reader"))
    assert not any(isinstance(event, SliceClosed) for event in run_in(broken).events)
    assert any(isinstance(event, Proposed) for event in run_in(broken).events) == (after == 80)
    again = town.SlowChat(0.0, fair(town), "reader")
    town.walk_town(files[1], broken / "runs", verb="handoff", reader=again)
    assert dataset(broken) == dataset(quiet)
    assert 0 < len(again.requests) < len(whole.requests), "nothing is asked and paid for twice"


def begun(run: Run) -> list[str]:
    return [event.verb for event in run.events if isinstance(event, Started)]


@pytest.mark.parametrize(
    ("before", "after", "again"),
    [
        ('model = "reader"', 'model = "another reader"', True),
        ("threshold = 0.5", "threshold = 0.45", True),
        ("threshold = 0.5", 'threshold = 0.5\nrubric = "It is a {title}."', True),
        ("threshold = 0.5", "threshold = 0.5\ntrial = 10", True),
        ("quota = 12", "quota = 13", False),
        ("window = 3", "window = 4", False),
        ("resamples = 300", "resamples = 310", False),
    ],
)
def test_judges_are_tried_again_when_what_they_are_asked_changes_and_not_otherwise(
    town: ModuleType, tmp_path: Path, before: str, after: str, again: bool
) -> None:
    study_file = tried_town(town, tmp_path)
    readers = [town.SlowChat(0.0, fair(town), name) for name in ("reader", after)]
    town.walk_town(study_file, tmp_path / "runs", verb="calibrate", reader=readers[0])
    town.amend(study_file, (before, after))
    town.walk_town(study_file, tmp_path / "runs", verb="calibrate", reader=readers[1])
    assert begun(run_in(tmp_path)).count("calibrate") == 1 + again


def test_what_a_trial_costs_is_paid_once_for_all_runs_on_the_machine(town: ModuleType, tmp_path: Path) -> None:
    store = tmp_path / "shared"
    for folder in ("one", "two"):
        reader = town.SlowChat(0.0, fair(town), "reader")
        study_file = tried_town(town, tmp_path / folder)
        town.walk_town(study_file, tmp_path / folder / "runs", verb="calibrate", reader=reader, store=store)
        asked = len(reader.requests)
        assert (asked > 60) if folder == "one" else (asked == 0)
    assert measured(run_in(tmp_path / "one")) == measured(run_in(tmp_path / "two"))


# ── slices and rules ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_slice_whose_generator_only_repeats_itself_is_given_up_and_the_others_go_on(
    town: ModuleType, tmp_path: Path
) -> None:
    def stuck(request: Request) -> str:
        said: str = town.speech(request)
        storms = sum(request.prompt.count(word) for word in town.WORDS["storm"])
        return "gale and hail with surge near the old bridge from monday" if storms > 5 else said

    study_file = town.amend(town.write_town(tmp_path), ("quota = 12", "quota = 12\npatience = 7"))
    town.walk_town(study_file, tmp_path / "runs", verb="handoff", writer=town.SlowChat(0.0, stuck))
    ended = {event.slice: event for event in run_in(tmp_path).events if isinstance(event, SliceClosed)}
    assert (ended["storm"].stop, ended["storm"].accepted <= 1) == (Stop.PATIENCE, True)
    (other,) = set(ended) - {"storm"}
    assert ended[other].stop is Stop.QUOTA_MET
    reasons = Counter(e.reason for e in run_in(tmp_path).events if isinstance(e, BriefClosed) and e.slice == "storm")
    assert sum(reasons[reason] for reason in ("duplicate", "drifted")) >= 7, reasons


def ruled_town(town: ModuleType, folder: Path, rules: str) -> Path:
    study_file: Path = town.write_town(folder)
    (folder / "rules.toml").write_text(rules, encoding="utf-8")
    return Path(town.amend(study_file, more='\n[synthesize.gates]\nconstitution = "rules.toml"\n'))


def test_rules_that_contradict_each_other_are_refused_by_file_and_number(town: ModuleType, tmp_path: Path) -> None:
    rules = '[[rule]]\nnumber = 3\ntext = "Towns."\nrequire = "town"\n'
    rules += '[[rule]]\nnumber = 8\ntext = "No towns."\nforbid = "town"\n'
    with pytest.raises(ConfigError) as caught:
        town.walk_town(ruled_town(town, tmp_path, rules), tmp_path / "runs")
    assert all(word in str(caught.value) for word in ("rules.toml", "rule 3", "rule 8"))


def test_a_rule_that_refuses_much_organic_text_is_noticed_and_one_that_refuses_little_is_kept(
    town: ModuleType, tmp_path: Path
) -> None:
    rules = '[[rule]]\nnumber = 1\ntext = "No towns."\nforbid = "town"\nexample = "the town will bring rain and wind"\n'
    rules += '[[rule]]\nnumber = 2\ntext = "No sums."\nforbid = "[0-9]+ USD"\nexample = "roof and gale for 40 USD"\n'
    told: list[str] = []
    town.walk_town(ruled_town(town, tmp_path, rules), tmp_path / "runs", verb="handoff", notice=told.append)
    doubts = [each for each in told if each.startswith("Rule")]
    assert len(doubts) == 1 and doubts[0].startswith("Rule 1 refuses") and "either the rule is wrong" in doubts[0]
    assert measured(run_in(tmp_path), "constitution")["forbidden"].rejected.value == 1.0
    texts = [json.loads(line)["text"] for line in dataset(tmp_path).splitlines()]
    assert texts and not any("town" in text for text in texts)


def test_a_published_evaluation_is_not_written_again(town: ModuleType, tmp_path: Path) -> None:
    study_file = town.write_town(tmp_path)
    town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    plain = [json.loads(line)["text"] for line in dataset(tmp_path).splitlines()]
    published = tmp_path / "again"
    study_file = town.write_town(published)
    (published / "exam.csv").write_text(f"question,answer\n{plain[0]},yes\n{plain[3]},no\n", encoding="utf-8")
    town.amend(study_file, more='\n[synthesize.gates]\nbenchmarks = ["exam.csv"]\n')
    town.walk_town(study_file, published / "runs", verb="handoff")
    texts = {json.loads(line)["text"] for line in dataset(published).splitlines()}
    assert texts and not texts & {plain[0], plain[3]}
    reasons = Counter(event.reason for event in run_in(published).events if isinstance(event, BriefClosed))
    assert reasons["contaminated"] >= 2

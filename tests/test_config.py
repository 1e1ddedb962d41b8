"""A study says what it means: one dial, explicit wins, and every mistake is named with its place."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from proofset import config
from proofset.config import EFFORT, Study
from proofset.errors import ConfigError
from proofset.speakers import Section

ROOT = Path(__file__).resolve().parents[1]
LEAST: dict[str, Any] = {"name": "s", "ingest": {"path": "data.csv"}}
SECTIONS = [
    cls for _, cls in inspect.getmembers(config, inspect.isclass)
    if issubclass(cls, Section) and cls is not Section
]  # fmt: skip


def study(**sections: Any) -> Study:
    return Study.parse({**LEAST, **sections})


def refused(**sections: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        study(**sections)
    return str(caught.value)


# ── the dial ────────────────────────────────────────────────────────────────────────────────────────────────────────


def dialled(found: Study) -> tuple[int, int, int, int]:
    return found.synthesize.quota, found.synthesize.max_briefs, found.train.seeds, found.measure.draws


def test_effort_sets_what_is_left_out() -> None:
    assert dialled(study(effort="quick")) == (24, 60, 3, 100)
    assert dialled(study(effort="standard")) == (200, 480, 5, 200)
    assert dialled(study(effort="thorough")) == (1000, 4000, 10, 400)


def test_the_standard_is_the_default() -> None:
    assert study() == study(effort="standard")


@pytest.mark.parametrize("effort", EFFORT)
def test_explicit_wins_and_leaves_the_rest_to_the_dial(effort: str) -> None:
    found = study(effort=effort, synthesize={"quota": 7, "patience": 9}, train={"seeds": 2})
    dial = study(effort=effort)
    assert dialled(found) == (7, dial.synthesize.max_briefs, 2, dial.measure.draws)
    assert found.synthesize.patience == 9


def test_all_efforts_set_the_same_settings_and_they_exist() -> None:
    for sections in EFFORT.values():
        assert {(s, k) for s, keys in sections.items() for k in keys} == {
            (s, k) for s, keys in EFFORT["quick"].items() for k in keys
        }
        for section, keys in sections.items():
            assert set(keys) <= set(type(getattr(study(), section)).model_fields)


@pytest.mark.parametrize("effort", ["Quick", "heroic", "", 3, ["quick"], {"quick": 1}, True])
def test_an_unknown_effort_is_named(effort: Any) -> None:
    assert "study: effort: Input should be 'quick', 'standard' or 'thorough'" in refused(effort=effort)


def test_the_dial_does_not_hide_a_section_that_is_none() -> None:
    assert "study: synthesize: " in refused(synthesize=3)
    assert "study: train: " in refused(train=[])


# ── mistakes ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("sections", "found"),
    [
        ({"bugdet": 3}, "study: bugdet: no such setting"),
        ({"synthesize": {"budget_us": "3"}}, "study: synthesize.budget_us: no such setting"),
        ({"synthesize": {"model": {"api_key": "sk"}}}, "study: synthesize.model.api_key: no such setting"),
        ({"ingest": {}}, "study: ingest.path: Field required"),
        ({"audit": {"folds": 1}}, "study: audit.folds: Input should be greater than or equal to 2"),
        ({"ingest": {"path": "x", "heldout_share": 1.0}}, "study: ingest.heldout_share: Input should be less than 1"),
        ({"synthesize": {"quota": 0}}, "synthesize.quota"),
        ({"synthesize": {"quota": 1.5}}, "synthesize.quota"),
        ({"synthesize": {"critic": {"threshold": float("nan")}}}, "synthesize.critic.threshold"),
        ({"name": "Has Spaces"}, "study: name: "),
        ({"name": "../up"}, "study: name: "),
        ({"name": ""}, "study: name: "),
        ({"name": "s\n"}, "study: name: "),
        ({"train": {"strengths": []}}, "study: train.strengths: Value error, needs at least one number"),
        ({"train": {"strengths": [1.0, 0.0]}}, "finite and above 0"),
        ({"train": {"weights": [-0.1]}}, "finite and 0 or larger"),
        ({"train": {"weights": [float("inf")]}}, "finite and 0 or larger"),
    ],
    ids=str,
)
def test_mistakes_are_named(sections: dict[str, Any], found: str) -> None:
    assert found in refused(**sections)


@pytest.mark.parametrize("money", ["ten", "-1", "nan", "inf", "$5", "1,50"])
def test_a_budget_is_an_amount_of_money(money: str) -> None:
    told = f"synthesize.budget.usd: Value error, '{money}' is no amount of money"
    assert told in refused(synthesize={"budget": {"usd": money}})
    with pytest.raises(ConfigError, match=r"--budget-usd: synthesize\.budget\.usd: .* is no amount") as caught:
        study().with_budget(money)
    assert caught.value.hint


@pytest.mark.parametrize("money", ["", "0", "2.50", "1e3"])
def test_budgets_that_are(money: str) -> None:
    assert study(synthesize={"budget": {"usd": money}}).synthesize.budget.usd == money
    assert study().with_budget(money).synthesize.budget.usd == money


def test_another_budget_changes_nothing_else() -> None:
    found = study(effort="quick", synthesize={"quota": 7, "budget": {"usd": "1", "tokens": 5, "shared": "team"}})
    more = found.with_budget("2.50")
    assert found.synthesize.budget.usd == "1"
    assert (more.synthesize.budget.usd, more.synthesize.budget.tokens) == ("2.50", 5)
    assert more.with_budget("1") == found
    with pytest.raises(ConfigError, match="a shared budget needs an amount"):
        found.with_budget("")


@pytest.mark.parametrize("given", ["3", "", 3, None])
def test_the_budget_of_old_studies_is_told_where_it_went(given: Any) -> None:
    for more in ({}, {"budget": {"usd": "3"}}):
        told = refused(synthesize={"budget_usd": given, **more})
        assert "study: synthesize: Value error, budget_usd has moved: write [synthesize.budget] and usd" in told


def test_the_critic_has_views_and_maybe_a_model() -> None:
    plain = study().synthesize.critic
    assert (plain.views, plain.model) == (("meaning", "characters"), None)
    given = {"views": [], "model": {"engine": "chat", "base_url": "http://h/v1"}, "rubric": "{{a}} {title} or {label}"}
    found = study(synthesize={"critic": given}).synthesize.critic
    assert (found.views, found.rubric) == ((), given["rubric"])
    assert found.model is not None and found.model.base_url == "http://h/v1"
    assert study(synthesize={"critic": given}).synthesize.model.base_url == ""
    assert "synthesize.critic.views.0" in refused(synthesize={"critic": {"views": ["smell"]}})
    assert "critic.model.api_key: no such setting" in refused(synthesize={"critic": {"model": {"api_key": "sk"}}})
    assert "synthesize.critic.max_tokens" in refused(synthesize={"critic": {"max_tokens": 15}})


@pytest.mark.parametrize("rubric", ["{topic}", "{", "}", "{0}", "{title.x}", "{label:d}"])
def test_a_rubric_that_cannot_be_filled_in_is_refused(rubric: str) -> None:
    assert "synthesize.critic.rubric: Value error, only {title}" in refused(synthesize={"critic": {"rubric": rubric}})


@pytest.mark.parametrize(
    ("synthesize", "window"),
    [
        ({}, 8), ({"window": 3}, 3), ({"model": {"engine": "chat", "base_url": "http://x/v1", "slots": 50}}, 200),
        ({"model": {"engine": "chat", "base_url": "http://x/v1", "slots": 1}}, 8),
        ({"window": 5, "model": {"engine": "chat", "base_url": "http://x/v1"}}, 5), ({"model": {"slots": 50}}, 8),
        ({"model": {"engine": "chat", "base_url": "http://x/v1", "batch": True}}, 5000),
        ({"critic": {"model": {"engine": "chat", "base_url": "http://x/v1", "batch": True}}}, 5000),
    ],
)  # fmt: skip
def test_the_window_depends_on_the_study_alone(synthesize: dict[str, Any], window: int) -> None:
    assert study(synthesize=synthesize).synthesize.briefs_in_flight == window


@pytest.mark.parametrize("heading", ["{kind}", "{", "}", "{0}", "{title.x}", "{title[0]}", "{title[x]}", "{label:d}"])
def test_a_heading_that_cannot_be_filled_in_is_refused(heading: str) -> None:
    assert "can be filled in" in refused(synthesize={"heading": heading})
    assert "headings.spam" in refused(synthesize={"headings": {"spam": heading}})


def test_headings_that_can() -> None:
    study(synthesize={"heading": "{{braces}} {title} {label}", "headings": {"spam": "Plain"}})
    assert "has no {topic}" in refused(synthesize={"topics": {"spam": ["prizes"]}})
    found = study(synthesize={"topics": {"spam": ["prizes"]}, "headings": {"spam": "Of {topic}:"}})
    assert found.synthesize.topics == {"spam": ("prizes",)}


def test_several_mistakes_are_told_at_once_each_on_its_line() -> None:
    lines = refused(oops=1, audit={"folds": 0, "nope": 1}).split("\n")
    assert len(lines) == 3
    assert all(line.startswith("study: ") for line in lines)


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('name = "s"\neffort = "quick"\n[ingest]\npath = "größe.csv"\n', encoding="utf-8")
    found = Study.read(path)
    assert (found.name, found.ingest.path, found.train.seeds) == ("s", "größe.csv", 3)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'name = "s\n', "cannot be read as TOML"),
        (b"name = 's'\nname = 't'\n", "cannot be read as TOML"),
        (b"\xff\xfe\x00", "cannot be read as TOML"),
        (b"", "name: Field required"),
        (b"[ingest]\npath = 'x'\ntypo = 1\n[extra]\n", "ingest.typo: no such setting"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_fault(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=found) as caught:
        Study.read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such study file") as caught:
        Study.read(tmp_path / "gone.toml")
    assert caught.value.hint
    with pytest.raises(ConfigError, match="cannot be read"):
        Study.read(tmp_path)


def test_a_syntax_error_says_where(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text('name = "s"\n[ingest\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="line 2"):
        Study.read(path)


# ── the whole ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_can_be_changed_afterwards() -> None:
    found = study()
    with pytest.raises(ValidationError):
        found.synthesize.quota = 3  # type: ignore[misc]


def test_a_study_survives_being_written_down() -> None:
    found = study(effort="quick", synthesize={"quota": 7, "topics": {"a": ["x"]}, "heading": "{topic}"})
    assert Study.parse(found.model_dump(mode="json")) == found


@pytest.mark.parametrize("section", SECTIONS, ids=lambda cls: cls.__name__)
def test_every_setting_is_documented_and_has_a_sound_default(section: type[Section]) -> None:
    assert section.__doc__
    for name, field in section.model_fields.items():
        description = field.description or ""
        assert description.endswith("."), name
        assert len(description) >= len("Arms."), name
    filled = {name for name, field in section.model_fields.items() if not field.is_required()}
    if len(filled) == len(section.model_fields):
        assert section.model_validate(section().model_dump()) == section()


EXAMPLES = sorted((ROOT / "examples").glob("*/study.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_shipped_studies_are_read(path: Path) -> None:
    found = Study.read(path)
    assert found.title and found.question and found.ingest.licence
    for section, settings in tomllib.loads(path.read_text(encoding="utf-8")).items():
        if isinstance(settings, dict):
            written = getattr(found, section).model_dump(mode="json")
            assert {name: written[name] for name in settings if not isinstance(settings[name], dict)} == {
                name: value for name, value in settings.items() if not isinstance(value, dict)
            }


def test_there_are_shipped_studies() -> None:
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize("given", [[], ["titled", "titled"]])
def test_strategies_are_at_least_one_and_each_once(given: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"synthesize\.strategies: .*each once"):
        Study.parse({"name": "x", "ingest": {"path": "x.csv"}, "synthesize": {"strategies": given}})

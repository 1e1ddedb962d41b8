"""Who speaks and what it may use up: every setting is checked before anybody speaks, and a misspelt one is an error."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from pydantic import ValidationError

from proofset import speakers
from proofset.speakers import Budget, Model, Sampling, Section

SECTIONS = [
    cls for _, cls in inspect.getmembers(speakers, inspect.isclass) if issubclass(cls, Section) and cls is not Section
]  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
def test_a_misspelt_setting_is_an_error_and_none_can_be_changed_afterwards(section: type[Section]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        section.model_validate({"usd_": "3"})
    name = next(iter(section.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(section(), name, getattr(section(), name))


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_documented_and_survives_being_written_down(section: type[Section]) -> None:
    assert section.__doc__
    assert all((field.description or "").endswith(".") for field in section.model_fields.values())
    assert section.model_validate_json(section().model_dump_json()) == section()


@pytest.mark.parametrize(
    ("section", "name", "sound", "unsound"),
    [
        (Model, "threads", [0, 64], [-1]),
        (Model, "slots", [1, 2048], [0, -1]),
        (Model, "context_tokens", [256], [255]),
        (Model, "form", ["completions", "chat"], ["Chat", ""]),
        (Model, "query", [{}, {"api-version": "2026-01-01"}], [{"api-version": 3}, "a=b"]),
        (Model, "timeout_s", [0.001, 3600], [0, -1, float("nan"), float("inf")]),
        (Model, "give_up_s", [0.001, float("inf")], [0, -1, float("nan")]),
        (Model, "requests_per_minute", [0, 3], [-1]),
        (Model, "tokens_per_minute", [0, 3], [-1]),
        (Model, "usd_per_million_input", ["", "0.25"], [0.25]),  # a float has lost what was written
        (Model, "usd_per_million_cached_input", ["", "0.25"], [0.25]),
        (Model, "usd_per_million_output", ["", "0.25"], [0.25]),
        (Sampling, "temperature", [0, 2], [-0.1, float("nan"), float("inf")]),
        (Sampling, "top_p", [0.01, 1], [0, 1.01]),
        (Sampling, "top_k", [1], [0]),
        (Sampling, "min_p", [0, 1], [-0.1, 1.1]),
        (Sampling, "max_tokens", [1], [0]),
        (Budget, "usd", ["", "0", "2.50", "1e3", "0.000001"], [3]),
        (Budget, "tokens", [0, 10**12], [-1, 1.5]),
        (Budget, "requests", [0, 10**9], [-1]),
        (Budget, "seconds", [0, 0.5], [-1, float("nan")]),
    ],
    ids=lambda each: getattr(each, "__name__", each) if not isinstance(each, list) else "",
)
def test_the_range_of_a_setting(section: type[Section], name: str, sound: list[Any], unsound: list[Any]) -> None:
    for value in sound:
        assert getattr(section.model_validate({name: value}), name) == value
    for value in unsound:
        with pytest.raises(ValidationError, match=name):
            section.model_validate({name: value})


@pytest.mark.parametrize("usd", ["ten", "-1", "nan", "sNaN", "inf", "-inf", "$5", "1,50", " ", "1e"])
def test_what_is_no_money_is_refused_in_words(usd: str) -> None:
    with pytest.raises(ValidationError, match="is no amount of money; write for example"):
        Budget(usd=usd)


@pytest.mark.parametrize("shared", ["../up", "Team", "a b", "a/b", "team\n"])
def test_a_shared_budget_has_a_plain_name(shared: str) -> None:
    with pytest.raises(ValidationError, match="shared"):
        Budget(usd="1", shared=shared)


def test_a_shared_budget_needs_an_amount() -> None:
    assert Budget(usd="1", shared="team-1.a_b").shared == "team-1.a_b"
    with pytest.raises(ValidationError, match="a shared budget needs an amount; set usd"):
        Budget(shared="team")


def test_a_model_is_local_names_the_variable_of_its_key_and_has_no_price_unless_it_is_given_one() -> None:
    model = Model()
    assert (model.engine, model.api_key_env, model.allow_unpriced) == ("local", "", False)
    assert model.usd_per_million_input == model.usd_per_million_output == model.usd_per_million_cached_input == ""


def test_nothing_in_the_settings_holds_a_key() -> None:
    assert [name for name in Model.model_fields if "key" in name] == ["api_key_env"]
    with pytest.raises(ValidationError):
        Model.model_validate({"api_key": "sk-secret"})

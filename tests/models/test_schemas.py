"""Schemas as strict servers want them, and validators that accept what the schema does and nothing else."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from proofset.errors import ConfigError
from proofset.models.schemas import strict_ready, target, types_of, validator_of

NODE = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/Node", "description": "the rest"}},
            "required": ["name"],
        }
    },
}


def test_objects_are_closed_and_their_properties_required_at_every_level() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}
    schema = {
        "type": "object",
        "title": "T",
        "$schema": "x",
        "properties": {"list": {"type": "array", "items": inner, "default": []}, "title": inner},
        "required": ["title"],
    }
    closed = {**inner, "additionalProperties": False}
    assert strict_ready(schema) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {"list": {"type": ["array", "null"], "items": closed}, "title": closed},
        "required": ["list", "title"],
    }


def test_keywords_are_sorted_and_properties_are_not() -> None:
    one = {
        "type": "object",
        "properties": {"why": {"type": "string"}, "label": {"type": "string"}},
        "required": ["why"],
    }
    other = {key: one[key] for key in reversed(one)}
    assert json.dumps(strict_ready(one)) == json.dumps(strict_ready(other))
    assert list(strict_ready(one)["properties"]) == ["why", "label"]
    assert list(strict_ready(one)) == sorted(strict_ready(one))


@pytest.mark.parametrize(
    ("optional", "ready"),
    [
        ({"type": "string"}, {"type": ["string", "null"]}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"enum": ["a"]}, {"anyOf": [{"enum": ["a"]}, {"type": "null"}]}),
        ({"enum": ["a", None]}, {"enum": ["a", None]}),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"$ref": "#/$defs/X"}, {"anyOf": [{"$ref": "#/$defs/X"}, {"type": "null"}]}),
        ({}, {}),
    ],
)
def test_what_was_optional_may_be_null(optional: dict[str, Any], ready: dict[str, Any]) -> None:
    assert strict_ready({"properties": {"x": optional}})["properties"]["x"] == ready


def test_what_the_source_leaves_open_stays_open() -> None:
    counts = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert strict_ready(counts) == counts
    opened = strict_ready({"properties": {"x": {}}, "required": ["x"], "additionalProperties": True})
    assert opened["additionalProperties"] is True
    assert strict_ready({"type": "object"}) == {"type": "object"}
    assert strict_ready({"properties": {"x": {}}, "required": ["y"]})["required"] == ["x", "y"]


def test_references_stand_alone_and_never_at_the_root() -> None:
    ready = strict_ready(NODE)
    assert ready["type"] == "object"
    assert ready["properties"]["next"] == {
        "anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}], "description": "the rest",
    }  # fmt: skip
    assert target(ready, "#/$defs/Node")["required"] == ["name", "next"]


def test_alternatives_told_apart_by_a_field_become_any_of() -> None:
    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]

    class Pet(BaseModel):
        pet: Cat | Dog = Field(discriminator="kind")

    pet = strict_ready(Pet.model_json_schema())["properties"]["pet"]
    assert set(pet) == {"anyOf"}
    assert len(pet["anyOf"]) == 2


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "abc"], ["a", "abcd", 1, None]),
        ({"type": "string", "pattern": "b+$"}, ["abb"], ["bba"]),
        ({"type": "integer", "minimum": 0.5, "maximum": 3}, [1, 3], [0, 4, "1", True, 1.5]),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2.5}, [1, 2], [0, 3]),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, [0, 0.5], [-0.1, 1, "0.5", True]),
        ({"type": "boolean"}, [True, False], [1, "true"]),
        ({"type": "null"}, [None], [0, ""]),
        ({"type": ["string", "null"]}, ["", None], [1]),
        ({"enum": ["a", 1, None, True]}, ["a", 1, None, True], ["A", 2, False]),
        ({"enum": [0, 1]}, [0, 1], [True, False, "1"]),
        ({"enum": [0.0, 1.5]}, [0, 1.5], [True, False]),
        ({"const": "x"}, ["x"], ["y", None]),
        ({"const": None}, [None], ["x"]),
        ({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}, [1, [1]], ["1", ["1"]]),
        ({"type": "array", "minItems": 1, "maxItems": 2}, [[1], ["a", None]], [[], [1, 2, 3]]),
        ({"items": {"type": "string"}}, [[], ["a"]], [[1], "a"]),
        ({"type": "object"}, [{}, {"x": [1]}], [[], None]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, [{"x": 1}], [{"x": "1"}]),
        ({"type": "object", "additionalProperties": False}, [{}], [{"x": 1}]),
        (
            {"properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": {"type": "string"}},
            [{"a": 1}, {"a": 1, "b": "x"}],
            [{}, {"a": 1, "b": 2}],
        ),
        ({"properties": {"a": True}, "required": ["a"]}, [{"a": None}], [{}, {"a": 1, "b": 2}]),
        (
            NODE,
            [{"name": "a", "next": {"name": "b", "next": None}}],
            [{"name": "a", "next": {"name": 1, "next": None}}],
        ),
        (
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "integer"}}, "anyOf": [{"$ref": "#/$defs/a"}]},
            [1],
            ["x"],
        ),
        ({"description": "anything"}, [1, None, {"x": []}], []),
    ],
)
def test_the_validator_accepts_what_the_schema_does(schema: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    validator = validator_of(strict_ready(schema))
    for value in good:
        assert validator.validate_json(json.dumps(value)) == value
    for value in bad:
        with pytest.raises(ValidationError):
            validator.validate_json(json.dumps(value))


def test_numbers_are_floats_and_finite() -> None:
    schema = {"type": "array", "items": {"anyOf": [{"type": "number"}, {"enum": [9, 9.5]}]}}
    read = validator_of(strict_ready(schema)).validate_json("[9, 9.0, 9.5]")
    assert [type(each) for each in read] == [float] * 3
    chosen = validator_of(strict_ready({"type": "number", "enum": [9]})).validate_json("9")
    assert (chosen, type(chosen)) == (9.0, float)
    for text in ("NaN", "-Infinity", "1e999"):
        with pytest.raises(ValidationError):
            validator_of({"type": "number"}).validate_json(text)


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"oneOf": [{"type": "string"}]}, "'oneOf' at the reply"),
        ({"allOf": [{"type": "string"}]}, "'allOf'"),
        ({"type": "array", "uniqueItems": True}, "'uniqueItems'"),
        ({"properties": {"a": {"type": "object", "patternProperties": {}}}}, "'patternProperties' at the reply.a"),
        ({"type": "array", "items": {"not": {}}}, r"'not' at the reply\[\]"),
        ({"$defs": {"D": {"type": "integer", "multipleOf": 2}}, "$ref": "#/$defs/D"}, "'multipleOf' at D"),
        ({"minimum": 1}, "'minimum'"),
        ({"type": "object", "anyOf": [{"required": ["a"]}]}, "'(type|required)'"),
        ({"type": "string", "anyOf": [{"type": "string"}]}, "'type'"),
        ({"type": "string", "pattern": "(?=a)b"}, "'pattern'"),
        ({"type": "file"}, "'file'"),
        ({"enum": [["a"]]}, "'enum'"),
        ({"enum": []}, "'enum'"),
        ({"items": 3}, "3 at the reply"),
        ({"anyOf": []}, "cannot be used"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "'other.json'"),
        ({"properties": {"a": {"$ref": "#/$defs/a"}}}, "cannot be used"),
        ({"$ref": "#/$defs/a"}, "'#/\\$defs/a', which is not there"),
        (
            {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}}, "$ref": "#/$defs/a"},
            "leads back to itself",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_refused_by_name(schema: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        validator_of(strict_ready(schema))
    assert caught.value.hint


def test_types_are_named_or_plain_from_what_a_node_speaks_of() -> None:
    assert types_of({"type": "string"}) == ["string"]
    assert types_of({"type": ["string", "null"]}) == ["string", "null"]
    assert (types_of({"properties": {}}), types_of({"items": {}}), types_of({})) == (["object"], ["array"], [])

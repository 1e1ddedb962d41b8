"""Values are bent only where nothing is lost, and texts are mended only where nothing is made up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proofset.models.repair import MISFIT, Coercion, json_in

ITEM = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def bend(value: Any, schema: dict[str, Any], *, fill: bool = True) -> tuple[Any, int]:
    return Coercion(schema, fill).bend(value)


@pytest.mark.parametrize(
    ("schema", "value", "bent"),
    [
        ({"type": "integer"}, "9", 9),
        ({"type": "integer"}, " -9 ", -9),
        ({"type": "integer"}, "9.0", 9),
        ({"type": "integer"}, "1e3", 1000),
        ({"type": "integer"}, "12345678901234567890", 12345678901234567890),
        ({"type": "integer"}, 9.0, 9),
        ({"type": "number"}, "9", 9.0),
        ({"type": "number"}, "-9.5e-1", -0.95),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, " FALSE ", False),
        ({"type": "array", "items": {"type": "string"}}, "a", ["a"]),
        ({"type": "array", "items": {"type": "integer"}}, "9", [9]),
        ({"type": "array", "items": {"type": "integer"}}, ["9", 8], [9, 8]),
        ({"type": "array", "items": ITEM}, {"n": "1"}, [{"n": 1}]),
        ({"enum": ["Spam", "Ham"]}, " spam ", "Spam"),
        ({"enum": ["1", "2"]}, 2, "2"),
        ({"enum": [1, 2]}, "2", 2),
        ({"enum": [1, 2]}, 2.0, 2),
        ({"const": "yes"}, "YES", "yes"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "9", 9),
        ({"type": ["null", "boolean"]}, "true", True),
        (ITEM, {"n": "9", "note": "nobody asked"}, {"n": 9}),
        ({"properties": {"a": {"type": "string"}}}, {}, {"a": None}),
        ({"$ref": "#/$defs/I", "$defs": {"I": ITEM}}, {"n": "9"}, {"n": 9}),
    ],
)
def test_a_value_is_bent_to_what_was_meant(schema: dict[str, Any], value: Any, bent: Any) -> None:
    found, cost = bend(value, schema)
    assert (found, type(found)) == (bent, type(bent))
    assert 0 < cost < MISFIT
    assert bend(found, schema)[1] == 0


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 9.5),
        ({"type": "integer"}, "nine"),
        ({"type": "integer"}, True),
        ({"type": "integer"}, 1e300),
        ({"type": "integer"}, "٩"),
        ({"type": "number"}, "9,5"),
        ({"type": "number"}, "1e999"),
        ({"type": "number"}, "NaN"),
        ({"type": "number"}, True),
        ({"type": "boolean"}, 1),
        ({"type": "boolean"}, "yes"),
        ({"type": "string"}, 9),
        ({"type": "null"}, "null"),
        ({"type": "array", "items": {"type": "string"}}, None),
        ({"type": "array", "items": {"type": "string"}}, '["a", "b"]'),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, "a"),
        ({"type": "object"}, [1]),
        ({"enum": ["spam", "ham"]}, "eggs"),
        ({"enum": ["a", "A"]}, " a"),
        ({"enum": ["a"]}, ["a"]),
        ({"enum": [1]}, True),
        (ITEM, {}),
        (ITEM, {"n": None}),
    ],
)
def test_what_would_be_a_guess_is_left_as_it_is(schema: dict[str, Any], value: Any) -> None:
    found, cost = bend(value, schema)
    assert cost >= MISFIT
    assert found == value or found == [value]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "number"}, 9),
        ({"type": "string"}, " a "),
        ({"type": "string", "nullable": True}, None),
        ({"enum": ["a", "A"]}, "A"),
        ({"description": "anything"}, {"x": [1, "2"]}),
        ({"type": "object"}, {"free": "1"}),
        ({"properties": {"a": {"type": "string"}}}, {"a": None}),
        ({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}, "a"),
    ],
)
def test_what_fits_costs_nothing(schema: dict[str, Any], value: Any) -> None:
    assert bend(value, schema) == (value, 0)


def test_the_alternative_that_changes_least_is_taken() -> None:
    schema = {"anyOf": [{"type": "array", "items": ITEM}, {"type": "integer"}, ITEM]}
    assert bend({"n": 1}, schema) == ({"n": 1}, 0)
    assert bend("3", schema) == (3, 1)


def test_a_model_class_fills_its_own_defaults() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "default": 3}, "b": {"type": ["string", "null"]}},
    }
    assert bend({}, schema, fill=False) == ({}, 0)
    assert bend({"a": None, "b": None}, schema, fill=False) == ({"b": None}, 1)
    assert bend({"c": 1}, schema, fill=False) == ({"c": 1}, 0)
    assert bend({"c": 1}, {**schema, "additionalProperties": False}, fill=False) == ({}, 1)


def test_endless_choices_come_to_an_end() -> None:
    schema: dict[str, Any] = {
        "$ref": "#/$defs/J",
        "$defs": {
            "J": {
                "anyOf": [
                    {"type": "array", "items": {"$ref": "#/$defs/J"}},
                    {"type": "object", "additionalProperties": {"$ref": "#/$defs/J"}},
                    {"type": "integer"},
                ]
            }
        },
    }
    for depth in (30, 199):
        deep: Any = "no integer"
        for _ in range(depth):
            deep = {"x": deep}
        assert bend(deep, schema)[1] >= MISFIT
    assert bend({"x": ["3"]}, schema)[0] == {"x": [3]}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('Sure! Here it is:\n```\n{"a": "x ``` y"}\n```\nAnything else?', {"a": "x ``` y"}),
        ('The set {a, b} and [sic] the answer: {"a": [1]} (done}', {"a": [1]}),
        ('{"a": 1}}', {"a": 1}),
        ('<think>{"a": 0}? No.</think>\n{"a": 1}', {"a": 1}),
        ('Hm, {"a": 0}, or {"a": 2, no: [3]. Yes.</think>\n{"a": 1}', {"a": 1}),
        ('Hm.</think> {"a": "x</think>", "b": [],}', {"a": "x</think>", "b": []}),
        ('So: {"a": "x</think>", "b": [],}', {"a": "x</think>", "b": []}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"a": [1, 2,], "b": {"c": 3,},}', {"a": [1, 2], "b": {"c": 3}}),
        ("{'a': 'b', 'c': [True, False, None]}", {"a": "b", "c": [True, False, None]}),
        ("{'a': 'it\\'s', 'b': 'it's \"so\"'}", {"a": "it's", "b": 'it\'s "so"'}),
        ('{"a": "it\\\'s"}', {"a": "it's"}),
        ('{"a": "one\ntwo\tthree"}', {"a": "one\ntwo\tthree"}),
        ('{"a": "C:\\work \\u12 \\u00e9 \\n"}', {"a": "C:\\work \\u12 é \n"}),
        ('{"a": "True, None", "b": True}', {"a": "True, None", "b": True}),
        ('{"a": [1, {"b": 2', {"a": [1, {"b": 2}]}),
        ('{"a": [1, 2, ', {"a": [1, 2]}),
        ('{"a": [1, 2}', {"a": [1, 2]}),
        ('```json\n{"a": [1]\n```', {"a": [1]}),
        ('{"a": "{[,]}"}', {"a": "{[,]}"}),
        ('{"a": -1.5e3}', {"a": -1500.0}),
    ],
)
def test_a_text_is_mended(text: str, meant: Any) -> None:
    assert [json.loads(each) for each in json_in(text)] == [meant]


@pytest.mark.parametrize(
    "text",
    ["", "no", "{'", '{"a": "cut off in the mid', "{a: 1}", '{"a": "he said "no" to me"}', "[1, three]", '{"a": 1]}'],
)
def test_a_text_is_not_made_up(text: str) -> None:
    assert list(json_in(text)) == []


@pytest.mark.parametrize("text", ["[1 2]", "[1-2]", '["a" "b"]', '{"a" 1}', "[1,, 2]", "[01]"])
def test_what_has_two_readings_does_not_become_json(text: str) -> None:
    for mended in json_in(text):
        with pytest.raises(ValueError, match=r"column|delimiter"):
            json.loads(mended)


def test_the_values_of_a_text_come_in_order_and_outermost_only() -> None:
    found = [json.loads(each) for each in json_in('{"a": {"b": 1}} or [2, {"c": 3}]')]
    assert found == [{"a": {"b": 1}}, [2, {"c": 3}]]


@pytest.mark.parametrize(
    "text",
    [
        '[{"n": 1}, {"n": 2}, {"n": "cut o',
        '{"draft": {"n": 1}, note: "no", "n": {"n": 2}}',
        '{"n": 1, "said": "he said "no" {"n": 3} to me"}',
        '{"n": NaN, "m": [1]}',
        '[NaN, {"n": 1}]',
    ],
)
def test_a_part_of_something_broken_is_not_the_answer(text: str) -> None:
    assert [each for each in json_in(text) if "NaN" not in each] == []
    assert next(json_in('{"n": 4} ' + text)) == '{ "n" : 4 }'


def test_many_brackets_cost_little() -> None:
    assert list(json_in("[x" * 100_000)) == []
    assert len(list(json_in("[] " * 1000))) == 64

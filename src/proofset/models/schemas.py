"""JSON Schema in two forms: strict, as servers want it that enforce one, and as a validator of what came back.

The validator is built for the part of JSON Schema that a record needs. A keyword outside that part is refused by name:
to pass over it would be to accept what the schema forbids.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import CoreSchema, SchemaError, SchemaValidator, core_schema

from proofset.errors import ConfigError

Node = Mapping[str, Any]

_SILENT = frozenset({
    "title", "default", "examples", "discriminator", "deprecated", "readOnly", "writeOnly",
    "$schema", "$id", "$comment",
})  # fmt: skip
"""Say nothing about which replies are right; some servers refuse the whole schema for one of them."""

_BOUNDS = {
    "array": ("minItems", "maxItems"),
    "string": ("minLength", "maxLength", "pattern"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
_KNOWN = frozenset(
    {"type", "enum", "const", "anyOf", "$ref", "$defs", "properties", "required", "additionalProperties", "items"}
    | {"description", "format"}
    | {name for names in _BOUNDS.values() for name in names}
)
_BESIDE_A_CHOICE = frozenset({"anyOf", "$ref", "$defs", "description"})

# --- strict --------------------------------------------------------------------------------------------------------


def strict_ready(schema: Node) -> dict[str, Any]:
    """The schema with objects closed and every property required; what was optional may be null instead.

    Keywords are sorted, properties keep their order: servers write them in that order, and a model that is to give its
    reasons before its label must not be made to give them after.
    """
    if "$ref" in schema:  # a root that refers to itself from below; servers want an object there
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**rest, **target(schema, schema["$ref"])}
    ready: dict[str, Any] = _ready(schema)
    return ready


def target(schema: Node, ref: str) -> Node:
    """The node of ``schema`` that ``ref`` names. Raises ConfigError for what is not in its ``$defs``."""
    found = schema.get("$defs", {}).get(_name_in(ref))
    if not isinstance(found, Mapping):
        raise ConfigError(f"a JSON Schema refers to {ref!r}, which is not there", hint="see its $defs")
    return found


def _name_in(ref: str) -> str:
    if not ref.startswith("#/$defs/"):
        raise ConfigError(f"a JSON Schema has '$ref' to {ref!r}", hint="$ref may name one of its $defs: #/$defs/name")
    return ref.removeprefix("#/$defs/")


def _ready(node: Any) -> Any:
    if not isinstance(node, Mapping):  # true and false are schemas too
        return node
    told = {key: _inside(key, node[key]) for key in sorted(node) if key not in _SILENT}
    if "oneOf" in told and "discriminator" in node:  # told apart by a field, so at most one can fit
        told["anyOf"] = told.pop("oneOf")
    if "$ref" in told and len(told) > 1:  # servers take nothing beside a reference
        told["anyOf"] = [{"$ref": told.pop("$ref")}]
    if "properties" in told:
        _close(told, node.get("required", ()))
    if told.pop("nullable", False):
        told = _nullable(told)
    return dict(sorted(told.items()))


def _inside(key: str, value: Any) -> Any:
    if key in ("properties", "$defs") and isinstance(value, Mapping):
        return {name: _ready(each) for name, each in value.items()}
    if key in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, Sequence):
        return [_ready(each) for each in value]
    return _ready(value) if key in ("items", "additionalProperties") else value


def _close(told: dict[str, Any], required: Sequence[str]) -> None:
    """Require every property, let those be null that were optional, and allow no others unless the source does."""
    properties = {**told["properties"], **{name: {} for name in required if name not in told["properties"]}}
    told["properties"] = {name: each if name in required else _nullable(each) for name, each in properties.items()}
    told["required"] = list(properties)
    told.setdefault("additionalProperties", False)


def _nullable(node: Any) -> Any:
    if not isinstance(node, Mapping) or not node.keys() - {"description"}:
        return node
    types = [node["type"]] if isinstance(node.get("type"), str) else list(node.get("type", ()))
    choices = node.get("anyOf")
    if "null" in types or (choices and {"type": "null"} in choices) or None in node.get("enum", ()):
        return node
    if choices:
        return {**node, "anyOf": [*choices, {"type": "null"}]}
    if types and not node.keys() & {"enum", "const"}:
        return {**node, "type": [*types, "null"]}
    return {"anyOf": [node, {"type": "null"}]}


# --- validator -----------------------------------------------------------------------------------------------------


def validator_of(ready: Node) -> SchemaValidator:
    """A validator for a schema from ``strict_ready``. Raises ConfigError naming the keyword that it cannot do.

    Values are plain dicts, lists and scalars; what a ``number`` asks for is always a finite float.
    """
    places = {name: _core(each, name) for name, each in ready.get("$defs", {}).items()}
    root = _core(ready, "the reply")
    for name in places:
        _check_progress(ready, {"$ref": f"#/$defs/{name}"}, frozenset())
    definitions: list[Any] = [{**core, "ref": name} for name, core in places.items()]
    try:
        return SchemaValidator(core_schema.definitions_schema(root, definitions))
    except SchemaError as error:
        raise ConfigError(f"a JSON Schema cannot be used: {error}", hint="see its $refs and bounds") from error


def _check_progress(ready: Node, node: Any, seen: frozenset[str]) -> None:
    """Refuse a definition that is only another name for itself."""
    if not isinstance(node, Mapping):
        return
    if ref := node.get("$ref"):
        if ref in seen:
            raise ConfigError(f"a JSON Schema's $ref {ref!r} leads back to itself", hint="let it describe something")
        _check_progress(ready, target(ready, ref), seen | {ref})
    for each in node.get("anyOf", ()):
        _check_progress(ready, each, seen)


def _core(node: Any, place: str) -> CoreSchema:
    if node is True:
        return core_schema.any_schema()
    if not isinstance(node, Mapping):
        raise ConfigError(f"a JSON Schema has {node!r} at {place}", hint="write an object there")
    _check_keywords(node, place)
    if "$ref" in node:
        return core_schema.definition_reference_schema(_name_in(node["$ref"]))
    if "anyOf" in node:
        return _union([_core(each, place) for each in node["anyOf"]])
    if "enum" in node or "const" in node:
        return _one_of(node.get("enum", [node.get("const")]), node, place)
    if types := types_of(node):
        return _union([_typed(each, node, place) for each in types])
    return core_schema.any_schema()


def _check_keywords(node: Node, place: str) -> None:
    strange = sorted(node.keys() - _KNOWN)
    if node.keys() & {"anyOf", "$ref"}:
        strange = strange or sorted(node.keys() - _BESIDE_A_CHOICE)
    if not (types_of(node) or node.keys() & {"anyOf", "$ref", "enum", "const"}):
        strange = strange or sorted(node.keys() - {"$defs", "description"})  # a bound on values of no type
    if strange:
        raise ConfigError(
            f"a JSON Schema has {strange[0]!r} at {place}, which cannot be checked here",
            hint="leave it out, give its node a type, or write the shape as a pydantic model",
        )


def types_of(node: Node) -> list[str]:
    """The types that a node admits, by name or by what it speaks of; empty where it admits any."""
    named = node.get("type")
    if named is None:
        return ["object"] if "properties" in node else ["array"] if "items" in node else []
    return [named] if isinstance(named, str) else list(named)


def _union(choices: list[CoreSchema]) -> CoreSchema:
    """The first choice that fits, so that equal replies are read alike whatever else would fit."""
    return choices[0] if len(choices) == 1 else core_schema.union_schema([*choices], mode="left_to_right")


def _one_of(values: Sequence[Any], node: Node, place: str) -> CoreSchema:
    """One of some scalars. Numbers are apart from the rest, as 1 equals true in Python and 1.0 equals 1 in JSON."""
    if not values or not all(value is None or isinstance(value, (str, int, float)) for value in values):
        raise ConfigError(f"a JSON Schema has 'enum' at {place} with none or more than scalars", hint="list scalars")
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    others = [value for value in values if value is None or isinstance(value, (str, bool))]
    choices: list[CoreSchema] = [core_schema.literal_schema(others)] if others else []
    if numbers:
        whole = "number" not in types_of(node) and all(isinstance(value, int) for value in numbers)
        kind = core_schema.int_schema(strict=True) if whole else core_schema.float_schema(strict=True)
        pinned = [value if whole else float(value) for value in numbers]
        choices.append(core_schema.chain_schema([kind, core_schema.literal_schema(pinned)]))
    return _union(choices)


def _typed(name: str, node: Node, place: str) -> CoreSchema:
    if name == "object":
        return _object(node, place)
    if name == "array":
        items = _core(node.get("items", True), f"{place}[]")
        return core_schema.list_schema(items, min_length=node.get("minItems"), max_length=node.get("maxItems"))
    if name == "string":
        return _string(node, place)
    if name == "integer":
        return _integer(node)
    if name == "number":
        low, high, above, below = (node.get(key) for key in _BOUNDS["number"])
        return core_schema.float_schema(allow_inf_nan=False, strict=True, ge=low, le=high, gt=above, lt=below)
    if name == "boolean":
        return core_schema.bool_schema(strict=True)
    if name == "null":
        return core_schema.none_schema()
    raise ConfigError(f"a JSON Schema has type {name!r} at {place}", hint="object, array, string, number, …")


def _object(node: Node, place: str) -> CoreSchema:
    extra = node.get("additionalProperties", True)
    if "properties" not in node and extra is not False:
        return core_schema.dict_schema(core_schema.str_schema(), _core(extra, f"{place}.*"), strict=True)
    fields = {
        name: core_schema.typed_dict_field(_core(each, f"{place}.{name}"), required=True)
        for name, each in node.get("properties", {}).items()
    }
    if extra is False:
        return core_schema.typed_dict_schema(fields, extra_behavior="forbid")
    return core_schema.typed_dict_schema(fields, extra_behavior="allow", extras_schema=_core(extra, f"{place}.*"))


def _string(node: Node, place: str) -> CoreSchema:
    wanted = core_schema.str_schema(
        strict=True, min_length=node.get("minLength"), max_length=node.get("maxLength"), pattern=node.get("pattern")
    )
    try:
        SchemaValidator(wanted)
    except SchemaError as error:
        raise ConfigError(
            f"a JSON Schema has a string with 'pattern' or length at {place} that cannot be used: {error}",
            hint="patterns may not look around or back",
        ) from error
    return wanted


def _integer(node: Node) -> CoreSchema:
    """Bounds in whole numbers: a JSON Schema may bound an integer by 0.5."""
    low, high, above, below = (node.get(key) for key in _BOUNDS["number"])
    return core_schema.int_schema(
        strict=True,
        ge=None if low is None else math.ceil(low),
        le=None if high is None else math.floor(high),
        gt=None if above is None else math.floor(above),
        lt=None if below is None else math.ceil(below),
    )

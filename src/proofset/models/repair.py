"""What was meant: values bent to a schema, and JSON found in a text that is almost JSON.

Both only propose. What they make is believed when it validates, and neither supplies a value that was not said.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proofset.models.schemas import Node, target, types_of

MISFIT = 1_000_000
"""Cost of a value that no coercion makes fit; far above what changes to one that fits can sum up to."""
_MOST_STEPS = 20_000
"""Nodes looked at for one reply; recursive schemas with many choices could otherwise be walked without end."""
_MOST_STARTS = 64
"""Opening brackets tried in one text."""
_EXACT = 2**53
"""Below it every whole number is a float."""

_NUMBER = re.compile(r"\s*[+-]?\d{1,300}(?:\.\d{1,300})?(?:[eE][+-]?\d{1,3})?\s*", re.ASCII)

Bent = tuple[Any, int]

# --- values --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Coercion:
    """One value bent to a schema: "9" to 9, a lone item to a list, a label's case to the one that was asked for.

    ``fill`` puts None where an optional property was left out; without it such a property is left to the model class.
    """

    schema: Node
    fill: bool
    _steps: int = field(default=0, init=False)

    def bend(self, value: Any) -> Bent:
        """The value and what it cost: 0 unchanged, 1 a change, ``MISFIT`` or more where something does not fit."""
        try:
            return self._bend(value, self.schema)
        except RecursionError:  # JSON may be nested deeper than a stack is; the validator decides
            return value, MISFIT

    def _bend(self, value: Any, node: Any, *, wrap: bool = True) -> Bent:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            return value, MISFIT
        if not isinstance(node, Mapping):
            return value, 0
        if "$ref" in node:
            return self._bend(value, target(self.schema, node["$ref"]), wrap=wrap)
        if value is None and node.get("nullable"):
            return value, 0
        if choices := node.get("anyOf") or node.get("oneOf"):
            return _cheapest(self._bend(value, each, wrap=wrap) for each in choices)
        if "enum" in node or "const" in node:
            return _chosen(value, node.get("enum", [node.get("const")]))
        kinds = types_of(node)
        return _cheapest(self._typed(value, node, each, wrap) for each in kinds) if kinds else (value, 0)

    def _typed(self, value: Any, node: Node, kind: str, wrap: bool) -> Bent:
        if kind == "object":
            return self._object(value, node) if isinstance(value, dict) else (value, MISFIT)
        if kind == "array":
            return self._array(value, node, wrap)
        return _SCALARS[kind](value) if kind in _SCALARS else (value, 0)

    def _array(self, value: Any, node: Node, wrap: bool) -> Bent:
        lone = not isinstance(value, list)
        if lone and (not wrap or value is None or (isinstance(value, str) and value.lstrip().startswith("["))):
            return value, MISFIT  # a list within a string is no single item
        items = [value] if lone else value
        bent = [self._bend(each, node.get("items", True), wrap=not lone) for each in items]
        return [each for each, _ in bent], int(lone) + sum(cost for _, cost in bent)

    def _object(self, value: dict[str, Any], node: Node) -> Bent:
        properties, required = node.get("properties", {}), node.get("required", ())
        other = node.get("additionalProperties", not (self.fill and properties))
        kept: dict[str, Any] = {}
        paid = 0
        for name, item in value.items():
            bent, cost = self._bend(item, properties.get(name, other))
            strange = other is False and name not in properties and name not in required
            if strange or (not self.fill and self._is_absent(name, item, node)):
                paid += 1  # nobody asked for it, or it says null for "not given"
                continue
            kept[name] = bent
            paid += 0 if item is None and name not in required else cost
        for name in properties:
            if name not in value and name in required:
                paid += MISFIT
            elif name not in value and self.fill:
                kept[name], paid = None, paid + 1
        return kept, paid

    def _is_absent(self, name: str, item: Any, node: Node) -> bool:
        """Whether null stands for an optional property that was left out, and not for a value it may have."""
        properties = node.get("properties", {})
        optional = item is None and name in properties and name not in node.get("required", ())
        return optional and self._bend(None, properties[name])[1] >= MISFIT


def _cheapest(bent: Iterator[Bent]) -> Bent:
    """The first of those that changed least."""
    best: Bent | None = None
    for each in bent:
        if best is None or each[1] < best[1]:
            best = each
        if best[1] == 0:
            break
    assert best is not None
    return best


def _chosen(value: Any, options: Sequence[Any]) -> Bent:
    """The option that is meant: the same, or the only one that is the same but for case and space around it."""
    for option in options:
        if type(option) is type(value) and option == value:
            return option, 0
    if isinstance(value, (dict, list)):
        return value, MISFIT
    alike = [option for option in options if _folded(option) == _folded(value)]
    return (alike[0], 1) if len(alike) == 1 else (value, MISFIT)


def _folded(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value.strip().casefold() if isinstance(value, str) else json.dumps(value)


def _string(value: Any) -> Bent:
    return value, 0 if isinstance(value, str) else MISFIT


def _null(value: Any) -> Bent:
    return value, 0 if value is None else MISFIT


def _boolean(value: Any) -> Bent:
    if isinstance(value, str) and value.strip().casefold() in ("true", "false"):
        return value.strip().casefold() == "true", 1
    return value, 0 if isinstance(value, bool) else MISFIT


def _number(value: Any) -> Bent:
    if isinstance(value, str) and _NUMBER.fullmatch(value) and math.isfinite(float(value)):
        return float(value), 1
    return value, 0 if isinstance(value, (int, float)) and not isinstance(value, bool) else MISFIT


def _integer(value: Any) -> Bent:
    if isinstance(value, int) and not isinstance(value, bool):
        return value, 0
    if isinstance(value, str) and value.strip().lstrip("+-").isdecimal() and _NUMBER.fullmatch(value):
        return int(value), 1
    number, cost = _number(value)
    if cost < MISFIT and number.is_integer() and abs(number) < _EXACT:
        return int(number), 1
    return value, MISFIT


_SCALARS = {"string": _string, "null": _null, "boolean": _boolean, "number": _number, "integer": _integer}

# --- text ----------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""
    (?P<space>   \s+ )
  | (?P<double>  " [^"\\]*+ (?: \\. [^"\\]*+ )*+ " )
  | (?P<single>  ' (?: [^'\\] | \\. | ' (?! \s* (?: [,:}\]] | \Z ) ) )*+ ' )  # an apostrophe is not an end
  | (?P<number>  -? \d+ (?: \.\d+ )? (?: [eE][+-]?\d+ )? (?! [\w.] ) )
  | (?P<word>    (?: true | false | null | True | False | None | -?Infinity | NaN ) \b )  # the last two: refused later
  | (?P<mark>    [\[\]{},:] )
  | (?P<fence>   ``` )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_PYTHON = {"True": "true", "False": "false", "None": "null"}
_OPENER = re.compile(r"[\[{]")
_PROSE_TOKENS = 2
"""As many tokens may look like JSON in a bracket of prose: ``[1 of them]``."""
_CLOSER = {"{": "}", "[": "]"}
_ESCAPE = re.compile(r'\\u[0-9a-fA-F]{4}|\\.|["\x00-\x1f]', re.DOTALL)


def json_in(text: str) -> Iterator[str]:
    """The outermost objects and arrays in a text, each mended to JSON: in order, and none within another.

    Fences, prose and what was thought aloud are passed over. Mended are trailing commas, single quotes, Python's True,
    False and None, raw line ends in strings, and brackets left open. A string that is left open is not: its end is
    unknown.
    """
    thought = text.find("</think>")  # what ends before it is a draft; what runs across it has the tag in a string
    at = max(thought, 0) if text.lstrip().startswith("<think>") else 0
    for _ in range(_MOST_STARTS):
        start = _OPENER.search(text, at)
        if start is None:
            return
        mended, at = _mended(text, start.start())
        if mended and at > thought:
            yield mended
        elif not mended and start.start() < thought < at:
            at = thought


def _mended(text: str, start: int) -> tuple[str, int]:
    """The value that opens at ``start`` as JSON text, and where to look for the next; an empty text where it is none.

    A bracket of prose is passed over. What began as JSON and is broken ends the search: a part of it is not the answer.
    Tokens are joined by spaces: two numbers without a comma are a fault, and must not become one number.
    """
    out: list[str] = []
    still_open: list[str] = []
    at = start
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token and token.lastgroup == "fence":
            break
        if token is None or not _take(token, out, still_open):
            return "", start + 1 if len(out) <= _PROSE_TOKENS else len(text)
        at = token.end()
        if not still_open:
            return " ".join(out), at
    while still_open:
        _shut(out, still_open)
    return " ".join(out), at


def _take(token: re.Match[str], out: list[str], still_open: list[str]) -> bool:
    """Write one token, and close what it shows to be over; False for a bracket that closes nothing."""
    said = token.group()
    if token.lastgroup in ("double", "single"):
        out.append(f'"{_ESCAPE.sub(_escaped, said[1:-1])}"')
    elif said in _CLOSER:
        still_open.append(_CLOSER[said])
        out.append(said)
    elif said in ("}", "]"):
        if said not in still_open:
            return False
        while still_open[-1] != said:
            _shut(out, still_open)
        _shut(out, still_open)
    elif token.lastgroup != "space":
        out.append(_PYTHON.get(said, said))
    return True


def _shut(out: list[str], still_open: list[str]) -> None:
    if out[-1] == ",":
        out.pop()
    out.append(still_open.pop())


def _escaped(found: re.Match[str]) -> str:
    """One escape or forbidden character of a string, as JSON has it."""
    said = found.group()
    if said == r"\'":
        return "'"
    if len(said) == 6 or (said[0] == "\\" and said[1] in '"\\/bfnrt'):
        return said
    return json.dumps(said)[1:-1]  # a raw line end, a quote, or a backslash that escapes nothing

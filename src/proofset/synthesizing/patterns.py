"""Patterns that strangers wrote: sound, quick on every text, and what can be said of what they match.

Python's engine tries all ways to match, which may take exponential time when one unbounded repeat holds another, or
choices that begin alike, and polynomial time of a high degree when many follow each other. Such patterns are refused
by their structure before they are ever run; what is left runs over texts of bounded length.
"""

from __future__ import annotations

import importlib
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

SCANNED = 4000
"""Characters of a text that patterns are run over."""
UNBOUNDED = 16
"""Times from which a repeat counts as unbounded."""
MOST_UNBOUNDED = 3
"""Unbounded repeats a pattern may have: with k of them, time may grow with the length to the power of k + 1."""
MOST_WAYS = 100_000
"""Ways in which its other repeats and choices may divide a text."""

_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_AROUND = ("{}", "one {} two", "one{}two")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a pattern, and what to do about it."""

    what: str
    hint: str


def fault_in(pattern: str) -> Fault | None:
    """What is wrong with a pattern: it cannot be read, or may take for ever. None where nothing is.

    When it lies: it is stricter than need be; some patterns that it refuses are quick.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python warns of will mean something else some day
            re.compile(pattern, re.IGNORECASE)
            parsed = _parsed(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        return Fault(f"no regular expression: {error}", "see the syntax of Python's re")
    if any(_ambiguous(body) for _, body, most in _repeats(parsed) if most >= UNBOUNDED):
        return Fault("a repeat within a repeat may take for ever", "leave out the inner * or +, or choices in it")
    unbounded, log_ways = _cost(parsed)
    if unbounded > MOST_UNBOUNDED:
        return Fault(f"{unbounded} unbounded repeats may take for ever", f"use at most {MOST_UNBOUNDED} of * and +")
    if log_ways > math.log(MOST_WAYS):
        return Fault("so many options may take for ever", "use fewer ? and {…}, or several rules")
    return None


def literal_of(pattern: str) -> str:
    """The text that a pattern is, when it has no special characters in it; else empty."""
    nodes = list(_parsed(pattern)) if pattern else []
    if any(str(code) != "LITERAL" for code, _ in nodes):
        return ""
    return "".join(chr(argument) for _, argument in nodes)


def surely_found(pattern: str, literal: str) -> bool:
    """Whether a pattern is found in a text because ``literal`` is: alone, among words, and within one."""
    return all(re.search(pattern, around.format(literal), re.IGNORECASE) for around in _AROUND)


@lru_cache(maxsize=256)
def _parsed(pattern: str) -> Any:
    return importlib.import_module("re._parser").parse(pattern, re.IGNORECASE)


def _parts(argument: Any) -> Iterator[Any]:
    """The sequences of nodes that a node holds, however deep its tuples and lists."""
    if hasattr(argument, "getwidth"):
        yield argument
    elif isinstance(argument, tuple | list):
        for each in argument:
            yield from _parts(each)


def _repeats(nodes: Any) -> Iterator[tuple[int, Any, int]]:
    """Least times, body and most times of every repeat in a pattern, at any depth."""
    for code, argument in nodes:
        if str(code) in _REPEATS:
            yield int(argument[0]), argument[2], int(argument[1])
        for part in _parts(argument):
            yield from _repeats(part)


def _branches(nodes: Any) -> Iterator[list[Any]]:
    for code, argument in nodes:
        if str(code) == "BRANCH":
            yield argument[1]
        for part in _parts(argument):
            yield from _branches(part)


def _ambiguous(body: Any) -> bool:
    """Whether one text may be read in several ways as one turn, or as several turns, of a repeat of ``body``."""
    if any(least != most for least, _, most in _repeats(body)):
        return True
    return any(_alike(choices) for choices in _branches(body))


def _alike(choices: list[Any]) -> bool:
    """Whether two choices may begin alike: all are told apart by their first character otherwise."""
    first = [str(choice[0][1]) if len(choice) and str(choice[0][0]) == "LITERAL" else "" for choice in choices]
    return "" in first or len(set(first)) < len(first)


def _cost(nodes: Any) -> tuple[int, float]:
    """Unbounded repeats, each as often as it may be repeated itself, and the logarithm of the ways of all others."""
    unbounded, log_ways = 0, 0.0
    for code, argument in nodes:
        if str(code) == "BRANCH":
            costs = [_cost(choice) for choice in argument[1]]
            unbounded += max(cost[0] for cost in costs)
            log_ways += max(cost[1] for cost in costs) + (math.log(len(costs)) if _alike(argument[1]) else 0.0)
            continue
        inside = [_cost(part) for part in _parts(argument)]
        times = 1
        if str(code) in _REPEATS and argument[1] >= UNBOUNDED:
            unbounded += argument[0] != argument[1]
        elif str(code) in _REPEATS:
            times = argument[1]
            log_ways += math.log(argument[1] - argument[0] + 1)
        unbounded += times * sum(cost[0] for cost in inside)
        log_ways += times * sum(cost[1] for cost in inside)
    return unbounded, log_ways

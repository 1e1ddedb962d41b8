"""The constitution: a domain's numbered rules, which a judge must cite, and the cheap ones among them as patterns.

A TOML file, one ``[[rule]]`` each::

    [[rule]]
    number = 1
    text = "No ticket numbers."
    forbid = "#[0-9]{4}"
    example = "my ticket is #1234"

``text`` is for people and models. A text that ``forbid`` is found in breaks the rule, and so does one that ``require``
is not found in. ``slices`` names those that a rule is about, all when it is left out. ``example`` is a text that breaks
the rule. Patterns are Python's, found anywhere and in any case of letters; ``(?-i:…)`` heeds the case.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from proofset.errors import ConfigError, RecordError
from proofset.nouns.candidate import Brief, Candidate, Verdict
from proofset.stats import wilson
from proofset.synthesizing.gates import accept, reject
from proofset.synthesizing.patterns import SCANNED, fault_in, literal_of, surely_found

SUSPICIOUS = 0.2
"""Share of organic records a rule may refuse before the rule or the data must be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One numbered rule; cheap when it has a pattern, else for models and people alone."""

    number: int
    text: str
    forbid: str = ""
    """Pattern that a text must not hold; empty for none."""
    require: str = ""
    """Pattern that a text must hold; empty for none."""
    slices: tuple[str, ...] = ()
    """Slices that it is about; empty for all."""
    example: str = ""
    """A text that breaks it, for putting judges on trial; empty where there is none."""

    @property
    def cheap(self) -> bool:
        """Whether a pattern decides it."""
        return bool(self.forbid or self.require)

    def about(self, slice_name: str) -> bool:
        """Whether it holds for a slice."""
        return not self.slices or slice_name in self.slices

    def broken_by(self, text: str) -> bool:
        """Whether the patterns say that ``text`` breaks it: its first 4,000 characters, in any case of letters."""
        if self.forbid and _found(self.forbid, text):
            return True
        return bool(self.require) and not _found(self.require, text)


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text[:SCANNED], re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTried:
    """What a cheap rule does to organic records of the slices that it is about."""

    number: int
    refused: int
    n: int
    low: float
    """Lower end of the 95 % Wilson interval of the share refused; 0 without records."""
    high: float
    """Upper end of it; 1 without records."""

    @property
    def sentence(self) -> str:
        """What is wrong, where more than 20 % are refused; else empty."""
        if self.refused <= SUSPICIOUS * self.n:
            return ""
        share = f"{self.refused / self.n:.0%} of {self.n} organic records ({self.low:.0%} to {self.high:.0%})"
        return f"Rule {self.number} refuses {share}: either the rule is wrong or the data is."


@dataclass(frozen=True, slots=True)
class Constitution:
    """The rules of a domain, by number."""

    rules: tuple[Rule, ...]

    @classmethod
    def read(cls, path: Path) -> Constitution:
        """Read and check a file of rules.

        Raises ConfigError for a file that is missing, no TOML or empty, and for two rules that cannot both hold;
        RecordError, with file, number and field, for a rule that is not sound.
        """
        rules: dict[int, Rule] = {}
        for place, table in enumerate(_tables(path), start=1):
            rule = _rule(table, place, path)
            if rule.number in rules:
                raise RecordError(f"there are two rules {rule.number}", path=path, field="number", hint="renumber one")
            rules[rule.number] = rule
        _check_contradictions(tuple(rules.values()), path)
        return cls(tuple(rules[number] for number in sorted(rules)))

    def about(self, slice_name: str) -> tuple[Rule, ...]:
        """The rules that hold for a slice."""
        return tuple(rule for rule in self.rules if rule.about(slice_name))

    def words(self, slice_name: str) -> str:
        """The rules for a slice, one a line with its number, for a model's prompt; empty where there are none."""
        return "\n".join(f"{rule.number}. {rule.text}" for rule in self.about(slice_name))

    def check_against(self, organic: Sequence[tuple[str, str]]) -> tuple[RuleTried, ...]:
        """Try every cheap rule on ``organic``, (slice, text), of the slices it is about.

        The ``sentence`` of what comes back says which rules refuse too many.
        """
        tried = []
        for rule in filter(lambda each: each.cheap, self.rules):
            texts = [text for slice_name, text in organic if rule.about(slice_name)]
            refused = sum(map(rule.broken_by, texts))
            low, high = wilson(refused, len(texts)) if texts else (0.0, 1.0)
            tried.append(RuleTried(number=rule.number, refused=refused, n=len(texts), low=low, high=high))
        return tuple(tried)


def _tables(path: Path) -> list[Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "synthesize.gates.constitution names it, relative to the study"
        raise ConfigError(f"{path}: {error.strerror}", hint=hint) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}", hint="it must be TOML in UTF-8") from error
    if unknown := sorted(set(found) - {"rule"}):
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}", hint="each rule is a table under [[rule]]")
    tables = found.get("rule", [])
    if not isinstance(tables, list) or not tables:
        raise ConfigError(f"{path}: no rules in it", hint="write each as a table under [[rule]]")
    return tables


def _rule(table: Any, place: int, path: Path) -> Rule:
    """The rule of one table; ``place`` stands in for a number that is missing."""
    given: Mapping[str, Any] = table if isinstance(table, dict) else {}
    number = given.get("number")

    def wrong(field: str, what: str, hint: str) -> RecordError:
        name = f"rule {number}" if number is not None else f"[[rule]] {place} of the file"
        return RecordError(f"{name}: {what}", path=path, field=field, hint=hint)

    known = [field.name for field in fields(Rule)]
    if unknown := sorted(set(given) - set(known)):
        raise wrong(unknown[0], "unknown key", f"known: {', '.join(known)}")
    if type(number) is not int or number < 1:
        raise wrong("number", "no whole number from 1", "number = 1; judges cite it")
    for field in ("text", "forbid", "require", "example"):
        value = given.get(field)
        if (field in given or field == "text") and not (isinstance(value, str) and value.strip()):
            raise wrong(field, "no text in it", f'{field} = "…"')
    slices = given.get("slices", ["all"])
    if not isinstance(slices, list) or not slices or not all(isinstance(each, str) and each for each in slices):
        raise wrong("slices", "no list of names", 'slices = ["…"], or leave it out for all')
    for field in ("forbid", "require"):
        if field in given and (fault := fault_in(given[field])):
            raise wrong(field, fault.what, fault.hint)
    rule = Rule(**{**given, "slices": tuple(given.get("slices", ()))})
    if rule.cheap and rule.example and not rule.broken_by(rule.example):
        raise wrong("example", "it does not break the rule", "give a text that the patterns refuse")
    return rule


def _check_contradictions(rules: Sequence[Rule], path: Path) -> None:
    for asking, refusing in _pairs(rules):
        same = asking.require == refusing.forbid
        literal = literal_of(asking.require)
        if same or (literal and surely_found(refusing.forbid, literal)):
            which = f"rule {asking.number} requires {asking.require!r}"
            message = f"{path}: {which}, and rule {refusing.number} forbids it by {refusing.forbid!r}"
            raise ConfigError(message, hint="no text keeps both: change one, or give them different slices")


def _pairs(rules: Sequence[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """A rule that requires and one that forbids, for some slice in common; they may be the same."""
    for asking in rules:
        for refusing in rules:
            shared = not asking.slices or not refusing.slices or not set(asking.slices).isdisjoint(refusing.slices)
            if asking.require and refusing.forbid and shared:
                yield asking, refusing


class ConstitutionGate:
    """Does it keep the cheap rules? Reason: breaks a rule. Evidence: the numbers of all it breaks.

    When it lies: a pattern sees words and no meaning, and nothing beyond the first 4,000 characters.
    """

    name = "constitution"

    def __init__(self, constitution: Constitution) -> None:
        """Judge by the rules that have a pattern."""
        self._rules = tuple(rule for rule in constitution.rules if rule.cheap)

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse a text that breaks a cheap rule of the brief's slice."""
        broken = [rule for rule in self._rules if rule.about(brief.slice) and rule.broken_by(candidate.text)]
        if not broken:
            return accept(self.name, candidate)
        critique = "; ".join(f"rule {rule.number}: {rule.text}" for rule in broken)
        return reject(self.name, candidate, "breaks a rule", critique, *(str(rule.number) for rule in broken))

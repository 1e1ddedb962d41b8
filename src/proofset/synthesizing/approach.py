"""How the next briefs of a slice go about it: which strategy, against which rival, with which lessons in mind.

An approach is settled for a block of briefs that share a prompt, when the first of them is opened, from what was closed
by then. Openings and closings have one order in every run, so approaches have too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proofset.nouns.candidate import FEW_SHOT, Brief, Candidate, Verdict
from proofset.synthesizing.planning import Bandit
from proofset.synthesizing.strategies import Strategy

WRITTEN_COSTS = 4
"""A character that is written costs as much as this many that are read: what most price lists come to."""
LESSONS = 3
"""Reasons for refusal that are told to the next briefs."""
RISE, FALL = 4, 12
"""Candidates in a row that the judges agreed with and the student knew, after which the next briefs are harder; and
other refusals in a row after which they are easier again."""

WORDS = {
    "off label": "it belonged to {rival} and not here",
    "duplicate": "it repeated one that was there already",
    "near paraphrase": "it said the same as one that was there already",
    "copy of organic": "it repeated a real record",
    "copies an anchor": "it repeated one of the examples",
    "too short": "it was too short",
    "too long": "it was too long",
    "truncated": "it did not come to an end",
    "repeats itself": "it said the same words again and again",
    "degenerate": "it did not read like real text",
    "wrong language": "it was in the wrong language",
    "drifted": "it had nothing to do with the real records",
    "too easy": "it was too plain a case",
}
"""Reasons of refusal as a writer is told them."""


@dataclass(frozen=True, slots=True)
class Approach:
    """How a block of briefs goes about it."""

    strategy: str = FEW_SHOT
    rival: str = ""
    """The slice that candidates are most often taken for; empty where none is known."""
    lessons: tuple[str, ...] = ()
    """What was refused lately and why, in words."""
    difficulty: int = 0


@dataclass(kw_only=True)
class Planner:
    """Settles approaches for one slice, and learns from what becomes of its briefs."""

    strategies: Sequence[Strategy]
    seed: str
    block: int
    """Briefs that share an approach."""
    rivals: Sequence[str] = ()
    """Confusable slices, the nearest first."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """What people call them, for the lessons; one that is not in it goes by its name."""
    adversarial: bool = False
    """Whether the briefs are to become harder while the student copes."""
    difficulty: int = 0
    _settled: list[Approach] = field(default_factory=list)
    _refused: Counter[str] = field(default_factory=Counter)
    _taken_for: Counter[str] = field(default_factory=Counter)
    _known, _failed = 0, 0

    def __post_init__(self) -> None:
        self._bandit = Bandit([each.name for each in self.strategies], self.seed)

    def approach(self, number: int) -> Approach:
        """The approach of brief ``number``; numbers are asked for in order."""
        block = number // self.block
        while len(self._settled) <= block:
            self._settled.append(self._next(len(self._settled)))
        return self._settled[block]

    def _next(self, block: int) -> Approach:
        rival = max(self._taken_for, key=lambda name: (self._taken_for[name], name), default="")
        rival = rival or (self.rivals[0] if self.rivals else "")
        refused, known_as = self._refused.most_common(LESSONS), self.titles.get(rival, rival)
        lessons = tuple(WORDS[reason].format(rival=known_as or "something else") for reason, _ in refused)
        self._refused.clear()
        return Approach(self._strategy(block), rival, lessons, self.difficulty)

    def _strategy(self, block: int) -> str:
        able = [each.name for each in self.strategies if each.difficulty >= self.difficulty]
        if self.adversarial and self.difficulty and able:
            return able[block % len(able)]
        return self._bandit.choose(block)

    def learn(self, brief: Brief, candidate: Candidate | None, verdict: Verdict | None, reward: float) -> None:
        """What became of a brief: its candidate, the verdict that refused it, and what it is worth in [0, 1]."""
        written = len(candidate.text) if candidate else 0
        asked = sum(len(message.content) for message in brief.messages) or len(brief.prompt) - brief.shared_chars
        self._bandit.learn(brief.strategy, reward, float(asked + WRITTEN_COSTS * written + 1))
        if verdict is not None and verdict.reason in WORDS:
            self._refused[verdict.reason] += 1
            taken_for = verdict.evidence[0] if verdict.evidence else ""
            if verdict.reason == "off label" and taken_for in self.rivals:  # some judges cite rules, or other judges
                self._taken_for[taken_for] += 1

    def student_knew(self, knew: bool) -> None:
        """A candidate that the other judges agreed with was, or was not, easy for the student."""
        self._failed, self._known = 0, self._known + 1 if knew else 0
        if self.adversarial and self._known >= RISE:
            self.difficulty, self._known = min(self.difficulty + 1, self._hardest), 0

    def refused(self) -> None:
        """A candidate was refused: past a certain point the briefs ask for what nobody can write."""
        self._failed += 1
        if self._failed >= FALL:
            self.difficulty, self._failed = max(self.difficulty - 1, 0), 0

    @property
    def _hardest(self) -> int:
        return max(each.difficulty for each in self.strategies)

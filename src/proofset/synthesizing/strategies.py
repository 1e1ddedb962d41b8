"""Strategies: ways to write a brief. Which one suits a slice is found out while it is written for.

A strategy says what a brief shows and where the candidate begins; the composer does it. ``crossing`` begins with the
words of a record that belongs to the rival slice and asks for one of this slice: what comes out lies near the border.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from proofset.errors import ConfigError
from proofset.nouns.candidate import FEW_SHOT

RIVAL_RECORDS = 3
"""Records of the rival slice that a brief shows before its own."""
SHORT_OPENING = 2
"""Most words that a titled line is begun with: what the line is about stands there already."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """What a brief shows, and where the candidate begins."""

    name: str
    titled: bool = False
    """Whether every line begins with what its slice is called."""
    contrast: bool = False
    """Whether records of the rival slice are shown first, under its own heading."""
    opening: Literal["own", "rival", "none"] = "own"
    """Whose first words the candidate goes on from."""
    rising: bool = False
    """Whether records are shown from the shortest to the longest, and the heading says that each goes further."""
    persona: bool = False
    """Whether the heading says who writes, out of the study's personas."""
    difficulty: int = 0
    """How near the border its candidates lie; the adversary asks for the harder ones."""


STRATEGIES: Mapping[str, Strategy] = {
    each.name: each
    for each in (
        Strategy(FEW_SHOT),
        Strategy("titled", titled=True),
        Strategy("free", titled=True, opening="none", difficulty=1),
        Strategy("contrast", contrast=True, difficulty=1),
        Strategy("persona", persona=True),
        Strategy("evolve", rising=True, opening="none", difficulty=1),
        Strategy("crossing", titled=True, opening="rival", difficulty=2),
    )
}
"""The strategies there are, by name."""


def named(names: Sequence[str]) -> tuple[Strategy, ...]:
    """The strategies of these names. Raises ConfigError that lists the names there are."""
    unknown = [name for name in names if name not in STRATEGIES]
    if unknown:
        raise ConfigError(
            f"synthesize.strategies: no strategy is called {unknown[0]!r}", hint=f"known: {', '.join(STRATEGIES)}"
        )
    return tuple(STRATEGIES[name] for name in names)

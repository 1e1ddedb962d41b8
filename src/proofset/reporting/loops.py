"""Loops on real text in the terminal: what each policy does to a model that is trained on its own words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from proofset.reporting.terminal import table
from proofset.reporting.words import count, number, percent

if TYPE_CHECKING:
    from rich.console import RenderableType

    from proofset.measuring.text_loops import TextLoop

POLICIES = {
    "replace": "trained on the texts of the model before, and nothing else",
    "anchored": "the same with every tenth text organic, always the same ones",
    "verified": "the best of four texts each, as a critic of words sees it",
    "accumulate": "trained on the organic texts and all that were ever made",
}
"""What the next model is trained on."""


def loops_view(loops: Sequence[TextLoop]) -> RenderableType:
    """One table a policy: perplexity of held-out text, words known, rare words alive, generation by generation."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for loop in loops:
        rows = table("", "generation", "perplexity", "words", "rare ones alive", "frequent ones", "distinct-2")
        rows.title = None
        for each in loop.generations:
            rows.add_row(
                str(each.number), number(each.perplexity), count(each.vocabulary), percent(each.alive[0]),
                percent(each.alive[2]), number(each.distinct_2),
            )  # fmt: skip
        worse = f"{loop.policy}: held-out text is {number(loop.worsened)} times as perplexing in the end"
        parts += [Text(worse, style="bold"), Text(POLICIES.get(loop.policy, ""), style="dim"), rows, Text("")]
    return Group(*parts[:-1])

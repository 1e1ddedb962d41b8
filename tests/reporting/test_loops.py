"""A loop on text, told in the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from proofset.measuring.text_loops import POLICIES as KNOWN
from proofset.measuring.text_loops import TextGeneration, TextLoop
from proofset.reporting.loops import POLICIES, loops_view


def loop(policy: str, *perplexities: float) -> TextLoop:
    generations = tuple(
        TextGeneration(number=at, perplexity=each, vocabulary=900 - at, alive=(0.5, 0.8, 1.0), distinct_2=0.4)
        for at, each in enumerate(perplexities)
    )
    return TextLoop(policy=policy, generations=generations)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [80, 120])
def test_every_generation_and_what_came_of_it_is_told(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(loops_view([loop("replace", 205.0, 410.0), loop("accumulate", 205.0, 307.5)]))
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "replace: held-out text is 2.00 times as perplexing in the end" in told
    assert "accumulate: held-out text is 1.50 times" in told
    assert "899" in told and "50.0" in told
    assert max(len(line) for line in told.splitlines()) <= width


def test_every_policy_is_explained() -> None:
    assert set(POLICIES) == set(KNOWN)

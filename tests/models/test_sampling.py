"""Tokens are drawn as llama.cpp draws them: filters first, temperature last, and by the request's own dice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.models.sampling import _best, dice, draw
from proofset.plugins import Request

FREE = Request(prompt="", max_tokens=1, temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, seed=1)
SCORES = np.log(np.array([0.1, 0.4, 0.05, 0.25, 0.2], dtype=np.float32))


def drawn(request: Request, scores: np.ndarray = SCORES, n: int = 4000) -> dict[int, float]:
    rng = dice(request)
    return {token: count / n for token, count in Counter(draw(scores, request, rng) for _ in range(n)).items()}


def test_without_filters_tokens_come_by_their_probability() -> None:
    found = drawn(FREE)
    assert [found[token] for token in range(5)] == pytest.approx([0.1, 0.4, 0.05, 0.25, 0.2], abs=0.03)


def test_greed_takes_the_best() -> None:
    assert drawn(replace(FREE, temperature=0.0), n=10) == {1: 1.0}


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"top_k": 2}, {1, 3}),
        ({"top_k": 9}, {0, 1, 2, 3, 4}),
        ({"top_p": 0.5}, {1, 3}),  # the token that reaches the share is in
        ({"top_p": 0.3}, {1}),
        ({"top_p": 0.9}, {1, 3, 4, 0}),
        ({"min_p": 0.45}, {1, 3, 4}),
        ({"top_k": 3, "top_p": 0.45}, {1}),  # the nucleus is one of the three that are left: 0.4 of 0.85
        ({"top_k": 3, "top_p": 0.5}, {1, 3}),
    ],
)
def test_filters_leave(changes: dict[str, float], left: set[int]) -> None:
    assert drawn(replace(FREE, **changes)).keys() == left  # type: ignore[arg-type]


def test_temperature_comes_last() -> None:
    cold = drawn(replace(FREE, temperature=0.5, min_p=0.45))  # 0.2 would fall to the filter, were it cooled before
    weights = np.array([0.4, 0.25, 0.2]) ** 2
    assert [cold[token] for token in (1, 3, 4)] == pytest.approx(list(weights / weights.sum()), abs=0.03)


def test_equal_requests_draw_equally_and_others_do_not() -> None:
    def line(request: Request) -> list[int]:
        rng = dice(request)
        return [draw(SCORES, request, rng) for _ in range(20)]

    assert line(FREE) == line(FREE)
    assert line(FREE) != line(replace(FREE, seed=2))
    assert line(FREE) != line(replace(FREE, sample=1))
    assert line(replace(FREE, seed=-1)) == line(replace(FREE, seed=-1))


@given(
    st.lists(st.integers(-30, 30), min_size=1, max_size=700),
    st.integers(0, 80),
)
def test_the_best_are_what_a_plain_sort_says(numbers: list[int], k: int) -> None:
    scores = np.array(numbers, dtype=np.float32)
    plain = sorted(range(len(numbers)), key=lambda token: (-numbers[token], token))
    assert _best(scores, k).tolist() == (plain[:k] if k else plain)


def test_a_whole_vocabulary_is_looked_through() -> None:
    scores = np.random.default_rng(0).normal(size=49_153).astype(np.float32)
    np.testing.assert_array_equal(_best(scores, 50), np.argsort(-scores, kind="stable")[:50])

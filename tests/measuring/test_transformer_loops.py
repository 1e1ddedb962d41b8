from __future__ import annotations

import sys

import numpy as np
import pytest

from proofset.errors import MissingExtra
from proofset.measuring.transformer_loops import LENGTH, _read, transformer_loop


def test_without_torch_the_way_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match="torch") as caught:
        transformer_loop(["a b"], ["a b"])
    assert caught.value.hint == "pip install 'proofset[lab]'"


def test_texts_are_read_by_their_first_known_words() -> None:
    assert _read(["a", "x", "b", "x", "a"], {"a": 1, "b": 2}) == ["a", "b", "a"]
    assert _read(["a"] * 100, {"a": 1}) == ["a"] * LENGTH


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_tiny_transformer_learns_and_forgets() -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    rows = np.cumsum(rng.integers(0, 2, (200, 20)), axis=1) + rng.integers(0, 30, (200, 1))
    texts = [" ".join(f"w{number}" for number in row) for row in rows]
    loop = transformer_loop(texts[:150], texts[150:], generations=1, steps=120)
    # The next word is the last one or its successor: two choices, and thirty at the start.
    assert 2 < loop.generations[0].perplexity < 5
    assert loop.worsened > 1
    assert loop.generations[0].alive == (1.0, 1.0, 1.0)
    again = transformer_loop(texts[:150], texts[150:], generations=1, steps=120)
    assert again == loop

"""Strategies are found by name, and there is always a plain one and a harder one."""

from __future__ import annotations

from itertools import permutations

import pytest

from proofset.errors import ConfigError
from proofset.nouns.candidate import FEW_SHOT
from proofset.synthesizing.strategies import STRATEGIES, Strategy, named


def test_every_strategy_stands_under_its_own_name() -> None:
    assert all(name == each.name for name, each in STRATEGIES.items())
    assert set(STRATEGIES) == {"few-shot", "titled", "free", "contrast", "evolve", "persona", "crossing"}
    assert STRATEGIES[FEW_SHOT] == Strategy(FEW_SHOT)


def test_no_two_strategies_do_the_same() -> None:
    seen = {(each.titled, each.contrast, each.opening, each.persona, each.rising) for each in STRATEGIES.values()}
    assert len(seen) == len(STRATEGIES)


def test_the_nearer_the_border_the_harder() -> None:
    assert {each.difficulty for each in STRATEGIES.values()} == {0, 1, 2}
    assert max(STRATEGIES.values(), key=lambda each: each.difficulty).opening == "rival"
    assert STRATEGIES[FEW_SHOT].difficulty == 0  # somewhere to begin


def test_names_are_looked_up_in_the_order_given() -> None:
    for names in permutations(("crossing", FEW_SHOT, "free")):
        assert tuple(each.name for each in named(names)) == names
    assert named(()) == ()


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"synthesize\.strategies: no strategy is called 'few_shot'") as refused:
        named(("titled", "few_shot", "other"))
    assert all(name in refused.value.hint for name in STRATEGIES)

"""Facts are read with their place; nearness is two steps in either direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.errors import RecordError
from proofset.grounding.graph import Graph, facts
from proofset.nouns.evidence import Fact
from proofset.plugins import Row


def row(line: int, **fields: Any) -> Row:
    return Row(line, fields)


def test_facts_are_read_with_their_place() -> None:
    rows = [
        row(2, subject=" salmon ", relation="is a", object="fish"), row(5, subject=79, relation="child of", object=74),
    ]  # fmt: skip
    assert facts(rows, "facts.csv") == (
        Fact("salmon", "is a", "fish", "facts.csv:2"), Fact("79", "child of", "74", "facts.csv:5"),
    )  # fmt: skip
    assert facts([], "facts.csv") == ()


@pytest.mark.parametrize("field", ["subject", "relation", "object"])
@pytest.mark.parametrize("value", [None, "", "  \n", "missing"])
def test_an_empty_cell_is_named(field: str, value: str | None) -> None:
    fields: dict[str, Any] = {"subject": "a", "relation": "b", "object": "c"}
    if value == "missing":
        del fields[field]
    else:
        fields[field] = value
    with pytest.raises(RecordError) as caught:
        facts([row(7, **fields)], "facts.csv")
    assert str(caught.value) == f"facts.csv:7, field '{field}': empty or missing"
    assert f"columns here are {', '.join(fields)}" in caught.value.hint


def graph(*edges: str) -> Graph:
    """Edges as "ab": a fact from a to b."""
    return Graph(Fact(edge[0], "to", edge[1]) for edge in edges)


def test_near_is_one_step_or_two_in_either_direction() -> None:
    chain = graph("ab", "cb", "cd", "de")
    assert chain.near("a") == {"b", "c"}
    assert chain.near("c") == {"b", "d", "a", "e"}
    assert chain.near("e") == {"d", "c"}
    assert chain.near("nowhere") == frozenset()


def test_facts_of_a_node_are_those_it_is_an_end_of_in_order() -> None:
    known = [Fact("a", "to", "b"), Fact("c", "to", "a"), Fact("b", "to", "c"), Fact("a", "is", "a")]
    assert Graph(known).about("a") == (known[0], known[1], known[3])
    assert Graph(known).about("nowhere") == ()


def test_a_loop_is_one_fact_and_no_neighbour() -> None:
    loop = graph("aa")
    assert loop.about("a") == (Fact("a", "to", "a"),)
    assert loop.near("a") == frozenset()
    assert graph("aa", "ab").near("b") == {"a"}


def test_asking_changes_nothing() -> None:
    known = graph("ab")
    assert known.near("x") == known.near("x") == frozenset()
    assert known.about("x") == ()
    assert known.near("a") == {"b"}


@given(st.lists(st.text("abcdef", min_size=2, max_size=2), max_size=12))
def test_nearness_is_mutual_and_excludes_oneself(edges: Sequence[str]) -> None:
    known = graph(*edges)
    for one in "abcdef":
        assert one not in known.near(one)
        for other in "abcdef":
            assert (other in known.near(one)) == (one in known.near(other))
        direct = {edge.replace(one, "", 1) for edge in edges if one in edge} - {one}
        assert direct <= known.near(one)

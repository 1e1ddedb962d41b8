"""Patterns that could run for ever are refused before they run; everyday ones are not."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.synthesizing.patterns import fault_in, literal_of, surely_found


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$", r"(a*)*b", r"(\w+\s?)+$", r"(a|aa)+$", r"(a|a)*b", r"(a?){20,}x", r"(\w|\d\d)+!", r"((ab)+c)*",
        r"(?:(?:a{1,30}){1,30})$", r"(?=(a+)+)b", r"(?:a|)+b", r"(a{2,3})*b", r"(x+x+)+y",
    ],
)  # fmt: skip
def test_repeats_within_repeats_are_refused(pattern: str) -> None:
    fault = fault_in(pattern)
    assert fault is not None
    assert "may take for ever" in fault.what
    assert fault.hint


@pytest.mark.parametrize(
    "pattern", [r"((a?){15}){15}b", r"(\w+\s?){1,15}!", "a?" * 30 + "a" * 30, r"(a{1,9}){12}b", r"(?:a|ab|b){15}c"]
)
def test_many_small_repeats_are_as_bad_as_a_large_one(pattern: str) -> None:
    assert "may take for ever" in (fault_in(pattern) or pytest.fail()).what


def test_options_in_different_choices_do_not_add_up() -> None:
    assert fault_in("|".join(f"{letter}ords?" for letter in "abcdefghijklmnopqrstuvwxyz")) is None
    assert fault_in("|".join(f"{letter}.*x" for letter in "abcdef")) is None


def test_too_many_repeats_in_a_row_are_refused() -> None:
    assert fault_in(r".*a.*b.*c") is None
    assert "4 unbounded" in (fault_in(r".*a.*b.*c.*d") or pytest.fail()).what


@pytest.mark.parametrize(
    "pattern", ["(", "a{2", "[z-a]", "(?P<x>a)(?P<x>b)", r"\q", "*", "(?<=a+)b", "x" + "(" * 200, "[[a]"]
)
def test_what_cannot_be_read_is_refused_or_harmless(pattern: str) -> None:
    fault = fault_in(pattern)
    assert (fault is None) == (pattern == "a{2")  # a brace that opens no count is a brace
    if fault:
        assert fault.what.startswith("no regular expression: ")


@pytest.mark.parametrize(
    "pattern",
    [
        r"#[0-9]{4}", r"\bpassword\b", r"https?://\S+", r"(?:foo|bar)+", r"[\w.]+@[\w.]+\.\w+",
        r"(\d{1,3}\.){3}\d{1,3}", r"^(?:dear|hello)\b", r"(?i)card", r"(?-i:VISA)", r"a++b", r"(?:ab){2,5}", "",
        r"(?:[A-Z0-9]{4} ?){2,7}", r"\d{30}", r"(?:\w+ ){2}",
    ],
)  # fmt: skip
def test_everyday_patterns_are_let_through(pattern: str) -> None:
    assert fault_in(pattern) is None


def test_a_literal_is_a_pattern_without_special_characters() -> None:
    assert [literal_of(each) for each in ("card", r"a\.b c", "", "a.b", "a|b", "a+", "(a)")] == [
        "card", "a.b c", "", "", "", "", "",
    ]  # fmt: skip


def test_a_pattern_is_surely_found_only_where_every_text_with_the_literal_has_it() -> None:
    assert surely_found("tick", "ticket")
    assert surely_found("TICK.T", "ticket")
    assert not surely_found("^ticket$", "ticket")
    assert not surely_found(r"\bass\b", "ass")  # "class" keeps both rules
    assert not surely_found("dog", "ticket")


def test_patterns_that_are_let_through_are_quick_on_long_texts_of_one_letter() -> None:
    began = time.process_time()
    for pattern in (r"[\w.]+@[\w.]+\.\w+", r"(?:foo|bar)+x", r"a+b"):
        assert fault_in(pattern) is None
        re.search(pattern, "a" * 4000)
    assert time.process_time() - began < 5


@given(st.text(max_size=30) | st.text(alphabet="ab(|)*+?{},2[]^-\\\\wd.:=!<", max_size=16))
def test_any_text_is_a_sound_pattern_or_has_a_fault(pattern: str) -> None:
    if fault_in(pattern) is None:
        re.search(pattern, "ab" * 40 + "!", re.IGNORECASE)  # would not come back, were it let through wrongly
        assert literal_of(pattern) == "" or surely_found(pattern, literal_of(pattern))

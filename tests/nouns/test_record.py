"""Ids depend on content alone; what is held out is not a Record."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.nouns.record import Corpus, HeldOut, Message, Origin, Record, content_id, normal_form

PARTS = st.lists(st.text(st.characters(exclude_characters="\x1f"), max_size=8), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_ids_are_equal_exactly_when_the_parts_are(one: list[str], other: list[str]) -> None:
    assert (content_id(*one) == content_id(*other)) == (one == other)
    assert len(content_id(*one)) == 16
    assert set(content_id(*one)) <= set("0123456789abcdef")


def test_parts_do_not_run_together() -> None:
    assert len({content_id("ab", "c"), content_id("a", "bc"), content_id("abc"), content_id("abc", "")}) == 4


def test_ids_stay_the_same_for_ever_and_in_every_process() -> None:
    # Written down once: runs that exist hold such ids, and must be found again.
    assert content_id("record", "Grüße 🙂", None) == "c3c3d8965e06e036"
    asked = r"content_id('record', 'Gr\u00fc\u00dfe \U0001f642', None)"
    code = f"from proofset.nouns.record import content_id; print({asked})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "c3c3d8965e06e036"


def test_half_a_surrogate_pair_has_an_id_too() -> None:
    assert content_id("\ud83d") != content_id("\ude42")


@pytest.mark.parametrize(
    ("text", "form"),
    [("  The\tQUICK \n fox ", "the quick fox"), ("STRASSE", "strasse"), ("Straße", "strasse"), ("", ""), (" \n", "")],
)
def test_normal_form(text: str, form: str) -> None:
    assert normal_form(text) == form


@given(st.text())
def test_the_normal_form_of_words_is_stable_under_spacing_and_case(text: str) -> None:
    assert normal_form(f" {text}\n\t") == normal_form(text)
    assert normal_form("  ".join(text.split())) == normal_form(text)


def test_an_organic_record_is_known_by_text_and_label() -> None:
    first = Record.organic("a text", "ham", source="a.csv:2", licence="CC0")
    again = Record.organic("a text", "ham", source="b.csv:9", messages=(Message("user", "a text"),))
    assert first.id == again.id
    assert (first.origin, first.generation, first.source, first.licence) == (Origin.ORGANIC, 0, "a.csv:2", "CC0")
    assert len({Record.organic("a text", label).id for label in ("ham", "spam", None)}) == 3
    assert Record.organic("a  text", "ham").id != first.id


def test_held_out_is_not_a_record_and_nothing_can_be_changed() -> None:
    held = HeldOut(id="h", text="a", label=None, group="g")
    assert not issubclass(HeldOut, Record)
    with pytest.raises(FrozenInstanceError):
        held.text = "b"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        Record.organic("a", "b").text = "c"  # type: ignore[misc]


def test_a_corpus_is_known_by_its_records_in_order() -> None:
    one, two = Record.organic("one", "x"), Record.organic("two", "x")
    corpus = Corpus(records=(one, two), recipe="as written")
    assert corpus.id == Corpus(records=(one, two), recipe="in other words").id
    assert corpus.id == Corpus(records=(replace(one, source="elsewhere"), two), recipe="").id
    assert len({corpus.id, Corpus(records=(two, one), recipe="").id, Corpus(records=(one,), recipe="").id}) == 3
    assert Corpus(records=(), recipe="").records == ()

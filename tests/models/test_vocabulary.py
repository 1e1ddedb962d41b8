"""Tokens are the model's own: whole words where it merged them, digits one by one, any byte at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.errors import ConfigError
from proofset.models.gguf import LlamaFile
from proofset.models.vocabulary import Vocabulary, readable

pytest.importorskip("gguf")

Make = Callable[..., Path]


def test_texts_survive(make_gguf: Make) -> None:
    vocabulary = Vocabulary.of(LlamaFile(make_gguf()))

    @given(st.text().filter(lambda text: "<|" not in text))
    def survives(text: str) -> None:
        assert b"".join(vocabulary.pieces[token] for token in vocabulary.encode(text)) == text.encode()

    survives()
    assert (
        b"".join(vocabulary.pieces[token] for token in vocabulary.encode("the 12 Käse\n")) == "the 12 Käse\n".encode()
    )


def test_words_merge_and_digits_do_not(make_gguf: Make) -> None:
    vocabulary = Vocabulary.of(LlamaFile(make_gguf()))
    assert [vocabulary.pieces[token] for token in vocabulary.encode("than the")] == [b"th", b"an", b" the"]
    assert len(vocabulary.encode("2026")) == 4


def test_control_tokens_are_read_but_never_shown(make_gguf: Make) -> None:
    vocabulary = Vocabulary.of(LlamaFile(make_gguf()))
    first, *_, last = vocabulary.encode("<|im_start|>the<|im_end|>")
    assert (first, last) == (1, 2)
    assert vocabulary.pieces[first] == vocabulary.pieces[last] == b""
    assert vocabulary.ends == {0, 2}  # as llama.cpp has it: the named one, and the end of a document
    assert vocabulary.opens == ()


def test_an_opening_token_is_put_where_the_file_says_so(make_gguf: Make) -> None:
    vocabulary = Vocabulary.of(LlamaFile(make_gguf(bos=True)))
    assert vocabulary.encode("the")[0] == 1
    assert vocabulary.encode("") == [1]


def test_it_is_the_same_when_read_back(make_gguf: Make, tmp_path: Path) -> None:
    made = Vocabulary.of(LlamaFile(make_gguf(bos=True)))
    made.save(tmp_path)
    again = Vocabulary.load(tmp_path)
    assert (again.pieces, again.opens, again.ends) == (made.pieces, made.opens, made.ends)
    assert again.encode("than the 7 <|im_end|>") == made.encode("than the 7 <|im_end|>")


def test_another_way_to_cut_words_is_refused(make_gguf: Make) -> None:
    with pytest.raises(ConfigError, match="gpt2/tekken"):
        Vocabulary.of(LlamaFile(make_gguf(pre="tekken")))


def test_a_character_is_shown_when_it_is_whole() -> None:
    assert readable("Käse".encode()) == "Käse"
    assert readable("Käse €".encode()[:-1]) == "Käse "
    assert readable(b"a\xff b") == "a\ufffd b"

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from proofset.nouns.record import Corpus, Message, Origin, Record
from proofset.training.handoff import PREFERENCE, card, write_dataset, write_pairs


def synthetic(text: str, label: str | None = "rare") -> Record:
    return Record(
        id=f"id-{text}",
        text=text,
        label=label,
        origin=Origin.SYNTHETIC,
        source="brief b1",
        licence="CC-BY-4.0",
        generation=1,
    )


def corpus(*records: Record) -> Corpus:
    return Corpus(records=records, recipe="Made for a test.")


def test_rows_carry_the_mark_and_everything_else(tmp_path: Path) -> None:
    chat = Record(id="c", text="hi\nho", messages=(Message("user", "hi"), Message("assistant", "ho")))
    path = tmp_path / "data.jsonl"
    assert write_dataset(path, corpus(synthetic("Größe ✓"), chat)) == 2
    first, second = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    assert first == {
        "id": "id-Größe ✓",
        "text": "Größe ✓",
        "label": "rare",
        "synthetic": True,
        "generation": 1,
        "source": "brief b1",
        "licence": "CC-BY-4.0",
    }
    assert second["synthetic"] is False
    assert second["messages"] == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    assert "Größe" in path.read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["data.jsonl"]


@given(texts=st.lists(st.text(alphabet=st.characters(), max_size=20), max_size=5, unique=True))
def test_any_text_survives_one_line_each(tmp_path_factory: object, texts: list[str]) -> None:
    path = Path(str(tmp_path_factory.mktemp("rows"))) / "data.jsonl"  # type: ignore[attr-defined]
    write_dataset(path, corpus(*(synthetic(text) for text in texts)))
    lines = path.read_bytes().split(b"\n")[:-1]
    assert [json.loads(line)["text"] for line in lines] == texts


def test_half_a_character_survives_too(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data.jsonl", corpus(synthetic("\ud83d")))
    assert json.loads((tmp_path / "data.jsonl").read_text(encoding="utf-8"))["text"] == "\ud83d"


def test_what_is_more_than_a_text_is_handed_over_as_json_and_a_plain_text_has_no_such_field(tmp_path: Path) -> None:
    rich = replace(synthetic("q a"), content='{"answer":"a","question":"q"}')
    write_dataset(tmp_path / "data.jsonl", corpus(rich, synthetic("plain")))
    first, second = (json.loads(line) for line in (tmp_path / "data.jsonl").read_text(encoding="utf-8").splitlines())
    assert first["content"] == {"answer": "a", "question": "q"} and "content" not in second


def test_pairs_are_lines_that_bear_the_mark_and_all_that_is_known_of_them(tmp_path: Path) -> None:
    pair = SimpleNamespace(**{name: f"the {name} ü\n" for name in PREFERENCE}, secret="not for the file")
    path = tmp_path / "pairs.jsonl"
    assert write_pairs(path, [pair, pair]) == 2
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    assert lines == [{name: f"the {name} ü\n" for name in PREFERENCE} | {"synthetic": True}] * 2
    assert [each.name for each in tmp_path.iterdir()] == ["pairs.jsonl"]


def test_card_says_what_is_inside() -> None:
    organic = Record(id="o", text="real", label="common", licence="MIT")
    text = card(corpus(synthetic("a"), synthetic("b"), organic), {"Generator": "model | x", "Price": "$1"})
    assert text.startswith("---\ntags:\n- synthetic\nsize_categories:\n- n<1K\n---\n")
    assert "| Records | 3 (2 synthetic, 1 organic) |" in text
    assert "| rare | synthetic | 2 |" in text
    assert "| common | organic | 1 |" in text
    assert "| Generator | model \\| x |" in text
    assert "| Licences | CC-BY-4.0, MIT |" in text
    assert "Made for a test." in text
    assert "**2 of 3 records are synthetic" in text


def test_card_of_organic_or_no_records_does_not_call_them_synthetic() -> None:
    text = card(corpus(Record(id="o", text="real", label="x")), {})
    assert "All records are organic." in text
    assert "- synthetic" not in text
    assert "| Records | 0 (0 synthetic, 0 organic) |" in card(corpus(), {})


def test_card_of_a_purely_synthetic_corpus_says_all() -> None:
    assert "**All records are synthetic" in card(corpus(synthetic("a")), {})

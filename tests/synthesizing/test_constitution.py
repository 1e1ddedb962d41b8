"""A constitution is read whole or not at all, and its rules are cited by number."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.synthesizing.judging import HOSTILE, brief, candidate, reason

from proofset.errors import ConfigError, RecordError
from proofset.stats import wilson
from proofset.synthesizing.constitution import Constitution, ConstitutionGate, Rule

RULES = """
[[rule]]
number = 2
text = "No ticket numbers."
forbid = "#[0-9]{4}"
example = "my ticket is #1234"

[[rule]]
number = 1
text = "It speaks of a card."
require = "card"
slices = ["edge", "lost"]
example = "where is my money"

[[rule]]
number = 7
text = "It is polite."
"""


def read(text: str, tmp_path: Path) -> Constitution:
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return Constitution.read(path)


def one(**fields: str) -> str:
    """A file of one rule, its fields as TOML, those of a sound rule where none are given."""
    lines = {"number": "1", "text": '"No."'} | fields
    return "[[rule]]\n" + "\n".join(f"{key} = {value}" for key, value in lines.items() if value)


def test_rules_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    constitution = read(RULES, tmp_path)
    assert [rule.number for rule in constitution.rules] == [1, 2, 7]
    assert constitution.rules[0] == Rule(
        number=1,
        text="It speaks of a card.",
        require="card",
        slices=("edge", "lost"),
        example="where is my money",
    )
    assert [rule.cheap for rule in constitution.rules] == [True, True, False]


def test_the_words_are_those_of_the_slice_with_their_numbers(tmp_path: Path) -> None:
    constitution = read(RULES, tmp_path)
    assert constitution.words("lost") == "1. It speaks of a card.\n2. No ticket numbers.\n7. It is polite."
    assert constitution.words("other") == "2. No ticket numbers.\n7. It is polite."
    assert read(one(slices='["edge"]'), tmp_path).words("other") == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (one(number=""), ["[[rule]] 1 of the file", "field 'number'"]),
        (one(number="0"), ["rule 0", "field 'number'"]),
        (one(number="true"), ["field 'number'"]),
        (one(number='"1"'), ["field 'number'"]),
        (one(text=""), ["rule 1", "field 'text'"]),
        (one(text='" "'), ["rule 1", "field 'text'"]),
        (one(text="5"), ["rule 1", "field 'text'"]),
        (one() + "\n" + one(), ["two rules 1", "field 'number'"]),
        (one(forbids='"x"'), ["rule 1", "field 'forbids'", "unknown key"]),
        (one(forbid='"("'), ["rule 1", "field 'forbid'", "no regular expression"]),
        (one(require='"(a+)+"'), ["rule 1", "field 'require'", "may take for ever"]),
        (one(forbid='""'), ["rule 1", "field 'forbid'"]),
        (one(forbid='"cat"', example='"a dog"'), ["rule 1", "field 'example'", "does not break"]),
        (one(require='"cat"', example='"a cat"'), ["rule 1", "field 'example'", "does not break"]),
        (one(slices='"edge"'), ["rule 1", "field 'slices'"]),
        (one(slices="[]"), ["rule 1", "field 'slices'"]),
        (one(slices="[1]"), ["rule 1", "field 'slices'"]),
        ("rule = [1]", ["[[rule]] 1 of the file", "field 'number'"]),
    ],
)  # fmt: skip
def test_an_unsound_rule_is_refused_by_file_number_and_field(text: str, named: list[str], tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        read(text, tmp_path)
    for words in (str(tmp_path / "rules.toml"), *named):
        assert words in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no rules in it"),
        ("rule = []", "no rules in it"),
        ("rule = 1", "no rules in it"),
        ("[[rules]]\nnumber = 1", "unknown key 'rules'"),
        ("[[rule]]\nnumber = \ntext = 1", "line 2"),
    ],
)
def test_a_file_without_rules_is_refused(text: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=named):
        read(text, tmp_path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: No such file"):
        Constitution.read(tmp_path / "missing.toml")
    (tmp_path / "latin.toml").write_bytes(b'[[rule]]\ntext = "caf\xe9"')
    with pytest.raises(ConfigError, match=r"latin\.toml"):
        Constitution.read(tmp_path / "latin.toml")


def pair(require: str, forbid: str, asked: str = "", refused: str = "") -> str:
    return one(number="3", require=require, slices=asked) + "\n" + one(number="5", forbid=forbid, slices=refused)


@pytest.mark.parametrize(
    ("require", "forbid", "asked", "refused"),
    [
        ('"[0-9]+"', '"[0-9]+"', "", ""),
        ('"ticket"', '"tick"', "", ""),
        ('"ticket"', '"T.CK"', "", ""),
        ('"a ticket"', '"tickets?"', '["edge"]', ""),
        ('"ticket"', '"ticket"', '["edge", "a"]', '["b", "edge"]'),
    ],
)
def test_rules_that_cannot_both_hold_are_refused_by_both_numbers(
    require: str, forbid: str, asked: str, refused: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"rule 3 requires .*rule 5 forbids it") as caught:
        read(pair(require, forbid, asked, refused), tmp_path)
    assert "rules.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("require", "forbid", "asked", "refused"),
    [
        ('"ticket"', '"tick"', '["a"]', '["b"]'),
        ('"ticket"', '"^ticket$"', "", ""),
        ("'ass'", r"'\bass\b'", "", ""),
        ('"ticket"', '"dog"', "", ""),
        ('"tick[st]"', '"tick"', "", ""),  # cannot both hold either, but that is not looked for
    ],
)
def test_rules_that_a_text_may_keep_together_are_read(
    require: str, forbid: str, asked: str, refused: str, tmp_path: Path
) -> None:
    assert len(read(pair(require, forbid, asked, refused), tmp_path).rules) == 2


def test_a_rule_may_contradict_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rule 1 requires 'cat', and rule 1 forbids it"):
        read(one(require='"cat"', forbid='"cat"'), tmp_path)


def test_the_gate_cites_every_rule_that_is_broken(tmp_path: Path) -> None:
    gate = ConstitutionGate(read(RULES, tmp_path))
    verdict = gate.judge(brief(), candidate("ticket #1234 please"))
    assert verdict.reason == "breaks a rule"
    assert verdict.evidence == ("1", "2")
    assert verdict.critique == "rule 1: It speaks of a card.; rule 2: No ticket numbers."
    assert reason(gate, "where is my CARD") == ""
    assert reason(gate, "where is my money", told=brief(slice_name="other")) == ""
    assert gate.judge(brief(), candidate("card #1234")).evidence == ("2",)


def test_each_rules_example_breaks_it(tmp_path: Path) -> None:
    for rule in read(RULES, tmp_path).rules:
        assert rule.broken_by(rule.example) == rule.cheap


def test_a_rule_tried_on_organic_records_says_when_it_refuses_too_many(tmp_path: Path) -> None:
    organic = [("edge", "my card")] * 7 + [("edge", "money")] * 3 + [("other", "card #1234")] * 10
    cards, tickets = read(RULES, tmp_path).check_against(organic)
    assert (cards.number, cards.refused, cards.n) == (1, 3, 10)
    assert (cards.low, cards.high) == wilson(3, 10)
    assert cards.sentence.startswith("Rule 1 refuses 30% of 10 organic records (11% to 60%): ")
    assert (tickets.number, tickets.refused, tickets.n) == (2, 10, 20)
    few = read(RULES, tmp_path).check_against([("edge", "my card")] * 8 + [("edge", "money")] * 2)
    assert [each.sentence for each in few] == ["", ""]  # 20 % is not more than 20 %
    assert [(each.n, each.low, each.high) for each in read(RULES, tmp_path).check_against([])] == [(0, 0.0, 1.0)] * 2


def test_only_the_beginning_of_a_very_long_text_is_read(tmp_path: Path) -> None:
    gate = ConstitutionGate(read(one(forbid='"cat"'), tmp_path))
    assert [reason(gate, "x" * at + "cat") for at in (3997, 3998)] == ["breaks a rule", ""]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_hostile_texts_get_a_verdict(text: str, tmp_path: Path) -> None:
    assert reason(ConstitutionGate(read(RULES, tmp_path)), text) == "breaks a rule"  # none of them speaks of a card


@given(st.text(max_size=100))
def test_any_text_gets_a_verdict(text: str) -> None:
    gate = ConstitutionGate(Constitution((Rule(number=1, text="No.", forbid=r"[\w.]+@", require="."),)))
    assert reason(gate, text) in {"", "breaks a rule"}

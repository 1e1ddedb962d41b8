"""Settings of who judges: what they start from, and what is refused with its name."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from proofset.config import Study
from proofset.errors import ConfigError
from proofset.judges import Critic, Gates


def test_what_a_study_gets_that_says_nothing() -> None:
    gates, critic = Gates(), Critic()
    assert (gates.language, gates.personal, gates.constitution, gates.benchmarks) == ("organic", "organic", "", ())
    assert (critic.model, critic.panel, critic.questions) == (None, (), ("opinion",))
    assert critic.trial > 0, "a critic model is put on trial unless somebody asks for trust"


@pytest.mark.parametrize(
    ("section", "given"),
    [
        (Gates, {"min_words": 0}), (Gates, {"copy_similarity": 0}), (Gates, {"copied_run_words": 2}),
        (Gates, {"personal": "some"}), (Gates, {"paraphrase_similarity": 1.5}), (Gates, {"drift_share": 0.5}),
        (Gates, {"constitutoin": "rules.toml"}), (Critic, {"threshold": 1.0}), (Critic, {"views": ["smell"]}),
        (Critic, {"questions": ["hunch"]}), (Critic, {"panel_rule": "loudest"}), (Critic, {"trial": -1}),
        (Critic, {"distil_most_lost": 0}), (Critic, {"min_fault_recall": 0.5, "views": []}),
        (Critic, {"max_tokens": 4}),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(section: type[Gates] | type[Critic], given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        section(**given)


@pytest.mark.parametrize("rubric", ["It is {subject}.", "{", "{0}", "{title.x}", "{title[0][1]}"])
def test_a_rubric_that_cannot_be_filled_in_is_named_by_file_and_field(rubric: str) -> None:
    data = {"name": "s", "ingest": {"path": "a.csv"}, "synthesize": {"critic": {"rubric": rubric}}}
    with pytest.raises(ConfigError, match=r"study\.toml: synthesize\.critic\.rubric: .*only \{title\} and \{label\}"):
        Study.parse(data, place="study.toml")


def test_a_rubric_may_name_title_and_label() -> None:
    assert Critic(rubric="A {title}, filed as {label}.").rubric.format(title="a", label="b") == "A a, filed as b."

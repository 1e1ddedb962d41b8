"""A name finds its plugin, ours and yours through the same door; an unknown one is told what there is."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any, get_args

import pytest

from proofset import plugins
from proofset.auditing.readers import read_csv
from proofset.errors import ConfigError
from proofset.models.bert import minilm
from proofset.models.chat import EndpointChat
from proofset.models.encoders import static
from proofset.models.local import LocalChat
from proofset.plugins import Request, Row, Seam, find
from proofset.synthesizing.kinds.shape import conforms


@pytest.mark.parametrize(
    ("seam", "name", "plugin"),
    [
        ("readers", "csv", read_csv), ("models", "chat", EndpointChat), ("models", "local", LocalChat),
        ("encoders", "static", static),
        ("encoders", "minilm", minilm),
    ],
)  # fmt: skip
def test_ours_are_found_by_name(seam: Seam, name: str, plugin: Any) -> None:
    assert find(seam, name) is plugin


@pytest.mark.parametrize("name", ["conversation", "evaluation", "labelled", "question", "scenario"])
def test_our_kinds_keep_to_their_protocol(name: str) -> None:
    assert conforms(find("kinds", name)) == []


def test_the_linear_trainer_fits_and_loads() -> None:
    trainer = find("trainers", "linear")
    assert callable(trainer) and callable(trainer.load)


@pytest.mark.parametrize("seam", get_args(Seam))
@pytest.mark.parametrize("name", ["no-such", "", "CSV "])
def test_an_unknown_name_is_told_what_there_is(seam: Seam, name: str) -> None:
    with pytest.raises(ConfigError, match=f"no {seam[:-1]} is called '{name}'") as caught:
        find(seam, name)
    known = {
        "readers": "csv, jsonl, parquet, tab",
        "models": "chat, local, openvino",
        "encoders": "minilm, static",
        "judges": "none",
        "kinds": "conversation, evaluation, labelled, question, scenario",
    }
    assert caught.value.hint == f"known {seam}: {known.get(seam, 'linear')}"


def test_yours_is_found_through_the_same_door(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def entry_points(group: str) -> EntryPoints:
        asked.append(group)
        return EntryPoints([EntryPoint("mine", "collections:OrderedDict", group)])

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    assert find("judges", "mine").__name__ == "OrderedDict"
    assert asked == ["proofset.judges"]
    with pytest.raises(ConfigError) as caught:
        find("judges", "yours")
    assert caught.value.hint == "known judges: mine"


def test_only_the_plugin_asked_for_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "no_such_module_anywhere:thing", "proofset.judges")
    mine = EntryPoint("mine", "collections:OrderedDict", "proofset.judges")
    monkeypatch.setattr(plugins, "entry_points", lambda group: EntryPoints([broken, mine]))
    assert find("judges", "mine").__name__ == "OrderedDict"


def test_rows_and_requests_are_values() -> None:
    assert Row(1, {"a": 1}) == Row(1, {"a": 1})
    asked = Request(prompt="x", max_tokens=1, temperature=0, top_p=1, top_k=1, min_p=0, seed=0)
    assert (asked.stop, asked.shared_chars) == ((), 0)
    assert len({asked, Request(prompt="x", max_tokens=1, temperature=0, top_p=1, top_k=1, min_p=0, seed=0)}) == 1

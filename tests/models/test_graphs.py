"""The graph says what the plain arithmetic says, and a row's scores do not depend on the rows beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from proofset.errors import ConfigError
from proofset.models.fidelity import reference_scores
from proofset.models.gguf import LlamaFile
from proofset.models.graphs import Compiled, Row, save_graph

pytest.importorskip("gguf")
pytest.importorskip("openvino")

Make = Callable[..., Path]
TEXTS = [[5, 9, 200, 31, 77, 3, 3, 120] * 6, [40, 41, 42], list(range(60, 130))]


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(make_gguf: Make, request: pytest.FixtureRequest) -> LlamaFile:
    return LlamaFile(make_gguf(tied=request.param))


@pytest.fixture
def compiled(model: LlamaFile, tmp_path: Path) -> Compiled:
    save_graph(model, tmp_path / "model.xml")
    return Compiled(tmp_path / "model.xml", lanes=2)


def test_scores_are_those_of_the_weights(model: LlamaFile, compiled: Compiled) -> None:
    lane = compiled.lane(16)
    rows = [Row(text, 0, range(4 * at, 4 * at + -(-len(text) // lane.block_tokens))) for at, text in enumerate(TEXTS)]
    found, wanted = lane.evaluate(rows, every=True), np.concatenate([*reference_scores(model, TEXTS)])
    assert found.shape == wanted.shape
    error = np.abs(found - wanted).mean() / np.abs(wanted).mean()
    assert error < (0.03 if compiled.precision == "bf16" else 0.001)


def test_what_lies_in_the_cache_need_not_be_evaluated_again(compiled: Compiled) -> None:
    lane, text = compiled.lane(16), TEXTS[2]
    whole = lane.evaluate([Row(text, 0, range(3))], every=True).copy()
    lane.evaluate([Row(text[:40], 0, [7, 9])])
    lane.copy(9, 4)  # the second block is half full: whoever goes on needs a copy
    rest = lane.evaluate([Row(text[40:], 40, [7, 4, 5])], every=True)
    np.testing.assert_allclose(rest, whole[40:], atol=0.05)


def test_rows_do_not_disturb_each_other(compiled: Compiled) -> None:
    lane = compiled.lane(64)
    texts = [TEXTS[at % 3][: 5 + 7 * at] for at in range(9)]
    blocks = [range(3 * at, 3 * at + 3) for at in range(9)]

    def rows(which: list[int]) -> list[Row]:
        return [Row(texts[at], 0, blocks[at][: -(-len(texts[at]) // lane.block_tokens)]) for at in which]

    alone = {at: lane.evaluate(rows([at]))[0].copy() for at in range(9)}
    for which in ([0, 1], [8, 3, 5], list(range(9)), list(range(8, -1, -1))):
        for at, scores in zip(which, lane.evaluate(rows(which)), strict=True):
            np.testing.assert_array_equal(scores, alone[at])


def test_lanes_work_side_by_side_with_a_cache_each(compiled: Compiled) -> None:
    lanes, found = [compiled.lane(8) for _ in range(2)], dict[int, list[float]]()

    def work(at: int) -> None:
        for _ in range(20):
            found[at] = lanes[at].evaluate([Row(TEXTS[at], 0, range(-(-len(TEXTS[at]) // 32)))])[0].tolist()

    threads = [threading.Thread(target=work, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at in range(2):
        alone = lanes[1 - at].evaluate([Row(TEXTS[at], 0, range(-(-len(TEXTS[at]) // 32)))])[0].tolist()
        assert found[at] == alone


def test_a_graph_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("<net", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"model\.xml: OpenVINO cannot"):
        Compiled(tmp_path / "model.xml", lanes=1)

"""The commands that measure what is nobody's run: asked as a user asks, in a folder of their own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.test_surveys import Topics, spoken

from proofset import exhibits
from proofset.cli import cli, main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROOFSET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(exhibits, "encoder_of", lambda name: Topics())
    for number, name in enumerate(("train", "reference", "control", "synthetic")):
        vectors = np.random.default_rng(number).normal(size=(900, 8)).astype(np.float32)
        np.save(tmp_path / f"{name}.npy", vectors)
        part = spoken(400, number)
        rows = [json.dumps({"text": text, "topic": own}) for text, own in zip(part.texts, part.slices, strict=True)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return tmp_path


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and what stands on the error channel, as the whole command gives them."""
    monkeypatch.setattr("sys.argv", ["proofset", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(str(caught.value.code)), capsys.readouterr().err


FOUR = [word for name in ("train", "reference", "control", "synthetic") for word in (f"--{name}", f"{name}.npy")]


def test_vectors_get_a_verdict_a_page_and_json(folder: Path) -> None:
    found = json.loads(ask("measure", *FOUR, "--json").stdout)
    (whole,) = found["viability"]
    assert whole["verdict"] in {"crossed", "undecided", "not crossed"}
    assert [each["key"] for each in whole["components"]] == ["D", "M", "F", "K", "R", "A1", "A2", "U"]
    said = ask("measure", *FOUR, "--page", "page.html")
    assert "SVQ" in said.stdout and "authenticity" in said.stdout
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "<svg" in page and whole["protocol"].split("[")[0] in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_texts_get_a_companion_and_a_description(folder: Path) -> None:
    arguments = [word.replace(".npy", ".jsonl") for word in FOUR]
    found = json.loads(ask("measure", *arguments, "--slices", "topic", "--json").stdout)
    assert found["viability"][0]["companion"]["key"] == "Y"
    assert {each["slice"] for each in found["viability"]} == {"", "a", "b", "c"}
    assert "distinct-2" in ask("measure", *arguments).stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["measure"], "--train, --reference, --synthetic: needed"),
        (["measure", "--train", "train.npy"], "--reference, --synthetic: needed"),
        (["measure", "study.toml", "--train", "train.npy"], "give STUDY, or files; not both"),
        (["measure", *FOUR[:-1], "gone.npy"], "gone.npy: cannot be read"),
        (["measure", *FOUR[:-1], "synthetic.jsonl", "--text", "body"], "synthetic.jsonl:1, field 'body': no such"),
        (["measure", *FOUR, "--page", "no/such/page.html"], "cannot be written"),
        (["collapse", "--reference", "reference.npy", "gone.npy"], "gone.npy: cannot be read"),
        (["recursion", "C-99"], "no experiment is called C-99"),
        (["recursion", "--documents", "train.npy"], "vectors have no words"),
        (["recursion", "C-01", "--documents", "train.jsonl"], "neither experiments nor --page"),
        (["recursion", "--transformer"], "it needs text to learn from"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
) -> None:
    code, error = told(monkeypatch, capsys, *arguments)
    assert code == 2
    assert problem in error
    assert "Traceback" not in error
    assert not (folder / "page.html").exists()


def test_generations_are_told_with_what_they_lost(folder: Path) -> None:
    rng = np.random.default_rng(9)
    last = np.load(folder / "train.npy")
    for number in range(4):
        last = last[rng.integers(len(last), size=200)]
        np.save(folder / f"g{number}.npy", last)
    series = [f"g{number}.npy" for number in range(4)]
    found = json.loads(ask("collapse", "--reference", "reference.npy", *series, "--json").stdout)
    losses = [each["loss"]["value"] for each in found["generations"]]
    assert losses[-1] > losses[0]
    said = ask("collapse", "--reference", "reference.npy", *series, "--page", "collapse.html")
    assert "DMC" in said.stdout and (folder / "collapse.html").exists()


def test_the_lab_is_listed_run_and_drawn(folder: Path) -> None:
    assert ask("recursion", "--list").stdout.splitlines()[1].startswith("C-01  the variance of a replace loop")
    said = ask("recursion", "c-16", "--page", "lab.html")
    assert said.exit_code == 0 and "agree" in said.stdout
    (found,) = json.loads(ask("recursion", "C-16", "--json").stdout)
    assert found["holds"] is True
    assert "<svg" in (folder / "lab.html").read_text(encoding="utf-8")


def test_an_experiment_that_disagrees_is_exit_code_1(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proofset.measuring import recursion

    real = recursion.experiment("C-16")
    off = type(real.outcomes[0])(name="off", expected=1.0, measured=2.0, tolerance=0.1)
    broken = type(real)(**{name: getattr(real, name) for name in real.__slots__} | {"outcomes": (off,)})
    monkeypatch.setattr(recursion, "experiment", lambda name, **_: broken)
    assert ask("recursion", "C-16").exit_code == 1


def test_a_word_model_on_somebodys_documents(folder: Path) -> None:
    loops = json.loads(ask("recursion", "--documents", "train.jsonl", "--generations", "2", "--json").stdout)
    assert [each["policy"] for each in loops] == ["replace", "accumulate", "anchored", "verified"]
    assert all(len(each["generations"]) == 3 for each in loops)
    assert "times as perplexing" in ask("recursion", "--documents", "train.jsonl", "--generations", "1").stdout

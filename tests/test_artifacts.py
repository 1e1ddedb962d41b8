from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from proofset import artifacts
from proofset.artifacts import Artifact, ArtifactFile, Report, cache_folder, fetch, listing, locate
from proofset.errors import ArtifactError

SHIPPED = artifacts.pinned()
OUTSIDE = dict(os.environ)
CONTENTS = {"toy/data/a.txt": b"alpha\n" * 1000, "toy/data/b.txt": b"beta\n", "toy/LICENCE": b"be kind\n"}


def pin(inner: str, **more: object) -> ArtifactFile:
    content = CONTENTS[inner]
    return ArtifactFile(inner=inner, sha256=hashlib.sha256(content).hexdigest(), size=len(content), **more)  # type: ignore[arg-type]


def toy(name: str, *files: ArtifactFile, wheel_tags: tuple[str, ...] = ()) -> Artifact:
    return Artifact(
        name=name, title="A toy", package="proofset-toy", version="1.2", wheel_size=900, files=files,
        licence="CC0-1.0", source="nobody", wheel_tags=wheel_tags,
    )  # fmt: skip


ONE = toy("one", pin("toy/data/a.txt"), pin("toy/LICENCE", notice=True))
TWO = toy("two", pin("toy/data/a.txt"), pin("toy/data/b.txt", placed="sub/b.txt"))
FOREIGN = toy("foreign", pin("toy/data/a.txt"), wheel_tags=("399", "cp", "cp399", "win_arm64"))


@pytest.fixture(autouse=True)
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a table of toys, and no index that pip could reach."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PROOFSET_CACHE", str(folder))
    monkeypatch.setattr(artifacts, "pinned", lambda: {toy.name: toy for toy in (ONE, TWO, FOREIGN)})
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    return folder


def made_wheel(folder: Path, tags: str = "py3-none-any", **changed: bytes) -> Path:
    """A wheel of the toys; ``changed`` replaces files by the last letter before their ending."""
    folder.mkdir(exist_ok=True)
    path = folder / f"proofset_toy-1.2-{tags}.whl"
    about = "proofset_toy-1.2.dist-info/"
    metadata = "Metadata-Version: 2.1\nName: proofset-toy\nVersion: 1.2\nRequires-Python: >=3.99\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inner, content in CONTENTS.items():
            archive.writestr(inner, changed.get(Path(inner).stem, content))
        archive.writestr(about + "METADATA", metadata)
        archive.writestr(about + "WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n")
        archive.writestr(about + "RECORD", "")
    return path


def forbid_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object) -> Path:
        raise AssertionError("nothing should be downloaded")

    monkeypatch.setattr(artifacts, "_download", download)


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


# --- from an index ---------------------------------------------------------------------------------------------------


def test_a_download_is_unpacked_checked_and_kept(tmp_path: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made_wheel(tmp_path / "index").parent))
    seen: list[tuple[str, int, int]] = []
    folder = fetch("two", report=lambda *progress: seen.append(progress))
    assert files_of(folder) == {"a.txt": CONTENTS["toy/data/a.txt"], "sub/b.txt": CONTENTS["toy/data/b.txt"]}
    assert folder.parent == cached
    assert {name for name, _, _ in seen} == {"two"}
    assert [had for _, had, _ in seen] == sorted(had for _, had, _ in seen)
    assert seen[-1] == ("two", 900, 900)
    assert not [path for path in cached.rglob("*") if "draft" in path.name or path.suffix == ".whl"]
    forbid_download(monkeypatch)
    assert fetch("two") == folder


def test_a_wheel_for_another_machine_serves_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made_wheel(tmp_path / "index", "cp399-cp399-win_arm64").parent))
    assert locate("artifact:foreign", tmp_path).read_bytes() == CONTENTS["toy/data/a.txt"]


def test_offline_ends_soon_and_names_both_ways_out(cached: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ArtifactError, match=r"two: cannot be downloaded: ERROR: .*proofset-toy==1\.2") as caught:
        fetch("two")
    assert time.monotonic() - began < 10
    assert "PIP_INDEX_URL" in caught.value.hint
    assert "proofset fetch two --from FILE" in caught.value.hint
    assert files_of(cached / "two-1.2") == {}


def test_without_pip_the_hint_still_leads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ArtifactError, match="no pip") as caught:
        fetch("two")
    assert "--from FILE" in caught.value.hint


def test_two_that_fetch_at_once_download_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = made_wheel(tmp_path)
    downloads: list[str] = []

    def slow_download(artifact: Artifact, draft: Path, report: Report | None) -> Path:
        downloads.append(artifact.name)
        time.sleep(0.2)
        return wheel

    monkeypatch.setattr(artifacts, "_download", slow_download)
    with ThreadPoolExecutor(4) as threads:
        folders = list(threads.map(fetch, ["two"] * 4))
    assert downloads == ["two"]
    assert set(map(len, map(files_of, folders))) == {2}


# --- from a file -----------------------------------------------------------------------------------------------------


def test_a_wheel_that_was_carried_here_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_download(monkeypatch)
    wheel = made_wheel(tmp_path)
    folder = fetch("two", wheel=wheel)
    assert files_of(folder).keys() == {"a.txt", "sub/b.txt"}
    assert fetch("two", wheel=wheel) == folder
    assert wheel.exists(), "what was given is left alone"


def test_single_files_will_do_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_download(monkeypatch)
    for inner, content in CONTENTS.items():
        (tmp_path / f"renamed-{Path(inner).name}").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"still without toy/data/b\.txt"):
        fetch("two", wheel=tmp_path / "renamed-a.txt")
    folder = fetch("two", wheel=tmp_path / "renamed-b.txt")
    assert fetch("two") == folder
    with pytest.raises(ArtifactError, match="neither the wheel of two nor a pinned file"):
        fetch("two", wheel=tmp_path / "renamed-LICENCE")
    with pytest.raises(ArtifactError, match="no such file"):
        fetch("two", wheel=tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"beta!", b"bet", b""])
def test_a_wheel_with_other_content_is_refused_whole(content: bytes, tmp_path: Path, cached: Path) -> None:
    with pytest.raises(ArtifactError, match=r"toy/data/b\.txt is not the pinned file") as caught:
        fetch("two", wheel=made_wheel(tmp_path, b=content))
    assert caught.value.hint
    assert files_of(cached / "two-1.2") == {}, "not even the file that was right"


def test_a_damaged_or_foreign_wheel_is_refused(tmp_path: Path, cached: Path) -> None:
    wheel = made_wheel(tmp_path)
    content = bytearray(wheel.read_bytes())
    content[60] ^= 0xFF
    wheel.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"proofset_toy-1\.2.*damaged"):
        fetch("two", wheel=wheel)
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("other.txt", "?")
    with pytest.raises(ArtifactError, match="is not the wheel of proofset-toy"):
        fetch("two", wheel=tmp_path / "other.whl")
    wheel.write_bytes(content[:200])
    with pytest.raises(ArtifactError, match="neither the wheel"):
        fetch("two", wheel=wheel)
    assert files_of(cached) == {"two-1.2.lock": b""}


# --- the cache -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damaged", [b"", b"ALPHA\n" * 1000, b"alpha\n" * 1001])
def test_a_damaged_file_is_fetched_again(damaged: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = made_wheel(tmp_path)
    folder = fetch("two", wheel=wheel)
    (folder / "a.txt").write_bytes(damaged)
    assert not {toy.name: there for toy, there in listing()}["two"]
    monkeypatch.setattr(artifacts, "_download", lambda *_: wheel)
    assert files_of(fetch("two"))["a.txt"] == CONTENTS["toy/data/a.txt"]
    (folder / "sub" / "b.txt").unlink()
    assert files_of(fetch("two"))["sub/b.txt"] == CONTENTS["toy/data/b.txt"]


def test_what_was_not_touched_is_not_hashed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch("two", wheel=made_wheel(tmp_path))
    forbid_download(monkeypatch)
    hashed: list[object] = []
    real = artifacts._sha256

    def counted(stream: IO[bytes]) -> str:
        hashed.append(stream)
        return real(stream)

    monkeypatch.setattr(artifacts, "_sha256", counted)
    fetch("two")
    assert hashed == []
    os.utime(folder / "a.txt")
    fetch("two")
    assert len(hashed) == 1
    fetch("two")
    assert len(hashed) == 1, "once is enough"
    (folder / artifacts.STAMP).write_text("?")
    fetch("two")
    assert len(hashed) == 3


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PROOFSET_CACHE", str(tmp_path / "file"))
    with pytest.raises(ArtifactError, match="cannot be kept") as caught:
        fetch("two", wheel=made_wheel(tmp_path))
    assert "PROOFSET_CACHE" in caught.value.hint


def test_a_cache_that_cannot_be_stamped_serves_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch("two", wheel=made_wheel(tmp_path))
    (folder / artifacts.STAMP).unlink()
    (folder / artifacts.STAMP).mkdir()  # nothing can be renamed to it
    forbid_download(monkeypatch)
    assert fetch("two") == folder


def test_each_platform_keeps_caches_in_its_own_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROOFSET_CACHE", "~/pins")
    assert cache_folder() == Path.home() / "pins"
    monkeypatch.delenv("PROOFSET_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert cache_folder("linux") == Path.home() / ".cache" / "proofset"
    assert cache_folder("darwin") == Path.home() / "Library" / "Caches" / "proofset"
    assert cache_folder("win32") == Path.home() / "AppData" / "Local" / "proofset"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert cache_folder("linux") == Path("/xdg/proofset")
    assert cache_folder("win32") == Path("/local/proofset")


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_reference_is_an_artifact_or_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = made_wheel(tmp_path)
    one, two = fetch("one", wheel=wheel), fetch("two", wheel=wheel)
    forbid_download(monkeypatch)
    assert locate("artifact:one", tmp_path) == one / "a.txt", "the notice is not its data"
    assert locate("artifact:one/LICENCE", tmp_path).read_bytes() == b"be kind\n"
    assert locate("artifact:two", tmp_path) == two
    assert locate("artifact:two/sub/b.txt", tmp_path).read_bytes() == CONTENTS["toy/data/b.txt"]
    assert locate("data/a.csv", tmp_path) == tmp_path / "data" / "a.csv"
    assert locate("~/a.csv", tmp_path) == Path.home() / "a.csv"
    assert locate(str(tmp_path / "x"), Path("elsewhere")) == tmp_path / "x"
    with pytest.raises(ArtifactError, match=r"has no file 'c\.txt'") as caught:
        locate("artifact:two/c.txt", tmp_path)
    assert "a.txt, sub/b.txt" in caught.value.hint
    with pytest.raises(ArtifactError, match="no artifact is called 'three'") as caught:
        locate("artifact:three", tmp_path)
    assert "one, two" in caught.value.hint


def test_the_table_is_complete_and_its_names_do_not_collide() -> None:
    table = SHIPPED
    assert sorted(table) == [
        "cwe", "minilm-l6-v2", "reuters-r52", "smollm2-135m-instruct", "sms-spam", "static-embeddings",
    ]  # fmt: skip
    for artifact in table.values():
        names = [file.name for file in artifact.files]
        assert len(set(names)) == len(names)
        assert artifact.title
        assert artifact.licence
        assert artifact.source
        assert artifact.wheel_size > 0
        assert artifact.size > 0
        assert len(artifact.wheel_tags) in (0, 4)
        for file in artifact.files:
            assert len(bytes.fromhex(file.sha256)) == 32
    assert [file.name for file in table["cwe"].files if not file.notice] == ["cwec_v4.14.xml"]
    assert len(table["static-embeddings"].wheel_tags) == 4


@pytest.mark.slow
def test_the_real_thing(tmp_path: Path) -> None:
    """The smallest pinned artifact, from whatever index this machine's pip is set up for."""
    script = (
        "from pathlib import Path; from proofset.artifacts import locate; print(locate('artifact:sms-spam', Path()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], env=OUTSIDE | {"PROOFSET_CACHE": str(tmp_path)}, capture_output=True, text=True
    )
    if "cannot be downloaded" in ran.stderr:
        pytest.skip("no index within reach has it")
    rows = Path(ran.stdout.strip()).read_text(encoding="utf-8").splitlines()
    assert len(rows) == 4862
    assert {row.partition("\t")[0] for row in rows} == {"ham", "spam"}

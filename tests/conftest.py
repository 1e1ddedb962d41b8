"""What every test gets: one thread for linear algebra, no display, and reproducible examples."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from proofset.walk import Walk

# Before numpy is first imported: small matrices on many threads are slower, and sums would depend on the core count.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "agg")

settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def no_shared_replies(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of replies of the test's own: nothing is replayed from this machine's, and nothing is left in it."""
    monkeypatch.setenv("PROOFSET_RESPONSES", str(tmp_path_factory.mktemp("responses")))


class HurriedLoop(asyncio.SelectorEventLoop):
    """Nobody waits: when nothing is left to do, its clock jumps to the next thing that is due."""

    now = 0.0

    def time(self) -> float:
        """Seconds that would have passed."""
        return self.now

    def _run_once(self) -> None:
        inside: Any = self
        if not inside._ready:
            due = [handle.when() for handle in inside._scheduled if not handle.cancelled()]
            self.now = max(self.now, min(due, default=self.now))
        super()._run_once()  # type: ignore[misc]


@pytest.fixture(scope="session")
def hurried() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine in which hours pass at once; ``loop.time()`` is the clock."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=HurriedLoop) as runner:
            return runner.run(work)

    return run


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The toy study of ``tests/toy/town.py``; what it puts in place of the real parts is taken back afterwards."""
    from proofset import staging
    from proofset.walk import Walk

    path = Path(__file__).parent / "toy" / "town.py"
    spec = importlib.util.spec_from_file_location("town", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "town", module)
    spec.loader.exec_module(module)
    model = module.SlowChat(0.0)
    monkeypatch.setattr(staging, "speaker", lambda walk: model)
    monkeypatch.setattr(Walk, "encoder", module.HashEncoder())
    return module


@pytest.fixture
def walked(town: ModuleType, tmp_path: Path) -> Iterator[Walk]:
    """A walk of the toy study that has come as far as handoff."""
    from proofset.config import Study
    from proofset.runs.folder import Run
    from proofset.walk import Walk

    study_file = town.write_town(tmp_path)
    town.walk_town(study_file, tmp_path / "runs", verb="handoff")
    study = Study.read(study_file)
    with Run.open(tmp_path / "runs" / "town", study.model_dump(mode="json"), "") as run:
        yield Walk(run, study, tmp_path)

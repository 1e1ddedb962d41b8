"""What every test gets: one thread for linear algebra, no display, and reproducible examples."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

# Before numpy is first imported: small matrices on many threads are slower, and sums would depend on the core count.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "agg")

settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The toy study of ``tests/toy/town.py``; what it puts in place of the real parts is taken back afterwards."""
    from proofset import assembly
    from proofset.walk import Walk

    path = Path(__file__).parent / "toy" / "town.py"
    spec = importlib.util.spec_from_file_location("town", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "town", module)
    spec.loader.exec_module(module)
    model = module.SlowChat(0.0)
    monkeypatch.setattr(assembly, "speaker", lambda walk: model)
    monkeypatch.setattr(Walk, "encoder", module.HashEncoder())
    return module

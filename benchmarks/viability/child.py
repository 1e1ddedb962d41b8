"""One measurement in a process of its own: ``python child.py WHAT FOLDER N``; prints seconds, memory and the result.

It imports nothing of proofset unless it measures proofset, so that it also runs in the peers' environment.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def svq(folder: Path, n: int) -> dict[str, Any]:
    """The quotient of n synthetic records against as many of each organic kind, at most 500,000, out of files."""
    from proofset.measuring.blocks import NpyFile
    from proofset.measuring.viability import viability

    parts = [NpyFile(folder / f"{name}.npy") for name in ("train", "reference", "control", "synthetic")]
    found = viability(*parts, encoder="random")
    return {
        "svq": found.quotient.value, "low": found.quotient.low, "high": found.quotient.high,
        "verdict": str(found.verdict), "weakest": found.weakest,
        "components": {each.key: each.measure.value for each in found.components},
    }  # fmt: skip


def dmc(folder: Path, n: int) -> dict[str, Any]:
    """Ten generations of n records against the reference, out of files."""
    from proofset.measuring.blocks import NpyFile
    from proofset.measuring.collapse import collapse

    series = [NpyFile(folder / f"generation-{number}.npy") for number in range(10)]
    found = collapse(NpyFile(folder / "reference.npy"), series, encoder="random")
    return {"loss": [each.loss.value for each in found.generations], "collapsing": found.collapsing}


def prdc(folder: Path, n: int) -> dict[str, Any]:
    """Precision, recall, density and coverage by the package of their authors."""
    import numpy as np
    from prdc import compute_prdc

    real, fake = (np.load(folder / f"{name}.npy")[:n] for name in ("reference", "synthetic"))
    with contextlib.redirect_stdout(io.StringIO()):
        return {key: float(value) for key, value in compute_prdc(real, fake, nearest_k=5).items()}


def mauve(folder: Path, n: int) -> dict[str, Any]:
    """MAUVE by the package of its authors, as it comes."""
    import mauve as package
    import numpy as np

    real, fake = (np.load(folder / f"{name}.npy")[:n] for name in ("reference", "synthetic"))
    found = package.compute_mauve(p_features=real, q_features=fake, verbose=False)
    return {"mauve": float(found.mauve)}


def nothing(folder: Path, n: int) -> dict[str, Any]:
    """What starting proofset alone takes."""
    from proofset.measuring.viability import viability

    return {"loaded": viability.__name__}


WHAT: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "svq": svq, "dmc": dmc, "prdc": prdc, "mauve": mauve, "nothing": nothing,
}  # fmt: skip


if __name__ == "__main__":
    begun = time.monotonic()
    result = WHAT[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
    wall = time.monotonic() - begun
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}
    print(json.dumps({**told, "result": result}))

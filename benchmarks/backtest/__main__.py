"""``python -m benchmarks.backtest [--quick] [--json]``: does the beginning of a real run foretell what all of it cost?

The demo study (``examples/sms``) with a real model, many records long; its first accepted records are the pilot, and
the forecast for the whole is held against what the log says. Weights and data are fetched where they are not there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from proofset import pipeline
from proofset.config import Study
from proofset.costing.projection import Forecast, Projection
from proofset.costing.targets import Target
from proofset.prospects import pilot_of
from proofset.runs.folder import Run

STUDY = Path(__file__).resolve().parents[2] / "examples" / "sms" / "study.toml"
FULL, QUICK = (1000, 100), (100, 25)
"""Accepted records of the whole, and of the pilot."""


def written(folder: Path, wanted: int) -> Path:
    """The demo study with a larger quota, and the faster engine where it is installed."""
    text = STUDY.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^(quota|max_briefs|companions|patience|effort)\s*=.*\n", "", text)
    engine = "openvino" if find_spec("openvino") else "local"
    asked = f"[synthesize]\nquota = {wanted}\nmax_briefs = {8 * wanted}\npatience = {8 * wanted}\ncompanions = 0\n"
    text = text.replace("[synthesize]\n", asked, 1)
    text = re.sub(r"(?m)^\[synthesize\.model\]\n", f'[synthesize.model]\nengine = "{engine}"\nslots = 8\n', text)
    if "[synthesize.model]" not in text:
        text += f'\n[synthesize.model]\nengine = "{engine}"\nslots = 8\n'
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def held(run: Run, settings: Any, pilot_size: int, seed: int) -> dict[str, Any]:
    """The pilot's forecast beside what the whole run cost."""
    pilot, _ = pilot_of(run, settings, until=pilot_size)
    whole, _ = pilot_of(run, settings)
    accepted, usd = int(whole.flags("accepted").sum()), whole.total_usd or Decimal(0)
    found = Projection(pilot, seed=seed).forecast(Target(records=accepted))
    told: dict[str, Any] = {
        "pilot": {
            "accepted": int(pilot.flags("accepted").sum()),
            "briefs": pilot.attempts,
            "usd": str(pilot.total_usd),
        },
        "whole": {"accepted": accepted, "briefs": whole.attempts, "usd": str(usd)},
        "factor": round(float(found.extrapolation_factor), 2),
    }
    if not isinstance(found, Forecast):
        return {**told, "answer": found.words}
    a_brief = float(pilot.total_usd or 0) / pilot.attempts
    ends = [None if end is None else float(end) for end in (found.p5_usd, found.p50_usd, found.p95_usd)]
    briefs = [None if end is None else round(end / a_brief) for end in ends]
    return {
        **told, "answer": found.words, "linear_usd": float(found.linear_usd), "p5_p50_p95_usd": ends,
        "p5_p50_p95_briefs": briefs, "cost_within": _within(float(usd), ends),
        "briefs_within": _within(whole.attempts, briefs),
        "p50_over_true": None if ends[1] is None else round(ends[1] / float(usd), 3),
    }  # fmt: skip


def _within(true: float, ends: Sequence[float | None]) -> bool:
    low, _, high = ends
    return low is not None and low <= true and (high is None or true <= high)


def main() -> None:
    """Run, forecast, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backtest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 records instead of 1,000")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON object on standard output")
    told = parser.parse_args()
    wanted, pilot_size = QUICK if told.quick else FULL
    with tempfile.TemporaryDirectory(prefix="backtest-") as made:
        os.environ["PROOFSET_RESPONSES"] = str(Path(made) / "store")
        study = written(Path(made), wanted)
        began = time.monotonic()
        run = pipeline.run(study, Path(made) / "runs", verb="synthesize")
        seconds = time.monotonic() - began
        settings = Study.read(study)
        found = held(Run.read(run.folder), settings.synthesize, pilot_size, settings.seed)
        found |= {"engine": settings.synthesize.model.engine, "wall_s": round(seconds, 1)}
    found["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

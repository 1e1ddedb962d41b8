"""The same study through a real server: our own, with the real weights, as an endpoint on the loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from proofset.nouns.event import BriefClosed, Proposed, Spent
from proofset.nouns.result import UsageBasis
from proofset.runs.folder import Run

SERVED = """
[synthesize.model]
engine = "chat"
base_url = "{base_url}"
model = "smollm"
slots = 4
usd_per_million_input = "0.10"
usd_per_million_output = "0.40"

[synthesize.sampling]
max_tokens = 24
"""


def proofset(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "proofset", *map(str, arguments)]


@pytest.mark.slow
def test_a_study_through_a_served_model_and_again_for_nothing(town: ModuleType, tmp_path: Path) -> None:
    serve = proofset("serve-model", "--port", "0", "--name", "smollm", "--threads", "1", "--json")
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        base_url = json.loads(server.stdout.readline())["base_url"]
        environment = os.environ | {"PROOFSET_RESPONSES": str(tmp_path / "store")}
        for name in ("first", "second"):
            study = town.write_town(tmp_path / name)
            text = study.read_text(encoding="utf-8").replace("max_briefs = 40", "max_briefs = 12")
            study.write_text(text + SERVED.format(base_url=base_url), encoding="utf-8")
            verb = proofset("handoff", study, "--runs", tmp_path / name / "runs", "--json")
            subprocess.run(verb, env=environment, check=True, capture_output=True, timeout=100)
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=40) == 0
    first, second = (Run.read(tmp_path / name / "runs" / "town").events for name in ("first", "second"))
    calls = [event.usage for event in first if isinstance(event, Spent) and event.usage.stage == "generate"]
    assert len(calls) >= 12 and all(usage.usd and usage.basis is UsageBasis.OVERRIDE for usage in calls)
    again = [event.usage for event in second if isinstance(event, Spent) and event.usage.stage == "generate"]
    assert {usage.basis for usage in again} == {UsageBasis.REPLAY}
    texts = [{e.candidate.id: e.candidate.text for e in run if isinstance(e, Proposed)} for run in (first, second)]
    assert texts[0] == texts[1]
    assert sum(isinstance(event, BriefClosed) for event in first) >= 12

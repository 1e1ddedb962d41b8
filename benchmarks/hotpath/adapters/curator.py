"""The job as a user of Bespoke Curator would write it: one LLM class that writes, one that judges with a schema.

``python -P curator.py JOB.json`` in an environment that has bespokelabs-curator; prints one JSON object at the end.
"""

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bespokelabs import curator
from pydantic import BaseModel

JOB = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
"""Read before the classes are defined: Curator takes their methods' source and globals for its cache key."""


class Verdict(BaseModel):
    """What the judge has to answer."""

    accept: bool
    score: int
    reason: str


class Writer(curator.LLM):
    """The first call of a record."""

    def prompt(self, row: dict[str, Any]) -> str:
        """The numbered prompt."""
        return JOB["write"].replace("{number}", str(row["number"]))

    def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
        """The record with its text."""
        return {"number": row["number"], "text": response}


class Judge(curator.LLM):
    """The second call of a record."""

    response_format = Verdict

    def prompt(self, row: dict[str, Any]) -> str:
        """The question about the record's text."""
        return JOB["judge"].replace("{text}", row["text"])

    def parse(self, row: dict[str, Any], response: Verdict) -> dict[str, Any]:
        """The record with its verdict."""
        return {**row, "accept": response.accept, "score": response.score, "reason": response.reason}


def spent() -> float:
    """Processor seconds of this process and of the children it has waited for."""
    return sum(os.times()[:4])


def main() -> None:
    """Do the job and say what it took."""
    settings = {
        "base_url": JOB["base_url"],
        "api_key": "none",
        "max_concurrent_requests": JOB["in_flight"],
        # Else it assumes 200 requests a minute, since the server names no limits.
        "max_requests_per_minute": 10**9,
        "max_tokens_per_minute": 10**12,
    }
    writer = Writer(model_name=JOB["model"], backend="openai", backend_params=settings)
    judge = Judge(model_name=JOB["model"], backend="openai", backend_params=settings, response_format=Verdict)
    startup, began = spent(), time.monotonic()
    written = writer([{"number": number} for number in range(JOB["records"])], working_dir="curator")
    judged = judge(written.dataset, working_dir="curator")
    rows = judged.dataset.to_list()
    inner = time.monotonic() - began
    whole = {row["number"] for row in rows if row["text"] and row["reason"] and isinstance(row["accept"], bool)}
    told = {
        "delivered": len(whole),
        "inner_wall_s": round(inner, 3),
        "startup_cpu_s": round(startup, 3),
        "cpu_s": round(spent(), 3),
        "version": version("bespokelabs-curator"),
    }
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main()

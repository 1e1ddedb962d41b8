"""The job as a user of distilabel would write it: two text generation tasks in a pipeline, the second structured.

``python -P distilabel.py JOB.json`` in an environment that has distilabel; prints one JSON object at the end. Without
``-P`` Python finds this file where distilabel should be.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import GeneratorStep
from distilabel.steps.tasks import TextGeneration
from pydantic import BaseModel

FIRST = Path("first.json").absolute()
"""Written by the first step, in a process of its own, when all others are ready."""


class Verdict(BaseModel):
    """What the judge has to answer."""

    accept: bool
    score: int
    reason: str


def group_spent() -> float:
    """Processor seconds of all processes of this group that live, and of the children they have waited for."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[2]) == os.getpgrp():
            total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


class Numbers(GeneratorStep):
    """The numbered prompts, a batch of as many as may be in flight at a time."""

    prompt: str
    records: int

    @property
    def outputs(self) -> list[str]:
        """The columns that the next step reads."""
        return ["number", "instruction"]

    def process(self, offset: int = 0) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        """Batches from ``offset`` on, which is not 0 after a resume."""
        FIRST.write_text(json.dumps({"cpu_s": group_spent(), "at": time.monotonic()}), encoding="utf-8")
        for start in range(offset, self.records, self.batch_size):
            stop = min(start + self.batch_size, self.records)
            rows = [
                {"number": number, "instruction": self.prompt.replace("{number}", str(number))}
                for number in range(start, stop)
            ]
            yield rows, stop == self.records


def described(job: dict[str, Any]) -> Pipeline:
    """Numbers, then text, then a verdict on the text."""
    server = {"model": job["model"], "base_url": job["base_url"], "api_key": "none"}
    # A step sends the calls of a batch together and waits for the last, so its batch size is its concurrency. There are
    # two steps, each in a process of its own: together they have up to twice as many in flight as was asked for.
    size = job["in_flight"]
    with Pipeline(name="job", cache_dir="distilabel") as pipeline:
        numbers = Numbers(prompt=job["write"], records=job["records"], batch_size=size)
        write = TextGeneration(
            name="write", llm=OpenAILLM(**server), input_batch_size=size, output_mappings={"generation": "text"}
        )
        judge = TextGeneration(
            name="judge",
            llm=OpenAILLM(**server, structured_output={"schema": Verdict}),
            template=job["judge"].replace("{text}", "{{ text }}"),
            columns=["text"],
            input_batch_size=size,
            output_mappings={"generation": "verdict"},
        )
        numbers >> write >> judge
    return pipeline


def whole(row: dict[str, Any]) -> bool:
    """Whether a row has its text and a verdict."""
    try:
        verdict = json.loads(row["verdict"])
    except (TypeError, ValueError):
        return False
    return bool(row["text"]) and isinstance(verdict.get("accept"), bool) and bool(verdict.get("reason"))


def main() -> None:
    """Do the job and say what it took."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    rows = described(job).run(use_cache=True)["default"]["train"]
    ended = time.monotonic()
    first = json.loads(FIRST.read_text(encoding="utf-8"))
    told = {
        "delivered": len({row["number"] for row in rows if whole(row)}),
        "inner_wall_s": round(ended - first["at"], 3),
        "startup_cpu_s": round(first["cpu_s"], 3),
        "cpu_s": round(sum(os.times()[:4]), 3),
        "version": version("distilabel"),
    }
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main()

"""The job as a user of NeMo Data Designer would write it: two columns, text and a structured verdict on it.

``python -P datadesigner.py JOB.json`` in an environment that has data-designer; prints one JSON object at the end.
"""

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import data_designer.config as dd
import pandas as pd
from data_designer.config.run_config import ResumeMode
from data_designer.interface import DataDesigner
from pydantic import BaseModel


class Verdict(BaseModel):
    """What the judge has to answer."""

    accept: bool
    score: int
    reason: str


def spent() -> float:
    """Processor seconds of this process and of the children it has waited for."""
    return sum(os.times()[:4])


def described(job: dict[str, Any]) -> dd.DataDesignerConfigBuilder:
    """The two columns over numbered seeds. The health check stays on, as a user has it: one call more in a run."""
    model = dd.ModelConfig(
        alias="mock",
        model=job["model"],
        provider="mock",
        inference_parameters=dd.ChatCompletionInferenceParams(max_parallel_requests=job["in_flight"]),
    )
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    seeds = pd.DataFrame({"number": range(job["records"])})
    builder.with_seed_dataset(dd.DataFrameSeedSource(df=seeds))
    write = job["write"].replace("{number}", "{{ number }}")
    judge = job["judge"].replace("{text}", "{{ text }}")
    builder.add_column(dd.LLMTextColumnConfig(name="text", model_alias="mock", prompt=write))
    builder.add_column(
        dd.LLMStructuredColumnConfig(name="verdict", model_alias="mock", prompt=judge, output_format=Verdict)
    )
    return builder


def main() -> None:
    """Do the job and say what it took."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    provider = dd.ModelProvider(name="mock", endpoint=job["base_url"], api_key="none")
    designer = DataDesigner(artifact_path=Path("artifacts"), model_providers=[provider])
    # The metrics port is telemetry, and a fixed port is one that two runs would fight for.
    designer.set_run_config(dd.RunConfig(otel_metrics_port=None))
    builder = described(job)
    startup, began = spent(), time.monotonic()
    found = designer.create(builder, num_records=job["records"], dataset_name="job", resume=ResumeMode.IF_POSSIBLE)
    rows = found.load_dataset()
    inner = time.monotonic() - began
    whole = [
        row
        for row in rows.to_dict("records")
        if row["text"] and set(row["verdict"]) == {"accept", "score", "reason"} and row["verdict"]["reason"]
    ]
    told = {
        "delivered": len({row["number"] for row in whole}),
        "inner_wall_s": round(inner, 3),
        "startup_cpu_s": round(startup, 3),
        "cpu_s": round(spent(), 3),
        "version": version("data-designer"),
    }
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main()

"""``python -m benchmarks.engines [--quick] [--json]``: the engines in this process, side by side on one thread each.

Each engine continues the same prompts: a shared beginning of some 550 tokens, and a few tokens of its own. They take
turns, each in a process of its own, so that what else the machine does falls on all alike, and so that memory is an
engine's own. Wall seconds depend on what else runs; processor seconds hardly do. The first call, which pays for the
shared beginning, is told apart. NLL (nats a token on the pinned text) says whether a fast engine is still the model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from proofset import artifacts
from proofset.models.fidelity import TEXTS, forced_nll, reference_nll
from proofset.models.gguf import LlamaFile
from proofset.models.local import LocalChat
from proofset.models.openvino import OpenVinoChat
from proofset.models.vocabulary import Vocabulary
from proofset.plugins import ChatModel, Reply, Request
from proofset.speakers import Model

HEAD = "Text messages that were reported as spam:\n" + "".join(
    f"- You have won prize number {at}! Call {7919 * at:07d} before {at + 3} pm to claim {at * 25} pounds.\n"
    for at in range(17)
)
"""Some 550 tokens that all requests begin with."""
WORDS = ("Free", "Txt", "Your", "URGENT", "Call", "Claim", "Dear", "Last")
NEW_TOKENS = 48
SIZES = {"llama.cpp": (1,), "OpenVINO": (1, 8, 32)}
"""Requests in flight. llama.cpp has one sequence a thread, as this project uses it."""
SPEED, MEMORY = "tokens_per_s", "peak_mb"


def weights() -> Path:
    """The pinned model; it is fetched if need be."""
    return artifacts.locate("artifact:smollm2-135m-instruct", Path())


def request(at: int) -> Request:
    """The request number ``at``; none ends before its limit but by the model's own will."""
    return Request(
        prompt=f"{HEAD}- {WORDS[at % len(WORDS)]}",
        max_tokens=NEW_TOKENS,
        temperature=0.8,
        top_p=0.95,
        top_k=50,
        min_p=0.05,
        seed=at,
        shared_chars=len(HEAD),
    )


def engine(name: str, size: int) -> LocalChat | OpenVinoChat:
    """The engine on one thread, with so many slots."""
    made: Callable[[Model, Path], LocalChat | OpenVinoChat] = LocalChat if name == "llama.cpp" else OpenVinoChat
    return made(Model(threads=1, slots=size, context_tokens=768), weights())


def timed(model: ChatModel, requests: list[Request]) -> tuple[list[Reply], float, float]:
    """The replies, and the wall and processor seconds they took."""

    async def work() -> list[Reply]:
        return await asyncio.gather(*(model.reply(each) for each in requests))

    wall, cpu = time.perf_counter(), time.process_time()
    replies = asyncio.run(work())
    return replies, time.perf_counter() - wall, time.process_time() - cpu


def peak_mb() -> float:
    """The most memory this process ever held, in MB; pages of mapped files are counted too."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def turn(name: str, size: int) -> dict[str, float]:
    """One engine's turn: load, pay for the beginning, answer; in a process of its own."""
    began = time.perf_counter()
    model = engine(name, size)
    load = time.perf_counter() - began
    _, first_s, _ = timed(model, [request(999)])
    replies, wall, cpu = timed(model, [request(at) for at in range(max(8, 2 * size))])
    tokens = sum(reply.usage.output_tokens for reply in replies)
    found = {
        SPEED: tokens / wall,
        "tokens_per_cpu_s": tokens / cpu,
        "cpu_ms_per_token": 1000 * cpu / tokens,
        "load_s": load,
        "first_reply_s": first_s,
        "tokens": float(tokens),
        "cached_share": sum(r.usage.cached_tokens for r in replies) / sum(r.usage.input_tokens for r in replies),
        MEMORY: peak_mb(),
    }
    asyncio.run(model.close())
    return {key: round(value, 3) for key, value in found.items()}


def in_own_process(name: str, size: int) -> dict[str, float]:
    """``turn`` in a process that knows no other engine."""
    command = [sys.executable, "-m", "benchmarks.engines", "--turn", name, str(size)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def fidelity() -> dict[str, float]:
    """Mean NLL on the pinned text: of the weights, computed plainly, and of each engine."""
    model = LlamaFile(weights())
    texts = [Vocabulary.of(model).encode(text) for text in TEXTS]
    peer, ours = engine("llama.cpp", 1), engine("OpenVINO", 8)
    assert isinstance(peer, LocalChat) and isinstance(ours, OpenVinoChat)
    server = peer._idle[0].server
    found = {
        "weights": reference_nll(model, texts),
        "llama.cpp": forced_nll(lambda payload: dict(server.handle_completions(payload)), texts),
        "OpenVINO": ours.nll,
    }
    prompts = [text[:length] for text in TEXTS for length in (40, 120, 200)]
    greedy = [Request(prompt=prompt, max_tokens=16, temperature=0.0) for prompt in prompts]
    pairs = list(zip(timed(peer, greedy)[0], timed(ours, greedy)[0], strict=True))
    asyncio.run(peer.close())
    asyncio.run(ours.close())
    return {
        **{f"nll {name}": round(value, 4) for name, value in found.items()},
        "greedy_prompts": len(pairs),
        "greedy_equal": sum(one.text == other.text for one, other in pairs),
        "greedy_first_word_equal": sum(one.text.split()[:1] == other.text.split()[:1] for one, other in pairs),
    }


def measure(*, quick: bool, quiet: bool) -> dict[str, Any]:
    """Everything this benchmark reports: medians over the turns, and each turn's speed."""
    contenders = [(name, size) for name, sizes in SIZES.items() for size in sizes]
    in_own_process("OpenVINO", 1)  # the conversion, once for all
    turns: dict[tuple[str, int], list[dict[str, float]]] = {each: [] for each in contenders}
    for at in range(1 if quick else 5):
        for each in contenders:
            if not quiet:
                sys.stderr.write(f"turn {at + 1}: {each[0]}, {each[1]} in flight\n")
            turns[each].append(in_own_process(*each))
    table = {
        f"{name}, {size} in flight": {
            **{key: round(median(found[key] for found in rounds), 3) for key in rounds[0]},
            "turns": [found[SPEED] for found in rounds],
        }
        for (name, size), rounds in turns.items()
    }
    base = turns["llama.cpp", 1]
    ratios = {
        f"OpenVINO, {size} in flight": {
            key: round(median(new[key] / old[key] for new, old in zip(turns["OpenVINO", size], base, strict=True)), 2)
            for key in (SPEED, "tokens_per_cpu_s")
        }
        for size in SIZES["OpenVINO"]
    }
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "threads": 1,
        "turns": 1 if quick else 5,
        "engines": table,
        "times_llama_cpp": ratios,
        "fidelity": fidelity(),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one turn instead of five")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON object")
    parser.add_argument("--turn", nargs=2, metavar=("ENGINE", "SIZE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.turn:
        found: dict[str, Any] = turn(arguments.turn[0], int(arguments.turn[1]))
    else:
        found = measure(quick=arguments.quick, quiet=arguments.json)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

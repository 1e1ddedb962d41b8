"""``python -m benchmarks.hotpath.peers``: the same job in the tools a user would otherwise pick, each in its own venv.

The job is two model calls a record: write a short text from a numbered prompt, and judge that text with a verdict as
JSON. Every peer does it with what it offers for that, in a child process in a fresh folder, without telemetry, and
what it took is what the kernel counted. ``floor`` and ``openai`` are plain loops around a client, for reference.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

ADAPTERS = Path(__file__).resolve().parent / "adapters"
CACHE = Path("~/.cache/proofset-benchmarks/peers").expanduser()
SAMPLED_EVERY_S = 0.2
LONGEST_SOCKET_FOLDER = 70
"""Characters; distilabel's processes talk over sockets in the temporary folder, and a socket's path is 107 at most."""

WRITE = (
    "Write one short, plain text message of one or two sentences, as somebody might send it. "
    "It is number {number} of a series, so make it differ from the others."
)
JUDGE = (
    "You are a strict judge of short text messages. Is the one below plain, complete and plausible? "
    "Answer with accept (true or false), score (1 to 5) and reason (one sentence).\n\nMessage: {text}"
)
VERDICT = {
    "type": "object",
    "properties": {"accept": {"type": "boolean"}, "score": {"type": "integer"}, "reason": {"type": "string"}},
    "required": ["accept", "score", "reason"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Peer:
    """A tool to compare with, as pinned in its requirements file."""

    name: str
    package: str
    version: str


PEERS = {
    peer.name: peer
    for peer in (
        Peer("datadesigner", "data-designer", "0.9.6"),
        Peer("curator", "bespokelabs-curator", "0.1.31"),
        Peer("distilabel", "distilabel", "1.5.3"),
    )
}
FLOORS = {"floor": "aiohttp", "openai": "openai"}
"""Plain loops and the package that each needs in the interpreter it runs with."""


# --- environments --------------------------------------------------------------------------------------------------


def install(name: str, root: Path = CACHE) -> Path:
    """The peer's interpreter, in a venv under ``root`` that is made if its requirements have changed since."""
    wanted = (ADAPTERS / f"requirements-{name}.txt").read_text(encoding="utf-8")
    folder = root / name
    stamp, python = folder / "requirements.txt", folder / "bin" / "python"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and python.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    requirements = str(ADAPTERS / f"requirements-{name}.txt")
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
    frozen = subprocess.run([str(python), "-m", "pip", "freeze"], check=True, capture_output=True, text=True)
    (folder / "installed.txt").write_text(frozen.stdout, encoding="utf-8")
    stamp.write_text(wanted, encoding="utf-8")
    return python


def encodings(root: Path) -> Path | None:
    """The folder with tiktoken's encodings that litellm ships, if a peer brought it: two would otherwise fetch them.

    Curator cannot start without; Data Designer, which has no litellm of its own, would only lose its token counts.
    """
    found = root.glob("*/lib/python*/site-packages/litellm/litellm_core_utils/tokenizers")
    return next(found, None)


def surroundings(folder: Path, root: Path) -> dict[str, str]:
    """A child's environment: everything it keeps goes to ``folder``, nothing goes out, no telemetry."""
    kept = {key: value for key, value in os.environ.items() if "proxy" not in key.lower() and key != "PYTHONPATH"}
    kept |= dict.fromkeys(("HOME", "XDG_CACHE_HOME", "HF_HOME", "DATA_DESIGNER_HOME"), str(folder))
    switches = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")
    kept |= dict.fromkeys(switches, "1")
    kept |= {
        "NEMO_TELEMETRY_ENABLED": "false",
        "TELEMETRY_ENABLED": "false",  # Curator's
        "CURATOR_VIEWER": "0",
        "CURATOR_CACHE_DIR": str(folder / "curator"),
        "DISTILABEL_CACHE_DIR": str(folder / "distilabel"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else litellm asks a public host for prices
        "OPENAI_API_KEY": "none",
    }
    if len(str(folder)) < LONGEST_SOCKET_FOLDER:
        kept["TMPDIR"] = str(folder)  # what a killed peer leaves goes with the folder
    if (folder_of_encodings := encodings(root)) is not None:
        kept["TIKTOKEN_CACHE_DIR"] = str(folder_of_encodings)
    return kept


# --- one run -------------------------------------------------------------------------------------------------------


class Watch(threading.Thread):
    """Samples the memory of a process tree, and kills its group at the deadline or when ``until`` says so."""

    def __init__(self, pid: int, timeout_s: float, until: Callable[[], bool] | None) -> None:
        super().__init__(daemon=True)
        self.pid, self.until = pid, until
        self.deadline = time.monotonic() + timeout_s
        self.peak_mb, self.note, self.ended = 0.0, "", threading.Event()

    def run(self) -> None:
        """Until the process has ended."""
        import psutil

        while not self.ended.wait(SAMPLED_EVERY_S):
            with contextlib.suppress(psutil.Error):
                top = psutil.Process(self.pid)
                self.peak_mb = max(self.peak_mb, sum(map(resident_mb, [top, *top.children(recursive=True)])))
            if time.monotonic() > self.deadline:
                self.note = "killed at the time limit"
            elif self.until is not None:
                with contextlib.suppress(OSError):  # whom it asks may be gone; the deadline still holds
                    self.note = "killed as told" if self.until() else ""
            if self.note:
                kill_group(self.pid)
                return


def resident_mb(process: Any) -> float:
    """Resident memory of a process; 0 when it has just ended."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return float(process.memory_info().rss) / 2**20
    return 0.0


def kill_group(pid: int) -> None:
    """Kill what is left of a process group that ``run`` started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Took:
    """What a child took.

    Processor seconds are those of all its descendants that were waited for: all, unless it was killed. Memory is the
    sum over the tree of what is resident; pages that forked processes share are counted in each.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float
    exit: int
    note: str


def watched(
    command: list[str], environment: dict[str, str], folder: Path, timeout_s: float, until: Callable[[], bool] | None
) -> Took:
    """Run a command in ``folder`` as a process group of its own, of which nothing is left afterwards."""
    began = time.monotonic()
    with (folder / "out.txt").open("wb") as out, (folder / "err.txt").open("wb") as err:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    watch = Watch(process.pid, timeout_s, until)
    watch.start()
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        wall_s = time.monotonic() - began
    finally:  # also when we are interrupted: the child's session is its own and would not notice
        watch.ended.set()
        watch.join()
        kill_group(process.pid)  # before the leader is reaped, so that nobody else can have its number
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    peak_mb = max(watch.peak_mb, used.ru_maxrss / 1024)
    return Took(used.ru_utime + used.ru_stime, wall_s, peak_mb, process.returncode, watch.note)


def run(  # noqa: PLR0913 (the job's four numbers, where it runs, and when it ends)
    name: str,
    base_url: str,
    records: int,
    in_flight: int,
    root: Path = CACHE,
    timeout_s: float = 600.0,
    *,
    python: Path | None = None,
    folder: Path | None = None,
    until: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """One job in one peer or floor: what it delivered, and what the kernel counted.

    ``folder`` is kept, and what a peer finds there of an earlier run it may go on with; without it the run starts
    fresh. ``until`` is asked five times a second, and the whole group gets SIGKILL when it says yes. ``python`` is the
    floors' interpreter. ``startup_cpu_s`` was spent before the first record; what a tool imports later is not in it, so
    the price of a record is better taken from two runs of different size.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="hotpath-", ignore_cleanup_errors=True) as fresh:
            kept = Path(fresh)
            return run(name, base_url, records, in_flight, root, timeout_s, python=python, folder=kept, until=until)
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    told = {"base_url": base_url, "model": "mock", "records": records, "in_flight": in_flight}
    job = folder / "job.json"
    job.write_text(json.dumps({**told, "write": WRITE, "judge": JUDGE}), encoding="utf-8")
    took = watched(command_line(name, job, root, python), surroundings(folder, root), folder, timeout_s, until)
    said = last_object(folder / "out.txt")
    return {
        "peer": name,
        "version": said.get("version"),
        "records": records,
        "delivered": said.get("delivered", 0),
        "cpu_s": round(took.cpu_s, 3),
        "startup_cpu_s": said.get("startup_cpu_s"),
        "wall_s": round(took.wall_s, 3),
        "inner_wall_s": said.get("inner_wall_s"),
        "peak_mb": round(took.peak_mb),
        "exit": took.exit,
        "note": took.note or (tail(folder / "err.txt") if took.exit or not said else ""),
    }


def command_line(name: str, job: Path, root: Path, python: Path | None) -> list[str]:
    """How a peer or a floor is started; ``-P``, for an adapter is called like the package that it imports."""
    if name in FLOORS:
        return [str(python or sys.executable), "-P", str(Path(__file__).resolve()), "loop", name, str(job)]
    interpreter = root / name / "bin" / "python"
    if not interpreter.exists():
        raise SystemExit(f"{name} is not there yet: python -m benchmarks.hotpath.peers install {name}")
    return [str(interpreter), "-P", str(ADAPTERS / f"{name}.py"), str(job)]


def last_object(path: Path) -> dict[str, Any]:
    """The JSON object in the last line of a file; empty if there is none."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    with contextlib.suppress(ValueError, IndexError):
        found = json.loads(lines[-1])
        return found if isinstance(found, dict) else {}
    return {}


def tail(path: Path) -> str:
    """The end of what a failed child had to say."""
    return path.read_text(encoding="utf-8", errors="replace").strip()[-600:]


# --- the floors ----------------------------------------------------------------------------------------------------

Ask = Callable[[str, bool], Awaitable[str]]
"""A prompt, and whether a verdict is wanted, to the answer's text."""


def spent() -> float:
    """Processor seconds of this process so far."""
    return sum(os.times()[:4])


def body(job: dict[str, Any], prompt: str, verdict: bool) -> dict[str, Any]:
    """The request of one call."""
    asked: dict[str, Any] = {"model": job["model"], "messages": [{"role": "user", "content": prompt}]}
    if verdict:
        schema = {"name": "verdict", "strict": True, "schema": VERDICT}
        asked["response_format"] = {"type": "json_schema", "json_schema": schema}
    return asked


async def workers(job: dict[str, Any], ask: Ask) -> int:
    """Do all records with ``in_flight`` workers; how many were delivered."""
    numbers, delivered = iter(range(job["records"])), 0

    async def work() -> None:
        nonlocal delivered
        for number in numbers:
            text = await ask(job["write"].replace("{number}", str(number)), False)
            verdict = json.loads(await ask(job["judge"].replace("{text}", text), True))
            delivered += bool(text) and isinstance(verdict["accept"], bool) and bool(verdict["reason"])

    await asyncio.gather(*(work() for _ in range(job["in_flight"])))
    return delivered


async def bare(job: dict[str, Any]) -> dict[str, Any]:
    """The loop around aiohttp: no retries, no checks, nothing kept."""
    import aiohttp

    url = job["base_url"] + "/chat/completions"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=job["in_flight"])) as session:

        async def ask(prompt: str, verdict: bool) -> str:
            async with session.post(url, json=body(job, prompt, verdict)) as answer:
                said: str = (await answer.json())["choices"][0]["message"]["content"]
                return said

        return await timed(job, ask)


async def sdk(job: dict[str, Any]) -> dict[str, Any]:
    """The loop around the OpenAI SDK as it comes."""
    openai: Any = import_module("openai")  # by name: not of this project's environment

    async with openai.AsyncOpenAI(base_url=job["base_url"], api_key="none") as client:

        async def ask(prompt: str, verdict: bool) -> str:
            answer = await client.chat.completions.create(**body(job, prompt, verdict))
            return str(answer.choices[0].message.content)

        return await timed(job, ask)


async def timed(job: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """Run the loop, and say what it took."""
    startup, began = spent(), time.monotonic()
    delivered = await workers(job, ask)
    inner = time.monotonic() - began
    return {
        "delivered": delivered,
        "inner_wall_s": round(inner, 3),
        "startup_cpu_s": round(startup, 3),
        "cpu_s": spent(),
    }


# --- the command ---------------------------------------------------------------------------------------------------


def main() -> None:
    """Install peers, run one of them, or be a floor's child."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hotpath.peers", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    installing = verbs.add_parser("install", help="make the venvs")
    installing.add_argument("names", nargs="*", default=list(PEERS), help=f"of {', '.join(PEERS)}; all without")
    running = verbs.add_parser("run", help="one job in one peer, against a server that is up")
    running.add_argument("name", choices=[*PEERS, *FLOORS])
    running.add_argument("--base-url", required=True)
    running.add_argument("--records", type=int, default=200)
    running.add_argument("--in-flight", type=int, default=64)
    running.add_argument("--timeout-s", type=float, default=600.0)
    running.add_argument("--python", type=Path, help="the floors' interpreter; this one without")
    running.add_argument("--folder", type=Path, help="keep what the peer writes, and go on from it the next time")
    for verb in (installing, running):
        verb.add_argument("--root", type=Path, default=CACHE, help="where the venvs are")
    looping = verbs.add_parser("loop", help="be a floor: run --python starts this")
    looping.add_argument("name", choices=list(FLOORS))
    looping.add_argument("job", type=Path)
    told = vars(parser.parse_args())
    verb = told.pop("verb")
    if verb == "install":
        said: dict[str, Any] = {name: str(install(name, told["root"])) for name in told["names"]}
    elif verb == "run":
        said = run(**told)
    else:
        job = json.loads(told["job"].read_text(encoding="utf-8"))
        said = asyncio.run((bare if told["name"] == "floor" else sdk)(job))
        said["version"] = version(FLOORS[told["name"]])
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()

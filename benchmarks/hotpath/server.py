"""``python -m benchmarks.hotpath.server``: an OpenAI-compatible server on the loopback, with faults, and nearly free.

Whoever measures clients must not wait for the server, so it is one protocol class on raw sockets, without a framework.
Every answer follows from a hash of what was asked, and every fault from that hash and the number of the attempt: runs
repeat, a retry can succeed, and an answer that was paid twice is seen. ``Server`` starts it as a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, Self

from benchmarks.hotpath.answers import Asked, Draws

ROOT = Path(__file__).resolve().parents[2]
PIECES = 10
"""A slow answer comes in this many pieces."""
COUNTED = (
    *("requests", "ok", "slow", "rejected_429", "refused_400", "errors_500", "malformed", "html", "error_bodies"),
    *("dropped", "abandoned", "repeated_paid", "repaid_late", "connections"),
)
KEPT_WITHIN_S = 0.1
"""An answer that was given longer before a kill must not be paid again: 50 ms to the disk, and as many to be read."""
LONGEST_LIFE_S = 3600.0
"""The server ends by itself after this long, whatever happened to the one who started it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How the server behaves; every field is an option of the same name, and every share is of the requests let in."""

    latency_ms: float = 0.0
    jitter: float = 0.0  # fraction of the latency, to either side, uniform, fixed for each body
    max_in_flight: int = 0  # 0: no limit
    retry_after: float = 1.0  # seconds
    rpm: float = 0.0  # requests a minute, at most a second's worth at once; 0: no limit
    error_share: float = 0.0  # HTTP 500
    malformed_share: float = 0.0  # HTTP 200, JSON cut in half
    html_share: float = 0.0  # HTTP 200, a page of HTML
    drop_share: float = 0.0  # the connection ends without an answer
    slow_share: float = 0.0  # a good answer, dribbled over slow_s more seconds
    slow_s: float = 1.0
    error_body_share: float = 0.0  # HTTP 200, {"error": …}

    def fault(self, drawn: float) -> str:
        """Which fault a draw from [0, 1) means; "ok" for none."""
        shares = (
            ("errors_500", self.error_share),
            ("malformed", self.malformed_share),
            ("html", self.html_share),
            ("dropped", self.drop_share),
            ("slow", self.slow_share),
            ("error_bodies", self.error_body_share),
        )
        for kind, share in shares:
            drawn -= share
            if drawn < 0:
                return kind
        return "ok"


class Plan(NamedTuple):
    """An answer that has been decided on but not been given yet."""

    kind: str  # what it will be counted as
    head: bytes
    body: bytes
    delay_s: float
    digest: bytes = b""


def plan(
    kind: str, body: bytes, *, status: str = "200 OK", delay_s: float = 0.0, extra: str = "", digest: bytes = b""
) -> Plan:
    """A Plan with the head that fits its body."""
    media = "text/html" if kind == "html" else "application/json"
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return Plan(kind, head.encode(), body, delay_s, digest)


def _error(text: str) -> bytes:
    return json.dumps({"error": {"message": text, "type": "server_error", "code": None}}).encode()


class Desk:
    """What all connections share: the rules, and the counts of what was asked and answered."""

    def __init__(self, rules: Rules) -> None:
        self.rules, self.faulty = rules, rules.fault(0.0) != "ok"  # a draw of 0 is a fault wherever there is any
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but the rules; requests still being answered will be counted to the new time."""
        self.counts: Counter[str] = Counter()
        self.max_in_flight = 0
        self.tries: dict[bytes, int] = {}
        self.paid: dict[bytes, float] = {}
        self.marks: list[float] = []
        self.allowance, self.refilled = max(1.0, self.rules.rpm / 60), time.monotonic()
        self.began_cpu_s = time.process_time()

    def full(self) -> bool:
        """Whether the limits on requests in flight or a minute turn this one away."""
        rules, now = self.rules, time.monotonic()
        if rules.max_in_flight and self.in_flight >= rules.max_in_flight:
            return True
        if not rules.rpm:
            return False
        self.allowance = min(max(1.0, rules.rpm / 60), self.allowance + (now - self.refilled) * rules.rpm / 60)
        self.refilled = now
        if self.allowance < 1:
            return True
        self.allowance -= 1
        return False

    def receive(self, body: bytes, *, chat: bool) -> Plan:
        """Decide what a request will be answered; it is in flight until ``settle``, unless it was turned away."""
        self.counts["requests"] += 1
        if self.full():
            extra = f"Retry-After: {self.rules.retry_after:g}\r\n"
            return plan("rejected_429", _error("rate limit reached"), status="429 Too Many Requests", extra=extra)
        try:
            asked = Asked.read(body, chat=chat)
            answer = asked.answer()
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            return plan("refused_400", _error(f"not a request: {error!r}"), status="400 Bad Request")
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        # Requests turned away are no attempts: how many there are hangs on timing, and faults must not.
        attempt = self.tries[asked.digest] = self.tries.get(asked.digest, 0) + 1
        kind = "ok"
        if self.faulty:
            kind = self.rules.fault(Draws(asked.digest + b"fault" + attempt.to_bytes(4)).fraction())
        spread = 2 * Draws(asked.digest + b"latency").fraction() - 1 if self.rules.jitter else 0.0
        delay_s = self.rules.latency_ms / 1000 * (1 + self.rules.jitter * spread)
        status = "200 OK"
        if kind == "errors_500":
            answer, status = _error("internal error"), "500 Internal Server Error"
        elif kind == "malformed":
            answer = answer[: len(answer) // 2]
        elif kind == "html":
            answer = b"<!doctype html><title>Welcome</title><p>Please sign in to use this network.</p>"
        elif kind == "error_bodies":
            answer = _error("the model is overloaded")
        return plan(kind, answer, status=status, delay_s=delay_s, digest=asked.digest)

    def settle(self, given: Plan, *, taken: bool) -> None:
        """Count an answer. One that nobody was there to take is counted too: a provider has it paid all the same."""
        self.counts[given.kind] += 1
        if not given.digest:
            return
        self.in_flight -= 1
        self.counts["abandoned"] += not taken
        if given.kind in ("ok", "slow"):
            now, first = time.monotonic(), self.paid.get(given.digest)
            if first is not None:
                self.counts["repeated_paid"] += 1
                ended = next((mark for mark in self.marks if mark >= first), now)
                self.counts["repaid_late"] += ended - first > KEPT_WITHIN_S
            self.paid[given.digest] = now if taken else inf  # nobody received that

    def stats(self) -> dict[str, Any]:
        """The counts; ``ok`` are all whole good answers, ``slow`` those of them that were dribbled."""
        shown: dict[str, Any] = {name: self.counts[name] for name in COUNTED}
        shown["ok"] += shown["slow"]
        spent = time.process_time() - self.began_cpu_s
        return {
            **shown,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "distinct": len(self.tries),
            "cpu_s": round(spent, 4),
        }


class Line(asyncio.Protocol):
    """One connection: HTTP/1.1 with Content-Length, one answer at a time."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.buffer, self.busy, self.last = desk, b"", False, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where answers go."""
        self.transport: Any = transport
        self.desk.counts["connections"] += 1

    def data_received(self, data: bytes) -> None:
        """Answer what is complete, in order."""
        self.buffer += data
        self.advance()

    def advance(self) -> None:
        """Take requests from the buffer until one is incomplete or its answer has to wait."""
        while not self.busy and (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower() + b"\r\n"
            if b"\r\ntransfer-encoding:" in head:
                self.transport.write(b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                self.transport.close()
                return
            start, at = end + 4, head.find(b"\r\ncontent-length:")
            stop = start + (int(head[at + 17 : head.index(b"\r", at + 17)]) if at >= 0 else 0)
            if len(self.buffer) < stop:
                return
            body, self.buffer = self.buffer[start:stop], self.buffer[stop:]
            self.last = b"\r\nconnection: close" in head
            self.handle(head[: head.index(b" ", head.index(b" ") + 1)], body)

    def handle(self, wanted: bytes, body: bytes) -> None:
        """Answer one request, or set the clock for it."""
        if wanted.endswith(b"/completions"):
            decided = self.desk.receive(body, chat=wanted.endswith(b"/chat/completions"))
        else:
            decided = self.aside(wanted)
        if decided.delay_s:
            self.busy = True
            asyncio.get_running_loop().call_later(decided.delay_s, self.give, decided, True)
        else:
            self.give(decided, False)

    def aside(self, wanted: bytes) -> Plan:
        """The answers that are not the model's."""
        if wanted.endswith(b"/reset"):
            self.desk.reset()
        elif wanted.endswith(b"/mark"):
            self.desk.marks.append(time.monotonic())
        shown = dict.fromkeys(("get /stats", "post /reset", "post /mark"), self.desk.stats).get(
            wanted.decode("latin-1")
        )
        if shown is not None:
            return plan("asides", json.dumps(shown()).encode())
        if wanted.endswith(b"/models"):
            return plan(
                "asides",
                b'{"object":"list","data":[{"id":"mock","object":"model","created":1700000000,"owned_by":"mock"}]}',
            )
        return plan("asides", _error("no such page"), status="404 Not Found")

    def give(self, decided: Plan, late: bool) -> None:
        """Send an answer, in the way that its kind asks for."""
        taken = not self.transport.is_closing()
        if decided.kind == "slow":
            self.busy = True
            self.dribbling = asyncio.get_running_loop().create_task(self.dribble(decided))
            return
        self.desk.settle(decided, taken=taken)
        if taken and decided.kind != "dropped":
            self.transport.write(decided.head + decided.body)
        if decided.kind == "dropped" or self.last:
            self.transport.close()
        if late:
            self.busy = False
            self.advance()

    async def dribble(self, decided: Plan) -> None:
        """Send a good answer in pieces, with pauses that add up to ``slow_s``."""
        whole, size = decided.head + decided.body, -(-len(decided.head + decided.body) // PIECES)
        for at in range(0, len(whole), size):
            await asyncio.sleep(self.desk.rules.slow_s / PIECES)
            if not self.transport.is_closing():
                self.transport.write(whole[at : at + size])
        self.desk.settle(decided, taken=not self.transport.is_closing())
        if self.last:
            self.transport.close()
        self.busy = False
        self.advance()


async def serve(rules: Rules, port: int, *, until_eof: bool) -> None:
    """Listen, say on which port, and stop at SIGTERM or SIGINT, after an hour, or when standard input ends."""
    loop, stopped, desk = asyncio.get_running_loop(), asyncio.Event(), Desk(rules)
    server = await loop.create_server(lambda: Line(desk), "127.0.0.1", port, backlog=4096)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if until_eof:  # the pipe breaks when the parent dies, however it dies
        loop.add_reader(sys.stdin.fileno(), stopped.set)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps({"port": port, "base_url": f"http://127.0.0.1:{port}/v1"}) + "\n")
    sys.stdout.flush()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopped.wait(), LONGEST_LIFE_S)
    server.close()


def main() -> None:
    """Parse the rules and serve by them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hotpath.server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input ends")
    for field in fields(Rules):
        kind = int if field.name == "max_in_flight" else float
        parser.add_argument("--" + field.name.replace("_", "-"), type=kind, default=field.default)
    told = vars(parser.parse_args())
    port, until_eof = told.pop("port"), told.pop("until_eof")
    run = asyncio.run
    with contextlib.suppress(ImportError):  # some microseconds a request less; nothing else changes
        run = __import__("uvloop").run
    run(serve(Rules(**told), port, until_eof=until_eof))


class Server:
    """The server as a process of its own, for as long as the ``with`` block: ``Server(latency_ms=200, rpm=600)``.

    Takes the fields of ``Rules``; ``python`` is the interpreter to run it with, which may have uvloop where this one
    has not.
    """

    def __init__(self, *, python: str = sys.executable, **rules: float) -> None:
        Rules(**rules)  # type: ignore[arg-type]  # a misspelt rule fails here, not in the child
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in rules.items()]
        self._command = [python, "-m", "benchmarks.hotpath.server", "--until-eof", *flags]

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self._command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError("the server did not start; its standard error says why")
        told = json.loads(line)
        self.port: int = told["port"]
        self.base_url: str = told["base_url"]
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:  # closes the pipes and waits
            self.process.terminate()

    def _call(self, method: str, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found

    def stats(self) -> dict[str, Any]:
        """The counts since the start or the last reset."""
        return self._call("GET", "/stats")

    def reset(self) -> None:
        """Forget all counts, attempts and paid answers."""
        self._call("POST", "/reset")

    def mark(self) -> None:
        """Note that whoever asked was killed just now: what is paid again later is told by when it was first given."""
        self._call("POST", "/mark")


if __name__ == "__main__":
    main()

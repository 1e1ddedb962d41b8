"""How many calls may be in flight at one server: found out by how it takes them, and never more than it allows.

The limit starts small and doubles every round trip until the server says that it gets too much (slow start), is then
cut to a share of what was really in flight, and grows by one a round trip (additive increase, multiplicative decrease:
Chiu and Jain 1989). Near the limit at which it was last cut it grows ever more slowly, so that a server with a fixed
limit is not asked for more every few seconds. A cut counts once for all calls that were sent under the old limit.

A permit is held from sending to answer and never while waiting. Requests and tokens a minute are paced; a server that
says that its window is spent, or refuses again what was sent after a cut, is left alone for as long as it asks.
All clocks here are monotonic: a clock that jumps changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

FIRST_LIMIT = 16
"""Calls in flight to begin with."""
CUT = 0.85
"""What a limit is multiplied by when the server says that it was too high."""
BURST_S = 1.0
"""Seconds of a minute's allowance that may be used at once."""
PROBE_S = 2.0
"""Seconds after a cut before the limit may pass the one it was cut at; doubles with every cut there, to PROBE_MAX_S."""
PROBE_MAX_S = 160.0


@dataclass(slots=True)
class Permit:
    """The right to have one call in flight; given back with ``done``."""

    epoch: int
    tokens: int


class Bucket:
    """An allowance that fills at an even rate: in no minute is more taken than ``per_minute``.

    What one amount exceeds the burst by may come on top: it is paid for afterwards.
    """

    def __init__(self, per_minute: int, now: float) -> None:
        """Nothing is limited where ``per_minute`` is 0."""
        self._burst = max(1.0, per_minute * BURST_S / 60.0)
        self._rate = max(1.0, per_minute - self._burst) / 60.0
        self._limited, self._level, self._at = per_minute > 0, self._burst, now

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until ``amount`` may be taken; an amount above the burst waits for a full bucket."""
        if not self._limited:
            return 0.0
        self._fill(now)
        missing = min(amount, self._burst) - self._level
        return 0.0 if missing <= 1e-9 else missing / self._rate

    def take(self, amount: float, now: float) -> None:
        """Take it; an amount above the burst leaves a debt."""
        if self._limited:
            self._fill(now)
            self._level -= amount

    def _fill(self, now: float) -> None:
        self._level = min(self._burst, self._level + self._rate * max(0.0, now - self._at))
        self._at = now


class Admission:
    """The gate before one server and model. Made in the event loop that uses it; what is not urgent comes in turn."""

    def __init__(
        self,
        most: int,
        *,
        requests_per_minute: int = 0,
        tokens_per_minute: int = 0,
        first: int = FIRST_LIMIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``first`` calls in flight to begin with, and ``most`` at any time, whatever the server would take."""
        self.most = most
        self.limit = float(min(first, most))
        """Calls that may be in flight now."""
        self.in_flight = 0
        self.failed_in_a_row = 0
        """Calls that failed since the last one that was answered, whoever made them."""
        self._clock = clock
        self._requests = Bucket(requests_per_minute, clock())
        self._tokens = Bucket(tokens_per_minute, clock())
        self._waiting: deque[tuple[asyncio.Future[Permit], int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._epoch = 0
        self._slow_start = True
        self._ceiling, self._probing = float("inf"), False
        self._cut_at = self._paused_until = self._patient_until = float("-inf")
        self._probe_s, self._probed_at = PROBE_S, 0.0

    @property
    def paused_s(self) -> float:
        """Seconds for which nothing will be sent, as the server asked; 0 when it may."""
        return max(0.0, self._paused_until - self._clock())

    @property
    def waiting(self) -> int:
        """Calls that wait for a permit."""
        return len(self._waiting)

    async def permit(self, tokens: int, *, urgent: bool = False) -> Permit:
        """Wait for a permit for a call that may use so many tokens, in and out; ``urgent`` ones go first."""
        if not self._waiting and self._may(tokens):
            return self._give(tokens)
        future: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        if urgent:
            self._waiting.appendleft((future, tokens))
        else:
            self._waiting.append((future, tokens))
        self._wake()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # given in the same turn in which the caller was cancelled
                self._take_back(tokens)
            self._wake()
            raise

    def succeeded(self, permit: Permit, *, tokens: int, pause_s: float = 0.0) -> None:
        """The call was answered and used ``tokens``; the server asks for ``pause_s`` seconds."""
        self.in_flight -= 1
        self.failed_in_a_row = 0
        self._tokens.take(tokens - permit.tokens, self._clock())
        self._grow()
        if pause_s > 0:
            self._paused_until = max(self._paused_until, self._clock() + pause_s)
        self._wake()

    def overloaded(self, permit: Permit, retry_after_s: float | None) -> None:
        """The server said that it gets too much. Cuts once for all calls sent under the same limit."""
        now, busy = self._clock(), self.in_flight
        self.in_flight -= 1
        if permit.epoch == self._epoch:
            again = now < self._patient_until
            if self._probing:
                self._probe_s = min(PROBE_MAX_S, 2 * self._probe_s)
            elif busy < 0.9 * self._probed_at:  # less room than it had: it may have it again soon
                self._probe_s = PROBE_S
            self._ceiling, self._probing = min(self.limit, float(busy)), False
            self.limit = max(1.0, CUT * self._ceiling)
            self._epoch, self._slow_start, self._cut_at = self._epoch + 1, False, now
            if retry_after_s:
                self._patient_until = now + retry_after_s
            if again and retry_after_s:  # fewer calls did not help: it counts by the minute, so wait as it asks
                self._paused_until = max(self._paused_until, now + retry_after_s)
        self._wake()

    def failed(self, permit: Permit) -> None:
        """The call failed for another reason than load; the limit stays."""
        del permit
        self.in_flight -= 1
        self.failed_in_a_row += 1
        self._wake()

    def hold(self, seconds: float) -> None:
        """Send nothing for so many seconds."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)
        self._wake()

    def _grow(self) -> None:
        """One success: more by one in slow start; later one a round trip, and past the last ceiling only in time."""
        if self.limit >= self.most or self.in_flight + 1 < self.limit / 2:
            return
        if self._slow_start:
            self.limit = min(self.most, self.limit + 1)
            return
        grown = self.limit + 1 / self.limit
        if grown > self._ceiling - 1 and not self._probing:
            if self._clock() - self._cut_at < self._probe_s:
                return
            if self._ceiling > self._probed_at / 0.9 + 1:  # more room than the last time
                self._probe_s = PROBE_S
            self._probed_at = self._ceiling
            self._probing = self._slow_start = True  # the room may be much larger now: find out quickly
        self.limit = min(self.most, grown)

    def _may(self, tokens: int) -> bool:
        return self.in_flight < int(self.limit) and self._wait_s(tokens) <= 0

    def _wait_s(self, tokens: int) -> float:
        now = self._clock()
        return max(self._paused_until - now, self._requests.wait_s(1, now), self._tokens.wait_s(tokens, now))

    def _give(self, tokens: int) -> Permit:
        now = self._clock()
        self.in_flight += 1
        self._requests.take(1, now)
        self._tokens.take(tokens, now)
        return Permit(self._epoch, tokens)

    def _take_back(self, tokens: int) -> None:
        """A permit that nobody will use."""
        now = self._clock()
        self.in_flight -= 1
        self._requests.take(-1, now)
        self._tokens.take(-tokens, now)

    def _wake(self) -> None:
        """Give permits to those who wait, and come back when the clock allows the next."""
        waiting = self._waiting
        while waiting and self.in_flight < int(self.limit):
            future, tokens = waiting[0]
            if future.done():  # cancelled while it waited
                waiting.popleft()
                continue
            if (wait_s := self._wait_s(tokens)) > 0:
                self._come_back(wait_s)
                return
            waiting.popleft()
            future.set_result(self._give(tokens))

    def _come_back(self, wait_s: float) -> None:
        """Ring when the wait is over, or a little earlier; a later ringing gives way, since waits may get shorter."""
        loop = asyncio.get_running_loop()
        at = loop.time() + min(wait_s, 60.0) + 1e-4
        if self._timer is not None:
            if self._timer.when() <= at + 1e-3:
                return
            self._timer.cancel()
        self._timer = loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake()

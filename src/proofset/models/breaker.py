"""When to stop asking a server that only fails: by share with a confidence bound, by time, and by money.

Ten outcomes are no evidence: at a 5 % failure rate a rule of "5 of the last 10" ends nine in ten runs of 100,000 calls.
So the share counts only when the lower end of its 95 % interval (Wilson 1927) is above one half. An open breaker pauses
the server for a while, says so, and tries again; only time without any good reply ends a run.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal

from proofset.stats import wilson

WINDOW = 100
"""Outcomes that the share is taken of."""
FEWEST = 20
"""Outcomes without which nothing is concluded."""
SHARE = 0.5
"""Share of failures that the lower bound must exceed."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
WASTED_USD = Decimal(1)
"""Money paid for failures in a row, without one good reply between, from which the breaker opens."""


class Breaker:
    """Watches the outcomes at one server. Overload is none of its business: a full server is a healthy one."""

    def __init__(self, give_up_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``give_up_s`` seconds without a good reply are the end."""
        self._give_up_s, self._clock = give_up_s, clock
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._without_good_since: float | None = None
        self._wasted_usd = Decimal(0)
        self._pause_s = FIRST_PAUSE_S

    def asked(self) -> None:
        """A call is about to be sent; the clock runs from the first one after a good reply."""
        if self._without_good_since is None:
            self._without_good_since = self._clock()

    def good(self) -> None:
        """A usable reply came."""
        self._outcomes.append(True)
        self._without_good_since, self._wasted_usd, self._pause_s = None, Decimal(0), FIRST_PAUSE_S

    def bad(self, usd: Decimal) -> tuple[float, str] | None:
        """An attempt failed and cost ``usd``. Seconds to pause and why, when the breaker opens; else None."""
        self._outcomes.append(False)
        self._wasted_usd += usd
        failed, n = self._outcomes.count(False), len(self._outcomes)
        if n >= FEWEST and (low := wilson(failed, n)[0]) > SHARE:
            why = f"{failed} of the last {n} calls failed (at least {low:.0%})"
        elif self._wasted_usd >= WASTED_USD:
            why = f"${self._wasted_usd:.2f} paid for failures, without one good reply"
        else:
            return None
        pause_s, self._pause_s = self._pause_s, min(LONGEST_PAUSE_S, 2 * self._pause_s)
        self._outcomes.clear()
        self._wasted_usd = Decimal(0)
        return pause_s, why

    def out_of_patience(self) -> bool:
        """Whether there has been no good reply for longer than the run may wait, though there were calls."""
        since = self._without_good_since
        return since is not None and self._clock() - since > self._give_up_s

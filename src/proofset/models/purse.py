"""What the loop may use up: reserve an upper bound, send, settle what it really was.

A cap that is checked and then spent is overspent by everything in flight. So each call first reserves the most it can
cost, and with it the most that judging its answer can cost: a candidate that was paid for can always be judged. When
the cap cannot cover the next reservation, whoever asks waits for others to settle below theirs; only when nothing is
left to settle is the purse empty.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from proofset.errors import BudgetSpent

ZERO = Decimal(0)
LOAN_SHARE = Decimal("0.01")
"""Share of a shared cap that is borrowed at once, if that is more than the reservation at hand needs."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Money, tokens and calls."""

    usd: Decimal = ZERO
    tokens: int = 0
    requests: int = 0

    def plus(self, other: Amount) -> Amount:
        """Both together."""
        return Amount(self.usd + other.usd, self.tokens + other.tokens, self.requests + other.requests)

    def minus(self, other: Amount) -> Amount:
        """The one without the other."""
        return Amount(self.usd - other.usd, self.tokens - other.tokens, self.requests - other.requests)


NOTHING = Amount()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most of each that may be used up; None for no cap."""

    usd: Decimal | None = None
    tokens: int | None = None
    requests: int | None = None
    seconds: float | None = None

    def allow(self, used: Amount) -> bool:
        """Whether so much is within the caps."""
        return (
            (self.usd is None or used.usd <= self.usd)
            and (self.tokens is None or used.tokens <= self.tokens)
            and (self.requests is None or used.requests <= self.requests)
        )


class Loans(Protocol):
    """A budget shared with other runs."""

    def borrow(self, want_usd: Decimal, spent_usd: Decimal, lent_usd: Decimal) -> Decimal:
        """A further loan of at most ``want_usd``; 0 when nothing is left."""
        ...


@dataclass(slots=True, eq=False)
class _Waiter:
    """A call that does not fit just now."""

    future: asyncio.Future[None]
    wanted: Amount
    held: int
    """Calls that are reserved for it already, in part."""
    for_all: bool
    """Whether any brief may be waiting for it."""

    @property
    def rank(self) -> int:
        """Its place in the queue: what all may wait for, then what is set aside in part, then the rest."""
        return 0 if self.for_all else 1 if self.held else 2


class Purse:
    """All models of a loop spend from one. ``spent`` is settled, ``reserved`` is in flight or held for judging."""

    def __init__(
        self, caps: Caps, spent: Amount = NOTHING, *, loans: Loans | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """``spent`` is what earlier walks of the same run used up."""
        self.caps, self.spent, self.reserved = caps, spent, NOTHING
        self._loans, self._lent = loans, ZERO
        self._kept: dict[str, Amount] = {}
        self._waiting: deque[_Waiter] = deque()
        self._stalled = 0  # calls that those who wait hold in part
        self._clock, self._ends = clock, None if caps.seconds is None else clock() + caps.seconds

    @property
    def over_time(self) -> bool:
        """Whether the wall time is used up."""
        return self._ends is not None and self._clock() >= self._ends

    async def reserve(self, bound: Amount, *, brief_id: str = "", for_judging: Amount = NOTHING) -> Amount:
        """Set aside ``bound`` for a call and keep ``for_judging`` for its brief. Raises BudgetSpent.

        What is kept for the brief already is used first: judging asks for nothing that was not set aside. A call for no
        brief in particular is one that all briefs may be waiting for: it goes before them, and waits for none of what
        is kept for them.
        """
        kept = self._kept.pop(brief_id, NOTHING) if brief_id and for_judging is NOTHING else NOTHING
        wanted = Amount(
            max(ZERO, bound.usd + for_judging.usd - kept.usd),
            max(0, bound.tokens + for_judging.tokens - kept.tokens),
            max(0, bound.requests + for_judging.requests - kept.requests),
        )
        held = bound.plus(for_judging).minus(wanted)  # out of what was kept
        self.reserved = self.reserved.minus(kept).plus(held)
        try:
            await self._set_aside(wanted, held.requests, for_all=not brief_id)
        except BaseException:
            self.reserved = self.reserved.minus(held)
            self._wake()
            raise
        if for_judging is not NOTHING:
            self._kept[brief_id] = self._kept.get(brief_id, NOTHING).plus(for_judging)
        return bound

    def settle(self, bound: Amount, used: Amount, *, keep_for: str = "") -> None:
        """The call that reserved ``bound`` used up ``used``; the rest is free, or kept for a brief that tries again."""
        self.reserved = self.reserved.minus(bound)
        if keep_for:
            rest = Amount(
                max(ZERO, bound.usd - used.usd),
                max(0, bound.tokens - used.tokens),
                max(0, bound.requests - used.requests),
            )
            self.reserved = self.reserved.plus(rest)
            self._kept[keep_for] = self._kept.get(keep_for, NOTHING).plus(rest)
        self.spent = self.spent.plus(used)
        self._lent -= used.usd
        self._wake()

    def let_go(self, brief_id: str) -> None:
        """The brief is closed: what was kept for judging it is free again."""
        if (kept := self._kept.pop(brief_id, None)) is not None:
            self.reserved = self.reserved.minus(kept)
            self._wake()

    def _fits(self, wanted: Amount) -> bool:
        used = self.spent.plus(self.reserved).plus(wanted)
        return self.caps.allow(used) and self._covered(wanted)

    def _covered(self, wanted: Amount) -> bool:
        """Whether the loans cover all reservations and this one; borrows where they do not."""
        if self._loans is None:
            return True
        missing = self.reserved.usd + wanted.usd - self._lent
        if missing > 0:
            ahead = LOAN_SHARE * (self.caps.usd or ZERO)
            self._lent += self._loans.borrow(max(missing, ahead), self.spent.usd, self._lent)
            missing = self.reserved.usd + wanted.usd - self._lent
        return missing <= 0

    async def _set_aside(self, wanted: Amount, held: int, *, for_all: bool) -> None:
        if wanted == NOTHING:  # all of it was kept for this: it waits behind nobody
            return
        if self.over_time and not held:
            raise self._late()
        waiter = _Waiter(asyncio.get_running_loop().create_future(), wanted, held, for_all)
        before = sum(each.rank <= waiter.rank for each in self._waiting)
        if not before and self._fits(wanted):
            self.reserved = self.reserved.plus(wanted)
            return
        if not self._may_free(held, for_all=for_all):
            raise self._empty()
        self._waiting.insert(before, waiter)
        self._stalled += held
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                self._stalled -= held
            elif not waiter.future.cancelled() and waiter.future.exception() is None:
                self.reserved = self.reserved.minus(wanted)
            self._wake()
            raise

    def _may_free(self, held: int = 0, *, for_all: bool) -> bool:
        """Whether something may settle below its reservation, and does not itself wait for whoever asks."""
        kept = sum(each.requests for each in self._kept.values()) if for_all else 0
        return self.reserved.requests - self._stalled - held - kept > 0

    def _wake(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            late = self.over_time and not first.held
            fits = not late and self._fits(first.wanted)
            if not fits and not late and self._may_free(for_all=first.for_all):
                return
            self._waiting.popleft()
            self._stalled -= first.held
            if first.future.cancelled():
                continue
            if fits:
                self.reserved = self.reserved.plus(first.wanted)
                first.future.set_result(None)
            else:
                first.future.set_exception(self._late() if late else self._empty())

    def _late(self) -> BudgetSpent:
        return BudgetSpent("the wall time is used up", hint="raise synthesize.budget.seconds and run again")

    def _empty(self) -> BudgetSpent:
        return BudgetSpent("the budget is used up", hint="raise it and run again: `proofset run --budget-usd …`")


def caps_of(usd: str, tokens: int, requests: int, seconds: float) -> Caps:
    """Caps out of a study's settings, where 0 or nothing means no cap."""
    return Caps(
        usd=Decimal(usd) if usd else None, tokens=tokens or None, requests=requests or None, seconds=seconds or None
    )

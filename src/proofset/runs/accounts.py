"""A budget that several runs spend together, kept beside the store of replies.

Each run borrows a little ahead and spends from the loan, so the file is asked once in many calls. What all runs have
spent and borrowed never exceeds the cap: a race cannot overspend, because borrowing is one transaction.
"""

from __future__ import annotations

import time
from decimal import Decimal

from proofset.runs.responses import Responses


class Account:
    """One run's part in a shared budget."""

    def __init__(self, store: Responses, name: str, holder: str, cap_usd: Decimal, spent_usd: Decimal) -> None:
        """``spent_usd`` is what the holder's log says it has spent; it replaces what an earlier process left here."""
        self._store, self._name, self._holder, self._cap = store, name, holder, cap_usd
        self._connection = store.connect()
        self._write(spent_usd, Decimal(0))

    def borrow(self, want_usd: Decimal, spent_usd: Decimal, lent_usd: Decimal) -> Decimal:
        """A further loan of at most ``want_usd``; ``lent_usd`` is what is left of the last ones. 0: nothing is left."""
        with self._store.explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                rows = self._connection.execute(
                    "SELECT spent, lent FROM accounts WHERE name = ? AND holder != ?", (self._name, self._holder)
                ).fetchall()
                others = sum((Decimal(spent) + Decimal(lent) for spent, lent in rows), Decimal(0))
                granted = max(Decimal(0), min(want_usd, self._cap - others - spent_usd - lent_usd))
                self._write(spent_usd, lent_usd + granted)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
        return granted

    def close(self, spent_usd: Decimal) -> None:
        """Give back what is left of the loans."""
        self._write(spent_usd, Decimal(0))
        self._connection.close()

    def _write(self, spent_usd: Decimal, lent_usd: Decimal) -> None:
        with self._store.explained():
            self._connection.execute(
                "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)",
                (self._name, self._holder, str(spent_usd), str(lent_usd), time.time()),
            )

"""What is wanted, and its cost on two exact paths: linear, and Heaps with a given exponent."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

from proofset.costing.pilot import Pilot, Rates, rates
from proofset.costing.prices import PRECISION
from proofset.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is wanted in all, the pilot's part included: accepted records or accepted bytes, one of them.

    Raises InputError for both, neither, or less than 1.
    """

    records: int | None = None
    accepted_bytes: int | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.records, self.accepted_bytes) if value is not None]
        if len(given) != 1 or given[0] < 1:
            raise InputError("a target of nothing, or of two kinds", hint="give records or accepted_bytes, 1 or more")

    @property
    def in_bytes(self) -> bool:
        """Whether bytes are wanted."""
        return self.accepted_bytes is not None

    @property
    def amount(self) -> int:
        """Of records or bytes."""
        return self.accepted_bytes or self.records or 0

    def factor(self, pilot: Pilot) -> Decimal:
        """How many times the pilot's yield. Raises InputError for a pilot that accepted nothing."""
        had = pilot.total_bytes if self.in_bytes else int(pilot.flags("accepted").sum())
        if not had:
            raise InputError("the pilot accepted nothing, so nothing can be projected", hint="see its yields")
        with localcontext(prec=PRECISION):
            return Decimal(self.amount) / had

    def linear_usd(self, per: Rates) -> Decimal:
        """Cost at the pilot's rates; too cheap for a generator that repeats itself. Raises as ``Rates`` does."""
        with localcontext(prec=PRECISION):
            return self.amount * (per.usd_per(1) if self.in_bytes else per.usd_per_record())


@dataclass(frozen=True, slots=True)
class HeapsCost:
    """Cost of a target under U = K·n^beta through the pilot's end."""

    candidates_linear: Decimal
    """Critic-passed ones, in all."""
    candidates: Decimal
    ratio: Decimal
    """Of the two."""
    usd: Decimal
    marginal_usd: Decimal
    """What a target of the same size would cost at the price of the last unit: average over beta."""


def heaps_cost(pilot: Pilot, target: Target, beta: float) -> HeapsCost:
    """The exact cost at a given ``beta`` in (0, 1] (Heaps 1978). Raises InputError for another, and as ``rates``."""
    if not 0 < beta <= 1:
        raise InputError(f"a Heaps exponent of {beta}", hint="it lies above 0, and 1 means that nothing is repeated")
    factor, per, passed = target.factor(pilot), rates(pilot), int(pilot.flags("passed").sum())
    with localcontext(prec=PRECISION):
        exponent = Decimal(repr(beta))
        grown = factor ** (1 / exponent)
        usd = target.linear_usd(per) * grown / factor
        return HeapsCost(passed * factor, passed * grown, grown / factor, usd, usd / exponent)

"""A pilot: what each attempt cost and what became of it, and its exact rates.

Every rate of money is a ratio of sums over all attempts, whatever became of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from proofset.costing.prices import PRECISION
from proofset.errors import InputError

TERABYTE, TEBIBYTE = 10**12, 2**40
"""Bytes."""
STAGES = ("parsed", "passed", "unique", "accepted")
"""What an attempt goes through, in order; who fails one has failed the later ones."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pilot:
    """Columns of equal length, one entry per attempt. Raises InputError for columns that cannot be."""

    seeds: Sequence[Hashable]
    """Seed document of the attempt; one and the same for attempts that stand or fall together."""
    slices: Sequence[str]
    usd: Sequence[Decimal | None] | NDArray[np.float64]
    """What the attempt cost, all calls together; None where it has no price."""
    parsed: Sequence[bool]
    passed: Sequence[bool]
    """By the critic."""
    unique: Sequence[bool]
    accepted: Sequence[bool]
    accepted_bytes: Sequence[int]
    """Of UTF-8 text; 0 for what was not accepted."""
    output_tokens: Sequence[int]
    """Visible ones of what was accepted; 0 otherwise."""
    ideas: Sequence[Hashable]
    """Group of near-copies; read only where the critic passed."""
    seeded: bool = True
    """Whether ideas come out of the seed documents; False for a generator that is given none."""

    def __post_init__(self) -> None:
        columns = (self.slices, self.usd, self.accepted_bytes, self.output_tokens, self.ideas)
        lengths = {len(self.seeds), *map(len, columns), *(len(self.flags(stage)) for stage in STAGES)}
        if len(lengths) != 1 or lengths == {0}:
            raise InputError(
                f"columns of {sorted(lengths)} attempts", hint="give one entry per attempt in every column"
            )
        before = np.ones(self.attempts, dtype=bool)
        for stage in STAGES:
            if (self.flags(stage) & ~before).any():
                raise InputError(
                    f"an attempt is {stage} that failed before", hint=f"the stages are {', '.join(STAGES)}"
                )
            before = self.flags(stage)
        for name, sizes in (("accepted_bytes", self.accepted_bytes), ("output_tokens", self.output_tokens)):
            if (np.asarray(sizes) < 0).any() or np.asarray(sizes)[~before].any():
                raise InputError(
                    f"{name} below 0, or of what was not accepted", hint="give 0 for what was not accepted"
                )
        if any(usd is not None and not (usd.is_finite() and usd >= 0) for usd in self.amounts):
            raise InputError(
                "an attempt's cost is no amount", hint="an amount is finite and 0 or larger; None if unknown"
            )
        if int(self.flags("unique").sum()) > len(set(self.passed_ideas)):
            raise InputError("more unique candidates than ideas", hint="copies of one idea are not unique")

    @property
    def attempts(self) -> int:
        """How many."""
        return len(self.seeds)

    @cached_property
    def amounts(self) -> tuple[Decimal | None, ...]:
        """USD per attempt; a float is taken for the shortest decimal that is it."""
        return tuple(usd if usd is None or isinstance(usd, Decimal) else Decimal(repr(float(usd))) for usd in self.usd)

    @cached_property
    def total_usd(self) -> Decimal | None:
        """Of all attempts, exact; None if one of them has no price."""
        return self.spent(np.ones(self.attempts, dtype=bool))

    @property
    def total_bytes(self) -> int:
        """Accepted."""
        return sum(map(int, self.accepted_bytes))

    @cached_property
    def passed_ideas(self) -> tuple[Hashable, ...]:
        """Ideas of critic-passed candidates, in order."""
        return tuple(idea for idea, passed in zip(self.ideas, self.passed, strict=True) if passed)

    @cached_property
    def passed_seeds(self) -> tuple[Hashable, ...]:
        """Their seed documents."""
        return tuple(seed for seed, passed in zip(self.seeds, self.passed, strict=True) if passed)

    def flags(self, stage: str) -> NDArray[np.bool_]:
        """Who came through one of ``STAGES``, of shape ``(attempts,)``."""
        return np.asarray(getattr(self, stage), dtype=bool)

    def spent(self, where: NDArray[np.bool_]) -> Decimal | None:
        """USD of some attempts, exact; None if one of them has no price."""
        with localcontext(prec=PRECISION):
            amounts = [self.amounts[place] for place in np.flatnonzero(where)]
            return None if None in amounts else sum((usd for usd in amounts if usd is not None), Decimal())


def shares(pilot: Pilot, mix: Mapping[str, float] | None) -> dict[str, Decimal]:
    """Share of the attempts of each of the pilot's slices, by name: in production if ``mix`` is given, else its own.

    Raises InputError for a slice that the pilot does not have, and for weights that are no weights.
    """
    names, counts = np.unique(np.asarray(pilot.slices, dtype=str), return_counts=True)
    own = {str(name): Decimal(int(count)) for name, count in zip(names, counts, strict=True)}
    if mix is None:
        weights = own
    elif unknown := sorted(set(mix) - set(own)):
        raise InputError(f"the pilot has no slice {unknown[0]!r}", hint=f"it has {', '.join(own)}")
    else:
        weights = {name: Decimal(repr(float(mix.get(name, 0)))) for name in own}
    if not all(weight.is_finite() and weight >= 0 for weight in weights.values()) or not sum(weights.values()):
        raise InputError("a production mix of no weights", hint="weights are finite, 0 or larger, and not all 0")
    with localcontext(prec=PRECISION):
        whole = sum(weights.values())
        return {name: weight / whole for name, weight in weights.items()}


@dataclass(frozen=True, slots=True)
class Rates:
    """Per attempt of the production mix."""

    usd: Decimal
    bytes: Decimal
    """Accepted."""
    accepted: Decimal

    def usd_per(self, size: int = TERABYTE) -> Decimal:
        """USD per so many accepted bytes, linear: what the pilot paid. Raises InputError if nothing was accepted."""
        return self._over(self.bytes, size)

    def usd_per_record(self) -> Decimal:
        """USD per accepted record. Raises InputError if nothing was accepted."""
        return self._over(self.accepted, 1)

    def _over(self, yielded: Decimal, size: int) -> Decimal:
        if not yielded:
            raise InputError(
                "nothing was accepted, so there is no cost of what was", hint="see the yields for a lower bound"
            )
        with localcontext(prec=PRECISION):
            return size * self.usd / yielded


def rates(pilot: Pilot, mix: Mapping[str, float] | None = None) -> Rates:
    """The pilot's rates, re-weighted to a production mix of attempts by slice; rounded at the sixtieth digit.

    Raises InputError where an attempt has no price.
    """
    totals = [Decimal(), Decimal(), Decimal()]
    slices, sizes = np.asarray(pilot.slices, dtype=str), np.asarray(pilot.accepted_bytes, dtype=np.int64)
    with localcontext(prec=PRECISION):
        groups = shares(pilot, mix).items() if mix is not None else [(None, Decimal(1))]
        for name, share in groups:
            inside = np.ones(pilot.attempts, dtype=bool) if name is None else slices == name
            usd = pilot.spent(inside)
            if usd is None:
                raise InputError("an attempt has no price", hint="price every model, or leave its attempts out")
            sums = (usd, Decimal(int(sizes[inside].sum())), Decimal(int(pilot.flags("accepted")[inside].sum())))
            totals = [total + share * part / int(inside.sum()) for total, part in zip(totals, sums, strict=True)]
    return Rates(*totals)

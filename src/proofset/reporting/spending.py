"""Which engines spoke and what they consumed: the fold of every attempt, kept or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from proofset.nouns.event import Event, Spent
from proofset.nouns.result import UsageBasis


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What one model consumed in one stage. ``input_tokens`` includes ``cached_tokens``."""

    model: str
    stage: str
    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    core_seconds: float = 0.0
    usd: Decimal = Decimal(0)
    """Of the priced calls alone."""
    unpriced: int = 0
    """Calls whose price nobody knows; they are not in ``usd``. A replay of a stored reply costs nothing again."""
    bases: tuple[UsageBasis, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """All attempts of a run, by model and stage, in order of first use."""

    engines: tuple[Engine, ...]

    @property
    def calls(self) -> int:
        """Attempts made."""
        return sum(engine.calls for engine in self.engines)

    @property
    def usd(self) -> Decimal:
        """Money of the priced calls."""
        return sum((engine.usd for engine in self.engines), Decimal(0))

    @property
    def unpriced(self) -> int:
        """Calls without a known price."""
        return sum(engine.unpriced for engine in self.engines)

    @property
    def authors(self) -> tuple[str, ...]:
        """The names of the models that proposed candidates, and not of those that judge them."""
        return tuple(
            dict.fromkeys(each.model for each in self.engines if each.output_tokens and each.stage == "generate")
        )


def fold_spending(events: Sequence[Event]) -> Spending:
    """Every Spent of the log, whatever became of the attempt."""
    engines: dict[tuple[str, str], Engine] = {}
    for event in events:
        if not isinstance(event, Spent):
            continue
        usage = event.usage
        known = engines.get((usage.model, usage.stage)) or Engine(model=usage.model, stage=usage.stage)
        engines[usage.model, usage.stage] = replace(
            known,
            calls=known.calls + 1,
            input_tokens=known.input_tokens + usage.input_tokens,
            cached_tokens=known.cached_tokens + usage.cached_tokens,
            output_tokens=known.output_tokens + usage.output_tokens,
            core_seconds=known.core_seconds + usage.core_seconds,
            usd=known.usd + (usage.usd or Decimal(0)),
            unpriced=known.unpriced + (usage.usd is None and usage.basis is not UsageBasis.REPLAY),
            bases=known.bases if usage.basis in known.bases else (*known.bases, usage.basis),
        )
    return Spending(engines=tuple(engines.values()))

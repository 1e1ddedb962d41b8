"""How the briefs were written, and what came of it: by strategy, by output, and after a revision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from proofset.config import Study
from proofset.nouns.candidate import Candidate, Output
from proofset.nouns.event import BriefClosed, Event, SliceClosed
from proofset.nouns.result import Better, Measure
from proofset.plugins import Content, Kind, find
from proofset.reporting.words import slice_title
from proofset.stats import wilson
from proofset.synthesizing.preferences import REVISION, closed_in, pairs
from proofset.synthesizing.strategies import STRATEGIES

STRATEGY_WORDS = {
    "few-shot": "records of the slice, and one more",
    "titled": "the same, each line under its slice’s name",
    "free": "under the slice’s name, begun freely",
    "contrast": "records of the confusable slice first",
    "persona": "somebody in particular writes",
    "crossing": "goes on from words of the confusable slice",
    "evolve": "records from short to long, and one that goes further",
}
"""What a strategy shows the generator, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """How often something was tried, and how often what came of it was accepted."""

    name: str
    tries: int
    accepted: int

    @property
    def share(self) -> Measure:
        """Accepted of tried, with its Wilson interval; without a value where nothing was tried."""
        low, high = wilson(self.accepted, self.tries) if self.tries else (None, None)
        return Measure(
            name="accepted", value=self.accepted / self.tries if self.tries else None, low=low, high=high, n=self.tries,
            unit="share", better=Better.HIGHER, note="" if self.tries else "not tried",
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTries:
    """The strategies in one slice, in the order of the whole run's."""

    slice: str
    title: str
    strategies: tuple[Tries, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What was tried. A brief that was answered is one try of its strategy, a revision being part of the same try."""

    strategies: tuple[Tries, ...]
    """Over all slices, in the order of the code's list; the names of others follow in order of appearance."""
    slices: tuple[SliceTries, ...]
    revisions: Tries
    """Candidates that revise another one under its critique."""
    outputs: tuple[Tries, ...]
    """Candidates by what they are for; those that were never asked for are left out."""
    stops: tuple[tuple[str, int], ...]
    """Why slices ended, and how many, the most frequent first."""


@dataclass(slots=True)
class Tally:
    """What has been read so far: counts alone, so a long log takes little room."""

    briefs: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    """By slice, strategy, and whether it was accepted."""
    revised: Counter[bool] = field(default_factory=Counter)
    outputs: Counter[tuple[Output, bool]] = field(default_factory=Counter)

    def brief(self, candidates: Iterable[Candidate], closing: BriefClosed | None) -> None:
        """One more brief with its candidates; without a closing it is still open, and no try yet."""
        winner = closing.winner if closing else None
        strategy = ""
        for candidate in candidates:
            won = candidate.id == winner
            strategy = strategy or candidate.strategy
            self.outputs[candidate.output, won] += 1
            if candidate.parent:
                self.revised[won] += 1
        if closing and strategy:
            self.briefs[closing.slice, strategy, winner is not None] += 1

    def written(self, titles: Mapping[str, str], closed: Iterable[SliceClosed]) -> Writing:
        """What it comes to."""
        found = dict.fromkeys(strategy for _, strategy, _ in self.briefs)
        names = [*(name for name in STRATEGIES if name in found), *(name for name in found if name not in STRATEGIES)]
        slices = dict.fromkeys(name for name, _, _ in self.briefs)
        whole: Counter[tuple[str, bool]] = Counter()
        for (_, strategy, won), n in self.briefs.items():
            whole[strategy, won] += n
        return Writing(
            strategies=tuple(_tries(name, whole[name, True], whole[name, False]) for name in names),
            slices=tuple(
                SliceTries(slice=each, title=slice_title(each, titles), strategies=self._of(each, names))
                for each in slices
            ),
            revisions=_tries("revisions", self.revised[True], self.revised[False]),
            outputs=tuple(
                _tries(str(output), self.outputs[output, True], self.outputs[output, False])
                for output in Output
                if self.outputs[output, True] + self.outputs[output, False]
            ),
            stops=tuple(Counter(str(each.stop) for each in closed).most_common()),
        )

    def _of(self, name: str, strategies: Sequence[str]) -> tuple[Tries, ...]:
        return tuple(_tries(each, self.briefs[name, each, True], self.briefs[name, each, False]) for each in strategies)


def _tries(name: str, accepted: int, others: int) -> Tries:
    return Tries(name=name, tries=accepted + others, accepted=accepted)


def preference_pairs(study: Study, events: Iterable[Event]) -> tuple[int, int]:
    """Pairs of an accepted and a refused text that the candidates make: by revision, and with a neighbour.

    The same count as in the handoff, which pairs what answers one question; ``events`` are those of the loop.
    """
    kind: Kind = find("kinds", study.synthesize.kind)

    def turn(candidate: Candidate) -> tuple[str, str]:
        said = kind.messages_of(Content(candidate.text, candidate.content, candidate.label))
        if len(said) > 1 and said[-1].role == "assistant":
            return "\n".join(f"{each.role}: {each.content}" for each in said[:-1]), said[-1].content
        return candidate.label, candidate.text

    found = pairs(closed_in(events), turn)
    revised = sum(pair.how == REVISION for pair in found)
    return revised, len(found) - revised

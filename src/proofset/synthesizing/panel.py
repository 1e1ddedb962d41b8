"""Several reviewers as one: critic models that vote, each with what its precision was measured to be worth."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from proofset.errors import BudgetSpent, InputError, ModelError
from proofset.nouns.candidate import Brief, Candidate, Decision, Verdict
from proofset.nouns.event import JudgeMeasured
from proofset.nouns.result import Better
from proofset.plugins import Reviewer
from proofset.synthesizing.faults import GOOD

Rule = Literal["majority", "weighted", "any", "all"]


class PanelReviewer:
    """A Reviewer that asks several and counts. Reasons: those of its members.

    Rules, all of them about refusing: "majority", at least as many refuse as accept; "weighted", the same by weight;
    "any", one refusal is enough; "all", nobody accepts. Ties refuse, and a wish to revise counts as a refusal. A member
    that cannot be reached abstains. Majorities lie when members fail alike, as models of one family do: then the panel
    is as good as one of them, and looks surer.
    """

    name = "panel"

    def __init__(
        self,
        reviewers: Sequence[Reviewer],
        rule: Rule = "majority",
        weights: Mapping[str, float] | None = None,
        *,
        name: str = "",
    ) -> None:
        """``weights`` by member name, for the rule "weighted" alone.

        Raises InputError for no members, two of one name, an unknown rule, or a rule "weighted" in which a member has
        no weight, a weight is negative or not finite, or all are 0.
        """
        names = [reviewer.name for reviewer in reviewers]
        if not names or len(set(names)) < len(names):
            raise InputError(f"a panel of {names!r}", hint="give at least one reviewer, and each name once")
        if rule not in ("majority", "weighted", "any", "all"):
            raise InputError(f"no rule is called {rule!r}", hint="majority, weighted, any or all")
        self._reviewers, self._rule = tuple(reviewers), rule
        self.name = name or self.name
        self._weights = _checked(names, weights or {}) if rule == "weighted" else dict.fromkeys(names, 1.0)

    @property
    def members(self) -> Sequence[Reviewer]:
        """Those who vote, in order."""
        return self._reviewers

    async def review(self, brief: Brief, candidate: Candidate) -> Verdict:
        """The panel's verdict: evidence are the names of those who refused; scores the shares of the panel's weight for
        and against, and what they lack to 1 abstained.

        It gives the reason, and a critique, of the heaviest part of the refusing side that is of one reason; it wants a
        revision when no member refuses outright. Raises BudgetSpent if a member does, and the first member's ModelError
        when all of them abstain.
        """
        votes = _Votes(self._weights)
        await self._at_once(votes, brief, candidate)
        if not votes.accepting and not votes.refusing:
            raise next(iter(votes.failed.values()))
        return self._verdict(votes, candidate)

    async def _at_once(self, votes: _Votes, brief: Brief, candidate: Candidate) -> None:
        """Ask all members, and wait for all: what is in flight is paid for, whatever becomes of another."""
        asked = (reviewer.review(brief, candidate) for reviewer in self._reviewers)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        others = [each for each in answers if isinstance(each, BaseException) and not isinstance(each, ModelError)]
        if others:
            raise min(others, key=lambda each: not isinstance(each, BudgetSpent))
        for reviewer, answer in zip(self._reviewers, answers, strict=True):
            if isinstance(answer, Verdict | ModelError):
                votes.count(reviewer.name, answer)

    def _refuses(self, votes: _Votes) -> bool:
        if self._rule == "any":
            return bool(votes.refusing)
        if self._rule == "all":
            return not votes.accepting
        return bool(votes.refusing) and votes.weight(votes.refusing) >= votes.weight(votes.accepting)

    def _verdict(self, votes: _Votes, candidate: Candidate) -> Verdict:
        whole, leading = sum(self._weights.values()), votes.leading()
        shares = [round(votes.weight(side) / whole, 4) for side in (votes.accepting, votes.refusing)]
        refuses = self._refuses(votes)
        revise = all(verdict.decision is Decision.REVISE for verdict in votes.refusing.values())
        refusal = Decision.REVISE if revise else Decision.REJECT
        return Verdict(
            judge=self.name,
            candidate_id=candidate.id,
            decision=refusal if refuses else Decision.ACCEPT,
            reason=leading.reason if refuses and leading else "",
            scores=(("for", shares[0]), ("against", shares[1])),
            critique=leading.critique if leading else "",
            evidence=tuple(votes.refusing),
        )


@dataclass(slots=True)
class _Votes:
    """What the members said so far, by name and in the order asked."""

    weights: Mapping[str, float]
    accepting: dict[str, Verdict] = field(default_factory=dict)
    refusing: dict[str, Verdict] = field(default_factory=dict)
    failed: dict[str, ModelError] = field(default_factory=dict)

    def count(self, name: str, said: Verdict | ModelError) -> None:
        if isinstance(said, ModelError):
            self.failed[name] = said
        elif said.decision is Decision.ACCEPT:
            self.accepting[name] = said
        else:
            self.refusing[name] = said

    def weight(self, side: Iterable[str]) -> float:
        return math.fsum(self.weights[name] for name in side)

    def leading(self) -> Verdict | None:
        """The first verdict of the reason that has most weight; on a tie, of the one named first."""
        by_reason: dict[str, list[str]] = defaultdict(list)
        for name, verdict in self.refusing.items():
            by_reason[verdict.reason].append(name)
        names = max(by_reason.values(), key=self.weight, default=None)
        return self.refusing[names[0]] if names else None


def weights_from(measured: Iterable[JudgeMeasured], faults: Collection[str] = ()) -> dict[str, float]:
    """What each judge's vote is worth by its trial: log(q / (1 - q)), q the chance that it is right; never below 0.

    Nitzan & Paroush 1982: with these weights a panel of independent judges is right most often. q is the mean of recall
    over the planted ``faults`` (all that it was tried on if none are named), each case counting alike, and of 1 - false
    alarms on known-good records; half a case is added to either side, so that a faultless trial of few cases is no
    certainty. 0 for a judge no better than chance; no weight for one not tried on both faults and good records. It lies
    when judges fail alike, and when the faults that were planted are not the faults that occur.
    """
    counts: dict[str, dict[bool, list[float]]] = defaultdict(lambda: {True: [0.0, 0.0], False: [0.0, 0.0]})
    for each in measured:
        if _counts(each, faults):
            of_kind = counts[each.judge][each.fault == GOOD]
            of_kind[0] += (each.rejected.value or 0.0) * each.rejected.n
            of_kind[1] += each.rejected.n
    weights = {}
    for judge, kinds in counts.items():
        if kinds[True][1] and kinds[False][1]:
            alarms, recall = ((kinds[good][0] + 0.5) / (kinds[good][1] + 1) for good in (True, False))
            right = (recall + 1 - alarms) / 2
            weights[judge] = max(0.0, math.log(right / (1 - right)))
    return weights


def _counts(each: JudgeMeasured, faults: Collection[str]) -> bool:
    """Whether it is a false-alarm rate or a recall that was wanted; the share of self-contradictions is neither."""
    if each.rejected.value is None:
        return False
    return each.fault == GOOD or (each.rejected.better is not Better.LOWER and (not faults or each.fault in faults))


def _checked(names: Sequence[str], weights: Mapping[str, float]) -> dict[str, float]:
    lacking = [name for name in names if name not in weights]
    if lacking:
        raise InputError(f"no weight for {', '.join(lacking)}", hint="weigh every member, for example by weights_from")
    own = {name: float(weights[name]) for name in names}
    if any(not 0.0 <= weight < math.inf for weight in own.values()) or not any(own.values()):
        raise InputError(f"weights {own}", hint="weights are finite and not below 0, and not all are 0")
    return own

"""The critic model: a second language model that reads each candidate and may throw it out.

It is told what the slice is, a rubric, a few organic examples and the candidate; it is not told what the generator was
asked. It answers in a fixed shape, and its reason is a code: refusals are counted by them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from proofset.errors import ReplyUnreadable
from proofset.judges import Critic
from proofset.nouns.candidate import Brief, Candidate, Decision, Verdict
from proofset.nouns.record import Message
from proofset.plugins import Purpose, Request

EXAMPLES = 3
"""Organic records that the critic is shown beside the candidate."""


class Opinion(BaseModel):
    """The shape of the critic's answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    accept: bool
    """Whether the candidate may stand."""
    reason: Literal["none", "off label", "unnatural", "impossible", "incoherent", "unsafe", "breaks a rule"] = Field(
        "none"
    )
    """What is wrong with it; "none" when it may stand."""
    rules: tuple[int, ...] = ()
    """Numbers of the constitution's rules that it breaks."""
    critique: str = ""
    """In a sentence, for people."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The critic's opinion, or why there is none."""

    opinion: Opinion | None
    told: str = ""
    """What came instead of an opinion, or what was wrong with it."""


Ask = Callable[[Request], Awaitable[Answered]]
"""Has a request answered in the shape of an Opinion. Raises ModelError."""


@cache
def _task() -> str:
    return files("proofset.synthesizing").joinpath("prompts/critic.md").read_text(encoding="utf-8").strip()


def opinion_request(brief: Brief, text: str, settings: Critic, title: str, rules: str = "") -> Request:
    """What a model is asked about a text of the slice ``title``; equal texts in equal company have equal requests.

    ``rules`` is the constitution in words, whose numbers a refusal has to cite.
    """
    rubric = settings.rubric.format(title=title, label=brief.label)
    if rules:
        rubric = f'{rubric}\n\nRules; where one is broken, give its number in "rules":\n{rules}'
    own = [anchor for anchor in brief.anchors if anchor.label == brief.label]  # some strategies show a rival's as well
    examples = "\n".join(f"- {' '.join(anchor.text.split())}" for anchor in own[:EXAMPLES])
    return Request(
        messages=(
            Message("system", _task().format(rubric=rubric)),
            Message("user", f"Real examples of {title}:\n{examples}\n\nCandidate:\n- {text}"),
        ),
        max_tokens=settings.max_tokens,
        temperature=0.0,
        purpose=Purpose("critic", brief.slice, brief.id),
    )


class ModelCritic:
    """A Reviewer that asks a language model. Reasons: the codes of Opinion, refused by the critic, no verdict."""

    name = "critic model"

    def __init__(
        self,
        ask: Ask,
        settings: Critic,
        title: Callable[[str], str],
        *,
        rules: Callable[[str], str] = lambda label: "",
        revises: bool = False,
        name: str = "",
    ) -> None:
        """``title`` gives what people call a label, ``rules`` the constitution about it in words.

        One that ``revises`` asks for a revision where it would refuse. A ``name`` tells the members of a panel apart.
        """
        self._ask, self._settings, self._title, self._rules = ask, settings, title, rules
        self._against = Decision.REVISE if revises else Decision.REJECT
        self.name = name or self.name

    def request(self, brief: Brief, text: str) -> Request:
        """What the model is asked about a text."""
        return opinion_request(brief, text, self._settings, self._title(brief.label), self._rules(brief.label))

    async def review(self, brief: Brief, candidate: Candidate) -> Verdict:
        """The model's verdict; an answer that is no opinion, after all that could be tried, refuses the candidate."""
        try:
            answered = await self._ask(self.request(brief, candidate.text))
        except ReplyUnreadable as error:
            answered = Answered(None, str(error))
        opinion = answered.opinion
        if opinion is None:
            decision, reason, critique = Decision.REJECT, "no verdict", answered.told
        elif opinion.accept:
            decision, reason, critique = Decision.ACCEPT, "", opinion.critique
        else:
            decision, critique = self._against, opinion.critique
            unnamed = "breaks a rule" if opinion.rules else "refused by the critic"
            reason = opinion.reason if opinion.reason != "none" else unnamed
        return Verdict(
            judge=self.name,
            candidate_id=candidate.id,
            decision=decision,
            reason=reason,
            critique=critique[:300],
            evidence=tuple(map(str, opinion.rules)) if opinion and not opinion.accept else (),
        )

"""The generator: propose a candidate for a brief, and revise one under critique.

A kind that continues a prompt is asked in one go; a kind with a shape is asked in turns and answered as JSON. What
comes back is a Candidate either way; an answer that has not the shape is one with a fault of form, never an exception.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from proofset.nouns.candidate import Brief, Candidate, Verdict
from proofset.nouns.record import Message, content_id
from proofset.plugins import ChatModel, Content, Kind, Purpose, Request
from proofset.speakers import Sampling
from proofset.synthesizing.gates import accept, reject
from proofset.synthesizing.kinds.labelled import labelled

MISSHAPEN = "misshapen"
"""``finish`` of a candidate whose answer had not the shape that was asked for."""

REVISABLE = frozenset(
    {"off label", "breaks a rule", "unnatural", "impossible", "incoherent", "unsafe", "refused by the critic"}
)
"""Reasons of content, for which a candidate may be set right; a copy or a torso is written anew."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """An answer in the shape of a kind, or None and what came instead."""

    value: Any
    told: str = ""


AskShaped = Callable[[Request], Awaitable[Shaped]]
"""Has a request answered in the shape of the study's kind. Raises ModelError."""


@dataclass(frozen=True, kw_only=True)
class Generator:
    """Writes candidates in the voice of one model."""

    model: ChatModel
    sampling: Sampling
    kind: Kind = labelled
    ask: AskShaped | None = None
    """For kinds with a shape."""

    async def propose(self, brief: Brief) -> Candidate:
        """The model's answer to a brief. Raises ModelError."""
        return await self._written(brief, self._request(brief), parent="")

    async def revise(self, brief: Brief, candidate: Candidate, verdict: Verdict) -> Candidate:
        """The candidate set right under a verdict's critique, as far as the model is able to. Raises ModelError."""
        why = " ".join((verdict.critique or verdict.reason).split())
        asked = self._request(brief)
        if brief.messages:
            said = candidate.content or candidate.text
            told = f"That may not stand: {why}. Write it again and set that right; answer in the same form."
            turns = (*brief.messages, Message("assistant", said), Message("user", told))
            request = replace(asked, messages=turns, sample=1)
        else:
            wrong = f"\nNot one of them ({why}):\n- {candidate.text}\nSet right:\n-"
            request = replace(asked, prompt=f"{brief.prompt[: brief.shared_chars]}{wrong}", sample=1)
        return await self._written(replace(brief, opening=""), request, parent=candidate.id)

    def _request(self, brief: Brief) -> Request:
        drawn = self.sampling
        return Request(
            prompt=brief.prompt,
            messages=brief.messages,
            max_tokens=drawn.max_tokens,
            temperature=drawn.temperature,
            top_p=drawn.top_p,
            top_k=drawn.top_k,
            min_p=drawn.min_p,
            seed=brief.seed,
            stop=() if brief.messages else ("\n",),
            shared_chars=brief.shared_chars,
            purpose=Purpose("generate", brief.slice, brief.id),
        )

    async def _written(self, brief: Brief, request: Request, parent: str) -> Candidate:
        if self.ask is not None and self.kind.shape is not None:
            shaped = await self.ask(request)
            finish = "stop" if shaped.value is not None else MISSHAPEN
            content = self.kind.read(shaped.value, brief) if shaped.value is not None else Content(shaped.told)
        else:
            reply = await self.model.reply(request)
            content = self.kind.read(reply.text.strip(), brief)
            text, finish = whole(content.text, reply.finish)
            content = replace(content, text=text)
        return Candidate(
            id=content_id("candidate", brief.id, content.text, *filter(None, (content.json, parent))),
            brief_id=brief.id,
            slice=brief.slice,
            text=content.text,
            label=content.label or brief.label,
            unseen_fold=brief.unseen_fold,
            finish=finish,
            content=content.json,
            strategy=brief.strategy,
            output=brief.output,
            parent=parent,
        )


class KindGate:
    """Has the candidate the form of its kind? Reasons: misshapen, and the codes of the kind's own list of faults."""

    name = "kind"

    def __init__(self, kind: Kind) -> None:
        """Ask ``kind`` what is wrong with the form."""
        self._kind = kind

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse an answer that was not read, and one that has a fault of form."""
        if candidate.finish == MISSHAPEN:
            return reject(self.name, candidate, MISSHAPEN, candidate.text[:200])
        fault = self._kind.fault(Content(candidate.text, candidate.content, candidate.label), brief)
        return reject(self.name, candidate, fault, "") if fault else accept(self.name, candidate)


def whole(text: str, finish: str) -> tuple[str, str]:
    """A text that was cut off, back to its last full sentence where that keeps half of it; paid for is paid for."""
    if finish == "length":
        end = max(text.rfind(mark) for mark in ".!?")
        if end >= 0 and end + 1 >= len(text) / 2:
            return text[: end + 1], "trimmed"
    return text, finish

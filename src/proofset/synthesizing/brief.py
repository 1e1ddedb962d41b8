"""Compose briefs: which slice gets how many, and what one generation is told."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files

from proofset.config import Synthesize
from proofset.nouns.candidate import SEEN_ALL, Brief, Output, Quota
from proofset.nouns.evidence import Anchor, Evidence
from proofset.nouns.record import content_id
from proofset.nouns.slice import Deficit
from proofset.plugins import Kind, Told
from proofset.synthesizing.approach import Approach
from proofset.synthesizing.kinds.labelled import labelled
from proofset.synthesizing.strategies import RIVAL_RECORDS, SHORT_OPENING, STRATEGIES, Strategy

FEWEST_OPENERS = 3
"""Anchors kept back for openings where there are enough of them; in a smaller slice, half."""

PLAIN = Approach()
"""Few-shot, against nobody."""

Anchoring = Callable[[int, int, random.Random], tuple[Anchor, ...]]
"""``(unseen_fold, n, rng)`` to anchors of one slice, none of them from that fold."""


def quotas(
    deficits: Sequence[Deficit], confused: Mapping[str, Mapping[str, float]], settings: Synthesize
) -> tuple[Quota, ...]:
    """Quotas of the edge slices, most starved first, then those of their most confusable neighbours; what is for
    evaluation and for adversarial scenarios last, under names of its own.

    ``confused[a][b]`` says how readily records of a are taken for b. Text for an edge alone teaches the student that
    whatever a model writes belongs to the edge; companions keep that lesson from being learned.
    """
    edges = [deficit for deficit in sorted(deficits, key=lambda each: each.rank) if deficit.edge]
    plan = [_quota(deficit.slice, settings.quota, settings) for deficit in edges]
    taken = {quota.slice for quota in plan}
    share: dict[str, tuple[int, str]] = {}
    wanted = round(settings.quota * settings.companions)
    for deficit in edges:
        neighbours = {name: weight for name, weight in confused.get(deficit.slice, {}).items() if name not in taken}
        if wanted and neighbours and max(neighbours.values()) > 0:
            nearest = max(sorted(neighbours), key=lambda name: neighbours[name])
            asked, _ = share.get(nearest, (0, ""))
            share[nearest] = (min(asked + wanted, settings.quota), deficit.slice)
    apart = ((Output.EVALUATION, settings.evaluation), (Output.ADVERSARIAL, settings.adversarial))
    return (
        *plan,
        *(_quota(name, asked, settings, of) for name, (asked, of) in share.items()),
        *(replace(_quota(each.slice, asked, settings), slice=f"{each.slice}/{output}", output=output)
          for output, asked in apart if asked for each in edges),
    )  # fmt: skip


def _quota(name: str, accepted: int, settings: Synthesize, companion_of: str = "") -> Quota:
    most = max(1, round(settings.max_briefs * accepted / settings.quota))
    return Quota(slice=name, label=name, accepted=accepted, max_briefs=most, companion_of=companion_of)


@dataclass(frozen=True, slots=True)
class Rival:
    """A slice that this one is taken for: what people call it, and its anchors."""

    title: str
    anchoring: Anchoring


@dataclass(frozen=True, kw_only=True)
class Composer:
    """Writes the briefs of one slice: brief ``k`` under an approach is the same whenever it is asked for."""

    quota: Quota
    title: str
    anchoring: Anchoring
    evidence: Evidence
    folds: int
    """Validation folds of which each prompt leaves one out; 0 where the anchors may hold any of them."""
    settings: Synthesize
    seed: int
    rivals: Mapping[str, Rival] = field(default_factory=dict)
    """Confusable slices by name, for the strategies that show them."""
    kind: Kind = labelled
    rules: str = ""
    """The domain's constitution in words, for kinds that are asked in turns."""

    def brief(self, number: int, approach: Approach = PLAIN) -> Brief:
        """The slice's brief with this number.

        Consecutive briefs share their few-shot prompt, so an engine evaluates it once. They differ in the seed and in
        the opening words, taken from an anchor that the prompt does not show where there are enough of them: a model
        that sees a text and its first words copies the rest.
        """
        strategy = STRATEGIES[approach.strategy]
        prompt = self._head(min(number // self.run_length, self.settings.prompts_per_slice - 1), approach)
        rng = random.Random(f"{self.seed}/{self.quota.slice}/{number}")  # noqa: S311 (reproducible draws, no secret)
        opener = rng.choice(prompt.openers) if prompt.openers else None
        opening, seed = _opening(opener, rng, self._most_words(strategy)), rng.randrange(2**31)
        anchors = prompt.shown if opener is None or opener in prompt.shown else (*prompt.shown, opener)
        line = f"- {self.title}:" if strategy.titled and self.title else "-"
        brief = Brief(
            id=content_id("brief", self.quota.slice, number, prompt.text, opening, seed, self._asked),
            slice=self.quota.slice,
            label=self.quota.label,
            number=number,
            anchors=anchors,
            evidence=self.evidence,
            opening=opening,
            unseen_fold=prompt.unseen_fold,
            seed=seed,
            prompt=f"{prompt.text}{line} {opening}".rstrip() if opening else f"{prompt.text}{line}",
            shared_chars=len(prompt.text),
            strategy=approach.strategy,
            output=self.quota.output,
        )
        return self._in_turns(brief, approach) if self.kind.shape is not None else brief

    def _in_turns(self, brief: Brief, approach: Approach) -> Brief:
        """The brief of a kind that is asked in turns: it shows examples, and nothing of a rival is one."""
        brief = replace(brief, anchors=tuple(each for each in brief.anchors if each.label == brief.label))
        personas = self.settings.personas
        told = Told(
            title=self.title or self.quota.slice,
            heading=self._heading(brief.number // self.run_length),
            lessons=approach.lessons,
            persona=personas[brief.number % len(personas)] if personas else "",
            rules=self.rules,
            difficulty=approach.difficulty,
        )
        messages = self.kind.messages(brief, told)
        said = content_id(*(f"{message.role}: {message.content}" for message in messages))
        schema = json.dumps(self.kind.shape.model_json_schema(), sort_keys=True) if self.kind.shape else ""
        brief_id = content_id(brief.id, said, self.kind.name)
        return replace(brief, id=brief_id, messages=messages, schema=schema, prompt="", shared_chars=0, opening="")

    @cached_property
    def _asked(self) -> str:
        return content_id(self.settings.sampling.model_dump_json(), *self.settings.model.voice)

    @property
    def run_length(self) -> int:
        """Briefs that share a prompt."""
        return max(1, -(-self.quota.max_briefs // self.settings.prompts_per_slice))

    def _most_words(self, strategy: Strategy) -> int:
        if strategy.opening == "none":
            return 0
        return min(self.settings.opening_words, SHORT_OPENING) if strategy.titled else self.settings.opening_words

    def _head(self, number: int, approach: Approach) -> _Head:
        key = (number, approach.strategy, approach.rival)
        if key not in self._heads:
            self._heads[key] = self._made_head(number, approach)
        return self._heads[key]

    @cached_property
    def _heads(self) -> dict[tuple[int, str, str], _Head]:
        return {}

    def _made_head(self, number: int, approach: Approach) -> _Head:
        """A few-shot prompt that leaves one validation fold out, or none where that would leave no anchor."""
        strategy, most = STRATEGIES[approach.strategy], self.settings.anchors
        rng = random.Random(f"{self.seed}/{self.quota.slice}/head/{number}")  # noqa: S311 (as above)
        unseen, drawn = number % self.folds if self.folds else SEEN_ALL, 2 * most
        anchors = self.anchoring(unseen, drawn, rng)
        if not anchors and unseen != SEEN_ALL:
            unseen, anchors = SEEN_ALL, self.anchoring(SEEN_ALL, drawn, rng)
        rival = self.rivals.get(approach.rival)
        others = rival.anchoring(unseen, 2 * most, rng) if rival else ()
        shown, openers = anchors[:most], anchors[most:]
        if strategy.titled:  # a line that says what it is about may begin as another does
            openers = openers or shown
        elif len(openers) < min(FEWEST_OPENERS, len(anchors) // 2):
            shown, openers = anchors[: -(-len(anchors) // 2)], anchors[-(-len(anchors) // 2) :]
        text, openers = self._render(shown, number, strategy), openers or shown
        if strategy.contrast and rival and others:
            heading, against = self._heading_of(rival.title, approach.rival, number), others[:RIVAL_RECORDS]
            text, shown = _lines(heading, against, "") + "\n" + text, (*shown, *against)
        if strategy.opening == "rival" and others:
            openers = others
        return _Head(text, shown, openers, unseen)

    def _render(self, anchors: tuple[Anchor, ...], number: int, strategy: Strategy) -> str:
        template = files("proofset.synthesizing").joinpath("prompts/completion.md").read_text(encoding="utf-8")
        evidence = "".join(f"{passage.text}\n" for passage in self.evidence.passages)
        personas = self.settings.personas
        by = f", as {personas[number % len(personas)]} writes:" if strategy.persona and personas else ""
        if strategy.rising:
            anchors, by = tuple(sorted(anchors, key=_length)), ", each more involved than the one before:"
        heading = self._heading(number)
        return template.format(
            evidence=evidence,
            heading=heading.rstrip(": ") + by if by else heading,
            examples=_lines("", anchors, self.title if strategy.titled else "").removesuffix("\n"),
        )

    def _heading(self, number: int) -> str:
        return self._heading_of(self.title or self.quota.slice, self.quota.label, number)

    def _heading_of(self, title: str, label: str, number: int) -> str:
        topics = self.settings.topics.get(label) or ("",)
        heading = self.settings.headings.get(label, self.settings.heading)
        return heading.format(title=title, label=label, topic=topics[number % len(topics)])


def _length(anchor: Anchor) -> tuple[int, str]:
    return len(anchor.text.split()), anchor.record_id


def _lines(heading: str, anchors: Sequence[Anchor], title: str) -> str:
    """Anchors as a list, each with the title before it where there is one."""
    before = f"- {title}: " if title else "- "
    rows = "".join(f"{before}{' '.join(anchor.text.split())}\n" for anchor in anchors)
    return f"{heading}\n{rows}" if heading else rows


def _opening(opener: Anchor | None, rng: random.Random, most: int) -> str:
    words = opener.text.split() if opener else []
    return " ".join(words[: min(rng.randint(0, most), len(words) - 1)]) if words else ""


@dataclass(frozen=True, slots=True)
class _Head:
    text: str
    shown: tuple[Anchor, ...]
    openers: tuple[Anchor, ...]
    unseen_fold: int

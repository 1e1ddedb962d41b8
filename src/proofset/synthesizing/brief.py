"""Compose briefs: which slice gets how many, and what one generation is told."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from proofset.config import Synthesize
from proofset.nouns.candidate import SEEN_ALL, Brief, Quota
from proofset.nouns.evidence import Anchor, Evidence
from proofset.nouns.record import content_id
from proofset.nouns.slice import Deficit

FEWEST_OPENERS = 3
"""Anchors kept back for openings where there are enough of them; in a smaller slice, half."""

Anchoring = Callable[[int, int, random.Random], tuple[Anchor, ...]]
"""``(unseen_fold, n, rng)`` to anchors of one slice, none of them from that fold."""


def quotas(
    deficits: Sequence[Deficit], confused: Mapping[str, Mapping[str, float]], settings: Synthesize
) -> tuple[Quota, ...]:
    """Quotas of the edge slices, most starved first, then those of their most confusable neighbours.

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
    return (*plan, *(_quota(name, asked, settings, of) for name, (asked, of) in share.items()))


def _quota(name: str, accepted: int, settings: Synthesize, companion_of: str = "") -> Quota:
    most = max(1, round(settings.max_briefs * accepted / settings.quota))
    return Quota(slice=name, label=name, accepted=accepted, max_briefs=most, companion_of=companion_of)


@dataclass(frozen=True, kw_only=True)
class Composer:
    """Writes the briefs of one slice: brief ``k`` is the same whenever, and wherever, it is asked for."""

    quota: Quota
    title: str
    anchoring: Anchoring
    evidence: Evidence
    folds: int
    """Validation folds of which each prompt leaves one out; 0 where the anchors may hold any of them."""
    settings: Synthesize
    seed: int

    def brief(self, number: int) -> Brief:
        """The slice's brief with this number.

        Consecutive briefs share their few-shot prompt, so an engine evaluates it once. They differ in the seed and in
        the opening words, taken from an anchor that the prompt does not show: a model that sees a text and its first
        words copies the rest.
        """
        prompt = self._heads[min(number // self._run_length, len(self._heads) - 1)]
        rng = random.Random(f"{self.seed}/{self.quota.slice}/{number}")  # noqa: S311 (reproducible draws, no secret)
        opener = rng.choice(prompt.openers) if prompt.openers else None
        opening, seed = self._opening(opener, rng), rng.randrange(2**31)
        anchors = prompt.shown if opener is None or opener in prompt.shown else (*prompt.shown, opener)
        return Brief(
            id=content_id("brief", self.quota.slice, number, prompt.text, opening, seed, self._asked),
            slice=self.quota.slice,
            label=self.quota.label,
            number=number,
            anchors=anchors,
            evidence=self.evidence,
            opening=opening,
            unseen_fold=prompt.unseen_fold,
            seed=seed,
            prompt=f"{prompt.text}- {opening}".rstrip() if opening else f"{prompt.text}-",
            shared_chars=len(prompt.text),
        )

    @cached_property
    def _asked(self) -> str:
        return content_id(self.settings.sampling.model_dump_json(), *self.settings.model.voice)

    @property
    def _run_length(self) -> int:
        """Briefs that share a prompt."""
        return max(1, -(-self.quota.max_briefs // self.settings.prompts_per_slice))

    @cached_property
    def _heads(self) -> list[_Head]:
        return [self._head(number) for number in range(self.settings.prompts_per_slice)]

    def _head(self, number: int) -> _Head:
        """A few-shot prompt that leaves one validation fold out, or none where that would leave no anchor."""
        rng = random.Random(f"{self.seed}/{self.quota.slice}/head/{number}")  # noqa: S311 (as above)
        unseen, drawn = number % self.folds if self.folds else SEEN_ALL, 2 * self.settings.anchors
        anchors = self.anchoring(unseen, drawn, rng)
        if not anchors and unseen != SEEN_ALL:
            unseen, anchors = SEEN_ALL, self.anchoring(SEEN_ALL, drawn, rng)
        shown = anchors[: self.settings.anchors]
        openers = anchors[self.settings.anchors :]
        if len(openers) < min(FEWEST_OPENERS, len(anchors) // 2):
            shown, openers = anchors[: -(-len(anchors) // 2)], anchors[-(-len(anchors) // 2) :]
        return _Head(self._render(shown, number), shown, openers or shown, unseen)

    def _render(self, anchors: tuple[Anchor, ...], number: int) -> str:
        topics = self.settings.topics.get(self.quota.label) or ("",)
        heading = self.settings.headings.get(self.quota.label, self.settings.heading)
        template = files("proofset.synthesizing").joinpath("prompts/completion.md").read_text(encoding="utf-8")
        evidence = "".join(f"{passage.text}\n" for passage in self.evidence.passages)
        examples = "\n".join(f"- {' '.join(anchor.text.split())}" for anchor in anchors)
        return template.format(
            evidence=evidence,
            heading=heading.format(
                title=self.title or self.quota.slice, label=self.quota.label, topic=topics[number % len(topics)]
            ),
            examples=examples,
        )

    def _opening(self, opener: Anchor | None, rng: random.Random) -> str:
        words = opener.text.split() if opener else []
        return " ".join(words[: min(rng.randint(0, self.settings.opening_words), len(words) - 1)]) if words else ""


@dataclass(frozen=True, slots=True)
class _Head:
    text: str
    shown: tuple[Anchor, ...]
    openers: tuple[Anchor, ...]
    unseen_fold: int

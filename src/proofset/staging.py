"""The loop put together: who writes briefs, who speaks, who judges, and who watches.

Rooms on one floor are strangers; here a critic meets its heads, and a slice its guard.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from proofset.assembly import FACTS, PASSAGES, STUDENT, Organic, earlier, trainer
from proofset.errors import ConfigError
from proofset.grounding import anchors, graph
from proofset.measuring.guard import Guard
from proofset.nouns.candidate import Quota
from proofset.nouns.event import DeficitRanked, JudgeMeasured
from proofset.nouns.evidence import Fact, Passage
from proofset.nouns.record import Record
from proofset.plugins import ChatModel, Reviewer, find
from proofset.runs import tables
from proofset.speaking import GENERATOR, Speaking, make
from proofset.synthesizing import loop
from proofset.synthesizing.brief import Composer, quotas
from proofset.synthesizing.critic import OrganicTexts, PanelCritic, character_view, head_view
from proofset.synthesizing.gates import Cascade
from proofset.synthesizing.reviewer import ModelCritic
from proofset.training import mixture
from proofset.walk import Walk, interrupted, unhurried_collector


def speaker(walk: Walk) -> ChatModel:
    """The study's generator."""
    settings = walk.study.synthesize.model
    return make(walk, settings, GENERATOR)


def make_critic(walk: Walk, known: Organic, strength: float) -> PanelCritic | None:
    """Two views that fail differently: meaning (embeddings) and spelling (character n-grams). None without any view."""
    settings = walk.study.synthesize.critic
    texts = OrganicTexts(tuple(r.text for r in known.records), known.labels, tuple(known.folds.tolist()))
    train = trainer(walk)
    views = []
    if "meaning" in settings.views:
        encode = walk.encoder.encode
        views.append(head_view("meaning", encode, lambda x, y: train(x, y, np.ones(len(y)), strength=strength), texts))
    if "characters" in settings.views:
        views.append(character_view(texts))
    return PanelCritic(views, settings) if views else None


def require_critic(walk: Walk) -> None:
    """Refuse to start with a critic that misses more planted wrong labels than the study allows."""
    floor = walk.study.synthesize.critic.min_fault_recall
    for event in walk.run.since("synthesize"):
        if isinstance(event, JudgeMeasured) and (event.judge, event.fault) == ("critic", "wrong label"):
            low = event.rejected.low
            if floor and (low is None or low < floor):
                found = "nothing" if low is None else f"at least {low:.0%}"
                raise ConfigError(
                    f"the critic refuses {found} of planted wrong labels; the study asks for {floor:.0%}",
                    hint="raise synthesize.critic.threshold, give more organic records, or lower min_fault_recall",
                )


def nearness(walk: Walk, confused: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Confusion out of fold, and on top of it what the graph says: with three records a slice, few confusions show."""
    facts = tables.read_rows(walk.run.path(FACTS), Fact)
    around = graph.Graph(facts)
    near = {name: around.near(name) for name in confused}
    return {
        name: {other: weight * (2.0 if other in near[name] else 1.0) for other, weight in others.items()}
        for name, others in confused.items()
    }


def composers_of(walk: Walk, known: Organic, plan: tuple[Quota, ...]) -> list[Composer]:
    """One writer of briefs a slice."""
    passages = tables.read_rows(walk.run.path(PASSAGES), Passage)
    around = graph.Graph(tables.read_rows(walk.run.path(FACTS), Fact))
    folds = dict(zip((record.id for record in known.records), known.folds.tolist(), strict=True))
    members: dict[str, list[Record]] = defaultdict(list)
    for record in known.records:
        members[str(record.label)].append(record)
    before = earlier(walk) if walk.study.synthesize.synthetic_anchors else ()
    for record in before:
        members[str(record.label)].append(record)
        folds[record.id] = mixture.ALWAYS_ALLOWED
    return [
        Composer(
            quota=quota,
            title=walk.title(quota.slice),
            anchoring=partial(anchors.choose_anchors, members[quota.slice], folds),
            evidence=anchors.evidence(quota.slice, passages, around),
            folds=0 if before else walk.study.audit.folds,  # what they were made from, nobody knows
            settings=walk.study.synthesize,
            seed=walk.study.seed,
        )
        for quota in plan
    ]


def planned(walk: Walk, known: Organic) -> list[Composer]:
    """The writers of briefs for every slice that the audit found to starve, and for those it is taken for."""
    student = json.loads(walk.run.path(STUDENT).read_text(encoding="utf-8"))
    deficits = [event.deficit for event in walk.run.since("audit") if isinstance(event, DeficitRanked)]
    return composers_of(walk, known, quotas(deficits, nearness(walk, student["confused"]), walk.study.synthesize))


def guards(walk: Walk, known: Organic) -> Callable[[str], Callable[[str], bool]]:
    """For a slice, a watch over its accepted texts that says when they collapse."""

    def watch(name: str) -> Callable[[str], bool]:
        own = np.array([label == name for label in known.labels])
        guard = Guard(known.vectors[own], walk.study.synthesize.max_collapse, walk.study.seed)
        return lambda text: guard.watches and guard.add(walk.encoder.encode([text])[0])

    return watch


async def run_loops(
    walk: Walk, known: Organic, composers: list[Composer], cascade: Cascade, critic: PanelCritic | None
) -> None:
    """Load the models, and run every slice that the log does not show as closed.

    The first Ctrl-C lets what is in flight end and opens nothing more; then, or at the second, KeyboardInterrupt.
    """
    pasts = loop.Past.fold(walk.run.since("synthesize"), walk.run.events)
    composers = [each for each in composers if not pasts.get(each.quota.slice, loop.Past()).finished]
    if not composers:
        return
    speaking = Speaking(walk)
    try:
        reader = speaking.critic()
        model = speaking.metered(speaker(walk), GENERATOR, speaking.judging_bound(reader) if reader else None)
        reviewers = [ModelCritic(speaking.asker(reader), walk.study.synthesize.critic, walk.title)] if reader else []
        wanted = sum(
            composer.quota.accepted - pasts.get(composer.quota.slice, loop.Past()).accepted for composer in composers
        )
        walk.gauge(lambda: replace(speaking.standing(), wanted=wanted))
        with interrupted(walk.notice) as halted, unhurried_collector():
            streak, watch = loop.Streak(), guards(walk, known)
            loops = [
                loop.SliceLoop(
                    quota=composer.quota,
                    composer=composer,
                    model=model,
                    panel=_panel(walk, cascade, critic, reviewers),
                    settings=walk.study.synthesize,
                    tell=walk.tell,
                    settled=speaking.purse.let_go,
                    halted=halted,
                    collapsing=watch(composer.quota.slice),
                    streak=streak,
                    past=pasts.get(composer.quota.slice, loop.Past()),
                )
                for composer in composers
            ]
            await loop.synthesize(loops, max(walk.study.synthesize.model.slots, model.parallel))
            if halted():
                raise KeyboardInterrupt
    finally:
        await speaking.close()


def _panel(walk: Walk, cascade: Cascade, critic: PanelCritic | None, reviewers: Sequence[Reviewer]) -> loop.Panel:
    """One slice's judges: gates, then the study's own, then the critic; reviewers after all of them."""
    judges, remember = cascade.for_slice()
    judges += [find("judges", name)() for name in walk.study.synthesize.judges]
    judges += [critic] if critic else []
    return loop.Panel(judges=judges, remember=remember, stateful=cascade.stateful, reviewers=reviewers)

"""The loop put together: who writes briefs, who speaks, who judges, and who watches.

Rooms on one floor are strangers; here a critic meets its heads, and a slice its guard.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from proofset.assembly import FACTS, PASSAGES, Organic, candidates, earlier
from proofset.grounding import anchors, graph
from proofset.judging import Bench
from proofset.measuring.guard import Guard
from proofset.measuring.viability import FEWEST_CROSSED
from proofset.models.metered import Metered
from proofset.nouns.candidate import Candidate, Output, Quota
from proofset.nouns.event import DeficitRanked
from proofset.nouns.evidence import Fact, Passage
from proofset.nouns.record import Record
from proofset.plugins import ChatModel, Kind, Request, Reviewer, find
from proofset.runs import tables
from proofset.speaking import GENERATOR, Speaking, make
from proofset.synthesizing import loop
from proofset.synthesizing.adversary import Adversary
from proofset.synthesizing.brief import Composer, Rival, quotas
from proofset.synthesizing.generator import AskShaped, Generator, KindGate, Shaped
from proofset.synthesizing.paraphrases import Encoding
from proofset.synthesizing.past import Past
from proofset.synthesizing.person import PersonJudge, read_decisions
from proofset.synthesizing.planning import Novelty
from proofset.training import mixture
from proofset.walk import Walk, interrupted, unhurried_collector

RIVALS = 4
"""Confusable slices that a brief may be written against."""

Crossed = Callable[[str, Sequence[str]], bool]
"""(label, accepted texts) to whether they have crossed into viability."""


def speaker(walk: Walk) -> ChatModel:
    """The study's generator."""
    settings = walk.study.synthesize.model
    return make(walk, settings, GENERATOR)


def composers_of(bench: Bench, plan: Sequence[Quota]) -> list[Composer]:
    """One writer of briefs a slice."""
    walk, known = bench.walk, bench.known
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
    anchored = {name: partial(anchors.choose_anchors, own, folds) for name, own in members.items()}
    kind, rules = kind_of(walk), bench.constitution
    return [
        Composer(
            quota=quota,
            title=walk.title(quota.label),
            anchoring=anchored[quota.label],
            evidence=anchors.evidence(quota.label, passages, around),
            folds=0 if before else walk.study.audit.folds,  # what they were made from, nobody knows
            settings=walk.study.synthesize,
            seed=walk.study.seed,
            rivals={
                name: Rival(walk.title(name), anchored[name])
                for name in bench.rivals(quota.label)[:RIVALS]
                if name in members
            },
            kind=kind,
            rules=rules.words(quota.label) if rules else "",
        )
        for quota in plan
    ]


def kind_of(walk: Walk) -> Kind:
    """The study's kind of task."""
    found: Kind = find("kinds", walk.study.synthesize.kind)
    return found


def planned(bench: Bench) -> list[Quota]:
    """What every slice that the audit found to starve is to get, and those it is taken for: training records first."""
    walk = bench.walk
    deficits = [event.deficit for event in walk.run.since("audit") if isinstance(event, DeficitRanked)]
    return [*quotas(deficits, bench.confused, walk.study.synthesize)]


def guards(walk: Walk, known: Organic) -> Callable[[str], Callable[[str], bool]]:
    """For a slice, a watch over its accepted texts that says when they collapse."""

    def watch(name: str) -> Callable[[str], bool]:
        own = np.array([label == name for label in known.labels])
        guard = Guard(known.vectors[own], walk.study.synthesize.max_collapse, walk.study.seed)
        return lambda text: guard.watches and guard.add(walk.encoder.encode([text])[0])

    return watch


async def run_loops(bench: Bench, crossed: Crossed) -> None:
    """Load the models, and run every slice that the log does not show as closed: training records, then the rest.

    Evaluation items and adversarial scenarios are written when all training records are known, so that none of them
    repeats one. The first Ctrl-C lets what is in flight end and opens nothing more; then, or at the second,
    KeyboardInterrupt.
    """
    walk, plan = bench.walk, planned(bench)
    pasts = Past.fold(walk.run.since("synthesize"), walk.run.events)
    left = [quota for quota in plan if not pasts.get(quota.slice, Past()).finished]
    if not left:
        return
    speaking = Speaking(walk)
    try:
        critics = speaking.critics()
        bound = speaking.judging_bound(critics) if critics else None
        model = speaking.metered(speaker(walk), GENERATOR, bound)
        crew = _Crew(bench, speaking, model, bench.reviewers(speaking, critics), pasts, crossed)
        wanted = sum(quota.accepted - pasts.get(quota.slice, Past()).accepted for quota in left)
        walk.gauge(lambda: replace(speaking.standing(), wanted=wanted))
        with interrupted(walk.notice) as halted, unhurried_collector():
            for output in Output:
                loops = crew.loops([quota for quota in left if quota.output is output], halted)
                if loops and not halted():
                    await loop.synthesize(loops, max(walk.study.synthesize.model.slots, model.parallel))
            if halted():
                raise KeyboardInterrupt
    finally:
        await speaking.close()


class _Crew:
    """Everybody who works on the slices of one walk."""

    def __init__(
        self,
        bench: Bench,
        speaking: Speaking,
        model: Metered,
        reviewers: Sequence[Reviewer],
        pasts: Mapping[str, Past],
        crossed: Crossed,
    ) -> None:
        self._bench, self._speaking, self._reviewers, self._pasts = bench, speaking, reviewers, pasts
        self._cascade, self._distilled = bench.cascade(), bench.distilled()
        self._streak, self._watch, self._crossed = loop.Streak(), guards(bench.walk, bench.known), crossed
        settings, kind = bench.walk.study.synthesize, kind_of(bench.walk)
        self._decisions = read_decisions(bench.walk.locate(settings.review)) if settings.review else {}
        self._generator = Generator(
            model=model, sampling=settings.sampling, kind=kind, ask=_shaped(speaking, model, kind)
        )

    def loops(self, plan: Sequence[Quota], halted: Callable[[], bool]) -> list[loop.SliceLoop]:
        """The loops of these quotas, knowing whatever was accepted for earlier outputs: the same in every run."""
        walk = self._bench.walk
        order = [*Output]
        known = [] if not plan or plan[0].output is Output.TRAIN else candidates(walk)[1]
        before = [each for each in known if order.index(each.output) < order.index(plan[0].output)]
        found = []
        for composer in composers_of(self._bench, plan):
            adversary = self._adversary(composer.quota)
            panel = self._panel(adversary)
            for each in before:
                panel.remember(each.id, each.text)
            found.append(
                loop.SliceLoop(
                    quota=composer.quota,
                    composer=composer,
                    generator=self._generator,
                    panel=panel,
                    settings=walk.study.synthesize,
                    tell=walk.tell,
                    settled=self._speaking.purse.let_go,
                    halted=halted,
                    collapsing=self._watch(composer.quota.label),
                    worth=_worth(self._bench.encoding, adversary),
                    enough=self._enough(composer.quota),
                    adversary=adversary,
                    streak=self._streak,
                    past=self._pasts.get(composer.quota.slice, Past()),
                )
            )
        return found

    def _adversary(self, quota: Quota) -> Adversary | None:
        """An edge slice's adversary, where one is asked for; companions are to be plain."""
        share = 1.0 if quota.output is Output.ADVERSARIAL else self._bench.walk.study.synthesize.adversary
        wanted = share > 0 and not quota.companion_of and quota.output is not Output.EVALUATION
        return self._bench.adversary(quota.accepted, share) if wanted else None

    def _panel(self, adversary: Adversary | None) -> loop.Panel:
        """One slice's judges: form, gates, the study's own, the critics, the adversary; reviewers after all of them."""
        walk = self._bench.walk
        judges, remember = self._cascade.for_slice()
        kind = kind_of(walk)
        judges = [KindGate(kind), *judges] if kind.shape is not None else judges
        judges = [PersonJudge(self._decisions), *judges] if self._decisions else judges
        judges += [find("judges", name)() for name in walk.study.synthesize.judges]
        judges += [each for each in (self._bench.critic, self._distilled) if each is not None]
        if adversary is None:
            return loop.Panel(
                judges=judges, remember=remember, stateful=self._cascade.stateful, reviewers=self._reviewers
            )

        def remember_both(candidate_id: str, text: str) -> None:
            remember(candidate_id, text)
            adversary.remember(candidate_id)

        stateful = self._cascade.stateful | {adversary.name}
        return loop.Panel(
            judges=[*judges, adversary], remember=remember_both, stateful=stateful, reviewers=self._reviewers
        )

    def _enough(self, quota: Quota) -> Callable[[str], bool]:
        """Whether a slice's accepted records do already what organic ones would, asked now and then."""
        every, texts = self._bench.walk.study.synthesize.viable_every, list[str]()

        def enough(text: str) -> bool:
            texts.append(text)
            return len(texts) >= FEWEST_CROSSED and len(texts) % every == 0 and self._crossed(quota.label, texts)

        return enough if every and quota.output is Output.TRAIN else lambda text: False


def _worth(encoding: Encoding, adversary: Adversary | None) -> Callable[[Candidate], float]:
    """What an accepted candidate is worth: its novelty in the slice; to an adversary also how wrong the student is."""
    novelty = Novelty()

    def worth(candidate: Candidate) -> float:
        vector = encoding(candidate.text)
        if not vector.any():
            return 0.0
        new = novelty.novelty(vector)
        novelty.add(vector)
        return new if adversary is None else new * (1 - adversary.score(candidate))

    return worth


def _shaped(speaking: Speaking, model: Metered, kind: Kind) -> AskShaped | None:
    """Has a brief answered in the shape of its kind."""
    if kind.shape is None:
        return None
    ask = speaking.asker(model, kind.shape, "generate")

    async def shaped(request: Request) -> Shaped:
        return Shaped(*await ask(request))

    return shaped

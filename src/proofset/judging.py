"""The judges put together: gates, critic, critic models, adversary; and their trial before a run spends.

Rooms on one floor are strangers; here a gate meets the encoder, a critic its heads, and a reviewer the model it asks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
from pydantic import BaseModel

from proofset.assembly import (
    FACTS,
    HELDOUT,
    STUDENT,
    Organic,
    candidates,
    earlier,
    organic,
    sealed_index,
    trainer,
)
from proofset.grounding import graph
from proofset.models.metered import Metered
from proofset.nouns.candidate import Decision
from proofset.nouns.event import Judged, JudgeMeasured
from proofset.nouns.evidence import Fact
from proofset.plugins import Encoder, Request, Reviewer, find
from proofset.runs import tables
from proofset.runs.folder import Run
from proofset.speaking import Speaking
from proofset.synthesizing.adversary import Adversary, Student
from proofset.synthesizing.blind import BlindReviewer, Filed, FiledAs
from proofset.synthesizing.cascade import Cascade, Meaning
from proofset.synthesizing.constitution import Constitution
from proofset.synthesizing.critic import OrganicTexts, PanelCritic, character_view, head_view
from proofset.synthesizing.distilled import Distilled, DistilledJudge
from proofset.synthesizing.pairwise import Choice, Chosen, PairwiseReviewer
from proofset.synthesizing.panel import PanelReviewer, weights_from
from proofset.synthesizing.paraphrases import Encoding, SealedIndex, sealed_signatures
from proofset.synthesizing.reviewer import Answered, ModelCritic, Opinion
from proofset.walk import Walk

M = TypeVar("M", bound=BaseModel)
TRIAL = "trial"
"""Stage that calls of a trial are booked on; what the verb itself takes of this machine is booked on its own name."""
SENTENCES = "minilm"
"""Encoder plugin of the critic's view that knows sentences."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Everybody who judges in one walk; each is made when it is first needed."""

    walk: Walk
    known: Organic

    @classmethod
    def of(cls, walk: Walk) -> Bench:
        """The walk's bench: a critic that was fitted for its trial is the one that judges the candidates."""
        if "bench" not in walk.kept:
            walk.kept["bench"] = cls(walk=walk, known=organic(walk))
        bench: Bench = walk.kept["bench"]
        return bench

    @cached_property
    def constitution(self) -> Constitution | None:
        """The domain's rules. Raises ConfigError for rules that contradict each other."""
        path = self.walk.study.synthesize.gates.constitution
        return Constitution.read(self.walk.locate(path)) if path else None

    def doubts(self) -> list[str]:
        """What a person should know of the judges before they are on trial.

        Rules of the constitution that too many organic records break, since the rule is wrong or the data; and what a
        distilled critic saves at what loss.
        """
        found: list[str] = []
        if self.constitution is not None:
            records = [(str(record.label), record.text) for record in self.known.records]
            found += [each.sentence for each in self.constitution.check_against(records) if each.sentence]
        if self.learned is not None:
            report, source = self.learned.report, self.walk.study.synthesize.critic.distil_from
            found.append(f"distilled from {source}: {report.words()}")
        return found

    @cached_property
    def critic(self) -> PanelCritic | None:
        """The weak judges that fail differently, pooled. None without any view."""
        return make_critic(self.walk, self.known)

    @cached_property
    def encoding(self) -> Encoding:
        """One text to its vector, made once for all who ask."""
        return Encoding(self.walk.encoder.encode)

    @cached_property
    def student(self) -> Student:
        """What the student, trained on organic records alone, makes of a text."""
        return make_student(self.walk, self.known, self.encoding)

    def cascade(self, only: Sequence[tuple[str, str]] | None = None) -> Cascade:
        """The gates, knowing all organic texts and those of earlier generations, or ``only`` those given."""
        settings = self.walk.study.synthesize.gates
        everything = only is None
        texts = only if only is not None else [(each.id, each.text) for each in self.known.records]
        wanted = {record_id for record_id, _ in texts}
        rows = [row for row, record in enumerate(self.known.records) if record.id in wanted]
        meaning = Meaning(
            encode=self.walk.encoder.encode,
            vectors=self.known.vectors[rows],
            labels=[self.known.labels[row] for row in rows],
            sealed=self._sealed if settings.paraphrase_similarity < 1 else None,
        )
        before = [(each.id, each.text) for each in earlier(self.walk)] if everything else []
        return Cascade(
            settings,
            [(self.known.records[row].id, self.known.records[row].text) for row in rows],
            sealed_index(self.walk),
            meaning=meaning,
            benchmarks=[*_benchmarks(self.walk)],
            constitution=self.constitution,
            before=before,
        )

    @cached_property
    def _sealed(self) -> SealedIndex:
        """Signatures of the held-out texts: of their meaning, some bits."""
        similarity, seed = self.walk.study.synthesize.gates.paraphrase_similarity, self.walk.study.seed
        texts = [item.text for item in tables.read_heldout(self.walk.run.path(HELDOUT))]
        return SealedIndex(sealed_signatures(self.walk.encoder.encode(texts), seed), similarity, seed)

    def adversary(self, quota: int, share: float) -> Adversary:
        """One slice's adversary."""
        return Adversary(self.student, quota, share)

    def reviewers(self, speaking: Speaking, critics: Sequence[Metered], stage: str = "critic") -> list[Reviewer]:
        """Those that have to be waited for: each question to the critic model, or to all models of the panel."""
        settings = self.walk.study.synthesize.critic
        found: list[Reviewer] = []
        for question in settings.questions if critics else ():
            members = [
                self._reviewer(question, speaking, critic, number, stage) for number, critic in enumerate(critics)
            ]
            found.append(members[0] if len(members) == 1 else self._panel(members, question, stage))
        return found

    def _panel(self, members: Sequence[Reviewer], question: str, stage: str) -> PanelReviewer:
        """The members as one; what each is worth is known when they have been on trial."""
        settings = self.walk.study.synthesize.critic
        weighted = settings.panel_rule == "weighted" and stage != TRIAL
        rule = "majority" if settings.panel_rule == "weighted" and not weighted else settings.panel_rule
        measured = [event for event in self.walk.run.since("calibrate") if isinstance(event, JudgeMeasured)]
        name = "panel" if len(settings.questions) == 1 else f"panel, {question}"
        return PanelReviewer(members, rule, weights_from(measured) if weighted else None, name=name)

    def _reviewer(self, question: str, speaking: Speaking, critic: Metered, number: int, stage: str) -> Reviewer:
        settings, title = self.walk.study.synthesize.critic, self.walk.title
        ask = partial(_asking, speaking, critic, stage)

        def named(name: str) -> str:
            return f"{name} {number + 1}" if settings.panel else name

        if question == "blind":
            file = ask(Filed)

            async def filed(request: Request) -> FiledAs:
                return FiledAs(*await file(request))

            return BlindReviewer(filed, title, self.rivals, name=named(BlindReviewer.name))
        if question == "pairwise":
            choose = ask(Choice)

            async def chosen(request: Request) -> Chosen:
                return Chosen(*await choose(request))

            return PairwiseReviewer(chosen, title, name=named(PairwiseReviewer.name))
        think = ask(Opinion)

        async def answered(request: Request) -> Answered:
            return Answered(*await think(request))

        constitution = self.constitution
        return ModelCritic(
            answered,
            settings,
            title,
            rules=constitution.words if constitution else lambda label: "",
            revises=bool(self.walk.study.synthesize.revisions),
            name=named(ModelCritic.name),
        )

    @cached_property
    def folds(self) -> dict[str, int]:
        """The fold of each organic record."""
        return dict(zip((record.id for record in self.known.records), self.known.folds.tolist(), strict=True))

    @cached_property
    def confused(self) -> Mapping[str, Mapping[str, float]]:
        """How readily records of one label are taken for another: out of fold, and on top of it by the graph.

        With three records a slice, few confusions show.
        """
        found = json.loads(self.walk.run.path(STUDENT).read_text(encoding="utf-8"))["confused"]
        around = graph.Graph(tables.read_rows(self.walk.run.path(FACTS), Fact))
        near = {name: around.near(name) for name in found}
        return {
            name: {other: weight * (2.0 if other in near[name] else 1.0) for other, weight in others.items()}
            for name, others in found.items()
        }

    def rivals(self, label: str) -> list[str]:
        """The labels that one is most readily taken for, the nearest first."""
        weights = self.confused.get(label, {})
        return sorted((other for other in weights if weights[other] > 0), key=lambda other: (-weights[other], other))

    @cached_property
    def learned(self) -> Distilled | None:
        """What a small judge learned of a critic model's verdicts in another run, where the study names one."""
        settings = self.walk.study.synthesize.critic
        if not settings.distil_from:
            return None
        return distil(self.walk, Run.read(self.walk.locate(settings.distil_from)), settings.distil_most_lost)

    def distilled(self) -> DistilledJudge | None:
        """The small judge, where what it learned is of use."""
        usable = self.learned is not None and self.learned.report.usable
        return DistilledJudge(self.learned, self.walk.encoder.encode) if usable and self.learned else None


def _asking(
    speaking: Speaking, model: Metered, stage: str, shape: type[M]
) -> Callable[[Request], Awaitable[tuple[M | None, str]]]:
    """Has requests answered in a shape. On trial an equal request is another sample: only so can it be contradicted."""
    ask = speaking.asker(model, shape, stage)
    if stage != TRIAL:
        return ask
    before: Counter[Request] = Counter()

    async def asked(request: Request) -> tuple[M | None, str]:
        number = before[request]
        before[request] += 1
        purpose = replace(request.purpose, stage=stage)
        return await ask(replace(request, sample=number, purpose=purpose))

    return asked


def make_critic(walk: Walk, known: Organic) -> PanelCritic | None:
    """Views that fail differently: meaning, spelling, and sentences by a model that may know more than the student."""
    settings = walk.study.synthesize.critic
    strength = settings.strength or json.loads(walk.run.path(STUDENT).read_text(encoding="utf-8"))["strength"]
    titles = tuple((label, walk.title(label)) for label in sorted(set(known.labels)))
    texts = OrganicTexts(
        tuple(r.text for r in known.records), known.labels, tuple(known.folds.tolist()), titles, settings.title_weight
    )
    train = trainer(walk)
    encoders: dict[str, Callable[[], Encoder]] = {
        "meaning": lambda: walk.encoder, "sentences": find("encoders", SENTENCES)
    }  # fmt: skip
    views = [
        head_view(name, make().encode, lambda x, y, weights: train(x, y, weights, strength=strength), texts)
        for name, make in encoders.items()
        if name in settings.views
    ]
    if "characters" in settings.views:
        views.append(character_view(texts))
    return PanelCritic(views, settings) if views else None


def make_student(walk: Walk, known: Organic, encoding: Encoding) -> Student:
    """The student as the audit trained it: its probability of a label against the strongest rival."""
    strength = json.loads(walk.run.path(STUDENT).read_text(encoding="utf-8"))["strength"]
    head = trainer(walk)(known.vectors, known.labels, np.ones(len(known.labels)), strength=strength)

    def score(text: str, label: str) -> float:
        (row,) = head.predict(encoding(text)[None, :])
        asked = head.classes.index(label)
        rival = max(share for place, share in enumerate(row) if place != asked)
        return float(row[asked] / (row[asked] + rival)) if row[asked] else 0.0

    return score


def distil(walk: Walk, teacher: Run, most_lost: float) -> Distilled:
    """A small judge out of the verdicts that a run's critic model gave. Raises InputError for a run without any."""
    verdicts: dict[str, bool] = {}
    for event in teacher.since("synthesize"):
        if not isinstance(event, Judged) or event.verdict.reason == "no verdict":
            continue
        if event.verdict.judge.startswith(ModelCritic.name):
            verdicts[event.verdict.candidate_id] = event.verdict.decision is not Decision.ACCEPT
    taught = Walk(teacher, walk.study, walk.base)
    proposed, kept = candidates(taught)
    verdicts |= {each.id: False for each in kept}  # an accepting verdict without a score leaves no line of its own
    rows = [each for each in proposed if each.id in verdicts]
    return Distilled.fit(
        walk.encoder.encode([each.text for each in rows]) if rows else np.zeros((0, 1), np.float32),
        np.array([verdicts[each.id] for each in rows], dtype=bool),
        [each.slice for each in rows],
        most_lost=most_lost,
        seed=walk.study.seed,
    )


def _benchmarks(walk: Walk) -> list[tuple[str, str]]:
    """(id, text) of the published evaluations that the study names: every text column of every row."""
    return [
        (f"{path}:{row.line}", str(value))
        for path in walk.study.synthesize.gates.benchmarks
        for row in walk.rows(path)
        for value in row.fields.values()
        if isinstance(value, str) and len(value.split()) > 2
    ]

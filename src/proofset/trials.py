"""The judges of a study on trial before a run spends, and what has to be held against them.

Rooms on one floor are strangers; here planted faults meet the bench, and a panel the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proofset.assembly import FACTS, HELDOUT, PASSAGES
from proofset.errors import BudgetSpent, ConfigError
from proofset.grounding import anchors, graph
from proofset.judging import TRIAL, Bench
from proofset.nouns.event import JudgeMeasured
from proofset.nouns.evidence import Evidence, Fact, Passage
from proofset.plugins import Judge, Reviewer, find
from proofset.reporting.trial import floors_of
from proofset.runs import tables
from proofset.speaking import Speaking, critics_of
from proofset.synthesizing import calibration
from proofset.synthesizing.faults import FAULTS, GOOD, Breach, Supplies, plant
from proofset.synthesizing.panel import PanelReviewer
from proofset.synthesizing.soundness import verdict_on
from proofset.walk import Walk

FAULTS_OF_CONTENT = ("none", "wrong label", "near label", "off-topic")
"""What critic models are tried on: everything else is cheaper to see."""


def supplies_of(bench: Bench) -> Supplies:
    """What faults are planted with: confusable labels, evidence, held-out texts, and texts that break a rule."""
    walk = bench.walk
    passages = tables.read_rows(walk.run.path(PASSAGES), Passage)
    around = graph.Graph(tables.read_rows(walk.run.path(FACTS), Fact))
    evidence: dict[str, Evidence] = {
        label: anchors.evidence(label, passages, around) for label in set(bench.known.labels)
    }
    rules = bench.constitution.rules if bench.constitution else ()
    return Supplies(
        confused=bench.confused,
        evidence=evidence,
        contaminated=tuple(item.text for item in tables.read_heldout(walk.run.path(HELDOUT))),
        forbidden=tuple(
            Breach(rule=rule.number, text=rule.example, labels=rule.slices) for rule in rules if rule.example
        ),
    )


def put_on_trial(bench: Bench, edge: frozenset[str]) -> list[JudgeMeasured]:
    """Every judge that decides at once, and the whole cascade, on good records and planted faults."""
    own: list[Judge] = [find("judges", name)() for name in bench.walk.study.synthesize.judges]
    own += [each for each in (bench.distilled(),) if each is not None]

    def build(known: Sequence[tuple[str, str]]) -> tuple[list[Judge], Callable[[str, str], None]]:
        judges, remember = bench.cascade(known).for_slice()
        return [*judges, *own], remember

    found = calibration.trial(
        bench.critic,
        build,
        bench.known.records,
        bench.folds,
        edge,
        supplies=supplies_of(bench),
        seed=bench.walk.study.seed,
    )
    return list(found)


async def review_on_trial(bench: Bench, edge: frozenset[str]) -> list[JudgeMeasured]:
    """The critic models on the same faults of content, a few cases of each: they cost money.

    Raises ConfigError where the budget does not reach.
    """
    walk, most = bench.walk, bench.walk.study.synthesize.critic.trial
    if not most or not critics_of(walk):
        return []
    speaking = Speaking(walk)
    try:
        critics = speaking.critics()
        reviewers = bench.reviewers(speaking, critics, TRIAL)
        cases = plant(
            bench.known.records, bench.folds, edge, FAULTS_OF_CONTENT, supplies=supplies_of(bench), most=most,
            seed=walk.study.seed,
        )  # fmt: skip
        members = [member for each in reviewers for member in _members(each)]
        planted = [case for fault in FAULTS_OF_CONTENT for case in cases[fault]]
        return await calibration.review(members, planted, max(critic.parallel for critic in critics))
    except BudgetSpent as error:
        raise ConfigError(
            f"the budget does not reach for the critic model's trial: {error}",
            hint="give it more, or fewer cases: synthesize.critic.trial",
        ) from error
    finally:
        await speaking.close()


def _members(reviewer: Reviewer) -> Sequence[Reviewer]:
    """A panel is tried member by member, and as a whole."""
    return [*reviewer.members, reviewer] if isinstance(reviewer, PanelReviewer) else [reviewer]


def require_sound(walk: Walk) -> list[str]:
    """Refuse to start with a judge below its floor; of what else is wrong with a judge, sentences.

    Raises ConfigError that names the judge, the fault, what was found and what was asked for.
    """
    settings = walk.study.synthesize
    measured = [event for event in walk.run.since("calibrate") if isinstance(event, JudgeMeasured)]
    judges = list(dict.fromkeys(each.judge for each in measured))
    for judge, faults in settings.floors.items():
        if judge not in judges:
            raise ConfigError(f"synthesize.floors: no judge {judge!r} was on trial", hint=f"known: {', '.join(judges)}")
        if unknown := set(faults) - (set(FAULTS) - {GOOD}):
            planted = ", ".join(fault for fault in FAULTS if fault != GOOD)
            raise ConfigError(f"synthesize.floors.{judge}: no fault {min(unknown)!r}", hint=f"planted are: {planted}")
    unsound = verdict_on(measured, {})
    below = [sentence for sentence in verdict_on(measured, floors_of(walk.study)) if sentence not in unsound]
    if below:
        raise ConfigError(
            "; ".join(below),
            hint="raise synthesize.critic.threshold, give more organic records or another critic, or lower the floor",
        )
    return unsound + same_voice(walk)


def same_voice(walk: Walk) -> list[str]:
    """A warning where a critic model is the generator itself: it likes what it writes."""
    own = walk.study.synthesize.model.voice
    return [
        f"{place} is the generator itself: a model favours its own text, so let another one judge"
        for model, place in critics_of(walk)
        if model.voice == own
    ]

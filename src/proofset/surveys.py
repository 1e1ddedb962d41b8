"""Surveys: how a corpus stands against organic records. The corpus may be a run's, or lie in anybody's files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from proofset.assembly import HELDOUT, RECORDS, corpus_of, earlier, edge_slices
from proofset.costing.prices import check_priced
from proofset.errors import LeakageError
from proofset.exhibits import Exhibit, divided, encoded, encoder_of
from proofset.judging import SENTENCES
from proofset.measuring.blocks import Vectors
from proofset.measuring.collapse import collapse
from proofset.measuring.frame import Constants
from proofset.measuring.lift import lift
from proofset.measuring.texts import describe
from proofset.measuring.viability import FEWEST, HONEST, viability
from proofset.models.embeddings import EndpointEncoder
from proofset.nouns.event import Spent
from proofset.nouns.record import content_id, normal_form
from proofset.nouns.result import Measure, Usage
from proofset.nouns.viability import Collapse, Crossing, Viability
from proofset.plugins import Encoder
from proofset.runs import tables
from proofset.speaking import price_of, prices_of
from proofset.walk import Walk


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was found of a corpus: overall and by slice, and descriptive measures of its text."""

    viability: tuple[Viability, ...]
    """Overall first."""
    described: tuple[tuple[Measure, Measure], ...] = ()
    """Synthetic beside organic text, at equal budgets of tokens."""
    map: tuple[Vectors, Vectors] | None = None
    """Vectors of the reference and of the synthetic records, for a picture."""


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def survey(
    train: Exhibit,
    reference: Exhibit,
    control: Exhibit | None,
    synthetic: Exhibit,
    *,
    encoder: Encoder | None = None,
    constants: Constants | None = None,
) -> Survey:
    """The quotient of a corpus against organic records, overall and by slice, and what its text is like.

    Without a ``control`` the reference is halved. ``train`` is everything that the generator may have seen.
    """
    notes = []
    if control is None:
        reference, control = divided(reference)
        notes.append("the reference was halved to have a control")
    _require_apart(train, reference, control)
    taken = [encoded(each, encoder) for each in (train, reference, control, synthetic)]
    if unknown := sum(lost for _, lost in taken):
        notes.append(f"{unknown} texts without a word that the encoder knows were left out")
    parts = tuple(each for each, _ in taken)
    name = encoder.name if encoder else "given vectors"
    made = constants or Constants()
    found = [_viability(parts, name, made, "", notes)]
    if all(each.slices for each in parts):
        for slice_name in sorted(set(parts[3].slices)):
            own = tuple(each.part(np.flatnonzero(np.array(each.slices) == slice_name)) for each in parts)
            found.append(_viability(own, name, made, slice_name, ()))
    organic, ours = parts[1], parts[3]
    described = describe(ours.texts, organic.texts, seed=made.seed) if organic.texts and ours.texts else []
    assert organic.vectors is not None and ours.vectors is not None
    return Survey(viability=tuple(found), described=tuple(described), map=(organic.vectors, ours.vectors))


def _require_apart(*parts: Exhibit) -> None:
    """Stop where a text of one organic part stands in another: beyond a few that people repeat, that is a leak."""
    for place, second in enumerate(parts):
        own = [normal_form(text) for text in second.texts]
        for first in parts[:place]:
            known = {normal_form(text) for text in first.texts}
            shared = [row for row, text in enumerate(own) if text in known]
            if len(shared) >= max(1.0, HONEST * len(own)):
                raise LeakageError(
                    f"{second.name}: {len(shared)} of {len(own)} texts stand in {first.name} too, the first is record "
                    f"{shared[0] + 1}",
                    hint="divide them by document or author, without duplicates, before anything is generated",
                )


def _viability(
    parts: tuple[Exhibit, ...], encoder: str, constants: Constants, slice_name: str, notes: Sequence[str]
) -> Viability:
    sizes = (len(parts[0]), len(parts[1]), len(parts[2]), len(parts[3]))
    if min(sizes) < FEWEST:
        found = _not_taken(sizes, encoder, constants, slice_name)
    else:
        train, reference, control, synthetic = parts
        companion = None
        if all(each.texts for each in parts):
            companion = lift(train.texts, synthetic.texts, control.texts, reference.texts, seed=constants.seed)
        vectors = [each.vectors for each in parts if each.vectors is not None]
        found = viability(*vectors, encoder=encoder, constants=constants, companion=companion, slice=slice_name)
    return replace(found, notes=(*notes, *found.notes))


def _not_taken(sizes: tuple[int, int, int, int], encoder: str, constants: Constants, slice_name: str) -> Viability:
    """Too few records to measure: no number, and nothing was encoded for it."""
    least = min(zip(sizes, ("training", "reference", "control", "synthetic"), strict=True))
    why = f"{least[0]:,} {least[1]} records are too few: {FEWEST} of each kind are the least"
    return Viability(
        protocol=constants.name(encoder),
        encoder=encoder,
        quotient=Measure(name="SVQ", value=None, note=why),
        verdict=Crossing.UNDECIDED,
        threshold=1 - constants.delta,
        weakest="",
        components=(),
        companion=None,
        sizes=sizes,
        needed=None,
        saturation=None,
        equivalent=None,
        slice=slice_name,
    )


def collapse_of(
    reference: Exhibit, generations: Sequence[Exhibit], *, encoder: Encoder | None = None, **settings: Any
) -> Collapse:
    """Dimensional Mode Collapse of generations, the earliest first, against a reference."""
    organic, _ = encoded(reference, encoder)
    series = [encoded(each, encoder)[0] for each in generations]
    assert organic.vectors is not None
    return collapse(
        organic.vectors,
        [each.vectors for each in series if each.vectors is not None],
        encoder=encoder.name if encoder else "given vectors",
        **settings,
    )


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def survey_of_run(walk: Walk) -> tuple[Viability, ...]:
    """The quotient of a run's accepted records, over all starved slices and for each.

    Train is what the generator may have seen; reference and control are halves of the held-out set, which near-copies
    never divide. Over all slices, organic records are taken in the proportions that the synthetic ones have. The
    encoder is another one than the loop's: what steers must not also judge.
    """
    settings, parts = walk.study.measure, _run_parts(walk)
    constants = Constants(delta=settings.delta, budget=settings.rare_budget, seed=walk.study.seed)
    name = settings.encoder_beside(walk.study.encoder)
    judge = cache(lambda: _judge(walk, name))
    slices = sorted(set(parts[3].slices))
    whole = _in_proportion(parts, walk.study.seed)
    wanted = [("", whole)] + [(each, _only(parts, each)) for each in slices if len(slices) > 1]
    found = []
    for slice_name, own in wanted:
        if min(len(each) for each in own) < FEWEST:
            sizes = (len(own[0]), len(own[1]), len(own[2]), len(own[3]))
            found.append(_not_taken(sizes, name, constants, slice_name))
        else:
            taken = tuple(_booked(walk, each, name, judge()) for each in own)
            found.append(_viability(taken, judge().name, constants, slice_name, _steered(walk, name)))
    return tuple(found)


def _steered(walk: Walk, name: str) -> tuple[str, ...]:
    """What has to be said of a verdict whose encoder had a voice in the loop."""
    if name == SENTENCES and "sentences" in walk.study.synthesize.critic.views:
        return ("the verdict's encoder also sat in the critic, and what steers flatters: name another measure.encoder",)
    return ()


def crossed(walk: Walk, label: str, texts: Sequence[str]) -> bool:
    """Whether the texts accepted in a slice so far have crossed into viability, by the verdict's encoder."""
    settings = walk.study.measure
    name = settings.encoder_beside(walk.study.encoder)
    constants = Constants(delta=settings.delta, budget=settings.rare_budget, seed=walk.study.seed)
    made = Exhibit(name="synthetic", vectors=None, texts=tuple(texts), slices=(label,) * len(texts))
    parts = (*_only(_run_parts(walk), label)[:3], made)
    if min(len(each) for each in parts) < FEWEST:
        return False
    encoder = _judge(walk, name)
    taken = tuple(_booked(walk, each, name, encoder) for each in parts)
    return _viability(taken, encoder.name, constants, label, ()).verdict is Crossing.CROSSED


def _judge(walk: Walk, name: str) -> Encoder:
    """The verdict's encoder: a plugin, or one behind a server that the study names and that has a price."""
    settings = walk.study.encoders.get(name)
    if settings is None:
        return encoder_of(name)
    place = f"encoders.{name}"
    check_priced(settings, place, elsewhere=prices_of(walk, settings, place).tariff is not None)
    return EndpointEncoder(settings, place=place)


def _booked(walk: Walk, exhibit: Exhibit, name: str, encoder: Encoder) -> Exhibit:
    """The exhibit with its vectors; what a server charged for them is in the log."""
    before = getattr(encoder, "input_tokens", 0)
    done, _ = encoded(exhibit, encoder)
    if used := getattr(encoder, "input_tokens", 0) - before:
        usage = Usage(model=encoder.name, stage="measure", input_tokens=used)
        settings, place = walk.study.encoders[name], f"encoders.{name}"
        usd, basis = price_of(walk, settings, place, prices_of(walk, settings, place))(usage)
        walk.tell(Spent(usage=replace(usage, usd=usd, basis=basis)))
    return done


def _run_parts(walk: Walk) -> tuple[Exhibit, ...]:
    """Train, reference, control and synthetic of a run's starved slices."""
    edge = edge_slices(walk)
    seen = [*tables.read_records(walk.run.path(RECORDS)), *earlier(walk)]
    sealed = [item for item in tables.read_heldout(walk.run.path(HELDOUT)) if item.label in edge]
    halves: tuple[list[Any], list[Any]] = ([], [])
    for item in sealed:
        halves[int(content_id("control", walk.study.seed, item.group or item.id), 16) % 2].append(item)
    rows = (seen, *halves, corpus_of(walk).records)
    return tuple(
        Exhibit(
            name=name,
            vectors=None,
            texts=tuple(one.text for one in own if one.label in edge),
            slices=tuple(str(one.label) for one in own if one.label in edge),
        )
        for name, own in zip(("train", "reference", "control", "synthetic"), rows, strict=True)
    )


def _only(parts: tuple[Exhibit, ...], slice_name: str) -> tuple[Exhibit, ...]:
    return tuple(
        each.part(np.array([row for row, own in enumerate(each.slices) if own == slice_name], np.intp))
        for each in parts
    )


def _in_proportion(parts: tuple[Exhibit, ...], seed: int) -> tuple[Exhibit, ...]:
    """The organic parts cut to the synthetic part's proportions of slices."""
    mix = Counter(parts[3].slices)
    return tuple(each.part(np.array(list(_drawn(each, mix, seed)), np.intp)) for each in parts[:3]) + parts[3:]


def _drawn(exhibit: Exhibit, mix: Mapping[str, int], seed: int) -> Iterator[int]:
    """As many rows as the scarcest slice allows, chosen by content."""
    have = Counter(exhibit.slices)
    factor = min((have[name] / wanted for name, wanted in mix.items()), default=0.0)
    left = {name: round(factor * wanted) for name, wanted in mix.items()}
    order = sorted(range(len(exhibit)), key=lambda row: content_id("mix", seed, exhibit.texts[row]))
    for row in order:
        if left.get(exhibit.slices[row], 0) > 0:
            left[exhibit.slices[row]] -= 1
            yield row

"""The Study: every setting of a run, typed and frozen, read from one TOML file.

One section per verb; units are in the names. ``effort`` is the single dial: it sets what you leave out, and anything
written explicitly wins. Secrets are named by environment variable, never stored.
"""

from __future__ import annotations

import tomllib
from math import inf
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from proofset.errors import ConfigError
from proofset.judges import Critic, Gates
from proofset.nouns.candidate import FEW_SHOT
from proofset.speakers import Budget, Model, Sampling, Section

Effort = Literal["quick", "standard", "thorough"]

BATCH_WINDOW = 5000
"""Briefs of a slice that are asked together where a model is asked in batches."""

EFFORT: dict[Effort, dict[str, dict[str, int]]] = {
    "quick": {"synthesize": {"quota": 24, "max_briefs": 60}, "train": {"seeds": 3}, "measure": {"draws": 100}},
    "standard": {"synthesize": {"quota": 200, "max_briefs": 480}, "train": {"seeds": 5}, "measure": {"draws": 200}},
    "thorough": {"synthesize": {"quota": 1000, "max_briefs": 4000}, "train": {"seeds": 10}, "measure": {"draws": 400}},
}
"""What each effort sets where the study says nothing."""


class Ingest(Section):
    """Rows to records: where they lie, which columns matter, and what is sealed as held-out."""

    path: str
    """File of organic records, relative to the study file; or ``artifact:NAME`` for a pinned one."""
    reader: str = ""
    """Reader plugin: jsonl, csv, tab or parquet. Empty: by the file's ending."""
    columns: tuple[str, ...] = ()
    """Column names of a file that has no header row. Empty: the file's own header."""
    skip_rows: int = Field(0, ge=0)
    """Leading rows to pass over before the header or the data."""
    text: str = "text"
    """Column with the text."""
    label: str = "label"
    """Column with the label."""
    messages: str = ""
    """Column with chat messages (a list of role and content); used instead of ``text`` when named."""
    synthetic: str = "synthetic"
    """Column that marks synthetic rows with true, as our own datasets do; a column ``generation`` says how far they are
    from organic text. They are never held out, and no anchors unless told. Empty: every row is taken as organic."""
    source: str = ""
    """What the data is called and who made it, for the card and the page."""
    licence: str = ""
    """Licence of the organic data; copied onto every record."""
    heldout_share: float = Field(0.5, gt=0, lt=1)
    """Share of each label sealed as held-out; near-copies are never divided."""
    min_label_records: int = Field(2, ge=2)
    """Labels with fewer records are dropped, and counted: they cannot be both learned and tested."""
    near_copy_similarity: float = Field(0.6, gt=0, le=1)
    """Jaccard similarity of word pairs from which two texts are near-copies."""
    keep: dict[str, int] = Field(default_factory=dict)
    """Training records to keep per label; the rest joins the held-out set. Simulates a rare event on rich data."""


class Audit(Section):
    """Slices and their deficits."""

    folds: int = Field(5, ge=2)
    """Grouped folds for out-of-fold predictions; also the folds that choose hyper-parameters and weights."""
    edge_max_records: int | None = Field(None, ge=1)
    """Slices with at most this many training records are edges. None: fewer than half the mean per slice."""
    target_error: float | None = Field(None, ge=0, le=1)
    """Error to reach. None: the pooled error of the slices that are not edges."""
    titles: dict[str, str] = Field(default_factory=dict)
    """What people call a label, when the label itself is a code."""


class Ground(Section):
    """What candidates may rest on; leave the section out when there is nothing."""

    passages: str = ""
    """File with columns ``slice``, ``text`` and optionally ``title``: definitions or documents, one row a passage."""
    facts: str = ""
    """File with columns ``subject``, ``relation``, ``object``: the graph around the slices."""


class Synthesize(Section):
    """The loop: how many accepted records each edge slice is to get, and when to give up."""

    model: Model = Field(default_factory=Model)
    """The generator."""
    sampling: Sampling = Field(default_factory=Sampling)
    """How it draws."""
    gates: Gates = Field(default_factory=Gates)
    """The cheap judges."""
    critic: Critic = Field(default_factory=Critic)
    """The critic."""
    judges: tuple[str, ...] = ()
    """Judge plugins of your own, asked after the gates and before the critic."""
    review: str = ""
    """File of a person's decisions, relative to the study, as ``proofset review`` writes it. Empty: none."""
    kind: str = "labelled"
    """Kind of task, a plugin: labelled, question, conversation, evaluation, scenario, or your own."""
    strategies: tuple[str, ...] = (FEW_SHOT,)
    """Ways to write a brief: few-shot, titled, free, contrast, evolve, persona, crossing. Of several, each slice finds
    out which brings the most accepted novelty for its cost."""
    personas: tuple[str, ...] = ()
    """Who is to have written it, for the strategy persona and for kinds that are asked in turns."""
    adversary: float = Field(0.0, ge=0, le=1)
    """Share of the quota that is kept for candidates which the student gets wrong and the critic agrees with."""
    revisions: int = Field(0, ge=0, le=1)
    """Rounds in which a candidate refused for its content may be set right under the critique."""
    evaluation: int = Field(0, ge=0)
    """Accepted records of each edge slice that are made for its edge-case evaluation, beside the quota."""
    adversarial: int = Field(0, ge=0)
    """Adversarial scenarios of each edge slice, beside the quota: the student gets them wrong."""
    floors: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Least share (lower bound) of a planted fault that a judge must refuse before the loop may start: judge, then
    fault. The judge "cascade" is all of them together."""
    viable_every: int = Field(0, ge=0)
    """Stop a slice when its accepted records have crossed into viability, looked at each time so many more are
    accepted, from 1,500 on: with fewer, nothing is crossed. 0: never."""
    min_yield: float = Field(0.0, ge=0, lt=1)
    """Stop a slice when surely less than this share of its latest briefs is accepted. 0: never."""
    quota: int = Field(200, ge=1)
    """Accepted records to reach in each edge slice."""
    max_briefs: int = Field(480, ge=1)
    """Briefs an edge slice may use up before it is given up."""
    patience: int = Field(96, ge=1)
    """Refusals in a row after which a slice is given up."""
    window: int = Field(0, ge=0)
    """Briefs of one slice in flight. Brief k is opened by the closing of brief k - window, whatever arrives when.
    0: 8 for an engine in this process, four for each slot of a server, 5,000 where it is asked in batches."""
    companions: float = Field(0.5, ge=0, le=1)
    """Quota of each edge slice's most confusable neighbour, as a share: text for the edge alone takes from the rest."""
    budget: Budget = Field(default_factory=Budget)
    """Caps on what this verb may use up."""
    anchors: int = Field(8, ge=1)
    """Organic records shown in a brief."""
    synthetic_anchors: bool = False
    """Show synthetic records of earlier generations in briefs as well: the way into collapse, so it is asked for."""
    max_collapse: float = Field(0.5, ge=0, le=1)
    """Stop a slice when its accepted records have lost more than this share of the rank, variance or rare modes of as
    many organic ones, and chance does not explain it. 1: never. Slices of under 80 organic records go unwatched."""
    prompts_per_slice: int = Field(8, ge=1)
    """Different few-shot prompts a slice gets; briefs that share one share its cache."""
    opening_words: int = Field(4, ge=0)
    """Candidates continue the first 0 to this many words of an organic record."""
    heading: str = "Real examples of {title}:"
    """Line above the examples in the prompt; ``{title}``, ``{label}`` and ``{topic}`` are filled in."""
    headings: dict[str, str] = Field(default_factory=dict)
    """Headings of single labels, where the general one reads badly."""
    topics: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Kinds of text that a label is known to have; each prompt of its slice asks for the next one, by ``{topic}``."""

    @model_validator(mode="before")
    @classmethod
    def _moved(cls, data: Any) -> Any:
        if isinstance(data, dict) and "budget_usd" in data:
            raise ValueError('budget_usd has moved: write [synthesize.budget] and usd = "…" under it')
        return data

    @field_validator("strategies")
    @classmethod
    def _can_be_chosen_among(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if not given or len(set(given)) < len(given):
            raise ValueError("give at least one strategy, and each once")
        return given

    @property
    def briefs_in_flight(self) -> int:
        """The window, with 0 resolved: it depends on the study alone, never on the machine."""
        if any(model is not None and model.batch for model in (self.model, self.critic.model)):
            return self.window or BATCH_WINDOW
        served = 4 * self.model.slots if self.model.base_url else 0
        return self.window or max(8, served)

    @model_validator(mode="after")
    def _check_headings(self) -> Self:
        """Headings must be fillable, and a topic must have a place in its label's heading."""
        for label, heading in (("", self.heading), *self.headings.items()):
            try:
                heading.format(title="", label="", topic="")
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                what = f"headings.{label}" if label else "heading"
                raise ValueError(f"{what}: only {{title}}, {{label}} and {{topic}} can be filled in") from error
        for label, topics in self.topics.items():
            if topics and "{topic}" not in self.headings.get(label, self.heading):
                raise ValueError(f"topics.{label}: the heading of {label!r} has no {{topic}}")
        return self


class MeasureSettings(Section):
    """Synthetic against organic, at equal size."""

    draws: int = Field(200, ge=20)
    """Random equal-size draws behind each interval."""
    modes: int = Field(20, ge=2)
    """Clusters of organic text whose survival is counted."""
    rare_share: float = Field(0.3, gt=0, lt=1)
    """The least populated share of the modes counts as rare."""
    encoder: str = ""
    """Encoder plugin that the verdict rests on, another one than the loop's: what steers must not also judge. Empty:
    minilm, or static where the loop has minilm."""
    delta: float = Field(0.10, gt=0, lt=1)
    """How far below 1, what fresh organic records get, a quotient may lie and still count as crossed."""
    rare_budget: float = Field(0.10, gt=0, le=1)
    """Organic mass whose loss takes the quotient to 0: at 0.10, each percent of lost mass costs a tenth."""

    def encoder_beside(self, loops: str) -> str:
        """The verdict's encoder beside the loop's."""
        return self.encoder or ("static" if loops == "minilm" else "minilm")


class Cost(Section):
    """Prices of what has no price tag."""

    usd_per_core_hour: str = "0.05"
    """Imputed price of a core-hour of this machine, as a decimal string. Local work is never free."""
    prices: str = ""
    """A price book, a TOML file relative to the study, for models that the study names no prices for."""
    catalogue: bool = False
    """Take list prices for models that neither has: needs ``pip install 'proofset[prices]'``."""


class Train(Section):
    """Arms and how they are trained; every arm gets the same tuning budget, on organic folds only."""

    trainer: str = "linear"
    """Trainer plugin."""
    strengths: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
    """Inverse regularisation strengths to choose from."""
    weights: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.3, 1.0)
    """Weights of a synthetic record against an organic one, to choose from; 0 leaves them out."""
    seeds: int = Field(5, ge=1)
    """Trainings per arm; each re-weights the organic records at random, alike in every arm (Bayesian bootstrap)."""

    @field_validator("strengths", "weights")
    @classmethod
    def _can_be_searched(cls, given: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        least = "above 0" if info.field_name == "strengths" else "0 or larger"
        if not given or any(not (0 < each < inf or (each == 0 and least != "above 0")) for each in given):
            raise ValueError(f"needs at least one number, each of them finite and {least}")
        return given


class Prove(Section):
    """The comparison on the held-out set."""

    margin: float = Field(0.01, gt=0, lt=1)
    """Loss of accuracy outside the edges that still counts as no harm (non-inferiority margin)."""
    resamples: int = Field(2000, ge=200)
    """Bootstrap resamples over held-out groups and seeds."""


class Study(Section):
    """A whole study. Read one with ``Study.read(path)``."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """Short name; also the run folder's."""
    title: str = ""
    """What the study is about, in one line for the page."""
    question: str = ""
    """What it wants to find out, in a sentence or two for the page."""
    seed: int = 0
    """The one source of randomness."""
    effort: Effort = "standard"
    """The one dial: quick, standard or thorough."""
    encoder: str = "static"
    """Encoder plugin for gates, critic, measures and the linear head."""
    encoders: dict[str, Model] = Field(default_factory=dict)
    """Encoders behind a server's ``/v1/embeddings``, by a name of your own, for ``measure.encoder``: address, model and
    key as of a chat model."""
    ingest: Ingest
    """Rows to records."""
    audit: Audit = Field(default_factory=Audit)
    """Slices and deficits."""
    ground: Ground = Field(default_factory=Ground)
    """Evidence."""
    synthesize: Synthesize = Field(default_factory=Synthesize)
    """The loop."""
    measure: MeasureSettings = Field(default_factory=MeasureSettings)
    """Viability."""
    cost: Cost = Field(default_factory=Cost)
    """Prices."""
    train: Train = Field(default_factory=Train)
    """Arms."""
    prove: Prove = Field(default_factory=Prove)
    """Comparison."""

    @model_validator(mode="before")
    @classmethod
    def _apply_effort(cls, data: Any) -> Any:
        """Fill in what the effort sets and the study leaves out."""
        effort = data.get("effort", "standard") if isinstance(data, dict) else None
        if not isinstance(effort, str) or effort not in EFFORT:
            return data
        filled = dict(data)
        for section, defaults in EFFORT[effort].items():
            if isinstance(filled.get(section, {}), dict):
                filled[section] = {**defaults, **filled.get(section, {})}
        return filled

    @model_validator(mode="after")
    def _check_judge(self) -> Self:
        if self.measure.encoder == self.encoder:
            raise ValueError(f"measure.encoder: {self.encoder!r} steers the loop, so it cannot judge as well")
        if self.encoder in self.encoders:
            raise ValueError(f"encoder: {self.encoder!r} is behind a server: it may judge (measure.encoder), not steer")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """The study in a TOML file. Raises ConfigError that names file and field, and says what would do."""
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(f"{path}: no such study file", hint="give the path of a study.toml") from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read as TOML: {error}", hint="check the syntax there") from error
        return cls.parse(data, place=str(path))

    def with_budget(self, usd: str) -> Self:
        """The study with another cap on its money. Raises ConfigError for what is no amount."""
        data = self.model_dump()
        data["synthesize"]["budget"]["usd"] = usd
        return self.parse(data, place="--budget-usd")

    @classmethod
    def parse(cls, data: dict[str, Any], *, place: str = "study") -> Self:
        """The study in a mapping; ``place`` names its origin in errors."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(_explained(error, place), hint="proofset/config.py describes every setting") from error


def _explained(error: ValidationError, place: str) -> str:
    """The first faults of a study in words: where, what, and what was there."""
    lines = []
    for fault in error.errors()[:5]:
        where = ".".join(str(part) for part in fault["loc"]) or "the study"
        what = "no such setting" if fault["type"] == "extra_forbidden" else fault["msg"]
        lines.append(f"{place}: {where}: {what}")
    return "\n".join(lines)

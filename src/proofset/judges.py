"""Settings of who judges: the cheap gates, and the critic with its models."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from proofset.speakers import Model, Section


class Gates(Section):
    """The cheap judges: their thresholds."""

    min_words: int = Field(4, ge=1)
    """Shorter candidates are refused."""
    max_words: int = Field(80, ge=1)
    """Longer candidates are refused."""
    copy_similarity: float = Field(0.5, gt=0, le=1)
    """Jaccard similarity of word pairs to any organic or accepted text from which a candidate is a copy."""
    copied_run_words: int = Field(10, ge=3)
    """A run of this many words shared with one organic record is a copy, however long the rest."""
    distinct_share: float = Field(0.55, ge=0, le=1)
    """Smallest share of distinct words: below it a text repeats itself."""
    surprise_limit: float = Field(4.0, gt=0)
    """How many robust standard deviations beyond organic character statistics count as degenerate."""
    language: str = "organic"
    """Language that candidates must be in, as an ISO 639-1 code; "organic": that of the organic texts; "any": any."""
    personal: Literal["organic", "any", "off"] = "organic"
    """Personal data that is refused: "organic", what stands in an organic record, where it belongs to somebody; "any",
    all of it; "off", none."""
    constitution: str = ""
    """File of the domain's numbered rules, a TOML file relative to the study. Empty: none."""
    benchmarks: tuple[str, ...] = ()
    """Files of published evaluations, relative to the study, that no record may be a copy of."""
    paraphrase_similarity: float = Field(0.97, gt=0, le=1)
    """Cosine of the loop's embeddings from which a text is a paraphrase of an accepted, organic or held-out one.
    1: off."""
    drift_share: float = Field(0.01, ge=0, lt=0.5)
    """Share of organic texts that may be called anomalous: candidates farther from all organic ones are. 0: off."""


class Critic(Section):
    """The label-blind second opinion of several weak judges that fail differently."""

    threshold: float = Field(0.5, ge=0, lt=1)
    """Smallest probability of the asked label against its strongest rival, pooled over the views, that is accepted."""
    min_fault_recall: float = Field(0.0, ge=0, le=1)
    """Share of planted wrong labels the critic must refuse (lower bound) before it may start. 0: report only."""
    views: tuple[Literal["meaning", "characters", "sentences"], ...] = ("meaning", "characters")
    """Weak judges whose opinions are pooled: heads over the study's encoder, over spelling, and over a sentence model
    (all-MiniLM-L6-v2) that may know more than the student does. Without any, the critic is the model alone."""
    strength: float = Field(0.0, ge=0)
    """Inverse regularisation of the heads over embeddings. 0: the student's."""
    title_weight: float = Field(0.0, ge=0)
    """What a slice's title counts as an example of it, in records. 0: nothing, as codes for titles deserve."""
    model: Model | None = None
    """A second language model that reads every candidate which the cheap judges let through. None: none does."""
    rubric: str = "It reads like a real {title}, it belongs there and nowhere else, and it says nothing impossible."
    """What the critic model is to hold a candidate against; ``{title}`` and ``{label}`` are filled in."""
    max_tokens: int = Field(200, ge=16)
    """Longest verdict of the critic model, in tokens."""
    questions: tuple[Literal["opinion", "blind", "pairwise"], ...] = ("opinion",)
    """What the critic model is asked: its opinion by rubric and constitution; which slice the text is of, told none;
    whether it reads more like a real record than a real one does. The first refusal is the last question."""
    panel: tuple[Model, ...] = ()
    """Further critic models, asked beside the first; together they are a panel."""
    panel_rule: Literal["majority", "weighted", "any", "all"] = "majority"
    """How the panel decides: by heads, by what each was worth on trial, or by one or all refusals."""
    trial: int = Field(20, ge=0)
    """Cases of each planted fault that a critic model is tried on before a run spends. 0: it is believed untried."""
    distil_from: str = ""
    """Run folder, relative to the study, whose critic verdicts a small judge learns, to save calls to the model.
    Empty: none."""
    distil_most_lost: float = Field(0.05, gt=0, lt=1)
    """Share of what the critic model accepts that the small judge may refuse, by the upper bound."""

    @field_validator("rubric")
    @classmethod
    def _can_be_filled_in(cls, given: str) -> str:
        try:
            given.format(title="", label="")
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError("only {title} and {label} can be filled in") from error
        return given

    @model_validator(mode="after")
    def _check_trial(self) -> Self:
        if self.min_fault_recall and not self.views:
            raise ValueError("min_fault_recall: only the views are put on trial, and there are none")
        return self

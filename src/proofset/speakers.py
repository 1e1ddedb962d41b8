"""Settings of who speaks: a model, how it draws words, and what it may use up.

Secrets are named by environment variable, never stored. Units are in the names.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """A part of the study. Unknown keys are errors: a misspelt budget must not be silently unlimited."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Model(Section):
    """Who speaks. ``local`` runs llama.cpp in this process; ``chat`` calls an OpenAI-compatible server."""

    engine: str = "local"
    """Model plugin: local, openvino, chat, or your own."""
    path: str = "artifact:smollm2-135m-instruct"
    """GGUF file for an engine in this process, relative to the study file, or ``artifact:NAME``."""
    threads: int = Field(0, ge=0)
    """Threads of an engine in this process. 0: the cores that are idle when it starts."""
    slots: int = Field(8, ge=1)
    """Calls in flight at most. How many really are is found out by how the server takes them."""
    context_tokens: int = Field(1536, ge=256)
    """Context of an engine in this process: prompt and reply together."""
    base_url: str = ""
    """Server for the chat engine, for example ``http://127.0.0.1:8000/v1``."""
    model: str = ""
    """Model name that the server knows."""
    form: Literal["completions", "chat"] = "completions"
    """How a prompt is sent: to be continued by ``/completions``, or as the task of a ``/chat/completions``."""
    dialect: str = ""
    """What the server takes beyond the common ground: openai, azure, vllm … Empty: by its address."""
    api_key_env: str = ""
    """Environment variable that holds the key. The key itself is never stored."""
    query: dict[str, str] = Field(default_factory=dict)
    """Added to every address, as Azure wants it: ``{ api-version = "2026-01-01" }``."""
    timeout_s: float = Field(120.0, gt=0, allow_inf_nan=False)
    """Seconds to wait for one reply from a server."""
    give_up_s: float = Field(900.0, gt=0)
    """Seconds without one good reply after which the run stops. It goes on with the same command."""
    ca_file: str = ""
    """Certificates to trust, a PEM file, where the server's are signed by your own authority."""
    proxy: str = ""
    """HTTP proxy to the server. Empty: what HTTPS_PROXY and NO_PROXY say."""
    reasoning: str = ""
    """How long a reasoning model should think: low, medium, high or the provider's own word."""
    omit: tuple[Literal["temperature", "top_p", "seed"], ...] = ()
    """Fields that are not sent, for models that refuse them: "temperature", "top_p", "seed"."""
    requests_per_minute: int = Field(0, ge=0)
    """Requests that the server allows a minute. 0: not known; what its answers say is heeded in any case."""
    tokens_per_minute: int = Field(0, ge=0)
    """Tokens, in and out, that the server allows a minute. 0: not known."""
    usd_per_million_input: str = ""
    """Price of a million input tokens, as a decimal string. Empty: unpriced, and the run refuses such a server."""
    usd_per_million_cached_input: str = ""
    """Price of a million input tokens read from the provider's cache. Empty: the full price."""
    usd_per_million_output: str = ""
    """Price of a million output tokens, as a decimal string."""
    batch: bool = False
    """Ask in batches, where the server has a batch API: for half the price, and answers in hours."""
    batch_price_share: str = "0.5"
    """What a call in a batch costs, as a share of the prices above."""
    generation: int = Field(0, ge=0)
    """Generation of the synthetic records that this model was itself fine-tuned on; what it makes is one later.
    0: none, as far as is known."""
    allow_unpriced: bool = False
    """Start without a price: the total then reads "at least", with the number of calls that are not in it."""

    @model_validator(mode="after")
    def _check_batch(self) -> Self:
        if self.batch and self.engine != "chat":
            raise ValueError(f"batch: engine {self.engine!r} has no batch API; it is for engine 'chat'")
        return self

    @property
    def voice(self) -> tuple[str, ...]:
        """All settings that decide what it says, and none of its speed or cost; weights in a file have more to them."""
        asked = (self.engine, self.path, self.base_url.rstrip("/"), self.model, self.form, self.dialect, self.reasoning)
        return (*asked, *self.omit, *(f"{name}={value}" for name, value in sorted(self.query.items())))


class Sampling(Section):
    """How the generator draws words."""

    temperature: float = Field(0.8, ge=0, allow_inf_nan=False)
    """Softmax temperature; 0 is greedy."""
    top_p: float = Field(0.95, gt=0, le=1)
    """Nucleus: smallest set of tokens with this probability."""
    top_k: int = Field(50, ge=1)
    """Only the k most probable tokens; without it a small model drifts into number soup."""
    min_p: float = Field(0.05, ge=0, le=1)
    """Tokens below this fraction of the best one's probability are out."""
    max_tokens: int = Field(64, ge=1)
    """Longest candidate in tokens; a candidate cut here is refused as truncated."""


class Budget(Section):
    """What the loop may use up, over all its models. At a cap it opens nothing more and ends what is in flight."""

    usd: str = ""
    """Money, as a decimal string. Empty: no cap."""
    tokens: int = Field(0, ge=0)
    """Tokens, in and out. 0: no cap."""
    requests: int = Field(0, ge=0)
    """Calls, failed ones included. 0: no cap."""
    seconds: float = Field(0.0, ge=0)
    """Wall time of the loop since it was last started. 0: no cap."""
    shared: str = Field("", pattern=r"^[a-z0-9._-]*$")
    """A name under which several runs on this machine spend the same ``usd``. Empty: this run alone."""

    @field_validator("usd")
    @classmethod
    def _is_money(cls, given: str) -> str:
        try:
            sound = not given or (Decimal(given) >= 0 and Decimal(given).is_finite())
        except InvalidOperation:
            sound = False
        if not sound:
            raise ValueError(f"{given!r} is no amount of money; write for example '2.50'")
        return given

    @model_validator(mode="after")
    def _check_shared(self) -> Self:
        if self.shared and not self.usd:
            raise ValueError("shared: a shared budget needs an amount; set usd")
        return self

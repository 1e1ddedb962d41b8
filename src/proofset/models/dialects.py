"""What servers that speak "OpenAI-compatible" really take and really say: the differences, one row a provider.

The common ground is small. A server that is asked for a field it does not know may refuse the whole request, and two
servers that both count "prompt tokens" may not mean the same. Everything that differs is here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from proofset.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What one kind of server takes beyond the common ground."""

    name: str
    hosts: tuple[str, ...] = ()
    """Ends of host names by which it is known."""
    extras: frozenset[str] = frozenset()
    """Sampling fields it takes: top_k, min_p, seed, n, logprobs, reasoning_effort."""
    max_tokens: str = "max_tokens"
    """Its name for the longest reply."""
    key_header: str = "Authorization"
    """Header that carries the key; with "Bearer " before it when it is Authorization."""
    thinks_at_one: bool = False
    """Whether its reasoning models refuse a temperature and a top_p of one's own."""
    schemas: tuple[str, ...] = ("json_schema", "json_object", "prompted")
    """Ways to ask for JSON that may work, the strictest first; a probe finds the first that does."""


MOST_TOKENS = 10**9
"""A count above is no count: no call has so many."""
_PICODOLLAR = Decimal("1e-12")

_OPEN = frozenset({"seed", "n", "logprobs", "reasoning_effort"})
_LOCAL = _OPEN | {"top_k", "min_p"}

DIALECTS: tuple[Dialect, ...] = (
    Dialect(
        name="openai",
        hosts=("api.openai.com",),
        extras=_OPEN,
        max_tokens="max_completion_tokens",
        thinks_at_one=True,
    ),
    Dialect(
        name="azure",
        hosts=(".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"),
        extras=_OPEN,
        max_tokens="max_completion_tokens",
        key_header="api-key",
        thinks_at_one=True,
    ),
    Dialect(name="anthropic", hosts=("api.anthropic.com",), extras=frozenset({"reasoning_effort"})),
    Dialect(name="google", hosts=("generativelanguage.googleapis.com",), extras=frozenset({"n", "reasoning_effort"})),
    Dialect(name="mistral", hosts=("api.mistral.ai",), extras=frozenset({"n"})),
    Dialect(name="deepseek", hosts=("api.deepseek.com",), extras=frozenset({"logprobs"}),
            schemas=("json_object", "prompted")),
    Dialect(name="openrouter", hosts=("openrouter.ai",), extras=_LOCAL),
    Dialect(name="groq", hosts=("api.groq.com",), extras=frozenset({"seed", "reasoning_effort"})),
    Dialect(name="together", hosts=("api.together.xyz", "api.together.ai"), extras=_LOCAL - {"reasoning_effort"}),
    Dialect(name="vllm", extras=_LOCAL),
    Dialect(name="sglang", extras=_LOCAL),
    Dialect(name="llamacpp", extras=_LOCAL),
    Dialect(name="ollama", extras=frozenset({"seed", "top_k", "min_p"})),
    Dialect(name="tgi", extras=frozenset({"seed", "logprobs"})),
    Dialect(name="other", extras=frozenset({"seed", "n"})),
)  # fmt: skip
"""The table; the last row is for servers that nothing is known of."""

SELF_HOSTED = frozenset({"vllm", "sglang", "llamacpp", "ollama", "tgi"})
"""Servers that people run themselves: all models of one share its room, where a provider limits each by itself."""

_LIKELY = next(each for each in DIALECTS if each.name == "vllm")


def dialect_of(base_url: str, name: str = "") -> Dialect:
    """The dialect called ``name``, or the one that the address tells. Raises ConfigError for a name that is unknown.

    A server on this machine or a private network is taken for vLLM, which takes the most; those that do not know a
    field ignore it there.
    """
    known = {each.name: each for each in DIALECTS}
    if name:
        if name not in known:
            raise ConfigError(f"no dialect is called {name!r}", hint=f"known dialects: {', '.join(known)}")
        return known[name]
    host = urlsplit(base_url).hostname or ""
    for each in DIALECTS:
        if any(host == end or (end.startswith(".") and host.endswith(end)) for end in each.hosts):
            return each
    return _LIKELY if _is_near(host) else known["other"]


def _is_near(host: str) -> bool:
    """Whether a host is this machine or on a private network: by its number, or a name that no public host has."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Tokens of one answer in our one way of counting: input *including* cached, output *including* reasoning."""

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    usd: Decimal | None = None
    """What the provider says it charged; None where it does not say."""


def counted(usage: Mapping[str, Any] | None) -> Counted:
    """The ``usage`` object of any provider, normalised. Raises ValueError, TypeError or OverflowError for what is none.

    Anthropic counts cached input apart from the rest, OpenAI as part of it. Some count reasoning apart from the
    completion and include it in the total only. Impossible counts are refused; a cached count above the input is added.
    """
    if not usage:
        return Counted()
    usage = _object(usage)
    prompt, completion = (
        _count(usage, "prompt_tokens", "input_tokens"),
        _count(usage, "completion_tokens", "output_tokens"),
    )
    details = _object(usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {})
    cached, written = _count(details, "cached_tokens"), _count(details, "cache_write_tokens")
    if "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage:  # Anthropic's habit: apart
        cached = max(cached, _count(usage, "cache_read_input_tokens"))
        written = max(written, _count(usage, "cache_creation_input_tokens"))
        if "prompt_tokens" not in usage or cached + written > prompt:
            prompt += cached + written
    cached = cached or _count(usage, "prompt_cache_hit_tokens", "cached_tokens")  # DeepSeek, Moonshot
    if cached + written > prompt:
        prompt += cached + written
    spoken = _object(usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {})
    reasoning, total = _count(spoken, "reasoning_tokens"), _count(usage, "total_tokens")
    if total > prompt + completion:  # thought apart from the completion, and billed as output
        unsaid = total - prompt - completion
        reasoning, completion = max(reasoning, unsaid), completion + unsaid
    return Counted(
        input=prompt, cached=cached, cache_write=written, output=max(completion, reasoning), reasoning=reasoning,
        usd=_reported(usage.get("cost")),
    )  # fmt: skip


def _object(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise TypeError(f"a JSON object was expected, not {type(given).__name__}")
    return given


def _count(usage: Mapping[str, Any], *names: str) -> int:
    """The first of the fields that is there; 0 for none."""
    for name in names:
        if (value := usage.get(name)) is not None:
            if isinstance(value, bool) or not 0 <= float(value) <= MOST_TOKENS:
                raise ValueError(f"{name} is no count of tokens")
            return int(value)
    return 0


def _reported(cost: Any) -> Decimal | None:
    """An amount on the grid of money; None for what cannot be one."""
    if isinstance(cost, bool) or not isinstance(cost, (int, float, str)):
        return None
    try:
        usd = Decimal(str(cost)).quantize(_PICODOLLAR)
    except (InvalidOperation, ValueError):
        return None
    return usd if usd.is_finite() and usd >= 0 else None

"""List prices of hosted models, out of the data that the package genai-prices brings along, and the order of prices.

Nothing is fetched: the data is what the installed package has in its files, also where another part of this process
lets the package update itself. What it would let pass in silence (a count or a batch that it has no price for, a price
of 0, a provider or model that it guessed) is unpriced here, or comes with a warning.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from proofset.costing.pricebook import HOUR_S, MILLION, Call, Line, PriceBook, Quote, check_call, settle, utc
from proofset.costing.prices import IN_PROCESS, rounded
from proofset.errors import MissingExtra
from proofset.nouns.result import UsageBasis

LOCAL = IN_PROCESS | {"llama.cpp", "llamacpp", "lmstudio", "ollama", "self-hosted", "sglang", "tgi", "vllm"}
"""Providers that are the user's own machines: a list price of somebody else's is not theirs."""
ALIASES = {
    "anthropic": "anthropic", "aws": "aws", "azure": "azure", "azure_ai": "azure", "bedrock": "aws",
    "cohere": "cohere", "deepseek": "deepseek", "gemini": "google", "google": "google", "groq": "groq",
    "mistral": "mistral", "openai": "openai", "openrouter": "openrouter",
    "vertex_ai": "google", "x-ai": "x-ai", "xai": "x-ai",
}  # fmt: skip
"""What routers write before the model, and users for the provider: the provider's name in the catalogue."""
_FILE = re.compile(
    r"^(?:(?:~|\.{0,2}|[a-z]:)[/\\]|artifact:|file:)|\.(?:bin|ggml|gguf|onnx|pth?|safetensors|xml)$", re.IGNORECASE
)
_DATE = re.compile(r"[-@](?:20\d{2}-?(?:0[1-9]|1[0-2])-?[0-3]\d|(?:0[1-9]|1[0-2])-?[0-3]\d|2\d(?:0[1-9]|1[0-2]))$")
"""A date at the end of a model's name: 2025-08-07, 20250807, 08-07, 0807 or 2508."""


class PriceCatalogue(Protocol):
    """Something that knows list prices."""

    def quote(self, call: Call) -> Quote:
        """The list price of a call; unpriced, with a warning that names the model, where it knows none."""
        ...


@dataclass(frozen=True, slots=True)
class _Found:
    """A model of the catalogue."""

    model: Any
    label: str
    own: bool
    """Whether its provider lists it; else it is another provider's, and has no prices but the standard ones."""
    told: tuple[str, ...]


class Catalogue:
    """List prices by model and time, from the data inside the installed genai-prices."""

    def __init__(self) -> None:
        """Raises MissingExtra where the package is not installed."""
        try:
            from genai_prices import __version__, data, types
            from genai_prices.data_snapshot import DataSnapshot
        except ImportError as error:
            raise MissingExtra(
                "the catalogue of list prices is not installed",
                hint="pip install 'proofset[prices]', or name prices in a price book",
            ) from error
        digest = hashlib.sha256(Path(data.__file__).read_bytes()).hexdigest()[:12]
        self.version = f"genai-prices {__version__} (data sha256 {digest})"
        """Package, its version, and which data: the same words mean the same prices."""
        self._snapshot: Any = DataSnapshot(providers=data.providers, from_auto_update=False)
        self._unit_price: Any = types.calc_unit_price
        self._providers = {provider.id: provider for provider in data.providers}
        self._found: dict[tuple[str, str], _Found | str] = {}

    def quote(self, call: Call) -> Quote:
        """The list price of a call at the time it was made (now, with a warning, where that is not known).

        Unpriced, with a warning that says why: work of this machine, a model or provider that the catalogue does not
        know, a count that it has no price for, a price of 0. Cached input without a price of its own costs what other
        input does, with a warning. Raises InputError for counts that cannot be.
        """
        check_call(call)
        key = (call.provider, call.model)
        if key not in self._found:
            self._found[key] = self._find(call)
        found = self._found[key]
        at = utc(call.at or datetime.now(UTC))
        source = f"{self.version}, prices of {at:%Y-%m-%d}"
        if isinstance(found, str):
            return Quote(usd=None, basis=UsageBasis.UNPRICED, resolved="", source=source, warnings=(found,))
        told = [*found.told] if call.at else [*found.told, f"{call.label}: the call has no time; priced as of now"]
        standard = prices = found.model.get_prices(at)
        if call.processing and found.own:
            prices = found.model.get_prices(at, {"processing": call.processing})
        if call.processing and prices == standard:
            told.append(f"{found.label}: processing {call.processing!r} had no effect: the standard price is used")
        lines = [self._checked(line, found.label, told) for line in self._lines(call, prices, found.label, told)]
        return settle(lines, basis=UsageBasis.CATALOGUE, resolved=found.label, source=source, warnings=told)

    def _lines(self, call: Call, prices: Any, label: str, told: list[str]) -> list[Line]:
        """A line for each kind of count, at the tier that the call's whole input puts it in."""
        rates = {
            name: self._unit_price(price, 1, call.input_tokens, 1)
            for name, price in vars(prices).items()
            if price is not None
        }
        lines, uncached, spoken = [], call.input_tokens, call.output_tokens
        for name, count in (("cache_read_mtok", call.cached_tokens), ("cache_write_mtok", call.cache_write_tokens)):
            if name in rates:
                lines.append(Line(name, count, MILLION, rates[name]))
                uncached -= count
            elif count:
                told.append(f"{label}: no {name}: {count} tokens at the price of input")
        if call.cache_write_tokens and "cache_write_1h_mtok" in rates:
            told.append(f"{label}: cache writes priced for 5 minutes; an hour costs another price")
        if "output_reasoning_mtok" in rates:
            lines.append(Line("output_reasoning_mtok", call.reasoning_tokens, MILLION, rates["output_reasoning_mtok"]))
            spoken -= call.reasoning_tokens
        if "requests_kcount" in rates:
            lines.append(Line("requests_kcount", 1, 1000, rates["requests_kcount"]))
        return [
            Line("input_mtok", uncached, MILLION, rates.get("input_mtok")),
            *lines,
            Line("output_mtok", spoken, MILLION, rates.get("output_mtok")),
            Line("per_core_hour", call.core_seconds, HOUR_S, None),
            Line("per_gpu_hour", call.gpu_seconds, HOUR_S, None),
        ]

    @staticmethod
    def _checked(line: Line, label: str, told: list[str]) -> Line:
        """The line; without its price where that is 0, for what costs nothing is for the user to say."""
        if not line.count or line.price != 0:
            return line
        told.append(f"{label}: {line.name} is 0 in the catalogue; if it is free, say free = true in a price book")
        return Line(line.name, line.count, line.per, None)

    def _find(self, call: Call) -> _Found | str:
        """The model that a call names, or in words why there is none."""
        if call.provider.casefold() in LOCAL or _FILE.search(call.model):
            return f"{call.label}: runs on your own machine: give it per_core_hour or per_gpu_hour in a price book"
        told, provider_id = [], ALIASES.get(call.provider.casefold(), call.provider.casefold())
        prefix, _, rest = call.model.partition("/")
        alias = ALIASES.get(prefix.casefold(), "") if rest else ""
        if not provider_id:
            provider_id = alias or self._guessed(call.model)
            told.append(f"{call.label}: no provider given; guessed {provider_id or 'none'} from the name of the model")
        provider = self._providers.get(provider_id)
        if provider is None:
            return f"{call.label}: no price: the catalogue does not know the provider; name it, or use a price book"
        for name in (call.model, rest) if alias else (call.model,):
            model = provider.find_model(name, all_providers=list(self._providers.values()))
            if model is not None:
                return self._told(call, provider_id, model, told, name)
        return f"{call.label}: no price: {provider_id} has no such model in the catalogue; use a price book"

    def _guessed(self, model: str) -> str:
        """The provider that the package takes a model to be of; empty when it has no idea."""
        try:
            return str(self._snapshot.find_provider(model, None, None).id)
        except LookupError:
            return ""

    def _told(self, call: Call, provider_id: str, model: Any, told: list[str], name: str) -> _Found:
        """The model with what there is to say about how it was found."""
        owner = next(each.id for each in self._providers.values() if any(model is one for one in each.models))
        label = f"{provider_id}/{model.id}"
        if not _same(name, model.id):
            told.append(f"{call.label}: no price under that name; it is taken for {label}")
        if owner != provider_id:
            told.append(
                f"{call.label}: {provider_id} has no prices of its own in the catalogue; those of {owner} are used"
            )
        return _Found(model, label, owner == provider_id, tuple(told))


def _same(asked: str, found: str) -> bool:
    """Whether two names mean one model: they are equal, or one of them has a date at its end and the other none."""
    asked, found = asked.casefold(), found.casefold()
    return found in (asked, _DATE.sub("", asked)) or asked == _DATE.sub("", found)


def price_call(call: Call, book: PriceBook | None, catalogue: PriceCatalogue | None) -> Quote:
    """What a call costs, by the first that knows: a replay is $0; then the provider's word, the book, the catalogue.

    Unpriced with a warning that names the model where none of them does. A book that has an entry for the model has
    the last word, also when it cannot price all that was counted. Raises InputError for counts that cannot be.
    """
    check_call(call)
    if call.replay:
        source = "a reply out of the store, paid for when it was first made"
        return Quote(usd=Decimal(0), basis=UsageBasis.REPLAY, resolved=call.label, source=source)
    if call.reported_usd is not None:
        used = call.input_tokens or call.output_tokens
        told = (f"{call.label}: the provider reported $0 for a call that used tokens",)
        return Quote(
            usd=rounded(call.reported_usd), basis=UsageBasis.REPORTED, resolved=call.label,
            source="reported by the provider with its answer", warnings=told if used and not call.reported_usd else (),
        )  # fmt: skip
    quote = book.quote(call) if book is not None else None
    if quote is None and catalogue is not None:
        quote = catalogue.quote(call)
    if quote is not None:
        return quote
    told = (f"{call.label}: no price known; give it one in a price book",)
    return Quote(usd=None, basis=UsageBasis.UNPRICED, resolved="", source="no book or catalogue has it", warnings=told)

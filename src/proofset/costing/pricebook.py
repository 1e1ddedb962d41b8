"""A call to money: by the provider's own word, the user's book of prices, a catalogue, and else not at all.

Money is Decimal, in USD, rounded once when a call is priced. One count without a price makes the whole call unpriced:
a sum that leaves something out would look like a price.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Any, Self

from proofset.costing.prices import HIGHEST_PER_MILLION, LOWEST_PER_MILLION, PRECISION, parse_price, rounded
from proofset.errors import ConfigError, InputError
from proofset.nouns.result import UsageBasis

MILLION, HOUR_S = 1_000_000, 3600
"""How much of a count the price of tokens, and the price of an hour, is for."""
TOKENS = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok")
BATCH = ("batch_input_mtok", "batch_cache_read_mtok", "batch_output_mtok")
HOURS = ("per_core_hour", "per_gpu_hour")
_PER_MILLION = "prices of tokens are in USD per million; did you type one per token, or per thousand?"
LIMITS: Mapping[str, tuple[Decimal, Decimal, str]] = {
    **dict.fromkeys((*TOKENS, *BATCH), (LOWEST_PER_MILLION, HIGHEST_PER_MILLION, _PER_MILLION)),
    "per_request": (Decimal("0.000001"), Decimal(100), "give the USD for one request"),
    "per_core_hour": (Decimal("0.0001"), Decimal(100), "give the USD for one hour of one core"),
    "per_gpu_hour": (Decimal("0.001"), Decimal(1000), "give the USD for one hour of one GPU"),
    "batch_share": (Decimal("0.01"), Decimal(1), 'give a share of the standard price; "0.5" is usual'),
    "usd_per_unit": (Decimal("0.000001"), Decimal(10), "give the USD for one unit, not the other way round"),
}
"""Lowest and highest number in a field, in USD, and what to do about one outside: it is a slip of the unit."""
_KINDS: Mapping[str, tuple[type, str]] = {
    **dict.fromkeys(("provider", "model", "currency", "fx_source", "source"), (str, "text in quotes")),
    **dict.fromkeys(LIMITS, (str, 'a decimal number in quotes, for example "0.25"')),
    **dict.fromkeys(("effective_from", "effective_to", "fx_date"), (date, "a date without quotes, as in 2026-10-01")),
    "free": (bool, "true or false"),
}
"""What a price book may say of a model, and how it is written."""
_FOREIGN = ("usd_per_unit", "fx_date", "fx_source")
_MONEY = Context(prec=PRECISION, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What one call used. Input *includes* what was read from and written to a cache; output *includes* reasoning."""

    provider: str = ""
    """Who served it, as a catalogue names it; "local" for this machine, empty where not known."""
    model: str
    at: datetime | None = None
    """When it was made; without a zone it is taken for UTC."""
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    processing: str = ""
    """"batch", or empty for the standard price."""
    core_seconds: float = 0.0
    gpu_seconds: float = 0.0
    reported_usd: Decimal | None = None
    """What the provider itself said that the call cost."""
    replay: bool = False
    """Whether the reply came out of the store and nobody was asked."""

    @property
    def label(self) -> str:
        """Provider and model in one word, as a person would write it."""
        return f"{self.provider}/{self.model}" if self.provider else self.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a call costs, and how that is known."""

    usd: Decimal | None
    """On the grid of 1e-12 USD; None when it is not known, never 0."""
    basis: UsageBasis
    resolved: str
    """Provider and model, or the entry of the book, that the price is of; empty where none was found."""
    unit_prices: tuple[tuple[str, Decimal], ...] = ()
    """USD per million tokens (``_mtok``), per request or per hour, of what was counted; by name."""
    source: str = ""
    """In words: which book or catalogue, with version and date."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A count and the price of ``per`` of them in USD; None where there is no such price."""

    name: str
    count: int | float
    per: int
    price: Decimal | None


def check_call(call: Call) -> None:
    """Raise InputError for counts, seconds or amounts that cannot be."""
    counts = (call.input_tokens, call.cached_tokens, call.cache_write_tokens, call.output_tokens, call.reasoning_tokens)
    if min(counts) < 0 or call.cached_tokens + call.cache_write_tokens > call.input_tokens:
        raise InputError(
            f"{call.label}: {call.input_tokens} input tokens, of which {call.cached_tokens} read from a cache and "
            f"{call.cache_write_tokens} written to one; {call.output_tokens} output tokens",
            hint="counts are 0 or larger, and cached tokens are part of the input",
        )
    if call.reasoning_tokens > call.output_tokens:
        wrong = f"{call.label}: {call.reasoning_tokens} reasoning tokens in {call.output_tokens} output tokens"
        raise InputError(wrong, hint="reasoning is part of the output: add it where the provider reports it apart")
    for name, amount in (("core", call.core_seconds), ("GPU", call.gpu_seconds)):
        if not (math.isfinite(amount) and amount >= 0):
            raise InputError(f"{call.label}: {amount} {name} seconds", hint="time is a finite number, 0 or larger")
    if call.reported_usd is not None and not (call.reported_usd.is_finite() and call.reported_usd >= 0):
        raise InputError(f"{call.label}: reported cost {call.reported_usd}", hint="it is finite, 0 or larger, or None")


def settle(lines: Iterable[Line], *, basis: UsageBasis, resolved: str, source: str, warnings: Iterable[str]) -> Quote:
    """The sum of ``lines``; unpriced, with one warning each, when a count that is not 0 has no price."""
    counted, told = [line for line in lines if line.count], list(warnings)
    known = [(line, line.price) for line in counted if line.price is not None]
    told += [f"{resolved}: no {line.name} for a count of {line.count}" for line in counted if line.price is None]
    told += [] if counted else [f"{resolved}: nothing was counted, so nothing is charged"]
    usd = Decimal(0)
    for line, price in known:
        usd = _MONEY.add(usd, _MONEY.divide(_MONEY.multiply(price, Decimal(repr(line.count))), Decimal(line.per)))
    priced = len(known) == len(counted)
    return Quote(
        usd=rounded(usd) if priced else None, basis=basis if priced else UsageBasis.UNPRICED, resolved=resolved,
        unit_prices=tuple({line.name: price for line, price in known}.items()), source=source, warnings=tuple(told),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One ``[[price]]`` of a book, in USD."""

    key: tuple[str, str]
    label: str
    first: date
    last: date
    prices: Mapping[str, Decimal]
    """By field, the share of a batch among them; empty for a model that is free."""
    source: str

    def quote(self, call: Call, told: list[str]) -> Quote:
        """What a call of this model costs; ``told`` are warnings so far."""
        if not self.prices:
            usd, words = Decimal(0), f"{self.source}; declared free"
            return Quote(usd=usd, basis=UsageBasis.OVERRIDE, resolved=self.label, source=words, warnings=tuple(told))
        by_time = any(name in self.prices for name in HOURS)
        seconds = zip(HOURS, (call.core_seconds, call.gpu_seconds), strict=True)
        lines = [Line(name, spent, HOUR_S, self.prices.get(name)) for name, spent in seconds]
        flat = "per_request" in self.prices or (by_time and (call.core_seconds or call.gpu_seconds))
        if any(name in self.prices for name in (*TOKENS, *BATCH)) or not flat:
            lines += self._token_lines(call, told)
        if "per_request" in self.prices:
            lines.append(Line("per_request", 1, 1, self.prices["per_request"]))
        basis = UsageBasis.IMPUTED if by_time else UsageBasis.OVERRIDE
        return settle(lines, basis=basis, resolved=self.label, source=self.source, warnings=told)

    def _token_lines(self, call: Call, told: list[str]) -> list[Line]:
        """A line for each kind of token; cached ones at the price of input where they have none of their own."""
        uncached = call.input_tokens - call.cached_tokens - call.cache_write_tokens
        counts = (uncached, call.cached_tokens, call.cache_write_tokens, call.output_tokens)
        if call.processing not in ("", "batch"):
            told.append(f"{self.label}: processing {call.processing!r} had no effect: the standard price is used")
        lines = []
        for name, count in zip(TOKENS, counts, strict=True):
            used, price = self._rate(name, count, call, told)
            if price is None and name.startswith("cache_"):
                used, price = self._rate("input_mtok", count, call, told)
                if count and price is not None and name == "cache_write_mtok":
                    told.append(f"{self.label}: no cache_write_mtok: {count} tokens written at the price of input")
            lines.append(Line(used, count, MILLION, price))
        return lines

    def _rate(self, name: str, count: int, call: Call, told: list[str]) -> tuple[str, Decimal | None]:
        """USD per million tokens, and its name: in a batch the variant, else the share, else the standard price."""
        standard = self.prices.get(name)
        if call.processing != "batch":
            return name, standard
        variant = f"batch_{name}"
        if variant in self.prices:
            return variant, self.prices[variant]
        if standard is not None and "batch_share" in self.prices:
            return variant, _MONEY.multiply(standard, self.prices["batch_share"])
        if count and standard is not None:
            told.append(f"{self.label}: no {variant}: {count} tokens at the standard price")
        return name, standard


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The user's own prices: what a contract says, what a machine costs, what is free. They win over any catalogue."""

    entries: Mapping[tuple[str, str], tuple[_Entry, ...]]
    """By provider and model in small letters; the provider is empty for a price whoever serves the model."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """A book out of a TOML file of ``[[price]]`` entries. Raises ConfigError that names file, entry and field."""
        try:
            content = path.read_bytes()
            data = tomllib.loads(content.decode("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: {error}", hint="give the path of a price book, a TOML file in UTF-8") from error
        rows = data.pop("price", None)
        if data or not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            wrong = f"unknown key {next(iter(data))!r}" if data else "no [[price]] entries"
            raise ConfigError(f"{path}: {wrong}", hint="write one [[price]] table for each model, and nothing else")
        version = f"{path.name} (sha256 {hashlib.sha256(content).hexdigest()[:12]})"
        found: dict[tuple[str, str], list[_Entry]] = {}
        for number, row in enumerate(rows, 1):
            entry = _read_entry(row, f"{path}: price {number}", f"{version}, price {number}")
            others = found.setdefault(entry.key, [])
            if any(entry.first <= other.last and other.first <= entry.last for other in others):
                wrong = f"{path}: price {number}, effective_from: {entry.label} has another price then"
                raise ConfigError(wrong, hint="end one the day before the next begins, with effective_to")
            others.append(entry)
        return cls({key: tuple(entries) for key, entries in found.items()})

    def quote(self, call: Call) -> Quote | None:
        """What a call costs by this book; None when it has no entry of that model and date, in UTC.

        An entry of the call's provider wins over one for any provider. An entry that cannot price all that was counted
        gives an unpriced quote, not None: no list price may fill the gap in a contract. Tokens need a price unless the
        entry prices only requests or time; a batch without a price of its own costs the standard one, with a warning.
        Raises InputError for counts that cannot be.
        """
        check_call(call)
        provider, model = call.provider.casefold(), call.model.casefold()
        day = utc(call.at or datetime.now(UTC)).date()
        for key in dict.fromkeys(((provider, model), ("", model))):
            for entry in self.entries.get(key, ()):
                if entry.first <= day <= entry.last:
                    dated = (entry.first, entry.last) != (date.min, date.max)
                    told = [f"{entry.label}: the call has no time; priced as of {day}"] if dated and not call.at else []
                    return entry.quote(call, told)
        return None


def utc(at: datetime) -> datetime:
    """A time in UTC; one without a zone is taken to be in it already."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _read_entry(row: dict[str, Any], place: str, version: str) -> _Entry:
    """One entry, checked. ``place`` is where errors say it is, ``version`` what its quotes name as their source."""
    for name, value in row.items():
        kind, words = _KINDS.get(name, (None, f"one of {', '.join(_KINDS)}"))
        if type(value) is not kind:
            wrong = "unknown key" if kind is None else f"{value!r} is of type {type(value).__name__}"
            raise ConfigError(f"{place}, {name}: {wrong}", hint=f"write {words}")
    model, provider = row.get("model", "").strip(), row.get("provider", "").strip()
    if not model:
        raise ConfigError(f"{place}, model: missing", hint="name the model exactly as the calls do")
    rate, exchange = _exchange(row, place)
    named = [name for name in row if name in LIMITS and name != "usd_per_unit"]
    prices = {name: _number(row, name, place, Decimal(1) if name == "batch_share" else rate) for name in named}
    if row.get("free", False) == any(price for name, price in prices.items() if name != "batch_share"):
        wrong = "true beside a price" if row.get("free") else "neither true nor a price above 0"
        raise ConfigError(f"{place}, free: {wrong}", hint="write prices, or free = true for a model that costs nothing")
    first, last = row.get("effective_from", date.min), row.get("effective_to", date.max)
    if last < first:
        raise ConfigError(f"{place}, effective_to: {last} is before {first}", hint="effective_to is the last day")
    source = [version, row.get("source", "").strip(), f"from {first}" if first > date.min else ""]
    source += [f"to {last}" if last < date.max else "", exchange]
    return _Entry(
        key=(provider.casefold(), model.casefold()), label=f"{provider}/{model}" if provider else model, first=first,
        last=last, prices={} if row.get("free") else prices, source="; ".join(word for word in source if word),
    )  # fmt: skip


def _number(row: dict[str, Any], name: str, place: str, rate: Decimal) -> Decimal:
    """The number in a field times ``rate``, within its limits; a price may also be 0."""
    number = _MONEY.multiply(parse_price(row[name], field=f"{place}, {name}"), rate)
    low, high, hint = LIMITS[name]
    if not low <= number <= high and (number or name in ("batch_share", "usd_per_unit")):
        raise ConfigError(f"{place}, {name}: {number.normalize():f} is outside {low:f} to {high:f}", hint=hint)
    return number


def _exchange(row: dict[str, Any], place: str) -> tuple[Decimal, str]:
    """USD for one unit of the entry's currency, and the words for it."""
    currency = row.get("currency", "USD").strip()
    given = [name for name in _FOREIGN if name in row]
    if currency == "USD" and given:
        raise ConfigError(f"{place}, {given[0]}: not for USD", hint="name another currency, or remove the field")
    if currency == "USD":
        return Decimal(1), ""
    if missing := [name for name in _FOREIGN if name not in row]:
        raise ConfigError(f"{place}, {missing[0]}: missing for {currency}", hint=f"give {', '.join(_FOREIGN)}")
    rate = _number(row, "usd_per_unit", place, Decimal(1))
    return rate, f"{currency} at {rate} USD of {row['fx_date']} ({row['fx_source'].strip()})"

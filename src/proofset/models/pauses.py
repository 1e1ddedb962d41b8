"""How long a server asks to be left alone, in all the ways that servers say it.

Spans come as seconds, with units, as moments of either of two formats; clocks on both sides may be wrong. Whatever is
said, a run waits an hour at most before it asks again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_ASKED_PAUSE_S = 3600.0
"""A server's "come back later" beyond this is taken for this."""

_RATE_HEADERS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
)


def asked_pause(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait before the next call, as the server asks; None when it does not."""
    thousandths = headers.get("retry-after-ms")
    if thousandths is not None and (pause := _seconds(f"{thousandths.strip()}ms")) is not None:
        return pause
    if (asked := headers.get("Retry-After")) is None:
        return None
    return _seconds(asked)


def spent_window(headers: Mapping[str, str]) -> float:
    """Seconds until the server has something of everything left to give again; 0 when it has."""
    spent = (
        headers.get(reset, "")
        for remaining, reset in _RATE_HEADERS
        if (left := headers.get(remaining)) is not None and left.strip() in ("0", "0.0")
    )
    return max((_seconds(told) or 0.0 for told in spent), default=0.0)


def _seconds(told: str) -> float | None:
    """A span as servers write it: "1.5", "20ms", "6m0s", a Unix or ISO time or an HTTP date; None for anything else."""
    told = told.strip()
    try:
        return _bounded(_from_now(float(told)))
    except ValueError:
        pass
    total, number = 0.0, ""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    rest = told
    while rest:
        number, unit = "", ""
        while rest and (rest[0].isdecimal() or rest[0] == "."):
            number, rest = number + rest[0], rest[1:]
        while rest and rest[0].isalpha():
            unit, rest = unit + rest[0], rest[1:]
        if not number or unit not in units or number.count(".") > 1 or number == ".":
            return _until(told)
        total += float(number) * units[unit]
    return _bounded(total) if told else None


def _from_now(number: float) -> float:
    """A plain number is a span, or the seconds or thousandths since 1970 where it can be nothing else."""
    if 1e9 <= number < 1e10:
        return number - time.time()
    return number / 1000 - time.time() if 1e12 <= number < 1e13 else number


def _until(told: str) -> float | None:
    """Seconds from now to a moment; a moment that has passed is now."""
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        try:
            moment = parsedate_to_datetime(told)
        except (IndexError, OverflowError, TypeError, ValueError):  # what its parser raises on nonsense
            return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _bounded((moment - datetime.now(UTC)).total_seconds())


def _bounded(seconds: float) -> float | None:
    """A span that a run may wait; a wrong clock on either side cannot make it long."""
    return min(max(0.0, seconds), LONGEST_ASKED_PAUSE_S) if seconds == seconds else None

"""Numbers and codes in words: the one place where the page and the terminal round, sign and abbreviate.

A value is never shown alone: ``shown`` gives a Measure's value together with its interval, its n and its note. What
could not be taken is an en dash, never a zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from proofset.nouns.result import Claim, Measure

DASH = "–"
"""Stands for a value that could not be taken."""
MINUS = "−"
"""A real minus sign: as wide as a plus."""

Style = Literal["percent", "points", "count", "number"]
"""How a measure reads: 0.12 as "12.0 %", as "+12.0" points of a hundred, as a count of things, or as it is."""

REASONS = {
    "": "no reason given",
    "arguments not an object": "calls a tool with arguments that are no object",
    "breaks a rule": "breaks a rule of the constitution",
    "contaminated": "resembles a sealed held-out record",
    "copies an anchor": "copies a record that it was shown",
    "copy of organic": "copies an organic record",
    "degenerate": "does not read like the organic text",
    "distilled refusal": "the dear critic would refuse it, says the cheap one",
    "does not end with the assistant": "does not end with the assistant’s turn",
    "drifted": "far from every organic record",
    "duplicate": "copies an accepted candidate",
    "impossible": "states what cannot be",
    "incoherent": "does not hang together",
    "input states the expectation": "the input gives away what is expected",
    "misshapen": "the answer has not the shape that was asked for",
    "near paraphrase": "says again what is known, in other words",
    "no citation": "cites nothing",
    "no evidence": "no evidence to rest on",
    "no expected behaviour": "does not say what would be right to do",
    "no reason": "does not say why it is hard",
    "no reply": "the model gave no usable reply",
    "no rubric": "comes without a rubric",
    "no verdict": "the critic gave no usable verdict",
    "not of this kind": "cannot be read as its kind of task",
    "off label": "reads as another label",
    "personal data": "holds personal data",
    "points not positive": "a criterion is worth nothing",
    "reference in input": "the input holds the reference answer",
    "repeated turn": "says the same turn twice",
    "replaced": "another candidate of the same brief took its place",
    "roles out of order": "the wrong one speaks",
    "surplus": "good, but the quota was already met",
    "too easy": "the student gets it right already",
    "truncated": "cut off at the token limit",
    "unanswered tool call": "calls a tool and does not wait for its answer",
    "unknown fact": "cites a fact that is not in the evidence",
    "unknown passage": "cites words that are in no passage shown",
    "unknown tool call": "answers a tool call that nobody made",
    "unnatural": "nobody would write so",
    "unsafe": "would do harm",
    "worse than organic": "worse than an organic record, side by side",
    "wrong language": "is in another language",
}
"""Reason codes of refusals in words; a code that is not here is shown as it is, with spaces for hyphens."""

APART = {"evaluation": "edge-case evaluation", "adversarial": "adversarial scenarios"}
"""What is made beside training records, in words."""

METRICS = {
    "edge accuracy at equal rest": "Starved slices, at equal rest",
    "edge accuracy": "Starved slices, as tuned",
    "rest accuracy": "The rest, as tuned",
    "accuracy": "All records, as tuned",
    "macro-F1": "Macro-F1, as tuned",
    "edge average precision": "Average precision on starved slices",
}
"""Metrics of a Gain as headings; any other is shown by its own name."""
AT_EQUAL_REST = (
    "each arm’s threshold is moved until it loses no more of the rest than the baseline: what a moved threshold could "
    "buy does not count."
)
"""What the headline metric means, in one sentence."""

MARKS = {Claim.HELPS: "▲", Claim.HARMS: "▼", Claim.NOT_SHOWN: "○"}
"""A shape for each claim, so that no claim rests on colour alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A measure ready to be read: value, interval ("4.0 to 10.3", empty when there is none), n and note."""

    value: str
    interval: str
    n: str
    note: str

    def __str__(self) -> str:
        """The value with its interval and n in brackets."""
        inside = ", ".join(part for part in (self.interval, self.n) if part)
        return f"{self.value} ({inside})" if inside else self.value


def plain(text: str, limit: int | None = None) -> str:
    """A text safe to lay out anywhere: control characters and broken surrogates replaced, at most ``limit`` long."""
    clean = "".join(_visible(character) for character in text)
    if limit is not None and len(clean) > limit:
        return clean[: limit - 1].rstrip() + "…"
    return clean


def line(text: str, limit: int | None = None) -> str:
    """A text safe on one line among others: white space folded, and without marks that turn the writing direction."""
    return plain(" ".join("".join(each for each in text if each not in _TURNS).split()), limit)


_TURNS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


def _visible(character: str) -> str:
    code = ord(character)
    if character in "\n\t":
        return character
    return "\ufffd" if code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 else character


def reason(code: str) -> str:
    """A reason code in words."""
    return REASONS.get(code, plain(code.replace("-", " ").replace("_", " ")))


def slice_title(name: str, titles: Mapping[str, str]) -> str:
    """What people call a slice; one that is kept apart from training is named after its label, and what it is for."""
    label, _, output = name.rpartition("/")
    if name not in titles and label and output in APART:
        return f"{titles.get(label, label)}: {APART[output]}"
    return titles.get(name, name)


def metric(name: str) -> str:
    """A metric of a Gain as a heading."""
    return METRICS.get(name, plain(name[:1].upper() + name[1:]))


def finite(value: float | None) -> float | None:
    """The value, or None where there is none or it is not a finite number."""
    return None if value is None or not math.isfinite(value) else value


def count(value: float | None) -> str:
    """A count of things, thousands separated; above 10,000 an estimate's last digits are noise, so three figures."""
    if (known := finite(value)) is None:
        return DASH
    if isinstance(value, float) and abs(known) >= 10_000:
        known = float(f"{known:.3g}")
    return _signed(f"{round(known):,}")


def number(value: float | None) -> str:
    """A plain number with three significant figures: 0.00123, 0.982, 12.3, 1,230."""
    if (known := finite(value)) is None:
        return DASH
    if known == 0:
        return "0"
    size = math.floor(math.log10(abs(known)))
    return _signed(f"{known:,.{max(0, 2 - size)}f}") if size >= -6 else _signed(f"{known:.2e}")


def percent(value: float | None) -> str:
    """A share in [0, 1] as a percentage, the sign never on a line of its own; one decimal, two below 1 %."""
    if (known := finite(value)) is None:
        return DASH
    hundred = known * 100
    if known in (0, 1):
        return f"{hundred:.0f}\u00a0%"
    return _signed(f"{hundred:.{2 if abs(hundred) < 1 else 1}f}\u00a0%")


def whole(value: float | None) -> str:
    """A share in [0, 1] in whole percent: "98", "<1" for what is not none, ">99" for what is not all."""
    if (known := finite(value)) is None:
        return DASH
    if 0 < known < 0.005:
        return "<1"
    return ">99" if 0.995 <= known < 1 else f"{known * 100:.0f}"


def share(measure: Measure | None) -> str:
    """A share with its 95 % interval on little room: "98 % (95 to 99)"; a dash where it could not be taken."""
    if measure is None or (known := finite(measure.value)) is None:
        return DASH
    bounds = "" if measure.low is None or measure.high is None else f" ({whole(measure.low)} to {whole(measure.high)})"
    return f"{whole(known)}\u00a0%{bounds}"


def points(value: float | None, *, signed: bool = True) -> str:
    """A score or difference of scores in points of a hundred, one decimal; 0.071 is "+7.1"."""
    if (known := finite(value)) is None:
        return DASH
    hundred = known * 100
    text = f"{abs(hundred):.{2 if 0 < abs(hundred) < 0.1 else 1}f}"
    if not signed:
        return (MINUS if hundred < 0 else "") + text
    return text if hundred == 0 else (MINUS if hundred < 0 else "+") + text


def money(value: Decimal | None) -> str:
    """US dollars: cents above a dollar, two significant figures below: $0.00012; an unknown amount is a dash."""
    if value is None or not value.is_finite():
        return DASH
    if value == 0:
        return "$0"
    size = abs(value)
    digits = 2 if size >= 1 else 1 - size.adjusted()
    rounded = size.quantize(Decimal(1).scaleb(-max(2, digits)), rounding=ROUND_HALF_EVEN)
    return (MINUS if value < 0 else "") + f"${rounded:,f}"


_SIZES = ((Decimal(10) ** 12, "\u00a0T"), (Decimal(10) ** 9, "\u00a0B"), (Decimal(10) ** 6, "\u00a0M"))


def rough_money(value: Decimal | None) -> str:
    """US dollars with no more digits than a forecast has: two below a dollar, then three: $0.0012, $8.27, $123,000."""
    if value is None or not value.is_finite():
        return DASH
    rough = Decimal(f"{value:.3g}")
    return f"${rough:,.0f}" if rough >= 1000 else money(rough)


def short_money(value: Decimal | None) -> str:
    """The same for a narrow place: $8.27, $12,300, $1.23 M; M is a million, B a thousand of them, T a million."""
    if value is None or not value.is_finite():
        return DASH
    rough = Decimal(f"{value:.3g}")
    for size, name in _SIZES:
        if rough >= size:
            return f"${(rough / size).normalize():f}{name}"
    return rough_money(value)


def duration(seconds: float | None) -> str:
    """Seconds as people say them: "0.4 s", "38 s", "12 min 5 s", "3 h 20 min"."""
    if (known := finite(seconds)) is None:
        return DASH
    if known < 10:
        return f"{known:.1f} s"
    whole = round(known)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


_STYLES: dict[Style, Callable[[float | None], str]] = {
    "percent": percent, "points": points, "count": count, "number": number,
}  # fmt: skip


def interval(measure: Measure, style: Style = "number") -> str:
    """The 95 % interval of a measure, "4.0 to 10.3"; open-ended when one side is unknown, empty when both are.

    A count known for certain, such as the 0 records that a slice at its target needs, has none either.
    """
    low, high = finite(measure.low), finite(measure.high)
    write = _STYLES[style]
    if (low is None and high is None) or (style == "count" and low == high):
        return ""
    if low is None:
        return f"at most {write(high)}"
    return f"{write(low)} or more" if high is None else f"{write(low)} to {write(high)}"


def shown(measure: Measure | None, style: Style = "number") -> Shown:
    """A measure in words. Without a value it is a dash, and the note says why."""
    if measure is None:
        return Shown(value=DASH, interval="", n="", note="")
    value = finite(measure.value)
    n = f"n\u00a0=\u00a0{measure.n:,}" if measure.n else ""
    bounds = interval(measure, style)
    return Shown(value=_STYLES[style](value), interval=bounds, n=n, note=plain(measure.note))


def style_of(measure: Measure) -> Style:
    """How a measure of any kind is best read: shares as percentages, counts as counts, the rest as plain numbers."""
    unit = measure.unit.casefold()
    if {"share", "rate", "probability"} & set(unit.split()):
        return "percent"
    return "count" if unit in {"records", "texts", "items"} else "number"


def _signed(text: str) -> str:
    return text.replace("-", MINUS)

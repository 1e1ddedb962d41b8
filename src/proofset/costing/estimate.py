"""What a loop will cost, before it is paid for: at the least, as it will likely be, and at the most.

The least takes every candidate for accepted; the most is what the study allows. What lies between rests on what was
measured before, in this run, or on an assumption, and each of them is told in words: no number without its basis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil

from proofset.costing.prices import Tariff, rounded
from proofset.nouns.result import Usage

BYTES_A_TOKEN = 4.5
"""UTF-8 bytes of English prose in a token, taken where nothing was measured; other scripts have 2.4 to 9.2."""
BYTES_A_TOKEN_MOST = 6.0
"""For the least: no prose has more bytes in a token than about this."""
YIELD = 0.5
"""Share of candidates that is accepted, taken where nothing was measured."""
ANSWER_SHARE = 0.5
"""Share of the longest answer that an answer has, taken where nothing was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one slice is to get, and what a brief of it says."""

    slice: str
    wanted: int
    """Accepted records that are still to be made."""
    most_briefs: int
    """Briefs that may still be used up for them."""
    prompt_bytes: float
    """Mean UTF-8 bytes of a brief's prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What was measured of a model; None for what was not."""

    bytes_a_token: float | None = None
    """Bytes of prompt for each input token."""
    answer_tokens: float | None = None
    """Output tokens of an answer, thought included."""
    usd_a_call: Decimal | None = None
    """For a model in this process, whose calls are imputed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A model that the loop will ask."""

    name: str
    stage: str
    tariff: Tariff | None
    """None: in this process, or unpriced."""
    max_tokens: int
    request_bytes: float | None = None
    """Mean UTF-8 bytes of a request; None: it is the brief's prompt."""
    reached: float = 1.0
    """Share of the briefs that come to it."""
    a_brief: int = 1
    """Calls for each brief that comes to it."""
    fixed: int | None = None
    """Calls in all, whatever the number of briefs, as in a trial. None: they go by the briefs."""
    batch: bool = False
    habit: Habit = Habit()


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The least, the likely and the most of something."""

    least: Decimal
    likely: Decimal
    most: Decimal

    def plus(self, other: Span) -> Span:
        """Both together."""
        return Span(least=self.least + other.least, likely=self.likely + other.likely, most=self.most + other.most)


NOTHING = Span(least=Decimal(0), likely=Decimal(0), most=Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one model will be asked, and what that costs."""

    model: str
    stage: str
    calls: Span
    input_tokens: Span
    output_tokens: Span
    usd: Span | None
    """None where no price is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A loop's cost before it runs."""

    wanted: int
    lines: tuple[Line, ...]
    usd: Span
    """Of the models that have a price."""
    complete: bool
    """Whether every model has one; else the sums are "at least"."""
    assumptions: tuple[str, ...]
    """What was taken for granted, and what the spread comes from."""


def estimate(needs: Sequence[Need], asked: Sequence[Asked], accepted: int = 0, closed: int = 0) -> Estimate:
    """The estimate for a plan; ``accepted`` of ``closed`` briefs is the yield so far."""
    share = (accepted + 1) / (closed + 2) if closed else YIELD
    told = [
        f"{accepted} of {closed} briefs were accepted so far: {share:.0%} is taken"
        if closed
        else f"no brief was closed yet: {YIELD:.0%} are taken to be accepted"
    ]
    briefs = [_briefs(need, share) for need in needs]
    lines = tuple(_line(each, needs, briefs) for each in asked)
    told += [words for each in asked for words in _assumed(each)]
    priced = [line.usd for line in lines if line.usd is not None]
    total = NOTHING
    for usd in priced:
        total = total.plus(usd)
    if any(need.wanted / share > need.most_briefs for need in needs):
        short = sum(need.wanted / share > need.most_briefs for need in needs)
        told.append(f"at that yield {short} of {len(needs)} slices use up their briefs before their quota is met")
    return Estimate(
        wanted=sum(need.wanted for need in needs),
        lines=lines,
        usd=total,
        complete=len(priced) == len(lines),
        assumptions=tuple(told),
    )


def _briefs(need: Need, share: float) -> tuple[int, int, int]:
    """Briefs at the least, likely, and at the most."""
    least = min(need.wanted, need.most_briefs)
    return least, max(least, min(need.most_briefs, ceil(need.wanted / share))), need.most_briefs


def _line(asked: Asked, needs: Sequence[Need], briefs: Sequence[tuple[int, int, int]]) -> Line:
    habit = asked.habit
    in_token = habit.bytes_a_token or BYTES_A_TOKEN
    answer = min(
        ANSWER_SHARE * asked.max_tokens if habit.answer_tokens is None else habit.answer_tokens, asked.max_tokens
    )
    tokens = (
        (max(BYTES_A_TOKEN_MOST, in_token), min(1.0, answer)), (in_token, answer), (1.0, float(asked.max_tokens))
    )  # fmt: skip
    calls, tokens_in, tokens_out = [], [], []
    for at, (bytes_a_token, answer_tokens) in enumerate(tokens):
        # Whatever is accepted has come to the model; of the others, its share.
        made = [max(number[0], number[at] * asked.reached) if at == 1 else float(number[at]) for number in briefs]
        made = [asked.a_brief * each for each in made] if asked.fixed is None else [float(asked.fixed)]
        sizes = [need.prompt_bytes if asked.request_bytes is None else asked.request_bytes for need in needs]
        said = sum(n * size for n, size in zip(made, sizes, strict=asked.fixed is None))
        calls.append(Decimal(ceil(sum(made))))
        tokens_in.append(Decimal(ceil(said / bytes_a_token)))
        tokens_out.append(Decimal(ceil(sum(made) * answer_tokens)))
    usd = [_usd(asked, *each) for each in zip(calls, tokens_in, tokens_out, strict=True)]
    known = [amount for amount in usd if amount is not None]
    return Line(
        model=asked.name,
        stage=asked.stage,
        calls=_span(calls),
        input_tokens=_span(tokens_in),
        output_tokens=_span(tokens_out),
        usd=_span(known) if len(known) == 3 else None,
    )


def _usd(asked: Asked, calls: Decimal, tokens_in: Decimal, tokens_out: Decimal) -> Decimal | None:
    if asked.tariff is not None:
        usage = Usage(
            model=asked.name, stage=asked.stage, input_tokens=int(tokens_in), output_tokens=int(tokens_out),
            processing="batch" if asked.batch else "",
        )  # fmt: skip
        return asked.tariff.cost(usage)
    return None if asked.habit.usd_a_call is None else rounded(calls * asked.habit.usd_a_call)


def _span(values: Sequence[Decimal]) -> Span:
    return Span(least=values[0], likely=values[1], most=values[2])


def _assumed(asked: Asked) -> list[str]:
    """What is taken for granted of a model, in words."""
    told, habit = [], asked.habit
    if asked.tariff is None and habit.usd_a_call is None:
        told.append(f"{asked.name}: no price, and no call of it was measured yet: it is not in the sums")
    if habit.bytes_a_token is None:
        told.append(f"{asked.name}: {BYTES_A_TOKEN:g} bytes a token of input are taken, and at most one token a byte")
    if habit.answer_tokens is None:
        told.append(f"{asked.name}: {ANSWER_SHARE:.0%} of its longest answer of {asked.max_tokens} tokens is taken")
    return told

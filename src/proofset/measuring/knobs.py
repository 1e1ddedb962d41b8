"""Knobs: what can be done about collapse, how far to turn it, and what that buys, by closed forms.

All of them are exact for a loop whose generator reproduces mean and covariance of what it is trained on, whatever its
distribution: Gaussian fits, resampling, unigrams. For real generators they are what sampling alone does, and the least
that is lost.

Shares α, losses and plateaus are in (0, 1); numbers of records and generations are at least 1. Out of range raises
``InputError``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from proofset.errors import InputError
from proofset.nouns.result import Measure
from proofset.nouns.viability import Decay, Generation

NEGLIGIBLE = 1e-9


def _share(value: float, what: str, *, whole: bool = False) -> float:
    """``value`` if it is a share above 0, and below 1 or equal to it if ``whole`` is allowed."""
    if not (0 < value < 1 or (whole and value == 1)):
        raise InputError(f"{what} is {value}", hint=f"give a share above 0 and {'at most' if whole else 'below'} 1")
    return value


def _count(value: float, what: str) -> float:
    if not 1 <= value < math.inf:
        raise InputError(f"{what} is {value}", hint="give a number of at least 1")
    return value


# --- organic records -----------------------------------------------------------------------------------------------


def anchored_loss(share: float, n: float) -> float:
    """Variance that a loop of ``n`` records loses in the end if a ``share`` α of them is always the same organic set.

    ``1 − (1 − 1/αN) / (1 + (1−α) / (α(2−α)N))``, about ``1/αN + (1−α) / (α(2−α)N)``. It is reached at the pace
    (1−α)^g. Tails are another matter: they fall until only what αN records hold is left.
    """
    share, n = _share(share, "the anchor's share", whole=True), _count(n, "the number of records")
    kept = max(1 - 1 / (share * n), 0.0)
    return 1 - kept / (1 + (1 - share) / (share * (2 - share) * n))


def anchor_share(loss: float, n: float) -> float | None:
    """Smallest share of fixed organic records that holds the loss of variance at ``loss``; None if not even all do."""
    _share(loss, "the loss")
    if anchored_loss(1.0, n) > loss:
        return None
    return _least(lambda share: anchored_loss(share, n) <= loss)


def fresh_loss(share: float, n: float) -> float:
    """Variance lost in the end if a ``share`` α of the ``n`` records is new organic text in each generation.

    ``1 / (N (1 − β²) + β)``, β = 1 − α.
    """
    memory = 1 - _share(share, "the fresh share", whole=True)
    return 1 / (_count(n, "the number of records") * (1 - memory**2) + memory)


def fresh_share(loss: float, n: float) -> float | None:
    """Smallest share of new organic records that holds the loss of variance at ``loss``; None if not even all do."""
    _share(loss, "the loss")
    if fresh_loss(1.0, n) > loss:
        return None
    return _least(lambda share: fresh_loss(share, n) <= loss)


def accumulated_variance(batch: float, generations: int | None = None) -> float:
    """Share of variance left if every generation of ``batch`` records joins all before, after some or without end.

    ``Π (1 − 1/(M i²))``, which falls to ``sin(π/√M) / (π/√M) ≥ 1 − π²/6M``.
    """
    batch = _count(batch, "the batch")
    if generations is None:
        angle = math.pi / math.sqrt(batch)
        return math.sin(angle) / angle if batch > 1 else 0.0
    return math.prod(1 - 1 / (batch * i * i) for i in range(1, generations + 1))


# --- the decoder ---------------------------------------------------------------------------------------------------


def biased_plateau(share: float, factor: float) -> float:
    """Variance left in the end with anchors of ``share`` α when decoding keeps a ``factor`` λ of the variance.

    ``α / (1 − (1−α) λ)``, for any number of records: more of them do not help.
    """
    share, factor = _share(share, "the anchor's share", whole=True), _share(factor, "the decoder's factor", whole=True)
    return share / (1 - (1 - share) * factor)


def share_against_bias(kept: float, factor: float) -> float:
    """Share of anchors that keeps ``kept`` of the variance when decoding keeps a factor λ: ``k (1−λ) / (1−kλ)``."""
    kept, factor = _share(kept, "the variance to keep"), _share(factor, "the decoder's factor", whole=True)
    return kept * (1 - factor) / (1 - kept * factor)


def accumulated_with_bias(batch: float, factor: float, generations: int) -> float:
    """Share of variance left after some generations of accumulation with a decoder's factor λ.

    ``(1 − 1/M) Π_{t=2} [1 − (1−λ)/t − λ/(M t²)]``, about ``T^−(1−λ) / Γ(1+λ)``: accumulation does not save it.
    """
    batch, factor = _count(batch, "the batch"), _share(factor, "the decoder's factor", whole=True)
    later = (1 - (1 - factor) / t - factor / (batch * t * t) for t in range(2, generations + 1))
    return (1 - 1 / batch) * math.prod(later)


# --- verifiers -----------------------------------------------------------------------------------------------------


def verifier_strength(kept: float, factor: float) -> float:
    """Strength s of a verifier that keeps ``kept`` of the variance: ``(1−λ) / (1−kλ)``."""
    kept, factor = _share(kept, "the variance to keep"), _share(factor, "the decoder's factor", whole=True)
    return (1 - factor) / (1 - kept * factor)


# --- the batch -----------------------------------------------------------------------------------------------------


def sampling_rate(batch: float, ratio: float = math.inf) -> float:
    """Loss of log variance a generation in a loop of ``batch`` records: ``(1 + 1/PR) / M``.

    PR is the covariance's participation ratio: 1 in one dimension, where the rate is 2/M; it falls as collapse goes on.
    """
    return (1 + 1 / _count(ratio, "the participation ratio") if ratio < math.inf else 1.0) / _count(batch, "the batch")


def batch_for_half_life(generations: float) -> float:
    """Records a generation with which half the variance is left after so many: ``g / ln 2`` (1/M a generation)."""
    return _count(generations, "the number of generations") / math.log(2)


def survival(generations: int) -> float:
    """Share s_g of a corpus that still counts for its tail: s_0 = 1, s_{k+1} = 1 − e^{−s_k}, about 2/g.

    After g generations of samples of samples, M records hold as many rare modes as M s_g organic ones.
    """
    if generations < 0:
        raise InputError(f"{generations} generations", hint="give 0 or more")
    left = 1.0
    for _ in range(generations):
        left = -math.expm1(-left)
    return left


def batch_for_tail(records: float, generations: int) -> float:
    """Records a generation with which the tail of ``records`` organic ones is left after some generations: T / s_g."""
    return _count(records, "the number of records") / survival(generations)


def _least(enough: Callable[[float], bool]) -> float:
    """Smallest share in (0, 1] for which a rising condition holds, to 12 digits."""
    low, high = NEGLIGIBLE, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


# --- advice --------------------------------------------------------------------------------------------------------


def advise(
    last: Generation, decays: Sequence[Decay], *, cause: str, lost: bool, tail: float | None, horizon: int,
    tolerance: float,
) -> tuple[str, ...]:  # fmt: skip
    """What to do about the loss of the ``last`` generation, in sentences with numbers.

    ``cause`` is "sampling" or "decoder", ``lost`` whether any loss is shown, ``tail`` the organic records that carry as
    much of the tail, ``tolerance`` the loss that is tolerated, ``horizon`` the generations planned for.
    """
    if not lost:
        bound = 1 - accumulated_variance(last.n)
        return (
            "No loss is shown. Keep every organic record in every generation: if all generations of "
            f"{last.n:,} records add up, sampling takes {_percent(bound)} of the variance in the end.",
        )
    if cause == "decoder":
        return _against_decoder(last, decays, horizon, tolerance)
    return _against_sampling(last.n, tail, horizon, tolerance)


def _against_sampling(n: int, tail: float | None, horizon: int, tolerance: float) -> tuple[str, ...]:
    """The loss is that of samples of samples: organic records stop it, larger batches delay it."""
    fixed, fresh = anchor_share(tolerance, n), fresh_share(tolerance, n)
    said = [
        f"Keep every organic record and let generations add up: with {n:,} records a generation, sampling then takes "
        f"{_percent(1 - accumulated_variance(n))} of the variance in the end, and no rare mode is lost."
    ]
    if fixed and fresh:
        said.append(
            f"If a generation must stay at {n:,} records, keep {_percent(fixed)} organic anchors in it "
            f"({math.ceil(fixed * n):,} records, always the same), or {_percent(fresh)} new ones each time "
            f"({math.ceil(fresh * n):,} records): the loss of variance then settles at {_percent(tolerance)}. Anchors "
            "do not hold the tail: it falls to what they hold themselves."
        )
    carried = "" if tail is None else f"The last generation carries the tail of about {tail:,.0f} organic records. "
    batch = math.ceil(batch_for_tail(n, horizon))
    said.append(
        f"{carried}Without organic records, only size helps: {batch:,} records a generation carry the tail of {n:,} "
        f"after {_generations(horizon)}, and half the variance of {n:,} is gone after "
        f"{_generations(round(n * math.log(2)))}."
    )
    return tuple(said)


def _against_decoder(last: Generation, decays: Sequence[Decay], horizon: int, tolerance: float) -> tuple[str, ...]:
    """The loss is more than sampling explains, or unequal: more records do not make up for it."""
    factor = _decoder_factor(last, decays)
    worst = sorted(range(len(last.retention)), key=lambda j: last.retention[j])[:3]
    named = ", ".join(f"direction {j + 1} ({_percent(last.retention[j])} left)" for j in worst)
    said = [
        "Mend the decoder first: raise temperature or top-p, or vary prompts and seeds, until directions stay equal. "
        f"Least is left of {named}."
    ]
    if factor is None:
        return tuple(said)
    kept = 1 - tolerance
    share = share_against_bias(kept, factor)
    said.append(
        f"It keeps {_percent(factor)} of the variance a generation beyond what sampling takes (λ = {factor:.3g}), and "
        f"no number of records makes up for that. As it is, keeping {_percent(kept)} of the variance takes "
        f"{_percent(share)} organic anchors ({math.ceil(share * last.n):,} of {last.n:,} records); adding generations "
        f"up still leaves {_percent(accumulated_with_bias(last.n, factor, horizon))} after {_generations(horizon)}."
    )
    said.append(
        f"Or verify: accept in proportion to (organic / generated density)^s with s of at least "
        f"{verifier_strength(kept, factor):.2g}; a verifier that prefers typical text makes it worse."
    )
    return tuple(said)


def _decoder_factor(last: Generation, decays: Sequence[Decay]) -> float | None:
    """λ from the loss of variance a generation, less that of sampling; None where variance does not fall."""
    rate: Measure | None = next((one.rate for one in decays if one.of == "variance"), None)
    loss = rate.value if rate is not None else None
    if loss is None and last.variance.value and last.number:
        loss = -math.log(last.variance.value) / last.number
    if loss is None:
        return None
    factor = math.exp(-loss) / (1 - 1 / last.n)
    return factor if 0 < factor < 1 - NEGLIGIBLE else None


def _percent(share: float) -> str:
    """A share to two digits, as "2.9 %"."""
    percent = 100 * share
    digits = 0 if percent >= 10 else 1 if percent >= 1 else 2
    return f"{percent:.{digits}f} %"


def _generations(number: int) -> str:
    return f"{number:,} generation{'' if number == 1 else 's'}"

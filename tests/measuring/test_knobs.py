"""Knobs against published numbers, simulations, and each other; advice against the findings that it is for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofset.errors import InputError
from proofset.measuring import knobs
from proofset.measuring.anchored_loops import best_weight, effective_size
from proofset.measuring.verified_loops import break_even, tilt_plateau
from proofset.nouns.result import Measure
from proofset.nouns.viability import Decay, Generation

shares = st.floats(0.02, 0.98)


@pytest.mark.parametrize(("share", "kept"), [(0.01, 0.8574), (0.05, 0.9705), (0.1, 0.9853)])
def test_c_07_a_fixed_anchor_leaves_this_much(share: float, kept: float) -> None:
    assert 1 - knobs.anchored_loss(share, 1_000) == pytest.approx(kept, abs=1e-4)


@pytest.mark.parametrize(("share", "kept"), [(0.01, 0.9521), (0.1, 0.9948)])
def test_c_08_new_organic_records_leave_this_much(share: float, kept: float) -> None:
    assert 1 - knobs.fresh_loss(share, 1_000) == pytest.approx(kept, abs=1e-4)


@pytest.mark.parametrize(
    ("n", "loss", "fixed", "fresh"),
    [
        (1_000, 0.05, 0.029, 0.010), (1_000, 0.01, 0.146, 0.051),
        (10_000, 0.05, 0.003, 0.001), (10_000, 0.01, 0.015, 0.005),
    ],
)  # fmt: skip
def test_anchors_for_a_wanted_loss(n: int, loss: float, fixed: float, fresh: float) -> None:
    anchor, new = knobs.anchor_share(loss, n), knobs.fresh_share(loss, n)
    assert anchor == pytest.approx(fixed, abs=6e-4) and new == pytest.approx(fresh, abs=6e-4)
    assert anchor is not None and knobs.anchored_loss(anchor, n) == pytest.approx(loss, rel=1e-6)
    assert new is not None and knobs.fresh_loss(new, n) == pytest.approx(loss, rel=1e-6)


def test_a_loss_below_that_of_all_organic_records_cannot_be_had() -> None:
    assert knobs.anchor_share(0.0001, 1_000) is None
    assert knobs.fresh_share(0.0001, 1_000) is None
    assert knobs.anchored_loss(1.0, 1_000) == pytest.approx(0.001)
    assert knobs.fresh_loss(1.0, 1_000) == pytest.approx(0.001)


def test_synthetic_records_at_most_double_the_organic_ones() -> None:
    assert effective_size(100, 2) == pytest.approx(100 * (1 + 2 / 102) + 2 / 102)
    assert effective_size(100, 99_900) == pytest.approx(2 * 100 + 1, rel=0.002)
    # a variance taken on n_e records loses 1/n_e: the fresh loop's loss
    assert knobs.fresh_loss(0.1, 1_000) == pytest.approx(1 / effective_size(100, 900))


@pytest.mark.parametrize(("m", "generations", "kept"), [(10, 5, 0.85888), (10, None, 0.84344), (100, None, 0.98363)])
def test_c_04_accumulation_leaves_this_much(m: int, generations: int | None, kept: float) -> None:
    assert knobs.accumulated_variance(m, generations) == pytest.approx(kept, abs=1e-5)
    assert knobs.accumulated_variance(m) >= 1 - math.pi**2 / 6 / m
    assert knobs.accumulated_variance(m) == pytest.approx(knobs.accumulated_variance(m, 100_000), abs=1e-5)


@pytest.mark.parametrize(("factor", "kept"), [(0.9, 0.6023), (0.7, 0.2211)])
def test_c_05_accumulation_does_not_save_a_biased_decoder(factor: float, kept: float) -> None:
    found = knobs.accumulated_with_bias(100, factor, 200)
    assert found == pytest.approx(kept, abs=1e-4)
    later = knobs.accumulated_with_bias(1e9, factor, 20_000)
    assert later == pytest.approx(20_000 ** -(1 - factor) / math.gamma(1 + factor), rel=1e-3)
    assert knobs.accumulated_with_bias(100, 1.0, 200) == pytest.approx(knobs.accumulated_variance(100, 200))


@pytest.mark.parametrize(("factor", "share"), [(0.9, 0.47), (0.95, 0.31), (0.8, 0.64)])
def test_anchors_against_a_biased_decoder(factor: float, share: float) -> None:
    assert knobs.share_against_bias(0.9, factor) == pytest.approx(share, abs=0.005)


@given(shares, shares)
def test_the_share_against_bias_inverts_the_plateau(kept: float, factor: float) -> None:
    share = knobs.share_against_bias(kept, factor)
    assert knobs.biased_plateau(share, factor) == pytest.approx(kept)


@pytest.mark.parametrize(
    ("right", "wrong", "threshold"), [(0.9, 0.3, 0.75), (0.9, 0.1, 0.9), (0.5, 0.5, 0.5), (1, 0, 1)]
)
def test_c_15_wrong_labels_may_be_this_many(right: float, wrong: float, threshold: float) -> None:
    assert break_even(right, wrong) == pytest.approx(threshold)


@pytest.mark.parametrize(("factor", "strength", "kept"), [(0.9, 0.25, 2 / 3), (0.9, 0.5, 8 / 9), (0.7, 0.25, 0.0)])
def test_c_16_a_verifier_must_pull_harder_than_the_decoder(factor: float, strength: float, kept: float) -> None:
    assert tilt_plateau(factor, strength) == pytest.approx(kept)


@given(shares, shares)
def test_the_strength_inverts_the_plateau(kept: float, factor: float) -> None:
    strength = knobs.verifier_strength(kept, factor)
    assert strength > 1 - factor
    assert tilt_plateau(factor, strength) == pytest.approx(kept)


@pytest.mark.parametrize(("organic", "synthetic", "weight"), [(1, 1, 0.618), (1, 2, 0.5), (2, 1, 0.7321)])
def test_c_11_organic_records_weigh_this_much(organic: int, synthetic: int, weight: float) -> None:
    assert best_weight(organic / synthetic) == pytest.approx(weight, abs=1e-4)


def test_a_larger_batch_slows_collapse() -> None:
    assert knobs.sampling_rate(100, 1) == pytest.approx(0.02)
    assert knobs.sampling_rate(300) == pytest.approx(1 / 300)
    rate = knobs.sampling_rate(knobs.batch_for_half_life(25))
    assert math.exp(-25 * rate) == pytest.approx(0.5)


def test_the_tail_survives_as_two_over_g() -> None:
    assert knobs.survival(0) == 1
    assert knobs.survival(1) == pytest.approx(1 - math.exp(-1))
    assert knobs.survival(400) == pytest.approx(2 / 400, rel=0.02)
    assert knobs.batch_for_tail(50, 10) * knobs.survival(10) == pytest.approx(50)


def test_survival_is_that_of_a_simulated_tail() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.0, 200_000)
    for generation in range(1, 6):
        counts = rng.poisson(counts)
        assert np.mean(counts > 0) == pytest.approx(knobs.survival(generation + 1), abs=0.005)


@pytest.mark.parametrize(
    "call",
    [
        lambda: knobs.anchored_loss(0.0, 100), lambda: knobs.anchored_loss(0.1, 0),
        lambda: knobs.anchor_share(1.0, 100), lambda: knobs.fresh_share(0.0, 100),
        lambda: knobs.accumulated_variance(math.inf),
        lambda: knobs.biased_plateau(0.5, 1.1), lambda: knobs.share_against_bias(1.0, 0.5),
        lambda: break_even(0, 0), lambda: break_even(0.5, -1), lambda: knobs.verifier_strength(1, 0.5),
        lambda: knobs.survival(-1),
        lambda: knobs.sampling_rate(100, 0.5), lambda: knobs.anchored_loss(math.nan, 100),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(InputError):
        call()


def last(n: int = 1_000, **given: object) -> Generation:
    some = Measure(name="", value=0.8)
    fields: dict[str, object] = {
        "number": 5, "n": n, "retention": (0.9, 0.31, 0.7, 0.65), "variance": some, "rank": some, "rare": some,
        "vendi": some, "loss": some, "leads": "rank",
    }  # fmt: skip
    return Generation(**{**fields, **given})  # type: ignore[arg-type]


def falling(rate: float | None) -> list[Decay]:
    none = Measure(name="", value=None)
    return [Decay(of="variance", rate=Measure(name="", value=rate), half_life=none, plateau=none)]


def advice(cause: str, *, lost: bool = True, rate: float | None = 0.01, n: int = 1_000, tolerance: float = 0.05) -> str:
    said = knobs.advise(last(n), falling(rate), cause=cause, lost=lost, tail=61.7, horizon=10, tolerance=tolerance)
    assert all(sentence.endswith(".") for sentence in said)
    return " ".join(said)


def test_sampling_is_answered_with_organic_records_and_size() -> None:
    said = advice("sampling")
    assert "keep 2.9 % organic anchors in it (30 records" in said
    assert "or 0.96 % new ones each time (10 records)" in said
    assert "takes 0.16 % of the variance in the end" in said
    assert "tail of about 62 organic records" in said
    assert f"{math.ceil(knobs.batch_for_tail(1_000, 10)):,} records a generation" in said
    assert "after 10 generations" in said and "after 693 generations" in said


def test_anchors_that_cannot_hold_a_loss_are_not_recommended() -> None:
    said = advice("sampling", n=10, tolerance=0.05)
    assert "anchors in it" not in said and "let generations add up" in said


def test_a_decoder_is_to_be_mended_first() -> None:
    said = advice("decoder", rate=-math.log(0.9 * (1 - 1 / 1_000)), tolerance=0.1)
    assert said.startswith("Mend the decoder first")
    assert "direction 2 (31 % left), direction 4 (65 % left), direction 3 (70 % left)" in said
    assert "λ = 0.9" in said and "takes 47 % organic anchors (474 of 1,000 records)" in said
    assert f"leaves {100 * knobs.accumulated_with_bias(1_000, 0.9, 10):.0f} %" in said
    assert "s of at least 0.53" in said


def test_without_a_rate_the_factor_comes_from_what_is_left() -> None:
    assert f"λ = {0.8 ** (1 / 5) / 0.999:.3g}" in advice("decoder", rate=None)


def test_a_decoder_that_keeps_the_whole_variance_has_no_factor() -> None:
    said = advice("decoder", rate=-0.01)
    assert "Mend the decoder first" in said and "λ" not in said


def test_no_loss_is_said_to_be_none() -> None:
    assert advice("", lost=False).startswith("No loss is shown.")

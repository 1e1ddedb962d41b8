"""What corpora are looked at through: known directions, kernels and modes, whatever the order of the rows."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.measuring import frame as frame_module
from proofset.measuring.blocks import NpyFile
from proofset.measuring.frame import Constants, Frame

Floats = NDArray[np.float32]
CONSTANTS = Constants(modes=20, features=256)


def clusters(n: int = 2000, d: int = 12, seed: int = 0, *, modes: int = 8) -> Floats:
    centres = 3 * np.random.default_rng(99).normal(size=(modes, d))
    rng = np.random.default_rng(seed)
    return (centres[rng.integers(0, modes, n)] + 0.3 * rng.normal(size=(n, d))).astype(np.float32)


def turned(d: int, seed: int = 5) -> NDArray[np.float64]:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def same(first: Frame, second: Frame) -> bool:
    names = ("mean", "basis", "variances", "bandwidths", "frequencies", "centres")
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names) and (
        (first.id, first.spread) == (second.id, second.spread)
    )


# --- constants -----------------------------------------------------------------------------------------------------


def test_the_protocol_is_named_by_its_constants() -> None:
    assert Constants().name("minilm") == "SVQ-1[minilm;n0=100;m=400;k=5;Kc=100;ρ=.5;τ=.1;r≤64]"
    assert Constants().name("") == "SVQ-1[n0=100;m=400;k=5;Kc=100;ρ=.5;τ=.1;r≤64]"
    assert Constants(alive=1, budget=0.25).name("x") == "SVQ-1[x;n0=100;m=400;k=5;Kc=100;ρ=1;τ=.25;r≤64]"


def test_no_two_protocols_share_a_name() -> None:
    usual = Constants()
    others = {
        "scale": 50, "batch": 300, "neighbours": 4, "modes": 50, "alive": 0.4, "budget": 0.2, "directions": 32,
        "energy": 0.9, "features": 512, "groups": 20, "delta": 0.05, "reservoir": 10_000, "seed": 1,
    }  # fmt: skip
    assert set(others) == set(Constants.__slots__)
    names = {replace(usual, **{name: other}).name("x") for name, other in others.items()}  # type: ignore[arg-type]
    assert len(names | {usual.name("x")}) == len(others) + 1
    assert Constants(seed=2**63 - 1).name("x").endswith(f";seed={2**63 - 1}]")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": 0}, {"budget": 0.0}, {"alive": -0.5}, {"features": 100}, {"modes": 1}, {"groups": 1},
        {"energy": 1.5}, {"delta": 1.0}, {"energy": float("nan")},
    ],
)  # fmt: skip
def test_constants_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Constants(**wrong)  # type: ignore[arg-type]


# --- directions ----------------------------------------------------------------------------------------------------


def test_directions_are_those_that_hold_the_energy() -> None:
    rng = np.random.default_rng(0)
    turn = turned(10)
    deviations = np.array([3.0, 2.0, 1.0] + [0.1] * 7)
    train = ((rng.normal(size=(20_000, 10)) * deviations) @ turn.T + 7).astype(np.float32)
    found = Frame.of(train, CONSTANTS, "x")
    assert found.basis.shape == (10, 3) and found.mean.shape == (10,) and found.width == 10
    # 4 standard errors of a variance, and of a mean
    np.testing.assert_allclose(found.variances, deviations[:3] ** 2, rtol=4 * np.sqrt(2 / 20_000))
    np.testing.assert_allclose(found.mean, 7, atol=4 * 3 / np.sqrt(20_000))
    np.testing.assert_allclose(np.abs(found.basis.T @ turn[:, :3]), np.eye(3), atol=0.03)
    np.testing.assert_allclose(found.variances, np.linalg.eigvalsh(np.cov(train.T.astype(np.float64)))[:-4:-1])
    assert Frame.of(train, replace(CONSTANTS, directions=2), "x").basis.shape == (10, 2)
    assert Frame.of(train, replace(CONSTANTS, energy=1.0), "x").basis.shape == (10, 10)


def test_one_direction_is_enough_where_there_is_but_one() -> None:
    train = (np.random.default_rng(0).normal(size=(300, 1)) * np.ones(6) + 2).astype(np.float32)
    found = Frame.of(train, CONSTANTS, "x")
    assert found.basis.shape == (6, 1)
    # the rest is rounding, and said to be nothing
    assert (found.coordinates(train)[:, 1] == 0).all()


def test_coordinates_are_places_along_directions_and_the_length_of_the_rest() -> None:
    train = clusters()
    found = Frame.of(train, CONSTANTS, "x")
    r = found.basis.shape[1]
    assert 1 <= r < 12
    taken = found.coordinates(train)
    centred = train - found.mean
    np.testing.assert_allclose(taken[:, :r], centred @ found.basis.astype(np.float64))
    np.testing.assert_allclose((taken**2).sum(axis=1), (centred**2).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(taken[:, :r].var(axis=0, ddof=1), found.variances, rtol=1e-5)
    away = (train[:1] + 5 * np.linalg.svd(found.basis.T)[2][-1]).astype(np.float32)
    assert found.coordinates(away)[0, r] == pytest.approx(5, abs=0.1 + taken[0, r])


def test_coordinates_far_from_the_origin_lose_no_digits() -> None:
    near = clusters().astype(np.float64)
    far = (near + 1000).astype(np.float32)
    near = far.astype(np.float64) - 1000
    first, second = Frame.of(near.astype(np.float32), CONSTANTS, "x"), Frame.of(far, CONSTANTS, "x")
    np.testing.assert_allclose(second.variances, first.variances, rtol=1e-6)


# --- kernel --------------------------------------------------------------------------------------------------------


def test_bandwidths_are_fractions_of_the_median_squared_distance() -> None:
    train = clusters(1500)
    gaps = ((train[:, None].astype(np.float64) - train[None]) ** 2).sum(axis=2)[np.triu_indices(1500, 1)]
    expected = float(np.median(gaps)) * np.array([0.25, 0.5, 1, 2])
    np.testing.assert_allclose(Frame.of(train, CONSTANTS, "x").bandwidths, expected)


def test_features_have_length_one_and_their_products_are_the_mean_of_the_kernels() -> None:
    train = clusters()
    found = Frame.of(train, Constants(features=8192), "x")
    rows = train[:60]
    taken = found.features(rows)
    assert taken.shape == (60, 8192) and taken.dtype == np.float32
    np.testing.assert_allclose((taken.astype(np.float64) ** 2).sum(axis=1), 1, rtol=1e-5)
    gaps = ((rows[:, None].astype(np.float64) - rows[None]) ** 2).sum(axis=2)
    kernel = np.exp(-gaps[..., None] / (2 * found.bandwidths)).mean(axis=-1)
    # a product averages D/2 cosines, of variance 1/2 at most: 5 standard errors
    np.testing.assert_allclose(taken @ taken.T, kernel, atol=5 * np.sqrt(0.5 / 4096))


def test_repeated_rows_do_not_make_the_median_nothing() -> None:
    train = np.repeat(clusters(20), [181] + [1] * 19, axis=0)
    gaps = ((train[:, None].astype(np.float64) - train[None]) ** 2).sum(axis=2)[np.triu_indices(200, 1)]
    np.testing.assert_allclose(Frame.of(train, CONSTANTS, "x").bandwidths[2], np.median(gaps[gaps > 0]))


def test_a_sample_of_equal_rows_falls_back_on_the_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_module, "PAIRED_ROWS", 5)
    train = np.tile(clusters(1), (500, 1))
    train[100, 0] += 1
    found = Frame.of(train, CONSTANTS, "x")
    assert found.bandwidths[2] == pytest.approx(2 * np.trace(np.cov(train.T.astype(np.float64))))
    assert len(found.centres) == 2


# --- modes ---------------------------------------------------------------------------------------------------------


def test_well_separated_clusters_are_the_modes() -> None:
    train = clusters(modes=8)
    found = Frame.of(train, Constants(modes=8), "x")
    assert found.centres.shape == (8, 12)
    truth = 3 * np.random.default_rng(99).normal(size=(8, 12))
    gaps = np.sqrt(((found.centres[:, None] - truth[None]) ** 2).sum(axis=2))
    assert sorted(gaps.argmin(axis=1)) == list(range(8))
    assert gaps.min(axis=1).max() < 0.2
    np.testing.assert_array_equal(found.modes(truth.astype(np.float32)), gaps.argmin(axis=0))
    assert found.spread == pytest.approx(0.3 * np.sqrt(12), rel=0.02)


def test_a_row_belongs_to_the_nearest_centre() -> None:
    train = clusters()
    found = Frame.of(train, CONSTANTS, "x")
    gaps = ((train[:, None].astype(np.float64) - found.centres[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(found.modes(train), gaps.argmin(axis=1))
    assert found.spread == pytest.approx(np.sqrt(gaps.min(axis=1).mean()), rel=1e-3)


def test_modes_are_about_as_good_as_those_of_the_library() -> None:
    from sklearn.cluster import KMeans

    train = np.random.default_rng(0).normal(size=(3000, 10)).astype(np.float32)
    theirs = KMeans(n_clusters=20, n_init=4, random_state=0).fit(train)
    assert Frame.of(train, CONSTANTS, "x").spread < 1.01 * np.sqrt(theirs.inertia_ / 3000)


@pytest.mark.parametrize(("n", "repeats", "modes"), [(10, 1, 2), (12, 1, 2), (60, 1, 12), (500, 1, 20), (60, 9, 12)])
def test_every_mode_has_five_different_rows_to_live_on(n: int, repeats: int, modes: int) -> None:
    train = np.repeat(np.random.default_rng(1).normal(size=(n, 6)).astype(np.float32), repeats, axis=0)
    found = Frame.of(train, CONSTANTS, "x")
    assert len(found.centres) == modes
    assert len(np.unique(found.modes(train))) == modes


# --- order and chance ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [200, 3000])
def test_s_10_permuted_rows_make_the_same_frame_to_rounding(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_module, "CLUSTERED_ROWS", 1000)
    monkeypatch.setattr(frame_module, "SMALL", 500)
    train = clusters(n)
    train[5] = train[50]
    first = Frame.of(train, CONSTANTS, "x")
    second = Frame.of(train[np.random.default_rng(1).permutation(n)], CONSTANTS, "x")
    assert first.id == second.id and first.spread == second.spread
    for name in ("bandwidths", "frequencies", "centres"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    for name in ("mean", "variances"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-9)
    np.testing.assert_allclose(first.basis, second.basis, atol=1e-6)


def test_s_10_rotated_rows_have_the_same_variances_and_modes_and_the_same_kernel_within_its_error() -> None:
    train = clusters()
    turn = turned(12)
    first = Frame.of(train, CONSTANTS, "x")
    rotated = (train @ turn).astype(np.float32)
    second = Frame.of(rotated, CONSTANTS, "x")
    np.testing.assert_allclose(first.variances, second.variances, rtol=1e-5)
    # rows are chosen by hashes, so other rows give the median: 2,000 of 2,000 here, the same ones
    np.testing.assert_allclose(first.bandwidths, second.bandwidths, rtol=1e-5)
    assert first.spread == pytest.approx(second.spread, rel=0.05)
    kernel = first.features(train[:30]) @ first.features(train[:30]).T
    other = second.features(rotated[:30]) @ second.features(rotated[:30]).T
    np.testing.assert_allclose(kernel, other, atol=5 * np.sqrt(2 * 0.5 / 128))


def test_the_same_rows_make_the_same_frame_to_the_bit_from_memory_and_from_a_file(tmp_path: Path) -> None:
    train = clusters()
    np.save(tmp_path / "x.npy", train)
    first = Frame.of(train, CONSTANTS, "x")
    assert same(first, Frame.of(train.copy(), CONSTANTS, "x"))
    assert same(first, Frame.of(NpyFile(tmp_path / "x.npy"), CONSTANTS, "x"))
    assert same(first, Frame.of(train.astype(np.float64), CONSTANTS, "x"))


def test_another_seed_encoder_or_row_makes_another_frame() -> None:
    train = clusters()
    nudged = train.copy()
    nudged[7, 7] += 1
    first = Frame.of(train, CONSTANTS, "x")
    second = Frame.of(train, replace(CONSTANTS, seed=1), "x")
    assert (first.frequencies != second.frequencies).any()
    others = [second, Frame.of(train, CONSTANTS, "y"), Frame.of(nudged, CONSTANTS, "x")]
    assert len({first.id, *(other.id for other in others)}) == 4


def test_a_large_corpus_is_clustered_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_module, "CLUSTERED_ROWS", 300)
    monkeypatch.setattr(frame_module, "SMALL", 200)
    seen: list[int] = []
    modes = frame_module._modes

    def watched(rows: Floats, number: int, seed: int) -> tuple[Floats, float]:
        seen.append(len(rows))
        return modes(rows, number, seed)

    monkeypatch.setattr(frame_module, "_modes", watched)
    found = Frame.of(clusters(2000), Constants(modes=8), "x")
    assert seen == [300] and len(found.centres) == 8
    assert found.spread == pytest.approx(0.3 * np.sqrt(12), rel=0.1)


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 9])
def test_fewer_than_ten_rows_are_refused(n: int) -> None:
    with pytest.raises(InputError, match=f"train: {n} rows, at least 10 are needed") as caught:
        Frame.of(clusters(n), CONSTANTS, "x")
    assert "5 records each" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "why"), [(np.nan, "NaN"), (np.inf, "infinity"), (0.0, "zero vectors"), (1e30, "too large")]
)
def test_rows_that_cannot_be_used_are_refused(value: float, why: str) -> None:
    train = clusters()
    train[3] = value
    with pytest.raises(InputError, match=f"train: 1 of 2000 rows .*{why}.* row 3"):
        Frame.of(train, CONSTANTS, "x")


def test_equal_rows_are_refused_and_constant_columns_are_not() -> None:
    with pytest.raises(InputError, match="all 50 rows are equal"):
        Frame.of(np.ones((50, 4), dtype=np.float32), CONSTANTS, "x")
    with pytest.raises(InputError, match="not rows of vectors"):
        Frame.of(np.ones(50, dtype=np.float32), CONSTANTS, "x")
    train = clusters()
    train[:, 6:] = 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Frame.of(train, CONSTANTS, "x").basis.shape[1] <= 6

"""The quotient on worlds whose truth is known: fresh, copied, shrunk, cut, noisy and repeated corpora."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.measuring.worlds import CASES, Corpora, Vectors, copies, noisy, organic, scaled, world

from proofset.errors import InputError
from proofset.measuring.blocks import NpyFile
from proofset.measuring.frame import Constants
from proofset.measuring.viability import viability
from proofset.nouns.result import Measure
from proofset.nouns.viability import Component, Crossing, Viability

KEYS = ("D", "M", "F", "K", "R", "A1", "A2", "U")


def judged(given: Corpora, synthetic: Vectors, constants: Constants | None = None) -> Viability:
    return viability(given.train, given.reference, given.control, synthetic, constants=constants or Constants())


@cache
def case(name: str, seed: int = 0, n: int = 2_000, width: int = 16, scale: int = 100) -> Viability:
    of, rng = world(width), np.random.default_rng([seed, 5])
    given = organic(of, n, rng)
    return judged(given, CASES[name](of, given, n, rng), Constants(scale=scale))


def ends(found: Viability) -> tuple[float, float, float]:
    low, value, high = found.quotient.low, found.quotient.value, found.quotient.high
    assert low is not None and value is not None and high is not None
    assert 0 <= low <= value <= high
    return low, value, high


def numbers(found: Viability, key: str) -> tuple[float, float, float, float]:
    """Value, low, high, error."""
    one = {component.key: component for component in found.components}[key]
    assert one.measure.value is not None and one.measure.low is not None and one.measure.high is not None
    assert one.error is not None
    return one.measure.value, one.measure.low, one.measure.high, one.error


def covered(found: list[Viability], truth: float) -> int:
    return sum(low <= truth <= high for low, _, high in map(ends, found))


def test_s_01_fresh_organic_records_score_one() -> None:
    found = [case("fresh", seed) for seed in range(6)]
    assert 0.95 <= np.median([ends(one)[1] for one in found]) <= 1.05
    assert Crossing.NOT_CROSSED not in [one.verdict for one in found]
    assert Crossing.CROSSED in [one.verdict for one in found]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_s_01_fresh_organic_records_score_one_in_full() -> None:
    found = [case("fresh", seed, 10_000, 32) for seed in range(20)]
    assert 0.97 <= np.median([ends(one)[1] for one in found]) <= 1.03
    said = [one.verdict for one in found]
    assert said.count(Crossing.CROSSED) >= 18 and said.count(Crossing.NOT_CROSSED) == 0


@pytest.mark.parametrize(("name", "truth"), [("fresh", 1.0), ("20 % copies", 0.8)])
def test_s_02_the_interval_covers_the_truth(name: str, truth: float) -> None:
    assert covered([case(name, seed) for seed in range(6)], truth) >= 5


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "truth"), [("fresh", 1.0), ("20 % copies", 0.8)])
def test_s_02_the_interval_covers_the_truth_in_full(name: str, truth: float) -> None:
    assert covered([case(name, seed, 10_000, 32) for seed in range(40)], truth) >= 36


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "truth"), [("fresh", 1.0), ("20 % copies", 0.8)])
def test_the_interval_of_every_component_covers_its_truth(name: str, truth: float) -> None:
    found = [case(name, seed) for seed in range(200)]
    for key in KEYS:
        held = truth if key in {"A1", "A2"} else 1.0
        taken = [numbers(one, key) for one in found]
        share = np.mean([low <= held <= high for _, low, high, _ in taken])
        # 95 % is expected; at 200 seeds a true coverage of 92 or 98 % is seen as 89 to 100 %
        assert share >= 0.90, key
        if key not in {"D", "M"}:
            # the error is neither too small nor too large; D and M have intervals that are not symmetric
            said = np.sqrt(np.mean([error**2 for *_, error in taken]))
            assert 0.85 < said / np.std([value for value, *_ in taken], ddof=1) < 1.2, key


@pytest.mark.parametrize("name", ["copy of T", "jittered copy of T", "copy of H", "half T, half H"])
def test_s_03_copies_of_anything_are_worth_nothing(name: str) -> None:
    found = case(name)
    assert ends(found)[2] < 0.05
    assert found.verdict is Crossing.NOT_CROSSED
    assert found.weakest in {"A1", "A2"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["copy of T", "jittered copy of T", "copy of H", "half T, half H"])
def test_s_03_copies_of_anything_are_worth_nothing_in_full(name: str) -> None:
    assert ends(case(name, 0, 10_000, 32))[2] < 0.05


def agree(first: Viability, second: Viability) -> bool:
    """Whether two quotients are within three joint errors, each a quarter of its interval."""
    (a, x, b), (c, y, d) = ends(first), ends(second)
    return abs(x - y) < 3 * math.hypot((b - a) / 4, (d - c) / 4)


def each_agrees(first: Viability, second: Viability, but: str = "") -> bool:
    """Whether every component but one is within three joint errors of the same one."""
    pairs = [(numbers(first, key), numbers(second, key)) for key in KEYS if key != but]
    return all(abs(a[0] - b[0]) < 3 * math.hypot(a[3], b[3]) for a, b in pairs)


SIZED = ("4 rarest modes dropped", "10 % junk", "20 % copies")


@pytest.mark.parametrize("name", SIZED)
def test_s_09_the_value_does_not_hang_on_the_number_of_records(name: str) -> None:
    assert agree(case(name, 1, 1_500, scale=30), case(name, 2, 3_000, scale=30))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SIZED)
def test_s_09_the_value_does_not_hang_on_the_number_of_records_in_full(name: str) -> None:
    small, middle, large = (case(name, n, n, 32, 37) for n in (1_500, 4_000, 10_000))
    assert agree(small, middle) and agree(middle, large) and agree(small, large)


def test_s_09_shrinking_is_seen_alike_at_any_size_by_all_but_r() -> None:
    # R is biased low at 15 records a mode where modes are half gone and not lost: see the module of modes
    assert each_agrees(case("shrunk .8", 1, 1_500, scale=30), case("shrunk .8", 2, 3_000, scale=30), but="R")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_s_09_shrinking_is_seen_alike_at_any_size_by_all_but_r_in_full() -> None:
    small, middle, large = (case("shrunk .8", n, n, 32, 37) for n in (1_500, 4_000, 10_000))
    for first, second in ((small, middle), (middle, large), (small, large)):
        assert each_agrees(first, second, but="R")
    middle, large = (case("shrunk .8", n, n, 32) for n in (4_000, 10_000))
    assert middle.weakest == large.weakest == "M"
    assert agree(middle, large)


def test_s_10_the_same_input_gives_the_same_result_to_the_last_bit() -> None:
    of, rng = world(16), np.random.default_rng(6)
    given = organic(of, 1_000, rng)
    synthetic = copies(of, 1_000, given.train, 0.2, rng)
    assert judged(given, synthetic) == judged(given, synthetic.copy())
    assert judged(given, synthetic) == judged(given, synthetic, Constants())
    assert judged(given, synthetic) != judged(given, synthetic, Constants(seed=1))


def test_s_10_the_order_of_records_does_not_matter() -> None:
    of, rng = world(16), np.random.default_rng(7)
    given = organic(of, 1_000, rng)
    synthetic = copies(of, 1_000, given.train, 0.2, rng)
    mixed = Corpora(*(rng.permutation(part) for part in (given.train, given.reference, given.control)))
    plain, other = judged(given, synthetic), judged(mixed, rng.permutation(synthetic))
    for key in KEYS:
        assert numbers(other, key) == pytest.approx(numbers(plain, key), abs=1e-6)
    assert ends(other) == pytest.approx(ends(plain), abs=1e-6)


@pytest.mark.parametrize("name", ["fresh", "shrunk .8", "20 % copies"])
def test_s_10_turning_the_space_changes_no_more_than_another_draw(name: str) -> None:
    # distances stay; random features, k-means starts and the ids of rows are others
    of, rng = world(16), np.random.default_rng([5, 5])
    given = organic(of, 2_000, rng)
    synthetic = CASES[name](of, given, 2_000, rng)
    turn = np.linalg.qr(rng.normal(size=(16, 16)))[0].astype(np.float32)
    turned = Corpora(*(part @ turn for part in (given.train, given.reference, given.control)))
    plain, other = judged(given, synthetic), judged(turned, synthetic @ turn)
    assert agree(plain, other)
    for key in ("D", "A1"):
        assert numbers(other, key)[0] == pytest.approx(numbers(plain, key)[0], abs=0.005)


def test_s_11_making_records_worse_never_raises_the_quotient() -> None:
    of, rng = world(16), np.random.default_rng(8)
    given = organic(of, 2_000, rng)
    fresh = of.sample(2_000, rng)
    worse = {
        "noise": [noisy(of, fresh, share, np.random.default_rng(9)) for share in (0.02, 0.2)],
        "shrinking": [scaled(fresh, k) for k in (0.9, 0.5)],
        "copies": [copies(of, 2_000, given.train, share, np.random.default_rng(9)) for share in (0.1, 0.5)],
    }
    first = judged(given, fresh)
    for name, corpora in worse.items():
        before = first
        for corpus in corpora:
            after = judged(given, corpus)
            low, value, high = ends(after)
            assert value <= ends(before)[1] + 2 * (high - low) / 4, name
            before = after
        assert before.verdict is Crossing.NOT_CROSSED, name


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize(
    ("fault", "said"),
    [("nan", "NaN"), ("zero", "zero vectors"), ("constant", "equal"), ("width", "columns"), ("flat", "shape")],
)
def test_s_12_unusable_vectors_are_refused_by_name(part: int, fault: str, said: str) -> None:
    of, rng = world(16), np.random.default_rng(10)
    corpora: list[Vectors] = [of.sample(300, rng) for _ in range(4)]
    broken = corpora[part]
    if fault == "nan":
        broken[7, 3] = np.nan
    elif fault == "zero":
        broken[7] = 0
    elif fault == "constant":
        broken[:] = 1
    corpora[part] = {"width": broken[:, :9], "flat": broken[:, 0]}.get(fault, broken)
    with pytest.raises(InputError, match=said) as raised:
        viability(corpora[0], corpora[1], corpora[2], corpora[3])
    if not (part == 0 and fault == "width"):
        assert ("train", "reference", "control", "synthetic")[part] in str(raised.value)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2)])
def test_a_leak_between_organic_parts_is_refused_with_its_first_row(first: int, second: int) -> None:
    of, rng = world(16), np.random.default_rng(11)
    parts = [of.sample(1_000, rng) for _ in range(4)]
    parts[second][[40, 70, 90]] = parts[first][[1, 2, 3]]
    with pytest.raises(InputError, match=r"a leak: 3 of 1000 .* the first is row 40"):
        viability(parts[0], parts[1], parts[2], parts[3])


def test_a_text_that_people_repeat_is_told_and_not_refused() -> None:
    of, rng = world(16), np.random.default_rng(12)
    given = organic(of, 1_100, rng)
    given.control[5] = given.train[9]
    found = judged(given, of.sample(1_100, rng))
    assert any("1 of 1100 control rows stand in train too" in note for note in found.notes)
    assert ends(found)[1] > 0.8


def test_what_is_found_is_told_in_full() -> None:
    found = case("20 % copies")
    assert [one.key for one in found.components] == list(KEYS)
    assert found.protocol == "SVQ-1[n0=50;m=400;k=5;Kc=100;ρ=.5;τ=.1;r≤64]"
    assert found.sizes == (2_000,) * 4 and found.threshold == 0.9
    assert found.quotient.name == "SVQ" and found.quotient.n == 2_000
    assert any("n0 is 50 and not 100" in note for note in found.notes)
    words = {one.key: one.words for one in found.components}
    assert "closer to training" in words["A1"] and "copied" in words["A1"]
    assert all(text.endswith(".") and any(c.isdigit() for c in text) for text in words.values())


def test_an_undecided_verdict_says_how_many_records_would_decide() -> None:
    found = next(one for one in (case("fresh", seed) for seed in range(6)) if one.verdict is Crossing.UNDECIDED)
    assert found.needed is not None and 2_000 < found.needed < 100_000
    assert case("copy of T").needed is None
    assert next(one for one in (case("fresh", s) for s in range(6)) if one.verdict is Crossing.CROSSED).needed is None


def test_saturation_is_told_where_a_bias_is_shown() -> None:
    shrunk = case("shrunk .5")
    assert shrunk.saturation is not None and 5 < shrunk.saturation < 100
    assert shrunk.equivalent is not None and shrunk.equivalent < shrunk.saturation
    fresh = [case("fresh", seed) for seed in range(6)]
    assert sum(one.saturation is None for one in fresh) >= 5
    assert all(one.equivalent is not None and 400 < one.equivalent <= 2_000 for one in fresh)


def test_below_200_records_nothing_is_measured() -> None:
    of, rng = world(16), np.random.default_rng(13)
    given = organic(of, 400, rng)
    found = judged(given, of.sample(199, rng))
    assert found.verdict is Crossing.UNDECIDED and found.quotient.value is None and found.weakest == ""
    assert [one.key for one in found.components] == list(KEYS)
    assert all(one.measure.value is None and "199 records" in one.measure.note for one in found.components)
    assert found.needed is None and found.saturation is None and found.equivalent is None and found.notes


@pytest.mark.parametrize("n", [200, 700, 1_499])
def test_below_1500_records_nothing_is_crossed(n: int) -> None:
    of, rng = world(8), np.random.default_rng(14)
    fresh = judged(organic(of, n, rng), of.sample(n, rng))
    assert fresh.verdict is Crossing.UNDECIDED
    assert any("too few to be crossed" in note for note in fresh.notes)
    given = organic(of, n, rng)
    assert judged(given, given.train).verdict is Crossing.NOT_CROSSED


def test_batches_and_scale_shrink_with_the_records_and_the_protocol_says_so() -> None:
    of, rng = world(8), np.random.default_rng(15)
    found = judged(organic(of, 800, rng), of.sample(800, rng))
    assert "n0=20;m=200;" in found.protocol
    assert any("batches of F and K hold 200" in note for note in found.notes)


@pytest.mark.parametrize(
    ("sizes", "n_S"),
    [((1_500, 2_400, 1_900), 1_500), ((1_500, 1_500, 1_500), 9_000), ((4_000, 4_000, 4_000), 1_500)],
)
def test_unequal_numbers_are_made_comparable(sizes: tuple[int, int, int], n_S: int) -> None:
    of = world(16)
    found = []
    for seed in range(3):
        rng = np.random.default_rng([seed, 16])
        given = Corpora(*(of.sample(n, rng) for n in sizes))
        found.append(judged(given, of.sample(n_S, rng)))
    n = min(sizes)
    assert all(one.sizes == (n, n, n, n_S) for one in found)
    assert 0.94 <= np.median([ends(one)[1] for one in found]) <= 1.06
    assert all(one.verdict is not Crossing.NOT_CROSSED for one in found)
    if len(set(sizes)) > 1:
        assert any("cut to 1,500 records at random: reference from 2,400" in note for note in found[0].notes)
    assert any("Poisson" in note for note in found[0].notes) == (n_S != n)


@pytest.mark.parametrize("width", [3, 200])
def test_any_width_is_handled(width: int) -> None:
    rng = np.random.default_rng(17)
    parts = [rng.normal(size=(600, width)).astype(np.float32) for _ in range(4)]
    found = viability(parts[0], parts[1], parts[2], parts[3], encoder="mine")
    assert found.encoder == "mine" and found.protocol.startswith("SVQ-1[mine;")
    assert ends(found)[2] > 0.9
    assert viability(parts[0], parts[1], parts[2], parts[0]).verdict is Crossing.NOT_CROSSED


def test_many_synthetic_records_are_looked_through_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    of, rng = world(16), np.random.default_rng(18)
    given = organic(of, 1_500, rng)
    fresh = of.sample(3_000, rng)
    repeated = np.repeat(of.sample(600, rng), 5, axis=0)
    exact = [numbers(judged(given, one), "U")[0] for one in (fresh, repeated)]
    monkeypatch.setattr("proofset.measuring.viability.ALL_ROWS", 1_000)
    banded = [numbers(judged(given, one), "U") for one in (fresh, repeated)]
    assert banded[0][0] == pytest.approx(exact[0], abs=0.02)
    assert exact[1] == banded[1][0] == 0


def test_files_are_read_as_arrays_are(tmp_path: Path) -> None:
    of, rng = world(16), np.random.default_rng(19)
    parts = [of.sample(n, rng) for n in (500, 600, 550, 500)]
    files = []
    for i, part in enumerate(parts):
        np.save(tmp_path / f"{i}.npy", part)
        files.append(NpyFile(tmp_path / f"{i}.npy"))
    assert viability(files[0], files[1], files[2], files[3]) == viability(parts[0], parts[1], parts[2], parts[3])


def lift(value: float | None, low: float | None, high: float | None) -> Component:
    return Component(key="Y", measure=Measure(name="lift", value=value, low=low, high=high), error=0.1, words="")


@pytest.mark.parametrize(
    ("companion", "said"),
    [
        (lift(0.9, 0.8, 1.0), Crossing.CROSSED),
        (lift(0.1, -0.1, 0.3), Crossing.UNDECIDED),
        (lift(None, None, None), Crossing.UNDECIDED),
        (lift(-0.5, -0.7, -0.3), Crossing.NOT_CROSSED),
    ],
)
def test_crossed_needs_the_training_lift_where_there_is_text(companion: Component, said: Crossing) -> None:
    seed = next(s for s in range(6) if case("fresh", s).verdict is Crossing.CROSSED)
    of, rng = world(16), np.random.default_rng([seed, 5])
    given = organic(of, 2_000, rng)
    found = viability(
        given.train, given.reference, given.control, of.sample(2_000, rng), companion=companion, slice="billing"
    )
    assert found.verdict is said and found.companion == companion and found.slice == "billing"
    assert replace(found, companion=None, slice="", verdict=Crossing.CROSSED, notes=()) == replace(
        case("fresh", seed), notes=()
    )


ANSWERS = {
    "fresh": (1.0, 0.03, None),
    "copy of T": (0.0, 0.01, {"A1", "A2"}),
    "jittered copy of T": (0.0, 0.01, {"A1", "A2"}),
    "copy of H": (0.0, 0.01, {"A2"}),
    "50 % copies": (0.5, 0.04, {"A1", "A2"}),
    "20 % copies": (0.8, 0.04, {"A1", "A2"}),
    "rarest mode dropped": (0.807, 0.05, {"R"}),
    "4 rarest modes dropped": (0.176, 0.08, {"R"}),
    "noise +25 %": (0.0, 0.02, {"F"}),
    "one Gaussian": (0.0, 0.02, {"F", "K", "R"}),
    "each five times": (0.0, 0.01, {"U"}),
    "SMOTE": (0.0, 0.05, {"A1", "A2"}),
}
"""Quotient by theory, tolerance, and which components may be the weakest."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
def test_known_answers(name: str) -> None:
    truth, tolerance, weakest = ANSWERS[name]
    found = case(name, 0, 10_000, 32)
    assert abs(ends(found)[1] - truth) < tolerance
    assert weakest is None or found.weakest in weakest
    assert found.verdict is (Crossing.CROSSED if name == "fresh" else Crossing.NOT_CROSSED)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "key", "truth"), [("shrunk .8", "D", 0.8), ("shrunk .5", "D", 0.5), ("10 % junk", "F", 0.9)]
)
def test_known_answers_of_single_components(name: str, key: str, truth: float) -> None:
    found = case(name, 0, 10_000, 32)
    assert numbers(found, key)[0] == pytest.approx(truth, abs=0.03)
    assert found.verdict is Crossing.NOT_CROSSED

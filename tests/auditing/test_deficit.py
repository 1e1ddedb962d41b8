"""Deficits against learning curves whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from proofset.auditing.deficit import Outcome, deficits, pooled_slope
from proofset.config import Audit
from proofset.errors import InputError
from proofset.nouns.slice import Deficit, Slice, SliceKind, SliceRule

FRACTIONS = (0.25, 0.5, 1.0)
MANY = 10**8
"""Predictions so many that smoothing and chance vanish: the closed form must come back."""


def slice_of(name: str, n: int) -> Slice:
    ids = tuple(map(str, range(n)))
    return Slice(name=name, rule=SliceRule(SliceKind.LABEL, name), record_ids=ids, title=name.title())


def curve(name: str, n: int, level: float, slope: float, tested: int = MANY) -> list[Outcome]:
    return [
        Outcome(fraction=f, slice=name, n_train=f * n, errors=round(tested * level * (f * n) ** -slope), n=tested)
        for f in FRACTIONS
    ]


def by_name(found: tuple[Deficit, ...]) -> dict[str, Deficit]:
    return {one.slice: one for one in found}


@pytest.mark.parametrize("slope", [0.1, 0.35, 0.8, 1.0])
def test_an_exact_power_law_gives_back_its_slope(slope: float) -> None:
    outcomes = curve("a", 40, 0.9, slope) + curve("b", 400, 0.5, slope)
    assert pooled_slope(outcomes) == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize(("slope", "kept"), [(0.0, 0.05), (-0.3, 0.05), (1.6, 1.0)])
def test_slopes_are_kept_where_they_can_be_believed(slope: float, kept: float) -> None:
    assert pooled_slope(curve("a", 40, 0.1, slope)) == pytest.approx(kept, abs=1e-4)


def test_an_exact_power_law_gives_the_closed_form() -> None:
    slices = [slice_of("edge", 40), slice_of("rich", 400)]
    outcomes = curve("edge", 40, 0.9, 0.5) + curve("rich", 400, 0.9, 0.5)
    edge, rich = deficits(slices, outcomes, Audit())
    assert (edge.slice, edge.title, edge.n, edge.rank, edge.edge) == ("edge", "Edge", 40, 1, True)
    assert edge.error.value == pytest.approx(0.9 * 40**-0.5)
    # on one curve, the target is what the rich slice has reached: the need is the difference in records
    assert edge.needed.value == pytest.approx(360, rel=1e-3)
    assert edge.needed.value is not None and edge.needed.low is not None and edge.needed.high is not None
    assert edge.needed.low <= edge.needed.value <= edge.needed.high
    assert edge.expected_error.value == pytest.approx(0.9 * 400**-0.5, rel=1e-3)
    assert "400 records" in edge.expected_error.note
    assert (rich.rank, rich.edge, rich.needed.value) == (2, False, 0.0)
    assert "target" in rich.needed.note


def test_a_set_target_is_used() -> None:
    error = 0.9 * 40**-0.5
    outcomes = curve("edge", 40, 0.9, 0.5) + curve("rich", 400, 0.9, 0.5)
    found = by_name(deficits([slice_of("edge", 40), slice_of("rich", 400)], outcomes, Audit(target_error=error / 2)))
    assert found["edge"].needed.value == pytest.approx(40 * (2**2 - 1), rel=1e-3)


def test_beyond_a_hundred_times_nothing_is_told() -> None:
    outcomes = curve("edge", 4, 0.9, 0.1) + curve("rich", 400, 0.05, 0.1)
    needed = by_name(deficits([slice_of("edge", 4), slice_of("rich", 400)], outcomes, Audit()))["edge"].needed
    assert needed.value is None and needed.high is None
    assert needed.note == "more than 100 times what there is"


def test_one_training_size_has_no_slope() -> None:
    outcomes = [one for one in curve("a", 10, 0.9, 0.5, 100) + curve("b", 50, 0.9, 0.5, 100) if one.fraction == 1]
    found = by_name(deficits([slice_of("a", 10), slice_of("b", 50)], outcomes, Audit()))
    assert pooled_slope(outcomes) is None
    assert found["a"].needed.value is None and "slope" in found["a"].needed.note
    assert found["a"].expected_error.value is None
    assert found["b"].needed.value == 0.0


def test_rank_is_by_need_then_error_and_the_unpredicted_come_last() -> None:
    sizes = {"beyond": 4, "far": 40, "near": 40, "rich": 400, "unseen": 5}
    outcomes = curve("beyond", 4, 0.99, 0.05) + curve("far", 40, 1.5, 0.3) + curve("near", 40, 1.2, 0.3)
    outcomes += curve("rich", 400, 1.0, 0.3)
    found = deficits([slice_of(*item) for item in sizes.items()], outcomes, Audit())
    assert [one.slice for one in found] == ["beyond", "far", "near", "rich", "unseen"]
    assert [one.rank for one in found] == [1, 2, 3, 4, 5]
    assert found[-1].error.value is None and found[-1].needed.value is None
    assert "not predicted" in found[-1].error.note


def test_edges_are_half_the_mean_or_as_set() -> None:
    slices = [slice_of("a", 3), slice_of("b", 4), slice_of("c", 11)]  # mean 6, half of it 3
    assert not any(one.edge for one in deficits(slices, [], Audit()))
    assert [one.slice for one in deficits([*slices, slice_of("d", 6)], [], Audit()) if one.edge] == []
    assert [one.slice for one in deficits([*slices, slice_of("d", 9)], [], Audit()) if one.edge] == ["a"]
    assert sorted(one.slice for one in deficits(slices, [], Audit(edge_max_records=4)) if one.edge) == ["a", "b"]


def test_faultless_rich_slices_still_leave_a_target() -> None:
    outcomes = [Outcome(fraction=f, slice="rich", n_train=f * 100, errors=0, n=99) for f in FRACTIONS]
    outcomes += curve("edge", 10, 0.9, 0.5, 1000)
    found = by_name(deficits([slice_of("edge", 10), slice_of("rich", 100)], outcomes, Audit()))
    assert found["rich"].needed.value == 0.0
    assert found["edge"].needed.value is None or found["edge"].needed.value > 100


def test_error_has_a_wilson_interval_and_its_n() -> None:
    outcomes = [Outcome(fraction=1.0, slice="a", n_train=3, errors=2, n=3)]
    error = deficits([slice_of("a", 3)], outcomes, Audit())[0].error
    assert error.n == 3 and error.value == pytest.approx(2 / 3)
    assert error.low == pytest.approx(0.2077, abs=1e-3)
    assert error.high == pytest.approx(0.9385, abs=1e-3)


def test_the_same_outcomes_give_the_same_intervals() -> None:
    slices = [slice_of("edge", 10), slice_of("rich", 100)]
    outcomes = curve("edge", 10, 0.9, 0.5, 30) + curve("rich", 100, 0.9, 0.5, 300)
    assert deficits(slices, outcomes, Audit()) == deficits(slices, outcomes[::-1], Audit())


@pytest.mark.parametrize("broken", [{"slice": "x"}, {"errors": 11}, {"errors": -1}, {"n_train": -1.0}])
def test_impossible_outcomes_are_refused(broken: dict[str, str | int | float]) -> None:
    values = {"fraction": 1.0, "slice": "a", "n_train": 5.0, "errors": 1, "n": 10, **broken}
    with pytest.raises(InputError):
        deficits([slice_of("a", 5)], [Outcome(**values)], Audit())  # type: ignore[arg-type]


def test_intervals_cover_the_truth() -> None:
    """300 studies drawn from one known curve: the 95 % interval of the need holds the truth in nearly all."""
    rng = np.random.default_rng(7)
    sizes = {"edge": 20, **{f"rich{n}": 80 for n in range(5)}}
    slices = [slice_of(*item) for item in sizes.items()]
    truth = 20 * ((0.9 * 20**-0.5) / 0.1) ** 2 - 20
    covered = 0
    for _ in range(300):
        outcomes = [
            Outcome(fraction=f, slice=name, n_train=f * n, errors=errors, n=4 * n)
            for name, n in sizes.items()
            for f in FRACTIONS
            for errors in [int(rng.binomial(4 * n, 0.9 * (f * n) ** -0.5))]
        ]
        needed = by_name(deficits(slices, outcomes, Audit(target_error=0.1)))["edge"].needed
        covered += (needed.low or 0.0) <= truth <= (float("inf") if needed.high is None else needed.high)
    assert covered >= 0.92 * 300

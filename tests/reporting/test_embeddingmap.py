"""A map is the organic records' principal plane, the same for the same records, and light enough to mail."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.reporting.drawings import inside, sound, texts

from proofset.reporting.embeddingmap import MOST, Map, embedding_map, inside_shares, lighter, plane

Doubles = NDArray[np.float64]


def cloud(n: int, seed: int = 0, *, scales: tuple[float, ...] = (5.0, 3.0, 0.5, 0.5, 0.5)) -> Doubles:
    """Independent directions of these scales, turned in space."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(np.random.default_rng(99).normal(size=(len(scales), len(scales))))[0]
    made: Doubles = rng.normal(size=(n, len(scales))) * scales @ turn + 7.0
    return made


def test_the_plane_holds_the_two_strongest_directions() -> None:
    organic, synthetic = plane(cloud(1500), cloud(1500, 1))
    assert organic.shape == (1500, 2)
    assert organic.std(axis=0) == pytest.approx([5.0, 3.0], rel=0.06)
    assert synthetic.std(axis=0) == pytest.approx([5.0, 3.0], rel=0.08)
    assert organic.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)


def test_others_are_placed_in_the_references_plane() -> None:
    reference = cloud(400)
    organic, moved, itself = plane(reference, reference + 2.0, reference)
    np.testing.assert_allclose(organic, itself)
    step = moved - organic
    np.testing.assert_allclose(step, np.broadcast_to(step[0], step.shape), atol=1e-9)


def test_a_plane_is_the_same_each_time_and_its_axes_have_one_sign() -> None:
    first, again = plane(cloud(5000)), plane(cloud(5000))
    assert np.array_equal(first[0], again[0])
    turned, upright = plane(-cloud(300))[0], plane(cloud(300))[0]
    np.testing.assert_allclose(np.abs(turned), np.abs(upright), atol=1e-8)


def test_at_most_so_many_records_are_drawn_from_slices_alone() -> None:
    class Rows:
        """Only what a file read block by block offers."""

        def __init__(self, rows: Doubles) -> None:
            self.rows, self.shape = rows, rows.shape

        def __getitem__(self, which: slice) -> Doubles:
            assert isinstance(which, slice)
            return self.rows[which]

    rows = cloud(3 * MOST)
    from_array, from_slices = plane(rows, rows)[1], plane(Rows(rows), Rows(rows))[1]
    assert from_array.shape == (MOST, 2)
    assert np.array_equal(from_array, from_slices)


def test_more_directions_than_records_are_no_obstacle() -> None:
    wide = np.random.default_rng(3).normal(size=(12, 300)) * 2
    organic, _ = plane(wide, wide[:3])
    left, values, _ = np.linalg.svd(wide - wide.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(organic), np.abs(left[:, :2] * values[:2]), atol=1e-8)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_few_directions_are_no_obstacle(d: int) -> None:
    organic, synthetic = plane(np.random.default_rng(0).normal(size=(30, d)), np.ones((4, d)))
    assert organic.shape == (30, 2)
    assert synthetic.shape == (4, 2)
    assert np.isfinite(organic).all()


def test_the_share_of_the_variance_that_is_shown_is_known() -> None:
    found = Map.of(cloud(2000), cloud(50, 1))
    assert found.share == pytest.approx((25 + 9) / (25 + 9 + 0.75), abs=0.01)
    assert Map.of(np.ones((20, 4)), np.ones((3, 4))).share is None


def test_the_outline_encloses_nine_in_ten_and_as_many_of_fresh_records() -> None:
    found = Map.of(cloud(2000), cloud(2000, 1))
    organic, synthetic = inside_shares(found)
    assert organic == pytest.approx(0.9, abs=0.01)
    assert synthetic == pytest.approx(0.9, abs=0.03)


def test_strange_records_lie_outside_the_outline() -> None:
    _, strange = inside_shares(Map.of(cloud(1000), cloud(500, 1) + 40.0))
    assert strange == 0.0
    half = np.concatenate([cloud(500, 1), cloud(500, 2) + 40.0])
    assert inside_shares(Map.of(cloud(1000), half))[1] == pytest.approx(0.45, abs=0.04)


def test_a_few_records_have_no_outline() -> None:
    assert inside_shares(Map.of(cloud(9), cloud(9, 1))) == (None, None)


def test_a_map_is_sound_says_what_it_shows_and_is_light() -> None:
    found = Map.of(cloud(2 * MOST), cloud(2 * MOST, 1))
    figure = embedding_map(found.organic, found.synthetic, share=found.share)
    sound(figure)
    assert inside(figure) == []
    assert len(figure) < 200_000
    told = texts(figure)
    assert "organic, 2,000 records drawn" in told
    assert any(text.endswith("within the outline") for text in told)
    assert "which hold 97." in figure


def test_every_record_is_drawn_once() -> None:
    found = Map.of(cloud(700), cloud(345, 1))
    figure = embedding_map(found.organic, found.synthetic)
    assert len(re.findall(r"M[\d.]+ [\d.]+h0", figure)) == 2 * (700 + 345)


def test_what_lies_far_beyond_is_counted() -> None:
    far = np.concatenate([cloud(100, 1), cloud(3, 2) + 1000.0])
    found = Map.of(cloud(500), far)
    assert any("3 beyond the frame" in text for text in texts(embedding_map(found.organic, found.synthetic)))


@pytest.mark.parametrize(
    ("organic", "synthetic"),
    [
        (np.zeros((0, 2)), np.zeros((0, 2))),
        (np.zeros((0, 2)), np.ones((3, 2))),
        (np.ones((30, 2)), np.ones((3, 2))),
        (np.array([[0.0, 1.0]]), np.zeros((0, 2))),
        (np.array([[0.0, np.nan], [1.0, 2.0]]), np.array([[np.inf, 0.0]])),
    ],
)
def test_nothing_to_see_is_drawn_all_the_same(organic: Any, synthetic: Any) -> None:
    sound(embedding_map(organic, synthetic))


def test_lighter_rounds_paths_and_nothing_else() -> None:
    drawn = '<path id="a1.2345" d="M 1.2345 2 \nL 1.2345 2 \nM 3.04 4.96 L 5.5 6.123 z " style="stroke-width: 3.456"/>'
    assert lighter(drawn) == ('<path id="a1.2345" d="M1.2 2h0 M 3 5 L 5.5 6.1 z" style="stroke-width: 3.456"/>')

"""A critic with a taste is distilled and saves calls within the bound; one without is found out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from proofset.errors import InputError
from proofset.nouns.candidate import Brief, Candidate, Decision
from proofset.nouns.evidence import Evidence
from proofset.synthesizing.distilled import Distilled, DistilledJudge

SLICES = ("bird", "fish", "tree")
WIDTH = 12
World = tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]


def world(seed: int, n: int, *, noise: float = 0.35, contrary: float = 0.0) -> World:
    """Texts about three things, each asked for one of them; refused where they are about another.

    ``noise`` is that of the vectors, ``contrary`` the share of verdicts turned round.
    """
    rng = np.random.default_rng([seed, n])
    asked, about = rng.integers(0, 3, n), rng.integers(0, 3, n)
    about = np.where(rng.random(n) < 0.4, asked, about)
    rows = np.eye(3, WIDTH)[about] + rng.normal(scale=noise, size=(n, WIDTH))
    refused = (about != asked) ^ (rng.random(n) < contrary)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), refused, [SLICES[place] for place in asked]


def fitted(data: World, most_lost: float = 0.05, seed: int = 0) -> Distilled:
    vectors, refused, slices = data
    return Distilled.fit(vectors, refused, slices, most_lost=most_lost, seed=seed)


def test_a_critic_with_a_clear_taste_is_distilled_and_saves_most_of_its_refusals() -> None:
    report = fitted(world(0, 600)).report
    assert report.usable and report.reason == ""
    assert (report.caught.value or 0) > 0.8
    assert (report.saved.value or 0) > 0.3
    assert (report.lost.high or 1) <= 0.05 + 1e-9
    assert (report.n, report.saved.n, report.lost.n + report.caught.n) == (600, 600, 600)
    assert (report.saved.low or 0) < (report.saved.value or 0) < (report.saved.high or 0)


def test_what_is_lost_on_fresh_candidates_stays_within_the_bound() -> None:
    lost, saved = [], []
    for seed in range(8):
        distilled = fitted(world(seed, 500, contrary=0.05), most_lost=0.08)
        assert distilled.report.usable
        vectors, refused, slices = world(seed, 3000, contrary=0.05)
        refuses = distilled.refusal(vectors, slices) > distilled.report.threshold
        lost.append(float(refuses[~refused].mean()))
        saved.append(float(refuses.mean()) - (distilled.report.saved.value or 0))
    assert sorted(lost)[-2] <= 0.08  # the bound holds 39 times in 40
    assert float(np.mean(lost)) < 0.065
    assert abs(float(np.mean(saved))) < 0.05  # what was promised is what is saved


def test_the_same_text_is_refused_in_one_slice_and_not_in_another() -> None:
    distilled = fitted(world(1, 600))
    bird = np.eye(3, WIDTH)[[0, 0, 0]]
    refusal = distilled.refusal(bird, SLICES)
    assert refusal[0] < 0.1 and min(refusal[1:]) > 0.9


def test_it_is_not_usable_where_verdicts_are_random() -> None:
    for seed in range(4):
        vectors, _, slices = world(seed, 400)
        refused = np.random.default_rng(seed).random(400) < 0.5
        for most_lost in (0.05, 0.3):
            report = fitted((vectors, refused, slices), most_lost).report
            assert not report.usable and report.reason
            assert math.isinf(report.threshold)


def test_it_says_why_it_is_not_usable() -> None:
    vectors, refused, slices = world(2, 400)
    few = fitted((vectors[:99], refused[:99], slices[:99])).report
    assert (few.usable, few.reason) == (False, "only 99 verdicts, at least 100 are needed")
    assert (few.n, few.saved.value, few.lost.value) == (99, None, None)
    assert "refused every one of 400" in fitted((vectors, np.ones(400, dtype=bool), slices)).report.reason
    assert "accepted every one of 400" in fitted((vectors, np.zeros(400, dtype=bool), slices)).report.reason
    lone = np.arange(400) == 7
    assert "only 1 verdicts of one kind" in fitted((vectors, lone, slices)).report.reason
    assert "too few to bound" in fitted((vectors, ~(np.arange(400) < 20), slices)).report.reason
    assert fitted((np.zeros((0, 4)), np.zeros(0, dtype=bool), [])).report.reason


def test_a_tighter_bound_saves_less() -> None:
    data = world(3, 800, noise=0.6)
    saved = [fitted(data, most_lost).report.saved.value or 0 for most_lost in (0.03, 0.1, 0.3)]
    assert saved[0] < saved[1] < saved[2]


def test_a_slice_that_accepts_nothing_is_no_trouble() -> None:
    vectors, refused, slices = world(4, 400)
    always = refused | (np.asarray(slices) == "tree")
    distilled = fitted((vectors, always, slices))
    assert distilled.report.usable
    of_tree = np.asarray(slices) == "tree"
    refuses = distilled.refusal(vectors, slices) > distilled.report.threshold
    assert refuses[of_tree].mean() > 0.8


def test_shapes_that_do_not_fit_are_refused() -> None:
    vectors, refused, slices = world(7, 120)
    broken = vectors.copy()
    broken[3, 3] = math.nan
    for bad in ((vectors, refused[:-1], slices), (vectors[:, 0], refused, slices), (broken, refused, slices)):
        with pytest.raises(InputError):
            fitted(bad)
    with pytest.raises(InputError):
        fitted((vectors, refused, slices), most_lost=1.0)
    with pytest.raises(InputError):
        fitted((vectors, refused, slices)).refusal(vectors[:, :3], slices)


def judged(distilled: Distilled, slice_name: str, text: str) -> tuple[Decision, str, float]:
    def encode(texts: Sequence[str]) -> NDArray[np.float64]:
        return np.stack([np.eye(3, WIDTH)[SLICES.index(each)] for each in texts])

    brief = Brief(
        id="b", slice=slice_name, label=slice_name, number=0, anchors=(), evidence=Evidence(), opening="",
        unseen_fold=0, seed=0, prompt="", shared_chars=0,
    )  # fmt: skip
    candidate = Candidate(
        id="c", brief_id="b", slice=slice_name, text=text, label=slice_name, unseen_fold=0, finish="stop"
    )
    verdict = DistilledJudge(distilled, encode).judge(brief, candidate)
    assert (verdict.judge, verdict.candidate_id, verdict.scores[0][0]) == ("distilled critic", "c", "refusal")
    return verdict.decision, verdict.reason, verdict.scores[0][1]


def test_the_judge_refuses_with_its_code_and_score() -> None:
    distilled = fitted(world(8, 600))
    decision, reason, score = judged(distilled, "fish", "bird")
    assert (decision, reason) == (Decision.REJECT, "distilled refusal")
    assert score > 0.9
    assert judged(distilled, "bird", "bird")[:2] == (Decision.ACCEPT, "")


def test_what_it_never_saw_goes_on_to_the_model() -> None:
    assert judged(fitted(world(8, 600)), "moss", "bird") == (Decision.ACCEPT, "", 0.0)
    assert judged(fitted(world(8, 60)), "fish", "bird") == (Decision.ACCEPT, "", 0.0)

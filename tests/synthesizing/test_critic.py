"""The critic weighs the asked label against its strongest rival, with heads as blind as the generator was."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from proofset.judges import Critic
from proofset.nouns.candidate import SEEN_ALL, Brief, Candidate, Decision
from proofset.nouns.evidence import Evidence
from proofset.synthesizing.critic import (
    HeadView,
    OrganicTexts,
    PanelCritic,
    SparseHead,
    Weights,
    character_view,
    head_view,
)

TOPICS = {"fish": "salmon trout river gills fins scales hook", "bird": "feather wing nest beak sky perch egg"}


class Says:
    """A head that always gives the same probabilities."""

    def __init__(self, **probabilities: float) -> None:
        self.classes = tuple(probabilities)
        self._row = list(probabilities.values())

    def predict(self, vectors: Any) -> NDArray[np.float64]:
        return np.array([self._row] * len(vectors))


def lengths(texts: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[float(len(text))] for text in texts])


def view(labels: str, **heads: Says) -> HeadView:
    """A view with heads ``all`` (has seen everything), ``f0``, ``f1`` …"""
    folds = {SEEN_ALL if name == "all" else int(name[1:]): head for name, head in heads.items()}
    return HeadView(name="fixed", encode=lengths, labels=tuple(labels), heads=folds)


def asked(label: str, fold: int = SEEN_ALL) -> tuple[Brief, Candidate]:
    brief = Brief(
        id="b",
        slice=label,
        label=label,
        number=0,
        anchors=(),
        evidence=Evidence(),
        opening="",
        unseen_fold=fold,
        seed=0,
        prompt="",
        shared_chars=0,
    )
    candidate = Candidate(id="c", brief_id="b", slice=label, text="text", label=label, unseen_fold=fold, finish="stop")
    return brief, candidate


def score(critic: PanelCritic, label: str, fold: int = SEEN_ALL) -> float:
    ((_, value),) = critic.judge(*asked(label, fold)).scores
    return value


# ── the decision ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_labels() -> None:
    critic = PanelCritic([view("ab", all=Says(a=0.7, b=0.3))], Critic(threshold=0.5))
    good, bad = critic.judge(*asked("a")), critic.judge(*asked("b"))
    assert (good.decision, good.reason, good.critique) == (Decision.ACCEPT, "", "")
    assert (bad.decision, bad.reason, bad.critique) == (Decision.REJECT, "off label", "'b' against 'a': 30%")
    assert (good.evidence, bad.evidence) == ((), ("a",))
    assert good.scores == (("asked against rival", 0.7),)
    assert good.candidate_id == "c"


def test_among_many_labels_only_the_strongest_rival_counts() -> None:
    critic = PanelCritic([view("abcd", all=Says(a=0.3, b=0.2, c=0.25, d=0.25))], Critic(threshold=0.5))
    assert score(critic, "a") == pytest.approx(0.3 / 0.55, abs=1e-4)
    assert critic.judge(*asked("a")).decision is Decision.ACCEPT  # though a has less than half
    assert score(critic, "b") == pytest.approx(0.2 / 0.5, abs=1e-4)
    assert critic.judge(*asked("b")).critique == "'b' against 'a': 40%"


def test_the_threshold_is_reached_when_it_is_equalled() -> None:
    even = view("ab", all=Says(a=0.5, b=0.5))
    assert PanelCritic([even], Critic(threshold=0.5)).judge(*asked("a")).decision is Decision.ACCEPT
    assert PanelCritic([even], Critic(threshold=0.51)).judge(*asked("a")).decision is Decision.REJECT
    never = view("ab", all=Says(a=0.0, b=1.0))
    assert PanelCritic([never], Critic(threshold=0.0)).judge(*asked("a")).decision is Decision.ACCEPT


def test_views_are_pooled_by_their_geometric_mean() -> None:
    critic = PanelCritic([view("ab", all=Says(a=0.9, b=0.1)), view("ab", all=Says(b=0.6, a=0.4))], Critic())
    a, b = (0.9 * 0.4) ** 0.5, (0.1 * 0.6) ** 0.5
    assert critic.opinion(["x", "y"], SEEN_ALL) == pytest.approx(np.array([[a, b]] * 2) / (a + b))
    assert score(critic, "a") == pytest.approx(a / (a + b), abs=1e-4)


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda p: sum(p) > 0), min_size=1, max_size=3))
def test_opinions_are_probabilities(rows: list[list[float]]) -> None:
    heads = [Says(**{name: p / sum(row) for name, p in zip("abc", row, strict=True)}) for row in rows]
    critic = PanelCritic([view("abc", all=head) for head in heads], Critic())
    (opinion,) = critic.opinion(["x"], SEEN_ALL)
    assert opinion.sum() == pytest.approx(1)
    assert (opinion > 0).all()  # one view's certainty never silences the others
    assert all(0 <= score(critic, label) <= 1 for label in "abc")


# ── blindness ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_candidate_is_judged_by_heads_that_have_not_seen_its_fold() -> None:
    critic = PanelCritic([view("ab", all=Says(a=0.5, b=0.5), f0=Says(a=0.9, b=0.1), f1=Says(a=0.2, b=0.8))], Critic())
    assert [score(critic, "a", fold) for fold in (0, 1)] == [0.9, 0.2]


@pytest.mark.parametrize("fold", [SEEN_ALL, -1, 7])
def test_without_such_heads_by_those_that_have_seen_all(fold: int) -> None:
    critic = PanelCritic([view("ab", all=Says(a=0.6, b=0.4), f0=Says(a=0.9, b=0.1))], Critic())
    assert score(critic, "a", fold) == 0.6


def test_a_label_that_a_head_never_saw_is_refused_by_it() -> None:
    critic = PanelCritic([view("abc", all=Says(a=0.2, b=0.2, c=0.6), f0=Says(b=0.3, c=0.7))], Critic())
    assert critic.opinion(["x"], 0)[0] == pytest.approx([1e-6, 0.3, 0.7], abs=1e-5)
    assert critic.judge(*asked("a", 0)).decision is Decision.REJECT
    assert score(critic, "c", 0) == pytest.approx(0.7, abs=1e-4)


def test_a_head_for_each_fold_is_fitted_without_it() -> None:
    fitted: list[tuple[list[float], list[str]]] = []

    def fit(features: Any, labels: Sequence[str], weights: Weights) -> Says:
        assert weights.tolist() == [1.0] * len(labels)
        fitted.append((features[:, 0].tolist(), list(labels)))
        return Says(**dict.fromkeys(sorted(set(labels)), 0.5))

    organic = OrganicTexts(("x", "xx", "xxx", "xxxx"), ("b", "a", "a", "b"), (0, 0, 1, 2))
    made = head_view("lengths", lengths, fit, organic)
    assert list(made.heads) == [SEEN_ALL, 0, 1, 2]
    assert fitted == [
        ([1, 2, 3, 4], ["b", "a", "a", "b"]), ([3, 4], ["a", "b"]), ([1, 2, 4], ["b", "a", "b"]),
        ([1, 2, 3], ["b", "a", "a"]),
    ]  # fmt: skip
    assert made.labels == ("a", "b")


def test_a_fold_that_leaves_one_label_has_no_head() -> None:
    organic = OrganicTexts(("x", "xx", "xxx"), ("a", "b", "b"), (0, 1, 2))
    made = head_view("lengths", lengths, lambda features, labels, weights: Says(a=0.5, b=0.5), organic)
    assert list(made.heads) == [SEEN_ALL, 1, 2]  # without fold 0 there is no a left
    assert score(PanelCritic([made], Critic()), "a", 0) == 0.5


# ── real heads ──────────────────────────────────────────────────────────────────────────────────────────────────────


def town(n: int, seed: int) -> OrganicTexts:
    """Texts of two topics with no word in common, the folds taking turns."""
    rng = random.Random(seed)
    labels = tuple(rng.choice(["fish", "bird"]) for _ in range(n))
    texts = tuple(" ".join(rng.sample(TOPICS[label].split(), 4)) for label in labels)
    return OrganicTexts(texts, labels, tuple(k % 3 for k in range(n)))


def test_characters_tell_topics_apart() -> None:
    made, fresh = character_view(town(60, 0)), town(40, 1)
    for fold in (SEEN_ALL, 0, 1, 2):
        found = made.probabilities(fresh.texts, fold)
        assert found.sum(axis=1) == pytest.approx(np.ones(40))
        right = [made.labels[column] == label for column, label in zip(found.argmax(axis=1), fresh.labels, strict=True)]
        assert all(right)


def test_the_head_without_a_fold_differs_from_the_one_with_it() -> None:
    made = character_view(town(30, 0))
    (all_seen,), (blind,) = made.probabilities(["salmon wing"], SEEN_ALL), made.probabilities(["salmon wing"], 1)
    assert not np.allclose(all_seen, blind)


def test_text_of_nothing_known_is_judged_too() -> None:
    critic = PanelCritic([character_view(town(30, 0))], Critic())
    for text in ("", "🙂", "中文", "x" * 10_000):
        assert critic.opinion([text], 0).sum() == pytest.approx(1)


def test_a_sparse_head_counts_rare_labels_as_much() -> None:
    features = np.array([[0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [1.0], [0.0]])
    head = SparseHead(features, ["many"] * 8 + ["few"] * 2, np.ones(10), 1.0)
    assert head.classes == ("few", "many")
    (few, _), (middle, _) = head.predict(np.array([[1.0], [0.0]]))
    assert few > 0.5
    assert 0.3 < middle < 0.5  # eight to one, and yet no landslide


def test_a_refusal_names_the_strongest_rival_and_nobody_else() -> None:
    critic = PanelCritic([view("abcd", all=Says(a=0.1, b=0.2, c=0.4, d=0.3))], Critic(threshold=0.5))
    assert [critic.judge(*asked(label)).evidence for label in "abcd"] == [("c",), ("c",), (), ("c",)]


def test_a_weight_counts_as_so_many_records() -> None:
    features = np.array([[0.0], [0.0], [1.0], [1.0], [1.0]])
    labels = ["a", "b", "a", "b", "b"]
    weighed = SparseHead(features, labels, np.array([1.0, 1.0, 3.0, 1.0, 1.0]), 1.0)
    repeated = SparseHead(np.r_[features, [[1.0], [1.0]]], [*labels, "a", "a"], np.ones(7), 1.0)
    plain = SparseHead(features, labels, np.ones(5), 1.0)
    both = np.array([[0.0], [1.0]])
    assert weighed.predict(both) == pytest.approx(repeated.predict(both), abs=1e-4)
    assert weighed.predict(both) != pytest.approx(plain.predict(both), abs=1e-2)
    assert weighed.classes == repeated.classes == ("a", "b")


# ── titles ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def titled(organic: OrganicTexts, weight: float, **titles: str) -> OrganicTexts:
    return replace(organic, titles=tuple(titles.items()), title_weight=weight)


def test_titles_of_no_weight_change_nothing() -> None:
    plain = character_view(town(30, 0))
    same = character_view(titled(town(30, 0), 0.0, fish="feather nest", bird="salmon scales"))
    fresh = town(20, 1)
    for fold in (SEEN_ALL, 0, 1, 2):
        assert np.array_equal(plain.probabilities(fresh.texts, fold), same.probabilities(fresh.texts, fold))


def test_a_title_joins_every_head_with_its_weight() -> None:
    fitted: list[tuple[list[float], list[str], list[float]]] = []

    def fit(features: Any, labels: Sequence[str], weights: Weights) -> Says:
        fitted.append((features[:, 0].tolist(), list(labels), weights.tolist()))
        return Says(**dict.fromkeys(sorted(set(labels)), 0.5))

    organic = titled(OrganicTexts(("x", "xx", "xxx"), ("a", "b", "b"), (0, 1, 2)), 2.5, a="x" * 9)
    made = head_view("lengths", lengths, fit, organic)
    assert fitted == [
        ([1, 2, 3, 9], ["a", "b", "b", "a"], [1, 1, 1, 2.5]),
        ([2, 3, 9], ["b", "b", "a"], [1, 1, 2.5]),  # fold 0 holds all there is of a, but for its title
        ([1, 3, 9], ["a", "b", "a"], [1, 1, 2.5]),
        ([1, 2, 9], ["a", "b", "a"], [1, 1, 2.5]),
    ]
    assert list(made.heads) == [SEEN_ALL, 0, 1, 2]


def test_a_title_alone_can_teach_a_label() -> None:
    labels = ("bird", "bird", "bird", "bird", "fish", "fish")
    texts = tuple(TOPICS[label] for label in labels)
    organic = OrganicTexts(texts, labels, (0, 0, 1, 1, 2, 2))
    assert 2 not in character_view(organic).heads  # without fold 2 there is no fish left
    taught = character_view(titled(organic, 1.0, fish="salmon trout with fins and scales", bird="wing and feather"))
    critic = PanelCritic([taught], Critic(threshold=0.5))
    (opinion,) = critic.opinion(["a river trout with gills and fins"], 2)
    assert taught.labels == ("bird", "fish")
    assert opinion[1] > 0.5
    (opinion,) = critic.opinion(["a wing and a beak in its nest"], 2)
    assert opinion[0] > 0.5


def test_a_heavier_title_weighs_more() -> None:
    found = []
    for weight in (0.0, 1.0, 20.0):
        made = character_view(titled(town(30, 0), weight, fish="perch egg"))  # words of the other topic
        found.append(float(made.probabilities(["perch egg"], SEEN_ALL)[0, made.labels.index("fish")]))
    assert found == sorted(found)
    assert found[2] > found[0] + 0.2

"""The critic: a label-blind second opinion from weak judges that fail differently.

It is told the text and nothing else and says how probable each label is. The candidate stands or falls with the
probability of the label it was asked for against that of its strongest rival: p / (p + p_rival). A critic must be
stronger than the student it protects, so it is put on trial (``calibration.py``) before it is believed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from proofset.judges import Critic
from proofset.nouns.candidate import SEEN_ALL, Brief, Candidate, Decision, Verdict

Weights = NDArray[np.float64]
TITLE = -3
"""Fold of a title: no head is without it."""

Encode = Callable[[Sequence[str]], Any]
"""Texts to features of shape ``(n, d)``, dense or sparse."""


class SparseHead:
    """Class-balanced logistic regression over sparse features, with a Head's face."""

    def __init__(self, features: Any, labels: Sequence[str], weights: Weights, strength: float) -> None:
        """Fit to features of shape ``(n, d)`` with weights ``(n,)``; ``strength`` is the inverse of regularisation."""
        from sklearn.linear_model import LogisticRegression

        self._model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
        with warnings.catch_warnings():  # many labels with few records each are what starving means
            warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
            self._model.fit(features, labels, sample_weight=weights)
        self.classes = tuple(str(name) for name in self._model.classes_)

    def predict(self, vectors: Any) -> NDArray[np.float64]:
        """Class probabilities of shape ``(n, n_classes)``."""
        return np.asarray(self._model.predict_proba(vectors))


class Voice(Protocol):
    """What the critic asks of a classifier; a Head is one."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Label names, in the order of the columns of ``predict``."""
        ...

    def predict(self, vectors: Any) -> NDArray[np.float64]:
        """Class probabilities of shape ``(n, n_classes)``."""
        ...


Fit = Callable[[Any, Sequence[str], Weights], Voice]
"""Features of shape ``(n, d)``, labels, and weights of shape ``(n,)`` to a classifier."""


@dataclass(frozen=True, kw_only=True)
class HeadView:
    """Linear heads over one kind of feature: one trained on everything, and one without each fold."""

    name: str
    encode: Encode
    labels: tuple[str, ...]
    heads: Mapping[int, Voice]

    def probabilities(self, texts: Sequence[str], unseen_fold: int) -> NDArray[np.float64]:
        """Label probabilities of shape ``(n, n_labels)``; a label the head never saw gets 0."""
        head = self.heads[unseen_fold]
        found = head.predict(self.encode(texts))
        full = np.zeros((len(texts), len(self.labels)))
        full[:, [self.labels.index(label) for label in head.classes]] = found
        return full


@dataclass(frozen=True, slots=True)
class OrganicTexts:
    """The organic training records, column by column, and what their labels are called."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    folds: tuple[int, ...]
    titles: tuple[tuple[str, str], ...] = ()
    """(label, title) of labels whose title says what they are: knowledge of every fold."""
    title_weight: float = 0.0
    """What a title counts as an example of its label, in records."""


def head_view(name: str, encode: Encode, fit: Fit, organic: OrganicTexts) -> HeadView:
    """Fit a head on all organic records, and one for each fold without it; titles join them all."""
    titles = [(label, title) for label, title in organic.titles if organic.title_weight > 0]
    features = encode([*organic.texts, *(title for _, title in titles)])
    weights = np.r_[np.ones(len(organic.texts)), np.full(len(titles), organic.title_weight)]
    names = np.array([*organic.labels, *(label for label, _ in titles)], dtype=object)
    folds = np.array([*organic.folds, *[TITLE] * len(titles)])
    heads: dict[int, Voice] = {}
    for fold in (SEEN_ALL, *sorted(set(organic.folds))):
        rows = np.flatnonzero(folds != fold)
        labels = [str(label) for label in names[rows]]
        if len(set(labels)) > 1:
            heads[fold] = fit(features[rows], labels, weights[rows])
    return HeadView(name=name, encode=encode, labels=tuple(sorted(set(organic.labels))), heads=heads)


def character_view(organic: OrganicTexts, *, strength: float = 30.0) -> HeadView:
    """TF-IDF of character 1- to 4-grams within words: sees spelling where embeddings see meaning."""
    encode = _character_features(organic.texts)
    return head_view("characters", encode, lambda x, y, weights: SparseHead(x, y, weights, strength), organic)


def _character_features(texts: Sequence[str]) -> Encode:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2, dtype=np.float32)
    vectorizer.fit(texts)
    encode: Encode = vectorizer.transform
    return encode


class PanelCritic:
    """Pools its views' odds and refuses below a threshold. Reason: off label."""

    name = "critic"

    def __init__(self, views: Sequence[HeadView], settings: Critic) -> None:
        """Take the threshold from ``settings``; the views share one order of labels."""
        self._views, self._settings = views, settings
        self.labels = views[0].labels

    def opinion(self, texts: Sequence[str], unseen_fold: int) -> NDArray[np.float64]:
        """Pooled label probabilities of shape ``(n, n_labels)``: the normalised geometric mean over views."""
        logs = [np.log(np.maximum(view.probabilities(texts, unseen_fold), 1e-6)) for view in self._views]
        pooled = np.exp(np.mean(logs, axis=0))
        return np.asarray(pooled / pooled.sum(axis=1, keepdims=True))

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Accept when the asked label is probable enough, by heads as blind to the unseen fold as the generator was."""
        fold = candidate.unseen_fold if candidate.unseen_fold in self._views[0].heads else SEEN_ALL
        (row,) = self.opinion([candidate.text], fold)
        asked = self.labels.index(brief.label)
        rival = int(np.argmax(np.where(np.arange(len(row)) == asked, -1.0, row)))
        score = float(row[asked] / (row[asked] + row[rival]))
        if score >= self._settings.threshold:
            decision, reason, critique = Decision.ACCEPT, "", ""
        else:
            decision, reason = Decision.REJECT, "off label"
            critique = f"{brief.label!r} against {self.labels[rival]!r}: {score:.0%}"
        evidence = () if decision is Decision.ACCEPT else (self.labels[rival],)
        scores = (("asked against rival", round(score, 4)),)
        return Verdict(
            judge=self.name,
            candidate_id=candidate.id,
            decision=decision,
            reason=reason,
            scores=scores,
            critique=critique,
            evidence=evidence,
        )

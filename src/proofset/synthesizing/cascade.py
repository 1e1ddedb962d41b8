"""The cascade: all cheap judges in the order in which a candidate meets them.

They run in the order of ``cost / (1 - yield)``: the ones that refuse much for little come first, and those that need
an embedding last, which is made once for all of them.

| judge | reasons | evidence |
|---|---|---|
| form | truncated, too short, too long, repeats itself | |
| duplicate | duplicate | id of the accepted text |
| organic copy | copy of organic | id of the record |
| contamination | contaminated | id of the held-out record |
| benchmark | contaminated | id of the benchmark's text |
| anchor copy | copies an anchor | id of the record |
| fluency | degenerate | |
| language | wrong language | the language it is in |
| personal | personal data | kinds of datum |
| constitution | breaks a rule | numbers of the rules |
| paraphrase of accepted | near paraphrase | id of the accepted text |
| paraphrase of organic | near paraphrase | id of the record |
| paraphrase of held-out | contaminated | number of the signature |
| paraphrase of benchmark | contaminated | id of the benchmark's text |
| drift | drifted | label of the nearest record |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proofset.copies import CopyIndex
from proofset.errors import InputError
from proofset.judges import Gates
from proofset.plugins import Judge
from proofset.synthesizing.constitution import Constitution, ConstitutionGate
from proofset.synthesizing.drift import DriftGate
from proofset.synthesizing.gates import AnchorGate, CopyGate, FluencyGate, FormGate
from proofset.synthesizing.languages import LanguageGate
from proofset.synthesizing.paraphrases import (
    Encode,
    Encoding,
    ParaphraseGate,
    SealedIndex,
    VectorIndex,
    unit_rows,
)
from proofset.synthesizing.personal import PersonalGate

Texts = Sequence[tuple[str, str]]
"""(id, text) of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What the gates on paraphrases and drift need: an encoder, and what is encoded already."""

    encode: Encode
    """Texts to vectors ``(n, d)``."""
    vectors: NDArray[np.float32] | None = None
    """Those of the organic texts, ``(n, d)`` in their order. None: they are encoded."""
    labels: Sequence[str] | None = None
    """Slices of the organic texts, in their order. None: all are of one."""
    sealed: SealedIndex | None = None
    """Signatures of held-out texts. None: candidates are not compared with any."""


class Cascade:
    """The gates in order. All slices share them, but for those that remember what a slice has accepted."""

    stateful = frozenset({"duplicate", "paraphrase of accepted"})
    """The gates whose verdict depends on what was accepted before."""

    def __init__(
        self,
        settings: Gates,
        organic: Texts,
        contamination: CopyIndex,
        *,
        meaning: Meaning | None = None,
        benchmarks: Texts = (),
        constitution: Constitution | None = None,
        before: Texts = (),
    ) -> None:
        """``organic`` are (record id, text) of training records; ``contamination`` knows held-out texts as hashes.

        Without ``meaning`` there are no gates on paraphrases and drift. ``benchmarks`` are texts of published
        evaluations, ``before`` what earlier runs have accepted.

        Raises InputError for vectors or labels of another number than ``organic``, ConfigError for an unknown language.
        """
        self._settings = settings
        self._before = _copies(settings, before)
        self._words = tuple(_by_words(settings, organic, contamination, benchmarks, constitution))
        self._meaning: tuple[Judge, ...] = ()
        self._encoding: Encoding | None = None
        self._before_vectors: tuple[VectorIndex, ...] = ()
        if meaning is not None:
            encoding = Encoding(meaning.encode)
            self._meaning = tuple(_by_meaning(settings, organic, meaning, encoding, benchmarks))
            if settings.paraphrase_similarity < 1:
                self._encoding = encoding
                self._before_vectors = _vectors(settings, before, meaning.encode)

    def for_slice(self) -> tuple[list[Judge], Callable[[str, str], None]]:
        """One slice's gates in order, and what to call with (id, text) of each accepted candidate."""
        copies = CopyIndex(self._settings.copy_similarity)
        form, duplicate = FormGate(self._settings), CopyGate("duplicate", "duplicate", copies, self._before)
        if self._encoding is None:
            return [form, duplicate, *self._words, *self._meaning], copies.add
        encoding, vectors = self._encoding, VectorIndex(self._settings.paraphrase_similarity)

        def remember(candidate_id: str, text: str) -> None:
            copies.add(candidate_id, text)
            vectors.add(candidate_id, encoding(text))

        indexes = (vectors, *self._before_vectors)
        paraphrase = ParaphraseGate("paraphrase of accepted", "near paraphrase", encoding, *indexes)
        return [form, duplicate, *self._words, paraphrase, *self._meaning], remember


def _by_words(
    settings: Gates,
    organic: Texts,
    contamination: CopyIndex,
    benchmarks: Texts,
    constitution: Constitution | None,
) -> Iterator[Judge]:
    """The gates between the duplicates and the paraphrases."""
    texts = [text for _, text in organic]
    yield CopyGate("organic copy", "copy of organic", _copies(settings, organic))
    yield CopyGate("contamination", "contaminated", contamination)
    if benchmarks:
        yield CopyGate("benchmark", "contaminated", _copies(settings, benchmarks))
    yield AnchorGate(settings)
    yield FluencyGate(texts, settings)
    if settings.language != "any":
        yield LanguageGate(texts, settings)
    if settings.personal != "off":
        yield PersonalGate(texts, settings)
    if constitution is not None:
        yield ConstitutionGate(constitution)


def _by_meaning(
    settings: Gates, organic: Texts, meaning: Meaning, encoding: Encoding, benchmarks: Texts
) -> Iterator[Judge]:
    """The gates that need an embedding and remember nothing."""
    similarity = settings.paraphrase_similarity
    if organic:
        units = unit_rows(meaning.encode([text for _, text in organic]) if meaning.vectors is None else meaning.vectors)
        labels = [""] * len(organic) if meaning.labels is None else meaning.labels
        if not len(units) == len(organic) == len(labels):
            message = f"{len(organic)} organic texts, {len(units)} vectors, {len(labels)} labels"
            raise InputError(message, hint="give one vector and one label for each organic text, in its order")
    if organic and similarity < 1:
        known = VectorIndex.of(similarity, [record_id for record_id, _ in organic], units)
        yield ParaphraseGate("paraphrase of organic", "near paraphrase", encoding, known)
    if meaning.sealed is not None and similarity < 1:
        yield ParaphraseGate("paraphrase of held-out", "contaminated", encoding, meaning.sealed)
    if benchmarks and similarity < 1:
        rows = unit_rows(meaning.encode([text for _, text in benchmarks]))
        published = VectorIndex.of(similarity, [key for key, _ in benchmarks], rows)
        yield ParaphraseGate("paraphrase of benchmark", "contaminated", encoding, published)
    if organic and settings.drift_share > 0:
        yield DriftGate(encoding, units, labels, settings.drift_share)


def _copies(settings: Gates, texts: Texts) -> CopyIndex:
    index = CopyIndex(settings.copy_similarity)
    for key, text in texts:
        index.add(key, text)
    return index


def _vectors(settings: Gates, texts: Texts, encode: Encode) -> tuple[VectorIndex, ...]:
    if not texts:
        return ()
    units = unit_rows(encode([text for _, text in texts]))
    return (VectorIndex.of(settings.paraphrase_similarity, [key for key, _ in texts], units),)

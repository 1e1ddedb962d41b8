"""Leakage: is synthetic text copied, from organic text or from itself?

A near-copy is what ``copies`` says: a Jaccard similarity of word pairs at or above a threshold, found exactly. Organic
data repeats itself too, so each share stands beside its control: the same share among organic texts.

When it lies: a paraphrase shares few word pairs and passes; short formulas ("thank you very much") are near-copies of
each other without anyone having copied. Intervals are Wilson's and take texts as independent, so copies that come in
clusters make them too narrow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from proofset.copies import CopyIndex, groups
from proofset.nouns.record import content_id
from proofset.nouns.result import Better, Measure
from proofset.stats import wilson


def near_copy_share(texts: Sequence[str], organic_texts: Sequence[str], similarity: float) -> tuple[Measure, Measure]:
    """Share of ``texts`` with a near-copy among ``organic_texts``, and that of organic texts among the *other* ones.

    In [0, 1]; lower is better. The control leaves each text itself out, so both shares are taken against the same
    texts, save one. ``value`` is None when there is nothing to compare with.
    """
    name = "near-copy share"
    index = CopyIndex(similarity)
    for number, text in enumerate(organic_texts):
        index.add(str(number), text)
    ours = None
    if texts and organic_texts:
        ours = sum(index.match(text) is not None for text in texts), len(texts)
    return (
        _share(name, ours, "no synthetic or no organic texts"),
        _share(name, _repeated(organic_texts, similarity), "fewer than two organic texts"),
    )


def internal_copy_share(
    texts: Sequence[str], organic_texts: Sequence[str], similarity: float, *, seed: int = 0
) -> tuple[Measure, Measure]:
    """Share of ``texts`` with a near-copy among the other ``texts``, and the same for as many organic texts.

    In [0, 1]; lower is better. A share of copies grows with the size of the set, so the control is a sample, drawn by
    ``seed``, of the same size; where organic texts are fewer, it has all of them, and its note says that it flatters.
    """
    name = "internal near-copy share"
    chosen = sorted(range(len(organic_texts)), key=lambda number: content_id(seed, number))[: len(texts)]
    control = [organic_texts[number] for number in chosen]
    note = f"only {len(control)} organic texts: a smaller set repeats itself less" if len(control) < len(texts) else ""
    return (
        _share(name, _repeated(texts, similarity), "fewer than two synthetic texts"),
        _share(name, _repeated(control, similarity), "fewer than two organic texts", note),
    )


def _repeated(texts: Sequence[str], similarity: float) -> tuple[int, int] | None:
    """How many texts have a near-copy among the others, of how many: exactly those in a group of two or more."""
    if len(texts) < 2:
        return None
    sizes = Counter(groups(texts, similarity))
    return sum(size for size in sizes.values() if size > 1), len(texts)


def _share(name: str, counts: tuple[int, int] | None, why_not: str, note: str = "") -> Measure:
    if counts is None:
        return Measure(name=name, value=None, unit="share", better=Better.LOWER, note=why_not)
    found, n = counts
    low, high = wilson(found, n)
    return Measure(name=name, value=found / n, low=low, high=high, n=n, unit="share", better=Better.LOWER, note=note)

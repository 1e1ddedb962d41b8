"""Alterations: what a good text is made into, so that one known thing is wrong with it.

Each takes a text and a stream of random numbers. What it cannot alter it gives back as it is, or as an empty text.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

Alter = Callable[[str, random.Random], str]
"""A text, and where to draw from, to the altered text."""


def words_dropped(text: str, rng: random.Random) -> str:
    """The text without one word in seven, but without one at least; empty for a text of a single word."""
    words = text.split()
    if len(words) < 2:
        return ""
    gone = set(rng.sample(range(len(words)), max(1, len(words) // 7)))
    return " ".join(word for place, word in enumerate(words) if place not in gone)


def letters_shuffled(text: str, rng: random.Random) -> str:
    """The text's characters in random order: right letters, no language."""
    letters = list(text)
    rng.shuffle(letters)
    return "".join(letters)


def looped(text: str, rng: random.Random) -> str:
    """The first three words six times over."""
    del rng
    return " ".join(text.split()[:3] * 6)


def cut_off(text: str, rng: random.Random) -> str:
    """The first 40 to 80% of the words."""
    words = text.split()
    return " ".join(words[: max(1, int(len(words) * rng.uniform(0.4, 0.8)))])


def one_word(text: str, rng: random.Random) -> str:
    """The first word alone: shorter than any judge of length can want it."""
    del rng
    return " ".join(text.split()[:1])


_ENTITY = re.compile(r"(?P<number>\d+(?:[.,:]\d+)*)|(?<=[a-z,;] )(?P<name>[A-Z][\w'-]+)")


def entities(texts: Iterable[str]) -> dict[str, list[str]]:
    """Numbers, and names inside of sentences, in order of first appearance.

    When it lies: a name is any capitalised word after a small letter or a comma, so German nouns are names.
    """
    found: dict[str, dict[str, None]] = {"number": {}, "name": {}}
    for text in texts:
        for match in _ENTITY.finditer(text):
            found[str(match.lastgroup)][match.group()] = None
    return {kind: list(values) for kind, values in found.items()}


def entity_swapped(text: str, others: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """The text with one of its entities exchanged for another of the same kind out of ``others``."""
    matches = list(_ENTITY.finditer(text))
    for match in rng.sample(matches, len(matches)):
        instead = [each for each in others[str(match.lastgroup)] if each != match.group()]
        if instead:
            return text[: match.start()] + rng.choice(instead) + text[match.end() :]
    return text


_VERB = re.compile(r"\b(?:is|are|was|were|can|could|will|would|should|must|may)\b(?!')", re.IGNORECASE)
_DENIABLE = "is|are|was|were|could|would|should|must|may|does|do|did|has|have|had"
_DENIAL = re.compile(rf"\b({_DENIABLE})(?:n't| not)\b", re.IGNORECASE)


def negated(text: str, rng: random.Random) -> str:
    """An English statement denied, or its denial taken back; a question, or one without such a verb, as it is.

    When it lies: it looks at the first such verb alone, which may be that of a side remark.
    """
    del rng
    if text.rstrip().endswith("?"):
        return text
    if _DENIAL.search(text):
        return _DENIAL.sub(r"\1", text, count=1)
    return _VERB.sub(lambda match: f"{match.group()} not", text, count=1)

"""The language gate: is a text in the language it should be in? Wrong only where that is beyond doubt.

The detector is py3langid (a fork of Lui and Baldwin 2012): naive Bayes over byte n-grams, 140 languages, no network.
Its probabilities mean little for a few words, so a text is refused for the *ratio* of two of them, which must be far
larger for a text of one to three words, where names and loan words look like any language.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from proofset.errors import ConfigError
from proofset.judges import Gates
from proofset.nouns.candidate import Brief, Candidate, Verdict
from proofset.synthesizing.gates import accept, reject

FEWEST_WORDS = 4
"""Words from which a text is long enough for ``ODDS``."""
CLEAR_MAJORITY = 0.7
"""Share of organic texts in one language from which candidates must be in it."""
SEEN = 0.01
"""Smallest share of organic texts in a language that is accepted where none has a clear majority."""
ODDS = 20.0
"""How many times as probable as the expected language another one must be."""
ODDS_OF_FEW = 1e6
"""The same for a text of fewer than 4 words; foreign names reach a tenth of it."""
SAMPLE = 2000
"""Organic texts whose language is looked up: more would not change what the majority is in."""

_NO_LANGUAGE = "zxx"
_LATIN = "LATIN"
_SCRIPTS = {
    "ARABIC": "ar ary arz fa ku ps sd sdh ug ur",
    "ARMENIAN": "hy",
    "BENGALI": "as bn",
    "CJK": "ja ko wuu yue zh",
    "CYRILLIC": "ba be bg crh kk ky mk mn ru sr tg tk tt uk uz",
    "DEVANAGARI": "gom hi mr ne sa",
    "ETHIOPIC": "am",
    "GEORGIAN": "ka",
    "GREEK": "el grc",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "he hbo",
    "HIRAGANA": "ja",
    "KANNADA": "kn",
    "KATAKANA": "ja",
    "KHMER": "km",
    "LAO": "lo",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "ORIYA": "or",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
    "TIBETAN": "dz",
}
"""Languages written in each script but Latin; names of scripts as Unicode's character names begin with them."""


@lru_cache(maxsize=1)
def _detector() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=64)
def probabilities(text: str) -> Mapping[str, float]:
    """How probable each language is, by ISO 639 code, most probable first; they sum to 1.

    When it lies: below about four words, and between close relatives (Norwegian and Danish, Croatian and Bosnian).
    """
    return dict(_detector().rank(text))


def scripts(text: str) -> Counter[str]:
    """How many letters are in each script, as Unicode's character names begin: LATIN, CYRILLIC, CJK."""
    return Counter(map(_script_of, filter(str.isalpha, text)))


@lru_cache(maxsize=4096)
def _script_of(letter: str) -> str:
    return unicodedata.name(letter, "").replace("FULLWIDTH ", "").partition(" ")[0]


def languages_of(texts: Sequence[str]) -> frozenset[str]:
    """The language of most of ``texts``; all that are at all usual where none has 70 %; none for no usable texts."""
    step = -(-len(texts) // SAMPLE) or 1
    read = [text for text in texts[::step] if len(text.split()) >= FEWEST_WORDS] or list(texts[::step])
    found = Counter(next(iter(probabilities(text))) for text in read if text.strip())
    found.pop(_NO_LANGUAGE, None)
    if not found:
        return frozenset()
    ((language, count),) = found.most_common(1)
    if count >= CLEAR_MAJORITY * found.total():
        return frozenset((language,))
    return frozenset(name for name, count in found.items() if count >= SEEN * found.total())


class LanguageGate:
    """Is it in the right language? Reason: wrong language. Evidence: the code of the language it is in, or its script.

    A text is refused when most of its letters are in a script that the expected language is not written in (Latin
    letters are at home everywhere), or when another language is 20 times as probable, a million times for a text of
    fewer than 4 words.

    When it lies: slang and texts of many foreign names are refused, a text of words that relatives share is accepted.
    Texts without spaces count as one word.
    """

    name = "language"

    def __init__(self, organic: Sequence[str], settings: Gates) -> None:
        """Find the expected languages in ``organic``, or take them from ``settings.language``.

        Raises ConfigError for a language that the detector does not know.
        """
        self.expected: frozenset[str] = frozenset()
        """ISO 639 codes that are accepted; empty: any."""
        if settings.language == "organic":
            self.expected = languages_of(organic)
        elif settings.language != "any":
            self.expected = frozenset((settings.language,))
            self._check_known(settings.language)
        written = {name for name, languages in _SCRIPTS.items() if not self.expected.isdisjoint(languages.split())}
        self._scripts = frozenset((*written, _LATIN))

    @staticmethod
    def _check_known(language: str) -> None:
        if language not in (known := _detector().labels):
            hint = f'"organic", "any", or one of {", ".join(sorted(each for each in known if each != _NO_LANGUAGE))}'
            raise ConfigError(f"synthesize.gates.language: {language!r} is no language the detector knows", hint=hint)

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse a text that is beyond doubt in another language."""
        del brief
        if not self.expected:
            return accept(self.name, candidate)
        asked = " or ".join(sorted(self.expected))
        letters = scripts(candidate.text)
        foreign = Counter({name: count for name, count in letters.items() if name not in self._scripts})
        if 2 * foreign.total() > letters.total():
            ((found, _),) = foreign.most_common(1)
            critique = f"written in {found.title()} letters, {asked} was asked for"
            return reject(self.name, candidate, "wrong language", critique, found.title())
        found, most = next(iter(probabilities(candidate.text).items()))
        expected = sum(probabilities(candidate.text).get(language, 0.0) for language in self.expected)
        odds = ODDS if len(candidate.text.split()) >= FEWEST_WORDS else ODDS_OF_FEW
        if found == _NO_LANGUAGE or most < odds * expected:
            return accept(self.name, candidate)
        critique = f"{found} is {most / max(expected, 1e-9):,.0f} times as probable as {asked}"
        return reject(self.name, candidate, "wrong language", critique, found)

"""The cheapest judges: form, degeneration, copies, contamination. Each refuses with one of its reason codes."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from statistics import median

from proofset.copies import CopyIndex, longest_shared_run, runs
from proofset.judges import Gates
from proofset.nouns.candidate import Brief, Candidate, Decision, Verdict
from proofset.nouns.record import normal_form


def accept(judge: str, candidate: Candidate) -> Verdict:
    """The verdict of a judge who has nothing against a candidate."""
    return Verdict(judge=judge, candidate_id=candidate.id, decision=Decision.ACCEPT)


def reject(judge: str, candidate: Candidate, reason: str, critique: str, *evidence: str) -> Verdict:
    """A refusal: ``reason`` is one of the judge's codes, ``critique`` is for people, ``evidence`` what it rests on."""
    return Verdict(
        judge=judge,
        candidate_id=candidate.id,
        decision=Decision.REJECT,
        reason=reason,
        critique=critique,
        evidence=evidence,
    )


class FormGate:
    """Is it a whole text of a sensible length? Reasons: truncated, too short, too long, repeats itself."""

    name = "form"

    def __init__(self, settings: Gates) -> None:
        """Take the limits on words and repetition from ``settings``."""
        self._settings = settings

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse what is cut off, too short, too long or says the same words again and again."""
        del brief
        words, limits = candidate.text.casefold().split(), self._settings
        if candidate.finish == "length":
            return reject(self.name, candidate, "truncated", f"cut off after {len(words)} words")
        if len(words) < limits.min_words:
            return reject(self.name, candidate, "too short", f"{len(words)} words, at least {limits.min_words} asked")
        if len(words) > limits.max_words:
            return reject(self.name, candidate, "too long", f"{len(words)} words, at most {limits.max_words} asked")
        distinct = len(set(words)) / len(words)
        if distinct < limits.distinct_share:
            return reject(self.name, candidate, "repeats itself", f"only {distinct:.0%} of its words are distinct")
        return accept(self.name, candidate)


class FluencyGate:
    """Does it read like the organic text at all? Reason: degenerate.

    A character trigram model of the organic texts (add-one smoothing over seen characters) gives each text its mean
    surprise in bits a character. The limit is set on organic texts the model has not seen. Number soup, shouting and
    foreign scripts lie far beyond it; a fluent text with the wrong meaning does not: that is the critic's work.
    """

    name = "fluency"

    def __init__(self, organic: Sequence[str], settings: Gates) -> None:
        """Learn from one half of ``organic``, set the limit on the other, then learn from both."""
        half = _Trigrams(organic[::2])
        surprises = sorted(half.surprise(text) for text in organic[1::2]) or [math.inf]
        middle = median(surprises)
        spread = 1.4826 * median(abs(each - middle) for each in surprises) if len(surprises) > 1 else 0.0
        self.limit = middle + settings.surprise_limit * max(spread, 0.05)
        self._model = _Trigrams(organic)

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse a text whose characters surprise far more than organic ones do."""
        del brief
        bits = self._model.surprise(candidate.text)
        if bits > self.limit:
            words = f"{bits:.2f} bits a character, organic text stays below {self.limit:.2f}"
            return reject(self.name, candidate, "degenerate", words)
        return accept(self.name, candidate)


class _Trigrams:
    """Counts of what follows each pair of characters."""

    def __init__(self, texts: Sequence[str]) -> None:
        after: dict[str, Counter[str]] = defaultdict(Counter)
        for text in texts:
            padded = f"\x02\x02{text}"
            for place in range(2, len(padded)):
                after[padded[place - 2 : place]][padded[place]] += 1
        alphabet = len({character for counts in after.values() for character in counts}) + 1
        self._bits = _Surprises(math.log2(alphabet))
        for pair, counts in after.items():
            total = math.log2(sum(counts.values()) + alphabet)
            self._bits.unseen[pair] = total
            for character, count in counts.items():
                self._bits[pair + character] = total - math.log2(count + 1)

    def surprise(self, text: str) -> float:
        """Mean bits a character."""
        padded = f"\x02\x02{text}"
        threes = [padded[place : place + 3] for place in range(len(text))]
        return math.fsum(map(self._bits.__getitem__, threes)) / max(1, len(text))


class _Surprises(dict[str, float]):
    """Bits of each three characters that were seen, and of any others when they are asked for."""

    def __init__(self, unknown: float) -> None:
        self.unseen: dict[str, float] = {}
        """Surprise of a character that was not seen after each pair."""
        self._unknown = unknown

    def __missing__(self, three: str) -> float:
        return self.unseen.get(three[:2], self._unknown)


class CopyGate:
    """Is it new? One gate a reason: duplicate, copy of organic, contaminated. Evidence: the id of the text copied.

    It looks through indexes of organic text, of held-out hashes, of benchmarks, or of what was accepted before.
    """

    def __init__(self, name: str, reason: str, *indexes: CopyIndex) -> None:
        """Refuse matches in any of ``indexes`` under the code ``reason``."""
        self.name, self._reason, self._indexes = name, reason, indexes

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse an exact or near copy."""
        del brief
        for index in self._indexes:
            if (match := index.match(candidate.text)) is not None:
                how = "the same text as" if match.exact else f"{match.similarity:.0%} of word pairs shared with"
                return reject(self.name, candidate, self._reason, f"{how} {match.key}", match.key)
        return accept(self.name, candidate)


class AnchorGate:
    """Did it copy what it was shown? Reason: copies an anchor. Evidence: the anchor's record id.

    A continued opening is expected; a long run of an anchor's words is not, whatever comes after it. An opening that
    was not continued is the anchor's own words and nothing else.
    """

    name = "anchor copy"

    def __init__(self, settings: Gates) -> None:
        """Take the longest allowed run from ``settings``."""
        self._settings = settings

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse a run of words shared with an anchor that is too long, or makes up most of the candidate."""
        normal = normal_form(candidate.text)
        words, given = normal.count(" ") + 1, len(brief.opening.split())
        if given and words <= given:
            return reject(self.name, candidate, "copies an anchor", "nothing but the words it was given")
        limit = min(self._settings.copied_run_words, max(4, math.ceil(0.6 * words)))
        too_long = max(limit, given + 1)
        mine = runs(normal, too_long)
        for anchor in brief.anchors:
            if not mine.isdisjoint(runs(_anchor_form(anchor.text), too_long)):
                run = longest_shared_run(candidate.text, anchor.text)
                critique = f"{run} words in a row from {anchor.record_id}"
                return reject(self.name, candidate, "copies an anchor", critique, anchor.record_id)
        return accept(self.name, candidate)


@lru_cache(maxsize=1024)
def _anchor_form(text: str) -> str:
    """The normal form of an anchor: the same few are compared with every candidate."""
    return normal_form(text)

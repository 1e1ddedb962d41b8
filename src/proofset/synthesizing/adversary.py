"""The adversary: looks at what the student makes of a candidate, and wants those that it still gets wrong.

Records far from the student's boundary teach it nothing. The adversary asks what the student, trained on organic
records alone, gives the label against its strongest rival, and keeps a share of a slice's quota for candidates that it
would get wrong and that the critic still agrees with (dynamic adversarial collection, Kiela et al. 2021, with a model
as the annotator).

When it lies: where the critic is no stronger than the student, what both get wrong is not seen, and what the student
gets right by a better view of the text is called hard. Hard records are also wrong more often: see the trial.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor

from proofset.nouns.candidate import Brief, Candidate, Decision, Output, Verdict

TOO_EASY = "too easy"
"""Reason for which the adversary refuses a candidate that all judges before it agreed with."""
EVEN = 0.5
"""The student's score below which it gives the text to another label."""

Student = Callable[[str, str], float]
"""(text, label) to the student's probability of the label against its strongest rival, in [0, 1]."""


class Adversary:
    """A Judge that lets only so many easy candidates pass. Reason: too easy."""

    name = "adversary"

    def __init__(self, student: Student, quota: int, share: float) -> None:
        """Of ``quota`` accepted candidates at least ``share`` are to be ones that the student gets wrong."""
        self._student, self._easy_left = student, floor(quota * (1 - share) + 1e-9)  # 10 * (1 - 0.9) is below 1
        self._scores: dict[str, float] = {}

    def score(self, candidate: Candidate) -> float:
        """What the student gives the label against its strongest rival."""
        if candidate.id not in self._scores:
            self._scores[candidate.id] = self._student(candidate.text, candidate.label)
        return self._scores[candidate.id]

    def judge(self, brief: Brief, candidate: Candidate) -> Verdict:
        """Refuse what the student gets right, once the places for such candidates are taken."""
        score = self.score(candidate)
        easy = score >= EVEN
        wants_hard = self._easy_left <= 0 or brief.output is Output.ADVERSARIAL
        refused = easy and wants_hard
        return Verdict(
            judge=self.name,
            candidate_id=candidate.id,
            decision=Decision.REJECT if refused else Decision.ACCEPT,
            reason=TOO_EASY if refused else "",
            scores=(("student", round(score, 4)),),
            critique=f"the student is right by {score:.0%}" if refused else "",
        )

    def remember(self, candidate_id: str) -> None:
        """Count an accepted candidate."""
        self._easy_left -= self._scores.pop(candidate_id, 0.0) >= EVEN

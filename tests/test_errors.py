"""Errors are caught by what the caller can do about them, carry a hint, and name the place."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path

import pytest

from proofset import errors
from proofset.errors import ModelError, ModelUnavailable, ProofsetError, RecordError

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, ProofsetError)]


@pytest.mark.parametrize(
    ("family", "builtin", "members"),
    [
        (errors.InputError, ValueError, "ConfigError RecordError ArtifactError LeakageError"),
        (errors.ModelError, RuntimeError, "ModelUnavailable ModelRefused ReplyUnreadable"),
        (errors.BudgetError, RuntimeError, "UnpricedModel BudgetSpent"),
        (
            errors.RunError,
            RuntimeError,
            "RunLocked RunUnwritable RunMismatch LogCorrupt StoreDamaged RunFromNewerVersion",
        ),
        (errors.MissingExtra, ImportError, ""),
    ],
)
def test_families(family: type[ProofsetError], builtin: type[Exception], members: str) -> None:
    assert issubclass(family, builtin)
    assert {cls.__name__ for cls in CLASSES if issubclass(cls, family)} == {family.__name__, *members.split()}


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls is not RecordError], ids=lambda cls: cls.__name__)
def test_every_error_has_its_message_and_its_hint(cls: type[ProofsetError]) -> None:
    error = cls("what happened", hint="what to do")
    assert (str(error), error.hint) == ("what happened", "what to do")
    assert cls("what happened").hint == ""
    with pytest.raises(ProofsetError):
        raise error


def test_a_model_that_is_away_or_not_understood_may_be_tried_again() -> None:
    assert [cls.__name__ for cls in CLASSES if cls.retryable] == ["ModelUnavailable", "ReplyUnreadable"]
    error = ModelUnavailable("busy")
    assert error.retry_after_s is None
    error.retry_after_s = 3.0
    assert ModelUnavailable("busy").retry_after_s is None  # the class keeps nothing
    assert isinstance(error, ModelError)


@pytest.mark.parametrize(
    ("line", "field", "place"),
    [
        (7, "text", "a.csv:7, field 'text'"), (7, None, "a.csv:7"), (None, "text", "a.csv, field 'text'"),
        (None, None, "a.csv"), (0, None, "a.csv:0"),
    ],
)  # fmt: skip
def test_a_record_error_names_file_line_and_field(line: int | None, field: str | None, place: str) -> None:
    error = RecordError("is empty", path=Path("a.csv"), line=line, field=field, hint="fill it in")
    assert str(error) == f"{place}: is empty"
    assert (error.path, error.line, error.field, error.hint) == ("a.csv", line, field, "fill it in")


def test_an_error_survives_the_way_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(errors.ConfigError("what happened", hint="what to do")))
    assert (str(error), error.hint) == ("what happened", "what to do")

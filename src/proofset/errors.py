"""Everything that can go wrong, as one tree.

The families follow what the caller can do about it: correct the input, wait for the model, name a price, or
look at the run folder.

    ProofsetError
    ├─ InputError (ValueError)
    │  ├─ ConfigError
    │  ├─ RecordError
    │  ├─ ArtifactError
    │  └─ LeakageError
    ├─ ModelError (RuntimeError)
    │  ├─ ModelUnavailable
    │  ├─ ModelRefused
    │  └─ ReplyUnreadable
    ├─ BudgetError (RuntimeError)
    │  ├─ UnpricedModel
    │  └─ BudgetSpent
    ├─ RunError (RuntimeError)
    │  ├─ RunLocked
    │  ├─ RunUnwritable
    │  ├─ RunMismatch
    │  ├─ LogCorrupt
    │  ├─ StoreDamaged
    │  └─ RunFromNewerVersion
    └─ MissingExtra (ImportError)

Every error carries a one-line ``hint`` that says what to do next; the command line prints both.
"""

from __future__ import annotations

from pathlib import Path


class ProofsetError(Exception):
    """Root of the tree: ``except ProofsetError`` catches all that proofset raises on purpose."""

    retryable: bool = False
    """Whether the same call may succeed later without any change."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(ProofsetError, ValueError):
    """Yours to correct: a file, a setting or an argument."""


class ConfigError(InputError):
    """A study file that cannot be read, or a field in it that is unknown, missing or out of range."""


class RecordError(InputError):
    """A row that is not a record. Names the file, the line (1-based, as an editor shows it) and the field."""

    def __init__(
        self, message: str, *, path: Path | str, line: int | None = None, field: str | None = None, hint: str = ""
    ) -> None:
        self.path, self.line, self.field = str(path), line, field
        place = self.path + (f":{line}" if line is not None else "") + (f", field {field!r}" if field else "")
        super().__init__(f"{place}: {message}", hint=hint)


class ArtifactError(InputError):
    """A pinned artifact that could not be had, or is not what its SHA-256 says."""


class LeakageError(InputError):
    """Held-out data was about to reach a place where it must never be."""


class ModelError(ProofsetError, RuntimeError):
    """A model did not give a usable reply."""

    status: int | None = None
    """HTTP status of the answer; None where there was none."""


class ModelUnavailable(ModelError):
    """No answer: not reachable, over its limits, or not loaded. May work later."""

    retryable = True
    retry_after_s: float | None = None
    """Seconds the server asked to wait; None when it did not say."""
    overloaded: bool = False
    """Whether the server said that it gets too much (429), and not that it failed."""
    timed_out: bool = False
    """Whether the time ran out: the server may have too much to do."""
    unsent: bool = False
    """Whether nothing can have reached the server: it was not found, or did not open its door."""


class ModelRefused(ModelError):
    """The endpoint said no: authentication, permission, or a request it will never accept."""


class ReplyUnreadable(ModelError):
    """An answer came, but not in the shape that was asked for. It was probably billed."""

    retryable = True
    raw: bytes = b""
    """What came instead."""


class BudgetError(ProofsetError, RuntimeError):
    """Money: a price is missing, or the cap cannot pay for the next step."""


class UnpricedModel(BudgetError):
    """A model without a price; proofset never books it as $0."""


class BudgetSpent(BudgetError):
    """The cap cannot pay for the next call. The loop catches it and stops there, as an expected end."""


class RunError(ProofsetError, RuntimeError):
    """The run folder cannot be used as asked."""


class RunLocked(RunError):
    """Another process writes to this run."""


class RunUnwritable(RunError):
    """The folder is read-only or its disk is full."""


class RunMismatch(RunError):
    """The folder holds a run of another study."""


class LogCorrupt(RunError):
    """A line of the event log, other than a torn last one, is damaged."""


class StoreDamaged(RunError):
    """The store of model replies cannot be read, or holds a reply that is not what was put in."""


class RunFromNewerVersion(RunError):
    """The run was written by a newer proofset than this one."""


class MissingExtra(ProofsetError, ImportError):
    """A part of proofset whose packages are not installed; the hint is the command that installs them."""

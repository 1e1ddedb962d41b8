"""proofset: synthetic data that comes with proof.

>>> from pathlib import Path
>>> import proofset
>>> run = proofset.run(Path("study.toml"))  # doctest: +SKIP

The names below are the public ones. They are imported at first use, so that ``import proofset`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proofset.config import Study
    from proofset.errors import ProofsetError
    from proofset.measuring.collapse import collapse
    from proofset.measuring.viability import viability
    from proofset.models.scripted import ScriptedChat
    from proofset.nouns.candidate import Brief, Candidate, Verdict
    from proofset.nouns.record import Corpus, HeldOut, Record
    from proofset.nouns.result import ArmClaim, Claim, Gain, Measure, Usage
    from proofset.nouns.viability import Collapse, Viability
    from proofset.pipeline import run
    from proofset.plugins import Reply, Request
    from proofset.runs.folder import Run

__version__ = "0.1.0"

__all__ = [
    "ArmClaim",
    "Brief",
    "Candidate",
    "Claim",
    "Collapse",
    "Corpus",
    "Gain",
    "HeldOut",
    "Measure",
    "ProofsetError",
    "Record",
    "Reply",
    "Request",
    "Run",
    "ScriptedChat",
    "Study",
    "Usage",
    "Verdict",
    "Viability",
    "__version__",
    "collapse",
    "run",
    "viability",
]

_HOMES = {
    "config": ("Study",),
    "errors": ("ProofsetError",),
    "measuring.collapse": ("collapse",),
    "measuring.viability": ("viability",),
    "models.scripted": ("ScriptedChat",),
    "nouns.candidate": ("Brief", "Candidate", "Verdict"),
    "nouns.record": ("Corpus", "HeldOut", "Record"),
    "nouns.result": ("ArmClaim", "Claim", "Gain", "Measure", "Usage"),
    "nouns.viability": ("Collapse", "Viability"),
    "pipeline": ("run",),
    "plugins": ("Reply", "Request"),
    "runs.folder": ("Run",),
}


def __getattr__(name: str) -> Any:
    """A public name, imported from its home."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"proofset.{home}"), name)
    raise AttributeError(f"module 'proofset' has no attribute {name!r}")

"""Seals on the lines of money: each ``Spent`` line of a log carries a hash of itself and of the seal before it.

Whoever changes, takes out, adds or moves a line of what was spent breaks the seals from there on. That shows an honest
hand what went wrong, and a reader that nothing did; it does not keep out somebody who seals the whole file anew, unless
the last seal was written down elsewhere, as the cost statement does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from proofset.errors import LogCorrupt

_OPEN = b'"chain":""}\n'
_SEALED = re.compile(rb'"chain":"([0-9a-f]{32})"\}\n')
_SPENT = b'{"kind":"Spent",'


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What was found on the lines of money."""

    rows: int
    """Lines that are sealed, every one as it was written."""
    unsealed: int
    """Lines of a proofset that did not seal yet, before all others."""
    last: str
    """The last seal; "" where there is none."""


def seal(line: bytes, before: str) -> tuple[bytes, str]:
    """The line of a Spent event with its seal in it, and that seal; ``before`` is the one before it."""
    said = line.removesuffix(_OPEN)
    made = _hash(said, before)
    return b'%b"chain":"%b"}\n' % (said, made.encode()), made


def verify(path: Path, expected: str = "") -> Sealed:
    """Go through the lines of money in a log. Raises LogCorrupt that names the first one that is not as it was written.

    With ``expected``, a seal that was written down elsewhere must be among them: that shows a cut-off end as well.
    """
    rows = unsealed = number = 0
    last, seen = "", not expected
    for number, line in money_lines(path):
        found = _SEALED.search(line)
        if found is None:
            if rows or (not line.endswith(_OPEN) and b'"chain":' in line):
                raise _broken(path, number, "carries no seal, though lines before it do")
            unsealed += 1
            continue
        made = _hash(line[: found.start()], last)
        if made != found[1].decode():
            raise _broken(path, number, "is not what was sealed: it was changed, or one before it is missing or moved")
        rows, last, seen = rows + 1, made, seen or made == expected
    if not seen:
        raise _broken(path, number, f"is the last of money, and no seal is {expected}: the end was cut off")
    return Sealed(rows=rows, unsealed=unsealed, last=last)


def _hash(said: bytes, before: str) -> str:
    return blake2b(before.encode() + said, digest_size=16).hexdigest()


def money_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each whole line of money."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.startswith(_SPENT) and line.endswith(b"\n"):
                yield number, line


def _broken(path: Path, number: int, what: str) -> LogCorrupt:
    return LogCorrupt(
        f"{path}:{number}: the line {what}",
        hint="put back a copy of the file; what was spent cannot be proven from this one",
    )

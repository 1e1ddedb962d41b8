"""Three files out of MITRE's CWE: reports to classify, definitions to ground on, relations between weaknesses.

Run it once: ``python examples/cwe/prepare.py``. It fetches the pinned artifact ``cwe`` and writes ``data/`` beside
itself. Labels are CWE ids; reports filed under two weaknesses are left to ``proofset ingest`` to drop and count.
"""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from proofset.artifacts import locate

SPACE = {"cwe": "http://cwe.mitre.org/cwe-7"}
HERE = Path(__file__).parent


def words(element: ElementTree.Element | None) -> str:
    """The text of an element and all below it, white space folded."""
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def reports(weaknesses: Sequence[ElementTree.Element]) -> Iterator[tuple[str, str]]:
    """(text, weakness) of every observed example."""
    for weakness in weaknesses:
        for example in weakness.iterfind(".//cwe:Observed_Example/cwe:Description", SPACE):
            yield words(example), f"CWE-{weakness.get('ID')}"


def definitions(weaknesses: Sequence[ElementTree.Element]) -> Iterator[tuple[str, str, str]]:
    """(slice, title, text) of every weakness."""
    for weakness in weaknesses:
        text = words(weakness.find("cwe:Description", SPACE))
        yield f"CWE-{weakness.get('ID')}", str(weakness.get("Name")), text


def relations(weaknesses: Sequence[ElementTree.Element]) -> Iterator[tuple[str, str, str]]:
    """(subject, relation, object) of every relation between two weaknesses."""
    seen = set()
    for weakness in weaknesses:
        for related in weakness.iterfind(".//cwe:Related_Weakness", SPACE):
            fact = (f"CWE-{weakness.get('ID')}", str(related.get("Nature")), f"CWE-{related.get('CWE_ID')}")
            if fact not in seen:  # the same relation stands once per view
                seen.add(fact)
                yield fact


def write(name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """One CSV file under ``data/``."""
    path = HERE / "data" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    """Read the catalogue and write the three files."""
    root = ElementTree.parse(locate("artifact:cwe", HERE)).getroot()  # noqa: S314 (pinned by SHA-256)
    weaknesses = root.findall("cwe:Weaknesses/cwe:Weakness", SPACE)
    write("reports.csv", ("text", "weakness"), reports(weaknesses))
    write("definitions.csv", ("slice", "title", "text"), definitions(weaknesses))
    write("relations.csv", ("subject", "relation", "object"), relations(weaknesses))


if __name__ == "__main__":
    main()

"""Hand a corpus over: rows that other trainers read, each marked synthetic or not, and a card that says what it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from proofset.nouns.record import Corpus, Origin, Record

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Size categories of dataset hubs: below this many records, this word."""


def write_dataset(path: Path, corpus: Corpus) -> int:
    """Write one JSON line per record to ``path``, in the corpus's order, and return how many.

    Fields: ``id``, ``text``, ``label``, ``messages`` (only of conversations), ``synthetic`` (the mark that machines
    read), ``generation``, ``source``, ``licence``. The file appears whole or not at all.
    """
    part = path.with_name(path.name + ".part")
    # a lone surrogate has no UTF-8; its backslash form is a valid JSON escape of the same character
    with part.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        for record in corpus.records:
            file.write(json.dumps(_row(record), ensure_ascii=False) + "\n")
    part.replace(path)
    return len(corpus.records)


PREFERENCE = ("prompt", "chosen", "rejected", "fault", "judge", "slice", "chosen_id", "rejected_id", "how")
"""Fields of a line of preferences, and of the pairs it is written from."""


def write_pairs(path: Path, pairs: Sequence[object]) -> int:
    """Write one JSON line per preference pair to ``path``, and return how many.

    Fields: ``prompt``, ``chosen``, ``rejected``, as preference trainers read them; then ``fault`` (the reason code for
    which the rejected text was refused), ``judge``, ``slice``, ``chosen_id``, ``rejected_id``, ``how`` (revision or
    neighbour) and ``synthetic``. The file appears whole or not at all.
    """
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        for pair in pairs:
            row = {name: getattr(pair, name) for name in PREFERENCE} | {"synthetic": True}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    part.replace(path)
    return len(pairs)


def _row(record: Record) -> dict[str, object]:
    """A record as other tools expect it."""
    row: dict[str, object] = {"id": record.id, "text": record.text, "label": record.label}
    if record.messages:
        row["messages"] = [{"role": message.role, "content": message.content} for message in record.messages]
    if record.content:
        row["content"] = json.loads(record.content)
    return row | {
        "synthetic": record.origin is Origin.SYNTHETIC,
        "generation": record.generation,
        "source": record.source,
        "licence": record.licence,
    }


def card(corpus: Corpus, facts: Mapping[str, str]) -> str:
    """The dataset card in Markdown: what is in the corpus, how it came to be, and what it must not be taken for.

    ``facts`` are further lines of the facts table, name to value: model, measures, costs, whatever the run knows.
    """
    records = corpus.records
    synthetic = sum(record.origin is Origin.SYNTHETIC for record in records)
    known = {
        "Records": f"{len(records)} ({synthetic} synthetic, {len(records) - synthetic} organic)",
        "Corpus id": corpus.id,
        "Generations from organic text": ", ".join(str(g) for g in sorted({r.generation for r in records})) or "none",
        "Licences": ", ".join(sorted({record.licence or "not stated" for record in records})) or "none",
        **facts,
    }
    parts = [_front_matter(len(records), synthetic), "# Dataset card", _notice(len(records), synthetic)]
    parts += ["## How it came to be", corpus.recipe.strip() or "No recipe was given."]
    parts += ["## Facts", _table(("Fact", "Value"), list(known.items()))]
    labels = Counter((record.label or "none", record.origin.value) for record in records)
    counted = [(label, origin, str(n)) for (label, origin), n in sorted(labels.items())]
    parts += ["## Records by label", _table(("Label", "Origin", "Records"), counted)]
    parts += ["## Fields", _FIELDS]
    return "\n\n".join(parts) + "\n"


_FIELDS = """\
One JSON object a line: `id` (hash of the content), `text`, `label`, `messages` (conversations only), `content` (of
kinds of task that are more than a text), `synthetic` (true
for every generated record; keep this mark when you pass the data on), `generation` (0 organic, g + 1 for a record made
from generation g), `source`, `licence`."""


def _front_matter(records: int, synthetic: int) -> str:
    """What dataset hubs read: size and tags."""
    size = next((word for limit, word in SIZES if records < limit), "n>1M")
    tags = "tags:\n- synthetic\n" if synthetic else ""
    return f"---\n{tags}size_categories:\n- {size}\n---"


def _notice(records: int, synthetic: int) -> str:
    """The mark for people."""
    if not synthetic:
        return "All records are organic."
    share = "All" if synthetic == records else f"{synthetic} of {records}"
    return (
        f"**{share} records are synthetic: generated by a model, judged by machine, and not statements of fact.** "
        "Do not use them as a test set, and do not report scores on them as scores on real data."
    )


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; bars and line breaks in cells are escaped."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")

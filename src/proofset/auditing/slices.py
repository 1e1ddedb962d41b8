"""Slices: named sets of records, and folds that never divide a group of near-copies."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from proofset.errors import InputError
from proofset.nouns.record import Record, content_id
from proofset.nouns.slice import Slice, SliceKind, SliceRule


def slices_by_label(records: Sequence[Record], titles: Mapping[str, str]) -> tuple[Slice, ...]:
    """A slice for each label, in the order of labels; records without a label are in none.

    ``titles`` says what people call a label; it may name labels that no record has, since ingest drops rare ones.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.label is not None:
            members[record.label].append(record.id)
    return tuple(
        Slice(
            name=label, rule=SliceRule(SliceKind.LABEL, label), record_ids=tuple(sorted(members[label])),
            title=titles.get(label, ""),
        )
        for label in sorted(members)
    )  # fmt: skip


def grouped_folds(records: Sequence[Record], folds: int, seed: int) -> dict[str, int]:
    """A fold in ``0 … folds - 1`` for each record id: groups whole, labels spread as evenly as groups allow.

    Label by label, groups in an order shuffled by ``seed`` go to the fold that holds the fewest records of that label,
    and of those to the smallest. The result depends on the records, not on their order. A group with several labels
    counts for the one it holds most of.
    """
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.group or record.id].append(record)
    if folds < 2 or len(groups) < folds:
        raise InputError(
            f"{folds} folds cannot be made of {len(groups)} groups of near-copies", hint="change audit.folds"
        )
    homes = {name: _home(members) for name, members in groups.items()}
    order = sorted(groups, key=lambda name: (homes[name], content_id("fold", seed, name)))
    sizes, of_label, placed = Counter[int](), Counter[tuple[str, int]](), dict[str, int]()
    for name in order:
        home = homes[name]
        fold = min(range(folds), key=lambda fold: (of_label[home, fold], sizes[fold], fold))
        for record in groups[name]:
            placed[record.id] = fold
            sizes[fold] += 1
            of_label[record.label or "", fold] += 1
    return placed


def _home(members: Sequence[Record]) -> str:
    """The label that a group holds most of; of equals, the first."""
    counts = Counter(record.label or "" for record in members)
    return min(counts, key=lambda label: (-counts[label], label))

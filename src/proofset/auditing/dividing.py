"""Dividing records into training and held-out: stratified by label, near-copies never apart.

A group of near-copies goes to one side whole. Groups are dealt out in an order that only the seed and their content
decide, each to the side that its labels still need most, so shares are met as closely as whole groups allow.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from proofset.errors import InputError
from proofset.nouns.record import Record, content_id

Labels = Counter[str]
"""Records per label in one group."""


def divide(records: Sequence[Record], *, share: float, keep: Mapping[str, int], seed: int) -> frozenset[str]:
    """The ids that stay for training; the others, about ``share`` of each label, are to be held out.

    Each label with two groups or more has a record on both sides, unless groups with several labels make that
    impossible; a label with one group stays in training. ``keep`` then caps the training records of a label by moving
    whole groups; where all of them exceed it, the smallest stays, and so does the last group of another label.
    """
    contents: dict[str, Labels] = defaultdict(Counter)
    for record in records:
        contents[record.group or record.id][record.label or ""] += 1
    known = {label for labels in contents.values() for label in labels}
    if unknown := sorted(set(keep) - known):
        raise InputError(f"ingest.keep names labels that are not there: {', '.join(unknown)}", hint="correct the name")
    chance = {name: int(content_id("divide", seed, name), 16) for name in contents}
    order = sorted(contents, key=lambda name: (-contents[name].total(), chance[name]))
    training = _dealt(order, contents, share, chance)
    _mend(training, order, contents)
    for label in sorted(keep):
        _cap(label, keep[label], training, contents, seed)
    return frozenset(record.id for record in records if (record.group or record.id) in training)


def _dealt(order: Sequence[str], contents: Mapping[str, Labels], share: float, chance: Mapping[str, int]) -> set[str]:
    """Groups for training. Large ones are dealt first: the small ones after them even out the shares."""
    held, train = _goals(contents, share)
    held_left, train_left = held.copy(), train.copy()
    training: set[str] = set()
    for name in order:
        need_held = sum(n * held_left[label] / max(held[label], 1) for label, n in contents[name].items())
        need_train = sum(n * train_left[label] / max(train[label], 1) for label, n in contents[name].items())
        if need_train > need_held or (need_train == need_held and chance[name] % 2):
            training.add(name)
            train_left.subtract(contents[name])
        else:
            held_left.subtract(contents[name])
    return training


def _goals(contents: Mapping[str, Labels], share: float) -> tuple[Labels, Labels]:
    """Records to hold out and to train on, per label."""
    totals, n_groups = Counter[str](), Counter[str]()
    for labels in contents.values():
        totals.update(labels)
        n_groups.update(labels.keys())
    held = Counter(
        {
            label: min(max(round(share * total), 1), total - 1) if n_groups[label] > 1 else 0
            for label, total in totals.items()
        }
    )
    return held, Counter({label: total - held[label] for label, total in totals.items()})


def _mend(training: set[str], order: Sequence[str], contents: Mapping[str, Labels]) -> None:
    """Move single groups while that leaves fewer labels with an empty side. Only groups with several labels need it."""
    where: dict[str, list[str]] = defaultdict(list)
    for name in reversed(order):
        for label in contents[name]:
            where[label].append(name)

    def faults(labels: Mapping[str, int]) -> int:
        """An empty training side is the worse fault: a label that was never learned cannot be tested either."""
        found = 0
        for label in labels:
            inside = sum(name in training for name in where[label])
            found += 2 * (inside == 0) + (inside == len(where[label]) > 1)
        return found

    for label in sorted(where):
        for name in where[label]:
            if not faults({label: 1}):
                break
            before = faults(contents[name])
            training.symmetric_difference_update({name})
            if faults(contents[name]) >= before:
                training.symmetric_difference_update({name})


def _cap(label: str, most: int, training: set[str], contents: Mapping[str, Labels], seed: int) -> None:
    """Take groups out of training until at most ``most`` records of the label stay."""
    mine = [name for name in training if label in contents[name]]
    left = Counter(other for name in training for other in contents[name])
    needed = {name for name in mine if any(left[other] == 1 for other in contents[name] if other != label)}
    order = sorted(mine, key=lambda name: (name not in needed, content_id("keep", seed, name)))
    total, leaving = 0, []
    for name in order:
        if total + contents[name][label] <= most:
            total += contents[name][label]
        else:
            leaving.append(name)
    if len(leaving) == len(mine):
        leaving.sort(key=lambda name: contents[name][label])
        leaving = leaving[1:]
    for name in leaving:
        if all(left[other] > 1 for other in contents[name]):
            training.remove(name)
            left.subtract(contents[name].keys())

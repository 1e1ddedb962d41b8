"""The knowledge graph: facts, and which slices lie near each other in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from proofset.errors import RecordError
from proofset.nouns.evidence import Fact
from proofset.plugins import Row


def facts(rows: Iterable[Row], path: str) -> tuple[Fact, ...]:
    """One fact a row, from columns ``subject``, ``relation`` and ``object``. Raises RecordError for an empty cell."""
    found = []
    for row in rows:
        cells = [str(row.fields.get(field) or "").strip() for field in ("subject", "relation", "object")]
        for field, cell in zip(("subject", "relation", "object"), cells, strict=True):
            if not cell:
                hint = f"every row needs {field!r}; the columns here are {', '.join(row.fields)}"
                raise RecordError("empty or missing", path=path, line=row.line, field=field, hint=hint)
        subject, relation, object_ = cells
        found.append(Fact(subject, relation, object_, source=f"{path}:{row.line}"))
    return tuple(found)


class Graph:
    """Facts by node. Two nodes are near when a fact joins them, or when both are joined to the same third node."""

    def __init__(self, known: Iterable[Fact]) -> None:
        """Index ``known`` by both ends; direction is kept in the facts and ignored for nearness."""
        self._by_node: dict[str, list[Fact]] = defaultdict(list)
        self._linked: dict[str, set[str]] = defaultdict(set)
        for fact in known:
            for node, other in {(fact.subject, fact.object), (fact.object, fact.subject)}:  # a set: a loop counts once
                self._by_node[node].append(fact)
                self._linked[node].add(other)

    def about(self, node: str) -> tuple[Fact, ...]:
        """Every fact that ``node`` is an end of."""
        return tuple(self._by_node.get(node, ()))

    def near(self, node: str) -> frozenset[str]:
        """Nodes at one or two steps."""
        first = self._linked.get(node, set())
        second = {far for middle in first for far in self._linked.get(middle, set())}
        return frozenset((first | second) - {node})

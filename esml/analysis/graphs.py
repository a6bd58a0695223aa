"""Small graphs: what hangs together, and the edges that hold it together.

A graph is a list with the neighbours of each node, which are numbered from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Neighbours = Sequence[list[int]]


def connected(neighbours: Neighbours) -> list[list[int]]:
    """The connected components, each ascending, in the order of their first nodes."""
    found, seen = [], set[int]()
    for first in range(len(neighbours)):
        if first not in seen:
            part = [node for node, _ in _depth_first(neighbours, first)]
            seen.update(part)
            found.append(sorted(part))
    return found


def bridges(neighbours: Neighbours) -> set[tuple[int, int]]:
    """Edges (a, b), a < b, that are in no ring.

    Every edge outside the tree of a depth-first search closes a ring with the path between its ends
    (J. M. Schmidt, Inf. Process. Lett. 113, 241 (2013)).
    """
    found = set[tuple[int, int]]()
    for first, *_ in connected(neighbours):
        parents = dict(_depth_first(neighbours, first))
        place = {node: k for k, node in enumerate(parents)}
        visited, in_ring = set[int](), set[int]()  # the latter with the edge to their parent
        for start in parents:
            visited.add(start)
            for end in neighbours[start]:
                if place[end] < place[start] or parents[end] == start:
                    continue
                while end not in visited:
                    visited.add(end)
                    in_ring.add(end)
                    end = parents[end]
        tree = ((min(x), max(x)) for x in parents.items() if x[0] not in in_ring)
        found.update((a, b) for a, b in tree if a != b)
    return found


def _depth_first(neighbours: Neighbours, first: int) -> Iterator[tuple[int, int]]:
    """Nodes and their parents; the parent of the ``first`` is itself."""
    seen = set[int]()
    to_do = [(first, first)]
    while to_do:
        node, parent = to_do.pop()
        if node not in seen:
            seen.add(node)
            yield node, parent
            to_do += ((other, node) for other in neighbours[node])

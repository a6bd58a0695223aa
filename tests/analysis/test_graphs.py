"""Components and bridges, against networkx, which PyTorch brings."""

from __future__ import annotations

import pytest

from esml.analysis.graphs import bridges, connected

nx = pytest.importorskip("networkx")


def neighbours(n: int, edges: list[tuple[int, int]]) -> list[list[int]]:
    return [sorted({a + b - node for a, b in edges if node in (a, b)}) for node in range(n)]


@pytest.mark.parametrize("n_edges", [0, 6, 10, 14, 20])
@pytest.mark.parametrize("seed", range(8))
def test_components_and_bridges_are_those_of_networkx(seed: int, n_edges: int) -> None:
    graph = nx.gnm_random_graph(12, n_edges, seed=seed)
    own = neighbours(12, list(graph.edges))
    assert connected(own) == [sorted(part) for part in nx.connected_components(graph)]
    assert bridges(own) == {(min(edge), max(edge)) for edge in nx.bridges(graph)}


def test_rings_that_share_an_edge_or_an_atom_have_no_bridge() -> None:
    naphthalene = [(k, (k + 1) % 10) for k in range(10)] + [(0, 5)]
    assert bridges(neighbours(10, naphthalene)) == set()
    spiro = [(0, 1), (1, 2), (0, 2), (0, 3), (3, 4), (0, 4)]
    assert bridges(neighbours(5, spiro)) == set()
    assert bridges(neighbours(7, [*spiro, (4, 5), (5, 6)])) == {(4, 5), (5, 6)}
    assert connected(neighbours(3, [(0, 2)])) == [[0, 2], [1]]


def test_a_long_chain_is_no_recursion() -> None:
    chain = [[1], *([k - 1, k + 1] for k in range(1, 5000)), [4999]]
    assert len(bridges(chain)) == 5000
    assert connected(chain) == [list(range(5001))]

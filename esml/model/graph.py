"""ASE structures → one batched graph of concatenated atoms and directed pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import torch
from ase import Atoms
from scipy.spatial import cKDTree
from torch import Tensor

from esml.io.structure_checks import StructureError, check_structure, molecular_charge
from esml.physics.basis import ELEMENTS


@dataclass(frozen=True)
class Graph:
    """M molecules as N concatenated atoms and E directed pairs within a cutoff.

    Each pair of atoms is listed twice, once in each direction, sorted by source and then target.
    Pairs never join two molecules. ``positions`` may require gradients: all distances and
    directions are computed from it.
    """

    numbers: Tensor  # (N,) atomic numbers
    positions: Tensor  # (N, 3) Å
    molecule: Tensor  # (N,) molecule of each atom, ascending
    charges: Tensor  # (M,) total charges, e
    edge_source: Tensor  # (E,) first atom of each pair
    edge_target: Tensor  # (E,) second atom of each pair
    edge_reverse: Tensor  # (E,) index of the pair in the other direction
    cutoff: float  # Å, distance up to which all pairs are listed

    @property
    def n_molecules(self) -> int:
        return int(self.charges.shape[0])

    def vectors(self) -> Tensor:
        """Return the vectors (E, 3) from source to target, Å."""
        return self.positions[self.edge_target] - self.positions[self.edge_source]

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Graph:
        """Return the same graph on ``device``, with positions in ``dtype``."""
        return replace(
            self,
            numbers=self.numbers.to(device),
            positions=self.positions.to(device=device, dtype=dtype),
            molecule=self.molecule.to(device),
            charges=self.charges.to(device),
            edge_source=self.edge_source.to(device),
            edge_target=self.edge_target.to(device),
            edge_reverse=self.edge_reverse.to(device),
        )


def build_graph(
    structures: Sequence[Atoms],
    cutoff: float,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    charges: Sequence[int] | None = None,
    elements: Sequence[int] = ELEMENTS,
) -> Graph:
    """Build one graph of all ``structures`` with every pair of atoms within ``cutoff`` (Å).

    ``charges`` replace the charges stored with the structures; ``elements`` are the allowed ones.
    The cost grows linearly with the number of atoms. Raises StructureError, which names the
    structure if there are several.
    """
    if len(structures) == 0:
        raise StructureError("no structures were given where at least one is expected: pass a list")
    if charges is not None and len(charges) != len(structures):
        raise ValueError(f"{len(charges)} charges were given for {len(structures)} structures")
    graphs = []
    for index, atoms in enumerate(structures):
        charge = None if charges is None else int(charges[index])
        try:
            graphs.append(_graph(atoms, cutoff, charge, elements))
        except StructureError as error:
            if len(structures) == 1:
                raise
            raise StructureError(f"structure {index}: {error}") from None
    return join(graphs).to(device, dtype)


def _graph(atoms: Atoms, cutoff: float, charge: int | None, elements: Sequence[int]) -> Graph:
    """Build the graph of one structure, in double precision. Raises StructureError."""
    charge = molecular_charge(atoms) if charge is None else charge
    check_structure(atoms, elements, charge)
    half = cKDTree(atoms.positions).query_pairs(cutoff, output_type="ndarray")
    half = half.astype(np.int64).reshape(-1, 2)
    source = np.concatenate([half[:, 0], half[:, 1]])
    target = np.concatenate([half[:, 1], half[:, 0]])
    order = np.lexsort((target, source))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    reverse = place[(order + len(half)) % max(len(order), 1)]
    return Graph(
        numbers=torch.from_numpy(atoms.numbers.astype(np.int64)),
        positions=torch.from_numpy(atoms.positions.astype(np.float64)),
        molecule=torch.zeros(len(atoms), dtype=torch.int64),
        charges=torch.tensor([charge]),
        edge_source=torch.from_numpy(source[order]),
        edge_target=torch.from_numpy(target[order]),
        edge_reverse=torch.from_numpy(reverse),
        cutoff=float(cutoff),
    )


def join(graphs: Sequence[Graph]) -> Graph:
    """Join all ``graphs`` to one, with molecules in order; all must have the same cutoff."""
    if len(graphs) == 1:
        return graphs[0]
    starts = [0, *accumulate(len(g.numbers) for g in graphs)]
    edges = [0, *accumulate(len(g.edge_source) for g in graphs)]
    molecules = [0, *accumulate(g.n_molecules for g in graphs)]

    def joined(name: str, before: Sequence[int]) -> Tensor:
        parts = [getattr(g, name) + n for g, n in zip(graphs, before, strict=False)]
        return torch.cat(parts)

    return replace(
        graphs[0],
        numbers=torch.cat([g.numbers for g in graphs]),
        positions=torch.cat([g.positions for g in graphs]),
        molecule=joined("molecule", molecules),
        charges=torch.cat([g.charges for g in graphs]),
        edge_source=joined("edge_source", starts),
        edge_target=joined("edge_target", starts),
        edge_reverse=joined("edge_reverse", edges),
    )

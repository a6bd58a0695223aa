"""Local orbitals of a large molecule.

Canonical orbitals spread over all of a molecule; those of the occupied and those of the virtual
space may be turned into local ones, whose tails fall off exponentially. With atomic and local
orbitals in an order in which neighbours stand together (Cuthill and McKee, 1969) the coefficients
fill a band.

The local orbitals are columns of the projector P = C Cᵀ on the space, those that pivoted Cholesky
decomposition chooses, orthonormalized (Damle, Lin and Ying, J. Chem. Theory Comput. 11, 1463,
2015).

Shape letters: n orbitals of the basis, k orbitals of the space, o holes and v electrons.
"""

from __future__ import annotations

from functools import cached_property

import torch
from scipy.linalg.lapack import dpstrf
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee
from torch import Tensor

from esml.physics.solvers.banded import strips


def in_line(coupled: Tensor) -> Tensor:
    """(n,) an order of orbitals in which those ``coupled`` (n, n) stand near each other."""
    graph = csr_array(coupled.cpu().numpy())
    order = reverse_cuthill_mckee(graph, symmetric_mode=True).astype("int64")
    return torch.from_numpy(order).to(coupled.device)


def localized(orbitals: Tensor) -> Tensor:
    """The rotation (k, k) that makes ``orbitals`` (n, k) local, in the order of the basis."""
    orbitals = orbitals.double()
    _, pivots, _, _ = dpstrf((orbitals @ orbitals.mT).cpu().numpy(), tol=0.0)
    chosen = torch.from_numpy(pivots[: orbitals.shape[1]].astype("int64") - 1).sort().values
    columns = orbitals[chosen.to(orbitals.device)].mT
    values, axes = torch.linalg.eigh(columns.mT @ columns)
    rotation: Tensor = columns @ (axes * values.rsqrt()) @ axes.mT
    return rotation


class Line:
    """The basis functions of a molecule in an ``order`` in which neighbours stand together.

    ``density`` (n, n) is the projector on the occupied orbitals, whose elements above ``coupled``
    make neighbours. That on the virtual ones is zero in the same places, and local orbitals are
    columns of either.
    """

    def __init__(self, density: Tensor, coupled: float) -> None:
        self.order = in_line(density.abs() > coupled)
        self._density = density[self.order][:, self.order]

    def fill(self, negligible: float, n_rows: int) -> float:
        """Share of the coefficients of local orbitals that a band in strips of ``n_rows`` takes."""
        density = self._density
        kept = sum(density[place].numel() for place in strips(density, negligible, n_rows))
        return kept / max(1, density.numel())


class LocalOrbitals:
    """Occupied (n, o) and virtual (n, v) orbitals of a molecule made local, in double precision.

    ``order`` is that of the basis functions in ``hole`` (n, o) and ``electron`` (n, v), which are
    the given orbitals times the rotations ``turn_hole`` and ``turn_electron``; what the Fock
    matrices, of the given orbitals, are between them is ``levels_hole`` and ``levels_electron``,
    eV. ``decay_times`` (1/eV) are those of ``decays``.
    """

    def __init__(
        self,
        order: Tensor,
        occupied: Tensor,
        virtual: Tensor,
        fock_occupied: Tensor,
        fock_virtual: Tensor,
        decay_times: tuple[float, ...],
    ) -> None:
        self.order = order
        self._decay_times = decay_times
        occupied, virtual = occupied[order].double(), virtual[order].double()
        self.turn_hole, self.turn_electron = localized(occupied), localized(virtual)
        self.hole, self.electron = occupied @ self.turn_hole, virtual @ self.turn_electron
        self.levels_hole = self.turn_hole.mT @ fock_occupied.double() @ self.turn_hole
        self.levels_electron = self.turn_electron.mT @ fock_virtual.double() @ self.turn_electron

    @cached_property
    def _eigen(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return torch.linalg.eigh(self.levels_hole), torch.linalg.eigh(self.levels_electron)

    @property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest difference between levels of an electron and a hole, eV."""
        (lower, _), (upper, _) = self._eigen
        return float(upper[0] - lower[-1]), float(upper[-1] - lower[0])

    @cached_property
    def decays(self) -> list[tuple[Tensor, Tensor]]:
        """exp(t F_o) (o, o) and exp(−t F_v) (v, v), from the frontier, for each decay time t."""
        (lower, of_lower), (upper, of_upper) = self._eigen
        return [
            (
                (of_lower * torch.exp(t * (lower - lower[-1]))) @ of_lower.mT,
                (of_upper * torch.exp(t * (upper[0] - upper))) @ of_upper.mT,
            )
            for t in self._decay_times
        ]

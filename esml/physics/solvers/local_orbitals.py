"""Local orbitals of a large molecule.

Canonical orbitals spread over the whole molecule. A rotation within the occupied and within the
virtual space turns them into local orbitals, which decay exponentially. If basis functions and
local orbitals are ordered so that neighbours are adjacent (Cuthill and McKee, 1969), the
coefficients fill a band.

The local orbitals are columns of the projector P = C Cᵀ on the space, chosen by pivoted Cholesky
decomposition and orthonormalized (Damle, Lin and Ying, J. Chem. Theory Comput. 11, 1463, 2015).

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
    """Return an order (n,) in which ``coupled`` (n, n) orbitals come close to each other."""
    graph = csr_array(coupled.cpu().numpy())
    order = reverse_cuthill_mckee(graph, symmetric_mode=True).astype("int64")
    return torch.from_numpy(order).to(coupled.device)


def localized(orbitals: Tensor) -> Tensor:
    """Return the rotation (k, k) that makes ``orbitals`` (n, k) local, in order of the basis."""
    orbitals = orbitals.double()
    _, pivots, _, _ = dpstrf((orbitals @ orbitals.mT).cpu().numpy(), tol=0.0)
    chosen = torch.from_numpy(pivots[: orbitals.shape[1]].astype("int64") - 1).sort().values
    columns = orbitals[chosen.to(orbitals.device)].mT
    values, axes = torch.linalg.eigh(columns.mT @ columns)
    rotation: Tensor = columns @ (axes * values.rsqrt()) @ axes.mT
    return rotation


class Line:
    """An ``order`` of the basis functions of a molecule in which neighbours are adjacent.

    Parameters
    ----------
    density:
        (n, n) projector on the occupied orbitals. The projector on the virtual ones has zeros in
        the same places. Local orbitals are columns of one or the other.
    coupled:
        Basis functions are neighbours if their element of the density exceeds this.
    """

    def __init__(self, density: Tensor, coupled: float) -> None:
        self.order = in_line(density.abs() > coupled)
        self._density = density[self.order][:, self.order]

    def fill(self, negligible: float, n_rows: int) -> float:
        """Return the share of local orbitals' coefficients in a band with strips of ``n_rows``."""
        density = self._density
        kept = sum(density[place].numel() for place in strips(density, negligible, n_rows))
        return kept / max(1, density.numel())


class LocalOrbitals:
    """The local orbitals of one molecule, in double precision.

    ``hole`` (n, o) and ``electron`` (n, v) are the given orbitals times the rotations ``turn_hole``
    and ``turn_electron``, with basis functions in the given order. ``levels_hole`` (o, o) and
    ``levels_electron`` (v, v) are the Fock matrices between them, eV.

    Parameters
    ----------
    order:
        (n,) order of the basis functions.
    occupied, virtual:
        (n, o) and (n, v) coefficients.
    fock_occupied, fock_virtual:
        (o, o) and (v, v) Fock matrices between these orbitals, eV.
    decay_times:
        Times t of ``decays``, 1/eV.
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
        """Smallest and largest difference between an electron level and a hole level, eV."""
        (lower, _), (upper, _) = self._eigen
        return float(upper[0] - lower[-1]), float(upper[-1] - lower[0])

    @cached_property
    def decays(self) -> list[tuple[Tensor, Tensor]]:
        """exp(t F_o) (o, o) and exp(−t F_v) (v, v) for each t; energies relative to HOMO, LUMO."""
        (lower, of_lower), (upper, of_upper) = self._eigen
        return [
            (
                (of_lower * torch.exp(t * (lower - lower[-1]))) @ of_lower.mT,
                (of_upper * torch.exp(t * (upper[0] - upper))) @ of_upper.mT,
            )
            for t in self._decay_times
        ]

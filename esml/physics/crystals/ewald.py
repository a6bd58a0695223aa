"""Electrostatic potential of a crystal's charges at its atoms, by Ewald summation.

    φ_i = e/4πε₀ Σ_j K_ij q_j ,

    K_ij = Σ'_R erfc(α|r_ij + R|)/|r_ij + R| + 4π/V Σ_{G≠0} e^{−G²/4α²}/G² cos(G·r_ij)
           − δ_ij 2α/√π − π/(V α²) ,

where the primed sum leaves out an atom's own charge at R = 0. The last term, of a uniform
background, makes K independent of α also for cells with a net charge. By convention, the mean of
the potential over the cell is zero.

Polarizable ions answer with dipoles μ, each in the field of all charges and of the other dipoles,

    μ = (a⁻¹ − T)⁻¹ Dᵀ q ,      K' = K + D (a⁻¹ − T)⁻¹ Dᵀ ,

with polarizabilities a, D_ij = ∇_j K_ij the potential at i of a dipole at j and T_ij = ∇_i∇_i K_ij
the field of one at i. K' is symmetric, and screens the potential of charges far apart by the
dielectric constant that the polarizabilities make.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.neighborlist import primitive_neighbor_list
from scipy.linalg import cho_factor, cho_solve
from scipy.special import erfc

from esml.typing import Array, Index
from esml.units import BOHR, HARTREE

COULOMB = HARTREE * BOHR
"""e²/4πε₀, eV Å."""
SHARPNESS = 4.2
"""α times the cut-off of the sum in real space; both sums neglect less than 1e-8."""


class PolarizationError(ValueError):
    """Dipoles that would grow without end; the message is one sentence."""


@dataclass(frozen=True)
class _Sums:
    """Pairs in real space, and waves in reciprocal space, of N charges."""

    alpha: float  # 1/Å
    volume: float  # Å³
    first: Index  # (E,)
    second: Index  # (E,)
    vectors: Array  # (E, 3) from the first to the second, Å
    lengths: Array  # (E,)
    g: Array  # (G, 3) 1/Å
    share: Array  # (G,) 4π/V e^{−G²/4α²}/G², 1/Å
    waves: Array  # (N, G) e^{iG·r}

    @classmethod
    def of(cls, cell: Array, positions: Array) -> _Sums:
        N, volume = len(positions), abs(float(np.linalg.det(cell)))
        alpha = 5.5**0.5 * (N / volume**2) ** (1.0 / 6.0)  # both sums take about as long
        reach = SHARPNESS / alpha
        periodic = (True, True, True)
        i, j, vectors, r = primitive_neighbor_list("ijDd", periodic, cell, positions, reach)
        reciprocal = 2.0 * np.pi * np.linalg.inv(cell).T
        most = 2.0 * alpha * SHARPNESS
        counts = np.floor(most * np.linalg.norm(cell, axis=1) / (2.0 * np.pi)).astype(int)
        axes = [np.arange(-n, n + 1) for n in counts]
        g = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3) @ reciprocal
        length = (g**2).sum(1)
        inside = (length > 1e-12) & (length < most**2)
        g, length = g[inside], length[inside]
        share = 4.0 * np.pi / volume * np.exp(-length / (4.0 * alpha**2)) / length
        return cls(alpha, volume, i, j, vectors, r, g, share, np.exp(1j * positions @ g.T))

    def in_waves(self, factor: Array | float = 1.0) -> Array:
        """(N, N) Σ_G share · factor · e^{iG·(r_i − r_j)}, complex."""
        found: Array = (self.waves * (self.share * factor)) @ self.waves.conj().T
        return found

    def potentials(self) -> Array:
        """K (N, N), 1/Å."""
        N = len(self.waves)
        found = np.zeros((N, N))
        np.add.at(found, (self.first, self.second), erfc(self.alpha * self.lengths) / self.lengths)
        found += self.in_waves().real
        found -= np.pi / (self.volume * self.alpha**2)
        found[np.diag_indices(N)] -= 2.0 * self.alpha / np.pi**0.5
        result: Array = 0.5 * (found + found.T)
        return result

    def dipole_tensors(self) -> tuple[Array, Array]:
        """D (N, N, 3), 1/Å², and T (N, N, 3, 3), 1/Å³."""
        N, alpha, r = len(self.waves), self.alpha, self.lengths
        bell, tail = 2.0 * alpha / np.pi**0.5 * np.exp(-((alpha * r) ** 2)), erfc(alpha * r)
        slope = -(tail / r**2 + bell / r)  # of erfc(αr)/r
        curvature = 2.0 * tail / r**3 + 2.0 * bell / r**2 + 2.0 * alpha**2 * bell
        unit = self.vectors / r[:, None]
        along = unit[:, :, None] * unit[:, None, :]
        pair = curvature[:, None, None] * along + (slope / r)[:, None, None] * (np.eye(3) - along)
        d, t = np.zeros((N, N, 3)), np.zeros((N, N, 3, 3))
        np.add.at(d, (self.first, self.second), slope[:, None] * unit)
        np.add.at(t, (self.first, self.second), pair)
        for x in range(3):
            d[:, :, x] += self.in_waves(self.g[:, x]).imag
            for y in range(x, 3):
                waves = self.in_waves(self.g[:, x] * self.g[:, y]).real
                for one, other in {(x, y), (y, x)}:
                    t[:, :, one, other] -= waves
        t[np.diag_indices(N)] += 4.0 * alpha**3 / (3.0 * np.pi**0.5) * np.eye(3)  # its own wave
        return d, t


def ewald_matrix(cell: Array, positions: Array) -> Array:
    """Return the matrix K (N, N) of point charges, 1/Å.

    Parameters
    ----------
    cell:
        (3, 3) lattice vectors in rows, Å.
    positions:
        (N, 3) positions of the charges, Å.
    """
    return _Sums.of(cell, positions).potentials()


def dipole_tensors(cell: Array, positions: Array) -> tuple[Array, Array]:
    """Return D (N, N, 3), 1/Å², and T (N, N, 3, 3), 1/Å³.

    Arguments are as in ``ewald_matrix``.
    """
    return _Sums.of(cell, positions).dipole_tensors()


def coulomb_matrix(cell: Array, positions: Array, polarizabilities: Array | None = None) -> Array:
    """Return (N, N) the potential, V, at each atom of a unit charge at each other atom.

    The charge's periodic images count, too, and the dipoles it induces.

    Parameters
    ----------
    cell, positions:
        As in ``ewald_matrix``.
    polarizabilities:
        (N,) Å³; None or zeros for rigid ions.

    Raises
    ------
    PolarizationError
        Where polarizable ions are so near that their dipoles would grow without end.
    """
    sums = _Sums.of(cell, positions)
    found = sums.potentials()
    if polarizabilities is not None and np.any(polarizabilities):
        soft = np.flatnonzero(polarizabilities)
        n = 3 * len(soft)
        d, t = sums.dipole_tensors()
        stiffness = np.diag(np.repeat(1.0 / polarizabilities[soft], 3))
        stiffness -= t[np.ix_(soft, soft)].transpose(0, 2, 1, 3).reshape(n, n)
        fields = d[soft].transpose(0, 2, 1).reshape(n, -1)
        try:
            answer = cho_solve(cho_factor(stiffness), fields)
        except np.linalg.LinAlgError as error:
            raise PolarizationError(
                "ions of this crystal polarize each other without end: expected anions farther "
                "apart; check cell and positions"
            ) from error
        found = found + d[:, soft].reshape(len(positions), n) @ answer
    result: Array = COULOMB * 0.5 * (found + found.T)
    return result

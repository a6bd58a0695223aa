"""Electrostatic potential of a crystal's charges at its atoms, by Ewald summation.

    φ_i = e/4πε₀ Σ_j K_ij q_j ,

    K_ij = Σ'_R erfc(α|r_ij + R|)/|r_ij + R| + 4π/V Σ_{G≠0} e^{−G²/4α²}/G² cos(G·r_ij)
           − δ_ij 2α/√π − π/(V α²) ,

where the primed sum leaves out an atom's own charge at R = 0. The last term, of a uniform
background, makes K independent of α also for cells with a net charge. By convention, the mean of
the potential over the cell is zero.
"""

from __future__ import annotations

import numpy as np
from ase.neighborlist import primitive_neighbor_list
from scipy.special import erfc

from esml.typing import Array
from esml.units import BOHR, HARTREE

COULOMB = HARTREE * BOHR
"""e²/4πε₀, eV Å."""
SHARPNESS = 4.2
"""α times the cut-off of the sum in real space; both sums neglect less than 1e-8."""


def ewald_matrix(cell: Array, positions: Array) -> Array:
    """Return the matrix K (N, N) of point charges, 1/Å.

    Parameters
    ----------
    cell:
        (3, 3) lattice vectors in rows, Å.
    positions:
        (N, 3) positions of the charges, Å.
    """
    N, volume = len(positions), abs(float(np.linalg.det(cell)))
    alpha = 5.5**0.5 * (N / volume**2) ** (1.0 / 6.0)  # both sums take about as long
    reach = SHARPNESS / alpha
    first, second, r = primitive_neighbor_list("ijd", (True,) * 3, cell, positions, reach)
    found = np.zeros((N, N))
    np.add.at(found, (first, second), erfc(alpha * r) / r)
    reciprocal = 2.0 * np.pi * np.linalg.inv(cell).T
    most = 2.0 * alpha * SHARPNESS
    counts = np.floor(most * np.linalg.norm(cell, axis=1) / (2.0 * np.pi)).astype(int)
    axes = [np.arange(-n, n + 1) for n in counts]
    g = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3) @ reciprocal
    length = (g**2).sum(1)
    inside = (length > 1e-12) & (length < most**2)
    g, length = g[inside], length[inside]
    share = 4.0 * np.pi / volume * np.exp(-length / (4.0 * alpha**2)) / length
    waves = np.exp(1j * positions @ g.T)
    found += ((waves * share) @ waves.conj().T).real
    found -= np.pi / (volume * alpha**2)
    found[np.diag_indices(N)] -= 2.0 * alpha / np.pi**0.5
    result: Array = 0.5 * (found + found.T)
    return result


def coulomb_matrix(cell: Array, positions: Array) -> Array:
    """Return (N, N) the potential, V, at each atom of a unit charge at each other atom.

    The charge's periodic images count, too. Arguments are as in ``ewald_matrix``.
    """
    result: Array = COULOMB * ewald_matrix(cell, positions)
    return result

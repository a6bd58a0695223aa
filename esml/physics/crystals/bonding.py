"""Crystal orbital Hamilton populations: contributions of bonds to the band energy.

In an orthonormal basis, the density of states weighted by energy is a sum over pairs of orbitals,

    E D(E) ≈ Σ_{μν R} COHP_{μν R}(E) ,
    COHP_{μν R}(E) = 2 Σ_nk w_k g(E − ε_nk) Re[ C*_μn(k) ⟨μ0|H|νR⟩ e^{2πi k·R} C_νn(k) ] ,

negative where the pair is bonding and positive where it is antibonding (Dronskowski and Blöchl,
J. Phys. Chem. 97, 8617 (1993)). Integrated up to the Fermi level, it gives the bond's contribution
to the band energy.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from esml.physics.crystals.bands import Bands, gaussians
from esml.physics.crystals.bloch import RealSpaceHamiltonian
from esml.physics.crystals.filling import occupations


@dataclass(frozen=True)
class HamiltonPopulation:
    """Hamilton population of one bond, or of one atom with itself."""

    at: Tensor  # (G,) eV from the Fermi level
    values: Tensor  # (G,) COHP, no unit (energy per energy)
    integrated: float  # eV, over occupied states; negative: the bond stabilizes


def hamilton_population(
    bands: Bands,
    hamiltonian: RealSpaceHamiltonian,
    first: Tensor,
    second: Tensor,
    image: tuple[int, int, int],
    at: Tensor,
    width: float = 0.1,
) -> HamiltonPopulation:
    """Return the population of the bond between ``first`` and ``second`` in the cell at ``image``.

    Both directions of the bond count, so that all bonds and atoms add up to the band energy.

    Parameters
    ----------
    bands:
        Bands of ``hamiltonian``.
    hamiltonian:
        The Hamiltonian, in an orthonormal basis.
    first, second:
        Indices of the orbitals of the two atoms.
    image:
        Lattice vector from the cell of the first to that of the second.
    at:
        (G,) energies, eV from the Fermi level.
    width:
        Standard deviation of the Gaussians, eV.
    """
    target = torch.tensor(image)
    found = (hamiltonian.images == target).all(1)
    block = hamiltonian.blocks[found][:, first][:, :, second].sum(0).to(bands.coefficients.dtype)
    phase = torch.exp(2j * torch.pi * (bands.k_points.fractional @ target.to(torch.float64)))
    pair = torch.einsum(
        "k,kmi,mn,kni->ki",
        phase,
        bands.coefficients[:, first].conj(),
        block,
        bands.coefficients[:, second],
    ).real
    itself = not target.any() and torch.equal(first, second)
    share = (2.0 if itself else 4.0) * bands.k_points.weights[:, None] * pair
    above = bands.energies - bands.zero
    filled = occupations(bands.energies, bands.fermi, bands.width)
    values = torch.stack([(share * gaussians(e[None], above, width)[0]).sum() for e in at])
    return HamiltonPopulation(at, values, float((share * filled).sum()))

"""State-specific solvent terms, from the change of the atomic charges upon excitation.

Excitation changes the charges of the atoms by Δ = q_n − q_0. In linear response the solvent follows
the *transition* charges, not this change, which is what matters for charge transfer. With G the
reaction field of :mod:`esml.physics.solvent`,

    p_n = ½ Δᵀ G(n²) Δ                   ≤ 0   the solvent's electrons follow the new charges
    λ_n = −½ Δᵀ [G(ε) − G(n²)] Δ         ≥ 0   its molecules reorient: reorganization energy

    absorption, state-specific           ω_n + p_n
    equilibrium free energy above S0     ω_n − λ_n
    emission out of that equilibrium     ω_n − 2 λ_n

Around a relaxed excited state the solvent is oriented for q_n. There S0 is as far from its own
equilibrium as S_n was after absorption, hence twice λ: the solvent's part of the Stokes shift (of
Lippert and Mataga for a dipole in a sphere, of Marcus for electron transfer). ω is the predicted
non-equilibrium energy; p is a correction to it (M. Caricato et al., J. Chem. Phys. 124, 124520
(2006), combined with linear response by C. A. Guido et al., J. Chem. Theory Comput. 17, 5155
(2021)). By default energies and emission do not include p, as in the usual continuum programs.

Δ of ``Result.solvation`` comes from the amplitudes, before orbitals relax. Of a charge transfer
such as in p-nitroaniline some six tenths are left after that, so its p and λ are upper bounds, two
to three times too large; ``esml.predict.charges.relaxed_solvation`` has those of relaxed charges.
The terms are of second order in Δ: they do not polarize the molecule further.

Shape letters: S states, N atoms. Energies in eV, charges in e.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from esml.physics.interaction import distances
from esml.physics.solvent import Solvent, born_radii, cavity_radii, reaction_field
from esml.typing import Array


@dataclass(frozen=True, eq=False)
class Solvation:
    """State-specific solvent terms of the states of one molecule; zero in vacuum."""

    polarization: Array  # (S,) p, eV, not positive
    reorganization: Array  # (S,) λ, eV, not negative


def solvation(atoms: Atoms, changes: Array, solvent: Solvent | None) -> Solvation:
    """Return the state-specific terms of states of ``atoms`` in a ``solvent``.

    Parameters
    ----------
    atoms
        The molecule.
    changes
        (S, N) change Δ of the atomic charges in each state, e.
    solvent
        The solvent, or None in vacuum.
    """
    if solvent is None:
        none = np.zeros(len(changes))
        return Solvation(none, none.copy())
    numbers = torch.from_numpy(atoms.numbers.astype(np.int64))[None]
    positions = torch.from_numpy(np.ascontiguousarray(atoms.positions, dtype=np.float64))
    separation = distances(positions[None])
    mask = torch.ones_like(numbers, dtype=torch.bool)
    effective = born_radii(separation, cavity_radii(numbers, solvent.acidity), mask)
    delta = torch.from_numpy(np.ascontiguousarray(changes, dtype=np.float64))

    def energy(permittivity: float) -> Tensor:
        field = reaction_field(separation, effective, mask, separation.new_tensor([permittivity]))
        return 0.5 * ((delta @ field[0]) * delta).sum(1)

    fast = energy(solvent.optical)
    # ε includes the electronic response n². If tables have ε < n², reorientation adds nothing.
    at_rest = energy(max(solvent.epsilon, solvent.optical))
    return Solvation(fast.numpy(), (fast - at_rest).numpy())

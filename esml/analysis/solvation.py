"""What a solvent does to a state by the change of the molecule's charges: state-specific terms.

Excitation changes the charges of the atoms by Δ = q_n − q_0. Linear response lets the solvent
follow the *transition* charges, not this change, which is what matters for charge transfer. With G
the reaction field of :mod:`esml.physics.solvent`,

    p_n = ½ Δᵀ G(n²) Δ                   ≤ 0   the solvent's electrons follow the new charges
    λ_n = −½ Δᵀ [G(ε) − G(n²)] Δ         ≥ 0   its molecules turn: reorganization energy

    absorption, state-specific           ω_n + p_n
    equilibrium free energy above S0     ω_n − λ_n
    emission out of that equilibrium     ω_n − 2 λ_n

The solvent around an excited state at rest is oriented for q_n, in which S0 is as far from its own
equilibrium as S_n was after absorption: hence twice λ, the solvent's part of the Stokes shift (of
Lippert and Mataga for a dipole in a sphere, of Marcus for electrons that move). ω is that of the
non-equilibrium prediction; p adds to it (M. Caricato et al., J. Chem. Phys. 124, 124520 (2006), as
combined with linear response by C. A. Guido et al., J. Chem. Theory Comput. 17, 5155 (2021)) and is
left out of energies and of emission unless it is asked for, as in the usual continuum programs.

Δ is that of the amplitudes, before orbitals relax: of bright charge-transfer states within about a
quarter of what relaxes (``esml.predict.dipoles.relaxed_dipoles``). The terms are of second order in
Δ: the molecule is not polarized further by them.

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
    """State-specific terms of the states of one molecule; zero in vacuum."""

    polarization: Array  # (S,) p, eV, not positive
    reorganization: Array  # (S,) λ, eV, not negative


def solvation(atoms: Atoms, changes: Array, solvent: Solvent | None) -> Solvation:
    """State-specific terms of states that change the charges of ``atoms`` in a ``solvent``.

    Parameters
    ----------
    atoms
        The molecule.
    changes
        (S, N) Δ, e.
    solvent
        None in vacuum.
    """
    if solvent is None:
        none = np.zeros(len(changes))
        return Solvation(none, none.copy())
    numbers = torch.from_numpy(atoms.numbers.astype(np.int64))[None]
    positions = torch.from_numpy(np.ascontiguousarray(atoms.positions, dtype=np.float64))
    separation = distances(positions[None])
    mask = torch.ones_like(numbers, dtype=torch.bool)
    effective = born_radii(separation, cavity_radii(numbers), mask)
    delta = torch.from_numpy(np.ascontiguousarray(changes, dtype=np.float64))

    def energy(permittivity: float) -> Tensor:
        field = reaction_field(separation, effective, mask, separation.new_tensor([permittivity]))
        return 0.5 * ((delta @ field[0]) * delta).sum(1)

    fast = energy(solvent.optical)
    # ε holds what electrons do: where tables have ε below n², nothing is left to turn.
    at_rest = energy(max(solvent.epsilon, solvent.optical))
    return Solvation(fast.numpy(), (fast - at_rest).numpy())

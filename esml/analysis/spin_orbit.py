"""Spin–orbit coupling of singlets and triplets, and phosphorescence.

The operator is that of one electron on one atom, with a constant ζ for every element,

    H_SO = Σ_A ζ_A Σ_e l_A(e)·s(e) ,   l = −i r×∇ within an atom's p shell,

which neglects the nuclei of other atoms and, for singlets, the de-excitations Y. With Λ = r×∇ and
the Cartesian components T_x, T_y, T_z of a triplet with amplitudes X_T,

    ⟨S|H_SO|T_k⟩ = −i/2 Σ_A ζ_A [Σ_ab Λ_ab (X_SᵀX_T)_ab − Σ_ij Λ_ji (X_S X_Tᵀ)_ij]
    ⟨0|H_SO|T_k⟩ = −i/√2 Σ_A ζ_A Σ_ia Λ_ia (X_T)_ia .

The strength of the coupling is √Σ_k |⟨S|H_SO|T_k⟩|².

ζ is two thirds of the splitting between the lowest and the highest level of the ground term of the
neutral atom, for ²P and ³P alike (Landé's interval rule; levels: NIST Atomic Spectra Database). The
ground term ⁴S of N and P does not split: their ζ is interpolated between their neighbours, as a
power of the atomic number.

A triplet emits because it borrows intensity from singlets, and the ground state from triplets. To
first order,

    ⟨0|r|T_k⟩ = Σ_n ⟨0|r|S_n⟩⟨S_n|H_SO|T_k⟩/(ω_T − ω_n) − Σ_m ⟨0|H_SO|T_m,k⟩⟨T_m|r|T⟩/ω_m ,

summed over the states at hand, so ask for many; for m = T, ⟨T|r|T⟩ is the difference from the
ground state. k = 4/3 α³ ω³ |⟨0|r|T_k⟩|² for each component, and their mean
in thermal equilibrium.

References: S. P. McGlynn, T. Azumi and M. Kinoshita, Molecular Spectroscopy of the Triplet State
(1969); D. Beljonne, Z. Shuai, G. Pourtois and J. L. Bredas, J. Phys. Chem. A 105, 3899 (2001).

Shape letters: S singlets, T triplets. Couplings in cm⁻¹.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from esml.analysis.characters import Wavefunctions
from esml.analysis.emission import ATOMIC_TIME, FINE_STRUCTURE
from esml.analysis.transitions import between
from esml.physics.basis import OrbitalLayout
from esml.physics.optical_activity import one_centre
from esml.typing import Array
from esml.units import HARTREE, HC

WAVENUMBER = HC * 1e-7
"""One cm⁻¹ in eV."""

SPLITTINGS: dict[int, float] = {
    5: 15.287,
    6: 43.4135,
    8: 226.977,
    9: 404.141,
    14: 223.157,
    16: 573.640,
    17: 882.3515,
    34: 2534.36,
    35: 3685.24,
    53: 7602.970,
}
"""Splitting of the atom's ground term, ²P or ³P, lowest to highest level, cm⁻¹, by element."""


def _constants() -> dict[int, float]:
    found = {1: 0.0} | {z: 2.0 / 3.0 * splitting for z, splitting in SPLITTINGS.items()}
    for z in (7, 15):
        share = np.log(z / (z - 1)) / np.log((z + 1) / (z - 1))
        found[z] = float(found[z - 1] ** (1 - share) * found[z + 1] ** share)
    return found


CONSTANTS: dict[int, float] = _constants()
"""ζ of the valence p shell, cm⁻¹, by atomic number."""


@dataclass(frozen=True)
class SpinOrbit:
    """Spin–orbit couplings of one molecule, and the phosphorescence of its triplets."""

    couplings: Array  # (S + 1, T, 3) i⟨S|H_SO|T_k⟩ in cm⁻¹, real; the ground state first
    transition_dipoles: Array  # (T, 3, 3) i⟨0|r|T_k⟩ in e·bohr, real: triplet, component k, axis
    rates: Array  # (T, 3) rates of phosphorescence, by component, 1/s

    @property
    def strengths(self) -> Array:
        """(S + 1, T) strengths √Σ_k |⟨S|H_SO|T_k⟩|², cm⁻¹; the ground state first."""
        strengths: Array = np.sqrt(np.square(self.couplings).sum(2))
        return strengths

    @property
    def lifetimes(self) -> Array:
        """(T,) radiative lifetimes of the triplets, components in thermal equilibrium, s."""
        with np.errstate(divide="ignore"):
            lifetimes: Array = 1.0 / self.rates.mean(1)
        return lifetimes


def spin_orbit(
    singlets: Wavefunctions,
    triplets: Wavefunctions,
    dipole_operator: Array,
    transition_dipoles: Array,
) -> SpinOrbit:
    """Return spin–orbit couplings and phosphorescence of one molecule.

    Parameters
    ----------
    singlets, triplets
        Wave functions in the same orbitals.
    dipole_operator
        (3, n, n) position ⟨μ|r|ν⟩, e·bohr.
    transition_dipoles
        (S, 3) transition dipoles of the singlets, e·bohr.

    Returns
    -------
    Couplings and phosphorescence; the signs of couplings are arbitrary, like those of states.
    """
    o, c = singlets.n_occupied, singlets.coefficients
    inner = c.T @ _operator(singlets) @ c  # (3, n, n) Σ_A ζ_A Λ, antisymmetric, cm⁻¹
    excited = np.einsum("sia,tib,kab->stk", singlets.X, triplets.X, inner[:, o:, o:], optimize=True)
    excited -= np.einsum(
        "sia,tja,kji->stk", singlets.X, triplets.X, inner[:, :o, :o], optimize=True
    )
    ground = np.einsum("kia,tia->tk", inner[:, :o, o:], triplets.X)
    couplings = np.concatenate([2**-0.5 * ground[None], 0.5 * excited])
    dipoles = _borrowed(couplings, singlets, triplets, dipole_operator, transition_dipoles)
    omega = triplets.energies / HARTREE
    rates = 4.0 / 3.0 * FINE_STRUCTURE**3 * omega[:, None] ** 3 * np.square(dipoles).sum(2)
    return SpinOrbit(couplings, dipoles, rates / ATOMIC_TIME)


def _operator(states: Wavefunctions) -> Array:
    """Σ_A ζ_A Λ_A (3, n, n), cm⁻¹."""
    numbers = torch.from_numpy(np.asarray(states.atoms.numbers, dtype=np.int64))
    layout = OrbitalLayout.build(
        numbers, torch.zeros_like(numbers), torch.zeros(1, dtype=torch.int64)
    )
    constants = torch.tensor([CONSTANTS[int(z)] for z in numbers], dtype=torch.float64)
    operator: Array = one_centre(layout, constants)[0].numpy()
    return operator


def _borrowed(
    couplings: Array,
    singlets: Wavefunctions,
    triplets: Wavefunctions,
    dipole_operator: Array,
    transition_dipoles: Array,
) -> Array:
    """i⟨0|r|T_k⟩ (T, 3, 3) in e·bohr, to first order in the ``couplings`` (S + 1, T, 3)."""
    coupled = couplings * WAVENUMBER
    gaps = triplets.energies[None, :] - singlets.energies[:, None]
    from_singlets = np.einsum("nx,ntk,nt->tkx", transition_dipoles, coupled[1:], 1.0 / gaps)
    among = between(triplets, dipole_operator)
    from_triplets = np.einsum("mk,mtx,m->tkx", coupled[0], among, 1.0 / triplets.energies)
    borrowed: Array = from_singlets - from_triplets
    return borrowed

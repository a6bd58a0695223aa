"""Normal modes of a molecule at a minimum, in dimensionless coordinates, and motion along them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units

from esml.analysis.spectrum import WAVENUMBERS
from esml.typing import Array

SOFT = 50.0
"""cm⁻¹; modes below it and imaginary modes are not harmonic oscillators and are left out."""

FORCE = 0.1
"""eV/Å; with larger forces on an atom the molecule is not at a minimum."""


@dataclass(frozen=True)
class NormalModes:
    """The normal modes of a state, usually the ground state."""

    energies: Array  # (V,) ħω, eV
    displacements: Array  # (V, N, 3) Å per unit of the dimensionless coordinate
    soft: int = 0  # number of modes left out, apart from translations and rotations
    imaginary: int = 0  # number of imaginary modes among them: 0 at a minimum
    zero_point: float = 0.0  # ½ Σ ħω of all real modes, eV
    method: str = ""  # the method they were computed with
    force: float = 0.0  # largest force on an atom at that geometry, eV/Å

    @property
    def at_minimum(self) -> bool:
        """Whether ``force`` is small enough for a minimum."""
        return self.force <= FORCE

    def shifts(self, gradient: Array) -> Array:
        """Return Δ (V,), slope along q over ħω, of a state with ``gradient`` ∂ω/∂R (N, 3), eV/Å."""
        along = np.einsum("vax,ax->v", self.displacements, gradient)
        shifts: Array = along / self.energies
        return shifts

    def occupations(self, temperature: float) -> Array:
        """Return the thermal occupations n (V,) at ``temperature``, K."""
        thermal = max(units.kB * temperature, 1e-6)
        occupations: Array = 1.0 / np.expm1(np.minimum(self.energies / thermal, 700.0))
        return occupations

    def describe(self) -> str:
        """Return the number of modes and their method, as text."""
        left_out = f", {self.soft} below {SOFT:.0f} cm⁻¹ left out" if self.soft else ""
        return f"{len(self.energies)} of {self.method or 'a ground-state method'}{left_out}"


def normal_modes(atoms: Atoms, ground: Any, method: str = "") -> NormalModes:
    """Compute the normal modes of ``atoms``, at a minimum of ``ground``.

    Parameters
    ----------
    atoms
        The molecule at a minimum.
    ground
        Any ASE calculator with forces; it is called 6N + 1 times.
    method
        Name of the method; the name of the calculator's class if left out.
    """
    from ase.vibrations import Vibrations

    moved = atoms.copy()
    moved.calc = ground
    force = float(np.linalg.norm(moved.get_forces(), axis=1).max())
    with tempfile.TemporaryDirectory() as folder:
        vibrations = Vibrations(moved, name=os.path.join(folder, "modes"), delta=0.01)
        vibrations.run()
        data = vibrations.get_vibrations()
    energies, vectors = data.get_energies_and_modes(all_atoms=True)
    kept = (energies.imag == 0) & (energies.real * WAVENUMBERS > SOFT)
    quanta = energies.real[kept]
    # Mass-weighted coordinates (Å·√u) per dimensionless one: ħ/√(ħω).
    length = units._hbar * units.J * units.s / np.sqrt(quanta)
    linear = np.linalg.matrix_rank(atoms.positions - atoms.positions.mean(0), tol=1e-3) < 2
    rigid = 5 if linear else 6
    return NormalModes(
        energies=quanta,
        displacements=vectors[kept] * length[:, None, None],
        soft=max(0, len(energies) - rigid - int(kept.sum())),
        imaginary=int((energies.imag * WAVENUMBERS > SOFT).sum()),
        zero_point=0.5 * float(energies.real.sum()),
        method=method or type(ground).__name__,
        force=force,
    )


def opposite_pairs(atoms: Atoms, displacements: Array) -> Iterator[Atoms]:
    """Yield ``atoms`` moved by each of ``displacements`` (P, N, 3), Å, and by its opposite."""
    for displacement in displacements:
        for sign in (1.0, -1.0):
            moved = atoms.copy()
            moved.positions += sign * displacement
            yield moved

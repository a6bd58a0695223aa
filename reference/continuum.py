"""Polarizable continuum for reference calculations: IEF-PCM in ground state and response.

PySCF's surface and matrices (solute spheres of 1.2 Bondi radii, H 1.1 Å, 302 points on each) give
the symmetric matrix Q(ε) that turns potentials on the surface into apparent surface charges,

    q = Q(ε) v ,   Q = ½ (K⁻¹R + [K⁻¹R]ᵀ) .

The ground state uses Q at the static ε. In the singlet response only the electrons of the solvent
respond (non-equilibrium), so it uses Q at ε = n²,

    2 (ia|jb) → 2 (ia|jb) + 2 v_iaᵀ Q(n²) v_jb ,

where v_ia is the potential of an orbital pair on the surface. PySCF's own TDDFT does the same but
uses n² = 1.78 (water) for every solvent. This module keeps Q and the potentials of all pairs of
basis functions, which PySCF recomputes in every cycle.

Sources: Cancès, Mennucci, Tomasi, J. Chem. Phys. 107, 3032 (1997); Lange, Herbert, J. Chem. Phys.
133, 244111 (2010); linear response: Cossi, Barone, J. Chem. Phys. 115, 4708 (2001).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pyscf import df, gto, lib
from pyscf.solvent.pcm import PCM, pcm_for_scf

from .response import ActiveSpace


class Continuum(PCM):  # type: ignore[misc]
    """IEF-PCM for static permittivity ``epsilon`` and refractive index ``refractive_index``."""

    _keys = PCM._keys | {"optical", "_pairs"}

    def __init__(self, mol: gto.Mole, epsilon: float, refractive_index: float) -> None:
        super().__init__(mol)
        self.method = "IEF-PCM"
        self.eps = epsilon
        self.optical = refractive_index**2
        self._pairs: np.ndarray | None = None

    def charges_of_potentials(self, epsilon: float) -> np.ndarray:
        """Return Q (G, G) over the G surface points at permittivity ``epsilon``."""
        at = PCM(self.mol)
        at.method, at.eps = self.method, epsilon
        at.build()
        self.surface, self.v_grids_n = at.surface, at.v_grids_n
        matrices = at._intermediates
        q = np.linalg.solve(matrices["K"], matrices["R"])
        symmetric: np.ndarray = 0.5 * (q + q.T)
        return symmetric

    def build(self, ng: int | None = None) -> None:
        """Build the surface, Q at the static permittivity and the basis functions' potentials."""
        self._intermediates = {"Q": self.charges_of_potentials(self.eps)}
        points, widths = self.surface["grid_coords"], self.surface["charge_exp"]
        surface = gto.fakemol_for_charges(points, expnt=widths**2)
        self._pairs = df.incore.aux_e2(self.mol, surface, intor="int3c2e", aosym="s2ij")

    def _get_vind(self, dms: np.ndarray) -> tuple[float, np.ndarray]:
        if not self._intermediates:
            self.build()
        density = dms.reshape(-1, *dms.shape[-2:])[0]
        twice = lib.pack_tril(density + density.T)
        twice[np.cumsum(np.arange(1, len(density) + 1)) - 1] *= 0.5
        potential = self.v_grids_n - twice @ self._pairs
        charge = self._intermediates["Q"] @ potential
        return 0.5 * float(charge @ potential), -lib.unpack_tril(self._pairs @ charge)

    def screening(self, space: ActiveSpace) -> np.ndarray:
        """Return 2 v_iaᵀ Q(n²) v_jb (ia, jb), hartree, the solvent's term beside 2 (ia|jb)."""
        assert self._pairs is not None  # set by build() during the ground state
        o, v = space.gaps.shape
        potentials = np.empty((self._pairs.shape[1], o * v))
        for start in range(0, len(potentials), 100):
            block = lib.unpack_tril(np.ascontiguousarray(self._pairs[:, start : start + 100].T))
            half = space.occupied.T @ block @ space.virtual
            potentials[start : start + 100] = half.reshape(-1, o * v)
        found: np.ndarray = (
            2.0 * potentials.T @ (self.charges_of_potentials(self.optical) @ potentials)
        )
        return found


def in_continuum(mean_field: Any, epsilon: float, refractive_index: float) -> Any:
    """Put ``mean_field``, not yet converged, in a :class:`Continuum` (its ``with_solvent``)."""
    return pcm_for_scf(mean_field, Continuum(mean_field.mol, epsilon, refractive_index))

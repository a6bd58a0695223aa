"""A polarizable continuum around a reference calculation: IEF-PCM in ground state and response.

PySCF's surface and matrices (solute spheres of 1.2 Bondi radii, H 1.1 Å, 302 points on each) give
the symmetric matrix Q(ε) that turns potentials on the surface into apparent charges,

    q = Q(ε) v ,   Q = ½ (K⁻¹R + [K⁻¹R]ᵀ) .

The ground state feels Q at the static ε. In the singlet response only the electrons of the solvent
follow (non-equilibrium), so there it is Q at ε = n²,

    2 (ia|jb) → 2 (ia|jb) + 2 v_iaᵀ Q(n²) v_jb ,

v_ia the potential of a pair of orbitals on the surface. PySCF's own TDDFT does the same with 1.78,
the n² of water, whatever the solvent. Q and the potentials of all pairs of basis functions are kept
here, which PySCF recomputes in every cycle.

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
    """IEF-PCM of static permittivity ``epsilon`` and refractive index ``refractive_index``."""

    _keys = PCM._keys | {"optical", "_pairs"}

    def __init__(self, mol: gto.Mole, epsilon: float, refractive_index: float) -> None:
        super().__init__(mol)
        self.method = "IEF-PCM"
        self.eps = epsilon
        self.optical = refractive_index**2
        self._pairs: np.ndarray | None = None

    def charges_of_potentials(self, epsilon: float) -> np.ndarray:
        """Q (G, G) of the surface's G points at ``epsilon``."""
        at = PCM(self.mol)
        at.method, at.eps = self.method, epsilon
        at.build()
        self.surface, self.v_grids_n = at.surface, at.v_grids_n
        matrices = at._intermediates
        q = np.linalg.solve(matrices["K"], matrices["R"])
        symmetric: np.ndarray = 0.5 * (q + q.T)
        return symmetric

    def build(self, ng: int | None = None) -> None:
        """Make the surface, Q at the static permittivity and the potentials of basis functions."""
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
        """2 v_iaᵀ Q(n²) v_jb (ia, jb), hartree: what the response adds to 2 (ia|jb)."""
        assert self._pairs is not None  # the ground state has been there
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
    """``mean_field``, not yet converged, in a :class:`Continuum`, its ``with_solvent``."""
    return pcm_for_scf(mean_field, Continuum(mean_field.mol, epsilon, refractive_index))

"""Constants and conversions.

Every quantity of the package is held in one set of units: positions in Å, energies in eV, charges
in e, dipoles and dipole operators in e·bohr. Values are CODATA 2022 (Mohr, Newell, Taylor and
Tiesinga, Rev. Mod. Phys. 97, 025002 (2025)).
"""

from __future__ import annotations

from typing import Final

HARTREE: Final = 27.211386245981
"""One hartree in eV."""

BOHR: Final = 0.529177210544
"""One bohr in Å."""

COULOMB: Final = HARTREE * BOHR
"""e²/4πε₀ in eV·Å: the repulsion of two unit charges 1 Å apart."""

DEBYE: Final = 2.541746473
"""One e·bohr in debye."""

HC: Final = 1239.841984332
"""h·c in eV·nm: wavelength (nm) = HC / energy (eV)."""

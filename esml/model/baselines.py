"""Values for each element, in eV and bohr, from which an untrained Hamiltonian starts."""

from __future__ import annotations

# Values are in the order of ONSITE + COUPLINGS of esml.model.hamiltonian. Levels are about as large
# as valence ionization energies, and ⟨s|x|p_x⟩ is that of Slater orbitals; both are only the start
# of a fit. Couplings are fitted to reference Hamiltonians, one set for each element
# (scripts/accuracy/without_network.py). Hydrogen has no p orbitals, so its dipole and quadrupole
# couplings have no effect.
DEFAULTS: dict[int, tuple[float, ...]] = {
    1: (-6.0, 0.0, 0.0, 11.2, 7.84, 0.0, 0.0, -0.77, 0.0, 0.0, 0.0, 0.0, -1.08, 0.0),
    6: (-13.0, -4.0, 0.89, 11.06, 5.96, 2.75, 0.5, -0.47, -0.72, -0.62, 1.9, 0.14, -2.56, -0.64),
    7: (-18.0, -6.0, 0.74, 13.33, 6.25, 2.6, 0.74, -0.7, -1.19, -0.97, 0.56, 0.24, -2.31, -0.77),
    8: (-24.0, -8.0, 0.63, 15.28, 7.03, 0.79, 1.18, -0.82, -1.75, -0.9, 0.47, 0.27, -2.11, -0.92),
    9: (-30.0, -10.0, 0.56, 20.2, 7.37, 1.53, 1.14, -0.45, -1.87, -0.97, 1.23, 0.12, -1.4, 0.17),
    16: (-17.0, -6.0, 1.11, 10.2, 5.45, 3.57, 0.78, -0.27, -1.19, -0.79, 1.04, 0.18, -0.89, -1.0),
    17: (-21.0, -8.0, 0.99, 10.05, 6.17, 2.83, 0.67, -1.33, -0.75, -0.64, 0.57, 0.34, -0.18, -0.46),
    # Values of the lighter neighbour in the group; levels and hardnesses scaled like the atoms'.
    5: (-9.0, -2.5, 1.1, 8.9, 4.8, 2.75, 0.5, -0.47, -0.72, -0.62, 1.9, 0.14, -2.56, -0.64),
    14: (-10.0, -3.0, 1.3, 7.5, 4.0, 2.75, 0.5, -0.47, -0.72, -0.62, 1.9, 0.14, -2.56, -0.64),
    15: (-13.0, -4.5, 1.2, 9.0, 4.7, 3.0, 0.75, -0.5, -1.2, -0.9, 0.8, 0.2, -1.5, -0.9),
    34: (-16.0, -5.5, 1.25, 9.5, 5.1, 3.57, 0.78, -0.27, -1.19, -0.79, 1.04, 0.18, -0.89, -1.0),
    35: (-19.0, -7.0, 1.1, 9.1, 5.6, 2.83, 0.67, -1.33, -0.75, -0.64, 0.57, 0.34, -0.18, -0.46),
    53: (-16.0, -6.0, 1.25, 7.9, 4.9, 2.83, 0.67, -1.33, -0.75, -0.64, 0.57, 0.34, -0.18, -0.46),
}

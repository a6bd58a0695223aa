"""Bands of a crystal on a mesh of k points, and properties derived from them.

    H(k) C_k = C_k ε_k ,      weight of orbital μ in state nk:  |C_μn(k)|²

    density of states            D(E)   = 2 Σ_nk w_k g(E − ε_nk)
    projected density of states  D_P(E) = 2 Σ_nk w_k g(E − ε_nk) Σ_{μ∈P} |C_μn(k)|²
    population                   q_P    = 2 Σ_nk w_k f(ε_nk) Σ_{μ∈P} |C_μn(k)|²
    band centre                  c_P    = Σ w (ε − μ) |C|² h(ε) / Σ w |C|² h(ε)

with a Gaussian g, occupations f and the cut h(ε) = 1/(1 + e^{(ε − μ − t)/0.1 eV}) at t = 2 eV above
the Fermi level μ. For the d orbitals of an atom, c_P is the d-band centre (Hammer and Nørskov,
Surf. Sci. 343, 211 (1995), with the unoccupied part of the band included up to the cut).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from esml.physics.crystals.bloch import KPoints, PeriodicHamiltonian, eigenstates
from esml.physics.crystals.filling import fermi_level, occupations

CUT = 2.0
"""eV above the Fermi level; states above this do not count in a band centre."""
EDGE = 0.1
"""Width of the cut, eV; a state that crosses the cut changes a band centre smoothly."""
AT_A_TIME = 4_000_000
"""Largest number of elements of the matrices H(k) diagonalized together."""


def gaussians(at: Tensor, energies: Tensor, width: float) -> Tensor:
    """Return g(E − ε), standard deviation ``width``: (G, ...) for E (G,) and ε (...)."""
    x = (at.view(-1, *[1] * energies.ndim) - energies) / width
    result: Tensor = torch.exp(-0.5 * x**2) / (width * (2.0 * torch.pi) ** 0.5)
    return result


def zero_name(insulating: bool) -> str:
    """Return the name of the zero of energy."""
    return "valence band top" if insulating else "Fermi level"


@dataclass(frozen=True)
class Bands:
    """Energies and states at k points that represent the whole Brillouin zone."""

    k_points: KPoints  # with their weights
    energies: Tensor  # (K, n) eV, ascending
    coefficients: Tensor  # (K, n, n) complex, columns are states
    fermi: Tensor  # () eV
    width: float  # smearing of the occupations, eV
    zero: Tensor  # () zero of energies, eV: Fermi level or valence band top
    insulating: bool = False  # whether the zero is the valence band top
    gap: float = 0.0  # eV, on the mesh; zero for a metal

    @classmethod
    def of(
        cls,
        hamiltonian: PeriodicHamiltonian,
        k_points: KPoints,
        n_electrons: float,
        width: float,
        insulating: bool = False,
    ) -> Bands:
        """Diagonalize H(k) at every point and fill the bands.

        Parameters
        ----------
        hamiltonian:
            The Hamiltonian, in an orthonormal basis.
        k_points:
            A mesh, such as ``k_mesh((8, 8, 8))``.
        n_electrons:
            Number of electrons of the cell in these bands.
        width:
            Width of the Fermi smearing, eV.
        insulating:
            Whether energies count from the top of the valence bands. The Fermi level is then in the
            middle of the gap, if there is one: valence bands hold all electrons, in pairs, and do
            not reach up to the conduction bands. Otherwise the crystal is a metal.
        """
        step = max(1, AT_A_TIME // hamiltonian.n_orbitals**2)
        parts = [eigenstates(hamiltonian.at(p)) for p in k_points.fractional.split(step)]
        energies = torch.cat([part[0] for part in parts])
        coefficients = torch.cat([part[1] for part in parts])
        fermi = fermi_level(energies, k_points.weights, n_electrons, width)
        zero, gap = fermi, 0.0
        if insulating:
            filled, odd = divmod(int(n_electrons), 2)
            zero, bottom = energies[:, :filled].max(), energies[:, filled:].min()
            if bottom > zero and not odd:
                fermi, gap = 0.5 * (zero + bottom), float(bottom - zero)
        return cls(k_points, energies, coefficients, fermi, width, zero, insulating, gap)

    def weights_of(self, places: Tensor) -> Tensor:
        """Return Σ_{μ∈places} |C_μn(k)|² (K, n): how much of each state is on these orbitals."""
        return self.coefficients[:, places].abs().square().sum(1)

    def populations(self, groups: Sequence[Tensor]) -> Tensor:
        """Return the electrons (G,) on each group of orbitals, such as those of an atom."""
        share = 2.0 * self.k_points.weights[:, None] * self._occupations
        return torch.stack([(share * self.weights_of(group)).sum() for group in groups])

    def density_of_states(self, at: Tensor, width: float = 0.1) -> Tensor:
        """Return the density of states (G,), states per eV and cell.

        Parameters
        ----------
        at
            (G,) energies, eV from ``zero``.
        width
            Standard deviation of each state's Gaussian, eV.
        """
        return self._smeared(at, width, torch.ones_like(self.energies))

    def projected_density_of_states(
        self, at: Tensor, groups: Sequence[Tensor], width: float = 0.1
    ) -> Tensor:
        """Return the density of states on each group of orbitals, (P, G).

        Parameters
        ----------
        at
            (G,) energies, eV from ``zero``.
        groups
            Orbitals of each of the P groups.
        width
            Standard deviation of each state's Gaussian, eV.
        """
        return self._smeared(at, width, torch.stack([self.weights_of(g) for g in groups]))

    def band_centres(self, groups: Sequence[Tensor], cut: float = CUT) -> Tensor:
        """Return the band centre (P,) of each group, eV from the Fermi level; nan if empty.

        If the groups are the d orbitals of each atom, these are the d-band centres.

        Parameters
        ----------
        groups
            Orbitals of each of the P groups.
        cut
            Energy up to which states count, eV from the Fermi level.
        """
        above = self.energies - self.fermi
        counted = self.k_points.weights[:, None] * torch.sigmoid((cut - above) / EDGE)
        centres = []
        for group in groups:
            weight = counted * self.weights_of(group)
            centres.append((weight * above).sum() / weight.sum())
        return torch.stack(centres)

    @property
    def _occupations(self) -> Tensor:
        return occupations(self.energies, self.fermi, self.width)

    def _smeared(self, at: Tensor, width: float, share: Tensor) -> Tensor:
        """Return densities of states (..., G), weighted by ``share`` (..., K, n) of each state."""
        counted = (2.0 * self.k_points.weights[:, None] * share).flatten(-2)
        above = (self.energies - self.zero).flatten()
        return torch.stack([counted @ gaussians(e[None], above, width)[0] for e in at], -1)

"""The mean field of an effective Hamiltonian: exchange and the potential of the charges.

    F_μν[P] = −½ x(R_AB) γ^J(R_AB) P_μν           exchange between atoms
    v_A[q]  = −Σ_B c(R_AB) γ^K(R_AB) q_B          potential of the charges

(μ on A, ν on B; see :mod:`esml.model.hamiltonian`). In a medium, H is iterated until the charges of
the molecule and the potential of the medium are consistent:

    H = H_vac + F[P] − F[P_vac] + u[q] − u[q_vac] + w[q] ,    u_A[q] = −Σ_B γ^K(R_AB) q_B ,

where P and q belong to H itself, P_vac and q_vac to the Hamiltonian in vacuum H_vac, and w is the
potential of the medium: the response of a solvent to q, and the potential of point charges. The
mean field of the molecule thus screens the medium, and if w = 0, H is exactly H_vac. What a medium
changes acts in full, c = 1: c damps the few steps in vacuum, whose near charges the network knows,
but it does not know those that a medium moves. With c, solvents and charges shift S1 by too much
(``scripts.accuracy.solvents``, ``scripts.accuracy.point_charges``).

Shape letters: M molecules, n orbitals, K atoms. Energies in eV.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from esml.model.parts import Cut, density_and_charges, settled, unsettled
from esml.physics.basis import OrbitalLayout

STEPS = 5
"""Number of iterations for a Hamiltonian in a medium."""

DEPTH = 4
"""Number of earlier densities from which the next one is mixed."""

SHARE = 0.7
"""β: share of a residual that is added; the potential of moved charges makes all of it too much."""

ROUNDING, TINY = 1e-10, 1e-30
"""Relative and absolute terms that keep the equations of the mixing solvable."""

Filling = tuple[Tensor, Tensor]
"""Density matrices (M, n, n) and their atomic charges (M, K)."""


class Mixing:
    """Anderson mixing of densities, for each molecule of a batch separately.

    Guesses P_k lead to new densities P_k + R_k. Among combinations Σ c_k P_k with Σ c_k = 1, choose
    the one with the smallest residual Σ c_k R_k; the next guess is Σ c_k (P_k + β R_k). A mean
    field may respond too much or too little, and a few steps show by how much. The charges are
    combined in the same way.

    Source: D. G. Anderson, J. ACM 12, 547 (1965).
    """

    def __init__(self) -> None:
        self._known: list[tuple[Filling, Filling]] = []

    def next(self, guess: Filling, found: Filling) -> Filling:
        """Return the next guess, given that ``guess`` led to ``found``."""
        self._known = [*self._known, (guess, found)][-DEPTH:]
        residuals = [(new[0] - old[0]).flatten(1).double() for old, new in self._known]
        if len(residuals) == 1:
            return self._combined(guess[0].new_zeros(len(guess[0]), 0))
        changes = torch.stack([r - residuals[-1] for r in residuals[:-1]], 1)  # (M, k, n²)
        square = changes @ changes.mT
        # Without a medium, a molecule's density does not change, and its weights are zero.
        size = square.diagonal(dim1=1, dim2=2).sum(1)[:, None]
        square = square + torch.diag_embed((ROUNDING * size + TINY).expand(-1, square.shape[1]))
        weights = torch.linalg.solve(square, -(changes @ residuals[-1][:, :, None]))[:, :, 0]
        return self._combined(weights)

    def _combined(self, weights: Tensor) -> Filling:
        """Return Σ c_k (P_k + β R_k) and its charges for ``weights`` (M, k) of all but the last."""
        density, charge = (self._part(weights, part) for part in (0, 1))
        return density, charge

    def _part(self, weights: Tensor, part: int) -> Tensor:
        """Return the densities, ``part`` 0, or charges, ``part`` 1, of :meth:`_combined`."""
        mixed = [old[part] + SHARE * (new[part] - old[part]) for old, new in self._known]
        shape = (-1, *[1] * (mixed[-1].dim() - 1))
        combined = mixed[-1]
        for k, each in enumerate(mixed[:-1]):
            combined = combined + weights[:, k].view(shape).to(each) * (each - mixed[-1])
        return combined


@dataclass(frozen=True)
class MeanField:
    """The mean field of the molecules of a batch."""

    layout: OrbitalLayout
    exchange: Tensor  # (M, n, n) x γ^J between the atoms of two orbitals
    coulomb: Tensor | None  # (M, K, K) c γ^K between atoms; None: no potential of charges in vacuum
    undamped: Tensor  # (M, K, K) γ^K
    parted: Sequence[Cut]  # of molecules that fall into parts

    def settled(self, bare: Tensor, steps: int) -> MeanField:
        """Return this mean field with electrons distributed among parts that do not touch.

        The distribution is that after ``steps`` from ``bare`` H⁰ (M, n, n), eV (``parts.settled``).
        """
        if not self.parted:
            return self

        def after(parted: Sequence[Cut]) -> Tensor:
            return replace(self, parted=parted).in_vacuum(bare, steps)[0]

        with torch.no_grad():
            return replace(self, parted=settled(self.parted, self.layout.n_occupied, after))

    def unsettled(self, hamiltonian: Tensor) -> frozenset[int]:
        """Find molecules whose parts take electrons from each other in ``hamiltonian``."""
        with torch.no_grad():
            return unsettled(hamiltonian, self.parted)

    def in_vacuum(self, bare: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Return ``bare`` H⁰ plus its mean field after ``steps``, and the potential in it.

        Both are (M, n, n), eV.
        """
        hamiltonian, potential = bare, torch.zeros_like(bare)
        for _ in range(steps):
            density, charge = self._filled(hamiltonian)
            potential = self._potential(charge, self.coulomb)
            hamiltonian = bare + self._field(density) + potential
        return hamiltonian, potential

    def in_medium(
        self,
        vacuum: Tensor,
        potential: Tensor,
        reaction: Tensor | None,
        outer: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the Hamiltonian in a medium, and the potential in it.

        Parameters
        ----------
        vacuum, potential:
            (M, n, n) H_vac and the potential in it, eV.
        reaction:
            (M, K, K) potential of the medium on an atom for a unit charge on another, eV/e; None if
            the medium does not respond to charges.
        outer:
            (M, n, n) potential of the medium itself, eV, such as that of point charges; None if
            there is none.

        Returns
        -------
        Both (M, n, n), eV.
        """
        density, charge = self._filled(vacuum)
        own_field, own_potential = self._field(density), self._potential(charge, self.undamped)
        if outer is not None:
            own_potential = own_potential - outer
        coupling = self.undamped if reaction is None else self.undamped + reaction
        mixing = Mixing()
        for step in range(STEPS):
            changed = self._potential(charge, coupling) - own_potential
            hamiltonian = vacuum + (self._field(density) - own_field) + changed
            if step + 1 < STEPS:
                density, charge = mixing.next((density, charge), self._filled(hamiltonian))
        return hamiltonian, potential + changed

    def _filled(self, hamiltonian: Tensor) -> tuple[Tensor, Tensor]:
        """Return density matrices (M, n, n) and atomic charges (M, K), e, of ``hamiltonian``."""
        return density_and_charges(hamiltonian, self.layout, self.parted)

    def _field(self, density: Tensor) -> Tensor:
        """Return the exchange field F[P] (M, n, n)."""
        return -0.5 * density * self.exchange

    def _potential(self, charge: Tensor, coulomb: Tensor | None) -> Tensor:
        """Return −Σ_B γ_AB q_B on the diagonal (M, n, n), γ = ``coulomb`` (M, K, K); 0 if None."""
        if coulomb is None:
            return torch.zeros_like(self.exchange)
        at_atoms = -(coulomb @ charge.to(coulomb)[:, :, None])[:, :, 0]
        owner = self.layout.orbital_atom
        return torch.diag_embed(torch.gather(at_atoms, 1, owner) * self.layout.orbital_mask)

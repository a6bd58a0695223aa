"""Preconditioners turn the residual of a state into a correction.

The residual r of a state with energy ω is multiplied by an approximation to (A − ω)⁻¹. For A ± B,
half the sum of the two residuals belongs to the excitations X and is multiplied by (A − ω)⁻¹; half
their difference belongs to the de-excitations Y and is multiplied by (A + ω)⁻¹. A better
approximation saves iterations; the result does not depend on it.

To add a preconditioner, write a class here with ``excitation`` and ``select`` and choose it in
:meth:`esml.physics.solvers.problem.Problem.preconditioner`.

Shape letters: M molecules, S vectors, d single excitations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from esml.physics.solvers.local_orbitals import LocalOrbitals
from esml.physics.solvers.pair_model import PairModel
from esml.physics.strategy import Strategy


class Preconditioner(ABC):
    """Approximate inverses of the equations of excited states."""

    @abstractmethod
    def excitation(self, residual: Tensor, omega: Tensor) -> Tensor:
        """Approximate (A − ω)⁻¹ r.

        Parameters
        ----------
        residual:
            (M, S, d) r, eV; not changed.
        omega:
            (M, S, 1) ω, eV.

        Returns
        -------
        (M, S, d), a new tensor.
        """

    def de_excitation(self, residual: Tensor, omega: Tensor) -> Tensor:
        """Approximate (A + ω)⁻¹ r; parameters as for ``excitation``."""
        return self.excitation(residual, -omega)

    @abstractmethod
    def select(self, molecules: Tensor) -> Preconditioner:
        """Return the preconditioner of some ``molecules`` of the batch, by index."""


class Diagonal(Preconditioner):
    """Divides residuals by the diagonal of A minus ω.

    Parameters
    ----------
    diagonal:
        (M, d) approximate diagonal of A, eV.
    mask:
        (M, d) False in padding, where corrections are zero.
    smallest:
        Denominators smaller than this are replaced by it, eV.
    """

    def __init__(self, diagonal: Tensor, mask: Tensor, smallest: float) -> None:
        self._diagonal, self._mask, self._smallest = diagonal, mask, smallest

    def excitation(self, residual: Tensor, omega: Tensor) -> Tensor:
        denominator = self._diagonal[:, None] - omega
        size = denominator.abs().clamp_(min=self._smallest)
        # In place: for large molecules, allocating a tensor costs more than computing it.
        torch.copysign(size, denominator, out=denominator)
        return torch.div(residual, denominator, out=denominator).mul_(self._mask[:, None])

    def select(self, molecules: Tensor) -> Diagonal:
        return Diagonal(self._diagonal[molecules], self._mask[molecules], self._smallest)


Between = Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]
"""Function of L (o, o) and R (v, v) that returns the map T → L T R of amplitudes (S, d)."""


class Levels(Preconditioner):
    """(Δ − ω)⁻¹ between the local orbitals of one molecule, Δ = F_v ⊗ 1 − 1 ⊗ F_o.

    1/(Δ − ω) is nearly a sum of exponentials Σ_k w_k exp(−t_k Δ). Each exponential is a product of
    a matrix of holes and one of electrons, and both are local (Häser and Almlöf, J. Chem. Phys. 96,
    489, 1992).

    Parameters
    ----------
    orbitals:
        The local orbitals.
    dtype:
        Precision of residuals.
    between:
        Makes the map that applies both matrices to amplitudes.
    strategy:
        Decay times t_k and the smallest denominator.
    """

    def __init__(
        self, orbitals: LocalOrbitals, dtype: torch.dtype, between: Between, strategy: Strategy
    ) -> None:
        gap, span = orbitals.extremes
        self._smallest = strategy.smallest_denominator
        self._grid = torch.logspace(0, 1, 200, max(1.001, span / gap), dtype=torch.float64) * gap
        time = torch.tensor(strategy.decay_times, dtype=torch.float64)
        self._decay = torch.exp(-time * (self._grid - gap)[:, None])
        self._terms = [between(left.to(dtype), right.to(dtype)) for left, right in orbitals.decays]

    def excitation(self, residual: Tensor, omega: Tensor) -> Tensor:
        weights = self._weights(omega[0, :, 0].double().cpu()).to(residual)
        total = torch.zeros_like(residual[0])
        for term, weight in zip(self._terms, weights.unbind(1), strict=True):
            total.addcmul_(weight[:, None], term(residual[0]))
        return total[None]

    def select(self, molecules: Tensor) -> Levels:
        return self  # a batch of one molecule

    def _weights(self, omega: Tensor) -> Tensor:
        """Return weights w_k (S, k) of the exponentials for ``omega`` (S,), double precision."""
        wanted = (self._grid[:, None] - omega).clamp(min=self._smallest)  # (grid, S)
        # Relative errors are minimized, so each ω has its own equations.
        equations = wanted.mT[:, :, None] * self._decay
        weights: Tensor = torch.linalg.lstsq(
            equations, torch.ones_like(wanted.mT)[:, :, None]
        ).solution
        return weights[:, :, 0]


class WithPairModel(Preconditioner):
    """The exact inverse within the pairs of the pair model, the ``other`` preconditioner elsewhere.

    It treats one molecule.
    """

    def __init__(self, other: Preconditioner, model: PairModel) -> None:
        self._other, self._model = other, model

    def excitation(self, residual: Tensor, omega: Tensor) -> Tensor:
        correction = self._other.excitation(residual, omega)
        return self._model.corrected(correction[0], residual[0], omega[0])[None]

    def de_excitation(self, residual: Tensor, omega: Tensor) -> Tensor:
        # −ω is far from all states of the model, so the model cannot improve this.
        return self._other.de_excitation(residual, omega)

    def select(self, molecules: Tensor) -> WithPairModel:
        return self  # a batch of one molecule

"""Preconditioners: what turns a residual into a correction of its state.

A residual r of a state with energy ω asks for about (A − ω)⁻¹ r. Where A ± B have two vectors, the
half sum of their residuals is that of the excitations, with (A − ω)⁻¹, and the half difference that
of the de-excitations, with (A + ω)⁻¹. A better inverse saves iterations; what these converge to
does not depend on it.

To add one: write a class here with ``excitation`` and ``some``, and choose it in
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
from esml.physics.solvers.strategy import Strategy


class Preconditioner(ABC):
    """Approximate inverses of the equations of excited states."""

    @abstractmethod
    def excitation(self, residual: Tensor, omega: Tensor) -> Tensor:
        """About (A − ω)⁻¹ r (M, S, d) of r = ``residual`` (M, S, d), ``omega`` (M, S, 1) eV."""

    def de_excitation(self, residual: Tensor, omega: Tensor) -> Tensor:
        """About (A + ω)⁻¹ r; arguments as for ``excitation``."""
        return self.excitation(residual, -omega)

    @abstractmethod
    def some(self, molecules: Tensor) -> Preconditioner:
        """The same for some ``molecules`` of the batch, by index."""


class Diagonal(Preconditioner):
    """Residuals divided by the ``diagonal`` (M, d) of A minus ω, zero outside ``mask`` (M, d)."""

    def __init__(self, diagonal: Tensor, mask: Tensor, smallest: float) -> None:
        self._diagonal, self._mask = diagonal, mask
        self._smallest = smallest  # eV, of denominators

    def excitation(self, residual: Tensor, omega: Tensor) -> Tensor:
        denominator = self._diagonal[:, None] - omega
        size = denominator.abs().clamp_(min=self._smallest)
        # In place: for large molecules a new tensor costs more than what is done to it.
        torch.copysign(size, denominator, out=denominator)
        return torch.div(residual, denominator, out=denominator).mul_(self._mask[:, None])

    def some(self, molecules: Tensor) -> Diagonal:
        return Diagonal(self._diagonal[molecules], self._mask[molecules], self._smallest)


Between = Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]
"""Matrices (o, o) and (v, v) → what multiplies amplitudes (S, d) from both sides."""


class Levels(Preconditioner):
    """About (Δ − ω)⁻¹, Δ = F_v ⊗ 1 − 1 ⊗ F_o, between the local orbitals of one molecule.

    As 1/(Δ − ω) is nearly a sum of exponentials Σ_k w_k exp(−t_k Δ), and these are products of
    matrices of holes and of electrons, every one of them local (Häser and Almlöf, J. Chem. Phys.
    96, 489, 1992).
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

    def some(self, molecules: Tensor) -> Levels:
        return self  # there is one molecule only

    def _weights(self, omega: Tensor) -> Tensor:
        """w_k (S, k) of the exponentials for energies ``omega`` (S,), in double precision."""
        wanted = (self._grid[:, None] - omega).clamp(min=self._smallest)  # (grid, S)
        # Relative errors count: each column has equations of its own.
        equations = wanted.mT[:, :, None] * self._decay
        weights: Tensor = torch.linalg.lstsq(
            equations, torch.ones_like(wanted.mT)[:, :, None]
        ).solution
        return weights[:, :, 0]


class WithPairModel(Preconditioner):
    """Another preconditioner, but the inverse of the ``model`` of one molecule within its pairs."""

    def __init__(self, other: Preconditioner, model: PairModel) -> None:
        self._other, self._model = other, model

    def excitation(self, residual: Tensor, omega: Tensor) -> Tensor:
        correction = self._other.excitation(residual, omega)
        return self._model.corrected(correction[0], residual[0], omega[0])[None]

    def de_excitation(self, residual: Tensor, omega: Tensor) -> Tensor:
        # No state of the model is near −ω.
        return self._other.de_excitation(residual, omega)

    def some(self, molecules: Tensor) -> WithPairModel:
        return self  # there is one molecule only

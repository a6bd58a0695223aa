"""Lowest excited states of a batch of response problems, without their matrices.

Block Davidson: vectors span a small space, the problem projected on it is solved exactly, and what
remains of the equations of every wanted state (its residual), times about their inverse (the
preconditioner), joins the space. For linear response the two combinations of amplitudes T = X + Y
and U = X − Y are the stationary points of

    ω = ½ [Tᵀ(A + B)T + Uᵀ(A − B)U] / TᵀU

(Thouless, Nucl. Phys. 22, 78, 1961), lowest states first, so that each may have a space of its own
and A ± B act on one kind of vector only (Bai and Li, SIAM J. Matrix Anal. Appl. 33, 1075, 2012).
The projected problem is solved in :mod:`esml.physics.solvers.projection`.

Projected energies are upper bounds, in error by the *square* of the residual over the distance to
the states outside the space. A state counts as converged when the norm of its residual is below the
tolerance. So that none is missed, the space starts with at least twice the states wanted, every
start vector carries a little of everything (a symmetry none of them had would never come in), and a
few more states than wanted are followed.

Shape letters: M molecules, P matrices of each, S vectors, d single excitations (padded), m
dimension of a space. Both matrices' vectors are one stack of P·M
(:mod:`esml.physics.solvers.space`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from esml.physics.solvers.preconditioners import Preconditioner
from esml.physics.solvers.projection import project_one, project_pair
from esml.physics.solvers.space import Space, stacked
from esml.physics.solvers.strategy import Strategy


class ConvergenceError(RuntimeError):
    """The iterations ended before all states were found."""


class Operators(Protocol):
    """One or two symmetric matrices for each molecule of a batch, known by their products.

    Two are A + B and A − B of (A + B) T = ω U, (A − B) U = ω T; one is A of A X = ω X.
    """

    n_matrices: int
    diagonal: Tensor  # (M, d) about that of A, eV
    mask: Tensor  # (M, d) which single excitations are no padding

    def apply(self, vectors: list[Tensor]) -> list[Tensor]:
        """Each times vectors of its own, (M, S, d) → (M, S, d), eV; zero in padding."""

    def some(self, molecules: Tensor) -> Operators:
        """The same for some ``molecules`` of the batch, by index."""


@dataclass(frozen=True)
class Statistics:
    """What iterations cost."""

    dimension: int  # d
    iterations: int
    products: int  # of one matrix of one molecule and one vector


@dataclass(frozen=True)
class Roots:
    """The states followed, ascending; without meaning for a molecule that is not ``stable``.

    Those wanted are converged, the few above them are not.
    """

    plus: Tensor  # (M, S, d) T = X + Y
    minus: Tensor  # (M, S, d) U = X − Y, TᵀU = 1
    stable: Tensor  # (M,) bool, whether all projected matrices were positive definite
    statistics: Statistics


class Davidson:
    """The iterations to the ``n_states`` lowest states, in the precision of the operators.

    Parameters
    ----------
    operators:
        The matrices.
    preconditioner:
        What makes corrections of residuals.
    n_states:
        States wanted.
    strategy:
        How far, how long, in how much memory.
    n_crowd:
        States that are followed, roughly, where so many crowd that they must be told apart
        together.
    tolerance:
        Replaces that of the strategy, eV.

    Examples
    --------
    >>> roots = Davidson(operators, preconditioner, 10, Strategy()).solve()
    """

    def __init__(
        self,
        operators: Operators,
        preconditioner: Preconditioner,
        n_states: int,
        strategy: Strategy,
        n_crowd: int = 0,
        tolerance: float | None = None,
    ) -> None:
        diagonal, s = operators.diagonal, strategy
        self.n_all, self.d = diagonal.shape
        self.operators, self.preconditioner = operators, preconditioner
        self.strategy, self.n_states = strategy, n_states
        self.n_matrices = operators.n_matrices
        self.tolerance = s.tolerance.of(diagonal.dtype) if tolerance is None else tolerance
        self.n_guarded = min(n_states + s.guards + n_states // s.states_per_guard, self.d)
        self.n_followed = max(self.n_guarded, min(n_crowd, self.d))
        self.n_start = max(self.n_followed, min(s.starts_per_state * n_states, self.d))
        self.n_kept = s.kept_per_state * self.n_followed
        self.iterations = self.products = 0

    def solve(self, start: Sequence[Tensor] = ()) -> Roots:
        """Iterate.

        Parameters
        ----------
        start:
            Vectors (M, S, d) for each matrix, about its states; single excitations if empty.

        Returns
        -------
        The states, those wanted converged, and what they cost.

        Raises
        ------
        ConvergenceError
            If the iterations end before all wanted states have converged.
        """
        self._begin(start)
        while self.iterations < self.strategy.most_iterations and self.additions.shape[1]:
            self.expand()
            self.project()
            self.find_residuals()
            self.lock()
            if self.unfinished == 0:
                return self.solution()
            self.correct()
            self.restart()
        raise self._failure()

    def _begin(self, start: Sequence[Tensor]) -> None:
        """An empty space, and the first vectors to join it."""
        diagonal, mask, s = self.operators.diagonal, self.operators.mask, self.strategy
        capacity = self._capacity(self.n_start + s.plain_starts)
        self.space = Space(diagonal, self.n_matrices, capacity, s)
        n_plain = s.plain_starts if start else self.n_start
        plain = start_vectors(diagonal, mask, n_plain, s.admixture)
        starts = [torch.cat([x, plain], 1) for x in start] or [plain] * self.n_matrices
        self.additions = self.space.apart(torch.cat(starts))
        # The molecules not left behind, by their places in the batch.
        self.molecules = torch.arange(self.n_all, device=mask.device)
        place = torch.arange(self.n_followed, device=mask.device)
        self.exists = place < mask.sum(1)[:, None]  # (M, S)
        self.limit = torch.where(place < self.n_guarded, self.tolerance, s.crowd_tolerance)
        self.wrong = self.exists
        self.norm = torch.full(self.exists.shape, torch.inf)
        self.stable = torch.ones(self.n_all, dtype=torch.bool, device=mask.device)
        self._found: tuple[Tensor, Tensor, Tensor] | None = None

    def _capacity(self, n_start: int) -> int:
        """Vectors of a space that starts with ``n_start``: what is worth solving and has room."""
        s, diagonal = self.strategy, self.operators.diagonal
        fitting = s.memory // (2 * self.n_matrices * diagonal.nbytes)
        worth = (int(s.growth_worth * self.d**0.5) - n_start) // self.n_followed
        worth = min(s.growth_most, max(s.growth_least, worth))
        return n_start + self.n_followed * max(
            2, min(worth, (fitting - n_start) // self.n_followed)
        )

    def expand(self) -> None:
        """Take new vectors into the space, with what the matrices make of them."""
        applied = self.operators.apply(list(self.additions.chunk(self.n_matrices)))
        self.space.add(self.additions, applied)
        self.iterations += 1
        self.products += self.additions.shape[0] * self.additions.shape[1]

    def project(self) -> None:
        """Solve the problem within the space: ``energies`` and ``coefficients`` of its states."""
        solve = project_pair if self.n_matrices == 2 else project_one
        n_kept = min(self.n_kept, self.space.size)
        energies, self.coefficients, positive = solve(
            self.space.projected, self.space.overlap, n_kept
        )
        self.stable = self.stable & positive
        like = self.operators.diagonal
        self.chosen = self.coefficients[:, :, : self.n_followed].mT.to(like)  # (P·M, S, m)
        self.omega = energies[:, : self.n_followed, None].to(like)  # (M, S, 1)

    def find_residuals(self) -> None:
        """(A + B) T − ω U and (A − B) U − ω T, or A X − ω X, of each state, and their ``norm``."""
        p = self.n_matrices
        self.residuals = self.chosen @ self.space.applied  # (P·M, S, d)
        others = (reversed(x.chunk(p)) for x in (self.chosen, self.space.vectors))
        for residual, c, other in zip(self.residuals.chunk(p), *others, strict=True):
            residual.baddbmm_(self.omega * c, other, alpha=-1)
        norm = torch.linalg.vector_norm(self.residuals, dim=2)
        self.norm = norm.unflatten(0, (p, -1)).mean(0)  # (M, S)

    def lock(self) -> None:
        """Which states are still ``wrong``; molecules without any are left behind."""
        sought = self.exists & self.stable[:, None]
        lost = ~self.norm.isfinite() & sought
        if bool(lost.any()):
            # Where rounding made vectors dependent: no number of more iterations mends that.
            self.wrong = lost
            raise self._failure()
        wrong = (self.norm > self.limit) & sought
        # A molecule that is done changes no more, whatever the others of its batch still need.
        self.wrong = wrong & wrong[:, : self.n_states].any(1)[:, None]
        unfinished = self.wrong.any(1)
        self.unfinished = int(unfinished.sum())
        if self.unfinished <= self.strategy.left_behind * len(self.molecules):
            self._note()
            if self.unfinished:
                self._leave_behind(unfinished.nonzero()[:, 0])

    def _note(self) -> None:
        """Write down the states as they are now."""
        states, n = self.chosen @ self.space.vectors, len(self.molecules)
        parts = states[:n], states[-n:], self.stable
        if self._found is None:
            first, last, stable = (x.new_empty((self.n_all, *x.shape[1:])) for x in parts)
            self._found = first, last, stable
        for found, part in zip(self._found, parts, strict=True):
            found[self.molecules] = part

    def _leave_behind(self, rest: Tensor) -> None:
        """Go on with the ``rest`` of the molecules only."""
        stack = stacked(rest, len(self.molecules), self.n_matrices)
        self.molecules = self.molecules[rest]
        self.operators = self.operators.some(rest)
        self.preconditioner = self.preconditioner.some(rest)
        self.space.keep(rest)
        self.coefficients, self.residuals = self.coefficients[stack], self.residuals[stack]
        self.norm, self.wrong, self.omega = self.norm[rest], self.wrong[rest], self.omega[rest]
        self.exists, self.stable = self.exists[rest], self.stable[rest]

    def correct(self) -> None:
        """Put in place of residuals of wrong states what the preconditioner makes of them."""
        p = self.n_matrices
        width = int(self.wrong.sum(1).max())
        self.residuals *= self.wrong.repeat(p, 1)[:, :, None]
        if width < self.n_followed:
            order = self.wrong.logical_not().long().argsort(dim=1, stable=True)[:, :width]
            rows = torch.arange(len(self.residuals), device=order.device)[:, None]
            self.residuals = self.residuals[rows, order.repeat(p, 1)]
            self.omega = self.omega.gather(1, order[:, :, None])
        at_once = max(1, self.strategy.correction_room // self.residuals[:, 0].numel())
        parts = (x.split(at_once, 1) for x in (self.residuals, self.omega))
        for residuals, omega in zip(*parts, strict=True):
            self._precondition(residuals, omega)

    def _precondition(self, residuals: Tensor, omega: Tensor) -> None:
        """Overwrite ``residuals`` (P·M, S, d) of states of energy ``omega`` (M, S, 1)."""
        inverse = self.preconditioner
        if self.n_matrices == 1:
            residuals.copy_(inverse.excitation(residuals, omega))
            return
        plus, minus = residuals.chunk(2)
        mean = torch.lerp(plus, minus, 0.5)
        x, y = inverse.excitation(mean, omega), inverse.de_excitation(plus - mean, omega)
        torch.add(x, y, out=plus)
        torch.sub(x, y, out=minus)

    def restart(self) -> None:
        """Make room in a space that is full, and make the corrections apart from it."""
        if self.space.size + self.residuals.shape[1] > self.space.capacity:
            self.space.restrict(self.coefficients)
        self.additions = self.space.apart(self.residuals)
        if not bool(self.wrong[:, self.n_guarded :].any()):
            # The crowd is told apart: it stays in the space, but changes no more.
            self.n_followed = self.n_guarded
            self.exists = self.exists[:, : self.n_followed]
            self.limit = self.limit[: self.n_followed]

    def solution(self) -> Roots:
        """The states of all molecules and what they cost."""
        assert self._found is not None
        statistics = Statistics(self.d, self.iterations, self.products)
        return Roots(*self._found, statistics)

    def _failure(self) -> ConvergenceError:
        molecule = int(self.wrong.any(1).nonzero()[0])
        return ConvergenceError(
            f"the excited states of molecule {int(self.molecules[molecule])} of the batch did not "
            f"converge: a residual of {float(self.norm[molecule].max()):.1e} eV remains where "
            f"{self.tolerance:.0e} is expected"
        )


def start_vectors(diagonal: Tensor, mask: Tensor, n_vectors: int, admixture: float) -> Tensor:
    """(M, S, d) the single excitations lowest on the ``diagonal``, each with a bit of all others.

    The bits, of norm about ``admixture``, are a fixed irregular sequence: the same molecule always
    starts alike.
    """
    order = diagonal.masked_fill(~mask, torch.inf).argsort(dim=1, stable=True)
    count = torch.arange(1, order.shape[1] + 1, device=order.device, dtype=torch.float64)
    # Counted by rank, not by place, the sequence does not depend on the padding of a batch.
    irregular = torch.sin(12.9898 * count + 78.233 * count[:n_vectors, None]) * 43758.5453
    size = admixture * (3.0 / mask.sum(1).clamp(min=1)).sqrt()
    vectors = (2.0 * irregular.frac().abs() - 1.0).to(diagonal).expand(len(order), -1, -1)
    vectors = vectors * size[:, None, None].to(diagonal)
    vectors.diagonal(dim1=1, dim2=2).add_(1.0)
    places = order[:, None].expand_as(vectors)
    return torch.zeros_like(vectors).scatter_(2, places, vectors) * mask[:, None]

"""The block Davidson method: the lowest excited states of a batch, without building matrices.

Trial vectors span a small space. The problem projected on that space is solved exactly; the
residual of each wanted state, multiplied by an approximate inverse (the preconditioner), then joins
the space. For linear response the two combinations of amplitudes T = X + Y and U = X − Y are the
stationary points of

    ω = ½ [Tᵀ(A + B)T + Uᵀ(A − B)U] / TᵀU

(Thouless, Nucl. Phys. 22, 78, 1961). T and U therefore each have their own space; A + B acts on the
first only and A − B on the second (Bai and Li, SIAM J. Matrix Anal. Appl. 33, 1075, 2012).
:mod:`esml.physics.solvers.projection` solves the projected problem.

Projected energies are upper bounds. Their error is the *square* of the residual over the distance
to the states outside the space. A state has converged when the norm of its residual is below the
tolerance. Three measures ensure that none is missed. The space starts with at least twice as many
vectors as states wanted. Every start vector contains a little of all single excitations, since a
symmetry absent from all of them could never enter. And a few more states than wanted are followed.

A molecule with symmetry, or several equal ones far apart, need more: their states mix single
excitations of the same energy, and a copy of a state may be orthogonal to all that is followed. A
``careful`` run starts from all single excitations that are as low as the last start vector and from
irregular vectors, follows more states, and does not end before these have nearly converged.

Shape letters: M molecules, P = 1 or 2 matrices of each, S vectors, d single excitations (padded), m
dimension of a space. The vectors of both matrices form one stack (P·M, S, d)
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
from esml.physics.strategy import Strategy


class ConvergenceError(RuntimeError):
    """The iterations ended before all states were found."""


class MatrixProducts(Protocol):
    """One or two symmetric matrices per molecule, known only by their products with vectors.

    Two matrices are A + B and A − B in (A + B) T = ω U, (A − B) U = ω T. A single one is A in
    A X = ω X.
    """

    n_matrices: int
    diagonal: Tensor  # (M, d) approximate diagonal of A, eV
    mask: Tensor  # (M, d) False in padding

    def apply(self, vectors: list[Tensor]) -> list[Tensor]:
        """Multiply each matrix by its own vectors (M, S, d): (M, S, d), eV; zero in padding."""

    def select(self, molecules: Tensor) -> MatrixProducts:
        """Return the operators of some ``molecules`` of the batch, by index."""


@dataclass(frozen=True)
class Statistics:
    """The cost of one run."""

    dimension: int  # d
    iterations: int
    products: int  # matrix–vector products, summed over molecules and matrices


@dataclass(frozen=True)
class Roots:
    """The states followed, by ascending energy; meaningless for a molecule that is not ``stable``.

    The wanted states have converged; the few above them need not have.
    """

    plus: Tensor  # (M, S, d) T = X + Y
    minus: Tensor  # (M, S, d) U = X − Y, TᵀU = 1
    stable: Tensor  # (M,) bool, True where all projected matrices were positive definite
    statistics: Statistics


class Davidson:
    """One run for the ``n_states`` lowest states, in the precision of the operators.

    Parameters
    ----------
    operators:
        The matrices.
    preconditioner:
        Turns residuals into corrections.
    n_states:
        Number of states wanted.
    strategy:
        Tolerances, limits and memory.
    n_crowd:
        Number of states to follow, at a loose tolerance, if states crowd and can only be separated
        together.
    tolerance:
        Norm of the residual of a converged state, eV; that of the strategy if None.
    careful:
        Whether molecules may have symmetry or equal parts.

    Examples
    --------
    >>> roots = Davidson(operators, preconditioner, 10, Strategy()).solve()
    """

    def __init__(
        self,
        operators: MatrixProducts,
        preconditioner: Preconditioner,
        n_states: int,
        strategy: Strategy,
        n_crowd: int = 0,
        tolerance: float | None = None,
        careful: bool = False,
    ) -> None:
        diagonal, s = operators.diagonal, strategy
        self.n_all, self.d = diagonal.shape
        self.operators, self.preconditioner = operators, preconditioner
        self.strategy, self.n_states, self.careful = strategy, n_states, careful
        self.n_matrices = operators.n_matrices
        self.tolerance = s.tolerance.of(diagonal.dtype) if tolerance is None else tolerance
        guards = s.guards + (s.more_guards if careful else n_states // s.states_per_guard)
        self.n_guarded = min(n_states + guards, self.d)
        self.n_followed = max(self.n_guarded, min(n_crowd, self.d))
        self.n_start = max(self.n_followed, min(s.starts_per_state * n_states, self.d))
        self.n_irregular = 0
        if careful:
            self.n_start = self._with_equal(self.n_start)
            self.n_irregular = min(n_states + s.more_guards, self.d)
        self.n_kept = s.kept_per_state * self.n_followed
        self.iterations = self.products = 0

    def _with_equal(self, n_start: int) -> int:
        """Return how many single excitations are as low as the first ``n_start``, at most."""
        diagonal, mask = self.operators.diagonal, self.operators.mask
        ordered = diagonal.masked_fill(~mask, torch.inf).sort(1).values
        last = ordered[:, n_start - 1 : n_start].nan_to_num(posinf=0.0)
        n_equal = int((ordered <= last + self.strategy.equal_levels).sum(1).max())
        return min(max(n_start, n_equal), n_start + self.strategy.equal_most)

    def solve(self, start: Sequence[Tensor] = ()) -> Roots:
        """Iterate until all wanted states have converged.

        Parameters
        ----------
        start:
            Start vectors (M, S, d) for each matrix; single excitations if empty.

        Returns
        -------
        The states and their cost.

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
            if self.n_unfinished == 0:
                return self.solution()
            self.correct()
            self.restart()
        raise self._failure()

    def _begin(self, start: Sequence[Tensor]) -> None:
        """Make an empty space and its first vectors."""
        diagonal, mask, s = self.operators.diagonal, self.operators.mask, self.strategy
        capacity = self._capacity(self.n_start + s.plain_starts + self.n_irregular)
        self.space = Space(diagonal, self.n_matrices, capacity, s)
        self.additions = self._directions(start, s.plain_starts if start else self.n_start)
        if self.additions.shape[1] < self.n_followed:
            # Some of the given start vectors are linearly dependent.
            self.additions = self._directions(start, self.n_start)
        # The molecules still iterated, by their index in the batch.
        self.molecules = torch.arange(self.n_all, device=mask.device)
        place = torch.arange(self.n_followed, device=mask.device)
        self.exists = place < mask.sum(1)[:, None]  # (M, S)
        n_tight = self.n_states if self.careful else self.n_guarded
        self.limit = torch.where(place < n_tight, self.tolerance, s.crowd_tolerance)
        self.unconverged = self.exists
        self.norm = torch.full(self.exists.shape, torch.inf)
        self.stable = torch.ones(self.n_all, dtype=torch.bool, device=mask.device)
        self._found: tuple[Tensor, Tensor, Tensor] | None = None

    def _directions(self, start: Sequence[Tensor], n_plain: int) -> Tensor:
        """Return a basis of each matrix's ``start`` vectors and ``n_plain`` single excitations."""
        diagonal, mask = self.operators.diagonal, self.operators.mask
        plain = start_vectors(diagonal, mask, n_plain, self.strategy.admixture)
        if self.careful:
            plain = torch.cat([plain, irregular_vectors(diagonal, mask, self.n_irregular)], 1)
        starts = [torch.cat([x, plain], 1) for x in start] or [plain] * self.n_matrices
        return self.space.new_directions(torch.cat(starts))

    def _capacity(self, n_start: int) -> int:
        """Return how many vectors a space may hold by cost and memory; ``n_start`` at the start."""
        s, diagonal = self.strategy, self.operators.diagonal
        fitting = s.memory // (2 * self.n_matrices * diagonal.nbytes)
        worth = (int(s.growth_worth * self.d**0.5) - n_start) // self.n_followed
        worth = min(s.growth_most, max(s.growth_least, worth))
        return n_start + self.n_followed * max(
            2, min(worth, (fitting - n_start) // self.n_followed)
        )

    def expand(self) -> None:
        """Multiply the new vectors by the matrices and add both to the space."""
        applied = self.operators.apply(list(self.additions.chunk(self.n_matrices)))
        self.space.add(self.additions, applied)
        self.iterations += 1
        self.products += self.additions.shape[0] * self.additions.shape[1]

    def project(self) -> None:
        """Solve the projected problem: energies ``omega`` and ``coefficients`` in the space."""
        solve = project_pair if self.n_matrices == 2 else project_one
        n_kept = min(self.n_kept, self.space.size)
        energies, self.coefficients, positive = solve(
            self.space.projected, self.space.overlap, n_kept, self.strategy
        )
        self.stable = self.stable & positive
        like = self.operators.diagonal
        self.chosen = self.coefficients[:, :, : self.n_followed].mT.to(like)  # (P·M, S, m)
        self.omega = energies[:, : self.n_followed, None].to(like)  # (M, S, 1)

    def find_residuals(self) -> None:
        """Compute residuals (A + B) T − ω U and (A − B) U − ω T, or A X − ω X, and their norm."""
        p = self.n_matrices
        self.residuals = self.chosen @ self.space.applied  # (P·M, S, d)
        others = (reversed(x.chunk(p)) for x in (self.chosen, self.space.vectors))
        for residual, c, other in zip(self.residuals.chunk(p), *others, strict=True):
            residual.baddbmm_(self.omega * c, other, alpha=-1)
        norm = torch.linalg.vector_norm(self.residuals, dim=2)
        self.norm = norm.unflatten(0, (p, -1)).mean(0)  # (M, S)

    def lock(self) -> None:
        """Find the ``unconverged`` states; molecules without any leave the iterations."""
        sought = self.exists & self.stable[:, None]
        lost = ~self.norm.isfinite() & sought
        if bool(lost.any()):
            # Rounding has made vectors dependent; more iterations cannot fix that.
            self.unconverged = lost
            raise self._failure()
        unconverged = (self.norm > self.limit) & sought
        # A molecule whose wanted states have converged does not change, whatever others need.
        n_needed = self.n_guarded if self.careful else self.n_states
        self.unconverged = unconverged & unconverged[:, :n_needed].any(1)[:, None]
        unfinished = self.unconverged.any(1)
        self.n_unfinished = int(unfinished.sum())
        if self.n_unfinished <= self.strategy.left_behind * len(self.molecules):
            self._store()
            if self.n_unfinished:
                self._leave_behind(unfinished.nonzero()[:, 0])

    def _store(self) -> None:
        """Store the current states of the molecules still iterated."""
        states, n = self.chosen @ self.space.vectors, len(self.molecules)
        parts = states[:n], states[-n:], self.stable
        if self._found is None:
            first, last, stable = (x.new_empty((self.n_all, *x.shape[1:])) for x in parts)
            self._found = first, last, stable
        for found, part in zip(self._found, parts, strict=True):
            found[self.molecules] = part

    def _leave_behind(self, rest: Tensor) -> None:
        """Continue with the molecules ``rest`` only."""
        stack = stacked(rest, len(self.molecules), self.n_matrices)
        self.molecules = self.molecules[rest]
        self.operators = self.operators.select(rest)
        self.preconditioner = self.preconditioner.select(rest)
        self.space.keep(rest)
        self.coefficients, self.residuals = self.coefficients[stack], self.residuals[stack]
        self.norm, self.omega = self.norm[rest], self.omega[rest]
        self.unconverged, self.exists = self.unconverged[rest], self.exists[rest]
        self.stable = self.stable[rest]

    def correct(self) -> None:
        """Replace the residuals of unconverged states by corrections."""
        p = self.n_matrices
        width = int(self.unconverged.sum(1).max())
        self.residuals *= self.unconverged.repeat(p, 1)[:, :, None]
        if width < self.n_followed:
            order = self.unconverged.logical_not().long().argsort(dim=1, stable=True)[:, :width]
            rows = torch.arange(len(self.residuals), device=order.device)[:, None]
            self.residuals = self.residuals[rows, order.repeat(p, 1)]
            self.omega = self.omega.gather(1, order[:, :, None])
        at_once = max(1, self.strategy.correction_room // self.residuals[:, 0].numel())
        parts = (x.split(at_once, 1) for x in (self.residuals, self.omega))
        for residuals, omega in zip(*parts, strict=True):
            self._precondition(residuals, omega)

    def _precondition(self, residuals: Tensor, omega: Tensor) -> None:
        """Overwrite ``residuals`` (P·M, S, d) with corrections; ``omega`` (M, S, 1) in eV."""
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
        """Shrink a full space to its best vectors; orthogonalize the corrections to the space."""
        if self.space.size + self.residuals.shape[1] > self.space.capacity:
            self.space.restrict(self.coefficients)
        self.additions = self.space.new_directions(self.residuals)
        if not bool(self.unconverged[:, self.n_guarded :].any()):
            # The crowd has been separated: it stays in the space, but is not refined further.
            self.n_followed = self.n_guarded
            self.exists = self.exists[:, : self.n_followed]
            self.limit = self.limit[: self.n_followed]

    def solution(self) -> Roots:
        """Return the states of all molecules and their cost."""
        assert self._found is not None
        statistics = Statistics(self.d, self.iterations, self.products)
        return Roots(*self._found, statistics)

    def _failure(self) -> ConvergenceError:
        molecule = int(self.unconverged.any(1).nonzero()[0])
        return ConvergenceError(
            f"the excited states of molecule {int(self.molecules[molecule])} of the batch did not "
            f"converge: a residual of {float(self.norm[molecule].max()):.1e} eV remains where "
            f"{self.tolerance:.0e} is expected"
        )


def start_vectors(diagonal: Tensor, mask: Tensor, n_vectors: int, admixture: float) -> Tensor:
    """Return single excitations lowest on the ``diagonal``, mixed with a little of all: (M, S, d).

    The admixture, of norm about ``admixture``, is a fixed irregular sequence, so the same molecule
    always starts from the same vectors.
    """
    order = diagonal.masked_fill(~mask, torch.inf).argsort(dim=1, stable=True)
    count = torch.arange(1, order.shape[1] + 1, device=order.device, dtype=torch.float64)
    # The sequence runs in order of energy, not of index, so that it does not depend on padding.
    irregular = torch.sin(12.9898 * count + 78.233 * count[:n_vectors, None]) * 43758.5453
    size = admixture * (3.0 / mask.sum(1).clamp(min=1)).sqrt()
    vectors = (2.0 * irregular.frac().abs() - 1.0).to(diagonal).expand(len(order), -1, -1)
    vectors = vectors * size[:, None, None].to(diagonal)
    vectors.diagonal(dim1=1, dim2=2).add_(1.0)
    places = order[:, None].expand_as(vectors)
    return torch.zeros_like(vectors).scatter_(2, places, vectors) * mask[:, None]


def irregular_vectors(diagonal: Tensor, mask: Tensor, n_vectors: int) -> Tensor:
    """Return vectors (M, S, d) that contain every single excitation, low ones more: fixed numbers.

    Their elements fall off with the diagonal of A like those of a state 1 eV below the lowest one.
    """
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(n_vectors, diagonal.shape[1], generator=generator, dtype=torch.float64)
    lowest = diagonal.masked_fill(~mask, torch.inf).amin(1, keepdim=True)
    weights = torch.where(mask, 1.0 / (1.0 + diagonal - lowest), 0.0)
    return numbers.to(diagonal) * weights[:, None]

"""Choice of the method that finds the lowest excited states of a batch.

    small molecules, or most states wanted     matrices are built and diagonalized
    all others                                 Davidson iterations between
      a batch, or a molecule of medium size      occupied and relaxed virtual orbitals
      one large molecule                         the same, started from the pair model
      one large molecule with narrow bands       local orbitals, started from near pairs

Iterations run in single precision on request, and again in double precision if that fails.

If the closed shell of a molecule is not a minimum, its singlets have no real energies. They are
replaced by the states of A (Tamm–Dancoff), and the lowest eigenvalue of A + B and A − B says how
far from a minimum the closed shell is.

Shape letters: M molecules, S states, o and v occupied and virtual orbitals (padded), d = o·v.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from esml.physics.response import Response, ResponseMatrix
from esml.physics.solvers import dense
from esml.physics.solvers.davidson import (
    ConvergenceError,
    Davidson,
    MatrixProducts,
    Roots,
    Statistics,
)
from esml.physics.solvers.near_pairs import Near
from esml.physics.solvers.pair_model import PairModel
from esml.physics.solvers.preconditioners import Diagonal, Preconditioner, WithPairModel
from esml.physics.solvers.projection import resolved
from esml.physics.solvers.representations import Local, Matrices, Relaxed, Representations
from esml.physics.strategy import DEFAULT, Strategy
from esml.typing import Multiplicity

MATRICES: dict[Multiplicity, tuple[ResponseMatrix, ...]] = {
    "singlet": ("A+B", "A-B"),
    "triplet": ("triplet",),
}
"""The matrices whose lowest states are sought."""


@dataclass(frozen=True)
class LowestStates:
    """The lowest states of a batch, between canonical orbitals, without gradients."""

    plus: Tensor  # (M, S, o, v) T = X + Y by energy, TᵀU = 1; zero beyond the last state
    minus: Tensor  # (M, S, o, v) U = X − Y; equal to T for triplets
    stable: Tensor  # (M,) whether all ω² are positive; always True for triplets
    instability: Tensor  # (M,) minus the lowest eigenvalue of A ± B, eV; 0 if stable
    given: Tensor  # (M,) whether there is an answer, from A ± B or from A alone
    energies: Tensor | None = None  # (M, S) eV, if known in the precision of the response
    statistics: tuple[Statistics, ...] = ()  # cost of each Davidson run, in order


class Problem:
    """Finds the lowest singlets and triplets of a batch.

    Parameters
    ----------
    response:
        The response matrices; in double precision if iterations are needed.
    precision:
        Precision of the iterations; that of ``response`` if None.
    strategy:
        All thresholds.
    """

    def __init__(
        self,
        response: Response,
        precision: torch.dtype | None = None,
        strategy: Strategy = DEFAULT,
    ) -> None:
        self.response = response
        self.precision = precision or response.dtype
        self.strategy = strategy
        self.representations = Representations(response, strategy)

    @torch.no_grad()
    def lowest(self, multiplicity: Multiplicity, n_states: int) -> LowestStates:
        """Return the ``n_states`` lowest states, without gradients.

        Raises
        ------
        ConvergenceError
            If the iterations end before all states have converged.
        """

        def iterated(dtype: torch.dtype) -> LowestStates:
            if self._is_large() and self.representations.is_narrow(dtype):
                return self._in_local_orbitals(multiplicity, n_states, dtype)
            return self._in_relaxed_orbitals(multiplicity, n_states, dtype)

        if self._is_small(n_states):
            return self._tamm_dancoff(self._dense(multiplicity, n_states), n_states)
        if self.precision != self.response.dtype:
            # Near an instability, single precision is not enough. It may also find an instability
            # where there is none, if the vectors of many states are nearly dependent.
            try:
                found = iterated(self.precision)
                if bool(found.stable.all()):
                    return found
            except (ConvergenceError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
                pass
        return self._tamm_dancoff(iterated(self.response.dtype), n_states)

    def _is_small(self, n_states: int) -> bool:
        """Whether building and diagonalizing the matrices is as fast as iterating."""
        singles = int(self.response.n_available.max())
        return singles <= max(self.strategy.dense, self.strategy.dense_per_state * n_states)

    def _has_equal_levels(self) -> bool:
        """Whether many orbitals of a molecule have equal energies: by symmetry or equal parts."""
        steps = self.response.orbitals.energies.diff(dim=1)
        n_equal = (steps < self.strategy.equal_levels).sum(1)
        return bool((n_equal >= self.strategy.equal_share * steps.isfinite().sum(1)).any())

    def _is_large(self) -> bool:
        """Whether this is a single molecule, large enough for local orbitals to save time."""
        layout = self.response.layout
        return layout.n_molecules == 1 and layout.n_max >= self.strategy.large

    def _dense(self, multiplicity: Multiplicity, n_states: int) -> LowestStates:
        if multiplicity == "singlet":
            return _solution(*dense.singlets(self.response, n_states))
        _, amplitudes = dense.lowest(self.response, "triplet", n_states)
        stable = torch.ones_like(self.response.n_available, dtype=torch.bool)
        return _solution(amplitudes, amplitudes, stable)

    def _tamm_dancoff(self, found: LowestStates, n_states: int) -> LowestStates:
        """Replace the states in ``found`` by those of A for molecules that are not stable."""
        rest = (~found.stable).nonzero()[:, 0]
        if len(rest) == 0:
            return found
        curvatures = [self._lowest_of(matrix, rest, 1)[0][:, 0] for matrix in MATRICES["singlet"]]
        instability = -torch.stack(curvatures).amin(0)
        energies, amplitudes = self._lowest_of("A", rest, n_states)
        near = (instability <= self.strategy.saddle) & (energies[:, 0] > 0)
        return replace(
            found,
            plus=found.plus.index_copy(0, rest, amplitudes),
            minus=found.minus.index_copy(0, rest, amplitudes),
            instability=found.instability.index_copy(0, rest, instability),
            given=found.given.index_copy(0, rest, near),
        )

    def _lowest_of(
        self, matrix: ResponseMatrix, rest: Tensor, n_states: int
    ) -> tuple[Tensor, Tensor]:
        """Return the lowest eigenvalues (R, S), eV, and eigenvectors (R, S, o, v) of one matrix.

        ``rest`` (R,) are the molecules of the batch. Both are zero beyond the last state.
        """
        if self._is_small(n_states):
            values, vectors = dense.lowest(self.response, matrix, n_states)
            return values[rest], vectors[rest]
        form = self.representations.relaxed(self.response.dtype).select(rest)
        operators = Matrices(form, (matrix,), self.response.singles_mask[rest])
        roots = self._iterate(form, operators, None, n_states)
        states = roots.plus[:, :n_states]
        values = (states * operators.apply([states])[0]).sum(2) / states.square().sum(2)
        return values, self._canonical(form, [states], n_states)[0]

    def _in_relaxed_orbitals(
        self, multiplicity: Multiplicity, n_states: int, dtype: torch.dtype
    ) -> LowestStates:
        form = self.representations.relaxed(dtype)
        model = self._pair_model(form, multiplicity, n_states)
        return self._converged(form, model, multiplicity, n_states)

    def _in_local_orbitals(
        self, multiplicity: Multiplicity, n_states: int, dtype: torch.dtype
    ) -> LowestStates:
        form = self.representations.local(dtype)
        model = self._pair_model(self.representations.canonical(dtype), multiplicity, n_states)
        if model is not None:
            model = model.turned(form.turn_hole, form.turn_electron)
        start, runs = self._near_states(form, model, multiplicity, n_states)
        if model is not None:
            model = model.within(form.everywhere())
        return self._converged(form, model, multiplicity, n_states, start, runs)

    def _pair_model(
        self, between: Relaxed | Response, multiplicity: Multiplicity, n_states: int
    ) -> PairModel | None:
        """Return the pair model of a large molecule; None for others, or if it were too large."""
        s, response = self.strategy, self.response
        n_atoms = response.layout.n_atoms_max
        n_pairs = max(s.pairs_per_atom * n_atoms, s.pairs_per_state * n_states)
        if not self._is_large() or s.singles_per_pair * n_pairs > response.n_available[0]:
            return None
        frontier = self.representations.frontier(between, n_pairs)
        return PairModel.of(frontier, between.kernel, multiplicity, s)

    def _near_states(
        self, form: Local, model: PairModel | None, multiplicity: Multiplicity, n_states: int
    ) -> tuple[list[Tensor], tuple[Statistics, ...]]:
        """Return T and U, or X, (1, S, d) of the near pairs alone; empty if these do not help."""
        window, n_crowd = form.near(), 0
        if window is None:
            return [], ()
        if model is not None:
            model, n_crowd = model.within(window), model.crowd(n_states)
        near = Near(form, window, multiplicity)
        roots = self._iterate(near, near, model, n_states, n_crowd=n_crowd)
        states = [roots.plus, roots.minus][: near.n_matrices] if bool(roots.stable.all()) else []
        return [window.spread(x) for x in states], (roots.statistics,)

    def _converged(
        self,
        form: Relaxed | Local,
        model: PairModel | None,
        multiplicity: Multiplicity,
        n_states: int,
        start: list[Tensor] | None = None,
        runs: tuple[Statistics, ...] = (),
    ) -> LowestStates:
        """Return the states of the whole problem in the representation ``form``."""
        mask = self.response.singles_mask
        if not start and model is not None and multiplicity == "singlet":
            # The states of A alone are close to those of A ± B and cost half as much.
            alone = Matrices(form, ("A",), mask)
            tolerance = self.strategy.start_tolerance
            nearly = self._iterate(form, alone, model, n_states, tolerance=tolerance)
            start, runs = [nearly.plus, nearly.plus], (*runs, nearly.statistics)
        operators = Matrices(form, MATRICES[multiplicity], mask)
        roots = self._iterate(form, operators, model, n_states, start)
        energies, states = None, [roots.plus, roots.minus][: operators.n_matrices]
        if model is not None and bool(roots.stable.all()):
            # Include the states above the wanted ones: they may be nearly degenerate with them.
            energies, states = self._separated(form, states, multiplicity)
            energies = energies[:, :n_states]
        plus, minus = self._canonical(form, states, n_states)
        return _solution(plus, minus, roots.stable, energies, (*runs, roots.statistics))

    def _iterate(
        self,
        form: Relaxed | Local | Near,
        operators: MatrixProducts,
        model: PairModel | None,
        n_states: int,
        start: list[Tensor] | None = None,
        n_crowd: int = 0,
        tolerance: float | None = None,
    ) -> Roots:
        """Do one Davidson run, starting from ``start`` or else from the states of the ``model``."""
        preconditioner = self.preconditioner(form, operators, model)
        careful = self._has_equal_levels()
        davidson = Davidson(
            operators, preconditioner, n_states, self.strategy, n_crowd, tolerance, careful
        )
        if not start and model is not None:
            start = [model.lowest(davidson.n_start)[None]] * operators.n_matrices
        return davidson.solve(start or ())

    def preconditioner(
        self, form: Relaxed | Local | Near, operators: MatrixProducts, model: PairModel | None
    ) -> Preconditioner:
        """Return the preconditioner for the representation ``form``."""
        inverse: Preconditioner
        if isinstance(form, Relaxed):
            smallest = self.strategy.smallest_denominator
            inverse = Diagonal(operators.diagonal, operators.mask, smallest)
        else:
            inverse = form.levels
        return inverse if model is None else WithPairModel(inverse, model)

    def _separated(
        self, form: Relaxed | Local, states: list[Tensor], multiplicity: Multiplicity
    ) -> tuple[Tensor, list[Tensor]]:
        """Solve between the ``states`` (M, S, d) in the precision of the response.

        Returns energies (M, S), eV, and states. Single precision cannot separate crowded states.
        """
        exact, made = self.response.dtype, self.representations
        same = made.local(exact) if isinstance(form, Local) else made.relaxed(exact)
        operators = Matrices(same, MATRICES[multiplicity], self.response.singles_mask)
        states = [x.to(exact) for x in states]
        return resolved(states, operators.apply(states), self.strategy)

    def _canonical(
        self, form: Relaxed | Local, states: list[Tensor], n_states: int
    ) -> tuple[Tensor, Tensor]:
        """Transform ``states`` (M, S, d) to T and U (M, n_states, o, v) of canonical orbitals.

        They are normalized to TᵀU = 1.
        """
        shape = self.response.singles_mask.shape[1:]
        states = [
            form.to_canonical(x[:, :n_states].unflatten(2, shape)).to(self.response.dtype)
            for x in states
        ]
        plus, minus = states[0], states[-1]
        norm = (plus * minus).sum((2, 3), keepdim=True)
        plus, minus = (x * torch.where(norm > 0, norm, 1.0).rsqrt() for x in (plus, minus))
        missing = n_states - plus.shape[1]
        plus, minus = (torch.nn.functional.pad(x, (0, 0, 0, 0, 0, missing)) for x in (plus, minus))
        return plus, minus


def _solution(
    plus: Tensor,
    minus: Tensor,
    stable: Tensor,
    energies: Tensor | None = None,
    statistics: tuple[Statistics, ...] = (),
) -> LowestStates:
    """Return a solution in which, for now, only stable molecules have an answer."""
    none = torch.zeros(len(plus)).to(plus)
    return LowestStates(plus, minus, stable, none, stable, energies, statistics)

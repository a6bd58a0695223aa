"""Orbitals driven by light: the linear response to perturbations of one frequency.

A perturbation V of frequency ω mixes virtual into occupied orbitals with amplitudes X and Y,

    (A + B) P − ω Q = −2 V_ov ,   (A − B) Q − ω P = 0 ,   P = X + Y ,   Q = X − Y ,

which are sums over all excited states k,

    X = −Σ_k [X_k / (ω_k − ω) + Y_k / (ω_k + ω)] v_k ,
    Y = −Σ_k [Y_k / (ω_k − ω) + X_k / (ω_k + ω)] v_k ,

v_k = Σ_ia (X_k + Y_k)_ia V_ia. For small molecules, the matrices are built. For others, the
equations are projected on a space of vectors that grows by the residuals, divided by differences of
orbital levels (J. Olsen, H. J. Aa. Jensen and P. Jørgensen, J. Comput. Phys. 74, 265 (1988)). The
space starts from known states, so that a frequency near the energy of one of them costs no more
than others.

``space.Space`` serves eigenvalue problems: it holds separate vectors for each matrix, and their
overlap. Here, both matrices act on the same vectors, a linear system is solved between them, and
the space of each frequency branches off from a common start. This module therefore has its own
small space.

All functions treat one molecule. Shape letters: W frequencies, P perturbations, m vectors, d = o·v
single excitations, o and v occupied and virtual orbitals. Energies in eV.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from esml.physics.response import Response, ResponseMatrix
from esml.physics.solvers.davidson import ConvergenceError
from esml.physics.solvers.preconditioners import Diagonal
from esml.physics.strategy import DEFAULT, Strategy

Matrices = tuple[ResponseMatrix, ResponseMatrix]
"""Types of the matrices that act on P and Q: A + B and A − B, or A twice (Tamm–Dancoff)."""


@dataclass(frozen=True)
class Driven:
    """Amplitudes of driven orbitals, without gradients, in the unit of V over eV."""

    X: Tensor  # (W, P, o, v)
    Y: Tensor  # (W, P, o, v)


@torch.no_grad()
def driven(
    response: Response,
    perturbations: Tensor,
    frequencies: Tensor,
    matrices: Matrices = ("A+B", "A-B"),
    known: Tensor | None = None,
    strategy: Strategy = DEFAULT,
) -> Driven:
    """Return the linear response of one molecule.

    Parameters
    ----------
    response:
        The matrices, in double precision.
    perturbations:
        (P, o, v) V between occupied and virtual orbitals.
    frequencies:
        (W,) ω, eV.
    matrices:
        The matrices of P and of Q.
    known:
        (m, o, v) vectors to start from, such as X ± Y of the lowest states; none if left out.
    strategy:
        Sets when matrices are built and how tightly the equations are solved.

    Raises
    ------
    ValueError
        If ``response`` holds more than one molecule.
    ConvergenceError
        If iterations end before the equations are solved.
    """
    if len(response.occupied) != 1:
        raise ValueError(f"driven is for one molecule, got {len(response.occupied)}")
    force = -2.0 * perturbations.flatten(1)
    if int(response.n_available.max()) <= strategy.dense:
        found = _dense(response, force, frequencies, matrices)
    else:
        found = _iterated(response, force, frequencies, matrices, known, strategy)
    plus, minus = (torch.stack(x).unflatten(2, perturbations.shape[1:]) for x in found)
    return Driven(X=0.5 * (plus + minus), Y=0.5 * (plus - minus))


Solutions = tuple[list[Tensor], list[Tensor]]
"""Lists of P and of Q, both (P, d), with one entry for each frequency."""


def _dense(response: Response, force: Tensor, frequencies: Tensor, matrices: Matrices) -> Solutions:
    first, second = (response.dense(kind)[0] for kind in matrices)
    inverse = torch.linalg.inv(second)
    plus = [torch.linalg.solve(first - w**2 * inverse, force.mT).mT for w in frequencies]
    return plus, [w * p @ inverse for p, w in zip(plus, frequencies, strict=True)]


def _iterated(
    response: Response,
    force: Tensor,
    frequencies: Tensor,
    matrices: Matrices,
    known: Tensor | None,
    strategy: Strategy,
) -> Solutions:
    none = force.new_zeros(0, force.shape[1])
    start = _Space(response, matrices, strategy, none, none, none)
    if known is not None:
        start = start.with_(known.flatten(1))
    mask = response.singles_mask.flatten(1)
    levels = Diagonal(response.diagonal().flatten(1), mask, strategy.smallest_denominator)
    plus, minus = [], []
    for frequency in frequencies:
        p, q = _of_frequency(start, levels, force, frequency, strategy)
        plus.append(p)
        minus.append(q)
    return plus, minus


def _of_frequency(
    space: _Space, levels: Diagonal, force: Tensor, frequency: Tensor, strategy: Strategy
) -> tuple[Tensor, Tensor]:
    """Return P and Q, both (P, d), at one frequency, starting from a ``space``."""
    size = force.norm(dim=1, keepdim=True).clamp(min=torch.finfo(force.dtype).tiny)
    for _ in range(strategy.most_iterations):
        p, q, of_p, of_q = space.solve(force, frequency)
        rest = force - of_p + frequency * q, frequency * p - of_q
        error = torch.cat(rest, 1).norm(dim=1, keepdim=True) / size
        open_ = (error > strategy.driven_tolerance)[:, 0]
        if not bool(open_.any()):
            return p, q
        first, second = (x[open_][None] for x in rest)
        omega = frequency.expand(1, first.shape[1], 1)
        x = levels.excitation(first + second, omega)[0]
        y = levels.de_excitation(first - second, omega)[0]
        space = space.with_(torch.cat([x, y]))
    raise ConvergenceError(
        f"the response at {float(frequency):.3f} eV has not converged in "
        f"{strategy.most_iterations} iterations (residual {float(error.max()):.1e})"
    )


class _Space:
    """Orthonormal vectors (m, d) and their products with both matrices."""

    def __init__(
        self,
        response: Response,
        matrices: Matrices,
        strategy: Strategy,
        vectors: Tensor,
        first: Tensor,
        second: Tensor,
    ) -> None:
        self._response, self._matrices, self._strategy = response, matrices, strategy
        self.vectors, self.first, self.second = vectors, first, second

    def with_(self, new: Tensor) -> _Space:
        """Return this space, extended by the directions that the ``new`` vectors (m', d) add."""
        added = self._orthonormal(new)
        if len(added) == 0:
            return self
        first, second = self._products(added)
        return _Space(
            self._response,
            self._matrices,
            self._strategy,
            torch.cat([self.vectors, added]),
            torch.cat([self.first, first]),
            torch.cat([self.second, second]),
        )

    def solve(self, force: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Solve within the space: P, Q and their products with first and second matrix, (P, d)."""
        v, m = self.vectors, len(self.vectors)
        if m == 0:
            zero = torch.zeros_like(force)
            return zero, zero, zero, zero
        one = frequency * torch.eye(m).to(v)
        upper = torch.cat([v @ self.first.mT, -one], 1)
        lower = torch.cat([-one, v @ self.second.mT], 1)
        right = torch.cat([v @ force.mT, force.new_zeros(m, len(force))])
        p, q = torch.linalg.solve(torch.cat([upper, lower]), right).mT.split(m, 1)
        return p @ v, q @ v, p @ self.first, q @ self.second

    def _orthonormal(self, new: Tensor) -> Tensor:
        """Return an orthonormal basis of the directions that ``new`` adds."""
        new = new / new.norm(dim=1, keepdim=True).clamp(min=torch.finfo(new.dtype).tiny)
        for _ in range(2):
            new = new - (new @ self.vectors.mT) @ self.vectors
        values, turns = torch.linalg.eigh(new @ new.mT)
        kept = values > self._strategy.driven_dependent**2
        added = (turns[:, kept] / values[kept].sqrt()).mT @ new
        added = added - (added @ self.vectors.mT) @ self.vectors
        basis: Tensor = torch.linalg.qr(added.mT).Q
        return basis.mT

    def _products(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        amplitudes = vectors.unflatten(1, self._response.singles_mask.shape[1:])[None]
        if self._matrices[0] == self._matrices[1]:
            product = self._response.apply(amplitudes, self._matrices[0])[0].flatten(1)
            return product, product
        first, second = self._response.apply_pair(amplitudes, amplitudes)
        return first[0].flatten(1), second[0].flatten(1)

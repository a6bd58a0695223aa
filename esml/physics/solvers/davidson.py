"""Lowest excited states of a batch of response problems, without their matrices.

Block Davidson: trial vectors span a small space, the problem projected on it is solved exactly, and
what remains of the equations of every wanted state (its residual), divided by the differences of
energy it meets (the preconditioner), joins the space. For linear response the two combinations of
amplitudes T = X + Y and U = X − Y are the stationary points of

    ω = ½ [Tᵀ(A + B)T + Uᵀ(A − B)U] / TᵀU

(Thouless, Nucl. Phys. 22, 78, 1961), lowest states first, so that each may have a space of its own
and A ± B act on one kind of vector only (Bai and Li, SIAM J. Matrix Anal. Appl. 33, 1075, 2012).
With the projected matrices factorized as A + B = RRᵀ and A − B = LLᵀ and the overlap S of the two
spaces, the projected problem is a singular value decomposition: R⁻¹ S L⁻ᵀ has the values 1/ω.

Projected energies are upper bounds, in error by the *square* of the residual over the distance to
the states outside the space. A state counts as converged when the norm of its residual is below the
tolerance. So that none is missed, the space starts with at least twice the states wanted, every
start vector carries a little of everything (a symmetry none of them had would never come in), and a
few more states than wanted are followed. For a large molecule a better model of A than its
diagonal, one of pairs of local orbitals, gives start vectors and corrections
(:mod:`esml.physics.solvers.excitons`).

What is done to both kinds of vectors is done at once, to a stack of P·M: those of the first matrix
of every molecule, then, where P = 2, those of the second.

Shape letters: M molecules, P matrices of each, S vectors, d = o·v single excitations (padded), m
dimension of a space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from esml.physics.solvers.excitons import Excitons

TOLERANCE = {torch.float32: 5e-4, torch.float64: 1e-8}
"""Largest norm of the residual of a converged state, eV, by the precision of the iterations."""

MEMORY = 3 * 2**30
"""Bytes for the spaces of one batch; one that outgrows its share starts again from the best."""

MOST_ITERATIONS = 200

GROWTH = 3, 16
"""Additions of all states followed before a space starts again, at least and at most."""

WORTH = 2.5
"""Vectors of a space for each of √d: solving the problem projected on it takes the cube of their
number, what another iteration costs grows with √d³."""

ROUGHLY = 0.15
"""Norm of the residual, eV, to which states are found that only crowd the wanted ones."""

ROOM = 2**22
"""Numbers in what corrections need beside the residuals: of large molecules a few at a time, for
new memory costs more than what is done in it."""

PIECE = 8192
"""Numbers of a vector whose products are summed in their own precision; longer ones in double."""

N_PLAIN = 3
"""Start vectors that are single excitations, beside those from a model."""

FEW = 0.85
"""Share of a batch's molecules whose iterations go on without the others."""

_LEAST = 1e-9  # 1/eV²; what is smaller is none of the energies
_ADMIXTURE = 0.03  # norm of what breaks the symmetry of a start vector
_SMALLEST_DENOMINATOR = 0.3  # eV
_DEPENDENT = {torch.float32: 1e-3, torch.float64: 1e-7}  # norm of a vector that adds nothing
_SURE = 0.1  # norm that what is new of a vector must have to be so but for rounding

Apply = Callable[[list[Tensor]], list[Tensor]]
"""Symmetric matrices, each times its own vectors: (M, S, d) → (M, S, d), zero in padding."""

Division = Callable[[Tensor, Tensor], Tensor]
"""Residuals (M, S, d) and ω (M, S, 1), eV: about (A − ω)⁻¹ times the residuals."""


class ConvergenceError(RuntimeError):
    """The iterations ended before all states were found."""


@dataclass(frozen=True)
class Roots:
    """The states followed, ascending; without meaning for a molecule that is not ``stable``.

    Those wanted are converged, the few above them are not.
    """

    plus: Tensor  # (M, S, d) T = X + Y
    minus: Tensor  # (M, S, d) U = X − Y, TᵀU = 1
    stable: Tensor  # (M,) bool, whether all projected matrices were positive definite


def start_vectors(diagonal: Tensor, mask: Tensor, n_vectors: int) -> Tensor:
    """(M, S, d) the single excitations lowest on the ``diagonal``, each with a bit of all others.

    The bits are a fixed irregular sequence: the same molecule always starts alike.
    """
    order = diagonal.masked_fill(~mask, torch.inf).argsort(dim=1, stable=True)
    count = torch.arange(1, order.shape[1] + 1, device=order.device, dtype=torch.float64)
    # Counted by rank, not by place, the sequence does not depend on the padding of a batch.
    irregular = torch.sin(12.9898 * count + 78.233 * count[:n_vectors, None]) * 43758.5453
    size = _ADMIXTURE * (3.0 / mask.sum(1).clamp(min=1)).sqrt()
    vectors = (2.0 * irregular.frac().abs() - 1.0).to(diagonal).expand(len(order), -1, -1)
    vectors = vectors * size[:, None, None].to(diagonal)
    vectors.diagonal(dim1=1, dim2=2).add_(1.0)
    places = order[:, None].expand_as(vectors)
    return torch.zeros_like(vectors).scatter_(2, places, vectors) * mask[:, None]


def _products(left: Tensor, right: Tensor) -> Tensor:
    """Scalar products (M, a, b) of vectors (M, a, d) and (M, b, d), in ``_precision`` of them."""
    if left.shape[2] <= PIECE:
        return left @ right.mT
    total = left.new_zeros((*left.shape[:2], right.shape[1]), dtype=_precision(left))
    for one, other in zip(left.split(PIECE, 2), right.split(PIECE, 2), strict=True):
        total += one @ other.mT
    return total


def _precision(vectors: Tensor) -> torch.dtype:
    """Of sums over (…, d): in single precision rounding is no longer small in those of a million.

    Short vectors keep to their own, in which projected problems are solved in half the time.
    """
    return vectors.dtype if vectors.shape[-1] <= PIECE else torch.float64


class _Space:
    """Vectors well apart, of norm 1, and what symmetric matrices make of them.

    A stack: those of the first matrix of every molecule, then those of the second, if there is one.
    """

    def __init__(self, diagonal: Tensor, n_matrices: int, capacity: int) -> None:
        n_molecules, d = diagonal.shape
        stack = n_matrices * n_molecules, capacity
        self.size = 0
        self._n_matrices = n_matrices
        self._vectors = diagonal.new_empty((*stack, d))
        self._applied = diagonal.new_empty((*stack, d))
        precision = _precision(diagonal)
        self._projected = diagonal.new_empty((*stack, capacity), dtype=precision)
        self._overlap = diagonal.new_empty((n_molecules, capacity, capacity), dtype=precision)

    @property
    def vectors(self) -> Tensor:
        """(P·M, m, d); some molecules have fewer than others, and zeros in their place."""
        return self._vectors[:, : self.size]

    @property
    def applied(self) -> Tensor:
        """(P·M, m, d) the matrices times ``vectors``."""
        return self._applied[:, : self.size]

    @property
    def projected(self) -> Tensor:
        """(P·M, m, m) the matrices between ``vectors``."""
        return self._projected[:, : self.size, : self.size]

    @property
    def overlap(self) -> Tensor:
        """(M, m, m) products of the vectors for the first matrix with those for the last."""
        return self._overlap[:, : self.size, : self.size]

    def add(self, vectors: Tensor, applied: list[Tensor]) -> None:
        """Take in ``vectors`` (P·M, S, d) and what each matrix makes of its own, (M, S, d)."""
        old, new = self.size, self.size + vectors.shape[1]
        self._vectors[:, old:new] = vectors
        torch.cat(applied, out=self._applied[:, old:new])
        self._multiply(old, new)

    def restrict(self, coefficients: Tensor) -> None:
        """Keep only the combinations ``coefficients`` (P·M, m, S), orthonormalized."""
        # Those of empty places may be anything; what they combine is zero.
        orthonormal = torch.linalg.qr(coefficients)[0].mT.to(self._vectors)
        vectors, applied = orthonormal @ self.vectors, orthonormal @ self.applied
        new = coefficients.shape[2]
        self._vectors[:, :new] = vectors
        self._applied[:, :new] = applied
        self._multiply(0, new)

    def _multiply(self, old: int, new: int) -> None:
        """Scalar products of the vectors from ``old`` to ``new``, the last, with all."""
        self.size = new
        added = slice(old, new)
        rows = _products(self._applied[:, added], self.vectors)
        self._projected[:, added, :new] = rows
        self._projected[:, :old, added] = rows[:, :, :old].mT
        n_molecules = len(self._overlap)
        first, last = self.vectors[:n_molecules], self.vectors[-n_molecules:]
        self._overlap[:, added, :new] = _products(first[:, added], last)
        self._overlap[:, :old, added] = _products(first[:, :old], last[:, added])

    def keep(self, molecules: Tensor) -> None:
        """Leave all but some ``molecules`` behind."""
        stack = _stacked(molecules, len(self._overlap), self._n_matrices)
        for name, rows in (
            ("_vectors", stack),
            ("_applied", stack),
            ("_projected", stack),
            ("_overlap", molecules),
        ):
            old = getattr(self, name)
            kept = old.new_empty((len(rows), *old.shape[1:]))
            kept[:, : self.size] = old[rows, : self.size]
            setattr(self, name, kept)

    def apart(self, vectors: Tensor) -> Tensor:
        """What of ``vectors`` (M, S, d) is new, orthonormal but for rounding, zeros last.

        ``vectors`` are overwritten.
        """
        vectors = self._rid(_normalized(vectors))
        values, axes = torch.linalg.eigh(_products(vectors, vectors))
        kept = values > _DEPENDENT[vectors.dtype] ** 2
        axes = axes * torch.where(kept, values, 1.0).rsqrt()[:, None] * kept[:, None]
        first = vectors.shape[1] - int(kept.sum(1).max())
        new: Tensor = axes[:, :, first:].flip(2).mT.to(vectors) @ vectors
        # Of little that remains much is rounding, which no step must make grow into a state.
        n_sure = int((values > _SURE**2).sum(1).min())
        unsure = new[:, n_sure:]
        _normalized(self._rid(unsure))
        return new

    def _rid(self, vectors: Tensor) -> Tensor:
        """``vectors`` (M, S, d), rid in place of their part in the space."""
        if self.size and vectors.shape[1]:
            inside = _products(vectors, self.vectors).to(vectors)
            vectors.baddbmm_(inside, self.vectors, alpha=-1.0)
        return vectors


def _normalized(vectors: Tensor) -> Tensor:
    """``vectors`` (M, S, d), divided in place by their norms."""
    norm = torch.linalg.vector_norm(vectors, dim=2, keepdim=True)
    return vectors.div_(torch.where(norm > 0, norm, 1.0))


def _stacked(molecules: Tensor, n_molecules: int, n_matrices: int) -> Tensor:
    """Places in a stack of P·M of some ``molecules`` of M."""
    return torch.cat([molecules + p * n_molecules for p in range(n_matrices)])


def lowest(
    apply: Apply,
    diagonal: Tensor,
    mask: Tensor,
    n_states: int,
    n_matrices: Literal[1, 2],
    excitons: Excitons | None = None,
    divided: Division | None = None,
    given: list[Tensor] | None = None,
    n_crowd: int = 0,
    tolerance: float | None = None,
    some: Callable[[Tensor], Apply] | None = None,
) -> Roots:
    """The ``n_states`` lowest solutions of a response problem, in the precision of ``diagonal``.

    Two matrices are A + B and A − B of (A + B) T = ω U, (A − B) U = ω T; one is A of A X = ω X,
    where T and U are both X and the sign of ω says whether a molecule is stable. ``apply``
    multiplies them, in this order, with one set of vectors each.

    ``diagonal`` (M, d) approximates that of A, eV; ``mask`` (M, d) says which single excitations
    are no padding. ``excitons`` are a better model of A, for a batch of one molecule; ``given``
    vectors (M, S, d) for each matrix, about its states, replace the model's as a start.
    ``n_crowd`` states are followed, roughly, where so many crowd that they must be told apart
    together. ``tolerance`` (eV) replaces ``TOLERANCE``. ``some`` gives what multiplies for a few
    molecules of the batch, by index: those that are done are then left behind. Raises
    ConvergenceError.
    """
    n_all, d = diagonal.shape
    n_molecules = n_all
    tolerance = TOLERANCE[diagonal.dtype] if tolerance is None else tolerance
    n_guarded = min(n_states + 2 + n_states // 8, d)
    n_followed = max(n_guarded, min(n_crowd, d))
    n_start = max(n_followed, min(2 * n_states, d))
    capacity = _capacity(
        n_start + N_PLAIN, n_followed, d, MEMORY // (2 * n_matrices * diagonal.nbytes)
    )
    space = _Space(diagonal, n_matrices, capacity)
    model = given or ([] if excitons is None else [excitons.lowest(n_start)[None]] * n_matrices)
    plain = start_vectors(diagonal, mask, N_PLAIN if model else n_start)
    starts = [torch.cat([found, plain], 1) for found in model] or [plain] * n_matrices
    additions = space.apart(torch.cat(starts))
    if divided is None:
        divided = partial(_divided, diagonal, mask)
    n_kept = 2 * n_followed
    found: Roots | None = None
    molecules = torch.arange(n_all, device=mask.device)
    place = torch.arange(n_followed, device=mask.device)
    exists = place < mask.sum(1)[:, None]
    limit = torch.where(place < n_guarded, tolerance, ROUGHLY)
    stable = torch.ones(n_molecules, dtype=torch.bool, device=mask.device)
    project = _project_pair if n_matrices == 2 else _project_one
    for _ in range(MOST_ITERATIONS):
        space.add(additions, apply(list(additions.chunk(n_matrices))))
        energies, coefficients, positive = project(
            space.projected, space.overlap, min(n_kept, space.size)
        )
        stable = stable & positive
        chosen = coefficients[:, :, :n_followed].mT.to(diagonal)
        omega = energies[:, :n_followed, None].to(diagonal)
        # (A + B) T − ω U and (A − B) U − ω T, or A X − ω X.
        residuals = chosen @ space.applied
        others = (reversed(x.chunk(n_matrices)) for x in (chosen, space.vectors))
        for residual, c, other in zip(residuals.chunk(n_matrices), *others, strict=True):
            residual.baddbmm_(omega * c, other, alpha=-1)
        norm = torch.linalg.vector_norm(residuals, dim=2).unflatten(0, (n_matrices, -1)).mean(0)
        lost = ~norm.isfinite() & exists & stable[:, None]
        if bool(lost.any()):
            # Where rounding made vectors dependent: no number of more iterations mends that.
            wrong = lost
            break
        wrong = (norm > limit) & exists & stable[:, None]
        # A molecule that is done changes no more, whatever the others of its batch still need.
        wrong = wrong & wrong[:, :n_states].any(1)[:, None]
        width = int(wrong.sum(1).max())
        unfinished = wrong.any(1)
        n_unfinished = int(unfinished.sum())
        if n_unfinished == 0 or (some is not None and n_unfinished <= FEW * n_molecules):
            states = chosen @ space.vectors
            parts = states[:n_molecules], states[-n_molecules:], stable
            found = found or Roots(*(x.new_empty((n_all, *x.shape[1:])) for x in parts))
            found.plus[molecules], found.minus[molecules], found.stable[molecules] = parts
            if some is None or n_unfinished == 0:
                return found
            rest = unfinished.nonzero()[:, 0]
            stack = _stacked(rest, n_molecules, n_matrices)
            n_molecules, molecules = n_unfinished, molecules[rest]
            apply, divided = (
                some(molecules),
                partial(_divided, diagonal[molecules], mask[molecules]),
            )
            space.keep(rest)
            coefficients, residuals = coefficients[stack], residuals[stack]
            norm, wrong, omega = norm[rest], wrong[rest], omega[rest]
            exists, stable = exists[rest], stable[rest]
        order = wrong.logical_not().long().argsort(dim=1, stable=True)[:, :width]
        residuals *= wrong.repeat(n_matrices, 1)[:, :, None]
        if width < n_followed:
            rows = torch.arange(len(residuals), device=mask.device)[:, None]
            residuals = residuals[rows, order.repeat(n_matrices, 1)]
            omega = omega.gather(1, order[:, :, None])
        _correct(residuals, omega, divided, excitons)
        if space.size + width > capacity:
            space.restrict(coefficients)
        additions = space.apart(residuals)
        if additions.shape[1] == 0:
            break
        if not bool(wrong[:, n_guarded:].any()):
            # The crowd is told apart: it stays in the space, but changes no more.
            n_followed = n_guarded
            exists, limit = exists[:, :n_followed], limit[:n_followed]
    molecule = int(wrong.any(1).nonzero()[0])
    raise ConvergenceError(
        f"the excited states of molecule {int(molecules[molecule])} of the batch did not converge: "
        f"a residual of {float(norm[molecule].max()):.1e} eV remains where {tolerance:.0e} is "
        "expected"
    )


def _capacity(n_start: int, n_followed: int, d: int, fitting: int) -> int:
    """Vectors of a space that starts with ``n_start``; ``fitting`` are those there is room for."""
    least, most = GROWTH
    worth = min(most, max(least, (int(WORTH * d**0.5) - n_start) // n_followed))
    return n_start + n_followed * max(2, min(worth, (fitting - n_start) // n_followed))


def resolved(vectors: list[Tensor], applied: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The states among combinations of ``vectors`` (M, S, d), one list of T and U or of X.

    And before them their energies (M, S), eV. ``applied`` is what the matrices make of the vectors.
    In double precision this parts states that single precision cannot tell from each other.
    """
    project = _project_pair if len(vectors) == 2 else _project_one
    projected = torch.cat([_products(a, x) for a, x in zip(applied, vectors, strict=True)])
    overlap = _products(vectors[0], vectors[-1])
    energies, coefficients, _ = project(projected, overlap, vectors[0].shape[1])
    of_each = coefficients.mT.to(vectors[0]).chunk(len(vectors))
    return energies, [c @ x for c, x in zip(of_each, vectors, strict=True)]


def _correct(
    residuals: Tensor,
    omega: Tensor,
    divided: Division,
    excitons: Excitons | None,
) -> None:
    """Put in place of residuals (P·M, S, d) what an inverse of the equations makes of them.

    Or a better model, ``excitons``. ``omega`` (M, S, 1) are the energies, eV.
    """
    at_once = max(1, ROOM // residuals[:, 0].numel())
    for part, energies in zip(residuals.split(at_once, 1), omega.split(at_once, 1), strict=True):
        plus, minus = part[: len(omega)], part[-len(omega) :]
        paired = len(part) > len(omega)
        residual = torch.lerp(plus, minus, 0.5) if paired else plus
        x = divided(residual, energies)
        if excitons is not None:
            x = excitons.corrected(x[0], residual[0], energies[0])[None]
        if paired:
            y = divided(plus - residual, -energies)
            torch.add(x, y, out=plus)
            torch.sub(x, y, out=minus)
        else:
            part.copy_(x)


def _divided(diagonal: Tensor, mask: Tensor, residual: Tensor, omega: Tensor) -> Tensor:
    """``residual`` (M, S, d) divided by ``diagonal`` (M, d) − ω, zero outside ``mask``."""
    denominator = diagonal[:, None] - omega
    size = denominator.abs().clamp_(min=_SMALLEST_DENOMINATOR)
    # In place: of large molecules a new tensor costs more than what is done to it.
    torch.copysign(size, denominator, out=denominator)
    return torch.div(residual, denominator, out=denominator).mul_(mask[:, None])


def _factor(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Cholesky factors (M, m, m) with 1 for an empty place; which matrices are not positive."""
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    factor, failed = torch.linalg.cholesky_ex(
        matrix.double() + torch.diag_embed((diagonal == 0).double())
    )
    return factor, failed > 0


def _project_pair(
    projected: Tensor, overlap: Tensor, n_wanted: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The lowest solutions of the linear-response problem between vectors T and vectors U.

    ``projected`` (2 M, m, m) are A + B between the T and A − B between the U, ``overlap``
    (M, m, m) the products TᵀU. Returns the ``n_wanted`` lowest energies (M, n_wanted), eV, the
    coefficients (2 M, m, n_wanted) of T and of U, and where both matrices are positive definite
    (M,).
    """
    factor, bad = _factor(projected)
    positive = ~bad.unflatten(0, (2, -1)).any(0)
    identity = torch.eye(factor.shape[1]).to(factor)
    factor = torch.where(positive.repeat(2)[:, None, None], factor, identity)
    r, l = factor.chunk(2)
    left = torch.linalg.solve_triangular(r, overlap.double(), upper=False)
    kernel = torch.linalg.solve_triangular(l, left.mT, upper=False).mT
    values, vectors = torch.linalg.eigh((kernel @ kernel.mT).to(overlap))
    values, vectors = (x[..., -n_wanted:].double().flip(-1) for x in (values, vectors))
    found = values > _LEAST
    energies = torch.where(found, values, torch.inf).rsqrt()
    root = torch.where(found, values, 1.0).pow(-0.25) * found
    both = torch.cat([vectors * root[:, None], kernel.mT @ vectors * root[:, None] ** 3])
    return energies, torch.linalg.solve_triangular(factor.mT, both, upper=True), positive


def _project_one(
    projected: Tensor, overlap: Tensor, n_wanted: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The lowest states of one matrix between vectors X; arguments as for ``_project_pair``."""
    factor, _ = _factor(overlap)
    left = torch.linalg.solve_triangular(factor, projected.double(), upper=False)
    matrix = torch.linalg.solve_triangular(factor, left.mT, upper=False)
    # Empty places sort last (Gershgorin).
    top = matrix.abs().sum(2).amax(1) + 1.0
    empty = overlap.diagonal(dim1=1, dim2=2) == 0
    matrix = 0.5 * (matrix + matrix.mT) + torch.diag_embed(top[:, None] * empty)
    energies, vectors = torch.linalg.eigh(matrix.to(overlap))
    x = torch.linalg.solve_triangular(factor.mT, vectors[:, :, :n_wanted].double(), upper=True)
    return energies[:, :n_wanted], x, torch.ones_like(top, dtype=torch.bool)

"""The response matrices between orbitals other than the canonical ones.

:class:`esml.physics.response.Response` uses canonical orbitals. Iterations converge faster, or cost
less, with others:

    Relaxed    virtual orbitals that diagonalize F', so that Δ is diagonal
    Local      local orbitals of one large molecule, whose matrices are banded

:mod:`esml.physics.solvers.near_pairs` keeps only those pairs of local orbitals that are near each
other. ``to_canonical`` transforms vectors to canonical orbitals. Representations carry no gradients
and are made and used under ``torch.no_grad``. :class:`Representations` makes each one at its first
use, so that singlets and triplets share it.

Shape letters: M molecules, S vectors, n orbitals, o and v occupied and virtual orbitals (padded),
d = o·v. Energies in eV.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from esml.physics.kernel import Kernel
from esml.physics.orbitals import eigh, stack_times
from esml.physics.response import DenseOrbitals, Operator, Response, ResponseMatrix, attraction
from esml.physics.solvers.banded import Banded, PairWindow, Sandwich
from esml.physics.solvers.local_orbitals import Line, LocalOrbitals
from esml.physics.solvers.pair_model import Frontier
from esml.physics.solvers.preconditioners import Levels
from esml.physics.strategy import Strategy


class RelaxedOrbitals:
    """The virtual orbitals that diagonalize F', in double precision."""

    def __init__(self, response: Response) -> None:
        mask = response.orbitals.virtual_mask
        levels, self.turn = eigh(response.fock_virtual.double(), mask)  # (M, v, v)
        levels = levels * mask
        self.virtual = response.virtual @ self.turn  # (M, n, v)
        self.levels = levels  # (M, v) eV
        lower = response.fock_occupied.diagonal(dim1=1, dim2=2)
        self.differences = levels[:, None] - lower[:, :, None]  # (M, o, v) eV


@dataclass(eq=False)
class Relaxed(DenseOrbitals):
    """The response between occupied and relaxed virtual orbitals."""

    kernel: Kernel
    chunk: int
    occupied: Tensor  # (M, n, o)
    virtual: Tensor  # (M, n, v) relaxed
    fock_occupied: Tensor  # (M, o, o) eV, diagonal
    fock_virtual: Tensor  # (M, v, v) eV, diagonal
    differences: Tensor  # (M, o, v) Δ, eV
    turn: Tensor  # (M, v, v) relaxed in terms of canonical virtual orbitals, double precision
    diagonal_a: Tensor  # (M, o, v) diagonal of A without the integrals K, eV

    in_place = True

    @classmethod
    def of(cls, response: Response, orbitals: RelaxedOrbitals, chunk: int) -> Relaxed:
        """Return ``response`` between relaxed ``orbitals``, in the precision of ``response``."""
        dtype = response.dtype
        occupied, virtual = response.occupied, orbitals.virtual.to(dtype)
        upper = orbitals.levels.to(dtype)
        lower = response.fock_occupied.diagonal(dim1=1, dim2=2)
        levels = upper[:, None, :] - lower[:, :, None]
        return cls(
            kernel=response.kernel,
            chunk=chunk,
            occupied=occupied,
            virtual=virtual,
            fock_occupied=response.fock_occupied,
            fock_virtual=torch.diag_embed(upper),
            differences=orbitals.differences.to(dtype),
            turn=orbitals.turn,
            diagonal_a=levels
            - attraction(occupied, virtual, response.interaction, response.layout),
        )

    def select(self, molecules: Tensor) -> Relaxed:
        """Return the representation of some ``molecules`` of the batch, by index."""
        return Relaxed(
            self.kernel.select(molecules),
            self.chunk,
            self.occupied[molecules],
            self.virtual[molecules],
            self.fock_occupied[molecules],
            self.fock_virtual[molecules],
            self.differences[molecules],
            self.turn[molecules],
            self.diagonal_a[molecules],
        )

    def diagonal(self) -> Tensor:
        return self.diagonal_a

    def to_canonical(self, amplitudes: Tensor) -> Tensor:
        """Transform ``amplitudes`` (M, S, o, v) to canonical orbitals."""
        return stack_times(amplitudes.to(self.turn), self.turn.mT)

    def _levels(self, amplitudes: Tensor) -> Tensor:
        return self.differences[:, None] * amplitudes


class Local(Operator):
    """The response of one large molecule between local orbitals.

    Amplitudes are T' = U_oᵀ T U_v, where C_o U_o and C_v U_v are local
    (:mod:`esml.physics.solvers.local_orbitals`). All matrices except T' are then banded. Elements
    outside the bands are omitted; they change a product by less than the tolerance of the
    iterations.

    Parameters
    ----------
    response:
        The response of the molecule, in the precision wanted.
    orbitals:
        Its local orbitals.
    strategy:
        Sets which elements bands omit and which pairs are near.
    """

    in_place = True

    def __init__(self, response: Response, orbitals: LocalOrbitals, strategy: Strategy) -> None:
        dtype = response.dtype
        self.orbitals, self.strategy = orbitals, strategy
        self.chunk = strategy.chunk
        self.kernel = response.kernel.in_order(orbitals.order)
        self.hole, self.electron = orbitals.hole.to(dtype), orbitals.electron.to(dtype)
        self.turn_hole = orbitals.turn_hole.to(dtype)
        self.turn_electron = orbitals.turn_electron.to(dtype)
        self._hole, self._hole_back = self._banded(self.hole), self._banded(self.hole.mT)
        self._electron = self._banded(self.electron)
        self._electron_back = self._banded(self.electron.mT)
        self._fock_hole = self._banded(orbitals.levels_hole.to(dtype))
        self._fock_electron = self._banded(orbitals.levels_electron.to(dtype))

    def _banded(self, matrix: Tensor) -> Banded:
        negligible = self.strategy.negligible.of(matrix.dtype)
        return Banded(matrix, negligible, self.strategy.strip_rows)

    def near(self) -> PairWindow | None:
        """Return the strongly bound pairs; None if there are none, or too many to save time."""
        window = PairWindow(-self.attraction > self.strategy.binding, self.strategy.strip_holes)
        return window if 0 < window.fill < self.strategy.widest_band else None

    def everywhere(self) -> PairWindow:
        """Return a window on all pairs."""
        return PairWindow(
            torch.ones_like(self.attraction, dtype=torch.bool), self.strategy.strip_holes
        )

    @cached_property
    def attraction(self) -> Tensor:
        """(o, v) attraction between electron and hole of each pair, negative, eV.

        It is that of singlets, also for triplets, since it only serves to choose pairs and to
        precondition.
        """
        minus_exchange = self.kernel.minus_exchange["singlet"][0]
        found: Tensor = self.hole.mT.square() @ minus_exchange @ self.electron.square()
        return found

    @cached_property
    def levels(self) -> Levels:
        """The preconditioner (Δ − ω)⁻¹."""
        between = partial(Sandwich, negligible=self.strategy.rough, n_rows=self.strategy.strip_rows)
        return Levels(self.orbitals, self.hole.dtype, between, self.strategy)

    def diagonal(self) -> Tensor:
        """Return the diagonal (1, o, v) of A without the integrals K, eV."""
        orbitals = self.orbitals
        levels = orbitals.levels_electron.diagonal() - orbitals.levels_hole.diagonal()[:, None]
        return (levels.to(self.hole) + self.attraction)[None]

    def select(self, molecules: Tensor) -> Local:
        return self  # a batch of one molecule

    def to_canonical(self, amplitudes: Tensor) -> Tensor:
        """Transform ``amplitudes`` T' (1, S, o, v) to canonical orbitals, U_o T' U_vᵀ."""
        amplitudes = amplitudes.to(self.hole)
        canonical: Tensor = self.turn_hole @ (amplitudes @ self.turn_electron.mT)
        return canonical

    def _density(self, first: Tensor, second: Tensor | None) -> Tensor:
        half = self._hole.times(first[0].transpose(0, 1).flatten(1)[None])
        density = self._electron.transposed_after(half.view(-1, first.shape[3]))
        if second is not None:
            half = self._electron.times(second[0].permute(2, 0, 1).flatten(1)[None])
            self._hole.add_transposed_after(density, half.view(-1, first.shape[2]))
        return density.view(1, -1, *first.shape[1:2], density.shape[1])

    def _between_orbitals(self, field: Tensor, transposed: bool = False) -> Tensor:
        left, right = self._hole_back, self._electron_back
        if transposed:
            left, right = right, left
        half = right.transposed_after(field.flatten(0, 2)).view(1, len(field[0]), -1)
        found = left.times(half).unflatten(2, (field.shape[2], -1)).transpose(1, 2)
        amplitudes: Tensor = found.mT if transposed else found
        return amplitudes

    def _levels(self, amplitudes: Tensor) -> Tensor:
        particle = self._fock_electron.transposed_after(amplitudes.flatten(0, 2))
        return particle.view_as(amplitudes) - self._fock_hole.times(amplitudes[0])


class Matrices:
    """Matrices of a representation, applied to the flat vectors (M, S, d) of the iterations.

    Parameters
    ----------
    form:
        The representation.
    matrices:
        ("A+B", "A-B"), ("A",) or ("triplet",).
    mask:
        (M, o, v) False in padding.
    """

    def __init__(
        self, form: Relaxed | Local, matrices: tuple[ResponseMatrix, ...], mask: Tensor
    ) -> None:
        self._form, self._matrices, self._mask = form, matrices, mask
        self.n_matrices = len(matrices)
        self.diagonal = form.diagonal().flatten(1)  # (M, d) approximate diagonal of A, eV
        self.mask = mask.flatten(1)  # (M, d)

    def apply(self, vectors: list[Tensor]) -> list[Tensor]:
        """Multiply each of the matrices by its own ``vectors`` (M, S, d), eV."""
        trials = [x.unflatten(2, self._mask.shape[1:]) for x in vectors]
        if len(trials) == 2:
            products = self._form.apply_pair(trials[0], trials[1])
            return [x.flatten(2) for x in products]
        return [self._form.apply(trials[0], self._matrices[0]).flatten(2)]

    def select(self, molecules: Tensor) -> Matrices:
        """Return the matrices of some ``molecules`` of the batch, by index."""
        return Matrices(self._form.select(molecules), self._matrices, self._mask[molecules])


class Representations:
    """The representations of a ``response``; each is made once, at its first use.

    Orbitals are transformed in double precision, then converted to the precision ``dtype``.
    """

    def __init__(self, response: Response, strategy: Strategy) -> None:
        self.response, self.strategy = response, strategy
        self._canonical = {response.dtype: response}
        self._relaxed: dict[torch.dtype, Relaxed] = {}
        self._local: dict[torch.dtype, Local] = {}
        self._frontiers: dict[tuple[torch.dtype, int], Frontier] = {}

    @cached_property
    def _relaxed_orbitals(self) -> RelaxedOrbitals:
        return RelaxedOrbitals(self.response)

    @cached_property
    def _line(self) -> Line:
        occupied = self.response.occupied[0]
        return Line(occupied @ occupied.mT, self.strategy.coupled)

    @cached_property
    def _local_orbitals(self) -> LocalOrbitals:
        of = self.response
        parts = of.occupied[0], of.virtual[0], of.fock_occupied[0], of.fock_virtual[0]
        return LocalOrbitals(self._line.order, *parts, self.strategy.decay_times)

    def is_narrow(self, dtype: torch.dtype) -> bool:
        """Whether bands of the first molecule's local orbitals omit enough to save time."""
        negligible = self.strategy.negligible.of(dtype)
        return self._line.fill(negligible, self.strategy.strip_rows) < self.strategy.widest_band

    def canonical(self, dtype: torch.dtype) -> Response:
        """Return the response between canonical orbitals."""
        if dtype not in self._canonical:
            self._canonical[dtype] = self.response.to(dtype)
        return self._canonical[dtype]

    def relaxed(self, dtype: torch.dtype) -> Relaxed:
        """Return the response between occupied and relaxed virtual orbitals."""
        if dtype not in self._relaxed:
            canonical, orbitals = self.canonical(dtype), self._relaxed_orbitals
            self._relaxed[dtype] = Relaxed.of(canonical, orbitals, self.strategy.chunk)
        return self._relaxed[dtype]

    def local(self, dtype: torch.dtype) -> Local:
        """Return the response between local orbitals of the first molecule."""
        if dtype not in self._local:
            canonical, orbitals = self.canonical(dtype), self._local_orbitals
            self._local[dtype] = Local(canonical, orbitals, self.strategy)
        return self._local[dtype]

    def frontier(self, between: DenseOrbitals, n_pairs: int) -> Frontier:
        """Return the ``n_pairs`` lowest pairs of local frontier orbitals of the first molecule."""
        key = between.occupied.dtype, n_pairs
        if key not in self._frontiers:
            self._frontiers[key] = Frontier(between, n_pairs, self.strategy)
        return self._frontiers[key]

"""The matrices of linear response in the minimal basis, applied without being built.

What they are is in :mod:`esml.physics.excitations`, whose states are theirs. In the minimal basis
amplitudes T are a transition density, which acts on pairs of basis functions as a field and comes
back between orbitals:

    D = C_o T C_vᵀ   (density)  →  F = field(D)  →  A T = C_oᵀ F C_v + Δ T

:class:`Kernel` makes the field, which is the same in all orbitals; an :class:`Operator` knows a set
of orbitals. :class:`Response` is the one between canonical orbitals and carries gradients; those
that solvers use are in :mod:`esml.physics.solvers.representations`.

Shape letters: M molecules, S vectors, n orbitals, o and v occupied and virtual orbitals (padded),
K atoms, H of these with p orbitals. Energies in eV.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from esml.physics.basis import N_SLOTS, OrbitalLayout
from esml.physics.interaction import Interaction
from esml.physics.orbitals import Orbitals, stack_times
from esml.physics.solvers.strategy import Strategy

Multiplicity = Literal["singlet", "triplet"]

Kind = Literal["A+B", "A-B", "A", "triplet"]
"""The matrices of the response problem: singlet A ± B and A, and the triplet A."""

SIGN: dict[Kind, float] = {"A+B": 1.0, "A-B": -1.0}
"""With which sign the transpose of a density, de-excitation, joins it; it does not in A."""


def multiplicity(kind: Kind) -> Multiplicity:
    """Whose coupling acts in ``kind``; on the antisymmetric densities of A − B there is none."""
    return "triplet" if kind == "triplet" else "singlet"


@dataclass(frozen=True)
class Kernel:
    """The field that transition densities make, the two-electron part of the response.

    Coupling of the atomic multipoles of the density, minus γ^J∘D and the one-centre exchange of its
    atomic blocks. Rows and columns of the n basis functions may stand in any order.
    """

    minus_exchange: Tensor  # (M, n, n) −γ^J between the atoms of two basis functions
    monopoles: dict[Multiplicity, Tensor]  # (M, n, n) between the diagonals of density and field
    blocks: dict[Multiplicity, Tensor]  # (M, H, 16, 16) between their blocks on an atom
    row: Tensor  # (M, H, 16) basis functions of the elements of those blocks
    column: Tensor  # (M, H, 16)

    @classmethod
    def of(cls, interaction: Interaction, layout: OrbitalLayout) -> Kernel:
        """The field of ``interaction`` in the basis ``layout``."""
        atom = layout.orbital_atom()
        molecule = torch.arange(layout.n_molecules, device=atom.device)[:, None]
        pair = molecule[:, :, None], atom[:, :, None], atom[:, None, :]
        local = torch.diag_embed(interaction.triplet_monopole)
        # Only atoms with p orbitals have one-centre terms beyond the monopole: H places for them.
        slot = layout.slot_index()
        heavy = slot[:, :, -1] < layout.n_max
        order = heavy.logical_not().long().argsort(dim=1, stable=True)[:, : int(heavy.sum(1).max())]
        filled = heavy.gather(1, order)[:, :, None, None]
        slot = slot.gather(1, order[:, :, None].expand(-1, -1, N_SLOTS))
        rows, columns = torch.broadcast_tensors(slot[:, :, :, None], slot[:, :, None, :])
        row, column = (torch.where(filled, x, 0).flatten(2) for x in (rows, columns))
        exchange = interaction.exchange_blocks()
        coupled: dict[Multiplicity, Tensor] = {
            "singlet": interaction.singlet_blocks(),
            "triplet": interaction.triplet_blocks(),
        }
        return cls(
            minus_exchange=-interaction.exchange[pair],
            monopoles={"singlet": 2.0 * interaction.coulomb[pair], "triplet": 2.0 * local[pair]},
            blocks={
                name: torch.where(filled, (2.0 * block - exchange)[molecule, order], 0.0)
                for name, block in coupled.items()
            },
            row=row,
            column=column,
        )

    @property
    def requires_grad(self) -> bool:
        """Whether fields carry gradients with respect to the interaction."""
        tensors = self.minus_exchange, *self.monopoles.values(), *self.blocks.values()
        return any(x.requires_grad for x in tensors)

    def some(self, molecules: Tensor) -> Kernel:
        """The same for some ``molecules`` of the batch, by index."""
        return Kernel(
            self.minus_exchange[molecules],
            {name: x[molecules] for name, x in self.monopoles.items()},
            {name: x[molecules] for name, x in self.blocks.items()},
            self.row[molecules],
            self.column[molecules],
        )

    def in_order(self, order: Tensor) -> Kernel:
        """The same for basis functions that stand in an ``order`` (n,)."""
        place = order.argsort()
        return Kernel(
            self.minus_exchange[:, order][:, :, order],
            {name: x[:, order][:, :, order] for name, x in self.monopoles.items()},
            self.blocks,
            place[self.row],
            place[self.column],
        )

    def field(self, density: Tensor, coupling: Multiplicity, in_place: bool) -> Tensor:
        """What a ``density`` does to pairs of basis functions.

        Parameters
        ----------
        density:
            (M, n, S, n), contiguous.
        coupling:
            Whose multipoles couple.
        in_place:
            Write the field over the density, which saves memory and forbids gradients.

        Returns
        -------
        (M, n, S, n), eV.
        """
        of_diagonal = density.diagonal(dim1=1, dim2=3) @ self.monopoles[coupling]
        n_states, n = density.shape[2:]
        state = torch.arange(0, n_states * n, n, device=density.device)[:, None]
        place = (self.row * (n_states * n) + self.column)[:, :, None] + state
        place = place.flatten(1)
        on_atoms = density.flatten(1).gather(1, place)
        on_atoms = on_atoms.view(*self.row.shape[:2], n_states, N_SLOTS**2)
        onsite = (on_atoms @ self.blocks[coupling]).flatten(1)
        exchange = self.minus_exchange[:, :, None]
        field = density.mul_(exchange) if in_place else density * exchange
        field.diagonal(dim1=1, dim2=3).add_(of_diagonal)
        field.view(len(field), -1).scatter_add_(1, place, onsite)
        return field


class Operator(ABC):
    """Response matrices between some set of occupied and virtual orbitals.

    Products cost O(n³) per vector and are taken of as many vectors at a time as ``chunk`` numbers
    allow. Vectors are amplitudes (M, S, o, v).
    """

    kernel: Kernel
    chunk: int

    in_place: ClassVar[bool]
    """Whether a field is written over its density, where no gradient is ever asked for."""

    @abstractmethod
    def diagonal(self) -> Tensor:
        """(M, o, v) about the diagonal of A, eV; without meaning in padding."""

    @abstractmethod
    def _density(self, first: Tensor, second: Tensor | None) -> Tensor:
        """C_o X C_vᵀ + C_v Yᵀ C_oᵀ (M, n, S, n) of X = ``first`` and, if given, Y = ``second``.

        Both are (M, S, o, v). Vectors stand between the two sides, so that each product is one of
        large matrices for all of them.
        """

    @abstractmethod
    def _between_orbitals(self, field: Tensor, transposed: bool = False) -> Tensor:
        """C_oᵀ F C_v (M, S, o, v) of a ``field`` F (M, n, S, n), or of its transpose."""

    @abstractmethod
    def _levels(self, amplitudes: Tensor) -> Tensor:
        """Δ T (M, S, o, v) of ``amplitudes`` T (M, S, o, v)."""

    def apply(self, amplitudes: Tensor, kind: Kind) -> Tensor:
        """The matrix ``kind`` times ``amplitudes`` (M, S, o, v), eV, same shape."""
        if kind not in get_args(Kind):
            raise ValueError(f"kind must be 'A+B', 'A-B', 'A' or 'triplet', got {kind!r}")
        parts = []
        for part in amplitudes.split(self._at_once, 1):
            second = SIGN[kind] * part if kind in SIGN else None
            density = self._density(part, second)
            field = self.kernel.field(density, multiplicity(kind), self.in_place)
            parts.append(self._between_orbitals(field) + self._levels(part))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def apply_pair(self, plus: Tensor, minus: Tensor) -> tuple[Tensor, Tensor]:
        """(A + B) T and (A − B) U of T = ``plus`` and U = ``minus``, both (M, S, o, v).

        With x = T + U and y = T − U they are half the sum and half the difference of A x + B y and
        B x + A y, for which one density and its field serve: the field and its transpose.
        """
        parts = []
        for t, u in zip(plus.split(self._at_once, 1), minus.split(self._at_once, 1), strict=True):
            x, y = t + u, t - u
            field = self.kernel.field(self._density(x, y), "singlet", self.in_place)
            of_x = self._between_orbitals(field) + self._levels(x)
            of_y = self._between_orbitals(field, transposed=True) + self._levels(y)
            parts.append((0.5 * (of_x + of_y), 0.5 * (of_x - of_y)))
        if len(parts) == 1:
            return parts[0]
        applied_plus, applied_minus = zip(*parts, strict=True)
        return torch.cat(applied_plus, 1), torch.cat(applied_minus, 1)

    @property
    def _at_once(self) -> int:
        n_molecules, n = self.kernel.minus_exchange.shape[:2]
        return max(1, self.chunk // (n_molecules * n**2))


class DenseOrbitals(Operator):
    """Response matrices between orbitals that spread over all of a molecule."""

    occupied: Tensor  # (M, n, o) coefficients
    virtual: Tensor  # (M, n, v)
    fock_occupied: Tensor  # (M, o, o) eV
    fock_virtual: Tensor  # (M, v, v) F', relaxed, eV

    def _density(self, first: Tensor, second: Tensor | None) -> Tensor:
        density = to_basis(self.occupied, first, self.virtual)
        if second is not None:
            # There are fewer virtual orbitals: summed over last, they take fewer operations.
            half = times_stack(self.occupied, second).permute(0, 3, 2, 1).flatten(2)
            density.flatten(2).baddbmm_(self.virtual, half)
        return density

    def _between_orbitals(self, field: Tensor, transposed: bool = False) -> Tensor:
        n_states, v = field.shape[2], self.virtual.shape[2]
        if transposed:
            half = (field.flatten(2).mT @ self.virtual).unflatten(1, field.shape[2:])
            half = half.transpose(1, 2).flatten(2)
        else:
            half = (field.flatten(1, 2) @ self.virtual).view(*field.shape[:2], n_states * v)
        found: Tensor = (self.occupied.mT @ half).unflatten(2, (n_states, v))
        return found.transpose(1, 2)


class Response(DenseOrbitals):
    """The response matrices of a batch between canonical orbitals.

    Parameters
    ----------
    orbitals, interaction, layout:
        Of the same batch and dtype.
    chunk:
        See :class:`esml.physics.solvers.strategy.Strategy`.

    Raises
    ------
    ValueError
        If orbitals, interaction and layout are not of the same batch and dtype.

    Notes
    -----
    All products are differentiable, with respect to the vectors and to what the response is made
    of. ``requires_grad`` says whether it carries gradients of its own: it does if it was made while
    autograd records, of orbitals or an interaction that require them.
    """

    in_place = False

    def __init__(
        self,
        orbitals: Orbitals,
        interaction: Interaction,
        layout: OrbitalLayout,
        chunk: int = Strategy.chunk,
    ) -> None:
        _check(orbitals, interaction, layout)
        self.orbitals = orbitals
        self.interaction = interaction
        self.layout = layout
        self.chunk = chunk
        self.kernel = Kernel.of(interaction, layout)
        self.occupied, self.virtual = orbitals.occupied, orbitals.virtual
        self.fock_occupied = orbitals.fock_occupied
        relaxation = self.virtual.mT @ interaction.relaxation @ self.virtual
        self.fock_virtual = (1.0 + interaction.virtual_scale) * orbitals.fock_virtual + (
            0.5 * (relaxation + relaxation.mT)
        )
        self.singles_mask = (
            orbitals.occupied_mask[:, :, None] & orbitals.virtual_mask[:, None, :]
        )  # (M, o, v)
        self.n_available = self.singles_mask.sum((1, 2))  # (M,)

    @property
    def dtype(self) -> torch.dtype:
        return self.occupied.dtype

    @property
    def requires_grad(self) -> bool:
        """Whether products carry gradients even where the vectors do not."""
        tensors = self.occupied, self.virtual, self.fock_occupied, self.fock_virtual
        return self.kernel.requires_grad or any(x.requires_grad for x in tensors)

    @torch.no_grad()
    def to(self, dtype: torch.dtype) -> Response:
        """The same in another precision, without gradients."""
        if dtype == self.dtype:
            return self
        orbitals = replace(self.orbitals, **_in_precision(self.orbitals, dtype))
        interaction = replace(self.interaction, **_in_precision(self.interaction, dtype))
        return Response(orbitals, interaction, self.layout, self.chunk)

    def diagonal(self) -> Tensor:
        """The diagonal of A without couplings K, ε'_a − ε_i − Σ_AB q^A_ii γ^J_AB q^B_aa.

        (M, o, v), eV; without meaning in padding.
        """
        virtual, occupied = (
            f.diagonal(dim1=1, dim2=2) for f in (self.fock_virtual, self.fock_occupied)
        )
        levels = virtual[:, None, :] - occupied[:, :, None]
        return levels - attraction(self.occupied, self.virtual, self.interaction, self.layout)

    def dense(self, kind: Kind) -> Tensor:
        """The matrix ``kind`` (M, o·v, o·v), eV, ia as i·v + a; zero in padding."""
        n_molecules, o, v = self.singles_mask.shape
        identity = torch.eye(o * v).to(self.occupied).view(1, o * v, o, v)
        # The matrices are symmetric: rows may be built in place of columns.
        rows = self.apply(identity.expand(n_molecules, -1, -1, -1), kind).flatten(2)
        return rows * self.singles_mask.flatten(1)[:, :, None]

    def singlet_functional(self, plus: Tensor, minus: Tensor) -> Tensor:
        """½ [Tᵀ(A + B)T + Uᵀ(A − B)U] (M, S), eV, for T = ``plus``, U = ``minus`` (M, S, o, v)."""
        applied_plus, applied_minus = self.apply_pair(plus, minus)
        return 0.5 * (plus * applied_plus + minus * applied_minus).sum((2, 3))

    def triplet_functional(self, amplitudes: Tensor) -> Tensor:
        """XᵀAX (M, S), eV, for X = ``amplitudes`` (M, S, o, v)."""
        return (amplitudes * self.apply(amplitudes, "triplet")).sum((2, 3))

    def _levels(self, amplitudes: Tensor) -> Tensor:
        # The occupied block is diagonal in value, but not in its gradient.
        of_holes = times_stack(self.fock_occupied, amplitudes).transpose(1, 2)
        return stack_times(amplitudes, self.fock_virtual) - of_holes


def attraction(
    occupied: Tensor, virtual: Tensor, interaction: Interaction, layout: OrbitalLayout
) -> Tensor:
    """Σ_AB q^A_ii γ^J_AB q^B_aa (M, o, v), eV, of orbitals (M, n, o) and (M, n, v)."""
    hole, particle = (
        layout.gather_slots(c).square().sum(2) for c in (occupied, virtual)
    )  # (M, K, o), (M, K, v)
    return hole.mT @ interaction.exchange @ particle


def _check(orbitals: Orbitals, interaction: Interaction, layout: OrbitalLayout) -> None:
    """Raise ValueError if these are not of the same batch and dtype."""
    n = layout.n_max
    found = tuple(orbitals.coefficients.shape)
    if found != (layout.n_molecules, n, n):
        raise ValueError(
            f"orbitals must be {(layout.n_molecules, n, n)} for this layout, got {found}"
        )
    expected = (layout.n_molecules, layout.n_atoms_max, layout.n_atoms_max)
    if tuple(interaction.coulomb.shape) != expected:
        raise ValueError(
            f"interaction.coulomb must be {expected} for this layout, "
            f"got {tuple(interaction.coulomb.shape)}"
        )
    if tuple(interaction.relaxation.shape) != found:
        raise ValueError(
            f"interaction.relaxation must be {found} for this layout, "
            f"got {tuple(interaction.relaxation.shape)}"
        )
    if interaction.coulomb.dtype != orbitals.coefficients.dtype:
        raise ValueError(
            f"interaction is {interaction.coulomb.dtype} where orbitals are "
            f"{orbitals.coefficients.dtype}"
        )


def _in_precision(part: Orbitals | Interaction, dtype: torch.dtype) -> dict[str, Any]:
    """The fields of ``part`` that have a precision, in ``dtype``."""
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    return {name: x.detach().to(dtype) for name, x in values.items() if x.is_floating_point()}


def to_basis(occupied: Tensor, amplitudes: Tensor, virtual: Tensor) -> Tensor:
    """C_o T C_vᵀ (M, n, S, n) of orbitals (M, n, o) and (M, n, v) and T (M, S, o, v)."""
    return stack_times(times_stack(occupied, amplitudes), virtual.mT)


def times_stack(matrix: Tensor, amplitudes: Tensor) -> Tensor:
    """C T (M, n, S, v) of a ``matrix`` C (M, n, o) and T (M, S, o, v)."""
    half = matrix @ amplitudes.transpose(1, 2).flatten(2)
    return half.view(*half.shape[:2], *amplitudes.shape[1::2])

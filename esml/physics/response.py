"""The matrices of linear response, applied to vectors without building them.

:mod:`esml.physics.excitations` defines A and B. A product with amplitudes T takes three steps:

    D = C_o T C_vᵀ                transition density in the basis
    F = field of D                coulomb and exchange kernels
    A T = C_oᵀ F C_v + Δ T        back between orbitals

:mod:`esml.physics.kernel` computes the field, which does not depend on the choice of orbitals. An
:class:`Operator` adds a set of orbitals. :class:`Response` uses canonical orbitals and is
differentiable; the solvers use the others in :mod:`esml.physics.solvers.representations`.

Shape letters: M molecules, S vectors, n orbitals, o and v occupied and virtual orbitals (padded),
K atoms, H of these with p orbitals. Energies in eV.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields, replace
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from esml.physics.basis import OrbitalLayout
from esml.physics.interaction import Interaction
from esml.physics.kernel import Kernel
from esml.physics.orbitals import Orbitals, stack_times
from esml.physics.strategy import Strategy
from esml.typing import Multiplicity

ResponseMatrix = Literal["A+B", "A-B", "A", "triplet"]
"""The matrices of the response problem: singlet A ± B and A, and the triplet A."""

SIGN: dict[ResponseMatrix, float] = {"A+B": 1.0, "A-B": -1.0}
"""Sign of the transposed density (de-excitation); A has no such term."""


def multiplicity(matrix: ResponseMatrix) -> Multiplicity:
    """Return the multiplicity whose coulomb kernel acts in a matrix.

    In A − B the coulomb kernel has no effect, because its densities are antisymmetric.
    """
    return "triplet" if matrix == "triplet" else "singlet"


class Operator(ABC):
    """Response matrices between occupied and virtual orbitals of some kind.

    A product costs O(n³) per vector. Vectors are amplitudes (M, S, o, v). They are multiplied a few
    at a time, so that their densities have at most ``chunk`` elements.
    """

    kernel: Kernel
    chunk: int

    in_place: ClassVar[bool]
    """Whether fields overwrite densities; False where products must be differentiable."""

    @abstractmethod
    def diagonal(self) -> Tensor:
        """Return the approximate diagonal (M, o, v) of A, eV; meaningless in padding."""

    @abstractmethod
    def _density(self, first: Tensor, second: Tensor | None) -> Tensor:
        """Return C_o X C_vᵀ + C_v Yᵀ C_oᵀ (M, n, S, n), X = ``first``, Y = ``second`` or zero.

        Both are (M, S, o, v). The index of vectors is in the middle, so that one product of large
        matrices serves all of them.
        """

    @abstractmethod
    def _between_orbitals(self, field: Tensor, transposed: bool = False) -> Tensor:
        """Return C_oᵀ F C_v (M, S, o, v) of a ``field`` F (M, n, S, n), or of its transpose."""

    @abstractmethod
    def _levels(self, amplitudes: Tensor) -> Tensor:
        """Return Δ T (M, S, o, v) of ``amplitudes`` T (M, S, o, v)."""

    def apply(self, amplitudes: Tensor, kind: ResponseMatrix) -> Tensor:
        """Multiply vectors by a response matrix.

        Parameters
        ----------
        amplitudes:
            (M, S, o, v).
        kind:
            Which matrix.

        Returns
        -------
        (M, S, o, v), eV.

        Raises
        ------
        ValueError
            If there is no such ``kind``.
        """
        if kind not in get_args(ResponseMatrix):
            raise ValueError(f"kind must be 'A+B', 'A-B', 'A' or 'triplet', got {kind!r}")
        parts = []
        for part in amplitudes.split(self._at_once, 1):
            second = SIGN[kind] * part if kind in SIGN else None
            density = self._density(part, second)
            field = self.kernel.field(density, multiplicity(kind), self.in_place)
            parts.append(self._between_orbitals(field) + self._levels(part))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def apply_pair(self, plus: Tensor, minus: Tensor) -> tuple[Tensor, Tensor]:
        """Multiply T by A + B and U by A − B, in little more than the time of one product.

        With x = T + U and y = T − U, the products are half the sum and half the difference of
        A x + B y and B x + A y. Both follow from a single density: one from its field, the other
        from the transpose of that field.

        Parameters
        ----------
        plus, minus:
            T and U, (M, S, o, v).

        Returns
        -------
        (A + B) T and (A − B) U, (M, S, o, v), eV.
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
        n_molecules, n = self.kernel.minus_exchange["singlet"].shape[:2]
        return max(1, self.chunk // (n_molecules * n**2))


class DenseOrbitals(Operator):
    """Response matrices between orbitals with dense coefficients."""

    occupied: Tensor  # (M, n, o) coefficients
    virtual: Tensor  # (M, n, v)
    fock_occupied: Tensor  # (M, o, o) eV
    fock_virtual: Tensor  # (M, v, v) F', relaxed, eV

    def _density(self, first: Tensor, second: Tensor | None) -> Tensor:
        density = to_basis(self.occupied, first, self.virtual)
        if second is not None:
            # There are fewer virtual than occupied orbitals: sum over the virtual ones last.
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

    Products are differentiable with respect to vectors, orbitals and interaction.

    Parameters
    ----------
    orbitals:
        Orbitals of the batch.
    interaction:
        The two-electron interaction, with the dtype of the orbitals.
    layout:
        Places of the orbitals in padded matrices.
    chunk:
        Largest number of elements of the densities of vectors multiplied at once
        (:class:`esml.physics.strategy.Strategy`).

    Raises
    ------
    ValueError
        If orbitals, interaction and layout do not belong to the same batch or differ in dtype.
    """

    in_place = False  # products must be differentiable

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
        """Precision of the products."""
        return self.occupied.dtype

    @property
    def requires_grad(self) -> bool:
        """Whether products have gradients with respect to orbitals or interaction.

        True if the response was built while autograd recorded, from tensors that require gradients.
        """
        tensors = self.occupied, self.virtual, self.fock_occupied, self.fock_virtual
        return self.kernel.requires_grad or any(x.requires_grad for x in tensors)

    @torch.no_grad()
    def to(self, dtype: torch.dtype) -> Response:
        """Return the same response in another precision, without gradients."""
        if dtype == self.dtype:
            return self
        orbitals = replace(self.orbitals, **_in_precision(self.orbitals, dtype))
        interaction = replace(self.interaction, **_in_precision(self.interaction, dtype))
        return Response(orbitals, interaction, self.layout, self.chunk)

    def diagonal(self) -> Tensor:
        """Return the diagonal of A without K, ε'_a − ε_i − Σ_AB q^A_ii γ^J_AB q^B_aa.

        Its shape is (M, o, v), in eV; values in padding are meaningless.
        """
        virtual, occupied = (
            f.diagonal(dim1=1, dim2=2) for f in (self.fock_virtual, self.fock_occupied)
        )
        levels = virtual[:, None, :] - occupied[:, :, None]
        return levels - attraction(self.occupied, self.virtual, self.interaction, self.layout)

    def dense(self, kind: ResponseMatrix) -> Tensor:
        """Build a response matrix.

        Parameters
        ----------
        kind:
            Which matrix.

        Returns
        -------
        (M, o·v, o·v), eV; row i·v + a is the excitation from i to a. Zero in padding.
        """
        n_molecules, o, v = self.singles_mask.shape
        identity = torch.eye(o * v).to(self.occupied).view(1, o * v, o, v)
        # The matrices are symmetric, so their rows are products with unit vectors.
        rows = self.apply(identity.expand(n_molecules, -1, -1, -1), kind).flatten(2)
        return rows * self.singles_mask.flatten(1)[:, :, None]

    def singlet_functional(self, plus: Tensor, minus: Tensor) -> Tensor:
        """Return ½ [Tᵀ(A + B)T + Uᵀ(A − B)U] (M, S), eV, for T = ``plus`` and U = ``minus``.

        Parameters
        ----------
        plus, minus
            (M, S, o, v) T = X + Y and U = X − Y.
        """
        applied_plus, applied_minus = self.apply_pair(plus, minus)
        return 0.5 * (plus * applied_plus + minus * applied_minus).sum((2, 3))

    def triplet_functional(self, amplitudes: Tensor) -> Tensor:
        """Return XᵀAX (M, S), eV, for X = ``amplitudes`` (M, S, o, v)."""
        return (amplitudes * self.apply(amplitudes, "triplet")).sum((2, 3))

    def _levels(self, amplitudes: Tensor) -> Tensor:
        # fock_occupied is diagonal, but its gradient is not.
        of_holes = times_stack(self.fock_occupied, amplitudes).transpose(1, 2)
        return stack_times(amplitudes, self.fock_virtual) - of_holes


def attraction(
    occupied: Tensor, virtual: Tensor, interaction: Interaction, layout: OrbitalLayout
) -> Tensor:
    """Return Σ_AB q^A_ii γ^J_AB q^B_aa (M, o, v), eV, of orbitals (M, n, o) and (M, n, v)."""
    hole, particle = (
        layout.gather_slots(c).square().sum(2) for c in (occupied, virtual)
    )  # (M, K, o), (M, K, v)
    return hole.mT @ interaction.exchange @ particle


def _check(orbitals: Orbitals, interaction: Interaction, layout: OrbitalLayout) -> None:
    """Raise ValueError if these do not belong to the same batch or differ in dtype."""
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
    """Convert the floating-point fields of ``part`` to ``dtype``."""
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    return {name: x.detach().to(dtype) for name, x in values.items() if x.is_floating_point()}


def to_basis(occupied: Tensor, amplitudes: Tensor, virtual: Tensor) -> Tensor:
    """Return C_o T C_vᵀ (M, n, S, n) of orbitals (M, n, o), (M, n, v) and T (M, S, o, v)."""
    return stack_times(times_stack(occupied, amplitudes), virtual.mT)


def times_stack(matrix: Tensor, amplitudes: Tensor) -> Tensor:
    """Return C T (M, n, S, v) of a ``matrix`` C (M, n, o) and T (M, S, o, v)."""
    half = matrix @ amplitudes.transpose(1, 2).flatten(2)
    return half.view(*half.shape[:2], *amplitudes.shape[1::2])

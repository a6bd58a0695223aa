"""The matrices of linear response in the minimal basis, applied without being built.

What they are is in :mod:`esml.excitations`, whose states are theirs.

Shape letters: M molecules, S trials, n orbitals, o and v occupied and virtual orbitals (padded),
K atoms, H of these with p orbitals. Energies in eV.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Any, Literal

import torch
from torch import Tensor

from esml import locality
from esml.basis import N_SLOTS, OrbitalLayout
from esml.excitons import Kernel
from esml.interaction import Interaction
from esml.locality import Banded, Inverse, LocalOrbitals, NearSandwich, Window
from esml.orbitals import Orbitals

Kind = Literal["A+B", "A-B", "A", "triplet"]
"""The matrices of the response problem: singlet A ± B and A, and the triplet A."""

_COUPLING: dict[Kind, str] = {
    "A+B": "singlet",
    "A-B": "exchange",
    "A": "singlet",
    "triplet": "triplet",
}
"""What couples densities in each: A takes of D what A + B takes of D + Dᵀ."""

CHUNK = 2**18
"""Numbers in the largest intermediate (M, S, n, n) when a matrix is built or applied, if more than
one trial has so many: a megabyte stays in the cache of a core."""

BOUND = 0.7
"""eV by which electron and hole attract each other in a pair that counts as near."""

WIDEST = 0.5
"""Share of a matrix up to which its band is worth the use."""


class Response:
    """The response matrices of a batch, applied without being built.

    In the minimal basis a trial T is a density D = C_o T C_vᵀ, and A ± B act on it as a field:
    coupling of its atomic multipoles, minus γ^J∘D and the one-centre exchange of its atomic blocks,
    with Dᵀ in place of D for the exchange in B. A product costs O(n³) per trial.

    Raises
    ------
    ValueError
        If orbitals, interaction and layout are not of the same batch and dtype.
    """

    def __init__(self, orbitals: Orbitals, interaction: Interaction, layout: OrbitalLayout) -> None:
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
        self.orbitals = orbitals
        self.interaction = interaction
        self.layout = layout
        self._others: dict[torch.dtype, Response] = {}
        self._local: dict[torch.dtype, LocalResponse] = {}
        self.singles_mask = (
            orbitals.occupied_mask[:, :, None] & orbitals.virtual_mask[:, None, :]
        )  # (M, o, v)
        self.n_available = self.singles_mask.sum((1, 2))  # (M,)
        atom = layout.orbital_atom()
        molecule = torch.arange(layout.n_molecules, device=atom.device)[:, None]
        pair = molecule[:, :, None], atom[:, :, None], atom[:, None, :]
        self._minus_exchange = -interaction.exchange[pair]
        # What the diagonal of a density does to that of the field: coupled monopoles, twice.
        local = torch.diag_embed(interaction.triplet_monopole)
        self._monopoles = {
            "singlet": 2.0 * interaction.coulomb[pair],
            "triplet": 2.0 * local[pair],
        }
        slot = layout.slot_index()
        virtual = orbitals.virtual
        relaxation = virtual.mT @ interaction.relaxation @ virtual
        self._fock_virtual = (1.0 + interaction.virtual_scale) * orbitals.fock_virtual + (
            0.5 * (relaxation + relaxation.mT)
        )
        # Only atoms with p orbitals have one-centre terms beyond the monopole: H places for them.
        heavy = slot[:, :, -1] < n
        order = heavy.logical_not().long().argsort(dim=1, stable=True)[:, : int(heavy.sum(1).max())]
        filled = heavy.gather(1, order)[:, :, None, None]
        slot = slot.gather(1, order[:, :, None].expand(-1, -1, N_SLOTS))
        place = torch.where(filled, slot[:, :, :, None] * n + slot[:, :, None, :], 0)
        self._block_place = place.flatten(1)  # (M, 16 H) in a flattened density
        exchange = interaction.exchange_blocks()
        self._blocks = {
            "singlet": 2.0 * interaction.singlet_blocks() - exchange,
            "exchange": -exchange,
            "triplet": 2.0 * interaction.triplet_blocks() - exchange,
        }  # (M, H, 16, 16) what an atomic block of a density does to that of the field
        self._blocks = {
            coupling: torch.where(filled, blocks[molecule, order], 0.0)
            for coupling, blocks in self._blocks.items()
        }

    def to(self, dtype: torch.dtype) -> Response:
        """The same problem in another precision, without gradients."""
        if dtype == self.orbitals.coefficients.dtype:
            return self
        if dtype not in self._others:
            with torch.no_grad():
                orbitals = replace(self.orbitals, **_in_precision(self.orbitals, dtype))
                interaction = replace(self.interaction, **_in_precision(self.interaction, dtype))
                self._others[dtype] = Response(orbitals, interaction, self.layout)
        return self._others[dtype]

    @cached_property
    def local_orbitals(self) -> LocalOrbitals:
        """Those of the first molecule, without gradients."""
        found = self.orbitals
        parts = found.occupied, found.virtual, found.fock_occupied, self._fock_virtual
        return LocalOrbitals(*(x[0].detach() for x in parts))

    def local(self, dtype: torch.dtype) -> LocalResponse:
        """The response of the first molecule between local orbitals, in precision ``dtype``."""
        if dtype not in self._local:
            self._local[dtype] = LocalResponse(self, dtype)
        return self._local[dtype]

    def diagonal(self) -> Tensor:
        """The diagonal of A without couplings K, ε'_a − ε_i − Σ_AB q^A_ii γ^J_AB q^B_aa.

        (M, o, v), eV; without meaning in padding. What preconditions iterations.
        """
        hole, particle = (
            self.layout.gather_slots(c).square().sum(2)
            for c in (self.orbitals.occupied, self.orbitals.virtual)
        )  # (M, K, o), (M, K, v)
        attraction = hole.mT @ self.interaction.exchange @ particle
        virtual, occupied = (
            f.diagonal(dim1=1, dim2=2) for f in (self._fock_virtual, self.orbitals.fock_occupied)
        )
        return virtual[:, None, :] - occupied[:, :, None] - attraction

    def apply(self, amplitudes: Tensor, kind: Kind) -> Tensor:
        """The matrix ``kind`` times ``amplitudes`` (M, S, o, v), eV, same shape; differentiable."""
        if kind not in _COUPLING:
            raise ValueError(f"kind must be 'A+B', 'A-B', 'A' or 'triplet', got {kind!r}")
        parts = [self._apply(part, kind) for part in amplitudes.split(self._chunk, 1)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def apply_pair(self, plus: Tensor, minus: Tensor) -> tuple[Tensor, Tensor]:
        """(A + B) ``plus`` and (A − B) ``minus``, both (M, S, o, v), in one pass."""
        n_plus, n_minus = plus.shape[1], minus.shape[1]
        if n_plus + n_minus > self._chunk:
            return self.apply(plus, "A+B"), self.apply(minus, "A-B")
        both = self._apply(torch.cat([plus, minus], 1), "A+B", n_minus)
        return both[:, :n_plus], both[:, n_plus:]

    @property
    def _chunk(self) -> int:
        return max(1, CHUNK // (self.layout.n_molecules * self.layout.n_max**2))

    def _apply(self, amplitudes: Tensor, kind: Kind, n_minus: int = 0) -> Tensor:
        """``kind`` times ``amplitudes`` (M, S, o, v), but A − B times the last ``n_minus``."""
        n_states = amplitudes.shape[1]
        n_first = n_states - n_minus
        coupling = _COUPLING[kind]
        density = self._density(amplitudes)
        if kind == "A-B":
            density = density - density.mT
        elif kind == "A+B":
            sign = density.new_ones((n_states, 1, 1))
            sign[n_first:] = -1.0
            density = torch.addcmul(density, sign, density.mT)
        field = density * self._minus_exchange[:, None]
        if kind != "A-B":  # an antisymmetric density has no multipoles
            monopoles = density.diagonal(dim1=2, dim2=3)[:, :n_first] @ self._monopoles[coupling]
            field.diagonal(dim1=2, dim2=3)[:, :n_first] += monopoles
        place = self._block_place[:, None].expand(-1, n_states, -1)
        blocks = density.flatten(2).gather(2, place).unflatten(2, (-1, 16)).transpose(1, 2)
        if n_minus:
            first, last = blocks.split([n_first, n_minus], 2)
            parts = first @ self._blocks[coupling], last @ self._blocks["exchange"]
            onsite = torch.cat(parts, 2)
        else:
            onsite = blocks @ self._blocks[coupling]
        field.flatten(2).scatter_add_(2, place, onsite.transpose(1, 2).flatten(2))
        return self._between_orbitals(field) + self._levels(amplitudes)

    def _levels(self, amplitudes: Tensor) -> Tensor:
        """Δ T (M, S, o, v) of ``amplitudes`` T (M, S, o, v)."""
        particle = (amplitudes.flatten(1, 2) @ self._fock_virtual).view_as(amplitudes)
        fock_occupied = self.orbitals.fock_occupied
        if torch.is_grad_enabled():
            return particle - fock_occupied[:, None] @ amplitudes
        levels = fock_occupied.diagonal(dim1=1, dim2=2)  # diagonal in value
        return particle - levels[:, None, :, None] * amplitudes

    def _density(self, amplitudes: Tensor) -> Tensor:
        """C_o T C_vᵀ (M, S, n, n) of ``amplitudes`` T (M, S, o, v)."""
        return to_basis(self.orbitals, amplitudes)

    def _between_orbitals(self, field: Tensor) -> Tensor:
        """C_oᵀ F C_v (M, S, o, v) of a ``field`` F (M, S, n, n)."""
        half = (field.flatten(1, 2) @ self.orbitals.virtual).unflatten(1, field.shape[1:3])
        amplitudes: Tensor = self.orbitals.occupied.mT[:, None] @ half
        return amplitudes

    def kernel(self, kind: Kind) -> Kernel:
        """What makes up the matrix A of the first molecule, "A+B" standing for that of singlets."""
        n = self.layout.n_max
        return Kernel(
            occupied=self.orbitals.occupied[0],
            virtual=self.orbitals.virtual[0],
            fock_occupied=self.orbitals.fock_occupied[0],
            fock_virtual=self._fock_virtual[0],
            monopoles=self._monopoles[_COUPLING[kind]][0],
            minus_exchange=self._minus_exchange[0],
            blocks=self._blocks[_COUPLING[kind]][0],
            row=self._block_place[0] // n,
            column=self._block_place[0] % n,
        )

    def dense(self, kind: Kind) -> Tensor:
        """The matrix ``kind`` (M, o·v, o·v), eV, ia as i·v + a; zero in padding."""
        n_molecules, o, v = self.singles_mask.shape
        identity = torch.eye(o * v).to(self.orbitals.coefficients).view(1, o * v, o, v)
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


class LocalResponse(Response):
    """The response of one large molecule between local orbitals, in precision ``dtype``.

    Amplitudes are T' = U_oᵀ T U_v, with C_o U_o and C_v U_v local (:mod:`esml.locality`), so that
    all matrices but T' itself are banded. What these leave out changes a product by less than
    iterations in single precision notice. Without gradients.
    """

    def __init__(self, response: Response, dtype: torch.dtype) -> None:
        local = response.local_orbitals
        order = local.order
        hole, electron = local.hole.to(dtype), local.electron.to(dtype)
        self.__dict__ |= response.to(dtype).__dict__
        self._others, self._local = {}, {}
        self.local_orbitals = local
        self.turn_occupied, self.turn_virtual = (
            local.turn_hole.to(dtype),
            local.turn_electron.to(dtype),
        )
        self._hole, self._hole_back = Banded(hole), Banded(hole.mT)
        self._electron, self._electron_back = Banded(electron), Banded(electron.mT)
        self.hole, self.electron = hole, electron
        self._fock_hole = Banded(local.levels_hole.to(dtype))
        self._fock_electron = Banded(local.levels_electron.to(dtype))
        self._minus_exchange = self._minus_exchange[:, order][:, :, order]
        self._monopoles = {k: x[:, order][:, :, order] for k, x in self._monopoles.items()}
        n = len(order)
        place = order.argsort()
        self._block_place = place[self._block_place // n] * n + place[self._block_place % n]

    @property
    def narrow(self) -> bool:
        """Whether the bands leave out enough."""
        return max(self._hole.fill, self._electron.fill) < WIDEST

    def near(self) -> Window | None:
        """The pairs bound by more than ``BOUND``; None if these are too many, or none."""
        window = Window(-self.attraction > BOUND)
        return window if 0 < window.fill < WIDEST else None

    @cached_property
    def attraction(self) -> Tensor:
        """(o, v) of the electron and the hole of each pair, negative, eV."""
        found: Tensor = self.hole.mT.square() @ self._minus_exchange[0] @ self.electron.square()
        return found

    @cached_property
    def _inverse(self) -> Inverse:
        return Inverse(self.local_orbitals, self.hole.dtype)

    def turned(self, amplitudes: Tensor) -> Tensor:
        """U_o T' U_vᵀ (…, o, v), in terms of canonical orbitals, of ``amplitudes`` T'."""
        canonical: Tensor = self.turn_occupied @ (amplitudes @ self.turn_virtual.mT)
        return canonical

    def diagonal(self) -> Tensor:
        orbitals = self.local_orbitals
        levels = orbitals.levels_electron.diagonal() - orbitals.levels_hole.diagonal()[:, None]
        return (levels.to(self.hole) + self.attraction)[None]

    def divided(self, residual: Tensor, omega: Tensor) -> Tensor:
        """About (Δ − ω)⁻¹ times ``residual`` (1, S, o·v), where Δ are differences of levels."""
        return self._inverse(residual[0], omega[0, :, 0])[None]

    def _density(self, amplitudes: Tensor) -> Tensor:
        half = self._hole.times(amplitudes[0])
        density = self._electron.transposed_after(half.flatten(0, 1))
        return density.view(1, *half.shape[:2], -1)

    def _between_orbitals(self, field: Tensor) -> Tensor:
        half = self._electron_back.transposed_after(field[0].flatten(0, 1))
        return self._hole_back.times(half.unflatten(0, field.shape[1:3]))[None]

    def _levels(self, amplitudes: Tensor) -> Tensor:
        particle = self._fock_electron.transposed_after(amplitudes.flatten(0, 2))
        return particle.view_as(amplitudes) - self._fock_hole.times(amplitudes[0])


@dataclass(frozen=True)
class _Strip:
    """What a strip of near pairs has to do with the basis."""

    rows: slice  # basis functions of the holes
    columns: slice  # and of the electrons
    hole: Tensor  # (rows, holes) coefficients
    electron: Tensor  # (columns, electrons)
    onsite: Tensor  # which elements of the field on one atom are inside
    place: Tensor  # and where, in (rows, columns) flattened


class NearResponse:
    """Singlet A ± B or triplet A of one large molecule between near pairs of local orbitals.

    ``window`` holds them, as ``LocalResponse.near``. What the matrices have in other places is left
    out, which is no longer the same problem, but a small one with nearly the same lowest states.
    """

    def __init__(self, local: LocalResponse, window: Window, kind: Kind) -> None:
        self.window = window
        self._coupling = _COUPLING[kind]
        self._minus_exchange = local._minus_exchange[0]
        self._monopoles = local._monopoles[self._coupling][0]
        self._blocks = {name: block[0] for name, block in local._blocks.items()}
        self._place = local._block_place[0]
        n = len(self._minus_exchange)
        self._back = self._place % n * n + self._place // n
        # Elements of the field on one atom: those of its block, and the diagonal by multipoles.
        onsite = torch.cat([self._place, (n + 1) * torch.arange(n, device=self._place.device)])
        row, column = onsite // n, onsite % n
        self._strips = []
        for holes, electrons in window.strips:
            hole, electron = local.hole[:, holes], local.electron[:, electrons]
            least = locality.NEGLIGIBLE[hole.dtype]
            rows, columns = locality.extent(hole.mT, least), locality.extent(electron.mT, least)
            inside = (row >= rows.start) & (row < rows.stop)
            inside &= (column >= columns.start) & (column < columns.stop)
            which = inside.nonzero()[:, 0]
            place = (row[which] - rows.start) * (columns.stop - columns.start)
            place += column[which] - columns.start
            hole, electron = hole[rows].contiguous(), electron[columns].contiguous()
            self._strips.append(_Strip(rows, columns, hole, electron, which, place))
        dtype = local.hole.dtype
        between = partial(NearSandwich, window)
        orbitals = local.local_orbitals
        self._of_holes = between(orbitals.levels_hole.to(dtype), None)
        self._of_electrons = between(None, orbitals.levels_electron.to(dtype))
        self._inverse = Inverse(orbitals, dtype, between)
        self.diagonal = window.gathered(local.diagonal().flatten(1))
        self._chunk = max(1, CHUNK // n**2)

    def apply(self, vectors: list[Tensor]) -> list[Tensor]:
        """A + B and A − B times one set of vectors (1, S, w) each, or the triplet A times one."""
        if len(vectors) == 1:
            return [self._applied(vectors[0][0], None)[None]]
        return [self._applied(x[0], s)[None] for x, s in zip(vectors, (1.0, -1.0), strict=True)]

    def divided(self, residual: Tensor, omega: Tensor) -> Tensor:
        """About (Δ − ω)⁻¹ times ``residual`` (1, S, w); see ``LocalResponse``."""
        return self._inverse(residual[0], omega[0, :, 0])[None]

    def _applied(self, inside: Tensor, sign: float | None) -> Tensor:
        """A + ``sign`` B, or the triplet A, times ``inside`` (S, w)."""
        product = self._of_electrons(inside) - self._of_holes(inside)
        n = len(self._minus_exchange)
        density = inside.new_empty((min(len(inside), self._chunk), n, n))
        for part, found in zip(inside.split(self._chunk), product.split(self._chunk), strict=True):
            self._add_coupling(found, part, sign, density[: len(part)])
        return product

    def _add_coupling(
        self, product: Tensor, inside: Tensor, sign: float | None, density: Tensor
    ) -> None:
        """Add what electrons and holes ``inside`` (S, w) do to each other to ``product`` (S, w).

        ``density`` (S, n, n) is room for that of the pairs.
        """
        density.zero_()
        # There are fewer orbitals in a strip than functions: first to the one side, then the other.
        for part, strip in zip(self.window.parts(inside), self._strips, strict=True):
            density[:, strip.rows, strip.columns] += strip.hole @ (part @ strip.electron.mT)
        flat = density.flatten(1)
        onsite = flat[:, self._place]
        if sign is not None:
            onsite += sign * flat[:, self._back]
        blocks = self._blocks["exchange" if sign == -1.0 else self._coupling]
        onsite = (onsite.unflatten(1, (-1, 1, 16)) @ blocks).flatten(1)
        diagonal = density.diagonal(dim1=1, dim2=2)
        # An antisymmetric density has no multipoles.
        times = {None: 1.0, 1.0: 2.0, -1.0: 0.0}[sign]
        field = torch.cat([onsite, times * (diagonal @ self._monopoles)], 1)
        for part, strip in zip(self.window.parts(product), self._strips, strict=True):
            near = density[:, strip.rows, strip.columns].clone()
            if sign is not None:
                near.add_(density[:, strip.columns, strip.rows].mT, alpha=sign)
            near *= self._minus_exchange[strip.rows, strip.columns]
            near.flatten(1).index_add_(1, strip.place, field[:, strip.onsite])
            part += (strip.hole.mT @ near) @ strip.electron


def _in_precision(part: Orbitals | Interaction, dtype: torch.dtype) -> dict[str, Any]:
    """The fields of ``part`` that have a precision, in ``dtype``."""
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    return {name: x.detach().to(dtype) for name, x in values.items() if x.is_floating_point()}


def to_basis(orbitals: Orbitals, amplitudes: Tensor) -> Tensor:
    """D = C_o T C_vᵀ (M, S, n, n)."""
    # Virtual orbitals last: there are fewer of them, so that this order takes fewer operations.
    half = orbitals.occupied[:, None] @ amplitudes
    density: Tensor = half.flatten(1, 2) @ orbitals.virtual.mT
    return density.view(*half.shape[:3], density.shape[-1])

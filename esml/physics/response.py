"""The matrices of linear response in the minimal basis, applied without being built.

What they are is in :mod:`esml.physics.excitations`, whose states are theirs.

Shape letters: M molecules, S trials, n orbitals, o and v occupied and virtual orbitals (padded),
K atoms, H of these with p orbitals. Energies in eV.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor

from esml.physics.basis import N_SLOTS, OrbitalLayout
from esml.physics.interaction import Interaction
from esml.physics.orbitals import Orbitals, eigh, stack_times
from esml.physics.solvers import locality
from esml.physics.solvers.excitons import Coupling, Frontier
from esml.physics.solvers.locality import Banded, Inverse, Line, LocalOrbitals, NearSandwich, Window

Kind = Literal["A+B", "A-B", "A", "triplet"]
"""The matrices of the response problem: singlet A ± B and A, and the triplet A."""

SIGN: dict[Kind, float] = {"A+B": 1.0, "A-B": -1.0}
"""With which sign the transpose of a density, de-excitation, joins it; it does not in A."""

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
        self._forget()
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
        self._occupied, self._virtual = orbitals.occupied, orbitals.virtual
        self._fock_occupied = orbitals.fock_occupied
        relaxation = self._virtual.mT @ interaction.relaxation @ self._virtual
        self._fock_virtual = (1.0 + interaction.virtual_scale) * orbitals.fock_virtual + (
            0.5 * (relaxation + relaxation.mT)
        )
        # Only atoms with p orbitals have one-centre terms beyond the monopole: H places for them.
        slot = layout.slot_index()
        heavy = slot[:, :, -1] < n
        order = heavy.logical_not().long().argsort(dim=1, stable=True)[:, : int(heavy.sum(1).max())]
        filled = heavy.gather(1, order)[:, :, None, None]
        slot = slot.gather(1, order[:, :, None].expand(-1, -1, N_SLOTS))
        # (M, H, 16) the elements of a density on each of them
        rows, columns = torch.broadcast_tensors(slot[:, :, :, None], slot[:, :, None, :])
        self._row, self._column = (torch.where(filled, x, 0).flatten(2) for x in (rows, columns))
        exchange = interaction.exchange_blocks()
        self._blocks = {
            "singlet": 2.0 * interaction.singlet_blocks() - exchange,
            "triplet": 2.0 * interaction.triplet_blocks() - exchange,
        }  # (M, H, 16, 16) what an atomic block of a density does to that of the field
        self._blocks = {
            coupling: torch.where(filled, blocks[molecule, order], 0.0)
            for coupling, blocks in self._blocks.items()
        }

    def _forget(self) -> None:
        """Begin without the other forms of the problem that are kept once made."""
        self._others: dict[torch.dtype, Response] = {}
        self._relaxed: dict[torch.dtype, RelaxedResponse] = {}
        self._local: dict[torch.dtype, LocalResponse] = {}
        self._frontiers: dict[int, Frontier] = {}

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
        parts = self._occupied, self._virtual, self._fock_occupied, self._fock_virtual
        return LocalOrbitals(self._line.order, *(x[0].detach() for x in parts))

    @cached_property
    def _line(self) -> Line:
        occupied = self._occupied[0].detach()
        return Line(occupied @ occupied.mT)

    def narrow(self, dtype: torch.dtype) -> bool:
        """Whether between local orbitals of the first molecule bands leave out enough."""
        return self._line.fill(locality.NEGLIGIBLE[dtype]) < WIDEST

    def relaxed(self, dtype: torch.dtype) -> RelaxedResponse:
        """The response between relaxed orbitals, in precision ``dtype``."""
        if dtype not in self._relaxed:
            self._relaxed[dtype] = RelaxedResponse(self, dtype)
        return self._relaxed[dtype]

    def local(self, dtype: torch.dtype) -> LocalResponse:
        """The response of the first molecule between local orbitals, in precision ``dtype``."""
        if dtype not in self._local:
            self._local[dtype] = LocalResponse(self, dtype)
        return self._local[dtype]

    def of(self, molecules: Tensor) -> Self:
        """The same for some ``molecules`` of the batch only, to apply; for nothing else."""
        found = copy(self)
        for name in (
            "_occupied",
            "_virtual",
            "_fock_occupied",
            "_fock_virtual",
            "_minus_exchange",
            "_row",
            "_column",
        ):
            setattr(found, name, getattr(self, name)[molecules])
        for name in ("_monopoles", "_blocks"):
            kept = {between: x[molecules] for between, x in getattr(self, name).items()}
            setattr(found, name, kept)
        return found

    def diagonal(self) -> Tensor:
        """The diagonal of A without couplings K, ε'_a − ε_i − Σ_AB q^A_ii γ^J_AB q^B_aa.

        (M, o, v), eV; without meaning in padding. What preconditions iterations.
        """
        hole, particle = (
            self.layout.gather_slots(c).square().sum(2) for c in (self._occupied, self._virtual)
        )  # (M, K, o), (M, K, v)
        attraction = hole.mT @ self.interaction.exchange @ particle
        virtual, occupied = (
            f.diagonal(dim1=1, dim2=2) for f in (self._fock_virtual, self._fock_occupied)
        )
        return virtual[:, None, :] - occupied[:, :, None] - attraction

    def apply(self, amplitudes: Tensor, kind: Kind) -> Tensor:
        """The matrix ``kind`` times ``amplitudes`` (M, S, o, v), eV, same shape; differentiable."""
        if kind not in get_args(Kind):
            raise ValueError(f"kind must be 'A+B', 'A-B', 'A' or 'triplet', got {kind!r}")
        parts = []
        for part in amplitudes.split(self._chunk, 1):
            second = SIGN[kind] * part if kind in SIGN else None
            field = self._field(self._density(part, second), multiplicity(kind))
            parts.append(self._between_orbitals(field) + self._levels(part))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def apply_pair(self, plus: Tensor, minus: Tensor) -> tuple[Tensor, Tensor]:
        """(A + B) T and (A − B) U of T = ``plus`` and U = ``minus``, both (M, S, o, v).

        With x = T + U and y = T − U they are half the sum and half the difference of A x + B y and
        B x + A y, for which one density and its field serve: the field and its transpose.
        """
        parts = []
        for t, u in zip(plus.split(self._chunk, 1), minus.split(self._chunk, 1), strict=True):
            x, y = t + u, t - u
            field = self._field(self._density(x, y), "singlet")
            of_x = self._between_orbitals(field) + self._levels(x)
            of_y = self._between_orbitals(field, transposed=True) + self._levels(y)
            parts.append((0.5 * (of_x + of_y), 0.5 * (of_x - of_y)))
        if len(parts) == 1:
            return parts[0]
        applied_plus, applied_minus = zip(*parts, strict=True)
        return torch.cat(applied_plus, 1), torch.cat(applied_minus, 1)

    @property
    def _chunk(self) -> int:
        n_molecules, n = self._occupied.shape[:2]
        return max(1, CHUNK // (n_molecules * n**2))

    def _field(self, density: Tensor, coupling: str) -> Tensor:
        """What a ``density`` (M, n, S, n) does to pairs of functions, maybe in its place."""
        of_diagonal = density.diagonal(dim1=1, dim2=3) @ self._monopoles[coupling]
        n_states, n = density.shape[2:]
        state = torch.arange(0, n_states * n, n, device=density.device)[:, None]
        place = (self._row * (n_states * n) + self._column)[:, :, None] + state
        place = place.flatten(1)
        blocks = (
            density.flatten(1).gather(1, place).view(*self._row.shape[:2], n_states, N_SLOTS**2)
        )
        onsite = (blocks @ self._blocks[coupling]).flatten(1)
        exchange = self._minus_exchange[:, :, None]
        field = density * exchange if torch.is_grad_enabled() else density.mul_(exchange)
        field.diagonal(dim1=1, dim2=3).add_(of_diagonal)
        field.view(len(field), -1).scatter_add_(1, place, onsite)
        return field

    def _levels(self, amplitudes: Tensor) -> Tensor:
        """Δ T (M, S, o, v) of ``amplitudes`` T (M, S, o, v)."""
        particle = stack_times(amplitudes, self._fock_virtual)
        if torch.is_grad_enabled():
            return particle - self._fock_occupied[:, None] @ amplitudes
        levels = self._fock_occupied.diagonal(dim1=1, dim2=2)  # diagonal in value
        return particle - levels[:, None, :, None] * amplitudes

    def _density(self, first: Tensor, second: Tensor | None) -> Tensor:
        """C_o X C_vᵀ + C_v Yᵀ C_oᵀ (M, n, S, n) of X = ``first`` and, if given, Y = ``second``.

        Both are (M, S, o, v). Trials stand between the two sides, so that each product is one of
        large matrices for all of them.
        """
        density = to_basis(self._occupied, first, self._virtual)
        if second is not None:
            # There are fewer virtual orbitals: summed over last, they take fewer operations.
            half = _half(self._occupied, second).permute(0, 3, 2, 1).flatten(2)
            density.flatten(2).baddbmm_(self._virtual, half)
        return density

    def _between_orbitals(self, field: Tensor, transposed: bool = False) -> Tensor:
        """C_oᵀ F C_v (M, S, o, v) of a ``field`` F (M, n, S, n), or of its transpose."""
        n_states, v = field.shape[2], self._virtual.shape[2]
        if transposed:
            half = (field.flatten(2).mT @ self._virtual).unflatten(1, field.shape[2:])
            half = half.transpose(1, 2).flatten(2)
        else:
            half = (field.flatten(1, 2) @ self._virtual).view(*field.shape[:2], n_states * v)
        found: Tensor = (self._occupied.mT @ half).unflatten(2, (n_states, v))
        return found.transpose(1, 2)

    def frontier(self, n_pairs: int) -> Frontier:
        """The ``n_pairs`` pairs of local orbitals of the first molecule lowest in energy."""
        if n_pairs not in self._frontiers:
            self._frontiers[n_pairs] = Frontier(
                occupied=self._occupied[0],
                virtual=self._virtual[0],
                fock_occupied=self._fock_occupied[0],
                fock_virtual=self._fock_virtual[0],
                minus_exchange=self._minus_exchange[0],
                n_pairs=n_pairs,
            )
        return self._frontiers[n_pairs]

    def coupling(self, kind: Kind) -> Coupling:
        """What couples pairs of the first molecule in ``kind``."""
        return Coupling(
            monopoles=self._monopoles[multiplicity(kind)][0],
            blocks=self._blocks[multiplicity(kind)][0],
            row=self._row[0].flatten(),
            column=self._column[0].flatten(),
        )

    def turned(self, amplitudes: Tensor) -> Tensor:
        """``amplitudes`` (…, o, v) between these orbitals in terms of canonical ones."""
        return amplitudes

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


class RelaxedResponse(Response):
    """The response between orbitals whose levels are those of A: diagonal in F' of virtual ones.

    What is left to iterations is then all due to the interaction. ``dtype`` is the precision.
    Without gradients.
    """

    def __init__(self, response: Response, dtype: torch.dtype) -> None:
        fock, mask = response._fock_virtual.detach().double(), response.orbitals.virtual_mask
        levels, turn = eigh(fock, mask)
        levels = levels * mask
        virtual = response._virtual.detach() @ turn
        self.__dict__ |= response.to(dtype).__dict__
        self._forget()
        self._turn = turn.to(dtype)
        self._virtual, self._fock_virtual = virtual.to(dtype), torch.diag_embed(levels).to(dtype)
        lower = response._fock_occupied.detach().diagonal(dim1=1, dim2=2)
        self._differences = (levels[:, None] - lower[:, :, None]).to(dtype)

    def of(self, molecules: Tensor) -> Self:
        found = super().of(molecules)
        found._differences = self._differences[molecules]
        return found

    def turned(self, amplitudes: Tensor) -> Tensor:
        return stack_times(amplitudes, self._turn.mT)

    def _levels(self, amplitudes: Tensor) -> Tensor:
        return self._differences[:, None] * amplitudes


class LocalResponse(Response):
    """The response of one large molecule between local orbitals, in precision ``dtype``.

    Amplitudes are T' = U_oᵀ T U_v, with C_o U_o and C_v U_v local
    (:mod:`esml.physics.solvers.locality`), so that all matrices but T' itself are banded. What
    these leave out changes a product by less than iterations in single precision notice. Without
    gradients.
    """

    def __init__(self, response: Response, dtype: torch.dtype) -> None:
        local = response.local_orbitals
        order = local.order
        hole, electron = local.hole.to(dtype), local.electron.to(dtype)
        self.__dict__ |= response.to(dtype).__dict__
        self._forget()
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
        place = order.argsort()
        self._row, self._column = place[self._row], place[self._column]

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
        self._minus_exchange = local._minus_exchange[0]
        self._monopoles = local._monopoles[multiplicity(kind)][0]
        self._blocks = local._blocks[multiplicity(kind)][0]
        n = len(self._minus_exchange)
        self._place = (local._row[0] * n + local._column[0]).flatten()
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
        onsite = (onsite.unflatten(1, (-1, 1, 16)) @ self._blocks).flatten(1)
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


def multiplicity(kind: Kind) -> str:
    """Whose coupling acts in ``kind``; on the antisymmetric densities of A − B there is none."""
    return "triplet" if kind == "triplet" else "singlet"


def to_basis(occupied: Tensor, amplitudes: Tensor, virtual: Tensor) -> Tensor:
    """C_o T C_vᵀ (M, n, S, n) of orbitals (M, n, o) and (M, n, v) and T (M, S, o, v)."""
    return stack_times(_half(occupied, amplitudes), virtual.mT)


def _half(occupied: Tensor, amplitudes: Tensor) -> Tensor:
    """C_o T (M, n, S, v)."""
    half = occupied @ amplitudes.transpose(1, 2).flatten(2)
    return half.view(*half.shape[:2], *amplitudes.shape[1::2])

"""Excited states by linear response in the minimal basis.

With orbitals i, j occupied and a, b virtual, and the integrals K, J, K_T of
:class:`esml.interaction.Interaction`,

    singlets        A = Δ + 2K(ia, jb) − J(ij, ab) ,   B = 2K(ia, jb) − J(ib, ja)
                    A X + B Y = ω X ,   B X + A Y = −ω Y ,   XᵀX − YᵀY = 1
    triplets (TDA)  A = Δ + 2K_T(ia, jb) − J(ij, ab) ,   A X = ω X ,   XᵀX = 1

    Δ(ia, jb) = F'_ab δ_ij − F_ij δ_ab ,   F'_vv = (1 + σ) F_vv + C_vᵀ D C_v ,

where σ and D, the relaxation of the virtual orbitals, are the interaction's too.

Shape letters: M molecules, S states, n orbitals, o and v occupied and virtual orbitals (padded),
K atoms. Energies in eV, transition dipoles in e·bohr.

Gradients. The eigenvalue problem is solved without them. With X and Y held fixed the energy is then
evaluated once more as the functional

    ω = ½ [Tᵀ(A + B)T + Uᵀ(A − B)U] ,   T = X + Y ,   U = X − Y ,   TᵀU = 1 ,

which is stationary in T and U. Its gradient with respect to the Hamiltonian and the interaction is
therefore the exact one of ω, and is finite for degenerate states (where, as always, only what is
symmetric in the degenerate set, such as the sum, has a derivative of its own).

Two solvers give the amplitudes: below ``DENSE`` single excitations, or where a good part of all
states is wanted, the matrices are built and diagonalized; else the lowest states are found without
matrices (:mod:`esml.davidson`), in single precision if so asked. As ω is stationary and evaluated
in the precision of the orbitals, what iterations leave undone enters squared: below 1e-6 eV in
single, below 1e-10 eV in double precision.

Transition dipoles and oscillator strengths are *not* stationary. Their gradient holds X and Y
fixed: it is that through the dipole operator, the orbitals and ω, and leaves out how the amplitudes
respond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from esml import davidson, locality
from esml.basis import N_SLOTS, OrbitalLayout
from esml.excitons import Excitons, Kernel
from esml.interaction import Interaction
from esml.locality import Banded
from esml.orbitals import Orbitals
from esml.units import HARTREE

Kind = Literal["A+B", "A-B", "triplet"]
"""The three matrices of the response problem: singlet A ± B, and the triplet A."""

CHUNK = 2**22
"""Numbers in the largest intermediate (M, S, n, n) when a matrix is built or applied."""

DENSE = 120
"""Single excitations (of the largest molecule of a batch) up to which matrices are built.

Measured by ``scripts/benchmark_speed.py crossover``.
"""

DENSE_PER_STATE = 6
"""Matrices are built, too, for molecules with fewer single excitations for each state wanted."""

WIDEST = 0.5
"""Share of a matrix up to which its band is worth the use."""

LARGE = 150
"""Orbitals from which a molecule's iterations start from local pairs (:mod:`esml.excitons`)."""

PAIRS_PER_ATOM = 4
"""Such pairs for each atom."""


class InstabilityError(ValueError):
    """The closed-shell ground state is not a minimum, so it has no real excitation energies."""


@dataclass(frozen=True)
class Excitations:
    """Lowest excited states of a batch, ascending in energy.

    A molecule has ``n_available`` = o·v states. Beyond them, and for all singlets of a molecule
    that is not ``stable``, energies are nan and everything else is zero.

    ``stable`` says whether the closed-shell ground state is a minimum with respect to the orbital
    rotations the states are made of. For singlets that means A − B and A + B are positive definite:
    where it fails, some ω² ≤ 0, an excitation energy is imaginary, and mixing these orbitals lowers
    the ground state; it is not the one the response was built on. For triplets (TDA) it means that
    the lowest energy is positive: where it fails, a triplet lies below the closed shell, and the
    energies are given all the same.
    """

    energies: Tensor  # (M, S) eV
    X: Tensor  # (M, S, o, v) excitation amplitudes, no gradient
    Y: Tensor  # (M, S, o, v) de-excitation amplitudes, no gradient; zero for triplets
    transition_dipoles: Tensor  # (M, S, 3) e·bohr, sign arbitrary; zero for triplets
    oscillator_strengths: Tensor  # (M, S) zero for triplets
    stable: Tensor  # (M,) bool
    n_available: Tensor  # (M,)

    @property
    def mask(self) -> Tensor:
        """(M, S) whether there is a state."""
        return self.energies.isfinite()

    def transition_density(self, orbitals: Orbitals) -> Tensor:
        """D = C_o (X + Y) C_vᵀ (M, S, n, n), rows hole and columns electron.

        Its singular vectors are the natural transition orbitals; the transition dipole is
        √2 tr(Dᵀ r).
        """
        return _to_basis(orbitals, self.X + self.Y)

    def require_stable(self) -> None:
        """Raise :class:`InstabilityError` naming the molecules (by index) that are not stable."""
        if bool(self.stable.all()):
            return
        unstable = ", ".join(str(int(m)) for m in (~self.stable).nonzero()[:, 0])
        raise InstabilityError(
            f"the closed-shell ground state is unstable for molecule(s) {unstable} of the batch"
        )


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
            "A+B": 2.0 * interaction.coulomb[pair],
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
            "A+B": 2.0 * interaction.singlet_blocks() - exchange,
            "A-B": -exchange,
            "triplet": 2.0 * interaction.triplet_blocks() - exchange,
        }  # (M, H, 16, 16) what an atomic block of a density does to that of the field
        self._blocks = {
            kind: torch.where(filled, blocks[molecule, order], 0.0)
            for kind, blocks in self._blocks.items()
        }

    def to(self, dtype: torch.dtype) -> Response:
        """The same problem in another precision, without gradients."""
        if dtype == self.orbitals.coefficients.dtype:
            return self
        with torch.no_grad():
            orbitals = replace(self.orbitals, **_in_precision(self.orbitals, dtype))
            interaction = replace(self.interaction, **_in_precision(self.interaction, dtype))
            return Response(orbitals, interaction, self.layout)

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
        if kind not in ("A+B", "A-B", "triplet"):
            raise ValueError(f"kind must be 'A+B', 'A-B' or 'triplet', got {kind!r}")
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
        density = self._density(amplitudes)
        if kind == "A-B":
            density = density - density.mT
        elif kind == "A+B":
            sign = density.new_ones((n_states, 1, 1))
            sign[n_first:] = -1.0
            density = torch.addcmul(density, sign, density.mT)
        field = density * self._minus_exchange[:, None]
        if kind != "A-B":  # an antisymmetric density has no multipoles
            monopoles = density.diagonal(dim1=2, dim2=3)[:, :n_first] @ self._monopoles[kind]
            field.diagonal(dim1=2, dim2=3)[:, :n_first] += monopoles
        place = self._block_place[:, None].expand(-1, n_states, -1)
        blocks = density.flatten(2).gather(2, place).unflatten(2, (-1, 16)).transpose(1, 2)
        if n_minus:
            first, last = blocks.split([n_first, n_minus], 2)
            onsite = torch.cat([first @ self._blocks[kind], last @ self._blocks["A-B"]], 2)
        else:
            onsite = blocks @ self._blocks[kind]
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
        return _to_basis(self.orbitals, amplitudes)

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
            monopoles=self._monopoles[kind][0],
            minus_exchange=self._minus_exchange[0],
            blocks=self._blocks[kind][0],
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
        occupied, virtual = response.orbitals.occupied[0], response.orbitals.virtual[0]
        order = locality.in_line(occupied @ occupied.mT)
        turn_o, turn_v = (locality.localized(c[order]) for c in (occupied, virtual))
        hole, electron = (occupied[order] @ turn_o).to(dtype), (virtual[order] @ turn_v).to(dtype)
        levels_o = turn_o.mT @ response.orbitals.fock_occupied[0].double() @ turn_o
        levels_v = turn_v.mT @ response._fock_virtual[0].double() @ turn_v
        self.__dict__ |= response.to(dtype).__dict__
        self.turn_occupied, self.turn_virtual = turn_o.to(dtype), turn_v.to(dtype)
        self._hole, self._hole_back = Banded(hole), Banded(hole.mT)
        self._electron, self._electron_back = Banded(electron), Banded(electron.mT)
        self._fock_hole = Banded(levels_o.to(dtype))
        self._fock_electron = Banded(levels_v.to(dtype))
        self._inverse = locality.Inverse(levels_o, levels_v, dtype)
        self._minus_exchange = self._minus_exchange[:, order][:, :, order]
        self._monopoles = {k: x[:, order][:, :, order] for k, x in self._monopoles.items()}
        attraction = hole.mT.square() @ self._minus_exchange[0] @ electron.square()
        levels = levels_v.diagonal() - levels_o.diagonal()[:, None]
        self._diagonal = levels.to(dtype) + attraction
        n = len(order)
        place = order.argsort()
        self._block_place = place[self._block_place // n] * n + place[self._block_place % n]

    @property
    def narrow(self) -> bool:
        """Whether the bands leave out enough."""
        return max(self._hole.fill, self._electron.fill) < WIDEST

    def turned(self, amplitudes: Tensor) -> Tensor:
        """U_o T' U_vᵀ (…, o, v), in terms of canonical orbitals, of ``amplitudes`` T'."""
        canonical: Tensor = self.turn_occupied @ (amplitudes @ self.turn_virtual.mT)
        return canonical

    def diagonal(self) -> Tensor:
        return self._diagonal[None]

    def divided(self, residual: Tensor, omega: Tensor) -> Tensor:
        """About (Δ − ω)⁻¹ times ``residual`` (1, S, o·v), where Δ are differences of levels."""
        shape = self.singles_mask.shape[1:]
        return self._inverse(residual[0].unflatten(1, shape), omega[0, :, 0]).flatten(1)[None]

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


def singlets(
    response: Response,
    dipole_operator: Tensor,
    n_states: int | None = None,
    precision: torch.dtype | None = None,
    energy_window: float | None = None,
) -> Excitations:
    """The ``n_states`` lowest singlets (all, if None) by full linear response.

    With ``energy_window`` all those below it (eV), however many, in place of a number.

    From X + Y and the energies

        μ = √2 Σ_ia (X + Y)_ia ⟨i|r|a⟩ ,   f = ⅔ ω |μ|²   (atomic units).

    ``dipole_operator`` (M, 3, n, n) is ⟨μ|r|ν⟩ in bohr; where its origin lies does not matter.
    ``precision`` is that of iterations, should there be any; that of ``response`` if None.
    A molecule whose ground state is unstable is marked (see :class:`Excitations`) and does not
    disturb the others. See the module for what gradients mean. Raises
    :class:`esml.davidson.ConvergenceError`.
    """
    if energy_window is not None:
        solve = partial(singlets, response, dipole_operator, precision=precision)
        return _all_below(solve, response, energy_window)
    n_states = _checked(response, n_states)
    with torch.no_grad():
        if _is_dense(response, n_states):
            plus, minus, stable = _solve_singlets(response)
            plus, minus = (_lowest(response, x, n_states) for x in (plus, minus))
        else:
            plus, minus, stable = _iterate(response, 2, n_states, precision)
        exists = _existing(response, n_states) & stable[:, None]
        plus, minus = (_nonzero(x, exists) for x in (plus, minus))
    orbitals = response.orbitals
    energies = response.singlet_functional(plus, minus)
    half = dipole_operator @ orbitals.virtual[:, None]
    moments = orbitals.occupied.mT[:, None] @ half
    dipoles = 2.0**0.5 * torch.einsum("msia,mxia->msx", plus, moments)
    return Excitations(
        energies=torch.where(exists, energies, torch.nan),
        X=0.5 * (plus + minus),
        Y=0.5 * (plus - minus),
        transition_dipoles=dipoles,
        oscillator_strengths=2.0 / 3.0 * energies / HARTREE * dipoles.square().sum(2),
        stable=stable,
        n_available=response.n_available,
    )


def triplets(
    response: Response,
    n_states: int | None = None,
    precision: torch.dtype | None = None,
    energy_window: float | None = None,
) -> Excitations:
    """The ``n_states`` lowest triplets (all, if None) in the Tamm–Dancoff approximation.

    Transitions from a singlet ground state are spin-forbidden: dipoles and strengths are zero.
    ``precision``, ``energy_window`` and errors as for ``singlets``.
    """
    if energy_window is not None:
        solve = partial(triplets, response, precision=precision)
        return _all_below(solve, response, energy_window)
    n_states = _checked(response, n_states)
    with torch.no_grad():
        exists = _existing(response, n_states)
        if _is_dense(response, n_states):
            _, vectors = _eigh(response.dense("triplet"), response.singles_mask.flatten(1))
            amplitudes = _lowest(response, vectors, n_states)
        else:
            amplitudes, _, _ = _iterate(response, 1, n_states, precision)
        amplitudes = _nonzero(amplitudes, exists)
    energies = response.triplet_functional(amplitudes)
    return Excitations(
        energies=torch.where(exists, energies, torch.nan),
        X=amplitudes,
        Y=torch.zeros_like(amplitudes),
        transition_dipoles=amplitudes.new_zeros((*energies.shape, 3)),
        oscillator_strengths=amplitudes.new_zeros(energies.shape),
        stable=((energies.detach() > 0) | ~exists).all(1),
        n_available=response.n_available,
    )


def _all_below(
    solve: Callable[[int], Excitations], response: Response, energy_window: float
) -> Excitations:
    """The states below ``energy_window``, asking for more of them until one lies above it."""
    with torch.no_grad():
        inside = (response.diagonal() < energy_window) & response.singles_mask
        n_states = 1 + int(inside.sum((1, 2)).max())
    most = max(1, int(response.n_available.max()))
    while True:
        found = solve(min(n_states, most))
        below = found.energies < energy_window
        reached = ~below.all(1) | (found.n_available <= n_states)
        if bool(reached.all()):
            break
        n_states *= 2
    count = int(below.sum(1).max())
    kept = {
        name: getattr(found, name)[:, :count]
        for name in ("energies", "X", "Y", "transition_dipoles", "oscillator_strengths")
    }
    below = below[:, :count]
    shapes = {name: below.view(*below.shape, *[1] * (x.dim() - 2)) for name, x in kept.items()}
    cut = {name: torch.where(shapes[name], x, 0.0) for name, x in kept.items()}
    cut["energies"] = torch.where(below, kept["energies"], torch.nan)
    return replace(found, **cut)


def _is_dense(response: Response, n_states: int) -> bool:
    singles = int(response.n_available.max())
    return singles <= max(DENSE, DENSE_PER_STATE * n_states)


def _nonzero(amplitudes: Tensor, exists: Tensor) -> Tensor:
    return torch.where(exists[:, :, None, None], amplitudes, 0.0)


def _iterate(
    response: Response, n_matrices: Literal[1, 2], n_states: int, precision: torch.dtype | None
) -> tuple[Tensor, Tensor, Tensor]:
    """T and U (M, S, o, v) with TᵀU = 1, by energy, and which molecules are stable (M,)."""
    dtype = response.orbitals.coefficients.dtype
    original, response = response, response.to(precision or dtype)
    mask = response.singles_mask
    shape = mask.shape[1:]
    kind: Kind = "A+B" if n_matrices == 2 else "triplet"
    found = None
    try:
        excitons = _excitons(response, kind, n_states)
        local = _local(original, response.orbitals.coefficients.dtype)
        if local is not None:
            response = local
            if excitons is not None:
                excitons.turn(local.turn_occupied, local.turn_virtual)

        def apply(vectors: list[Tensor]) -> list[Tensor]:
            trials = [x.unflatten(2, shape) for x in vectors]
            if len(trials) == 2:
                return [x.flatten(2) for x in response.apply_pair(*trials)]
            return [response.apply(trials[0], "triplet").flatten(2)]

        found = davidson.lowest(
            apply,
            response.diagonal().flatten(1),
            mask.flatten(1),
            n_states,
            n_matrices,
            excitons,
            None if local is None else local.divided,
        )
    except (davidson.ConvergenceError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        if response.orbitals.coefficients.dtype == dtype:
            raise
    # Close to an instability single precision is not enough, and it may see one where the vectors
    # of many states are nearly dependent.
    single = response.orbitals.coefficients.dtype != dtype
    if found is None or (single and not bool(found.stable.all())):
        return _iterate(original, n_matrices, n_states, dtype)
    plus, minus = (x.unflatten(2, shape) for x in (found.plus, found.minus))
    if local is not None:
        plus, minus = local.turned(plus), local.turned(minus)
    plus, minus = plus.to(dtype), minus.to(dtype)
    if excitons is not None and bool(found.stable.all()):
        trials = [plus, minus][:n_matrices]
        kinds: list[Kind] = ["A+B", "A-B"] if n_matrices == 2 else ["triplet"]
        applied = [original.apply(x, k).flatten(2) for x, k in zip(trials, kinds, strict=True)]
        states = davidson.resolved([x.flatten(2) for x in trials], applied)
        plus, minus = states[0].unflatten(2, shape), states[-1].unflatten(2, shape)
    norm = (plus * minus).sum((2, 3), keepdim=True)
    plus, minus = (x * torch.where(norm > 0, norm, 1.0).rsqrt() for x in (plus, minus))
    missing = n_states - plus.shape[1]
    plus, minus = (torch.nn.functional.pad(x, (0, 0, 0, 0, 0, missing)) for x in (plus, minus))
    return plus, minus, found.stable


def _local(response: Response, dtype: torch.dtype) -> LocalResponse | None:
    """``response`` between local orbitals, for one large molecule where that saves operations."""
    if response.layout.n_molecules > 1 or response.layout.n_max < LARGE:
        return None
    local = LocalResponse(response, dtype)
    return local if local.narrow else None


def _excitons(response: Response, kind: Kind, n_states: int) -> Excitons | None:
    """The model of a large molecule; None for small ones and batches of several."""
    layout = response.layout
    n_pairs = max(PAIRS_PER_ATOM * layout.n_atoms_max, 4 * n_states)
    if layout.n_molecules > 1 or layout.n_max < LARGE or 4 * n_pairs > response.n_available[0]:
        return None
    return Excitons(response.kernel(kind), n_pairs)


def _solve_singlets(response: Response) -> tuple[Tensor, Tensor, Tensor]:
    """T and U (M, o·v, o·v), columns states by energy, and which molecules are stable (M,)."""
    mask = response.singles_mask.flatten(1)
    difference = response.dense("A-B") + torch.diag_embed((~mask).to(response.orbitals.occupied))
    identity = torch.eye(mask.shape[1]).to(difference)
    factor, failed = torch.linalg.cholesky_ex(0.5 * (difference + difference.mT))
    positive = failed == 0
    factor = torch.where(positive[:, None, None], factor, identity)
    square, vectors = _eigh(factor.mT @ response.dense("A+B") @ factor, mask)
    stable = positive & (square > 0).all(1)
    root = torch.where(stable[:, None], square, 1.0) ** 0.25
    plus = factor @ vectors / root[:, None, :]
    minus = torch.linalg.solve_triangular(factor.mT, vectors, upper=True) * root[:, None, :]
    return plus, minus, stable


def _eigh(matrix: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenpairs of symmetric ``matrix`` (M, s, s), whose padding (not in ``mask``) sorts last."""
    if matrix.shape[1] == 0:
        return matrix.new_zeros(mask.shape), matrix
    # Padding decouples exactly; above every eigenvalue (Gershgorin) it sorts last.
    top = matrix.abs().sum(2).amax(1) + 1.0
    shifted = 0.5 * (matrix + matrix.mT) + torch.diag_embed(top[:, None] * ~mask)
    values, vectors = torch.linalg.eigh(shifted)
    return values, vectors


def _lowest(response: Response, vectors: Tensor, n_states: int) -> Tensor:
    """The first ``n_states`` columns of ``vectors`` (M, o·v, o·v) as (M, S, o, v), zero-padded."""
    n_molecules, o, v = response.singles_mask.shape
    chosen = vectors[:, :, :n_states].mT
    missing = n_states - chosen.shape[1]
    chosen = torch.nn.functional.pad(chosen, (0, 0, 0, missing))
    return chosen.reshape(n_molecules, n_states, o, v)


def _existing(response: Response, n_states: int) -> Tensor:
    """(M, S) whether the molecule has that many states."""
    states = torch.arange(n_states, device=response.n_available.device)
    return states < response.n_available[:, None]


def _checked(response: Response, n_states: int | None) -> int:
    if n_states is None:
        return int(response.n_available.max())
    if n_states < 1:
        raise ValueError(f"n_states must be at least 1, got {n_states}")
    return n_states


def _in_precision(part: Orbitals | Interaction, dtype: torch.dtype) -> dict[str, Any]:
    """The fields of ``part`` that have a precision, in ``dtype``."""
    values = {f.name: getattr(part, f.name) for f in fields(part)}
    return {name: x.detach().to(dtype) for name, x in values.items() if x.is_floating_point()}


def _to_basis(orbitals: Orbitals, amplitudes: Tensor) -> Tensor:
    """D = C_o T C_vᵀ (M, S, n, n)."""
    # Virtual orbitals last: there are fewer of them, so that this order takes fewer operations.
    half = orbitals.occupied[:, None] @ amplitudes
    density: Tensor = half.flatten(1, 2) @ orbitals.virtual.mT
    return density.view(*half.shape[:3], density.shape[-1])

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

Transition dipoles and oscillator strengths are *not* stationary. Their gradient holds X and Y
fixed: it is that through the dipole operator, the orbitals and ω, and leaves out how the amplitudes
respond.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from esml.basis import OrbitalLayout
from esml.interaction import N_MULTIPOLES, ONE_CENTRE, Interaction
from esml.orbitals import Orbitals
from esml.units import HARTREE

Kind = Literal["A+B", "A-B", "triplet"]
"""The three matrices of the response problem: singlet A ± B, and the triplet A."""

CHUNK = 2**22
"""Numbers in the largest intermediate (M, S, n, n) when a dense matrix is built."""


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
        molecule = torch.arange(layout.n_molecules, device=atom.device)[:, None, None]
        self._exchange = interaction.exchange[molecule, atom[:, :, None], atom[:, None, :]]
        relaxation = torch.einsum(
            "mksa,mks,mksb->mab",
            layout.gather_slots(orbitals.virtual),
            interaction.relaxation(),
            layout.gather_slots(orbitals.virtual),
        )
        self._fock_virtual = (1.0 + interaction.virtual_scale) * orbitals.fock_virtual + relaxation
        # Where the atomic blocks stand in a flattened n×n matrix, (M, 16 K).
        slot = layout.slot_index()
        filled = slot < n
        slot = torch.where(filled, slot, 0)
        self._block_place = (slot[:, :, :, None] * n + slot[:, :, None, :]).flatten(1)
        self._block_mask = filled[:, :, :, None] & filled[:, :, None, :]  # (M, K, 4, 4)
        self._multipoles = ONE_CENTRE.to(orbitals.coefficients).view(16, N_MULTIPOLES)

    def apply(self, amplitudes: Tensor, kind: Kind) -> Tensor:
        """The matrix ``kind`` times ``amplitudes`` (M, S, o, v), eV, same shape; differentiable."""
        orbitals, interaction = self.orbitals, self.interaction
        density = _to_basis(orbitals, amplitudes)
        place = self._block_place[:, None].expand(-1, density.shape[1], -1)
        mask = self._block_mask[:, None]
        shape = (*density.shape[:2], *mask.shape[2:])  # (M, S, K, 4, 4)
        blocks = density.flatten(2).gather(2, place).view(shape) * mask
        multipoles = blocks.flatten(-2) @ self._multipoles
        if kind == "A+B":
            coupled, mixed = 4.0 * interaction.singlet_potential(multipoles), 1.0
        elif kind == "A-B":
            coupled, mixed = torch.zeros_like(multipoles), -1.0
        elif kind == "triplet":
            coupled, mixed = 2.0 * interaction.triplet_potential(multipoles), 0.0
        else:
            raise ValueError(f"kind must be 'A+B', 'A-B' or 'triplet', got {kind!r}")
        if mixed:
            density = density + mixed * density.mT
            blocks = blocks + mixed * blocks.mT
        onsite = (coupled @ self._multipoles.mT).view_as(blocks)
        onsite = (onsite - interaction.one_centre_exchange(blocks)) * mask
        field = -self._exchange[:, None] * density
        field = field.flatten(2).scatter_add(2, place, onsite.flatten(2)).view_as(density)
        interacting = torch.einsum(
            "mui,msua->msia",
            orbitals.occupied,
            torch.einsum("msuv,mva->msua", field, orbitals.virtual),
        )
        particle = torch.einsum("msib,mba->msia", amplitudes, self._fock_virtual)
        hole = torch.einsum("mij,msja->msia", orbitals.fock_occupied, amplitudes)
        return particle - hole + interacting

    def dense(self, kind: Kind) -> Tensor:
        """The matrix ``kind`` (M, o·v, o·v), eV, ia as i·v + a; zero in padding."""
        n_molecules, o, v = self.singles_mask.shape
        identity = torch.eye(o * v).to(self.orbitals.coefficients).view(1, o * v, o, v)
        identity = identity.expand(n_molecules, -1, -1, -1)
        size = max(1, CHUNK // (n_molecules * self.layout.n_max**2))
        # The matrices are symmetric: rows may be built in place of columns.
        rows = [self.apply(part, kind).flatten(2) for part in torch.split(identity, size, 1)]
        return torch.cat(rows, 1) * self.singles_mask.flatten(1)[:, :, None]

    def singlet_functional(self, plus: Tensor, minus: Tensor) -> Tensor:
        """½ [Tᵀ(A + B)T + Uᵀ(A − B)U] (M, S), eV, for T = ``plus``, U = ``minus`` (M, S, o, v)."""
        energy = plus * self.apply(plus, "A+B") + minus * self.apply(minus, "A-B")
        return 0.5 * energy.sum((2, 3))

    def triplet_functional(self, amplitudes: Tensor) -> Tensor:
        """XᵀAX (M, S), eV, for X = ``amplitudes`` (M, S, o, v)."""
        return (amplitudes * self.apply(amplitudes, "triplet")).sum((2, 3))


def singlets(
    response: Response, dipole_operator: Tensor, n_states: int | None = None
) -> Excitations:
    """The ``n_states`` lowest singlets (all, if None) by full linear response.

    With A − B = L Lᵀ the problem is symmetric, Lᵀ(A + B)L Z = ω² Z, and
    X + Y = L Z ω^(−½), X − Y = L^(−ᵀ) Z ω^(½). From them

        μ = √2 Σ_ia (X + Y)_ia ⟨i|r|a⟩ ,   f = ⅔ ω |μ|²   (atomic units).

    ``dipole_operator`` (M, 3, n, n) is ⟨μ|r|ν⟩ in bohr; where its origin lies does not matter.
    A molecule whose ground state is unstable is marked (see :class:`Excitations`) and does not
    disturb the others. See the module for what gradients mean.
    """
    n_states = _checked(response, n_states)
    with torch.no_grad():
        plus, minus, stable = _solve_singlets(response)
        plus, minus = (_lowest(response, x, n_states) for x in (plus, minus))
        exists = _existing(response, n_states) & stable[:, None]
        plus, minus = (x * exists[:, :, None, None] for x in (plus, minus))
    orbitals = response.orbitals
    energies = response.singlet_functional(plus, minus)
    half = torch.einsum("mxuv,mva->mxua", dipole_operator, orbitals.virtual)
    moments = torch.einsum("mui,mxua->mxia", orbitals.occupied, half)
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


def triplets(response: Response, n_states: int | None = None) -> Excitations:
    """The ``n_states`` lowest triplets (all, if None) in the Tamm–Dancoff approximation.

    Transitions from a singlet ground state are spin-forbidden: dipoles and strengths are zero.
    """
    n_states = _checked(response, n_states)
    with torch.no_grad():
        lowest, vectors = _eigh(response.dense("triplet"), response.singles_mask.flatten(1))
        amplitudes = _lowest(response, vectors, n_states)
        exists = _existing(response, n_states)
        amplitudes = amplitudes * exists[:, :, None, None]
        stable = (lowest > 0).all(1)
    energies = response.triplet_functional(amplitudes)
    return Excitations(
        energies=torch.where(exists, energies, torch.nan),
        X=amplitudes,
        Y=torch.zeros_like(amplitudes),
        transition_dipoles=amplitudes.new_zeros((*energies.shape, 3)),
        oscillator_strengths=amplitudes.new_zeros(energies.shape),
        stable=stable,
        n_available=response.n_available,
    )


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


def _to_basis(orbitals: Orbitals, amplitudes: Tensor) -> Tensor:
    """D = C_o T C_vᵀ (M, S, n, n)."""
    half = torch.einsum("msia,mva->msiv", amplitudes, orbitals.virtual)
    return torch.einsum("mui,msiv->msuv", orbitals.occupied, half)

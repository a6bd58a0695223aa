"""From a Hamiltonian to orbitals, density, charges and dipole.

Works on any padded batch of real symmetric matrices in an orthonormal basis. Shape letters: M
molecules, n the most orbitals of one molecule, o and v the most occupied and virtual orbitals of
one molecule, K the most atoms, N all atoms of the batch. Energies in eV.

Gradients. The derivative of an eigenvector divides by differences of eigenvalues and is infinite
for degenerate ones. Physical quantities do not need it: they depend on the occupied and the virtual
*space*, and a rotation within either is only a choice of axes. The occupied and virtual
coefficients therefore follow a change dH by parallel transport,

    dC_o = C_v U ,   dC_v = −C_o Uᵀ ,   U_ai = −(C_vᵀ dH C_o)_ai / (ε_a − ε_i) ,

whose denominators are occupied–virtual gaps only. The Hamiltonian within each space is passed on as
a matrix (``fock_occupied``, ``fock_virtual``), so only the choice of axes is lost. First
derivatives of all quantities that do not depend on that choice are exact; others, such as a single
coefficient, have no meaningful derivative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual
from torch.autograd.function import once_differentiable

from esml.physics.basis import OrbitalLayout, valence_electrons
from esml.units import BOHR

MINIMUM_GAP = 1e-3
"""eV; smaller occupied–virtual gaps are replaced by this in gradients, which keeps them finite."""


@dataclass(frozen=True)
class Orbitals:
    """Canonical orbitals of a batch, occupied from the lowest up. Columns in padding are zero."""

    energies: Tensor  # (M, n) eV, ascending, nan in padding; Hellmann–Feynman gradients
    coefficients: Tensor  # (M, n, n) columns are orbitals, padding last; no gradient
    occupied: Tensor  # (M, n, o) occupied coefficients, gradients by parallel transport
    virtual: Tensor  # (M, n, v)
    occupied_mask: Tensor  # (M, o)
    virtual_mask: Tensor  # (M, v)
    fock_occupied: Tensor  # (M, o, o) C_oᵀ H C_o, eV: diagonal in value, not in gradient
    fock_virtual: Tensor  # (M, v, v)
    n_orbitals: Tensor  # (M,)
    n_occupied: Tensor  # (M,)

    @property
    def homo(self) -> Tensor:
        """(M,) energy of the highest occupied orbital, eV; nan if there is none."""
        return self._energy_at(self.n_occupied - 1)

    @property
    def lumo(self) -> Tensor:
        """(M,) energy of the lowest virtual orbital, eV; nan if there is none."""
        return self._energy_at(self.n_occupied)

    @property
    def gap(self) -> Tensor:
        """(M,) lumo − homo, eV."""
        return self.lumo - self.homo

    def _energy_at(self, orbital: Tensor) -> Tensor:
        exists = (orbital >= 0) & (orbital < self.n_orbitals)
        found = self.energies.gather(1, torch.where(exists, orbital, 0)[:, None])[:, 0]
        return torch.where(exists, found, torch.nan)


class _ParallelTransport(torch.autograd.Function):
    """Pass (C_o, C_v) on unchanged, with the gradient described in the module's docstring."""

    @staticmethod
    def forward(
        ctx: Any,
        hamiltonian: Tensor,
        occupied: Tensor,
        virtual: Tensor,
        gaps: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(occupied, virtual, gaps)
        ctx.save_for_forward(occupied, virtual, gaps)
        return occupied.clone(), virtual.clone()

    @staticmethod
    def jvp(ctx: Any, hamiltonian: Tensor, *others: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the changes of (C_o, C_v) for a change of H."""
        occupied, virtual, gaps = ctx.saved_tensors
        rotation = -(virtual.mT @ hamiltonian @ occupied) / gaps
        return virtual @ rotation, -occupied @ rotation.mT

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_occupied: Tensor | None, grad_virtual: Tensor | None
    ) -> tuple[Tensor, None, None, None]:
        occupied, virtual, gaps = ctx.saved_tensors
        # dL = <g_o, C_v U> − <g_v, C_o Uᵀ> = <C_vᵀ g_o − g_vᵀ C_o, U>
        grad_rotation = torch.zeros_like(gaps)
        if grad_occupied is not None:
            grad_rotation = virtual.mT @ grad_occupied
        if grad_virtual is not None:
            grad_rotation = grad_rotation - grad_virtual.mT @ occupied
        grad = virtual @ (-grad_rotation / gaps) @ occupied.mT
        return 0.5 * (grad + grad.mT), None, None, None


def eigh(matrix: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenpairs of a symmetric ``matrix`` (M, s, s); padding (``mask`` False) is last."""
    if matrix.shape[1] == 0:
        return matrix.new_zeros(mask.shape), matrix
    # Padding decouples exactly; shifted above every eigenvalue (Gershgorin), it comes last.
    top = matrix.abs().sum(2).amax(1) + 1.0
    shifted = 0.5 * (matrix + matrix.mT) + torch.diag_embed(top[:, None] * ~mask)
    values, vectors = torch.linalg.eigh(shifted)
    return values, vectors


def stack_times(stack: Tensor, matrix: Tensor) -> Tensor:
    """Multiply each matrix of a ``stack`` (M, S, a, b) by ``matrix`` (M, b, c): (M, S, a, c).

    This takes one product per molecule; broadcasting would copy the matrix S times.
    """
    product: Tensor = (stack.flatten(1, 2) @ matrix).unflatten(1, stack.shape[1:3])
    return product


def diagonalize(hamiltonian: Tensor, n_orbitals: Tensor, n_occupied: Tensor) -> Orbitals:
    """Solve H C = C ε; the ``n_occupied`` lowest orbitals of each molecule are doubly occupied.

    Parameters
    ----------
    hamiltonian:
        (M, n, n) eV, real; only its symmetric part counts. Rows and columns in padding are ignored.
    n_orbitals:
        (M,) size of each molecule's block in the upper left.
    n_occupied:
        (M,) number of doubly occupied orbitals of each molecule.

    Returns
    -------
    The orbitals.

    Raises
    ------
    ValueError
        If shapes disagree, a molecule has more occupied orbitals than orbitals, or an element of
        the Hamiltonian is not finite.
    """
    _check_shapes(hamiltonian, n_orbitals, n_occupied)
    n_max = hamiltonian.shape[1]
    places = torch.arange(n_max, device=hamiltonian.device)
    mask = places < n_orbitals[:, None]
    inside = mask[:, :, None] & mask[:, None, :]
    h = 0.5 * (hamiltonian + hamiltonian.mT)
    if not bool(inside.all()):
        h = torch.where(inside, h, 0.0)
    _check_finite(h)
    levels, coefficients = eigh(h.detach(), mask)
    levels, coefficients = levels * mask, coefficients * inside
    # h is a new tensor: it requires gradients only while autograd records.
    differentiable = h.requires_grad or unpack_dual(h).tangent is not None
    energies = levels
    if differentiable:
        energies = torch.einsum("mup,muv,mvp->mp", coefficients, h, coefficients)

    n_virtual = n_orbitals - n_occupied
    o, v = int(n_occupied.max()), int(n_virtual.max())
    occupied_mask = places[:o] < n_occupied[:, None]
    virtual_mask = places[:v] < n_virtual[:, None]
    start = torch.where(virtual_mask, n_occupied[:, None] + places[:v], 0)
    c_occupied = coefficients[:, :, :o] * occupied_mask[:, None, :]
    c_virtual = coefficients.gather(2, start[:, None, :].expand(-1, n_max, -1))
    c_virtual = c_virtual * virtual_mask[:, None, :]
    lower, upper = levels[:, :o] * occupied_mask, levels.gather(1, start) * virtual_mask
    gaps = upper[:, :, None] - lower[:, None, :]
    occupied, virtual = _ParallelTransport.apply(  # type: ignore[no-untyped-call]
        h, c_occupied, c_virtual, gaps.clamp(min=MINIMUM_GAP)
    )
    return Orbitals(
        energies=torch.where(mask, energies, torch.nan),
        coefficients=coefficients,
        occupied=occupied,
        virtual=virtual,
        occupied_mask=occupied_mask,
        virtual_mask=virtual_mask,
        # C_vᵀ H C_o = 0, so to first order the transported coefficients add nothing here.
        fock_occupied=c_occupied.mT @ h @ c_occupied if differentiable else lower.diag_embed(),
        fock_virtual=c_virtual.mT @ h @ c_virtual if differentiable else upper.diag_embed(),
        n_orbitals=n_orbitals,
        n_occupied=n_occupied,
    )


def _check_shapes(hamiltonian: Tensor, n_orbitals: Tensor, n_occupied: Tensor) -> None:
    if hamiltonian.dim() != 3 or hamiltonian.shape[1] != hamiltonian.shape[2]:
        raise ValueError(f"hamiltonian must be (M, n, n), got {tuple(hamiltonian.shape)}")
    n_molecules, n_max = hamiltonian.shape[:2]
    for name, count in (("n_orbitals", n_orbitals), ("n_occupied", n_occupied)):
        if tuple(count.shape) != (n_molecules,):
            raise ValueError(f"{name} must be ({n_molecules},), got {tuple(count.shape)}")
    if bool((n_orbitals > n_max).any()):
        raise ValueError(f"n_orbitals exceeds the {n_max} rows of hamiltonian")
    wrong = (n_occupied < 0) | (n_occupied > n_orbitals)
    if bool(wrong.any()):
        molecule = int(wrong.nonzero()[0])
        raise ValueError(
            f"molecule {molecule} has {int(n_orbitals[molecule])} orbitals, of which "
            f"{int(n_occupied[molecule])} cannot be occupied"
        )


def _check_finite(hamiltonian: Tensor) -> None:
    finite = hamiltonian.isfinite()
    if not bool(finite.all()):
        molecule = int((~finite.flatten(1).all(1)).nonzero()[0])
        raise ValueError(f"the Hamiltonian of molecule {molecule} is not finite")


def density_matrix(orbitals: Orbitals) -> Tensor:
    """Return the density matrix P = 2 C_o C_oᵀ (M, n, n), symmetric to the last bit."""
    return _density(orbitals.occupied)


def _density(occupied: Tensor) -> Tensor:
    half = occupied @ occupied.mT
    return half + half.mT  # on some processors a product is not quite symmetric


def charges(orbitals: Orbitals, layout: OrbitalLayout) -> Tensor:
    """Return net charges Z_A − Σ_{μ∈A} P_μμ (M, K), e, Z_A valence electrons; 0 in padding."""
    return _charges(orbitals.occupied, layout)


def _charges(occupied: Tensor, layout: OrbitalLayout) -> Tensor:
    populations = 2.0 * layout.gather_slots(occupied).square().sum((2, 3))
    return layout.nuclear_charges.to(populations) - populations


def filled(hamiltonian: Tensor, layout: OrbitalLayout) -> tuple[Tensor, Tensor]:
    """Return density matrix P (M, n, n) and charges (M, K) of ``hamiltonian``, filled from below.

    The values are those of the orbitals from :func:`diagonalize`. If no gradient is needed, nothing
    else is computed, since a mean field calls this several times.
    """
    if hamiltonian.requires_grad:
        orbitals = diagonalize(hamiltonian, layout.n_orbitals, layout.n_occupied)
        return density_matrix(orbitals), charges(orbitals, layout)
    mask = layout.orbital_mask
    h = torch.where(mask[:, :, None] & mask[:, None, :], 0.5 * (hamiltonian + hamiltonian.mT), 0.0)
    _check_finite(h)
    places = torch.arange(int(layout.n_occupied.max()), device=h.device)
    exists = mask[:, :, None] & (places < layout.n_occupied[:, None])[:, None, :]
    occupied = eigh(h, mask)[1][:, :, : len(places)] * exists
    return _density(occupied), _charges(occupied, layout)


def dipole(
    orbitals: Orbitals, layout: OrbitalLayout, positions: Tensor, dipole_operator: Tensor
) -> Tensor:
    """Return the dipole moment μ = Σ_A Z_A R_A − tr(P r).

    Parameters
    ----------
    orbitals, layout:
        Orbitals and layout of the batch.
    positions:
        (N, 3) positions of the atoms, Å.
    dipole_operator:
        (M, 3, n, n) ⟨μ|r|ν⟩, bohr, including δ_μν R_A.

    Returns
    -------
    (M, 3), e·bohr. It depends on the origin if a molecule is charged.
    """
    nuclei = valence_electrons(layout.numbers).to(positions.dtype)[:, None] * positions / BOHR
    nuclear = positions.new_zeros((layout.n_molecules, 3)).index_add(0, layout.molecule, nuclei)
    occupied = orbitals.occupied
    electronic = torch.einsum("mxuv,muv->mx", dipole_operator, 2.0 * occupied @ occupied.mT)
    return nuclear - electronic

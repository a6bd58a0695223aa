"""Nonadiabatic couplings: states coupled by motion of the nuclei, as gradients of functionals.

Differentiate the response equations and project on another state. With T = X + Y and U = X − Y,

    ⟨I|∂J⟩ = X_I·∂X_J − Y_I·∂Y_J = h_IJ / (ω_J − ω_I) ,
    h_IJ = ½ [T_Iᵀ ∂(A + B) T_J + U_Iᵀ ∂(A − B) U_J]            (triplets: X_Iᵀ ∂A X_J) ,

where the orbitals in A and B move by parallel transport (:mod:`esml.physics.orbitals`), for which
⟨i|∂j⟩ = ⟨a|∂b⟩ = 0. Without the derivatives, the expression for h is the matrix diag(ω). At fixed X
and Y, the gradient of its element (I, J) is h_IJ and that of (I, I) is the gradient of ω_I. Each
element depends on two states only, so if many are wanted, each is computed in its own copy of the
molecule (:mod:`esml.physics.copies`).

The ground state is the determinant of the occupied orbitals, so that

    ⟨0|∂J⟩ = √2 Σ_ia (X − Y)_ia ⟨i|∂a⟩ ,   ⟨i|∂a⟩ = (C_oᵀ ∂H C_v)_ia / (ε_a − ε_i) .

Basis functions are assumed to follow their atoms without change. The terms from their own motion
would break translational invariance; electron translation factors remove the same terms (S. Fatehi,
E. Alguire, Y. Shao and J. Subotnik, J. Chem. Phys. 135, 234105 (2011)). Couplings in linear
response: V. Chernyak and S. Mukamel, J. Chem. Phys. 112, 3572 (2000); R. Send and F. Furche,
J. Chem. Phys. 132, 044107 (2010).

Shape letters: M molecules, n orbitals, o and v occupied and virtual orbitals.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from esml.physics.excitations import Excitations
from esml.physics.orbitals import Orbitals
from esml.physics.response import Response
from esml.typing import Multiplicity


@dataclass(frozen=True)
class State:
    """Amplitudes of S excited states of each molecule, without gradients."""

    X: Tensor  # (M, S, o, v)
    Y: Tensor  # (M, S, o, v)

    @classmethod
    def of(cls, found: Excitations, states: Tensor) -> State:
        """Return the states with indices ``states`` (M,) of one molecule, one for each copy."""
        return cls(found.X[0, states][:, None], found.Y[0, states][:, None])

    @classmethod
    def from_densities(cls, plus: Tensor, minus: Tensor, orbitals: Orbitals) -> State:
        """Return states of one molecule from C_o (X ± Y) C_vᵀ (S, n, n), in given ``orbitals``."""
        occupied, virtual = orbitals.occupied[0].detach(), orbitals.virtual[0].detach()
        t, u = (occupied.mT @ d @ virtual for d in (plus, minus))
        return cls(0.5 * (t + u)[None], 0.5 * (t - u)[None])


def densities(found: Excitations, orbitals: Orbitals, count: int) -> tuple[Tensor, Tensor]:
    """Return C_o (X ± Y) C_vᵀ (S, n, n) of the ``count`` lowest states of the only molecule."""
    occupied, virtual = orbitals.occupied[0].detach(), orbitals.virtual[0].detach()
    x, y = found.X[0, :count].detach(), found.Y[0, :count].detach()
    return occupied @ (x + y) @ virtual.mT, occupied @ (x - y) @ virtual.mT


def interstate(response: Response, bra: State, ket: State, multiplicity: Multiplicity) -> Tensor:
    """Return ⟨I|ω|J⟩ (M,), eV, whose gradient is h_IJ.

    For I = J this is ω_I, with its gradient.

    Parameters
    ----------
    response:
        Response of the batch, with gradients.
    bra, ket:
        The states I and J.
    multiplicity:
        Multiplicity of both states.
    """
    if multiplicity == "triplet":
        return (bra.X * response.apply(ket.X, "triplet")).sum((1, 2, 3))
    plus, minus = response.apply_pair(ket.X + ket.Y, ket.X - ket.Y)
    both: Tensor = (bra.X + bra.Y) * plus + (bra.X - bra.Y) * minus
    return 0.5 * both.sum((1, 2, 3))


def among_all(response: Response, states: State, multiplicity: Multiplicity) -> Tensor:
    """Return ⟨I|ω|J⟩ (M, S, S), eV, of all pairs of ``states``, whose derivatives are h_IJ.

    Use it for directional derivatives in forward mode. In reverse mode, every element would need a
    backward pass through all products.
    """
    if multiplicity == "triplet":
        applied = response.apply(states.X, "triplet")
        return torch.einsum("miov,mjov->mij", states.X, applied)
    plus, minus = states.X + states.Y, states.X - states.Y
    of_plus, of_minus = response.apply_pair(plus, minus)
    both = torch.einsum("miov,mjov->mij", plus, of_plus)
    return 0.5 * (both + torch.einsum("miov,mjov->mij", minus, of_minus))


def with_ground_state(response: Response, ket: State) -> Tensor:
    """Return zeros (M,) whose gradients are ⟨0|∂J⟩ of the singlet J = ``ket``."""
    overlap = response.occupied.detach().mT @ response.virtual  # zero, but not its gradient
    zeros: Tensor = 2.0**0.5 * ((ket.X - ket.Y)[:, 0] * overlap).sum((1, 2))
    return zeros

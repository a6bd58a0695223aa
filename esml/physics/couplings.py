"""Couplings of states by motion of the nuclei, as gradients of functionals.

Differentiating the response equations and projecting on another state gives, with T = X + Y and
U = X − Y,

    ⟨I|∂J⟩ = X_I·∂X_J − Y_I·∂Y_J = h_IJ / (ω_J − ω_I) ,
    h_IJ = ½ [T_Iᵀ ∂(A + B) T_J + U_Iᵀ ∂(A − B) U_J]            (triplets: X_Iᵀ ∂A X_J) ,

with the orbitals in A and B moved by parallel transport (:mod:`esml.physics.orbitals`), in which
⟨i|∂j⟩ = ⟨a|∂b⟩ = 0. Without the derivatives this is a matrix whose values are diag(ω): the
gradient of element (I, J) at fixed X and Y is h_IJ, that of (I, I) the gradient of ω_I.

The ground state is the determinant of the occupied orbitals, so that

    ⟨0|∂J⟩ = √2 Σ_ia (X − Y)_ia ⟨i|∂a⟩ ,   ⟨i|∂a⟩ = (C_oᵀ ∂H C_v)_ia / (ε_a − ε_i) .

Basis functions are taken to follow their atoms without change: what their own motion adds would
break translational invariance, and is what electron translation factors take away (S. Fatehi,
E. Alguire, Y. Shao and J. Subotnik, J. Chem. Phys. 135, 234105 (2011)). Couplings of linear
response: V. Chernyak and S. Mukamel, J. Chem. Phys. 112, 3572 (2000); R. Send and F. Furche,
J. Chem. Phys. 132, 044107 (2010).

Shape letters: M molecules, S states, n orbitals, o and v occupied and virtual orbitals.
"""

from __future__ import annotations

import torch
from torch import Tensor

from esml.physics.excitations import Excitations
from esml.physics.response import Response
from esml.typing import Multiplicity


def interstate(response: Response, found: Excitations, multiplicity: Multiplicity) -> Tensor:
    """The matrix (M, S, S), eV, with values diag(ω) and gradients h_IJ.

    Parameters
    ----------
    response:
        Of the batch, with gradients.
    found:
        Its states of ``multiplicity``.
    multiplicity:
        Which states these are.
    """
    if multiplicity == "triplet":
        amplitudes = found.X
        return _products(amplitudes, response.apply(amplitudes, "triplet"))
    plus, minus = found.X + found.Y, found.X - found.Y
    applied_plus, applied_minus = response.apply_pair(plus, minus)
    return 0.5 * (_products(plus, applied_plus) + _products(minus, applied_minus))


def with_ground_state(response: Response, found: Excitations) -> Tensor:
    """Zeros (M, S) whose gradients are ⟨0|∂J⟩ of the singlets ``found``."""
    orbitals = response.orbitals
    overlap = orbitals.occupied.detach().mT @ orbitals.virtual  # zero, but not its derivative
    zeros: Tensor = 2.0**0.5 * ((found.X - found.Y) * overlap[:, None]).sum((2, 3))
    return zeros


def _products(first: Tensor, second: Tensor) -> Tensor:
    """(M, S, S) scalar products of two sets (M, S, o, v)."""
    return torch.einsum("miov,mjov->mij", first, second)

"""Rotatory strengths: how differently a state absorbs left and right circularly polarized light.

Besides the position r, two operators are needed, both real, antisymmetric and without parameters of
their own (atomic units):

    ∇   = [r, F'] + J[D]                          the gradient, from the commutator with H
    r×∇ = ½ (R_μ + R_ν) × ∇_μν + δ_AB Λ_μν        angular momentum, R_μ the position of μ's atom

F' is the Fock operator of the response, with its relaxed virtual orbitals. Nonlocal exchange does
not commute with r. The term J[D] corrects for that: it is the exchange field of the response for
D = C_o r_ov C_vᵀ − C_v r_vo C_oᵀ, the change of the density by r, and removes the exchange from F'
again. Λ is the angular momentum of an atom's own s and p functions: zero for s, and
⟨i|Λ_k|j⟩ = ε_kij within a p shell. Between two atoms, the part from r − ½(R_μ + R_ν) is neglected.

With the transition moments of a state of energy ω,

    r_n = √2 Σ_ia (X + Y)_ia r_ia ,   ∇_n = √2 Σ_ia (X − Y)_ia ∇_ia ,   L_n likewise of r×∇ ,

the rotatory strength is, in the two gauges,

    R = ½ ∇_n·L_n / ω  (velocity) ,   R = ½ r_n·L_n  (length) .

The occupied–virtual block of ∇ is (A − B) r, and (A − B)(X − Y) = ω (X + Y). Hence ∇_n = ω r_n
for every state of full linear response: both gauges agree, also for oscillator strengths, and
neither depends on the origin. Moving the origin by d changes L_n by −d × ∇_n, so the velocity gauge
does not depend on it in the Tamm–Dancoff approximation either.

References: A. E. Hansen and T. D. Bouman, Adv. Chem. Phys. 44, 545 (1980), for both gauges in
linear response; A. F. Starace, Phys. Rev. A 3, 1242 (1971), for the commutator with exchange.

Shape letters: M molecules, S states, K atoms, n orbitals, o and v occupied and virtual orbitals.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from esml.physics.basis import N_SLOTS, OrbitalLayout
from esml.physics.orbitals import stack_times
from esml.physics.response import Response
from esml.units import BOHR, HARTREE

Gauge = Literal["velocity", "length"]

ROTATORY = 471.4436
"""One atomic unit of rotatory strength, e·bohr · eħ/mₑ, in 10⁻⁴⁰ cgs (esu²·cm²)."""


def gradient_operator(response: Response, dipole_operator: Tensor) -> Tensor:
    """Return ∇ (M, 3, n, n) in bohr⁻¹, antisymmetric.

    Parameters
    ----------
    response:
        Orbitals and kernel of the batch.
    dipole_operator:
        (M, 3, n, n) ⟨μ|r|ν⟩ in bohr.
    """
    occupied, virtual = response.occupied, response.virtual
    fock = occupied @ response.fock_occupied @ occupied.mT
    fock = fock + virtual @ response.fock_virtual @ virtual.mT
    product = stack_times(dipole_operator, fock)
    half = stack_times(dipole_operator, virtual)  # r C_v
    excited = occupied[:, None] @ (occupied.mT[:, None] @ half) @ virtual.mT[:, None]
    density = (excited - excited.mT).transpose(1, 2).contiguous()
    exchange = response.kernel.field(density, "singlet", in_place=False).transpose(1, 2)
    gradient: Tensor = (product - product.mT + exchange) / HARTREE
    return gradient


def angular_momentum(gradient: Tensor, positions: Tensor, layout: OrbitalLayout) -> Tensor:
    """Return r×∇ (M, 3, n, n), antisymmetric, no unit.

    Parameters
    ----------
    gradient:
        ∇ (M, 3, n, n), bohr⁻¹.
    positions:
        (N, 3) positions of the atoms, Å, from the origin of choice.
    layout:
        Layout of the batch.
    """
    places = layout.pad_atoms(positions / BOHR)
    owner = layout.orbital_atom[:, :, None].expand(-1, -1, 3)
    at = places.gather(1, owner).movedim(2, 1)  # (M, 3, n)
    middle = 0.5 * (at[:, :, :, None] + at[:, :, None, :])
    between: Tensor = torch.linalg.cross(middle, gradient, dim=1)
    return between + one_centre(layout).to(gradient)


def one_centre(layout: OrbitalLayout, weights: Tensor | None = None) -> Tensor:
    """Return Λ (M, 3, n, n): r×∇ of every atom's functions about its own nucleus.

    Parameters
    ----------
    layout:
        Layout of the batch.
    weights:
        (N,) factor for each atom; 1 if left out.
    """
    nothing = torch.zeros(0, dtype=torch.int64, device=layout.numbers.device)
    blocks = _p_shell().to(layout.numbers.device)[None].expand(len(layout.numbers), -1, -1, -1)
    if weights is not None:
        blocks = weights[:, None, None, None] * blocks.to(weights.dtype)
    assembled = layout.assembly(nothing, nothing)
    return assembled(blocks, blocks[:0]).movedim(-1, 1)


@lru_cache
def _p_shell() -> Tensor:
    """Return ⟨i|r×∇|j⟩ = ε_kij between s, x, y, z of one atom, (4, 4, 3)."""
    found = torch.zeros(N_SLOTS, N_SLOTS, 3, dtype=torch.float64)
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        found[1 + i, 1 + j, k], found[1 + j, 1 + i, k] = 1.0, -1.0
    return found


@torch.no_grad()
def rotatory_strengths(
    response: Response,
    dipole_operator: Tensor,
    positions: Tensor,
    energies: Tensor,
    plus: Tensor,
    minus: Tensor,
    gauge: Gauge = "velocity",
) -> Tensor:
    """Return the rotatory strengths of singlets, without gradients.

    Parameters
    ----------
    response:
        Orbitals and kernel of the batch.
    dipole_operator:
        (M, 3, n, n) ⟨μ|r|ν⟩ in bohr, δ_μν R_A included.
    positions:
        (N, 3) positions of the atoms, Å; their origin does not matter.
    energies:
        (M, S) excitation energies, eV.
    plus, minus:
        X + Y and X − Y, (M, S, o, v).
    gauge:
        Both gauges agree in full linear response. In the Tamm–Dancoff approximation, only the
        velocity gauge is independent of the origin.

    Returns
    -------
    (M, S), 10⁻⁴⁰ cgs; positive where left circularly polarized light is absorbed more.
    """
    gradient = gradient_operator(response, dipole_operator)
    angular = angular_momentum(gradient, positions.to(gradient), response.layout)
    moment = _moments(response, angular, minus)
    if gauge == "length":
        other = _moments(response, dipole_operator, plus)
        return 0.5 * ROTATORY * (other * moment).sum(2)
    other = _moments(response, gradient, minus)
    strengths = 0.5 * ROTATORY * HARTREE * (other * moment).sum(2) / energies
    return torch.where(energies > 0, strengths, 0.0)


def _moments(response: Response, operator: Tensor, amplitudes: Tensor) -> Tensor:
    """Return √2 Σ_ia T_ia ⟨i|O|a⟩ (M, S, 3); O is ``operator``, T ``amplitudes`` (M, S, o, v)."""
    between = response.occupied.mT[:, None] @ stack_times(operator, response.virtual)
    moments: Tensor = 2.0**0.5 * amplitudes.flatten(2) @ between.flatten(2).mT
    return moments

"""The effective two-electron interaction between products of orbitals on one atom.

A product μν of two basis functions on atom A has nine multipoles, G_μν,c (``ONE_CENTRE``): one
monopole, three dipoles (s·p) and five quadrupoles (p·p, traceless). Products of functions on
different atoms are neglected (zero differential overlap). A pair of orbitals i, j then has the
multipoles

    q^A_ij,c = Σ_{μν∈A} C_μi C_νj G_μν,c ,

on every atom, and every two-electron integral is a sum over them: monopoles interact between all
atoms through a matrix γ_AB, dipoles and quadrupoles only on the same atom. The monopole, the
dipoles and the quadrupoles each form an irreducible representation of the rotations and share one
coupling constant, so energies are exactly invariant under rotation.

The virtual orbitals of a minimal basis are too high in energy for excitations: in a large basis an
excited electron relaxes into functions that a minimal basis lacks. ``relaxation`` shifts them in
the response only, F_vv → (1 + σ) F_vv + C_vᵀ D C_v with a symmetric operator D (a scissor-like
shift). The ground state and its orbital energies do not change.

The correlation of two nearby electrons depends on their spins. Hole and electron therefore attract
each other a little less in a triplet than in a singlet (``triplet_exchange``).

Shape letters: M molecules, K the most atoms and n the most orbitals of one molecule, S densities
per molecule. All energies in eV.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache

import torch
from torch import Tensor

from esml.units import COULOMB

N_MULTIPOLES = 9
"""One monopole, three dipoles, five quadrupoles."""


def _one_centre() -> Tensor:
    multipoles = torch.zeros(4, 4, N_MULTIPOLES, dtype=torch.float64)
    multipoles[:, :, 0] = torch.eye(4)
    for axis in (1, 2, 3):
        multipoles[0, axis, axis] = multipoles[axis, 0, axis] = 1.0
    x, y, z = 1, 2, 3
    for column, (a, b) in zip((4, 5, 6), ((x, y), (y, z), (x, z)), strict=True):
        multipoles[a, b, column] = multipoles[b, a, column] = 1.0 / math.sqrt(2.0)
    for axis, entry in ((x, 1.0), (y, -1.0)):
        multipoles[axis, axis, 7] = entry / math.sqrt(2.0)
    for axis, entry in ((x, -1.0), (y, -1.0), (z, 2.0)):
        multipoles[axis, axis, 8] = entry / math.sqrt(6.0)
    return multipoles


ONE_CENTRE: Tensor = _one_centre()
"""(4, 4, 9) G_μν,c: multipole c of the product of orbitals μ, ν (s, x, y, z) of one atom.

c = 0 monopole δ_μν; 1–3 dipoles, 1 at [s, p] and [p, s]; 4–8 quadrupoles, traceless symmetric
matrices on x, y, z of Frobenius norm 1 (xy, yz, xz, x²−y², 2z²−x²−y²).
"""


def gamma(
    distance: Tensor,
    hardness: Tensor,
    limit: float | Tensor = 1.0,
    exponent: float | Tensor = 2.0,
) -> Tensor:
    """Return the interaction of two unit monopoles, from the on-site value to the Coulomb tail.

        γ(R) = λ C / [R^y + (λ C / η)^y]^(1/y) ,   C = e²/4πε₀

    so γ(0) = η and γ(R) → λ C / R. ``exponent`` y = 2 is Ohno–Klopman's form, y = 1
    Mataga–Nishimoto's.

    Parameters
    ----------
    distance:
        R in Å, any shape.
    hardness:
        η ≥ 0 in eV, broadcast against ``distance``; η = 0 gives γ = 0 everywhere.
    limit:
        λ > 0, the fraction of the Coulomb interaction that remains at long range (1 for a Hartree
        kernel; for exchange the long-range fraction of the functional).
    exponent:
        y ≥ 1.

    Returns
    -------
    γ in eV, of the broadcast shape.

    Raises
    ------
    ValueError
        If ``limit`` is not positive or ``exponent`` is below 1.
    """
    if not bool(torch.as_tensor(limit).gt(0).all()):
        raise ValueError(f"gamma needs a positive long-range limit, got {limit}")
    if not bool(torch.as_tensor(exponent).ge(1).all()):
        raise ValueError(f"gamma needs an exponent of at least 1, got {exponent}")
    # Numerator and denominator are divided by λC/η: finite for η = 0, and no large powers.
    reduced = distance * hardness / (limit * COULOMB)
    return hardness / (1.0 + reduced**exponent) ** (1.0 / exponent)


TRIPLET_RANGE = 4.0
"""R₀ in Å: range over which ``triplet_exchange`` differs from the exchange."""


def triplet_exchange(exchange: Tensor, distance: Tensor, shift: Tensor | float) -> Tensor:
    """Return the exchange kernel of triplets, γ^T = γ^J − τ exp(−(R/R₀)²), eV.

    A triplet whose hole and electron are near each other rises by τ. A charge-transfer triplet over
    more than some 2 R₀ stays degenerate with its singlet, as it must.

    Parameters
    ----------
    exchange:
        (M, K, K) γ^J of singlets, eV.
    distance:
        (M, K, K) R, Å.
    shift:
        τ, eV, broadcast against both.

    Returns
    -------
    (M, K, K), eV.
    """
    return exchange - shift * torch.exp(-((distance / TRIPLET_RANGE) ** 2))


def distances(positions: Tensor) -> Tensor:
    """Return distances (M, K, K) between atoms at padded ``positions`` (M, K, 3), in their unit.

    The diagonal and all coincident pairs are exactly zero with a zero gradient (that of the square
    root would be infinite). Pairs with padding are finite and meaningless.
    """
    square = (positions[:, :, None, :] - positions[:, None, :, :]).square().sum(-1)
    apart = square > 0
    return torch.where(apart, torch.where(apart, square, 1.0).sqrt(), 0.0)


_DIMENSIONS = {"coulomb": 3, "exchange": 3, "triplet_exchange": 3, "virtual_scale": 0}
"""Number of dimensions of those fields of ``Interaction`` that are not per atom."""


@dataclass(frozen=True)
class Interaction:
    """Two-electron parameters of a padded batch, all in eV.

    Values in padding must be finite; they are not used. With the multipoles q (c = 0), d
    (c = 1…3) and Q (c = 4…8) of the module's docstring:

        K(ia, jb)   = Σ_AB q^A_ia γ^K_AB q^B_jb + Σ_A [k_d d_ia·d_jb + k_Q Q_ia·Q_jb]
        J(ij, ab)   = Σ_AB q^A_ij γ^J_AB q^B_ab + Σ_A [j_d d_ij·d_ab + j_Q Q_ij·Q_ab]
        K_T(ia, jb) = Σ_A [t_m q_ia q_jb + t_d d_ia·d_jb + t_Q Q_ia·Q_jb]

    For triplets, J(ij, ab) has γ^T in place of γ^J.

    Raises
    ------
    ValueError
        If shapes or dtypes of the fields disagree.
    """

    coulomb: Tensor  # (M, K, K) γ^K, symmetric: monopoles, singlet channel
    exchange: Tensor  # (M, K, K) γ^J, symmetric: monopoles, exchange
    triplet_exchange: Tensor  # (M, K, K) γ^T, symmetric: monopoles, exchange in triplets
    singlet_dipole: Tensor  # (M, K) k_d
    singlet_quadrupole: Tensor  # (M, K) k_Q
    triplet_monopole: Tensor  # (M, K) t_m, usually negative
    triplet_dipole: Tensor  # (M, K) t_d
    triplet_quadrupole: Tensor  # (M, K) t_Q
    exchange_dipole: Tensor  # (M, K) j_d
    exchange_quadrupole: Tensor  # (M, K) j_Q
    relaxation: Tensor  # (M, n, n) D; only its symmetric part counts
    virtual_scale: Tensor  # () σ, no unit

    def __post_init__(self) -> None:
        shape = tuple(self.coulomb.shape)
        if len(shape) != 3 or shape[1] != shape[2]:
            raise ValueError(f"coulomb must be (M, K, K), got {shape}")
        for field in fields(self):
            value: Tensor = getattr(self, field.name)
            pairs = _DIMENSIONS.get(field.name, 2)
            expected = shape[:pairs]
            if field.name == "relaxation":  # over orbitals, not atoms
                expected = (shape[0], value.shape[-1], value.shape[-1])
            if tuple(value.shape) != expected:
                raise ValueError(f"{field.name} must be {expected}, got {tuple(value.shape)}")
            if value.dtype != self.coulomb.dtype:
                raise ValueError(
                    f"{field.name} is {value.dtype} where coulomb is {self.coulomb.dtype}"
                )

    def double(self) -> Interaction:
        """Return the same interaction in double precision."""
        return Interaction(*(getattr(self, field.name).double() for field in fields(self)))

    def singlet_blocks(self) -> Tensor:
        """Return the maps D_AA → Σ_{c>0} k_c G^c tr(G^c D_AA) of flat blocks, (M, K, 16, 16).

        These are the dipole and quadrupole terms of K. Monopoles, which act between atoms, are not
        included.
        """
        return _by_shell(_coupled, self.singlet_dipole, self.singlet_quadrupole)

    def triplet_blocks(self) -> Tensor:
        """Return the maps of :meth:`singlet_blocks` for K_T, (M, K, 16, 16)."""
        return _by_shell(_coupled, self.triplet_dipole, self.triplet_quadrupole)

    def exchange_blocks(self) -> Tensor:
        """Return the maps D_AA → Σ_{c>0} j_c G^c D_AA G^c of flattened blocks, (M, K, 16, 16).

        These are the dipole and quadrupole terms of J; the monopole term γ^J_AA D_AA is part of
        γ^J.
        """
        return _by_shell(_sandwich, self.exchange_dipole, self.exchange_quadrupole)


def _by_shell(
    part: Callable[[int, int, torch.dtype, torch.device], Tensor],
    dipole: Tensor,
    quadrupole: Tensor,
) -> Tensor:
    """Sum the maps of dipoles and quadrupoles, times their constants (M, K): (M, K, 16, 16)."""
    first, last = (part(a, b, dipole.dtype, dipole.device) for a, b in ((1, 4), (4, 9)))
    return dipole[:, :, None, None] * first + quadrupole[:, :, None, None] * last


@lru_cache
def _coupled(first: int, last: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the map D → Σ_c G^c tr(G^c D), ``first`` ≤ c < ``last``, of flat blocks, (16, 16)."""
    chosen = ONE_CENTRE[:, :, first:last].reshape(16, -1)
    return (chosen @ chosen.mT).to(device, dtype)


@lru_cache
def _sandwich(first: int, last: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the map D → Σ_c G^c D G^c, ``first`` ≤ c < ``last``, of flat blocks, (16, 16)."""
    chosen = ONE_CENTRE[:, :, first:last]
    return torch.einsum("ijc,klc->iljk", chosen, chosen).reshape(16, 16).to(device, dtype)

"""Two-centre blocks: hopping between the s, p and d orbitals of two atoms from ten integrals.

An axial interaction between two atoms is fixed by ten numbers, V_ll'm with l ≤ l' (J. C. Slater and
G. F. Koster, Phys. Rev. 94, 1498 (1954)): ssσ, spσ, sdσ, ppσ, ppπ, pdσ, pdπ, ddσ, ddπ, ddδ. Atoms
with s and p only need four: ssσ, spσ, ppσ, ppπ. Each integral multiplies a matrix that depends on
the direction u from the first atom to the second. With the tensors Q_m of the d orbitals
(symmetric, traceless, of norm 1), those matrices are products of

    u ,   T = 1 − u uᵀ ,   σ_m = √(3/2) uᵀ Q_m u ,   π_m = √2 T Q_m u .

Between different atoms, the integral from p to d differs from that from d to p. The part of a block
with l < l' takes the integrals of the pair i→j, the part with l > l' those of j→i, and the part
with equal l the mean of both. The block of j→i is therefore the transpose of that of i→j for any
values of the integrals.
"""

from __future__ import annotations

import torch
from torch import Tensor

N_ORBITALS = 9
INTEGRALS = ("sss", "sps", "sds", "pps", "ppp", "pds", "pdp", "dds", "ddp", "ddd")
"""The ten integrals in order, written as l, l', and s, p or d for σ, π or δ."""
PLACES: dict[int, tuple[int, ...]] = {4: (0, 1, 3, 4), 9: tuple(range(10))}
"""Indices of the integrals by the number of orbitals of an atom: 4 (s, p) or 9 (s, p, d)."""


def _d_tensors() -> Tensor:
    """Return the tensors Q (5, 3, 3) of xy, yz, z², xz, x²−y²."""
    q = torch.zeros(5, 3, 3, dtype=torch.float64)
    for m, (a, b) in ((0, (0, 1)), (1, (1, 2)), (3, (0, 2))):
        q[m, a, b] = q[m, b, a] = 0.5**0.5
    q[2] = torch.diag(torch.tensor([-1.0, -1.0, 2.0], dtype=torch.float64)) / 6**0.5
    q[4] = torch.diag(torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)) / 2**0.5
    return q


_D = _d_tensors()
_S, _P, _DD = slice(0, 1), slice(1, 4), slice(4, 9)


def direction_matrices(directions: Tensor, n_orbitals: int = N_ORBITALS) -> Tensor:
    """Return the matrices (E, A, b, b) of the integrals, their part with l ≤ l'.

    Parameters
    ----------
    directions:
        (E, 3) unit vectors.
    n_orbitals:
        Number b of orbitals of an atom: 9 for s, p and d (A = 10 integrals), or 4 for s and p
        (A = 4).
    """
    q = _D.to(directions)
    identity = torch.eye(3).to(directions)
    along = directions[:, :, None] * directions[:, None, :]
    across = identity - along
    q_u = torch.einsum("mab,eb->eam", q, directions)
    sigma = 1.5**0.5 * torch.einsum("ea,eam->em", directions, q_u)
    pi = 2.0**0.5 * across @ q_u
    dd_sigma = sigma[:, :, None] * sigma[:, None, :]
    dd_pi = pi.transpose(1, 2) @ pi
    found = directions.new_zeros(len(directions), 10, N_ORBITALS, N_ORBITALS)
    found[:, 0, 0, 0] = 1.0
    found[:, 1, _S, _P] = directions[:, None]
    found[:, 2, _S, _DD] = sigma[:, None]
    found[:, 3, _P, _P] = along
    found[:, 4, _P, _P] = across
    found[:, 5, _P, _DD] = directions[:, :, None] * sigma[:, None, :]
    found[:, 6, _P, _DD] = pi
    found[:, 7, _DD, _DD] = dd_sigma
    found[:, 8, _DD, _DD] = dd_pi
    found[:, 9, _DD, _DD] = torch.eye(5).to(directions) - dd_sigma - dd_pi
    if n_orbitals == N_ORBITALS:
        return found
    return found[:, list(PLACES[n_orbitals]), :n_orbitals, :n_orbitals]


_EQUAL = (0.5, 1.0, 1.0, 0.5, 0.5, 1.0, 1.0, 0.5, 0.5, 0.5)
"""Weight of one direction: integrals between equal l come from both directions of a pair."""
_PARITY = (1.0, -1.0, 1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0, 1.0)
"""Sign of each matrix when the bond direction is reversed: (−1)^(l + l')."""


def _of_integrals(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Return the ``values`` (A,) of the integrals in ``like`` (E, A), which are ten or four."""
    places = next(p for p in PLACES.values() if len(p) == like.shape[1])
    return torch.tensor([values[place] for place in places]).to(like)


def equal_shared(like: Tensor) -> Tensor:
    """Return (A,): one half for integrals between equal l, as both directions count; else one.

    ``like`` (E, A, …) holds the integrals.
    """
    return _of_integrals(_EQUAL, like)


def blocks_from(matrices: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
    """Return blocks of pairs (E, b, b) from their ``direction_matrices`` (E, A, b, b).

    ``forward`` and ``backward`` (E, A) are as in ``two_centre_blocks``.
    """
    share = equal_shared(forward)
    parity = _of_integrals(_PARITY, forward)
    there = torch.einsum("ea,eaxy->exy", forward * share, matrices)
    back = torch.einsum("ea,eaxy->exy", backward * share * parity, matrices)
    return there + back.transpose(1, 2)


def two_centre_blocks(directions: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
    """Return blocks of pairs (E, 9, 9), rows on the first atom, columns on the second.

    Parameters
    ----------
    directions:
        (E, 3) unit vectors from the first atom to the second.
    forward:
        (E, 10) integrals of the pairs, eV, in the order of ``INTEGRALS``.
    backward:
        (E, 10) integrals of the same pairs in the other direction.
    """
    return blocks_from(direction_matrices(directions), forward, backward)

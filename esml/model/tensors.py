"""Products of vectors and traceless symmetric tensors, from which the network is built.

A second-rank traceless symmetric tensor T is stored as its five components t_m in an orthonormal
basis, T_kl = Σ_m t_m Q^m_kl with Q^m : Q^n = δ_mn, so that t·t is T : T. Components are in the
dimension before the channels: scalars (N, C), vectors (N, 3, C), tensors (N, 5, C). Every product
here keeps true parity: scalars and tensors are even, vectors odd, and pseudovectors never occur.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt

import torch
from torch import Tensor


def _quadrupole_basis() -> Tensor:
    a, b = 1 / sqrt(2), 1 / sqrt(6)
    basis = torch.zeros(5, 3, 3, dtype=torch.float64)
    for m, (k, l) in enumerate(((0, 1), (1, 2), (0, 2))):
        basis[m, k, l] = basis[m, l, k] = a
    basis[3] = torch.diag(torch.tensor([a, -a, 0.0], dtype=torch.float64))
    basis[4] = torch.diag(torch.tensor([-b, -b, 2 * b], dtype=torch.float64))
    return basis


QUADRUPOLE = _quadrupole_basis()
"""(5, 3, 3) orthonormal traceless symmetric matrices Q^m: xy, yz, xz, x² − y², 2z² − x² − y²."""

# tr(Q^m Q^n Q^k), symmetric in all three indices: the k-th component of Q^m Q^n.
_TRIPLE = torch.einsum("mab,nbc,kca->mnk", QUADRUPOLE, QUADRUPOLE, QUADRUPOLE)


@lru_cache
def _constants(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    return QUADRUPOLE.to(device, dtype), _TRIPLE.to(device, dtype)


def quadrupole_basis(like: Tensor) -> Tensor:
    """Return ``QUADRUPOLE`` with the dtype and on the device of ``like``."""
    return _constants(like.dtype, like.device)[0]


def tensor_operator(vectors: Tensor) -> Tensor:
    """Return M_km = Σ_l Q^m_kl r_l, (E, 3, 5), of ``vectors`` r (E, 3).

    For a tensor T with components t, M t is the vector T r. For a vector v, Mᵀ v is the traceless
    symmetric part of v ⊗ r. One matrix thus serves all products of a pair's direction with vectors
    and tensors.
    """
    return torch.einsum("mkl,el->ekm", quadrupole_basis(vectors), vectors)


def matrices(tensors: Tensor) -> Tensor:
    """Return T_kl = Σ_m t_m Q^m_kl of ``tensors`` (..., 5), as (..., 3, 3)."""
    return torch.einsum("...m,mkl->...kl", tensors, quadrupole_basis(tensors))


def decompose(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split features (N, 9, C) into scalars (N, 1, C), vectors (N, 3, C) and tensors (N, 5, C)."""
    scalars, vectors, tensors = x.split((1, 3, 5), 1)
    return scalars, vectors, tensors


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return a · b or A : B, channel by channel: (N, d, C) × (N, d, C) → (N, C)."""
    return (a * b).sum(-2)


def vector_vector(a: Tensor, b: Tensor) -> Tensor:
    """Return the traceless symmetric part of a ⊗ b, channel by channel: (N, 3, C)² → (N, 5, C)."""
    outer = (a[:, :, None] * b[:, None, :]).flatten(1, 2)
    return quadrupole_basis(a).flatten(1) @ outer


def tensor_vector(t: Tensor, v: Tensor) -> Tensor:
    """Return T v, channel by channel: (N, 5, C) × (N, 3, C) → (N, 3, C)."""
    outer = (t[:, :, None] * v[:, None, :]).flatten(1, 2)
    basis = quadrupole_basis(t).permute(1, 0, 2).flatten(1)
    return basis @ outer


def tensor_tensor(s: Tensor, t: Tensor) -> Tensor:
    """Return the traceless symmetric part of S T, channel by channel: (N, 5, C)² → (N, 5, C)."""
    outer = (s[:, :, None] * t[:, None, :]).flatten(1, 2)
    return _constants(s.dtype, s.device)[1].permute(2, 0, 1).flatten(1) @ outer


def switch(distance: Tensor, onset: float, cutoff: float) -> Tensor:
    """Return a smooth switch: 1 up to ``onset``, 0 from ``cutoff``, C² everywhere.

    Between them it is 1 − 10x³ + 15x⁴ − 6x⁵, where x goes from 0 to 1.
    """
    x = ((distance - onset) / (cutoff - onset)).clamp(0.0, 1.0)
    return 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x**2)

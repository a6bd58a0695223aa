"""Point charges around a molecule: the effect of their potential on the orbitals of an atom.

At distance r, a charge q_k has the potential

    φ(r) = C q_k erf(r/σ) / r ,   C = e²/4πε₀ ,

that of a Gaussian charge of width σ. Beyond about 2σ it equals that of a point charge; within, it
stays finite, so that a charge too near to an atom, as next to a cut bond, does not attract all
electrons. An electron near atom A feels −φ expanded about the atom,

    w = −φ_A + E_A·x − ½ Σ_ij T_A,ij x_i x_j ,   E = −∇φ ,  T_ij = ∂_i∂_j φ − ⅓ δ_ij ∇²φ ,

x = r − R_A. In the basis of the model, φ_A shifts all orbitals of an atom; E_A acts through the
dipole operator (between orbitals of two atoms, as the mean of both fields); and T_A acts between
the p orbitals of one atom, where ⟨p_i|w|p_j⟩ = −⅕ ⟨r²⟩ T_ij. In a uniform field, w is exactly E·r.
⟨r²⟩ is taken from the Slater p orbital that has the model's ⟨s|x|p_x⟩:

    ⟨s|x|p_x⟩ = (2n + 1)/(2√3 ζ) ,   ⟨r²⟩ = (2n + 1)(2n + 2)/(4ζ²) = 3.6 ⟨s|x|p_x⟩²   (n = 2).

The trace of ∂∂φ is nonzero only inside a charge, where φ is damped anyway, and is neglected.

Source: Slater, Phys. Rev. 36, 57 (1930), for the form of the orbitals.

Shape letters: K atoms and L charges of one molecule. Energies in eV, lengths in Å, charges in e.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from esml.units import COULOMB

WIDTH = 0.8
"""σ, Å: at 1.8 Å, a short hydrogen bond, the potential is that of a point charge to 0.2 %."""

NEAREST = 0.1
"""Å; a charge closer to an atom than this is taken for the atom itself, counted twice."""

SPREAD = 3.6
"""⟨r²⟩ / ⟨s|x|p_x⟩² of Slater's orbitals of the second row (3.4 and 3.3 below it)."""

PAIRS = 1_000_000
"""Number of atoms times number of charges treated at a time; it limits the memory."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PointCharges:
    """Point charges around a molecule, such as the atoms of a force field.

    Parameters
    ----------
    charges
        (L,) e.
    positions
        (L, 3) Å, in the frame of the molecule.
    width
        σ, Å: nearer than about 2σ, the potential of a charge is damped.

    Raises
    ------
    ValueError
        If shapes do not match, a value is not finite, or the width is not positive.
    """

    charges: Array
    positions: Array
    width: float = WIDTH

    def __init__(self, charges: ArrayLike, positions: ArrayLike, width: float = WIDTH) -> None:
        q, x = np.array(charges, dtype=np.float64), np.array(positions, dtype=np.float64)
        if q.ndim != 1 or len(q) == 0 or x.shape != (len(q), 3):
            raise ValueError(
                f"point charges have shape {q.shape} and their positions {x.shape}: expected (L,) "
                "and (L, 3) for L of at least 1; give one position in Å for each charge"
            )
        if not (np.isfinite(q).all() and np.isfinite(x).all()):
            raise ValueError(
                "point charges or their positions hold values that are not finite: expected e and "
                "Å; leave such charges out"
            )
        if not 0.0 < width < math.inf:
            raise ValueError(
                f"width of point charges is {width}: expected a positive number in Å, such as "
                f"{WIDTH}; give one or leave it out"
            )
        for name, value in {"charges": q, "positions": x, "width": float(width)}.items():
            object.__setattr__(self, name, value)
        q.setflags(write=False)
        x.setflags(write=False)

    def __len__(self) -> int:
        return len(self.charges)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, PointCharges)
            and self.width == other.width
            and np.array_equal(self.charges, other.charges)
            and np.array_equal(self.positions, other.positions)
        )

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: dict[int, Any]) -> PointCharges:
        return self  # It cannot be changed.

    def digest(self) -> str:
        """Return the number of charges and a hash; only equal charges have the same digest."""
        content = self.charges.tobytes() + self.positions.tobytes() + str(self.width).encode()
        return f"{len(self)}, SHA-256 {hashlib.sha256(content).hexdigest()}"

    def __str__(self) -> str:
        total = f"{self.charges.sum():+.2f}".replace("-0.00", "0.00").replace("+0.00", "0.00")
        return f"{len(self)} point charges, {total} e in total"


def potentials(
    atoms: Tensor, charges: Tensor, sites: Tensor, width: float, pairs: int = PAIRS
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the potential of point charges at atoms, with its first and second derivatives.

    It is differentiable with respect to the positions of atoms and charges. No charge may sit on an
    atom (``NEAREST``).

    Parameters
    ----------
    atoms:
        (K, 3) Å.
    charges:
        (L,) e.
    sites:
        (L, 3) positions of the charges, Å.
    width:
        Width of a charge, Å.
    pairs:
        Largest number of atom–charge pairs treated at a time.

    Returns
    -------
    φ_A (K,) eV, E_A (K, 3) eV/Å and T_A (K, 3, 3) eV/Å².
    """
    at_once = max(1, pairs // len(atoms))
    parts = [
        _potentials(atoms, q, x, width)
        for q, x in zip(charges.split(at_once), sites.split(at_once), strict=True)
    ]
    phi, field, gradient = (sum(each[1:], each[0]) for each in zip(*parts, strict=True))
    return phi, field, gradient


def _potentials(
    atoms: Tensor, charges: Tensor, sites: Tensor, width: float
) -> tuple[Tensor, Tensor, Tensor]:
    # Sums over charges are matrix products with the moments of the sites about the molecule, so
    # that nothing is larger than (K, L).
    middle = atoms.detach().mean(0)
    a, x = atoms - middle, sites - middle
    square = a.square().sum(1)[:, None] + x.square().sum(1) - 2.0 * a @ x.mT
    r = square.sqrt()
    # With g = erf(r/σ)/r: g'/r, and (g'' − g'/r)/r² of ∂_i∂_j g = g'/r δ_ij + (…) x_i x_j.
    g = torch.erf(r / width) / r
    density = 2.0 / (math.sqrt(math.pi) * width) * torch.exp(-square / width**2)
    first = (density - g) / square
    second = -(3.0 * first + 2.0 / width**2 * density) / square
    scaled = COULOMB * charges
    phi = g @ scaled
    moments = scaled[:, None] * x
    field = first @ moments - (first @ scaled)[:, None] * a
    shifted = a[:, :, None] * (second @ moments)[:, None, :]
    gradient = (
        (second @ scaled)[:, None, None] * a[:, :, None] * a[:, None, :]
        - (shifted + shifted.mT)
        + (second @ (moments[:, :, None] * x[:, None, :]).flatten(1)).unflatten(1, (3, 3))
    )
    trace = gradient.diagonal(dim1=1, dim2=2).sum(1)
    eye = torch.eye(3, dtype=atoms.dtype, device=atoms.device)
    return phi, field, gradient - trace[:, None, None] / 3.0 * eye

"""Shapes of the minimal-basis orbitals in space: an illustration.

The model defines its orbitals only by the operators between them, not as functions in space. To
draw them, each orbital gets the Slater-type function of its shell, without radial nodes for s and
p, expanded in three Gaussians (STO-3G), with the exponents ζ that Hehre, Stewart and Pople
recommend for molecules [1–4]. These functions χ overlap, but the orbitals of the model do not, so
they are drawn as the symmetrically orthogonalized set (Löwdin)

    φ_μ = Σ_ν (S^−½)_νμ χ_ν ,   S_μν = ⟨χ_μ|χ_ν⟩ ,

the orthonormal set nearest to the χ. Populations, coefficients and signs come from the model. The
extent of an orbital does not, and no property is computed from these shapes.

1. W. J. Hehre, R. F. Stewart and J. A. Pople, J. Chem. Phys. 51, 2657 (1969): H to F.
2. W. J. Hehre, R. Ditchfield, R. F. Stewart and J. A. Pople, J. Chem. Phys. 52, 2769 (1970): Si to
   Cl.
3. W. J. Pietro, B. A. Levi, W. J. Hehre and R. F. Stewart, Inorg. Chem. 19, 2225 (1980): Se, Br.
4. W. J. Pietro, E. S. Blurock, R. F. Hout, W. J. Hehre, D. J. DeFrees and R. F. Stewart,
   Inorg. Chem. 20, 3650 (1981): I.

Shape letters: N atoms, n orbitals, k functions to draw, G primitives. Lengths in Å by default.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from esml.units import BOHR

Array = NDArray[np.float64]

STATEMENT = (
    "minimal orbitals drawn as orthogonalized STO-3G valence functions: shapes illustrative, "
    "coefficients and populations exact"
)
"""Note in every file of orbitals."""

SLATER_EXPONENT = {1: 1.24, 6: 1.72, 7: 1.95, 8: 2.25, 9: 2.55, 16: 2.05, 17: 2.10}
SLATER_EXPONENT |= {5: 1.50, 14: 1.75, 15: 1.90, 34: 2.22, 35: 2.38, 53: 2.42}
"""ζ of the valence shell in 1/bohr."""

# Exponents and contraction coefficients of s and p for ζ = 1, by principal quantum number.
_EXPANSIONS = {
    1: (
        (2.227660584, 0.4057711562, 0.1098175104),
        (0.1543289673, 0.5353281423, 0.4446345422),
        (),
    ),
    2: (
        (0.9942027296, 0.2310313333, 0.07513856150),
        (-0.09996722919, 0.3995128261, 0.7001154689),
        (0.1559162750, 0.6076837186, 0.3919573931),
    ),
    3: (
        (0.4828540806, 0.1347150629, 0.05272656258),
        (-0.2196203690, 0.2255954336, 0.9003984260),
        (0.01058760429, 0.5951670053, 0.4620010120),
    ),
    4: (
        (0.2464581400, 0.09095855374, 0.04016825636),
        (-0.3088441215, 0.01960641170, 1.131034442),
        (-0.1215468600, 0.5715227604, 0.5498949471),
    ),
    5: (
        (0.1349013828, 0.07263605444, 0.03208462257),
        (-0.3842642607, -0.1972567438, 1.375495512),
        (-0.3481691526, 0.6290323690, 0.6662832743),
    ),
}

NOBLE_GASES = (2, 10, 18, 36, 54)
"""Atomic numbers at which a shell is full."""


def principal_number(number: int) -> int:
    """Return the principal quantum number of the valence shell of element ``number``."""
    return 1 + bisect_left(NOBLE_GASES, number)


def contraction(number: int) -> tuple[Array, Array, Array]:
    """Return exponents (3,) in 1/bohr² and coefficients of s (3,) and p (3,) of an element.

    Coefficients multiply normalized Gaussians; those of p are empty for hydrogen.
    """
    exponents, s, p = _EXPANSIONS[principal_number(number)]
    return np.array(exponents) * SLATER_EXPONENT[number] ** 2, np.array(s), np.array(p)


@dataclass(frozen=True)
class Shapes:
    """Functions in space of a molecule's minimal basis, by atom, in the order s, x, y, z."""

    atoms: Atoms  # the molecule

    @cached_property
    def _primitives(self) -> tuple[Array, Array, NDArray[np.int64], Array]:
        """Centres (G, 3) bohr, exponents (G,), powers (G, 3), and contraction (G, n)."""
        centres, exponents, powers, blocks = [], [], [], []
        column = 0
        for number, position in zip(self.atoms.numbers, self.atoms.positions / BOHR, strict=True):
            zeta, s, p = contraction(int(number))
            # Norm of a Gaussian; for p it has a factor x in front.
            norm_s = (2.0 * zeta / np.pi) ** 0.75
            functions = [(np.zeros(3, dtype=np.int64), s * norm_s)]
            if len(p):
                norm_p = norm_s * 2.0 * np.sqrt(zeta)
                functions += [(axis, p * norm_p) for axis in np.eye(3, dtype=np.int64)]
            for power, coefficients in functions:
                for exponent, coefficient in zip(zeta, coefficients, strict=True):
                    centres.append(position)
                    exponents.append(exponent)
                    powers.append(power)
                    blocks.append((column, coefficient))
                column += 1
        table = np.zeros((len(blocks), column))
        for row, (place, coefficient) in enumerate(blocks):
            table[row, place] = coefficient
        return np.array(centres), np.array(exponents), np.array(powers), table

    @cached_property
    def overlap(self) -> Array:
        """S (n, n) between the overlapping functions χ."""
        centres, exponents, powers, table = self._primitives
        total = exponents[:, None] + exponents
        reduced = exponents[:, None] * exponents / total
        product = np.ones_like(total)
        for axis in range(3):
            x = centres[:, axis]
            middle = (exponents[:, None] * x[:, None] + exponents * x) / total
            left, right = middle - x[:, None], middle - x
            one, other = powers[:, None, axis] == 1, powers[None, :, axis] == 1
            moment = np.where(one & other, left * right + 0.5 / total, 1.0)
            moment = np.where(one & ~other, left, moment)
            moment = np.where(~one & other, right, moment)
            spread = np.exp(-reduced * np.square(x[:, None] - x)) * np.sqrt(np.pi / total)
            product *= moment * spread
        overlap: Array = table.T @ product @ table
        return overlap

    @cached_property
    def orthogonalizer(self) -> Array:
        """S^−½ (n, n), from coefficients in the model's basis to coefficients of the χ."""
        values, vectors = np.linalg.eigh(self.overlap)
        root: Array = (vectors / np.sqrt(values)) @ vectors.T
        return root

    def grid(self, spacing: float = 0.3, margin: float = 3.0) -> Grid:
        """Return a grid over a box around the molecule; ``spacing`` and ``margin`` in Å.

        Parameters
        ----------
        spacing
            Distance of neighbouring points, Å.
        margin
            Distance of the outermost atoms from the sides, Å.
        """
        low = self.atoms.positions.min(0) - margin
        counts = np.ceil((np.ptp(self.atoms.positions, axis=0) + 2.0 * margin) / spacing)
        return Grid(low, spacing, tuple(int(count) + 1 for count in counts))

    def values(self, orbitals: Array, grid: Grid) -> Array:
        """Return ``orbitals`` (n, k) of the model's basis on ``grid``, (k, …) in bohr^(−3/2).

        Parameters
        ----------
        orbitals
            (n, k) coefficients in the basis of the model.
        grid
            Points, as from ``grid``.
        """
        centres, exponents, powers, table = self._primitives
        weights = table @ self.orthogonalizer @ orbitals
        factors = []
        for axis in range(3):
            offset = grid.axis(axis)[:, None] / BOHR - centres[:, axis]
            factors.append(offset ** powers[:, axis] * np.exp(-exponents * np.square(offset)))
        x, y, z = factors
        result = np.empty((orbitals.shape[1], *grid.shape))
        plane = (y[:, None] * z).reshape(-1, len(exponents))
        for place, weight in enumerate(weights.T):
            result[place] = ((x * weight) @ plane.T).reshape(grid.shape)
        return result

    def density(self, matrix: Array, grid: Grid) -> Array:
        """Return the density of a symmetric ``matrix`` (n, n) on ``grid`` in bohr⁻³.

        Parameters
        ----------
        matrix
            (n, n) symmetric, in the basis of the model.
        grid
            Points, as from ``grid``.
        """
        occupations, orbitals = np.linalg.eigh(matrix)
        kept = np.abs(occupations) > 1e-6 * max(float(np.abs(occupations).max()), 1e-12)
        total = np.zeros(grid.shape)
        for occupation, orbital in zip(occupations[kept], orbitals.T[kept], strict=True):
            total += occupation * np.square(self.values(orbital[:, None], grid)[0])
        return total


@dataclass(frozen=True)
class Grid:
    """Equally spaced points of a box."""

    origin: Array  # (3,) Å
    spacing: float  # Å
    shape: tuple[int, ...]  # (3,) points along x, y and z

    def axis(self, which: int) -> Array:
        """Return the coordinates of the points along one axis, Å."""
        steps: Array = self.origin[which] + self.spacing * np.arange(self.shape[which])
        return steps


def isovalue(values: Array, share: float = 0.8) -> float:
    """Return the isovalue whose surface encloses a given share of the square of a function.

    Parameters
    ----------
    values
        The function on a grid.
    share
        The share, between 0 and 1.

    Returns
    -------
    The absolute value of the function on that surface.
    """
    squares = np.sort(np.square(values).ravel())[::-1]
    inside = np.cumsum(squares)
    return float(np.sqrt(squares[np.searchsorted(inside, share * inside[-1])]))


def surface(values: Array, grid: Grid, level: float) -> tuple[Array, NDArray[np.int64]]:
    """Return the isosurface of a function, by the marching cubes of scikit-image.

    Parameters
    ----------
    values
        The function on the grid.
    grid
        The points of the grid.
    level
        The isovalue.

    Returns
    -------
    Vertices (V, 3) in Å and triangles (T, 3); both may be empty.

    Raises
    ------
    ImportError
        If scikit-image is missing.
    """
    try:
        from skimage.measure import marching_cubes
    except ImportError as error:
        raise ImportError(
            'drawing surfaces of orbitals needs scikit-image: pip install "esml[plot]"'
        ) from error
    if not values.min() < level < values.max():
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    vertices, triangles, _, _ = marching_cubes(values, level, spacing=(grid.spacing,) * 3)
    return np.asarray(vertices + grid.origin, dtype=np.float64), np.asarray(triangles, np.int64)

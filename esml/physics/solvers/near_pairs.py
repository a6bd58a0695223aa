"""The response matrices between near pairs: pairs of local orbitals close to each other.

Excitons are local: pairs of a hole and an electron far apart hardly contribute. The matrices
between the pairs in a :class:`esml.physics.solvers.banded.PairWindow` cost little to apply and have
nearly the same lowest states as the whole problem. Iterations for the whole problem start from
these states.

Shape letters: S vectors, n orbitals of the basis, h and e holes and electrons of a strip, w pairs
in the window. One molecule. Energies in eV.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from esml.physics.solvers.banded import PairWindow, WindowSandwich, extent
from esml.physics.solvers.preconditioners import Levels
from esml.physics.solvers.representations import Local
from esml.typing import Multiplicity


@dataclass(frozen=True)
class _Strip:
    """A strip of near pairs and the basis functions it extends over."""

    rows: slice  # basis functions of the holes
    columns: slice  # basis functions of the electrons
    hole: Tensor  # (rows, holes) coefficients
    electron: Tensor  # (columns, electrons) coefficients
    onsite: Tensor  # indices of the one-centre elements of the field that lie inside
    place: Tensor  # their place in (rows, columns), flattened


class Near:
    """Singlet A ± B or triplet A of one large molecule between near pairs of local orbitals.

    Parameters
    ----------
    local:
        The whole problem between local orbitals.
    window:
        The near pairs, as ``Local.near`` returns them; matrix elements of other pairs are omitted.
    coupling:
        Multiplicity of the states.
    """

    def __init__(self, local: Local, window: PairWindow, coupling: Multiplicity) -> None:
        strategy, dtype, orbitals = local.strategy, local.hole.dtype, local.orbitals
        self.window = window
        self.n_matrices = 2 if coupling == "singlet" else 1
        self._minus_exchange = local.kernel.minus_exchange[coupling][0]
        self._monopoles = local.kernel.monopoles[coupling][0]
        self._blocks = local.kernel.blocks[coupling][0]
        n = len(self._minus_exchange)
        self._place = (local.kernel.row[0] * n + local.kernel.column[0]).flatten()
        self._back = self._place % n * n + self._place // n
        # One-centre elements of the field: atomic blocks, and the diagonal from the monopoles.
        self._onsite = torch.cat(
            [self._place, (n + 1) * torch.arange(n, device=self._place.device)]
        )
        negligible = strategy.negligible.of(dtype)
        self._strips = [
            self._strip(local.hole[:, holes], local.electron[:, electrons], negligible)
            for holes, electrons in window.strips
        ]
        of_holes, of_electrons = (
            x.to(dtype) for x in (orbitals.levels_hole, orbitals.levels_electron)
        )
        self._of_holes = WindowSandwich(window, of_holes, None, negligible)
        self._of_electrons = WindowSandwich(window, None, of_electrons, negligible)
        between = partial(WindowSandwich, window, negligible=strategy.rough)
        self.levels = Levels(orbitals, dtype, between, strategy)
        self.diagonal = window.gathered(local.diagonal().flatten(1))
        self.mask = torch.ones_like(self.diagonal, dtype=torch.bool)
        self._at_once = max(1, strategy.chunk // n**2)

    def _strip(self, hole: Tensor, electron: Tensor, negligible: float) -> _Strip:
        """Return the strip of the local orbitals ``hole`` (n, h) and ``electron`` (n, e)."""
        n = len(self._minus_exchange)
        row, column = self._onsite // n, self._onsite % n
        rows, columns = extent(hole.mT, negligible), extent(electron.mT, negligible)
        inside = (row >= rows.start) & (row < rows.stop)
        inside &= (column >= columns.start) & (column < columns.stop)
        which = inside.nonzero()[:, 0]
        place = (row[which] - rows.start) * (columns.stop - columns.start)
        place += column[which] - columns.start
        hole, electron = hole[rows].contiguous(), electron[columns].contiguous()
        return _Strip(rows, columns, hole, electron, which, place)

    def select(self, molecules: Tensor) -> Near:
        return self  # a batch of one molecule

    def apply(self, vectors: list[Tensor]) -> list[Tensor]:
        """Multiply A + B and A − B, or the triplet A, each by its own vectors (1, S, w)."""
        if len(vectors) == 1:
            return [self._applied(vectors[0][0], None)[None]]
        return [self._applied(x[0], s)[None] for x, s in zip(vectors, (1.0, -1.0), strict=True)]

    def _applied(self, inside: Tensor, sign: float | None) -> Tensor:
        """Multiply A + ``sign`` B, or the triplet A, by ``inside`` (S, w)."""
        product = self._of_electrons(inside) - self._of_holes(inside)
        n = len(self._minus_exchange)
        density = inside.new_empty((min(len(inside), self._at_once), n, n))
        for part, found in zip(
            inside.split(self._at_once), product.split(self._at_once), strict=True
        ):
            self._add_coupling(found, part, sign, density[: len(part)])
        return product

    def _add_coupling(
        self, product: Tensor, inside: Tensor, sign: float | None, density: Tensor
    ) -> None:
        """Add the two-electron part of the product with ``inside`` (S, w) to ``product`` (S, w).

        ``density`` (S, n, n) is working memory for the transition densities.
        """
        density.zero_()
        # A strip has fewer orbitals than basis functions: transform one side, then the other.
        for part, strip in zip(self.window.parts(inside), self._strips, strict=True):
            density[:, strip.rows, strip.columns] += strip.hole @ (part @ strip.electron.mT)
        flat = density.flatten(1)
        onsite = flat[:, self._place]
        if sign is not None:
            onsite += sign * flat[:, self._back]
        onsite = (onsite.unflatten(1, (-1, 1, 16)) @ self._blocks).flatten(1)
        diagonal = density.diagonal(dim1=1, dim2=2)
        # An antisymmetric density has no multipoles.
        times = {None: 1.0, 1.0: 2.0, -1.0: 0.0}[sign]
        field = torch.cat([onsite, times * (diagonal @ self._monopoles)], 1)
        for part, strip in zip(self.window.parts(product), self._strips, strict=True):
            near = density[:, strip.rows, strip.columns].clone()
            if sign is not None:
                near.add_(density[:, strip.columns, strip.rows].mT, alpha=sign)
            near *= self._minus_exchange[strip.rows, strip.columns]
            near.flatten(1).index_add_(1, strip.place, field[:, strip.onsite])
            part += (strip.hole.mT @ near) @ strip.electron

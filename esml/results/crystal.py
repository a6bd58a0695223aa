"""The result for one crystal: bands, densities of states, d-band centres, bond populations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from torch import Tensor

from esml.physics.crystals import (
    Bands,
    PeriodicHamiltonian,
    RealSpaceHamiltonian,
    Shell,
    atom_of_orbital,
    hamilton_population,
    k_mesh,
    orbitals_of,
)
from esml.physics.crystals.bands import zero_name
from esml.physics.crystals.bonding import HamiltonPopulation
from esml.physics.crystals.k_path import KPath, k_path
from esml.physics.crystals.shells import VALENCE_ELECTRONS
from esml.typing import Array

if TYPE_CHECKING:
    import pandas as pd

SHELLS: tuple[Shell, ...] = ("s", "p", "d")
ENERGIES = (-9.0, 4.0, 261)
"""Default energies of a density of states: first and last, eV from the zero, and their number."""
TRAINED_UP_TO = 3.0
"""eV above the Fermi level, where the labels of metals end; states above it are not trained."""
BONDED = 3.15
"""Å; pairs nearer than this are bonds by default."""


def _array(tensor: Tensor) -> Array:
    found: Array = tensor.detach().numpy()
    return found


def usual_energies() -> Array:
    """Return the default energies (G,), eV from the zero of a crystal."""
    low, high, n = ENERGIES
    return np.linspace(low, high, n)


@dataclass(frozen=True)
class BandPath(KPath):
    """Band structure along straight lines between special points."""

    energies: Array  # (P, n) eV from the crystal's ``zero``
    d_shares: Array  # (P, n) share of each state on d orbitals

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Distance and name of each special point; the two at a break share one, as in Z|Y."""
        names: dict[float, str] = {}
        for row, name in self.labels:
            at = float(self.distances[row])
            names[at] = f"{names[at]}|{name}" if at in names else name
        return list(names.items())


class BandEdge(NamedTuple):
    """The highest state below the Fermi level, or the lowest above it."""

    energy: float  # eV
    k_point: tuple[float, float, float]  # in reciprocal lattice vectors
    shares: dict[str, float]  # of each element and shell, such as S_p, if at least 0.01


class Bond(NamedTuple):
    """A bond, and what its pair of atoms adds to the band energy."""

    first: int  # index of one atom in the cell, from 0
    second: int  # index of the other
    image: tuple[int, int, int]  # cell of the second atom
    distance: float  # Å
    energy: float  # eV, negative where it bonds


@dataclass(frozen=True)
class Crystal:
    """The prediction for a cell with N atoms and n orbitals. Energies in eV.

    The zero of energy is the Fermi level or, for models of insulators, the top of the valence
    bands; only ``fermi_level`` uses the model's own zero.
    """

    atoms: Atoms  # the cell and its atoms
    hamiltonian: PeriodicHamiltonian  # all else follows from it
    mesh: Bands  # energies and orbitals on the k mesh
    divisions: tuple[int, int, int]  # of the k mesh
    shifts: Array  # (N,) shift of the d levels that keeps atoms neutral, eV
    name: str = ""  # name of the crystal
    warnings: tuple[str, ...] = ()  # why it is out of domain, and doubts about the k mesh
    in_domain: bool = True  # whether it is like the crystals the model was trained on
    model: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The model card."""

    @property
    def numbers(self) -> list[int]:
        """Atomic numbers."""
        found: list[int] = self.atoms.numbers.tolist()
        return found

    @property
    def fermi_level(self) -> float:
        """Fermi level, eV from the model's own zero."""
        return float(self.mesh.fermi)

    @property
    def gap(self) -> float:
        """Gap between states of the k mesh, eV; zero for metals: all crystals of a model of metals.

        Of a model of insulators they are those with an odd number of electrons, or with valence
        bands that reach up to the conduction bands.
        """
        return self.mesh.gap

    @property
    def zero(self) -> str:
        """The zero of energy, in words."""
        return zero_name(self.mesh.insulating)

    @property
    def trained(self) -> str:
        """Which states the model was trained on, in words; energies of others mean nothing."""
        if self.mesh.insulating:
            return "the valence bands and the lowest conduction bands"
        return f"states up to {TRAINED_UP_TO:g} eV above the Fermi level"

    @property
    def edges(self) -> tuple[BandEdge, BandEdge]:
        """Highest state below the Fermi level and lowest state above it, on the k mesh."""
        energies, fermi = self.mesh.energies, self.mesh.fermi
        below = torch.where(energies <= fermi, energies, -torch.inf)
        above = torch.where(energies > fermi, energies, torch.inf)
        return self._edge(int(below.argmax())), self._edge(int(above.argmin()))

    def _edge(self, place: int) -> BandEdge:
        """The state at index ``place`` of the flattened (K, n) energies."""
        k, state = divmod(place, self.mesh.energies.shape[1])
        weights = self.mesh.coefficients[k, :, state].abs().square()
        shares: dict[str, float] = {}
        for shell in SHELLS:
            for symbol, own in zip(
                self.atoms.symbols, orbitals_of(self.numbers, shell), strict=True
            ):
                name = f"{symbol}_{shell}"
                shares[name] = shares.get(name, 0.0) + float(weights[own].sum())
        named = {k: v for k, v in sorted(shares.items(), key=lambda x: -x[1]) if v >= 0.01}
        a, b, c = self.mesh.k_points.fractional[k].tolist()
        return BandEdge(float(self.mesh.energies[k, state] - self.mesh.zero), (a, b, c), named)

    @cached_property
    def populations(self) -> Array:
        """(N, 3) number of electrons in s, p and d orbitals of each atom."""
        groups = [self.mesh.populations(orbitals_of(self.numbers, shell)) for shell in SHELLS]
        return _array(torch.stack(groups, 1))

    @property
    def charges(self) -> Array:
        """(N,) atomic charges, e, from populations of orthonormal orbitals; nan for insulators.

        The functions of a lithium atom reach over its neighbours and count electrons that belong
        to them, so populations are meaningless for ions.
        """
        valence = np.array([VALENCE_ELECTRONS[z] for z in self.numbers], dtype=float)
        found: Array = valence - self.populations.sum(1)
        return np.full_like(found, np.nan) if self.mesh.insulating else found

    @cached_property
    def d_band_centres(self) -> Array:
        """(N,) d-band centres, eV from E_F, of states up to 2 eV above it; nan without d."""
        return _array(self.mesh.band_centres(orbitals_of(self.numbers, "d")))

    def _on(self, k_points: Sequence[int] | None) -> Bands:
        """Bands on another mesh with the same number of electrons."""
        if k_points is None:
            return self.mesh
        mesh = self.mesh
        electrons = sum(VALENCE_ELECTRONS[z] for z in self.numbers)
        return Bands.of(self.hamiltonian, k_mesh(k_points), electrons, mesh.width, mesh.insulating)

    def dos(
        self,
        energies: Array | None = None,
        width: float = 0.1,
        k_points: Sequence[int] | None = None,
    ) -> Array:
        """Return the density of states (G,), states/eV/cell.

        Parameters
        ----------
        energies:
            (G,) eV from ``zero``; −9 to 4 eV if left out.
        width:
            Standard deviation of the Gaussians, eV.
        k_points:
            Divisions of another mesh.
        """
        at = torch.as_tensor(usual_energies() if energies is None else energies)
        return _array(self._on(k_points).density_of_states(at, width))

    def projected_dos(
        self,
        energies: Array | None = None,
        width: float = 0.1,
        k_points: Sequence[int] | None = None,
    ) -> Array:
        """Return (N, 3, G) density of states on s, p and d orbitals of each atom; see ``dos``.

        Parameters
        ----------
        energies, width, k_points
            Those of ``dos``.
        """
        at = torch.as_tensor(usual_energies() if energies is None else energies)
        bands = self._on(k_points)
        return np.stack(
            [
                _array(bands.projected_density_of_states(at, orbitals_of(self.numbers, s), width))
                for s in SHELLS
            ],
            1,
        )

    def bands(self, path: str | None = None, n_points: int = 120) -> BandPath:
        """Return the bands along a path between special points.

        Parameters
        ----------
        path:
            Names of special points, with a comma for a break, as in ``"GXWKG,UX"``. Names and the
            default path are those of Setyawan and Curtarolo (Comput. Mater. Sci. 49, 299 (2010)),
            as in ASE, for the Bravais lattice nearest to the cell.
        n_points:
            Number of points along the whole path; each line has its two ends at least.

        Raises
        ------
        ValueError
            For names that the lattice does not have, or fewer than two points.
        """
        along = k_path(self.atoms.cell, path, n_points)
        d = torch.cat(orbitals_of(self.numbers, "d"))
        energies, shares = [], []
        for part in torch.as_tensor(along.k_points).split(8):
            e, c = torch.linalg.eigh(self.hamiltonian.at(part))
            energies.append(e - self.mesh.zero)
            shares.append(c[:, d].abs().square().sum(1))
        return BandPath(
            **vars(along), energies=_array(torch.cat(energies)), d_shares=_array(torch.cat(shares))
        )

    @cached_property
    def real_space(self) -> RealSpaceHamiltonian:
        """The Hamiltonian H(R) on the supercell of the k mesh."""
        owner = atom_of_orbital(self.numbers)
        points = self.mesh.k_points.fractional
        cell, positions = self.atoms.cell.array, self.atoms.positions
        return RealSpaceHamiltonian.from_mesh(
            self.hamiltonian.at(points), self.divisions, cell, positions, owner
        )

    def hamilton_population(
        self,
        first: int,
        second: int,
        image: tuple[int, int, int] = (0, 0, 0),
        energies: Array | None = None,
        width: float = 0.1,
    ) -> HamiltonPopulation:
        """Return the crystal orbital Hamilton population of a bond.

        Parameters
        ----------
        first, second:
            Indices of the atoms, from 0.
        image:
            Cell of the second atom.
        energies, width:
            As in ``dos``.
        """
        owner = atom_of_orbital(self.numbers)
        one, other = (torch.nonzero(owner == atom)[:, 0] for atom in (first, second))
        at = torch.as_tensor(usual_energies() if energies is None else energies)
        return hamilton_population(self.mesh, self.real_space, one, other, image, at, width)

    def bonds(self, longest: float = BONDED) -> list[Bond]:
        """Return each pair nearer than ``longest`` (Å) once, with its share of the band energy."""
        found = []
        anywhere = np.zeros(1)
        for i, j, image, distance in zip(*neighbor_list("ijSd", self.atoms, longest), strict=True):
            cell = (int(image[0]), int(image[1]), int(image[2]))
            if (i, j, *cell) > (j, i, *(-c for c in cell)):
                continue
            energy = self.hamilton_population(int(i), int(j), cell, anywhere).integrated
            found.append(Bond(int(i), int(j), cell, float(distance), energy))
        return found

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas table with a row for every atom; needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.sites())

    def sites(self) -> dict[str, list[Any]]:
        """Return the columns, by name, of a table with a row for every atom."""
        populations = self.populations.T.tolist()
        return {
            "atom": list(range(len(self.atoms))),
            "element": list(self.atoms.symbols),
            **dict(zip(("x_A", "y_A", "z_A"), self.atoms.positions.T.tolist(), strict=True)),
            "d_band_centre_eV": self.d_band_centres.tolist(),
            **dict(zip(("s_e", "p_e", "d_e"), populations, strict=True)),
            "charge_e": self.charges.tolist(),
        }

    def __repr__(self) -> str:
        mesh = "×".join(map(str, self.divisions))
        if self.mesh.insulating:
            return f"Crystal({self.atoms.symbols}, {mesh} k points, gap {self.gap:.2f} eV)"
        centres = np.round(self.d_band_centres, 2).tolist()
        said = f"{centres}" if len(centres) <= 8 else f"{centres[:8]} …"
        return f"Crystal({self.atoms.symbols}, {mesh} k points, d-band centres {said} eV)"

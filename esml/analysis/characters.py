"""Character of excited states: natural transition orbitals, charge transfer, nπ* or ππ*, symmetry.

Everything comes from the transition density matrix of a state in the orthonormal minimal basis,

    D = C_o (X + Y) C_vᵀ / |X + Y| ,   rows hole, columns electron.

Its singular value decomposition D = Σ_k √λ_k |h_k⟩⟨e_k| gives the natural transition orbitals [1]
and the participation ratio 1/Σ λ_k², the number of orbital pairs that take part. Summed over atoms
it gives the probability of finding the hole on A and the electron on B [2],

    Ω_AB = Σ_{μ∈A, ν∈B} D_μν² ,   Σ_AB Ω_AB = 1 .

The character comes from projectors onto the π, lone-pair (n) and σ parts of the basis
(``esml.analysis.bonding``): the weight of an n → π* excitation is tr(Pₙ D P_π Dᵀ), and so on. No
orbital has to be picked by hand, and the weights do not depend on how degenerate orbitals are
rotated among each other.

1. R. L. Martin, J. Chem. Phys. 118, 4775 (2003).
2. F. Plasser and H. Lischka, J. Chem. Theory Comput. 8, 2777 (2012).

Shape letters: S states, N atoms, F fragments, n orbitals, o and v occupied and virtual ones.
Energies in eV, lengths in Å.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from esml.analysis.bonding import Bonding, analyze
from esml.analysis.irreps import StateSymmetry, state_symmetries
from esml.analysis.point_group import PointGroup, point_group

Array = NDArray[np.float64]

MOVED = 0.4
"""A state that moves this many electrons between fragments counts as charge transfer."""

LOCAL = 0.6
"""A state counts as local if one fragment holds hole and electron with this probability."""

TAKES_PART = 0.15
"""A fragment is named if this share of hole or electron is on it, or is moved from or to it."""

LONE_PAIR_SHARE = 0.4
"""A hole outside the π system is n, not σ, if lone pairs make up this share of it."""

MIXED = 0.3
"""A second character with this weight or more is named beside the first."""


class MissingWavefunctionsError(ValueError):
    """Raised by results without wave functions for what needs them."""


@dataclass(frozen=True)
class Wavefunctions:
    """Orbitals and amplitudes of the excited states of one molecule and multiplicity."""

    atoms: Atoms  # the molecule
    coefficients: Array  # (n, n) orbitals in columns, orthonormal basis
    orbital_energies: Array  # (n,) eV
    n_occupied: int  # doubly occupied orbitals
    energies: Array  # (S,) excitation energies, eV
    X: Array  # (S, o, v)
    Y: Array  # (S, o, v)

    def __len__(self) -> int:
        return len(self.energies)

    def transition_density(self, state: int) -> Array:
        """Return D (n, n) of ``state`` (from 0), rows hole and columns electron, tr(DᵀD) = 1."""
        amplitudes = self.X[state] + self.Y[state]
        occupied = self.coefficients[:, : self.n_occupied]
        virtual = self.coefficients[:, self.n_occupied :]
        density: Array = occupied @ (amplitudes / np.linalg.norm(amplitudes)) @ virtual.T
        return density

    def natural_orbitals(self, state: int) -> NaturalOrbitals:
        """Return the natural transition orbitals of ``state`` (from 0)."""
        amplitudes = self.X[state] + self.Y[state]
        holes, values, electrons = np.linalg.svd(amplitudes, full_matrices=False)
        return NaturalOrbitals(
            weights=np.square(values) / np.square(values).sum(),
            holes=_fix_sign(self.coefficients[:, : self.n_occupied] @ holes),
            electrons=_fix_sign(self.coefficients[:, self.n_occupied :] @ electrons.T),
        )

    def attachment_detachment(self, state: int) -> tuple[Array, Array]:
        """Return the unrelaxed attachment and detachment densities (n, n) of ``state``.

        A = C_v (XᵀX + YᵀY) C_vᵀ and D = C_o (XXᵀ + YYᵀ) C_oᵀ; the density of the excited state is
        that of the ground state plus A − D, before the orbitals relax.
        """
        x, y = self.X[state], self.Y[state]
        occupied = self.coefficients[:, : self.n_occupied]
        virtual = self.coefficients[:, self.n_occupied :]
        attachment: Array = virtual @ (x.T @ x + y.T @ y) @ virtual.T
        detachment: Array = occupied @ (x @ x.T + y @ y.T) @ occupied.T
        return attachment, detachment


@dataclass(frozen=True)
class NaturalOrbitals:
    """Natural transition orbitals: pairs of hole and electron, by falling weight."""

    weights: Array  # (k,), sum 1
    holes: Array  # (n, k) orbitals the electron leaves; sign arbitrary
    electrons: Array  # (n, k) orbitals it goes to; sign arbitrary

    @property
    def participation(self) -> float:
        """1/Σ λ_k²: 1 for one pair of orbitals, 2 for two of equal weight."""
        return float(1.0 / np.square(self.weights).sum())


@dataclass(frozen=True)
class Character:
    """The character of one excited state."""

    label: str
    """ππ*, nπ*, πσ*, …; " + " joins two where the second has a weight of at least 0.3."""
    weights: dict[str, float]
    """Weight of each kind of excitation, sum 1."""
    participation: float
    """Number of pairs of natural transition orbitals that take part."""
    fragments: tuple[str, ...]
    """Names of the fragments, in the order of ``transfer``."""
    transfer: Array
    """(F, F) Ω: probability of the hole on fragment F (row) and the electron on F' (column)."""
    hole: Array
    """(N,) share of each atom in the hole."""
    electron: Array
    """(N,) share of each atom in the electron."""
    charge_transfer: float
    """Charge-transfer number: probability of hole and electron on different fragments."""
    moved: float
    """Net number of electrons that change fragment, ½ Σ_F |electron_F − hole_F|."""
    centroid_distance: float
    """Distance between the centroids of hole and electron, Å."""
    separation: float
    """Root mean square distance of electron and hole, Å, with atoms as points."""
    kind: Literal["local", "charge transfer", "delocalized"]
    """Whether hole and electron are on one fragment, on several or on different ones."""
    where: str
    """The fragments: ``C6H4``, ``N2 and C6H5``, or ``NH2 and C6H4 → NO2``."""
    donors: tuple[str, ...]
    """Fragments that lose electrons in charge transfer, sorted by the fraction of their hole
    population that they lose, largest first: the donor comes before the bridge. Else empty."""
    acceptors: tuple[str, ...]
    """Fragments that gain electrons, by the fraction of their electron population that is new."""
    symmetry: StateSymmetry
    """Irreducible representation; empty for a molecule without symmetry."""

    @property
    def description(self) -> str:
        """One line: ``ππ*, charge transfer NH2 and C6H4 → NO2, A1``."""
        place = {"local": "on ", "charge transfer": "charge transfer ", "delocalized": "over "}
        parts = [self.label]
        if len(self.fragments) > 1:
            parts.append(place[self.kind] + self.where)
        if self.symmetry.text:
            parts.append(self.symmetry.text)
        return ", ".join(parts)

    def renamed(self, names: Sequence[str]) -> Character:
        """Return a copy with other ``names`` for the fragments, in the same order."""
        kind, where, donors, acceptors = _place(names, self.transfer, self.moved)
        return replace(
            self,
            fragments=tuple(names),
            kind=kind,
            where=where,
            donors=donors,
            acceptors=acceptors,
        )


def characterize(
    states: Wavefunctions,
    fragments: Sequence[Sequence[int]] | None = None,
    *,
    bonding: Bonding | None = None,
    group: PointGroup | None = None,
) -> list[Character]:
    """Return the character of each state: nπ*, charge transfer, natural transition orbitals.

    Parameters
    ----------
    states
        The wave functions of the states.
    fragments
        Lists of atoms, counted from 0; found by ``bonding.analyze`` if None.
    bonding
        The bonds of the molecule; found if None.
    group
        Its point group; found if None.

    Returns
    -------
    One character for each state.

    Raises
    ------
    FragmentError
        If the lists of atoms do not fit the molecule.
    """
    if len(states) == 0:
        return []
    if bonding is None:
        bonding = analyze(states.atoms, states.coefficients, states.n_occupied, fragments)
    group = group or point_group(states.atoms)
    densities = np.stack([states.transition_density(state) for state in range(len(states))])
    symmetries = state_symmetries(group, densities, states.energies, bonding.owner)
    return [
        _character(states.atoms, bonding, density, symmetry)
        for density, symmetry in zip(densities, symmetries, strict=True)
    ]


def _character(
    atoms: Atoms, bonding: Bonding, density: Array, symmetry: StateSymmetry
) -> Character:
    n_atoms = len(atoms)
    belongs = (bonding.owner == np.arange(n_atoms)[:, None]).astype(np.float64)
    omega = belongs @ np.square(density) @ belongs.T
    member = np.zeros((len(bonding.fragments), n_atoms))
    for row, fragment in enumerate(bonding.fragments):
        member[row, list(fragment.atoms)] = 1.0
    transfer = member @ omega @ member.T
    hole, electron = omega.sum(1), omega.sum(0)
    change = transfer.sum(0) - transfer.sum(1)
    moved = 0.5 * float(np.abs(change).sum())
    weights = excitation_weights(bonding, density)
    names = tuple(fragment.name for fragment in bonding.fragments)
    kind, where, donors, acceptors = _place(names, transfer, moved)
    distances = atoms.get_all_distances()
    strengths = np.linalg.svd(density, compute_uv=False) ** 2
    return Character(
        label=_label(weights),
        weights=weights,
        participation=float(1.0 / np.square(strengths).sum()),
        fragments=names,
        transfer=transfer,
        hole=hole,
        electron=electron,
        charge_transfer=float(1.0 - np.trace(transfer)),
        moved=moved,
        centroid_distance=float(np.linalg.norm((electron - hole) @ atoms.positions)),
        separation=float(np.sqrt((omega * np.square(distances)).sum())),
        kind=kind,
        where=where,
        donors=donors,
        acceptors=acceptors,
        symmetry=symmetry,
    )


def excitation_weights(bonding: Bonding, density: Array) -> dict[str, float]:
    """Return the weight tr(P D Q Dᵀ) of each kind of excitation in ``density`` D (n, n), sum 1.

    The hole is π, n or σ, the electron π* or σ*. A hole outside the π system counts as n
    altogether if lone pairs make up at least ``LONE_PAIR_SHARE`` of it, because every lone pair
    mixes with σ bonds.
    """
    electron = {"π*": density @ bonding.pi, "σ*": density - density @ bonding.pi}
    weights: dict[str, float] = {}
    for target, part in electron.items():
        total = float(np.square(part).sum())
        pi = float(np.square(bonding.pi @ part).sum())
        lone = float(np.square(bonding.lone_pairs @ part).sum())
        rest = total - pi
        origin = "n" if lone >= LONE_PAIR_SHARE * rest else "σ"
        weights |= {f"π{target}": pi, f"n{target}": 0.0, f"σ{target}": 0.0}
        weights[origin + target] = rest
    return weights


def _label(weights: dict[str, float]) -> str:
    ranked = sorted(weights, key=lambda kind: -weights[kind])
    return " + ".join(kind for i, kind in enumerate(ranked) if i == 0 or weights[kind] >= MIXED)


def _place(
    names: Sequence[str], transfer: Array, moved: float
) -> tuple[
    Literal["local", "charge transfer", "delocalized"], str, tuple[str, ...], tuple[str, ...]
]:
    """Kind, place in words, donors and acceptors."""
    hole, electron = transfer.sum(1), transfer.sum(0)
    if moved >= MOVED:
        donors = _movers(names, hole, electron)
        acceptors = _movers(names, electron, hole)
        return "charge transfer", f"{_listed(donors)} → {_listed(acceptors)}", donors, acceptors
    largest = int(np.diag(transfer).argmax())
    if transfer[largest, largest] >= LOCAL:
        return "local", names[largest], (), ()
    share = np.maximum(electron, hole)
    # Equivalent fragments, equal to within a percent, keep the order of their atoms.
    ranked = np.argsort(-np.round(share, 2), kind="stable")
    taking = [names[i] for rank, i in enumerate(ranked) if rank == 0 or share[i] >= TAKES_PART]
    return "delocalized", _listed(taking), (), ()


def _movers(names: Sequence[str], before: Array, after: Array) -> tuple[str, ...]:
    """Fragments whose share falls from ``before`` to ``after``, by the fraction they lose."""
    change = before - after
    moving = [i for i in range(len(names)) if change[i] >= min(TAKES_PART, change.max())]
    return tuple(
        names[i] for i in sorted(moving, key=lambda i: round(float(after[i] / before[i]), 2))
    )


def _listed(names: Sequence[str]) -> str:
    """Join names in a sentence, equal groups only once: ``azo and phenyl (C1, C9)``."""
    atoms: dict[str, list[str]] = {}
    for name in names:
        group, _, atom = name.rstrip(")").rpartition("(") if name.endswith(")") else (name, "", "")
        atoms.setdefault(group, []).append(atom)
    names = [f"{group}({', '.join(of)})" if any(of) else group for group, of in atoms.items()]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _fix_sign(orbitals: Array) -> Array:
    """Orbitals (n, k) with the sign that makes their largest coefficient positive."""
    largest = np.abs(orbitals).argmax(0)
    signs = np.sign(orbitals[largest, np.arange(orbitals.shape[1])])
    return orbitals * np.where(signs == 0.0, 1.0, signs)

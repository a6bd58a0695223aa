"""What an excited state is: natural transition orbitals, charge transfer, character, symmetry.

Everything comes from the transition density matrix of a state in the orthonormal minimal basis,

    D = C_o (X + Y) C_vᵀ / |X + Y| ,   rows hole, columns electron.

Its singular value decomposition D = Σ_k √λ_k |h_k⟩⟨e_k| gives the natural transition orbitals [1]
and the participation ratio 1/Σ λ_k², the number of orbital pairs that take part. Summed over atoms
it gives the probability to find the hole on A and the electron on B [2],

    Ω_AB = Σ_{μ∈A, ν∈B} D_μν² ,   Σ_AB Ω_AB = 1 .

Character is told by projectors onto the π, lone-pair (n) and σ parts of the basis
(``esml.analysis.bonding``): the weight of an n → π* excitation is tr(Pₙ D P_π Dᵀ), and so on. No
orbital has to be picked by hand, and the weights do not depend on the choice of axes in degenerate
sets.

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
"""Electrons moved between fragments from which a state counts as charge transfer."""

LOCAL = 0.6
"""Share of the excitation with hole and electron on one fragment from which it counts as local."""

TAKES_PART = 0.15
"""Share of hole or electron, or of what is moved, from which a fragment is named."""

LONE_PAIR_SHARE = 0.4
"""Share of the lone pairs in a hole outside the π system from which it is n, not σ."""

MIXED = 0.3
"""Weight from which a second character is named beside the first."""


class MissingWavefunctionsError(ValueError):
    """A question about wave functions put to a result that carries none."""


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
        """D (n, n) of ``state`` (from 0), rows hole and columns electron, tr(DᵀD) = 1."""
        amplitudes = self.X[state] + self.Y[state]
        occupied = self.coefficients[:, : self.n_occupied]
        virtual = self.coefficients[:, self.n_occupied :]
        density: Array = occupied @ (amplitudes / np.linalg.norm(amplitudes)) @ virtual.T
        return density

    def natural_orbitals(self, state: int) -> NaturalOrbitals:
        """The natural transition orbitals of ``state`` (from 0)."""
        amplitudes = self.X[state] + self.Y[state]
        holes, values, electrons = np.linalg.svd(amplitudes, full_matrices=False)
        return NaturalOrbitals(
            weights=np.square(values) / np.square(values).sum(),
            holes=_fix_sign(self.coefficients[:, : self.n_occupied] @ holes),
            electrons=_fix_sign(self.coefficients[:, self.n_occupied :] @ electrons.T),
        )

    def attachment_detachment(self, state: int) -> tuple[Array, Array]:
        """Density matrices (n, n) of what ``state`` gains and what it loses, unrelaxed.

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
    """Pairs of orbitals, by falling weight, between which an excitation takes place."""

    weights: Array  # (k,), sum 1
    holes: Array  # (n, k) where the electron comes from; sign arbitrary
    electrons: Array  # (n, k) where it goes; sign arbitrary

    @property
    def participation(self) -> float:
        """1/Σ λ_k²: 1 for one pair of orbitals, 2 for two of equal weight."""
        return float(1.0 / np.square(self.weights).sum())


@dataclass(frozen=True)
class Character:
    """What one excited state is."""

    label: str
    """ππ*, nπ*, πσ*, …; two, joined by " + ", where both have a weight of at least 0.3."""
    weights: dict[str, float]
    """Weight of every kind of excitation, sum 1."""
    participation: float
    """Natural-transition-orbital pairs that take part."""
    fragments: tuple[str, ...]
    """Names of the fragments, in the order of ``transfer``."""
    transfer: Array
    """(F, F) Ω: probability of the hole on the row's and the electron on the column's fragment."""
    hole: Array
    """(N,) share of each atom in the hole."""
    electron: Array
    """(N,) share of each atom in the electron."""
    charge_transfer: float
    """Charge-transfer number: probability of hole and electron on different fragments."""
    moved: float
    """Electrons that change fragment on balance, ½ Σ_F |electron_F − hole_F|."""
    centroid_distance: float
    """Å between the centroids of hole and electron."""
    separation: float
    """Å, root mean square distance of electron and hole, atoms as points."""
    kind: Literal["local", "charge transfer", "delocalized"]
    """Whether hole and electron share fragments, and how many."""
    where: str
    """The fragments: ``C6H4``, ``N2 and C6H5``, or ``NH2 and C6H4 → NO2``."""
    donors: tuple[str, ...]
    """Fragments that lose electrons in charge transfer, sorted by the fraction of their hole
    population that they lose: the ends of a donor–bridge–acceptor chain come first. Else empty."""
    acceptors: tuple[str, ...]
    """Fragments that gain electrons, those first whose share of the electron is newest."""
    symmetry: StateSymmetry
    """Irreducible representation, where the molecule has a symmetry."""

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
        """The same with other ``names`` of the fragments, in the same order."""
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
    """Say what each state is: nπ*, charge transfer, natural transition orbitals.

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
        For lists of atoms that do not fit the molecule.
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
    """Weights tr(P D Q Dᵀ) of the kinds of excitation in ``density`` D (n, n); their sum is 1.

    The hole is π, n or σ, the electron π* or σ*. A hole outside the π system is n as a whole where
    lone pairs make up at least ``LONE_PAIR_SHARE`` of it, for no lone pair is free of σ bonds.
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
    """Kind, sentence, donors and acceptors."""
    hole, electron = transfer.sum(1), transfer.sum(0)
    if moved >= MOVED:
        donors = _movers(names, hole, electron)
        acceptors = _movers(names, electron, hole)
        return "charge transfer", f"{_listed(donors)} → {_listed(acceptors)}", donors, acceptors
    largest = int(np.diag(transfer).argmax())
    if transfer[largest, largest] >= LOCAL:
        return "local", names[largest], (), ()
    share = np.maximum(electron, hole)
    # Equivalent fragments, equal to a percent, in the order of their atoms.
    ranked = np.argsort(-np.round(share, 2), kind="stable")
    taking = [names[i] for rank, i in enumerate(ranked) if rank == 0 or share[i] >= TAKES_PART]
    return "delocalized", _listed(taking), (), ()


def _movers(names: Sequence[str], before: Array, after: Array) -> tuple[str, ...]:
    """Fragments whose share falls from ``before`` to ``after``, by how much of it goes."""
    change = before - after
    moving = [i for i in range(len(names)) if change[i] >= min(TAKES_PART, change.max())]
    return tuple(
        names[i] for i in sorted(moving, key=lambda i: round(float(after[i] / before[i]), 2))
    )


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence, those told apart by an atom as one: ``azo and phenyl (C1, C9)``."""
    atoms: dict[str, list[str]] = {}
    for name in names:
        group, _, atom = name.rstrip(")").rpartition("(") if name.endswith(")") else (name, "", "")
        atoms.setdefault(group, []).append(atom)
    names = [f"{group}({', '.join(of)})" if any(of) else group for group, of in atoms.items()]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _fix_sign(orbitals: Array) -> Array:
    """Orbitals (n, k) with their largest coefficient positive."""
    largest = np.abs(orbitals).argmax(0)
    signs = np.sign(orbitals[largest, np.arange(orbitals.shape[1])])
    return orbitals * np.where(signs == 0.0, 1.0, signs)

"""Energies from better levels than TDDFT, and their assignment to predicted states.

QUEST MAIN gives best estimates of valence states (see ``scripts.accuracy.quest``), QM8 the two
lowest singlets at RI-CC2/def2-TZVP beside those at CAM-B3LYP/def2-TZVP, and a set of azulenes S1
and T1 at ADC(2)/cc-pVDZ, which is for validation only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from esml.io.records import iterate
from esml.io.structure_checks import StructureError, check_structure
from scripts.accuracy import quest
from scripts.stores import opened

Source = Literal["quest", "cc2", "adc2"]
Array = NDArray[np.float64]

HIGHEST = 6.5
"""Highest energy (eV) to use; higher CC2 singlets are mostly Rydberg or σ states, which a minimal
basis cannot hold."""

SAME_ENERGY, SAME_AMPLITUDE = 0.35, 0.15
"""Largest deviations from CAM-B3LYP in energy (eV) and in the root of the strength at which a
predicted state counts as the state in QM8."""

LARGEST_CHANGE = 0.8
"""Largest difference (eV) of CC2 and CAM-B3LYP at which both count as the same state."""

STRENGTH_COUNTS = 4.0
"""Weight (eV²) of a difference of 1 between roots of strengths when states are assigned."""

ALIKE = {"npi": ("npi", "nspi", "spi"), "ppi": ("ppi",)}
"""Types of listed states with holes in and off the plane, of those whose electron is off it."""

PLANAR = 0.1
"""Largest distance (Å) of an atom from the plane of a planar molecule."""


@dataclass(frozen=True)
class Better:
    """A molecule with energies from a better level, singlets and triplets in ascending order."""

    name: str
    atoms: Atoms
    source: Source
    group: str  # molecules of one group are on the same side of a split
    content: Any  # data of the source on the states


@dataclass(frozen=True)
class Predicted:
    """Predicted states of one molecule and multiplicity, ascending."""

    energies: Array  # (S,) eV
    strengths: Array  # (S,)
    pi: NDArray[np.bool_] | None  # (S, 2) are hole and electron π? None unless planar


@dataclass(frozen=True)
class TargetState:
    """The energy that a predicted state should have."""

    triplet: bool
    state: int  # index among the predicted states, ascending
    energy: float  # eV
    kind: str  # npi, ppi or unknown


def read_quest(path: Path) -> list[Better]:
    """Read the neutral molecules of QUEST MAIN."""
    return [Better(m.name, m.atoms, "quest", m.name, m) for m in quest.load(path)]


def read_azulenes(path: Path) -> list[Better]:
    """Read the aza-azulenes at ADC(2)/cc-pVDZ."""
    return [
        Better(str(entry["id"]), _atoms(entry), "adc2", str(entry["id"]), entry["adc2"])
        for entry in _lines(path)
    ]


def read_records(path: Path) -> list[Better]:
    """Read the neutral molecules of a data set with the lowest valence states of the labels."""
    return [
        Better(
            r.key,
            Atoms(r.numbers, positions=r.positions, info={"charge": 0}),
            "adc2",
            r.key,
            {
                "s1_eV": float(
                    r.singlet_energies[r.singlet_valence_weights >= quest.LEAST_WEIGHT][0]
                ),
                "t1_eV": float(r.triplet_energies[0]),
            },
        )
        for r in iterate(path)
        if r.charge == 0
    ]


def read_qm8(path: Path, seed: int = 0) -> list[Better]:
    """Read unsaturated molecules of QM8 with the same valence S1 at both levels, shuffled.

    The group is the Murcko scaffold, or for open chains the elements.
    """
    found = []
    for entry in _lines(path):
        cc2, tddft = entry["cc2"]["energies_eV"], entry["camb3lyp"]["energies_eV"]
        group = _scaffold(entry["smiles"])
        if group is None or not _comparable(cc2[0], tddft[0]):
            continue
        found.append(Better(f"qm8-{entry['id']}", _atoms(entry), "cc2", group, entry))
    order = np.random.default_rng(seed).permutation(len(found))
    return [found[k] for k in order]


def usable(molecules: Sequence[Better]) -> list[Better]:
    """Return the ``molecules`` that the model accepts; print those that it refuses."""
    kept = []
    for molecule in molecules:
        try:
            check_structure(molecule.atoms)
        except StructureError as error:
            print(f"{molecule.name} left out: {error}")
        else:
            kept.append(molecule)
    return kept


def held_out(molecule: Better) -> bool:
    """Whether the group of ``molecule`` belongs to the fifth that is kept for testing."""
    return int(hashlib.sha256(molecule.group.encode()).hexdigest(), 16) % 5 == 0


def targets(molecule: Better, singlets: Predicted, triplets: Predicted) -> Iterator[TargetState]:
    """Yield target energies of the better level for the predicted states of ``molecule``."""
    if molecule.source == "quest":
        yield from _quest_targets(molecule.content, singlets, triplets)
    elif molecule.source == "adc2":
        yield TargetState(False, 0, molecule.content["s1_eV"], "unknown")
        yield TargetState(True, 0, molecule.content["t1_eV"], "unknown")
    else:
        yield from _qm8_targets(molecule.content, singlets)


def _quest_targets(
    molecule: quest.BenchmarkMolecule, singlets: Predicted, triplets: Predicted
) -> Iterator[TargetState]:
    for multiplicity, predicted in ((1, singlets), (3, triplets)):
        distinct = _distinct(molecule, predicted)
        listed = quest.listed(molecule, multiplicity)
        for kind in quest.SCORED:
            if predicted.pi is None:
                pairs = list(zip(listed, distinct, strict=False))
            else:  # by character: the k-th nπ* states match, whatever lies between
                hole_is_pi = kind == "ppi"
                alike = [s for s in listed if s["type"].strip() in ALIKE[kind]]
                places = [
                    p
                    for p in distinct
                    if predicted.pi[p, 1] and bool(predicted.pi[p, 0]) == hole_is_pi
                ]
                pairs = _assigned(alike, places, predicted)
            for state, place in pairs:
                if state["kind"] == "V" and state["type"].strip() == kind:
                    yield TargetState(multiplicity == 3, place, float(state["tbe_avtz_eV"]), kind)


def _assigned(
    states: Sequence[dict[str, Any]], places: Sequence[int], predicted: Predicted
) -> list[tuple[dict[str, Any], int]]:
    """Assign each of ``states`` to one of ``places``.

    The order is ascending, unless the strengths are listed and agree better in another order.
    """
    n = min(len(states), len(places))
    apart = np.zeros((n, n))
    for i, state in enumerate(states[:n]):
        strength = state.get("f_lr_cc3")
        for j, place in enumerate(places[:n]):
            apart[i, j] = (predicted.energies[place] - float(state["tbe_avtz_eV"])) ** 2
            if strength is not None:
                root = max(float(strength), 0.0) ** 0.5
                apart[i, j] += STRENGTH_COUNTS * (predicted.strengths[place] ** 0.5 - root) ** 2
    return [(states[i], places[j]) for i, j in zip(*linear_sum_assignment(apart), strict=True)]


def _distinct(molecule: quest.BenchmarkMolecule, predicted: Predicted) -> list[int]:
    """Return indices of the predicted states, one of each degenerate set."""
    places = list(range(len(predicted.energies)))
    if not quest.may_be_degenerate(molecule.atoms):
        return places
    gaps = np.diff(predicted.energies, prepend=-np.inf)
    return [p for p in places if gaps[p] >= quest.DEGENERATE]


def _qm8_targets(entry: dict[str, Any], singlets: Predicted) -> Iterator[TargetState]:
    """Yield the k-th state as long as all lower states are the same at all three levels."""
    tddft, cc2 = entry["camb3lyp"], entry["cc2"]
    for k in range(min(2, len(singlets.energies))):
        energy, better = tddft["energies_eV"][k], cc2["energies_eV"][k]
        amplitude = max(tddft["oscillator_strengths"][k], 0.0) ** 0.5
        if (
            not _comparable(better, energy)
            or abs(singlets.energies[k] - energy) > SAME_ENERGY
            or abs(singlets.strengths[k] ** 0.5 - amplitude) > SAME_AMPLITUDE
        ):
            return
        yield TargetState(False, k, better, "unknown")


def _comparable(cc2: float, tddft: float) -> bool:
    return max(cc2, tddft) < HIGHEST and abs(cc2 - tddft) < LARGEST_CHANGE


def plane_normal(atoms: Atoms) -> Array | None:
    """Return the unit normal of a planar, not linear molecule; None for others."""
    centred = atoms.positions - atoms.positions.mean(0)
    if len(atoms) < 3:
        return None
    _, size, axes = np.linalg.svd(centred, full_matrices=False)
    normal: Array = axes[2]
    planar = np.abs(centred @ normal).max() < PLANAR and size[1] > 0.5
    return normal if planar else None


def _scaffold(smiles: str) -> str | None:
    """Return the group of a molecule; None if it is saturated or RDKit cannot read it."""
    from rdkit import Chem
    from rdkit.Chem.Scaffolds import MurckoScaffold

    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or all(b.GetBondTypeAsDouble() == 1 for b in molecule.GetBonds()):
        return None
    core: Any = MurckoScaffold
    scaffold = Chem.MolToSmiles(core.GetScaffoldForMol(molecule))
    return scaffold or "open " + "".join(sorted(a.GetSymbol() for a in molecule.GetAtoms()))


def _lines(path: Path) -> Sequence[dict[str, Any]]:
    with opened(path) as file:
        return [json.loads(line) for line in file]


def _atoms(entry: dict[str, Any]) -> Atoms:
    return Atoms(entry["symbols"], positions=entry["positions_angstrom"], info={"charge": 0})

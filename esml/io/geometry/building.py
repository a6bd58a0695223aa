"""Make geometries for SMILES and drawings: conformers, relaxed with GFN2-xTB or MMFF94.

    graph → stereoisomers → conformers (ETKDG) → coarse relaxation → the lowest, relaxed

The model was trained on minima of GFN2-xTB, and force fields are no substitute: MMFF94 twists
azobenzene by 60°. The relaxation starts from conformers of ETKDG, which uses torsions from crystal
structures, both as they are and with planar torsions between conjugated parts; MMFF94 only ranks
them. Molecules of a salt or complex are relaxed separately and placed apart, because in vacuum
their ions would react.

Results depend only on the molecule and on ``Settings``. RDKit and tblite are needed, but optional
dependencies. xTB must run on one thread (``OMP_NUM_THREADS=1``), because on busy machines it is
slower by orders of magnitude on more: ``esml.io.geometry.workers`` ensures that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, vdw_radii

from esml.io.geometry.embedding import (
    SETTINGS,
    Array,
    Candidate,
    Mol,
    Settings,
    alike,
    candidates_of,
    is_large,
    planar_copy,
    same_bonds,
)
from esml.io.geometry.relaxation import has_xtb, relaxed
from esml.io.provenance import InputError, too_large
from esml.io.structure_checks.molecules import other_model

ENSEMBLE = replace(SETTINGS, conformers=100)
"""Settings for conformer ensembles."""

CLOSE = 0.1
"""eV; if a planar and a twisted candidate are this close, both are fully relaxed."""

BOLTZMANN = 8.617333262e-5 * 298.15
"""k_B T at 298.15 K, eV."""


@dataclass(frozen=True)
class Built:
    """A geometry, and the decisions made to build it."""

    atoms: Atoms
    charge: int
    geometry: str
    stereo: str = ""
    fragments: str = ""
    notes: tuple[str, ...] = ()
    weight: float = 1.0
    """Boltzmann weight in an ensemble."""

    def plain(self) -> dict[str, Any]:
        """Return JSON-serializable data, for ``of_plain``."""
        masses = self.atoms.get_masses() if self.atoms.has("masses") else None
        return {
            "numbers": self.atoms.numbers.tolist(),
            "positions": self.atoms.positions.tolist(),
            "masses": None if masses is None else masses.tolist(),
            "charge": self.charge,
            "geometry": self.geometry,
            "stereo": self.stereo,
            "fragments": self.fragments,
            "notes": list(self.notes),
            "weight": self.weight,
        }

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> Self:
        """Invert ``plain``."""
        rest = dict(plain)
        atoms = Atoms(rest.pop("numbers"), np.array(rest.pop("positions")).reshape(-1, 3))
        if (masses := rest.pop("masses")) is not None:
            atoms.set_masses(masses)
        return cls(atoms, **{**rest, "notes": tuple(rest["notes"])})


def from_smiles(smiles: str, settings: Settings = SETTINGS) -> Built:
    """Make a geometry of the molecule or molecules of ``smiles``.

    Raises InputError for text that is not a SMILES, an element that is not among
    ``settings.elements``, radicals, and molecules that cannot be embedded.
    """
    return from_graph(parse_smiles(smiles), smiles, settings)


def parse_smiles(smiles: str) -> Mol:
    """Return the RDKit molecule of ``smiles``, without hydrogens. Raises InputError."""
    try:
        from rdkit import Chem, rdBase
    except ImportError as error:
        raise InputError(
            f"'{smiles}' is not an existing file, and reading it as SMILES needs RDKit: "
            'pip install "esml[smiles]"'
        ) from error
    with rdBase.BlockLogs():
        mol: Mol = Chem.MolFromSmiles(smiles)
    if mol is None or mol.GetNumAtoms() == 0:
        raise InputError(
            f"'{smiles}' is neither an existing file nor a SMILES that RDKit can read: "
            "check the path or the SMILES"
        )
    return mol


def from_graph(mol: Mol, name: str, settings: Settings = SETTINGS) -> Built:
    """Make a geometry of the molecular graph ``mol``; see ``from_smiles``."""
    n_atoms = sum(1 + atom.GetTotalNumHs() for atom in mol.GetAtoms())
    if refusal := too_large(n_atoms, settings.most_atoms):
        raise refusal
    parts, fragments = _fragments(mol, name, settings)
    built = [_single(part, name, settings) for part in parts]
    if len(built) == 1:
        return replace(built[0], fragments=fragments)
    return Built(
        atoms=_apart([one.atoms for one in built], settings.gap),
        charge=sum(one.charge for one in built),
        geometry=", ".join(dict.fromkeys(one.geometry for one in built)),
        stereo="; ".join(dict.fromkeys(one.stereo for one in built if one.stereo)),
        fragments=fragments,
        notes=tuple(dict.fromkeys(note for one in built for note in one.notes)),
    )


def ensemble(smiles: str, n: int, settings: Settings = ENSEMBLE) -> list[Built]:
    """Return up to ``n`` conformers, lowest first, with Boltzmann weights at 298.15 K.

    Energies are from GFN2-xTB (or MMFF94, depending on the settings), without zero-point and
    thermal vibrations. Raises InputError as in ``from_smiles``, and for several molecules.
    """
    parts, fragments = _fragments(parse_smiles(smiles), smiles, settings)
    if len(parts) > 1:
        raise InputError(
            f"'{smiles}' is {len(parts)} molecules where one is expected for an ensemble of "
            "conformers; leave --conformers out or add --largest-fragment"
        )
    candidates, stereo = candidates_of(parts[0], smiles, settings)
    method = _method(candidates[0].mol, settings)
    first = _best(candidates, method, settings)
    same = sorted((c for c in candidates if c.isomer == first.isomer), key=lambda c: c.order)
    others = [_relax(c, method, settings.force, settings.steps) for c in same[: 3 * n]]
    down = [first, *(c for c in others if not c.reacted)]
    kept: list[Candidate] = []
    for candidate in sorted(down, key=lambda c: c.energy):
        if len(kept) < n and not any(alike(candidate, other) for other in kept):
            kept.append(candidate)
    weights = np.exp([-(c.energy - kept[0].energy) / BOLTZMANN for c in kept])
    weights /= weights.sum()
    return [
        replace(_built(c, method, stereo), fragments=fragments, weight=float(w))
        for c, w in zip(kept, weights, strict=True)
    ]


def relax_atoms(atoms: Atoms, charge: int, settings: Settings = SETTINGS) -> tuple[Atoms, str]:
    """Relax ``atoms`` with GFN2-xTB from their positions; return them with a remark.

    Raises InputError without tblite, or if xTB does not converge.
    """
    positions, _, converged = relaxed(
        atoms.numbers, atoms.positions, charge, settings.force, settings.steps
    )
    found = atoms.copy()
    found.positions = positions
    how = "relaxed with GFN2-xTB from the coordinates of the file"
    return found, how if converged else f"{how}, not converged in {settings.steps} steps"


# --- molecules of a record ------------------------------------------------------------------------


def _fragments(mol: Mol, name: str, settings: Settings) -> tuple[list[Mol], str]:
    """The molecules of ``mol`` to build, and a remark on them."""
    from rdkit.Chem import GetFormalCharge, GetMolFrags
    from rdkit.Chem.rdMolDescriptors import CalcMolFormula

    parts: list[Mol] = list(GetMolFrags(mol, asMols=True))
    said = ""
    if len(parts) > 1 and settings.largest_fragment:
        chosen = max(parts, key=lambda part: part.GetNumHeavyAtoms())
        others = ", ".join(CalcMolFormula(part) for part in parts if part is not chosen)
        said = f"the largest of {len(parts)} molecules is kept, without {others}"
        parts = [chosen]
    elif len(parts) > 1:
        formulas = ", ".join(CalcMolFormula(part) for part in parts)
        said = f"{len(parts)} molecules ({formulas}) are placed apart, each relaxed by itself"
        if any(GetFormalCharge(part) for part in parts):
            said += "; --largest-fragment keeps the largest alone"
    for part in parts:
        _check_graph(part, name, settings.elements)
    return parts, said


def _check_graph(mol: Mol, name: str, elements: Sequence[int]) -> None:
    """Refuse unsupported elements and radicals before any work is done."""
    for atom in mol.GetAtoms():
        if elements and atom.GetAtomicNum() not in elements:
            known = " ".join(chemical_symbols[z] for z in elements)
            raise InputError(
                f"'{name}' holds {atom.GetSymbol()}, an element the model does not know; it knows "
                f"{known}: {other_model(atom.GetAtomicNum())}remove or replace the atom"
            )
        # Two unpaired electrons on one atom are a carbene, whose singlet is a closed shell.
        if atom.GetNumRadicalElectrons() % 2:
            raise InputError(
                f"'{name}' is a radical (an unpaired electron on {atom.GetSymbol()}, atom "
                f"{atom.GetIdx()}) where a closed shell is expected: open shells cannot be "
                "treated; fix the SMILES if it is none"
            )


def _single(mol: Mol, name: str, settings: Settings) -> Built:
    candidates, stereo = candidates_of(mol, name, settings)
    method = _method(candidates[0].mol, settings)
    best = _best(candidates, method, settings)
    if best.reacted:
        # Zwitterions do, too; they are used as drawn.
        best = _by_force_field(best)
        method = _method(best.mol, replace(settings, geometry="mmff"))
        note = "GFN2-xTB changes the bonds of this molecule in vacuum, so it is not used"
        method = replace(method, notes=(*method.notes, note))
    return _built(best, method, stereo)


def _built(candidate: Candidate, method: _Method, stereo: str) -> Built:
    from rdkit import Chem

    mol = candidate.mol
    atoms = Atoms([atom.GetAtomicNum() for atom in mol.GetAtoms()], candidate.positions)
    notes = method.notes
    if any(atom.GetIsotope() for atom in mol.GetAtoms()):
        atoms.set_masses([atom.GetMass() for atom in mol.GetAtoms()])
        notes = (*notes, "isotopes are read as their elements")
    if not candidate.converged:
        notes = (*notes, "the relaxation of the geometry did not converge")
    if stereo and candidate.isomer >= 0:
        label = Chem.MolToSmiles(Chem.RemoveHs(mol))
        stereo = f"{stereo}: {label}"
    charge = int(Chem.GetFormalCharge(mol))
    return Built(atoms, charge, method.said, stereo, notes=notes)


def _apart(molecules: Sequence[Atoms], gap: float) -> Atoms:
    """Molecules side by side along x, ``gap`` (Å) between their van der Waals surfaces."""
    placed: Atoms = molecules[0].copy()
    for other in molecules[1:]:
        moved = other.copy()
        moved.positions += placed.positions.mean(axis=0) - moved.positions.mean(axis=0)
        reach = _radii(placed.numbers)[:, None] + _radii(moved.numbers)[None, :] + gap
        delta = placed.positions[:, None] - moved.positions[None, :]
        # Each pair must be ``reach`` apart: take the smallest shift that achieves it for all.
        across = (delta[..., 1:] ** 2).sum(axis=-1)
        needed = delta[..., 0] + np.sqrt(np.maximum(reach**2 - across, 0.0))
        needed[across >= reach**2] = -np.inf
        moved.positions[:, 0] += max(float(needed.max()), 0.0)
        placed += moved
    placed.positions -= placed.positions.mean(axis=0)
    return placed


def _radii(numbers: Any) -> Array:
    radii = vdw_radii[numbers]
    return np.where(np.isnan(radii), 2.0, radii)


def _best(candidates: list[Candidate], method: _Method, settings: Settings) -> Candidate:
    """The lowest candidate: the most promising are relaxed coarsely, the best of them fully."""
    if settings.draft:
        return next(iter(planar_copy(candidates[0])), candidates[0])
    if not method.xtb:
        return candidates[0]
    isomers = sorted({c.isomer for c in candidates})
    # Force fields misjudge E and Z, so every isomer is tried.
    n_atoms = candidates[0].mol.GetNumAtoms()
    tries = settings.tried * min(1.0, settings.small / n_atoms)
    share = max(1, int(tries) // len(isomers))
    tried = []
    for isomer in isomers:
        mine = [c for c in candidates if c.isomer == isomer]
        tried += [*mine[:share], *planar_copy(mine[0])]
    if len(tried) > 1:
        tried = [_relax(c, method, settings.coarse_force, settings.coarse_steps) for c in tried]
    finalists = [
        min(those, key=lambda c: c.energy + c.bias)
        for planar in (True, False)
        if (those := [c for c in tried if c.planar is planar])
    ]
    finalists.sort(key=lambda c: c.energy + c.bias)
    down = [
        _relax(c, method, settings.force, settings.steps)
        for c in finalists
        if c.energy + c.bias < finalists[0].energy + finalists[0].bias + CLOSE
    ]
    return min(down, key=lambda c: c.energy + c.bias - c.planar * settings.prefer_planar)


# --- relaxation -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Method:
    """Method that relaxes a molecule, and its description."""

    xtb: bool
    said: str
    notes: tuple[str, ...] = ()


def _method(mol: Mol, settings: Settings) -> _Method:
    from rdkit.Chem import rdForceFieldHelpers

    if mol.GetNumAtoms() == 1:
        return _Method(False, "a single atom")
    field = bool(rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol))
    fallback = "conformer of ETKDG, relaxed with MMFF94" if field else "conformer of ETKDG"
    if settings.geometry == "mmff":
        unknown = ("MMFF94 does not know this molecule: the conformer is not relaxed",)
        return _Method(False, fallback, () if field else unknown)
    if settings.draft:
        return _Method(False, f"draft: {fallback}, conjugated torsions planar")
    if is_large(mol, settings):
        return _Method(
            False,
            fallback,
            (f"{mol.GetNumAtoms()} atoms are too many to relax the geometry with GFN2-xTB",),
        )
    if not has_xtb():
        return _Method(
            False,
            fallback,
            (
                "the geometry is not relaxed with GFN2-xTB, because tblite is missing (pip install "
                '"esml[smiles]"): excitation energies may be off by some tenths of an eV',
            ),
        )
    return _Method(True, "lowest conformer found, relaxed with GFN2-xTB")


def _relax(candidate: Candidate, method: _Method, force: float, steps: int) -> Candidate:
    """Relax ``candidate`` with GFN2-xTB; unchanged if another method is requested.

    If bonds change, it is no longer the requested molecule; then the geometry before is kept.
    """
    if not method.xtb:
        return candidate
    from rdkit import Chem

    mol = candidate.mol
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    charge = int(Chem.GetFormalCharge(mol))
    places, energy, converged = relaxed(numbers, candidate.positions, charge, force, steps)
    if not same_bonds(mol, places):
        # Rank it after all that keep their bonds.
        return replace(candidate, energy=energy + 1e3, reacted=True)
    return replace(candidate, positions=places, energy=energy, converged=converged)


def _by_force_field(candidate: Candidate) -> Candidate:
    """Relax ``candidate`` with MMFF94, if that has parameters for the molecule."""
    from rdkit import Chem
    from rdkit.Chem import rdForceFieldHelpers

    mol = Chem.Mol(candidate.mol, False, candidate.mol.GetConformers()[0].GetId())
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        return candidate
    mol.GetConformer().SetPositions(np.ascontiguousarray(candidate.positions))
    rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=2000)
    return replace(candidate, positions=np.array(mol.GetConformer().GetPositions()))

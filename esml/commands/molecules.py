"""Read the molecule that a user names, predict it, and describe the choices made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from esml.commands.messages import SOME_FAILED, note, refusing, working

if TYPE_CHECKING:
    from esml.io.comparison import Comparison
    from esml.io.structures import ReadingOptions, Structure
    from esml.predict.surrogate import Surrogate
    from esml.results import Result


def one_structure(text: str, index: int | None, options: ReadingOptions) -> Structure:
    """Read the molecule that the user names by a file or a SMILES."""
    from esml.io.paths import looks_like_file
    from esml.io.structures import InputError, from_smiles, read_structure

    with refusing(InputError):
        if looks_like_file(text):
            with working("reading the structure"):
                structure = read_structure(Path(text), index, options)
            if index is None and structure.index > 0:
                note(
                    f"note: '{text}' holds {structure.index + 1} structures; this is the last "
                    "(--index chooses another, esml predict takes all)"
                )
        else:
            with working("making a geometry of the SMILES"):
                structure = from_smiles(text, options)
    return structure


IN_SOLVENT = "non-equilibrium absorption; ± does not include the error of the solvent model"
"""Assumptions for a molecule in a solvent."""

AMONG_CHARGES = "fixed charges, not polarized by the molecule; ± does not include their error"
"""Assumptions for a molecule among point charges."""


def decisions(structure: Structure) -> list[tuple[str, str]]:
    """List charge, geometry, medium and remarks in readable form."""
    from esml.io.structure_checks import molecular_charge
    from esml.io.surroundings import surroundings_of

    told = structure.provenance
    charge = f"{molecular_charge(structure.atoms):+d}".replace("+0", "0")
    found = [("charge", f"{charge} ({told.charge_source})"), ("geometry", told.geometry)]
    around = surroundings_of(structure.atoms)
    if around.solvent is not None:
        found.append(("solvent", f"{around.solvent}; {IN_SOLVENT}"))
    if around.point_charges is not None:
        said = f"{around.point_charges}, the nearest {around.nearest:.2f} Å from an atom"
        found.append(("surroundings", f"{said}; {AMONG_CHARGES}"))
    return found + [("note", remark) for remark in told.remarks()]


def predict_one(surrogate: Surrogate, structure: Structure, n_states: int) -> Result:
    """Predict one structure; end the command if that fails."""
    from esml.io.provenance import SurroundingsError
    from esml.io.structure_checks import StructureError
    from esml.physics.excitations import InstabilityError

    refused = refusing(StructureError, SurroundingsError)
    with refused, refusing(InstabilityError, code=SOME_FAILED), working("predicting"):
        return surrogate.predict(structure.atoms, n_states=n_states)


def other_molecule(structure: Structure, comparison: Comparison | None) -> tuple[str, ...]:
    """Return a warning if the reference calculation is of another molecule."""
    from esml.io.structure_checks import molecular_charge

    atoms = structure.atoms
    said = comparison and comparison.differs(atoms.get_chemical_formula(), molecular_charge(atoms))
    return (said,) if said else ()

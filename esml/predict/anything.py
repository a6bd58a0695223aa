"""Predictions from any description of molecules, in one call: ``esml.predict(molecules)``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from ase import Atoms

from esml.io.anything import as_structure
from esml.io.paths import looks_like_file
from esml.io.provenance import InputError, ReadingOptions, Structure
from esml.physics.excitations import InstabilityError
from esml.predict.model_files import molecular_model
from esml.predict.surrogate import Surrogate
from esml.results import Failure, Result

ONE = (str, bytes, Path, Atoms, Structure, Mapping)
"""Types that can be gone through and stand for one molecule, or for none."""


def predict(
    molecules: Any,
    n_states: int = 10,
    *,
    model: Surrogate | str | Path | None = None,
    geometry: Any = None,
    charge: int | None = None,
    errors: str = "raise",
    **asked: Any,
) -> Any:
    """Excited states of one molecule, or of several, from paths, SMILES or objects.

    Parameters
    ----------
    molecules
        The path of a geometry file, a SMILES, ASE ``Atoms``, an RDKit ``Mol``, a PySCF ``Mole``, or
        a list (any iterable) of these. A file with several structures gives its last one;
        ``esml.io.read_structures`` gives all.
    n_states
        Singlets and triplets, as many of each.
    model
        A model, or its name or path; the shipped one if None. A model by name is loaded once.
    geometry
        ``"xtb"``, ``"mmff"`` or ``"as-is"``; see ``esml.io.ReadingOptions``.
    charge
        Total charge in place of what the input states. Not for ``Atoms``, which carry their own in
        ``atoms.info["charge"]``.
    errors
        ``"return"`` gives a ``Failure`` in place of a molecule of a list that cannot be predicted.
    **asked
        What else ``Surrogate.predict`` takes.

    Returns
    -------
    A ``Result`` for one molecule, a list of them, in order, for several. For thousands of molecules
    ``Surrogate.predict_many`` is faster and keeps less.

    Raises
    ------
    InputError, StructureError
        For what cannot be read or treated.
    InstabilityError
        Where the predicted closed-shell ground state is unstable.
    ValueError
        For options that cannot be.
    """
    if errors not in ("raise", "return"):
        raise ValueError(f"errors must be 'raise' or 'return', got {errors!r}")
    surrogate = (
        model if isinstance(model, Surrogate) else _loaded(None if model is None else str(model))
    )
    options = ReadingOptions(geometry=geometry, charge=charge, elements=surrogate.elements)

    def one(molecule: Any) -> Result:
        return surrogate.predict(as_structure(molecule, options), n_states=n_states, **asked)

    if isinstance(molecules, ONE) or not isinstance(molecules, Iterable):
        return one(molecules)
    outcomes: list[Result | Failure] = []
    for index, molecule in enumerate(molecules):
        try:
            outcomes.append(replace(one(molecule), index=index))
        except (InputError, InstabilityError, ValueError) as error:
            if errors == "raise":
                raise
            text = isinstance(molecule, str) and not looks_like_file(molecule)
            smiles = str(molecule) if text else ""
            outcomes.append(Failure(_called(molecule), str(error), index=index, smiles=smiles))
    return outcomes


@cache
def _loaded(name: str | None) -> Surrogate:
    return molecular_model(name)


def _called(molecule: Any) -> str:
    """What to call a molecule that failed."""
    if isinstance(molecule, str | Path):
        return str(molecule)
    if isinstance(molecule, Atoms):
        return str(molecule.info.get("name", "")) or str(molecule.get_chemical_formula())
    return type(molecule).__name__

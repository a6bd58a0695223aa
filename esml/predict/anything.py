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
"""Iterable types that are not lists of molecules."""


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
    """Predict the excited states of one or several molecules from paths, SMILES or objects.

    Parameters
    ----------
    molecules
        The path of a geometry file, a SMILES, ASE ``Atoms``, an RDKit ``Mol``, a PySCF ``Mole``, or
        a list (any iterable) of these. A file with several structures gives its last one;
        ``esml.io.read_structures`` gives all.
    n_states
        Number of singlets, and of triplets.
    model
        A model, or its name or path; the default model if None. A named model is loaded once.
    geometry
        ``"xtb"``, ``"mmff"`` or ``"as-is"``; see ``esml.io.ReadingOptions``.
    charge
        Total charge, which overrides that of the input. It does not apply to ``Atoms``, which
        have their own in ``atoms.info["charge"]``.
    errors
        ``"return"`` gives a ``Failure`` for each molecule of a list that cannot be predicted.
    **asked
        Further options of ``Surrogate.predict``.

    Returns
    -------
    A ``Result`` for one molecule; for several, a list of them in order. For thousands of molecules
    ``Surrogate.predict_many`` is faster and needs less memory.

    Raises
    ------
    InputError, StructureError
        If a molecule cannot be read or treated.
    InstabilityError
        If the predicted closed-shell ground state is unstable.
    ValueError
        For impossible options.
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
    """Name for a molecule that failed."""
    if isinstance(molecule, str | Path):
        return str(molecule)
    if isinstance(molecule, Atoms):
        return str(molecule.info.get("name", "")) or str(molecule.get_chemical_formula())
    return type(molecule).__name__

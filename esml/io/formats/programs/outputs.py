"""Read outputs of quantum-chemistry programs: the molecule, and its excited states, if any.

cclib (the extra ``cclib``) reads outputs of Gaussian, NWChem and Q-Chem. ``orca`` reads those of
ORCA, because cclib 1.8 does not read ORCA 6 and later, and ``pyscf`` those of PySCF, which cclib
does not support.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import invcm

from esml.io.formats.atom_tables import Table
from esml.io.formats.programs.calculation import CalculatedState, Calculation
from esml.io.formats.programs.orca import read_orca
from esml.io.formats.programs.pyscf import read_pyscf
from esml.io.provenance import InputError
from esml.io.text import head

PROGRAMS = {
    "Gaussian": r"Entering Gaussian System|Gaussian, Inc\.|Gaussian\(R\)",
    "ORCA": r"\* O +R +C +A \*|O   R   C   A",
    "NWChem": r"Northwest Computational Chemistry Package",
    "Q-Chem": r"Welcome to Q-Chem|A Quantum Leap Into The Future Of Chemistry",
    "PySCF": r"^PySCF version|^\[INPUT\] num\. atoms",
}
"""Text near the beginning of the output, by program."""

READERS: dict[str, Callable[[Path], Calculation]] = {"ORCA": read_orca, "PySCF": read_pyscf}
"""Readers that do not need cclib."""


def program_of(path: Path) -> str | None:
    """Return which of ``PROGRAMS`` wrote the output ``path``; None for any other file."""
    beginning = head(path)
    return next((name for name, mark in PROGRAMS.items() if re.search(mark, beginning, re.M)), None)


def read_calculation(path: Path) -> Calculation:
    """Read the last geometry of an output, its charge and multiplicity, and its excited states.

    Raises InputError if cclib is needed but missing, or if the output contains no geometry or ends
    inside one.
    """
    program = program_of(path)
    if program is None:
        raise InputError(
            f"'{path}' is not an output that esml reads: expected one of {', '.join(PROGRAMS)}; "
            "check the file"
        )
    try:
        reader = READERS.get(program)
        found = reader(path) if reader else _through_cclib(path, program)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise _unreadable(path, program, error) from error
    if found.ended:
        return found
    told = f"the output of {program} does not say that its calculation ended normally"
    table = replace(found.table, notes=(*found.table.notes, told))
    return replace(found, table=table, level=f"{found.level}, not ended normally")


def _unreadable(path: Path, program: str, error: Exception) -> InputError:
    lines = str(error).splitlines()
    reason = type(error).__name__ + (f": {lines[0]}" if lines else "")
    return InputError(
        f"cannot read '{path}' as an output of {program} ({reason}): expected a finished "
        "calculation; write its geometry as .xyz"
    )


def _through_cclib(path: Path, program: str) -> Calculation:
    data = _parsed(path, program)
    return Calculation(
        _level(data.metadata, program),
        _molecule(data, path, program),
        _states(data),
        _frontier(data),
        bool(data.metadata.get("success")),
    )


def _parsed(path: Path, program: str) -> Any:
    """The data that cclib finds in an output."""
    try:
        import cclib.io.ccio
    except ImportError as error:
        raise InputError(
            f"'{path}' is an output of {program}, and reading its charge and states needs cclib: "
            'pip install "esml[cclib]", or write the geometry as .xyz'
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data: Any = cclib.io.ccio.ccread(str(path), loglevel=logging.CRITICAL)
        # Parsers can raise any error for an unfinished output.
        except Exception as error:
            raise _unreadable(path, program, error) from error
    if data is None or not hasattr(data, "atomcoords") or not hasattr(data, "atomnos"):
        raise InputError(
            f"'{path}', an output of {program}, holds no geometry that cclib finds: expected a "
            "finished calculation; write its geometry as .xyz"
        )
    return data


def _molecule(data: Any, path: Path, program: str) -> Table:
    """The last geometry, with charge and multiplicity."""
    numbers, positions = np.asarray(data.atomnos), np.asarray(data.atomcoords)
    if positions.shape[1:] != (len(numbers), 3):
        raise InputError(
            f"'{path}', an output of {program}, breaks off or changes its molecule: expected "
            f"{len(numbers)} atoms in all of its geometries; write the one wanted as .xyz"
        )
    atoms = Atoms(numbers, positions[-1])
    charge = int(data.charge) if hasattr(data, "charge") else None
    notes: tuple[str, ...] = ()
    if len(positions) > 1:
        notes = (f"the last of {len(positions)} geometries of the output",)
    if hasattr(data, "mult"):
        atoms.info["multiplicity"] = int(data.mult)
    source = f"output of {program}" if charge is not None else ""
    return Table(atoms, path.stem, charge, source, notes)


def _level(metadata: dict[str, Any], program: str) -> str:
    method = metadata.get("functional") or (metadata.get("methods") or [""])[-1]
    names = [str(name) for name in (method, metadata.get("basis_set")) if name]
    excited = metadata.get("excited_states_method")
    return f"{'/'.join(names) or 'calculation'}{f', {excited}' if excited else ''} ({program})"


def _frontier(data: Any) -> tuple[float, float] | None:
    try:
        levels, homo = np.asarray(data.moenergies[0]), int(data.homos[0])
        return float(levels[homo]), float(levels[homo + 1])
    except (AttributeError, IndexError):
        return None


def _states(data: Any) -> list[CalculatedState]:
    energies = np.asarray(getattr(data, "etenergies", []), dtype=float) * invcm
    names = [str(name) for name in getattr(data, "etsyms", [])]
    strengths = [float(f) for f in getattr(data, "etoscs", [])]
    named, bright = len(names) == len(energies), len(strengths) == len(energies)
    return [
        CalculatedState(
            energy,
            multiplicity_of(names[k]) if named else None,
            strengths[k] if bright else None,
        )
        for k, energy in enumerate(energies.tolist())
    ]


def multiplicity_of(name: str) -> int | None:
    """Return 2S + 1 from the name of a state (Singlet-BU, triplet ag, 3.016-A); None if missing."""
    for word, multiplicity in (("singlet", 1), ("triplet", 3)):
        if word in name.lower():
            return multiplicity
    # For unrestricted calculations Gaussian writes the expectation value.
    value = re.match(r"\s*(\d+\.\d+)", name)
    return round(float(value[1])) if value else None

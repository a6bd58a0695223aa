"""Read point charges from ORCA files, geometries with charges, and atom groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from scipy.spatial import cKDTree

from esml.io.provenance import InputError, SurroundingsError
from esml.io.text import read_text
from esml.physics.point_charges import NEAREST, PointCharges
from esml.typing import Array

ORCA = "their number in the first line, then charge, x, y and z (Å) in a line each"
"""The format of ORCA."""

XYZ = (".xyz", ".extxyz")
"""Geometries that may look like ORCA's format, with atomic numbers and an empty second line."""


class PointChargesError(SurroundingsError):
    """Raised for point charges that cannot be read or used; the message is one sentence."""


def as_point_charges(given: Any) -> PointCharges | None:
    """Convert user input to point charges.

    Parameters
    ----------
    given
        ``PointCharges``; the path of a file (``read_point_charges``); ASE ``Atoms`` with initial
        charges; anything with ``charges`` (e) and ``positions`` (Å), such as an atom group of
        MDAnalysis; None for no charges.

    Raises
    ------
    PointChargesError
        For anything else, or if all charges are zero.
    """
    if given is None or isinstance(given, PointCharges):
        return given
    if isinstance(given, str | Path):
        return read_point_charges(Path(given))
    if isinstance(given, Atoms):
        return _of_atoms(
            given,
            "the atoms carry no charges: expected one for each atom; set them with "
            "atoms.set_initial_charges or give esml.PointCharges",
        )
    if hasattr(given, "charges") and hasattr(given, "positions"):
        return _checked(given.charges, given.positions)
    raise PointChargesError(
        f"point charges are given as an object of type {type(given).__name__}: expected "
        "esml.PointCharges(charges, positions), a file, ASE Atoms with initial charges, or what "
        "has charges and positions; give one"
    )


def read_point_charges(path: Path) -> PointCharges:
    """Read the point charges of a file.

    A ``.pc`` file has the format of ORCA: the number of charges in the first line, then a line with
    charge (e), x, y and z (Å) for each. So may any other file, except an xyz file. The rest are
    geometries that ASE reads, with a charge for each atom, such as an extended xyz file with a
    column ``initial_charges``; the last geometry is used.

    Raises
    ------
    PointChargesError
        If the file cannot be read, or contains no charges.
    """
    if not path.is_file():
        raise PointChargesError(
            f"no file '{path}' of point charges: expected an ORCA .pc file or a geometry with "
            "charges; check the name"
        )
    suffix = path.suffix.lower()
    rows = None if suffix in XYZ else _orca_rows(path)
    if rows is not None:
        return _checked(rows[:, 0], rows[:, 1:])
    if suffix == ".pc":
        raise PointChargesError(
            f"'{path}' is not an ORCA file of point charges: expected {ORCA}; fix it"
        )
    from ase.io import read

    try:
        atoms = read(path)
    # ASE's readers raise any exception for a file of another format.
    except Exception as error:
        raise PointChargesError(
            f"'{path}' is not a geometry that ASE reads, nor an ORCA file of point charges: "
            f"expected a geometry with charges, or ORCA's format ({ORCA}); convert it"
        ) from error
    assert isinstance(atoms, Atoms)
    return _of_atoms(
        atoms,
        f"the atoms of '{path}' carry no charges: expected one for each atom; write them to a "
        "column initial_charges of an extended xyz file, or give an ORCA .pc file",
    )


def _orca_rows(path: Path) -> Array | None:
    """Charge, x, y and z (n, 4) of a file in ORCA's format; None for any other."""
    try:
        lines = [line for line in read_text(path).splitlines() if line.strip()]
        n = int(lines[0])
        rows = np.array([[float(x) for x in line.split()] for line in lines[1:]])
    except (InputError, ValueError, IndexError):
        return None
    return rows if rows.shape == (n, 4) else None


def _of_atoms(atoms: Atoms, without: str) -> PointCharges:
    """Take the initial charges of ``atoms``; ``without`` is what to say if there are none."""
    charges = atoms.get_initial_charges()
    if not charges.any():
        raise PointChargesError(without)
    return _checked(charges, atoms.positions)


def _checked(charges: Any, positions: Any) -> PointCharges:
    try:
        return PointCharges(charges, positions)
    except ValueError as error:
        raise PointChargesError(str(error)) from error


def check_apart(atoms: Atoms, charges: PointCharges) -> float:
    """Return the shortest distance (Å) between a charge and an atom of ``atoms``.

    Raises
    ------
    PointChargesError
        If it is so short that the atom itself must be among the charges.
    """
    distances, places = cKDTree(atoms.positions).query(charges.positions)
    k = int(distances.argmin())
    nearest = float(distances[k])
    if nearest < NEAREST:
        i = int(places[k])
        raise PointChargesError(
            f"point charge {k} is {nearest:.3f} Å from {atoms.symbols[i]} (atom {i}) of "
            f"{atoms.get_chemical_formula()}: expected charges of the surroundings alone; leave "
            "out those of the molecule itself"
        )
    return nearest

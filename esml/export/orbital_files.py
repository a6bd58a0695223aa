"""Write orbitals of one molecule for programs that draw them: Molden and cube files.

The basis functions in these files are an illustration, the coefficients come from the model (see
``esml.analysis.orbital_shapes``); every file says so in its title. Molden files contain the
overlapping functions, with coefficients for which Cᵀ S C = 1: a reader that builds the overlap
finds orthonormal orbitals.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io.cube import write_cube as write_ase_cube

from esml.analysis.orbital_shapes import STATEMENT, Grid, Shapes, contraction
from esml.io.files import write_whole
from esml.typing import Array, MultiplicityName, renamed
from esml.units import BOHR, HARTREE

if TYPE_CHECKING:
    from esml.results import Result

LEAST_WEIGHT = 0.05
"""Pairs of natural transition orbitals with this weight or more are written."""


def write_molden(result: Result, path: str | Path) -> None:
    """Write the canonical orbitals, with energies and occupations, as a Molden file.

    Parameters
    ----------
    result
        A result with its wave functions.
    path
        The file to write.

    Raises
    ------
    MissingWavefunctionsError
        For a result without coefficients.
    OSError
        If the file cannot be written.
    """
    write_whole(Path(path), molden_text(result).encode())


def molden_text(result: Result) -> str:
    """Return the text that ``write_molden`` writes."""
    states = result.wavefunctions()
    occupations = np.where(np.arange(len(states.orbital_energies)) < states.n_occupied, 2.0, 0.0)
    labels = [f"{k + 1}a" for k in range(len(occupations))]
    title = _title("orbitals", result)
    return _molden(
        states.atoms, states.coefficients, states.orbital_energies, occupations, labels, title
    )


@renamed(kind="multiplicity")
def write_natural_orbitals(
    result: Result,
    state: int,
    path: str | Path,
    multiplicity: MultiplicityName = "singlet",
) -> None:
    """Write the natural transition orbitals of a state as a Molden file.

    Pairs with a weight of at least ``LEAST_WEIGHT`` are written by falling weight, the hole before
    the electron. The occupation is their weight, the energy their expectation value of H.

    Parameters
    ----------
    result
        A result with its wave functions.
    state
        The state, counted from 0.
    path
        The file to write.
    multiplicity
        ``"singlet"`` or ``"triplet"``.

    Raises
    ------
    MissingWavefunctionsError
        For a result without coefficients.
    IndexError
        If the state was not computed.
    OSError
        If the file cannot be written.
    """
    states = result.wavefunctions(multiplicity)
    if not 0 <= state < len(states):
        raise IndexError(f"state {state}: expected 0 to {len(states) - 1}")
    natural = states.natural_orbitals(state)
    kept = max(1, int((natural.weights >= LEAST_WEIGHT).sum()))
    pairs = np.stack([natural.holes[:, :kept], natural.electrons[:, :kept]], axis=2)
    orbitals = pairs.reshape(len(pairs), 2 * kept)
    # The Hamiltonian is diagonal in the canonical orbitals.
    energies = states.orbital_energies @ np.square(states.coefficients.T @ orbitals)
    labels = [f"{part}{k + 1}" for k in range(kept) for part in ("hole", "electron")]
    what = f"natural transition orbitals of {multiplicity[0].upper()}{state + 1}"
    weights = np.repeat(natural.weights[:kept], 2)
    text = _molden(states.atoms, orbitals, energies, weights, labels, _title(what, result))
    write_whole(Path(path), text.encode())


def _title(what: str, result: Result) -> str:
    """The title of a file: what it shows, of which molecule, and what is around the molecule."""
    return f"{what} of {result.atoms.get_chemical_formula()} {result.surroundings}"


def _molden(
    atoms: Atoms,
    orbitals: Array,
    energies: Array,
    occupations: Array,
    labels: Sequence[str],
    title: str,
) -> str:
    lines = ["[Molden Format]", "[Title]", f" esml: {title}"]
    lines += [f" {STATEMENT}", " valence shells only", "[Atoms] AU"]
    for k, (number, position) in enumerate(
        zip(atoms.numbers, atoms.positions / BOHR, strict=True), start=1
    ):
        place = " ".join(f"{x:18.10f}" for x in position)
        lines.append(f"{chemical_symbols[number]:<2} {k:5d} {number:4d} {place}")
    lines.append("[GTO]")
    for k, number in enumerate(atoms.numbers, start=1):
        exponents, s, p = contraction(int(number))
        lines.append(f"{k} 0")
        for shell, coefficients in (("s", s), ("p", p)):
            if len(coefficients):
                lines.append(f"{shell} {len(coefficients)} 1.00")
                lines += [
                    f"{exponent:20.10E} {coefficient:20.10E}"
                    for exponent, coefficient in zip(exponents, coefficients, strict=True)
                ]
        lines.append("")
    lines.append("[MO]")
    coefficients = Shapes(atoms).orthogonalizer @ orbitals
    for label, energy, occupation, column in zip(
        labels, energies / HARTREE, occupations, coefficients.T, strict=True
    ):
        lines += [f" Sym= {label}", f" Ene= {energy:.10f}", " Spin= Alpha"]
        lines.append(f" Occup= {occupation:.8f}")
        lines += [f"{k:5d} {value:18.10f}" for k, value in enumerate(column, start=1)]
    return "\n".join(lines) + "\n"


def write_cube(
    atoms: Atoms,
    orbital: Array,
    path: str | Path,
    title: str = "orbital",
    spacing: float = 0.25,
    margin: float = 3.5,
) -> None:
    """Write an orbital on a grid (bohr^(−3/2)) as a Gaussian cube file.

    Parameters
    ----------
    atoms
        The molecule.
    orbital
        (n,) coefficients in the minimal basis.
    path
        The file to write.
    title
        First line of the file.
    spacing
        Distance of neighbouring grid points, Å.
    margin
        Distance that the grid extends beyond the outermost atoms, Å.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    shapes = Shapes(atoms)
    grid = shapes.grid(spacing, margin)
    _write_values(atoms, shapes.values(orbital[:, None], grid)[0], grid, Path(path), title)


def _write_values(atoms: Atoms, values: Array, grid: Grid, path: Path, title: str) -> None:
    boxed = Atoms(atoms.numbers, atoms.positions)
    # Cell vectors of the format extend one step beyond the last point.
    boxed.cell = np.diag(np.array(grid.shape) * grid.spacing)
    comment = f"esml: {title}; {STATEMENT}".replace("ε", "epsilon")  # the file is ASCII
    with path.open("w", encoding="ascii", errors="replace") as file:
        write_ase_cube(file, boxed, values, origin=grid.origin, comment=comment)


@renamed(kind="multiplicity")
def write_cubes(
    result: Result,
    folder: str | Path,
    states: int = 3,
    multiplicity: MultiplicityName = "singlet",
) -> list[Path]:
    """Write cube files of HOMO, LUMO and the leading natural transition orbitals.

    The files are ``homo.cube``, ``lumo.cube``, ``S1-hole.cube``, ``S1-electron.cube``, and so on.

    Parameters
    ----------
    result
        A result with its wave functions.
    folder
        Folder for the files; created if it does not exist.
    states
        Number of states, from the lowest, whose natural transition orbitals are written.
    multiplicity
        ``"singlet"`` or ``"triplet"``.

    Returns
    -------
    The paths of the files.

    Raises
    ------
    MissingWavefunctionsError
        For a result without coefficients.
    OSError
        If a file cannot be written.
    """
    found = result.wavefunctions(multiplicity)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    n = found.n_occupied
    orbitals = {"homo": found.coefficients[:, n - 1]} if n else {}
    if n < len(found.coefficients):
        orbitals["lumo"] = found.coefficients[:, n]
    for state in range(min(states, len(found))):
        natural = found.natural_orbitals(state)
        label = f"{multiplicity[0].upper()}{state + 1}"
        orbitals[f"{label}-hole"] = natural.holes[:, 0]
        orbitals[f"{label}-electron"] = natural.electrons[:, 0]
    paths = []
    for name, orbital in orbitals.items():
        paths.append(folder / f"{name}.cube")
        write_cube(found.atoms, orbital, paths[-1], _title(name, result))
    return paths

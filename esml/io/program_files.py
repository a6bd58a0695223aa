"""Inputs and outputs of quantum-chemistry programs: geometry with charge and multiplicity.

Inputs of Gaussian and ORCA are read here; outputs of Gaussian, ORCA, NWChem, Q-Chem and others
through cclib (the extra ``cclib``), those of PySCF, which cclib does not know, here.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Bohr, Hartree, invcm

from esml.io.atom_tables import Table
from esml.io.provenance import InputError
from esml.io.text import head, read_text
from esml.io.xyz import molecule, number, read_xyz


def _with_multiplicity(table: Table, multiplicity: int) -> Table:
    table.atoms.info["multiplicity"] = multiplicity
    return table


# --- inputs ---------------------------------------------------------------------------------------

_CHARGE_LINE = re.compile(r"\s*([+-]?\d+)\s*[, ]\s*(\d+)(?:[\s,]+[+-]?\d+)*\s*")


def read_gaussian_input(text: str) -> Iterator[Table | InputError]:
    """Molecules of a Gaussian input, one for each job (``--Link1--``), with Cartesian coordinates.

    The title names them. A job that takes its geometry from a checkpoint file gives an
    ``InputError`` that says so.
    """
    for job in re.split(r"^\s*--link1--\s*$", text, flags=re.MULTILINE | re.IGNORECASE):
        if job.strip():
            try:
                yield _gaussian_job(job)
            except (ValueError, IndexError) as error:
                yield InputError(
                    f"the Gaussian input cannot be read ({error}): expected a route '#…', a title, "
                    "'charge multiplicity' and 'symbol x y z' for each atom; write it so"
                )


def _gaussian_job(job: str) -> Table:
    parts = re.split(r"\n\s*\n", job.strip("\n"))
    route = " ".join(line for line in parts[0].split("\n") if not line.strip().startswith("%"))
    if re.search(r"geom\s*=?\s*\(?\s*\w*check", route, re.IGNORECASE):
        raise ValueError("its geometry is in a checkpoint file")
    if not route.strip().startswith("#") or len(parts) < 3:
        raise ValueError("it has no route, title and molecule with empty lines between")
    lines = parts[2].split("\n")
    match = _CHARGE_LINE.fullmatch(lines[0])
    if not match:
        raise ValueError(f"'{lines[0].strip()}' is no charge and multiplicity")
    in_bohr = re.search(r"units?\s*=?\s*\(?[^\s)]*(au|bohr)", route, re.IGNORECASE)
    scale = Bohr if in_bohr else 1.0
    symbols, coordinates = [], []
    for line in lines[1:]:
        words = line.replace(",", " ").split()
        symbol = re.sub(r"\(.*?\)", "", words[0]).split("-")[0]
        rest = words[1:]
        # A column of 0 or −1 says whether the atom is frozen.
        if len(rest) > 3 and re.fullmatch(r"-?\d+", rest[0]):
            rest = rest[1:]
        if len(rest) < 3:
            raise ValueError(f"'{line.strip()}' gives no Cartesian coordinates")
        symbols.append(symbol)
        coordinates.append([scale * number(word) for word in rest[:3]])
    atoms, notes = molecule(symbols, coordinates)
    title = " ".join(parts[1].split())
    source = f"'{lines[0].strip()}' of the Gaussian input"
    return _with_multiplicity(Table(atoms, title, int(match[1]), source, notes), int(match[2]))


_STARRED = re.compile(
    r"^\s*\*\s*(xyzfile|xyz|int|internal|gzmt)\s+([+-]?\d+)\s+(\d+)(.*)$", re.I | re.M
)


def read_orca_input(text: str, folder: Path) -> Iterator[Table | InputError]:
    """Molecules of an ORCA input: ``* xyz``, ``* xyzfile`` (beside the input) and ``%coords``."""
    bare = re.sub(r"#.*?(#|$)", "", text, flags=re.MULTILINE)
    scale = Bohr if re.search(r"^\s*!.*\bbohrs?\b", bare, re.I | re.M) else 1.0
    found = False
    try:
        for match in _STARRED.finditer(bare):
            found = True
            yield _orca_block(bare, match, scale, folder)
        if block := re.search(r"^\s*%coords\b(.*)", bare, re.I | re.M | re.S):
            found = True
            yield _orca_coords(block[1], scale)
    except (ValueError, IndexError) as error:
        yield InputError(
            f"the ORCA input cannot be read ({error}): expected '* xyz charge multiplicity', "
            "'symbol x y z' for each atom and '*'; write it so"
        )
        return
    if not found:
        yield InputError(
            "it is no ORCA input with a molecule: expected '* xyz charge multiplicity'; mend it"
        )


def _orca_block(text: str, match: re.Match[str], scale: float, folder: Path) -> Table:
    kind, charge, multiplicity = match[1].lower(), int(match[2]), int(match[3])
    source = f"'{match[0].strip()}' of the ORCA input"
    if kind == "xyzfile":
        path = folder / match[4].strip().strip("\"'")
        if not path.is_file():
            raise ValueError(f"there is no file '{path}'")
        atoms, _, notes = next(read_xyz(path))
        table = Table(atoms, path.stem, charge, source, notes)
        return _with_multiplicity(table, multiplicity)
    if kind != "xyz":
        raise ValueError("it gives internal coordinates")
    body = text[match.end() :].split("*", 1)[0]
    rows = [line.split() for line in body.split("\n") if line.strip()]
    return _with_multiplicity(_orca_atoms(rows, scale, charge, source), multiplicity)


def _orca_coords(block: str, scale: float) -> Table:
    def value(key: str) -> int:
        match = re.search(rf"^\s*{key}\s+([+-]?\d+)", block, re.I | re.M)
        if not match:
            raise ValueError(f"%coords has no {key}")
        return int(match[1])

    if re.search(r"^\s*units\s+bohrs?", block, re.I | re.M):
        scale = Bohr
    coordinates = re.search(r"^\s*coords\s*$(.*)", block, re.I | re.M | re.S)
    if not coordinates:
        raise ValueError("%coords has no coords")
    body = re.split(r"^\s*end\b", coordinates[1], maxsplit=1, flags=re.I | re.M)[0]
    rows = [line.split() for line in body.split("\n") if line.strip()]
    charge = value("charge")
    table = _orca_atoms(rows, scale, charge, "%coords of the ORCA input")
    return _with_multiplicity(table, value("mult"))


def _orca_atoms(rows: list[list[str]], scale: float, charge: int, source: str) -> Table:
    for row in rows:
        if ":" in row[0] or row[0].upper() in ("DA", "Q"):
            raise ValueError(f"'{' '.join(row)}' is a dummy or ghost atom or a point charge")
    coordinates = [[scale * number(word) for word in row[1:4]] for row in rows]
    if any(len(place) < 3 for place in coordinates):
        raise ValueError("an atom has no three coordinates")
    atoms, notes = molecule([re.sub(r"\(.*\)", "", row[0]) for row in rows], coordinates)
    return Table(atoms, "", charge, source, notes)


def is_orca_input(text: str) -> bool:
    """Whether ``text`` has what every ORCA input has: a molecule behind ``*`` or ``%coords``."""
    return bool(_STARRED.search(text) or re.search(r"^\s*%coords\b", text, re.I | re.M))


# --- outputs --------------------------------------------------------------------------------------

PROGRAMS = {
    "Gaussian": r"Entering Gaussian System|Gaussian, Inc\.|Gaussian\(R\)",
    "ORCA": r"\* O +R +C +A \*|O   R   C   A",
    "NWChem": r"Northwest Computational Chemistry Package",
    "Q-Chem": r"Welcome to Q-Chem|A Quantum Leap Into The Future Of Chemistry",
    "PySCF": r"^PySCF version|^\[INPUT\] num\. atoms",
}
"""What is written near the beginning of the outputs of programs."""


def program_of(path: Path) -> str | None:
    """The program whose output ``path`` is, among ``PROGRAMS``; None for any other file."""
    beginning = head(path)
    return next((name for name, mark in PROGRAMS.items() if re.search(mark, beginning, re.M)), None)


@dataclass(frozen=True)
class Calculation:
    """What the output of a program tells: the molecule and, if calculated, its excited states."""

    level: str
    table: Table
    singlets: list[tuple[float, float | None]]
    """Energy (eV) and oscillator strength of each, ascending."""
    triplets: list[float]
    """Energies (eV), ascending."""
    frontier: tuple[float, float] | None = None
    """HOMO and LUMO (eV)."""


def read_calculation(path: Path) -> Calculation:
    """The last geometry of an output, its charge and multiplicity, and its excited states.

    Raises InputError without cclib, where a program needs it, and for an output that holds no
    geometry.
    """
    program = program_of(path)
    if program is None:
        raise InputError(
            f"'{path}' is no output that esml knows: expected one of {', '.join(PROGRAMS)}; check "
            "the file"
        )
    if program == "PySCF":
        return _read_pyscf(path)
    return _through_cclib(path, program)


def _through_cclib(path: Path, program: str) -> Calculation:
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
        # Parsers raise whatever an unfinished output leads them to.
        except Exception as error:
            raise InputError(
                f"cannot read '{path}' as an output of {program} ({type(error).__name__}: "
                f"{error}): expected a finished calculation; write its geometry as .xyz"
            ) from error
    if data is None or not hasattr(data, "atomcoords"):
        raise InputError(
            f"'{path}', an output of {program}, holds no geometry that cclib finds: expected a "
            "finished calculation; write its geometry as .xyz"
        )
    atoms = Atoms(np.asarray(data.atomnos), np.asarray(data.atomcoords)[-1])
    charge = int(data.charge) if hasattr(data, "charge") else None
    notes: tuple[str, ...] = ()
    if len(data.atomcoords) > 1:
        notes = (f"the last of {len(data.atomcoords)} geometries of the output",)
    source = f"output of {program}" if charge is not None else ""
    table = Table(atoms, path.stem, charge, source, notes)
    if hasattr(data, "mult"):
        atoms.info["multiplicity"] = int(data.mult)
    metadata = getattr(data, "metadata", {})
    level = "/".join(str(metadata[k]) for k in ("functional", "basis_set") if metadata.get(k))
    singlets, triplets = _cclib_states(data)
    return Calculation(
        f"{level or 'calculation'} ({program})", table, singlets, triplets, _gap(data)
    )


def _gap(data: Any) -> tuple[float, float] | None:
    try:
        levels, homo = np.asarray(data.moenergies[0]), int(data.homos[0])
        return float(levels[homo]), float(levels[homo + 1])
    except (AttributeError, IndexError):
        return None


def _cclib_states(data: Any) -> tuple[list[tuple[float, float | None]], list[float]]:
    energies = np.asarray(getattr(data, "etenergies", []), dtype=float) * invcm
    names = [str(name).lower() for name in getattr(data, "etsyms", [])]
    strengths = [float(f) for f in getattr(data, "etoscs", [])]
    singlets: list[tuple[float, float | None]] = []
    triplets: list[float] = []
    for k, energy in enumerate(energies.tolist()):
        if k < len(names) and "triplet" in names[k]:
            triplets.append(energy)
        else:
            singlets.append((energy, strengths[k] if k < len(strengths) else None))
    return sorted(singlets, key=lambda state: state[0]), sorted(triplets)


_PYSCF_ATOM = re.compile(r"^\[INPUT\]\s*\d+\s+(\w+)\s+(\S+)\s+(\S+)\s+(\S+)\s+AA\b", re.MULTILINE)
_PYSCF_STRENGTH = re.compile(r"^Excited State\s+\d+:.*\bf=\s*([\d.]+)", re.MULTILINE)


def _read_pyscf(path: Path) -> Calculation:
    """What PySCF writes at ``verbose`` 4 and more."""
    text = read_text(path)
    rows = _PYSCF_ATOM.findall(text)
    if not rows:
        raise InputError(
            f"'{path}', an output of PySCF, holds no geometry: expected one written with verbose=4 "
            "or more; write its geometry as .xyz"
        )
    atoms, notes = molecule([row[0] for row in rows], [[float(x) for x in row[1:]] for row in rows])

    def value(pattern: str, default: int) -> int:
        match = re.search(pattern, text, re.MULTILINE)
        return int(match[1]) if match else default

    atoms.info["multiplicity"] = 1 + value(
        r"^\[INPUT\] spin \(= nelec alpha-beta = 2S\) = (-?\d+)", 0
    )
    charge = value(r"^\[INPUT\] charge = (-?\d+)", 0)
    table = Table(atoms, path.stem, charge, "output of PySCF", notes)
    singlets, triplets = _pyscf_states(text)
    functional = re.search(r"^XC functionals? = (\S+)", text, re.MULTILINE)
    basis = re.search(r"^basis = (\S+)", text, re.MULTILINE)
    level = "/".join(m[1] for m in (functional, basis) if m) or "calculation"
    levels = re.findall(r"HOMO = (-?[\d.]+)\s+LUMO = (-?[\d.]+)", text)
    frontier = (float(levels[-1][0]) * Hartree, float(levels[-1][1]) * Hartree) if levels else None
    return Calculation(f"{level} (PySCF)", table, singlets, triplets, frontier)


def _pyscf_states(text: str) -> tuple[list[tuple[float, float | None]], list[float]]:
    """Singlets with their strengths, which only ``analyze()`` writes, and triplets."""
    singlets: list[tuple[float, float | None]] = []
    triplets: list[float] = []
    for multiplicity, block in re.findall(
        r"^nstates = \d+ (singlet|triplet)$(.*?)(?=^nstates = |\Z)", text, re.M | re.S
    ):
        listed = re.search(r"^Excitation energies \(eV\)\n\[(.*?)\]", block, re.M | re.S)
        energies = [float(energy) for energy in listed[1].split()] if listed else []
        if multiplicity == "triplet":
            triplets += energies
            continue
        strengths = [float(f) for f in _PYSCF_STRENGTH.findall(block)]
        known = len(strengths) == len(energies)
        singlets += [(e, strengths[k] if known else None) for k, e in enumerate(energies)]
    return sorted(singlets, key=lambda state: state[0]), sorted(triplets)
